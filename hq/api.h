// SPDX-License-Identifier: Apache-2.0
#ifndef MM_API_H
#define MM_API_H

#include "clock.h"
#include "stats.h"
#include "store_query.h"

/// The JSON API of docs/spec/api.md, without HTTP around it.

#define MM_API_PREFIX "/api/v1/"
#define MM_API_INTERVALS_MAX 3000
#define MM_API_EVENTS_MAX 1000

typedef struct {
    mm_query_t *query;          ///< borrowed
    const mm_hq_stats_t *stats; ///< borrowed
    mm_hq_clock_t clock;
    const char *displays_directory; ///< display.h; NULL = none are shown
} mm_api_t;

/// Value of a query argument, or NULL.
typedef const char *(*mm_api_argument_fn)(void *context, const char *name);

/// Answer to a path below MM_API_PREFIX: JSON text (free() it), *status 200 or an error. NULL: out of memory.
char *mm_api_answer(const mm_api_t *self, const char *path, mm_api_argument_fn argument, void *context, int *status);

#endif
