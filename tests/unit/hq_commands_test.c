// SPDX-License-Identifier: Apache-2.0
#include "hq_command_world.h"

#include "command_arguments.h"

// Order, expecting this result and this text in the reason.
static void expect(command_world_t *world, mm_desk_result_t expected, const char *text, const char *target,
                   const char *kind, const char *argument, const char *more) {
    static unsigned s_request;
    const char *const arguments[] = {argument, more, NULL};
    char request[32];
    int64_t order_id;
    mm_hq_error_t error = {{0}};
    snprintf(request, sizeof request, "expect-%u", s_request++);
    mm_desk_result_t result = world_try_order(world, request, target, kind, arguments, 5, 0, &order_id, &error);
    if (result != expected || (text != NULL && strstr(error.text, text) == NULL)) {
        fail_msg("%s %s %s: result %d, '%s', expected %d, '%s'", target, kind, argument != NULL ? argument : "", result,
                 error.text, expected, text != NULL ? text : "");
    }
    assert_true((order_id != 0) == (expected == MM_DESK_OK));
}

static void test_commands_targets(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_add_node(world, 2);
    expect(world, MM_DESK_OK, NULL, "M-2", "lock", NULL, NULL);
    expect(world, MM_DESK_OK, NULL, "02:00:00:00:00:02/1", "lock", NULL, NULL);
    expect(world, MM_DESK_OK, NULL, "020000000002/8", "read_meter", NULL, NULL);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_QUEUED), 3);
    expect(world, MM_DESK_OK, NULL, "site:home", "send-now", NULL, NULL); // a node's kind: each node
    assert_int_equal(world_count(world, MM_COMMAND_STATE_QUEUED), 5);
    expect(world, MM_DESK_OK, NULL, "all", "lock", NULL, NULL); // a meter's kind: each configured meter
    assert_int_equal(world_count(world, MM_COMMAND_STATE_QUEUED), 7);
    expect(world, MM_DESK_OK, NULL, "gateway:home", "reboot", NULL, NULL);
    assert_int_equal(hq_integer(world->files,
                                "SELECT node.mac = x'020000000001' FROM command JOIN node ON node.id = node"
                                " WHERE kind = 11"),
                     1);
    expect(world, MM_DESK_OK, NULL, "node:02-00-00-00-00-02", "find", "seconds=1", NULL);
    expect(world, MM_DESK_NOT_FOUND, "no meter with this id", "nobody", "lock", NULL, NULL);
    expect(world, MM_DESK_NOT_FOUND, "has not heard", "node:02:00:00:00:00:09", "reboot", NULL, NULL);
    expect(world, MM_DESK_NOT_FOUND, "no node is there", "site:nowhere", "reboot", NULL, NULL);
    expect(world, MM_DESK_NOT_FOUND, "no meter is configured", "site:nowhere", "lock", NULL, NULL);
    expect(world, MM_DESK_NOT_FOUND, "no such site", "gateway:nowhere", "reboot", NULL, NULL);
    expect(world, MM_DESK_REFUSED, "whole node", "M-1", "reboot", NULL, NULL);
    expect(world, MM_DESK_REFUSED, "node:MAC", "node:12", "reboot", NULL, NULL);
    expect(world, MM_DESK_REFUSED, "1 to 8", "02:00:00:00:00:01/9", "lock", NULL, NULL);
    expect(world, MM_DESK_REFUSED, "1 to 8", "02:00:00:00:00:01/0", "lock", NULL, NULL);
    expect(world, MM_DESK_REFUSED, "", "", "lock", NULL, NULL);
    expect(world, MM_DESK_REFUSED, "one meter", "site:home", "update", "id=X", NULL);
    expect(world, MM_DESK_REFUSED, "one node", "all", "format", NULL, NULL);
    // A second meter of the same id.
    mm_snapshot_t snapshot = hq_snapshot(hq_mac(2), 1, 1, 2);
    hq_batch_t batch;
    snprintf(snapshot.meters[4].id, sizeof snapshot.meters[4].id, "M-1");
    snapshot.uptime_ms = 100000;
    snapshot.meters[4].pulse_constant = 1000;
    hq_batch_snapshot(&batch, hq_mac(2), &snapshot);
    hq_commit(world->store, &batch);
    expect(world, MM_DESK_REFUSED, "MAC/CHANNEL", "M-1", "lock", NULL, NULL);
}

static void test_commands_need_a_key(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    mm_control_report_t control = world_control(5, 0);
    world_report(world, 2, 1, &control, 1, NULL, 0);
    expect(world, MM_DESK_REFUSED, "no key of node 02:00:00:00:00:02", "M-2", "lock", NULL, NULL);
    expect(world, MM_DESK_REFUSED, "no key of node", "all", "lock", NULL, NULL);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_QUEUED), 0); // nothing of it
    expect(world, MM_DESK_OK, NULL, "M-1", "lock", NULL, NULL);
}

static void test_commands_arguments(void **state) {
    command_world_t *world = *state;
    static const char node[] = "node:02:00:00:00:00:01";
    world_add_node(world, 1);
    static const struct {
        const char *target;
        const char *kind;
        const char *arguments[2];
        const char *problem; ///< NULL: fine
    } cases[] = {
        {"M-1", "lock", {"x=1"}, "lock has no argument x; it has: none"},
        {"M-1", "frobnicate", {NULL}, "there is none of this name"},
        {"M-1", "credit", {NULL}, "by a sale"},
        {"M-1", "void", {NULL}, "by a sale"},
        {"M-1", "adjust", {NULL}, "by a sale"},
        {"M-1", "unknown", {NULL}, "there is none of this name"},
        {"M-1", "update", {NULL}, "at least one"},
        {"M-1", "update", {"id=123456789012"}, NULL},
        {"M-1", "update", {"id=1234567890123"}, "id: must be 0 to 12 bytes"},
        {"M-1", "update", {"id="}, NULL},
        {"M-1", "update", {"pulse_constant=99"}, "pulse_constant: must be 100 to 10000"},
        {"M-1", "update", {"pulse_constant=100", "start_wh=9223372036854775807"}, NULL},
        {"M-1", "update", {"start_wh=9223372036854775808"}, "start_wh: must be 0 to"},
        {"M-1", "update", {"start_wh=-1"}, "start_wh: must be"},
        {"M-1", "update", {"start_wh=1x"}, "start_wh: must be"},
        {"M-1", "update", {"start_wh= 1"}, "start_wh: must be"},
        {"M-1", "update", {"start_wh=1", "start_wh=1"}, "given twice"},
        {"M-1", "update", {"nothing"}, "KEY=VALUE"},
        {node, "format", {NULL}, NULL},
        {node, "format", {"code=4294967295"}, NULL},
        {node, "format", {"code=4294967296"}, "code: must be 0 to 4294967295"},
        {node, "network", {"ssid=x"}, "network needs password="},
        {node, "network", {"password=12345678"}, "network needs ssid="},
        {node, "network", {"ssid=x", "password="}, NULL},
        {node, "network", {"ssid=x", "password=a\nb"}, "control characters"},
        {node, "broker", {"url=mqtt://b"}, NULL},
        {node, "broker", {"url=mqtt://b b"}, "blank in the address"},
        {node, "slot_plan", {"slot=3", "slot_count=3"}, "slot: must be 0 to 2"},
        {node, "slot_plan", {"slot=0", "slot_count=43201"}, "slot_count: must be 1 to 43200"},
        {node, "slot_plan", {"slot=2", "slot_count=3"}, NULL},
        {node, "display_on", {NULL}, "display_on needs seconds=… (1 to 3600)"},
        {node, "find", {"seconds=0"}, "seconds: must be 1 to 3600"},
        {node, "find", {"seconds=3601"}, "seconds: must be 1 to 3600"},
        {node, "ota_url", {"url="}, "url: must be 1 to 200 bytes"},
        {node, "ota-start", {NULL}, NULL},
        {"M-1", "limits", {"warning_wh=1"}, "limits needs emergency_wh="},
        {"M-1", "limits", {"warning_wh=1", "emergency_wh=1000000001"}, "emergency_wh: must be 0 to 1000000000"},
        {"M-1", "mode", {"prepaid=maybe"}, "prepaid: must be 1 or 0"},
        {"M-1", "mode", {"prepaid=1"}, NULL},
    };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        expect(world, cases[index].problem == NULL ? MM_DESK_OK : MM_DESK_REFUSED, cases[index].problem,
               cases[index].target, cases[index].kind, cases[index].arguments[0], cases[index].arguments[1]);
    }
}

// The bytes of docs/spec/commands.md, by hand.
static void test_commands_bodies(void **state) {
    (void)state;
    static const struct {
        uint8_t kind;
        const char *arguments[5];
        size_t bytes;
        const char *body;
    } cases[] = {
        {MM_COMMAND_UPDATE,
         {"start_wh=258", "id=AB"},
         12,
         "\x05\x02"
         "AB\x02\x01\0\0\0\0\0\0"},
        {MM_COMMAND_UPDATE, {"life_pulses=1", "pulse_constant=800"}, 13, "\x0a\x20\x03\0\0\x01\0\0\0\0\0\0\0"},
        {MM_COMMAND_SLOT_PLAN, {"slot_count=250", "slot=7"}, 8, "\x07\0\0\0\xfa\0\0\0"},
        {MM_COMMAND_FIND, {"seconds=300"}, 2, "\x2c\x01"},
        {MM_COMMAND_BROKER, {"url=mqtts://b:1", "user=u"}, 13, "mqtts://b:1\nu\n"},
        // 22, 23, 0 … 5 o'clock; Sunday and Saturday.
        {MM_COMMAND_LIMITS,
         {"warning_wh=2000", "emergency_wh=500", "quiet_hours=22:00-06:00", "quiet_days=sat,sun"},
         13,
         "\xd0\x07\0\0\xf4\x01\0\0\x3f\0\xc0\0\x41"},
        {MM_COMMAND_LIMITS,
         {"warning_wh=0", "emergency_wh=0", "quiet_hours=00:00-24:00", "quiet_days=127"},
         13,
         "\0\0\0\0\0\0\0\0\xff\xff\xff\0\x7f"},
        {MM_COMMAND_LIMITS,
         {"warning_wh=0", "emergency_wh=0", "quiet_hours=12:00-13:00,23:00-01:00"},
         13,
         "\0\0\0\0\0\0\0\0\x01\x10\x80\0\0"},
        {MM_COMMAND_MODE, {"prepaid=yes"}, 1, "\x01"},
        {MM_COMMAND_MODE, {"prepaid=0"}, 1, "\0"},
        {MM_COMMAND_LOCK, {NULL}, 0, ""},
    };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        mm_command_arguments_t parsed;
        mm_hq_error_t error = {{0}};
        if (!mm_command_arguments_parse(cases[index].kind, cases[index].arguments, &parsed, &error)) {
            fail_msg("case %zu: %s", index, error.text);
        }
        size_t expected = cases[index].kind == MM_COMMAND_BROKER ? 14 : cases[index].bytes;
        assert_int_equal(parsed.body_bytes, expected);
        assert_memory_equal(parsed.body, cases[index].body, expected);
        cJSON_Delete(parsed.shown);
    }
    static const char *const wrong[] = {"quiet_hours=22-6",
                                        "quiet_hours=25:00-26:00",
                                        "quiet_hours=22:30-23:00",
                                        "quiet_hours=22:00-22:00",
                                        "quiet_hours=24:00-01:00",
                                        "quiet_hours=16777216",
                                        "quiet_hours=",
                                        "quiet_days=128",
                                        "quiet_days=sunday",
                                        "quiet_days=sun,",
                                        "quiet_hours=01:00-02:00,"};
    for (size_t index = 0; index < sizeof wrong / sizeof wrong[0]; index++) {
        const char *const arguments[] = {"warning_wh=0", "emergency_wh=0", wrong[index], NULL};
        mm_command_arguments_t parsed;
        mm_hq_error_t error = {{0}};
        assert_false(mm_command_arguments_parse(MM_COMMAND_LIMITS, arguments, &parsed, &error));
        assert_non_null(strstr(error.text, "must be like"));
    }
}

static void test_commands_same_request_same_order(void **state) {
    command_world_t *world = *state;
    static const char *const seconds[] = {"seconds=60", NULL};
    static const char *const others[] = {"seconds=61", NULL};
    static const char node[] = "node:02:00:00:00:00:01";
    int64_t first;
    int64_t again;
    mm_hq_error_t error;
    world_add_node(world, 1);
    assert_int_equal(mm_order_of_request(world->desk, "r"), 0);
    assert_int_equal(world_try_order(world, "r", node, "find", seconds, 5, HQ_UTC_S + 60, &first, &error), MM_DESK_OK);
    assert_int_equal(mm_order_of_request(world->desk, "r"), first);
    // Whatever the time: the first answer.
    world->now_us += 3600000000;
    assert_int_equal(world_try_order(world, "r", node, "find", seconds, 5, HQ_UTC_S + 60, &again, &error), MM_DESK_OK);
    assert_int_equal(again, first);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM command"), 1);
    // With other content it is another one's.
    assert_int_equal(world_try_order(world, "r", node, "find", others, 5, 0, &again, &error), MM_DESK_CONFLICT);
    assert_int_equal(world_try_order(world, "r", node, "display_on", seconds, 5, 0, &again, &error), MM_DESK_CONFLICT);
    assert_int_equal(world_try_order(world, "r", "all", "find", seconds, 5, 0, &again, &error), MM_DESK_CONFLICT);
    assert_int_equal(world_try_order(world, "r", node, "find", seconds, 6, 0, &again, &error), MM_DESK_CONFLICT);
    assert_int_equal(again, 0);
    // A new one that has expired is refused.
    assert_int_equal(world_try_order(world, "late", node, "find", seconds, 5, HQ_UTC_S + 60, &again, &error),
                     MM_DESK_REFUSED);
    assert_non_null(strstr(error.text, "expired"));
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM command"), 1);
}

static void test_commands_same_request_other_password(void **state) {
    command_world_t *world = *state;
    static const char *const one[] = {"ssid=a", "password=11111111", NULL};
    static const char *const two[] = {"ssid=a", "password=22222222", NULL};
    int64_t order_id;
    mm_hq_error_t error;
    world_add_node(world, 1);
    assert_int_equal(world_try_order(world, "r", "all", "network", one, 5, 0, &order_id, &error), MM_DESK_OK);
    assert_int_equal(world_try_order(world, "r", "all", "network", one, 5, 0, &order_id, &error), MM_DESK_OK);
    assert_int_equal(world_try_order(world, "r", "all", "network", two, 5, 0, &order_id, &error), MM_DESK_CONFLICT);
    // The password is in the body and nowhere else: not among what is shown, not in the audit log.
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM command_order WHERE instr(arguments, '1111') > 0"),
                     0);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM audit WHERE instr(detail, '1111') > 0"), 0);
    assert_int_equal(
        hq_integer(world->files, "SELECT count(*) FROM audit WHERE action = 'order' AND operator = 'test'"), 1);
}

static void test_commands_bad_requests(void **state) {
    command_world_t *world = *state;
    char longest[66];
    int64_t order_id;
    mm_hq_error_t error;
    world_add_node(world, 1);
    memset(longest, 'x', 65);
    longest[65] = '\0';
    assert_int_equal(world_try_order(world, longest, "M-1", "lock", NULL, 5, 0, &order_id, &error), MM_DESK_REFUSED);
    assert_int_equal(world_try_order(world, longest + 1, "M-1", "lock", NULL, 5, 0, &order_id, &error), MM_DESK_OK);
    assert_int_equal(world_try_order(world, "", "M-1", "lock", NULL, 5, 0, &order_id, &error), MM_DESK_REFUSED);
    assert_int_equal(world_try_order(world, "a b", "M-1", "lock", NULL, 5, 0, &order_id, &error), MM_DESK_REFUSED);
    assert_int_equal(world_try_order(world, "p", "M-1", "lock", NULL, 10, 0, &order_id, &error), MM_DESK_REFUSED);
    assert_int_equal(world_try_order(world, "p", "M-1", "lock", NULL, -1, 0, &order_id, &error), MM_DESK_REFUSED);
    assert_int_equal(world_try_order(world, "p", "M-1", "lock", NULL, 5, -1, &order_id, &error), MM_DESK_REFUSED);
    assert_int_equal(world_try_order(world, "p", "M-1", "lock", NULL, 5, INT64_C(1) << 40, &order_id, &error),
                     MM_DESK_REFUSED);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM command"), 1);
}

static void test_commands_withdraw(void **state) {
    command_world_t *world = *state;
    int withdrawn;
    mm_hq_error_t error;
    world_add_node(world, 1);
    int64_t sent = world_order(world, "sent", "M-1", "lock", 5);
    world_dispatch(world);
    int64_t queued = world_order(world, "queued", "M-1", "unlock", 5);
    assert_int_equal(mm_order_withdraw(world->desk, sent, "test", world->now_us, &withdrawn, &error), MM_DESK_OK);
    assert_int_equal(withdrawn, 0);
    assert_int_equal(mm_order_withdraw(world->desk, queued, "test", world->now_us, &withdrawn, &error), MM_DESK_OK);
    assert_int_equal(withdrawn, 1);
    assert_int_equal(mm_order_withdraw(world->desk, queued, "test", world->now_us, &withdrawn, &error), MM_DESK_OK);
    assert_int_equal(withdrawn, 0);
    assert_int_equal(mm_order_withdraw(world->desk, 99, "test", world->now_us, &withdrawn, &error), MM_DESK_NOT_FOUND);
    world_dispatch(world);
    assert_int_equal(world->batch.count, 1);
    assert_int_equal(world->commands[0].kind, MM_COMMAND_LOCK);
}

// Numbers of commands come from the clock: a database that was copied before does not give one again.
static void test_commands_numbers(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_order(world, "a", "M-1", "lock", 5);
    world_order(world, "b", "M-1", "lock", 5);
    assert_int_equal(hq_integer(world->files, "SELECT min(id) FROM command"), HQ_UTC_US);
    assert_int_equal(hq_integer(world->files, "SELECT max(id) FROM command"), HQ_UTC_US + 1);
}

static void test_commands_names(void **state) {
    (void)state;
    for (uint8_t kind = 1; kind < MM_COMMAND_KIND_COUNT; kind++) {
        assert_int_equal(mm_command_kind_of(mm_command_kind_name(kind)), kind);
    }
    assert_int_equal(mm_command_kind_of("slot-plan"), MM_COMMAND_SLOT_PLAN);
    assert_int_equal(mm_command_kind_of("loc"), MM_COMMAND_NONE);
    assert_int_equal(mm_command_kind_of("lock2"), MM_COMMAND_NONE);
    assert_int_equal(mm_command_kind_of(""), MM_COMMAND_NONE);
    assert_int_equal(mm_command_kind_of("none"), MM_COMMAND_NONE);
    assert_string_equal(mm_command_state_name(MM_COMMAND_STATE_WITHDRAWN), "withdrawn");
    assert_string_equal(mm_command_state_name(99), "unknown");
}

// Each failing step leaves nothing: a trigger refuses the n-th row.
static void test_commands_all_or_nothing(void **state) {
    command_world_t *world = *state;
    int64_t order_id;
    mm_hq_error_t error;
    world_add_node(world, 1);
    world_add_node(world, 2);
    static const char *const tables[] = {"command_order", "command", "audit"};
    for (size_t index = 0; index < sizeof tables / sizeof tables[0]; index++) {
        char sql[192];
        snprintf(sql, sizeof sql,
                 "CREATE TRIGGER stop BEFORE INSERT ON %s WHEN (SELECT count(*) FROM %s) >= %d BEGIN SELECT"
                 " RAISE(ABORT, 'no room'); END",
                 tables[index], tables[index],
                 index == 1   ? 1
                 : index == 2 ? 2
                              : 0);
        assert_int_equal(sqlite3_exec(mmi_desk_db(world->desk), sql, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(world_try_order(world, "r", "all", "lock", NULL, 5, 0, &order_id, &error),
                         MM_DESK_UNAVAILABLE);
        assert_non_null(strstr(error.text, "no room"));
        assert_int_equal(hq_integer(world->files, "SELECT (SELECT count(*) FROM command) + (SELECT count(*) FROM"
                                                  " command_order)"),
                         0);
        assert_int_equal(sqlite3_exec(mmi_desk_db(world->desk), "DROP TRIGGER stop", NULL, NULL, NULL), SQLITE_OK);
    }
    assert_int_equal(world_try_order(world, "r", "all", "lock", NULL, 5, 0, &order_id, &error), MM_DESK_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, command_world_setup, command_world_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_commands_targets),
        TEST(test_commands_need_a_key),
        TEST(test_commands_arguments),
        cmocka_unit_test(test_commands_bodies),
        TEST(test_commands_same_request_same_order),
        TEST(test_commands_same_request_other_password),
        TEST(test_commands_bad_requests),
        TEST(test_commands_withdraw),
        TEST(test_commands_numbers),
        cmocka_unit_test(test_commands_names),
        TEST(test_commands_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
