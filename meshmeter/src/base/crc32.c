// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/crc32.h"

uint32_t mm_crc32(uint32_t crc, const void *bytes, size_t bytes_count) {
    // Remainder of each 4-bit value for the reflected polynomial 0xEDB88320: 64 bytes of flash instead of 1 KB.
    static const uint32_t remainders[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
        0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
    };
    const uint8_t *byte = bytes;
    crc = ~crc;
    for (size_t index = 0; index < bytes_count; index++) {
        crc ^= byte[index];
        crc = (crc >> 4) ^ remainders[crc & 0xF];
        crc = (crc >> 4) ^ remainders[crc & 0xF];
    }
    return ~crc;
}
