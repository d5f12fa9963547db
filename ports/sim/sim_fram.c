// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_fram.h"

#include <string.h>

static bool is_failing(mm_sim_fram_t *self, unsigned kind) {
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

static void check_range(const mm_sim_fram_t *self, uint32_t address, size_t bytes_count) {
    MM_ASSERT(address <= self->fram.size_bytes && bytes_count <= self->fram.size_bytes - address);
}

static mm_err_t sim_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    mm_sim_fram_t *self = context;
    check_range(self, address, bytes_count);
    self->reads++;
    if (self->power->dead || is_failing(self, MM_SIM_FAIL_FRAM_READ)) {
        return MM_ERR_STORAGE;
    }
    memcpy(bytes, self->bytes + address, bytes_count);
    return MM_OK;
}

static mm_err_t sim_write(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    mm_sim_fram_t *self = context;
    check_range(self, address, bytes_count);
    if (self->power->dead || is_failing(self, MM_SIM_FAIL_FRAM_WRITE)) {
        return MM_ERR_STORAGE;
    }
    self->writes++;
    if (self->stuck) {
        return MM_OK;
    }
    size_t done = (size_t)mm_sim_power_draw(self->power, bytes_count);
    memcpy(self->bytes + address, bytes, done);
    self->written_bytes += done;
    if (done < bytes_count) {
        self->bytes[address + done] = (uint8_t)mm_random_u32(&self->power->random);
        return MM_ERR_STORAGE;
    }
    return MM_OK;
}

void mm_sim_fram_init(mm_sim_fram_t *self, mm_sim_power_t *power, uint8_t *bytes, uint32_t size_bytes, uint8_t fill) {
    memset(self, 0, sizeof *self);
    self->fram = (mm_fram_t){sim_read, sim_write, self, size_bytes};
    self->power = power;
    self->bytes = bytes;
    memset(bytes, fill, size_bytes);
}

void mm_sim_fram_flip_bit(mm_sim_fram_t *self, uint64_t bit_index) {
    MM_ASSERT(bit_index < (uint64_t)self->fram.size_bytes * 8);
    self->bytes[bit_index / 8] ^= (uint8_t)(1u << (bit_index % 8));
}

void mm_sim_fram_fail(mm_sim_fram_t *self, unsigned kinds, uint64_t after, uint64_t count) {
    self->fail_kinds = kinds;
    self->fail_after = after;
    self->fail_count = count;
}
