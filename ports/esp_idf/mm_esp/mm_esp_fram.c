// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_fram.h"

#include <driver/i2c_master.h>
#include <string.h>

#define SMALL_BYTES 2048U // up to here the address has one byte, and three bits in the device address
#define BANK_BYTES 256U
#define TRIES 2
#define PROBE_BYTES 8

static void assert_range(const mm_esp_fram_t *self, uint32_t address, size_t bytes_count) {
    MM_ASSERT(address <= self->fram.size_bytes && bytes_count <= self->fram.size_bytes - address);
}

static i2c_master_dev_handle_t device_of(const mm_esp_fram_t *self, uint32_t address) {
    return self->devices[self->one_byte_address ? address / BANK_BYTES : 0];
}

static size_t put_address(const mm_esp_fram_t *self, uint32_t address, uint8_t *head) {
    if (self->one_byte_address) {
        head[0] = (uint8_t)address;
        return 1;
    }
    head[0] = (uint8_t)(address >> 8);
    head[1] = (uint8_t)address;
    return 2;
}

// So many bytes that a chunk is neither too long nor goes over the end of a bank.
static size_t chunk_of(const mm_esp_fram_t *self, uint32_t address, size_t bytes_count) {
    size_t room = self->one_byte_address ? BANK_BYTES - address % BANK_BYTES : MM_ESP_FRAM_CHUNK_BYTES;
    room = room < MM_ESP_FRAM_CHUNK_BYTES ? room : MM_ESP_FRAM_CHUNK_BYTES;
    return bytes_count < room ? bytes_count : room;
}

static bool read_chunk(mm_esp_fram_t *self, uint32_t address, uint8_t *bytes, size_t bytes_count) {
    uint8_t head[2];
    size_t head_bytes = put_address(self, address, head);
    for (int i = 0; i < TRIES; i++) {
        // wait: the FRAM's bytes | until MM_ESP_FRAM_TIMEOUT_MS | then the chunk is tried once more, or given up
        if (i2c_master_transmit_receive(device_of(self, address), head, head_bytes, bytes, bytes_count,
                                        MM_ESP_FRAM_TIMEOUT_MS) == ESP_OK) {
            return true;
        }
    }
    self->errors++;
    return false;
}

static bool write_chunk(mm_esp_fram_t *self, uint32_t address, const uint8_t *bytes, size_t bytes_count) {
    uint8_t packet[2 + MM_ESP_FRAM_CHUNK_BYTES];
    size_t head_bytes = put_address(self, address, packet);
    memcpy(packet + head_bytes, bytes, bytes_count);
    for (int i = 0; i < TRIES; i++) {
        // wait: the FRAM takes the bytes | until MM_ESP_FRAM_TIMEOUT_MS | then the chunk is tried once more, or given
        // up
        if (i2c_master_transmit(device_of(self, address), packet, head_bytes + bytes_count, MM_ESP_FRAM_TIMEOUT_MS) ==
            ESP_OK) {
            return true;
        }
    }
    self->errors++;
    return false;
}

static mm_err_t read_all(mm_esp_fram_t *self, uint32_t address, uint8_t *bytes, size_t bytes_count) {
    while (bytes_count > 0) {
        size_t part = chunk_of(self, address, bytes_count);
        if (!read_chunk(self, address, bytes, part)) {
            return MM_ERR_STORAGE;
        }
        address += (uint32_t)part;
        bytes += part;
        bytes_count -= part;
    }
    return MM_OK;
}

// In the order of the addresses: what a power cut leaves is a prefix.
static mm_err_t write_all(mm_esp_fram_t *self, uint32_t address, const uint8_t *bytes, size_t bytes_count) {
    while (bytes_count > 0) {
        size_t part = chunk_of(self, address, bytes_count);
        if (!write_chunk(self, address, bytes, part)) {
            return MM_ERR_STORAGE;
        }
        address += (uint32_t)part;
        bytes += part;
        bytes_count -= part;
    }
    return MM_OK;
}

static mm_err_t read_fram(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    mm_esp_fram_t *self = context;
    assert_range(self, address, bytes_count);
    return read_all(self, address, bytes, bytes_count);
}

static mm_err_t write_fram(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    mm_esp_fram_t *self = context;
    assert_range(self, address, bytes_count);
    return write_all(self, address, bytes, bytes_count);
}

// --- probe ---------------------------------------------------------------------------------------------------------

// Writes a pattern into the port's own last bytes, and looks whether it stays there and nowhere else: in a chip of half
// the size the same cells would be seen at half the address. What was in them is put back.
static bool keeps_what_is_written(mm_esp_fram_t *self, uint32_t bytes) {
    const uint32_t place = bytes - PROBE_BYTES;
    const uint32_t shadow = bytes / 2 - PROBE_BYTES;
    uint8_t before[PROBE_BYTES];
    uint8_t shadow_before[PROBE_BYTES];
    uint8_t pattern[PROBE_BYTES];
    uint8_t found[PROBE_BYTES];
    uint8_t shadow_found[PROBE_BYTES];
    if (read_all(self, place, before, sizeof before) != MM_OK ||
        read_all(self, shadow, shadow_before, sizeof shadow_before) != MM_OK) {
        return false;
    }
    for (size_t i = 0; i < sizeof pattern; i++) {
        pattern[i] = (uint8_t)~before[i];
    }
    bool good = write_all(self, place, pattern, sizeof pattern) == MM_OK &&
                read_all(self, place, found, sizeof found) == MM_OK &&
                read_all(self, shadow, shadow_found, sizeof shadow_found) == MM_OK &&
                memcmp(found, pattern, sizeof pattern) == 0 &&
                memcmp(shadow_found, shadow_before, sizeof shadow_before) == 0;
    // Also after a failure: in a smaller chip it was somebody's registers.
    return write_all(self, place, before, sizeof before) == MM_OK && good;
}

static bool add_devices(mm_esp_fram_t *self, i2c_master_bus_handle_t bus, uint32_t bytes) {
    uint32_t count = self->one_byte_address ? bytes / BANK_BYTES : 1;
    for (uint32_t i = 0; i < count; i++) {
        const i2c_device_config_t config = {.dev_addr_length = I2C_ADDR_BIT_LEN_7,
                                            .device_address = (uint16_t)(self->address + i),
                                            .scl_speed_hz = MM_ESP_I2C_HZ};
        i2c_master_dev_handle_t device = NULL;
        if (i2c_master_bus_add_device(bus, &config, &device) != ESP_OK) {
            return false;
        }
        self->devices[i] = device;
    }
    return true;
}

mm_err_t mm_esp_fram_open(mm_esp_fram_t *self, mm_esp_i2c_t *bus, uint8_t address, uint32_t bytes) {
    MM_ASSERT(bytes == SMALL_BYTES || bytes == 8192 || bytes == 16384 || bytes == 32768);
    *self = (mm_esp_fram_t){.fram = {.read = read_fram, .write = write_fram, .context = self},
                            .one_byte_address = bytes == SMALL_BYTES,
                            .address = address};
    esp_err_t err = ESP_ERR_NOT_FOUND;
    for (int i = 0; bus->bus != NULL && err != ESP_OK && i < TRIES; i++) {
        // wait: the FRAM acknowledges its address | until MM_ESP_FRAM_TIMEOUT_MS | then it is asked again, or absent
        err = i2c_master_probe(bus->bus, address, MM_ESP_FRAM_TIMEOUT_MS);
        if (err != ESP_OK) {
            // A reset in the middle of a read leaves the FRAM with its bit on the bus, and it answers nobody before it
            // has been clocked out. A transfer of the SDK's does that by itself, its probe does not.
            (void)i2c_master_bus_reset(bus->bus);
        }
    }
    if (err != ESP_OK) {
        return MM_ERR_NOT_FOUND;
    }
    self->state = MM_ESP_FRAM_FAULTY;
    if (!add_devices(self, bus->bus, bytes) || !keeps_what_is_written(self, bytes)) {
        return MM_ERR_STORAGE;
    }
    self->state = MM_ESP_FRAM_WORKS;
    self->fram.size_bytes = bytes - MM_ESP_FRAM_RESERVE_BYTES;
    return MM_OK;
}

void mm_esp_fram_close(mm_esp_fram_t *self) {
    for (size_t i = 0; i < MM_ESP_FRAM_DEVICES_MAX; i++) {
        if (self->devices[i] != NULL) {
            (void)i2c_master_bus_rm_device(self->devices[i]);
            self->devices[i] = NULL;
        }
    }
    self->fram.size_bytes = 0;
    self->state = MM_ESP_FRAM_ABSENT;
}

mm_esp_fram_verdict_t mm_esp_fram_judge(mm_esp_fram_state_t state, bool worked_before) {
    switch (state) {
    case MM_ESP_FRAM_WORKS:
        return MM_ESP_FRAM_USE;
    case MM_ESP_FRAM_ABSENT:
        return worked_before ? MM_ESP_FRAM_IN_FAULT : MM_ESP_FRAM_USE_FLASH;
    case MM_ESP_FRAM_FAULTY:
    default:
        return MM_ESP_FRAM_IN_FAULT;
    }
}
