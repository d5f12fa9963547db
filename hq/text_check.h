// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEXT_CHECK_H
#define MM_TEXT_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/// 1 … chars_max printable ASCII characters without blanks: a caller's request id.
bool mmi_hq_is_request(const char *text, size_t chars_max);
/// 1 … bytes_max bytes of UTF-8 in one line, not blank: what a person typed, to be shown to others.
bool mmi_hq_is_line(const char *text, size_t bytes_max);

#endif
