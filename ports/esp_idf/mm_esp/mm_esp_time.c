// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_time.h"

#include <esp_netif_sntp.h>
#include <freertos/FreeRTOS.h>
#include <sdkconfig.h>

#include "mm_esp_log.h"
#include "mm_esp_owner.h"

// Static: the SDK's callback has no context. Both tasks see a consistent answer under the lock.
static portMUX_TYPE s_lock = portMUX_INITIALIZER_UNLOCKED;
static mm_esp_time_t *s_time;

// In the SDK's task.
static void on_answer(struct timeval *time) {
    mm_us_t now = mm_esp_owner_now();
    portENTER_CRITICAL(&s_lock);
    if (s_time != NULL) {
        s_time->answered_at = now;
        s_time->answer.us = (int64_t)time->tv_sec * MM_US_PER_S + (int64_t)time->tv_usec;
        s_time->answers += s_time->answers < UINT32_MAX ? 1 : 0;
    }
    portEXIT_CRITICAL(&s_lock);
    (void)mm_esp_owner_post_wake();
}

static void begin(mm_esp_time_t *self, mm_us_t now) {
    portENTER_CRITICAL(&s_lock);
    s_time = self;
    portEXIT_CRITICAL(&s_lock);
    const esp_sntp_config_t config = {
        .start = true,
        .sync_cb = on_answer,
        .num_of_servers = 1,
        .servers = {CONFIG_MM_SNTP_SERVER},
    };
    self->is_open = esp_netif_sntp_init(&config) == ESP_OK;
    if (!self->is_open) {
        self->starts_failed++;
        self->retry_at = now + MM_ESP_TIME_RETRY_S * MM_US_PER_S;
        mm_esp_log(MM_LOG_WARNING, "time: SNTP does not begin");
    }
}

void mm_esp_time_set_ip(mm_esp_time_t *self, bool has_ip, mm_us_t now) {
    self->has_ip = has_ip;
    if (has_ip && !self->is_open) {
        begin(self, now);
    } else if (!has_ip && self->is_open) {
        esp_netif_sntp_deinit();
        self->is_open = false;
    }
}

bool mm_esp_time_poll(mm_esp_time_t *self, mm_us_t now, mm_time_t *time, mm_us_t *deadline) {
    if (self->has_ip && !self->is_open && now >= self->retry_at) {
        begin(self, now);
    }
    portENTER_CRITICAL(&s_lock);
    uint32_t answers = self->answers;
    mm_us_t answered_at = self->answered_at;
    mm_utc_t answer = self->answer;
    portEXIT_CRITICAL(&s_lock);
    bool is_due = answers != 0 && (answers != self->answers_seen || now >= self->tell_at);
    if (is_due) {
        // An answer may be younger than `now`.
        mm_us_t age_us = now - answered_at;
        time->utc.us = answer.us + age_us;
        time->trust = age_us < MM_ESP_TIME_FRESH_S * MM_US_PER_S ? MM_TRUST_SYNCED : MM_TRUST_HELD;
        self->answers_seen = answers;
        self->tell_at = now + MM_ESP_TIME_TELL_S * MM_US_PER_S;
    }
    *deadline = answers != 0 ? self->tell_at : MM_US_NEVER;
    if (self->has_ip && !self->is_open) {
        *deadline = mm_us_earlier(*deadline, self->retry_at);
    }
    return is_due;
}
