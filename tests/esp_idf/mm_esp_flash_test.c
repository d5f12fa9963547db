// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_flash.h"

#include "test_support.h"

#include <string.h>

#include "fake.h"
#include "fake_partition.h"

static void test_rules_of_nor_flash(void **state) {
    (void)state;
    mm_esp_flash_t flash;
    fake_reset();
    assert_int_equal(mm_esp_flash_open(&flash, "journal", 4, 6), MM_OK);
    assert_int_equal(flash.flash.sector_count, 6);
    uint8_t bytes[600];
    uint8_t back[600];
    memset(bytes, 0x3C, sizeof bytes);
    assert_int_equal(flash.flash.program(flash.flash.context, 5000, bytes, sizeof bytes), MM_OK);
    memset(bytes, 0x0F, sizeof bytes);
    assert_int_equal(flash.flash.program(flash.flash.context, 5000, bytes, sizeof bytes), MM_OK);
    assert_int_equal(flash.flash.read(flash.flash.context, 5000, back, sizeof back), MM_OK);
    memset(bytes, 0x3C & 0x0F, sizeof bytes);
    assert_memory_equal(back, bytes, sizeof bytes);
    assert_int_equal(flash.flash.erase(flash.flash.context, 1), MM_OK);
    for (size_t i = 4096; i < 8192; i++) {
        assert_int_equal(fake_partition_cells()[i], 0xFF);
    }
    expect_assert_failure(flash.flash.erase(flash.flash.context, 6));
    expect_assert_failure(flash.flash.read(flash.flash.context, 6 * 4096 - 1, back, 2));
}

static void test_what_is_refused(void **state) {
    (void)state;
    mm_esp_flash_t flash;
    fake_reset();
    assert_int_equal(mm_esp_flash_open(&flash, "other", 4, 6), MM_ERR_NOT_FOUND);
    assert_int_equal(mm_esp_flash_open(&flash, "journal", 9, 96), MM_ERR_ARG);
    fake_partition()->encrypted = true;
    assert_int_equal(mm_esp_flash_open(&flash, "journal", 4, 6), MM_ERR_ARG);
    fake_partition()->encrypted = false;
    fake_partition()->readonly = true;
    assert_int_equal(mm_esp_flash_open(&flash, "journal", 4, 6), MM_ERR_ARG);
}

static void test_worn_cell_is_noticed(void **state) {
    (void)state;
    mm_esp_flash_t flash;
    fake_reset();
    assert_int_equal(mm_esp_flash_open(&flash, "journal", 4, 8), MM_OK);
    fake_partition_wear(4096 + 4000, 0x10);
    assert_int_equal(flash.flash.erase(flash.flash.context, 1), MM_ERR_STORAGE);
    assert_int_equal(flash.flash.erase(flash.flash.context, 2), MM_OK);
}

static void test_write_that_is_lost_is_noticed(void **state) {
    (void)state;
    mm_esp_flash_t flash;
    const uint8_t bytes[300] = {[299] = 1};
    fake_reset();
    assert_int_equal(mm_esp_flash_open(&flash, "journal", 4, 8), MM_OK);
    fake_partition_lose_writes(true);
    assert_int_equal(flash.flash.program(flash.flash.context, 4090, bytes, sizeof bytes), MM_ERR_STORAGE);
    fake_partition_lose_writes(false);
    assert_int_equal(flash.flash.program(flash.flash.context, 4090, bytes, sizeof bytes), MM_OK);
}

// MM_OK is said only if everything is there.
static void test_one_call_fails(void **state) {
    (void)state;
    bool failed = false;
    for (unsigned call_no = 1; call_no == 1 || failed; call_no++) {
        mm_esp_flash_t flash;
        uint8_t bytes[600];
        fake_reset();
        assert_int_equal(mm_esp_flash_open(&flash, "journal", 4, 8), MM_OK);
        memset(fake_partition_cells(), 0, 4096);
        memset(bytes, 0xA5, sizeof bytes);
        fake_fail_at(call_no);
        mm_err_t erased = flash.flash.erase(flash.flash.context, 0);
        mm_err_t programmed = erased == MM_OK ? flash.flash.program(flash.flash.context, 100, bytes, 600) : erased;
        failed = fake_has_failed();
        assert_int_equal(programmed, failed ? MM_ERR_STORAGE : MM_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_of_nor_flash),   cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_worn_cell_is_noticed), cmocka_unit_test(test_write_that_is_lost_is_noticed),
        cmocka_unit_test(test_one_call_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
