// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "control_internal.h"
#include "meshmeter/result_detail.h"

static mm_meter_identity_t identity_of(const mm_meter_config_t *config, uint64_t life_pulses) {
    mm_meter_identity_t identity = {
        .pulse_constant = config->pulse_constant, .start_wh = config->start_wh, .life_pulses = life_pulses};
    memcpy(identity.id, config->id, sizeof identity.id);
    return identity;
}

// What the change replaces, and by what.
static void put_archive(const mm_control_t *self, const mm_meter_change_t *change, mm_writer_t *detail) {
    const mm_channel_registers_t *registers = &self->metering->registers.channels[change->channel];
    uint64_t life_pulses = change->set_life ? change->life_pulses : registers->life_pulses;
    mm_archive_detail_t archive = {
        .before = identity_of(&self->metering->options.meters[change->channel], registers->life_pulses),
        .pending_pulses = registers->pending_pulses,
        .year_month = self->metering->registers.year_month,
        .month_pulses = registers->month_pulses,
        .after = identity_of(&change->config, life_pulses)};
    memcpy(archive.hours_pulses, registers->hours_pulses, sizeof archive.hours_pulses);
    mm_archive_detail_put(&archive, detail);
}

// What was consumed so far is fixed in Wh when the meter under it changes.
static void rebase(const mm_control_t *self, mm_control_t *draft, const mm_meter_change_t *change) {
    uint8_t channel = change->channel;
    if (!draft->credits[channel].prepaid) {
        return;
    }
    uint64_t life_pulses = mmi_control_life_pulses(self, channel);
    mm_credit_rebase(&draft->credits[channel], life_pulses, mmi_control_pulse_constant(self, channel),
                     change->set_life ? change->life_pulses : life_pulses);
    draft->pulse_constants[channel] = change->config.pulse_constant;
}

mm_result_status_t mmi_control_run_update(const mm_control_t *self, mmi_task_t *task) {
    const mm_update_body_t *update = &task->body.update;
    mm_meter_change_t *change = &task->change;
    change->channel = task->command->channel;
    change->config = self->metering->options.meters[change->channel];
    if (update->has_id) {
        memcpy(change->config.id, update->id, sizeof change->config.id);
    }
    if (update->has_pulse_constant) {
        change->config.pulse_constant = update->pulse_constant;
    }
    if (update->has_start_wh) {
        change->config.start_wh = update->start_wh;
    }
    if (change->config.id[0] == '\0') {
        change->config.pulse_constant = 0; // out of use
    }
    change->set_life = update->has_life_pulses;
    change->life_pulses = update->life_pulses;
    if (mm_meter_config_check(&change->config) != MM_OK) {
        return MM_RESULT_BAD_BODY;
    }
    task->has_change = true;
    put_archive(self, change, &task->detail);
    rebase(self, &task->draft, change);
    return MM_RESULT_DONE;
}

void mmi_control_erase_meter(const mm_control_t *self, mm_control_t *draft, uint8_t channel, mm_meter_change_t *change,
                             mm_writer_t *detail) {
    *change = (mm_meter_change_t){.channel = channel,
                                  .config = self->metering->options.meters[channel],
                                  .set_life = true,
                                  .life_pulses = 0,
                                  .clear_month = true};
    put_archive(self, change, detail);
    rebase(self, draft, change);
}

mm_result_status_t mmi_control_run_erase(const mm_control_t *self, mmi_task_t *task) {
    mmi_control_erase_meter(self, &task->draft, task->command->channel, &task->change, &task->detail);
    task->has_change = true;
    return MM_RESULT_DONE;
}

mm_result_status_t mmi_control_run_read_meter(const mm_control_t *self, mmi_task_t *task) {
    uint8_t channel = task->command->channel;
    const mm_channel_registers_t *registers = &self->metering->registers.channels[channel];
    const mm_credit_t *credit = &self->credits[channel];
    mm_meter_detail_t detail = {.now = identity_of(&self->metering->options.meters[channel], registers->life_pulses),
                                .pending_pulses = registers->pending_pulses,
                                .year_month = self->metering->registers.year_month,
                                .month_pulses = registers->month_pulses,
                                .relay_closed = (self->relay_closed >> channel & 1) != 0,
                                .relay_reasons = credit->relay_reasons,
                                .prepaid = credit->prepaid,
                                .low = mmi_control_is_low(self, channel),
                                .emergency_taken = credit->emergency_taken,
                                .balance_wh = mmi_control_balance_wh(self, channel),
                                .applied_wh = credit->applied_wh,
                                .token_count = credit->tokens.count,
                                .warning_wh = credit->limits.warning_wh,
                                .emergency_wh = credit->limits.emergency_wh,
                                .quiet_hours = credit->limits.quiet_hours,
                                .quiet_days = credit->limits.quiet_days};
    memcpy(detail.hours_pulses, registers->hours_pulses, sizeof detail.hours_pulses);
    mm_meter_detail_put(&detail, &task->detail);
    return MM_RESULT_DONE;
}
