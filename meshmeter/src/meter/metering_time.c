// SPDX-License-Identifier: Apache-2.0
#include "metering_internal.h"

#define UTC_S_MIN INT64_C(1262304000) // 2010-01-01: old load profiles are replayed
#define UTC_S_END INT64_C(7258118400) // 2200-01-01
#define STEP_US (2 * MM_US_PER_S)

static MM_APART int64_t utc_us(const mm_metering_t *self, mm_us_t now) {
    return now + self->utc_offset_us;
}

static MM_APART mm_trust_t trust_at(const mm_metering_t *self, mm_us_t now) {
    if (!self->time_known) {
        return MM_TRUST_UNSET;
    }
    return now < self->trusted_until ? MM_TRUST_SYNCED : MM_TRUST_HELD;
}

mm_time_t mm_metering_time(const mm_metering_t *self, mm_us_t now) {
    mm_time_t time = {.utc = {0}, .trust = trust_at(self, now)};
    if (self->time_known) {
        time.utc.us = utc_us(self, now);
    }
    return time;
}

mm_label_t mm_metering_label(const mm_metering_t *self, mm_us_t now) {
    int64_t label_us = self->time_known ? utc_us(self, now) : now - self->boot_at;
    mm_label_t label = {.seconds = (uint64_t)(mm_us_whole_s(label_us)), .trust = trust_at(self, now)};
    return label;
}

static MM_APART int64_t first_boundary_s(const mm_metering_t *self) {
    return self->next_interval_s < self->next_hour_s ? self->next_interval_s : self->next_hour_s;
}

// wait: the interval or the hour ends | until MM_INTERVAL_S | then the interval becomes a record; pulses go on under
// the next hour
mm_us_t mmi_metering_boundary_at(const mm_metering_t *self) {
    mm_us_t boundary_us = first_boundary_s(self) * MM_US_PER_S;
    return self->time_known ? boundary_us - self->utc_offset_us : boundary_us + self->boot_at;
}

// The boundaries after this second of wall time.
static void find_boundaries(mm_metering_t *self, int64_t seconds) {
    self->next_interval_s = (seconds / MM_INTERVAL_S + 1) * MM_INTERVAL_S;
    self->next_hour_s = mm_next_hour_change(&self->tz, seconds);
}

static MM_APART void set_hour(mm_metering_t *self, uint8_t hour) {
    if (self->hour != hour) {
        self->hour = hour;
        self->image_stale = true;
    }
}

void mmi_metering_pass_boundary(mm_metering_t *self) {
    int64_t boundary_s = first_boundary_s(self);
    bool interval_due = self->next_interval_s == boundary_s;
    bool hour_due = self->next_hour_s == boundary_s;
    mm_us_t at = mmi_metering_boundary_at(self);
    // A small correction of the clock may have made it due after the fact.
    if (at < self->last_read_at) {
        at = self->last_read_at;
    }
    if (at < self->interval_began_at) {
        at = self->interval_began_at;
    }
    mmi_metering_count(self, at);
    mm_local_t local = {0};
    if (hour_due) {
        local = mm_local_from_utc(&self->tz, boundary_s);
        set_hour(self, local.hour);
        self->next_hour_s = mm_next_hour_change(&self->tz, boundary_s);
    }
    if (interval_due) {
        self->next_interval_s = boundary_s + MM_INTERVAL_S;
        mm_label_t end = {.seconds = (uint64_t)boundary_s, .trust = trust_at(self, at)};
        mmi_metering_close_interval(self, end, at);
    }
    if (!hour_due) {
        return;
    }
    if (!mmi_metering_change_month(self, mm_local_year_month(&local), at)) {
        set_hour(self, MM_HOUR_UNKNOWN);
    } else if (mm_registers_file_pending(&self->registers, self->hour) > 0) { // of a month that could not begin before
        (void)mmi_metering_save_image(self, at);                              // what fails is tried again
    }
}

// Apply a new wall time; the interval under the old one has been closed.
static void take_time(mm_metering_t *self, mm_time_t time, mm_us_t now) {
    int64_t seconds = mm_us_whole_s(time.utc.us);
    self->utc_offset_us = time.utc.us - now;
    self->time_known = true;
    self->trusted_until = now; // held: better than nothing, and anything better replaces it
    find_boundaries(self, seconds);
    mm_local_t local = mm_local_from_utc(&self->tz, seconds);
    bool in_month = mmi_metering_change_month(self, mm_local_year_month(&local), now);
    set_hour(self, in_month ? local.hour : MM_HOUR_UNKNOWN);
}

bool mmi_metering_is_month_stuck(const mm_metering_t *self) {
    return self->time_known && self->hour == MM_HOUR_UNKNOWN;
}

void mmi_metering_retry_month(mm_metering_t *self, mm_us_t now) {
    if (!mmi_metering_is_month_stuck(self) || now < self->month_retry_at) {
        return;
    }
    mm_local_t local = mm_local_from_utc(&self->tz, mm_us_whole_s(utc_us(self, now)));
    if (mmi_metering_change_month(self, mm_local_year_month(&local), now)) {
        set_hour(self, local.hour);
        (void)mm_registers_file_pending(&self->registers, self->hour);
        (void)mmi_metering_save_image(self, now); // what fails is tried again
    }
}

static MM_APART mm_us_t trusted_until(const mm_metering_t *self, mm_trust_t trust, mm_us_t now) {
    return trust == MM_TRUST_SYNCED ? mm_us_after_s(now, self->options.time_trust_s) : now;
}

static void synchronise_first(mm_metering_t *self, mm_time_t time, mm_us_t now) {
    uint64_t uptime_s = (uint64_t)(mm_us_whole_s(now - self->boot_at));
    take_time(self, time, now);
    self->trusted_until = trusted_until(self, time.trust, now);
    uint64_t filed_pulses = 0;
    if (!mmi_metering_is_month_stuck(self)) {
        filed_pulses = mm_registers_file_pending(&self->registers, self->hour);
    }
    const uint64_t values[MM_EVENT_VALUES] = {self->boot_no, uptime_s, (uint64_t)(mm_us_whole_s(time.utc.us)),
                                              filed_pulses};
    (void)mm_metering_event(self, MM_EVENT_TIME_SYNCED, values, now); // a failure is counted there
}

static void step(mm_metering_t *self, mm_time_t time, mm_us_t now) {
    uint64_t old_s = (uint64_t)(mm_us_whole_s(utc_us(self, now)));
    take_time(self, time, now);
    self->trusted_until = trusted_until(self, time.trust, now);
    if (!mmi_metering_is_month_stuck(self)) {
        (void)mm_registers_file_pending(&self->registers, self->hour); // of a month that could not begin before
    }
    mm_counters_count(self->counters, MM_COUNTER_CLOCK_STEPPED);
    mm_metering_tell(self, MM_EVENT_TIME_STEPPED, old_s, (uint64_t)(mm_us_whole_s(time.utc.us)), now);
}

mm_err_t mm_metering_set_time(mm_metering_t *self, mm_time_t time, mm_us_t now) {
    if (time.trust != MM_TRUST_HELD && time.trust != MM_TRUST_SYNCED) {
        return MM_ERR_ARG;
    }
    if (time.utc.us < UTC_S_MIN * MM_US_PER_S || time.utc.us >= UTC_S_END * MM_US_PER_S) {
        mm_counters_count(self->counters, MM_COUNTER_CLOCK_REJECTED);
        return MM_ERR_ARG;
    }
    if (self->time_known && time.trust == MM_TRUST_HELD) {
        return MM_OK;
    }
    int64_t difference_us = time.utc.us - utc_us(self, now);
    if (self->time_known && difference_us <= STEP_US && difference_us >= -STEP_US) {
        // Boundaries stay where they are in wall time, so none is passed twice and none is left out.
        self->utc_offset_us += difference_us;
        self->trusted_until = trusted_until(self, time.trust, now);
        return MM_OK;
    }
    (void)mm_metering_poll(self, now); // what is due under the old labels comes first
    mmi_metering_count(self, now);
    // A time that is known at the start itself leaves nothing under the old labels: the interval goes on, under its
    // number.
    if (self->time_known || now - self->boot_at >= MM_US_PER_S) {
        mmi_metering_close_interval(self, mm_metering_label(self, now), now);
    }
    if (self->time_known) {
        step(self, time, now);
    } else {
        synchronise_first(self, time, now);
    }
    return MM_OK;
}
