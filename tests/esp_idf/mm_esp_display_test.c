// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_display.h"

#include "test_support.h"

#include <string.h>

#include "fake.h"
#include "fake_i2c.h"

static void plug_in(mm_esp_i2c_t *bus, mm_esp_display_t *display, bool is_there) {
    fake_reset();
    fake_oled()->is_there = is_there;
    memset(fake_oled()->dots, 0xEE, sizeof fake_oled()->dots); // what memory happens to hold
    assert_int_equal(mm_esp_i2c_open(bus, 22, 21), MM_OK);
    mm_esp_display_open(display, bus, 0x3C);
}

static void test_only_changes(void **state) {
    (void)state;
    mm_esp_i2c_t bus;
    mm_esp_display_t display;
    mm_canvas_t canvas;
    plug_in(&bus, &display, true);
    mm_canvas_clear(&canvas);
    mm_canvas_text(&canvas, 0, 16, MM_FONT_SMALL, "meter");
    mm_esp_display_show(&display, &canvas, 0);
    assert_memory_equal(fake_oled()->dots, canvas.bytes, sizeof canvas.bytes);
    assert_true(fake_oled()->is_lit && fake_oled()->is_set_up);
    assert_int_equal(fake_oled()->pages_sent, 8);
    mm_esp_display_show(&display, &canvas, 1);
    assert_int_equal(fake_oled()->pages_sent, 8);
    mm_canvas_set(&canvas, 127, 63, true);
    mm_esp_display_show(&display, &canvas, 2);
    assert_int_equal(fake_oled()->pages_sent, 9);
    assert_memory_equal(fake_oled()->dots, canvas.bytes, sizeof canvas.bytes);
    mm_canvas_clear(&canvas);
    mm_esp_display_show(&display, &canvas, 3);
    assert_false(fake_oled()->is_lit);
    mm_esp_display_close(&display);
    mm_esp_i2c_close(&bus);
    assert_int_equal(fake_i2c_open_count(), 0);
}

static void test_absent_then_plugged_in(void **state) {
    (void)state;
    mm_esp_i2c_t bus;
    mm_esp_display_t display;
    mm_canvas_t canvas;
    plug_in(&bus, &display, false);
    memset(&canvas, 0x55, sizeof canvas);
    mm_esp_display_show(&display, &canvas, 0);
    unsigned calls = fake_call_count();
    mm_esp_display_show(&display, &canvas, 9 * MM_US_PER_S);
    assert_int_equal(fake_call_count(), calls); // not asked again yet
    fake_oled()->is_there = true;
    mm_esp_display_show(&display, &canvas, 10 * MM_US_PER_S);
    assert_memory_equal(fake_oled()->dots, canvas.bytes, sizeof canvas.bytes);
    mm_esp_i2c_t none = {0};
    mm_esp_display_open(&display, &none, 0x3C);
    mm_esp_display_show(&display, &canvas, 20 * MM_US_PER_S);
}

// Whatever fails, ten seconds later the picture is right.
static void test_one_call_fails(void **state) {
    (void)state;
    bool failed = false;
    for (unsigned call_no = 1; call_no == 1 || failed; call_no++) {
        mm_esp_i2c_t bus;
        mm_esp_display_t display;
        mm_canvas_t canvas;
        plug_in(&bus, &display, true);
        memset(&canvas, 0x33, sizeof canvas);
        fake_fail_at(call_no);
        mm_esp_display_show(&display, &canvas, 0);
        canvas.bytes[500] ^= 0xFF;
        mm_esp_display_show(&display, &canvas, 1);
        failed = fake_has_failed();
        mm_esp_display_show(&display, &canvas, 11 * MM_US_PER_S);
        assert_memory_equal(fake_oled()->dots, canvas.bytes, sizeof canvas.bytes);
        assert_true(fake_oled()->is_lit);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_changes),
        cmocka_unit_test(test_absent_then_plugged_in),
        cmocka_unit_test(test_one_call_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
