// SPDX-License-Identifier: Apache-2.0
// Acknowledgements: what was decoded is written again; sections of later versions are dropped, the rest must be the
// same.
#include "meshmeter/batch.h"

#include <string.h>

#include "sealed_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_one(const uint8_t *bytes, size_t bytes_count) {
    mm_ack_t ack;
    mm_ack_t again;
    if (mm_ack_read(bytes, bytes_count, &ack) != MM_OK) {
        return;
    }
    uint8_t first[MM_DOWNLINK_BYTES_MAX];
    uint8_t second[MM_DOWNLINK_BYTES_MAX];
    size_t first_bytes = mm_ack_write(first, sizeof first, &ack);
    MM_ASSERT(first_bytes > 0 && first_bytes <= bytes_count);
    MM_ASSERT(memcmp(first + 8, bytes + 8, first_bytes - 8 - 4) == 0);
    MM_ASSERT(mm_ack_read(first, first_bytes, &again) == MM_OK);
    MM_ASSERT(mm_ack_write(second, sizeof second, &again) == first_bytes);
    MM_ASSERT(memcmp(first, second, first_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try_as_is_and_sealed(data, size, 0x41, 4, 38, try_one);
    return 0;
}
