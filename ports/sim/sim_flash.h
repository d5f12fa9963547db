// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SIM_FLASH_H
#define MM_SIM_FLASH_H

#include "meshmeter/port/flash.h"
#include "sim/sim_power.h"

/// Emulated NOR flash: the rules of port/flash.h byte for byte, in memory of the caller, with everything that goes
/// wrong with such chips. Deterministic: what is random comes from the supply's seed.
///
/// Power cut inside a program call: a prefix is programmed, the byte under way holds anything, the rest is as before.
/// Inside an erase, by torn_erase: a prefix or a suffix is erased and the rest is as before; or every byte holds
/// anything; or all of it reads as erased although the erase did not end (weak cells, which must not be trusted).

typedef enum {
    MM_SIM_SECTOR_GOOD = 0,
    MM_SIM_SECTOR_PROGRAM_REFUSED, ///< program returns MM_ERR_STORAGE, nothing changes
    MM_SIM_SECTOR_PROGRAM_IGNORED, ///< program returns MM_OK, nothing changes
    MM_SIM_SECTOR_ERASE_REFUSED,
    MM_SIM_SECTOR_ERASE_IGNORED,
    MM_SIM_SECTOR_READ_REFUSED,
} mm_sim_sector_fault_t;

typedef enum {
    MM_SIM_ERASE_PREFIX = 0,
    MM_SIM_ERASE_SUFFIX,
    MM_SIM_ERASE_SCRAMBLED,
    MM_SIM_ERASE_LOOKS_DONE,
} mm_sim_torn_erase_t;

typedef struct {
    uint32_t erase_count; ///< begun
    uint32_t torn_count;  ///< of these, cut by the power: it has to be done again
    uint8_t fault;        ///< mm_sim_sector_fault_t
    bool weak;            ///< looks erased, but the erase did not end: what is programmed into it does not last
} mm_sim_sector_t;

#define MM_SIM_FAIL_READ 1u
#define MM_SIM_FAIL_PROGRAM 2u
#define MM_SIM_FAIL_ERASE 4u

typedef struct {
    mm_flash_t flash; ///< for the code under test
    mm_sim_power_t *power;
    uint8_t *bytes;           ///< borrowed; sector_count * MM_FLASH_SECTOR_BYTES
    mm_sim_sector_t *sectors; ///< borrowed; sector_count
    uint32_t erase_steps;     ///< steps of the supply that one erase takes: so many places where it can be cut
    mm_sim_torn_erase_t torn_erase;
    /// Calls of the kinds in fail_kinds fail without effect (MM_ERR_STORAGE): fail_count of them behind fail_after good
    /// ones.
    unsigned fail_kinds;
    bool fail_with_effect; ///< a program that fails has been done all the same, only its answer is wrong
    uint64_t fail_after;
    uint64_t fail_count;
    uint64_t reads;
    uint64_t read_bytes;
    uint64_t programs;
    uint64_t programmed_bytes;
    uint64_t erases;
    uint64_t overprogrammed_bytes; ///< bytes that were not 0xFF when programmed: legal, but a sign of an error
} mm_sim_flash_t;

/// Erased, without faults.
void mm_sim_flash_init(mm_sim_flash_t *self, mm_sim_power_t *power, uint8_t *bytes, mm_sim_sector_t *sectors,
                       uint32_t sector_count);
/// Turn one bit, as age and radiation do.
void mm_sim_flash_flip_bit(mm_sim_flash_t *self, uint64_t bit_index);
/// Let time pass: in weak sectors with something in them one bit in 64 turns; blank they go on looking blank.
void mm_sim_flash_age(mm_sim_flash_t *self);
/// Fail `count` calls (UINT64_MAX: for ever) of the given kinds after `after` good ones of them.
void mm_sim_flash_fail(mm_sim_flash_t *self, unsigned kinds, uint64_t after, uint64_t count);

#endif
