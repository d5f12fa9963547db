// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "sim/sim_broker_internal.h"

#define RELEASE_US ((mm_us_t)1000)              // what a port needs to drop a connection
#define PATH_CLOSE_US MM_US_PER_S               // … to give up a polite end that gets no answer
#define RESOLVER_US_MAX 30000000u               // … to get rid of a name resolution that hangs
#define CONNECT_FAILS_US_MIN ((mm_us_t)1000000) // without a path
#define CONNECT_FAILS_US_MAX 8000000u
#define PUBACK_LATE_US_MIN (5 * MM_US_PER_S)
#define PUBACK_LATE_US_MAX 30000000u
#define PUBACK_BEHIND_HOPS_MAX 10u
#define WRAP_ONE_IN 64 // sessions whose packet ids run over the end
#define WRAP_FIRST_PACKET_ID 65530

// --- reason codes: each of them in turn --------------------------------------------------------------------------

// Refusals of MQTT 5, then those of 3.1.1.
static const uint8_t connack_codes[] = {0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90,
                                        0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F, 0x01, 0x02, 0x03, 0x04, 0x05};
// The first two grant another QoS than was asked for.
static const uint8_t suback_codes[] = {0x00, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2};
static const uint8_t puback_codes[] = {0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99};
// What a server may say at the end; 0 = nothing, as in 3.1.1 or when TCP ends.
static const uint8_t disconnect_codes[] = {0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E,
                                           0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A,
                                           0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2};

#define NEXT_CODE(codes, turn) ((codes)[(turn)++ % sizeof(codes)])

// --- small things ------------------------------------------------------------------------------------------------

typedef enum {
    VERDICT_FINE,
    VERDICT_STALLED,
    VERDICT_REFUSED,
    VERDICT_RESET,
} verdict_t;

static verdict_t judge(mm_sim_client_t *client, mm_sim_phase_t phase) {
    static const mm_sim_fault_t refusals[MM_SIM_PHASE_COUNT] = {
        [MM_SIM_PHASE_RESOLVE] = MM_SIM_FAULT_PATH_REFUSED,     [MM_SIM_PHASE_TCP] = MM_SIM_FAULT_PATH_REFUSED,
        [MM_SIM_PHASE_TLS] = MM_SIM_FAULT_PATH_REFUSED,         [MM_SIM_PHASE_CONNECT] = MM_SIM_FAULT_CONNACK_REFUSED,
        [MM_SIM_PHASE_SUBSCRIBE] = MM_SIM_FAULT_SUBACK_REFUSED, [MM_SIM_PHASE_PUBLISH] = MM_SIM_FAULT_PUBACK_REFUSED,
        [MM_SIM_PHASE_CLOSE] = MM_SIM_FAULT_PATH_REFUSED,
    };
    mm_sim_t *sim = client->broker->sim;
    const mm_sim_manners_t *manners = &client->broker->manners;
    if (mm_sim_chance(&client->random, manners->stall[phase])) {
        mm_sim_fault(sim, MM_SIM_FAULT_PATH_STALLED, client->index);
        return VERDICT_STALLED;
    }
    if (mm_sim_chance(&client->random, manners->refuse[phase])) {
        mm_sim_fault(sim, refusals[phase], client->index);
        return VERDICT_REFUSED;
    }
    if (mm_sim_chance(&client->random, manners->reset[phase])) {
        mm_sim_fault(sim, MM_SIM_FAULT_PATH_RESET, client->index);
        return VERDICT_RESET;
    }
    return VERDICT_FINE;
}

static bool flip_coin(mm_sim_client_t *client) {
    return (mm_random_u32(&client->random) & 1) != 0;
}

static mm_us_t hops_us(mm_sim_client_t *client, uint32_t hops) {
    return mm_sim_broker_hops_us(client->broker, &client->random, hops);
}

static mm_us_t now_of(const mm_sim_client_t *client) {
    return mm_sim_now(client->broker->sim);
}

static void add_event(mm_sim_client_t *client, mm_us_t at, mm_sim_event_fn fn, const void *payload,
                      size_t payload_bytes) {
    mm_sim_queue_add(client->broker->sim->queue, at, fn, client, payload, payload_bytes);
}

// When something that is sent now reaches the broker: not before what was sent earlier.
static mm_us_t arrive_up(mm_sim_client_t *client) {
    mm_us_t at = now_of(client) + hops_us(client, 1);
    client->up_at = at > client->up_at ? at : client->up_at;
    return client->up_at;
}

// … and when the broker's answer to it, sent at `from`, is here.
static mm_us_t arrive_down(mm_sim_client_t *client, mm_us_t from) {
    mm_us_t at = from + hops_us(client, 1);
    client->down_at = at > client->down_at ? at : client->down_at;
    return client->down_at;
}

static void deliver(mm_sim_client_t *client, const mm_mqtt_event_t *event) {
    mm_sim_broker_t *broker = client->broker;
    broker->receivers.to_gateway(broker->receivers.context, client->index, event);
}

// Of a connection of which something may still be delivered.
static bool is_live(const mm_sim_client_t *client, uint32_t connection) {
    return client->connection == connection && !client->deaf && client->state != MM_SIM_CLIENT_IDLE &&
           client->state != MM_SIM_CLIENT_ENDED;
}

static void forget_subscriptions(mm_sim_client_t *client) {
    for (size_t i = 0; i < client->subscription_count; i++) {
        client->broker->topics[client->subscriptions[i]].subscribers &= ~(UINT64_C(1) << client->index);
    }
    client->subscription_count = 0;
}

static void take_connection_number(mm_sim_client_t *client) {
    client->connection = ++client->broker->next_connection;
}

// Nothing arrives any more. What is on its way to the broker, and what is sent into the void, may still get there.
static void go_deaf(mm_sim_client_t *client) {
    client->deaf = true;
    if (flip_coin(client)) {
        client->open_connection = 0;
    }
    forget_subscriptions(client);
}

// --- the end of a session ----------------------------------------------------------------------------------------

typedef struct {
    uint32_t connection;
    uint8_t reason;
} end_t;

// The broker or the path ended the connection.
static void on_end(void *context, const void *payload, size_t payload_bytes) {
    mm_sim_client_t *client = context;
    end_t end;
    MM_ASSERT(payload_bytes == sizeof end);
    memcpy(&end, payload, sizeof end);
    if (!is_live(client, end.connection)) {
        return;
    }
    // A polite end was under way: this is the answer to it.
    client->state = client->state == MM_SIM_CLIENT_CLOSING ? MM_SIM_CLIENT_IDLE : MM_SIM_CLIENT_ENDED;
    if (client->open_connection == end.connection) {
        client->open_connection = 0;
    }
    forget_subscriptions(client);
    mm_sim_note(client->broker->sim, client->index, "connection_ended", client->session, end.reason);
    const mm_mqtt_event_t event = {.kind = MM_MQTT_DISCONNECTED, .session = client->session, .reason = end.reason};
    deliver(client, &event);
}

static void schedule_end(mm_sim_client_t *client, mm_us_t from, uint8_t reason) {
    const end_t end = {.connection = client->connection, .reason = reason};
    add_event(client, arrive_down(client, from), on_end, &end, sizeof end);
}

// What was sent just now and before may have arrived, all or nothing.
static void reset_connection(mm_sim_client_t *client) {
    if (flip_coin(client)) {
        client->open_connection = 0;
    }
    schedule_end(client, now_of(client) + client->broker->manners.latency_us,
                 NEXT_CODE(disconnect_codes, client->broker->disconnect_turn));
}

// The answer to stop.
static void on_released(void *context, const void *payload, size_t payload_bytes) {
    mm_sim_client_t *client = context;
    end_t end;
    MM_ASSERT(payload_bytes == sizeof end);
    memcpy(&end, payload, sizeof end);
    if (client->connection != end.connection || client->state != MM_SIM_CLIENT_CLOSING) {
        return; // it had ended before, was dropped afterwards, or the power is gone
    }
    client->state = MM_SIM_CLIENT_IDLE;
    client->deaf = false;
    if (client->open_connection == end.connection) {
        client->open_connection = 0;
    }
    forget_subscriptions(client);
    mm_sim_note(client->broker->sim, client->index, "session_closed", client->session, end.reason);
    const mm_mqtt_event_t event = {.kind = MM_MQTT_DISCONNECTED, .session = client->session, .reason = end.reason};
    deliver(client, &event);
}

static void schedule_release(mm_sim_client_t *client, mm_us_t at, uint8_t reason) {
    const end_t end = {.connection = client->connection, .reason = reason};
    add_event(client, at, on_released, &end, sizeof end);
}

static void stop_at_once(mm_sim_client_t *client) {
    // What is still on its way to the broker gets there or not; a connection that had ended has nothing more to say.
    bool was_open = client->state == MM_SIM_CLIENT_CONNECTED || client->state == MM_SIM_CLIENT_CLOSING;
    if (was_open && client->open_connection == client->connection && flip_coin(client)) {
        client->open_connection = 0;
    }
    mm_us_t release_us = RELEASE_US;
    if (client->resolver_hangs) {
        release_us += mm_random_below(&client->random, RESOLVER_US_MAX);
    }
    forget_subscriptions(client);
    take_connection_number(client);
    client->state = MM_SIM_CLIENT_CLOSING;
    client->forced = true;
    schedule_release(client, now_of(client) + release_us, 0);
}

static void stop_politely(mm_sim_client_t *client) {
    client->state = MM_SIM_CLIENT_CLOSING;
    mm_us_t now = now_of(client);
    if (client->path_cut) {
        schedule_release(client, now + PATH_CLOSE_US, 0);
        return;
    }
    if (client->deaf) {
        return; // until it is dropped
    }
    uint8_t reason = 0;
    switch (judge(client, MM_SIM_PHASE_CLOSE)) {
    case VERDICT_STALLED:
        go_deaf(client);
        return;
    case VERDICT_RESET:
        reset_connection(client);
        return;
    case VERDICT_REFUSED:
        reason = NEXT_CODE(disconnect_codes, client->broker->disconnect_turn);
        break;
    case VERDICT_FINE:
    default:
        break;
    }
    schedule_release(client, arrive_down(client, arrive_up(client)), reason);
}

static void stop(void *context, bool graceful) {
    mm_sim_client_t *client = context;
    switch (client->state) {
    case MM_SIM_CLIENT_CONNECTED:
        if (graceful) {
            stop_politely(client);
        } else {
            stop_at_once(client);
        }
        break;
    case MM_SIM_CLIENT_CONNECTING:
    case MM_SIM_CLIENT_ENDED:
        stop_at_once(client);
        break;
    case MM_SIM_CLIENT_CLOSING:
        if (!graceful && !client->forced) {
            stop_at_once(client);
        }
        break;
    case MM_SIM_CLIENT_IDLE:
    default:
        break;
    }
}

// --- PUBACK ------------------------------------------------------------------------------------------------------

// The gateway does not know that HQ has it, or is going to.
static void note_missed(mm_sim_client_t *client, mm_sim_message_t *message) {
    if (message->stored && !message->confirmed && !message->missed) {
        message->missed = true;
        mm_sim_probe(client->broker->sim, MM_SIM_PROBE_UNCONFIRMED_BUT_STORED, client->index);
    }
}

static void on_puback(void *context, const void *payload, size_t payload_bytes) {
    mm_sim_client_t *client = context;
    mm_sim_broker_t *broker = client->broker;
    mm_sim_puback_t puback;
    MM_ASSERT(payload_bytes == sizeof puback);
    memcpy(&puback, payload, sizeof puback);
    bool is_own = is_live(client, puback.connection);
    bool is_foreign = !is_own && puback.late && puback.boot == client->boot && !client->path_is_down && !client->deaf;
    if (is_own && puback.reason == 0) {
        puback.message->confirmed = true;
    }
    note_missed(client, puback.message);
    mm_sim_message_release(broker, puback.message);
    if (!is_own && !is_foreign) {
        return;
    }
    mm_sim_note(broker->sim, client->index, "puback", puback.session,
                ((uint64_t)puback.packet_id << 8) | puback.reason);
    if (is_foreign || puback.repeated) {
        mm_sim_probe(broker->sim, MM_SIM_PROBE_FOREIGN_PUBACK, client->index);
    }
    const mm_mqtt_event_t event = {
        .kind = MM_MQTT_PUBLISHED, .session = puback.session, .packet_id = puback.packet_id, .reason = puback.reason};
    deliver(client, &event);
}

static void schedule_puback(mm_sim_client_t *client, mm_us_t at, const mm_sim_puback_t *puback) {
    (void)mm_sim_message_keep(puback->message);
    add_event(client, at, on_puback, puback, sizeof *puback);
}

// Held for the next session if there is room and chance wants it so, else behind other PUBACKs of this session, or
// behind its end.
static void delay_puback(mm_sim_client_t *client, const mm_sim_puback_t *puback) {
    mm_us_t now = now_of(client);
    uint32_t how = mm_random_below(&client->random, 3);
    if (how == 0 && client->held_count < MM_SIM_HELD_MAX) {
        (void)mm_sim_message_keep(puback->message);
        client->held[client->held_count++] = *puback;
    } else if (how == 1) {
        uint32_t hops = 2 + mm_random_below(&client->random, PUBACK_BEHIND_HOPS_MAX);
        schedule_puback(client, now + hops_us(client, hops), puback);
    } else {
        mm_us_t late_us = PUBACK_LATE_US_MIN + mm_random_below(&client->random, PUBACK_LATE_US_MAX);
        schedule_puback(client, now + late_us, puback);
    }
}

// While the next session publishes.
static void release_held(mm_sim_client_t *client) {
    for (size_t i = 0; i < client->held_count; i++) {
        schedule_puback(client, now_of(client) + hops_us(client, 1 + mm_random_below(&client->random, 6)),
                        &client->held[i]);
        mm_sim_message_release(client->broker, client->held[i].message);
    }
    client->held_count = 0;
}

static void drop_held(mm_sim_client_t *client) {
    for (size_t i = 0; i < client->held_count; i++) {
        note_missed(client, client->held[i].message);
        mm_sim_message_release(client->broker, client->held[i].message);
    }
    client->held_count = 0;
}

static void answer(mm_sim_client_t *client, mm_sim_puback_t *puback) {
    mm_sim_t *sim = client->broker->sim;
    const mm_sim_manners_t *manners = &client->broker->manners;
    if (mm_sim_chance(&client->random, manners->puback_lost)) {
        mm_sim_fault(sim, MM_SIM_FAULT_PUBACK_LOST, client->index);
        note_missed(client, puback->message);
        return;
    }
    if (mm_sim_chance(&client->random, manners->puback_late)) {
        mm_sim_fault(sim, MM_SIM_FAULT_PUBACK_LATE, client->index);
        puback->late = true;
        delay_puback(client, puback);
    } else {
        schedule_puback(client, arrive_down(client, now_of(client)), puback);
    }
    if (mm_sim_chance(&client->random, manners->puback_repeated)) {
        mm_sim_fault(sim, MM_SIM_FAULT_PUBACK_REPEATED, client->index);
        puback->repeated = true;
        schedule_puback(client, arrive_down(client, now_of(client)), puback);
    }
}

// --- PUBLISH -----------------------------------------------------------------------------------------------------

// A PUBLISH under way; `reason`: refused with it.
static void on_arrival(void *context, const void *payload, size_t payload_bytes) {
    mm_sim_client_t *client = context;
    mm_sim_broker_t *broker = client->broker;
    mm_sim_puback_t puback;
    MM_ASSERT(payload_bytes == sizeof puback);
    memcpy(&puback, payload, sizeof puback);
    mm_sim_message_t *message = puback.message;
    if (broker->up && client->open_connection == puback.connection) {
        if (puback.reason == 0 && mm_sim_chance(&client->random, broker->manners.no_subscriber)) {
            mm_sim_fault(broker->sim, MM_SIM_FAULT_PUBACK_REFUSED, client->index);
            puback.reason = MM_SIM_REASON_NO_SUBSCRIBER;
        } else if (puback.reason == 0) {
            puback.reason = mm_sim_broker_route(broker, message);
        }
        answer(client, &puback);
    }
    mm_sim_message_release(broker, message);
}

static uint16_t take_packet_id(mm_sim_client_t *client) {
    uint16_t packet_id = client->next_packet_id;
    client->next_packet_id = packet_id == UINT16_MAX ? 1 : (uint16_t)(packet_id + 1);
    return packet_id;
}

static mm_err_t publish(void *context, const char *topic, const void *bytes, size_t bytes_count, uint16_t *packet_id) {
    mm_sim_client_t *client = context;
    mm_sim_broker_t *broker = client->broker;
    if (client->state != MM_SIM_CLIENT_CONNECTED) {
        return MM_ERR_STATE;
    }
    *packet_id = take_packet_id(client);
    mm_sim_note_bytes(broker->sim, client->index, "published", bytes, bytes_count);
    if (client->deaf && client->open_connection != client->connection) {
        return MM_OK;
    }
    uint32_t limit = broker->manners.message_bytes_max;
    if (limit != 0 && bytes_count > limit) {
        mm_sim_fault(broker->sim, MM_SIM_FAULT_BROKER_LIMIT, client->index);
        mm_us_t arrival = arrive_up(client);
        client->open_connection = 0;
        schedule_end(client, arrival, MM_SIM_REASON_TOO_LARGE);
        return MM_OK;
    }
    mm_sim_puback_t puback = {
        .boot = client->boot, .connection = client->connection, .session = client->session, .packet_id = *packet_id};
    verdict_t verdict = client->deaf ? VERDICT_FINE : judge(client, MM_SIM_PHASE_PUBLISH);
    if (verdict == VERDICT_REFUSED) {
        puback.reason = NEXT_CODE(puback_codes, broker->puback_turn);
    }
    puback.message = mm_sim_message_create(broker, client->index, topic, bytes, bytes_count);
    add_event(client, arrive_up(client), on_arrival, &puback, sizeof puback);
    if (verdict == VERDICT_STALLED) {
        go_deaf(client);
    } else if (verdict == VERDICT_RESET) {
        reset_connection(client);
    }
    return MM_OK;
}

// --- SUBSCRIBE and messages to the gateway -----------------------------------------------------------------------

typedef struct {
    mm_sim_message_t *message;
    uint32_t connection;
} data_t;

static void deliver_data(mm_sim_client_t *client, const mm_sim_message_t *message, bool retained) {
    mm_sim_note(client->broker->sim, client->index, "data", client->session, message->bytes_count);
    const mm_mqtt_event_t event = {.kind = MM_MQTT_DATA,
                                   .session = client->session,
                                   .retained = retained,
                                   .topic = message->topic,
                                   .bytes = message->bytes_count <= MM_DOWNLINK_BYTES_MAX ? message->bytes : NULL,
                                   .bytes_count = message->bytes_count};
    deliver(client, &event);
}

static void on_data(void *context, const void *payload, size_t payload_bytes) {
    mm_sim_client_t *client = context;
    data_t data;
    MM_ASSERT(payload_bytes == sizeof data);
    memcpy(&data, payload, sizeof data);
    if (is_live(client, data.connection)) {
        deliver_data(client, data.message, false);
    }
    mm_sim_message_release(client->broker, data.message);
}

void mm_sim_path_send_data(mm_sim_client_t *client, mm_sim_message_t *message) {
    const data_t data = {.message = mm_sim_message_keep(message), .connection = client->connection};
    add_event(client, arrive_down(client, now_of(client)), on_data, &data, sizeof data);
}

typedef struct {
    uint32_t connection;
    uint16_t packet_id;
    uint16_t topic_index;
    uint8_t reason;
} suback_t;

static bool add_subscription(mm_sim_client_t *client, uint16_t topic_index) {
    uint64_t bit = UINT64_C(1) << client->index;
    mm_sim_topic_t *topic = &client->broker->topics[topic_index];
    if ((topic->subscribers & bit) != 0) {
        return true;
    }
    if (client->subscription_count == MM_SIM_SUBSCRIPTIONS_MAX) {
        return false;
    }
    topic->subscribers |= bit;
    client->subscriptions[client->subscription_count++] = topic_index;
    return true;
}

static void on_suback(void *context, const void *payload, size_t payload_bytes) {
    mm_sim_client_t *client = context;
    mm_sim_broker_t *broker = client->broker;
    suback_t suback;
    MM_ASSERT(payload_bytes == sizeof suback);
    memcpy(&suback, payload, sizeof suback);
    if (!is_live(client, suback.connection)) {
        return;
    }
    if (suback.reason < 0x80 && !add_subscription(client, suback.topic_index)) {
        mm_sim_fault(broker->sim, MM_SIM_FAULT_BROKER_LIMIT, client->index);
        suback.reason = MM_SIM_REASON_QUOTA;
    }
    const mm_mqtt_event_t event = {
        .kind = MM_MQTT_SUBSCRIBED, .session = client->session, .packet_id = suback.packet_id, .reason = suback.reason};
    deliver(client, &event);
    if (suback.reason >= 0x80 || !is_live(client, suback.connection)) {
        return;
    }
    mm_sim_message_t *message = mm_sim_broker_retained(broker, suback.topic_index, &client->random, client->index);
    if (message != NULL) {
        deliver_data(client, message, true);
        mm_sim_message_release(broker, message);
    }
}

static mm_err_t subscribe(void *context, const char *topic, uint8_t qos, uint16_t *packet_id) {
    mm_sim_client_t *client = context;
    mm_sim_broker_t *broker = client->broker;
    if (client->state != MM_SIM_CLIENT_CONNECTED) {
        return MM_ERR_STATE;
    }
    *packet_id = take_packet_id(client);
    if (client->deaf) {
        return MM_OK;
    }
    suback_t suback = {.connection = client->connection, .packet_id = *packet_id, .reason = qos};
    switch (judge(client, MM_SIM_PHASE_SUBSCRIBE)) {
    case VERDICT_STALLED:
        go_deaf(client);
        return MM_OK;
    case VERDICT_RESET:
        reset_connection(client);
        return MM_OK;
    case VERDICT_REFUSED:
        suback.reason = NEXT_CODE(suback_codes, broker->suback_turn);
        break;
    case VERDICT_FINE:
    default:
        break;
    }
    if (!mm_sim_broker_find_topic(broker, topic, true, &suback.topic_index)) {
        mm_sim_fault(broker->sim, MM_SIM_FAULT_BROKER_LIMIT, client->index);
        suback.reason = MM_SIM_REASON_QUOTA;
    }
    add_event(client, arrive_down(client, arrive_up(client)), on_suback, &suback, sizeof suback);
    return MM_OK;
}

// --- the begin of a session --------------------------------------------------------------------------------------

typedef struct {
    uint32_t connection;
    uint32_t life;
    uint8_t kind; ///< mm_mqtt_event_kind_t
    uint8_t reason;
} outcome_t;

static void end_connection_of_twins(mm_sim_client_t *client) {
    mm_sim_broker_t *broker = client->broker;
    int index = 0;
    for (uint64_t rest = client->twins; rest != 0; rest >>= 1) {
        mm_sim_client_t *twin = &broker->clients[index++];
        if ((rest & 1) == 0 || twin->open_connection == 0) {
            continue;
        }
        bool is_in_use = is_live(twin, twin->open_connection);
        twin->open_connection = 0;
        if (is_in_use) {
            mm_sim_fault(broker->sim, MM_SIM_FAULT_CLIENT_TAKEN_OVER, twin->index);
            forget_subscriptions(twin);
            schedule_end(twin, now_of(twin), MM_SIM_REASON_TAKEN_OVER);
        }
    }
}

static void on_outcome(void *context, const void *payload, size_t payload_bytes) {
    mm_sim_client_t *client = context;
    mm_sim_broker_t *broker = client->broker;
    outcome_t outcome;
    MM_ASSERT(payload_bytes == sizeof outcome);
    memcpy(&outcome, payload, sizeof outcome);
    if (!is_live(client, outcome.connection) || client->state != MM_SIM_CLIENT_CONNECTING) {
        return;
    }
    if (outcome.kind == MM_MQTT_CONNECTED && (!broker->up || outcome.life != broker->life)) {
        outcome.kind = MM_MQTT_ERROR; // the broker died in between
    }
    if (outcome.kind == MM_MQTT_CONNECTED) {
        client->state = MM_SIM_CLIENT_CONNECTED;
        client->open_connection = client->connection;
        end_connection_of_twins(client);
        release_held(client);
    } else {
        client->state = MM_SIM_CLIENT_ENDED;
    }
    mm_sim_note(broker->sim, client->index, "connect_ended", outcome.kind, outcome.reason);
    const mm_mqtt_event_t event = {
        .kind = (mm_mqtt_event_kind_t)outcome.kind, .session = client->session, .reason = outcome.reason};
    deliver(client, &event);
}

// Without a path nothing is resolved; without a broker TCP is refused, or nobody answers.
static mm_us_t fail_us(mm_sim_client_t *client) {
    if (client->path_is_down || flip_coin(client)) {
        return CONNECT_FAILS_US_MIN + mm_random_below(&client->random, CONNECT_FAILS_US_MAX);
    }
    return hops_us(client, 4);
}

// Name, TCP, TLS, CONNECT in one event: what each of them is going to meet is decided at once.
static void schedule_outcome(mm_sim_client_t *client) {
    static const uint8_t hops[] = {
        [MM_SIM_PHASE_RESOLVE] = 2, [MM_SIM_PHASE_TCP] = 2, [MM_SIM_PHASE_TLS] = 4, [MM_SIM_PHASE_CONNECT] = 2};
    mm_sim_broker_t *broker = client->broker;
    outcome_t outcome = {.connection = client->connection, .life = broker->life, .kind = MM_MQTT_CONNECTED};
    mm_us_t at = now_of(client);
    if (client->path_is_down || !broker->up) {
        outcome.kind = MM_MQTT_ERROR;
        add_event(client, at + fail_us(client), on_outcome, &outcome, sizeof outcome);
        return;
    }
    uint32_t hop_count = 0;
    for (mm_sim_phase_t phase = MM_SIM_PHASE_RESOLVE; phase <= MM_SIM_PHASE_CONNECT; phase++) {
        hop_count += hops[phase];
        verdict_t verdict = judge(client, phase);
        if (verdict == VERDICT_STALLED) {
            client->resolver_hangs = phase == MM_SIM_PHASE_RESOLVE;
            client->deaf = true;
            return;
        }
        if (verdict != VERDICT_FINE) {
            bool is_connack = phase == MM_SIM_PHASE_CONNECT;
            outcome.kind = MM_MQTT_ERROR;
            if (is_connack && verdict == VERDICT_REFUSED) {
                outcome.kind = MM_MQTT_REFUSED;
                outcome.reason = NEXT_CODE(connack_codes, broker->connack_turn);
            } else if (is_connack) {
                outcome.kind = MM_MQTT_DISCONNECTED;
            }
            break;
        }
    }
    add_event(client, at + hops_us(client, hop_count), on_outcome, &outcome, sizeof outcome);
}

static mm_err_t start(void *context, uint32_t session) {
    mm_sim_client_t *client = context;
    MM_ASSERT(session != 0);
    if (client->state != MM_SIM_CLIENT_IDLE && client->state != MM_SIM_CLIENT_ENDED) {
        return MM_ERR_BUSY;
    }
    client->state = MM_SIM_CLIENT_CONNECTING;
    client->session = session;
    client->deaf = false;
    client->path_cut = false;
    client->forced = false;
    client->resolver_hangs = false;
    client->next_packet_id = mm_random_below(&client->random, WRAP_ONE_IN) == 0 ? WRAP_FIRST_PACKET_ID : 1;
    take_connection_number(client);
    client->up_at = 0;
    client->down_at = 0;
    mm_sim_note(client->broker->sim, client->index, "session_started", session, 0);
    schedule_outcome(client);
    return MM_OK;
}

// --- from outside ------------------------------------------------------------------------------------------------

void mm_sim_path_init(mm_sim_broker_t *self) {
    for (int i = 0; i < MM_SIM_CLIENTS_MAX; i++) {
        mm_sim_client_t *client = &self->clients[i];
        client->broker = self;
        client->index = i;
        client->random = mm_sim_random(self->sim, "broker_client", (uint64_t)i);
        client->port =
            (mm_mqtt_t){.start = start, .subscribe = subscribe, .publish = publish, .stop = stop, .context = client};
    }
}

const mm_mqtt_t *mm_sim_broker_port(mm_sim_broker_t *self, int client, const char *client_id) {
    MM_ASSERT(client >= 0 && client < MM_SIM_CLIENTS_MAX && strlen(client_id) < MM_SIM_CLIENT_ID_BYTES);
    mm_sim_client_t *own = &self->clients[client];
    memset(own->id, 0, sizeof own->id);
    memcpy(own->id, client_id, strlen(client_id));
    own->twins = 0;
    for (int i = 0; i < MM_SIM_CLIENTS_MAX; i++) {
        mm_sim_client_t *other = &self->clients[i];
        other->twins &= ~(UINT64_C(1) << client);
        if (i != client && client_id[0] != '\0' && strcmp(other->id, client_id) == 0) {
            other->twins |= UINT64_C(1) << client;
            own->twins |= UINT64_C(1) << i;
        }
    }
    return &own->port;
}

void mm_sim_broker_set_path(mm_sim_broker_t *self, int client, bool up) {
    MM_ASSERT(client >= 0 && client < MM_SIM_CLIENTS_MAX);
    mm_sim_client_t *own = &self->clients[client];
    if (own->path_is_down == !up) {
        return;
    }
    own->path_is_down = !up;
    bool has_session = own->state == MM_SIM_CLIENT_CONNECTING || own->state == MM_SIM_CLIENT_CONNECTED ||
                       (own->state == MM_SIM_CLIENT_CLOSING && !own->forced);
    if (up || !has_session) {
        return;
    }
    go_deaf(own);
    own->path_cut = true;
    if (own->state == MM_SIM_CLIENT_CLOSING) {
        // The polite answer will not come: the port gives up.
        take_connection_number(own);
        schedule_release(own, mm_sim_now(self->sim) + PATH_CLOSE_US, 0);
    }
}

void mm_sim_broker_drop_client(mm_sim_broker_t *self, int client) {
    MM_ASSERT(client >= 0 && client < MM_SIM_CLIENTS_MAX);
    mm_sim_client_t *own = &self->clients[client];
    if (own->state != MM_SIM_CLIENT_IDLE) {
        go_deaf(own);
    }
    own->boot++;
    own->state = MM_SIM_CLIENT_IDLE;
    own->deaf = false;
    take_connection_number(own);
    drop_held(own);
}

void mm_sim_path_restart(mm_sim_broker_t *self) {
    for (int i = 0; i < MM_SIM_CLIENTS_MAX; i++) {
        mm_sim_client_t *client = &self->clients[i];
        bool is_connected = client->state == MM_SIM_CLIENT_CONNECTED && !client->deaf;
        client->open_connection = 0;
        forget_subscriptions(client);
        if (is_connected && flip_coin(client)) {
            schedule_end(client, now_of(client), MM_SIM_REASON_SHUTTING_DOWN);
        } else if (is_connected) {
            client->deaf = true; // nobody is left to say that it is over
        }
    }
}
