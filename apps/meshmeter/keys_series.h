// SPDX-License-Identifier: Apache-2.0
#ifndef MM_KEYS_SERIES_H
#define MM_KEYS_SERIES_H

#include <stdbool.h>

/// Keys for a series of devices at their manufacture: `keys new --count`.
typedef struct {
    const char *count; ///< of the options, as typed; NULL: not given
    const char *oui;
    const char *from;
    const char *database; ///< import only
    bool import;
} keys_series_t;

/// Prints lines MAC,KEY, and imports them if that is wanted. Exit code.
int keys_series_make(const keys_series_t *series);

#endif
