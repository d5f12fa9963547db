// SPDX-License-Identifier: Apache-2.0
// A whole node and the person before it: what the panel is told, and what a wish does.
#include "setup_fixture.h"

#include <stdio.h>

#include "meshmeter/node_panel.h"
#include "node_setup_fixture.h"

static mm_node_panel_t shown;
static mm_node_panel_facts_t facts;
static unsigned configured;

static void configure(void *context) {
    assert_ptr_equal(context, &facts);
    configured++;
}

static int setup(void **state) {
    (void)state;
    node_begin();
    assert_int_equal(start(), MM_OK);
    run_s(3);
    install_on_node(1);
    run_s(3);
    confirm_by_ask(1);
    run_s(3);
    configured = 0;
    facts = (mm_node_panel_facts_t){
        .state = MM_LIFE_RUNNING, .ota_percent = MM_PANEL_OTA_NONE, .configure = configure, .context = &facts};
    mm_node_panel_init(&shown, &node, "1.2.3", desk_now());
    return 0;
}

static void poll(void) {
    assert_true(mm_node_panel_poll(&shown, &facts, desk_now(), desk_now()) > desk_now());
}

static const char *wish(mm_wish_kind_t kind, uint8_t channel, const char *digits) {
    shown.panel.notice[0] = '\0';
    shown.panel.wish = (mm_panel_wish_t){.kind = kind, .channel = channel};
    snprintf(shown.panel.wish.digits, sizeof shown.panel.wish.digits, "%s", digits);
    poll();
    assert_int_equal(shown.panel.wish.kind, MM_WISH_NONE);
    return shown.panel.notice;
}

static void test_node_panel_shows_the_meters(void **state) {
    (void)state;
    poll();
    const mm_panel_model_t *model = &shown.model;
    assert_string_equal(model->meters[0].id, "M0");
    assert_true(model->meters[0].prepaid);
    assert_string_equal(model->meters[5].id, "M5");
    assert_false(model->meters[5].prepaid);
    assert_string_equal(model->meters[1].id, "");
    assert_true(mm_mac_equal(model->mac, NODE_MAC));
    assert_string_equal(model->version, "1.2.3");
    assert_null(model->fault);
    uint64_t pulses = node.metering.registers.channels[5].life_pulses;
    assert_int_equal(model->meters[5].energy_wh, pulses); // 1000 pulses a kWh, from 0
    assert_int_equal(model->meters[0].energy_wh, 5000 + node.metering.registers.channels[0].life_pulses);
}

// Pulses of one whole interval, by its length: the register's difference, and no floating point.
static void test_node_panel_power_is_of_the_last_interval(void **state) {
    (void)state;
    mm_us_t now = desk_now();
    poll();
    assert_int_equal(shown.model.meters[0].power_w, 0); // not known yet
    static const struct {
        uint64_t pulses;
        int64_t length_s;
        uint32_t power_w;
    } cases[] = {{225, 900, 900},     {1, 900, 4},  {0, 900, 0},     {1, 86400, 0},
                 {15030, 900, 60120}, {3, 7, 1543}, {4000001, 1, 0}, {4000000, 3600, 4000000}};
    uint64_t life = node.metering.registers.channels[0].life_pulses;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        now += cases[i].length_s * US;
        life += cases[i].pulses;
        node.metering.registers.channels[0].life_pulses = life;
        mm_node_panel_look(&shown, &facts, now - 1);
        node.metering.interval_no++;
        mm_node_panel_look(&shown, &facts, now);
        assert_int_equal(shown.model.meters[0].power_w, cases[i].power_w);
    }
    // A register that went back has no power.
    node.metering.registers.channels[0].life_pulses = 5;
    node.metering.interval_no++;
    mm_node_panel_look(&shown, &facts, now + US);
    assert_int_equal(shown.model.meters[0].power_w, 0);
}

static void test_node_panel_the_most_urgent_fault(void **state) {
    (void)state;
    node.metering.journal_retry_at = desk_now() + 10 * US;
    mm_node_panel_look(&shown, &facts, desk_now());
    assert_string_equal(shown.model.fault, "The journal takes no\nrecords; counting\ngoes on");
    node.control.usable = false;
    mm_node_panel_look(&shown, &facts, desk_now());
    assert_string_equal(shown.model.fault, "The register memory\ndoes not answer");
    facts.fault = "No flash";
    mm_node_panel_look(&shown, &facts, desk_now());
    assert_string_equal(shown.model.fault, "No flash");
    facts.fault = NULL;
    node.control.usable = true;
    mm_node_panel_look(&shown, &facts, node.metering.journal_retry_at);
    assert_null(shown.model.fault);
}

static void test_node_panel_says_what_arrived_once(void **state) {
    (void)state;
    poll();
    assert_string_equal(shown.panel.notice, ""); // nothing of before it was opened
    node.control.done_count++;
    node.control.done_kind = MM_COMMAND_DISPLAY_ON;
    node.control.done_channel = MM_COMMAND_WHOLE_NODE;
    node.control.done_status = MM_RESULT_DONE;
    poll();
    assert_string_equal(shown.panel.notice, "DISPLAY ON\ndone");
    node.control.done_count++;
    node.control.done_kind = MM_COMMAND_LOCK;
    node.control.done_channel = 0;
    poll();
    assert_string_equal(shown.panel.notice, "LOCK\nM0\ndone");
    shown.panel.notice[0] = '\0';
    poll();
    assert_string_equal(shown.panel.notice, "");
}

static void test_node_panel_does_what_is_wanted(void **state) {
    (void)state;
    poll();
    char digits[MM_TOKEN_DIGITS_MAX + 1];
    make_token(0, MM_TOKEN_ADD, 3, 2, digits);
    assert_memory_equal(wish(MM_WISH_TOKEN, 0, digits), "Accepted, kWh:\n+3.000\nleft ", 26);
    assert_string_equal(wish(MM_WISH_TOKEN, 0, digits), "This code was used\nbefore");
    assert_string_equal(wish(MM_WISH_TOKEN, 0, "12"), "A code has 9, 12, 15\nor 20 digits");
    assert_string_equal(wish(MM_WISH_EMERGENCY, 5, ""), "Refused: none is left\nor it is not needed");
    assert_string_equal(wish(MM_WISH_SEND_NOW, 0, ""), "The root sends: it\nasks for readings\nwith the next round");
    assert_false(node.control.send_now);
    node.root.active = true;
    assert_string_equal(wish(MM_WISH_SEND_NOW, 0, ""), "Sending");
    assert_true(node.control.send_now);
    node.root.active = false;
    assert_string_equal(wish(MM_WISH_CONFIGURE, 0, ""), "");
    assert_int_equal(configured, 1);
    facts.configure = NULL;
    assert_string_equal(wish(MM_WISH_CONFIGURE, 0, ""), "This node has its\nconfiguration in a\nfile");
    assert_int_equal(configured, 1);
    // No digit of a token stays.
    for (size_t i = 0; i < sizeof shown.panel.wish.digits; i++) {
        assert_int_equal(shown.panel.wish.digits[i], 0);
    }
}

static void test_node_panel_find_lights_it(void **state) {
    (void)state;
    poll();
    world.t_us += (MM_PANEL_DARK_S + 1) * US;
    poll();
    assert_true(shown.panel.dark);
    mm_node_panel_find(&shown, 30, desk_now());
    assert_false(shown.panel.dark);
    assert_string_equal(shown.panel.notice, "HERE I AM\nSomebody looks for me");
    mm_node_panel_find(&shown, 0, desk_now());
    poll();
    assert_true(shown.panel.dark);
}

// Every answer fits three lines of 21, with the longest numbers.
static void test_node_panel_answers_to_typed_digits_fit(void **state) {
    (void)state;
    for (unsigned verdict = 0; verdict <= MM_TYPED_STORAGE + 1; verdict++) {
        for (unsigned wait = 0; wait < 2; wait++) {
            char text[MM_PANEL_NOTICE_CHARS_MAX + 1];
            const mm_typed_answer_t typed = {.verdict = (mm_typed_verdict_t)verdict,
                                             .wait_s = wait != 0 ? MM_CREDIT_LOCK_OUT_MAX_S : 0,
                                             .credit_wh = MM_CREDIT_WH_MAX,
                                             .balance_wh = -MM_CREDIT_WH_MAX};
            mm_node_panel_typed_text(&typed, text);
            unsigned lines = 1;
            unsigned column = 0;
            for (const char *at = text; *at != '\0'; at++) {
                column = *at == '\n' ? 0 : column + 1;
                lines += *at == '\n' ? 1 : 0;
                assert_true(column <= 21 && lines <= 3);
            }
        }
    }
    char text[MM_PANEL_NOTICE_CHARS_MAX + 1];
    mm_typed_answer_t typed = {.verdict = MM_TYPED_ACCEPTED, .credit_wh = 5000, .balance_wh = 4488};
    mm_node_panel_typed_text(&typed, text);
    assert_string_equal(text, "Accepted, kWh:\n+5.000\nleft 4.488");
    typed = (mm_typed_answer_t){.verdict = MM_TYPED_LOCKED_OUT, .wait_s = 60};
    mm_node_panel_typed_text(&typed, text);
    assert_string_equal(text, "Too many wrong codes\nnext try in 60 s");
    typed = (mm_typed_answer_t){.verdict = MM_TYPED_WRONG};
    mm_node_panel_typed_text(&typed, text);
    assert_string_equal(text, "Wrong code");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_node_panel_shows_the_meters, setup),
        cmocka_unit_test_setup(test_node_panel_power_is_of_the_last_interval, setup),
        cmocka_unit_test_setup(test_node_panel_the_most_urgent_fault, setup),
        cmocka_unit_test_setup(test_node_panel_says_what_arrived_once, setup),
        cmocka_unit_test_setup(test_node_panel_does_what_is_wanted, setup),
        cmocka_unit_test_setup(test_node_panel_find_lights_it, setup),
        cmocka_unit_test(test_node_panel_answers_to_typed_digits_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
