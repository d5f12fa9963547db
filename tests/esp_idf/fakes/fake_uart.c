// SPDX-License-Identifier: Apache-2.0
#include "fake_uart.h"

#include <string.h>

#include "fake.h"

#define BYTES 8192

static bool s_installed;
static char s_typed[BYTES];
static size_t s_typed_at;
static char s_sent[BYTES];
static size_t s_room;

static void reset(void) {
    s_installed = false;
    memset(s_typed, 0, sizeof s_typed);
    s_typed_at = 0;
    memset(s_sent, 0, sizeof s_sent);
    s_room = sizeof s_sent;
}

FAKE_ON_RESET(reset)

bool fake_uart_is_installed(void) {
    return s_installed;
}

void fake_uart_type(const char *text) {
    strncat(s_typed, text, sizeof s_typed - strlen(s_typed) - 1);
}

const char *fake_uart_sent(void) {
    return s_sent;
}

void fake_uart_set_room(size_t bytes) {
    s_room = bytes;
}

esp_err_t uart_driver_install(uart_port_t uart_num, int rx_buffer_size, int tx_buffer_size, int queue_size,
                              QueueHandle_t *uart_queue, int intr_alloc_flags) {
    (void)queue_size;
    (void)uart_queue;
    (void)intr_alloc_flags;
    // The driver wants more than the hardware's queue of 128.
    if (uart_num != UART_NUM_0 || rx_buffer_size <= 128 || tx_buffer_size <= 128 || fake_call_fails()) {
        return ESP_FAIL;
    }
    s_installed = true;
    return ESP_OK;
}

esp_err_t uart_driver_delete(uart_port_t uart_num) {
    (void)uart_num;
    s_installed = false;
    return ESP_OK;
}

int uart_read_bytes(uart_port_t uart_num, void *buf, uint32_t length, TickType_t ticks_to_wait) {
    (void)uart_num;
    if (ticks_to_wait != 0) {
        fake_abort("the console waits");
    }
    if (fake_call_fails()) {
        return -1;
    }
    size_t left = strlen(s_typed) - s_typed_at;
    size_t count = left < length ? left : length;
    memcpy(buf, s_typed + s_typed_at, count);
    s_typed_at += count;
    return (int)count;
}

esp_err_t uart_get_tx_buffer_free_size(uart_port_t uart_num, size_t *size) {
    (void)uart_num;
    *size = s_room;
    return fake_call_fails() ? ESP_FAIL : ESP_OK;
}

int uart_write_bytes(uart_port_t uart_num, const void *src, size_t size) {
    (void)uart_num;
    if (size > s_room) {
        fake_abort("the console would wait");
    }
    if (fake_call_fails()) {
        return -1;
    }
    s_room -= size;
    strncat(s_sent, src, size);
    return (int)size;
}
