// SPDX-License-Identifier: Apache-2.0
// Commands on their way through the root: which batch it keeps, whom it asks, and that the answer goes out in the same
// session. The root opens none of them, so their seals are made with a function that only looks like one.

#include "meshmeter/root.h"

#include "meshmeter/crc32.h"
#include "root_fixture.h"

#define TOPIC "meter/house-1/cmd"
#define NOBODY UINT32_MAX

typedef struct {
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
    size_t bytes_count;
} message_t;

static mm_err_t seal(void *context, const void *bytes, size_t bytes_count, uint8_t mac[MM_HMAC_BYTES]) {
    (void)context;
    uint32_t crc = mm_crc32(0, bytes, bytes_count);
    for (size_t i = 0; i < MM_HMAC_BYTES; i++) {
        mac[i] = (uint8_t)(crc >> (8 * (i % 4)));
    }
    return MM_OK;
}

// One command for each of `count` nodes from `first` on; what it says depends on `id` alone.
static message_t make_batch(uint64_t database_id, uint64_t revision, uint32_t first, uint8_t count, uint64_t id) {
    static const mm_crypto_t crypto = {.device_hmac = seal};
    static uint8_t s_commands[MM_COMMAND_BATCH_MAX][MM_COMMAND_BYTES_MAX];
    mm_command_batch_t batch = {.database_id = database_id, .revision = revision, .count = count};
    for (uint8_t i = 0; i < count; i++) {
        const mm_command_t command = {.node = mac_of(first + i),
                                      .era = 77,
                                      .counter = (uint32_t)id,
                                      .id = id,
                                      .kind = MM_COMMAND_LOCK,
                                      .channel = (uint8_t)(id % MM_CHANNELS)};
        size_t size = mm_command_seal(s_commands[i], sizeof s_commands[i], &command, &crypto);
        assert_true(size > 0);
        batch.commands[i].bytes = s_commands[i];
        batch.commands[i].bytes_count = (uint16_t)size;
    }
    message_t message;
    message.bytes_count = mm_command_batch_write(message.bytes, sizeof message.bytes, &batch);
    assert_true(message.bytes_count > 0);
    return message;
}

static void bring(const message_t *message) {
    downlink(TOPIC, s_site.session, message->bytes, message->bytes_count);
    poll_root();
}

static void bring_one(uint64_t revision, uint32_t index, uint64_t id) {
    message_t message = make_batch(5, revision, index, 1, id);
    bring(&message);
}

static void bring_blank(void) {
    downlink(TOPIC, s_site.session, (const uint8_t *)"", 0);
    poll_root();
}

// How many commands the newest ask to this child since `from` carries, and the id of the first one; NOBODY: no ask.
static uint32_t asked_commands(uint32_t index, size_t from, uint64_t *id) {
    for (size_t i = s_site.sent_count; i > from; i--) {
        const sent_t *sent = &s_site.sent[i - 1];
        mm_frame_t frame;
        assert_int_equal(mm_frame_open(sent->bytes, sent->bytes_count, &frame), MM_OK);
        if (frame.type != MM_FRAME_ASK || !mm_mac_equal(sent->to, mac_of(index))) {
            continue;
        }
        mm_ask_commands_t commands;
        mm_ask_commands_begin(&frame, &commands);
        const uint8_t *bytes = NULL;
        size_t bytes_count = 0;
        uint32_t count = 0;
        while (mm_ask_commands_next(&commands, &bytes, &bytes_count)) {
            mm_command_t command;
            assert_int_equal(mm_command_read(bytes, bytes_count, &command), MM_OK);
            assert_true(mm_mac_equal(command.node, mac_of(index))); // never another one's
            *id = count == 0 ? command.id : *id;
            count++;
        }
        return count;
    }
    return NOBODY;
}

static void expect_asked(uint32_t index, size_t from, uint64_t expected_id) {
    uint64_t id = 0;
    assert_int_equal(asked_commands(index, from, &id), 1);
    assert_int_equal(id, expected_id);
}

static void expect_not_asked(uint32_t index, size_t from) {
    uint64_t id = 0;
    assert_int_equal(asked_commands(index, from, &id), NOBODY);
}

// Children 1 … count that have 10 records and sent them, in an open session; all is published.
static void begin_session(uint32_t count, uint8_t batch_capacity) {
    begin(batch_capacity);
    know_time();
    mm_root_start(&s_site.root, true, now_us());
    for (uint32_t index = 1; index <= count; index++) {
        mm_root_child_joined(&s_site.root, mac_of(index), now_us());
    }
    reach(MM_ROOT_COLLECTING);
    for (uint32_t index = 1; index <= count; index++) {
        answer((answer_t){.index = index, .round_id = round_id(), .next_seq = 11, .first_seq = 1, .last_seq = 10});
    }
    open_session();
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DRAINING);
}

static void confirm_all(void) {
    for (size_t message = 0; message < s_site.published_count; message++) {
        bool in_flight = false;
        for (size_t i = 0; i < MM_SESSION_WINDOW; i++) {
            in_flight = in_flight || s_site.root.uplink.inflight[i].packet_id == s_site.published_ids[message];
        }
        if (in_flight) {
            puback(message);
        }
    }
}

static void reach_dwelling(uint32_t count, uint8_t batch_capacity) {
    begin_session(count, batch_capacity);
    confirm_all();
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
}

// The child has taken the command: its journal has one record more, which is in the answer.
static void answer_with_result(uint32_t index, uint32_t seq) {
    answer((answer_t){.index = index, .round_id = round_id(), .next_seq = seq + 1, .first_seq = seq, .last_seq = seq});
    poll_root();
}

static void end_session(void) {
    reach(MM_ROOT_IDLE);
    s_site.session = 0;
}

static void reach_live_round(void) {
    end_session();
    reach(MM_ROOT_COLLECTING);
}

// --- the answer in the same session --------------------------------------------------------------
static void test_command_is_answered_in_its_session(void **state) {
    (void)state;
    reach_dwelling(2, 1);
    assert_int_equal(s_site.published_count, 1);
    uint32_t session = s_site.session;
    size_t from = s_site.sent_count;
    bring_one(1, 1, 9);
    assert_int_equal(s_site.root.phase, MM_ROOT_COMMAND_ROUND);
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DRAINING);
    expect_asked(1, from, 9);
    expect_not_asked(2, from); // exactly the nodes of the commands
    mm_ask_t ask;
    assert_true(find_ask(1, from, &ask));
    assert_true(ask.with_snapshot); // what the command changed is seen at once
    assert_int_equal(ask.after.seq, 10);
    answer_with_result(1, 11);
    assert_int_equal(s_site.published_count, 2);
    assert_int_equal(s_site.published[1].session, session);
    assert_int_equal(s_site.published[1].kind, MM_BATCH_BACKLOG);
    assert_int_equal(s_site.published[1].missing_count, 0);
    puback(1);
    assert_int_equal(mm_cursor_after(mm_cursor_find(&s_site.root.cursors, mac_of(1))).seq, 11);
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
    assert_int_equal(s_site.root.uplink.deadline, now_us() + s_site.timing.uplink.dwell_us);
    // The session ends as usual, and everybody knows that it was one.
    reach(MM_ROOT_IDLE);
    mqtt_event(MM_MQTT_DISCONNECTED, 0);
    assert_int_equal(s_site.root.sessions_made, 1);
    assert_int_equal(s_site.root.sessions_clean, 1);
}

// Retained messages come right behind the SUBACK: the live batches are on their way, and nothing was confirmed.
static void test_command_that_comes_first_waits_for_no_puback(void **state) {
    (void)state;
    begin_session(1, 1);
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAINED);
    size_t from = s_site.sent_count;
    bring_one(1, 1, 9);
    expect_asked(1, from, 9);
    answer_with_result(1, 11);
    assert_int_equal(s_site.published_count, 2);
    confirm_all();
    assert_int_equal(mm_cursor_after(mm_cursor_find(&s_site.root.cursors, mac_of(1))).seq, 11);
}

static void test_command_goes_before_the_backlog(void **state) {
    (void)state;
    begin(1);
    know_time();
    mm_root_start(&s_site.root, true, now_us());
    mm_root_child_joined(&s_site.root, mac_of(1), now_us());
    mm_root_child_joined(&s_site.root, mac_of(2), now_us());
    reach(MM_ROOT_COLLECTING);
    answer((answer_t){.index = 1, .round_id = round_id(), .next_seq = 1000, .first_seq = 1, .last_seq = 10});
    answer((answer_t){.index = 2, .round_id = round_id(), .next_seq = 11, .first_seq = 1, .last_seq = 10});
    open_session();
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAIN_ROUND);
    bring_one(1, 2, 9);
    // The round that is open goes on; its node's answer is not lost.
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAIN_ROUND);
    size_t from = s_site.sent_count;
    answer((answer_t){.index = 1, .round_id = round_id(), .first_seq = 11, .last_seq = 20});
    poll_root();
    assert_int_equal(s_site.root.phase, MM_ROOT_COMMAND_ROUND);
    expect_asked(2, from, 9);
    expect_not_asked(1, from);
    answer_with_result(2, 11);
    assert_int_equal(s_site.published_count, 3);
    // And then the backlog.
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAIN_ROUND);
    assert_true(mm_mac_equal(s_site.root.round.nodes[0], mac_of(1)));
}

// A node that had nothing more is asked again, and goes on as a member of the drain if its answer had no room.
static void test_command_for_a_drained_node(void **state) {
    (void)state;
    begin(1);
    know_time();
    mm_root_start(&s_site.root, true, now_us());
    mm_root_child_joined(&s_site.root, mac_of(1), now_us());
    reach(MM_ROOT_COLLECTING);
    answer((answer_t){.index = 1, .round_id = round_id(), .next_seq = 1000, .first_seq = 1, .last_seq = 10});
    open_session();
    answer((answer_t){.index = 1, .round_id = round_id(), .first_seq = 1}); // it says 999 records, and has none
    poll_root();
    confirm_all();
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAINED);
    size_t from = s_site.sent_count;
    bring_one(1, 1, 9);
    expect_asked(1, from, 9);
    from = s_site.sent_count;
    answer((answer_t){.index = 1, .round_id = round_id(), .next_seq = 12, .first_seq = 1}); // a snapshot, no records
    poll_root();
    assert_int_equal(s_site.published_count, 2); // the snapshot goes out
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAIN_ROUND);
    expect_asked(1, from, 9); // every ask carries it
    answer((answer_t){.index = 1, .round_id = round_id(), .first_seq = 11, .last_seq = 11});
    poll_root();
    assert_int_equal(s_site.published_count, 3);
}

static void test_command_is_asked_again_when_the_ask_is_lost(void **state) {
    (void)state;
    reach_dwelling(1, 1);
    s_site.mesh_fails = true;
    bring_one(1, 1, 9);
    assert_int_equal(counted(MM_COUNTER_MESH_SEND_FAILED), 1);
    s_site.mesh_fails = false;
    size_t from = s_site.sent_count;
    wait_us(s_site.timing.drain_retry_us);
    expect_asked(1, from, 9);
    answer_with_result(1, 11);
    assert_int_equal(s_site.published_count, 2);
}

static void test_command_for_a_silent_node_comes_with_the_next_live_round(void **state) {
    (void)state;
    reach_dwelling(1, 1);
    size_t from = s_site.sent_count;
    bring_one(1, 1, 9);
    wait_us(s_site.timing.drain_us);
    assert_true(s_site.sent_count - from <= 3); // a round asks three times at most
    assert_int_equal(s_site.published_count, 1);
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAINED);
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
    // The same batch again is no news.
    from = s_site.sent_count;
    bring_one(1, 1, 9);
    expect_not_asked(1, from);
    reach_live_round();
    expect_asked(1, from, 9);
    // And so on, until HQ takes it out.
    open_session();
    confirm_all();
    bring_one(2, 2, 10);
    reach_live_round();
    uint64_t id = 0;
    assert_int_equal(asked_commands(1, from, &id), 0);
}

static void test_command_for_a_node_that_is_not_in_the_mesh(void **state) {
    (void)state;
    reach_dwelling(1, 1);
    mm_us_t dwell_end = s_site.root.uplink.deadline;
    size_t from = s_site.sent_count;
    bring_one(1, 7, 9);
    expect_not_asked(7, from);
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
    assert_true(s_site.root.uplink.deadline >= dwell_end);
    mm_root_child_joined(&s_site.root, mac_of(7), now_us());
    mm_root_child_left(&s_site.root, mac_of(7));
    bring_one(2, 7, 10); // known, but away
    expect_not_asked(7, from);
    mm_root_child_joined(&s_site.root, mac_of(7), now_us());
    reach_live_round();
    expect_asked(7, from, 10);
}

// HQ takes out what is answered, and adds: only what was added is worth a round.
static void test_command_round_for_news_only(void **state) {
    (void)state;
    reach_dwelling(4, 1);
    message_t message = make_batch(5, 1, 1, 3, 9);
    bring(&message);
    for (uint32_t index = 1; index <= 3; index++) {
        answer_with_result(index, 11);
    }
    confirm_all();
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAINED);
    size_t from = s_site.sent_count;
    message = make_batch(5, 2, 2, 2, 9); // without the first
    bring(&message);
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
    assert_int_equal(s_site.sent_count, from);
    message = make_batch(5, 3, 2, 3, 9); // one more
    bring(&message);
    expect_asked(4, from, 9);
    expect_not_asked(2, from);
    expect_not_asked(3, from);
}

// --- how many ------------------------------------------------------------------------------------
static void test_command_batch_without_commands(void **state) {
    (void)state;
    reach_dwelling(1, 1);
    bring_one(1, 1, 9);
    answer_with_result(1, 11);
    confirm_all();
    size_t from = s_site.sent_count;
    message_t message = make_batch(5, 2, 1, 0, 0);
    bring(&message);
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
    reach_live_round();
    uint64_t id = 0;
    assert_int_equal(asked_commands(1, from, &id), 0);
}

static void expect_all_asked_once(uint32_t count, size_t from) {
    for (uint32_t index = 1; index <= count; index++) {
        expect_asked(index, from, 9);
    }
    assert_int_equal(s_site.sent_count - from, count);
}

static void test_command_batch_for_40_nodes(void **state) {
    (void)state;
    // With room for four batches it is one round, with room for one it is four.
    for (uint8_t batch_capacity = 1; batch_capacity <= 4; batch_capacity = (uint8_t)(batch_capacity + 3)) {
        begin(batch_capacity);
        know_time();
        mm_root_start(&s_site.root, true, now_us());
        for (uint32_t index = 1; index <= MM_COMMAND_BATCH_MAX; index++) {
            mm_root_child_joined(&s_site.root, mac_of(index), now_us());
        }
        open_session();
        confirm_all();
        assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
        size_t from = s_site.sent_count;
        size_t published = s_site.published_count;
        message_t message = make_batch(5, 1, 1, MM_COMMAND_BATCH_MAX, 9);
        bring(&message);
        uint32_t rounds = 0;
        for (uint32_t index = 1; index <= MM_COMMAND_BATCH_MAX; index++) {
            rounds += s_site.root.round.open && mm_mac_equal(s_site.root.round.nodes[0], mac_of(index)) ? 1 : 0;
            answer_with_result(index, 1);
            confirm_all();
        }
        assert_int_equal(rounds, MM_COMMAND_BATCH_MAX / MM_BATCH_NODES_MAX / batch_capacity);
        expect_all_asked_once(MM_COMMAND_BATCH_MAX, from);
        assert_int_equal(s_site.published_count - published, MM_COMMAND_BATCH_MAX / MM_BATCH_NODES_MAX);
        assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
        assert_int_equal(s_site.root.commands.news, 0);
    }
}

// Drain until only `left` of the session's messages are left.
static void use_messages(uint8_t left, uint8_t batch_capacity, uint32_t more_nodes) {
    begin(batch_capacity);
    know_time();
    mm_root_start(&s_site.root, true, now_us());
    for (uint32_t index = 1; index <= 1 + more_nodes; index++) {
        mm_root_child_joined(&s_site.root, mac_of(index), now_us());
    }
    reach(MM_ROOT_COLLECTING);
    answer((answer_t){.index = 1, .round_id = round_id(), .next_seq = 10000, .first_seq = 1, .last_seq = 10});
    open_session();
    confirm_all();
    uint32_t seq = 10;
    while (MM_SESSION_MESSAGES_MAX - s_site.root.uplink.messages_sent > left) {
        assert_int_equal(s_site.root.phase, MM_ROOT_DRAIN_ROUND);
        answer((answer_t){.index = 1, .round_id = round_id(), .first_seq = seq + 1, .last_seq = seq + 10});
        poll_root();
        seq += 10;
        confirm_all();
    }
}

static void test_command_behind_the_last_message_waits_for_the_live_round(void **state) {
    (void)state;
    use_messages(0, 1, 0);
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
    assert_int_equal(s_site.published_count, MM_SESSION_MESSAGES_MAX);
    size_t from = s_site.sent_count;
    bring_one(1, 1, 9);
    expect_not_asked(1, from);
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
    reach_live_round();
    expect_asked(1, from, 9);
    assert_int_equal(s_site.published_count, MM_SESSION_MESSAGES_MAX);
    // In the next session it is no news: the live round has asked.
    open_session();
    confirm_all();
    from = s_site.sent_count;
    bring_one(1, 1, 9);
    assert_int_not_equal(s_site.root.phase, MM_ROOT_COMMAND_ROUND);
}

// With one message left, ten nodes are asked, however many batches there is memory for.
static void test_command_round_asks_no_more_than_can_be_published(void **state) {
    (void)state;
    use_messages(1, 4, 29);
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAIN_ROUND);
    message_t message = make_batch(5, 1, 2, 29, 9);
    bring(&message);
    wait_us(s_site.timing.drain_us); // the drain brings nothing
    assert_int_equal(s_site.root.phase, MM_ROOT_COMMAND_ROUND);
    assert_int_equal(s_site.root.round.node_count, MM_BATCH_NODES_MAX);
    for (uint32_t index = 2; index < 2 + MM_BATCH_NODES_MAX; index++) {
        answer_with_result(index, 1);
    }
    assert_int_equal(s_site.published_count, MM_SESSION_MESSAGES_MAX);
    confirm_all();
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
    size_t from = s_site.sent_count;
    reach_live_round();
    expect_asked(30, from, 9);
}

// A broker with news every half second: the session ends when its time is over.
static void test_command_news_without_an_end(void **state) {
    (void)state;
    reach_dwelling(1, 1);
    mm_us_t session_end = s_site.root.uplink.session_deadline;
    uint64_t revision = 0;
    while (s_site.root.uplink.state == MM_UPLINK_DWELLING || s_site.root.uplink.state == MM_UPLINK_DRAINING) {
        assert_true(now_us() <= session_end);
        revision++;
        bring_one(revision, 1, 100 + revision);
        wait_us(MM_US_PER_S / 2); // the node does not answer
    }
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_CLOSING);
    assert_true(now_us() >= session_end);
    assert_true(revision > 100);
    assert_int_equal(s_site.published_count, 1);
}

static void test_command_broker_that_never_sends(void **state) {
    (void)state;
    reach_dwelling(1, 1);
    size_t from = s_site.sent_count;
    mm_us_t dwell_end = now_us() + s_site.timing.uplink.dwell_us;
    assert_int_equal(s_site.root.uplink.deadline, dwell_end);
    wait_us(s_site.timing.uplink.dwell_us);
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_CLOSING);
    reach_live_round();
    uint64_t id = 0;
    assert_int_equal(asked_commands(1, from, &id), 0);
}

// --- which batch ---------------------------------------------------------------------------------
static void expect_live_round_with(uint64_t id) {
    size_t from = s_site.sent_count;
    reach_live_round();
    if (id == 0) {
        uint64_t found = 0;
        assert_int_equal(asked_commands(1, from, &found), 0);
    } else {
        expect_asked(1, from, id);
    }
}

static void test_command_batch_of_an_older_revision(void **state) {
    (void)state;
    reach_dwelling(1, 1);
    bring_one(8, 1, 80);
    answer_with_result(1, 11);
    confirm_all();
    bring_one(7, 1, 70);
    assert_int_equal(counted(MM_COUNTER_COMMANDS_OLD), 1);
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
    bring_one(8, 1, 70); // HQ counts whatever it changes
    assert_int_equal(counted(MM_COUNTER_COMMANDS_OLD), 1);
    expect_live_round_with(80);
    open_session();
    confirm_all();
    // Another database has revisions of its own.
    size_t from = s_site.sent_count;
    message_t message = make_batch(6, 1, 1, 1, 60);
    bring(&message);
    expect_asked(1, from, 60);
    message = make_batch(6, 0, 1, 1, 50);
    bring(&message);
    assert_int_equal(counted(MM_COUNTER_COMMANDS_OLD), 2);
}

// HQ counts behind what the root has: its clock was wrong before it was restored, or somebody else has published.
static void test_command_batch_that_stays_older_is_hqs(void **state) {
    (void)state;
    reach_dwelling(1, 1);
    bring_one(800, 1, 80);
    answer_with_result(1, 11);
    confirm_all();
    for (int session = 0; session < MM_ROOT_OLD_SESSIONS; session++) {
        expect_live_round_with(80);
        answer_with_result(1, 12 + (uint32_t)session);
        open_session();
        confirm_all();
        bring_one(7, 1, 70);
        assert_int_equal(counted(MM_COUNTER_COMMANDS_OLD), session + 1);
    }
    expect_live_round_with(80);
    answer_with_result(1, 20);
    open_session();
    confirm_all();
    size_t from = s_site.sent_count;
    bring_one(7, 1, 70);
    expect_asked(1, from, 70);
    answer_with_result(1, 21);
    confirm_all();
    from = s_site.sent_count;
    bring_one(8, 1, 81);
    expect_asked(1, from, 81);
}

static void test_command_blank_clears(void **state) {
    (void)state;
    reach_dwelling(1, 1);
    bring_blank(); // there is nothing to clear
    bring_one(8, 1, 80);
    bring_blank();
    assert_int_equal(s_site.root.commands.bytes_count, 0);
    answer_with_result(1, 11);
    confirm_all();
    // Nobody takes back to the mesh what HQ has cleared.
    size_t from = s_site.sent_count;
    bring_one(7, 1, 70);
    bring_one(8, 1, 80);
    assert_int_equal(s_site.sent_count, from);
    assert_int_equal(counted(MM_COUNTER_COMMANDS_OLD), 2);
    expect_live_round_with(0);
    open_session();
    confirm_all();
    from = s_site.sent_count;
    bring_one(9, 1, 90);
    expect_asked(1, from, 90);
}

static void test_command_blank_while_nodes_are_to_be_asked(void **state) {
    (void)state;
    begin_session(2, 1);
    s_site.root.phase = MM_ROOT_DRAINED;
    message_t message = make_batch(5, 1, 1, 2, 9);
    downlink(TOPIC, s_site.session, message.bytes, message.bytes_count);
    downlink(TOPIC, s_site.session, (const uint8_t *)"", 0);
    size_t from = s_site.sent_count;
    poll_root();
    assert_int_equal(s_site.sent_count, from);
    assert_int_equal(s_site.root.phase, MM_ROOT_DRAINED);
}

static void test_command_batch_that_cannot_be_used(void **state) {
    (void)state;
    reach_dwelling(1, 1);
    bring_one(8, 1, 80);
    answer_with_result(1, 11);
    confirm_all();
    size_t from = s_site.sent_count;
    message_t message = make_batch(5, 9, 1, 1, 90);
    static uint8_t s_large[MM_DOWNLINK_BYTES_MAX + 1];
    downlink(TOPIC, s_site.session, NULL, sizeof s_large); // as a port says it
    downlink(TOPIC, s_site.session, s_large, sizeof s_large);
    assert_int_equal(counted(MM_COUNTER_DOWNLINK_TOO_LARGE), 2);
    uint32_t refused = 0;
    for (size_t i = 0; i < message.bytes_count; i++) {
        downlink(TOPIC, s_site.session, message.bytes, i == 0 ? 1 : i); // cut off
        refused++;
    }
    assert_int_equal(counted(MM_COUNTER_DOWNLINK_CORRUPT) + counted(MM_COUNTER_FRAME_VERSION), refused);
    assert_int_equal(s_site.sent_count, from);
    // Of an earlier session: not even counted.
    downlink(TOPIC, s_site.session + 1, message.bytes, message.bytes_count);
    poll_root();
    assert_int_equal(s_site.sent_count, from);
    // What it had stays, and the session goes on.
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
    expect_live_round_with(80);
    assert_int_equal(s_site.root.sessions_clean, 1);
}

static void test_command_batch_of_a_later_version(void **state) {
    (void)state;
    reach_dwelling(1, 1);
    message_t message = make_batch(5, 9, 1, 1, 90);
    message.bytes[2]++; // behind the magic
    uint32_t crc = mm_crc32(0, message.bytes, message.bytes_count - 4);
    for (size_t i = 0; i < 4; i++) {
        message.bytes[message.bytes_count - 4 + i] = (uint8_t)(crc >> (8 * i));
    }
    size_t from = s_site.sent_count;
    bring(&message);
    assert_int_equal(counted(MM_COUNTER_FRAME_VERSION), 1);
    assert_int_equal(s_site.sent_count, from);
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
}

static void test_command_batch_goes_with_the_role(void **state) {
    (void)state;
    reach_dwelling(1, 1);
    bring_one(8, 1, 80);
    mm_root_stop(&s_site.root, now_us());
    message_t message = make_batch(5, 9, 1, 1, 90);
    downlink(TOPIC, s_site.session, message.bytes, message.bytes_count);
    mm_root_start(&s_site.root, true, now_us());
    mm_root_child_joined(&s_site.root, mac_of(1), now_us());
    size_t from = s_site.sent_count;
    reach(MM_ROOT_COLLECTING);
    uint64_t id = 0;
    assert_int_equal(asked_commands(1, from, &id), 0);
    // A root that knows nothing believes the broker; the node does not.
    open_session();
    confirm_all();
    from = s_site.sent_count;
    bring_one(7, 1, 70);
    expect_asked(1, from, 70);
    // The router's loss is not the role's.
    mm_root_set_router(&s_site.root, false, now_us());
    mm_root_set_router(&s_site.root, true, now_us());
    from = s_site.sent_count;
    reach(MM_ROOT_COLLECTING);
    expect_asked(1, from, 70);
}

// A blank is not retained: who was not there when HQ cleared the topic sees only that nothing comes.
static void test_command_batch_that_has_gone_from_the_broker(void **state) {
    (void)state;
    reach_dwelling(1, 1);
    bring_one(8, 1, 80);
    answer_with_result(1, 11);
    confirm_all();
    expect_live_round_with(80);
    open_session();
    confirm_all(); // and nothing comes
    expect_live_round_with(0);
    assert_int_equal(s_site.root.sessions_clean, 2);
    open_session();
    confirm_all();
    // The broker had only lost it, and HQ has published the same again.
    size_t from = s_site.sent_count;
    bring_one(8, 1, 80);
    wait_us(s_site.timing.drain_us); // a drain round was open: the hold of the records is over
    expect_asked(1, from, 80);
    assert_int_equal(counted(MM_COUNTER_COMMANDS_OLD), 0);
    bring_one(7, 1, 70);
    assert_int_equal(counted(MM_COUNTER_COMMANDS_OLD), 1);
}

// A session that fails, or may not listen, shows nothing.
static void test_command_batch_survives_a_session_that_heard_nothing(void **state) {
    (void)state;
    reach_dwelling(1, 1);
    bring_one(8, 1, 80);
    answer_with_result(1, 11);
    confirm_all();
    expect_live_round_with(80);
    open_session();
    mqtt_event(MM_MQTT_ERROR, 0);
    mqtt_event(MM_MQTT_DISCONNECTED, 0);
    reach(MM_ROOT_IDLE);
    expect_live_round_with(80);
    s_site.suback_reason = 0x87;
    open_session();
    confirm_all();
    assert_int_equal(counted(MM_COUNTER_SUBSCRIBE_REFUSED), 1);
    expect_live_round_with(80);
    // The same message again is enough to keep it.
    s_site.suback_reason = 0;
    open_session();
    confirm_all();
    bring_one(8, 1, 80);
    expect_live_round_with(80);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_is_answered_in_its_session),
        cmocka_unit_test(test_command_that_comes_first_waits_for_no_puback),
        cmocka_unit_test(test_command_goes_before_the_backlog),
        cmocka_unit_test(test_command_for_a_drained_node),
        cmocka_unit_test(test_command_is_asked_again_when_the_ask_is_lost),
        cmocka_unit_test(test_command_for_a_silent_node_comes_with_the_next_live_round),
        cmocka_unit_test(test_command_for_a_node_that_is_not_in_the_mesh),
        cmocka_unit_test(test_command_round_for_news_only),
        cmocka_unit_test(test_command_batch_without_commands),
        cmocka_unit_test(test_command_batch_for_40_nodes),
        cmocka_unit_test(test_command_behind_the_last_message_waits_for_the_live_round),
        cmocka_unit_test(test_command_round_asks_no_more_than_can_be_published),
        cmocka_unit_test(test_command_news_without_an_end),
        cmocka_unit_test(test_command_broker_that_never_sends),
        cmocka_unit_test(test_command_batch_of_an_older_revision),
        cmocka_unit_test(test_command_batch_that_stays_older_is_hqs),
        cmocka_unit_test(test_command_blank_clears),
        cmocka_unit_test(test_command_blank_while_nodes_are_to_be_asked),
        cmocka_unit_test(test_command_batch_that_cannot_be_used),
        cmocka_unit_test(test_command_batch_of_a_later_version),
        cmocka_unit_test(test_command_batch_goes_with_the_role),
        cmocka_unit_test(test_command_batch_that_has_gone_from_the_broker),
        cmocka_unit_test(test_command_batch_survives_a_session_that_heard_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
