// SPDX-License-Identifier: Apache-2.0
#include "sim/sim.h"

#include <inttypes.h>
#include <string.h>

// FNV-1a, 64 bit, by whole words.
#define HASH_BASIS UINT64_C(14695981039346656037)
#define HASH_PRIME UINT64_C(1099511628211)

#define MILLION 1000000u

const char *mm_sim_fault_name(mm_sim_fault_t fault) {
    static const char *const names[] = {
#define NAME(id, name) name,
        MM_SIM_FAULT_LIST(NAME)
#undef NAME
    };
    MM_ASSERT(fault < MM_SIM_FAULT_COUNT);
    return names[fault];
}

const char *mm_sim_probe_name(mm_sim_probe_t probe) {
    static const char *const names[] = {
#define NAME(id, name) name,
        MM_SIM_PROBE_LIST(NAME)
#undef NAME
    };
    MM_ASSERT(probe < MM_SIM_PROBE_COUNT);
    return names[probe];
}

// The high half must reach the low bits, or the end of a word would count for less than its begin.
static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * HASH_PRIME;
    return hash ^ (hash >> 29);
}

static uint64_t mix_bytes(uint64_t hash, const void *bytes, size_t bytes_count) {
    const uint8_t *byte = bytes;
    for (size_t i = 0; i + 8 <= bytes_count; i += 8) {
        uint64_t word = 0;
        for (unsigned k = 0; k < 8; k++) {
            word |= (uint64_t)byte[i + k] << (8 * k); // the same on every machine
        }
        hash = mix(hash, word);
    }
    for (size_t i = bytes_count & ~(size_t)7; i < bytes_count; i++) {
        hash = mix(hash, byte[i]);
    }
    return mix(hash, bytes_count);
}

void mm_sim_init(mm_sim_t *self, uint64_t seed) {
    memset(self, 0, sizeof *self);
    self->queue = mm_sim_queue_create();
    self->seed = seed;
    self->trace_hash = mix(HASH_BASIS, seed);
}

void mm_sim_deinit(mm_sim_t *self) {
    mm_sim_queue_destroy(self->queue);
    self->queue = NULL;
}

mm_us_t mm_sim_now(const mm_sim_t *self) {
    return mm_sim_queue_now(self->queue);
}

mm_random_t mm_sim_random(const mm_sim_t *self, const char *purpose, uint64_t index) {
    return mm_random(mix(mix_bytes(mix(HASH_BASIS, self->seed), purpose, strlen(purpose)), index));
}

bool mm_sim_chance(mm_random_t *random, uint32_t millionths) {
    if (millionths == 0 || millionths >= MILLION) {
        return millionths != 0;
    }
    return mm_random_below(random, MILLION) < millionths;
}

void mm_sim_note(mm_sim_t *self, int device, const char *what, uint64_t first, uint64_t second) {
    mm_us_t now = mm_sim_now(self);
    uint64_t hash = mix(self->trace_hash, (uint64_t)now);
    hash = mix(hash, (uint64_t)(int64_t)device);
    // The first and the last character and the length tell the constants apart well enough, and cost nothing.
    size_t characters = strlen(what);
    hash = mix(hash, ((uint64_t)(uint8_t)what[0] << 16) | ((uint64_t)(uint8_t)what[characters - 1] << 8) | characters);
    self->trace_hash = mix(mix(hash, first), second);
    if (self->trace_file != NULL) {
        fprintf(self->trace_file, "%lld.%06lld %3d %-22s %" PRIu64 " %" PRIu64 "\n", (long long)(now / MM_US_PER_S),
                (long long)(now % MM_US_PER_S), device, what, first, second);
    }
}

void mm_sim_note_bytes(mm_sim_t *self, int device, const char *what, const void *bytes, size_t bytes_count) {
    mm_sim_note(self, device, what, bytes_count, mix_bytes(HASH_BASIS, bytes, bytes_count));
}

void mm_sim_fault(mm_sim_t *self, mm_sim_fault_t fault, int device) {
    self->faults[fault]++;
    mm_sim_note(self, device, mm_sim_fault_name(fault), self->faults[fault], 0);
}

void mm_sim_probe(mm_sim_t *self, mm_sim_probe_t probe, int device) {
    self->probes[probe]++;
    mm_sim_note(self, device, mm_sim_probe_name(probe), self->probes[probe], 0);
}
