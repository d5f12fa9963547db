// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/crc32.h"

#include <string.h>

#include "test_support.h"

// The first is the check value of the algorithm's catalogue entry (CRC-32/ISO-HDLC). The others were computed with
// Python's zlib.crc32.
static void test_crc32_known_values(void **state) {
    (void)state;
    uint8_t all[256];
    uint8_t zeros[32] = {0};
    uint8_t ones[32];
    for (size_t index = 0; index < sizeof all; index++) {
        all[index] = (uint8_t)index;
    }
    memset(ones, 0xFF, sizeof ones);
    assert_true(mm_crc32(0, "123456789", 9) == 0xCBF43926);
    assert_true(mm_crc32(0, "", 0) == 0);
    assert_true(mm_crc32(0, NULL, 0) == 0);
    assert_true(mm_crc32(0, "a", 1) == 0xE8B7BE43);
    assert_true(mm_crc32(0, "abc", 3) == 0x352441C2);
    assert_true(mm_crc32(0, "message digest", 14) == 0x20159D7F);
    assert_true(mm_crc32(0, "The quick brown fox jumps over the lazy dog", 43) == 0x414FA339);
    assert_true(mm_crc32(0, all, sizeof all) == 0x29058C73);
    assert_true(mm_crc32(0, zeros, sizeof zeros) == 0x190A55AD);
    assert_true(mm_crc32(0, ones, sizeof ones) == 0xFF6CAB0B);
}

static void test_crc32_continues_over_parts(void **state) {
    (void)state;
    const char text[] = "123456789";
    for (size_t first_bytes = 0; first_bytes <= 9; first_bytes++) {
        uint32_t crc = mm_crc32(0, text, first_bytes);
        assert_true(mm_crc32(crc, text + first_bytes, 9 - first_bytes) == 0xCBF43926);
    }
}

// One bit at a time, as the polynomial says.
static uint32_t crc32_by_definition(const uint8_t *bytes, size_t bytes_count) {
    uint32_t crc = UINT32_MAX;
    for (size_t index = 0; index < bytes_count; index++) {
        crc ^= bytes[index];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
        }
    }
    return ~crc;
}

// Every byte at every place of a word, so every entry of every table; and every length and alignment around it.
static void test_crc32_tables_follow_the_definition(void **state) {
    (void)state;
    uint8_t bytes[24] = {0};
    for (size_t place = 0; place < 8; place++) {
        for (int value = 0; value < 256; value++) {
            bytes[place] = (uint8_t)value;
            assert_true(mm_crc32(0, bytes, 8) == crc32_by_definition(bytes, 8));
        }
    }
    for (size_t index = 0; index < sizeof bytes; index++) {
        bytes[index] = (uint8_t)(index * 37 + 11);
    }
    for (size_t from = 0; from < 4; from++) {
        for (size_t bytes_count = 0; bytes_count + from <= sizeof bytes; bytes_count++) {
            assert_true(mm_crc32(0, bytes + from, bytes_count) == crc32_by_definition(bytes + from, bytes_count));
        }
    }
}

// Lengths at which a port's own function takes other ways, at each alignment, and from any state before.
static void test_crc32_of_any_length(void **state) {
    (void)state;
    static uint8_t bytes[16 + 300];
    for (size_t index = 0; index < sizeof bytes; index++) {
        bytes[index] = (uint8_t)(index * index * 37 + index / 7 + 11);
    }
    for (size_t bytes_count = 0; bytes_count <= 300; bytes_count++) {
        size_t from = bytes_count % 16;
        uint32_t crc = crc32_by_definition(bytes + from, bytes_count);
        assert_true(mm_crc32(0, bytes + from, bytes_count) == crc);
        size_t first_bytes = bytes_count * 5 / 13;
        uint32_t before = mm_crc32(0, bytes + from, first_bytes);
        assert_true(mm_crc32(before, bytes + from + first_bytes, bytes_count - first_bytes) == crc);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32_known_values),
        cmocka_unit_test(test_crc32_continues_over_parts),
        cmocka_unit_test(test_crc32_tables_follow_the_definition),
        cmocka_unit_test(test_crc32_of_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
