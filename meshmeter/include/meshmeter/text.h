// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEXT_H
#define MM_TEXT_H

#include "meshmeter/base.h"

/// Bytes of the UTF-8 character (RFC 3629: shortest form only, no surrogate) that text begins with, and its code; 0: it
/// begins with none.
size_t mm_text_character(const char *text, size_t bytes_count, uint32_t *code);
/// Text from outside: UTF-8 (RFC 3629: shortest forms only, no surrogates) without control characters (U+0000 …
/// U+001F, U+007F … U+009F) and without the characters that turn lines round (U+2028 … U+202E, U+2066 … U+2069).
bool mm_text_is_plain(const char *text, size_t bytes_count);
/// Plain, and terminated within capacity_bytes.
bool mm_text_is_plain_string(const char *text, size_t capacity_bytes);
/// The name of a site, which is a level of a topic: 'a' to 'z', digits and '-', at least one; terminated within
/// capacity_bytes.
bool mm_text_is_site(const char *text, size_t capacity_bytes);
/// Characters (not bytes) of plain text.
size_t mm_text_characters(const char *text, size_t bytes_count);

#endif
