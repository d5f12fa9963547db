// SPDX-License-Identifier: Apache-2.0
#include "codec_internal.h"

#include <string.h>

#include "meshmeter/crc32.h"

#define SECTION_LENGTH_OFFSET 1

void mmi_put_time(mm_writer_t *writer, mm_time_t time) {
    MM_ASSERT(time.utc.us >= 0 && (unsigned)time.trust <= MM_TRUST_SYNCED);
    mm_put_u8(writer, (uint8_t)time.trust);
    mm_put_u64(writer, (uint64_t)time.utc.us);
}

static mm_trust_t get_trust(mm_reader_t *reader) {
    uint8_t trust = mm_get_u8(reader);
    if (trust > MM_TRUST_SYNCED) {
        reader->failed = true;
        return MM_TRUST_UNSET;
    }
    return (mm_trust_t)trust;
}

mm_time_t mmi_get_time(mm_reader_t *reader) {
    mm_time_t time = {.trust = get_trust(reader)};
    uint64_t utc_us = mm_get_u64(reader);
    if (utc_us > MMI_VALUE_MAX) {
        reader->failed = true;
        return time;
    }
    time.utc.us = (int64_t)utc_us;
    return time;
}

void mmi_put_label(mm_writer_t *writer, mm_label_t label) {
    MM_ASSERT((unsigned)label.trust <= MM_TRUST_SYNCED);
    mm_put_u8(writer, (uint8_t)label.trust);
    mm_put_u40(writer, label.seconds);
}

mm_label_t mmi_get_label(mm_reader_t *reader) {
    mm_label_t label = {.trust = get_trust(reader)};
    label.seconds = mm_get_u40(reader);
    return label;
}

static MM_APART uint8_t width_of(const uint32_t *values, size_t count) {
    uint32_t all = 0;
    for (size_t index = 0; index < count; index++) {
        all |= values[index];
    }
    uint8_t width = 0;
    while (all != 0) {
        all >>= 1;
        width++;
    }
    return width;
}

void mmi_put_packed(mm_writer_t *writer, const uint32_t *values, size_t count) {
    MM_ASSERT(count % 8 == 0);
    uint8_t width = width_of(values, count);
    mm_put_u8(writer, width);
    uint64_t bits = 0;
    unsigned bits_count = 0; // below 8 between two numbers, so at most 39 within
    for (size_t index = 0; index < count; index++) {
        bits |= (uint64_t)values[index] << bits_count;
        bits_count += width;
        for (; bits_count >= 8; bits_count -= 8) {
            mm_put_u8(writer, (uint8_t)(bits & 0xFF));
            bits >>= 8;
        }
    }
}

void mmi_get_packed(mm_reader_t *reader, uint32_t *values, size_t count) {
    MM_ASSERT(count % 8 == 0);
    uint8_t width = mm_get_u8(reader);
    const uint8_t *byte = width > 32 ? NULL : mm_get_view(reader, count / 8 * width);
    if (byte == NULL) {
        reader->failed = true;
        memset(values, 0, count * sizeof *values);
        return;
    }
    const uint64_t mask = (UINT64_C(1) << width) - 1;
    uint64_t bits = 0;
    unsigned bits_count = 0;
    for (size_t index = 0; index < count; index++) {
        for (; bits_count < width; bits_count += 8) {
            bits |= (uint64_t)*byte++ << bits_count;
        }
        values[index] = (uint32_t)(bits & mask);
        bits >>= width;
        bits_count -= width;
    }
    // A wider form than needed is not the one encoding of this value.
    reader->failed = width_of(values, count) != width;
}

static MM_APART uint64_t sum_of_hours(const uint32_t hours_pulses[MM_HOURS_OF_DAY]) {
    uint64_t sum = 0;
    for (size_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
        sum += hours_pulses[hour];
    }
    return sum;
}

bool mmi_month_is_sum(uint32_t month_pulses, const uint32_t hours_pulses[MM_HOURS_OF_DAY]) {
    return sum_of_hours(hours_pulses) == month_pulses;
}

void mmi_put_month(mm_writer_t *writer, uint32_t month_pulses, const uint32_t hours_pulses[MM_HOURS_OF_DAY]) {
    mmi_put_packed(writer, hours_pulses, MM_HOURS_OF_DAY);
    if (!mmi_month_is_sum(month_pulses, hours_pulses)) {
        mm_put_varint(writer, month_pulses);
    }
}

uint32_t mmi_get_month(mm_reader_t *reader, bool is_sum, uint32_t hours_pulses[MM_HOURS_OF_DAY]) {
    mmi_get_packed(reader, hours_pulses, MM_HOURS_OF_DAY);
    uint64_t sum = sum_of_hours(hours_pulses);
    if (is_sum) {
        if (sum > UINT32_MAX) {
            reader->failed = true;
            return 0;
        }
        return (uint32_t)sum;
    }
    uint32_t month_pulses = (uint32_t)mm_get_varint_max(reader, UINT32_MAX);
    if (month_pulses == sum) {
        reader->failed = true;
    }
    return month_pulses;
}

bool mmi_is_id(const char id[MM_METER_ID_CHARS_MAX + 1]) {
    size_t chars = 0;
    while (chars <= MM_METER_ID_CHARS_MAX && id[chars] >= 0x20 && id[chars] <= 0x7E) {
        chars++;
    }
    return chars <= MM_METER_ID_CHARS_MAX && id[chars] == '\0';
}

size_t mmi_id_chars(const char id[MM_METER_ID_CHARS_MAX + 1]) {
    MM_ASSERT(mmi_is_id(id));
    return strlen(id);
}

void mmi_get_id(mm_reader_t *reader, size_t chars, char id[MM_METER_ID_CHARS_MAX + 1]) {
    if (chars > MM_METER_ID_CHARS_MAX) {
        reader->failed = true;
        return;
    }
    mm_get_bytes(reader, id, chars);
    id[chars] = '\0';
    reader->failed = reader->failed || strlen(id) != chars || !mmi_is_id(id);
}

uint64_t mmi_bounded(uint64_t value) {
    return value < MMI_VALUE_MAX ? value : MMI_VALUE_MAX;
}

mm_writer_t mmi_section_begin(const mm_writer_t *writer, uint8_t type) {
    mm_writer_t section = *writer;
    mm_put_u8(&section, type);
    mm_put_u16(&section, 0);
    return section;
}

void mmi_section_patch(mm_writer_t *writer, size_t section_offset_bytes) {
    size_t content_bytes = writer->used_bytes - section_offset_bytes - MMI_SECTION_HEADER_BYTES;
    mm_patch_u16(writer, section_offset_bytes + SECTION_LENGTH_OFFSET, (uint16_t)content_bytes);
}

mm_err_t mmi_section_end(mm_writer_t *writer, mm_writer_t *section) {
    if (section->failed) {
        return MM_ERR_FULL;
    }
    mmi_section_patch(section, writer->used_bytes);
    *writer = *section;
    return MM_OK;
}

bool mmi_next_section(mm_reader_t *reader, uint8_t *type, mm_reader_t *content) {
    if (reader->failed || mm_reader_left_bytes(reader) == 0) {
        return false;
    }
    *type = mm_get_u8(reader);
    size_t content_bytes = mm_get_u16(reader);
    const uint8_t *view = mm_get_view(reader, content_bytes);
    if (view == NULL || *type == MMI_SECTION_NONE) {
        reader->failed = true;
        return false;
    }
    *content = mm_reader(view, content_bytes);
    return true;
}

void mmi_skip_sections(mm_reader_t *reader) {
    uint8_t type;
    mm_reader_t content;
    while (mmi_next_section(reader, &type, &content)) {
    }
}

bool mmi_is_complete(const mm_reader_t *reader) {
    return !reader->failed && mm_reader_left_bytes(reader) == 0;
}

void mmi_envelope_put(mm_writer_t *writer, uint8_t magic, uint8_t type) {
    mm_put_u8(writer, MMI_MAGIC_FIRST);
    mm_put_u8(writer, magic);
    mm_put_u8(writer, MMI_WIRE_VERSION);
    mm_put_u8(writer, type);
}

mm_err_t mmi_envelope_open(const void *bytes, size_t bytes_count, uint8_t magic, size_t length_bytes,
                           size_t minimum_bytes, uint8_t *type, mm_reader_t *body) {
    if (bytes_count < minimum_bytes) {
        return MM_ERR_CORRUPT;
    }
    mm_reader_t reader = mm_reader(bytes, bytes_count - MMI_CRC_BYTES);
    if (mm_get_u8(&reader) != MMI_MAGIC_FIRST || mm_get_u8(&reader) != magic) {
        return MM_ERR_CORRUPT;
    }
    uint8_t version = mm_get_u8(&reader);
    *type = mm_get_u8(&reader);
    uint32_t length = length_bytes == 2 ? mm_get_u16(&reader) : mm_get_u32(&reader);
    if (length != bytes_count) {
        return MM_ERR_CORRUPT;
    }
    mm_reader_t crc = mm_reader(reader.data + reader.size_bytes, MMI_CRC_BYTES);
    if (mm_get_u32(&crc) != mm_crc32(0, bytes, bytes_count - MMI_CRC_BYTES)) {
        return MM_ERR_CORRUPT;
    }
    *body = reader;
    return version == MMI_WIRE_VERSION ? MM_OK : MM_ERR_VERSION;
}

mm_err_t mmi_downlink_open(const void *bytes, size_t bytes_count, uint8_t magic, size_t minimum_bytes,
                           mm_reader_t *body) {
    if (bytes_count > MM_DOWNLINK_BYTES_MAX) {
        return MM_ERR_CORRUPT;
    }
    uint8_t type;
    mm_err_t err = mmi_envelope_open(bytes, bytes_count, magic, 4, minimum_bytes, &type, body);
    return err == MM_OK && type != MMI_DOWNLINK_TYPE ? MM_ERR_VERSION : err;
}
