// SPDX-License-Identifier: Apache-2.0
#include "store_internal.h"

#include <stdio.h>
#include <sys/random.h>

// Each entry brings the schema from version (index) to (index + 1) in one transaction. Entries are never changed once
// released: append.
static const char *const s_migrations[] = {
    // 1: sites, nodes, journals.
    "CREATE TABLE total ("
    "  id INTEGER PRIMARY KEY CHECK (id = 1),"
    "  database_id INTEGER NOT NULL,"
    "  revision INTEGER NOT NULL DEFAULT 0,"
    "  records INTEGER NOT NULL DEFAULT 0,"
    "  duplicates INTEGER NOT NULL DEFAULT 0,"
    "  conflicts INTEGER NOT NULL DEFAULT 0,"
    "  quarantined INTEGER NOT NULL DEFAULT 0,"
    "  snapshots INTEGER NOT NULL DEFAULT 0"
    ");"
    "CREATE TABLE site ("
    "  id INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL UNIQUE,"
    "  tz TEXT NOT NULL DEFAULT '',"
    "  root BLOB,"
    "  root_utc_us INTEGER NOT NULL DEFAULT 0"
    ");"
    // The journal's cursor, and the newest interval record so that the present power needs no search.
    "CREATE TABLE node ("
    "  id INTEGER PRIMARY KEY,"
    "  site INTEGER NOT NULL REFERENCES site(id),"
    "  mac BLOB NOT NULL CHECK (length(mac) = 6),"
    "  last_seen_us INTEGER NOT NULL DEFAULT 0,"
    "  epoch INTEGER NOT NULL DEFAULT 0,"
    "  watermark_seq INTEGER NOT NULL DEFAULT 0,"
    "  next_seq INTEGER NOT NULL DEFAULT 1,"
    "  oldest_seq INTEGER NOT NULL DEFAULT 1,"
    "  interval_epoch INTEGER NOT NULL DEFAULT 0,"
    "  interval_seq INTEGER NOT NULL DEFAULT 0,"
    "  interval_no INTEGER NOT NULL DEFAULT 0,"
    "  interval_payload BLOB,"
    "  missed_rounds INTEGER NOT NULL DEFAULT 0,"
    "  missed_root BLOB,"
    "  missed_boot_no INTEGER NOT NULL DEFAULT 0,"
    "  missed_round_id INTEGER NOT NULL DEFAULT 0,"
    "  UNIQUE (site, mac)"
    ");"
    // No foreign key: it would look up the node once per record, and nodes are never deleted.
    "CREATE TABLE record ("
    "  day INTEGER NOT NULL,"
    "  node INTEGER NOT NULL,"
    "  epoch INTEGER NOT NULL,"
    "  seq INTEGER NOT NULL,"
    "  type INTEGER NOT NULL,"
    "  payload BLOB NOT NULL,"
    "  PRIMARY KEY (day, node, epoch, seq)"
    ") WITHOUT ROWID;"
    "CREATE TABLE span ("
    "  node INTEGER NOT NULL, epoch INTEGER NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,"
    "  PRIMARY KEY (node, epoch, first_seq)"
    ") WITHOUT ROWID;"
    "CREATE TABLE gap ("
    "  node INTEGER NOT NULL, epoch INTEGER NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,"
    "  reason INTEGER NOT NULL, explained INTEGER NOT NULL,"
    "  PRIMARY KEY (node, epoch, first_seq)"
    ") WITHOUT ROWID;"
    // Interval record `seq` stands for the interval records of first_seq … last_seq.
    "CREATE TABLE thinned ("
    "  node INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,"
    "  first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,"
    "  PRIMARY KEY (node, epoch, seq)"
    ") WITHOUT ROWID;"
    "CREATE TABLE snapshot ("
    "  node INTEGER PRIMARY KEY REFERENCES node(id),"
    "  received_us INTEGER NOT NULL,"
    "  frame BLOB NOT NULL"
    ");"
    "CREATE TABLE meter ("
    "  node INTEGER NOT NULL REFERENCES node(id), channel INTEGER NOT NULL, id TEXT NOT NULL,"
    "  PRIMARY KEY (node, channel)"
    ") WITHOUT ROWID;"
    "CREATE INDEX meter_id ON meter (id);"
    "CREATE TABLE month ("
    "  node INTEGER NOT NULL, channel INTEGER NOT NULL, year_month INTEGER NOT NULL,"
    "  epoch INTEGER NOT NULL, seq INTEGER NOT NULL, payload BLOB NOT NULL,"
    "  PRIMARY KEY (node, channel, year_month)"
    ") WITHOUT ROWID;"
    // utc_s is where the event stands in time; placed = 0: only when it was received, until the node's time is known.
    "CREATE TABLE event ("
    "  id INTEGER PRIMARY KEY, node INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,"
    "  code INTEGER NOT NULL, trust INTEGER NOT NULL, seconds INTEGER NOT NULL, boot_no INTEGER NOT NULL,"
    "  utc_s INTEGER NOT NULL, placed INTEGER NOT NULL,"
    "  value0 INTEGER NOT NULL, value1 INTEGER NOT NULL, value2 INTEGER NOT NULL, value3 INTEGER NOT NULL,"
    "  UNIQUE (node, epoch, seq)"
    ");"
    "CREATE INDEX event_boot ON event (node, boot_no);"
    "CREATE INDEX event_time ON event (utc_s);"
    // What HQ itself noticed about a node.
    "CREATE TABLE incident ("
    "  id INTEGER PRIMARY KEY, node INTEGER NOT NULL REFERENCES node(id), utc_s INTEGER NOT NULL, name TEXT NOT NULL,"
    "  value0 INTEGER NOT NULL, value1 INTEGER NOT NULL, value2 INTEGER NOT NULL, value3 INTEGER NOT NULL"
    ");"
    "CREATE TABLE quarantine ("
    "  id INTEGER PRIMARY KEY, received_us INTEGER NOT NULL, topic TEXT NOT NULL, reason TEXT NOT NULL,"
    "  bytes INTEGER NOT NULL, payload BLOB NOT NULL"
    ");",
    // 2: the original's messages.
    "ALTER TABLE total ADD COLUMN legacy_readings INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE legacy_meter ("
    "  id INTEGER PRIMARY KEY, site INTEGER NOT NULL REFERENCES site(id), meter TEXT NOT NULL,"
    "  node_id INTEGER NOT NULL, subnode INTEGER NOT NULL, form INTEGER NOT NULL,"
    "  stamp_s INTEGER NOT NULL, received_us INTEGER NOT NULL,"
    "  life_kwh INTEGER NOT NULL, month INTEGER NOT NULL, month_kwh INTEGER NOT NULL, hours TEXT NOT NULL,"
    "  UNIQUE (site, meter)"
    ");"
    "CREATE TABLE legacy_reading ("
    "  day INTEGER NOT NULL, meter INTEGER NOT NULL, stamp_s INTEGER NOT NULL, digest INTEGER NOT NULL,"
    "  form INTEGER NOT NULL, received_us INTEGER NOT NULL, payload BLOB NOT NULL,"
    "  PRIMARY KEY (day, meter, stamp_s, digest)"
    ") WITHOUT ROWID;"
    "CREATE TABLE notice ("
    "  id INTEGER PRIMARY KEY, received_us INTEGER NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL"
    ");",
    // 3: a month may be closed in parts (a clock that was set to another month and back), and all of them count. The
    // same statement may come under two positions (a full journal carries it over), and counts once. Made again from
    // the records, of which only the last part was kept: channel in byte 0, year and month in bytes 2 and 3.
    "DROP TABLE month;"
    "CREATE TABLE month ("
    "  node INTEGER NOT NULL, channel INTEGER NOT NULL, year_month INTEGER NOT NULL, payload BLOB NOT NULL,"
    "  PRIMARY KEY (node, channel, year_month, payload)"
    ") WITHOUT ROWID;"
    "INSERT OR IGNORE INTO month (node, channel, year_month, payload)"
    "  SELECT node, CAST(hex(substr(payload, 1, 1)) AS INTEGER),"
    "    16 * (instr('0123456789ABCDEF', substr(hex(substr(payload, 3, 1)), 1, 1)) - 1)"
    "    + (instr('0123456789ABCDEF', substr(hex(substr(payload, 3, 1)), 2, 1)) - 1)"
    "    + 4096 * (instr('0123456789ABCDEF', substr(hex(substr(payload, 4, 1)), 1, 1)) - 1)"
    "    + 256 * (instr('0123456789ABCDEF', substr(hex(substr(payload, 4, 1)), 2, 1)) - 1),"
    "    payload FROM record WHERE type = 2;",
    // 4: commands. What a node says of itself is in control and meter_credit, what people want in the other tables.
    "CREATE TABLE device_key ("
    "  mac BLOB PRIMARY KEY CHECK (length(mac) = 6), key BLOB NOT NULL CHECK (length(key) = 32),"
    "  added_us INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE TABLE operator ("
    "  name TEXT PRIMARY KEY, token_sha256 BLOB NOT NULL CHECK (length(token_sha256) = 32), added_us INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE TABLE audit ("
    "  id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, operator TEXT NOT NULL, action TEXT NOT NULL,"
    "  detail TEXT NOT NULL"
    ");"
    // arguments as JSON without secrets; body is what the commands carry, emptied when it has a secret and has ended.
    "CREATE TABLE command_order ("
    "  id INTEGER PRIMARY KEY, request TEXT NOT NULL UNIQUE, operator TEXT NOT NULL, created_us INTEGER NOT NULL,"
    "  target TEXT NOT NULL, kind INTEGER NOT NULL, arguments TEXT NOT NULL, body BLOB NOT NULL,"
    "  priority INTEGER NOT NULL, not_after_s INTEGER NOT NULL"
    ");"
    // order_id 0: of a purchase. counter 0: none was given yet. sent_epoch, sent_seq: how far the node's journal was
    // known when the counter was given; its answer stands behind. status -1: no answer.
    "CREATE TABLE command ("
    "  id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, node INTEGER NOT NULL REFERENCES node(id),"
    "  channel INTEGER NOT NULL, kind INTEGER NOT NULL, body BLOB NOT NULL, priority INTEGER NOT NULL,"
    "  not_after_s INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0,"
    "  era INTEGER NOT NULL DEFAULT 0, counter INTEGER NOT NULL DEFAULT 0,"
    "  sent_epoch INTEGER NOT NULL DEFAULT 0, sent_seq INTEGER NOT NULL DEFAULT 0,"
    "  created_us INTEGER NOT NULL, sent_us INTEGER NOT NULL DEFAULT 0, accepted_us INTEGER NOT NULL DEFAULT 0,"
    "  ended_us INTEGER NOT NULL DEFAULT 0, status INTEGER NOT NULL DEFAULT -1, detail BLOB NOT NULL DEFAULT x''"
    ");"
    "CREATE INDEX command_open ON command (node) WHERE state < 4;"
    "CREATE INDEX command_of_order ON command (order_id);"
    // era 0: not known. given: the last counter that HQ has given in this era. journal_epoch, journal_next_seq: where
    // the journal stood when the node said its counter.
    "CREATE TABLE control ("
    "  node INTEGER PRIMARY KEY REFERENCES node(id), era INTEGER NOT NULL, counter INTEGER NOT NULL,"
    "  given INTEGER NOT NULL, slot INTEGER NOT NULL, slot_count INTEGER NOT NULL, signed_only INTEGER NOT NULL,"
    "  journal_epoch INTEGER NOT NULL, journal_next_seq INTEGER NOT NULL, received_us INTEGER NOT NULL"
    ");"
    "CREATE TABLE meter_credit ("
    "  node INTEGER NOT NULL REFERENCES node(id), channel INTEGER NOT NULL, prepaid INTEGER NOT NULL,"
    "  relay_reasons INTEGER NOT NULL, relay_closed INTEGER NOT NULL, low INTEGER NOT NULL,"
    "  emergency_taken INTEGER NOT NULL, balance_wh INTEGER NOT NULL, applied_wh INTEGER NOT NULL,"
    "  token_count INTEGER NOT NULL, received_us INTEGER NOT NULL,"
    "  PRIMARY KEY (node, channel)"
    ") WITHOUT ROWID;"
    "CREATE TABLE gateway_batch ("
    "  site INTEGER PRIMARY KEY REFERENCES site(id), revision INTEGER NOT NULL, message BLOB NOT NULL"
    ");"
    "CREATE INDEX gateway_batch_open ON gateway_batch (site) WHERE message <> x'';",
    // 5: sales and the ledger; 6: what meters say of them, and the books of each day.
    mmi_hq_schema_vending,
    mmi_hq_schema_books,
    // 7: installations, and codes for installers.
    mmi_hq_schema_installations,
    // 8: devices that want to join.
    mmi_hq_schema_joins,
    // 9: commands that are asked about again; the last time and how often.
    "ALTER TABLE command ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE command ADD COLUMN asked_us INTEGER NOT NULL DEFAULT 0;",
    // 10: credit whose meter is no longer on its channel.
    "CREATE TABLE meter_swap ("
    "  id INTEGER PRIMARY KEY, node INTEGER NOT NULL REFERENCES node(id), channel INTEGER NOT NULL,"
    "  meter_before TEXT NOT NULL, meter_after TEXT NOT NULL, opened_us INTEGER NOT NULL,"
    "  balance_wh INTEGER NOT NULL, pending_wh INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'open'"
    "    CHECK (state IN ('open', 'transferred', 'withdrawn', 'returned', 'lost')),"
    "  decided_by TEXT NOT NULL DEFAULT '', decided_us INTEGER NOT NULL DEFAULT 0, request TEXT NOT NULL DEFAULT ''"
    ");"
    "CREATE UNIQUE INDEX meter_swap_open ON meter_swap (node, channel) WHERE state = 'open';"
    "CREATE UNIQUE INDEX meter_swap_request ON meter_swap (request) WHERE request <> '';",
    // 11: what a swap is about, so that deciding it once more clears nothing newer, and the command that clears it.
    "ALTER TABLE meter_swap RENAME TO meter_swap_before;"
    "CREATE TABLE meter_swap ("
    "  id INTEGER PRIMARY KEY, node INTEGER NOT NULL REFERENCES node(id), channel INTEGER NOT NULL,"
    "  meter_before TEXT NOT NULL, meter_after TEXT NOT NULL, opened_us INTEGER NOT NULL,"
    "  balance_wh INTEGER NOT NULL, pending_wh INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'open'"
    "    CHECK (state IN ('open', 'transferred', 'withdrawn', 'refused', 'returned', 'lost')),"
    "  decided_by TEXT NOT NULL DEFAULT '', decided_us INTEGER NOT NULL DEFAULT 0, request TEXT NOT NULL DEFAULT '',"
    "  token_count INTEGER NOT NULL DEFAULT 0, command INTEGER NOT NULL DEFAULT 0"
    ");"
    "INSERT INTO meter_swap (id, node, channel, meter_before, meter_after, opened_us, balance_wh, pending_wh, state,"
    "  decided_by, decided_us, request) SELECT id, node, channel, meter_before, meter_after, opened_us, balance_wh,"
    "  pending_wh, state, decided_by, decided_us, request FROM meter_swap_before;"
    "DROP TABLE meter_swap_before;"
    "CREATE UNIQUE INDEX meter_swap_open ON meter_swap (node, channel) WHERE state = 'open';"
    "CREATE UNIQUE INDEX meter_swap_request ON meter_swap (request) WHERE request <> '';",
    // 12: swaps that were open before there were counts get theirs. Nothing has been sold to their channels since.
    "UPDATE meter_swap SET token_count = (SELECT max(count) + 1 + max(count) % 2 FROM ("
    "  SELECT 0 AS count UNION ALL SELECT count FROM purchase JOIN control ON control.node = purchase.node"
    "    AND control.era = purchase.era WHERE purchase.node = meter_swap.node AND purchase.channel = meter_swap.channel"
    "  UNION ALL SELECT count FROM movement JOIN control ON control.node = movement.node"
    "    AND control.era = movement.era WHERE movement.node = meter_swap.node"
    "    AND movement.channel = meter_swap.channel)) WHERE state = 'open' AND token_count = 0;",
};

#define MIGRATION_COUNT ((int)(sizeof s_migrations / sizeof s_migrations[0]))

int mmi_hq_schema_version(void) {
    return MIGRATION_COUNT;
}

static bool read_integer(sqlite3 *db, const char *sql, int64_t *value) {
    sqlite3_stmt *statement = NULL;
    bool good = sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW;
    *value = good ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return good;
}

static bool execute(sqlite3 *db, const char *sql) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

// The marks that make an empty file ours, and its name, random unless one is given.
static bool create_identity(sqlite3 *db, uint64_t database_id) {
    while (database_id == 0) {
        // wait: the kernel's random numbers are ready, once after power-up | until outside: the kernel | then HQ starts
        if (getrandom(&database_id, sizeof database_id, 0) != (ssize_t)sizeof database_id) {
            return false;
        }
    }
    char sql[128];
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; INSERT INTO total (id, database_id) VALUES (1, %lld);",
             MMI_HQ_APPLICATION_ID, (long long)database_id);
    return execute(db, sql);
}

static bool migrate_step(sqlite3 *db, int version, uint64_t database_id, mm_hq_error_t *error) {
    char mark[64];
    snprintf(mark, sizeof mark, "PRAGMA user_version = %d;", version + 1);
    if (execute(db, "BEGIN IMMEDIATE;") && execute(db, s_migrations[version]) &&
        (version > 0 || create_identity(db, database_id)) && execute(db, mark) && execute(db, "COMMIT;")) {
        return true;
    }
    mm_hq_error_set(error, "migration of the database from version %d to %d failed: %s", version, version + 1,
                    sqlite3_errmsg(db));
    execute(db, "ROLLBACK;");
    return false;
}

bool mmi_hq_schema_migrate(sqlite3 *db, uint64_t database_id, mm_hq_error_t *error) {
    int64_t version = 0;
    int64_t application_id = 0;
    int64_t table_count = 0;
    if (!read_integer(db, "PRAGMA user_version;", &version) ||
        !read_integer(db, "PRAGMA application_id;", &application_id) ||
        !read_integer(db, "SELECT count(*) FROM sqlite_schema;", &table_count)) {
        mm_hq_error_set(error, "cannot be read: %s", sqlite3_errmsg(db));
        return false;
    }
    bool is_empty = version == 0 && application_id == 0 && table_count == 0;
    if (!is_empty && application_id != MMI_HQ_APPLICATION_ID) {
        mm_hq_error_set(error, "is a database of another program; choose another file");
        return false;
    }
    if (version > MIGRATION_COUNT) {
        mm_hq_error_set(error,
                        "has schema version %lld, this program knows up to %d; use the newer meshmeter that wrote it",
                        (long long)version, MIGRATION_COUNT);
        return false;
    }
    for (int step = (int)version; step < MIGRATION_COUNT; step++) {
        if (!migrate_step(db, step, database_id, error)) {
            return false;
        }
    }
    return true;
}
