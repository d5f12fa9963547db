// SPDX-License-Identifier: Apache-2.0
#ifndef MM_COMMAND_BODY_H
#define MM_COMMAND_BODY_H

#include "meshmeter/base.h"
#include "meshmeter/command.h"
#include "meshmeter/limits.h"

/// Bodies of commands by kind, as values (docs/spec/commands.md). HQ puts, the node reads, and both judge ranges here
/// and nowhere else: what HQ can put, the node takes.

/// Seconds of DISPLAY_ON and FIND: 1 … this.
#define MM_COMMAND_SECONDS_MAX 3600
/// Slots of a plan: 1 … this (a day of slots of 2 s).
#define MM_COMMAND_SLOTS_MAX 43200
/// Largest credit or correction in Wh, as in credit.h.
#define MM_COMMAND_AMOUNT_WH_MAX INT64_C(1000000000000)
/// Largest threshold of LIMITS in Wh.
#define MM_COMMAND_THRESHOLD_WH_MAX 1000000000
/// Bytes of texts, without terminator. Characters below 20 and 7F are refused; beyond 7F it is the platform's UTF-8.
#define MM_COMMAND_SSID_BYTES_MAX 32
#define MM_COMMAND_NETWORK_PASSWORD_BYTES_MAX 63
/// url 1 …, user and password 0 …; all three together at most MM_COMMAND_BODY_BYTES_MAX - 2.
#define MM_COMMAND_BROKER_URL_BYTES_MAX 100
#define MM_COMMAND_BROKER_USER_BYTES_MAX 64
#define MM_COMMAND_BROKER_PASSWORD_BYTES_MAX 64
#define MM_COMMAND_OTA_URL_BYTES_MAX MM_COMMAND_BODY_BYTES_MAX

/// Only what has_… says is changed; at least one.
typedef struct {
    bool has_id;
    bool has_pulse_constant;
    bool has_start_wh;
    bool has_life_pulses;
    char id[MM_METER_ID_CHARS_MAX + 1]; ///< "" takes the meter out of use; printable ASCII
    uint32_t pulse_constant;            ///< MM_PULSE_CONSTANT_MIN … MM_PULSE_CONSTANT_MAX
    uint64_t start_wh;                  ///< ≤ 2^63-1, as the next
    uint64_t life_pulses;
} mm_update_body_t;

typedef struct {
    uint32_t code; ///< 0 asks for the code
} mm_format_body_t;

typedef struct {
    char ssid[MM_COMMAND_SSID_BYTES_MAX + 1];                 ///< not empty
    char password[MM_COMMAND_NETWORK_PASSWORD_BYTES_MAX + 1]; ///< empty: an open network
} mm_network_body_t;

typedef struct {
    char url[MM_COMMAND_BROKER_URL_BYTES_MAX + 1]; ///< not empty; no blank in it
    char user[MM_COMMAND_BROKER_USER_BYTES_MAX + 1];
    char password[MM_COMMAND_BROKER_PASSWORD_BYTES_MAX + 1];
} mm_broker_body_t;

typedef struct {
    uint32_t slot; ///< below slot_count
    uint32_t slot_count;
} mm_slot_plan_body_t;

typedef struct {
    uint16_t seconds;
} mm_seconds_body_t;

typedef struct {
    char url[MM_COMMAND_OTA_URL_BYTES_MAX + 1]; ///< not empty; no blank in it
} mm_ota_url_body_t;

/// CREDIT, VOID and ADJUST.
typedef struct {
    uint64_t purchase_id; ///< 1 … 2^63-1
    uint32_t count;       ///< even, not 0
    int64_t amount_wh;    ///< CREDIT: 1 …; ADJUST: not 0, |amount| up to MM_COMMAND_AMOUNT_WH_MAX; VOID: 0
} mm_credit_body_t;

typedef struct {
    uint32_t warning_wh; ///< up to MM_COMMAND_THRESHOLD_WH_MAX, as the next
    uint32_t emergency_wh;
    uint32_t quiet_hours; ///< bit per local hour of the day
    uint8_t quiet_days;   ///< bit per day of the week, bit 0 = Sunday
} mm_limits_body_t;

/// With a count the meter takes the command as a token of that count that ends prepayment: once, and not any more if
/// the meter has taken a higher one. Such a command cannot clear credit that was sold after it was decided on.
typedef struct {
    bool prepaid;
    bool has_count;
    uint32_t count; ///< if has_count, which only the end of prepayment has; not 0
} mm_mode_body_t;

typedef struct {
    uint32_t revision; ///< 1 …
} mm_confirm_body_t;

typedef struct {
    mm_mac_t asker;
    uint8_t nonce[16];
    uint8_t hidden_key[32]; ///< docs/spec/joining.md, 3
} mm_admit_body_t;

/// By kind; kinds that are not here have an empty body.
typedef union {
    mm_update_body_t update;
    mm_format_body_t format;
    mm_network_body_t network;
    mm_broker_body_t broker;
    mm_slot_plan_body_t slot_plan;
    mm_seconds_body_t seconds; ///< DISPLAY_ON, FIND
    mm_ota_url_body_t ota_url;
    mm_credit_body_t credit; ///< CREDIT, VOID, ADJUST
    mm_limits_body_t limits;
    mm_mode_body_t mode;
    mm_confirm_body_t confirm;
    mm_admit_body_t admit;
} mm_command_body_t;

/// Write the body of a command of this kind. MM_ERR_NOT_FOUND: no such kind; MM_ERR_ARG: a value out of range;
/// MM_ERR_FULL: no room. On an error the writer is as it was. body may be NULL for kinds with an empty body.
mm_err_t mm_command_body_put(uint8_t kind, const mm_command_body_t *body, mm_writer_t *writer);
/// Read one, all bytes of it. MM_ERR_NOT_FOUND: kind not known to this version; MM_ERR_CORRUPT: not of the kind's form;
/// MM_ERR_ARG: a value out of range. *body is zero but for what was read.
mm_err_t mm_command_body_read(uint8_t kind, const void *bytes, size_t bytes_count, mm_command_body_t *body);
/// True if the kind is known and its body is empty.
bool mm_command_body_is_empty(uint8_t kind);

#endif
