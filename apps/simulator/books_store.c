// SPDX-License-Identifier: Apache-2.0
#include "simulator/books.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "ingest.h"
#include "sim/sim_disk.h"
#include "store.h"

#define DATABASE "hq.db"

struct books {
    uint64_t seed;
    int64_t begin_utc_us;
    books_ack_fn ack;
    void *context;
    mm_sim_disk_t *disk;
    mm_sim_disk_backup_t *backup; // or NULL
    mm_store_t *store;            // NULL: closed
    mm_ingest_t *ingest;
    mm_hq_stats_t stats;
    mm_hq_error_t error;
};

static mm_hq_now_t hq_now(const books_t *self, mm_us_t now) {
    return (mm_hq_now_t){.monotonic_us = now, .real_us = self->begin_utc_us + now, .utc_us = self->begin_utc_us + now};
}

books_t *books_create(uint64_t seed, int64_t begin_utc_us, books_ack_fn ack, void *context) {
    books_t *self = calloc(1, sizeof *self);
    MM_ASSERT(self != NULL);
    self->seed = seed;
    self->begin_utc_us = begin_utc_us;
    self->ack = ack;
    self->context = context;
    // A world is one thread. Refused, and slower by a twentieth, where SQLite was used before.
    (void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    self->disk = mm_sim_disk_create("hq", seed);
    MM_ASSERT(self->disk != NULL);
    return self;
}

void books_destroy(books_t *self) {
    books_close(self);
    mm_sim_disk_backup_free(self->backup);
    mm_sim_disk_destroy(self->disk);
    free(self);
}

// --- HQ's process

bool books_open(books_t *self) {
    const mm_store_options_t options = {
        .vfs = mm_sim_disk_vfs_name(self->disk), .busy_timeout_ms = 1, .database_id = self->seed | 1};
    self->store = mm_store_open(DATABASE, &options, &self->error);
    self->ingest = self->store == NULL ? NULL : mm_ingest_create(self->store, &self->stats, self->ack, self->context);
    if (self->ingest == NULL) {
        mm_store_close(self->store);
        self->store = NULL;
    }
    return self->store != NULL;
}

void books_close(books_t *self) {
    mm_ingest_destroy(self->ingest);
    mm_store_close(self->store);
    self->ingest = NULL;
    self->store = NULL;
}

bool books_is_open(const books_t *self) {
    return self->store != NULL;
}

void books_push(books_t *self, const char *topic, const void *bytes, size_t bytes_count, mm_us_t now) {
    mm_hq_now_t clocks = hq_now(self, now);
    mm_ingest_push(self->ingest, topic, bytes, bytes_count, &clocks);
}

void books_poll(books_t *self, mm_us_t now) {
    mm_hq_now_t clocks = hq_now(self, now);
    mm_ingest_poll(self->ingest, &clocks, true);
}

mm_us_t books_next_poll_at(const books_t *self) {
    int64_t deadline_us = mm_ingest_next_deadline_us(self->ingest);
    return deadline_us == INT64_MAX ? MM_US_NEVER : deadline_us;
}

void books_ack_all(books_t *self, mm_us_t now) {
    mm_hq_now_t clocks = hq_now(self, now);
    mm_ingest_ack_all(self->ingest, &clocks);
}

books_totals_t books_totals(const books_t *self) {
    mm_store_totals_t totals = mm_store_totals(self->store);
    return (books_totals_t){.records = totals.records,
                            .duplicates = totals.duplicates,
                            .quarantined = totals.quarantined,
                            .legacy_readings = totals.legacy_readings};
}

const char *books_audit(books_t *self) {
    return mm_store_check(self->store, &self->error) ? NULL : self->error.text;
}

// --- its machine

void books_cut_power(books_t *self) {
    mm_sim_disk_crash(self->disk);
    books_close(self);
}

void books_fill_disk(books_t *self, uint32_t bytes_left) {
    mm_sim_disk_set_full(self->disk, bytes_left);
}

void books_fail_disk(books_t *self, books_disk_call_t call, uint32_t after, uint32_t count) {
    static const unsigned kinds[] = {[BOOKS_DISK_WRITE] = MM_SIM_DISK_WRITE,
                                     [BOOKS_DISK_SYNC] = MM_SIM_DISK_SYNC,
                                     [BOOKS_DISK_READ] = MM_SIM_DISK_READ,
                                     [BOOKS_DISK_TRUNCATE] = MM_SIM_DISK_TRUNCATE};
    mm_sim_disk_fail(self->disk, kinds[call], after, count);
}

void books_mend_disk(books_t *self) {
    mm_sim_disk_set_full(self->disk, -1);
    mm_sim_disk_fail(self->disk, 0, 0, 0);
}

void books_back_up(books_t *self) {
    mm_sim_disk_backup_free(self->backup);
    self->backup = mm_sim_disk_backup(self->disk);
}

bool books_have_backup(const books_t *self) {
    return self->backup != NULL;
}

void books_restore(books_t *self) {
    books_close(self);
    MM_ASSERT(mm_sim_disk_restore(self->disk, self->backup));
}

// --- reading them
// With SQL of its own, not with HQ's code: who checks must not ask whom he checks.

typedef struct {
    books_t *books;
    sqlite3 *database;
    int64_t node_id;
    const books_reader_t *reader;
} reading_t;

static void fail(reading_t *self) {
    mm_hq_error_set(&self->books->error, "the database cannot be read: %s", sqlite3_errmsg(self->database));
}

// The node's rows; ?1 is the node.
static sqlite3_stmt *prepare(reading_t *self, const char *sql) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(self->database, sql, -1, &statement, NULL) == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, self->node_id);
    } else {
        fail(self);
    }
    return statement;
}

static bool step(reading_t *self, sqlite3_stmt *rows) {
    int code = rows == NULL ? SQLITE_DONE : sqlite3_step(rows);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        fail(self);
    }
    return code == SQLITE_ROW;
}

// Day by day: the key begins with it, and a search through all rows for each node would be most of what a short run
// costs.
static void read_records(reading_t *self) {
    sqlite3_stmt *rows = prepare(self, "WITH RECURSIVE days (day) AS (SELECT min(day) FROM record UNION ALL"
                                       " SELECT (SELECT min(day) FROM record WHERE day > days.day) FROM days"
                                       " WHERE day IS NOT NULL)"
                                       " SELECT epoch, seq, type, payload FROM days CROSS JOIN record"
                                       " WHERE record.day = days.day AND node = ?1");
    while (step(self, rows)) {
        mm_position_t position = {(uint32_t)sqlite3_column_int64(rows, 0), (uint32_t)sqlite3_column_int64(rows, 1)};
        self->reader->record(self->reader->context, position, (uint8_t)sqlite3_column_int(rows, 2),
                             sqlite3_column_blob(rows, 3), (size_t)sqlite3_column_bytes(rows, 3));
    }
    sqlite3_finalize(rows);
}

static void read_gaps(reading_t *self) {
    sqlite3_stmt *rows = prepare(self, "SELECT epoch, first_seq, last_seq, reason, explained FROM gap WHERE node = ?1");
    while (step(self, rows)) {
        const books_gap_t gap = {.epoch = (uint32_t)sqlite3_column_int64(rows, 0),
                                 .first_seq = (uint32_t)sqlite3_column_int64(rows, 1),
                                 .last_seq = (uint32_t)sqlite3_column_int64(rows, 2),
                                 .reason = sqlite3_column_int(rows, 3),
                                 .explained = sqlite3_column_int(rows, 4) != 0};
        self->reader->gap(self->reader->context, &gap);
    }
    sqlite3_finalize(rows);
}

static void read_blobs(reading_t *self, const char *sql,
                       void (*take)(void *context, const void *bytes, size_t bytes_count)) {
    sqlite3_stmt *rows = prepare(self, sql);
    while (step(self, rows)) {
        take(self->reader->context, sqlite3_column_blob(rows, 0), (size_t)sqlite3_column_bytes(rows, 0));
    }
    sqlite3_finalize(rows);
}

static bool find_node(reading_t *self, mm_mac_t node) {
    sqlite3_stmt *rows = prepare(self, "SELECT id FROM node WHERE mac = ?1");
    sqlite3_bind_blob(rows, 1, node.bytes, sizeof node.bytes, SQLITE_STATIC);
    bool found = step(self, rows);
    if (found) {
        self->node_id = sqlite3_column_int64(rows, 0);
    } else if (self->books->error.text[0] == '\0') {
        mm_hq_error_set(&self->books->error, "the node is not known");
    }
    sqlite3_finalize(rows);
    return found;
}

const char *books_read(books_t *self, mm_mac_t node, const books_reader_t *reader) {
    reading_t reading = {.books = self, .reader = reader};
    MM_ASSERT(self->store == NULL);
    self->error.text[0] = '\0';
    if (sqlite3_open_v2(DATABASE, &reading.database, SQLITE_OPEN_READWRITE, mm_sim_disk_vfs_name(self->disk)) !=
        SQLITE_OK) {
        fail(&reading);
    } else if (find_node(&reading, node)) {
        read_records(&reading);
        read_gaps(&reading);
        read_blobs(&reading, "SELECT payload FROM month WHERE node = ?1", reader->month);
        read_blobs(&reading, "SELECT frame FROM snapshot WHERE node = ?1", reader->snapshot);
    }
    sqlite3_close(reading.database);
    return self->error.text[0] == '\0' ? NULL : self->error.text;
}
