// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEXT_H
#define MM_TEXT_H

#include "meshmeter/base.h"

/// Text from outside: UTF-8 (RFC 3629: shortest forms only, no surrogates) without control characters (U+0000 …
/// U+001F, U+007F … U+009F) and without the characters that turn lines round (U+2028 … U+202E, U+2066 … U+2069).
bool mm_text_is_plain(const char *text, size_t bytes_count);
/// Plain, and terminated within capacity_bytes.
bool mm_text_is_plain_string(const char *text, size_t capacity_bytes);
/// Characters (not bytes) of plain text.
size_t mm_text_characters(const char *text, size_t bytes_count);

#endif
