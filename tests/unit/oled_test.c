// SPDX-License-Identifier: Apache-2.0
// The picture on its way to the terminal, and what the node says on it.
#include "node_display.h"
#include "oled_draw.h"

#include "panel_support.h"

static void test_hex_there_and_back(void **state) {
    (void)state;
    static char s_text[NODE_DISPLAY_HEX_CHARS + 2];
    mm_canvas_t canvas;
    uint8_t bytes[OLED_BYTES];
    for (size_t i = 0; i < MM_CANVAS_BYTES; i++) {
        canvas.bytes[i] = (uint8_t)(i * 7);
    }
    node_display_hex(&canvas, s_text);
    assert_memory_equal(s_text, "00070e151c", 10);
    assert_true(oled_parse(s_text, bytes));
    assert_memory_equal(bytes, canvas.bytes, sizeof bytes);
    static const char wrong[] = "gG/: \x80@`";
    for (size_t i = 0; i < sizeof wrong - 1; i++) {
        node_display_hex(&canvas, s_text);
        s_text[2000 + i] = wrong[i];
        assert_false(oled_parse(s_text, bytes));
    }
    node_display_hex(&canvas, s_text);
    strcat(s_text, "0");
    assert_false(oled_parse(s_text, bytes));
    s_text[NODE_DISPLAY_HEX_CHARS - 1] = '\0';
    assert_false(oled_parse(s_text, bytes));
    assert_false(oled_parse("", bytes));
}

// Columns and lines; UTF-8's followers do not count.
static void measure(const char *text, unsigned *columns, unsigned *lines) {
    unsigned column = 0;
    *columns = 0;
    *lines = 0;
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            assert_true(*columns == 0 || *columns == column);
            *columns = column;
            column = 0;
            *lines += 1;
        } else if (((unsigned char)*text & 0xC0) != 0x80) {
            column++;
        }
    }
    assert_int_equal(column, 0);
}

static void test_drawings(void **state) {
    (void)state;
    static char s_text[OLED_DRAWING_BYTES];
    mm_canvas_t canvas;
    unsigned columns;
    unsigned lines;
    memset(&canvas, 0xFF, sizeof canvas);
    for (unsigned blocks = 0; blocks < 2; blocks++) {
        oled_draw(canvas.bytes, blocks != 0, s_text);
        measure(s_text, &columns, &lines);
        assert_int_equal(columns, blocks != 0 ? 130 : 66);
        assert_int_equal(lines, blocks != 0 ? 34 : 18);
        assert_true(strlen(s_text) < sizeof s_text);
    }
    // U+2800 and the numbers of the dots, from the Unicode standard: 1 2 3 7 in the left column, 4 5 6 8 in the right.
    static const struct {
        int x, y;
        const char *braille;
        const char *block;
    } dots[] = {{0, 0, "\u2801", "▀"}, {0, 1, "\u2802", "▄"}, {0, 2, "\u2804", "▀"}, {0, 3, "\u2840", "▄"},
                {1, 0, "\u2808", "▀"}, {1, 1, "\u2810", "▄"}, {1, 2, "\u2820", "▀"}, {1, 3, "\u2880", "▄"}};
    for (size_t i = 0; i < sizeof dots / sizeof dots[0]; i++) {
        mm_canvas_clear(&canvas);
        mm_canvas_set(&canvas, dots[i].x, dots[i].y, true);
        oled_draw(canvas.bytes, false, s_text);
        assert_non_null(strstr(s_text, dots[i].braille));
        oled_draw(canvas.bytes, true, s_text);
        assert_non_null(strstr(s_text, dots[i].block));
        assert_null(strstr(s_text, "█"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hex_there_and_back), cmocka_unit_test(test_drawings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
