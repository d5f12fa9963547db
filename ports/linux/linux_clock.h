// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_CLOCK_H
#define MM_LINUX_CLOCK_H

#include "meshmeter/base.h"

#include <time.h>

/// The node's two clocks on Linux, both `speed` times faster than the real ones.
///
/// Three kinds of time meet here, and their names tell them apart: `now` and deadlines of type mm_us_t are the node's
/// monotonic time (what the core works with); `utc` is the node's wall time; everything called real_us is
/// CLOCK_MONOTONIC of the host (what poll and the network work with).
///
/// All processes of a demo share origin_real_us and origin_utc_us, so their wall times agree whenever they were
/// started.

#define MM_LINUX_CLOCK_SPEED_MAX 100000U

typedef struct {
    uint32_t speed;
    int64_t origin_real_us; ///< CLOCK_REALTIME at which …
    int64_t origin_utc_us;  ///< … the wall time was this
    int64_t start_real_us;  ///< CLOCK_MONOTONIC at now = 0
    int64_t anchor_utc_us;  ///< wall time at now = 0, as of the last anchoring
} mm_linux_clock_t;

/// CLOCK_MONOTONIC and CLOCK_REALTIME in microseconds.
int64_t mm_linux_real_us(void);
int64_t mm_linux_system_utc_us(void);

/// now starts at 0. With speed 1 and both origins equal (0 and 0, say) the wall time is the system's. MM_ERR_ARG: speed
/// is 0 or too high, or above 1 without an origin_real_us (the wall time would run through centuries).
mm_err_t mm_linux_clock_init(mm_linux_clock_t *self, uint32_t speed, int64_t origin_real_us, int64_t origin_utc_us);

mm_us_t mm_linux_clock_now(const mm_linux_clock_t *self);
/// The same for an instant of the host's monotonic clock; earlier than the start gives 0.
mm_us_t mm_linux_clock_now_at(const mm_linux_clock_t *self, int64_t real_us);
/// Wall time from the system's clock as it is at this moment.
mm_utc_t mm_linux_clock_utc(const mm_linux_clock_t *self);
/// Wall time that belongs to a monotonic instant: never steps, and the two agree to the microsecond whatever the speed.
/// Follows a step of the system's clock only after mm_linux_clock_anchor.
mm_utc_t mm_linux_clock_utc_at(const mm_linux_clock_t *self, mm_us_t now);
/// Compare with the system's clock again. Returns by how much the wall time was moved (node's microseconds).
int64_t mm_linux_clock_anchor(mm_linux_clock_t *self);

/// Host time (real_us) at which the node's deadline is reached, rounded up. MM_US_NEVER stays MM_US_NEVER.
int64_t mm_linux_clock_real_deadline(const mm_linux_clock_t *self, mm_us_t deadline);

/// Time left as poll(2) wants it: -1 = for ever, rounded up to milliseconds, never more than INT_MAX.
int mm_linux_timeout_ms(int64_t real_deadline_us, int64_t real_now_us);
/// Time left as ppoll(2) wants it. False: no deadline, pass NULL.
bool mm_linux_timeout(int64_t real_deadline_us, int64_t real_now_us, struct timespec *timeout);

#endif
