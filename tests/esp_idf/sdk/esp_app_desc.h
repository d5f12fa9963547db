// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_APP_DESC_H
#define MM_SDK_ESP_APP_DESC_H

#include <stdint.h>

#ifndef MM_SDK_IS_REAL
typedef struct {
    uint32_t magic_word;
    uint32_t secure_version;
    char version[32];
    char project_name[32];
    char time[16];
    char date[16];
} esp_app_desc_t;
#endif

const esp_app_desc_t *esp_app_get_description(void);

#endif
