// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meshmeter/uplink.h"
#include "sim/sim_broker_internal.h"

/// The core's uplink against a broker whose manners, and the path to it, change all the time. Seeds are fixed.

#define S MM_US_PER_S
#define GATEWAYS 4 // the first two share a client id
#define MESSAGE_BYTES_MAX 600
#define ATTEMPT_NONE UINT32_MAX

static const mm_uplink_timing_t timing = {
    .connect_us = 10 * S,
    .subscribe_us = 5 * S,
    .publish_us = 10 * S,
    .dwell_us = 2 * S,
    .close_us = 5 * S,
    .session_us = 60 * S,
    .back_off_us = 10 * S,
    .back_off_max_us = 300 * S,
};

// A port that is still busy, the session itself, its end.
#define SESSION_US_MAX (timing.close_us + timing.session_us + timing.close_us)

/// One publication of a message. HQ sees its number.
typedef struct {
    bool confirmed; // the uplink said so
    bool given;     // to HQ
} attempt_t;

typedef struct world world_t;

typedef struct {
    world_t *world;
    int index;
    mm_uplink_t uplink;
    mm_uplink_topics_t topics;
    mm_counters_t counters;
    mm_random_t random;
    uint32_t polls;      // numbers the event of the newest poll
    uint32_t waiting;    // messages that nobody confirmed yet
    uint32_t offered;    // in this session
    mm_us_t due_at;      // of the session; MM_US_NEVER = none
    uint32_t boots;      // also seeds the uplink
    uint64_t data_count; // messages from HQ in a current session
    uint8_t bytes[MESSAGE_BYTES_MAX];
} gateway_t;

struct world {
    mm_sim_t sim;
    mm_random_t random;
    mm_sim_broker_t *broker;
    gateway_t gateways[GATEWAYS];
    attempt_t *attempts;
    uint32_t attempt_count;
    uint32_t attempt_capacity;
    uint32_t sessions_closed;
    uint32_t sessions_clean;
    bool hostile;
    bool hq_wanted;
};

static world_t s_world;

// --- the uplink's source -----------------------------------------------------------------------------------------

static uint32_t new_attempt(world_t *world) {
    if (world->attempt_count == world->attempt_capacity) {
        world->attempt_capacity = world->attempt_capacity == 0 ? 1024 : 2 * world->attempt_capacity;
        world->attempts = realloc(world->attempts, world->attempt_capacity * sizeof *world->attempts);
        assert_non_null(world->attempts);
    }
    world->attempts[world->attempt_count] = (attempt_t){0};
    return world->attempt_count++;
}

static void source_opened(void *context, mm_us_t now) {
    gateway_t *gateway = context;
    (void)now;
    gateway->waiting += 1 + mm_random_below(&gateway->random, 3);
}

static mm_uplink_offer_t source_next(void *context, uint8_t messages_left, mm_us_t now, const uint8_t **bytes,
                                     size_t *bytes_count, uint32_t *token, mm_us_t *deadline) {
    gateway_t *gateway = context;
    assert_true(messages_left > 0);
    if (gateway->offered >= gateway->waiting) {
        return MM_UPLINK_SOURCE_EMPTY;
    }
    if (mm_random_below(&gateway->random, 4) == 0) {
        *deadline = now + mm_random_below(&gateway->random, 1000000);
        return MM_UPLINK_SOURCE_WAIT;
    }
    *token = new_attempt(gateway->world);
    memcpy(gateway->bytes, token, sizeof *token);
    *bytes = gateway->bytes;
    *bytes_count = sizeof *token + mm_random_below(&gateway->random, MESSAGE_BYTES_MAX - sizeof *token);
    gateway->offered++;
    return MM_UPLINK_SOURCE_MESSAGE;
}

static void source_confirmed(void *context, uint32_t token, mm_us_t now) {
    gateway_t *gateway = context;
    (void)now;
    attempt_t *attempt = &gateway->world->attempts[token];
    assert_false(attempt->confirmed);
    attempt->confirmed = true;
    assert_true(gateway->waiting > 0 && gateway->offered > 0);
    gateway->waiting--;
    gateway->offered--;
}

static void source_closed(void *context, bool clean, mm_us_t now) {
    gateway_t *gateway = context;
    assert_true(gateway->due_at != MM_US_NEVER); // once for each session
    assert_true(now - gateway->due_at <= SESSION_US_MAX);
    gateway->due_at = MM_US_NEVER;
    gateway->offered = 0;
    gateway->world->sessions_closed++;
    gateway->world->sessions_clean += clean ? 1 : 0;
}

// --- driving it --------------------------------------------------------------------------------------------------

static void poll(gateway_t *gateway);

static void on_poll(void *context, const void *payload, size_t payload_bytes) {
    gateway_t *gateway = context;
    uint32_t number;
    assert_int_equal(payload_bytes, sizeof number);
    memcpy(&number, payload, sizeof number);
    if (number == gateway->polls) {
        poll(gateway);
    }
}

static void poll(gateway_t *gateway) {
    mm_us_t now = mm_sim_now(&gateway->world->sim);
    mm_us_t deadline = mm_uplink_poll(&gateway->uplink, now);
    if (mm_uplink_wants_plan(&gateway->uplink)) {
        gateway->due_at = now + 20 * S + mm_random_below(&gateway->random, 40000000);
        assert_true(mm_uplink_plan_session(&gateway->uplink, gateway->due_at));
        deadline = gateway->due_at;
    }
    gateway->polls++;
    if (deadline != MM_US_NEVER) {
        mm_sim_queue_add(gateway->world->sim.queue, deadline, on_poll, gateway, &gateway->polls, sizeof gateway->polls);
    }
}

static void to_gateway(void *context, int client, const mm_mqtt_event_t *event) {
    world_t *world = context;
    assert_in_range(client, 0, GATEWAYS - 1);
    gateway_t *gateway = &world->gateways[client];
    if (event->kind == MM_MQTT_DATA && mm_uplink_is_current(&gateway->uplink, event->session)) {
        assert_string_equal(event->topic, gateway->topics.ack_topic);
        gateway->data_count++;
    }
    mm_uplink_on_mqtt(&gateway->uplink, event, mm_sim_now(&world->sim));
    poll(gateway);
}

static void to_hq(void *context, const char *topic, const void *bytes, size_t bytes_count) {
    world_t *world = context;
    uint32_t number;
    assert_true(bytes_count >= sizeof number);
    memcpy(&number, bytes, sizeof number);
    assert_true(number < world->attempt_count);
    world->attempts[number].given = true;
    for (int i = 0; i < GATEWAYS; i++) {
        if (strcmp(topic, world->gateways[i].topics.info_topic) == 0) {
            mm_sim_broker_hq_publish(world->broker, world->gateways[i].topics.ack_topic, bytes, sizeof number);
        }
    }
}

static void boot(gateway_t *gateway) {
    static const char *const ids[GATEWAYS] = {"twin", "twin", "c", "d"};
    world_t *world = gateway->world;
    const mm_uplink_source_t source = {.opened = source_opened,
                                       .next = source_next,
                                       .confirmed = source_confirmed,
                                       .closed = source_closed,
                                       .context = gateway};
    gateway->boots++;
    gateway->offered = 0;
    gateway->due_at = MM_US_NEVER;
    mm_uplink_init(&gateway->uplink, mm_sim_broker_port(world->broker, gateway->index, ids[gateway->index]), &source,
                   &timing, &gateway->topics, &gateway->counters, gateway->boots * 100 + (uint32_t)gateway->index);
    mm_uplink_start(&gateway->uplink, true, mm_sim_now(&world->sim));
    poll(gateway);
}

// --- the hostile world -------------------------------------------------------------------------------------------

static uint32_t draw_chance(world_t *world) {
    return mm_random_below(&world->random, 4) != 0 ? 0 : mm_random_below(&world->random, 200000);
}

static mm_sim_manners_t draw_manners(world_t *world) {
    mm_sim_manners_t manners = {
        .persistence = (mm_sim_persistence_t)mm_random_below(&world->random, 3),
        .latency_us = 1 + (mm_us_t)mm_random_below(&world->random, 400000),
    };
    if (!world->hostile) {
        return (mm_sim_manners_t){.latency_us = 20000, .persistence = MM_SIM_PERSISTENCE_ON};
    }
    for (int phase = 0; phase < MM_SIM_PHASE_COUNT; phase++) {
        manners.stall[phase] = draw_chance(world) / 4;
        manners.refuse[phase] = draw_chance(world) / 4;
        manners.reset[phase] = draw_chance(world) / 4;
    }
    uint32_t *const chances[] = {&manners.puback_lost,     &manners.puback_repeated, &manners.puback_late,
                                 &manners.no_subscriber,   &manners.message_lost,    &manners.message_repeated,
                                 &manners.message_delayed, &manners.retained_lost,   &manners.retained_stale};
    for (size_t i = 0; i < sizeof chances / sizeof chances[0]; i++) {
        *chances[i] = draw_chance(world);
    }
    manners.queue_messages_max = mm_random_below(&world->random, 4) == 0 ? 5 : 0;
    manners.message_bytes_max = mm_random_below(&world->random, 8) == 0 ? 400 : 0;
    return manners;
}

static void disturb(world_t *world) {
    gateway_t *gateway = &world->gateways[mm_random_below(&world->random, GATEWAYS)];
    mm_us_t now = mm_sim_now(&world->sim);
    switch (mm_random_below(&world->random, 6)) {
    case 0:
        mm_sim_broker_set_path(world->broker, gateway->index, false); // and nobody tells the uplink
        break;
    case 1:
        mm_sim_broker_set_path(world->broker, gateway->index, false);
        mm_uplink_set_router(&gateway->uplink, false, now);
        gateway->due_at = MM_US_NEVER; // also if it was only planned
        poll(gateway);
        break;
    case 2:
        mm_sim_broker_drop_client(world->broker, gateway->index);
        boot(gateway);
        break;
    case 3:
        mm_sim_broker_restart(world->broker, now + mm_random_below(&world->random, 120000000));
        break;
    case 4:
        world->hq_wanted = !world->hq_wanted;
        break;
    default:
        mm_uplink_stop(&gateway->uplink, now); // another root, and back
        gateway->due_at = MM_US_NEVER;
        mm_uplink_start(&gateway->uplink, true, now);
        poll(gateway);
        break;
    }
}

static void mend(world_t *world) {
    for (int i = 0; i < GATEWAYS; i++) {
        mm_sim_broker_set_path(world->broker, i, true);
        mm_uplink_set_router(&world->gateways[i].uplink, true, mm_sim_now(&world->sim));
        poll(&world->gateways[i]);
    }
}

// Every now and then; between two of them HQ connects if it wants to and can.
static void on_tick(void *context, const void *payload, size_t payload_bytes) {
    world_t *world = context;
    (void)payload;
    (void)payload_bytes;
    mm_us_t now = mm_sim_now(&world->sim);
    for (int i = 0; i < GATEWAYS; i++) {
        const gateway_t *gateway = &world->gateways[i];
        assert_true(gateway->due_at == MM_US_NEVER || now - gateway->due_at <= SESSION_US_MAX);
    }
    if (!world->hostile || mm_random_below(&world->random, 3) == 0) {
        mend(world);
    }
    if (world->hostile && mm_random_below(&world->random, 4) == 0) {
        disturb(world);
    }
    if (!world->hostile || mm_random_below(&world->random, 10) == 0) {
        mm_sim_manners_t manners = draw_manners(world);
        mm_sim_broker_set_manners(world->broker, &manners);
    }
    if (!world->hq_wanted && world->hostile) {
        mm_sim_broker_hq_disconnect(world->broker);
    } else if (!mm_sim_broker_hq_is_connected(world->broker)) {
        mm_sim_broker_hq_connect(world->broker);
    }
    mm_sim_queue_add(world->sim.queue, now + 1 + mm_random_below(&world->random, 60000000), on_tick, world, NULL, 0);
}

static void set_up(world_t *world, uint64_t seed) {
    memset(world, 0, sizeof *world);
    mm_sim_init(&world->sim, seed);
    world->random = mm_sim_random(&world->sim, "test", 0);
    world->hostile = true;
    world->hq_wanted = true;
    const mm_sim_manners_t manners = draw_manners(world);
    const mm_sim_broker_receivers_t receivers = {.to_gateway = to_gateway, .to_hq = to_hq, .context = world};
    world->broker = mm_sim_broker_create(&world->sim, &manners, &receivers);
    for (int i = 0; i < GATEWAYS; i++) {
        gateway_t *gateway = &world->gateways[i];
        gateway->world = world;
        gateway->index = i;
        gateway->random = mm_sim_random(&world->sim, "test gateway", (uint64_t)i);
        char site[16];
        snprintf(site, sizeof site, "haus-%d", i);
        assert_int_equal(mm_uplink_topics(site, &gateway->topics), MM_OK);
        boot(gateway);
    }
    on_tick(world, NULL, 0);
}

static void tear_down(world_t *world) {
    mm_sim_broker_destroy(world->broker);
    mm_sim_deinit(&world->sim);
    free(world->attempts);
    world->attempts = NULL;
}

static void run_sessions(world_t *world, uint32_t sessions) {
    while (world->sessions_closed < sessions) {
        assert_true(mm_sim_queue_run_next(world->sim.queue));
    }
}

static void run_for(world_t *world, mm_us_t us) {
    mm_us_t end = mm_sim_now(&world->sim) + us;
    while (mm_sim_queue_next_at(world->sim.queue) <= end) {
        (void)mm_sim_queue_run_next(world->sim.queue);
    }
}

static uint64_t count_confirmed_but_lost(const world_t *world) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < world->attempt_count; i++) {
        count += world->attempts[i].confirmed && !world->attempts[i].given ? 1 : 0;
    }
    return count;
}

static size_t count_live_messages(const world_t *world) {
    size_t count = 0;
    for (const mm_sim_message_t *message = world->broker->messages; message != NULL; message = message->next) {
        count++;
    }
    return count;
}

#define SESSIONS 20000

static void test_uplink_survives_every_manner(void **state) {
    (void)state;
    world_t *world = &s_world;
    set_up(world, 4711);
    run_sessions(world, SESSIONS);
    for (mm_sim_fault_t fault = MM_SIM_FAULT_PATH_STALLED; fault <= MM_SIM_FAULT_BROKER_RESTARTED; fault++) {
        if (world->sim.faults[fault] == 0) {
            fail_msg("%s never happened", mm_sim_fault_name(fault));
        }
    }
    assert_true(world->sim.probes[MM_SIM_PROBE_FOREIGN_PUBACK] > 0);
    assert_true(world->sim.probes[MM_SIM_PROBE_UNCONFIRMED_BUT_STORED] > 0);
    assert_true(world->sim.probes[MM_SIM_PROBE_CONFIRMED_BUT_LOST] > 0);
    assert_in_range(world->sessions_clean, SESSIONS / 20, SESSIONS * 19 / 20);

    // Everything is well again: what waits goes out, and HQ gets it.
    world->hostile = false;
    run_for(world, 300 * S);
    uint32_t first = world->attempt_count;
    uint32_t closed_before = world->sessions_closed;
    uint32_t clean_before = world->sessions_clean;
    run_for(world, 3 * 3600 * S);
    for (int i = 0; i < GATEWAYS; i++) {
        assert_true(world->gateways[i].waiting <= 3); // of a session under way
        assert_true(world->gateways[i].data_count > 0);
    }
    // But for the two that share a name and throw each other out.
    assert_true(world->sessions_clean - clean_before > (world->sessions_closed - closed_before) / 2);
    uint32_t last = world->attempt_count;
    run_for(world, 600 * S);
    uint32_t confirmed = 0;
    for (uint32_t i = first; i < last; i++) {
        confirmed += world->attempts[i].confirmed ? 1 : 0;
        assert_true(!world->attempts[i].confirmed || world->attempts[i].given);
    }
    assert_true(confirmed > 1000);
    // The broker knows which of those that it confirmed it lost. It may know more: the uplink had given them up.
    uint64_t lost = count_confirmed_but_lost(world);
    assert_true(lost > 0);
    assert_true(lost <= world->sim.probes[MM_SIM_PROBE_CONFIRMED_BUT_LOST]);
    // Nothing piles up: retained, the ones before them, saved ones, a few under way.
    assert_true(count_live_messages(world) < 100);
    assert_true(mm_sim_queue_count(world->sim.queue) < 100);
    tear_down(world);
}

static uint64_t trace_of(uint64_t seed) {
    set_up(&s_world, seed);
    run_sessions(&s_world, 300);
    uint64_t hash = s_world.sim.trace_hash;
    tear_down(&s_world);
    return hash;
}

static void test_broker_is_deterministic(void **state) {
    (void)state;
    uint64_t hashes[5];
    for (uint64_t seed = 0; seed < 5; seed++) {
        hashes[seed] = trace_of(seed);
        for (uint64_t other = 0; other < seed; other++) {
            assert_true(hashes[seed] != hashes[other]);
        }
    }
    for (uint64_t seed = 0; seed < 5; seed++) {
        assert_true(trace_of(seed) == hashes[seed]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uplink_survives_every_manner),
        cmocka_unit_test(test_broker_is_deterministic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
