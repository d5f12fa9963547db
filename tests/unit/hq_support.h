// SPDX-License-Identifier: Apache-2.0
#ifndef MM_HQ_SUPPORT_H
#define MM_HQ_SUPPORT_H

#include "test_support.h"

#include "meshmeter/batch.h"
#include "meshmeter/frame.h"
#include "meshmeter/record.h"

#include "clock.h"
#include "store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/// What the tests of HQ share: a directory of their own, and messages as nodes would send them.

#define HQ_UTC_S INT64_C(1700000100) ///< 2023-11-14T22:15:00Z, a multiple of 900
#define HQ_UTC_US (HQ_UTC_S * 1000000)

typedef struct {
    char directory[64];
    char database[96];
} hq_world_t;

// In memory where there is such a folder: what the disk does comes from the failing VFS, and a test that makes a
// hundred databases would wait for a real one most of its time.
static inline int hq_world_setup(void **state) {
    hq_world_t *self = calloc(1, sizeof *self);
    const char *folder = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(self->directory, sizeof self->directory, "%s/mm-hq-test-XXXXXX", folder);
    if (mkdtemp(self->directory) == NULL) {
        free(self);
        return -1;
    }
    snprintf(self->database, sizeof self->database, "%s/hq.db", self->directory);
    *state = self;
    return 0;
}

static inline void hq_remove(const char *directory, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    unlink(path);
}

static inline int hq_world_teardown(void **state) {
    hq_world_t *self = *state;
    static const char *const names[] = {"hq.db",      "hq.db-wal",   "hq.db-shm",  "old.db", "old.db-wal", "old.db-shm",
                                        "hq.db.lock", "broker.conf", "broker.log", "hq.log", "out.csv"};
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        hq_remove(self->directory, names[index]);
    }
    rmdir(self->directory);
    free(self);
    return 0;
}

static inline mm_mac_t hq_mac(uint8_t number) {
    return (mm_mac_t){{0x02, 0, 0, 0, 0, number}};
}

static inline mm_store_t *hq_open(const hq_world_t *self) {
    mm_hq_error_t error;
    mm_store_t *store = mm_store_open(self->database, NULL, &error);
    if (store == NULL) {
        fail_msg("%s", error.text);
    }
    return store;
}

static inline void hq_check(mm_store_t *store) {
    mm_hq_error_t error;
    if (!mm_store_check(store, &error)) {
        fail_msg("%s", error.text);
    }
}

static inline int64_t hq_integer(const hq_world_t *self, const char *sql) {
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(self->database, &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

// --- one report of one node

typedef struct {
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    size_t bytes_count;
    mm_report_writer_t writer;
} hq_report_t;

static inline void hq_report_begin(hq_report_t *self, mm_mac_t node) {
    mm_report_begin(&self->writer, self->bytes, sizeof self->bytes, node, 1);
}

static inline void hq_report_record(hq_report_t *self, uint32_t epoch, uint32_t seq, const mm_record_t *record) {
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
    mm_writer_t writer = mm_writer(payload, sizeof payload);
    mm_record_encode(record, &writer);
    assert_false(writer.failed);
    assert_int_equal(
        mm_report_put_record(&self->writer, (mm_position_t){epoch, seq}, record->type, payload, writer.used_bytes),
        MM_OK);
}

/// Interval `interval_no` of the grid that begins at HQ_UTC_S; channel c counts interval_no + c pulses.
static inline mm_record_t hq_interval(uint32_t interval_no) {
    mm_record_t record = {.type = MM_RECORD_INTERVAL};
    record.interval.interval_no = interval_no;
    record.interval.duration_s = MM_INTERVAL_S;
    record.interval.end.trust = MM_TRUST_SYNCED;
    record.interval.end.seconds = (uint64_t)(HQ_UTC_S + (int64_t)interval_no * MM_INTERVAL_S);
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        record.interval.pulses[channel] = interval_no + channel;
    }
    return record;
}

static inline void hq_report_interval(hq_report_t *self, uint32_t epoch, uint32_t seq) {
    mm_record_t record = hq_interval(seq);
    hq_report_record(self, epoch, seq, &record);
}

static inline mm_record_t hq_gap(uint32_t epoch, uint32_t first, uint32_t last, uint8_t reason) {
    mm_record_t record = {.type = MM_RECORD_GAP};
    record.gap = (mm_gap_record_t){.epoch = epoch, .first_seq = first, .last_seq = last, .reason = reason};
    return record;
}

static inline mm_record_t hq_event(uint16_t code, mm_label_t at, uint32_t boot_no, uint64_t v0, uint64_t v1,
                                   uint64_t v2) {
    mm_record_t record = {.type = MM_RECORD_EVENT};
    record.event = (mm_event_record_t){.code = code, .at = at, .boot_no = boot_no, .values = {v0, v1, v2, 0}};
    return record;
}

/// A snapshot of boot 1 with one meter "M-<last byte of MAC>" of 1000 impulses per kWh on channel 0.
static inline mm_snapshot_t hq_snapshot(mm_mac_t node, uint32_t epoch, uint32_t oldest, uint32_t next) {
    mm_snapshot_t snapshot = {.boot_no = 1, .uptime_ms = 1000ull * next, .layer = 1, .interval_no = next};
    snapshot.time = (mm_time_t){.utc = {HQ_UTC_US + 1000000ll * next}, .trust = MM_TRUST_SYNCED};
    snapshot.year_month = 2023 * 12 + 10;
    snapshot.oldest = (mm_position_t){epoch, oldest};
    snapshot.next_seq = next;
    snprintf(snapshot.meters[0].id, sizeof snapshot.meters[0].id, "M-%u", node.bytes[5]);
    snapshot.meters[0].pulse_constant = 1000;
    snapshot.meters[0].start_wh = 5000;
    snapshot.meters[0].life_pulses = next;
    snapshot.meters[0].month_pulses = next;
    snapshot.meters[0].hours_pulses[22] = next;
    return snapshot;
}

static inline void hq_report_snapshot(hq_report_t *self, const mm_snapshot_t *snapshot) {
    assert_int_equal(mm_report_put_snapshot(&self->writer, snapshot), MM_OK);
}

static inline void hq_report_end(hq_report_t *self) {
    self->bytes_count = mm_report_finish(&self->writer);
    assert_true(self->bytes_count > 0);
}

// --- one batch

typedef struct {
    uint8_t bytes[MM_BATCH_BYTES_MAX];
    mm_batch_builder_t builder;
    mm_batch_header_t header;
    const uint8_t *message;
    size_t message_bytes;
} hq_batch_t;

static inline void hq_batch_begin(hq_batch_t *self) {
    mm_batch_begin(&self->builder, self->bytes, sizeof self->bytes);
    self->header = (mm_batch_header_t){.root = hq_mac(1),
                                       .root_boot_no = 1,
                                       .session = 1,
                                       .round_id = 1,
                                       .kind = MM_BATCH_LIVE,
                                       .time = {{HQ_UTC_US}, MM_TRUST_SYNCED},
                                       .batch_count = 1};
}

static inline void hq_batch_add(hq_batch_t *self, const hq_report_t *report) {
    assert_int_equal(mm_batch_add_frame(&self->builder, report->bytes, report->bytes_count), MM_OK);
}

static inline void hq_batch_end(hq_batch_t *self) {
    self->message = mm_batch_finish(&self->builder, &self->header, &self->message_bytes);
}

/// A batch with one report: no snapshot, interval records first … last of an epoch.
static inline void hq_batch_intervals(hq_batch_t *self, mm_mac_t node, uint32_t epoch, uint32_t first, uint32_t last) {
    hq_report_t report;
    hq_report_begin(&report, node);
    for (uint32_t seq = first; seq <= last; seq++) {
        hq_report_interval(&report, epoch, seq);
    }
    hq_report_end(&report);
    hq_batch_begin(self);
    hq_batch_add(self, &report);
    hq_batch_end(self);
}

/// A batch with one report: a snapshot only.
static inline void hq_batch_snapshot(hq_batch_t *self, mm_mac_t node, const mm_snapshot_t *snapshot) {
    hq_report_t report;
    hq_report_begin(&report, node);
    hq_report_snapshot(&report, snapshot);
    hq_report_end(&report);
    hq_batch_begin(self);
    hq_batch_add(self, &report);
    hq_batch_end(self);
}

/// A batch with one report: one record.
static inline void hq_batch_record(hq_batch_t *self, mm_mac_t node, uint32_t epoch, uint32_t seq,
                                   const mm_record_t *record) {
    hq_report_t report;
    hq_report_begin(&report, node);
    hq_report_record(&report, epoch, seq, record);
    hq_report_end(&report);
    hq_batch_begin(self);
    hq_batch_add(self, &report);
    hq_batch_end(self);
}

// --- into the store, without ingest

static inline void hq_put(mm_store_t *store, const hq_batch_t *batch) {
    mm_batch_reader_t reader;
    assert_int_equal(mm_batch_open(batch->message, batch->message_bytes, &reader), MM_OK);
    assert_int_equal(mm_store_put_batch(store, "home", "meter/home/info", &reader, HQ_UTC_US), MM_STORE_OK);
}

static inline mm_store_totals_t hq_commit(mm_store_t *store, const hq_batch_t *batch) {
    assert_int_equal(mm_store_begin(store), MM_STORE_OK);
    hq_put(store, batch);
    assert_int_equal(mm_store_commit(store, HQ_UTC_US), MM_STORE_OK);
    return mm_store_transaction_totals(store);
}

static inline mm_position_t hq_watermark(mm_store_t *store, mm_mac_t node) {
    mm_ack_t ack;
    assert_int_equal(mm_store_ack(store, "home", HQ_UTC_US, &ack), MM_STORE_OK);
    for (size_t index = 0; index < ack.entry_count; index++) {
        if (mm_mac_equal(ack.entries[index].node, node)) {
            return ack.entries[index].watermark;
        }
    }
    return (mm_position_t){0};
}

#define hq_assert_watermark(store, node, epoch_wanted, seq_wanted)                                                     \
    do {                                                                                                               \
        mm_position_t watermark_found = hq_watermark(store, node);                                                     \
        assert_int_equal(watermark_found.epoch, epoch_wanted);                                                         \
        assert_int_equal(watermark_found.seq, seq_wanted);                                                             \
    } while (0)

#endif
