// SPDX-License-Identifier: Apache-2.0
#include "oled_draw.h"

#include <stdio.h>
#include <string.h>

static int digit_of(char character) {
    if (character >= '0' && character <= '9') {
        return character - '0';
    }
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

bool oled_parse(const char *text, uint8_t bytes[OLED_BYTES]) {
    if (strlen(text) != (size_t)2 * OLED_BYTES) {
        return false;
    }
    for (size_t i = 0; i < OLED_BYTES; i++) {
        int high = digit_of(text[2 * i]);
        int low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static unsigned dot(const uint8_t bytes[OLED_BYTES], int x, int y) {
    return (unsigned)bytes[y / 8 * MM_CANVAS_WIDTH + x] >> (y % 8) & 1U;
}

static char *put(char *at, const char *text) {
    size_t size = strlen(text);
    memcpy(at, text, size);
    return at + size;
}

static char *put_edge(char *at, const char *left, const char *right, int columns) {
    at = put(at, left);
    for (int i = 0; i < columns; i++) {
        at = put(at, "─");
    }
    return put(put(at, right), "\n");
}

// Eight dots, 2 wide and 4 high; the code points count them in columns, the fourth row last.
static char *put_braille(char *at, const uint8_t bytes[OLED_BYTES], int x, int y) {
    static const struct { int x, y; } dots[8] = {{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}, {0, 3}, {1, 3}};
    unsigned bits = 0;
    for (unsigned i = 0; i < 8; i++) {
        bits |= dot(bytes, x + dots[i].x, y + dots[i].y) << i;
    }
    const char utf8[4] = {(char)0xE2, (char)(0xA0 | bits >> 6), (char)(0x80 | (bits & 0x3F)), '\0'};
    return put(at, utf8);
}

void oled_draw(const uint8_t bytes[OLED_BYTES], bool blocks, char text[OLED_DRAWING_BYTES]) {
    static const char *const halves[4] = {" ", "▀", "▄", "█"};
    int cell_width = blocks ? 1 : 2;
    int cell_height = blocks ? 2 : 4;
    char *at = put_edge(text, "┌", "┐", MM_CANVAS_WIDTH / cell_width);
    for (int y = 0; y < MM_CANVAS_HEIGHT; y += cell_height) {
        at = put(at, "│");
        for (int x = 0; x < MM_CANVAS_WIDTH; x += cell_width) {
            at = blocks ? put(at, halves[dot(bytes, x, y) | dot(bytes, x, y + 1) << 1]) : put_braille(at, bytes, x, y);
        }
        at = put(at, "│\n");
    }
    at = put_edge(at, "└", "┘", MM_CANVAS_WIDTH / cell_width);
    *at = '\0';
}
