// SPDX-License-Identifier: Apache-2.0
// Against published vectors; and entropy, which refuses while nothing feeds it.
#include "mm_esp_crypto.h"

#include "test_support.h"

#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "mm_esp_entropy.h"

static void from_hex(const char *hex, uint8_t *bytes) {
    for (size_t i = 0; hex[2 * i] != '\0'; i++) {
        unsigned value;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &value), 1);
        bytes[i] = (uint8_t)value;
    }
}

// RFC 4231 test case 2 with its short key filled up with zeros, which is what HMAC does (RFC 2104 section 2).
static void test_hmac(void **state) {
    (void)state;
    uint8_t key[MM_ESP_DEVICE_KEY_BYTES] = "Jefe";
    uint8_t expected[MM_HMAC_BYTES];
    from_hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", expected);
    mm_esp_crypto_t crypto;
    mm_esp_crypto_open(&crypto, key);
    uint8_t mac[MM_HMAC_BYTES];
    assert_int_equal(crypto.crypto.device_hmac(crypto.crypto.context, "what do ya want for nothing?", 28, mac), MM_OK);
    assert_memory_equal(mac, expected, sizeof mac);
    mm_esp_crypto_close(&crypto);
    for (size_t i = 0; i < sizeof crypto.key; i++) {
        assert_int_equal(crypto.key[i], 0);
    }
    assert_int_equal(crypto.crypto.device_hmac(crypto.crypto.context, "x", 1, mac), MM_ERR_UNAVAILABLE);
    mm_esp_crypto_open(&crypto, NULL);
    assert_int_equal(crypto.crypto.device_hmac(crypto.crypto.context, "x", 1, mac), MM_ERR_UNAVAILABLE);
}

// FIPS 197, appendix C.3.
static void test_aes(void **state) {
    (void)state;
    uint8_t key[MM_AES256_KEY_BYTES];
    uint8_t block[MM_AES_BLOCK_BYTES];
    uint8_t expected[MM_AES_BLOCK_BYTES];
    uint8_t result[MM_AES_BLOCK_BYTES];
    from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", key);
    from_hex("00112233445566778899aabbccddeeff", block);
    from_hex("8ea2b7ca516745bfeafc49904b496089", expected);
    mm_esp_crypto_t crypto;
    mm_esp_crypto_open(&crypto, NULL);
    assert_int_equal(crypto.crypto.aes256_encrypt(crypto.crypto.context, key, block, result), MM_OK);
    assert_memory_equal(result, expected, sizeof result);
}

// McGrew and Viega, "The Galois/Counter Mode of Operation", test case 16.
static void test_gcm(void **state) {
    (void)state;
    uint8_t key[MM_AES256_KEY_BYTES];
    uint8_t iv[MM_AEAD_IV_BYTES];
    uint8_t more[20];
    uint8_t text[60];
    uint8_t expected[60 + MM_AEAD_TAG_BYTES];
    from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key);
    from_hex("cafebabefacedbaddecaf888", iv);
    from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2", more);
    from_hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5"
             "aa0de657ba637b39",
             text);
    from_hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e63"
             "93ba7a0abcc9f662"
             "76fc6ece0f4e1768cddf8853bb2d551b",
             expected);
    mm_esp_crypto_t crypto;
    mm_esp_crypto_open(&crypto, NULL);
    const mm_crypto_t *port = &crypto.crypto;
    uint8_t sealed[sizeof expected];
    assert_int_equal(port->aead_seal(port->context, key, iv, more, sizeof more, text, sizeof text, sealed), MM_OK);
    assert_memory_equal(sealed, expected, sizeof expected);
    uint8_t opened[sizeof text];
    assert_int_equal(port->aead_open(port->context, key, iv, more, sizeof more, sealed, sizeof sealed, opened), MM_OK);
    assert_memory_equal(opened, text, sizeof text);
    // Every changed bit is seen, and nothing of the text is left.
    for (size_t bit = 0; bit < sizeof sealed * 8; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
        memset(opened, 0xA5, sizeof opened);
        assert_int_equal(port->aead_open(port->context, key, iv, more, sizeof more, sealed, sizeof sealed, opened),
                         MM_ERR_CORRUPT);
        assert_memory_not_equal(opened, text, 8);
        sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t bytes_count = 0; bytes_count < sizeof sealed; bytes_count++) {
        assert_int_equal(port->aead_open(port->context, key, iv, more, sizeof more, sealed, bytes_count, opened),
                         MM_ERR_CORRUPT);
    }
}

static void test_entropy_only_while_it_is_fed(void **state) {
    (void)state;
    fake_reset();
    mm_entropy_t entropy = mm_esp_entropy_port();
    uint32_t first = 0;
    uint32_t second = 0;
    assert_int_equal(entropy.random(entropy.context, &first, sizeof first), MM_ERR_UNAVAILABLE);
    assert_int_equal(first, 0);
    mm_esp_entropy_open();
    assert_int_equal(entropy.random(entropy.context, &first, sizeof first), MM_OK);
    expect_assert_failure(mm_esp_entropy_set_radio(true));
    mm_esp_entropy_close_source();
    mm_esp_entropy_close_source();
    assert_int_equal(entropy.random(entropy.context, &second, sizeof second), MM_ERR_UNAVAILABLE);
    mm_esp_entropy_set_radio(true);
    assert_int_equal(entropy.random(entropy.context, &second, sizeof second), MM_OK);
    assert_true(first != second);
    mm_esp_entropy_set_radio(false);
    assert_int_equal(entropy.random(entropy.context, &second, sizeof second), MM_ERR_UNAVAILABLE);
}

// FIPS 180-4, the example of three letters.
static void test_sha256(void **state) {
    (void)state;
    uint8_t expected[MM_ESP_SHA256_BYTES];
    uint8_t hash[MM_ESP_SHA256_BYTES];
    from_hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", expected);
    assert_int_equal(mm_esp_sha256("abc", 3, hash), MM_OK);
    assert_memory_equal(hash, expected, sizeof expected);
}

// By Python: x = SHA-512(salt | SHA-512("wifiprov:k7-Quito-42")), pow(5, x, N), N by the formula of RFC 3526 chapter 4
// with pi from Machin's; and the SHA-256 of the result.
static void test_srp_verifier(void **state) {
    (void)state;
    uint8_t salt[MM_ESP_SRP_SALT_BYTES];
    uint8_t verifier[MM_ESP_SRP_VERIFIER_BYTES];
    uint8_t expected[MM_ESP_SHA256_BYTES];
    uint8_t hash[MM_ESP_SHA256_BYTES];
    from_hex("808182838485868788898a8b8c8d8e8f", salt);
    assert_int_equal(mm_esp_srp_verifier("wifiprov", "k7-Quito-42", salt, verifier), MM_OK);
    from_hex("c5f00b0e50dab3a10a2d494c7e4397ce", expected);
    assert_memory_equal(verifier, expected, 16);
    from_hex("dd9467bdaa0cf9a7af481e351546f26386a8e14f38595b2fb845f50e66ed38d3", expected);
    assert_int_equal(mm_esp_sha256(verifier, sizeof verifier, hash), MM_OK);
    assert_memory_equal(hash, expected, sizeof expected);
    char long_label[81];
    memset(long_label, 'a', sizeof long_label);
    long_label[71] = '\0';
    assert_int_equal(mm_esp_srp_verifier("wifiprov", long_label, salt, verifier), MM_OK);
    long_label[71] = 'a';
    long_label[72] = '\0';
    expect_assert_failure((void)mm_esp_srp_verifier("wifiprov", long_label, salt, verifier));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hmac),         cmocka_unit_test(test_aes),
        cmocka_unit_test(test_gcm),          cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_srp_verifier), cmocka_unit_test(test_entropy_only_while_it_is_fed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
