// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_power.h"

#include <string.h>

void mm_sim_power_init(mm_sim_power_t *self, uint64_t seed) {
    memset(self, 0, sizeof *self);
    self->random = mm_random(seed);
}

void mm_sim_power_cut_after(mm_sim_power_t *self, uint64_t steps) {
    self->armed = true;
    self->steps_left = steps;
}

void mm_sim_power_disarm(mm_sim_power_t *self) {
    self->armed = false;
}

void mm_sim_power_cut_now(mm_sim_power_t *self) {
    self->armed = false;
    if (self->dead) {
        return;
    }
    self->dead = true;
    self->cuts++;
    if (self->on_cut != NULL) {
        self->on_cut(self->context);
    }
}

void mm_sim_power_up(mm_sim_power_t *self) {
    self->dead = false;
    self->armed = false;
}

uint64_t mm_sim_power_draw(mm_sim_power_t *self, uint64_t steps) {
    MM_ASSERT(!self->dead);
    self->operations++;
    if (self->armed && self->steps_left < steps) {
        uint64_t done = self->steps_left;
        self->steps_drawn += done;
        mm_sim_power_cut_now(self);
        return done;
    }
    if (self->armed) {
        self->steps_left -= steps;
    }
    self->steps_drawn += steps;
    return steps;
}
