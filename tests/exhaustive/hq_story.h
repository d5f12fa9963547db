// SPDX-License-Identifier: Apache-2.0
#ifndef MM_HQ_STORY_H
#define MM_HQ_STORY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "legacy.h"
#include "meshmeter/batch.h"
#include "meshmeter/frame.h"
#include "meshmeter/record.h"

/// What two sites and a few of the original's gateways send to HQ in an hour, with everything that HQ must live with,
/// and what HQ must have in the end. Written down by hand, not taken from HQ.

#define STORY_UTC_S INT64_C(1700000100) // 2023-11-14T22:15:00Z, a multiple of 900
#define STORY_MESSAGES_MAX 24
#define STORY_RECORDS_MAX 80
#define STORY_NODES 4
#define STORY_LEGACY_READINGS 4
#define STORY_NOTICES 1
/// Garbage, a damaged frame, a legacy record of zeros, a conflict, a foreign topic.
#define STORY_QUARANTINED 5
#define STORY_EVENTS 2
#define STORY_MONTHS 1
#define STORY_THINNED 1
#define STORY_GAPS 2

static const mm_position_t s_story_watermarks[STORY_NODES] = {{1, 11}, {1, 9}, {2, 3}, {1, 12}};

typedef struct {
    const char *topic;
    uint8_t bytes[2048];
    size_t bytes_count;
    bool is_batch;
    bool is_legacy;
    /// The last record of each node in it; epoch 0 = none of its.
    mm_position_t last[STORY_NODES];
} story_message_t;

typedef struct {
    unsigned node; ///< 0 … STORY_NODES-1
    mm_position_t position;
    uint8_t type;
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
    size_t payload_bytes;
} story_record_t;

typedef struct {
    story_message_t messages[STORY_MESSAGES_MAX];
    size_t message_count;
    story_record_t records[STORY_RECORDS_MAX]; ///< each once
    size_t record_count;
    // The message that is being written.
    uint8_t batch_bytes[MM_BATCH_BYTES_MAX];
    mm_batch_builder_t batch;
    uint8_t frame[MM_MESH_FRAME_BYTES_MAX];
    mm_report_writer_t report;
    unsigned node;
} story_t;

static inline mm_mac_t story_mac(unsigned node) {
    return (mm_mac_t){{0x02, 0, 0, 0, 0, (uint8_t)(node + 1)}};
}

static inline story_message_t *story_message(story_t *self) {
    return &self->messages[self->message_count];
}

static inline void story_batch(story_t *self, const char *topic) {
    MM_ASSERT(self->message_count < STORY_MESSAGES_MAX);
    *story_message(self) = (story_message_t){.topic = topic, .is_batch = true};
    mm_batch_begin(&self->batch, self->batch_bytes, sizeof self->batch_bytes);
}

static inline void story_batch_end(story_t *self) {
    story_message_t *message = story_message(self);
    mm_batch_header_t header = {.root = story_mac(0),
                                .root_boot_no = 1,
                                .session = 1,
                                .round_id = (uint32_t)self->message_count + 1,
                                .kind = MM_BATCH_LIVE,
                                .time = {{STORY_UTC_S * 1000000}, MM_TRUST_SYNCED},
                                .batch_count = 1,
                                .missing_count = 1,
                                .missing = {story_mac(1)}};
    const uint8_t *bytes = mm_batch_finish(&self->batch, &header, &message->bytes_count);
    MM_ASSERT(message->bytes_count <= sizeof message->bytes);
    memcpy(message->bytes, bytes, message->bytes_count);
    self->message_count++;
}

static inline void story_other(story_t *self, const char *topic, const void *bytes, size_t bytes_count, bool legacy) {
    story_message_t *message = story_message(self);
    *message = (story_message_t){.topic = topic, .bytes_count = bytes_count, .is_legacy = legacy};
    memcpy(message->bytes, bytes, bytes_count);
    self->message_count++;
}

static inline void story_again(story_t *self, size_t message_index) {
    self->messages[self->message_count++] = self->messages[message_index];
}

static inline void story_report(story_t *self, unsigned node) {
    self->node = node;
    mm_report_begin(&self->report, self->frame, sizeof self->frame, story_mac(node), 1);
}

static inline void story_report_end(story_t *self) {
    size_t bytes_count = mm_report_finish(&self->report);
    mm_err_t err = mm_batch_add_frame(&self->batch, self->frame, bytes_count);
    MM_ASSERT(err == MM_OK);
}

static inline story_record_t *story_find(story_t *self, unsigned node, uint32_t epoch, uint32_t seq) {
    for (size_t index = 0; index < self->record_count; index++) {
        story_record_t *record = &self->records[index];
        if (record->node == node && record->position.epoch == epoch && record->position.seq == seq) {
            return record;
        }
    }
    return NULL;
}

// The first record of a position is the one that HQ must have.
static inline void story_record(story_t *self, uint32_t epoch, uint32_t seq, const mm_record_t *record) {
    story_record_t fresh = {.node = self->node, .position = {epoch, seq}, .type = record->type};
    mm_writer_t writer = mm_writer(fresh.payload, sizeof fresh.payload);
    mm_record_encode(record, &writer);
    fresh.payload_bytes = writer.used_bytes;
    mm_err_t err =
        mm_report_put_record(&self->report, fresh.position, record->type, fresh.payload, fresh.payload_bytes);
    MM_ASSERT(err == MM_OK && !writer.failed && self->record_count < STORY_RECORDS_MAX);
    if (story_find(self, self->node, epoch, seq) == NULL) {
        self->records[self->record_count++] = fresh;
    }
    story_message(self)->last[self->node] = fresh.position;
}

static inline mm_record_t story_interval(uint32_t interval_no) {
    mm_record_t record = {.type = MM_RECORD_INTERVAL};
    record.interval.interval_no = interval_no;
    record.interval.duration_s = MM_INTERVAL_S;
    record.interval.end = (mm_label_t){(uint64_t)(STORY_UTC_S + (int64_t)interval_no * MM_INTERVAL_S), MM_TRUST_SYNCED};
    record.interval.pulses[0] = interval_no;
    return record;
}

static inline void story_intervals(story_t *self, uint32_t epoch, uint32_t first, uint32_t last) {
    for (uint32_t seq = first; seq <= last; seq++) {
        mm_record_t record = story_interval(seq);
        story_record(self, epoch, seq, &record);
    }
}

static inline void story_snapshot(story_t *self, uint32_t epoch, uint32_t next_seq) {
    mm_snapshot_t snapshot = {.boot_no = 1, .uptime_ms = 1000ull * next_seq, .layer = 1, .interval_no = next_seq};
    snapshot.time = (mm_time_t){.utc = {STORY_UTC_S * 1000000}, .trust = MM_TRUST_SYNCED};
    snapshot.year_month = 2023 * 12 + 10;
    snapshot.oldest = (mm_position_t){epoch, 1};
    snapshot.next_seq = next_seq;
    snprintf(snapshot.meters[0].id, sizeof snapshot.meters[0].id, "M-%u", self->node);
    snapshot.meters[0].pulse_constant = 1000;
    snapshot.meters[0].life_pulses = next_seq;
    mm_err_t err = mm_report_put_snapshot(&self->report, &snapshot);
    MM_ASSERT(err == MM_OK);
}

static inline void story_event(story_t *self, uint32_t epoch, uint32_t seq, uint16_t code, uint64_t v0, uint64_t v1) {
    mm_record_t record = {.type = MM_RECORD_EVENT};
    record.event = (mm_event_record_t){
        .code = code, .at = {(uint64_t)STORY_UTC_S, MM_TRUST_SYNCED}, .boot_no = epoch, .values = {v0, v1}};
    story_record(self, epoch, seq, &record);
}

// --- the chapters

static inline void story_first_day(story_t *self) {
    story_batch(self, "meter/home/info"); // 0: two nodes
    story_report(self, 0);
    story_snapshot(self, 1, 7);
    story_intervals(self, 1, 1, 6);
    story_report_end(self);
    story_report(self, 1);
    story_snapshot(self, 1, 5);
    story_intervals(self, 1, 1, 4);
    story_report_end(self);
    story_batch_end(self);

    story_batch(self, "meter/home/info"); // 1: a month ends, a boot
    story_report(self, 0);
    mm_record_t month = {.type = MM_RECORD_MONTH_CLOSING};
    month.month_closing = (mm_month_closing_record_t){.year_month = 2023 * 12 + 9,
                                                      .pulse_constant = 1000,
                                                      .life_pulses = 42,
                                                      .closed = {(uint64_t)STORY_UTC_S, MM_TRUST_SYNCED}};
    story_record(self, 1, 7, &month);
    story_event(self, 1, 8, MM_EVENT_BOOT, 1, 0);
    story_intervals(self, 1, 9, 9);
    story_report_end(self);
    story_report(self, 2);
    story_snapshot(self, 1, 4);
    story_intervals(self, 1, 1, 3);
    story_report_end(self);
    story_batch_end(self);

    story_again(self, 0);                 // 2
    story_batch(self, "meter/home/info"); // 3: a hole at 5
    story_report(self, 1);
    story_intervals(self, 1, 6, 8);
    story_report_end(self);
    story_batch_end(self);
}

static inline void story_originals(story_t *self) {
    static const char json[] = "{\"ControlId\":7,\"Subnode\":1,\"TS\":\"Thu Jul 20 12:00:00 2023\",\"Medidores\":["
                               "{\"m\":\"J-1\",\"k\":120,\"Months\":[{\"M6\":4,\"Hours\":[{\"H0\":1}]}]},"
                               "{\"m\":\"J-2\",\"k\":7,\"Months\":[{\"M6\":2}]}]}";
    static const char notice[] = "{\"alarm\":\"door\"}";
    uint8_t binary[MM_LEGACY_HEADER_BYTES + 3 * MM_LEGACY_RECORD_BYTES] = {3};
    for (size_t index = 0; index < 2; index++) { // the third stays zero: a node that did not answer
        uint8_t *record = binary + MM_LEGACY_HEADER_BYTES + index * MM_LEGACY_RECORD_BYTES;
        record[0] = (uint8_t)(index + 1); // node id
        record[11] = 0x64;                // stamp
        memcpy(record + 12, index == 0 ? "B-1" : "B-2", 3);
        record[28] = 55; // kWh
    }
    story_other(self, "meter/old/info", json, sizeof json - 1, true);
    story_other(self, "meter/911", notice, sizeof notice - 1, false);
    story_other(self, "meter/home/info", "\x01garbage", 8, false);
    story_other(self, "meter/old/info", binary, sizeof binary, true);
    story_other(self, "meter/nowhere", "{}", 2, false);
}

static inline void story_second_day(story_t *self) {
    story_batch(self, "meter/mill/info"); // a whole frame beside a damaged one
    story_report(self, 3);
    story_snapshot(self, 1, 6);
    story_intervals(self, 1, 1, 5);
    story_report_end(self);
    const uint8_t damaged[40] = {'M', 'M', 7};
    mm_err_t err = mm_batch_add_frame(&self->batch, damaged, sizeof damaged);
    MM_ASSERT(err == MM_OK);
    story_batch_end(self);

    story_batch(self, "meter/home/info"); // what was lost of node 1, explained
    story_report(self, 1);
    mm_record_t gap = {.type = MM_RECORD_GAP};
    gap.gap = (mm_gap_record_t){.epoch = 1, .first_seq = 5, .last_seq = 5, .reason = MM_GAP_FULL};
    story_record(self, 1, 9, &gap);
    story_report_end(self);
    story_batch_end(self);

    story_batch(self, "meter/home/info"); // node 2 began its journal anew and lost 4 and 5 of the old one
    story_report(self, 2);
    story_event(self, 2, 1, MM_EVENT_JOURNAL_RESTARTED, 1, 5);
    story_intervals(self, 2, 2, 3);
    story_report_end(self);
    story_batch_end(self);
    story_again(self, self->message_count - 1);

    story_batch(self, "meter/home/info"); // another record under a known position; a coarser one for 1 … 4
    story_report(self, 0);
    mm_record_t other = story_interval(77);
    story_record(self, 1, 3, &other);
    mm_record_t thinned = story_interval(4);
    thinned.interval.thinned = true;
    thinned.interval.duration_s = 4 * MM_INTERVAL_S;
    thinned.interval.thinned_first_seq = 1;
    thinned.interval.thinned_last_seq = 4;
    story_record(self, 1, 10, &thinned);
    story_report_end(self);
    story_batch_end(self);

    story_batch(self, "meter/home/info");
    story_report(self, 0);
    story_snapshot(self, 1, 12);
    story_intervals(self, 1, 11, 11);
    story_report_end(self);
    story_batch_end(self);

    story_batch(self, "meter/mill/info");
    story_report(self, 3);
    story_snapshot(self, 1, 13);
    story_intervals(self, 1, 6, 12);
    story_report_end(self);
    story_batch_end(self);
}

static inline void story_tell(story_t *self) {
    memset(self, 0, sizeof *self);
    story_first_day(self);
    story_originals(self);
    story_second_day(self);
}

#endif
