// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/panel.h"

#include "display/panel_internal.h"
#include "panel_support.h"

static mm_panel_t s_panel;
static mm_panel_model_t s_model;
static mm_us_t s_now;

static int set_up(void **state) {
    (void)state;
    s_now = 1000 * S;
    s_model = panel_model();
    mm_panel_init(&s_panel, s_now);
    return 0;
}

static bool is_dark(void) {
    mm_canvas_t canvas;
    static const mm_canvas_t black;
    mm_panel_draw(&s_panel, &s_model, s_now, &canvas);
    return memcmp(&canvas, &black, sizeof canvas) == 0;
}

static mm_us_t poll_at(mm_us_t now) {
    s_now = now;
    return mm_panel_poll(&s_panel, &s_model, now);
}

// Where a screen is reached from the beginning, and where a short and a long press lead from there.
typedef struct {
    mmi_screen_t screen;
    const char *presses;
    mmi_screen_t after_short;
    mmi_screen_t after_long;
    mm_wish_kind_t wish; ///< of the long press
} step_t;

// The menu's lines are here one after the other: network, mesh, token, emergency, send, info, configure, back.
static const step_t steps[] = {
    {MMI_SCREEN_HOME, "", MMI_SCREEN_METER, MMI_SCREEN_MENU, MM_WISH_NONE},
    {MMI_SCREEN_METER, "s", MMI_SCREEN_METER, MMI_SCREEN_MENU, MM_WISH_NONE},
    {MMI_SCREEN_METER, "ss", MMI_SCREEN_METER, MMI_SCREEN_MENU, MM_WISH_NONE},
    {MMI_SCREEN_METER, "sss", MMI_SCREEN_HOME, MMI_SCREEN_MENU, MM_WISH_NONE},
    {MMI_SCREEN_MENU, "l", MMI_SCREEN_MENU, MMI_SCREEN_NETWORK, MM_WISH_NONE},
    {MMI_SCREEN_MENU, "ls", MMI_SCREEN_MENU, MMI_SCREEN_MESH, MM_WISH_NONE},
    {MMI_SCREEN_MENU, "lss", MMI_SCREEN_MENU, MMI_SCREEN_TOKEN_METER, MM_WISH_NONE},
    {MMI_SCREEN_MENU, "lsss", MMI_SCREEN_MENU, MMI_SCREEN_EMERGENCY_METER, MM_WISH_NONE},
    {MMI_SCREEN_MENU, "lssss", MMI_SCREEN_MENU, MMI_SCREEN_HOME, MM_WISH_SEND_NOW},
    {MMI_SCREEN_MENU, "lsssss", MMI_SCREEN_MENU, MMI_SCREEN_INFO, MM_WISH_NONE},
    {MMI_SCREEN_MENU, "lssssss", MMI_SCREEN_MENU, MMI_SCREEN_CONFIGURE_SURE, MM_WISH_NONE},
    {MMI_SCREEN_MENU, "lsssssss", MMI_SCREEN_MENU, MMI_SCREEN_HOME, MM_WISH_NONE},
    {MMI_SCREEN_MENU, "lssssssss", MMI_SCREEN_MENU, MMI_SCREEN_NETWORK, MM_WISH_NONE},
    {MMI_SCREEN_NETWORK, "ll", MMI_SCREEN_MESH, MMI_SCREEN_HOME, MM_WISH_NONE},
    {MMI_SCREEN_MESH, "lls", MMI_SCREEN_INFO, MMI_SCREEN_HOME, MM_WISH_NONE},
    {MMI_SCREEN_INFO, "llss", MMI_SCREEN_NETWORK, MMI_SCREEN_HOME, MM_WISH_NONE},
    {MMI_SCREEN_TOKEN_METER, "lssl", MMI_SCREEN_TOKEN_METER, MMI_SCREEN_TOKEN, MM_WISH_NONE},
    {MMI_SCREEN_TOKEN, "lssll", MMI_SCREEN_TOKEN, MMI_SCREEN_TOKEN, MM_WISH_NONE},
    {MMI_SCREEN_TOKEN, "lssllssssssssss", MMI_SCREEN_TOKEN, MMI_SCREEN_HOME, MM_WISH_NONE},
    {MMI_SCREEN_TOKEN, "lsslllllllllll", MMI_SCREEN_TOKEN, MMI_SCREEN_METER, MM_WISH_TOKEN},
    {MMI_SCREEN_EMERGENCY_METER, "lsssl", MMI_SCREEN_EMERGENCY_METER, MMI_SCREEN_EMERGENCY_SURE, MM_WISH_NONE},
    {MMI_SCREEN_EMERGENCY_SURE, "lsssll", MMI_SCREEN_EMERGENCY_SURE, MMI_SCREEN_HOME, MM_WISH_NONE},
    {MMI_SCREEN_EMERGENCY_SURE, "lsssllss", MMI_SCREEN_EMERGENCY_SURE, MMI_SCREEN_HOME, MM_WISH_NONE},
    {MMI_SCREEN_EMERGENCY_SURE, "lssslls", MMI_SCREEN_EMERGENCY_SURE, MMI_SCREEN_METER, MM_WISH_EMERGENCY},
    {MMI_SCREEN_CONFIGURE_SURE, "lssssssl", MMI_SCREEN_CONFIGURE_SURE, MMI_SCREEN_HOME, MM_WISH_NONE},
    {MMI_SCREEN_CONFIGURE_SURE, "lssssssls", MMI_SCREEN_CONFIGURE_SURE, MMI_SCREEN_HOME, MM_WISH_CONFIGURE},
};

static void test_every_screen_and_press(void **state) {
    (void)state;
    bool seen[MMI_SCREEN_COUNT] = {false};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        for (unsigned is_long = 0; is_long < 2; is_long++) {
            mm_panel_wish_t wish;
            (void)set_up(NULL);
            s_model.meters[2].emergency_possible = true;
            panel_presses(&s_panel, &s_model, steps[i].presses, &s_now);
            assert_int_equal(mmi_panel_screen(&s_panel, &s_model), steps[i].screen);
            assert_false(mm_panel_take_wish(&s_panel, &wish));
            panel_press(&s_panel, &s_model, is_long != 0, &s_now);
            assert_int_equal(mmi_panel_screen(&s_panel, &s_model),
                             is_long != 0 ? steps[i].after_long : steps[i].after_short);
            bool is_wish = mm_panel_take_wish(&s_panel, &wish);
            assert_int_equal(is_wish ? wish.kind : MM_WISH_NONE, is_long != 0 ? steps[i].wish : MM_WISH_NONE);
            assert_false(mm_panel_take_wish(&s_panel, &wish));
        }
        seen[steps[i].screen] = true;
    }
    for (unsigned screen = 0; screen < MMI_SCREEN_COUNT; screen++) {
        assert_true(seen[screen]);
    }
}

// Every screen with every model in which it cannot be: it is HOME, for the picture and for the press.
static void test_a_screen_that_became_impossible_is_home(void **state) {
    (void)state;
    for (unsigned screen = 0; screen < MMI_SCREEN_COUNT; screen++) {
        for (unsigned is_long = 0; is_long < 2; is_long++) {
            (void)set_up(NULL);
            memset(s_model.meters, 0, sizeof s_model.meters);
            s_model.state = MM_LIFE_PARKED;
            mm_panel_t home = s_panel;
            mm_canvas_t expected;
            mm_canvas_t canvas;
            bool always = screen <= MMI_SCREEN_INFO && screen != MMI_SCREEN_METER;
            s_panel.screen = (uint8_t)screen;
            s_panel.digit_count = 3;
            assert_int_equal(mmi_panel_screen(&s_panel, &s_model), always ? screen : MMI_SCREEN_HOME);
            mm_panel_draw(&s_panel, &s_model, s_now, &canvas);
            mm_panel_draw(&home, &s_model, s_now, &expected);
            assert_int_equal(memcmp(&canvas, &expected, sizeof canvas) == 0, !always || screen == MMI_SCREEN_HOME);
            panel_press(&s_panel, &s_model, is_long != 0, &s_now);
            if (!always) {
                assert_int_equal(s_panel.screen, is_long != 0 ? MMI_SCREEN_MENU : MMI_SCREEN_HOME);
            }
        }
    }
}

static void test_menu_has_only_what_is_possible(void **state) {
    (void)state;
    memset(s_model.meters, 0, sizeof s_model.meters);
    s_model.attached = false;
    s_model.state = MM_LIFE_PARKED;
    panel_presses(&s_panel, &s_model, "l", &s_now);
    static const unsigned lines[] = {MMI_MENU_NETWORK, MMI_MENU_MESH, MMI_MENU_INFO, MMI_MENU_BACK, MMI_MENU_NETWORK};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(mmi_menu_line(&s_panel, &s_model), lines[i]);
        panel_press(&s_panel, &s_model, false, &s_now);
    }
    // A number may be asked for in these states, and once.
    for (unsigned life = 0; life < MM_LIFE_STATE_COUNT; life++) {
        s_model.state = (mm_life_state_t)life;
        bool may = life == MM_LIFE_PROVISIONED || life == MM_LIFE_AWAITING || life == MM_LIFE_RUNNING;
        s_model.has_number = false;
        assert_int_equal(mmi_menu_has(&s_model, MMI_MENU_CONFIGURE), may);
        s_model.has_number = true;
        assert_false(mmi_menu_has(&s_model, MMI_MENU_CONFIGURE));
    }
    s_model.is_root = true;
    assert_true(mmi_menu_has(&s_model, MMI_MENU_SEND));
}

static void test_the_only_meter_is_not_asked_for(void **state) {
    (void)state;
    s_model.meters[2].prepaid = false;
    panel_presses(&s_panel, &s_model, "lssl", &s_now);
    assert_int_equal(s_panel.screen, MMI_SCREEN_TOKEN);
    assert_int_equal(s_panel.channel, 0);
}

static void test_choice_goes_round_the_prepaid_meters(void **state) {
    (void)state;
    panel_presses(&s_panel, &s_model, "lssl", &s_now);
    static const uint8_t channels[] = {0, 2, 0};
    for (size_t i = 0; i < sizeof channels; i++) {
        assert_int_equal(s_panel.channel, channels[i]);
        panel_press(&s_panel, &s_model, false, &s_now);
    }
    panel_press(&s_panel, &s_model, true, &s_now);
    assert_int_equal(s_panel.screen, MMI_SCREEN_TOKEN);
    assert_int_equal(s_panel.channel, 2);
}

static void type(const char *digits) {
    for (; *digits != '\0'; digits++) {
        while (mmi_token_symbol(&s_panel, &s_model) != (unsigned)(*digits - '0')) {
            panel_press(&s_panel, &s_model, false, &s_now);
        }
        panel_press(&s_panel, &s_model, true, &s_now);
    }
}

static void take_symbol(unsigned symbol) {
    for (unsigned i = 0; mmi_token_symbol(&s_panel, &s_model) != symbol; i++) {
        assert_true(i < MMI_SYMBOL_COUNT);
        panel_press(&s_panel, &s_model, false, &s_now);
    }
    panel_press(&s_panel, &s_model, true, &s_now);
}

static void test_tokens_of_every_length(void **state) {
    (void)state;
    static const char all[] = "90817263549081726354";
    for (unsigned length = 0; length <= MM_TOKEN_DIGITS_MAX; length++) {
        char digits[MM_TOKEN_DIGITS_MAX + 1] = "";
        mm_panel_wish_t wish;
        memcpy(digits, all, length);
        (void)set_up(NULL);
        panel_presses(&s_panel, &s_model, "lssll", &s_now);
        type(digits);
        bool is_form = length == 9 || length == 12 || length == 15 || length == 20;
        assert_int_equal(mmi_token_has(&s_panel, &s_model, MMI_SYMBOL_OK), is_form);
        assert_int_equal(mmi_token_has(&s_panel, &s_model, 7), length < MM_TOKEN_DIGITS_MAX);
        assert_string_equal(s_panel.digits, digits);
        if (is_form) {
            take_symbol(MMI_SYMBOL_OK);
            assert_true(mm_panel_take_wish(&s_panel, &wish));
            assert_int_equal(wish.kind, MM_WISH_TOKEN);
            assert_int_equal(wish.channel, 0);
            assert_string_equal(wish.digits, digits);
            assert_int_equal(s_panel.digit_count, 0);
        }
    }
}

static void test_digits_can_be_deleted(void **state) {
    (void)state;
    panel_presses(&s_panel, &s_model, "lssll", &s_now);
    type("123");
    take_symbol(MMI_SYMBOL_DELETE);
    assert_string_equal(s_panel.digits, "12");
    panel_presses(&s_panel, &s_model, "ll", &s_now); // the cursor stays there
    assert_string_equal(s_panel.digits, "");
    assert_int_equal(s_panel.screen, MMI_SCREEN_TOKEN);
    panel_press(&s_panel, &s_model, true, &s_now);
    assert_int_equal(s_panel.screen, MMI_SCREEN_HOME);
}

static void test_no_token_is_taken_during_a_lock_out(void **state) {
    (void)state;
    panel_presses(&s_panel, &s_model, "lssll", &s_now);
    type("123456789");
    s_model.meters[0].lock_out_s = 1;
    assert_false(mmi_token_has(&s_panel, &s_model, MMI_SYMBOL_OK));
    s_model.meters[0].lock_out_s = 0;
    assert_int_equal(mmi_token_symbol(&s_panel, &s_model), MMI_SYMBOL_OK);
}

static void test_press_timing(void **state) {
    (void)state;
    static const struct {
        mm_us_t held;
        mmi_screen_t screen;
    } cases[] = {{0, MMI_SCREEN_HOME},        {19 * MS, MMI_SCREEN_HOME},
                 {20 * MS, MMI_SCREEN_METER}, {800 * MS - 1, MMI_SCREEN_METER},
                 {800 * MS, MMI_SCREEN_MENU}, {60 * S, MMI_SCREEN_MENU}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)set_up(NULL);
        s_now += S;
        mm_panel_on_button(&s_panel, true, &s_model, s_now);
        mm_panel_on_button(&s_panel, false, &s_model, s_now + cases[i].held); // nobody polled in between
        assert_int_equal(s_panel.screen, cases[i].screen);
    }
    // A long press is one as soon as it is, and only once.
    (void)set_up(NULL);
    s_now += S;
    mm_panel_on_button(&s_panel, true, &s_model, s_now);
    mm_us_t pressed_at = s_now;
    assert_int_equal(poll_at(s_now), pressed_at + 800 * MS);
    (void)poll_at(pressed_at + 800 * MS - 1);
    assert_int_equal(s_panel.screen, MMI_SCREEN_HOME);
    (void)poll_at(pressed_at + 800 * MS);
    assert_int_equal(s_panel.screen, MMI_SCREEN_MENU);
    (void)poll_at(pressed_at + 5 * S);
    mm_panel_on_button(&s_panel, false, &s_model, s_now);
    assert_int_equal(s_panel.screen, MMI_SCREEN_MENU);
    assert_int_equal(mmi_menu_line(&s_panel, &s_model), MMI_MENU_NETWORK);
}

static void test_bounce_and_a_button_held_at_boot(void **state) {
    (void)state;
    // Let go of what was never pressed.
    mm_panel_on_button(&s_panel, false, &s_model, s_now);
    assert_int_equal(s_panel.screen, MMI_SCREEN_HOME);
    // Contacts that bounce on both ways are one press.
    s_now += S;
    mm_panel_on_button(&s_panel, true, &s_model, s_now);
    mm_panel_on_button(&s_panel, false, &s_model, s_now + 2 * MS);
    mm_panel_on_button(&s_panel, true, &s_model, s_now + 4 * MS);
    mm_panel_on_button(&s_panel, true, &s_model, s_now + 5 * MS);
    mm_panel_on_button(&s_panel, false, &s_model, s_now + 200 * MS);
    mm_panel_on_button(&s_panel, true, &s_model, s_now + 205 * MS);
    mm_panel_on_button(&s_panel, false, &s_model, s_now + 219 * MS);
    assert_int_equal(s_panel.screen, MMI_SCREEN_METER);
    assert_int_equal(s_panel.channel, 0);
    // Quick presses are all taken.
    mm_panel_on_button(&s_panel, true, &s_model, s_now + 240 * MS);
    mm_panel_on_button(&s_panel, false, &s_model, s_now + 260 * MS);
    assert_int_equal(s_panel.channel, 2);
    // Stuck: one long press, then it goes dark all the same.
    mm_panel_on_button(&s_panel, true, &s_model, s_now + S);
    mm_us_t end = s_now + 120 * S;
    for (mm_us_t at = s_now + S; at < end; at += 100 * MS) {
        (void)poll_at(at);
    }
    assert_true(is_dark());
}

static void test_dark_and_light(void **state) {
    (void)state;
    mm_us_t begin = s_now;
    panel_presses(&s_panel, &s_model, "lssll", &s_now);
    type("12");
    mm_us_t dark_at = poll_at(s_now);
    assert_true(dark_at > begin + 60 * S && dark_at <= s_now + 60 * S);
    (void)poll_at(dark_at - 1);
    assert_false(is_dark());
    assert_int_equal(poll_at(dark_at), MM_US_NEVER);
    assert_true(is_dark());
    // What was typed is gone, and the press that lights the display does nothing else, be it long.
    assert_string_equal(s_panel.digits, "");
    panel_press(&s_panel, &s_model, true, &s_now);
    assert_false(is_dark());
    assert_int_equal(s_panel.screen, MMI_SCREEN_HOME);
    panel_press(&s_panel, &s_model, false, &s_now);
    assert_int_equal(s_panel.screen, MMI_SCREEN_METER);
}

static void test_what_is_urgent_is_not_left_in_the_dark(void **state) {
    (void)state;
    for (unsigned cause = 0; cause < 4; cause++) {
        (void)set_up(NULL);
        (void)poll_at(s_now + 60 * S);
        assert_true(is_dark());
        s_model.fault = cause == 0 ? "no clock" : NULL;
        s_model.ota_percent = cause == 1 ? 0 : MM_PANEL_OTA_NONE;
        s_model.has_number = cause == 2;
        s_model.wait_s = cause == 3 ? 10 : 0;
        (void)poll_at(s_now + S);
        assert_false(is_dark());
        mm_us_t end = s_now + 300 * S;
        while (s_now < end) {
            (void)poll_at(s_now + S);
            assert_false(is_dark());
        }
        // Another screen may be looked at, and gives way.
        panel_presses(&s_panel, &s_model, "ll", &s_now);
        assert_int_equal(s_panel.screen, MMI_SCREEN_NETWORK);
        (void)poll_at(s_now + 61 * S);
        assert_int_equal(s_panel.screen, MMI_SCREEN_HOME);
        assert_false(is_dark());
        mm_panel_wake(&s_panel, 0, s_now);
        (void)poll_at(s_now);
        assert_false(is_dark());
        // Once it is over, the display is lit for its time.
        mm_panel_model_t calm = panel_model();
        s_model = calm;
        (void)poll_at(s_now + 59 * S);
        assert_false(is_dark());
        (void)poll_at(s_now + S);
        assert_true(is_dark());
    }
}

static void test_notices(void **state) {
    (void)state;
    mm_canvas_t before;
    mm_canvas_t during;
    mm_canvas_t after;
    panel_presses(&s_panel, &s_model, "s", &s_now);
    mm_panel_draw(&s_panel, &s_model, s_now, &before);
    mm_panel_notice(&s_panel, "LOCK\n1-flat-3", s_now);
    assert_int_equal(poll_at(s_now), s_now + 5 * S);
    (void)poll_at(s_now + 5 * S - 1);
    mm_panel_draw(&s_panel, &s_model, s_now, &during);
    assert_memory_not_equal(&before, &during, sizeof before);
    // Without a poll, too.
    mm_panel_draw(&s_panel, &s_model, s_now + 1, &after);
    assert_memory_equal(&before, &after, sizeof before);
    (void)poll_at(s_now + 1);
    mm_panel_draw(&s_panel, &s_model, s_now, &after);
    assert_memory_equal(&before, &after, sizeof before);
    // A press ends it and does nothing else.
    mm_panel_notice(&s_panel, "x", s_now);
    panel_press(&s_panel, &s_model, true, &s_now);
    assert_int_equal(s_panel.screen, MMI_SCREEN_METER);
    mm_panel_draw(&s_panel, &s_model, s_now, &after);
    assert_memory_equal(&before, &after, sizeof before);
    // In the dark it lights, and goes.
    (void)poll_at(s_now + 60 * S);
    assert_true(is_dark());
    mm_panel_notice(&s_panel, "x", s_now);
    assert_false(is_dark());
    (void)poll_at(s_now + 5 * S);
    assert_true(is_dark());
    // Just before the dark it is seen for its whole time.
    mm_panel_wake(&s_panel, 1, s_now);
    mm_panel_notice(&s_panel, "x", s_now);
    (void)poll_at(s_now + 5 * S - 1);
    assert_false(is_dark());
    // Longer than there is room.
    char text[MM_PANEL_NOTICE_CHARS_MAX + 20];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    mm_panel_notice(&s_panel, text, s_now);
    assert_int_equal(strlen(s_panel.notice), MM_PANEL_NOTICE_CHARS_MAX);
}

static void test_wake(void **state) {
    (void)state;
    mm_panel_wake(&s_panel, 10, s_now); // less than it has
    (void)poll_at(s_now + 59 * S);
    assert_false(is_dark());
    mm_panel_wake(&s_panel, 300, s_now);
    (void)poll_at(s_now + 299 * S);
    assert_false(is_dark());
    (void)poll_at(s_now + S);
    assert_true(is_dark());
    mm_panel_wake(&s_panel, 0, s_now);
    assert_true(is_dark());
    mm_panel_wake(&s_panel, 10, s_now);
    (void)poll_at(s_now + 9 * S);
    assert_false(is_dark());
    mm_panel_wake(&s_panel, 0, s_now);
    (void)poll_at(s_now);
    assert_true(is_dark());
}

static void test_the_most_urgent_is_shown(void **state) {
    (void)state;
    mm_canvas_t canvases[5];
    for (unsigned i = 0; i < 5; i++) {
        mm_panel_draw(&s_panel, &s_model, s_now, &canvases[i]);
        for (unsigned k = 0; k < i; k++) {
            assert_memory_not_equal(&canvases[k], &canvases[i], sizeof canvases[i]);
        }
        // Each of these stands above those before it.
        s_model.number = 7;
        s_model.has_number = true;
        s_model.wait_s = i >= 1 ? 5 : 0;
        s_model.ota_percent = i >= 2 ? 50 : MM_PANEL_OTA_NONE;
        s_model.fault = i >= 3 ? "x" : NULL;
    }
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_every_screen_and_press),
                                       TEST(test_a_screen_that_became_impossible_is_home),
                                       TEST(test_menu_has_only_what_is_possible),
                                       TEST(test_the_only_meter_is_not_asked_for),
                                       TEST(test_choice_goes_round_the_prepaid_meters),
                                       TEST(test_tokens_of_every_length),
                                       TEST(test_digits_can_be_deleted),
                                       TEST(test_no_token_is_taken_during_a_lock_out),
                                       TEST(test_press_timing),
                                       TEST(test_bounce_and_a_button_held_at_boot),
                                       TEST(test_dark_and_light),
                                       TEST(test_what_is_urgent_is_not_left_in_the_dark),
                                       TEST(test_notices),
                                       TEST(test_wake),
                                       TEST(test_the_most_urgent_is_shown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
