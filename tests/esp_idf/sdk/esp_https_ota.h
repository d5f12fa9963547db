// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_HTTPS_OTA_H
#define MM_SDK_ESP_HTTPS_OTA_H

#include <esp_app_desc.h>
#include <esp_err.h>
#include <esp_http_client.h>
#include <stdbool.h>

#ifndef MM_SDK_IS_REAL
typedef void *esp_https_ota_handle_t;
typedef struct {
    const esp_http_client_config_t *http_config;
    bool bulk_flash_erase;
    bool partial_http_download;
    int max_http_request_size;
} esp_https_ota_config_t;
#define ESP_ERR_HTTPS_OTA_BASE 0x9000
#define ESP_ERR_HTTPS_OTA_IN_PROGRESS (ESP_ERR_HTTPS_OTA_BASE + 1)
#endif

esp_err_t esp_https_ota_begin(const esp_https_ota_config_t *ota_config, esp_https_ota_handle_t *handle);
esp_err_t esp_https_ota_get_img_desc(esp_https_ota_handle_t https_ota_handle, esp_app_desc_t *new_app_info);
/// One piece. ESP_ERR_HTTPS_OTA_IN_PROGRESS: there is more.
esp_err_t esp_https_ota_perform(esp_https_ota_handle_t https_ota_handle);
bool esp_https_ota_is_complete_data_received(esp_https_ota_handle_t https_ota_handle);
/// Checks the image and chooses it for the next start; frees the handle in any case.
esp_err_t esp_https_ota_finish(esp_https_ota_handle_t https_ota_handle);
/// Frees the handle.
esp_err_t esp_https_ota_abort(esp_https_ota_handle_t https_ota_handle);

#endif
