// SPDX-License-Identifier: Apache-2.0
#include "sql.h"

#include <stdio.h>

#include "test_support.h"

#define TEXTS 1000 // more than are kept

static sqlite3 *open_numbers(void) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "CREATE TABLE number (value INTEGER PRIMARY KEY, name TEXT);"
                                  "INSERT INTO number VALUES (1, 'one'), (2, 'two'), (3, 'three');",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    return db;
}

static int count_statements(sqlite3 *db) {
    int count = 0;
    for (sqlite3_stmt *each = sqlite3_next_stmt(db, NULL); each != NULL; each = sqlite3_next_stmt(db, each)) {
        count++;
    }
    return count;
}

static int64_t count_above(sqlite3 *db, int64_t least) {
    int64_t count;
    mmi_sql_t query = mmi_sql_begin(db, "SELECT count(*) FROM number WHERE value > ?");
    mmi_sql_put_integer(&query, least);
    assert_true(mmi_sql_value(&query, -1, &count));
    return count;
}

static void test_sql_keeps_a_statement(void **state) {
    (void)state;
    sqlite3 *db = open_numbers();
    assert_int_equal(count_above(db, 1), 2);
    assert_int_equal(count_statements(db), 0);
    mmi_sql_keep(db);
    assert_int_equal(count_above(db, 1), 2);
    sqlite3_stmt *kept = sqlite3_next_stmt(db, NULL);
    assert_int_equal(count_statements(db), 1);
    assert_int_equal(count_above(db, 2), 1);
    assert_ptr_equal(sqlite3_next_stmt(db, NULL), kept);
    assert_int_equal(count_statements(db), 1);
    mmi_sql_drop(db);
    assert_int_equal(count_above(db, 0), 3);
    assert_int_equal(count_statements(db), 0);
    mmi_sql_drop(db);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

// Nothing of its last use is left: values that are not put again are NULL, rows begin at the first, no lock is held.
static void test_sql_begins_anew(void **state) {
    (void)state;
    static const char text[] = "SELECT value, ? FROM number ORDER BY value";
    sqlite3 *db = open_numbers();
    mmi_sql_keep(db);
    mmi_sql_t query = mmi_sql_begin(db, text);
    mmi_sql_put_integer(&query, 7);
    assert_true(mmi_sql_row(&query));
    assert_int_equal(mmi_sql_integer(&query, 1), 7);
    assert_true(mmi_sql_end(&query));
    assert_int_equal(sqlite3_exec(db,
                                  "DROP TABLE number; CREATE TABLE number (value INTEGER, name TEXT);"
                                  "INSERT INTO number VALUES (8, 'eight')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    query = mmi_sql_begin(db, text);
    assert_true(mmi_sql_row(&query));
    assert_int_equal(mmi_sql_integer(&query, 0), 8);
    assert_int_equal(sqlite3_column_type(query.statement, 1), SQLITE_NULL);
    assert_false(mmi_sql_row(&query));
    assert_true(mmi_sql_end(&query));
    mmi_sql_drop(db);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_sql_in_use_twice(void **state) {
    (void)state;
    static const char text[] = "SELECT value FROM number WHERE value > ? ORDER BY value";
    sqlite3 *db = open_numbers();
    mmi_sql_keep(db);
    int rows = 0;
    mmi_sql_t outer = mmi_sql_begin(db, text);
    mmi_sql_put_integer(&outer, 1);
    while (mmi_sql_row(&outer)) {
        mmi_sql_t inner = mmi_sql_begin(db, text);
        mmi_sql_put_integer(&inner, mmi_sql_integer(&outer, 0));
        rows += mmi_sql_row(&inner) ? 100 : 1;
        assert_true(mmi_sql_end(&inner));
    }
    assert_true(mmi_sql_end(&outer));
    assert_int_equal(rows, 101);
    assert_int_equal(count_statements(db), 1);
    mmi_sql_drop(db);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_sql_failure_does_not_stay(void **state) {
    (void)state;
    sqlite3 *db = open_numbers();
    mmi_sql_keep(db);
    for (int turn = 0; turn < 2; turn++) {
        for (int64_t value = 3; value <= 4; value++) {
            mmi_sql_t add = mmi_sql_begin(db, "INSERT INTO number (value) VALUES (?)");
            mmi_sql_put_integer(&add, value + 10 * turn);
            assert_int_equal(mmi_sql_run(&add), turn == 1 || value == 4);
        }
    }
    mmi_sql_t wrong = mmi_sql_begin(db, "SELECT nothing FROM nowhere");
    assert_false(mmi_sql_run(&wrong));
    assert_int_equal(count_statements(db), 1);
    mmi_sql_drop(db);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

// More texts than are kept, from the same memory, on two connections.
static void test_sql_many_texts(void **state) {
    (void)state;
    sqlite3 *dbs[2] = {open_numbers(), open_numbers()};
    mmi_sql_keep(dbs[0]);
    for (int turn = 0; turn < 2; turn++) {
        for (int number = 0; number < TEXTS; number++) {
            char text[40];
            (void)snprintf(text, sizeof text, "SELECT value + %d FROM number", number);
            for (size_t index = 0; index < 2; index++) {
                int64_t value;
                mmi_sql_t query = mmi_sql_begin(dbs[index], text);
                assert_true(mmi_sql_value(&query, -1, &value));
                assert_int_equal(value, 1 + number);
            }
        }
    }
    assert_in_range(count_statements(dbs[0]), 200, TEXTS - 1);
    mmi_sql_drop(dbs[0]);
    for (size_t index = 0; index < 2; index++) {
        assert_int_equal(count_statements(dbs[index]), 0);
        assert_int_equal(sqlite3_close(dbs[index]), SQLITE_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sql_keeps_a_statement), cmocka_unit_test(test_sql_begins_anew),
        cmocka_unit_test(test_sql_in_use_twice),      cmocka_unit_test(test_sql_failure_does_not_stay),
        cmocka_unit_test(test_sql_many_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
