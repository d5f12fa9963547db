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
/// a persistent session that subscribes meter/+/info and the topics of the original gateways (meter/911, meter/install,
/// meter/disco), and publishes retained acknowledgements.
///
/// A calm session costs one event for the connect, one for each subscription, three for each message and one for the
/// end: what name resolution, TCP, TLS and CONNECT are going to meet is decided when the session starts.
///
/// HQ confirms a message to the broker as soon as it has it, whatever it does with it then. What it was given and did
/// not confirm yet (one latency) is given again when it connects again.

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
    MM_SIM_PERSISTENCE_LATE, ///< it goes back to the last autosave (every 1,800 s from its start, Mosquitto's default)
    MM_SIM_PERSISTENCE_ON,   ///< on disk before it is confirmed
} mm_sim_persistence_t;

/// Chances are in millionths, per occasion. All zero: a broker without fault.
typedef struct {
    mm_sim_persistence_t persistence;
    uint32_t stall[MM_SIM_PHASE_COUNT];  ///< no answer any more, for the rest of this session
    uint32_t refuse[MM_SIM_PHASE_COUNT]; ///< a clean "no": error event, CONNACK/SUBACK/PUBACK/DISCONNECT with a reason
                                         ///< code of the standard, each of them in turn (SUBACK: QoS 0 and 2 as well)
    uint32_t reset[MM_SIM_PHASE_COUNT];  ///< the connection ends, with each reason code in turn; what was on its way to
                                         ///< the broker may have arrived
    uint32_t puback_lost;
    uint32_t puback_repeated;
    uint32_t puback_late;        ///< behind others, behind the end of its session, or in the gateway's next session
    uint32_t no_subscriber;      ///< PUBACK with reason 0x10 and the message is gone
    uint32_t message_lost;       ///< confirmed to the gateway, never given to HQ
    uint32_t message_repeated;   ///< given to HQ twice
    uint32_t message_delayed;    ///< given to HQ behind later ones (up to an hour)
    uint32_t retained_lost;      ///< per subscription: the retained message is not sent
    uint32_t retained_stale;     ///< per subscription: the retained message before the last one is sent, if there was
                                 ///< one (fail-over to an old replica)
    uint32_t queue_messages_max; ///< for HQ while it is away; 0 = 1,000 (Mosquitto's default); beyond it: dropped
    uint32_t message_bytes_max;  ///< 0 = no limit; larger ones end the connection
    mm_us_t latency_us;          ///< one way, 1 (also if it is 0) … 60 s; a random part of up to the same is added
} mm_sim_manners_t;

typedef struct mm_sim_broker mm_sim_broker_t;

typedef struct {
    /// Event for a gateway. Its bytes are valid during the call.
    void (*to_gateway)(void *context, int client, const mm_mqtt_event_t *event);
    /// Message for HQ; only while it is connected.
    void (*to_hq)(void *context, const char *topic, const void *bytes, size_t bytes_count);
    void *context;
} mm_sim_broker_receivers_t;

/// sim is borrowed. Nobody is connected, all paths are up.
mm_sim_broker_t *mm_sim_broker_create(mm_sim_t *sim, const mm_sim_manners_t *manners,
                                      const mm_sim_broker_receivers_t *receivers);
/// No event of the queue may run afterwards. NULL is allowed.
void mm_sim_broker_destroy(mm_sim_broker_t *self);
/// In force from now on.
void mm_sim_broker_set_manners(mm_sim_broker_t *self, const mm_sim_manners_t *manners);

/// The port of one gateway. client_id: two clients with the same one throw each other out (takeover). It may be asked
/// for again with another id, in force from the next session on.
const mm_mqtt_t *mm_sim_broker_port(mm_sim_broker_t *self, int client, const char *client_id);
/// The gateway's router. Down: a session under way is dead (no event comes any more but the answer to stop), new ones
/// fail after a while.
void mm_sim_broker_set_path(mm_sim_broker_t *self, int client, bool up);
/// The gateway lost its power: nothing of its session is delivered any more.
void mm_sim_broker_drop_client(mm_sim_broker_t *self, int client);
/// The broker dies and comes back at `back_at`; what it knows then is as its persistence says.
void mm_sim_broker_restart(mm_sim_broker_t *self, mm_us_t back_at);

void mm_sim_broker_hq_connect(mm_sim_broker_t *self);
/// HQ may do both at any time; connect while the broker is down does nothing, and a restart ends the connection without
/// a word (see is_connected). Its session stays: messages are queued up to queue_messages_max. Before the first
/// connect, and after a restart that forgot it, there is none, and gateways get PUBACK 0x10.
void mm_sim_broker_hq_disconnect(mm_sim_broker_t *self);
/// Retained; an empty message clears. While the broker is down it is lost: HQ publishes all again after a connect.
void mm_sim_broker_hq_publish(mm_sim_broker_t *self, const char *topic, const void *bytes, size_t bytes_count);
/// True while HQ is connected to a broker that is up.
bool mm_sim_broker_hq_is_connected(const mm_sim_broker_t *self);
/// A message from anybody (an original gateway, a stranger), as if published.
void mm_sim_broker_publish(mm_sim_broker_t *self, const char *topic, const void *bytes, size_t bytes_count);

#endif
