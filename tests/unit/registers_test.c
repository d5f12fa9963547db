// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "test_support.h"

#include "meshmeter/registers.h"

static mm_meter_config_t config(const char *id, uint32_t pulse_constant) {
    mm_meter_config_t result = {.pulse_constant = pulse_constant, .start_wh = 0};
    memcpy(result.id, id, strlen(id) + 1);
    return result;
}

static mm_err_t check(const char *id, uint32_t pulse_constant) {
    mm_meter_config_t meter = config(id, pulse_constant);
    return mm_meter_config_check(&meter);
}

static void test_registers_config_check(void **state) {
    (void)state;
    assert_int_equal(check("", 0), MM_OK);
    assert_int_equal(check("A", 100), MM_OK);
    assert_int_equal(check("~!#$%&()*+-.", 10000), MM_OK);
    assert_int_equal(check("123456789012", 1000), MM_OK);
    assert_int_equal(check("", 1000), MM_ERR_ARG);
    assert_int_equal(check("A", 0), MM_ERR_ARG);
    assert_int_equal(check("A", 99), MM_ERR_ARG);
    assert_int_equal(check("A", 10001), MM_ERR_ARG);
    assert_int_equal(check("A B", 1000), MM_ERR_ARG);
    assert_int_equal(check("A,B", 1000), MM_ERR_ARG);
    assert_int_equal(check("A\"B", 1000), MM_ERR_ARG);
    assert_int_equal(check("A'B", 1000), MM_ERR_ARG);
    assert_int_equal(check("A\nB", 1000), MM_ERR_ARG);
    assert_int_equal(check("A\x7f", 1000), MM_ERR_ARG);
    assert_int_equal(check("\xc3\xa9", 1000), MM_ERR_ARG);
    mm_meter_config_t unterminated = config("123456789012", 1000);
    unterminated.id[MM_METER_ID_CHARS_MAX] = '3';
    assert_int_equal(mm_meter_config_check(&unterminated), MM_ERR_ARG);
}

static void test_registers_count_goes_to_month_and_hour(void **state) {
    (void)state;
    mm_registers_t registers = {.year_month = 2024 * 12};
    mm_registers_count(&registers, 3, 5, 0);
    mm_registers_count(&registers, 3, 7, 23);
    mm_registers_count(&registers, 3, 1, 23);
    mm_registers_count(&registers, 7, 2, 12);
    assert_int_equal(registers.channels[3].life_pulses, 13);
    assert_int_equal(registers.channels[3].month_pulses, 13);
    assert_int_equal(registers.channels[3].interval_pulses, 13);
    assert_int_equal(registers.channels[3].hours_pulses[0], 5);
    assert_int_equal(registers.channels[3].hours_pulses[23], 8);
    assert_int_equal(registers.channels[3].pending_pulses, 0);
    assert_int_equal(registers.channels[7].hours_pulses[12], 2);
    assert_int_equal(registers.channels[0].life_pulses, 0);
    expect_assert_failure(mm_registers_count(&registers, 8, 1, 0));
    expect_assert_failure(mm_registers_count(&registers, 0, 1, 24));
}

static void test_registers_pending_is_filed_once(void **state) {
    (void)state;
    mm_registers_t registers = {0};
    expect_assert_failure(mm_registers_file_pending(&registers, 0));
    mm_registers_count(&registers, 0, 10, 5); // no month known: the hour does not matter
    mm_registers_count(&registers, 1, 1, 200);
    assert_int_equal(registers.channels[0].pending_pulses, 10);
    assert_int_equal(registers.channels[0].month_pulses, 0);
    mm_registers_begin_month(&registers, 2024 * 12 + 5);
    mm_registers_count(&registers, 0, 3, MM_HOUR_UNKNOWN); // month known from before, hour not
    mm_registers_count(&registers, 0, 4, 8);
    assert_int_equal(mm_registers_file_pending(&registers, 9), 14);
    assert_int_equal(mm_registers_file_pending(&registers, 10), 0);
    assert_int_equal(registers.channels[0].life_pulses, 17);
    assert_int_equal(registers.channels[0].month_pulses, 17);
    assert_int_equal(registers.channels[0].hours_pulses[8], 4);
    assert_int_equal(registers.channels[0].hours_pulses[9], 13);
    assert_int_equal(registers.channels[0].hours_pulses[5], 0);
    assert_int_equal(registers.channels[0].interval_pulses, 17);
    assert_int_equal(registers.channels[1].hours_pulses[9], 1);
}

static void test_registers_begin_month_keeps_life_and_interval(void **state) {
    (void)state;
    mm_registers_t registers = {.year_month = 2024 * 12 + 11};
    mm_registers_count(&registers, 2, 100, 23);
    mm_registers_begin_month(&registers, 2025 * 12);
    assert_int_equal(registers.year_month, 2025 * 12);
    assert_int_equal(registers.channels[2].life_pulses, 100);
    assert_int_equal(registers.channels[2].interval_pulses, 100);
    assert_int_equal(registers.channels[2].month_pulses, 0);
    assert_int_equal(registers.channels[2].hours_pulses[23], 0);
}

static void test_registers_sums_saturate_and_life_does_not(void **state) {
    (void)state;
    mm_registers_t registers = {.year_month = 1};
    mm_registers_count(&registers, 0, UINT32_MAX, 1);
    mm_registers_count(&registers, 0, UINT32_MAX, 2);
    assert_true(registers.channels[0].life_pulses == UINT64_C(8589934590));
    assert_true(registers.channels[0].month_pulses == UINT32_MAX);
    assert_true(registers.channels[0].interval_pulses == UINT32_MAX);
    assert_true(registers.channels[0].hours_pulses[2] == UINT32_MAX);
}

static void test_registers_encode_decode(void **state) {
    (void)state;
    mm_registers_t registers = {.year_month = 2025 * 12 + 3};
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        registers.channels[channel].life_pulses = UINT64_C(0x1122334455667788) + channel;
        registers.channels[channel].pending_pulses = 1000u + channel;
        registers.channels[channel].month_pulses = 2000u + channel;
        registers.channels[channel].interval_pulses = 3000u + channel;
        for (uint8_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
            registers.channels[channel].hours_pulses[hour] = 100u * channel + hour;
        }
    }
    uint8_t bytes[MM_REGISTERS_BYTES];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    mm_registers_encode(&registers, &writer);
    assert_false(writer.failed);
    assert_int_equal(writer.used_bytes, sizeof bytes);
    // 2025 * 12 + 3 = 24303 = 0x5eef, then life of channel 0, both little-endian.
    static const uint8_t head[10] = {0xef, 0x5e, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
    assert_memory_equal(bytes, head, sizeof head);

    mm_registers_t decoded;
    memset(&decoded, 0xAA, sizeof decoded);
    mm_reader_t reader = mm_reader(bytes, sizeof bytes);
    assert_int_equal(mm_registers_decode(&decoded, &reader), MM_OK);
    assert_int_equal(mm_reader_left_bytes(&reader), 0);
    assert_int_equal(decoded.year_month, registers.year_month);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_memory_equal(&decoded.channels[channel], &registers.channels[channel], sizeof decoded.channels[channel]);
    }
    for (size_t size = 0; size < sizeof bytes; size++) {
        reader = mm_reader(bytes, size);
        assert_int_equal(mm_registers_decode(&decoded, &reader), MM_ERR_CORRUPT);
    }
    memset(&bytes[2], 0, 8); // less life than pending
    reader = mm_reader(bytes, sizeof bytes);
    assert_int_equal(mm_registers_decode(&decoded, &reader), MM_ERR_CORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers_config_check),
        cmocka_unit_test(test_registers_count_goes_to_month_and_hour),
        cmocka_unit_test(test_registers_pending_is_filed_once),
        cmocka_unit_test(test_registers_begin_month_keeps_life_and_interval),
        cmocka_unit_test(test_registers_sums_saturate_and_life_does_not),
        cmocka_unit_test(test_registers_encode_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
