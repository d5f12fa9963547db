// SPDX-License-Identifier: Apache-2.0
#include "clock.h"

#include <time.h>

static int64_t read_us(clockid_t id) {
    struct timespec time;
    clock_gettime(id, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int64_t mm_hq_clock_utc_us(const mm_hq_clock_t *self, int64_t real_us) {
    int64_t speed = self->speed > 0 ? self->speed : 1;
    return self->origin_utc_us + (real_us - self->origin_real_us) * speed;
}

mm_hq_now_t mm_hq_clock_now(const mm_hq_clock_t *self) {
    mm_hq_now_t now = {.monotonic_us = read_us(CLOCK_MONOTONIC), .real_us = read_us(CLOCK_REALTIME)};
    now.utc_us = mm_hq_clock_utc_us(self, now.real_us);
    return now;
}
