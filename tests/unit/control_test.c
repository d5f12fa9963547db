// SPDX-License-Identifier: Apache-2.0
// Commands: admission, order, every kind, answers.
#include <stdio.h>

#include "control_fixture.h"

static int setup(void **state) {
    (void)state;
    desk_without_relay = false;
    desk_without_actions = false;
    control_begin(true);
    return 0;
}

static uint32_t counted(mm_counter_t counter) {
    return world.counters.values[counter];
}

static void test_control_begins_an_era(void **state) {
    (void)state;
    const mm_event_record_t *event = event_of(MM_EVENT_CREDIT_ERA, 0);
    assert_non_null(event);
    assert_int_equal(event->values[0], desk.options.new_era);
    assert_int_equal(event->values[1], 0);
    control_reboot(true);
    assert_int_equal(count_events(MM_EVENT_CREDIT_ERA), 1);
    assert_int_equal(desk.control.era, desk.options.new_era);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_true(desk.relay_told[channel] && desk.relay_closed[channel]);
    }
}

static void test_control_locks_and_unlocks(void **state) {
    (void)state;
    uint64_t id = command(MM_COMMAND_LOCK, 2, NULL);
    assert_false(desk.relay_closed[2]);
    const mm_result_record_t *result = answer_of(id);
    assert_int_equal(result->status, MM_RESULT_DONE);
    assert_int_equal(result->kind, MM_COMMAND_LOCK);
    assert_int_equal(result->channel, 2);
    assert_int_equal(result->era, desk.options.new_era);
    assert_int_equal(result->counter, 1);
    assert_int_equal(result->at.seconds, world.t_us / US);
    assert_int_equal(event_of(MM_EVENT_SUPPLY_CUT, 0)->values[0], 2);
    assert_int_equal(event_of(MM_EVENT_SUPPLY_CUT, 0)->values[1], MM_RELAY_LOCKED);
    control_reboot(true);
    assert_true(desk.relay_told[2]);
    assert_false(desk.relay_closed[2]);
    assert_true(desk.relay_closed[1]);
    id = command(MM_COMMAND_UNLOCK, 2, NULL);
    assert_int_equal(answer_of(id)->status, MM_RESULT_DONE);
    assert_true(desk.relay_closed[2]);
    assert_int_equal(count_events(MM_EVENT_SUPPLY_RESTORED), 1);
    id = command(MM_COMMAND_UNLOCK, 2, NULL);
    assert_int_equal(answer_of(id)->status, MM_RESULT_DONE);
    assert_int_equal(count_events(MM_EVENT_SUPPLY_RESTORED), 1);
}

static void test_control_credit_by_network_and_token_counts_once(void **state) {
    (void)state;
    (void)make_prepaid(0, true);
    assert_false(desk.relay_closed[0]);
    assert_int_equal(event_of(MM_EVENT_SUPPLY_CUT, 0)->values[1], MM_RELAY_NO_CREDIT);
    sealed_t sealed = seal_credit(0, 2, 5000);
    assert_int_equal(take(&sealed), MM_OK);
    assert_true(desk.relay_closed[0]);
    const mm_credit_record_t *credit = credit_of(sealed.id);
    assert_int_equal(credit->movement, MM_MOVEMENT_NETWORK);
    assert_int_equal(credit->amount_wh, 5000);
    assert_int_equal(credit->applied_wh, 5000);
    assert_int_equal(credit->balance_wh, 5000);
    assert_int_equal(credit->count, 2);
    assert_int_equal(credit->purchase_id, 52);
    char digits[MM_TOKEN_DIGITS_MAX + 1];
    make_token(0, MM_TOKEN_ADD, 5, 2, digits); // the same purchase
    assert_int_equal(type(0, digits).verdict, MM_TYPED_USED);
    assert_int_equal(take(&sealed), MM_OK); // again
    assert_int_equal(counted(MM_COUNTER_COMMAND_REPEATED), 1);
    make_token(0, MM_TOKEN_ADD, 3, 4, digits);
    mm_typed_answer_t answer = type(0, digits);
    assert_int_equal(answer.verdict, MM_TYPED_ACCEPTED);
    assert_int_equal(answer.credit_wh, 3000);
    assert_int_equal(answer.balance_wh, 8000);
    sealed = seal_credit(0, 4, 3000);
    assert_int_equal(take(&sealed), MM_OK);
    assert_int_equal(answer_of(sealed.id)->status, MM_RESULT_ALREADY);
    control_run_s(100);
    assert_books_balance(0);
    control_reboot(true);
    assert_books_balance(0);
    assert_true(desk.relay_closed[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_control_begins_an_era, setup),
        cmocka_unit_test_setup(test_control_locks_and_unlocks, setup),
        cmocka_unit_test_setup(test_control_credit_by_network_and_token_counts_once, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
