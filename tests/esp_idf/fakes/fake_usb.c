// SPDX-License-Identifier: Apache-2.0
#include "fake_usb.h"

#include <string.h>

#include "fake.h"

// One packet.
#define PACKET_BYTES 64
#define BYTES 8192

static bool s_installed;
static bool s_reading;
static usb_serial_jtag_driver_config_t s_config;
static char s_typed[BYTES];
static size_t s_typed_bytes;
static char s_waiting[BYTES];
static size_t s_waiting_bytes;
static char s_read[BYTES];
static size_t s_read_bytes;

static void reset(void) {
    s_installed = false;
    s_reading = true;
    s_typed_bytes = 0;
    s_waiting_bytes = 0;
    fake_usb_forget();
}

FAKE_ON_RESET(reset)

bool fake_usb_is_installed(void) {
    return s_installed;
}

void fake_usb_type(const void *bytes, size_t bytes_count) {
    // A packet is kept whole, or not at all.
    for (size_t at = 0; at < bytes_count; at += PACKET_BYTES) {
        size_t part = bytes_count - at < PACKET_BYTES ? bytes_count - at : PACKET_BYTES;
        if (s_installed && s_typed_bytes + part <= s_config.rx_buffer_size) {
            memcpy(s_typed + s_typed_bytes, (const char *)bytes + at, part);
            s_typed_bytes += part;
        }
    }
}

static void let_it_read(void) {
    if (s_read_bytes + s_waiting_bytes >= sizeof s_read) {
        fake_abort("more was sent than the fake keeps");
    }
    memcpy(s_read + s_read_bytes, s_waiting, s_waiting_bytes);
    s_read_bytes += s_waiting_bytes;
    s_waiting_bytes = 0;
}

void fake_usb_set_reading(bool reading) {
    s_reading = reading;
    if (reading) {
        let_it_read();
    }
}

const char *fake_usb_read(void) {
    return s_read;
}

void fake_usb_forget(void) {
    memset(s_read, 0, sizeof s_read);
    s_read_bytes = 0;
}

esp_err_t usb_serial_jtag_driver_install(usb_serial_jtag_driver_config_t *usb_serial_jtag_config) {
    if (s_installed || fake_call_fails()) {
        return ESP_FAIL;
    }
    // The driver wants more than a packet, and the fake has arrays.
    if (usb_serial_jtag_config->rx_buffer_size <= PACKET_BYTES || usb_serial_jtag_config->tx_buffer_size == 0 ||
        usb_serial_jtag_config->rx_buffer_size > BYTES || usb_serial_jtag_config->tx_buffer_size > BYTES) {
        return ESP_ERR_INVALID_ARG;
    }
    s_config = *usb_serial_jtag_config;
    s_installed = true;
    return ESP_OK;
}

esp_err_t usb_serial_jtag_driver_uninstall(void) {
    s_installed = false;
    return ESP_OK;
}

int usb_serial_jtag_read_bytes(void *buf, uint32_t length, TickType_t ticks_to_wait) {
    if (ticks_to_wait != 0) {
        fake_abort("the console waits");
    }
    if (fake_call_fails()) {
        return 0;
    }
    size_t count = s_typed_bytes < length ? s_typed_bytes : length;
    memcpy(buf, s_typed, count);
    memmove(s_typed, s_typed + count, s_typed_bytes - count);
    s_typed_bytes -= count;
    return (int)count;
}

int usb_serial_jtag_write_bytes(const void *src, size_t size, TickType_t ticks_to_wait) {
    if (ticks_to_wait != 0) {
        fake_abort("the console waits");
    }
    if (fake_call_fails() || s_waiting_bytes + size > s_config.tx_buffer_size) {
        return 0;
    }
    memcpy(s_waiting + s_waiting_bytes, src, size);
    s_waiting_bytes += size;
    if (s_reading) {
        let_it_read();
    }
    return (int)size;
}
