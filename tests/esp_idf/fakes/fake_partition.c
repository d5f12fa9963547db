// SPDX-License-Identifier: Apache-2.0
#include "fake_partition.h"

#include <string.h>

#include "fake.h"

static esp_partition_t s_partition;
static uint8_t s_cells[FAKE_PARTITION_BYTES];
static size_t s_worn_offset;
static uint8_t s_worn_mask;

static void reset(void) {
    s_partition = (esp_partition_t){
        .type = ESP_PARTITION_TYPE_DATA, .size = FAKE_PARTITION_BYTES, .erase_size = 4096, .label = "journal"};
    memset(s_cells, 0xFF, sizeof s_cells);
    s_worn_mask = 0;
}

FAKE_ON_RESET(reset)

esp_partition_t *fake_partition(void) {
    return &s_partition;
}

uint8_t *fake_partition_cells(void) {
    return s_cells;
}

static void wear(void) {
    s_cells[s_worn_offset] = (uint8_t)(s_cells[s_worn_offset] & ~s_worn_mask);
}

void fake_partition_wear(size_t offset, uint8_t mask) {
    s_worn_offset = offset;
    s_worn_mask = mask;
    wear();
}

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type, esp_partition_subtype_t subtype,
                                                const char *label) {
    (void)subtype;
    return type == s_partition.type && strcmp(label, s_partition.label) == 0 ? &s_partition : NULL;
}

static bool is_inside(const esp_partition_t *partition, size_t offset, size_t size) {
    return partition == &s_partition && offset <= s_partition.size && size <= s_partition.size - offset;
}

esp_err_t esp_partition_read(const esp_partition_t *partition, size_t src_offset, void *dst, size_t size) {
    if (!is_inside(partition, src_offset, size)) {
        return ESP_ERR_INVALID_SIZE;
    }
    bool fails = fake_call_fails();
    memcpy(dst, s_cells + src_offset, fails ? size / 2 : size);
    return fails ? ESP_FAIL : ESP_OK;
}

esp_err_t esp_partition_write(const esp_partition_t *partition, size_t dst_offset, const void *src, size_t size) {
    if (!is_inside(partition, dst_offset, size)) {
        return ESP_ERR_INVALID_SIZE;
    }
    bool fails = fake_call_fails();
    const uint8_t *bytes = src;
    for (size_t i = 0; i < (fails ? size / 2 : size); i++) {
        s_cells[dst_offset + i] = (uint8_t)(s_cells[dst_offset + i] & bytes[i]);
    }
    wear();
    return fails ? ESP_FAIL : ESP_OK;
}

esp_err_t esp_partition_erase_range(const esp_partition_t *partition, size_t offset, size_t size) {
    if (!is_inside(partition, offset, size) || offset % 4096 != 0 || size % 4096 != 0) {
        return ESP_ERR_INVALID_ARG;
    }
    bool fails = fake_call_fails();
    memset(s_cells + offset, 0xFF, fails ? size / 2 : size);
    wear();
    return fails ? ESP_FAIL : ESP_OK;
}
