// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/text.h"

#include <string.h>

#include "test_support.h"

static const char *const plain[] = {"",
                                    "a b~",
                                    "Peñarol",
                                    "\xE2\x82\xAC",
                                    "\xF0\x9F\x94\x8C",
                                    "\xF4\x8F\xBF\xBF",
                                    "\xED\x9F\xBF",
                                    "\xEE\x80\x80",
                                    "\xC2\xA0",
                                    "<script>alert(1)</script>",
                                    "\xE2\x80\xA7",
                                    "\xE2\x80\xAF",
                                    "\xE2\x81\xAA",
                                    "\xE2\x81\xA5"};

static const struct {
    const char *bytes;
    size_t bytes_count;
} refused[] = {
    {"\0", 1},
    {"\x1f", 1},
    {"\x7f", 1},
    {"\xC2\x80", 2},
    {"\xC2\x9F", 2},
    {"\xC3", 1},
    {"\xC3(", 2},
    {"\x80", 1},
    {"\xC0\x80", 2},
    {"\xC1\xBF", 2},
    {"\xE0\x9F\xBF", 3},
    {"\xE2\x82", 2},
    {"\xE2(\xAC", 3},
    {"\xED\xA0\x80", 3},
    {"\xED\xBF\xBF", 3},
    {"\xF5", 1},
    {"\xF0\x8F\xBF\xBF", 4},
    {"\xF4\x90\x80\x80", 4},
    {"\xF0\x9F\x94(", 4},
    {"a\nb", 3},
    {"\xFF", 1},
    {"\xE2\x80\xAE", 3},
    {"\xE2\x80\xA8", 3},
    {"\xE2\x81\xA6", 3},
    {"\xE2\x81\xA9", 3},
};

static void test_text_takes_what_can_be_shown(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        assert_true(mm_text_is_plain(plain[i], strlen(plain[i])));
        assert_true(mm_text_is_plain_string(plain[i], strlen(plain[i]) + 1));
        assert_false(mm_text_is_plain_string(plain[i], strlen(plain[i]))); // not terminated
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_false(mm_text_is_plain(refused[i].bytes, refused[i].bytes_count));
    }
    assert_false(mm_text_is_plain_string("a\nb", 4));
}

// Every character there is, encoded here by the definition.
static void test_text_takes_every_character(void **state) {
    (void)state;
    uint32_t taken = 0;
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        char bytes[4];
        size_t size = 1;
        if (code < 0x80) {
            bytes[0] = (char)code;
        } else if (code < 0x800) {
            size = 2;
            bytes[0] = (char)(0xC0 | code >> 6);
        } else if (code < 0x10000) {
            size = 3;
            bytes[0] = (char)(0xE0 | code >> 12);
        } else {
            size = 4;
            bytes[0] = (char)(0xF0 | code >> 18);
        }
        for (size_t index = 1; index < size; index++) {
            bytes[index] = (char)(0x80 | (code >> (6 * (size - 1 - index)) & 0x3F));
        }
        taken += mm_text_is_plain(bytes, size) ? 1 : 0;
    }
    assert_int_equal(taken, 0x110000 - 65 - 2048 - 7 - 4);
}

static void test_text_counts_characters(void **state) {
    (void)state;
    assert_int_equal(mm_text_characters("a\xC3\xB1\xE2\x82\xAC\xF0\x9F\x94\x8Cz", 11), 5);
    assert_int_equal(mm_text_characters("", 0), 0);
}

static void test_text_knows_sites(void **state) {
    (void)state;
    static const char *const good[] = {"a", "z", "0", "9", "-", "north-7"};
    static const char *const bad[] = {"", "A", "a b", "a/b", "a+", "a_b", "\xC3\xB1"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(mm_text_is_site(good[i], strlen(good[i]) + 1));
        assert_false(mm_text_is_site(good[i], strlen(good[i]))); // not terminated within its room
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(mm_text_is_site(bad[i], strlen(bad[i]) + 1));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_takes_what_can_be_shown),
        cmocka_unit_test(test_text_takes_every_character),
        cmocka_unit_test(test_text_counts_characters),
        cmocka_unit_test(test_text_knows_sites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
