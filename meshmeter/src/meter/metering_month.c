// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "metering_internal.h"
#include "wire/fields.h"

#define PAGE_VERSION 1
#define PAGE_BYTES (1 + 2 + MM_CHANNELS * (4 + 8 + 4 + 4 * MM_HOURS_OF_DAY))
_Static_assert(PAGE_BYTES <= MM_STORE_PAGE_BYTES_MAX, "the page does not fit the register store");

static const mmi_field_t month_fields[] = {
    MMI_FIELD(mmi_month_t, pulse_constant, 4),
    MMI_FIELD(mmi_month_t, life_pulses, 8),
    MMI_FIELD(mmi_month_t, month_pulses, 4),
    MMI_FIELD(mmi_month_t, hours_pulses, MMI_FIELD_WORDS),
};

uint8_t mmi_metering_configured_channels(const mm_metering_t *self) {
    uint8_t channels = 0;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (mmi_metering_is_configured(self, channel)) {
            channels |= (uint8_t)(1u << channel);
        }
    }
    return channels;
}

static MM_APART void month_from_registers(const mm_metering_t *self, uint8_t channel, mmi_month_t *month) {
    const mm_channel_registers_t *registers = &self->registers.channels[channel];
    month->pulse_constant = self->options.meters[channel].pulse_constant;
    month->life_pulses = registers->life_pulses - registers->pending_pulses;
    month->month_pulses = registers->month_pulses;
    memcpy(month->hours_pulses, registers->hours_pulses, sizeof month->hours_pulses);
}

mm_err_t mmi_metering_save_page(mm_metering_t *self) {
    if (!self->store_usable) {
        return MM_ERR_STORAGE;
    }
    uint16_t year_month = self->registers.year_month;
    uint8_t bytes[PAGE_BYTES];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    mm_put_u8(&writer, PAGE_VERSION);
    mm_put_u16(&writer, year_month);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        mmi_month_t month;
        month_from_registers(self, channel, &month);
        mmi_put_fields(&writer, MMI_FIELDS(month_fields), &month);
    }
    MM_ASSERT(!writer.failed && writer.used_bytes == PAGE_BYTES);
    return mm_register_store_save_page(self->store, (uint8_t)(year_month % MM_STORE_PAGES), bytes, sizeof bytes);
}

// A page is large: it must not be on the stack below what its contents lead to.
static MM_APART mm_err_t load_page(const mm_metering_t *self, uint16_t year_month, uint8_t channel, mmi_month_t *month,
                                   uint64_t life_pulses[MM_CHANNELS]) {
    if (!self->store_usable) {
        return MM_ERR_NOT_FOUND;
    }
    uint8_t bytes[PAGE_BYTES];
    size_t bytes_count;
    mm_err_t err = mm_register_store_load_page(self->store, (uint8_t)(year_month % MM_STORE_PAGES), bytes, sizeof bytes,
                                               &bytes_count);
    if (err != MM_OK) {
        return err;
    }
    mm_reader_t reader = mm_reader(bytes, bytes_count);
    if (mm_get_u8(&reader) != PAGE_VERSION || mm_get_u16(&reader) != year_month || bytes_count != PAGE_BYTES) {
        return MM_ERR_NOT_FOUND;
    }
    for (uint8_t index = 0; index < MM_CHANNELS; index++) {
        mmi_month_t read;
        mmi_get_fields(&reader, MMI_FIELDS(month_fields), &read);
        if (life_pulses != NULL) {
            life_pulses[index] = read.life_pulses;
        }
        if (month != NULL && index == channel) {
            *month = read;
        }
    }
    return MM_OK;
}

mm_err_t mmi_metering_load_month(const mm_metering_t *self, uint16_t year_month, uint8_t channel, mmi_month_t *month) {
    return load_page(self, year_month, channel, month, NULL);
}

mm_err_t mmi_metering_load_life_pulses(const mm_metering_t *self, uint16_t year_month,
                                       uint64_t life_pulses[MM_CHANNELS]) {
    return load_page(self, year_month, 0, NULL, life_pulses);
}

static bool is_closed(const mm_metering_t *self, uint16_t year_month) {
    return self->closing_year_month == year_month || load_page(self, year_month, 0, NULL, NULL) == MM_OK;
}

bool mmi_metering_close_channel(mm_metering_t *self, mm_us_t now) {
    if (self->closing_channels == 0 || now < self->journal_retry_at || !mmi_metering_settle(self, now)) {
        return false;
    }
    uint8_t channel = 0;
    while ((self->closing_channels & (1u << channel)) == 0) {
        channel++;
    }
    mmi_month_t month;
    mm_err_t err = MM_OK;
    if (self->closing_year_month == self->registers.year_month) {
        month_from_registers(self, channel, &month); // it has no page yet
    } else {
        err = mmi_metering_load_month(self, self->closing_year_month, channel, &month);
    }
    if (err == MM_ERR_STORAGE) {
        self->journal_retry_at = mm_us_after_s(now, MM_METERING_RETRY_S);
        return false;
    }
    self->closing_channels &= (uint8_t) ~(1u << channel);
    if (err != MM_OK || month.pulse_constant == 0) {
        mm_counters_count(self->counters, MM_COUNTER_RECORD_REFUSED);
        return true;
    }
    mm_record_t record = {.type = MM_RECORD_MONTH_CLOSING};
    record.month_closing.channel = channel;
    record.month_closing.year_month = self->closing_year_month;
    record.month_closing.pulse_constant = month.pulse_constant;
    record.month_closing.life_pulses = month.life_pulses;
    record.month_closing.month_pulses = month.month_pulses;
    memcpy(record.month_closing.hours_pulses, month.hours_pulses, sizeof record.month_closing.hours_pulses);
    record.month_closing.closed = mm_metering_label(self, now);
    (void)mmi_metering_commit(self, &record, now); // what fails is tried again
    return true;
}

// Make the closing records that are left, now or never: the state for another month is needed.
static void finish_closing(mm_metering_t *self, mm_us_t now) {
    while (mmi_metering_close_channel(self, now)) {
    }
    for (; self->closing_channels != 0; self->closing_channels &= (uint8_t)(self->closing_channels - 1)) {
        mm_counters_count(self->counters, MM_COUNTER_RECORD_REFUSED);
    }
}

// What closes the present month must outlive it: its page, or all its closing records.
static bool keep_month(mm_metering_t *self, mm_us_t now) {
    if (mmi_metering_save_page(self) == MM_OK) {
        return true;
    }
    while (mmi_metering_close_channel(self, now)) {
    }
    return self->closing_channels == 0;
}

bool mmi_metering_change_month(mm_metering_t *self, uint16_t year_month, mm_us_t now) {
    uint16_t present = self->registers.year_month;
    // An attempt that failed has begun to close the present month: nothing may be added to it any more.
    bool ending = present != 0 && present == self->closing_year_month;
    if (!ending && (year_month == present || (present != 0 && is_closed(self, year_month)))) {
        return true;
    }
    if (!ending && present != 0) {
        finish_closing(self, now);
        self->closing_year_month = present;
        self->closing_channels = mmi_metering_configured_channels(self);
    }
    if (year_month == present || (present != 0 && !keep_month(self, now))) {
        self->month_retry_at = mm_us_after_s(now, MM_METERING_RETRY_S);
        return false;
    }
    mm_registers_begin_month(&self->registers, year_month);
    self->image_stale = true;
    (void)mmi_metering_save_image(self, now); // what fails is tried again
    return true;
}

mm_err_t mm_metering_month(const mm_metering_t *self, uint16_t year_month, uint8_t channel, uint32_t *month_pulses,
                           uint32_t hours_pulses[MM_HOURS_OF_DAY]) {
    MM_ASSERT(channel < MM_CHANNELS);
    mmi_month_t month;
    // A page of the month in progress is one that a power cut overtook.
    if (year_month == self->registers.year_month ||
        mmi_metering_load_month(self, year_month, channel, &month) != MM_OK) {
        return MM_ERR_NOT_FOUND;
    }
    *month_pulses = month.month_pulses;
    memcpy(hours_pulses, month.hours_pulses, sizeof month.hours_pulses);
    return MM_OK;
}
