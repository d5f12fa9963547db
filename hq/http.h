// SPDX-License-Identifier: Apache-2.0
#ifndef MM_HTTP_H
#define MM_HTTP_H

#include "clock.h"
#include "log.h"
#include "stats.h"

/// HQ's HTTP server: the API of docs/spec/api.md and the files of the page. One thread of its own with its own database
/// connections. What changes something is behind the routes of api_routes.h, wants an operator's token, and is told to
/// the main loop. No cookies; nothing from a request reaches the file system.

typedef struct mm_http mm_http_t;

typedef struct {
    const char *address; ///< "ADDR:PORT" or "[ADDR]:PORT"; numeric; port 0 = a free one
    const char *database_path;
    const char *web_directory;      ///< NULL = no page
    const char *displays_directory; ///< display.h; NULL = none are shown
    const mm_hq_stats_t *stats;     ///< borrowed
    mm_hq_clock_t clock;
    void (*changed)(void *context); ///< called in the server's thread after a change; may be NULL
    void *changed_context;
} mm_http_options_t;

/// Bind, then serve from another thread until stopped. NULL and *error: address not usable or taken, files not
/// readable, …
mm_http_t *mm_http_start(const mm_http_options_t *options, mm_hq_error_t *error);
void mm_http_stop(mm_http_t *self);
/// "ADDR:PORT" with the port that is really used.
const char *mm_http_address(const mm_http_t *self);

#endif
