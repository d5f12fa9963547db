// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_relay.h"

#include <string.h>

static mm_err_t set_relay(void *context, uint8_t channel, bool closed) {
    mm_sim_relay_t *self = context;
    MM_ASSERT(channel < MM_CHANNELS);
    if (mm_sim_chance(&self->random, self->refused)) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_RELAY_REFUSED, self->device);
        return MM_ERR_UNAVAILABLE;
    }
    if (self->closed[channel] != closed) {
        self->closed[channel] = closed;
        self->moves[channel]++;
        mm_sim_note(self->sim, self->device, closed ? "relay_closed" : "relay_opened", channel, self->moves[channel]);
        mm_sim_pulses_set_supply(self->pulses, channel, closed, mm_sim_now(self->sim));
    }
    return MM_OK;
}

void mm_sim_relay_init(mm_sim_relay_t *self, mm_sim_t *sim, int device, mm_sim_pulses_t *pulses) {
    memset(self, 0, sizeof *self);
    self->relay = (mm_relay_t){.set = set_relay, .context = self};
    self->sim = sim;
    self->pulses = pulses;
    self->device = device;
    self->random = mm_sim_random(sim, "relay", (uint64_t)device);
    for (int channel = 0; channel < MM_CHANNELS; channel++) {
        self->closed[channel] = true;
    }
}
