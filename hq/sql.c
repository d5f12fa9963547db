// SPDX-License-Identifier: Apache-2.0
#include "sql.h"

#include <string.h>

static void note(mmi_sql_t *self, int code) {
    if (self->code == SQLITE_OK && code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) {
        self->code = code;
    }
}

static bool is_good(const mmi_sql_t *self) {
    return self->statement != NULL && self->code == SQLITE_OK;
}

mmi_sql_t mmi_sql_begin(sqlite3 *db, const char *sql) {
    mmi_sql_t self = {.code = db != NULL ? SQLITE_OK : SQLITE_MISUSE};
    if (db != NULL) {
        note(&self, sqlite3_prepare_v2(db, sql, -1, &self.statement, NULL));
    }
    return self;
}

void mmi_sql_put_integer(mmi_sql_t *self, int64_t value) {
    self->put_count++;
    if (is_good(self)) {
        note(self, sqlite3_bind_int64(self->statement, self->put_count, value));
    }
}

void mmi_sql_put_text(mmi_sql_t *self, const char *text) {
    self->put_count++;
    if (is_good(self)) {
        note(self, sqlite3_bind_text(self->statement, self->put_count, text, -1, SQLITE_STATIC));
    }
}

void mmi_sql_put_blob(mmi_sql_t *self, const void *bytes, size_t bytes_count) {
    self->put_count++;
    if (is_good(self)) {
        // An empty blob must not become NULL.
        note(self, sqlite3_bind_blob(self->statement, self->put_count, bytes_count > 0 ? bytes : "", (int)bytes_count,
                                     SQLITE_STATIC));
    }
}

void mmi_sql_put_mac(mmi_sql_t *self, const mm_mac_t *mac) {
    mmi_sql_put_blob(self, mac->bytes, sizeof mac->bytes);
}

bool mmi_sql_row(mmi_sql_t *self) {
    if (!is_good(self)) {
        return false;
    }
    int code = sqlite3_step(self->statement);
    note(self, code);
    return code == SQLITE_ROW;
}

int64_t mmi_sql_integer(const mmi_sql_t *self, int column) {
    return sqlite3_column_int64(self->statement, column);
}

const char *mmi_sql_text(const mmi_sql_t *self, int column) {
    const unsigned char *text = sqlite3_column_text(self->statement, column);
    return text != NULL ? (const char *)text : "";
}

const void *mmi_sql_bytes(const mmi_sql_t *self, int column, size_t *bytes_count) {
    const void *bytes = sqlite3_column_blob(self->statement, column);
    *bytes_count = (size_t)sqlite3_column_bytes(self->statement, column);
    return bytes;
}

const void *mmi_sql_blob(const mmi_sql_t *self, int column, size_t bytes_count) {
    size_t there;
    const void *bytes = mmi_sql_bytes(self, column, &there);
    return there == bytes_count ? bytes : NULL;
}

mm_mac_t mmi_sql_mac(const mmi_sql_t *self, int column) {
    mm_mac_t mac = {{0}};
    const void *bytes = mmi_sql_blob(self, column, sizeof mac.bytes);
    if (bytes != NULL) {
        memcpy(mac.bytes, bytes, sizeof mac.bytes);
    }
    return mac;
}

bool mmi_sql_end(mmi_sql_t *self) {
    sqlite3_finalize(self->statement);
    self->statement = NULL;
    return self->code == SQLITE_OK;
}

bool mmi_sql_run(mmi_sql_t *self) {
    while (mmi_sql_row(self)) {
    }
    return mmi_sql_end(self);
}

bool mmi_sql_value(mmi_sql_t *self, int64_t otherwise, int64_t *value) {
    *value = mmi_sql_row(self) ? mmi_sql_integer(self, 0) : otherwise;
    return mmi_sql_end(self);
}
