// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CONFIGURATOR_H
#define MM_CONFIGURATOR_H

#include "meshmeter/base.h"
#include "meshmeter/setup.h"

/// The node's own web page for the installer: which request gets what. The core decides, the port carries HTTP. Deny by
/// default: a route is found, its method and its right are checked, and only then its handler runs.
///
///   GET  /                   the page (one file, everything in it)              no code
///   GET  /api/state          phase, number, wait, who is at work (no secrets)   no code
///   POST /api/code           code=…: begins a session, answers with a nonce     the code is judged
///   GET  /api/configuration  the values as they are (passwords never)           nonce in X-Nonce
///   POST /api/configuration  nonce=… and every field: stored as a whole, or the problems field by field
///   POST /api/cancel         nonce=…: ends the session
///
/// A nonce is 16 random bytes, good for one request; each answer to a session brings the next one. One installer at a
/// time; a session lives MM_SETUP_SESSION_S since its last good request. Bodies are forms (form.h).

#define MM_CONFIGURATOR_ANSWER_BYTES_MAX 4096
#define MM_CONFIGURATOR_PATH_CHARS_MAX 40

typedef enum {
    MM_HTTP_GET = 0,
    MM_HTTP_POST,
    MM_HTTP_OTHER,
} mm_http_method_t;

typedef struct {
    mm_http_method_t method;
    const char *path;  ///< without the query; terminated
    const char *nonce; ///< header X-Nonce, or NULL
    const char *host;  ///< header Host: must be an address of this node, else 421 (a page elsewhere must not get in)
    const char *body;
    size_t body_bytes;
} mm_http_request_t;

typedef struct {
    uint16_t status;
    bool is_page;                                ///< the body is the page file that the port was built with
    char body[MM_CONFIGURATOR_ANSWER_BYTES_MAX]; ///< JSON, terminated
} mm_http_answer_t;

void mm_configurator_answer(mm_setup_t *setup, const mm_http_request_t *request, mm_us_t now, mm_http_answer_t *answer);

#endif
