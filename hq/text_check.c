// SPDX-License-Identifier: Apache-2.0
#include "text_check.h"

#include "meshmeter/text.h"

#include <string.h>

bool mmi_hq_is_request(const char *text, size_t chars_max) {
    size_t chars = 0;
    while (text[chars] > ' ' && text[chars] < 0x7F) {
        chars++;
    }
    return text[chars] == '\0' && chars >= 1 && chars <= chars_max;
}

bool mmi_hq_is_line(const char *text, size_t bytes_max) {
    size_t length = strlen(text);
    bool blank = true;
    if (length > bytes_max) {
        return false;
    }
    for (size_t index = 0; index < length;) {
        uint32_t code;
        size_t count = mm_text_character(text + index, length - index, &code);
        // The controls of ASCII, and those behind it.
        if (count == 0 || code < ' ' || (code >= 0x7F && code < 0xA0)) {
            return false;
        }
        blank = blank && code == ' ';
        index += count;
    }
    return !blank;
}
