// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_mqtt.h"

#include <esp_crt_bundle.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>
#include <limits.h>
#include <mqtt_client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mm_esp_log.h"
#include "mm_esp_owner.h"

// Of the SDK's task; TLS needs the stack.
#define TASK_STACK_BYTES 6144
#define TASK_PRIORITY 5
// What is longer comes, and goes, in pieces.
#define BUFFER_BYTES 1024
// The core sends again, in another session, what was not acknowledged: longer than any session.
#define RETRANSMIT_MS 3600000
#define RETRY_MS 100
// SUBACK of the broker's that names no quality: refused.
#define SUBSCRIBE_REFUSED 0x80

// --- address -------------------------------------------------------------------------------------------------------

typedef struct {
    char host[MM_BROKER_URL_CHARS_MAX + 1];
    uint16_t port;
    bool tls;
} address_t;

static bool parse_port(const char *text, size_t digits, uint16_t *port) {
    uint32_t number = 0;
    for (size_t i = 0; i < digits; i++) {
        number = number * 10 + (uint32_t)(text[i] - '0');
    }
    *port = (uint16_t)number;
    return number >= 1 && number <= UINT16_MAX;
}

static bool parse_url(const char *url, address_t *self) {
    static const char plain[] = "mqtt://";
    static const char secured[] = "mqtts://";
    static const char of_name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    static const char of_number[] = "0123456789abcdefABCDEF:.";
    if (strnlen(url, MM_BROKER_URL_CHARS_MAX + 1) > MM_BROKER_URL_CHARS_MAX) {
        return false;
    }
    self->tls = strncmp(url, secured, sizeof secured - 1) == 0;
    if (!self->tls && strncmp(url, plain, sizeof plain - 1) != 0) {
        return false;
    }
    const char *host = url + (self->tls ? sizeof secured : sizeof plain) - 1;
    bool is_number = *host == '[';
    host += is_number ? 1 : 0;
    size_t host_bytes = strspn(host, is_number ? of_number : of_name);
    const char *rest = host + host_bytes;
    if (host_bytes == 0 || (is_number && *rest++ != ']')) {
        return false;
    }
    memcpy(self->host, host, host_bytes);
    self->host[host_bytes] = '\0';
    self->port = self->tls ? 8883 : 1883;
    if (*rest == ':') {
        size_t digits = strspn(++rest, "0123456789");
        if (digits == 0 || digits > 5 || !parse_port(rest, digits, &self->port)) {
            return false;
        }
        rest += digits;
    }
    return *rest == '\0' || strcmp(rest, "/") == 0;
}

bool mm_esp_mqtt_url_is_good(const char *url) {
    address_t address;
    return parse_url(url, &address);
}

// --- the SDK's task ------------------------------------------------------------------------------------------------

// The connection is over: said to the core once, by poll, whatever room the queue has now.
static void end_connection(mm_esp_mqtt_t *self, mm_mqtt_event_kind_t kind, uint8_t reason) {
    unsigned none = 0;
    if (atomic_compare_exchange_strong(&self->end, &none, (unsigned)kind | (unsigned)reason << 8)) {
        (void)mm_esp_owner_post_wake();
    }
}

static bool post(mm_esp_mqtt_t *self, mm_mqtt_event_kind_t kind, int packet_id, uint8_t reason) {
    const mm_mqtt_event_t event = {
        .kind = kind, .session = self->session, .packet_id = (uint16_t)packet_id, .reason = reason};
    return mm_esp_owner_post_mqtt(&event);
}

static bool is_ending(mm_esp_mqtt_t *self) {
    return atomic_load(&self->stop_wanted) || atomic_load(&self->end) != 0;
}

static bool has_free_message(mm_esp_mqtt_t *self) {
    return atomic_load(&self->posted) - atomic_load(&self->released) < MM_ESP_MQTT_MESSAGES;
}

static bool await_free_message(mm_esp_mqtt_t *self) {
    for (unsigned waited_ms = 0; !has_free_message(self); waited_ms += portTICK_PERIOD_MS) {
        if (waited_ms >= MM_ESP_MQTT_DATA_WAIT_MS || is_ending(self) || atomic_load(&self->lock_wanted)) {
            return has_free_message(self);
        }
        // wait: the owner gives a buffer back, in the SDK's task | until MM_ESP_MQTT_DATA_WAIT_MS, or the owner wants
        // the SDK's lock | then the session ends
        vTaskDelay(1);
    }
    return true;
}

static mm_esp_mqtt_message_t *next_message(mm_esp_mqtt_t *self) {
    return &self->messages[atomic_load(&self->posted) % MM_ESP_MQTT_MESSAGES];
}

// False: what follows of this message is not kept.
static void begin_message(mm_esp_mqtt_t *self, const esp_mqtt_event_t *event) {
    self->bytes_seen = 0;
    self->bytes_total = (size_t)event->total_data_len;
    bool is_ours = event->topic != NULL && event->topic_len > 0 && event->topic_len <= MM_ESP_MQTT_TOPIC_BYTES_MAX &&
                   memchr(event->topic, '\0', (size_t)event->topic_len) == NULL;
    if (!is_ours) {
        atomic_fetch_add(&self->messages_dropped, 1);
        self->pieces = MM_ESP_MQTT_PIECES_DROPPED;
        return;
    }
    if (!await_free_message(self)) {
        atomic_fetch_add(&self->messages_late, 1);
        self->pieces = MM_ESP_MQTT_PIECES_NONE;
        end_connection(self, MM_MQTT_ERROR, 0);
        return;
    }
    mm_esp_mqtt_message_t *message = next_message(self);
    memcpy(message->topic, event->topic, (size_t)event->topic_len);
    message->topic[event->topic_len] = '\0';
    message->retained = event->retain;
    message->bytes_count = self->bytes_total;
    self->pieces = MM_ESP_MQTT_PIECES_KEPT;
}

static void finish_message(mm_esp_mqtt_t *self) {
    const mm_esp_mqtt_message_t *message = next_message(self);
    const mm_mqtt_event_t event = {
        .kind = MM_MQTT_DATA,
        .session = self->session,
        .retained = message->retained,
        .topic = message->topic,
        .bytes = message->bytes_count <= sizeof message->bytes ? message->bytes : NULL,
        .bytes_count = message->bytes_count,
    };
    // Before it is posted: the owner may give it back at once.
    atomic_fetch_add(&self->posted, 1);
    if (!mm_esp_owner_post_mqtt(&event)) {
        atomic_fetch_sub(&self->posted, 1);
        atomic_fetch_add(&self->messages_late, 1);
        end_connection(self, MM_MQTT_ERROR, 0);
    }
}

static bool fits(const mm_esp_mqtt_t *self, const esp_mqtt_event_t *event) {
    size_t offset = (size_t)event->current_data_offset;
    size_t bytes_count = (size_t)event->data_len;
    return event->current_data_offset >= 0 && event->data_len >= 0 && event->total_data_len >= 0 &&
           (bytes_count == 0 || event->data != NULL) && offset == self->bytes_seen &&
           (size_t)event->total_data_len == self->bytes_total && bytes_count <= self->bytes_total - offset;
}

static void take_piece(mm_esp_mqtt_t *self, const esp_mqtt_event_t *event) {
    if (is_ending(self)) {
        return;
    }
    if (self->pieces == MM_ESP_MQTT_PIECES_NONE && event->current_data_offset == 0 && event->total_data_len >= 0) {
        begin_message(self, event);
        if (self->pieces == MM_ESP_MQTT_PIECES_NONE) {
            return;
        }
    }
    if (self->pieces == MM_ESP_MQTT_PIECES_NONE || !fits(self, event)) {
        atomic_fetch_add(&self->messages_broken, 1);
        end_connection(self, MM_MQTT_ERROR, 0);
        return;
    }
    size_t bytes_count = (size_t)event->data_len;
    if (self->pieces == MM_ESP_MQTT_PIECES_KEPT && self->bytes_total <= MM_DOWNLINK_BYTES_MAX && bytes_count > 0) {
        memcpy(next_message(self)->bytes + self->bytes_seen, event->data, bytes_count);
    }
    self->bytes_seen += bytes_count;
    if (self->bytes_seen == self->bytes_total) {
        if (self->pieces == MM_ESP_MQTT_PIECES_KEPT) {
            finish_message(self);
        }
        self->pieces = MM_ESP_MQTT_PIECES_NONE;
    }
}

static void on_data(mm_esp_mqtt_t *self, const esp_mqtt_event_t *event) {
    take_piece(self, event);
    atomic_store(&self->is_in_message, self->pieces != MM_ESP_MQTT_PIECES_NONE);
}

static void on_error(mm_esp_mqtt_t *self, const esp_mqtt_error_codes_t *error) {
    if (error != NULL && error->error_type == MQTT_ERROR_TYPE_CONNECTION_REFUSED) {
        end_connection(self, MM_MQTT_REFUSED, (uint8_t)error->connect_return_code);
        return;
    }
    if (error != NULL && atomic_load(&self->end) == 0) {
        self->error_of_sdk = error->esp_tls_last_esp_err;
        self->error_of_tls = error->esp_tls_stack_err;
        self->error_of_socket = error->esp_transport_sock_errno;
    }
    end_connection(self, MM_MQTT_ERROR, 0);
}

static void on_connected(mm_esp_mqtt_t *self) {
    if (atomic_exchange(&self->is_connected, true)) {
        // By itself: what was subscribed is not any more.
        end_connection(self, MM_MQTT_ERROR, 0);
        return;
    }
    (void)post(self, MM_MQTT_CONNECTED, 0, 0);
}

// A SUBACK or PUBACK that finds no room in the queue is counted there, and is overdue for the core.
static void on_event(void *context, esp_event_base_t base, int32_t id, void *data) {
    mm_esp_mqtt_t *self = context;
    const esp_mqtt_event_t *event = data;
    (void)base;
    if (event->client != self->client) {
        atomic_fetch_add(&self->events_stale, 1);
        return;
    }
    atomic_store(&self->has_begun, true);
    switch ((esp_mqtt_event_id_t)id) {
    case MQTT_EVENT_CONNECTED:
        on_connected(self);
        break;
    case MQTT_EVENT_SUBSCRIBED:
        (void)post(self, MM_MQTT_SUBSCRIBED, event->msg_id,
                   event->data != NULL && event->data_len > 0 ? (uint8_t)event->data[0] : SUBSCRIBE_REFUSED);
        break;
    case MQTT_EVENT_PUBLISHED:
        (void)post(self, MM_MQTT_PUBLISHED, event->msg_id, 0);
        break;
    case MQTT_EVENT_DATA:
        on_data(self, event);
        break;
    case MQTT_EVENT_ERROR:
        on_error(self, event->error_handle);
        break;
    case MQTT_EVENT_DISCONNECTED:
        end_connection(self, MM_MQTT_ERROR, 0);
        break;
    default:
        break;
    }
}

// --- the worker ----------------------------------------------------------------------------------------------------

static void destroy_client(void *context) {
    mm_esp_mqtt_t *self = context;
    // A client whose task has not begun does not wait for it, and frees what the task is about to use.
    for (unsigned waited_ms = 0; !atomic_load(&self->has_begun) && waited_ms < MM_ESP_MQTT_BEGIN_WAIT_MS;
         waited_ms += portTICK_PERIOD_MS) {
        // wait: the SDK's task begins, in the worker's task | until MM_ESP_MQTT_BEGIN_WAIT_MS | then it has failed
        // before its first event, and ended
        vTaskDelay(1);
    }
    // wait: the SDK's task ends, in the worker's task | until MM_ESP_MQTT_CLOSE_S and MM_ESP_OWNER_JOB_GRACE_S | then
    // the owner restarts the device
    (void)esp_mqtt_client_destroy(self->client);
    atomic_store(&self->is_gone, true);
}

// --- the owner: the core's table -----------------------------------------------------------------------------------

static esp_mqtt_client_handle_t make_client(mm_esp_mqtt_t *self) {
    address_t address;
    if (!parse_url(self->broker.url, &address)) {
        return NULL;
    }
    esp_mqtt_client_config_t config = {
        .broker.address =
            {
                .hostname = address.host,
                .transport = address.tls ? MQTT_TRANSPORT_OVER_SSL : MQTT_TRANSPORT_OVER_TCP,
                .port = address.port,
            },
        .credentials.client_id = self->client_id,
        .session =
            {
                .keepalive = MM_ESP_MQTT_KEEP_ALIVE_S,
                .protocol_ver = MQTT_PROTOCOL_V_3_1_1,
                .message_retransmit_timeout = RETRANSMIT_MS,
            },
        .network = {.timeout_ms = MM_ESP_MQTT_CONNECT_MS, .disable_auto_reconnect = true},
        .task = {.priority = TASK_PRIORITY, .stack_size = TASK_STACK_BYTES},
        .buffer = {.size = BUFFER_BYTES, .out_size = BUFFER_BYTES},
    };
    if (self->broker.user[0] != '\0') {
        config.credentials.username = self->broker.user;
        config.credentials.authentication.password = self->broker.password;
    }
    // Without TLS the SDK refuses a certificate.
    if (address.tls && self->pinned_ca != NULL) {
        config.broker.verification.certificate = self->pinned_ca;
    } else if (address.tls) {
        config.broker.verification.crt_bundle_attach = esp_crt_bundle_attach;
    }
    return esp_mqtt_client_init(&config);
}

static mm_err_t start(void *context, uint32_t session) {
    mm_esp_mqtt_t *self = context;
    MM_ASSERT(session != 0);
    if (self->state != MM_ESP_MQTT_IDLE) {
        return MM_ERR_BUSY;
    }
    self->session = session;
    self->end_is_told = false;
    atomic_store(&self->has_begun, false);
    atomic_store(&self->is_connected, false);
    atomic_store(&self->stop_wanted, false);
    atomic_store(&self->is_in_message, false);
    atomic_store(&self->is_gone, false);
    atomic_store(&self->end, 0);
    self->error_of_sdk = 0;
    self->error_of_tls = 0;
    self->error_of_socket = 0;
    self->pieces = MM_ESP_MQTT_PIECES_NONE;
    esp_mqtt_client_handle_t client = make_client(self);
    self->client = client;
    if (client != NULL && esp_mqtt_client_register_event(client, MQTT_EVENT_ANY, on_event, self) == ESP_OK &&
        esp_mqtt_client_start(client) == ESP_OK) {
        self->state = MM_ESP_MQTT_RUNNING;
        return MM_OK;
    }
    if (client != NULL) {
        // no wait: it has no task, so this only frees
        (void)esp_mqtt_client_destroy(client);
    }
    self->client = NULL;
    self->sessions_failed++;
    mm_esp_log(MM_LOG_WARNING, "mqtt: no client for session %lu", (unsigned long)session);
    return MM_ERR_UNAVAILABLE;
}

static bool may_send(mm_esp_mqtt_t *self) {
    return self->state == MM_ESP_MQTT_RUNNING && atomic_load(&self->is_connected) && !is_ending(self);
}

// False: the lock is not to be had in time. Between this look and the call the task may begin with another message; its
// first piece was there then, and the rest of an honest one is under way.
static bool await_lock(mm_esp_mqtt_t *self) {
    atomic_store(&self->lock_wanted, true);
    for (unsigned waited_ms = 0; atomic_load(&self->is_in_message); waited_ms += portTICK_PERIOD_MS) {
        if (waited_ms >= MM_ESP_MQTT_LOCK_WAIT_MS || is_ending(self)) {
            atomic_store(&self->lock_wanted, false);
            return false;
        }
        // wait: the rest of a message that the SDK's task takes in | until MM_ESP_MQTT_LOCK_WAIT_MS | then the session
        // fails
        vTaskDelay(1);
    }
    return true;
}

static mm_err_t result_of(int id, uint16_t *packet_id) {
    *packet_id = id > 0 ? (uint16_t)id : 0;
    if (*packet_id != 0) {
        return MM_OK;
    }
    return id == -2 ? MM_ERR_FULL : MM_ERR_UNAVAILABLE;
}

static mm_err_t subscribe(void *context, const char *topic, uint8_t qos, uint16_t *packet_id) {
    mm_esp_mqtt_t *self = context;
    if (!may_send(self)) {
        return MM_ERR_STATE;
    }
    if (!await_lock(self)) {
        return MM_ERR_BUSY;
    }
    // wait: the SDK's lock, and room in TCP's buffer, which is empty then | until MM_ESP_MQTT_CONNECT_MS for each |
    // then the session fails
    int id = esp_mqtt_client_subscribe_single(self->client, topic, qos);
    atomic_store(&self->lock_wanted, false);
    return result_of(id, packet_id);
}

static mm_err_t publish(void *context, const char *topic, const void *bytes, size_t bytes_count, uint16_t *packet_id) {
    mm_esp_mqtt_t *self = context;
    if (!may_send(self)) {
        return MM_ERR_STATE;
    }
    if (bytes_count > INT_MAX) {
        return MM_ERR_ARG;
    }
    if (!await_lock(self)) {
        return MM_ERR_BUSY;
    }
    // Copied into the outbox; the SDK's task sends. Of bytes without a length the SDK would look for the terminator.
    // wait: the SDK's lock | until MM_ESP_MQTT_CONNECT_MS for each step of a packet that it sends | then the session
    // fails
    int id = esp_mqtt_client_enqueue(self->client, topic, bytes_count > 0 ? bytes : NULL, (int)bytes_count, 1, 0, true);
    atomic_store(&self->lock_wanted, false);
    return result_of(id, packet_id);
}

static void give_to_worker(mm_esp_mqtt_t *self, mm_us_t now) {
    // wait: the worker destroys the client | until MM_ESP_MQTT_CLOSE_S and the owner's grace | then the device restarts
    mm_us_t deadline = now + MM_ESP_MQTT_CLOSE_S * MM_US_PER_S;
    if (mm_esp_owner_give_job(destroy_client, self, deadline, &self->job_number) == MM_OK) {
        self->state = MM_ESP_MQTT_CLOSING;
    }
}

// esp-mqtt says DISCONNECT in any case; there is no will that a rude end would set free.
static void stop(void *context, bool graceful) {
    mm_esp_mqtt_t *self = context;
    (void)graceful;
    if (self->state != MM_ESP_MQTT_RUNNING || atomic_exchange(&self->stop_wanted, true)) {
        return;
    }
    // The connection ends now, also if the worker is busy for long.
    (void)esp_mqtt_client_disconnect(self->client);
    give_to_worker(self, mm_esp_owner_now());
}

// --- the owner -----------------------------------------------------------------------------------------------------

void mm_esp_mqtt_open(mm_esp_mqtt_t *self, mm_mac_t mac, const mm_esp_broker_t *broker, const char *pinned_ca) {
    memset(self, 0, sizeof *self);
    self->mqtt = (mm_mqtt_t){.start = start, .subscribe = subscribe, .publish = publish, .stop = stop, .context = self};
    self->broker = *broker;
    self->pinned_ca = pinned_ca;
    const uint8_t *bytes = mac.bytes;
    (void)snprintf(self->client_id, sizeof self->client_id, "%02x%02x%02x%02x%02x%02x", bytes[0], bytes[1], bytes[2],
                   bytes[3], bytes[4], bytes[5]);
}

mm_err_t mm_esp_mqtt_set_broker(mm_esp_mqtt_t *self, const mm_esp_broker_t *broker) {
    if (!mm_esp_mqtt_url_is_good(broker->url)) {
        return MM_ERR_ARG;
    }
    if (self->state != MM_ESP_MQTT_IDLE) {
        return MM_ERR_BUSY;
    }
    self->broker = *broker;
    return MM_OK;
}

void mm_esp_mqtt_release(mm_esp_mqtt_t *self) {
    MM_ASSERT(atomic_load(&self->released) != atomic_load(&self->posted));
    atomic_fetch_add(&self->released, 1);
}

static void tell_end(mm_esp_mqtt_t *self) {
    unsigned end = atomic_load(&self->end);
    mm_mqtt_event_kind_t kind = (mm_mqtt_event_kind_t)(end & 0xFF);
    uint8_t reason = (uint8_t)(end >> 8);
    self->end_is_told = post(self, kind, 0, reason);
    if (self->end_is_told && kind == MM_MQTT_REFUSED) {
        mm_esp_log(MM_LOG_WARNING, "mqtt: the broker refused session %lu: %u", (unsigned long)self->session, reason);
    } else if (self->end_is_told) {
        mm_esp_log(MM_LOG_WARNING, "mqtt: session %lu lost its connection: sdk=0x%x tls=%d errno=%d",
                   (unsigned long)self->session, (unsigned)self->error_of_sdk, self->error_of_tls,
                   self->error_of_socket);
    }
}

mm_us_t mm_esp_mqtt_poll(mm_esp_mqtt_t *self, mm_us_t now) {
    bool has_ended = atomic_load(&self->end) != 0;
    bool stop_wanted = atomic_load(&self->stop_wanted);
    if (self->state == MM_ESP_MQTT_RUNNING && has_ended && !stop_wanted && !self->end_is_told) {
        tell_end(self);
    }
    if (self->state == MM_ESP_MQTT_RUNNING && stop_wanted) {
        give_to_worker(self, now);
    }
    if (self->state == MM_ESP_MQTT_CLOSING && atomic_load(&self->is_gone) && post(self, MM_MQTT_DISCONNECTED, 0, 0)) {
        self->client = NULL;
        self->state = MM_ESP_MQTT_IDLE;
    }
    bool is_owed = self->state == MM_ESP_MQTT_RUNNING && (stop_wanted || (has_ended && !self->end_is_told));
    bool is_gone = self->state == MM_ESP_MQTT_CLOSING && atomic_load(&self->is_gone);
    // wait: the worker is free, or the owner's queue has room | until RETRY_MS | then it is tried again
    mm_us_t retry_at = now + RETRY_MS * MM_US_PER_S / 1000;
    mm_us_t deadline = MM_US_NEVER;
    if (is_owed || is_gone) {
        deadline = mm_us_earlier(deadline, retry_at);
    }
    return deadline;
}
