// SPDX-License-Identifier: Apache-2.0
// The console: each line of the table, what it needs, and that no secret is in any answer.
#include "setup_fixture.h"

#include "meshmeter/console.h"
#include "meshmeter/legacy_control.h"
#include "node_setup_fixture.h"

// Text that is a secret of the marked node, and its hexadecimal digits.
#define MARK "Zebra9Quagga"
#define MARK_HEX "5a6562726139517561676761"

#define GUARD 0x77
#define RESET " " MM_CONSOLE_RESET_WORD

static mm_console_t console;
static mm_legacy_control_t legacy;
static char text[4097];
static const char *logged = "one line\nand another";

static size_t marked_log(void *context, char *tail, size_t capacity_bytes) {
    (void)context;
    size_t bytes_count = strlen(logged) < capacity_bytes ? strlen(logged) : capacity_bytes;
    memcpy(tail, logged, bytes_count);
    return bytes_count;
}

static void open_console(uint8_t granted) {
    const mm_console_options_t wanted = {
        .node = &node, .setup = node.has_setup ? &node.setup : NULL, .granted = granted};
    mm_console_open(&console, &wanted, desk_now());
}

static int setup(void **state) {
    (void)state;
    static mm_actions_t actions;
    node_begin();
    actions = desk_actions;
    actions.log_tail = marked_log;
    ports.actions = &actions;
    assert_int_equal(start(), MM_OK);
    run_s(3);
    open_console(MM_CONSOLE_AT_DEVICE);
    return 0;
}

static const char *ask_within(const char *typed, size_t capacity_bytes) {
    char line[300];
    size_t chars = strlen(typed);
    assert_true(chars < sizeof line);
    memset(line, GUARD, sizeof line);
    memcpy(line, typed, chars + 1);
    memset(text, GUARD, sizeof text);
    size_t bytes_count = mm_console_answer(&console, line, desk_now(), text, capacity_bytes);
    assert_true(bytes_count <= capacity_bytes && capacity_bytes < sizeof text);
    for (size_t i = capacity_bytes; i < sizeof text; i++) {
        assert_int_equal((unsigned char)text[i], GUARD);
    }
    for (size_t i = 0; i < sizeof line; i++) {
        assert_int_equal((unsigned char)line[i], i < chars ? 0 : i == chars ? 0 : GUARD); // it is wiped
    }
    text[bytes_count] = '\0';
    assert_int_equal(strlen(text), bytes_count);
    return text;
}

static const char *ask(const char *typed) {
    return ask_within(typed, 2048);
}

static bool begins(const char *answer, const char *beginning) {
    return strncmp(answer, beginning, strlen(beginning)) == 0;
}

static void assert_has(const char *answer, const char *part) {
    if (strstr(answer, part) == NULL) {
        print_error("'%s' is not in: %s\n", part, answer);
        fail();
    }
}

static void assert_has_not(const char *answer, const char *part) {
    if (strstr(answer, part) != NULL) {
        print_error("'%s' is in: %s\n", part, answer);
        fail();
    }
}

/// Events of the console in the node's journal; *last is the newest.
static uint32_t count_acts(mm_event_record_t *last) {
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t after = {0, 0};
    uint32_t count = 0;
    while (mm_journal_read_after(&node.journal, after, &hint, &entry) == MM_OK) {
        mm_record_t record;
        after = entry.position;
        if (entry.type == MM_RECORD_EVENT &&
            mm_record_decode(entry.type, entry.payload, entry.payload_bytes, &record) == MM_OK &&
            record.event.code == MM_EVENT_CONSOLE) {
            count++;
            *last = record.event;
        }
    }
    return count;
}

static void node_code(char code[CODE_BYTES]) {
    uint32_t number;
    const mm_challenge_options_t options_of_code = {.mac = NODE_MAC};
    assert_true(mm_setup_number(&node.setup, desk_now(), &number));
    assert_int_equal(mm_challenge_code(&options_of_code, &desk_crypto, number, code), MM_OK);
}

static void run_node(void) {
    install_on_node(1);
    run_s(2);
    confirm_by_ask(1);
    run_s(2);
    assert_int_equal(node.setup.configuration.phase.state, MM_LIFE_RUNNING);
}

// --- the table -----------------------------------------------------------------------------------------------------

static void test_console_table_is_sound(void **state) {
    (void)state;
    size_t count;
    const mm_console_line_t *lines = mm_console_lines(&count);
    assert_true(count >= 12);
    for (size_t i = 0; i < count; i++) {
        assert_true(lines[i].name[0] != '\0' && strchr(lines[i].name, ' ') == NULL && lines[i].run != NULL);
        assert_true(lines[i].does[0] != '\0' && (lines[i].arguments != NULL) == (lines[i].words_max > 0));
        assert_true(lines[i].need > MM_CONSOLE_NOBODY && lines[i].need < MM_CONSOLE_NEED_COUNT);
        assert_true(lines[i].need != MM_CONSOLE_OWNER); // there is no such place at a chip
        assert_true(lines[i].need != MM_CONSOLE_READ || lines[i].act == MM_CONSOLE_ACT_NONE);
        assert_true(lines[i].need != MM_CONSOLE_PRESENCE || lines[i].act != MM_CONSOLE_ACT_NONE);
        assert_true(lines[i].words_min <= lines[i].words_max);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(lines[i].name, lines[j].name);
        }
    }
    for (uint8_t need = 0; need < MM_CONSOLE_NEED_COUNT; need++) {
        assert_string_not_equal(mm_console_need_name(need), "unknown");
    }
    assert_string_equal(mm_console_need_name(MM_CONSOLE_NEED_COUNT), "unknown");
}

static void test_console_what_is_not_in_the_table(void **state) {
    (void)state;
    static const char *const typed[] = {"",
                                        "   ",
                                        "x",
                                        "Status",
                                        "statu",
                                        "statuss",
                                        "status\t",
                                        "\x01status",
                                        "status\x7f",
                                        "\xff",
                                        "reset\xe2\x80\xae",
                                        "find \x01",
                                        "find 5\x7f"};
    for (size_t i = 0; i < sizeof typed / sizeof typed[0]; i++) {
        assert_string_equal(ask(typed[i]), "error: not understood; help says what is\n");
    }
    // Not repeated: it may be a password that was typed in the wrong place.
    assert_has_not(ask("resett 12345678" RESET), "1234");
    static const char *const words[] = {"status x", "config secrets", "meters 1 2",    "find 1 2",   "log 4",
                                        "help me",  "code 1",         "reset a b c d", "journal all"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        assert_string_equal(ask(words[i]), "error: not with these words; help says with which\n");
    }
    assert_int_equal(desk.action_count, 0);
    assert_true(begins(ask("  help  "), "status "));
}

static void test_console_denies_by_default(void **state) {
    (void)state;
    size_t count;
    const mm_console_line_t *lines = mm_console_lines(&count);
    mm_event_record_t last;
    run_node();
    for (uint8_t granted = 0; granted < (1u << MM_CONSOLE_NEED_COUNT) - 1; granted++) {
        open_console(granted);
        for (size_t i = 0; i < count; i++) {
            uint32_t actions = desk.action_count;
            bool is_refused = begins(ask(lines[i].name), "error: not from here\n");
            assert_true(is_refused == ((granted >> lines[i].need & 1) == 0));
            assert_true(!is_refused || desk.action_count == actions);
            // And help does not say otherwise.
            char beginning[40] = "\n";
            strcat(strcat(beginning, lines[i].name), " ");
            char answer[4100] = "\n";
            strcat(answer, ask("help"));
            bool can_help = (granted >> MM_CONSOLE_READ & 1) != 0;
            assert_true((strstr(answer, beginning) != NULL) == (can_help && !is_refused));
            desk.action_count = 0;
        }
    }
    open_console(MM_CONSOLE_GRANT(MM_CONSOLE_READ));
    uint32_t before = count_acts(&last);
    assert_string_equal(ask("find 5"), "error: not from here\n");
    assert_int_equal(count_acts(&last), before);
}

static uint32_t times_run;

static void run_other(mm_console_request_t *request) {
    times_run++;
    assert_ptr_equal(request->console->options.context, &times_run);
    mm_console_put(request, request->line);
    mm_console_put(request, "/");
    mm_console_put(request, request->arguments);
    char words[] = "/000";
    for (unsigned place = 3, left = request->words; place > 0; place--, left /= 10) {
        words[place] = (char)('0' + left % 10);
    }
    mm_console_put(request, words);
}

static void test_console_lines_of_the_platform(void **state) {
    (void)state;
    static const mm_console_line_t more[] = {
        {.name = "slot", .does = "instead", .need = MM_CONSOLE_READ, .run = run_other},
        {.name = "say",
         .arguments = "WORD…",
         .does = "x",
         .need = MM_CONSOLE_OWNER,
         .words_min = 2,
         .words_max = MM_CONSOLE_WORDS_ANY,
         .run = run_other},
        {.name = "forgotten", .does = "without a need", .run = run_other},
        {.name = "later", .does = "of a later version", .need = MM_CONSOLE_NEED_COUNT, .run = run_other},
    };
    mm_console_options_t wanted = {.node = &node,
                                   .setup = &node.setup,
                                   .granted = MM_CONSOLE_AT_PROCESS,
                                   .lines = more,
                                   .line_count = sizeof more / sizeof more[0],
                                   .context = &times_run};
    mm_console_open(&console, &wanted, desk_now());
    assert_string_equal(ask("slot"), "slot//000");
    assert_string_equal(ask(" say  a b "), " say  a b /a b /002");
    assert_true(begins(ask("say a"), "error: not with these words"));
    assert_true(begins(ask("say"), "error: not with these words"));
    assert_int_equal(times_run, 2);
    assert_string_equal(ask("forgotten"), "error: not from here\n");
    assert_string_equal(ask("later"), "error: not from here\n");
    // Nor from a place that claims to give everything.
    wanted.granted = UINT8_MAX;
    mm_console_open(&console, &wanted, desk_now());
    assert_string_equal(ask("forgotten"), "error: not from here\n");
    assert_string_equal(ask("later"), "error: not from here\n");
    assert_int_equal(times_run, 2);
    wanted.granted = MM_CONSOLE_AT_PROCESS;
    mm_console_open(&console, &wanted, desk_now());
    assert_has(ask("help"), "say WORD…");
    assert_has(ask("help"), "instead");
    assert_has_not(ask("help"), "next session"); // of the core's line of this name
    assert_has_not(ask("help"), "forgotten");
    wanted.granted = MM_CONSOLE_AT_DEVICE;
    mm_console_open(&console, &wanted, desk_now());
    assert_string_equal(ask("say a b"), "error: not from here\n");
    assert_int_equal(times_run, 2);
    // Any number of words, but not more than it can count.
    char many[299] = "say";
    while (strlen(many) < sizeof many - 3) {
        strcat(many, " a");
    }
    wanted.granted = MM_CONSOLE_AT_PROCESS;
    mm_console_open(&console, &wanted, desk_now());
    assert_has(ask(many), "a/147");
}

static void test_console_without_commissioning(void **state) {
    (void)state;
    ports.config_flash = NULL;
    assert_int_equal(start(), MM_OK);
    run_s(2);
    open_console(MM_CONSOLE_AT_DEVICE);
    assert_has(ask("config"), "\"phase\":\"configured by a file\"");
    assert_string_equal(ask("install"), "{\"phase\":\"configured by a file\",\"installed\":false}\n");
    assert_true(begins(ask("code"), "error: this node is not commissioned"));
    assert_true(begins(ask("reset"), "error: this node is not commissioned"));
    assert_true(begins(ask("reset 12345678" RESET), "error: this node is not commissioned"));
}

// --- reading -------------------------------------------------------------------------------------------------------

static void test_console_says_what_is(void **state) {
    (void)state;
    run_node();
    console.facts.version = "1.2.3";
    assert_has(ask("status"),
               "\"mac\":\"02:00:00:00:00:07\",\"version\":\"1.2.3\",\"phase\":\"running\",\"site\":\"house-1\"");
    assert_has(ask("status"), "\"boot_no\":1,\"sessions_made\":0,\"sessions_clean\":0,\"held\":false,\"uptime_s\":7,");
    // No mesh here: it counts the greetings that nobody hears, or nothing.
    assert_true(begins(ask("counters"), "{"));
    node.counters.values[MM_COUNTER_FRAM_ERROR] = 4;
    assert_has(ask("counters"), "\"fram_error\":4");
    assert_has(ask("install"), "\"revision\":1,\"told\":1,\"applying\":false,\"confirmed\":true");
    assert_has(ask("config"), "\"installation\":{\"revision\":1,\"node_no\":12,\"province\":17,");
    assert_has(ask("config"),
               "\"meters\":[{\"channel\":1,\"id\":\"M0\",\"pulse_constant\":1000,\"start_wh\":5000,\"prepaid\":true},"
               "{\"channel\":6,\"id\":\"M5\"");
    const mm_console_number_t numbers[] = {{"heard", 5}, {"nothing", 0}};
    console.facts.role = "member";
    console.facts.parent = (mm_mac_t){{2, 0, 0, 0, 0, 1}};
    console.facts.members = 9;
    console.facts.mesh_counters = numbers;
    console.facts.mesh_counter_count = 2;
    assert_string_equal(ask("mesh"),
                        "{\"role\":\"member\",\"parent\":\"02:00:00:00:00:01\",\"members\":9,"
                        "\"root\":\"00:00:00:00:00:00\",\"attached\":false,\"layer\":0,\"counters\":{\"heard\":5}}\n");
    console.facts.mesh_counter_count = 0;
    assert_has(ask("slot"), "\"slot_count\":250,\"slot_ms\":2000,\"cycle_s\":500,\"root\":false}");
    assert_has(ask("journal"), "\"watermark\":0,");
    assert_has(ask("journal"), "\"sectors\":6,\"sectors_used\":1,\"sectors_retired\":0,\"read_only\":false}\n");
    assert_string_equal(ask("log"), "one line\nand another\n");
    mm_root_start(&node.root, true, desk_now());
    (void)mm_node_poll(&node, desk_now());
    assert_has(ask("slot"), "\"root\":true,\"next_session_s\":");
    ports.actions = NULL;
    node.ports.actions = NULL;
    assert_string_equal(ask("log"), "error: this device keeps no log\n");
}

static void test_console_meters(void **state) {
    (void)state;
    run_node();
    // 7000 pulses of 1/1000 kWh on a meter that showed 5 kWh; credit of 2 kWh at 4000 pulses.
    node.metering.registers.channels[0].life_pulses = 7000;
    node.control.credits[0].base_wh = 2000;
    node.control.credits[0].base_pulses = 4000;
    node.control.credits[0].relay_reasons = MM_RELAY_LOCKED | MM_RELAY_NO_CREDIT;
    node.control.relay_closed &= (uint8_t)~1u;
    const char *first = "{\"channel\":1,\"id\":\"M0\",\"energy_wh\":12000,\"life_pulses\":7000,\"pulse_constant\":1000,"
                        "\"prepaid\":true,\"relay\":\"open\",\"relay_reasons\":[\"locked\",\"no_credit\"],"
                        "\"balance_wh\":-1000,\"emergency_taken\":false,\"lock_out_s\":0}";
    assert_has(ask("meters"), first);
    assert_has(ask("meters 1"), first);
    assert_has_not(ask("meters 1"), "M5");
    assert_has(ask("meters 6"), "\"id\":\"M5\"");
    assert_has(ask("meters 6"), "\"prepaid\":false,\"relay\":\"closed\",\"relay_reasons\":[]}]}\n");
    assert_string_equal(ask("meters 3"), "{\"meters\":[]}\n");
    static const char *const wrong[] = {"meters 0",
                                        "meters 9",
                                        "meters M0",
                                        "meters 1x",
                                        "meters -1",
                                        "meters 4294967297",
                                        "meters 18446744073709551617"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_string_equal(ask(wrong[i]), "error: meters are 1 to 8\n");
    }
    node.has_control = false;
    assert_has(ask("meters 6"), "\"pulse_constant\":1000}]}\n");
    node.has_control = true;
}

// The longest of everything: an error, but never half an answer.
static void test_console_answers_fit_or_are_none(void **state) {
    (void)state;
    run_node();
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        node.metering.stored_meters[channel] = (mm_meter_config_t){"123456789012", 10000, MM_START_WH_MAX};
        node.metering.registers.channels[channel].life_pulses = INT64_MAX;
        node.control.credits[channel].prepaid = true;
        node.control.credits[channel].relay_reasons = MM_RELAY_REASONS_ALL;
        node.setup.configuration.installation.channels[channel] =
            (mm_channel_setup_t){{"123456789012", 10000, MM_START_WH_MAX}, true, {0, 0, 0, 0}};
    }
    for (uint32_t i = 0; i < MM_COUNTER_COUNT; i++) {
        node.counters.values[i] = UINT32_MAX;
    }
    size_t count;
    const mm_console_line_t *lines = mm_console_lines(&count);
    for (size_t capacity = MM_CONSOLE_ANSWER_BYTES_MIN; capacity <= 4096; capacity += 61) {
        desk.action_count = 0;
        for (size_t i = 0; i < count; i++) {
            const char *answer = ask_within(lines[i].name, capacity);
            size_t chars = strlen(answer);
            assert_true(answer[0] != '{' || (answer[chars - 2] == '}' && answer[chars - 1] == '\n'));
            assert_true(capacity < 4000 || !begins(answer, "error: the answer"));
        }
    }
    assert_true(begins(ask("meters"), "error: the answer does not fit here"));
    assert_true(begins(ask("meters 8"), "{\"meters\":[{\"channel\":8,"));
    char line[] = "help";
    expect_assert_failure(mm_console_answer(&console, line, desk_now(), text, MM_CONSOLE_ANSWER_BYTES_MIN - 1));
}

static void test_console_shows_no_credentials_of_an_address(void **state) {
    (void)state;
    static const struct {
        const char *broker;
        const char *shown;
    } cases[] = {
        {"mqtt://user:" MARK "@10.0.0.1:1883", "\"broker\":\"mqtt://10.0.0.1:1883\""},
        {"mqtts://a@" MARK "@host", "\"broker\":\"mqtts://host\""},
        {MARK "@host", "\"broker\":\"host\""},
        {"mqtt://host:1883", "\"broker\":\"mqtt://host:1883\""},
        {"://" MARK "@", "\"broker\":\"://\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        console.facts.broker = cases[i].broker;
        assert_has(ask("config"), cases[i].shown);
        assert_has_not(ask("config"), MARK);
    }
    char longest[MM_BROKER_URL_CHARS_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    console.facts.broker = longest;
    assert_has(ask("config"), "\"broker\":\"too long to show\"");
    longest[sizeof longest - 2] = '\0';
    assert_has(ask("config"), longest);
}

// --- secrets -------------------------------------------------------------------------------------------------------

static void mark(char *bytes, size_t bytes_count) {
    for (size_t i = 0; i < bytes_count; i++) {
        bytes[i] = MARK[i % (sizeof MARK - 1)];
    }
}

// Everything of which the specification says "secret", and what is made from it.
static void mark_all(void) {
    mm_network_t *network = &node.setup.configuration.network;
    node.setup.configuration.has_network = true;
    mark((char *)network->mesh_key, sizeof network->mesh_key);
    mark(network->broker.user, MM_BROKER_WORD_CHARS_MAX);
    mark(network->broker.password, MM_BROKER_WORD_CHARS_MAX);
    mark(network->router.password, MM_NETWORK_PASSWORD_CHARS_MAX);
    strcpy(network->broker.url, "mqtt://" MARK ":" MARK "@10.0.0.1");
    console.facts.broker = network->broker.url;
    mark((char *)legacy.secret, MM_LEGACY_SECRET_BYTES);
    node.control.options.legacy = &legacy.legacy;
    mark((char *)node.setup.nonce, sizeof node.setup.nonce);
    node.setup.options.legacy_secret = MARK;
    node.setup.challenge.options.secret = MARK;
    node.control.format_code = 77345678;
}

static void assert_no_secret(const char *answer) {
    assert_has_not(answer, MARK);
    assert_has_not(answer, MARK_HEX);
    // Nor a part of it, wherever in its repetition it begins.
    assert_has_not(answer, "Quagga");
    assert_has_not(answer, "9517561");
    assert_has_not(answer, "77345678");
}

static const char *const variants[] = {"status",
                                       "counters",
                                       "meters",
                                       "meters 1",
                                       "config",
                                       "install",
                                       "mesh",
                                       "slot",
                                       "journal",
                                       "log",
                                       "code",
                                       "find",
                                       "find 9",
                                       "find x",
                                       "display",
                                       "display 9",
                                       "reset",
                                       "reset x",
                                       "reset " MARK,
                                       "reset " MARK RESET,
                                       "reset 0000000g" RESET,
                                       "help",
                                       "help " MARK,
                                       MARK,
                                       "resett " MARK,
                                       "config " MARK};

static void assert_no_secret_in_any_line(void) {
    size_t count;
    const mm_console_line_t *lines = mm_console_lines(&count);
    for (size_t i = 0; i < count; i++) {
        bool is_tried = false;
        for (size_t j = 0; j < sizeof variants / sizeof variants[0]; j++) {
            is_tried = is_tried || strcmp(variants[j], lines[i].name) == 0;
        }
        assert_true(is_tried); // a line that is new belongs into the list above
        assert_no_secret(ask(lines[i].name));
    }
    for (size_t j = 0; j < sizeof variants / sizeof variants[0]; j++) {
        assert_no_secret(ask(variants[j]));
    }
}

static void test_console_has_no_secret_in_any_answer(void **state) {
    (void)state;
    mark((char *)desk.key.key, sizeof desk.key.key);
    assert_no_secret_in_any_line(); // parked
    run_node();
    mark_all();
    assert_has(ask("config"), "\"broker_user\":\"set\",\"broker_password\":\"set\"");
    assert_has(ask("config"), "\"router_password\":\"set\",\"mesh_key\":\"set\"");
    for (int phase = 0; phase < MM_LIFE_STATE_COUNT; phase++) {
        node.setup.configuration.phase = (mm_life_cycle_t){(mm_life_state_t)phase, MM_LIFE_RUNNING};
        node.setup.session = phase == MM_LIFE_CONFIGURING;
        node.setup.session_until = desk_now() + 60 * US;
        assert_no_secret_in_any_line();
    }
    // Nor the code that would be good.
    node.setup.session = false;
    node.setup.challenge.lock_out.until = 0;
    node.setup.configuration.phase = (mm_life_cycle_t){MM_LIFE_RUNNING, MM_LIFE_RUNNING};
    char code[CODE_BYTES];
    node_code(code);
    for (size_t j = 0; j < sizeof variants / sizeof variants[0]; j++) {
        assert_has_not(ask(variants[j]), code);
    }
}

// --- acting --------------------------------------------------------------------------------------------------------

static void test_console_find_and_display(void **state) {
    (void)state;
    mm_event_record_t last;
    assert_string_equal(ask("find"), "ok\n");
    assert_int_equal(desk.actions[0], ACTION_FIND);
    assert_int_equal(desk.seconds, 60);
    assert_int_equal(count_acts(&last), 1);
    assert_int_equal(last.values[0], MM_CONSOLE_ACT_FIND);
    assert_int_equal(last.values[1], 0);
    assert_string_equal(ask("display 3600"), "ok\n");
    assert_int_equal(desk.actions[1], ACTION_DISPLAY);
    assert_int_equal(desk.seconds, 3600);
    static const char *const wrong[] = {"find 0", "find 3601", "find x", "find 9x", "display -1", "display 0x1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_string_equal(ask(wrong[i]), "error: 1 to 3600 seconds\n");
    }
    assert_int_equal(desk.action_count, 2);
    // Who types it again and again fills no journal.
    for (int i = 0; i < 40; i++) {
        (void)ask("find 1");
    }
    assert_int_equal(count_acts(&last), 1);
    run_s(MM_CONSOLE_EVENT_S);
    desk.action_result = MM_ERR_UNAVAILABLE;
    assert_string_equal(ask("display"), "error: this device cannot do it\n");
    assert_int_equal(count_acts(&last), 2);
    assert_int_equal(last.values[0], MM_CONSOLE_ACT_DISPLAY);
    assert_int_equal(last.values[1], 1);
    assert_int_equal(last.values[2], 41); // display 3600, and 40 times find
    run_s(MM_CONSOLE_EVENT_S);
    node.ports.actions = NULL;
    assert_string_equal(ask("find"), "error: this device cannot do it\n");
    assert_string_equal(ask("display"), "error: this device cannot do it\n");
    assert_int_equal(count_acts(&last), 3);
    assert_int_equal(last.values[2], 0);
}

// Storage that refuses loses the event's place, not its count.
static void test_console_event_that_is_not_stored(void **state) {
    (void)state;
    mm_event_record_t last;
    world.fail_from_call = world.call_count;
    world.fail_to_call = NEVER;
    assert_string_equal(ask("find"), "ok\n");
    assert_int_equal(console.event_at <= desk_now(), true);
    world.fail_from_call = world.fail_to_call = 0;
    world.faults_off = true;
    run_s(2 * MM_METERING_RETRY_S);
    assert_string_equal(ask("find"), "ok\n");
    assert_int_equal(count_acts(&last), 1);
}

static void test_console_code(void **state) {
    (void)state;
    uint32_t number;
    assert_string_equal(ask("code"),
                        "{\"phase\":\"parked\",\"wait_s\":0,\"lock_outs\":0,\"session\":false,\"page\":\"\"}\n");
    run_node();
    assert_true(mm_setup_number(&node.setup, desk_now(), &number));
    node.setup.challenge.number = 42; // eight digits, as HQ asks for them
    assert_string_equal(ask("code"),
                        "{\"phase\":\"running\",\"number\":\"00000042\",\"number_left_s\":600,\"tries_left\":5,"
                        "\"wait_s\":0,\"lock_outs\":0,\"session\":false,\"page\":\"\"}\n");
    console.facts.page = "http://10.0.0.7/";
    assert_true(begins(ask("reset 00000000" RESET), "error: wrong\n"));
    assert_has(ask("code"), "\"tries_left\":4,");
    assert_has(ask("code"), "\"page\":\"http://10.0.0.7/\"}\n");
    char code[CODE_BYTES];
    uint32_t wait_s;
    node_code(code);
    assert_int_equal(mm_setup_enter(&node.setup, code, desk_now(), &wait_s), MM_CODE_GOOD);
    assert_has(ask("code"),
               "{\"phase\":\"configuring\",\"wait_s\":0,\"lock_outs\":0,\"session\":true,\"session_left_s\":600,");
}

// --- reset ---------------------------------------------------------------------------------------------------------

static bool is_reset(void) {
    return !node.setup.configuration.has_network && node.setup.configuration.phase.state == MM_LIFE_PARKED;
}

static const char *try_reset(const char *code, const char *word) {
    char line[80] = "reset ";
    strcat(strcat(line, code), word);
    return ask(line);
}

static void test_console_reset_needs_code_and_word(void **state) {
    (void)state;
    char code[CODE_BYTES];
    run_node();
    uint64_t life_pulses = node.metering.registers.channels[5].life_pulses;
    assert_has(ask("reset"), "The node forgets site, broker, router and keys");
    assert_has(ask("reset"), "Relays open");
    char number[60] = "Read HQ the number ";
    node.setup.challenge.number = 7;
    assert_has(ask("reset"), strcat(number, "00000007 and type"));
    node_code(code);
    static const char *const words[] = {
        "", " yes", " forget-the-networ", " forget-the-networkk", " Forget-the-network", " forget the-network"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        assert_string_equal(try_reset(code, words[i]), "error: nothing was done; reset alone says how\n");
    }
    assert_true(begins(ask("reset" RESET), "error: nothing was done"));
    assert_true(begins(ask("reset forget-the-network 12345678"), "error: nothing was done"));
    assert_int_equal(node.setup.challenge.lock_out.wrong, 0); // none of it was judged
    assert_false(is_reset());
    // As it is read aloud, in upper case.
    char aloud[] = "ABCD EF01";
    for (size_t i = 0; i < 8; i++) {
        char letter = code[i];
        aloud[i < 4 ? i : i + 1] = (char)(letter >= 'a' ? letter - 'a' + 'A' : letter);
    }
    assert_string_equal(try_reset(aloud, RESET), "ok the network is forgotten\n");
    assert_true(is_reset());
    assert_int_equal(node.metering.registers.channels[5].life_pulses, life_pulses);
    assert_true(node.setup.configuration.has_installation);
    assert_true(node.control.credits[0].prepaid);
    // The same line once more, from the same or another console.
    assert_true(begins(try_reset(code, RESET), "error: state"));
    assert_has(ask("reset"), "It is not possible now");
    // Nor is the code good for the next network, which comes in the next start.
    const mm_network_t network = site_network(2);
    assert_int_equal(mm_setup_take_network(&node.setup, &network, desk_now()), MM_ERR_BUSY);
    assert_int_equal(start(), MM_OK);
    open_console(MM_CONSOLE_AT_DEVICE);
    assert_int_equal(mm_setup_take_network(&node.setup, &network, desk_now()), MM_OK);
    assert_true(begins(try_reset(code, RESET), "error: "));
    assert_true(begins(try_reset(code, RESET), "error: wrong\n"));
    assert_false(is_reset());
}

static void test_console_reset_guessing_locks_out(void **state) {
    (void)state;
    char code[CODE_BYTES];
    run_node();
    node_code(code);
    static const char *const no_form[] = {"1234567", "123456789", "1234567g", "12345678901234567890", "1234 5678 9"};
    for (size_t i = 0; i < sizeof no_form / sizeof no_form[0] - 1; i++) {
        assert_true(begins(try_reset(no_form[i], RESET), "error: no_form"));
    }
    assert_true(begins(try_reset(no_form[4], RESET), "error: not with these words"));
    for (int i = 0; i < MM_LOCK_OUT_TRIES - 1; i++) {
        assert_string_equal(try_reset("00000000", RESET), "error: wrong\n");
    }
    assert_string_equal(try_reset("00000000", RESET), "error: wrong; wait 10 s\n");
    assert_string_equal(try_reset(code, RESET), "error: locked_out; wait 10 s\n");
    assert_has(ask("code"), "\"wait_s\":10,\"lock_outs\":1,");
    // It is the installer's lock-out as well.
    uint32_t wait_s;
    assert_int_equal(mm_setup_enter(&node.setup, code, desk_now(), &wait_s), MM_CODE_LOCKED_OUT);
    run_s(10);
    assert_string_equal(try_reset(code, RESET), "error: wrong\n"); // there is another number
    node_code(code);
    assert_true(begins(try_reset(code, RESET), "ok"));
    assert_true(is_reset());
}

static void test_console_reset_with_a_code_of_before(void **state) {
    (void)state;
    char code[CODE_BYTES];
    run_node();
    node_code(code);
    run_s(MM_CHALLENGE_LIFE_S);
    assert_true(begins(try_reset(code, RESET), "error: expired"));
    assert_false(is_reset());
    // While an installer is at work nobody resets, and the installer's code is used up.
    uint32_t wait_s;
    node_code(code);
    assert_int_equal(mm_setup_enter(&node.setup, code, desk_now(), &wait_s), MM_CODE_GOOD);
    assert_string_equal(try_reset(code, RESET), "error: busy; wait 600 s\n");
    mm_setup_leave(&node.setup, desk_now());
    assert_true(begins(try_reset(code, RESET), "error: expired"));
    assert_false(is_reset());
}

static void test_console_reset_that_cannot_be(void **state) {
    (void)state;
    char code[CODE_BYTES];
    run_node();
    node_code(code);
    mm_sim_flash_fail(&bench.device, MM_SIM_FAIL_PROGRAM, 0, UINT64_MAX);
    assert_string_equal(try_reset(code, RESET), "error: storage\n");
    assert_false(is_reset());
    mm_sim_flash_fail(&bench.device, 0, 0, 0);
    node_code(code);
    desk.key.has_key = false;
    assert_string_equal(try_reset(code, RESET), "error: no_key\n");
    bench.draws_left = 0;
    run_s(MM_CHALLENGE_LIFE_S);
    assert_has(ask("reset"), "It is not possible now");
    assert_has_not(ask("code"), "number");
    assert_false(is_reset());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_console_table_is_sound, setup),
        cmocka_unit_test_setup(test_console_what_is_not_in_the_table, setup),
        cmocka_unit_test_setup(test_console_denies_by_default, setup),
        cmocka_unit_test_setup(test_console_lines_of_the_platform, setup),
        cmocka_unit_test_setup(test_console_without_commissioning, setup),
        cmocka_unit_test_setup(test_console_says_what_is, setup),
        cmocka_unit_test_setup(test_console_meters, setup),
        cmocka_unit_test_setup(test_console_answers_fit_or_are_none, setup),
        cmocka_unit_test_setup(test_console_shows_no_credentials_of_an_address, setup),
        cmocka_unit_test_setup(test_console_has_no_secret_in_any_answer, setup),
        cmocka_unit_test_setup(test_console_find_and_display, setup),
        cmocka_unit_test_setup(test_console_event_that_is_not_stored, setup),
        cmocka_unit_test_setup(test_console_code, setup),
        cmocka_unit_test_setup(test_console_reset_needs_code_and_word, setup),
        cmocka_unit_test_setup(test_console_reset_guessing_locks_out, setup),
        cmocka_unit_test_setup(test_console_reset_with_a_code_of_before, setup),
        cmocka_unit_test_setup(test_console_reset_that_cannot_be, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
