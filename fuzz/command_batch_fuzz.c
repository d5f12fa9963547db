// SPDX-License-Identifier: Apache-2.0
// Commands: the first byte says what the rest is. 0 a batch, 1 a sealed command, 2 an ASK frame, 64 + kind the body of
// a command of that kind, 128 to 130 the detail of a result. What was decoded is encoded again and must be the same;
// sections of later versions are dropped on the way.
#include "meshmeter/command.h"

#include <string.h>

#include "meshmeter/command_body.h"
#include "meshmeter/result_detail.h"
#include "sealed_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_BATCH 0
#define INPUT_SEALED 1
#define INPUT_ASK 2
#define INPUT_BODY 64
#define INPUT_ARCHIVE 128
#define INPUT_METER 129
#define INPUT_FORMAT 130

// Stands for a device's key: any function of the bytes will do.
static mm_err_t sum_of(void *context, const void *bytes, size_t bytes_count, uint8_t mac[MM_HMAC_BYTES]) {
    (void)context;
    memset(mac, 0x5A, MM_HMAC_BYTES);
    for (size_t index = 0; index < bytes_count; index++) {
        mac[index % MM_COMMAND_TAG_BYTES] =
            (uint8_t)(mac[index % MM_COMMAND_TAG_BYTES] * 31u + ((const uint8_t *)bytes)[index]);
    }
    return MM_OK;
}

static void try_command(const uint8_t *bytes, size_t bytes_count) {
    const mm_crypto_t crypto = {.device_hmac = sum_of};
    mm_command_t command;
    (void)mm_command_verify(bytes, bytes_count, &crypto);
    if (mm_command_read(bytes, bytes_count, &command) != MM_OK) {
        return;
    }
    uint8_t again[MM_COMMAND_BYTES_MAX];
    MM_ASSERT(mm_command_seal(again, sizeof again, &command, &crypto) == bytes_count);
    MM_ASSERT(memcmp(again, bytes, bytes_count - MM_COMMAND_TAG_BYTES) == 0);
    MM_ASSERT(mm_command_verify(again, bytes_count, &crypto) == MM_OK);
    bool is_same = memcmp(again, bytes, bytes_count) == 0;
    MM_ASSERT((mm_command_verify(bytes, bytes_count, &crypto) == MM_OK) == is_same);
    mm_command_body_t body;
    (void)mm_command_body_read(command.kind, command.body, command.body_bytes, &body);
}

static void try_batch(const uint8_t *bytes, size_t bytes_count) {
    static mm_command_batch_t batch;
    if (mm_command_batch_read(bytes, bytes_count, &batch) != MM_OK) {
        return;
    }
    static uint8_t again[MM_DOWNLINK_BYTES_MAX];
    size_t again_bytes = mm_command_batch_write(again, sizeof again, &batch);
    MM_ASSERT(again_bytes > 0 && again_bytes <= bytes_count);
    // All but length, sections and checksum.
    MM_ASSERT(memcmp(again + 8, bytes + 8, again_bytes - 8 - 4) == 0);
    uint8_t frame[MM_MESH_FRAME_BYTES_MAX];
    const mm_ask_t ask = {.round_id = 1};
    for (size_t index = 0; index < batch.count; index++) {
        try_command(batch.commands[index].bytes, batch.commands[index].bytes_count);
        MM_ASSERT(mm_frame_write_ask_with_commands(frame, sizeof frame, batch.commands[0].node, &ask, &batch,
                                                   batch.commands[index].node) > 0);
    }
}

static void try_ask(const uint8_t *bytes, size_t bytes_count) {
    mm_frame_t frame;
    mm_ask_t ask;
    if (mm_frame_open(bytes, bytes_count, &frame) != MM_OK || frame.type != MM_FRAME_ASK ||
        mm_frame_read_ask(&frame, &ask) != MM_OK) {
        return;
    }
    mm_ask_commands_t commands;
    const uint8_t *command;
    size_t command_bytes;
    size_t used_bytes = 0;
    mm_ask_commands_begin(&frame, &commands);
    while (mm_ask_commands_next(&commands, &command, &command_bytes)) {
        MM_ASSERT(command_bytes > 0);
        used_bytes += 2 + command_bytes;
        try_command(command, command_bytes);
    }
    MM_ASSERT(used_bytes <= bytes_count);
}

static void try_body(uint8_t kind, const uint8_t *bytes, size_t bytes_count) {
    mm_command_body_t body;
    if (mm_command_body_read(kind, bytes, bytes_count, &body) != MM_OK) {
        return;
    }
    uint8_t again[MM_COMMAND_BODY_BYTES_MAX];
    mm_writer_t writer = mm_writer(again, sizeof again);
    MM_ASSERT(mm_command_body_put(kind, &body, &writer) == MM_OK);
    MM_ASSERT(writer.used_bytes == bytes_count);
    MM_ASSERT(bytes_count == 0 || memcmp(again, bytes, bytes_count) == 0);
}

static void try_detail(uint8_t input, const uint8_t *bytes, size_t bytes_count) {
    uint8_t again[MM_RESULT_DETAIL_BYTES_MAX];
    mm_writer_t writer = mm_writer(again, sizeof again);
    mm_archive_detail_t archive;
    mm_meter_detail_t meter;
    uint32_t code;
    if (input == INPUT_ARCHIVE && mm_archive_detail_read(bytes, bytes_count, &archive) == MM_OK) {
        mm_archive_detail_put(&archive, &writer);
    } else if (input == INPUT_METER && mm_meter_detail_read(bytes, bytes_count, &meter) == MM_OK) {
        mm_meter_detail_put(&meter, &writer);
    } else if (input == INPUT_FORMAT && mm_format_detail_read(bytes, bytes_count, &code) == MM_OK) {
        mm_format_detail_put(code, &writer);
    } else {
        return;
    }
    MM_ASSERT(!writer.failed && writer.used_bytes == bytes_count);
    MM_ASSERT(memcmp(again, bytes, bytes_count) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) {
        return 0;
    }
    const uint8_t *bytes = data + 1;
    size_t bytes_count = size - 1;
    switch (data[0]) {
    case INPUT_BATCH:
        try_as_is_and_sealed(bytes, bytes_count, 0x43, 4, 38, try_batch);
        break;
    case INPUT_SEALED:
        try_command(bytes, bytes_count);
        break;
    case INPUT_ASK:
        try_as_is_and_sealed(bytes, bytes_count, 0x4E, 2, 16, try_ask);
        break;
    case INPUT_ARCHIVE:
    case INPUT_METER:
    case INPUT_FORMAT:
        try_detail(data[0], bytes, bytes_count);
        break;
    default:
        if (data[0] >= INPUT_BODY && data[0] < INPUT_ARCHIVE) {
            try_body((uint8_t)(data[0] - INPUT_BODY), bytes, bytes_count);
        }
        break;
    }
    return 0;
}
