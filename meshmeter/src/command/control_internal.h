// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CONTROL_INTERNAL_H
#define MM_CONTROL_INTERNAL_H

#include "meshmeter/command_body.h"
#include "meshmeter/control.h"
#include "meshmeter/record.h"

/// The parts of control: control.c (open, poll, report), control_state.c (image, era, replay), control_commands.c
/// (taking a command), control_meter.c (UPDATE, ERASE, READ_METER), control_credit.c (prepayment, by command and
/// typed), control_acting.c (what the platform does, trials, FORMAT), control_relay.c (reasons and relays),
/// control_install.c (changes of an installer).

/// A command being carried out on a draft of the state: nothing of it counts before it is stored.
typedef struct {
    const mm_command_t *command;
    mm_command_body_t body; ///< valid if judged DONE
    mm_control_t draft;
    mm_record_t record;
    mm_writer_t detail; ///< of the result
    mm_meter_change_t change;
    bool has_change;
    bool is_silent;   ///< the answer comes later
    bool is_unsigned; ///< the original's form
    mm_us_t now;
} mmi_task_t;

/// Changes task->draft and tells how it ends.
typedef mm_result_status_t (*mmi_control_run_fn)(const mm_control_t *self, mmi_task_t *task);

// control_state.c
/// Store the draft, with a record (or NULL) and a meter's change (or NULL), and then it is the state. MM_ERR_STORAGE:
/// nothing happened. MM_ERR_ARG: the change is impossible.
mm_err_t mmi_control_commit(mm_control_t *self, const mm_control_t *draft, const mm_record_t *record,
                            const mm_meter_change_t *change, mm_us_t now);
/// The same, while more is to be redone.
mm_err_t mmi_control_commit_replay(mm_control_t *self, const mm_control_t *draft, const mm_meter_change_t *change,
                                   mm_us_t now);
/// The same with an event of one meter.
mm_err_t mmi_control_commit_event(mm_control_t *self, const mm_control_t *draft, mm_event_code_t code, uint8_t channel,
                                  uint64_t value, mm_us_t now);
/// Find the state, or begin an era. self->usable says whether that succeeded.
void mmi_control_restore(mm_control_t *self, mm_us_t now);

// control.c
bool mmi_control_has_meter(const mm_control_t *self, uint8_t channel);
/// Bit per channel that has one.
uint8_t mmi_control_meters(const mm_control_t *self);
uint64_t mmi_control_life_pulses(const mm_control_t *self, uint8_t channel);
/// Pulse constant that the balance is computed with.
uint32_t mmi_control_pulse_constant(const mm_control_t *self, uint8_t channel);
int64_t mmi_control_balance_wh(const mm_control_t *self, uint8_t channel);
/// 0 for a postpaid meter.
int64_t mmi_control_told_balance_wh(const mm_control_t *self, uint8_t channel);
bool mmi_control_is_low(const mm_control_t *self, uint8_t channel);
/// What was refused is tried again later.
void mmi_control_retry_later(mm_control_t *self, mm_us_t now);
/// Begin a record of a result: all but status and detail.
void mmi_control_begin_result(const mm_control_t *self, uint8_t kind, uint8_t channel, uint32_t counter,
                              uint64_t command_id, mm_us_t now, mm_record_t *record);

// control_commands.c
/// Expiry, channel, body; do it, store it with its answer, act. is_unsigned: the original's form, or an installer's.
/// *status is the answer's; of a movement of credit, which is its own answer, DONE. MM_ERR_BUSY: nothing happened.
mm_err_t mmi_control_carry_out(mm_control_t *self, const mm_command_t *command, bool is_unsigned, mm_us_t now,
                               mm_result_status_t *status);

// control_meter.c
mm_result_status_t mmi_control_run_update(const mm_control_t *self, mmi_task_t *task);
mm_result_status_t mmi_control_run_erase(const mm_control_t *self, mmi_task_t *task);
mm_result_status_t mmi_control_run_read_meter(const mm_control_t *self, mmi_task_t *task);
/// The change that ERASE makes, its archive, and the draft's credit at the new register.
void mmi_control_erase_meter(const mm_control_t *self, mm_control_t *draft, uint8_t channel, mm_meter_change_t *change,
                             mm_writer_t *detail);

// control_credit.c
mm_result_status_t mmi_control_run_credit(const mm_control_t *self, mmi_task_t *task); ///< CREDIT, VOID, ADJUST
/// What a movement makes of a count.
mm_token_type_t mmi_control_token_type(uint8_t movement);
mm_result_status_t mmi_control_run_mode(const mm_control_t *self, mmi_task_t *task);
mm_result_status_t mmi_control_run_limits(const mm_control_t *self, mmi_task_t *task);

// control_acting.c
mm_result_status_t mmi_control_run_action(const mm_control_t *self, mmi_task_t *task); ///< DISPLAY_ON, FIND, OTA_…
mm_result_status_t mmi_control_run_stage(const mm_control_t *self, mmi_task_t *task);  ///< NETWORK, BROKER
mm_result_status_t mmi_control_run_format(const mm_control_t *self, mmi_task_t *task);
/// Stored as being acted on: act.
void mmi_control_act(mm_control_t *self, const mm_command_t *command, mm_us_t now);
/// A command that was taken before has come once more: if the platform (or FORMAT) has carried it out and it is the
/// newest one of those, its answer is journalled again, as seldom as control.h says.
void mmi_control_answer_again(mm_control_t *self, const mm_command_t *command, mm_us_t now);
/// The counter of a command is taken that has no record at all yet: the platform has acted, its answer is not stored.
bool mmi_control_is_unanswered(const mm_control_t *self);
/// Go on with what is being acted on; returns when it is due next.
mm_us_t mmi_control_go_on(mm_control_t *self, mm_us_t now);

// control_relay.c
/// Warnings, reasons and relay of one meter, as they are now.
void mmi_control_follow(mm_control_t *self, uint8_t channel, mm_us_t now);
/// At open: as stored.
void mmi_control_set_relays(mm_control_t *self, mm_us_t now);

#endif
