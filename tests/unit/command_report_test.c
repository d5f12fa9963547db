// SPDX-License-Identifier: Apache-2.0
// The control report: a section of a node's report.
#include "meshmeter/command.h"

#include "wire_vectors.h"

// The values of tools/make-wire-vectors.
static const mm_mac_t s_node = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x03}};
static const mm_mac_t s_other_node = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x04}};

static mm_control_report_t control_plain(void) {
    mm_control_report_t control = {
        .era = 0xA1B2C3D4, .counter = 8, .slot = 249, .slot_count = 250, .signed_only = true};
    control.meters[0].prepaid = true;
    control.meters[0].relay_reasons = 2;
    control.meters[0].low = true;
    control.meters[0].emergency_taken = true;
    control.meters[0].balance_wh = -1;
    control.meters[0].applied_wh = 20000;
    control.meters[0].token_count = 12;
    for (size_t channel = 1; channel < MM_CHANNELS; channel++) {
        control.meters[channel].relay_closed = true;
    }
    control.meters[7].prepaid = true;
    control.meters[7].balance_wh = 5;
    control.meters[7].applied_wh = 5;
    return control;
}

static mm_control_report_t control_virgin(void) {
    mm_control_report_t control = {0};
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        control.meters[channel].relay_reasons = 8;
    }
    return control;
}

static mm_control_report_t control_limit(void) {
    mm_control_report_t control = {.era = UINT32_MAX,
                                   .counter = UINT32_MAX,
                                   .slot = UINT32_MAX - 1,
                                   .slot_count = UINT32_MAX,
                                   .signed_only = true};
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        control.meters[channel].prepaid = true;
        control.meters[channel].relay_reasons = 15;
        control.meters[channel].relay_closed = true;
        control.meters[channel].low = true;
        control.meters[channel].emergency_taken = true;
        control.meters[channel].balance_wh = INT64_MIN;
        control.meters[channel].applied_wh = INT64_MAX;
        control.meters[channel].token_count = UINT32_MAX;
    }
    return control;
}

static void assert_control_equal(const mm_control_report_t *left, const mm_control_report_t *right) {
    assert_true(left->era == right->era);
    assert_true(left->counter == right->counter);
    assert_true(left->slot == right->slot);
    assert_true(left->slot_count == right->slot_count);
    assert_int_equal(left->signed_only, right->signed_only);
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_int_equal(left->meters[channel].prepaid, right->meters[channel].prepaid);
        assert_int_equal(left->meters[channel].relay_reasons, right->meters[channel].relay_reasons);
        assert_int_equal(left->meters[channel].relay_closed, right->meters[channel].relay_closed);
        assert_int_equal(left->meters[channel].low, right->meters[channel].low);
        assert_int_equal(left->meters[channel].emergency_taken, right->meters[channel].emergency_taken);
        assert_true(left->meters[channel].balance_wh == right->meters[channel].balance_wh);
        assert_true(left->meters[channel].applied_wh == right->meters[channel].applied_wh);
        assert_true(left->meters[channel].token_count == right->meters[channel].token_count);
    }
}

static mm_report_reader_t open_report(const uint8_t *bytes, size_t bytes_count) {
    mm_frame_t frame;
    mm_report_reader_t reader;
    assert_int_equal(mm_frame_open(bytes, bytes_count, &frame), MM_OK);
    assert_int_equal(mm_report_open(&frame, &reader), MM_OK);
    return reader;
}

static void assert_next_control(mm_report_reader_t *reader, const mm_control_report_t *expected) {
    mm_record_view_t record;
    mm_control_report_t control;
    assert_int_equal(mm_report_next(reader, NULL, &record), MM_REPORT_CONTROL);
    assert_int_equal(mm_control_report_read(&reader->control, &control), MM_OK);
    assert_control_equal(&control, expected);
}

static void put_vector(mm_report_writer_t *report, uint32_t seq, uint8_t type, const char *name) {
    static vector_t vector;
    vector_load(name, &vector);
    assert_int_equal(mm_report_put_record(report, (mm_position_t){1, seq}, type, vector.bytes, vector.bytes_count),
                     MM_OK);
}

static void test_control_golden_vectors(void **state) {
    (void)state;
    static vector_t vector;
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    mm_report_writer_t report;
    mm_record_view_t record;

    mm_control_report_t control = control_virgin();
    mm_report_begin(&report, bytes, sizeof bytes, s_other_node, 1);
    assert_int_equal(mm_report_put_control(&report, &control), MM_OK);
    vector_assert_equal("frame_report_control_alone", bytes, mm_report_finish(&report));
    vector_load("frame_report_control_alone", &vector);
    mm_report_reader_t reader = open_report(vector.bytes, vector.bytes_count);
    assert_next_control(&reader, &control);
    assert_int_equal(mm_report_next(&reader, NULL, &record), MM_REPORT_END);

    control = control_limit();
    mm_report_begin(&report, bytes, sizeof bytes, s_node, 0xDEADBEEF);
    assert_int_equal(mm_report_put_control(&report, &control), MM_OK);
    vector_assert_equal("frame_report_control_limit", bytes, mm_report_finish(&report));
    reader = open_report(bytes, mm_report_finish(&report));
    assert_next_control(&reader, &control);

    // Behind a snapshot and before records, byte by byte as the frame that was written elsewhere.
    vector_load("frame_report_snapshot", &vector);
    reader = open_report(vector.bytes, vector.bytes_count);
    mm_snapshot_t snapshot;
    assert_int_equal(mm_report_next(&reader, &snapshot, &record), MM_REPORT_SNAPSHOT);
    control = control_plain();
    mm_report_begin(&report, bytes, sizeof bytes, s_node, 0xDEADBEEF);
    assert_int_equal(mm_report_put_snapshot(&report, &snapshot), MM_OK);
    assert_int_equal(mm_report_put_control(&report, &control), MM_OK);
    put_vector(&report, 70097, MM_RECORD_RESULT, "record_result_plain");
    put_vector(&report, 70098, MM_RECORD_CREDIT, "record_credit_plain");
    vector_assert_equal("frame_report_control", bytes, mm_report_finish(&report));
    reader = open_report(bytes, mm_report_finish(&report));
    assert_int_equal(mm_report_next(&reader, NULL, &record), MM_REPORT_SNAPSHOT);
    assert_next_control(&reader, &control);
    assert_int_equal(mm_report_next(&reader, NULL, &record), MM_REPORT_RECORD);
    assert_int_equal(record.type, MM_RECORD_RESULT);
    assert_int_equal(mm_report_next(&reader, NULL, &record), MM_REPORT_RECORD);
    assert_int_equal(record.type, MM_RECORD_CREDIT);
    assert_int_equal(mm_report_next(&reader, NULL, &record), MM_REPORT_END);
}

static void test_control_full_leaves_it_as_it_was(void **state) {
    (void)state;
    mm_control_report_t control = control_virgin(); // 3 + 7 + 8 bytes
    for (size_t capacity_bytes = 0; capacity_bytes <= 38; capacity_bytes++) {
        uint8_t *bytes = malloc(capacity_bytes > 0 ? capacity_bytes : 1);
        assert_non_null(bytes);
        mm_report_writer_t report;
        mm_report_begin(&report, bytes, capacity_bytes, s_node, 1);
        assert_int_equal(mm_report_put_control(&report, &control), capacity_bytes < 38 ? MM_ERR_FULL : MM_OK);
        assert_int_equal(mm_report_finish(&report), capacity_bytes < 20 ? 0 : capacity_bytes < 38 ? 20 : 38);
        free(bytes);
    }
}

static void test_control_writer_asserts(void **state) {
    (void)state;
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    mm_report_writer_t report;
    mm_snapshot_t snapshot = {.boot_no = 1};
    mm_control_report_t control = control_plain();
    mm_report_begin(&report, bytes, sizeof bytes, s_node, 1);
    assert_int_equal(mm_report_put_control(&report, &control), MM_OK);
    expect_assert_failure(mm_report_put_control(&report, &control)); // twice
    expect_assert_failure(mm_report_put_snapshot(&report, &snapshot));
    mm_report_begin(&report, bytes, sizeof bytes, s_node, 1);
    assert_int_equal(mm_report_put_record(&report, (mm_position_t){1, 1}, 9, NULL, 0), MM_OK);
    expect_assert_failure(mm_report_put_control(&report, &control)); // behind a record
    mm_report_begin(&report, bytes, sizeof bytes, s_node, 1);
    control.slot = control.slot_count;
    expect_assert_failure(mm_report_put_control(&report, &control));
    control = control_plain();
    control.slot_count = 0;
    expect_assert_failure(mm_report_put_control(&report, &control));
    control = control_plain();
    control.meters[3].relay_reasons = 16;
    expect_assert_failure(mm_report_put_control(&report, &control));
}

// A whole report, its control section read as well.
static bool decode_report(const uint8_t *bytes, size_t bytes_count) {
    mm_frame_t frame;
    mm_report_reader_t reader;
    if (mm_frame_open(bytes, bytes_count, &frame) != MM_OK || frame.type != MM_FRAME_REPORT ||
        mm_report_open(&frame, &reader) != MM_OK) {
        return false;
    }
    unsigned control_count = 0;
    for (;;) {
        mm_snapshot_t snapshot;
        mm_record_view_t record;
        mm_control_report_t control;
        switch (mm_report_next(&reader, &snapshot, &record)) {
        case MM_REPORT_END:
            return true;
        case MM_REPORT_CORRUPT:
            return false;
        case MM_REPORT_CONTROL:
            assert_int_equal(mm_control_report_read(&reader.control, &control), MM_OK);
            assert_int_equal(++control_count, 1);
            break;
        default:
            break;
        }
    }
}

static void test_control_damage(void **state) {
    (void)state;
    static vector_t vector;
    const char *const names[] = {"frame_report_control", "frame_report_control_alone", "frame_report_control_limit"};
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        vector_load(names[index], &vector);
        assert_true(decode_report(vector.bytes, vector.bytes_count));
        vector_assert_damage_refused(&vector, decode_report);
        vector_try_sealed_damage(&vector, 2, 20, decode_report);
    }
}

#define PREFIX 16 // where the sections of a report begin
#define CONTROL 4, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
#define RUN 2, 11, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 9, 0

// Sections that a sender with a good checksum may put together.
static void test_control_sections(void **state) {
    (void)state;
    const struct {
        uint8_t bytes[64];
        size_t bytes_count;
        bool good;
        const char *why;
    } cases[] = {
        {{CONTROL}, 18, true, "alone"},
        {{77, 0, 0, CONTROL}, 21, true, "behind a later section"},
        {{CONTROL, RUN}, 32, true, "before records"},
        {{RUN, CONTROL}, 32, false, "behind records"},
        {{CONTROL, CONTROL}, 36, false, "twice"},
        {{4, 14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 17, false, "a byte too few"},
        {{4, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 19, false, "a byte too many"},
        {{4, 15, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 18, false, "a flag of a later version"},
        {{4, 16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 19, true, "slot 0 of 1"},
        {{4, 16, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0}, 19, false, "slot 1 of 1"},
        {{4, 18, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9, 8, 7, 0, 0, 0, 0, 0, 0, 0}, 21, true, "a prepaid meter"},
        {{4, 16, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 19, false, "a counter in a longer form"},
    };
    static vector_t vector;
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        vector_load("frame_report_empty", &vector);
        memcpy(vector.bytes + PREFIX, cases[index].bytes, cases[index].bytes_count);
        size_t bytes_count = PREFIX + cases[index].bytes_count + 4;
        vector_seal(vector.bytes, bytes_count, 2);
        if (decode_report(vector.bytes, bytes_count) != cases[index].good) {
            fail_msg("%s", cases[index].why);
        }
    }
    // A snapshot must not follow.
    vector_load("frame_report_virgin", &vector);
    const uint8_t control[] = {CONTROL};
    size_t bytes_count = vector.bytes_count + sizeof control;
    memmove(vector.bytes + PREFIX + sizeof control, vector.bytes + PREFIX, vector.bytes_count - PREFIX);
    memcpy(vector.bytes + PREFIX, control, sizeof control);
    vector_seal(vector.bytes, bytes_count, 2);
    assert_false(decode_report(vector.bytes, bytes_count));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_golden_vectors), cmocka_unit_test(test_control_full_leaves_it_as_it_was),
        cmocka_unit_test(test_control_writer_asserts), cmocka_unit_test(test_control_damage),
        cmocka_unit_test(test_control_sections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
