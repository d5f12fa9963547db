// SPDX-License-Identifier: Apache-2.0
#ifndef MM_HQ_CLOCK_H
#define MM_HQ_CLOCK_H

#include <stdint.h>

/// HQ's wall time. In the field it is the computer's; in a demo all parts run `speed` times faster from a common
/// origin: utc = origin_utc_us + (real - origin_real_us) * speed. All zero means the computer's clock.
typedef struct {
    int64_t speed;          ///< 0 counts as 1
    int64_t origin_real_us; ///< computer's clock, microseconds since 1970
    int64_t origin_utc_us;  ///< what HQ called this instant
} mm_hq_clock_t;

/// One look at all clocks, handed down so that nothing below main reads a clock of its own.
typedef struct {
    int64_t monotonic_us; ///< for deadlines
    int64_t real_us;      ///< computer's clock; never sped up
    int64_t utc_us;       ///< HQ's wall time
} mm_hq_now_t;

int64_t mm_hq_clock_utc_us(const mm_hq_clock_t *self, int64_t real_us);
mm_hq_now_t mm_hq_clock_now(const mm_hq_clock_t *self);

#endif
