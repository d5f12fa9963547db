// SPDX-License-Identifier: Apache-2.0
#include "hq_api_world.h"

// What everybody may read; every other route wants a token.
static bool is_public(const mm_api_route_t *route) {
    return strcmp(route->method, "GET") == 0 && strcmp(route->pattern, "tariffs") == 0;
}

// Whatever changes something wants a token, and so does what is shown to operators only.
static void test_routes_want_an_operator(void **state) {
    asked_t *self = *state;
    static const char *const wrong[] = {NULL,
                                        "",
                                        "Bearer",
                                        "Bearer ",
                                        "Bearer x",
                                        "Basic YW5hOmFuYQ==",
                                        "Bearer 0000000000000000000000000000000000000000000000000000000000000000"};
    size_t routes = 0;
    uint32_t address = 0;
    for (size_t table = 0; mm_api_route_table(table) != NULL; table++) {
        for (const mm_api_route_t *route = mm_api_route_table(table); route->pattern != NULL; route++) {
            char path[128] = MM_API_PREFIX;
            size_t used = strlen(path);
            for (const char *pattern = route->pattern; *pattern != '\0'; pattern++) {
                path[used++] = *pattern == '#' ? '1' : *pattern == '*' ? 'x' : *pattern;
            }
            path[used] = '\0';
            assert_true(mm_api_routes_know(path));
            assert_int_equal(route->needs_operator, !is_public(route));
            for (size_t index = 0; !is_public(route) && index < sizeof wrong / sizeof wrong[0]; index++) {
                ask_as(self, wrong[index], address++, route->method, path, "{}");
                if (self->status != 401) {
                    fail_msg("%s %s with '%s': %d", route->method, path, wrong[index] != NULL ? wrong[index] : "none",
                             self->status);
                }
            }
            routes++;
        }
    }
    assert_true(routes >= 19);
    assert_int_equal(self->changes, 0);
    ask(self, "GET", "/api/v1/operator", NULL, 200);
    assert_string_equal(cJSON_GetStringValue(member(self->answer, "name")), "ana");
}

// Guessing is slow, for who guesses.
static void test_routes_limit_guessing(void **state) {
    asked_t *self = *state;
    static const char wrong[] = "Bearer 0000000000000000000000000000000000000000000000000000000000000000";
    int refused = 0;
    int limited = 0;
    // Within one second ten are looked at; should the second end meanwhile, at most ten more.
    for (int attempt = 0; attempt < 40; attempt++) {
        ask_as(self, wrong, 7, "GET", "/api/v1/operator", NULL);
        refused += self->status == 401;
        limited += self->status == 429;
    }
    assert_true(refused >= MM_API_WRONG_TOKENS_PER_SECOND && refused <= 2 * MM_API_WRONG_TOKENS_PER_SECOND);
    assert_int_equal(refused + limited, 40);
    // Nobody else is in the way, and no operator who has the same address: all have, behind a proxy.
    ask(self, "GET", "/api/v1/operator", NULL, 200);
    char authorization[128];
    snprintf(authorization, sizeof authorization, "Bearer %s", self->token);
    ask_as(self, authorization, 7, "GET", "/api/v1/operator", NULL);
    assert_int_equal(self->status, 200);
}

static void test_routes_methods_and_paths(void **state) {
    asked_t *self = *state;
    ask_as(self, NULL, 1, "PUT", "/api/v1/orders", NULL);
    assert_int_equal(self->status, 405);
    assert_string_equal(self->allow, "GET, HEAD, POST");
    ask_as(self, NULL, 1, "GET", "/api/v1/orders/1/withdraw", NULL);
    assert_int_equal(self->status, 405);
    assert_string_equal(self->allow, "POST");
    ask_as(self, NULL, 1, "DELETE", "/api/v1/operator", NULL);
    assert_string_equal(self->allow, "GET, HEAD");
    ask(self, "HEAD", "/api/v1/orders", NULL, 200);
    static const char *const unknown[] = {"/api/v1/",
                                          "/api/v1/orders/",
                                          "/api/v1/orders/x",
                                          "/api/v1/orders/1/",
                                          "/api/v1/orders/1/withdraw/2",
                                          "/api/v2/orders",
                                          "/orders",
                                          "",
                                          "/api/v1/orders/9999999999999999999"};
    for (size_t index = 0; index < sizeof unknown / sizeof unknown[0]; index++) {
        assert_false(mm_api_routes_know(unknown[index]));
    }
    ask(self, "GET", "/api/v1/orders/999999999999999999", NULL, 404);
}

static void test_orders_life(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, 1);
    static const char body[] =
        "{\"request\":\"r1\",\"target\":\"M-1\",\"kind\":\"lock\",\"arguments\":{},\"priority\":7,\"expires_s\":3600}";
    ask(self, "POST", "/api/v1/orders", body, 201);
    assert_int_equal(self->changes, 1);
    const cJSON *order = member(self->answer, "order");
    assert_true(member(order, "id")->valuedouble == 1);
    assert_string_equal(cJSON_GetStringValue(member(order, "operator")), "ana");
    assert_string_equal(cJSON_GetStringValue(member(order, "kind")), "lock");
    assert_true(member(order, "priority")->valuedouble == 7);
    assert_true(member(order, "not_after")->valuedouble - member(order, "created")->valuedouble == 3600);
    assert_true(member(member(order, "states"), "queued")->valuedouble == 1);
    const cJSON *command = cJSON_GetArrayItem(member(order, "commands"), 0);
    assert_string_equal(cJSON_GetStringValue(member(command, "state")), "queued");
    assert_string_equal(cJSON_GetStringValue(member(command, "meter")), "M-1");
    assert_string_equal(cJSON_GetStringValue(member(command, "site")), "home");
    assert_true(cJSON_IsNull(member(command, "sent")));
    // The same again: 200, nothing new.
    ask(self, "POST", "/api/v1/orders", body, 200);
    assert_int_equal(self->changes, 1);
    assert_true(member(member(self->answer, "order"), "id")->valuedouble == 1);
    ask(self, "POST", "/api/v1/orders", "{\"request\":\"r1\",\"target\":\"M-1\",\"kind\":\"unlock\"}", 409);
    assert_non_null(strstr(problem(self), "another order"));
    // Sent, answered, shown.
    world_dispatch(world);
    mm_record_t result = world_result(&world->commands[0], MM_RESULT_STATE);
    mm_control_report_t control = world_control(101, 1);
    world_report(world, 1, 2, &control, 1, &result, 1);
    ask(self, "GET", "/api/v1/orders/1", NULL, 200);
    command = cJSON_GetArrayItem(member(self->answer, "commands"), 0);
    assert_string_equal(cJSON_GetStringValue(member(command, "state")), "refused");
    assert_string_equal(cJSON_GetStringValue(member(command, "status")), "state");
    assert_true(cJSON_IsNull(member(command, "detail")));
    ask(self, "GET", "/api/v1/orders", NULL, 200);
    order = cJSON_GetArrayItem(member(self->answer, "orders"), 0);
    assert_true(member(member(order, "states"), "refused")->valuedouble == 1);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM audit WHERE operator = 'ana' AND action = 'order'"),
                     1);
}

// What cannot be kept and shown again as it is: no UTF-8, or a zero that would hide what is behind it, so that two
// requests would be one.
static void test_orders_refuse_texts_that_are_none(void **state) {
    asked_t *self = *state;
    world_add_node(self->world, 1);
    static const char *const bad[] = {
        "r\\u0000x",        "\\\\\\u0000",          "r\xff", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\x80",  "\xe2\x82"};
    static const char *const good[] = {"r\\\\u0000x", "r\\u00e9", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x8c"};
    char body[128];
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        snprintf(body, sizeof body, "{\"request\":\"r\",\"target\":\"%s\",\"kind\":\"lock\"}", bad[index]);
        ask(self, "POST", "/api/v1/orders", body, 400);
        assert_string_equal(problem(self), "the body must be one JSON object");
    }
    for (size_t index = 0; index < sizeof good / sizeof good[0]; index++) {
        snprintf(body, sizeof body, "{\"request\":\"r\",\"target\":\"%s\",\"kind\":\"lock\"}", good[index]);
        ask(self, "POST", "/api/v1/orders", body, 404); // there is no such meter
    }
}

static void test_orders_list_and_withdraw(void **state) {
    asked_t *self = *state;
    world_add_node(self->world, 1);
    world_order(self->world, "a", "M-1", "lock", 5);
    world_order(self->world, "b", "M-1", "unlock", 5);
    self->query_limit = "1";
    ask(self, "GET", "/api/v1/orders", NULL, 200);
    const cJSON *orders = member(self->answer, "orders");
    assert_int_equal(cJSON_GetArraySize(orders), 1);
    assert_string_equal(cJSON_GetStringValue(member(cJSON_GetArrayItem(orders, 0), "request")), "b");
    static const char *const wrong[] = {"0", "501", "-1", "x", "1x", "99999999999999999999"};
    for (size_t index = 0; index < sizeof wrong / sizeof wrong[0]; index++) {
        self->query_limit = wrong[index];
        ask(self, "GET", "/api/v1/orders", NULL, 400);
    }
    ask(self, "POST", "/api/v1/orders/2/withdraw", "{}", 200);
    assert_true(member(self->answer, "withdrawn")->valuedouble == 1);
    assert_int_equal(self->changes, 1);
    ask(self, "POST", "/api/v1/orders/2/withdraw", "{}", 200);
    assert_true(member(self->answer, "withdrawn")->valuedouble == 0);
    assert_int_equal(self->changes, 1);
    ask(self, "POST", "/api/v1/orders/77/withdraw", "{}", 404);
    ask(self, "POST", "/api/v1/orders/1/withdraw", "{\"all\":true}", 400);
}

static void test_orders_never_show_a_password(void **state) {
    asked_t *self = *state;
    world_add_node(self->world, 1);
    ask(self, "POST", "/api/v1/orders",
        "{\"request\":\"n\",\"target\":\"all\",\"kind\":\"network\",\"arguments\":{\"ssid\":\"home\","
        "\"password\":\"very secret\"}}",
        201);
    static const char *const paths[] = {"/api/v1/orders/1", "/api/v1/orders"};
    for (size_t index = 0; index < 2; index++) {
        ask(self, "GET", paths[index], NULL, 200);
        char *text = cJSON_PrintUnformatted(self->answer);
        assert_null(strstr(text, "very secret"));
        assert_non_null(strstr(text, "\"ssid\":\"home\""));
        cJSON_free(text);
    }
}

static void test_orders_bad_bodies(void **state) {
    asked_t *self = *state;
    world_add_node(self->world, 1);
    static const struct {
        const char *body;
        int status;
        const char *problem;
    } cases[] = {
        {NULL, 400, "one JSON object"},
        {"", 400, "one JSON object"},
        {"[]", 400, "one JSON object"},
        {"{", 400, "one JSON object"},
        {"{} x", 400, "one JSON object"},
        {"{}{}", 400, "one JSON object"},
        {"{}", 400, "request"},
        {"{\"request\":\"r\"}", 400, "target"},
        {"{\"request\":\"r\",\"target\":\"M-1\"}", 400, "kind"},
        {"{\"request\":1,\"target\":\"M-1\",\"kind\":\"lock\"}", 400, "request: a text"},
        {"{\"request\":\"r\",\"target\":\"M-1\",\"kind\":\"lock\",\"x\":1}", 400, "x: not known"},
        {"{\"request\":\"r\",\"request\":\"s\",\"target\":\"M-1\",\"kind\":\"lock\"}", 400, "request: given twice"},
        {"{\"request\":\"r\",\"target\":\"M-1\",\"kind\":\"lock\",\"arguments\":[]}", 400, "arguments: an object"},
        {"{\"request\":\"r\",\"target\":\"M-1\",\"kind\":\"lock\",\"priority\":10}", 400, "priority: a whole number"},
        {"{\"request\":\"r\",\"target\":\"M-1\",\"kind\":\"lock\",\"priority\":1.5}", 400, "priority"},
        {"{\"request\":\"r\",\"target\":\"M-1\",\"kind\":\"lock\",\"priority\":1e300}", 400, "priority"},
        {"{\"request\":\"r\",\"target\":\"M-1\",\"kind\":\"lock\",\"priority\":\"5\"}", 400, "priority"},
        {"{\"request\":\"r\",\"target\":\"M-1\",\"kind\":\"lock\",\"expires_s\":0}", 400, "expires_s"},
        {"{\"request\":\"r\",\"target\":\"M-1\",\"kind\":\"lock\",\"expires_s\":315360001}", 400, "expires_s"},
        {"{\"request\":\"r\",\"target\":\"M-9\",\"kind\":\"lock\"}", 404, "no meter"},
        {"{\"request\":\"r\",\"target\":\"M-1\",\"kind\":\"credit\"}", 400, "sale"},
        {"{\"request\":\"r\",\"target\":\"all\",\"kind\":\"find\",\"arguments\":{\"seconds\":-1}}", 400, "seconds"},
        {"{\"request\":\"r\",\"target\":\"all\",\"kind\":\"find\",\"arguments\":{\"seconds\":1.5}}", 400, "seconds"},
        {"{\"request\":\"r\",\"target\":\"all\",\"kind\":\"find\",\"arguments\":{\"seconds\":null}}", 400, "seconds"},
        {"{\"request\":\"r\",\"target\":\"all\",\"kind\":\"find\",\"arguments\":{\"seconds\":[1]}}", 400, "seconds"},
    };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        ask(self, "POST", "/api/v1/orders", cases[index].body, cases[index].status);
        if (strstr(problem(self), cases[index].problem) == NULL) {
            fail_msg("%s: '%s'", cases[index].body, problem(self));
        }
    }
    assert_int_equal(hq_integer(self->world->files, "SELECT count(*) FROM command_order"), 0);
    assert_int_equal(self->changes, 0);
    ask(self, "POST", "/api/v1/orders",
        " {\"request\":\"r\",\"target\":\"all\",\"kind\":\"find\",\"arguments\":{\"seconds\":60}} \r\n", 201);
    ask(self, "POST", "/api/v1/orders",
        "{\"request\":\"m\",\"target\":\"M-1\",\"kind\":\"mode\",\"arguments\":{\"prepaid\":true}}", 201);
    // A zero byte hides nothing.
    const mm_api_call_t call = {.method = "POST",
                                .path = "/api/v1/orders/1/withdraw",
                                .authorization = NULL,
                                .body = "{}\0{}",
                                .body_bytes = 5,
                                .argument = argument_of,
                                .context = self};
    mm_api_call_t signed_call = call;
    char authorization[128];
    snprintf(authorization, sizeof authorization, "bearer %s", self->token);
    signed_call.authorization = authorization;
    free(mm_api_routes_answer(&self->routes, &signed_call, &self->status, &self->allow));
    assert_int_equal(self->status, 400);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, asked_setup, asked_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_routes_want_an_operator),  TEST(test_routes_limit_guessing),
        TEST(test_routes_methods_and_paths), TEST(test_orders_life),
        TEST(test_orders_list_and_withdraw), TEST(test_orders_never_show_a_password),
        TEST(test_orders_bad_bodies),        TEST(test_orders_refuse_texts_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
