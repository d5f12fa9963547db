// SPDX-License-Identifier: Apache-2.0
// The root's own code between rounds, cursors and sessions: what it answers, asks, counts and leaves alone. Children
// and broker do only what a test says; node_test.c has whole sites.

#include "meshmeter/root.h"

#include "root_fixture.h"
#include "wire/codec_internal.h"

// Role, log and membership.

static void test_root_refuses_a_site_that_is_no_topic(void **state) {
    (void)state;
    begin(1);
    assert_int_equal(mm_root_init(&s_site.root, mac_of(0), "House 1", &s_site.timing, &s_site.mesh, &s_site.mqtt,
                                  &s_site.log, &world.metering, &world.counters, s_site.batch_memory, 1, 42),
                     MM_ERR_ARG);
}

static void test_root_says_what_it_does(void **state) {
    (void)state;
    begin(1);
    mm_root_start(&s_site.root, true, now_us());
    assert_string_equal(s_site.log_message, "root role taken");
    assert_int_equal(s_site.log_first, 1);
    mm_root_set_router(&s_site.root, false, now_us());
    assert_string_equal(s_site.log_message, "router");
    assert_int_equal(s_site.log_first, 0);
    unsigned log_count = s_site.log_count;
    mm_root_set_router(&s_site.root, false, now_us()); // as it was
    assert_int_equal(s_site.log_count, log_count);
    mm_root_stop(&s_site.root, now_us());
    assert_string_equal(s_site.log_message, "root role lost");
    log_count = s_site.log_count;
    mm_root_set_router(&s_site.root, true, now_us()); // not its business any more
    assert_int_equal(s_site.log_count, log_count);
    assert_int_equal(s_site.root.router_up, false);
}

static void test_root_without_the_role_takes_nothing(void **state) {
    (void)state;
    begin(1);
    say_hello(1);
    answer((answer_t){.index = 1, .round_id = 1, .first_seq = 1});
    assert_int_equal(counted(MM_COUNTER_FRAME_UNEXPECTED), 2);
    mm_root_child_joined(&s_site.root, mac_of(2), now_us());
    mm_root_child_left(&s_site.root, mac_of(2));
    assert_int_equal(s_site.sends, 0);
    for (size_t i = 0; i < MM_NODES_MAX; i++) {
        assert_false(s_site.root.cursors.cursors[i].used);
    }
}

static void test_root_welcomes_with_its_time(void **state) {
    (void)state;
    begin(1);
    know_time();
    mm_root_start(&s_site.root, true, now_us());
    say_hello(1);
    assert_int_equal(s_site.sent_count, 1);
    assert_true(mm_mac_equal(s_site.sent[0].to, mac_of(1)));
    mm_frame_t frame;
    mm_welcome_t welcome;
    assert_int_equal(mm_frame_open(s_site.sent[0].bytes, s_site.sent[0].bytes_count, &frame), MM_OK);
    assert_int_equal(frame.type, MM_FRAME_WELCOME);
    assert_int_equal(mm_frame_read_welcome(&frame, &welcome), MM_OK);
    assert_int_equal(welcome.time.utc.us, BEGIN_S * US);
    assert_int_equal(welcome.time.trust, MM_TRUST_SYNCED);
    // A mesh that takes nothing is counted; the node says hello again.
    s_site.mesh_fails = true;
    say_hello(1);
    assert_int_equal(counted(MM_COUNTER_MESH_SEND_FAILED), 1);
}

static void test_root_counts_damaged_and_foreign_frames(void **state) {
    (void)state;
    begin(1);
    mm_root_start(&s_site.root, true, now_us());
    uint8_t bytes[64];
    mm_writer_t hello = mmi_frame_begin(bytes, sizeof bytes, MM_FRAME_HELLO, mac_of(1));
    mm_put_u16(&hello, 1); // half a boot number
    feed(bytes, mmi_frame_seal(&hello));
    assert_int_equal(counted(MM_COUNTER_FRAME_CORRUPT), 1);
    mm_writer_t short_report = mmi_frame_begin(bytes, sizeof bytes, MM_FRAME_REPORT, mac_of(1));
    mm_put_u16(&short_report, 1); // half a round
    feed(bytes, mmi_frame_seal(&short_report));
    assert_int_equal(counted(MM_COUNTER_FRAME_CORRUPT), 2);
    mm_writer_t torn_report = mmi_frame_begin(bytes, sizeof bytes, MM_FRAME_REPORT, mac_of(1));
    mm_put_u32(&torn_report, 1);
    mm_put_u8(&torn_report, MMI_SECTION_RUN);
    mm_put_u16(&torn_report, 9); // bytes that are not there
    feed(bytes, mmi_frame_seal(&torn_report));
    assert_int_equal(counted(MM_COUNTER_FRAME_CORRUPT), 3);
    const mm_welcome_t welcome = {.time = {{BEGIN_S * US}, MM_TRUST_SYNCED}};
    feed(bytes, mm_frame_write_welcome(bytes, sizeof bytes, mac_of(1), &welcome));
    assert_int_equal(counted(MM_COUNTER_FRAME_UNEXPECTED), 1);
    assert_null(mm_cursor_find(&s_site.root.cursors, mac_of(1))); // none of these makes a member
    assert_int_equal(s_site.sends, 0);
}

static void test_root_full_table_leaves_out_the_newcomer(void **state) {
    (void)state;
    begin(1);
    know_time();
    mm_root_start(&s_site.root, true, now_us());
    for (uint32_t index = 1; index < MM_NODES_MAX; index++) {
        mm_root_child_joined(&s_site.root, mac_of(index), now_us());
    }
    say_hello(MM_NODES_MAX);
    assert_int_equal(counted(MM_COUNTER_NODE_TABLE_FULL), 1);
    assert_int_equal(s_site.sends, 0);
    reach(MM_ROOT_COLLECTING);
    answer((answer_t){.index = MM_NODES_MAX, .round_id = round_id(), .first_seq = 1});
    assert_int_equal(counted(MM_COUNTER_NODE_TABLE_FULL), 2);
    assert_int_equal(counted(MM_COUNTER_ANSWER_STRANGER), 0);
    // The root itself never leaves; a child that did makes room.
    mm_root_child_left(&s_site.root, mac_of(0));
    say_hello(MM_NODES_MAX);
    assert_int_equal(counted(MM_COUNTER_NODE_TABLE_FULL), 3);
    mm_root_child_left(&s_site.root, mac_of(7));
    say_hello(MM_NODES_MAX);
    assert_int_equal(counted(MM_COUNTER_NODE_TABLE_FULL), 3);
    assert_non_null(mm_cursor_find(&s_site.root.cursors, mac_of(MM_NODES_MAX)));
    assert_null(mm_cursor_find(&s_site.root.cursors, mac_of(7)));
}

// Rounds.

static void test_root_without_time_goes_by_the_cycle(void **state) {
    (void)state;
    begin(1);
    mm_root_start(&s_site.root, true, now_us());
    mm_us_t began = now_us();
    reach(MM_ROOT_COLLECTING);
    assert_int_equal(now_us(), began + mm_slot_cycle_us(&s_site.timing.slots) - s_site.timing.round_us);
}

static void test_root_asks_again_what_the_mesh_refused(void **state) {
    (void)state;
    begin(1);
    know_time();
    mm_root_start(&s_site.root, true, now_us());
    mm_root_child_joined(&s_site.root, mac_of(1), now_us());
    s_site.mesh_fails = true;
    reach(MM_ROOT_COLLECTING);
    assert_int_equal(counted(MM_COUNTER_MESH_SEND_FAILED), 1);
    s_site.mesh_fails = false;
    mm_ask_t ask;
    wait_us(s_site.timing.round_retry_us - 1);
    assert_false(find_ask(1, 0, &ask));
    wait_us(1);
    assert_true(find_ask(1, 0, &ask));
    assert_int_equal(ask.round_id, round_id());
    assert_int_equal(ask.report_bytes_max, MM_MESH_FRAME_BYTES_MAX);
    assert_true(ask.with_snapshot);
}

static void test_root_late_answer_changes_nothing(void **state) {
    (void)state;
    begin(1);
    know_time();
    mm_root_start(&s_site.root, true, now_us());
    mm_root_child_joined(&s_site.root, mac_of(1), now_us());
    reach(MM_ROOT_COLLECTING);
    answer((answer_t){.index = 1, .round_id = round_id() + 1, .next_seq = 9, .first_seq = 1, .last_seq = 8});
    assert_int_equal(counted(MM_COUNTER_ANSWER_LATE), 1);
    assert_int_equal(mm_cursor_find(&s_site.root.cursors, mac_of(1))->reported_next.seq, 0);
    assert_true(s_site.root.round.open);
}

// A node that is forgotten while its round is open is not asked again, and nobody waits for it longer than the round.
static void test_root_does_not_ask_whom_it_forgot(void **state) {
    (void)state;
    begin(1);
    know_time();
    s_site.timing.forget_us = MM_US_PER_S;
    mm_root_start(&s_site.root, true, now_us());
    mm_root_child_joined(&s_site.root, mac_of(1), now_us());
    reach(MM_ROOT_COLLECTING);
    assert_int_equal(s_site.sends, 1);
    mm_root_child_left(&s_site.root, mac_of(1));
    wait_us(s_site.timing.round_retry_us);
    assert_null(mm_cursor_find(&s_site.root.cursors, mac_of(1)));
    assert_int_equal(s_site.sends, 1);
    wait_us(s_site.timing.round_us);
    assert_int_equal(s_site.root.phase, MM_ROOT_READY);
    assert_int_equal(counted(MM_COUNTER_ROUND_INCOMPLETE), 1);
}

static void test_root_round_ids_skip_zero(void **state) {
    (void)state;
    begin(1);
    know_time();
    mm_root_start(&s_site.root, true, now_us());
    s_site.root.next_round_id = UINT32_MAX;
    reach(MM_ROOT_COLLECTING);
    assert_int_equal(round_id(), UINT32_MAX);
    open_session();
    puback(0);
    reach(MM_ROOT_IDLE);
    reach(MM_ROOT_COLLECTING);
    assert_int_equal(round_id(), 1); // 0 would be "no round yet"
}

// 100 nodes fill ten batches; who did not answer is named once, in the first of them.
static void test_root_large_site_in_one_round(void **state) {
    (void)state;
    begin(MM_BATCHES_MAX);
    know_time();
    mm_root_start(&s_site.root, true, now_us());
    for (uint32_t index = 1; index < MM_NODES_MAX; index++) {
        mm_root_child_joined(&s_site.root, mac_of(index), now_us());
    }
    reach(MM_ROOT_COLLECTING);
    assert_int_equal(s_site.root.round.node_count, MM_NODES_MAX);
    for (uint32_t index = 1; index < MM_NODES_MAX; index++) {
        if (index != 17) {
            answer((answer_t){
                .index = index, .round_id = round_id(), .next_seq = 1000 + index, .first_seq = 1, .last_seq = 3});
        }
    }
    open_session();
    for (size_t message = 0; message < MM_BATCHES_MAX; message++) {
        puback(message);
    }
    assert_true(s_site.published_count >= MM_BATCHES_MAX);
    for (size_t message = 0; message < MM_BATCHES_MAX; message++) {
        const mm_batch_header_t *header = &s_site.published[message];
        assert_int_equal(header->kind, MM_BATCH_LIVE);
        assert_int_equal(header->batch_index, message);
        assert_int_equal(header->batch_count, MM_BATCHES_MAX);
        assert_int_equal(header->missing_count, message == 0 ? 1 : 0);
    }
    assert_true(mm_mac_equal(s_site.published[0].missing[0], mac_of(17)));
    assert_int_equal(mm_cursor_after(mm_cursor_find(&s_site.root.cursors, mac_of(99))).seq, 3);
    // 98 nodes have more: the drain takes ten at a time, the largest backlog first.
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAIN_ROUND);
    assert_int_equal(s_site.root.round.node_count, MM_BATCH_NODES_MAX);
    assert_true(mm_mac_equal(s_site.root.round.nodes[0], mac_of(99)));
}

// Draining.

// A live round with one child that has next_seq - 1 records and sent the first ten, in an open session.
static void begin_drain(uint32_t next_seq) {
    begin(1);
    know_time();
    mm_root_start(&s_site.root, true, now_us());
    mm_root_child_joined(&s_site.root, mac_of(1), now_us());
    reach(MM_ROOT_COLLECTING);
    answer((answer_t){.index = 1, .round_id = round_id(), .next_seq = next_seq, .first_seq = 1, .last_seq = 10});
    open_session();
    assert_int_equal(s_site.published_count, 1);
}

static void expect_drain_behind(uint32_t seq, size_t from) {
    mm_ask_t ask;
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAIN_ROUND);
    assert_true(find_ask(1, from, &ask));
    assert_false(ask.with_snapshot);
    assert_int_equal(ask.after.epoch, 1);
    assert_int_equal(ask.after.seq, seq);
}

static void test_root_does_not_collect_twice_what_is_under_way(void **state) {
    (void)state;
    begin_drain(11);
    // All of it is in the message that nobody confirmed yet: nothing to ask for.
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAINED);
    assert_int_equal(mm_cursor_after(mm_cursor_find(&s_site.root.cursors, mac_of(1))).seq, 0);
    puback(0);
    assert_int_equal(mm_cursor_after(mm_cursor_find(&s_site.root.cursors, mac_of(1))).seq, 10);
}

static void test_root_drain_goes_on_behind_the_furthest_collected(void **state) {
    (void)state;
    begin_drain(1000);
    expect_drain_behind(10, 0);
    size_t from = s_site.sent_count;
    answer((answer_t){.index = 1, .round_id = round_id(), .first_seq = 11, .last_seq = 20});
    poll_root();
    expect_drain_behind(20, from);
    from = s_site.sent_count;
    answer((answer_t){.index = 1, .round_id = round_id(), .first_seq = 21, .last_seq = 30});
    poll_root();
    assert_int_equal(s_site.published_count, 3);
    expect_drain_behind(30, from);
    // The first message is confirmed, its receipt is free for the next one: the order of receipts says nothing.
    puback(0);
    from = s_site.sent_count;
    answer((answer_t){.index = 1, .round_id = round_id(), .first_seq = 31, .last_seq = 40});
    poll_root();
    expect_drain_behind(40, from);
    assert_int_equal(s_site.published[3].kind, MM_BATCH_BACKLOG);
}

static void test_root_asks_a_drained_node_no_more_in_this_session(void **state) {
    (void)state;
    begin_drain(1000);
    expect_drain_behind(10, 0);
    size_t from = s_site.sent_count;
    answer((answer_t){.index = 1, .round_id = round_id(), .first_seq = 1}); // it says 999 records, and has none
    poll_root();
    mm_ask_t ask;
    assert_false(find_ask(1, from, &ask));
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAINED);
    assert_int_equal(s_site.published_count, 1);
    // The next session tries again.
    puback(0);
    reach(MM_ROOT_IDLE);
    reach(MM_ROOT_COLLECTING);
    answer((answer_t){.index = 1, .round_id = round_id(), .next_seq = 1000, .first_seq = 11, .last_seq = 20});
    from = s_site.sent_count;
    open_session();
    expect_drain_behind(20, from);
}

// Two rounds that bring nothing are enough: the session does not wait for a silent node to its end.
static void test_root_drain_gives_up_on_silence(void **state) {
    (void)state;
    begin_drain(1000);
    uint32_t first = round_id();
    puback(0);
    wait_us(s_site.timing.drain_us);
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAIN_ROUND);
    assert_int_equal(round_id(), first + 1);
    wait_us(s_site.timing.drain_us);
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAINED);
    assert_int_equal(round_id(), first + 1);
    assert_int_equal(s_site.published_count, 1);
    assert_int_equal(counted(MM_COUNTER_ROUND_INCOMPLETE), 2);
}

// Without a receipt a message confirms nothing: the records are collected again.
static void test_root_without_room_for_a_receipt_moves_no_cursor(void **state) {
    (void)state;
    begin(1);
    know_time();
    mm_root_start(&s_site.root, true, now_us());
    mm_root_child_joined(&s_site.root, mac_of(1), now_us());
    reach(MM_ROOT_COLLECTING);
    for (size_t i = 0; i < MM_RECEIPTS_MAX; i++) {
        s_site.root.receipts[i].token = UINT32_MAX;
    }
    answer((answer_t){.index = 1, .round_id = round_id(), .next_seq = 11, .first_seq = 1, .last_seq = 10});
    open_session();
    puback(0);
    assert_int_equal(mm_cursor_after(mm_cursor_find(&s_site.root.cursors, mac_of(1))).seq, 0);
    reach(MM_ROOT_IDLE);
    size_t from = s_site.sent_count;
    reach(MM_ROOT_COLLECTING);
    mm_ask_t ask;
    assert_true(find_ask(1, from, &ask));
    assert_int_equal(ask.after.seq, 0);
}

// What HQ says.

static size_t write_ack(uint8_t *bytes, size_t capacity, uint64_t revision, uint32_t index, uint32_t seq) {
    mm_ack_t ack = {.database_id = 5, .revision = revision, .entry_count = 1};
    ack.entries[0] = (mm_ack_entry_t){mac_of(index), {1, seq}};
    size_t size = mm_ack_write(bytes, capacity, &ack);
    assert_true(size > 0);
    return size;
}

static void test_root_takes_watermarks_of_this_session_only(void **state) {
    (void)state;
    static const char topic[] = "meter/house-1/ack";
    begin_drain(11);
    const mm_cursor_t *child = mm_cursor_find(&s_site.root.cursors, mac_of(1));
    uint8_t bytes[256];
    size_t size = write_ack(bytes, sizeof bytes, 10, 1, 4);
    downlink(topic, s_site.session + 1, bytes, size);
    assert_false(child->has_watermark);
    downlink(topic, s_site.session, bytes, 0); // the blank that clears a retained message
    downlink(topic, s_site.session, NULL, MM_DOWNLINK_BYTES_MAX + 1);
    assert_int_equal(counted(MM_COUNTER_DOWNLINK_TOO_LARGE), 1);
    downlink(topic, s_site.session, bytes, size - 1);
    assert_int_equal(counted(MM_COUNTER_DOWNLINK_CORRUPT), 1);
    downlink("meter/house-1/other", s_site.session, bytes, size);
    assert_int_equal(counted(MM_COUNTER_FRAME_UNKNOWN), 1);
    assert_false(child->has_watermark);
    downlink(topic, s_site.session, bytes, size);
    assert_true(child->has_watermark);
    assert_int_equal(child->watermark.seq, 4);
    downlink(topic, s_site.session, bytes, write_ack(bytes, sizeof bytes, 9, 1, 2)); // an older one
    assert_int_equal(child->watermark.seq, 4);
    assert_int_equal(counted(MM_COUNTER_DOWNLINK_CORRUPT), 1);
    mm_root_stop(&s_site.root, now_us());
    downlink(topic, s_site.session, bytes, write_ack(bytes, sizeof bytes, 11, 1, 8));
    assert_int_equal(child->watermark.seq, 4);
}

static void test_root_takes_its_own_watermark_home(void **state) {
    (void)state;
    begin_drain(11);
    mm_position_t next = mm_journal_next(&world.journal);
    assert_true(next.seq > 2); // boot, time, role
    uint8_t bytes[256];
    downlink("meter/house-1/ack", s_site.session, bytes, write_ack(bytes, sizeof bytes, 10, 1, 4));
    assert_int_equal(world.metering.watermark.seq, 0); // not a word of the root itself
    downlink("meter/house-1/ack", s_site.session, bytes, write_ack(bytes, sizeof bytes, 11, 0, next.seq - 1));
    assert_int_equal(world.metering.watermark.seq, next.seq - 1);
    assert_int_equal(mm_journal_backlog(&world.journal), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root_refuses_a_site_that_is_no_topic),
        cmocka_unit_test(test_root_says_what_it_does),
        cmocka_unit_test(test_root_without_the_role_takes_nothing),
        cmocka_unit_test(test_root_welcomes_with_its_time),
        cmocka_unit_test(test_root_counts_damaged_and_foreign_frames),
        cmocka_unit_test(test_root_full_table_leaves_out_the_newcomer),
        cmocka_unit_test(test_root_without_time_goes_by_the_cycle),
        cmocka_unit_test(test_root_asks_again_what_the_mesh_refused),
        cmocka_unit_test(test_root_late_answer_changes_nothing),
        cmocka_unit_test(test_root_does_not_ask_whom_it_forgot),
        cmocka_unit_test(test_root_round_ids_skip_zero),
        cmocka_unit_test(test_root_large_site_in_one_round),
        cmocka_unit_test(test_root_does_not_collect_twice_what_is_under_way),
        cmocka_unit_test(test_root_drain_goes_on_behind_the_furthest_collected),
        cmocka_unit_test(test_root_asks_a_drained_node_no_more_in_this_session),
        cmocka_unit_test(test_root_drain_gives_up_on_silence),
        cmocka_unit_test(test_root_without_room_for_a_receipt_moves_no_cursor),
        cmocka_unit_test(test_root_takes_watermarks_of_this_session_only),
        cmocka_unit_test(test_root_takes_its_own_watermark_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
