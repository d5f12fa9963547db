// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_legacy.h"

static mm_legacy_control_t s_legacy;

const mm_legacy_t *mm_esp_legacy_open(const uint8_t secret[MM_LEGACY_SECRET_BYTES]) {
    mm_legacy_control_open(&s_legacy, secret);
    return &s_legacy.legacy;
}
