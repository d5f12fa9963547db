// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "metering_internal.h"
#include "wire/fields.h"

#define IMAGE_VERSION 2
#define IMAGE_VERSION_WITHOUT_EXTENSION 1
#define CELL_BYTES (4 + 8 * MM_CHANNELS)
_Static_assert(CELL_BYTES <= MM_STORE_CELL_BYTES_MAX, "the cell does not fit the register store");

static const mmi_field_t count_fields[] = {
    MMI_FIELD(mm_metering_t, boot_no, 4),
    MMI_FIELD(mm_metering_t, interval_no, 4),
    MMI_FIELD(mm_metering_t, counter_generation, 4),
    MMI_FIELD(mm_metering_t, counter_counts, MMI_FIELD_WORDS),
    MMI_FIELD(mm_metering_t, journal_next.epoch, 4),
    MMI_FIELD(mm_metering_t, journal_next.seq, 4),
    MMI_FIELD(mm_metering_t, watermark.epoch, 4),
    MMI_FIELD(mm_metering_t, watermark.seq, 4),
    MMI_FIELD(mm_metering_t, closing_year_month, 2),
    MMI_FIELD(mm_metering_t, closing_channels, 1),
    MMI_BITS_LAST(mm_metering_t, interval_restarted, 0x01),
    MMI_FIELD(mm_metering_t, hour, 1),
    MMI_FIELD(mm_metering_t, pending_type, 1),
    MMI_FIELD(mm_metering_t, pending_payload_bytes, 1),
};
static const mmi_field_t meter_fields[] = {
    MMI_FIELD(mm_meter_config_t, id, MMI_FIELD_TEXT),
    MMI_FIELD(mm_meter_config_t, pulse_constant, 4),
    MMI_FIELD(mm_meter_config_t, start_wh, 8),
};
static const mmi_field_t extension_fields[] = {
    MMI_FIELD(mm_metering_t, commanded_channels, 1),
    MMI_FIELD(mm_metering_t, replay_after.epoch, 4),
    MMI_FIELD(mm_metering_t, replay_after.seq, 4),
    MMI_FIELD(mm_metering_t, extension_bytes, 2),
};

static void encode_image(const mm_metering_t *self, mm_writer_t *writer) {
    mm_put_u8(writer, IMAGE_VERSION);
    mm_registers_encode(&self->registers, writer);
    mmi_put_fields(writer, MMI_FIELDS(count_fields), self);
    mm_put_bytes(writer, self->pending_payload, self->pending_payload_bytes);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        mmi_put_fields(writer, MMI_FIELDS(meter_fields), &self->stored_meters[channel]);
    }
    mmi_put_fields(writer, MMI_FIELDS(extension_fields), self);
    mm_put_bytes(writer, self->extension, self->extension_bytes);
}

static bool get_extension(mm_metering_t *self, mm_reader_t *reader) {
    mmi_get_fields(reader, MMI_FIELDS(extension_fields), self);
    if (self->extension_bytes > MM_METERING_EXTENSION_BYTES_MAX) {
        return false;
    }
    mm_get_bytes(reader, self->extension, self->extension_bytes);
    return true;
}

mm_err_t mmi_metering_decode_image(mm_metering_t *self, const void *image, size_t image_bytes) {
    mm_reader_t reader = mm_reader(image, image_bytes);
    uint8_t version = mm_get_u8(&reader);
    if (version != IMAGE_VERSION && version != IMAGE_VERSION_WITHOUT_EXTENSION) {
        return MM_ERR_VERSION;
    }
    bool sound = mm_registers_decode(&self->registers, &reader) == MM_OK;
    mmi_get_fields(&reader, MMI_FIELDS(count_fields), self);
    if (self->pending_payload_bytes > MM_RECORD_PAYLOAD_BYTES_MAX) {
        return MM_ERR_CORRUPT;
    }
    mm_get_bytes(&reader, self->pending_payload, self->pending_payload_bytes);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        mm_meter_config_t *meter = &self->stored_meters[channel];
        memset(meter, 0, sizeof *meter);
        mmi_get_fields(&reader, MMI_FIELDS(meter_fields), meter);
        sound = mm_meter_config_check(meter) == MM_OK && sound;
    }
    if (version != IMAGE_VERSION_WITHOUT_EXTENSION) {
        sound = get_extension(self, &reader) && sound;
    }
    sound = sound && self->interval_no != 0 && (self->hour < MM_HOURS_OF_DAY || self->hour == MM_HOUR_UNKNOWN);
    return sound && !reader.failed && mm_reader_left_bytes(&reader) == 0 ? MM_OK : MM_ERR_CORRUPT;
}

mm_err_t mmi_metering_apply_cell(mm_metering_t *self, const void *cell, size_t cell_bytes) {
    if (cell_bytes != CELL_BYTES) {
        return MM_ERR_CORRUPT;
    }
    mm_reader_t reader = mm_reader(cell, cell_bytes);
    self->counter_generation = mm_get_u32(&reader);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        self->counter_counts[channel] = mm_get_u32(&reader);
        mm_registers_count(&self->registers, channel, mm_get_u32(&reader), self->hour);
    }
    return MM_OK;
}

// A store that did not answer at the start and turns out to be virgin holds nothing that could be overwritten.
static void adopt_virgin_store(mm_metering_t *self) {
    const mm_fram_t *fram = self->store->fram;
    const mm_flash_t *flash = self->store->flash;
    uint8_t image[MMI_METERING_IMAGE_BYTES];
    uint8_t cell[MM_STORE_CELL_BYTES_MAX];
    size_t image_bytes;
    size_t cell_bytes;
    mm_store_state_t state;
    self->store_usable = mm_register_store_open(self->store, fram, flash, self->counters, &state, image, sizeof image,
                                                &image_bytes, cell, sizeof cell, &cell_bytes) == MM_OK &&
                         state == MM_STORE_EMPTY;
}

mm_err_t mmi_metering_save_image(mm_metering_t *self, mm_us_t now) {
    if (!self->store_usable) {
        adopt_virgin_store(self);
    }
    mm_position_t next = mm_journal_next(self->journal);
    // A journal that could not be opened has no position; the last one known is worth more.
    if (self->pending_type == MM_RECORD_NONE && next.epoch != 0) {
        self->journal_next = next;
    }
    uint8_t image[MMI_METERING_IMAGE_BYTES];
    mm_writer_t writer = mm_writer(image, sizeof image);
    encode_image(self, &writer);
    MM_ASSERT(!writer.failed);
    // Without a baseline no image: the next boot must find the registers lost as well, and take one.
    bool may_save = self->store_usable && !self->baseline_due;
    mm_err_t err = may_save ? mm_register_store_save(self->store, image, writer.used_bytes) : MM_ERR_STORAGE;
    uint32_t period_s = self->options.save_period_s;
    if (err == MM_OK) {
        memset(self->cell_pulses, 0, sizeof self->cell_pulses);
        self->image_exists = true;
        self->image_stale = false;
    } else {
        period_s = MM_METERING_RETRY_S;
    }
    self->unsaved = err != MM_OK;
    self->image_stale = err != MM_OK;
    self->save_due_at = mm_us_after_s(now, period_s);
    return err;
}

static mm_err_t save_cell(mm_metering_t *self) {
    uint8_t cell[CELL_BYTES];
    mm_writer_t writer = mm_writer(cell, sizeof cell);
    mm_put_u32(&writer, self->counter_generation);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        mm_put_u32(&writer, self->counter_counts[channel]);
        mm_put_u32(&writer, self->cell_pulses[channel]);
    }
    MM_ASSERT(!writer.failed && writer.used_bytes == CELL_BYTES);
    return mm_register_store_save_cell(self->store, cell, sizeof cell);
}

void mmi_metering_keep_counts(mm_metering_t *self, mm_us_t now) {
    if (self->store_usable && mm_register_store_has_cells(self->store)) {
        if (self->image_exists && !self->image_stale) {
            self->unsaved = save_cell(self) != MM_OK;
            return;
        }
        // An unsaved stale image is one that failed a moment ago: it has its time to be tried again.
        if (!self->unsaved && mmi_metering_save_image(self, now) == MM_OK) {
            return;
        }
    }
    self->unsaved = true;
}

void mmi_metering_drop_pending(mm_metering_t *self) {
    self->pending_type = MM_RECORD_NONE;
    self->pending_payload_bytes = 0;
    self->pending_doubtful = false;
}

static MM_APART mm_err_t append_pending(mm_metering_t *self) {
    mm_position_t position;
    mm_err_t err = mm_journal_append(self->journal, self->pending_type, self->pending_payload,
                                     self->pending_payload_bytes, &position);
    if (err == MM_OK) {
        // The image still has it as pending. The next one will not, and open sees that the journal has it.
        mmi_metering_drop_pending(self);
    }
    return err;
}

bool mmi_metering_is_pending(const mm_metering_t *self, const mm_journal_entry_t *entry) {
    return self->pending_type != MM_RECORD_NONE && entry->type == self->pending_type &&
           entry->payload_bytes == self->pending_payload_bytes &&
           memcmp(entry->payload, self->pending_payload, entry->payload_bytes) == 0;
}

// A record that was pending at the start and not found then: it may stand where flash did not answer. False: flash does
// not answer now either, so it must not be made.
static bool drop_if_in_journal(mm_metering_t *self) {
    mm_position_t after = self->journal_next;
    after.seq -= after.seq > 0 ? 1 : 0;
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    while (self->pending_type != MM_RECORD_NONE &&
           mm_journal_read_after(self->journal, after, &hint, &entry) == MM_OK) {
        after = entry.position;
        if (mmi_metering_is_pending(self, &entry)) {
            mmi_metering_drop_pending(self);
        }
    }
    return mm_journal_answers(self->journal);
}

bool mmi_metering_settle(mm_metering_t *self, mm_us_t now) {
    if (self->pending_type == MM_RECORD_NONE) {
        return true;
    }
    if (now < self->journal_retry_at) {
        return false;
    }
    if (self->journal->read_only) {
        mmi_metering_reopen_journal(self, now);
    }
    if (self->pending_doubtful && !drop_if_in_journal(self)) {
        self->journal_retry_at = mm_us_after_s(now, MM_METERING_RETRY_S);
        return false;
    }
    if (self->pending_type == MM_RECORD_NONE) {
        return true;
    }
    // Making room may take positions. That does not matter: open looks for the record from the image's position on. A
    // record that a silent sector may hold already goes to the very position that it has there: HQ takes it once, and
    // gap records come after it.
    bool in_place =
        self->pending_doubtful && mm_position_compare(mm_journal_next(self->journal), self->journal_next) == 0;
    mm_err_t err = in_place ? MM_OK : mm_journal_prepare(self->journal);
    if (err == MM_OK) {
        err = append_pending(self);
    }
    if (err != MM_OK) {
        self->journal_retry_at = mm_us_after_s(now, MM_METERING_RETRY_S);
    }
    return err == MM_OK;
}

mm_err_t mmi_metering_set_pending(mm_metering_t *self, const mm_record_t *record) {
    MM_ASSERT(self->pending_type == MM_RECORD_NONE);
    mm_writer_t writer = mm_writer(self->pending_payload, sizeof self->pending_payload);
    mm_record_encode(record, &writer);
    MM_ASSERT(!writer.failed);
    mm_err_t err = mm_journal_prepare(self->journal);
    mm_position_t next = mm_journal_next(self->journal);
    if (next.epoch != 0) {
        self->journal_next = next;
    }
    self->pending_type = record->type;
    self->pending_payload_bytes = (uint8_t)writer.used_bytes;
    return err;
}

mm_err_t mmi_metering_offer_pending(mm_metering_t *self, mm_err_t room, mm_us_t now) {
    if (room == MM_OK && append_pending(self) == MM_OK) {
        return MM_OK;
    }
    mm_counters_count(self->counters, MM_COUNTER_RECORD_REFUSED);
    self->journal_retry_at = mm_us_after_s(now, MM_METERING_RETRY_S);
    return MM_ERR_STORAGE;
}

mm_err_t mmi_metering_commit(mm_metering_t *self, const mm_record_t *record, mm_us_t now) {
    mm_err_t room = mmi_metering_set_pending(self, record);
    mm_err_t image_err = mmi_metering_save_image(self, now);
    mm_err_t journal_err = mmi_metering_offer_pending(self, room, now);
    return image_err == MM_OK || journal_err == MM_OK ? MM_OK : MM_ERR_STORAGE;
}
