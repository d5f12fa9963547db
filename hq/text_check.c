// SPDX-License-Identifier: Apache-2.0
#include "text_check.h"

#include <stdint.h>
#include <string.h>

bool mmi_hq_is_request(const char *text, size_t chars_max) {
    size_t chars = 0;
    while (text[chars] > ' ' && text[chars] < 0x7F) {
        chars++;
    }
    return text[chars] == '\0' && chars >= 1 && chars <= chars_max;
}

// Bytes of the character at `bytes` (RFC 3629), 0: none begins there. The terminator is no continuation.
static size_t character_bytes(const uint8_t *bytes) {
    size_t count = bytes[0] < 0x80 ? 1 : bytes[0] < 0xC2 ? 0 : bytes[0] < 0xE0 ? 2 : bytes[0] < 0xF0 ? 3 : 4;
    if (bytes[0] > 0xF4) {
        return 0;
    }
    for (size_t index = 1; index < count; index++) {
        if ((bytes[index] & 0xC0) != 0x80) {
            return 0;
        }
    }
    // Longer than need be, a half of a pair, beyond the last plane.
    bool wrong = count > 2 && ((bytes[0] == 0xE0 && bytes[1] < 0xA0) || (bytes[0] == 0xED && bytes[1] > 0x9F) ||
                               (bytes[0] == 0xF0 && bytes[1] < 0x90) || (bytes[0] == 0xF4 && bytes[1] > 0x8F));
    return wrong ? 0 : count;
}

bool mmi_hq_is_line(const char *text, size_t bytes_max) {
    const uint8_t *bytes = (const uint8_t *)text;
    size_t length = strlen(text);
    bool blank = true;
    if (length > bytes_max) {
        return false;
    }
    for (size_t index = 0; index < length;) {
        size_t count = character_bytes(bytes + index);
        // The controls of ASCII, and those behind it.
        if (count == 0 || bytes[index] < ' ' || bytes[index] == 0x7F ||
            (count == 2 && bytes[index] == 0xC2 && bytes[index + 1] < 0xA0)) {
            return false;
        }
        blank = blank && bytes[index] == ' ';
        index += count;
    }
    return !blank;
}
