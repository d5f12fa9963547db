// SPDX-License-Identifier: Apache-2.0
#include "simulator/truth.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "meshmeter/crc32.h"

// Between a read that could not be kept and the next attempt.
#define UNSAVED_SLACK_US (120 * MM_US_PER_S)

void truth_init(truth_t *self, mm_sim_t *sim, int device_count) {
    memset(self, 0, sizeof *self);
    self->sim = sim;
    self->device_count = device_count;
    self->devices = calloc((size_t)device_count, sizeof *self->devices);
    MM_ASSERT(self->devices != NULL);
}

void truth_deinit(truth_t *self) {
    for (int i = 0; i < self->device_count; i++) {
        free(self->devices[i].records);
    }
    free(self->devices);
}

void truth_fail(truth_t *self, const char *format, ...) {
    char text[sizeof self->fault];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    mm_sim_note_bytes(self->sim, -1, "guarantee_broken", text, strlen(text));
    if (self->sim->trace_file != NULL) {
        fprintf(self->sim->trace_file, "guarantee broken: %s\n", text);
    }
    if (self->fault[0] == '\0') {
        memcpy(self->fault, text, sizeof text);
    }
}

// --- records, as they are made

static truth_record_t *add_record(truth_device_t *truth) {
    if (truth->record_count == truth->record_capacity) {
        size_t capacity = truth->record_capacity == 0 ? 1024 : truth->record_capacity * 2;
        truth_record_t *records = realloc(truth->records, capacity * sizeof *records);
        MM_ASSERT(records != NULL);
        truth->records = records;
        truth->record_capacity = capacity;
    }
    return &truth->records[truth->record_count++];
}

static uint32_t checksum_of(uint8_t type, const void *payload, size_t payload_bytes) {
    return mm_crc32(mm_crc32(0, &type, 1), payload, payload_bytes);
}

static void note_interval(truth_device_t *truth, const mm_interval_record_t *interval, truth_record_t *noted) {
    if (interval->thinned) {
        noted->thinned_first_seq = interval->thinned_first_seq;
        noted->thinned_last_seq = interval->thinned_last_seq;
        return; // what it stands for was noted before
    }
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        truth->intervals[channel] += interval->pulses[channel];
        noted->pulses_sum += interval->pulses[channel];
    }
}

static void probe_event(truth_t *self, const mm_event_record_t *event, int device) {
    if (event->code == MM_EVENT_TIME_SYNCED && event->values[3] > 0) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_PENDING_PULSES_FILED, device);
    }
    if (event->code == MM_EVENT_TIME_STEPPED && event->values[1] < event->values[0]) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_CLOCK_STEPPED_BACK, device);
    }
}

// A month's hours are all of it, and its register is one that the meter has passed.
static void check_closing(truth_t *self, const truth_device_t *truth, const mm_month_closing_record_t *closing) {
    uint64_t hours = 0;
    for (uint8_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
        hours += closing->hours_pulses[hour];
    }
    const mm_channel_registers_t *registers = &truth->device->node.metering.registers.channels[closing->channel];
    if (hours != closing->month_pulses || closing->life_pulses < closing->month_pulses ||
        closing->life_pulses > registers->life_pulses) {
        truth_fail(self,
                   "node %d channel %u closes month %u with %u pulses, %" PRIu64 " in its hours, register %" PRIu64,
                   truth->device->index, closing->channel, closing->year_month, closing->month_pulses, hours,
                   closing->life_pulses);
    }
}

static void note_record(truth_t *self, truth_device_t *truth, const mm_journal_entry_t *entry) {
    truth_record_t *noted = add_record(truth);
    *noted = (truth_record_t){.epoch = entry->position.epoch,
                              .seq = entry->position.seq,
                              .type = entry->type,
                              .checksum = checksum_of(entry->type, entry->payload, entry->payload_bytes)};
    mm_record_t record;
    if (mm_record_decode(entry->type, entry->payload, entry->payload_bytes, &record) != MM_OK) {
        truth_fail(self, "node %d made a record that cannot be decoded (%u/%u)", truth->device->index, noted->epoch,
                   noted->seq);
        return;
    }
    int device = truth->device->index;
    switch (record.type) {
    case MM_RECORD_INTERVAL:
        note_interval(truth, &record.interval, noted);
        break;
    case MM_RECORD_MONTH_CLOSING:
        check_closing(self, truth, &record.month_closing);
        truth->closed_months[record.month_closing.year_month / 8] |=
            (uint8_t)(1u << record.month_closing.year_month % 8);
        mm_sim_probe(self->sim, MM_SIM_PROBE_MONTH_CLOSED, device);
        mm_sim_note(self->sim, device, "month_closed_as", record.month_closing.year_month,
                    ((uint64_t)record.month_closing.channel << 32) | record.month_closing.month_pulses);
        if (self->router_off) {
            mm_sim_probe(self->sim, MM_SIM_PROBE_MONTH_CLOSED_OFFLINE, device);
        }
        break;
    case MM_RECORD_EVENT:
        probe_event(self, &record.event, device);
        break;
    default:
        break;
    }
    if (self->on_record != NULL) {
        self->on_record(self->context, device, &record, noted->checksum);
    }
    mm_sim_note(self->sim, device, "record", ((uint64_t)noted->epoch << 32) | noted->seq, noted->checksum);
}

// Note what stands in the journal behind what was noted. True if there was something.
static bool follow_journal(truth_t *self, truth_device_t *truth) {
    const mm_journal_t *journal = &truth->device->node.journal;
    mm_position_t next = mm_journal_next(journal);
    if (mm_position_compare(next, truth->next) <= 0) {
        return false;
    }
    if (next.epoch != truth->next.epoch && truth->next.epoch != 0) {
        truth_fail(self, "node %d began a new journal", truth->device->index);
    }
    mm_position_t after = {next.epoch, truth->next.epoch == next.epoch ? truth->next.seq - 1 : 0};
    mm_journal_entry_t entry;
    // Not asked behind the last one: the answer would cost the hint.
    while (after.seq + 1 < next.seq && mm_journal_read_after(journal, after, &truth->hint, &entry) == MM_OK) {
        note_record(self, truth, &entry);
        after = entry.position;
    }
    truth->next = next;
    return true;
}

// --- registers

static bool is_configured(const device_t *device, uint8_t channel) {
    return device->node.metering.options.meters[channel].id[0] != '\0';
}

// A channel that gets its meter counts from here; one that has none has no pulses.
static void follow_meters(truth_t *self, truth_device_t *truth) {
    const device_t *device = truth->device;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        bool configured = is_configured(device, channel);
        if (configured && !truth->configured[channel]) {
            truth->base_life[channel] = truth->life[channel];
            truth->base_presented[channel] = device->pulses.presented[channel];
        } else if (!configured && truth->configured[channel] && truth->life[channel] > 0) {
            truth_fail(self, "node %d channel %u has no meter any more, and %" PRIu64 " pulses", device->index, channel,
                       truth->life[channel]);
        }
        truth->configured[channel] = configured;
    }
}

// Every pulse that the counter has shown is in the register, and in exactly one interval.
static void check_registers(truth_t *self, truth_device_t *truth) {
    const device_t *device = truth->device;
    const mm_metering_t *metering = &device->node.metering;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint64_t life = metering->registers.channels[channel].life_pulses;
        uint64_t expected = 0;
        if (is_configured(device, channel)) {
            expected = truth->base_life[channel] + (device->pulses.presented[channel] - truth->base_presented[channel]);
        }
        if (life != expected) {
            truth_fail(self, "node %d channel %u: register %" PRIu64 ", meter %" PRIu64, device->index, channel, life,
                       expected);
        }
        truth->life[channel] = life;
    }
    if (!metering->unsaved) {
        memcpy(truth->safe_life, truth->life, sizeof truth->life);
        truth->unsaved_since = MM_US_NEVER;
    } else if (truth->unsaved_since == MM_US_NEVER || device->node.store.image_seq != truth->image_seq) {
        truth->unsaved_since = mm_sim_now(self->sim); // saved, and more pulses came within the same call
    }
    truth->image_seq = device->node.store.image_seq;
}

static void check_intervals(truth_t *self, truth_device_t *truth) {
    const device_t *device = truth->device;
    const mm_metering_t *metering = &device->node.metering;
    if (metering->pending_type != MM_RECORD_NONE) {
        return; // between the register and the journal
    }
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint64_t profile = truth->intervals[channel] + metering->registers.channels[channel].interval_pulses;
        if (profile != truth->life[channel]) {
            truth_fail(self, "node %d channel %u: load profile %" PRIu64 ", register %" PRIu64, device->index, channel,
                       profile, truth->life[channel]);
        }
    }
}

static void check_unsaved(truth_t *self, const truth_device_t *truth) {
    const device_t *device = truth->device;
    mm_us_t period_us = device->plan.has_fram ? 0 : (mm_us_t)device->plan.save_period_s * MM_US_PER_S;
    mm_us_t now = mm_sim_now(self->sim);
    if (truth->unsaved_since != MM_US_NEVER && now - truth->unsaved_since > period_us + UNSAVED_SLACK_US) {
        truth_fail(self, "node %d: pulses not kept for %lld s", device->index,
                   (long long)((now - truth->unsaved_since) / MM_US_PER_S));
    }
}

// Only HQ's word releases a record.
static void check_released(truth_t *self, const truth_device_t *truth) {
    mm_position_t released = truth->device->node.metering.watermark;
    if (released.seq > 0 && mm_position_compare(released, truth->acknowledged_ever) > 0) {
        truth_fail(self, "node %d has released %u/%u, HQ has acknowledged up to %u/%u only", truth->device->index,
                   released.epoch, released.seq, truth->acknowledged_ever.epoch, truth->acknowledged_ever.seq);
    }
}

// What is counted now goes into the month that the node's clock shows, unless that one is closed (a clock set back).
static void check_month(truth_t *self, const truth_device_t *truth) {
    const mm_metering_t *metering = &truth->device->node.metering;
    mm_time_t time = mm_metering_time(metering, device_local_now(truth->device));
    int64_t utc_s = time.utc.us / MM_US_PER_S;
    if (time.trust == MM_TRUST_UNSET || metering->hour == MM_HOUR_UNKNOWN || utc_s >= metering->next_hour_s) {
        return;
    }
    mm_local_t local = mm_local_from_utc(&metering->tz, utc_s);
    uint16_t year_month = mm_local_year_month(&local);
    bool closed = year_month == metering->closing_year_month ||
                  (truth->closed_months[year_month / 8] & (1u << year_month % 8)) != 0;
    if (metering->registers.year_month != year_month && !closed) {
        truth_fail(self, "node %d counts in month %u, and its clock shows %u", truth->device->index,
                   metering->registers.year_month, year_month);
    }
}

// Who calls a time synchronised must have heard it lately.
static void check_time(truth_t *self, const truth_device_t *truth) {
    mm_time_t time = mm_metering_time(&truth->device->node.metering, device_local_now(truth->device));
    mm_us_t error_us = time.utc.us - (self->begin_utc_us + mm_sim_now(self->sim));
    if (self->time_error_max_us > 0 && time.trust == MM_TRUST_SYNCED &&
        (error_us > self->time_error_max_us || error_us < -self->time_error_max_us)) {
        truth_fail(self, "node %d calls its time synchronised, and it is %lld ms wrong", truth->device->index,
                   (long long)(error_us / 1000));
    }
}

// No wait without a deadline: each state of a session, and the back-off, has one.
static void check_waits(truth_t *self, const device_t *device) {
    const mm_uplink_t *uplink = &device->node.root.uplink;
    if (uplink->state >= MM_UPLINK_CONNECTING && uplink->deadline == MM_US_NEVER) {
        truth_fail(self, "root %d waits for ever in state %s", device->index, mm_uplink_state_name(uplink->state));
    }
}

void truth_on_settled(truth_t *self, const device_t *device) {
    truth_device_t *truth = &self->devices[device->index];
    bool records = follow_journal(self, truth);
    if (device->plan.has_setup) {
        follow_meters(self, truth);
    }
    check_registers(self, truth);
    if (records) {
        check_intervals(self, truth);
    }
    check_unsaved(self, truth);
    check_released(self, truth);
    check_waits(self, device);
    if (device->node.metering.interval_no != truth->interval_no) {
        check_month(self, truth);
        check_time(self, truth);
        truth->interval_no = device->node.metering.interval_no;
        memcpy(truth->older_life, truth->old_life, sizeof truth->old_life);
        memcpy(truth->old_life, truth->life, sizeof truth->life);
    }
}

void truth_on_published(truth_t *self, const device_t *device) {
    (void)follow_journal(self, &self->devices[device->index]);
}

void truth_on_died(truth_t *self, const device_t *device) {
    truth_device_t *truth = &self->devices[device->index];
    // The most that it can know: everything that its counter has shown.
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint64_t shown =
            truth->base_life[channel] + (device->pulses.presented[channel] - truth->base_presented[channel]);
        truth->life_at_death[channel] = is_configured(device, channel) ? shown : 0;
    }
}

void truth_allow_older(truth_t *self, int device) {
    self->devices[device].memory_damaged = true;
}

// What the node has after a start, against what it had.
static void check_recovery(truth_t *self, truth_device_t *truth, uint8_t channel, uint64_t life) {
    const device_t *device = truth->device;
    uint64_t least = truth->memory_damaged ? truth->older_life[channel] : truth->safe_life[channel];
    uint64_t most = truth->life_at_death[channel];
    if (device->plan.battery) {
        // Its counter went on; what it shows now is everything.
        most = truth->base_life[channel] + (device->pulses.presented[channel] - truth->base_presented[channel]);
        least = most;
    }
    if (life < least || life > most) {
        truth_fail(self, "node %d channel %u: register %" PRIu64 " after the start, must be %" PRIu64 " to %" PRIu64,
                   device->index, channel, life, least, most);
    }
    truth->pulses_lost += most > life ? most - life : 0;
}

void truth_on_boot(truth_t *self, const device_t *device) {
    truth_device_t *truth = &self->devices[device->index];
    truth->device = device;
    truth->hint = (mm_journal_hint_t){0}; // another journal object
    (void)follow_journal(self, truth);
    const mm_metering_t *metering = &device->node.metering;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint64_t life = metering->registers.channels[channel].life_pulses;
        if (truth->booted_once && is_configured(device, channel)) {
            check_recovery(self, truth, channel, life);
        }
        truth->base_life[channel] = life;
        truth->base_presented[channel] = device->pulses.presented[channel];
        truth->life[channel] = life;
        truth->configured[channel] = is_configured(device, channel);
    }
    truth->booted_once = true;
    truth->memory_damaged = false;
    truth->unsaved_since = MM_US_NEVER;
    if (device->node.counters.values[MM_COUNTER_FRAM_SLOT_DAMAGED] > 0) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_FRAM_SLOT_RECOVERED, device->index);
    }
}

void truth_on_ack(truth_t *self, const mm_ack_t *ack) {
    for (uint8_t i = 0; i < ack->entry_count; i++) {
        int index = ack->entries[i].node.bytes[5] - 1;
        mm_position_t watermark = ack->entries[i].watermark;
        if (index < 0 || index >= self->device_count) {
            truth_fail(self, "HQ acknowledges a node that does not exist");
            return;
        }
        mm_position_t next = self->devices[index].next;
        if (watermark.seq > 0 && mm_position_compare(watermark, next) >= 0) {
            truth_fail(self, "HQ acknowledges %u/%u of node %d, which has made records up to %u/%u only",
                       watermark.epoch, watermark.seq, index, next.epoch, next.seq - 1);
        }
        truth_device_t *truth = &self->devices[index];
        if (mm_position_compare(watermark, truth->acknowledged) < 0) {
            truth_fail(self, "HQ takes back what it had acknowledged of node %d: %u/%u, now %u/%u", index,
                       truth->acknowledged.epoch, truth->acknowledged.seq, watermark.epoch, watermark.seq);
        }
        truth->acknowledged = watermark;
        if (mm_position_compare(watermark, truth->acknowledged_ever) > 0) {
            truth->acknowledged_ever = watermark;
        }
    }
}

void truth_on_restore(truth_t *self) {
    for (int i = 0; i < self->device_count; i++) {
        self->devices[i].acknowledged = (mm_position_t){0, 0};
    }
}

// --- confirmations

// Records that follow those which the cursor has passed. Where nothing is known of the node, any may be the first.
static bool continues(const mm_cursor_t *cursor, const mm_receipt_t *receipt) {
    mm_position_t after = mm_cursor_after(cursor);
    return receipt->after.seq == 0 || after.epoch == 0 || mm_position_compare(receipt->after, after) <= 0;
}

static bool is_confirmed_by(const mm_root_t *root, const mm_mqtt_event_t *event, const mm_cursor_t *cursor) {
    const mm_uplink_t *uplink = &root->uplink;
    for (size_t slot = 0; slot < MM_SESSION_WINDOW; slot++) {
        const mm_uplink_inflight_t *inflight = &uplink->inflight[slot];
        if (inflight->packet_id == 0 || inflight->packet_id != event->packet_id || event->session != uplink->session) {
            continue;
        }
        for (size_t i = 0; i < MM_RECEIPTS_MAX; i++) {
            const mm_receipt_t *receipt = &root->receipts[i];
            if (receipt->token == inflight->token && mm_mac_equal(receipt->mac, cursor->mac) &&
                continues(cursor, receipt)) {
                return true;
            }
        }
    }
    return false;
}

void truth_before_uplink_event(truth_t *self, const device_t *device, const mm_mqtt_event_t *event) {
    const mm_root_t *root = &device->node.root;
    for (size_t i = 0; i < MM_NODES_MAX; i++) {
        const mm_cursor_t *cursor = &root->cursors.cursors[i];
        self->confirmed[i] = cursor->confirmed;
        self->may_confirm[i] = cursor->used && event->kind == MM_MQTT_PUBLISHED && event->reason == 0 &&
                               is_confirmed_by(root, event, cursor);
    }
}

void truth_after_uplink_event(truth_t *self, const device_t *device) {
    for (size_t i = 0; i < MM_NODES_MAX; i++) {
        mm_position_t confirmed = device->node.root.cursors.cursors[i].confirmed;
        if (!self->may_confirm[i] && mm_position_compare(confirmed, self->confirmed[i]) > 0) {
            truth_fail(
                self, "root %d takes %u/%u of node %d for confirmed, which the broker has not, or not all before",
                device->index, confirmed.epoch, confirmed.seq, device->node.root.cursors.cursors[i].mac.bytes[5] - 1);
        }
    }
}
