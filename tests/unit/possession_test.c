// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/possession.h"

#include <string.h>

#include "test_support.h"

#define BEGIN_US INT64_C(1000000000)

static void test_possession_only_the_whole_code_is_good(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",          "label-12",   "label-1234",
        "Label-123", "label-123 ", "label-123label-123label-123label-123label-123label-123label-123label-123",
    };
    uint32_t wait_s = 7;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        mm_possession_t label = {.code = "label-123"};
        assert_int_equal(mm_possession_judge(&label, wrong[i], BEGIN_US, &wait_s), MM_POSSESSION_WRONG);
        assert_int_equal(wait_s, 0);
        assert_int_equal(mm_possession_judge(&label, "label-123", BEGIN_US, &wait_s), MM_POSSESSION_GOOD);
    }
    mm_possession_t none[] = {{.code = ""}, {.code = NULL}};
    assert_int_equal(mm_possession_judge(&none[0], "", BEGIN_US, &wait_s), MM_POSSESSION_NONE);
    assert_int_equal(mm_possession_judge(&none[1], "", BEGIN_US, &wait_s), MM_POSSESSION_NONE);
}

static void test_possession_the_longest_code(void **state) {
    (void)state;
    char longest[MM_POSSESSION_CHARS_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[MM_POSSESSION_CHARS_MAX + 1] = '\0';
    mm_possession_t label = {.code = longest + 1};
    uint32_t wait_s;
    assert_int_equal(mm_possession_judge(&label, longest, BEGIN_US, &wait_s), MM_POSSESSION_WRONG); // one too many
    assert_int_equal(mm_possession_judge(&label, longest + 2, BEGIN_US, &wait_s), MM_POSSESSION_WRONG);
    assert_int_equal(mm_possession_judge(&label, longest + 1, BEGIN_US, &wait_s), MM_POSSESSION_GOOD);
}

static void test_possession_lock_outs_double(void **state) {
    (void)state;
    // 10 s doubling to 1,280 s: 10, 20, 40, 80, 160, 320, 640, 1280, 1280, …
    static const uint32_t lock_outs_s[] = {10, 20, 40, 80, 160, 320, 640, 1280, 1280, 1280};
    mm_possession_t label = {.code = "x"};
    int64_t now_us = BEGIN_US;
    uint32_t wait_s = 0;
    for (size_t i = 0; i < sizeof lock_outs_s / sizeof lock_outs_s[0]; i++) {
        for (int try = 1; try <= 5; try++) {
            assert_int_equal(mm_possession_judge(&label, "y", now_us, &wait_s), MM_POSSESSION_WRONG);
            assert_int_equal(wait_s, try == 5 ? lock_outs_s[i] : 0);
        }
        now_us += lock_outs_s[i] * INT64_C(1000000);
        assert_int_equal(mm_possession_judge(&label, "x", now_us - 1, &wait_s), MM_POSSESSION_LOCKED_OUT);
        assert_int_equal(wait_s, 1);
    }
    assert_int_equal(mm_possession_judge(&label, "x", now_us, &wait_s), MM_POSSESSION_GOOD);
    for (int try = 1; try <= 5; try++) {
        assert_int_equal(mm_possession_judge(&label, "y", now_us, &wait_s), MM_POSSESSION_WRONG);
    }
    assert_int_equal(wait_s, 10);
}

static void test_lock_out_of_before_a_restart(void **state) {
    (void)state;
    mm_lock_out_t lock_out = {0};
    mm_lock_out_init(&lock_out, UINT8_MAX, BEGIN_US);
    assert_int_equal(mm_lock_out_wait_s(&lock_out, BEGIN_US), 1280);
    for (int try = 1; try <= MM_LOCK_OUT_TRIES; try++) {
        assert_int_equal(mm_lock_out_wrong(&lock_out, BEGIN_US), try == MM_LOCK_OUT_TRIES);
    }
    assert_int_equal(lock_out.in_a_row, UINT8_MAX); // it does not begin again at 0
    mm_lock_out_good(&lock_out);
    mm_lock_out_init(&lock_out, 0, BEGIN_US);
    assert_int_equal(mm_lock_out_wait_s(&lock_out, BEGIN_US), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_possession_only_the_whole_code_is_good),
        cmocka_unit_test(test_possession_the_longest_code),
        cmocka_unit_test(test_possession_lock_outs_double),
        cmocka_unit_test(test_lock_out_of_before_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
