// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SIM_POWER_H
#define MM_SIM_POWER_H

#include "meshmeter/base.h"
#include "meshmeter/random.h"

/// The supply of one emulated node. Its devices draw one step for each byte they write (an erase: see sim_flash.h);
/// when the steps run out the power fails in the middle of that byte. From then on every call of every device on this
/// supply fails without effect until mm_sim_power_up(): the program under test runs into errors and returns, no
/// longjmp.

typedef void (*mm_sim_power_cut_fn)(void *context);

typedef struct {
    bool dead;
    bool armed;
    uint64_t steps_left;  ///< until the cut, if armed
    uint64_t steps_drawn; ///< since mm_sim_power_init
    uint64_t operations;  ///< program, erase and write calls since mm_sim_power_init
    uint64_t cuts;
    mm_random_t random;
    mm_sim_power_cut_fn on_cut; ///< or NULL; called once at the moment of the cut
    void *context;
} mm_sim_power_t;

void mm_sim_power_init(mm_sim_power_t *self, uint64_t seed);
/// Let the power fail inside the step behind the next `steps` ones; 0 is the very next one.
void mm_sim_power_cut_after(mm_sim_power_t *self, uint64_t steps);
/// Not to be cut any more.
void mm_sim_power_disarm(mm_sim_power_t *self);
/// Cut between two operations.
void mm_sim_power_cut_now(mm_sim_power_t *self);
/// Power is back; nothing is armed.
void mm_sim_power_up(mm_sim_power_t *self);

/// For devices: draw up to `steps`. Returns how many whole steps happen; fewer than asked means that the power failed
/// inside the one behind them.
uint64_t mm_sim_power_draw(mm_sim_power_t *self, uint64_t steps);

#endif
