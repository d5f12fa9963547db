// SPDX-License-Identifier: Apache-2.0
#include "setup_fixture.h"

#include "meshmeter/crc32.h"

static int setup_with_fram(void **state) {
    (void)state;
    setup_begin(true);
    return 0;
}

static int setup_commissioned(void **state) {
    (void)state;
    setup_begin(true);
    setup_commission();
    return 0;
}

static void test_setup_from_the_box_to_the_wall(void **state) {
    (void)state;
    assert_int_equal(phase_now(), MM_LIFE_PARKED);
    give_network(1);
    assert_int_equal(phase_now(), MM_LIFE_PROVISIONED);
    enter();
    assert_int_equal(phase_now(), MM_LIFE_CONFIGURING);
    mm_installation_t installation = site_installation();
    assert_int_equal(install(&installation), MM_OK);
    assert_int_equal(phase_now(), MM_LIFE_AWAITING);
    assert_false(bench.setup.session);
    assert_true(mm_setup_is_applying(&bench.setup));
    assert_int_equal(setup_poll(), MM_US_NEVER);
    assert_false(mm_setup_is_applying(&bench.setup));
    assert_string_equal(world.metering.options.meters[0].id, "M0");
    assert_int_equal(world.metering.options.meters[0].start_wh, 5000);
    assert_true(desk.control.credits[0].prepaid);
    assert_int_equal(desk.control.credits[0].limits.emergency_wh, 1000);
    assert_false(desk.control.credits[5].prepaid);
    const mm_installation_record_t *record = NULL;
    assert_int_equal(count_installations(1, &record), 1);
    assert_false(record->repeated);
    assert_int_equal(record->node_no, 12);
    assert_string_equal(record->installer, "Eva");
    assert_string_equal(record->channels[5].id, "M5");
    assert_int_equal(record->channels[5].pulse_constant, 1000);
    assert_int_equal(record->channels[0].start_wh, 5000);
    assert_true(record->channels[0].prepaid && !record->channels[5].prepaid);
    assert_string_equal(record->channels[1].id, "");
    // No supply before HQ has confirmed; the one with a reason more stays without.
    assert_int_equal(desk.control.credits[5].relay_reasons, MM_RELAY_NOT_COMMISSIONED);
    assert_int_equal(desk.control.credits[0].relay_reasons, MM_RELAY_NOT_COMMISSIONED | MM_RELAY_NO_CREDIT);
    assert_false(desk.relay_closed[5] || desk.relay_closed[0]);
    uint64_t id = confirm_revision(1);
    assert_int_equal(answer_of(id)->status, MM_RESULT_DONE);
    (void)setup_poll();
    assert_int_equal(phase_now(), MM_LIFE_RUNNING);
    assert_int_equal(desk.control.credits[5].relay_reasons, 0);
    assert_true(desk.relay_closed[5]);
    assert_int_equal(desk.control.credits[0].relay_reasons, MM_RELAY_NO_CREDIT);
    assert_false(desk.relay_closed[0]);
    // And so it is after a restart.
    setup_reboot();
    control_sync();
    (void)setup_poll();
    assert_int_equal(phase_now(), MM_LIFE_RUNNING);
    assert_int_equal(count_installations(1, NULL), 1);
    assert_true(desk.relay_closed[5]);
    assert_books_balance(0);
}

static void test_setup_movements_are_nobodys(void **state) {
    (void)state;
    setup_install_first();
    hq_collect();
    unsigned prepaid = 0;
    unsigned results = 0;
    for (uint32_t i = 0; i < world.hq_count; i++) {
        const mm_record_t *record = &hq_records[i].record;
        if (hq_records[i].type == MM_RECORD_CREDIT) {
            assert_int_equal(record->credit.movement, MM_MOVEMENT_PREPAID);
            assert_int_equal(record->credit.command_id, 0);
            assert_int_equal(record->credit.channel, 0);
            prepaid++;
        } else if (hq_records[i].type == MM_RECORD_RESULT) {
            assert_int_equal(record->result.command_id, 0);
            assert_int_equal(record->result.status, MM_RESULT_DONE);
            results++;
        }
    }
    assert_int_equal(prepaid, 1);
    assert_int_equal(results, 3); // two meters, limits of one
    assert_int_equal(desk.control.counter, 0);
}

static void test_setup_network(void **state) {
    (void)state;
    mm_network_t network = site_network(3);
    network.site[0] = 'X';
    assert_int_equal(mm_setup_take_network(&bench.setup, &network, desk_now()), MM_ERR_ARG);
    assert_int_equal(phase_now(), MM_LIFE_PARKED);
    give_network(3);
    network = site_network(3);
    assert_int_equal(mm_setup_take_network(&bench.setup, &network, desk_now()), MM_ERR_STATE);
    network.revision = 2;
    assert_int_equal(mm_setup_take_network(&bench.setup, &network, desk_now()), MM_ERR_STATE);
    give_network(4);
    world.fail_from_call = world.call_count;
    network.revision = 5;
    assert_int_equal(mm_setup_take_network(&bench.setup, &network, desk_now()), MM_ERR_STORAGE);
    world.fail_from_call = NEVER;
    assert_int_equal(bench.setup.configuration.network.revision, 4);
    assert_int_equal(world.counters.values[MM_COUNTER_FLASH_ERROR], 1);
    setup_reboot();
    assert_int_equal(bench.setup.configuration.network.revision, 4);
    assert_int_equal(phase_now(), MM_LIFE_PROVISIONED);
}

static void test_setup_sessions(void **state) {
    (void)state;
    char code[CODE_BYTES] = "12345678";
    uint32_t wait_s = 0;
    uint32_t number;
    // Parked: nobody, and no number.
    assert_false(mm_setup_number(&bench.setup, desk_now(), &number));
    assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), &wait_s), MM_CODE_STATE);
    give_network(1);
    make_code(code);
    assert_int_equal(mm_setup_enter(&bench.setup, "0000", desk_now(), &wait_s), MM_CODE_NO_FORM);
    enter();
    // A second installer, with another code.
    code[0] = code[0] == '0' ? '1' : '0';
    assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), &wait_s), MM_CODE_LOCKED_OUT);
    assert_int_equal(wait_s, MM_SETUP_SESSION_S);
    assert_false(mm_setup_number(&bench.setup, desk_now(), &number));
    // A nonce is good once.
    uint8_t nonce[MM_SETUP_NONCE_BYTES];
    uint8_t wrong[MM_SETUP_NONCE_BYTES];
    memcpy(nonce, bench.setup.nonce, sizeof nonce);
    memcpy(wrong, nonce, sizeof wrong);
    wrong[15] ^= 1;
    assert_false(mm_setup_use_nonce(&bench.setup, wrong, desk_now()));
    setup_run_s(300);
    assert_true(mm_setup_use_nonce(&bench.setup, nonce, desk_now()));
    assert_false(mm_setup_use_nonce(&bench.setup, nonce, desk_now()));
    // It lives as long as it is used.
    setup_run_s(599);
    assert_int_equal(phase_now(), MM_LIFE_CONFIGURING);
    memcpy(nonce, bench.setup.nonce, sizeof nonce);
    setup_run_s(1);
    assert_int_equal(phase_now(), MM_LIFE_PROVISIONED);
    assert_false(mm_setup_use_nonce(&bench.setup, nonce, desk_now()));
    memset(nonce, 0, sizeof nonce); // what a session that is over holds
    assert_false(mm_setup_use_nonce(&bench.setup, nonce, desk_now()));
    mm_installation_t installation = site_installation();
    assert_int_equal(install(&installation), MM_ERR_STATE);
    // Left by hand.
    enter();
    mm_setup_leave(&bench.setup, desk_now());
    mm_setup_leave(&bench.setup, desk_now());
    assert_int_equal(phase_now(), MM_LIFE_PROVISIONED);
    // Over at the very moment, without a poll between.
    enter();
    world.t_us += MM_SETUP_SESSION_S * US;
    assert_int_equal(install(&installation), MM_ERR_STATE);
    assert_false(bench.setup.configuration.has_installation);
    enter();
    setup_reboot();
    assert_int_equal(phase_now(), MM_LIFE_PROVISIONED);
}

// Who has lost the page types the code of his session in another one.
static void test_setup_session_in_another_page(void **state) {
    (void)state;
    char code[CODE_BYTES];
    char wrong[CODE_BYTES];
    uint8_t nonce[MM_SETUP_NONCE_BYTES];
    uint32_t wait_s = 0;
    give_network(1);
    make_code(code);
    memcpy(wrong, code, sizeof wrong);
    wrong[7] = wrong[7] == '0' ? '1' : '0';
    assert_int_equal(mm_setup_enter(&bench.setup, wrong, desk_now(), &wait_s), MM_CODE_WRONG);
    assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), &wait_s), MM_CODE_GOOD);
    for (int times = 0; times < 3; times++) {
        memcpy(nonce, bench.setup.nonce, sizeof nonce);
        setup_run_s(599); // longer than the number's own life, as long as the session's
        assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), &wait_s), MM_CODE_GOOD);
        assert_int_equal(phase_now(), MM_LIFE_CONFIGURING);
        assert_false(mm_setup_use_nonce(&bench.setup, nonce, desk_now()));
    }
    // It takes no network away.
    assert_int_equal(mm_setup_reset(&bench.setup, code, desk_now(), &wait_s), MM_CODE_LOCKED_OUT);
    // Guessing has the tries that the number had left, whatever was typed well in between.
    for (uint32_t times = 1; times < MM_LOCK_OUT_TRIES; times++) {
        assert_int_equal(count_events(MM_EVENT_INSTALLER_LOCK_OUT), 0);
        assert_int_equal(mm_setup_enter(&bench.setup, wrong, desk_now(), &wait_s), MM_CODE_LOCKED_OUT);
        assert_int_equal(wait_s, MM_SETUP_SESSION_S);
    }
    assert_int_equal(count_events(MM_EVENT_INSTALLER_LOCK_OUT), 1);
    world.t_us += 20 * US;
    assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), &wait_s), MM_CODE_LOCKED_OUT);
    // The session itself goes on; with it the code ends.
    memcpy(nonce, bench.setup.nonce, sizeof nonce);
    assert_true(mm_setup_use_nonce(&bench.setup, nonce, desk_now()));
    mm_setup_leave(&bench.setup, desk_now());
    assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), &wait_s), MM_CODE_EXPIRED);
    make_code(code);
    assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), &wait_s), MM_CODE_GOOD);
    mm_setup_leave(&bench.setup, desk_now());
    assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), &wait_s), MM_CODE_EXPIRED);
    assert_int_equal(phase_now(), MM_LIFE_PROVISIONED);
}

static void test_setup_without_entropy(void **state) {
    (void)state;
    char code[CODE_BYTES];
    uint32_t wait_s;
    give_network(1);
    make_code(code);
    bench.draws_left = 0;
    assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), &wait_s), MM_CODE_NO_KEY);
    assert_int_equal(phase_now(), MM_LIFE_PROVISIONED);
    assert_false(bench.setup.session);
    bench.draws_left = 2;
    enter();
    uint8_t nonce[MM_SETUP_NONCE_BYTES];
    memcpy(nonce, bench.setup.nonce, sizeof nonce);
    assert_false(mm_setup_use_nonce(&bench.setup, nonce, desk_now()));
    assert_int_equal(phase_now(), MM_LIFE_PROVISIONED);
    bench.draws_left = 1;
    make_code(code);
    bench.draws_left = 5;
    bench.setup.entropy = NULL;
    assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), &wait_s), MM_CODE_NO_KEY);
}

static void test_setup_lock_outs_survive(void **state) {
    (void)state;
    give_network(1);
    uint32_t wait_s = 0;
    for (int i = 0; i < 2 * MM_LOCK_OUT_TRIES; i++) {
        char code[CODE_BYTES];
        make_code(code);
        code[0] = code[0] == '0' ? '1' : '0';
        assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), &wait_s), MM_CODE_WRONG);
        world.t_us += wait_s * US;
    }
    assert_int_equal(wait_s, 20);
    setup_reboot();
    assert_int_equal(bench.setup.configuration.challenge_lock_outs, 2);
    char code[CODE_BYTES];
    make_code(code);
    assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), &wait_s), MM_CODE_LOCKED_OUT);
    assert_int_equal(wait_s, 20);
    world.t_us += 20 * US;
    assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), &wait_s), MM_CODE_GOOD);
    mm_setup_leave(&bench.setup, desk_now());
    setup_reboot();
    assert_int_equal(bench.setup.configuration.challenge_lock_outs, 0);
    assert_int_equal(phase_now(), MM_LIFE_PROVISIONED);
}

static void test_setup_consumed_meters_are_fixed(void **state) {
    (void)state;
    setup_run_s(60);
    assert_true(mm_setup_is_fixed(&bench.setup, 5) && mm_setup_is_fixed(&bench.setup, 0));
    assert_false(mm_setup_is_fixed(&bench.setup, 1));
    enter();
    mm_installation_t wanted = site_installation();
    strcpy(wanted.channels[5].meter.id, "M6");
    mm_field_problem_t problem = install_fails(&wanted);
    assert_int_equal(problem.field, MM_FIELD_METER_ID);
    assert_int_equal(problem.channel, 5);
    wanted = site_installation();
    wanted.channels[5].meter.pulse_constant = 800;
    assert_int_equal(install_fails(&wanted).field, MM_FIELD_PULSE_CONSTANT);
    wanted = site_installation();
    wanted.channels[5].meter.start_wh = 1;
    assert_int_equal(install_fails(&wanted).field, MM_FIELD_START_WH);
    wanted = site_installation();
    memset(&wanted.channels[5], 0, sizeof wanted.channels[5]);
    assert_int_equal(install_fails(&wanted).field, MM_FIELD_METER_ID);
    wanted = site_installation();
    wanted.node_no = 0;
    assert_int_equal(install_fails(&wanted).field, MM_FIELD_NODE_NO);
    assert_int_equal(phase_now(), MM_LIFE_CONFIGURING);
    // What was not consumed can be changed, and what is no identity, too.
    uint64_t life_pulses = world.metering.registers.channels[5].life_pulses;
    wanted = site_installation();
    wanted.channels[5].prepaid = true;
    wanted.channels[1] = (mm_channel_setup_t){{"M1", 500, 7}, false, {0, 0, 0, 0}};
    assert_int_equal(install(&wanted), MM_OK);
    (void)setup_poll();
    assert_true(desk.control.credits[5].prepaid);
    assert_string_equal(world.metering.options.meters[1].id, "M1");
    assert_int_equal(world.metering.registers.channels[5].life_pulses, life_pulses);
    assert_int_equal(count_installations(2, NULL), 1);
    assert_int_equal(phase_now(), MM_LIFE_AWAITING);
    assert_books_balance(5);
}

static void test_setup_earlier_readings_and_credit_are_fixed(void **state) {
    (void)state;
    // Credit before a pulse came.
    sealed_t credit = seal_credit(0, 2, 90000);
    assert_int_equal(take(&credit), MM_OK);
    assert_int_equal(world.metering.registers.channels[0].life_pulses, 0);
    assert_true(mm_setup_is_fixed(&bench.setup, 0));
    enter();
    mm_installation_t wanted = site_installation();
    wanted.channels[0].prepaid = false;
    assert_int_equal(install_fails(&wanted).field, MM_FIELD_PREPAID);
    mm_setup_leave(&bench.setup, desk_now());
    // HQ has taken a meter out of use: its readings stay.
    setup_run_s(60);
    mm_command_body_t body = {.update = {.has_id = true}};
    (void)command(MM_COMMAND_UPDATE, 5, &body);
    enter();
    wanted = site_installation();
    mm_field_problem_t problem = install_fails(&wanted);
    assert_int_equal(problem.field, MM_FIELD_METER_ID);
    assert_non_null(strstr(problem.what, "earlier"));
}

static void test_setup_ids_change_places(void **state) {
    (void)state;
    enter();
    mm_installation_t wanted = site_installation();
    strcpy(wanted.channels[0].meter.id, "M5");
    strcpy(wanted.channels[5].meter.id, "M0");
    wanted.channels[5].prepaid = true;
    wanted.channels[0].prepaid = false;
    assert_int_equal(install(&wanted), MM_OK);
    (void)setup_poll();
    assert_string_equal(world.metering.options.meters[0].id, "M5");
    assert_string_equal(world.metering.options.meters[5].id, "M0");
    assert_true(desk.control.credits[5].prepaid);
    assert_false(desk.control.credits[0].prepaid);
    // And one goes.
    enter();
    memset(&wanted.channels[5], 0, sizeof wanted.channels[5]);
    assert_int_equal(install(&wanted), MM_OK);
    (void)setup_poll();
    assert_string_equal(world.metering.options.meters[5].id, "");
    assert_false(desk.control.credits[5].prepaid);
    assert_int_equal(count_installations(3, NULL), 1);
}

static void test_setup_reinstall(void **state) {
    (void)state;
    assert_int_equal(answer_of(command(MM_COMMAND_REINSTALL, MM_COMMAND_WHOLE_NODE, NULL))->status, MM_RESULT_DONE);
    (void)setup_poll();
    const mm_installation_record_t *record = NULL;
    assert_int_equal(count_installations(1, &record), 2);
    assert_true(record->repeated);
    assert_int_equal(phase_now(), MM_LIFE_AWAITING);
    assert_true(desk.relay_closed[5]);
    // Once more while it waits: sent again, nothing else.
    assert_int_equal(answer_of(command(MM_COMMAND_REINSTALL, MM_COMMAND_WHOLE_NODE, NULL))->status, MM_RESULT_DONE);
    (void)setup_poll();
    assert_int_equal(count_installations(1, NULL), 3);
    assert_int_equal(answer_of(confirm_revision(1))->status, MM_RESULT_DONE);
    (void)setup_poll();
    assert_true(desk.relay_closed[5]);
    // It could not be stored: said so, and nothing has changed.
    world.spare_registers = false;
    uint32_t sector = 1 - bench.setup.store.sector_index;
    bench.sectors[sector].fault = MM_SIM_SECTOR_ERASE_REFUSED;
    assert_int_equal(answer_of(command(MM_COMMAND_REINSTALL, MM_COMMAND_WHOLE_NODE, NULL))->status, MM_RESULT_FAILED);
    (void)setup_poll();
    assert_int_equal(phase_now(), MM_LIFE_RUNNING);
    assert_int_equal(count_installations(1, NULL), 3);
}

static void test_setup_confirm_refuses_what_was_not_told(void **state) {
    (void)state;
    assert_int_equal(answer_of(confirm_revision(1))->status, MM_RESULT_STATE);
    assert_int_equal(answer_of(command(MM_COMMAND_REINSTALL, MM_COMMAND_WHOLE_NODE, NULL))->status, MM_RESULT_STATE);
    setup_install_first();
    assert_int_equal(answer_of(confirm_revision(2))->status, MM_RESULT_STATE);
    assert_int_equal(phase_now(), MM_LIFE_AWAITING);
    // HQ confirms while an installer is at work again: the installer goes on.
    enter();
    assert_int_equal(answer_of(confirm_revision(1))->status, MM_RESULT_DONE);
    assert_int_equal(phase_now(), MM_LIFE_CONFIGURING);
    mm_setup_leave(&bench.setup, desk_now());
    assert_int_equal(phase_now(), MM_LIFE_RUNNING);
    assert_int_equal(answer_of(confirm_revision(1))->status, MM_RESULT_DONE); // twice is once
    // Another installation that is not told yet.
    enter();
    mm_installation_t wanted = site_installation();
    assert_int_equal(install(&wanted), MM_OK);
    assert_int_equal(answer_of(confirm_revision(2))->status, MM_RESULT_STATE);
    (void)setup_poll();
    bench.sectors[1 - bench.setup.store.sector_index].fault = MM_SIM_SECTOR_ERASE_REFUSED;
    assert_int_equal(answer_of(confirm_revision(2))->status, MM_RESULT_FAILED);
    assert_int_equal(phase_now(), MM_LIFE_AWAITING);
    // A node that cannot be commissioned takes neither.
    mm_control_set_commissioning(&desk.control, NULL);
    assert_int_equal(answer_of(confirm_revision(2))->status, MM_RESULT_UNSUPPORTED);
    assert_int_equal(answer_of(command(MM_COMMAND_REINSTALL, MM_COMMAND_WHOLE_NODE, NULL))->status,
                     MM_RESULT_UNSUPPORTED);
}

static void type_wrong(uint32_t *wait_s) {
    char code[CODE_BYTES];
    make_code(code);
    code[0] = code[0] == '0' ? '1' : '0';
    assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), wait_s), MM_CODE_WRONG);
}

// HQ hears of each lock-out that begins, once, and how many codes were wrong.
static void test_setup_lock_out_is_told(void **state) {
    (void)state;
    uint32_t wait_s;
    for (uint32_t times = 1; times <= 3; times++) {
        for (int i = 0; i < MM_LOCK_OUT_TRIES; i++) {
            hq_collect();
            assert_int_equal(hq_count_events(MM_EVENT_INSTALLER_LOCK_OUT), times - 1);
            if (times == 2 && i == MM_LOCK_OUT_TRIES - 1) {
                world.fail_from_call = world.call_count; // memory refuses just then
            }
            type_wrong(&wait_s);
        }
        assert_int_equal(world.counters.values[MM_COUNTER_CODE_WRONG], times * MM_LOCK_OUT_TRIES);
        assert_true(wait_s > 0);
        uint32_t lock_out_s = wait_s;
        char code[CODE_BYTES] = "00000000";
        assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), &wait_s), MM_CODE_LOCKED_OUT);
        if (times == 2) {
            assert_true(mm_setup_poll(&bench.setup, desk_now()) <= desk_now() + MM_SETUP_RETRY_S * US);
            world.fail_from_call = NEVER;
        }
        setup_run_s(lock_out_s + 1);
        hq_collect();
        assert_int_equal(hq_count_events(MM_EVENT_INSTALLER_LOCK_OUT), times);
        const mm_event_record_t *event = hq_event(MM_EVENT_INSTALLER_LOCK_OUT, times - 1);
        assert_int_equal(event->values[0], MM_LOCK_OUT_TRIES);
        assert_int_equal(event->values[1], times);
        assert_int_equal(event->values[2], lock_out_s);
    }
    assert_int_equal(world.counters.values[MM_COUNTER_CODE_WRONG], 3 * MM_LOCK_OUT_TRIES);
}

// A reset that cannot be told is none.
static void test_setup_reset_is_told_first(void **state) {
    (void)state;
    char code[CODE_BYTES];
    uint32_t wait_s;
    make_code(code);
    world.fail_from_call = world.call_count;
    assert_int_equal(mm_setup_reset(&bench.setup, code, desk_now(), &wait_s), MM_CODE_STORAGE);
    world.fail_from_call = NEVER;
    assert_int_equal(phase_now(), MM_LIFE_RUNNING);
    assert_true(bench.setup.configuration.has_network);
    (void)setup_poll();
    assert_int_equal(hq_count_events(MM_EVENT_NODE_RESET), 0);
}

static void test_setup_reset(void **state) {
    (void)state;
    char code[CODE_BYTES];
    uint32_t wait_s;
    setup_run_s(60);
    uint64_t life_pulses = world.metering.registers.channels[5].life_pulses;
    make_code(code);
    code[0] = code[0] == '0' ? '1' : '0';
    assert_int_equal(mm_setup_reset(&bench.setup, code, desk_now(), &wait_s), MM_CODE_WRONG);
    make_code(code);
    bench.sectors[1 - bench.setup.store.sector_index].fault = MM_SIM_SECTOR_ERASE_REFUSED;
    assert_int_equal(mm_setup_reset(&bench.setup, code, desk_now(), &wait_s), MM_CODE_STORAGE);
    assert_int_equal(phase_now(), MM_LIFE_RUNNING);
    hq_collect();
    uint32_t told = hq_count_events(MM_EVENT_NODE_RESET); // the one that memory refused was told
    bench.sectors[1 - bench.setup.store.sector_index].fault = MM_SIM_SECTOR_GOOD;
    make_code(code);
    assert_int_equal(mm_setup_reset(&bench.setup, code, desk_now(), &wait_s), MM_CODE_GOOD);
    (void)setup_poll();
    assert_int_equal(phase_now(), MM_LIFE_PARKED);
    hq_collect();
    assert_int_equal(hq_count_events(MM_EVENT_NODE_RESET), told + 1);
    const mm_event_record_t *event = hq_event(MM_EVENT_NODE_RESET, told);
    assert_int_equal(event->values[0], 1);
    assert_int_equal(event->values[1], 1);
    assert_int_equal(event->values[2], 0);
    assert_false(bench.setup.configuration.has_network);
    assert_string_equal(bench.setup.configuration.network.site, "");
    assert_true(world.metering.registers.channels[5].life_pulses >= life_pulses);
    assert_false(desk.relay_closed[5]);
    assert_int_equal(mm_setup_reset(&bench.setup, code, desk_now(), &wait_s), MM_CODE_STATE);
    // Whatever comes, the node starts again before: what is open and what was kept belongs to the network of before.
    for (uint32_t revision = 1; revision <= 2; revision++) {
        const mm_network_t network = site_network(revision);
        assert_int_equal(mm_setup_take_network(&bench.setup, &network, desk_now()), MM_ERR_BUSY);
        assert_true(mm_setup_wants_restart(&bench.setup, 1));
        assert_true(mm_setup_wants_restart(&bench.setup, 0)); // it had come in this start
    }
    assert_false(bench.setup.configuration.has_network);
    // The way back: the same meters, confirmed anew.
    setup_reboot();
    assert_false(mm_setup_wants_restart(&bench.setup, 0));
    control_sync();
    give_network(1);
    enter();
    mm_installation_t wanted = site_installation();
    assert_int_equal(install(&wanted), MM_OK);
    (void)setup_poll();
    assert_false(desk.relay_closed[5]); // after a reset nothing is confirmed
    assert_int_equal(answer_of(confirm_revision(2))->status, MM_RESULT_DONE);
    (void)setup_poll();
    assert_true(desk.relay_closed[5]);
    assert_true(world.metering.registers.channels[5].life_pulses >= life_pulses);
}

// Two postpaid meters that HQ has confirmed, M3 and M5, on a node that was running for a while.
static mm_installation_t run_two_meters(int64_t seconds) {
    setup_begin(true);
    give_network(1);
    enter();
    mm_installation_t installation = site_installation();
    installation.channels[3] = (mm_channel_setup_t){{"M3", 1000, 0}, false, {0, 0, 0, 0}};
    assert_int_equal(install(&installation), MM_OK);
    (void)setup_poll();
    assert_false(desk.relay_closed[3] || desk.relay_closed[5]);
    (void)confirm_revision(1);
    (void)setup_poll();
    setup_run_s(seconds);
    assert_true(desk.relay_closed[3] && desk.relay_closed[5]);
    return installation;
}

static bool waits(uint8_t channel) {
    return (desk.control.credits[channel].relay_reasons & MM_RELAY_NOT_COMMISSIONED) != 0;
}

static void poll_after_restart(void) {
    setup_reboot();
    assert_true(desk.relay_closed[3]); // at once, as journalled
    control_sync();
    (void)setup_poll();
}

// Whoever hangs behind a meter that HQ has confirmed notices nothing of an address that is corrected.
static void test_setup_address_is_corrected(void **state) {
    (void)state;
    mm_installation_t wanted = run_two_meters(60);
    hq_collect();
    uint32_t cuts = hq_count_events(MM_EVENT_SUPPLY_CUT);
    uint32_t moves = desk.relay_moves;
    uint64_t life_pulses = world.metering.registers.channels[5].life_pulses;
    enter();
    strcpy(wanted.address, "Street 2");
    wanted.channels[3].limits.warning_wh = 7; // HQ is not asked about limits
    assert_int_equal(install(&wanted), MM_OK);
    setup_run_s(30);
    assert_int_equal(phase_now(), MM_LIFE_AWAITING);
    assert_int_equal(count_installations(2, NULL), 1);
    assert_true(world.metering.registers.channels[5].life_pulses > life_pulses);
    poll_after_restart();
    assert_true(desk.relay_closed[5]);
    assert_int_equal(answer_of(command(MM_COMMAND_REINSTALL, MM_COMMAND_WHOLE_NODE, NULL))->status, MM_RESULT_DONE);
    poll_after_restart();
    // Another one looks at it, and goes.
    enter();
    (void)setup_poll();
    mm_setup_leave(&bench.setup, desk_now());
    (void)setup_poll();
    // A meter more waits, alone.
    enter();
    wanted.channels[1] = (mm_channel_setup_t){{"M1", 1000, 0}, false, {0, 0, 0, 0}};
    assert_int_equal(install(&wanted), MM_OK);
    setup_run_s(30);
    assert_true(waits(1) && !waits(3) && !waits(5));
    assert_false(desk.relay_closed[1]);
    poll_after_restart();
    assert_true(waits(1) && desk.relay_closed[3] && desk.relay_closed[5] && !desk.relay_closed[1]);
    assert_int_equal(desk.relay_moves, moves);
    hq_collect();
    assert_int_equal(hq_count_events(MM_EVENT_SUPPLY_CUT), cuts + 1);
    assert_int_equal(answer_of(confirm_revision(3))->status, MM_RESULT_DONE);
    (void)setup_poll();
    assert_int_equal(phase_now(), MM_LIFE_RUNNING);
    assert_true(desk.relay_closed[1]);
    // And when HQ asks again, all three go on.
    (void)command(MM_COMMAND_REINSTALL, MM_COMMAND_WHOLE_NODE, NULL);
    poll_after_restart();
    assert_true(desk.relay_closed[1] && desk.relay_closed[5]);
}

// What HQ has not seen waits: each thing that it is told of a meter. The other meter goes on.
static void test_setup_what_is_changed_waits(void **state) {
    (void)state;
    static const mm_channel_setup_t changes[] = {{{"M7", 1000, 0}, false, {0, 0, 0, 0}},
                                                 {{"M5", 800, 0}, false, {0, 0, 0, 0}},
                                                 {{"M5", 1000, 1}, false, {0, 0, 0, 0}},
                                                 {{"M5", 1000, 0}, true, {0, 0, 0, 0}},
                                                 {{"", 0, 0}, false, {0, 0, 0, 0}}};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        mm_installation_t wanted = run_two_meters(0);
        const mm_channel_setup_t confirmed = wanted.channels[5];
        enter();
        wanted.channels[5] = changes[i];
        assert_int_equal(install(&wanted), MM_OK);
        (void)setup_poll();
        assert_true(waits(5) && !waits(3));
        assert_true(desk.relay_closed[3] && !desk.relay_closed[5]);
        // Back to what was there: it was another one meanwhile, and HQ says whether it is the same again.
        enter();
        wanted.channels[5] = confirmed;
        assert_int_equal(install(&wanted), MM_OK);
        (void)setup_poll();
        poll_after_restart();
        assert_true(waits(5) && !desk.relay_closed[5]);
        assert_int_equal(answer_of(confirm_revision(3))->status, MM_RESULT_DONE);
        (void)setup_poll();
        assert_true(desk.relay_closed[5]);
    }
}

// HQ itself gives a meter another number while the node waits: it is confirmed as before.
static void test_setup_update_by_hq_keeps_supply(void **state) {
    (void)state;
    mm_installation_t wanted = run_two_meters(60);
    enter();
    assert_int_equal(install(&wanted), MM_OK);
    (void)setup_poll();
    mm_command_body_t body = {.update = {.has_id = true, .id = "M9"}};
    (void)command(MM_COMMAND_UPDATE, 5, &body);
    (void)setup_poll();
    poll_after_restart();
    assert_true(desk.relay_closed[5]);
    enter();
    strcpy(wanted.channels[5].meter.id, "M9"); // the page shows what is there
    assert_int_equal(install(&wanted), MM_OK);
    (void)setup_poll();
    assert_true(desk.relay_closed[5]);
}

// The slot with the new meter is damaged: the one before it was running, and still nobody has confirmed that meter.
static void test_setup_slot_before_does_not_vouch(void **state) {
    (void)state;
    mm_installation_t wanted = run_two_meters(0);
    enter();
    strcpy(wanted.channels[5].meter.id, "M7");
    assert_int_equal(install(&wanted), MM_OK);
    (void)setup_poll();
    mm_sim_flash_flip_bit(&bench.device, (uint64_t)bench.setup.store.sector_index * MM_FLASH_SECTOR_BYTES * 8 + 77);
    poll_after_restart();
    assert_int_equal(phase_now(), MM_LIFE_RUNNING);
    assert_int_equal(bench.setup.configuration.installation.revision, 1);
    assert_string_equal(world.metering.options.meters[5].id, "M7");
    assert_true(waits(5) && desk.relay_closed[3] && !desk.relay_closed[5]);
    enter();
    assert_int_equal(install(&wanted), MM_OK);
    (void)setup_poll();
    assert_int_equal(bench.setup.configuration.installation.revision, 3);
    assert_true(waits(5) && desk.relay_closed[3] && !desk.relay_closed[5]);
    assert_int_equal(answer_of(confirm_revision(3))->status, MM_RESULT_DONE);
    (void)setup_poll();
    assert_true(desk.relay_closed[5]);
}

static void test_setup_memory_that_is_silent(void **state) {
    (void)state;
    for (uint32_t sector = 0; sector < CONFIG_SECTORS; sector++) {
        bench.sectors[sector].fault = MM_SIM_SECTOR_READ_REFUSED;
    }
    setup_reboot();
    control_sync();
    assert_int_equal(phase_now(), MM_LIFE_FAULT);
    assert_true(setup_poll() <= desk_now() + MM_SETUP_RETRY_S * US);
    uint32_t wait_s;
    uint32_t number;
    assert_int_equal(mm_setup_enter(&bench.setup, "12345678", desk_now(), &wait_s), MM_CODE_STATE);
    assert_false(mm_setup_number(&bench.setup, desk_now(), &number));
    mm_network_t network = site_network(9);
    assert_int_equal(mm_setup_take_network(&bench.setup, &network, desk_now()), MM_ERR_STORAGE);
    assert_int_equal(answer_of(confirm_revision(1))->status, MM_RESULT_STATE);
    assert_int_equal(answer_of(command(MM_COMMAND_REINSTALL, MM_COMMAND_WHOLE_NODE, NULL))->status, MM_RESULT_STATE);
    assert_true(desk.relay_closed[5]); // nobody is cut off for it
    setup_run_s(MM_SETUP_RETRY_S + 1);
    assert_int_equal(phase_now(), MM_LIFE_FAULT);
    for (uint32_t sector = 0; sector < CONFIG_SECTORS; sector++) {
        bench.sectors[sector].fault = MM_SIM_SECTOR_GOOD;
    }
    setup_run_s(MM_SETUP_RETRY_S + 1);
    assert_int_equal(phase_now(), MM_LIFE_RUNNING);
    assert_true(desk.relay_closed[5]);
    assert_int_equal(count_installations(1, NULL), 1);
}

static void test_setup_memory_that_is_lost(void **state) {
    (void)state;
    setup_run_s(60);
    memset(bench.bytes, 0, sizeof bench.bytes);
    setup_reboot();
    control_sync();
    (void)setup_poll();
    assert_int_equal(phase_now(), MM_LIFE_PARKED);
    assert_true(desk.relay_closed[5]); // as journalled last
    assert_true(world.metering.registers.channels[5].life_pulses > 0);
    give_network(1);
    enter();
    mm_installation_t wanted = site_installation();
    assert_int_equal(install(&wanted), MM_OK);
    assert_int_equal(bench.setup.configuration.installation.revision, 2); // 1 was told
    (void)setup_poll();
    assert_int_equal(count_installations(2, NULL), 1);
    assert_int_equal(phase_now(), MM_LIFE_AWAITING);
}

// The newest slot was damaged: what was installed last is done, and is not undone.
static void test_setup_configuration_that_fell_back(void **state) {
    (void)state;
    mm_sim_flash_flip_bit(&bench.device, (uint64_t)bench.setup.store.sector_index * MM_FLASH_SECTOR_BYTES * 8 + 77);
    setup_reboot();
    control_sync();
    (void)setup_poll();
    assert_int_equal(phase_now(), MM_LIFE_AWAITING); // the slot before the confirmation
    assert_int_equal(count_installations(1, NULL), 1);
    enter();
    mm_installation_t wanted = site_installation();
    strcpy(wanted.channels[5].meter.id, "M7");
    assert_int_equal(install(&wanted), MM_OK);
    (void)setup_poll();
    mm_sim_flash_flip_bit(&bench.device, (uint64_t)bench.setup.store.sector_index * MM_FLASH_SECTOR_BYTES * 8 + 77);
    setup_reboot();
    control_sync();
    (void)setup_poll();
    assert_int_equal(bench.setup.configuration.installation.revision, 1);
    assert_string_equal(world.metering.options.meters[5].id, "M7");
    assert_int_equal(count_installations(1, NULL), 1);
    assert_false(mm_setup_is_applying(&bench.setup));
    enter();
    assert_int_equal(install(&wanted), MM_OK);
    assert_int_equal(bench.setup.configuration.installation.revision, 3);
}

// HQ asks such a node to tell its installation again: to tell it is not to have it confirmed.
static void test_setup_told_again_from_the_slot_before(void **state) {
    (void)state;
    for (int is_awaiting = 0; is_awaiting < 2; is_awaiting++) {
        mm_installation_t wanted = run_two_meters(0);
        uint32_t revision = 1;
        if (is_awaiting) { // the slot before waits for HQ, too, with another channel
            enter();
            wanted.channels[1] = (mm_channel_setup_t){{"M1", 1000, 0}, false, {0, 0, 0, 0}};
            assert_int_equal(install(&wanted), MM_OK);
            (void)setup_poll();
            revision = 2;
        }
        enter();
        strcpy(wanted.channels[5].meter.id, "M7");
        assert_int_equal(install(&wanted), MM_OK);
        (void)setup_poll();
        mm_sim_flash_flip_bit(&bench.device, (uint64_t)bench.setup.store.sector_index * MM_FLASH_SECTOR_BYTES * 8 + 77);
        poll_after_restart();
        assert_int_equal(bench.setup.configuration.installation.revision, revision);
        assert_int_equal(answer_of(command(MM_COMMAND_REINSTALL, MM_COMMAND_WHOLE_NODE, NULL))->status, MM_RESULT_DONE);
        (void)setup_poll();
        assert_false(mm_setup_is_applying(&bench.setup));
        assert_true(waits(5) && desk.relay_closed[3] && !desk.relay_closed[5]);
        assert_true(!is_awaiting || waits(1));
        poll_after_restart();
        assert_true(waits(5) && desk.relay_closed[3] && !desk.relay_closed[5]);
        assert_int_equal(answer_of(confirm_revision(bench.setup.configuration.installation.revision))->status,
                         MM_RESULT_DONE);
        (void)setup_poll();
        assert_int_equal(phase_now(), MM_LIFE_RUNNING);
        assert_true(desk.relay_closed[5]);
    }
}

// The registers were silent at the start: what meters and credit there are is not known, and so not what an installer
// changes.
static void test_setup_nothing_is_installed_blindly(void **state) {
    (void)state;
    sealed_t credit = seal_credit(0, 2, 90000);
    assert_int_equal(take(&credit), MM_OK);
    (void)setup_poll();
    world.spare_journal = true;
    world.fail_from_call = world.call_count;
    setup_reboot();
    world.fail_from_call = NEVER;
    setup_run_s(MM_SETUP_RETRY_S + 1); // the configuration's memory is back
    assert_false(desk.control.usable);
    enter();
    mm_installation_t wanted = site_installation();
    wanted.channels[0].prepaid = false;
    assert_int_equal(install(&wanted), MM_ERR_STATE);
    setup_reboot();
    control_sync();
    (void)setup_poll();
    assert_int_equal(bench.setup.configuration.installation.revision, 1);
    assert_true(desk.control.credits[0].prepaid);
    assert_books_balance(0);
}

static void test_setup_later_version_is_kept(void **state) {
    (void)state;
    mm_configuration_store_t store = bench.setup.store;
    mm_configuration_t configuration = bench.setup.configuration;
    configuration.has_network = false;
    configuration.has_installation = false;
    assert_int_equal(mm_configuration_store_save(&store, &configuration), MM_OK);
    uint8_t *slot = bench.bytes + (size_t)store.sector_index * MM_FLASH_SECTOR_BYTES;
    slot[12] = 3; // version
    uint32_t crc = mm_crc32(0, slot, 17);
    for (int i = 0; i < 4; i++) {
        slot[17 + i] = (uint8_t)(crc >> (8 * i));
    }
    setup_reboot();
    (void)setup_poll();
    assert_int_equal(phase_now(), MM_LIFE_FAULT);
    setup_run_s(MM_SETUP_RETRY_S + 1);
    assert_int_equal(phase_now(), MM_LIFE_FAULT);
    assert_true(desk.relay_closed[5]);
}

static void test_setup_storage_that_refuses(void **state) {
    (void)state;
    give_network(1);
    enter();
    mm_installation_t wanted = site_installation();
    world.fail_from_call = world.call_count;
    assert_int_equal(install(&wanted), MM_ERR_STORAGE);
    world.fail_from_call = NEVER;
    assert_int_equal(phase_now(), MM_LIFE_CONFIGURING);
    assert_false(bench.setup.configuration.has_installation);
    assert_int_equal(install(&wanted), MM_OK);
    // Stored, but each step of carrying it out is refused once.
    world.fail_from_call = world.call_count;
    mm_us_t deadline = setup_poll();
    world.fail_from_call = NEVER;
    assert_true(mm_setup_is_applying(&bench.setup));
    assert_true(deadline <= desk_now() + MM_SETUP_RETRY_S * US);
    setup_run_s(2 * MM_SETUP_RETRY_S + MM_CONTROL_RETRY_S);
    assert_false(mm_setup_is_applying(&bench.setup));
    assert_int_equal(count_installations(1, NULL), 1);
    assert_string_equal(world.metering.options.meters[5].id, "M5");
}

// Each call of the storage fails in turn, for a while: in the end all is as installed, told once.
static void test_setup_every_refused_call(void **state) {
    (void)state;
    for (uint32_t call = 0; call < 60; call++) {
        setup_begin(true);
        give_network(1);
        enter();
        mm_installation_t wanted = site_installation();
        assert_int_equal(install(&wanted), MM_OK);
        world.fail_from_call = world.call_count + call;
        world.fail_to_call = world.fail_from_call + 3;
        (void)setup_poll();
        setup_run_s(45);
        assert_false(mm_setup_is_applying(&bench.setup));
        assert_int_equal(count_installations(1, NULL), 1);
        assert_string_equal(world.metering.options.meters[0].id, "M0");
        assert_string_equal(world.metering.options.meters[5].id, "M5");
        assert_true(desk.control.credits[0].prepaid);
        assert_books_balance(0);
    }
}

// The newest image of the registers is lost: what follows from an installation is in the journal, and is redone once.
static void test_setup_image_that_is_lost(void **state) {
    (void)state;
    static uint8_t images[sizeof world.fram];
    give_network(1);
    enter();
    memcpy(images, world.fram, sizeof images);
    mm_installation_t wanted = site_installation();
    assert_int_equal(install(&wanted), MM_OK);
    (void)setup_poll();
    memcpy(world.fram, images, sizeof images);
    setup_reboot();
    control_sync();
    (void)setup_poll();
    assert_int_equal(desk.control.installation_told, 1);
    assert_int_equal(count_installations(1, NULL), 1);
    assert_string_equal(world.metering.options.meters[0].id, "M0");
    assert_string_equal(world.metering.options.meters[5].id, "M5");
    assert_int_equal(desk.control.credits[0].limits.warning_wh, 2000);
    assert_books_balance(0);
    assert_int_equal(answer_of(confirm_revision(1))->status, MM_RESULT_DONE);
    (void)setup_poll();
    assert_true(desk.relay_closed[5]);
    // Prepayment of one meter ends, of the other one begins; then HQ asks again, and the image with all of it is lost.
    enter();
    memcpy(images, world.fram, sizeof images);
    wanted.channels[0].prepaid = false;
    wanted.channels[5].prepaid = true;
    assert_int_equal(install(&wanted), MM_OK);
    (void)setup_poll();
    sealed_t sealed = seal(MM_COMMAND_REINSTALL, MM_COMMAND_WHOLE_NODE, NULL);
    assert_int_equal(take(&sealed), MM_OK);
    assert_true(desk.control.installation_due);
    memcpy(world.fram, images, sizeof images);
    setup_reboot();
    assert_true(desk.control.installation_due);
    control_sync();
    (void)setup_poll();
    assert_false(desk.control.credits[0].prepaid);
    assert_true(desk.control.credits[5].prepaid);
    const mm_installation_record_t *record = NULL;
    assert_int_equal(count_installations(2, &record), 2);
    assert_true(record->repeated);
    assert_false(desk.control.installation_due);
    assert_books_balance(5);
    assert_int_equal(count_answers(sealed.id, NULL), 1);
}

static unsigned logged;

static void note_log(void *context, mm_log_level_t level, const char *message, const char *first_name, int64_t first,
                     const char *second_name, int64_t second) {
    (void)context, (void)first_name, (void)first, (void)second_name, (void)second;
    assert_int_equal(level, MM_LOG_ERROR);
    assert_true(strlen(message) > 10);
    logged++;
}

static void test_setup_says_what_is_wrong(void **state) {
    (void)state;
    const mm_log_t log = {note_log, NULL};
    logged = 0;
    bench.setup.log = &log;
    enter();
    mm_installation_t wanted = site_installation();
    world.fail_from_call = world.call_count;
    assert_int_equal(install(&wanted), MM_ERR_STORAGE);
    world.fail_from_call = NEVER;
    assert_int_equal(logged, 1);
    // Control without a state answers later; the installation waits for it.
    assert_int_equal(install(&wanted), MM_OK);
    desk.control.usable = false;
    desk.control.retry_at = desk_now() + 100 * US;
    (void)mm_setup_poll(&bench.setup, desk_now());
    assert_true(mm_setup_is_applying(&bench.setup));
    const mm_command_body_t body = {.mode = {.prepaid = true}};
    assert_int_equal(mm_control_install(&desk.control, MM_COMMAND_MODE, 5, &body, desk_now()), MM_ERR_BUSY);
    desk.control.usable = true;
    const mm_command_body_t impossible = {.update = {.has_id = false}};
    assert_int_equal(mm_control_install(&desk.control, MM_COMMAND_UPDATE, 5, &impossible, desk_now()), MM_ERR_ARG);
    const mm_command_body_t twin = {.update = {.has_id = true, .id = "M5"}};
    assert_int_equal(mm_control_install(&desk.control, MM_COMMAND_UPDATE, 0, &twin, desk_now()), MM_ERR_ARG);
    expect_assert_failure((void)mm_setup_is_fixed(&bench.setup, MM_CHANNELS));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_setup_from_the_box_to_the_wall, setup_with_fram),
        cmocka_unit_test_setup(test_setup_movements_are_nobodys, setup_with_fram),
        cmocka_unit_test_setup(test_setup_network, setup_with_fram),
        cmocka_unit_test_setup(test_setup_sessions, setup_with_fram),
        cmocka_unit_test_setup(test_setup_session_in_another_page, setup_with_fram),
        cmocka_unit_test_setup(test_setup_without_entropy, setup_with_fram),
        cmocka_unit_test_setup(test_setup_lock_outs_survive, setup_with_fram),
        cmocka_unit_test_setup(test_setup_consumed_meters_are_fixed, setup_commissioned),
        cmocka_unit_test_setup(test_setup_earlier_readings_and_credit_are_fixed, setup_commissioned),
        cmocka_unit_test_setup(test_setup_ids_change_places, setup_commissioned),
        cmocka_unit_test_setup(test_setup_reinstall, setup_commissioned),
        cmocka_unit_test_setup(test_setup_confirm_refuses_what_was_not_told, setup_with_fram),
        cmocka_unit_test_setup(test_setup_lock_out_is_told, setup_commissioned),
        cmocka_unit_test_setup(test_setup_reset_is_told_first, setup_commissioned),
        cmocka_unit_test_setup(test_setup_reset, setup_commissioned),
        cmocka_unit_test(test_setup_address_is_corrected),
        cmocka_unit_test(test_setup_what_is_changed_waits),
        cmocka_unit_test(test_setup_update_by_hq_keeps_supply),
        cmocka_unit_test(test_setup_slot_before_does_not_vouch),
        cmocka_unit_test(test_setup_told_again_from_the_slot_before),
        cmocka_unit_test_setup(test_setup_nothing_is_installed_blindly, setup_commissioned),
        cmocka_unit_test_setup(test_setup_memory_that_is_silent, setup_commissioned),
        cmocka_unit_test_setup(test_setup_memory_that_is_lost, setup_commissioned),
        cmocka_unit_test_setup(test_setup_configuration_that_fell_back, setup_commissioned),
        cmocka_unit_test_setup(test_setup_later_version_is_kept, setup_commissioned),
        cmocka_unit_test_setup(test_setup_storage_that_refuses, setup_with_fram),
        cmocka_unit_test(test_setup_every_refused_call),
        cmocka_unit_test_setup(test_setup_image_that_is_lost, setup_with_fram),
        cmocka_unit_test_setup(test_setup_says_what_is_wrong, setup_commissioned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
