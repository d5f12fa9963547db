// SPDX-License-Identifier: Apache-2.0
#include "hq_api_world.h"
#include "hq_failing_vfs.h"

#include "joins.h"
#include "store_internal.h"
#include "tariffs.h"

#include "meshmeter/command_body.h"
#include "meshmeter/join.h"

#define SECOND INT64_C(1000000)
#define ROOT 1
#define ASKER 7

// --- what a device and a root would make

static mm_device_crypto_t crypto_of(uint8_t number) {
    uint8_t key[MM_DEVICE_KEY_BYTES];
    mm_device_crypto_t crypto;
    world_key(number, key);
    mm_device_crypto_init(&crypto, key);
    return crypto;
}

static void hmac_of(uint8_t number, const char *words, const mm_join_record_t *record, bool with_revision,
                    uint8_t mac[MM_HMAC_BYTES]) {
    mm_device_crypto_t crypto = crypto_of(number);
    uint8_t bytes[80];
    size_t count = strlen(words);
    memcpy(bytes, words, count);
    memcpy(bytes + count, record->asker.bytes, 6);
    memcpy(bytes + count + 6, record->nonce, 16);
    count += 22;
    for (int shift = 0; with_revision && shift < 32; shift += 8) {
        bytes[count++] = (uint8_t)(record->revision >> shift);
    }
    crypto.crypto.context = &crypto;
    assert_int_equal(crypto.crypto.device_hmac(&crypto, bytes, count, mac), MM_OK);
}

/// An ask as docs/spec/joining.md has it, chapter 2.
static mm_join_record_t ask_of(uint8_t number, uint8_t nonce) {
    uint8_t mac[MM_HMAC_BYTES];
    mm_join_record_t record = {
        .asker = hq_mac(number), .via = hq_mac(2), .at = {.seconds = HQ_UTC_S + nonce, .trust = MM_TRUST_SYNCED}};
    memset(record.nonce, nonce, sizeof record.nonce);
    hmac_of(number, "meshmeter join 1", &record, true, mac);
    memcpy(record.tag, mac, sizeof record.tag);
    return record;
}

static int64_t node_id_of(const command_world_t *world, uint8_t number) {
    char sql[96];
    snprintf(sql, sizeof sql, "SELECT id FROM node WHERE mac = x'0200000000%02x' ORDER BY id LIMIT 1", number);
    return hq_integer(world->files, sql);
}

// As the store calls it for a record that it has not had: inside of its transaction.
static void take(command_world_t *world, int64_t node_id, uint32_t epoch, uint32_t seq,
                 const mm_join_record_t *record) {
    assert_int_equal(mm_store_begin(world->store), MM_STORE_OK);
    assert_true(mmi_hq_joins_take(world->store, node_id, (mm_position_t){epoch, seq}, record, world->now_us));
    assert_int_equal(mm_store_commit(world->store, world->now_us), MM_STORE_OK);
}

static void asks(command_world_t *world, uint8_t root, uint32_t seq, uint8_t number, uint8_t nonce) {
    mm_join_record_t record = ask_of(number, nonce);
    take(world, node_id_of(world, root), 1, seq, &record);
}

static int64_t count_where(const command_world_t *world, const char *what) {
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", what);
    return hq_integer(world->files, sql);
}

static void state_must_be(const command_world_t *world, int64_t id, const char *state) {
    char what[128];
    snprintf(what, sizeof what, "join_ask WHERE state = '%s' AND id = %lld", state, (long long)id);
    if (count_where(world, what) != 1) {
        fail_msg("join %lld is not %s", (long long)id, state);
    }
}

static mm_desk_result_t admit(command_world_t *world, int64_t id, const char *request) {
    bool repeated;
    mm_hq_error_t error = {{0}};
    return mm_joins_admit(world->desk, id, request, "ana", world->now_us, &repeated, &error);
}

static mm_desk_result_t refuse(command_world_t *world, int64_t id, const char *request) {
    bool repeated;
    mm_hq_error_t error = {{0}};
    return mm_joins_refuse(world->desk, id, request, "not ours", "ana", world->now_us, &repeated, &error);
}

// The root answers the only command of the batch.
static void answer(command_world_t *world, uint8_t root, uint32_t seq, uint8_t status) {
    assert_int_equal(world->batch.count, 1);
    mm_record_t result = world_result(&world->commands[0], status);
    mm_control_report_t control = world_control(100u + root, world->commands[0].counter);
    world_report(world, root, seq + 1, &control, seq, &result, 1);
}

static void turn_rule(command_world_t *world, const char *request, const char *site, int on) {
    const mm_site_settings_t settings = {.auto_confirm = -1, .auto_join = on};
    mm_hq_error_t error = {{0}};
    bool repeated;
    if (mm_site_settings_put(world->desk, request, site, &settings, "ana", world->now_us, &repeated, &error) !=
        MM_DESK_OK) {
        fail_msg("%s", error.text);
    }
}

// A root of another site; returns its node's number in the database.
static int64_t add_other_site(command_world_t *world, uint8_t number) {
    hq_report_t report;
    hq_batch_t batch;
    mm_batch_reader_t reader;
    mm_control_report_t control = world_control(100u + number, 0);
    mm_snapshot_t snapshot = hq_snapshot(hq_mac(number), 1, 1, 1);
    world_add_key(world, number);
    hq_report_begin(&report, hq_mac(number));
    assert_int_equal(mm_report_put_snapshot(&report.writer, &snapshot), MM_OK);
    assert_int_equal(mm_report_put_control(&report.writer, &control), MM_OK);
    hq_report_end(&report);
    hq_batch_begin(&batch);
    hq_batch_add(&batch, &report);
    hq_batch_end(&batch);
    assert_int_equal(mm_batch_open(batch.message, batch.message_bytes, &reader), MM_OK);
    assert_int_equal(mm_store_begin(world->store), MM_STORE_OK);
    assert_int_equal(mm_store_put_batch(world->store, "away", "meter/away/info", &reader, world->now_us), MM_STORE_OK);
    assert_int_equal(mm_store_commit(world->store, world->now_us), MM_STORE_OK);
    return hq_integer(world->files, "SELECT node.id FROM node JOIN site ON site.id = site WHERE name = 'away'"
                                    " ORDER BY node.id DESC LIMIT 1");
}

// --- the states

// Each event in each state, as joins.h draws it.
static void test_joins_states(void **state) {
    (void)state;
    static const struct {
        mm_joins_state_t from;
        mm_joins_event_t event;
        mm_joins_state_t to;
    } arrows[] = {
        {MM_JOINS_UNPROVED, MM_JOINS_EVENT_PROVED, MM_JOINS_WAITING},
        {MM_JOINS_WAITING, MM_JOINS_EVENT_ADMIT, MM_JOINS_WAITING},
        {MM_JOINS_WAITING, MM_JOINS_EVENT_DONE, MM_JOINS_ADMITTED},
        {MM_JOINS_WAITING, MM_JOINS_EVENT_REFUSE, MM_JOINS_REFUSED},
        {MM_JOINS_WAITING, MM_JOINS_EVENT_OVERTAKEN, MM_JOINS_SUPERSEDED},
        {MM_JOINS_REFUSED, MM_JOINS_EVENT_ADMIT, MM_JOINS_WAITING},
    };
    size_t moves = 0;
    for (int from = 0; from < MM_JOINS_STATE_COUNT; from++) {
        for (int event = 0; event < MM_JOINS_EVENT_COUNT; event++) {
            mm_joins_state_t next;
            bool moved = mm_joins_next((mm_joins_state_t)from, (mm_joins_event_t)event, &next);
            bool drawn = false;
            for (size_t index = 0; index < sizeof arrows / sizeof arrows[0]; index++) {
                if (arrows[index].from == (mm_joins_state_t)from && arrows[index].event == (mm_joins_event_t)event) {
                    drawn = true;
                    assert_int_equal(next, arrows[index].to);
                }
            }
            assert_int_equal(moved, drawn);
            assert_true(moved || next == (mm_joins_state_t)from);
            moves += moved;
        }
        const char *name = mm_joins_state_name((mm_joins_state_t)from);
        assert_int_equal(mm_joins_state_of(name), from);
    }
    assert_int_equal(moves, sizeof arrows / sizeof arrows[0]);
    assert_int_equal(mm_joins_state_of("open"), MM_JOINS_STATE_COUNT);
}

// --- from the record to the admitted device

static void test_joins_life(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, ROOT);
    world_add_key(world, ASKER);
    mm_record_t record = {.type = MM_RECORD_JOIN, .join = ask_of(ASKER, 9)};
    mm_control_report_t control = world_control(101, 0);
    for (int times = 0; times < 2; times++) {
        world_report(world, ROOT, 2, &control, 1, &record, 1);
    }
    ask(self, "GET", "/api/v1/joins", NULL, 200);
    assert_int_equal(cJSON_GetArraySize(member(self->answer, "joins")), 1);
    assert_int_equal(cJSON_GetArraySize(member(self->answer, "auto_join")), 0);
    const cJSON *item = cJSON_GetArrayItem(member(self->answer, "joins"), 0);
    assert_string_equal(text_of(item, "state"), "waiting");
    assert_string_equal(text_of(item, "site"), "home");
    assert_string_equal(text_of(item, "device"), "02:00:00:00:00:07");
    assert_string_equal(text_of(item, "root"), "02:00:00:00:00:01");
    assert_string_equal(text_of(item, "via"), "02:00:00:00:00:02");
    assert_true(member(item, "revision")->valuedouble == 0);
    assert_true(member(item, "asked")->valuedouble == (double)(HQ_UTC_S + 9));
    assert_true(cJSON_IsTrue(member(item, "has_key")) && cJSON_IsTrue(member(item, "root_has_key")));
    assert_true(cJSON_IsFalse(member(item, "is_member")));
    assert_true(cJSON_IsNull(member(item, "conflict")) && cJSON_IsNull(member(item, "command")));
    ask(self, "POST", "/api/v1/joins/1/admit", "{\"request\":\"a1\"}", 201);
    assert_int_equal(self->changes, 1);
    item = member(self->answer, "join");
    assert_string_equal(text_of(item, "state"), "waiting");
    assert_string_equal(text_of(item, "decided_by"), "ana");
    assert_string_equal(text_of(member(item, "command"), "state"), "queued");
    ask(self, "POST", "/api/v1/joins/1/admit", "{\"request\":\"a1\"}", 200);
    assert_int_equal(self->changes, 1);
    ask(self, "POST", "/api/v1/joins/1/admit", "{\"request\":\"a2\"}", 409);
    assert_non_null(strstr(problem(self), "on its way"));
    world_dispatch(world);
    assert_int_equal(world->batch.count, 1);
    // The root can open it, and what it finds is the key that the device makes for itself.
    const mm_command_t *command = &world->commands[0];
    mm_command_body_t body;
    uint8_t answer_key[MM_HMAC_BYTES];
    uint8_t mask[MM_HMAC_BYTES];
    assert_int_equal(command->kind, MM_COMMAND_ADMIT);
    assert_int_equal(command->channel, MM_COMMAND_WHOLE_NODE);
    assert_true(mm_mac_equal(command->node, hq_mac(ROOT)));
    assert_int_equal(command->not_after_s,
                     hq_integer(world->files, "SELECT decided_us / 1000000 + 1800 FROM join_ask"));
    assert_int_equal(mm_command_body_read(command->kind, command->body, command->body_bytes, &body), MM_OK);
    assert_true(mm_mac_equal(body.admit.asker, hq_mac(ASKER)));
    assert_memory_equal(body.admit.nonce, record.join.nonce, sizeof body.admit.nonce);
    hmac_of(ASKER, "meshmeter admission 1", &record.join, false, answer_key);
    hmac_of(ROOT, "meshmeter admission mask 1", &record.join, false, mask);
    for (size_t index = 0; index < sizeof mask; index++) {
        assert_int_equal(body.admit.hidden_key[index] ^ mask[index], answer_key[index]);
    }
    ask(self, "POST", "/api/v1/joins/1/refuse", "{\"request\":\"r1\",\"reason\":\"no\"}", 409);
    assert_non_null(strstr(problem(self), "cannot be taken back"));
    world->now_us += 5 * SECOND;
    answer(world, ROOT, 2, MM_RESULT_DONE);
    self->query_state = "admitted";
    ask(self, "GET", "/api/v1/joins", NULL, 200);
    item = cJSON_GetArrayItem(member(self->answer, "joins"), 0);
    assert_string_equal(text_of(member(item, "command"), "status"), "done");
    assert_true(member(item, "admitted")->valuedouble > 0);
    ask(self, "POST", "/api/v1/joins/1/admit", "{\"request\":\"a3\"}", 409);
    assert_non_null(strstr(problem(self), "admitted already"));
    ask(self, "POST", "/api/v1/joins/1/refuse", "{\"request\":\"r2\",\"reason\":\"no\"}", 409);
    ask(self, "POST", "/api/v1/joins/1/admit", "{\"request\":\"a1\"}", 200); // the very first request keeps its answer
    assert_int_equal(count_where(world, "audit WHERE action = 'admit'"), 1);
    hq_check(world->store);
    ask(self, "POST", "/api/v1/orders", "{\"request\":\"o\",\"target\":\"node:02:00:00:00:00:01\",\"kind\":\"admit\"}",
        400);
    assert_non_null(strstr(problem(self), "belongs to a device that asks"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, asked_setup, asked_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joins_states),
        TEST(test_joins_life),
    };
    (void)asks;
    (void)refuse;
    (void)admit;
    (void)turn_rule;
    (void)add_other_site;
    (void)state_must_be;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
