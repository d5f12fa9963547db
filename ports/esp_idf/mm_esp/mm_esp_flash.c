// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_flash.h"

#include <esp_partition.h>
#include <string.h>

// The SDK's driver ends each of these within its own time limit of the chip (erase of a sector: 0.4 s by the data
// sheets).

static void assert_range(const mm_esp_flash_t *self, uint32_t address, size_t bytes_count) {
    uint64_t size_bytes = (uint64_t)self->flash.sector_count * MM_FLASH_SECTOR_BYTES;
    MM_ASSERT(address <= size_bytes && bytes_count <= size_bytes - address);
}

static mm_err_t read_flash(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    mm_esp_flash_t *self = context;
    assert_range(self, address, bytes_count);
    return esp_partition_read(self->partition, address, bytes, bytes_count) == ESP_OK ? MM_OK : MM_ERR_STORAGE;
}

static mm_err_t program_flash(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    mm_esp_flash_t *self = context;
    const uint8_t *next = bytes;
    uint8_t cells[MM_ESP_FLASH_CHUNK_BYTES];
    uint8_t after[MM_ESP_FLASH_CHUNK_BYTES];
    assert_range(self, address, bytes_count);
    while (bytes_count > 0) {
        size_t part = bytes_count < sizeof cells ? bytes_count : sizeof cells;
        if (esp_partition_read(self->partition, address, cells, part) != ESP_OK ||
            esp_partition_write(self->partition, address, next, part) != ESP_OK ||
            esp_partition_read(self->partition, address, after, part) != ESP_OK) {
            return MM_ERR_STORAGE;
        }
        for (size_t i = 0; i < part; i++) {
            if (after[i] != (cells[i] & next[i])) {
                return MM_ERR_STORAGE;
            }
        }
        address += (uint32_t)part;
        next += part;
        bytes_count -= part;
    }
    return MM_OK;
}

static mm_err_t erase_flash(void *context, uint32_t sector_index) {
    mm_esp_flash_t *self = context;
    MM_ASSERT(sector_index < self->flash.sector_count);
    uint32_t address = sector_index * MM_FLASH_SECTOR_BYTES;
    if (esp_partition_erase_range(self->partition, address, MM_FLASH_SECTOR_BYTES) != ESP_OK) {
        return MM_ERR_STORAGE;
    }
    uint8_t cells[MM_ESP_FLASH_CHUNK_BYTES];
    _Static_assert(MM_FLASH_SECTOR_BYTES % sizeof cells == 0, "a sector is whole chunks");
    for (uint32_t done = 0; done < MM_FLASH_SECTOR_BYTES; done += sizeof cells) {
        if (esp_partition_read(self->partition, address + done, cells, sizeof cells) != ESP_OK) {
            return MM_ERR_STORAGE;
        }
        for (size_t i = 0; i < sizeof cells; i++) {
            if (cells[i] != 0xFF) {
                return MM_ERR_STORAGE;
            }
        }
    }
    return MM_OK;
}

mm_err_t mm_esp_flash_open(mm_esp_flash_t *self, const char *label, uint32_t sectors_min, uint32_t sectors_max) {
    const esp_partition_t *partition =
        esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, label);
    *self = (mm_esp_flash_t){.partition = partition};
    if (partition == NULL) {
        return MM_ERR_NOT_FOUND;
    }
    uint32_t sectors = partition->size / MM_FLASH_SECTOR_BYTES;
    if (partition->size % MM_FLASH_SECTOR_BYTES != 0 || partition->erase_size != MM_FLASH_SECTOR_BYTES ||
        sectors < sectors_min || sectors == 0 || partition->encrypted || partition->readonly) {
        return MM_ERR_ARG;
    }
    self->flash = (mm_flash_t){.read = read_flash,
                               .program = program_flash,
                               .erase = erase_flash,
                               .context = self,
                               .sector_count = sectors < sectors_max ? sectors : sectors_max};
    return MM_OK;
}
