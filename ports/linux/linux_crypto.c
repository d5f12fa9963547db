// SPDX-License-Identifier: Apache-2.0
#include "linux_crypto.h"
#include "meshmeter/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/aes.h>
#include <mbedtls/gcm.h>
#include <mbedtls/md.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "linux_file.h"

#define KEY_DIGITS ((size_t)2 * MM_LINUX_DEVICE_KEY_BYTES)
#define SECRET_BYTES_MAX 512

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

static mm_err_t aead_seal(void *context, const uint8_t key[MM_AES256_KEY_BYTES], const uint8_t iv[MM_AEAD_IV_BYTES],
                          const void *more, size_t more_bytes, const void *bytes, size_t bytes_count, void *sealed) {
    (void)context;
    uint8_t *ciphertext = sealed;
    mbedtls_gcm_context gcm;
    mbedtls_gcm_init(&gcm);
    bool good =
        mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 8 * MM_AES256_KEY_BYTES) == 0 &&
        mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, bytes_count, iv, MM_AEAD_IV_BYTES, more, more_bytes, bytes,
                                  ciphertext, MM_AEAD_TAG_BYTES, ciphertext + bytes_count) == 0;
    mbedtls_gcm_free(&gcm);
    return good ? MM_OK : MM_ERR_UNAVAILABLE;
}

static mm_err_t aead_open(void *context, const uint8_t key[MM_AES256_KEY_BYTES], const uint8_t iv[MM_AEAD_IV_BYTES],
                          const void *more, size_t more_bytes, const void *sealed, size_t sealed_bytes, void *bytes) {
    (void)context;
    if (sealed_bytes < MM_AEAD_TAG_BYTES) {
        return MM_ERR_CORRUPT;
    }
    size_t bytes_count = sealed_bytes - MM_AEAD_TAG_BYTES;
    const uint8_t *ciphertext = sealed;
    mbedtls_gcm_context gcm;
    mbedtls_gcm_init(&gcm);
    mm_err_t err = MM_ERR_UNAVAILABLE;
    if (mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 8 * MM_AES256_KEY_BYTES) == 0) {
        int failed = mbedtls_gcm_auth_decrypt(&gcm, bytes_count, iv, MM_AEAD_IV_BYTES, more, more_bytes,
                                              ciphertext + bytes_count, MM_AEAD_TAG_BYTES, ciphertext, bytes);
        err = failed == 0 ? MM_OK : failed == MBEDTLS_ERR_GCM_AUTH_FAILED ? MM_ERR_CORRUPT : MM_ERR_UNAVAILABLE;
    }
    mbedtls_gcm_free(&gcm);
    return err;
}

static bool parse_key(const char *text, uint8_t key[MM_LINUX_DEVICE_KEY_BYTES]) {
    if (strlen(text) != KEY_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < MM_LINUX_DEVICE_KEY_BYTES; i++) {
        int high = mm_hex_digit(text[2 * i]);
        int low = mm_hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        key[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static mm_err_t check_file(const char *path, const struct stat *status, mm_linux_message_t *message) {
    if (!S_ISREG(status->st_mode)) {
        mm_linux_message_set(message, "%s: a secret must be in a file", path);
        return MM_ERR_ARG;
    }
    if ((status->st_mode & 077) != 0) {
        mm_linux_message_set(message, "%s: others may read this secret (mode %04o); make it private: chmod 600 %s",
                             path, (unsigned)(status->st_mode & 07777), path);
        return MM_ERR_ARG;
    }
    if (status->st_uid != geteuid() && status->st_uid != 0) {
        mm_linux_message_set(message, "%s: this secret belongs to another user (%u), who may read and change it", path,
                             (unsigned)status->st_uid);
        return MM_ERR_ARG;
    }
    return MM_OK;
}

static mm_err_t read_line(int file, const char *path, char *text, size_t capacity_bytes, mm_linux_message_t *message) {
    struct stat status;
    if (fstat(file, &status) != 0) {
        mm_linux_message_set(message, "%s: cannot be read: %s", path, strerror(errno));
        return MM_ERR_STORAGE;
    }
    mm_err_t err = check_file(path, &status, message);
    if (err != MM_OK) {
        return err;
    }
    char bytes[SECRET_BYTES_MAX];
    size_t size = (size_t)status.st_size;
    bool good = size <= sizeof bytes && mm_linux_file_read(file, 0, bytes, size) == MM_OK;
    size_t chars = 0;
    while (good && chars < size && bytes[chars] != '\n' && bytes[chars] != '\r') {
        chars++;
    }
    // One line end of either kind may follow.
    size_t rest = size - chars;
    good = good && (rest == 0 || (rest == 1 && bytes[chars] == '\n') || (rest == 2 && bytes[chars + 1] == '\n')) &&
           memchr(bytes, '\0', chars) == NULL && chars < capacity_bytes;
    if (good) {
        memcpy(text, bytes, chars);
        text[chars] = '\0';
    }
    explicit_bzero(bytes, sizeof bytes);
    if (!good) {
        mm_linux_message_set(message, "%s: is not one line of at most %zu characters", path, capacity_bytes - 1);
    }
    return good ? MM_OK : MM_ERR_ARG;
}

mm_err_t mm_linux_secret_read(const char *path, char *text, size_t capacity_bytes, mm_linux_message_t *message) {
    // Not to be held up by a pipe that was put there.
    int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) {
        mm_linux_message_set(message, "%s: cannot be read: %s", path, strerror(errno));
        return MM_ERR_STORAGE;
    }
    mm_err_t err = read_line(file, path, text, capacity_bytes, message);
    (void)close(file);
    return err;
}

mm_err_t mm_linux_crypto_open(mm_linux_crypto_t *self, const char *path, mm_linux_message_t *message) {
    *self = (mm_linux_crypto_t){.crypto = {.device_hmac = device_hmac,
                                           .aes256_encrypt = aes256_encrypt,
                                           .aead_seal = aead_seal,
                                           .aead_open = aead_open,
                                           .context = self}};
    if (path == NULL) {
        return MM_OK;
    }
    char text[KEY_DIGITS + 1];
    mm_err_t err = mm_linux_secret_read(path, text, sizeof text, message);
    if (err != MM_OK) {
        return err;
    }
    self->has_key = parse_key(text, self->key);
    explicit_bzero(text, sizeof text);
    if (!self->has_key) {
        explicit_bzero(self->key, sizeof self->key);
        mm_linux_message_set(message, "%s: the device's key must be one line of %zu hexadecimal digits", path,
                             KEY_DIGITS);
        return MM_ERR_ARG;
    }
    return MM_OK;
}

void mm_linux_crypto_close(mm_linux_crypto_t *self) {
    explicit_bzero(self->key, sizeof self->key);
    self->has_key = false;
}
