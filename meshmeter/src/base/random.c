// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/random.h"

// The generator's stream is fixed. It is number 54, the one of the author's demonstration program, so that its
// published output checks this code.
#define STREAM UINT64_C(54)
#define MULTIPLIER UINT64_C(6364136223846793005)
#define INCREMENT ((STREAM << 1) | 1)

static MM_APART void step(mm_random_t *self) {
    self->state = self->state * MULTIPLIER + INCREMENT;
}

mm_random_t mm_random(uint64_t seed) {
    mm_random_t self = {0};
    step(&self);
    self.state += seed;
    step(&self);
    return self;
}

uint32_t mm_random_u32(mm_random_t *self) {
    uint64_t state = self->state;
    step(self);
    uint32_t mixed = (uint32_t)(((state >> 18) ^ state) >> 27);
    unsigned rotation = (unsigned)(state >> 59);
    return (mixed >> rotation) | (mixed << ((32 - rotation) & 31));
}

uint32_t mm_random_below(mm_random_t *self, uint32_t bound) {
    MM_ASSERT(bound > 0);
    // The lowest (2^32 mod bound) values would make small results more frequent: draw again. Ends after less than
    // two draws on average.
    uint32_t threshold = (UINT32_MAX - bound + 1) % bound;
    for (;;) {
        uint32_t value = mm_random_u32(self);
        if (value >= threshold) {
            return value % bound;
        }
    }
}
