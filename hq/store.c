// SPDX-License-Identifier: Apache-2.0
#include "sql.h"
#include "store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_TIMEOUT_DEFAULT_MS 5000

static const char *const s_sql[MMI_HQ_STATEMENT_COUNT] = {
    // The write lock is taken at once: a transaction that has begun cannot fail for another writer.
    [MMI_HQ_BEGIN] = "BEGIN IMMEDIATE",
    [MMI_HQ_COMMIT] = "COMMIT",
    [MMI_HQ_ROLLBACK] = "ROLLBACK",
    [MMI_HQ_DATA_VERSION] = "PRAGMA data_version",
    [MMI_HQ_TOTAL_READ] = "SELECT database_id, revision, records, duplicates, conflicts, quarantined, snapshots,"
                          " legacy_readings FROM total",
    [MMI_HQ_TOTAL_WRITE] = "UPDATE total SET revision = ?1, records = records + ?2, duplicates = duplicates + ?3,"
                           " conflicts = conflicts + ?4, quarantined = quarantined + ?5, snapshots = snapshots + ?6,"
                           " legacy_readings = legacy_readings + ?7",
    [MMI_HQ_SITE_FIND] = "SELECT id FROM site WHERE name = ?1",
    [MMI_HQ_SITE_ADD] = "INSERT INTO site (name, tz) VALUES (?1, ?2)",
    [MMI_HQ_SITE_ROOT] = "UPDATE site SET root = ?2, root_utc_us = ?3 WHERE id = ?1 AND root_utc_us <= ?3",
    [MMI_HQ_SITE_TZ] = "INSERT INTO site (name, tz) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET tz = ?2",
    [MMI_HQ_SITE_TZ_ALL] = "UPDATE site SET tz = ?1 WHERE tz <> ?1",
    [MMI_HQ_SITE_LIST] = "SELECT name, tz FROM site ORDER BY name",
    [MMI_HQ_NODE_FIND] = "SELECT id, last_seen_us, epoch, watermark_seq, next_seq, oldest_seq, interval_epoch,"
                         " interval_seq, interval_no, interval_payload, missed_rounds, missed_root, missed_boot_no,"
                         " missed_round_id FROM node WHERE site = ?1 AND mac = ?2",
    [MMI_HQ_NODE_ADD] = "INSERT INTO node (site, mac) VALUES (?1, ?2)",
    [MMI_HQ_NODE_WRITE] = "UPDATE node SET last_seen_us = ?2, epoch = ?3, watermark_seq = ?4, next_seq = ?5,"
                          " oldest_seq = ?6, interval_epoch = ?7, interval_seq = ?8, interval_no = ?9,"
                          " interval_payload = ?10, missed_rounds = ?11, missed_root = ?12, missed_boot_no = ?13,"
                          " missed_round_id = ?14 WHERE id = ?1",
    [MMI_HQ_NODE_ACKS] = "SELECT node.mac, node.epoch, node.watermark_seq FROM node JOIN site ON site.id = node.site"
                         " WHERE site.name = ?1 AND node.epoch > 0 ORDER BY node.last_seen_us DESC, node.id LIMIT ?2",
    [MMI_HQ_SPAN_LOAD] = "SELECT first_seq, last_seq, 0, 0 FROM span WHERE node = ?1 AND epoch = ?2 ORDER BY first_seq",
    [MMI_HQ_SPAN_PUT] = "INSERT OR REPLACE INTO span (node, epoch, first_seq, last_seq) VALUES (?1, ?2, ?3, ?4)",
    [MMI_HQ_SPAN_DELETE] = "DELETE FROM span WHERE node = ?1 AND epoch = ?2 AND first_seq = ?3",
    [MMI_HQ_GAP_LOAD] = "SELECT first_seq, last_seq, reason, explained FROM gap WHERE node = ?1 AND epoch = ?2"
                        " ORDER BY first_seq",
    [MMI_HQ_GAP_PUT] = "INSERT OR REPLACE INTO gap (node, epoch, first_seq, last_seq, reason, explained)"
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [MMI_HQ_GAP_DELETE] = "DELETE FROM gap WHERE node = ?1 AND epoch = ?2 AND first_seq = ?3",
    [MMI_HQ_RECORD_ADD] = "INSERT OR IGNORE INTO record (day, node, epoch, seq, type, payload)"
                          " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [MMI_HQ_RECORD_FIND] = "SELECT type, payload FROM record WHERE day = ?1 AND node = ?2 AND epoch = ?3 AND seq = ?4",
    [MMI_HQ_THINNED_ADD] = "INSERT OR IGNORE INTO thinned (node, epoch, seq, first_seq, last_seq)"
                           " VALUES (?1, ?2, ?3, ?4, ?5)",
    // A month may be closed in parts; the same statement again, under whatever position, is no further part.
    [MMI_HQ_MONTH_PUT] = "INSERT OR IGNORE INTO month (node, channel, year_month, payload) VALUES (?1, ?2, ?3, ?4)",
    // A full journal carries events over to new positions; a copy of one that is here already is no second event.
    [MMI_HQ_EVENT_ADD] = "INSERT INTO event (node, epoch, seq, code, trust, seconds, boot_no, utc_s, placed,"
                         " value0, value1, value2, value3)"
                         " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 WHERE NOT EXISTS"
                         " (SELECT 1 FROM event WHERE node = ?1 AND boot_no = ?7 AND code = ?4 AND trust = ?5"
                         " AND seconds = ?6 AND value0 = ?10 AND value1 = ?11 AND value2 = ?12 AND value3 = ?13)",
    [MMI_HQ_EVENT_SYNC] = "SELECT value2 - value1 FROM event WHERE node = ?1 AND boot_no = ?2 AND code = ?3 LIMIT 1",
    [MMI_HQ_EVENT_PLACE] = "UPDATE event SET utc_s = seconds + ?3, placed = 1 WHERE node = ?1 AND boot_no = ?2"
                           " AND trust = 0 AND placed = 0",
    [MMI_HQ_INCIDENT_ADD] = "INSERT INTO incident (node, utc_s, name, value0, value1, value2, value3)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [MMI_HQ_SNAPSHOT_READ] = "SELECT frame FROM snapshot WHERE node = ?1",
    [MMI_HQ_SNAPSHOT_PUT] = "INSERT INTO snapshot (node, received_us, frame) VALUES (?1, ?2, ?3) ON CONFLICT (node)"
                            " DO UPDATE SET received_us = ?2, frame = ?3",
    [MMI_HQ_METER_PUT] = "INSERT INTO meter (node, channel, id) VALUES (?1, ?2, ?3) ON CONFLICT (node, channel)"
                         " DO UPDATE SET id = ?3",
    [MMI_HQ_QUARANTINE_ADD] = "INSERT INTO quarantine (received_us, topic, reason, bytes, payload)"
                              " VALUES (?1, ?2, ?3, ?4, ?5)",
    [MMI_HQ_QUARANTINE_TRIM] = "DELETE FROM quarantine WHERE id <= ?1",
    [MMI_HQ_LEGACY_METER_FIND] = "SELECT id, stamp_s, life_kwh FROM legacy_meter WHERE site = ?1 AND meter = ?2",
    [MMI_HQ_LEGACY_METER_ADD] =
        "INSERT INTO legacy_meter (site, meter, node_id, subnode, form, stamp_s, received_us,"
        " life_kwh, month, month_kwh, hours) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [MMI_HQ_LEGACY_METER_WRITE] = "UPDATE legacy_meter SET node_id = ?3, subnode = ?4, form = ?5, stamp_s = ?6,"
                                  " received_us = ?7, life_kwh = ?8, month = ?9, month_kwh = ?10, hours = ?11"
                                  " WHERE site = ?1 AND meter = ?2",
    [MMI_HQ_LEGACY_READING_ADD] =
        "INSERT OR IGNORE INTO legacy_reading (day, meter, stamp_s, digest, form, received_us,"
        " payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [MMI_HQ_NOTICE_ADD] = "INSERT INTO notice (received_us, topic, payload) VALUES (?1, ?2, ?3)",
    [MMI_HQ_NOTICE_TRIM] = "DELETE FROM notice WHERE id <= ?1",
    // A counter that was given stays given; in a new era they begin behind what the node has taken.
    [MMI_HQ_CONTROL_PUT] = "INSERT INTO control (node, era, counter, given, slot, slot_count, signed_only,"
                           " journal_epoch, journal_next_seq, received_us)"
                           " VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (node) DO UPDATE SET"
                           " given = CASE WHEN era = ?2 THEN max(given, ?3) ELSE ?3 END, era = ?2, counter = ?3,"
                           " slot = ?4, slot_count = ?5, signed_only = ?6, journal_epoch = ?7,"
                           " journal_next_seq = ?8, received_us = ?9",
    [MMI_HQ_CREDIT_PUT] = "INSERT OR REPLACE INTO meter_credit (node, channel, prepaid, relay_reasons, relay_closed,"
                          " low, emergency_taken, balance_wh, applied_wh, token_count, received_us)"
                          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [MMI_HQ_COMMAND_ACCEPT] = "UPDATE command SET state = 2, accepted_us = ?4 WHERE node = ?1 AND state < 4"
                              " AND state = 1 AND era = ?2 AND counter <= ?3",
};

// --- failures

static bool is_environment(int code) {
    switch (code & 0xFF) {
    case SQLITE_PERM:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
    case SQLITE_READONLY:
    case SQLITE_INTERRUPT:
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
    case SQLITE_NOLFS:
    case SQLITE_NOTADB:
        return true;
    default:
        return false;
    }
}

bool mmi_hq_failed(const mm_store_t *self) {
    return self->error_code != SQLITE_OK;
}

void mmi_hq_fail(mm_store_t *self, int code, const char *text) {
    if (!mmi_hq_failed(self)) {
        self->error_code = code;
        snprintf(self->error, sizeof self->error, "%s (SQLite %d)", text, code);
    }
}

static void fail_with_message(mm_store_t *self) {
    mmi_hq_fail(self, sqlite3_extended_errcode(self->db), sqlite3_errmsg(self->db));
}

bool mmi_hq_note_failure(mm_store_t *self, bool good) {
    if (!good) {
        mmi_hq_fail(self, sqlite3_extended_errcode(self->db), sqlite3_errmsg(self->db));
    }
    return good;
}

mm_store_result_t mmi_hq_result(const mm_store_t *self) {
    if (!mmi_hq_failed(self)) {
        return MM_STORE_OK;
    }
    return is_environment(self->error_code) ? MM_STORE_UNAVAILABLE : MM_STORE_REFUSED;
}

const char *mm_store_error(const mm_store_t *self) {
    return self->error;
}

void *mmi_hq_grow(mm_store_t *self, void *items, size_t *capacity, size_t wanted, size_t item_bytes) {
    size_t grown = *capacity == 0 ? 8 : *capacity;
    while (grown < wanted) {
        grown *= 2;
    }
    void *moved = realloc(items, grown * item_bytes);
    if (moved == NULL) {
        mmi_hq_fail(self, SQLITE_NOMEM, "out of memory");
        return NULL;
    }
    *capacity = grown;
    return moved;
}

// --- statements

sqlite3_stmt *mmi_hq_statement(mm_store_t *self, mmi_hq_statement_t which) {
    if (mmi_hq_failed(self)) {
        return NULL;
    }
    sqlite3_stmt *statement = self->statements[which];
    if (statement == NULL) {
        if (sqlite3_prepare_v3(self->db, s_sql[which], -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK) {
            fail_with_message(self);
            return NULL;
        }
        self->statements[which] = statement;
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return statement;
}

bool mmi_hq_run(mm_store_t *self, sqlite3_stmt *statement) {
    if (statement == NULL || mmi_hq_failed(self)) {
        return false;
    }
    bool good = sqlite3_step(statement) == SQLITE_DONE;
    if (!good) {
        fail_with_message(self);
    }
    sqlite3_reset(statement);
    return good;
}

bool mmi_hq_row(mm_store_t *self, sqlite3_stmt *statement) {
    if (statement == NULL || mmi_hq_failed(self)) {
        return false;
    }
    int code = sqlite3_step(statement);
    if (code != SQLITE_ROW) {
        if (code != SQLITE_DONE) {
            fail_with_message(self);
        }
        sqlite3_reset(statement);
    }
    return code == SQLITE_ROW;
}

// --- open and close

static bool read_totals(mm_store_t *self) {
    sqlite3_stmt *statement = mmi_hq_statement(self, MMI_HQ_TOTAL_READ);
    if (!mmi_hq_row(self, statement)) {
        mmi_hq_fail(self, SQLITE_CORRUPT, "table total is empty");
        return false;
    }
    self->database_id = (uint64_t)sqlite3_column_int64(statement, 0);
    self->revision = (uint64_t)sqlite3_column_int64(statement, 1);
    self->totals.records = (uint64_t)sqlite3_column_int64(statement, 2);
    self->totals.duplicates = (uint64_t)sqlite3_column_int64(statement, 3);
    self->totals.conflicts = (uint64_t)sqlite3_column_int64(statement, 4);
    self->totals.quarantined = (uint64_t)sqlite3_column_int64(statement, 5);
    self->totals.snapshots = (uint64_t)sqlite3_column_int64(statement, 6);
    self->totals.legacy_readings = (uint64_t)sqlite3_column_int64(statement, 7);
    sqlite3_reset(statement);
    return true;
}

static int64_t read_data_version(mm_store_t *self) {
    sqlite3_stmt *statement = mmi_hq_statement(self, MMI_HQ_DATA_VERSION);
    int64_t version = mmi_hq_row(self, statement) ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return version;
}

// WAL with synchronous=FULL: a commit that returned is on the disk, which is what the watermark promises.
static bool configure(mm_store_t *self, const mm_store_options_t *options) {
    char sql[128];
    int busy_ms = options->busy_timeout_ms > 0 ? options->busy_timeout_ms : BUSY_TIMEOUT_DEFAULT_MS;
    sqlite3_extended_result_codes(self->db, 1);
    // wait: another process lets go of the database | until BUSY_TIMEOUT_DEFAULT_MS | then the transaction is rolled
    // back and tried again
    sqlite3_busy_timeout(self->db, busy_ms);
    if (options->checkpoint_pages > 0) {
        sqlite3_wal_autocheckpoint(self->db, options->checkpoint_pages);
    }
    if (sqlite3_exec(self->db,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                     "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536; PRAGMA journal_size_limit = 67108864;",
                     NULL, NULL, NULL) != SQLITE_OK) {
        return false;
    }
    if (options->pages_max > 0) {
        snprintf(sql, sizeof sql, "PRAGMA max_page_count = %lld;", (long long)options->pages_max);
        return sqlite3_exec(self->db, sql, NULL, NULL, NULL) == SQLITE_OK;
    }
    return true;
}

static bool is_wal(mm_store_t *self) {
    sqlite3_stmt *statement = NULL;
    bool wal = sqlite3_prepare_v2(self->db, "PRAGMA journal_mode", -1, &statement, NULL) == SQLITE_OK &&
               sqlite3_step(statement) == SQLITE_ROW &&
               strcmp((const char *)sqlite3_column_text(statement, 0), "wal") == 0;
    sqlite3_finalize(statement);
    return wal;
}

// If a sync failed and HQ was started again, the WAL may hold transactions that stand in the operating system's cache
// only: later syncs do not write them, and a power cut would take them with everything that was committed behind them.
// So nothing is committed behind what was found here: it goes into the database, and the WAL begins anew. A reader that
// holds the WAL for longer than the busy time-out, or a full disk, leaves only that danger.
static bool begin_wal_anew(mm_store_t *self) {
    int code = sqlite3_wal_checkpoint_v2(self->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return code == SQLITE_OK || (code & 0xFF) == SQLITE_BUSY || (code & 0xFF) == SQLITE_FULL;
}

static bool open_database(mm_store_t *self, const char *path, const mm_store_options_t *options, mm_hq_error_t *error) {
    mm_hq_error_t cause = {{0}};
    // One owner, so SQLite need not lock its own structures.
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &self->db, flags, options->vfs) != SQLITE_OK || !configure(self, options)) {
        mm_hq_error_set(error, "database %s: %s", path, sqlite3_errmsg(self->db));
        return false;
    }
    if (!is_wal(self)) {
        mm_hq_error_set(error, "database %s: this file system does not support SQLite's WAL; use a local disk", path);
        return false;
    }
    if (!mmi_hq_schema_migrate(self->db, options->database_id, &cause)) {
        mm_hq_error_set(error, "database %s %s", path, cause.text);
        return false;
    }
    if (!begin_wal_anew(self)) {
        mm_hq_error_set(error, "database %s: %s", path, sqlite3_errmsg(self->db));
        return false;
    }
    if (!read_totals(self)) {
        mm_hq_error_set(error, "database %s: %s", path, self->error);
        return false;
    }
    self->data_version = read_data_version(self);
    return true;
}

mm_store_t *mm_store_open(const char *path, const mm_store_options_t *options, mm_hq_error_t *error) {
    static const mm_store_options_t defaults = {0};
    mm_store_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        mm_hq_error_set(error, "database %s: out of memory", path);
        return NULL;
    }
    if (!open_database(self, path, options != NULL ? options : &defaults, error)) {
        mm_store_close(self);
        return NULL;
    }
    mmi_sql_keep(self->db);
    return self;
}

void mm_store_close(mm_store_t *self) {
    if (self == NULL) {
        return;
    }
    mm_store_rollback(self);
    mmi_hq_nodes_drop(self);
    for (size_t index = 0; index < MMI_HQ_STATEMENT_COUNT; index++) {
        sqlite3_finalize(self->statements[index]);
    }
    mmi_sql_drop(self->db);
    sqlite3_close(self->db);
    free(self->nodes);
    free(self->dirty_nodes);
    free(self->touched);
    free(self);
}

// --- transactions

mm_store_result_t mm_store_begin(mm_store_t *self) {
    MM_ASSERT(!self->in_transaction);
    self->error_code = SQLITE_OK;
    self->transaction = (mm_store_totals_t){0};
    self->touched_count = 0;
    if (mmi_hq_run(self, mmi_hq_statement(self, MMI_HQ_BEGIN))) {
        self->in_transaction = true;
        int64_t data_version = read_data_version(self);
        if (data_version != self->data_version) {
            // Another process has written: what is remembered of the nodes may be old.
            mmi_hq_nodes_drop(self);
            read_totals(self);
            self->data_version = data_version;
        }
    }
    return mmi_hq_result(self);
}

void mm_store_rollback(mm_store_t *self) {
    if (self->db == NULL) {
        return;
    }
    self->in_transaction = false;
    self->transaction = (mm_store_totals_t){0};
    self->touched_count = 0;
    self->dirty_count = 0;
    mmi_hq_nodes_drop(self);
    for (size_t index = 0; index < MMI_HQ_STATEMENT_COUNT; index++) {
        sqlite3_reset(self->statements[index]);
    }
    // After some errors SQLite has rolled back by itself.
    if (sqlite3_get_autocommit(self->db) == 0) {
        sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
    }
}

static bool write_totals(mm_store_t *self, uint64_t revision) {
    sqlite3_stmt *statement = mmi_hq_statement(self, MMI_HQ_TOTAL_WRITE);
    if (statement == NULL) {
        return false;
    }
    sqlite3_bind_int64(statement, 1, (int64_t)revision);
    sqlite3_bind_int64(statement, 2, (int64_t)self->transaction.records);
    sqlite3_bind_int64(statement, 3, (int64_t)self->transaction.duplicates);
    sqlite3_bind_int64(statement, 4, (int64_t)self->transaction.conflicts);
    sqlite3_bind_int64(statement, 5, (int64_t)self->transaction.quarantined);
    sqlite3_bind_int64(statement, 6, (int64_t)self->transaction.snapshots);
    sqlite3_bind_int64(statement, 7, (int64_t)self->transaction.legacy_readings);
    return mmi_hq_run(self, statement);
}

mm_store_result_t mm_store_commit(mm_store_t *self, int64_t real_us) {
    MM_ASSERT(self->in_transaction);
    uint64_t revision = self->revision + 1;
    if (real_us > 0 && (uint64_t)real_us > revision) {
        revision = (uint64_t)real_us;
    }
    if (!mmi_hq_nodes_flush(self) || !write_totals(self, revision) ||
        !mmi_hq_run(self, mmi_hq_statement(self, MMI_HQ_COMMIT))) {
        return mmi_hq_result(self);
    }
    self->in_transaction = false;
    self->revision = revision;
    self->totals.records += self->transaction.records;
    self->totals.duplicates += self->transaction.duplicates;
    self->totals.conflicts += self->transaction.conflicts;
    self->totals.quarantined += self->transaction.quarantined;
    self->totals.snapshots += self->transaction.snapshots;
    self->totals.legacy_readings += self->transaction.legacy_readings;
    return MM_STORE_OK;
}

mm_store_totals_t mm_store_transaction_totals(const mm_store_t *self) {
    return self->transaction;
}

mm_store_totals_t mm_store_totals(const mm_store_t *self) {
    return self->totals;
}

// --- sites

int64_t mmi_hq_site(mm_store_t *self, const char *name) {
    sqlite3_stmt *find = mmi_hq_statement(self, MMI_HQ_SITE_FIND);
    if (find == NULL) {
        return 0;
    }
    sqlite3_bind_text(find, 1, name, -1, SQLITE_STATIC);
    int64_t id = mmi_hq_row(self, find) ? sqlite3_column_int64(find, 0) : 0;
    sqlite3_reset(find);
    if (id != 0 || mmi_hq_failed(self)) {
        return id;
    }
    sqlite3_stmt *add = mmi_hq_statement(self, MMI_HQ_SITE_ADD);
    if (add == NULL) {
        return 0;
    }
    sqlite3_bind_text(add, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(add, 2, self->default_tz, -1, SQLITE_STATIC);
    return mmi_hq_run(self, add) ? sqlite3_last_insert_rowid(self->db) : 0;
}

void mmi_hq_touch_site(mm_store_t *self, const char *name) {
    for (size_t index = 0; index < self->touched_count; index++) {
        if (strcmp(self->touched[index], name) == 0) {
            return;
        }
    }
    if (self->touched_count == self->touched_capacity) {
        void *grown =
            mmi_hq_grow(self, self->touched, &self->touched_capacity, self->touched_count + 1, sizeof *self->touched);
        if (grown == NULL) {
            return;
        }
        self->touched = grown;
    }
    snprintf(self->touched[self->touched_count++], sizeof *self->touched, "%s", name);
}

const char *mm_store_touched_site(const mm_store_t *self, size_t index) {
    return index < self->touched_count ? self->touched[index] : NULL;
}

mm_store_result_t mm_store_set_default_tz(mm_store_t *self, const char *tz) {
    MM_ASSERT(!self->in_transaction);
    self->error_code = SQLITE_OK;
    snprintf(self->default_tz, sizeof self->default_tz, "%s", tz);
    sqlite3_stmt *statement = mmi_hq_statement(self, MMI_HQ_SITE_TZ_ALL);
    if (statement != NULL) {
        sqlite3_bind_text(statement, 1, self->default_tz, -1, SQLITE_STATIC);
        mmi_hq_run(self, statement);
    }
    return mmi_hq_result(self);
}

mm_store_result_t mm_store_set_site_tz(mm_store_t *self, const char *site, const char *tz) {
    MM_ASSERT(!self->in_transaction);
    self->error_code = SQLITE_OK;
    sqlite3_stmt *statement = mmi_hq_statement(self, MMI_HQ_SITE_TZ);
    if (statement != NULL) {
        sqlite3_bind_text(statement, 1, site, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, tz, -1, SQLITE_STATIC);
        mmi_hq_run(self, statement);
    }
    return mmi_hq_result(self);
}

mm_store_result_t mm_store_sites(mm_store_t *self, mm_store_site_fn visit, void *context) {
    MM_ASSERT(!self->in_transaction);
    self->error_code = SQLITE_OK;
    sqlite3_stmt *statement = mmi_hq_statement(self, MMI_HQ_SITE_LIST);
    while (mmi_hq_row(self, statement)) {
        visit(context, (const char *)sqlite3_column_text(statement, 0),
              (const char *)sqlite3_column_text(statement, 1));
    }
    return mmi_hq_result(self);
}

mm_store_result_t mm_store_ack(mm_store_t *self, const char *site, int64_t utc_us, mm_ack_t *ack) {
    MM_ASSERT(!self->in_transaction);
    self->error_code = SQLITE_OK;
    memset(ack, 0, sizeof *ack);
    ack->database_id = self->database_id;
    ack->revision = self->revision;
    ack->time.utc.us = utc_us;
    ack->time.trust = MM_TRUST_SYNCED;
    sqlite3_stmt *statement = mmi_hq_statement(self, MMI_HQ_NODE_ACKS);
    if (statement == NULL) {
        return mmi_hq_result(self);
    }
    sqlite3_bind_text(statement, 1, site, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, MM_NODES_MAX);
    while (mmi_hq_row(self, statement)) {
        mm_ack_entry_t *entry = &ack->entries[ack->entry_count++];
        memcpy(entry->node.bytes, sqlite3_column_blob(statement, 0), sizeof entry->node.bytes);
        entry->watermark.epoch = (uint32_t)sqlite3_column_int64(statement, 1);
        entry->watermark.seq = (uint32_t)sqlite3_column_int64(statement, 2);
    }
    return mmi_hq_result(self);
}

// --- quarantine

mm_store_result_t mm_store_quarantine(mm_store_t *self, const char *topic, const char *reason, const void *bytes,
                                      size_t bytes_count, int64_t received_us) {
    MM_ASSERT(self->in_transaction);
    size_t kept = bytes_count < MM_QUARANTINE_BYTES_MAX ? bytes_count : MM_QUARANTINE_BYTES_MAX;
    sqlite3_stmt *add = mmi_hq_statement(self, MMI_HQ_QUARANTINE_ADD);
    if (add == NULL) {
        return mmi_hq_result(self);
    }
    sqlite3_bind_int64(add, 1, received_us);
    sqlite3_bind_text(add, 2, topic, -1, SQLITE_STATIC);
    sqlite3_bind_text(add, 3, reason, -1, SQLITE_STATIC);
    sqlite3_bind_int64(add, 4, (int64_t)bytes_count);
    // An empty blob must not become NULL.
    sqlite3_bind_blob(add, 5, kept > 0 ? bytes : "", (int)kept, SQLITE_STATIC);
    if (mmi_hq_run(self, add)) {
        self->transaction.quarantined++;
        int64_t oldest_kept = sqlite3_last_insert_rowid(self->db) - MM_QUARANTINE_ROWS_MAX;
        sqlite3_stmt *trim = oldest_kept > 0 ? mmi_hq_statement(self, MMI_HQ_QUARANTINE_TRIM) : NULL;
        if (trim != NULL) {
            sqlite3_bind_int64(trim, 1, oldest_kept);
            mmi_hq_run(self, trim);
        }
    }
    return mmi_hq_result(self);
}
