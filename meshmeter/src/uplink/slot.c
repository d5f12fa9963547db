// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/slot.h"

#define FNV_OFFSET_BASIS UINT32_C(2166136261)
#define FNV_PRIME UINT32_C(16777619)

uint32_t mm_slot_count(uint32_t units, uint32_t connections) {
    MM_ASSERT(connections > 0);
    // Not (units + connections - 1) / connections: the sum may not fit.
    return units == 0 ? 1 : (units - 1) / connections + 1;
}

uint32_t mm_slot_guess(mm_mac_t mac, uint32_t slot_count) {
    MM_ASSERT(slot_count > 0);
    uint32_t hash = FNV_OFFSET_BASIS;
    for (size_t i = 0; i < sizeof mac.bytes; i++) {
        hash = (hash ^ mac.bytes[i]) * FNV_PRIME;
    }
    return hash % slot_count;
}

mm_us_t mm_slot_cycle_us(const mm_slot_plan_t *plan) {
    MM_ASSERT(plan->slot_us > 0 && plan->slot_count > 0 && plan->slot < plan->slot_count &&
              plan->slot_us <= INT64_MAX / plan->slot_count);
    return plan->slot_us * plan->slot_count;
}

mm_utc_t mm_slot_next(const mm_slot_plan_t *plan, mm_utc_t utc) {
    int64_t cycle_us = mm_slot_cycle_us(plan);
    int64_t into_cycle_us = utc.us % cycle_us;
    if (into_cycle_us < 0) {
        into_cycle_us += cycle_us;
    }
    // Everything is kept relative to utc, so that neither end of the range overflows on the way.
    int64_t wait_us = plan->slot * plan->slot_us - into_cycle_us;
    if (wait_us <= 0) {
        wait_us += cycle_us;
    }
    return (mm_utc_t){.us = utc.us > INT64_MAX - wait_us ? INT64_MAX : utc.us + wait_us};
}
