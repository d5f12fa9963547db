// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/form.h"

#include <stdio.h>
#include <string.h>

#include "test_support.h"

static mm_form_t open_form(const char *body) {
    mm_form_t form;
    assert_int_equal(mm_form_open(&form, body, strlen(body)), MM_OK);
    return form;
}

static void assert_text(const char *body, const char *name, mm_err_t err, const char *expected) {
    mm_form_t form = open_form(body);
    char text[16];
    memset(text, 'x', sizeof text);
    assert_int_equal(mm_form_text(&form, name, text, sizeof text), err);
    assert_string_equal(text, expected);
}

static void test_form_reads_texts(void **state) {
    (void)state;
    assert_text("a=1&b=two", "a", MM_OK, "1");
    assert_text("a=1&b=two", "b", MM_OK, "two");
    assert_text("a=1&b=two", "c", MM_ERR_NOT_FOUND, "");
    assert_text("", "a", MM_ERR_NOT_FOUND, "");
    assert_text("&&a=1&&", "a", MM_OK, "1");
    assert_text("a", "a", MM_OK, "");
    assert_text("a=", "a", MM_OK, "");
    assert_text("a=b=c", "a", MM_OK, "b=c");
    assert_text("a=x+y%2Bz%20%26", "a", MM_OK, "x y+z &");
    assert_text("%61=1", "a", MM_OK, "1");
    assert_text("%61b=1", "a", MM_ERR_NOT_FOUND, "");
    assert_text("a=1", "ab", MM_ERR_NOT_FOUND, "");
    assert_text("ab=1", "a", MM_ERR_NOT_FOUND, "");
    assert_text("a=Pe%C3%b1a", "a", MM_OK,
                "Pe\xC3\xB1"
                "a");
    assert_text("a=1&a=1", "a", MM_ERR_ARG, "");
    assert_text("a=1&%61=2", "a", MM_ERR_ARG, "");
    assert_text("a=123456789012345", "a", MM_OK, "123456789012345");
    assert_text("a=1234567890123456", "a", MM_ERR_ARG, "");
    assert_text("a=%00", "a", MM_ERR_ARG, "");
    assert_text("a=x%0Ay", "a", MM_ERR_ARG, "");
    assert_text("a=%FF", "a", MM_ERR_ARG, "");
    assert_text("a=%C3", "a", MM_ERR_ARG, "");
    assert_text("a=\xC3\xB1", "a", MM_OK, "\xC3\xB1");
}

static void test_form_reads_numbers(void **state) {
    (void)state;
    static const struct {
        const char *body;
        uint64_t maximum;
        mm_err_t err;
        uint64_t number;
    } cases[] = {
        {"n=0", 10, MM_OK, 0},
        {"n=10", 10, MM_OK, 10},
        {"n=11", 10, MM_ERR_ARG, 0},
        {"n=007", 10, MM_OK, 7},
        {"n=", 10, MM_ERR_ARG, 0},
        {"n=-1", 10, MM_ERR_ARG, 0},
        {"n=+1", 10, MM_ERR_ARG, 0}, // that is a blank
        {"n=1.0", 10, MM_ERR_ARG, 0},
        {"n=0x1", 10, MM_ERR_ARG, 0},
        {"n=1e1", 10, MM_ERR_ARG, 0},
        {"m=1", 10, MM_ERR_NOT_FOUND, 0},
        {"n=1&n=1", 10, MM_ERR_ARG, 0},
        {"n=18446744073709551615", UINT64_MAX, MM_OK, UINT64_MAX},
        {"n=18446744073709551616", UINT64_MAX, MM_ERR_ARG, 0},
        {"n=99999999999999999999999", UINT64_MAX, MM_ERR_ARG, 0},
        {"n=000000000000000000000000000001", 10, MM_ERR_ARG, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mm_form_t form = open_form(cases[i].body);
        uint64_t number = 77;
        assert_int_equal(mm_form_number(&form, "n", cases[i].maximum, &number), cases[i].err);
        assert_int_equal(number, cases[i].number);
    }
}

static void test_form_refuses_what_is_none(void **state) {
    (void)state;
    static const char *const bad[] = {"%", "a=%", "a=%1", "a=%1g", "a=%g1", "%zz=1", "a=1&b=%"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mm_form_t form;
        assert_int_equal(mm_form_open(&form, bad[i], strlen(bad[i])), MM_ERR_CORRUPT);
        char text[8];
        assert_int_equal(mm_form_text(&form, "a", text, sizeof text), MM_ERR_NOT_FOUND); // not even what was good
    }
    // An escape ends with the text: nothing behind it is read.
    mm_form_t form;
    assert_int_equal(mm_form_open(&form, "a=%41", 4), MM_ERR_CORRUPT);
    assert_int_equal(mm_form_open(&form, "a=%41", 5), MM_OK);
    char none;
    expect_assert_failure((void)mm_form_text(&form, "a", &none, 0));
}

static void test_form_has_limits(void **state) {
    (void)state;
    static char body[MM_FORM_BYTES_MAX + 1];
    memset(body, 'a', sizeof body);
    body[1] = '=';
    mm_form_t form;
    assert_int_equal(mm_form_open(&form, body, MM_FORM_BYTES_MAX), MM_OK);
    assert_int_equal(mm_form_open(&form, body, MM_FORM_BYTES_MAX + 1), MM_ERR_FULL);
    char many[MM_FORM_FIELDS_MAX * 2 + 3];
    for (size_t i = 0; i < sizeof many; i++) {
        many[i] = i % 2 == 0 ? 'f' : '&';
    }
    assert_int_equal(mm_form_open(&form, many, MM_FORM_FIELDS_MAX * 2), MM_OK);
    assert_int_equal(form.field_count, MM_FORM_FIELDS_MAX);
    assert_int_equal(mm_form_open(&form, many, MM_FORM_FIELDS_MAX * 2 + 1), MM_ERR_FULL);
    assert_int_equal(mm_form_open(&form, "abcdefghijklmnopqrstuvwx=1", 26), MM_OK);
    assert_int_equal(mm_form_open(&form, "abcdefghijklmnopqrstuvwxy=1", 27), MM_ERR_FULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form_reads_texts),
        cmocka_unit_test(test_form_reads_numbers),
        cmocka_unit_test(test_form_refuses_what_is_none),
        cmocka_unit_test(test_form_has_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
