// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/bytes.h"
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "linux/linux_crypto.h"

static char s_directory[] = "/tmp/mm-crypto-XXXXXX";
static char s_path[64];
static mm_linux_crypto_t s_crypto;
static mm_linux_message_t s_message;

static void write_key(const char *text, mode_t mode) {
    FILE *file = fopen(s_path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(s_path, mode), 0);
}

static void open_key(const char *hex) {
    char line[80];
    snprintf(line, sizeof line, "%s\n", hex);
    write_key(line, 0600);
    if (mm_linux_crypto_open(&s_crypto, s_path, &s_message) != MM_OK) {
        fail_msg("%s", s_message.text);
    }
}

static void from_hex(const char *hex, uint8_t *bytes, size_t bytes_count) {
    assert_int_equal(strlen(hex), 2 * bytes_count);
    for (size_t i = 0; i < bytes_count; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        bytes[i] = (uint8_t)byte;
    }
}

// RFC 4231. A key that is shorter than 64 bytes counts as filled up with zeros, so those of up to 32 bytes fit a
// device; those of 131 bytes count as their SHA-256, which has 32.
static void test_linux_crypto_hmac_rfc4231(void **state) {
    (void)state;
    static const char large_key_hash[] = "45ad4b37c6e2fc0a2cfcc1b5da524132ec707615c2cae1dbbc43c97aa521db81";
    const struct {
        const char *key;
        const char *data; ///< or NULL: 50 times `fill`
        int fill;
        const char *mac;
    } cases[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b000000000000000000000000", "Hi There", 0,
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"4a65666500000000000000000000000000000000000000000000000000000000", "what do ya want for nothing?", 0,
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa000000000000000000000000", NULL, 0xdd,
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {"0102030405060708090A0B0C0D0E0F1011121314151617181900000000000000", NULL, 0xcd,
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {large_key_hash, "Test Using Larger Than Block-Size Key - Hash Key First", 0,
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {large_key_hash,
         "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
         "hashed before being used by the HMAC algorithm.",
         0, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char data[200];
        uint8_t expected[MM_HMAC_BYTES];
        uint8_t mac[MM_HMAC_BYTES];
        memset(data, cases[i].fill, sizeof data);
        size_t data_bytes = 50;
        if (cases[i].data != NULL) {
            data_bytes = strlen(cases[i].data);
            memcpy(data, cases[i].data, data_bytes);
        }
        from_hex(cases[i].mac, expected, sizeof expected);
        open_key(cases[i].key);
        const mm_crypto_t *crypto = &s_crypto.crypto;
        assert_int_equal(crypto->device_hmac(crypto->context, data, data_bytes, mac), MM_OK);
        assert_memory_equal(mac, expected, sizeof mac);
        mm_linux_crypto_close(&s_crypto);
    }
}

static void check_block(const uint8_t key[MM_AES256_KEY_BYTES], const char *block_hex, const char *result_hex) {
    uint8_t block[MM_AES_BLOCK_BYTES];
    uint8_t expected[MM_AES_BLOCK_BYTES];
    uint8_t result[MM_AES_BLOCK_BYTES];
    from_hex(block_hex, block, sizeof block);
    from_hex(result_hex, expected, sizeof expected);
    const mm_crypto_t *crypto = &s_crypto.crypto;
    assert_int_equal(crypto->aes256_encrypt(crypto->context, key, block, result), MM_OK);
    assert_memory_equal(result, expected, sizeof result);
}

static void test_linux_crypto_aes256_vectors(void **state) {
    (void)state;
    assert_int_equal(mm_linux_crypto_open(&s_crypto, NULL, &s_message), MM_OK);
    uint8_t key[MM_AES256_KEY_BYTES];
    // FIPS 197, C.3.
    from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", key, sizeof key);
    check_block(key, "00112233445566778899aabbccddeeff", "8ea2b7ca516745bfeafc49904b496089");
    // NIST SP 800-38A, F.1.5 (ECB-AES256.Encrypt).
    from_hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", key, sizeof key);
    check_block(key, "6bc1bee22e409f96e93d7e117393172a", "f3eed1bdb5d2a03c064b5a7e3db181f8");
    check_block(key, "ae2d8a571e03ac9c9eb76fac45af8e51", "591ccb10d410ed26dc5ba74a31362870");
    check_block(key, "30c81c46a35ce411e5fbc1191a0a52ef", "b6ed21b99ca6f4f9f153e7b1beafed1d");
    check_block(key, "f69f2445df4f9b17ad2b417be66c3710", "23304b7a39f9f3ff067d8d8f9e24ecc7");
    mm_linux_crypto_close(&s_crypto);
}

// The number on the display, padded to 16 digits and written twice, is the key; the password is the beginning of the
// first block of the deployment's secret. The example is the original's.
static void test_linux_crypto_original_example(void **state) {
    (void)state;
    assert_int_equal(mm_linux_crypto_open(&s_crypto, NULL, &s_message), MM_OK);
    char digits[33];
    uint8_t result[MM_AES_BLOCK_BYTES];
    uint8_t expected[4];
    snprintf(digits, sizeof digits, "%016d%016d", 5546600, 5546600);
    from_hex("462b1e82", expected, sizeof expected);
    const mm_crypto_t *crypto = &s_crypto.crypto;
    assert_int_equal(
        crypto->aes256_encrypt(crypto->context, (const uint8_t *)digits, (const uint8_t *)"mi mama me mima ", result),
        MM_OK);
    assert_memory_equal(result, expected, sizeof expected);
    mm_linux_crypto_close(&s_crypto);
}

static void test_linux_crypto_without_key(void **state) {
    (void)state;
    uint8_t mac[MM_HMAC_BYTES];
    assert_int_equal(mm_linux_crypto_open(&s_crypto, NULL, &s_message), MM_OK);
    assert_int_equal(s_crypto.crypto.device_hmac(s_crypto.crypto.context, "", 0, mac), MM_ERR_UNAVAILABLE);
    mm_linux_crypto_close(&s_crypto);
}

static void test_linux_crypto_wiped_at_close(void **state) {
    (void)state;
    static const uint8_t zeros[MM_LINUX_DEVICE_KEY_BYTES];
    uint8_t mac[MM_HMAC_BYTES];
    open_key("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
    assert_memory_not_equal(s_crypto.key, zeros, sizeof zeros);
    mm_linux_crypto_close(&s_crypto);
    assert_memory_equal(s_crypto.key, zeros, sizeof zeros);
    assert_int_equal(s_crypto.crypto.device_hmac(s_crypto.crypto.context, "", 0, mac), MM_ERR_UNAVAILABLE);
}

static void test_linux_crypto_refuses_a_key_others_can_read(void **state) {
    (void)state;
    static const mode_t modes[] = {0640, 0604, 0660, 0644, 0610, 0601};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        write_key("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4\n", modes[i]);
        assert_int_equal(mm_linux_crypto_open(&s_crypto, s_path, &s_message), MM_ERR_ARG);
        assert_non_null(strstr(s_message.text, s_path));
        assert_non_null(strstr(s_message.text, "chmod 600"));
        assert_false(s_crypto.has_key);
    }
    write_key("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", 0400);
    assert_int_equal(mm_linux_crypto_open(&s_crypto, s_path, &s_message), MM_OK);
    mm_linux_crypto_close(&s_crypto);
}

static void test_linux_crypto_refuses_what_is_no_key(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff",    // one digit short
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4a",  // one too many
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dffg\n", // not hexadecimal
        " 603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4\n\n\n",
    };
    static const uint8_t zeros[MM_LINUX_DEVICE_KEY_BYTES];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_key(texts[i], 0600);
        assert_int_equal(mm_linux_crypto_open(&s_crypto, s_path, &s_message), MM_ERR_ARG);
        assert_false(s_crypto.has_key);
        assert_memory_equal(s_crypto.key, zeros, sizeof zeros);
        // What is in the file is a secret, even if it is no key.
        assert_null(strstr(s_message.text, "603deb10"));
    }
    assert_int_equal(mm_linux_crypto_open(&s_crypto, s_directory, &s_message), MM_ERR_ARG);
    assert_int_equal(unlink(s_path), 0);
    assert_int_equal(mm_linux_crypto_open(&s_crypto, s_path, &s_message), MM_ERR_STORAGE);
    assert_int_equal(mkfifo(s_path, 0600), 0);
    assert_int_equal(mm_linux_crypto_open(&s_crypto, s_path, &s_message), MM_ERR_ARG);
}

static void put_hex(uint8_t *bytes, const char *hex) {
    for (size_t i = 0; hex[2 * i] != '\0'; i++) {
        bytes[i] = (uint8_t)(mm_hex_digit(hex[2 * i]) << 4 | mm_hex_digit(hex[2 * i + 1]));
    }
}

static void assert_hex(const uint8_t *bytes, size_t bytes_count, const char *hex) {
    uint8_t expected[128];
    assert_int_equal(strlen(hex), 2 * bytes_count);
    put_hex(expected, hex);
    assert_memory_equal(bytes, expected, bytes_count);
}

// "The Galois/Counter Mode of Operation" (McGrew, Viega), the specification of NIST SP 800-38D's mode: test cases 14
// and 16.
static void test_linux_crypto_aead_vectors(void **state) {
    (void)state;
    assert_int_equal(mm_linux_crypto_open(&s_crypto, NULL, &s_message), MM_OK);
    const mm_crypto_t *crypto = &s_crypto.crypto;
    const uint8_t zeros[32] = {0};
    uint8_t sealed[60 + MM_AEAD_TAG_BYTES];
    assert_int_equal(crypto->aead_seal(crypto->context, zeros, zeros, NULL, 0, zeros, 16, sealed), MM_OK);
    assert_hex(sealed, 32, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
    uint8_t key[32], iv[12], more[20], plain[60], opened[60];
    put_hex(key, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    put_hex(iv, "cafebabefacedbaddecaf888");
    put_hex(more, "feedfacedeadbeeffeedfacedeadbeefabaddad2");
    put_hex(plain, "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
                   "b16aedf5aa0de657ba637b39");
    assert_int_equal(crypto->aead_seal(crypto->context, key, iv, more, 20, plain, 60, sealed), MM_OK);
    assert_hex(sealed, 76,
               "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
               "c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b");
    assert_int_equal(crypto->aead_open(crypto->context, key, iv, more, 20, sealed, 76, opened), MM_OK);
    assert_memory_equal(opened, plain, sizeof plain);
    for (size_t i = 0; i < 76; i++) {
        memset(opened, 0, sizeof opened);
        sealed[i] ^= 1;
        assert_int_equal(crypto->aead_open(crypto->context, key, iv, more, 20, sealed, 76, opened), MM_ERR_CORRUPT);
        sealed[i] ^= 1;
        for (size_t byte = 0; byte < sizeof opened; byte++) {
            assert_int_equal(opened[byte], 0); // nothing of it comes out
        }
    }
    more[0] ^= 1;
    assert_int_equal(crypto->aead_open(crypto->context, key, iv, more, 20, sealed, 76, opened), MM_ERR_CORRUPT);
    assert_int_equal(crypto->aead_open(crypto->context, key, iv, more, 20, sealed, 15, opened), MM_ERR_CORRUPT);
}

static int set_up(void **state) {
    (void)state;
    (void)unlink(s_path);
    memset(&s_message, 0, sizeof s_message);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_linux_crypto_aead_vectors, set_up),
        cmocka_unit_test_setup(test_linux_crypto_hmac_rfc4231, set_up),
        cmocka_unit_test_setup(test_linux_crypto_aes256_vectors, set_up),
        cmocka_unit_test_setup(test_linux_crypto_original_example, set_up),
        cmocka_unit_test_setup(test_linux_crypto_without_key, set_up),
        cmocka_unit_test_setup(test_linux_crypto_wiped_at_close, set_up),
        cmocka_unit_test_setup(test_linux_crypto_refuses_a_key_others_can_read, set_up),
        cmocka_unit_test_setup(test_linux_crypto_refuses_what_is_no_key, set_up),
    };
    if (mkdtemp(s_directory) == NULL) {
        return 1;
    }
    snprintf(s_path, sizeof s_path, "%s/device.key", s_directory);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(s_path);
    (void)rmdir(s_directory);
    return failed;
}
