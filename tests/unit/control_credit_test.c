// SPDX-License-Identifier: Apache-2.0
// Prepayment at a node: from the first credit to the cut and back, by network and typed, through restarts.
#include <stdio.h>

#include "control_fixture.h"

#define IMAGES_BYTES                                                                                                   \
    (2 * (MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX) + 2 * (MM_STORE_HEADER_BYTES + MM_STORE_CELL_BYTES_MAX))

static int setup(void **state) {
    (void)state;
    desk_without_relay = false;
    desk_without_actions = false;
    on_relay = NULL;
    control_begin(true);
    return 0;
}

static uint32_t counted(mm_counter_t counter) {
    return world.counters.values[counter];
}

static uint64_t give(uint8_t channel, uint32_t count, int64_t amount_wh) {
    sealed_t sealed = seal_credit(channel, count, amount_wh);
    assert_int_equal(take(&sealed), MM_OK);
    return sealed.id;
}

static uint8_t status_of_credit(uint8_t kind, uint8_t channel, uint32_t count, int64_t amount_wh) {
    mm_command_body_t body = credit_body(count, amount_wh);
    return answer_of(command(kind, channel, &body))->status;
}

static mm_typed_answer_t type_made(uint8_t channel, mm_token_type_t token_type, uint32_t value, uint32_t count) {
    char digits[MM_TOKEN_DIGITS_MAX + 1];
    make_token(channel, token_type, value, count, digits);
    return type(channel, digits);
}

// The balance falls with the pulses, the customer is warned once, supply is cut at zero; emergency credit closes the
// relay again, once; a top-up repays it.
static void test_control_credit_from_top_up_to_cut_and_back(void **state) {
    (void)state;
    (void)make_prepaid(0, true);
    assert_false(desk.relay_closed[0]);
    assert_int_equal(mm_control_take_emergency(&desk.control, 1, desk_now()), MM_ERR_STATE); // postpaid
    (void)give(0, 2, 60);
    assert_true(desk.relay_closed[0]);
    (void)set_limits(0, 30, 20, 0, 0);
    assert_int_equal(mm_control_take_emergency(&desk.control, 0, desk_now()), MM_ERR_STATE); // not low
    uint32_t cuts = count_events(MM_EVENT_SUPPLY_CUT);
    uint32_t seconds = 0;
    while (count_events(MM_EVENT_CREDIT_LOW) == 0) {
        assert_true(desk.relay_closed[0] && seconds++ < 2000);
        control_run_s(1);
    }
    const mm_event_record_t *low = event_of(MM_EVENT_CREDIT_LOW, 0);
    assert_int_equal(low->values[0], 0);
    assert_int_equal(low->values[1], 30);
    assert_int_equal(low->values[2], world.metering.registers.channels[0].life_pulses);
    assert_in_range(low->values[3], 28, 30);
    control_reboot(true); // the warning was given
    while (desk.relay_closed[0]) {
        assert_true(seconds++ < 2000);
        control_run_s(1);
        assert_books_balance(0);
    }
    assert_int_equal(count_events(MM_EVENT_CREDIT_LOW), 1);
    assert_int_equal(count_events(MM_EVENT_SUPPLY_CUT), cuts + 1);
    const mm_event_record_t *cut = event_of(MM_EVENT_SUPPLY_CUT, cuts);
    assert_int_equal(cut->values[1], MM_RELAY_NO_CREDIT);
    assert_int_equal(cut->values[2], world.metering.registers.channels[0].life_pulses);
    assert_true((int64_t)cut->values[3] <= 0 && (int64_t)cut->values[3] > -3);
    assert_int_equal(mm_control_take_emergency(&desk.control, 0, desk_now()), MM_OK);
    assert_true(desk.relay_closed[0]);
    assert_int_equal(event_of(MM_EVENT_EMERGENCY_TAKEN, 0)->values[1], 20);
    assert_int_equal(mm_control_take_emergency(&desk.control, 0, desk_now()), MM_ERR_STATE);
    control_reboot(true);
    assert_int_equal(mm_control_take_emergency(&desk.control, 0, desk_now()), MM_ERR_STATE);
    while (desk.relay_closed[0]) {
        assert_true(seconds++ < 4000);
        control_run_s(1);
    }
    assert_in_range(-balance_of(0), 20, 22);
    assert_int_equal(type_made(0, MM_TOKEN_ADD, 5, 4).verdict, MM_TYPED_ACCEPTED);
    assert_true(desk.relay_closed[0]);
    assert_in_range(balance_of(0), 5000 - 22, 5000 - 20);
    assert_false(desk.control.credits[0].emergency_taken);
    assert_books_balance(0);
    mm_control_report_t report;
    mm_control_report(&desk.control, desk_now(), &report);
    assert_true(report.meters[0].prepaid && report.meters[0].relay_closed && !report.meters[0].low);
    assert_int_equal(report.meters[0].token_count, 4);
    assert_int_equal(report.meters[0].applied_wh, 5060);
    assert_false(report.meters[1].prepaid);
}

// A top-up does not undo a lock, and an unlock does not defeat the cut-off.
static void test_control_credit_and_lock_do_not_meddle(void **state) {
    (void)state;
    (void)make_prepaid(2, true);
    (void)command(MM_COMMAND_LOCK, 2, NULL);
    assert_int_equal(desk.control.credits[2].relay_reasons, MM_RELAY_LOCKED | MM_RELAY_NO_CREDIT);
    (void)give(2, 2, 5000);
    assert_int_equal(desk.control.credits[2].relay_reasons, MM_RELAY_LOCKED);
    assert_false(desk.relay_closed[2]);
    (void)command(MM_COMMAND_UNLOCK, 2, NULL);
    assert_true(desk.relay_closed[2]);
    (void)make_prepaid(3, true);
    (void)command(MM_COMMAND_UNLOCK, 3, NULL);
    assert_false(desk.relay_closed[3]);
}

static void test_control_credit_refusals(void **state) {
    (void)state;
    assert_int_equal(status_of_credit(MM_COMMAND_CREDIT, 0, 2, 100), MM_RESULT_STATE); // postpaid
    assert_int_equal(status_of_credit(MM_COMMAND_ADJUST, 0, 2, 100), MM_RESULT_STATE);
    assert_int_equal(type_made(0, MM_TOKEN_ADD, 5, 2).verdict, MM_TYPED_REFUSED);
    assert_int_equal(type_made(0, MM_TOKEN_SET, 5, 3).verdict, MM_TYPED_REFUSED);
    assert_int_equal(type_made(0, MM_TOKEN_DISABLE, 0, 3).verdict, MM_TYPED_REFUSED);
    (void)make_prepaid(0, true);
    assert_int_equal(answer_of(make_prepaid(0, true))->status, MM_RESULT_DONE); // it is so already
    (void)give(0, 2, MM_CREDIT_WH_MAX);
    assert_int_equal(status_of_credit(MM_COMMAND_CREDIT, 0, 4, 100000), MM_RESULT_OVERFLOW);
    assert_int_equal(type_made(0, MM_TOKEN_ADD, 500, 4).verdict, MM_TYPED_REFUSED);
    assert_int_equal(status_of_credit(MM_COMMAND_CREDIT, 0, 2, 100), MM_RESULT_ALREADY);
    assert_int_equal(status_of_credit(MM_COMMAND_VOID, 0, 2, 0), MM_RESULT_ALREADY);
    assert_int_equal(status_of_credit(MM_COMMAND_CREDIT, 0, MM_TOKEN_COUNT_MAX + 2, 1), MM_RESULT_BAD_BODY);
    assert_int_equal(balance_of(0), MM_CREDIT_WH_MAX);
    mm_command_body_t body = credit_body(200, -1000000);
    (void)command(MM_COMMAND_ADJUST, 0, &body);
    assert_int_equal(balance_of(0), MM_CREDIT_WH_MAX - 1000000);
    assert_int_equal(status_of_credit(MM_COMMAND_CREDIT, 0, 130, 100), MM_RESULT_TOO_OLD);
    (void)give(0, 140, 100);
    assert_int_equal(type_made(0, MM_TOKEN_ADD, 0, 202).verdict, MM_TYPED_REFUSED); // of nothing
    assert_books_balance(0);
}

static void test_control_void_takes_the_count_only(void **state) {
    (void)state;
    (void)make_prepaid(0, true);
    mm_command_body_t body = credit_body(2, 0);
    const mm_credit_record_t *credit = credit_of(command(MM_COMMAND_VOID, 0, &body));
    assert_int_equal(credit->movement, MM_MOVEMENT_VOID);
    assert_int_equal(credit->amount_wh, 0);
    assert_int_equal(type_made(0, MM_TOKEN_ADD, 5, 2).verdict, MM_TYPED_USED);
    assert_int_equal(counted(MM_COUNTER_TOKEN_REPEATED), 1);
    assert_int_equal(status_of_credit(MM_COMMAND_CREDIT, 0, 2, 100), MM_RESULT_ALREADY);
    assert_books_balance(0);
    body = credit_body(2, 0);
    (void)credit_of(command(MM_COMMAND_VOID, 1, &body)); // of a postpaid meter, too
}

static void test_control_ends_prepayment(void **state) {
    (void)state;
    (void)make_prepaid(0, true);
    (void)give(0, 2, 500);
    control_run_s(100);
    int64_t left_wh = balance_of(0);
    const mm_credit_record_t *credit = credit_of(make_prepaid(0, false));
    assert_int_equal(credit->movement, MM_MOVEMENT_POSTPAID);
    assert_int_equal(credit->amount_wh, -left_wh);
    assert_int_equal(credit->balance_wh, 0);
    assert_int_equal(credit->applied_wh, 500 - left_wh);
    assert_books_balance(0);
    control_run_s(100);
    credit = credit_of(make_prepaid(0, true));
    assert_int_equal(credit->movement, MM_MOVEMENT_PREPAID);
    assert_int_equal(credit->applied_wh, 0);
    assert_books_balance(0);
    assert_int_equal(status_of_credit(MM_COMMAND_CREDIT, 0, 2, 100), MM_RESULT_ALREADY); // counts stay used
    (void)give(0, 4, 500);
    // The typed token that does the same.
    mm_typed_answer_t answer = type_made(0, MM_TOKEN_DISABLE, 0, 5);
    assert_int_equal(answer.verdict, MM_TYPED_ACCEPTED);
    assert_int_equal(answer.credit_wh, -500);
    assert_int_equal(answer.balance_wh, 0);
    assert_false(desk.control.credits[0].prepaid);
    assert_books_balance(0);
    assert_true(desk.relay_closed[0]);
}

static mm_result_status_t end_with_count(uint8_t channel, uint32_t count) {
    const mm_command_body_t body = {.mode = {.has_count = true, .count = count}};
    const mm_record_t *last = NULL;
    uint64_t id = command(MM_COMMAND_MODE, channel, &body);
    hq_collect();
    assert_int_equal(count_answers(id, &last), 1);
    return last->type == MM_RECORD_RESULT ? (mm_result_status_t)last->result.status : MM_RESULT_DONE;
}

// What was decided about credit up to a count clears nothing that came later, however often it is decided.
static void test_control_ends_prepayment_once(void **state) {
    (void)state;
    (void)make_prepaid(0, true);
    (void)give(0, 2, 500);
    assert_int_equal(end_with_count(0, 5), MM_RESULT_DONE); // 4 is sold and not taken
    assert_false(desk.control.credits[0].prepaid);
    assert_int_equal(balance_of(0), 0);
    (void)make_prepaid(0, true);
    assert_int_equal(status_of_credit(MM_COMMAND_CREDIT, 0, 4, 100), MM_RESULT_ALREADY);
    assert_int_equal(end_with_count(0, 5), MM_RESULT_STATE); // nothing was sold since
    assert_true(desk.control.credits[0].prepaid);
    (void)give(0, 6, 700);
    assert_int_equal(end_with_count(0, 5), MM_RESULT_STATE);
    assert_int_equal(balance_of(0), 700);
    (void)end_with_count(0, 7);
    (void)make_prepaid(0, true);
    (void)give(0, 10, 300);
    assert_int_equal(end_with_count(0, 7), MM_RESULT_STATE);
    assert_int_equal(balance_of(0), 300);
    (void)give(0, 8, 100);
    assert_books_balance(0);
}

static void test_control_token_kinds(void **state) {
    (void)state;
    (void)make_prepaid(0, true);
    (void)give(0, 2, 1000);
    control_run_s(100);
    mm_typed_answer_t answer = type_made(0, MM_TOKEN_SET, 10, 3);
    assert_int_equal(answer.verdict, MM_TYPED_ACCEPTED);
    assert_int_equal(answer.balance_wh, 10000);
    assert_in_range(answer.credit_wh, 9001, 9100);
    assert_books_balance(0);
    answer = type_made(0, MM_TOKEN_SET, 10, 5); // it is there already
    assert_int_equal(answer.verdict, MM_TYPED_ACCEPTED);
    assert_int_equal(answer.credit_wh, 0);
    answer = type_made(0, MM_TOKEN_COUNTER_SYNC, 0, 31);
    assert_int_equal(answer.verdict, MM_TYPED_ACCEPTED);
    assert_int_equal(answer.credit_wh, 0);
    assert_int_equal(answer.balance_wh, 10000);
    assert_int_equal(type_made(0, MM_TOKEN_ADD, 5, 30).verdict, MM_TYPED_USED);
    desk.control.options.token_unit_wh = UINT32_MAX; // more than a balance can be
    assert_int_equal(type_made(0, MM_TOKEN_SET, 995, 33).verdict, MM_TYPED_REFUSED);
    assert_int_equal(type_made(0, MM_TOKEN_ADD, 995, 32).verdict, MM_TYPED_REFUSED);
    desk.control.options.token_unit_wh = UNIT_WH;
    assert_int_equal(type(0, "12345").verdict, MM_TYPED_NO_FORM);
    assert_int_equal(type(0, "").verdict, MM_TYPED_NO_FORM);
    assert_int_equal(desk.control.credits[0].wrong_tokens, 0);
    assert_books_balance(0);
    assert_int_equal(type_made(1, MM_TOKEN_COUNTER_SYNC, 0, 7).verdict, MM_TYPED_ACCEPTED); // postpaid
}

// 1, 2, 4 … 512 minutes; a restart begins the wait anew, a good token ends the row.
static void test_control_locks_out_who_guesses(void **state) {
    (void)state;
    (void)make_prepaid(0, true);
    uint32_t expected_s = 60;
    for (uint32_t wrong = 1; wrong <= 12; wrong++) {
        mm_typed_answer_t answer = type(0, "999999999");
        assert_int_equal(answer.verdict, MM_TYPED_WRONG);
        assert_int_equal(answer.wait_s, expected_s);
        assert_int_equal(event_of(MM_EVENT_TOKEN_LOCK_OUT, wrong - 1)->values[1], wrong);
        assert_int_equal(event_of(MM_EVENT_TOKEN_LOCK_OUT, wrong - 1)->values[2], expected_s);
        assert_int_equal(event_of(MM_EVENT_TOKEN_LOCK_OUT, wrong - 1)->values[3], 0);
        world.t_us += (int64_t)(expected_s - 1) * US + US / 2;
        control_sync();
        answer = type_made(0, MM_TOKEN_ADD, 5, 2); // right, but too early
        assert_int_equal(answer.verdict, MM_TYPED_LOCKED_OUT);
        assert_int_equal(answer.wait_s, 1);
        assert_int_equal(type_made(1, MM_TOKEN_ADD, 5, 2).verdict, MM_TYPED_REFUSED); // another meter is not
        if (wrong == 3) {
            control_reboot(true);
            control_sync();
            answer = type_made(0, MM_TOKEN_ADD, 5, 2);
            assert_int_equal(answer.verdict, MM_TYPED_LOCKED_OUT);
            assert_int_equal(answer.wait_s, expected_s);
            world.t_us += (int64_t)expected_s * US;
        }
        world.t_us += US;
        control_sync();
        expected_s = expected_s < 512 * 60 ? expected_s * 2 : expected_s;
    }
    assert_int_equal(type_made(0, MM_TOKEN_ADD, 5, 2).verdict, MM_TYPED_ACCEPTED);
    assert_int_equal(type(0, "999999999").wait_s, 60);
    // Without storage there is no free try.
    world.t_us += 61 * US;
    control_sync();
    world.fail_from_call = world.call_count;
    world.fail_to_call = NEVER;
    world.spare_journal = true;
    mm_typed_answer_t answer = type(0, "999999999");
    assert_int_equal(answer.verdict, MM_TYPED_WRONG);
    assert_int_equal(answer.wait_s, 120);
    assert_int_equal(type(0, "999999999").verdict, MM_TYPED_LOCKED_OUT);
    world.fail_to_call = 0;
    desk.control.credits[0].wrong_tokens = UINT8_MAX;
    world.t_us += 121 * US;
    control_sync();
    assert_int_equal(type(0, "999999999").wait_s, 512 * 60);
    assert_int_equal(desk.control.credits[0].wrong_tokens, UINT8_MAX);
}

static void test_control_token_that_cannot_be_stored_can_be_typed_again(void **state) {
    (void)state;
    (void)make_prepaid(0, true);
    char digits[MM_TOKEN_DIGITS_MAX + 1];
    make_token(0, MM_TOKEN_ADD, 5, 2, digits);
    world.fail_from_call = world.call_count;
    world.fail_to_call = NEVER;
    world.spare_journal = true;
    assert_int_equal(type(0, digits).verdict, MM_TYPED_STORAGE);
    assert_false(desk.relay_closed[0]);
    assert_int_equal(balance_of(0), 0);
    world.fail_to_call = 0;
    assert_int_equal(type(0, digits).verdict, MM_TYPED_ACCEPTED);
    assert_true(desk.relay_closed[0]);
    assert_books_balance(0);
}

// Quiet hours and days by local time; they prevent a cut and do not end one; without a clock there are none.
static void test_control_does_not_cut_in_quiet_hours(void **state) {
    (void)state;
    (void)set_limits(0, 0, 0, 1u << 11, 0); // it is 11:50 in Berlin
    (void)make_prepaid(0, true);
    assert_true(desk.relay_closed[0]);
    control_run_s(590);
    assert_true(desk.relay_closed[0]);
    assert_true(balance_of(0) < -50);
    control_run_s(20);
    assert_false(desk.relay_closed[0]);
    assert_int_equal(event_of(MM_EVENT_SUPPLY_CUT, 0)->values[1], MM_RELAY_NO_CREDIT);
    (void)set_limits(0, 0, 0, 0xFFFFFF, 0x7F);
    control_run_s(60);
    assert_false(desk.relay_closed[0]);    // it was cut before
    (void)set_limits(1, 0, 0, 0, 1u << 1); // Mondays
    (void)make_prepaid(1, true);
    assert_true(desk.relay_closed[1]);
    (void)set_limits(2, 0, 0, 0, 0x7D); // every other day
    (void)make_prepaid(2, true);
    assert_false(desk.relay_closed[2]);
    control_reboot(true); // no clock: no quiet day
    control_poll();
    assert_false(desk.relay_closed[1]);
}

// Supply without credit does not depend on storage; credit does.
static void test_control_cuts_without_storage(void **state) {
    (void)state;
    (void)make_prepaid(0, true);
    (void)give(0, 2, 10);
    uint32_t cuts = count_events(MM_EVENT_SUPPLY_CUT);
    world.fail_from_call = world.call_count;
    world.fail_to_call = NEVER;
    uint32_t seconds = 0;
    while (desk.relay_closed[0]) {
        assert_true(seconds++ < 300);
        control_run_s(1);
    }
    assert_true(balance_of(0) <= 0 && balance_of(0) > -3);
    assert_int_equal(desk.control.credits[0].relay_reasons, 0); // not journalled yet
    mm_control_report_t report;
    mm_control_report(&desk.control, desk_now(), &report);
    assert_false(report.meters[0].relay_closed);
    world.fail_to_call = 0;
    control_run_s(30);
    assert_int_equal(count_events(MM_EVENT_SUPPLY_CUT), cuts + 1);
    assert_false(desk.relay_closed[0]);
    // Supply comes back only when that is stored.
    (void)command(MM_COMMAND_LOCK, 1, NULL);
    world.spare_registers = true;
    world.fail_from_call = world.call_count;
    world.fail_to_call = NEVER;
    (void)command(MM_COMMAND_UNLOCK, 1, NULL);
    assert_false(desk.relay_closed[1]);
    world.fail_to_call = 0;
    control_run_s(30);
    assert_true(desk.relay_closed[1]);
}

static void test_control_warning_waits_for_storage(void **state) {
    (void)state;
    (void)make_prepaid(0, true);
    (void)give(0, 2, 10000);
    world.fail_from_call = world.call_count;
    world.fail_to_call = NEVER;
    desk.control.credits[0].limits.warning_wh = 20000;
    control_run_s(5);
    assert_false(desk.control.credits[0].warned);
    world.fail_to_call = 0;
    control_run_s(15);
    assert_int_equal(count_events(MM_EVENT_CREDIT_LOW), 1);
    // A lower threshold: there will be another warning.
    (void)set_limits(0, 1000, 0, 0, 0);
    assert_false(desk.control.credits[0].warned);
    (void)set_limits(0, 20000, 0, 0, 0);
    assert_int_equal(count_events(MM_EVENT_CREDIT_LOW), 2);
    (void)set_limits(0, 30000, 0, 0, 0);
    assert_int_equal(count_events(MM_EVENT_CREDIT_LOW), 2);
}

// What was consumed under one pulse constant stays consumed.
static void test_control_balance_outlives_a_change_of_the_meter(void **state) {
    (void)state;
    (void)make_prepaid(0, true);
    (void)make_prepaid(1, true);
    (void)give(0, 2, 50000);
    (void)give(1, 2, 50000);
    control_run_s(600);
    int64_t before_wh = balance_of(0);
    int64_t before_1_wh = balance_of(1);
    mm_command_body_t body = {.update = {.has_pulse_constant = true, .pulse_constant = 100}};
    (void)command(MM_COMMAND_UPDATE, 0, &body);
    assert_int_equal(balance_of(0), before_wh);
    uint64_t life_pulses = world.metering.registers.channels[0].life_pulses;
    control_run_s(100);
    uint64_t pulses = world.metering.registers.channels[0].life_pulses - life_pulses;
    assert_int_equal(balance_of(0), before_wh - 10 * (int64_t)pulses);
    before_wh = balance_of(0);
    (void)command(MM_COMMAND_ERASE, 0, NULL);
    assert_int_equal(balance_of(0), before_wh);
    control_reboot(true);
    // By the configuration of the node.
    world.options.meters[1].pulse_constant = 500;
    before_1_wh = balance_of(1);
    control_reboot(true);
    assert_int_equal(desk.control.pulse_constants[1], 500);
    assert_in_range(before_1_wh - balance_of(1), 0, 1);
    before_1_wh = balance_of(1);
    life_pulses = world.metering.registers.channels[1].life_pulses;
    control_run_s(100);
    pulses = world.metering.registers.channels[1].life_pulses - life_pulses;
    assert_int_equal(balance_of(1), before_1_wh - 2 * (int64_t)pulses);
    world.options.meters[1].pulse_constant = 250;
    world.fail_from_call = world.call_count + 1000000;
    control_reboot(true);
    assert_in_range(before_1_wh - 2 * (int64_t)pulses - balance_of(1), 0, 3);
}

// The newest image is lost: the journal behind the older one brings everything back.

static uint8_t s_images[IMAGES_BYTES];

static void keep_images(void) {
    memcpy(s_images, world.fram, sizeof s_images);
}

static void fall_back(void) {
    memcpy(world.fram, s_images, sizeof s_images);
    control_reboot(true);
    control_sync();
}

static void test_control_falls_back_and_redoes_credit(void **state) {
    (void)state;
    (void)set_limits(0, 0, 100, 0, 0);
    (void)make_prepaid(0, true);
    (void)make_prepaid(1, true);
    (void)make_prepaid(4, true);
    (void)give(0, 2, 1000);
    control_run_s(50);
    keep_images();
    char used[MM_TOKEN_DIGITS_MAX + 1];
    make_token(0, MM_TOKEN_ADD, 5, 4, used);
    assert_int_equal(type(0, used).verdict, MM_TYPED_ACCEPTED);
    sealed_t network = seal_credit(0, 6, 2000);
    assert_int_equal(take(&network), MM_OK);
    mm_command_body_t body = credit_body(8, 0);
    (void)command(MM_COMMAND_VOID, 0, &body);
    assert_int_equal(mm_control_take_emergency(&desk.control, 0, desk_now()), MM_ERR_STATE);
    (void)make_prepaid(1, false);
    (void)make_prepaid(2, true);
    (void)type_made(2, MM_TOKEN_COUNTER_SYNC, 0, 9);
    (void)make_prepaid(5, true);
    (void)type_made(5, MM_TOKEN_DISABLE, 0, 11);
    (void)type(3, "999999999");
    (void)set_limits(4, 0, 70, 1, 2);
    assert_int_equal(mm_control_take_emergency(&desk.control, 4, desk_now()), MM_OK);
    (void)type_made(4, MM_TOKEN_SET, 3, 3);
    int64_t balance_wh = balance_of(0);
    uint32_t counter = desk.control.counter;
    fall_back();
    assert_int_equal(desk.control.counter, counter);
    assert_int_equal(balance_of(0), balance_wh);
    assert_books_balance(0);
    assert_books_balance(2);
    assert_false(desk.control.credits[1].prepaid);
    assert_true(desk.control.credits[2].prepaid);
    assert_int_equal(desk.control.credits[2].tokens.count, 9);
    assert_false(desk.control.credits[5].prepaid);
    assert_int_equal(desk.control.credits[5].tokens.count, 11);
    assert_int_equal(type_made(5, MM_TOKEN_ADD, 5, 8).verdict, MM_TYPED_USED);
    assert_int_equal(desk.control.credits[3].wrong_tokens, 1);
    assert_int_equal(desk.control.credits[4].limits.emergency_wh, 70);
    assert_false(desk.control.credits[4].emergency_taken); // repaid
    assert_int_equal(type(0, used).verdict, MM_TYPED_USED);
    assert_int_equal(take(&network), MM_OK);
    hq_collect();
    assert_int_equal(count_answers(network.id, NULL), 1);
    assert_int_equal(type_made(0, MM_TOKEN_ADD, 1, 8).verdict, MM_TYPED_USED);
    assert_int_equal(world.metering.replay_after.epoch, 0);
    control_reboot(true);
    assert_books_balance(0);
    assert_int_equal(desk.control.counter, counter);
}

static void test_control_falls_back_and_redoes_orders(void **state) {
    (void)state;
    (void)make_prepaid(6, true);
    (void)give(6, 2, 90000);
    (void)command(MM_COMMAND_LOCK, 1, NULL);
    control_run_s(300);
    keep_images();
    (void)command(MM_COMMAND_LOCK, 0, NULL);
    (void)command(MM_COMMAND_UNLOCK, 1, NULL);
    mm_command_body_t plan = {.slot_plan = {.slot = 3, .slot_count = 50}};
    (void)command(MM_COMMAND_SLOT_PLAN, MM_COMMAND_WHOLE_NODE, &plan);
    mm_command_body_t update = {.update = {.has_id = true,
                                           .has_pulse_constant = true,
                                           .has_life_pulses = true,
                                           .id = "X5",
                                           .pulse_constant = 500,
                                           .life_pulses = 90}};
    (void)command(MM_COMMAND_UPDATE, 5, &update);
    (void)command(MM_COMMAND_ERASE, 6, NULL);
    int64_t balance_wh = balance_of(6);
    mm_command_body_t broker = {.broker = {.url = "mqtts://b.example"}};
    uint64_t trial = command(MM_COMMAND_BROKER, MM_COMMAND_WHOLE_NODE, &broker);
    control_run_s(30);
    fall_back();
    assert_false(desk.relay_closed[0]);
    assert_true(desk.relay_closed[1]);
    assert_int_equal(desk.control.slots.slot, 3);
    assert_int_equal(desk.control.slots.slot_count, 50);
    assert_string_equal(world.metering.options.meters[5].id, "X5");
    assert_int_equal(world.metering.options.meters[5].pulse_constant, 500);
    assert_in_range(world.metering.registers.channels[5].life_pulses, 90, 100);
    assert_in_range(world.metering.registers.channels[6].life_pulses, 0, 20);
    assert_in_range(balance_wh - balance_of(6) + 2, 0, 22);
    assert_int_equal(answer_of(trial)->status, MM_RESULT_FAILED); // the restart has ended it
    assert_int_equal(count_actions(ACTION_ROLL_BACK), 1);
}

static void test_control_falls_back_in_a_format(void **state) {
    (void)state;
    control_run_s(300);
    mm_command_body_t body = {.format = {.code = 0}};
    (void)command(MM_COMMAND_FORMAT, MM_COMMAND_WHOLE_NODE, &body);
    body.format.code = desk.control.format_code;
    keep_images();
    uint64_t id = command(MM_COMMAND_FORMAT, MM_COMMAND_WHOLE_NODE, &body);
    (void)mm_control_poll(&desk.control, desk_now());
    (void)mm_control_poll(&desk.control, desk_now());
    (void)mm_control_poll(&desk.control, desk_now());
    fall_back();
    control_run_s(5);
    assert_int_equal(answer_of(id)->status, MM_RESULT_DONE);
    assert_int_equal(count_trying(id), 1 + MM_CHANNELS);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_in_range(world.metering.registers.channels[channel].life_pulses, 0, 20);
    }
    // And behind its end: nothing is left to do.
    keep_images();
    body.format.code = 0;
    (void)command(MM_COMMAND_FORMAT, MM_COMMAND_WHOLE_NODE, &body);
    body.format.code = desk.control.format_code;
    id = command(MM_COMMAND_FORMAT, MM_COMMAND_WHOLE_NODE, &body);
    control_poll();
    fall_back();
    assert_int_equal(desk.control.acting_kind, MM_COMMAND_NONE);
    assert_int_equal(desk.control.format_channels, 0);
    assert_int_equal(answer_of(id)->status, MM_RESULT_DONE);
    assert_int_equal(count_trying(id), 1 + MM_CHANNELS);
}

// An older image without any state, and the journal that began the era.
static void test_control_falls_back_to_before_its_era(void **state) {
    (void)state;
    memset(&desk, 0, sizeof desk);
    desk.key = test_crypto_key(0);
    desk.options = (mm_control_options_t){.mac = NODE_MAC, .token_unit_wh = UNIT_WH, .new_era = 5};
    world_init(CONTROL_BEGIN_S, true);
    assert_int_equal(world_open(), MM_OK);
    keep_images();
    control_open();
    (void)make_prepaid(0, true);
    (void)give(0, 2, 700);
    desk.options.new_era = 6;
    fall_back();
    assert_int_equal(desk.control.era, 5);
    assert_int_equal(count_events(MM_EVENT_CREDIT_ERA), 1);
    desk.options.new_era = 5; // of the books
    assert_books_balance(0);
}

// Then the journal is silent, too: nothing is taken before it has been heard.
static void test_control_waits_for_a_silent_journal(void **state) {
    (void)state;
    (void)make_prepaid(0, true);
    control_run_s(30);
    char used[MM_TOKEN_DIGITS_MAX + 1];
    make_token(0, MM_TOKEN_ADD, 5, 2, used);
    assert_int_equal(type(0, used).verdict, MM_TYPED_ACCEPTED);
    size_t newest = world.store.image_slot * (size_t)(MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX);
    world.fram[newest + 100] ^= 1;
    world.spare_registers = true;
    world.fail_from_call = world.call_count;
    world.fail_to_call = NEVER;
    control_reboot(true);
    assert_int_equal(world.metering.opened_as, MM_STORE_FELL_BACK);
    assert_false(desk.control.usable);
    assert_int_equal(type(0, used).verdict, MM_TYPED_STORAGE);
    control_run_s(15);
    assert_false(desk.control.usable);
    world.fail_to_call = 0;
    control_run_s(30);
    assert_true(desk.control.usable);
    assert_int_equal(type(0, used).verdict, MM_TYPED_USED);
    assert_books_balance(0);
}

// States that no version has written begin an era; storage that refuses what was redone keeps it for later.
static void test_control_refuses_an_impossible_state(void **state) {
    (void)state;
    for (int fault = 0; fault < 4; fault++) {
        control_begin(true);
        (void)make_prepaid(0, true);
        uint8_t extension[MM_METERING_EXTENSION_BYTES_MAX];
        size_t extension_bytes = world.metering.extension_bytes;
        memcpy(extension, world.metering.extension, extension_bytes);
        switch (fault) {
        case 0:
            extension[0] = 3; // of a later version
            break;
        case 1:
            memset(extension + 1, 0, 4); // no era
            break;
        case 2:
            extension_bytes--;
            break;
        default:
            extension[extension_bytes++] = 0;
            break;
        }
        const mm_metering_transaction_t transaction = {.extension = extension, .extension_bytes = extension_bytes};
        assert_int_equal(mm_metering_commit(&world.metering, &transaction, desk_now()), MM_OK);
        desk.options.new_era = 99;
        control_reboot(true);
        assert_int_equal(desk.control.era, 99);
        assert_int_equal(event_of(MM_EVENT_CREDIT_ERA, 1)->values[1], 1);
        assert_false(desk.control.credits[0].prepaid);
    }
}

// What the version before installations were told has written is read.
static void test_control_reads_the_state_before(void **state) {
    (void)state;
    (void)make_prepaid(0, true);
    (void)give(0, 2, 5000);
    uint8_t extension[MM_METERING_EXTENSION_BYTES_MAX];
    size_t extension_bytes = world.metering.extension_bytes - 4u;
    memcpy(extension, world.metering.extension, extension_bytes);
    extension[0] = 1;
    const mm_metering_transaction_t transaction = {.extension = extension, .extension_bytes = extension_bytes};
    assert_int_equal(mm_metering_commit(&world.metering, &transaction, desk_now()), MM_OK);
    uint32_t era = desk.control.era;
    desk.options.new_era = 99;
    control_reboot(true);
    assert_int_equal(desk.control.era, era);
    assert_int_equal(desk.control.installation_told, 0);
    assert_books_balance(0);
}

static void test_control_keeps_what_was_redone_for_later(void **state) {
    (void)state;
    (void)make_prepaid(0, true);
    control_run_s(30);
    keep_images();
    (void)give(0, 2, 5000);
    memcpy(world.fram, s_images, sizeof s_images);
    world_reboot(US, true);
    world.spare_journal = true;
    world.fail_from_call = world.call_count;
    world.fail_to_call = NEVER;
    control_open();
    assert_true(desk.control.usable);
    assert_true(balance_of(0) > 4900);
    world.fail_to_call = 0;
    assert_int_not_equal(world.metering.replay_after.epoch, 0);
    control_reboot(true);
    assert_true(balance_of(0) > 4900);
    assert_int_equal(world.metering.replay_after.epoch, 0);
    assert_books_balance(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_control_credit_from_top_up_to_cut_and_back, setup),
        cmocka_unit_test_setup(test_control_credit_and_lock_do_not_meddle, setup),
        cmocka_unit_test_setup(test_control_credit_refusals, setup),
        cmocka_unit_test_setup(test_control_void_takes_the_count_only, setup),
        cmocka_unit_test_setup(test_control_ends_prepayment, setup),
        cmocka_unit_test_setup(test_control_ends_prepayment_once, setup),
        cmocka_unit_test_setup(test_control_token_kinds, setup),
        cmocka_unit_test_setup(test_control_locks_out_who_guesses, setup),
        cmocka_unit_test_setup(test_control_token_that_cannot_be_stored_can_be_typed_again, setup),
        cmocka_unit_test_setup(test_control_does_not_cut_in_quiet_hours, setup),
        cmocka_unit_test_setup(test_control_cuts_without_storage, setup),
        cmocka_unit_test_setup(test_control_warning_waits_for_storage, setup),
        cmocka_unit_test_setup(test_control_balance_outlives_a_change_of_the_meter, setup),
        cmocka_unit_test_setup(test_control_falls_back_and_redoes_credit, setup),
        cmocka_unit_test_setup(test_control_falls_back_and_redoes_orders, setup),
        cmocka_unit_test_setup(test_control_falls_back_in_a_format, setup),
        cmocka_unit_test_setup(test_control_falls_back_to_before_its_era, setup),
        cmocka_unit_test_setup(test_control_waits_for_a_silent_journal, setup),
        cmocka_unit_test_setup(test_control_refuses_an_impossible_state, setup),
        cmocka_unit_test_setup(test_control_reads_the_state_before, setup),
        cmocka_unit_test_setup(test_control_keeps_what_was_redone_for_later, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
