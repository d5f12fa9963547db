// SPDX-License-Identifier: Apache-2.0
#include "hq_api_world.h"
#include "hq_failing_vfs.h"

#include "installations.h"
#include "tariffs.h"

#include "meshmeter/life_cycle.h"

#define SECOND INT64_C(1000000)

static mm_installation_record_t installation(uint32_t revision, const char *first_id, const char *second_id) {
    mm_installation_record_t record = {.revision = revision,
                                       .node_no = 12,
                                       .province = 1,
                                       .canton = 14,
                                       .parish = 3,
                                       .postal_code = 11403,
                                       .installer = "In\xC3\xA9s",
                                       .at = {.seconds = HQ_UTC_S + revision, .trust = MM_TRUST_SYNCED}};
    const char *const ids[] = {first_id, second_id};
    for (size_t channel = 0; channel < 2; channel++) {
        snprintf(record.channels[channel].id, sizeof record.channels[channel].id, "%s", ids[channel]);
        if (ids[channel][0] != '\0') {
            record.channels[channel].pulse_constant = 1000;
            record.channels[channel].start_wh = 5000 + channel;
            record.channels[channel].prepaid = channel == 1;
        }
    }
    return record;
}

// As the store calls it for a record that it has not had: inside of its transaction.
static bool take(command_world_t *world, uint8_t number, uint32_t epoch, uint32_t seq,
                 const mm_installation_record_t *installed) {
    char sql[96];
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
    mm_writer_t writer = mm_writer(payload, sizeof payload);
    const mm_record_t record = {.type = MM_RECORD_INSTALLATION, .installation = *installed};
    mm_record_encode(&record, &writer);
    snprintf(sql, sizeof sql, "SELECT id FROM node WHERE mac = x'0200000000%02x'", number);
    int64_t node_id = hq_integer(world->files, sql);
    assert_int_equal(mm_store_begin(world->store), MM_STORE_OK);
    bool good = mmi_hq_installation_take(world->store, node_id, (mm_position_t){epoch, seq}, installed, payload,
                                         writer.used_bytes, world->now_us);
    assert_int_equal(mm_store_commit(world->store, world->now_us), MM_STORE_OK);
    return good;
}

static void set_up(command_world_t *world, uint8_t number, uint32_t seq, uint32_t revision, const char *first_id,
                   const char *second_id) {
    mm_installation_record_t record = installation(revision, first_id, second_id);
    assert_true(take(world, number, 1, seq, &record));
}

static int64_t in_state(const command_world_t *world, const char *state) {
    char sql[96];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM installation WHERE state = '%s'", state);
    return hq_integer(world->files, sql);
}

static int64_t state_is(const command_world_t *world, int64_t id, const char *state) {
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT state = '%s' FROM installation WHERE id = %lld", state, (long long)id);
    return hq_integer(world->files, sql);
}

static mm_desk_result_t confirm(command_world_t *world, int64_t id, const char *request) {
    bool repeated;
    mm_hq_error_t error = {{0}};
    return mm_installation_confirm(world->desk, id, request, "ana", world->now_us, &repeated, &error);
}

// The node answers the command that is in the batch with this status.
static void answer(command_world_t *world, uint8_t number, uint32_t seq, uint8_t status) {
    assert_int_equal(world->batch.count, 1);
    mm_record_t result = world_result(&world->commands[0], status);
    mm_control_report_t control = world_control(100u + number, world->commands[0].counter);
    world_report(world, number, seq + 1, &control, seq, &result, 1);
}

static void turn_rule(command_world_t *world, const char *request, int on) {
    const mm_site_settings_t settings = {.token_unit_wh = 100, .auto_confirm = on, .auto_join = -1};
    mm_hq_error_t error = {{0}};
    bool repeated;
    if (mm_site_settings_put(world->desk, request, "home", &settings, "ana", world->now_us, &repeated, &error) !=
        MM_DESK_OK) {
        fail_msg("%s", error.text);
    }
}

// --- from the record to the confirmed node

static void test_installation_life(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, 1);
    set_up(world, 1, 5, 3, "flat-1", "flat-2");
    ask(self, "GET", "/api/v1/installations", NULL, 200);
    const cJSON *item = cJSON_GetArrayItem(member(self->answer, "installations"), 0);
    assert_int_equal(cJSON_GetArraySize(member(self->answer, "auto_confirm")), 0);
    assert_string_equal(text_of(item, "state"), "waiting");
    assert_string_equal(text_of(item, "node"), "02:00:00:00:00:01");
    assert_string_equal(text_of(item, "site"), "home");
    assert_string_equal(text_of(item, "installer"), "In\xC3\xA9s");
    static const struct {
        const char *name;
        double value;
    } numbers[] = {{"id", 1},      {"revision", 3}, {"node_no", 12},        {"province", 1},
                   {"canton", 14}, {"parish", 3},   {"postal_code", 11403}, {"conflicts", 0}};
    for (size_t index = 0; index < sizeof numbers / sizeof numbers[0]; index++) {
        assert_true(member(item, numbers[index].name)->valuedouble == numbers[index].value);
    }
    assert_true(member(item, "installed")->valuedouble == (double)(HQ_UTC_S + 3));
    assert_true(cJSON_IsTrue(member(item, "has_key")));
    assert_true(cJSON_IsNull(member(item, "command")));
    assert_int_equal(cJSON_GetArraySize(member(item, "meters")), 2);
    const cJSON *meter = cJSON_GetArrayItem(member(item, "meters"), 1);
    assert_string_equal(text_of(meter, "id"), "flat-2");
    assert_true(member(meter, "channel")->valuedouble == 1 && member(meter, "start_wh")->valuedouble == 5001);
    assert_true(cJSON_IsTrue(member(meter, "prepaid")) && cJSON_IsNull(member(meter, "conflict")));
    // Confirmed by HQ; the node has not answered yet.
    ask(self, "POST", "/api/v1/installations/1/confirm", "{\"request\":\"c1\"}", 201);
    assert_int_equal(self->changes, 1);
    item = member(self->answer, "installation");
    assert_string_equal(text_of(item, "state"), "waiting");
    assert_string_equal(text_of(item, "decided_by"), "ana");
    assert_string_equal(text_of(member(item, "command"), "state"), "queued");
    ask(self, "POST", "/api/v1/installations/1/confirm", "{\"request\":\"c1\"}", 200);
    assert_int_equal(self->changes, 1);
    ask(self, "POST", "/api/v1/installations/1/confirm", "{\"request\":\"c2\"}", 409);
    assert_non_null(strstr(problem(self), "on its way"));
    world_dispatch(world);
    assert_int_equal(world->batch.count, 1);
    const mm_command_t *command = &world->commands[0];
    assert_int_equal(command->kind, MM_COMMAND_CONFIRM);
    assert_int_equal(command->channel, MM_COMMAND_WHOLE_NODE);
    assert_int_equal(command->body_bytes, 4);
    mm_reader_t reader = mm_reader(command->body, 4);
    assert_int_equal(mm_get_u32(&reader), 3);
    ask(self, "POST", "/api/v1/installations/1/refuse", "{\"request\":\"r1\",\"reason\":\"no\"}", 409);
    assert_non_null(strstr(problem(self), "cannot be taken back"));
    world->now_us += 5 * SECOND;
    answer(world, 1, 1, MM_RESULT_DONE);
    self->query_state = "confirmed";
    ask(self, "GET", "/api/v1/installations", NULL, 200);
    item = cJSON_GetArrayItem(member(self->answer, "installations"), 0);
    assert_string_equal(text_of(item, "state"), "confirmed");
    assert_string_equal(text_of(member(item, "command"), "status"), "done");
    assert_true(member(item, "confirmed")->valuedouble > 0);
    ask(self, "POST", "/api/v1/installations/1/confirm", "{\"request\":\"c3\"}", 409);
    assert_non_null(strstr(problem(self), "confirmed already"));
    ask(self, "POST", "/api/v1/installations/1/refuse", "{\"request\":\"r2\",\"reason\":\"no\"}", 409);
    // The very first request keeps its answer.
    ask(self, "POST", "/api/v1/installations/1/confirm", "{\"request\":\"c1\"}", 200);
    self->query_state = "waiting";
    ask(self, "GET", "/api/v1/installations", NULL, 200);
    assert_int_equal(cJSON_GetArraySize(member(self->answer, "installations")), 0);
    self->query_state = "open";
    ask(self, "GET", "/api/v1/installations", NULL, 400);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM audit WHERE action = 'confirm'"), 1);
}

// An answer that is none leaves it waiting, to be confirmed again; an answer to another command changes nothing.
static void test_installation_node_does_not_confirm(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, 1);
    set_up(world, 1, 5, 3, "flat-1", "");
    assert_int_equal(confirm(world, 1, "c1"), MM_DESK_OK);
    world_dispatch(world);
    answer(world, 1, 1, MM_RESULT_STATE);
    assert_int_equal(state_is(world, 1, "waiting"), 1);
    ask(self, "GET", "/api/v1/installations", NULL, 200);
    const cJSON *command = member(cJSON_GetArrayItem(member(self->answer, "installations"), 0), "command");
    assert_string_equal(text_of(command, "state"), "refused");
    assert_string_equal(text_of(command, "status"), "state");
    assert_int_equal(confirm(world, 1, "c2"), MM_DESK_OK);
    mm_record_t stranger = {.type = MM_RECORD_RESULT};
    stranger.result = (mm_result_record_t){.era = 101,
                                           .counter = 1,
                                           .command_id = 4711,
                                           .kind = MM_COMMAND_CONFIRM,
                                           .channel = MM_COMMAND_WHOLE_NODE,
                                           .status = MM_RESULT_DONE,
                                           .at = {.seconds = HQ_UTC_S, .trust = MM_TRUST_SYNCED}};
    mm_control_report_t control = world_control(101, 1);
    world_report(world, 1, 3, &control, 2, &stranger, 1);
    assert_int_equal(state_is(world, 1, "waiting"), 1);
    world_dispatch(world);
    answer(world, 1, 3, MM_RESULT_ALREADY);
    assert_int_equal(state_is(world, 1, "confirmed"), 1);
}

static void test_installation_refusing(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, 1);
    set_up(world, 1, 5, 3, "flat-1", "");
    static const struct {
        const char *body;
        int status;
        const char *problem;
    } cases[] = {
        {"{}", 400, "request"},
        {"{\"request\":\"r\"}", 400, "reason"},
        {"{\"request\":\"r\",\"reason\":\"\"}", 400, "reason"},
        {"{\"request\":\"r\",\"reason\":\" \"}", 400, "reason"},
        {"{\"request\":\"r\",\"reason\":\"a\\u0007\"}", 400, "reason"},
        {"{\"request\":\"r r\",\"reason\":\"a\"}", 400, "request"},
        {"{\"request\":\"r\",\"reason\":\"a\",\"x\":1}", 400, "x: not known"},
    };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        ask(self, "POST", "/api/v1/installations/1/refuse", cases[index].body, cases[index].status);
        if (strstr(problem(self), cases[index].problem) == NULL) {
            fail_msg("%s: '%s'", cases[index].body, problem(self));
        }
    }
    ask(self, "POST", "/api/v1/installations/9/refuse", "{\"request\":\"r\",\"reason\":\"a\"}", 404);
    ask(self, "POST", "/api/v1/installations/9/confirm", "{\"request\":\"r\"}", 404);
    ask(self, "POST", "/api/v1/installations/1/confirm", "{\"request\":\"r r\"}", 400);
    ask(self, "POST", "/api/v1/installations/1/confirm", "{\"request\":\"r\",\"reason\":\"a\"}", 400);
    assert_int_equal(self->changes, 0);
    // A confirmation that lies at HQ only is taken back.
    assert_int_equal(confirm(world, 1, "c1"), MM_DESK_OK);
    ask(self, "POST", "/api/v1/installations/1/refuse", "{\"request\":\"r1\",\"reason\":\"wrong house\"}", 201);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_WITHDRAWN), 1);
    const cJSON *item = member(self->answer, "installation");
    assert_string_equal(text_of(item, "state"), "refused");
    assert_string_equal(text_of(item, "reason"), "wrong house");
    ask(self, "POST", "/api/v1/installations/1/refuse", "{\"request\":\"r1\",\"reason\":\"wrong house\"}", 200);
    ask(self, "POST", "/api/v1/installations/1/refuse", "{\"request\":\"r1\",\"reason\":\"another\"}", 409);
    ask(self, "POST", "/api/v1/installations/1/refuse", "{\"request\":\"r2\",\"reason\":\"more\"}", 409);
    ask(self, "POST", "/api/v1/installations/1/confirm", "{\"request\":\"r1\"}", 409);
    world_dispatch(world);
    assert_int_equal(world->batch.count, 0);
    assert_int_equal(
        hq_integer(world->files, "SELECT count(*) FROM audit WHERE action = 'refuse' AND detail LIKE '%wrong house'"),
        1);
    // After all.
    ask(self, "POST", "/api/v1/installations/1/confirm", "{\"request\":\"c2\"}", 201);
    world_dispatch(world);
    answer(world, 1, 1, MM_RESULT_DONE);
    assert_int_equal(state_is(world, 1, "confirmed"), 1);
}

static void test_installation_needs_a_key(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    mm_control_report_t control = world_control(102, 0);
    world_report(world, 2, 1, &control, 1, NULL, 0);
    turn_rule(world, "s1", 1);
    set_up(world, 2, 1, 1, "flat-1", "");
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM command"), 0);
    ask(self, "POST", "/api/v1/installations/1/confirm", "{\"request\":\"c\"}", 400);
    assert_non_null(strstr(problem(self), "no key"));
    ask(self, "POST", "/api/v1/nodes/02:00:00:00:00:02/reinstall", "{\"request\":\"n\"}", 400);
    world_add_key(world, 2);
    ask(self, "POST", "/api/v1/installations/1/confirm", "{\"request\":\"c\"}", 201);
}

// --- which one counts

static void test_installation_superseded(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, 1);
    world_add_node(world, 2);
    set_up(world, 1, 5, 3, "a", "");
    set_up(world, 2, 5, 1, "other", "");
    set_up(world, 1, 9, 4, "b", "");
    assert_int_equal(state_is(world, 1, "superseded"), 1);
    assert_int_equal(state_is(world, 2, "waiting"), 1); // of another node
    assert_int_equal(state_is(world, 3, "waiting"), 1);
    assert_int_equal(confirm(world, 1, "c1"), MM_DESK_CONFLICT);
    // An older one that comes late, the same position, and a copy carried over: nothing changes.
    set_up(world, 1, 7, 2, "late", "");
    assert_int_equal(state_is(world, 4, "superseded"), 1);
    set_up(world, 1, 9, 4, "b", "");
    set_up(world, 1, 400, 4, "b", "");
    set_up(world, 1, 401, 3, "a", "");
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM installation"), 4);
    assert_int_equal(state_is(world, 3, "waiting"), 1);
    // Asked for again: the same revision, another record. What was queued for the one before is taken back.
    assert_int_equal(confirm(world, 3, "c3"), MM_DESK_OK);
    mm_installation_record_t again = installation(4, "b", "");
    again.repeated = true;
    again.at.seconds += 1000;
    assert_true(take(world, 1, 1, 410, &again));
    assert_int_equal(state_is(world, 3, "superseded"), 1);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_WITHDRAWN), 1);
    assert_int_equal(state_is(world, 5, "waiting"), 1);
    // The node lost its configuration and counts anew, later by the clock of both; without such a clock it is older.
    mm_installation_record_t anew = installation(1, "c", "");
    anew.at.seconds += 5000;
    anew.at.trust = MM_TRUST_HELD;
    assert_true(take(world, 1, 1, 420, &anew));
    assert_int_equal(state_is(world, 6, "superseded"), 1);
    anew.at.trust = MM_TRUST_SYNCED;
    anew.at.seconds++;
    assert_true(take(world, 1, 1, 421, &anew));
    assert_int_equal(state_is(world, 7, "waiting"), 1);
    assert_int_equal(state_is(world, 5, "superseded"), 1);
    // Another epoch of the journal is later, whatever its revision.
    mm_installation_record_t epoch = installation(1, "d", "");
    epoch.at = (mm_label_t){.seconds = 10, .trust = MM_TRUST_UNSET};
    assert_true(take(world, 1, 2, 1, &epoch));
    assert_int_equal(state_is(world, 7, "superseded"), 1);
    assert_int_equal(in_state(world, "waiting"), 2);
    self->query_limit = "1";
    ask(self, "GET", "/api/v1/installations", NULL, 200);
    const cJSON *item = cJSON_GetArrayItem(member(self->answer, "installations"), 0);
    assert_true(cJSON_IsNull(member(item, "installed"))); // uptime is no time
    assert_string_equal(text_of(item, "time_trust"), "unset");
}

// A confirmation that was sent for one that is over is no confirmation of the new one.
// The newest configuration of the node is damaged, and what it tells at its start, without a clock, is the one before:
// it is what waits, or the node would wait for ever.
static void test_installation_behind(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, 1);
    set_up(world, 1, 3, 1, "a", "");
    set_up(world, 1, 5, 2, "b", "");
    assert_int_equal(state_is(world, 2, "waiting"), 1);
    mm_record_t records[2] = {{.type = MM_RECORD_EVENT}, {.type = MM_RECORD_INSTALLATION}};
    records[0].event = (mm_event_record_t){.code = MM_EVENT_CONFIGURATION_BEHIND,
                                           .at = {.seconds = 1, .trust = MM_TRUST_UNSET},
                                           .boot_no = 2,
                                           .values = {MM_LIFE_RUNNING, 1, 1, 0}};
    records[1].installation = installation(1, "b", "");
    records[1].installation.at = (mm_label_t){.seconds = 2, .trust = MM_TRUST_UNSET};
    // A start earlier it was told, too, as it is without the event: older.
    assert_true(take(world, 1, 1, 6, &records[1].installation));
    assert_int_equal(state_is(world, 3, "superseded"), 1);
    records[1].installation.at.seconds++;
    mm_control_report_t control = world_control(101, 0);
    world_report(world, 1, 9, &control, 7, records, 2);
    assert_int_equal(state_is(world, 2, "superseded"), 1);
    assert_int_equal(state_is(world, 4, "waiting"), 1);
    assert_int_equal(confirm(world, 4, "c4"), MM_DESK_OK);
    // What is installed then is newer, though it has a revision that there was.
    mm_installation_record_t next = installation(2, "c", "");
    next.at.trust = MM_TRUST_UNSET;
    assert_true(take(world, 1, 1, 20, &next));
    assert_int_equal(state_is(world, 5, "waiting"), 1);
}

static void test_installation_superseded_while_under_way(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, 1);
    set_up(world, 1, 5, 3, "a", "");
    assert_int_equal(confirm(world, 1, "c1"), MM_DESK_OK);
    world_dispatch(world);
    set_up(world, 1, 6, 4, "a", "");
    answer(world, 1, 1, MM_RESULT_DONE);
    assert_int_equal(state_is(world, 1, "superseded"), 1);
    assert_int_equal(state_is(world, 2, "waiting"), 1);
    // A refused one cannot be confirmed after all once there is a newer one.
    bool repeated;
    mm_hq_error_t error;
    assert_int_equal(mm_installation_refuse(world->desk, 2, "r", "no", "ana", world->now_us, &repeated, &error),
                     MM_DESK_OK);
    set_up(world, 1, 8, 5, "a", "");
    assert_int_equal(confirm(world, 2, "c2"), MM_DESK_CONFLICT);
    assert_int_equal(confirm(world, 3, "c3"), MM_DESK_OK);
}

// --- conflicts and the rule

static void test_installation_conflicts(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, 1); // its meter is M-1
    world_add_node(world, 2);
    turn_rule(world, "s1", 1);
    set_up(world, 2, 1, 1, "M-1", "twice"); // another device's meter
    set_up(world, 1, 1, 1, "M-1", "twice"); // its own, and one that waits elsewhere
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM command"), 0);
    ask(self, "GET", "/api/v1/installations", NULL, 200);
    const cJSON *list = member(self->answer, "installations");
    const cJSON *own = cJSON_GetArrayItem(list, 0);
    const cJSON *foreign = cJSON_GetArrayItem(list, 1);
    assert_true(member(own, "conflicts")->valuedouble == 2); // M-1 is asked for by the other's installation
    assert_true(member(foreign, "conflicts")->valuedouble == 2);
    assert_string_equal(text_of(cJSON_GetArrayItem(member(foreign, "meters"), 0), "conflict"), "02:00:00:00:00:01");
    assert_string_equal(text_of(cJSON_GetArrayItem(member(own, "meters"), 1), "conflict"), "02:00:00:00:00:02");
    // People may; the other one is then free of it.
    assert_int_equal(confirm(world, 1, "c1"), MM_DESK_OK);
    set_up(world, 1, 2, 2, "x", "x"); // one id on two channels
    ask(self, "GET", "/api/v1/installations", NULL, 200);
    own = cJSON_GetArrayItem(member(self->answer, "installations"), 0);
    assert_true(member(own, "conflicts")->valuedouble == 2);
    assert_string_equal(text_of(cJSON_GetArrayItem(member(own, "meters"), 0), "conflict"), "02:00:00:00:00:01");
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM command"), 1);
}

static void test_installation_rule(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, 1);
    set_up(world, 1, 1, 1, "M-1", "new"); // the rule is off unless it is switched on
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM command"), 0);
    ask(self, "POST", "/api/v1/sites/home/settings",
        "{\"request\":\"s1\",\"token_unit_wh\":100,\"auto_confirm\":\"yes\"}", 400);
    ask(self, "POST", "/api/v1/sites/home/settings", "{\"request\":\"s1\",\"token_unit_wh\":100,\"auto_confirm\":true}",
        201);
    assert_true(cJSON_IsTrue(member(self->answer, "auto_confirm")));
    ask(self, "POST", "/api/v1/sites/home/settings", "{\"request\":\"s1\",\"token_unit_wh\":100,\"auto_confirm\":true}",
        200);
    ask(self, "POST", "/api/v1/sites/home/settings",
        "{\"request\":\"s1\",\"token_unit_wh\":100,\"auto_confirm\":false}", 409);
    // Settings that do not speak of it leave it as it is, and it leaves them.
    ask(self, "POST", "/api/v1/sites/home/settings", "{\"request\":\"s2\",\"token_unit_wh\":100}", 201);
    ask(self, "GET", "/api/v1/installations", NULL, 200);
    assert_int_equal(cJSON_GetArraySize(member(self->answer, "auto_confirm")), 1);
    for (int times = 0; times < 2; times++) {
        ask(self, "POST", "/api/v1/sites/home/settings", "{\"request\":\"s4\",\"auto_confirm\":true}",
            times == 0 ? 201 : 200);
    }
    assert_int_equal(hq_integer(world->files, "SELECT token_unit_wh FROM site_setting ORDER BY id DESC LIMIT 1"), 100);
    ask(self, "POST", "/api/v1/sites/home/settings", "{\"request\":\"s4\",\"auto_confirm\":false}", 409);
    ask(self, "POST", "/api/v1/sites/home/settings", "{\"request\":\"s5\",\"token_unit_wh\":0,\"auto_confirm\":true}",
        400);
    set_up(world, 1, 2, 2, "M-1", "new");
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM command WHERE kind = 22"), 1);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM audit WHERE operator = \"HQ's rule\""), 1);
    assert_int_equal(state_is(world, 2, "waiting"), 1); // until the node has answered
    set_up(world, 1, 3, 2, "M-1", "new");               // the copy of a full journal
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM command WHERE kind = 22"), 1);
    world_dispatch(world);
    answer(world, 1, 1, MM_RESULT_DONE);
    assert_int_equal(state_is(world, 2, "confirmed"), 1);
    turn_rule(world, "s3", 0);
    set_up(world, 1, 4, 3, "M-1", "new");
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM command WHERE kind = 22"), 1);
    // An operator cannot take the rule's name.
    char token[MM_OPERATOR_TOKEN_BYTES];
    mm_hq_error_t error;
    assert_int_equal(mm_operator_add(world->desk, MM_INSTALLATION_RULE, world->now_us, token, &error), MM_DESK_REFUSED);
}

// --- asking for it again, and what orders may not do

static void test_installation_again(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, 1);
    static const char path[] = "/api/v1/nodes/02:00:00:00:00:01/reinstall";
    ask(self, "POST", path, "{}", 400);
    ask(self, "POST", path, "{\"request\":\"a b\"}", 400);
    ask(self, "POST", "/api/v1/nodes/nobody/reinstall", "{\"request\":\"n1\"}", 400);
    ask(self, "POST", "/api/v1/nodes/02:00:00:00:00:09/reinstall", "{\"request\":\"n1\"}", 404);
    assert_int_equal(self->changes, 0);
    ask(self, "POST", path, "{\"request\":\"n1\"}", 201);
    assert_true(member(self->answer, "order")->valuedouble == 1);
    assert_int_equal(self->changes, 1);
    ask(self, "POST", path, "{\"request\":\"n1\"}", 200);
    ask(self, "POST", "/api/v1/nodes/02:00:00:00:00:02/reinstall", "{\"request\":\"n1\"}", 409);
    world_dispatch(world);
    assert_int_equal(world->batch.count, 1);
    assert_int_equal(world->commands[0].kind, MM_COMMAND_REINSTALL);
    assert_int_equal(world->commands[0].body_bytes, 0);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM audit WHERE action = 'reinstall'"), 1);
    // The request id of an order is no confirmation's.
    set_up(world, 1, 1, 1, "a", "");
    assert_int_equal(confirm(world, 1, "n1"), MM_DESK_CONFLICT);
    assert_int_equal(confirm(world, 1, "c1"), MM_DESK_OK);
    ask(self, "POST", path, "{\"request\":\"c1\"}", 409);
    ask(self, "POST", "/api/v1/orders",
        "{\"request\":\"o\",\"target\":\"node:02:00:00:00:00:01\",\"kind\":\"confirm\"}", 400);
    assert_non_null(strstr(problem(self), "belongs to an installation"));
}

// The whole way: a record of a report, its copy, and a report that comes twice.
static void test_installation_by_report(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, 1);
    turn_rule(world, "s1", 1);
    mm_record_t records[2] = {{.type = MM_RECORD_INSTALLATION}, {.type = MM_RECORD_INSTALLATION}};
    records[0].installation = installation(7, "M-1", "flat-2");
    records[1].installation = installation(7, "M-1", "flat-2");
    mm_control_report_t control = world_control(101, 0);
    for (int times = 0; times < 2; times++) {
        world_report(world, 1, 3, &control, 1, records, 2);
    }
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM installation"), 1);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM quarantine"), 0);
    world_dispatch(world);
    assert_int_equal(world->commands[0].kind, MM_COMMAND_CONFIRM);
    answer(world, 1, 3, MM_RESULT_DONE);
    self->query_state = "confirmed";
    ask(self, "GET", "/api/v1/installations", NULL, 200);
    const cJSON *item = cJSON_GetArrayItem(member(self->answer, "installations"), 0);
    assert_true(member(item, "revision")->valuedouble == 7);
    assert_string_equal(text_of(item, "decided_by"), MM_INSTALLATION_RULE);
    assert_string_equal(text_of(item, "installer"), "In\xC3\xA9s");
    assert_string_equal(text_of(cJSON_GetArrayItem(member(item, "meters"), 1), "id"), "flat-2");
    hq_check(world->store);
    // The order is among the others, by its name.
    ask(self, "GET", "/api/v1/orders", NULL, 200);
    const cJSON *order = cJSON_GetArrayItem(member(self->answer, "orders"), 0);
    assert_string_equal(text_of(order, "kind"), "confirm");
    assert_true(member(member(order, "arguments"), "revision")->valuedouble == 7);
}

// --- when the disk fails

// Each write and sync fails once: nothing has happened, and the same request does it afterwards.
static void test_installation_when_the_disk_fails(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    mm_hq_error_t error;
    int failures = 0;
    world_add_node(world, 1);
    mm_desk_t *desk = mm_desk_open(failing_vfs_register(), world->files->database, &error);
    assert_non_null(desk);
    s_failing.code = SQLITE_IOERR_WRITE;
    bool failed = true;
    // In turn: one is confirmed, the next one is refused, at the same call to the disk.
    for (uint32_t call = 0; call % 2 == 1 || failed; call++) {
        char request[16];
        bool repeated;
        bool confirms = call % 2 == 0;
        int64_t id = 1 + (int64_t)call;
        snprintf(request, sizeof request, "c%u", call);
        set_up(world, 1, 1 + call, 1 + call, "a", "");
        int64_t before = hq_integer(world->files, "SELECT count(*) FROM command");
        for (int attempt = 0; attempt < 2; attempt++) {
            s_failing.countdown = attempt == 0 ? (long)call / 2 : -1;
            mm_desk_result_t result =
                confirms ? mm_installation_confirm(desk, id, request, "ana", world->now_us, &repeated, &error)
                         : mm_installation_refuse(desk, id, request, "no", "ana", world->now_us, &repeated, &error);
            failed = attempt == 0 ? (call % 2 == 1 && failed) || s_failing.countdown < 0 : failed;
            s_failing.countdown = -1;
            if (result == MM_DESK_OK) {
                // What fails behind the commit is no failure of it, so the second attempt may be a repetition.
                assert_true(!repeated || attempt == 1);
                assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM command"), before + confirms);
                assert_int_equal(state_is(world, id, confirms ? "waiting" : "refused"), 1);
                continue;
            }
            assert_int_equal(attempt, 0);
            assert_int_equal(result, MM_DESK_UNAVAILABLE);
            assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM command"), before);
            assert_int_equal(state_is(world, id, "waiting"), 1);
            failures++;
        }
    }
    assert_true(failures >= 4);
    mm_desk_close(desk);
}

// The store's side: a transaction that fails takes the installation, its meters and the rule's command with it.
static void test_installation_is_in_the_transaction(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, 1);
    turn_rule(world, "s1", 1);
    int64_t node_id = hq_integer(world->files, "SELECT id FROM node");
    mm_installation_record_t record = installation(1, "a", "b");
    static const char *const tables[] = {"installation", "installation_channel", "command", "command_order"};
    assert_int_equal(mm_store_begin(world->store), MM_STORE_OK);
    assert_true(mmi_hq_installation_take(world->store, node_id, (mm_position_t){1, 1}, &record, "a", 1, HQ_UTC_US));
    mm_store_rollback(world->store);
    for (size_t index = 0; index < sizeof tables / sizeof tables[0]; index++) {
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[index]);
        assert_int_equal(hq_integer(world->files, sql), 0);
    }
    assert_int_equal(mm_store_begin(world->store), MM_STORE_OK);
    assert_true(mmi_hq_installation_take(world->store, node_id, (mm_position_t){1, 1}, &record, "a", 1, HQ_UTC_US));
    assert_true(mmi_hq_installation_take(world->store, node_id, (mm_position_t){1, 1}, &record, "a", 1, HQ_UTC_US));
    assert_int_equal(mm_store_commit(world->store, HQ_UTC_US), MM_STORE_OK);
    for (size_t index = 0; index < sizeof tables / sizeof tables[0]; index++) {
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[index]);
        assert_int_equal(hq_integer(world->files, sql), index == 1 ? 2 : 1);
    }
}

// The same for the store: each write and sync of its commit fails once, and the report that comes again makes it one.
static void test_installation_when_the_store_fails(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    mm_hq_error_t error;
    int failures = 0;
    bool failed = true;
    world_add_node(world, 1);
    turn_rule(world, "s1", 1);
    int64_t node_id = hq_integer(world->files, "SELECT id FROM node");
    mm_store_close(world->store);
    const mm_store_options_t options = {.vfs = failing_vfs_register()};
    world->store = mm_store_open(world->files->database, &options, &error);
    assert_non_null(world->store);
    s_failing.code = SQLITE_IOERR_WRITE;
    for (uint32_t call = 0; failed; call++) {
        mm_installation_record_t record = installation(1 + call, "a", "b");
        bool good = false;
        failed = false;
        for (int attempt = 0; attempt < 2 && !good; attempt++) {
            s_failing.countdown = attempt == 0 ? (long)call : -1;
            mm_store_result_t result = mm_store_begin(world->store);
            good = result == MM_STORE_OK &&
                   mmi_hq_installation_take(world->store, node_id, (mm_position_t){1, 1 + call}, &record, &call,
                                            sizeof call, world->now_us) &&
                   mm_store_commit(world->store, world->now_us) == MM_STORE_OK;
            failed = failed || (attempt == 0 && s_failing.countdown < 0);
            s_failing.countdown = -1;
            if (!good) {
                mm_store_rollback(world->store);
                assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM installation"), call);
                failures++;
            }
        }
        assert_true(good);
        assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM installation"), call + 1);
        assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM command"), call + 1);
        assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM installation_channel"), 2 * (call + 1));
        assert_int_equal(in_state(world, "waiting"), 1);
    }
    assert_true(failures >= 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, asked_setup, asked_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_installation_life),
        TEST(test_installation_node_does_not_confirm),
        TEST(test_installation_refusing),
        TEST(test_installation_needs_a_key),
        TEST(test_installation_superseded),
        TEST(test_installation_behind),
        TEST(test_installation_superseded_while_under_way),
        TEST(test_installation_conflicts),
        TEST(test_installation_rule),
        TEST(test_installation_again),
        TEST(test_installation_by_report),
        TEST(test_installation_when_the_disk_fails),
        TEST(test_installation_when_the_store_fails),
        TEST(test_installation_is_in_the_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
