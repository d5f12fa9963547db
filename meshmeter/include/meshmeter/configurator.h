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
///   POST /api/token          meter=… and digits=…: a customer's token, judged as at the button    no code
///   GET  /api/configuration  the values as they are (passwords never)           nonce in X-Nonce
///   POST /api/configuration  nonce=… and every field: stored as a whole, or the problems field by field
///   POST /api/cancel         nonce=…: ends the session
///
/// A nonce is 16 random bytes (32 lower case hex digits), good for one request; each answer to a session brings the
/// next one as `nonce`, with `session_left_s`. Whose answer was lost may send the same request, byte for byte, once
/// more, as long as the next nonce is not used: it gets the same answer, and nothing is done twice. One installer at a
/// time; a session lives MM_SETUP_SESSION_S since its last good request. Bodies are forms (form.h).
///
/// Fields of the configuration, by their names in configuration.h: node_no, province, canton, parish, postal_code,
/// address, installer, router_name, router_password, and for N = 1 … 8 meter_id_N, pulse_constant_N, start_wh_N,
/// prepaid_N (0 or 1), warning_wh_N, emergency_wh_N, energies in whole Wh. What is absent or empty is nothing, or 0;
/// without router_name the router stays as it is.
///
/// Answers: 200; 400 not a form; 403 no right (also a code that is wrong or expired); 404, 405 no such route; 409 not
/// now
/// (`verdict` busy or state); 413 too large; 421 wrong host; 422 `problems`: [{field, channel (from 0, of meter
/// fields), what}]; 429 `verdict` locked_out, with wait_s; 503 memory or key missing. Every answer but the page is one
/// JSON object.

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
    const char
        *host; ///< header Host: an IP address or localhost, perhaps with a port, else 421: a page elsewhere has a name
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
