// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TOKEN_H
#define MM_TOKEN_H

#include "meshmeter/base.h"

/// OpenPAYGO Token 2.3 (EnAccess), from its published rules: numbers that a customer types, each of which works once,
/// without any network. Forms: 9 digits (value 0 … 995), 12 digits (0 … 999,999), and both written with the keys 1 to 4
/// only (15 and 20 digits). Even counts add, odd counts set, switch prepayment off (998) or move the count (999).
///
/// Differences from the reference decoders, on purpose, each with a test (token_test.c): a token is never taken twice,
/// whatever came in between; count 0, the starting code itself, is no token; the extended forms of 998 and 999 mean
/// what the short ones mean; a wrong token of any form is an answer, never a failure; the count moves forward only.
///
/// The same digits can come up at two counts of a series: about one token in 1,000,000 / count. They mean the lower
/// count, used or not; mm_token_make does not give them for the higher one.
///
/// Pure functions; the caller keeps mm_token_state_t, durably before it acts.

#define MM_TOKEN_KEY_BYTES 16
#define MM_TOKEN_DIGITS_MAX 20
/// The largest value of the short and of the long form; larger ones of the short form have special meanings.
#define MM_TOKEN_VALUE_MAX 995
#define MM_TOKEN_VALUE_EXTENDED_MAX 999999
/// How far the count may jump forward (add, set, disable), and for a count that is set anew.
#define MM_TOKEN_JUMP_MAX 64
#define MM_TOKEN_JUMP_SYNC_MAX 100
/// The largest count: a purchase every 8 hours for 45 years. It bounds the work for a typed token.
#define MM_TOKEN_COUNT_MAX 100000
/// Counts before the newest under which an unused token is still taken when it is typed.
#define MM_TOKEN_OLDER_MAX 16

typedef enum {
    MM_TOKEN_ADD = 1,
    MM_TOKEN_SET = 2,
    MM_TOKEN_DISABLE = 3,      ///< prepayment off: supply without credit
    MM_TOKEN_COUNTER_SYNC = 4, ///< only moves the count
} mm_token_type_t;

typedef struct {
    uint8_t key[MM_TOKEN_KEY_BYTES];
    uint32_t starting_code; ///< below 10^9
} mm_token_series_t;

/// What was used. All zero is that of a new meter: count 0 is used.
typedef struct {
    uint32_t count; ///< the highest used
    uint64_t older; ///< bit i: count - 1 - i is used (or gone by); those further back all are
} mm_token_state_t;

typedef struct {
    mm_token_type_t type;
    uint32_t value; ///< of ADD and SET
    uint32_t count;
} mm_token_t;

typedef enum {
    MM_TOKEN_GOOD = 0,
    MM_TOKEN_WRONG,   ///< not a token of this series
    MM_TOKEN_USED,    ///< it was one, or is too old
    MM_TOKEN_NO_FORM, ///< not digits, or not 9, 12, 15 or 20 of them, or others than 1 to 4 in the longer two
} mm_token_verdict_t;

/// Starting code of a series whose maker gives none: derived from the key, as the rules say.
uint32_t mm_token_starting_code(const uint8_t key[MM_TOKEN_KEY_BYTES]);
/// Write a token: `text` needs MM_TOKEN_DIGITS_MAX + 1 characters. MM_ERR_ARG: value beyond the form (a SET of the long
/// form cannot say 998 or 999), a count of the wrong parity for the type, zero, or beyond MM_TOKEN_COUNT_MAX.
/// MM_ERR_STATE: these digits mean an earlier count already, so leave this count out and take the next. Cost: twice
/// `count` rounds of SipHash.
mm_err_t mm_token_make(const mm_token_series_t *series, const mm_token_t *token, bool extended, bool restricted_digits,
                       char *text);
/// Judge typed digits (blanks and '-' between them are passed over). *token is filled on GOOD; *state is not changed.
/// Constant work for any token: count + MM_TOKEN_JUMP_SYNC_MAX rounds, at most MM_TOKEN_COUNT_MAX.
mm_token_verdict_t mm_token_judge(const mm_token_series_t *series, const mm_token_state_t *state, const char *text,
                                  mm_token_t *token);
/// True if a token or a credit of this count was used, or is too far back to know (further than 64).
bool mm_token_is_used(const mm_token_state_t *state, uint32_t count);
/// Mark as used. For every type but ADD all earlier counts become used as well.
void mm_token_use(mm_token_state_t *state, mm_token_type_t type, uint32_t count);

/// Primitive, exposed for its published vector: SipHash-2-4 of the bytes.
uint64_t mm_siphash24(const uint8_t key[16], const void *bytes, size_t bytes_count);

#endif
