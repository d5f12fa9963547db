// SPDX-License-Identifier: Apache-2.0
// What the unit tests take for mbedTLS here, held to published vectors; and the harness to what it must not let pass.
#include "test_support.h"

#include <mbedtls/aes.h>
#include <mbedtls/md.h>
#include <stdlib.h>
#include <string.h>

static void from_hex(const char *hex, unsigned char *bytes) {
    for (; hex[0] != '\0'; hex += 2) {
        const char digits[3] = {hex[0], hex[1], '\0'};
        *bytes++ = (unsigned char)strtoul(digits, NULL, 16);
    }
}

// RFC 4231, cases 1, 2 and 6 (a key that is longer than a block), and FIPS 180-4 through them.
static void test_hmac(void **state) {
    (void)state;
    static const struct {
        unsigned char key_byte;
        size_t key_bytes;
        const char *key;
        const char *text;
        const char *mac;
    } cases[] = {
        {0x0b, 20, NULL, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {0, 4, "Jefe", "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {0xaa, 131, NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char key[131];
        memset(key, cases[i].key_byte, sizeof key);
        if (cases[i].key != NULL) {
            memcpy(key, cases[i].key, cases[i].key_bytes);
        }
        unsigned char expected[32];
        unsigned char mac[32];
        from_hex(cases[i].mac, expected);
        assert_int_equal(mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), key, cases[i].key_bytes,
                                         (const unsigned char *)cases[i].text, strlen(cases[i].text), mac),
                         0);
        assert_memory_equal(mac, expected, sizeof mac);
    }
}

// FIPS 197, appendix C.3.
static void test_aes256(void **state) {
    (void)state;
    unsigned char key[32];
    unsigned char block[16];
    unsigned char expected[16];
    unsigned char result[16];
    from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", key);
    from_hex("00112233445566778899aabbccddeeff", block);
    from_hex("8ea2b7ca516745bfeafc49904b496089", expected);
    mbedtls_aes_context aes;
    mbedtls_aes_init(&aes);
    assert_int_equal(mbedtls_aes_setkey_enc(&aes, key, 256), 0);
    assert_int_equal(mbedtls_aes_crypt_ecb(&aes, MBEDTLS_AES_ENCRYPT, block, result), 0);
    assert_memory_equal(result, expected, sizeof result);
}

static void fails_equal(void **state) {
    (void)state;
    assert_int_equal(1, 2);
}
static void fails_assertion(void **state) {
    (void)state;
    MM_ASSERT(1 == 2);
}
static void fails_to_assert(void **state) {
    (void)state;
    expect_assert_failure((void)0);
}
static void fails_range(void **state) {
    (void)state;
    assert_in_range(-1, 0, 10);
}
static void fails_memory(void **state) {
    (void)state;
    assert_memory_equal("ab", "ac", 2);
}
static void fails_string(void **state) {
    (void)state;
    assert_string_equal("a", "b");
}
static int fails_setup(void **state) {
    (void)state;
    return -1;
}
static void passes(void **state) {
    (void)state;
    assert_int_equal(-1, INTMAX_C(-1));
    expect_assert_failure(mm_assert_failed("expected", __FILE__, __LINE__));
}

// Each of these must fail, or the harness lets everything pass.
static int run_what_must_fail(void) {
    static const struct CMUnitTest failing[] = {
        cmocka_unit_test(fails_equal),
        cmocka_unit_test(fails_assertion),
        cmocka_unit_test(fails_to_assert),
        cmocka_unit_test(fails_range),
        cmocka_unit_test(fails_memory),
        cmocka_unit_test(fails_string),
        cmocka_unit_test_setup(passes, fails_setup),
    };
    print_message("the next %zu must fail\n", sizeof failing / sizeof failing[0]);
    for (size_t i = 0; i < sizeof failing / sizeof failing[0]; i++) {
        if (mm_harness_run(failing[i].name, &failing[i], 1, NULL, NULL) == 0) {
            print_error("%s did not fail\n", failing[i].name);
            return 1;
        }
    }
    print_message("they did\n");
    return 0;
}

int main(void) {
    if (run_what_must_fail() != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_aes256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
