// SPDX-License-Identifier: Apache-2.0
#include <driver/gpio.h>
#include <esp_event.h>
#include <esp_log.h>
#include <esp_timer.h>
#include <nvs.h>

#include "agreement.h"

MM_TYPE(esp_err_t, int);
MM_TYPE(nvs_handle_t, uint32_t);
MM_TYPE(esp_event_base_t, const char *);
MM_TYPE(esp_event_handler_instance_t, void *);
MM_TYPE(esp_event_handler_t, void (*)(void *, esp_event_base_t, int32_t, void *));
MM_TYPE(vprintf_like_t, int (*)(const char *, va_list));
MM_TYPE(esp_timer_handle_t, struct esp_timer *);
MM_TYPE(esp_timer_cb_t, void (*)(void *));
MM_MEMBER(esp_timer_create_args_t, callback, esp_timer_cb_t);
MM_MEMBER(esp_timer_create_args_t, arg, void *);
MM_MEMBER(esp_timer_create_args_t, dispatch_method, esp_timer_dispatch_t);
MM_MEMBER(esp_timer_create_args_t, name, const char *);
MM_MEMBER(esp_timer_create_args_t, skip_unhandled_events, bool);
MM_TYPE(gpio_isr_t, void (*)(void *));
MM_MEMBER(gpio_config_t, pin_bit_mask, uint64_t);
MM_MEMBER(gpio_config_t, mode, gpio_mode_t);
MM_MEMBER(gpio_config_t, pull_up_en, gpio_pullup_t);
MM_MEMBER(gpio_config_t, pull_down_en, gpio_pulldown_t);
MM_MEMBER(gpio_config_t, intr_type, gpio_int_type_t);
_Static_assert(ESP_EVENT_ANY_ID == -1 && ESP_EVENT_ANY_BASE == NULL, "any event");
