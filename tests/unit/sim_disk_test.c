// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "sim/sim_disk.h"

// SQLite itself on the emulated disk: what it promises must hold, and what breaks must break it.

static sqlite3 *connect(mm_sim_disk_t *disk) {
    sqlite3 *db = NULL;
    assert_int_equal(
        sqlite3_open_v2("/hq.db", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, mm_sim_disk_vfs_name(disk)),
        SQLITE_OK);
    sqlite3_extended_result_codes(db, 1);
    return db;
}

static int run(sqlite3 *db, const char *sql) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static void must(sqlite3 *db, const char *sql) {
    if (run(db, sql) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
}

// -1: failed.
static long long ask(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    long long value = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        value = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return value;
}

static void assert_whole(sqlite3 *db) {
    assert_int_equal(ask(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check(1)"), 1);
}

static const char s_wal[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
static const char s_table[] = "CREATE TABLE t (n INTEGER PRIMARY KEY, payload BLOB NOT NULL);";
static const char s_insert[] = "INSERT INTO t (payload) VALUES (zeroblob(3000));";

static sqlite3 *connect_wal(mm_sim_disk_t *disk) {
    sqlite3 *db = connect(disk);
    must(db, s_wal);
    assert_int_equal(ask(db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    return db;
}

static sqlite3 *make_table(mm_sim_disk_t *disk) {
    sqlite3 *db = connect_wal(disk);
    must(db, s_table);
    return db;
}

static void test_sim_disk_keeps_what_is_written(void **state) {
    (void)state;
    mm_sim_disk_t *disk = mm_sim_disk_create("kept", 1);
    sqlite3 *db = make_table(disk);
    must(db, "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000)"
             " INSERT INTO t SELECT i, randomblob(2000) FROM c;");
    long long sum = ask(db, "SELECT sum(length(payload)) FROM t");
    assert_int_equal(sum, 4000000);
    must(db, "PRAGMA wal_checkpoint(TRUNCATE); DELETE FROM t WHERE n % 2 = 0;");
    must(db, "VACUUM;"); // temporary files
    sqlite3_close(db);
    db = connect(disk);
    assert_int_equal(ask(db, "SELECT count(*) FROM t"), 1000);
    assert_whole(db);
    sqlite3_close(db);
    mm_sim_disk_destroy(disk);
    assert_null(sqlite3_vfs_find("kept"));
}

static void test_sim_disk_several_connections(void **state) {
    (void)state;
    mm_sim_disk_t *disk = mm_sim_disk_create("several", 1);
    mm_sim_disk_t *other_disk = mm_sim_disk_create("several-2", 1);
    sqlite3 *writer = make_table(disk);
    sqlite3 *reader = connect(disk);
    sqlite3 *stranger = make_table(other_disk);
    must(writer, s_insert);
    must(reader, "BEGIN;");
    assert_int_equal(ask(reader, "SELECT count(*) FROM t"), 1);
    must(writer, s_insert);
    assert_int_equal(ask(reader, "SELECT count(*) FROM t"), 1); // one state from begin to end
    must(reader, "COMMIT;");
    assert_int_equal(ask(reader, "SELECT count(*) FROM t"), 2);
    assert_int_equal(ask(stranger, "SELECT count(*) FROM t"), 0);
    // One writer; the busy time-out passes at once, and in the end it is over.
    must(writer, "BEGIN IMMEDIATE;");
    sqlite3_busy_timeout(reader, 60000);
    assert_int_equal(run(reader, "BEGIN IMMEDIATE;"), SQLITE_BUSY);
    must(writer, "COMMIT;");
    must(reader, s_insert);
    assert_int_equal(ask(writer, "SELECT count(*) FROM t"), 3);
    sqlite3_close(writer);
    sqlite3_close(reader);
    sqlite3_close(stranger);
    mm_sim_disk_destroy(disk);
    mm_sim_disk_destroy(other_disk);
}

// Without WAL: the locks of the file itself.
static void test_sim_disk_rollback_journal(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        mm_sim_disk_t *disk = mm_sim_disk_create("journal", seed);
        sqlite3 *db = connect(disk);
        sqlite3 *reader = connect(disk);
        must(db, "PRAGMA synchronous = EXTRA;");
        must(db, s_table);
        must(db, s_insert);
        must(reader, "BEGIN;");
        assert_int_equal(ask(reader, "SELECT count(*) FROM t"), 1);
        assert_int_equal(run(db, s_insert), SQLITE_BUSY);
        must(reader, "COMMIT;");
        must(db, s_insert);
        must(db, "PRAGMA cache_size = 1; BEGIN IMMEDIATE;");
        assert_int_equal(run(reader, "BEGIN IMMEDIATE;"), SQLITE_BUSY);
        assert_int_equal(ask(reader, "SELECT count(*) FROM t"), 2);
        for (int count = 0; count < 20; count++) {
            must(db, s_insert); // spills into the database file, which nobody else can read now
        }
        assert_int_equal(ask(reader, "SELECT count(*) FROM t"), -1);
        assert_int_equal(sqlite3_errcode(reader), SQLITE_BUSY);
        mm_sim_disk_crash(disk);
        sqlite3_close(db);
        sqlite3_close(reader);
        db = connect(disk);
        assert_int_equal(ask(db, "SELECT count(*) FROM t"), 2);
        assert_whole(db);
        sqlite3_close(db);
        mm_sim_disk_destroy(disk);
    }
}

// Committed rows are there after a power cut; those of the open transaction are not.
static void test_sim_disk_crash_keeps_what_is_committed(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        mm_sim_disk_t *disk = mm_sim_disk_create("crash", seed);
        sqlite3 *db = make_table(disk);
        for (uint64_t count = 0; count < seed % 7 + 1; count++) {
            must(db, s_insert);
        }
        if (seed % 3 == 0) {
            must(db, "PRAGMA wal_checkpoint(PASSIVE);");
        }
        must(db, "PRAGMA cache_size = 1; BEGIN IMMEDIATE;");
        for (int count = 0; count < 30; count++) {
            must(db, s_insert); // spills into the WAL, unsynced
        }
        mm_sim_disk_crash(disk);
        assert_int_not_equal(run(db, "COMMIT;"), SQLITE_OK);
        assert_int_equal(ask(db, "SELECT count(*) FROM t"), -1);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        db = connect(disk);
        assert_int_equal(ask(db, "SELECT count(*) FROM t"), (long long)(seed % 7 + 1));
        assert_whole(db);
        sqlite3_close(db);
        mm_sim_disk_destroy(disk);
    }
}

// The disk must be able to lose: without syncs, transactions that were reported as committed are gone.
static void test_sim_disk_crash_takes_what_is_not_synced(void **state) {
    (void)state;
    int losses = 0;
    int corruptions = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        mm_sim_disk_t *disk = mm_sim_disk_create("unsynced", seed);
        sqlite3 *db = make_table(disk);
        must(db, "PRAGMA synchronous = OFF;");
        for (int count = 0; count < 10; count++) {
            must(db, s_insert);
        }
        must(db, "PRAGMA wal_checkpoint(TRUNCATE);");
        must(db, s_insert);
        mm_sim_disk_crash(disk);
        sqlite3_close(db);
        db = connect(disk);
        bool whole = ask(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check(1)") == 1;
        losses += whole && ask(db, "SELECT count(*) FROM t") < 11;
        corruptions += !whole;
        sqlite3_close(db);
        mm_sim_disk_destroy(disk);
    }
    assert_true(losses > 10);
    assert_true(corruptions > 10);
}

static void test_sim_disk_cut_inside_of_each_call(void **state) {
    (void)state;
    uint64_t cuts = 0;
    bool finished = false;
    for (uint64_t after = 0; !finished; after++) {
        mm_sim_disk_t *disk = mm_sim_disk_create("cut", after);
        mm_sim_disk_cut_after(disk, MM_SIM_DISK_ALL, after);
        sqlite3 *db = NULL;
        sqlite3_open_v2("/hq.db", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, mm_sim_disk_vfs_name(disk));
        long long committed = 0;
        if (run(db, s_wal) == SQLITE_OK && run(db, s_table) == SQLITE_OK) {
            while (committed < 20 && run(db, s_insert) == SQLITE_OK) {
                committed++;
                run(db, committed % 5 == 0 ? "PRAGMA wal_checkpoint(TRUNCATE);" : "SELECT 1;");
            }
        }
        sqlite3_close(db);
        finished = !mm_sim_disk_is_off(disk);
        cuts += mm_sim_disk_crashes(disk);
        mm_sim_disk_up(disk);
        db = connect(disk);
        long long found = ask(db, "SELECT count(*) FROM t");
        // The one that was cut may have got through.
        assert_true(committed == 0 || found == committed || (found == committed + 1 && !finished));
        assert_whole(db);
        sqlite3_close(db);
        mm_sim_disk_destroy(disk);
    }
    assert_true(cuts > 100);
}

static void test_sim_disk_full(void **state) {
    (void)state;
    mm_sim_disk_t *disk = mm_sim_disk_create("full", 1);
    sqlite3 *db = make_table(disk);
    must(db, s_insert);
    mm_sim_disk_set_full(disk, 30000);
    int code = SQLITE_OK;
    int committed = 1;
    while (committed < 100 && (code = run(db, s_insert)) == SQLITE_OK) {
        committed++;
    }
    assert_int_equal(code, SQLITE_FULL);
    assert_in_range(committed, 2, 7);
    assert_int_equal(ask(db, "SELECT count(*) FROM t"), committed);
    assert_int_equal(run(db, s_insert), SQLITE_FULL);
    mm_sim_disk_set_full(disk, -1);
    must(db, s_insert);
    assert_int_equal(ask(db, "SELECT count(*) FROM t"), committed + 1);
    assert_whole(db);
    // What is cut off makes room.
    int64_t used_bytes = mm_sim_disk_used_bytes(disk);
    must(db, "PRAGMA wal_checkpoint(TRUNCATE);");
    assert_true(mm_sim_disk_used_bytes(disk) < used_bytes);
    sqlite3_close(db);
    // The database alone is left: a header, a schema, rows.
    assert_int_equal(mm_sim_disk_used_bytes(disk), 4096 * (2 + (committed + 1)));
    mm_sim_disk_destroy(disk);
}

static bool use(mm_sim_disk_t *disk) {
    sqlite3 *db = NULL;
    bool good = sqlite3_open_v2("/hq.db", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                mm_sim_disk_vfs_name(disk)) == SQLITE_OK &&
                run(db, s_wal) == SQLITE_OK && run(db, s_insert) == SQLITE_OK &&
                run(db, "PRAGMA wal_checkpoint(TRUNCATE);") == SQLITE_OK;
    sqlite3_close(db);
    return good;
}

// Each kind is called, each of its failures is seen or without harm, and none of them is left behind.
static void test_sim_disk_each_kind_fails(void **state) {
    (void)state;
    for (unsigned kind = 1; kind < MM_SIM_DISK_ALL; kind <<= 1) {
        mm_sim_disk_t *disk = mm_sim_disk_create("kinds", kind);
        sqlite3_close(make_table(disk));
        uint64_t calls_before = mm_sim_disk_calls(disk, kind);
        assert_true(use(disk));
        uint64_t calls = mm_sim_disk_calls(disk, kind) - calls_before;
        // Of the journal of the database's first transaction, asked only when it is found locked.
        assert_true(calls > 0 || kind == MM_SIM_DISK_CHECK_LOCK);
        bool seen = false;
        for (uint64_t after = 0; after < calls; after++) {
            mm_sim_disk_fail(disk, kind, after, after % 2 == 0 ? 1 : UINT64_MAX);
            uint64_t failures = mm_sim_disk_failures(disk);
            seen |= !use(disk);
            assert_true(mm_sim_disk_failures(disk) > failures);
            mm_sim_disk_fail(disk, 0, 0, 0);
            assert_true(use(disk));
        }
        // Deleting the WAL, unlocking and asking for a size that reading tells as well may fail unseen.
        assert_true(seen || (kind & (MM_SIM_DISK_UNLOCK | MM_SIM_DISK_CHECK_LOCK | MM_SIM_DISK_DELETE)) != 0);
        sqlite3 *db = connect(disk);
        assert_whole(db);
        sqlite3_close(db);
        mm_sim_disk_destroy(disk);
    }
}

static void test_sim_disk_backup_and_restore(void **state) {
    (void)state;
    mm_sim_disk_t *disk = mm_sim_disk_create("backup", 1);
    sqlite3 *db = make_table(disk);
    must(db, s_insert);
    must(db, "BEGIN IMMEDIATE;");
    assert_null(mm_sim_disk_backup(disk)); // not in the middle of a transaction
    must(db, "COMMIT;");
    mm_sim_disk_backup_t *backup = mm_sim_disk_backup(disk);
    assert_non_null(backup);
    int64_t used_bytes = mm_sim_disk_used_bytes(disk);
    must(db, s_insert);
    must(db, s_insert);
    for (int round = 0; round < 2; round++) {
        assert_true(mm_sim_disk_restore(disk, backup));
        assert_int_equal(ask(db, "SELECT count(*) FROM t"), -1); // what was open is dead
        sqlite3_close(db);
        mm_sim_disk_crash(disk); // the restored files are durable
        db = connect(disk);
        assert_int_equal(ask(db, "SELECT count(*) FROM t"), 1);
        assert_whole(db);
        assert_int_equal(mm_sim_disk_used_bytes(disk), used_bytes);
        must(db, s_insert);
        assert_int_equal(ask(db, "SELECT count(*) FROM t"), 2);
    }
    sqlite3_close(db);
    mm_sim_disk_backup_free(backup);
    mm_sim_disk_destroy(disk);
}

// A failed sync is not made good by a later one that succeeds.
static void test_sim_disk_failed_sync_is_not_forgiven(void **state) {
    (void)state;
    int losses = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        mm_sim_disk_t *disk = mm_sim_disk_create("fsync", seed);
        sqlite3 *db = make_table(disk);
        must(db, s_insert);
        mm_sim_disk_fail(disk, MM_SIM_DISK_SYNC, 0, 1);
        assert_int_equal(run(db, s_insert), SQLITE_IOERR_FSYNC);
        must(db, s_insert);
        mm_sim_disk_crash(disk);
        sqlite3_close(db);
        db = connect(disk);
        assert_int_equal(ask(db, "SELECT count(*) FROM t"), 2); // SQLite knows, and writes it all again
        assert_whole(db);
        must(db, "PRAGMA synchronous = OFF;");
        must(db, s_insert);
        sqlite3_file *wal = NULL;
        assert_int_equal(sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal), SQLITE_OK);
        mm_sim_disk_fail(disk, MM_SIM_DISK_SYNC, 0, 1);
        assert_int_equal(wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL), SQLITE_IOERR_FSYNC);
        assert_int_equal(wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL), SQLITE_OK);
        mm_sim_disk_crash(disk);
        sqlite3_close(db);
        db = connect(disk);
        losses += ask(db, "SELECT count(*) FROM t") == 2;
        sqlite3_close(db);
        mm_sim_disk_destroy(disk);
    }
    assert_in_range(losses, 10, 59);
}

static void test_sim_disk_same_seed_same_bytes(void **state) {
    (void)state;
    uint32_t sums[3];
    for (unsigned index = 0; index < 3; index++) {
        mm_sim_disk_t *disk = mm_sim_disk_create("same", index < 2 ? 7 : 8);
        sqlite3 *db = make_table(disk);
        must(db, "INSERT INTO t (payload) VALUES (randomblob(100));");
        must(db, "INSERT INTO t (payload) VALUES (datetime('now'));");
        must(db, "PRAGMA cache_size = 1; BEGIN IMMEDIATE;");
        for (int count = 0; count < 30; count++) {
            must(db, s_insert);
        }
        mm_sim_disk_crash(disk);
        sqlite3_close(db);
        sums[index] = mm_sim_disk_checksum(disk);
        mm_sim_disk_destroy(disk);
    }
    assert_int_equal(sums[0], sums[1]);
    assert_int_not_equal(sums[0], sums[2]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sim_disk_keeps_what_is_written),
        cmocka_unit_test(test_sim_disk_several_connections),
        cmocka_unit_test(test_sim_disk_rollback_journal),
        cmocka_unit_test(test_sim_disk_crash_keeps_what_is_committed),
        cmocka_unit_test(test_sim_disk_crash_takes_what_is_not_synced),
        cmocka_unit_test(test_sim_disk_cut_inside_of_each_call),
        cmocka_unit_test(test_sim_disk_full),
        cmocka_unit_test(test_sim_disk_each_kind_fails),
        cmocka_unit_test(test_sim_disk_backup_and_restore),
        cmocka_unit_test(test_sim_disk_failed_sync_is_not_forgiven),
        cmocka_unit_test(test_sim_disk_same_seed_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
