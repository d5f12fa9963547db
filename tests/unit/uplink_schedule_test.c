// SPDX-License-Identifier: Apache-2.0
// Each fate of each answer of a session with three messages; tests/exhaustive/session_schedules.c does it with four.
#include "session_schedule.h"
#include "test_support.h"

static bool is_clean_schedule(const fate_t fates[ANSWER_COUNT], uint32_t ends_at) {
    session_result_t result = run_schedule(fates, ends_at);
    assert_int_equal(result.lost, 0);
    assert_int_equal(result.unearned, 0);
    return result.clean;
}

// 6^7 = 279,936 schedules. Clean are those in which CONNACK comes once and in time (2 of 6 fates; a second CONNACK is
// another connection), each SUBACK and PUBACK comes in time (on time, twice, delayed: 3 of 6), whatever becomes of the
// last DISCONNECTED (6 of 6): 2 * 3^5 * 6 = 2,916.
static void test_uplink_every_fate_of_every_answer(void **state) {
    (void)state;
    uint32_t clean = 0;
    assert_int_equal(schedule_count(ANSWER_COUNT), 279936);
    for (uint32_t number = 0; number < 279936; number++) {
        fate_t fates[ANSWER_COUNT];
        schedule_of(number, ANSWER_COUNT, fates);
        clean += is_clean_schedule(fates, ANSWER_COUNT);
    }
    assert_int_equal(clean, 2916);
}

// The connection ends by itself where an answer is due, with every fate of the answers before and of the last
// DISCONNECTED. No such session is clean.
static void test_uplink_connection_ends_instead_of_each_answer(void **state) {
    (void)state;
    uint32_t schedules = 0;
    for (uint32_t ends_at = 0; ends_at < ANSWER_DISCONNECTED; ends_at++) {
        for (uint32_t number = 0; number < schedule_count(ends_at + 1); number++) {
            fate_t fates[ANSWER_COUNT];
            schedule_of(number / FATE_COUNT, ends_at, fates);
            fates[ANSWER_DISCONNECTED] = (fate_t)(number % FATE_COUNT);
            assert_false(is_clean_schedule(fates, ends_at));
            schedules++;
        }
    }
    assert_int_equal(schedules, 6 * (1 + 6 + 36 + 216 + 1296 + 7776));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uplink_every_fate_of_every_answer),
        cmocka_unit_test(test_uplink_connection_ends_instead_of_each_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
