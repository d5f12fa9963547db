// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/token.h"

// How tokens are made: docs/spec/tokens.md. In short: the last digits of the starting code (the base) plus the value
// are the last digits of every code of a chain; the next code is a hash of the present one; a token is the code of its
// count, with the last digits put in again.

#define STARTING_CODES 1000000000
#define VALUES_SHORT 1000
#define VALUES_EXTENDED 1000000
#define VALUE_DISABLE 998
#define VALUE_COUNTER_SYNC 999
#define DIGITS_SHORT 9
#define DIGITS_EXTENDED 12
#define DIGITS_SHORT_RESTRICTED 15
#define DIGITS_EXTENDED_RESTRICTED 20
#define OLDER_BITS 64

// Codes are below 10^9 or 10^12. What hashes have beyond is folded back, by constants that the rules give.
static MM_APART uint32_t folded_short(uint64_t hash) {
    uint32_t folded = ((uint32_t)(hash >> 32) ^ (uint32_t)hash) >> 2;
    return folded > 999999999 ? folded - 73741825 : folded;
}

static uint64_t next_short(const uint8_t key[MM_TOKEN_KEY_BYTES], uint64_t code) {
    uint8_t message[8];
    for (unsigned index = 0; index < 8; index++) {
        message[index] = (uint8_t)(code >> (24 - 8 * (index % 4)));
    }
    return folded_short(mm_siphash24(key, message, sizeof message));
}

static uint64_t next_extended(const uint8_t key[MM_TOKEN_KEY_BYTES], uint64_t code) {
    uint8_t message[8];
    for (unsigned index = 0; index < 8; index++) {
        message[index] = (uint8_t)(code >> (56 - 8 * index));
    }
    uint64_t folded = mm_siphash24(key, message, sizeof message) >> 24;
    return folded > UINT64_C(999999999999) ? folded - UINT64_C(99511627777) : folded;
}

uint32_t mm_token_starting_code(const uint8_t key[MM_TOKEN_KEY_BYTES]) {
    return folded_short(mm_siphash24(key, key, MM_TOKEN_KEY_BYTES));
}

/// The codes of one value, count by count.
typedef struct {
    const mm_token_series_t *series;
    bool extended;
    uint32_t values; ///< 10 to the power of the digits that carry the value
    uint32_t base;   ///< those digits
    uint64_t code;
} chain_t;

static chain_t chain_of(const mm_token_series_t *series, bool extended, uint32_t base) {
    uint32_t values = extended ? VALUES_EXTENDED : VALUES_SHORT;
    uint64_t code = series->starting_code - series->starting_code % values + base;
    return (chain_t){.series = series, .extended = extended, .values = values, .base = base, .code = code};
}

static void move_on(chain_t *chain) {
    const uint8_t *key = chain->series->key;
    chain->code = chain->extended ? next_extended(key, chain->code) : next_short(key, chain->code);
}

static MM_APART uint64_t token_here(const chain_t *chain) {
    return chain->code - chain->code % chain->values + chain->base;
}

static bool is_even(uint32_t count) {
    return count % 2 == 0;
}

/// What a value means at a count. False: nothing; no such token is made.
static bool meaning_of(uint32_t value, uint32_t count, bool extended, mm_token_type_t *type) {
    if (count == 0) {
        return false;
    }
    if (is_even(count)) {
        *type = MM_TOKEN_ADD;
        return extended || value <= MM_TOKEN_VALUE_MAX;
    }
    if (value == VALUE_DISABLE || value == VALUE_COUNTER_SYNC) {
        *type = value == VALUE_DISABLE ? MM_TOKEN_DISABLE : MM_TOKEN_COUNTER_SYNC;
        return true;
    }
    *type = MM_TOKEN_SET;
    return extended || value <= MM_TOKEN_VALUE_MAX;
}

static uint32_t value_of(const mm_token_t *token) {
    if (token->type == MM_TOKEN_DISABLE) {
        return VALUE_DISABLE;
    }
    return token->type == MM_TOKEN_COUNTER_SYNC ? VALUE_COUNTER_SYNC : token->value;
}

static void write_digits(uint64_t code, bool extended, bool restricted_digits, char *text) {
    unsigned digits_count = restricted_digits ? (extended ? DIGITS_EXTENDED_RESTRICTED : DIGITS_SHORT_RESTRICTED)
                                              : (extended ? DIGITS_EXTENDED : DIGITS_SHORT);
    text[digits_count] = '\0';
    for (unsigned index = digits_count; index > 0; index--) {
        text[index - 1] = (char)(restricted_digits ? '1' + code % 4 : '0' + code % 10);
        code /= restricted_digits ? 4 : 10;
    }
}

mm_err_t mm_token_make(const mm_token_series_t *series, const mm_token_t *token, bool extended, bool restricted_digits,
                       char *text) {
    MM_ASSERT(series->starting_code < STARTING_CODES);
    uint32_t value = value_of(token);
    mm_token_type_t type;
    if (value > MM_TOKEN_VALUE_EXTENDED_MAX || token->count > MM_TOKEN_COUNT_MAX ||
        !meaning_of(value, token->count, extended, &type) || type != token->type) {
        return MM_ERR_ARG;
    }
    uint32_t values = extended ? VALUES_EXTENDED : VALUES_SHORT;
    uint32_t base = (series->starting_code % values + value) % values;
    chain_t chain = chain_of(series, extended, base);
    for (uint32_t count = 0; count < token->count; count++) {
        move_on(&chain);
    }
    uint64_t code = token_here(&chain);
    chain = chain_of(series, extended, base);
    for (uint32_t count = 0; count < token->count; count++) {
        if (token_here(&chain) == code && meaning_of(value, count, extended, &type)) {
            return MM_ERR_STATE;
        }
        move_on(&chain);
    }
    write_digits(code, extended, restricted_digits, text);
    return MM_OK;
}

/// What was typed, as a number. False if it has no form of a token.
static bool read_digits(const char *text, bool *extended, uint64_t *code) {
    uint8_t digits[MM_TOKEN_DIGITS_MAX];
    unsigned digits_count = 0;
    for (; *text != '\0'; text++) {
        if (*text == ' ' || *text == '-') {
            continue;
        }
        if (*text < '0' || *text > '9' || digits_count == MM_TOKEN_DIGITS_MAX) {
            return false;
        }
        digits[digits_count++] = (uint8_t)(*text - '0');
    }
    bool restricted_digits = digits_count == DIGITS_SHORT_RESTRICTED || digits_count == DIGITS_EXTENDED_RESTRICTED;
    if (!restricted_digits && digits_count != DIGITS_SHORT && digits_count != DIGITS_EXTENDED) {
        return false;
    }
    *extended = digits_count == DIGITS_EXTENDED || digits_count == DIGITS_EXTENDED_RESTRICTED;
    *code = 0;
    for (unsigned index = 0; index < digits_count; index++) {
        if (restricted_digits && (digits[index] < 1 || digits[index] > 4)) {
            return false;
        }
        *code = restricted_digits ? *code * 4 + digits[index] - 1 : *code * 10 + digits[index];
    }
    return true;
}

static mm_token_verdict_t verdict_on(const mm_token_state_t *state, mm_token_type_t type, uint32_t count) {
    if (count > state->count) {
        uint32_t jump_max = type == MM_TOKEN_COUNTER_SYNC ? MM_TOKEN_JUMP_SYNC_MAX : MM_TOKEN_JUMP_MAX;
        return count - state->count <= jump_max ? MM_TOKEN_GOOD : MM_TOKEN_WRONG;
    }
    bool is_late = type == MM_TOKEN_ADD && state->count - count <= MM_TOKEN_OLDER_MAX;
    return is_late && !mm_token_is_used(state, count) ? MM_TOKEN_GOOD : MM_TOKEN_USED;
}

mm_token_verdict_t mm_token_judge(const mm_token_series_t *series, const mm_token_state_t *state, const char *text,
                                  mm_token_t *token) {
    MM_ASSERT(series->starting_code < STARTING_CODES);
    bool extended = false;
    uint64_t code = 0;
    if (!read_digits(text, &extended, &code)) {
        return MM_TOKEN_NO_FORM;
    }
    uint32_t values = extended ? VALUES_EXTENDED : VALUES_SHORT;
    uint32_t base = (uint32_t)(code % values);
    uint32_t value = (base + values - series->starting_code % values) % values;
    uint32_t last = state->count < MM_TOKEN_COUNT_MAX - MM_TOKEN_JUMP_SYNC_MAX ? state->count + MM_TOKEN_JUMP_SYNC_MAX
                                                                               : MM_TOKEN_COUNT_MAX;
    chain_t chain = chain_of(series, extended, base);
    // The lowest count that fits is the token's, also if it is used: digits that come up twice in a chain must not work
    // twice. To the end in any case, so that the time tells nothing.
    mm_token_t found = {.count = 0};
    for (uint32_t count = 0; count <= last; count++) {
        mm_token_type_t type;
        if (token_here(&chain) == code && found.count == 0 && meaning_of(value, count, extended, &type)) {
            bool has_value = type == MM_TOKEN_ADD || type == MM_TOKEN_SET;
            found = (mm_token_t){.type = type, .value = has_value ? value : 0, .count = count};
        }
        move_on(&chain);
    }
    if (found.count == 0) {
        return MM_TOKEN_WRONG;
    }
    mm_token_verdict_t verdict = verdict_on(state, found.type, found.count);
    if (verdict == MM_TOKEN_GOOD) {
        *token = found;
    }
    return verdict;
}

bool mm_token_is_used(const mm_token_state_t *state, uint32_t count) {
    if (count >= state->count) {
        return count == state->count;
    }
    uint32_t place = state->count - count - 1;
    return place >= OLDER_BITS || (state->older >> place & 1) != 0;
}

void mm_token_use(mm_token_state_t *state, mm_token_type_t type, uint32_t count) {
    if (count > state->count) {
        // Two shifts of less than 64: one of 64 has no meaning in C.
        uint32_t step = count - state->count;
        state->older = step > OLDER_BITS ? 0 : state->older << (step - 1) << 1 | UINT64_C(1) << (step - 1);
        state->count = count;
        if (type != MM_TOKEN_ADD) {
            state->older = UINT64_MAX;
        }
        return;
    }
    uint32_t back = state->count - count;
    if (back > OLDER_BITS) {
        return; // used, as everything so far back
    }
    if (type != MM_TOKEN_ADD) {
        state->older |= back == 0 ? UINT64_MAX : UINT64_MAX << (back - 1);
    } else if (back > 0) {
        state->older |= UINT64_C(1) << (back - 1);
    }
}
