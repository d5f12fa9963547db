// SPDX-License-Identifier: Apache-2.0
#include "configuration_fixture.h"

#include <stdio.h>

#include "meshmeter/crc32.h"
#include "sim/sim_flash.h"

#define SECTORS 4

typedef struct {
    mm_sim_power_t power;
    mm_sim_flash_t flash;
    uint8_t bytes[SECTORS * MM_FLASH_SECTOR_BYTES];
    mm_sim_sector_t sectors[SECTORS];
    mm_configuration_store_t store;
    mm_configuration_t configuration;
} chip_t;

static chip_t chip;
static chip_t base;

static void init_chip(void) {
    memset(&chip, 0, sizeof chip);
    mm_sim_power_init(&chip.power, 5);
    mm_sim_flash_init(&chip.flash, &chip.power, chip.bytes, chip.sectors, SECTORS);
}

static mm_err_t open_store(uint32_t sector_count) {
    memset(&chip.configuration, 0xA5, sizeof chip.configuration);
    return mm_configuration_store_open(&chip.store, &chip.flash.flash, sector_count, &chip.configuration);
}

static mm_err_t save(uint32_t revision) {
    mm_configuration_t configuration = example_configuration(revision);
    return mm_configuration_store_save(&chip.store, &configuration);
}

#define HEAD_BYTES 12

static void assert_found(uint32_t sector_count, uint32_t revision) {
    assert_int_equal(open_store(sector_count), MM_OK);
    mm_configuration_t expected = example_configuration(revision);
    assert_same_configuration(&chip.configuration, &expected);
}

static void test_configuration_store_keeps_the_newest(void **state) {
    (void)state;
    for (uint32_t sector_count = 2; sector_count <= SECTORS; sector_count++) {
        init_chip();
        assert_int_equal(open_store(sector_count), MM_ERR_NOT_FOUND);
        assert_int_equal(chip.configuration.phase.state, MM_LIFE_PARKED);
        assert_false(chip.configuration.has_network);
        for (uint32_t revision = 1; revision <= 3 * SECTORS; revision++) {
            assert_int_equal(save(revision), MM_OK);
            assert_found(sector_count, revision);
        }
        uint32_t erases = 0;
        for (uint32_t sector = 0; sector < sector_count; sector++) {
            assert_true(chip.sectors[sector].erase_count >= 3 * SECTORS / sector_count);
            erases += chip.sectors[sector].erase_count;
        }
        assert_int_equal(erases, 3 * SECTORS);
    }
}

// The power fails at every byte of a save, and again at every place of the one after it.
static void test_configuration_store_survives_every_cut(void **state) {
    (void)state;
    unsigned cuts = 0;
    for (int torn = MM_SIM_ERASE_PREFIX; torn <= MM_SIM_ERASE_LOOKS_DONE; torn++) {
        init_chip();
        chip.flash.torn_erase = (mm_sim_torn_erase_t)torn;
        assert_int_equal(open_store(2), MM_ERR_NOT_FOUND);
        for (uint32_t revision = 1; revision <= 3; revision++) {
            assert_int_equal(save(revision), MM_OK);
        }
        base = chip;
        assert_int_equal(save(4), MM_OK);
        uint64_t steps = chip.power.steps_drawn - base.power.steps_drawn;
        bool was_old = false;
        bool was_new = false;
        for (uint64_t step = 0; step <= steps; step++) {
            chip = base;
            mm_sim_power_cut_after(&chip.power, step);
            mm_err_t err = save(4);
            assert_int_equal(err, step < steps ? MM_ERR_STORAGE : MM_OK);
            mm_sim_power_cut_now(&chip.power);
            mm_sim_power_up(&chip.power);
            mm_sim_flash_age(&chip.flash);
            assert_int_equal(open_store(2), MM_OK);
            assert_false(chip.store.is_behind); // what was cut was never stored
            uint32_t revision = chip.configuration.installation.revision;
            assert_true(revision == 3 || revision == 4);
            assert_true(err != MM_OK || revision == 4);
            was_old = was_old || revision == 3;
            was_new = was_new || revision == 4;
            // What is saved after it counts.
            mm_sim_power_cut_after(&chip.power, (step * 7) % (steps + 1));
            (void)save(5);
            mm_sim_power_up(&chip.power);
            assert_int_equal(open_store(2), MM_OK);
            assert_true(chip.configuration.installation.revision == revision ||
                        chip.configuration.installation.revision == 5);
            assert_int_equal(save(6), MM_OK);
            assert_found(2, 6);
            cuts++;
        }
        assert_true(was_old && was_new);
    }
    printf("configuration_store: cuts=%u\n", cuts);
}

// On a virgin device the cut leaves nothing, or what was saved.
static void test_configuration_store_survives_the_first_cut(void **state) {
    (void)state;
    init_chip();
    assert_int_equal(open_store(2), MM_ERR_NOT_FOUND);
    base = chip;
    assert_int_equal(save(1), MM_OK);
    uint64_t steps = chip.power.steps_drawn - base.power.steps_drawn;
    for (uint64_t step = 0; step < steps; step += MM_CASES_EVERY) {
        chip = base;
        mm_sim_power_cut_after(&chip.power, step);
        (void)save(1);
        mm_sim_power_up(&chip.power);
        mm_err_t err = open_store(2);
        assert_true(err == MM_ERR_NOT_FOUND || err == MM_ERR_CORRUPT ||
                    (err == MM_OK && chip.configuration.installation.revision == 1));
        assert_true(err == MM_OK || chip.configuration.phase.state == MM_LIFE_PARKED);
        assert_int_equal(save(2), MM_OK);
        assert_found(2, 2);
    }
}

// Every bit of the newest: the one before is found.
static void test_configuration_store_falls_back(void **state) {
    (void)state;
    init_chip();
    assert_int_equal(open_store(2), MM_ERR_NOT_FOUND);
    assert_int_equal(save(1), MM_OK);
    assert_int_equal(save(2), MM_OK);
    uint64_t begin = (uint64_t)chip.store.sector_index * MM_FLASH_SECTOR_BYTES * 8;
    uint64_t bits = (chip.flash.programmed_bytes / 2) * 8;
    uint64_t behind = 0;
    base = chip;
    for (uint64_t bit = 0; bit < bits; bit += MM_CASES_EVERY) {
        chip = base;
        mm_sim_flash_flip_bit(&chip.flash, begin + bit);
        assert_int_equal(open_store(2), MM_OK);
        // That it was whole once is known, unless the damage is where that stands: in the head, and in the last byte.
        uint64_t byte = bit / 8;
        assert_true(chip.store.is_behind || byte < HEAD_BYTES || byte == bits / 8 - 1);
        bool is_behind = chip.store.is_behind;
        if (is_behind) {
            assert_int_equal(chip.configuration.confirmed_channels, MM_ALL_CHANNELS);
            chip.configuration.confirmed_channels = example_configuration(1).confirmed_channels;
        }
        const mm_configuration_t expected = example_configuration(1);
        assert_same_configuration(&chip.configuration, &expected);
        behind += is_behind ? 1 : 0;
        assert_int_equal(chip.store.damaged, 1);
        if (bit % 97 == 0) {
            assert_int_equal(save(3), MM_OK);
            assert_found(2, 3);
            assert_false(chip.store.is_behind);
            assert_int_equal(chip.store.damaged, 0);
        }
    }
    // Both.
    chip = base;
    mm_sim_flash_flip_bit(&chip.flash, 100);
    mm_sim_flash_flip_bit(&chip.flash, 100 + MM_FLASH_SECTOR_BYTES * 8);
    assert_int_equal(open_store(2), MM_ERR_CORRUPT);
    assert_int_equal(chip.configuration.phase.state, MM_LIFE_PARKED);
    assert_int_equal(chip.store.damaged, 2);
    assert_int_equal(save(3), MM_OK);
    assert_found(2, 3);
    printf("configuration_store: bits=%llu behind=%llu\n", (unsigned long long)bits, (unsigned long long)behind);
}

static void test_configuration_store_passes_over_worn_sectors(void **state) {
    (void)state;
    static const mm_sim_sector_fault_t faults[] = {MM_SIM_SECTOR_PROGRAM_REFUSED, MM_SIM_SECTOR_PROGRAM_IGNORED,
                                                   MM_SIM_SECTOR_ERASE_REFUSED, MM_SIM_SECTOR_ERASE_IGNORED};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        init_chip();
        assert_int_equal(open_store(3), MM_ERR_NOT_FOUND);
        for (uint32_t revision = 1; revision <= 5; revision++) {
            assert_int_equal(save(revision), MM_OK);
        }
        chip.sectors[(chip.store.sector_index + 1) % 3].fault = (uint8_t)faults[i];
        for (uint32_t revision = 6; revision <= 12; revision++) {
            assert_int_equal(save(revision), MM_OK);
            assert_found(3, revision);
        }
        // All but the newest are worn: nothing is saved, nothing is lost.
        for (uint32_t sector = 0; sector < 3; sector++) {
            chip.sectors[sector].fault = sector == chip.store.sector_index ? MM_SIM_SECTOR_GOOD : (uint8_t)faults[i];
        }
        assert_int_equal(save(13), MM_ERR_STORAGE);
        assert_found(3, 12);
    }
}

static void test_configuration_store_waits_for_memory(void **state) {
    (void)state;
    init_chip();
    assert_int_equal(open_store(2), MM_ERR_NOT_FOUND);
    assert_int_equal(save(1), MM_OK);
    assert_int_equal(save(2), MM_OK);
    // A sector that does not answer may be the newest.
    for (uint32_t sector = 0; sector < 2; sector++) {
        chip.sectors[sector].fault = MM_SIM_SECTOR_READ_REFUSED;
        assert_int_equal(open_store(2), MM_ERR_STORAGE);
        assert_int_equal(chip.configuration.phase.state, MM_LIFE_PARKED);
        chip.sectors[sector].fault = MM_SIM_SECTOR_GOOD;
    }
    assert_found(2, 2);
    // It answers only to writing.
    mm_sim_flash_fail(&chip.flash, MM_SIM_FAIL_READ, 0, 1);
    assert_int_equal(save(3), MM_ERR_STORAGE);
    // That was kept all the same; what is saved next is newer.
    assert_int_equal(save(4), MM_OK);
    assert_found(2, 4);
}

static void seal_slot(uint32_t sector, uint32_t seq, const uint8_t *payload, uint32_t payload_bytes) {
    uint8_t *slot = chip.bytes + (size_t)sector * MM_FLASH_SECTOR_BYTES;
    mm_writer_t writer = mm_writer(slot, MM_FLASH_SECTOR_BYTES);
    mm_put_bytes(&writer, "MMF1", 4);
    mm_put_u32(&writer, seq);
    mm_put_u32(&writer, payload_bytes);
    mm_put_bytes(&writer, payload, payload_bytes);
    mm_put_u32(&writer, mm_crc32(0, slot, writer.used_bytes));
}

static void test_configuration_store_keeps_a_later_version(void **state) {
    (void)state;
    init_chip();
    assert_int_equal(open_store(2), MM_ERR_NOT_FOUND);
    assert_int_equal(save(1), MM_OK);
    static const uint8_t later[] = {3, 77, 78};
    seal_slot(1, 9, later, sizeof later);
    uint8_t before[sizeof chip.bytes];
    memcpy(before, chip.bytes, sizeof before);
    assert_int_equal(open_store(2), MM_ERR_VERSION);
    assert_int_equal(chip.configuration.phase.state, MM_LIFE_PARKED);
    assert_int_equal(save(2), MM_ERR_VERSION);
    assert_memory_equal(before, chip.bytes, sizeof before);
    // Whole, but no configuration; and lengths and numbers that cannot be.
    static const uint8_t nonsense[] = {1, 255, 0, 0};
    seal_slot(1, 9, nonsense, sizeof nonsense);
    assert_int_equal(open_store(2), MM_ERR_CORRUPT);
    seal_slot(1, 0, nonsense, sizeof nonsense);
    assert_found(2, 1);
    chip.bytes[MM_FLASH_SECTOR_BYTES + 10] = 0xFF;
    assert_found(2, 1);
    expect_assert_failure((void)open_store(1));
    expect_assert_failure((void)open_store(SECTORS + 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configuration_store_keeps_the_newest),
        cmocka_unit_test(test_configuration_store_survives_every_cut),
        cmocka_unit_test(test_configuration_store_survives_the_first_cut),
        cmocka_unit_test(test_configuration_store_falls_back),
        cmocka_unit_test(test_configuration_store_passes_over_worn_sectors),
        cmocka_unit_test(test_configuration_store_waits_for_memory),
        cmocka_unit_test(test_configuration_store_keeps_a_later_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
