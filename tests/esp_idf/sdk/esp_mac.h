// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_MAC_H
#define MM_SDK_ESP_MAC_H

#include <esp_err.h>
#include <stdint.h>

#ifndef MM_SDK_IS_REAL
typedef enum {
    ESP_MAC_WIFI_STA = 0,
    ESP_MAC_WIFI_SOFTAP = 1
} esp_mac_type_t;
#endif

/// Of what the chip was made with; no radio is needed.
esp_err_t esp_read_mac(uint8_t *mac, esp_mac_type_t type);

#endif
