// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PANEL_TEXT_H
#define MM_PANEL_TEXT_H

#include "meshmeter/base.h"

#define MMI_LINE_CHARS_MAX 63

/// A text that is put together from pieces. What does not fit is left out.
typedef struct {
    char text[MMI_LINE_CHARS_MAX + 1];
    size_t chars;
} mmi_line_t;

/// A new line, which begins with this.
void mmi_line_begin(mmi_line_t *self, const char *text);
void mmi_line_add(mmi_line_t *self, const char *text);
/// A number and what it counts.
void mmi_line_add_count(mmi_line_t *self, uint32_t number, const char *what);
/// At least `digits_min` digits.
void mmi_line_add_number(mmi_line_t *self, uint64_t number, unsigned digits_min);
/// Wh as kWh with `decimals` (0 to 3) of them, the rest cut off, with its sign.
void mmi_line_add_kwh(mmi_line_t *self, uint64_t wh, bool negative, unsigned decimals);
/// The hexadecimal digits of bytes.
void mmi_line_add_hex(mmi_line_t *self, const uint8_t *bytes, size_t bytes_count);
/// "9:59", "12:00:05" or "3 d 4 h".
void mmi_line_add_duration(mmi_line_t *self, uint32_t seconds);
/// "2026-11-28 22:03:44" of seconds since 1970.
void mmi_line_add_time(mmi_line_t *self, int64_t seconds);
/// Characters of `text` that make the next line of at most `chars_max`; *behind is where the one after it begins.
size_t mmi_line_break(const char *text, size_t chars_max, size_t *behind);

#endif
