// SPDX-License-Identifier: Apache-2.0
#include "fake_system.h"

#include <setjmp.h>
#include <string.h>

#include "fake.h"
#include "fake_freertos.h"
#include "fake_wifi.h"

static fake_system_t s_system;
static jmp_buf s_restart;
static bool s_is_caught;

// Of the section that RTC_NOINIT_ATTR names; there is none if nothing is in it.
extern uint8_t __start_mm_rtc_noinit[] __attribute__((weak));
extern uint8_t __stop_mm_rtc_noinit[] __attribute__((weak));

static void reset(void) {
    s_system = (fake_system_t){.reason = ESP_RST_POWERON};
}

static void restart(void) {
    s_system = (fake_system_t){.reason = s_system.reason, .restarts = s_system.restarts};
}

FAKE_ON_RESET_AND_RESTART(reset, restart)

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

void esp_restart(void) {
    s_system.restarts++;
    s_system.reason = ESP_RST_SW;
    fake_task_leave();
    if (!s_is_caught) {
        fake_abort("restarts outside of fake_restarts and of a task");
    }
    longjmp(s_restart, 1);
}

bool fake_restarts(void (*code)(void)) {
    s_is_caught = true;
    bool restarted = setjmp(s_restart) != 0;
    if (!restarted) {
        code();
    }
    s_is_caught = false;
    return restarted;
}

void fake_power_cut(void) {
    if (__start_mm_rtc_noinit != NULL) {
        memset(__start_mm_rtc_noinit, 0x5A, (size_t)(__stop_mm_rtc_noinit - __start_mm_rtc_noinit));
    }
}

esp_err_t esp_read_mac(uint8_t *mac, esp_mac_type_t type) {
    static const uint8_t own[6] = FAKE_WIFI_MAC;
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    memcpy(mac, own, sizeof own);
    mac[5] = (uint8_t)(mac[5] + (type == ESP_MAC_WIFI_SOFTAP ? 1 : 0));
    return ESP_OK;
}
