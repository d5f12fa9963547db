// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_crypto.h"

#include <mbedtls/aes.h>
#include <mbedtls/bignum.h>
#include <mbedtls/dhm.h>
#include <mbedtls/gcm.h>
#include <mbedtls/md.h>
#include <string.h>

#include "meshmeter/bytes.h"

#define KEY_BITS (MM_AES256_KEY_BYTES * 8)

mm_err_t mm_esp_sha256(const void *bytes, size_t bytes_count, uint8_t hash[MM_ESP_SHA256_BYTES]) {
    int failed = mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), bytes, bytes_count, hash);
    return failed == 0 ? MM_OK : MM_ERR_UNAVAILABLE;
}

#define SHA512_BYTES 64
// User, colon, label.
#define NAME_BYTES_MAX 80

// x = H(salt | H(user ":" secret))
static bool srp_exponent(const char *user, const char *secret, const uint8_t *salt, uint8_t x[SHA512_BYTES]) {
    const mbedtls_md_info_t *sha512 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA512);
    uint8_t bytes[NAME_BYTES_MAX];
    size_t user_bytes = strlen(user);
    size_t secret_bytes = strlen(secret);
    MM_ASSERT(user_bytes + 1 + secret_bytes <= sizeof bytes);
    memcpy(bytes, user, user_bytes);
    bytes[user_bytes] = ':';
    memcpy(bytes + user_bytes + 1, secret, secret_bytes);
    bool good = mbedtls_md(sha512, bytes, user_bytes + 1 + secret_bytes, x) == 0;
    memcpy(bytes, salt, MM_ESP_SRP_SALT_BYTES);
    memcpy(bytes + MM_ESP_SRP_SALT_BYTES, x, SHA512_BYTES);
    good = good && mbedtls_md(sha512, bytes, MM_ESP_SRP_SALT_BYTES + SHA512_BYTES, x) == 0;
    mm_wipe(bytes, sizeof bytes);
    return good;
}

// v = 5 ^ x mod N
mm_err_t mm_esp_srp_verifier(const char *user, const char *secret, const uint8_t salt[MM_ESP_SRP_SALT_BYTES],
                             uint8_t verifier[MM_ESP_SRP_VERIFIER_BYTES]) {
    static const uint8_t prime[MM_ESP_SRP_VERIFIER_BYTES] = MBEDTLS_DHM_RFC3526_MODP_3072_P_BIN;
    uint8_t x[SHA512_BYTES];
    mbedtls_mpi base;
    mbedtls_mpi exponent;
    mbedtls_mpi modulus;
    mbedtls_mpi result;
    mbedtls_mpi_init(&base);
    mbedtls_mpi_init(&exponent);
    mbedtls_mpi_init(&modulus);
    mbedtls_mpi_init(&result);
    bool good = srp_exponent(user, secret, salt, x) && mbedtls_mpi_lset(&base, 5) == 0 &&
                mbedtls_mpi_read_binary(&exponent, x, sizeof x) == 0 &&
                mbedtls_mpi_read_binary(&modulus, prime, sizeof prime) == 0 &&
                mbedtls_mpi_exp_mod(&result, &base, &exponent, &modulus, NULL) == 0 &&
                mbedtls_mpi_write_binary(&result, verifier, MM_ESP_SRP_VERIFIER_BYTES) == 0;
    mbedtls_mpi_free(&base);
    mbedtls_mpi_free(&exponent); // wipes
    mbedtls_mpi_free(&modulus);
    mbedtls_mpi_free(&result);
    mm_wipe(x, sizeof x);
    return good ? MM_OK : MM_ERR_UNAVAILABLE;
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
    mm_wipe(self->key, sizeof self->key);
    self->has_key = false;
}
