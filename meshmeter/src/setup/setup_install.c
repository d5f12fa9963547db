// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "setup/configuration_internal.h"
#include "setup/setup_internal.h"

static MM_APART const mm_meter_config_t *meter_of(const mm_setup_t *self, uint8_t channel) {
    return &self->metering->options.meters[channel];
}

static const mm_channel_setup_t *wanted_of(const mm_setup_t *self, uint8_t channel) {
    return &self->configuration.installation.channels[channel];
}

static MM_APART bool is_same_id(const mm_meter_config_t *left, const mm_meter_config_t *right) {
    return strncmp(left->id, right->id, sizeof left->id) == 0;
}

static MM_APART bool is_same_meter(const mm_meter_config_t *left, const mm_meter_config_t *right) {
    return is_same_id(left, right) && left->pulse_constant == right->pulse_constant &&
           left->start_wh == right->start_wh;
}

static bool has_credit(const mm_setup_t *self, uint8_t channel) {
    const mm_credit_t *credit = &self->control->credits[channel];
    return credit->prepaid && (credit->applied_wh != 0 || credit->emergency_taken);
}

bool mm_setup_is_fixed(const mm_setup_t *self, uint8_t channel) {
    MM_ASSERT(channel < MM_CHANNELS);
    return self->metering->registers.channels[channel].life_pulses > 0 || has_credit(self, channel);
}

static void check_fixed(const mm_setup_t *self, const mm_channel_setup_t *wanted, uint8_t channel,
                        mmi_problems_t *problems) {
    static const char *const what = "this meter has consumed; only HQ can change it";
    const mm_meter_config_t *meter = meter_of(self, channel);
    if (!mm_setup_is_fixed(self, channel)) {
        return;
    }
    if (!is_same_id(meter, &wanted->meter)) {
        mmi_problem(problems, MM_FIELD_METER_ID, channel,
                    meter->id[0] != '\0' ? what : "an earlier meter's readings are here; only HQ can change it");
        return;
    }
    if (meter->pulse_constant != wanted->meter.pulse_constant) {
        mmi_problem(problems, MM_FIELD_PULSE_CONSTANT, channel, what);
    }
    if (meter->start_wh != wanted->meter.start_wh) {
        mmi_problem(problems, MM_FIELD_START_WH, channel, what);
    }
    if (has_credit(self, channel) && !wanted->prepaid) {
        mmi_problem(problems, MM_FIELD_PREPAID, channel, "this meter has credit in its books; only HQ can end it");
    }
}

// Higher than every one that was stored or told: a configuration that fell back may be behind.
static uint32_t next_revision(const mm_setup_t *self) {
    uint32_t stored = self->configuration.installation.revision; // 0 if there is none
    uint32_t told = self->control->installation_told;
    return (stored > told ? stored : told) + 1;
}

// What HQ is told of a channel, and so what it has confirmed: these channels keep their supply.
static uint8_t unchanged_channels(const mm_setup_t *self, const mm_installation_t *wanted) {
    uint8_t channels = 0;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_channel_setup_t *setup = &wanted->channels[channel];
        bool is_unchanged = is_same_meter(meter_of(self, channel), &setup->meter) &&
                            self->control->credits[channel].prepaid == setup->prepaid;
        channels = (uint8_t)(channels | (is_unchanged ? 1u << channel : 0u));
    }
    return channels;
}

size_t mm_setup_install(mm_setup_t *self, const mm_installation_t *installation, mm_field_problem_t *problems,
                        size_t capacity, mm_err_t *err, mm_us_t now) {
    // Without the registers it is not known what is there: neither what is fixed, nor what is changed.
    if (!self->session || now >= self->session_until || !self->control->usable) {
        *err = MM_ERR_STATE;
        return 0;
    }
    *err = MM_ERR_ARG;
    size_t count = mm_installation_check(installation, problems, capacity);
    mmi_problems_t list = {problems, capacity, count};
    for (uint8_t channel = 0; channel < MM_CHANNELS && count == 0; channel++) {
        check_fixed(self, &installation->channels[channel], channel, &list);
    }
    if (list.count > 0) {
        return list.count;
    }
    mm_configuration_t draft = self->configuration;
    draft.installation = *installation;
    draft.installation.revision = next_revision(self);
    draft.has_installation = true;
    draft.confirmed_channels &= (uint8_t)~self->control->unconfirmed_channels & unchanged_channels(self, installation);
    *err = mm_life_cycle_take(&draft.phase, MM_LIFE_CONFIGURED);
    MM_ASSERT(*err == MM_OK); // a session is CONFIGURING
    *err = mmi_setup_save(self, &draft);
    if (*err == MM_OK) {
        mm_setup_leave(self, now);
        self->retry_at = now;
    }
    return 0;
}

bool mm_setup_is_applying(const mm_setup_t *self) {
    mm_life_state_t state = mmi_setup_lasting_state(self);
    bool is_installed = self->configuration.has_installation && (state == MM_LIFE_AWAITING || state == MM_LIFE_RUNNING);
    return is_installed && (self->configuration.installation.revision > self->control->installation_told ||
                            self->control->installation_due);
}

static mm_err_t change_mode(mm_setup_t *self, uint8_t channel, bool prepaid, mm_us_t now) {
    if (self->control->credits[channel].prepaid == prepaid) {
        return MM_OK;
    }
    const mm_command_body_t body = {.mode = {.prepaid = prepaid}};
    return mm_control_install(self->control, MM_COMMAND_MODE, channel, &body, now);
}

static mm_err_t change_limits(mm_setup_t *self, uint8_t channel, const mm_credit_limits_t *limits, mm_us_t now) {
    const mm_credit_limits_t *present = &self->control->credits[channel].limits;
    if (present->warning_wh == limits->warning_wh && present->emergency_wh == limits->emergency_wh &&
        present->quiet_hours == limits->quiet_hours && present->quiet_days == limits->quiet_days) {
        return MM_OK;
    }
    const mm_command_body_t body = {
        .limits = {limits->warning_wh, limits->emergency_wh, limits->quiet_hours, limits->quiet_days}};
    return mm_control_install(self->control, MM_COMMAND_LIMITS, channel, &body, now);
}

static mm_err_t change_meter(mm_setup_t *self, uint8_t channel, const mm_meter_config_t *meter, mm_us_t now) {
    mm_command_body_t body = {.update = {.has_id = true,
                                         .has_pulse_constant = meter->id[0] != '\0',
                                         .has_start_wh = true,
                                         .pulse_constant = meter->pulse_constant,
                                         .start_wh = meter->start_wh}};
    memcpy(body.update.id, meter->id, sizeof body.update.id);
    return mm_control_install(self->control, MM_COMMAND_UPDATE, channel, &body, now);
}

// A channel without its meter: prepayment ends while the meter is still there.
static mm_err_t clear_channel(mm_setup_t *self, uint8_t channel, mm_us_t now) {
    static const mm_channel_setup_t nothing;
    mm_err_t err = change_mode(self, channel, false, now);
    if (err == MM_OK) {
        err = change_limits(self, channel, &nothing.limits, now);
    }
    return err == MM_OK ? change_meter(self, channel, &nothing.meter, now) : err;
}

// MM_CHANNELS: none.
static uint8_t holder_of(const mm_setup_t *self, const mm_meter_config_t *wanted) {
    uint8_t channel = 0;
    while (channel < MM_CHANNELS && !is_same_id(meter_of(self, channel), wanted)) {
        channel++;
    }
    return channel;
}

static mm_err_t apply_meter(mm_setup_t *self, uint8_t channel, mm_us_t now) {
    const mm_meter_config_t *wanted = &wanted_of(self, channel)->meter;
    if (is_same_meter(meter_of(self, channel), wanted)) {
        return MM_OK;
    }
    if (wanted->id[0] == '\0') {
        return clear_channel(self, channel, now);
    }
    // An id that moves to another channel leaves the old one first: no two meters have the same, not even between.
    uint8_t holder = holder_of(self, wanted);
    if (holder != channel && holder < MM_CHANNELS) {
        mm_err_t err = clear_channel(self, holder, now);
        if (err != MM_OK) {
            return err;
        }
    }
    return change_meter(self, channel, wanted, now);
}

static mm_err_t apply_terms(mm_setup_t *self, uint8_t channel, mm_us_t now) {
    const mm_channel_setup_t *wanted = wanted_of(self, channel);
    if (wanted->meter.id[0] == '\0') {
        return MM_OK;
    }
    mm_err_t err = change_limits(self, channel, &wanted->limits, now);
    return err == MM_OK ? change_mode(self, channel, wanted->prepaid, now) : err;
}

static mm_err_t tell(mm_setup_t *self, mm_us_t now) {
    const mm_installation_t *installation = &self->configuration.installation;
    mm_installation_record_t record = {.revision = installation->revision,
                                       .repeated = self->control->installation_told == installation->revision,
                                       .node_no = installation->node_no,
                                       .province = installation->province,
                                       .canton = installation->canton,
                                       .parish = installation->parish,
                                       .postal_code = installation->postal_code,
                                       .at = mm_metering_label(self->metering, now)};
    _Static_assert(sizeof record.installer == sizeof installation->installer, "the record has room for the name");
    memcpy(record.installer, installation->installer, sizeof record.installer);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_meter_config_t *meter = meter_of(self, channel); // HQ may have changed it since
        if (meter->id[0] == '\0') {
            continue;
        }
        memcpy(record.channels[channel].id, meter->id, sizeof record.channels[channel].id);
        record.channels[channel].pulse_constant = meter->pulse_constant;
        record.channels[channel].start_wh =
            meter->start_wh < MM_INSTALLATION_START_WH_MAX ? meter->start_wh : MM_INSTALLATION_START_WH_MAX;
        record.channels[channel].prepaid = self->control->credits[channel].prepaid;
    }
    return mm_control_tell_installation(self->control, &record, now);
}

mm_err_t mmi_setup_apply(mm_setup_t *self, mm_us_t now) {
    bool is_new = self->configuration.installation.revision > self->control->installation_told;
    mm_err_t err = MM_OK;
    for (uint8_t channel = 0; is_new && channel < MM_CHANNELS && err == MM_OK; channel++) {
        err = apply_meter(self, channel, now);
    }
    for (uint8_t channel = 0; is_new && channel < MM_CHANNELS && err == MM_OK; channel++) {
        err = apply_terms(self, channel, now);
    }
    return err == MM_OK ? tell(self, now) : err;
}
