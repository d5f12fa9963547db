// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_MQTT_H
#define MM_ESP_MQTT_H

#include <stdatomic.h>

#include "meshmeter/limits.h"
#include "meshmeter/port/mqtt.h"
#include "mm_esp_settings.h"

/// port/mqtt.h on esp-mqtt 3.1.1: a client for each session, made by start with the credentials in it, destroyed by the
/// worker on every path. DISCONNECTED is posted when it is destroyed, and only then; a connection that ends by itself
/// is an ERROR (or REFUSED), once for each session, and the core stops the session then. Events of the SDK's task go to
/// the owner's queue with the session's number; those of another client are dropped. The SDK's own retransmission and
/// reconnection are off; from its outbox a message goes out once.
///
/// A message in pieces is put together by offset, in one of MM_ESP_MQTT_MESSAGES buffers. While the owner has not given
/// one back (mm_esp_mqtt_release), the next message waits up to MM_ESP_MQTT_DATA_WAIT_MS in the SDK's task and then
/// ends the session: a message that was not delivered must not seem so. That wait ends at once if the owner wants to
/// stop, subscribe or publish, as the SDK holds its lock meanwhile. Two buffers, because a root subscribes to two
/// topics with a retained message each: an ordinary session never waits.
///
/// Subscribe and publish do not wait for the network, but for the SDK's lock. Its task keeps it for as long as it takes
/// a message in, and a broker may send that as slowly as it likes: in the middle of one they wait until
/// MM_ESP_MQTT_LOCK_WAIT_MS and answer MM_ERR_BUSY, which ends the session. While it sends, each step of the network
/// holds the lock for MM_ESP_MQTT_CONNECT_MS at most; nothing here bounds a batch that leaves in many of them while the
/// next one is ready. 4.8 KB.

#define MM_ESP_MQTT_TOPIC_BYTES_MAX 128
#define MM_ESP_MQTT_MESSAGES 2
/// Each step of the SDK on the network: TCP, TLS, CONNACK, a write.
#define MM_ESP_MQTT_CONNECT_MS 10000
#define MM_ESP_MQTT_DATA_WAIT_MS 2000
/// The owner waits for the end of a message that the SDK's task takes in, in far less than the watchdog's time.
#define MM_ESP_MQTT_LOCK_WAIT_MS 2000
/// The SDK's task has begun within this: before, it must not be ended.
#define MM_ESP_MQTT_BEGIN_WAIT_MS 5000
/// The worker destroys a client within this.
#define MM_ESP_MQTT_CLOSE_S 15
#define MM_ESP_MQTT_KEEP_ALIVE_S 60

typedef enum {
    MM_ESP_MQTT_IDLE = 0,
    MM_ESP_MQTT_RUNNING,
    MM_ESP_MQTT_CLOSING, ///< the worker has it, or has done it and DISCONNECTED found no room yet
} mm_esp_mqtt_state_t;

typedef struct {
    bool retained;
    size_t bytes_count;
    char topic[MM_ESP_MQTT_TOPIC_BYTES_MAX + 1];
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
} mm_esp_mqtt_message_t;

/// What the SDK's task does with the pieces that come next.
typedef enum {
    MM_ESP_MQTT_PIECES_NONE = 0, ///< none are expected
    MM_ESP_MQTT_PIECES_KEPT,
    MM_ESP_MQTT_PIECES_DROPPED, ///< of a message that is not for the core
} mm_esp_mqtt_pieces_t;

typedef struct {
    mm_mqtt_t mqtt; ///< for the core
    mm_esp_broker_t broker;
    const char *pinned_ca; ///< PEM, borrowed; NULL = the SDK's bundle. Name and certificate are always verified
    mm_esp_mqtt_state_t state;
    uint32_t session;
    void *client;
    uint32_t job_number;
    bool end_is_told;         ///< ERROR or REFUSED
    uint32_t sessions_failed; ///< a client could not be made or started
    char client_id[13];

    // Shared by the tasks.
    atomic_bool has_begun; ///< the SDK's task
    atomic_bool is_connected;
    atomic_bool stop_wanted;
    atomic_bool lock_wanted;   ///< the owner is about to wait for the SDK's lock
    atomic_bool is_in_message; ///< the SDK's task has a part of one, and keeps its lock until it has the rest
    atomic_bool is_gone;       ///< the client is destroyed
    atomic_uint end;           ///< 0, or what ended the connection: kind, and reason << 8
    atomic_uint posted;        ///< messages; by the SDK's task
    atomic_uint released;      ///< by the owner
    atomic_uint events_stale;
    atomic_uint messages_dropped; ///< a topic that is none of ours
    atomic_uint messages_broken;  ///< pieces do not fit together: ends the session
    atomic_uint messages_late;    ///< no buffer, or no room in the owner's queue: ends the session
    // Of the connection's end, for the log.
    int error_of_sdk;
    int error_of_tls;
    int error_of_socket;

    // The SDK's task's.
    mm_esp_mqtt_pieces_t pieces;
    size_t bytes_seen;
    size_t bytes_total;
    mm_esp_mqtt_message_t messages[MM_ESP_MQTT_MESSAGES];
} mm_esp_mqtt_t;

/// True if start would take this address: "mqtt://HOST[:PORT]" or "mqtts://HOST[:PORT]", a '/' behind it allowed. HOST:
/// a name, an IPv4 address, or an IPv6 address in brackets.
bool mm_esp_mqtt_url_is_good(const char *url);
/// *self must stay where it is. A broker with a bad address: start answers MM_ERR_UNAVAILABLE.
void mm_esp_mqtt_open(mm_esp_mqtt_t *self, mm_mac_t mac, const mm_esp_broker_t *broker, const char *pinned_ca);
/// By the owner, between sessions. MM_ERR_BUSY: its end comes first. MM_ERR_ARG: not an address.
mm_err_t mm_esp_mqtt_set_broker(mm_esp_mqtt_t *self, const mm_esp_broker_t *broker);
/// By the owner, once for each DATA event, also one of an older session, after the core has had it.
void mm_esp_mqtt_release(mm_esp_mqtt_t *self);
/// By the owner, in every turn and when a job ended: gives the client to the worker, and posts DISCONNECTED when it is
/// gone. Returns the next deadline.
mm_us_t mm_esp_mqtt_poll(mm_esp_mqtt_t *self, mm_us_t now);

#endif
