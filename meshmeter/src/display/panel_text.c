// SPDX-License-Identifier: Apache-2.0
#include "panel_text.h"

#include <string.h>

#include "meshmeter/calendar.h"

#define SECONDS_MAX INT64_C(253402300799) // 9999-12-31T23:59:59Z

void mmi_line_add(mmi_line_t *self, const char *text) {
    for (; *text != '\0' && self->chars < MMI_LINE_CHARS_MAX; text++) {
        self->text[self->chars++] = *text;
    }
    self->text[self->chars] = '\0';
}

void mmi_line_begin(mmi_line_t *self, const char *text) {
    self->chars = 0;
    mmi_line_add(self, text);
}

void mmi_line_add_number(mmi_line_t *self, uint64_t number, unsigned digits_min) {
    char digits[21];
    size_t first = sizeof digits - 1;
    digits[first] = '\0';
    for (unsigned count = 0; number > 0 || count < digits_min; count++) {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    }
    mmi_line_add(self, digits + first);
}

void mmi_line_add_count(mmi_line_t *self, uint32_t number, const char *what) {
    mmi_line_add_number(self, number, 1);
    mmi_line_add(self, what);
}

void mmi_line_add_kwh(mmi_line_t *self, uint64_t wh, bool negative, unsigned decimals) {
    uint64_t fraction = wh % 1000;
    for (unsigned i = decimals; i < 3; i++) {
        fraction /= 10;
    }
    mmi_line_add(self, negative && (wh / 1000 > 0 || fraction > 0) ? "-" : "");
    mmi_line_add_number(self, wh / 1000, 1);
    if (decimals > 0) {
        mmi_line_add(self, ".");
        mmi_line_add_number(self, fraction, decimals);
    }
}

void mmi_line_add_hex(mmi_line_t *self, const uint8_t *bytes, size_t bytes_count) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < bytes_count; i++) {
        const char pair[3] = {digits[bytes[i] >> 4], digits[bytes[i] & 15], '\0'};
        mmi_line_add(self, pair);
    }
}

void mmi_line_add_duration(mmi_line_t *self, uint32_t seconds) {
    uint32_t hours = seconds / 3600;
    if (hours >= 48) {
        mmi_line_add_count(self, hours / 24, " d ");
        mmi_line_add_count(self, hours % 24, " h");
        return;
    }
    if (hours > 0) {
        mmi_line_add_count(self, hours, ":");
    }
    mmi_line_add_number(self, seconds / 60 % 60, hours > 0 ? 2 : 1);
    mmi_line_add(self, ":");
    mmi_line_add_number(self, seconds % 60, 2);
}

static void add_part(mmi_line_t *self, const char *mark, uint32_t number, unsigned digits) {
    mmi_line_add(self, mark);
    mmi_line_add_number(self, number, digits);
}

void mmi_line_add_time(mmi_line_t *self, int64_t seconds) {
    static const mm_tz_t utc = {0};
    int64_t bounded = seconds < 0 ? 0 : seconds > SECONDS_MAX ? SECONDS_MAX : seconds;
    mm_local_t local = mm_local_from_utc(&utc, bounded);
    add_part(self, "", (uint32_t)local.year, 4);
    add_part(self, "-", local.month, 2);
    add_part(self, "-", local.day, 2);
    add_part(self, " ", local.hour, 2);
    add_part(self, ":", local.minute, 2);
    add_part(self, ":", local.second, 2);
}

size_t mmi_line_break(const char *text, size_t chars_max, size_t *behind) {
    size_t chars = strcspn(text, "\n");
    if (chars <= chars_max) {
        *behind = chars + (text[chars] == '\n' ? 1 : 0);
        return chars;
    }
    for (size_t blank = chars_max; blank > 0; blank--) {
        if (text[blank] == ' ') {
            *behind = blank + 1;
            return blank;
        }
    }
    *behind = chars_max;
    return chars_max;
}
