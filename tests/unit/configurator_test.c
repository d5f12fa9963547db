// SPDX-License-Identifier: Apache-2.0
#include "setup_fixture.h"

#include <stdio.h>

#include "meshmeter/configurator.h"
#include "meshmeter/form.h"
#include "setup/json_writer.h"

static mm_http_answer_t answer;
static char nonce[33];

static const char good_form[] = "node_no=12&province=17&canton=&address=Street+1&installer=Eva&meter_id_1=M0&"
                                "pulse_constant_1=1000&start_wh_1=5000&prepaid_1=1&warning_wh_1=2000&"
                                "emergency_wh_1=1000&meter_id_6=M5&pulse_constant_6=1000&start_wh_6=0&prepaid_6=0";

static int setup(void **state) {
    (void)state;
    setup_begin(true);
    give_network(1);
    nonce[0] = '\0';
    return 0;
}

static uint16_t request_as(mm_http_method_t method, const char *path, const char *host, const char *header,
                           const char *body) {
    const mm_http_request_t request = {
        .method = method, .path = path, .nonce = header, .host = host, .body = body, .body_bytes = strlen(body)};
    memset(&answer, 0xA5, sizeof answer);
    mm_configurator_answer(&bench.setup, &request, desk_now(), &answer);
    assert_non_null(memchr(answer.body, '\0', sizeof answer.body));
    const char *next = strstr(answer.body, "\"nonce\":\"");
    if (next != NULL) {
        memcpy(nonce, next + 9, 32);
        nonce[32] = '\0';
    }
    return answer.status;
}

static uint16_t get(const char *path, const char *header) {
    return request_as(MM_HTTP_GET, path, "192.168.4.1", header, "");
}

static uint16_t post(const char *path, const char *body) {
    return request_as(MM_HTTP_POST, path, "192.168.4.1", NULL, body);
}

/// With the nonce of the session.
static uint16_t post_in_session(const char *path, const char *fields) {
    char body[MM_FORM_BYTES_MAX + 64];
    (void)snprintf(body, sizeof body, "nonce=%s&%s", nonce, fields);
    return post(path, body);
}

static void enter_by_page(void) {
    char code[CODE_BYTES];
    char body[64];
    make_code(code);
    (void)snprintf(body, sizeof body, "code=%s", code);
    assert_int_equal(post("/api/code", body), 200);
    assert_int_equal(strlen(nonce), 32);
    assert_non_null(strstr(answer.body, "\"session_left_s\":600"));
}

static bool answer_has(const char *text) {
    return strstr(answer.body, text) != NULL;
}

static void test_configurator_an_installation(void **state) {
    (void)state;
    assert_int_equal(get("/", NULL), 200);
    assert_true(answer.is_page);
    assert_int_equal(get("/api/state", NULL), 200);
    assert_true(answer_has("\"phase\":\"provisioned\"") && answer_has("\"mac\":\"02:00:00:00:00:07\""));
    assert_true(answer_has("\"site\":\"house-1\"") && answer_has("\"number\":") && answer_has("\"wait_s\":0"));
    assert_true(answer_has("\"session\":false") && answer_has("\"number_left_s\":600"));
    enter_by_page();
    assert_int_equal(get("/api/state", NULL), 200);
    assert_true(answer_has("\"session\":true") && !answer_has("number") && !answer_has("nonce"));
    assert_int_equal(get("/api/configuration", nonce), 200);
    assert_true(answer_has("\"router_name\":\"router\"") && answer_has("\"fixed\":false"));
    assert_false(answer_has("password"));
    assert_int_equal(post_in_session("/api/configuration", good_form), 200);
    assert_string_equal(answer.body, "{\"revision\":1}");
    assert_int_equal(phase_now(), MM_LIFE_AWAITING);
    assert_int_equal(get("/api/state", NULL), 200);
    assert_true(answer_has("\"applying\":true"));
    (void)setup_poll();
    assert_string_equal(world.metering.options.meters[5].id, "M5");
    assert_int_equal(world.metering.options.meters[0].start_wh, 5000);
    assert_int_equal(desk.control.credits[0].limits.warning_wh, 2000);
    assert_int_equal(count_installations(1, NULL), 1);
    assert_int_equal(bench.setup.configuration.installation.canton, 0);
    // What is there now, for the next one.
    enter_by_page();
    assert_int_equal(get("/api/configuration", nonce), 200);
    assert_true(answer_has("\"revision\":1,\"node_no\":12,\"province\":17,\"address\":\"Street 1\""));
    assert_true(answer_has("{\"meter_id\":\"M0\",\"pulse_constant\":1000,\"start_wh\":5000,\"prepaid\":true,"
                           "\"warning_wh\":2000,\"emergency_wh\":1000,\"fixed\":false}"));
    assert_int_equal(post_in_session("/api/cancel", ""), 200);
    assert_string_equal(answer.body, "{\"cancelled\":true}");
    assert_int_equal(phase_now(), MM_LIFE_AWAITING);
}

// Every route with every way of having no right: nothing of the node changes.

typedef enum {
    WITHOUT,
    EMPTY,
    WRONG,
    SHORT,
    LONG,
    UPPER,
    EXPIRED,
    REPLAYED,
    FOREIGN, ///< of an earlier session
    TWICE,
    IN_THE_OTHER_PLACE,
    WAY_COUNT
} way_t;

static const struct {
    mm_http_method_t method;
    const char *path;
} guarded[] = {
    {MM_HTTP_GET, "/api/configuration"}, {MM_HTTP_POST, "/api/configuration"}, {MM_HTTP_POST, "/api/cancel"}};

static void spoil(way_t way, char used[80]) {
    char earlier[33];
    (void)snprintf(used, 80, "%s", nonce);
    switch (way) {
    case WITHOUT:
    case EMPTY:
        used[0] = '\0';
        break;
    case WRONG:
        used[31] = used[31] == '0' ? '1' : '0';
        break;
    case SHORT:
        used[31] = '\0';
        break;
    case LONG:
        (void)strcat(used, "0");
        break;
    case UPPER: {
        bool changed = false;
        for (char *digit = used; *digit != '\0'; digit++) {
            changed = changed || *digit >= 'a';
            *digit = (char)(*digit >= 'a' ? *digit - 'a' + 'A' : *digit);
        }
        assert_true(changed);
        break;
    }
    case EXPIRED:
        world.t_us += MM_SETUP_SESSION_S * US;
        break;
    case REPLAYED:
        memcpy(earlier, nonce, sizeof earlier);
        assert_int_equal(get("/api/configuration", earlier), 200);
        break;
    case FOREIGN:
        mm_setup_leave(&bench.setup, desk_now());
        enter_by_page();
        break;
    default:
        break;
    }
}

static void test_configurator_denies_without_a_right(void **state) {
    (void)state;
    unsigned cases = 0;
    for (size_t route = 0; route < sizeof guarded / sizeof guarded[0]; route++) {
        for (int way = 0; way < WAY_COUNT; way++) {
            setup_begin(true);
            give_network(1);
            enter_by_page();
            char used[80];
            char body[1200];
            spoil((way_t)way, used);
            bool is_get = guarded[route].method == MM_HTTP_GET;
            if (way == TWICE && is_get) {
                continue; // a header is handed over once
            }
            bool in_header = is_get != (way == IN_THE_OTHER_PLACE);
            (void)snprintf(body, sizeof body, "%s%s%s%s&%s",
                           in_header || way == WITHOUT ? "" : "nonce=", in_header ? "" : used,
                           way == TWICE ? "&nonce=" : "", way == TWICE ? used : "", good_form);
            mm_configuration_t before = bench.setup.configuration;
            uint8_t flash[sizeof bench.bytes];
            memcpy(flash, bench.bytes, sizeof flash);
            uint16_t status = request_as(guarded[route].method, guarded[route].path, "10.0.0.1",
                                         in_header && way != WITHOUT ? used : NULL, body);
            if (status != 403 || answer_has("M0") || answer_has("node_no") || answer_has("nonce\":")) {
                fail_msg("%s, way %d: %u %s", guarded[route].path, way, status, answer.body);
            }
            assert_memory_equal(flash, bench.bytes, sizeof flash);
            assert_false(bench.setup.configuration.has_installation);
            // The session goes on, but for the one whose time was over.
            assert_int_equal(phase_now(), way == EXPIRED ? MM_LIFE_PROVISIONED : before.phase.state);
            cases++;
        }
    }
    assert_int_equal(cases, 3 * WAY_COUNT - 1);
}

static void test_configurator_codes(void **state) {
    (void)state;
    char code[CODE_BYTES];
    char body[80];
    // Before a number was shown, with nothing, with something else.
    assert_int_equal(post("/api/code", ""), 400);
    assert_int_equal(post("/api/code", "code="), 400);
    assert_int_equal(post("/api/code", "code=1234567"), 400);
    assert_int_equal(post("/api/code", "code=12345678&code=12345678"), 400);
    assert_int_equal(post("/api/code", "code=%FF%FF%FF%FF%FF%FF%FF%FF"), 400);
    assert_int_equal(post("/api/code", "code=12345678123456781234567812345678"), 400);
    assert_true(answer_has("\"verdict\":\"no_form\""));
    assert_int_equal(post("/api/code", "code=12345678"), 403);
    assert_true(answer_has("\"verdict\":\"expired\""));
    make_code(code);
    (void)snprintf(body, sizeof body, "code=%s", code);
    body[5] = body[5] == '0' ? '1' : '0';
    assert_int_equal(post("/api/code", body), 403);
    assert_true(answer_has("\"verdict\":\"wrong\"") && !answer_has("nonce"));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(post("/api/code", body), 403);
    }
    assert_true(answer_has("\"wait_s\":10"));
    assert_int_equal(get("/api/state", NULL), 200);
    assert_true(answer_has("\"wait_s\":10"));
    make_code(code);
    (void)snprintf(body, sizeof body, "code=%s", code);
    assert_int_equal(post("/api/code", body), 429);
    assert_true(answer_has("\"verdict\":\"locked_out\"") && answer_has("\"wait_s\":10"));
    world.t_us += 10 * US;
    assert_int_equal(post("/api/code", body), 200);
    // A second installer, with another code.
    char first[33];
    memcpy(first, nonce, sizeof first);
    assert_int_equal(post("/api/code", code[0] == '0' ? "code=10000000" : "code=00000000"), 409);
    assert_true(answer_has("\"verdict\":\"busy\"") && answer_has("\"wait_s\":600") && !answer_has("nonce"));
    memcpy(nonce, first, sizeof nonce);
    // The same one in another page: the first page's session is over.
    assert_int_equal(post("/api/code", body), 200);
    assert_int_equal(get("/api/configuration", first), 403);
    assert_int_equal(get("/api/configuration", nonce), 200);
    // No key; parked.
    assert_int_equal(post_in_session("/api/cancel", ""), 200);
    make_code(code);
    desk.key.has_key = false;
    (void)snprintf(body, sizeof body, "code=%s", code);
    assert_int_equal(post("/api/code", body), 503);
    assert_true(answer_has("no_key"));
    setup_begin(true);
    assert_int_equal(post("/api/code", body), 409);
    assert_true(answer_has("\"verdict\":\"state\""));
    assert_int_equal(get("/api/state", NULL), 200);
    assert_true(answer_has("\"phase\":\"parked\"") && !answer_has("number") && !answer_has("site"));
}

static void test_configurator_hosts(void **state) {
    (void)state;
    static const char *const good[] = {"192.168.4.1",    "192.168.4.1:80", "localhost",
                                       "localhost:8080", "[fe80::1]",      "[fe80::1]:80"};
    static const char *const bad[] = {"",
                                      "evil.example",
                                      "192.168.4.1.evil.example",
                                      "localhost.example",
                                      "localhost:",
                                      "[fe80::1",
                                      "[]",
                                      "10.0.0.1:80x",
                                      "10.0.0.1/",
                                      "[::1]x",
                                      "a.10.0.0.1",
                                      ":80"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(request_as(MM_HTTP_GET, "/api/state", good[i], NULL, ""), 200);
    }
    enter_by_page();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(request_as(MM_HTTP_GET, "/api/state", bad[i], NULL, ""), 421);
        assert_int_equal(request_as(MM_HTTP_GET, "/api/configuration", bad[i], nonce, ""), 421);
    }
    assert_int_equal(request_as(MM_HTTP_GET, "/", NULL, NULL, ""), 421);
    assert_int_equal(get("/api/configuration", nonce), 200); // none of them has used it up
}

static void test_configurator_routes(void **state) {
    (void)state;
    assert_int_equal(get("/favicon.ico", NULL), 404);
    assert_int_equal(get("", NULL), 404);
    assert_int_equal(get("/api/code", NULL), 405);
    assert_int_equal(get("/api/cancel", NULL), 405);
    assert_int_equal(post("/", ""), 405);
    assert_int_equal(post("/api/state", ""), 405);
    assert_int_equal(request_as(MM_HTTP_OTHER, "/api/configuration", "10.0.0.1", NULL, ""), 405);
    assert_int_equal(post("/api/code", "code=%"), 400);
    static char large[MM_FORM_BYTES_MAX + 2];
    memset(large, 'a', sizeof large - 1);
    assert_int_equal(post("/api/code", large), 413);
    assert_int_equal(phase_now(), MM_LIFE_PROVISIONED);
}

// One field of the good form is replaced; the problem is beside it, and the session goes on.
static const struct {
    const char *field; ///< as in the form
    const char *value;
    const char *problem; ///< field and channel in the answer
} spoilt[] = {
    {"node_no", "0", "\"field\":\"node_no\",\"what\""},
    {"node_no", "", "\"field\":\"node_no\""},
    {"node_no", "12x", "\"field\":\"node_no\""},
    {"node_no", "-1", "\"field\":\"node_no\""},
    {"node_no", "99999999999999999999", "\"field\":\"node_no\""},
    {"node_no", "4294967308", "\"field\":\"node_no\""}, // 12 + 2^32
    {"province", "65553", "\"field\":\"province\""},    // 17 + 2^16
    {"province", "201", "\"field\":\"province\""},
    {"address", "%FF", "\"field\":\"address\""},
    {"address", "a%0Ab", "\"field\":\"address\""},
    {"address", "1234567890123456789012345678901234567890123456", "\"field\":\"address\""},
    {"installer", "Jo", "\"field\":\"installer\""},
    {"installer", "", "\"field\":\"installer\""},
    {"installer", "1234567890123456789012345", "\"field\":\"installer\""},
    {"meter_id_1", "M+0", "\"field\":\"meter_id\",\"channel\":0"},
    {"meter_id_1", "M5", "\"field\":\"meter_id\",\"channel\":5"},
    {"meter_id_1", "", "\"field\":\"meter_id\",\"channel\":0"},
    {"meter_id_1", "1234567890123", "\"field\":\"meter_id\",\"channel\":0"},
    {"pulse_constant_6", "99", "\"field\":\"pulse_constant\",\"channel\":5"},
    {"pulse_constant_6", "4294968296", "\"field\":\"pulse_constant\",\"channel\":5"},
    {"pulse_constant_6", "1e3", "\"field\":\"pulse_constant\",\"channel\":5"},
    {"start_wh_6", "3000000001", "\"field\":\"start_wh\",\"channel\":5"},
    {"start_wh_6", "1.5", "\"field\":\"start_wh\",\"channel\":5"},
    {"prepaid_1", "2", "\"field\":\"prepaid\",\"channel\":0"},
    {"prepaid_1", "yes", "\"field\":\"prepaid\",\"channel\":0"},
    {"warning_wh_1", "1000000001", "\"field\":\"warning_wh\",\"channel\":0"},
    {"emergency_wh_1", "4294967296", "\"field\":\"emergency_wh\",\"channel\":0"},
};

static void replace(const char *field, const char *value, char *form, size_t capacity) {
    char name[40];
    (void)snprintf(name, sizeof name, "%s=", field);
    const char *place = strstr(good_form, name);
    assert_non_null(place);
    size_t end = strcspn(place, "&");
    (void)snprintf(form, capacity, "%.*s%s%s%s", (int)(place - good_form), good_form, name, value, place + end);
}

static void test_configurator_problems_beside_the_fields(void **state) {
    (void)state;
    enter_by_page();
    for (size_t i = 0; i < sizeof spoilt / sizeof spoilt[0]; i++) {
        char form[2048];
        replace(spoilt[i].field, spoilt[i].value, form, sizeof form);
        uint16_t status = post_in_session("/api/configuration", form);
        if (status != 422 || !answer_has(spoilt[i].problem)) {
            fail_msg("%s=%s: %u %s", spoilt[i].field, spoilt[i].value, status, answer.body);
        }
        assert_true(answer_has("\"nonce\":"));
        // One thing was wrong, one thing is said.
        assert_null(strstr(strstr(answer.body, "\"field\"") + 1, "\"field\""));
        assert_false(bench.setup.configuration.has_installation);
    }
    // What cannot be read and what is out of range, together.
    assert_int_equal(post_in_session("/api/configuration", "node_no=x&province=300&installer=Eva"), 422);
    assert_true(answer_has("node_no") && answer_has("province") && answer_has("meter_id"));
    assert_int_equal(post_in_session("/api/configuration", good_form), 200);
}

// As many problems as there can be still fit the answer.
static void test_configurator_everything_wrong(void **state) {
    (void)state;
    enter_by_page();
    char form[MM_FORM_BYTES_MAX];
    size_t used = (size_t)snprintf(form, sizeof form,
                                   "node_no=x&province=x&canton=x&parish=x&postal_code=x&address=%%01&installer=x&"
                                   "router_name=%%01&router_password=x");
    for (int channel = 1; channel <= 8; channel++) {
        used += (size_t)snprintf(form + used, sizeof form - used,
                                 "&meter_id_%d=a+b&pulse_constant_%d=7&start_wh_%d=9999999999&prepaid_%d=7&"
                                 "warning_wh_%d=9999999999&emergency_wh_%d=9999999999",
                                 channel, channel, channel, channel, channel, channel);
    }
    assert_int_equal(post_in_session("/api/configuration", form), 422);
    unsigned count = 0;
    for (const char *place = answer.body; (place = strstr(place, "\"field\"")) != NULL; place++) {
        count++;
    }
    assert_int_equal(count, MM_FIELD_PROBLEMS_MAX);
    assert_true(strlen(answer.body) < sizeof answer.body - 64);
}

static void test_configurator_hostile_texts_stay_texts(void **state) {
    (void)state;
    enter_by_page();
    char form[2048];
    replace("address", "%3Cscript%3Ealert(1)%3C/script%3E%22%5C%26'", form, sizeof form);
    assert_int_equal(post_in_session("/api/configuration", form), 200);
    assert_string_equal(bench.setup.configuration.installation.address, "<script>alert(1)</script>\"\\&'");
    (void)setup_poll();
    enter_by_page();
    assert_int_equal(get("/api/configuration", nonce), 200);
    assert_false(answer_has("<") || answer_has(">"));
    assert_true(
        answer_has("\"address\":\"\\u003cscript\\u003ealert(1)\\u003c/script\\u003e\\u0022\\u005c\\u0026\\u0027\""));
}

static void test_configurator_router(void **state) {
    (void)state;
    static const struct {
        const char *fields;
        uint16_t status;
        const char *word;
        bool tries;
    } cases[] = {
        {"router_name=router", 200, "revision", false},
        {"router_name=", 200, "revision", false},
        {"router_name=other&router_password=12345678", 200, "\"router\":\"trying\"", true},
        {"router_name=router&router_password=12345678", 200, "\"router\":\"trying\"", true},
        {"router_name=open", 200, "\"router\":\"trying\"", true},
        {"router_name=other&router_password=1234567", 422, "router_password", false},
        {"router_password=12345678", 422, "router_name", false},
        {"router_name=123456789012345678901234567890123", 422, "router_name", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char form[2048];
        setup_begin(true);
        give_network(1);
        enter_by_page();
        (void)snprintf(form, sizeof form, "%s&%s", good_form, cases[i].fields);
        assert_int_equal(post_in_session("/api/configuration", form), cases[i].status);
        assert_true(answer_has(cases[i].word));
        assert_int_equal(mm_control_is_on_trial(&desk.control), cases[i].tries);
        assert_int_equal(count_actions(ACTION_STAGE), cases[i].tries ? 1 : 0);
        if (cases[i].tries) { // nothing worked: the one before is used again
            setup_run_s(MM_CONTROL_TRIAL_S + 20);
            assert_int_equal(count_actions(ACTION_ROLL_BACK), 1);
            assert_string_equal(bench.setup.configuration.network.router.ssid, "router");
        }
    }
    // One that is there already, and a platform that cannot.
    setup_begin(true);
    mm_network_t network = site_network(2);
    strcpy(network.router.password, "12345678");
    assert_int_equal(mm_setup_take_network(&bench.setup, &network, desk_now()), MM_OK);
    enter_by_page();
    char form[2048];
    (void)snprintf(form, sizeof form, "%s&router_name=router&router_password=12345678", good_form);
    assert_int_equal(post_in_session("/api/configuration", form), 200);
    assert_false(answer_has("\"router\":"));
    desk_without_actions = true;
    setup_reboot();
    enter_by_page();
    (void)snprintf(form, sizeof form, "%s&router_name=other", good_form);
    assert_int_equal(post_in_session("/api/configuration", form), 200);
    assert_true(answer_has("\"router\":\"refused\""));
    desk_without_actions = false;
}

static void test_configurator_memory_that_refuses(void **state) {
    (void)state;
    enter_by_page();
    world.fail_from_call = world.call_count;
    assert_int_equal(post_in_session("/api/configuration", good_form), 503);
    world.fail_from_call = NEVER;
    assert_true(answer_has("\"nonce\":") && answer_has("nothing was changed"));
    assert_false(bench.setup.configuration.has_installation);
    assert_int_equal(post_in_session("/api/configuration", good_form), 200);
}

// The power fails somewhere in the request that stores: the installer has no answer, and the node is as before or as
// wanted.
static void test_configurator_power_cut_while_storing(void **state) {
    (void)state;
    enter_by_page();
    const world_t base_world = world;
    const desk_t base_desk = desk;
    const bench_t base_bench = bench;
    char base_nonce[33];
    memcpy(base_nonce, nonce, sizeof base_nonce);
    assert_int_equal(post_in_session("/api/configuration", good_form), 200);
    uint64_t steps = world.power.steps_drawn - base_world.power.steps_drawn;
    assert_true(steps > 100);
    unsigned stored = 0;
    for (uint64_t step = 0; step < steps; step++) {
        world = base_world;
        desk = base_desk;
        bench = base_bench;
        memcpy(nonce, base_nonce, sizeof nonce);
        mm_sim_power_cut_after(&world.power, step);
        assert_int_equal(post_in_session("/api/configuration", good_form), 503);
        setup_reboot();
        control_sync();
        (void)setup_poll();
        bool is_stored = phase_now() == MM_LIFE_AWAITING;
        assert_true(is_stored || phase_now() == MM_LIFE_PROVISIONED);
        assert_int_equal(count_installations(1, NULL), is_stored ? 1 : 0);
        assert_int_equal(post_in_session("/api/configuration", good_form), 403); // the session died with it
        stored += is_stored ? 1 : 0;
    }
    assert_true(stored < steps);
}

static void test_configurator_json_is_bounded(void **state) {
    (void)state;
    for (size_t capacity = 1; capacity < 60; capacity++) {
        char text[64];
        memset(text, 'x', sizeof text);
        mmi_json_t json;
        mmi_json_begin(&json, text, capacity, 0);
        mmi_json_string(&json, "a", "\x01<b");
        mmi_json_number(&json, "n", UINT64_MAX);
        mmi_json_hex(&json, "h", (const uint8_t *)"\xAB", 1);
        mmi_json_close(&json, '}');
        static const char whole[] = "{\"a\":\"\\u0001\\u003cb\",\"n\":18446744073709551615,\"h\":\"ab\"}";
        assert_true(strlen(text) < capacity);
        assert_int_equal(json.failed, capacity < sizeof whole);
        if (!json.failed) {
            assert_string_equal(text, whole);
        }
        assert_int_equal(text[capacity], 'x');
    }
    char none;
    mmi_json_t json;
    expect_assert_failure(mmi_json_begin(&json, &none, 0, 0));
}

// Without what runs on by itself.
static void keep_answer(char text[sizeof answer.body]) {
    memcpy(text, answer.body, sizeof answer.body);
    char *left = strstr(text, "\"session_left_s\":");
    if (left != NULL) {
        *left = '\0';
    }
}

static uint16_t post_with(const char *path, const char *used, const char *fields) {
    char body[MM_FORM_BYTES_MAX + 64];
    (void)snprintf(body, sizeof body, "nonce=%s&%s", used, fields);
    return post(path, body);
}

static void test_configurator_lost_answer_is_given_again(void **state) {
    (void)state;
    char first[sizeof answer.body];
    char again[sizeof answer.body];
    char used[33];
    char form[2048];
    const struct {
        const char *fields; ///< NULL: GET
        uint16_t status;
        bool memory_fails;
    } cases[] = {{NULL, 200, false}, {"node_no=0&installer=Jo", 422, false}, {form, 503, true}, {form, 200, false}};
    (void)snprintf(form, sizeof form, "%s&router_name=other&router_password=other-password", good_form);
    enter_by_page();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(used, nonce, sizeof used);
        world.fail_from_call = cases[i].memory_fails ? world.call_count : NEVER;
        const char *fields = cases[i].fields;
        assert_int_equal(fields == NULL ? get("/api/configuration", used)
                                        : post_with("/api/configuration", used, fields),
                         cases[i].status);
        world.fail_from_call = NEVER;
        keep_answer(first);
        const mm_configuration_t before = bench.setup.configuration;
        const uint32_t stages = count_actions(ACTION_STAGE);
        const mm_us_t until = bench.setup.session_until;
        for (int times = 0; times < 3; times++) {
            setup_run_s(5);
            assert_int_equal(fields == NULL ? get("/api/configuration", used)
                                            : post_with("/api/configuration", used, fields),
                             cases[i].status);
            keep_answer(again);
            assert_string_equal(first, again);
            assert_true(bench.setup.session_until == until); // nobody is kept at work by it
        }
        assert_int_equal(bench.setup.configuration.has_installation, before.has_installation);
        assert_int_equal(bench.setup.configuration.installation.revision, before.installation.revision);
        assert_int_equal(count_actions(ACTION_STAGE), stages);
        // Not the same request: no right.
        assert_int_equal(post_with("/api/configuration", used, "node_no=1&installer=Mallory"), 403);
        assert_int_equal(post_with("/api/cancel", used, fields != NULL ? fields : ""), 403);
        if (fields != NULL) {
            char longer[2100];
            (void)snprintf(longer, sizeof longer, "%s&", fields);
            assert_int_equal(post_with("/api/configuration", used, longer), 403);
            assert_int_equal(get("/api/configuration", used), 403);
        }
    }
    assert_true(strstr(again, "\"revision\":1,\"router\":\"trying\"") != NULL);
    assert_int_equal(count_installations(1, NULL), 1);
    assert_int_equal(count_installations(2, NULL), 0);
    assert_int_equal(count_actions(ACTION_STAGE), 1);
    assert_int_equal(phase_now(), MM_LIFE_AWAITING);
}

static void test_configurator_lost_answer_is_given_up(void **state) {
    (void)state;
    char used[33];
    // The next nonce is used.
    enter_by_page();
    memcpy(used, nonce, sizeof used);
    assert_int_equal(get("/api/configuration", used), 200);
    assert_int_equal(get("/api/configuration", nonce), 200);
    assert_int_equal(get("/api/configuration", used), 403);
    // The session is over by its time, or by another one.
    memcpy(used, nonce, sizeof used);
    assert_int_equal(post_with("/api/configuration", used, "node_no=0"), 422);
    world.t_us += MM_SETUP_SESSION_S * US;
    assert_int_equal(post_with("/api/configuration", used, "node_no=0"), 403);
    enter_by_page();
    memcpy(used, nonce, sizeof used);
    assert_int_equal(post_with("/api/configuration", used, good_form), 200);
    (void)setup_poll();
    assert_int_equal(post_with("/api/configuration", used, good_form), 200);
    enter_by_page();
    assert_int_equal(post_with("/api/configuration", used, good_form), 403);
    // Cancelled: the same, for ten minutes.
    memcpy(used, nonce, sizeof used);
    assert_int_equal(post_with("/api/cancel", used, ""), 200);
    world.t_us += (MM_SETUP_SESSION_S - 1) * US;
    assert_int_equal(post_with("/api/cancel", used, ""), 200);
    world.t_us += US;
    assert_int_equal(post_with("/api/cancel", used, ""), 403);
    // A reset: the same.
    enter_by_page();
    memcpy(used, nonce, sizeof used);
    assert_int_equal(post_with("/api/cancel", used, ""), 200);
    char code[CODE_BYTES];
    uint32_t wait_s;
    make_code(code);
    assert_int_equal(mm_setup_reset(&bench.setup, code, desk_now(), &wait_s), MM_CODE_GOOD);
    assert_int_equal(post_with("/api/cancel", used, ""), 403);
    setup_reboot();
    control_sync();
    give_network(1);
    // A restart: nothing is left of it.
    enter_by_page();
    memcpy(used, nonce, sizeof used);
    assert_int_equal(post_with("/api/configuration", used, good_form), 200);
    setup_reboot();
    assert_int_equal(post_with("/api/configuration", used, good_form), 403);
    // Without the device's key no request is known again, and nobody gets in either.
    enter_by_page();
    memcpy(used, nonce, sizeof used);
    desk.key.has_key = false;
    assert_int_equal(get("/api/configuration", used), 200);
    desk.key.has_key = true;
    assert_int_equal(get("/api/configuration", used), 403);
    assert_int_equal(get("/api/configuration", nonce), 200);
}

// The longest request: every byte of it counts.
static void test_configurator_lost_answer_of_a_long_request(void **state) {
    (void)state;
    static char form[MM_FORM_BYTES_MAX + 1];
    char used[33];
    enter_by_page();
    memcpy(used, nonce, sizeof used);
    size_t length = (size_t)snprintf(form, sizeof form, "nonce=%s&address=", used);
    memset(form + length, 'a', MM_FORM_BYTES_MAX - length);
    assert_int_equal(post("/api/configuration", form), 422);
    for (size_t at = length; at < MM_FORM_BYTES_MAX; at += 97) {
        form[at] = 'b';
        assert_int_equal(post("/api/configuration", form), 403);
        form[at] = 'a';
    }
    form[MM_FORM_BYTES_MAX - 1] = 'b';
    assert_int_equal(post("/api/configuration", form), 403);
    form[MM_FORM_BYTES_MAX - 1] = 'a';
    assert_int_equal(post("/api/configuration", form), 422);
}

// A customer's token needs no code: it is judged as at the button, and guessing locks out.
static void test_configurator_token(void **state) {
    (void)state;
    assert_int_equal(post("/api/token", ""), 400);
    assert_int_equal(post("/api/token", "meter=M0"), 400);
    assert_int_equal(post("/api/token", "meter=&digits=123456789"), 404);
    assert_int_equal(post("/api/token", "meter=nobody&digits=123456789"), 404);
    assert_int_equal(get("/api/token", NULL), 405);
    enter_by_page();
    assert_int_equal(post_in_session("/api/configuration", good_form), 200);
    (void)setup_poll();
    assert_true(desk.control.credits[0].prepaid);
    assert_int_equal(get("/api/state", NULL), 200);
    assert_true(answer_has("\"prepaid\":[\"M0\"]"));
    assert_int_equal(post("/api/token", "meter=M0&digits=12"), 403);
    assert_true(answer_has("no_form"));
    assert_int_equal(post("/api/token", "meter=M0&digits=123456789"), 403);
    assert_true(answer_has("\"verdict\":\"wrong\",\"wait_s\":60"));
    assert_int_equal(post("/api/token", "meter=M0&digits=123456789"), 429);
    setup_run_s(61);
    char body[64];
    char digits[MM_TOKEN_DIGITS_MAX + 1];
    make_token(0, MM_TOKEN_ADD, 5, 2, digits);
    (void)snprintf(body, sizeof body, "meter=M0&digits=%s", digits);
    assert_int_equal(post("/api/token", body), 200);
    assert_true(answer_has("\"credit_wh\":5000,\"balance_wh\":49")); // less what was used meanwhile
    assert_int_equal(post("/api/token", body), 403);
    assert_true(answer_has("used"));
    assert_int_equal(desk.control.credits[0].applied_wh, 5000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_configurator_an_installation, setup),
        cmocka_unit_test_setup(test_configurator_token, setup),
        cmocka_unit_test(test_configurator_denies_without_a_right),
        cmocka_unit_test_setup(test_configurator_codes, setup),
        cmocka_unit_test_setup(test_configurator_hosts, setup),
        cmocka_unit_test_setup(test_configurator_routes, setup),
        cmocka_unit_test_setup(test_configurator_problems_beside_the_fields, setup),
        cmocka_unit_test_setup(test_configurator_everything_wrong, setup),
        cmocka_unit_test_setup(test_configurator_hostile_texts_stay_texts, setup),
        cmocka_unit_test(test_configurator_router),
        cmocka_unit_test_setup(test_configurator_memory_that_refuses, setup),
        cmocka_unit_test_setup(test_configurator_power_cut_while_storing, setup),
        cmocka_unit_test_setup(test_configurator_lost_answer_is_given_again, setup),
        cmocka_unit_test_setup(test_configurator_lost_answer_is_given_up, setup),
        cmocka_unit_test_setup(test_configurator_lost_answer_of_a_long_request, setup),
        cmocka_unit_test(test_configurator_json_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
