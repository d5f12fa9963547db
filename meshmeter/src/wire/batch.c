// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/batch.h"

#include <string.h>

#include "codec_internal.h"
#include "meshmeter/crc32.h"
#include "wire/fields.h"

// Envelope, fixed fields, missing_count, frame_count (7.1).
#define HEADER_BYTES_MIN 39
#define HEADER_BYTES_LARGEST (HEADER_BYTES_MIN + MM_NODES_MAX * MM_MAC_BYTES)
#define FRAME_PREFIX_BYTES 2

_Static_assert(HEADER_BYTES_LARGEST <= MM_BATCH_HEADER_BYTES_MAX, "the reserved room holds every header");

void mm_batch_begin(mm_batch_builder_t *self, void *bytes, size_t capacity_bytes) {
    MM_ASSERT(capacity_bytes >= MM_BATCH_HEADER_BYTES_MAX + MMI_CRC_BYTES);
    *self = (mm_batch_builder_t){.bytes = bytes, .capacity_bytes = capacity_bytes};
}

mm_err_t mm_batch_add_frame(mm_batch_builder_t *self, const void *frame, size_t frame_bytes) {
    MM_ASSERT(frame_bytes >= 1 && frame_bytes <= MM_MESH_FRAME_BYTES_MAX);
    size_t room_bytes = self->capacity_bytes - MM_BATCH_HEADER_BYTES_MAX - MMI_CRC_BYTES - self->used_bytes;
    if (self->frame_count >= MM_BATCH_NODES_MAX || FRAME_PREFIX_BYTES + frame_bytes > room_bytes) {
        return MM_ERR_FULL;
    }
    mm_writer_t writer = mm_writer(self->bytes + MM_BATCH_HEADER_BYTES_MAX + self->used_bytes, room_bytes);
    mm_put_u16(&writer, (uint16_t)frame_bytes);
    mm_put_bytes(&writer, frame, frame_bytes);
    self->used_bytes += writer.used_bytes;
    self->frame_count++;
    return MM_OK;
}

static const mmi_field_t header_fields[] = {
    MMI_FIELD(mm_batch_header_t, root.bytes, MMI_FIELD_BYTES),
    MMI_FIELD(mm_batch_header_t, root_boot_no, 4),
    MMI_FIELD(mm_batch_header_t, session, 4),
    MMI_FIELD(mm_batch_header_t, round_id, 4),
    MMI_FIELD(mm_batch_header_t, time, MMI_FIELD_TIME),
    MMI_FIELD(mm_batch_header_t, batch_index, 1),
    MMI_FIELD(mm_batch_header_t, batch_count, 1),
    MMI_FIELD(mm_batch_header_t, missing_count, 1),
};

static bool header_is_possible(const mm_batch_header_t *header) {
    return header->batch_index < header->batch_count && header->missing_count <= MM_NODES_MAX;
}

const uint8_t *mm_batch_finish(mm_batch_builder_t *self, const mm_batch_header_t *header, size_t *message_bytes) {
    MM_ASSERT((header->kind == MM_BATCH_LIVE || header->kind == MM_BATCH_BACKLOG) && header_is_possible(header));
    // The header ends where the frames begin; so its size says where the message begins.
    size_t header_bytes = HEADER_BYTES_MIN + header->missing_count * MM_MAC_BYTES;
    uint8_t *message = self->bytes + MM_BATCH_HEADER_BYTES_MAX - header_bytes;
    size_t content_bytes = header_bytes + self->used_bytes;
    *message_bytes = content_bytes + MMI_CRC_BYTES;

    mm_writer_t writer = mm_writer(message, header_bytes);
    mmi_envelope_put(&writer, MMI_MAGIC_BATCH, header->kind);
    mm_put_u32(&writer, (uint32_t)*message_bytes);
    mmi_put_fields(&writer, MMI_FIELDS(header_fields), header);
    for (size_t index = 0; index < header->missing_count; index++) {
        mm_put_mac(&writer, header->missing[index]);
    }
    mm_put_u8(&writer, self->frame_count);
    MM_ASSERT(!writer.failed && writer.used_bytes == header_bytes);

    mm_writer_t end = mm_writer(message + content_bytes, MMI_CRC_BYTES);
    mm_put_u32(&end, mm_crc32(0, message, content_bytes));
    return message;
}

// The frames as a whole: mm_batch_next cannot fail afterwards.
static void check_frames(mm_reader_t *reader, uint8_t frame_count) {
    for (uint8_t index = 0; index < frame_count; index++) {
        size_t frame_bytes = mm_get_u16(reader);
        mm_get_view(reader, frame_bytes);
        if (frame_bytes == 0 || frame_bytes > MM_MESH_FRAME_BYTES_MAX) {
            reader->failed = true;
        }
    }
}

static void get_header(mm_reader_t *reader, mm_batch_header_t *header) {
    mmi_get_fields(reader, MMI_FIELDS(header_fields), header);
    if (!header_is_possible(header)) {
        reader->failed = true;
        return;
    }
    for (size_t index = 0; index < header->missing_count; index++) {
        header->missing[index] = mm_get_mac(reader);
    }
}

mm_err_t mm_batch_open(const void *bytes, size_t bytes_count, mm_batch_reader_t *self) {
    memset(self, 0, sizeof *self);
    mm_reader_t reader;
    mm_err_t err = mmi_envelope_open(bytes, bytes_count, MMI_MAGIC_BATCH, 4, HEADER_BYTES_MIN + MMI_CRC_BYTES,
                                     &self->header.kind, &reader);
    if (err != MM_OK) {
        return err;
    }
    if (self->header.kind != MM_BATCH_LIVE && self->header.kind != MM_BATCH_BACKLOG) {
        return MM_ERR_VERSION;
    }
    get_header(&reader, &self->header);
    self->frame_count = mm_get_u8(&reader);
    self->reader = reader;
    if (self->frame_count > MM_BATCH_NODES_MAX) {
        return MM_ERR_CORRUPT;
    }
    check_frames(&reader, self->frame_count);
    mmi_skip_sections(&reader);
    if (!mmi_is_complete(&reader)) {
        return MM_ERR_CORRUPT;
    }
    self->frames_left = self->frame_count;
    return MM_OK;
}

bool mm_batch_next(mm_batch_reader_t *self, const uint8_t **frame, size_t *frame_bytes) {
    if (self->frames_left == 0) {
        return false;
    }
    self->frames_left--;
    *frame_bytes = mm_get_u16(&self->reader);
    *frame = mm_get_view(&self->reader, *frame_bytes);
    return true;
}
