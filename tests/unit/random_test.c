// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/random.h"

#include "test_support.h"

// Output that the author of PCG publishes for pcg32 with seed 42 and stream 54: six numbers, 65 coins, 33 dice.
static void test_random_published_output(void **state) {
    (void)state;
    static const uint32_t numbers[] = {0xA15C02B7, 0x7B47F409, 0xBA1D3330, 0x83D2F293, 0xBFA4784B, 0xCBED606E};
    static const char coins[] = "HHTTTHTHHHTHTTTHHHHHTTTHHHTHTHTHTTHTTTHHHHHHTTTTHHTTTTTHTTTTTTTHT";
    static const uint8_t dice[] = {3, 4, 1, 1, 2, 2, 3, 2, 4, 3, 2, 4, 3, 3, 5, 2, 3,
                                   1, 3, 1, 5, 1, 4, 1, 5, 6, 4, 6, 6, 2, 6, 3, 3};
    mm_random_t random = mm_random(42);
    for (size_t index = 0; index < sizeof numbers / sizeof numbers[0]; index++) {
        assert_true(mm_random_u32(&random) == numbers[index]);
    }
    for (size_t index = 0; coins[index] != '\0'; index++) {
        assert_int_equal(mm_random_below(&random, 2) == 1 ? 'H' : 'T', coins[index]);
    }
    for (size_t index = 0; index < sizeof dice; index++) {
        assert_int_equal(mm_random_below(&random, 6) + 1, dice[index]);
    }
}

static void test_random_seeds_differ(void **state) {
    (void)state;
    mm_random_t first = mm_random(1);
    mm_random_t second = mm_random(2);
    mm_random_t again = mm_random(1);
    unsigned equal_count = 0;
    for (unsigned turn = 0; turn < 1000; turn++) {
        uint32_t value = mm_random_u32(&first);
        equal_count += value == mm_random_u32(&second) ? 1 : 0;
        assert_true(value == mm_random_u32(&again));
    }
    assert_true(equal_count < 3);
}

static void test_random_below_is_uniform_and_bounded(void **state) {
    (void)state;
    mm_random_t random = mm_random(3);
    for (unsigned turn = 0; turn < 100; turn++) {
        assert_int_equal(mm_random_below(&random, 1), 0);
    }
    // With a bound of 3 * 2^30 a plain remainder would put half of all results into the first third.
    unsigned first_third_count = 0;
    for (unsigned turn = 0; turn < 30000; turn++) {
        uint32_t value = mm_random_below(&random, UINT32_C(3) << 30);
        assert_true(value < UINT32_C(3) << 30);
        first_third_count += value < UINT32_C(1) << 30 ? 1 : 0;
    }
    // Mean 10,000, standard deviation 82: six of them.
    assert_in_range(first_third_count, 9510, 10490);
    assert_true(mm_random_below(&random, UINT32_MAX) < UINT32_MAX);
    expect_assert_failure(mm_random_below(&random, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_published_output),
        cmocka_unit_test(test_random_seeds_differ),
        cmocka_unit_test(test_random_below_is_uniform_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
