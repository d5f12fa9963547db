// SPDX-License-Identifier: Apache-2.0
#include <cmocka.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What longjmp brings back to the run of a test.
enum {
    TEST_PASSED = 0,
    TEST_FAILED = 1,
    TEST_SKIPPED = 2
};

jmp_buf mm_harness_assert_place;
volatile int mm_harness_assert_expected;

static jmp_buf s_test_place;
static volatile int s_test_runs;

static void print_to_test(const char *format, va_list arguments) {
    (void)vprintf(format, arguments);
    (void)fflush(stdout);
}

void print_message(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print_to_test(format, arguments);
    va_end(arguments);
}

void print_error(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print_to_test(format, arguments);
    va_end(arguments);
}

static _Noreturn void leave_test(int how) {
    mm_harness_assert_expected = 0;
    if (s_test_runs) {
        longjmp(s_test_place, how);
    }
    print_error("outside of a test\n");
    exit(EXIT_FAILURE);
}

_Noreturn void mm_harness_fail(const char *file, int line, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print_error("%s:%d: ", file, line);
    print_to_test(format, arguments);
    print_error("\n");
    va_end(arguments);
    leave_test(TEST_FAILED);
}

_Noreturn void mm_harness_skip(const char *file, int line) {
    print_message("skip: %s:%d\n", file, line);
    leave_test(TEST_SKIPPED);
}

void mm_harness_equal(uintmax_t left, uintmax_t right, const char *file, int line) {
    if (left != right) {
        mm_harness_fail(file, line, "0x%" PRIxMAX " is not 0x%" PRIxMAX, left, right);
    }
}

void mm_harness_not_equal(uintmax_t left, uintmax_t right, const char *file, int line) {
    if (left == right) {
        mm_harness_fail(file, line, "both are 0x%" PRIxMAX, left);
    }
}

void mm_harness_true(int condition, const char *expression, const char *file, int line) {
    if (!condition) {
        mm_harness_fail(file, line, "%s", expression);
    }
}

void mm_harness_range(uintmax_t value, uintmax_t least, uintmax_t most, const char *file, int line) {
    if (value < least || value > most) {
        mm_harness_fail(file, line, "%" PRIuMAX " is not within %" PRIuMAX "..%" PRIuMAX, value, least, most);
    }
}

void mm_harness_string(const char *left, const char *right, int want_equal, const char *file, int line) {
    if ((strcmp(left, right) == 0) != want_equal) {
        mm_harness_fail(file, line, "\"%s\" %s \"%s\"", left, want_equal ? "is not" : "is", right);
    }
}

void mm_harness_memory(const void *left, const void *right, size_t bytes_count, int want_equal, const char *file,
                       int line) {
    if ((memcmp(left, right, bytes_count) == 0) == want_equal) {
        return;
    }
    const unsigned char *lefts = left;
    const unsigned char *rights = right;
    size_t place = 0;
    while (place < bytes_count && lefts[place] == rights[place]) {
        place++;
    }
    if (!want_equal) {
        mm_harness_fail(file, line, "%zu bytes are equal", bytes_count);
    }
    mm_harness_fail(file, line, "byte %zu of %zu: 0x%02x is not 0x%02x", place, bytes_count, lefts[place],
                    rights[place]);
}

void mock_assert(int result, const char *expression, const char *file, int line) {
    if (result) {
        return;
    }
    if (mm_harness_assert_expected) {
        longjmp(mm_harness_assert_place, 1);
    }
    if (s_test_runs) {
        mm_harness_fail(file, line, "assertion failed: %s", expression);
    }
}

// Setup, test and teardown are one run: a failure in any of them is the test's. The teardown runs after a failure too.
static int run_part(void (*test)(void **state), mm_harness_setup_t part, void **state) {
    int how = setjmp(s_test_place);
    if (how != 0) {
        s_test_runs = 0;
        return how;
    }
    s_test_runs = 1;
    bool failed = false;
    if (test != NULL) {
        test(state);
    } else if (part != NULL) {
        failed = part(state) != 0;
    }
    s_test_runs = 0;
    return failed ? TEST_FAILED : TEST_PASSED;
}

static int run_test(const struct CMUnitTest *test, void *group_state) {
    // In memory across the jumps.
    static void *s_state;
    s_state = group_state;
    int how = run_part(NULL, test->setup, &s_state);
    if (how == TEST_PASSED) {
        how = run_part(test->test, NULL, &s_state);
    }
    int teardown = run_part(NULL, test->teardown, &s_state);
    return how == TEST_PASSED ? teardown : how;
}

int mm_harness_run(const char *group, const struct CMUnitTest *tests, size_t test_count, mm_harness_setup_t setup,
                   mm_harness_setup_t teardown) {
    static void *s_group_state;
    static const char *const words[] = {"ok", "FAILED", "skipped"};
    size_t counts[3] = {0};
    if (run_part(NULL, setup, &s_group_state) != TEST_PASSED) {
        print_error("FAILED: setup of %s\n", group);
        return 1;
    }
    for (size_t i = 0; i < test_count; i++) {
        int how = run_test(&tests[i], s_group_state);
        counts[how]++;
        print_message("%s: %s\n", words[how], tests[i].name);
    }
    if (run_part(NULL, teardown, &s_group_state) != TEST_PASSED) {
        print_error("FAILED: teardown of %s\n", group);
        counts[TEST_FAILED]++;
    }
    print_message("harness: passed=%zu failed=%zu skipped=%zu\n", counts[TEST_PASSED], counts[TEST_FAILED],
                  counts[TEST_SKIPPED]);
    return counts[TEST_FAILED] > 0 ? 1 : 0;
}
