// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/batch.h"

#include <string.h>

#include "codec_internal.h"
#include "meshmeter/crc32.h"
#include "wire/fields.h"

// Envelope, database, revision, time, entry_count (8.1).
#define HEADER_BYTES 34
#define ENTRY_BYTES 14

_Static_assert(HEADER_BYTES + MM_NODES_MAX * ENTRY_BYTES + MMI_CRC_BYTES <= MM_DOWNLINK_BYTES_MAX,
               "an acknowledgement of all nodes fits what a root accepts");

static const mmi_field_t head_fields[] = {
    MMI_FIELD(mm_ack_t, database_id, 8),
    MMI_FIELD(mm_ack_t, revision, 8),
    MMI_FIELD(mm_ack_t, time, MMI_FIELD_TIME),
    MMI_FIELD(mm_ack_t, entry_count, 1),
};
static const mmi_field_t entry_fields[] = {
    MMI_FIELD(mm_ack_entry_t, node.bytes, MMI_FIELD_BYTES),
    MMI_FIELD(mm_ack_entry_t, watermark.epoch, 4),
    MMI_FIELD(mm_ack_entry_t, watermark.seq, 4),
};

size_t mm_ack_write(void *bytes, size_t capacity_bytes, const mm_ack_t *ack) {
    MM_ASSERT(ack->entry_count <= MM_NODES_MAX);
    size_t message_bytes = HEADER_BYTES + (size_t)ack->entry_count * ENTRY_BYTES + MMI_CRC_BYTES;
    mm_writer_t writer = mm_writer(bytes, capacity_bytes);
    mmi_envelope_put(&writer, MMI_MAGIC_ACK, MMI_DOWNLINK_TYPE);
    mm_put_u32(&writer, (uint32_t)message_bytes);
    mmi_put_fields(&writer, MMI_FIELDS(head_fields), ack);
    for (size_t index = 0; index < ack->entry_count; index++) {
        mmi_put_fields(&writer, MMI_FIELDS(entry_fields), &ack->entries[index]);
    }
    if (writer.failed) {
        return 0;
    }
    mm_put_u32(&writer, mm_crc32(0, bytes, writer.used_bytes));
    return writer.failed ? 0 : message_bytes;
}

mm_err_t mm_ack_read(const void *bytes, size_t bytes_count, mm_ack_t *ack) {
    memset(ack, 0, sizeof *ack);
    mm_reader_t reader;
    mm_err_t err = mmi_downlink_open(bytes, bytes_count, MMI_MAGIC_ACK, HEADER_BYTES + MMI_CRC_BYTES, &reader);
    if (err != MM_OK) {
        return err;
    }
    mmi_get_fields(&reader, MMI_FIELDS(head_fields), ack);
    if (ack->entry_count > MM_NODES_MAX) {
        ack->entry_count = 0;
        return MM_ERR_CORRUPT;
    }
    for (size_t index = 0; index < ack->entry_count; index++) {
        mmi_get_fields(&reader, MMI_FIELDS(entry_fields), &ack->entries[index]);
    }
    mmi_skip_sections(&reader);
    return mmi_is_complete(&reader) ? MM_OK : MM_ERR_CORRUPT;
}
