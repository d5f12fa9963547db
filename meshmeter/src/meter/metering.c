// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/metering.h"

#include <string.h>

#include "metering_internal.h"

// Of one poll. With an interval, HOLD, a settled pending record and a restarted counter they are MM_CHANNELS + 1
// records at most.
#define CLOSINGS_PER_POLL (MM_CHANNELS / 2)

bool mmi_metering_is_configured(const mm_metering_t *self, uint8_t channel) {
    return self->options.meters[channel].id[0] != '\0';
}

static bool is_noise(const mm_metering_t *self, uint32_t pulses, mm_us_t at) {
    if (pulses > INT32_MAX) {
        return true;
    }
    // The first read of a boot covers a time that nobody knows.
    if (self->options.pulses_per_s_max == 0 || !self->counter_known) {
        return false;
    }
    uint64_t elapsed_s = (uint64_t)(mm_us_whole_s(at - self->last_read_at)) + 1;
    return pulses > self->options.pulses_per_s_max * elapsed_s;
}

// True if counts of a meter have changed.
static bool take_counts(mm_metering_t *self, const uint32_t counts[MM_CHANNELS], mm_us_t at) {
    bool changed = false;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint32_t pulses = counts[channel] - self->counter_counts[channel]; // modulo 2^32, as the counters run
        self->counter_counts[channel] = counts[channel];
        if (pulses == 0 || !mmi_metering_is_configured(self, channel)) {
            continue;
        }
        changed = true;
        if (is_noise(self, pulses, at)) {
            mm_counters_add(self->counters, MM_COUNTER_PULSE_REJECTED, pulses);
            continue;
        }
        mm_registers_count(&self->registers, channel, pulses, self->hour);
        self->cell_pulses[channel] += pulses;
    }
    return changed;
}

void mmi_metering_take_baseline(mm_metering_t *self, mm_us_t at) {
    mm_pulse_counts_t read;
    if (self->baseline_due && self->pulses->read(self->pulses->context, at, &read) == MM_OK) {
        self->counter_generation = read.generation;
        memcpy(self->counter_counts, read.counts, sizeof self->counter_counts);
        self->baseline_due = false;
    }
}

void mmi_metering_count(mm_metering_t *self, mm_us_t at) {
    mm_pulse_counts_t read;
    if (self->baseline_due) {
        mmi_metering_take_baseline(self, at);
        (void)mmi_metering_save_image(self, at); // what fails is tried again
    }
    if (self->pulses->read(self->pulses->context, at, &read) != MM_OK) {
        return; // the next read brings what this one did not
    }
    uint32_t old_generation = self->counter_generation;
    bool restarted = read.generation != old_generation;
    if (restarted) {
        // It began at zero at its power-up, and what it has counted since is real.
        self->counter_generation = read.generation;
        memset(self->counter_counts, 0, sizeof self->counter_counts);
    }
    bool report_restart = restarted && self->counter_known; // at a boot it is what one expects
    bool changed = take_counts(self, read.counts, at);
    self->counter_known = true;
    self->last_read_at = at;
    if (changed || restarted) {
        mmi_metering_keep_counts(self, at);
    }
    if (report_restart) {
        mm_counters_count(self->counters, MM_COUNTER_PULSE_COUNTER_RESTARTED);
        mm_metering_tell(self, MM_EVENT_COUNTER_RESTARTED, old_generation, read.generation, at);
    }
}

void mmi_metering_close_interval(mm_metering_t *self, mm_label_t end, mm_us_t at) {
    if (self->held) {
        return;
    }
    mm_record_t record = {.type = MM_RECORD_INTERVAL};
    bool empty = true;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        record.interval.pulses[channel] = self->registers.channels[channel].interval_pulses;
        empty = empty && record.interval.pulses[channel] == 0;
    }
    uint64_t duration_s = (uint64_t)mm_us_whole_s(at - self->interval_began_at + MM_US_PER_S / 2);
    if (empty && duration_s == 0) {
        return;
    }
    if (!mmi_metering_settle(self, at)) {
        // The interval grows until the journal takes records again: fewer of them, but no pulse is in none.
        mm_counters_count(self->counters, MM_COUNTER_RECORD_REFUSED);
        return;
    }
    record.interval.interval_no = self->interval_no;
    record.interval.end = end;
    record.interval.duration_s = duration_s < UINT32_MAX ? (uint32_t)duration_s : UINT32_MAX;
    record.interval.restarted = self->interval_restarted;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        self->registers.channels[channel].interval_pulses = 0;
    }
    self->interval_no++;
    self->interval_restarted = false;
    self->interval_began_at = at;
    (void)mmi_metering_commit(self, &record, at); // what fails is tried again
}

static mm_us_t next_deadline(const mm_metering_t *self, mm_us_t now) {
    mm_us_t deadline = mmi_metering_boundary_at(self);
    bool records_due = self->pending_type != MM_RECORD_NONE || (self->closing_channels != 0 && !self->held);
    if (records_due && self->journal_retry_at < deadline) {
        deadline = self->journal_retry_at;
    }
    if (mmi_metering_is_month_stuck(self) && self->month_retry_at < deadline) {
        deadline = self->month_retry_at;
    }
    if (self->unsaved && self->store_usable && self->save_due_at < deadline) {
        deadline = self->save_due_at;
    }
    return deadline > now ? deadline : now;
}

// The interval in progress ends now, and no further one begins. If the journal is out of order, the next poll tries
// again.
static void begin_hold(mm_metering_t *self, mm_us_t now) {
    if (!mmi_metering_settle(self, now)) {
        return;
    }
    mmi_metering_close_interval(self, mm_metering_label(self, now), now);
    self->held = true;
    mm_metering_tell(self, MM_EVENT_HOLD, 0, 0, now);
}

mm_us_t mm_metering_poll(mm_metering_t *self, mm_us_t now) {
    MM_ASSERT(now >= self->polled_at);
    self->polled_at = now;
    (void)mmi_metering_settle(self, now);
    if (mmi_metering_boundary_at(self) <= now) {
        mmi_metering_pass_boundary(self);
    }
    if (mmi_metering_boundary_at(self) > now) {
        mmi_metering_count(self, now);
        if (self->hold_requested && !self->held) {
            begin_hold(self, now);
        }
    }
    mmi_metering_retry_month(self, now);
    // What is left to close is in the image: the next boot makes its records.
    for (int closings = 0; closings < CLOSINGS_PER_POLL && !self->held && mmi_metering_close_channel(self, now);
         closings++) {
    }
    if (self->unsaved && now >= self->save_due_at) {
        (void)mmi_metering_save_image(self, now); // what fails is tried again
    }
    return next_deadline(self, now);
}

static mm_err_t commit_record(mm_metering_t *self, const mm_record_t *record, mm_us_t now) {
    mm_err_t err = mmi_metering_commit(self, record, now);
    if (err != MM_OK) {
        mmi_metering_drop_pending(self); // the caller knows
    }
    return err;
}

mm_err_t mm_metering_record(mm_metering_t *self, const mm_record_t *record, mm_us_t now) {
    if (!mmi_metering_settle(self, now)) {
        mm_counters_count(self->counters, MM_COUNTER_RECORD_REFUSED);
        return MM_ERR_STORAGE;
    }
    return commit_record(self, record, now);
}

static mm_record_t make_event(const mm_metering_t *self, mm_event_code_t code, const uint64_t values[MM_EVENT_VALUES],
                              mm_us_t now) {
    mm_record_t record = {.type = MM_RECORD_EVENT};
    record.event.code = (uint16_t)code;
    record.event.at = mm_metering_label(self, now);
    record.event.boot_no = self->boot_no;
    memcpy(record.event.values, values, sizeof record.event.values);
    return record;
}

mm_err_t mm_metering_event(mm_metering_t *self, mm_event_code_t code, const uint64_t values[MM_EVENT_VALUES],
                           mm_us_t now) {
    const mm_record_t record = make_event(self, code, values, now);
    return mm_metering_record(self, &record, now);
}

void mm_metering_tell(mm_metering_t *self, mm_event_code_t code, uint64_t first, uint64_t second, mm_us_t now) {
    const uint64_t values[MM_EVENT_VALUES] = {first, second, 0, 0};
    (void)mm_metering_event(self, code, values, now); // a failure is counted there
}

mm_err_t mmi_metering_settled_event(mm_metering_t *self, mm_event_code_t code, const uint64_t values[MM_EVENT_VALUES],
                                    mm_us_t now) {
    const mm_record_t record = make_event(self, code, values, now);
    return commit_record(self, &record, now);
}

mm_err_t mm_metering_set_watermark(mm_metering_t *self, mm_position_t watermark) {
    mm_err_t err = mm_journal_set_watermark(self->journal, watermark);
    if (err == MM_OK) {
        self->watermark = watermark;
    }
    return err;
}

void mm_metering_hold(mm_metering_t *self) {
    self->hold_requested = true;
}

bool mm_metering_is_held(const mm_metering_t *self) {
    return self->held;
}

void mm_metering_snapshot(const mm_metering_t *self, mm_us_t now, mm_snapshot_t *snapshot) {
    snapshot->boot_no = self->boot_no;
    snapshot->uptime_ms = (uint64_t)(now - self->boot_at) / 1000;
    snapshot->time = mm_metering_time(self, now);
    snapshot->year_month = self->registers.year_month;
    snapshot->interval_no = self->interval_no;
    snapshot->oldest = mm_journal_oldest(self->journal);
    snapshot->next_seq = mm_journal_next(self->journal).seq;
    snapshot->watermark = self->watermark;
    snapshot->counters = *self->counters;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_channel_registers_t *registers = &self->registers.channels[channel];
        const mm_meter_config_t *config = &self->options.meters[channel];
        mm_meter_snapshot_t *meter = &snapshot->meters[channel];
        memcpy(meter->id, config->id, sizeof meter->id);
        meter->pulse_constant = config->pulse_constant;
        meter->start_wh = config->start_wh;
        meter->life_pulses = registers->life_pulses;
        meter->pending_pulses = registers->pending_pulses;
        meter->month_pulses = registers->month_pulses;
        memcpy(meter->hours_pulses, registers->hours_pulses, sizeof meter->hours_pulses);
        snapshot->interval_pulses[channel] = registers->interval_pulses;
    }
}
