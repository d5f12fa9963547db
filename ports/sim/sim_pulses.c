// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_pulses.h"

#include <stdlib.h>
#include <string.h>

#define HOUR_US (3600 * MM_US_PER_S)

// What the household would have made with supply all the time.
static uint32_t wanted(const mm_sim_pulses_t *self, uint8_t channel, mm_us_t at) {
    MM_ASSERT(channel < MM_CHANNELS && at >= 0);
    uint32_t hour = (uint32_t)(at / HOUR_US);
    if (hour >= self->hour_count) {
        return self->made[self->hour_count * MM_CHANNELS + channel]; // the end of the world: the meters stand still
    }
    uint32_t from = self->made[hour * MM_CHANNELS + channel];
    uint32_t to = self->made[(hour + 1) * MM_CHANNELS + channel];
    return from + (uint32_t)((int64_t)(to - from) * (at % HOUR_US) / HOUR_US);
}

uint32_t mm_sim_pulses_made(const mm_sim_pulses_t *self, uint8_t channel, mm_us_t at) {
    uint32_t count = wanted(self, channel, at);
    return self->is_off[channel] ? self->off_made[channel] : count - self->skipped[channel];
}

void mm_sim_pulses_set_supply(mm_sim_pulses_t *self, uint8_t channel, bool on, mm_us_t at) {
    uint32_t count = wanted(self, channel, at);
    if (on && self->is_off[channel]) {
        self->skipped[channel] = count - self->off_made[channel];
    } else if (!on && !self->is_off[channel]) {
        self->off_made[channel] = count - self->skipped[channel];
    }
    self->is_off[channel] = !on;
}

static mm_err_t read_counters(void *context, mm_us_t now, mm_pulse_counts_t *counts) {
    mm_sim_pulses_t *self = context;
    mm_us_t at = self->to_world(self->context, now);
    if (self->read_once && at < self->presented_at) {
        at = self->presented_at; // local time is rounded
    }
    self->read_once = true;
    self->presented_at = at;
    counts->generation = self->generation;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        self->presented[channel] = mm_sim_pulses_made(self, channel, at);
        counts->counts[channel] = self->presented[channel] - self->base[channel];
    }
    return MM_OK;
}

// Pulses in one hour: some base load, more in the evening, now and then a stove or a car.
static uint32_t draw_hour(mm_random_t *random, uint32_t hour, uint32_t size) {
    if (size == 0) {
        return 0;
    }
    uint32_t hour_of_day = hour % 24;
    uint32_t pulses = mm_random_below(random, size / 8 + 1);
    if (hour_of_day >= 17 && hour_of_day < 22) {
        pulses += mm_random_below(random, size);
    }
    return mm_random_below(random, 40) == 0 ? pulses + 3 * size : pulses;
}

void mm_sim_pulses_init(mm_sim_pulses_t *self, const mm_sim_t *sim, int device, uint32_t hours, bool battery,
                        mm_us_t (*to_world)(void *context, mm_us_t local), void *context) {
    memset(self, 0, sizeof *self);
    self->pulses = (mm_pulses_t){read_counters, self};
    self->hour_count = hours;
    self->battery = battery;
    self->to_world = to_world;
    self->context = context;
    self->made = calloc(((size_t)hours + 1) * MM_CHANNELS, sizeof *self->made);
    MM_ASSERT(self->made != NULL);
    mm_random_t random = mm_sim_random(sim, "pulses", (uint64_t)device);
    static const uint32_t sizes[MM_CHANNELS] = {0, 20, 200, 1000, 3000, 40, 600, 10000}; // imp/h
    uint32_t rotation = mm_random_below(&random, MM_CHANNELS);
    for (uint32_t hour = 0; hour < hours; hour++) {
        const uint32_t *from = &self->made[hour * MM_CHANNELS];
        uint32_t *to = &self->made[(hour + 1) * MM_CHANNELS];
        for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
            to[channel] = from[channel] + draw_hour(&random, hour, sizes[(channel + rotation) % MM_CHANNELS]);
        }
    }
}

void mm_sim_pulses_deinit(mm_sim_pulses_t *self) {
    free(self->made);
    self->made = NULL;
}

void mm_sim_pulses_power_up(mm_sim_pulses_t *self, mm_us_t at) {
    self->read_once = false;
    if (self->battery && self->generation != 0) {
        return;
    }
    self->generation++;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        self->base[channel] = self->battery ? 0 : mm_sim_pulses_made(self, channel, at);
        self->presented[channel] = self->base[channel];
    }
    self->presented_at = at;
}
