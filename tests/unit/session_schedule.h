// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SESSION_SCHEDULE_H
#define MM_SESSION_SCHEDULE_H

#include <string.h>

#include "meshmeter/uplink.h"

/// Every way in which the packets of one session with SESSION_MESSAGES messages can go wrong, and after each a session
/// in which nothing goes wrong. The world is a list of events in time; the second session uses the packet ids of the
/// first one again. What must never happen asserts.

#ifndef SESSION_MESSAGES
#define SESSION_MESSAGES 3
#endif

#define MS ((mm_us_t)1000)
#define S MM_US_PER_S
#define QUEUE_MAX 40

static const mm_uplink_timing_t session_timing = {
    .connect_us = 10 * S,
    .subscribe_us = 5 * S,
    .publish_us = 10 * S,
    .dwell_us = 2 * S,
    .close_us = 5 * S,
    .session_us = 60 * S,
    .back_off_us = 30 * S,
    .back_off_max_us = 3600 * S,
};

// The answers that a session waits for, in the order in which they are asked for.
typedef enum {
    ANSWER_CONNACK,
    ANSWER_SUBACK_1,
    ANSWER_SUBACK_2,
    ANSWER_PUBACK_1,
    ANSWER_DISCONNECTED = ANSWER_PUBACK_1 + SESSION_MESSAGES,
    ANSWER_COUNT
} answer_t;

// What becomes of an answer.
typedef enum {
    FATE_ON_TIME,
    FATE_LOST,
    FATE_TWICE,
    FATE_DELAYED,      // behind others, before its deadline
    FATE_LATE,         // behind its deadline
    FATE_NEXT_SESSION, // in the middle of the next session
    FATE_COUNT
} fate_t;

typedef struct {
    mm_us_t at;
    mm_mqtt_event_t event;
    bool used;
} queued_t;

typedef struct {
    mm_uplink_t uplink;
    mm_counters_t counters;
    mm_uplink_topics_t topics;
    mm_mqtt_t mqtt;
    mm_us_t now;
    queued_t queue[QUEUE_MAX];
    // The schedule.
    fate_t fates[ANSWER_COUNT];
    uint32_t ends_at; // the connection ends when this answer is due; ANSWER_COUNT = it does not
    bool connection_ended;
    mm_mqtt_event_t stale[ANSWER_COUNT]; // for the next session
    uint32_t stale_count;
    // The session.
    uint32_t sessions;
    uint32_t session;
    mm_us_t started_at;
    bool running; // between start and closed
    uint32_t subscriptions;
    uint32_t published;
    mm_us_t published_at[SESSION_MESSAGES];
    bool must_confirm[SESSION_MESSAGES]; // its own PUBACK came in time
    bool may_confirm[SESSION_MESSAGES];  // its own PUBACK came while the session lasted
    uint32_t confirmed[SESSION_MESSAGES];
    uint32_t offered;
    uint8_t payload;
    uint32_t closed;
    bool clean;
    uint32_t lost;     // confirmed in time by the broker, or a clean session, and the source was not told
    uint32_t unearned; // the source was told without a confirmation, or twice
} session_world_t;

static inline void enqueue(session_world_t *world, mm_us_t at, const mm_mqtt_event_t *event) {
    for (size_t i = 0; i < QUEUE_MAX; i++) {
        if (!world->queue[i].used) {
            world->queue[i] = (queued_t){.at = at, .event = *event, .used = true};
            return;
        }
    }
    MM_ASSERT(false); // queue too short
}

// The broker or the port answers; in the first session as the schedule says.
static inline void give_answer(session_world_t *world, answer_t answer, mm_mqtt_event_kind_t kind, uint16_t packet_id) {
    mm_mqtt_event_t event = {
        .kind = kind, .session = world->session, .packet_id = packet_id, .reason = kind == MM_MQTT_SUBSCRIBED};
    if (world->sessions > 1) {
        enqueue(world, world->now + 50 * MS, &event);
        return;
    }
    if (world->connection_ended && answer != ANSWER_DISCONNECTED) {
        return;
    }
    if (world->ends_at == (uint32_t)answer) {
        world->connection_ended = true;
        const mm_mqtt_event_t end = {.kind = MM_MQTT_DISCONNECTED, .session = world->session};
        enqueue(world, world->now + 50 * MS, &end);
        return;
    }
    switch (world->fates[answer]) {
    case FATE_ON_TIME:
        enqueue(world, world->now + 50 * MS, &event);
        break;
    case FATE_TWICE:
        enqueue(world, world->now + 50 * MS, &event);
        enqueue(world, world->now + 60 * MS, &event);
        break;
    case FATE_DELAYED:
        enqueue(world, world->now + 3 * S, &event);
        break;
    case FATE_LATE:
        enqueue(world, world->now + 12 * S, &event);
        break;
    case FATE_NEXT_SESSION:
        MM_ASSERT(world->stale_count < ANSWER_COUNT);
        world->stale[world->stale_count++] = event;
        break;
    case FATE_LOST:
    case FATE_COUNT:
    default:
        break;
    }
}

static inline mm_err_t port_start(void *context, uint32_t session) {
    session_world_t *world = context;
    MM_ASSERT(!world->running);
    world->sessions++;
    world->session = session;
    world->running = true;
    world->started_at = world->now;
    world->subscriptions = 0;
    world->published = 0;
    world->offered = 0;
    memset(world->must_confirm, 0, sizeof world->must_confirm);
    memset(world->may_confirm, 0, sizeof world->may_confirm);
    memset(world->confirmed, 0, sizeof world->confirmed);
    give_answer(world, ANSWER_CONNACK, MM_MQTT_CONNECTED, 0);
    if (world->sessions == 2) {
        // Spread over connecting (to 50 ms), subscribing (to 100 ms), draining (to 150 ms) and dwelling.
        for (uint32_t i = 0; i < world->stale_count; i++) {
            enqueue(world, world->now + (10 + 25 * (mm_us_t)i) * MS, &world->stale[i]);
        }
    }
    return MM_OK;
}

static inline mm_err_t port_subscribe(void *context, const char *topic, uint8_t qos, uint16_t *packet_id) {
    session_world_t *world = context;
    (void)topic;
    (void)qos;
    world->subscriptions++;
    *packet_id = (uint16_t)world->subscriptions;
    give_answer(world, world->subscriptions == 1 ? ANSWER_SUBACK_1 : ANSWER_SUBACK_2, MM_MQTT_SUBSCRIBED, *packet_id);
    return MM_OK;
}

static inline uint16_t packet_id_of(uint32_t message) {
    return (uint16_t)(3 + message);
}

static inline mm_err_t port_publish(void *context, const char *topic, const void *bytes, size_t bytes_count,
                                    uint16_t *packet_id) {
    session_world_t *world = context;
    (void)topic;
    uint32_t message = world->published++;
    MM_ASSERT(message < SESSION_MESSAGES);
    MM_ASSERT(bytes_count == 1);
    MM_ASSERT(*(const uint8_t *)bytes == message);
    world->published_at[message] = world->now;
    *packet_id = packet_id_of(message);
    give_answer(world, (answer_t)(ANSWER_PUBACK_1 + message), MM_MQTT_PUBLISHED, *packet_id);
    return MM_OK;
}

static inline void port_stop(void *context, bool graceful) {
    session_world_t *world = context;
    (void)graceful;
    give_answer(world, ANSWER_DISCONNECTED, MM_MQTT_DISCONNECTED, 0);
}

static inline void source_opened(void *context, mm_us_t now) {
    (void)context;
    (void)now;
}

// Tokens say session and message.
static inline uint32_t token_of(const session_world_t *world, uint32_t message) {
    return world->sessions * 10 + message;
}

static inline mm_uplink_offer_t source_next(void *context, uint8_t messages_left, mm_us_t now, const uint8_t **bytes,
                                            size_t *bytes_count, uint32_t *token, mm_us_t *deadline) {
    session_world_t *world = context;
    (void)messages_left;
    (void)now;
    *deadline = MM_US_NEVER;
    if (world->offered == SESSION_MESSAGES) {
        return MM_UPLINK_SOURCE_EMPTY;
    }
    world->payload = (uint8_t)world->offered;
    *bytes = &world->payload;
    *bytes_count = 1;
    *token = token_of(world, world->offered++);
    return MM_UPLINK_SOURCE_MESSAGE;
}

static inline void source_confirmed(void *context, uint32_t token, mm_us_t now) {
    session_world_t *world = context;
    (void)now;
    MM_ASSERT(world->running);
    uint32_t message = token - token_of(world, 0);
    MM_ASSERT(message < SESSION_MESSAGES); // of this session
    world->unearned += world->may_confirm[message] && world->confirmed[message] == 0 ? 0 : 1;
    world->confirmed[message]++;
}

static inline void source_closed(void *context, bool clean, mm_us_t now) {
    session_world_t *world = context;
    MM_ASSERT(world->running);
    MM_ASSERT(now - world->started_at <= session_timing.session_us + session_timing.close_us);
    world->running = false;
    world->closed++;
    world->clean = clean;
    for (uint32_t i = 0; i < SESSION_MESSAGES; i++) {
        world->lost += (clean || world->must_confirm[i]) && world->confirmed[i] == 0 ? 1 : 0;
    }
}

static inline void deliver(session_world_t *world, const mm_mqtt_event_t *event) {
    if (event->kind == MM_MQTT_PUBLISHED && event->session == world->session && world->running) {
        for (uint32_t i = 0; i < world->published; i++) {
            if (packet_id_of(i) == event->packet_id) {
                world->may_confirm[i] = true;
                world->must_confirm[i] =
                    world->must_confirm[i] || world->now < world->published_at[i] + session_timing.publish_us;
            }
        }
    }
    mm_uplink_on_mqtt(&world->uplink, event, world->now);
}

// Let time pass until the uplink wants a plan again.
static inline void run_session(session_world_t *world) {
    MM_ASSERT(mm_uplink_plan_session(&world->uplink, world->now + S));
    uint32_t closed_before = world->closed;
    mm_us_t deadline = mm_uplink_poll(&world->uplink, world->now);
    uint32_t steps = 0;
    while (!mm_uplink_wants_plan(&world->uplink)) {
        steps++;
        MM_ASSERT(steps < 100);
        MM_ASSERT(deadline != MM_US_NEVER);
        MM_ASSERT(deadline > world->now);
        queued_t *first = NULL;
        for (size_t i = 0; i < QUEUE_MAX; i++) {
            queued_t *queued = &world->queue[i];
            if (queued->used && (first == NULL || queued->at < first->at)) {
                first = queued;
            }
        }
        if (first != NULL && first->at <= deadline) {
            world->now = first->at;
            first->used = false;
            deliver(world, &first->event);
        } else {
            world->now = deadline;
        }
        deadline = mm_uplink_poll(&world->uplink, world->now);
        if (world->closed > closed_before) {
            MM_ASSERT(world->uplink.state == MM_UPLINK_BACKING_OFF ||
                      world->uplink.state == MM_UPLINK_WAITING_FOR_SLOT);
        }
    }
    MM_ASSERT(world->closed == closed_before + 1);
}

/// The schedule of the first session, then a session in which nothing goes wrong.
typedef struct {
    bool clean; ///< the first one
    uint32_t lost;
    uint32_t unearned;
} session_result_t;

static inline session_result_t run_schedule(const fate_t fates[ANSWER_COUNT], uint32_t ends_at) {
    static session_world_t s_world; // kept out of the stack, begun anew each time
    session_world_t *world = &s_world;
    memset(world, 0, sizeof *world);
    memcpy(world->fates, fates, sizeof world->fates);
    world->ends_at = ends_at;
    world->mqtt = (mm_mqtt_t){
        .start = port_start, .subscribe = port_subscribe, .publish = port_publish, .stop = port_stop, .context = world};
    const mm_uplink_source_t source = {.opened = source_opened,
                                       .next = source_next,
                                       .confirmed = source_confirmed,
                                       .closed = source_closed,
                                       .context = world};
    mm_uplink_init(&world->uplink, &world->mqtt, &source, &session_timing, &world->topics, &world->counters, 1);
    mm_uplink_start(&world->uplink, true, 0);
    run_session(world);
    bool clean = world->clean;
    MM_ASSERT(world->counters.values[MM_COUNTER_SESSION_FAILED] == (clean ? 0 : 1));
    run_session(world);
    MM_ASSERT(world->clean);
    MM_ASSERT(world->counters.values[MM_COUNTER_SESSION_FAILED] == (clean ? 0 : 1));
    MM_ASSERT(world->sessions == 2);
    return (session_result_t){.clean = clean, .lost = world->lost, .unearned = world->unearned};
}

/// The schedule with this number, of the first `count` answers; the others come on time.
static inline void schedule_of(uint32_t number, uint32_t count, fate_t fates[ANSWER_COUNT]) {
    for (uint32_t i = 0; i < ANSWER_COUNT; i++) {
        fates[i] = i < count ? (fate_t)(number % FATE_COUNT) : FATE_ON_TIME;
        number /= i < count ? FATE_COUNT : 1;
    }
    MM_ASSERT(number == 0);
}

static inline uint32_t schedule_count(uint32_t answer_count) {
    uint32_t count = 1;
    for (uint32_t i = 0; i < answer_count; i++) {
        count *= FATE_COUNT;
    }
    return count;
}

#endif
