// SPDX-License-Identifier: Apache-2.0
#ifndef MM_STORE_QUERY_H
#define MM_STORE_QUERY_H

#include "meshmeter/frame.h"

#include "log.h"

#include <sqlite3.h>

/// Reading HQ's database, on a connection of its own that cannot write. One owner (a thread, a command).
/// All functions return false after a database error; mm_query_error says which.

typedef struct mm_query mm_query_t;

/// NULL and *error: absent, not ours, or of a version that this program does not read.
mm_query_t *mm_query_open(const char *path, mm_hq_error_t *error);
/// The same on another of SQLite's VFSs than the default one.
mm_query_t *mm_query_open_on(const char *vfs, const char *path, mm_hq_error_t *error);
void mm_query_close(mm_query_t *self);
const char *mm_query_error(const mm_query_t *self);
/// See one state of the database from begin to end, whatever is written meanwhile.
bool mm_query_begin(mm_query_t *self);
void mm_query_end(mm_query_t *self);

/// "aa:bb:cc:dd:ee:ff".
#define MM_MAC_TEXT_BYTES 18
void mm_mac_print(mm_mac_t mac, char text[MM_MAC_TEXT_BYTES]);
/// With ":" or "-" or nothing between the bytes, upper or lower case.
bool mm_mac_parse(const char *text, mm_mac_t *mac);
/// Wh of so many pulses, rounded down; 0 without a constant.
uint64_t mm_query_pulses_wh(uint64_t pulses, uint32_t pulse_constant);
/// Also for the reasons that HQ itself gives.
const char *mm_query_gap_reason_name(int reason);

/// A whole number from a statement of one row and one column.
bool mm_query_integer(mm_query_t *self, const char *sql, int64_t *value);

typedef struct {
    char site[MM_SITE_CHARS_MAX + 1];
    char tz[MM_TZ_CHARS_MAX + 1];
    bool has_root;
    mm_mac_t root;
    int64_t nodes;
    int64_t meters; ///< configured ones, and the original's
    int64_t last_seen_us;
} mm_query_site_t;

typedef bool (*mm_query_site_fn)(void *context, const mm_query_site_t *site);
bool mm_query_sites(mm_query_t *self, mm_query_site_fn visit, void *context);

typedef struct {
    int64_t id;
    char site[MM_SITE_CHARS_MAX + 1];
    char tz[MM_TZ_CHARS_MAX + 1];
    mm_mac_t mac;
    bool is_root;
    int64_t last_seen_us;
    uint32_t epoch;
    uint32_t watermark_seq;
    uint32_t next_seq;
    uint32_t oldest_seq;
    uint32_t missed_rounds;
    int64_t gaps;
    bool has_snapshot;
    int64_t snapshot_received_us;
    mm_snapshot_t snapshot;
    bool has_interval;
    mm_position_t interval_position;
    mm_interval_record_t interval; ///< the newest
} mm_query_node_t;

/// The visitor returns false to stop.
typedef bool (*mm_query_node_fn)(void *context, const mm_query_node_t *node);
/// site, mac: NULL = all. In the order of sites and MACs.
bool mm_query_nodes(mm_query_t *self, const char *site, const mm_mac_t *mac, mm_query_node_fn visit, void *context);

/// What a node last said of the supply and the credit of a meter.
typedef struct {
    bool known; ///< the node has told; nothing else is valid otherwise
    bool prepaid;
    bool relay_closed;
    uint8_t relay_reasons; ///< credit.h
    bool low;
    bool emergency_taken;
    int64_t balance_wh;
} mm_query_credit_t;

bool mm_query_credits(mm_query_t *self, int64_t node_id, mm_query_credit_t credits[MM_CHANNELS]);

typedef struct {
    mm_position_t position;
    int64_t end_s; ///< UTC; of an interval without wall time only if the node's time in that boot is known, else 0
    bool placed;   ///< end_s is known
    mm_interval_record_t record;
    uint32_t pulse_constants[MM_CHANNELS]; ///< of that time
} mm_query_interval_t;

typedef bool (*mm_query_interval_fn)(void *context, const mm_query_interval_t *interval);
/// Intervals of a node that end in from_s … to_s, oldest first, without those that coarser ones stand for.
bool mm_query_intervals(mm_query_t *self, const mm_query_node_t *node, int64_t from_s, int64_t to_s,
                        mm_query_interval_fn visit, void *context);
/// All of them, also those that cannot be placed in time (first, in order of position).
bool mm_query_all_intervals(mm_query_t *self, const mm_query_node_t *node, mm_query_interval_fn visit, void *context);
/// End of the newest interval; 0 = none that has a place in time.
bool mm_query_newest_interval_end(mm_query_t *self, const mm_query_node_t *node, int64_t *end_s);

typedef struct {
    uint16_t year_month;
    mm_month_closing_record_t closing;
} mm_query_month_t;

typedef bool (*mm_query_month_fn)(void *context, const mm_query_month_t *month);
/// Closed months, oldest first. A month that was closed in parts is their sum, with the register of the last part.
bool mm_query_months(mm_query_t *self, int64_t node_id, uint8_t channel, mm_query_month_fn visit, void *context);

typedef struct {
    mm_mac_t node;
    uint32_t epoch;
    uint32_t first_seq;
    uint32_t last_seq;
    int reason;
    bool explained;
} mm_query_gap_t;

typedef bool (*mm_query_gap_fn)(void *context, const mm_query_gap_t *gap);
/// node_id 0 = of all nodes.
bool mm_query_gaps(mm_query_t *self, int64_t node_id, mm_query_gap_fn visit, void *context);

typedef struct {
    mm_mac_t node;
    uint32_t epoch; ///< 0: noticed by HQ
    uint32_t seq;
    int64_t utc_s;
    mm_trust_t trust;
    const char *name;
    uint64_t values[MM_EVENT_VALUES];
} mm_query_event_t;

typedef bool (*mm_query_event_fn)(void *context, const mm_query_event_t *event);
/// Newest first. node_id 0 = of all nodes.
bool mm_query_events(mm_query_t *self, int64_t node_id, int64_t limit, mm_query_event_fn visit, void *context);

typedef struct {
    int64_t id;
    int64_t received_us;
    const char *topic;
    const char *reason;
    int64_t bytes_count; ///< of the original
    const uint8_t *head;
    size_t head_bytes;
} mm_query_quarantine_t;

typedef bool (*mm_query_quarantine_fn)(void *context, const mm_query_quarantine_t *entry);
bool mm_query_quarantine(mm_query_t *self, int64_t limit, mm_query_quarantine_fn visit, void *context);

typedef struct {
    char site[MM_SITE_CHARS_MAX + 1];
    char tz[MM_TZ_CHARS_MAX + 1];
    char id[MM_METER_ID_CHARS_MAX + 1];
    uint32_t node_id;
    uint32_t subnode;
    int64_t stamp_s;
    int64_t received_us;
    uint64_t life_kwh;
    uint8_t month;
    uint64_t month_kwh;
    uint32_t hours_kwh[MM_HOURS_OF_DAY];
} mm_query_legacy_meter_t;

typedef bool (*mm_query_legacy_meter_fn)(void *context, const mm_query_legacy_meter_t *meter);
bool mm_query_legacy_meters(mm_query_t *self, const char *site, mm_query_legacy_meter_fn visit, void *context);

#endif
