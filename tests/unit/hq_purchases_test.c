// SPDX-License-Identifier: Apache-2.0
#include "hq_vending_world.h"

#include "api_routes.h"
#include "operators.h"

// Sales, books and tariffs through the API.

typedef struct {
    vending_t *vending;
    mm_api_routes_t routes;
    char authorization[MM_OPERATOR_TOKEN_BYTES + 16];
    int changed;
    const char *meter; ///< query argument
} api_t;

static void on_changed(void *context) {
    ((api_t *)context)->changed++;
}

static int setup(void **state) {
    api_t *self = calloc(1, sizeof *self);
    char token[MM_OPERATOR_TOKEN_BYTES];
    mm_hq_error_t error;
    if (self == NULL || vending_setup((void **)&self->vending) != 0 ||
        mm_operator_add(self->vending->desk, "ann", 1, token, &error) != MM_DESK_OK) {
        return -1;
    }
    snprintf(self->authorization, sizeof self->authorization, "Bearer %s", token);
    self->routes = (mm_api_routes_t){.desk = self->vending->desk, .changed = on_changed, .changed_context = self};
    *state = self;
    return 0;
}

static int teardown(void **state) {
    api_t *self = *state;
    vending_teardown((void **)&self->vending);
    free(self);
    return 0;
}

static const char *argument(void *context, const char *name) {
    return strcmp(name, "meter") == 0 ? ((api_t *)context)->meter : NULL;
}

static cJSON *ask_as(api_t *self, const char *authorization, const char *method, const char *path, const char *body,
                     int wanted) {
    int status = 0;
    const char *allow = NULL;
    const mm_api_call_t call = {.method = method,
                                .path = path,
                                .authorization = authorization,
                                .body = body,
                                .body_bytes = body != NULL ? strlen(body) : 0,
                                .argument = argument,
                                .context = self};
    char *text = mm_api_routes_answer(&self->routes, &call, &status, &allow);
    assert_non_null(text);
    if (status != wanted) {
        fail_msg("%s %s: %d instead of %d: %s", method, path, status, wanted, text);
    }
    cJSON *answer = cJSON_Parse(text);
    free(text);
    return answer;
}

static cJSON *ask(api_t *self, const char *method, const char *path, const char *body, int wanted) {
    return ask_as(self, self->authorization, method, path, body, wanted);
}

static int64_t number(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(item)) {
        fail_msg("no number %s", name);
    }
    return (int64_t)item->valuedouble;
}

static const char *text(const cJSON *object, const char *name) {
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    if (value == NULL) {
        fail_msg("no text %s", name);
    }
    return value;
}

#define SALE "{\"request\":\"r1\",\"meter\":\"M-1\",\"energy_wh\":5000}"

static void test_purchases_need_an_operator(void **state) {
    api_t *self = *state;
    static const struct {
        const char *method;
        const char *path;
    } closed[] = {{"POST", "/api/v1/purchases"},  {"GET", "/api/v1/purchases"},
                  {"GET", "/api/v1/purchases/1"}, {"POST", "/api/v1/purchases/1/void"},
                  {"POST", "/api/v1/tariffs"},    {"POST", "/api/v1/sites/home/settings"}};
    for (size_t index = 0; index < sizeof closed / sizeof closed[0]; index++) {
        cJSON_Delete(ask_as(self, NULL, closed[index].method, closed[index].path, SALE, 401));
        cJSON_Delete(ask_as(self, "Bearer 00", closed[index].method, closed[index].path, SALE, 401));
    }
    assert_int_equal(vending_integer(self->vending, "SELECT count(*) FROM purchase"), 0);
    // What sales were is nobody else's business; what energy costs is.
    cJSON_Delete(ask_as(self, NULL, "GET", "/api/v1/books", NULL, 401));
    cJSON_Delete(ask_as(self, NULL, "GET", "/api/v1/tariffs", NULL, 200));
}

static void test_purchases_sell_once(void **state) {
    api_t *self = *state;
    cJSON *answer = ask(self, "POST", "/api/v1/purchases", SALE, 201);
    const cJSON *purchase = cJSON_GetObjectItem(answer, "purchase");
    assert_int_equal(number(purchase, "energy_wh"), 5000);
    assert_string_equal(text(purchase, "state"), "issued");
    assert_string_equal(text(purchase, "operator"), "ann");
    assert_string_equal(text(purchase, "node"), "02:00:00:00:00:01");
    assert_int_equal(strlen(text(purchase, "token")), 9);
    assert_int_equal(strlen(text(purchase, "token_restricted")), 15);
    assert_int_equal(self->changed, 1);
    cJSON *again = ask(self, "POST", "/api/v1/purchases", SALE, 200);
    assert_true(cJSON_Compare(answer, again, true));
    assert_int_equal(self->changed, 1);
    cJSON_Delete(again);
    cJSON_Delete(
        ask(self, "POST", "/api/v1/purchases", "{\"request\":\"r1\",\"meter\":\"M-1\",\"energy_wh\":6000}", 409));
    again = ask(self, "GET", "/api/v1/purchases/1", NULL, 200);
    assert_true(cJSON_Compare(answer, again, true));
    cJSON_Delete(again);
    cJSON_Delete(answer);
    self->meter = "M-1";
    answer = ask(self, "GET", "/api/v1/purchases", NULL, 200);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "purchases")), 1);
    cJSON_Delete(answer);
    self->meter = "M-2";
    answer = ask(self, "GET", "/api/v1/purchases", NULL, 200);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "purchases")), 0);
    cJSON_Delete(answer);
}

static void test_purchases_refuse(void **state) {
    api_t *self = *state;
    static const struct {
        const char *body;
        int status;
    } cases[] = {
        {"{}", 400},
        {"[]", 400},
        {"{\"request\":\"a\",\"meter\":\"M-1\"}", 400},
        {"{\"request\":\"a\",\"meter\":\"M-1\",\"energy_wh\":0}", 400},
        {"{\"request\":\"a\",\"meter\":\"M-1\",\"energy_wh\":-1000}", 400},
        {"{\"request\":\"a\",\"meter\":\"M-1\",\"energy_wh\":1000.5}", 400},
        {"{\"request\":\"a\",\"meter\":\"M-1\",\"energy_wh\":1e300}", 400},
        {"{\"request\":\"a\",\"meter\":\"M-1\",\"energy_wh\":\"1000\"}", 400},
        {"{\"request\":\"a\",\"meter\":\"M-1\",\"energy_wh\":1000,\"money_minor\":1}", 400},
        {"{\"request\":\"a\",\"meter\":\"M-1\",\"money_minor\":100}", 400},
        {"{\"request\":\"a\",\"meter\":\"M-1\",\"energy_wh\":1000,\"free\":true}", 400},
        {"{\"request\":\"\",\"meter\":\"M-1\",\"energy_wh\":1000}", 400},
        {"{\"request\":1,\"meter\":\"M-1\",\"energy_wh\":1000}", 400},
        {"{\"request\":\"a\",\"meter\":\"M-2\",\"energy_wh\":1000}", 400},
        {"{\"request\":\"a\",\"meter\":\"M-9\",\"energy_wh\":1000}", 404},
    };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        cJSON *answer = ask(self, "POST", "/api/v1/purchases", cases[index].body, cases[index].status);
        assert_true(text(answer, "error")[0] != '\0');
        cJSON_Delete(answer);
    }
    cJSON_Delete(ask(self, "GET", "/api/v1/purchases/9", NULL, 404));
    cJSON_Delete(ask(self, "POST", "/api/v1/purchases/9/void", "{}", 404));
    assert_int_equal(self->changed, 0);
    assert_int_equal(vending_integer(self->vending, "SELECT count(*) FROM ledger_entry"), 0);
}

static void test_purchases_void(void **state) {
    api_t *self = *state;
    cJSON_Delete(ask(self, "POST", "/api/v1/purchases", SALE, 201));
    cJSON_Delete(ask(self, "POST", "/api/v1/purchases/1/void", "{\"why\":1}", 400));
    cJSON *answer = ask(self, "POST", "/api/v1/purchases/1/void", "{}", 200);
    assert_string_equal(text(cJSON_GetObjectItem(answer, "purchase"), "state"), "voiding");
    cJSON_Delete(answer);
    mm_sale_t sale = {.id = 1, .count = 2, .amount_wh = 5000};
    vending_take(self->vending, MM_MOVEMENT_TOKEN_ADD, &sale);
    cJSON_Delete(ask(self, "POST", "/api/v1/purchases/1/void", "{}", 400));
}

#define TARIFF                                                                                                         \
    "{\"request\":\"t1\",\"name\":\"default\",\"currency\":\"EUR\",\"decimals\":2,\"tax_ppm\":190000,"                 \
    "\"bands\":[{\"days\":[0,1,2,3,4,5,6],\"from_hour\":0,\"to_hour\":24,\"price_minor_per_kwh\":30}]}"

static void test_purchases_by_money(void **state) {
    api_t *self = *state;
    cJSON *answer = ask(self, "POST", "/api/v1/tariffs", TARIFF, 201);
    assert_string_equal(text(cJSON_GetObjectItem(answer, "tariff"), "name"), "default");
    cJSON_Delete(answer);
    cJSON_Delete(ask(self, "POST", "/api/v1/tariffs", TARIFF, 200));
    cJSON_Delete(ask(self, "POST", "/api/v1/tariffs", "{\"request\":\"t2\",\"name\":\"x\"}", 400));
    answer = ask(self, "GET", "/api/v1/tariffs", NULL, 200);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "tariffs")), 1);
    cJSON_Delete(answer);
    answer = ask(self, "POST", "/api/v1/sites/home/settings",
                 "{\"request\":\"s1\",\"token_unit_wh\":100,\"tariff\":\"default\"}", 201);
    assert_int_equal(number(answer, "token_unit_wh"), 100);
    cJSON_Delete(answer);
    cJSON_Delete(ask(self, "POST", "/api/v1/sites/nowhere/settings", "{\"request\":\"s2\"}", 404));
    cJSON_Delete(ask(self, "POST", "/api/v1/sites/home/settings", "{\"request\":\"s2\",\"token_unit_wh\":-1}", 400));
    answer = ask(self, "POST", "/api/v1/purchases", "{\"request\":\"r1\",\"meter\":\"M-1\",\"money_minor\":100}", 201);
    const cJSON *purchase = cJSON_GetObjectItem(answer, "purchase");
    assert_int_equal(number(purchase, "energy_wh"), 3300);       // 99 ct
    assert_int_equal(number(purchase, "remainder_milli"), 1000); // 1 ct
    assert_int_equal(number(purchase, "tax_minor"), 16);         // 99 x 0.19 / 1.19 = 15.8
    assert_string_equal(text(purchase, "currency"), "EUR");
    cJSON_Delete(answer);
}

static void test_purchases_books(void **state) {
    api_t *self = *state;
    cJSON_Delete(ask(self, "POST", "/api/v1/purchases", SALE, 201));
    cJSON *answer = ask(self, "GET", "/api/v1/books", NULL, 200);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(answer, "balanced")));
    const cJSON *meter = cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "meters"), 0);
    assert_string_equal(text(meter, "meter"), "M-1");
    assert_int_equal(number(meter, "issued_wh"), 5000);
    assert_int_equal(number(meter, "pending_wh"), 5000);
    const cJSON *unit = cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "ledger"), 0);
    assert_string_equal(text(unit, "unit"), "Wh");
    assert_int_equal(number(unit, "debits"), number(unit, "credits"));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(unit, "sums_agree")));
    cJSON_Delete(answer);
    vending_execute(self->vending, "UPDATE meter_credit SET balance_wh = 1");
    answer = ask(self, "GET", "/api/v1/books", NULL, 200);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(answer, "balanced")));
    cJSON_Delete(answer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_purchases_need_an_operator), TEST(test_purchases_sell_once),
        TEST(test_purchases_refuse),           TEST(test_purchases_void),
        TEST(test_purchases_by_money),         TEST(test_purchases_books),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
