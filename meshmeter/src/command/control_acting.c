// SPDX-License-Identifier: Apache-2.0
#include "control_internal.h"
#include "meshmeter/bytes.h"
#include "meshmeter/crc32.h"
#include "meshmeter/result_detail.h"

#define FORMAT_LABEL "meshmeter format 1"
#define FORMAT_LABEL_BYTES (sizeof FORMAT_LABEL - 1)

static MM_APART mm_staged_kind_t staged_kind(uint8_t kind) {
    switch (kind) {
    case MM_COMMAND_NETWORK:
        return MM_STAGED_NETWORK;
    case MM_COMMAND_BROKER:
        return MM_STAGED_BROKER;
    default:
        return MM_STAGED_NONE;
    }
}

// Whether the port has what the kind needs.
static bool is_supported(const mm_actions_t *actions, uint8_t kind) {
    if (actions == NULL) {
        return false;
    }
    switch (kind) {
    case MM_COMMAND_DISPLAY_ON:
        return actions->display_on != NULL;
    case MM_COMMAND_FIND:
        return actions->find != NULL;
    case MM_COMMAND_OTA_URL:
        return actions->ota_set_url != NULL;
    case MM_COMMAND_OTA_START:
        return actions->ota_start != NULL;
    default:
        return actions->stage != NULL && actions->settle != NULL;
    }
}

static void begin_acting(mmi_task_t *task) {
    task->draft.acting_kind = task->command->kind;
    task->draft.acting_counter = task->command->counter;
    task->draft.acting_command_id = task->command->id;
    task->draft.acting_answer = 0;
    task->draft.acting_status = MM_RESULT_FAILED;
}

mm_result_status_t mmi_control_run_action(const mm_control_t *self, mmi_task_t *task) {
    if (!is_supported(self->actions, task->command->kind)) {
        return MM_RESULT_UNSUPPORTED;
    }
    if (self->acting_kind != MM_COMMAND_NONE) {
        return MM_RESULT_STATE;
    }
    begin_acting(task);
    task->is_silent = true;
    return MM_RESULT_DONE;
}

mm_result_status_t mmi_control_run_stage(const mm_control_t *self, mmi_task_t *task) {
    if (!is_supported(self->actions, task->command->kind)) {
        return MM_RESULT_UNSUPPORTED;
    }
    if (self->acting_kind != MM_COMMAND_NONE) {
        return MM_RESULT_STATE;
    }
    begin_acting(task);
    if (task->command->id == 0) { // it took no counter; a start must know it again
        task->draft.acting_counter = mm_crc32(0, task->command->body, task->command->body_bytes);
    }
    task->draft.trial_until = mm_us_after_s(task->now, MM_CONTROL_TRIAL_S);
    return MM_RESULT_TRYING;
}

static mm_result_status_t status_of(mm_err_t err) {
    switch (err) {
    case MM_OK:
        return MM_RESULT_DONE;
    case MM_ERR_ARG:
        return MM_RESULT_BAD_BODY;
    case MM_ERR_UNAVAILABLE:
        return MM_RESULT_UNSUPPORTED;
    default:
        return MM_RESULT_FAILED;
    }
}

static void answer(mm_control_t *self, mm_us_t now) {
    uint32_t counter = self->acting_command_id != 0 ? self->acting_counter : self->counter;
    mm_record_t record;
    mmi_control_begin_result(self, self->acting_kind, MM_COMMAND_WHOLE_NODE, counter, self->acting_command_id, now,
                             &record);
    record.result.status = self->acting_status;
    mm_control_t draft = *self;
    draft.acting_kind = MM_COMMAND_NONE;
    draft.acting_answer = (uint8_t)(self->acting_status + 1);
    draft.repeats_left = MM_CONTROL_REPEATS_MAX;
    draft.repeat_at = mm_us_after_s(now, MM_CONTROL_REPEAT_S);
    if (mmi_control_commit(self, &draft, &record, NULL, now) != MM_OK) {
        mmi_control_retry_later(self, now);
    }
}

void mmi_control_answer_again(mm_control_t *self, const mm_command_t *command, mm_us_t now) {
    bool is_it = command->counter == self->acting_counter && command->id == self->acting_command_id;
    bool is_answered = self->acting_kind == MM_COMMAND_NONE && self->acting_answer != 0;
    if (!is_it || !is_answered || self->repeats_left == 0 || now < self->repeat_at ||
        mm_metering_prepare(self->metering, now) != MM_OK) {
        return;
    }
    mm_record_t record;
    mmi_control_begin_result(self, command->kind, command->channel, command->counter, command->id, now, &record);
    record.result.status = (uint8_t)(self->acting_answer - 1);
    mm_control_t draft = *self;
    draft.repeats_left--;
    draft.repeat_at = mm_us_after_s(now, MM_CONTROL_REPEAT_S);
    // Storage that refuses it: the command comes again.
    (void)mmi_control_commit(self, &draft, &record, NULL, now);
}

static MM_APART mm_err_t act(const mm_actions_t *actions, const mm_command_t *command) {
    mm_command_body_t body;
    mm_err_t err = mm_command_body_read(command->kind, command->body, command->body_bytes, &body);
    MM_ASSERT(err == MM_OK); // it was read before it was stored
    switch (command->kind) {
    case MM_COMMAND_DISPLAY_ON:
        return actions->display_on(actions->context, body.seconds.seconds);
    case MM_COMMAND_FIND:
        return actions->find(actions->context, body.seconds.seconds);
    case MM_COMMAND_OTA_URL:
        return actions->ota_set_url(actions->context, (const char *)command->body, command->body_bytes);
    case MM_COMMAND_OTA_START:
        return actions->ota_start(actions->context);
    default:
        return actions->stage(actions->context, staged_kind(command->kind), (const char *)command->body,
                              command->body_bytes);
    }
}

void mmi_control_act(mm_control_t *self, const mm_command_t *command, mm_us_t now) {
    if (self->acting_kind == MM_COMMAND_FORMAT) {
        return; // that is done in poll
    }
    mm_err_t err = act(self->actions, command);
    if (mm_control_is_on_trial(self) && err == MM_OK) {
        return; // now it has to prove itself
    }
    self->acting_status = (uint8_t)status_of(err);
    self->trial_until = now;
    answer(self, now);
}

bool mm_control_is_answering_router(const mm_control_t *self) {
    const mm_commissioning_t *commissioning = self->commissioning;
    return self->acting_kind == MM_COMMAND_NETWORK && self->acting_command_id == 0 && commissioning != NULL &&
           commissioning->has_router != NULL && commissioning->has_router(commissioning->context, self->acting_counter);
}

static void settle(mm_control_t *self, bool keep, mm_us_t now) {
    // A trial that never began, or that a restart has ended, is settled once more: it harms nothing.
    if (is_supported(self->actions, self->acting_kind) &&
        self->actions->settle(self->actions->context, staged_kind(self->acting_kind), keep) != MM_OK) {
        mmi_control_retry_later(self, now);
        return;
    }
    // A restart, or a platform that refused, may have come between the network and the answer.
    self->acting_status = keep || mm_control_is_answering_router(self) ? MM_RESULT_DONE : self->acting_status;
    self->trial_until = now;
    answer(self, now);
}

bool mm_control_is_on_trial(const mm_control_t *self) {
    return staged_kind(self->acting_kind) != MM_STAGED_NONE;
}

void mm_control_on_session(mm_control_t *self, bool clean, mm_us_t now) {
    if (!clean || !mm_control_is_on_trial(self) || now >= self->trial_until) {
        return;
    }
    const mm_commissioning_t *commissioning = self->commissioning;
    mm_err_t err = commissioning != NULL && commissioning->keep_staged != NULL
                       ? commissioning->keep_staged(commissioning->context, self->acting_command_id == 0, now)
                       : MM_OK;
    if (err == MM_ERR_STORAGE) {
        return; // with the next session
    }
    if (err != MM_OK) {
        self->acting_status = MM_RESULT_STATE;
        self->trial_until = now; // over, even if the platform does not go back at once
    }
    settle(self, err == MM_OK, now);
}

bool mmi_control_is_unanswered(const mm_control_t *self) {
    bool is_sealed = self->acting_command_id != 0;
    return is_sealed && self->acting_kind != MM_COMMAND_NONE && self->acting_kind != MM_COMMAND_FORMAT &&
           !mm_control_is_on_trial(self);
}

// FORMAT.

static uint32_t make_code(const mm_control_t *self, const mm_command_t *command) {
    uint8_t bytes[FORMAT_LABEL_BYTES + 16];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    mm_put_bytes(&writer, FORMAT_LABEL, FORMAT_LABEL_BYTES);
    mm_put_u32(&writer, self->era);
    mm_put_u32(&writer, command->counter);
    mm_put_u64(&writer, command->id);
    uint8_t mac[MM_HMAC_BYTES] = {0};
    (void)self->crypto->device_hmac(self->crypto->context, bytes, writer.used_bytes, mac); // it has just worked
    mm_reader_t reader = mm_reader(mac, sizeof mac);
    return mm_get_u32(&reader) | 1; // 0 asks
}

mm_result_status_t mmi_control_run_format(const mm_control_t *self, mmi_task_t *task) {
    uint32_t code = task->body.format.code;
    if (code == 0) {
        task->draft.format_code = make_code(self, task->command);
        task->draft.format_until = mm_us_after_s(task->now, MM_CONTROL_FORMAT_S);
        mm_format_detail_put(task->draft.format_code, &task->detail);
        return MM_RESULT_DONE;
    }
    if (code != self->format_code || task->now >= self->format_until || self->acting_kind != MM_COMMAND_NONE) {
        return MM_RESULT_STATE;
    }
    begin_acting(task);
    task->draft.format_code = 0;
    task->draft.format_channels = mmi_control_meters(self);
    return MM_RESULT_TRYING;
}

// Archive and erase one meter, in one transaction.
static void format_meter(mm_control_t *self, uint8_t channel, mm_us_t now) {
    if (mm_metering_prepare(self->metering, now) != MM_OK) {
        mmi_control_retry_later(self, now);
        return;
    }
    mm_record_t record;
    mmi_control_begin_result(self, MM_COMMAND_FORMAT, channel, self->acting_counter, self->acting_command_id, now,
                             &record);
    record.result.status = MM_RESULT_TRYING;
    mm_writer_t detail = mm_writer(record.result.detail, sizeof record.result.detail);
    mm_control_t draft = *self;
    draft.format_channels &= (uint8_t) ~(1u << channel);
    mm_meter_change_t change;
    mmi_control_erase_meter(self, &draft, channel, &change, &detail);
    record.result.detail_bytes = (uint8_t)detail.used_bytes;
    if (mmi_control_commit(self, &draft, &record, &change, now) != MM_OK) {
        mmi_control_retry_later(self, now);
    }
}

static void go_on_formatting(mm_control_t *self, mm_us_t now) {
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if ((self->format_channels >> channel & 1) != 0) {
            format_meter(self, channel, now);
            return;
        }
    }
    self->acting_status = MM_RESULT_DONE;
    answer(self, now);
}

mm_us_t mmi_control_go_on(mm_control_t *self, mm_us_t now) {
    bool is_staged = mm_control_is_on_trial(self);
    if (self->acting_kind == MM_COMMAND_NONE) {
        return MM_US_NEVER;
    }
    if (is_staged && now < self->trial_until) {
        return self->trial_until;
    }
    if (now < self->retry_at) {
        return self->retry_at;
    }
    if (is_staged && self->acting_status != MM_RESULT_DONE) {
        settle(self, false, now);
    } else if (self->acting_kind == MM_COMMAND_FORMAT) {
        go_on_formatting(self, now);
    } else {
        answer(self, now);
    }
    return self->acting_kind == MM_COMMAND_FORMAT && now >= self->retry_at ? now : MM_US_NEVER;
}
