// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_serial.h"

#include <driver/usb_serial_jtag.h>

// A line at its longest comes within milliseconds, between two polls.
#define RX_BYTES 1024
#define TX_BYTES 512
// The driver takes a piece whole or not at all; one packet.
#define PIECE_BYTES 64

static mm_err_t open_usb(void) {
    usb_serial_jtag_driver_config_t config = {.tx_buffer_size = TX_BYTES, .rx_buffer_size = RX_BYTES};
    return usb_serial_jtag_driver_install(&config) == ESP_OK ? MM_OK : MM_ERR_UNAVAILABLE;
}

static size_t read_usb(char *bytes, size_t bytes_max) {
    // no wait: 0 ticks
    int count = usb_serial_jtag_read_bytes(bytes, (uint32_t)bytes_max, 0);
    return count > 0 ? (size_t)count : 0;
}

static size_t write_usb(const char *bytes, size_t bytes_count) {
    // no wait: 0 ticks
    int count = usb_serial_jtag_write_bytes(bytes, bytes_count < PIECE_BYTES ? bytes_count : PIECE_BYTES, 0);
    return count > 0 ? (size_t)count : 0;
}

static void close_usb(void) {
    (void)usb_serial_jtag_driver_uninstall();
}

const mm_esp_serial_t mm_esp_serial_usb = {.open = open_usb, .read = read_usb, .write = write_usb, .close = close_usb};
