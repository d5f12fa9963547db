// SPDX-License-Identifier: Apache-2.0
#ifndef MM_DESK_H
#define MM_DESK_H

#include "meshmeter/base.h"

#include "log.h"

#include <sqlite3.h>

/// The desk: where people change HQ's state (orders, sales, keys, operators), as opposed to the store, where nodes do.
/// A connection of its own to the same database, so that a thread or a command may have one; SQLite puts the writers in
/// a row. Every change is one transaction: begin, work, commit; the modules on top (commands.h, vending.h,
/// device_keys.h, operators.h) do that themselves and are idempotent by the caller's request id.

typedef struct mm_desk mm_desk_t;

/// NULL and *error: absent, not ours, not writable, or of another version (only the store migrates). vfs NULL =
/// default.
mm_desk_t *mm_desk_open(const char *vfs, const char *path, mm_hq_error_t *error);
void mm_desk_close(mm_desk_t *self);

typedef enum {
    MM_DESK_OK = 0,
    MM_DESK_REFUSED,     ///< what was asked is wrong or not allowed; *error says what and how to mend it
    MM_DESK_NOT_FOUND,   ///< no such meter, node, purchase …; *error
    MM_DESK_UNAVAILABLE, ///< disk full, locked …: nothing happened, try again
    MM_DESK_CONFLICT,    ///< the caller's request id was used for something else; *error
} mm_desk_result_t;

// --- for the modules on top

/// Its connection, for sql.h.
sqlite3 *mmi_desk_db(mm_desk_t *self);
/// Take the write lock at once: what is read from here on stays true until the commit. OK or UNAVAILABLE.
mm_desk_result_t mmi_desk_begin(mm_desk_t *self, mm_hq_error_t *error);
/// OK, or UNAVAILABLE and rolled back.
mm_desk_result_t mmi_desk_commit(mm_desk_t *self, mm_hq_error_t *error);
/// Undo everything since begin, and pass `result` on; legal at any time.
mm_desk_result_t mmi_desk_rollback(mm_desk_t *self, mm_desk_result_t result);
/// A statement has failed: its text into *error, undo, UNAVAILABLE.
mm_desk_result_t mmi_desk_fail(mm_desk_t *self, mm_hq_error_t *error);

#endif
