// SPDX-License-Identifier: Apache-2.0
#include <esp_app_desc.h>
#include <esp_http_client.h>
#include <esp_https_ota.h>
#include <esp_ota_ops.h>

#include "agreement.h"

MM_MEMBER(esp_app_desc_t, version, char[32]);
MM_MEMBER(esp_app_desc_t, project_name, char[32]);
MM_MEMBER(esp_app_desc_t, secure_version, uint32_t);
MM_MEMBER(esp_app_desc_t, time, char[16]);
MM_MEMBER(esp_app_desc_t, date, char[16]);
MM_TYPE(esp_https_ota_handle_t, void *);
MM_MEMBER(esp_https_ota_config_t, http_config, const esp_http_client_config_t *);
MM_MEMBER(esp_https_ota_config_t, bulk_flash_erase, bool);
MM_MEMBER(esp_https_ota_config_t, partial_http_download, bool);
MM_MEMBER(esp_https_ota_config_t, max_http_request_size, int);
MM_MEMBER(esp_http_client_config_t, url, const char *);
MM_MEMBER(esp_http_client_config_t, cert_pem, const char *);
MM_MEMBER(esp_http_client_config_t, timeout_ms, int);
MM_TYPE(esp_http_client_handle_t, struct esp_http_client *);
MM_TYPE(http_event_handle_cb, esp_err_t (*)(esp_http_client_event_t *));
MM_MEMBER(esp_http_client_event_t, event_id, esp_http_client_event_id_t);
MM_MEMBER(esp_http_client_event_t, client, esp_http_client_handle_t);
MM_MEMBER(esp_http_client_event_t, user_data, void *);
MM_MEMBER(esp_http_client_event_t, header_key, char *);
MM_MEMBER(esp_http_client_event_t, header_value, char *);
MM_MEMBER(esp_http_client_config_t, event_handler, http_event_handle_cb);
MM_MEMBER(esp_http_client_config_t, user_data, void *);
MM_MEMBER(esp_http_client_config_t, crt_bundle_attach, esp_err_t (*)(void *));
MM_MEMBER(esp_http_client_config_t, keep_alive_enable, bool);
MM_MEMBER(esp_partition_t, label, char[17]);
MM_MEMBER(esp_partition_t, address, uint32_t);
MM_MEMBER(esp_partition_t, size, uint32_t);
