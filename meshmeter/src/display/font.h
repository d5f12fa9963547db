// SPDX-License-Identifier: Apache-2.0
#ifndef MM_FONT_H
#define MM_FONT_H

#include "meshmeter/base.h"

#define MMI_FONT_COLUMNS 5
#define MMI_FONT_ROWS 7

/// Rows of a character from the top, bit 4 the leftmost dot. NULL: not printable ASCII.
const uint8_t *mmi_font_rows(char character);
/// Segments of a digit or of 'A' to 'F' as a seven-segment display has them, bit 0 = a (top), clockwise to f, bit 6 = g
/// (middle). 0: no such figure.
uint8_t mmi_font_segments(char character);

#endif
