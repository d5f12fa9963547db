// SPDX-License-Identifier: Apache-2.0
#ifndef MM_OLED_DRAW_H
#define MM_OLED_DRAW_H

#include <stdbool.h>
#include <stdint.h>

#include "meshmeter/canvas.h"

#define OLED_BYTES MM_CANVAS_BYTES
/// Half blocks: 34 lines of 130 characters of 3 bytes at most.
#define OLED_DRAWING_BYTES 16384

/// 2,048 hexadecimal digits, and nothing else.
bool oled_parse(const char *text, uint8_t bytes[OLED_BYTES]);
/// The picture in a frame, UTF-8, with line ends: Braille 66 columns by 18 lines, or half blocks 130 by 34.
void oled_draw(const uint8_t bytes[OLED_BYTES], bool blocks, char text[OLED_DRAWING_BYTES]);

#endif
