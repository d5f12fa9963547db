// SPDX-License-Identifier: Apache-2.0
#ifndef MM_INGEST_H
#define MM_INGEST_H

#include "clock.h"
#include "stats.h"
#include "store.h"

/// From broker messages to the database, in group commits: a transaction begins with the first message and is committed
/// when the loop is idle, or after MM_INGEST_COMMIT_US, or with MM_INGEST_COMMIT_MESSAGES messages. A transaction holds
/// whole messages only. Acknowledgements are made from committed data only.
///
/// What a message is, is decided by its topic and its bytes, in this order: own batch (magic and checksum), the
/// original's binary form (exact length), the original's JSON, else quarantine. The site is the one in the topic,
/// whatever the bytes say. No content ends the program or stops the messages behind it.
///
/// If the database cannot take it, nothing is acknowledged, and the messages wait in a bounded queue for the next try;
/// beyond the queue they are dropped and counted: the nodes send again what the watermark does not pass.

#define MM_INGEST_COMMIT_US 100000
#define MM_INGEST_COMMIT_MESSAGES 64
#define MM_INGEST_QUEUE_MESSAGES_MAX 4096
#define MM_INGEST_QUEUE_BYTES_MAX 33554432
#define MM_INGEST_RETRY_MIN_US 250000
#define MM_INGEST_RETRY_MAX_US 30000000

typedef struct mm_ingest mm_ingest_t;

/// An acknowledgement to be published, retained, on meter/<site>/ack. Bytes are borrowed.
typedef void (*mm_ingest_ack_fn)(void *context, const char *site, const void *bytes, size_t bytes_count);

/// NULL: out of memory. store, stats and context are borrowed.
mm_ingest_t *mm_ingest_create(mm_store_t *store, mm_hq_stats_t *stats, mm_ingest_ack_fn ack, void *context);
/// Uncommitted messages are rolled back and lost here; they were not acknowledged.
void mm_ingest_destroy(mm_ingest_t *self);
/// One message, copied. Never fails.
void mm_ingest_push(mm_ingest_t *self, const char *topic, const void *payload, size_t payload_bytes,
                    const mm_hq_now_t *now);
/// Commit what is due. idle: no more messages are waiting at the broker's socket.
void mm_ingest_poll(mm_ingest_t *self, const mm_hq_now_t *now, bool idle);
/// True while a transaction is open between two polls: nobody else can write meanwhile.
bool mm_ingest_is_writing(const mm_ingest_t *self);
/// Monotonic time of the next poll; INT64_MAX = none is needed.
int64_t mm_ingest_next_deadline_us(const mm_ingest_t *self);
/// Make the acknowledgement of every site (after start). Legal when nothing is uncommitted.
void mm_ingest_ack_all(mm_ingest_t *self, const mm_hq_now_t *now);

/// True and the site's name if topic is meter/<site>/info with a valid name ([a-z0-9-], 1 … MM_SITE_CHARS_MAX).
bool mm_ingest_topic_site(const char *topic, char site[MM_SITE_CHARS_MAX + 1]);

#endif
