// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/network_form.h"

#include <string.h>

#include "meshmeter/bytes.h"
#include "setup/join_internal.h"

#define KEY_DIGITS 64

static bool read_key(const mm_form_t *form, uint8_t key[32]) {
    char digits[KEY_DIGITS + 1];
    bool good = mm_form_text(form, "mesh_key", digits, sizeof digits) == MM_OK && strlen(digits) == KEY_DIGITS;
    for (size_t i = 0; good && i < KEY_DIGITS; i += 2) {
        int high = mm_hex_digit(digits[i]);
        int low = mm_hex_digit(digits[i + 1]);
        good = high >= 0 && low >= 0;
        key[i / 2] = good ? (uint8_t)(high * 16 + low) : 0;
    }
    // Half a text of the key does not stay in memory that the caller knows nothing of.
    mmi_join_wipe(digits, sizeof digits);
    return good;
}

static const char *read_texts(const mm_form_t *form, mm_network_t *network) {
    const struct {
        const char *name;
        char *text;
        size_t bytes;
        bool may_be_absent;
    } texts[] = {
        {"site", network->site, sizeof network->site, false},
        {"broker_url", network->broker_url, sizeof network->broker_url, false},
        {"broker_user", network->broker_user, sizeof network->broker_user, true},
        {"broker_password", network->broker_password, sizeof network->broker_password, true},
        {"router_name", network->router_name, sizeof network->router_name, true},
        {"router_password", network->router_password, sizeof network->router_password, true},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        mm_err_t err = mm_form_text(form, texts[i].name, texts[i].text, texts[i].bytes);
        if (err != MM_OK && !(err == MM_ERR_NOT_FOUND && texts[i].may_be_absent)) {
            return texts[i].name;
        }
        if (texts[i].text[0] == '\0' && !texts[i].may_be_absent) {
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
        mmi_join_wipe(network, sizeof *network);
    }
    return wrong;
}
