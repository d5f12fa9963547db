// SPDX-License-Identifier: Apache-2.0
// A session that has something to send after all: DWELLING -> DRAINING, within the same messages and the same time.
#include "meshmeter/uplink.h"

#include "uplink_fixture.h"

static bool resume(fixture_t *fixture, uint32_t more) {
    fixture->message_count += more;
    return mm_uplink_resume(&fixture->uplink, fixture->now);
}

static void reach_dwelling(fixture_t *fixture, uint32_t message_count) {
    set_up(fixture, message_count);
    reach_draining(fixture);
    for (uint32_t i = 0; i < message_count; i++) {
        puback(fixture, i);
    }
    expect_state(fixture, MM_UPLINK_DWELLING);
}

static void test_resume_sends_and_dwells_again(void **state) {
    (void)state;
    fixture_t fixture;
    reach_dwelling(&fixture, 2);
    fixture.now += S;
    assert_true(resume(&fixture, 2));
    expect_state(&fixture, MM_UPLINK_DRAINING);
    poll(&fixture);
    assert_int_equal(fixture.publish_calls, 4);
    assert_int_equal(fixture.last_messages_left, MM_SESSION_MESSAGES_MAX - 4);
    assert_int_equal(fixture.opened_count, 1);
    fixture.now += S;
    puback(&fixture, 2);
    expect_state(&fixture, MM_UPLINK_DRAINING);
    puback(&fixture, 3);
    expect_state(&fixture, MM_UPLINK_DWELLING);
    assert_int_equal(fixture.deadline, fixture.now + timing.dwell_us);
    poll_at(&fixture, fixture.deadline);
    expect_state(&fixture, MM_UPLINK_CLOSING);
    assert_true(fixture.last_stop_graceful);
    event(&fixture, MM_MQTT_DISCONNECTED, 0, 0);
    assert_int_equal(fixture.clean_count, 1);
    assert_int_equal(confirmed_count(&fixture), 4);
}

static void test_resume_with_nothing_dwells_again(void **state) {
    (void)state;
    fixture_t fixture;
    reach_dwelling(&fixture, 1);
    fixture.now = fixture.deadline - 1;
    assert_true(resume(&fixture, 0));
    poll(&fixture);
    expect_state(&fixture, MM_UPLINK_DWELLING);
    assert_int_equal(fixture.deadline, fixture.now + timing.dwell_us);
}

static void test_resume_a_source_that_was_empty_while_a_puback_is_missing(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1);
    reach_draining(&fixture);
    expect_state(&fixture, MM_UPLINK_DRAINING);
    assert_int_equal(fixture.publish_calls, 1);
    uint32_t next_calls = fixture.next_calls;
    poll(&fixture);
    assert_int_equal(fixture.next_calls, next_calls); // it said EMPTY
    assert_true(resume(&fixture, 1));
    poll(&fixture);
    assert_int_equal(fixture.publish_calls, 2);
    complete(&fixture);
    assert_int_equal(fixture.clean_count, 1);
}

static void test_resume_not_behind_the_last_message(void **state) {
    (void)state;
    for (uint32_t used = MM_SESSION_MESSAGES_MAX - 1; used <= MM_SESSION_MESSAGES_MAX; used++) {
        fixture_t fixture;
        reach_dwelling(&fixture, used);
        mm_us_t deadline = fixture.deadline;
        assert_int_equal(resume(&fixture, 5), used < MM_SESSION_MESSAGES_MAX);
        poll(&fixture);
        assert_int_equal(fixture.publish_calls, MM_SESSION_MESSAGES_MAX);
        if (used == MM_SESSION_MESSAGES_MAX) {
            expect_state(&fixture, MM_UPLINK_DWELLING);
            assert_int_equal(fixture.deadline, deadline);
            continue;
        }
        // The last one is out: now it is refused in DRAINING as well.
        expect_state(&fixture, MM_UPLINK_DRAINING);
        assert_false(resume(&fixture, 0));
        puback(&fixture, MM_SESSION_MESSAGES_MAX - 1);
        expect_state(&fixture, MM_UPLINK_DWELLING);
        assert_false(resume(&fixture, 0));
    }
}

// Somebody who has news every second keeps the session open for session_us and no longer.
static void test_resume_does_not_prolong_the_session(void **state) {
    (void)state;
    fixture_t fixture;
    reach_dwelling(&fixture, 1);
    uint32_t resumes = 0;
    while (fixture.uplink.state == MM_UPLINK_DWELLING) {
        fixture.now += S;
        resumes += resume(&fixture, 0) ? 1 : 0;
        poll(&fixture);
        assert_true(fixture.now <= SLOT_AT + timing.session_us);
    }
    expect_state(&fixture, MM_UPLINK_CLOSING);
    assert_int_equal(fixture.now, SLOT_AT + timing.session_us);
    assert_int_equal(resumes, timing.session_us / S - 1);
    assert_true(fixture.last_stop_graceful);
}

// Collecting for a resumed session is bounded like the first time.
static void test_resume_source_that_waits_for_ever(void **state) {
    (void)state;
    fixture_t fixture;
    reach_dwelling(&fixture, 1);
    fixture.waiting = true;
    fixture.wait_deadline = MM_US_NEVER;
    assert_true(resume(&fixture, 1));
    poll(&fixture);
    expect_state(&fixture, MM_UPLINK_DRAINING);
    assert_int_equal(fixture.deadline, SLOT_AT + timing.session_us);
    poll_at(&fixture, fixture.deadline);
    expect_state(&fixture, MM_UPLINK_CLOSING);
    event(&fixture, MM_MQTT_DISCONNECTED, 0, 0);
    assert_int_equal(fixture.clean_count, 0);
    assert_int_equal(counted(&fixture, MM_COUNTER_SESSION_FAILED), 1);
    // What was confirmed before stays confirmed.
    assert_int_equal(confirmed_count(&fixture), 1);
}

static void test_resume_that_fails_spoils_the_session(void **state) {
    (void)state;
    fixture_t fixture;
    reach_dwelling(&fixture, 1);
    assert_true(resume(&fixture, 1));
    poll(&fixture);
    event(&fixture, MM_MQTT_PUBLISHED, fixture.publish_ids[1], 0x97);
    expect_state(&fixture, MM_UPLINK_DWELLING);
    poll_at(&fixture, fixture.deadline);
    event(&fixture, MM_MQTT_DISCONNECTED, 0, 0);
    assert_int_equal(fixture.clean_count, 0);
    expect_state(&fixture, MM_UPLINK_BACKING_OFF);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume_sends_and_dwells_again),
        cmocka_unit_test(test_resume_with_nothing_dwells_again),
        cmocka_unit_test(test_resume_a_source_that_was_empty_while_a_puback_is_missing),
        cmocka_unit_test(test_resume_not_behind_the_last_message),
        cmocka_unit_test(test_resume_does_not_prolong_the_session),
        cmocka_unit_test(test_resume_source_that_waits_for_ever),
        cmocka_unit_test(test_resume_that_fails_spoils_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
