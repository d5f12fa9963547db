// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "metering_internal.h"

// What a transaction may change, to be put back if it cannot be stored.
typedef struct {
    mm_meter_config_t meter;
    mm_meter_config_t stored_meter;
    mm_channel_registers_t registers;
    uint8_t commanded_channels;
    mm_position_t replay_after;
    uint16_t extension_bytes;
    uint8_t extension[MM_METERING_EXTENSION_BYTES_MAX];
} undo_t;

static MM_APART mm_err_t check_change(const mm_metering_t *self, const mm_meter_change_t *change) {
    MM_ASSERT(change->channel < MM_CHANNELS);
    mm_meter_config_t meters[MM_CHANNELS];
    memcpy(meters, self->options.meters, sizeof meters);
    meters[change->channel] = change->config;
    bool possible = mm_meter_config_check(&change->config) == MM_OK && !mmi_metering_has_twins(meters);
    return possible ? MM_OK : MM_ERR_ARG;
}

mm_err_t mm_metering_prepare(mm_metering_t *self, mm_us_t now) {
    (void)mm_metering_poll(self, now); // what is due under the old state comes first
    mmi_metering_count(self, now);
    self->prepared_at = now;
    return mmi_metering_settle(self, now) ? MM_OK : MM_ERR_STORAGE;
}

// Pulses of an interval are those of one meter, with one pulse constant.
static void end_interval_of(mm_metering_t *self, const mm_meter_change_t *change, mm_us_t now) {
    const mm_meter_config_t *meter = &self->options.meters[change->channel];
    if (strcmp(meter->id, change->config.id) != 0 || meter->pulse_constant != change->config.pulse_constant ||
        change->set_life) {
        mmi_metering_close_interval(self, mm_metering_label(self, now), now);
    }
}

static void apply_change(mm_metering_t *self, const mm_meter_change_t *change) {
    mm_channel_registers_t *registers = &self->registers.channels[change->channel];
    if (!mmi_metering_is_same_meter(&self->stored_meters[change->channel], &change->config)) {
        self->commanded_channels |= (uint8_t)(1u << change->channel);
    }
    self->options.meters[change->channel] = change->config;
    self->stored_meters[change->channel] = change->config;
    if (change->clear_month) {
        registers->month_pulses = 0;
        registers->pending_pulses = 0;
        memset(registers->hours_pulses, 0, sizeof registers->hours_pulses);
    }
    if (change->set_life) {
        registers->life_pulses = change->life_pulses;
        if (registers->pending_pulses > change->life_pulses) {
            registers->pending_pulses = change->life_pulses;
        }
    }
}

static void keep(const mm_metering_t *self, uint8_t channel, undo_t *undo) {
    undo->meter = self->options.meters[channel];
    undo->stored_meter = self->stored_meters[channel];
    undo->registers = self->registers.channels[channel];
    undo->commanded_channels = self->commanded_channels;
    undo->replay_after = self->replay_after;
    undo->extension_bytes = self->extension_bytes;
    memcpy(undo->extension, self->extension, sizeof undo->extension);
}

static void put_back(mm_metering_t *self, uint8_t channel, const undo_t *undo) {
    self->options.meters[channel] = undo->meter;
    self->stored_meters[channel] = undo->stored_meter;
    self->registers.channels[channel] = undo->registers;
    self->commanded_channels = undo->commanded_channels;
    self->replay_after = undo->replay_after;
    self->extension_bytes = undo->extension_bytes;
    memcpy(self->extension, undo->extension, sizeof self->extension);
    mmi_metering_drop_pending(self);
}

// Apart: what is needed to take it back is large, and mm_metering_prepare goes deep.
static MM_APART mm_err_t store(mm_metering_t *self, const mm_metering_transaction_t *transaction, mm_us_t now) {
    const mm_meter_change_t *change = transaction->change;
    uint8_t channel = change != NULL ? change->channel : 0;
    undo_t undo;
    keep(self, channel, &undo);
    if (change != NULL) {
        apply_change(self, change);
    }
    if (!transaction->is_replay) {
        self->replay_after = (mm_position_t){0, 0};
    }
    self->extension_bytes = (uint16_t)transaction->extension_bytes;
    memcpy(self->extension, transaction->extension, transaction->extension_bytes);
    mm_err_t room = MM_OK;
    if (transaction->record != NULL) {
        room = mmi_metering_set_pending(self, transaction->record);
    }
    if (mmi_metering_save_image(self, now) != MM_OK) {
        put_back(self, channel, &undo);
        mm_counters_count(self->counters, MM_COUNTER_RECORD_REFUSED);
        // A device that refused may have kept it all the same: what is valid becomes the newest image, now or soon.
        (void)mmi_metering_save_image(self, now);
        return MM_ERR_STORAGE;
    }
    if (transaction->record != NULL) {
        (void)mmi_metering_offer_pending(self, room, now); // in the image it is safe, and comes later
    }
    return MM_OK;
}

mm_err_t mm_metering_commit(mm_metering_t *self, const mm_metering_transaction_t *transaction, mm_us_t now) {
    MM_ASSERT(transaction->extension_bytes <= MM_METERING_EXTENSION_BYTES_MAX);
    const mm_meter_change_t *change = transaction->change;
    if (change != NULL && check_change(self, change) != MM_OK) {
        return MM_ERR_ARG;
    }
    if (self->prepared_at != now) {
        (void)mm_metering_prepare(self, now); // judged below
    }
    if (change != NULL) {
        end_interval_of(self, change, now);
    }
    if (!mmi_metering_settle(self, now)) {
        mm_counters_count(self->counters, MM_COUNTER_RECORD_REFUSED);
        return MM_ERR_STORAGE;
    }
    return store(self, transaction, now);
}

void mm_metering_replayed(mm_metering_t *self) {
    self->replay_after = (mm_position_t){0, 0};
}
