// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "simulator/world_internal.h"

#define DAY_US (86400 * MM_US_PER_S)
#define BEGIN_UTC_S INT64_C(1420070400) // 2015-01-01: worlds begin within ten years from here
#define BEGIN_DAYS 3650
// Of a report, with its frame and section heads, when it carries no snapshot.
#define REPORT_RECORDS_BYTES 1300
#define RECORD_HEAD_BYTES 4
// Of a time that came through so many roots, each with its crystal, since somebody had a source; and some for the way.
#define TIME_HOPS 4
#define TIME_ERROR_US (2 * MM_US_PER_S)
// Waits that may still run when the last fault is over: the back-off, and the hold of what a broker lost.
#define WAITS_US (mm_us_t)((1 + 4 + 1) * 3600 * MM_US_PER_S)

static device_t *device_of(world_t *self, int index) {
    return &self->devices[index];
}

static bool has_installers(const world_t *self) {
    return self->scenario->minutes_install > 0;
}

// HQ's commands are on the way.
static bool has_orders(const world_t *self) {
    return self->scenario->minutes_order > 0 || has_installers(self);
}

// --- what the devices do

static void on_booted(void *context, int index) {
    world_t *self = context;
    if (has_installers(self)) {
        commission_on_boot(&self->commission, index);
    }
    truth_on_boot(&self->truth, device_of(self, index));
}

static void on_settled(void *context, int index) {
    world_t *self = context;
    if (has_installers(self)) {
        commission_on_settled(&self->commission, index); // before its record is seen
    }
    truth_on_settled(&self->truth, device_of(self, index));
    if (has_orders(self)) {
        sales_check_node(&self->sales, index);
    }
}

static void probe_journal(world_t *self, const device_t *device) {
    const mm_counters_t *counters = &device->node.counters;
    bool thinned = counters->values[MM_COUNTER_JOURNAL_THINNED] > 0;
    if (thinned) {
        mm_sim_probe(&self->sim, MM_SIM_PROBE_JOURNAL_THINNED, device->index);
    }
    if (counters->values[MM_COUNTER_JOURNAL_SECTOR_RETIRED] > 0) {
        mm_sim_probe(&self->sim, MM_SIM_PROBE_SECTOR_RETIRED, device->index);
    }
    if (!thinned && device->node.journal.thinned_through_seq == 0 && mm_journal_oldest(&device->node.journal).seq > 1) {
        mm_sim_probe(&self->sim, MM_SIM_PROBE_RECORD_RELEASED, device->index);
    }
    if (counters->values[MM_COUNTER_COMMAND_REPEATED] > 0) {
        mm_sim_probe(&self->sim, MM_SIM_PROBE_COMMAND_REPEATED, device->index);
    }
    if (counters->values[MM_COUNTER_COMMANDS_OLD] > 0) {
        mm_sim_probe(&self->sim, MM_SIM_PROBE_COMMANDS_STALE, device->index);
    }
    if (counters->values[MM_COUNTER_WATERMARK_MOVED_BACK] > 0) {
        mm_sim_probe(&self->sim, MM_SIM_PROBE_WATERMARK_MOVED_BACK, device->index);
    }
}

static void on_died(void *context, int index) {
    world_t *self = context;
    truth_on_died(&self->truth, device_of(self, index));
    probe_journal(self, device_of(self, index));
    faults_on_device_died(self, index);
}

static void on_published(void *context, int index, uint32_t token) {
    world_t *self = context;
    const mm_root_t *root = &device_of(self, index)->node.root;
    if (has_installers(self)) { // their answers follow commands within the call
        truth_on_published(&self->truth, device_of(self, index));
    }
    for (size_t i = 0; i < MM_RECEIPTS_MAX; i++) {
        const mm_receipt_t *receipt = &root->receipts[i];
        if (receipt->token != token) {
            continue;
        }
        self->attempted += receipt->through.seq - receipt->after.seq;
        int node = receipt->mac.bytes[5] - 1;
        bool again = mm_position_compare(receipt->after, self->published_through[node]) < 0;
        if (again && self->published_by[node] != index && mm_sim_mesh_root_count(self->mesh) > 1) {
            mm_sim_probe(&self->sim, MM_SIM_PROBE_TWO_ROOTS_PUBLISHED, index);
        }
        self->published_through[node] = receipt->through;
        self->published_by[node] = index;
    }
    if (root->uplink.messages_sent + 1 == MM_SESSION_MESSAGES_MAX) {
        mm_sim_probe(&self->sim, MM_SIM_PROBE_SESSION_FULL, index);
    }
    for (size_t i = 0; i < MM_NODES_MAX && root->cursors.cursors[i].used; i++) {
        if (root->cursors.cursors[i].hold_doublings > 0) {
            mm_sim_probe(&self->sim, MM_SIM_PROBE_HOLD_DOUBLED, index);
            break;
        }
    }
}

// --- what comes to them

static void on_mesh_event(void *context, int index, const mm_mesh_event_t *event) {
    world_t *self = context;
    if (event->kind == MM_MESH_GOT_IP) {
        faults_synchronise_later(self, index, 5 * MM_US_PER_S);
    }
    device_on_mesh_event(device_of(self, index), event);
}

static void on_mesh_frame(void *context, int index, mm_mac_t from, const void *bytes, size_t bytes_count) {
    world_t *self = context;
    device_on_mesh_frame(device_of(self, index), from, bytes, bytes_count);
}

static void to_gateway(void *context, int index, const mm_mqtt_event_t *event) {
    world_t *self = context;
    device_t *device = device_of(self, index);
    mm_ack_t ack;
    if (device->alive && event->kind == MM_MQTT_DATA && event->bytes != NULL &&
        mm_ack_read(event->bytes, event->bytes_count, &ack) == MM_OK) {
        const mm_cursor_table_t *cursors = &device->node.root.cursors;
        if (ack.database_id == cursors->ack_database_id && ack.revision < cursors->ack_revision) {
            mm_sim_probe(&self->sim, MM_SIM_PROBE_STALE_ACK_IGNORED, index);
        }
    }
    truth_before_uplink_event(&self->truth, device, event);
    device_on_mqtt_event(device, event);
    truth_after_uplink_event(&self->truth, device);
}

static void to_hq(void *context, const char *topic, const void *bytes, size_t bytes_count) {
    world_t *self = context;
    headquarters_on_message(&self->hq, topic, bytes, bytes_count);
    if (has_orders(self) && books_is_open(self->hq.books)) {
        sales_on_message(&self->sales, bytes, bytes_count);
    }
}

static void on_hq_connected(void *context) {
    world_t *self = context;
    sales_publish(&self->sales);
}

static void on_record(void *context, int index, const mm_record_t *record, uint32_t checksum) {
    world_t *self = context;
    sales_on_record(&self->sales, index, record, checksum);
    if (has_installers(self)) {
        commission_on_record(&self->commission, index, record, checksum);
    }
}

static void on_acknowledged(void *context, const mm_ack_t *ack) {
    world_t *self = context;
    truth_on_ack(&self->truth, ack);
    for (uint8_t i = 0; i < ack->entry_count; i++) {
        int node = ack->entries[i].node.bytes[5] - 1;
        if (node >= 0 && node < self->node_count) {
            self->acknowledged[node] = ack->entries[i].watermark;
        }
    }
}

// --- making a world

static device_plan_t draw_plan(world_t *self, mm_random_t *random, int index, uint32_t slots) {
    static const char *const zones[] = {"CET-1CEST,M3.5.0,M10.5.0/3", "UTC0", "<+0545>-5:45", "EST5EDT,M3.2.0,M11.1.0",
                                        "<-03>3"};
    const scenario_t *scenario = self->scenario;
    uint32_t sectors_range = scenario->journal_sectors_max - scenario->journal_sectors_min + 1;
    device_plan_t plan = {.site = WORLD_SITE,
                          .tz = zones[self->sim.seed % (sizeof zones / sizeof zones[0])],
                          .register_sectors = MM_STORE_FLASH_SECTORS_MIN,
                          .timing = mm_timing_default(mm_sim_mesh_mac(index))};
    // One statement each: an initializer list may draw in any order.
    plan.journal_sectors = scenario->journal_sectors_min + mm_random_below(random, sectors_range);
    plan.has_fram = index == 0 || mm_random_below(random, 5) != 0;
    plan.battery = mm_random_below(random, 3) == 0;
    plan.has_control = has_orders(self);
    plan.has_setup = has_installers(self);
    // What a counter of this kind adds while its node has no meter is nobody's: the checker has no word for it.
    plan.battery = plan.battery && !plan.has_setup;
    plan.own_clock = mm_random_below(random, 100) >= scenario->clock_unset_percent;
    plan.save_period_s = mm_random_below(random, 4) == 0 ? 60 : 900;
    if (scenario->flash_only_sectors > 0) {
        plan.has_fram = index == 0;
        plan.register_sectors = scenario->flash_only_sectors;
        plan.save_period_s = 900;
    }
    if (scenario->drift_ppm_max > 0) {
        plan.drift_ppm =
            (int32_t)mm_random_below(random, 2 * (uint32_t)scenario->drift_ppm_max + 1) - scenario->drift_ppm_max;
    }
    plan.timing.slots.slot_count = slots;
    plan.timing.slots.slot = mm_slot_guess(mm_sim_mesh_mac(index), slots);
    plan.timing.hold_us = 2 * mm_slot_cycle_us(&plan.timing.slots);
    if (plan.timing.hold_max_us < plan.timing.hold_us) {
        plan.timing.hold_max_us = plan.timing.hold_us;
    }
    return plan;
}

static void make_devices(world_t *self) {
    static const uint32_t cycles[] = {250, 450, 900, 1800};
    mm_random_t random = mm_sim_random(&self->sim, "plan", 0);
    uint32_t slots = self->scenario->slots != 0 ? self->scenario->slots : cycles[mm_random_below(&random, 4)];
    const device_observer_t observer = {
        .booted = on_booted, .settled = on_settled, .died = on_died, .published = on_published, .context = self};
    self->begin_utc_us = (BEGIN_UTC_S + (int64_t)mm_random_below(&random, BEGIN_DAYS) * 86400) * MM_US_PER_S;
    self->devices = calloc((size_t)self->node_count, sizeof *self->devices);
    MM_ASSERT(self->devices != NULL);
    for (int i = 0; i < self->node_count; i++) {
        device_plan_t plan = draw_plan(self, &random, i, slots);
        device_init(device_of(self, i), &self->sim, i, &plan, (uint32_t)self->days * 24, &observer);
    }
    self->cycle_us = mm_slot_cycle_us(&device_of(self, 0)->plan.timing.slots);
}

static void init(world_t *self, const world_options_t *options, world_result_t *result) {
    memset(self, 0, sizeof *self);
    self->scenario = options->scenario;
    self->node_count = options->nodes > 0 ? options->nodes : options->scenario->nodes;
    self->days = options->days > 0 ? options->days : options->scenario->days;
    self->result = result;
    mm_sim_init(&self->sim, options->seed);
    self->sim.trace_file = options->trace_file;
    truth_init(&self->truth, &self->sim, self->node_count);
    make_devices(self);
    self->truth.begin_utc_us = self->begin_utc_us;
    if (self->scenario->minutes_clock == 0 && self->scenario->radio.delayed == 0) {
        self->truth.time_error_max_us = TIME_ERROR_US + TIME_HOPS * self->scenario->drift_ppm_max * (DAY_US / 1000000);
    }
    const mm_sim_mesh_receivers_t mesh = {on_mesh_event, on_mesh_frame, self};
    const mm_sim_broker_receivers_t broker = {to_gateway, to_hq, self};
    self->mesh = mm_sim_mesh_create(&self->sim, self->node_count, &self->scenario->radio, &mesh);
    self->broker = mm_sim_broker_create(&self->sim, &self->scenario->manners, &broker);
    headquarters_init(&self->hq, &self->sim, self->broker, self->begin_utc_us, on_acknowledged, self);
    if (has_orders(self)) {
        sales_init(&self->sales, &self->sim, self->broker, &self->truth, self->devices, self->node_count,
                   self->begin_utc_us, self->scenario->minutes_order);
        self->truth.on_record = on_record;
        self->truth.context = self;
        self->hq.connected = on_hq_connected;
    }
    if (has_installers(self)) {
        doors_init(&self->doors, &self->sim, self->devices, self->node_count, self->parts);
        commission_init(&self->commission, &self->sim, &self->truth, &self->sales, self->devices, self->node_count,
                        self->scenario->minutes_install);
    }
    for (int i = 0; i < self->node_count; i++) {
        device_of(self, i)->relay.refused = self->scenario->relay_refused;
        device_connect(device_of(self, i), self->mesh, self->broker);
        mm_sim_broker_set_path(self->broker, i, true);
    }
}

static void deinit(world_t *self) {
    headquarters_deinit(&self->hq);
    mm_sim_broker_destroy(self->broker);
    mm_sim_mesh_destroy(self->mesh);
    for (int i = 0; i < self->node_count; i++) {
        device_deinit(device_of(self, i));
    }
    if (has_orders(self)) {
        sales_deinit(&self->sales);
    }
    if (has_installers(self)) {
        commission_deinit(&self->commission);
    }
    free(self->devices);
    truth_deinit(&self->truth);
    mm_sim_deinit(&self->sim);
}

// --- running it

static bool is_broken(const world_t *self) {
    return self->truth.fault[0] != '\0';
}

static void run_until(world_t *self, mm_us_t until) {
    while (!is_broken(self) && mm_sim_queue_next_at(self->sim.queue) <= until) {
        mm_sim_queue_run_next(self->sim.queue);
    }
}

static uint64_t count_faults(const world_t *self, bool power_cuts) {
    uint64_t sum = 0;
    for (int fault = 0; fault < MM_SIM_FAULT_COUNT; fault++) {
        bool is_cut = fault == MM_SIM_FAULT_POWER_CUT || fault == MM_SIM_FAULT_POWER_CUT_IN_WRITE;
        sum += is_cut == power_cuts ? self->sim.faults[fault] : 0;
    }
    return sum;
}

static void run_days(world_t *self, const world_options_t *options) {
    for (int day = 0; day < self->days && !is_broken(self); day++) {
        run_until(self, (day + 1) * DAY_US);
        for (int i = 0; i < self->node_count; i++) {
            if (device_of(self, i)->alive) {
                probe_journal(self, device_of(self, i));
            }
        }
        if (options->progress != NULL) {
            options->progress(options->context, day + 1, self->days,
                              count_faults(self, false) + count_faults(self, true));
        }
    }
}

static bool is_delivered(const world_t *self, const mm_position_t *targets) {
    for (int i = 0; i < self->node_count; i++) {
        if (mm_position_compare(self->acknowledged[i], targets[i]) < 0) {
            return false;
        }
    }
    return true;
}

static mm_position_t newest(const device_t *device) {
    mm_position_t next = mm_journal_next(&device->node.journal);
    return (mm_position_t){next.epoch, next.seq - 1};
}

static uint64_t count_sessions(const world_t *self) {
    uint64_t sessions = 0;
    for (int i = 0; i < self->node_count; i++) {
        sessions += self->devices[i].sessions;
    }
    return sessions;
}

// Messages that the backlog of one node fills: each takes one report of it.
static uint32_t backlog_messages(const world_t *self, int index) {
    const mm_journal_t *journal = &self->devices[index].node.journal;
    mm_position_t after = self->acknowledged[index];
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    uint64_t bytes = 0;
    while (mm_journal_read_after(journal, after, &hint, &entry) == MM_OK) {
        bytes += entry.payload_bytes + RECORD_HEAD_BYTES;
        after = entry.position;
    }
    return (uint32_t)((bytes + REPORT_RECORDS_BYTES - 1) / REPORT_RECORDS_BYTES);
}

// Guarantee I8: ceil(B / 20) sessions plus two cycles. A message takes reports of up to ten nodes.
static uint32_t session_bound(const world_t *self) {
    uint32_t largest = 0;
    uint32_t sum = 0;
    for (int i = 0; i < self->node_count; i++) {
        uint32_t messages = backlog_messages(self, i);
        largest = messages > largest ? messages : largest;
        sum += messages;
    }
    uint32_t shared = (sum + MM_BATCH_NODES_MAX - 1) / MM_BATCH_NODES_MAX;
    uint32_t messages = largest > shared ? largest : shared;
    return (messages + MM_SESSION_MESSAGES_MAX - 1) / MM_SESSION_MESSAGES_MAX + 2;
}

// Run until HQ has everything up to the targets; false if it takes longer than until.
static bool deliver(world_t *self, const mm_position_t *targets, mm_us_t until) {
    while (!is_broken(self) && !is_delivered(self, targets)) {
        mm_us_t next_at = mm_sim_queue_next_at(self->sim.queue);
        if (next_at > until) {
            return false;
        }
        run_until(self, next_at);
    }
    return is_delivered(self, targets);
}

static void note_targets(const world_t *self, mm_position_t *targets) {
    for (int i = 0; i < self->node_count; i++) {
        targets[i] = newest(&self->devices[i]);
    }
}

// The faults are over: what is left must come through within the bound.
static void recover(world_t *self) {
    mm_position_t targets[MM_SIM_MESH_NODES_MAX];
    faults_stop(self);
    mm_us_t good_at = mm_sim_now(&self->sim) > self->broker_back_at ? mm_sim_now(&self->sim) : self->broker_back_at;
    if (has_installers(self)) {
        // Nobody is left out: who was at work goes, and what is parked gets its network.
        commission_finish(&self->commission);
        good_at += 2 * MM_SETUP_SESSION_S * MM_US_PER_S;
    }
    run_until(self, good_at + 60 * MM_US_PER_S);
    if (is_broken(self)) {
        return;
    }
    note_targets(self, targets);
    self->result->recovery_bound = session_bound(self);
    uint64_t sessions = count_sessions(self);
    mm_us_t limit_us = WAITS_US + (mm_us_t)self->result->recovery_bound * 2 * self->cycle_us;
    if (!deliver(self, targets, good_at + limit_us)) {
        truth_fail(&self->truth, "%lld s after the last fault not everything is at HQ",
                   (long long)(limit_us / MM_US_PER_S));
    }
    self->result->recovery_us = mm_sim_now(&self->sim) - good_at;
    self->result->recovery_sessions = (uint32_t)(count_sessions(self) - sessions);
    if (self->result->recovery_sessions > self->result->recovery_bound) {
        truth_fail(&self->truth, "the backlog took %u sessions after the last fault, %u are allowed",
                   self->result->recovery_sessions, self->result->recovery_bound);
    }
}

// Every order that is under way gets its answer: one batch a session, in the worst case.
static void settle_orders(world_t *self) {
    size_t left = self->sales.order_count - self->sales.first_open;
    mm_us_t until = mm_sim_now(&self->sim) + WAITS_US + (mm_us_t)(left / 10 + 8) * self->cycle_us;
    while (!is_broken(self) &&
           !(sales_is_settled(&self->sales) && (!has_installers(self) || commission_is_settled(&self->commission)))) {
        mm_us_t next_at = mm_sim_queue_next_at(self->sim.queue);
        if (next_at > until) {
            truth_fail(&self->truth, "%lld s after the last fault not every order has its answer",
                       (long long)((until - mm_sim_now(&self->sim)) / MM_US_PER_S));
            return;
        }
        run_until(self, next_at);
    }
}

// The meters stand still: the last interval is closed, its record and a last snapshot go to HQ.
static void close_books(world_t *self) {
    mm_position_t targets[MM_SIM_MESH_NODES_MAX];
    self->closing = true;
    run_until(self, mm_sim_now(&self->sim) + FAULTS_SYNCHRONISE_US); // the last one that is under way
    for (int i = 0; i < self->node_count; i++) {
        device_hold(device_of(self, i));
    }
    run_until(self, mm_sim_now(&self->sim) + 60 * MM_US_PER_S);
    note_targets(self, targets);
    if (!deliver(self, targets, mm_sim_now(&self->sim) + WAITS_US + 4 * self->cycle_us)) {
        truth_fail(&self->truth, "the last records do not come to HQ");
    }
    run_until(self, mm_sim_now(&self->sim) + 3 * self->cycle_us);
}

static void compare_books(world_t *self) {
    books_t *books = self->hq.books;
    if (!books_is_open(books)) {
        truth_fail(&self->truth, "HQ does not start");
        return;
    }
    books_totals_t totals = books_totals(books);
    self->result->duplicated = totals.duplicates;
    if (totals.legacy_readings > 0) {
        mm_sim_probe(&self->sim, MM_SIM_PROBE_LEGACY_STORED, -1);
    }
    if (totals.quarantined > 0) {
        mm_sim_probe(&self->sim, MM_SIM_PROBE_POISON_QUARANTINED, -1);
    }
    // A session may be under way: the rules hold for what is committed.
    books_poll(books, mm_sim_now(&self->sim));
    const char *contradiction = books_audit(books);
    if (contradiction != NULL) {
        truth_fail(&self->truth, "HQ's bookkeeping: %s", contradiction);
    }
    headquarters_stop(&self->hq);
    truth_compare(&self->truth, books);
    if (has_orders(self)) {
        sales_compare(&self->sales);
    }
    if (has_installers(self)) {
        commission_compare(&self->commission);
    }
}

static void measure_wear(world_t *self, const mm_sim_sector_t *sectors, uint32_t sector_count) {
    uint32_t erases_max = 0;
    uint32_t most = 0;
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < sector_count; i++) {
        if (sectors[i].fault != MM_SIM_SECTOR_GOOD) {
            return; // what a bad sector does not take, the others do
        }
        // A torn erase is done again at once, which is no choice of the ring's: it wears, but it is no unevenness.
        uint32_t whole_count = sectors[i].erase_count - sectors[i].torn_count;
        most = whole_count > most ? whole_count : most;
        least = whole_count < least ? whole_count : least;
        erases_max = sectors[i].erase_count > erases_max ? sectors[i].erase_count : erases_max;
    }
    world_result_t *result = self->result;
    result->erases_max = erases_max > result->erases_max ? erases_max : result->erases_max;
    result->erases_spread = most - least > result->erases_spread ? most - least : result->erases_spread;
}

static void account(world_t *self) {
    world_result_t *result = self->result;
    result->node_hours = (uint64_t)(mm_sim_now(&self->sim) / (3600 * MM_US_PER_S)) * (uint64_t)self->node_count;
    result->faults = count_faults(self, false);
    result->power_cuts = count_faults(self, true);
    result->attempted = self->attempted;
    result->stored = self->truth.stored;
    result->lost = self->truth.lost;
    result->counted_twice = self->truth.counted_twice;
    result->gaps = self->truth.gaps;
    result->wh_error = self->truth.wh_error;
    result->pulses = self->truth.pulses;
    result->sessions = count_sessions(self);
    result->messages = self->hq.messages;
    for (int i = 0; i < self->node_count; i++) {
        const device_t *device = device_of(self, i);
        result->pulses_lost += self->truth.devices[i].pulses_lost;
        measure_wear(self, device->journal_sectors, device->plan.journal_sectors);
        if (!device->plan.has_fram) {
            measure_wear(self, device->register_sectors, device->plan.register_sectors);
        }
    }
    result->sales = self->sales.totals;
    result->commission = self->commission.totals;
    memcpy(result->fault_counts, self->sim.faults, sizeof result->fault_counts);
    memcpy(result->probe_counts, self->sim.probes, sizeof result->probe_counts);
    memcpy(result->fault, self->truth.fault, sizeof result->fault);
    mm_sim_note(&self->sim, -1, "end", result->stored, result->lost);
    result->trace_hash = self->sim.trace_hash;
}

void world_run(const world_options_t *options, world_result_t *result) {
    static world_t s_world;
    world_t *self = &s_world;
    memset(result, 0, sizeof *result);
    init(self, options, result);
    headquarters_start(&self->hq);
    faults_start(self);
    if (self->scenario->minutes_order > 0) {
        sales_start(&self->sales);
    }
    if (has_installers(self)) {
        commission_start(&self->commission);
    }
    for (int i = 0; i < self->node_count; i++) {
        device_power_on(device_of(self, i), self->begin_utc_us);
    }
    run_days(self, options);
    if (self->scenario->minutes_order > 0) {
        sales_stop(&self->sales);
    }
    if (!is_broken(self)) {
        recover(self);
    }
    if (!is_broken(self) && has_orders(self)) {
        settle_orders(self);
    }
    if (!is_broken(self)) {
        close_books(self);
    }
    if (!is_broken(self)) {
        compare_books(self);
        result->compared = true;
    }
    account(self);
    deinit(self);
}

mm_sim_probe_t world_missed_probe(const scenario_t *scenario, const world_result_t *result) {
    for (int i = 0; i < scenario->probe_count; i++) {
        if (result->probe_counts[scenario->probes[i]] == 0) {
            return scenario->probes[i];
        }
    }
    return MM_SIM_PROBE_COUNT;
}
