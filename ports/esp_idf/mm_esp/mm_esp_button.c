// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_button.h"

#include <driver/gpio.h>
#include <esp_attr.h>
#include <esp_intr_alloc.h>

// The handler may run while flash is busy, so it only notes; `wake` has to be in RAM, too.
static IRAM_ATTR void on_interrupt(void *arg) {
    mm_esp_button_t *self = arg;
    self->touched = true;
    if (self->wake != NULL) {
        self->wake(self->context);
    }
}

static bool is_pressed(const mm_esp_button_t *self) {
    return gpio_get_level((gpio_num_t)self->pin) == 0;
}

mm_err_t mm_esp_button_open(mm_esp_button_t *self, int8_t pin, bool pull_up, void (*wake)(void *context),
                            void *context) {
    *self = (mm_esp_button_t){.pin = pin, .wake = wake, .context = context, .stable_at = MM_US_NEVER};
    if (pin < 0) {
        return MM_ERR_UNAVAILABLE;
    }
    const gpio_config_t config = {
        .pin_bit_mask = UINT64_C(1) << (unsigned)pin,
        .mode = GPIO_MODE_INPUT,
        .pull_up_en = pull_up ? GPIO_PULLUP_ENABLE : GPIO_PULLUP_DISABLE,
        .pull_down_en = GPIO_PULLDOWN_DISABLE,
        .intr_type = GPIO_INTR_ANYEDGE,
    };
    esp_err_t service = gpio_install_isr_service(ESP_INTR_FLAG_IRAM);
    if ((service != ESP_OK && service != ESP_ERR_INVALID_STATE) || gpio_config(&config) != ESP_OK ||
        gpio_isr_handler_add((gpio_num_t)pin, on_interrupt, self) != ESP_OK) {
        return MM_ERR_UNAVAILABLE;
    }
    self->is_open = true;
    self->down = is_pressed(self); // held at the start: not a press
    return MM_OK;
}

bool mm_esp_button_poll(mm_esp_button_t *self, mm_us_t now, bool *down, mm_us_t *deadline) {
    *deadline = MM_US_NEVER;
    if (!self->is_open) {
        return false;
    }
    if (self->touched) {
        self->touched = false;
        self->stable_at = now + (mm_us_t)MM_ESP_BUTTON_STABLE_MS * 1000;
    }
    if (now < self->stable_at) {
        *deadline = self->stable_at;
        return false;
    }
    self->stable_at = MM_US_NEVER;
    bool pressed = is_pressed(self);
    bool changed = pressed != self->down;
    self->down = pressed;
    *down = pressed;
    return changed;
}

void mm_esp_button_close(mm_esp_button_t *self) {
    if (self->is_open) {
        (void)gpio_isr_handler_remove((gpio_num_t)self->pin);
        self->is_open = false;
    }
}
