// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SIM_PULSES_H
#define MM_SIM_PULSES_H

#include "meshmeter/port/pulses.h"
#include "sim/sim.h"

/// The 8 meters of one node and the counter chip that sees them. The meters run whatever happens to the node: how many
/// pulses each has made by an instant is known beforehand, and this is the truth against which everything is checked.
/// Only a relay that takes a meter's supply away changes it: what would have been consumed meanwhile never is.
/// The counter counts from its power-up (volatile), or for ever (with a battery of its own).

typedef struct {
    mm_pulses_t pulses; ///< for the code under test: reads at local time
    uint32_t *made;     ///< [hour * MM_CHANNELS + channel]: pulses made by the begin of that hour
    uint32_t hour_count;
    bool battery;
    uint32_t generation;
    uint32_t base[MM_CHANNELS]; ///< made when the counter began
    /// Local time of the node to world time.
    mm_us_t (*to_world)(void *context, mm_us_t local);
    void *context;
    bool is_off[MM_CHANNELS];        ///< no supply …
    uint32_t off_made[MM_CHANNELS];  ///< … since the meter had made so many
    uint32_t skipped[MM_CHANNELS];   ///< that the household would have made in earlier times without supply
    uint32_t presented[MM_CHANNELS]; ///< made, as of the last read: what the node can know
    mm_us_t presented_at;
    bool read_once; ///< since power-up
} mm_sim_pulses_t;

/// Households of very different size, one channel in eight never used. hours: how long the world lasts.
void mm_sim_pulses_init(mm_sim_pulses_t *self, const mm_sim_t *sim, int device, uint32_t hours, bool battery,
                        mm_us_t (*to_world)(void *context, mm_us_t local), void *context);
void mm_sim_pulses_deinit(mm_sim_pulses_t *self);
/// Power is back at world time `at`.
void mm_sim_pulses_power_up(mm_sim_pulses_t *self, mm_us_t at);
/// A relay opens (false) or closes at world time `at`, which never goes back. No effect if it is so already.
void mm_sim_pulses_set_supply(mm_sim_pulses_t *self, uint8_t channel, bool on, mm_us_t at);
/// Pulses that this meter has made by world time `at`, which is not before its supply changed last.
uint32_t mm_sim_pulses_made(const mm_sim_pulses_t *self, uint8_t channel, mm_us_t at);

#endif
