// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_fram.h"

#include "test_support.h"

#include <string.h>

#include "fake.h"
#include "fake_i2c.h"

static const uint32_t s_sizes[] = {2048, 8192, 16384, 32768};

static void plug_in(uint32_t bytes) {
    fake_reset();
    fake_fram()->is_there = true;
    fake_fram()->bytes = bytes;
    for (uint32_t i = 0; i < bytes; i++) {
        fake_fram()->cells[i] = (uint8_t)(i * 7 + i / 256);
    }
}

static void test_all_sizes(void **state) {
    (void)state;
    static uint8_t before[FAKE_FRAM_BYTES_MAX];
    // Volatile: the expected assertion comes back by a jump.
    for (volatile size_t s = 0; s < sizeof s_sizes / sizeof s_sizes[0]; s++) {
        mm_esp_i2c_t bus;
        mm_esp_fram_t fram;
        plug_in(s_sizes[s]);
        memcpy(before, fake_fram()->cells, sizeof before);
        assert_int_equal(mm_esp_i2c_open(&bus, 18, 23), MM_OK);
        assert_int_equal(mm_esp_fram_open(&fram, &bus, 0x50, s_sizes[s]), MM_OK);
        assert_memory_equal(before, fake_fram()->cells, s_sizes[s]); // the probe keeps everything
        assert_int_equal(fram.fram.size_bytes, s_sizes[s] - 16);
        // Over the ends of chunks and banks.
        uint8_t bytes[700];
        uint8_t back[700];
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = (uint8_t)(i * 13 + 5);
        }
        assert_int_equal(fram.fram.write(fram.fram.context, 201, bytes, sizeof bytes), MM_OK);
        assert_int_equal(fram.fram.read(fram.fram.context, 201, back, sizeof back), MM_OK);
        assert_memory_equal(bytes, back, sizeof bytes);
        assert_memory_equal(fake_fram()->cells + 201, bytes, sizeof bytes);
        memcpy(before + 201, bytes, sizeof bytes);
        assert_memory_equal(before, fake_fram()->cells, s_sizes[s]);
        expect_assert_failure(fram.fram.read(fram.fram.context, s_sizes[s] - 16, back, 1));
        mm_esp_fram_close(&fram);
        mm_esp_i2c_close(&bus);
        assert_int_equal(fake_i2c_open_count(), 0);
    }
}

static mm_err_t open_as(mm_esp_fram_t *fram, mm_esp_i2c_t *bus, uint32_t bytes) {
    assert_int_equal(mm_esp_i2c_open(bus, 18, 23), MM_OK);
    return mm_esp_fram_open(fram, bus, 0x50, bytes);
}

static void test_absent_faulty_smaller(void **state) {
    (void)state;
    mm_esp_i2c_t bus;
    mm_esp_fram_t fram;
    plug_in(8192);
    fake_fram()->is_there = false;
    assert_int_equal(open_as(&fram, &bus, 8192), MM_ERR_NOT_FOUND);
    assert_int_equal(fram.state, MM_ESP_FRAM_ABSENT);
    plug_in(8192);
    fake_fram()->forgets = true;
    assert_int_equal(open_as(&fram, &bus, 8192), MM_ERR_STORAGE);
    assert_int_equal(fram.state, MM_ESP_FRAM_FAULTY);
    static uint8_t before[FAKE_FRAM_BYTES_MAX];
    plug_in(8192);
    memcpy(before, fake_fram()->cells, sizeof before);
    assert_int_equal(open_as(&fram, &bus, 16384), MM_ERR_STORAGE);
    assert_int_equal(fram.state, MM_ESP_FRAM_FAULTY);
    assert_memory_equal(before, fake_fram()->cells, 8192);
    // No bus: absent, not a crash.
    mm_esp_i2c_t none = {0};
    assert_int_equal(mm_esp_fram_open(&fram, &none, 0x50, 8192), MM_ERR_NOT_FOUND);
}

// The chip was reset while it read: without nine clocks the FRAM would be absent at every start until a power cut, with
// what was counted in RAM alone.
static void test_reset_in_the_middle_of_a_read(void **state) {
    (void)state;
    mm_esp_i2c_t bus;
    mm_esp_fram_t fram;
    plug_in(8192);
    fake_fram()->holds_bus = true;
    assert_int_equal(open_as(&fram, &bus, 8192), MM_OK);
    assert_int_equal(fram.state, MM_ESP_FRAM_WORKS);
    // What the bus's reset does not free this time it frees the next time that the node looks.
    mm_esp_fram_close(&fram);
    fake_fram()->holds_bus = true;
    fake_fail_at(1);
    assert_int_equal(mm_esp_fram_open(&fram, &bus, 0x50, 8192), MM_ERR_NOT_FOUND);
    assert_int_equal(mm_esp_fram_open(&fram, &bus, 0x50, 8192), MM_OK);
}

static void test_what_to_do(void **state) {
    (void)state;
    assert_int_equal(mm_esp_fram_judge(MM_ESP_FRAM_WORKS, false), MM_ESP_FRAM_USE);
    assert_int_equal(mm_esp_fram_judge(MM_ESP_FRAM_WORKS, true), MM_ESP_FRAM_USE);
    assert_int_equal(mm_esp_fram_judge(MM_ESP_FRAM_ABSENT, false), MM_ESP_FRAM_USE_FLASH);
    assert_int_equal(mm_esp_fram_judge(MM_ESP_FRAM_ABSENT, true), MM_ESP_FRAM_IN_FAULT);
    assert_int_equal(mm_esp_fram_judge(MM_ESP_FRAM_FAULTY, false), MM_ESP_FRAM_IN_FAULT);
}

// One transfer that fails is made up for, except that a bus or device cannot be opened; nothing is stored wrong under
// MM_OK, and nothing leaks.
static void test_one_call_fails(void **state) {
    (void)state;
    unsigned call_no = 0;
    bool failed = false;
    do {
        mm_esp_i2c_t bus;
        mm_esp_fram_t fram = {0};
        static uint8_t before[FAKE_FRAM_BYTES_MAX];
        plug_in(2048);
        memcpy(before, fake_fram()->cells, sizeof before);
        fake_fail_at(++call_no);
        mm_err_t err = mm_esp_i2c_open(&bus, 18, 23);
        mm_err_t opened = mm_esp_fram_open(&fram, &bus, 0x50, 2048);
        assert_int_equal(opened == MM_ERR_NOT_FOUND, err != MM_OK);
        assert_memory_equal(before, fake_fram()->cells, 2048);
        if (opened == MM_OK) {
            uint8_t bytes[100] = {1, 2, 3, [99] = 4};
            uint8_t back[100];
            assert_int_equal(fram.fram.write(fram.fram.context, 230, bytes, sizeof bytes), MM_OK);
            assert_int_equal(fram.fram.read(fram.fram.context, 230, back, sizeof back), MM_OK);
            assert_memory_equal(bytes, back, sizeof bytes);
        }
        failed = fake_has_failed();
        mm_esp_fram_close(&fram);
        mm_esp_i2c_close(&bus);
        assert_int_equal(fake_i2c_open_count(), 0);
    } while (failed);
    assert_true(call_no > 20);
}

static void test_gone_for_good(void **state) {
    (void)state;
    mm_esp_i2c_t bus;
    mm_esp_fram_t fram;
    uint8_t bytes[10] = {0};
    plug_in(8192);
    assert_int_equal(open_as(&fram, &bus, 8192), MM_OK);
    fake_fail_from(1);
    assert_int_equal(fram.fram.write(fram.fram.context, 0, bytes, sizeof bytes), MM_ERR_STORAGE);
    assert_int_equal(fram.fram.read(fram.fram.context, 0, bytes, sizeof bytes), MM_ERR_STORAGE);
    assert_int_equal(fram.errors, 2);
    assert_int_equal(fake_call_count(), 4); // two tries each
    fake_fail_at(0);
    assert_int_equal(fram.fram.read(fram.fram.context, 0, bytes, sizeof bytes), MM_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_sizes),     cmocka_unit_test(test_absent_faulty_smaller),
        cmocka_unit_test(test_what_to_do),    cmocka_unit_test(test_one_call_fails),
        cmocka_unit_test(test_gone_for_good), cmocka_unit_test(test_reset_in_the_middle_of_a_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
