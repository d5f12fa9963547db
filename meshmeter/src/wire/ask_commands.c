// SPDX-License-Identifier: Apache-2.0
#include "codec_internal.h"
#include "meshmeter/command.h"

// Append a text or command, after its length. Returns false, and nothing is written, if it does not fit.
static bool append(mm_writer_t *section, const void *bytes, uint16_t bytes_count) {
    mm_writer_t longer = *section;
    mm_put_u16(&longer, bytes_count);
    mm_put_bytes(&longer, bytes, bytes_count);
    if (longer.failed) {
        return false;
    }
    *section = longer;
    return true;
}

// No section is without any.
static void end(mm_writer_t *writer, mm_writer_t *section) {
    if (section->used_bytes > writer->used_bytes + MMI_SECTION_HEADER_BYTES) {
        (void)mmi_section_end(writer, section); // what was appended fits
    }
}

// Put behind the ask what fits of the node's commands. A later one must not go before one that does not fit: its
// counter would pass over that one.
static void put_commands(mm_writer_t *writer, const mm_command_batch_t *batch, mm_mac_t node) {
    mm_writer_t section = mmi_section_begin(writer, MMI_SECTION_COMMANDS);
    bool fits = true;
    for (size_t index = 0; index < batch->count && fits; index++) {
        fits = !mm_mac_equal(batch->commands[index].node, node) ||
               append(&section, batch->commands[index].bytes, batch->commands[index].bytes_count);
    }
    end(writer, &section);
}

static void put_items(mm_writer_t *writer, const mm_ask_item_t *items, uint8_t item_count) {
    mm_writer_t section = mmi_section_begin(writer, MMI_SECTION_ITEMS);
    for (uint8_t i = 0; i < item_count && append(&section, items[i].text, items[i].text_bytes); i++) {
    }
    end(writer, &section);
}

size_t mm_frame_write_ask_with_items(void *bytes, size_t capacity_bytes, mm_mac_t source, const mm_ask_t *ask,
                                     const mm_ask_item_t *items, uint8_t item_count) {
    mm_writer_t writer = mmi_frame_begin(bytes, capacity_bytes, MM_FRAME_ASK, source);
    mmi_put_ask(&writer, ask);
    put_items(&writer, items, item_count);
    return mmi_frame_seal(&writer);
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

static void check_items(mm_reader_t *content) {
    do {
        size_t bytes_count;
        get_command(content, &bytes_count);
    } while (mm_reader_left_bytes(content) > 0);
}

void mmi_check_ask_sections(mm_reader_t *reader, uint32_t *network_revision) {
    bool seen[MMI_SECTION_NETWORK_REVISION + 1] = {false};
    uint8_t type;
    mm_reader_t content;
    while (mmi_next_section(reader, &type, &content)) {
        if (type == MMI_SECTION_NETWORK_REVISION) {
            *network_revision = mm_get_u32(&content);
            content.failed = content.failed || *network_revision == 0 || mm_reader_left_bytes(&content) > 0;
        } else if (type == MMI_SECTION_COMMANDS || type == MMI_SECTION_ITEMS) {
            check_items(&content);
        } else {
            continue;
        }
        if (content.failed || seen[type]) {
            reader->failed = true;
        }
        seen[type] = true;
    }
}

static void begin(const mm_frame_t *frame, uint8_t wanted, mm_ask_commands_t *self) {
    mm_reader_t reader = mmi_frame_body(frame, MM_FRAME_ASK);
    mm_ask_t ask;
    mmi_get_ask(&reader, &ask);
    uint8_t type;
    mm_reader_t content;
    while (mmi_next_section(&reader, &type, &content)) {
        if (type == wanted) {
            *self = (mm_ask_commands_t){.reader = content};
            return;
        }
    }
    *self = (mm_ask_commands_t){.reader = mm_reader(NULL, 0)};
}

void mm_ask_commands_begin(const mm_frame_t *frame, mm_ask_commands_t *self) {
    begin(frame, MMI_SECTION_COMMANDS, self);
}

void mm_ask_items_begin(const mm_frame_t *frame, mm_ask_commands_t *self) {
    begin(frame, MMI_SECTION_ITEMS, self);
}

bool mm_ask_commands_next(mm_ask_commands_t *self, const uint8_t **bytes, size_t *bytes_count) {
    if (mm_reader_left_bytes(&self->reader) == 0) {
        return false;
    }
    *bytes = get_command(&self->reader, bytes_count);
    return !self->reader.failed;
}
