// SPDX-License-Identifier: Apache-2.0
// Numbers that differ and are the same in every run: tests must not depend on chance.
#include <bootloader_random.h>
#include <esp_random.h>

#include "fake.h"

static uint32_t s_state;

static void reset(void) {
    s_state = 1;
}

FAKE_ON_RESET(reset)

uint32_t esp_random(void) {
    s_state = s_state * 1664525U + 1013904223U;
    return s_state;
}

void esp_fill_random(void *buf, size_t len) {
    uint8_t *bytes = buf;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(esp_random() >> 24);
    }
}

void bootloader_random_enable(void) {
}

void bootloader_random_disable(void) {
}
