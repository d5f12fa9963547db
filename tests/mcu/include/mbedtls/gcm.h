// SPDX-License-Identifier: Apache-2.0
#ifndef MM_MCU_MBEDTLS_GCM_H
#define MM_MCU_MBEDTLS_GCM_H

#include <stddef.h>

#include "aes.h"

/// AES-256-GCM with an iv of 12 bytes and a tag of 16, under the names that the unit tests call; see gcm.c.

#define MBEDTLS_GCM_ENCRYPT 1
#define MBEDTLS_CIPHER_ID_AES 2
#define MBEDTLS_ERR_GCM_AUTH_FAILED (-0x0012)

typedef struct {
    mbedtls_aes_context aes;
} mbedtls_gcm_context;

void mbedtls_gcm_init(mbedtls_gcm_context *self);
void mbedtls_gcm_free(mbedtls_gcm_context *self);
int mbedtls_gcm_setkey(mbedtls_gcm_context *self, int cipher, const unsigned char *key, unsigned int key_bits);
/// 0, or not: another mode, iv or tag.
int mbedtls_gcm_crypt_and_tag(mbedtls_gcm_context *self, int mode, size_t bytes_count, const unsigned char *iv,
                              size_t iv_bytes, const unsigned char *more, size_t more_bytes, const unsigned char *bytes,
                              unsigned char *result, size_t tag_bytes, unsigned char *tag);
/// As crypt_and_tag; MBEDTLS_ERR_GCM_AUTH_FAILED: nothing was written.
int mbedtls_gcm_auth_decrypt(mbedtls_gcm_context *self, size_t bytes_count, const unsigned char *iv, size_t iv_bytes,
                             const unsigned char *more, size_t more_bytes, const unsigned char *tag, size_t tag_bytes,
                             const unsigned char *bytes, unsigned char *result);

#endif
