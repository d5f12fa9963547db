// SPDX-License-Identifier: Apache-2.0
#include "fake_gpio.h"

#include <string.h>

#include "fake.h"

static fake_pin_t s_pins[FAKE_PINS];
static bool s_isr_service;
static void (*s_on_write)(void *context, int number, int level);
static void *s_on_write_context;

static void reset(void) {
    memset(s_pins, 0, sizeof s_pins);
    s_isr_service = false;
    s_on_write = NULL;
}

FAKE_ON_RESET(reset)

static fake_pin_t *pin_of(int number) {
    if (number < 0 || number >= FAKE_PINS) {
        fake_abort("no pin %d", number);
    }
    return &s_pins[number];
}

const fake_pin_t *fake_gpio_pin(int number) {
    return pin_of(number);
}

esp_err_t gpio_config(const gpio_config_t *pGPIOConfig) {
    if (pGPIOConfig->pin_bit_mask == 0 || (pGPIOConfig->pin_bit_mask >> FAKE_PINS) != 0) {
        return ESP_ERR_INVALID_ARG;
    }
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    for (int i = 0; i < FAKE_PINS; i++) {
        if ((pGPIOConfig->pin_bit_mask >> i & 1) != 0) {
            s_pins[i].config = *pGPIOConfig;
            s_pins[i].intr_is_enabled = pGPIOConfig->intr_type != GPIO_INTR_DISABLE;
            if (pGPIOConfig->mode == GPIO_MODE_INPUT && pGPIOConfig->pull_up_en == GPIO_PULLUP_ENABLE) {
                s_pins[i].level = 1;
            }
        }
    }
    return ESP_OK;
}

esp_err_t gpio_reset_pin(gpio_num_t gpio_num) {
    *pin_of(gpio_num) = (fake_pin_t){0};
    return ESP_OK;
}

esp_err_t gpio_set_level(gpio_num_t gpio_num, uint32_t level) {
    fake_pin_t *pin = pin_of(gpio_num);
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    pin->writes++;
    if (pin->is_held) {
        return ESP_OK;
    }
    int before = pin->level;
    pin->level = level != 0 ? 1 : 0;
    if (pin->level != before && s_on_write != NULL) {
        s_on_write(s_on_write_context, gpio_num, pin->level);
    }
    return ESP_OK;
}

int gpio_get_level(gpio_num_t gpio_num) {
    return pin_of(gpio_num)->level;
}

esp_err_t gpio_set_direction(gpio_num_t gpio_num, gpio_mode_t mode) {
    fake_pin_t *pin = pin_of(gpio_num);
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    pin->config.mode = mode;
    return ESP_OK;
}

esp_err_t gpio_set_intr_type(gpio_num_t gpio_num, gpio_int_type_t intr_type) {
    fake_pin_t *pin = pin_of(gpio_num);
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    pin->config.intr_type = intr_type;
    return ESP_OK;
}

esp_err_t gpio_intr_enable(gpio_num_t gpio_num) {
    pin_of(gpio_num)->intr_is_enabled = true;
    return ESP_OK;
}

esp_err_t gpio_intr_disable(gpio_num_t gpio_num) {
    pin_of(gpio_num)->intr_is_enabled = false;
    return ESP_OK;
}

esp_err_t gpio_install_isr_service(int intr_alloc_flags) {
    (void)intr_alloc_flags;
    if (fake_call_fails()) {
        return ESP_ERR_NO_MEM;
    }
    if (s_isr_service) {
        return ESP_ERR_INVALID_STATE;
    }
    s_isr_service = true;
    return ESP_OK;
}

esp_err_t gpio_isr_handler_add(gpio_num_t gpio_num, gpio_isr_t isr_handler, void *args) {
    fake_pin_t *pin = pin_of(gpio_num);
    if (fake_call_fails() || !s_isr_service) {
        return ESP_ERR_INVALID_STATE;
    }
    pin->isr = isr_handler;
    pin->isr_arg = args;
    pin->intr_is_enabled = true;
    return ESP_OK;
}

esp_err_t gpio_isr_handler_remove(gpio_num_t gpio_num) {
    fake_pin_t *pin = pin_of(gpio_num);
    pin->isr = NULL;
    pin->intr_is_enabled = false;
    return ESP_OK;
}

esp_err_t gpio_hold_en(gpio_num_t gpio_num) {
    pin_of(gpio_num)->is_held = true;
    return ESP_OK;
}

esp_err_t gpio_hold_dis(gpio_num_t gpio_num) {
    pin_of(gpio_num)->is_held = false;
    return ESP_OK;
}

void fake_gpio_drive(int number, int level) {
    fake_pin_t *pin = pin_of(number);
    int before = pin->level;
    pin->level = level;
    if (before == level || pin->isr == NULL || !pin->intr_is_enabled) {
        return;
    }
    gpio_int_type_t edge = level != 0 ? GPIO_INTR_POSEDGE : GPIO_INTR_NEGEDGE;
    if (pin->config.intr_type == edge || pin->config.intr_type == GPIO_INTR_ANYEDGE) {
        pin->isr(pin->isr_arg);
    }
}

void fake_gpio_on_write(void (*callback)(void *context, int number, int level), void *context) {
    s_on_write = callback;
    s_on_write_context = context;
}
