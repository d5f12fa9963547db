// SPDX-License-Identifier: Apache-2.0
#ifndef MM_MCU_MBEDTLS_AES_H
#define MM_MCU_MBEDTLS_AES_H

/// AES-256, one block, encryption only, under the names that the unit tests call; see cipher.c.

#define MBEDTLS_AES_ENCRYPT 1

typedef struct {
    unsigned char rounds[15 * 16];
} mbedtls_aes_context;

void mbedtls_aes_init(mbedtls_aes_context *self);
void mbedtls_aes_free(mbedtls_aes_context *self);
/// 0, or not: other than 256 bits.
int mbedtls_aes_setkey_enc(mbedtls_aes_context *self, const unsigned char *key, unsigned int key_bits);
/// 0, or not: other than encryption.
int mbedtls_aes_crypt_ecb(mbedtls_aes_context *self, int mode, const unsigned char block[16], unsigned char result[16]);

#endif
