// SPDX-License-Identifier: Apache-2.0
#include "hq_api_world.h"
#include "hq_failing_vfs.h"

#include "joins.h"
#include "sql.h"
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

// --- whose ask it is

static void test_joins_forged_and_unknown(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, ROOT);
    turn_rule(world, "s", "home", 1);
    mm_join_record_t record = ask_of(ASKER, 9);
    int64_t root = node_id_of(world, ROOT);
    take(world, root, 1, 1, &record); // HQ has no key of it
    state_must_be(world, 1, "unproved");
    ask(self, "POST", "/api/v1/joins/1/admit", "{\"request\":\"a\"}", 400);
    assert_non_null(strstr(problem(self), "02:00:00:00:00:07"));
    ask(self, "POST", "/api/v1/joins/1/refuse", "{\"request\":\"r\",\"reason\":\"no\"}", 409);
    world_add_key(world, 8);
    // Right for another device, another nonce, another revision, another key; each bit of the tag.
    mm_join_record_t forged[4];
    for (size_t index = 0; index < 4; index++) {
        forged[index] = ask_of(8, 9);
    }
    forged[0].tag[15] ^= 1;
    forged[1].nonce[0] ^= 1;
    forged[2].revision = 1;
    memcpy(forged[3].tag, record.tag, sizeof record.tag);
    for (uint32_t index = 0; index < 4; index++) {
        take(world, root, 1, 2 + index, &forged[index]);
    }
    for (uint32_t bit = 0; bit < 8 * sizeof record.tag; bit++) {
        mm_join_record_t flipped = ask_of(8, 9);
        flipped.tag[bit / 8] ^= (uint8_t)(1u << bit % 8);
        take(world, root, 1, 6 + bit, &flipped);
    }
    assert_int_equal(count_where(world, "join_ask WHERE state <> 'unproved'"), 0);
    assert_int_equal(count_where(world, "command"), 0);
    // The true one, whose place nobody has taken.
    asks(world, ROOT, 200, 8, 9);
    assert_int_equal(count_where(world, "join_ask WHERE state = 'waiting' AND command <> 0"), 1);
    assert_int_equal(count_where(world, "command WHERE kind = 24"), 1);
}

static void test_joins_key_comes_later(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    mm_hq_error_t error;
    uint8_t key[MM_DEVICE_KEY_BYTES] = {1};
    world_add_node(world, ROOT);
    asks(world, ROOT, 1, ASKER, 9);
    asks(world, ROOT, 2, ASKER, 10);
    mm_join_record_t forged = ask_of(ASKER, 11);
    forged.tag[0] ^= 1;
    take(world, node_id_of(world, ROOT), 1, 3, &forged);
    // A key, but another one.
    assert_int_equal(mm_device_keys_add(world->desk, hq_mac(ASKER), key, world->now_us, &error), MM_DESK_OK);
    assert_int_equal(count_where(world, "join_ask WHERE state = 'unproved'"), 3);
    assert_int_equal(mm_device_keys_remove(world->desk, hq_mac(ASKER), world->now_us, &error), MM_DESK_OK);
    int added = 0;
    char csv[128] = "02:00:00:00:00:07,";
    for (int index = 0; index < MM_DEVICE_KEY_BYTES; index++) {
        strcat(csv, "47"); // world_key: 0x40 + 7
    }
    assert_int_equal(mm_device_keys_import(world->desk, csv, world->now_us, &added, &error), MM_DESK_OK);
    state_must_be(world, 1, "superseded");
    state_must_be(world, 2, "waiting");
    state_must_be(world, 3, "unproved");
    assert_int_equal(admit(world, 2, "a"), MM_DESK_OK);
    // The key goes while the ask waits: its proof is worth nothing any more.
    asks(world, ROOT, 4, ASKER, 12);
    assert_int_equal(mm_device_keys_remove(world->desk, hq_mac(ASKER), world->now_us, &error), MM_DESK_OK);
    ask(self, "POST", "/api/v1/joins/4/admit", "{\"request\":\"b\"}", 400);
    assert_non_null(strstr(problem(self), "not proved"));
}

static void test_joins_root_needs_a_key(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    mm_control_report_t control = world_control(101, 0);
    world_report(world, ROOT, 1, &control, 1, NULL, 0);
    world_add_key(world, ASKER);
    asks(world, ROOT, 1, ASKER, 9);
    ask(self, "POST", "/api/v1/joins/1/admit", "{\"request\":\"a\"}", 400);
    assert_non_null(strstr(problem(self), "02:00:00:00:00:01"));
    assert_int_equal(self->changes, 0);
    // With the rule nobody has to come back to it when the key is there.
    turn_rule(world, "s", "home", 1);
    asks(world, ROOT, 2, ASKER, 10);
    assert_int_equal(count_where(world, "command"), 0);
    world_add_key(world, ROOT);
    assert_int_equal(count_where(world, "command WHERE kind = 24"), 1);
    state_must_be(world, 1, "superseded");
    world_dispatch(world);
    answer(world, ROOT, 1, MM_RESULT_DONE);
    state_must_be(world, 2, "admitted");
}

// --- which one counts

static void test_joins_superseded(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, ROOT);
    world_add_node(world, 2);
    world_add_key(world, ASKER);
    world_add_key(world, 8);
    asks(world, ROOT, 5, ASKER, 9);
    asks(world, ROOT, 6, 8, 9);
    assert_int_equal(admit(world, 1, "a1"), MM_DESK_OK);
    asks(world, ROOT, 7, ASKER, 10); // the device has restarted
    state_must_be(world, 1, "superseded");
    state_must_be(world, 2, "waiting"); // of another device
    state_must_be(world, 3, "waiting");
    assert_int_equal(world_count(world, MM_COMMAND_STATE_WITHDRAWN), 1);
    assert_int_equal(admit(world, 1, "a2"), MM_DESK_CONFLICT);
    assert_int_equal(refuse(world, 1, "r1"), MM_DESK_CONFLICT);
    // One that comes late, the same position, a copy carried over: nothing changes.
    asks(world, ROOT, 4, ASKER, 8);
    state_must_be(world, 4, "superseded");
    asks(world, ROOT, 7, ASKER, 10);
    asks(world, ROOT, 400, ASKER, 10);
    assert_int_equal(count_where(world, "join_ask"), 4);
    state_must_be(world, 3, "waiting");
    // Somebody has heard the first one, and says it again to another root.
    mm_join_record_t replayed = ask_of(ASKER, 9);
    replayed.at.seconds += 1000;
    take(world, node_id_of(world, 2), 1, 1, &replayed);
    state_must_be(world, 5, "superseded");
    state_must_be(world, 3, "waiting");
    // In another's name, without its key: nothing is overtaken.
    mm_join_record_t forged = ask_of(ASKER, 99);
    forged.tag[3] ^= 0x10;
    take(world, node_id_of(world, ROOT), 1, 401, &forged);
    state_must_be(world, 3, "waiting");
    // An answer to what is over is no answer to the newer one.
    assert_int_equal(admit(world, 3, "a3"), MM_DESK_OK);
    world_dispatch(world);
    asks(world, ROOT, 402, ASKER, 11);
    answer(world, ROOT, 1, MM_RESULT_DONE);
    state_must_be(world, 3, "superseded");
    state_must_be(world, 7, "waiting");
    assert_int_equal(count_where(world, "join_ask WHERE id = 7 AND command = 0"), 1);
    // Another epoch of the root's journal is later.
    mm_join_record_t reborn = ask_of(ASKER, 12);
    take(world, node_id_of(world, ROOT), 2, 1, &reborn);
    state_must_be(world, 7, "superseded");
    state_must_be(world, 8, "waiting");
    // Two roots: by their clocks, or by what came later.
    mm_join_record_t other = ask_of(ASKER, 13);
    other.at.seconds = HQ_UTC_S - 50;
    take(world, node_id_of(world, 2), 1, 2, &other);
    state_must_be(world, 9, "superseded");
    other = ask_of(ASKER, 14);
    other.at = (mm_label_t){.seconds = 5, .trust = MM_TRUST_UNSET};
    take(world, node_id_of(world, 2), 1, 3, &other);
    state_must_be(world, 8, "superseded");
    state_must_be(world, 10, "waiting");
    self->query_state = "waiting";
    ask(self, "GET", "/api/v1/joins", NULL, 200);
    assert_true(cJSON_IsNull(member(cJSON_GetArrayItem(member(self->answer, "joins"), 0), "asked"))); // uptime
}

// One asking has one nonce: by another root, or one that has restarted, it needs no second word of a person.
static void test_joins_the_same_asking_again(void **state) {
    command_world_t *world = ((asked_t *)*state)->world;
    world_add_node(world, ROOT);
    world_add_node(world, 2);
    world_add_key(world, ASKER);
    asks(world, ROOT, 1, ASKER, 9);
    assert_int_equal(admit(world, 1, "a1"), MM_DESK_OK);
    mm_join_record_t again = ask_of(ASKER, 9);
    again.at.seconds += 60;
    take(world, node_id_of(world, 2), 1, 1, &again);
    state_must_be(world, 1, "superseded");
    assert_int_equal(world_count(world, MM_COMMAND_STATE_WITHDRAWN), 1);
    assert_int_equal(count_where(world, "join_ask WHERE id = 2 AND state = 'waiting' AND decided_by = 'ana'"), 1);
    world_dispatch(world);
    assert_true(mm_mac_equal(world->commands[0].node, hq_mac(2)));
    answer(world, 2, 1, MM_RESULT_DONE);
    state_must_be(world, 2, "admitted");
    // The second root restarts before the device has got all of it.
    again.at.seconds += 60;
    take(world, node_id_of(world, 2), 1, 7, &again);
    assert_int_equal(count_where(world, "join_ask WHERE id = 3 AND state = 'waiting' AND command <> 0"), 1);
    // A new asking is a new question, and a refusal holds as long as its asking.
    asks(world, ROOT, 8, ASKER, 200);
    assert_int_equal(count_where(world, "join_ask WHERE id = 4 AND state = 'waiting' AND command = 0"), 1);
    assert_int_equal(refuse(world, 4, "r1"), MM_DESK_OK);
    again = ask_of(ASKER, 200);
    again.at.seconds += 60;
    take(world, node_id_of(world, 2), 1, 9, &again);
    assert_int_equal(
        count_where(world, "join_ask WHERE id = 5 AND state = 'refused' AND reason = 'not ours' AND request = ''"), 1);
    assert_int_equal(admit(world, 4, "a4"), MM_DESK_CONFLICT);
    assert_int_equal(admit(world, 5, "a5"), MM_DESK_OK);
}

// --- how an admission ends

static void test_joins_admission_ends_otherwise(void **state) {
    command_world_t *world = ((asked_t *)*state)->world;
    world_add_node(world, ROOT);
    world_add_key(world, ASKER);
    asks(world, ROOT, 1, ASKER, 9);
    assert_int_equal(admit(world, 1, "a1"), MM_DESK_OK);
    world_dispatch(world);
    assert_int_equal(world->commands[0].not_after_s, HQ_UTC_S + 1800);
    answer(world, ROOT, 1, MM_RESULT_STATE); // it is no root any more
    state_must_be(world, 1, "waiting");
    assert_int_equal(admit(world, 1, "a2"), MM_DESK_OK);
    world_dispatch(world);
    assert_int_equal(admit(world, 1, "a3"), MM_DESK_CONFLICT);
    world->now_us += 1801 * SECOND;
    world_dispatch(world);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_EXPIRED), 1);
    state_must_be(world, 1, "waiting"); // a person's word ends with its command
    assert_int_equal(world->batch.count, 0);
    assert_int_equal(admit(world, 1, "a3"), MM_DESK_OK);
    world_dispatch(world);
    // An answer of another node, or to another kind, is none; the right one counts once.
    mm_store_result_t begun = mm_store_begin(world->store);
    assert_int_equal(begun, MM_STORE_OK);
    mm_result_record_t result = world_result(&world->commands[0], MM_RESULT_DONE).result;
    assert_true(mmi_hq_joins_take_result(world->store, 4711, &result, world->now_us));
    result.kind = MM_COMMAND_CONFIRM;
    assert_true(mmi_hq_joins_take_result(world->store, node_id_of(world, ROOT), &result, world->now_us));
    assert_int_equal(mm_store_commit(world->store, world->now_us), MM_STORE_OK);
    state_must_be(world, 1, "waiting");
    for (uint32_t times = 0; times < 2; times++) {
        answer(world, ROOT, 2 + times, MM_RESULT_DONE);
        state_must_be(world, 1, "admitted");
    }
}

static void test_joins_refusing(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, ROOT);
    world_add_key(world, ASKER);
    asks(world, ROOT, 1, ASKER, 9);
    static const struct {
        const char *body;
        int status;
        const char *problem;
    } cases[] = {
        {"{}", 400, "request"},
        {"{\"request\":\"r\"}", 400, "reason"},
        {"{\"request\":\"r\",\"reason\":\" \"}", 400, "reason"},
        {"{\"request\":\"r\",\"reason\":\"a\\u0007\"}", 400, "reason"},
        {"{\"request\":\"r r\",\"reason\":\"a\"}", 400, "request"},
        {"{\"request\":\"r\",\"reason\":\"a\",\"x\":1}", 400, "x: not known"},
    };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        ask(self, "POST", "/api/v1/joins/1/refuse", cases[index].body, cases[index].status);
        if (strstr(problem(self), cases[index].problem) == NULL) {
            fail_msg("%s: '%s'", cases[index].body, problem(self));
        }
    }
    ask(self, "POST", "/api/v1/joins/9/refuse", "{\"request\":\"r\",\"reason\":\"a\"}", 404);
    ask(self, "POST", "/api/v1/joins/9/admit", "{\"request\":\"r\"}", 404);
    ask(self, "POST", "/api/v1/joins/1/admit", "{\"request\":\"r r\"}", 400);
    ask(self, "POST", "/api/v1/joins/1/admit", "{\"request\":\"r\",\"reason\":\"a\"}", 400);
    assert_int_equal(self->changes, 0);
    // An admission that lies at HQ only is taken back.
    assert_int_equal(admit(world, 1, "a1"), MM_DESK_OK);
    ask(self, "POST", "/api/v1/joins/1/refuse", "{\"request\":\"r1\",\"reason\":\"a thief\"}", 201);
    assert_string_equal(text_of(member(self->answer, "join"), "state"), "refused");
    assert_string_equal(text_of(member(self->answer, "join"), "reason"), "a thief");
    assert_int_equal(world_count(world, MM_COMMAND_STATE_WITHDRAWN), 1);
    ask(self, "POST", "/api/v1/joins/1/refuse", "{\"request\":\"r1\",\"reason\":\"a thief\"}", 200);
    ask(self, "POST", "/api/v1/joins/1/refuse", "{\"request\":\"r1\",\"reason\":\"another\"}", 409);
    ask(self, "POST", "/api/v1/joins/1/refuse", "{\"request\":\"r2\",\"reason\":\"more\"}", 409);
    ask(self, "POST", "/api/v1/joins/1/admit", "{\"request\":\"r1\"}", 409);
    ask(self, "POST", "/api/v1/joins/1/refuse", "{\"request\":\"a1\",\"reason\":\"more\"}", 409);
    assert_int_equal(count_where(world, "audit WHERE action = 'refuse' AND detail LIKE '%a thief'"), 1);
    world_dispatch(world);
    assert_int_equal(world->batch.count, 0);
    ask(self, "POST", "/api/v1/joins/1/admit", "{\"request\":\"a2\"}", 201); // after all
    self->query_state = "open";
    ask(self, "GET", "/api/v1/joins", NULL, 400);
    self->query_state = "all";
    self->query_site = "away";
    ask(self, "GET", "/api/v1/joins", NULL, 200);
    assert_int_equal(cJSON_GetArraySize(member(self->answer, "joins")), 0);
    self->query_site = "home";
    ask(self, "GET", "/api/v1/joins", NULL, 200);
    assert_int_equal(cJSON_GetArraySize(member(self->answer, "joins")), 1);
}

// --- conflicts and the rule

static void test_joins_rule(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, ROOT);
    world_add_key(world, ASKER);
    asks(world, ROOT, 1, ASKER, 9); // the rule is off unless it is switched on
    assert_int_equal(count_where(world, "command"), 0);
    static const char path[] = "/api/v1/sites/home/settings";
    ask(self, "POST", path, "{\"request\":\"s1\",\"auto_join\":\"yes\"}", 400);
    ask(self, "POST", path, "{\"request\":\"s1\",\"auto_join\":true}", 201);
    assert_true(cJSON_IsTrue(member(self->answer, "auto_join")));
    ask(self, "POST", path, "{\"request\":\"s1\",\"auto_join\":true}", 200);
    ask(self, "POST", path, "{\"request\":\"s1\",\"auto_join\":false}", 409);
    // The other rule is another one, and leaves this as it is.
    ask(self, "POST", path, "{\"request\":\"s2\",\"auto_confirm\":true}", 201);
    ask(self, "GET", "/api/v1/joins", NULL, 200);
    assert_int_equal(cJSON_GetArraySize(member(self->answer, "auto_join")), 1);
    assert_int_equal(count_where(world, "audit WHERE action = 'site_settings' AND detail = 'home, auto_join on'"), 1);
    asks(world, ROOT, 2, ASKER, 10);
    assert_int_equal(count_where(world, "command WHERE kind = 24"), 1);
    assert_int_equal(count_where(world, "audit WHERE action = 'admit' AND operator = \"HQ's rule\""), 1);
    asks(world, ROOT, 3, ASKER, 10); // the copy of a full journal
    assert_int_equal(count_where(world, "command WHERE kind = 24"), 1);
    // Its word is repeated when the command has expired, for a day.
    world_dispatch(world);
    int64_t first_us = world->now_us;
    for (int times = 0; times < 3; times++) {
        world->now_us += 1801 * SECOND;
        world_dispatch(world);
        assert_int_equal(world->batch.count, 1);
        assert_int_equal(count_where(world, "command WHERE kind = 24"), 2 + times);
    }
    // As long as it is the rule.
    turn_rule(world, "off", "home", 0);
    world->now_us += 1801 * SECOND;
    world_dispatch(world);
    assert_int_equal(world->batch.count, 0);
    turn_rule(world, "on", "home", 1);
    world_dispatch(world);
    assert_int_equal(world->batch.count, 1);
    world->now_us = first_us + 86401 * SECOND;
    world_dispatch(world);
    assert_int_equal(world->batch.count, 0);
    state_must_be(world, 2, "waiting");
    assert_int_equal(admit(world, 2, "a"), MM_DESK_OK); // by a person then
    world_dispatch(world);
    answer(world, ROOT, 1, MM_RESULT_DONE);
    state_must_be(world, 2, "admitted");
    ask(self, "POST", path, "{\"request\":\"s3\",\"auto_join\":false}", 201);
    asks(world, ROOT, 9, ASKER, 11);
    assert_int_equal(count_where(world, "join_ask WHERE state = 'waiting' AND command = 0"), 1);
}

static const char *conflict_of(asked_t *self, int64_t id, const char *member_name) {
    static char text[32];
    self->query_state = "all";
    ask(self, "GET", "/api/v1/joins", NULL, 200);
    const cJSON *item = NULL;
    text[0] = '\0';
    cJSON_ArrayForEach(item, member(self->answer, "joins")) {
        if ((int64_t)member(item, "id")->valuedouble == id && cJSON_IsObject(member(item, "conflict"))) {
            snprintf(text, sizeof text, "%s", text_of(member(item, "conflict"), member_name));
        }
    }
    return text;
}

static void test_joins_conflicts(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, ROOT);
    world_add_key(world, ASKER);
    world_add_key(world, 8);
    int64_t away = add_other_site(world, 3);
    turn_rule(world, "s", "home", 1);
    // It asks at both, and nobody has decided: each says so, and the rule waits.
    mm_join_record_t there = ask_of(ASKER, 9);
    take(world, away, 1, 1, &there);
    assert_string_equal(conflict_of(self, 1, "site"), "");
    world->now_us += SECOND;
    asks(world, ROOT, 1, ASKER, 9);
    assert_int_equal(count_where(world, "command"), 0);
    assert_string_equal(conflict_of(self, 2, "site"), "away");
    assert_string_equal(conflict_of(self, 2, "why"), "asks_there");
    assert_string_equal(conflict_of(self, 1, "why"), "asks_there");
    // Admitted there: the rule does not, a person may.
    world->now_us += SECOND;
    assert_int_equal(admit(world, 1, "a1"), MM_DESK_OK);
    assert_string_equal(conflict_of(self, 2, "why"), "is_there");
    asks(world, ROOT, 2, ASKER, 10);
    state_must_be(world, 2, "superseded");
    assert_int_equal(count_where(world, "command"), 1);
    assert_string_equal(conflict_of(self, 3, "why"), "is_there");
    world->now_us += SECOND;
    assert_int_equal(admit(world, 3, "a2"), MM_DESK_OK);
    world_dispatch(world);
    world->now_us += SECOND;
    mm_record_t result = world_result(&world->commands[0], MM_RESULT_DONE);
    assert_int_equal(mm_store_begin(world->store), MM_STORE_OK);
    assert_true(mmi_hq_joins_take_result(world->store, node_id_of(world, ROOT), &result.result, world->now_us));
    assert_int_equal(mm_store_commit(world->store, world->now_us), MM_STORE_OK);
    state_must_be(world, 3, "admitted");
    // It has moved: what this site asks for later is clear again, and the rule may. There it would be a conflict now.
    asks(world, ROOT, 5, ASKER, 20);
    assert_int_equal(count_where(world, "join_ask WHERE id = 4 AND state = 'waiting' AND command <> 0"), 1);
    assert_string_equal(conflict_of(self, 1, "why"), "is_there");
    // A node that HQ hears elsewhere.
    hq_integer(world->files, "SELECT 1");
    add_other_site(world, 8 + 0);
    asks(world, ROOT, 6, 8, 9);
    assert_int_equal(count_where(world, "join_ask WHERE id = 5 AND state = 'waiting' AND command = 0"), 1);
    assert_string_equal(conflict_of(self, 5, "why"), "is_there");
}

// --- bounds

static void test_joins_bounds(void **state) {
    asked_t *self = *state;
    command_world_t *world = self->world;
    world_add_node(world, ROOT);
    int64_t away = add_other_site(world, 3);
    int64_t root = node_id_of(world, ROOT);
    mm_join_record_t elsewhere = ask_of(200, 1);
    take(world, away, 1, 1, &elsewhere);
    for (uint32_t index = 0; index < 130; index++) {
        mm_join_record_t flood = ask_of((uint8_t)(100 + index), 1);
        take(world, root, 1, 1 + index, &flood);
    }
    assert_int_equal(count_where(world, "join_ask WHERE state = 'unproved'"), 50 + 1);
    assert_int_equal(count_where(world, "join_ask WHERE site = 1 AND id <= 81"), 0); // the oldest went
    ask(self, "GET", "/api/v1/joins", NULL, 200);
    const cJSON *dropped = member(self->answer, "dropped");
    assert_int_equal(cJSON_GetArraySize(dropped), 1);
    assert_string_equal(text_of(cJSON_GetArrayItem(dropped, 0), "site"), "home");
    assert_true(member(cJSON_GetArrayItem(dropped, 0), "asks")->valuedouble == 80);
    // A device that restarts all the time, and one that waits beside it.
    world_add_key(world, ASKER);
    world_add_key(world, 8);
    asks(world, ROOT, 300, 8, 1);
    for (uint32_t index = 0; index < 40; index++) {
        asks(world, ROOT, 301 + index, ASKER, (uint8_t)(1 + index));
    }
    assert_int_equal(count_where(world, "join_ask WHERE asker = x'020000000007'"), 8 + 1);
    assert_int_equal(count_where(world, "join_ask WHERE state = 'waiting'"), 2);
    assert_int_equal(count_where(world, "join_ask WHERE state = 'unproved'"), 50 + 1);
    // Numbers are never given again.
    assert_int_equal(hq_integer(world->files, "SELECT max(id) FROM join_ask"), 1 + 130 + 1 + 40);
    self->query_limit = "2";
    ask(self, "GET", "/api/v1/joins", NULL, 200);
    assert_string_equal(text_of(cJSON_GetArrayItem(member(self->answer, "joins"), 1), "state"), "waiting");
}

// --- when a statement fails

static long s_deny_at = -1;

// SQLite asks before it prepares each statement: the n-th one is refused.
static int deny(void *context, int action, const char *a, const char *b, const char *c, const char *d) {
    (void)context;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    bool begins =
        action == SQLITE_SELECT || action == SQLITE_UPDATE || action == SQLITE_INSERT || action == SQLITE_DELETE;
    if (!begins || s_deny_at < 0 || s_deny_at-- > 0) {
        return SQLITE_OK;
    }
    return SQLITE_DENY;
}

static int64_t rows_of_all(const command_world_t *world) {
    return hq_integer(world->files,
                      "SELECT (SELECT count(*) FROM join_ask) * 1000000 + (SELECT count(*) FROM command) * 10000 +"
                      " (SELECT count(*) FROM audit) * 100 + (SELECT count(*) FROM join_ask WHERE state = 'waiting')");
}

// A flood, a rule, a device that asks again: each statement of the store's side fails once, and nothing is half done.
static void test_joins_store_statements_fail(void **state) {
    command_world_t *world = ((asked_t *)*state)->world;
    world_add_node(world, ROOT);
    world_add_key(world, ASKER);
    turn_rule(world, "s", "home", 1);
    int64_t root = node_id_of(world, ROOT);
    for (uint32_t index = 0; index < 60; index++) {
        asks(world, ROOT, 1000 + index, 99, (uint8_t)index);
    }
    sqlite3_set_authorizer(world->store->db, deny, NULL);
    mmi_sql_drop(world->store->db); // so that each is prepared, and can be refused
    static const struct {
        uint8_t number;
        uint8_t nonce;
    } stories[] = {{ASKER, 1}, {ASKER, 2}, {ASKER, 2}, {99, 200}};
    for (uint32_t story = 0; story < 4; story++) {
        mm_join_record_t record = ask_of(stories[story].number, stories[story].nonce);
        record.at.seconds += story;
        long failures = 0;
        for (bool done = false; !done;) {
            int64_t before = rows_of_all(world);
            assert_int_equal(mm_store_begin(world->store), MM_STORE_OK);
            s_deny_at = failures;
            bool good = mmi_hq_joins_take(world->store, root, (mm_position_t){1, 1 + story}, &record, world->now_us);
            bool reached = s_deny_at < 0;
            s_deny_at = -1;
            assert_true(good != reached);
            if (good) {
                assert_int_equal(mm_store_commit(world->store, world->now_us), MM_STORE_OK);
                done = true;
            } else {
                mm_store_rollback(world->store);
                assert_int_equal(rows_of_all(world), before);
                failures++;
            }
        }
        assert_true(failures >= 5);
        printf("joins: story=%u failing_statements=%ld\n", story, failures);
    }
    assert_int_equal(count_where(world, "join_ask WHERE state = 'waiting' AND command <> 0"), 1);
    assert_int_equal(count_where(world, "join_ask WHERE state = 'unproved'"), 50);
    sqlite3_set_authorizer(world->store->db, NULL, NULL);
    world_dispatch(world);
    mm_result_record_t result = world_result(&world->commands[0], MM_RESULT_DONE).result;
    sqlite3_set_authorizer(world->store->db, deny, NULL);
    for (long at = 0; at < 3; at++) {
        assert_int_equal(mm_store_begin(world->store), MM_STORE_OK);
        s_deny_at = at;
        assert_false(mmi_hq_joins_take_result(world->store, root, &result, world->now_us));
        s_deny_at = -1;
        mm_store_rollback(world->store);
    }
    sqlite3_set_authorizer(world->store->db, NULL, NULL);
}

// The same for people, and for a key that is imported.
static void test_joins_desk_statements_fail(void **state) {
    command_world_t *world = ((asked_t *)*state)->world;
    world_add_node(world, ROOT);
    turn_rule(world, "s", "home", 1);
    asks(world, ROOT, 1, ASKER, 1);
    sqlite3_set_authorizer(mmi_desk_db(world->desk), deny, NULL);
    mmi_sql_drop(mmi_desk_db(world->desk));
    enum {
        IMPORT,
        REFUSE,
        ADMIT,
        STORIES
    };
    for (int story = 0; story < STORIES; story++) {
        long failures = 0;
        for (mm_desk_result_t result = MM_DESK_UNAVAILABLE; result != MM_DESK_OK;) {
            int64_t before = rows_of_all(world);
            uint8_t key[MM_DEVICE_KEY_BYTES];
            mm_hq_error_t error;
            world_key(ASKER, key);
            s_deny_at = failures;
            result = story == IMPORT   ? mm_device_keys_add(world->desk, hq_mac(ASKER), key, world->now_us, &error)
                     : story == REFUSE ? refuse(world, 1, "r")
                                       : admit(world, 1, "a");
            bool reached = s_deny_at < 0;
            s_deny_at = -1;
            assert_int_equal(result, reached ? MM_DESK_UNAVAILABLE : MM_DESK_OK);
            if (result != MM_DESK_OK) {
                assert_int_equal(rows_of_all(world), before);
                failures++;
            }
        }
        assert_true(failures >= 5);
        printf("joins: desk_story=%d failing_statements=%ld\n", story, failures);
    }
    assert_int_equal(count_where(world, "join_ask WHERE state = 'waiting' AND decided_by = 'ana'"), 1);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_WITHDRAWN), 1);
    sqlite3_set_authorizer(mmi_desk_db(world->desk), NULL, NULL);
}

// Each write and sync of the disk fails once: the same request does it afterwards, and once.
static void test_joins_when_the_disk_fails(void **state) {
    command_world_t *world = ((asked_t *)*state)->world;
    mm_hq_error_t error;
    int failures = 0;
    bool reached = true;
    world_add_node(world, ROOT);
    world_add_key(world, ASKER);
    mm_desk_t *desk = mm_desk_open(failing_vfs_register(), world->files->database, &error);
    assert_non_null(desk);
    s_failing.code = SQLITE_IOERR_WRITE;
    for (uint32_t call = 0; reached; call++) {
        char request[16];
        bool repeated;
        int64_t id = 1 + (int64_t)call;
        snprintf(request, sizeof request, "a%u", call);
        asks(world, ROOT, 1 + call, ASKER, (uint8_t)(1 + call));
        for (int attempt = 0; attempt < 2; attempt++) {
            s_failing.countdown = attempt == 0 ? (long)call : -1;
            mm_desk_result_t result = mm_joins_admit(desk, id, request, "ana", world->now_us, &repeated, &error);
            reached = attempt == 0 ? s_failing.countdown < 0 : reached;
            s_failing.countdown = -1;
            if (result != MM_DESK_OK) {
                assert_int_equal(attempt, 0);
                assert_int_equal(result, MM_DESK_UNAVAILABLE);
                failures++;
            }
        }
        assert_int_equal(count_where(world, "command"), call + 1);
    }
    assert_true(failures >= 4);
    mm_desk_close(desk);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, asked_setup, asked_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joins_states),
        TEST(test_joins_life),
        TEST(test_joins_forged_and_unknown),
        TEST(test_joins_key_comes_later),
        TEST(test_joins_root_needs_a_key),
        TEST(test_joins_superseded),
        TEST(test_joins_the_same_asking_again),
        TEST(test_joins_admission_ends_otherwise),
        TEST(test_joins_refusing),
        TEST(test_joins_rule),
        TEST(test_joins_conflicts),
        TEST(test_joins_bounds),
        TEST(test_joins_store_statements_fail),
        TEST(test_joins_desk_statements_fail),
        TEST(test_joins_when_the_disk_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
