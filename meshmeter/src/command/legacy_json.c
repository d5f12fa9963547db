// SPDX-License-Identifier: Apache-2.0
#include "command/legacy_json.h"

#include <string.h>

#include "meshmeter/bytes.h"

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

// --- walking through the tokens ------------------------------------------------------------------------------------

typedef struct {
    const char *text;
    size_t text_bytes;
    const jsmntok_t *tokens;
    uint32_t token_count;
    uint32_t next;
    size_t at; ///< everything before is understood
} walk_t;

bool mmi_legacy_is_blank(char character) {
    return character == ' ' || character == '\t' || character == '\r' || character == '\n';
}

// The tokenizer passes over commas and colons without minding where they stand.
static bool take_mark(walk_t *walk, char mark) {
    while (walk->at < walk->text_bytes && mmi_legacy_is_blank(walk->text[walk->at])) {
        walk->at++;
    }
    if (walk->at >= walk->text_bytes || walk->text[walk->at] != mark) {
        return false;
    }
    walk->at++;
    return true;
}

static bool is_of(const jsmntok_t *token, jsmntype_t type) {
    return token->type == type;
}

static MM_APART const jsmntok_t *peek(const walk_t *walk) {
    return walk->next < walk->token_count ? &walk->tokens[walk->next] : NULL;
}

static MM_APART bool is_text(const char *text, size_t text_bytes, const char *wanted) {
    return text_bytes == strlen(wanted) && memcmp(text, wanted, text_bytes) == 0;
}

static bool is_literal(const char *text, size_t text_bytes) {
    return is_text(text, text_bytes, "true") || is_text(text, text_bytes, "false") || is_text(text, text_bytes, "null");
}

static size_t digits_at(const char *text, size_t text_bytes, size_t at) {
    size_t count = 0;
    while (at + count < text_bytes && text[at + count] >= '0' && text[at + count] <= '9') {
        count++;
    }
    return count;
}

static bool is_number(const char *text, size_t text_bytes) {
    size_t at = text_bytes > 0 && text[0] == '-' ? 1 : 0;
    size_t whole = digits_at(text, text_bytes, at);
    if (whole == 0 || (whole > 1 && text[at] == '0')) {
        return false;
    }
    at += whole;
    if (at < text_bytes && text[at] == '.') {
        size_t fraction = digits_at(text, text_bytes, at + 1);
        at += 1 + fraction;
        if (fraction == 0) {
            return false;
        }
    }
    if (at < text_bytes && (text[at] == 'e' || text[at] == 'E')) {
        at++;
        at += at < text_bytes && (text[at] == '+' || text[at] == '-') ? 1 : 0;
        size_t exponent = digits_at(text, text_bytes, at);
        at += exponent;
        if (exponent == 0) {
            return false;
        }
    }
    return at == text_bytes;
}

// The next token must be a string or primitive that begins at the next character that is not blank.
static bool take_plain(walk_t *walk, mmi_legacy_value_t *value) {
    const jsmntok_t *token = peek(walk);
    if (token == NULL || (!is_of(token, JSMN_STRING) && !is_of(token, JSMN_PRIMITIVE))) {
        return false;
    }
    bool is_string = is_of(token, JSMN_STRING);
    size_t start = (size_t)token->start;
    size_t bytes_count = (size_t)(token->end - token->start);
    if (is_string && !take_mark(walk, '"')) {
        return false;
    }
    while (!is_string && walk->at < start && mmi_legacy_is_blank(walk->text[walk->at])) {
        walk->at++;
    }
    if (walk->at != start) {
        return false;
    }
    *value = (mmi_legacy_value_t){.type = is_string ? MMI_LEGACY_STRING : MMI_LEGACY_PRIMITIVE,
                                  .text = walk->text + start,
                                  .text_bytes = bytes_count};
    walk->at = start + bytes_count;
    walk->next++;
    if (is_string) {
        return take_mark(walk, '"');
    }
    return is_literal(value->text, bytes_count) || is_number(value->text, bytes_count);
}

static bool has_name(const mmi_legacy_value_t *value, const char *name) {
    return is_text(value->text, value->text_bytes, name);
}

static bool is_repeated(const mmi_legacy_field_t *fields, uint8_t field_count, const mmi_legacy_value_t *name) {
    for (uint8_t i = 0; i < field_count; i++) {
        if (fields[i].name.text_bytes == name->text_bytes &&
            memcmp(fields[i].name.text, name->text, name->text_bytes) == 0) {
            return true;
        }
    }
    return false;
}

// A name and the colon behind it. A name with an escape could be another one's twin.
static bool take_name(walk_t *walk, const mmi_legacy_field_t *fields, uint8_t field_count, mmi_legacy_value_t *name) {
    return take_plain(walk, name) && name->type == MMI_LEGACY_STRING &&
           memchr(name->text, '\\', name->text_bytes) == NULL && !is_repeated(fields, field_count, name) &&
           take_mark(walk, ':');
}

static bool take_begin(walk_t *walk, jsmntype_t type, char mark, uint32_t *size) {
    const jsmntok_t *token = peek(walk);
    if (token == NULL || !is_of(token, type) || !take_mark(walk, mark)) {
        return false;
    }
    *size = (uint32_t)token->size;
    walk->next++;
    return true;
}

static bool take_element(walk_t *walk, mmi_legacy_object_t *object, uint8_t index) {
    uint32_t size = 0;
    if (!take_begin(walk, JSMN_OBJECT, '{', &size) || size > MMI_LEGACY_ELEMENT_FIELDS_MAX) {
        return false;
    }
    mmi_legacy_field_t *fields = object->elements[index].fields;
    uint8_t count = (uint8_t)size;
    for (uint8_t i = 0; i < count; i++) {
        if ((i > 0 && !take_mark(walk, ',')) || !take_name(walk, fields, i, &fields[i].name) ||
            !take_plain(walk, &fields[i].value)) {
            return false;
        }
    }
    object->elements[index].field_count = count;
    return take_mark(walk, '}');
}

static bool take_array(walk_t *walk, mmi_legacy_object_t *object, mmi_legacy_value_t *value) {
    uint32_t size = 0;
    if (object->element_count != 0 || !take_begin(walk, JSMN_ARRAY, '[', &size) || size > MM_LEGACY_LOCKS_MAX) {
        return false;
    }
    value->type = MMI_LEGACY_ARRAY;
    uint8_t count = (uint8_t)size;
    for (uint8_t i = 0; i < count; i++) {
        if ((i > 0 && !take_mark(walk, ',')) || !take_element(walk, object, i)) {
            return false;
        }
    }
    object->element_count = count;
    return take_mark(walk, ']');
}

static bool take_object(walk_t *walk, mmi_legacy_object_t *object) {
    uint32_t size = 0;
    if (!take_begin(walk, JSMN_OBJECT, '{', &size) || size > MMI_LEGACY_FIELDS_MAX) {
        return false;
    }
    uint8_t count = (uint8_t)size;
    for (uint8_t i = 0; i < count; i++) {
        mmi_legacy_field_t *field = &object->fields[i];
        if ((i > 0 && !take_mark(walk, ',')) || !take_name(walk, object->fields, i, &field->name)) {
            return false;
        }
        const jsmntok_t *token = peek(walk);
        bool is_array = token != NULL && is_of(token, JSMN_ARRAY);
        if (is_array ? !take_array(walk, object, &field->value) : !take_plain(walk, &field->value)) {
            return false;
        }
    }
    object->field_count = count;
    return take_mark(walk, '}') && walk->at == walk->text_bytes && walk->next == walk->token_count;
}

bool mmi_legacy_json_read(const char *text, size_t text_bytes, mmi_legacy_object_t *object) {
    jsmntok_t tokens[MM_LEGACY_TOKENS_MAX];
    jsmn_parser parser;
    memset(object, 0, sizeof *object);
    // A zero would end the text for the tokenizer, and not for us.
    if (text_bytes > MM_LEGACY_BYTES_MAX || memchr(text, '\0', text_bytes) != NULL) {
        return false;
    }
    jsmn_init(&parser);
    int count = jsmn_parse(&parser, text, text_bytes, tokens, MM_LEGACY_TOKENS_MAX);
    if (count <= 0) {
        return false;
    }
    walk_t walk = {.text = text, .text_bytes = text_bytes, .tokens = tokens, .token_count = (uint32_t)count};
    return take_object(&walk, object);
}

mmi_legacy_value_t mmi_legacy_json_find(const mmi_legacy_field_t *fields, uint8_t field_count, const char *name) {
    for (uint8_t i = 0; i < field_count; i++) {
        if (has_name(&fields[i].name, name)) {
            return fields[i].value;
        }
    }
    return (mmi_legacy_value_t){.type = MMI_LEGACY_ABSENT};
}

// --- values --------------------------------------------------------------------------------------------------------

// Code point of the escape behind a backslash; *used is how many characters it takes. The tokenizer has checked its
// form.
static uint32_t unescape(const char *escape, size_t *used) {
    static const char letters[] = "bfnrt";
    static const uint8_t codes[] = {'\b', '\f', '\n', '\r', '\t'};
    *used = 1;
    if (*escape == 'u') {
        uint32_t code = 0;
        for (size_t i = 1; i <= 4; i++) {
            code = code << 4 | (uint32_t)mm_hex_digit(escape[i]);
        }
        *used = 5;
        return code;
    }
    const char *letter = strchr(letters, *escape);
    return letter != NULL ? codes[letter - letters] : (uint8_t)*escape;
}

// UTF-8 of a code point below 10000. Returns its bytes; 0: it has none.
static size_t encode(uint32_t code, char bytes[3]) {
    if (code == 0 || (code >= 0xD800 && code <= 0xDFFF)) {
        return 0;
    }
    if (code < 0x80) {
        bytes[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        bytes[0] = (char)(0xC0 | code >> 6);
        bytes[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    bytes[0] = (char)(0xE0 | code >> 12);
    bytes[1] = (char)(0x80 | (code >> 6 & 0x3F));
    bytes[2] = (char)(0x80 | (code & 0x3F));
    return 3;
}

bool mmi_legacy_json_text(const mmi_legacy_value_t *value, char *text, size_t capacity_bytes) {
    bool plain = value->type == MMI_LEGACY_PRIMITIVE && is_number(value->text, value->text_bytes);
    if (value->type != MMI_LEGACY_STRING && !plain) {
        return false;
    }
    size_t used = 0;
    for (size_t at = 0; at < value->text_bytes;) {
        char bytes[3] = {value->text[at]};
        size_t bytes_count = 1;
        size_t taken = 0;
        if (value->text[at] == '\\') {
            bytes_count = encode(unescape(value->text + at + 1, &taken), bytes);
        }
        at += 1 + taken;
        if (bytes_count == 0 || used + bytes_count >= capacity_bytes) {
            return false;
        }
        memcpy(text + used, bytes, bytes_count);
        used += bytes_count;
    }
    text[used] = '\0';
    return true;
}

bool mmi_legacy_json_number(const mmi_legacy_value_t *value, uint8_t decimals, uint64_t max, uint64_t *number) {
    if (value->type != MMI_LEGACY_STRING && value->type != MMI_LEGACY_PRIMITIVE) {
        return false;
    }
    MM_ASSERT(max <= UINT64_MAX / 10);
    uint64_t result = 0;
    uint8_t behind_point = 0;
    bool has_point = false;
    size_t digits = 0;
    for (size_t at = 0; at < value->text_bytes; at++) {
        char character = value->text[at];
        if (character == '.' && !has_point && digits > 0) {
            has_point = true;
            continue;
        }
        if (character < '0' || character > '9' || behind_point + (has_point ? 1 : 0) > decimals ||
            result > (UINT64_MAX - 9) / 10) {
            return false;
        }
        result = result * 10 + (uint64_t)(character - '0');
        behind_point = (uint8_t)(behind_point + (has_point ? 1 : 0));
        digits++;
    }
    for (uint8_t i = behind_point; i < decimals && result <= max; i++) {
        result *= 10;
    }
    *number = result;
    return digits > 0 && (!has_point || behind_point > 0) && result <= max;
}
