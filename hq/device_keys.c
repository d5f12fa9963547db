// SPDX-License-Identifier: Apache-2.0
#include "device_keys.h"

#include "meshmeter/bytes.h"

#include "joins.h"
#include "operators.h"
#include "sql.h"
#include "store_query.h"

#include <mbedtls/aes.h>
#include <mbedtls/constant_time.h>
#include <mbedtls/gcm.h>
#include <mbedtls/md.h>
#include <stdio.h>
#include <string.h>

#define MAC_BYTES 6

// --- what the core asks for

static mm_err_t device_hmac(void *context, const void *bytes, size_t bytes_count, uint8_t mac[MM_HMAC_BYTES]) {
    const mm_device_crypto_t *self = context;
    const mbedtls_md_info_t *sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    return mbedtls_md_hmac(sha256, self->key, sizeof self->key, bytes, bytes_count, mac) == 0 ? MM_OK
                                                                                              : MM_ERR_UNAVAILABLE;
}

static mm_err_t aes256_encrypt(void *context, const uint8_t key[MM_AES256_KEY_BYTES],
                               const uint8_t block[MM_AES_BLOCK_BYTES], uint8_t result[MM_AES_BLOCK_BYTES]) {
    (void)context;
    mbedtls_aes_context aes;
    mbedtls_aes_init(&aes);
    bool good = mbedtls_aes_setkey_enc(&aes, key, 8 * MM_AES256_KEY_BYTES) == 0 &&
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

void mm_device_crypto_init(mm_device_crypto_t *self, const uint8_t key[MM_DEVICE_KEY_BYTES]) {
    memcpy(self->key, key, sizeof self->key);
    self->crypto = (mm_crypto_t){.device_hmac = device_hmac,
                                 .aes256_encrypt = aes256_encrypt,
                                 .aead_seal = aead_seal,
                                 .aead_open = aead_open,
                                 .context = self};
}

void mm_device_crypto_wipe(mm_device_crypto_t *self) {
    explicit_bzero(self, sizeof *self);
}

// --- one line

// Returns what is behind the digits, or NULL. Between two bytes there may be one of `between`.
static const char *parse_hex(const char *text, const char *between, uint8_t *bytes, size_t bytes_count) {
    for (size_t index = 0; index < bytes_count; index++) {
        if (index > 0 && *text != '\0' && strchr(between, *text) != NULL) {
            text++;
        }
        int high = mm_hex_digit(text[0]);
        int low = high >= 0 ? mm_hex_digit(text[1]) : -1;
        if (low < 0) {
            return NULL;
        }
        bytes[index] = (uint8_t)(high * 16 + low);
        text += 2;
    }
    return text;
}

static const char *skip_blanks(const char *text) {
    return text + strspn(text, " \t\r");
}

// Says what is wrong without a digit of the key.
static const char *parse_line(const char *line, mm_mac_t *mac, uint8_t key[MM_DEVICE_KEY_BYTES]) {
    const char *rest = parse_hex(skip_blanks(line), ":-", mac->bytes, MAC_BYTES);
    if (rest == NULL || *(rest = skip_blanks(rest)) != ',' || mm_mac_is_zero(*mac)) {
        return "begin with a device's address and a comma, like 02:00:00:00:00:01,";
    }
    rest = parse_hex(skip_blanks(rest + 1), "", key, MM_DEVICE_KEY_BYTES);
    if (rest == NULL || *skip_blanks(rest) != '\0') {
        return "behind the comma there must be 64 hex digits and nothing else";
    }
    return NULL;
}

// --- the table

// Inside of a transaction. *added: it was not there.
static mm_desk_result_t add_key(mm_desk_t *desk, mm_mac_t mac, const uint8_t key[MM_DEVICE_KEY_BYTES], int64_t now_us,
                                bool *added, mm_hq_error_t *error) {
    mmi_sql_t find = mmi_sql_begin(mmi_desk_db(desk), "SELECT key FROM device_key WHERE mac = ?");
    mmi_sql_put_mac(&find, &mac);
    bool found = mmi_sql_row(&find);
    const void *known = found ? mmi_sql_blob(&find, 0, MM_DEVICE_KEY_BYTES) : NULL;
    bool same = known != NULL && mbedtls_ct_memcmp(known, key, MM_DEVICE_KEY_BYTES) == 0;
    *added = !found;
    if (!mmi_sql_end(&find)) {
        return mmi_desk_fail(desk, error);
    }
    if (found && !same) {
        char text[MM_MAC_TEXT_BYTES];
        mm_mac_print(mac, text);
        mm_hq_error_set(error, "%s has another key already; if the device was made anew, remove the old one first",
                        text);
        return MM_DESK_REFUSED;
    }
    if (found) {
        return MM_DESK_OK;
    }
    mmi_sql_t add = mmi_sql_begin(mmi_desk_db(desk), "INSERT INTO device_key (mac, key, added_us) VALUES (?, ?, ?)");
    mmi_sql_put_mac(&add, &mac);
    mmi_sql_put_blob(&add, key, MM_DEVICE_KEY_BYTES);
    mmi_sql_put_integer(&add, now_us);
    bool good = mmi_sql_run(&add) && mmi_hq_joins_key_added(mmi_desk_db(desk), mac, now_us);
    return good ? MM_DESK_OK : mmi_desk_fail(desk, error);
}

mm_desk_result_t mm_device_keys_add(mm_desk_t *desk, mm_mac_t mac, const uint8_t key[MM_DEVICE_KEY_BYTES],
                                    int64_t now_us, mm_hq_error_t *error) {
    bool added;
    char text[MM_MAC_TEXT_BYTES];
    mm_mac_print(mac, text);
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result == MM_DESK_OK) {
        result = add_key(desk, mac, key, now_us, &added, error);
    }
    if (result == MM_DESK_OK && added &&
        !mmi_hq_audit(mmi_desk_db(desk), MM_OPERATOR_CONSOLE, "key add", text, now_us)) {
        result = mmi_desk_fail(desk, error);
    }
    return result == MM_DESK_OK ? mmi_desk_commit(desk, error) : mmi_desk_rollback(desk, result);
}

// Inside of a transaction.
static mm_desk_result_t import_line(mm_desk_t *desk, const char *line, int line_no, int64_t now_us, int *added,
                                    mm_hq_error_t *error) {
    mm_mac_t mac;
    uint8_t key[MM_DEVICE_KEY_BYTES];
    bool fresh = false;
    const char *problem = parse_line(line, &mac, key);
    if (problem != NULL) {
        explicit_bzero(key, sizeof key);
        mm_hq_error_set(error, "line %d: %s; nothing was imported", line_no, problem);
        return MM_DESK_REFUSED;
    }
    mm_hq_error_t cause = {{0}};
    mm_desk_result_t result = add_key(desk, mac, key, now_us, &fresh, &cause);
    explicit_bzero(key, sizeof key);
    *added += fresh ? 1 : 0;
    if (result != MM_DESK_OK) {
        mm_hq_error_set(error, "line %d: %s; nothing was imported", line_no, cause.text);
    }
    return result;
}

static mm_desk_result_t import_lines(mm_desk_t *desk, const char *csv, int64_t now_us, int *added,
                                     mm_hq_error_t *error) {
    // The longest line that can be right, with room for blanks; longer ones are wrong.
    char line[256];
    mm_desk_result_t result = MM_DESK_OK;
    for (int line_no = 1; *csv != '\0' && result == MM_DESK_OK; line_no++) {
        size_t length = strcspn(csv, "\n");
        size_t kept = strcspn(csv, "#\n");
        bool too_long = kept >= sizeof line;
        memcpy(line, too_long ? "?" : csv, too_long ? 1 : kept);
        line[too_long ? 1 : kept] = '\0';
        if (*skip_blanks(line) != '\0') {
            result = import_line(desk, line, line_no, now_us, added, error);
        }
        csv += length + (csv[length] == '\n' ? 1 : 0);
    }
    explicit_bzero(line, sizeof line);
    return result;
}

mm_desk_result_t mm_device_keys_import(mm_desk_t *desk, const char *csv, int64_t now_us, int *added,
                                       mm_hq_error_t *error) {
    *added = 0;
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result == MM_DESK_OK) {
        result = import_lines(desk, csv, now_us, added, error);
    }
    char detail[32];
    snprintf(detail, sizeof detail, "%d devices", *added);
    if (result == MM_DESK_OK && *added > 0 &&
        !mmi_hq_audit(mmi_desk_db(desk), MM_OPERATOR_CONSOLE, "keys import", detail, now_us)) {
        result = mmi_desk_fail(desk, error);
    }
    result = result == MM_DESK_OK ? mmi_desk_commit(desk, error) : mmi_desk_rollback(desk, result);
    *added = result == MM_DESK_OK ? *added : 0;
    return result;
}

mm_desk_result_t mm_device_keys_remove(mm_desk_t *desk, mm_mac_t mac, int64_t now_us, mm_hq_error_t *error) {
    char text[MM_MAC_TEXT_BYTES];
    mm_mac_print(mac, text);
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result != MM_DESK_OK) {
        return result;
    }
    mmi_sql_t remove = mmi_sql_begin(mmi_desk_db(desk), "DELETE FROM device_key WHERE mac = ?");
    mmi_sql_put_mac(&remove, &mac);
    if (!mmi_sql_run(&remove)) {
        return mmi_desk_fail(desk, error);
    }
    if (sqlite3_changes(mmi_desk_db(desk)) == 0) {
        mm_hq_error_set(error, "%s: HQ has no key of this device", text);
        return mmi_desk_rollback(desk, MM_DESK_NOT_FOUND);
    }
    if (!mmi_hq_audit(mmi_desk_db(desk), MM_OPERATOR_CONSOLE, "key remove", text, now_us)) {
        return mmi_desk_fail(desk, error);
    }
    return mmi_desk_commit(desk, error);
}

mm_desk_result_t mm_device_keys_list(mm_desk_t *desk, bool (*visit)(void *context, mm_mac_t mac, int64_t added_us),
                                     void *context, mm_hq_error_t *error) {
    mmi_sql_t query = mmi_sql_begin(mmi_desk_db(desk), "SELECT mac, added_us FROM device_key ORDER BY mac");
    while (mmi_sql_row(&query) && visit(context, mmi_sql_mac(&query, 0), mmi_sql_integer(&query, 1))) {
    }
    return mmi_sql_end(&query) ? MM_DESK_OK : mmi_desk_fail(desk, error);
}

mm_desk_result_t mm_device_keys_get(sqlite3 *db, mm_mac_t mac, mm_device_crypto_t *crypto) {
    mmi_sql_t query = mmi_sql_begin(db, "SELECT key FROM device_key WHERE mac = ?");
    mmi_sql_put_mac(&query, &mac);
    const void *key = mmi_sql_row(&query) ? mmi_sql_blob(&query, 0, MM_DEVICE_KEY_BYTES) : NULL;
    if (key != NULL) {
        mm_device_crypto_init(crypto, key);
    }
    if (!mmi_sql_end(&query)) {
        return MM_DESK_UNAVAILABLE;
    }
    return key != NULL ? MM_DESK_OK : MM_DESK_NOT_FOUND;
}
