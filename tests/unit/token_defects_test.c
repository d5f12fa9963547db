// SPDX-License-Identifier: Apache-2.0
// Each defect that was seen in the reference decoders, by its number in docs/spec/tokens.md section 5, as a test that
// a decoder with that defect fails.
#include "meshmeter/token.h"

#include "token_support.h"

// 1. Accepted a token again after tokens of later counts.
static void test_token_taken_once_after_2_4_6(void **state) {
    (void)state;
    static const char *const texts[] = {"588224011", "302249011", "786123011"};
    device_t device = {.series = &series_a, .state = {.count = 1}};
    for (size_t round = 0; round < 3; round++) {
        for (size_t index = 0; index < 3; index++) {
            assert_int_equal(type_in(&device, texts[index]), round == 0 ? MM_TOKEN_GOOD : MM_TOKEN_USED);
        }
    }
    assert_int_equal(device.units, 3);
}

static void test_token_taken_once_after_2_4_6_8(void **state) {
    (void)state;
    static const char *const texts[] = {"588224011", "302249011", "786123011", "197636011"};
    device_t device = {.series = &series_a}; // counts 0 and 1 behind it in the published sequence; 0 here
    for (size_t round = 0; round < 3; round++) {
        for (size_t index = 0; index < 4; index++) {
            assert_int_equal(type_in(&device, texts[index]), round == 0 ? MM_TOKEN_GOOD : MM_TOKEN_USED);
        }
    }
    assert_int_equal(device.units, 4);
    for (uint32_t count = 0; count <= 9; count++) {
        assert_int_equal(mm_token_is_used(&device.state, count), count % 2 == 0);
    }
}

// 2. Shifts by more than the width of the type: the build with sanitizers stops at one.
static void test_token_use_shifts_stay_defined(void **state) {
    (void)state;
    static const uint32_t counts[] = {1,   2,   62,  63,    64,        65,         66,
                                      127, 128, 129, 65535, INT32_MAX, 0x80000000, UINT32_MAX};
    for (size_t from = 0; from < sizeof counts / sizeof counts[0]; from++) {
        for (size_t to = 0; to < sizeof counts / sizeof counts[0]; to++) {
            for (mm_token_type_t type = MM_TOKEN_ADD; type <= MM_TOKEN_COUNTER_SYNC; type++) {
                mm_token_state_t used = {0};
                mm_token_use(&used, MM_TOKEN_ADD, counts[from]);
                mm_token_use(&used, type, counts[to]);
                assert_true(mm_token_is_used(&used, counts[from]) || counts[from] > used.count);
                assert_true(mm_token_is_used(&used, counts[to]));
                assert_true(mm_token_is_used(&used, 0));
                assert_int_equal(used.count, counts[from] > counts[to] ? counts[from] : counts[to]);
            }
        }
    }
}

// 3. The long form knew nothing of older unused tokens.
static void test_token_extended_older_unused_is_taken(void **state) {
    (void)state;
    device_t device = {.series = &series_a, .state = {.count = 1}};
    assert_int_equal(type_in(&device, "478525959011"), MM_TOKEN_GOOD); // count 8
    assert_int_equal(type_in(&device, "247264959011"), MM_TOKEN_GOOD); // count 2
    assert_int_equal(type_in(&device, "247264959011"), MM_TOKEN_USED);
    assert_int_equal(type_in(&device, "588224011"), MM_TOKEN_USED); // count 2 in the short form
    assert_int_equal(type_in(&device, "302249011"), MM_TOKEN_GOOD); // count 4
    assert_int_equal(type_in(&device, "584694959011"), MM_TOKEN_USED);
    assert_int_equal(device.units, 3);
}

// 4. A record of used tokens that began empty stayed empty.
static void test_token_empty_used_set_is_filled(void **state) {
    (void)state;
    device_t device = {.series = &series_a};
    assert_int_equal(type_in(&device, "588224011"), MM_TOKEN_GOOD);
    for (size_t again = 0; again < 4; again++) {
        assert_int_equal(type_in(&device, "588224011"), MM_TOKEN_USED);
    }
    assert_int_equal(device.units, 1);
}

// 5. No record and an older token: a failure.
static void test_token_older_without_record_is_an_answer(void **state) {
    (void)state;
    device_t device = {.series = &series_a, .state = {.count = 8, .older = 0}};
    assert_int_equal(type_in(&device, "588224011"), MM_TOKEN_GOOD);
    device_t all_used = {.series = &series_a, .state = {.count = 8, .older = UINT64_MAX}};
    assert_int_equal(type_in(&all_used, "588224011"), MM_TOKEN_USED);
}

// 6. A wrong token of the long form: a failure.
static void test_token_wrong_extended_is_an_answer(void **state) {
    (void)state;
    device_t device = {.series = &series_a, .state = {.count = 1}};
    assert_int_equal(type_in(&device, "247264959012"), MM_TOKEN_WRONG);
    assert_int_equal(type_in(&device, "000000000000"), MM_TOKEN_WRONG);
    assert_int_equal(type_in(&device, "999999999999"), MM_TOKEN_WRONG);
    assert_int_equal(type_in(&device, "11111111111111111111"), MM_TOKEN_WRONG);
}

// 7. The long forms of 998 and 999 set a value.
static void test_token_extended_disable_and_sync(void **state) {
    (void)state;
    device_t device = {.series = &series_a, .state = {.count = 4, .older = UINT64_MAX}, .units = 12};
    mm_token_t token;
    assert_int_equal(mm_token_judge(&series_a, &device.state, "223770960008", &token), MM_TOKEN_GOOD);
    assert_int_equal(token.type, MM_TOKEN_DISABLE);
    assert_int_equal(token.value, 0);
    assert_int_equal(type_in(&device, "223770960008"), MM_TOKEN_GOOD);
    assert_int_equal(device.units, 12);
    assert_true(device.is_postpaid);

    device_t other = {.series = &series_a, .state = {.count = 1}, .units = 12};
    assert_int_equal(mm_token_judge(&series_a, &other.state, "673729960009", &token), MM_TOKEN_GOOD);
    assert_int_equal(token.type, MM_TOKEN_COUNTER_SYNC);
    assert_int_equal(type_in(&other, "673729960009"), MM_TOKEN_GOOD);
    assert_int_equal(other.units, 12);
    assert_int_equal(other.state.count, 3);
    // Values of the long form that look alike still add.
    assert_int_equal(type_made(&other, MM_TOKEN_ADD, 998, 4, true), MM_TOKEN_GOOD);
    assert_int_equal(type_made(&other, MM_TOKEN_ADD, 999, 6, true), MM_TOKEN_GOOD);
    assert_int_equal(other.units, 12 + 998 + 999);
    assert_int_equal(type_made(&other, MM_TOKEN_SET, 997, 7, true), MM_TOKEN_GOOD);
    assert_int_equal(other.units, 997);
}

// 8. The starting code itself was a token of value 0, and as a good one ended the lock-out.
static void test_token_starting_code_is_wrong(void **state) {
    (void)state;
    device_t walk = {.series = &series_walk};
    assert_int_equal(type_in(&walk, "123456789"), MM_TOKEN_WRONG);
    assert_int_equal(type_in(&walk, "000123456789"), MM_TOKEN_WRONG);
    device_t device = {.series = &series_a};
    assert_int_equal(type_in(&device, "516959010"), MM_TOKEN_WRONG);
    // Also with a value added, and at any count.
    assert_int_equal(type_in(&device, "516959015"), MM_TOKEN_WRONG);
    device.state = (mm_token_state_t){.count = 10, .older = 0};
    assert_int_equal(type_in(&device, "516959010"), MM_TOKEN_WRONG);
    assert_int_equal(type_in(&device, "000516959010"), MM_TOKEN_WRONG);
}

// 9. How far a counter sync reaches was one number in the rules and another in the code, and it reached back, where it
// made used tokens good again.
static void test_token_sync_window(void **state) {
    (void)state;
    device_t device = {.series = &series_a, .state = {.count = 200, .older = UINT64_MAX}};
    const mm_token_state_t begin = device.state;
    for (uint32_t count = 1; count <= 401; count += 2) {
        device.state = begin;
        mm_token_verdict_t due = count < 200 ? MM_TOKEN_USED : count <= 300 ? MM_TOKEN_GOOD : MM_TOKEN_WRONG;
        assert_int_equal(type_made(&device, MM_TOKEN_COUNTER_SYNC, 0, count, count % 4 == 1), due);
        assert_true(device.state.count == (due == MM_TOKEN_GOOD ? count : 200));
        // What was used before stays so.
        assert_int_equal(type_made(&device, MM_TOKEN_ADD, 1, 200, false), MM_TOKEN_USED);
        assert_int_equal(type_made(&device, MM_TOKEN_ADD, 1, 190, false), MM_TOKEN_USED);
    }
}

// Found here: the same digits at two counts of one chain. With value 364 series A has 031226374 at counts 13 and 26,
// with value 43 it has 744895053 at 44 and 112 (searched for with another implementation of the rules).
static void test_token_double_in_a_chain_is_taken_once(void **state) {
    (void)state;
    device_t device = {.series = &series_a, .state = {.count = 12, .older = UINT64_MAX}};
    assert_int_equal(type_made(&device, MM_TOKEN_SET, 364, 13, false), MM_TOKEN_GOOD);
    assert_int_equal(type_in(&device, "031226374"), MM_TOKEN_USED); // could mean "add 364" with count 26
    assert_int_equal(type_made(&device, MM_TOKEN_ADD, 1, 24, false), MM_TOKEN_GOOD);
    assert_int_equal(type_in(&device, "031226374"), MM_TOKEN_USED);
    assert_int_equal(device.units, 365);

    device = (device_t){.series = &series_a, .state = {.count = 40, .older = UINT64_MAX}};
    assert_int_equal(type_in(&device, "744895053"), MM_TOKEN_GOOD);
    assert_int_equal(device.state.count, 44);
    for (uint32_t count = 46; count < 130; count += 2) {
        assert_int_equal(type_made(&device, MM_TOKEN_ADD, 0, count, false), MM_TOKEN_GOOD);
        assert_int_equal(type_in(&device, "744895053"), MM_TOKEN_USED);
    }

    // So it is not sold for the later count.
    char text[MM_TOKEN_DIGITS_MAX + 1];
    const mm_token_t first = {MM_TOKEN_ADD, 364, 26};
    const mm_token_t second = {MM_TOKEN_ADD, 43, 112};
    assert_int_equal(mm_token_make(&series_a, &first, false, false, text), MM_ERR_STATE);
    assert_int_equal(mm_token_make(&series_a, &second, false, true, text), MM_ERR_STATE);
    assert_int_equal(mm_token_make(&series_a, &second, true, false, text), MM_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_taken_once_after_2_4_6),
        cmocka_unit_test(test_token_taken_once_after_2_4_6_8),
        cmocka_unit_test(test_token_use_shifts_stay_defined),
        cmocka_unit_test(test_token_extended_older_unused_is_taken),
        cmocka_unit_test(test_token_empty_used_set_is_filled),
        cmocka_unit_test(test_token_older_without_record_is_an_answer),
        cmocka_unit_test(test_token_wrong_extended_is_an_answer),
        cmocka_unit_test(test_token_extended_disable_and_sync),
        cmocka_unit_test(test_token_starting_code_is_wrong),
        cmocka_unit_test(test_token_sync_window),
        cmocka_unit_test(test_token_double_in_a_chain_is_taken_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
