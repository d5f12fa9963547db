// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_CRYPTO_H
#define MM_TEST_CRYPTO_H

// The crypto port on mbedTLS, for tests: a device with a known key, or with none. A program that includes this is
// linked with mbedTLS by its CMakeLists.txt.

#include <mbedtls/aes.h>
#include <mbedtls/gcm.h>
#include <mbedtls/md.h>
#include <string.h>

#include "meshmeter/port/crypto.h"

#define TEST_KEY_BYTES 32

typedef struct {
    uint8_t key[TEST_KEY_BYTES];
    bool has_key;
    unsigned call_count; ///< of device_hmac
} test_crypto_t;

static inline mm_err_t test_crypto_hmac(void *context, const void *bytes, size_t bytes_count,
                                        uint8_t mac[MM_HMAC_BYTES]) {
    test_crypto_t *self = context;
    self->call_count++;
    if (!self->has_key) {
        return MM_ERR_UNAVAILABLE;
    }
    int error = mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), self->key, sizeof self->key, bytes,
                                bytes_count, mac);
    MM_ASSERT(error == 0);
    return MM_OK;
}

static inline mm_err_t test_crypto_aes256(void *context, const uint8_t key[MM_AES256_KEY_BYTES],
                                          const uint8_t block[MM_AES_BLOCK_BYTES], uint8_t result[MM_AES_BLOCK_BYTES]) {
    (void)context;
    mbedtls_aes_context aes;
    mbedtls_aes_init(&aes);
    int error = mbedtls_aes_setkey_enc(&aes, key, MM_AES256_KEY_BYTES * 8);
    error = error != 0 ? error : mbedtls_aes_crypt_ecb(&aes, MBEDTLS_AES_ENCRYPT, block, result);
    mbedtls_aes_free(&aes);
    MM_ASSERT(error == 0);
    return MM_OK;
}

static inline mm_err_t test_crypto_seal(void *context, const uint8_t key[MM_AES256_KEY_BYTES],
                                        const uint8_t iv[MM_AEAD_IV_BYTES], const void *more, size_t more_bytes,
                                        const void *bytes, size_t bytes_count, void *sealed) {
    (void)context;
    uint8_t *ciphertext = sealed;
    mbedtls_gcm_context gcm;
    mbedtls_gcm_init(&gcm);
    bool good =
        mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 8 * MM_AES256_KEY_BYTES) == 0 &&
        mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, bytes_count, iv, MM_AEAD_IV_BYTES, more, more_bytes, bytes,
                                  ciphertext, MM_AEAD_TAG_BYTES, ciphertext + bytes_count) == 0;
    mbedtls_gcm_free(&gcm);
    return good ? MM_OK : MM_ERR_UNAVAILABLE;
}

static inline mm_err_t test_crypto_open(void *context, const uint8_t key[MM_AES256_KEY_BYTES],
                                        const uint8_t iv[MM_AEAD_IV_BYTES], const void *more, size_t more_bytes,
                                        const void *sealed, size_t sealed_bytes, void *bytes) {
    (void)context;
    if (sealed_bytes < MM_AEAD_TAG_BYTES) {
        return MM_ERR_CORRUPT;
    }
    size_t bytes_count = sealed_bytes - MM_AEAD_TAG_BYTES;
    const uint8_t *ciphertext = sealed;
    mbedtls_gcm_context gcm;
    mbedtls_gcm_init(&gcm);
    mm_err_t err = MM_ERR_UNAVAILABLE;
    if (mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 8 * MM_AES256_KEY_BYTES) == 0) {
        int failed = mbedtls_gcm_auth_decrypt(&gcm, bytes_count, iv, MM_AEAD_IV_BYTES, more, more_bytes,
                                              ciphertext + bytes_count, MM_AEAD_TAG_BYTES, ciphertext, bytes);
        err = failed == 0 ? MM_OK : failed == MBEDTLS_ERR_GCM_AUTH_FAILED ? MM_ERR_CORRUPT : MM_ERR_UNAVAILABLE;
    }
    mbedtls_gcm_free(&gcm);
    return err;
}

/// A device whose key is first, first + 1, … (32 bytes); 0 is the key of the golden vectors' node.
static inline test_crypto_t test_crypto_key(uint8_t first) {
    test_crypto_t self = {.has_key = true};
    for (size_t index = 0; index < TEST_KEY_BYTES; index++) {
        self.key[index] = (uint8_t)(first + index);
    }
    return self;
}

/// Borrows self.
static inline mm_crypto_t test_crypto(test_crypto_t *self) {
    return (mm_crypto_t){.device_hmac = test_crypto_hmac,
                         .aes256_encrypt = test_crypto_aes256,
                         .aead_seal = test_crypto_seal,
                         .aead_open = test_crypto_open,
                         .context = self};
}

#endif
