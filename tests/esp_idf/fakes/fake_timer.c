// SPDX-License-Identifier: Apache-2.0
// Time that passes only when somebody says so; timers of esp_timer run then.
#include <esp_timer.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

#define TIMERS_MAX 8

struct esp_timer {
    esp_timer_cb_t callback;
    void *arg;
    int64_t due_us; ///< 0: does not run
    int64_t period_us;
    bool is_used;
};

static struct esp_timer s_timers[TIMERS_MAX];
static int64_t s_now_us;

static void reset(void) {
    memset(s_timers, 0, sizeof s_timers);
    s_now_us = 0;
}

FAKE_ON_RESET(reset)

int64_t fake_time_us(void) {
    return s_now_us;
}

int64_t esp_timer_get_time(void) {
    return s_now_us;
}

void fake_time_advance(int64_t us) {
    int64_t until_us = s_now_us + us;
    for (;;) {
        struct esp_timer *next = NULL;
        for (size_t i = 0; i < TIMERS_MAX; i++) {
            struct esp_timer *timer = &s_timers[i];
            if (timer->due_us != 0 && timer->due_us <= until_us && (next == NULL || timer->due_us < next->due_us)) {
                next = timer;
            }
        }
        if (next == NULL) {
            break;
        }
        s_now_us = next->due_us;
        next->due_us = next->period_us != 0 ? next->due_us + next->period_us : 0;
        next->callback(next->arg);
    }
    s_now_us = until_us;
}

esp_err_t esp_timer_create(const esp_timer_create_args_t *create_args, esp_timer_handle_t *out_handle) {
    if (fake_call_fails()) {
        return ESP_ERR_NO_MEM;
    }
    for (size_t i = 0; i < TIMERS_MAX; i++) {
        if (!s_timers[i].is_used) {
            s_timers[i] =
                (struct esp_timer){.callback = create_args->callback, .arg = create_args->arg, .is_used = true};
            *out_handle = &s_timers[i];
            return ESP_OK;
        }
    }
    fake_abort("more than %d timers", TIMERS_MAX);
}

static esp_err_t start(esp_timer_handle_t timer, uint64_t us, uint64_t period_us) {
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    if (timer->due_us != 0) {
        return ESP_ERR_INVALID_STATE;
    }
    timer->due_us = s_now_us + (us != 0 ? (int64_t)us : 1);
    timer->period_us = (int64_t)period_us;
    return ESP_OK;
}

esp_err_t esp_timer_start_once(esp_timer_handle_t timer, uint64_t timeout_us) {
    return start(timer, timeout_us, 0);
}

esp_err_t esp_timer_start_periodic(esp_timer_handle_t timer, uint64_t period) {
    return start(timer, period, period);
}

esp_err_t esp_timer_stop(esp_timer_handle_t timer) {
    if (timer->due_us == 0) {
        return ESP_ERR_INVALID_STATE;
    }
    timer->due_us = 0;
    return ESP_OK;
}

esp_err_t esp_timer_delete(esp_timer_handle_t timer) {
    if (timer->due_us != 0) {
        return ESP_ERR_INVALID_STATE;
    }
    *timer = (struct esp_timer){0};
    return ESP_OK;
}
