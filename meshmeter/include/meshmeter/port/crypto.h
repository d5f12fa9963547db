// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PORT_CRYPTO_H
#define MM_PORT_CRYPTO_H

#include "meshmeter/base.h"

/// Cryptography of the platform (mbedTLS, PSA, a secure element). The device's key stays in the port: the core asks for
/// what can be made with it and never sees it. Nothing blocks for longer than a few milliseconds.

#define MM_HMAC_BYTES 32
#define MM_AES_BLOCK_BYTES 16
#define MM_AES256_KEY_BYTES 32
#define MM_AEAD_IV_BYTES 12
#define MM_AEAD_TAG_BYTES 16

typedef struct {
    /// HMAC-SHA-256 (RFC 2104, FIPS 180-4) of the bytes under the device's key of 32 bytes. MM_ERR_UNAVAILABLE: this
    /// device has no key; everything that needs one is refused.
    mm_err_t (*device_hmac)(void *context, const void *bytes, size_t bytes_count, uint8_t mac[MM_HMAC_BYTES]);
    /// One block of AES-256 (FIPS 197), encryption, for the original's challenges.
    mm_err_t (*aes256_encrypt)(void *context, const uint8_t key[MM_AES256_KEY_BYTES],
                               const uint8_t block[MM_AES_BLOCK_BYTES], uint8_t result[MM_AES_BLOCK_BYTES]);
    /// AES-256-GCM (NIST SP 800-38D). seal writes bytes_count + MM_AEAD_TAG_BYTES bytes; an iv must never be used twice
    /// with one key. open takes the tag behind the ciphertext and writes bytes_count - MM_AEAD_TAG_BYTES bytes;
    /// MM_ERR_CORRUPT: it is not what was sealed, and nothing of it was written. Both NULL: this platform has no AEAD,
    /// and what needs it is refused.
    mm_err_t (*aead_seal)(void *context, const uint8_t key[MM_AES256_KEY_BYTES], const uint8_t iv[MM_AEAD_IV_BYTES],
                          const void *more, size_t more_bytes, const void *bytes, size_t bytes_count, void *sealed);
    mm_err_t (*aead_open)(void *context, const uint8_t key[MM_AES256_KEY_BYTES], const uint8_t iv[MM_AEAD_IV_BYTES],
                          const void *more, size_t more_bytes, const void *sealed, size_t sealed_bytes, void *bytes);
    void *context;
} mm_crypto_t;

#endif
