// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_TIME_H
#define MM_ESP_TIME_H

#include "meshmeter/base.h"
#include "meshmeter/metering.h"

/// Wall time by SNTP, while the root has an address. The time is that of the last answer, carried on by the SDK's timer
/// since: SYNCED for MM_ESP_TIME_FRESH_S, then HELD. What is not from a server of this boot is never told to the core;
/// the SDK's wall clock, which others may set, is not read. There is one such object in a program.

#define MM_ESP_TIME_FRESH_S 86400
#define MM_ESP_TIME_TELL_S 10
/// A start that failed is tried again after this.
#define MM_ESP_TIME_RETRY_S 10

typedef struct {
    bool has_ip;
    bool is_open;
    uint32_t answers_seen;
    uint32_t starts_failed;
    // no wait(tell_at): an instant of the owner's, not of something that may not come
    /// told to the core every MM_ESP_TIME_TELL_S, and after each answer
    mm_us_t tell_at;
    // wait: SNTP begins | until MM_ESP_TIME_RETRY_S | then it is tried again, while there is an address
    mm_us_t retry_at;

    // Shared with the SDK's task, under a lock.
    uint32_t answers;
    mm_us_t answered_at; ///< instant of the owner's clock …
    mm_utc_t answer;     ///< … at which it was this time
} mm_esp_time_t;

/// *self is zero at the start, and must stay where it is. The root has (true) or has lost (false) its address: begin
/// and end. A start that failed is tried again by poll.
void mm_esp_time_set_ip(mm_esp_time_t *self, bool has_ip, mm_us_t now);
/// By the owner, in every turn; an answer wakes it. True: *time is to be told to the core now.
bool mm_esp_time_poll(mm_esp_time_t *self, mm_us_t now, mm_time_t *time, mm_us_t *deadline);

#endif
