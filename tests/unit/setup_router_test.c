// SPDX-License-Identifier: Apache-2.0
// A router that an installer types: tried, and when a session has proved it, part of the stored network - once,
// whatever fails in between.
#include <stdio.h>

#include "setup_fixture.h"

static const mm_network_body_t typed = {.ssid = "other", .password = "other-password"};
static uint64_t case_step = UINT64_MAX;
static uint64_t case_second = UINT64_MAX;

static int begin(void **state) {
    (void)state;
    setup_begin(true);
    setup_commission();
    return 0;
}

static int end(void **state) {
    (void)state;
    if (case_step != UINT64_MAX) {
        printf("failed at a cut at step %llu, again at %llu\n", (unsigned long long)case_step,
               (unsigned long long)case_second);
    }
    return 0;
}

static const mm_network_t *network(void) {
    return &bench.setup.configuration.network;
}

static bool is_stored(void) {
    return strcmp(network()->router.ssid, "other") == 0;
}

static void session(void) {
    mm_control_on_session(&desk.control, true, desk_now());
}

// Answers to an installer's router, of this kind.
static uint32_t count_ends(uint8_t status) {
    uint32_t count = 0;
    hq_collect();
    for (uint32_t i = 0; i < world.hq_count; i++) {
        const mm_result_record_t *result = &hq_records[i].record.result;
        count += hq_records[i].type == MM_RECORD_RESULT && result->kind == MM_COMMAND_NETWORK &&
                         result->command_id == 0 && result->status == status
                     ? 1
                     : 0;
    }
    return count;
}

static void assert_answered(mm_result_status_t status) {
    assert_int_equal(count_ends(MM_RESULT_DONE), status == MM_RESULT_DONE ? 1 : 0);
    assert_int_equal(count_ends(MM_RESULT_FAILED), status == MM_RESULT_FAILED ? 1 : 0);
    assert_false(mm_control_is_on_trial(&desk.control));
}

static void assert_network(uint32_t revision, const char *name, const char *password) {
    assert_int_equal(network()->revision, revision);
    assert_string_equal(network()->router.ssid, name);
    assert_string_equal(network()->router.password, password);
    assert_string_equal(network()->site, "house-1");
    // The same after a start.
    mm_configuration_store_t store;
    mm_configuration_t stored;
    assert_int_equal(mm_configuration_store_open(&store, &bench_flash, CONFIG_SECTORS, &stored), MM_OK);
    assert_int_equal(stored.network.revision, revision);
    assert_string_equal(stored.network.router.ssid, name);
    assert_string_equal(stored.network.router.password, password);
}

static void test_setup_router_proved(void **state) {
    (void)state;
    assert_true(mm_setup_try_router(&bench.setup, &typed, desk_now()));
    assert_false(mm_setup_try_router(&bench.setup, &typed, desk_now())); // one at a time
    setup_run_s(60);
    assert_network(1, "router", ""); // not before it is proved
    mm_control_on_session(&desk.control, false, desk_now());
    assert_network(1, "router", "");
    session();
    assert_network(2, "other", "other-password");
    assert_int_equal(phase_now(), MM_LIFE_RUNNING);
    assert_int_equal(count_actions(ACTION_KEEP), 1);
    assert_answered(MM_RESULT_DONE);
    assert_true(mm_setup_wants_restart(&bench.setup, 1));
    assert_false(mm_setup_wants_restart(&bench.setup, 2));
    session(); // and once is enough
    setup_reboot();
    (void)setup_poll();
    assert_network(2, "other", "other-password");
    assert_answered(MM_RESULT_DONE);
}

static void test_setup_router_refused(void **state) {
    (void)state;
    assert_true(mm_setup_try_router(&bench.setup, &typed, desk_now()));
    setup_run_s(MM_CONTROL_TRIAL_S + 20);
    assert_network(1, "router", "");
    assert_int_equal(count_actions(ACTION_ROLL_BACK), 1);
    assert_answered(MM_RESULT_FAILED);
    assert_false(mm_setup_wants_restart(&bench.setup, 1));
    assert_false(bench.setup.has_router);
    assert_string_equal(bench.setup.router.password, "");
    // What HQ orders and proves is not the installer's, and is not stored.
    mm_command_body_t body = {.network = {.ssid = "ordered", .password = "12345678"}};
    (void)command(MM_COMMAND_NETWORK, MM_COMMAND_WHOLE_NODE, &body);
    assert_true(mm_control_is_on_trial(&desk.control));
    session();
    (void)setup_poll();
    assert_false(mm_control_is_on_trial(&desk.control));
    assert_network(1, "router", "");
    // Nor is the installer's, when that has just failed and setup has not yet seen it.
    assert_true(mm_setup_try_router(&bench.setup, &typed, desk_now()));
    control_run_s(MM_CONTROL_TRIAL_S + 20);
    assert_false(mm_control_is_on_trial(&desk.control));
    assert_true(bench.setup.has_router);
    (void)command(MM_COMMAND_NETWORK, MM_COMMAND_WHOLE_NODE, &body);
    session();
    (void)setup_poll();
    assert_network(1, "router", "");
    assert_false(bench.setup.has_router);
    // A platform that cannot, a body that is none, a restart in the middle of the trial.
    desk.action_result = MM_ERR_UNAVAILABLE;
    assert_false(mm_setup_try_router(&bench.setup, &typed, desk_now()));
    desk.action_result = MM_OK;
    const mm_network_body_t nameless = {.ssid = ""};
    assert_false(mm_setup_try_router(&bench.setup, &nameless, desk_now()));
    assert_true(mm_setup_try_router(&bench.setup, &typed, desk_now()));
    setup_reboot();
    (void)setup_poll();
    session();
    assert_network(1, "router", "");
    assert_int_equal(count_ends(MM_RESULT_DONE), 0);
    assert_int_equal(count_ends(MM_RESULT_FAILED), 3);
}

// The network it would be part of is forgotten: the router does not bring one back.
static void test_setup_router_of_a_node_that_is_reset(void **state) {
    (void)state;
    char code[CODE_BYTES];
    uint32_t wait_s;
    assert_true(mm_setup_try_router(&bench.setup, &typed, desk_now()));
    make_code(code);
    assert_int_equal(mm_setup_reset(&bench.setup, code, desk_now(), &wait_s), MM_CODE_GOOD);
    session();
    (void)setup_poll();
    assert_false(bench.setup.configuration.has_network);
    assert_string_equal(network()->router.ssid, "");
    assert_false(bench.setup.has_router);
    assert_false(mm_control_is_on_trial(&desk.control));
    assert_true(mm_setup_wants_restart(&bench.setup, 1));
    setup_reboot();
    (void)setup_poll();
    assert_int_equal(phase_now(), MM_LIFE_PARKED);
}

static void test_setup_router_takes_the_kept_broker_with_it(void **state) {
    (void)state;
    desk.kept_broker = "mqtts://ordered.example\nuser\nsecret";
    assert_true(mm_setup_try_router(&bench.setup, &typed, desk_now()));
    session();
    assert_network(2, "other", "other-password");
    assert_string_equal(network()->broker.url, "mqtts://ordered.example");
    assert_string_equal(network()->broker.user, "user");
    assert_string_equal(network()->broker.password, "secret");
    // One that no network can have: the platform keeps the router by itself.
    setup_reboot();
    (void)setup_poll();
    desk.kept_broker = "no\tbroker";
    const mm_network_body_t third = {.ssid = "third"};
    assert_true(mm_setup_try_router(&bench.setup, &third, desk_now()));
    session();
    assert_network(2, "other", "other-password");
    assert_int_equal(count_actions(ACTION_KEEP), 2);
    assert_false(mm_setup_wants_restart(&bench.setup, 2));
    desk.kept_broker = NULL;
}

static void test_setup_router_highest_revision(void **state) {
    (void)state;
    give_network(UINT32_MAX);
    assert_true(mm_setup_try_router(&bench.setup, &typed, desk_now()));
    session();
    assert_network(UINT32_MAX, "router", "");
    assert_int_equal(count_actions(ACTION_KEEP), 1);
    assert_answered(MM_RESULT_DONE);
}

static void test_setup_router_memory_refuses(void **state) {
    (void)state;
    assert_true(mm_setup_try_router(&bench.setup, &typed, desk_now()));
    world.fail_from_call = world.call_count;
    session();
    world.fail_from_call = NEVER;
    assert_true(mm_control_is_on_trial(&desk.control));
    assert_int_equal(count_actions(ACTION_KEEP), 0);
    assert_network(1, "router", "");
    session();
    assert_network(2, "other", "other-password");
    assert_answered(MM_RESULT_DONE);
}

static void test_setup_router_platform_refuses(void **state) {
    (void)state;
    for (int works_again = 0; works_again < 2; works_again++) {
        (void)begin(NULL);
        assert_true(mm_setup_try_router(&bench.setup, &typed, desk_now()));
        desk.settle_result = MM_ERR_STORAGE;
        session();
        assert_network(2, "other", "other-password");
        assert_true(mm_control_is_on_trial(&desk.control));
        assert_false(mm_setup_wants_restart(&bench.setup, 1)); // first the answer
        desk.settle_result = works_again != 0 ? MM_OK : MM_ERR_STORAGE;
        session();
        assert_int_equal(mm_control_is_on_trial(&desk.control), works_again == 0);
        if (works_again == 0) { // until the time of the trial is over
            setup_run_s(MM_CONTROL_TRIAL_S + 20);
            assert_true(mm_control_is_on_trial(&desk.control));
            desk.settle_result = MM_OK;
            setup_run_s(20);
        }
        assert_network(2, "other", "other-password");
        assert_answered(MM_RESULT_DONE);
        assert_true(mm_setup_wants_restart(&bench.setup, 1));
    }
}

// Somebody hands over another network during the trial: that one counts, and at once.
static void test_setup_router_overtaken(void **state) {
    (void)state;
    assert_true(mm_setup_try_router(&bench.setup, &typed, desk_now()));
    give_network(5);
    assert_true(mm_setup_wants_restart(&bench.setup, 1));
    setup_reboot();
    (void)setup_poll();
    session();
    assert_network(5, "router", "");
    assert_answered(MM_RESULT_FAILED);
}

// An installer is at work, so the node does not yet start in the network that it was given. What HQ orders would be
// kept above the one before, and be forgotten with the start: it is refused, and HQ can order it again.
static void test_setup_router_order_before_the_start(void **state) {
    (void)state;
    static const uint8_t kinds[] = {MM_COMMAND_BROKER, MM_COMMAND_NETWORK};
    const mm_command_body_t bodies[] = {{.broker = {.url = "mqtts://ordered.example"}},
                                        {.network = {.ssid = "ordered"}}};
    for (size_t i = 0; i < sizeof kinds; i++) {
        (void)begin(NULL);
        enter();
        give_network(5);
        assert_false(mm_setup_wants_restart(&bench.setup, 1));
        uint64_t refused = command(kinds[i], MM_COMMAND_WHOLE_NODE, &bodies[i]);
        assert_true(mm_control_is_on_trial(&desk.control));
        session();
        assert_false(mm_control_is_on_trial(&desk.control));
        assert_int_equal(answer_of(refused)->status, MM_RESULT_STATE);
        assert_int_equal(count_actions(ACTION_KEEP), 0);
        assert_int_equal(count_actions(ACTION_ROLL_BACK), 1);
        mm_setup_leave(&bench.setup, desk_now());
        assert_true(mm_setup_wants_restart(&bench.setup, 1));
        setup_reboot();
        (void)setup_poll();
        uint64_t kept = command(kinds[i], MM_COMMAND_WHOLE_NODE, &bodies[i]);
        session();
        assert_int_equal(answer_of(kept)->status, MM_RESULT_DONE);
        assert_int_equal(count_actions(ACTION_KEEP), 1);
    }
}

static void test_setup_wants_restart(void **state) {
    (void)state;
    assert_false(mm_setup_wants_restart(&bench.setup, 1));
    assert_true(mm_setup_wants_restart(&bench.setup, 0));
    enter();
    assert_false(mm_setup_wants_restart(&bench.setup, 0));
    mm_setup_leave(&bench.setup, desk_now());
    bench.setup.configuration.phase.state = MM_LIFE_FAULT;
    assert_false(mm_setup_wants_restart(&bench.setup, 0));
}

static void check_after_cut(void) {
    setup_run_s(30);
    bool stored = is_stored();
    assert_network(stored ? 2 : 1, stored ? "other" : "router", stored ? "other-password" : "");
    assert_answered(stored ? MM_RESULT_DONE : MM_RESULT_FAILED);
    // Another one can be tried, and is counted on.
    const mm_network_body_t third = {.ssid = "third"};
    assert_true(mm_setup_try_router(&bench.setup, &third, desk_now()));
    session();
    assert_network(stored ? 3 : 2, "third", "");
}

// The power fails at every step of the session's end, and again in the recovery.
static void test_setup_router_power_cuts(void **state) {
    (void)state;
    assert_true(mm_setup_try_router(&bench.setup, &typed, desk_now()));
    (void)setup_poll();
    const world_t base_world = world;
    const desk_t base_desk = desk;
    const bench_t base_bench = bench;
    session();
    (void)setup_poll();
    uint64_t steps = world.power.steps_drawn - base_world.power.steps_drawn;
    assert_true(steps > 50);
    unsigned stored = 0;
    unsigned unanswered = 0; // stored, and the power failed before the answer was
    for (case_step = 0; case_step < steps; case_step += MM_CASES_EVERY) {
        for (case_second = 0; case_second <= 60; case_second += 20) {
            world = base_world;
            desk = base_desk;
            bench = base_bench;
            mm_sim_power_cut_after(&world.power, case_step);
            session();
            if (!is_dead()) {
                (void)setup_poll();
            }
            assert_true(is_dead());
            setup_reboot();
            unanswered += is_stored() && mm_control_is_on_trial(&desk.control) ? 1 : 0;
            if (case_second > 0) {
                mm_sim_power_cut_after(&world.power, case_second);
                (void)setup_poll();
                mm_sim_power_disarm(&world.power);
                setup_reboot();
            }
            stored += is_stored() ? 1 : 0;
            check_after_cut();
        }
    }
    case_step = UINT64_MAX;
    assert_true(stored > 0 && stored < 4 * steps);
    assert_true(unanswered > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_setup_router_proved, begin, end),
        cmocka_unit_test_setup_teardown(test_setup_router_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_setup_router_of_a_node_that_is_reset, begin, end),
        cmocka_unit_test_setup_teardown(test_setup_router_takes_the_kept_broker_with_it, begin, end),
        cmocka_unit_test_setup_teardown(test_setup_router_highest_revision, begin, end),
        cmocka_unit_test_setup_teardown(test_setup_router_memory_refuses, begin, end),
        cmocka_unit_test_setup_teardown(test_setup_router_platform_refuses, begin, end),
        cmocka_unit_test_setup_teardown(test_setup_router_overtaken, begin, end),
        cmocka_unit_test_setup_teardown(test_setup_router_order_before_the_start, begin, end),
        cmocka_unit_test_setup_teardown(test_setup_wants_restart, begin, end),
        cmocka_unit_test_setup_teardown(test_setup_router_power_cuts, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
