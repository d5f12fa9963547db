// SPDX-License-Identifier: Apache-2.0
// Node composition: a building of nodes in virtual time.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "site_world.h"

static int begin_world(void **state) {
    (void)state;
    world_init();
    for (int i = 0; i < SITE_NODES; i++) {
        boot(i);
    }
    return 0;
}

// Everything that was made has been stored, in the registers and in the load profile.
static void assert_all_arrived(void) {
    for (int i = 0; i < SITE_NODES; i++) {
        const station_t *station = &world.stations[i];
        uint64_t pulses = 0;
        uint64_t open_pulses = 0;
        for (int c = 0; c < MM_CHANNELS; c++) {
            assert_int_equal(station->node.metering.registers.channels[c].life_pulses, station->pulses[c]);
            pulses += station->pulses[c];
            open_pulses += station->node.metering.registers.channels[c].interval_pulses;
        }
        assert_int_equal(station->hq.watermark + 1, mm_journal_next(&station->node.journal).seq);
        assert_int_equal(hq_interval_pulses(station) + open_pulses, pulses);
    }
}

static void test_node_calm_site_delivers_everything(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    run_for_s(6 * 3600);
    // End right behind a session: nothing new has been made since.
    run_until(world.now + mm_slot_cycle_us(&world.stations[0].node.options.timing.slots));
    run_for_s(1200 - (world.now / MM_US_PER_S) % 900);
    assert_int_equal(world.stations[1].node.metering.time_known, true);
    assert_true(world.stations[0].node.root.sessions_clean >= 40);
    assert_int_equal(world.stations[0].node.counters.values[MM_COUNTER_SESSION_FAILED], 0);
    assert_int_equal(world.live_after_backlog, false);
    for (int i = 0; i < SITE_NODES; i++) {
        assert_true(world.stations[i].hq.has_snapshot);
        assert_int_equal(world.stations[i].hq.snapshot.layer, i == 0 ? 1 : 2);
        // A watermark comes back: the children know it too, through the asks.
        assert_true(world.stations[i].node.metering.watermark.seq > 10);
    }
    // Records are sent once when nothing fails: HQ saw no more than the few that were not yet watermarked.
    for (uint32_t seq = 1; seq < world.stations[1].hq.watermark; seq++) {
        assert_true(world.stations[1].hq.stored[seq] <= 2);
    }
}

static void test_node_router_off_30_hours_then_backlog(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    run_for_s(3600);
    mesh_event(0, MM_MESH_LOST_IP, 0, 0);
    unsigned messages = world.messages;
    run_for_s(30 * 3600);
    assert_int_equal(world.messages, messages);
    mesh_event(0, MM_MESH_GOT_IP, 0, 0);
    // 120 records a node in batches of about 50 for each node: a handful of messages, one session and its confirmation.
    run_for_s(3 * 500);
    assert_true(world.session_messages_max <= MM_SESSION_MESSAGES_MAX);
    assert_int_equal(world.live_after_backlog, false);
    run_for_s(1200 - (world.now / MM_US_PER_S) % 900);
    assert_all_arrived();
}

static void test_node_lost_pubacks_and_lost_frames_lose_nothing(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    world.loss_percent = 20;
    run_for_s(3 * 3600);
    world.drop_pubacks = true;
    run_for_s(2 * 3600);
    assert_true(world.stations[0].node.counters.values[MM_COUNTER_PUBACK_TIMEOUT] > 0);
    world.drop_pubacks = false;
    world.loss_percent = 0;
    // The longest back-off is an hour; then two cycles.
    run_for_s(2 * 3600 + 4 * 500);
    run_for_s(1200 - (world.now / MM_US_PER_S) % 900);
    assert_all_arrived();
}

static void test_node_hq_down_a_day_holds_back(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    run_for_s(3600);
    world.hq_down = true;
    unsigned before = world.messages;
    run_for_s(24 * 3600);
    // 173 cycles, each with one live message; resending what was confirmed must not multiply them.
    assert_true(world.messages - before < 260);
    world.hq_down = false;
    run_for_s(5 * 3600);
    run_for_s(1200 - (world.now / MM_US_PER_S) % 900);
    assert_all_arrived();
}

static void test_node_root_dies_in_a_session_another_takes_over(void **state) {
    (void)state;
    set_time(0);
    set_time(1);
    elect(0, true);
    run_for_s(7200);
    world.kill_at_message = (int)world.messages + 1;
    run_for_s(1000);
    assert_int_equal(world.stations[0].alive, false);
    world.kill_at_message = 0;
    elect(1, true);
    run_for_s(7200);
    boot(0); // its counter went on; it comes back as a child
    mesh_event(0, MM_MESH_PARENT_CONNECTED, 1, 2);
    mesh_event(0, MM_MESH_ROOT_CHANGED, 1, 0);
    mesh_event(1, MM_MESH_CHILD_JOINED, 0, 0);
    run_for_s(3 * 3600);
    run_for_s(1200 - (world.now / MM_US_PER_S) % 900);
    assert_int_equal(world.stations[0].node.metering.boot_no, 2);
    assert_int_equal(world.stations[0].node.root.active, false);
    assert_all_arrived();
}

static void run_into_open_round(void) {
    mm_us_t limit = world.now + 1000 * MM_US_PER_S;
    while (world.stations[0].node.root.phase != MM_ROOT_COLLECTING && world.now < limit) {
        run_until(world.now + 100 * MS);
    }
    assert_int_equal(world.stations[0].node.root.phase, MM_ROOT_COLLECTING);
}

static void test_node_router_lost_in_an_open_round_does_not_spin(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    run_for_s(600);
    world.stations[2].alive = false; // it keeps the round open
    run_into_open_round();
    mesh_event(0, MM_MESH_LOST_IP, 0, 0);
    run_for_s(60); // asserts that every poll moves on
    assert_int_equal(world.stations[0].node.root.round.open, false);
    mesh_event(0, MM_MESH_GOT_IP, 0, 0);
    uint32_t clean = world.stations[0].node.root.sessions_clean;
    run_for_s(1200);
    assert_true(world.stations[0].node.root.sessions_clean > clean);
}

// The registers are gone, the journal and the counters are not: what they had counted is in interval records already.
static void test_node_lost_registers_are_not_counted_again(void **state) {
    (void)state;
    station_t *station = &world.stations[0];
    set_time(0);
    elect(0, true);
    run_for_s(4 * 3600);
    uint64_t pulses_at_loss = sum_of(station->pulses);
    uint64_t profile_at_loss = hq_interval_pulses(station);
    memset(station->fram, 0xFF, sizeof station->fram);
    boot(0);
    set_time(0);
    elect(0, true);
    run_for_s(4 * 3600);
    run_for_s(1200 - (world.now / MM_US_PER_S) % 900);
    assert_true(profile_at_loss > 0);
    uint64_t made_since = sum_of(station->pulses) - pulses_at_loss;
    uint64_t arrived_since = hq_interval_pulses(station) - profile_at_loss;
    // What was made before the loss and had not arrived yet are a few intervals; never the whole life again.
    assert_in_range(arrived_since, made_since * 9 / 10, made_since + pulses_at_loss / 4);
    assert_true(hq_interval_pulses(station) <= sum_of(station->pulses));
}

// The clock is known at the start: a restart in the middle of an interval leaves one interval, not a scrap without a
// time.
static void test_node_restart_with_a_clock_keeps_the_interval(void **state) {
    (void)state;
    station_t *station = &world.stations[0];
    set_time(0);
    elect(0, true);
    run_for_s(1500);
    uint32_t interval_no = station->node.metering.interval_no;
    uint32_t open_pulses = station->node.metering.registers.channels[0].interval_pulses;
    assert_true(open_pulses > 0);
    boot(0);
    set_time(0);
    assert_int_equal(station->node.metering.interval_no, interval_no);
    assert_int_equal(station->node.metering.registers.channels[0].interval_pulses, open_pulses);
}

static void test_node_that_lost_all_memory_begins_another_epoch(void **state) {
    (void)state;
    station_t *station = &world.stations[0];
    assert_int_equal(mm_journal_next(&station->node.journal).epoch, 1);
    world.first_epoch = 1000;
    boot(0); // nothing is lost: the epoch stays
    assert_int_equal(mm_journal_next(&station->node.journal).epoch, 1);
    memset(station->fram, 0xFF, sizeof station->fram);
    memset(station->flash, 0xFF, sizeof station->flash);
    boot(0);
    assert_int_equal(mm_journal_next(&station->node.journal).epoch, 1000);
}

static void test_node_root_role_starts_and_stops_once(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    mesh_event(0, MM_MESH_PARENT_CONNECTED, 0, 1);
    mesh_event(0, MM_MESH_GOT_IP, 0, 0);
    uint32_t next = mm_journal_next(&world.stations[0].node.journal).seq;
    mesh_event(0, MM_MESH_PARENT_CONNECTED, 0, 1);
    mesh_event(0, MM_MESH_ROOT_CHANGED, 0, 0);
    assert_int_equal(mm_journal_next(&world.stations[0].node.journal).seq, next);
    elect(1, true);
    assert_int_equal(world.stations[0].node.root.active, false);
    assert_int_equal(world.stations[0].node.root.uplink.state, MM_UPLINK_STOPPED);
    assert_int_equal(world.stations[1].node.root.active, true);
}

static void test_node_refuses_foreign_and_damaged_frames(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    mm_node_t *node = &world.stations[1].node;
    uint8_t bytes[64];
    const mm_welcome_t welcome = {.time = {{SITE_BEGIN_S * MM_US_PER_S}, MM_TRUST_SYNCED}};
    size_t size = mm_frame_write_welcome(bytes, sizeof bytes, mac_of(2), &welcome);
    mm_node_on_mesh_frame(node, mac_of(0), bytes, size, world.now); // says it is 2, comes from 0
    assert_int_equal(node->counters.values[MM_COUNTER_FRAME_UNEXPECTED], 1);
    assert_int_equal(node->metering.time_known, false);
    bytes[size - 1] ^= 1;
    mm_node_on_mesh_frame(node, mac_of(2), bytes, size, world.now);
    assert_int_equal(node->counters.values[MM_COUNTER_FRAME_CORRUPT], 1);
    mm_node_on_mesh_frame(node, mac_of(2), "{\"cmd\":\"lock\"}", 14, world.now);
    assert_int_equal(node->counters.values[MM_COUNTER_FRAME_CORRUPT], 2);
    mm_node_on_mesh_frame(node, mac_of(2), "", 0, world.now);
    assert_int_equal(node->counters.values[MM_COUNTER_FRAME_CORRUPT], 3);
}

int main(void) {
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, begin_world, NULL)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_node_calm_site_delivers_everything),
        WORLD_TEST(test_node_router_off_30_hours_then_backlog),
        WORLD_TEST(test_node_lost_pubacks_and_lost_frames_lose_nothing),
        WORLD_TEST(test_node_hq_down_a_day_holds_back),
        WORLD_TEST(test_node_root_dies_in_a_session_another_takes_over),
        WORLD_TEST(test_node_router_lost_in_an_open_round_does_not_spin),
        WORLD_TEST(test_node_lost_registers_are_not_counted_again),
        WORLD_TEST(test_node_restart_with_a_clock_keeps_the_interval),
        WORLD_TEST(test_node_that_lost_all_memory_begins_another_epoch),
        WORLD_TEST(test_node_root_role_starts_and_stops_once),
        WORLD_TEST(test_node_refuses_foreign_and_damaged_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
