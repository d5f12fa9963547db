// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "metering_internal.h"

// A device that is about to be judged by one answer is asked a few times.
#define OPEN_ATTEMPTS 3

// What was found, for the events.
typedef struct {
    mm_store_state_t store_state;
    bool image_found;
    mm_journal_opening_t journal;
    bool journal_was_known; ///< a journal that begins anew on a virgin node is no news
} opening_t;

bool mmi_metering_has_twins(const mm_meter_config_t meters[MM_CHANNELS]) {
    for (uint8_t channel = 1; channel < MM_CHANNELS; channel++) {
        for (uint8_t other = 0; other < channel && meters[channel].id[0] != '\0'; other++) {
            if (strcmp(meters[channel].id, meters[other].id) == 0) {
                return true;
            }
        }
    }
    return false;
}

static mm_err_t check_options(const mm_metering_options_t *options, mm_tz_t *tz) {
    if (memchr(options->tz, '\0', sizeof options->tz) == NULL || mm_tz_parse(options->tz, tz) != MM_OK) {
        return MM_ERR_ARG;
    }
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_meter_config_t *meter = &options->meters[channel];
        if (mm_meter_config_check(meter) != MM_OK) {
            return MM_ERR_ARG;
        }
    }
    return mmi_metering_has_twins(options->meters) ? MM_ERR_ARG : MM_OK;
}

static void set_virgin(mm_metering_t *self) {
    memset(&self->registers, 0, sizeof self->registers);
    memset(self->counter_counts, 0, sizeof self->counter_counts);
    memset(self->stored_meters, 0, sizeof self->stored_meters);
    self->boot_no = 0;
    self->interval_no = 1;
    self->counter_generation = 0;
    self->journal_next = (mm_position_t){0, 0};
    self->watermark = (mm_position_t){0, 0};
    self->closing_year_month = 0;
    self->closing_channels = 0;
    self->interval_restarted = false;
    self->hour = MM_HOUR_UNKNOWN;
    self->commanded_channels = 0;
    self->extension_bytes = 0;
    self->replay_after = (mm_position_t){0, 0};
    mmi_metering_drop_pending(self);
}

// What a command has made of a meter stands above the options.
static void take_commanded_meters(mm_metering_t *self, bool image_found) {
    if (self->options.keep_meters && image_found) {
        memcpy(self->options.meters, self->stored_meters, sizeof self->options.meters);
        return;
    }
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if ((self->commanded_channels & (1u << channel)) != 0) {
            self->options.meters[channel] = self->stored_meters[channel];
        }
    }
    if (mmi_metering_has_twins(self->options.meters)) {
        memcpy(self->options.meters, self->stored_meters, sizeof self->options.meters);
    }
}

static void load_image(mm_metering_t *self, const mm_fram_t *fram, const mm_flash_t *flash, opening_t *opening) {
    uint8_t image[MMI_METERING_IMAGE_BYTES];
    uint8_t cell[MM_STORE_CELL_BYTES_MAX];
    size_t image_bytes = 0;
    size_t cell_bytes = 0;
    mm_err_t err = MM_ERR_STORAGE;
    opening->store_state = MM_STORE_EMPTY;
    for (int attempt = 0; attempt < OPEN_ATTEMPTS && err != MM_OK; attempt++) {
        err = mm_register_store_open(self->store, fram, flash, self->counters, &opening->store_state, image,
                                     sizeof image, &image_bytes, cell, sizeof cell, &cell_bytes);
    }
    // A store that does not answer now may hold good registers: it must not be written from zero.
    self->store_usable = err == MM_OK;
    set_virgin(self);
    if (err != MM_OK || image_bytes == 0) {
        return;
    }
    if (mmi_metering_decode_image(self, image, image_bytes) != MM_OK) {
        set_virgin(self);
        opening->store_state = MM_STORE_LOST;
        return;
    }
    opening->image_found = true;
    self->image_exists = true;
    if (cell_bytes != 0) {
        (void)mmi_metering_apply_cell(self, cell, cell_bytes); // of another version: as if there were none
    }
}

static void open_journal(mm_metering_t *self, const mm_flash_t *flash, uint32_t sector_count, opening_t *opening) {
    const mm_journal_options_t options = {
        .sector_count = sector_count, .expected_next = self->journal_next, .first_epoch = self->options.first_epoch};
    opening->journal_was_known = self->journal_next.epoch != 0;
    mm_err_t err = MM_ERR_STORAGE;
    for (int attempt = 0; attempt < OPEN_ATTEMPTS && err != MM_OK; attempt++) {
        err = mm_journal_open(self->journal, flash, self->counters, &options, &opening->journal);
    }
    mm_position_t noted = self->journal->watermark;
    if (mm_position_compare(self->watermark, noted) > 0) {
        (void)mm_journal_set_watermark(self->journal, self->watermark); // of a journal that is gone: nothing released
    } else {
        self->watermark = noted; // it notes the watermark before it erases what is released, so it may be ahead
    }
}

// A journal that is gone took the pending record with it: the chance that the power failed just before it stood there
// is small, and a record that HQ has already must not come again with another position.
static void leave_to_old_journal(mm_metering_t *self, opening_t *opening) {
    if (self->pending_type == MM_RECORD_NONE) {
        return;
    }
    mmi_metering_drop_pending(self);
    if (mm_position_compare(self->journal_next, opening->journal.previous_last) > 0) {
        opening->journal.previous_last = self->journal_next;
    }
}

// An interval record that is younger than the image: its pulses are known, though the image with them was lost.
static void replay_interval(mm_metering_t *self, const mm_interval_record_t *interval) {
    if (interval->thinned || interval->interval_no < self->interval_no) {
        return;
    }
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint32_t *interval_pulses = &self->registers.channels[channel].interval_pulses;
        uint32_t counted_pulses = *interval_pulses;
        if (interval->pulses[channel] < counted_pulses) {
            *interval_pulses -= interval->pulses[channel];
            continue;
        }
        uint32_t missing_pulses = interval->pulses[channel] - counted_pulses;
        mm_registers_count(&self->registers, channel, missing_pulses, MM_HOUR_UNKNOWN);
        // The hardware counter, if it lives on, must not bring them once more.
        self->counter_counts[channel] += missing_pulses;
        *interval_pulses = 0;
    }
    self->interval_no = interval->interval_no + 1;
}

// What a channel counted up to here is filed in the month that a lost image had ended; the rest belongs to no month
// yet.
static void end_month_at(mm_metering_t *self, uint8_t channel, uint64_t life_pulses) {
    mm_channel_registers_t *registers = &self->registers.channels[channel];
    if (registers->life_pulses < life_pulses) {
        uint32_t missing_pulses = (uint32_t)(life_pulses - registers->life_pulses);
        mm_registers_count(&self->registers, channel, missing_pulses, MM_HOUR_UNKNOWN);
        self->counter_counts[channel] += missing_pulses;
    }
    registers->pending_pulses = registers->life_pulses - life_pulses;
}

// A closing record that is younger than the image: a lost image had begun another month. Which one is not known, until
// that one is closed as well.
static void replay_closing(mm_metering_t *self, const mm_month_closing_record_t *closing) {
    uint16_t present = self->registers.year_month;
    if (closing->year_month != self->closing_year_month && (closing->year_month == present || present == 0)) {
        uint64_t life_pulses[MM_CHANNELS];
        bool page_found = mmi_metering_load_life_pulses(self, closing->year_month, life_pulses) == MM_OK;
        if (!page_found && present != 0) {
            (void)mmi_metering_save_page(self); // else its other meters cannot be closed
        }
        self->closing_year_month = closing->year_month;
        self->closing_channels = mmi_metering_configured_channels(self);
        mm_registers_begin_month(&self->registers, 0);
        for (uint8_t channel = 0; page_found && channel < MM_CHANNELS; channel++) {
            end_month_at(self, channel, life_pulses[channel]);
        }
    }
    if (closing->year_month == self->closing_year_month) {
        self->closing_channels &= (uint8_t) ~(1u << closing->channel);
        if (self->registers.year_month == 0) {
            end_month_at(self, closing->channel, closing->life_pulses);
        }
    }
}

static void replay(mm_metering_t *self, const mm_journal_entry_t *entry, bool image_found) {
    mm_record_t record;
    if (mm_record_decode(entry->type, entry->payload, entry->payload_bytes, &record) != MM_OK) {
        return;
    }
    if (record.type == MM_RECORD_EVENT && record.event.boot_no > self->boot_no) {
        self->boot_no = record.event.boot_no;
    } else if (record.type == MM_RECORD_INTERVAL && image_found) {
        replay_interval(self, &record.interval);
    } else if (record.type == MM_RECORD_INTERVAL && record.interval.interval_no >= self->interval_no) {
        // Registers restart from zero, but numbers do not.
        self->interval_no = record.interval.interval_no + 1;
    } else if (record.type == MM_RECORD_MONTH_CLOSING && image_found) {
        replay_closing(self, &record.month_closing);
    }
}

// What the event JOURNAL_RESTARTED says. False: nobody misses the old journal.
static bool describe_restart(const opening_t *opening, uint64_t values[MM_EVENT_VALUES]) {
    memset(values, 0, MM_EVENT_VALUES * sizeof values[0]);
    values[0] = opening->journal.previous_last.epoch;
    values[1] = opening->journal.previous_last.seq;
    return opening->journal_was_known || values[0] != 0;
}

// The journal from the image's position on: the pending record, if it got there, and normally nothing else.
static void catch_up(mm_metering_t *self, bool image_found) {
    mm_position_t after = self->journal_next;
    after.seq -= after.seq > 0 ? 1 : 0;
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    bool is_extension_current = self->replay_after.epoch == 0; // as of this image
    if (is_extension_current) {
        self->replay_after = after;
    }
    while (mm_journal_read_after(self->journal, after, &hint, &entry) == MM_OK) {
        after = entry.position;
        if (mmi_metering_is_pending(self, &entry)) {
            mmi_metering_drop_pending(self);
            self->replay_after = is_extension_current ? after : self->replay_after;
        } else {
            replay(self, &entry, image_found);
        }
    }
    // Not seen is not the same as not there: flash may not have answered.
    self->pending_doubtful = self->pending_type != MM_RECORD_NONE;
}

void mmi_metering_reopen_journal(mm_metering_t *self, mm_us_t now) {
    opening_t opening = {.image_found = self->image_exists};
    open_journal(self, self->journal->flash, self->journal->sector_count, &opening);
    if (self->journal->read_only) {
        return;
    }
    if (opening.journal.restarted) {
        leave_to_old_journal(self, &opening);
        uint64_t values[MM_EVENT_VALUES];
        if (describe_restart(&opening, values)) {
            // What is settled now: mm_metering_event would settle, which is where this comes from.
            (void)mmi_metering_settled_event(self, MM_EVENT_JOURNAL_RESTARTED, values, now); // a failure is counted
        }
    }
    // Neither had answered at the start, so this node looked virgin. What it has counted since is all that its counters
    // have, and is in the journal's records: as if the registers were lost.
    if (!self->image_exists && mm_journal_next(self->journal).seq > 1) {
        mmi_metering_drop_pending(self);
        memset(self->registers.channels, 0, sizeof self->registers.channels);
        self->baseline_due = true;
        mmi_metering_take_baseline(self, now);
    }
    catch_up(self, self->image_exists);
}

bool mmi_metering_is_same_meter(const mm_meter_config_t *left, const mm_meter_config_t *right) {
    return strcmp(left->id, right->id) == 0 && left->pulse_constant == right->pulse_constant &&
           left->start_wh == right->start_wh;
}

static void report_configuration(mm_metering_t *self, mm_us_t now) {
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_meter_config_t *meter = &self->options.meters[channel];
        mm_meter_config_t stored = self->stored_meters[channel];
        if (mmi_metering_is_same_meter(meter, &stored)) {
            continue;
        }
        const uint64_t values[MM_EVENT_VALUES] = {channel, stored.pulse_constant, meter->pulse_constant,
                                                  self->registers.channels[channel].life_pulses};
        self->stored_meters[channel] = *meter;
        if (mm_metering_event(self, MM_EVENT_CONFIGURATION, values, now) != MM_OK) {
            self->stored_meters[channel] = stored; // noticed again at the next boot
        }
    }
}

static void report_opening(mm_metering_t *self, const opening_t *opening, uint32_t reset_reason, mm_us_t now) {
    mm_metering_tell(self, MM_EVENT_BOOT, self->boot_no, reset_reason, now);
    uint64_t restart[MM_EVENT_VALUES];
    if (opening->journal.restarted && describe_restart(opening, restart)) {
        (void)mm_metering_event(self, MM_EVENT_JOURNAL_RESTARTED, restart, now);
    }
    if (opening->store_state == MM_STORE_FELL_BACK || opening->store_state == MM_STORE_LOST) {
        mm_metering_tell(self, MM_EVENT_REGISTERS_RECOVERED, opening->store_state == MM_STORE_LOST ? 2 : 1, 0, now);
    }
    report_configuration(self, now);
}

mm_err_t mm_metering_open(mm_metering_t *self, const mm_metering_options_t *options, const mm_pulses_t *pulses,
                          mm_register_store_t *store, const mm_fram_t *fram, const mm_flash_t *register_flash,
                          mm_journal_t *journal, const mm_flash_t *journal_flash, uint32_t journal_sector_count,
                          mm_counters_t *counters, uint32_t reset_reason, mm_us_t now) {
    mm_tz_t tz;
    if (check_options(options, &tz) != MM_OK) {
        return MM_ERR_ARG;
    }
    memset(self, 0, sizeof *self);
    self->options = *options;
    self->tz = tz;
    self->pulses = pulses;
    self->store = store;
    self->journal = journal;
    self->counters = counters;

    opening_t opening = {0};
    load_image(self, fram, register_flash, &opening);
    open_journal(self, journal_flash, journal_sector_count, &opening);
    if (opening.journal.restarted) {
        leave_to_old_journal(self, &opening);
    }
    // No image, but a journal with records: the registers were lost, whatever the device looks like now.
    if (!opening.image_found && mm_journal_next(self->journal).seq > 1) {
        opening.store_state = MM_STORE_LOST;
    }
    self->opened_as = opening.store_state;
    take_commanded_meters(self, opening.image_found);
    catch_up(self, opening.image_found);

    self->boot_no++;
    self->interval_restarted = opening.image_found;
    self->hour = MM_HOUR_UNKNOWN;
    self->image_stale = true;
    self->boot_at = now;
    self->prepared_at = MM_US_NEVER;
    self->polled_at = now;
    self->last_read_at = now;
    self->interval_began_at = now;
    self->save_due_at = now;
    self->journal_retry_at = now;
    self->month_retry_at = now;
    self->next_interval_s = MM_INTERVAL_S;
    self->next_hour_s = INT64_MAX;
    // Before the first image: one without it would bring all that the counters have, should the power fail next.
    self->baseline_due = opening.store_state == MM_STORE_LOST;
    mmi_metering_take_baseline(self, now);
    report_opening(self, &opening, reset_reason, now);
    mmi_metering_count(self, now);
    return MM_OK;
}
