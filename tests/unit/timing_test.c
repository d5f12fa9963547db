// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/timing.h"

#include "test_support.h"

static const mm_mac_t mac = {{0x24, 0x6f, 0x28, 0xaa, 0xbb, 0xcc}};

// 2,500,000 units share 10,000 connections of two seconds each: a session every 500 s (slot.h).
static void test_timing_default_is_the_design(void **state) {
    (void)state;
    mm_timing_t timing = mm_timing_default(mac);
    assert_int_equal(mm_timing_check(&timing), MM_OK);
    assert_int_equal(timing.slots.slot_us, 2000000);
    assert_int_equal(timing.slots.slot_count, 250);
    assert_int_equal(timing.slots.slot, 147); // FNV-1a of the MAC modulo 250, see slot_test.c
    assert_int_equal(mm_slot_cycle_us(&timing.slots), 500 * MM_US_PER_S);
}

// By hand: h o u s e - and then 9 once more on the first place, 104 * 31 + 57 = 3281 = 0xd1 modulo 256. A node that
// takes over has to come to the same slot, whatever it runs on.
static void test_timing_site(void **state) {
    (void)state;
    const mm_mac_t house_9 = {{0xd1, 0x6f, 0x75, 0x73, 0x65, 0x2d}};
    assert_true(mm_mac_equal(mm_timing_site("house-9"), house_9));
    assert_true(mm_mac_is_zero(mm_timing_site("")));
}

static void test_timing_check_refuses_each_duration_that_is_not_positive(void **state) {
    (void)state;
    mm_timing_t timing = mm_timing_default(mac);
    mm_us_t *const durations[] = {
        &timing.slots.slot_us,     &timing.round_us,           &timing.round_retry_us,
        &timing.drain_us,          &timing.drain_retry_us,     &timing.hello_retry_us,
        &timing.hold_us,           &timing.hold_max_us,        &timing.forget_us,
        &timing.urgent_us,         &timing.uplink.connect_us,  &timing.uplink.subscribe_us,
        &timing.uplink.publish_us, &timing.uplink.dwell_us,    &timing.uplink.close_us,
        &timing.uplink.session_us, &timing.uplink.back_off_us, &timing.uplink.back_off_max_us,
    };
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        mm_us_t good = *durations[i];
        *durations[i] = 0;
        assert_int_equal(mm_timing_check(&timing), MM_ERR_ARG);
        *durations[i] = -1;
        assert_int_equal(mm_timing_check(&timing), MM_ERR_ARG);
        *durations[i] = good;
        assert_int_equal(mm_timing_check(&timing), MM_OK);
    }
}

static void test_timing_check_refuses_an_impossible_slot(void **state) {
    (void)state;
    mm_timing_t timing = mm_timing_default(mac);
    timing.slots.slot = timing.slots.slot_count - 1;
    assert_int_equal(mm_timing_check(&timing), MM_OK);
    timing.slots.slot = timing.slots.slot_count;
    assert_int_equal(mm_timing_check(&timing), MM_ERR_ARG);
    timing.slots.slot = 0;
    timing.slots.slot_count = 0;
    assert_int_equal(mm_timing_check(&timing), MM_ERR_ARG);
}

static void test_timing_check_wants_the_round_to_fit_the_cycle(void **state) {
    (void)state;
    mm_timing_t timing = mm_timing_default(mac);
    timing.round_us = mm_slot_cycle_us(&timing.slots) - 1;
    assert_int_equal(mm_timing_check(&timing), MM_OK);
    timing.round_us++;
    assert_int_equal(mm_timing_check(&timing), MM_ERR_ARG);
}

// What comes from a configuration is refused, never asserted.
static void test_timing_check_refuses_a_cycle_beyond_64_bits(void **state) {
    (void)state;
    mm_timing_t timing = mm_timing_default(mac);
    timing.slots.slot_us = INT64_MAX / timing.slots.slot_count;
    assert_int_equal(mm_timing_check(&timing), MM_OK);
    timing.slots.slot_us++;
    assert_int_equal(mm_timing_check(&timing), MM_ERR_ARG);
}

// A wait for the network is as long in the real world as in the field, whatever the speed.
static void test_timing_for_speed_stretches_waits_of_the_network(void **state) {
    (void)state;
    static const uint32_t speeds[] = {1, 2, 60, 3600, 100000};
    const mm_us_t cycle_real_us = 4 * MM_US_PER_S;
    const mm_timing_t field = mm_timing_default(mac);
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++) {
        mm_us_t speed = speeds[i];
        mm_timing_t timing = mm_timing_for_speed(mac, speeds[i], cycle_real_us);
        assert_int_equal(mm_timing_check(&timing), MM_OK);
        assert_int_equal(mm_slot_cycle_us(&timing.slots), speed * cycle_real_us);
        assert_int_equal(timing.slots.slot, mm_slot_guess(mac, timing.slots.slot_count));
        assert_int_equal(timing.uplink.connect_us, speed * field.uplink.connect_us);
        assert_int_equal(timing.uplink.subscribe_us, speed * field.uplink.subscribe_us);
        assert_int_equal(timing.uplink.publish_us, speed * field.uplink.publish_us);
        assert_int_equal(timing.uplink.close_us, speed * field.uplink.close_us);
        assert_int_equal(timing.uplink.session_us, speed * field.uplink.session_us);
        // What is confirmed is not sent again before HQ had a session to answer in.
        assert_true(timing.hold_us > mm_slot_cycle_us(&timing.slots));
        assert_true(timing.hold_max_us >= timing.hold_us);
        assert_true(timing.round_retry_us < timing.round_us);
        assert_true(timing.drain_retry_us < timing.drain_us);
        assert_true(timing.uplink.back_off_max_us >= timing.uplink.back_off_us);
    }
}

static void test_timing_for_speed_asserts_its_range(void **state) {
    (void)state;
    expect_assert_failure(mm_timing_for_speed(mac, 0, MM_US_PER_S));
    expect_assert_failure(mm_timing_for_speed(mac, 100001, MM_US_PER_S));
    expect_assert_failure(mm_timing_for_speed(mac, 1, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timing_default_is_the_design),
        cmocka_unit_test(test_timing_site),
        cmocka_unit_test(test_timing_check_refuses_each_duration_that_is_not_positive),
        cmocka_unit_test(test_timing_check_refuses_an_impossible_slot),
        cmocka_unit_test(test_timing_check_wants_the_round_to_fit_the_cycle),
        cmocka_unit_test(test_timing_check_refuses_a_cycle_beyond_64_bits),
        cmocka_unit_test(test_timing_for_speed_stretches_waits_of_the_network),
        cmocka_unit_test(test_timing_for_speed_asserts_its_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
