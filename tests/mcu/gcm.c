// SPDX-License-Identifier: Apache-2.0
// AES-256-GCM (NIST SP 800-38D) for unit tests, like cipher.c: small, slow, without protection. cipher_test.c holds it
// to published vectors.
#include <string.h>

#include <mbedtls/gcm.h>

#include <stdbool.h>
#include <stdint.h>

#define BLOCK_BYTES 16
#define IV_BYTES 12

void mbedtls_gcm_init(mbedtls_gcm_context *self) {
    mbedtls_aes_init(&self->aes);
}

void mbedtls_gcm_free(mbedtls_gcm_context *self) {
    mbedtls_aes_free(&self->aes);
}

int mbedtls_gcm_setkey(mbedtls_gcm_context *self, int cipher, const unsigned char *key, unsigned int key_bits) {
    return cipher == MBEDTLS_CIPHER_ID_AES ? mbedtls_aes_setkey_enc(&self->aes, key, key_bits) : -1;
}

// value = value * factor in GF(2^128), bit by bit (SP 800-38D, 6.3).
static void multiply(uint8_t value[BLOCK_BYTES], const uint8_t factor[BLOCK_BYTES]) {
    uint8_t result[BLOCK_BYTES] = {0};
    uint8_t power[BLOCK_BYTES];
    memcpy(power, factor, sizeof power);
    for (size_t bit = 0; bit < 8 * BLOCK_BYTES; bit++) {
        bool is_set = (value[bit / 8] >> (7 - bit % 8) & 1) != 0;
        for (size_t i = 0; is_set && i < BLOCK_BYTES; i++) {
            result[i] ^= power[i];
        }
        bool carry = (power[BLOCK_BYTES - 1] & 1) != 0;
        for (size_t i = BLOCK_BYTES - 1; i > 0; i--) {
            power[i] = (uint8_t)(power[i] >> 1 | power[i - 1] << 7);
        }
        power[0] = (uint8_t)(power[0] >> 1 ^ (carry ? 0xe1 : 0));
    }
    memcpy(value, result, sizeof result);
}

// Each block is filled up with zeros.
static void hash(uint8_t digest[BLOCK_BYTES], const uint8_t key[BLOCK_BYTES], const uint8_t *bytes,
                 size_t bytes_count) {
    for (size_t begin = 0; begin < bytes_count; begin += BLOCK_BYTES) {
        for (size_t i = 0; i < BLOCK_BYTES && begin + i < bytes_count; i++) {
            digest[i] ^= bytes[begin + i];
        }
        multiply(digest, key);
    }
}

static void make_tag(mbedtls_gcm_context *self, const uint8_t *iv, const uint8_t *more, size_t more_bytes,
                     const uint8_t *ciphertext, size_t bytes_count, uint8_t tag[BLOCK_BYTES]) {
    const uint8_t zero[BLOCK_BYTES] = {0};
    uint8_t key[BLOCK_BYTES];
    uint8_t lengths[BLOCK_BYTES];
    uint8_t first[BLOCK_BYTES] = {[BLOCK_BYTES - 1] = 1};
    (void)mbedtls_aes_crypt_ecb(&self->aes, MBEDTLS_AES_ENCRYPT, zero, key);
    memset(tag, 0, BLOCK_BYTES);
    hash(tag, key, more, more_bytes);
    hash(tag, key, ciphertext, bytes_count);
    for (size_t i = 0; i < 8; i++) {
        lengths[i] = (uint8_t)((uint64_t)more_bytes * 8 >> (56 - 8 * i));
        lengths[8 + i] = (uint8_t)((uint64_t)bytes_count * 8 >> (56 - 8 * i));
    }
    hash(tag, key, lengths, sizeof lengths);
    memcpy(first, iv, IV_BYTES);
    (void)mbedtls_aes_crypt_ecb(&self->aes, MBEDTLS_AES_ENCRYPT, first, first);
    for (size_t i = 0; i < BLOCK_BYTES; i++) {
        tag[i] ^= first[i];
    }
}

static void crypt(mbedtls_gcm_context *self, const uint8_t *iv, const uint8_t *bytes, size_t bytes_count,
                  uint8_t *result) {
    uint8_t counter[BLOCK_BYTES] = {[BLOCK_BYTES - 1] = 1};
    uint8_t stream[BLOCK_BYTES];
    memcpy(counter, iv, IV_BYTES);
    for (size_t i = 0; i < bytes_count; i++) {
        if (i % BLOCK_BYTES == 0) {
            for (size_t place = BLOCK_BYTES; place-- > IV_BYTES && ++counter[place] == 0;) {
            }
            (void)mbedtls_aes_crypt_ecb(&self->aes, MBEDTLS_AES_ENCRYPT, counter, stream);
        }
        result[i] = bytes[i] ^ stream[i % BLOCK_BYTES];
    }
}

int mbedtls_gcm_crypt_and_tag(mbedtls_gcm_context *self, int mode, size_t bytes_count, const unsigned char *iv,
                              size_t iv_bytes, const unsigned char *more, size_t more_bytes, const unsigned char *bytes,
                              unsigned char *result, size_t tag_bytes, unsigned char *tag) {
    if (mode != MBEDTLS_GCM_ENCRYPT || iv_bytes != IV_BYTES || tag_bytes != BLOCK_BYTES) {
        return -1;
    }
    crypt(self, iv, bytes, bytes_count, result);
    make_tag(self, iv, more, more_bytes, result, bytes_count, tag);
    return 0;
}

int mbedtls_gcm_auth_decrypt(mbedtls_gcm_context *self, size_t bytes_count, const unsigned char *iv, size_t iv_bytes,
                             const unsigned char *more, size_t more_bytes, const unsigned char *tag, size_t tag_bytes,
                             const unsigned char *bytes, unsigned char *result) {
    uint8_t wanted[BLOCK_BYTES];
    if (iv_bytes != IV_BYTES || tag_bytes != BLOCK_BYTES) {
        return -1;
    }
    make_tag(self, iv, more, more_bytes, bytes, bytes_count, wanted);
    if (memcmp(wanted, tag, sizeof wanted) != 0) {
        return MBEDTLS_ERR_GCM_AUTH_FAILED;
    }
    crypt(self, iv, bytes, bytes_count, result);
    return 0;
}
