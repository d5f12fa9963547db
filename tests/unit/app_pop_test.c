// SPDX-License-Identifier: Apache-2.0
#include "node_pop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_support.h"

#define BEGIN_US INT64_C(1000000000)

static node_pop_t with_code(const char *code) {
    node_pop_t pop = {.has_code = true};
    snprintf(pop.code, sizeof pop.code, "%s", code);
    return pop;
}

static void test_only_the_whole_code_is_good(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",          "label-12",   "label-1234",
        "Label-123", "label-123 ", "label-123label-123label-123label-123label-123label-123label-123label-123",
    };
    uint32_t wait_s = 7;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        node_pop_t pop = with_code("label-123");
        assert_int_equal(node_pop_judge(&pop, wrong[i], BEGIN_US, &wait_s), NODE_POP_WRONG);
        assert_int_equal(wait_s, 0);
        assert_int_equal(node_pop_judge(&pop, "label-123", BEGIN_US, &wait_s), NODE_POP_GOOD);
    }
    node_pop_t none = {0};
    assert_int_equal(node_pop_judge(&none, "", BEGIN_US, &wait_s), NODE_POP_NONE);
}

static void test_lock_outs_double(void **state) {
    (void)state;
    // 10 s doubling to 1,280 s: 10, 20, 40, 80, 160, 320, 640, 1280, 1280, …
    static const uint32_t lock_outs_s[] = {10, 20, 40, 80, 160, 320, 640, 1280, 1280, 1280};
    node_pop_t pop = with_code("x");
    int64_t now_us = BEGIN_US;
    uint32_t wait_s = 0;
    for (size_t i = 0; i < sizeof lock_outs_s / sizeof lock_outs_s[0]; i++) {
        for (int try = 1; try <= 5; try++) {
            assert_int_equal(node_pop_judge(&pop, "y", now_us, &wait_s), NODE_POP_WRONG);
            assert_int_equal(wait_s, try == 5 ? lock_outs_s[i] : 0);
        }
        now_us += lock_outs_s[i] * INT64_C(1000000);
        assert_int_equal(node_pop_judge(&pop, "x", now_us - 1, &wait_s), NODE_POP_LOCKED_OUT);
        assert_int_equal(wait_s, 1);
    }
    assert_int_equal(node_pop_judge(&pop, "x", now_us, &wait_s), NODE_POP_GOOD);
    for (int try = 1; try <= 5; try++) {
        assert_int_equal(node_pop_judge(&pop, "y", now_us, &wait_s), NODE_POP_WRONG);
    }
    assert_int_equal(wait_s, 10);
}

static void write_label(const char *path, const char *text, mode_t mode) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void test_the_label_is_a_private_file(void **state) {
    (void)state;
    char path[] = "/tmp/mm-pop-XXXXXX";
    mm_linux_message_t message;
    node_pop_t pop;
    uint32_t wait_s = 0;
    int file = mkstemp(path);
    assert_true(file >= 0);
    (void)close(file);
    write_label(path, "abcd-1234\n", 0600);
    assert_true(node_pop_read(&pop, path, &message));
    assert_int_equal(node_pop_judge(&pop, "abcd-1234", BEGIN_US, &wait_s), NODE_POP_GOOD);
    write_label(path, "abcd-1234\n", 0644);
    assert_false(node_pop_read(&pop, path, &message));
    write_label(path, "\n", 0600);
    assert_false(node_pop_read(&pop, path, &message));
    assert_non_null(strstr(message.text, path));
    (void)unlink(path);
    assert_false(node_pop_read(&pop, path, &message));
    assert_true(node_pop_read(&pop, "", &message));
    assert_false(pop.has_code);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_whole_code_is_good),
        cmocka_unit_test(test_lock_outs_double),
        cmocka_unit_test(test_the_label_is_a_private_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
