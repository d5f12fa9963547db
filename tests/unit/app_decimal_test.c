// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "app.h"

#include <string.h>

// Energies and money as people write them.

static void test_decimal_takes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int decimals;
        int64_t number;
    } cases[] = {{"5", 3, 5000},
                 {"5.000", 3, 5000},
                 {"0.001", 3, 1},
                 {".5", 3, 500},
                 {"12.34", 2, 1234},
                 {"7", 0, 7},
                 {"0", 3, 0},
                 {"00012", 0, 12},
                 {"999999", 3, 999999000},
                 {"900000000000.000", 3, 900000000000000}};
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        int64_t number = -1;
        assert_true(app_parse_decimal(cases[index].text, cases[index].decimals, &number));
        assert_int_equal(number, cases[index].number);
    }
}

static void test_decimal_refuses(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        ".",
                                        "-1",
                                        "+1",
                                        "1e3",
                                        "1,5",
                                        "1.",
                                        "1.2345",
                                        "1 ",
                                        "0x10",
                                        "1.2.3",
                                        "99999999999999999999",
                                        "9000000000000000",
                                        "1_000"};
    for (size_t index = 0; index < sizeof texts / sizeof texts[0]; index++) {
        int64_t number = -1;
        if (app_parse_decimal(texts[index], 3, &number)) {
            fail_msg("'%s' was taken as %lld", texts[index], (long long)number);
        }
        assert_int_equal(number, -1);
    }
    int64_t number = -1;
    assert_false(app_parse_decimal("7.5", 0, &number));
}

static void test_decimal_prints(void **state) {
    (void)state;
    static const struct {
        int64_t number;
        int decimals;
        const char *text;
    } cases[] = {{1250, 3, "1.250"},  {5, 3, "0.005"}, {0, 2, "0.00"},
                 {-700, 3, "-0.700"}, {42, 0, "42"},   {INT64_MIN, 3, "-9223372036854775.808"}};
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        char text[32];
        app_format_decimal(cases[index].number, cases[index].decimals, text);
        assert_string_equal(text, cases[index].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decimal_takes),
        cmocka_unit_test(test_decimal_refuses),
        cmocka_unit_test(test_decimal_prints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
