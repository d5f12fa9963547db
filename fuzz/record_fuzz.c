// SPDX-License-Identifier: Apache-2.0
// Record payloads: first byte the type, the rest the payload. What is accepted must be the one encoding of what was
// understood, so encoding it again gives the same bytes.
#include "meshmeter/record.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) {
        return 0;
    }
    mm_record_t record;
    if (mm_record_decode(data[0], data + 1, size - 1, &record) != MM_OK) {
        return 0;
    }
    uint8_t again[MM_RECORD_PAYLOAD_BYTES_MAX];
    mm_writer_t writer = mm_writer(again, sizeof again);
    mm_record_encode(&record, &writer);
    MM_ASSERT(!writer.failed);
    MM_ASSERT(writer.used_bytes == size - 1);
    MM_ASSERT(memcmp(again, data + 1, writer.used_bytes) == 0);
    return 0;
}
