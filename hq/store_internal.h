// SPDX-License-Identifier: Apache-2.0
#ifndef MM_STORE_INTERNAL_H
#define MM_STORE_INTERNAL_H

#include "store.h"

#include "meshmeter/command.h"

#include <sqlite3.h>

/// Shared by the store's own files only.

/// "mmHQ": tells our files from other SQLite databases.
#define MMI_HQ_APPLICATION_ID 0x6D6D4851
#define MMI_HQ_SECONDS_PER_DAY 86400

/// Reasons of a gap: those of the wire (mm_gap_reason_t), and HQ's own.
#define MMI_HQ_GAP_UNEXPLAINED 100
#define MMI_HQ_GAP_JOURNAL_RESTARTED 101

typedef enum {
    MMI_HQ_BEGIN,
    MMI_HQ_COMMIT,
    MMI_HQ_ROLLBACK,
    MMI_HQ_DATA_VERSION,
    MMI_HQ_TOTAL_READ,
    MMI_HQ_TOTAL_WRITE,
    MMI_HQ_SITE_FIND,
    MMI_HQ_SITE_ADD,
    MMI_HQ_SITE_ROOT,
    MMI_HQ_SITE_TZ,
    MMI_HQ_SITE_TZ_ALL,
    MMI_HQ_SITE_LIST,
    MMI_HQ_NODE_FIND,
    MMI_HQ_NODE_ADD,
    MMI_HQ_NODE_WRITE,
    MMI_HQ_NODE_ACKS,
    MMI_HQ_SPAN_LOAD,
    MMI_HQ_SPAN_PUT,
    MMI_HQ_SPAN_DELETE,
    MMI_HQ_GAP_LOAD,
    MMI_HQ_GAP_PUT,
    MMI_HQ_GAP_DELETE,
    MMI_HQ_RECORD_ADD,
    MMI_HQ_RECORD_FIND,
    MMI_HQ_THINNED_ADD,
    MMI_HQ_MONTH_PUT,
    MMI_HQ_EVENT_ADD,
    MMI_HQ_EVENT_SYNC,
    MMI_HQ_EVENT_PLACE,
    MMI_HQ_INCIDENT_ADD,
    MMI_HQ_SNAPSHOT_READ,
    MMI_HQ_SNAPSHOT_PUT,
    MMI_HQ_METER_PUT,
    MMI_HQ_QUARANTINE_ADD,
    MMI_HQ_QUARANTINE_TRIM,
    MMI_HQ_LEGACY_METER_FIND,
    MMI_HQ_LEGACY_METER_ADD,
    MMI_HQ_LEGACY_METER_WRITE,
    MMI_HQ_LEGACY_READING_ADD,
    MMI_HQ_NOTICE_ADD,
    MMI_HQ_NOTICE_TRIM,
    MMI_HQ_CONTROL_PUT,
    MMI_HQ_CREDIT_PUT,
    MMI_HQ_COMMAND_ACCEPT,
    MMI_HQ_STATEMENT_COUNT
} mmi_hq_statement_t;

/// Inclusive. Sorted, not overlapping.
typedef struct {
    uint32_t first;
    uint32_t last;
    uint8_t reason; ///< gaps only
    bool explained; ///< gaps only
} mmi_hq_range_t;

typedef struct {
    mmi_hq_range_t *items;
    size_t count;
    size_t capacity;
} mmi_hq_ranges_t;

/// One epoch of one node's journal.
typedef struct {
    int64_t node_id;
    uint32_t epoch;
    mmi_hq_ranges_t spans;
    mmi_hq_ranges_t gaps;
} mmi_hq_track_t;

typedef struct {
    int64_t id;
    int64_t site_id;
    mm_mac_t mac;
    int64_t last_seen_us;
    uint32_t epoch; ///< current one; 0 = nothing known yet
    uint32_t watermark_seq;
    uint32_t next_seq;
    uint32_t oldest_seq;
    uint32_t interval_epoch; ///< of the newest interval record
    uint32_t interval_seq;
    uint32_t interval_no;
    uint8_t interval_payload[MM_RECORD_PAYLOAD_BYTES_MAX];
    uint8_t interval_payload_bytes;
    uint32_t missed_rounds;
    mm_mac_t missed_root; ///< the round counted last
    uint32_t missed_boot_no;
    uint32_t missed_round_id;
    bool snapshot_loaded;
    bool has_snapshot;
    mm_snapshot_t *snapshot; ///< the newest one, if loaded
    mmi_hq_track_t **tracks;
    size_t track_count;
    bool control_known; ///< `control` is what the database has of it
    mm_control_report_t control;
    bool dirty;
} mmi_hq_node_t;

struct mm_store {
    sqlite3 *db;
    sqlite3_stmt *statements[MMI_HQ_STATEMENT_COUNT];
    char error[256];
    int error_code; ///< SQLite's, of the first failure of this transaction; 0 = none
    bool in_transaction;
    int64_t data_version; ///< SQLite's; another value means that somebody else has written
    char default_tz[MM_TZ_CHARS_MAX + 1];
    uint64_t database_id;
    uint64_t revision;
    mm_store_totals_t totals;
    mm_store_totals_t transaction;
    // Nodes met so far: open addressing, power of two. Dropped as a whole by rollback.
    mmi_hq_node_t **nodes;
    size_t node_capacity;
    size_t node_count;
    mmi_hq_node_t **dirty_nodes;
    size_t dirty_count;
    size_t dirty_capacity;
    char (*touched)[MM_SITE_CHARS_MAX + 1];
    size_t touched_count;
    size_t touched_capacity;
};

// store_schema.c

/// Migrations 5 and 6 (schema_vending.c).
extern const char mmi_hq_schema_vending[];
extern const char mmi_hq_schema_books[];
/// Migration 7 (schema_installations.c).
extern const char mmi_hq_schema_installations[];
/// Migration 8 (schema_joins.c).
extern const char mmi_hq_schema_joins[];
/// The newest version this program knows.
int mmi_hq_schema_version(void);
/// Create (with this database_id, 0 = a random one) or migrate. False and *error: newer, foreign, or a step failed (the
/// steps before it stand).
bool mmi_hq_schema_migrate(sqlite3 *db, uint64_t database_id, mm_hq_error_t *error);

// store.c

/// Prepared statement, reset and without bindings; NULL after a failure.
sqlite3_stmt *mmi_hq_statement(mm_store_t *self, mmi_hq_statement_t which);
/// Step a statement that returns no row; false notes the failure.
bool mmi_hq_run(mm_store_t *self, sqlite3_stmt *statement);
/// Step: true if there is a row. At the end or on failure false; see mmi_hq_failed.
bool mmi_hq_row(mm_store_t *self, sqlite3_stmt *statement);
bool mmi_hq_failed(const mm_store_t *self);
void mmi_hq_fail(mm_store_t *self, int code, const char *text);
/// What a statement outside of mmi_hq_statement came to: notes its failure, and passes it on.
bool mmi_hq_note_failure(mm_store_t *self, bool good);
mm_store_result_t mmi_hq_result(const mm_store_t *self);
/// Id of a site, created if new; 0 on failure.
int64_t mmi_hq_site(mm_store_t *self, const char *name);
void mmi_hq_touch_site(mm_store_t *self, const char *name);
/// realloc that notes its failure.
void *mmi_hq_grow(mm_store_t *self, void *items, size_t *capacity, size_t wanted, size_t item_bytes);

// store_node.c

/// A node's state, created if new (with `create`) or NULL.
mmi_hq_node_t *mmi_hq_node(mm_store_t *self, int64_t site_id, mm_mac_t mac, bool create);
void mmi_hq_node_mark(mm_store_t *self, mmi_hq_node_t *node);
bool mmi_hq_nodes_flush(mm_store_t *self);
void mmi_hq_nodes_drop(mm_store_t *self);
mmi_hq_track_t *mmi_hq_track(mm_store_t *self, mmi_hq_node_t *node, uint32_t epoch);

// store_track.c

/// Index of the range that holds seq, or -1.
ptrdiff_t mmi_hq_ranges_find(const mmi_hq_ranges_t *ranges, uint32_t seq);
bool mmi_hq_ranges_append(mm_store_t *self, mmi_hq_ranges_t *ranges, mmi_hq_range_t range);
/// first … last are now stored (none of them was): into the spans, out of the gaps.
void mmi_hq_track_store(mm_store_t *self, mmi_hq_track_t *track, uint32_t first, uint32_t last);
/// What is not stored of first … last will not come. An explanation replaces "unexplained", never another explanation.
void mmi_hq_track_miss(mm_store_t *self, mmi_hq_track_t *track, uint32_t first, uint32_t last, uint8_t reason,
                       bool explained);
/// Largest seq >= from with everything behind `from` up to it in spans and gaps.
uint32_t mmi_hq_track_watermark(const mmi_hq_track_t *track, uint32_t from);

// store_report.c

/// One REPORT frame of a batch.
void mmi_hq_put_frame(mm_store_t *self, int64_t site_id, const char *topic, const uint8_t *bytes, size_t bytes_count,
                      int64_t received_us);

#endif
