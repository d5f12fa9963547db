// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "codec_internal.h"
#include "meshmeter/command.h"
#include "meshmeter/crc32.h"
#include "wire/fields.h"

// Envelope, database, revision, time, count (commands.md, 3).
#define HEADER_BYTES 34
#define COMMAND_BYTES_MIN (MM_COMMAND_HEADER_BYTES + MM_COMMAND_TAG_BYTES)
#define COMMAND_PREFIX_BYTES 2

_Static_assert(HEADER_BYTES + MM_COMMAND_BATCH_MAX * (COMMAND_PREFIX_BYTES + COMMAND_BYTES_MIN) + MMI_CRC_BYTES <=
                   MM_DOWNLINK_BYTES_MAX,
               "as many commands as a batch can have fit what a root accepts, if they are small");

static const mmi_field_t head_fields[] = {
    MMI_FIELD(mm_command_batch_t, database_id, 8),
    MMI_FIELD(mm_command_batch_t, revision, 8),
    MMI_FIELD(mm_command_batch_t, time, MMI_FIELD_TIME),
    MMI_FIELD(mm_command_batch_t, count, 1),
};

size_t mm_command_batch_write(void *bytes, size_t capacity_bytes, const mm_command_batch_t *batch) {
    MM_ASSERT(batch->count <= MM_COMMAND_BATCH_MAX);
    size_t message_bytes = HEADER_BYTES + MMI_CRC_BYTES;
    for (size_t index = 0; index < batch->count; index++) {
        MM_ASSERT(batch->commands[index].bytes_count <= MM_COMMAND_BYTES_MAX);
        message_bytes += COMMAND_PREFIX_BYTES + batch->commands[index].bytes_count;
    }
    if (message_bytes > MM_DOWNLINK_BYTES_MAX) {
        return 0;
    }
    mm_writer_t writer = mm_writer(bytes, capacity_bytes);
    mmi_envelope_put(&writer, MMI_MAGIC_COMMANDS, MMI_DOWNLINK_TYPE);
    mm_put_u32(&writer, (uint32_t)message_bytes);
    mmi_put_fields(&writer, MMI_FIELDS(head_fields), batch);
    for (size_t index = 0; index < batch->count; index++) {
        mm_put_u16(&writer, batch->commands[index].bytes_count);
        mm_put_bytes(&writer, batch->commands[index].bytes, batch->commands[index].bytes_count);
    }
    if (writer.failed) {
        return 0;
    }
    mm_put_u32(&writer, mm_crc32(0, bytes, writer.used_bytes));
    return writer.failed ? 0 : message_bytes;
}

mm_err_t mm_command_batch_read(const void *bytes, size_t bytes_count, mm_command_batch_t *batch) {
    memset(batch, 0, sizeof *batch);
    mm_reader_t reader;
    mm_err_t err = mmi_downlink_open(bytes, bytes_count, MMI_MAGIC_COMMANDS, HEADER_BYTES + MMI_CRC_BYTES, &reader);
    if (err != MM_OK) {
        return err;
    }
    mmi_get_fields(&reader, MMI_FIELDS(head_fields), batch);
    if (batch->count > MM_COMMAND_BATCH_MAX) {
        batch->count = 0;
        return MM_ERR_CORRUPT;
    }
    for (size_t index = 0; index < batch->count; index++) {
        uint16_t command_bytes = mm_get_u16(&reader);
        const uint8_t *view = mm_get_view(&reader, command_bytes);
        mm_command_t command;
        if (view == NULL || mm_command_read(view, command_bytes, &command) != MM_OK) {
            return MM_ERR_CORRUPT;
        }
        batch->commands[index].bytes = view;
        batch->commands[index].bytes_count = command_bytes;
        batch->commands[index].node = command.node;
    }
    mmi_skip_sections(&reader);
    return mmi_is_complete(&reader) ? MM_OK : MM_ERR_CORRUPT;
}
