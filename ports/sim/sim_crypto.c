// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_crypto.h"

#include <string.h>

#include "meshmeter/random.h"
#include "meshmeter/token.h"

#define WORD_BYTES 8

static void put_word(uint8_t *bytes, uint64_t word) {
    for (int i = 0; i < WORD_BYTES; i++) {
        bytes[i] = (uint8_t)(word >> (8 * i));
    }
}

static mm_err_t device_hmac(void *context, const void *bytes, size_t bytes_count, uint8_t mac[MM_HMAC_BYTES]) {
    const mm_sim_crypto_t *self = context;
    for (uint8_t part = 0; part < MM_HMAC_BYTES / WORD_BYTES; part++) {
        uint8_t key[MM_SIM_KEY_BYTES];
        memcpy(key, self->key, sizeof key);
        key[0] ^= part;
        put_word(mac + part * WORD_BYTES, mm_siphash24(key, bytes, bytes_count));
    }
    return MM_OK;
}

// Original gateways are not simulated down to their passwords.
static mm_err_t aes256_encrypt(void *context, const uint8_t key[MM_AES256_KEY_BYTES],
                               const uint8_t block[MM_AES_BLOCK_BYTES], uint8_t result[MM_AES_BLOCK_BYTES]) {
    (void)context;
    (void)key;
    (void)block;
    (void)result;
    return MM_ERR_UNAVAILABLE;
}

// A stream and a tag of SipHash: what was changed is seen, and the plaintext is not what travels.
static void put_keyed(const uint8_t key[MM_AES256_KEY_BYTES], const uint8_t iv[MM_AEAD_IV_BYTES], uint8_t purpose,
                      uint64_t counter, const uint8_t digest[WORD_BYTES], uint8_t word[WORD_BYTES]) {
    uint8_t bytes[MM_AES256_KEY_BYTES + MM_AEAD_IV_BYTES + 1 + 2 * WORD_BYTES];
    memcpy(bytes, key, MM_AES256_KEY_BYTES);
    memcpy(bytes + MM_AES256_KEY_BYTES, iv, MM_AEAD_IV_BYTES);
    bytes[MM_AES256_KEY_BYTES + MM_AEAD_IV_BYTES] = purpose;
    put_word(bytes + MM_AES256_KEY_BYTES + MM_AEAD_IV_BYTES + 1, counter);
    memcpy(bytes + MM_AES256_KEY_BYTES + MM_AEAD_IV_BYTES + 1 + WORD_BYTES, digest, WORD_BYTES);
    put_word(word, mm_siphash24(key, bytes, sizeof bytes));
}

static void mix(const uint8_t key[MM_AES256_KEY_BYTES], const uint8_t iv[MM_AEAD_IV_BYTES], const uint8_t *from,
                size_t bytes_count, uint8_t *to) {
    static const uint8_t nothing[WORD_BYTES];
    uint8_t word[WORD_BYTES] = {0};
    for (size_t i = 0; i < bytes_count; i++) {
        if (i % WORD_BYTES == 0) {
            put_keyed(key, iv, 's', i, nothing, word);
        }
        to[i] = (uint8_t)(from[i] ^ word[i % WORD_BYTES]);
    }
}

static void make_tag(const uint8_t key[MM_AES256_KEY_BYTES], const uint8_t iv[MM_AEAD_IV_BYTES], const void *more,
                     size_t more_bytes, const uint8_t *ciphertext, size_t bytes_count, uint8_t tag[MM_AEAD_TAG_BYTES]) {
    uint8_t digest[WORD_BYTES];
    put_word(digest, mm_siphash24(key, more, more_bytes));
    put_keyed(key, iv, 'm', more_bytes, digest, tag);
    put_word(digest, mm_siphash24(tag, ciphertext, bytes_count) ^ mm_siphash24(key, ciphertext, bytes_count));
    put_keyed(key, iv, 'c', bytes_count, digest, tag + WORD_BYTES);
}

static mm_err_t aead_seal(void *context, const uint8_t key[MM_AES256_KEY_BYTES], const uint8_t iv[MM_AEAD_IV_BYTES],
                          const void *more, size_t more_bytes, const void *bytes, size_t bytes_count, void *sealed) {
    (void)context;
    uint8_t *ciphertext = sealed;
    mix(key, iv, bytes, bytes_count, ciphertext);
    memset(ciphertext + bytes_count, 0, MM_AEAD_TAG_BYTES);
    make_tag(key, iv, more, more_bytes, ciphertext, bytes_count, ciphertext + bytes_count);
    return MM_OK;
}

static mm_err_t aead_open(void *context, const uint8_t key[MM_AES256_KEY_BYTES], const uint8_t iv[MM_AEAD_IV_BYTES],
                          const void *more, size_t more_bytes, const void *sealed, size_t sealed_bytes, void *bytes) {
    (void)context;
    if (sealed_bytes < MM_AEAD_TAG_BYTES) {
        return MM_ERR_CORRUPT;
    }
    size_t bytes_count = sealed_bytes - MM_AEAD_TAG_BYTES;
    const uint8_t *ciphertext = sealed;
    uint8_t tag[MM_AEAD_TAG_BYTES] = {0};
    make_tag(key, iv, more, more_bytes, ciphertext, bytes_count, tag);
    if (memcmp(tag, ciphertext + bytes_count, sizeof tag) != 0) {
        return MM_ERR_CORRUPT;
    }
    mix(key, iv, ciphertext, bytes_count, bytes);
    return MM_OK;
}

void mm_sim_crypto_init(mm_sim_crypto_t *self, uint64_t seed, int device) {
    mm_random_t random = mm_random(seed ^ ((uint64_t)device << 48) ^ UINT64_C(0x6b65792d6f662d31));
    self->crypto = (mm_crypto_t){.device_hmac = device_hmac,
                                 .aes256_encrypt = aes256_encrypt,
                                 .aead_seal = aead_seal,
                                 .aead_open = aead_open,
                                 .context = self};
    for (size_t i = 0; i < MM_SIM_KEY_BYTES; i++) {
        self->key[i] = (uint8_t)mm_random_u32(&random);
    }
}
