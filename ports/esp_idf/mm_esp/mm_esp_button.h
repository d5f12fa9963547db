// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_BUTTON_H
#define MM_ESP_BUTTON_H

#include "meshmeter/base.h"

/// One button to ground. The interrupt keeps the time of the last edge and wakes the owner; the owner's poll tells
/// changes that have been stable for MM_ESP_BUTTON_STABLE_MS. Short and long are the panel's business (panel.h).

#define MM_ESP_BUTTON_STABLE_MS 20

typedef struct {
    int8_t pin;
    bool is_open;
    bool down;             ///< told last
    volatile bool touched; ///< by the interrupt
    void (*wake)(void *context);
    void *context;
    // wait: the contact has stopped bouncing | until MM_ESP_BUTTON_STABLE_MS | then the change is told
    mm_us_t stable_at;
} mm_esp_button_t;

/// pull_up: that of the chip. wake: called in an interrupt; may be NULL. MM_ERR_UNAVAILABLE: no pin, or the SDK
/// refused; there is no button then.
mm_err_t mm_esp_button_open(mm_esp_button_t *self, int8_t pin, bool pull_up, void (*wake)(void *context),
                            void *context);
/// True: *down has changed, tell the panel. *deadline: call again then.
bool mm_esp_button_poll(mm_esp_button_t *self, mm_us_t now, bool *down, mm_us_t *deadline);
void mm_esp_button_close(mm_esp_button_t *self);

#endif
