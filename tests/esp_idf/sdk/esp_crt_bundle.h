// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_CRT_BUNDLE_H
#define MM_SDK_ESP_CRT_BUNDLE_H

#include <esp_err.h>

esp_err_t esp_crt_bundle_attach(void *conf);

#endif
