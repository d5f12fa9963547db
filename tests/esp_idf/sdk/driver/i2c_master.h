// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_DRIVER_I2C_MASTER_H
#define MM_SDK_DRIVER_I2C_MASTER_H

#include <driver/gpio.h>
#include <esp_err.h>
#include <stddef.h>
#include <stdint.h>

#ifndef MM_SDK_IS_REAL
typedef struct i2c_master_bus_t *i2c_master_bus_handle_t;
typedef struct i2c_master_dev_t *i2c_master_dev_handle_t;
typedef int i2c_port_num_t;
typedef enum {
    I2C_ADDR_BIT_LEN_7 = 0
} i2c_addr_bit_len_t;
typedef int i2c_clock_source_t;
/// The number is the chip's own, and written in a way that the check does not compare.
#define I2C_CLK_SRC_DEFAULT (1 << 2)
typedef struct {
    i2c_port_num_t i2c_port; ///< -1: a free one
    gpio_num_t sda_io_num;
    gpio_num_t scl_io_num;
    i2c_clock_source_t clk_source;
    uint8_t glitch_ignore_cnt;
    struct {
        uint32_t enable_internal_pullup : 1;
    } flags;
} i2c_master_bus_config_t;
typedef struct {
    i2c_addr_bit_len_t dev_addr_length;
    uint16_t device_address;
    uint32_t scl_speed_hz;
} i2c_device_config_t;
#endif

esp_err_t i2c_new_master_bus(const i2c_master_bus_config_t *bus_config, i2c_master_bus_handle_t *ret_bus_handle);
esp_err_t i2c_del_master_bus(i2c_master_bus_handle_t bus_handle);
esp_err_t i2c_master_bus_add_device(i2c_master_bus_handle_t bus_handle, const i2c_device_config_t *dev_config,
                                    i2c_master_dev_handle_t *ret_handle);
esp_err_t i2c_master_bus_rm_device(i2c_master_dev_handle_t handle);
/// Wait for the end of the transfer, xfer_timeout_ms at most. ESP_OK: all bytes were acknowledged.
esp_err_t i2c_master_transmit(i2c_master_dev_handle_t i2c_dev, const uint8_t *write_buffer, size_t write_size,
                              int xfer_timeout_ms);
esp_err_t i2c_master_transmit_receive(i2c_master_dev_handle_t i2c_dev, const uint8_t *write_buffer, size_t write_size,
                                      uint8_t *read_buffer, size_t read_size, int xfer_timeout_ms);
esp_err_t i2c_master_probe(i2c_master_bus_handle_t bus_handle, uint16_t address, int xfer_timeout_ms);
esp_err_t i2c_master_bus_reset(i2c_master_bus_handle_t bus_handle);

#endif
