// SPDX-License-Identifier: Apache-2.0
#ifndef MM_RANDOM_H
#define MM_RANDOM_H

#include "meshmeter/base.h"

/// Small deterministic generator for jitter and for test data (PCG-XSH-RR 64/32, M. O'Neill 2014). Not for keys.
/// Always stream 54: seed 42 gives the output that the author's demonstration program publishes.
typedef struct {
    uint64_t state;
} mm_random_t;

mm_random_t mm_random(uint64_t seed);
uint32_t mm_random_u32(mm_random_t *self);
/// Uniform in 0 … bound-1 without modulo bias; bound > 0 asserted.
uint32_t mm_random_below(mm_random_t *self, uint32_t bound);

#endif
