// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_health.h"

#include <driver/gpio.h>
#include <esp_attr.h>
#include <esp_intr_alloc.h>
#include <esp_system.h>
#include <esp_task_wdt.h>

#define KEPT_MARK 0x4845414CU // "HEAL"

// Survives a reset, not a power cut: mark, crashes in a row, complement of the crashes. There is one of it.
static RTC_NOINIT_ATTR uint32_t s_kept[3];

static void keep(uint32_t crashes) {
    s_kept[0] = KEPT_MARK;
    s_kept[1] = crashes;
    s_kept[2] = ~crashes;
}

static uint32_t kept(void) {
    return s_kept[0] == KEPT_MARK && s_kept[2] == ~s_kept[1] ? s_kept[1] : 0;
}

static mm_esp_reset_t reset_of(esp_reset_reason_t reason) {
    switch (reason) {
    case ESP_RST_UNKNOWN:
        return MM_ESP_RESET_UNKNOWN;
    case ESP_RST_POWERON:
    case ESP_RST_EXT:
        return MM_ESP_RESET_POWER_ON;
    case ESP_RST_SW:
        return MM_ESP_RESET_COMMAND;
    case ESP_RST_PANIC:
        return MM_ESP_RESET_PANIC;
    case ESP_RST_INT_WDT:
    case ESP_RST_TASK_WDT:
    case ESP_RST_WDT:
        return MM_ESP_RESET_WATCHDOG;
    case ESP_RST_BROWNOUT:
        return MM_ESP_RESET_BROWN_OUT;
    default:
        return MM_ESP_RESET_OTHER; // later SDKs have more
    }
}

static IRAM_ATTR void on_warning(void *arg) {
    mm_esp_health_t *self = arg;
    self->warning = true;
    if (self->options.warn != NULL) {
        self->options.warn(self->options.context);
    }
}

static void watch_supply(mm_esp_health_t *self) {
    if (self->options.warning_pin < 0) {
        return;
    }
    const gpio_config_t config = {
        .pin_bit_mask = UINT64_C(1) << (unsigned)self->options.warning_pin,
        .mode = GPIO_MODE_INPUT,
        .pull_up_en = GPIO_PULLUP_DISABLE,
        .pull_down_en = GPIO_PULLDOWN_DISABLE,
        .intr_type = GPIO_INTR_NEGEDGE,
    };
    esp_err_t service = gpio_install_isr_service(ESP_INTR_FLAG_IRAM);
    // Without it the bound is that of a board without the pin.
    if ((service == ESP_OK || service == ESP_ERR_INVALID_STATE) && gpio_config(&config) == ESP_OK) {
        (void)gpio_isr_handler_add((gpio_num_t)self->options.warning_pin, on_warning, self);
    }
}

static bool watch_task(void) {
    const esp_task_wdt_config_t config = {.timeout_ms = MM_ESP_HEALTH_WATCHDOG_MS, .trigger_panic = true};
    esp_err_t err = esp_task_wdt_init(&config);
    return (err == ESP_OK || err == ESP_ERR_INVALID_STATE) && esp_task_wdt_add(NULL) == ESP_OK;
}

void mm_esp_health_open(mm_esp_health_t *self, const mm_esp_health_options_t *options, mm_us_t now) {
    *self = (mm_esp_health_t){.options = *options, .reset = reset_of(esp_reset_reason())};
    bool crashed = self->reset == MM_ESP_RESET_PANIC || self->reset == MM_ESP_RESET_WATCHDOG;
    uint32_t before = self->reset == MM_ESP_RESET_POWER_ON ? 0 : kept();
    // What was not a crash neither adds nor forgives: an update that crashes restarts in between.
    self->crashes = before + (crashed && before < UINT32_MAX ? 1 : 0);
    keep(self->crashes);
    self->safe_mode = options->crashes_max > 0 && self->crashes >= options->crashes_max;
    self->quiet_at = self->crashes > 0 ? now + MM_ESP_HEALTH_QUIET_S * MM_US_PER_S : MM_US_NEVER;
    self->watched = watch_task();
    watch_supply(self);
}

mm_us_t mm_esp_health_poll(mm_esp_health_t *self, mm_us_t now) {
    if (!self->watched) {
        self->watched = watch_task();
    } else {
        (void)esp_task_wdt_reset();
    }
    if (now >= self->quiet_at) {
        keep(0);
        self->crashes = 0;
        self->quiet_at = MM_US_NEVER;
    }
    return mm_us_earlier(self->quiet_at, now + MM_ESP_HEALTH_FEED_S * MM_US_PER_S);
}

bool mm_esp_health_must_restart(const mm_esp_health_t *self) {
    return self->safe_mode && self->crashes == 0;
}

void mm_esp_health_forgive(mm_esp_health_t *self) {
    keep(0);
    self->crashes = 0;
    self->quiet_at = MM_US_NEVER;
}
