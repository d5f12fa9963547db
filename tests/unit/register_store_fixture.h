// SPDX-License-Identifier: Apache-2.0
#ifndef MM_REGISTER_STORE_FIXTURE_H
#define MM_REGISTER_STORE_FIXTURE_H

#include <string.h>

#include "test_support.h"

#include "meshmeter/register_store.h"
#include "sim/sim_flash.h"
#include "sim/sim_fram.h"

// A store on emulated FRAM or flash. Every image, cell and page carries a number from which all its bytes follow, so
// that a wrong or mixed content is always noticed.

#define STORE_SECTORS MM_STORE_FLASH_SECTORS_MIN

typedef struct {
    mm_sim_power_t power;
    mm_sim_fram_t fram;
    mm_sim_flash_t flash;
    mm_sim_sector_t sectors[STORE_SECTORS];
    mm_counters_t counters;
    mm_register_store_t store;
    bool on_flash;
    uint32_t image_bytes; // of each image made
    uint32_t page_bytes;
    mm_store_state_t state;
    uint32_t image_no; // as opened; 0 = none
    uint32_t cell_no;
    uint8_t fram_bytes[MM_STORE_FRAM_BYTES];
    uint8_t flash_bytes[STORE_SECTORS * MM_FLASH_SECTOR_BYTES];
} store_fixture_t;

static inline void store_fill(uint8_t *bytes, uint32_t bytes_count, uint32_t number) {
    for (uint32_t index = 0; index < bytes_count; index++) {
        uint32_t mixed = (number + index / 4 * 40503u) * 2654435761u;
        bytes[index] = (uint8_t)((index < 4 ? number : mixed) >> (8 * (index % 4)));
    }
}

// The number, after checking that the rest belongs to it.
static inline uint32_t store_number(const uint8_t *bytes, uint32_t bytes_count) {
    uint8_t expected[MM_STORE_IMAGE_BYTES_MAX];
    uint32_t number =
        (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    store_fill(expected, bytes_count, number);
    assert_memory_equal(bytes, expected, bytes_count);
    return number;
}

static inline mm_err_t store_open(store_fixture_t *self) {
    uint8_t image[MM_STORE_IMAGE_BYTES_MAX];
    uint8_t cell[MM_STORE_CELL_BYTES_MAX];
    size_t image_bytes = 99;
    size_t cell_bytes = 99;
    memset(&self->store, 0xA5, sizeof self->store);
    mm_err_t err = mm_register_store_open(&self->store, self->on_flash ? NULL : &self->fram.fram,
                                          self->on_flash ? &self->flash.flash : NULL, &self->counters, &self->state,
                                          image, sizeof image, &image_bytes, cell, sizeof cell, &cell_bytes);
    if (err != MM_OK) {
        assert_int_equal(image_bytes, 0);
        assert_int_equal(cell_bytes, 0);
        return err;
    }
    bool has_image = self->state == MM_STORE_LOADED || self->state == MM_STORE_FELL_BACK;
    assert_true(has_image == (image_bytes != 0));
    self->image_no = has_image ? store_number(image, (uint32_t)image_bytes) : 0;
    self->cell_no = cell_bytes != 0 ? store_number(cell, (uint32_t)cell_bytes) : 0;
    return MM_OK;
}

static inline void store_init(store_fixture_t *self, bool on_flash) {
    memset(self, 0, sizeof *self);
    mm_sim_power_init(&self->power, 1);
    mm_sim_fram_init(&self->fram, &self->power, self->fram_bytes, sizeof self->fram_bytes, 0x00);
    mm_sim_flash_init(&self->flash, &self->power, self->flash_bytes, self->sectors, STORE_SECTORS);
    self->on_flash = on_flash;
    self->image_bytes = 700;
    self->page_bytes = 500;
    assert_int_equal(store_open(self), MM_OK);
    assert_int_equal(self->state, MM_STORE_EMPTY);
}

static inline mm_err_t store_save(store_fixture_t *self, uint32_t number) {
    uint8_t image[MM_STORE_IMAGE_BYTES_MAX];
    store_fill(image, self->image_bytes, number);
    return mm_register_store_save(&self->store, image, self->image_bytes);
}

static inline mm_err_t store_save_cell(store_fixture_t *self, uint32_t number) {
    uint8_t cell[60];
    store_fill(cell, sizeof cell, number);
    return mm_register_store_save_cell(&self->store, cell, sizeof cell);
}

static inline mm_err_t store_save_page(store_fixture_t *self, uint8_t index, uint32_t number) {
    uint8_t page[MM_STORE_PAGE_BYTES_MAX];
    store_fill(page, self->page_bytes, number);
    return mm_register_store_save_page(&self->store, index, page, self->page_bytes);
}

// 0 = not there.
static inline uint32_t store_page(store_fixture_t *self, uint8_t index) {
    uint8_t page[MM_STORE_PAGE_BYTES_MAX];
    size_t page_bytes;
    mm_err_t err = mm_register_store_load_page(&self->store, index, page, sizeof page, &page_bytes);
    if (err != MM_OK) {
        assert_int_equal(err, MM_ERR_NOT_FOUND);
        return 0;
    }
    return store_number(page, (uint32_t)page_bytes);
}

#endif
