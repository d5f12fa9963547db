// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/bytes.h"

#include <string.h>

mm_writer_t mm_writer(void *data, size_t capacity_bytes) {
    return (mm_writer_t){.data = data, .capacity_bytes = capacity_bytes};
}

// Where so many bytes go, at least 1; NULL (and failed): they do not fit.
static uint8_t *take_room(mm_writer_t *self, size_t bytes_count) {
    if (self->failed || bytes_count > self->capacity_bytes - self->used_bytes) {
        self->failed = true;
        return NULL;
    }
    uint8_t *room = self->data + self->used_bytes;
    self->used_bytes += bytes_count;
    return room;
}

void mm_put_bytes(mm_writer_t *self, const void *bytes, size_t bytes_count) {
    // Of no bytes at all there may be no address, and no room for them either.
    uint8_t *room = bytes_count > 0 ? take_room(self, bytes_count) : NULL;
    if (room != NULL) {
        memcpy(room, bytes, bytes_count);
    }
}

void mm_put_little_endian(mm_writer_t *self, uint64_t value, size_t bytes_count) {
    uint8_t *room = take_room(self, bytes_count);
    if (room != NULL) {
        for (; bytes_count > 0; bytes_count--) {
            *room++ = (uint8_t)value;
            value >>= 8;
        }
    }
}

void mm_put_u8(mm_writer_t *self, uint8_t value) {
    mm_put_little_endian(self, value, 1);
}

void mm_put_u16(mm_writer_t *self, uint16_t value) {
    mm_put_little_endian(self, value, 2);
}

void mm_put_u32(mm_writer_t *self, uint32_t value) {
    mm_put_little_endian(self, value, 4);
}

void mm_put_u64(mm_writer_t *self, uint64_t value) {
    mm_put_little_endian(self, value, 8);
}

void mm_put_u40(mm_writer_t *self, uint64_t value) {
    MM_ASSERT(value < (UINT64_C(1) << 40));
    mm_put_little_endian(self, value, 5);
}

void mm_put_varint(mm_writer_t *self, uint64_t value) {
    uint8_t bytes[10];
    size_t bytes_count = 0;
    while (value >= 0x80) {
        bytes[bytes_count++] = (uint8_t)((value & 0x7F) | 0x80);
        value >>= 7;
    }
    bytes[bytes_count++] = (uint8_t)value;
    mm_put_bytes(self, bytes, bytes_count);
}

void mm_put_signed_varint(mm_writer_t *self, int64_t value) {
    uint64_t doubled = (uint64_t)value << 1;
    mm_put_varint(self, value < 0 ? ~doubled : doubled);
}

void mm_put_mac(mm_writer_t *self, mm_mac_t mac) {
    mm_put_bytes(self, mac.bytes, sizeof mac.bytes);
}

void mm_patch_u16(mm_writer_t *self, size_t offset_bytes, uint16_t value) {
    if (self->failed) {
        return;
    }
    MM_ASSERT(self->used_bytes >= 2 && offset_bytes <= self->used_bytes - 2);
    self->data[offset_bytes] = (uint8_t)(value & 0xFF);
    self->data[offset_bytes + 1] = (uint8_t)(value >> 8);
}

mm_reader_t mm_reader(const void *data, size_t size_bytes) {
    // A view of nothing still needs an address that is not NULL.
    static const uint8_t nothing[1] = {0};
    MM_ASSERT(data != NULL || size_bytes == 0);
    return (mm_reader_t){.data = data != NULL ? data : nothing, .size_bytes = size_bytes};
}

const uint8_t *mm_get_view(mm_reader_t *self, size_t bytes_count) {
    if (self->failed || bytes_count > self->size_bytes - self->position_bytes) {
        self->failed = true;
        return NULL;
    }
    const uint8_t *view = self->data + self->position_bytes;
    self->position_bytes += bytes_count;
    return view;
}

uint64_t mm_get_little_endian(mm_reader_t *self, size_t bytes_count) {
    const uint8_t *bytes = mm_get_view(self, bytes_count);
    uint64_t value = 0;
    if (bytes != NULL) {
        while (bytes_count > 0) {
            value = value << 8 | bytes[--bytes_count];
        }
    }
    return value;
}

uint8_t mm_get_u8(mm_reader_t *self) {
    return (uint8_t)mm_get_little_endian(self, 1);
}

uint16_t mm_get_u16(mm_reader_t *self) {
    return (uint16_t)mm_get_little_endian(self, 2);
}

uint32_t mm_get_u32(mm_reader_t *self) {
    return (uint32_t)mm_get_little_endian(self, 4);
}

uint64_t mm_get_u64(mm_reader_t *self) {
    return mm_get_little_endian(self, 8);
}

uint64_t mm_get_u40(mm_reader_t *self) {
    return mm_get_little_endian(self, 5);
}

uint64_t mm_get_varint(mm_reader_t *self) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = mm_get_u8(self);
        if (self->failed) {
            return 0;
        }
        // The tenth byte has room for bit 63 alone. A last byte of zero would be a longer code of the same value.
        if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0)) {
            break;
        }
        value |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    self->failed = true;
    return 0;
}

uint64_t mm_get_varint_max(mm_reader_t *self, uint64_t max) {
    uint64_t value = mm_get_varint(self);
    if (value > max) {
        self->failed = true;
        return 0;
    }
    return value;
}

int64_t mm_get_signed_varint(mm_reader_t *self) {
    uint64_t zigzag = mm_get_varint(self);
    int64_t half = (int64_t)(zigzag >> 1);
    return (zigzag & 1) != 0 ? -half - 1 : half;
}

void mm_get_bytes(mm_reader_t *self, void *bytes, size_t bytes_count) {
    if (bytes_count == 0) {
        return;
    }
    const uint8_t *view = mm_get_view(self, bytes_count);
    if (view == NULL) {
        memset(bytes, 0, bytes_count);
        return;
    }
    memcpy(bytes, view, bytes_count);
}

mm_mac_t mm_get_mac(mm_reader_t *self) {
    mm_mac_t mac;
    mm_get_bytes(self, mac.bytes, sizeof mac.bytes);
    return mac;
}

size_t mm_reader_left_bytes(const mm_reader_t *self) {
    return self->failed ? 0 : self->size_bytes - self->position_bytes;
}

size_t mm_varint_bytes(uint64_t value) {
    size_t bytes_count = 1;
    while (value >= 0x80) {
        value >>= 7;
        bytes_count++;
    }
    return bytes_count;
}

int mm_hex_digit(char character) {
    if (character >= '0' && character <= '9') {
        return character - '0';
    }
    if (character >= 'a' && character <= 'f') {
        return character - 'a' + 10;
    }
    return character >= 'A' && character <= 'F' ? character - 'A' + 10 : -1;
}

bool mm_hex_read(const char *text, uint8_t *bytes, size_t bytes_count) {
    for (; bytes_count > 0; bytes_count--, text += 2) {
        int high = mm_hex_digit(text[0]);
        int low = high >= 0 ? mm_hex_digit(text[1]) : -1;
        if (low < 0) {
            return false;
        }
        *bytes++ = (uint8_t)(high * 16 + low);
    }
    return *text == '\0';
}

size_t mm_bytes_used(const void *bytes, size_t bytes_count) {
    const uint8_t *byte = bytes;
    size_t word = SIZE_MAX;
    while (bytes_count >= sizeof word && word == SIZE_MAX) {
        memcpy(&word, byte + bytes_count - sizeof word, sizeof word);
        bytes_count -= word == SIZE_MAX ? sizeof word : 0;
    }
    while (bytes_count > 0 && byte[bytes_count - 1] == 0xFF) {
        bytes_count--;
    }
    return bytes_count;
}

void mm_wipe(void *bytes, size_t bytes_count) {
    volatile uint8_t *byte = bytes;
    for (size_t i = 0; i < bytes_count; i++) {
        byte[i] = 0;
    }
}

bool mm_bytes_equal_constant_time(const void *left, const void *right, size_t bytes_count) {
    const uint8_t *left_bytes = left;
    const uint8_t *right_bytes = right;
    volatile uint8_t difference = 0; // so that no compiler ends the loop early
    for (size_t index = 0; index < bytes_count; index++) {
        difference = (uint8_t)(difference | (left_bytes[index] ^ right_bytes[index]));
    }
    return difference == 0;
}
