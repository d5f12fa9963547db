// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_serial.h"

#include <driver/uart.h>

#define PORT UART_NUM_0
#define RX_BYTES 512
#define TX_BYTES 512
// The driver keeps a head for each piece that waits.
#define TX_HEAD_BYTES 32

static mm_err_t open_uart(void) {
    return uart_driver_install(PORT, RX_BYTES, TX_BYTES, 0, NULL, 0) == ESP_OK ? MM_OK : MM_ERR_UNAVAILABLE;
}

static size_t read_uart(char *bytes, size_t bytes_max) {
    // no wait: 0 ticks
    int count = uart_read_bytes(PORT, bytes, (uint32_t)bytes_max, 0);
    return count > 0 ? (size_t)count : 0;
}

static size_t write_uart(const char *bytes, size_t bytes_count) {
    size_t room = 0;
    if (uart_get_tx_buffer_free_size(PORT, &room) != ESP_OK || room <= TX_HEAD_BYTES) {
        return 0;
    }
    size_t part = bytes_count < room - TX_HEAD_BYTES ? bytes_count : room - TX_HEAD_BYTES;
    // no wait: not more than the driver has room for
    int count = uart_write_bytes(PORT, bytes, part);
    return count > 0 ? (size_t)count : 0;
}

static void close_uart(void) {
    (void)uart_driver_delete(PORT);
}

const mm_esp_serial_t mm_esp_serial_uart = {
    .open = open_uart, .read = read_uart, .write = write_uart, .close = close_uart};
