// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/frame.h"

#include <string.h>

#include "codec_internal.h"
#include "meshmeter/crc32.h"
#include "wire/fields.h"

uint64_t mm_meter_energy_wh(uint64_t start_wh, uint64_t life_pulses, uint32_t pulse_constant) {
    if (pulse_constant == 0) {
        return 0;
    }
    // floor(life * 1000 / constant) without the overflow of life * 1000.
    uint64_t whole_kwh = life_pulses / pulse_constant;
    uint64_t rest_wh = life_pulses % pulse_constant * 1000 / pulse_constant;
    if (whole_kwh > (UINT64_MAX - rest_wh) / 1000) {
        return UINT64_MAX;
    }
    uint64_t life_wh = whole_kwh * 1000 + rest_wh;
    return life_wh > UINT64_MAX - start_wh ? UINT64_MAX : start_wh + life_wh;
}

mm_writer_t mmi_frame_begin(void *bytes, size_t capacity_bytes, uint8_t type, mm_mac_t source) {
    size_t room_bytes = capacity_bytes < MM_MESH_FRAME_BYTES_MAX ? capacity_bytes : MM_MESH_FRAME_BYTES_MAX;
    mm_writer_t writer = mm_writer(bytes, room_bytes >= MMI_CRC_BYTES ? room_bytes - MMI_CRC_BYTES : 0);
    mmi_envelope_put(&writer, MMI_MAGIC_FRAME, type);
    mm_put_u16(&writer, 0);
    mm_put_mac(&writer, source);
    return writer;
}

size_t mmi_frame_seal(const mm_writer_t *writer) {
    if (writer->failed) {
        return 0;
    }
    mm_writer_t whole = *writer;
    whole.capacity_bytes += MMI_CRC_BYTES;
    size_t frame_bytes = whole.used_bytes + MMI_CRC_BYTES;
    mm_patch_u16(&whole, MMI_FRAME_LENGTH_OFFSET, (uint16_t)frame_bytes);
    mm_put_u32(&whole, mm_crc32(0, whole.data, whole.used_bytes));
    return frame_bytes;
}

mm_err_t mm_frame_open(const void *bytes, size_t bytes_count, mm_frame_t *frame) {
    if (bytes_count > MM_MESH_FRAME_BYTES_MAX) {
        return MM_ERR_CORRUPT;
    }
    mm_reader_t reader;
    mm_err_t err = mmi_envelope_open(bytes, bytes_count, MMI_MAGIC_FRAME, 2, MMI_FRAME_HEADER_BYTES + MMI_CRC_BYTES,
                                     &frame->type, &reader);
    if (err != MM_OK) {
        return err;
    }
    frame->source = mm_get_mac(&reader);
    frame->body_bytes = mm_reader_left_bytes(&reader);
    frame->body = mm_get_view(&reader, frame->body_bytes);
    return MM_OK;
}

size_t mm_frame_write_hello(void *bytes, size_t capacity_bytes, mm_mac_t source, const mm_hello_t *hello) {
    mm_writer_t writer = mmi_frame_begin(bytes, capacity_bytes, MM_FRAME_HELLO, source);
    mm_put_u32(&writer, hello->boot_no);
    return mmi_frame_seal(&writer);
}

size_t mm_frame_write_welcome(void *bytes, size_t capacity_bytes, mm_mac_t source, const mm_welcome_t *welcome) {
    mm_writer_t writer = mmi_frame_begin(bytes, capacity_bytes, MM_FRAME_WELCOME, source);
    mmi_put_time(&writer, welcome->time);
    return mmi_frame_seal(&writer);
}

static const mmi_field_t begin_fields[] = {
    MMI_FIELD(mm_ask_t, round_id, 4),
    MMI_FIELD(mm_ask_t, time, MMI_FIELD_TIME),
    MMI_BITS(mm_ask_t, with_snapshot, 0x01),
    MMI_BITS_LAST(mm_ask_t, has_watermark, 0x02),
};
static const mmi_field_t watermark_fields[] = {
    MMI_FIELD(mm_ask_t, watermark.epoch, 4),
    MMI_FIELD(mm_ask_t, watermark.seq, 4),
};
static const mmi_field_t after_fields[] = {
    MMI_FIELD(mm_ask_t, after.epoch, 4),
    MMI_FIELD(mm_ask_t, after.seq, 4),
    MMI_FIELD(mm_ask_t, report_bytes_max, 2),
};

void mmi_put_ask(mm_writer_t *writer, const mm_ask_t *ask) {
    MM_ASSERT(ask->report_bytes_max <= MM_MESH_FRAME_BYTES_MAX);
    mmi_put_fields(writer, MMI_FIELDS(begin_fields), ask);
    if (ask->has_watermark) {
        mmi_put_fields(writer, MMI_FIELDS(watermark_fields), ask);
    }
    mmi_put_fields(writer, MMI_FIELDS(after_fields), ask);
    if (ask->network_revision != 0) {
        mm_put_u8(writer, MMI_SECTION_NETWORK_REVISION);
        mm_put_u16(writer, sizeof ask->network_revision);
        mm_put_u32(writer, ask->network_revision);
    }
}

size_t mm_frame_write_ask(void *bytes, size_t capacity_bytes, mm_mac_t source, const mm_ask_t *ask) {
    mm_writer_t writer = mmi_frame_begin(bytes, capacity_bytes, MM_FRAME_ASK, source);
    mmi_put_ask(&writer, ask);
    return mmi_frame_seal(&writer);
}

mm_reader_t mmi_frame_body(const mm_frame_t *frame, mm_frame_type_t type) {
    MM_ASSERT(frame->type == type);
    return mm_reader(frame->body, frame->body_bytes);
}

mm_err_t mmi_finish_body(mm_reader_t *reader) {
    mmi_skip_sections(reader);
    return mmi_is_complete(reader) ? MM_OK : MM_ERR_CORRUPT;
}

mm_err_t mm_frame_read_hello(const mm_frame_t *frame, mm_hello_t *hello) {
    mm_reader_t reader = mmi_frame_body(frame, MM_FRAME_HELLO);
    hello->boot_no = mm_get_u32(&reader);
    return mmi_finish_body(&reader);
}

mm_err_t mm_frame_read_welcome(const mm_frame_t *frame, mm_welcome_t *welcome) {
    mm_reader_t reader = mmi_frame_body(frame, MM_FRAME_WELCOME);
    welcome->time = mmi_get_time(&reader);
    return mmi_finish_body(&reader);
}

void mmi_get_ask(mm_reader_t *reader, mm_ask_t *ask) {
    memset(ask, 0, sizeof *ask);
    mmi_get_fields(reader, MMI_FIELDS(begin_fields), ask);
    if (ask->has_watermark) {
        mmi_get_fields(reader, MMI_FIELDS(watermark_fields), ask);
    }
    mmi_get_fields(reader, MMI_FIELDS(after_fields), ask);
    if (ask->report_bytes_max > MM_MESH_FRAME_BYTES_MAX) {
        reader->failed = true;
    }
}

mm_err_t mm_frame_read_ask(const mm_frame_t *frame, mm_ask_t *ask) {
    mm_reader_t reader = mmi_frame_body(frame, MM_FRAME_ASK);
    mmi_get_ask(&reader, ask);
    mmi_check_ask_sections(&reader, &ask->network_revision);
    return mmi_is_complete(&reader) ? MM_OK : MM_ERR_CORRUPT;
}
