// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_USB_H
#define MM_TEST_FAKE_USB_H

#include <driver/usb_serial_jtag.h>
#include <stdbool.h>

/// The chip's USB with a computer at the other end, which reads, until it is told otherwise.

bool fake_usb_is_installed(void);
/// Somebody types, or something makes noise. What the driver's buffer has no room for is lost, as on a board.
void fake_usb_type(const void *bytes, size_t bytes_count);
/// false: no computer, or none that reads: what is sent stays in the driver's buffer. true: it takes that, and what
/// follows.
void fake_usb_set_reading(bool reading);
/// What the computer has read so far, terminated.
const char *fake_usb_read(void);
/// Forget what the computer has read.
void fake_usb_forget(void);

#endif
