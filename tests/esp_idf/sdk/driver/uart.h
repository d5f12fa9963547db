// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_DRIVER_UART_H
#define MM_SDK_DRIVER_UART_H

#include <esp_err.h>
#include <freertos/FreeRTOS.h>
#include <freertos/queue.h>
#include <stddef.h>
#include <stdint.h>

#ifndef MM_SDK_IS_REAL
typedef int uart_port_t;
#define UART_NUM_0 0
#endif

esp_err_t uart_driver_install(uart_port_t uart_num, int rx_buffer_size, int tx_buffer_size, int queue_size,
                              QueueHandle_t *uart_queue, int intr_alloc_flags);
esp_err_t uart_driver_delete(uart_port_t uart_num);
/// Bytes read, or -1; 0 ticks: does not wait.
int uart_read_bytes(uart_port_t uart_num, void *buf, uint32_t length, TickType_t ticks_to_wait);
esp_err_t uart_get_tx_buffer_free_size(uart_port_t uart_num, size_t *size);
/// Waits while the driver's buffer is full.
int uart_write_bytes(uart_port_t uart_num, const void *src, size_t size);

#endif
