// SPDX-License-Identifier: Apache-2.0
#ifndef MM_RECORD_H
#define MM_RECORD_H

#include "meshmeter/base.h"
#include "meshmeter/bytes.h"
#include "meshmeter/limits.h"

/// The payloads of journal records: what must reach HQ. Bytes in docs/spec/wire.md. A payload is at most
/// MM_RECORD_PAYLOAD_BYTES_MAX bytes; the same bytes stand in flash, in the mesh, in MQTT and in HQ's database.

typedef enum {
    MM_RECORD_NONE = 0,
    MM_RECORD_INTERVAL = 1,      ///< load profile: pulses of 8 meters in one interval
    MM_RECORD_MONTH_CLOSING = 2, ///< one meter, one finished month, with its 24 hours of the day
    MM_RECORD_EVENT = 3,
    MM_RECORD_GAP = 4, ///< records that will never come, and why
} mm_record_type_t;

/// How a record's time label is to be read.
typedef struct {
    /// UNSET: seconds of uptime in boot `boot_no` of the record's node (event TIME_SYNCED translates it).
    /// HELD, SYNCED: seconds since 1970 UTC. 0 … 2^40-1.
    uint64_t seconds;
    mm_trust_t trust;
} mm_label_t;

typedef struct {
    uint32_t interval_no; ///< counts the node's intervals from 1 without holes; never repeats, survives power cuts
    mm_label_t end;       ///< end of the interval
    uint32_t duration_s;  ///< MM_INTERVAL_S normally; less when cut short, more when thinned
    bool restarted;       ///< the node was down for a part of it; pulses of that time may be included
    bool thinned;         ///< sum of several intervals, interval_no is the last one's
    uint32_t thinned_first_seq; ///< thinned only: this record stands for the interval records of thinned_first_seq …
    uint32_t thinned_last_seq;  ///< … thinned_last_seq of the same epoch
    uint32_t pulses[MM_CHANNELS];
} mm_interval_record_t;

typedef struct {
    uint8_t channel;
    uint16_t year_month; ///< year * 12 + (month - 1)
    uint32_t pulse_constant;
    uint64_t life_pulses; ///< register at the end of the month
    uint32_t month_pulses;
    uint32_t hours_pulses[MM_HOURS_OF_DAY];
    mm_label_t closed;
} mm_month_closing_record_t;

typedef enum {
    MM_EVENT_NONE = 0,
    MM_EVENT_BOOT = 1,              ///< values: boot_no, reset reason of the port
    MM_EVENT_TIME_SYNCED = 2,       ///< first time in this boot. values: boot_no, uptime_s, utc_s, pending pulses filed
    MM_EVENT_TIME_STEPPED = 3,      ///< values: old utc_s, new utc_s, pending 0, 0
    MM_EVENT_ROOT_TAKEN = 4,        ///< this node became root
    MM_EVENT_ROOT_LOST = 5,         ///< values: 1 if router was up
    MM_EVENT_CONFIGURATION = 6,     ///< values: channel, old pulse constant, new pulse constant, life_pulses
    MM_EVENT_JOURNAL_RESTARTED = 7, ///< values: previous epoch (0 unknown), its last known seq
    MM_EVENT_COUNTER_RESTARTED = 8, ///< hardware pulse counters lost their state. values: old, new generation
    MM_EVENT_REGISTERS_RECOVERED = 9, ///< values: 1 one slot damaged, 2 both damaged and restarted from zero
    MM_EVENT_HOLD = 10,               ///< metering records end here until the next boot (decommissioning)
} mm_event_code_t;

#define MM_EVENT_VALUES 4

typedef struct {
    uint16_t code; ///< mm_event_code_t; later versions have more
    mm_label_t at;
    uint32_t boot_no;
    uint64_t values[MM_EVENT_VALUES];
} mm_event_record_t;

typedef enum {
    MM_GAP_NONE = 0,
    MM_GAP_THINNED = 1, ///< replaced by coarser interval records that name the same range
    MM_GAP_FULL = 2,    ///< journal full of undelivered records that cannot be thinned further
    MM_GAP_DAMAGED = 3, ///< checksum failure in flash
} mm_gap_reason_t;

typedef struct {
    uint32_t epoch; ///< of the missing records; may be an earlier one
    uint32_t first_seq;
    uint32_t last_seq;
    uint8_t reason; ///< mm_gap_reason_t
} mm_gap_record_t;

typedef struct {
    uint8_t type; ///< mm_record_type_t; others are carried and stored, not interpreted
    union {
        mm_interval_record_t interval;
        mm_month_closing_record_t month_closing;
        mm_event_record_t event;
        mm_gap_record_t gap;
    };
} mm_record_t;

/// Append the payload (without type and length) to writer. Asserts on values that its own node cannot produce.
void mm_record_encode(const mm_record_t *record, mm_writer_t *writer);
/// Decode a payload of the given type. MM_ERR_CORRUPT: bounds, trailing bytes, impossible values.
/// MM_ERR_NOT_FOUND: type not known to this version (record->type is set, keep the bytes).
mm_err_t mm_record_decode(uint8_t type, const void *payload, size_t payload_bytes, mm_record_t *record);
const char *mm_record_type_name(uint8_t type);
const char *mm_event_name(uint16_t code);
const char *mm_gap_reason_name(uint8_t reason);
const char *mm_trust_name(mm_trust_t trust);

#endif
