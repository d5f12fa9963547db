// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_flash.h"

#include <string.h>

#include "meshmeter/bytes.h"

static uint8_t random_byte(mm_sim_flash_t *self) {
    return (uint8_t)mm_random_u32(&self->power->random);
}

// One call of a kind that may be told to fail.
static bool is_failing(mm_sim_flash_t *self, unsigned kind) {
    if ((self->fail_kinds & kind) == 0 || self->fail_count == 0) {
        return false;
    }
    if (self->fail_after > 0) {
        self->fail_after--;
        return false;
    }
    self->fail_count -= self->fail_count == UINT64_MAX ? 0 : 1;
    return true;
}

static void check_range(const mm_sim_flash_t *self, uint32_t address, size_t bytes_count) {
    uint64_t size_bytes = (uint64_t)self->flash.sector_count * MM_FLASH_SECTOR_BYTES;
    MM_ASSERT(address <= size_bytes && bytes_count <= size_bytes - address);
}

static bool touches_fault(const mm_sim_flash_t *self, uint32_t address, size_t bytes_count,
                          mm_sim_sector_fault_t fault) {
    if (bytes_count == 0) {
        return false;
    }
    uint32_t last = (uint32_t)(address + bytes_count - 1) / MM_FLASH_SECTOR_BYTES;
    for (uint32_t index = address / MM_FLASH_SECTOR_BYTES; index <= last; index++) {
        if (self->sectors[index].fault == fault) {
            return true;
        }
    }
    return false;
}

static mm_err_t sim_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    mm_sim_flash_t *self = context;
    check_range(self, address, bytes_count);
    self->reads++;
    if (self->power->dead || is_failing(self, MM_SIM_FAIL_READ) ||
        touches_fault(self, address, bytes_count, MM_SIM_SECTOR_READ_REFUSED)) {
        return MM_ERR_STORAGE;
    }
    self->read_bytes += bytes_count;
    memcpy(bytes, self->bytes + address, bytes_count);
    return MM_OK;
}

static mm_err_t sim_program(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    mm_sim_flash_t *self = context;
    check_range(self, address, bytes_count);
    if (self->power->dead || touches_fault(self, address, bytes_count, MM_SIM_SECTOR_PROGRAM_REFUSED)) {
        return MM_ERR_STORAGE;
    }
    bool fails = is_failing(self, MM_SIM_FAIL_PROGRAM);
    if (fails && !self->fail_with_effect) {
        return MM_ERR_STORAGE;
    }
    self->programs++;
    if (touches_fault(self, address, bytes_count, MM_SIM_SECTOR_PROGRAM_IGNORED)) {
        return MM_OK;
    }
    const uint8_t *source = bytes;
    uint8_t *target = self->bytes + address;
    size_t done = (size_t)mm_sim_power_draw(self->power, bytes_count);
    // Mostly the place is blank.
    size_t used_bytes = mm_bytes_used(target, done);
    for (size_t index = 0; index < used_bytes; index++) {
        self->overprogrammed_bytes += target[index] != 0xFF;
        target[index] &= source[index];
    }
    memcpy(target + used_bytes, source + used_bytes, done - used_bytes);
    self->programmed_bytes += done;
    if (done < bytes_count) {
        target[done] = random_byte(self);
        return MM_ERR_STORAGE;
    }
    return fails ? MM_ERR_STORAGE : MM_OK;
}

static void tear_erase(mm_sim_flash_t *self, uint8_t *sector, uint64_t done) {
    size_t erased_bytes = (size_t)(done * MM_FLASH_SECTOR_BYTES / self->erase_steps);
    switch (self->torn_erase) {
    case MM_SIM_ERASE_SUFFIX:
        memset(sector + MM_FLASH_SECTOR_BYTES - erased_bytes, 0xFF, erased_bytes);
        sector[MM_FLASH_SECTOR_BYTES - erased_bytes - 1] = random_byte(self);
        break;
    case MM_SIM_ERASE_PREFIX:
        memset(sector, 0xFF, erased_bytes);
        sector[erased_bytes] = random_byte(self);
        break;
    case MM_SIM_ERASE_SCRAMBLED:
        for (size_t index = 0; index < MM_FLASH_SECTOR_BYTES; index++) {
            sector[index] = random_byte(self);
        }
        break;
    case MM_SIM_ERASE_LOOKS_DONE:
        memset(sector, 0xFF, MM_FLASH_SECTOR_BYTES);
        break;
    }
}

static mm_err_t sim_erase(void *context, uint32_t sector_index) {
    mm_sim_flash_t *self = context;
    MM_ASSERT(sector_index < self->flash.sector_count);
    mm_sim_sector_t *state = &self->sectors[sector_index];
    if (self->power->dead || is_failing(self, MM_SIM_FAIL_ERASE) || state->fault == MM_SIM_SECTOR_ERASE_REFUSED) {
        return MM_ERR_STORAGE;
    }
    self->erases++;
    if (state->fault == MM_SIM_SECTOR_ERASE_IGNORED) {
        return MM_OK;
    }
    state->erase_count++;
    uint8_t *sector = self->bytes + (size_t)sector_index * MM_FLASH_SECTOR_BYTES;
    uint64_t done = mm_sim_power_draw(self->power, self->erase_steps);
    if (done < self->erase_steps) {
        tear_erase(self, sector, done);
        state->torn_count++;
        state->weak = self->torn_erase == MM_SIM_ERASE_LOOKS_DONE;
        return MM_ERR_STORAGE;
    }
    memset(sector, 0xFF, MM_FLASH_SECTOR_BYTES);
    state->weak = false;
    return MM_OK;
}

void mm_sim_flash_init(mm_sim_flash_t *self, mm_sim_power_t *power, uint8_t *bytes, mm_sim_sector_t *sectors,
                       uint32_t sector_count) {
    memset(self, 0, sizeof *self);
    self->flash = (mm_flash_t){sim_read, sim_program, sim_erase, self, sector_count};
    self->power = power;
    self->bytes = bytes;
    self->sectors = sectors;
    self->erase_steps = MM_FLASH_SECTOR_BYTES;
    memset(bytes, 0xFF, (size_t)sector_count * MM_FLASH_SECTOR_BYTES);
    memset(sectors, 0, sector_count * sizeof *sectors);
}

void mm_sim_flash_flip_bit(mm_sim_flash_t *self, uint64_t bit_index) {
    MM_ASSERT(bit_index < (uint64_t)self->flash.sector_count * MM_FLASH_SECTOR_BYTES * 8);
    self->bytes[bit_index / 8] ^= (uint8_t)(1u << (bit_index % 8));
}

void mm_sim_flash_age(mm_sim_flash_t *self) {
    for (uint32_t index = 0; index < self->flash.sector_count; index++) {
        const uint8_t *sector = self->bytes + (size_t)index * MM_FLASH_SECTOR_BYTES;
        bool is_blank = sector[0] == 0xFF && memcmp(sector, sector + 1, MM_FLASH_SECTOR_BYTES - 1) == 0;
        uint32_t flips = self->sectors[index].weak && !is_blank ? MM_FLASH_SECTOR_BYTES * 8 / 64 : 0;
        for (; flips > 0; flips--) {
            uint32_t bit = mm_random_below(&self->power->random, MM_FLASH_SECTOR_BYTES * 8);
            mm_sim_flash_flip_bit(self, (uint64_t)index * MM_FLASH_SECTOR_BYTES * 8 + bit);
        }
    }
}

void mm_sim_flash_fail(mm_sim_flash_t *self, unsigned kinds, uint64_t after, uint64_t count) {
    self->fail_kinds = kinds;
    self->fail_after = after;
    self->fail_count = count;
}
