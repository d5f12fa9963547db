// SPDX-License-Identifier: Apache-2.0
#ifndef SIMULATOR_BOOKS_H
#define SIMULATOR_BOOKS_H

#include "meshmeter/batch.h"

/// What HQ remembers, and the machine that it remembers it on. Two implementations, chosen when a program is linked:
///   books_store.c  HQ's real store and ingest, on an emulated disk;
///   books_model.c  what they must do, written down once more without a database: for machines that have no SQLite.
/// One site. Deterministic; time comes in as an argument (of the simulated world, from 0).

typedef struct books books_t;

/// An acknowledgement to be published, retained, for this site. Bytes are borrowed.
typedef void (*books_ack_fn)(void *context, const char *site, const void *bytes, size_t bytes_count);

/// What has been committed.
typedef struct {
    uint64_t records;
    uint64_t duplicates;
    uint64_t quarantined;
    uint64_t legacy_readings;
} books_totals_t;

/// Empty and closed. begin_utc_us: wall time of world time 0.
books_t *books_create(uint64_t seed, int64_t begin_utc_us, books_ack_fn ack, void *context);
void books_destroy(books_t *self);

// --- HQ's process

/// False: the disk does not let it; try again later.
bool books_open(books_t *self);
/// What is not committed is lost. Legal when closed.
void books_close(books_t *self);
bool books_is_open(const books_t *self);
/// Everything below up to "its machine" wants the books open.
void books_push(books_t *self, const char *topic, const void *bytes, size_t bytes_count, mm_us_t now);
/// Nothing more comes for now: commit and acknowledge what is there.
void books_poll(books_t *self, mm_us_t now);
/// MM_US_NEVER: everything is committed.
mm_us_t books_next_poll_at(const books_t *self);
/// Acknowledge everything, with a revision above all earlier ones. After opening.
void books_ack_all(books_t *self, mm_us_t now);
books_totals_t books_totals(const books_t *self);
/// Whether the books contradict themselves: NULL = no, or how; valid until the next call.
const char *books_audit(books_t *self);

// --- its machine

typedef enum {
    BOOKS_DISK_WRITE,
    BOOKS_DISK_SYNC,
    BOOKS_DISK_READ,
    BOOKS_DISK_TRUNCATE
} books_disk_call_t;

/// The power fails: what was committed stays, the books are closed.
void books_cut_power(books_t *self);
/// Only so many more bytes fit.
void books_fill_disk(books_t *self, uint32_t bytes_left);
/// `count` such calls fail behind `after` good ones.
void books_fail_disk(books_t *self, books_disk_call_t call, uint32_t after, uint32_t count);
/// Neither full nor failing any more.
void books_mend_disk(books_t *self);
/// Keep a copy of what is committed; a later one replaces it.
void books_back_up(books_t *self);
bool books_have_backup(const books_t *self);
/// Close the books, and put the copy back in place of them. There must be one.
void books_restore(books_t *self);

// --- reading them, for the comparison

typedef struct {
    uint32_t epoch;
    uint32_t first_seq;
    uint32_t last_seq;
    int reason;     ///< mm_gap_reason_t, or HQ's own
    bool explained; ///< by the node
} books_gap_t;

/// Everything is borrowed during the call.
typedef struct {
    void (*record)(void *context, mm_position_t position, uint8_t type, const void *payload, size_t payload_bytes);
    void (*gap)(void *context, const books_gap_t *gap);
    /// A month-closing record, each once, wherever and how often it stands in the journal.
    void (*month)(void *context, const void *payload, size_t payload_bytes);
    /// The report frame that begins with the newest snapshot; at most one.
    void (*snapshot)(void *context, const void *frame, size_t frame_bytes);
    void *context;
} books_reader_t;

/// Everything that they hold of a node, in no particular order; wants them closed. NULL = done, or why not; valid until
/// the next call.
const char *books_read(books_t *self, mm_mac_t node, const books_reader_t *reader);

#endif
