// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_MQTT_H
#define MM_ESP_MQTT_H

#include "meshmeter/limits.h"
#include "meshmeter/port/mqtt.h"
#include "mm_esp_settings.h"

/// port/mqtt.h on esp-mqtt 3.1.1: a client for each session, made by start with the credentials in it, destroyed by the
/// worker on every path. DISCONNECTED is posted when it is destroyed. Events of the SDK's task go to the owner's queue
/// with the session's number; those of another session are dropped.
///
/// A message in pieces is put together in one buffer by offset. There is one: while the owner has not given it back
/// (mm_esp_mqtt_release), the next message waits up to MM_ESP_MQTT_DATA_WAIT_MS in the SDK's task and then ends the
/// session: a message that was not delivered must not seem so.

#define MM_ESP_MQTT_TOPIC_BYTES_MAX 128
// no wait(MM_ESP_MQTT_CONNECT_MS): its code is not written yet
// no wait(MM_ESP_MQTT_DATA_WAIT_MS): its code is not written yet
// no wait(MM_ESP_MQTT_CLOSE_S): its code is not written yet
#define MM_ESP_MQTT_CONNECT_MS 10000
#define MM_ESP_MQTT_DATA_WAIT_MS 2000
/// The worker destroys a client within this.
#define MM_ESP_MQTT_CLOSE_S 15

typedef enum {
    MM_ESP_MQTT_IDLE = 0,
    MM_ESP_MQTT_RUNNING,
    MM_ESP_MQTT_CLOSING, ///< the worker has it
} mm_esp_mqtt_state_t;

typedef struct {
    mm_mqtt_t mqtt; ///< for the core
    mm_mac_t mac;
    mm_esp_broker_t broker;
    const char *pinned_ca; ///< PEM, borrowed; NULL = the SDK's bundle. Name and certificate are always verified
    mm_esp_mqtt_state_t state;
    uint32_t session;
    void *client;
    uint32_t job_number;
    bool graceful;
    bool stop_wanted;
    uint32_t events_stale;
    uint32_t sessions_failed; ///< a client could not be made or started
    volatile bool data_taken; ///< the buffer is the owner's
    bool data_is_whole;
    size_t data_bytes;
    char client_id[13];
    char topic[MM_ESP_MQTT_TOPIC_BYTES_MAX + 1];
    uint8_t data[MM_DOWNLINK_BYTES_MAX];
} mm_esp_mqtt_t;

/// True if start would take this address: "mqtt://HOST[:PORT]" or "mqtts://HOST[:PORT]".
bool mm_esp_mqtt_url_is_good(const char *url);
void mm_esp_mqtt_open(mm_esp_mqtt_t *self, mm_mac_t mac, const mm_esp_broker_t *broker, const char *pinned_ca);
/// By the owner, between sessions. MM_ERR_BUSY: its end comes first. MM_ERR_ARG: not an address.
mm_err_t mm_esp_mqtt_set_broker(mm_esp_mqtt_t *self, const mm_esp_broker_t *broker);
/// By the owner, after the core has had a DATA event.
void mm_esp_mqtt_release(mm_esp_mqtt_t *self);
/// By the owner, in every turn and when a job ended: gives the client to the worker, and posts DISCONNECTED when it is
/// gone. Returns the next deadline.
mm_us_t mm_esp_mqtt_poll(mm_esp_mqtt_t *self, mm_us_t now);

#endif
