// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/control.h"

#include <string.h>

#include "control_internal.h"

#define SERIES_LABEL "meshmeter token 1"
#define SERIES_LABEL_BYTES (sizeof SERIES_LABEL - 1)

const char *mm_result_status_name(uint8_t status) {
    static const char *const names[MM_RESULT_COUNT] = {
        [MM_RESULT_DONE] = "done",
        [MM_RESULT_EXPIRED] = "expired",
        [MM_RESULT_BAD_CHANNEL] = "bad_channel",
        [MM_RESULT_BAD_BODY] = "bad_body",
        [MM_RESULT_UNSUPPORTED] = "unsupported",
        [MM_RESULT_STATE] = "state",
        [MM_RESULT_ALREADY] = "already",
        [MM_RESULT_OVERFLOW] = "overflow",
        [MM_RESULT_FAILED] = "failed",
        [MM_RESULT_TRYING] = "trying",
        [MM_RESULT_TOO_OLD] = "too_old",
    };
    return MM_NAME_OF(names, status);
}

const char *mm_typed_verdict_name(mm_typed_verdict_t verdict) {
    static const char *const names[] = {
        [MM_TYPED_ACCEPTED] = "accepted", [MM_TYPED_WRONG] = "wrong",           [MM_TYPED_USED] = "used",
        [MM_TYPED_NO_FORM] = "no_form",   [MM_TYPED_LOCKED_OUT] = "locked_out", [MM_TYPED_REFUSED] = "refused",
        [MM_TYPED_NO_METER] = "no_meter", [MM_TYPED_NO_KEY] = "no_key",         [MM_TYPED_STORAGE] = "storage",
    };
    return MM_NAME_OF(names, verdict);
}

bool mmi_control_has_meter(const mm_control_t *self, uint8_t channel) {
    return channel < MM_CHANNELS && self->metering->options.meters[channel].id[0] != '\0';
}

uint8_t mmi_control_meters(const mm_control_t *self) {
    uint8_t channels = 0;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        channels = (uint8_t)(channels | (mmi_control_has_meter(self, channel) ? 1u << channel : 0u));
    }
    return channels;
}

uint64_t mmi_control_life_pulses(const mm_control_t *self, uint8_t channel) {
    return self->metering->registers.channels[channel].life_pulses;
}

uint32_t mmi_control_pulse_constant(const mm_control_t *self, uint8_t channel) {
    return self->credits[channel].prepaid ? self->pulse_constants[channel]
                                          : self->metering->options.meters[channel].pulse_constant;
}

int64_t mmi_control_balance_wh(const mm_control_t *self, uint8_t channel) {
    return mm_credit_balance_wh(&self->credits[channel], mmi_control_life_pulses(self, channel),
                                mmi_control_pulse_constant(self, channel));
}

int64_t mmi_control_told_balance_wh(const mm_control_t *self, uint8_t channel) {
    return self->credits[channel].prepaid ? mmi_control_balance_wh(self, channel) : 0;
}

bool mmi_control_is_low(const mm_control_t *self, uint8_t channel) {
    const mm_credit_t *credit = &self->credits[channel];
    return credit->prepaid && credit->limits.warning_wh != 0 &&
           mmi_control_balance_wh(self, channel) <= (int64_t)credit->limits.warning_wh;
}

void mmi_control_retry_later(mm_control_t *self, mm_us_t now) {
    self->retry_at = mm_us_after_s(now, MM_CONTROL_RETRY_S);
}

void mmi_control_begin_result(const mm_control_t *self, uint8_t kind, uint8_t channel, uint32_t counter,
                              uint64_t command_id, mm_us_t now, mm_record_t *record) {
    memset(record, 0, sizeof *record);
    record->type = MM_RECORD_RESULT;
    record->result.era = self->era;
    record->result.counter = counter;
    record->result.command_id = command_id;
    record->result.kind = kind;
    record->result.channel = channel;
    record->result.at = mm_metering_label(self->metering, now);
}

void mm_control_open(mm_control_t *self, const mm_control_options_t *options, mm_metering_t *metering,
                     const mm_crypto_t *crypto, const mm_relay_t *relay, const mm_actions_t *actions,
                     mm_counters_t *counters, const mm_log_t *log, mm_us_t now) {
    MM_ASSERT(options->new_era != 0 && options->token_unit_wh != 0);
    memset(self, 0, sizeof *self);
    self->options = *options;
    self->metering = metering;
    self->crypto = crypto;
    self->relay = relay;
    self->actions = actions;
    self->counters = counters;
    self->log = log;
    self->retry_at = now;
    mmi_control_restore(self, now);
}

mm_err_t mm_control_take_legacy(mm_control_t *self, const char *item, size_t item_bytes, mm_us_t now) {
    if (!self->usable) {
        return MM_ERR_BUSY;
    }
    const mm_legacy_t *legacy = self->options.legacy;
    if (legacy == NULL || self->signed_only || self->crypto == NULL) {
        mm_counters_count(self->counters, MM_COUNTER_COMMAND_UNSIGNED);
        return MM_ERR_STATE;
    }
    return legacy->take_item(legacy->context, self, item, item_bytes, now);
}

void mm_control_set_tamper(mm_control_t *self, uint8_t channel, bool tampered, mm_us_t now) {
    MM_ASSERT(channel < MM_CHANNELS);
    uint8_t bit = (uint8_t)(1u << channel);
    self->tampered = (uint8_t)(tampered ? self->tampered | bit : self->tampered & ~bit);
    if (self->usable) {
        mmi_control_follow(self, channel, now);
    }
}

mm_us_t mm_control_poll(mm_control_t *self, mm_us_t now) {
    if (!self->usable) {
        if (now >= self->retry_at) {
            mmi_control_restore(self, now);
        }
        if (!self->usable) {
            return self->retry_at;
        }
    }
    mm_us_t deadline = mmi_control_go_on(self, now);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        mmi_control_follow(self, channel, now);
    }
    if (self->reboot_due) {
        self->reboot_due = false;
        self->actions->reboot(self->actions->context);
    }
    return self->retry_at > now && self->retry_at < deadline ? self->retry_at : deadline;
}

void mm_control_report(const mm_control_t *self, mm_us_t now, mm_control_report_t *report) {
    (void)now;
    memset(report, 0, sizeof *report);
    if (!self->usable) {
        return;
    }
    report->era = self->era;
    report->counter = self->counter;
    report->slot = self->slots.slot;
    report->slot_count = self->slots.slot_count;
    report->signed_only = self->signed_only;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_credit_t *credit = &self->credits[channel];
        report->meters[channel].prepaid = credit->prepaid;
        report->meters[channel].relay_reasons = credit->relay_reasons;
        report->meters[channel].relay_closed = (self->relay_closed >> channel & 1) != 0;
        if (credit->prepaid) {
            report->meters[channel].low = mmi_control_is_low(self, channel);
            report->meters[channel].emergency_taken = credit->emergency_taken;
            report->meters[channel].balance_wh = mmi_control_balance_wh(self, channel);
            report->meters[channel].applied_wh = credit->applied_wh;
            report->meters[channel].token_count = credit->tokens.count;
        }
    }
}

mm_err_t mm_control_token_series(const mm_crypto_t *crypto, uint32_t era, uint8_t channel, mm_token_series_t *series) {
    uint8_t bytes[SERIES_LABEL_BYTES + 5];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    mm_put_bytes(&writer, SERIES_LABEL, SERIES_LABEL_BYTES);
    mm_put_u32(&writer, era);
    mm_put_u8(&writer, channel);
    uint8_t mac[MM_HMAC_BYTES];
    if (crypto == NULL || crypto->device_hmac(crypto->context, bytes, writer.used_bytes, mac) != MM_OK) {
        return MM_ERR_UNAVAILABLE;
    }
    memcpy(series->key, mac, sizeof series->key);
    series->starting_code = mm_token_starting_code(series->key);
    return MM_OK;
}
