// SPDX-License-Identifier: Apache-2.0
#include "hq_api_world.h"
#include "hq_failing_vfs.h"

#include "codes.h"
#include "text_check.h"

// Codes by Python's hmac: HMAC-SHA-256 under 32 bytes of 0x41 (node 1) over "meshmeter installer 1", the MAC and the
// number in 8 digits.
#define CODE_1_5546600 "63da4e74"
#define CODE_1_7 "49459f4a"

static mm_desk_result_t give(command_world_t *world, const char *request, uint32_t number, const char *mac,
                             mm_code_t *code, mm_hq_error_t *error) {
    const mm_code_request_t what = {
        .request = request, .number = number, .mac = mac, .caller = "Ana, gate 3", .operator_name = "ana"};
    *error = (mm_hq_error_t){{0}};
    return mm_code_give(world->desk, &what, world->now_us, code, error);
}

static void test_codes_by_the_api(void **state) {
    asked_t *self = *state;
    world_add_key(self->world, 1);
    world_add_key(self->world, 2);
    static const char body[] =
        "{\"request\":\"r1\",\"number\":5546600,\"mac\":\"02:00:00:00:00:01\",\"caller\":\"Ana, gate 3\"}";
    ask(self, "POST", "/api/v1/codes", body, 201);
    assert_string_equal(text_of(self->answer, "code"), CODE_1_5546600);
    assert_string_equal(text_of(self->answer, "node"), "02:00:00:00:00:01");
    assert_true(member(self->answer, "expires_s")->valuedouble == MM_CHALLENGE_LIFE_S);
    assert_int_equal(self->changes, 0); // nothing is to be sent
    // Again: the same, written down once.
    ask(self, "POST", "/api/v1/codes", body, 200);
    assert_string_equal(text_of(self->answer, "code"), CODE_1_5546600);
    assert_true(member(self->answer, "expires_s")->valuedouble <= MM_CHALLENGE_LIFE_S);
    ask(self, "POST", "/api/v1/codes",
        "{\"request\":\"r1\",\"number\":5546601,\"mac\":\"02:00:00:00:00:01\",\"caller\":\"Ana, gate 3\"}", 409);
    ask(self, "POST", "/api/v1/codes",
        "{\"request\":\"r2\",\"number\":7,\"mac\":\"00:00:01\",\"caller\":\"In\xC3\xA9s\"}", 201);
    assert_string_equal(text_of(self->answer, "code"), CODE_1_7);
    ask(self, "GET", "/api/v1/audit", NULL, 200);
    const cJSON *audit = member(self->answer, "audit");
    const cJSON *newest = cJSON_GetArrayItem(audit, 0);
    assert_string_equal(text_of(newest, "operator"), "ana");
    assert_string_equal(text_of(newest, "action"), "code");
    assert_string_equal(text_of(newest, "detail"), "node 02:00:00:00:00:01, number 7, for In\xC3\xA9s");
    assert_true(member(newest, "at")->valuedouble > 1.6e9);
    assert_string_equal(text_of(cJSON_GetArrayItem(audit, 1), "detail"),
                        "node 02:00:00:00:00:01, number 5546600, for Ana, gate 3");
    assert_int_equal(hq_integer(self->world->files, "SELECT count(*) FROM audit WHERE action = 'code'"), 2);
    self->query_limit = "1";
    ask(self, "GET", "/api/v1/audit", NULL, 200);
    assert_int_equal(cJSON_GetArraySize(member(self->answer, "audit")), 1);
    self->query_limit = "1001";
    ask(self, "GET", "/api/v1/audit", NULL, 400);
}

// The whole file: neither the code nor the key of a device may be found outside of its own table.
static void test_codes_are_kept_nowhere(void **state) {
    asked_t *self = *state;
    world_add_key(self->world, 1);
    ask(self, "POST", "/api/v1/codes",
        "{\"request\":\"r\",\"number\":5546600,\"mac\":\"02:00:00:00:00:01\",\"caller\":\"Ana\"}", 201);
    static const char *const suffixes[] = {"", "-wal"};
    bool found_number = false;
    for (size_t index = 0; index < 2; index++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", self->world->files->database, suffixes[index]);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        static char bytes[4 * 1024 * 1024];
        size_t count = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        assert_true(count < sizeof bytes);
        assert_null(memmem(bytes, count, CODE_1_5546600, 8));
        assert_null(memmem(bytes, count, "\x63\xda\x4e\x74", 4));
        found_number = found_number || memmem(bytes, count, "number 5546600", 14) != NULL;
    }
    assert_true(found_number); // the search does find what is there
}

static void test_codes_bad_bodies(void **state) {
    asked_t *self = *state;
    world_add_key(self->world, 1);
    static const struct {
        const char *body;
        int status;
        const char *problem;
    } cases[] = {
        {NULL, 400, "one JSON object"},
        {"{}", 400, "request"},
        {"{\"request\":\"r\",\"mac\":\"000001\",\"caller\":\"A\"}", 400, "number"},
        {"{\"request\":\"r\",\"number\":-1,\"mac\":\"000001\",\"caller\":\"A\"}", 400, "number"},
        {"{\"request\":\"r\",\"number\":100000000,\"mac\":\"000001\",\"caller\":\"A\"}", 400, "number"},
        {"{\"request\":\"r\",\"number\":\"7\",\"mac\":\"000001\",\"caller\":\"A\"}", 400, "number"},
        {"{\"request\":\"r\",\"number\":7.5,\"mac\":\"000001\",\"caller\":\"A\"}", 400, "number"},
        {"{\"request\":\"r\",\"number\":7,\"caller\":\"A\"}", 400, "mac"},
        {"{\"request\":\"r\",\"number\":7,\"mac\":\"01\",\"caller\":\"A\"}", 400, "mac"},
        {"{\"request\":\"r\",\"number\":7,\"mac\":\"00000g\",\"caller\":\"A\"}", 400, "mac"},
        {"{\"request\":\"r\",\"number\":7,\"mac\":\"00:00\",\"caller\":\"A\"}", 400, "mac"},
        {"{\"request\":\"r\",\"number\":7,\"mac\":\"02:00:00:00:00:01:00\",\"caller\":\"A\"}", 400, "mac"},
        {"{\"request\":\"r\",\"number\":7,\"mac\":\"000001\"}", 400, "caller"},
        {"{\"request\":\"r\",\"number\":7,\"mac\":\"000001\",\"caller\":\"\"}", 400, "caller"},
        {"{\"request\":\"r\",\"number\":7,\"mac\":\"000001\",\"caller\":\"  \"}", 400, "caller"},
        {"{\"request\":\"r\",\"number\":7,\"mac\":\"000001\",\"caller\":\"a\\nb\"}", 400, "caller"},
        {"{\"request\":\"r\",\"number\":7,\"mac\":\"000001\",\"caller\":\"\xC3\"}", 400, "body"},
        {"{\"request\":\"r r\",\"number\":7,\"mac\":\"000001\",\"caller\":\"A\"}", 400, "request"},
        {"{\"request\":\"r\",\"number\":7,\"mac\":\"000001\",\"caller\":\"A\",\"key\":1}", 400, "key: not known"},
        {"{\"request\":\"r\",\"number\":7,\"mac\":\"000002\",\"caller\":\"A\"}", 404, "no key"},
        {"{\"request\":\"r\",\"number\":7,\"mac\":\"02:00:00:00:00:02\",\"caller\":\"A\"}", 404, "no key"},
    };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        ask(self, "POST", "/api/v1/codes", cases[index].body, cases[index].status);
        if (strstr(problem(self), cases[index].problem) == NULL) {
            fail_msg("%s: '%s'", cases[index].body, problem(self));
        }
    }
    assert_int_equal(hq_integer(self->world->files, "SELECT count(*) FROM code_request"), 0);
    assert_int_equal(hq_integer(self->world->files, "SELECT count(*) FROM audit WHERE action = 'code'"), 0);
}

static void test_codes_by_the_end_of_an_address(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    mm_code_t code;
    mm_hq_error_t error;
    static const uint8_t key[MM_DEVICE_KEY_BYTES] = {1};
    world_add_key(world, 1);
    static const char *const forms[] = {"000001", "00:00:01", "00-00-01", "020000000001", "02-00-00-00-00-01"};
    for (size_t index = 0; index < sizeof forms / sizeof forms[0]; index++) {
        char request[8];
        snprintf(request, sizeof request, "f%zu", index);
        assert_int_equal(give(world, request, 7, forms[index], &code, &error), MM_DESK_OK);
        assert_string_equal(code.text, CODE_1_7);
    }
    // Another device with the same end: only the whole address will do.
    assert_int_equal(mm_device_keys_add(world->desk, (mm_mac_t){{0x0A, 1, 2, 0, 0, 1}}, key, world->now_us, &error),
                     MM_DESK_OK);
    assert_int_equal(give(world, "two", 7, "000001", &code, &error), MM_DESK_REFUSED);
    assert_non_null(strstr(error.text, "more than one"));
    assert_string_equal(code.text, "");
    assert_int_equal(code.wait_s, 0);
    assert_int_equal(give(world, "whole", 7, "020000000001", &code, &error), MM_DESK_OK);
}

static void test_codes_limit(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    mm_code_t code;
    mm_hq_error_t error;
    char request[16];
    world_add_key(world, 1);
    // One every 100 s: the first leaves the hour when the 36th is due.
    for (int count = 0; count < MM_CODES_PER_HOUR; count++) {
        snprintf(request, sizeof request, "r%d", count);
        assert_int_equal(give(world, request, (uint32_t)count, "000001", &code, &error), MM_DESK_OK);
        world->now_us += 100 * INT64_C(1000000);
    }
    assert_int_equal(give(world, "late", 1, "000001", &code, &error), MM_DESK_REFUSED);
    assert_int_equal(code.wait_s, 3600 - 100 * MM_CODES_PER_HOUR);
    assert_string_equal(code.text, "");
    assert_non_null(strstr(error.text, "in 600 s"));
    assert_non_null(strstr(error.text, "at 23:15:00 UTC")); // HQ_UTC_S is 22:15:00
    // What was given is told again, though its time is over.
    assert_int_equal(give(world, "r0", 0, "000001", &code, &error), MM_DESK_OK);
    assert_true(code.repeated);
    assert_int_equal(code.expires_s, 0);
    // Another operator has a count of his own.
    const mm_code_request_t other = {
        .request = "o", .number = 1, .mac = "000001", .caller = "B", .operator_name = "ben"};
    assert_int_equal(mm_code_give(world->desk, &other, world->now_us, &code, &error), MM_DESK_OK);
    // A request id of somebody else tells nothing.
    const mm_code_request_t stolen = {
        .request = "r0", .number = 0, .mac = "000001", .caller = "Ana, gate 3", .operator_name = "ben"};
    assert_int_equal(mm_code_give(world->desk, &stolen, world->now_us, &code, &error), MM_DESK_CONFLICT);
    assert_string_equal(code.text, "");
    world->now_us += 599 * INT64_C(1000000);
    assert_int_equal(give(world, "late", 1, "000001", &code, &error), MM_DESK_REFUSED);
    assert_int_equal(code.wait_s, 1);
    world->now_us += INT64_C(1000000);
    assert_int_equal(give(world, "late", 1, "000001", &code, &error), MM_DESK_OK);
    assert_int_equal(give(world, "later", 1, "000001", &code, &error), MM_DESK_REFUSED);
    // A day later the table is as good as empty again.
    world->now_us += INT64_C(86400000000) * 2;
    assert_int_equal(give(world, "next", 1, "000001", &code, &error), MM_DESK_OK);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM code_request"), 1);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM audit WHERE action = 'code'"),
                     MM_CODES_PER_HOUR + 3);
}

// Through the API the limit has a status of its own.
static void test_codes_limit_by_the_api(void **state) {
    asked_t *self = *state;
    world_add_key(self->world, 1);
    for (int count = 0; count <= MM_CODES_PER_HOUR; count++) {
        char body[128];
        snprintf(body, sizeof body, "{\"request\":\"r%d\",\"number\":%d,\"mac\":\"000001\",\"caller\":\"A\"}", count,
                 count);
        ask(self, "POST", "/api/v1/codes", body, count < MM_CODES_PER_HOUR ? 201 : 429);
    }
    assert_non_null(strstr(problem(self), "the next one at"));
}

// Each write and sync of the disk fails once: then there is no code, or it is written down who has it.
static void test_codes_when_the_disk_fails(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    mm_hq_error_t error;
    mm_code_t code;
    world_add_key(world, 1);
    mm_desk_t *desk = mm_desk_open(failing_vfs_register(), world->files->database, &error);
    assert_non_null(desk);
    s_failing.code = SQLITE_IOERR_WRITE;
    int failures = 0;
    for (long call = 0; call < 40; call++) {
        char request[16];
        char sql[96];
        snprintf(request, sizeof request, "d%ld", call);
        const mm_code_request_t what = {
            .request = request, .number = 7, .mac = "000001", .caller = "A", .operator_name = request};
        s_failing.countdown = call;
        mm_desk_result_t result = mm_code_give(desk, &what, world->now_us, &code, &error);
        bool failed = s_failing.countdown < 0;
        s_failing.countdown = -1;
        snprintf(sql, sizeof sql, "SELECT count(*) FROM audit WHERE operator = '%s'", request);
        if (result == MM_DESK_OK) {
            assert_int_equal(hq_integer(world->files, sql), 1);
        } else {
            assert_int_equal(result, MM_DESK_UNAVAILABLE);
            assert_string_equal(code.text, "");
            failures++;
            assert_int_equal(mm_code_give(desk, &what, world->now_us, &code, &error), MM_DESK_OK);
        }
        assert_string_equal(code.text, CODE_1_7);
        if (!failed) {
            break;
        }
    }
    assert_true(failures > 0);
    mm_desk_close(desk);
}

static void test_text_checks(void **state) {
    (void)state;
    static const char *const good[] = {
        "a", " a ", "In\xC3\xA9s", "\xE2\x82\xAC", "\xF0\x9F\x94\x8C", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF", "\xC2\xA0"};
    static const char *const wrong[] = {"",
                                        "   ",
                                        "a\tb",
                                        "a\x7F",
                                        "\x80",
                                        "\xC0\x80",         // an overlong zero
                                        "\xC2",             // cut
                                        "\xC2\x85",         // a control behind ASCII
                                        "\xE0\x9F\xBF",     // overlong
                                        "\xED\xA0\x80",     // half of a pair
                                        "\xF0\x8F\xBF\xBF", // overlong
                                        "\xF4\x90\x80\x80", // beyond the last plane
                                        "\xF5\x80\x80\x80",
                                        "\xE2\x82",
                                        "0123456789abcdefg"};
    for (size_t index = 0; index < sizeof good / sizeof good[0]; index++) {
        assert_true(mmi_hq_is_line(good[index], 16));
    }
    for (size_t index = 0; index < sizeof wrong / sizeof wrong[0]; index++) {
        if (mmi_hq_is_line(wrong[index], 16)) {
            fail_msg("line %zu was taken", index);
        }
    }
    assert_true(mmi_hq_is_request("a-b", 3));
    assert_false(mmi_hq_is_request("abcd", 3));
    assert_false(mmi_hq_is_request("", 3));
    assert_false(mmi_hq_is_request("a b", 3));
    assert_false(mmi_hq_is_request("\xC3\xA9", 3));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, asked_setup, asked_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_codes_by_the_api),
        TEST(test_codes_are_kept_nowhere),
        TEST(test_codes_bad_bodies),
        TEST(test_codes_by_the_end_of_an_address),
        TEST(test_codes_limit),
        TEST(test_codes_limit_by_the_api),
        TEST(test_codes_when_the_disk_fails),
        cmocka_unit_test(test_text_checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
