// SPDX-License-Identifier: Apache-2.0
#include "hq_command_world.h"

// Nothing was ever ordered: nothing is published, and nothing is written.
static void test_dispatch_nothing(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_dispatch(world);
    assert_int_equal(world->bytes_count, 0);
    assert_false(world->changed);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM gateway_batch"), 0);
}

static void test_dispatch_order_to_done(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_order(world, "r1", "M-1", "lock", 5);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_QUEUED), 1);
    world_dispatch(world);
    assert_true(world->changed);
    assert_int_equal(world->batch.count, 1);
    assert_int_equal(world->commands[0].era, 101);
    assert_int_equal(world->commands[0].counter, 1);
    assert_int_equal(world->commands[0].kind, MM_COMMAND_LOCK);
    assert_int_equal(world->commands[0].channel, 0);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_SENT), 1);
    uint64_t revision = world->batch.revision;
    // The same again is the same message.
    world->now_us += 1000000;
    world_dispatch(world);
    assert_false(world->changed);
    assert_int_equal(world->batch.revision, revision);
    // The node says that it has taken it, its answer is still on the way: the batch stays.
    mm_control_report_t control = world_control(101, 1);
    world_report(world, 1, 2, &control, 1, NULL, 0);
    world_dispatch(world);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_ACCEPTED), 1);
    assert_false(world->changed);
    assert_int_equal(world->batch.count, 1);
    // The answer: everything has ended, and the blank message clears the broker's.
    mm_record_t result = world_result(&world->commands[0], MM_RESULT_DONE);
    world_report(world, 1, 2, &control, 1, &result, 1);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_DONE), 1);
    world_dispatch(world);
    assert_true(world->changed);
    assert_int_equal(world->bytes_count, 0);
    world_dispatch(world);
    assert_false(world->changed);
    // The next one: the revision has grown, the counter, too.
    world_order(world, "r2", "M-1", "unlock", 5);
    world_dispatch(world);
    assert_true(world->batch.revision > revision);
    assert_int_equal(world->commands[0].counter, 2);
}

// Published again, a message stands before one that somebody else has put in its place; a blank one stays blank.
static void test_dispatch_anew(void **state) {
    command_world_t *world = *state;
    mm_hq_error_t error;
    world_add_node(world, 1);
    assert_int_equal(mm_dispatch_site_anew(world->desk, "home", world->now_us, world->bytes, &world->bytes_count,
                                           &world->changed, &error),
                     MM_DESK_OK);
    assert_false(world->changed);
    world_order(world, "r", "M-1", "lock", 5);
    world_dispatch(world);
    uint64_t revision = world->batch.revision;
    uint8_t sealed[MM_COMMAND_BYTES_MAX];
    memcpy(sealed, world->batch.commands[0].bytes, world->batch.commands[0].bytes_count);
    assert_int_equal(mm_dispatch_site_anew(world->desk, "home", world->now_us, world->bytes, &world->bytes_count,
                                           &world->changed, &error),
                     MM_DESK_OK);
    assert_true(world->changed);
    assert_int_equal(mm_command_batch_read(world->bytes, world->bytes_count, &world->batch), MM_OK);
    assert_true(world->batch.revision > revision);
    assert_int_equal(world->batch.count, 1);
    assert_memory_equal(world->batch.commands[0].bytes, sealed, world->batch.commands[0].bytes_count);
}

static void test_dispatch_waits_for_the_era(void **state) {
    command_world_t *world = *state;
    world_add_key(world, 1);
    world_report(world, 1, 1, NULL, 1, NULL, 0);
    world_order(world, "r1", "M-1", "lock", 5);
    world_dispatch(world);
    assert_int_equal(world->bytes_count, 0);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_QUEUED), 1);
    mm_control_report_t control = world_control(7, 40);
    world_report(world, 1, 2, &control, 1, NULL, 0);
    world_dispatch(world);
    assert_int_equal(world->commands[0].era, 7);
    assert_int_equal(world->commands[0].counter, 41); // behind what the node has taken
}

static void test_dispatch_priority_gives_the_counters(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_order(world, "low", "M-1", "lock", 1);
    world_order(world, "old", "M-1", "read_meter", 5);
    world_order(world, "high", "M-1", "unlock", 9);
    world_dispatch(world);
    assert_int_equal(world->batch.count, 3);
    const uint8_t expected[] = {MM_COMMAND_UNLOCK, MM_COMMAND_READ_METER, MM_COMMAND_LOCK};
    for (uint32_t index = 0; index < 3; index++) {
        assert_int_equal(world->commands[index].kind, expected[index]);
        assert_int_equal(world->commands[index].counter, index + 1);
    }
}

// 40 commands are the most that a batch has; larger ones fill 2,048 bytes before. The others follow when these have an
// answer.
static void test_dispatch_splits(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    for (int index = 0; index < 45; index++) {
        char request[16];
        snprintf(request, sizeof request, "r%d", index);
        world_order(world, request, "M-1", "read_meter", 5);
    }
    world_dispatch(world);
    assert_int_equal(world->batch.count, MM_COMMAND_BATCH_MAX);
    assert_true(world->bytes_count <= MM_DOWNLINK_BYTES_MAX);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_QUEUED), 5);
    mm_record_t results[10];
    for (size_t index = 0; index < 10; index++) {
        assert_int_equal(world->commands[index].counter, index + 1);
        results[index] = world_result(&world->commands[index], MM_RESULT_DONE);
    }
    mm_control_report_t control = world_control(101, 10);
    world_report(world, 1, 11, &control, 1, results, 10);
    world_dispatch(world);
    assert_int_equal(world->batch.count, 35);
    assert_int_equal(world->commands[0].counter, 11);
    assert_int_equal(world->commands[34].counter, 45);
}

static void test_dispatch_large_bodies_fit(void **state) {
    command_world_t *world = *state;
    char url[224];
    const char *const arguments[] = {url, NULL};
    mm_hq_error_t error;
    int64_t order_id;
    world_add_node(world, 1);
    snprintf(url, sizeof url, "url=https://%0190d", 7);
    for (int index = 0; index < 12; index++) {
        char request[16];
        snprintf(request, sizeof request, "r%d", index);
        assert_int_equal(
            world_try_order(world, request, "node:02:00:00:00:00:01", "ota_url", arguments, 5, 0, &order_id, &error),
            MM_DESK_OK);
    }
    world_dispatch(world);
    // 38 bytes around, 246 bytes each: 8 fit.
    assert_int_equal(world->batch.count, 8);
    assert_true(world->bytes_count <= MM_DOWNLINK_BYTES_MAX);
}

static void test_dispatch_expiry(void **state) {
    command_world_t *world = *state;
    int64_t order_id;
    mm_hq_error_t error;
    world_add_node(world, 1);
    assert_int_equal(world_try_order(world, "sent", "M-1", "lock", NULL, 5, HQ_UTC_S + 60, &order_id, &error),
                     MM_DESK_OK);
    world_dispatch(world);
    assert_int_equal(world->commands[0].not_after_s, HQ_UTC_S + 60);
    mm_command_t sent = world->commands[0];
    world->now_us = (HQ_UTC_S + 60) * 1000000;
    world_dispatch(world);
    assert_int_equal(world->batch.count, 1);
    world->now_us = (HQ_UTC_S + 61) * 1000000;
    world_dispatch(world);
    assert_int_equal(world->bytes_count, 0);
    assert_true(world->changed);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_EXPIRED), 1);
    // It had been taken in time after all.
    mm_record_t result = world_result(&sent, MM_RESULT_DONE);
    mm_control_report_t control = world_control(101, 1);
    world_report(world, 1, 2, &control, 1, &result, 1);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_DONE), 1);
}

// Passed over: the node has a later counter, its journal is here as a whole, and there is no answer.
static void test_dispatch_requeues_what_was_passed_over(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_order(world, "first", "M-1", "lock", 5);
    world_order(world, "second", "M-1", "unlock", 5);
    world_dispatch(world);
    mm_command_t second = world->commands[1];
    mm_record_t result = world_result(&second, MM_RESULT_DONE);
    mm_control_report_t control = world_control(101, 2);
    // The report says counter 2 and a next record 3, but brings only the first of two records: not decided.
    world_report(world, 1, 3, &control, 1, &result, 1);
    world_dispatch(world);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_ACCEPTED), 1);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_DONE), 1);
    mm_record_t interval = hq_interval(1);
    world_report(world, 1, 3, &control, 2, &interval, 1);
    world_dispatch(world);
    assert_int_equal(world->batch.count, 1);
    assert_int_equal(world->commands[0].kind, MM_COMMAND_LOCK);
    assert_int_equal(world->commands[0].counter, 3);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_SENT), 1);
}

// The last counter that a node has taken is never sealed anew, however long its answer takes.
static void test_dispatch_never_requeues_the_last_one(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_order(world, "only", "M-1", "lock", 5);
    world_dispatch(world);
    mm_control_report_t control = world_control(101, 1);
    for (int round = 0; round < 3; round++) {
        world_report(world, 1, 1, &control, 1, NULL, 0);
        world_dispatch(world);
        assert_int_equal(world_count(world, MM_COMMAND_STATE_ACCEPTED), 1);
        assert_int_equal(world->commands[0].counter, 1);
    }
}

// The answer may be among records that are lost: it could have been executed, so it ends instead of running twice.
static void test_dispatch_gap_ends_instead_of_twice(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_order(world, "first", "M-1", "lock", 5);
    world_order(world, "second", "M-1", "unlock", 5);
    world_dispatch(world);
    mm_record_t records[2] = {world_result(&world->commands[1], MM_RESULT_DONE), hq_gap(1, 1, 1, MM_GAP_DAMAGED)};
    mm_control_report_t control = world_control(101, 2);
    world_report(world, 1, 4, &control, 2, records, 2);
    world_dispatch(world);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_EXPIRED), 1);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_DONE), 1);
    assert_int_equal(world->bytes_count, 0);
}

// But a purchase is safe by its count.
static void test_dispatch_gap_and_purchase(void **state) {
    command_world_t *world = *state;
    const uint8_t body[20] = {9, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 100};
    world_add_node(world, 1);
    int64_t node_id = hq_integer(world->files, "SELECT id FROM node");
    assert_int_equal(sqlite3_exec(mmi_desk_db(world->desk), "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    int64_t id = mmi_hq_queue_command(mmi_desk_db(world->desk), node_id, 0, MM_COMMAND_CREDIT, body, sizeof body, 5, 0,
                                      0, world->now_us);
    assert_true(id > 0);
    assert_int_equal(sqlite3_exec(mmi_desk_db(world->desk), "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    world_order(world, "second", "M-1", "unlock", 5);
    world_dispatch(world);
    assert_int_equal(world->commands[0].kind, MM_COMMAND_CREDIT);
    assert_int_equal(world->commands[0].id, id);
    assert_memory_equal(world->commands[0].body, body, sizeof body);
    mm_record_t records[2] = {world_result(&world->commands[1], MM_RESULT_DONE), hq_gap(1, 1, 1, MM_GAP_DAMAGED)};
    mm_control_report_t control = world_control(101, 2);
    world_report(world, 1, 4, &control, 2, records, 2);
    world_dispatch(world);
    assert_int_equal(world->batch.count, 1);
    assert_int_equal(world->commands[0].counter, 3);
    // In another era its token series is void.
    control = world_control(999, 0);
    world_report(world, 1, 4, &control, 1, NULL, 0);
    world_dispatch(world);
    assert_int_equal(world->bytes_count, 0);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_EXPIRED), 1);
}

static void test_dispatch_new_era(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_order(world, "taken", "M-1", "lock", 9);
    world_order(world, "sent", "M-1", "unlock", 5);
    world_dispatch(world);
    mm_control_report_t control = world_control(101, 1);
    world_report(world, 1, 1, &control, 1, NULL, 0);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_ACCEPTED), 1);
    control = world_control(555, 0);
    world_report(world, 1, 1, &control, 1, NULL, 0);
    world_dispatch(world);
    // What it had taken may have been done; what it had not is sealed for its new era.
    assert_int_equal(world_count(world, MM_COMMAND_STATE_EXPIRED), 1);
    assert_int_equal(world->batch.count, 1);
    assert_int_equal(world->commands[0].kind, MM_COMMAND_UNLOCK);
    assert_int_equal(world->commands[0].era, 555);
    assert_int_equal(world->commands[0].counter, 1);
}

// A node without a state says era 0: nothing that is known of it is forgotten.
static void test_dispatch_era_0_is_no_era(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_order(world, "r", "M-1", "lock", 5);
    world_dispatch(world);
    mm_control_report_t control = world_control(0, 0);
    world_report(world, 1, 1, &control, 1, NULL, 0);
    world_dispatch(world);
    assert_false(world->changed);
    assert_int_equal(world->commands[0].era, 101);
    assert_int_equal(hq_integer(world->files, "SELECT given FROM control"), 1);
}

// A database restored from a copy: the node's answers to commands that it does not know.
static void test_dispatch_after_restore(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_order(world, "mine", "M-1", "lock", 5);
    world_dispatch(world);
    mm_command_t mine = world->commands[0];
    mm_command_t stranger = mine;
    stranger.id = 4711;
    stranger.kind = MM_COMMAND_REBOOT;
    stranger.channel = MM_COMMAND_WHOLE_NODE;
    mm_record_t result = world_result(&stranger, MM_RESULT_DONE);
    mm_control_report_t control = world_control(101, 1);
    world_report(world, 1, 2, &control, 1, &result, 1);
    world_dispatch(world);
    // Under its counter something else was executed: it is sealed anew.
    assert_int_equal(world->batch.count, 1);
    assert_int_equal(world->commands[0].id, mine.id);
    assert_int_equal(world->commands[0].counter, 2);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_SENT), 1);
}

static void test_dispatch_trying_then_failed(void **state) {
    command_world_t *world = *state;
    static const char *const arguments[] = {"ssid=home", "password=very secret", NULL};
    mm_hq_error_t error;
    int64_t order_id;
    world_add_node(world, 1);
    assert_int_equal(world_try_order(world, "net", "node:020000000001", "network", arguments, 5, 0, &order_id, &error),
                     MM_DESK_OK);
    world_dispatch(world);
    assert_memory_equal(world->commands[0].body, "home\nvery secret", 16);
    mm_command_t command = world->commands[0];
    mm_record_t records[2] = {world_result(&command, MM_RESULT_TRYING), world_result(&command, MM_RESULT_FAILED)};
    mm_control_report_t control = world_control(101, 1);
    world_report(world, 1, 2, &control, 1, records, 1);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_TRYING), 1);
    world_dispatch(world);
    assert_int_equal(world->batch.count, 1); // it has no end yet
    assert_int_equal(hq_integer(world->files, "SELECT length(body) FROM command"), 16);
    world_report(world, 1, 3, &control, 2, &records[1], 1);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_FAILED), 1);
    // Nobody needs the password any more.
    assert_int_equal(hq_integer(world->files, "SELECT length(body) FROM command"), 0);
    assert_int_equal(hq_integer(world->files, "SELECT length(body) FROM command_order"), 0);
    world_dispatch(world);
    assert_int_equal(world->bytes_count, 0);
}

#define ASK_EVERY_US (MM_COMMAND_ASK_EVERY_S * INT64_C(1000000))

// A network on trial whose first answer is here. Returns the command.
static mm_command_t begin_trial(command_world_t *world) {
    static const char *const arguments[] = {"ssid=home", "password=very secret", NULL};
    mm_hq_error_t error;
    int64_t order_id;
    world_add_node(world, 1);
    assert_int_equal(world_try_order(world, "net", "node:020000000001", "network", arguments, 5, 0, &order_id, &error),
                     MM_DESK_OK);
    world_dispatch(world);
    mm_command_t command = world->commands[0];
    mm_record_t trying = world_result(&command, MM_RESULT_TRYING);
    mm_control_report_t control = world_control(101, 1);
    world_report(world, 1, 2, &control, 1, &trying, 1);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_TRYING), 1);
    return command;
}

static int64_t accepted_us(const command_world_t *world) {
    return hq_integer(world->files, "SELECT accepted_us FROM command ORDER BY id LIMIT 1");
}

// The last answer of a trial is lost: HQ asks with the same command, also beside others, and ends it.
static void test_dispatch_ends_a_trial_without_an_answer(void **state) {
    command_world_t *world = *state;
    mm_command_t command = begin_trial(world);
    const int64_t due_us = accepted_us(world) + MM_COMMAND_ASK_AFTER_S * INT64_C(1000000);
    world->now_us = due_us - 1000000;
    world_order(world, "other", "M-1", "lock", 9);
    world_dispatch(world);
    assert_int_equal(world->batch.count, 1); // not yet: only the other one
    assert_int_equal(world->commands[0].kind, MM_COMMAND_LOCK);
    for (int ask = 1; ask <= MM_COMMAND_ASKS_MAX; ask++) {
        world->now_us = due_us + (ask - 1) * ASK_EVERY_US;
        world_dispatch(world);
        world->now_us += 1000000;
        world_dispatch(world); // once in a round
        assert_int_equal(hq_integer(world->files, "SELECT max(asked) FROM command"), ask);
        assert_int_equal(world->batch.count, 2);
        assert_int_equal(world->commands[0].id, command.id);
        assert_int_equal(world->commands[0].counter, command.counter);
        assert_memory_equal(world->commands[0].body, "home\nvery secret", 16);
    }
    assert_int_equal(world_count(world, MM_COMMAND_STATE_TRYING), 1);
    world->now_us = due_us + MM_COMMAND_ASKS_MAX * ASK_EVERY_US;
    world_dispatch(world);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_TRYING), 0);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_EXPIRED), 1);
    assert_int_equal(world->batch.count, 1);
    // Nobody needs the password any more.
    assert_int_equal(hq_integer(world->files, "SELECT length(body) FROM command WHERE kind = 6"), 0);
    // The first answer once more (a full journal carried it over) begins nothing anew; the last one counts after all.
    mm_record_t records[2] = {world_result(&command, MM_RESULT_TRYING), world_result(&command, MM_RESULT_DONE)};
    mm_control_report_t control = world_control(101, 1);
    world_report(world, 1, 3, &control, 2, records, 1);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_EXPIRED), 1);
    world_report(world, 1, 4, &control, 3, &records[1], 1);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_EXPIRED), 0);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_DONE), 1);
}

// The node answers what it is asked.
static void test_dispatch_a_trial_is_answered_when_asked(void **state) {
    command_world_t *world = *state;
    mm_command_t command = begin_trial(world);
    world->now_us = accepted_us(world) + MM_COMMAND_ASK_AFTER_S * INT64_C(1000000);
    world_dispatch(world);
    assert_int_equal(world->batch.count, 1);
    mm_record_t records[2] = {hq_gap(1, 2, 2, MM_GAP_DAMAGED), world_result(&command, MM_RESULT_DONE)};
    mm_control_report_t control = world_control(101, 1);
    world_report(world, 1, 5, &control, 3, records, 2);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_DONE), 1);
    world->now_us += 10 * ASK_EVERY_US;
    world_dispatch(world);
    assert_int_equal(world->bytes_count, 0);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_DONE), 1);
}

// Taken, and its only answer is lost: no later counter will ever show it.
static void test_dispatch_ends_what_was_taken_without_an_answer(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_order(world, "only", "M-1", "lock", 5);
    world_dispatch(world);
    mm_control_report_t control = world_control(101, 1);
    mm_record_t gap = hq_gap(1, 1, 1, MM_GAP_DAMAGED);
    world_report(world, 1, 3, &control, 2, &gap, 1);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_ACCEPTED), 1);
    world->now_us = accepted_us(world) + MM_COMMAND_ASK_AFTER_S * INT64_C(1000000);
    for (int ask = 1; ask <= MM_COMMAND_ASKS_MAX; ask++, world->now_us += ASK_EVERY_US) {
        world_dispatch(world);
        assert_int_equal(world->commands[0].counter, 1);
        assert_int_equal(world_count(world, MM_COMMAND_STATE_ACCEPTED), 1);
    }
    world_dispatch(world);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_EXPIRED), 1);
    assert_int_equal(world->bytes_count, 0);
}

static void set_kind(command_world_t *world, int kind) {
    char sql[64];
    snprintf(sql, sizeof sql, "UPDATE command SET kind = %d;", kind);
    assert_int_equal(sqlite3_exec(mmi_desk_db(world->desk), sql, NULL, NULL, NULL), SQLITE_OK);
}

// What has a purchase is safe by its count; and what was sealed for an era that is over no node takes any more.
static void test_dispatch_asks_for_no_purchase_and_no_other_era(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_order(world, "only", "M-1", "lock", 5);
    world_dispatch(world);
    mm_control_report_t control = world_control(101, 1);
    world_report(world, 1, 3, &control, 1, NULL, 0);
    const int64_t due_us = accepted_us(world) + MM_COMMAND_ASK_AFTER_S * INT64_C(1000000);
    static const int kinds[] = {MM_COMMAND_CREDIT, MM_COMMAND_VOID, MM_COMMAND_ADJUST};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        set_kind(world, kinds[i]);
        world->now_us = due_us;
        world_dispatch(world);
        assert_int_equal(hq_integer(world->files, "SELECT asked FROM command"), 0);
    }
    set_kind(world, MM_COMMAND_LOCK);
    world_order(world, "other", "M-1", "unlock", 5);
    world_dispatch(world);
    assert_int_equal(hq_integer(world->files, "SELECT max(asked) FROM command"), 1);
    assert_int_equal(world->batch.count, 2);
    assert_int_equal(sqlite3_exec(mmi_desk_db(world->desk), "UPDATE control SET era = 102;", NULL, NULL, NULL),
                     SQLITE_OK);
    world_dispatch(world);
    for (size_t i = 0; i < world->batch.count; i++) {
        assert_int_equal(world->commands[i].era, 101); // never sealed anew: it may have been carried out
    }
}

// While its journal has not come up to there, the answer may.
static void test_dispatch_waits_for_a_journal_on_its_way(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_order(world, "only", "M-1", "lock", 5);
    world_dispatch(world);
    mm_control_report_t control = world_control(101, 1);
    world_report(world, 1, 3, &control, 1, NULL, 0);
    world->now_us = accepted_us(world) + MM_COMMAND_ASK_AFTER_S * INT64_C(1000000);
    for (int ask = 0; ask < 3 * MM_COMMAND_ASKS_MAX; ask++, world->now_us += ASK_EVERY_US) {
        world_dispatch(world);
        assert_int_equal(world_count(world, MM_COMMAND_STATE_ACCEPTED), 1);
    }
    assert_int_equal(hq_integer(world->files, "SELECT asked FROM command"), MM_COMMAND_ASKS_MAX);
}

// The first answer stands; the same one again, or carried over to another position, changes nothing.
static void test_dispatch_first_answer_stands(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_order(world, "r", "M-1", "lock", 5);
    world_dispatch(world);
    mm_record_t records[2] = {world_result(&world->commands[0], MM_RESULT_STATE),
                              world_result(&world->commands[0], MM_RESULT_DONE)};
    mm_control_report_t control = world_control(101, 1);
    world_report(world, 1, 3, &control, 1, records, 2);
    world_report(world, 1, 3, &control, 1, records, 1);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_REFUSED), 1);
    assert_int_equal(hq_integer(world->files, "SELECT status FROM command"), MM_RESULT_STATE);
}

// A typed token is no answer, although it names the counter of the last command.
static void test_dispatch_token_is_no_answer(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_order(world, "r", "M-1", "lock", 5);
    world_dispatch(world);
    mm_record_t record = {.type = MM_RECORD_CREDIT};
    record.credit = (mm_credit_record_t){.movement = MM_MOVEMENT_TOKEN_ADD,
                                         .era = 101,
                                         .counter = 1,
                                         .count = 2,
                                         .amount_wh = 1000,
                                         .balance_wh = 1000,
                                         .applied_wh = 1000,
                                         .at = {.seconds = HQ_UTC_S, .trust = MM_TRUST_SYNCED}};
    mm_control_report_t control = world_control(101, 1);
    world_report(world, 1, 2, &control, 1, &record, 1);
    world_dispatch(world);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_ACCEPTED), 1);
    assert_int_equal(world->commands[0].counter, 1);
}

// Dead nodes must not keep the batch full: who is heard goes first.
static void test_dispatch_silent_nodes_wait(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    world_add_node(world, 2);
    for (int index = 0; index < 45; index++) {
        char request[16];
        snprintf(request, sizeof request, "dead%d", index);
        world_order(world, request, "M-1", "read_meter", 9);
    }
    world_dispatch(world);
    assert_int_equal(world->batch.count, 40);
    world_order(world, "live", "M-2", "lock", 5);
    world_dispatch(world);
    assert_int_equal(world->commands[39].node.bytes[5], 1);
    assert_int_equal(
        sqlite3_exec(mmi_desk_db(world->desk),
                     "UPDATE node SET last_seen_us = last_seen_us - 3600000001 WHERE mac = x'020000000001'", NULL, NULL,
                     NULL),
        SQLITE_OK);
    world_dispatch(world);
    assert_int_equal(world->batch.count, 40);
    assert_int_equal(world->commands[39].node.bytes[5], 2);
    assert_int_equal(world->commands[39].kind, MM_COMMAND_LOCK);
}

// Without its key nothing is sealed for a node; the others go on.
static void test_dispatch_without_key(void **state) {
    command_world_t *world = *state;
    mm_hq_error_t error;
    world_add_node(world, 1);
    world_add_node(world, 2);
    world_order(world, "r1", "M-1", "lock", 5);
    world_order(world, "r2", "M-2", "lock", 5);
    world_dispatch(world);
    assert_int_equal(world->batch.count, 2);
    assert_int_equal(mm_device_keys_remove(world->desk, hq_mac(1), world->now_us, &error), MM_DESK_OK);
    world_dispatch(world);
    assert_int_equal(world->batch.count, 1);
    assert_int_equal(world->commands[0].node.bytes[5], 2);
}

static bool count_site(void *context, const char *site) {
    assert_string_equal(site, "home");
    ++*(int *)context;
    return true;
}

static bool count_message(void *context, const char *site, const void *bytes, size_t bytes_count) {
    (void)bytes;
    assert_string_equal(site, "home");
    *(size_t *)context = bytes_count;
    return true;
}

static void test_dispatch_sites(void **state) {
    command_world_t *world = *state;
    mm_hq_error_t error;
    int sites = 0;
    size_t message_bytes = 77;
    world_add_node(world, 1);
    assert_int_equal(mm_dispatch_sites(world->desk, count_site, &sites, &error), MM_DESK_OK);
    assert_int_equal(sites, 0);
    world_order(world, "r", "M-1", "lock", 5);
    assert_int_equal(mm_dispatch_sites(world->desk, count_site, &sites, &error), MM_DESK_OK);
    assert_int_equal(sites, 1);
    world_dispatch(world);
    assert_int_equal(mm_dispatch_messages(world->desk, count_message, &message_bytes, &error), MM_DESK_OK);
    assert_int_equal(message_bytes, world->bytes_count);
    // Ended, but the broker still has the batch: the site is named until it was cleared.
    mm_record_t result = world_result(&world->commands[0], MM_RESULT_DONE);
    mm_control_report_t control = world_control(101, 1);
    world_report(world, 1, 2, &control, 1, &result, 1);
    sites = 0;
    assert_int_equal(mm_dispatch_sites(world->desk, count_site, &sites, &error), MM_DESK_OK);
    assert_int_equal(sites, 1);
    world_dispatch(world);
    sites = 0;
    assert_int_equal(mm_dispatch_sites(world->desk, count_site, &sites, &error), MM_DESK_OK);
    assert_int_equal(sites, 0);
    assert_int_equal(mm_dispatch_messages(world->desk, count_message, &message_bytes, &error), MM_DESK_OK);
    assert_int_equal(message_bytes, 0);
}

// Only the newest report's control section counts.
static void test_dispatch_old_report_says_nothing(void **state) {
    command_world_t *world = *state;
    world_add_node(world, 1);
    mm_control_report_t control = world_control(101, 5);
    world_report(world, 1, 1, &control, 1, NULL, 0);
    control = world_control(101, 3);
    world->uptime_ms -= 1500; // older than what is known
    world_report(world, 1, 1, &control, 1, NULL, 0);
    assert_int_equal(hq_integer(world->files, "SELECT counter FROM control"), 5);
}

static void test_dispatch_keeps_credit(void **state) {
    command_world_t *world = *state;
    mm_control_report_t control = world_control(101, 0);
    world_add_node(world, 1);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM meter_credit WHERE prepaid = 0"), 8);
    control.meters[2].prepaid = true;
    control.meters[2].balance_wh = -120;
    control.meters[2].applied_wh = 5000;
    control.meters[2].relay_reasons = 2;
    world_report(world, 1, 1, &control, 1, NULL, 0);
    assert_int_equal(hq_integer(world->files, "SELECT balance_wh FROM meter_credit WHERE channel = 2"), -120);
    assert_int_equal(hq_integer(world->files, "SELECT relay_reasons FROM meter_credit WHERE channel = 2"), 2);
    memset(&control.meters[2], 0, sizeof control.meters[2]);
    world_report(world, 1, 1, &control, 1, NULL, 0);
    assert_int_equal(hq_integer(world->files, "SELECT prepaid + abs(balance_wh) FROM meter_credit WHERE channel = 2"),
                     0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, command_world_setup, command_world_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_dispatch_nothing),
        TEST(test_dispatch_order_to_done),
        TEST(test_dispatch_anew),
        TEST(test_dispatch_waits_for_the_era),
        TEST(test_dispatch_priority_gives_the_counters),
        TEST(test_dispatch_splits),
        TEST(test_dispatch_large_bodies_fit),
        TEST(test_dispatch_expiry),
        TEST(test_dispatch_requeues_what_was_passed_over),
        TEST(test_dispatch_never_requeues_the_last_one),
        TEST(test_dispatch_gap_ends_instead_of_twice),
        TEST(test_dispatch_gap_and_purchase),
        TEST(test_dispatch_new_era),
        TEST(test_dispatch_era_0_is_no_era),
        TEST(test_dispatch_after_restore),
        TEST(test_dispatch_trying_then_failed),
        TEST(test_dispatch_ends_a_trial_without_an_answer),
        TEST(test_dispatch_a_trial_is_answered_when_asked),
        TEST(test_dispatch_ends_what_was_taken_without_an_answer),
        TEST(test_dispatch_asks_for_no_purchase_and_no_other_era),
        TEST(test_dispatch_waits_for_a_journal_on_its_way),
        TEST(test_dispatch_first_answer_stands),
        TEST(test_dispatch_token_is_no_answer),
        TEST(test_dispatch_silent_nodes_wait),
        TEST(test_dispatch_without_key),
        TEST(test_dispatch_sites),
        TEST(test_dispatch_old_report_says_nothing),
        TEST(test_dispatch_keeps_credit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
