// SPDX-License-Identifier: Apache-2.0
#ifndef MM_BYTES_H
#define MM_BYTES_H

#include "meshmeter/base.h"

/// Bounds-checked little-endian writing and reading. Both are sticky: after the first overrun everything else is
/// ignored (reads give 0) and `failed` stays true, so a codec checks once, at its end. Bytes from outside are
/// decoded through mm_reader_t only; no struct is ever laid over them.

typedef struct {
    uint8_t *data; ///< borrowed
    size_t capacity_bytes;
    size_t used_bytes;
    bool failed;
} mm_writer_t;

mm_writer_t mm_writer(void *data, size_t capacity_bytes);
/// The low bytes of a value, at most 8.
void mm_put_little_endian(mm_writer_t *self, uint64_t value, size_t bytes_count);
void mm_put_u8(mm_writer_t *self, uint8_t value);
void mm_put_u16(mm_writer_t *self, uint16_t value);
void mm_put_u32(mm_writer_t *self, uint32_t value);
void mm_put_u64(mm_writer_t *self, uint64_t value);
/// 5 bytes; asserts that the value fits 40 bits.
void mm_put_u40(mm_writer_t *self, uint64_t value);
/// Unsigned LEB128, 1 to 10 bytes.
void mm_put_varint(mm_writer_t *self, uint64_t value);
/// A signed number as a varint of its zigzag form (0, -1, 1, -2 … as 0, 1, 2, 3 …).
void mm_put_signed_varint(mm_writer_t *self, int64_t value);
void mm_put_bytes(mm_writer_t *self, const void *bytes, size_t bytes_count);
void mm_put_mac(mm_writer_t *self, mm_mac_t mac);
/// Overwrite two bytes written before (a length known only afterwards). Asserts that they exist, unless failed.
void mm_patch_u16(mm_writer_t *self, size_t offset_bytes, uint16_t value);

typedef struct {
    const uint8_t *data; ///< borrowed
    size_t size_bytes;
    size_t position_bytes;
    bool failed;
} mm_reader_t;

mm_reader_t mm_reader(const void *data, size_t size_bytes);
/// At most 8 bytes.
uint64_t mm_get_little_endian(mm_reader_t *self, size_t bytes_count);
uint8_t mm_get_u8(mm_reader_t *self);
uint16_t mm_get_u16(mm_reader_t *self);
uint32_t mm_get_u32(mm_reader_t *self);
uint64_t mm_get_u64(mm_reader_t *self);
uint64_t mm_get_u40(mm_reader_t *self);
/// Rejects encodings longer than 10 bytes, above 64 bits, and not the shortest (one value, one encoding).
uint64_t mm_get_varint(mm_reader_t *self);
/// As mm_get_varint, and fails above `max`.
uint64_t mm_get_varint_max(mm_reader_t *self, uint64_t max);
/// Reverse of mm_put_signed_varint; every 64-bit number has one encoding.
int64_t mm_get_signed_varint(mm_reader_t *self);
void mm_get_bytes(mm_reader_t *self, void *bytes, size_t bytes_count);
mm_mac_t mm_get_mac(mm_reader_t *self);
/// Borrow bytes_count bytes in place; NULL (and failed) if there are fewer.
const uint8_t *mm_get_view(mm_reader_t *self, size_t bytes_count);
size_t mm_reader_left_bytes(const mm_reader_t *self);

/// Bytes that mm_put_varint would use for value.
size_t mm_varint_bytes(uint64_t value);

/// Value of a hexadecimal digit, of either case; -1: it is none.
int mm_hex_digit(char character);
/// Bytes from a text of exactly two digits each. False: it is none, and *bytes is partly written.
bool mm_hex_read(const char *text, uint8_t *bytes, size_t bytes_count);

/// How many bytes are left without the 0xFF at their end, which is what erased flash holds. Looks at that end only, a
/// word at a time.
size_t mm_bytes_used(const void *bytes, size_t bytes_count);

/// What was secret, and is not needed any more: zeros, that no optimisation leaves out.
void mm_wipe(void *bytes, size_t bytes_count);
/// Compare without telling by the time taken where the difference is.
bool mm_bytes_equal_constant_time(const void *left, const void *right, size_t bytes_count);

#endif
