// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_entropy.h"

#include <bootloader_random.h>
#include <esp_random.h>
#include <stdatomic.h>

// One chip, one source.
static atomic_bool s_source_is_on;
static atomic_bool s_radio_is_on;

void mm_esp_entropy_open(void) {
    bootloader_random_enable();
    atomic_store(&s_source_is_on, true);
}

void mm_esp_entropy_close_source(void) {
    if (atomic_exchange(&s_source_is_on, false)) {
        bootloader_random_disable();
    }
}

void mm_esp_entropy_set_radio(bool is_on) {
    // The two feed the numbers in the same way; both at once disturb the radio.
    MM_ASSERT(!is_on || !atomic_load(&s_source_is_on));
    atomic_store(&s_radio_is_on, is_on);
}

mm_err_t mm_esp_entropy_fill(void *bytes, size_t bytes_count) {
    if (!atomic_load(&s_source_is_on) && !atomic_load(&s_radio_is_on)) {
        return MM_ERR_UNAVAILABLE;
    }
    esp_fill_random(bytes, bytes_count);
    return MM_OK;
}

static mm_err_t random_bytes(void *context, void *bytes, size_t bytes_count) {
    (void)context;
    return mm_esp_entropy_fill(bytes, bytes_count);
}

mm_entropy_t mm_esp_entropy_port(void) {
    return (mm_entropy_t){.random = random_bytes};
}
