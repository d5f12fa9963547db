// SPDX-License-Identifier: Apache-2.0
#include "hq_command_world.h"

static void test_operators_token(void **state) {
    command_world_t *world = *state;
    char token[MM_OPERATOR_TOKEN_BYTES];
    char other[MM_OPERATOR_TOKEN_BYTES];
    char name[MM_OPERATOR_NAME_CHARS_MAX + 1];
    mm_hq_error_t error;
    assert_int_equal(mm_operator_add(world->desk, "ana", world->now_us, token, &error), MM_DESK_OK);
    assert_int_equal(mm_operator_add(world->desk, "b.c-9", world->now_us, other, &error), MM_DESK_OK);
    assert_int_equal(strlen(token), 64);
    assert_int_equal(strspn(token, "0123456789abcdef"), 64);
    assert_string_not_equal(token, other);
    assert_true(mm_operator_of(world->desk, token, name));
    assert_string_equal(name, "ana");
    assert_true(mm_operator_of(world->desk, other, name));
    assert_string_equal(name, "b.c-9");
    // Every wrong digit, and wrong lengths.
    for (size_t index = 0; index < 64; index++) {
        char wrong[MM_OPERATOR_TOKEN_BYTES];
        memcpy(wrong, token, sizeof wrong);
        wrong[index] = wrong[index] == '0' ? '1' : '0';
        assert_false(mm_operator_of(world->desk, wrong, name));
        assert_string_equal(name, "");
    }
    assert_false(mm_operator_of(world->desk, "", name));
    assert_false(mm_operator_of(world->desk, token + 1, name));
    // The database does not know it.
    sqlite3_stmt *find;
    assert_int_equal(sqlite3_prepare_v2(mmi_desk_db(world->desk),
                                        "SELECT count(*) FROM operator WHERE hex(token_sha256) = upper(?1)", -1, &find,
                                        NULL),
                     SQLITE_OK);
    sqlite3_bind_text(find, 1, token, -1, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(find), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(find, 0), 0);
    sqlite3_finalize(find);
}

static void test_operators_names(void **state) {
    command_world_t *world = *state;
    static const char *const wrong[] = {"", "A", "a b", "a_b", "ä", "a/b", "abcdefghijklmnopqrstuvwxyz0123456"};
    char token[MM_OPERATOR_TOKEN_BYTES];
    mm_hq_error_t error;
    for (size_t index = 0; index < sizeof wrong / sizeof wrong[0]; index++) {
        assert_int_equal(mm_operator_add(world->desk, wrong[index], world->now_us, token, &error), MM_DESK_REFUSED);
        assert_non_null(strstr(error.text, "1 to 32"));
        assert_string_equal(token, "");
    }
    assert_int_equal(mm_operator_add(world->desk, "abcdefghijklmnopqrstuvwxyz012345", world->now_us, token, &error),
                     MM_DESK_OK);
    assert_int_equal(mm_operator_add(world->desk, "abcdefghijklmnopqrstuvwxyz012345", world->now_us, token, &error),
                     MM_DESK_REFUSED);
    assert_non_null(strstr(error.text, "one already"));
    assert_string_equal(token, "");
}

static bool count(void *context, const char *name, int64_t added_us) {
    assert_string_equal(name, "ana");
    assert_true(added_us == HQ_UTC_US);
    ++*(int *)context;
    return true;
}

static void test_operators_remove_and_list(void **state) {
    command_world_t *world = *state;
    char token[MM_OPERATOR_TOKEN_BYTES];
    char name[MM_OPERATOR_NAME_CHARS_MAX + 1];
    mm_hq_error_t error;
    int listed = 0;
    assert_int_equal(mm_operator_remove(world->desk, "ana", world->now_us, &error), MM_DESK_NOT_FOUND);
    assert_int_equal(mm_operator_add(world->desk, "ana", world->now_us, token, &error), MM_DESK_OK);
    assert_int_equal(mm_operator_list(world->desk, count, &listed, &error), MM_DESK_OK);
    assert_int_equal(listed, 1);
    assert_int_equal(mm_operator_remove(world->desk, "ana", world->now_us, &error), MM_DESK_OK);
    assert_false(mm_operator_of(world->desk, token, name));
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM audit WHERE action IN ('operator add',"
                                              " 'operator remove') AND detail = 'ana'"),
                     2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, command_world_setup, command_world_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_operators_token),
        TEST(test_operators_names),
        TEST(test_operators_remove_and_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
