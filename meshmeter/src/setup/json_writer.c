// SPDX-License-Identifier: Apache-2.0
#include "setup/json_writer.h"

static const char hex[] = "0123456789abcdef";

static void put(mmi_json_t *self, char character) {
    if (self->capacity_bytes - self->used_bytes < 2) {
        self->failed = true;
        return;
    }
    self->text[self->used_bytes++] = character;
    self->text[self->used_bytes] = '\0';
}

static void put_text(mmi_json_t *self, const char *text) {
    for (; *text != '\0'; text++) {
        put(self, *text);
    }
}

static void begin(mmi_json_t *self, const char *name) {
    if (!self->is_first) {
        put(self, ',');
    }
    self->is_first = false;
    if (name != NULL) {
        put(self, '"');
        put_text(self, name);
        put_text(self, "\":");
    }
}

void mmi_json_open(mmi_json_t *self, const char *name, char bracket) {
    begin(self, name);
    put(self, bracket);
    self->is_first = true;
}

void mmi_json_begin(mmi_json_t *self, char *text, size_t capacity_bytes, mm_us_t now) {
    MM_ASSERT(capacity_bytes > 0);
    text[0] = '\0';
    *self = (mmi_json_t){.text = text, .capacity_bytes = capacity_bytes, .now = now, .is_first = true};
    mmi_json_open(self, NULL, '{');
}

void mmi_json_close(mmi_json_t *self, char bracket) {
    put(self, bracket);
    self->is_first = false;
}

static bool needs_escape(char character) {
    return (unsigned char)character < 0x20 || character == '"' || character == '\\' || character == '<' ||
           character == '>' || character == '&' || character == '\'';
}

void mmi_json_string(mmi_json_t *self, const char *name, const char *value) {
    begin(self, name);
    put(self, '"');
    for (; *value != '\0'; value++) {
        if (!needs_escape(*value)) {
            put(self, *value);
            continue;
        }
        put_text(self, "\\u00");
        put(self, hex[(unsigned char)*value >> 4]);
        put(self, hex[*value & 0x0F]);
    }
    put(self, '"');
}

static void put_number(mmi_json_t *self, uint64_t value) {
    char digits[21];
    size_t place = sizeof digits - 1;
    digits[place] = '\0';
    do {
        digits[--place] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put_text(self, digits + place);
}

void mmi_json_number(mmi_json_t *self, const char *name, uint64_t value) {
    begin(self, name);
    put_number(self, value);
}

void mmi_json_signed(mmi_json_t *self, const char *name, int64_t value) {
    begin(self, name);
    put_text(self, value < 0 ? "-" : "");
    put_number(self, value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value);
}

void mmi_json_left(mmi_json_t *self, const char *name, mm_us_t until) {
    mmi_json_number(self, name, mm_us_seconds_until(until, self->now));
}

void mmi_json_bool(mmi_json_t *self, const char *name, bool value) {
    begin(self, name);
    put_text(self, value ? "true" : "false");
}

void mmi_json_hex(mmi_json_t *self, const char *name, const uint8_t *bytes, size_t bytes_count) {
    begin(self, name);
    put(self, '"');
    for (size_t index = 0; index < bytes_count; index++) {
        put(self, hex[bytes[index] >> 4]);
        put(self, hex[bytes[index] & 0x0F]);
    }
    put(self, '"');
}

void mmi_json_mac(mmi_json_t *self, const char *name, mm_mac_t mac) {
    char text[18];
    for (size_t index = 0; index < sizeof mac.bytes; index++) {
        text[3 * index] = hex[mac.bytes[index] >> 4];
        text[3 * index + 1] = hex[mac.bytes[index] & 0x0F];
        text[3 * index + 2] = index + 1 < sizeof mac.bytes ? ':' : '\0';
    }
    mmi_json_string(self, name, text);
}
