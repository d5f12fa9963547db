// SPDX-License-Identifier: Apache-2.0
// The same function as meshmeter/src/base/crc32.c, for machines with memory and time to measure: a fifth of a simulated
// site was checksums. Eight bytes a turn from 8 KB of tables, and where the processor multiplies without carry, 64 (V.
// Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", 2009). Linked ahead of the
// core's, which is then not taken; crc32_test.c compares it with the definition.
#include "meshmeter/crc32.h"

#define SLICES 8

static uint32_t s_remainders[SLICES][256];

// Before main: later there may be threads.
__attribute__((constructor)) static void make_tables(void) {
    for (uint32_t value = 0; value < 256; value++) {
        uint32_t crc = value;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? UINT32_C(0xEDB88320) : 0);
        }
        s_remainders[0][value] = crc;
    }
    for (uint32_t value = 0; value < 256; value++) {
        for (int slice = 1; slice < SLICES; slice++) {
            uint32_t crc = s_remainders[slice - 1][value];
            s_remainders[slice][value] = (crc >> 8) ^ s_remainders[0][crc & 0xFF];
        }
    }
}

static uint32_t by_tables(uint32_t crc, const uint8_t *byte, size_t bytes_count) {
    for (; bytes_count >= SLICES; bytes_count -= SLICES, byte += SLICES) {
        crc ^= (uint32_t)byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
        crc = s_remainders[7][crc & 0xFF] ^ s_remainders[6][(crc >> 8) & 0xFF] ^ s_remainders[5][(crc >> 16) & 0xFF] ^
              s_remainders[4][crc >> 24] ^ s_remainders[3][byte[4]] ^ s_remainders[2][byte[5]] ^
              s_remainders[1][byte[6]] ^ s_remainders[0][byte[7]];
    }
    for (; bytes_count > 0; bytes_count--, byte++) {
        crc = (crc >> 8) ^ s_remainders[0][(crc ^ *byte) & 0xFF];
    }
    return crc;
}

#if defined(__x86_64__)

#include <immintrin.h>

#define BLOCK_BYTES 16
#define WITH_MULTIPLICATION __attribute__((target("pclmul,sse4.1")))

WITH_MULTIPLICATION static __m128i load(const uint8_t *byte) {
    return _mm_loadu_si128((const void *)byte);
}

// What `block` is worth so many bits further on, and the block that stands there.
WITH_MULTIPLICATION static __m128i fold(__m128i block, __m128i powers, __m128i next) {
    __m128i low = _mm_clmulepi64_si128(block, powers, 0x00);
    __m128i high = _mm_clmulepi64_si128(block, powers, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

WITH_MULTIPLICATION static uint32_t reduce(__m128i block, __m128i powers_16) {
    const __m128i power_8 = _mm_set_epi64x(0, 0x163CD6124);
    const __m128i polynomial = _mm_set_epi64x(0x1F7011641, 0x1DB710641); // its inverse, and itself
    const __m128i low_words = _mm_setr_epi32(-1, 0, -1, 0);
    block = _mm_xor_si128(_mm_srli_si128(block, 8), _mm_clmulepi64_si128(block, powers_16, 0x10));
    __m128i rest = _mm_srli_si128(block, 4);
    block = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(block, low_words), power_8, 0x00), rest);
    __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(block, low_words), polynomial, 0x10);
    __m128i product = _mm_clmulepi64_si128(_mm_and_si128(quotient, low_words), polynomial, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(block, product), 1);
}

// At least one block, whole blocks.
WITH_MULTIPLICATION static uint32_t by_multiplication(uint32_t crc, const uint8_t *byte, size_t bytes_count) {
    const __m128i powers_64 = _mm_set_epi64x(0x1C6E41596, 0x154442BD4);
    const __m128i powers_16 = _mm_set_epi64x(0x0CCAA009E, 0x1751997D0);
    const uint8_t *end = byte + bytes_count;
    __m128i block = _mm_xor_si128(load(byte), _mm_cvtsi32_si128((int)crc));
    byte += BLOCK_BYTES;
    if (end - byte >= 7 * BLOCK_BYTES) {
        __m128i second = load(byte);
        __m128i third = load(byte + BLOCK_BYTES);
        __m128i fourth = load(byte + 2 * BLOCK_BYTES);
        for (byte += 3 * BLOCK_BYTES; end - byte >= 4 * BLOCK_BYTES; byte += 4 * BLOCK_BYTES) {
            block = fold(block, powers_64, load(byte));
            second = fold(second, powers_64, load(byte + BLOCK_BYTES));
            third = fold(third, powers_64, load(byte + 2 * BLOCK_BYTES));
            fourth = fold(fourth, powers_64, load(byte + 3 * BLOCK_BYTES));
        }
        block = fold(block, powers_16, second);
        block = fold(block, powers_16, third);
        block = fold(block, powers_16, fourth);
    }
    for (; byte != end; byte += BLOCK_BYTES) {
        block = fold(block, powers_16, load(byte));
    }
    return reduce(block, powers_16);
}

#endif

uint32_t mm_crc32(uint32_t crc, const void *bytes, size_t bytes_count) {
    const uint8_t *byte = bytes;
    crc = ~crc;
#if defined(__x86_64__)
    // Below two blocks the tables are as fast.
    if (bytes_count >= 2 * BLOCK_BYTES && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")) {
        size_t blocks_bytes = bytes_count / BLOCK_BYTES * BLOCK_BYTES;
        crc = by_multiplication(crc, byte, blocks_bytes);
        byte += blocks_bytes;
        bytes_count -= blocks_bytes;
    }
#endif
    return ~by_tables(crc, byte, bytes_count);
}
