// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_GPIO_H
#define MM_TEST_FAKE_GPIO_H

#include <driver/gpio.h>
#include <stdbool.h>

/// Pins with a level, a configuration and an interrupt handler. A pulled-up input reads 1 until somebody drives it.

/// As many as the ESP32-S3 has.
#define FAKE_PINS 49

typedef struct {
    gpio_config_t config; ///< of the last gpio_config or gpio_set_direction
    int level;
    unsigned writes; ///< gpio_set_level on it
    gpio_isr_t isr;
    void *isr_arg;
    bool intr_is_enabled;
    bool is_held;
} fake_pin_t;

const fake_pin_t *fake_gpio_pin(int number);
/// Drive an input from outside; calls the handler if this edge is one it waits for.
void fake_gpio_drive(int number, int level);
/// Called after each gpio_set_level that changed something (the order of relays), if not NULL.
void fake_gpio_on_write(void (*callback)(void *context, int number, int level), void *context);

#endif
