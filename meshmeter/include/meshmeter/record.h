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
    MM_RECORD_GAP = 4,          ///< records that will never come, and why
    MM_RECORD_RESULT = 5,       ///< what became of a command
    MM_RECORD_CREDIT = 6,       ///< one movement of credit; answers the command that made it
    MM_RECORD_INSTALLATION = 7, ///< what an installer has set up; HQ confirms its revision
    MM_RECORD_JOIN = 8,         ///< a device asks this root for the network; HQ answers with ADMIT
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
    // Of one meter: values[0] channel, [2] life_pulses, [3] balance in Wh (two's complement; 0 if postpaid).
    MM_EVENT_SUPPLY_CUT = 11,      ///< values[1] reasons (credit.h), as in the next two
    MM_EVENT_SUPPLY_RESTORED = 12, ///< no reason is left
    MM_EVENT_RELAY_REASONS = 13,   ///< reasons changed, supply stays cut
    MM_EVENT_CREDIT_LOW = 14,      ///< values[1] warning threshold in Wh
    MM_EVENT_EMERGENCY_TAKEN = 15, ///< values[1] emergency credit in Wh
    MM_EVENT_TAMPER = 16,          ///< values[1] 1 contact open, 0 closed again
    MM_EVENT_TOKEN_LOCK_OUT = 17,  ///< values[1] wrong tokens in a row, [2] seconds, [3] 0
    MM_EVENT_CREDIT_ERA = 18,      ///< commands and credit begin anew. values: new era, 1 if there was a state, 0, 0
    /// Somebody at the device has put it back to parked, with a good code. values: revisions of the network and of the
    /// installation that it had, 0, 0. Stands before the reset: should memory refuse that, the event is there all the
    /// same.
    MM_EVENT_NODE_RESET = 19,
    MM_EVENT_INSTALLER_LOCK_OUT = 20, ///< begins. values: wrong codes for this number, lock-outs in a row, seconds, 0
    MM_EVENT_CONSOLE = 21, ///< somebody at the device. values: mm_console_act_t, 1 if refused, such acts before
                           ///< without an event, 0
    /// At a start: the newest configuration is damaged, the one before it counts until HQ has confirmed again. values:
    /// its phase (life_cycle.h), revisions of its network and of its installation, 0.
    MM_EVENT_CONFIGURATION_BEHIND = 22,
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

#define MM_RESULT_DETAIL_BYTES_MAX 192

/// What became of a command that was authentic (control.h). Exactly one for each, but for those that first say TRYING.
typedef struct {
    uint32_t era;
    uint32_t counter;
    uint64_t command_id; ///< 0 = it came in the original's form, and took no counter
    uint8_t kind;        ///< mm_command_kind_t
    uint8_t channel;
    uint8_t status; ///< mm_result_status_t
    mm_label_t at;
    uint8_t detail_bytes;
    /// By kind (docs/spec/commands.md): what UPDATE and ERASE have archived, what READ_… have read, FORMAT's code.
    uint8_t detail[MM_RESULT_DETAIL_BYTES_MAX];
} mm_result_record_t;

typedef enum {
    MM_MOVEMENT_NONE = 0,
    MM_MOVEMENT_NETWORK = 1,    ///< a purchase that came as a command
    MM_MOVEMENT_TOKEN_ADD = 2,  ///< typed
    MM_MOVEMENT_TOKEN_SET = 3,  ///< typed; amount = what the balance changed by
    MM_MOVEMENT_ADJUST = 4,     ///< a correction of the books
    MM_MOVEMENT_VOID = 5,       ///< the count is taken, the amount is 0
    MM_MOVEMENT_PREPAID = 6,    ///< prepayment begins; balance and sums are zero
    MM_MOVEMENT_POSTPAID = 7,   ///< prepayment ends; amount = minus the balance that was left
    MM_MOVEMENT_TOKEN_SYNC = 8, ///< only the count moved
} mm_movement_t;

typedef struct {
    uint8_t channel;
    uint8_t movement; ///< mm_movement_t
    uint32_t era;
    uint32_t counter;     ///< of the node's command state after it
    uint64_t command_id;  ///< 0 = not by a command
    uint64_t purchase_id; ///< 0 = not known here (a token says only its count)
    uint32_t count;       ///< of the token or purchase; 0 = none
    int64_t amount_wh;
    int64_t balance_wh; ///< afterwards
    int64_t applied_wh; ///< sum of all movements since prepayment began, this one included
    uint64_t life_pulses;
    mm_label_t at;
} mm_credit_record_t;

#define MM_INSTALLATION_TEXT_CHARS_MAX 24
#define MM_INSTALLATION_START_WH_MAX UINT64_C(3000000000)

typedef struct {
    char id[MM_METER_ID_CHARS_MAX + 1]; ///< "": no meter, and then nothing else
    uint32_t pulse_constant;
    uint64_t start_wh; ///< up to MM_INSTALLATION_START_WH_MAX
    bool prepaid;
} mm_installed_meter_t;

/// What HQ needs to confirm an installation (setup.h). Limits of prepayment follow by command.
typedef struct {
    uint32_t revision;
    bool repeated; ///< HQ asked for it again
    uint32_t node_no;
    uint16_t province;
    uint16_t canton;
    uint16_t parish;
    uint32_t postal_code;
    char installer[MM_INSTALLATION_TEXT_CHARS_MAX + 1]; ///< plain UTF-8 (text.h)
    mm_label_t at;
    mm_installed_meter_t channels[MM_CHANNELS];
} mm_installation_record_t;

/// Who asks for the network, and the proof that only HQ can check (join.h).
typedef struct {
    mm_mac_t asker;
    mm_mac_t via; ///< the member that heard it; the asker itself if it is a member
    uint8_t nonce[16];
    uint32_t revision; ///< of the network it has; 0 = none
    uint8_t tag[16];
    mm_label_t at;
} mm_join_record_t;

typedef struct {
    uint8_t type; ///< mm_record_type_t; others are carried and stored, not interpreted
    union {
        mm_interval_record_t interval;
        mm_month_closing_record_t month_closing;
        mm_event_record_t event;
        mm_gap_record_t gap;
        mm_result_record_t result;
        mm_credit_record_t credit;
        mm_installation_record_t installation;
        mm_join_record_t join;
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
const char *mm_movement_name(uint8_t movement);

#endif
