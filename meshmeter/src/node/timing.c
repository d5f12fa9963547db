// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/timing.h"

#define UNITS 2500000
#define CONNECTIONS 10000
#define SPEED_MAX 100000

mm_timing_t mm_timing_default(mm_mac_t mac) {
    uint32_t slot_count = mm_slot_count(UNITS, CONNECTIONS);
    return (mm_timing_t){
        .slots = {.slot_us = 2 * MM_US_PER_S, .slot_count = slot_count, .slot = mm_slot_guess(mac, slot_count)},
        .round_us = 10 * MM_US_PER_S,
        .round_retry_us = 3 * MM_US_PER_S,
        .drain_us = MM_US_PER_S,
        .drain_retry_us = MM_US_PER_S / 3,
        .hello_retry_us = 30 * MM_US_PER_S,
        .hold_us = MM_US_PER_S * 1000,
        .hold_max_us = MM_US_PER_S * 4 * 3600,
        .forget_us = 86400 * MM_US_PER_S,
        .urgent_us = 60 * MM_US_PER_S,
        .uplink = {.connect_us = 10 * MM_US_PER_S,
                   .subscribe_us = 5 * MM_US_PER_S,
                   .publish_us = 10 * MM_US_PER_S,
                   .dwell_us = 2 * MM_US_PER_S,
                   .close_us = 5 * MM_US_PER_S,
                   .session_us = 60 * MM_US_PER_S,
                   .back_off_us = 30 * MM_US_PER_S,
                   .back_off_max_us = 3600 * MM_US_PER_S},
    };
}

mm_err_t mm_timing_check(const mm_timing_t *timing) {
    const mm_us_t durations[] = {
        timing->slots.slot_us,     timing->round_us,           timing->round_retry_us,
        timing->drain_us,          timing->drain_retry_us,     timing->hello_retry_us,
        timing->hold_us,           timing->hold_max_us,        timing->forget_us,
        timing->urgent_us,         timing->uplink.connect_us,  timing->uplink.subscribe_us,
        timing->uplink.publish_us, timing->uplink.dwell_us,    timing->uplink.close_us,
        timing->uplink.session_us, timing->uplink.back_off_us, timing->uplink.back_off_max_us,
    };
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        if (durations[i] <= 0) {
            return MM_ERR_ARG;
        }
    }
    if (timing->slots.slot_count == 0 || timing->slots.slot >= timing->slots.slot_count ||
        timing->slots.slot_us > INT64_MAX / timing->slots.slot_count) {
        return MM_ERR_ARG;
    }
    return timing->round_us < mm_slot_cycle_us(&timing->slots) ? MM_OK : MM_ERR_ARG;
}

mm_timing_t mm_timing_for_speed(mm_mac_t mac, uint32_t speed, mm_us_t cycle_real_us) {
    MM_ASSERT(speed >= 1 && speed <= SPEED_MAX && cycle_real_us > 0);
    mm_timing_t timing = mm_timing_default(mac);
    mm_us_t factor = (mm_us_t)speed;
    // A quarter of the shortened cycle for the round, the other waits as in the field; all of them are real time.
    mm_us_t cycle_us = cycle_real_us * factor;
    timing.slots = (mm_slot_plan_t){.slot_us = cycle_us / 8, .slot_count = 8, .slot = mm_slot_guess(mac, 8)};
    timing.round_us = cycle_us / 4;
    timing.round_retry_us = timing.round_us / 4;
    timing.drain_us = timing.round_us;
    timing.drain_retry_us = timing.round_us / 4;
    timing.hello_retry_us = MM_US_PER_S * factor;
    timing.hold_us = 2 * cycle_us;
    timing.hold_max_us = 16 * cycle_us;
    timing.forget_us = 600 * MM_US_PER_S * factor;
    timing.urgent_us = cycle_us;
    timing.uplink.connect_us *= factor;
    timing.uplink.subscribe_us *= factor;
    timing.uplink.publish_us *= factor;
    timing.uplink.dwell_us = cycle_us / 8;
    timing.uplink.close_us *= factor;
    timing.uplink.session_us *= factor;
    timing.uplink.back_off_us = cycle_us / 2;
    timing.uplink.back_off_max_us = 4 * cycle_us;
    return timing;
}
