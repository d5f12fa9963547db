// SPDX-License-Identifier: Apache-2.0
#include "panel_text.h"

#include <string.h>

void mmi_line_add(mmi_line_t *self, const char *text) {
    for (; *text != '\0' && self->chars < MMI_LINE_CHARS_MAX; text++) {
        self->text[self->chars++] = *text;
    }
    self->text[self->chars] = '\0';
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
        mmi_line_add_number(self, hours / 24, 1);
        mmi_line_add(self, " d ");
        mmi_line_add_number(self, hours % 24, 1);
        mmi_line_add(self, " h");
        return;
    }
    if (hours > 0) {
        mmi_line_add_number(self, hours, 1);
        mmi_line_add(self, ":");
    }
    mmi_line_add_number(self, seconds / 60 % 60, hours > 0 ? 2 : 1);
    mmi_line_add(self, ":");
    mmi_line_add_number(self, seconds % 60, 2);
}

// Years, months and days from days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms"), for
// days that are not negative.
static void add_date(mmi_line_t *self, uint64_t days) {
    uint64_t shifted = days + 719468;
    uint64_t era = shifted / 146097;
    uint64_t day_of_era = shifted % 146097;
    uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * day_of_year + 2) / 153;
    uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    mmi_line_add_number(self, year_of_era + era * 400 + (month <= 2 ? 1 : 0), 4);
    mmi_line_add(self, "-");
    mmi_line_add_number(self, month, 2);
    mmi_line_add(self, "-");
    mmi_line_add_number(self, day_of_year - (153 * month_from_march + 2) / 5 + 1, 2);
}

void mmi_line_add_time(mmi_line_t *self, int64_t seconds) {
    uint64_t since = seconds > 0 ? (uint64_t)seconds : 0;
    add_date(self, since / 86400);
    mmi_line_add(self, " ");
    mmi_line_add_number(self, since / 3600 % 24, 2);
    mmi_line_add(self, ":");
    mmi_line_add_number(self, since / 60 % 60, 2);
    mmi_line_add(self, ":");
    mmi_line_add_number(self, since % 60, 2);
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
