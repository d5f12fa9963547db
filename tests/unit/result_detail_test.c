// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/result_detail.h"

#include "wire_vectors.h"

// The values of tools/make-wire-vectors.

static void fill_full_hours(uint32_t hours_pulses[MM_HOURS_OF_DAY]) {
    memset(hours_pulses, 0xFF, MM_HOURS_OF_DAY * sizeof hours_pulses[0]);
}

static mm_meter_identity_t identity_limit(void) {
    return (mm_meter_identity_t){"MT0000000008", 65535, UINT64_MAX, UINT64_MAX}; // sent as 2^63-1
}

static mm_archive_detail_t archive(bool limit) {
    mm_archive_detail_t detail = {.before = {"MT0000000001", 1000, 4321000, 12345678},
                                  .year_month = 2025 * 12 + 5,
                                  .month_pulses = 24 * 1000 + 37 * 276,
                                  .after = {"MT0000000009", 800, 0, 0}};
    for (uint32_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
        detail.hours_pulses[hour] = 1000 + 37 * hour;
    }
    if (limit) {
        detail = (mm_archive_detail_t){.before = identity_limit(),
                                       .pending_pulses = UINT64_MAX,
                                       .year_month = 65535,
                                       .month_pulses = UINT32_MAX,
                                       .after = identity_limit()};
        fill_full_hours(detail.hours_pulses);
    }
    return detail;
}

static mm_meter_detail_t meter(bool limit) {
    mm_meter_detail_t detail = {.now = {"MT0000000001", 1000, 4321000, 12345678},
                                .pending_pulses = 3,
                                .year_month = 2025 * 12 + 5,
                                .month_pulses = 7,
                                .hours_pulses = {1, 1, 1, 1, 1, 1, 1},
                                .relay_reasons = 2,
                                .prepaid = true,
                                .low = true,
                                .emergency_taken = true,
                                .balance_wh = -5,
                                .applied_wh = 20000,
                                .token_count = 12,
                                .warning_wh = 2000,
                                .emergency_wh = 1000,
                                .quiet_hours = 0xE00000,
                                .quiet_days = 0x41};
    if (limit) {
        detail = (mm_meter_detail_t){.now = identity_limit(),
                                     .pending_pulses = UINT64_MAX,
                                     .year_month = 65535,
                                     .month_pulses = UINT32_MAX,
                                     .relay_closed = true,
                                     .relay_reasons = 15,
                                     .prepaid = true,
                                     .low = true,
                                     .emergency_taken = true,
                                     .balance_wh = INT64_MIN,
                                     .applied_wh = INT64_MAX,
                                     .token_count = UINT32_MAX,
                                     .warning_wh = UINT32_MAX,
                                     .emergency_wh = UINT32_MAX,
                                     .quiet_hours = 0xFFFFFF,
                                     .quiet_days = 0x7F};
        fill_full_hours(detail.hours_pulses);
    }
    return detail;
}

static void assert_identity_equal(const mm_meter_identity_t *left, const mm_meter_identity_t *right) {
    assert_string_equal(left->id, right->id);
    assert_true(left->pulse_constant == right->pulse_constant);
    assert_true(left->start_wh == (right->start_wh > INT64_MAX ? INT64_MAX : right->start_wh));
    assert_true(left->life_pulses == (right->life_pulses > INT64_MAX ? INT64_MAX : right->life_pulses));
}

static void test_archive_detail(void **state) {
    (void)state;
    for (unsigned limit = 0; limit < 2; limit++) {
        mm_archive_detail_t detail = archive(limit != 0);
        uint8_t bytes[MM_RESULT_DETAIL_BYTES_MAX];
        mm_writer_t writer = mm_writer(bytes, sizeof bytes);
        mm_archive_detail_put(&detail, &writer);
        assert_false(writer.failed);
        vector_assert_equal(limit ? "command_detail_archive_limit" : "command_detail_archive", bytes,
                            writer.used_bytes);
        mm_archive_detail_t read;
        assert_int_equal(mm_archive_detail_read(bytes, writer.used_bytes, &read), MM_OK);
        assert_identity_equal(&read.before, &detail.before);
        assert_identity_equal(&read.after, &detail.after);
        assert_true(read.pending_pulses == (limit ? INT64_MAX : 0));
        assert_int_equal(read.year_month, detail.year_month);
        assert_true(read.month_pulses == detail.month_pulses);
        assert_memory_equal(read.hours_pulses, detail.hours_pulses, sizeof read.hours_pulses);
    }
}

static void test_meter_detail(void **state) {
    (void)state;
    for (unsigned limit = 0; limit < 2; limit++) {
        mm_meter_detail_t detail = meter(limit != 0);
        uint8_t bytes[MM_RESULT_DETAIL_BYTES_MAX];
        mm_writer_t writer = mm_writer(bytes, sizeof bytes);
        mm_meter_detail_put(&detail, &writer);
        assert_false(writer.failed);
        vector_assert_equal(limit ? "command_detail_meter_limit" : "command_detail_meter", bytes, writer.used_bytes);
        mm_meter_detail_t read;
        assert_int_equal(mm_meter_detail_read(bytes, writer.used_bytes, &read), MM_OK);
        assert_identity_equal(&read.now, &detail.now);
        assert_true(read.pending_pulses == (limit ? INT64_MAX : 3));
        assert_int_equal(read.year_month, detail.year_month);
        assert_true(read.month_pulses == detail.month_pulses);
        assert_memory_equal(read.hours_pulses, detail.hours_pulses, sizeof read.hours_pulses);
        assert_true(read.relay_closed == detail.relay_closed && read.prepaid && read.low && read.emergency_taken);
        assert_int_equal(read.relay_reasons, detail.relay_reasons);
        assert_true(read.balance_wh == detail.balance_wh && read.applied_wh == detail.applied_wh);
        assert_true(read.token_count == detail.token_count);
        assert_true(read.warning_wh == detail.warning_wh && read.emergency_wh == detail.emergency_wh);
        assert_true(read.quiet_hours == detail.quiet_hours && read.quiet_days == detail.quiet_days);
    }
    mm_meter_detail_t detail = meter(false);
    uint8_t bytes[MM_RESULT_DETAIL_BYTES_MAX];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    detail.relay_reasons = 16;
    expect_assert_failure(mm_meter_detail_put(&detail, &writer));
    detail.relay_reasons = 0;
    detail.quiet_days = 128;
    expect_assert_failure(mm_meter_detail_put(&detail, &writer));
}

static void test_format_detail(void **state) {
    (void)state;
    uint8_t bytes[8];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    mm_format_detail_put(123456, &writer);
    vector_assert_equal("command_detail_format", bytes, writer.used_bytes);
    uint32_t code;
    assert_int_equal(mm_format_detail_read(bytes, 4, &code), MM_OK);
    assert_int_equal(code, 123456);
    assert_int_equal(mm_format_detail_read(bytes, 3, &code), MM_ERR_CORRUPT);
    assert_int_equal(mm_format_detail_read(bytes, 5, &code), MM_ERR_CORRUPT);
    assert_int_equal(mm_format_detail_read("\0\0\0\0", 4, &code), MM_ERR_CORRUPT);
    expect_assert_failure(mm_format_detail_put(0, &writer));
}

// What is accepted must be the one encoding of what was understood.
static bool archive_is_sound(const uint8_t *bytes, size_t bytes_count) {
    mm_archive_detail_t detail;
    if (mm_archive_detail_read(bytes, bytes_count, &detail) != MM_OK) {
        return false;
    }
    uint8_t again[MM_RESULT_DETAIL_BYTES_MAX];
    mm_writer_t writer = mm_writer(again, sizeof again);
    mm_archive_detail_put(&detail, &writer);
    assert_int_equal(writer.used_bytes, bytes_count);
    assert_memory_equal(again, bytes, bytes_count);
    return true;
}

static bool meter_is_sound(const uint8_t *bytes, size_t bytes_count) {
    mm_meter_detail_t detail;
    if (mm_meter_detail_read(bytes, bytes_count, &detail) != MM_OK) {
        return false;
    }
    uint8_t again[MM_RESULT_DETAIL_BYTES_MAX];
    mm_writer_t writer = mm_writer(again, sizeof again);
    mm_meter_detail_put(&detail, &writer);
    assert_int_equal(writer.used_bytes, bytes_count);
    assert_memory_equal(again, bytes, bytes_count);
    return true;
}

static void assert_damage(const char *name, vector_decode_fn is_sound) {
    static vector_t vector;
    vector_load(name, &vector);
    assert_true(is_sound(vector.bytes, vector.bytes_count));
    for (size_t cut_bytes = 0; cut_bytes < vector.bytes_count; cut_bytes++) {
        uint8_t *copy = vector_copy(vector.bytes, cut_bytes);
        assert_false(is_sound(copy, cut_bytes));
        free(copy);
    }
    vector.bytes[vector.bytes_count] = 0;
    assert_false(is_sound(vector.bytes, vector.bytes_count + 1));
    for (size_t bit = 0; bit < vector.bytes_count * 8; bit++) {
        vector.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        is_sound(vector.bytes, vector.bytes_count);
        vector.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}

static void test_detail_damage(void **state) {
    (void)state;
    assert_damage("command_detail_archive", archive_is_sound);
    assert_damage("command_detail_archive_limit", archive_is_sound);
    assert_damage("command_detail_meter", meter_is_sound);
    assert_damage("command_detail_meter_limit", meter_is_sound);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_archive_detail),
        cmocka_unit_test(test_meter_detail),
        cmocka_unit_test(test_format_detail),
        cmocka_unit_test(test_detail_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
