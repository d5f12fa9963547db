// SPDX-License-Identifier: Apache-2.0
#ifndef MM_FORM_H
#define MM_FORM_H

#include "meshmeter/base.h"

/// Fields of application/x-www-form-urlencoded (WHATWG URL standard, chapter 5.1), read in place and without memory of
/// its own. Bounded, never trusts a length, refuses what is not UTF-8 or holds control characters.

#define MM_FORM_BYTES_MAX 4096
#define MM_FORM_FIELDS_MAX 80
#define MM_FORM_NAME_CHARS_MAX 24

typedef struct {
    const char *bytes; ///< borrowed
    size_t bytes_count;
    uint8_t field_count;
    struct {
        uint16_t name_offset, name_bytes, value_offset, value_bytes;
    } fields[MM_FORM_FIELDS_MAX];
} mm_form_t;

/// MM_ERR_CORRUPT: an escape that is none. MM_ERR_FULL: beyond a limit. Nothing is decoded yet.
mm_err_t mm_form_open(mm_form_t *self, const char *bytes, size_t bytes_count);
/// Decode the value of a field; text needs capacity_bytes, terminator included. MM_ERR_NOT_FOUND: absent.
/// MM_ERR_ARG: twice there, too long, not UTF-8, or with control characters; text is then "".
mm_err_t mm_form_text(const mm_form_t *self, const char *name, char *text, size_t capacity_bytes);
/// Decimal digits only, 0 … maximum. Otherwise as above.
mm_err_t mm_form_number(const mm_form_t *self, const char *name, uint64_t maximum, uint64_t *number);

#endif
