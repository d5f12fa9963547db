// SPDX-License-Identifier: Apache-2.0
#ifndef SIMULATOR_TRUTH_H
#define SIMULATOR_TRUTH_H

#include "simulator/books.h"
#include "simulator/device.h"

/// The omniscient checker: what every node must hold and HQ must have, kept apart from both. It knows every pulse that
/// a counter showed to a node, looks at the node's registers after each call, notes each record as soon as it stands in
/// the journal, and compares all of it with HQ's books at the end.
///
/// What a power cut may cost (docs/design/reliability.md) is the only tolerance: pulses that were read and not yet
/// kept. A counter with a battery loses nothing.

typedef struct {
    uint32_t epoch;
    uint32_t seq;
    uint32_t checksum;          ///< of type and payload
    uint32_t pulses_sum;        ///< of an interval record, all channels
    uint32_t thinned_first_seq; ///< > 0: stands for the interval records of these seqs
    uint32_t thinned_last_seq;
    uint8_t type;
    bool found; ///< at HQ
} truth_record_t;

typedef struct {
    const device_t *device;
    truth_record_t *records; ///< in the order of positions
    size_t record_count;
    size_t record_capacity;
    mm_position_t next; ///< the first one not noted yet
    mm_journal_hint_t hint;
    uint64_t life[MM_CHANNELS];      ///< at the last look
    uint64_t base_life[MM_CHANNELS]; ///< at the last boot
    uint32_t base_presented[MM_CHANNELS];
    bool configured[MM_CHANNELS];    ///< has a meter
    uint64_t safe_life[MM_CHANNELS]; ///< survives a power cut
    mm_us_t unsaved_since;
    uint32_t image_seq;               ///< of the registers' newest image
    uint64_t older_life[MM_CHANNELS]; ///< at the end of the last but one interval
    uint64_t old_life[MM_CHANNELS];   ///< at the end of the last interval
    uint32_t interval_no;
    uint64_t intervals[MM_CHANNELS]; ///< sum of all interval records
    bool memory_damaged;             ///< a copy of the registers was damaged since the last boot
    bool booted_once;
    mm_position_t acknowledged;      ///< by HQ, the last time
    mm_position_t acknowledged_ever; ///< by any database that HQ has had
    uint8_t closed_months[1 << 13];  ///< a bit for each year_month that has a closing record
    // Deaths.
    uint64_t life_at_death[MM_CHANNELS];
    uint64_t pulses_lost; ///< read and not kept
} truth_device_t;

typedef struct {
    mm_sim_t *sim;
    truth_device_t *devices;
    int device_count;
    bool router_off; ///< for the probe
    /// Every record, as soon as it stands in a journal; NULL: nobody asks.
    void (*on_record)(void *context, int device, const mm_record_t *record, uint32_t checksum);
    void *context;
    int64_t begin_utc_us;
    mm_us_t time_error_max_us; ///< of a time that is called synchronised; 0 = clocks, or the frames that carry time,
                               ///< are late on purpose
    // Between the two looks at an event of an uplink.
    mm_position_t confirmed[MM_NODES_MAX];
    bool may_confirm[MM_NODES_MAX]; ///< the broker confirms something of this node's
    /// First thing that was wrong; "" = nothing.
    char fault[256];
    // The account, filled by truth_compare.
    uint64_t made; ///< records
    uint64_t stored;
    uint64_t lost;
    uint64_t counted_twice; ///< records that HQ has and nobody made, or pulses in two intervals
    uint64_t gaps;          ///< records that gap records stand for
    uint64_t wh_error;
    uint64_t pulses;
} truth_t;

void truth_init(truth_t *self, mm_sim_t *sim, int device_count);
void truth_deinit(truth_t *self);
/// A guarantee does not hold. The first one is kept, and goes into the trace.
__attribute__((format(printf, 2, 3))) void truth_fail(truth_t *self, const char *format, ...);

void truth_on_boot(truth_t *self, const device_t *device);
void truth_on_settled(truth_t *self, const device_t *device);
/// Within a call: what a root publishes now is in journals, and its power may fail before the call is over.
void truth_on_published(truth_t *self, const device_t *device);
void truth_on_died(truth_t *self, const device_t *device);
/// A copy of the registers of this device is about to be damaged: the other one is allowed to be older.
void truth_allow_older(truth_t *self, int device);
/// HQ says so: it may not speak of records that were never made, nor take anything back.
void truth_on_ack(truth_t *self, const mm_ack_t *ack);
/// A backup becomes HQ's database: what was acknowledged since is not there any more.
void truth_on_restore(truth_t *self);
/// A PUBACK moves the cursors of what was in its message, not over records that were in none, and nothing else moves
/// any: look before an event of a root's uplink, and after it.
void truth_before_uplink_event(truth_t *self, const device_t *device, const mm_mqtt_event_t *event);
void truth_after_uplink_event(truth_t *self, const device_t *device);

/// Compare everything with HQ's books. Every device must be alive and held, everything delivered, and HQ down.
void truth_compare(truth_t *self, books_t *books);

#endif
