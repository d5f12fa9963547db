// SPDX-License-Identifier: Apache-2.0
#include "codec_internal.h"
#include "meshmeter/command.h"

#define COMMAND_PREFIX_BYTES 2

// Put behind the ask what fits of the node's commands. A later one must not go before one that does not fit: its
// counter would pass over that one.
static void put_commands(mm_writer_t *writer, const mm_command_batch_t *batch, mm_mac_t node) {
    mm_writer_t section = *writer;
    size_t section_offset_bytes = section.used_bytes;
    mm_put_u8(&section, MMI_SECTION_COMMANDS);
    mm_put_u16(&section, 0);
    for (size_t index = 0; index < batch->count; index++) {
        if (!mm_mac_equal(batch->commands[index].node, node)) {
            continue;
        }
        mm_put_u16(&section, batch->commands[index].bytes_count);
        mm_put_bytes(&section, batch->commands[index].bytes, batch->commands[index].bytes_count);
        if (section.failed) {
            return;
        }
        mm_patch_u16(&section, section_offset_bytes + 1,
                     (uint16_t)(section.used_bytes - section_offset_bytes - MMI_SECTION_HEADER_BYTES));
        *writer = section;
    }
}

size_t mm_frame_write_ask_with_commands(void *bytes, size_t capacity_bytes, mm_mac_t source, const mm_ask_t *ask,
                                        const mm_command_batch_t *batch, mm_mac_t node) {
    mm_writer_t writer = mmi_frame_begin(bytes, capacity_bytes, MM_FRAME_ASK, source);
    mmi_put_ask(&writer, ask);
    if (batch != NULL) {
        MM_ASSERT(batch->count <= MM_COMMAND_BATCH_MAX);
        put_commands(&writer, batch, node);
    }
    return mmi_frame_seal(&writer);
}

// One command; no section is without any.
static const uint8_t *get_command(mm_reader_t *content, size_t *bytes_count) {
    *bytes_count = mm_get_u16(content);
    const uint8_t *bytes = mm_get_view(content, *bytes_count);
    if (*bytes_count == 0) {
        content->failed = true;
    }
    return bytes;
}

void mmi_check_ask_sections(mm_reader_t *reader) {
    bool commands_seen = false;
    uint8_t type;
    mm_reader_t content;
    while (mmi_next_section(reader, &type, &content)) {
        if (type != MMI_SECTION_COMMANDS) {
            continue;
        }
        do {
            size_t bytes_count;
            get_command(&content, &bytes_count);
        } while (mm_reader_left_bytes(&content) > 0);
        if (content.failed || commands_seen) {
            reader->failed = true;
        }
        commands_seen = true;
    }
}

void mm_ask_commands_begin(const mm_frame_t *frame, mm_ask_commands_t *self) {
    MM_ASSERT(frame->type == MM_FRAME_ASK);
    mm_reader_t reader = mm_reader(frame->body, frame->body_bytes);
    mm_ask_t ask;
    mmi_get_ask(&reader, &ask);
    uint8_t type;
    mm_reader_t content;
    while (mmi_next_section(&reader, &type, &content)) {
        if (type == MMI_SECTION_COMMANDS) {
            *self = (mm_ask_commands_t){.reader = content};
            return;
        }
    }
    *self = (mm_ask_commands_t){.reader = mm_reader(NULL, 0)};
}

bool mm_ask_commands_next(mm_ask_commands_t *self, const uint8_t **bytes, size_t *bytes_count) {
    if (mm_reader_left_bytes(&self->reader) == 0) {
        return false;
    }
    *bytes = get_command(&self->reader, bytes_count);
    return !self->reader.failed;
}
