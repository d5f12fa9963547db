// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/network_form.h"

#include <string.h>

#include "meshmeter/bytes.h"

#define KEY_BYTES 32
#define KEY_DIGITS (2 * KEY_BYTES)

static bool read_key(const mm_form_t *form, uint8_t key[KEY_BYTES]) {
    char digits[KEY_DIGITS + 1];
    bool good = mm_form_text(form, "mesh_key", digits, sizeof digits) == MM_OK && mm_hex_read(digits, key, KEY_BYTES);
    // Half a text of the key does not stay in memory that the caller knows nothing of.
    mm_wipe(digits, sizeof digits);
    return good;
}

#define TEXT(name, member, may_be_absent)                                                                              \
    { name, offsetof(mm_network_t, member), sizeof(((mm_network_t *)0)->member), may_be_absent }

static const struct {
    const char *name;
    uint16_t offset_bytes;
    uint8_t capacity_bytes;
    bool may_be_absent;
} texts[] = {
    TEXT("site", site, false),
    TEXT("broker_url", broker.url, false),
    TEXT("broker_user", broker.user, true),
    TEXT("broker_password", broker.password, true),
    TEXT("router_name", router.ssid, true),
    TEXT("router_password", router.password, true),
};

static const char *read_texts(const mm_form_t *form, mm_network_t *network) {
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *text = (char *)network + texts[i].offset_bytes;
        mm_err_t err = mm_form_text(form, texts[i].name, text, texts[i].capacity_bytes);
        bool is_absent = err == MM_ERR_NOT_FOUND || (err == MM_OK && text[0] == '\0');
        if (is_absent ? !texts[i].may_be_absent : err != MM_OK) {
            return texts[i].name;
        }
    }
    return NULL;
}

const char *mm_network_form_read(const mm_form_t *form, mm_network_t *network) {
    memset(network, 0, sizeof *network);
    const char *wrong = read_texts(form, network);
    uint64_t revision = 0;
    if (wrong == NULL && (mm_form_number(form, "revision", UINT32_MAX, &revision) != MM_OK || revision == 0)) {
        wrong = "revision";
    }
    if (wrong == NULL && !read_key(form, network->mesh_key)) {
        wrong = "mesh_key";
    }
    network->revision = (uint32_t)revision;
    if (wrong != NULL) {
        mm_wipe(network, sizeof *network);
    }
    return wrong;
}
