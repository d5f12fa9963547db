// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SIM_BROKER_FIXTURE_H
#define MM_SIM_BROKER_FIXTURE_H

#include "test_support.h"

#include <string.h>

#include "sim/sim_broker.h"

#define S MM_US_PER_S
#define LATENCY_US ((mm_us_t)50000)
#define ALWAYS 1000000u
#define CLIENTS 3
#define SEEN_MAX 512
#define TAKEN_MAX 2048

typedef struct {
    mm_mqtt_event_t event; // topic and bytes void
    char topic[32];
    uint32_t value; // first bytes of DATA
    mm_us_t at;
} seen_t;

/// A broker, HQ that only listens, and gateways that connect, subscribe twice, publish, and leave when all is answered.
typedef struct {
    mm_sim_t sim;
    mm_sim_manners_t manners;
    mm_sim_broker_t *broker;
    const mm_mqtt_t *ports[CLIENTS];
    uint32_t sessions[CLIENTS];
    uint32_t to_publish[CLIENTS]; // messages of 4 bytes: next_value …
    size_t message_bytes;         // instead of 4
    bool stays[CLIENTS];          // does not leave by itself
    uint32_t next_value;
    uint32_t subacks[CLIENTS]; // in this session
    uint32_t pubacks[CLIENTS];
    uint16_t first_packet_id[CLIENTS]; // of a message, in this session
    seen_t seen[CLIENTS][SEEN_MAX];
    size_t seen_count[CLIENTS];
    uint32_t taken[TAKEN_MAX]; // by HQ
    mm_us_t taken_at[TAKEN_MAX];
    size_t taken_count;
} world_t;

static inline uint32_t value_of(const void *bytes, size_t bytes_count) {
    uint32_t value = 0;
    memcpy(&value, bytes, bytes_count < sizeof value ? bytes_count : sizeof value);
    return value;
}

static inline void publish(world_t *world, int client) {
    static uint8_t bytes[8192];
    uint32_t value = world->next_value++;
    memcpy(bytes, &value, sizeof value);
    uint16_t packet_id = 0;
    size_t bytes_count = world->message_bytes != 0 ? world->message_bytes : sizeof value;
    const mm_mqtt_t *port = world->ports[client];
    assert_int_equal(port->publish(port->context, "meter/haus-7/info", bytes, bytes_count, &packet_id), MM_OK);
    assert_int_not_equal(packet_id, 0);
    if (world->first_packet_id[client] == 0) {
        world->first_packet_id[client] = packet_id;
    }
    memset(bytes, 0xEE, sizeof value); // what was published is a copy
}

static inline void act(world_t *world, int client, const mm_mqtt_event_t *event) {
    const mm_mqtt_t *port = world->ports[client];
    uint16_t packet_id = 0;
    if (event->kind == MM_MQTT_CONNECTED) {
        assert_int_equal(port->subscribe(port->context, "meter/haus-7/ack", 1, &packet_id), MM_OK);
        assert_int_not_equal(packet_id, 0);
        assert_int_equal(port->subscribe(port->context, "meter/haus-7/cmd", 1, &packet_id), MM_OK);
        assert_int_not_equal(packet_id, 0);
    } else if (event->kind == MM_MQTT_SUBSCRIBED && ++world->subacks[client] == 2) {
        for (uint32_t i = 0; i < world->to_publish[client]; i++) {
            publish(world, client);
        }
    } else if (event->kind == MM_MQTT_PUBLISHED && ++world->pubacks[client] == world->to_publish[client] &&
               !world->stays[client]) {
        port->stop(port->context, true);
    }
}

static inline void to_gateway(void *context, int client, const mm_mqtt_event_t *event) {
    world_t *world = context;
    assert_in_range(client, 0, CLIENTS - 1);
    assert_true(world->seen_count[client] < SEEN_MAX);
    seen_t *seen = &world->seen[client][world->seen_count[client]++];
    *seen = (seen_t){.event = *event, .at = mm_sim_now(&world->sim)};
    if (event->kind == MM_MQTT_DATA) {
        assert_true(strlen(event->topic) < sizeof seen->topic);
        memcpy(seen->topic, event->topic, strlen(event->topic) + 1);
        seen->value = event->bytes != NULL ? value_of(event->bytes, event->bytes_count) : 0;
    }
    if (event->session == world->sessions[client]) {
        act(world, client, event);
    }
}

static inline void to_hq(void *context, const char *topic, const void *bytes, size_t bytes_count) {
    world_t *world = context;
    assert_memory_equal(topic, "meter/", 6);
    assert_true(mm_sim_broker_hq_is_connected(world->broker));
    assert_true(world->taken_count < TAKEN_MAX);
    world->taken_at[world->taken_count] = mm_sim_now(&world->sim);
    world->taken[world->taken_count++] = value_of(bytes, bytes_count);
}

static inline void set_up(world_t *world, uint64_t seed) {
    memset(world, 0, sizeof *world);
    mm_sim_init(&world->sim, seed);
    world->manners.latency_us = LATENCY_US;
    const mm_sim_broker_receivers_t receivers = {.to_gateway = to_gateway, .to_hq = to_hq, .context = world};
    world->broker = mm_sim_broker_create(&world->sim, &world->manners, &receivers);
    static const char *const ids[CLIENTS] = {"a", "b", "c"};
    for (int i = 0; i < CLIENTS; i++) {
        world->ports[i] = mm_sim_broker_port(world->broker, i, ids[i]);
        world->to_publish[i] = 3;
    }
    world->next_value = 1;
    mm_sim_broker_hq_connect(world->broker);
}

static inline void tear_down(world_t *world) {
    mm_sim_broker_destroy(world->broker);
    mm_sim_deinit(&world->sim);
}

static inline void behave(world_t *world) {
    mm_sim_broker_set_manners(world->broker, &world->manners);
}

static inline void nothing(void *context, const void *payload, size_t payload_bytes) {
    (void)context;
    (void)payload;
    (void)payload_bytes;
}

static inline void run_until(world_t *world, mm_us_t at) {
    mm_sim_queue_add(world->sim.queue, at, nothing, NULL, NULL, 0);
    while (mm_sim_queue_next_at(world->sim.queue) <= at) {
        (void)mm_sim_queue_run_next(world->sim.queue);
    }
}

static inline void run_for(world_t *world, mm_us_t us) {
    run_until(world, mm_sim_now(&world->sim) + us);
}

/// Begin a session; what was seen before is forgotten.
static inline void begin(world_t *world, int client) {
    const mm_mqtt_t *port = world->ports[client];
    world->seen_count[client] = 0;
    world->subacks[client] = 0;
    world->pubacks[client] = 0;
    world->first_packet_id[client] = 0;
    assert_int_equal(port->start(port->context, ++world->sessions[client]), MM_OK);
}

static inline void stop(world_t *world, int client, bool graceful) {
    world->ports[client]->stop(world->ports[client]->context, graceful);
}

/// What a gateway saw, a letter an event: Connected, Refused, Subscribed, Published, Data, Error, X = disconnected.
static inline const char *letters(const world_t *world, int client) {
    static char text[SEEN_MAX + 1];
    for (size_t i = 0; i < world->seen_count[client]; i++) {
        text[i] = "?CRSPDXE"[world->seen[client][i].event.kind];
    }
    text[world->seen_count[client]] = '\0';
    return text;
}

static inline const seen_t *last_seen(const world_t *world, int client) {
    assert_true(world->seen_count[client] > 0);
    return &world->seen[client][world->seen_count[client] - 1];
}

static inline void expect_taken(const world_t *world, const uint32_t *values, size_t count) {
    assert_int_equal(world->taken_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(world->taken[i], values[i]);
    }
}

static inline uint64_t faults(const world_t *world, mm_sim_fault_t fault) {
    return world->sim.faults[fault];
}

static inline uint64_t probes(const world_t *world, mm_sim_probe_t probe) {
    return world->sim.probes[probe];
}

#endif
