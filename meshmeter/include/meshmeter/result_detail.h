// SPDX-License-Identifier: Apache-2.0
#ifndef MM_RESULT_DETAIL_H
#define MM_RESULT_DETAIL_H

#include "meshmeter/base.h"
#include "meshmeter/bytes.h"
#include "meshmeter/limits.h"
#include "meshmeter/record.h"

/// Details of results by kind of command (docs/spec/commands.md), in mm_result_record_t's detail. A result that is not
/// DONE has no detail, but for FORMAT's. The largest of each fits MM_RESULT_DETAIL_BYTES_MAX.
///
///   UPDATE, ERASE   mm_archive_detail_t
///   FORMAT          code u32, if the command asked for it (status DONE); nothing if it was given. TRYING with a
///   meter's
///                   channel: mm_archive_detail_t of what was erased
///   READ_METER      mm_meter_detail_t
///   READ_LOG        text, 0 … MM_RESULT_DETAIL_BYTES_MAX bytes
///   SLOT_PLAN, LIMITS   the command's body (command_body.h)
///   others          nothing

/// How a meter is configured and what its life register says.
typedef struct {
    char id[MM_METER_ID_CHARS_MAX + 1]; ///< "" = not in use
    uint32_t pulse_constant;            ///< ≤ 65535; 0 when not in use
    uint64_t start_wh;                  ///< at most 2^63-1 on the wire (more is sent as that), as the next
    uint64_t life_pulses;
} mm_meter_identity_t;

/// What UPDATE and ERASE have replaced, and by what.
typedef struct {
    mm_meter_identity_t before;
    uint64_t pending_pulses; ///< before; counted, not filed under a month
    uint16_t year_month;     ///< of month_pulses and hours_pulses before; 0 = none
    uint32_t month_pulses;
    uint32_t hours_pulses[MM_HOURS_OF_DAY];
    mm_meter_identity_t after;
} mm_archive_detail_t;

/// A meter as READ_METER finds it. What is below `prepaid` is kept in postpaid meters, too.
typedef struct {
    mm_meter_identity_t now;
    uint64_t pending_pulses;
    uint16_t year_month;
    uint32_t month_pulses;
    uint32_t hours_pulses[MM_HOURS_OF_DAY];
    bool relay_closed;
    uint8_t relay_reasons; ///< credit.h
    bool prepaid;
    bool low;
    bool emergency_taken;
    int64_t balance_wh;
    int64_t applied_wh;
    uint32_t token_count; ///< the highest used
    uint32_t warning_wh;
    uint32_t emergency_wh;
    uint32_t quiet_hours; ///< below 2^24
    uint8_t quiet_days;   ///< below 2^7
} mm_meter_detail_t;

/// Each asserts values that a node can have. Room for MM_RESULT_DETAIL_BYTES_MAX is enough.
void mm_archive_detail_put(const mm_archive_detail_t *detail, mm_writer_t *writer);
void mm_meter_detail_put(const mm_meter_detail_t *detail, mm_writer_t *writer);
void mm_format_detail_put(uint32_t code, mm_writer_t *writer);
/// MM_ERR_CORRUPT: bounds, left-over bytes, impossible values.
mm_err_t mm_archive_detail_read(const void *bytes, size_t bytes_count, mm_archive_detail_t *detail);
mm_err_t mm_meter_detail_read(const void *bytes, size_t bytes_count, mm_meter_detail_t *detail);
mm_err_t mm_format_detail_read(const void *bytes, size_t bytes_count, uint32_t *code);

#endif
