// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/uplink.h"

#include <string.h>

#include "uplink_fixture.h"

static void expect_failed_once(const fixture_t *fixture) {
    expect_state(fixture, MM_UPLINK_BACKING_OFF);
    assert_int_equal(fixture->closed_count, 1);
    assert_int_equal(fixture->clean_count, 0);
    assert_int_equal(counted(fixture, MM_COUNTER_SESSION_FAILED), 1);
    assert_false(fixture->running);
}

// The session failed for that reason just now: wait for the end of CLOSING.
static void expect_closing_then_failed(fixture_t *fixture) {
    expect_state(fixture, MM_UPLINK_CLOSING);
    assert_false(fixture->last_stop_graceful);
    assert_int_equal(fixture->closed_count, 0);
    event(fixture, MM_MQTT_DISCONNECTED, 0, 0);
    expect_failed_once(fixture);
}

// --- scripted sessions ---------------------------------------------------------------------------
static void test_uplink_happy_path(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 6);
    poll(&fixture);
    assert_int_equal(fixture.deadline, MM_US_NEVER);
    assert_false(mm_uplink_plan_session(&fixture.uplink, 5));
    mm_uplink_start(&fixture.uplink, false, 0);
    expect_state(&fixture, MM_UPLINK_ROUTER_DOWN);
    assert_false(mm_uplink_wants_plan(&fixture.uplink));
    mm_uplink_set_router(&fixture.uplink, true, 0);
    expect_state(&fixture, MM_UPLINK_WAITING_FOR_SLOT);
    assert_true(mm_uplink_wants_plan(&fixture.uplink));
    poll_at(&fixture, 50 * S);
    assert_int_equal(fixture.deadline, MM_US_NEVER);
    assert_true(mm_uplink_plan_session(&fixture.uplink, SLOT_AT));
    assert_false(mm_uplink_wants_plan(&fixture.uplink));
    poll_at(&fixture, SLOT_AT - 1);
    assert_int_equal(fixture.deadline, SLOT_AT);
    assert_int_equal(fixture.start_calls, 0);
    poll_at(&fixture, SLOT_AT);
    assert_int_equal(fixture.start_calls, 1);
    assert_int_equal(fixture.deadline, SLOT_AT + 10 * S);
    assert_true(mm_uplink_is_current(&fixture.uplink, 1));
    fixture.now += S;
    event(&fixture, MM_MQTT_CONNECTED, 0, 0);
    expect_state(&fixture, MM_UPLINK_SUBSCRIBING);
    assert_int_equal(fixture.deadline, SLOT_AT + 6 * S);
    fixture.now += S;
    event(&fixture, MM_MQTT_SUBSCRIBED, fixture.subscribe_ids[1], 1);
    expect_state(&fixture, MM_UPLINK_SUBSCRIBING);
    assert_int_equal(fixture.opened_count, 0);
    event(&fixture, MM_MQTT_SUBSCRIBED, fixture.subscribe_ids[0], 1);
    expect_state(&fixture, MM_UPLINK_DRAINING);
    // The window is full, and no PUBACK later than ten seconds.
    assert_int_equal(fixture.publish_calls, MM_SESSION_WINDOW);
    assert_int_equal(fixture.deadline, SLOT_AT + 12 * S);
    fixture.now += S;
    puback(&fixture, 2); // out of order
    assert_int_equal(fixture.publish_calls, 5);
    puback(&fixture, 0);
    assert_int_equal(fixture.publish_calls, 6);
    puback(&fixture, 1);
    puback(&fixture, 5);
    puback(&fixture, 4);
    expect_state(&fixture, MM_UPLINK_DRAINING);
    fixture.now += S;
    puback(&fixture, 3);
    expect_state(&fixture, MM_UPLINK_DWELLING);
    assert_int_equal(fixture.deadline, SLOT_AT + 6 * S);
    assert_int_equal(confirmed_count(&fixture), 6);
    for (uint8_t i = 0; i < 6; i++) {
        assert_int_equal(fixture.published[i], i + 1); // in the order of the source
    }
    // A command during the dwell does not prolong it.
    fixture.now += S;
    event(&fixture, MM_MQTT_DATA, 0, 0);
    assert_int_equal(fixture.deadline, SLOT_AT + 6 * S);
    poll_at(&fixture, SLOT_AT + 6 * S);
    expect_state(&fixture, MM_UPLINK_CLOSING);
    assert_true(fixture.last_stop_graceful);
    assert_int_equal(fixture.stop_calls, 1);
    assert_int_equal(fixture.deadline, SLOT_AT + 11 * S);
    assert_int_equal(fixture.closed_count, 0);
    assert_true(mm_uplink_is_current(&fixture.uplink, 1));
    event(&fixture, MM_MQTT_DISCONNECTED, 0, 0);
    expect_state(&fixture, MM_UPLINK_WAITING_FOR_SLOT);
    assert_false(mm_uplink_is_current(&fixture.uplink, 1));
    assert_true(mm_uplink_wants_plan(&fixture.uplink));
    assert_int_equal(fixture.deadline, MM_US_NEVER);
    assert_int_equal(fixture.closed_count, 1);
    assert_int_equal(fixture.clean_count, 1);
    assert_int_equal(fixture.stop_calls, 1);
    for (uint32_t i = 0; i < MM_COUNTER_COUNT; i++) {
        assert_int_equal(fixture.counters.values[i], 0);
    }
}

static void test_uplink_sends_20_at_most(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 50);
    reach_draining(&fixture);
    for (uint32_t i = 0; i < MM_SESSION_MESSAGES_MAX; i++) {
        assert_int_equal(fixture.publish_calls, i + 4 < 20 ? i + 4 : 20);
        puback(&fixture, i);
    }
    assert_int_equal(fixture.last_messages_left, 1);
    assert_int_equal(fixture.offered, 20); // the 21st was not even asked for
    complete(&fixture);
    assert_int_equal(fixture.clean_count, 1);
    assert_int_equal(confirmed_count(&fixture), 20);
}

static void test_uplink_nothing_to_send_dwells(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 0);
    reach_draining(&fixture);
    expect_state(&fixture, MM_UPLINK_DWELLING);
    assert_int_equal(fixture.deadline, fixture.now + 2 * S);
    complete(&fixture);
    assert_int_equal(fixture.clean_count, 1);
    assert_int_equal(fixture.opened_count, 1);
}

static void test_uplink_source_waits(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1);
    fixture.waiting = true;
    fixture.wait_deadline = SLOT_AT + 3 * S;
    reach_draining(&fixture);
    expect_state(&fixture, MM_UPLINK_DRAINING);
    assert_int_equal(fixture.deadline, SLOT_AT + 3 * S);
    uint32_t calls = fixture.next_calls;
    poll_at(&fixture, SLOT_AT + S);
    assert_int_equal(fixture.next_calls, calls + 1); // every poll asks
    // A deadline in the past must not make the owner spin.
    fixture.wait_deadline = 0;
    poll(&fixture);
    assert_int_equal(fixture.deadline, fixture.now + 1000);
    // Not beyond the session.
    fixture.wait_deadline = MM_US_NEVER;
    poll(&fixture);
    assert_int_equal(fixture.deadline, SLOT_AT + 60 * S);
    fixture.waiting = false;
    poll_at(&fixture, SLOT_AT + 20 * S);
    puback(&fixture, 0);
    assert_int_equal(fixture.deadline, SLOT_AT + 22 * S);
    complete(&fixture);
    assert_int_equal(fixture.clean_count, 1);
}

static void test_uplink_dwell_counts_from_the_last_answer(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1);
    fixture.waiting_at_end = true;
    fixture.wait_deadline = MM_US_NEVER;
    reach_draining(&fixture);
    fixture.now = SLOT_AT + 4 * S;
    puback(&fixture, 0);
    expect_state(&fixture, MM_UPLINK_DRAINING);
    // The source took its time; the retained commands have had theirs long since.
    fixture.waiting_at_end = false;
    poll_at(&fixture, SLOT_AT + 7 * S);
    expect_state(&fixture, MM_UPLINK_CLOSING);
    assert_true(fixture.last_stop_graceful);
    // Half of it has passed.
    set_up(&fixture, 0);
    fixture.waiting = true;
    fixture.wait_deadline = MM_US_NEVER;
    reach_draining(&fixture);
    fixture.waiting = false;
    poll_at(&fixture, SLOT_AT + S);
    expect_state(&fixture, MM_UPLINK_DWELLING);
    assert_int_equal(fixture.deadline, SLOT_AT + 2 * S);
}

static void test_uplink_source_that_never_ends(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 0);
    fixture.waiting = true;
    fixture.wait_deadline = MM_US_NEVER;
    reach_draining(&fixture);
    poll_at(&fixture, SLOT_AT + 60 * S - 1);
    expect_state(&fixture, MM_UPLINK_DRAINING);
    poll_at(&fixture, SLOT_AT + 60 * S);
    expect_closing_then_failed(&fixture);
}

static void test_uplink_session_deadline_cuts_the_dwell(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1);
    fixture.waiting = true;
    fixture.wait_deadline = MM_US_NEVER;
    reach_draining(&fixture);
    fixture.waiting = false;
    poll_at(&fixture, SLOT_AT + 59 * S);
    puback(&fixture, 0);
    expect_state(&fixture, MM_UPLINK_DWELLING);
    assert_int_equal(fixture.deadline, SLOT_AT + 60 * S);
    complete(&fixture);
    assert_int_equal(fixture.clean_count, 1);
}

// --- faults --------------------------------------------------------------------------------------
static void test_uplink_no_connack(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1);
    reach_connecting(&fixture);
    poll_at(&fixture, SLOT_AT + 10 * S - 1);
    expect_state(&fixture, MM_UPLINK_CONNECTING);
    poll_at(&fixture, SLOT_AT + 10 * S);
    expect_state(&fixture, MM_UPLINK_CLOSING);
    assert_int_equal(fixture.deadline, SLOT_AT + 15 * S);
    event(&fixture, MM_MQTT_CONNECTED, 0, 0); // too late
    expect_closing_then_failed(&fixture);
    assert_int_equal(fixture.opened_count, 0);
    assert_in_range(fixture.deadline - fixture.now, 30 * S, 60 * S);
    poll_at(&fixture, fixture.deadline);
    expect_state(&fixture, MM_UPLINK_WAITING_FOR_SLOT);
    assert_true(mm_uplink_wants_plan(&fixture.uplink));
    // The next session works.
    reach_draining(&fixture);
    complete(&fixture);
    assert_int_equal(fixture.closed_count, 2);
    assert_int_equal(fixture.clean_count, 1);
}

// Reason codes: MQTT 3.1.1 table 3.1, MQTT 5 table 3-1. The classes are the contract's: what passes by itself doubles
// the back-off once more than another failure, what waits for a person twice.
static void test_uplink_refused(void **state) {
    (void)state;
    static const uint8_t transient[] = {0x03, 0x88, 0x89, 0x97, 0x9F};
    static const uint8_t lasting[] = {0x01, 0x02, 0x04, 0x05, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86,
                                      0x87, 0x8A, 0x8C, 0x90, 0x95, 0x99, 0x9A, 0x9B, 0x9C, 0x9D};
    assert_int_equal(sizeof transient + sizeof lasting, 5 + 21);
    for (size_t i = 0; i < sizeof transient + sizeof lasting; i++) {
        bool is_transient = i < sizeof transient;
        fixture_t fixture;
        set_up(&fixture, 1);
        reach_connecting(&fixture);
        event(&fixture, MM_MQTT_REFUSED, 0, is_transient ? transient[i] : lasting[i - sizeof transient]);
        assert_int_equal(counted(&fixture, MM_COUNTER_SESSION_REFUSED), 1);
        expect_closing_then_failed(&fixture);
        mm_us_t base_us = is_transient ? 60 * S : 120 * S;
        assert_in_range(fixture.deadline - fixture.now, base_us, 2 * base_us);
    }
}

static void test_uplink_no_suback(void **state) {
    (void)state;
    for (uint32_t arrived = 0; arrived < 2; arrived++) {
        fixture_t fixture;
        set_up(&fixture, 1);
        reach_subscribing(&fixture);
        if (arrived == 1) {
            event(&fixture, MM_MQTT_SUBSCRIBED, fixture.subscribe_ids[0], 1);
            event(&fixture, MM_MQTT_SUBSCRIBED, fixture.subscribe_ids[0], 1); // the same twice is not two
            event(&fixture, MM_MQTT_SUBSCRIBED, 0, 1);
            event(&fixture, MM_MQTT_SUBSCRIBED, 999, 1);
        }
        poll_at(&fixture, SLOT_AT + 5 * S - 1);
        expect_state(&fixture, MM_UPLINK_SUBSCRIBING);
        poll_at(&fixture, SLOT_AT + 5 * S);
        expect_closing_then_failed(&fixture);
        assert_int_equal(fixture.publish_calls, 0);
    }
}

// MQTT 3.1.1 (0x80) and MQTT 5 table 3-8.
static void test_uplink_suback_refused_publishes_all_the_same(void **state) {
    (void)state;
    static const uint8_t codes[] = {0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2, 0xFF, 0x03};
    for (size_t i = 0; i < sizeof codes; i++) {
        fixture_t fixture;
        set_up(&fixture, 3);
        reach_subscribing(&fixture);
        event(&fixture, MM_MQTT_SUBSCRIBED, fixture.subscribe_ids[0], codes[i]);
        event(&fixture, MM_MQTT_SUBSCRIBED, fixture.subscribe_ids[1], codes[i]);
        assert_int_equal(counted(&fixture, MM_COUNTER_SUBSCRIBE_REFUSED), 2);
        complete(&fixture);
        assert_int_equal(fixture.clean_count, 1);
        assert_int_equal(confirmed_count(&fixture), 3);
    }
}

static void test_uplink_subscribe_fails(void **state) {
    (void)state;
    for (uint32_t call = 1; call <= 2; call++) {
        fixture_t fixture;
        set_up(&fixture, 1);
        fixture.subscribe_fails_at = call;
        reach_connecting(&fixture);
        event(&fixture, MM_MQTT_CONNECTED, 0, 0);
        expect_closing_then_failed(&fixture);
    }
}

static void test_uplink_puback_lost(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 5);
    reach_draining(&fixture);
    poll_at(&fixture, SLOT_AT + 3 * S);
    puback(&fixture, 0); // message 4 goes out now; 1, 2, 3 remain from the begin
    puback(&fixture, 2);
    poll_at(&fixture, SLOT_AT + 10 * S - 1);
    expect_state(&fixture, MM_UPLINK_DRAINING);
    poll_at(&fixture, SLOT_AT + 10 * S);
    assert_int_equal(counted(&fixture, MM_COUNTER_PUBACK_TIMEOUT), 2);
    expect_state(&fixture, MM_UPLINK_CLOSING);
    // Now it is too late for 1 and 3, not for 4.
    deliver(&fixture, MM_MQTT_PUBLISHED, fixture.start_session, fixture.publish_ids[1], 0);
    deliver(&fixture, MM_MQTT_PUBLISHED, fixture.start_session, fixture.publish_ids[4], 0);
    poll(&fixture);
    assert_int_equal(counted(&fixture, MM_COUNTER_PUBACK_UNKNOWN), 1);
    expect_closing_then_failed(&fixture);
    static const uint32_t expected[] = {1, 0, 1, 0, 1};
    assert_memory_equal(fixture.confirmed, expected, sizeof expected);
}

// A PUBACK that came in time counts, even if the poll that sees it is late.
static void test_uplink_puback_before_a_late_poll(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1);
    reach_draining(&fixture);
    fixture.now = SLOT_AT + 9 * S;
    deliver(&fixture, MM_MQTT_PUBLISHED, fixture.start_session, fixture.publish_ids[0], 0);
    poll_at(&fixture, SLOT_AT + 30 * S);
    assert_int_equal(confirmed_count(&fixture), 1);
    assert_int_equal(counted(&fixture, MM_COUNTER_PUBACK_TIMEOUT), 0);
}

static void test_uplink_puback_that_is_not_ours(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 2);
    reach_draining(&fixture);
    uint16_t id = fixture.publish_ids[0];
    uint32_t session = fixture.start_session;
    deliver(&fixture, MM_MQTT_PUBLISHED, session - 1, id, 0);
    deliver(&fixture, MM_MQTT_PUBLISHED, session + 1, id, 0);
    deliver(&fixture, MM_MQTT_PUBLISHED, session, 0, 0);
    deliver(&fixture, MM_MQTT_PUBLISHED, session, 999, 0);
    deliver(&fixture, MM_MQTT_PUBLISHED, session, fixture.subscribe_ids[0], 0);
    poll(&fixture);
    assert_int_equal(counted(&fixture, MM_COUNTER_PUBACK_UNKNOWN), 5);
    assert_int_equal(confirmed_count(&fixture), 0);
    // Twice before the poll, and once more after it.
    deliver(&fixture, MM_MQTT_PUBLISHED, session, id, 0);
    deliver(&fixture, MM_MQTT_PUBLISHED, session, id, 0);
    poll(&fixture);
    event(&fixture, MM_MQTT_PUBLISHED, id, 0);
    assert_int_equal(counted(&fixture, MM_COUNTER_PUBACK_UNKNOWN), 7);
    assert_int_equal(confirmed_count(&fixture), 1);
    puback(&fixture, 1);
    expect_state(&fixture, MM_UPLINK_DWELLING);
    assert_int_equal(confirmed_count(&fixture), 2);
}

static void test_uplink_packet_id_wraps(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 6);
    fixture.next_packet_id = 65532; // two subscriptions, then 65534, 65535, 1, 2, 3, 4
    reach_draining(&fixture);
    static const uint16_t expected[] = {65534, 65535, 1, 2};
    assert_memory_equal(fixture.publish_ids, expected, sizeof expected);
    puback(&fixture, 2);
    puback(&fixture, 1);
    puback(&fixture, 0);
    puback(&fixture, 3);
    complete(&fixture);
    assert_int_equal(fixture.clean_count, 1);
    assert_int_equal(confirmed_count(&fixture), 6);
}

// MQTT 5 table 3-4, and a code that it does not have.
static void test_uplink_puback_refused(void **state) {
    (void)state;
    static const uint8_t codes[] = {0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99, 0x01};
    for (size_t i = 0; i < sizeof codes; i++) {
        fixture_t fixture;
        set_up(&fixture, 5);
        reach_draining(&fixture);
        event(&fixture, MM_MQTT_PUBLISHED, fixture.publish_ids[1], codes[i]);
        assert_int_equal(counted(&fixture, MM_COUNTER_PUBLISH_REFUSED), 1);
        assert_int_equal(fixture.publish_calls, 5);                    // its place goes to the next one
        event(&fixture, MM_MQTT_PUBLISHED, fixture.publish_ids[1], 0); // not after all
        assert_int_equal(counted(&fixture, MM_COUNTER_PUBACK_UNKNOWN), 1);
        fixture.may_confirm[1] = false;
        complete(&fixture);
        static const uint32_t expected[] = {1, 0, 1, 1, 1};
        assert_memory_equal(fixture.confirmed, expected, sizeof expected);
        expect_failed_once(&fixture);
        assert_true(fixture.last_stop_graceful);
    }
}

static void test_uplink_publish_fails(void **state) {
    (void)state;
    for (uint32_t call = 1; call <= 7; call++) {
        fixture_t fixture;
        set_up(&fixture, 7);
        fixture.publish_fails_at = call;
        reach_draining(&fixture);
        for (uint32_t i = 0; i + 1 < call && fixture.uplink.state == MM_UPLINK_DRAINING; i++) {
            puback(&fixture, i);
        }
        expect_closing_then_failed(&fixture);
        assert_int_equal(confirmed_count(&fixture), call <= 4 ? 0 : call - 4);
    }
}

// A session of three messages as a list of events; the connection ends before each of them.
static void test_uplink_connection_ends_at_each_point(void **state) {
    (void)state;
    static const mm_mqtt_event_kind_t ends[] = {MM_MQTT_DISCONNECTED, MM_MQTT_ERROR};
    for (size_t end = 0; end < 2; end++) {
        for (uint32_t point = 0; point <= 6; point++) {
            fixture_t fixture;
            set_up(&fixture, 3);
            reach_connecting(&fixture);
            uint32_t done = 0;
            if (done++ < point) {
                event(&fixture, MM_MQTT_CONNECTED, 0, 0);
            }
            for (uint32_t i = 0; i < 2 && done < point; i++, done++) {
                event(&fixture, MM_MQTT_SUBSCRIBED, fixture.subscribe_ids[i], 1);
            }
            for (uint32_t i = 0; i < 3 && done < point; i++, done++) {
                puback(&fixture, i);
            }
            uint32_t stop_calls = fixture.stop_calls;
            event(&fixture, ends[end], 0, 0);
            assert_int_equal(fixture.stop_calls, stop_calls + 1); // nothing may reconnect behind our back
            assert_int_equal(confirmed_count(&fixture), point > 3 ? point - 3 : 0);
            if (point % 2 == 0) {
                expect_closing_then_failed(&fixture);
            } else { // the port says nothing more
                expect_state(&fixture, MM_UPLINK_CLOSING);
                poll_at(&fixture, fixture.now + 5 * S - 1);
                expect_state(&fixture, MM_UPLINK_CLOSING);
                poll_at(&fixture, fixture.now + 1);
                expect_failed_once(&fixture);
            }
        }
    }
}

static void test_uplink_second_connack_is_another_connection(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 3);
    reach_draining(&fixture);
    event(&fixture, MM_MQTT_CONNECTED, 0, 0);
    expect_closing_then_failed(&fixture);
}

static void test_uplink_polite_end_takes_too_long(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 0);
    reach_draining(&fixture);
    poll_at(&fixture, fixture.deadline);
    assert_true(fixture.last_stop_graceful);
    event(&fixture, MM_MQTT_ERROR, 0, 0); // not the end: that is DISCONNECTED, when everything is released
    event(&fixture, MM_MQTT_REFUSED, 0, 5);
    expect_state(&fixture, MM_UPLINK_CLOSING);
    poll_at(&fixture, fixture.now + 5 * S);
    expect_state(&fixture, MM_UPLINK_WAITING_FOR_SLOT);
    assert_false(fixture.last_stop_graceful); // dropped
    assert_int_equal(fixture.stop_calls, 2);
    assert_int_equal(fixture.clean_count, 1); // everything was confirmed
}

static void test_uplink_port_busy_for_a_while(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1);
    fixture.start_result = MM_ERR_BUSY;
    mm_uplink_start(&fixture.uplink, true, 0);
    assert_true(mm_uplink_plan_session(&fixture.uplink, SLOT_AT));
    poll_at(&fixture, SLOT_AT);
    while (fixture.now < SLOT_AT + 4 * S) {
        expect_state(&fixture, MM_UPLINK_WAITING_FOR_SLOT);
        assert_false(mm_uplink_wants_plan(&fixture.uplink));
        assert_false(mm_uplink_plan_session(&fixture.uplink, 2 * SLOT_AT)); // too late for another plan
        assert_in_range(fixture.deadline, fixture.now + 1, fixture.now + S);
        poll_at(&fixture, fixture.deadline);
    }
    fixture.start_result = MM_OK;
    poll_at(&fixture, fixture.deadline);
    expect_state(&fixture, MM_UPLINK_CONNECTING);
    event(&fixture, MM_MQTT_CONNECTED, 0, 0);
    event(&fixture, MM_MQTT_SUBSCRIBED, fixture.subscribe_ids[0], 1);
    event(&fixture, MM_MQTT_SUBSCRIBED, fixture.subscribe_ids[1], 1);
    complete(&fixture);
    assert_int_equal(fixture.closed_count, 1);
    assert_int_equal(fixture.clean_count, 1);
}

static void test_uplink_port_does_not_start(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        bool busy = i == 0;
        fixture_t fixture;
        set_up(&fixture, 1);
        fixture.start_result = busy ? MM_ERR_BUSY : MM_ERR_UNAVAILABLE;
        mm_uplink_start(&fixture.uplink, true, 0);
        assert_true(mm_uplink_plan_session(&fixture.uplink, SLOT_AT));
        poll_at(&fixture, SLOT_AT);
        while (fixture.uplink.state == MM_UPLINK_WAITING_FOR_SLOT && fixture.now < SLOT_AT + 100 * S) {
            poll_at(&fixture, fixture.deadline);
        }
        assert_int_equal(fixture.now, busy ? SLOT_AT + 5 * S : SLOT_AT);
        assert_in_range(fixture.start_calls, 1, 17);
        expect_failed_once(&fixture);
        assert_int_equal(fixture.stop_calls, 0); // nothing to stop
    }
}

static void test_uplink_router_lost_while_the_port_is_busy(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1);
    fixture.start_result = MM_ERR_BUSY;
    mm_uplink_start(&fixture.uplink, true, 0);
    assert_true(mm_uplink_plan_session(&fixture.uplink, SLOT_AT));
    poll_at(&fixture, SLOT_AT);
    mm_uplink_set_router(&fixture.uplink, false, fixture.now);
    assert_int_equal(fixture.closed_count, 1); // it had come due
    assert_int_equal(fixture.stop_calls, 0);
    assert_int_equal(fixture.clean_count, 0);
    // Planned and not due: nothing to close.
    set_up(&fixture, 1);
    mm_uplink_start(&fixture.uplink, true, 0);
    assert_true(mm_uplink_plan_session(&fixture.uplink, SLOT_AT));
    mm_uplink_set_router(&fixture.uplink, false, fixture.now);
    assert_int_equal(fixture.closed_count, 0);
    assert_int_equal(counted(&fixture, MM_COUNTER_SESSION_FAILED), 0);
}

// Fail sessions in a row: 30, 60, 120 … s, in [base, 2 * base], at most 3600 s with jitter; a clean session starts
// again.
static void test_uplink_back_off_doubles_and_resets(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 0);
    mm_us_t base_us = 30 * S;
    uint32_t distinct = 0;
    mm_us_t last_us = 0;
    for (uint32_t i = 0; i < 300; i++) {
        reach_connecting(&fixture);
        event(&fixture, MM_MQTT_ERROR, 0, 0);
        event(&fixture, MM_MQTT_DISCONNECTED, 0, 0);
        expect_state(&fixture, MM_UPLINK_BACKING_OFF);
        mm_us_t wait_us = fixture.deadline - fixture.now;
        assert_in_range(wait_us, base_us, 2 * base_us);
        distinct += wait_us != last_us ? 1 : 0;
        last_us = wait_us;
        base_us = base_us * 2 < 1800 * S ? base_us * 2 : 1800 * S;
        poll_at(&fixture, fixture.deadline - 1);
        expect_state(&fixture, MM_UPLINK_BACKING_OFF);
        poll_at(&fixture, fixture.deadline);
    }
    assert_int_equal(distinct, 300); // jitter also at the cap
    reach_draining(&fixture);
    complete(&fixture);
    expect_state(&fixture, MM_UPLINK_WAITING_FOR_SLOT);
    reach_connecting(&fixture);
    event(&fixture, MM_MQTT_ERROR, 0, 0);
    event(&fixture, MM_MQTT_DISCONNECTED, 0, 0);
    assert_in_range(fixture.deadline - fixture.now, 30 * S, 60 * S);
}

static void test_uplink_back_off_uses_the_whole_range(void **state) {
    (void)state;
    uint32_t quarters[4] = {0};
    for (uint64_t seed = 0; seed < 400; seed++) {
        fixture_t fixture;
        set_up(&fixture, 0);
        fixture.uplink.random = mm_random(seed);
        reach_connecting(&fixture);
        event(&fixture, MM_MQTT_ERROR, 0, 0);
        event(&fixture, MM_MQTT_DISCONNECTED, 0, 0);
        mm_us_t jitter_us = fixture.deadline - fixture.now - 30 * S;
        assert_in_range(jitter_us, 0, 30 * S);
        quarters[jitter_us * 4 / (30 * S + 1)]++;
    }
    for (uint32_t i = 0; i < 4; i++) {
        assert_in_range(quarters[i], 60, 140); // 100 expected, sigma 8.7
    }
}

static void test_uplink_session_number_wraps(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 0);
    fixture.uplink.session = UINT32_MAX - 1;
    reach_draining(&fixture);
    complete(&fixture);
    assert_int_equal(fixture.start_session, UINT32_MAX);
    reach_draining(&fixture);
    complete(&fixture);
    assert_int_equal(fixture.start_session, 1);
    assert_int_equal(fixture.clean_count, 2);
}

static void test_uplink_topics(void **state) {
    (void)state;
    mm_uplink_topics_t topics;
    assert_int_equal(mm_uplink_topics("a", &topics), MM_OK);
    assert_string_equal(topics.info_topic, "meter/a/info");
    assert_string_equal(topics.ack_topic, "meter/a/ack");
    assert_string_equal(topics.command_topic, "meter/a/cmd");
    assert_int_equal(mm_uplink_topics("abcdefghijklmnop-012345", &topics), MM_OK); // 23
    assert_string_equal(topics.info_topic, "meter/abcdefghijklmnop-012345/info");
    mm_uplink_topics_t before = topics;
    static const char *const bad[] = {
        "",    "abcdefghijklmnop-0123456", "A", "a/b", "a b", "#", "+", "a_b", "a{", "\xc3\xa4",
        "a\n", "abcdefghijklmnop-01234/"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(mm_uplink_topics(bad[i], &topics), MM_ERR_ARG);
    }
    assert_memory_equal(&topics, &before, sizeof topics);
    static const char unterminated[24] = "abcdefghijklmnop-0123456"; // fills the array: no zero at the end
    assert_int_equal(mm_uplink_topics(unterminated, &topics), MM_ERR_ARG);
}

static void test_uplink_names_and_assertions(void **state) {
    (void)state;
    for (unsigned i = 0; i < MM_UPLINK_STATE_COUNT; i++) {
        assert_true(strlen(mm_uplink_state_name((mm_uplink_state_t)i)) > 3);
    }
    assert_string_equal(mm_uplink_state_name(MM_UPLINK_STATE_COUNT), "unknown");
    fixture_t fixture;
    set_up(&fixture, 0);
    fixture.uplink.state = MM_UPLINK_STATE_COUNT;
    expect_assert_failure(mm_uplink_poll(&fixture.uplink, 0));
    expect_assert_failure(mm_uplink_stop(&fixture.uplink, 0));
    mm_uplink_timing_t broken = timing;
    broken.close_us = 0;
    expect_assert_failure(mm_uplink_init(&fixture.uplink, &fixture.mqtt, &fixture.uplink.source, &broken,
                                         &fixture.topics, &fixture.counters, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uplink_happy_path),
        cmocka_unit_test(test_uplink_sends_20_at_most),
        cmocka_unit_test(test_uplink_nothing_to_send_dwells),
        cmocka_unit_test(test_uplink_source_waits),
        cmocka_unit_test(test_uplink_dwell_counts_from_the_last_answer),
        cmocka_unit_test(test_uplink_source_that_never_ends),
        cmocka_unit_test(test_uplink_session_deadline_cuts_the_dwell),
        cmocka_unit_test(test_uplink_no_connack),
        cmocka_unit_test(test_uplink_refused),
        cmocka_unit_test(test_uplink_no_suback),
        cmocka_unit_test(test_uplink_suback_refused_publishes_all_the_same),
        cmocka_unit_test(test_uplink_subscribe_fails),
        cmocka_unit_test(test_uplink_puback_lost),
        cmocka_unit_test(test_uplink_puback_before_a_late_poll),
        cmocka_unit_test(test_uplink_puback_that_is_not_ours),
        cmocka_unit_test(test_uplink_packet_id_wraps),
        cmocka_unit_test(test_uplink_puback_refused),
        cmocka_unit_test(test_uplink_publish_fails),
        cmocka_unit_test(test_uplink_connection_ends_at_each_point),
        cmocka_unit_test(test_uplink_second_connack_is_another_connection),
        cmocka_unit_test(test_uplink_polite_end_takes_too_long),
        cmocka_unit_test(test_uplink_port_busy_for_a_while),
        cmocka_unit_test(test_uplink_port_does_not_start),
        cmocka_unit_test(test_uplink_router_lost_while_the_port_is_busy),
        cmocka_unit_test(test_uplink_back_off_doubles_and_resets),
        cmocka_unit_test(test_uplink_back_off_uses_the_whole_range),
        cmocka_unit_test(test_uplink_session_number_wraps),
        cmocka_unit_test(test_uplink_topics),
        cmocka_unit_test(test_uplink_names_and_assertions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
