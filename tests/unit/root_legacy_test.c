// SPDX-License-Identifier: Apache-2.0
// Commands in the original's form on their way through the root: it keeps the newest message, carries out what is its
// own, and puts the items into every ask.

#include "meshmeter/root.h"

#include "legacy_support.h"
#include "meshmeter/legacy_control.h"
#include "node/root_commands.h"
#include "root_fixture.h"

#define TOPIC "meter/house-1/cmd"
#define LOCK_A2 "{\"cmd\":\"lock\",\"disCon\":[{\"mid\":\"A2\",\"state\":1}],\"cha\":\"CHACHACH\"}"
#define LOCK_B1 "{\"cmd\":\"lock\",\"disCon\":[{\"mid\":\"B1\",\"state\":1}],\"cha\":\"CHACHACH\"}"

static mm_control_t s_control;
static mm_legacy_control_t s_legacy;
static const mm_crypto_t s_crypto = {.aes256_encrypt = legacy_toy_encrypt};

static void begin_root(bool legacy_commands) {
    begin(1);
    mm_control_options_t options = {.mac = mac_of(0),
                                    .token_unit_wh = 1000,
                                    .new_era = 77,
                                    .slot_count_min = 6,
                                    .legacy = legacy_commands ? &s_legacy.legacy : NULL};
    mm_legacy_control_open(&s_legacy, s_legacy_secret);
    mm_control_open(&s_control, &options, &world.metering, &s_crypto, NULL, NULL, &world.counters, NULL, now_us());
    mm_root_set_control(&s_site.root, &s_control);
    know_time();
    mm_root_start(&s_site.root, true, now_us());
    mm_root_child_joined(&s_site.root, mac_of(1), now_us());
    reach(MM_ROOT_COLLECTING);
    answer((answer_t){.index = 1, .round_id = round_id(), .next_seq = 11, .first_seq = 1, .last_seq = 10});
    open_session();
}

static void bring(const char *text) {
    downlink(TOPIC, s_site.session, (const uint8_t *)text, strlen(text));
    poll_root();
}

static void next_live_round(void) {
    reach(MM_ROOT_IDLE);
    s_site.session = 0;
    reach(MM_ROOT_COLLECTING);
}

static const char *sealed(const char *item) {
    static char s_items[MM_LEGACY_ITEMS_MAX][MM_LEGACY_BYTES_MAX];
    static unsigned s_next;
    char *text = s_items[s_next++ % MM_LEGACY_ITEMS_MAX];
    snprintf(text, MM_LEGACY_BYTES_MAX, "%s", item);
    legacy_seal(text, &s_crypto);
    return text;
}

static void bring_items(const char *first, const char *second) {
    char text[MM_LEGACY_BYTES_MAX + 1];
    snprintf(text, sizeof text, "{\"cmdarr\":[%.900s%s%.900s]}", first, second[0] != '\0' ? "," : "", second);
    bring(text);
}

// Items in the newest ask to the child since `from`; the first one is copied.
static unsigned asked_items(size_t from, char first[MM_LEGACY_BYTES_MAX]) {
    for (size_t i = s_site.sent_count; i > from; i--) {
        const sent_t *sent = &s_site.sent[i - 1];
        mm_frame_t frame;
        mm_ask_t ask;
        mm_ask_commands_t items;
        assert_int_equal(mm_frame_open(sent->bytes, sent->bytes_count, &frame), MM_OK);
        if (frame.type != MM_FRAME_ASK || !mm_mac_equal(sent->to, mac_of(1))) {
            continue;
        }
        assert_int_equal(mm_frame_read_ask(&frame, &ask), MM_OK);
        const uint8_t *bytes = NULL;
        size_t bytes_count = 0;
        unsigned count = 0;
        mm_ask_items_begin(&frame, &items);
        while (mm_ask_commands_next(&items, &bytes, &bytes_count)) {
            if (count++ == 0) {
                snprintf(first, MM_LEGACY_BYTES_MAX, "%.*s", (int)bytes_count, (const char *)bytes);
            }
        }
        return count;
    }
    fail_msg("the child was not asked");
    return 0;
}

static void test_root_legacy_to_itself_and_to_all(void **state) {
    (void)state;
    char first[MM_LEGACY_BYTES_MAX];
    begin_root(true);
    const char *own = sealed(LOCK_A2);
    bring_items(own, sealed(LOCK_B1));
    size_t from = s_site.sent_count;
    next_live_round();
    assert_int_equal(asked_items(from, first), 2);
    assert_string_equal(first, own);
    assert_int_equal(s_control.locked_channels, 1 << 2);
    assert_int_equal(s_control.counter, 0);
    // It is retained, and comes again.
    open_session();
    bring_items(own, sealed(LOCK_B1));
    from = s_site.sent_count;
    next_live_round();
    assert_int_equal(asked_items(from, first), 2);
    // Cleared: no more of it.
    open_session();
    bring("");
    from = s_site.sent_count;
    next_live_round();
    assert_int_equal(asked_items(from, first), 0);
}

// Of a batch nothing is left, and the other way round.
static void test_root_legacy_takes_the_place_of_a_batch(void **state) {
    (void)state;
    const mm_command_batch_t batch = {.database_id = 5, .revision = 9};
    uint8_t bytes[200];
    char first[MM_LEGACY_BYTES_MAX];
    size_t size = mm_command_batch_write(bytes, sizeof bytes, &batch);
    begin_root(true);
    downlink(TOPIC, s_site.session, bytes, size);
    assert_int_equal(s_site.root.commands.revision, 9);
    bring_items(sealed(LOCK_A2), "");
    assert_true(s_site.root.commands.is_legacy && s_site.root.commands.has_come);
    assert_false(s_site.root.commands.is_known);
    downlink(TOPIC, s_site.session, bytes, size);
    assert_false(s_site.root.commands.is_legacy);
    size_t from = s_site.sent_count;
    next_live_round();
    assert_int_equal(asked_items(from, first), 0);
}

static void test_root_legacy_only_if_the_site_says_so(void **state) {
    (void)state;
    char first[MM_LEGACY_BYTES_MAX];
    begin_root(false);
    bring_items(sealed(LOCK_A2), "");
    assert_int_equal(world.counters.values[MM_COUNTER_COMMAND_UNSIGNED], 1);
    size_t from = s_site.sent_count;
    next_live_round();
    assert_int_equal(asked_items(from, first), 0);
    assert_int_equal(s_control.locked_channels, 0);
}

static void test_root_legacy_without_control(void **state) {
    (void)state;
    begin_root(true);
    mm_root_set_control(&s_site.root, NULL);
    bring_items(sealed(LOCK_A2), "");
    assert_int_equal(world.counters.values[MM_COUNTER_COMMAND_UNSIGNED], 1);
}

static void test_root_legacy_ends_with_signed_commands(void **state) {
    (void)state;
    begin_root(true);
    s_control.signed_only = true;
    bring_items(sealed(LOCK_A2), "");
    assert_int_equal(world.counters.values[MM_COUNTER_COMMAND_UNSIGNED], 1);
    assert_int_equal(s_site.root.commands.bytes_count, 0);
}

static void test_root_legacy_envelope_refused(void **state) {
    (void)state;
    begin_root(true);
    bring("{\"cmdarr\":[}");
    bring("{");
    assert_int_equal(world.counters.values[MM_COUNTER_DOWNLINK_CORRUPT], 2);
    assert_int_equal(s_site.root.commands.bytes_count, 0);
}

static void assert_first_item(uint32_t round, const char *text) {
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    const mm_ask_t ask = {.round_id = round, .report_bytes_max = MM_MESH_FRAME_BYTES_MAX};
    const mm_root_commands_t *commands = &s_site.root.commands;
    mm_frame_t frame;
    mm_ask_commands_t reader;
    const uint8_t *item = NULL;
    size_t item_bytes = 0;
    size_t size =
        s_legacy.legacy.write_ask(commands->bytes, commands->bytes_count, bytes, sizeof bytes, mac_of(0), &ask);
    assert_int_equal(mm_frame_open(bytes, size, &frame), MM_OK);
    mm_ask_items_begin(&frame, &reader);
    assert_true(mm_ask_commands_next(&reader, &item, &item_bytes));
    assert_int_equal(item_bytes, strlen(text));
    assert_memory_equal(item, text, item_bytes);
}

// What does not fit one ask comes in another round.
static void test_root_legacy_takes_turns(void **state) {
    (void)state;
    char filler[800];
    char items[2][900];
    char first[MM_LEGACY_BYTES_MAX];
    bool seen[2] = {false};
    begin_root(true);
    memset(filler, 'x', sizeof filler);
    filler[sizeof filler - 1] = '\0';
    for (int i = 0; i < 2; i++) {
        snprintf(items[i], sizeof items[i], "{\"cmd\":\"%d\",\"x\":\"%s\"}", i, filler);
    }
    bring_items(items[0], items[1]);
    for (int rounds = 0; rounds < 2; rounds++) {
        size_t from = s_site.sent_count;
        next_live_round();
        assert_int_equal(asked_items(from, first), 1);
        seen[0] = seen[0] || strcmp(first, items[0]) == 0;
        seen[1] = seen[1] || strcmp(first, items[1]) == 0;
        open_session();
    }
    // Other rounds, for the backlog, may lie in between.
    assert_true(seen[0] || seen[1]);
    for (uint32_t round = 8; round <= 9; round++) {
        assert_first_item(round, items[round - 8]);
    }
}

static int forget_all(void **state) {
    (void)state;
    memset(&s_control, 0, sizeof s_control);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_root_legacy_to_itself_and_to_all, forget_all),
        cmocka_unit_test_setup(test_root_legacy_takes_the_place_of_a_batch, forget_all),
        cmocka_unit_test_setup(test_root_legacy_only_if_the_site_says_so, forget_all),
        cmocka_unit_test_setup(test_root_legacy_without_control, forget_all),
        cmocka_unit_test_setup(test_root_legacy_ends_with_signed_commands, forget_all),
        cmocka_unit_test_setup(test_root_legacy_envelope_refused, forget_all),
        cmocka_unit_test_setup(test_root_legacy_takes_turns, forget_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
