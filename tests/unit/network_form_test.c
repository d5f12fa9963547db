// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/network_form.h"

#include <stdio.h>
#include <string.h>

#include "test_support.h"

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"

typedef struct {
    const char *name;
    const char *value;
    size_t chars_max; ///< 0: no text
    bool is_required;
} field_t;

static const field_t fields[] = {
    {"site", "house-9", MM_SITE_CHARS_MAX, true},
    {"broker_url", "mqtts://broker.example:8883", MM_BROKER_URL_CHARS_MAX, true},
    {"broker_user", "node", MM_BROKER_WORD_CHARS_MAX, false},
    {"broker_password", "b%26d+p", MM_BROKER_WORD_CHARS_MAX, false},
    {"router_name", "Caf%C3%A9", MM_NETWORK_NAME_CHARS_MAX, false},
    {"router_password", "rou%74er pw", MM_NETWORK_PASSWORD_CHARS_MAX, false},
    {"revision", "4294967295", 0, true},
    {"mesh_key", KEY, 0, true},
};
#define FIELD_COUNT (sizeof fields / sizeof fields[0])

static char s_body[MM_FORM_BYTES_MAX + 1];
static mm_form_t s_form;

// A good form in which the field number `other` has another value; NULL: is not there.
static const char *read_with(size_t other, const char *value, mm_network_t *network) {
    size_t bytes = 0;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const char *text = i == other ? value : fields[i].value;
        if (text != NULL) {
            bytes += (size_t)snprintf(s_body + bytes, sizeof s_body - bytes, "&%s=%s", fields[i].name, text);
            assert_true(bytes < sizeof s_body);
        }
    }
    assert_int_equal(mm_form_open(&s_form, s_body, bytes), MM_OK);
    memset(network, 0x5A, sizeof *network);
    return mm_network_form_read(&s_form, network);
}

static void assert_good(size_t other, const char *value, mm_network_t *network) {
    assert_null(read_with(other, value, network));
    assert_int_equal(mm_network_check(network), MM_OK);
}

static void assert_wrong(size_t other, const char *value) {
    static const mm_network_t none;
    mm_network_t network;
    const char *wrong = read_with(other, value, &network);
    assert_non_null(wrong);
    assert_string_equal(wrong, fields[other].name);
    assert_memory_equal(&network, &none, sizeof network);
}

static size_t number_of(const char *name) {
    size_t i = 0;
    while (strcmp(fields[i].name, name) != 0) {
        i++;
    }
    return i;
}

static void test_network_form_is_read(void **state) {
    (void)state;
    mm_network_t network;
    assert_good(FIELD_COUNT, NULL, &network);
    assert_string_equal(network.site, "house-9");
    assert_string_equal(network.broker.url, "mqtts://broker.example:8883");
    assert_string_equal(network.broker.user, "node");
    assert_string_equal(network.broker.password, "b&d p");
    assert_string_equal(network.router.ssid, "Caf\xC3\xA9");
    assert_string_equal(network.router.password, "router pw");
    assert_int_equal(network.revision, UINT32_MAX);
    for (uint8_t i = 0; i < 32; i++) {
        assert_int_equal(network.mesh_key[i], i);
    }
}

static void test_network_form_passes_over_what_it_does_not_know(void **state) {
    (void)state;
    mm_network_t network;
    char body[400];
    int bytes = snprintf(body, sizeof body, "pop=label&site=a&x=%%FF&broker_url=mqtt://b&revision=7&mesh_key=%s", KEY);
    assert_int_equal(mm_form_open(&s_form, body, (size_t)bytes), MM_OK);
    assert_null(mm_network_form_read(&s_form, &network));
    assert_string_equal(network.site, "a");
    assert_string_equal(network.router.ssid, "");
    assert_int_equal(network.revision, 7);
}

static void test_network_form_names_what_is_absent(void **state) {
    (void)state;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        mm_network_t network;
        if (fields[i].is_required) {
            assert_wrong(i, NULL);
            assert_wrong(i, "");
        } else {
            // A password without a name, or a name without a password, is somebody else's to judge.
            assert_null(read_with(i, NULL, &network));
            assert_null(read_with(i, "", &network));
        }
    }
    // The first one, in the order of the header.
    mm_network_t network;
    assert_int_equal(mm_form_open(&s_form, "", 0), MM_OK);
    assert_string_equal(mm_network_form_read(&s_form, &network), "site");
}

static void test_network_form_refuses_texts(void **state) {
    (void)state;
    static const char *const bad[] = {
        "%FF",         // no UTF-8
        "a%C3",        // half a character
        "%ED%A0%80",   // a surrogate
        "%C0%AF",      // not the shortest form
        "a%00b",       // ends early
        "a%0D%0Ab",    // line ends
        "a%1B[2J",     // escape sequences
        "a%C2%85b",    // control characters beyond ASCII
        "a%E2%80%AEb", // turns the line round
    };
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        for (size_t j = 0; j < sizeof bad / sizeof bad[0]; j++) {
            assert_wrong(i, bad[j]);
        }
        char twice[64];
        (void)snprintf(twice, sizeof twice, "1&%s=1", fields[i].name);
        assert_wrong(i, twice);
        if (fields[i].chars_max != 0) {
            char text[160];
            memset(text, 'a', sizeof text);
            text[fields[i].chars_max] = '\0';
            mm_network_t network;
            assert_null(read_with(i, text, &network));
            text[fields[i].chars_max] = 'a';
            text[fields[i].chars_max + 1] = '\0';
            assert_wrong(i, text);
        }
    }
}

// What would be a program in a page is a text like any other here, or no site; whoever shows it escapes it.
static void test_network_form_keeps_scripts_as_texts(void **state) {
    (void)state;
    static const char script[] = "%3Cscript%3Ealert(1)%3C/script%3E";
    mm_network_t network;
    assert_null(read_with(number_of("router_name"), script, &network));
    assert_string_equal(network.router.ssid, "<script>alert(1)</script>");
    assert_wrong(number_of("site"), script); // too long
    assert_null(read_with(number_of("site"), "%3Cb%3E", &network));
    assert_int_equal(mm_network_check(&network), MM_ERR_ARG);
}

static void test_network_form_reads_revisions(void **state) {
    (void)state;
    size_t revision = number_of("revision");
    static const char *const bad[] = {
        "0", "000", "4294967296", "18446744073709551617", "-1", "+1", "1.0", "1e3", "0x1", " 1", "1 ", "one"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_wrong(revision, bad[i]);
    }
    mm_network_t network;
    assert_good(revision, "1", &network);
    assert_int_equal(network.revision, 1);
    assert_good(revision, "0012", &network);
    assert_int_equal(network.revision, 12);
}

static void test_network_form_reads_keys(void **state) {
    (void)state;
    size_t key = number_of("mesh_key");
    char text[80];
    for (size_t length = 0; length <= 70; length++) {
        memset(text, 'a', sizeof text);
        text[length] = '\0';
        if (length != 64) {
            assert_wrong(key, text);
        }
    }
    for (size_t i = 0; i < 64; i++) {
        static const char none[] = "gG@/:` +x";
        for (size_t j = 0; j + 1 < sizeof none; j++) {
            memcpy(text, KEY, sizeof KEY);
            text[i] = none[j];
            assert_wrong(key, text);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_network_form_is_read),
        cmocka_unit_test(test_network_form_passes_over_what_it_does_not_know),
        cmocka_unit_test(test_network_form_names_what_is_absent),
        cmocka_unit_test(test_network_form_refuses_texts),
        cmocka_unit_test(test_network_form_keeps_scripts_as_texts),
        cmocka_unit_test(test_network_form_reads_revisions),
        cmocka_unit_test(test_network_form_reads_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
