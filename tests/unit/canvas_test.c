// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/canvas.h"

#include <limits.h>
#include <string.h>

#include "panel_support.h"

static mm_canvas_t s_canvas;

static int count_dots(void) {
    int count = 0;
    for (int y = 0; y < MM_CANVAS_HEIGHT; y++) {
        for (int x = 0; x < MM_CANVAS_WIDTH; x++) {
            count += mm_canvas_get(&s_canvas, x, y) ? 1 : 0;
        }
    }
    return count;
}

static void test_bytes_are_those_of_the_display(void **state) {
    (void)state;
    mm_canvas_clear(&s_canvas);
    mm_canvas_set(&s_canvas, 3, 10, true); // page 1, third row of it
    assert_int_equal(s_canvas.bytes[128 + 3], 0x04);
    mm_canvas_set(&s_canvas, 127, 63, true);
    assert_int_equal(s_canvas.bytes[1023], 0x80);
    mm_canvas_set(&s_canvas, 3, 10, false);
    assert_int_equal(s_canvas.bytes[128 + 3], 0);
    assert_int_equal(count_dots(), 1);
}

static void test_outside_is_cut_off(void **state) {
    (void)state;
    static const int ends[] = {INT_MIN, -1000, -1, 0, 1, 63, 64, 127, 128, 1000, INT_MAX};
    const size_t count = sizeof ends / sizeof ends[0];
    mm_canvas_clear(&s_canvas);
    for (size_t i = 0; i < count * count; i++) {
        int x = ends[i / count];
        int y = ends[i % count];
        bool is_inside = x >= 0 && x < 128 && y >= 0 && y < 64;
        mm_canvas_clear(&s_canvas);
        mm_canvas_set(&s_canvas, x, y, true);
        assert_int_equal(count_dots(), is_inside);
        assert_int_equal(mm_canvas_get(&s_canvas, x, y), is_inside);
    }
    mm_canvas_clear(&s_canvas);
    mm_canvas_fill(&s_canvas, -1000, -1000, 100000, INT_MAX, true);
    assert_int_equal(count_dots(), 128 * 64);
    mm_canvas_invert(&s_canvas, 126, 62, INT_MAX, INT_MAX);
    assert_int_equal(count_dots(), 128 * 64 - 4);
    mm_canvas_fill(&s_canvas, 5, 5, 0, 10, false);
    mm_canvas_fill(&s_canvas, 5, 5, 10, -1, false);
    mm_canvas_frame(&s_canvas, 5, 5, 0, 0);
    assert_int_equal(count_dots(), 128 * 64 - 4);
}

static void test_shapes(void **state) {
    (void)state;
    mm_canvas_clear(&s_canvas);
    mm_canvas_fill(&s_canvas, 10, 20, 5, 4, true);
    assert_int_equal(count_dots(), 20);
    assert_true(mm_canvas_get(&s_canvas, 14, 23) && !mm_canvas_get(&s_canvas, 15, 23) &&
                !mm_canvas_get(&s_canvas, 14, 24));
    mm_canvas_invert(&s_canvas, 10, 20, 5, 3);
    assert_int_equal(count_dots(), 5);
    mm_canvas_clear(&s_canvas);
    mm_canvas_frame(&s_canvas, 0, 0, 10, 6);
    assert_int_equal(count_dots(), 2 * 10 + 2 * 4);
    assert_false(mm_canvas_get(&s_canvas, 1, 1));
}

static void draw_alone(mm_font_t font, char character) {
    const char text[2] = {character, '\0'};
    mm_canvas_clear(&s_canvas);
    (void)mm_canvas_text(&s_canvas, 40, 20, font, text);
}

// Each character is in its box, and no two of a font look the same.
static void check_font(mm_font_t font, const char *characters, int width, int height) {
    static mm_canvas_t s_pictures[96];
    size_t count = strlen(characters);
    for (size_t i = 0; i < count; i++) {
        draw_alone(font, characters[i]);
        int all = count_dots();
        assert_true(all > 0 || characters[i] == ' ');
        mm_canvas_fill(&s_canvas, 40, 20, width, height, false);
        assert_int_equal(count_dots(), 0);
        draw_alone(font, characters[i]);
        s_pictures[i] = s_canvas;
        for (size_t k = 0; k < i; k++) {
            if (memcmp(&s_pictures[k], &s_pictures[i], sizeof s_canvas) == 0) {
                fail_msg("'%c' and '%c' look the same", characters[k], characters[i]);
            }
        }
    }
}

static void test_fonts(void **state) {
    (void)state;
    char printable[96] = "";
    for (int i = 0; i < 95; i++) {
        printable[i] = (char)(' ' + i);
    }
    check_font(MM_FONT_SMALL, printable, 5, 7);
    check_font(MM_FONT_LARGE, "0123456789ABCDEF.- kWh", 10, 16);
    check_font(MM_FONT_HUGE, "0123456789ABCDEF ", 14, 24);
}

static void test_unknown_characters_are_a_box(void **state) {
    (void)state;
    static const struct {
        mm_font_t font;
        char character;
        int dots;
    } cases[] = {{MM_FONT_SMALL, '\n', 2 * 5 + 2 * 5},
                 {MM_FONT_SMALL, (char)0xC3, 20},
                 {MM_FONT_SMALL, 0x7F, 20},
                 {MM_FONT_LARGE, 'Z', 2 * 10 + 2 * 14},
                 {MM_FONT_HUGE, '.', 2 * 14 + 2 * 22},
                 {MM_FONT_HUGE, 'k', 2 * 14 + 2 * 22}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        draw_alone(cases[i].font, cases[i].character);
        assert_int_equal(count_dots(), cases[i].dots);
    }
}

static void test_text_goes_on_behind(void **state) {
    (void)state;
    mm_canvas_clear(&s_canvas);
    assert_int_equal(mm_canvas_text(&s_canvas, 3, 0, MM_FONT_SMALL, "abc"), 3 + 18);
    assert_int_equal(mm_canvas_text(&s_canvas, -30, 60, MM_FONT_LARGE, "0123456789012"), -30 + 13 * 12);
    assert_int_equal(mm_canvas_text_width(MM_FONT_SMALL, "abc"), 18);
    assert_int_equal(mm_canvas_text_width(MM_FONT_LARGE, "12"), 24);
    assert_int_equal(mm_canvas_text_width(MM_FONT_HUGE, "12345678"), MM_CANVAS_WIDTH);
    assert_int_equal(mm_canvas_text_width(MM_FONT_HUGE, ""), 0);
}

// All characters, to be looked at.
static void test_specimen(void **state) {
    (void)state;
    mm_canvas_clear(&s_canvas);
    (void)mm_canvas_text(&s_canvas, 0, 0, MM_FONT_SMALL, " !\"#$%&'()*+,-./01234");
    (void)mm_canvas_text(&s_canvas, 0, 9, MM_FONT_SMALL, "56789:;<=>?@ABCDEFGHI");
    (void)mm_canvas_text(&s_canvas, 0, 18, MM_FONT_SMALL, "JKLMNOPQRSTUVWXYZ[\\]^");
    (void)mm_canvas_text(&s_canvas, 0, 27, MM_FONT_SMALL, "_`abcdefghijklmnopqrs");
    (void)mm_canvas_text(&s_canvas, 0, 36, MM_FONT_SMALL, "tuvwxyz{|}~");
    (void)mm_canvas_text(&s_canvas, 0, 46, MM_FONT_LARGE, "ABCDEF.kWh");
    assert_golden(&s_canvas, "font-small");
    mm_canvas_clear(&s_canvas);
    (void)mm_canvas_text(&s_canvas, 0, 0, MM_FONT_HUGE, "01234567");
    (void)mm_canvas_text(&s_canvas, 0, 24, MM_FONT_HUGE, "89ABCDEF");
    (void)mm_canvas_text(&s_canvas, 0, 48, MM_FONT_LARGE, "0123456789");
    assert_golden(&s_canvas, "font-large");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes_are_those_of_the_display),
                                       cmocka_unit_test(test_outside_is_cut_off),
                                       cmocka_unit_test(test_shapes),
                                       cmocka_unit_test(test_fonts),
                                       cmocka_unit_test(test_unknown_characters_are_a_box),
                                       cmocka_unit_test(test_text_goes_on_behind),
                                       cmocka_unit_test(test_specimen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
