// SPDX-License-Identifier: Apache-2.0
#include "fake_partition.h"

#include <string.h>

#include "fake.h"

#define PARTITIONS 3

static esp_partition_t s_partitions[PARTITIONS];
static uint8_t s_journal[FAKE_PARTITION_BYTES];
static uint8_t s_config[FAKE_PARTITION_CONFIG_BYTES];
static uint8_t s_registers[FAKE_PARTITION_REGISTERS_BYTES];
static uint8_t *const s_cells[PARTITIONS] = {s_journal, s_config, s_registers};
static size_t s_worn_offset;
static uint8_t s_worn_mask;
static bool s_loses_writes;
static int64_t s_erase_us;
static int64_t s_write_us;
static int64_t s_read_us;

static void reset(void) {
    static const char *const labels[PARTITIONS] = {"journal", "config", "registers"};
    static const uint32_t sizes[PARTITIONS] = {sizeof s_journal, sizeof s_config, sizeof s_registers};
    for (size_t i = 0; i < PARTITIONS; i++) {
        s_partitions[i] = (esp_partition_t){.type = ESP_PARTITION_TYPE_DATA, .size = sizes[i], .erase_size = 4096};
        strcpy(s_partitions[i].label, labels[i]);
        memset(s_cells[i], 0xFF, sizes[i]);
    }
    s_worn_mask = 0;
    s_loses_writes = false;
    fake_partition_set_times(0, 0, 0);
}

FAKE_ON_RESET_AND_RESTART(reset, NULL)

esp_partition_t *fake_partition(void) {
    return &s_partitions[0];
}

esp_partition_t *fake_partition_find(const char *label) {
    for (size_t i = 0; i < PARTITIONS; i++) {
        if (strcmp(label, s_partitions[i].label) == 0) {
            return &s_partitions[i];
        }
    }
    return NULL;
}

uint8_t *fake_partition_cells(void) {
    return s_journal;
}

void fake_partition_set_times(int64_t erase_us, int64_t write_us, int64_t read_us) {
    s_erase_us = erase_us;
    s_write_us = write_us;
    s_read_us = read_us;
}

void fake_partition_lose_writes(bool lose) {
    s_loses_writes = lose;
}

static void wear(void) {
    s_journal[s_worn_offset] = (uint8_t)(s_journal[s_worn_offset] & ~s_worn_mask);
}

void fake_partition_wear(size_t offset, uint8_t mask) {
    s_worn_offset = offset;
    s_worn_mask = mask;
    wear();
}

// A whole number of times unit bytes, begun ones included.
static void pass(int64_t unit_us, size_t bytes, size_t unit) {
    if (unit_us > 0) {
        fake_time_advance((int64_t)((bytes + unit - 1) / unit) * unit_us);
    }
}

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type, esp_partition_subtype_t subtype,
                                                const char *label) {
    (void)subtype;
    const esp_partition_t *found = fake_partition_find(label);
    return found != NULL && found->type == type ? found : NULL;
}

// The cells from the offset on; NULL: outside.
static uint8_t *place_of(const esp_partition_t *partition, size_t offset, size_t size) {
    for (size_t i = 0; i < PARTITIONS; i++) {
        if (partition == &s_partitions[i]) {
            return offset <= partition->size && size <= partition->size - offset ? s_cells[i] + offset : NULL;
        }
    }
    return NULL;
}

esp_err_t esp_partition_read(const esp_partition_t *partition, size_t src_offset, void *dst, size_t size) {
    const uint8_t *cells = place_of(partition, src_offset, size);
    if (cells == NULL) {
        return ESP_ERR_INVALID_SIZE;
    }
    pass(s_read_us, size, 256);
    bool fails = fake_call_fails();
    memcpy(dst, cells, fails ? size / 2 : size);
    return fails ? ESP_FAIL : ESP_OK;
}

esp_err_t esp_partition_write(const esp_partition_t *partition, size_t dst_offset, const void *src, size_t size) {
    uint8_t *cells = place_of(partition, dst_offset, size);
    if (cells == NULL) {
        return ESP_ERR_INVALID_SIZE;
    }
    pass(s_write_us, size, 256);
    bool fails = fake_call_fails();
    const uint8_t *bytes = src;
    for (size_t i = 0; i < (fails ? size / 2 : size) && !s_loses_writes; i++) {
        cells[i] = (uint8_t)(cells[i] & bytes[i]);
    }
    wear();
    return fails ? ESP_FAIL : ESP_OK;
}

esp_err_t esp_partition_erase_range(const esp_partition_t *partition, size_t offset, size_t size) {
    uint8_t *cells = place_of(partition, offset, size);
    if (cells == NULL || offset % 4096 != 0 || size % 4096 != 0) {
        return ESP_ERR_INVALID_ARG;
    }
    pass(s_erase_us, size, 4096);
    bool fails = fake_call_fails();
    memset(cells, 0xFF, fails ? size / 2 : size);
    wear();
    return fails ? ESP_FAIL : ESP_OK;
}
