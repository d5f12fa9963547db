// SPDX-License-Identifier: Apache-2.0
#include "hq_support.h"

#include "store_query.h"

// A month's closing at HQ.

static void execute(const hq_world_t *world, const char *sql) {
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(world->database, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
        fail_msg("%s", message);
    }
    sqlite3_close(db);
}

static mm_record_t closing_of(uint32_t month_pulses, uint64_t life_pulses) {
    mm_record_t record = {.type = MM_RECORD_MONTH_CLOSING};
    record.month_closing = (mm_month_closing_record_t){.channel = 3,
                                                       .year_month = 2024 * 12 + 4,
                                                       .pulse_constant = 1000,
                                                       .life_pulses = life_pulses,
                                                       .month_pulses = month_pulses,
                                                       .closed = {(uint64_t)HQ_UTC_S, MM_TRUST_SYNCED}};
    record.month_closing.hours_pulses[7] = month_pulses;
    return record;
}

typedef struct {
    unsigned count;
    mm_query_month_t month;
} months_t;

static bool take_month(void *context, const mm_query_month_t *month) {
    months_t *months = context;
    months->count++;
    months->month = *month;
    return true;
}

static months_t query_months(hq_world_t *world) {
    months_t months = {0};
    mm_hq_error_t error;
    mm_query_t *query = mm_query_open(world->database, &error);
    assert_non_null(query);
    assert_true(mm_query_months(query, 1, 3, take_month, &months));
    mm_query_close(query);
    return months;
}

// May was closed with 44 pulses, when the clock stepped into another month, and again with 1,278 more. The second
// statement comes twice: a full journal carried it over to another position. In whatever order they arrive.
// A database of version 2 has none of the tables that came after it.
static void drop_later_tables(const hq_world_t *world) {
    static const char *const s_kept =
        "'total', 'site', 'node', 'record', 'span', 'gap', 'thinned', 'snapshot', 'meter',"
        " 'month', 'event', 'incident', 'quarantine', 'legacy_meter', 'legacy_reading',"
        " 'notice', 'sqlite_sequence'";
    char sql[512];
    snprintf(sql, sizeof sql, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN (%s) LIMIT 1",
             s_kept);
    for (;;) {
        char name[64] = "";
        sqlite3 *db = NULL;
        sqlite3_stmt *statement = NULL;
        assert_int_equal(sqlite3_open(world->database, &db), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
        if (sqlite3_step(statement) == SQLITE_ROW) {
            snprintf(name, sizeof name, "%s", (const char *)sqlite3_column_text(statement, 0));
        }
        sqlite3_finalize(statement);
        sqlite3_close(db);
        if (name[0] == '\0') {
            return;
        }
        char drop[96];
        snprintf(drop, sizeof drop, "DROP TABLE \"%s\"", name);
        execute(world, drop);
    }
}

static void test_store_month_closed_in_parts_is_their_sum(void **state) {
    const uint32_t orders[][3] = {{5, 9, 12}, {12, 9, 5}};
    for (size_t order = 0; order < 2; order++) {
        mm_store_t *store = hq_open(*state);
        for (size_t i = 0; i < 3; i++) {
            uint32_t seq = orders[order][i];
            mm_record_t record = seq == 5 ? closing_of(44, 1000) : closing_of(1278, 9000);
            hq_batch_t batch;
            hq_batch_record(&batch, hq_mac(1), 1, seq, &record);
            hq_commit(store, &batch);
        }
        mm_store_close(store);
        months_t months = query_months(*state);
        assert_int_equal(months.count, 1);
        assert_int_equal(months.month.year_month, 2024 * 12 + 4);
        assert_int_equal(months.month.closing.month_pulses, 44 + 1278);
        assert_int_equal(months.month.closing.hours_pulses[7], 44 + 1278);
        assert_int_equal(months.month.closing.life_pulses, 9000);
        // What version 2 had kept of it is made whole again from the records.
        drop_later_tables(*state);
        execute(*state, "DROP TABLE month; CREATE TABLE month (node INTEGER NOT NULL, channel INTEGER NOT NULL,"
                        " year_month INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,"
                        " payload BLOB NOT NULL, PRIMARY KEY (node, channel, year_month)) WITHOUT ROWID;"
                        "PRAGMA user_version = 2;");
        mm_store_close(hq_open(*state));
        months = query_months(*state);
        assert_int_equal(months.count, 1);
        assert_int_equal(months.month.year_month, 2024 * 12 + 4);
        assert_int_equal(months.month.closing.month_pulses, 44 + 1278);
        hq_remove(((hq_world_t *)*state)->directory, "hq.db");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, hq_world_setup, hq_world_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_store_month_closed_in_parts_is_their_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
