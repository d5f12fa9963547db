// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_CRYPTO_H
#define MM_TEST_CRYPTO_H

// The crypto port on mbedTLS, for tests: a device with a known key, or with none. A program that includes this is
// linked with mbedTLS by its CMakeLists.txt.

#include <mbedtls/aes.h>
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
    return (mm_crypto_t){.device_hmac = test_crypto_hmac, .aes256_encrypt = test_crypto_aes256, .context = self};
}

#endif
