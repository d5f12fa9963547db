// SPDX-License-Identifier: Apache-2.0
// What the unit tests take for mbedTLS here, held to published vectors; and the harness to what it must not let pass.
#include "test_support.h"

#include <mbedtls/aes.h>
#include <mbedtls/gcm.h>
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

// "The Galois/Counter Mode of Operation" (McGrew, Viega), test case 16.
static void test_gcm(void **state) {
    (void)state;
    unsigned char key[32], iv[12], more[20], plain[60], expected[60], expected_tag[16], result[60], tag[16];
    from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key);
    from_hex("cafebabefacedbaddecaf888", iv);
    from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2", more);
    from_hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
             "b16aedf5aa0de657ba637b39",
             plain);
    from_hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
             "c5f61e6393ba7a0abcc9f662",
             expected);
    from_hex("76fc6ece0f4e1768cddf8853bb2d551b", expected_tag);
    mbedtls_gcm_context gcm;
    mbedtls_gcm_init(&gcm);
    assert_int_equal(mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 256), 0);
    assert_int_equal(mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, 60, iv, 12, more, 20, plain, result, 16, tag),
                     0);
    assert_memory_equal(result, expected, sizeof result);
    assert_memory_equal(tag, expected_tag, sizeof tag);
    assert_int_equal(mbedtls_gcm_auth_decrypt(&gcm, 60, iv, 12, more, 20, tag, 16, expected, result), 0);
    assert_memory_equal(result, plain, sizeof result);
    tag[15] ^= 1;
    assert_int_equal(mbedtls_gcm_auth_decrypt(&gcm, 60, iv, 12, more, 20, tag, 16, expected, result),
                     MBEDTLS_ERR_GCM_AUTH_FAILED);
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
    expect_assert_failure(mm_assert_failed("expected"));
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
        cmocka_unit_test(test_gcm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
