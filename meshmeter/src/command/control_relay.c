// SPDX-License-Identifier: Apache-2.0
#include "control_internal.h"

static bool is_quiet(const mm_control_t *self, const mm_credit_limits_t *limits, mm_us_t now) {
    mm_time_t time = mm_metering_time(self->metering, now);
    if (time.trust == MM_TRUST_UNSET) {
        return false;
    }
    mm_local_t local = mm_local_from_utc(&self->metering->tz, mm_us_whole_s(time.utc.us));
    return (limits->quiet_hours >> local.hour & 1) != 0 || (limits->quiet_days >> local.weekday & 1) != 0;
}

static MM_APART uint8_t reasons_now(const mm_control_t *self, uint8_t channel, mm_us_t now) {
    const mm_credit_t *credit = &self->credits[channel];
    uint8_t bit = (uint8_t)(1u << channel);
    uint8_t reasons = (self->unconfirmed_channels & bit) != 0 ? MM_RELAY_NOT_COMMISSIONED : 0;
    if ((self->locked_channels & bit) != 0) {
        reasons |= MM_RELAY_LOCKED;
    }
    if ((self->tampered & bit) != 0 && self->options.tamper_open[channel]) {
        reasons |= MM_RELAY_TAMPER;
    }
    if (mm_credit_is_exhausted(credit, mmi_control_life_pulses(self, channel),
                               mmi_control_pulse_constant(self, channel), is_quiet(self, &credit->limits, now))) {
        reasons |= MM_RELAY_NO_CREDIT;
    }
    return reasons;
}

static void set_relay(mm_control_t *self, uint8_t channel, bool closed, mm_us_t now) {
    uint8_t bit = (uint8_t)(1u << channel);
    bool is_told = (self->relay_set & bit) != 0 && ((self->relay_closed & bit) != 0) == closed;
    // A relay that refused the same is told again later, but a new order goes out at once.
    bool refused = (self->relay_refused & bit) != 0 && ((self->relay_closed & bit) != 0) == closed;
    if (is_told || (refused && now < self->retry_at)) {
        return;
    }
    self->relay_closed = (uint8_t)(closed ? self->relay_closed | bit : self->relay_closed & ~bit);
    if (self->relay != NULL && self->relay->set(self->relay->context, channel, closed) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_RELAY_ERROR);
        self->relay_set &= (uint8_t)~bit;
        self->relay_refused |= bit;
        mmi_control_retry_later(self, now);
        return;
    }
    self->relay_set |= bit;
    self->relay_refused &= (uint8_t)~bit;
}

static void warn(mm_control_t *self, uint8_t channel, mm_us_t now) {
    if (!mm_credit_is_low(&self->credits[channel], mmi_control_life_pulses(self, channel),
                          mmi_control_pulse_constant(self, channel))) {
        return;
    }
    mm_control_t draft = *self;
    draft.credits[channel].warned = true;
    if (mmi_control_commit_event(self, &draft, MM_EVENT_CREDIT_LOW, channel, draft.credits[channel].limits.warning_wh,
                                 now) != MM_OK) {
        mmi_control_retry_later(self, now);
    }
}

static void tell_tamper(mm_control_t *self, uint8_t channel, mm_us_t now) {
    uint8_t bit = (uint8_t)(1u << channel);
    if (((self->tampered ^ self->tamper_told) & bit) == 0) {
        return;
    }
    mm_control_t draft = *self;
    draft.tamper_told ^= bit;
    if (mmi_control_commit_event(self, &draft, MM_EVENT_TAMPER, channel, (draft.tamper_told & bit) != 0 ? 1 : 0, now) !=
        MM_OK) {
        mmi_control_retry_later(self, now);
    }
}

static void journal_reasons(mm_control_t *self, uint8_t channel, uint8_t reasons, mm_us_t now) {
    uint8_t before = self->credits[channel].relay_reasons;
    mm_event_code_t code = MM_EVENT_RELAY_REASONS;
    if (before == 0) {
        code = MM_EVENT_SUPPLY_CUT;
    } else if (reasons == 0) {
        code = MM_EVENT_SUPPLY_RESTORED;
    }
    mm_control_t draft = *self;
    draft.credits[channel].relay_reasons = reasons;
    if (mmi_control_commit_event(self, &draft, code, channel, reasons, now) != MM_OK) {
        mmi_control_retry_later(self, now);
    }
}

void mmi_control_follow(mm_control_t *self, uint8_t channel, mm_us_t now) {
    if (!mmi_control_has_meter(self, channel)) {
        return;
    }
    if (now >= self->retry_at) {
        tell_tamper(self, channel, now);
    }
    if (now >= self->retry_at) {
        warn(self, channel, now);
    }
    uint8_t reasons = reasons_now(self, channel, now);
    if (reasons != self->credits[channel].relay_reasons && now >= self->retry_at) {
        journal_reasons(self, channel, reasons, now);
    }
    set_relay(self, channel, reasons == 0 && self->credits[channel].relay_reasons == 0, now);
}

void mmi_control_set_relays(mm_control_t *self, mm_us_t now) {
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (mmi_control_has_meter(self, channel)) {
            bool is_confirmed = (self->unconfirmed_channels >> channel & 1) == 0;
            set_relay(self, channel, is_confirmed && self->credits[channel].relay_reasons == 0, now);
        }
    }
}
