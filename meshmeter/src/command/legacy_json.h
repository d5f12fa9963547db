// SPDX-License-Identifier: Apache-2.0
#ifndef MM_COMMAND_LEGACY_JSON_H
#define MM_COMMAND_LEGACY_JSON_H

#include "meshmeter/base.h"
#include "meshmeter/limits.h"

/// One JSON object of the original's commands: fields with plain values, and at most one field that is an array of
/// objects with plain values. Everything else, a name that comes twice, and what is not strictly JSON, is refused.

typedef enum {
    MMI_LEGACY_ABSENT = 0,
    MMI_LEGACY_STRING,
    MMI_LEGACY_PRIMITIVE, ///< number, true, false, null
    MMI_LEGACY_ARRAY,
} mmi_legacy_type_t;

/// A value, in place. A string without its quotes and with its escapes.
typedef struct {
    mmi_legacy_type_t type;
    const char *text;
    size_t text_bytes;
} mmi_legacy_value_t;

typedef struct {
    mmi_legacy_value_t name;
    mmi_legacy_value_t value;
} mmi_legacy_field_t;

#define MMI_LEGACY_FIELDS_MAX 12
#define MMI_LEGACY_ELEMENT_FIELDS_MAX 4

typedef struct {
    uint8_t field_count;
    mmi_legacy_field_t fields[MMI_LEGACY_FIELDS_MAX];
    uint8_t element_count; ///< of the array
    struct {
        uint8_t field_count;
        mmi_legacy_field_t fields[MMI_LEGACY_ELEMENT_FIELDS_MAX];
    } elements[MM_LEGACY_LOCKS_MAX];
} mmi_legacy_object_t;

/// White space of JSON.
bool mmi_legacy_is_blank(char character);
/// False: refused.
bool mmi_legacy_json_read(const char *text, size_t text_bytes, mmi_legacy_object_t *object);
/// Value of a field; type ABSENT if it is not there.
mmi_legacy_value_t mmi_legacy_json_find(const mmi_legacy_field_t *fields, uint8_t field_count, const char *name);

/// A string, or the characters of a number, unescaped and zero-terminated. False: another type, does not fit, or has an
/// escape that no text of ours can have (zero, half of a surrogate pair).
bool mmi_legacy_json_text(const mmi_legacy_value_t *value, char *text, size_t capacity_bytes);
/// A whole number, also written as a string, with up to `decimals` digits behind the point: value * 10^decimals, at
/// most max. Without sign and exponent.
bool mmi_legacy_json_number(const mmi_legacy_value_t *value, uint8_t decimals, uint64_t max, uint64_t *number);

#endif
