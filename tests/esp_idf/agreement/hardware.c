// SPDX-License-Identifier: Apache-2.0
#include <driver/i2c_master.h>
#include <driver/pulse_cnt.h>
#include <driver/uart.h>
#include <driver/usb_serial_jtag.h>
#include <esp_bit_defs.h>
#include <esp_intr_alloc.h>
#include <esp_partition.h>
#include <esp_system.h>
#include <esp_task_wdt.h>
#include <soc/io_mux_reg.h>
#include <soc/soc_caps.h>
#include <soc/spi_pins.h>
#include <soc/uart_pins.h>

#include "agreement.h"
#include "mm_esp_pins.h"

MM_TYPE(pcnt_unit_handle_t, struct pcnt_unit_t *);
MM_TYPE(pcnt_channel_handle_t, struct pcnt_chan_t *);
MM_TYPE(pcnt_watch_cb_t, bool (*)(pcnt_unit_handle_t, const pcnt_watch_event_data_t *, void *));
MM_MEMBER(pcnt_watch_event_data_t, watch_point_value, int);
MM_MEMBER(pcnt_event_callbacks_t, on_reach, pcnt_watch_cb_t);
MM_MEMBER(pcnt_unit_config_t, low_limit, int);
MM_MEMBER(pcnt_unit_config_t, high_limit, int);
MM_MEMBER(pcnt_chan_config_t, edge_gpio_num, int);
MM_MEMBER(pcnt_chan_config_t, level_gpio_num, int);
MM_MEMBER(pcnt_glitch_filter_config_t, max_glitch_ns, uint32_t);

MM_TYPE(i2c_master_bus_handle_t, struct i2c_master_bus_t *);
MM_TYPE(i2c_master_dev_handle_t, struct i2c_master_dev_t *);
MM_MEMBER(i2c_master_bus_config_t, i2c_port, i2c_port_num_t);
MM_MEMBER(i2c_master_bus_config_t, sda_io_num, gpio_num_t);
MM_MEMBER(i2c_master_bus_config_t, scl_io_num, gpio_num_t);
MM_MEMBER(i2c_master_bus_config_t, clk_source, i2c_clock_source_t);
MM_MEMBER(i2c_master_bus_config_t, glitch_ignore_cnt, uint8_t);
MM_MEMBER(i2c_device_config_t, dev_addr_length, i2c_addr_bit_len_t);
MM_MEMBER(i2c_device_config_t, device_address, uint16_t);
MM_MEMBER(i2c_device_config_t, scl_speed_hz, uint32_t);

MM_MEMBER(usb_serial_jtag_driver_config_t, tx_buffer_size, uint32_t);
MM_MEMBER(usb_serial_jtag_driver_config_t, rx_buffer_size, uint32_t);

MM_MEMBER(esp_partition_t, size, uint32_t);
MM_MEMBER(esp_partition_t, erase_size, uint32_t);
MM_MEMBER(esp_partition_t, encrypted, bool);
MM_MEMBER(esp_partition_t, readonly, bool);

MM_MEMBER(esp_task_wdt_config_t, timeout_ms, uint32_t);
MM_MEMBER(esp_task_wdt_config_t, trigger_panic, bool);

// The table of pins: what the SDK knows of the chip.
#define VALID_PINS ((unsigned long long)SOC_GPIO_VALID_GPIO_MASK)
_Static_assert((MM_ESP_MISSING_PINS & ~MM_ESP_PIN(20)) == (MM_ESP_PINS_BETWEEN(0, 62) & ~VALID_PINS), "missing pins");
_Static_assert(MM_ESP_INPUT_ONLY_PINS == (VALID_PINS & ~(unsigned long long)SOC_GPIO_VALID_OUTPUT_GPIO_MASK), "inputs");
_Static_assert(MM_ESP_UART_PINS == (MM_ESP_PIN(U0TXD_GPIO_NUM) | MM_ESP_PIN(U0RXD_GPIO_NUM)), "UART 0");
#ifdef SOC_HP_I2C_NUM
_Static_assert(MM_ESP_I2C_BUSES == SOC_HP_I2C_NUM, "I2C");
#else
_Static_assert(MM_ESP_I2C_BUSES == SOC_I2C_NUM, "I2C");
#endif
#define IS_OF_FLASH(pin) _Static_assert((MM_ESP_PIN(pin) & MM_ESP_FLASH_PINS) != 0, #pin)
#ifdef MSPI_IOMUX_PIN_NUM_CLK
IS_OF_FLASH(MSPI_IOMUX_PIN_NUM_CLK);
IS_OF_FLASH(MSPI_IOMUX_PIN_NUM_CS0);
IS_OF_FLASH(MSPI_IOMUX_PIN_NUM_MOSI);
IS_OF_FLASH(MSPI_IOMUX_PIN_NUM_MISO);
IS_OF_FLASH(MSPI_IOMUX_PIN_NUM_HD);
IS_OF_FLASH(MSPI_IOMUX_PIN_NUM_WP);
#else
IS_OF_FLASH(SPI_IOMUX_PIN_NUM_CLK);
IS_OF_FLASH(SPI_IOMUX_PIN_NUM_CS);
IS_OF_FLASH(SPI_IOMUX_PIN_NUM_MOSI);
IS_OF_FLASH(SPI_IOMUX_PIN_NUM_MISO);
IS_OF_FLASH(SPI_IOMUX_PIN_NUM_HD);
IS_OF_FLASH(SPI_IOMUX_PIN_NUM_WP);
#endif
// Not in all versions.
#ifdef USB_INT_PHY0_DM_GPIO_NUM
_Static_assert(MM_ESP_USB_PINS == (MM_ESP_PIN(USB_INT_PHY0_DM_GPIO_NUM) | MM_ESP_PIN(USB_INT_PHY0_DP_GPIO_NUM)), "USB");
#endif
