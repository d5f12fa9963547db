// SPDX-License-Identifier: Apache-2.0
#include "fake_mqtt.h"

#include <stdio.h>
#include <string.h>

#include "fake.h"

#define CLIENTS_MAX 64

struct esp_mqtt_client {
    bool is_live;
    bool is_started;
    bool is_connected;
    bool is_in_message; // its task has its lock until the rest comes (esp-mqtt, deliver_publish)
    esp_event_handler_t handler;
    void *arg;
};

static fake_mqtt_t s_mqtt;
static struct esp_mqtt_client s_clients[CLIENTS_MAX];
static int s_last_packet_id;
static unsigned s_handler_depth;

static void reset(void) {
    memset(s_clients, 0, sizeof s_clients);
    s_mqtt = (fake_mqtt_t){0};
    s_last_packet_id = 0;
    s_handler_depth = 0;
}

FAKE_ON_RESET(reset)

fake_mqtt_t *fake_mqtt(void) {
    return &s_mqtt;
}

esp_mqtt_client_handle_t fake_mqtt_client(void) {
    return s_mqtt.made_count > 0 ? &s_clients[s_mqtt.made_count - 1] : NULL;
}

bool fake_mqtt_is_started(esp_mqtt_client_handle_t client) {
    return client != NULL && client->is_live && client->is_started;
}

static struct esp_mqtt_client *check(esp_mqtt_client_handle_t client) {
    if (client == NULL || !client->is_live) {
        fake_abort("an MQTT client that is gone");
    }
    return client;
}

static bool copy(char *to, size_t capacity_bytes, const char *from) {
    (void)snprintf(to, capacity_bytes, "%s", from != NULL ? from : "");
    return from != NULL;
}

// As the SDK: a certificate without TLS, and an address that it could not use, are refused.
static bool is_possible(const esp_mqtt_client_config_t *config) {
    bool tls = config->broker.address.transport == MQTT_TRANSPORT_OVER_SSL;
    return config->broker.address.uri == NULL && config->broker.address.hostname != NULL &&
           config->broker.address.transport != MQTT_TRANSPORT_UNKNOWN &&
           (tls || config->broker.verification.certificate == NULL);
}

esp_mqtt_client_handle_t esp_mqtt_client_init(const esp_mqtt_client_config_t *config) {
    if (fake_call_fails() || !is_possible(config)) {
        return NULL;
    }
    if (s_mqtt.made_count == CLIENTS_MAX) {
        fake_abort("more than %d MQTT clients", CLIENTS_MAX);
    }
    s_mqtt.config = *config;
    (void)copy(s_mqtt.host, sizeof s_mqtt.host, config->broker.address.hostname);
    (void)copy(s_mqtt.client_id, sizeof s_mqtt.client_id, config->credentials.client_id);
    s_mqtt.has_user = copy(s_mqtt.user, sizeof s_mqtt.user, config->credentials.username);
    (void)copy(s_mqtt.password, sizeof s_mqtt.password, config->credentials.authentication.password);
    struct esp_mqtt_client *client = &s_clients[s_mqtt.made_count++];
    *client = (struct esp_mqtt_client){.is_live = true};
    s_mqtt.live_count++;
    return client;
}

esp_err_t esp_mqtt_client_register_event(esp_mqtt_client_handle_t client, esp_mqtt_event_id_t event,
                                         esp_event_handler_t event_handler, void *event_handler_arg) {
    struct esp_mqtt_client *self = check(client);
    if (event != MQTT_EVENT_ANY || self->handler != NULL) {
        fake_abort("only one handler, for every event");
    }
    if (fake_call_fails()) {
        return ESP_ERR_NO_MEM;
    }
    self->handler = event_handler;
    self->arg = event_handler_arg;
    return ESP_OK;
}

esp_err_t esp_mqtt_client_start(esp_mqtt_client_handle_t client) {
    struct esp_mqtt_client *self = check(client);
    if (self->is_started || self->handler == NULL) {
        fake_abort("an MQTT client that is started twice, or deaf");
    }
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    self->is_started = true;
    return ESP_OK;
}

esp_err_t esp_mqtt_client_disconnect(esp_mqtt_client_handle_t client) {
    (void)check(client);
    s_mqtt.disconnects++;
    return ESP_OK;
}

esp_err_t esp_mqtt_client_destroy(esp_mqtt_client_handle_t client) {
    struct esp_mqtt_client *self = check(client);
    if (s_handler_depth != 0) {
        fake_abort("an MQTT client that is destroyed in its handler would wait for itself");
    }
    self->is_live = false;
    self->is_connected = false;
    s_mqtt.live_count--;
    return ESP_OK;
}

static int send_packet(esp_mqtt_client_handle_t client, fake_mqtt_sent_t *sent) {
    (void)check(client);
    if (s_handler_depth != 0) {
        fake_abort("waits for the lock of an MQTT client in its handler");
    }
    if (client->is_in_message) {
        fake_abort("waits for the lock of an MQTT client for as long as a broker takes to send the rest of a message");
    }
    if (s_mqtt.while_locked != NULL) {
        s_mqtt.while_locked(s_mqtt.context);
    }
    if (s_mqtt.refuse_with != 0 || fake_call_fails()) {
        return s_mqtt.refuse_with != 0 ? s_mqtt.refuse_with : -1;
    }
    if (s_mqtt.sent_count == FAKE_MQTT_SENT_MAX) {
        fake_abort("more than %d MQTT packets", FAKE_MQTT_SENT_MAX);
    }
    sent->packet_id = ++s_last_packet_id;
    s_mqtt.sent[s_mqtt.sent_count++] = *sent;
    return sent->packet_id;
}

int esp_mqtt_client_subscribe_single(esp_mqtt_client_handle_t client, const char *topic, int qos) {
    if (!check(client)->is_connected) {
        return -1;
    }
    fake_mqtt_sent_t sent = {.is_subscribe = true, .qos = qos};
    (void)copy(sent.topic, sizeof sent.topic, topic);
    return send_packet(client, &sent);
}

int esp_mqtt_client_enqueue(esp_mqtt_client_handle_t client, const char *topic, const char *data, int len, int qos,
                            int retain, bool store) {
    if (data != NULL && len <= 0) {
        len = (int)strlen(data); // what the SDK does
    }
    if (retain != 0 || !store) {
        fake_abort("readings are neither retained nor lost");
    }
    fake_mqtt_sent_t sent = {.qos = qos, .bytes_count = (size_t)len, .had_data = data != NULL};
    (void)copy(sent.topic, sizeof sent.topic, topic);
    if (data != NULL) {
        memcpy(sent.bytes, data, (size_t)len < sizeof sent.bytes ? (size_t)len : sizeof sent.bytes);
    }
    return send_packet(client, &sent);
}

// --- what the broker and the task do -------------------------------------------------------------------------------

void fake_mqtt_event_of_gone(esp_mqtt_client_handle_t client, esp_mqtt_event_t event) {
    event.client = client;
    if (event.event_id == MQTT_EVENT_DATA) {
        client->is_in_message = (int64_t)event.current_data_offset + event.data_len < event.total_data_len;
    }
    s_handler_depth++;
    client->handler(client->arg, "MQTT_EVENTS", event.event_id, &event);
    s_handler_depth--;
}

void fake_mqtt_event(esp_mqtt_client_handle_t client, esp_mqtt_event_t event) {
    if (!check(client)->is_started) {
        fake_abort("events of an MQTT client that was not started");
    }
    fake_mqtt_event_of_gone(client, event);
}

void fake_mqtt_begin(void) {
    fake_mqtt_event(fake_mqtt_client(), (esp_mqtt_event_t){.event_id = MQTT_EVENT_BEFORE_CONNECT});
}

void fake_mqtt_accept(void) {
    fake_mqtt_begin();
    fake_mqtt_client()->is_connected = true;
    fake_mqtt_event(fake_mqtt_client(), (esp_mqtt_event_t){.event_id = MQTT_EVENT_CONNECTED});
}

void fake_mqtt_lose(void) {
    fake_mqtt_client()->is_connected = false;
    fake_mqtt_event(fake_mqtt_client(), (esp_mqtt_event_t){.event_id = MQTT_EVENT_DISCONNECTED});
}

void fake_mqtt_refuse(esp_mqtt_connect_return_code_t code) {
    esp_mqtt_error_codes_t error = {.error_type = MQTT_ERROR_TYPE_CONNECTION_REFUSED, .connect_return_code = code};
    fake_mqtt_begin();
    fake_mqtt_event(fake_mqtt_client(), (esp_mqtt_event_t){.event_id = MQTT_EVENT_ERROR, .error_handle = &error});
    fake_mqtt_lose();
}

void fake_mqtt_suback(int packet_id, int granted) {
    char data[1] = {(char)granted};
    fake_mqtt_event(fake_mqtt_client(), (esp_mqtt_event_t){.event_id = MQTT_EVENT_SUBSCRIBED,
                                                           .msg_id = packet_id,
                                                           .data = granted >= 0 ? data : NULL,
                                                           .data_len = granted >= 0 ? 1 : 0});
}

void fake_mqtt_puback(int packet_id) {
    fake_mqtt_event(fake_mqtt_client(), (esp_mqtt_event_t){.event_id = MQTT_EVENT_PUBLISHED, .msg_id = packet_id});
}

void fake_mqtt_data(const char *topic, const void *bytes, size_t bytes_count, size_t piece_bytes) {
    static uint8_t piece[8192];
    char text[256];
    size_t topic_bytes = strlen(topic);
    memcpy(text, topic, topic_bytes);
    size_t offset = 0;
    do {
        size_t left = bytes_count - offset;
        size_t count = piece_bytes != 0 && piece_bytes < left ? piece_bytes : left;
        memcpy(piece, (const uint8_t *)bytes + offset, count);
        fake_mqtt_event(fake_mqtt_client(), (esp_mqtt_event_t){.event_id = MQTT_EVENT_DATA,
                                                               .data = count > 0 ? (char *)piece : NULL,
                                                               .data_len = (int)count,
                                                               .total_data_len = (int)bytes_count,
                                                               .current_data_offset = (int)offset,
                                                               .topic = offset == 0 ? text : NULL,
                                                               .topic_len = offset == 0 ? (int)topic_bytes : 0,
                                                               .retain = true});
        memset(piece, 0xEE, count); // the SDK's buffer is used again
        offset += count;
    } while (offset < bytes_count);
    memset(text, 'x', topic_bytes);
}
