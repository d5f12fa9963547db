// SPDX-License-Identifier: Apache-2.0
#include "linux_pulses.h"

uint32_t mm_pulse_hash(uint32_t hash, const void *bytes, size_t bytes_count) {
    const uint8_t *next = bytes;
    for (size_t i = 0; i < bytes_count; i++) {
        hash = (hash ^ next[i]) * 0x01000193U;
    }
    return hash;
}

uint32_t mm_pulse_hash_u64(uint32_t hash, uint64_t value) {
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    return mm_pulse_hash(hash, bytes, sizeof bytes);
}

uint64_t mm_pulse_source_expected(const mm_pulse_source_t *source, uint8_t channel, mm_utc_t utc) {
    return source->count(source->context, channel, utc);
}

static mm_utc_t source_time(const mm_linux_pulses_options_t *options, mm_utc_t utc) {
    return (mm_utc_t){utc.us - options->shift_us};
}

// As if there always was supply.
static uint64_t count_with_supply(const mm_linux_pulses_t *self, uint8_t channel, mm_utc_t utc) {
    const mm_linux_pulses_options_t *options = &self->options;
    const mm_linux_pulses_input_t *input = &options->inputs[channel];
    if (input->source == NULL) {
        return 0;
    }
    if (options->end_utc.us != 0 && utc.us > options->end_utc.us) {
        utc = options->end_utc;
    }
    uint64_t count = mm_pulse_source_expected(input->source, input->channel, source_time(options, utc));
    uint64_t before = self->begin_counts[channel];
    return count > before ? count - before : 0;
}

static uint64_t missed(const mm_linux_pulses_t *self, uint8_t channel) {
    const mm_linux_supply_t *supply = &self->supplies[channel];
    return count_with_supply(self, channel, (mm_utc_t){supply->on_at_us}) -
           count_with_supply(self, channel, (mm_utc_t){supply->off_at_us});
}

uint64_t mm_linux_pulses_expected(const mm_linux_pulses_t *self, uint8_t channel, mm_utc_t utc) {
    MM_ASSERT(channel < MM_CHANNELS);
    const mm_linux_supply_t *supply = &self->supplies[channel];
    uint64_t withheld = supply->withheld;
    if (supply->on_at_us != 0 && utc.us > supply->off_at_us) {
        if (utc.us < supply->on_at_us) {
            utc.us = supply->off_at_us;
        } else {
            withheld += missed(self, channel);
        }
    }
    uint64_t count = count_with_supply(self, channel, utc);
    return count > withheld ? count - withheld : 0;
}

bool mm_linux_pulses_has_supply(const mm_linux_pulses_t *self, uint8_t channel) {
    MM_ASSERT(channel < MM_CHANNELS);
    return self->supplies[channel].on_at_us != INT64_MAX;
}

bool mm_linux_pulses_set_supply(mm_linux_pulses_t *self, uint8_t channel, bool on, mm_utc_t utc) {
    if (on == mm_linux_pulses_has_supply(self, channel)) {
        return false;
    }
    mm_linux_supply_t *supply = &self->supplies[channel];
    if (on) {
        // A clock that was set back must not make the time without supply a negative one.
        supply->on_at_us = utc.us > supply->off_at_us ? utc.us : supply->off_at_us;
        return true;
    }
    if (supply->on_at_us != 0) {
        supply->withheld += missed(self, channel);
        utc.us = utc.us > supply->on_at_us ? utc.us : supply->on_at_us;
    }
    supply->off_at_us = utc.us;
    supply->on_at_us = INT64_MAX;
    return true;
}

static mm_err_t read_counts(void *context, mm_us_t now, mm_pulse_counts_t *counts) {
    mm_linux_pulses_t *self = context;
    mm_utc_t utc = mm_linux_clock_utc_at(self->options.clock, now);
    counts->generation = self->generation;
    for (uint8_t i = 0; i < MM_CHANNELS; i++) {
        counts->counts[i] = (uint32_t)mm_linux_pulses_expected(self, i, utc);
    }
    return MM_OK;
}

void mm_linux_pulses_init(mm_linux_pulses_t *self, const mm_linux_pulses_options_t *options) {
    uint32_t hash = MM_PULSE_HASH_BEGIN;
    for (size_t i = 0; i < MM_CHANNELS; i++) {
        const mm_linux_pulses_input_t *input = &options->inputs[i];
        hash = mm_pulse_hash_u64(hash, input->source == NULL ? 0 : input->source->generation);
        hash = mm_pulse_hash_u64(hash, input->channel);
    }
    // The end is no part of it: a run that is prolonged goes on with the same counts.
    hash = mm_pulse_hash_u64(hash, (uint64_t)options->shift_us);
    hash = mm_pulse_hash_u64(hash, (uint64_t)options->begin_utc.us);
    *self = (mm_linux_pulses_t){
        .pulses = {.read = read_counts, .context = self},
        .options = *options,
        .generation = hash,
    };
    for (size_t i = 0; i < MM_CHANNELS && options->begin_utc.us != 0; i++) {
        const mm_linux_pulses_input_t *input = &options->inputs[i];
        if (input->source != NULL) {
            mm_utc_t begin = source_time(options, options->begin_utc);
            self->begin_counts[i] = mm_pulse_source_expected(input->source, input->channel, begin);
        }
    }
}
