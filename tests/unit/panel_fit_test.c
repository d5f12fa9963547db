// SPDX-License-Identifier: Apache-2.0
// Nothing is cut off: the panel is compiled once more with a text function that looks at where each text goes. What it
// is given in full is on the picture in full, for the longest values.
#include "meshmeter/panel.h"

#include "panel_support.h"

static char s_seen[4096];

static int checked_text(mm_canvas_t *canvas, int x, int y, mm_font_t font, const char *text) {
    static const struct {
        int gap, height;
    } faces[] = {[MM_FONT_SMALL] = {1, 7}, [MM_FONT_LARGE] = {2, 16}, [MM_FONT_HUGE] = {2, 24}};
    int end = x + mm_canvas_text_width(font, text) - (text[0] != '\0' ? faces[font].gap : 0);
    if (x < 0 || y < 0 || end > MM_CANVAS_WIDTH || y + faces[font].height > MM_CANVAS_HEIGHT) {
        fail_msg("'%s' at %d,%d is cut off", text, x, y);
    }
    for (; *text != '\0'; text++) {
        size_t used = strlen(s_seen);
        assert_true(used + 1 < sizeof s_seen);
        if (*text != ' ') {
            s_seen[used] = *text;
            s_seen[used + 1] = '\0';
        }
    }
    return end + faces[font].gap;
    (void)canvas;
}

#define mm_canvas_text checked_text
#include "display/panel.c"
#include "display/panel_menu.c"
#include "display/panel_screens.c"
#undef mm_canvas_text

static mm_panel_t s_panel;

static void draw(const mm_panel_model_t *model, mm_us_t now) {
    mm_canvas_t canvas;
    s_seen[0] = '\0';
    mm_panel_draw(&s_panel, model, now, &canvas);
}

// Blanks and line ends do not count.
static void assert_seen(const char *text) {
    char wanted[256] = "";
    for (size_t used = 0; *text != '\0'; text++) {
        if (*text != ' ' && *text != '\n') {
            wanted[used++] = *text;
        }
    }
    if (strstr(s_seen, wanted) == NULL) {
        fail_msg("'%s' is not in '%s'", wanted, s_seen);
    }
}

static void vary(mm_panel_model_t *model, unsigned variant) {
    model->is_root = (variant & 1) != 0;
    model->attached = (variant & 2) != 0;
    model->time_known = (variant & 4) != 0;
    model->router_up = (variant & 8) != 0;
    model->local_s = (variant & 16) != 0 ? INT64_C(253402300799) : 0; // the end of the year 9999
    model->backlog = (variant & 32) != 0 ? UINT32_MAX : 0;
    model->version = (variant & 2) != 0 ? "12345.67890.1" : NULL;
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        model->meters[i].relay_reasons = (uint8_t)((variant + i) % 16);
        model->meters[i].lock_out_s = (variant & 1) != 0 ? UINT32_MAX : 0;
        model->meters[i].balance_wh = (variant & 2) != 0 ? -MM_CREDIT_WH_MAX : MM_CREDIT_WH_MAX;
        model->meters[i].energy_wh = (variant & 4) != 0 ? UINT64_MAX : UINT64_C(1) << variant;
    }
}

static void test_every_screen_fits(void **state) {
    (void)state;
    for (unsigned variant = 0; variant < 64; variant += MM_CASES_EVERY) {
        mm_panel_model_t model = panel_longest_model();
        vary(&model, variant);
        for (unsigned screen = 0; screen < MMI_SCREEN_COUNT; screen++) {
            for (unsigned cursor = 0; cursor < MMI_SYMBOL_COUNT; cursor++) {
                for (unsigned digit_count = 0; digit_count <= MM_TOKEN_DIGITS_MAX; digit_count++) {
                    mm_panel_init(&s_panel, 0);
                    s_panel.screen = (uint8_t)screen;
                    s_panel.cursor = (uint8_t)cursor;
                    s_panel.digit_count = (uint8_t)digit_count;
                    memset(s_panel.digits, '8', digit_count);
                    s_panel.channel = (uint8_t)(cursor % MM_CHANNELS);
                    draw(&model, 0);
                }
            }
        }
    }
}

static void test_home_fits_in_every_state(void **state) {
    (void)state;
    static const char fault[] = "abcdefghi klmnopqrstu abcdefghi klmnopqrstu abcdefghi klmnopqrs";
    for (unsigned life = 0; life < MM_LIFE_STATE_COUNT; life++) {
        mm_panel_model_t model = panel_longest_model();
        model.state = (mm_life_state_t)life;
        mm_panel_init(&s_panel, 0);
        draw(&model, 0);
        assert_seen(life == MM_LIFE_CONFIGURING ? "[2001:db8:1111:2222:3333:4444:5555:6666]/"
                    : life == MM_LIFE_PARKED    ? "0AB1C2"
                                                : model.site);
        model.has_number = true;
        draw(&model, 0);
        assert_seen("88888888");
        assert_seen("9:59:59");
        assert_seen("[2001:db8:1111:2222:3333:4444:5555:6666]/");
        model.number = UINT32_MAX;
        draw(&model, 0);
        assert_seen("4294967295");
        model.wait_s = UINT32_MAX;
        draw(&model, 0);
        assert_seen("4294967295");
        model.ota_percent = 254;
        draw(&model, 0);
        assert_seen("100%");
        model.fault = fault;
        assert_true(sizeof fault - 1 == MM_PANEL_FAULT_CHARS_MAX);
        draw(&model, 0);
        assert_seen(fault);
    }
}

static void test_texts_are_whole(void **state) {
    (void)state;
    mm_panel_model_t model = panel_longest_model();
    mm_us_t now = 0;
    mm_panel_init(&s_panel, now);
    panel_presses(&s_panel, &model, "s", &now);
    draw(&model, now);
    assert_seen("123456789012");
    assert_seen("18446744073709551 kWh");
    assert_seen("now 4294967295 W");
    assert_seen("left -1000000000 kWh");
    assert_seen("OFF locked, no credit tamper, not confirmed");
    panel_presses(&s_panel, &model, "ll", &now);
    draw(&model, now);
    assert_seen("4294967295 to send");
    panel_presses(&s_panel, &model, "ss", &now);
    draw(&model, now);
    assert_seen("12345.67890.1");
    assert_seen("02:6D:6D:0A:B1:C2");
    assert_seen("49710 d 6 h");
    assert_seen(model.site);
    // Three full lines, broken where there is no blank, and lines of the text's own.
    static const char *const notices[] = {"123456789012345678901234567890123456789012345678901234567890123",
                                          "DISPLAY ON\n123456789012\ntoo_old", "HERE I AM\nSomebody looks for me"};
    for (size_t i = 0; i < sizeof notices / sizeof notices[0]; i++) {
        mm_panel_notice(&s_panel, notices[i], now);
        draw(&model, now);
        assert_seen(notices[i]);
    }
}

// What stands behind the words must be the amount: cut off, never rounded up.
static void test_amounts(void **state) {
    (void)state;
    static const struct {
        uint64_t energy_wh;
        const char *energy;
        int64_t balance_wh;
        const char *balance;
    } cases[] = {{0, "0.00kWh", 0, "left 0.000 kWh"},
                 {9, "0.00kWh", -1, "left -0.001 kWh"},
                 {99999999, "99999.99kWh", 999999999, "left 999999.999 kWh"},
                 {100000000, "100000.0kWh", -999999999, "left -999999.999 kWh"},
                 {UINT64_C(1000000999), "1000000kWh", INT64_C(9999999999), "left 9999999.999 kWh"},
                 {UINT64_C(99999999999), "99999999kWh", INT64_C(10000000999), "left 10000000 kWh"},
                 {UINT64_C(100000000000), "100000000kWh", -500, "left -0.500 kWh"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mm_panel_model_t model = panel_model();
        mm_us_t now = 0;
        model.meters[0].energy_wh = cases[i].energy_wh;
        model.meters[0].balance_wh = cases[i].balance_wh;
        mm_panel_init(&s_panel, now);
        panel_presses(&s_panel, &model, "s", &now);
        draw(&model, now);
        assert_seen(cases[i].energy);
        assert_seen(cases[i].balance);
    }
}

// Against the calendar of the system's `date -u`.
static void test_times(void **state) {
    (void)state;
    static const struct {
        int64_t local_s;
        const char *text;
    } cases[] = {{0, "1970-01-01 00:00:00"},          {951782399, "2000-02-28 23:59:59"},
                 {951782400, "2000-02-29 00:00:00"},  {1709164800, "2024-02-29 00:00:00"},
                 {1709251200, "2024-03-01 00:00:00"}, {LOCAL_S, "2026-11-28 14:05:09"},
                 {4102444799, "2099-12-31 23:59:59"}, {INT64_C(4107542400), "2100-03-01 00:00:00"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mm_panel_model_t model = panel_model();
        mm_us_t now = 0;
        model.local_s = cases[i].local_s;
        mm_panel_init(&s_panel, now);
        panel_presses(&s_panel, &model, "ll", &now);
        draw(&model, now);
        assert_seen(cases[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_screen_fits), cmocka_unit_test(test_home_fits_in_every_state),
        cmocka_unit_test(test_texts_are_whole), cmocka_unit_test(test_amounts), cmocka_unit_test(test_times)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
