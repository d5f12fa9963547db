// SPDX-License-Identifier: Apache-2.0
// A root that is told something itself: its own commands, a session outside of the slot, another slot plan.

#include "meshmeter/root.h"

#include "meshmeter/command_body.h"
#include "root_fixture.h"

#define TOPIC "meter/house-1/cmd"
#define ERA 77

static mm_control_t s_control;

// The tag is as good as any here: the same function makes it and judges it.
static mm_err_t seal(void *context, const void *bytes, size_t bytes_count, uint8_t mac[MM_HMAC_BYTES]) {
    (void)context;
    uint8_t sum = 0;
    for (size_t i = 0; i < bytes_count; i++) {
        sum = (uint8_t)(sum * 31 + ((const uint8_t *)bytes)[i]);
    }
    memset(mac, sum, MM_HMAC_BYTES);
    return MM_OK;
}

static const mm_crypto_t s_crypto = {.device_hmac = seal};

static void begin_control(void) {
    begin(1);
    const mm_control_options_t options = {.mac = mac_of(0), .token_unit_wh = 1000, .new_era = ERA, .slot_count_min = 6};
    mm_control_open(&s_control, &options, &world.metering, &s_crypto, NULL, NULL, &world.counters, NULL, now_us());
    mm_root_set_control(&s_site.root, &s_control);
}

static void begin_root(void) {
    begin_control();
    know_time();
    mm_root_start(&s_site.root, true, now_us());
    poll_root();
}

typedef struct {
    uint8_t kind;
    uint8_t channel;
    uint64_t not_after_s;
    mm_command_body_t body;
} wish_t;

// The wishes get the counters from `first_counter` on, and the ids 1000 higher.
static void bring(uint64_t revision, uint32_t first_counter, const wish_t *wishes, uint8_t count) {
    static uint8_t s_commands[4][MM_COMMAND_BYTES_MAX];
    mm_command_batch_t batch = {.database_id = 5, .revision = revision, .count = count};
    for (uint8_t i = 0; i < count; i++) {
        uint8_t body[MM_COMMAND_BODY_BYTES_MAX];
        mm_writer_t writer = mm_writer(body, sizeof body);
        assert_int_equal(mm_command_body_put(wishes[i].kind, &wishes[i].body, &writer), MM_OK);
        const mm_command_t command = {.node = mac_of(0),
                                      .era = ERA,
                                      .counter = first_counter + i,
                                      .id = 1000 + first_counter + i,
                                      .not_after_s = wishes[i].not_after_s,
                                      .kind = wishes[i].kind,
                                      .channel = wishes[i].channel,
                                      .body_bytes = (uint8_t)writer.used_bytes,
                                      .body = body};
        batch.commands[i].bytes_count =
            (uint16_t)mm_command_seal(s_commands[i], sizeof s_commands[i], &command, &s_crypto);
        batch.commands[i].bytes = s_commands[i];
    }
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
    size_t size = mm_command_batch_write(bytes, sizeof bytes, &batch);
    assert_true(size > 0);
    downlink(TOPIC, s_site.session, bytes, size);
    poll_root();
}

static void confirm_all(void) {
    for (size_t message = 0; message < s_site.published_count; message++) {
        for (size_t i = 0; i < MM_SESSION_WINDOW; i++) {
            if (s_site.root.uplink.inflight[i].packet_id == s_site.published_ids[message]) {
                puback(message);
            }
        }
    }
}

static void reach_dwelling(void) {
    open_session();
    confirm_all();
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
}

// Until the session is closed and the next one planned.
static void end_session(void) {
    reach(MM_ROOT_IDLE);
    mqtt_event(MM_MQTT_DISCONNECTED, 0);
    poll_root();
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_WAITING_FOR_SLOT);
}

static uint32_t newest_seq(void) {
    return mm_journal_next(&world.journal).seq - 1;
}

// --- its own commands ----------------------------------------------------------------------------
static void test_own_command_is_answered_in_its_session(void **state) {
    (void)state;
    begin_root();
    reach_dwelling();
    size_t published = s_site.published_count;
    uint32_t seq = newest_seq();
    bring(1, 1, &(wish_t){.kind = MM_COMMAND_LOCK, .channel = 2}, 1);
    assert_int_equal(s_control.counter, 1);
    assert_int_equal(s_control.locked_channels, 1u << 2);
    assert_true(newest_seq() > seq);
    assert_int_equal(s_site.published_count, published + 1);
    confirm_all();
    const mm_cursor_t *own = mm_cursor_find(&s_site.root.cursors, mac_of(0));
    assert_int_equal(mm_cursor_after(own).seq, newest_seq());
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
}

static void test_own_command_is_taken_once(void **state) {
    (void)state;
    begin_root();
    reach_dwelling();
    bring(1, 1, &(wish_t){.kind = MM_COMMAND_LOCK, .channel = 2}, 1);
    confirm_all();
    uint32_t seq = newest_seq();
    end_session();
    reach(MM_ROOT_COLLECTING);
    assert_int_equal(counted(MM_COUNTER_COMMAND_REPEATED), 1); // the live round brings it again
    assert_int_equal(s_control.counter, 1);
    assert_true(newest_seq() >= seq);
}

// One that cannot be judged yet is not passed over by those behind it.
static void test_own_commands_keep_their_order(void **state) {
    (void)state;
    begin_control(); // without a time
    mm_root_start(&s_site.root, true, now_us());
    poll_root();
    reach_dwelling();
    const wish_t wishes[] = {{.kind = MM_COMMAND_LOCK, .channel = 2, .not_after_s = BEGIN_S + 86400},
                             {.kind = MM_COMMAND_LOCK, .channel = 3}};
    bring(1, 1, wishes, 2);
    assert_int_equal(s_control.counter, 0);
    assert_int_equal(counted(MM_COUNTER_COMMAND_WAITING), 1);
    confirm_all();
    know_time();
    end_session();
    reach(MM_ROOT_COLLECTING);
    assert_int_equal(s_control.counter, 2);
    assert_int_equal(s_control.locked_channels, 1u << 2 | 1u << 3);
}

static void test_root_without_control_passes_commands_over(void **state) {
    (void)state;
    begin_root();
    mm_root_set_control(&s_site.root, NULL);
    reach_dwelling();
    bring(1, 1, &(wish_t){.kind = MM_COMMAND_LOCK, .channel = 2}, 1);
    assert_int_equal(s_control.counter, 0);
    confirm_all();
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_DWELLING);
}

// --- a session outside of the slot ---------------------------------------------------------------
// Alone, the root needs nobody: the session begins at once.
static void test_send_now_makes_a_session_at_once(void **state) {
    (void)state;
    begin_root();
    mm_us_t planned = s_site.root.session_at;
    assert_true(planned > now_us() + 2 * s_site.timing.round_us);
    s_control.send_now = true;
    mm_us_t at = now_us();
    reach_dwelling();
    assert_false(s_control.send_now);
    assert_int_equal(now_us(), at);
    assert_int_equal(s_site.published_count, 1);
    assert_int_equal(s_site.published[0].kind, MM_BATCH_LIVE);
    // Afterwards the slot is what it was.
    end_session();
    assert_int_equal(s_site.root.session_at, planned);
}

static void test_send_now_waits_for_a_child_no_longer_than_a_round(void **state) {
    (void)state;
    for (int answers = 0; answers < 2; answers++) {
        begin_root();
        mm_root_child_joined(&s_site.root, mac_of(1), now_us());
        s_control.send_now = true;
        mm_us_t at = now_us();
        poll_root();
        assert_int_equal(s_site.root.phase, MM_ROOT_COLLECTING);
        mm_ask_t ask;
        assert_true(find_ask(1, 0, &ask));
        if (answers == 1) {
            wait_us(MM_US_PER_S);
            answer((answer_t){.index = 1, .round_id = round_id(), .next_seq = 3, .first_seq = 1, .last_seq = 2});
        }
        open_session();
        assert_int_equal(now_us(), at + (answers == 1 ? MM_US_PER_S : s_site.timing.round_us));
        assert_int_equal(s_site.published[0].missing_count, answers == 1 ? 0 : 1);
    }
}

static void test_send_now_has_a_budget(void **state) {
    (void)state;
    begin_root();
    mm_us_t first_at = now_us();
    uint32_t sessions = 0;
    while (now_us() < first_at + 5 * s_site.timing.urgent_us) {
        s_control.send_now = true;
        poll_root();
        if (s_site.root.phase != MM_ROOT_IDLE) {
            reach_dwelling();
            sessions++;
            end_session();
        }
        wait_us(MM_US_PER_S);
    }
    assert_in_range(sessions, 4, 5);
}

// The wish is not forgotten, and its instant is the root's next deadline.
static void test_send_now_waits_for_its_turn(void **state) {
    (void)state;
    begin_root();
    s_control.send_now = true;
    mm_us_t first_at = now_us();
    reach_dwelling();
    s_control.send_now = true; // while a session is under way
    end_session();
    assert_true(s_control.send_now);
    mm_us_t second_at = first_at + s_site.timing.urgent_us;
    assert_int_equal(mm_root_poll(&s_site.root, now_us()), second_at);
    open_session();
    assert_int_equal(now_us(), second_at);
    assert_false(s_control.send_now);
}

static void test_send_now_leaves_a_near_slot(void **state) {
    (void)state;
    begin_root();
    mm_us_t planned = s_site.root.session_at;
    world.t_us += planned - s_site.timing.round_us - now_us();
    s_control.send_now = true;
    poll_root();
    assert_false(s_control.send_now);
    assert_int_equal(s_site.root.session_at, planned);
    assert_int_equal(s_site.root.urgent_at, 0); // nothing of the budget is gone
    open_session();
    assert_int_equal(now_us(), planned);
}

static void test_send_now_without_a_router_or_in_a_back_off(void **state) {
    (void)state;
    begin_root();
    mm_root_set_router(&s_site.root, false, now_us());
    s_control.send_now = true;
    for (int minutes = 0; minutes < 5; minutes++) {
        wait_us(60 * MM_US_PER_S);
        assert_true(mm_root_poll(&s_site.root, now_us()) > now_us()); // it does not spin
    }
    assert_true(s_control.send_now);
    mm_root_set_router(&s_site.root, true, now_us());
    mm_us_t at = now_us();
    open_session();
    assert_int_equal(now_us(), at);
    // The session fails: the broker's rest is not disturbed.
    s_control.send_now = true;
    mqtt_event(MM_MQTT_ERROR, 0);
    mqtt_event(MM_MQTT_DISCONNECTED, 0);
    assert_int_equal(s_site.root.uplink.state, MM_UPLINK_BACKING_OFF);
    mm_us_t back_off_end = s_site.root.uplink.deadline;
    open_session();
    assert_true(now_us() >= back_off_end);
}

static void test_send_now_is_the_roots_business(void **state) {
    (void)state;
    begin_control();
    s_control.send_now = true;
    s_control.plan_changed = true;
    poll_root();
    assert_false(s_control.send_now);
    assert_false(s_control.plan_changed);
}

// --- another slot --------------------------------------------------------------------------------
static void test_slot_plan_is_followed(void **state) {
    (void)state;
    begin_root();
    reach_dwelling();
    const wish_t wish = {.kind = MM_COMMAND_SLOT_PLAN,
                         .channel = MM_COMMAND_WHOLE_NODE,
                         .body.slot_plan = {.slot = 3, .slot_count = 100}};
    bring(1, 1, &wish, 1);
    assert_int_equal(s_control.slots.slot_count, 100);
    confirm_all();
    end_session();
    // BEGIN_S is a multiple of 200 s: slot 3 of 2 s begins 6 s later.
    mm_us_t utc_us = mm_metering_time(&world.metering, s_site.root.session_at).utc.us;
    assert_int_equal(utc_us % (200 * MM_US_PER_S), 6 * MM_US_PER_S);
    assert_true(s_site.root.session_at < now_us() + 210 * MM_US_PER_S);
}

// A plan that comes while the next session is planned already moves it.
static void test_slot_plan_moves_what_was_planned(void **state) {
    (void)state;
    begin_root();
    mm_us_t planned = s_site.root.session_at;
    s_control.slots.slot_count = 100;
    s_control.slots.slot = 7;
    s_control.plan_changed = true;
    poll_root();
    assert_false(s_control.plan_changed);
    assert_int_not_equal(s_site.root.session_at, planned);
    mm_us_t utc_us = mm_metering_time(&world.metering, s_site.root.session_at).utc.us;
    assert_int_equal(utc_us % (200 * MM_US_PER_S), 14 * MM_US_PER_S);
    open_session();
    assert_int_equal(mm_metering_time(&world.metering, now_us()).utc.us, utc_us);
}

// One that leaves no room for a round, from a state of other times, is not followed.
static void test_slot_plan_that_does_not_fit_is_passed_over(void **state) {
    (void)state;
    begin_root();
    mm_us_t planned = s_site.root.session_at;
    s_control.slots.slot_count = 5;
    s_control.slots.slot = 1;
    s_control.plan_changed = true;
    poll_root();
    assert_int_equal(s_site.root.session_at, planned);
}

// --- a trial ------------------------------------------------------------------------------------
static bool s_settled;

static mm_err_t stage(void *context, mm_staged_kind_t kind, const char *text, size_t text_chars) {
    (void)context;
    (void)kind;
    (void)text;
    (void)text_chars;
    return MM_OK;
}

static mm_err_t settle_trial(void *context, mm_staged_kind_t kind, bool keep) {
    (void)context;
    assert_int_equal(kind, MM_STAGED_NETWORK);
    s_settled = keep;
    return MM_OK;
}

// An installer's router, typed while a session is open: that session used the one before.
static void test_session_from_before_an_installers_trial_proves_nothing(void **state) {
    (void)state;
    static const mm_actions_t actions = {.stage = stage, .settle = settle_trial};
    begin_root();
    s_control.actions = &actions;
    s_settled = false;
    reach_dwelling();
    const mm_command_body_t body = {.network = {.ssid = "new", .password = "a-password"}};
    assert_int_equal(mm_control_install(&s_control, MM_COMMAND_NETWORK, MM_COMMAND_WHOLE_NODE, &body, now_us()), MM_OK);
    (void)mm_control_poll(&s_control, now_us());
    assert_true(mm_control_is_on_trial(&s_control));
    end_session();
    assert_false(s_settled);
    assert_true(mm_control_is_on_trial(&s_control));
    s_control.send_now = true;
    wait_us(s_site.timing.urgent_us);
    reach_dwelling();
    end_session();
    assert_true(s_settled);
    assert_false(mm_control_is_on_trial(&s_control));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_command_is_answered_in_its_session),
        cmocka_unit_test(test_own_command_is_taken_once),
        cmocka_unit_test(test_own_commands_keep_their_order),
        cmocka_unit_test(test_root_without_control_passes_commands_over),
        cmocka_unit_test(test_send_now_makes_a_session_at_once),
        cmocka_unit_test(test_send_now_waits_for_a_child_no_longer_than_a_round),
        cmocka_unit_test(test_send_now_has_a_budget),
        cmocka_unit_test(test_send_now_waits_for_its_turn),
        cmocka_unit_test(test_send_now_leaves_a_near_slot),
        cmocka_unit_test(test_send_now_without_a_router_or_in_a_back_off),
        cmocka_unit_test(test_send_now_is_the_roots_business),
        cmocka_unit_test(test_slot_plan_is_followed),
        cmocka_unit_test(test_slot_plan_moves_what_was_planned),
        cmocka_unit_test(test_slot_plan_that_does_not_fit_is_passed_over),
        cmocka_unit_test(test_session_from_before_an_installers_trial_proves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
