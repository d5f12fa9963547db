// SPDX-License-Identifier: Apache-2.0
// Commands in a whole building: real nodes, roots that die, lose their role and are two, a broker that keeps the batch.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "meshmeter/command.h"
#include "site_world.h"

#define LOCKED_CHANNEL 2

static int begin_world(void **state) {
    (void)state;
    world_init();
    world.with_control = true;
    for (int i = 0; i < SITE_NODES; i++) {
        memset(world.stations[i].supply, true, sizeof world.stations[i].supply);
        boot(i);
    }
    return 0;
}

// One LOCK for each node of the mask, with this counter; the id is its number.
static void publish_locks(uint64_t revision, unsigned nodes, uint32_t counter) {
    static uint8_t s_commands[SITE_NODES][MM_COMMAND_BYTES_MAX];
    mm_command_batch_t batch = {.database_id = 5, .revision = revision};
    for (int i = 0; i < SITE_NODES; i++) {
        if ((nodes >> i & 1) == 0) {
            continue;
        }
        const mm_command_t command = {.node = mac_of(i),
                                      .era = (uint32_t)i + 1,
                                      .counter = counter,
                                      .id = counter,
                                      .kind = MM_COMMAND_LOCK,
                                      .channel = LOCKED_CHANNEL};
        size_t size = mm_command_seal(s_commands[i], sizeof s_commands[i], &command, &world.stations[i].crypto_port);
        assert_true(size > 0);
        batch.commands[batch.count].bytes = s_commands[i];
        batch.commands[batch.count++].bytes_count = (uint16_t)size;
    }
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    size_t size = mm_command_batch_write(bytes, sizeof bytes, &batch);
    assert_true(size > 0);
    publish_commands(bytes, size);
}

static void run_cycles(int cycles) {
    run_until(world.now + cycles * mm_slot_cycle_us(&world.stations[0].node.options.timing.slots));
}

static void expect_answered_once(int node, uint32_t id) {
    const station_t *station = &world.stations[node];
    assert_int_equal(station->hq.result_counts[id], 1);
    assert_int_equal(station->node.control.counter, id);
    assert_false(station->supply[LOCKED_CHANNEL]);
    assert_int_equal(station->relay_moves, 1);
}

// The batch waits at the broker; one session fetches it, and brings the answers of the root and of its children.
static void test_site_answers_in_the_session_that_fetched(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    run_cycles(2);
    uint32_t sessions = world.sessions;
    publish_locks(1, 7, 1);
    run_cycles(1);
    assert_int_equal(world.sessions, sessions + 1);
    for (int i = 0; i < SITE_NODES; i++) {
        expect_answered_once(i, 1);
        assert_int_equal(world.stations[i].hq.result_sessions[1], sessions + 1);
    }
    assert_true(world.session_messages_max <= MM_SESSION_MESSAGES_MAX);
    assert_int_equal(world.stations[0].node.counters.values[MM_COUNTER_SESSION_FAILED], 0);
    // HQ clears: nobody is told again.
    publish_commands(NULL, 0);
    run_cycles(2);
    uint32_t repeated = world.stations[1].node.counters.values[MM_COUNTER_COMMAND_REPEATED];
    run_cycles(3);
    assert_int_equal(world.stations[1].node.counters.values[MM_COUNTER_COMMAND_REPEATED], repeated);
}

// HQ is quick: what it publishes while the session dwells is answered in it, again and again.
static void test_site_answers_while_it_dwells(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    run_cycles(2);
    while (world.stations[0].node.root.uplink.state != MM_UPLINK_DWELLING) {
        turn(world.now + MM_US_PER_S);
    }
    uint32_t session = world.sessions;
    for (uint32_t id = 1; id <= 5; id++) {
        publish_locks(id, 6, id);
        run_for_s(1);
        for (int i = 1; i < SITE_NODES; i++) {
            assert_int_equal(world.stations[i].hq.result_counts[id], 1);
            assert_int_equal(world.stations[i].hq.result_sessions[id], session);
        }
    }
    assert_int_equal(world.sessions, session);
    run_cycles(1);
    assert_int_equal(world.stations[0].node.counters.values[MM_COUNTER_SESSION_FAILED], 0);
}

static void test_site_whatever_becomes_of_the_answers(void **state) {
    (void)state;
    for (site_fate_t fate = 0; fate < SITE_FATE_COUNT; fate++) {
        (void)begin_world(state);
        set_time(0);
        elect(0, true);
        run_cycles(2);
        world.fates_on = true;
        world.fates[1] = fate;
        publish_locks(1, 6, 1);
        run_cycles(3);
        world.fates_on = false;
        run_cycles(3);
        expect_answered_once(1, 1);
        expect_answered_once(2, 1);
    }
}

// The root dies when it publishes the k-th message behind the command's arrival; another one takes over, the broker
// gives it the same batch, and the children's answers come once.
static void test_site_root_dies_at_each_message(void **state) {
    (void)state;
    for (int message = 1; message <= 3; message++) {
        (void)begin_world(state);
        set_time(0);
        set_time(2);
        elect(0, true);
        run_cycles(2);
        world.kill_at_message = (int)world.messages + message;
        publish_locks(1, 2, 1);
        run_cycles(2);
        if (message == 3) {
            continue; // there are not so many in one session: it lives
        }
        assert_false(world.stations[0].alive);
        elect(2, true);
        run_cycles(4);
        expect_answered_once(1, 1);
    }
}

static void test_site_role_moves_on(void **state) {
    (void)state;
    set_time(0);
    set_time(2);
    elect(0, true);
    run_cycles(2);
    publish_locks(1, 2, 1);
    world.fates_on = true;
    world.fates[1] = SITE_FATE_LOST; // the old root never hears of it
    run_cycles(1);
    assert_int_equal(world.stations[0].node.root.commands.bytes_count > 0, true);
    elect(2, true);
    assert_int_equal(world.stations[0].node.root.commands.bytes_count, 0);
    assert_int_equal(world.stations[2].node.root.commands.bytes_count, 0);
    world.fates_on = false;
    run_cycles(3);
    expect_answered_once(1, 1);
}

// A parted mesh: both fetch the batch, both know the child, which hears both.
static void test_site_two_roots(void **state) {
    (void)state;
    set_time(0);
    set_time(2);
    elect(0, true);
    take_root(2, true);
    mesh_event(2, MM_MESH_CHILD_JOINED, 1, 0);
    run_cycles(2);
    publish_locks(1, 7, 1);
    run_cycles(3);
    for (int i = 0; i < SITE_NODES; i++) {
        expect_answered_once(i, 1);
    }
    assert_true(world.stations[1].node.counters.values[MM_COUNTER_COMMAND_REPEATED] > 0);
}

// A node comes to the mesh long after the batch.
static void test_site_node_that_attaches_later(void **state) {
    (void)state;
    set_time(0);
    take_root(0, true);
    attach(1, 0);
    run_cycles(2);
    publish_locks(1, 4, 1);
    run_cycles(2);
    assert_int_equal(world.stations[2].hq.result_counts[1], 0);
    attach(2, 0);
    run_cycles(2);
    expect_answered_once(2, 1);
}

int main(void) {
#define SITE_TEST(test) cmocka_unit_test_setup(test, begin_world)
    const struct CMUnitTest tests[] = {
        SITE_TEST(test_site_answers_in_the_session_that_fetched),
        SITE_TEST(test_site_answers_while_it_dwells),
        SITE_TEST(test_site_whatever_becomes_of_the_answers),
        SITE_TEST(test_site_root_dies_at_each_message),
        SITE_TEST(test_site_role_moves_on),
        SITE_TEST(test_site_two_roots),
        SITE_TEST(test_site_node_that_attaches_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
