// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/slot.h"

#include <string.h>

#include "test_support.h"

static void test_slot_count_rounds_up(void **state) {
    (void)state;
    assert_int_equal(mm_slot_count(2500000, 10000), 250); // the design's own example
    assert_int_equal(mm_slot_count(2500001, 10000), 251);
    assert_int_equal(mm_slot_count(0, 10000), 1);
    assert_int_equal(mm_slot_count(1, 10000), 1);
    assert_int_equal(mm_slot_count(10000, 10000), 1);
    assert_int_equal(mm_slot_count(10001, 10000), 2);
    assert_int_equal(mm_slot_count(UINT32_MAX, 1), UINT32_MAX);
    assert_int_equal(mm_slot_count(UINT32_MAX, UINT32_MAX), 1);
    expect_assert_failure(mm_slot_count(1, 0));
}

// Computed with
//   from functools import reduce
//   fnv = lambda b: reduce(lambda h, x: ((h ^ x) * 0x01000193) & 0xffffffff, b, 0x811c9dc5)
//   fnv(bytes.fromhex("246f28aabbcc")) % 250
// which gives 0xbf9cf968 for "foobar", as in the test suite of the hash's authors: the bytes of the last MAC.
static void test_slot_guess_is_fnv_1a(void **state) {
    (void)state;
    static const struct {
        mm_mac_t mac;
        uint32_t hash; // also below the largest slot_count
        uint32_t of_250;
        uint32_t of_8;
    } vectors[] = {
        {{{0x00, 0x00, 0x00, 0x00, 0x00, 0x00}}, 0x7f77879d, 183, 5},
        {{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, 0xc4f2886f, 225, 7},
        {{{0x24, 0x6f, 0x28, 0xaa, 0xbb, 0xcc}}, 0x6c17260d, 147, 5},
        {{{0x24, 0x6f, 0x28, 0xaa, 0xbb, 0xcd}}, 0x6b17247a, 28, 2},
        {{{0x02, 0x00, 0x00, 0x00, 0x00, 0x01}}, 0x772375fc, 168, 4},
        {{{'f', 'o', 'o', 'b', 'a', 'r'}}, 0xbf9cf968, 220, 0},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        assert_int_equal(mm_slot_guess(vectors[i].mac, UINT32_MAX), vectors[i].hash);
        assert_int_equal(mm_slot_guess(vectors[i].mac, 250), vectors[i].of_250);
        assert_int_equal(mm_slot_guess(vectors[i].mac, 8), vectors[i].of_8);
        assert_int_equal(mm_slot_guess(vectors[i].mac, 1), 0);
    }
    expect_assert_failure(mm_slot_guess(vectors[0].mac, 0));
}

static void test_slot_guess_spreads_serial_numbers(void **state) {
    (void)state;
    uint32_t gateways[250] = {0};
    for (uint32_t i = 0; i < 25000; i++) {
        mm_mac_t mac = {{0x24, 0x6f, 0x28, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        gateways[mm_slot_guess(mac, 250)]++;
    }
    // 100 on average. A random placement has sigma 10; five of them is the fence.
    for (size_t i = 0; i < 250; i++) {
        assert_in_range(gateways[i], 50, 150);
    }
}

static void expect_next(mm_us_t slot_us, uint32_t slot_count, uint32_t slot, int64_t utc_us, int64_t expected_us) {
    const mm_slot_plan_t plan = {.slot_us = slot_us, .slot_count = slot_count, .slot = slot};
    assert_int_equal(mm_slot_next(&plan, (mm_utc_t){utc_us}).us, expected_us);
}

// Expected values from Python's integers: c = slot_us * count; ((utc - slot * slot_us) // c + 1) * c + slot * slot_us.
static void test_slot_next_is_strictly_after(void **state) {
    (void)state;
    const mm_us_t two_s = 2 * MM_US_PER_S;
    expect_next(two_s, 250, 7, INT64_C(1798761600000000), INT64_C(1798762014000000)); // 2027-01-01T00:00:00Z
    expect_next(two_s, 250, 7, 13999999, 14000000);
    expect_next(two_s, 250, 7, 14000000, 514000000); // at its begin the slot is not the next one
    expect_next(two_s, 250, 7, 14000001, 514000000);
    expect_next(two_s, 250, 0, 0, 500000000);
    expect_next(two_s, 1, 0, 1, 2000000);
}

static void test_slot_next_extreme_times(void **state) {
    (void)state;
    const mm_us_t two_s = 2 * MM_US_PER_S;
    expect_next(two_s, 250, 0, -1, 0);
    expect_next(two_s, 250, 249, -498000001, -2000000);
    expect_next(two_s, 250, 3, INT64_MIN, INT64_C(-9223372036494000000));
    expect_next(1, 1, 0, INT64_MAX - 1, INT64_MAX);
    expect_next(1, 1, 0, INT64_MAX, INT64_MAX); // there is none
    expect_next(two_s, 250, 3, INT64_MAX - 5, INT64_MAX);
    expect_next(INT64_MAX, 1, 0, -5, 0);
    expect_next(INT64_MAX, 1, 0, 5, INT64_MAX);
}

// A second opinion for every microsecond of some small cycles: walk until a slot begins.
static void test_slot_next_small_cycles_exhaustive(void **state) {
    (void)state;
    for (uint32_t slot_count = 1; slot_count <= 6; slot_count++) {
        for (mm_us_t slot_us = 1; slot_us <= 5; slot_us++) {
            for (uint32_t slot = 0; slot < slot_count; slot++) {
                for (int64_t utc = -70; utc <= 70; utc++) {
                    int64_t expected = utc + 1;
                    // Shifted by a multiple of every cycle here, to divide positive numbers only.
                    while ((expected + 3600) % (slot_us * slot_count) != slot * slot_us) {
                        expected++;
                    }
                    expect_next(slot_us, slot_count, slot, utc, expected);
                }
            }
        }
    }
}

static void test_slot_cycle(void **state) {
    (void)state;
    mm_slot_plan_t plan = {.slot_us = 2 * MM_US_PER_S, .slot_count = 250, .slot = 249};
    assert_int_equal(mm_slot_cycle_us(&plan), 500 * MM_US_PER_S);
    plan.slot = 250;
    expect_assert_failure(mm_slot_cycle_us(&plan));
    plan = (mm_slot_plan_t){.slot_us = 0, .slot_count = 1, .slot = 0};
    expect_assert_failure(mm_slot_cycle_us(&plan));
    plan = (mm_slot_plan_t){.slot_us = INT64_MAX / 2, .slot_count = 3, .slot = 0};
    expect_assert_failure(mm_slot_next(&plan, (mm_utc_t){0}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slot_count_rounds_up),
        cmocka_unit_test(test_slot_guess_is_fnv_1a),
        cmocka_unit_test(test_slot_guess_spreads_serial_numbers),
        cmocka_unit_test(test_slot_next_is_strictly_after),
        cmocka_unit_test(test_slot_next_extreme_times),
        cmocka_unit_test(test_slot_next_small_cycles_exhaustive),
        cmocka_unit_test(test_slot_cycle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
