// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SIM_RELAY_H
#define MM_SIM_RELAY_H

#include "meshmeter/port/relay.h"
#include "sim/sim_pulses.h"

/// The latching relays of one node: they keep their position without power, and an open one takes the supply of its
/// meter away. Now and then one does not take what it is told.

typedef struct {
    mm_relay_t relay; ///< for the code under test
    mm_sim_t *sim;
    mm_sim_pulses_t *pulses;
    mm_random_t random;
    uint32_t refused; ///< chance in millionths that a call is refused
    bool closed[MM_CHANNELS];
    uint32_t moves[MM_CHANNELS];
    int device;
} mm_sim_relay_t;

/// All closed. sim and pulses are borrowed.
void mm_sim_relay_init(mm_sim_relay_t *self, mm_sim_t *sim, int device, mm_sim_pulses_t *pulses);

#endif
