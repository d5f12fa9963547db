// SPDX-License-Identifier: Apache-2.0
#include "fake_i2c.h"

#include <string.h>

#include "fake.h"

#define BUSES 2
#define DEVICES 10

struct i2c_master_bus_t {
    bool is_used;
};

struct i2c_master_dev_t {
    bool is_used;
    uint16_t address;
};

static struct i2c_master_bus_t s_buses[BUSES];
static struct i2c_master_dev_t s_devices[DEVICES];
static fake_fram_t s_fram;
static fake_oled_t s_oled;
static uint32_t s_hz;

static void restart(void) {
    memset(s_buses, 0, sizeof s_buses);
    memset(s_devices, 0, sizeof s_devices);
}

static void reset(void) {
    restart();
    memset(&s_fram, 0, sizeof s_fram);
    memset(&s_oled, 0, sizeof s_oled);
    s_hz = 0;
    s_fram.address = 0x50;
    s_oled.address = 0x3C;
}

FAKE_ON_RESET_AND_RESTART(reset, restart)

void fake_i2c_set_speed(uint32_t hz) {
    s_hz = hz;
}

// 9 bits for each byte and the address, and start and stop.
static void pass(size_t bytes) {
    if (s_hz != 0) {
        fake_time_advance((int64_t)(bytes + 2) * 9 * 1000000 / s_hz + 1);
    }
}

fake_fram_t *fake_fram(void) {
    return &s_fram;
}

fake_oled_t *fake_oled(void) {
    return &s_oled;
}

unsigned fake_i2c_open_count(void) {
    unsigned count = 0;
    for (size_t i = 0; i < BUSES; i++) {
        count += s_buses[i].is_used ? 1 : 0;
    }
    for (size_t i = 0; i < DEVICES; i++) {
        count += s_devices[i].is_used ? 1 : 0;
    }
    return count;
}

esp_err_t i2c_new_master_bus(const i2c_master_bus_config_t *bus_config, i2c_master_bus_handle_t *ret_bus_handle) {
    (void)bus_config;
    if (fake_call_fails()) {
        return ESP_ERR_NO_MEM;
    }
    for (size_t i = 0; i < BUSES; i++) {
        if (!s_buses[i].is_used) {
            s_buses[i].is_used = true;
            *ret_bus_handle = &s_buses[i];
            return ESP_OK;
        }
    }
    return ESP_ERR_NOT_FOUND;
}

esp_err_t i2c_del_master_bus(i2c_master_bus_handle_t bus_handle) {
    bus_handle->is_used = false;
    return ESP_OK;
}

esp_err_t i2c_master_bus_add_device(i2c_master_bus_handle_t bus_handle, const i2c_device_config_t *dev_config,
                                    i2c_master_dev_handle_t *ret_handle) {
    if (!bus_handle->is_used || dev_config->dev_addr_length != I2C_ADDR_BIT_LEN_7 || dev_config->device_address > 127) {
        fake_abort("i2c_master_bus_add_device");
    }
    if (fake_call_fails()) {
        return ESP_ERR_NO_MEM;
    }
    for (size_t i = 0; i < DEVICES; i++) {
        if (!s_devices[i].is_used) {
            s_devices[i] = (struct i2c_master_dev_t){.is_used = true, .address = dev_config->device_address};
            *ret_handle = &s_devices[i];
            return ESP_OK;
        }
    }
    fake_abort("more than %d devices", DEVICES);
}

esp_err_t i2c_master_bus_rm_device(i2c_master_dev_handle_t handle) {
    handle->is_used = false;
    return ESP_OK;
}

static bool is_small(void) {
    return s_fram.bytes <= 2048;
}

static bool is_fram(uint16_t address) {
    uint16_t banks = is_small() ? (uint16_t)(s_fram.bytes / 256) : 1;
    return s_fram.is_there && address >= s_fram.address && address < s_fram.address + banks;
}

// Takes the address off the head of a transfer, or says that it is too short.
static bool fram_place(uint16_t device, const uint8_t *bytes, size_t bytes_count, uint32_t *place, size_t *head_bytes) {
    *head_bytes = is_small() ? 1 : 2;
    if (bytes_count < *head_bytes) {
        return false;
    }
    *place = is_small() ? (uint32_t)(device - s_fram.address) * 256 + bytes[0] : (uint32_t)bytes[0] << 8 | bytes[1];
    *place %= s_fram.bytes;
    return true;
}

static esp_err_t write_fram(uint16_t device, const uint8_t *bytes, size_t bytes_count, bool fails) {
    uint32_t place = 0;
    size_t head_bytes = 0;
    if (!fram_place(device, bytes, bytes_count, &place, &head_bytes)) {
        return ESP_FAIL;
    }
    size_t count = bytes_count - head_bytes;
    count = fails ? count / 2 : count;
    for (size_t i = 0; i < count && !s_fram.forgets; i++) {
        s_fram.cells[(place + i) % s_fram.bytes] = bytes[head_bytes + i];
    }
    return fails ? ESP_FAIL : ESP_OK;
}

static void run_commands(const uint8_t *bytes, size_t bytes_count) {
    for (size_t i = 0; i < bytes_count; i++) {
        uint8_t command = bytes[i];
        if (command == 0xAE || command == 0xAF) {
            s_oled.is_lit = command == 0xAF;
        } else if (command >= 0xB0 && command <= 0xB7) {
            s_oled.page = command & 7;
        } else if (command <= 0x0F) {
            s_oled.column = (uint8_t)((s_oled.column & 0xF0) | command);
        } else if (command >= 0x10 && command <= 0x1F) {
            s_oled.column = (uint8_t)((s_oled.column & 0x0F) | (command & 0x0F) << 4);
        } else if (command == 0x8D) {
            s_oled.is_set_up = i + 1 < bytes_count && bytes[i + 1] == 0x14;
            i++;
        } else if (strchr("\xD5\xA8\xD3\x20\xDA\x81\xD9\xDB", command) != NULL) {
            i++; // with an argument
        }
    }
}

static esp_err_t write_oled(const uint8_t *bytes, size_t bytes_count, bool fails) {
    if (fails || bytes_count == 0) {
        return ESP_FAIL;
    }
    if (bytes[0] == 0x00) {
        run_commands(bytes + 1, bytes_count - 1);
        return ESP_OK;
    }
    for (size_t i = 1; i < bytes_count; i++) {
        s_oled.dots[s_oled.page][s_oled.column] = bytes[i];
        s_oled.column = (uint8_t)((s_oled.column + 1) % 128);
    }
    s_oled.pages_sent++;
    return ESP_OK;
}

esp_err_t i2c_master_transmit(i2c_master_dev_handle_t i2c_dev, const uint8_t *write_buffer, size_t write_size,
                              int xfer_timeout_ms) {
    if (xfer_timeout_ms < 0) {
        fake_abort("a transfer without a deadline");
    }
    pass(write_size);
    s_fram.holds_bus = false;
    bool fails = fake_call_fails();
    if (is_fram(i2c_dev->address)) {
        return write_fram(i2c_dev->address, write_buffer, write_size, fails);
    }
    if (s_oled.is_there && i2c_dev->address == s_oled.address) {
        return write_oled(write_buffer, write_size, fails);
    }
    return ESP_ERR_INVALID_STATE; // nobody acknowledges
}

esp_err_t i2c_master_transmit_receive(i2c_master_dev_handle_t i2c_dev, const uint8_t *write_buffer, size_t write_size,
                                      uint8_t *read_buffer, size_t read_size, int xfer_timeout_ms) {
    uint32_t place = 0;
    size_t head_bytes = 0;
    if (xfer_timeout_ms < 0) {
        fake_abort("a transfer without a deadline");
    }
    pass(write_size + read_size);
    s_fram.holds_bus = false;
    bool fails = fake_call_fails();
    if (!is_fram(i2c_dev->address) || !fram_place(i2c_dev->address, write_buffer, write_size, &place, &head_bytes)) {
        return ESP_ERR_INVALID_STATE;
    }
    size_t count = fails ? read_size / 2 : read_size;
    for (size_t i = 0; i < count; i++) {
        read_buffer[i] = s_fram.forgets ? 0xFF : s_fram.cells[(place + i) % s_fram.bytes];
    }
    return fails ? ESP_FAIL : ESP_OK;
}

esp_err_t i2c_master_probe(i2c_master_bus_handle_t bus_handle, uint16_t address, int xfer_timeout_ms) {
    (void)bus_handle;
    if (xfer_timeout_ms < 0) {
        fake_abort("a transfer without a deadline");
    }
    bool found = is_fram(address) || (s_oled.is_there && address == s_oled.address);
    if (s_fram.holds_bus) {
        return ESP_ERR_TIMEOUT;
    }
    return fake_call_fails() || !found ? ESP_ERR_NOT_FOUND : ESP_OK;
}

esp_err_t i2c_master_bus_reset(i2c_master_bus_handle_t bus_handle) {
    (void)bus_handle;
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    s_fram.holds_bus = false;
    return ESP_OK;
}
