// SPDX-License-Identifier: Apache-2.0
// Typed text: first byte the count of the meter, second which of the counts before it are used, the rest what was
// typed. What is taken must be the token that a vendor would have made, and it is taken once.
#include "meshmeter/token.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_BYTES_MAX 256

static const mm_token_series_t series = {
    .key = {0xbc, 0x41, 0xec, 0x95, 0x30, 0xf6, 0xda, 0xc8, 0x6b, 0x1a, 0x29, 0xab, 0x82, 0xed, 0xc5, 0xfb},
    .starting_code = 516959010,
};

static size_t keep_digits(const char *text, char *digits) {
    size_t digits_count = 0;
    for (; *text != '\0'; text++) {
        if (*text >= '0' && *text <= '9') {
            MM_ASSERT(digits_count < MM_TOKEN_DIGITS_MAX);
            digits[digits_count++] = *text;
        }
    }
    digits[digits_count] = '\0';
    return digits_count;
}

static void check_taken(const mm_token_state_t *state, const char *text, const mm_token_t *token) {
    char digits[MM_TOKEN_DIGITS_MAX + 1];
    char made[MM_TOKEN_DIGITS_MAX + 1];
    size_t digits_count = keep_digits(text, digits);
    bool extended = digits_count == 12 || digits_count == 20;
    bool restricted_digits = digits_count == 15 || digits_count == 20;
    MM_ASSERT(mm_token_make(&series, token, extended, restricted_digits, made) == MM_OK);
    MM_ASSERT(strcmp(made, digits) == 0);
    MM_ASSERT(!mm_token_is_used(state, token->count));
    mm_token_state_t after = *state;
    mm_token_t again;
    mm_token_use(&after, token->type, token->count);
    MM_ASSERT(mm_token_is_used(&after, token->count));
    MM_ASSERT(mm_token_judge(&series, &after, text, &again) == MM_TOKEN_USED);
}

static void judge(const mm_token_state_t *state, const char *text) {
    mm_token_t token = {.count = 0};
    mm_token_verdict_t verdict = mm_token_judge(&series, state, text, &token);
    if (verdict == MM_TOKEN_GOOD) {
        check_taken(state, text, &token);
    } else {
        MM_ASSERT(verdict == MM_TOKEN_WRONG || verdict == MM_TOKEN_USED || verdict == MM_TOKEN_NO_FORM);
        MM_ASSERT(token.count == 0);
    }
}

// Most changes of a text make it no digits: so what was typed is also read as digits of each form, what is too short
// filled up.
static void judge_as_digits(const mm_token_state_t *state, const uint8_t *bytes, size_t bytes_count) {
    static const unsigned forms[] = {9, 12, 15, 20};
    for (size_t form = 0; form < sizeof forms / sizeof forms[0]; form++) {
        char text[MM_TOKEN_DIGITS_MAX + 1] = {0};
        for (unsigned place = 0; place < forms[form]; place++) {
            unsigned byte = place < bytes_count ? bytes[place] : '1';
            text[place] = (char)(forms[form] < 15 ? '0' + (byte + 2) % 10 : '1' + (byte + 3) % 4);
        }
        judge(state, text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[TEXT_BYTES_MAX];
    if (size < 2 || size - 2 >= sizeof text) {
        return 0;
    }
    memcpy(text, data + 2, size - 2);
    text[size - 2] = '\0';
    const mm_token_state_t state = {.count = data[0], .older = data[1] * UINT64_C(0x0101010101010101)};
    judge(&state, text);
    judge_as_digits(&state, data + 2, size - 2);
    return 0;
}
