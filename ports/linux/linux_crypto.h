// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_CRYPTO_H
#define MM_LINUX_CRYPTO_H

#include "linux_message.h"
#include "meshmeter/port/crypto.h"

/// Cryptography over mbedTLS. The device's key is in a file of its own that nobody but its owner may read; in memory it
/// stays inside of this struct.

#define MM_LINUX_DEVICE_KEY_BYTES 32

typedef struct {
    mm_crypto_t crypto; ///< hand this to the core; *self must stay where it is
    bool has_key;
    uint8_t key[MM_LINUX_DEVICE_KEY_BYTES];
} mm_linux_crypto_t;

/// path: one line of 64 hexadecimal digits, mode 0600 or 0400, owned by this user or by root. NULL: a device without a
/// key (device_hmac says MM_ERR_UNAVAILABLE). MM_ERR_ARG: not such a file, or others may read it; `message` says what
/// to do. MM_ERR_STORAGE: the system refused.
mm_err_t mm_linux_crypto_open(mm_linux_crypto_t *self, const char *path, mm_linux_message_t *message);
/// Wipe the key. Also after a failed open.
void mm_linux_crypto_close(mm_linux_crypto_t *self);

/// The one line of a private file (mode 0600 or 0400, owned by this user or by root) without its end, zero-terminated,
/// at most capacity_bytes - 1 characters. Errors as above. Wipe it after use.
mm_err_t mm_linux_secret_read(const char *path, char *text, size_t capacity_bytes, mm_linux_message_t *message);

#endif
