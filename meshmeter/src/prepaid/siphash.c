// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/token.h"

// SipHash-2-4 of J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF" (2012).

#define WORD_BYTES 8

typedef struct {
    uint64_t v0;
    uint64_t v1;
    uint64_t v2;
    uint64_t v3;
} lanes_t;

static uint64_t rotated_left(uint64_t value, unsigned bits) {
    return value << bits | value >> (64 - bits);
}

static void mix(lanes_t *lanes, unsigned rounds) {
    for (unsigned round = 0; round < rounds; round++) {
        lanes->v0 += lanes->v1;
        lanes->v1 = rotated_left(lanes->v1, 13) ^ lanes->v0;
        lanes->v0 = rotated_left(lanes->v0, 32);
        lanes->v2 += lanes->v3;
        lanes->v3 = rotated_left(lanes->v3, 16) ^ lanes->v2;
        lanes->v0 += lanes->v3;
        lanes->v3 = rotated_left(lanes->v3, 21) ^ lanes->v0;
        lanes->v2 += lanes->v1;
        lanes->v1 = rotated_left(lanes->v1, 17) ^ lanes->v2;
        lanes->v2 = rotated_left(lanes->v2, 32);
    }
}

static void absorb(lanes_t *lanes, uint64_t word) {
    lanes->v3 ^= word;
    mix(lanes, 2);
    lanes->v0 ^= word;
}

static uint64_t word_of(const uint8_t *bytes, size_t bytes_count) {
    uint64_t word = 0;
    for (size_t index = 0; index < bytes_count; index++) {
        word |= (uint64_t)bytes[index] << 8 * index;
    }
    return word;
}

uint64_t mm_siphash24(const uint8_t key[16], const void *bytes, size_t bytes_count) {
    const uint8_t *message = bytes;
    uint64_t k0 = word_of(key, WORD_BYTES);
    uint64_t k1 = word_of(key + WORD_BYTES, WORD_BYTES);
    lanes_t lanes = {
        .v0 = k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = k1 ^ UINT64_C(0x646f72616e646f6d),
        .v2 = k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = k1 ^ UINT64_C(0x7465646279746573),
    };
    size_t at = 0;
    for (; bytes_count - at >= WORD_BYTES; at += WORD_BYTES) {
        absorb(&lanes, word_of(message + at, WORD_BYTES));
    }
    uint64_t rest = bytes_count == at ? 0 : word_of(message + at, bytes_count - at);
    absorb(&lanes, rest | (uint64_t)bytes_count << 56);
    lanes.v2 ^= 0xFF;
    mix(&lanes, 4);
    return lanes.v0 ^ lanes.v1 ^ lanes.v2 ^ lanes.v3;
}
