// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_time.h"

#include "test_support.h"

#include <string.h>

#include "fake.h"
#include "fake_freertos.h"
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

static void pass_until(mm_us_t instant) {
    fake_time_advance(instant - fake_time_us());
}

static void set_ip(bool has_ip) {
    mm_esp_time_set_ip(&s_time, has_ip, fake_time_us());
}

// What the owner would tell the core at this instant; trust UNSET: nothing.
static mm_time_t told_at(mm_us_t instant, mm_us_t *deadline) {
    mm_time_t time = {.utc.us = -1};
    pass_until(instant);
    return mm_esp_time_poll(&s_time, instant, &time, deadline) ? time : (mm_time_t){0};
}

static void expect_told(mm_us_t instant, mm_us_t utc_us, mm_trust_t trust) {
    mm_us_t deadline = 0;
    mm_time_t time = told_at(instant, &deadline);
    assert_int_equal(time.trust, trust);
    assert_int_equal(time.utc.us, trust == MM_TRUST_UNSET ? 0 : utc_us);
    assert_true(trust == MM_TRUST_UNSET || deadline == instant + in_s(MM_ESP_TIME_TELL_S));
}

static void test_nothing_is_told_before_an_answer(void **state) {
    (void)state;
    mm_us_t deadline = 0;
    assert_int_equal(told_at(in_s(1), &deadline).trust, MM_TRUST_UNSET);
    assert_int_equal(deadline, MM_US_NEVER);
    set_ip(true);
    assert_true(fake_sntp_is_running());
    assert_string_equal(fake_sntp_server(), "pool.ntp.org");
    assert_int_equal(told_at(in_s(100000), &deadline).trust, MM_TRUST_UNSET);
    assert_int_equal(deadline, MM_US_NEVER);
}

static void test_an_answer_is_told_at_once_and_then_regularly(void **state) {
    (void)state;
    mm_esp_post_t taken;
    set_ip(true);
    pass_until(in_s(5));
    fake_sntp_answer(SERVER_S, 250000);
    // The owner is woken.
    assert_true(mm_esp_owner_take(&taken, 0));
    assert_int_equal(taken.kind, MM_ESP_POST_WAKE);
    mm_esp_owner_done(&taken);
    expect_told(in_s(6), in_s(SERVER_S + 1) + 250000, MM_TRUST_SYNCED);
    expect_told(in_s(6), 0, MM_TRUST_UNSET); // once
    expect_told(in_s(16) - 1, 0, MM_TRUST_UNSET);
    expect_told(in_s(16), in_s(SERVER_S + 11) + 250000, MM_TRUST_SYNCED);
    // Another answer is told before its time, and corrects the clock.
    pass_until(in_s(18));
    fake_sntp_answer(SERVER_S + 12, 900000);
    expect_told(in_s(19), in_s(SERVER_S + 13) + 900000, MM_TRUST_SYNCED);
    assert_int_equal(fake_critical_depth(), 0);
}

// The owner's instant may be older than an answer that came meanwhile.
static void test_answer_is_younger_than_the_turn(void **state) {
    (void)state;
    mm_time_t time;
    mm_us_t deadline = 0;
    set_ip(true);
    pass_until(in_s(5));
    fake_sntp_answer(SERVER_S, 0);
    assert_true(mm_esp_time_poll(&s_time, in_s(5) - 300, &time, &deadline));
    assert_int_equal(time.utc.us, in_s(SERVER_S) - 300);
    assert_int_equal(time.trust, MM_TRUST_SYNCED);
}

static void test_time_is_held_after_a_day(void **state) {
    (void)state;
    set_ip(true);
    pass_until(in_s(5));
    fake_sntp_answer(SERVER_S, 0);
    expect_told(in_s(5 + MM_ESP_TIME_FRESH_S) - 1, in_s(SERVER_S + MM_ESP_TIME_FRESH_S) - 1, MM_TRUST_SYNCED);
    expect_told(in_s(15 + MM_ESP_TIME_FRESH_S), in_s(SERVER_S + 10 + MM_ESP_TIME_FRESH_S), MM_TRUST_HELD);
    fake_sntp_answer(SERVER_S + 11 + MM_ESP_TIME_FRESH_S, 0);
    expect_told(in_s(15 + MM_ESP_TIME_FRESH_S), in_s(SERVER_S + 11 + MM_ESP_TIME_FRESH_S), MM_TRUST_SYNCED);
}

static void test_address_comes_and_goes(void **state) {
    (void)state;
    set_ip(false); // it was not there
    assert_false(fake_sntp_is_running());
    set_ip(true);
    set_ip(true); // begins once
    assert_int_equal(s_time.starts_failed, 0);
    fake_sntp_answer(SERVER_S, 0);
    set_ip(false);
    assert_false(fake_sntp_is_running());
    set_ip(false);
    // The clock goes on without a server.
    expect_told(in_s(20), in_s(SERVER_S + 20), MM_TRUST_SYNCED);
    assert_false(fake_sntp_is_running());
    set_ip(true);
    assert_true(fake_sntp_is_running());
    expect_told(in_s(30), in_s(SERVER_S + 30), MM_TRUST_SYNCED);
}

static void test_start_is_tried_again(void **state) {
    (void)state;
    mm_us_t deadline = 0;
    pass_until(in_s(1));
    fake_fail_from(1);
    set_ip(true);
    assert_false(fake_sntp_is_running());
    assert_int_equal(s_time.starts_failed, 1);
    (void)told_at(in_s(1), &deadline);
    assert_int_equal(deadline, in_s(1 + MM_ESP_TIME_RETRY_S));
    (void)told_at(deadline - 1, &deadline);
    assert_int_equal(s_time.starts_failed, 1);
    (void)told_at(deadline, &deadline);
    assert_int_equal(s_time.starts_failed, 2);
    assert_int_equal(deadline, in_s(1 + 2 * MM_ESP_TIME_RETRY_S));
    fake_fail_at(0);
    // Not without an address.
    set_ip(false);
    (void)told_at(in_s(100), &deadline);
    assert_int_equal(deadline, MM_US_NEVER);
    assert_false(fake_sntp_is_running());
    fake_fail_at(1);
    set_ip(true);
    fake_fail_at(0);
    (void)told_at(in_s(100 + MM_ESP_TIME_RETRY_S), &deadline);
    assert_true(fake_sntp_is_running());
    assert_int_equal(deadline, MM_US_NEVER);
    assert_int_equal(s_time.starts_failed, 3);
}

// While SNTP does not begin again, the time of before is told all the same, and the earlier of both is the deadline.
static void test_two_deadlines(void **state) {
    (void)state;
    mm_us_t deadline = 0;
    set_ip(true);
    fake_sntp_answer(SERVER_S, 0);
    (void)told_at(in_s(2), &deadline);
    set_ip(false);
    fake_fail_from(1);
    pass_until(in_s(4));
    set_ip(true);
    (void)told_at(in_s(5), &deadline);
    assert_int_equal(deadline, in_s(2 + MM_ESP_TIME_TELL_S));
    assert_int_equal(told_at(in_s(12), &deadline).trust, MM_TRUST_SYNCED);
    assert_int_equal(deadline, in_s(4 + MM_ESP_TIME_RETRY_S));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_is_told_before_an_answer, reset),
        cmocka_unit_test_setup(test_an_answer_is_told_at_once_and_then_regularly, reset),
        cmocka_unit_test_setup(test_answer_is_younger_than_the_turn, reset),
        cmocka_unit_test_setup(test_time_is_held_after_a_day, reset),
        cmocka_unit_test_setup(test_address_comes_and_goes, reset),
        cmocka_unit_test_setup(test_start_is_tried_again, reset),
        cmocka_unit_test_setup(test_two_deadlines, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
