// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/canvas.h"

#include <string.h>

#include "font.h"

typedef struct {
    int width;
    int height;
    int cell;
    int stroke;
} face_t;

// Cells are wider than characters by the gap between two.
static const face_t FACES[] = {
    [MM_FONT_SMALL] = {5, 7, 6, 1}, [MM_FONT_LARGE] = {10, 16, 12, 2}, [MM_FONT_HUGE] = {14, 24, 16, 3}};

void mm_canvas_clear(mm_canvas_t *self) {
    memset(self->bytes, 0, sizeof self->bytes);
}

static bool is_inside(int x, int y) {
    return x >= 0 && x < MM_CANVAS_WIDTH && y >= 0 && y < MM_CANVAS_HEIGHT;
}

void mm_canvas_set(mm_canvas_t *self, int x, int y, bool on) {
    if (!is_inside(x, y)) {
        return;
    }
    uint8_t *byte = &self->bytes[y / 8 * MM_CANVAS_WIDTH + x];
    uint8_t bit = (uint8_t)(1U << (y % 8));
    *byte = (uint8_t)(on ? *byte | bit : *byte & ~bit);
}

bool mm_canvas_get(const mm_canvas_t *self, int x, int y) {
    return is_inside(x, y) && (self->bytes[y / 8 * MM_CANVAS_WIDTH + x] >> (y % 8) & 1) != 0;
}

// The part of [begin, begin + length) that is in [0, end), so that a huge length costs nothing.
static void clip(int begin, int length, int end, int *first, int *behind) {
    *first = begin > 0 ? begin : 0;
    *behind = length <= 0 ? begin : begin > end - length ? end : begin + length;
}

void mm_canvas_fill(mm_canvas_t *self, int x, int y, int width, int height, bool on) {
    int left, right, top, bottom;
    clip(x, width, MM_CANVAS_WIDTH, &left, &right);
    clip(y, height, MM_CANVAS_HEIGHT, &top, &bottom);
    for (int row = top; row < bottom; row++) {
        for (int column = left; column < right; column++) {
            mm_canvas_set(self, column, row, on);
        }
    }
}

void mm_canvas_frame(mm_canvas_t *self, int x, int y, int width, int height) {
    if (width <= 0 || height <= 0) {
        return;
    }
    mm_canvas_fill(self, x, y, width, 1, true);
    mm_canvas_fill(self, x, y + height - 1, width, 1, true);
    mm_canvas_fill(self, x, y, 1, height, true);
    mm_canvas_fill(self, x + width - 1, y, 1, height, true);
}

void mm_canvas_invert(mm_canvas_t *self, int x, int y, int width, int height) {
    int left, right, top, bottom;
    clip(x, width, MM_CANVAS_WIDTH, &left, &right);
    clip(y, height, MM_CANVAS_HEIGHT, &top, &bottom);
    for (int row = top; row < bottom; row++) {
        for (int column = left; column < right; column++) {
            mm_canvas_set(self, column, row, !mm_canvas_get(self, column, row));
        }
    }
}

static void draw_scaled(mm_canvas_t *self, int x, int y, const uint8_t *rows, int scale) {
    for (int row = 0; row < MMI_FONT_ROWS; row++) {
        for (int column = 0; column < MMI_FONT_COLUMNS; column++) {
            if ((rows[row] >> (MMI_FONT_COLUMNS - 1 - column) & 1) != 0) {
                mm_canvas_fill(self, x + column * scale, y + row * scale, scale, scale, true);
            }
        }
    }
}

// A bar with pointed ends, as such displays have them: what meets at a corner stays apart by its points.
static void draw_bar(mm_canvas_t *self, int x, int y, int length, int stroke, bool upright) {
    for (int i = 0; i < stroke; i++) {
        int from_middle = i < stroke / 2 ? stroke / 2 - i : i - (stroke - 1) / 2;
        int from_edge = from_middle > 0 ? from_middle - (stroke % 2 == 0 ? 1 : 0) : 0;
        if (upright) {
            mm_canvas_fill(self, x + i, y + from_edge, 1, length - 2 * from_edge, true);
        } else {
            mm_canvas_fill(self, x + from_edge, y + i, length - 2 * from_edge, 1, true);
        }
    }
}

static void draw_segments(mm_canvas_t *self, int x, int y, const face_t *face, uint8_t segments) {
    int middle = (face->height - face->stroke) / 2;
    int right = face->width - face->stroke;
    int bottom = face->height - face->stroke;
    int across = face->width - 2;
    int upper = middle + face->stroke - 2;
    int lower = face->height - middle - 2;
    const struct {
        int x, y, length;
        bool upright;
    } bars[7] = {{1, 0, across, false},      {right, 1, upper, true},      {right, middle + 1, lower, true},
                 {1, bottom, across, false}, {0, middle + 1, lower, true}, {0, 1, upper, true},
                 {1, middle, across, false}};
    for (unsigned i = 0; i < 7; i++) {
        if ((segments >> i & 1) != 0) {
            draw_bar(self, x + bars[i].x, y + bars[i].y, bars[i].length, face->stroke, bars[i].upright);
        }
    }
}

static void draw_character(mm_canvas_t *self, int x, int y, mm_font_t font, char character) {
    const face_t *face = &FACES[font];
    uint8_t segments = mmi_font_segments(character);
    const uint8_t *rows = mmi_font_rows(character);
    if (character == ' ') {
        return;
    }
    if (font == MM_FONT_SMALL && rows != NULL) {
        draw_scaled(self, x, y, rows, 1);
    } else if (font != MM_FONT_SMALL && segments != 0) {
        draw_segments(self, x, y, face, segments);
    } else if (font == MM_FONT_LARGE && strchr(".-kWh", character) != NULL) {
        draw_scaled(self, x, y + 2, rows, 2); // on the line on which the digits stand
    } else {
        mm_canvas_frame(self, x, y, face->width, face->height);
    }
}

int mm_canvas_text(mm_canvas_t *self, int x, int y, mm_font_t font, const char *text) {
    for (; *text != '\0'; text++) {
        draw_character(self, x, y, font, *text);
        x += FACES[font].cell;
    }
    return x;
}

int mm_canvas_text_width(mm_font_t font, const char *text) {
    return (int)strlen(text) * FACES[font].cell;
}
