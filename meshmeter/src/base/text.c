// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/text.h"

#include <string.h>

static bool is_continuation(char byte) {
    return ((unsigned char)byte & 0xC0) == 0x80;
}

// Bytes of the character that begins with this one; 0: none does.
static size_t character_bytes(unsigned char first) {
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        return 2;
    }
    if (first >= 0xE0 && first <= 0xEF) {
        return 3;
    }
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

size_t mm_text_character(const char *text, size_t bytes_count, uint32_t *code) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (bytes_count == 0) {
        return 0;
    }
    unsigned char first = (unsigned char)text[0];
    size_t size = character_bytes(first);
    if (size == 0 || size > bytes_count) {
        return 0;
    }
    *code = size == 1 ? first : first & (0x7Fu >> size);
    for (size_t index = 1; index < size; index++) {
        if (!is_continuation(text[index])) {
            return 0;
        }
        *code = *code << 6 | ((unsigned char)text[index] & 0x3F);
    }
    bool is_surrogate = *code >= 0xD800 && *code <= 0xDFFF;
    return *code >= least[size] && *code <= 0x10FFFF && !is_surrogate ? size : 0;
}

static bool is_plain_character(uint32_t code) {
    bool is_control = code < 0x20 || (code >= 0x7F && code <= 0x9F);
    bool turns = (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
    return !is_control && !turns;
}

bool mm_text_is_plain(const char *text, size_t bytes_count) {
    size_t position = 0;
    while (position < bytes_count) {
        uint32_t code;
        size_t size = mm_text_character(text + position, bytes_count - position, &code);
        if (size == 0 || !is_plain_character(code)) {
            return false;
        }
        position += size;
    }
    return true;
}

bool mm_text_is_plain_string(const char *text, size_t capacity_bytes) {
    const char *end = memchr(text, '\0', capacity_bytes);
    return end != NULL && mm_text_is_plain(text, (size_t)(end - text));
}

size_t mm_text_characters(const char *text, size_t bytes_count) {
    size_t characters = 0;
    for (size_t position = 0; position < bytes_count; position++) {
        characters += is_continuation(text[position]) ? 0 : 1;
    }
    return characters;
}

static bool is_of_site(char character) {
    return (character >= 'a' && character <= 'z') || (character >= '0' && character <= '9') || character == '-';
}

bool mm_text_is_site(const char *text, size_t capacity_bytes) {
    size_t chars = 0;
    while (chars < capacity_bytes && is_of_site(text[chars])) {
        chars++;
    }
    return chars > 0 && chars < capacity_bytes && text[chars] == '\0';
}
