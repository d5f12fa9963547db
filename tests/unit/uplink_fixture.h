// SPDX-License-Identifier: Apache-2.0
#ifndef MM_UPLINK_FIXTURE_H
#define MM_UPLINK_FIXTURE_H

#include <string.h>

#include "meshmeter/uplink.h"
#include "test_support.h"

#define S MM_US_PER_S
#define SLOT_AT (100 * S)
#define TOKEN_BASE 1000
#define MESSAGES_MAX 64

static const mm_uplink_timing_t timing = {
    .connect_us = 10 * S,
    .subscribe_us = 5 * S,
    .publish_us = 10 * S,
    .dwell_us = 2 * S,
    .close_us = 5 * S,
    .session_us = 60 * S,
    .back_off_us = 30 * S,
    .back_off_max_us = 3600 * S,
};

/// An uplink between a port and a source that only do what the test says.
typedef struct {
    mm_uplink_t uplink;
    mm_counters_t counters;
    mm_uplink_topics_t topics;
    mm_mqtt_t mqtt;
    mm_us_t now;
    mm_us_t deadline; // as the last poll said
    // Port.
    mm_err_t start_result;
    uint32_t start_calls;
    uint32_t start_session;      // of the last call
    bool running;                // started and not stopped
    uint32_t subscribe_fails_at; // 1 = first call; 0 = never
    uint32_t subscribe_calls;
    uint16_t subscribe_ids[2];
    uint32_t publish_fails_at;
    uint32_t publish_calls;
    uint16_t publish_ids[MESSAGES_MAX]; // by message
    uint8_t published[MESSAGES_MAX];    // payload
    uint16_t next_packet_id;
    uint32_t stop_calls;
    bool last_stop_graceful;
    // Source.
    uint32_t message_count; // to be offered before EMPTY
    uint32_t offered;
    uint8_t last_messages_left;
    bool waiting;        // WAIT instead of anything else
    bool waiting_at_end; // WAIT instead of EMPTY
    mm_us_t wait_deadline;
    uint32_t next_calls;
    uint8_t payload[1];
    uint32_t opened_count;
    uint32_t closed_count;
    uint32_t clean_count;
    uint32_t confirmed[MESSAGES_MAX]; // times, by message
    bool may_confirm[MESSAGES_MAX];   // its own PUBACK was delivered
    bool in_session;                  // between successful start and closed
    bool came_due;                    // between any start and closed
} fixture_t;

// --- the port ------------------------------------------------------------------------------------
static inline mm_err_t port_start(void *context, uint32_t session) {
    fixture_t *fixture = context;
    assert_false(fixture->running); // the last session was stopped, whatever happened in it
    assert_int_not_equal(session, 0);
    assert_int_not_equal(session, fixture->start_session);
    fixture->start_calls++;
    fixture->start_session = session;
    fixture->came_due = true;
    if (fixture->start_result == MM_OK) {
        fixture->running = true;
        assert_false(fixture->in_session);
        fixture->in_session = true;
        fixture->subscribe_calls = 0;
        fixture->publish_calls = 0;
        fixture->offered = 0;
        fixture->opened_count = 0;
        memset(fixture->confirmed, 0, sizeof fixture->confirmed);
        memset(fixture->may_confirm, 0, sizeof fixture->may_confirm);
    }
    return fixture->start_result;
}

static inline uint16_t take_packet_id(fixture_t *fixture) {
    uint16_t id = fixture->next_packet_id++;
    if (fixture->next_packet_id == 0) {
        fixture->next_packet_id = 1;
    }
    return id;
}

static inline mm_err_t port_subscribe(void *context, const char *topic, uint8_t qos, uint16_t *packet_id) {
    fixture_t *fixture = context;
    assert_true(fixture->running);
    assert_int_equal(qos, 1);
    assert_true(fixture->subscribe_calls < 2);
    assert_string_equal(topic, fixture->subscribe_calls == 0 ? "meter/haus-7/ack" : "meter/haus-7/cmd");
    if (++fixture->subscribe_calls == fixture->subscribe_fails_at) {
        return MM_ERR_UNAVAILABLE;
    }
    *packet_id = take_packet_id(fixture);
    fixture->subscribe_ids[fixture->subscribe_calls - 1] = *packet_id;
    return MM_OK;
}

static inline mm_err_t port_publish(void *context, const char *topic, const void *bytes, size_t bytes_count,
                                    uint16_t *packet_id) {
    fixture_t *fixture = context;
    assert_true(fixture->running);
    assert_string_equal(topic, "meter/haus-7/info");
    assert_int_equal(bytes_count, 1);
    uint32_t message = fixture->publish_calls++;
    assert_true(message < MM_SESSION_MESSAGES_MAX);
    if (fixture->publish_calls == fixture->publish_fails_at) {
        return MM_ERR_UNAVAILABLE;
    }
    memcpy(&fixture->published[message], bytes, 1);
    *packet_id = take_packet_id(fixture);
    fixture->publish_ids[message] = *packet_id;
    return MM_OK;
}

static inline void port_stop(void *context, bool graceful) {
    fixture_t *fixture = context;
    fixture->stop_calls++;
    fixture->last_stop_graceful = graceful;
    fixture->running = false;
}

// --- the source ----------------------------------------------------------------------------------
static inline void source_opened(void *context, mm_us_t now) {
    fixture_t *fixture = context;
    assert_int_equal(now, fixture->now);
    assert_true(fixture->in_session);
    assert_int_equal(fixture->opened_count, 0);
    fixture->opened_count++;
}

static inline mm_uplink_offer_t source_next(void *context, uint8_t messages_left, mm_us_t now, const uint8_t **bytes,
                                            size_t *bytes_count, uint32_t *token, mm_us_t *deadline) {
    fixture_t *fixture = context;
    assert_int_equal(now, fixture->now);
    assert_int_equal(fixture->opened_count, 1);
    assert_int_equal(messages_left, MM_SESSION_MESSAGES_MAX - fixture->publish_calls);
    assert_true(messages_left > 0);
    fixture->next_calls++;
    fixture->last_messages_left = messages_left;
    if (fixture->waiting || (fixture->waiting_at_end && fixture->offered == fixture->message_count)) {
        *deadline = fixture->wait_deadline;
        return MM_UPLINK_SOURCE_WAIT;
    }
    if (fixture->offered == fixture->message_count) {
        return MM_UPLINK_SOURCE_EMPTY;
    }
    fixture->payload[0] = (uint8_t)(fixture->offered + 1);
    *bytes = fixture->payload;
    *bytes_count = 1;
    *token = TOKEN_BASE + fixture->offered++;
    return MM_UPLINK_SOURCE_MESSAGE;
}

static inline void source_confirmed(void *context, uint32_t token, mm_us_t now) {
    fixture_t *fixture = context;
    assert_int_equal(now, fixture->now);
    assert_true(fixture->in_session);
    assert_in_range(token, TOKEN_BASE, TOKEN_BASE + MESSAGES_MAX - 1);
    assert_true(fixture->may_confirm[token - TOKEN_BASE]);
    assert_int_equal(fixture->confirmed[token - TOKEN_BASE]++, 0);
}

static inline void source_closed(void *context, bool clean, mm_us_t now) {
    fixture_t *fixture = context;
    assert_int_equal(now, fixture->now);
    assert_true(fixture->came_due);
    fixture->came_due = false;
    fixture->in_session = false;
    fixture->closed_count++;
    fixture->clean_count += clean ? 1 : 0;
    for (uint32_t i = 0; i < fixture->offered && clean; i++) {
        assert_int_equal(fixture->confirmed[i], 1);
    }
}

// --- driving it ----------------------------------------------------------------------------------
static inline void set_up(fixture_t *fixture, uint32_t message_count) {
    memset(fixture, 0, sizeof *fixture);
    fixture->mqtt = (mm_mqtt_t){.start = port_start,
                                .subscribe = port_subscribe,
                                .publish = port_publish,
                                .stop = port_stop,
                                .context = fixture};
    fixture->next_packet_id = 1;
    fixture->message_count = message_count;
    const mm_uplink_source_t source = {.opened = source_opened,
                                       .next = source_next,
                                       .confirmed = source_confirmed,
                                       .closed = source_closed,
                                       .context = fixture};
    assert_int_equal(mm_uplink_topics("haus-7", &fixture->topics), MM_OK);
    mm_uplink_init(&fixture->uplink, &fixture->mqtt, &source, &timing, &fixture->topics, &fixture->counters, 42);
}

static inline void poll(fixture_t *fixture) {
    fixture->deadline = mm_uplink_poll(&fixture->uplink, fixture->now);
}

static inline void poll_at(fixture_t *fixture, mm_us_t now) {
    fixture->now = now;
    poll(fixture);
}

// Delivers without a poll. The session, so that stale events can be made.
static inline void deliver(fixture_t *fixture, mm_mqtt_event_kind_t kind, uint32_t session, uint16_t packet_id,
                           uint8_t reason) {
    if (kind == MM_MQTT_PUBLISHED && session == fixture->start_session && fixture->in_session && reason == 0) {
        for (uint32_t i = 0; i < fixture->publish_calls; i++) {
            fixture->may_confirm[i] =
                fixture->may_confirm[i] || (packet_id != 0 && fixture->publish_ids[i] == packet_id);
        }
    }
    const mm_mqtt_event_t event = {.kind = kind, .session = session, .packet_id = packet_id, .reason = reason};
    mm_uplink_on_mqtt(&fixture->uplink, &event, fixture->now);
}

static inline void event(fixture_t *fixture, mm_mqtt_event_kind_t kind, uint16_t packet_id, uint8_t reason) {
    deliver(fixture, kind, fixture->start_session, packet_id, reason);
    poll(fixture);
}

static inline void puback(fixture_t *fixture, uint32_t message) {
    event(fixture, MM_MQTT_PUBLISHED, fixture->publish_ids[message], 0);
}

static inline void expect_state(const fixture_t *fixture, mm_uplink_state_t state) {
    assert_string_equal(mm_uplink_state_name(fixture->uplink.state), mm_uplink_state_name(state));
}

static inline uint32_t counted(const fixture_t *fixture, mm_counter_t counter) {
    return fixture->counters.values[counter];
}

static inline uint32_t confirmed_count(const fixture_t *fixture) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < MESSAGES_MAX; i++) {
        count += fixture->confirmed[i];
    }
    return count;
}

static inline void reach_connecting(fixture_t *fixture) {
    if (fixture->uplink.state == MM_UPLINK_STOPPED) {
        mm_uplink_start(&fixture->uplink, true, fixture->now);
    }
    mm_us_t at = fixture->now < SLOT_AT ? SLOT_AT : fixture->now;
    assert_true(mm_uplink_plan_session(&fixture->uplink, at));
    poll_at(fixture, at);
    expect_state(fixture, MM_UPLINK_CONNECTING);
}

static inline void reach_subscribing(fixture_t *fixture) {
    reach_connecting(fixture);
    event(fixture, MM_MQTT_CONNECTED, 0, 0);
    expect_state(fixture, MM_UPLINK_SUBSCRIBING);
}

static inline void reach_draining(fixture_t *fixture) {
    reach_subscribing(fixture);
    event(fixture, MM_MQTT_SUBSCRIBED, fixture->subscribe_ids[0], 1);
    event(fixture, MM_MQTT_SUBSCRIBED, fixture->subscribe_ids[1], 1);
}

// From DRAINING with everything answered at once to the end.
static inline void complete(fixture_t *fixture) {
    for (uint32_t i = 0; i < fixture->publish_calls; i++) {
        puback(fixture, i);
    }
    expect_state(fixture, MM_UPLINK_DWELLING);
    poll_at(fixture, fixture->deadline);
    expect_state(fixture, MM_UPLINK_CLOSING);
    event(fixture, MM_MQTT_DISCONNECTED, 0, 0);
}

#endif
