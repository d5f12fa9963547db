// SPDX-License-Identifier: Apache-2.0
#ifndef MM_WIRE_VECTORS_H
#define MM_WIRE_VECTORS_H

// Golden vectors of tests/vectors/wire/ and what every message of docs/spec/wire.md has to stand.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meshmeter/random.h"
#include "test_support.h"

#define VECTOR_BYTES_MAX 20000

typedef struct {
    uint8_t bytes[VECTOR_BYTES_MAX];
    size_t bytes_count;
} vector_t;

static inline int vector_digit(int character) {
    if (character >= '0' && character <= '9') {
        return character - '0';
    }
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

/// Read tests/vectors/wire/<name>.hex. A missing or odd file fails the test.
static inline void vector_load(const char *name, vector_t *vector) {
    char path[512];
    snprintf(path, sizeof path, "%s/tests/vectors/wire/%s.hex", MM_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fail_msg("%s: cannot be read", path);
        return;
    }
    vector->bytes_count = 0;
    char line[4096];
    while (fgets(line, sizeof line, file) != NULL) {
        for (size_t at = 0; line[0] != '#' && line[at] != '\0' && line[at] != '\n'; at++) {
            if (line[at] == ' ') {
                continue;
            }
            int high = vector_digit(line[at]);
            int low = vector_digit(line[at + 1]);
            if (high < 0 || low < 0 || vector->bytes_count == VECTOR_BYTES_MAX) {
                fclose(file);
                fail_msg("%s: not hexadecimal: %s", path, line);
                return;
            }
            vector->bytes[vector->bytes_count++] = (uint8_t)(high * 16 + low);
            at++;
        }
    }
    fclose(file);
}

static inline void vector_assert_equal(const char *name, const void *bytes, size_t bytes_count) {
    static vector_t vector;
    vector_load(name, &vector);
    if (vector.bytes_count != bytes_count || memcmp(vector.bytes, bytes, bytes_count) != 0) {
        print_error("%s: %zu bytes expected, %zu made\n", name, vector.bytes_count, bytes_count);
        assert_int_equal(bytes_count, vector.bytes_count);
        assert_memory_equal(bytes, vector.bytes, bytes_count);
    }
}

/// A heap copy of exactly that size, so that the address sanitizer sees a read behind its end.
static inline uint8_t *vector_copy(const uint8_t *bytes, size_t bytes_count) {
    uint8_t *copy = malloc(bytes_count > 0 ? bytes_count : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, bytes_count);
    return copy;
}

/// CRC-32 bit by bit, straight from its definition: the tests do not seal messages with the code under test.
static inline uint32_t vector_crc32(const uint8_t *bytes, size_t bytes_count) {
    uint32_t crc = UINT32_MAX;
    for (size_t index = 0; index < bytes_count; index++) {
        crc ^= bytes[index];
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
        }
    }
    return ~crc;
}

/// Write length (of length_bytes) and checksum as a sender would.
static inline void vector_seal(uint8_t *bytes, size_t bytes_count, size_t length_bytes) {
    for (size_t index = 0; index < length_bytes; index++) {
        bytes[4 + index] = (uint8_t)(bytes_count >> (8 * index));
    }
    uint32_t crc = vector_crc32(bytes, bytes_count - 4);
    for (size_t index = 0; index < 4; index++) {
        bytes[bytes_count - 4 + index] = (uint8_t)(crc >> (8 * index));
    }
}

/// Decodes completely; true if everything was accepted.
typedef bool (*vector_decode_fn)(const uint8_t *bytes, size_t bytes_count);

/// Every truncation, every single flipped bit and one byte more are refused.
static inline void vector_assert_damage_refused(const vector_t *vector, vector_decode_fn decode) {
    for (size_t cut_bytes = 0; cut_bytes < vector->bytes_count; cut_bytes++) {
        uint8_t *copy = vector_copy(vector->bytes, cut_bytes);
        assert_false(decode(copy, cut_bytes));
        free(copy);
    }
    for (size_t bit = 0; bit < vector->bytes_count * 8; bit++) {
        uint8_t *copy = vector_copy(vector->bytes, vector->bytes_count);
        copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(decode(copy, vector->bytes_count));
        free(copy);
    }
    uint8_t *longer = malloc(vector->bytes_count + 1);
    assert_non_null(longer);
    memcpy(longer, vector->bytes, vector->bytes_count);
    longer[vector->bytes_count] = 0;
    assert_false(decode(longer, vector->bytes_count + 1));
    free(longer);
}

/// What a broken sender with a good checksum can do: every truncation and every flipped bit, sealed again. Whether it
/// is accepted is up to the content; it must not harm.
static inline void vector_try_sealed_damage(const vector_t *vector, size_t length_bytes, size_t minimum_bytes,
                                            vector_decode_fn decode) {
    for (size_t cut_bytes = minimum_bytes; cut_bytes <= vector->bytes_count; cut_bytes++) {
        uint8_t *copy = vector_copy(vector->bytes, cut_bytes);
        vector_seal(copy, cut_bytes, length_bytes);
        decode(copy, cut_bytes);
        free(copy);
    }
    for (size_t bit = 0; bit < (vector->bytes_count - 4) * 8; bit++) {
        uint8_t *copy = vector_copy(vector->bytes, vector->bytes_count);
        copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        vector_seal(copy, vector->bytes_count, length_bytes);
        decode(copy, vector->bytes_count);
        free(copy);
    }
}

/// A number of up to `bits` bits whose length is random too: small ones, and those at the limits, come often.
static inline uint64_t random_number(mm_random_t *random, unsigned bits) {
    unsigned used_bits = mm_random_below(random, bits + 1);
    uint64_t value = ((uint64_t)mm_random_u32(random) << 32) | mm_random_u32(random);
    uint64_t mask = used_bits == 64 ? UINT64_MAX : (UINT64_C(1) << used_bits) - 1;
    return mm_random_below(random, 4) == 0 ? mask : value & mask;
}

static inline uint32_t random_u32(mm_random_t *random) {
    return (uint32_t)random_number(random, 32);
}

#endif
