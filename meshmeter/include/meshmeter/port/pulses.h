// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PORT_PULSES_H
#define MM_PORT_PULSES_H

#include "meshmeter/base.h"
#include "meshmeter/limits.h"

/// The 8 hardware pulse counters, read at one instant.
typedef struct {
    /// Changes whenever the counters lost their state (power-up, re-initialisation). Equal to the value stored with
    /// the registers means: the counters went on counting while the processor was down, and the difference is real.
    uint32_t generation;
    /// Free-running counts, modulo 2^32.
    uint32_t counts[MM_CHANNELS];
} mm_pulse_counts_t;

/// Read all counters as of monotonic time `now`; never blocks. A replaying source gives the counts of that very
/// instant, which may be earlier than the present.
typedef struct {
    mm_err_t (*read)(void *context, mm_us_t now, mm_pulse_counts_t *counts);
    void *context;
} mm_pulses_t;

#endif
