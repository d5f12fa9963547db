// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/bytes.h"

#include <string.h>

#include "meshmeter/counters.h"
#include "meshmeter/random.h"
#include "test_support.h"

static void test_bytes_put_is_little_endian(void **state) {
    (void)state;
    uint8_t bytes[32];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    mm_put_u8(&writer, 0x01);
    mm_put_u16(&writer, 0x0302);
    mm_put_u32(&writer, 0x07060504);
    mm_put_u40(&writer, UINT64_C(0x0C0B0A0908));
    mm_put_u64(&writer, UINT64_C(0x14131211100F0E0D));
    mm_put_mac(&writer, (mm_mac_t){{0x15, 0x16, 0x17, 0x18, 0x19, 0x1A}});
    assert_false(writer.failed);
    assert_int_equal(writer.used_bytes, 26);
    for (size_t index = 0; index < writer.used_bytes; index++) {
        assert_int_equal(bytes[index], index + 1);
    }

    mm_reader_t reader = mm_reader(bytes, writer.used_bytes);
    assert_int_equal(mm_get_u8(&reader), 0x01);
    assert_int_equal(mm_get_u16(&reader), 0x0302);
    assert_int_equal(mm_get_u32(&reader), 0x07060504);
    assert_true(mm_get_u40(&reader) == UINT64_C(0x0C0B0A0908));
    assert_true(mm_get_u64(&reader) == UINT64_C(0x14131211100F0E0D));
    assert_true(mm_mac_equal(mm_get_mac(&reader), (mm_mac_t){{0x15, 0x16, 0x17, 0x18, 0x19, 0x1A}}));
    assert_false(reader.failed);
    assert_int_equal(mm_reader_left_bytes(&reader), 0);
}

static void test_bytes_put_overrun_is_sticky(void **state) {
    (void)state;
    uint8_t bytes[4] = {0xEE, 0xEE, 0xEE, 0xEE};
    mm_writer_t writer = mm_writer(bytes, 3);
    mm_put_u16(&writer, 0x1111);
    mm_put_u16(&writer, 0x2222);
    assert_true(writer.failed);
    mm_put_u8(&writer, 0x33); // would fit, but comes after the overrun
    assert_int_equal(writer.used_bytes, 2);
    assert_int_equal(bytes[2], 0xEE);
    assert_int_equal(bytes[3], 0xEE);
    mm_patch_u16(&writer, 0, 0x4444);
    assert_int_equal(bytes[0], 0x11);

    mm_writer_t nothing = mm_writer(NULL, 0);
    mm_put_bytes(&nothing, NULL, 0);
    assert_false(nothing.failed);
    mm_put_u8(&nothing, 1);
    assert_true(nothing.failed);
}

static void test_bytes_get_overrun_is_sticky(void **state) {
    (void)state;
    const uint8_t bytes[] = {1, 2, 3};
    mm_reader_t reader = mm_reader(bytes, sizeof bytes);
    assert_int_equal(mm_get_u32(&reader), 0);
    assert_true(reader.failed);
    assert_int_equal(mm_get_u8(&reader), 0);
    assert_int_equal(mm_reader_left_bytes(&reader), 0);
    assert_null(mm_get_view(&reader, 0));
    uint8_t copy[2] = {9, 9};
    mm_get_bytes(&reader, copy, sizeof copy);
    assert_int_equal(copy[0] | copy[1], 0);
    assert_true(mm_mac_is_zero(mm_get_mac(&reader)));

    mm_reader_t huge = mm_reader(bytes, sizeof bytes);
    mm_get_u8(&huge);
    assert_null(mm_get_view(&huge, SIZE_MAX)); // position + count would overflow
    assert_true(huge.failed);

    mm_reader_t nothing = mm_reader(NULL, 0);
    assert_non_null(mm_get_view(&nothing, 0));
    mm_get_bytes(&nothing, NULL, 0);
    assert_false(nothing.failed);
}

static void test_bytes_patch(void **state) {
    (void)state;
    uint8_t bytes[4];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    mm_put_u16(&writer, 0);
    mm_put_u8(&writer, 0xFF);
    mm_patch_u16(&writer, 1, 0xABCD);
    assert_int_equal(bytes[1], 0xCD);
    assert_int_equal(bytes[2], 0xAB);
    expect_assert_failure(mm_patch_u16(&writer, 2, 0)); // second byte was never written
    expect_assert_failure(mm_patch_u16(&writer, SIZE_MAX, 0));
    mm_writer_t short_writer = mm_writer(bytes, sizeof bytes);
    mm_put_u8(&short_writer, 1);
    expect_assert_failure(mm_patch_u16(&short_writer, 0, 0));
}

static void test_bytes_put_u40_asserts_its_range(void **state) {
    (void)state;
    uint8_t bytes[5];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    mm_put_u40(&writer, (UINT64_C(1) << 40) - 1);
    assert_false(writer.failed);
    mm_writer_t other = mm_writer(bytes, sizeof bytes);
    expect_assert_failure(mm_put_u40(&other, UINT64_C(1) << 40));
}

typedef struct {
    uint64_t value;
    uint8_t bytes[10];
    uint8_t bytes_count;
} varint_example_t;

// The examples 624485 and 2 are those of the DWARF standard (version 5, appendix C); the others follow from 7 bits a
// byte.
static const varint_example_t s_varints[] = {
    {0, {0x00}, 1},
    {2, {0x02}, 1},
    {127, {0x7F}, 1},
    {128, {0x80, 0x01}, 2},
    {129, {0x81, 0x01}, 2},
    {12857, {0xB9, 0x64}, 2},
    {16383, {0xFF, 0x7F}, 2},
    {16384, {0x80, 0x80, 0x01}, 3},
    {624485, {0xE5, 0x8E, 0x26}, 3},
    {UINT32_MAX, {0xFF, 0xFF, 0xFF, 0xFF, 0x0F}, 5},
    {INT64_MAX, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F}, 9},
    {UINT64_MAX, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01}, 10},
};

static void test_bytes_varint_examples(void **state) {
    (void)state;
    for (size_t index = 0; index < sizeof s_varints / sizeof s_varints[0]; index++) {
        const varint_example_t *example = &s_varints[index];
        uint8_t bytes[10];
        mm_writer_t writer = mm_writer(bytes, sizeof bytes);
        mm_put_varint(&writer, example->value);
        assert_int_equal(writer.used_bytes, example->bytes_count);
        assert_memory_equal(bytes, example->bytes, example->bytes_count);
        assert_int_equal(mm_varint_bytes(example->value), example->bytes_count);
        mm_reader_t reader = mm_reader(bytes, writer.used_bytes);
        assert_true(mm_get_varint(&reader) == example->value);
        assert_false(reader.failed);
        for (size_t cut_bytes = 0; cut_bytes < writer.used_bytes; cut_bytes++) {
            mm_reader_t cut = mm_reader(bytes, cut_bytes);
            assert_true(mm_get_varint(&cut) == 0);
            assert_true(cut.failed);
        }
    }
}

static void test_bytes_varint_refuses_other_forms(void **state) {
    (void)state;
    static const struct {
        uint8_t bytes[11];
        uint8_t bytes_count;
    } refused[] = {
        {{0x80, 0x00}, 2},                                                        // 0 in two bytes
        {{0xFF, 0x80, 0x00}, 3},                                                  // 127 in three
        {{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02}, 10},       // 2^64 and more
        {{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x81, 0x00}, 11}, // eleven bytes
        {{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, 10},       // 0 in ten
        {{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, 11}, // 2^70
    };
    for (size_t index = 0; index < sizeof refused / sizeof refused[0]; index++) {
        mm_reader_t reader = mm_reader(refused[index].bytes, refused[index].bytes_count);
        assert_true(mm_get_varint(&reader) == 0);
        assert_true(reader.failed);
    }
}

static void test_bytes_varint_max(void **state) {
    (void)state;
    const uint8_t bytes[] = {0x80, 0x01};
    mm_reader_t reader = mm_reader(bytes, sizeof bytes);
    assert_true(mm_get_varint_max(&reader, 128) == 128);
    assert_false(reader.failed);
    mm_reader_t above = mm_reader(bytes, sizeof bytes);
    assert_true(mm_get_varint_max(&above, 127) == 0);
    assert_true(above.failed);
}

static void test_bytes_varint_round_trip(void **state) {
    (void)state;
    mm_random_t random = mm_random(1);
    for (unsigned turn = 0; turn < 20000; turn++) {
        uint64_t value = ((uint64_t)mm_random_u32(&random) << 32) | mm_random_u32(&random);
        value >>= mm_random_below(&random, 64);
        uint8_t bytes[10];
        mm_writer_t writer = mm_writer(bytes, sizeof bytes);
        mm_put_varint(&writer, value);
        assert_int_equal(writer.used_bytes, mm_varint_bytes(value));
        mm_reader_t reader = mm_reader(bytes, writer.used_bytes);
        assert_true(mm_get_varint(&reader) == value);
        assert_int_equal(mm_reader_left_bytes(&reader), 0);
        assert_false(reader.failed);
    }
}

static void test_base_orders(void **state) {
    (void)state;
    mm_mac_t low = {{0, 0, 0, 0, 0, 1}};
    mm_mac_t high = {{0x80, 0, 0, 0, 0, 0}};
    assert_true(mm_mac_compare(low, high) < 0);
    assert_true(mm_mac_compare(high, low) > 0);
    assert_true(mm_mac_equal(low, low));
    assert_false(mm_mac_equal(low, high));
    assert_true(mm_mac_is_zero((mm_mac_t){{0}}));
    assert_false(mm_mac_is_zero(low));
    assert_true(mm_position_compare((mm_position_t){1, UINT32_MAX}, (mm_position_t){2, 0}) < 0);
    assert_true(mm_position_compare((mm_position_t){2, 1}, (mm_position_t){2, 0}) > 0);
    assert_true(mm_position_compare((mm_position_t){UINT32_MAX, 0}, (mm_position_t){1, 5}) > 0);
    assert_true(mm_position_compare((mm_position_t){2, 7}, (mm_position_t){2, 7}) == 0);
}

static void test_base_names(void **state) {
    (void)state;
    assert_string_equal(mm_err_name(MM_OK), "ok");
    for (int err = MM_ERR_STATE; err < MM_OK; err++) {
        assert_true(strlen(mm_err_name((mm_err_t)err)) > 0);
        assert_string_not_equal(mm_err_name((mm_err_t)err), "unknown error");
    }
    assert_string_equal(mm_err_name((mm_err_t)-99), "unknown error");
}

static void test_bytes_from_hex(void **state) {
    (void)state;
    uint8_t bytes[2] = {7, 7};
    assert_true(mm_hex_read("0aFf", bytes, 2));
    assert_int_equal(bytes[0], 0x0A);
    assert_int_equal(bytes[1], 0xFF);
    assert_true(mm_hex_read("", bytes, 0));
    assert_false(mm_hex_read("0aF", bytes, 2)); // too short, at either digit
    assert_false(mm_hex_read("0a", bytes, 2));
    assert_false(mm_hex_read("0aFf0", bytes, 2)); // too long
    assert_false(mm_hex_read("0aFg", bytes, 2));
    assert_false(mm_hex_read("0a g", bytes, 2));
}

static void test_counters_saturate(void **state) {
    (void)state;
    mm_counters_t counters = {{0}};
    mm_counters_add(&counters, MM_COUNTER_FRAME_CORRUPT, 3);
    mm_counters_add(&counters, MM_COUNTER_FRAME_CORRUPT, UINT32_MAX - 3);
    assert_true(counters.values[MM_COUNTER_FRAME_CORRUPT] == UINT32_MAX);
    mm_counters_add(&counters, MM_COUNTER_FRAME_CORRUPT, 1);
    assert_true(counters.values[MM_COUNTER_FRAME_CORRUPT] == UINT32_MAX);
    mm_counters_count(&counters, MM_COUNTER_FRAME_CORRUPT);
    assert_true(counters.values[MM_COUNTER_FRAME_CORRUPT] == UINT32_MAX);
    assert_true(counters.values[MM_COUNTER_FRAME_VERSION] == 0);
    mm_counters_count(&counters, MM_COUNTER_FRAME_VERSION);
    assert_true(counters.values[MM_COUNTER_FRAME_VERSION] == 1);
    expect_assert_failure(mm_counters_add(&counters, MM_COUNTER_COUNT, 1));
    expect_assert_failure(mm_counters_count(&counters, MM_COUNTER_COUNT));
}

static void test_counters_names_follow_ids(void **state) {
    (void)state;
    // Ids are fixed by the wire format: these must never change.
    assert_string_equal(mm_counter_name(0), "frame_corrupt");
    assert_string_equal(mm_counter_name(7), "round_incomplete");
    assert_string_equal(mm_counter_name(31), "watermark_rejected");
    assert_string_equal(mm_counter_name(MM_COUNTER_COUNT), "unknown");
    assert_string_equal(mm_counter_name(UINT32_MAX), "unknown");
}

// Zigzag as in Protocol Buffers' documentation: 0, -1, 1, -2 … are 0, 1, 2, 3 …; 2147483647 is 4294967294 and
// -2147483648 is 4294967295.
static void test_bytes_signed_varint(void **state) {
    (void)state;
    const struct {
        int64_t value;
        uint64_t zigzag;
    } examples[] = {
        {0, 0},
        {-1, 1},
        {1, 2},
        {-2, 3},
        {2, 4},
        {-64, 127},
        {64, 128},
        {-65, 129},
        {INT32_MAX, 4294967294},
        {INT32_MIN, 4294967295},
        {INT64_MAX, UINT64_MAX - 1},
        {INT64_MIN, UINT64_MAX},
    };
    for (size_t index = 0; index < sizeof examples / sizeof examples[0]; index++) {
        uint8_t bytes[10];
        mm_writer_t writer = mm_writer(bytes, sizeof bytes);
        mm_put_signed_varint(&writer, examples[index].value);
        mm_reader_t reader = mm_reader(bytes, writer.used_bytes);
        assert_true(mm_get_varint(&reader) == examples[index].zigzag);
        reader = mm_reader(bytes, writer.used_bytes);
        assert_true(mm_get_signed_varint(&reader) == examples[index].value);
        assert_false(reader.failed);
        reader = mm_reader(bytes, writer.used_bytes - 1);
        assert_true(mm_get_signed_varint(&reader) == 0);
        assert_true(reader.failed);
    }
}

static void test_bytes_equal_constant_time(void **state) {
    (void)state;
    uint8_t left[16] = {0};
    uint8_t right[16] = {0};
    assert_true(mm_bytes_equal_constant_time(left, right, sizeof left));
    assert_true(mm_bytes_equal_constant_time(NULL, NULL, 0));
    for (size_t bit = 0; bit < 8 * sizeof left; bit++) {
        right[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(mm_bytes_equal_constant_time(left, right, sizeof left));
        assert_true(mm_bytes_equal_constant_time(left, right, bit / 8));
        right[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}

// Every length and alignment, with one byte that is not blank at each place, and with none; what lies around is not
// looked at.
static void test_bytes_used(void **state) {
    (void)state;
    uint8_t bytes[48];
    assert_int_equal(mm_bytes_used(NULL, 0), 0);
    for (size_t from = 1; from <= 8; from++) {
        for (size_t bytes_count = 0; bytes_count <= 32; bytes_count++) {
            memset(bytes, 0, sizeof bytes);
            memset(bytes + from, 0xFF, bytes_count);
            assert_int_equal(mm_bytes_used(bytes + from, bytes_count), 0);
            for (size_t place = 0; place < bytes_count; place++) {
                bytes[from + place] = 0x7F;
                assert_int_equal(mm_bytes_used(bytes + from, bytes_count), place + 1);
                bytes[from + place] = 0xFF;
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_put_is_little_endian),
        cmocka_unit_test(test_bytes_put_overrun_is_sticky),
        cmocka_unit_test(test_bytes_get_overrun_is_sticky),
        cmocka_unit_test(test_bytes_patch),
        cmocka_unit_test(test_bytes_put_u40_asserts_its_range),
        cmocka_unit_test(test_bytes_varint_examples),
        cmocka_unit_test(test_bytes_varint_refuses_other_forms),
        cmocka_unit_test(test_bytes_varint_max),
        cmocka_unit_test(test_bytes_varint_round_trip),
        cmocka_unit_test(test_base_orders),
        cmocka_unit_test(test_bytes_signed_varint),
        cmocka_unit_test(test_bytes_equal_constant_time),
        cmocka_unit_test(test_bytes_used),
        cmocka_unit_test(test_base_names),
        cmocka_unit_test(test_bytes_from_hex),
        cmocka_unit_test(test_counters_saturate),
        cmocka_unit_test(test_counters_names_follow_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
