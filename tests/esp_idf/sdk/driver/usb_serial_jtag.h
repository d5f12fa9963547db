// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_DRIVER_USB_SERIAL_JTAG_H
#define MM_SDK_DRIVER_USB_SERIAL_JTAG_H

#include <esp_err.h>
#include <freertos/FreeRTOS.h>
#include <stddef.h>
#include <stdint.h>

#ifndef MM_SDK_IS_REAL
typedef struct {
    uint32_t tx_buffer_size;
    uint32_t rx_buffer_size;
} usb_serial_jtag_driver_config_t;
#endif

esp_err_t usb_serial_jtag_driver_install(usb_serial_jtag_driver_config_t *usb_serial_jtag_config);
esp_err_t usb_serial_jtag_driver_uninstall(void);
/// Bytes read; 0 ticks: does not wait.
int usb_serial_jtag_read_bytes(void *buf, uint32_t length, TickType_t ticks_to_wait);
/// All, or 0 if the driver's buffer has no room for all of it by then.
int usb_serial_jtag_write_bytes(const void *src, size_t size, TickType_t ticks_to_wait);

#endif
