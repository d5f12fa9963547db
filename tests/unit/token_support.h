// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TOKEN_SUPPORT_H
#define MM_TOKEN_SUPPORT_H

#include "meshmeter/token.h"

#include <string.h>

#include "test_support.h"

/// The series of the published vectors, and of the walk-through of the published example.
static const mm_token_series_t series_a = {
    .key = {0xbc, 0x41, 0xec, 0x95, 0x30, 0xf6, 0xda, 0xc8, 0x6b, 0x1a, 0x29, 0xab, 0x82, 0xed, 0xc5, 0xfb},
    .starting_code = 516959010,
};
static const mm_token_series_t series_walk = {
    .key = {0xa2, 0x9a, 0xb8, 0x2e, 0xdc, 0x5f, 0xbb, 0xc4, 0x1e, 0xc9, 0x53, 0x0f, 0x6d, 0xac, 0x86, 0xb1},
    .starting_code = 123456789,
};

/// A meter as far as tokens go: what it was told, and what that adds up to.
typedef struct {
    const mm_token_series_t *series;
    mm_token_state_t state;
    int64_t units;
    bool is_postpaid;
} device_t;

/// Type digits; what is good is used.
static inline mm_token_verdict_t type_in(device_t *device, const char *text) {
    mm_token_t token = {.count = UINT32_MAX};
    const mm_token_state_t before = device->state;
    mm_token_verdict_t verdict = mm_token_judge(device->series, &device->state, text, &token);
    assert_memory_equal(&before, &device->state, sizeof before);
    if (verdict != MM_TOKEN_GOOD) {
        assert_true(token.count == UINT32_MAX);
        return verdict;
    }
    mm_token_use(&device->state, token.type, token.count);
    if (token.type == MM_TOKEN_ADD) {
        device->units += token.value;
    } else if (token.type == MM_TOKEN_SET) {
        device->units = token.value;
        device->is_postpaid = false;
    } else if (token.type == MM_TOKEN_DISABLE) {
        device->is_postpaid = true;
    }
    return verdict;
}

/// Make a token and check that it could be.
static inline void make(const mm_token_series_t *series, mm_token_type_t type, uint32_t value, uint32_t count,
                        bool extended, char *text) {
    const mm_token_t token = {.type = type, .value = value, .count = count};
    assert_int_equal(mm_token_make(series, &token, extended, false, text), MM_OK);
}

static inline mm_token_verdict_t type_made(device_t *device, mm_token_type_t type, uint32_t value, uint32_t count,
                                           bool extended) {
    char text[MM_TOKEN_DIGITS_MAX + 1];
    make(device->series, type, value, count, extended, text);
    return type_in(device, text);
}

#endif
