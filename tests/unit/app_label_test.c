// SPDX-License-Identifier: Apache-2.0
#include "node_label.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_support.h"

static void write_label(const char *path, const char *text, mode_t mode) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void test_the_label_is_a_private_file(void **state) {
    (void)state;
    char path[] = "/tmp/mm-label-XXXXXX";
    char code[MM_POSSESSION_CHARS_MAX + 1];
    mm_linux_message_t message;
    int file = mkstemp(path);
    assert_true(file >= 0);
    (void)close(file);
    write_label(path, "abcd-1234\n", 0600);
    assert_true(node_label_read(path, code, &message));
    assert_string_equal(code, "abcd-1234");
    write_label(path, "abcd-1234\n", 0644);
    assert_false(node_label_read(path, code, &message));
    write_label(path, "\n", 0600);
    assert_false(node_label_read(path, code, &message));
    assert_non_null(strstr(message.text, path));
    (void)unlink(path);
    assert_false(node_label_read(path, code, &message));
    assert_true(node_label_read("", code, &message));
    assert_string_equal(code, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_label_is_a_private_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
