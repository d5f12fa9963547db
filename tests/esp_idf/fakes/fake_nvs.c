// SPDX-License-Identifier: Apache-2.0
#include "fake_nvs.h"

#include <stdio.h>
#include <string.h>

#include "fake.h"

#define VALUES_MAX 64
#define VALUE_BYTES_MAX 1984
#define HANDLES_MAX 8
#define NAME_BYTES 16

typedef enum {
    TYPE_NONE,
    TYPE_U8,
    TYPE_U32,
    TYPE_U64,
    TYPE_STR,
    TYPE_BLOB
} value_type_t;

typedef struct {
    value_type_t type;
    size_t bytes_count;
    uint8_t bytes[VALUE_BYTES_MAX];
} content_t;

typedef struct {
    char partition[NAME_BYTES + 1];
    char name_space[NAME_BYTES];
    char key[NAME_BYTES];
    content_t now;
    content_t committed;
} value_t;

typedef struct {
    char partition[NAME_BYTES + 1];
    char name_space[NAME_BYTES];
    bool can_write;
    bool is_open;
} opened_t;

static value_t s_values[VALUES_MAX];
static size_t s_value_count;
static opened_t s_opened[HANDLES_MAX];
static char s_broken[NAME_BYTES + 1];

static void reset(void) {
    memset(s_values, 0, sizeof s_values);
    s_value_count = 0;
    memset(s_opened, 0, sizeof s_opened);
    s_broken[0] = '\0';
}

FAKE_ON_RESET_AND_RESTART(reset, fake_nvs_restart)

void fake_nvs_restart(void) {
    for (size_t i = 0; i < s_value_count; i++) {
        s_values[i].now = s_values[i].committed;
    }
    memset(s_opened, 0, sizeof s_opened);
}

unsigned fake_nvs_open_count(void) {
    unsigned count = 0;
    for (size_t i = 0; i < HANDLES_MAX; i++) {
        count += s_opened[i].is_open ? 1 : 0;
    }
    return count;
}

static value_t *find(const char *partition, const char *name_space, const char *key) {
    for (size_t i = 0; i < s_value_count; i++) {
        value_t *value = &s_values[i];
        if (strcmp(value->partition, partition) == 0 && strcmp(value->name_space, name_space) == 0 &&
            strcmp(value->key, key) == 0) {
            return value;
        }
    }
    return NULL;
}

bool fake_nvs_has(const char *partition, const char *name_space, const char *key) {
    const value_t *value = find(partition, name_space, key);
    return value != NULL && value->committed.type != TYPE_NONE;
}

static bool content_contains(const content_t *content, const void *bytes, size_t bytes_count) {
    for (size_t i = 0; content->type != TYPE_NONE && i + bytes_count <= content->bytes_count; i++) {
        if (memcmp(content->bytes + i, bytes, bytes_count) == 0) {
            return true;
        }
    }
    return false;
}

bool fake_nvs_contains(const void *bytes, size_t bytes_count) {
    for (size_t i = 0; i < s_value_count; i++) {
        if (content_contains(&s_values[i].now, bytes, bytes_count) ||
            content_contains(&s_values[i].committed, bytes, bytes_count)) {
            return true;
        }
    }
    return false;
}

void fake_nvs_break_partition(const char *partition) {
    (void)snprintf(s_broken, sizeof s_broken, "%s", partition);
}

esp_err_t nvs_flash_init_partition(const char *partition_label) {
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    return strcmp(s_broken, partition_label) == 0 ? ESP_ERR_NVS_NO_FREE_PAGES : ESP_OK;
}

esp_err_t nvs_flash_erase_partition(const char *part_name) {
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    if (strcmp(s_broken, part_name) == 0) {
        s_broken[0] = '\0';
    }
    for (size_t i = 0; i < s_value_count; i++) {
        if (strcmp(s_values[i].partition, part_name) == 0) {
            memset(&s_values[i].now, 0, sizeof s_values[i].now);
            memset(&s_values[i].committed, 0, sizeof s_values[i].committed);
        }
    }
    return ESP_OK;
}

esp_err_t nvs_flash_init(void) {
    return nvs_flash_init_partition("nvs");
}

esp_err_t nvs_flash_erase(void) {
    return nvs_flash_erase_partition("nvs");
}

esp_err_t nvs_open(const char *namespace_name, nvs_open_mode_t open_mode, nvs_handle_t *out_handle) {
    return nvs_open_from_partition("nvs", namespace_name, open_mode, out_handle);
}

static bool name_space_exists(const char *partition, const char *name_space) {
    for (size_t i = 0; i < s_value_count; i++) {
        if (strcmp(s_values[i].partition, partition) == 0 && strcmp(s_values[i].name_space, name_space) == 0 &&
            s_values[i].now.type != TYPE_NONE) {
            return true;
        }
    }
    return false;
}

esp_err_t nvs_open_from_partition(const char *part_name, const char *namespace_name, nvs_open_mode_t open_mode,
                                  nvs_handle_t *out_handle) {
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    if (strlen(namespace_name) >= NAME_BYTES) {
        return ESP_ERR_NVS_INVALID_NAME;
    }
    if (open_mode == NVS_READONLY && !name_space_exists(part_name, namespace_name)) {
        return ESP_ERR_NVS_NOT_FOUND;
    }
    for (size_t i = 0; i < HANDLES_MAX; i++) {
        opened_t *opened = &s_opened[i];
        if (!opened->is_open) {
            *opened = (opened_t){.can_write = open_mode == NVS_READWRITE, .is_open = true};
            (void)snprintf(opened->partition, sizeof opened->partition, "%s", part_name);
            (void)snprintf(opened->name_space, sizeof opened->name_space, "%s", namespace_name);
            *out_handle = (nvs_handle_t)(i + 1);
            return ESP_OK;
        }
    }
    fake_abort("more than %d open NVS handles: they leak", HANDLES_MAX);
}

static opened_t *opened_of(nvs_handle_t handle) {
    if (handle == 0 || handle > HANDLES_MAX || !s_opened[handle - 1].is_open) {
        fake_abort("an NVS handle that is not open");
    }
    return &s_opened[handle - 1];
}

static esp_err_t set(nvs_handle_t handle, const char *key, value_type_t type, const void *bytes, size_t bytes_count) {
    const opened_t *opened = opened_of(handle);
    if (!opened->can_write) {
        return ESP_ERR_NVS_READ_ONLY;
    }
    if (strlen(key) >= NAME_BYTES) {
        return ESP_ERR_NVS_KEY_TOO_LONG;
    }
    if (bytes_count > VALUE_BYTES_MAX || fake_call_fails()) {
        return ESP_ERR_NVS_NOT_ENOUGH_SPACE;
    }
    value_t *value = find(opened->partition, opened->name_space, key);
    if (value == NULL) {
        if (s_value_count == VALUES_MAX) {
            return ESP_ERR_NVS_NOT_ENOUGH_SPACE;
        }
        value = &s_values[s_value_count++];
        (void)snprintf(value->partition, sizeof value->partition, "%s", opened->partition);
        (void)snprintf(value->name_space, sizeof value->name_space, "%s", opened->name_space);
        (void)snprintf(value->key, sizeof value->key, "%s", key);
    }
    memset(&value->now, 0, sizeof value->now);
    value->now.type = type;
    value->now.bytes_count = bytes_count;
    memcpy(value->now.bytes, bytes, bytes_count);
    return ESP_OK;
}

static esp_err_t get(nvs_handle_t handle, const char *key, value_type_t type, void *bytes, size_t *bytes_count) {
    const opened_t *opened = opened_of(handle);
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    const value_t *value = find(opened->partition, opened->name_space, key);
    // A value of another type is another value.
    if (value == NULL || value->now.type != type) {
        return ESP_ERR_NVS_NOT_FOUND;
    }
    if (bytes == NULL) {
        *bytes_count = value->now.bytes_count;
        return ESP_OK;
    }
    if (*bytes_count < value->now.bytes_count) {
        *bytes_count = value->now.bytes_count;
        return ESP_ERR_NVS_INVALID_LENGTH;
    }
    *bytes_count = value->now.bytes_count;
    memcpy(bytes, value->now.bytes, value->now.bytes_count);
    return ESP_OK;
}

esp_err_t nvs_set_u8(nvs_handle_t handle, const char *key, uint8_t value) {
    return set(handle, key, TYPE_U8, &value, sizeof value);
}

esp_err_t nvs_set_u32(nvs_handle_t handle, const char *key, uint32_t value) {
    return set(handle, key, TYPE_U32, &value, sizeof value);
}

esp_err_t nvs_set_u64(nvs_handle_t handle, const char *key, uint64_t value) {
    return set(handle, key, TYPE_U64, &value, sizeof value);
}

esp_err_t nvs_set_str(nvs_handle_t handle, const char *key, const char *value) {
    return set(handle, key, TYPE_STR, value, strlen(value) + 1);
}

esp_err_t nvs_set_blob(nvs_handle_t handle, const char *key, const void *value, size_t length) {
    return set(handle, key, TYPE_BLOB, value, length);
}

esp_err_t nvs_get_u8(nvs_handle_t handle, const char *key, uint8_t *out_value) {
    size_t bytes_count = sizeof *out_value;
    return get(handle, key, TYPE_U8, out_value, &bytes_count);
}

esp_err_t nvs_get_u32(nvs_handle_t handle, const char *key, uint32_t *out_value) {
    size_t bytes_count = sizeof *out_value;
    return get(handle, key, TYPE_U32, out_value, &bytes_count);
}

esp_err_t nvs_get_u64(nvs_handle_t handle, const char *key, uint64_t *out_value) {
    size_t bytes_count = sizeof *out_value;
    return get(handle, key, TYPE_U64, out_value, &bytes_count);
}

esp_err_t nvs_get_str(nvs_handle_t handle, const char *key, char *out_value, size_t *length) {
    return get(handle, key, TYPE_STR, out_value, length);
}

esp_err_t nvs_get_blob(nvs_handle_t handle, const char *key, void *out_value, size_t *length) {
    return get(handle, key, TYPE_BLOB, out_value, length);
}

esp_err_t nvs_erase_key(nvs_handle_t handle, const char *key) {
    const opened_t *opened = opened_of(handle);
    if (!opened->can_write) {
        return ESP_ERR_NVS_READ_ONLY;
    }
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    value_t *value = find(opened->partition, opened->name_space, key);
    if (value == NULL || value->now.type == TYPE_NONE) {
        return ESP_ERR_NVS_NOT_FOUND;
    }
    memset(&value->now, 0, sizeof value->now);
    return ESP_OK;
}

esp_err_t nvs_erase_all(nvs_handle_t handle) {
    const opened_t *opened = opened_of(handle);
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    for (size_t i = 0; i < s_value_count; i++) {
        if (strcmp(s_values[i].partition, opened->partition) == 0 &&
            strcmp(s_values[i].name_space, opened->name_space) == 0) {
            memset(&s_values[i].now, 0, sizeof s_values[i].now);
        }
    }
    return ESP_OK;
}

esp_err_t nvs_commit(nvs_handle_t handle) {
    const opened_t *opened = opened_of(handle);
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    for (size_t i = 0; i < s_value_count; i++) {
        if (strcmp(s_values[i].partition, opened->partition) == 0) {
            s_values[i].committed = s_values[i].now;
        }
    }
    return ESP_OK;
}

void nvs_close(nvs_handle_t handle) {
    opened_of(handle)->is_open = false;
}
