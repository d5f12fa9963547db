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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32_known_values),
        cmocka_unit_test(test_crc32_continues_over_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
