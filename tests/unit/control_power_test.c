// SPDX-License-Identifier: Apache-2.0
// The power fails at every operation of everything that changes control's state, and once more in the recovery. What
// was under way happened at most once, exactly one answer comes after it was brought again, and no relay had moved
// before that was durable.
#include <stdio.h>

#include "control_fixture.h"

#define METER 1

// A story: what is prepared, what the power fails in, how it is brought again, and what must hold then.
typedef struct {
    const char *name;
    void (*prepare)(void);
    void (*act)(void);
    void (*repeat)(void);
    void (*check)(bool again);
} story_t;

static world_t base_world;
static desk_t base_desk;
static const char *case_story = "";
static uint64_t case_step = UINT64_MAX;
static uint64_t case_second;
static sealed_t sealed;
static char digits[MM_TOKEN_DIGITS_MAX + 1];
static bool moved_when_alive;
static uint32_t base_cuts;

static int teardown(void **state) {
    (void)state;
    if (case_step != UINT64_MAX) {
        printf("failed in: %s, cut at step %llu, again at %llu\n", case_story, (unsigned long long)case_step,
               (unsigned long long)case_second);
    }
    return 0;
}

// The stories.

static void take_sealed(void) {
    (void)take(&sealed);
    if (!is_dead()) {
        control_poll();
    }
}

static void assert_one_answer(void) {
    hq_collect();
    assert_int_equal(count_answers(sealed.id, NULL), 1);
    assert_int_equal(desk.control.counter, desk.next_counter);
}

static void prepare_lock(void) {
    sealed = seal(MM_COMMAND_LOCK, METER, NULL);
}

static void check_lock(bool again) {
    hq_collect();
    assert_true(count_answers(sealed.id, NULL) <= 1);
    assert_int_equal((desk.control.locked_channels & 1 << METER) != 0, count_answers(sealed.id, NULL) == 1);
    assert_int_equal(desk.relay_closed[METER], count_answers(sealed.id, NULL) == 0);
    assert_true(!moved_when_alive || !desk.relay_closed[METER]);
    if (again) {
        assert_one_answer();
        assert_int_equal(hq_count_events(MM_EVENT_SUPPLY_CUT), base_cuts + 1);
    }
}

static void prepare_credit(void) {
    (void)make_prepaid(METER, true);
    sealed = seal_credit(METER, 2, 5000);
    make_token(METER, MM_TOKEN_ADD, 5, 2, digits);
}

static void check_credit(bool again) {
    hq_collect();
    uint32_t answers = count_answers(sealed.id, NULL);
    assert_true(answers <= 1);
    assert_int_equal(desk.control.credits[METER].applied_wh, answers == 1 ? 5000 : 0);
    assert_int_equal(desk.relay_closed[METER], answers == 1);
    assert_true(!moved_when_alive || answers == 1);
    assert_books_balance(METER);
    if (again) {
        assert_one_answer();
    }
}

// The end of prepayment with a count: credit and count go together, once.
static void prepare_withdrawal(void) {
    prepare_credit();
    assert_int_equal(take(&sealed), MM_OK);
    control_poll();
    const mm_command_body_t body = {.mode = {.has_count = true, .count = 5}};
    sealed = seal(MM_COMMAND_MODE, METER, &body);
    make_token(METER, MM_TOKEN_ADD, 5, 4, digits);
}

static void check_withdrawal(bool again) {
    hq_collect();
    const mm_record_t *record = NULL;
    const mm_credit_t *credit = &desk.control.credits[METER];
    uint32_t answers = count_answers(sealed.id, &record);
    assert_true(answers <= 1);
    assert_int_equal(credit->prepaid, answers == 0);
    assert_int_equal(credit->tokens.count, answers == 0 ? 2 : 5);
    assert_true(desk.relay_closed[METER] && !moved_when_alive);
    assert_books_balance(METER);
    if (!again) {
        return;
    }
    assert_one_answer();
    assert_int_equal(record->credit.count, 5);
    // What was sold before it is used.
    assert_int_equal(type(METER, digits).verdict, MM_TYPED_USED);
}

static void type_digits(void) {
    (void)type(METER, digits);
}

static void type_again(void) {
    mm_typed_verdict_t verdict = type(METER, digits).verdict;
    assert_true(verdict == MM_TYPED_ACCEPTED || verdict == MM_TYPED_USED);
}

static void check_token(bool again) {
    hq_collect();
    int64_t applied_wh = desk.control.credits[METER].applied_wh;
    assert_true(applied_wh == 5000 || (applied_wh == 0 && !again));
    assert_int_equal(desk.relay_closed[METER], applied_wh == 5000);
    assert_true(!moved_when_alive || applied_wh == 5000);
    assert_books_balance(METER);
    if (again) {
        // The same purchase by the other way is refused.
        assert_int_equal(take(&sealed), MM_OK);
        const mm_result_record_t *result = answer_of(sealed.id);
        assert_int_equal(result->status, MM_RESULT_ALREADY);
        assert_books_balance(METER);
    }
}

// Both ways at once: the token while the command is being stored, in either order.
static void type_and_take(void) {
    type_digits();
    take_sealed();
}

static void take_and_type(void) {
    take_sealed();
    type_digits();
}

static void repeat_both(void) {
    type_again();
    take_sealed();
}

static void check_both(bool again) {
    hq_collect();
    int64_t applied_wh = desk.control.credits[METER].applied_wh;
    assert_true(applied_wh == 5000 || (applied_wh == 0 && !again));
    assert_books_balance(METER);
    if (again) {
        assert_one_answer();
    }
}

static void prepare_wrong(void) {
    prepare_credit();
}

static void type_wrong(void) {
    (void)type(METER, "999999999");
}

static void check_wrong(bool again) {
    hq_collect();
    uint32_t told = hq_count_events(MM_EVENT_TOKEN_LOCK_OUT);
    assert_int_equal(desk.control.credits[METER].wrong_tokens, told);
    assert_true(told <= 1 && (told == 1 || !again));
    assert_int_equal(type(METER, digits).verdict == MM_TYPED_LOCKED_OUT, told == 1);
}

static void repeat_wrong(void) {
    if (desk.control.credits[METER].wrong_tokens == 0) {
        type_wrong();
    }
}

static void prepare_emergency(void) {
    (void)set_limits(METER, 100, 3000, 0, 0);
    (void)make_prepaid(METER, true);
}

static void take_emergency(void) {
    (void)mm_control_take_emergency(&desk.control, METER, desk_now());
}

static void check_emergency(bool again) {
    hq_collect();
    uint32_t taken = hq_count_events(MM_EVENT_EMERGENCY_TAKEN);
    assert_true(taken <= 1 && (taken == 1 || !again));
    assert_int_equal(desk.control.credits[METER].emergency_taken, taken == 1);
    assert_int_equal(desk.relay_closed[METER], taken == 1);
    assert_true(!moved_when_alive || taken == 1);
    assert_books_balance(METER);
}

// The last Wh is used.
static void prepare_end(void) {
    prepare_credit();
    sealed = seal_credit(METER, 4, 3);
    assert_int_equal(take(&sealed), MM_OK);
    control_poll();
    assert_true(desk.relay_closed[METER]);
}

static void use_it_up(void) {
    uint32_t seconds = 0;
    while (!is_dead() && (desk.relay_closed[METER] || seconds < 60)) {
        control_run_s(1);
        assert_true(seconds++ < 200);
    }
}

static void check_end(bool again) {
    hq_collect();
    assert_books_balance(METER);
    if (balance_of(METER) <= 0) {
        assert_false(desk.relay_closed[METER]);
    }
    if (again) {
        assert_false(desk.relay_closed[METER]);
        assert_int_equal(hq_count_events(MM_EVENT_SUPPLY_CUT), base_cuts + 1);
    }
}

static void prepare_update(void) {
    (void)make_prepaid(METER, true);
    sealed_t credit = seal_credit(METER, 2, 90000);
    assert_int_equal(take(&credit), MM_OK);
    control_run_s(100);
    mm_command_body_t body = {
        .update = {.has_pulse_constant = true, .has_life_pulses = true, .pulse_constant = 500, .life_pulses = 100000}};
    sealed = seal(MM_COMMAND_UPDATE, METER, &body);
}

static void check_update(bool again) {
    hq_collect();
    const mm_record_t *record = NULL;
    uint32_t answers = count_answers(sealed.id, &record);
    assert_true(answers <= 1 && (answers == 1 || !again));
    uint64_t life_pulses = world.metering.registers.channels[METER].life_pulses;
    assert_int_equal(world.metering.options.meters[METER].pulse_constant, answers == 1 ? 500 : 1000);
    int64_t read_us = world.metering.last_read_at - 7 * US + world.boot_us;
    uint64_t truth = truth_at(METER, read_us);
    if (answers == 0) {
        assert_int_equal(life_pulses, truth);
        return;
    }
    mm_archive_detail_t archive;
    assert_int_equal(mm_archive_detail_read(record->result.detail, record->result.detail_bytes, &archive), MM_OK);
    assert_int_equal(life_pulses - 100000, truth - archive.before.life_pulses); // no pulse is lost or counted twice
    int64_t expected_wh =
        90000 - (int64_t)(archive.before.life_pulses - desk.seconds) - 2 * (int64_t)(life_pulses - 100000);
    assert_int_equal(balance_of(METER), expected_wh);
}

static void prepare_update_at(void) {
    prepare_update();
    hq_collect();
    for (uint32_t i = 0; i < world.hq_count; i++) {
        if (hq_records[i].type == MM_RECORD_CREDIT && hq_records[i].record.credit.movement == MM_MOVEMENT_PREPAID) {
            desk.seconds = (uint32_t)hq_records[i].record.credit.life_pulses; // free here
        }
    }
}

static void prepare_start(void) {
    sealed = seal(MM_COMMAND_OTA_START, MM_COMMAND_WHOLE_NODE, NULL);
}

static void check_start(bool again) {
    hq_collect();
    assert_true(count_actions(ACTION_OTA_START) <= 1);
    assert_true(count_answers(sealed.id, NULL) <= 1);
    if (again) {
        assert_one_answer();
    }
}

static void prepare_trial(void) {
    mm_command_body_t body = {.broker = {.url = "mqtts://b.example"}};
    sealed = seal(MM_COMMAND_BROKER, MM_COMMAND_WHOLE_NODE, &body);
}

static void try_and_keep(void) {
    take_sealed();
    if (!is_dead()) {
        mm_control_on_session(&desk.control, true, desk_now());
    }
}

static void check_trial(bool again) {
    hq_collect();
    assert_true(count_actions(ACTION_STAGE) <= 1 && count_actions(ACTION_KEEP) <= 1);
    assert_true(count_trying(sealed.id) <= 1);
    if (again) {
        mm_control_on_session(&desk.control, true, desk_now());
        assert_one_answer();
        assert_int_equal(count_trying(sealed.id), 1);
        assert_int_equal(desk.control.acting_kind, MM_COMMAND_NONE);
    }
}

static void prepare_format(void) {
    control_run_s(600);
    mm_command_body_t body = {.format = {.code = 0}};
    (void)command(MM_COMMAND_FORMAT, MM_COMMAND_WHOLE_NODE, &body);
    body.format.code = desk.control.format_code;
    sealed = seal(MM_COMMAND_FORMAT, MM_COMMAND_WHOLE_NODE, &body);
}

static void check_format(bool again) {
    hq_collect();
    uint32_t archives = count_trying(sealed.id);
    assert_true(archives <= 1 + MM_CHANNELS);
    if (again) {
        assert_one_answer();
        const mm_result_record_t *result = answer_of(sealed.id);
        // The code is void after a restart, so a command that was not taken before is refused after it.
        assert_int_equal(archives, result->status == MM_RESULT_DONE ? 1 + MM_CHANNELS : 0);
        for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
            assert_int_equal(world.metering.registers.channels[channel].life_pulses < 9,
                             result->status == MM_RESULT_DONE);
        }
    }
}

static const story_t stories[] = {
    {"lock", prepare_lock, take_sealed, take_sealed, check_lock},
    {"credit", prepare_credit, take_sealed, take_sealed, check_credit},
    {"withdrawal", prepare_withdrawal, take_sealed, take_sealed, check_withdrawal},
    {"token", prepare_credit, type_digits, type_again, check_token},
    {"token, then command", prepare_credit, type_and_take, repeat_both, check_both},
    {"command, then token", prepare_credit, take_and_type, repeat_both, check_both},
    {"wrong token", prepare_wrong, type_wrong, repeat_wrong, check_wrong},
    {"emergency", prepare_emergency, take_emergency, take_emergency, check_emergency},
    {"end of credit", prepare_end, use_it_up, use_it_up, check_end},
    {"update", prepare_update_at, take_sealed, take_sealed, check_update},
    {"start of an update", prepare_start, take_sealed, take_sealed, check_start},
    {"trial", prepare_trial, try_and_keep, take_sealed, check_trial},
    {"format", prepare_format, take_sealed, take_sealed, check_format},
};
#define STORIES (sizeof stories / sizeof stories[0])

static void note_move(uint8_t channel, bool closed) {
    assert_int_equal(closed, desk.control.credits[channel].relay_reasons == 0); // what is journalled
    moved_when_alive = moved_when_alive || (channel == METER && desk.relay_closed[channel] != closed);
}

static void make_base(const story_t *story, bool with_fram) {
    on_relay = NULL;
    control_begin(with_fram);
    story->prepare();
    control_run_s(3);
    base_cuts = count_events(MM_EVENT_SUPPLY_CUT);
    base_world = world;
    base_desk = desk;
    operation_count = 0;
}

static void recover(uint64_t second_step) {
    bool again = second_step != UINT64_MAX;
    while (is_dead()) {
        mm_sim_power_up(&world.power);
        if (again) {
            mm_sim_power_cut_after(&world.power, second_step);
            again = false;
        }
        control_reboot(true);
        if (!is_dead()) {
            control_sync();
        }
    }
    mm_sim_power_disarm(&world.power);
}

static void run_case(const story_t *story, uint64_t step, uint64_t second_step) {
    case_story = story->name;
    case_step = step;
    case_second = second_step;
    world = base_world;
    desk = base_desk;
    operation_count = 0;
    moved_when_alive = false;
    on_relay = note_move;
    mm_sim_power_cut_after(&world.power, step);
    story->act();
    assert_true(is_dead());
    on_relay = NULL;
    recover(second_step);
    story->check(false);
    story->repeat();
    control_run_s(3);
    story->check(true);
    // What is stored is as good as what was in RAM.
    control_reboot(true);
    control_sync();
    story->check(true);
    case_step = UINT64_MAX;
}

static void cut_everywhere(const story_t *story, bool with_fram) {
    make_base(story, with_fram);
    story->act();
    assert_false(is_dead());
    uint64_t steps = world.power.steps_drawn - base_world.power.steps_drawn;
    uint32_t operations = operation_count;
    assert_true(operations > 0);
    uint64_t *begins = malloc((operations + 1) * sizeof *begins);
    assert_non_null(begins);
    for (uint32_t i = 0; i < operations; i++) {
        begins[i] = operation_begins[i] - base_world.power.steps_drawn;
    }
    begins[operations] = steps;
    for (uint32_t i = 0; i < operations; i += MM_CASES_EVERY) {
        uint64_t size = begins[i + 1] - begins[i];
        const uint64_t places[] = {0, size / 2, size - 1};
        for (size_t place = 0; place < 3 && (place == 0 || places[place] > places[place - 1]); place++) {
            run_case(story, begins[i] + places[place], UINT64_MAX);
            run_case(story, begins[i] + places[place], (i * 577 + place * 131) % 5000);
        }
    }
    free(begins);
}

static void test_control_cut_at_every_operation_fram(void **state) {
    (void)state;
    for (size_t i = 0; i < STORIES; i++) {
        cut_everywhere(&stories[i], true);
    }
}

static void test_control_cut_at_every_operation_flash(void **state) {
    (void)state;
    for (size_t i = 0; i < STORIES; i++) {
        cut_everywhere(&stories[i], false);
    }
}

// A cut at every byte of one transaction.
static void test_control_cut_at_every_byte_of_a_credit(void **state) {
    (void)state;
    const story_t *story = &stories[1];
    make_base(story, true);
    story->act();
    uint64_t steps = world.power.steps_drawn - base_world.power.steps_drawn;
    for (uint64_t step = 0; step < steps; step += 3 * MM_CASES_EVERY) {
        run_case(story, step, UINT64_MAX);
    }
}

// A second cut at every operation of the recovery.
static void test_control_second_cut_everywhere_in_the_recovery(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const story_t *story = &stories[i];
        make_base(story, true);
        story->act();
        uint64_t steps = world.power.steps_drawn - base_world.power.steps_drawn;
        for (uint64_t step = steps / 6; step < steps; step += steps / 3) {
            for (uint64_t second_step = 0; second_step < 6000; second_step += 97 * MM_CASES_EVERY) {
                run_case(story, step, second_step);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_control_cut_at_every_operation_fram, teardown),
        cmocka_unit_test_teardown(test_control_cut_at_every_operation_flash, teardown),
        cmocka_unit_test_teardown(test_control_cut_at_every_byte_of_a_credit, teardown),
        cmocka_unit_test_teardown(test_control_second_cut_everywhere_in_the_recovery, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
