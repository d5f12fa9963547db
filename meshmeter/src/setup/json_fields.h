// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SETUP_JSON_FIELDS_H
#define MM_SETUP_JSON_FIELDS_H

#include "setup/json_writer.h"

/// Members of a struct that are shown as they are, as a table: a call for each costs sixteen bytes of code.

typedef enum {
    // 1, 2, 4, 8: an unsigned number of that many bytes.
    MMI_JSON_BOOL = 16,
    MMI_JSON_SIGNED,  ///< int64_t
    MMI_JSON_LEFT,    ///< mm_us_t, as mmi_json_left
    MMI_JSON_MAC,     ///< mm_mac_t
    MMI_JSON_TEXT,    ///< an array of char
    MMI_JSON_POINTER, ///< a text, "" if it is NULL
    MMI_JSON_ADDRESS, ///< an array of char: an address, without the credentials that it may have before an '@'
    MMI_JSON_SECRET,  ///< an array of char: only whether there is something in it
    MMI_JSON_KEY,     ///< likewise, an array of MMI_JSON_KEY_BYTES that are not all zero
} mmi_json_kind_t;

#define MMI_JSON_KEY_BYTES 32

typedef struct {
    const char *name;
    uint32_t offset_bytes : 24;
    uint32_t kind : 8; ///< mmi_json_kind_t
} mmi_json_field_t;

#define MMI_JSON_FIELD(name, type, member, kind)                                                                       \
    { name, offsetof(type, member), kind }
#define MMI_JSON_NUMBER(name, type, member)                                                                            \
    { name, offsetof(type, member), sizeof(((type *)0)->member) }

void mmi_json_fields(mmi_json_t *json, const void *object, const mmi_json_field_t *fields, size_t field_count);
#define MMI_JSON_FIELDS(json, object, fields)                                                                          \
    mmi_json_fields(json, object, fields, sizeof(fields) / sizeof((fields)[0]))
/// As MMI_JSON_ADDRESS.
void mmi_json_address(mmi_json_t *json, const char *name, const char *url);

#endif
