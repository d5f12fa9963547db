// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_MQTT_H
#define MM_TEST_FAKE_MQTT_H

#include <mqtt_client.h>
#include <stdbool.h>
#include <stddef.h>

/// esp-mqtt without a network: the test says what the broker and the SDK's task do. A client that is not destroyed, one
/// that is destroyed twice or from its own handler, and a call with a client that is gone end the test program.

#define FAKE_MQTT_SENT_MAX 128

typedef struct {
    bool is_subscribe;
    int packet_id;
    int qos;
    char topic[64];
    size_t bytes_count;
    bool had_data;     ///< NULL was not given
    uint8_t bytes[64]; ///< the first of them
} fake_mqtt_sent_t;

typedef struct {
    // What the newest client was made with; texts are copies.
    esp_mqtt_client_config_t config;
    char host[128];
    char client_id[32];
    char user[80];
    char password[80];
    bool has_user;
    unsigned made_count;
    unsigned live_count; ///< not destroyed
    unsigned disconnects;
    fake_mqtt_sent_t sent[FAKE_MQTT_SENT_MAX];
    unsigned sent_count;
    int refuse_with; ///< what subscribe and enqueue return if it is not 0
    /// Called by subscribe and enqueue: what the SDK's task does while the caller waits for its lock.
    void (*while_locked)(void *context);
    void *context;
} fake_mqtt_t;

/// May be changed by the test.
fake_mqtt_t *fake_mqtt(void);
/// The newest client, also if it is destroyed; NULL: none was made.
esp_mqtt_client_handle_t fake_mqtt_client(void);
bool fake_mqtt_is_started(esp_mqtt_client_handle_t client);

/// As the task of this client: call its handler, if it is started. `event` needs what belongs to its id.
void fake_mqtt_event(esp_mqtt_client_handle_t client, esp_mqtt_event_t event);
/// As above, but also of a client that is destroyed: what no SDK should do.
void fake_mqtt_event_of_gone(esp_mqtt_client_handle_t client, esp_mqtt_event_t event);
void fake_mqtt_begin(void);  ///< the task runs
void fake_mqtt_accept(void); ///< and CONNACK comes
void fake_mqtt_refuse(esp_mqtt_connect_return_code_t code);
void fake_mqtt_lose(void); ///< the connection
void fake_mqtt_suback(int packet_id, int granted);
void fake_mqtt_puback(int packet_id);
/// A message, in pieces of this size; 0 = in one.
void fake_mqtt_data(const char *topic, const void *bytes, size_t bytes_count, size_t piece_bytes);

#endif
