// SPDX-License-Identifier: Apache-2.0
// Power cuts in the register store, on FRAM and on flash: at every byte of saving an image, a cell and a page, and a
// second cut in the next save.
//
// Store and emulated flash are compiled here once more, for sectors of 1 KiB instead of 4: the same code, but more
// sector changes in the same number of bytes.
#include "meshmeter/limits.h"
#undef MM_FLASH_SECTOR_BYTES
#define MM_FLASH_SECTOR_BYTES 1024

#include "sim/sim_flash.c"
#include "store/register_store.c"
#include "store/register_store_log.c"

#include "register_store_fixture.h"

typedef enum {
    STEP_IMAGE,
    STEP_CELL,
    STEP_PAGE
} step_kind_t;

typedef struct {
    step_kind_t kind;
    uint8_t page_index;
    uint32_t number;
} step_t;

// What was acknowledged.
typedef struct {
    uint32_t image;
    uint32_t cell;
    uint32_t pages[MM_STORE_PAGES];
} truth_t;

static uint64_t cut_count;

static mm_err_t run_step(store_fixture_t *f, step_t step) {
    switch (step.kind) {
    case STEP_IMAGE:
        return store_save(f, step.number);
    case STEP_CELL:
        return store_save_cell(f, step.number);
    default:
        return store_save_page(f, step.page_index, step.number);
    }
}

static void acknowledge(truth_t *truth, step_t step) {
    switch (step.kind) {
    case STEP_IMAGE:
        truth->image = step.number;
        truth->cell = 0;
        break;
    case STEP_CELL:
        truth->cell = step.number;
        break;
    case STEP_PAGE:
        truth->pages[step.page_index] = step.number;
        break;
    }
}

// Opens after a cut inside `step`. Everything acknowledged is there; the step is whole or absent. Returns whether it is
// there.
static bool check_opened(store_fixture_t *f, const truth_t *truth, step_t step) {
    mm_sim_flash_age(&f->flash);
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->state, f->image_no == 0 ? MM_STORE_EMPTY : MM_STORE_LOADED);
    bool whole = false;
    if (step.kind == STEP_IMAGE && f->image_no == step.number) {
        whole = true;
        assert_int_equal(f->cell_no, 0);
    } else {
        assert_int_equal(f->image_no, truth->image);
        whole = step.kind == STEP_CELL && f->cell_no == step.number;
        assert_true(whole || f->cell_no == truth->cell);
    }
    for (uint8_t index = 0; index < MM_STORE_PAGES; index++) {
        uint32_t number = store_page(f, index);
        if (step.kind == STEP_PAGE && step.page_index == index) {
            whole = number == step.number;
            // In FRAM a page has one place, and its owner keeps the content until the save succeeded.
            assert_true(whole || number == truth->pages[index] || (number == 0 && !f->on_flash));
        } else {
            assert_int_equal(number, truth->pages[index]);
        }
    }
    assert_int_equal(f->flash.overprogrammed_bytes, 0);
    return whole;
}

static void cut_step(store_fixture_t *f, const store_fixture_t *before, const truth_t *truth, step_t step,
                     uint64_t step_bytes, uint64_t stride, uint64_t second_stride) {
    static store_fixture_t at_cut;
    for (uint64_t cut = 0; cut < step_bytes; cut += stride * MM_CASES_EVERY) {
        *f = *before;
        f->power.random = mm_random(cut);
        f->flash.torn_erase = (mm_sim_torn_erase_t)(cut % 4);
        mm_sim_power_cut_after(&f->power, cut);
        assert_int_equal(run_step(f, step), MM_ERR_STORAGE);
        assert_true(f->power.dead);
        mm_sim_power_up(&f->power);
        cut_count++;
        truth_t now = *truth;
        if (check_opened(f, truth, step)) {
            acknowledge(&now, step);
        }
        if (now.image == 0) {
            continue;
        }
        // The owner saves again; the power fails again.
        step_t next = {STEP_IMAGE, 0, step.number + 1000000};
        if (cut % 8 == 0) {
            at_cut = *f;
            for (uint64_t second = 0; second_stride != 0 && second < f->image_bytes + 64;
                 second += second_stride * MM_CASES_EVERY) {
                *f = at_cut;
                truth_t pages = now;
                // A torn page is absent in FRAM; that is known by now.
                for (uint8_t index = 0; index < MM_STORE_PAGES; index++) {
                    pages.pages[index] = store_page(f, index);
                }
                mm_sim_power_cut_after(&f->power, second);
                mm_err_t err = store_save(f, next.number);
                mm_sim_power_up(&f->power);
                cut_count++;
                assert_true(check_opened(f, &pages, next) || err != MM_OK);
            }
            *f = at_cut;
        }
        if (cut % 4 != 0) {
            continue;
        }
        mm_sim_power_disarm(&f->power);
        assert_int_equal(store_save(f, next.number), MM_OK);
        assert_int_equal(store_open(f), MM_OK);
        assert_int_equal(f->image_no, next.number);
        assert_int_equal(f->cell_no, 0);
    }
}

static step_t make_step(uint32_t round, bool on_flash) {
    step_t step = {STEP_IMAGE, (uint8_t)(round * 5 % MM_STORE_PAGES), round + 1};
    if (round > 0 && round % 7 == 3) {
        step.kind = STEP_PAGE;
    } else if (round > 0 && round % 4 != 0 && !on_flash) {
        step.kind = STEP_CELL;
    }
    return step;
}

static void cut_workload(bool on_flash, uint32_t round_count, uint64_t plain_limit_bytes, uint64_t plain_stride,
                         uint64_t stride, uint64_t second_stride) {
    static store_fixture_t f;
    static store_fixture_t before;
    static store_fixture_t after;
    uint64_t cuts = cut_count;
    store_init(&f, on_flash);
    f.image_bytes = 200;
    f.page_bytes = 150;
    truth_t truth = {0};
    for (uint32_t round = 0; round < round_count; round++) {
        step_t step = make_step(round, on_flash);
        before = f;
        uint64_t drawn = f.power.steps_drawn;
        assert_int_equal(run_step(&f, step), MM_OK);
        uint64_t step_bytes = f.power.steps_drawn - drawn;
        after = f;
        cut_step(&f, &before, &truth, step, step_bytes, step_bytes > plain_limit_bytes ? stride : plain_stride,
                 second_stride);
        f = after;
        acknowledge(&truth, step);
    }
    step_t none = {STEP_CELL, 0, UINT32_MAX};
    (void)check_opened(&f, &truth, none);
    print_message("register store on %s: %llu power cuts\n", on_flash ? "flash" : "FRAM",
                  (unsigned long long)(cut_count - cuts));
}

static void test_register_store_power_cut_at_every_byte_fram(void **state) {
    (void)state;
    cut_workload(false, 60, 0, 1, 1, 71);
}

static void test_register_store_power_cut_at_every_byte_flash(void **state) {
    (void)state;
    // Round the log and on: sector changes, copies of pages and erases are cut at each byte, plain saves at each 29th.
    cut_workload(true, 75, 400, 29, 1, 0);
}

static void test_register_store_second_power_cut_flash(void **state) {
    (void)state;
    cut_workload(true, 60, 400, 1000, 64, 11);
}

// The supply flickers for a long time, with saves of all kinds.
static void random_cuts(bool on_flash) {
    static store_fixture_t f;
    store_init(&f, on_flash);
    f.image_bytes = 200;
    f.page_bytes = 150;
    truth_t truth = {0};
    mm_random_t random = mm_random(on_flash ? 5 : 6);
    uint32_t cuts = 0;
    for (uint32_t round = 0; round < 3000; round++) {
        step_t step = make_step(round, on_flash);
        f.flash.torn_erase = (mm_sim_torn_erase_t)(round % 4);
        if (step.kind == STEP_CELL && truth.image == 0) {
            continue;
        }
        mm_sim_power_cut_after(&f.power, mm_random_below(&random, on_flash ? 6000 : 900));
        if (run_step(&f, step) == MM_OK) {
            mm_sim_power_disarm(&f.power);
            acknowledge(&truth, step);
            continue;
        }
        cuts++;
        mm_sim_power_up(&f.power);
        if (check_opened(&f, &truth, step)) {
            acknowledge(&truth, step);
        }
        for (uint8_t index = 0; index < MM_STORE_PAGES && !on_flash; index++) {
            truth.pages[index] = store_page(&f, index); // a torn one is absent
        }
    }
    cut_count += cuts;
    print_message("register store on %s: %u cuts in a row\n", on_flash ? "flash" : "FRAM", cuts);
}

static void test_register_store_random_power_cuts(void **state) {
    (void)state;
    random_cuts(false);
    random_cuts(true);
}

// Not a power cut, but here because sectors are small.
static void test_register_store_every_single_bit_flip_in_flash(void **state) {
    (void)state;
    static store_fixture_t fixture;
    store_fixture_t *f = &fixture;
    store_init(f, true);
    f->image_bytes = 80;
    f->page_bytes = 28;
    for (uint32_t number = 1; number <= 12; number++) {
        assert_int_equal(store_save(f, number), MM_OK);
        assert_int_equal(store_save_page(f, (uint8_t)(number - 1), 1000u + number), MM_OK);
    }
    uint32_t first_bit = f->store.log_sector_index * MM_FLASH_SECTOR_BYTES * 8;
    uint32_t last_bit = first_bit + (f->store.log_offset_bytes + 8) * 8;
    uint32_t flips = 0;
    for (uint32_t bit = first_bit; bit < last_bit; bit += MM_CASES_EVERY) {
        mm_sim_flash_flip_bit(&f->flash, bit);
        assert_int_equal(store_open(f), MM_OK);
        assert_true(f->image_no == 12 || f->image_no == 11);
        assert_true(f->image_no == 12 || f->state == MM_STORE_FELL_BACK); // never silently
        uint32_t pages = 0;
        for (uint8_t page = 0; page < MM_STORE_PAGES; page++) {
            uint32_t number = store_page(f, page);
            assert_true(number == 0 || number == 1001u + page);
            pages += number != 0;
        }
        assert_true(pages >= MM_STORE_PAGES - 1);
        mm_sim_flash_flip_bit(&f->flash, bit);
        flips++;
    }
    print_message("register store: %u single bit flips in flash\n", flips);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_register_store_power_cut_at_every_byte_fram),
        cmocka_unit_test(test_register_store_power_cut_at_every_byte_flash),
        cmocka_unit_test(test_register_store_second_power_cut_flash),
        cmocka_unit_test(test_register_store_random_power_cuts),
        cmocka_unit_test(test_register_store_every_single_bit_flip_in_flash),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    print_message("register store: %llu power cuts in all\n", (unsigned long long)cut_count);
    return failures;
}
