// SPDX-License-Identifier: Apache-2.0
#ifndef MM_HQ_API_WORLD_H
#define MM_HQ_API_WORLD_H

#include "hq_command_world.h"

#include "api_routes.h"

/// Requests to the routes of the API, without HTTP around them.

typedef struct {
    command_world_t *world;
    mm_api_routes_t routes;
    char token[MM_OPERATOR_TOKEN_BYTES];
    const char *query_limit; ///< the argument `limit`
    const char *query_state; ///< the argument `state`
    const char *query_site;  ///< the argument `site`
    int changes;
    int status;
    const char *allow;
    cJSON *answer;
} asked_t;

static inline void on_changed(void *context) {
    ((asked_t *)context)->changes++;
}

static inline int asked_setup(void **state) {
    asked_t *self = calloc(1, sizeof *self);
    void *world = NULL;
    mm_hq_error_t error;
    if (command_world_setup(&world) != 0) {
        return -1;
    }
    self->world = world;
    self->routes = (mm_api_routes_t){.desk = self->world->desk, .changed = on_changed, .changed_context = self};
    assert_int_equal(mm_operator_add(self->world->desk, "ana", HQ_UTC_US, self->token, &error), MM_DESK_OK);
    *state = self;
    return 0;
}

static inline int asked_teardown(void **state) {
    asked_t *self = *state;
    void *world = self->world;
    cJSON_Delete(self->answer);
    free(self);
    return command_world_teardown(&world);
}

static inline const char *argument_of(void *context, const char *name) {
    const asked_t *self = context;
    if (strcmp(name, "site") == 0) {
        return self->query_site;
    }
    return strcmp(name, "limit") == 0 ? self->query_limit : strcmp(name, "state") == 0 ? self->query_state : NULL;
}

static inline void ask_as(asked_t *self, const char *authorization, uint32_t address, const char *method,
                          const char *path, const char *body) {
    const mm_api_call_t call = {.method = method,
                                .path = path,
                                .authorization = authorization,
                                .address = address,
                                .body = body,
                                .body_bytes = body != NULL ? strlen(body) : 0,
                                .argument = argument_of,
                                .context = self};
    self->allow = NULL;
    self->status = 0;
    cJSON_Delete(self->answer);
    self->answer = NULL;
    char *text = mm_api_routes_answer(&self->routes, &call, &self->status, &self->allow);
    if (text != NULL) {
        self->answer = cJSON_Parse(text);
        assert_non_null(self->answer);
        free(text);
    }
}

static inline void ask(asked_t *self, const char *method, const char *path, const char *body, int status) {
    char authorization[128];
    snprintf(authorization, sizeof authorization, "Bearer %s", self->token);
    ask_as(self, authorization, 1, method, path, body);
    if (self->status != status) {
        fail_msg("%s %s %s: %d %s", method, path, body != NULL ? body : "", self->status,
                 cJSON_GetStringValue(cJSON_GetObjectItem(self->answer, "error")));
    }
}

static inline const char *problem(const asked_t *self) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(self->answer, "error"));
    return text != NULL ? text : "";
}

static inline const cJSON *member(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item == NULL) {
        fail_msg("no member %s", name);
    }
    return item;
}

static inline const char *text_of(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(member(object, name));
    return text != NULL ? text : "";
}

#endif
