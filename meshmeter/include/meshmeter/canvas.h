// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CANVAS_H
#define MM_CANVAS_H

#include "meshmeter/base.h"

/// A one-bit picture of 128 x 64 dots, as an SSD1306 display has it: byte [page][column], bit 0 the topmost of the
/// page's 8 rows. Drawing outside is cut off. No memory but the picture.

#define MM_CANVAS_WIDTH 128
#define MM_CANVAS_HEIGHT 64
#define MM_CANVAS_BYTES (MM_CANVAS_WIDTH * MM_CANVAS_HEIGHT / 8)

typedef struct {
    uint8_t bytes[MM_CANVAS_BYTES];
} mm_canvas_t;

typedef enum {
    MM_FONT_SMALL = 0, ///< 5 x 7 dots in cells of 6 x 8: 21 characters in a line, printable ASCII
    MM_FONT_LARGE,     ///< digits, 'A' to 'F', '.', '-', ' ', 'k', 'W', 'h': 10 x 16 in cells of 12 x 18
    MM_FONT_HUGE,      ///< digits, 'A' to 'F' and ' ': 14 x 24 in cells of 16 x 26, 8 in a line: the challenge number
} mm_font_t;
// Digits and 'A' to 'F' of the larger two are those of a seven-segment display (A b C d E F): every one is told from
// every other at a glance and over the telephone.

void mm_canvas_clear(mm_canvas_t *self);
void mm_canvas_set(mm_canvas_t *self, int x, int y, bool on);
bool mm_canvas_get(const mm_canvas_t *self, int x, int y);
void mm_canvas_fill(mm_canvas_t *self, int x, int y, int width, int height, bool on);
void mm_canvas_frame(mm_canvas_t *self, int x, int y, int width, int height);
void mm_canvas_invert(mm_canvas_t *self, int x, int y, int width, int height);
/// Characters that the font does not have are drawn as a box. Returns the x behind the last one.
int mm_canvas_text(mm_canvas_t *self, int x, int y, mm_font_t font, const char *text);
int mm_canvas_text_width(mm_font_t font, const char *text);

#endif
