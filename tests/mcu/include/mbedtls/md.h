// SPDX-License-Identifier: Apache-2.0
#ifndef MM_MCU_MBEDTLS_MD_H
#define MM_MCU_MBEDTLS_MD_H

#include <stddef.h>

/// HMAC-SHA-256 under the names that the unit tests call; see cipher.c.

typedef enum {
    MBEDTLS_MD_SHA256 = 6
} mbedtls_md_type_t;

typedef struct {
    mbedtls_md_type_t type;
} mbedtls_md_info_t;

/// NULL for everything but SHA-256.
const mbedtls_md_info_t *mbedtls_md_info_from_type(mbedtls_md_type_t type);
/// 0, or not: no info.
int mbedtls_md_hmac(const mbedtls_md_info_t *info, const unsigned char *key, size_t key_bytes,
                    const unsigned char *bytes, size_t bytes_count, unsigned char *mac);

#endif
