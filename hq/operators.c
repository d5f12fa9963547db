// SPDX-License-Identifier: Apache-2.0
#include "operators.h"

#include "sql.h"

#include <mbedtls/constant_time.h>
#include <mbedtls/sha256.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define TOKEN_RANDOM_BYTES 32
#define SHA256_BYTES 32

static bool hash(const char *token, uint8_t sha256[SHA256_BYTES]) {
    return mbedtls_sha256_ret((const unsigned char *)token, strlen(token), sha256, 0) == 0;
}

static bool make_token(char token[MM_OPERATOR_TOKEN_BYTES]) {
    uint8_t random[TOKEN_RANDOM_BYTES];
    // wait: the kernel's random numbers are ready, once after power-up | until outside: the kernel | then a token is
    // made of them
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return false;
    }
    for (size_t index = 0; index < sizeof random; index++) {
        snprintf(&token[index * 2], 3, "%02x", random[index]);
    }
    explicit_bzero(random, sizeof random);
    return true;
}

static bool is_good_name(const char *name) {
    size_t length = strlen(name);
    return length > 0 && length <= MM_OPERATOR_NAME_CHARS_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == length;
}

// Inside of a transaction.
static mm_desk_result_t add_row(mm_desk_t *desk, const char *name, const uint8_t sha256[SHA256_BYTES], int64_t now_us,
                                mm_hq_error_t *error) {
    mmi_sql_t add = mmi_sql_begin(mmi_desk_db(desk),
                                  "INSERT INTO operator (name, token_sha256, added_us) VALUES (?, ?, ?) ON CONFLICT"
                                  " (name) DO NOTHING");
    mmi_sql_put_text(&add, name);
    mmi_sql_put_blob(&add, sha256, SHA256_BYTES);
    mmi_sql_put_integer(&add, now_us);
    if (!mmi_sql_run(&add)) {
        return mmi_desk_fail(desk, error);
    }
    if (sqlite3_changes(mmi_desk_db(desk)) == 0) {
        mm_hq_error_set(error, "operator %s: there is one already; remove it to give it another token", name);
        return MM_DESK_REFUSED;
    }
    return mmi_hq_audit(mmi_desk_db(desk), MM_OPERATOR_CONSOLE, "operator add", name, now_us)
               ? MM_DESK_OK
               : mmi_desk_fail(desk, error);
}

mm_desk_result_t mm_operator_add(mm_desk_t *desk, const char *name, int64_t now_us, char token[MM_OPERATOR_TOKEN_BYTES],
                                 mm_hq_error_t *error) {
    uint8_t sha256[SHA256_BYTES];
    token[0] = '\0';
    if (!is_good_name(name)) {
        mm_hq_error_set(error, "operator: a name has 1 to %d of a-z, 0-9, '.' and '-'", MM_OPERATOR_NAME_CHARS_MAX);
        return MM_DESK_REFUSED;
    }
    if (!make_token(token) || !hash(token, sha256)) {
        mm_hq_error_set(error, "operator %s: no random numbers from the system", name);
        return MM_DESK_UNAVAILABLE;
    }
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result == MM_DESK_OK) {
        result = add_row(desk, name, sha256, now_us, error);
        result = result == MM_DESK_OK ? mmi_desk_commit(desk, error) : mmi_desk_rollback(desk, result);
    }
    if (result != MM_DESK_OK) {
        explicit_bzero(token, MM_OPERATOR_TOKEN_BYTES);
    }
    return result;
}

mm_desk_result_t mm_operator_remove(mm_desk_t *desk, const char *name, int64_t now_us, mm_hq_error_t *error) {
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result != MM_DESK_OK) {
        return result;
    }
    mmi_sql_t remove = mmi_sql_begin(mmi_desk_db(desk), "DELETE FROM operator WHERE name = ?");
    mmi_sql_put_text(&remove, name);
    if (!mmi_sql_run(&remove)) {
        return mmi_desk_fail(desk, error);
    }
    if (sqlite3_changes(mmi_desk_db(desk)) == 0) {
        mm_hq_error_set(error, "operator %s: there is none of this name", name);
        return mmi_desk_rollback(desk, MM_DESK_NOT_FOUND);
    }
    if (!mmi_hq_audit(mmi_desk_db(desk), MM_OPERATOR_CONSOLE, "operator remove", name, now_us)) {
        return mmi_desk_fail(desk, error);
    }
    return mmi_desk_commit(desk, error);
}

mm_desk_result_t mm_operator_list(mm_desk_t *desk, bool (*visit)(void *context, const char *name, int64_t added_us),
                                  void *context, mm_hq_error_t *error) {
    mmi_sql_t query = mmi_sql_begin(mmi_desk_db(desk), "SELECT name, added_us FROM operator ORDER BY name");
    while (mmi_sql_row(&query) && visit(context, mmi_sql_text(&query, 0), mmi_sql_integer(&query, 1))) {
    }
    return mmi_sql_end(&query) ? MM_DESK_OK : mmi_desk_fail(desk, error);
}

bool mm_operator_of(mm_desk_t *desk, const char *token, char name[MM_OPERATOR_NAME_CHARS_MAX + 1]) {
    uint8_t sha256[SHA256_BYTES];
    bool found = false;
    name[0] = '\0';
    if (strlen(token) != MM_OPERATOR_TOKEN_BYTES - 1 || !hash(token, sha256)) {
        return false;
    }
    // All of them, and each to its end: how long it takes says nothing.
    mmi_sql_t query = mmi_sql_begin(mmi_desk_db(desk), "SELECT token_sha256, name FROM operator");
    while (mmi_sql_row(&query)) {
        const void *known = mmi_sql_blob(&query, 0, SHA256_BYTES);
        if (known != NULL && mbedtls_ct_memcmp(known, sha256, SHA256_BYTES) == 0) {
            snprintf(name, MM_OPERATOR_NAME_CHARS_MAX + 1, "%s", mmi_sql_text(&query, 1));
            found = true;
        }
    }
    return mmi_sql_end(&query) && found;
}

bool mmi_hq_audit(sqlite3 *db, const char *operator_name, const char *action, const char *detail, int64_t now_us) {
    mmi_sql_t add = mmi_sql_begin(db, "INSERT INTO audit (at_us, operator, action, detail) VALUES (?, ?, ?, ?)");
    mmi_sql_put_integer(&add, now_us);
    mmi_sql_put_text(&add, operator_name);
    mmi_sql_put_text(&add, action);
    mmi_sql_put_text(&add, detail);
    return mmi_sql_run(&add);
}
