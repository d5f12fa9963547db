// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_CRYPTO_H
#define MM_ESP_CRYPTO_H

#include "meshmeter/port/crypto.h"

/// mbedTLS 3.6 through its public functions, which IDF 6 takes away: this file is what changes then. The device's key
/// is copied here and nowhere else; it is wiped by close. 56 bytes on 32 bit.

#define MM_ESP_DEVICE_KEY_BYTES 32

typedef struct {
    mm_crypto_t crypto; ///< hand this to the core; *self must stay where it is
    bool has_key;
    uint8_t key[MM_ESP_DEVICE_KEY_BYTES];
} mm_esp_crypto_t;

/// key: of the device (settings), or NULL: what needs one is refused.
void mm_esp_crypto_open(mm_esp_crypto_t *self, const uint8_t key[MM_ESP_DEVICE_KEY_BYTES]);
void mm_esp_crypto_close(mm_esp_crypto_t *self);
#define MM_ESP_SHA256_BYTES 32
/// MM_ERR_UNAVAILABLE: no memory.
mm_err_t mm_esp_sha256(const void *bytes, size_t bytes_count, uint8_t hash[MM_ESP_SHA256_BYTES]);

#define MM_ESP_SRP_SALT_BYTES 16
#define MM_ESP_SRP_VERIFIER_BYTES 384
/// SRP6a as security 2 of the SDK has it (RFC 5054, the 3072 bit group, SHA-512): what a session is judged by. The
/// SDK's own function is wrong for one salt in 256: its first byte 0 is lost. salt: random, the first byte not 0.
/// MM_ERR_UNAVAILABLE: no memory.
mm_err_t mm_esp_srp_verifier(const char *user, const char *secret, const uint8_t salt[MM_ESP_SRP_SALT_BYTES],
                             uint8_t verifier[MM_ESP_SRP_VERIFIER_BYTES]);

#endif
