// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_TIME_H
#define MM_ESP_TIME_H

#include "meshmeter/base.h"
#include "meshmeter/metering.h"

/// Wall time by SNTP, while the root has an address. The SDK's clock is only trusted after an answer: SYNCED for
/// MM_ESP_TIME_FRESH_S since the last one, then HELD. What is not from a server of this boot is never told to the core.

#define MM_ESP_TIME_FRESH_S 86400
#define MM_ESP_TIME_TELL_S 10

typedef struct {
    bool is_open;
    volatile uint32_t answers; ///< counted in the SDK's task
    uint32_t answers_seen;
    uint32_t starts_failed;
    mm_us_t answered_at;
    /// told to the core every MM_ESP_TIME_TELL_S
    mm_us_t tell_at;
} mm_esp_time_t;

/// The root has (true) or has lost (false) its address: begin and end. A start that failed is tried again by poll.
void mm_esp_time_set_ip(mm_esp_time_t *self, bool has_ip, mm_us_t now);
/// True: *time is to be told to the core now.
bool mm_esp_time_poll(mm_esp_time_t *self, mm_us_t now, mm_time_t *time, mm_us_t *deadline);

#endif
