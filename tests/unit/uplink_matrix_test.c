// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/uplink.h"

#include <string.h>

#include "uplink_fixture.h"

// --- every situation x every event ---------------------------------------------------------------
typedef enum {
    AT_STOPPED,
    AT_ROUTER_DOWN,
    AT_WAITING_UNPLANNED,
    AT_WAITING_PLANNED,
    AT_WAITING_BUSY,
    AT_CONNECTING,
    AT_SUBSCRIBING,
    AT_SUBSCRIBED_HALF,
    AT_DRAINING_UNOPENED,
    AT_DRAINING_WINDOW_FULL,
    AT_DRAINING_SOURCE_WAITS,
    AT_DRAINING_ACK_UNREPORTED,
    AT_DWELLING,
    AT_CLOSING,
    AT_CLOSING_ENDED,
    AT_CLOSING_FAILED,
    AT_BACKING_OFF,
    AT_COUNT
} situation_t;

static mm_uplink_state_t state_of(situation_t situation) {
    static const mm_uplink_state_t states[AT_COUNT] = {
        [AT_STOPPED] = MM_UPLINK_STOPPED,
        [AT_ROUTER_DOWN] = MM_UPLINK_ROUTER_DOWN,
        [AT_WAITING_UNPLANNED] = MM_UPLINK_WAITING_FOR_SLOT,
        [AT_WAITING_PLANNED] = MM_UPLINK_WAITING_FOR_SLOT,
        [AT_WAITING_BUSY] = MM_UPLINK_WAITING_FOR_SLOT,
        [AT_CONNECTING] = MM_UPLINK_CONNECTING,
        [AT_SUBSCRIBING] = MM_UPLINK_SUBSCRIBING,
        [AT_SUBSCRIBED_HALF] = MM_UPLINK_SUBSCRIBING,
        [AT_DRAINING_UNOPENED] = MM_UPLINK_DRAINING,
        [AT_DRAINING_WINDOW_FULL] = MM_UPLINK_DRAINING,
        [AT_DRAINING_SOURCE_WAITS] = MM_UPLINK_DRAINING,
        [AT_DRAINING_ACK_UNREPORTED] = MM_UPLINK_DRAINING,
        [AT_DWELLING] = MM_UPLINK_DWELLING,
        [AT_CLOSING] = MM_UPLINK_CLOSING,
        [AT_CLOSING_ENDED] = MM_UPLINK_CLOSING,
        [AT_CLOSING_FAILED] = MM_UPLINK_CLOSING,
        [AT_BACKING_OFF] = MM_UPLINK_BACKING_OFF,
    };
    return states[situation];
}

static void reach_waiting(fixture_t *fixture, situation_t situation) {
    mm_uplink_start(&fixture->uplink, situation != AT_ROUTER_DOWN, 0);
    if (situation == AT_WAITING_PLANNED || situation == AT_WAITING_BUSY) {
        assert_true(mm_uplink_plan_session(&fixture->uplink, SLOT_AT));
    }
    if (situation == AT_WAITING_BUSY) {
        fixture->start_result = MM_ERR_BUSY;
        poll_at(fixture, SLOT_AT);
        fixture->start_result = MM_OK;
    }
}

static void reach(fixture_t *fixture, situation_t situation) {
    set_up(fixture, situation == AT_DWELLING || situation == AT_CLOSING || situation == AT_CLOSING_ENDED ? 0 : 6);
    if (situation == AT_STOPPED) {
        return;
    }
    if (situation <= AT_WAITING_BUSY) {
        reach_waiting(fixture, situation);
        return;
    }
    reach_connecting(fixture);
    if (situation == AT_CONNECTING) {
        return;
    }
    if (situation == AT_BACKING_OFF) {
        event(fixture, MM_MQTT_ERROR, 0, 0);
        event(fixture, MM_MQTT_DISCONNECTED, 0, 0);
        return;
    }
    event(fixture, MM_MQTT_CONNECTED, 0, 0);
    if (situation == AT_SUBSCRIBING) {
        return;
    }
    event(fixture, MM_MQTT_SUBSCRIBED, fixture->subscribe_ids[0], 1);
    if (situation == AT_SUBSCRIBED_HALF) {
        return;
    }
    deliver(fixture, MM_MQTT_SUBSCRIBED, fixture->start_session, fixture->subscribe_ids[1], 1);
    if (situation == AT_DRAINING_UNOPENED) {
        return;
    }
    if (situation == AT_DRAINING_SOURCE_WAITS) {
        fixture->waiting = true;
        fixture->wait_deadline = fixture->now + S;
    }
    poll(fixture);
    if (situation == AT_DRAINING_ACK_UNREPORTED) {
        deliver(fixture, MM_MQTT_PUBLISHED, fixture->start_session, fixture->publish_ids[0], 0);
    }
    if (situation == AT_CLOSING_FAILED) {
        event(fixture, MM_MQTT_ERROR, 0, 0);
    }
    if (situation == AT_CLOSING || situation == AT_CLOSING_ENDED) {
        poll_at(fixture, fixture->deadline);
    }
    if (situation == AT_CLOSING_ENDED) {
        deliver(fixture, MM_MQTT_DISCONNECTED, fixture->start_session, 0, 0);
    }
}

// The drawing in uplink.h, written down a second time: which states may follow directly.
static bool may_follow(mm_uplink_state_t from, mm_uplink_state_t to) {
    if (from == to) {
        return true;
    }
    bool has_connection = from == MM_UPLINK_CONNECTING || from == MM_UPLINK_SUBSCRIBING || from == MM_UPLINK_DRAINING ||
                          from == MM_UPLINK_DWELLING;
    switch (to) {
    case MM_UPLINK_STOPPED:
    case MM_UPLINK_ROUTER_DOWN:
        return true;
    case MM_UPLINK_WAITING_FOR_SLOT:
        return from == MM_UPLINK_STOPPED || from == MM_UPLINK_ROUTER_DOWN || from == MM_UPLINK_CLOSING ||
               from == MM_UPLINK_BACKING_OFF;
    case MM_UPLINK_CONNECTING:
        return from == MM_UPLINK_WAITING_FOR_SLOT;
    case MM_UPLINK_SUBSCRIBING:
        return from == MM_UPLINK_CONNECTING;
    case MM_UPLINK_DRAINING:
        return from == MM_UPLINK_SUBSCRIBING || from == MM_UPLINK_DWELLING;
    case MM_UPLINK_DWELLING:
        return from == MM_UPLINK_DRAINING;
    case MM_UPLINK_CLOSING:
        return has_connection;
    case MM_UPLINK_BACKING_OFF:
        return from == MM_UPLINK_CLOSING || from == MM_UPLINK_WAITING_FOR_SLOT;
    case MM_UPLINK_STATE_COUNT:
    default:
        return false;
    }
}

static bool may_have_deadline_never(const fixture_t *fixture) {
    return fixture->uplink.state == MM_UPLINK_STOPPED || fixture->uplink.state == MM_UPLINK_ROUTER_DOWN ||
           mm_uplink_wants_plan(&fixture->uplink);
}

#define CALLS 10
#define CALLS_WITHOUT_POLL 7
#define SESSIONS 3
#define PACKETS 4
#define REASONS 6
#define EVENT_KINDS 8
#define STIMULI (CALLS + EVENT_KINDS * SESSIONS * PACKETS * REASONS)

// Only what is connected and can still publish is resumed; nothing else notices.
static void resume(fixture_t *fixture) {
    mm_uplink_state_t before = fixture->uplink.state;
    bool resumed = mm_uplink_resume(&fixture->uplink, fixture->now);
    if (before == MM_UPLINK_DRAINING || before == MM_UPLINK_DWELLING) {
        assert_int_equal(resumed, fixture->now < fixture->uplink.session_deadline);
    } else {
        assert_false(resumed);
    }
    expect_state(fixture, resumed ? MM_UPLINK_DRAINING : before);
}

static void call_owner_side(fixture_t *fixture, uint32_t call) {
    mm_uplink_t *uplink = &fixture->uplink;
    switch (call) {
    case 0:
        mm_uplink_start(uplink, true, fixture->now);
        break;
    case 1:
        mm_uplink_start(uplink, false, fixture->now);
        break;
    case 2:
        mm_uplink_stop(uplink, fixture->now);
        break;
    case 3:
        mm_uplink_set_router(uplink, true, fixture->now);
        break;
    case 4:
        mm_uplink_set_router(uplink, false, fixture->now);
        break;
    case 5:
        (void)mm_uplink_plan_session(uplink, fixture->now + S);
        break;
    case 6:
        resume(fixture);
        break;
    case 7:
        poll(fixture);
        break;
    case 8:
        poll_at(fixture, uplink->deadline == MM_US_NEVER ? fixture->now + S : uplink->deadline - 1);
        break;
    default:
        poll_at(fixture, uplink->deadline == MM_US_NEVER ? fixture->now + S : uplink->deadline);
        break;
    }
}

static void apply(fixture_t *fixture, uint32_t stimulus) {
    mm_uplink_state_t before = fixture->uplink.state;
    if (stimulus < CALLS) {
        call_owner_side(fixture, stimulus);
        if (stimulus < CALLS_WITHOUT_POLL) {
            assert_true(may_follow(before, fixture->uplink.state));
        }
        return;
    }
    stimulus -= CALLS;
    static const uint8_t reasons[REASONS] = {0, 1, 2, 0x10, 0x80, 0xFF};
    mm_mqtt_event_kind_t kind = (mm_mqtt_event_kind_t)(stimulus % EVENT_KINDS);
    stimulus /= EVENT_KINDS;
    uint8_t reason = reasons[stimulus % REASONS];
    stimulus /= REASONS;
    const uint16_t packets[PACKETS] = {0, fixture->publish_ids[0], fixture->subscribe_ids[1], 4711};
    uint16_t packet_id = packets[stimulus % PACKETS];
    stimulus /= PACKETS;
    // Of this session, of the one before, of none.
    uint32_t session = stimulus == 0 ? fixture->start_session : stimulus == 1 ? fixture->start_session - 1 : 0;
    bool is_current = mm_uplink_is_current(&fixture->uplink, session);
    deliver(fixture, kind, session, packet_id, reason);
    assert_true(may_follow(before, fixture->uplink.state));
    if (!is_current || kind == MM_MQTT_DATA || kind == MM_MQTT_EVENT_NONE) {
        assert_int_equal(before, fixture->uplink.state);
    }
}

// Without help from anybody the machine comes to rest in bounded time, and each session was closed once.
static void check_rest(fixture_t *fixture) {
    mm_us_t begin = fixture->now;
    fixture->wait_deadline = MM_US_NEVER;
    poll(fixture);
    uint32_t polls = 0;
    while (!may_have_deadline_never(fixture)) {
        assert_int_not_equal(fixture->deadline, MM_US_NEVER);
        assert_true(fixture->deadline > fixture->now);
        poll_at(fixture, fixture->deadline);
        assert_true(++polls < 200);
        if (fixture->uplink.state == MM_UPLINK_BACKING_OFF) {
            // One more planned session may lie between: busy, connecting, closing.
            assert_true(fixture->now - begin <= 2 * (timing.session_us + timing.close_us));
        }
    }
    assert_false(fixture->came_due);
    assert_false(fixture->running);
    assert_int_equal(counted(fixture, MM_COUNTER_SESSION_FAILED), fixture->closed_count - fixture->clean_count);
    for (uint32_t i = 0; i < MESSAGES_MAX; i++) {
        assert_true(fixture->confirmed[i] <= 1);
    }
}

static void test_uplink_every_situation_every_event(void **state) {
    (void)state;
    for (situation_t situation = 0; situation < AT_COUNT; situation++) {
        for (uint32_t stimulus = 0; stimulus < STIMULI; stimulus++) {
            fixture_t fixture;
            reach(&fixture, situation);
            expect_state(&fixture, state_of(situation));
            apply(&fixture, stimulus);
            check_rest(&fixture);
        }
    }
}

// Two events in a row, without and with a poll between them. A smaller choice of fields.
static void test_uplink_every_situation_every_pair_of_events(void **state) {
    (void)state;
    uint32_t chosen[STIMULI];
    uint32_t chosen_count = 0;
    for (uint32_t stimulus = 0; stimulus < STIMULI; stimulus++) {
        uint32_t rest = stimulus < CALLS ? 0 : (stimulus - CALLS) / EVENT_KINDS;
        uint32_t reason = rest % REASONS;
        uint32_t packet = rest / REASONS % PACKETS;
        uint32_t session = rest / REASONS / PACKETS;
        if (stimulus < CALLS || ((reason == 0 || reason == 4) && (packet == 1 || packet == 2) && session < 2)) {
            chosen[chosen_count++] = stimulus;
        }
    }
    assert_int_equal(chosen_count, CALLS + 64);
    for (situation_t situation = 0; situation < AT_COUNT; situation++) {
        for (uint32_t i = 0; i < chosen_count * chosen_count * 2; i++) {
            fixture_t fixture;
            reach(&fixture, situation);
            apply(&fixture, chosen[i / 2 % chosen_count]);
            if (i % 2 == 1) {
                poll(&fixture);
            }
            apply(&fixture, chosen[i / 2 / chosen_count]);
            check_rest(&fixture);
        }
    }
}

// The router is lost, or the role, in every situation: at once, closed once, and nothing of the old session matters
// again.
static void test_uplink_abort_in_every_situation(void **state) {
    (void)state;
    for (situation_t situation = 0; situation < AT_COUNT; situation++) {
        for (uint32_t how = 0; how < 2; how++) {
            fixture_t fixture;
            reach(&fixture, situation);
            uint32_t stop_calls = fixture.stop_calls;
            uint32_t closed_count = fixture.closed_count;
            bool had_session = fixture.in_session;
            bool had_ended = situation == AT_CLOSING_ENDED;
            uint32_t session = fixture.start_session;
            if (how == 0) {
                mm_uplink_stop(&fixture.uplink, fixture.now);
                expect_state(&fixture, MM_UPLINK_STOPPED);
            } else {
                mm_uplink_set_router(&fixture.uplink, false, fixture.now);
                expect_state(&fixture, situation == AT_STOPPED ? MM_UPLINK_STOPPED : MM_UPLINK_ROUTER_DOWN);
            }
            assert_int_equal(fixture.closed_count - closed_count, had_session || situation == AT_WAITING_BUSY);
            assert_int_equal(fixture.stop_calls - stop_calls, had_session && !had_ended);
            assert_int_equal(fixture.clean_count, had_ended);
            assert_true(!had_session || had_ended || !fixture.last_stop_graceful);
            assert_int_equal(confirmed_count(&fixture), situation == AT_DRAINING_ACK_UNREPORTED);
            assert_false(mm_uplink_is_current(&fixture.uplink, session));
            // Back again, with events of the old session in between.
            mm_uplink_start(&fixture.uplink, true, fixture.now);
            expect_state(&fixture, MM_UPLINK_WAITING_FOR_SLOT);
            assert_true(mm_uplink_wants_plan(&fixture.uplink));
            fixture.message_count = 4;
            fixture.waiting = false;
            reach_draining(&fixture);
            if (session != 0) {
                deliver(&fixture, MM_MQTT_PUBLISHED, session, fixture.publish_ids[0], 0);
                deliver(&fixture, MM_MQTT_DISCONNECTED, session, 0, 0);
                deliver(&fixture, MM_MQTT_ERROR, session, 0, 0);
                poll(&fixture);
            }
            expect_state(&fixture, MM_UPLINK_DRAINING);
            assert_int_equal(confirmed_count(&fixture), 0);
            complete(&fixture);
            assert_int_equal(fixture.clean_count, 1u + had_ended);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uplink_every_situation_every_event),
        cmocka_unit_test(test_uplink_every_situation_every_pair_of_events),
        cmocka_unit_test(test_uplink_abort_in_every_situation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
