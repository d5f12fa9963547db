// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_NVS_FLASH_H
#define MM_SDK_NVS_FLASH_H

#include <esp_err.h>

esp_err_t nvs_flash_init(void);
esp_err_t nvs_flash_erase(void);
esp_err_t nvs_flash_init_partition(const char *partition_label);
esp_err_t nvs_flash_erase_partition(const char *part_name);

#endif
