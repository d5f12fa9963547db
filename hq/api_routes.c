// SPDX-License-Identifier: Apache-2.0
#include "api_routes.h"

#include "meshmeter/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const mm_api_route_t *const s_tables[] = {mm_api_order_routes, mm_api_purchase_routes,
                                                 mm_api_installation_routes, mm_api_join_routes, mm_api_swap_routes};
#define TABLE_COUNT (sizeof s_tables / sizeof s_tables[0])

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:"

const mm_api_route_t *mm_api_route_table(size_t index) {
    return index < TABLE_COUNT ? s_tables[index] : NULL;
}

// --- which route

// What is behind the number, or NULL.
static const char *match_number(const char *path, int64_t *id) {
    size_t digits = strspn(path, "0123456789");
    if (digits == 0 || digits > 18) {
        return NULL;
    }
    *id = strtoll(path, NULL, 10);
    return path + digits;
}

static const char *match_name(const char *path, char name[MM_API_NAME_CHARS_MAX + 1]) {
    size_t chars = strspn(path, NAME_CHARACTERS);
    if (chars == 0 || chars > MM_API_NAME_CHARS_MAX) {
        return NULL;
    }
    memcpy(name, path, chars);
    name[chars] = '\0';
    return path + chars;
}

static bool match(const char *pattern, const char *path, mm_api_request_t *request) {
    while (path != NULL && *pattern != '\0') {
        if (*pattern == '#') {
            path = match_number(path, &request->id);
        } else if (*pattern == '*') {
            path = match_name(path, request->name);
        } else {
            path = *path == *pattern ? path + 1 : NULL;
        }
        pattern++;
    }
    return path != NULL && *path == '\0';
}

// The route, or NULL; *allow: the methods of those that have the path, NULL if there is none.
static const mm_api_route_t *find_route(const char *method, const char *path, mm_api_request_t *request,
                                        const char **allow) {
    bool get = false;
    bool post = false;
    if (strncmp(path, MM_API_PREFIX, strlen(MM_API_PREFIX)) != 0) {
        return NULL;
    }
    path += strlen(MM_API_PREFIX);
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    const mm_api_route_t *found = NULL;
    for (size_t table = 0; table < TABLE_COUNT; table++) {
        for (const mm_api_route_t *route = s_tables[table]; route->pattern != NULL; route++) {
            if (match(route->pattern, path, request)) {
                get = get || strcmp(route->method, "GET") == 0;
                post = post || strcmp(route->method, "POST") == 0;
                found = strcmp(route->method, wanted) == 0 ? route : found;
            }
        }
    }
    if (found != NULL) {
        match(found->pattern, path, request); // another one's attempt may have left a number or a name
    }
    *allow = get && post ? "GET, HEAD, POST" : get ? "GET, HEAD" : post ? "POST" : NULL;
    return found;
}

bool mm_api_routes_know(const char *path) {
    mm_api_request_t ignored = {.status = 200};
    const char *allow = NULL;
    find_route("GET", path, &ignored, &allow);
    return allow != NULL;
}

// --- who asks

static const char *token_of(const char *authorization) {
    static const char scheme[] = "bearer ";
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0) {
        return NULL;
    }
    return authorization + sizeof scheme - 1;
}

// Wrong tokens of an address are told so a few times in a second; as tokens have 256 bits, this only keeps the noise
// down. A right one is let in all the same: behind a proxy, who guesses has the address of all operators.
static void authenticate(mm_api_routes_t *self, const mm_api_call_t *call, mm_api_request_t *request,
                         char name[MM_OPERATOR_NAME_CHARS_MAX + 1]) {
    int64_t second = mm_hq_clock_now(&self->clock).monotonic_us / 1000000;
    size_t guesser = call->address % MM_API_GUESSERS;
    const char *token = token_of(call->authorization);
    if (token == NULL) {
        mm_api_fail(request, 401, "an operator's token is needed (Authorization: Bearer …); meshmeter operator add");
        return;
    }
    if (mm_operator_of(self->desk, token, name)) {
        return;
    }
    if (self->guessers[guesser].second != second) {
        self->guessers[guesser].second = second;
        self->guessers[guesser].wrong = 0;
    }
    if (self->guessers[guesser].wrong >= MM_API_WRONG_TOKENS_PER_SECOND) {
        mm_api_fail(request, 429, "too many wrong tokens; wait a second");
        return;
    }
    self->guessers[guesser].wrong++;
    mm_api_fail(request, 401, "this is no operator's token; meshmeter operator add makes one");
}

// --- the answer

// Text that can be kept and shown again as it is: UTF-8, and no zero, as a byte or as \u0000, that would hide what is
// behind it.
static bool is_clean(const char *body, size_t bytes_count) {
    size_t index = 0;
    while (index < bytes_count) {
        uint32_t code;
        size_t bytes = mm_text_character(body + index, bytes_count - index, &code);
        if (bytes == 0 || code == 0) {
            return false;
        }
        if (body[index] == '\\') {
            if (bytes_count - index >= 6 && memcmp(body + index, "\\u0000", 6) == 0) {
                return false;
            }
            bytes = bytes_count - index >= 2 && (body[index + 1] & 0x80) == 0 ? 2 : 1;
        }
        index += bytes;
    }
    return true;
}

static cJSON *parse_body(const mm_api_call_t *call, mm_api_request_t *request) {
    if (call->body_bytes > MM_API_BODY_BYTES_MAX) {
        mm_api_fail(request, 413, "the body is larger than %d bytes", MM_API_BODY_BYTES_MAX);
        return NULL;
    }
    bool clean = call->body_bytes > 0 && is_clean(call->body, call->body_bytes);
    const char *end = NULL;
    cJSON *body = clean ? cJSON_ParseWithLengthOpts(call->body, call->body_bytes, &end, false) : NULL;
    while (body != NULL && end < call->body + call->body_bytes && strchr(" \t\r\n", *end) != NULL) {
        end++;
    }
    if (!cJSON_IsObject(body) || end != call->body + call->body_bytes) {
        mm_api_fail(request, 400, "the body must be one JSON object");
    }
    return body;
}

static char *print(mm_api_request_t *request, int *status) {
    if (mm_api_has_failed(request)) {
        cJSON_Delete(request->answer);
        request->answer = cJSON_CreateObject();
        cJSON_AddStringToObject(request->answer, "error", request->problem);
    }
    char *text = cJSON_PrintUnformatted(request->answer);
    cJSON_Delete(request->answer);
    *status = request->status;
    return text;
}

char *mm_api_routes_answer(mm_api_routes_t *self, const mm_api_call_t *call, int *status, const char **allow) {
    char name[MM_OPERATOR_NAME_CHARS_MAX + 1] = "";
    mm_api_request_t request = {.desk = self->desk,
                                .now_us = mm_hq_clock_now(&self->clock).utc_us,
                                .operator_name = name,
                                .argument = call->argument,
                                .context = call->context,
                                .status = 200};
    const mm_api_route_t *route = find_route(call->method, call->path, &request, allow);
    if (*allow == NULL) {
        return NULL;
    }
    request.answer = cJSON_CreateObject();
    cJSON *body = NULL;
    if (route == NULL) {
        mm_api_fail(&request, 405, "this path answers %s", *allow);
    } else if (route->needs_operator) {
        authenticate(self, call, &request, name);
    }
    if (!mm_api_has_failed(&request) && strcmp(route->method, "POST") == 0) {
        body = parse_body(call, &request);
        request.body = body;
    }
    if (!mm_api_has_failed(&request)) {
        route->handle(&request);
    }
    cJSON_Delete(body);
    if (request.changed && self->changed != NULL) {
        self->changed(self->changed_context);
    }
    return print(&request, status);
}
