// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_SERIAL_H
#define MM_ESP_SERIAL_H

#include "meshmeter/base.h"

/// What the console's bytes go through: one of the two ports below, named by mm_esp_board.c. None of them ever waits,
/// not for a cable, not for a computer, not for somebody who reads.

typedef struct {
    /// MM_ERR_UNAVAILABLE: the SDK refused.
    mm_err_t (*open)(void);
    /// Takes what has come, at most bytes_max. Returns how many; 0: none, or the SDK failed.
    size_t (*read)(char *bytes, size_t bytes_max);
    /// Hands over what the driver has room for, from the beginning. Returns how many; 0: no room, or the SDK failed.
    size_t (*write)(const char *bytes, size_t bytes_count);
    void (*close)(void);
} mm_esp_serial_t;

/// UART 0: what the SDK made of it, 115200, 8N1.
extern const mm_esp_serial_t mm_esp_serial_uart;
/// The chip's own USB (USB Serial/JTAG): ESP32-S3 and ESP32-C6. Without a computer that reads, the driver keeps 512
/// bytes and takes no more.
extern const mm_esp_serial_t mm_esp_serial_usb;

#endif
