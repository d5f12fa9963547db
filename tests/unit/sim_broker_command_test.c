// SPDX-License-Identifier: Apache-2.0
#include "sim_broker_fixture.h"

/// What becomes of HQ's retained batch of commands, beside the acknowledgement: published, taken, cleared by a blank,
/// lost, brought back by an old replica.

#define ACK "meter/haus-7/ack"
#define COMMANDS "meter/haus-7/cmd"

static world_t s_world;

static int set_up_world(void **state) {
    set_up(&s_world, 44);
    *state = &s_world;
    return 0;
}

static int tear_down_world(void **state) {
    tear_down(*state);
    return 0;
}

static void publish_retained(world_t *world, const char *topic, uint32_t value) {
    mm_sim_broker_hq_publish(world->broker, topic, &value, sizeof value);
}

static void clear_commands(world_t *world) {
    mm_sim_broker_hq_publish(world->broker, COMMANDS, NULL, 0);
}

static void session(world_t *world, const char *expected) {
    begin(world, 0);
    run_for(world, 60 * S);
    assert_string_equal(letters(world, 0), expected);
}

static void expect_data(const seen_t *seen, const char *topic, uint32_t value, bool retained) {
    assert_int_equal(seen->event.kind, MM_MQTT_DATA);
    assert_string_equal(seen->topic, topic);
    assert_int_equal(seen->value, value);
    assert_int_equal(seen->event.retained, retained);
}

static void test_broker_commands_beside_the_acknowledgement(void **state) {
    world_t *world = *state;
    publish_retained(world, ACK, 7);
    publish_retained(world, COMMANDS, 70);
    session(world, "CSDSDPPPX");
    expect_data(&world->seen[0][2], ACK, 7, true);
    expect_data(&world->seen[0][4], COMMANDS, 70, true);
    // As long as HQ does not clear it, every session and every gateway gets it.
    session(world, "CSDSDPPPX");
    begin(world, 1);
    run_for(world, 60 * S);
    assert_string_equal(letters(world, 1), "CSDSDPPPX");
}

// HQ answers within the session: the next batch, then the blank.
static void test_broker_commands_while_a_session_dwells(void **state) {
    world_t *world = *state;
    world->stays[0] = true;
    publish_retained(world, COMMANDS, 70);
    session(world, "CSSDPPP");
    publish_retained(world, COMMANDS, 71);
    run_for(world, S);
    expect_data(last_seen(world, 0), COMMANDS, 71, false);
    clear_commands(world);
    run_for(world, S);
    assert_string_equal(letters(world, 0), "CSSDPPPDD");
    assert_string_equal(last_seen(world, 0)->topic, COMMANDS);
    assert_int_equal(last_seen(world, 0)->event.bytes_count, 0);
    stop(world, 0, true);
    run_for(world, S);
    world->stays[0] = false;
    session(world, "CSSPPPX");
}

static void test_broker_commands_lost_at_a_subscription(void **state) {
    world_t *world = *state;
    publish_retained(world, COMMANDS, 70);
    world->manners.retained_lost = ALWAYS;
    behave(world);
    session(world, "CSSPPPX");
    assert_int_equal(faults(world, MM_SIM_FAULT_RETAINED_LOST), 1);
    world->manners.retained_lost = 0;
    behave(world);
    session(world, "CSSDPPPX");
}

// The replay that a root must refuse: what HQ has replaced or cleared comes back.
static void test_broker_commands_of_an_old_replica(void **state) {
    world_t *world = *state;
    publish_retained(world, COMMANDS, 70);
    publish_retained(world, COMMANDS, 71);
    world->manners.retained_stale = ALWAYS;
    behave(world);
    session(world, "CSSDPPPX");
    expect_data(&world->seen[0][3], COMMANDS, 70, true);
    clear_commands(world);
    session(world, "CSSDPPPX");
    expect_data(&world->seen[0][3], COMMANDS, 71, true);
    assert_int_equal(faults(world, MM_SIM_FAULT_RETAINED_STALE), 2);
    world->manners.retained_stale = 0;
    behave(world);
    session(world, "CSSPPPX");
}

static void test_broker_commands_forgotten_by_a_restart(void **state) {
    world_t *world = *state;
    publish_retained(world, COMMANDS, 70);
    world->manners.persistence = MM_SIM_PERSISTENCE_OFF;
    behave(world);
    mm_sim_broker_restart(world->broker, mm_sim_now(&world->sim) + 10 * S);
    publish_retained(world, COMMANDS, 71); // the broker is down: lost
    run_for(world, 11 * S);
    assert_false(mm_sim_broker_hq_is_connected(world->broker));
    mm_sim_broker_hq_connect(world->broker);
    session(world, "CSSPPPX");
    publish_retained(world, COMMANDS, 71);
    session(world, "CSSDPPPX");
    expect_data(&world->seen[0][3], COMMANDS, 71, true);
}

int main(void) {
#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, set_up_world, tear_down_world)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_broker_commands_beside_the_acknowledgement),
        WORLD_TEST(test_broker_commands_while_a_session_dwells),
        WORLD_TEST(test_broker_commands_lost_at_a_subscription),
        WORLD_TEST(test_broker_commands_of_an_old_replica),
        WORLD_TEST(test_broker_commands_forgotten_by_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
