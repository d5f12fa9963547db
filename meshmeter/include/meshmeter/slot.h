// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SLOT_H
#define MM_SLOT_H

#include "meshmeter/base.h"

/// Connection sharing (design D9): a cycle of slot_count slots of slot_us each, counted from the Unix epoch, so that at
/// any instant only 1/slot_count of the fleet is connected. slots = units / connections: 2,500,000 / 10,000 = 250, of
/// 2 s each: a cycle of 500 s.

typedef struct {
    mm_us_t slot_us;     ///< > 0
    uint32_t slot_count; ///< > 0
    uint32_t slot;       ///< 0 … slot_count-1
} mm_slot_plan_t;

/// Slots for so many units on so many connections: ceil(units / connections), at least 1. connections > 0 asserted.
uint32_t mm_slot_count(uint32_t units, uint32_t connections);
/// First guess without a plan from HQ: FNV-1a (32 bits) of the 6 bytes, modulo slot_count; slot_count > 0 asserted.
uint32_t mm_slot_guess(mm_mac_t mac, uint32_t slot_count);
/// Begin of this plan's next slot strictly after utc (also before 1970). INT64_MAX if there is none that can be
/// written. A plan outside of its limits, or with a cycle beyond 64 bits, asserts.
mm_utc_t mm_slot_next(const mm_slot_plan_t *plan, mm_utc_t utc);
/// Length of the cycle.
mm_us_t mm_slot_cycle_us(const mm_slot_plan_t *plan);

#endif
