// SPDX-License-Identifier: Apache-2.0
#include "simulator/books.h"

#include <stdlib.h>
#include <string.h>

// The plainest thing that does what HQ must do: one cell for each seq of a journal, everything in memory, a transaction
// that is a list of messages until it is applied. It must say the same as books_store.c at the same instants, unless
// the disk fails: then it waits until the disk is mended, without trying.

#define COMMIT_MESSAGES 64 // as hq/ingest.h
#define RETRY_US (30 * MM_US_PER_S)
#define LEGACY_HEADER_BYTES 8
#define LEGACY_RECORD_BYTES 74
#define LEGACY_RECORDS_MAX 100
// HQ's own reasons for a gap, beside those of mm_gap_reason_t.
#define GAP_UNEXPLAINED 100
#define GAP_JOURNAL_RESTARTED 101
// A node that makes more records than this has gone mad.
#define SEQ_MAX 10000000u

typedef enum {
    CELL_EXPECTED = 0,
    CELL_STORED,
    CELL_GAP
} cell_state_t;

typedef struct {
    uint8_t state;
    bool explained; // gap
    uint8_t reason; // gap
    uint8_t type;   // stored
    uint8_t payload_bytes;
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
} cell_t;

// One epoch of a node; cells[seq - 1].
typedef struct {
    uint32_t epoch;
    cell_t *cells;
    uint32_t cell_count;
} journal_t;

typedef struct {
    mm_mac_t mac;
    mm_us_t last_seen;
    uint32_t epoch; // the newest; 0 = none known
    uint32_t watermark_seq;
    uint32_t next_seq;
    journal_t *journals;
    size_t journal_count;
    uint32_t snapshot_boot_no;
    uint64_t snapshot_uptime_ms;
    size_t frame_bytes; // 0 = no snapshot
    uint8_t frame[MM_MESH_FRAME_BYTES_MAX];
} node_t;

typedef struct {
    char site[MM_SITE_CHARS_MAX + 1]; // "" = no batch has come
    node_t *nodes;
    size_t node_count;
    uint64_t revision;
    books_totals_t totals;
} state_t;

typedef struct {
    char site[MM_SITE_CHARS_MAX + 1];
    mm_us_t received_at;
    uint8_t *bytes;
    size_t bytes_count;
} message_t;

struct books {
    uint64_t seed;
    int64_t begin_utc_us;
    books_ack_fn ack;
    void *context;
    bool open;
    bool disk_bad;
    state_t committed;
    state_t backup;
    bool has_backup;
    message_t *messages; // not committed
    size_t message_count;
    size_t message_capacity;
    mm_us_t poll_at;
};

static void *grown(void *memory, size_t count, size_t item_bytes) {
    memory = realloc(memory, count * item_bytes);
    MM_ASSERT(memory != NULL);
    return memory;
}

static void *copied(const void *memory, size_t count, size_t item_bytes) {
    void *copy = malloc(count > 0 ? count * item_bytes : 1);
    MM_ASSERT(copy != NULL);
    if (count > 0) {
        memcpy(copy, memory, count * item_bytes);
    }
    return copy;
}

// --- state as a whole

static void state_free(state_t *self) {
    for (size_t i = 0; i < self->node_count; i++) {
        for (size_t k = 0; k < self->nodes[i].journal_count; k++) {
            free(self->nodes[i].journals[k].cells);
        }
        free(self->nodes[i].journals);
    }
    free(self->nodes);
    memset(self, 0, sizeof *self);
}

static state_t state_copy(const state_t *original) {
    state_t copy = *original;
    copy.nodes = copied(original->nodes, original->node_count, sizeof *original->nodes);
    for (size_t i = 0; i < copy.node_count; i++) {
        node_t *node = &copy.nodes[i];
        node->journals = copied(node->journals, node->journal_count, sizeof *node->journals);
        for (size_t k = 0; k < node->journal_count; k++) {
            journal_t *journal = &node->journals[k];
            journal->cells = copied(journal->cells, journal->cell_count, sizeof *journal->cells);
        }
    }
    return copy;
}

static node_t *node_of(state_t *self, mm_mac_t mac) {
    for (size_t i = 0; i < self->node_count; i++) {
        if (mm_mac_equal(self->nodes[i].mac, mac)) {
            return &self->nodes[i];
        }
    }
    self->nodes = grown(self->nodes, self->node_count + 1, sizeof *self->nodes);
    node_t *node = &self->nodes[self->node_count++];
    memset(node, 0, sizeof *node);
    node->mac = mac;
    node->next_seq = 1;
    return node;
}

static journal_t *journal_of(node_t *node, uint32_t epoch) {
    for (size_t i = 0; i < node->journal_count; i++) {
        if (node->journals[i].epoch == epoch) {
            return &node->journals[i];
        }
    }
    node->journals = grown(node->journals, node->journal_count + 1, sizeof *node->journals);
    journal_t *journal = &node->journals[node->journal_count++];
    *journal = (journal_t){.epoch = epoch};
    return journal;
}

static cell_t *cell_of(journal_t *journal, uint32_t seq) {
    MM_ASSERT(seq >= 1 && seq <= SEQ_MAX);
    if (seq > journal->cell_count) {
        uint32_t count = seq + 256;
        journal->cells = grown(journal->cells, count, sizeof *journal->cells);
        memset(&journal->cells[journal->cell_count], 0, (count - journal->cell_count) * sizeof *journal->cells);
        journal->cell_count = count;
    }
    return &journal->cells[seq - 1];
}

// --- what a message does to it

// These records will not come. What the node explains counts for more than what HQ assumes, and of two explanations
// damage, which is in no sum.
static void miss(journal_t *journal, uint32_t first_seq, uint32_t last_seq, uint8_t reason, bool explained) {
    for (uint32_t seq = first_seq; seq <= last_seq; seq++) {
        cell_t *cell = cell_of(journal, seq);
        bool gives_way = cell->state == CELL_GAP && explained &&
                         (!cell->explained || (reason == MM_GAP_DAMAGED && cell->reason != MM_GAP_DAMAGED));
        if (cell->state == CELL_EXPECTED || gives_way) {
            cell->state = CELL_GAP;
            cell->reason = reason;
            cell->explained = explained;
        }
    }
}

static void begin_epoch(node_t *node, uint32_t epoch) {
    if (node->epoch != 0 && node->next_seq > 1) {
        miss(journal_of(node, node->epoch), 1, node->next_seq - 1, GAP_JOURNAL_RESTARTED, false);
    }
    node->epoch = epoch;
    node->watermark_seq = 0;
    node->next_seq = 1;
}

static void apply_record(node_t *node, mm_position_t position, const mm_record_t *record) {
    if (record->type == MM_RECORD_GAP) {
        const mm_gap_record_t *gap = &record->gap;
        if (gap->epoch < position.epoch || (gap->epoch == position.epoch && gap->last_seq < position.seq)) {
            miss(journal_of(node, gap->epoch), gap->first_seq, gap->last_seq, gap->reason, true);
        }
    } else if (record->type == MM_RECORD_EVENT && record->event.code == MM_EVENT_JOURNAL_RESTARTED) {
        uint64_t epoch = record->event.values[0];
        uint64_t last_seq = record->event.values[1];
        if (epoch != 0 && epoch < position.epoch && last_seq <= SEQ_MAX) {
            miss(journal_of(node, (uint32_t)epoch), 1, (uint32_t)last_seq, GAP_JOURNAL_RESTARTED, true);
        }
    }
}

static void put_record(state_t *state, node_t *node, const mm_record_view_t *view) {
    if (view->position.epoch > node->epoch) {
        begin_epoch(node, view->position.epoch);
    }
    journal_t *journal = journal_of(node, view->position.epoch);
    cell_t *cell = cell_of(journal, view->position.seq);
    if (cell->state == CELL_STORED) {
        bool same = cell->type == view->type && cell->payload_bytes == view->payload_bytes &&
                    memcmp(cell->payload, view->payload, view->payload_bytes) == 0;
        state->totals.duplicates += same ? 1 : 0;
        state->totals.quarantined += same ? 0 : 1;
        return;
    }
    *cell = (cell_t){.state = CELL_STORED, .type = view->type, .payload_bytes = (uint8_t)view->payload_bytes};
    memcpy(cell->payload, view->payload, view->payload_bytes);
    state->totals.records++;
    if (view->position.epoch < node->epoch) {
        miss(journal, 1, view->position.seq, GAP_JOURNAL_RESTARTED, false);
    } else if (view->position.seq >= node->next_seq) {
        node->next_seq = view->position.seq + 1;
    }
    mm_record_t record;
    if (mm_record_decode(view->type, view->payload, view->payload_bytes, &record) == MM_OK) {
        apply_record(node, view->position, &record);
    }
}

static void put_snapshot(node_t *node, const mm_snapshot_t *snapshot, const uint8_t *frame, size_t frame_bytes) {
    mm_position_t oldest = snapshot->oldest;
    if (oldest.epoch != 0 && oldest.seq != 0) {
        if (oldest.epoch > node->epoch) {
            begin_epoch(node, oldest.epoch);
        }
        if (oldest.seq > 1) {
            miss(journal_of(node, oldest.epoch), 1, oldest.seq - 1, GAP_UNEXPLAINED, false);
        }
        if (oldest.epoch == node->epoch && snapshot->next_seq > node->next_seq) {
            node->next_seq = snapshot->next_seq;
        }
    }
    bool newer = node->frame_bytes == 0 || snapshot->boot_no > node->snapshot_boot_no ||
                 (snapshot->boot_no == node->snapshot_boot_no && snapshot->uptime_ms > node->snapshot_uptime_ms);
    if (newer) {
        MM_ASSERT(frame_bytes <= sizeof node->frame);
        memcpy(node->frame, frame, frame_bytes);
        node->frame_bytes = frame_bytes;
        node->snapshot_boot_no = snapshot->boot_no;
        node->snapshot_uptime_ms = snapshot->uptime_ms;
    }
}

static void put_frame(state_t *state, const uint8_t *bytes, size_t bytes_count, mm_us_t received_at) {
    static mm_snapshot_t s_snapshot;
    mm_frame_t frame;
    mm_report_reader_t reader;
    if (mm_frame_open(bytes, bytes_count, &frame) != MM_OK || frame.type != MM_FRAME_REPORT ||
        mm_mac_is_zero(frame.source) || mm_report_open(&frame, &reader) != MM_OK) {
        state->totals.quarantined++;
        return;
    }
    node_t *node = node_of(state, frame.source);
    node->last_seen = received_at > node->last_seen ? received_at : node->last_seen;
    for (;;) {
        mm_record_view_t view;
        mm_report_item_t item = mm_report_next(&reader, &s_snapshot, &view);
        if (item == MM_REPORT_SNAPSHOT) {
            put_snapshot(node, &s_snapshot, bytes, bytes_count);
        } else if (item == MM_REPORT_RECORD) {
            put_record(state, node, &view);
        } else if (item != MM_REPORT_CONTROL) {
            state->totals.quarantined += item == MM_REPORT_CORRUPT ? 1 : 0;
            break;
        }
    }
    if (node->epoch != 0) {
        journal_t *journal = journal_of(node, node->epoch);
        while (cell_of(journal, node->watermark_seq + 1)->state != CELL_EXPECTED) {
            node->watermark_seq++;
        }
    }
}

// The original's binary form is known by its length alone.
static uint32_t legacy_records(const message_t *message) {
    mm_reader_t reader = mm_reader(message->bytes, message->bytes_count);
    uint32_t count = mm_get_u32(&reader);
    bool fits = !reader.failed && count >= 1 && count <= LEGACY_RECORDS_MAX &&
                message->bytes_count == LEGACY_HEADER_BYTES + (size_t)count * LEGACY_RECORD_BYTES;
    return fits ? count : 0;
}

// True: the site is to be acknowledged.
static bool put_message(state_t *state, const message_t *message) {
    mm_batch_reader_t batch;
    const uint8_t *frame;
    size_t frame_bytes;
    if (message->site[0] != '\0' && mm_batch_open(message->bytes, message->bytes_count, &batch) == MM_OK) {
        memcpy(state->site, message->site, sizeof state->site);
        while (mm_batch_next(&batch, &frame, &frame_bytes)) {
            put_frame(state, frame, frame_bytes, message->received_at);
        }
        return true;
    }
    uint32_t readings = message->site[0] != '\0' ? legacy_records(message) : 0;
    state->totals.legacy_readings += readings;
    state->totals.quarantined += readings == 0 ? 1 : 0;
    if (readings > 0) {
        memcpy(state->site, message->site, sizeof state->site);
    }
    return false;
}

// --- acknowledgements

static int newest_first(const void *left_item, const void *right_item) {
    const node_t *left = *(const node_t *const *)left_item;
    const node_t *right = *(const node_t *const *)right_item;
    if (left->last_seen != right->last_seen) {
        return left->last_seen > right->last_seen ? -1 : 1;
    }
    return left < right ? -1 : left > right; // the one that came first, first
}

static void make_ack(books_t *self, mm_us_t now) {
    const state_t *state = &self->committed;
    mm_ack_t ack = {.database_id = self->seed | 1,
                    .revision = state->revision,
                    .time = {.utc = {self->begin_utc_us + now}, .trust = MM_TRUST_SYNCED}};
    const node_t **nodes = grown(NULL, state->node_count + 1, sizeof *nodes);
    for (size_t i = 0; i < state->node_count; i++) {
        nodes[i] = &state->nodes[i];
    }
    qsort(nodes, state->node_count, sizeof *nodes, newest_first);
    for (size_t i = 0; i < state->node_count && ack.entry_count < MM_NODES_MAX; i++) {
        if (nodes[i]->epoch > 0) {
            ack.entries[ack.entry_count++] =
                (mm_ack_entry_t){nodes[i]->mac, {nodes[i]->epoch, nodes[i]->watermark_seq}};
        }
    }
    free(nodes);
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
    size_t bytes_count = mm_ack_write(bytes, sizeof bytes, &ack);
    MM_ASSERT(bytes_count > 0);
    self->ack(self->context, state->site, bytes, bytes_count);
}

// As HQ: from its computer's clock, and growing in any case.
static void move_revision_on(books_t *self, mm_us_t now) {
    uint64_t revision = self->committed.revision + 1;
    uint64_t real_us = (uint64_t)(self->begin_utc_us + now);
    self->committed.revision = real_us > revision ? real_us : revision;
}

void books_ack_all(books_t *self, mm_us_t now) {
    move_revision_on(self, now);
    if (self->committed.site[0] != '\0') {
        make_ack(self, now);
    }
}

// --- HQ's process

books_t *books_create(uint64_t seed, int64_t begin_utc_us, books_ack_fn ack, void *context) {
    books_t *self = calloc(1, sizeof *self);
    MM_ASSERT(self != NULL);
    self->seed = seed;
    self->begin_utc_us = begin_utc_us;
    self->ack = ack;
    self->context = context;
    return self;
}

static void forget_messages(books_t *self) {
    for (size_t i = 0; i < self->message_count; i++) {
        free(self->messages[i].bytes);
    }
    self->message_count = 0;
}

void books_destroy(books_t *self) {
    forget_messages(self);
    free(self->messages);
    state_free(&self->committed);
    state_free(&self->backup);
    free(self);
}

bool books_open(books_t *self) {
    self->open = !self->disk_bad;
    return self->open;
}

void books_close(books_t *self) {
    forget_messages(self);
    self->open = false;
}

bool books_is_open(const books_t *self) {
    return self->open;
}

static void commit(books_t *self, mm_us_t now) {
    if (self->message_count == 0) {
        return;
    }
    if (self->disk_bad) {
        self->poll_at = now + RETRY_US;
        return;
    }
    bool acknowledge = false;
    for (size_t i = 0; i < self->message_count; i++) {
        acknowledge = put_message(&self->committed, &self->messages[i]) || acknowledge;
    }
    forget_messages(self);
    move_revision_on(self, now);
    if (acknowledge) {
        make_ack(self, now);
    }
}

// Of meter/<site>/info; "" if it is another topic.
static void site_of(const char *topic, char site[MM_SITE_CHARS_MAX + 1]) {
    static const char prefix[] = "meter/";
    site[0] = '\0';
    const char *name = topic + sizeof prefix - 1;
    const char *end = strncmp(topic, prefix, sizeof prefix - 1) == 0 ? strchr(name, '/') : NULL;
    if (end != NULL && strcmp(end, "/info") == 0 && (size_t)(end - name) <= MM_SITE_CHARS_MAX) {
        memcpy(site, name, (size_t)(end - name));
        site[end - name] = '\0';
    }
}

void books_push(books_t *self, const char *topic, const void *bytes, size_t bytes_count, mm_us_t now) {
    if (self->message_count == self->message_capacity) {
        self->message_capacity = self->message_capacity == 0 ? COMMIT_MESSAGES : self->message_capacity * 2;
        self->messages = grown(self->messages, self->message_capacity, sizeof *self->messages);
    }
    if (self->message_count == 0) {
        self->poll_at = now;
    }
    message_t *message = &self->messages[self->message_count++];
    *message = (message_t){.received_at = now, .bytes_count = bytes_count, .bytes = copied(bytes, bytes_count, 1)};
    site_of(topic, message->site);
    if (self->message_count % COMMIT_MESSAGES == 0) {
        commit(self, now);
    }
}

void books_poll(books_t *self, mm_us_t now) {
    commit(self, now);
}

mm_us_t books_next_poll_at(const books_t *self) {
    return self->message_count == 0 ? MM_US_NEVER : self->poll_at;
}

books_totals_t books_totals(const books_t *self) {
    return self->committed.totals;
}

const char *books_audit(books_t *self) {
    for (size_t i = 0; i < self->committed.node_count; i++) {
        const node_t *node = &self->committed.nodes[i];
        if (node->epoch != 0 && node->watermark_seq >= node->next_seq) {
            return "a watermark is ahead of what the node has made";
        }
    }
    return NULL;
}

// --- its machine

void books_cut_power(books_t *self) {
    books_close(self);
}

void books_fill_disk(books_t *self, uint32_t bytes_left) {
    (void)bytes_left;
    self->disk_bad = true;
}

void books_fail_disk(books_t *self, books_disk_call_t call, uint32_t after, uint32_t count) {
    (void)call;
    (void)after;
    (void)count;
    self->disk_bad = true;
}

void books_mend_disk(books_t *self) {
    self->disk_bad = false;
}

void books_back_up(books_t *self) {
    state_free(&self->backup);
    self->backup = state_copy(&self->committed);
    self->has_backup = true;
}

bool books_have_backup(const books_t *self) {
    return self->has_backup;
}

void books_restore(books_t *self) {
    books_close(self);
    state_free(&self->committed);
    self->committed = state_copy(&self->backup);
}

// --- reading them

static void read_gaps(const journal_t *journal, const books_reader_t *reader) {
    for (uint32_t seq = 1; seq <= journal->cell_count; seq++) {
        const cell_t *first = &journal->cells[seq - 1];
        if (first->state != CELL_GAP) {
            continue;
        }
        books_gap_t gap = {journal->epoch, seq, seq, first->reason, first->explained};
        while (seq < journal->cell_count && journal->cells[seq].state == CELL_GAP &&
               journal->cells[seq].reason == first->reason && journal->cells[seq].explained == first->explained) {
            gap.last_seq = ++seq;
        }
        reader->gap(reader->context, &gap);
    }
}

// A full journal carries its records over to new positions: the same closing stands at two of them.
static bool is_first_copy(const journal_t *journal, uint32_t index) {
    const cell_t *cell = &journal->cells[index];
    for (uint32_t i = 0; i < index; i++) {
        const cell_t *other = &journal->cells[i];
        if (other->state == CELL_STORED && other->type == cell->type && other->payload_bytes == cell->payload_bytes &&
            memcmp(other->payload, cell->payload, cell->payload_bytes) == 0) {
            return false;
        }
    }
    return true;
}

static void read_journal(const journal_t *journal, const books_reader_t *reader) {
    for (uint32_t i = 0; i < journal->cell_count; i++) {
        const cell_t *cell = &journal->cells[i];
        if (cell->state == CELL_STORED) {
            reader->record(reader->context, (mm_position_t){journal->epoch, i + 1}, cell->type, cell->payload,
                           cell->payload_bytes);
            if (cell->type == MM_RECORD_MONTH_CLOSING && is_first_copy(journal, i)) {
                reader->month(reader->context, cell->payload, cell->payload_bytes);
            }
        }
    }
    read_gaps(journal, reader);
}

const char *books_read(books_t *self, mm_mac_t mac, const books_reader_t *reader) {
    MM_ASSERT(!self->open);
    for (size_t i = 0; i < self->committed.node_count; i++) {
        const node_t *node = &self->committed.nodes[i];
        if (!mm_mac_equal(node->mac, mac)) {
            continue;
        }
        for (size_t k = 0; k < node->journal_count; k++) {
            read_journal(&node->journals[k], reader);
        }
        if (node->frame_bytes > 0) {
            reader->snapshot(reader->context, node->frame, node->frame_bytes);
        }
        return NULL;
    }
    return "the node is not known";
}
