// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_MQTT_H
#define MM_LINUX_MQTT_H

#include <pthread.h>

#include "linux_message.h"
#include "meshmeter/limits.h"
#include "meshmeter/port/mqtt.h"

/// MQTT 3.1.1 or 5 over libmosquitto: one session at a time, each in a thread of its own, because resolving a name may
/// block for as long as it likes. The thread only posts copies of what happens into a bounded queue. If the
/// owner does not empty it, the session stops reading (and TCP holds the broker back), so nothing is lost.
///
/// Events of one session: CONNECTED, REFUSED or ERROR first (or nothing, if it was stopped), DISCONNECTED last. When
/// DISCONNECTED has been handed out, the session's thread and memory are gone.
///
/// All functions are for the owner's thread. After a connection was lost, DISCONNECTED comes by itself; stop then gives
/// another one at once (port/mqtt.h).

#define MM_LINUX_MQTT_QUEUE_EVENTS 64
#define MM_LINUX_MQTT_TOPIC_BYTES_MAX 256

typedef struct {
    const char *url;       ///< "mqtt://HOST[:PORT]" (1883) or "mqtts://HOST[:PORT]" (8883); [IPv6]
    const char *client_id; ///< of the root, e.g. its MAC in hex
    const char *user;      ///< NULL = none
    const char *password;  ///< NULL = none
    const char *ca_file;   ///< mqtts: PEM; NULL = the system's authorities. Name and certificate are always verified
    bool version_5;        ///< else 3.1.1
    uint16_t keep_alive_s; ///< 5 …; 0 = 60
    uint32_t connect_ms;   ///< real time for name, TCP, TLS and CONNACK together; 0 = 10000
    uint32_t close_ms;     ///< real time for a graceful end; 0 = 1000
} mm_linux_mqtt_options_t;

typedef struct {
    mm_mqtt_event_kind_t kind;
    uint32_t session;
    uint16_t packet_id;
    uint8_t reason;
    bool retained;
    size_t bytes_count;
    char *topic;    // owned, NULL = none
    uint8_t *bytes; // owned, NULL = none
} mm_linux_mqtt_item_t;

typedef enum {
    MM_LINUX_MQTT_IDLE = 0,
    MM_LINUX_MQTT_RUNNING, ///< thread exists
    MM_LINUX_MQTT_ENDED,   ///< ended by itself, everything released, not stopped yet
} mm_linux_mqtt_state_t;

struct mosquitto;

/// *self must stay where it is from open to close. Fields are private.
typedef struct {
    mm_mqtt_t mqtt; ///< hand this to the core

    // Configuration, constant while a session is there.
    char host[256];
    uint16_t port;
    bool tls;
    char *client_id;
    char *user;
    char *password;
    char *ca_file;
    bool version_5;
    uint16_t keep_alive_s;
    uint32_t connect_ms;
    uint32_t close_ms;

    // The owner's.
    mm_linux_mqtt_state_t state;
    uint32_t session;
    bool connected; ///< CONNECTED was handed out
    bool stop_called;
    pthread_t thread;
    struct mosquitto *client; ///< made and destroyed by the owner while no thread exists
    mm_linux_mqtt_item_t popped;
    char last_error[512];

    int ready_file; ///< eventfd: events wait
    int wake_file;  ///< eventfd: the thread has something to look at

    // Shared, under lock.
    pthread_mutex_t lock;
    pthread_cond_t room;
    mm_linux_mqtt_item_t queue[MM_LINUX_MQTT_QUEUE_EVENTS];
    size_t queue_first;
    size_t queue_count;
    bool stop_requested;
    bool stop_graceful;
    char error[512];

    // The thread's.
    bool connack_good;
    bool connack_seen;
    bool out_of_memory;
} mm_linux_mqtt_t;

/// Nothing is connected yet. MM_ERR_ARG: an option is wrong (URL, client id), MM_ERR_STORAGE: ca_file cannot be read;
/// `message` says which, and never repeats an address that was refused: it may have a password in it. options are
/// copied.
mm_err_t mm_linux_mqtt_open(mm_linux_mqtt_t *self, const mm_linux_mqtt_options_t *options, mm_linux_message_t *message);
/// True if open would take this address.
bool mm_linux_mqtt_url_is_good(const char *url);
/// Another broker for the sessions to come; client id, certificates and version stay. MM_ERR_BUSY: a session is under
/// way, its end comes first. MM_ERR_ARG, MM_ERR_FULL (memory): nothing changed.
mm_err_t mm_linux_mqtt_set_broker(mm_linux_mqtt_t *self, const char *url, const char *user, const char *password);
/// Readable when events wait.
int mm_linux_mqtt_file(const mm_linux_mqtt_t *self);
/// Take the next event; topic and bytes are valid until the next call. False: none. Never blocks.
bool mm_linux_mqtt_next_event(mm_linux_mqtt_t *self, mm_mqtt_event_t *event);
/// Why the last session failed, for the log; "" if it did not. Valid until the next event is taken.
const char *mm_linux_mqtt_last_error(const mm_linux_mqtt_t *self);
/// Drop a session that is still there and release everything. Waits for the thread: at once, except while it resolves a
/// name (as long as the system's resolver takes).
void mm_linux_mqtt_close(mm_linux_mqtt_t *self);

#endif
