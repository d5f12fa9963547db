// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_HTTP_CLIENT_H
#define MM_SDK_ESP_HTTP_CLIENT_H

#include <esp_err.h>
#include <stdbool.h>

#ifndef MM_SDK_IS_REAL
typedef struct esp_http_client *esp_http_client_handle_t;
typedef enum {
    HTTP_EVENT_ON_HEADER = 3
} esp_http_client_event_id_t;
typedef struct esp_http_client_event {
    esp_http_client_event_id_t event_id;
    esp_http_client_handle_t client;
    void *user_data;
    char *header_key;
    char *header_value;
} esp_http_client_event_t;
typedef esp_err_t (*http_event_handle_cb)(esp_http_client_event_t *evt);
typedef struct {
    const char *url;
    const char *cert_pem;
    int timeout_ms;
    http_event_handle_cb event_handler;
    void *user_data;
    esp_err_t (*crt_bundle_attach)(void *conf);
    bool keep_alive_enable;
} esp_http_client_config_t;
#endif

esp_err_t esp_http_client_set_timeout_ms(esp_http_client_handle_t client, int timeout_ms);

#endif
