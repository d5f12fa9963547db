// SPDX-License-Identifier: Apache-2.0
#ifndef MM_OPERATORS_H
#define MM_OPERATORS_H

#include "desk.h"

/// Who may change something. An operator has a token of 256 random bits, shown once; the database has its SHA-256 only.
/// Every change through the API carries it ("Authorization: Bearer …") and is written to the audit log with the name.

#define MM_OPERATOR_NAME_CHARS_MAX 32
/// 64 hex digits and the terminator.
#define MM_OPERATOR_TOKEN_BYTES 65

/// REFUSED: name empty, too long, with characters other than a-z, 0-9, '.', '-', or taken.
mm_desk_result_t mm_operator_add(mm_desk_t *desk, const char *name, int64_t now_us, char token[MM_OPERATOR_TOKEN_BYTES],
                                 mm_hq_error_t *error);
mm_desk_result_t mm_operator_remove(mm_desk_t *desk, const char *name, int64_t now_us, mm_hq_error_t *error);
mm_desk_result_t mm_operator_list(mm_desk_t *desk, bool (*visit)(void *context, const char *name, int64_t added_us),
                                  void *context, mm_hq_error_t *error);
/// Whose token this is; false: nobody's. Compared in constant time.
bool mm_operator_of(mm_desk_t *desk, const char *token, char name[MM_OPERATOR_NAME_CHARS_MAX + 1]);
/// Name of the operator in the audit log when a command on HQ's machine has changed something.
#define MM_OPERATOR_CONSOLE "console"
/// Inside of a transaction: who did what. No secrets in it.
bool mmi_hq_audit(sqlite3 *db, const char *operator_name, const char *action, const char *detail, int64_t now_us);

#endif
