// SPDX-License-Identifier: Apache-2.0
#ifndef MM_MCU_CMOCKA_H
#define MM_MCU_CMOCKA_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

/// The part of cmocka's interface that the core's unit tests use, in our own words, for machines that Debian has no
/// cmocka for: the emulated microcontrollers and -m32 (docs/adr/0013-harness-on-the-chip.md). It stands before the real
/// one in the include path of those builds only, so the files in tests/unit are the same everywhere. Meaning as in
/// cmocka 1.1: integers are compared as uintmax_t, a failure ends the test, group setup and teardown run once.

typedef int (*mm_harness_setup_t)(void **state);

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
    mm_harness_setup_t setup;
    mm_harness_setup_t teardown;
};

#define cmocka_unit_test(function)                                                                                     \
    { .name = #function, .test = function }
#define cmocka_unit_test_setup(function, setup_function)                                                               \
    { .name = #function, .test = function, .setup = setup_function }
#define cmocka_unit_test_teardown(function, teardown_function)                                                         \
    { .name = #function, .test = function, .teardown = teardown_function }
#define cmocka_unit_test_setup_teardown(function, setup_function, teardown_function)                                   \
    { .name = #function, .test = function, .setup = setup_function, .teardown = teardown_function }

/// Runs all, prints a line for each test and one for the group. Result: how many failed, for exit().
#define cmocka_run_group_tests(tests, setup, teardown)                                                                 \
    mm_harness_run(#tests, tests, sizeof tests / sizeof tests[0], setup, teardown)
int mm_harness_run(const char *group, const struct CMUnitTest *tests, size_t test_count, mm_harness_setup_t setup,
                   mm_harness_setup_t teardown);

void print_message(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// Ends the running test.
_Noreturn void mm_harness_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void mm_harness_skip(const char *file, int line);

void mm_harness_equal(uintmax_t left, uintmax_t right, const char *file, int line);
void mm_harness_not_equal(uintmax_t left, uintmax_t right, const char *file, int line);
void mm_harness_true(int condition, const char *expression, const char *file, int line);
void mm_harness_range(uintmax_t value, uintmax_t least, uintmax_t most, const char *file, int line);
void mm_harness_string(const char *left, const char *right, int want_equal, const char *file, int line);
void mm_harness_memory(const void *left, const void *right, size_t bytes_count, int want_equal, const char *file,
                       int line);

#define MM_HARNESS_HERE __FILE__, __LINE__

#define assert_int_equal(left, right) mm_harness_equal((uintmax_t)(left), (uintmax_t)(right), MM_HARNESS_HERE)
#define assert_int_not_equal(left, right) mm_harness_not_equal((uintmax_t)(left), (uintmax_t)(right), MM_HARNESS_HERE)
#define assert_ptr_equal(left, right) mm_harness_equal((uintptr_t)(left), (uintptr_t)(right), MM_HARNESS_HERE)
#define assert_true(condition) mm_harness_true((condition) ? 1 : 0, #condition, MM_HARNESS_HERE)
#define assert_false(condition) mm_harness_true((condition) ? 0 : 1, "not " #condition, MM_HARNESS_HERE)
#define assert_null(pointer) mm_harness_true((pointer) == NULL, #pointer " is NULL", MM_HARNESS_HERE)
#define assert_non_null(pointer) mm_harness_true((pointer) != NULL, #pointer " is not NULL", MM_HARNESS_HERE)
#define assert_in_range(value, least, most)                                                                            \
    mm_harness_range((uintmax_t)(value), (uintmax_t)(least), (uintmax_t)(most), MM_HARNESS_HERE)
#define assert_string_equal(left, right) mm_harness_string(left, right, 1, MM_HARNESS_HERE)
#define assert_string_not_equal(left, right) mm_harness_string(left, right, 0, MM_HARNESS_HERE)
#define assert_memory_equal(left, right, bytes_count) mm_harness_memory(left, right, bytes_count, 1, MM_HARNESS_HERE)
#define assert_memory_not_equal(left, right, bytes_count)                                                              \
    mm_harness_memory(left, right, bytes_count, 0, MM_HARNESS_HERE)
#define fail() mm_harness_fail(MM_HARNESS_HERE, "failed")
#define fail_msg(...) mm_harness_fail(MM_HARNESS_HERE, __VA_ARGS__)
#define skip() mm_harness_skip(MM_HARNESS_HERE)

/// What a program's assertions call. Within expect_assert_failure it jumps back there, else a false result fails the
/// running test; outside of a test it returns.
void mock_assert(int result, const char *expression, const char *file, int line);

extern jmp_buf mm_harness_assert_place;
extern volatile int mm_harness_assert_expected;

/// Passes if the call ends in a failed assertion.
#define expect_assert_failure(call)                                                                                    \
    do {                                                                                                               \
        if (setjmp(mm_harness_assert_place) == 0) {                                                                    \
            mm_harness_assert_expected = 1;                                                                            \
            call;                                                                                                      \
            mm_harness_assert_expected = 0;                                                                            \
            mm_harness_fail(MM_HARNESS_HERE, "no assertion failed in " #call);                                         \
        }                                                                                                              \
        mm_harness_assert_expected = 0;                                                                                \
    } while (0)

#endif
