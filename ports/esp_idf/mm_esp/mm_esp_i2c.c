// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_i2c.h"

#include <driver/i2c_master.h>

mm_err_t mm_esp_i2c_open(mm_esp_i2c_t *self, int8_t sda_pin, int8_t scl_pin) {
    *self = (mm_esp_i2c_t){0};
    if (sda_pin < 0 || scl_pin < 0) {
        return MM_ERR_UNAVAILABLE;
    }
    const i2c_master_bus_config_t config = {
        .i2c_port = -1,
        .sda_io_num = (gpio_num_t)sda_pin,
        .scl_io_num = (gpio_num_t)scl_pin,
        .clk_source = I2C_CLK_SRC_DEFAULT,
        .glitch_ignore_cnt = 7, // periods of its clock, as the SDK advises
        .flags = {.enable_internal_pullup = 1},
    };
    i2c_master_bus_handle_t bus = NULL;
    if (i2c_new_master_bus(&config, &bus) != ESP_OK) {
        return MM_ERR_UNAVAILABLE;
    }
    self->bus = bus;
    return MM_OK;
}

void mm_esp_i2c_close(mm_esp_i2c_t *self) {
    if (self->bus != NULL) {
        (void)i2c_del_master_bus(self->bus);
        self->bus = NULL;
    }
}
