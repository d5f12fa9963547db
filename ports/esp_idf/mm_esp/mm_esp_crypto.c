// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_crypto.h"

#include <mbedtls/aes.h>
#include <mbedtls/gcm.h>
#include <mbedtls/md.h>
#include <string.h>

#define KEY_BITS (MM_AES256_KEY_BYTES * 8)

void mm_esp_wipe(void *bytes, size_t bytes_count) {
    volatile uint8_t *next = bytes;
    for (size_t i = 0; i < bytes_count; i++) {
        next[i] = 0;
    }
}

mm_err_t mm_esp_sha256(const void *bytes, size_t bytes_count, uint8_t hash[MM_ESP_SHA256_BYTES]) {
    int failed = mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), bytes, bytes_count, hash);
    return failed == 0 ? MM_OK : MM_ERR_UNAVAILABLE;
}

static mm_err_t device_hmac(void *context, const void *bytes, size_t bytes_count, uint8_t mac[MM_HMAC_BYTES]) {
    const mm_esp_crypto_t *self = context;
    if (!self->has_key) {
        return MM_ERR_UNAVAILABLE;
    }
    const mbedtls_md_info_t *sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    // Fails only without memory.
    int failed = mbedtls_md_hmac(sha256, self->key, sizeof self->key, bytes, bytes_count, mac);
    return failed == 0 ? MM_OK : MM_ERR_UNAVAILABLE;
}

static mm_err_t aes256_encrypt(void *context, const uint8_t key[MM_AES256_KEY_BYTES],
                               const uint8_t block[MM_AES_BLOCK_BYTES], uint8_t result[MM_AES_BLOCK_BYTES]) {
    (void)context;
    mbedtls_aes_context aes;
    mbedtls_aes_init(&aes);
    bool good = mbedtls_aes_setkey_enc(&aes, key, KEY_BITS) == 0 &&
                mbedtls_aes_crypt_ecb(&aes, MBEDTLS_AES_ENCRYPT, block, result) == 0;
    mbedtls_aes_free(&aes);
    return good ? MM_OK : MM_ERR_UNAVAILABLE;
}

static mm_err_t aead_seal(void *context, const uint8_t key[MM_AES256_KEY_BYTES], const uint8_t iv[MM_AEAD_IV_BYTES],
                          const void *more, size_t more_bytes, const void *bytes, size_t bytes_count, void *sealed) {
    (void)context;
    uint8_t *out = sealed;
    mbedtls_gcm_context gcm;
    mbedtls_gcm_init(&gcm);
    bool good = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, KEY_BITS) == 0 &&
                mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, bytes_count, iv, MM_AEAD_IV_BYTES, more,
                                          more_bytes, bytes, out, MM_AEAD_TAG_BYTES, out + bytes_count) == 0;
    mbedtls_gcm_free(&gcm);
    return good ? MM_OK : MM_ERR_UNAVAILABLE;
}

static mm_err_t aead_open(void *context, const uint8_t key[MM_AES256_KEY_BYTES], const uint8_t iv[MM_AEAD_IV_BYTES],
                          const void *more, size_t more_bytes, const void *sealed, size_t sealed_bytes, void *bytes) {
    (void)context;
    if (sealed_bytes < MM_AEAD_TAG_BYTES) {
        return MM_ERR_CORRUPT;
    }
    const uint8_t *in = sealed;
    size_t bytes_count = sealed_bytes - MM_AEAD_TAG_BYTES;
    mbedtls_gcm_context gcm;
    mbedtls_gcm_init(&gcm);
    int failed = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, KEY_BITS);
    if (failed == 0) {
        // When the tag is wrong the library leaves zeros in place of the text.
        failed = mbedtls_gcm_auth_decrypt(&gcm, bytes_count, iv, MM_AEAD_IV_BYTES, more, more_bytes, in + bytes_count,
                                          MM_AEAD_TAG_BYTES, in, bytes);
    }
    mbedtls_gcm_free(&gcm);
    if (failed == 0) {
        return MM_OK;
    }
    return failed == MBEDTLS_ERR_GCM_AUTH_FAILED ? MM_ERR_CORRUPT : MM_ERR_UNAVAILABLE;
}

void mm_esp_crypto_open(mm_esp_crypto_t *self, const uint8_t key[MM_ESP_DEVICE_KEY_BYTES]) {
    *self = (mm_esp_crypto_t){.crypto = {.device_hmac = device_hmac,
                                         .aes256_encrypt = aes256_encrypt,
                                         .aead_seal = aead_seal,
                                         .aead_open = aead_open,
                                         .context = self}};
    if (key != NULL) {
        memcpy(self->key, key, sizeof self->key);
        self->has_key = true;
    }
}

void mm_esp_crypto_close(mm_esp_crypto_t *self) {
    mm_esp_wipe(self->key, sizeof self->key);
    self->has_key = false;
}
