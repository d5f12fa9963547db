// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PORT_LOG_H
#define MM_PORT_LOG_H

#include "meshmeter/base.h"

typedef enum {
    MM_LOG_ERROR = 0,
    MM_LOG_WARNING,
    MM_LOG_INFO,
    MM_LOG_DEBUG
} mm_log_level_t;

/// Where the core tells what it does. `message` and the names are constants of the program, never text from outside;
/// a name that is NULL has no value. Must not block and must not call back into the core.
typedef struct {
    void (*write)(void *context, mm_log_level_t level, const char *message, const char *first_name, int64_t first,
                  const char *second_name, int64_t second);
    void *context;
} mm_log_t;

#endif
