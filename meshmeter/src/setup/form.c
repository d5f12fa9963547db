// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/form.h"

#include <string.h>

#include "meshmeter/bytes.h"
#include "meshmeter/text.h"

// The next byte of a name or value, decoded. The escapes were checked by open.
static char next_decoded(const char *bytes, size_t *position) {
    char character = bytes[(*position)++];
    if (character == '+') {
        return ' ';
    }
    if (character != '%') {
        return character;
    }
    int high = mm_hex_digit(bytes[(*position)++]);
    int low = mm_hex_digit(bytes[(*position)++]);
    return (char)(high * 16 + low);
}

static mm_err_t check_escapes(const char *bytes, size_t bytes_count) {
    for (size_t position = 0; position < bytes_count; position++) {
        if (bytes[position] != '%') {
            continue;
        }
        if (bytes_count - position < 3 || mm_hex_digit(bytes[position + 1]) < 0 ||
            mm_hex_digit(bytes[position + 2]) < 0) {
            return MM_ERR_CORRUPT;
        }
        position += 2;
    }
    return MM_OK;
}

static size_t decoded_bytes(const char *bytes, size_t bytes_count) {
    size_t decoded = 0;
    for (size_t position = 0; position < bytes_count; decoded++) {
        (void)next_decoded(bytes, &position);
    }
    return decoded;
}

// One piece between ampersands.
static mm_err_t add_field(mm_form_t *self, size_t begin, size_t end) {
    if (begin == end) {
        return MM_OK; // the standard passes over empty pieces
    }
    mm_err_t err = check_escapes(self->bytes + begin, end - begin);
    if (err != MM_OK) {
        return err;
    }
    const char *equals = memchr(self->bytes + begin, '=', end - begin);
    size_t name_end = equals != NULL ? (size_t)(equals - self->bytes) : end;
    size_t value_begin = equals != NULL ? name_end + 1 : end;
    if (self->field_count == MM_FORM_FIELDS_MAX ||
        decoded_bytes(self->bytes + begin, name_end - begin) > MM_FORM_NAME_CHARS_MAX) {
        return MM_ERR_FULL;
    }
    self->fields[self->field_count].name_offset = (uint16_t)begin;
    self->fields[self->field_count].name_bytes = (uint16_t)(name_end - begin);
    self->fields[self->field_count].value_offset = (uint16_t)value_begin;
    self->fields[self->field_count].value_bytes = (uint16_t)(end - value_begin);
    self->field_count++;
    return MM_OK;
}

mm_err_t mm_form_open(mm_form_t *self, const char *bytes, size_t bytes_count) {
    memset(self, 0, sizeof *self);
    if (bytes_count > MM_FORM_BYTES_MAX) {
        return MM_ERR_FULL;
    }
    self->bytes = bytes;
    self->bytes_count = bytes_count;
    mm_err_t err = MM_OK;
    size_t begin = 0;
    for (size_t position = 0; position <= bytes_count && err == MM_OK; position++) {
        if (position == bytes_count || bytes[position] == '&') {
            err = add_field(self, begin, position);
            begin = position + 1;
        }
    }
    if (err != MM_OK) {
        memset(self, 0, sizeof *self); // nothing is found in a form that is none
    }
    return err;
}

static bool is_named(const mm_form_t *self, uint8_t field, const char *name) {
    const char *bytes = self->bytes + self->fields[field].name_offset;
    size_t bytes_count = self->fields[field].name_bytes;
    size_t position = 0;
    while (position < bytes_count) {
        if (*name == '\0' || next_decoded(bytes, &position) != *name) {
            return false;
        }
        name++;
    }
    return *name == '\0';
}

mm_err_t mm_form_text(const mm_form_t *self, const char *name, char *text, size_t capacity_bytes) {
    MM_ASSERT(capacity_bytes > 0);
    text[0] = '\0';
    uint8_t found = MM_FORM_FIELDS_MAX;
    for (uint8_t field = 0; field < self->field_count; field++) {
        if (!is_named(self, field, name)) {
            continue;
        }
        if (found != MM_FORM_FIELDS_MAX) {
            return MM_ERR_ARG; // which one is meant?
        }
        found = field;
    }
    if (found == MM_FORM_FIELDS_MAX) {
        return MM_ERR_NOT_FOUND;
    }
    const char *bytes = self->bytes + self->fields[found].value_offset;
    size_t bytes_count = self->fields[found].value_bytes;
    size_t length = decoded_bytes(bytes, bytes_count);
    if (length >= capacity_bytes) {
        return MM_ERR_ARG;
    }
    size_t position = 0;
    for (size_t index = 0; index < length; index++) {
        text[index] = next_decoded(bytes, &position);
    }
    text[length] = '\0';
    if (!mm_text_is_plain(text, length)) {
        memset(text, 0, length);
        return MM_ERR_ARG;
    }
    return MM_OK;
}

mm_err_t mm_form_number(const mm_form_t *self, const char *name, uint64_t maximum, uint64_t *number) {
    char digits[24]; // as many as 64 bits have, and some leading zeros
    *number = 0;
    mm_err_t err = mm_form_text(self, name, digits, sizeof digits);
    if (err != MM_OK) {
        return err;
    }
    uint64_t value = 0;
    for (const char *digit = digits; *digit != '\0'; digit++) {
        uint64_t ones = (uint64_t)(*digit - '0');
        if (*digit < '0' || *digit > '9' || value > (UINT64_MAX - ones) / 10) {
            return MM_ERR_ARG;
        }
        value = value * 10 + ones;
    }
    if (digits[0] == '\0' || value > maximum) {
        return MM_ERR_ARG;
    }
    *number = value;
    return MM_OK;
}
