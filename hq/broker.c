// SPDX-License-Identifier: Apache-2.0
#include "broker.h"

#include "meshmeter/limits.h"
#include "meshmeter/random.h"

#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>

#define CONNECT_MS_DEFAULT 10000
#define KEEP_ALIVE_S 30
#define MISC_US 1000000
#define BACK_OFF_MIN_US 250000
#define BACK_OFF_MAX_US 30000000
// A connection that held so long was good: the next one may be tried at once. Two clients of one name stay apart so.
#define STABLE_US 10000000
// Readings wait at the broker for so long while HQ is away; the journals hold them anyway.
#define SESSION_EXPIRY_S (7 * 24 * 3600)
#define RECEIVE_MAXIMUM 1000
// A batch has at most 15 kB, the original's JSON of 100 nodes 250 kB. HQ's memory must have a bound.
#define PACKET_BYTES_MAX (1024 * 1024)
#define INFLIGHT_MAX 16
#define READS_PER_SERVICE 256
#define CREDENTIAL_BYTES 256

static const char *const s_topics[] = {"meter/+/info", "meter/911", "meter/install", "meter/disco"};
#define TOPIC_COUNT (sizeof s_topics / sizeof s_topics[0])

#define TOPIC_BYTES (MM_SITE_CHARS_MAX + 16)

typedef struct {
    char topic[TOPIC_BYTES];
    uint8_t *bytes;
    size_t bytes_count;
    bool dirty;
    int mid; ///< in flight; 0 = not
} outgoing_t;

typedef enum {
    BROKER_DOWN,
    BROKER_CONNECTING,
    BROKER_CONNECTED
} broker_state_t;

struct mm_broker {
    struct mosquitto *client; ///< one per connection: nothing of the last one's queue survives
    mm_hq_stats_t *stats;
    mm_broker_message_fn message;
    void *context;
    char host[256];
    int port;
    bool tls;
    bool mqtt311;
    char client_id[64];
    char ca_file[1024];
    char user[CREDENTIAL_BYTES];
    char password[CREDENTIAL_BYTES];
    broker_state_t state;
    bool lost; ///< noticed in a callback, handled after it
    char cause[256];
    char logged_cause[256];
    // wait: the broker's answer, or while there is no connection the next attempt | until CONNECT_MS_DEFAULT;
    // BACK_OFF_MIN_US doubling up to BACK_OFF_MAX_US, half of it random | then the connection is dropped; the next
    // attempt is made
    int64_t deadline_us; ///< of the state
    // wait: time for the keep-alive of the library | until MISC_US | then it pings, or drops a connection that was
    // silent for KEEP_ALIVE_S and a half
    int64_t misc_at_us;
    // no wait: an instant of the past
    int64_t connected_at_us;
    int64_t back_off_us;
    int64_t connect_us;
    int64_t now_us;
    uint64_t activity; ///< packets seen, to know whether there may be more
    int subscribe_mids[TOPIC_COUNT];
    mm_random_t random;
    outgoing_t **outgoing; ///< in order of topics
    size_t outgoing_count;
    size_t outgoing_capacity;
    size_t dirty_count;
    size_t inflight_count;
};

// --- options

static bool parse_url(mm_broker_t *self, const char *url, mm_hq_error_t *error) {
    static const char plain[] = "mqtt://";
    static const char secure[] = "mqtts://";
    const char *host = NULL;
    if (url != NULL && strncmp(url, plain, sizeof plain - 1) == 0) {
        host = url + sizeof plain - 1;
    } else if (url != NULL && strncmp(url, secure, sizeof secure - 1) == 0) {
        host = url + sizeof secure - 1;
        self->tls = true;
    }
    // What is refused is not repeated: anywhere in it there may be a password.
    if (url != NULL && strchr(url, '@') != NULL) {
        mm_hq_error_set(error, "broker: user and password do not belong in the URL, other users see it;"
                               " use --broker-password-file");
        return false;
    }
    if (host == NULL || strpbrk(host, "/ ") != NULL) {
        mm_hq_error_set(error, "broker: expected mqtt://HOST[:PORT] or mqtts://HOST[:PORT]");
        return false;
    }
    // [v6]:port, name:port, or without a port.
    const char *end = host[0] == '[' ? strchr(host, ']') : NULL;
    const char *port = strrchr(end != NULL ? end : host, ':');
    size_t first = end != NULL ? 1 : 0;
    size_t chars = end != NULL ? (size_t)(end - host) - 1 : port != NULL ? (size_t)(port - host) : strlen(host);
    self->port = self->tls ? 8883 : 1883;
    if (port != NULL) {
        char *rest = NULL;
        long number = strtol(port + 1, &rest, 10);
        self->port = *rest == '\0' && rest != port + 1 && number >= 1 && number <= 65535 ? (int)number : 0;
    }
    if (chars == 0 || chars >= sizeof self->host || self->port == 0) {
        mm_hq_error_set(error, "broker: no valid host and port in its URL");
        return false;
    }
    memcpy(self->host, host + first, chars);
    self->host[chars] = '\0';
    return true;
}

static bool read_password(mm_broker_t *self, const char *path, mm_hq_error_t *error) {
    char line[2 * CREDENTIAL_BYTES] = "";
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        mm_hq_error_set(error, "broker password file %s: %s", path, strerror(errno));
        return false;
    }
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    char *colon = strchr(line, ':');
    if (!read || colon == NULL || colon == line || (size_t)(colon - line) >= sizeof self->user ||
        strlen(colon + 1) >= sizeof self->password) {
        mm_hq_error_set(error, "broker password file %s: its first line must be user:password", path);
        return false;
    }
    *colon = '\0';
    memcpy(self->user, line, (size_t)(colon - line) + 1);
    memcpy(self->password, colon + 1, strlen(colon + 1) + 1);
    explicit_bzero(line, sizeof line);
    return true;
}

mm_broker_t *mm_broker_create(const mm_broker_options_t *options, mm_hq_stats_t *stats, mm_broker_message_fn message,
                              void *context, mm_hq_error_t *error) {
    mm_broker_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        mm_hq_error_set(error, "broker: out of memory");
        return NULL;
    }
    if (!parse_url(self, options->url, error) ||
        (options->password_file != NULL && !read_password(self, options->password_file, error))) {
        free(self);
        return NULL;
    }
    FILE *authority = options->ca_file != NULL ? fopen(options->ca_file, "re") : NULL;
    if (options->ca_file != NULL && authority == NULL) {
        mm_hq_error_set(error, "broker CA file %s: %s", options->ca_file, strerror(errno));
        free(self);
        return NULL;
    }
    if (authority != NULL) {
        fclose(authority);
    }
    snprintf(self->ca_file, sizeof self->ca_file, "%s", options->ca_file != NULL ? options->ca_file : "");
    snprintf(self->client_id, sizeof self->client_id, "%s",
             options->client_id != NULL ? options->client_id : "meshmeter-hq");
    self->mqtt311 = options->mqtt311;
    self->stats = stats;
    self->message = message;
    self->context = context;
    self->back_off_us = BACK_OFF_MIN_US;
    self->connect_us = (int64_t)(options->connect_ms != 0 ? options->connect_ms : CONNECT_MS_DEFAULT) * 1000;
    uint64_t seed = 0;
    // wait: the kernel's random numbers are ready, once after power-up | until outside: the kernel | then HQ starts
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        seed = (uint64_t)(uintptr_t)self;
    }
    self->random = mm_random(seed);
    mosquitto_lib_init();
    return self;
}

void mm_broker_destroy(mm_broker_t *self) {
    if (self == NULL) {
        return;
    }
    if (self->client != NULL) {
        mosquitto_disconnect(self->client);
        mosquitto_loop_write(self->client, 1);
        mosquitto_destroy(self->client);
    }
    for (size_t index = 0; index < self->outgoing_count; index++) {
        free(self->outgoing[index]->bytes);
        free(self->outgoing[index]);
    }
    free(self->outgoing);
    explicit_bzero(self->password, sizeof self->password);
    free(self);
    mosquitto_lib_cleanup();
}

// --- connection

static void note_lost(mm_broker_t *self, const char *cause) {
    if (!self->lost) {
        self->lost = true;
        snprintf(self->cause, sizeof self->cause, "%s", cause);
    }
}

static const char *describe(int code) {
    switch (code) {
    case MOSQ_ERR_ERRNO:
        return strerror(errno);
    case MOSQ_ERR_TLS:
        return "TLS fails: its certificate is not of a known authority (--broker-ca-file) or not for this host name";
    case MOSQ_ERR_EAI:
        return "the host name cannot be resolved";
    default:
        return mosquitto_strerror(code);
    }
}

static void check(mm_broker_t *self, int code) {
    if (code != MOSQ_ERR_SUCCESS) {
        note_lost(self, describe(code));
    }
}

// Tell each cause once, however often it recurs.
static void log_cause(mm_broker_t *self, const char *text) {
    if (strcmp(self->logged_cause, text) != 0) {
        snprintf(self->logged_cause, sizeof self->logged_cause, "%s", text);
        mm_hq_log("broker %s:%d: %s; trying again", self->host, self->port, text);
    }
}

static void go_down(mm_broker_t *self) {
    self->lost = false;
    if (self->client != NULL) {
        mosquitto_destroy(self->client);
        self->client = NULL;
    }
    if (self->state == BROKER_CONNECTED && self->now_us - self->connected_at_us >= STABLE_US) {
        self->back_off_us = BACK_OFF_MIN_US;
    }
    self->state = BROKER_DOWN;
    atomic_store(&self->stats->broker_connected, false);
    self->inflight_count = 0;
    for (size_t index = 0; index < self->outgoing_count; index++) {
        self->outgoing[index]->mid = 0;
    }
    log_cause(self, self->cause);
    // Half fixed, half random: many clients of a broker that comes back must not come at once.
    int64_t half_us = self->back_off_us / 2;
    self->deadline_us = self->now_us + half_us + mm_random_below(&self->random, (uint32_t)half_us);
    self->back_off_us = self->back_off_us * 2 < BACK_OFF_MAX_US ? self->back_off_us * 2 : BACK_OFF_MAX_US;
}

static void on_message(struct mosquitto *client, void *context, const struct mosquitto_message *message,
                       const mosquitto_property *properties) {
    (void)client;
    (void)properties;
    mm_broker_t *self = context;
    self->activity++;
    self->message(self->context, message->topic, message->payload, (size_t)message->payloadlen);
}

static void on_connect(struct mosquitto *client, void *context, int code, int flags,
                       const mosquitto_property *properties) {
    (void)properties;
    mm_broker_t *self = context;
    self->activity++;
    if (code != 0) {
        char cause[200];
        bool version = self->mqtt311 ? code == 1 : code == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION || code == 1;
        snprintf(cause, sizeof cause, "refuses the connection: %s%s",
                 self->mqtt311 ? mosquitto_connack_string(code) : mosquitto_reason_string(code),
                 version ? " (this broker may need --mqtt-version 3.1.1)" : "");
        note_lost(self, cause);
        return;
    }
    self->state = BROKER_CONNECTED;
    self->deadline_us = INT64_MAX;
    self->connected_at_us = self->now_us;
    self->logged_cause[0] = '\0';
    atomic_store(&self->stats->broker_connected, true);
    mm_hq_log("broker %s:%d: connected (MQTT %s, session %s)", self->host, self->port, self->mqtt311 ? "3.1.1" : "5",
              (flags & 1) != 0 ? "resumed" : "new");
    for (size_t index = 0; index < TOPIC_COUNT; index++) {
        check(self, mosquitto_subscribe(client, &self->subscribe_mids[index], s_topics[index], 1));
    }
    self->dirty_count = self->outgoing_count;
    for (size_t index = 0; index < self->outgoing_count; index++) {
        self->outgoing[index]->dirty = true;
    }
}

static void on_subscribe(struct mosquitto *client, void *context, int mid, int granted_count, const int *granted) {
    (void)client;
    mm_broker_t *self = context;
    self->activity++;
    if (granted_count == 1 && granted[0] < 0x80) {
        return;
    }
    for (size_t index = 0; index < TOPIC_COUNT; index++) {
        if (self->subscribe_mids[index] == mid) {
            mm_hq_log("broker %s:%d: refuses the subscription to %s; check its access list", self->host, self->port,
                      s_topics[index]);
        }
    }
}

static void on_publish(struct mosquitto *client, void *context, int mid, int code,
                       const mosquitto_property *properties) {
    (void)client;
    (void)properties;
    mm_broker_t *self = context;
    self->activity++;
    for (size_t index = 0; index < self->outgoing_count; index++) {
        outgoing_t *item = self->outgoing[index];
        if (item->mid == mid) {
            item->mid = 0;
            self->inflight_count--;
            if (code >= 0x80) {
                mm_hq_log("broker %s:%d: refuses what is published on %s: %s; check its access list", self->host,
                          self->port, item->topic, mosquitto_reason_string(code));
            }
            return;
        }
    }
}

static void on_disconnect(struct mosquitto *client, void *context, int code, const mosquitto_property *properties) {
    (void)client;
    (void)properties;
    mm_broker_t *self = context;
    note_lost(self, code > 0 && code < 0x80 ? describe(code) : mosquitto_reason_string(code));
}

static bool configure(mm_broker_t *self) {
    struct mosquitto *client = self->client;
    mosquitto_connect_v5_callback_set(client, on_connect);
    mosquitto_disconnect_v5_callback_set(client, on_disconnect);
    mosquitto_subscribe_callback_set(client, on_subscribe);
    mosquitto_publish_v5_callback_set(client, on_publish);
    mosquitto_message_v5_callback_set(client, on_message);
    int code =
        mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, self->mqtt311 ? MQTT_PROTOCOL_V311 : MQTT_PROTOCOL_V5);
    mosquitto_int_option(client, MOSQ_OPT_RECEIVE_MAXIMUM, RECEIVE_MAXIMUM);
    mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
    if (code == MOSQ_ERR_SUCCESS && self->user[0] != '\0') {
        code = mosquitto_username_pw_set(client, self->user, self->password);
    }
    if (code == MOSQ_ERR_SUCCESS && self->tls) {
        bool own = self->ca_file[0] != '\0';
        code = mosquitto_tls_set(client, own ? self->ca_file : NULL, own ? NULL : "/etc/ssl/certs", NULL, NULL, NULL);
    }
    check(self, code);
    return code == MOSQ_ERR_SUCCESS;
}

static volatile sig_atomic_t s_connect_overdue;

static void on_alarm(int signal_no) {
    (void)signal_no;
    s_connect_overdue = 1;
}

// The library's connect blocks until the kernel gives up, which takes two minutes for each address that is silent. Only
// a signal ends it before; it comes again for each further address of the name.
static int connect_in_time(mm_broker_t *self, const mosquitto_property *properties) {
    const struct sigaction action = {.sa_handler = on_alarm}; // without SA_RESTART
    struct sigaction before;
    const struct timeval time = {.tv_sec = self->connect_us / 1000000, .tv_usec = self->connect_us % 1000000};
    const struct itimerval timer = {.it_value = time, .it_interval = time};
    const struct itimerval none = {0};
    s_connect_overdue = 0;
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &timer, NULL);
    errno = 0;
    // wait: the name is resolved, and TCP | until CONNECT_MS_DEFAULT for each address; the resolver has its own limit
    // (resolv.conf) | then the next address, or HQ backs off; the page goes on meanwhile
    int code = mosquitto_connect_bind_v5(self->client, self->host, self->port, KEEP_ALIVE_S, NULL, properties);
    int system_error = s_connect_overdue != 0 ? ETIMEDOUT : errno;
    setitimer(ITIMER_REAL, &none, NULL);
    sigaction(SIGALRM, &before, NULL);
    errno = system_error;
    return code;
}

static void connect_broker(mm_broker_t *self) {
    self->client = mosquitto_new(self->client_id, false, self);
    if (self->client == NULL) {
        note_lost(self, "out of memory");
        return;
    }
    if (!configure(self)) {
        return;
    }
    mosquitto_property *properties = NULL;
    if (!self->mqtt311) {
        mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, SESSION_EXPIRY_S);
        mosquitto_property_add_int32(&properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, PACKET_BYTES_MAX);
    }
    self->state = BROKER_CONNECTING;
    self->deadline_us = self->now_us + self->connect_us;
    self->misc_at_us = self->now_us + MISC_US;
    int code = connect_in_time(self, properties);
    int system_error = errno;
    mosquitto_property_free_all(&properties);
    errno = system_error;
    check(self, code);
}

// --- what is published

static void offer(mm_broker_t *self, const char *topic, const void *bytes, size_t bytes_count) {
    size_t low = 0;
    size_t high = self->outgoing_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(self->outgoing[middle]->topic, topic) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    uint8_t *copy = malloc(bytes_count + 1); // a blank message has no bytes
    bool found = low < self->outgoing_count && strcmp(self->outgoing[low]->topic, topic) == 0;
    outgoing_t *item = found ? self->outgoing[low] : calloc(1, sizeof *item);
    if (!found && self->outgoing_count == self->outgoing_capacity && item != NULL) {
        size_t capacity = self->outgoing_capacity == 0 ? 16 : self->outgoing_capacity * 2;
        outgoing_t **grown = realloc(self->outgoing, capacity * sizeof(outgoing_t *));
        if (grown == NULL) {
            free(item);
            item = NULL;
        } else {
            self->outgoing = grown;
            self->outgoing_capacity = capacity;
        }
    }
    if (copy == NULL || item == NULL) {
        // It will be told with the next commit of this site.
        free(copy);
        free(found ? NULL : item);
        return;
    }
    if (!found) {
        snprintf(item->topic, sizeof item->topic, "%s", topic);
        memmove(&self->outgoing[low + 1], &self->outgoing[low], (self->outgoing_count - low) * sizeof(outgoing_t *));
        self->outgoing[low] = item;
        self->outgoing_count++;
    }
    if (bytes_count > 0) {
        memcpy(copy, bytes, bytes_count);
    }
    free(item->bytes);
    item->bytes = copy;
    item->bytes_count = bytes_count;
    self->dirty_count += item->dirty ? 0 : 1;
    item->dirty = true;
}

void mm_broker_offer_ack(mm_broker_t *self, const char *site, const void *bytes, size_t bytes_count) {
    char topic[TOPIC_BYTES];
    snprintf(topic, sizeof topic, "meter/%s/ack", site);
    offer(self, topic, bytes, bytes_count);
}

void mm_broker_offer_commands(mm_broker_t *self, const char *site, const void *bytes, size_t bytes_count) {
    char topic[TOPIC_BYTES];
    snprintf(topic, sizeof topic, "meter/%s/cmd", site);
    offer(self, topic, bytes, bytes_count);
}

// One at a time per topic, so that an older one can never arrive behind a newer one.
static void publish_dirty(mm_broker_t *self) {
    for (size_t index = 0; index < self->outgoing_count && self->dirty_count > 0 && !self->lost; index++) {
        outgoing_t *item = self->outgoing[index];
        if (!item->dirty || item->mid != 0) {
            continue;
        }
        if (self->inflight_count == INFLIGHT_MAX) {
            return;
        }
        int code =
            mosquitto_publish(self->client, &item->mid, item->topic, (int)item->bytes_count, item->bytes, 1, true);
        if (code != MOSQ_ERR_SUCCESS) {
            item->mid = 0;
            check(self, code);
            return;
        }
        self->inflight_count++;
        item->dirty = false;
        self->dirty_count--;
    }
}

// --- the owner's calls

// no wait(mosquitto_loop_read): the library's sockets do not block once they are connected
// no wait(mosquitto_loop_write): the same
// no wait(mosquitto_loop_misc): the same

int mm_broker_socket(const mm_broker_t *self) {
    return self->client != NULL ? mosquitto_socket(self->client) : -1;
}

bool mm_broker_wants_write(const mm_broker_t *self) {
    return self->client != NULL && mosquitto_want_write(self->client);
}

// TLS may hold messages that poll cannot see: read on as long as something comes.
static void read_all(mm_broker_t *self) {
    for (int reads = 0; reads < READS_PER_SERVICE && !self->lost; reads++) {
        uint64_t before = self->activity;
        check(self, mosquitto_loop_read(self->client, 1));
        if (self->activity == before) {
            break;
        }
    }
}

void mm_broker_service(mm_broker_t *self, bool readable, bool writable, int64_t now_us) {
    self->now_us = now_us;
    if (self->state == BROKER_DOWN) {
        if (now_us >= self->deadline_us) {
            connect_broker(self);
        }
    } else {
        if (readable || self->tls) {
            read_all(self);
        }
        if (!self->lost && writable) {
            check(self, mosquitto_loop_write(self->client, 1));
        }
        if (!self->lost && now_us >= self->misc_at_us) {
            self->misc_at_us = now_us + MISC_US;
            check(self, mosquitto_loop_misc(self->client));
        }
        if (!self->lost && now_us >= self->deadline_us) {
            note_lost(self, "accepts the connection but does not answer");
        }
    }
    if (!self->lost && self->state == BROKER_CONNECTED) {
        publish_dirty(self);
    }
    if (self->lost) {
        go_down(self);
    }
}

int64_t mm_broker_next_deadline_us(const mm_broker_t *self) {
    if (self->state == BROKER_DOWN) {
        return self->deadline_us;
    }
    return self->misc_at_us < self->deadline_us ? self->misc_at_us : self->deadline_us;
}
