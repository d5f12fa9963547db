// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "control_internal.h"

// Counts further back than this are not remembered (token.h).
#define COUNTS_REMEMBERED 64

mm_token_type_t mmi_control_token_type(uint8_t movement) {
    switch (movement) {
    case MM_MOVEMENT_TOKEN_SET:
        return MM_TOKEN_SET;
    case MM_MOVEMENT_POSTPAID:
        return MM_TOKEN_DISABLE;
    case MM_MOVEMENT_TOKEN_SYNC:
        return MM_TOKEN_COUNTER_SYNC;
    default:
        return MM_TOKEN_ADD;
    }
}

// A movement of the draft's credit, as its record.
static void begin_movement(const mm_control_t *draft, uint8_t channel, mm_movement_t movement, int64_t amount_wh,
                           mm_us_t now, mm_record_t *record) {
    memset(record, 0, sizeof *record);
    record->type = MM_RECORD_CREDIT;
    mm_credit_record_t *credit = &record->credit;
    credit->channel = channel;
    credit->movement = (uint8_t)movement;
    credit->era = draft->era;
    credit->counter = draft->counter;
    credit->amount_wh = amount_wh;
    credit->balance_wh = mmi_control_told_balance_wh(draft, channel);
    credit->applied_wh = draft->credits[channel].applied_wh;
    credit->life_pulses = mmi_control_life_pulses(draft, channel);
    credit->at = mm_metering_label(draft->metering, now);
}

// End prepayment; what was left goes out of the books.
static void end_prepayment(mm_control_t *draft, uint8_t channel, mm_us_t now, mm_record_t *record) {
    mm_credit_t *credit = &draft->credits[channel];
    int64_t left_wh = mmi_control_balance_wh(draft, channel);
    credit->applied_wh -= left_wh;
    mm_credit_set_prepaid(credit, false, mmi_control_life_pulses(draft, channel));
    begin_movement(draft, channel, MM_MOVEMENT_POSTPAID, -left_wh, now, record);
}

mm_result_status_t mmi_control_run_credit(const mm_control_t *self, mmi_task_t *task) {
    const mm_credit_body_t *body = &task->body.credit;
    uint8_t channel = task->command->channel;
    uint8_t kind = task->command->kind;
    mm_credit_t *credit = &task->draft.credits[channel];
    if (body->count > MM_TOKEN_COUNT_MAX) {
        return MM_RESULT_BAD_BODY;
    }
    if (mm_token_is_used(&credit->tokens, body->count)) {
        return credit->tokens.count - body->count > COUNTS_REMEMBERED ? MM_RESULT_TOO_OLD : MM_RESULT_ALREADY;
    }
    mm_movement_t movement = MM_MOVEMENT_VOID;
    if (kind != MM_COMMAND_VOID) {
        movement = kind == MM_COMMAND_CREDIT ? MM_MOVEMENT_NETWORK : MM_MOVEMENT_ADJUST;
        mm_err_t err = mm_credit_add(credit, body->amount_wh, mmi_control_life_pulses(self, channel),
                                     mmi_control_pulse_constant(self, channel));
        if (err != MM_OK) {
            return err == MM_ERR_STATE ? MM_RESULT_STATE : MM_RESULT_OVERFLOW; // zero is refused with the body
        }
    }
    mm_token_use(&credit->tokens, MM_TOKEN_ADD, body->count);
    begin_movement(&task->draft, channel, movement, body->amount_wh, task->now, &task->record);
    task->record.credit.command_id = task->command->id;
    task->record.credit.purchase_id = body->purchase_id;
    task->record.credit.count = body->count;
    return MM_RESULT_DONE;
}

mm_result_status_t mmi_control_run_mode(const mm_control_t *self, mmi_task_t *task) {
    uint8_t channel = task->command->channel;
    bool prepaid = task->body.mode.prepaid;
    const mm_mode_body_t *body = &task->body.mode;
    mm_token_state_t *tokens = &task->draft.credits[channel].tokens;
    if (self->credits[channel].prepaid == prepaid) {
        return MM_RESULT_DONE; // it is so already
    }
    if (body->has_count) {
        if (body->count <= tokens->count) {
            return MM_RESULT_STATE; // it was not decided on for what was taken since, or it was carried out before
        }
        mm_token_use(tokens, MM_TOKEN_DISABLE, body->count);
    }
    if (prepaid) {
        task->draft.pulse_constants[channel] = self->metering->options.meters[channel].pulse_constant;
        mm_credit_set_prepaid(&task->draft.credits[channel], true, mmi_control_life_pulses(self, channel));
        begin_movement(&task->draft, channel, MM_MOVEMENT_PREPAID, 0, task->now, &task->record);
    } else {
        end_prepayment(&task->draft, channel, task->now, &task->record);
    }
    task->record.credit.command_id = task->command->id;
    task->record.credit.count = body->count;
    return MM_RESULT_DONE;
}

mm_result_status_t mmi_control_run_limits(const mm_control_t *self, mmi_task_t *task) {
    uint8_t channel = task->command->channel;
    const mm_limits_body_t *body = &task->body.limits;
    mm_credit_t *credit = &task->draft.credits[channel];
    credit->limits = (mm_credit_limits_t){body->warning_wh, body->emergency_wh, body->quiet_hours, body->quiet_days};
    credit->warned = credit->warned && mmi_control_balance_wh(self, channel) <= (int64_t)body->warning_wh;
    mm_put_bytes(&task->detail, task->command->body, task->command->body_bytes);
    return MM_RESULT_DONE;
}

// Typed tokens.

static mm_typed_answer_t lock_out(mm_control_t *self, uint8_t channel, mm_us_t now) {
    mm_counters_count(self->counters, MM_COUNTER_TOKEN_WRONG);
    mm_control_t draft = *self;
    mm_credit_t *credit = &draft.credits[channel];
    credit->wrong_tokens = (uint8_t)(credit->wrong_tokens + (credit->wrong_tokens < UINT8_MAX ? 1 : 0));
    draft.locked_until[channel] = mm_us_after_s(now, mm_credit_lock_out_s(credit->wrong_tokens));
    if (mmi_control_commit_event(self, &draft, MM_EVENT_TOKEN_LOCK_OUT, channel, credit->wrong_tokens, now) != MM_OK) {
        *self = draft; // no storage is no free try
    }
    return (mm_typed_answer_t){.verdict = MM_TYPED_WRONG,
                               .wait_s = mm_us_seconds_until(self->locked_until[channel], now),
                               .balance_wh = mmi_control_told_balance_wh(self, channel)};
}

static bool add_typed(mm_control_t *draft, uint8_t channel, int64_t amount_wh) {
    return mm_credit_add(&draft->credits[channel], amount_wh, mmi_control_life_pulses(draft, channel),
                         mmi_control_pulse_constant(draft, channel)) == MM_OK;
}

// False: not with this meter.
static bool move_typed(mm_control_t *draft, uint8_t channel, const mm_token_t *token, mm_record_t *record,
                       mm_us_t now) {
    const mm_credit_t *credit = &draft->credits[channel];
    int64_t value_wh = (int64_t)token->value * draft->options.token_unit_wh;
    mm_movement_t movement = MM_MOVEMENT_TOKEN_ADD;
    switch (token->type) {
    case MM_TOKEN_ADD:
        if (!add_typed(draft, channel, value_wh)) {
            return false;
        }
        break;
    case MM_TOKEN_SET:
        movement = MM_MOVEMENT_TOKEN_SET;
        value_wh -= mmi_control_balance_wh(draft, channel);
        if (!credit->prepaid || (value_wh != 0 && !add_typed(draft, channel, value_wh))) {
            return false;
        }
        break;
    case MM_TOKEN_DISABLE:
        if (credit->prepaid) {
            end_prepayment(draft, channel, now, record);
            return true;
        }
        return false;
    case MM_TOKEN_COUNTER_SYNC:
    default:
        movement = MM_MOVEMENT_TOKEN_SYNC;
        value_wh = 0;
        break;
    }
    begin_movement(draft, channel, movement, value_wh, now, record);
    return true;
}

// Apart, as book_emergency: drafts are large, and what follows goes deep.
static MM_APART mm_typed_verdict_t book_token(mm_control_t *self, uint8_t channel, const mm_token_t *token, mm_us_t now,
                                              int64_t *credit_wh) {
    mm_control_t draft = *self;
    mm_record_t record;
    if (!move_typed(&draft, channel, token, &record, now)) {
        return MM_TYPED_REFUSED;
    }
    record.credit.count = token->count;
    mm_token_use(&draft.credits[channel].tokens, token->type, token->count);
    draft.credits[channel].wrong_tokens = 0;
    if (mmi_control_commit(self, &draft, &record, NULL, now) != MM_OK) {
        return MM_TYPED_STORAGE;
    }
    *credit_wh = record.credit.amount_wh;
    return MM_TYPED_ACCEPTED;
}

static mm_typed_answer_t take_token(mm_control_t *self, uint8_t channel, const mm_token_t *token, mm_us_t now) {
    mm_typed_answer_t answer = {0};
    answer.verdict = book_token(self, channel, token, now, &answer.credit_wh);
    if (answer.verdict == MM_TYPED_ACCEPTED) {
        mmi_control_follow(self, channel, now);
    }
    answer.balance_wh = mmi_control_told_balance_wh(self, channel);
    return answer;
}

mm_typed_answer_t mm_control_type_token(mm_control_t *self, uint8_t channel, const char *digits, mm_us_t now) {
    if (!mmi_control_has_meter(self, channel)) {
        return (mm_typed_answer_t){.verdict = MM_TYPED_NO_METER};
    }
    if (!self->usable || mm_metering_prepare(self->metering, now) != MM_OK) {
        return (mm_typed_answer_t){.verdict = MM_TYPED_STORAGE};
    }
    mm_typed_answer_t answer = {.verdict = MM_TYPED_NO_KEY, .balance_wh = mmi_control_told_balance_wh(self, channel)};
    mm_token_series_t series;
    if (mm_control_token_series(self->crypto, self->era, channel, &series) != MM_OK) {
        return answer;
    }
    if (now < self->locked_until[channel]) {
        answer.verdict = MM_TYPED_LOCKED_OUT;
        answer.wait_s = mm_us_seconds_until(self->locked_until[channel], now);
        return answer;
    }
    mm_token_t token;
    switch (mm_token_judge(&series, &self->credits[channel].tokens, digits, &token)) {
    case MM_TOKEN_GOOD:
        return take_token(self, channel, &token, now);
    case MM_TOKEN_USED:
        mm_counters_count(self->counters, MM_COUNTER_TOKEN_REPEATED);
        answer.verdict = MM_TYPED_USED;
        return answer;
    case MM_TOKEN_WRONG:
        return lock_out(self, channel, now);
    case MM_TOKEN_NO_FORM:
    default:
        answer.verdict = MM_TYPED_NO_FORM;
        return answer;
    }
}

static MM_APART mm_err_t book_emergency(mm_control_t *self, uint8_t channel, mm_us_t now) {
    mm_control_t draft = *self;
    mm_credit_t *credit = &draft.credits[channel];
    if (mm_credit_take_emergency(credit, mmi_control_life_pulses(self, channel),
                                 mmi_control_pulse_constant(self, channel)) != MM_OK) {
        return MM_ERR_STATE;
    }
    return mmi_control_commit_event(self, &draft, MM_EVENT_EMERGENCY_TAKEN, channel, credit->limits.emergency_wh, now);
}

mm_err_t mm_control_take_emergency(mm_control_t *self, uint8_t channel, mm_us_t now) {
    if (!mmi_control_has_meter(self, channel)) {
        return MM_ERR_ARG;
    }
    if (!self->usable || mm_metering_prepare(self->metering, now) != MM_OK) {
        return MM_ERR_STORAGE;
    }
    mm_err_t err = book_emergency(self, channel, now);
    if (err == MM_OK) {
        mmi_control_follow(self, channel, now);
    }
    return err;
}
