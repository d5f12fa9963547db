// SPDX-License-Identifier: Apache-2.0
#include "wire/fields.h"

#include <string.h>

#include "codec_internal.h"

static uint64_t load(const void *member, size_t member_bytes) {
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

void mmi_put_fields(mm_writer_t *writer, const mmi_field_t *fields, size_t field_count, const void *object) {
    for (; field_count > 0; field_count--, fields++) {
        const void *member = (const uint8_t *)object + fields->offset_bytes;
        switch (fields->kind) {
        case MMI_FIELD_VARINT:
            mm_put_varint(writer, load(member, fields->member_bytes));
            break;
        case MMI_FIELD_BOUNDED:
            mm_put_varint(writer, mmi_bounded(*(const uint64_t *)member));
            break;
        case MMI_FIELD_SIGNED:
            mm_put_signed_varint(writer, *(const int64_t *)member);
            break;
        case MMI_FIELD_BYTES:
            mm_put_bytes(writer, member, fields->member_bytes);
            break;
        case MMI_FIELD_WORDS:
            for (size_t index = 0; index < fields->member_bytes / sizeof(uint32_t); index++) {
                mm_put_u32(writer, ((const uint32_t *)member)[index]);
            }
            break;
        case MMI_FIELD_LABEL:
            mmi_put_label(writer, *(const mm_label_t *)member);
            break;
        default:
            mm_put_little_endian(writer, load(member, fields->member_bytes), fields->kind);
            break;
        }
    }
}

void mmi_get_fields(mm_reader_t *reader, const mmi_field_t *fields, size_t field_count, void *object) {
    for (; field_count > 0; field_count--, fields++) {
        void *member = (uint8_t *)object + fields->offset_bytes;
        switch (fields->kind) {
        case MMI_FIELD_VARINT:
            mmi_store_number(member, fields->member_bytes,
                             mm_get_varint_max(reader, UINT64_MAX >> (64 - 8 * fields->member_bytes)));
            break;
        case MMI_FIELD_BOUNDED:
            *(uint64_t *)member = mm_get_varint_max(reader, MMI_VALUE_MAX);
            break;
        case MMI_FIELD_SIGNED:
            *(int64_t *)member = mm_get_signed_varint(reader);
            break;
        case MMI_FIELD_BYTES:
            mm_get_bytes(reader, member, fields->member_bytes);
            break;
        case MMI_FIELD_WORDS:
            for (size_t index = 0; index < fields->member_bytes / sizeof(uint32_t); index++) {
                ((uint32_t *)member)[index] = mm_get_u32(reader);
            }
            break;
        case MMI_FIELD_LABEL:
            *(mm_label_t *)member = mmi_get_label(reader);
            break;
        default:
            mmi_store_number(member, fields->member_bytes, mm_get_little_endian(reader, fields->kind));
            break;
        }
    }
}
