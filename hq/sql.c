// SPDX-License-Identifier: Apache-2.0
#include "sql.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS 16 // more are served without keeping anything
#define STATEMENTS 256 // a power of two, above the number of texts in HQ
#define PROBES 8

typedef struct {
    sqlite3_stmt *statement;
    bool in_use;
} kept_t;

typedef struct {
    sqlite3 *db;
    kept_t kept[STATEMENTS]; // by the hash of their text; for the connection's owner only
} connection_t;

static connection_t *s_connections[CONNECTIONS];
static pthread_mutex_t s_connections_lock = PTHREAD_MUTEX_INITIALIZER;

// --- statements that are kept

static connection_t *find_connection(sqlite3 *db) {
    connection_t *found = NULL;
    // no wait(pthread_mutex_lock): held for a look at CONNECTIONS entries, never during a call of SQLite
    pthread_mutex_lock(&s_connections_lock);
    for (size_t index = 0; index < CONNECTIONS && found == NULL; index++) {
        connection_t *connection = s_connections[index];
        found = connection != NULL && connection->db == db ? connection : NULL;
    }
    pthread_mutex_unlock(&s_connections_lock);
    return found;
}

// False if `before`, which may be NULL, is not there.
static bool replace_connection(const connection_t *before, connection_t *after) {
    bool found = false;
    pthread_mutex_lock(&s_connections_lock);
    for (size_t index = 0; index < CONNECTIONS && !found; index++) {
        found = s_connections[index] == before;
        s_connections[index] = found ? after : s_connections[index];
    }
    pthread_mutex_unlock(&s_connections_lock);
    return found;
}

void mmi_sql_keep(sqlite3 *db) {
    connection_t *connection = calloc(1, sizeof *connection);
    if (connection != NULL) {
        connection->db = db;
        if (!replace_connection(NULL, connection)) {
            free(connection);
        }
    }
}

void mmi_sql_drop(sqlite3 *db) {
    connection_t *connection = find_connection(db);
    if (connection == NULL) {
        return;
    }
    replace_connection(connection, NULL);
    for (size_t index = 0; index < STATEMENTS; index++) {
        sqlite3_finalize(connection->kept[index].statement);
    }
    free(connection);
}

static size_t hash(const char *text) {
    uint32_t value = UINT32_C(2166136261); // FNV-1a
    for (; *text != '\0'; text++) {
        value = (value ^ (uint8_t)*text) * UINT32_C(16777619);
    }
    return value;
}

// The place of a statement with this text, or where it may be kept. NULL: nowhere.
static kept_t *find_kept(connection_t *connection, const char *sql) {
    size_t first = hash(sql);
    for (size_t probe = 0; probe < PROBES; probe++) {
        kept_t *kept = &connection->kept[(first + probe) % STATEMENTS];
        if (kept->statement == NULL || strcmp(sqlite3_sql(kept->statement), sql) == 0) {
            return kept->in_use ? NULL : kept;
        }
    }
    return NULL;
}

// --- one statement

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
    connection_t *connection = db != NULL ? find_connection(db) : NULL;
    kept_t *kept = connection != NULL ? find_kept(connection, sql) : NULL;
    if (kept != NULL && kept->statement != NULL) {
        self.statement = kept->statement;
    } else if (db != NULL) {
        unsigned flags = kept != NULL ? SQLITE_PREPARE_PERSISTENT : 0;
        note(&self, sqlite3_prepare_v3(db, sql, -1, flags, &self.statement, NULL));
    }
    if (kept != NULL && self.statement != NULL) {
        *kept = (kept_t){self.statement, true};
        self.kept_in_use = &kept->in_use;
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
    if (self->kept_in_use != NULL) {
        sqlite3_reset(self->statement);
        sqlite3_clear_bindings(self->statement);
        *self->kept_in_use = false;
    } else {
        sqlite3_finalize(self->statement);
    }
    self->statement = NULL;
    self->kept_in_use = NULL;
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
