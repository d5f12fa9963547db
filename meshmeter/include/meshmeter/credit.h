// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CREDIT_H
#define MM_CREDIT_H

#include "meshmeter/base.h"
#include "meshmeter/bytes.h"
#include "meshmeter/token.h"

/// Prepayment of one meter as arithmetic: what it has, what that means for its relay. No storage, no clock, no relay in
/// it: control.h composes it with them.
///
/// The balance is not a number that is counted down. It is what the registers say: credit at a known reading minus what
/// was consumed since. So a pulse costs no write of its own, the balance survives a power cut as exactly as the life
/// register does, and consumed + balance = applied holds by construction.

/// Bounds of a balance and of one credit, in Wh (1 TWh): sums of two cannot overflow.
#define MM_CREDIT_WH_MAX INT64_C(1000000000000)

/// Why a relay is open; each reason is set and cleared by its owner alone (design D6).
typedef enum {
    MM_RELAY_LOCKED = 1,           ///< HQ's command
    MM_RELAY_NO_CREDIT = 2,        ///< prepayment
    MM_RELAY_TAMPER = 4,           ///< the port's contact
    MM_RELAY_NOT_COMMISSIONED = 8, ///< life cycle
} mm_relay_reason_t;
#define MM_RELAY_REASONS_ALL 15

typedef struct {
    uint32_t warning_wh;   ///< at or below this balance the customer is warned; 0 = never
    uint32_t emergency_wh; ///< what can be taken once while the balance is low; 0 = nothing
    uint32_t quiet_hours;  ///< bit per local hour of the day in which supply is not cut
    uint8_t quiet_days;    ///< bit per day of the week (bit 0 = Sunday) on which supply is not cut
} mm_credit_limits_t;

typedef struct {
    bool prepaid;
    uint8_t relay_reasons; ///< as journalled last
    bool warned;
    bool emergency_taken; ///< until a top-up has repaid it
    mm_credit_limits_t limits;
    // balance = base_wh - floor(((life - base_pulses) * 1000 + base_fraction) / pulse_constant)
    int64_t base_wh;
    uint64_t base_pulses;
    uint32_t base_fraction; ///< 1/pulse_constant Wh, below pulse_constant
    int64_t applied_wh;     ///< sum of every credit and adjustment since the meter became prepaid
    mm_token_state_t tokens;
    uint8_t wrong_tokens; ///< in a row
} mm_credit_t;

/// Balance at this life register. pulse_constant 0: base_wh.
int64_t mm_credit_balance_wh(const mm_credit_t *self, uint64_t life_pulses, uint32_t pulse_constant);
/// What was consumed against credit: applied_wh - balance.
int64_t mm_credit_consumed_wh(const mm_credit_t *self, uint64_t life_pulses, uint32_t pulse_constant);
/// Begin or end prepayment at this register. Beginning: balance and sums are zero, tokens stay used. No effect if it is
/// so already.
void mm_credit_set_prepaid(mm_credit_t *self, bool prepaid, uint64_t life_pulses);
/// Add (or with a negative amount take) credit. MM_ERR_ARG: zero, or |amount| or the new balance beyond
/// MM_CREDIT_WH_MAX; MM_ERR_STATE: postpaid; nothing done. A balance that is positive afterwards has repaid the
/// emergency credit.
mm_err_t mm_credit_add(mm_credit_t *self, int64_t amount_wh, uint64_t life_pulses, uint32_t pulse_constant);
/// The customer asks for emergency credit. MM_ERR_STATE: postpaid, taken already, none granted, or the balance is still
/// above the warning threshold.
mm_err_t mm_credit_take_emergency(mm_credit_t *self, uint64_t life_pulses, uint32_t pulse_constant);
/// Whether it would be given now.
bool mm_credit_emergency_is_possible(const mm_credit_t *self, uint64_t life_pulses, uint32_t pulse_constant);
/// The pulse constant, the meter, or its life register changes: what was consumed so far is fixed in Wh, a fraction of
/// a Wh rounded in the customer's favour.
void mm_credit_rebase(mm_credit_t *self, uint64_t life_pulses, uint32_t pulse_constant, uint64_t new_life_pulses);

/// Whether NO_CREDIT holds now. quiet: this hour or day is one in which supply is not cut, and the clock is trusted. A
/// cut that is in force stays until there is credit: quiet hours prevent a cut, they do not end one.
bool mm_credit_is_exhausted(const mm_credit_t *self, uint64_t life_pulses, uint32_t pulse_constant, bool quiet);
/// Whether a warning is due now that was not given.
bool mm_credit_is_low(const mm_credit_t *self, uint64_t life_pulses, uint32_t pulse_constant);
/// Lock-out after `wrong_tokens` wrong ones in a row, in seconds: 0, 60, doubling up to MM_CREDIT_LOCK_OUT_MAX_S.
#define MM_CREDIT_LOCK_OUT_MAX_S 30720
uint32_t mm_credit_lock_out_s(uint8_t wrong_tokens);

/// For the register image (docs/spec/storage.md): at most MM_CREDIT_BYTES_MAX. A meter that never had to do with credit
/// takes one byte. decode: MM_ERR_CORRUPT on bounds or impossible values.
#define MM_CREDIT_BYTES_MAX 64
void mm_credit_encode(const mm_credit_t *self, mm_writer_t *writer);
mm_err_t mm_credit_decode(mm_credit_t *self, mm_reader_t *reader);

#endif
