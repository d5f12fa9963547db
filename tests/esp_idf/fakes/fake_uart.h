// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_UART_H
#define MM_TEST_FAKE_UART_H

#include <driver/uart.h>
#include <stdbool.h>

bool fake_uart_is_installed(void);
/// Somebody types.
void fake_uart_type(const char *text);
/// What was sent so far, terminated.
const char *fake_uart_sent(void);
/// Bytes that the driver takes until this is called again; beyond it a write would wait, which ends the test program.
void fake_uart_set_room(size_t bytes);

#endif
