// SPDX-License-Identifier: Apache-2.0
#ifndef MM_FUZZ_SEALED_INPUT_H
#define MM_FUZZ_SEALED_INPUT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "meshmeter/crc32.h"

/// A fuzzer does not find a checksum by itself. So every input is tried twice: as it is, and with the envelope that a
/// sender would have given it (magic, length of length_bytes, CRC). Inputs shorter than bytes_min are tried as they are
/// only.
static inline void try_as_is_and_sealed(const uint8_t *data, size_t size, uint8_t magic, size_t length_bytes,
                                        size_t bytes_min, void (*try_one)(const uint8_t *bytes, size_t bytes_count)) {
    try_one(data, size);
    if (size < bytes_min) {
        return;
    }
    uint8_t *sealed = malloc(size);
    if (sealed == NULL) {
        return;
    }
    memcpy(sealed, data, size);
    sealed[0] = 0xF7;
    sealed[1] = magic;
    for (size_t index = 0; index < length_bytes; index++) {
        sealed[4 + index] = (uint8_t)(size >> (8 * index));
    }
    uint32_t crc = mm_crc32(0, sealed, size - 4);
    for (size_t index = 0; index < 4; index++) {
        sealed[size - 4 + index] = (uint8_t)(crc >> (8 * index));
    }
    try_one(sealed, size);
    free(sealed);
}

#endif
