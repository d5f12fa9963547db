// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/root.h"

#include <string.h>

#include "meshmeter/frame.h"
#include "meshmeter/legacy_command.h"
#include "meshmeter/reporter.h"
#include "node/root_commands.h"

// Drain rounds of one session that may bring nothing before the session stops asking.
#define IDLE_DRAINS_MAX 2
// A SUBACK up to this grants the subscription.
#define QOS_MAX 2

static void log_info(const mm_root_t *self, const char *message, const char *first_name, int64_t first,
                     const char *second_name, int64_t second) {
    if (self->log != NULL) {
        self->log->write(self->log->context, MM_LOG_INFO, message, first_name, first, second_name, second);
    }
}

// Message tokens: round and batch, so that a token is not used again while its message can be in flight.
static uint32_t batch_token(const mm_root_t *self, uint8_t batch_index) {
    return (self->round.round_id << 4) | (uint32_t)(batch_index + 1);
}

static void drop_receipts(mm_root_t *self) {
    memset(self->receipts, 0, sizeof self->receipts);
}

// What was collected for a session that is over, or will not take place. An open round without a phase that asks for it
// would have a deadline in the past.
static void forget_session(mm_root_t *self) {
    mm_round_abort(&self->round);
    drop_receipts(self);
    self->phase = MM_ROOT_IDLE;
    self->session_at = MM_US_NEVER;
    self->round_at = MM_US_NEVER;
    self->urgent = false;
    mmi_root_commands_end_session(&self->commands, false);
}

// Where to continue with a node: behind what is committed, confirmed, or collected in this session and under way.
static mm_position_t collected_through(mm_root_t *self, const mm_cursor_t *cursor) {
    mm_position_t through = mm_cursor_after(cursor);
    for (size_t i = 0; i < MM_RECEIPTS_MAX; i++) {
        const mm_receipt_t *receipt = &self->receipts[i];
        if (receipt->token != 0 && mm_mac_equal(receipt->mac, cursor->mac) &&
            mm_position_compare(receipt->through, through) > 0) {
            through = receipt->through;
        }
    }
    return through;
}

static void store_receipt(mm_root_t *self, mm_mac_t mac, mm_position_t after, mm_position_t through) {
    uint8_t batch_index = self->round.answer_batch;
    for (size_t i = 0; i < MM_RECEIPTS_MAX; i++) {
        if (self->receipts[i].token == 0) {
            self->receipts[i] =
                (mm_receipt_t){.token = batch_token(self, batch_index), .mac = mac, .after = after, .through = through};
            return;
        }
    }
    // Without a receipt the records are collected again later; HQ stores them once.
}

typedef struct {
    uint32_t round_id;
    bool has_snapshot;
    mm_position_t oldest;
    mm_position_t next;
    mm_position_t after;   // the position before the first record
    mm_position_t through; // last record; epoch 0 = none
} report_content_t;

// The whole report is checked before it is taken, so that HQ is never sent what this version can see is damaged.
static mm_err_t examine_report(const mm_frame_t *frame, report_content_t *content) {
    mm_report_reader_t reader;
    mm_err_t err = mm_report_open(frame, &reader);
    if (err != MM_OK) {
        return err;
    }
    *content = (report_content_t){.round_id = reader.round_id};
    for (;;) {
        mm_snapshot_t snapshot;
        mm_record_view_t record;
        switch (mm_report_next(&reader, &snapshot, &record)) {
        case MM_REPORT_SNAPSHOT:
            content->has_snapshot = true;
            content->oldest = snapshot.oldest;
            content->next = (mm_position_t){.epoch = snapshot.oldest.epoch, .seq = snapshot.next_seq};
            break;
        case MM_REPORT_RECORD:
            if (content->through.epoch == 0) {
                content->after = (mm_position_t){record.position.epoch, record.position.seq - 1};
            }
            content->through = record.position;
            break;
        case MM_REPORT_CONTROL:
            break; // HQ's business
        case MM_REPORT_END:
            return MM_OK;
        case MM_REPORT_CORRUPT:
        default:
            return MM_ERR_CORRUPT;
        }
    }
}

static void mark_drained(mm_root_t *self, const mm_cursor_t *cursor) {
    self->drained_session[cursor - self->cursors.cursors] = self->uplink.session;
}

static bool is_drained(const mm_root_t *self, const mm_cursor_t *cursor) {
    return self->drained_session[cursor - self->cursors.cursors] == self->uplink.session;
}

static void take_report(mm_root_t *self, const mm_frame_t *frame, const void *bytes, size_t bytes_count, mm_us_t now) {
    report_content_t content;
    if (examine_report(frame, &content) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_FRAME_CORRUPT);
        return;
    }
    mm_cursor_t *cursor = mm_cursor_touch(&self->cursors, frame->source, true, now);
    if (cursor == NULL) {
        return; // counted by the table
    }
    if (mm_round_answer(&self->round, frame->source, content.round_id, bytes, bytes_count) != MM_OK) {
        return; // late, repeated or unasked: counted by the round
    }
    if (content.has_snapshot) {
        mm_cursor_note_report(&self->cursors, frame->source, content.oldest, content.next, now);
    }
    if (content.through.epoch != 0) {
        store_receipt(self, frame->source, content.after, content.through);
    } else if (self->phase == MM_ROOT_DRAIN_ROUND) {
        mark_drained(self, cursor);
    }
}

// In their order: one that is not taken now must not be passed over by a later one. The next round brings them again;
// what is refused is counted there.
static void take_own_commands(mm_root_t *self, mm_us_t now) {
    if (self->control == NULL) {
        return;
    }
    const uint8_t *bytes;
    size_t bytes_count;
    mm_err_t err = MM_OK;
    for (uint8_t i = 0; err != MM_ERR_BUSY && mmi_root_commands_of(&self->commands, self->mac, i, &bytes, &bytes_count);
         i++) {
        err = mm_control_take(self->control, bytes, bytes_count, now);
    }
}

// The original's form goes to every node: only there is known whose meters they are.
static void take_own_items(mm_root_t *self, mm_us_t now) {
    if (mmi_root_commands_are_legacy(&self->commands)) {
        const mm_legacy_t *legacy = self->control->options.legacy;
        legacy->take_message(self->control, self->commands.bytes, self->commands.bytes_count, now);
    }
}

// Apart: the root's own commands are carried out without the batch on the stack.
static MM_APART size_t write_ask(mm_root_t *self, mm_mac_t mac, const mm_ask_t *ask) {
    if (mmi_root_commands_are_legacy(&self->commands)) {
        return self->control->options.legacy->write_ask(self->commands.bytes, self->commands.bytes_count, self->frame,
                                                        sizeof self->frame, self->mac, ask);
    }
    mm_command_batch_t batch;
    const mm_command_batch_t *commands = mmi_root_commands_read(&self->commands, &batch) ? &batch : NULL;
    return mm_frame_write_ask_with_commands(self->frame, sizeof self->frame, self->mac, ask, commands, mac);
}

static void ask_node(mm_root_t *self, mm_mac_t mac, mm_us_t now) {
    const mm_cursor_t *cursor = mm_cursor_find(&self->cursors, mac);
    if (cursor == NULL) {
        return; // forgotten while the round was open
    }
    mm_ask_t ask = {
        .round_id = self->round.round_id,
        .time = mm_metering_time(self->metering, now),
        // After commands it says what they changed, and how far the journal goes now.
        .with_snapshot = self->round.kind == MM_BATCH_LIVE || self->phase == MM_ROOT_COMMAND_ROUND,
        .has_watermark = cursor->has_watermark,
        .watermark = cursor->watermark,
        .after = collected_through(self, cursor),
        .report_bytes_max = MM_MESH_FRAME_BYTES_MAX,
        .network_revision = self->network_revision,
    };
    if (mm_mac_equal(mac, self->mac)) {
        take_own_commands(self, now);
        take_own_items(self, now);
        size_t size =
            mm_report_build(self->metering, self->control, self->mac, 1, &ask, now, self->frame, sizeof self->frame);
        mm_frame_t frame;
        MM_ASSERT(mm_frame_open(self->frame, size, &frame) == MM_OK);
        take_report(self, &frame, self->frame, size, now);
        return;
    }
    size_t size = write_ask(self, mac, &ask);
    MM_ASSERT(size > 0);
    if (self->mesh->send(self->mesh->context, mac, self->frame, size) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_MESH_SEND_FAILED); // the round asks again
    }
}

static void send_due_asks(mm_root_t *self, mm_us_t now) {
    mm_mac_t mac;
    while (mm_round_next_ask(&self->round, now, &mac)) {
        ask_node(self, mac, now);
    }
}

static void begin_round(mm_root_t *self, uint8_t kind, const mm_mac_t *nodes, uint8_t node_count, mm_us_t now) {
    uint32_t round_id = self->next_round_id++;
    if (self->next_round_id == 0) {
        self->next_round_id = 1;
    }
    bool live = kind == MM_BATCH_LIVE;
    mm_round_begin(&self->round, round_id, kind, nodes, node_count, now,
                   live ? self->timing->round_retry_us : self->timing->drain_retry_us,
                   now + (live ? self->timing->round_us : self->timing->drain_us));
    self->next_batch = 0;
    self->rounds_made++;
}

static MM_APART void begin_live_round(mm_root_t *self, mm_us_t now) {
    drop_receipts(self);
    // Itself first: the root is a node of its mesh even if the table was just emptied.
    (void)mm_cursor_touch(&self->cursors, self->mac, true, now);
    mm_mac_t nodes[MM_NODES_MAX];
    uint32_t capacity = (uint32_t)self->batch_capacity * MM_BATCH_NODES_MAX;
    uint8_t node_count = mm_cursor_select_attached(
        &self->cursors, nodes, (uint8_t)(capacity < MM_NODES_MAX ? capacity : MM_NODES_MAX), &self->rotation);
    self->phase = MM_ROOT_COLLECTING;
    begin_round(self, MM_BATCH_LIVE, nodes, node_count, now);
}

// Nodes with more than what was collected so far, for one batch.
static uint8_t select_for_drain(mm_root_t *self, mm_mac_t nodes[MM_BATCH_NODES_MAX]) {
    mm_mac_t candidates[MM_NODES_MAX];
    uint8_t candidate_count = mm_cursor_select_backlog(&self->cursors, candidates, MM_NODES_MAX);
    uint8_t count = 0;
    for (uint8_t i = 0; i < candidate_count && count < MM_BATCH_NODES_MAX; i++) {
        const mm_cursor_t *cursor = mm_cursor_find(&self->cursors, candidates[i]);
        mm_position_t last = cursor->reported_next;
        last.seq--; // reported_next.seq is at least 1
        if (!is_drained(self, cursor) && mm_position_compare(last, collected_through(self, cursor)) > 0) {
            nodes[count++] = candidates[i];
        }
    }
    return count;
}

// New commands go before the backlog: a person waits for them.
static bool begin_command_round(mm_root_t *self, uint8_t messages_left, mm_us_t now) {
    uint32_t batches = self->batch_capacity < messages_left ? self->batch_capacity : messages_left;
    uint32_t capacity = batches * MM_BATCH_NODES_MAX;
    mm_mac_t nodes[MM_COMMAND_BATCH_MAX];
    uint8_t node_count =
        mmi_root_commands_select_news(&self->commands, &self->cursors, nodes,
                                      (uint8_t)(capacity < MM_COMMAND_BATCH_MAX ? capacity : MM_COMMAND_BATCH_MAX));
    if (node_count == 0) {
        return false;
    }
    for (uint8_t i = 0; i < node_count; i++) {
        // What it had nothing more to say to before, it has now.
        const mm_cursor_t *cursor = mm_cursor_find(&self->cursors, nodes[i]);
        self->drained_session[cursor - self->cursors.cursors] = 0;
    }
    self->phase = MM_ROOT_COMMAND_ROUND;
    begin_round(self, MM_BATCH_BACKLOG, nodes, node_count, now);
    return true;
}

// The caller sends what it makes due: here lists of nodes are on the stack.
static MM_APART void continue_drain(mm_root_t *self, uint8_t messages_left, mm_us_t now) {
    if (begin_command_round(self, messages_left, now)) {
        return;
    }
    mm_mac_t nodes[MM_BATCH_NODES_MAX];
    uint8_t node_count = self->idle_drains < IDLE_DRAINS_MAX ? select_for_drain(self, nodes) : 0;
    if (node_count == 0) {
        self->phase = MM_ROOT_DRAINED;
        return;
    }
    self->phase = MM_ROOT_DRAIN_ROUND;
    begin_round(self, MM_BATCH_BACKLOG, nodes, node_count, now);
}

static bool batch_has_receipts(const mm_root_t *self, uint32_t token) {
    for (size_t i = 0; i < MM_RECEIPTS_MAX; i++) {
        if (self->receipts[i].token == token) {
            return true;
        }
    }
    return false;
}

// A round in a session is over: is there anything to offer?
static mm_root_phase_t phase_after_round(mm_root_t *self) {
    switch (self->phase) {
    case MM_ROOT_DRAIN_ROUND:
        if (!batch_has_receipts(self, batch_token(self, 0))) {
            self->idle_drains++;
            return MM_ROOT_DRAIN_PAUSE;
        }
        return MM_ROOT_READY;
    case MM_ROOT_COMMAND_ROUND:
        if (self->round.batch_count == 0) {
            return MM_ROOT_DRAIN_PAUSE;
        }
        self->idle_drains = 0; // answers may be behind what this round had room for
        return MM_ROOT_READY;
    default:
        return MM_ROOT_READY;
    }
}

static void offer_batch(mm_root_t *self, mm_us_t now, const uint8_t **bytes, size_t *bytes_count, uint32_t *token) {
    mm_batch_header_t header = {
        .root = self->mac,
        .root_boot_no = self->metering->boot_no,
        .session = self->uplink.session,
        .round_id = self->round.round_id,
        .kind = self->round.kind,
        .time = mm_metering_time(self->metering, now),
        .batch_index = self->next_batch,
        .batch_count = self->round.batch_count,
    };
    if (self->next_batch == 0) {
        header.missing_count = mm_round_missing(&self->round, header.missing);
    }
    *token = batch_token(self, self->next_batch);
    *bytes = mm_batch_finish(&self->batches[self->next_batch], &header, bytes_count);
    self->next_batch++;
}

static mm_uplink_offer_t source_next(void *context, uint8_t messages_left, mm_us_t now, const uint8_t **bytes,
                                     size_t *bytes_count, uint32_t *token, mm_us_t *deadline) {
    mm_root_t *self = context;
    // Each turn moves the phase on or returns; a drain round in which nobody has to be waited for is over at once, and
    // there are at most IDLE_DRAINS_MAX of them without a message. Command rounds end when each node with news was
    // asked.
    for (;;) {
        switch (self->phase) {
        case MM_ROOT_COLLECTING:
        case MM_ROOT_DRAIN_ROUND:
        case MM_ROOT_COMMAND_ROUND:
            if (!mm_round_poll(&self->round, now)) {
                *deadline = mm_round_next_deadline(&self->round);
                return MM_UPLINK_SOURCE_WAIT;
            }
            self->phase = phase_after_round(self);
            break;
        case MM_ROOT_READY:
            if (self->next_batch < self->round.batch_count) {
                offer_batch(self, now, bytes, bytes_count, token);
                return MM_UPLINK_SOURCE_MESSAGE;
            }
            self->phase = MM_ROOT_DRAIN_PAUSE;
            break;
        case MM_ROOT_DRAIN_PAUSE:
            continue_drain(self, messages_left, now);
            if (self->phase != MM_ROOT_DRAINED) {
                send_due_asks(self, now);
            }
            break;
        case MM_ROOT_IDLE:
        case MM_ROOT_DRAINED:
        default:
            return MM_UPLINK_SOURCE_EMPTY;
        }
    }
}

static void source_opened(void *context, mm_us_t now) {
    mm_root_t *self = context;
    (void)now;
    self->idle_drains = 0;
    self->sessions_made++;
}

static void source_confirmed(void *context, uint32_t token, mm_us_t now) {
    mm_root_t *self = context;
    for (size_t i = 0; i < MM_RECEIPTS_MAX; i++) {
        mm_receipt_t *receipt = &self->receipts[i];
        if (receipt->token == token) {
            mm_cursor_confirm(&self->cursors, receipt->mac, receipt->after, receipt->through, now);
            *receipt = (mm_receipt_t){0};
        }
    }
}

// Tells one trial from another. 0 = none.
static mm_us_t trial_until(const mm_root_t *self) {
    return self->control != NULL && mm_control_is_on_trial(self->control) ? self->control->trial_until : 0;
}

static void source_closed(void *context, bool clean, mm_us_t now) {
    mm_root_t *self = context;
    mmi_root_commands_end_session(&self->commands, clean);
    forget_session(self);
    self->sessions_clean += clean ? 1 : 0;
    if (self->control != NULL) {
        // A session from before the trial used the configuration before, whoever began the trial meanwhile.
        bool used_trial = self->session_trial_until != 0 && self->session_trial_until == trial_until(self);
        mm_control_on_session(self->control, clean && used_trial, now);
    }
    log_info(self, "session closed", "clean", clean, "messages", self->uplink.messages_sent);
}

mm_err_t mm_root_init(mm_root_t *self, mm_mac_t mac, const char *site, const mm_timing_t *timing, const mm_mesh_t *mesh,
                      const mm_mqtt_t *mqtt, const mm_log_t *log, mm_metering_t *metering, mm_counters_t *counters,
                      void *batch_memory, uint8_t batch_capacity, uint64_t random_seed) {
    MM_ASSERT(batch_memory != NULL && batch_capacity >= 1 && batch_capacity <= MM_BATCHES_MAX);
    memset(self, 0, sizeof *self);
    self->mac = mac;
    self->timing = timing;
    self->mesh = mesh;
    self->log = log;
    self->metering = metering;
    self->counters = counters;
    self->batch_capacity = batch_capacity;
    self->session_at = MM_US_NEVER;
    self->round_at = MM_US_NEVER;
    mm_random_t random = mm_random(random_seed);
    // Rounds of this boot must not be taken for those of the last one, nor for another root's.
    self->next_round_id = mm_random_u32(&random) | 1;
    mm_err_t err = mm_uplink_topics(site, &self->topics);
    if (err != MM_OK) {
        return err;
    }
    for (uint8_t i = 0; i < batch_capacity; i++) {
        mm_batch_begin(&self->batches[i], (uint8_t *)batch_memory + (size_t)i * MM_BATCH_BYTES_MAX, MM_BATCH_BYTES_MAX);
    }
    mm_round_init(&self->round, self->batches, batch_capacity, counters);
    const mm_uplink_source_t source = {.opened = source_opened,
                                       .next = source_next,
                                       .confirmed = source_confirmed,
                                       .closed = source_closed,
                                       .context = self};
    mm_uplink_init(&self->uplink, mqtt, &source, &timing->uplink, &self->topics, counters,
                   random_seed ^ mm_random_u32(&random));
    return MM_OK;
}

void mm_root_set_control(mm_root_t *self, mm_control_t *control) {
    self->control = control;
}

void mm_root_start(mm_root_t *self, bool router_up, mm_us_t now) {
    if (self->active) {
        return;
    }
    self->active = true;
    self->router_up = router_up;
    forget_session(self);
    mmi_root_commands_forget(&self->commands);
    memset(self->drained_session, 0, sizeof self->drained_session);
    mm_cursor_table_init(&self->cursors, self->timing->hold_us, self->timing->hold_max_us, self->timing->forget_us,
                         self->counters);
    (void)mm_cursor_touch(&self->cursors, self->mac, true, now);
    mm_uplink_start(&self->uplink, router_up, now);
    mm_metering_tell(self->metering, MM_EVENT_ROOT_TAKEN, router_up, 0, now);
    log_info(self, "root role taken", "router_up", router_up, NULL, 0);
}

void mm_root_stop(mm_root_t *self, mm_us_t now) {
    if (!self->active) {
        return;
    }
    self->active = false;
    mm_uplink_stop(&self->uplink, now);
    forget_session(self);
    mmi_root_commands_forget(&self->commands);
    mm_metering_tell(self->metering, MM_EVENT_ROOT_LOST, self->router_up, 0, now);
    log_info(self, "root role lost", "router_up", self->router_up, NULL, 0);
}

void mm_root_set_router(mm_root_t *self, bool router_up, mm_us_t now) {
    if (!self->active || self->router_up == router_up) {
        return;
    }
    self->router_up = router_up;
    mm_uplink_set_router(&self->uplink, router_up, now);
    if (!router_up) {
        // Snapshots collected for a session that will not take place are superseded by the next round.
        forget_session(self);
    }
    log_info(self, "router", "up", router_up, NULL, 0);
}

void mm_root_child_joined(mm_root_t *self, mm_mac_t mac, mm_us_t now) {
    if (self->active) {
        (void)mm_cursor_touch(&self->cursors, mac, true, now);
    }
}

void mm_root_child_left(mm_root_t *self, mm_mac_t mac) {
    if (self->active && !mm_mac_equal(mac, self->mac)) {
        mm_cursor_detach(&self->cursors, mac);
    }
}

static void answer_hello(mm_root_t *self, mm_mac_t mac, mm_us_t now) {
    if (mm_cursor_touch(&self->cursors, mac, true, now) == NULL) {
        return;
    }
    const mm_welcome_t welcome = {.time = mm_metering_time(self->metering, now)};
    uint8_t bytes[64];
    size_t size = mm_frame_write_welcome(bytes, sizeof bytes, self->mac, &welcome);
    MM_ASSERT(size > 0);
    if (self->mesh->send(self->mesh->context, mac, bytes, size) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_MESH_SEND_FAILED); // the node says hello again
    }
}

void mm_root_on_frame(mm_root_t *self, const mm_frame_t *frame, const void *bytes, size_t bytes_count, mm_us_t now) {
    if (!self->active) {
        mm_counters_count(self->counters, MM_COUNTER_FRAME_UNEXPECTED);
        return;
    }
    mm_hello_t hello;
    switch (frame->type) {
    case MM_FRAME_HELLO:
        if (mm_frame_read_hello(frame, &hello) != MM_OK) {
            mm_counters_count(self->counters, MM_COUNTER_FRAME_CORRUPT);
            return;
        }
        answer_hello(self, frame->source, now);
        return;
    case MM_FRAME_REPORT:
        take_report(self, frame, bytes, bytes_count, now);
        return;
    default:
        mm_counters_count(self->counters, MM_COUNTER_FRAME_UNEXPECTED);
        return;
    }
}

static void take_ack(mm_root_t *self, const mm_mqtt_event_t *event, mm_us_t now) {
    mm_ack_t ack;
    if (event->bytes == NULL) {
        mm_counters_count(self->counters, MM_COUNTER_DOWNLINK_TOO_LARGE);
        return;
    }
    if (mm_ack_read(event->bytes, event->bytes_count, &ack) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_DOWNLINK_CORRUPT);
        return;
    }
    if (mm_cursor_apply_ack(&self->cursors, &ack, now) != MM_OK) {
        return; // an older one
    }
    const mm_cursor_t *own = mm_cursor_find(&self->cursors, self->mac);
    if (own != NULL && own->has_watermark) {
        (void)mm_metering_set_watermark(self->metering, own->watermark); // another epoch's: nothing to release
    }
}

static void take_commands(mm_root_t *self, const mm_mqtt_event_t *event, mm_us_t now) {
    if (event->bytes != NULL && mm_legacy_message_is_one(event->bytes, event->bytes_count)) {
        if (mmi_root_commands_take_legacy(&self->commands, event, self->control, self->counters)) {
            log_info(self, "commands in the original's form", "bytes", (int64_t)event->bytes_count, NULL, 0);
        }
        return; // the next live round brings them to everybody, the root too
    }
    if (!mmi_root_commands_take(&self->commands, event, self->counters)) {
        return;
    }
    log_info(self, "commands", "bytes", (int64_t)event->bytes_count, "revision", (int64_t)self->commands.revision);
    // Elsewhere the drain comes to them by itself; a session that is closing leaves them to the next live round.
    if (self->phase == MM_ROOT_DRAINED && mm_uplink_resume(&self->uplink, now)) {
        self->phase = MM_ROOT_DRAIN_PAUSE;
    }
}

static bool is_command_suback(const mm_root_t *self, const mm_mqtt_event_t *event) {
    return event->kind == MM_MQTT_SUBSCRIBED && event->packet_id != 0 && event->reason <= QOS_MAX &&
           event->packet_id == self->uplink.command_packet_id && mm_uplink_is_current(&self->uplink, event->session);
}

void mm_root_on_mqtt(mm_root_t *self, const mm_mqtt_event_t *event, mm_us_t now) {
    if (event->kind != MM_MQTT_DATA) {
        if (is_command_suback(self, event)) {
            mmi_root_commands_subscribed(&self->commands);
        }
        mm_uplink_on_mqtt(&self->uplink, event, now);
        return;
    }
    if (!self->active || !mm_uplink_is_current(&self->uplink, event->session)) {
        return; // of an earlier session
    }
    if (strcmp(event->topic, self->topics.command_topic) == 0) {
        take_commands(self, event, now);
    } else if (event->bytes_count == 0) {
        return; // the blank that clears a retained message
    } else if (strcmp(event->topic, self->topics.ack_topic) == 0) {
        take_ack(self, event, now);
    } else {
        mm_counters_count(self->counters, MM_COUNTER_FRAME_UNKNOWN);
    }
}

// HQ's plan if it ordered one that this timing can keep, else the configured one.
static mm_slot_plan_t slot_plan(const mm_root_t *self) {
    mm_timing_t timing = *self->timing;
    if (self->control != NULL && self->control->slots.slot_count != 0) {
        timing.slots.slot_count = self->control->slots.slot_count;
        timing.slots.slot = self->control->slots.slot;
    }
    return mm_timing_check(&timing) == MM_OK ? timing.slots : self->timing->slots;
}

// Session in the next slot that leaves time for a round before it.
static void plan_session(mm_root_t *self, mm_us_t now) {
    mm_time_t time = mm_metering_time(self->metering, now);
    mm_slot_plan_t slots = slot_plan(self);
    // wait: the next slot of this site | until cycle_us and round_us at most, without wall time cycle_us from now |
    // then the session begins
    mm_us_t session_at = now + mm_slot_cycle_us(&slots);
    if (time.trust != MM_TRUST_UNSET) {
        mm_utc_t earliest = {time.utc.us + self->timing->round_us};
        session_at = now + (mm_slot_next(&slots, earliest).us - time.utc.us);
    }
    bool planned = mm_uplink_plan_session(&self->uplink, session_at);
    MM_ASSERT(planned); // it wants a plan
    self->session_at = session_at;
    self->round_at = session_at - self->timing->round_us;
}

// A session that was planned, and whose round has not begun.
static MM_APART bool is_planned(const mm_root_t *self) {
    return self->phase == MM_ROOT_IDLE && self->session_at != MM_US_NEVER &&
           self->uplink.state == MM_UPLINK_WAITING_FOR_SLOT;
}

static void follow_control(mm_root_t *self, mm_us_t now) {
    if (self->control->plan_changed) {
        self->control->plan_changed = false;
        if (is_planned(self)) {
            plan_session(self, now);
        }
    }
    // Between sessions only: one that is being prepared or under way collected before the wish, and ends soon.
    if (!self->control->send_now || !is_planned(self) || now < self->urgent_at) {
        return;
    }
    self->control->send_now = false;
    // wait: the live round before a session outside of the slot | until round_us | then the session begins without
    // those who did not answer
    mm_us_t session_at = now + self->timing->round_us;
    if (session_at >= self->session_at) {
        return; // the slot is as near, and costs nothing
    }
    bool planned = mm_uplink_plan_session(&self->uplink, session_at);
    MM_ASSERT(planned); // its slot is not here yet
    self->session_at = session_at;
    self->round_at = now;
    self->urgent = true;
    self->urgent_at = now + self->timing->urgent_us;
}

static void poll_round(mm_root_t *self, mm_us_t now) {
    if (self->phase == MM_ROOT_COLLECTING || self->phase == MM_ROOT_DRAIN_ROUND ||
        self->phase == MM_ROOT_COMMAND_ROUND) {
        send_due_asks(self, now);
    }
    if (self->phase == MM_ROOT_COLLECTING && mm_round_poll(&self->round, now)) {
        self->phase = MM_ROOT_READY;
        log_info(self, "round over", "answered", self->round.answered_count, "asked", self->round.node_count);
        if (self->urgent) {
            (void)mm_uplink_plan_session(&self->uplink, now); // refused if it has come due just now
        }
    }
    if (self->phase == MM_ROOT_IDLE && now >= self->round_at) {
        self->round_at = MM_US_NEVER;
        begin_live_round(self, now);
        send_due_asks(self, now);
    }
}

static MM_APART mm_us_t poll_uplink(mm_root_t *self, mm_us_t now) {
    uint32_t session = self->uplink.session;
    mm_us_t until = trial_until(self);
    mm_us_t deadline = mm_uplink_poll(&self->uplink, now);
    self->session_trial_until = self->uplink.session == session ? self->session_trial_until : until;
    return deadline;
}

mm_us_t mm_root_poll(mm_root_t *self, mm_us_t now) {
    if (!self->active) {
        if (self->control != NULL) {
            self->control->send_now = false;
            self->control->plan_changed = false;
        }
        return poll_uplink(self, now);
    }
    mm_cursor_poll(&self->cursors, now);
    if (mm_uplink_wants_plan(&self->uplink)) {
        plan_session(self, now);
    }
    if (self->control != NULL) {
        follow_control(self, now);
    }
    poll_round(self, now);
    mm_us_t deadline = poll_uplink(self, now);
    bool round_is_over = self->phase == MM_ROOT_COLLECTING && !self->round.open;
    if (mm_uplink_wants_plan(&self->uplink) || (self->urgent && round_is_over)) {
        deadline = now; // it has just become free, or the round needed nobody else: go on in the next call
    }
    if (self->control != NULL && self->control->send_now && now < self->urgent_at) {
        deadline = mm_us_earlier(deadline, self->urgent_at);
    }
    deadline = mm_us_earlier(deadline, self->round_at);
    return mm_us_earlier(deadline, mm_round_next_deadline(&self->round));
}
