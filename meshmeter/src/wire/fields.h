// SPDX-License-Identifier: Apache-2.0
#ifndef MM_WIRE_FIELDS_H
#define MM_WIRE_FIELDS_H

#include "meshmeter/bytes.h"
#include "meshmeter/record.h"

/// Members of a struct that follow each other in an encoding, as a table: a call for each costs ten bytes of code, in
/// each direction.

typedef enum {
    // 1 to 8: that many bytes, little-endian.
    MMI_FIELD_VARINT = 16, ///< of all values that the member can have
    MMI_FIELD_BOUNDED,     ///< varint up to MMI_VALUE_MAX, which stands for more (1.8); of 8 bytes
    MMI_FIELD_SIGNED,      ///< signed varint; of 8 bytes
    MMI_FIELD_BYTES,       ///< as they are
    MMI_FIELD_WORDS,       ///< an array of uint32_t, 4 bytes each
    MMI_FIELD_PACKED,      ///< an array of uint32_t, of one common width (1.6)
    MMI_FIELD_LABEL,       ///< mm_label_t (1.5)
    MMI_FIELD_TIME,        ///< mm_time_t (1.4)
    MMI_FIELD_TEXT,        ///< an array of char: length of one byte, characters; put asserts the terminator
    MMI_FIELD_ID,          ///< likewise, of printable ASCII alone, which put asserts
    MMI_FIELD_BITS,        ///< some bits of a byte, see MMI_BITS
    MMI_FIELD_BITS_LAST,
} mmi_field_kind_t;

typedef struct {
    uint16_t offset_bytes;
    uint8_t member_bytes; ///< of a number 1, 2, 4 or 8; of bits their mask
    uint8_t kind;         ///< mmi_field_kind_t
} mmi_field_t;

#define MMI_FIELD(type, member, kind)                                                                                  \
    { offsetof(type, member), sizeof(((type *)0)->member), kind }
/// A bool, or a number of one byte, that has its own bits of a byte. The byte begins with the first of them and ends
/// with the one that is MMI_BITS_LAST; bits that nobody has must be 0. put asserts that the value fits.
#define MMI_BITS(type, member, mask)                                                                                   \
    { offsetof(type, member), mask, MMI_FIELD_BITS }
#define MMI_BITS_LAST(type, member, mask)                                                                              \
    { offsetof(type, member), mask, MMI_FIELD_BITS_LAST }
#define MMI_FIELDS(fields) (fields), sizeof(fields) / sizeof((fields)[0])

/// Of a number with more bytes than on the wire, the low ones are written.
void mmi_put_fields(mm_writer_t *writer, const mmi_field_t *fields, size_t field_count, const void *object);
/// Numbers that do not fit their member fail the reader; a member that could not be read is zero.
void mmi_get_fields(mm_reader_t *reader, const mmi_field_t *fields, size_t field_count, void *object);

/// An unsigned number of 1, 2, 4 or 8 bytes.
uint64_t mmi_load_number(const void *member, size_t member_bytes);
void mmi_store_number(void *member, size_t member_bytes, uint64_t value);

#endif
