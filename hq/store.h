// SPDX-License-Identifier: Apache-2.0
#ifndef MM_STORE_H
#define MM_STORE_H

#include "meshmeter/batch.h"

#include "legacy.h"
#include "log.h"

/// HQ's database (SQLite): what has been committed, and the cursor of every node. Reasons: docs/adr/0003-hq-store.md.
///
/// One writer, one transaction at a time: begin, any number of put and quarantine, commit. A transaction either stands
/// whole after any crash, or never was. Everything is idempotent: the same message again changes nothing but the count
/// of duplicates.
///
/// Bookkeeping of a node's journal, per epoch: every seq of 1 … (largest known) is in exactly one of
///   span  stored in `record`;
///   gap   not there, with the reason and whether the node has explained it;
///   or    still expected: above the watermark.
/// The watermark is the largest seq with everything up to it in spans and gaps. Only GAP records, the oldest record a
/// node still has, and the end of an epoch make gaps; a record that arrives after all takes its place out of the gap
/// again.
///
/// Not thread-safe: one owner. Readers use their own connection (store_query.h).

typedef struct mm_store mm_store_t;

typedef enum {
    MM_STORE_OK = 0,
    MM_STORE_UNAVAILABLE, ///< disk full, I/O error, locked …: roll back, try the same again later
    MM_STORE_REFUSED,     ///< the database refuses this content: roll back, do not try it again as it is
} mm_store_result_t;

typedef struct {
    const char *vfs;      ///< NULL = default
    int64_t pages_max;    ///< 0 = no limit
    int busy_timeout_ms;  ///< 0 = 5000
    uint64_t database_id; ///< of a database that is created; 0 = random, as it must be in the field
    int checkpoint_pages; ///< of the WAL, until they are copied into the database; 0 = 1000
} mm_store_options_t;

/// What one transaction, or the whole database, holds.
typedef struct {
    uint64_t records;     ///< stored for the first time
    uint64_t duplicates;  ///< already there, same bytes
    uint64_t conflicts;   ///< already there with other bytes: first kept, second in quarantine
    uint64_t quarantined; ///< ever, not only those still kept
    uint64_t snapshots;   ///< taken as a node's newest
    uint64_t legacy_readings;
} mm_store_totals_t;

#define MM_QUARANTINE_ROWS_MAX 10000
#define MM_QUARANTINE_BYTES_MAX 65536
/// Messages kept of the topics meter/911, meter/install and meter/disco.
#define MM_NOTICE_ROWS_MAX 10000

/// Open or create, and bring the schema up to date. NULL and *error: not a database of ours, of a later version, not
/// writable. options may be NULL. What an earlier run left in the WAL goes into the database first, so that no commit
/// stands behind one that a failed sync never brought to the disk.
mm_store_t *mm_store_open(const char *path, const mm_store_options_t *options, mm_hq_error_t *error);
void mm_store_close(mm_store_t *self);

mm_store_result_t mm_store_begin(mm_store_t *self);
/// Undo everything since begin. Legal at any time.
void mm_store_rollback(mm_store_t *self);
/// real_us: the computer's clock; from it comes the revision of acknowledgements, which must grow even when the
/// database is an older copy than the last time.
mm_store_result_t mm_store_commit(mm_store_t *self, int64_t real_us);
/// Text of the last failure.
const char *mm_store_error(const mm_store_t *self);

/// A whole batch message that mm_batch_open accepted. Bad frames and records in it go to quarantine, the others are
/// stored.
mm_store_result_t mm_store_put_batch(mm_store_t *self, const char *site, const char *topic, mm_batch_reader_t *batch,
                                     int64_t received_us);
/// One reading in one of the original's forms. `bytes` are kept as they are.
mm_store_result_t mm_store_put_legacy(mm_store_t *self, const char *site, const mm_legacy_reading_t *reading,
                                      const void *bytes, size_t bytes_count, int64_t received_us);
/// A message of the original that is not a reading (emergency, installation, answer), kept as it is.
mm_store_result_t mm_store_put_notice(mm_store_t *self, const char *topic, const void *bytes, size_t bytes_count,
                                      int64_t received_us);
/// What cannot be used, with the reason; the first MM_QUARANTINE_BYTES_MAX bytes of it.
mm_store_result_t mm_store_quarantine(mm_store_t *self, const char *topic, const char *reason, const void *bytes,
                                      size_t bytes_count, int64_t received_us);

/// Of the open transaction, or of the last committed one.
mm_store_totals_t mm_store_transaction_totals(const mm_store_t *self);
/// Of the database as committed.
mm_store_totals_t mm_store_totals(const mm_store_t *self);
/// Sites of which the last committed transaction took a batch; NULL behind the last one. Valid until the next begin.
const char *mm_store_touched_site(const mm_store_t *self, size_t index);

/// The time zone of all sites, also of those that are still to come ("" = UTC). Outside of a transaction.
mm_store_result_t mm_store_set_default_tz(mm_store_t *self, const char *tz);
/// The time zone of one site, after the default; creates the site. Outside of a transaction.
mm_store_result_t mm_store_set_site_tz(mm_store_t *self, const char *site, const char *tz);
/// Every site with its tz. Outside of a transaction. The callback must not call the store.
typedef void (*mm_store_site_fn)(void *context, const char *site, const char *tz);
mm_store_result_t mm_store_sites(mm_store_t *self, mm_store_site_fn visit, void *context);

/// The committed watermarks of a site, newest nodes first. Outside of a transaction (asserted): nothing uncommitted is
/// ever acknowledged.
mm_store_result_t mm_store_ack(mm_store_t *self, const char *site, int64_t utc_us, mm_ack_t *ack);

/// Check the bookkeeping against the records, completely (slow; for tests and for the doubtful). False and *error.
bool mm_store_check(mm_store_t *self, mm_hq_error_t *error);

#endif
