// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_BT_H
#define MM_SDK_ESP_BT_H

#include <esp_err.h>

#ifndef MM_SDK_IS_REAL
typedef enum {
    ESP_BT_MODE_IDLE = 0,
    ESP_BT_MODE_BLE = 1,
    ESP_BT_MODE_CLASSIC_BT = 2,
    ESP_BT_MODE_BTDM = 3
} esp_bt_mode_t;
#endif

/// Controller off. What is given back cannot be used again before a restart.
esp_err_t esp_bt_mem_release(esp_bt_mode_t mode);

#endif
