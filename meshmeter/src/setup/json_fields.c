// SPDX-License-Identifier: Apache-2.0
#include "setup/json_fields.h"

#include <string.h>

#include "meshmeter/configuration.h"
#include "wire/fields.h"

_Static_assert(sizeof(((mm_network_t *)0)->mesh_key) == MMI_JSON_KEY_BYTES, "the key is of the mesh");

static bool is_key(const uint8_t *at) {
    uint8_t any = 0;
    for (size_t i = 0; i < MMI_JSON_KEY_BYTES; i++) {
        any |= at[i];
    }
    return any != 0;
}

void mmi_json_address(mmi_json_t *json, const char *name, const char *url) {
    char text[MM_BROKER_URL_CHARS_MAX + 1];
    const char *scheme = strstr(url, "://");
    const char *host = scheme != NULL ? scheme + 3 : url;
    const char *at = strrchr(host, '@');
    size_t scheme_chars = (size_t)(host - url);
    host = at != NULL ? at + 1 : host;
    size_t host_chars = strlen(host);
    if (scheme_chars + host_chars >= sizeof text) {
        mmi_json_string(json, name, "too long to show");
        return;
    }
    memcpy(text, url, scheme_chars);
    memcpy(text + scheme_chars, host, host_chars + 1);
    mmi_json_string(json, name, text);
}

static void put_presence(mmi_json_t *json, const char *name, bool is_there) {
    mmi_json_string(json, name, is_there ? "set" : "none");
}

void mmi_json_fields(mmi_json_t *json, const void *object, const mmi_json_field_t *fields, size_t field_count) {
    for (const mmi_json_field_t *field = fields; field < fields + field_count; field++) {
        const void *member = (const uint8_t *)object + field->offset_bytes;
        const char *text = member;
        switch (field->kind) {
        case MMI_JSON_BOOL:
            mmi_json_bool(json, field->name, *(const bool *)member);
            break;
        case MMI_JSON_SIGNED:
            mmi_json_signed(json, field->name, *(const int64_t *)member);
            break;
        case MMI_JSON_LEFT:
            mmi_json_left(json, field->name, *(const mm_us_t *)member);
            break;
        case MMI_JSON_MAC:
            mmi_json_mac(json, field->name, *(const mm_mac_t *)member);
            break;
        case MMI_JSON_POINTER:
            text = *(const char *const *)member;
            mmi_json_string(json, field->name, text != NULL ? text : "");
            break;
        case MMI_JSON_TEXT:
            mmi_json_string(json, field->name, text);
            break;
        case MMI_JSON_ADDRESS:
            mmi_json_address(json, field->name, text);
            break;
        case MMI_JSON_SECRET:
            put_presence(json, field->name, text[0] != '\0');
            break;
        case MMI_JSON_KEY:
            put_presence(json, field->name, is_key(member));
            break;
        default:
            mmi_json_number(json, field->name, mmi_load_number(member, field->kind));
            break;
        }
    }
}
