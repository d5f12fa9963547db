// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SIM_BROKER_H
#define MM_SIM_BROKER_H

#include "meshmeter/limits.h"
#include "meshmeter/port/mqtt.h"
#include "sim/sim.h"

/// An MQTT broker with switchable manners, the internet path of each gateway to it, and HQ's connection. Message level:
/// what a client sees of MQTT (events of port/mqtt.h), with every way in which it can go wrong. Deterministic.
///
/// Gateways are clients 0 … MM_SIM_CLIENTS_MAX-1 (one for each node, used while it is root). HQ is one more client with
/// a persistent session that subscribes meter/+/info and publishes retained acknowledgements.

#define MM_SIM_CLIENTS_MAX 64

/// Phases of a session on the path from a gateway to the broker.
typedef enum {
    MM_SIM_PHASE_RESOLVE = 0,
    MM_SIM_PHASE_TCP,
    MM_SIM_PHASE_TLS,
    MM_SIM_PHASE_CONNECT,   ///< CONNECT / CONNACK
    MM_SIM_PHASE_SUBSCRIBE, ///< SUBSCRIBE / SUBACK
    MM_SIM_PHASE_PUBLISH,   ///< PUBLISH / PUBACK
    MM_SIM_PHASE_CLOSE,
    MM_SIM_PHASE_COUNT
} mm_sim_phase_t;

typedef enum {
    MM_SIM_PERSISTENCE_OFF = 0, ///< a restart forgets retained messages, queues and sessions
    MM_SIM_PERSISTENCE_LATE,    ///< it goes back to the last autosave (every 1,800 s, Mosquitto's default)
    MM_SIM_PERSISTENCE_ON,
} mm_sim_persistence_t;

/// Chances are in millionths, per occasion. All zero: a broker without fault.
typedef struct {
    mm_sim_persistence_t persistence;
    uint32_t stall[MM_SIM_PHASE_COUNT];  ///< no answer any more, for the rest of this session
    uint32_t refuse[MM_SIM_PHASE_COUNT]; ///< a clean "no": error event, CONNACK/SUBACK/PUBACK with a reason code of the
                                         ///< standard, each of them in turn
    uint32_t reset[MM_SIM_PHASE_COUNT];  ///< the connection ends; what was on its way to the broker may have arrived
    uint32_t puback_lost;
    uint32_t puback_repeated;
    uint32_t puback_late;        ///< behind others, or in the gateway's next session
    uint32_t no_subscriber;      ///< PUBACK with reason 0x10 and the message is gone
    uint32_t message_lost;       ///< confirmed to the gateway, never given to HQ
    uint32_t message_repeated;   ///< given to HQ twice
    uint32_t message_delayed;    ///< given to HQ behind later ones (up to an hour)
    uint32_t retained_lost;      ///< per subscription: the retained message is not sent
    uint32_t retained_stale;     ///< per subscription: an older retained message is sent (fail-over to an old replica)
    uint32_t queue_messages_max; ///< for HQ while it is away; 0 = 1,000 (Mosquitto's default); beyond it: dropped
    uint32_t message_bytes_max;  ///< 0 = no limit; larger ones end the connection
    mm_us_t latency_us;          ///< one way, at least 1; a random part of up to the same is added
} mm_sim_manners_t;

typedef struct mm_sim_broker mm_sim_broker_t;

typedef struct {
    /// Event for a gateway. Its bytes are valid during the call.
    void (*to_gateway)(void *context, int client, const mm_mqtt_event_t *event);
    /// Message for HQ; only while it is connected.
    void (*to_hq)(void *context, const char *topic, const void *bytes, size_t bytes_count);
    void *context;
} mm_sim_broker_receivers_t;

mm_sim_broker_t *mm_sim_broker_create(mm_sim_t *sim, const mm_sim_manners_t *manners,
                                      const mm_sim_broker_receivers_t *receivers);
void mm_sim_broker_destroy(mm_sim_broker_t *self);
/// In force from now on.
void mm_sim_broker_set_manners(mm_sim_broker_t *self, const mm_sim_manners_t *manners);

/// The port of one gateway. client_id: two clients with the same one throw each other out (takeover).
const mm_mqtt_t *mm_sim_broker_port(mm_sim_broker_t *self, int client, const char *client_id);
/// The gateway's router. Down: a session under way is dead (no event comes any more but the answer to stop), new ones
/// fail after a while.
void mm_sim_broker_set_path(mm_sim_broker_t *self, int client, bool up);
/// The gateway lost its power: nothing of its session is delivered any more.
void mm_sim_broker_drop_client(mm_sim_broker_t *self, int client);
/// The broker dies and comes back at `back_at`; what it knows then is as its persistence says.
void mm_sim_broker_restart(mm_sim_broker_t *self, mm_us_t back_at);

void mm_sim_broker_hq_connect(mm_sim_broker_t *self);
/// Its session stays: messages are queued up to queue_messages_max.
void mm_sim_broker_hq_disconnect(mm_sim_broker_t *self);
/// Retained; an empty message clears. While the broker is down it is lost: HQ publishes all again after a connect.
void mm_sim_broker_hq_publish(mm_sim_broker_t *self, const char *topic, const void *bytes, size_t bytes_count);
/// True while HQ is connected to a broker that is up.
bool mm_sim_broker_hq_is_connected(const mm_sim_broker_t *self);
/// A message from anybody (an original gateway, a stranger), as if published.
void mm_sim_broker_publish(mm_sim_broker_t *self, const char *topic, const void *bytes, size_t bytes_count);

#endif
