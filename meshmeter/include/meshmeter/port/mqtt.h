// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PORT_MQTT_H
#define MM_PORT_MQTT_H

#include "meshmeter/base.h"

/// One MQTT client for one session at a time. The carrier's own outbox, retransmission and reconnection are unused: a
/// session starts clean and everything that belongs to it is destroyed by stop, on every path. Every
/// event carries the session number that the core gave to start; the core ignores events of other sessions.

typedef enum {
    MM_MQTT_EVENT_NONE = 0,
    MM_MQTT_CONNECTED,    ///< CONNACK success
    MM_MQTT_REFUSED,      ///< CONNACK with an error; `reason` = its code
    MM_MQTT_SUBSCRIBED,   ///< SUBACK; `packet_id`; `reason` = granted QoS or >= 0x80
    MM_MQTT_PUBLISHED,    ///< PUBACK; `packet_id`; `reason` = 0, or 0x10 (nobody subscribed), or >= 0x80
    MM_MQTT_DATA,         ///< whole message (reassembled): topic, bytes, retained
    MM_MQTT_DISCONNECTED, ///< connection ended, by whomever
    MM_MQTT_ERROR,        ///< name resolution, TCP or TLS failed
} mm_mqtt_event_kind_t;

typedef struct {
    mm_mqtt_event_kind_t kind;
    uint32_t session;
    uint16_t packet_id;
    uint8_t reason;
    bool retained;
    const char *topic;    ///< DATA: valid during the call that delivers the event
    const uint8_t *bytes; ///< DATA: likewise; a longer message than MM_DOWNLINK_BYTES_MAX has bytes == NULL
    size_t bytes_count;
} mm_mqtt_event_t;

/// None of these blocks; results arrive as events. Broker address and credentials are the port's configuration.
typedef struct {
    /// Begin session `session` (never 0, never repeated within a boot). MM_ERR_BUSY: the last one is still closing.
    mm_err_t (*start)(void *context, uint32_t session);
    /// On success *packet_id is the id that the SUBACK will carry.
    mm_err_t (*subscribe)(void *context, const char *topic, uint8_t qos, uint16_t *packet_id);
    /// QoS 1. The bytes are copied. On success *packet_id (never 0) is the id that the PUBACK will carry.
    mm_err_t (*publish)(void *context, const char *topic, const void *bytes, size_t bytes_count, uint16_t *packet_id);
    /// Disconnect politely if `graceful`, otherwise drop; DISCONNECTED follows when everything is released, also if the
    /// connection had ended before. May follow a graceful stop, to drop what does not end; without a session no effect.
    void (*stop)(void *context, bool graceful);
    void *context;
} mm_mqtt_t;

#endif
