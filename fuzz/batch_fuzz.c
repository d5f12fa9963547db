// SPDX-License-Identifier: Apache-2.0
// Batches: what was decoded is built again; sections of later versions are dropped, the rest must be the same.
#include "meshmeter/batch.h"

#include <string.h>

#include "sealed_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *decode_and_encode(const uint8_t *bytes, size_t bytes_count, uint8_t out[MM_BATCH_BYTES_MAX],
                                        size_t *message_bytes) {
    mm_batch_reader_t reader;
    if (mm_batch_open(bytes, bytes_count, &reader) != MM_OK) {
        return NULL;
    }
    mm_batch_builder_t builder;
    mm_batch_begin(&builder, out, MM_BATCH_BYTES_MAX);
    const uint8_t *frame;
    size_t frame_bytes;
    while (mm_batch_next(&reader, &frame, &frame_bytes)) {
        mm_frame_t opened;
        (void)mm_frame_open(frame, frame_bytes, &opened);
        MM_ASSERT(mm_batch_add_frame(&builder, frame, frame_bytes) == MM_OK);
    }
    MM_ASSERT(builder.frame_count == reader.frame_count);
    return mm_batch_finish(&builder, &reader.header, message_bytes);
}

static void try_one(const uint8_t *bytes, size_t bytes_count) {
    static uint8_t first_room[MM_BATCH_BYTES_MAX];
    static uint8_t second_room[MM_BATCH_BYTES_MAX];
    size_t first_bytes = 0;
    size_t second_bytes = 0;
    const uint8_t *first = decode_and_encode(bytes, bytes_count, first_room, &first_bytes);
    if (first == NULL) {
        return;
    }
    MM_ASSERT(first_bytes <= bytes_count);
    const uint8_t *second = decode_and_encode(first, first_bytes, second_room, &second_bytes);
    MM_ASSERT(second != NULL && second_bytes == first_bytes);
    MM_ASSERT(memcmp(first, second, first_bytes) == 0);
    // Header and frames stand unchanged at the beginning of the input; only length and what follows may differ.
    MM_ASSERT(memcmp(first + 8, bytes + 8, first_bytes - 8 - 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try_as_is_and_sealed(data, size, 0x42, 4, 43, try_one);
    return 0;
}
