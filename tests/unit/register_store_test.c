// SPDX-License-Identifier: Apache-2.0
#include "register_store_fixture.h"

static store_fixture_t fixture;

static void test_register_store_virgin_is_empty(void **state) {
    store_fixture_t *f = &fixture;
    for (int on_flash = 0; on_flash < 2; on_flash++) {
        store_init(f, on_flash);
        assert_int_equal(store_page(f, 3), 0);
        assert_true(mm_register_store_has_cells(&f->store) == !on_flash);
    }
    // FRAM as delivered may hold anything.
    store_init(f, false);
    mm_random_t random = mm_random(3);
    for (uint32_t index = 0; index < sizeof f->fram_bytes; index++) {
        f->fram_bytes[index] = (uint8_t)mm_random_u32(&random);
    }
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->state, MM_STORE_EMPTY);
    (void)state;
}

static void test_register_store_newest_image_wins(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    for (int on_flash = 0; on_flash < 2; on_flash++) {
        store_init(f, on_flash);
        for (uint32_t number = 1; number <= 200; number++) {
            f->image_bytes = number % 17 == 0 ? MM_STORE_IMAGE_BYTES_MAX : 4 + number * 7;
            assert_int_equal(store_save(f, number), MM_OK);
            if (number % 5 == 0) {
                assert_int_equal(store_open(f), MM_OK);
                assert_int_equal(f->state, MM_STORE_LOADED);
                assert_int_equal(f->image_no, number);
                assert_int_equal(f->cell_no, 0);
            }
        }
    }
}

static void test_register_store_cell_belongs_to_its_image(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    store_init(f, false);
    assert_int_equal(store_save(f, 1), MM_OK);
    for (uint32_t number = 1; number <= 5; number++) {
        assert_int_equal(store_save_cell(f, number), MM_OK);
        assert_int_equal(store_open(f), MM_OK);
        assert_int_equal(f->image_no, 1);
        assert_int_equal(f->cell_no, number);
    }
    assert_int_equal(store_save(f, 2), MM_OK); // void now
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->image_no, 2);
    assert_int_equal(f->cell_no, 0);
    for (uint32_t number = 6; number <= 66010; number++) { // the count of cells wraps
        assert_int_equal(store_save_cell(f, number), MM_OK);
    }
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->cell_no, 66010);
}

static void test_register_store_flash_keeps_no_cells(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    store_init(f, true);
    assert_int_equal(store_save(f, 1), MM_OK);
    assert_int_equal(store_save_cell(f, 1), MM_ERR_UNAVAILABLE);
}

static void test_register_store_arguments(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    store_init(f, false);
    expect_assert_failure(store_save_cell(f, 1)); // no image yet
    expect_assert_failure(mm_register_store_save(&f->store, "x", 0));
    expect_assert_failure(mm_register_store_save(&f->store, "x", MM_STORE_IMAGE_BYTES_MAX + 1));
    expect_assert_failure(mm_register_store_save_page(&f->store, MM_STORE_PAGES, "x", 1));
    f->fram.fram.size_bytes = MM_STORE_FRAM_BYTES - 1;
    assert_int_equal(store_open(f), MM_ERR_STORAGE);
    store_init(f, true);
    f->flash.flash.sector_count = MM_STORE_FLASH_SECTORS_MIN - 1;
    assert_int_equal(store_open(f), MM_ERR_STORAGE);
}

static void test_register_store_pages(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    for (int on_flash = 0; on_flash < 2; on_flash++) {
        store_init(f, on_flash);
        f->page_bytes = MM_STORE_PAGE_BYTES_MAX;
        f->image_bytes = MM_STORE_IMAGE_BYTES_MAX;
        uint32_t pages[MM_STORE_PAGES] = {0};
        for (uint32_t round = 1; round <= 300; round++) {
            uint8_t index = (uint8_t)(round * 5 % MM_STORE_PAGES);
            assert_int_equal(store_save_page(f, index, round), MM_OK);
            pages[index] = round;
            if (round % 3 == 0) {
                assert_int_equal(store_save(f, round), MM_OK);
            }
            if (round % 7 == 0) {
                assert_int_equal(store_open(f), MM_OK);
                assert_int_equal(f->image_no, round / 3 * 3);
            }
            for (uint8_t page = 0; page < MM_STORE_PAGES; page++) {
                assert_int_equal(store_page(f, page), pages[page]);
            }
        }
        assert_int_equal(f->flash.overprogrammed_bytes, 0);
    }
}

// A month of images does not push the pages out of the log, and wears all sectors alike.
static void test_register_store_log_keeps_pages_and_wears_evenly(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    store_init(f, true);
    f->image_bytes = 1400;
    f->page_bytes = 900;
    for (uint8_t page = 0; page < MM_STORE_PAGES; page++) {
        assert_int_equal(store_save_page(f, page, 1000u + page), MM_OK);
    }
    for (uint32_t number = 1; number <= 4000; number++) {
        assert_int_equal(store_save(f, number), MM_OK);
    }
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->image_no, 4000);
    for (uint8_t page = 0; page < MM_STORE_PAGES; page++) {
        assert_int_equal(store_page(f, page), 1000u + page);
    }
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    for (uint32_t index = 0; index < STORE_SECTORS; index++) {
        uint32_t erase_count = f->sectors[index].erase_count;
        least = erase_count < least ? erase_count : least;
        most = erase_count > most ? erase_count : most;
    }
    assert_true(most - least <= 2);
    // A restart alone erases nothing: a supply that flickers all day wears nothing out.
    uint64_t erases = f->flash.erases;
    for (uint32_t boot = 0; boot < 100; boot++) {
        assert_int_equal(store_open(f), MM_OK);
    }
    assert_int_equal(f->flash.erases, erases);
}

static void test_register_store_damaged_image_falls_back(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    store_init(f, false); // without any cell
    assert_int_equal(store_save(f, 1), MM_OK);
    assert_int_equal(store_save(f, 2), MM_OK);
    uint64_t slot = f->store.image_slot;
    mm_sim_fram_flip_bit(&f->fram, (slot * (MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX) + 99) * 8);
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->state, MM_STORE_FELL_BACK);
    assert_int_equal(f->image_no, 1);
    store_init(f, false);
    for (uint32_t number = 1; number <= 4; number++) {
        assert_int_equal(store_save(f, number), MM_OK);
        assert_int_equal(store_save_cell(f, 100 * number + 1), MM_OK);
    }
    assert_int_equal(store_save_cell(f, 402), MM_OK);
    uint32_t newest = f->store.image_slot * (MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX);
    mm_sim_fram_flip_bit(&f->fram, (newest + 300) * 8);
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->state, MM_STORE_FELL_BACK);
    assert_int_equal(f->image_no, 3);
    assert_int_equal(f->cell_no, 0); // its own was overwritten; those of image 4 must not be taken for it
    assert_int_equal(f->counters.values[MM_COUNTER_FRAM_SLOT_DAMAGED], 1);
    // The next image does not get the number of the damaged one, to which the cells belong.
    assert_int_equal(store_save(f, 5), MM_OK);
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->state, MM_STORE_LOADED);
    assert_int_equal(f->image_no, 5);
    assert_int_equal(f->cell_no, 0);
    // The older one damaged: nothing is lost.
    uint32_t older = (1u - f->store.image_slot) * (MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX);
    mm_sim_fram_flip_bit(&f->fram, (older + 300) * 8);
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->state, MM_STORE_LOADED);
    assert_int_equal(f->image_no, 5);
    // Both.
    mm_sim_fram_flip_bit(&f->fram, ((1 - older) + 301) % 8 + (uint64_t)(f->store.image_slot == 0 ? 400 : 2464) * 8);
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->state, MM_STORE_LOST);
    assert_int_equal(f->image_no, 0);
    assert_int_equal(store_save(f, 6), MM_OK);
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->image_no, 6);
    assert_int_equal(f->cell_no, 0);
}

// The newest slot wiped out altogether: only its cells tell that there was one, and they must not meet its successor.
static void test_register_store_cells_outlive_their_image(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    store_init(f, false);
    assert_int_equal(store_save(f, 1), MM_OK);
    assert_int_equal(store_save(f, 2), MM_OK);
    assert_int_equal(store_save_cell(f, 21), MM_OK);
    memset(f->fram_bytes + f->store.image_slot * (MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX), 0, 64);
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->state, MM_STORE_FELL_BACK);
    assert_int_equal(f->image_no, 1);
    assert_int_equal(f->cell_no, 0);
    assert_int_equal(store_save(f, 3), MM_OK);
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->image_no, 3);
    assert_int_equal(f->cell_no, 0);
}

static void test_register_store_flash_damaged_image_falls_back(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    store_init(f, true);
    for (uint32_t number = 1; number <= 3; number++) {
        assert_int_equal(store_save(f, number), MM_OK);
    }
    mm_sim_flash_flip_bit(&f->flash, (uint64_t)(f->store.image_address + 100) * 8);
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->state, MM_STORE_FELL_BACK);
    assert_int_equal(f->image_no, 2);
    assert_int_equal(store_save(f, 4), MM_OK);
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->state, MM_STORE_LOADED);
    assert_int_equal(f->image_no, 4);
}

// Every bit of the FRAM: what is opened is the newest image and cell, or the ones before, and never anything else.
static void test_register_store_every_single_bit_flip(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    store_init(f, false);
    f->image_bytes = 120;
    f->page_bytes = 40;
    assert_int_equal(store_save(f, 1), MM_OK);
    assert_int_equal(store_save_cell(f, 11), MM_OK);
    assert_int_equal(store_save(f, 2), MM_OK);
    assert_int_equal(store_save_cell(f, 21), MM_OK);
    assert_int_equal(store_save_cell(f, 22), MM_OK);
    for (uint8_t page = 0; page < MM_STORE_PAGES; page++) {
        assert_int_equal(store_save_page(f, page, 1000u + page), MM_OK);
    }
    uint32_t flips = 0;
    uint32_t fell_back = 0;
    for (uint32_t bit = 0; bit < MM_STORE_FRAM_BYTES * 8; bit += MM_CASES_EVERY) {
        // Unused bytes behind the contents are all alike.
        uint32_t offset_bytes = bit / 8;
        const uint32_t images_bytes = 2 * (MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX);
        const uint32_t cells_bytes = 2 * (MM_STORE_HEADER_BYTES + MM_STORE_CELL_BYTES_MAX);
        if (offset_bytes < images_bytes) {
            offset_bytes %= MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX;
        } else if (offset_bytes >= images_bytes + cells_bytes) {
            offset_bytes =
                (offset_bytes - images_bytes - cells_bytes) % (MM_STORE_HEADER_BYTES + MM_STORE_PAGE_BYTES_MAX);
        } else {
            offset_bytes = 0;
        }
        if (offset_bytes > 140 && bit % 61 != 0) {
            continue;
        }
        mm_sim_fram_flip_bit(&f->fram, bit);
        assert_int_equal(store_open(f), MM_OK);
        assert_true(f->state == MM_STORE_LOADED || f->state == MM_STORE_FELL_BACK);
        assert_true(f->image_no == 2 ? f->cell_no == 22 || f->cell_no == 21
                                     : f->image_no == 1 && f->state == MM_STORE_FELL_BACK && f->cell_no == 0);
        fell_back += f->image_no == 1;
        uint32_t pages = 0;
        for (uint8_t page = 0; page < MM_STORE_PAGES; page++) {
            uint32_t number = store_page(f, page);
            assert_true(number == 0 || number == 1000u + page);
            pages += number != 0;
        }
        assert_true(pages >= MM_STORE_PAGES - 1);
        mm_sim_fram_flip_bit(&f->fram, bit);
        flips++;
    }
    assert_true(fell_back >= 120 * 8);
    print_message("register store: %u single bit flips\n", flips);
}

static void test_register_store_stuck_fram_is_noticed(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    store_init(f, false);
    assert_int_equal(store_save(f, 1), MM_OK);
    f->fram.stuck = true;
    assert_int_equal(store_save(f, 2), MM_ERR_STORAGE);
    assert_int_equal(store_save_cell(f, 2), MM_ERR_STORAGE);
    assert_int_equal(store_save_page(f, 1, 2), MM_ERR_STORAGE);
    assert_true(f->counters.values[MM_COUNTER_FRAM_ERROR] >= 3);
    f->fram.stuck = false;
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->image_no, 1);
    assert_int_equal(store_page(f, 1), 0);
    mm_sim_fram_fail(&f->fram, MM_SIM_FAIL_FRAM_READ, 0, UINT64_MAX);
    assert_int_equal(store_open(f), MM_ERR_STORAGE);
    mm_sim_fram_fail(&f->fram, 0, 0, 0);
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->image_no, 1);
}

// The n-th call fails, once, a few times, or for ever: what was acknowledged is found, or something newer.
static void nth_call_fails(bool on_flash, uint32_t *run_count) {
    store_fixture_t *f = &fixture;
    static const uint64_t counts[] = {1, 2, 3, UINT64_MAX};
    static const unsigned kinds[] = {1, 2, 3, 4};
    for (size_t kind = 0; kind < (on_flash ? 4 : 3); kind++) {
        for (size_t count = 0; count < 4; count++) {
            for (uint64_t after = 0; after < 150; after += kinds[kind] == 1 || kinds[kind] == 3 ? 3 : 1) {
                store_init(f, on_flash);
                f->image_bytes = 300;
                assert_int_equal(store_save(f, 1), MM_OK);
                mm_sim_fram_fail(&f->fram, kinds[kind], after, counts[count]);
                mm_sim_flash_fail(&f->flash, kinds[kind], after, counts[count]);
                uint32_t image = 1;
                uint32_t cell = 0;
                uint32_t page = 0;
                uint32_t last_with_cell = 0;
                for (uint32_t number = 2; number <= 12; number++) {
                    if (store_save(f, number) == MM_OK) {
                        image = number;
                        cell = 0;
                    }
                    for (uint32_t pulse = 1; pulse <= 3 && !on_flash; pulse++) {
                        uint32_t value = image * 100 + number * 3 + pulse;
                        if (store_save_cell(f, value) == MM_OK) {
                            cell = value;
                            last_with_cell = number;
                        }
                    }
                    page = store_save_page(f, 4, number) == MM_OK ? number : page;
                }
                mm_sim_fram_fail(&f->fram, 0, 0, 0);
                mm_sim_flash_fail(&f->flash, 0, 0, 0);
                assert_int_equal(store_open(f), MM_OK);
                // An image whose save reported an error may be there all the same, but then no cell was taken after it.
                assert_true(f->image_no >= image);
                assert_true(f->image_no == image ? f->cell_no >= cell : f->image_no > last_with_cell);
                // A page in FRAM has one place: a failed save leaves it absent.
                uint32_t found = store_page(f, 4);
                assert_true(found >= page || (found == 0 && !on_flash));
                assert_int_equal(store_save(f, 100), MM_OK);
                assert_int_equal(store_open(f), MM_OK);
                assert_int_equal(f->image_no, 100);
                assert_int_equal(f->cell_no, 0);
                (*run_count)++;
            }
        }
    }
}

static void test_register_store_nth_call_fails(void **state) {
    (void)state;
    uint32_t run_count = 0;
    nth_call_fails(false, &run_count);
    nth_call_fails(true, &run_count);
    print_message("register store: %u runs with failing calls\n", run_count);
}

static void test_register_store_log_goes_on_around_bad_sectors(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    for (uint8_t fault = MM_SIM_SECTOR_PROGRAM_REFUSED; fault <= MM_SIM_SECTOR_READ_REFUSED; fault++) {
        store_init(f, true);
        assert_int_equal(store_save_page(f, 2, 77), MM_OK);
        f->sectors[4].fault = fault;
        f->sectors[9].fault = fault;
        for (uint32_t number = 1; number <= 400; number++) {
            assert_int_equal(store_save(f, number), MM_OK);
            if (number % 50 == 0) {
                assert_int_equal(store_open(f), MM_OK);
                assert_int_equal(f->image_no, number);
                assert_int_equal(store_page(f, 2), 77);
            }
        }
    }
}

// A device that refuses for a while, whatever for: saves succeed again without a restart, and nothing before is lost.
static void test_register_store_log_recovers_with_its_device(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    static const unsigned kinds[] = {MM_SIM_FAIL_READ, MM_SIM_FAIL_PROGRAM, MM_SIM_FAIL_ERASE,
                                     MM_SIM_FAIL_READ | MM_SIM_FAIL_PROGRAM | MM_SIM_FAIL_ERASE};
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
        for (uint64_t good_calls = 0; good_calls < 40; good_calls++) {
            store_init(f, true);
            for (uint32_t number = 1; number <= 30 + (uint32_t)good_calls; number++) {
                assert_int_equal(store_save(f, number), MM_OK);
                assert_int_equal(store_save_page(f, (uint8_t)(number % MM_STORE_PAGES), number % MM_STORE_PAGES + 900),
                                 MM_OK);
            }
            mm_sim_flash_fail(&f->flash, kinds[kind], good_calls, UINT64_MAX);
            for (uint32_t number = 0; number < 100 || store_save(f, 300) == MM_OK; number++) {
                (void)store_save(f, 200);
            }
            mm_sim_flash_fail(&f->flash, 0, 0, 0);
            (void)store_save(f, 300);
            assert_int_equal(store_save(f, 301), MM_OK);
            assert_int_equal(store_open(f), MM_OK);
            assert_int_equal(f->image_no, 301);
            for (uint8_t page = 0; page < MM_STORE_PAGES; page++) {
                assert_int_equal(store_page(f, page), page + 900u);
            }
        }
    }
}

// Flash that falls silent inside the opening may hold more than was found: nothing is concluded from that.
static void test_register_store_log_silent_inside_open(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    store_init(f, true);
    for (uint32_t number = 1; number <= 200; number++) {
        assert_int_equal(store_save(f, number), MM_OK);
    }
    uint64_t reads = f->flash.reads;
    assert_int_equal(store_open(f), MM_OK);
    reads = f->flash.reads - reads;
    for (uint64_t good_calls = 0; good_calls < reads; good_calls++) {
        mm_sim_flash_fail(&f->flash, MM_SIM_FAIL_READ, good_calls, UINT64_MAX);
        assert_int_equal(store_open(f), MM_ERR_STORAGE);
        mm_sim_flash_fail(&f->flash, 0, 0, 0);
    }
    assert_int_equal(store_open(f), MM_OK);
    assert_int_equal(f->image_no, 200);
}

static void test_register_store_page_is_not_gone_if_flash_does_not_answer(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    store_init(f, true);
    assert_int_equal(store_save_page(f, 3, 77), MM_OK);
    uint8_t page[MM_STORE_PAGE_BYTES_MAX];
    size_t page_bytes;
    for (uint64_t good_calls = 0; good_calls < 10; good_calls++) {
        mm_sim_flash_fail(&f->flash, MM_SIM_FAIL_READ, good_calls, 2);
        assert_int_equal(mm_register_store_load_page(&f->store, 3, page, sizeof page, &page_bytes), MM_ERR_STORAGE);
        mm_sim_flash_fail(&f->flash, 0, 0, 0);
    }
    assert_int_equal(store_page(f, 3), 77);
    assert_int_equal(mm_register_store_load_page(&f->store, 4, page, sizeof page, &page_bytes), MM_ERR_NOT_FOUND);
}

static void test_register_store_opens_on_any_bytes(void **state) {
    (void)state;
    store_fixture_t *f = &fixture;
    mm_random_t random = mm_random(4);
    for (int on_flash = 0; on_flash < 2; on_flash++) {
        for (uint32_t round = 0; round < 20; round++) {
            store_init(f, on_flash);
            for (uint32_t index = 0; index < sizeof f->fram_bytes; index++) {
                f->fram_bytes[index] = (uint8_t)mm_random_u32(&random);
            }
            for (uint32_t index = 0; index < sizeof f->flash_bytes; index++) {
                f->flash_bytes[index] = (uint8_t)mm_random_u32(&random);
            }
            assert_int_equal(store_open(f), MM_OK);
            assert_int_equal(f->image_no, 0);
            assert_int_equal(store_save(f, 1), MM_OK);
            assert_int_equal(store_open(f), MM_OK);
            assert_int_equal(f->image_no, 1);
        }
    }
}

// Found by the simulator (brown-out, seed 3): a bit turned in the newest image, and the power failed while the next one
// was being written over the good one before it.
static void test_register_store_cut_while_newest_is_damaged_leaves_an_image(void **state) {
    (void)state;
    static store_fixture_t s_begin;
    static store_fixture_t s_cut;
    store_init(&s_begin, false);
    assert_int_equal(store_save(&s_begin, 1), MM_OK);
    assert_int_equal(store_save(&s_begin, 2), MM_OK);
    uint32_t newest = s_begin.store.image_slot * (MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX);
    mm_sim_fram_flip_bit(&s_begin.fram, (newest + MM_STORE_HEADER_BYTES + 100) * UINT64_C(8));
    bool saved = false;
    for (uint64_t steps = 0; !saved; steps++) {
        s_cut = s_begin;
        // The copy's devices are its own.
        s_cut.fram.fram.context = &s_cut.fram;
        s_cut.fram.bytes = s_cut.fram_bytes;
        s_cut.fram.power = &s_cut.power;
        s_cut.store.fram = &s_cut.fram.fram;
        s_cut.store.counters = &s_cut.counters;
        mm_sim_power_cut_after(&s_cut.power, steps);
        saved = store_save(&s_cut, 3) == MM_OK;
        mm_sim_power_up(&s_cut.power);
        assert_int_equal(store_open(&s_cut), MM_OK);
        assert_int_equal(s_cut.image_no, saved || s_cut.image_no == 3 ? 3 : 1);
        // And it goes on from there.
        assert_int_equal(store_save(&s_cut, 4), MM_OK);
        assert_int_equal(store_open(&s_cut), MM_OK);
        assert_int_equal(s_cut.image_no, 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_register_store_virgin_is_empty),
        cmocka_unit_test(test_register_store_newest_image_wins),
        cmocka_unit_test(test_register_store_cell_belongs_to_its_image),
        cmocka_unit_test(test_register_store_flash_keeps_no_cells),
        cmocka_unit_test(test_register_store_arguments),
        cmocka_unit_test(test_register_store_pages),
        cmocka_unit_test(test_register_store_log_keeps_pages_and_wears_evenly),
        cmocka_unit_test(test_register_store_damaged_image_falls_back),
        cmocka_unit_test(test_register_store_cells_outlive_their_image),
        cmocka_unit_test(test_register_store_flash_damaged_image_falls_back),
        cmocka_unit_test(test_register_store_every_single_bit_flip),
        cmocka_unit_test(test_register_store_stuck_fram_is_noticed),
        cmocka_unit_test(test_register_store_nth_call_fails),
        cmocka_unit_test(test_register_store_log_goes_on_around_bad_sectors),
        cmocka_unit_test(test_register_store_log_recovers_with_its_device),
        cmocka_unit_test(test_register_store_log_silent_inside_open),
        cmocka_unit_test(test_register_store_page_is_not_gone_if_flash_does_not_answer),
        cmocka_unit_test(test_register_store_opens_on_any_bytes),
        cmocka_unit_test(test_register_store_cut_while_newest_is_damaged_leaves_an_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
