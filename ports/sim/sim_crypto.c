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

void mm_sim_crypto_init(mm_sim_crypto_t *self, uint64_t seed, int device) {
    mm_random_t random = mm_random(seed ^ ((uint64_t)device << 48) ^ UINT64_C(0x6b65792d6f662d31));
    self->crypto = (mm_crypto_t){.device_hmac = device_hmac, .aes256_encrypt = aes256_encrypt, .context = self};
    for (size_t i = 0; i < MM_SIM_KEY_BYTES; i++) {
        self->key[i] = (uint8_t)mm_random_u32(&random);
    }
}
