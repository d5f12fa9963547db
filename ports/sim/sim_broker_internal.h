// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SIM_BROKER_INTERNAL_H
#define MM_SIM_BROKER_INTERNAL_H

#include "sim/sim_broker.h"

/// Between the files of the broker: sim_broker.c owns its life, sim_broker_path.c what is between a gateway and the
/// broker, sim_broker_store.c messages, retained messages and HQ's session.

#define MM_SIM_AUTOSAVE_US (1800 * MM_US_PER_S)
#define MM_SIM_QUEUE_MESSAGES_DEFAULT 1000
/// Topics that are retained or subscribed to; beyond it the broker refuses.
#define MM_SIM_TOPICS_MAX 1024
#define MM_SIM_TOPIC_SLOTS 2048 // power of two, at least twice the topics: an open hash table
#define MM_SIM_SUBSCRIPTIONS_MAX 8
#define MM_SIM_HELD_MAX 4
#define MM_SIM_CLIENT_ID_BYTES 64

#define MM_SIM_REASON_NO_SUBSCRIBER 0x10
#define MM_SIM_REASON_SHUTTING_DOWN 0x8B
#define MM_SIM_REASON_TAKEN_OVER 0x8E
#define MM_SIM_REASON_TOO_LARGE 0x95
#define MM_SIM_REASON_QUOTA 0x97

/// One message, wherever it is: under way, in HQ's queue, retained, in the saved state. Counted references; all that
/// live are in one list, because events that never run hold some.
typedef struct mm_sim_message mm_sim_message_t;
struct mm_sim_message {
    mm_sim_message_t *previous;
    mm_sim_message_t *next;
    uint32_t references;
    int client; ///< who published it; -1 = HQ or a stranger
    bool is_for_hq;
    bool stored;    ///< was in HQ's queue
    bool confirmed; ///< its gateway got a good PUBACK, in its session
    bool missed;    ///< UNCONFIRMED_BUT_STORED was said
    bool given;     ///< to HQ
    size_t bytes_count;
    const uint8_t *bytes; ///< never NULL
    char topic[];         ///< then the bytes
};

typedef struct {
    char *name;
    uint64_t subscribers; ///< one bit a gateway
    mm_sim_message_t *value;
    mm_sim_message_t *previous_value; ///< another one than value, or NULL
    mm_sim_message_t *saved_value; ///< as of saved_at, if that is the last autosave; else value was not changed since
    mm_us_t saved_at;
} mm_sim_topic_t;

typedef enum {
    MM_SIM_CLIENT_IDLE = 0,
    MM_SIM_CLIENT_CONNECTING,
    MM_SIM_CLIENT_CONNECTED,
    MM_SIM_CLIENT_ENDED, ///< by itself, and was told so; not stopped yet
    MM_SIM_CLIENT_CLOSING,
} mm_sim_client_state_t;

/// PUBACK under way. Fits an event without another allocation.
typedef struct {
    mm_sim_message_t *message; ///< one reference
    uint32_t boot;
    uint32_t connection;
    uint32_t session;
    uint16_t packet_id;
    uint8_t reason;
    bool late;     ///< may come behind the end of its session
    bool repeated; ///< not the first one
} mm_sim_puback_t;

typedef struct {
    mm_sim_broker_t *broker;
    int index;
    mm_mqtt_t port;
    char id[MM_SIM_CLIENT_ID_BYTES];
    uint64_t twins; ///< other clients of the same id
    mm_random_t random;
    mm_sim_client_state_t state;
    bool path_is_down;
    bool deaf;     ///< nothing arrives any more in this session
    bool path_cut; ///< deaf because the router went down: the port itself ends a graceful stop
    bool forced;   ///< CLOSING: dropped, DISCONNECTED is on its way
    bool resolver_hangs;
    uint32_t boot;            ///< counts losses of power
    uint32_t session;         ///< the core's number
    uint32_t connection;      ///< our number of the current connection; events of others are void
    uint32_t open_connection; ///< the one that the broker reads from; 0 = none
    uint16_t next_packet_id;
    mm_us_t up_at;   ///< last arrival under way to the broker: one connection does not reorder
    mm_us_t down_at; ///< … to the gateway
    size_t subscription_count;
    uint16_t subscriptions[MM_SIM_SUBSCRIPTIONS_MAX];
    size_t held_count;
    mm_sim_puback_t held[MM_SIM_HELD_MAX]; ///< PUBACKs kept for the next session
} mm_sim_client_t;

#define MM_SIM_NO_ENTRY UINT32_MAX

/// Place of a message in HQ's session. In one of two lists, oldest first: `waiting` (not given yet in this connection)
/// and `given` (HQ's confirmation is on its way until confirmed_at).
typedef struct {
    mm_sim_message_t *message;
    uint32_t previous;
    uint32_t next;
    mm_us_t confirmed_at;
} mm_sim_entry_t;

typedef struct {
    uint32_t first;
    uint32_t last;
    uint32_t count;
} mm_sim_entry_list_t;

typedef struct {
    bool connected;
    bool has_session;
    uint32_t connection; ///< counts connects and disconnects
    mm_random_t random;
    mm_us_t down_at;
    mm_sim_entry_t *entries;
    uint32_t entries_capacity;
    mm_sim_entry_list_t free;
    mm_sim_entry_list_t waiting;
    mm_sim_entry_list_t given;
    // As of saved_at, if that is the last autosave; else nothing was changed since.
    mm_us_t saved_at;
    bool saved_session;
    mm_sim_message_t **saved;
    uint32_t saved_count;
    uint32_t saved_capacity;
} mm_sim_hq_link_t;

struct mm_sim_broker {
    mm_sim_t *sim;
    mm_sim_manners_t manners;
    mm_sim_broker_receivers_t receivers;
    bool up;
    bool destroyed; ///< messages that are freed now are not lost
    uint32_t life;  ///< counts restarts
    mm_us_t up_since;
    uint32_t next_connection;
    uint32_t connack_turn;
    uint32_t suback_turn;
    uint32_t puback_turn;
    uint32_t disconnect_turn;
    mm_sim_message_t *messages;
    mm_sim_client_t clients[MM_SIM_CLIENTS_MAX];
    mm_sim_hq_link_t hq;
    mm_sim_topic_t *topics;
    uint32_t topic_count;
    uint16_t topic_slots[MM_SIM_TOPIC_SLOTS]; ///< index + 1; 0 = free
};

/// `hops` times the latency, and a random part of up to the same.
mm_us_t mm_sim_broker_hops_us(const mm_sim_broker_t *self, mm_random_t *random, uint32_t hops);

// --- sim_broker_store.c
/// With one reference.
mm_sim_message_t *mm_sim_message_create(mm_sim_broker_t *self, int client, const char *topic, const void *bytes,
                                        size_t bytes_count);
mm_sim_message_t *mm_sim_message_keep(mm_sim_message_t *message);
/// NULL is allowed.
void mm_sim_message_release(mm_sim_broker_t *self, mm_sim_message_t *message);
/// The index; `create`: make a new one if it is not there. False: there is none.
bool mm_sim_broker_find_topic(mm_sim_broker_t *self, const char *topic, bool create, uint16_t *topic_index);
/// Give it to HQ's session or to the gateways that subscribed; returns the PUBACK's reason, 0 or 0x10.
uint8_t mm_sim_broker_route(mm_sim_broker_t *self, mm_sim_message_t *message);
/// What a new subscriber gets, by the manners; NULL = nothing. With one reference.
mm_sim_message_t *mm_sim_broker_retained(mm_sim_broker_t *self, uint16_t topic_index, mm_random_t *random, int client);
void mm_sim_store_init(mm_sim_broker_t *self);
/// The broker died: go back to what is on its disk.
void mm_sim_store_restart(mm_sim_broker_t *self);
void mm_sim_store_deinit(mm_sim_broker_t *self);

// --- sim_broker_path.c
void mm_sim_path_init(mm_sim_broker_t *self);
/// The broker died: end or freeze all connections.
void mm_sim_path_restart(mm_sim_broker_t *self);
/// A message on a topic that this gateway subscribed to.
void mm_sim_path_send_data(mm_sim_client_t *client, mm_sim_message_t *message);

#endif
