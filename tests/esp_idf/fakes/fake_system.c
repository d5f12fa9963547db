// SPDX-License-Identifier: Apache-2.0
#include "fake_system.h"

#include "fake.h"

static fake_system_t s_system;

static void reset(void) {
    s_system = (fake_system_t){.reason = ESP_RST_POWERON};
}

FAKE_ON_RESET(reset)

fake_system_t *fake_system(void) {
    return &s_system;
}

esp_reset_reason_t esp_reset_reason(void) {
    return s_system.reason;
}

esp_err_t esp_task_wdt_init(const esp_task_wdt_config_t *config) {
    if (config->timeout_ms == 0 || fake_call_fails()) {
        return ESP_FAIL;
    }
    if (s_system.watchdog_runs) {
        return ESP_ERR_INVALID_STATE;
    }
    s_system.watchdog_runs = true;
    return ESP_OK;
}

esp_err_t esp_task_wdt_add(TaskHandle_t task_handle) {
    if (task_handle != NULL || !s_system.watchdog_runs || fake_call_fails()) {
        return ESP_FAIL;
    }
    s_system.task_is_watched = true;
    return ESP_OK;
}

esp_err_t esp_task_wdt_reset(void) {
    s_system.feeds++;
    return s_system.task_is_watched ? ESP_OK : ESP_ERR_NOT_FOUND;
}
