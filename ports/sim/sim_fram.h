// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SIM_FRAM_H
#define MM_SIM_FRAM_H

#include "meshmeter/port/fram.h"
#include "sim/sim_power.h"

/// Emulated FRAM in memory of the caller: the rules of port/fram.h, one step of the supply for each byte written.

#define MM_SIM_FAIL_FRAM_READ 1u
#define MM_SIM_FAIL_FRAM_WRITE 2u

typedef struct {
    mm_fram_t fram; ///< for the code under test
    mm_sim_power_t *power;
    uint8_t *bytes; ///< borrowed; size_bytes
    bool stuck;     ///< writes return MM_OK and change nothing (write protection, a dead chip behind a working bus)
    /// Calls of the kinds in fail_kinds fail without effect: fail_count of them behind fail_after good ones.
    unsigned fail_kinds;
    uint64_t fail_after;
    uint64_t fail_count;
    uint64_t reads;
    uint64_t writes;
    uint64_t written_bytes;
} mm_sim_fram_t;

/// Filled with `fill`, without faults.
void mm_sim_fram_init(mm_sim_fram_t *self, mm_sim_power_t *power, uint8_t *bytes, uint32_t size_bytes, uint8_t fill);
void mm_sim_fram_flip_bit(mm_sim_fram_t *self, uint64_t bit_index);
/// Fail `count` calls (UINT64_MAX: for ever) of the given kinds after `after` good ones of them.
void mm_sim_fram_fail(mm_sim_fram_t *self, unsigned kinds, uint64_t after, uint64_t count);

#endif
