// SPDX-License-Identifier: Apache-2.0
#ifndef MM_API_ROUTES_H
#define MM_API_ROUTES_H

#include "api_request.h"
#include "clock.h"

/// The part of the API behind a table of routes: finds the route, asks who it is, reads the body, calls the handler.

/// Wrong tokens of one address in a second; further ones are not looked at until the second is over.
#define MM_API_WRONG_TOKENS_PER_SECOND 10
#define MM_API_GUESSERS 64

typedef struct {
    mm_desk_t *desk; ///< borrowed
    mm_hq_clock_t clock;
    /// Something was changed that the main loop must look at; called in the thread of the answer. May be NULL.
    void (*changed)(void *context);
    void *changed_context;
    struct {
        int64_t second;
        unsigned wrong;
    } guessers[MM_API_GUESSERS]; ///< by address; those that fall together share a limit
} mm_api_routes_t;

typedef struct {
    const char *method;
    const char *path;          ///< whole
    const char *authorization; ///< header, or NULL
    uint32_t address;          ///< a number that stands for the client's address
    const char *body;          ///< not terminated
    size_t body_bytes;
    mm_api_argument_fn argument;
    void *context; ///< of argument
} mm_api_call_t;

/// NULL: no route has this path. Else JSON text (free() it) and *status; with 405 *allow says which methods there are.
char *mm_api_routes_answer(mm_api_routes_t *self, const mm_api_call_t *call, int *status, const char **allow);
/// The tables of routes one after the other; NULL behind the last.
const mm_api_route_t *mm_api_route_table(size_t index);
/// True if a route has this path, whatever the method.
bool mm_api_routes_know(const char *path);

#endif
