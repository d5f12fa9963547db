// SPDX-License-Identifier: Apache-2.0
#include "linux_mqtt.h"

#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "linux_clock.h"

#define CONNECT_MS_DEFAULT 10000
#define CLOSE_MS_DEFAULT 1000
#define KEEP_ALIVE_S_DEFAULT 60
#define KEEP_ALIVE_S_MIN 5
// libmosquitto looks after its keep-alive only when it is called.
#define HOUSEKEEPING_US 500000
// Two places of the queue are kept for ERROR and DISCONNECTED, which always fit.
#define QUEUE_RESERVED 2

// --- queue ---------------------------------------------------------------------------------------------------------

static void signal_file(int file) {
    const uint64_t one = 1;
    // no wait: eventfd with EFD_NONBLOCK
    ssize_t ignored = write(file, &one, sizeof one); // EAGAIN only if it is signalled already
    (void)ignored;
}

static void clear_file(int file) {
    uint64_t count;
    // no wait: eventfd with EFD_NONBLOCK
    ssize_t ignored = read(file, &count, sizeof count);
    (void)ignored;
}

static void free_item(mm_linux_mqtt_item_t *item) {
    free(item->topic);
    free(item->bytes);
    *item = (mm_linux_mqtt_item_t){0};
}

// no wait(pthread_mutex_lock): held for a copy of a few bytes, never during a call of the library

// Takes over topic and bytes of *item. In the thread: waits for room, so that the library reads no further and TCP
// holds the broker back. The library's callbacks hold no lock that subscribing or publishing would need. What finds no
// room while the session is being stopped is dropped.
static void post(mm_linux_mqtt_t *self, mm_linux_mqtt_item_t *item, size_t reserved) {
    (void)pthread_mutex_lock(&self->lock);
    while (self->queue_count + reserved >= MM_LINUX_MQTT_QUEUE_EVENTS && !self->stop_requested) {
        // wait: room in the queue of events, in the session's thread | until the owner takes an event or stops the
        // session, which it does after session_us at the latest | then the event is queued, or dropped with the session
        (void)pthread_cond_wait(&self->room, &self->lock);
    }
    bool fits = self->queue_count + reserved < MM_LINUX_MQTT_QUEUE_EVENTS;
    if (fits) {
        size_t last = (self->queue_first + self->queue_count) % MM_LINUX_MQTT_QUEUE_EVENTS;
        item->session = self->session;
        self->queue[last] = *item;
        self->queue_count++;
    }
    (void)pthread_mutex_unlock(&self->lock);
    if (fits) {
        signal_file(self->ready_file);
    } else {
        free_item(item);
    }
}

static bool stop_is_requested(mm_linux_mqtt_t *self, bool *graceful) {
    (void)pthread_mutex_lock(&self->lock);
    bool requested = self->stop_requested;
    *graceful = self->stop_graceful;
    (void)pthread_mutex_unlock(&self->lock);
    return requested;
}

static void set_error(mm_linux_mqtt_t *self, const char *text) {
    (void)pthread_mutex_lock(&self->lock);
    (void)snprintf(self->error, sizeof self->error, "%s:%u: %s", self->host, self->port, text);
    (void)pthread_mutex_unlock(&self->lock);
}

// --- callbacks of the library, in the session's thread -------------------------------------------------------------

static void on_connect(struct mosquitto *client, void *context, int reason, int flags,
                       const mosquitto_property *unused) {
    mm_linux_mqtt_t *self = context;
    (void)client;
    (void)flags;
    (void)unused;
    self->connack_seen = true;
    self->connack_good = reason == 0;
    if (reason != 0) {
        char text[128];
        const char *why = self->version_5 ? mosquitto_reason_string(reason) : mosquitto_connack_string(reason);
        (void)snprintf(text, sizeof text, "the broker refused the session: %s", why);
        set_error(self, text);
        mm_linux_mqtt_item_t item = {.kind = MM_MQTT_REFUSED, .reason = (uint8_t)reason};
        post(self, &item, QUEUE_RESERVED);
    }
    // CONNECTED is posted when the library is done with the CONNACK: what the owner publishes at once must find it
    // ready.
}

static void on_subscribe(struct mosquitto *client, void *context, int packet_id, int count, const int *granted,
                         const mosquitto_property *unused) {
    (void)client;
    (void)unused;
    mm_linux_mqtt_item_t item = {
        .kind = MM_MQTT_SUBSCRIBED, .packet_id = (uint16_t)packet_id, .reason = count > 0 ? (uint8_t)granted[0] : 0x80};
    post(context, &item, QUEUE_RESERVED);
}

static void on_publish(struct mosquitto *client, void *context, int packet_id, int reason,
                       const mosquitto_property *unused) {
    (void)client;
    (void)unused;
    mm_linux_mqtt_item_t item = {
        .kind = MM_MQTT_PUBLISHED, .packet_id = (uint16_t)packet_id, .reason = (uint8_t)reason};
    post(context, &item, QUEUE_RESERVED);
}

static void on_message(struct mosquitto *client, void *context, const struct mosquitto_message *message,
                       const mosquitto_property *unused) {
    mm_linux_mqtt_t *self = context;
    (void)client;
    (void)unused;
    size_t topic_bytes = strlen(message->topic);
    if (topic_bytes > MM_LINUX_MQTT_TOPIC_BYTES_MAX || message->payloadlen < 0) {
        return; // not a topic that was subscribed to
    }
    mm_linux_mqtt_item_t item = {
        .kind = MM_MQTT_DATA, .retained = message->retain, .bytes_count = (size_t)message->payloadlen};
    item.topic = strdup(message->topic);
    bool whole = item.bytes_count <= MM_DOWNLINK_BYTES_MAX;
    if (whole) {
        // An empty message is one too: its bytes are not NULL.
        item.bytes = malloc(item.bytes_count > 0 ? item.bytes_count : 1);
    }
    if (item.topic == NULL || (whole && item.bytes == NULL)) {
        free_item(&item);
        self->out_of_memory = true; // ends the session: a message that is not delivered must not seem so
        return;
    }
    if (whole && item.bytes_count > 0) {
        memcpy(item.bytes, message->payload, item.bytes_count);
    }
    post(self, &item, QUEUE_RESERVED);
}

static void on_log(struct mosquitto *client, void *context, int level, const char *text) {
    (void)client;
    // The only place where the library says what was wrong with a certificate.
    if (level == MOSQ_LOG_ERR) {
        set_error(context, text);
    }
}

// --- the session's thread ------------------------------------------------------------------------------------------

static const char *failure_text(int rc, int cause) {
    switch (rc) {
    case MOSQ_ERR_ERRNO:
        return strerror(cause);
    case MOSQ_ERR_EAI:
        return gai_strerror(cause);
    default:
        return mosquitto_strerror(rc);
    }
}

// Wait until the socket may have something to do, the owner wants something, or the time is over.
static short await(mm_linux_mqtt_t *self, int socket, short events, int64_t until_us) {
    int64_t now_us = mm_linux_real_us();
    int64_t latest_us = now_us + HOUSEKEEPING_US;
    struct pollfd items[] = {{.fd = socket, .events = events}, {.fd = self->wake_file, .events = POLLIN}};
    // wait: socket or owner, in the session's thread | until the caller's deadline, HOUSEKEEPING_US at most | then the
    // library looks after its keep-alive
    (void)poll(items, 2, mm_linux_timeout_ms(until_us < latest_us ? until_us : latest_us, now_us));
    if ((items[1].revents & POLLIN) != 0) {
        clear_file(self->wake_file);
    }
    return items[0].revents;
}

// TCP connection to the first address of the name. False: failed; errno says why; 0 if stopped.
static bool await_tcp(mm_linux_mqtt_t *self, int64_t deadline_us) {
    bool graceful;
    while (!stop_is_requested(self, &graceful)) {
        if (mm_linux_real_us() >= deadline_us) {
            errno = ETIMEDOUT;
            return false;
        }
        int socket = mosquitto_socket(self->client);
        if (await(self, socket, POLLOUT, deadline_us) == 0) {
            continue;
        }
        int cause = 0;
        socklen_t cause_bytes = sizeof cause;
        if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &cause, &cause_bytes) != 0) {
            cause = errno;
        }
        errno = cause;
        return cause == 0;
    }
    errno = 0;
    return false;
}

static bool is_ipv6(int socket) {
    struct sockaddr_storage address = {0};
    socklen_t address_bytes = sizeof address;
    return getsockname(socket, (struct sockaddr *)&address, &address_bytes) == 0 && address.ss_family == AF_INET6;
}

static bool connect_tcp(mm_linux_mqtt_t *self, int64_t deadline_us) {
    // The library tries one address only. "localhost" is often ::1 first, and the broker on 127.0.0.1 alone: so once
    // more with IPv4. Binding to its wildcard address makes the library pass over the others.
    const char *const sources[] = {NULL, "0.0.0.0"};
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        // wait: the broker's name is resolved, in the session's thread | until outside: the resolver (timeout and
        // attempts of resolv.conf) | then TCP is begun or has failed; the owner has given the session up after
        // connect_us
        int rc = mosquitto_connect_bind_async(self->client, self->host, self->port, self->keep_alive_s, sources[i]);
        int cause = errno;
        bool was_ipv6 = false;
        if (rc == MOSQ_ERR_SUCCESS || rc == MOSQ_ERR_CONN_PENDING) {
            was_ipv6 = is_ipv6(mosquitto_socket(self->client));
            if (await_tcp(self, deadline_us)) {
                return true;
            }
            cause = errno;
            if (cause == 0) {
                return false;
            }
            rc = MOSQ_ERR_ERRNO;
        }
        // What the first attempt said is nearer to the truth than "no IPv4 address", and the library has said more
        // about a certificate (the handshake may be through already).
        if ((i == 0 || rc == MOSQ_ERR_ERRNO) && (rc != MOSQ_ERR_TLS || self->error[0] == '\0')) {
            set_error(self, failure_text(rc, cause));
        }
        if (!was_ipv6 || mm_linux_real_us() >= deadline_us) {
            return false;
        }
    }
    return false;
}

static void note_end(mm_linux_mqtt_t *self, int rc, int cause) {
    char text[160];
    if (self->connack_good) {
        (void)snprintf(text, sizeof text, "connection lost: %s", failure_text(rc, cause));
        set_error(self, text);
    } else if (!self->connack_seen && self->error[0] == '\0') {
        // Otherwise a refusal, or the library about a certificate, has said more than this could.
        set_error(self, failure_text(rc, cause));
    }
}

// One turn of the library. False: the connection is over.
static bool run_library(mm_linux_mqtt_t *self, short ready) {
    if (ready != 0 || mosquitto_want_write(self->client)) {
        // no wait: timeout 0, and the socket does not block
        int rc = mosquitto_loop(self->client, 0, 1);
        int cause = errno;
        if (rc != MOSQ_ERR_SUCCESS) {
            note_end(self, rc, cause);
            return false;
        }
    }
    // no wait: sends a PINGREQ at most, and the socket does not block
    return mosquitto_loop_misc(self->client) == MOSQ_ERR_SUCCESS && mosquitto_socket(self->client) >= 0;
}

static short wanted_events(mm_linux_mqtt_t *self) {
    return (short)(POLLIN | (mosquitto_want_write(self->client) ? POLLOUT : 0));
}

// From CONNECT to CONNACK.
static bool await_connack(mm_linux_mqtt_t *self, int64_t deadline_us) {
    bool graceful;
    short ready = POLLOUT;
    while (!stop_is_requested(self, &graceful)) {
        if (!run_library(self, ready)) {
            return false;
        }
        if (self->connack_seen) {
            return self->connack_good;
        }
        if (mm_linux_real_us() >= deadline_us) {
            set_error(self, "no answer of the broker in time");
            return false;
        }
        ready = await(self, mosquitto_socket(self->client), wanted_events(self), deadline_us);
    }
    return false;
}

static void serve(mm_linux_mqtt_t *self) {
    bool graceful;
    short ready = 0;
    while (!stop_is_requested(self, &graceful) && !self->out_of_memory && run_library(self, ready)) {
        ready = await(self, mosquitto_socket(self->client), wanted_events(self), MM_US_NEVER);
    }
}

static void say_goodbye(mm_linux_mqtt_t *self) {
    // wait: DISCONNECT is sent and the broker closes | until CLOSE_MS_DEFAULT | then the connection is dropped
    int64_t deadline_us = mm_linux_real_us() + (int64_t)self->close_ms * 1000;
    if (mosquitto_disconnect(self->client) != MOSQ_ERR_SUCCESS) {
        return;
    }
    bool graceful = true;
    short ready = POLLOUT;
    while (mm_linux_real_us() < deadline_us && mosquitto_socket(self->client) >= 0 &&
           stop_is_requested(self, &graceful) && graceful && run_library(self, ready)) {
        ready = await(self, mosquitto_socket(self->client), wanted_events(self), deadline_us);
    }
}

static void *run_session(void *context) {
    mm_linux_mqtt_t *self = context;
    // wait: TCP, TLS and CONNACK, in the session's thread | until CONNECT_MS_DEFAULT | then the owner gets ERROR and
    // DISCONNECTED
    int64_t deadline_us = mm_linux_real_us() + (int64_t)self->connect_ms * 1000;
    bool graceful = false;
    if (connect_tcp(self, deadline_us) && await_connack(self, deadline_us)) {
        mm_linux_mqtt_item_t item = {.kind = MM_MQTT_CONNECTED};
        post(self, &item, QUEUE_RESERVED);
        serve(self);
        if (self->out_of_memory) {
            set_error(self, "not enough memory for a message");
        }
        if (stop_is_requested(self, &graceful) && graceful) {
            say_goodbye(self);
        }
    } else if (!self->connack_seen && !stop_is_requested(self, &graceful)) {
        mm_linux_mqtt_item_t item = {.kind = MM_MQTT_ERROR};
        post(self, &item, QUEUE_RESERVED - 1);
    }
    mm_linux_mqtt_item_t item = {.kind = MM_MQTT_DISCONNECTED};
    post(self, &item, 0);
    return NULL;
}

// --- the port's functions, in the owner's thread -------------------------------------------------------------------

static void release_session(mm_linux_mqtt_t *self) {
    if (self->client != NULL) {
        mosquitto_destroy(self->client);
        self->client = NULL;
    }
}

static bool make_client(mm_linux_mqtt_t *self) {
    self->client = mosquitto_new(self->client_id, true, self);
    if (self->client == NULL) {
        return false;
    }
    mosquitto_connect_v5_callback_set(self->client, on_connect);
    mosquitto_subscribe_v5_callback_set(self->client, on_subscribe);
    mosquitto_publish_v5_callback_set(self->client, on_publish);
    mosquitto_message_v5_callback_set(self->client, on_message);
    mosquitto_log_callback_set(self->client, on_log);
    int version = self->version_5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311;
    bool good = mosquitto_int_option(self->client, MOSQ_OPT_PROTOCOL_VERSION, version) == MOSQ_ERR_SUCCESS &&
                mosquitto_int_option(self->client, MOSQ_OPT_TCP_NODELAY, 1) == MOSQ_ERR_SUCCESS &&
                mosquitto_threaded_set(self->client, true) == MOSQ_ERR_SUCCESS;
    if (good && self->user != NULL) {
        good = mosquitto_username_pw_set(self->client, self->user, self->password) == MOSQ_ERR_SUCCESS;
    }
    if (good && self->tls && self->ca_file != NULL) {
        good = mosquitto_tls_set(self->client, self->ca_file, NULL, NULL, NULL, NULL) == MOSQ_ERR_SUCCESS;
    } else if (good && self->tls) {
        good = mosquitto_int_option(self->client, MOSQ_OPT_TLS_USE_OS_CERTS, 1) == MOSQ_ERR_SUCCESS;
    }
    if (!good) {
        release_session(self);
    }
    return good;
}

// The owner's signals stay the owner's.
static bool start_thread(mm_linux_mqtt_t *self) {
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&self->thread, NULL, run_session, self) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static mm_err_t start(void *context, uint32_t session) {
    mm_linux_mqtt_t *self = context;
    MM_ASSERT(session != 0);
    if (self->state == MM_LINUX_MQTT_RUNNING || self->queue_count > 0) {
        return MM_ERR_BUSY;
    }
    self->session = session;
    self->connected = false;
    self->stop_called = false;
    self->stop_requested = false;
    self->stop_graceful = false;
    self->error[0] = '\0';
    self->last_error[0] = '\0';
    self->connack_good = false;
    self->connack_seen = false;
    self->out_of_memory = false;
    clear_file(self->wake_file);
    if (!make_client(self)) {
        return MM_ERR_UNAVAILABLE;
    }
    if (!start_thread(self)) {
        release_session(self);
        return MM_ERR_UNAVAILABLE;
    }
    self->state = MM_LINUX_MQTT_RUNNING;
    return MM_OK;
}

static mm_err_t result_of(int rc) {
    switch (rc) {
    case MOSQ_ERR_SUCCESS:
        return MM_OK;
    case MOSQ_ERR_INVAL:
    case MOSQ_ERR_MALFORMED_UTF8:
    case MOSQ_ERR_PAYLOAD_SIZE:
    case MOSQ_ERR_OVERSIZE_PACKET:
    case MOSQ_ERR_QOS_NOT_SUPPORTED:
        return MM_ERR_ARG;
    case MOSQ_ERR_NOMEM:
        return MM_ERR_FULL;
    default:
        return MM_ERR_UNAVAILABLE;
    }
}

static mm_err_t subscribe(void *context, const char *topic, uint8_t qos, uint16_t *packet_id) {
    mm_linux_mqtt_t *self = context;
    if (self->state != MM_LINUX_MQTT_RUNNING || !self->connected || self->stop_called) {
        return MM_ERR_STATE;
    }
    int id = 0;
    mm_err_t err = result_of(mosquitto_subscribe(self->client, &id, topic, qos));
    *packet_id = (uint16_t)id;
    signal_file(self->wake_file);
    return err;
}

static mm_err_t publish(void *context, const char *topic, const void *bytes, size_t bytes_count, uint16_t *packet_id) {
    mm_linux_mqtt_t *self = context;
    if (self->state != MM_LINUX_MQTT_RUNNING || !self->connected || self->stop_called) {
        return MM_ERR_STATE;
    }
    if (bytes_count > INT32_MAX) {
        return MM_ERR_ARG;
    }
    int id = 0;
    mm_err_t err = result_of(mosquitto_publish(self->client, &id, topic, (int)bytes_count, bytes, 1, false));
    *packet_id = (uint16_t)id;
    signal_file(self->wake_file);
    return err;
}

static void stop(void *context, bool graceful) {
    mm_linux_mqtt_t *self = context;
    if (self->state == MM_LINUX_MQTT_RUNNING) {
        (void)pthread_mutex_lock(&self->lock);
        // A second stop may only be less polite than the first.
        self->stop_graceful = graceful && (self->stop_graceful || !self->stop_requested);
        self->stop_requested = true;
        (void)pthread_cond_signal(&self->room);
        (void)pthread_mutex_unlock(&self->lock);
        self->stop_called = true;
        signal_file(self->wake_file);
    } else if (self->state == MM_LINUX_MQTT_ENDED) {
        mm_linux_mqtt_item_t item = {.kind = MM_MQTT_DISCONNECTED};
        post(self, &item, 0);
        self->state = MM_LINUX_MQTT_IDLE;
    }
}

static bool pop(mm_linux_mqtt_t *self, mm_linux_mqtt_item_t *item) {
    (void)pthread_mutex_lock(&self->lock);
    bool found = self->queue_count > 0;
    if (found) {
        *item = self->queue[self->queue_first];
        self->queue[self->queue_first] = (mm_linux_mqtt_item_t){0};
        self->queue_first = (self->queue_first + 1) % MM_LINUX_MQTT_QUEUE_EVENTS;
        self->queue_count--;
        (void)pthread_cond_signal(&self->room);
    } else {
        // Under the lock: an event that is posted afterwards signals again.
        clear_file(self->ready_file);
    }
    (void)snprintf(self->last_error, sizeof self->last_error, "%s", self->error);
    (void)pthread_mutex_unlock(&self->lock);
    return found;
}

bool mm_linux_mqtt_next_event(mm_linux_mqtt_t *self, mm_mqtt_event_t *event) {
    free_item(&self->popped);
    if (!pop(self, &self->popped)) {
        return false;
    }
    const mm_linux_mqtt_item_t *item = &self->popped;
    if (item->kind == MM_MQTT_CONNECTED) {
        self->connected = true;
    } else if (item->kind == MM_MQTT_DISCONNECTED && self->state == MM_LINUX_MQTT_RUNNING) {
        // no wait: it was the thread's last act
        (void)pthread_join(self->thread, NULL);
        release_session(self);
        self->connected = false;
        self->state = self->stop_called ? MM_LINUX_MQTT_IDLE : MM_LINUX_MQTT_ENDED;
    }
    *event = (mm_mqtt_event_t){
        .kind = item->kind,
        .session = item->session,
        .packet_id = item->packet_id,
        .reason = item->reason,
        .retained = item->retained,
        .topic = item->topic,
        .bytes = item->bytes,
        .bytes_count = item->bytes_count,
    };
    return true;
}

const char *mm_linux_mqtt_last_error(const mm_linux_mqtt_t *self) {
    return self->last_error;
}

int mm_linux_mqtt_file(const mm_linux_mqtt_t *self) {
    return self->ready_file;
}

// --- open and close ------------------------------------------------------------------------------------------------

static bool parse_port(const char *text, uint16_t *port) {
    size_t digits = strspn(text, "0123456789");
    long number = digits > 0 && digits <= 5 && text[digits] == '\0' ? strtol(text, NULL, 10) : 0;
    *port = (uint16_t)number;
    return number >= 1 && number <= 65535;
}

typedef struct {
    char host[sizeof((mm_linux_mqtt_t *)0)->host];
    uint16_t port;
    bool tls;
} address_t;

static bool parse_url(const char *url, address_t *self) {
    static const char plain[] = "mqtt://";
    static const char secured[] = "mqtts://";
    self->tls = strncmp(url, secured, sizeof secured - 1) == 0;
    if (!self->tls && strncmp(url, plain, sizeof plain - 1) != 0) {
        return false;
    }
    self->port = self->tls ? 8883 : 1883;
    const char *host = url + (self->tls ? sizeof secured : sizeof plain) - 1;
    size_t host_bytes;
    const char *rest;
    if (*host == '[') {
        host++;
        host_bytes = strcspn(host, "]");
        rest = host[host_bytes] == ']' ? host + host_bytes + 1 : "?";
    } else {
        host_bytes = strcspn(host, ":/?#@");
        rest = host + host_bytes;
    }
    if (host_bytes == 0 || host_bytes >= sizeof self->host) {
        return false;
    }
    memcpy(self->host, host, host_bytes);
    self->host[host_bytes] = '\0';
    char port[8] = "";
    size_t port_bytes = 0;
    if (*rest == ':') {
        port_bytes = strspn(rest + 1, "0123456789");
        if (port_bytes >= sizeof port) {
            return false;
        }
        memcpy(port, rest + 1, port_bytes);
        rest += 1 + port_bytes;
        if (!parse_port(port, &self->port)) {
            return false;
        }
    }
    return *rest == '\0' || strcmp(rest, "/") == 0;
}

bool mm_linux_mqtt_url_is_good(const char *url) {
    address_t address;
    return parse_url(url, &address);
}

static void use_address(mm_linux_mqtt_t *self, const address_t *address) {
    memcpy(self->host, address->host, sizeof self->host);
    self->port = address->port;
    self->tls = address->tls;
}

static char *copy(const char *text) {
    return text != NULL ? strdup(text) : NULL;
}

static mm_err_t check_options(mm_linux_mqtt_t *self, const mm_linux_mqtt_options_t *options,
                              mm_linux_message_t *message) {
    address_t address = {0};
    if (options->url == NULL || !parse_url(options->url, &address)) {
        // What cannot be taken apart is not repeated: anywhere in it there may be a password.
        bool has_user = options->url != NULL && strchr(options->url, '@') != NULL;
        mm_linux_message_set(message, "broker: expected mqtt://HOST[:PORT] or mqtts://HOST[:PORT]%s",
                             has_user ? "; user and password do not belong there" : "");
        return MM_ERR_ARG;
    }
    use_address(self, &address);
    if (options->client_id == NULL || options->client_id[0] == '\0') {
        mm_linux_message_set(message, "broker %s: a client id is needed", options->url);
        return MM_ERR_ARG;
    }
    if (options->keep_alive_s != 0 && options->keep_alive_s < KEEP_ALIVE_S_MIN) {
        mm_linux_message_set(message, "broker %s: the keep-alive must be at least %d s", options->url,
                             KEEP_ALIVE_S_MIN);
        return MM_ERR_ARG;
    }
    if (self->tls && options->ca_file != NULL && access(options->ca_file, R_OK) != 0) {
        mm_linux_message_set(message, "%s: the CA file cannot be read: %s", options->ca_file, strerror(errno));
        return MM_ERR_STORAGE;
    }
    return MM_OK;
}

mm_err_t mm_linux_mqtt_open(mm_linux_mqtt_t *self, const mm_linux_mqtt_options_t *options,
                            mm_linux_message_t *message) {
    memset(self, 0, sizeof *self);
    self->ready_file = -1;
    self->wake_file = -1;
    mm_err_t err = check_options(self, options, message);
    if (err != MM_OK) {
        return err;
    }
    self->mqtt = (mm_mqtt_t){.start = start, .subscribe = subscribe, .publish = publish, .stop = stop, .context = self};
    self->client_id = copy(options->client_id);
    self->user = copy(options->user);
    self->password = copy(options->password);
    self->ca_file = copy(options->ca_file);
    self->version_5 = options->version_5;
    self->keep_alive_s = options->keep_alive_s != 0 ? options->keep_alive_s : KEEP_ALIVE_S_DEFAULT;
    self->connect_ms = options->connect_ms != 0 ? options->connect_ms : CONNECT_MS_DEFAULT;
    self->close_ms = options->close_ms != 0 ? options->close_ms : CLOSE_MS_DEFAULT;
    self->ready_file = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->wake_file = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    (void)pthread_mutex_init(&self->lock, NULL);
    (void)pthread_cond_init(&self->room, NULL);
    (void)mosquitto_lib_init();
    bool copied = self->client_id != NULL && (self->user != NULL || options->user == NULL) &&
                  (self->password != NULL || options->password == NULL) &&
                  (self->ca_file != NULL || options->ca_file == NULL);
    if (!copied || self->ready_file < 0 || self->wake_file < 0) {
        mm_linux_message_set(message, "broker %s: not enough memory or files", options->url);
        mm_linux_mqtt_close(self);
        return MM_ERR_FULL;
    }
    return MM_OK;
}

static void forget(char *secret) {
    if (secret != NULL) {
        explicit_bzero(secret, strlen(secret));
    }
    free(secret);
}

mm_err_t mm_linux_mqtt_set_broker(mm_linux_mqtt_t *self, const char *url, const char *user, const char *password) {
    address_t address = {0};
    if (!parse_url(url, &address)) {
        return MM_ERR_ARG;
    }
    if (self->state == MM_LINUX_MQTT_RUNNING || self->queue_count > 0) {
        return MM_ERR_BUSY;
    }
    char *new_user = copy(user);
    char *new_password = copy(password);
    if ((user != NULL && new_user == NULL) || (password != NULL && new_password == NULL)) {
        free(new_user);
        forget(new_password);
        return MM_ERR_FULL;
    }
    use_address(self, &address);
    free(self->user);
    forget(self->password);
    self->user = new_user;
    self->password = new_password;
    return MM_OK;
}

void mm_linux_mqtt_close(mm_linux_mqtt_t *self) {
    if (self->mqtt.context == NULL) {
        return; // never opened, or closed
    }
    if (self->state == MM_LINUX_MQTT_RUNNING) {
        stop(self, false);
        // wait: the session's thread ends, when the node stops | until outside: the resolver, if it is under way; else
        // at once, as the thread is woken | then the node is closed
        (void)pthread_join(self->thread, NULL);
        release_session(self);
    }
    free_item(&self->popped);
    for (size_t i = 0; i < MM_LINUX_MQTT_QUEUE_EVENTS; i++) {
        free_item(&self->queue[i]);
    }
    free(self->client_id);
    free(self->user);
    forget(self->password);
    free(self->ca_file);
    if (self->ready_file >= 0) {
        (void)close(self->ready_file);
    }
    if (self->wake_file >= 0) {
        (void)close(self->wake_file);
    }
    (void)pthread_cond_destroy(&self->room);
    (void)pthread_mutex_destroy(&self->lock);
    (void)mosquitto_lib_cleanup();
    memset(self, 0, sizeof *self);
    self->ready_file = -1;
    self->wake_file = -1;
}
