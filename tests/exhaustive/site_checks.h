// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SITE_CHECKS_H
#define MM_SITE_CHECKS_H

#include "enumeration.h"
#include "site_world.h"

/// What must hold of a building (site_world.h) when everything works again.

static struct {
    uint64_t pulses_lost_as_documented;
    uint64_t records_explained; ///< by gap records
    uint64_t given_up;          ///< nodes of which such a record says that intervals are gone
    mm_us_t recovery_max_us;
} site_totals;

static inline int root_now(void) {
    for (int i = 0; i < SITE_NODES; i++) {
        if (world.stations[i].alive && world.stations[i].root == i) {
            return i;
        }
    }
    return SITE_NOBODY;
}

static inline bool site_is_settled(uint32_t clean_before, int root) {
    if (world.stations[root].node.root.sessions_clean == clean_before) {
        return false;
    }
    for (int i = 0; i < SITE_NODES; i++) {
        const mm_metering_t *metering = &world.stations[i].node.metering;
        if (!is_delivered(&world.stations[i]) || metering->pending_type != MM_RECORD_NONE ||
            metering->closing_channels != 0) {
            return false;
        }
    }
    return true;
}

/// Let time pass until a session was clean and HQ has everything; all must be alive.
static inline void site_settle(mm_us_t at_most_us) {
    int root = root_now();
    MM_ASSERT(root != SITE_NOBODY);
    uint32_t clean_before = world.stations[root].node.root.sessions_clean;
    mm_us_t begin = world.now;
    while (!site_is_settled(clean_before, root)) {
        MM_ASSERT(world.now - begin < at_most_us); // else somebody waits for ever
        turn(MM_US_NEVER);
    }
    if (world.now - begin > site_totals.recovery_max_us) {
        site_totals.recovery_max_us = world.now - begin;
    }
}

// Counted is what should have been: pulses (or records) that are missing, and that are there once too often.
static inline void site_compare(const char *what, int node, uint64_t counted, uint64_t should_be, uint64_t may_miss) {
    bool good = counted <= should_be && should_be - counted <= may_miss;
    if (good) {
        return;
    }
    if (counted > should_be) {
        enumeration.counted_twice += counted - should_be;
    } else {
        enumeration.lost += should_be - counted - may_miss;
    }
    if (enumeration.only != NULL) {
        printf("node %d: %s: %llu instead of %llu, %llu may be missing\n", node, what, (unsigned long long)counted,
               (unsigned long long)should_be, (unsigned long long)may_miss);
    }
    MM_ASSERT(good);
}

static inline void site_check_registers(void) {
    for (int i = 0; i < SITE_NODES; i++) {
        const station_t *station = &world.stations[i];
        for (int c = 0; c < MM_CHANNELS; c++) {
            site_compare("pulses in the register", i, station->node.metering.registers.channels[c].life_pulses,
                         station->pulses[c], station->may_lose[c]);
        }
    }
}

static inline void site_check_node_at_hq(int index, uint32_t closings) {
    const station_t *station = &world.stations[index];
    const site_hq_t *hq = &station->hq;
    for (int c = 0; c < MM_CHANNELS; c++) {
        const mm_channel_registers_t *registers = &station->node.metering.registers.channels[c];
        site_totals.pulses_lost_as_documented += station->pulses[c] - registers->life_pulses;
        // Given up when the journal was full, and said so: never the registers, but intervals.
        site_compare("pulses in intervals", index, hq->interval_pulses[c] + registers->interval_pulses,
                     registers->life_pulses, hq->has_given_up ? registers->life_pulses : 0);
    }
    uint32_t next_seq = mm_journal_next(&station->node.journal).seq;
    bool is_thinned = false;
    for (uint32_t seq = 1; seq < next_seq; seq++) {
        is_thinned = is_thinned || hq->explained[seq] > 0;
        site_totals.records_explained += hq->stored[seq] == 0;
        site_compare("record", index, hq->stored[seq] > 0 || hq->explained[seq] > 0, 1, 0);
    }
    if (!is_thinned) { // else one record stands for several, and others came under two seqs
        site_compare("intervals", index, hq->interval_count, hq->interval_no_high, 0);
        MM_ASSERT(hq->event_counts[MM_EVENT_BOOT] <= station->starts);
    }
    site_totals.given_up += hq->has_given_up;
    MM_ASSERT(station->node.metering.interval_no == hq->interval_no_high + 1);
    site_compare("month closings", index, hq->closing_count, closings, 0);
    for (int c = 0; c < MM_CHANNELS; c++) {
        MM_ASSERT(hq->closing_left_seqs[c] == 0 || hq->explained[hq->closing_left_seqs[c]] > 0);
    }
}

static inline void site_check_hq(uint32_t closings) {
    for (int i = 0; i < SITE_NODES; i++) {
        site_check_node_at_hq(i, closings);
    }
}

#endif
