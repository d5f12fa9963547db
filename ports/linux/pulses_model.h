// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PULSES_MODEL_H
#define MM_PULSES_MODEL_H

#include "linux_message.h"
#include "linux_pulses.h"
#include "meshmeter/calendar.h"

/// Pulses of a made-up household per channel: standby, refrigerator cycling, light and television in the evening,
/// cooking at meal times, washing on some days, electric heating in the cold months, sleeping hours, late mornings at
/// weekends. About 3 to 15 kWh a day. Everything follows from the seed by hashing, in integers, so any time can be
/// asked for without playing what was before it, and the same question always has the same answer.

typedef struct {
    uint64_t seed;                         ///< of the house; channels differ from each other
    mm_utc_t origin_utc;                   ///< the counts are 0 here and before; 1970 … 2199
    mm_tz_t tz;                            ///< people live by the local clock
    uint32_t pulse_constants[MM_CHANNELS]; ///< impulses per kWh
} mm_pulses_model_options_t;

#define MM_PULSES_MODEL_DAY_MINUTES 1440

typedef struct {
    int64_t day;                                           ///< whose minutes are here, -1 = none
    uint32_t energy_wmin[MM_PULSES_MODEL_DAY_MINUTES + 1]; ///< from the day's beginning (UTC) to each minute
    uint64_t *days_wmin;                                   ///< from the first day's beginning to each day's
    uint32_t day_count;                                    ///< of days_wmin known
    uint64_t origin_energy;                                ///< from the first day's beginning to the origin
} mm_pulses_model_channel_t;

typedef struct {
    mm_pulse_source_t source; ///< *self must stay where it is
    mm_pulses_model_options_t options;
    int64_t first_day; ///< days since 1970 (UTC) of the origin
    mm_pulses_model_channel_t channels[MM_CHANNELS];
} mm_pulses_model_t;

/// Takes memory for the totals of 100 years of days (used as they are asked for). MM_ERR_ARG: the origin is out of
/// range.
mm_err_t mm_pulses_model_open(mm_pulses_model_t *self, const mm_pulses_model_options_t *options,
                              mm_linux_message_t *message);
void mm_pulses_model_close(mm_pulses_model_t *self);

/// Power of a channel in a minute (minutes since 1970, UTC).
uint32_t mm_pulses_model_watts(const mm_pulses_model_t *self, uint8_t channel, int64_t minute);

#endif
