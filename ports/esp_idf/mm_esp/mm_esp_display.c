// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_display.h"

#include <driver/i2c_master.h>
#include <string.h>

// First byte of a transfer: commands, or dots.
#define COMMANDS 0x00
#define DOTS 0x40
#define DISPLAY_OFF 0xAE
#define DISPLAY_ON 0xAF

static bool transfer(const mm_esp_display_t *self, const uint8_t *bytes, size_t bytes_count) {
    // wait: the display takes the bytes | until MM_ESP_DISPLAY_TIMEOUT_MS | then it is taken as unplugged
    return i2c_master_transmit(self->device, bytes, bytes_count, MM_ESP_DISPLAY_TIMEOUT_MS) == ESP_OK;
}

// Dark until a picture is there; 64 lines, page addressing, segments and lines turned as the modules are mounted.
static bool set_up(const mm_esp_display_t *self) {
    static const uint8_t commands[] = {
        COMMANDS, DISPLAY_OFF, 0xD5, 0x80, // clock
        0xA8,     0x3F,                    // 64 lines
        0xD3,     0x00,                    // no offset
        0x40,                              // first line
        0x8D,     0x14,                    // charge pump on
        0x20,     0x02,                    // page addressing
        0xA1,     0xC8,                    // columns and lines from the other end
        0xDA,     0x12,                    // lines in turn
        0x81,     0x7F,                    // contrast
        0xD9,     0xF1,                    // precharge
        0xDB,     0x40,                    // level of unselected lines
        0xA4,     0xA6,                    // dots from memory, 1 = lit
    };
    return transfer(self, commands, sizeof commands);
}

static bool send_page(const mm_esp_display_t *self, const mm_canvas_t *canvas, size_t page) {
    const uint8_t place[] = {COMMANDS, (uint8_t)(0xB0 + page), 0x00, 0x10};
    uint8_t dots[1 + MM_CANVAS_WIDTH];
    dots[0] = DOTS;
    memcpy(dots + 1, canvas->bytes + page * MM_CANVAS_WIDTH, MM_CANVAS_WIDTH);
    return transfer(self, place, sizeof place) && transfer(self, dots, sizeof dots);
}

static bool light(const mm_esp_display_t *self, bool on) {
    const uint8_t commands[] = {COMMANDS, on ? DISPLAY_ON : DISPLAY_OFF};
    return transfer(self, commands, sizeof commands);
}

static bool is_dark(const mm_canvas_t *canvas) {
    for (size_t i = 0; i < sizeof canvas->bytes; i++) {
        if (canvas->bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool send_changes(mm_esp_display_t *self, const mm_canvas_t *canvas, bool all) {
    for (size_t page = 0; page < MM_ESP_DISPLAY_PAGES; page++) {
        const uint8_t *dots = canvas->bytes + page * MM_CANVAS_WIDTH;
        uint8_t *shown = self->shown.bytes + page * MM_CANVAS_WIDTH;
        if (!all && memcmp(dots, shown, MM_CANVAS_WIDTH) == 0) {
            continue;
        }
        if (!send_page(self, canvas, page)) {
            return false;
        }
        memcpy(shown, dots, MM_CANVAS_WIDTH);
    }
    return true;
}

void mm_esp_display_open(mm_esp_display_t *self, mm_esp_i2c_t *bus, uint8_t address) {
    *self = (mm_esp_display_t){0};
    const i2c_device_config_t config = {
        .dev_addr_length = I2C_ADDR_BIT_LEN_7, .device_address = address, .scl_speed_hz = MM_ESP_I2C_HZ};
    i2c_master_dev_handle_t device = NULL;
    if (bus->bus != NULL && i2c_master_bus_add_device(bus->bus, &config, &device) == ESP_OK) {
        self->device = device;
    }
}

void mm_esp_display_show(mm_esp_display_t *self, const mm_canvas_t *canvas, mm_us_t now) {
    if (self->device == NULL || (!self->is_on && now < self->retry_at)) {
        return;
    }
    bool all = !self->is_on;
    bool lit = !is_dark(canvas);
    bool good = (self->is_on || set_up(self)) && send_changes(self, canvas, all) &&
                ((self->is_lit == lit && !all) || light(self, lit));
    self->is_on = good;
    self->is_lit = lit;
    if (!good) {
        self->retry_at = now + MM_ESP_DISPLAY_RETRY_S * MM_US_PER_S;
    }
}

void mm_esp_display_close(mm_esp_display_t *self) {
    if (self->device != NULL) {
        (void)i2c_master_bus_rm_device(self->device);
        self->device = NULL;
    }
}
