// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SETUP_JSON_WRITER_H
#define MM_SETUP_JSON_WRITER_H

#include "meshmeter/base.h"

/// JSON into a text of the caller, terminated after every call. What does not fit is left out, and `failed` stays true.
typedef struct {
    char *text; ///< borrowed
    size_t capacity_bytes;
    size_t used_bytes;
    bool failed;
    mm_us_t now;   ///< that mmi_json_left counts from
    bool is_first; ///< of the members or elements of what was opened last
} mmi_json_t;

/// Begin with the outermost '{'.
void mmi_json_begin(mmi_json_t *self, char *text, size_t capacity_bytes, mm_us_t now);
/// '{' or '['; name NULL: an element of an array.
void mmi_json_open(mmi_json_t *self, const char *name, char bracket);
void mmi_json_close(mmi_json_t *self, char bracket);
/// Plain text (text.h). What means something to HTML is escaped, too.
void mmi_json_string(mmi_json_t *self, const char *name, const char *value);
void mmi_json_number(mmi_json_t *self, const char *name, uint64_t value);
void mmi_json_signed(mmi_json_t *self, const char *name, int64_t value);
/// Whole seconds until then, 0 if it has passed.
void mmi_json_left(mmi_json_t *self, const char *name, mm_us_t until);
void mmi_json_bool(mmi_json_t *self, const char *name, bool value);
void mmi_json_hex(mmi_json_t *self, const char *name, const uint8_t *bytes, size_t bytes_count);
/// "02:6d:6d:00:00:03".
void mmi_json_mac(mmi_json_t *self, const char *name, mm_mac_t mac);

#endif
