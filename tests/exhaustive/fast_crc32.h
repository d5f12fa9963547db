// SPDX-License-Identifier: Apache-2.0
#ifndef MM_FAST_CRC32_H
#define MM_FAST_CRC32_H

#include "meshmeter/crc32.h"

/// The same function as meshmeter/src/base/crc32.c with 8 KB of tables (8 bytes a turn) instead of 64 bytes: two thirds
/// of the time of a simulated building are checksums. A program that includes it is linked without the other one, which
/// has its own test.

static uint32_t fast_crc32_tables[8][256];

static inline void fast_crc32_init(void) {
    for (uint32_t value = 0; value < 256; value++) {
        uint32_t crc = value;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? UINT32_C(0xEDB88320) : 0);
        }
        fast_crc32_tables[0][value] = crc;
    }
    for (uint32_t value = 0; value < 256; value++) {
        for (int table = 1; table < 8; table++) {
            uint32_t crc = fast_crc32_tables[table - 1][value];
            fast_crc32_tables[table][value] = (crc >> 8) ^ fast_crc32_tables[0][crc & 0xFF];
        }
    }
    // The check value of CRC-32 (IEEE 802.3), and the same in two pieces.
    MM_ASSERT(mm_crc32(0, "123456789", 9) == UINT32_C(0xCBF43926));
    MM_ASSERT(mm_crc32(mm_crc32(0, "1234", 4), "56789", 5) == UINT32_C(0xCBF43926));
}

uint32_t mm_crc32(uint32_t crc, const void *bytes, size_t bytes_count) {
    const uint8_t *byte = bytes;
    crc = ~crc;
    for (; bytes_count >= 8; bytes_count -= 8, byte += 8) {
        crc ^= (uint32_t)byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
        crc = fast_crc32_tables[7][crc & 0xFF] ^ fast_crc32_tables[6][(crc >> 8) & 0xFF] ^
              fast_crc32_tables[5][(crc >> 16) & 0xFF] ^ fast_crc32_tables[4][crc >> 24] ^
              fast_crc32_tables[3][byte[4]] ^ fast_crc32_tables[2][byte[5]] ^ fast_crc32_tables[1][byte[6]] ^
              fast_crc32_tables[0][byte[7]];
    }
    for (; bytes_count > 0; bytes_count--, byte++) {
        crc = (crc >> 8) ^ fast_crc32_tables[0][(crc ^ *byte) & 0xFF];
    }
    return ~crc;
}

#endif
