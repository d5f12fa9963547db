// SPDX-License-Identifier: Apache-2.0
#ifndef MM_REGISTERS_H
#define MM_REGISTERS_H

#include "meshmeter/base.h"
#include "meshmeter/bytes.h"
#include "meshmeter/limits.h"

/// The registers of 8 meters in pulses (design D7: pulses are the truth, Wh is derived). Plain arithmetic, no storage,
/// no clock: metering.h composes it with both.

typedef struct {
    char id[MM_METER_ID_CHARS_MAX + 1]; ///< "" = not configured
    uint32_t pulse_constant;            ///< impulses per kWh
    uint64_t start_wh;                  ///< physical meter's reading at installation
} mm_meter_config_t;

/// MM_ERR_ARG unless: id is 0 … 12 printable ASCII characters without blank, comma or quotes; pulse constant in its
/// range (0 if the id is empty).
mm_err_t mm_meter_config_check(const mm_meter_config_t *config);

typedef struct {
    uint64_t life_pulses;
    uint64_t pending_pulses; ///< part of life that is not yet filed under month and hour
    uint32_t month_pulses;   ///< of the month in mm_registers_t.year_month
    uint32_t hours_pulses[MM_HOURS_OF_DAY];
    uint32_t interval_pulses; ///< of the interval in progress
} mm_channel_registers_t;

typedef struct {
    uint16_t year_month; ///< 0 = no time known yet, everything goes to pending
    mm_channel_registers_t channels[MM_CHANNELS];
} mm_registers_t;

/// For mm_registers_count: the hour is not known at this moment.
#define MM_HOUR_UNKNOWN 0xFF

/// Count pulses. hour: local hour of the day, or MM_HOUR_UNKNOWN: then, and while year_month is 0, they are pending.
/// 32-bit sums saturate.
void mm_registers_count(mm_registers_t *self, uint8_t channel, uint32_t pulses, uint8_t hour);
/// File all pending pulses under the given hour of the current month (year_month != 0 asserted). Returns their number.
uint64_t mm_registers_file_pending(mm_registers_t *self, uint8_t hour);
/// Begin another month: month and hours become zero. The caller has archived the old one.
void mm_registers_begin_month(mm_registers_t *self, uint16_t year_month);
/// Encode and decode, for the register store's image (format: docs/spec/storage.md). MM_REGISTERS_BYTES bytes.
/// MM_ERR_CORRUPT: too short, or more pending than was ever counted.
#define MM_REGISTERS_BYTES (2 + MM_CHANNELS * (8 + 8 + 4 + 4 + 4 * MM_HOURS_OF_DAY))
void mm_registers_encode(const mm_registers_t *self, mm_writer_t *writer);
mm_err_t mm_registers_decode(mm_registers_t *self, mm_reader_t *reader);

#endif
