// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SQL_H
#define MM_SQL_H

#include "meshmeter/base.h"

#include <sqlite3.h>

/// One statement of a desk's module: begin, put the values in the order of the question marks, then run it or read its
/// rows, then end it. The first failure sticks: what follows does nothing, and end says false. To prepare a statement
/// costs more than to run most of them, so a connection keeps them (mmi_sql_keep).
///
///   mmi_sql_t query = mmi_sql_begin(db, "SELECT mac FROM node WHERE site = ? AND epoch > ?");
///   mmi_sql_put_integer(&query, site);
///   mmi_sql_put_integer(&query, 0);
///   while (mmi_sql_row(&query)) {
///       use(mmi_sql_blob(&query, 0, sizeof mac));
///   }
///   return mmi_sql_end(&query);

typedef struct {
    sqlite3_stmt *statement; ///< NULL after a failure
    bool *kept_in_use;       ///< NULL if the statement is not kept
    int put_count;
    int code; ///< SQLite's; SQLITE_OK
} mmi_sql_t;

/// From now on statements of this connection are kept when they end, and used again for the same text; one whose text
/// is in use already, as in a loop that calls itself, is not. Without it, or without memory, each is prepared anew.
void mmi_sql_keep(sqlite3 *db);
/// Before the connection is closed, by its owner: what is kept goes. May be called for any connection, or NULL.
void mmi_sql_drop(sqlite3 *db);

/// sql is borrowed until end. A database of NULL fails.
mmi_sql_t mmi_sql_begin(sqlite3 *db, const char *sql);
/// Texts and blobs are borrowed until end.
void mmi_sql_put_integer(mmi_sql_t *self, int64_t value);
void mmi_sql_put_text(mmi_sql_t *self, const char *text);
void mmi_sql_put_blob(mmi_sql_t *self, const void *bytes, size_t bytes_count);
void mmi_sql_put_mac(mmi_sql_t *self, const mm_mac_t *mac);
/// Next row: false at the end and on failure.
bool mmi_sql_row(mmi_sql_t *self);
int64_t mmi_sql_integer(const mmi_sql_t *self, int column);
/// Never NULL; until the next row.
const char *mmi_sql_text(const mmi_sql_t *self, int column);
/// NULL if it is not exactly of this size, or empty.
const void *mmi_sql_blob(const mmi_sql_t *self, int column, size_t bytes_count);
/// Of whatever size; NULL if empty.
const void *mmi_sql_bytes(const mmi_sql_t *self, int column, size_t *bytes_count);
mm_mac_t mmi_sql_mac(const mmi_sql_t *self, int column);
/// False: something failed since begin.
bool mmi_sql_end(mmi_sql_t *self);
/// To the end without looking at rows, and end.
bool mmi_sql_run(mmi_sql_t *self);
/// First column of the first row, `otherwise` if there is none, and end. False: failure.
bool mmi_sql_value(mmi_sql_t *self, int64_t otherwise, int64_t *value);

#endif
