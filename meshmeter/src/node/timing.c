// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/timing.h"

#include <string.h>

#define UNITS 2500000
#define CONNECTIONS 10000
#define SPEED_MAX 100000

mm_timing_t mm_timing_default(mm_mac_t mac) {
    static const mm_timing_t field = {
        .slots = {.slot_us = 2 * MM_US_PER_S},
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
    mm_timing_t timing;
    memcpy(&timing, &field, sizeof timing);
    timing.slots.slot_count = mm_slot_count(UNITS, CONNECTIONS);
    timing.slots.slot = mm_slot_guess(mac, timing.slots.slot_count);
    return timing;
}

mm_mac_t mm_timing_site(const char *site) {
    mm_mac_t mac = {{0}};
    for (size_t i = 0; site[i] != '\0'; i++) {
        uint8_t *byte = &mac.bytes[i % MM_MAC_BYTES];
        *byte = (uint8_t)(*byte * 31 + (uint8_t)site[i]);
    }
    return mac;
}

mm_err_t mm_timing_check(const mm_timing_t *timing) {
#define AT(member) offsetof(mm_timing_t, member)
    static const uint8_t durations[] = {
        AT(slots.slot_us),     AT(round_us),           AT(round_retry_us),
        AT(drain_us),          AT(drain_retry_us),     AT(hello_retry_us),
        AT(hold_us),           AT(hold_max_us),        AT(forget_us),
        AT(urgent_us),         AT(uplink.connect_us),  AT(uplink.subscribe_us),
        AT(uplink.publish_us), AT(uplink.dwell_us),    AT(uplink.close_us),
        AT(uplink.session_us), AT(uplink.back_off_us), AT(uplink.back_off_max_us),
    };
#undef AT
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        mm_us_t duration;
        memcpy(&duration, (const char *)timing + durations[i], sizeof duration);
        if (duration <= 0) {
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
