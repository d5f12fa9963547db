// SPDX-License-Identifier: Apache-2.0
#include "wire/fields.h"

#include <string.h>

#include "codec_internal.h"

uint64_t mmi_load_number(const void *member, size_t member_bytes) {
    switch (member_bytes) {
    case 1:
        return *(const uint8_t *)member;
    case 2:
        return *(const uint16_t *)member;
    case 4:
        return *(const uint32_t *)member;
    default:
        MM_ASSERT(member_bytes == 8);
        return *(const uint64_t *)member;
    }
}

void mmi_store_number(void *member, size_t member_bytes, uint64_t value) {
    switch (member_bytes) {
    case 1:
        *(uint8_t *)member = (uint8_t)value;
        break;
    case 2:
        *(uint16_t *)member = (uint16_t)value;
        break;
    case 4:
        *(uint32_t *)member = (uint32_t)value;
        break;
    default:
        MM_ASSERT(member_bytes == 8);
        *(uint64_t *)member = value;
        break;
    }
}

static size_t text_bytes(const char *text, size_t capacity_bytes) {
    const char *end = memchr(text, '\0', capacity_bytes);
    MM_ASSERT(end != NULL);
    return (size_t)(end - text);
}

static void put_text(mm_writer_t *writer, const char *text, size_t bytes_count) {
    mm_put_u8(writer, (uint8_t)bytes_count);
    mm_put_bytes(writer, text, bytes_count);
}

static void get_text(mm_reader_t *reader, char *text, size_t capacity_bytes) {
    size_t bytes_count = mm_get_u8(reader);
    if (bytes_count >= capacity_bytes) {
        reader->failed = true;
        return;
    }
    mm_get_bytes(reader, text, bytes_count);
    text[bytes_count] = '\0';
    reader->failed = reader->failed || strlen(text) != bytes_count;
}

// What a member's value is multiplied by on its way to its bits.
static unsigned lowest_bit(unsigned mask) {
    return mask & (0u - mask);
}

void mmi_put_fields(mm_writer_t *writer, const mmi_field_t *fields, size_t field_count, const void *object) {
    unsigned bits = 0;
    for (; field_count > 0; field_count--, fields++) {
        const void *member = (const uint8_t *)object + fields->offset_bytes;
        const size_t member_bytes = fields->member_bytes;
        switch (fields->kind) {
        case MMI_FIELD_VARINT:
            mm_put_varint(writer, mmi_load_number(member, member_bytes));
            break;
        case MMI_FIELD_BOUNDED:
            mm_put_varint(writer, mmi_bounded(*(const uint64_t *)member));
            break;
        case MMI_FIELD_SIGNED:
            mm_put_signed_varint(writer, *(const int64_t *)member);
            break;
        case MMI_FIELD_BYTES:
            mm_put_bytes(writer, member, member_bytes);
            break;
        case MMI_FIELD_WORDS:
            for (size_t index = 0; index < member_bytes / sizeof(uint32_t); index++) {
                mm_put_u32(writer, ((const uint32_t *)member)[index]);
            }
            break;
        case MMI_FIELD_PACKED:
            mmi_put_packed(writer, member, member_bytes / sizeof(uint32_t));
            break;
        case MMI_FIELD_LABEL:
            mmi_put_label(writer, *(const mm_label_t *)member);
            break;
        case MMI_FIELD_TIME:
            mmi_put_time(writer, *(const mm_time_t *)member);
            break;
        case MMI_FIELD_TEXT:
            put_text(writer, member, text_bytes(member, member_bytes));
            break;
        case MMI_FIELD_ID:
            put_text(writer, member, mmi_id_chars(member));
            break;
        case MMI_FIELD_BITS:
        case MMI_FIELD_BITS_LAST: {
            unsigned value = *(const uint8_t *)member * lowest_bit(fields->member_bytes);
            MM_ASSERT((value & ~(unsigned)fields->member_bytes) == 0);
            bits |= value;
            if (fields->kind == MMI_FIELD_BITS_LAST) {
                mm_put_u8(writer, (uint8_t)bits);
                bits = 0;
            }
            break;
        }
        default:
            mm_put_little_endian(writer, mmi_load_number(member, member_bytes), fields->kind);
            break;
        }
    }
}

void mmi_get_fields(mm_reader_t *reader, const mmi_field_t *fields, size_t field_count, void *object) {
    unsigned bits = 0;
    unsigned known = 0; // of the byte that `bits` is of; 0: none was begun
    for (; field_count > 0; field_count--, fields++) {
        void *member = (uint8_t *)object + fields->offset_bytes;
        const size_t member_bytes = fields->member_bytes;
        switch (fields->kind) {
        case MMI_FIELD_VARINT:
            mmi_store_number(member, member_bytes, mm_get_varint_max(reader, UINT64_MAX >> (64 - 8 * member_bytes)));
            break;
        case MMI_FIELD_BOUNDED:
            *(uint64_t *)member = mm_get_varint_max(reader, MMI_VALUE_MAX);
            break;
        case MMI_FIELD_SIGNED:
            *(int64_t *)member = mm_get_signed_varint(reader);
            break;
        case MMI_FIELD_BYTES:
            mm_get_bytes(reader, member, member_bytes);
            break;
        case MMI_FIELD_WORDS:
            for (size_t index = 0; index < member_bytes / sizeof(uint32_t); index++) {
                ((uint32_t *)member)[index] = mm_get_u32(reader);
            }
            break;
        case MMI_FIELD_PACKED:
            mmi_get_packed(reader, member, member_bytes / sizeof(uint32_t));
            break;
        case MMI_FIELD_LABEL:
            *(mm_label_t *)member = mmi_get_label(reader);
            break;
        case MMI_FIELD_TIME:
            *(mm_time_t *)member = mmi_get_time(reader);
            break;
        case MMI_FIELD_TEXT:
            get_text(reader, member, member_bytes);
            break;
        case MMI_FIELD_ID:
            mmi_get_id(reader, mm_get_u8(reader), member);
            break;
        case MMI_FIELD_BITS:
        case MMI_FIELD_BITS_LAST:
            bits = known == 0 ? mm_get_u8(reader) : bits;
            known |= fields->member_bytes;
            *(uint8_t *)member = (uint8_t)((bits & fields->member_bytes) / lowest_bit(fields->member_bytes));
            if (fields->kind == MMI_FIELD_BITS_LAST) {
                reader->failed = reader->failed || (bits & ~known) != 0;
                known = 0;
            }
            break;
        default:
            mmi_store_number(member, member_bytes, mm_get_little_endian(reader, fields->kind));
            break;
        }
    }
}
