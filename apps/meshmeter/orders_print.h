// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ORDERS_PRINT_H
#define MM_ORDERS_PRINT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/// Orders of HQ's API as text, for `send` and `commands`.

/// "order 3: lock for 1-flat-1, 1 command".
void orders_print_summary(const cJSON *order);
/// One line: id, when, who, target, kind, arguments, states.
void orders_print_line(const cJSON *order);
/// One line for each command, with its answer.
void orders_print_commands(const cJSON *order);
/// True if no command of it can change any more without being ordered anew.
bool orders_have_ended(const cJSON *order);
bool orders_all_done(const cJSON *order);

/// What was printed last of each command, so that only news are.
typedef struct {
    char (*states)[16];
    size_t count;
} orders_progress_t;

/// A line for each command whose state is another one than before.
void orders_print_progress(orders_progress_t *self, const cJSON *order);
void orders_progress_free(orders_progress_t *self);

#endif
