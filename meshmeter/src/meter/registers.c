// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/registers.h"

#include <string.h>

#include "wire/fields.h"

mm_err_t mm_meter_config_check(const mm_meter_config_t *config) {
    size_t characters = 0;
    while (characters <= MM_METER_ID_CHARS_MAX && config->id[characters] != '\0') {
        char character = config->id[characters];
        if (character <= ' ' || character > '~' || character == ',' || character == '"' || character == '\'') {
            return MM_ERR_ARG;
        }
        characters++;
    }
    if (characters > MM_METER_ID_CHARS_MAX) {
        return MM_ERR_ARG;
    }
    if (characters == 0) {
        return config->pulse_constant == 0 ? MM_OK : MM_ERR_ARG;
    }
    bool in_range = config->pulse_constant >= MM_PULSE_CONSTANT_MIN && config->pulse_constant <= MM_PULSE_CONSTANT_MAX;
    return in_range ? MM_OK : MM_ERR_ARG;
}

// Saturation is for broken counters only: at 100 pulses a second a month has 2^28 pulses.
static MM_APART void add_saturating(uint32_t *sum, uint64_t pulses) {
    *sum = pulses > UINT32_MAX - *sum ? UINT32_MAX : (uint32_t)(*sum + pulses);
}

void mm_registers_count(mm_registers_t *self, uint8_t channel, uint32_t pulses, uint8_t hour) {
    MM_ASSERT(channel < MM_CHANNELS && (hour < MM_HOURS_OF_DAY || hour == MM_HOUR_UNKNOWN || self->year_month == 0));
    mm_channel_registers_t *registers = &self->channels[channel];
    registers->life_pulses += pulses;
    add_saturating(&registers->interval_pulses, pulses);
    if (self->year_month == 0 || hour == MM_HOUR_UNKNOWN) {
        registers->pending_pulses += pulses;
    } else {
        add_saturating(&registers->month_pulses, pulses);
        add_saturating(&registers->hours_pulses[hour], pulses);
    }
}

uint64_t mm_registers_file_pending(mm_registers_t *self, uint8_t hour) {
    MM_ASSERT(self->year_month != 0 && hour < MM_HOURS_OF_DAY);
    uint64_t filed_pulses = 0;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        mm_channel_registers_t *registers = &self->channels[channel];
        add_saturating(&registers->month_pulses, registers->pending_pulses);
        add_saturating(&registers->hours_pulses[hour], registers->pending_pulses);
        filed_pulses += registers->pending_pulses;
        registers->pending_pulses = 0;
    }
    return filed_pulses;
}

void mm_registers_begin_month(mm_registers_t *self, uint16_t year_month) {
    self->year_month = year_month;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        mm_channel_registers_t *registers = &self->channels[channel];
        registers->month_pulses = 0;
        memset(registers->hours_pulses, 0, sizeof registers->hours_pulses);
    }
}

static const mmi_field_t channel_fields[] = {
    MMI_FIELD(mm_channel_registers_t, life_pulses, 8),
    MMI_FIELD(mm_channel_registers_t, pending_pulses, 8),
    MMI_FIELD(mm_channel_registers_t, month_pulses, 4),
    MMI_FIELD(mm_channel_registers_t, interval_pulses, 4),
    MMI_FIELD(mm_channel_registers_t, hours_pulses, MMI_FIELD_WORDS),
};

void mm_registers_encode(const mm_registers_t *self, mm_writer_t *writer) {
    mm_put_u16(writer, self->year_month);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        mmi_put_fields(writer, MMI_FIELDS(channel_fields), &self->channels[channel]);
    }
}

mm_err_t mm_registers_decode(mm_registers_t *self, mm_reader_t *reader) {
    bool sound = true;
    memset(self, 0, sizeof *self);
    self->year_month = mm_get_u16(reader);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        mm_channel_registers_t *registers = &self->channels[channel];
        mmi_get_fields(reader, MMI_FIELDS(channel_fields), registers);
        sound = sound && registers->pending_pulses <= registers->life_pulses;
    }
    return sound && !reader->failed ? MM_OK : MM_ERR_CORRUPT;
}
