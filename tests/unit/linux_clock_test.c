// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <limits.h>
#include <sys/time.h>
#include <time.h>

#include "linux/linux_clock.h"

static int64_t system_us(void) {
    struct timeval now;
    (void)gettimeofday(&now, NULL);
    return (int64_t)now.tv_sec * 1000000 + now.tv_usec;
}

static void test_linux_clock_speed_1_is_the_system(void **state) {
    (void)state;
    mm_linux_clock_t clock;
    assert_int_equal(mm_linux_clock_init(&clock, 1, 0, 0), MM_OK);
    int64_t before = system_us();
    int64_t utc = mm_linux_clock_utc(&clock).us;
    int64_t after = system_us();
    assert_true(before <= utc && utc <= after + 1);
    mm_us_t now = mm_linux_clock_now(&clock);
    assert_true(now >= 0 && now < 10 * MM_US_PER_S);
    assert_true(mm_linux_clock_now(&clock) >= now);
    int64_t anchored = mm_linux_clock_utc_at(&clock, mm_linux_clock_now(&clock)).us;
    assert_true(anchored >= before - 1000 && anchored - system_us() <= 1000);
}

static void test_linux_clock_scales(void **state) {
    (void)state;
    // 3600 times as fast since a real second ago: an hour has passed since the origin.
    int64_t origin_utc_us = (int64_t)1450137600 * MM_US_PER_S; // 2015-12-15T00:00:00Z
    mm_linux_clock_t clock;
    assert_int_equal(mm_linux_clock_init(&clock, 3600, system_us() - 1000000, origin_utc_us), MM_OK);
    int64_t passed = mm_linux_clock_utc(&clock).us - origin_utc_us;
    assert_true(passed >= 3600 * MM_US_PER_S && passed < 36000 * MM_US_PER_S);
    // The two clocks run together, to the microsecond.
    int64_t difference = mm_linux_clock_utc_at(&clock, 5000).us - mm_linux_clock_utc_at(&clock, 0).us;
    assert_int_equal(difference, 5000);
    assert_int_equal(mm_linux_clock_now_at(&clock, clock.start_real_us + 7), 7 * 3600);
    assert_int_equal(mm_linux_clock_now_at(&clock, clock.start_real_us - 7), 0);
    // A new anchoring finds nothing new as long as nobody sets the system's clock: less than 2 ms of real time.
    int64_t moved = mm_linux_clock_anchor(&clock);
    assert_true(moved > -7200000 && moved < 7200000);
}

static void test_linux_clock_two_processes_agree(void **state) {
    (void)state;
    int64_t origin_real_us = system_us() - 5000000;
    mm_linux_clock_t first;
    mm_linux_clock_t second;
    assert_int_equal(mm_linux_clock_init(&first, 1000, origin_real_us, 86400000000), MM_OK);
    assert_int_equal(mm_linux_clock_init(&second, 1000, origin_real_us, 86400000000), MM_OK);
    int64_t real_us = mm_linux_real_us();
    int64_t left = mm_linux_clock_utc_at(&first, mm_linux_clock_now_at(&first, real_us)).us;
    int64_t right = mm_linux_clock_utc_at(&second, mm_linux_clock_now_at(&second, real_us)).us;
    assert_true(left - right < 2000000 && right - left < 2000000); // 2 ms of real time
}

static void test_linux_clock_options_refused(void **state) {
    (void)state;
    mm_linux_clock_t clock;
    assert_int_equal(mm_linux_clock_init(&clock, 0, 1, 1), MM_ERR_ARG);
    assert_int_equal(mm_linux_clock_init(&clock, MM_LINUX_CLOCK_SPEED_MAX + 1, 1, 1), MM_ERR_ARG);
    assert_int_equal(mm_linux_clock_init(&clock, 2, 0, 0), MM_ERR_ARG);
    assert_int_equal(mm_linux_clock_init(&clock, 1, -1, 0), MM_ERR_ARG);
}

static void test_linux_clock_deadlines(void **state) {
    (void)state;
    mm_linux_clock_t clock = {.speed = 1000, .start_real_us = 5000};
    assert_int_equal(mm_linux_clock_real_deadline(&clock, 0), 5000);
    assert_int_equal(mm_linux_clock_real_deadline(&clock, -7), 5000);
    assert_int_equal(mm_linux_clock_real_deadline(&clock, 1000), 5001);
    assert_int_equal(mm_linux_clock_real_deadline(&clock, 1001), 5002); // rounded up: never before it
    assert_true(mm_linux_clock_real_deadline(&clock, MM_US_NEVER) == MM_US_NEVER);
    assert_true(mm_linux_clock_real_deadline(&clock, MM_US_NEVER - 1) < MM_US_NEVER);
    clock.speed = 1;
    assert_true(mm_linux_clock_real_deadline(&clock, MM_US_NEVER - 1) == MM_US_NEVER - 1);
    clock.speed = MM_LINUX_CLOCK_SPEED_MAX;
    assert_true(mm_linux_clock_now_at(&clock, INT64_MAX / 2) > 0); // saturates

    assert_int_equal(mm_linux_timeout_ms(MM_US_NEVER, 10), -1);
    assert_int_equal(mm_linux_timeout_ms(10, 10), 0);
    assert_int_equal(mm_linux_timeout_ms(9, 10), 0);
    assert_int_equal(mm_linux_timeout_ms(11, 10), 1);
    assert_int_equal(mm_linux_timeout_ms(2010, 10), 2);
    assert_int_equal(mm_linux_timeout_ms(MM_US_NEVER - 1, 0), INT_MAX);
    assert_int_equal(mm_linux_timeout_ms(INT64_MAX - 1, INT64_MIN / 2), INT_MAX);

    struct timespec timeout;
    assert_false(mm_linux_timeout(MM_US_NEVER, 0, &timeout));
    assert_true(mm_linux_timeout(5, 10, &timeout));
    assert_true(timeout.tv_sec == 0 && timeout.tv_nsec == 0);
    assert_true(mm_linux_timeout(3000017, 10, &timeout));
    assert_true(timeout.tv_sec == 3 && timeout.tv_nsec == 7000);
    assert_true(mm_linux_timeout(MM_US_NEVER - 1, 0, &timeout));
    assert_true(timeout.tv_sec == INT_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linux_clock_speed_1_is_the_system),
        cmocka_unit_test(test_linux_clock_scales),
        cmocka_unit_test(test_linux_clock_two_processes_agree),
        cmocka_unit_test(test_linux_clock_options_refused),
        cmocka_unit_test(test_linux_clock_deadlines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
