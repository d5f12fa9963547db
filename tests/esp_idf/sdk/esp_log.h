// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_LOG_H
#define MM_SDK_ESP_LOG_H

#include <stdarg.h>
#include <stdint.h>

#ifndef MM_SDK_IS_REAL
typedef enum {
    ESP_LOG_NONE = 0,
    ESP_LOG_ERROR = 1,
    ESP_LOG_WARN = 2,
    ESP_LOG_INFO = 3,
    ESP_LOG_DEBUG = 4,
    ESP_LOG_VERBOSE = 5
} esp_log_level_t;
typedef int (*vprintf_like_t)(const char *, va_list);

#define ESP_LOGE(tag, ...) esp_log_write(ESP_LOG_ERROR, (tag), __VA_ARGS__)
#define ESP_LOGW(tag, ...) esp_log_write(ESP_LOG_WARN, (tag), __VA_ARGS__)
#define ESP_LOGI(tag, ...) esp_log_write(ESP_LOG_INFO, (tag), __VA_ARGS__)
#define ESP_LOGD(tag, ...) esp_log_write(ESP_LOG_DEBUG, (tag), __VA_ARGS__)
#endif

void esp_log_write(esp_log_level_t level, const char *tag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void esp_log_level_set(const char *tag, esp_log_level_t level);
vprintf_like_t esp_log_set_vprintf(vprintf_like_t func);

#endif
