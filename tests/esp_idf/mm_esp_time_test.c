// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_time.h"

#include "test_support.h"

#include <string.h>

#include "fake.h"
#include "fake_sntp.h"
#include "mm_esp_owner.h"

#define SERVER_S INT64_C(1750000000)

static mm_esp_time_t s_time;

static int reset(void **state) {
    (void)state;
    fake_reset();
    assert_int_equal(mm_esp_owner_open(), MM_OK);
    memset(&s_time, 0, sizeof s_time);
    return 0;
}

static mm_us_t in_s(mm_us_t s) {
    return s * MM_US_PER_S;
}

static bool poll_at(mm_us_t now, mm_time_t *time, mm_us_t *deadline) {
    fake_time_advance(now - fake_time_us());
    return mm_esp_time_poll(&s_time, now, time, deadline);
}

static void test_nothing_is_told_before_an_answer(void **state) {
    (void)state;
    mm_time_t time = {0};
    mm_us_t deadline = 0;
    assert_false(poll_at(in_s(1), &time, &deadline));
    assert_int_equal(deadline, MM_US_NEVER);
    mm_esp_time_set_ip(&s_time, true, in_s(1));
    assert_true(fake_sntp_is_running());
    assert_string_equal(fake_sntp_server(), "pool.ntp.org");
    assert_false(poll_at(in_s(100000), &time, &deadline));
    assert_int_equal(deadline, MM_US_NEVER);
    assert_int_equal(time.trust, MM_TRUST_UNSET);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_is_told_before_an_answer, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
