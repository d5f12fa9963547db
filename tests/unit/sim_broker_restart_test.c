// SPDX-License-Identifier: Apache-2.0
#include "sim_broker_fixture.h"

/// What the broker forgets when it dies, and how connections end: takeover, router, power.

static world_t s_world;

static int set_up_world(void **state) {
    set_up(&s_world, 43);
    *state = &s_world;
    return 0;
}

static int tear_down_world(void **state) {
    tear_down(*state);
    return 0;
}

static void acknowledge(world_t *world, uint32_t value) {
    mm_sim_broker_hq_publish(world->broker, "meter/haus-7/ack", &value, sizeof value);
}

static void session(world_t *world, const char *expected) {
    begin(world, 0);
    run_for(world, 60 * S);
    assert_string_equal(letters(world, 0), expected);
}

static void restart(world_t *world, mm_sim_persistence_t persistence) {
    world->manners.persistence = persistence;
    behave(world);
    mm_sim_broker_restart(world->broker, mm_sim_now(&world->sim) + 10 * S);
    run_for(world, 11 * S);
}

// --- persistence -------------------------------------------------------------------------------------------------

static void test_broker_without_persistence_forgets(void **state) {
    world_t *world = *state;
    acknowledge(world, 7);
    mm_sim_broker_hq_disconnect(world->broker);
    session(world, "CSDSPPPX"); // 1, 2, 3
    restart(world, MM_SIM_PERSISTENCE_OFF);
    assert_int_equal(probes(world, MM_SIM_PROBE_CONFIRMED_BUT_LOST), 3);
    session(world, "CSSPPPX"); // nobody is subscribed now
    assert_int_equal(last_seen(world, 0)[-1].event.reason, 0x10);
    mm_sim_broker_hq_connect(world->broker);
    session(world, "CSSPPPX");
    assert_int_equal(last_seen(world, 0)[-1].event.reason, 0);
    expect_taken(world, (const uint32_t[]){7, 8, 9}, 3);
    assert_int_equal(faults(world, MM_SIM_FAULT_BROKER_RESTARTED), 1);
}

static void test_broker_with_persistence_forgets_nothing(void **state) {
    world_t *world = *state;
    acknowledge(world, 7);
    mm_sim_broker_hq_disconnect(world->broker);
    session(world, "CSDSPPPX");
    restart(world, MM_SIM_PERSISTENCE_ON);
    session(world, "CSDSPPPX");
    assert_int_equal(last_seen(world, 0)[-1].event.reason, 0);
    mm_sim_broker_hq_connect(world->broker);
    run_for(world, S);
    expect_taken(world, (const uint32_t[]){1, 2, 3, 4, 5, 6}, 6);
    restart(world, MM_SIM_PERSISTENCE_ON);
    mm_sim_broker_hq_connect(world->broker);
    run_for(world, S);
    assert_int_equal(world->taken_count, 6); // what HQ confirmed does not come again
    assert_int_equal(probes(world, MM_SIM_PROBE_CONFIRMED_BUT_LOST), 0);
}

static void test_broker_gives_again_after_a_restart(void **state) {
    world_t *world = *state;
    world->to_publish[0] = 1;
    begin(world, 0);
    while (world->taken_count == 0) {
        (void)mm_sim_queue_run_next(world->sim.queue);
    }
    restart(world, MM_SIM_PERSISTENCE_ON);
    mm_sim_broker_hq_connect(world->broker);
    run_for(world, S);
    expect_taken(world, (const uint32_t[]){1, 1}, 2);
}

static void test_broker_late_goes_back_to_the_autosave(void **state) {
    world_t *world = *state;
    acknowledge(world, 7);
    mm_sim_broker_hq_disconnect(world->broker);
    session(world, "CSDSPPPX"); // 1, 2, 3
    run_until(world, 1800 * S); // the autosave
    mm_sim_broker_hq_connect(world->broker);
    run_for(world, S);
    assert_int_equal(world->taken_count, 3);
    acknowledge(world, 8);
    mm_sim_broker_hq_disconnect(world->broker);
    session(world, "CSDSPPPX"); // 4, 5, 6
    for (int i = 0; i < 2; i++) {
        restart(world, MM_SIM_PERSISTENCE_LATE); // the second one finds the same on its disk
        world->taken_count = 0;
    }
    assert_int_equal(probes(world, MM_SIM_PROBE_CONFIRMED_BUT_LOST), 3);
    session(world, "CSDSPPPX"); // 7, 8, 9
    assert_int_equal(world->seen[0][2].value, 7);
    mm_sim_broker_hq_connect(world->broker);
    run_for(world, S);
    expect_taken(world, (const uint32_t[]){1, 2, 3, 7, 8, 9}, 6);
}

static void test_broker_late_knows_nothing_before_the_first_autosave(void **state) {
    world_t *world = *state;
    acknowledge(world, 7);
    mm_sim_broker_hq_disconnect(world->broker);
    session(world, "CSDSPPPX");
    run_until(world, 1799 * S);
    restart(world, MM_SIM_PERSISTENCE_LATE);
    session(world, "CSSPPPX");
    assert_int_equal(last_seen(world, 0)[-1].event.reason, 0x10);
    assert_int_equal(probes(world, MM_SIM_PROBE_CONFIRMED_BUT_LOST), 3);
}

static void test_broker_late_keeps_what_did_not_change(void **state) {
    world_t *world = *state;
    acknowledge(world, 7);
    mm_sim_broker_hq_disconnect(world->broker);
    session(world, "CSDSPPPX");
    run_until(world, 2 * 1800 * S + 1);
    restart(world, MM_SIM_PERSISTENCE_LATE);
    mm_sim_broker_hq_connect(world->broker);
    session(world, "CSDSPPPX");
    assert_int_equal(world->seen[0][2].value, 7);
    expect_taken(world, (const uint32_t[]){1, 2, 3, 4, 5, 6}, 6);
    assert_int_equal(probes(world, MM_SIM_PROBE_CONFIRMED_BUT_LOST), 0);
}

static void test_broker_late_loses_what_came_behind_the_autosave(void **state) {
    world_t *world = *state;
    mm_sim_broker_hq_disconnect(world->broker);
    session(world, "CSSPPPX"); // 1, 2, 3
    run_until(world, 1800 * S);
    session(world, "CSSPPPX"); // 4, 5, 6 are the first change behind it
    restart(world, MM_SIM_PERSISTENCE_LATE);
    mm_sim_broker_hq_connect(world->broker);
    run_for(world, S);
    expect_taken(world, (const uint32_t[]){1, 2, 3}, 3);
}

// What HQ had confirmed before the autosave does not come again.
static void test_broker_late_knows_what_hq_confirmed(void **state) {
    world_t *world = *state;
    session(world, "CSSPPPX");
    run_until(world, 1801 * S);
    restart(world, MM_SIM_PERSISTENCE_LATE);
    mm_sim_broker_hq_connect(world->broker);
    session(world, "CSSPPPX");
    expect_taken(world, (const uint32_t[]){1, 2, 3, 4, 5, 6}, 6);
}

static void test_broker_late_counts_from_its_start(void **state) {
    world_t *world = *state;
    run_until(world, 1000 * S);
    restart(world, MM_SIM_PERSISTENCE_ON); // up at 1,010 s: saves at 2,810 s
    mm_sim_broker_hq_connect(world->broker);
    mm_sim_broker_hq_disconnect(world->broker);
    session(world, "CSSPPPX");
    run_until(world, 2809 * S);
    restart(world, MM_SIM_PERSISTENCE_LATE); // up at 2,819 s: saves at 4,619 s
    mm_sim_broker_hq_connect(world->broker);
    mm_sim_broker_hq_disconnect(world->broker);
    session(world, "CSSPPPX");
    run_until(world, 4620 * S);
    restart(world, MM_SIM_PERSISTENCE_LATE);
    mm_sim_broker_hq_connect(world->broker);
    run_for(world, S);
    expect_taken(world, (const uint32_t[]){4, 5, 6}, 3);
}

// --- a restart and the connections -------------------------------------------------------------------------------

static void test_broker_restart_ends_connections(void **state) {
    world_t *world = *state;
    world->manners.persistence = MM_SIM_PERSISTENCE_ON;
    behave(world);
    bool said = false;
    bool silent = false;
    for (int i = 0; i < 20; i++) {
        world->stays[0] = true;
        begin(world, 0);
        run_for(world, 10 * S);
        mm_us_t back_at = mm_sim_now(&world->sim) + 100 * S;
        mm_sim_broker_restart(world->broker, back_at);
        assert_false(mm_sim_broker_hq_is_connected(world->broker));
        mm_sim_broker_hq_connect(world->broker);
        assert_false(mm_sim_broker_hq_is_connected(world->broker));
        acknowledge(world, 9); // lost
        run_for(world, 30 * S);
        bool ended = strcmp(letters(world, 0), "CSSPPPX") == 0;
        said = said || ended;
        silent = silent || !ended;
        assert_true(!ended || last_seen(world, 0)->event.reason == 0x8B);
        world->seen_count[0] = 0;
        stop(world, 0, false);
        run_for(world, S);
        assert_string_equal(letters(world, 0), "X");
        begin(world, 0); // fails as long as it is down
        run_for(world, 30 * S);
        assert_string_equal(letters(world, 0), "E");
        stop(world, 0, false);
        run_until(world, back_at);
        assert_false(mm_sim_broker_hq_is_connected(world->broker));
        mm_sim_broker_hq_connect(world->broker);
        assert_true(mm_sim_broker_hq_is_connected(world->broker));
        world->stays[0] = false;
        session(world, "CSSPPPX");
    }
    assert_true(said && silent);
}

static void test_broker_dies_while_a_gateway_connects(void **state) {
    world_t *world = *state;
    begin(world, 0);
    run_for(world, 2 * LATENCY_US);
    mm_sim_broker_restart(world->broker, mm_sim_now(&world->sim) + LATENCY_US);
    run_for(world, 60 * S);
    assert_string_equal(letters(world, 0), "E");
}

// What was on its way to a connection that is gone is not taken, even if the broker is back before it arrives.
static void test_broker_takes_nothing_of_a_connection_before_its_death(void **state) {
    world_t *world = *state;
    for (int i = 0; i < 10; i++) {
        begin(world, 0);
        while (world->subacks[0] < 2) {
            (void)mm_sim_queue_run_next(world->sim.queue);
        }
        mm_sim_broker_restart(world->broker, mm_sim_now(&world->sim));
        run_for(world, 1);
        mm_sim_broker_hq_connect(world->broker);
        run_for(world, 10 * S);
        stop(world, 0, false);
        run_for(world, S);
        assert_int_equal(world->pubacks[0], 0);
    }
    assert_int_equal(world->taken_count, 0);
}

static void test_broker_dies_again_while_it_is_down(void **state) {
    world_t *world = *state;
    mm_sim_broker_restart(world->broker, 10 * S);
    mm_sim_broker_restart(world->broker, 20 * S);
    run_until(world, 15 * S);
    mm_sim_broker_hq_connect(world->broker);
    assert_false(mm_sim_broker_hq_is_connected(world->broker));
    run_until(world, 20 * S);
    mm_sim_broker_hq_connect(world->broker);
    assert_true(mm_sim_broker_hq_is_connected(world->broker));
}

// --- takeover ----------------------------------------------------------------------------------------------------

static void test_broker_takeover(void **state) {
    world_t *world = *state;
    world->ports[1] = mm_sim_broker_port(world->broker, 1, "a");
    world->stays[0] = true;
    world->stays[1] = true;
    world->stays[2] = true;
    begin(world, 0);
    begin(world, 2);
    run_for(world, 10 * S);
    begin(world, 1);
    run_for(world, 10 * S);
    assert_string_equal(letters(world, 0), "CSSPPPX");
    assert_int_equal(last_seen(world, 0)->event.reason, 0x8E);
    assert_string_equal(letters(world, 1), "CSSPPP");
    assert_string_equal(letters(world, 2), "CSSPPP"); // has another id
    assert_int_equal(faults(world, MM_SIM_FAULT_CLIENT_TAKEN_OVER), 1);
    begin(world, 0); // and back
    run_for(world, 10 * S);
    assert_string_equal(letters(world, 1), "CSSPPPX");
    assert_string_equal(letters(world, 0), "CSSPPP");
    assert_int_equal(faults(world, MM_SIM_FAULT_CLIENT_TAKEN_OVER), 2);
    // With an id of its own there is no quarrel.
    stop(world, 0, true);
    run_for(world, S);
    world->ports[1] = mm_sim_broker_port(world->broker, 1, "d");
    begin(world, 0);
    begin(world, 1);
    run_for(world, 10 * S);
    assert_string_equal(letters(world, 0), "CSSPPP");
    assert_string_equal(letters(world, 1), "CSSPPP");
}

// What the loser sends before it learns of it is not taken.
static void test_broker_takes_nothing_of_the_loser(void **state) {
    world_t *world = *state;
    world->ports[1] = mm_sim_broker_port(world->broker, 1, "a");
    world->stays[0] = true;
    world->to_publish[0] = 0;
    world->to_publish[1] = 0;
    begin(world, 0);
    run_for(world, 10 * S);
    begin(world, 1);
    while (world->seen_count[1] == 0) {
        (void)mm_sim_queue_run_next(world->sim.queue);
    }
    publish(world, 0);
    run_for(world, 10 * S);
    assert_string_equal(letters(world, 0), "CSSX");
    assert_int_equal(world->taken_count, 0);
}

// --- router and power --------------------------------------------------------------------------------------------

static void test_broker_without_path_every_start_fails(void **state) {
    world_t *world = *state;
    mm_sim_broker_set_path(world->broker, 0, false);
    for (int i = 0; i < 20; i++) {
        begin(world, 0);
        mm_us_t begun = mm_sim_now(&world->sim);
        run_for(world, 60 * S);
        assert_string_equal(letters(world, 0), "E");
        assert_in_range(last_seen(world, 0)->at - begun, S, 9 * S);
        stop(world, 0, false);
        run_for(world, S);
    }
    begin(world, 1); // another router
    run_for(world, 60 * S);
    assert_string_equal(letters(world, 1), "CSSPPPX");
    mm_sim_broker_set_path(world->broker, 0, true);
    session(world, "CSSPPPX");
}

// Cut at every moment of a session: silence, but for the answer to stop; also after the path is back.
static void test_broker_path_cut_in_a_session(void **state) {
    world_t *world = *state;
    for (uint32_t events = 0; events < 13; events++) {
        for (int how = 0; how < 4; how++) {
            begin(world, 0);
            for (uint32_t i = 0; i < events; i++) {
                (void)mm_sim_queue_run_next(world->sim.queue);
            }
            bool is_over = world->seen_count[0] > 0 && last_seen(world, 0)->event.kind == MM_MQTT_DISCONNECTED;
            mm_sim_broker_set_path(world->broker, 0, false);
            size_t before = world->seen_count[0];
            bool was_closing = world->pubacks[0] == 3; // stopped politely already
            run_for(world, 60 * S);
            assert_int_equal(world->seen_count[0], before + (was_closing && !is_over ? 1 : 0));
            mm_sim_broker_set_path(world->broker, 0, how >= 2);
            run_for(world, 60 * S);
            stop(world, 0, how % 2 == 0);
            run_for(world, 2 * S);
            assert_int_equal(world->seen_count[0], before + (is_over ? 0 : 1));
            assert_int_equal(last_seen(world, 0)->event.kind, MM_MQTT_DISCONNECTED);
            mm_sim_broker_set_path(world->broker, 0, true);
        }
    }
    session(world, "CSSPPPX");
}

static void test_broker_path_cut_in_a_polite_end_that_stalls(void **state) {
    world_t *world = *state;
    world->manners.stall[MM_SIM_PHASE_CLOSE] = ALWAYS;
    behave(world);
    session(world, "CSSPPP");
    mm_sim_broker_set_path(world->broker, 0, false);
    run_for(world, 2 * S);
    assert_string_equal(letters(world, 0), "CSSPPPX");
}

static void test_broker_late_puback_needs_a_path(void **state) {
    world_t *world = *state;
    world->manners.puback_late = ALWAYS;
    behave(world);
    for (int i = 0; i < 20; i++) {
        world->stays[0] = true;
        begin(world, 0);
        run_for(world, 3 * S);
        stop(world, 0, false);
        run_for(world, S);
        mm_sim_broker_set_path(world->broker, 0, false);
        world->seen_count[0] = 0;
        run_for(world, 60 * S);
        assert_int_equal(world->seen_count[0], 0);
        mm_sim_broker_set_path(world->broker, 0, true);
    }
}

static void test_broker_power_lost_in_a_session(void **state) {
    world_t *world = *state;
    for (uint32_t events = 0; events < 13; events++) {
        world->sessions[0] = 0; // the next boot counts from 1 again
        begin(world, 0);
        for (uint32_t i = 0; i < events; i++) {
            (void)mm_sim_queue_run_next(world->sim.queue);
        }
        mm_sim_broker_drop_client(world->broker, 0);
        world->sessions[0] = 0;
        begin(world, 0);
        run_for(world, 60 * S);
        assert_string_equal(letters(world, 0), "CSSPPPX"); // and nothing of the old one, of the same number
    }
    assert_true(probes(world, MM_SIM_PROBE_UNCONFIRMED_BUT_STORED) > 0);
}

int main(void) {
#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, set_up_world, tear_down_world)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_broker_without_persistence_forgets),
        WORLD_TEST(test_broker_with_persistence_forgets_nothing),
        WORLD_TEST(test_broker_gives_again_after_a_restart),
        WORLD_TEST(test_broker_late_goes_back_to_the_autosave),
        WORLD_TEST(test_broker_late_knows_nothing_before_the_first_autosave),
        WORLD_TEST(test_broker_late_keeps_what_did_not_change),
        WORLD_TEST(test_broker_late_loses_what_came_behind_the_autosave),
        WORLD_TEST(test_broker_late_knows_what_hq_confirmed),
        WORLD_TEST(test_broker_late_counts_from_its_start),
        WORLD_TEST(test_broker_restart_ends_connections),
        WORLD_TEST(test_broker_dies_while_a_gateway_connects),
        WORLD_TEST(test_broker_takes_nothing_of_a_connection_before_its_death),
        WORLD_TEST(test_broker_dies_again_while_it_is_down),
        WORLD_TEST(test_broker_takeover),
        WORLD_TEST(test_broker_takes_nothing_of_the_loser),
        WORLD_TEST(test_broker_without_path_every_start_fails),
        WORLD_TEST(test_broker_path_cut_in_a_session),
        WORLD_TEST(test_broker_path_cut_in_a_polite_end_that_stalls),
        WORLD_TEST(test_broker_late_puback_needs_a_path),
        WORLD_TEST(test_broker_power_lost_in_a_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
