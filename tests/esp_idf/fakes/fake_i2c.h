// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_I2C_H
#define MM_TEST_FAKE_I2C_H

#include <driver/i2c_master.h>
#include <stdbool.h>

/// A bus with one FRAM and one SSD1306 on it; a transfer to anybody else is not acknowledged. A call that fails has
/// moved a part of its bytes: NACK in the middle of a write, or a short read.

#define FAKE_FRAM_BYTES_MAX 32768

typedef struct {
    bool is_there;
    bool forgets; ///< acknowledges, and keeps nothing
    /// A reset of the chip came in the middle of a read: it holds SDA until it is clocked. A probe of the SDK's does
    /// not do that (i2c_master_probe), transfers and i2c_master_bus_reset do.
    bool holds_bus;
    uint8_t address;
    uint32_t bytes; ///< up to 2048: one address byte, three bits in the device address
    uint8_t cells[FAKE_FRAM_BYTES_MAX];
} fake_fram_t;

typedef struct {
    bool is_there;
    uint8_t address;
    bool is_lit;
    bool is_set_up;
    unsigned pages_sent;
    uint8_t page;
    uint8_t column;
    uint8_t dots[8][128];
} fake_oled_t;

/// Time passes in each transfer, as on a bus of this speed; 0: none does.
void fake_i2c_set_speed(uint32_t hz);
fake_fram_t *fake_fram(void);
fake_oled_t *fake_oled(void);
/// Buses and devices that exist; 0 when nothing leaks.
unsigned fake_i2c_open_count(void);

#endif
