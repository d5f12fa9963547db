// SPDX-License-Identifier: Apache-2.0
#include "linux_crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/aes.h>
#include <mbedtls/md.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "linux_file.h"

#define KEY_DIGITS ((size_t)2 * MM_LINUX_DEVICE_KEY_BYTES)
// The digits and a line end of either kind.
#define KEY_FILE_BYTES_MAX (KEY_DIGITS + 2)

static mm_err_t device_hmac(void *context, const void *bytes, size_t bytes_count, uint8_t mac[MM_HMAC_BYTES]) {
    const mm_linux_crypto_t *self = context;
    if (!self->has_key) {
        return MM_ERR_UNAVAILABLE;
    }
    const mbedtls_md_info_t *sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    // Fails only without memory.
    int failed = mbedtls_md_hmac(sha256, self->key, sizeof self->key, bytes, bytes_count, mac);
    return failed == 0 ? MM_OK : MM_ERR_UNAVAILABLE;
}

static mm_err_t aes256_encrypt(void *context, const uint8_t key[MM_AES256_KEY_BYTES],
                               const uint8_t block[MM_AES_BLOCK_BYTES], uint8_t result[MM_AES_BLOCK_BYTES]) {
    (void)context;
    mbedtls_aes_context aes;
    mbedtls_aes_init(&aes);
    bool good = mbedtls_aes_setkey_enc(&aes, key, MM_AES256_KEY_BYTES * 8) == 0 &&
                mbedtls_aes_crypt_ecb(&aes, MBEDTLS_AES_ENCRYPT, block, result) == 0;
    mbedtls_aes_free(&aes);
    return good ? MM_OK : MM_ERR_UNAVAILABLE;
}

static int digit_of(char character) {
    return character >= '0' && character <= '9'   ? character - '0'
           : character >= 'a' && character <= 'f' ? character - 'a' + 10
           : character >= 'A' && character <= 'F' ? character - 'A' + 10
                                                  : -1;
}

static bool parse_key(const char *text, size_t text_bytes, uint8_t key[MM_LINUX_DEVICE_KEY_BYTES]) {
    if (text_bytes < KEY_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < MM_LINUX_DEVICE_KEY_BYTES; i++) {
        int high = digit_of(text[2 * i]);
        int low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        key[i] = (uint8_t)(high << 4 | low);
    }
    for (size_t i = KEY_DIGITS; i < text_bytes; i++) {
        if (text[i] != '\r' && text[i] != '\n') {
            return false;
        }
    }
    return true;
}

static mm_err_t check_file(const char *path, const struct stat *status, mm_linux_message_t *message) {
    if (!S_ISREG(status->st_mode)) {
        mm_linux_message_set(message, "%s: the device's key must be a file", path);
        return MM_ERR_ARG;
    }
    if ((status->st_mode & 077) != 0) {
        mm_linux_message_set(message, "%s: others may read the device's key (mode %04o); make it private: chmod 600 %s",
                             path, (unsigned)(status->st_mode & 07777), path);
        return MM_ERR_ARG;
    }
    if (status->st_uid != geteuid() && status->st_uid != 0) {
        mm_linux_message_set(message, "%s: the device's key belongs to another user (%u), who may read and change it",
                             path, (unsigned)status->st_uid);
        return MM_ERR_ARG;
    }
    return MM_OK;
}

static mm_err_t read_key(mm_linux_crypto_t *self, const char *path, int file, mm_linux_message_t *message) {
    struct stat status;
    char text[KEY_FILE_BYTES_MAX + 1];
    if (fstat(file, &status) != 0) {
        mm_linux_message_set(message, "%s: cannot be read: %s", path, strerror(errno));
        return MM_ERR_STORAGE;
    }
    mm_err_t err = check_file(path, &status, message);
    if (err != MM_OK) {
        return err;
    }
    size_t size = (size_t)status.st_size;
    bool good = size <= KEY_FILE_BYTES_MAX && mm_linux_file_read(file, 0, text, size) == MM_OK &&
                parse_key(text, size, self->key);
    explicit_bzero(text, sizeof text);
    if (!good) {
        mm_linux_message_set(message, "%s: is not one line of %zu hexadecimal digits", path, KEY_DIGITS);
        return MM_ERR_ARG;
    }
    self->has_key = true;
    return MM_OK;
}

mm_err_t mm_linux_crypto_open(mm_linux_crypto_t *self, const char *path, mm_linux_message_t *message) {
    *self =
        (mm_linux_crypto_t){.crypto = {.device_hmac = device_hmac, .aes256_encrypt = aes256_encrypt, .context = self}};
    if (path == NULL) {
        return MM_OK;
    }
    // Not to be held up by a pipe that was put there.
    int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) {
        mm_linux_message_set(message, "%s: the device's key cannot be read: %s", path, strerror(errno));
        return MM_ERR_STORAGE;
    }
    mm_err_t err = read_key(self, path, file, message);
    (void)close(file);
    if (err != MM_OK) {
        explicit_bzero(self->key, sizeof self->key);
    }
    return err;
}

void mm_linux_crypto_close(mm_linux_crypto_t *self) {
    explicit_bzero(self->key, sizeof self->key);
    self->has_key = false;
}
