// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <string.h>

#include "sim/sim_flash.h"
#include "sim/sim_fram.h"

#define SECTORS 3
#define FLASH_BYTES (SECTORS * MM_FLASH_SECTOR_BYTES)

typedef struct {
    mm_sim_power_t power;
    mm_sim_flash_t flash;
    mm_sim_fram_t fram;
    mm_sim_sector_t sectors[SECTORS];
    uint8_t bytes[FLASH_BYTES];
    uint8_t fram_bytes[256];
    unsigned cut_calls;
} world_t;

static void on_cut(void *context) {
    ((world_t *)context)->cut_calls++;
}

static world_t *world(uint64_t seed) {
    static world_t world;
    memset(&world, 0, sizeof world);
    mm_sim_power_init(&world.power, seed);
    world.power.on_cut = on_cut;
    world.power.context = &world;
    mm_sim_flash_init(&world.flash, &world.power, world.bytes, world.sectors, SECTORS);
    mm_sim_fram_init(&world.fram, &world.power, world.fram_bytes, sizeof world.fram_bytes, 0x5A);
    return &world;
}

static mm_err_t program(world_t *w, uint32_t address, const void *bytes, size_t count) {
    return w->flash.flash.program(w->flash.flash.context, address, bytes, count);
}

static mm_err_t erase(world_t *w, uint32_t index) {
    return w->flash.flash.erase(w->flash.flash.context, index);
}

static void test_sim_flash_program_only_clears_bits(void **state) {
    (void)state;
    world_t *w = world(1);
    const uint8_t first[4] = {0xF0, 0x0F, 0xFF, 0x00};
    const uint8_t second[4] = {0xFF, 0xF1, 0x81, 0xAA};
    assert_int_equal(program(w, 4094, first, 4), MM_OK); // across a sector boundary
    assert_int_equal(w->flash.overprogrammed_bytes, 0);
    assert_int_equal(program(w, 4094, second, 4), MM_OK);
    assert_int_equal(w->flash.overprogrammed_bytes, 3);
    uint8_t bytes[6];
    assert_int_equal(w->flash.flash.read(w->flash.flash.context, 4093, bytes, 6), MM_OK);
    const uint8_t expected[6] = {0xFF, 0xF0, 0x01, 0x81, 0x00, 0xFF};
    assert_memory_equal(bytes, expected, 6);
    assert_int_equal(erase(w, 0), MM_OK);
    assert_int_equal(w->bytes[4095], 0xFF);
    assert_int_equal(w->bytes[4096], 0x81);
    assert_int_equal(w->sectors[0].erase_count, 1);
    assert_int_equal(w->sectors[1].erase_count, 0);
    expect_assert_failure(program(w, FLASH_BYTES - 1, first, 2));
    expect_assert_failure(erase(w, SECTORS));
}

static void test_sim_flash_cut_tears_program_at_the_byte(void **state) {
    (void)state;
    uint8_t source[16];
    memset(source, 0x11, sizeof source);
    unsigned torn_bytes_seen = 0;
    for (uint32_t cut = 0; cut < 16; cut++) {
        world_t *w = world(cut);
        mm_sim_power_cut_after(&w->power, cut);
        assert_int_equal(program(w, 100, source, sizeof source), MM_ERR_STORAGE);
        assert_true(w->power.dead);
        assert_int_equal(w->cut_calls, 1);
        for (uint32_t index = 0; index < 16; index++) {
            if (index < cut) {
                assert_int_equal(w->bytes[100 + index], 0x11);
            } else if (index > cut) {
                assert_int_equal(w->bytes[100 + index], 0xFF);
            } else {
                torn_bytes_seen += w->bytes[100 + index] != 0x11 && w->bytes[100 + index] != 0xFF;
            }
        }
        // Dead until power-up, and nothing changes.
        uint8_t copy[FLASH_BYTES];
        memcpy(copy, w->bytes, sizeof copy);
        assert_int_equal(program(w, 0, source, 4), MM_ERR_STORAGE);
        assert_int_equal(erase(w, 0), MM_ERR_STORAGE);
        assert_int_equal(w->flash.flash.read(w->flash.flash.context, 0, source, 1), MM_ERR_STORAGE);
        assert_int_equal(w->fram.fram.write(w->fram.fram.context, 0, source, 4), MM_ERR_STORAGE);
        assert_memory_equal(copy, w->bytes, sizeof copy);
        mm_sim_power_up(&w->power);
        assert_int_equal(program(w, 0, source, 4), MM_OK);
    }
    assert_true(torn_bytes_seen > 10); // "anything" is really random
    world_t *w = world(3);
    mm_sim_power_cut_after(&w->power, 16);
    assert_int_equal(program(w, 100, source, 16), MM_OK); // the cut is behind it
    assert_int_equal(program(w, 200, source, 1), MM_ERR_STORAGE);
}

static void test_sim_flash_cut_tears_erase(void **state) {
    (void)state;
    uint8_t zeros[MM_FLASH_SECTOR_BYTES] = {0};
    for (uint32_t kind = MM_SIM_ERASE_PREFIX; kind <= MM_SIM_ERASE_LOOKS_DONE; kind++) {
        world_t *w = world(5);
        w->flash.torn_erase = (mm_sim_torn_erase_t)kind;
        w->flash.erase_steps = 64;
        assert_int_equal(program(w, MM_FLASH_SECTOR_BYTES, zeros, sizeof zeros), MM_OK);
        mm_sim_power_cut_after(&w->power, 16);
        assert_int_equal(erase(w, 1), MM_ERR_STORAGE);
        uint32_t blank = 0;
        uint32_t zero = 0;
        for (uint32_t index = 0; index < MM_FLASH_SECTOR_BYTES; index++) {
            blank += w->bytes[MM_FLASH_SECTOR_BYTES + index] == 0xFF;
            zero += w->bytes[MM_FLASH_SECTOR_BYTES + index] == 0;
        }
        if (kind == MM_SIM_ERASE_PREFIX || kind == MM_SIM_ERASE_SUFFIX) {
            assert_true(blank >= 1024 && blank <= 1025 && zero >= 3071);
            uint32_t first_blank = kind == MM_SIM_ERASE_PREFIX ? 0 : 3072;
            assert_int_equal(w->bytes[MM_FLASH_SECTOR_BYTES + first_blank], 0xFF);
            assert_int_equal(w->bytes[MM_FLASH_SECTOR_BYTES + first_blank + 1023], 0xFF);
        } else if (kind == MM_SIM_ERASE_SCRAMBLED) {
            assert_true(blank < 100 && zero < 100);
        } else {
            assert_int_equal(blank, MM_FLASH_SECTOR_BYTES);
        }
        assert_int_equal(w->bytes[0], 0xFF);
    }
}

static void test_sim_flash_bad_sectors(void **state) {
    (void)state;
    uint8_t bytes[2] = {1, 2};
    world_t *w = world(1);
    w->sectors[1].fault = MM_SIM_SECTOR_PROGRAM_REFUSED;
    assert_int_equal(program(w, 5000, bytes, 2), MM_ERR_STORAGE);
    assert_int_equal(program(w, 4095, bytes, 2), MM_ERR_STORAGE); // reaches into it
    assert_int_equal(program(w, 4094, bytes, 2), MM_OK);
    w->sectors[1].fault = MM_SIM_SECTOR_PROGRAM_IGNORED;
    assert_int_equal(program(w, 5000, bytes, 2), MM_OK);
    assert_int_equal(w->bytes[5000], 0xFF);
    w->sectors[0].fault = MM_SIM_SECTOR_ERASE_IGNORED;
    assert_int_equal(erase(w, 0), MM_OK);
    assert_int_equal(w->bytes[4094], 1);
    w->sectors[0].fault = MM_SIM_SECTOR_ERASE_REFUSED;
    assert_int_equal(erase(w, 0), MM_ERR_STORAGE);
    w->sectors[0].fault = MM_SIM_SECTOR_READ_REFUSED;
    assert_int_equal(w->flash.flash.read(w->flash.flash.context, 0, bytes, 1), MM_ERR_STORAGE);
    w->sectors[0].fault = MM_SIM_SECTOR_GOOD;
    assert_int_equal(w->flash.flash.read(w->flash.flash.context, 4094, bytes, 1), MM_OK);
    assert_int_equal(bytes[0], 1);
}

static void test_sim_flash_nth_call_fails(void **state) {
    (void)state;
    uint8_t bytes[1] = {0};
    world_t *w = world(1);
    mm_sim_flash_fail(&w->flash, MM_SIM_FAIL_PROGRAM, 2, 1);
    const mm_err_t expected[5] = {MM_OK, MM_OK, MM_ERR_STORAGE, MM_OK, MM_OK};
    for (uint32_t call = 0; call < 5; call++) {
        assert_int_equal(program(w, call, bytes, 1), expected[call]);
        assert_int_equal(erase(w, 2), MM_OK);
    }
    assert_int_equal(w->bytes[2], 0xFF);
    mm_sim_flash_fail(&w->flash, MM_SIM_FAIL_PROGRAM, 0, 1);
    w->flash.fail_with_effect = true;
    assert_int_equal(program(w, 2, bytes, 1), MM_ERR_STORAGE);
    assert_int_equal(w->bytes[2], 0);
    mm_sim_flash_fail(&w->flash, MM_SIM_FAIL_ERASE, 1, UINT64_MAX);
    assert_int_equal(erase(w, 0), MM_OK);
    for (uint32_t call = 0; call < 5; call++) {
        assert_int_equal(erase(w, 0), MM_ERR_STORAGE);
    }
}

static void test_sim_flash_flip_bit(void **state) {
    (void)state;
    world_t *w = world(1);
    mm_sim_flash_flip_bit(&w->flash, 4096 * 8 + 3);
    assert_int_equal(w->bytes[4096], 0xF7);
    mm_sim_flash_flip_bit(&w->flash, 4096 * 8 + 3);
    assert_int_equal(w->bytes[4096], 0xFF);
}

static void test_sim_fram_cut_leaves_a_prefix(void **state) {
    (void)state;
    const uint8_t source[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (uint32_t cut = 0; cut < 8; cut++) {
        world_t *w = world(cut);
        mm_sim_power_cut_after(&w->power, cut);
        assert_int_equal(w->fram.fram.write(w->fram.fram.context, 10, source, 8), MM_ERR_STORAGE);
        for (uint32_t index = 0; index < 8; index++) {
            if (index != cut) {
                assert_int_equal(w->fram_bytes[10 + index], index < cut ? source[index] : 0x5A);
            }
        }
        mm_sim_power_up(&w->power);
        assert_int_equal(w->fram.fram.write(w->fram.fram.context, 10, source, 8), MM_OK);
        assert_memory_equal(w->fram_bytes + 10, source, 8);
    }
}

static void test_sim_fram_faults(void **state) {
    (void)state;
    uint8_t bytes[4] = {9, 9, 9, 9};
    world_t *w = world(1);
    mm_sim_fram_fail(&w->fram, MM_SIM_FAIL_FRAM_WRITE, 1, 1);
    assert_int_equal(w->fram.fram.write(w->fram.fram.context, 0, bytes, 1), MM_OK);
    assert_int_equal(w->fram.fram.write(w->fram.fram.context, 1, bytes, 1), MM_ERR_STORAGE);
    assert_int_equal(w->fram.fram.write(w->fram.fram.context, 2, bytes, 1), MM_OK);
    assert_int_equal(w->fram_bytes[1], 0x5A);
    w->fram.stuck = true;
    assert_int_equal(w->fram.fram.write(w->fram.fram.context, 3, bytes, 1), MM_OK);
    assert_int_equal(w->fram_bytes[3], 0x5A);
    expect_assert_failure(w->fram.fram.read(w->fram.fram.context, 253, bytes, 4));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sim_flash_program_only_clears_bits),
        cmocka_unit_test(test_sim_flash_cut_tears_program_at_the_byte),
        cmocka_unit_test(test_sim_flash_cut_tears_erase),
        cmocka_unit_test(test_sim_flash_bad_sectors),
        cmocka_unit_test(test_sim_flash_nth_call_fails),
        cmocka_unit_test(test_sim_flash_flip_bit),
        cmocka_unit_test(test_sim_fram_cut_leaves_a_prefix),
        cmocka_unit_test(test_sim_fram_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
