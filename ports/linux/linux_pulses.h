// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_PULSES_H
#define MM_LINUX_PULSES_H

#include "linux_clock.h"
#include "meshmeter/limits.h"
#include "meshmeter/port/pulses.h"

/// The 8 pulse counters of a Linux node, each fed by a channel of some source.
///
/// A replaying source (pulses_model.h, pulses_csv.h) is a pure function of the wall time: a process that starts again
/// goes on exactly where the meters would be, as if the counters had a battery of their own. A live source
/// (pulses_stdin.h, pulses_gpio.h) counts from the start of the process.

typedef struct {
    /// Cumulative pulses of one of the source's channels at a time of the source's own calendar. Never decreases with
    /// `utc`. A live source gives its present count for every time. Never blocks.
    uint64_t (*count)(void *context, uint8_t channel, mm_utc_t utc);
    void *context;
    /// Equal in two processes means: the counts go on. A live source has another one in each process.
    uint32_t generation;
} mm_pulse_source_t;

uint64_t mm_pulse_source_expected(const mm_pulse_source_t *source, uint8_t channel, mm_utc_t utc);

typedef struct {
    const mm_pulse_source_t *source; ///< NULL: nothing is connected, the counter stays 0
    uint8_t channel;                 ///< of the source
} mm_linux_pulses_input_t;

typedef struct {
    const mm_linux_clock_t *clock;
    mm_linux_pulses_input_t inputs[MM_CHANNELS];
    int64_t shift_us;   ///< wall time = time of the source + shift
    mm_utc_t begin_utc; ///< wall time at which replayed counts are 0; 0 = at the source's own beginning
    mm_utc_t end_utc;   ///< wall time behind which replayed counts stay as they are; 0 = no end
} mm_linux_pulses_options_t;

/// When a replayed meter had no supply. Until off_at_us, and behind on_at_us, it counts; in between it stands still.
typedef struct {
    uint64_t withheld; ///< pulses of earlier times without supply, which the source has and the meter never made
    int64_t off_at_us; ///< wall time
    int64_t on_at_us;  ///< INT64_MAX while there is no supply
} mm_linux_supply_t;

typedef struct {
    mm_pulses_t pulses; ///< hand this to the core; *self must stay where it is
    mm_linux_pulses_options_t options;
    uint64_t begin_counts[MM_CHANNELS]; ///< of the sources at begin_utc
    uint32_t generation;
    mm_linux_supply_t supplies[MM_CHANNELS]; ///< all zero: there was always supply
} mm_linux_pulses_t;

/// options and what it points to: copied and borrowed. If any input is live, the generation is new in each process for
/// all of them: the hardware has one generation, and the weakest decides.
void mm_linux_pulses_init(mm_linux_pulses_t *self, const mm_linux_pulses_options_t *options);
/// What the counter of a channel has counted at a wall time, not reduced modulo 2^32. For checks.
uint64_t mm_linux_pulses_expected(const mm_linux_pulses_t *self, uint8_t channel, mm_utc_t utc);

/// A replayed meter's relay was moved at this wall time: without supply nothing is consumed, and what the source has of
/// that time never comes. True if this changed anything. Not for live sources, whose meters are real.
bool mm_linux_pulses_set_supply(mm_linux_pulses_t *self, uint8_t channel, bool on, mm_utc_t utc);
bool mm_linux_pulses_has_supply(const mm_linux_pulses_t *self, uint8_t channel);

/// FNV-1a, 32 bits, to be continued: for generations. Begin with MM_PULSE_HASH_BEGIN.
#define MM_PULSE_HASH_BEGIN 0x811C9DC5U
uint32_t mm_pulse_hash(uint32_t hash, const void *bytes, size_t bytes_count);
uint32_t mm_pulse_hash_u64(uint32_t hash, uint64_t value);

#endif
