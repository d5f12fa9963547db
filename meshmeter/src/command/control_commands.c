// SPDX-License-Identifier: Apache-2.0
#include "control_internal.h"

static mm_result_status_t run_lock(const mm_control_t *self, mmi_task_t *task) {
    (void)self;
    uint8_t bit = (uint8_t)(1u << task->command->channel);
    bool locked = task->command->kind == MM_COMMAND_LOCK;
    task->draft.locked_channels =
        (uint8_t)(locked ? task->draft.locked_channels | bit : task->draft.locked_channels & ~bit);
    return MM_RESULT_DONE;
}

static mm_result_status_t run_slot_plan(const mm_control_t *self, mmi_task_t *task) {
    const mm_slot_plan_body_t *plan = &task->body.slot_plan;
    if (plan->slot_count < self->options.slot_count_min) {
        return MM_RESULT_BAD_BODY;
    }
    task->draft.slots.slot = plan->slot;
    task->draft.slots.slot_count = plan->slot_count;
    task->draft.plan_changed = true;
    mm_put_bytes(&task->detail, task->command->body, task->command->body_bytes);
    return MM_RESULT_DONE;
}

static mm_result_status_t run_reboot(const mm_control_t *self, mmi_task_t *task) {
    if (self->actions == NULL || self->actions->reboot == NULL) {
        return MM_RESULT_UNSUPPORTED;
    }
    task->draft.reboot_due = true;
    return MM_RESULT_DONE;
}

static mm_result_status_t run_send_now(const mm_control_t *self, mmi_task_t *task) {
    (void)self;
    task->draft.send_now = true;
    return MM_RESULT_DONE;
}

static mm_result_status_t run_read_log(const mm_control_t *self, mmi_task_t *task) {
    if (self->actions == NULL || self->actions->log_tail == NULL) {
        return MM_RESULT_UNSUPPORTED;
    }
    task->detail.used_bytes =
        self->actions->log_tail(self->actions->context, (char *)task->detail.data, task->detail.capacity_bytes);
    MM_ASSERT(task->detail.used_bytes <= task->detail.capacity_bytes);
    return MM_RESULT_DONE;
}

static mm_result_status_t run_confirm(const mm_control_t *self, mmi_task_t *task) {
    const mm_commissioning_t *commissioning = self->commissioning;
    if (commissioning == NULL) {
        return MM_RESULT_UNSUPPORTED;
    }
    return commissioning->confirm(commissioning->context, task->body.confirm.revision, task->now);
}

static mm_result_status_t run_reinstall(const mm_control_t *self, mmi_task_t *task) {
    const mm_commissioning_t *commissioning = self->commissioning;
    if (commissioning == NULL) {
        return MM_RESULT_UNSUPPORTED;
    }
    task->draft.installation_due = true;
    return commissioning->reinstall(commissioning->context, task->now);
}

static mm_result_status_t run_admit(const mm_control_t *self, mmi_task_t *task) {
    const mm_commissioning_t *commissioning = self->commissioning;
    if (commissioning == NULL || commissioning->admit == NULL) {
        return MM_RESULT_UNSUPPORTED;
    }
    return commissioning->admit(commissioning->admit_context, &task->body.admit, task->now);
}

static mmi_control_run_fn runner_of(uint8_t kind) {
    static const mmi_control_run_fn runners[MM_COMMAND_KIND_COUNT] = {
        [MM_COMMAND_LOCK] = run_lock,
        [MM_COMMAND_UNLOCK] = run_lock,
        [MM_COMMAND_UPDATE] = mmi_control_run_update,
        [MM_COMMAND_ERASE] = mmi_control_run_erase,
        [MM_COMMAND_FORMAT] = mmi_control_run_format,
        [MM_COMMAND_NETWORK] = mmi_control_run_stage,
        [MM_COMMAND_BROKER] = mmi_control_run_stage,
        [MM_COMMAND_SLOT_PLAN] = run_slot_plan,
        [MM_COMMAND_DISPLAY_ON] = mmi_control_run_action,
        [MM_COMMAND_FIND] = mmi_control_run_action,
        [MM_COMMAND_REBOOT] = run_reboot,
        [MM_COMMAND_SEND_NOW] = run_send_now,
        [MM_COMMAND_READ_METER] = mmi_control_run_read_meter,
        [MM_COMMAND_READ_LOG] = run_read_log,
        [MM_COMMAND_OTA_URL] = mmi_control_run_action,
        [MM_COMMAND_OTA_START] = mmi_control_run_action,
        [MM_COMMAND_CREDIT] = mmi_control_run_credit,
        [MM_COMMAND_VOID] = mmi_control_run_credit,
        [MM_COMMAND_LIMITS] = mmi_control_run_limits,
        [MM_COMMAND_MODE] = mmi_control_run_mode,
        [MM_COMMAND_ADJUST] = mmi_control_run_credit,
        [MM_COMMAND_CONFIRM] = run_confirm,
        [MM_COMMAND_REINSTALL] = run_reinstall,
        [MM_COMMAND_ADMIT] = run_admit,
    };
    return kind < MM_COMMAND_KIND_COUNT ? runners[kind] : NULL;
}

// What proves nothing, or is not for this node now, changes nothing.
static mm_err_t admit(mm_control_t *self, const void *bytes, size_t bytes_count, mm_command_t *command) {
    if (mm_command_read(bytes, bytes_count, command) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_COMMAND_CORRUPT);
        return MM_ERR_CORRUPT;
    }
    if (!mm_mac_equal(command->node, self->options.mac) || command->era != self->era) {
        mm_counters_count(self->counters, MM_COUNTER_COMMAND_FOREIGN);
        return MM_ERR_ARG;
    }
    mm_err_t err = mm_command_verify(bytes, bytes_count, self->crypto);
    if (err != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_COMMAND_FORGED);
    }
    return err;
}

// Expiry, channel, body.
static mm_result_status_t judge(const mm_control_t *self, mmi_task_t *task, mm_time_t time) {
    const mm_command_t *command = task->command;
    if (command->not_after_s != 0 && mm_us_whole_s(time.utc.us) > (int64_t)command->not_after_s) {
        return MM_RESULT_EXPIRED;
    }
    if (runner_of(command->kind) == NULL) {
        return MM_RESULT_UNSUPPORTED;
    }
    bool for_meter = mm_command_is_for_meter(command->kind);
    bool is_meter = command->channel < MM_CHANNELS &&
                    (mmi_control_has_meter(self, command->channel) || command->kind == MM_COMMAND_UPDATE);
    if (for_meter ? !is_meter : command->channel != MM_COMMAND_WHOLE_NODE) {
        return MM_RESULT_BAD_CHANNEL;
    }
    bool is_good = mm_command_body_read(command->kind, command->body, command->body_bytes, &task->body) == MM_OK;
    return is_good ? MM_RESULT_DONE : MM_RESULT_BAD_BODY;
}

static void begin_task(const mm_control_t *self, mmi_task_t *task) {
    const mm_command_t *command = task->command;
    task->draft = *self;
    task->draft.counter = command->counter;
    task->draft.signed_only = self->signed_only || !task->is_unsigned;
    mmi_control_begin_result(self, command->kind, command->channel, command->counter, command->id, task->now,
                             &task->record);
    task->detail = mm_writer(task->record.result.detail, sizeof task->record.result.detail);
    task->has_change = false;
    task->is_silent = false;
}

static mm_err_t store(mm_control_t *self, mmi_task_t *task, mm_result_status_t status) {
    if (task->record.type == MM_RECORD_RESULT) {
        MM_ASSERT(!task->detail.failed);
        task->record.result.status = (uint8_t)status;
        task->record.result.detail_bytes = (uint8_t)task->detail.used_bytes;
    }
    task->draft.done_count = self->done_count + 1;
    task->draft.done_kind = task->command->kind;
    task->draft.done_channel = task->command->channel;
    task->draft.done_status = (uint8_t)status;
    return mmi_control_commit(self, &task->draft, task->is_silent ? NULL : &task->record,
                              task->has_change ? &task->change : NULL, task->now);
}

// Apart: a task is large, and what follows it goes deep.
static MM_APART mm_err_t do_and_store(mm_control_t *self, const mm_command_t *command, bool is_unsigned, mm_us_t now,
                                      mm_result_status_t *status) {
    mmi_task_t task = {.command = command, .now = now, .is_unsigned = is_unsigned};
    begin_task(self, &task);
    *status = judge(self, &task, mm_metering_time(self->metering, now));
    if (*status == MM_RESULT_DONE) {
        *status = runner_of(command->kind)(self, &task);
    }
    if (*status != MM_RESULT_DONE && *status != MM_RESULT_TRYING) { // refused
        begin_task(self, &task);
    }
    mm_err_t err = store(self, &task, *status);
    if (err == MM_ERR_ARG) { // another meter has this id
        begin_task(self, &task);
        *status = MM_RESULT_BAD_BODY;
        err = store(self, &task, *status);
    }
    return err;
}

mm_err_t mmi_control_carry_out(mm_control_t *self, const mm_command_t *command, bool is_unsigned, mm_us_t now,
                               mm_result_status_t *status) {
    bool was_acting = self->acting_kind != MM_COMMAND_NONE;
    if (do_and_store(self, command, is_unsigned, now, status) != MM_OK) {
        return MM_ERR_BUSY;
    }
    if (!was_acting && self->acting_kind != MM_COMMAND_NONE) {
        mmi_control_act(self, command, now);
    }
    mmi_control_follow(self, command->channel, now);
    return MM_OK;
}

mm_err_t mm_control_take(mm_control_t *self, const void *bytes, size_t bytes_count, mm_us_t now) {
    if (!self->usable) {
        return MM_ERR_BUSY;
    }
    mm_command_t command;
    mm_err_t err = admit(self, bytes, bytes_count, &command);
    if (err != MM_OK) {
        return err;
    }
    if (command.counter <= self->counter) {
        mm_counters_count(self->counters, MM_COUNTER_COMMAND_REPEATED);
        mmi_control_answer_again(self, &command, now);
        return MM_OK;
    }
    // Were a later counter told before the answer to this one is stored, HQ would take it for passed over and send it
    // once more.
    if (mmi_control_is_unanswered(self)) {
        return MM_ERR_BUSY;
    }
    mm_time_t time = mm_metering_time(self->metering, now);
    if (command.not_after_s != 0 && time.trust == MM_TRUST_UNSET) {
        mm_counters_count(self->counters, MM_COUNTER_COMMAND_WAITING);
        return MM_ERR_BUSY;
    }
    if (mm_metering_prepare(self->metering, now) != MM_OK) {
        return MM_ERR_BUSY;
    }
    mm_result_status_t status;
    return mmi_control_carry_out(self, &command, false, now, &status);
}
