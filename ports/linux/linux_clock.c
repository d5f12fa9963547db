// SPDX-License-Identifier: Apache-2.0
#include "linux_clock.h"

#include <limits.h>

#define ANCHOR_ATTEMPTS 16

static int64_t read_us(clockid_t clock) {
    struct timespec now;
    int failed = clock_gettime(clock, &now);
    MM_ASSERT(failed == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t mm_linux_real_us(void) {
    return read_us(CLOCK_MONOTONIC);
}

int64_t mm_linux_system_utc_us(void) {
    return read_us(CLOCK_REALTIME);
}

// Saturates: nothing sensible is so far away, and it must not become negative.
static int64_t scale(int64_t real_us, uint32_t speed) {
    int64_t scaled = 0;
    if (__builtin_mul_overflow(real_us, (int64_t)speed, &scaled)) {
        return real_us < 0 ? INT64_MIN : INT64_MAX - 1;
    }
    return scaled;
}

static int64_t add(int64_t left, int64_t right) {
    int64_t sum = 0;
    if (__builtin_add_overflow(left, right, &sum)) {
        return left < 0 ? INT64_MIN : INT64_MAX;
    }
    return sum;
}

static int64_t utc_of_system(const mm_linux_clock_t *self, int64_t system_utc_us) {
    return add(self->origin_utc_us, scale(system_utc_us - self->origin_real_us, self->speed));
}

mm_err_t mm_linux_clock_init(mm_linux_clock_t *self, uint32_t speed, int64_t origin_real_us, int64_t origin_utc_us) {
    if (speed < 1 || speed > MM_LINUX_CLOCK_SPEED_MAX || origin_real_us < 0 || origin_utc_us < 0 ||
        (speed > 1 && origin_real_us == 0)) {
        return MM_ERR_ARG;
    }
    *self = (mm_linux_clock_t){
        .speed = speed,
        .origin_real_us = origin_real_us,
        .origin_utc_us = origin_utc_us,
        .start_real_us = mm_linux_real_us(),
    };
    (void)mm_linux_clock_anchor(self);
    return MM_OK;
}

int64_t mm_linux_clock_anchor(mm_linux_clock_t *self) {
    // The two clocks cannot be read at once. A pause of the process between them would be an error that grows with
    // the speed, so the reading with the least time around it counts.
    int64_t best_width = INT64_MAX;
    int64_t system_utc_us = 0;
    int64_t real_us = 0;
    for (int i = 0; i < ANCHOR_ATTEMPTS; i++) {
        int64_t before = mm_linux_real_us();
        int64_t system = mm_linux_system_utc_us();
        int64_t width = mm_linux_real_us() - before;
        if (width < best_width) {
            best_width = width;
            system_utc_us = system;
            real_us = before + width / 2;
        }
    }
    int64_t anchor = add(utc_of_system(self, system_utc_us), -scale(real_us - self->start_real_us, self->speed));
    int64_t moved = anchor - self->anchor_utc_us;
    self->anchor_utc_us = anchor;
    return moved;
}

mm_us_t mm_linux_clock_now_at(const mm_linux_clock_t *self, int64_t real_us) {
    int64_t since_start = real_us - self->start_real_us;
    return since_start > 0 ? scale(since_start, self->speed) : 0;
}

mm_us_t mm_linux_clock_now(const mm_linux_clock_t *self) {
    return mm_linux_clock_now_at(self, mm_linux_real_us());
}

mm_utc_t mm_linux_clock_utc(const mm_linux_clock_t *self) {
    return (mm_utc_t){utc_of_system(self, mm_linux_system_utc_us())};
}

mm_utc_t mm_linux_clock_utc_at(const mm_linux_clock_t *self, mm_us_t now) {
    return (mm_utc_t){add(self->anchor_utc_us, now)};
}

int64_t mm_linux_clock_real_deadline(const mm_linux_clock_t *self, mm_us_t deadline) {
    if (deadline == MM_US_NEVER) {
        return MM_US_NEVER;
    }
    if (deadline <= 0) {
        return self->start_real_us;
    }
    int64_t real = deadline / self->speed + (deadline % self->speed != 0 ? 1 : 0);
    int64_t sum = add(self->start_real_us, real);
    return sum == MM_US_NEVER ? MM_US_NEVER - 1 : sum;
}

int mm_linux_timeout_ms(int64_t real_deadline_us, int64_t real_now_us) {
    if (real_deadline_us == MM_US_NEVER) {
        return -1;
    }
    if (real_deadline_us <= real_now_us) {
        return 0;
    }
    int64_t left_us = add(real_deadline_us, -real_now_us);
    int64_t left_ms = left_us / 1000 + (left_us % 1000 != 0 ? 1 : 0);
    return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

bool mm_linux_timeout(int64_t real_deadline_us, int64_t real_now_us, struct timespec *timeout) {
    *timeout = (struct timespec){0};
    if (real_deadline_us == MM_US_NEVER) {
        return false;
    }
    if (real_deadline_us > real_now_us) {
        int64_t left_us = add(real_deadline_us, -real_now_us);
        // A timeout beyond INT_MAX seconds is refused by some kernels; waking once in 68 years is affordable.
        int64_t left_s = left_us / 1000000;
        timeout->tv_sec = left_s > INT_MAX ? INT_MAX : (time_t)left_s;
        timeout->tv_nsec = (long)(left_us % 1000000) * 1000;
    }
    return true;
}
