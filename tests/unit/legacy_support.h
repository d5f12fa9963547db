// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LEGACY_SUPPORT_H
#define MM_LEGACY_SUPPORT_H

#include <stdio.h>
#include <string.h>

#include "meshmeter/legacy_command.h"

/// Items of the original's commands with a good check value, made as its sender makes it: white space out, the first 32
/// bytes are the key.

#define LEGACY_CHECK_PLACE "CHACHACH"

static const uint8_t s_legacy_secret[MM_LEGACY_SECRET_BYTES] = "a secret of test"; // exactly 16, no terminator

static inline void legacy_check(const char *item, const mm_crypto_t *crypto, char check[9]) {
    uint8_t key[MM_AES256_KEY_BYTES];
    uint8_t block[MM_AES_BLOCK_BYTES];
    size_t used = 0;
    bool quoted = false;
    memset(key, '2', sizeof key);
    for (const char *next = item; *next != '\0' && used < sizeof key; next++) {
        quoted = *next == '"' ? !quoted : quoted;
        if (quoted || strchr(" \t\r\n", *next) == NULL) {
            key[used++] = (uint8_t)*next;
        }
    }
    (void)crypto->aes256_encrypt(crypto->context, key, s_legacy_secret, block);
    (void)snprintf(check, 9, "%02x%02x%02x%02x", block[0], block[1], block[2], block[3]);
}

/// Put the check value where LEGACY_CHECK_PLACE stands, which must be behind the first 32 bytes.
static inline void legacy_seal(char *item, const mm_crypto_t *crypto) {
    char check[9];
    char *place = strstr(item, LEGACY_CHECK_PLACE);
    legacy_check(item, crypto, check);
    if (place != NULL) {
        memcpy(place, check, 8);
    }
}

// Not AES, and good enough where only the reading is looked at: every byte of the key counts.
static inline mm_err_t legacy_toy_encrypt(void *context, const uint8_t key[MM_AES256_KEY_BYTES],
                                          const uint8_t block[MM_AES_BLOCK_BYTES], uint8_t result[MM_AES_BLOCK_BYTES]) {
    uint32_t state = 1;
    (void)context;
    for (size_t i = 0; i < MM_AES256_KEY_BYTES; i++) {
        state = state * 31 + key[i];
    }
    for (size_t i = 0; i < MM_AES_BLOCK_BYTES; i++) {
        state = state * 1103515245 + 12345;
        result[i] = (uint8_t)(block[i] ^ state >> 16);
    }
    return MM_OK;
}

#endif
