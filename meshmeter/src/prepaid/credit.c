// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/credit.h"

#include <string.h>

#include "meshmeter/limits.h"
#include "wire/fields.h"

#define LOCK_OUT_FIRST_S 60
#define LOCK_OUT_DOUBLINGS_MAX 9

// More than any register holds in a century of full load, and far enough from the ends of an int64_t.
#define SUM_WH_MAX INT64_C(1000000000000000000)
#define CONSUMED_KWH_MAX UINT64_C(1000000000000)

#define QUIET_HOURS_ALL 0xFFFFFF
#define QUIET_DAYS_ALL 0x7F

// The first byte of the encoding. The low four bits are the reasons.
#define FLAG_PREPAID 0x10
#define FLAG_WARNED 0x20
#define FLAG_EMERGENCY_TAKEN 0x40
#define FLAG_MORE 0x80

static MM_APART bool is_within(int64_t value, int64_t bound) {
    return value >= -bound && value <= bound;
}

/// Wh since the base, and the fraction of one that is left.
static MM_APART uint64_t consumed_since_base(const mm_credit_t *self, uint64_t life_pulses, uint32_t pulse_constant,
                                             uint32_t *fraction) {
    // A register behind the base: it was restored to an older state. Nothing was consumed that can be proved.
    uint64_t pulses = life_pulses > self->base_pulses ? life_pulses - self->base_pulses : 0;
    uint64_t kwh = pulses / pulse_constant;
    uint64_t rest = pulses % pulse_constant * 1000 + self->base_fraction;
    *fraction = (uint32_t)(rest % pulse_constant);
    return (kwh < CONSUMED_KWH_MAX ? kwh : CONSUMED_KWH_MAX) * 1000 + rest / pulse_constant;
}

int64_t mm_credit_balance_wh(const mm_credit_t *self, uint64_t life_pulses, uint32_t pulse_constant) {
    if (pulse_constant == 0) {
        return self->base_wh;
    }
    uint32_t fraction;
    int64_t consumed_wh = (int64_t)consumed_since_base(self, life_pulses, pulse_constant, &fraction);
    int64_t balance_wh = self->base_wh - consumed_wh;
    return balance_wh < -MM_CREDIT_WH_MAX ? -MM_CREDIT_WH_MAX : balance_wh;
}

int64_t mm_credit_consumed_wh(const mm_credit_t *self, uint64_t life_pulses, uint32_t pulse_constant) {
    return self->applied_wh - mm_credit_balance_wh(self, life_pulses, pulse_constant);
}

void mm_credit_set_prepaid(mm_credit_t *self, bool prepaid, uint64_t life_pulses) {
    if (self->prepaid == prepaid) {
        return;
    }
    self->prepaid = prepaid;
    self->warned = false;
    self->emergency_taken = false;
    if (prepaid) {
        self->base_wh = 0;
        self->base_pulses = life_pulses;
        self->base_fraction = 0;
        self->applied_wh = 0;
    }
}

mm_err_t mm_credit_add(mm_credit_t *self, int64_t amount_wh, uint64_t life_pulses, uint32_t pulse_constant) {
    if (!self->prepaid) {
        return MM_ERR_STATE;
    }
    if (amount_wh == 0 || !is_within(amount_wh, MM_CREDIT_WH_MAX)) {
        return MM_ERR_ARG;
    }
    int64_t balance_wh = mm_credit_balance_wh(self, life_pulses, pulse_constant) + amount_wh;
    int64_t applied_wh = self->applied_wh + amount_wh;
    if (!is_within(balance_wh, MM_CREDIT_WH_MAX) || !is_within(applied_wh, SUM_WH_MAX)) {
        return MM_ERR_ARG;
    }
    // The base moves to this reading, with its fraction: exact, and the base stays within the bounds of a balance.
    if (pulse_constant != 0) {
        uint32_t fraction;
        (void)consumed_since_base(self, life_pulses, pulse_constant, &fraction);
        self->base_pulses = life_pulses > self->base_pulses ? life_pulses : self->base_pulses;
        self->base_fraction = fraction;
    }
    self->base_wh = balance_wh;
    self->applied_wh = applied_wh;
    self->emergency_taken = self->emergency_taken && balance_wh <= 0;
    self->warned = self->warned && balance_wh <= (int64_t)self->limits.warning_wh;
    return MM_OK;
}

bool mm_credit_emergency_is_possible(const mm_credit_t *self, uint64_t life_pulses, uint32_t pulse_constant) {
    return self->prepaid && !self->emergency_taken && self->limits.emergency_wh > 0 &&
           mm_credit_balance_wh(self, life_pulses, pulse_constant) <= (int64_t)self->limits.warning_wh;
}

mm_err_t mm_credit_take_emergency(mm_credit_t *self, uint64_t life_pulses, uint32_t pulse_constant) {
    if (!mm_credit_emergency_is_possible(self, life_pulses, pulse_constant)) {
        return MM_ERR_STATE;
    }
    self->emergency_taken = true;
    return MM_OK;
}

void mm_credit_rebase(mm_credit_t *self, uint64_t life_pulses, uint32_t pulse_constant, uint64_t new_life_pulses) {
    self->base_wh = mm_credit_balance_wh(self, life_pulses, pulse_constant);
    self->base_pulses = new_life_pulses;
    self->base_fraction = 0;
}

bool mm_credit_is_exhausted(const mm_credit_t *self, uint64_t life_pulses, uint32_t pulse_constant, bool quiet) {
    if (!self->prepaid) {
        return false;
    }
    int64_t lowest_wh = self->emergency_taken ? -(int64_t)self->limits.emergency_wh : 0;
    bool is_used_up = mm_credit_balance_wh(self, life_pulses, pulse_constant) <= lowest_wh;
    bool is_cut = (self->relay_reasons & MM_RELAY_NO_CREDIT) != 0;
    return is_used_up && (is_cut || !quiet);
}

bool mm_credit_is_low(const mm_credit_t *self, uint64_t life_pulses, uint32_t pulse_constant) {
    return self->prepaid && !self->warned && self->limits.warning_wh != 0 &&
           mm_credit_balance_wh(self, life_pulses, pulse_constant) <= (int64_t)self->limits.warning_wh;
}

uint32_t mm_credit_lock_out_s(uint8_t wrong_tokens) {
    if (wrong_tokens == 0) {
        return 0;
    }
    unsigned doublings = wrong_tokens - 1u;
    return (uint32_t)LOCK_OUT_FIRST_S << (doublings < LOCK_OUT_DOUBLINGS_MAX ? doublings : LOCK_OUT_DOUBLINGS_MAX);
}

static bool is_possible(const mm_credit_t *self) {
    return self->relay_reasons <= MM_RELAY_REASONS_ALL && self->limits.quiet_hours <= QUIET_HOURS_ALL &&
           self->limits.quiet_days <= QUIET_DAYS_ALL && is_within(self->base_wh, MM_CREDIT_WH_MAX) &&
           self->base_fraction < MM_PULSE_CONSTANT_MAX && is_within(self->applied_wh, SUM_WH_MAX);
}

static bool has_more(const mm_credit_t *self) {
    const mm_credit_limits_t *limits = &self->limits;
    return limits->warning_wh != 0 || limits->emergency_wh != 0 || limits->quiet_hours != 0 ||
           limits->quiet_days != 0 || self->base_wh != 0 || self->base_pulses != 0 || self->base_fraction != 0 ||
           self->applied_wh != 0 || self->tokens.count != 0 || self->tokens.older != 0 || self->wrong_tokens != 0;
}

static const mmi_field_t more_fields[] = {
    MMI_FIELD(mm_credit_t, limits.warning_wh, MMI_FIELD_VARINT),
    MMI_FIELD(mm_credit_t, limits.emergency_wh, MMI_FIELD_VARINT),
    MMI_FIELD(mm_credit_t, limits.quiet_hours, MMI_FIELD_VARINT),
    MMI_FIELD(mm_credit_t, limits.quiet_days, 1),
    MMI_FIELD(mm_credit_t, base_wh, MMI_FIELD_SIGNED),
    MMI_FIELD(mm_credit_t, base_pulses, MMI_FIELD_VARINT),
    MMI_FIELD(mm_credit_t, base_fraction, MMI_FIELD_VARINT),
    MMI_FIELD(mm_credit_t, applied_wh, MMI_FIELD_SIGNED),
    MMI_FIELD(mm_credit_t, tokens.count, MMI_FIELD_VARINT),
    MMI_FIELD(mm_credit_t, tokens.older, 8),
    MMI_FIELD(mm_credit_t, wrong_tokens, 1),
};

void mm_credit_encode(const mm_credit_t *self, mm_writer_t *writer) {
    MM_ASSERT(is_possible(self));
    bool more = has_more(self);
    mm_put_u8(writer,
              (uint8_t)(self->relay_reasons | (self->prepaid ? FLAG_PREPAID : 0) | (self->warned ? FLAG_WARNED : 0) |
                        (self->emergency_taken ? FLAG_EMERGENCY_TAKEN : 0) | (more ? FLAG_MORE : 0)));
    if (more) {
        mmi_put_fields(writer, MMI_FIELDS(more_fields), self);
    }
}

mm_err_t mm_credit_decode(mm_credit_t *self, mm_reader_t *reader) {
    memset(self, 0, sizeof *self);
    uint8_t flags = mm_get_u8(reader);
    self->relay_reasons = flags & MM_RELAY_REASONS_ALL;
    self->prepaid = (flags & FLAG_PREPAID) != 0;
    self->warned = (flags & FLAG_WARNED) != 0;
    self->emergency_taken = (flags & FLAG_EMERGENCY_TAKEN) != 0;
    bool more = (flags & FLAG_MORE) != 0;
    if (more) {
        mmi_get_fields(reader, MMI_FIELDS(more_fields), self);
    }
    bool is_good = !reader->failed && is_possible(self) && more == has_more(self);
    if (!is_good) {
        memset(self, 0, sizeof *self);
    }
    return is_good ? MM_OK : MM_ERR_CORRUPT;
}
