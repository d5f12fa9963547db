// SPDX-License-Identifier: Apache-2.0
#ifndef MM_API_REQUEST_H
#define MM_API_REQUEST_H

#include "api.h"
#include "desk.h"
#include "operators.h"

#include <cjson/cJSON.h>

/// One request to the part of the API that changes something or shows what not everybody may see (docs/spec/api.md,
/// Changes), on its way to its answer. A handler fills `answer`, or fails with a text that says how to mend it.

#define MM_API_BODY_BYTES_MAX 16384
#define MM_API_NAME_CHARS_MAX 31
/// Numbers in JSON are exact up to here.
#define MM_API_INTEGER_MAX INT64_C(9007199254740991)

typedef struct {
    mm_desk_t *desk;
    int64_t now_us;                       ///< since 1970, by HQ's clock
    const char *operator_name;            ///< who asks; "" if the route needs none
    const cJSON *body;                    ///< an object; NULL if the method has none
    int64_t id;                           ///< what stood in place of '#'
    char name[MM_API_NAME_CHARS_MAX + 1]; ///< what stood in place of '*'
    mm_api_argument_fn argument;
    void *context; ///< of argument
    // The answer.
    cJSON *answer; ///< an object to be filled
    int status;    ///< 200; a handler that has made something sets 201
    bool changed;  ///< the main loop must look: there may be something to send
    char problem[512];
} mm_api_request_t;

/// A path of the API below /api/v1/: words, '#' for a number, '*' for a name (of MM_API_NAME_CHARS_MAX letters, digits,
/// '-', '.', '_' and ':').
typedef struct {
    const char *method; ///< "GET" (HEAD, too) or "POST"
    const char *pattern;
    bool needs_operator;
    void (*handle)(mm_api_request_t *request);
} mm_api_route_t;

/// The tables; api_routes.c puts them together. pattern NULL ends each.
extern const mm_api_route_t mm_api_order_routes[];
extern const mm_api_route_t mm_api_purchase_routes[];
extern const mm_api_route_t mm_api_installation_routes[];
extern const mm_api_route_t mm_api_join_routes[];
extern const mm_api_route_t mm_api_swap_routes[];

/// The first failure stands; the answer is {"error": text}.
void mm_api_fail(mm_api_request_t *self, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool mm_api_has_failed(const mm_api_request_t *self);
/// Fail with the status of the result (400, 404, 409, 503); true if it is OK.
bool mm_api_take_result(mm_api_request_t *self, mm_desk_result_t result, const mm_hq_error_t *error);
/// The whole body (or an object in it) has no other members than these, and none twice. names ends with NULL.
bool mm_api_check_members(mm_api_request_t *self, const cJSON *object, const char *const *names);
/// A text of the body: NULL, and failed, if it is missing, no text, or not of chars_min … chars_max bytes.
const char *mm_api_text(mm_api_request_t *self, const char *name, size_t chars_min, size_t chars_max);
/// A whole number of the body, low … high; `otherwise` if it is missing. Fails if it is something else.
int64_t mm_api_integer(mm_api_request_t *self, const char *name, int64_t low, int64_t high, int64_t otherwise);
/// The same of a query argument.
int64_t mm_api_integer_argument(mm_api_request_t *self, const char *name, int64_t low, int64_t high, int64_t otherwise);
void mm_api_add_integer(cJSON *object, const char *name, int64_t value);
void mm_api_add_mac(cJSON *object, const char *name, mm_mac_t mac);

#endif
