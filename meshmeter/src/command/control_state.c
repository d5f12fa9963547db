// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "control_internal.h"
#include "meshmeter/result_detail.h"
#include "wire/fields.h"

// The state in the register image's extension: docs/spec/storage.md, 10.

#define STATE_VERSION 2
// Without what follows the meters.
#define STATE_VERSION_1 1
#define ANSWER_BITS 0x3C
_Static_assert(MM_RESULT_COUNT <= ANSWER_BITS / 4, "a status + 1 fits its four bits");
#define STATE_BYTES_MAX (1 + 4 + 4 + 1 + 4 + 4 + 1 + 1 + 4 + 8 + 1 + MM_CHANNELS * (2 + MM_CREDIT_BYTES_MAX) + 4)
_Static_assert(STATE_BYTES_MAX <= MM_METERING_EXTENSION_BYTES_MAX, "the state does not fit the register image");

static const mmi_field_t node_fields[] = {
    MMI_FIELD(mm_control_t, era, 4),
    MMI_FIELD(mm_control_t, counter, 4),
    MMI_BITS(mm_control_t, signed_only, 0x01),
    MMI_BITS(mm_control_t, installation_due, 0x02),
    MMI_BITS_LAST(mm_control_t, acting_answer, ANSWER_BITS),
    MMI_FIELD(mm_control_t, slots.slot, 4),
    MMI_FIELD(mm_control_t, slots.slot_count, 4),
    MMI_FIELD(mm_control_t, locked_channels, 1),
    MMI_FIELD(mm_control_t, acting_kind, 1),
    MMI_FIELD(mm_control_t, acting_counter, 4),
    MMI_FIELD(mm_control_t, acting_command_id, 8),
    MMI_FIELD(mm_control_t, format_channels, 1),
};

static void encode(const mm_control_t *self, mm_writer_t *writer) {
    mm_put_u8(writer, STATE_VERSION);
    mmi_put_fields(writer, MMI_FIELDS(node_fields), self);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        mm_put_u16(writer, (uint16_t)self->pulse_constants[channel]);
        mm_credit_encode(&self->credits[channel], writer);
    }
    mm_put_u32(writer, self->installation_told);
}

static mm_err_t decode(mm_control_t *self, mm_reader_t *reader) {
    uint8_t version = mm_get_u8(reader);
    bool sound = version == STATE_VERSION || version == STATE_VERSION_1;
    mmi_get_fields(reader, MMI_FIELDS(node_fields), self);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        self->pulse_constants[channel] = mm_get_u16(reader);
        sound = mm_credit_decode(&self->credits[channel], reader) == MM_OK && sound;
    }
    self->installation_told = version == STATE_VERSION_1 ? 0 : mm_get_u32(reader);
    return sound && !reader->failed && self->era != 0 && mm_reader_left_bytes(reader) == 0 ? MM_OK : MM_ERR_CORRUPT;
}

static void clear_state(mm_control_t *self, uint32_t era) {
    self->era = era;
    self->counter = 0;
    self->signed_only = false;
    self->slots = (mm_slot_plan_t){0};
    self->locked_channels = 0;
    self->acting_kind = MM_COMMAND_NONE;
    self->acting_counter = 0;
    self->acting_command_id = 0;
    self->acting_answer = 0;
    self->format_channels = 0;
    self->installation_told = 0;
    self->installation_due = false;
    memset(self->pulse_constants, 0, sizeof self->pulse_constants);
    memset(self->credits, 0, sizeof self->credits);
}

static mm_err_t commit(mm_control_t *self, const mm_control_t *draft, const mm_record_t *record,
                       const mm_meter_change_t *change, bool is_replay, mm_us_t now) {
    uint8_t extension[MM_METERING_EXTENSION_BYTES_MAX];
    mm_writer_t writer = mm_writer(extension, sizeof extension);
    encode(draft, &writer);
    MM_ASSERT(!writer.failed);
    const mm_metering_transaction_t transaction = {.extension = extension,
                                                   .extension_bytes = writer.used_bytes,
                                                   .record = record,
                                                   .change = change,
                                                   .is_replay = is_replay};
    mm_err_t err = mm_metering_commit(self->metering, &transaction, now);
    if (err == MM_OK) {
        *self = *draft;
    }
    return err;
}

mm_err_t mmi_control_commit(mm_control_t *self, const mm_control_t *draft, const mm_record_t *record,
                            const mm_meter_change_t *change, mm_us_t now) {
    return commit(self, draft, record, change, false, now);
}

mm_err_t mmi_control_commit_replay(mm_control_t *self, const mm_control_t *draft, const mm_meter_change_t *change,
                                   mm_us_t now) {
    return commit(self, draft, NULL, change, true, now);
}

static mm_record_t event_record(const mm_control_t *self, mm_event_code_t code, mm_us_t now) {
    mm_record_t record = {.type = MM_RECORD_EVENT};
    record.event.code = (uint16_t)code;
    record.event.at = mm_metering_label(self->metering, now);
    record.event.boot_no = self->metering->boot_no;
    return record;
}

mm_err_t mmi_control_commit_event(mm_control_t *self, const mm_control_t *draft, mm_event_code_t code, uint8_t channel,
                                  uint64_t value, mm_us_t now) {
    mm_record_t record = event_record(self, code, now);
    record.event.values[0] = channel;
    record.event.values[1] = value;
    record.event.values[2] = mmi_control_life_pulses(self, channel);
    record.event.values[3] = (uint64_t)mmi_control_told_balance_wh(draft, channel);
    if (code == MM_EVENT_TOKEN_LOCK_OUT) {
        record.event.values[2] = mm_credit_lock_out_s((uint8_t)value);
        record.event.values[3] = 0;
    }
    return mmi_control_commit(self, draft, &record, NULL, now);
}

// Records that are newer than the state, which is that of an older image. Each of them may be there again, carried over
// when the journal made room: what the state has already is passed over.

static void replay_meter(mm_control_t *self, const mm_result_record_t *result, mm_us_t now) {
    mm_archive_detail_t detail;
    if (result->channel >= MM_CHANNELS ||
        mm_archive_detail_read(result->detail, result->detail_bytes, &detail) != MM_OK) {
        return;
    }
    mm_control_t draft = *self;
    // Pulses since then are in the registers already, or in the counters.
    uint64_t life_pulses = mmi_control_life_pulses(self, result->channel);
    uint64_t since_pulses = life_pulses > detail.before.life_pulses ? life_pulses - detail.before.life_pulses : 0;
    mm_meter_change_t change = {.channel = result->channel,
                                .set_life = detail.after.life_pulses != detail.before.life_pulses,
                                .life_pulses = detail.after.life_pulses + since_pulses,
                                .clear_month = result->kind != MM_COMMAND_UPDATE};
    memcpy(change.config.id, detail.after.id, sizeof change.config.id);
    change.config.pulse_constant = detail.after.pulse_constant;
    change.config.start_wh = detail.after.start_wh;
    if (draft.credits[result->channel].prepaid) {
        mm_credit_rebase(&draft.credits[result->channel], detail.before.life_pulses,
                         mmi_control_pulse_constant(self, result->channel), detail.after.life_pulses);
        draft.pulse_constants[result->channel] = detail.after.pulse_constant;
    }
    draft.format_channels &= (uint8_t) ~(1u << result->channel);
    (void)mmi_control_commit_replay(self, &draft, &change, now); // what storage refuses now stays as it is
}

static void replay_orders(mm_control_t *self, const mm_result_record_t *result) {
    mm_command_body_t body;
    unsigned bit = result->channel < MM_CHANNELS ? 1u << result->channel : 0u;
    bool has_body = mm_command_body_read(result->kind, result->detail, result->detail_bytes, &body) == MM_OK;
    if (result->kind == MM_COMMAND_LOCK) {
        self->locked_channels = (uint8_t)(self->locked_channels | bit);
    } else if (result->kind == MM_COMMAND_UNLOCK) {
        self->locked_channels = (uint8_t)(self->locked_channels & ~bit);
    } else if (result->kind == MM_COMMAND_REINSTALL) {
        self->installation_due = true;
    } else if (result->kind == MM_COMMAND_SLOT_PLAN && has_body) {
        self->slots.slot = body.slot_plan.slot;
        self->slots.slot_count = body.slot_plan.slot_count;
    } else if (result->kind == MM_COMMAND_LIMITS && has_body && bit != 0) {
        self->credits[result->channel].limits = (mm_credit_limits_t){body.limits.warning_wh, body.limits.emergency_wh,
                                                                     body.limits.quiet_hours, body.limits.quiet_days};
    }
}

// The original's form takes no counter, so what was carried over could not be told from what is new. Nothing of it is
// done again here; the broker, which still has the message, brings it to a node that has just started.
static bool replay_unsigned(mm_control_t *self, const mm_result_record_t *result) {
    bool ends_acting =
        self->acting_kind == result->kind && self->acting_command_id == 0 && result->status != MM_RESULT_TRYING;
    self->acting_kind = ends_acting ? (uint8_t)MM_COMMAND_NONE : self->acting_kind;
    // Limits are not among the original's commands: these are an installer's, and to set them again does no harm.
    bool is_installers = result->kind == MM_COMMAND_LIMITS && result->status == MM_RESULT_DONE;
    if (is_installers) {
        replay_orders(self, result);
    }
    return ends_acting || is_installers;
}

static bool replay_result(mm_control_t *self, const mm_result_record_t *result, mm_us_t now) {
    if (result->command_id == 0) {
        return replay_unsigned(self, result);
    }
    bool is_new = result->counter > self->counter;
    bool ends_acting = self->acting_kind != MM_COMMAND_NONE && result->command_id == self->acting_command_id;
    bool is_format_step = ends_acting && result->kind == MM_COMMAND_FORMAT && result->status == MM_RESULT_TRYING &&
                          result->channel < MM_CHANNELS && (self->format_channels >> result->channel & 1) != 0;
    if (is_new) {
        self->counter = result->counter;
        self->signed_only = true;
    }
    if (is_new && result->status == MM_RESULT_TRYING) {
        self->acting_kind = result->kind;
        self->acting_counter = result->counter;
        self->acting_command_id = result->command_id;
        self->acting_answer = 0;
        self->format_channels = result->kind == MM_COMMAND_FORMAT ? mmi_control_meters(self) : 0;
    } else if (ends_acting && result->status != MM_RESULT_TRYING) {
        self->acting_kind = MM_COMMAND_NONE;
        self->acting_answer = (uint8_t)(result->status + 1);
        self->format_channels = 0;
    }
    bool changes_meter = result->kind == MM_COMMAND_UPDATE || result->kind == MM_COMMAND_ERASE;
    if (is_format_step || (is_new && changes_meter && result->status == MM_RESULT_DONE)) {
        replay_meter(self, result, now);
    } else if (is_new && result->status == MM_RESULT_DONE) {
        replay_orders(self, result);
    }
    return is_new || ends_acting;
}

static bool replay_credit(mm_control_t *self, const mm_credit_record_t *record) {
    mm_credit_t *credit = &self->credits[record->channel];
    bool is_new = false;
    if (record->command_id != 0) {
        is_new = record->counter > self->counter;
    } else if (record->count != 0) {
        is_new = !mm_token_is_used(&credit->tokens, record->count);
    } else { // an installer's
        is_new = credit->prepaid != (record->movement == MM_MOVEMENT_PREPAID);
    }
    if (!is_new) {
        return false;
    }
    if (record->command_id != 0) {
        self->counter = record->counter;
        self->signed_only = true;
    }
    bool is_prepaid = record->movement != MM_MOVEMENT_POSTPAID;
    bool has_balance = record->movement != MM_MOVEMENT_TOKEN_SYNC && record->movement != MM_MOVEMENT_VOID;
    if (has_balance) {
        mm_credit_set_prepaid(credit, is_prepaid, record->life_pulses);
    }
    if (has_balance && is_prepaid) {
        credit->base_wh = record->balance_wh;
        credit->base_pulses = record->life_pulses;
        credit->base_fraction = 0;
        credit->applied_wh = record->applied_wh;
        credit->emergency_taken = credit->emergency_taken && record->balance_wh <= 0;
        self->pulse_constants[record->channel] = self->metering->options.meters[record->channel].pulse_constant;
    }
    if (record->count != 0) {
        mm_token_use(&credit->tokens, mmi_control_token_type(record->movement), record->count);
        credit->wrong_tokens = record->command_id == 0 ? 0 : credit->wrong_tokens;
    }
    return true;
}

static bool replay_event(mm_control_t *self, const mm_event_record_t *event) {
    if (event->code == MM_EVENT_CREDIT_ERA && self->era == 0) {
        clear_state(self, (uint32_t)event->values[0]);
        return true;
    }
    if (event->values[0] >= MM_CHANNELS) {
        return false;
    }
    mm_credit_t *credit = &self->credits[event->values[0]];
    if (event->code == MM_EVENT_EMERGENCY_TAKEN && credit->prepaid) {
        credit->emergency_taken = true;
    } else if (event->code == MM_EVENT_TOKEN_LOCK_OUT) {
        credit->wrong_tokens = (uint8_t)event->values[1];
    } else {
        return false;
    }
    return true;
}

// Returns whether the state has changed.
static bool replay(mm_control_t *self, mm_us_t now) {
    mm_position_t after = self->metering->replay_after;
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    bool changed = false;
    while (mm_journal_read_after(self->metering->journal, after, &hint, &entry) == MM_OK) {
        after = entry.position;
        mm_record_t record;
        if (mm_record_decode(entry.type, entry.payload, entry.payload_bytes, &record) != MM_OK) {
            continue;
        }
        if (record.type == MM_RECORD_RESULT && record.result.era == self->era) {
            changed = replay_result(self, &record.result, now) || changed;
        } else if (record.type == MM_RECORD_CREDIT && record.credit.era == self->era) {
            changed = replay_credit(self, &record.credit) || changed;
        } else if (record.type == MM_RECORD_INSTALLATION) {
            // A full journal carries older ones over behind newer ones.
            if (record.installation.revision >= self->installation_told) {
                changed = true;
                self->installation_told = record.installation.revision;
                self->installation_due = false;
            }
        } else if (record.type == MM_RECORD_EVENT) {
            changed = replay_event(self, &record.event) || changed;
        }
    }
    return changed;
}

// Balances of meters that have another pulse constant since this start.
static bool adapt_balances(mm_control_t *self) {
    bool changed = false;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint32_t pulse_constant = self->metering->options.meters[channel].pulse_constant;
        if (self->credits[channel].prepaid && self->pulse_constants[channel] != pulse_constant) {
            uint64_t life_pulses = mmi_control_life_pulses(self, channel);
            mm_credit_rebase(&self->credits[channel], life_pulses, self->pulse_constants[channel], life_pulses);
            self->pulse_constants[channel] = pulse_constant;
            changed = true;
        }
    }
    return changed;
}

static bool begin_era(mm_control_t *self, mm_us_t now) {
    mm_control_t draft = *self;
    clear_state(&draft, self->options.new_era);
    bool had_state = self->metering->opened_as == MM_STORE_LOST || self->metering->extension_bytes != 0;
    mm_record_t record = event_record(self, MM_EVENT_CREDIT_ERA, now);
    record.event.values[0] = draft.era;
    record.event.values[1] = had_state ? 1 : 0;
    return mmi_control_commit(self, &draft, &record, NULL, now) == MM_OK;
}

static bool load(mm_control_t *self, mm_us_t now) {
    const mm_metering_t *metering = self->metering;
    mm_reader_t reader = mm_reader(metering->extension, metering->extension_bytes);
    bool found = metering->extension_bytes != 0 && decode(self, &reader) == MM_OK;
    if (!found) {
        clear_state(self, 0);
    }
    // What a lost image had is in the journal, as long as there was an older one.
    bool changed = metering->opened_as != MM_STORE_LOST && replay(self, now);
    if (self->era == 0) {
        return false;
    }
    changed = adapt_balances(self) || changed;
    if (!changed) {
        mm_metering_replayed(self->metering);
    } else if (mmi_control_commit(self, self, NULL, NULL, now) != MM_OK) {
        mmi_control_retry_later(self, now); // the next transaction has it
    }
    return true;
}

void mmi_control_restore(mm_control_t *self, mm_us_t now) {
    const mm_metering_t *metering = self->metering;
    // The state of an older image must not be gone on from without the journal that is ahead of it.
    bool is_blind = metering->opened_as == MM_STORE_FELL_BACK && metering->journal->read_only;
    self->usable = !is_blind && (load(self, now) || begin_era(self, now));
    if (!self->usable) {
        mmi_control_retry_later(self, now);
        return;
    }
    self->tampered = 0;
    self->unconfirmed_channels = self->options.unconfirmed_channels;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint8_t bit = (uint8_t)(1u << channel);
        // What a channel without a meter had last says nothing about the next meter there.
        unsigned reasons = mmi_control_has_meter(self, channel) ? self->credits[channel].relay_reasons : 0u;
        unsigned waits = (reasons & MM_RELAY_NOT_COMMISSIONED) != 0 ? bit : 0u;
        self->unconfirmed_channels = (uint8_t)(self->unconfirmed_channels | waits);
        self->tampered = (uint8_t)(self->tampered | ((reasons & MM_RELAY_TAMPER) != 0 ? bit : 0u));
        self->locked_until[channel] = mm_us_after_s(now, mm_credit_lock_out_s(self->credits[channel].wrong_tokens));
    }
    self->tamper_told = self->tampered;
    self->acting_status = MM_RESULT_FAILED; // of what a restart interrupted
    self->repeats_left = MM_CONTROL_REPEATS_MAX;
    self->repeat_at = mm_us_after_s(now, MM_CONTROL_REPEAT_S);
    self->trial_until = now;
    mmi_control_set_relays(self, now);
}
