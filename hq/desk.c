// SPDX-License-Identifier: Apache-2.0
#include "desk.h"

#include "sql.h"
#include "store_internal.h"

#include <stdlib.h>

#define BUSY_TIMEOUT_MS 5000

struct mm_desk {
    sqlite3 *db;
};

static bool read_pragma(mm_desk_t *self, const char *sql, int64_t *value) {
    mmi_sql_t query = mmi_sql_begin(self->db, sql);
    return mmi_sql_value(&query, 0, value);
}

// As the store's: a commit that returned is on the disk.
static bool configure(mm_desk_t *self) {
    sqlite3_extended_result_codes(self->db, 1);
    // wait: another connection lets go of the database | until BUSY_TIMEOUT_MS | then the change is refused as a whole,
    // and its caller may try it again
    sqlite3_busy_timeout(self->db, BUSY_TIMEOUT_MS);
    return sqlite3_exec(self->db, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;",
                        NULL, NULL, NULL) == SQLITE_OK;
}

static bool open_database(mm_desk_t *self, const char *vfs, const char *path, mm_hq_error_t *error) {
    int64_t version;
    int64_t application_id;
    if (sqlite3_open_v2(path, &self->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, vfs) != SQLITE_OK ||
        !configure(self) || !read_pragma(self, "PRAGMA application_id", &application_id) ||
        !read_pragma(self, "PRAGMA user_version", &version)) {
        mm_hq_error_set(error, "database %s: %s", path, sqlite3_errmsg(self->db));
        return false;
    }
    if (application_id != MMI_HQ_APPLICATION_ID) {
        mm_hq_error_set(error, "database %s: not a database of meshmeter; HQ makes one when it starts", path);
        return false;
    }
    if (version != mmi_hq_schema_version()) {
        mm_hq_error_set(error, "database %s: has schema version %lld, this program needs %d; %s", path,
                        (long long)version, mmi_hq_schema_version(),
                        version < mmi_hq_schema_version() ? "start HQ of this version once, which brings it up to date"
                                                          : "use the newer meshmeter that wrote it");
        return false;
    }
    return true;
}

mm_desk_t *mm_desk_open(const char *vfs, const char *path, mm_hq_error_t *error) {
    mm_desk_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        mm_hq_error_set(error, "database %s: out of memory", path);
        return NULL;
    }
    if (!open_database(self, vfs, path, error)) {
        mm_desk_close(self);
        return NULL;
    }
    mmi_sql_keep(self->db);
    return self;
}

void mm_desk_close(mm_desk_t *self) {
    if (self == NULL) {
        return;
    }
    mmi_desk_rollback(self, MM_DESK_OK);
    mmi_sql_drop(self->db);
    sqlite3_close(self->db);
    free(self);
}

sqlite3 *mmi_desk_db(mm_desk_t *self) {
    return self->db;
}

mm_desk_result_t mmi_desk_begin(mm_desk_t *self, mm_hq_error_t *error) {
    MM_ASSERT(sqlite3_get_autocommit(self->db) != 0);
    if (sqlite3_exec(self->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
        return mmi_desk_fail(self, error);
    }
    return MM_DESK_OK;
}

mm_desk_result_t mmi_desk_commit(mm_desk_t *self, mm_hq_error_t *error) {
    if (sqlite3_exec(self->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        return mmi_desk_fail(self, error);
    }
    return MM_DESK_OK;
}

mm_desk_result_t mmi_desk_rollback(mm_desk_t *self, mm_desk_result_t result) {
    // After some errors SQLite has rolled back by itself.
    if (self->db != NULL && sqlite3_get_autocommit(self->db) == 0) {
        sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return result;
}

mm_desk_result_t mmi_desk_fail(mm_desk_t *self, mm_hq_error_t *error) {
    mm_hq_error_set(error, "database: %s", sqlite3_errmsg(self->db));
    return mmi_desk_rollback(self, MM_DESK_UNAVAILABLE);
}
