// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SITE_SNAPSHOT_H
#define MM_SITE_SNAPSHOT_H

#include "site_world.h"

/// States of the world (site_world.h) that are gone on from many times. A world that came from a copy differs from it
/// in large parts only where its change counters do, so most of it need not be copied.

static inline void snapshot_copy_station(station_t *to, const station_t *from) {
    bool storage_changed = to->storage_changes != from->storage_changes;
    bool hq_changed = to->hq_changes != from->hq_changes;
    bool batch_used = to->node.root.active || from->node.root.active;
    memcpy(to, from, offsetof(station_t, batch_memory));
    if (batch_used) {
        memcpy(to->batch_memory, from->batch_memory, sizeof to->batch_memory);
    }
    if (hq_changed) {
        memcpy(&to->hq, &from->hq, sizeof to->hq);
    }
    if (storage_changed) {
        memcpy(to->flash, from->flash, sizeof to->flash);
        if (world.flash_only) {
            memcpy(to->register_flash, from->register_flash, sizeof to->register_flash);
        } else {
            memcpy(to->fram, from->fram, sizeof to->fram);
        }
    }
}

/// One of the two came from the other.
static inline void snapshot_copy(world_t *to, const world_t *from) {
    memcpy(to, from, offsetof(world_t, stations));
    for (int i = 0; i < SITE_NODES; i++) {
        snapshot_copy_station(&to->stations[i], &from->stations[i]);
    }
    to->queue_count = from->queue_count;
    memcpy(to->queue, from->queue, from->queue_count * sizeof from->queue[0]);
}

/// Of two worlds that have nothing to do with each other.
static inline void snapshot_begin(world_t *to) {
    memcpy(to, &world, sizeof world);
}

static inline uint64_t snapshot_mix(uint64_t digest, const void *bytes, size_t bytes_count) {
    const uint8_t *byte = bytes;
    for (; bytes_count > 0;) {
        uint64_t word = 0;
        size_t taken = bytes_count < sizeof word ? bytes_count : sizeof word;
        memcpy(&word, byte, taken);
        digest = (digest ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        digest ^= digest >> 29;
        byte += taken;
        bytes_count -= taken;
    }
    return digest;
}

/// A digest of what the world's future depends on, for worlds that came from the same snapshot. Left out is what only
/// counts: the gate's calls, and the nodes' counters of errors, which are reported but decide nothing.
static inline uint64_t snapshot_digest(const world_t *from) {
    uint64_t digest = 0;
    digest = snapshot_mix(digest, &world, offsetof(world_t, fault));
    for (int i = 0; i < SITE_NODES; i++) {
        const station_t *station = &world.stations[i];
        const station_t *was = &from->stations[i];
        digest = snapshot_mix(digest, station, offsetof(station_t, calls));
        size_t offset = offsetof(mm_node_t, journal);
        digest = snapshot_mix(digest, &station->node, offsetof(mm_node_t, counters));
        digest = snapshot_mix(digest, (const uint8_t *)&station->node + offset, sizeof station->node - offset);
        if (station->node.root.active) {
            digest = snapshot_mix(digest, station->batch_memory, sizeof station->batch_memory);
        }
        if (station->hq_changes != was->hq_changes) {
            digest = snapshot_mix(digest, &station->hq, sizeof station->hq);
        }
        if (station->storage_changes != was->storage_changes) {
            digest = snapshot_mix(digest, station->flash, sizeof station->flash);
            digest = world.flash_only ? snapshot_mix(digest, station->register_flash, sizeof station->register_flash)
                                      : snapshot_mix(digest, station->fram, sizeof station->fram);
        }
    }
    for (uint32_t i = 0; i < world.queue_count; i++) {
        digest = snapshot_mix(digest, &world.queue[i], offsetof(item_t, bytes) + world.queue[i].bytes_count);
    }
    return digest;
}

#endif
