// SPDX-License-Identifier: Apache-2.0
// The newest configuration was stored and is damaged: a confirmation, or a reset.
#include "setup_fixture.h"

static int setup_commissioned(void **state) {
    (void)state;
    setup_begin(true);
    setup_commission();
    return 0;
}

static void damage_newest(void) {
    mm_sim_flash_flip_bit(&bench.device, ((uint64_t)bench.setup.store.sector_index * MM_FLASH_SECTOR_BYTES + 40) * 8);
}

static void restart(void) {
    setup_reboot();
    control_sync();
    (void)setup_poll();
}

// The newest slot was whole and is damaged: what it decided is not known. Supply stays as it was, HQ is asked again.
static void test_setup_confirmation_is_damaged(void **state) {
    (void)state;
    setup_run_s(60);
    assert_true(desk.relay_closed[5]);
    uint32_t cuts = count_events(MM_EVENT_SUPPLY_CUT);
    damage_newest();
    for (uint32_t starts = 1; starts <= 2; starts++) { // and another one before HQ has answered
        restart();
        assert_true(desk.relay_closed[5]);
        assert_int_equal(phase_now(), MM_LIFE_AWAITING);
        assert_int_equal(count_events(MM_EVENT_CONFIGURATION_BEHIND), starts);
        assert_int_equal(count_installations(1, NULL), 1 + starts);
    }
    assert_int_equal(answer_of(confirm_revision(1))->status, MM_RESULT_DONE);
    restart();
    assert_int_equal(phase_now(), MM_LIFE_RUNNING);
    assert_true(desk.relay_closed[5]);
    assert_int_equal(count_events(MM_EVENT_CONFIGURATION_BEHIND), 2);
    assert_int_equal(count_events(MM_EVENT_SUPPLY_CUT), cuts);
}

// A reset that is damaged gives nobody supply, though the slot before it was running.
static void test_setup_reset_is_damaged(void **state) {
    (void)state;
    char code[CODE_BYTES];
    uint32_t wait_s;
    setup_run_s(60);
    make_code(code);
    assert_int_equal(mm_setup_reset(&bench.setup, code, desk_now(), &wait_s), MM_CODE_GOOD);
    restart();
    assert_int_equal(phase_now(), MM_LIFE_PARKED);
    assert_false(desk.relay_closed[5]);
    damage_newest();
    restart();
    assert_false(desk.relay_closed[5]);
    assert_int_equal(phase_now(), MM_LIFE_AWAITING);
    const mm_event_record_t *event = event_of(MM_EVENT_CONFIGURATION_BEHIND, 0);
    assert_int_equal(event->values[0], MM_LIFE_RUNNING);
    assert_int_equal(event->values[1], 1);
    assert_int_equal(event->values[2], 1);
    // It is what is told and stored from now on, too.
    give_network(2);
    restart();
    assert_false(desk.relay_closed[5]);
    assert_int_equal(answer_of(confirm_revision(1))->status, MM_RESULT_DONE);
    (void)setup_poll();
    assert_true(desk.relay_closed[5]);
    assert_int_equal(phase_now(), MM_LIFE_RUNNING);
}

// What was installed and told is damaged before HQ has confirmed it: the revision before is told, and confirmed. At a
// start the clock is not set. What had no supply then has none until then.
static void test_setup_installation_is_damaged(void **state) {
    (void)state;
    setup_run_s(60);
    enter();
    mm_installation_t installation = site_installation();
    installation.channels[3] = (mm_channel_setup_t){{"M3", 1000, 0}, false, {0, 0, 0, 0}};
    assert_int_equal(install(&installation), MM_OK);
    (void)setup_poll();
    assert_int_equal(count_installations(2, NULL), 1);
    assert_false(desk.relay_closed[3]);
    assert_true(desk.relay_closed[5]);
    damage_newest();
    setup_reboot();
    (void)setup_poll();
    assert_int_equal(phase_now(), MM_LIFE_AWAITING);
    assert_false(desk.relay_closed[3]);
    assert_true(desk.relay_closed[5]);
    const mm_installation_record_t *told = NULL;
    assert_int_equal(count_installations(1, &told), 2);
    assert_int_equal(told->at.trust, MM_TRUST_UNSET);
    assert_string_equal(told->channels[3].id, "M3"); // what is there
    const mm_event_record_t *event = event_of(MM_EVENT_CONFIGURATION_BEHIND, 0);
    assert_int_equal(event->values[2], 1);
    control_sync();
    assert_int_equal(answer_of(confirm_revision(2))->status, MM_RESULT_STATE);
    assert_false(desk.relay_closed[3]);
    assert_int_equal(answer_of(confirm_revision(1))->status, MM_RESULT_DONE);
    (void)setup_poll();
    assert_int_equal(phase_now(), MM_LIFE_RUNNING);
    assert_true(desk.relay_closed[3]);
    // What is installed next has a revision of its own again.
    enter();
    assert_int_equal(install(&installation), MM_OK);
    (void)setup_poll();
    assert_int_equal(count_installations(2, NULL), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_setup_confirmation_is_damaged, setup_commissioned),
        cmocka_unit_test_setup(test_setup_reset_is_damaged, setup_commissioned),
        cmocka_unit_test_setup(test_setup_installation_is_damaged, setup_commissioned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
