// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TIMING_H
#define MM_TIMING_H

#include "meshmeter/base.h"
#include "meshmeter/slot.h"
#include "meshmeter/uplink.h"

/// Every duration of the network side, in one struct: what an installation may tune, and what a simulation or a demo
/// that runs its clocks faster must stretch. Durations of metering (interval, month) are not here: they are calendar
/// time.
typedef struct {
    mm_slot_plan_t slots;
    mm_us_t round_us;       ///< a live round lasts at most this long and begins this long before the slot
    mm_us_t round_retry_us; ///< an ask is repeated after this
    mm_us_t drain_us;       ///< a round for backlog inside a session lasts at most this long
    mm_us_t drain_retry_us;
    mm_us_t hello_retry_us; ///< a node without an answer of the root, or without time, asks again after this
    mm_us_t hold_us;        ///< confirmed by the broker, not committed by HQ: sent again after this, doubling …
    mm_us_t hold_max_us;    ///< … up to this
    mm_us_t forget_us;      ///< the root forgets a node that left this long ago
    mm_us_t urgent_us; ///< between two sessions outside of the slot at least (design D9: a small budget for alarms)
    mm_uplink_timing_t uplink;
} mm_timing_t;

/// Values for the field: 250 slots of 2 s (design D9), the slot guessed from the MAC.
mm_timing_t mm_timing_default(mm_mac_t mac);
/// What stands for a site where the functions here want an address: so the slot belongs to the site, and every node
/// that becomes its root keeps it.
mm_mac_t mm_timing_site(const char *site);
/// MM_ERR_ARG if a duration is not positive, the slot or its cycle is impossible, or the round does not fit between two
/// slots of the same gateway.
mm_err_t mm_timing_check(const mm_timing_t *timing);
/// Timing for clocks that run `speed` times faster than the world around them (1 … 100,000; asserted): network waits,
/// which take real time, become `speed` times longer in the node's time, and the cycle becomes as short as
/// `cycle_real_us` of real time allows.
mm_timing_t mm_timing_for_speed(mm_mac_t mac, uint32_t speed, mm_us_t cycle_real_us);

#endif
