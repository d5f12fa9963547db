// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_HTTP_CLIENT_H
#define MM_SDK_ESP_HTTP_CLIENT_H

#include <esp_err.h>
#include <stdbool.h>

#ifndef MM_SDK_IS_REAL
typedef struct {
    const char *url;
    const char *cert_pem;
    int timeout_ms;
    bool disable_auto_redirect;
    int max_redirection_count;
    esp_err_t (*crt_bundle_attach)(void *conf);
    bool keep_alive_enable;
} esp_http_client_config_t;
#endif

#endif
