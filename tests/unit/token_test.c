// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/token.h"

#include <stdio.h>

#include "token_support.h"

static void test_siphash_published_vector(void **state) {
    (void)state;
    uint8_t key[16];
    uint8_t message[15];
    for (uint8_t index = 0; index < 16; index++) {
        key[index] = index;
        message[index % 15] = index % 15;
    }
    assert_true(mm_siphash24(key, message, sizeof message) == UINT64_C(0xa129ca6149be45e5));
    // From the authors' table of 64: no bytes, and whole words of them.
    assert_true(mm_siphash24(key, NULL, 0) == UINT64_C(0x726fdb47dd0e0e31));
    assert_true(mm_siphash24(key, message, 1) == UINT64_C(0x74f839c593dc67fd));
    assert_true(mm_siphash24(key, message, 8) == UINT64_C(0x93f5f5799a932462));
}

static void test_token_derived_starting_codes(void **state) {
    (void)state;
    assert_int_equal(mm_token_starting_code(series_a.key), 901467777);
    static const uint8_t key_b[16] = {0xda, 0xc8, 0x6b, 0x1a, 0x29, 0xab, 0x82, 0xed,
                                      0xc5, 0xfb, 0xbc, 0x41, 0xec, 0x95, 0x30, 0xf6};
    assert_int_equal(mm_token_starting_code(key_b), 949214826);
}

typedef struct {
    mm_token_series_t series;
    uint32_t count_before;
    mm_token_t token;
    bool extended;
    bool restricted_digits;
    char text[32];
} published_t;

static bool read_published(FILE *file, published_t *published) {
    char line[256];
    char key[33];
    char type[16];
    unsigned extended;
    unsigned restricted;
    do {
        if (fgets(line, sizeof line, file) == NULL) {
            return false;
        }
    } while (line[0] == '#');
    mm_token_t *token = &published->token;
    assert_int_equal(sscanf(line, "%32s %u %u %15s %u %u %u %u %31s", key, &published->series.starting_code,
                            &published->count_before, type, &token->value, &token->count, &extended, &restricted,
                            published->text),
                     9);
    for (size_t index = 0; index < 16; index++) {
        unsigned byte;
        assert_int_equal(sscanf(key + 2 * index, "%2x", &byte), 1);
        published->series.key[index] = (uint8_t)byte;
    }
    static const char *const names[] = {"", "add", "set", "disable", "sync"};
    token->type = 0;
    for (unsigned index = 1; index < 5; index++) {
        token->type = strcmp(type, names[index]) == 0 ? (mm_token_type_t)index : token->type;
    }
    assert_true(token->type != 0);
    published->extended = extended != 0;
    published->restricted_digits = restricted != 0;
    return true;
}

static void test_token_published_vectors_both_ways(void **state) {
    (void)state;
    FILE *file = fopen(MM_SOURCE_DIR "/tests/vectors/tokens/openpaygo.txt", "r");
    assert_non_null(file);
    published_t published;
    unsigned forms[4] = {0};
    while (read_published(file, &published)) {
        char text[MM_TOKEN_DIGITS_MAX + 1];
        const mm_token_t *token = &published.token;
        assert_int_equal(mm_token_make(&published.series, token, published.extended, published.restricted_digits, text),
                         MM_OK);
        assert_string_equal(text, published.text);

        const mm_token_state_t used = {.count = published.count_before, .older = UINT64_MAX};
        mm_token_t judged = {0};
        assert_int_equal(mm_token_judge(&published.series, &used, published.text, &judged), MM_TOKEN_GOOD);
        assert_int_equal(judged.type, token->type);
        assert_int_equal(judged.value, token->value);
        assert_int_equal(judged.count, token->count);
        forms[(published.extended ? 2 : 0) + (published.restricted_digits ? 1 : 0)]++;
    }
    fclose(file);
    for (size_t form = 0; form < 4; form++) {
        assert_int_equal(forms[form], 20);
    }
}

// The walk-through of the published example implementation.
static void test_token_walk_through(void **state) {
    (void)state;
    device_t device = {.series = &series_walk, .state = {.count = 1}};
    assert_int_equal(type_in(&device, "662486790"), MM_TOKEN_GOOD);
    assert_int_equal(device.units, 1);
    assert_int_equal(device.state.count, 2);
    assert_int_equal(type_in(&device, "927706818"), MM_TOKEN_GOOD);
    assert_int_equal(device.units, 30);
    assert_int_equal(device.state.count, 4);
    assert_int_equal(type_in(&device, "942433796"), MM_TOKEN_GOOD);
    assert_int_equal(device.units, 7);
    assert_int_equal(device.state.count, 5);
    assert_int_equal(type_in(&device, "942433796"), MM_TOKEN_USED);
    assert_int_equal(type_in(&device, "650975787"), MM_TOKEN_GOOD);
    assert_true(device.is_postpaid);
    assert_int_equal(device.state.count, 7);
    assert_int_equal(type_in(&device, "942433796"), MM_TOKEN_USED);
    assert_int_equal(type_in(&device, "592185789"), MM_TOKEN_GOOD);
    assert_false(device.is_postpaid);
    assert_int_equal(device.units, 0);
    assert_int_equal(device.state.count, 9);
}

static void test_token_sequence_vectors(void **state) {
    (void)state;
    static const char *const plain[] = {"588224011", "302249011", "786123011", "197636011"};
    static const char *const extended[] = {"247264959011", "584694959011", "914261959011", "478525959011"};
    char text[MM_TOKEN_DIGITS_MAX + 1];
    for (uint32_t index = 0; index < 4; index++) {
        make(&series_a, MM_TOKEN_ADD, 1, 2 + 2 * index, false, text);
        assert_string_equal(text, plain[index]);
        make(&series_a, MM_TOKEN_ADD, 1, 2 + 2 * index, true, text);
        assert_string_equal(text, extended[index]);
    }
    make(&series_a, MM_TOKEN_SET, 1, 5, false, text);
    assert_string_equal(text, "093616011");
    make(&series_a, MM_TOKEN_DISABLE, 0, 5, true, text);
    assert_string_equal(text, "223770960008");
}

// The published device procedure, its steps that are about tokens.
static void test_token_device_procedure(void **state) {
    (void)state;
    device_t device = {.series = &series_a};
    assert_int_equal(type_in(&device, "123456789"), MM_TOKEN_WRONG);
    assert_int_equal(type_made(&device, MM_TOKEN_SET, 1, 1, false), MM_TOKEN_GOOD);
    assert_int_equal(device.units, 1);
    assert_int_equal(type_made(&device, MM_TOKEN_ADD, 1, 2, false), MM_TOKEN_GOOD);
    assert_int_equal(device.units, 2);
    assert_int_equal(type_made(&device, MM_TOKEN_ADD, 1, 2, false), MM_TOKEN_USED);
    assert_int_equal(type_made(&device, MM_TOKEN_SET, 1, 1, false), MM_TOKEN_USED);
    assert_int_equal(device.units, 2);
    assert_int_equal(type_made(&device, MM_TOKEN_SET, 30, 3, false), MM_TOKEN_GOOD);
    assert_int_equal(device.units, 30);
    assert_int_equal(type_made(&device, MM_TOKEN_SET, 0, 5, false), MM_TOKEN_GOOD);
    assert_int_equal(device.units, 0);
    for (uint32_t count = 6; count <= 10; count += 2) {
        assert_int_equal(type_made(&device, MM_TOKEN_ADD, 995, count, false), MM_TOKEN_GOOD);
    }
    assert_int_equal(device.units, 2985);
    for (uint32_t count = 41; count <= 41 + 20 * 30; count += 30) {
        assert_int_equal(type_made(&device, MM_TOKEN_SET, 5, count, false), MM_TOKEN_GOOD);
    }
    assert_int_equal(type_made(&device, MM_TOKEN_DISABLE, 0, 643, false), MM_TOKEN_GOOD);
    assert_int_equal(type_made(&device, MM_TOKEN_ADD, 0, 644, false), MM_TOKEN_GOOD);
    assert_true(device.is_postpaid); // adding nothing does not switch prepayment on
    assert_int_equal(type_made(&device, MM_TOKEN_SET, 0, 645, false), MM_TOKEN_GOOD);
    assert_false(device.is_postpaid);
}

// How people write down numbers.
static void test_token_forms_as_typed(void **state) {
    (void)state;
    const mm_token_state_t used = {.count = 1, .older = UINT64_MAX};
    mm_token_t token;
    static const char *const good[] = {
        "588224011",    "588 224 011",     "588-224-011",         " 5-8 8--224011 ",
        "247264959011", "247 264 959 011", "314 114 432 231 134", "1432-3213-1314-4233-1314",
    };
    for (size_t index = 0; index < sizeof good / sizeof good[0]; index++) {
        assert_int_equal(mm_token_judge(&series_a, &used, good[index], &token), MM_TOKEN_GOOD);
        assert_int_equal(token.value, 1);
    }
    static const char *const no_form[] = {
        "",
        " ",
        "-",
        "58822401",
        "5882240111",
        "58822401x",
        "588.224.011",
        "588224011\n",
        "+588224011",
        "24726495901",
        "2472649590111",
        "31411443223113",
        "3141144322311344",
        "1432321313144233131",
        "143232131314423313144",
        "514114432231134",
        "304114432231134",
        "14323213131442331315",
        "14323213131442331310",
        ("\xEF\xBC\x95"
         "88224011"),
        "5882240115882240115882240115882240115882240115882240",
    };
    for (size_t index = 0; index < sizeof no_form / sizeof no_form[0]; index++) {
        assert_int_equal(mm_token_judge(&series_a, &used, no_form[index], &token), MM_TOKEN_NO_FORM);
    }
    // Each of the digits is part of it.
    const char right[] = "588224011";
    for (size_t place = 0; place < 9; place++) {
        for (char digit = '0'; digit <= '9'; digit++) {
            char text[sizeof right];
            memcpy(text, right, sizeof right);
            text[place] = digit;
            mm_token_verdict_t due = digit == right[place] ? MM_TOKEN_GOOD : MM_TOKEN_WRONG;
            assert_int_equal(mm_token_judge(&series_a, &used, text, &token), due);
        }
    }
    // 15 digits write up to 2^30 - 1, which is more than 9 digits do.
    assert_int_equal(mm_token_judge(&series_a, &used, "444444444444444", &token), MM_TOKEN_WRONG);
    assert_int_equal(mm_token_judge(&series_a, &used, "44444444444444444444", &token), MM_TOKEN_WRONG);
}

static void test_token_make_refuses(void **state) {
    (void)state;
    static const struct {
        mm_token_t token;
        bool extended;
    } refused[] = {
        {{MM_TOKEN_ADD, 996, 2}, false},
        {{MM_TOKEN_SET, 996, 3}, false},
        {{MM_TOKEN_ADD, 999, 2}, false},
        {{MM_TOKEN_ADD, 1000000, 2}, true},
        {{MM_TOKEN_SET, 998, 3}, true},
        {{MM_TOKEN_SET, 999, 3}, true},
        {{MM_TOKEN_ADD, 1, 3}, false},
        {{MM_TOKEN_SET, 1, 2}, false},
        {{MM_TOKEN_DISABLE, 0, 2}, false},
        {{MM_TOKEN_COUNTER_SYNC, 0, 2}, false},
        {{MM_TOKEN_ADD, 1, 0}, false},
        {{MM_TOKEN_SET, 1, 0}, true},
        {{MM_TOKEN_ADD, UINT32_MAX, 2}, true},
        {{MM_TOKEN_ADD, 1, MM_TOKEN_COUNT_MAX + 2}, false},
        {{MM_TOKEN_ADD, 1, UINT32_MAX - 1}, false},
        {{0, 1, 2}, false},
        {{5, 1, 2}, false},
    };
    char text[MM_TOKEN_DIGITS_MAX + 1] = "untouched";
    for (size_t index = 0; index < sizeof refused / sizeof refused[0]; index++) {
        assert_int_equal(mm_token_make(&series_a, &refused[index].token, refused[index].extended, false, text),
                         MM_ERR_ARG);
        assert_string_equal(text, "untouched");
    }
    const mm_token_series_t impossible = {.starting_code = 1000000000};
    const mm_token_t token = {MM_TOKEN_ADD, 1, 2};
    expect_assert_failure(mm_token_make(&impossible, &token, false, false, text));
    const mm_token_state_t used = {0};
    mm_token_t judged;
    expect_assert_failure(mm_token_judge(&impossible, &used, "588224011", &judged));
}

// Values that the short form keeps for itself are none: typed digits that would say them are wrong.
static void test_token_values_without_meaning_are_wrong(void **state) {
    (void)state;
    // Counts 2 and 3 of series A with values 996, 997 at both and 998, 999 at the even one, from a calculation with
    // another implementation of the rules.
    static const char *const texts[] = {"983759006", "655344007", "395267008", "141168009", "941329006", "771775007"};
    const mm_token_state_t used = {.count = 1, .older = UINT64_MAX};
    mm_token_t token;
    for (size_t index = 0; index < sizeof texts / sizeof texts[0]; index++) {
        assert_int_equal(mm_token_judge(&series_a, &used, texts[index], &token), MM_TOKEN_WRONG);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash_published_vector),
        cmocka_unit_test(test_token_derived_starting_codes),
        cmocka_unit_test(test_token_published_vectors_both_ways),
        cmocka_unit_test(test_token_walk_through),
        cmocka_unit_test(test_token_sequence_vectors),
        cmocka_unit_test(test_token_device_procedure),
        cmocka_unit_test(test_token_forms_as_typed),
        cmocka_unit_test(test_token_make_refuses),
        cmocka_unit_test(test_token_values_without_meaning_are_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
