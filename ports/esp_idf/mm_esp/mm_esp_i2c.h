// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_I2C_H
#define MM_ESP_I2C_H

#include "meshmeter/base.h"

/// One I2C bus, for the FRAM, the display, or both. Only the owner uses it. Each transfer ends within its timeout,
/// whatever hangs on the bus.

#define MM_ESP_I2C_HZ 400000U

typedef struct {
    void *bus; ///< NULL: not open
} mm_esp_i2c_t;

/// MM_ERR_UNAVAILABLE: no pins, or the SDK refused.
mm_err_t mm_esp_i2c_open(mm_esp_i2c_t *self, int8_t sda_pin, int8_t scl_pin);
/// After everything on it was closed. Also after a failed open.
void mm_esp_i2c_close(mm_esp_i2c_t *self);

#endif
