// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_MQTT_CLIENT_H
#define MM_SDK_MQTT_CLIENT_H

#include <esp_err.h>
#include <esp_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef MM_SDK_IS_REAL
typedef struct esp_mqtt_client *esp_mqtt_client_handle_t;
typedef enum {
    MQTT_EVENT_ANY = -1,
    MQTT_EVENT_ERROR = 0,
    MQTT_EVENT_CONNECTED = 1,
    MQTT_EVENT_DISCONNECTED = 2,
    MQTT_EVENT_SUBSCRIBED = 3,
    MQTT_EVENT_PUBLISHED = 5,
    MQTT_EVENT_DATA = 6,
    MQTT_EVENT_BEFORE_CONNECT = 7
} esp_mqtt_event_id_t;
typedef enum {
    MQTT_CONNECTION_ACCEPTED = 0,
    MQTT_CONNECTION_REFUSE_SERVER_UNAVAILABLE = 3,
    MQTT_CONNECTION_REFUSE_NOT_AUTHORIZED = 5
} esp_mqtt_connect_return_code_t;
typedef enum {
    MQTT_ERROR_TYPE_NONE = 0,
    MQTT_ERROR_TYPE_TCP_TRANSPORT = 1,
    MQTT_ERROR_TYPE_CONNECTION_REFUSED = 2
} esp_mqtt_error_type_t;
typedef enum {
    MQTT_TRANSPORT_UNKNOWN = 0,
    MQTT_TRANSPORT_OVER_TCP = 1,
    MQTT_TRANSPORT_OVER_SSL = 2
} esp_mqtt_transport_t;
typedef enum {
    MQTT_PROTOCOL_UNDEFINED = 0,
    MQTT_PROTOCOL_V_3_1_1 = 2
} esp_mqtt_protocol_ver_t;
typedef struct {
    esp_err_t esp_tls_last_esp_err;
    int esp_tls_stack_err;
    esp_mqtt_error_type_t error_type;
    esp_mqtt_connect_return_code_t connect_return_code;
    int esp_transport_sock_errno;
} esp_mqtt_error_codes_t;
/// A message that is longer than the buffer comes in several events; only the first has the topic.
typedef struct {
    esp_mqtt_event_id_t event_id;
    esp_mqtt_client_handle_t client;
    char *data;
    int data_len;
    int total_data_len;
    int current_data_offset;
    char *topic;
    int topic_len;
    int msg_id;
    esp_mqtt_error_codes_t *error_handle;
    bool retain;
} esp_mqtt_event_t;
typedef struct {
    struct {
        struct {
            const char *uri;
            const char *hostname;
            esp_mqtt_transport_t transport;
            uint32_t port;
        } address;
        struct {
            esp_err_t (*crt_bundle_attach)(void *conf);
            const char *certificate;
            size_t certificate_len;
            bool skip_cert_common_name_check;
        } verification;
    } broker;
    struct {
        const char *username;
        const char *client_id;
        bool set_null_client_id;
        struct {
            const char *password;
        } authentication;
    } credentials;
    struct {
        bool disable_clean_session;
        int keepalive;
        bool disable_keepalive;
        esp_mqtt_protocol_ver_t protocol_ver;
        int message_retransmit_timeout;
    } session;
    struct {
        int reconnect_timeout_ms;
        int timeout_ms;
        bool disable_auto_reconnect;
    } network;
    struct {
        int priority;
        int stack_size;
    } task;
    struct {
        int size;
        int out_size;
    } buffer;
} esp_mqtt_client_config_t;
#endif

esp_mqtt_client_handle_t esp_mqtt_client_init(const esp_mqtt_client_config_t *config);
esp_err_t esp_mqtt_client_register_event(esp_mqtt_client_handle_t client, esp_mqtt_event_id_t event,
                                         esp_event_handler_t event_handler, void *event_handler_arg);
esp_err_t esp_mqtt_client_start(esp_mqtt_client_handle_t client);
/// Asks the client's task; does not wait.
esp_err_t esp_mqtt_client_disconnect(esp_mqtt_client_handle_t client);
/// Ends the client's task, waiting for it without a limit. Not from an event's handler.
esp_err_t esp_mqtt_client_destroy(esp_mqtt_client_handle_t client);
/// Both: the packet's id, -1, or -2 if the outbox is full. Both wait for the client's lock.
int esp_mqtt_client_subscribe_single(esp_mqtt_client_handle_t client, const char *topic, int qos);
int esp_mqtt_client_enqueue(esp_mqtt_client_handle_t client, const char *topic, const char *data, int len, int qos,
                            int retain, bool store);

#endif
