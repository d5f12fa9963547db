// SPDX-License-Identifier: Apache-2.0
#ifndef MM_READINGS_H
#define MM_READINGS_H

#include "store_query.h"

#include <stdio.h>

/// What stands in HQ's database, for people and for checks. Works while HQ runs, and without it.

typedef struct {
    const char *database_path;
    const char *meter_id; ///< NULL = all meters
    int64_t from_s;       ///< end of interval, UTC; INT64_MIN = from the first
    int64_t to_s;         ///< INT64_MAX = to the last
    bool csv;             ///< else a table in the site's local time
} mm_readings_options_t;

/// Print the interval records, meter by meter, oldest first. CSV:
/// meter,site,node,channel,interval_no,end_utc,duration_s,pulses, energy_wh,time_trust,thinned. Intervals whose time is
/// not known have an empty end and are printed only without from and to. MM_ERR_NOT_FOUND: no such meter.
/// MM_ERR_STORAGE: database not readable, or output not writable. *error says what.
mm_err_t mm_readings_print(const mm_readings_options_t *options, FILE *output, mm_hq_error_t *error);

typedef struct {
    char id[MM_METER_ID_CHARS_MAX + 1]; ///< "" = not configured
    uint32_t pulse_constant;
    uint64_t start_wh;
    uint64_t life_pulses;     ///< of the newest snapshot
    uint64_t interval_pulses; ///< sum of all interval records, those that coarser ones stand for excluded
    uint64_t open_pulses;     ///< of the interval in progress at the snapshot
    uint64_t energy_wh;       ///< reading of the meter at the snapshot
} mm_readings_channel_t;

/// Everything about one node that a check against the source needs.
typedef struct {
    char site[MM_SITE_CHARS_MAX + 1];
    mm_mac_t mac;
    uint32_t epoch;
    uint32_t watermark_seq;
    uint32_t next_seq;
    bool has_snapshot;
    uint32_t snapshot_boot_no;
    uint64_t snapshot_uptime_ms;
    uint32_t snapshot_interval_no;
    uint64_t records;             ///< rows
    uint64_t positions;           ///< distinct (epoch, seq); another number than records would be a defect
    uint64_t intervals;           ///< interval records that count
    uint64_t duplicate_intervals; ///< interval numbers beyond their first occurrence
    uint64_t missing;             ///< records in gaps
    uint64_t missing_thinned;     ///< of these: replaced by coarser ones, so no energy is missing
    uint64_t missing_unexplained; ///< of these: without an explanation of the node
    mm_readings_channel_t channels[MM_CHANNELS];
} mm_readings_node_t;

typedef bool (*mm_readings_node_fn)(void *context, const mm_readings_node_t *node);
/// Visit all nodes; reads every record. MM_ERR_STORAGE and *error as above.
mm_err_t mm_readings_check(const char *database_path, mm_readings_node_fn visit, void *context, mm_hq_error_t *error);

#endif
