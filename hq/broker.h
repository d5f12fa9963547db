// SPDX-License-Identifier: Apache-2.0
#ifndef MM_BROKER_H
#define MM_BROKER_H

#include "log.h"
#include "stats.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// HQ's connection to the MQTT broker: a persistent session, its own reconnect with back-off and jitter, the messages
/// of the nodes in, acknowledgements and batches of commands out. Single-threaded, driven by the owner's poll loop;
/// uses SIGALRM and the real timer while it connects, so other threads block that signal.
///
/// The broker confirms a message to its sender before HQ has it (and libmosquitto confirms it to the broker before it
/// is committed): neither is relied upon, the acknowledgement with the watermarks is.

typedef struct mm_broker mm_broker_t;

typedef struct {
    const char *url;           ///< mqtt://HOST[:PORT] or mqtts://HOST[:PORT]
    const char *client_id;     ///< NULL = "meshmeter-hq"; the session at the broker belongs to it
    const char *password_file; ///< first line "user:password"; NULL = anonymous
    const char *ca_file;       ///< mqtts: PEM file of the authority; NULL = those of the system
    bool mqtt311;              ///< MQTT 3.1.1 instead of 5
    uint32_t connect_ms;       ///< for TCP, and again for TLS and the broker's answer; 0 = 10000
} mm_broker_options_t;

typedef void (*mm_broker_message_fn)(void *context, const char *topic, const void *payload, size_t payload_bytes);

/// NULL and *error: URL or file not usable. Does not connect yet. options are copied, stats and context borrowed.
mm_broker_t *mm_broker_create(const mm_broker_options_t *options, mm_hq_stats_t *stats, mm_broker_message_fn message,
                              void *context, mm_hq_error_t *error);
/// Disconnects; the session stays at the broker.
void mm_broker_destroy(mm_broker_t *self);

/// For poll: -1 = no connection.
int mm_broker_socket(const mm_broker_t *self);
bool mm_broker_wants_write(const mm_broker_t *self);
/// Connect if due, read, write, keep alive, publish. Messages are handed out from here. Times are monotonic.
void mm_broker_service(mm_broker_t *self, bool readable, bool writable, int64_t now_us);
int64_t mm_broker_next_deadline_us(const mm_broker_t *self);

/// Publish on meter/<site>/ack, retained, QoS 1; copied. Only the newest of a site is kept; all are published again
/// whenever the connection is made anew.
void mm_broker_offer_ack(mm_broker_t *self, const char *site, const void *bytes, size_t bytes_count);
/// The same on meter/<site>/cmd; 0 bytes clear what the broker keeps.
void mm_broker_offer_commands(mm_broker_t *self, const char *site, const void *bytes, size_t bytes_count);

#endif
