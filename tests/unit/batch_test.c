// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/batch.h"

#include "wire_vectors.h"

#define BATCH_BYTES_MIN 43
#define ACK_BYTES_MIN 38

// The values of tools/make-wire-vectors.
static const mm_mac_t s_node = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x03}};
static const mm_mac_t s_other_node = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x04}};
static const mm_mac_t s_root = {{0x24, 0x0A, 0xC4, 0xFF, 0x00, 0x01}};

static mm_batch_header_t header_plain(uint8_t kind, uint8_t index, uint8_t count) {
    return (mm_batch_header_t){.root = s_root,
                               .root_boot_no = 3,
                               .session = 12,
                               .round_id = 0xDEADBEEF,
                               .kind = kind,
                               .time = {{1750000000123456}, MM_TRUST_SYNCED},
                               .batch_index = index,
                               .batch_count = count};
}

static void add_vector(mm_batch_builder_t *builder, const char *name) {
    vector_t vector;
    vector_load(name, &vector);
    assert_int_equal(mm_batch_add_frame(builder, vector.bytes, vector.bytes_count), MM_OK);
}

static void assert_finishes_as(mm_batch_builder_t *builder, const mm_batch_header_t *header, const char *name) {
    size_t message_bytes;
    const uint8_t *message = mm_batch_finish(builder, header, &message_bytes);
    assert_true(message >= builder->bytes && message + message_bytes <= builder->bytes + builder->capacity_bytes);
    vector_assert_equal(name, message, message_bytes);
}

static void test_batch_golden_vectors(void **state) {
    (void)state;
    static uint8_t bytes[MM_BATCH_BYTES_MAX];
    mm_batch_builder_t builder;
    mm_batch_header_t live = header_plain(MM_BATCH_LIVE, 0, 2);
    live.missing_count = 2;
    live.missing[0] = s_node;
    live.missing[1] = s_root;
    mm_batch_begin(&builder, bytes, sizeof bytes);
    add_vector(&builder, "frame_report_virgin");
    add_vector(&builder, "frame_report_runs");
    assert_finishes_as(&builder, &live, "batch_live");

    mm_batch_header_t nobody = header_plain(MM_BATCH_LIVE, 0, 1);
    nobody.missing_count = 1;
    nobody.missing[0] = s_node;
    mm_batch_begin(&builder, bytes, sizeof bytes);
    assert_finishes_as(&builder, &nobody, "batch_nobody");

    // May be finished again with another header, and frames added in between.
    mm_batch_header_t backlog = header_plain(MM_BATCH_BACKLOG, 1, 2);
    add_vector(&builder, "frame_report_runs");
    assert_finishes_as(&builder, &backlog, "batch_backlog");
    assert_finishes_as(&builder, &backlog, "batch_backlog");
}

static void assert_next_frame(mm_batch_reader_t *reader, const char *name) {
    const uint8_t *frame;
    size_t frame_bytes;
    assert_true(mm_batch_next(reader, &frame, &frame_bytes));
    vector_assert_equal(name, frame, frame_bytes);
}

static void assert_header_equal(const mm_batch_header_t *left, const mm_batch_header_t *right) {
    assert_true(mm_mac_equal(left->root, right->root));
    assert_true(left->root_boot_no == right->root_boot_no);
    assert_true(left->session == right->session);
    assert_true(left->round_id == right->round_id);
    assert_int_equal(left->kind, right->kind);
    assert_true(left->time.utc.us == right->time.utc.us);
    assert_int_equal(left->time.trust, right->time.trust);
    assert_int_equal(left->batch_index, right->batch_index);
    assert_int_equal(left->batch_count, right->batch_count);
    assert_int_equal(left->missing_count, right->missing_count);
    for (size_t i = 0; i < left->missing_count; i++) { // an address has padding behind it
        assert_true(mm_mac_equal(left->missing[i], right->missing[i]));
    }
}

static void test_batch_read(void **state) {
    (void)state;
    static vector_t vector;
    static mm_batch_reader_t reader;
    const uint8_t *frame;
    size_t frame_bytes;
    vector_load("batch_live", &vector);
    assert_int_equal(mm_batch_open(vector.bytes, vector.bytes_count, &reader), MM_OK);
    mm_batch_header_t live = header_plain(MM_BATCH_LIVE, 0, 2);
    live.missing_count = 2;
    live.missing[0] = s_node;
    live.missing[1] = s_root;
    assert_header_equal(&reader.header, &live);
    assert_int_equal(reader.frame_count, 2);
    assert_next_frame(&reader, "frame_report_virgin");
    assert_next_frame(&reader, "frame_report_runs");
    assert_false(mm_batch_next(&reader, &frame, &frame_bytes));
    assert_false(mm_batch_next(&reader, &frame, &frame_bytes));

    vector_load("batch_backlog", &vector);
    assert_int_equal(mm_batch_open(vector.bytes, vector.bytes_count, &reader), MM_OK);
    mm_batch_header_t backlog = header_plain(MM_BATCH_BACKLOG, 1, 2);
    assert_header_equal(&reader.header, &backlog);

    vector_load("batch_nobody", &vector);
    assert_int_equal(mm_batch_open(vector.bytes, vector.bytes_count, &reader), MM_OK);
    assert_int_equal(reader.header.missing_count, 1);
    assert_false(mm_batch_next(&reader, &frame, &frame_bytes));

    vector_load("batch_section", &vector); // sections of a later version are skipped
    assert_int_equal(mm_batch_open(vector.bytes, vector.bytes_count, &reader), MM_OK);
    assert_next_frame(&reader, "frame_report_virgin");
    assert_false(mm_batch_next(&reader, &frame, &frame_bytes));
}

// True if the batch was accepted; what it borrows must lie inside of the message.
static bool decode_batch(const uint8_t *bytes, size_t bytes_count) {
    static mm_batch_reader_t reader;
    if (mm_batch_open(bytes, bytes_count, &reader) != MM_OK) {
        return false;
    }
    assert_true(reader.frame_count <= MM_BATCH_NODES_MAX);
    assert_true(reader.header.missing_count <= MM_NODES_MAX);
    const uint8_t *frame;
    size_t frame_bytes;
    unsigned frame_count = 0;
    while (mm_batch_next(&reader, &frame, &frame_bytes)) {
        assert_in_range(frame_bytes, 1, MM_MESH_FRAME_BYTES_MAX);
        assert_true(frame >= bytes && frame + frame_bytes <= bytes + bytes_count - 4);
        frame_count++;
    }
    assert_int_equal(frame_count, reader.frame_count);
    return true;
}

static bool decode_ack(const uint8_t *bytes, size_t bytes_count) {
    static mm_ack_t ack;
    bool accepted = mm_ack_read(bytes, bytes_count, &ack) == MM_OK;
    assert_true(ack.entry_count <= MM_NODES_MAX);
    return accepted;
}

static void test_batch_damage(void **state) {
    (void)state;
    static const char *const names[] = {"batch_live", "batch_backlog", "batch_nobody", "batch_section"};
    static vector_t vector;
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        vector_load(names[index], &vector);
        assert_true(decode_batch(vector.bytes, vector.bytes_count));
        assert_false(decode_ack(vector.bytes, vector.bytes_count));
        vector_assert_damage_refused(&vector, decode_batch);
        vector_try_sealed_damage(&vector, 4, BATCH_BYTES_MIN, decode_batch);
    }
}

// The vector with one byte changed and a good checksum.
static mm_err_t open_changed(const char *name, size_t at, uint8_t value) {
    static vector_t vector;
    static mm_batch_reader_t reader;
    vector_load(name, &vector);
    vector.bytes[at] = value;
    vector_seal(vector.bytes, vector.bytes_count, 4);
    return mm_batch_open(vector.bytes, vector.bytes_count, &reader);
}

static void test_batch_impossible_values_refused(void **state) {
    (void)state;
    assert_int_equal(open_changed("batch_nobody", 0, 0xF7), MM_OK);
    assert_int_equal(open_changed("batch_nobody", 0, 0xF6), MM_ERR_CORRUPT);
    assert_int_equal(open_changed("batch_nobody", 1, 0x4E), MM_ERR_CORRUPT);
    assert_int_equal(open_changed("batch_nobody", 2, 2), MM_ERR_VERSION);
    assert_int_equal(open_changed("batch_nobody", 3, 2), MM_OK);
    assert_int_equal(open_changed("batch_nobody", 3, 0), MM_ERR_VERSION);
    assert_int_equal(open_changed("batch_nobody", 3, 3), MM_ERR_VERSION);
    assert_int_equal(open_changed("batch_nobody", 26, 3), MM_ERR_CORRUPT);    // trust
    assert_int_equal(open_changed("batch_nobody", 34, 0x80), MM_ERR_CORRUPT); // time beyond 2^63 - 1
    assert_int_equal(open_changed("batch_nobody", 35, 1), MM_ERR_CORRUPT);    // index = count
    assert_int_equal(open_changed("batch_nobody", 36, 0), MM_ERR_CORRUPT);    // no batches
    assert_int_equal(open_changed("batch_nobody", 37, 101), MM_ERR_CORRUPT);  // missing
    assert_int_equal(open_changed("batch_nobody", 44, 1), MM_ERR_CORRUPT);    // a frame that is not there
    assert_int_equal(open_changed("batch_backlog", 39, 0), MM_ERR_CORRUPT);   // length of the frame
    assert_int_equal(open_changed("batch_backlog", 40, 0xFF), MM_ERR_CORRUPT);
    // Damage inside of a frame is not the batch's business.
    assert_int_equal(open_changed("batch_backlog", 60, 0xFF), MM_OK);

    // A frame of no bytes, eleven frames, a frame of 1,473 bytes.
    static uint8_t bytes[MM_BATCH_BYTES_MAX];
    static mm_batch_reader_t reader;
    static vector_t vector;
    vector_load("batch_nobody", &vector);
    memcpy(bytes, vector.bytes, 45);
    bytes[44] = 1;
    vector_seal(bytes, 45 + 2 + 4, 4);
    assert_int_equal(mm_batch_open(bytes, 45 + 2 + 4, &reader), MM_ERR_CORRUPT);
    bytes[44] = 11;
    for (size_t index = 0; index < 11; index++) {
        memcpy(bytes + 45 + 3 * index, "\x01\x00X", 3);
    }
    vector_seal(bytes, 45 + 33 + 4, 4);
    assert_int_equal(mm_batch_open(bytes, 45 + 33 + 4, &reader), MM_ERR_CORRUPT);
    bytes[44] = 10;
    vector_seal(bytes, 45 + 30 + 4, 4);
    assert_int_equal(mm_batch_open(bytes, 45 + 30 + 4, &reader), MM_OK);
    bytes[44] = 1;
    memcpy(bytes + 45, "\xC1\x05", 2);
    vector_seal(bytes, 45 + 2 + 1473 + 4, 4);
    assert_int_equal(mm_batch_open(bytes, 45 + 2 + 1473 + 4, &reader), MM_ERR_CORRUPT);
    memcpy(bytes + 45, "\xC0\x05", 2);
    vector_seal(bytes, 45 + 2 + 1472 + 4, 4);
    assert_int_equal(mm_batch_open(bytes, 45 + 2 + 1472 + 4, &reader), MM_OK);
}

static void test_batch_limits(void **state) {
    (void)state;
    static uint8_t bytes[MM_BATCH_BYTES_MAX];
    uint8_t frame[MM_MESH_FRAME_BYTES_MAX];
    memset(frame, 0xA5, sizeof frame);
    mm_batch_builder_t builder;
    mm_batch_begin(&builder, bytes, sizeof bytes);
    for (unsigned index = 0; index < MM_BATCH_NODES_MAX; index++) {
        frame[0] = (uint8_t)index;
        assert_int_equal(mm_batch_add_frame(&builder, frame, sizeof frame), MM_OK);
    }
    assert_int_equal(mm_batch_add_frame(&builder, frame, 1), MM_ERR_FULL);
    mm_batch_header_t header = header_plain(MM_BATCH_LIVE, 9, 10);
    header.missing_count = MM_NODES_MAX;
    for (uint8_t index = 0; index < MM_NODES_MAX; index++) {
        header.missing[index].bytes[5] = index;
    }
    size_t message_bytes;
    const uint8_t *message = mm_batch_finish(&builder, &header, &message_bytes);
    assert_true(message >= bytes && message + message_bytes == bytes + sizeof bytes);
    static mm_batch_reader_t reader;
    assert_int_equal(mm_batch_open(message, message_bytes, &reader), MM_OK);
    assert_header_equal(&reader.header, &header);
    for (unsigned index = 0; index < MM_BATCH_NODES_MAX; index++) {
        const uint8_t *read;
        size_t read_bytes;
        frame[0] = (uint8_t)index;
        assert_true(mm_batch_next(&reader, &read, &read_bytes));
        assert_int_equal(read_bytes, sizeof frame);
        assert_memory_equal(read, frame, sizeof frame);
    }

    // Room for exactly one frame of 10 bytes.
    size_t capacity_bytes = MM_BATCH_HEADER_BYTES_MAX + 2 + 10 + 4;
    uint8_t *small = malloc(capacity_bytes);
    assert_non_null(small);
    mm_batch_begin(&builder, small, capacity_bytes);
    assert_int_equal(mm_batch_add_frame(&builder, frame, 11), MM_ERR_FULL);
    assert_int_equal(mm_batch_add_frame(&builder, frame, 10), MM_OK);
    assert_int_equal(mm_batch_add_frame(&builder, frame, 1), MM_ERR_FULL);
    message = mm_batch_finish(&builder, &header, &message_bytes);
    assert_true(decode_batch(message, message_bytes));
    free(small);
}

static void test_batch_asserts(void **state) {
    (void)state;
    static uint8_t bytes[MM_BATCH_BYTES_MAX];
    mm_batch_builder_t builder;
    size_t message_bytes;
    expect_assert_failure(mm_batch_begin(&builder, bytes, MM_BATCH_HEADER_BYTES_MAX + 3));
    mm_batch_begin(&builder, bytes, sizeof bytes);
    expect_assert_failure(mm_batch_add_frame(&builder, bytes, 0));
    expect_assert_failure(mm_batch_add_frame(&builder, bytes, MM_MESH_FRAME_BYTES_MAX + 1));
    mm_batch_header_t header = header_plain(0, 0, 1);
    expect_assert_failure(mm_batch_finish(&builder, &header, &message_bytes));
    header = header_plain(MM_BATCH_LIVE, 1, 1);
    expect_assert_failure(mm_batch_finish(&builder, &header, &message_bytes));
    header = header_plain(MM_BATCH_LIVE, 0, 1);
    header.missing_count = MM_NODES_MAX + 1;
    expect_assert_failure(mm_batch_finish(&builder, &header, &message_bytes));
}

static mm_ack_t ack_plain(void) {
    return (mm_ack_t){.database_id = UINT64_C(0x1122334455667788),
                      .revision = (UINT64_C(1) << 40) + 5,
                      .time = {{1750000000123456}, MM_TRUST_SYNCED},
                      .entry_count = 2,
                      .entries = {{s_node, {1, 70096}}, {s_other_node, {UINT32_MAX, UINT32_MAX}}}};
}

static void assert_ack_equal(const mm_ack_t *left, const mm_ack_t *right) {
    assert_true(left->database_id == right->database_id);
    assert_true(left->revision == right->revision);
    assert_true(left->time.utc.us == right->time.utc.us);
    assert_int_equal(left->time.trust, right->time.trust);
    assert_int_equal(left->entry_count, right->entry_count);
    for (size_t index = 0; index < left->entry_count; index++) {
        assert_true(mm_mac_equal(left->entries[index].node, right->entries[index].node));
        assert_int_equal(mm_position_compare(left->entries[index].watermark, right->entries[index].watermark), 0);
    }
}

static void test_ack_golden_vectors(void **state) {
    (void)state;
    static vector_t vector;
    static mm_ack_t read;
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
    mm_ack_t ack = ack_plain();
    vector_assert_equal("ack_two", bytes, mm_ack_write(bytes, sizeof bytes, &ack));
    vector_load("ack_two", &vector);
    assert_int_equal(mm_ack_read(vector.bytes, vector.bytes_count, &read), MM_OK);
    assert_ack_equal(&read, &ack);
    ack.entry_count = 0;
    vector_assert_equal("ack_empty", bytes, mm_ack_write(bytes, sizeof bytes, &ack));
    vector_load("ack_empty", &vector);
    assert_int_equal(mm_ack_read(vector.bytes, vector.bytes_count, &read), MM_OK);
    assert_ack_equal(&read, &ack);
}

static void test_ack_damage(void **state) {
    (void)state;
    static const char *const names[] = {"ack_two", "ack_empty"};
    static vector_t vector;
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        vector_load(names[index], &vector);
        assert_true(decode_ack(vector.bytes, vector.bytes_count));
        assert_false(decode_batch(vector.bytes, vector.bytes_count));
        vector_assert_damage_refused(&vector, decode_ack);
        vector_try_sealed_damage(&vector, 4, ACK_BYTES_MIN, decode_ack);
    }
}

static void test_ack_versions_and_sections(void **state) {
    (void)state;
    static vector_t vector;
    static mm_ack_t ack;
    vector_load("ack_two", &vector);
    vector.bytes[2] = 2;
    vector_seal(vector.bytes, vector.bytes_count, 4);
    assert_int_equal(mm_ack_read(vector.bytes, vector.bytes_count, &ack), MM_ERR_VERSION);
    vector.bytes[2] = 1;
    vector.bytes[3] = 2;
    vector_seal(vector.bytes, vector.bytes_count, 4);
    assert_int_equal(mm_ack_read(vector.bytes, vector.bytes_count, &ack), MM_ERR_VERSION);
    vector.bytes[3] = 1;
    vector.bytes[33] = 1; // one entry fewer: the other one is no section
    vector_seal(vector.bytes, vector.bytes_count, 4);
    assert_int_equal(mm_ack_read(vector.bytes, vector.bytes_count, &ack), MM_ERR_CORRUPT);

    vector_load("ack_two", &vector);
    memcpy(vector.bytes + vector.bytes_count - 4, "\xFF\x02\x00hi", 5);
    vector_seal(vector.bytes, vector.bytes_count + 5, 4);
    assert_int_equal(mm_ack_read(vector.bytes, vector.bytes_count + 5, &ack), MM_OK);
    mm_ack_t expected = ack_plain();
    assert_ack_equal(&ack, &expected);
}

static void test_ack_limits(void **state) {
    (void)state;
    static mm_ack_t ack;
    static mm_ack_t read;
    mm_random_t random = mm_random(11);
    ack = ack_plain();
    ack.entry_count = MM_NODES_MAX;
    for (size_t index = 0; index < MM_NODES_MAX; index++) {
        ack.entries[index].node.bytes[0] = (uint8_t)index;
        ack.entries[index].watermark = (mm_position_t){random_u32(&random), random_u32(&random)};
    }
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX + 1];
    size_t message_bytes = mm_ack_write(bytes, MM_DOWNLINK_BYTES_MAX, &ack);
    assert_int_equal(message_bytes, 34 + 100 * 14 + 4);
    assert_int_equal(mm_ack_read(bytes, message_bytes, &read), MM_OK);
    assert_ack_equal(&read, &ack);
    for (size_t capacity_bytes = 0; capacity_bytes < message_bytes; capacity_bytes += 7) {
        uint8_t *small = malloc(capacity_bytes + 1);
        assert_non_null(small);
        assert_int_equal(mm_ack_write(small, capacity_bytes, &ack), 0);
        free(small);
    }
    assert_int_equal(mm_ack_write(bytes, message_bytes - 1, &ack), 0);
    assert_int_equal(mm_ack_write(bytes, message_bytes, &ack), message_bytes);

    bytes[33] = 101;
    memset(bytes + message_bytes - 4, 0, 14);
    vector_seal(bytes, message_bytes + 14, 4);
    assert_int_equal(mm_ack_read(bytes, message_bytes + 14, &read), MM_ERR_CORRUPT);
    assert_int_equal(read.entry_count, 0);

    // One section that fills the message up to the largest size, and one byte beyond it.
    size_t room_bytes = MM_DOWNLINK_BYTES_MAX - 34 - 4 - 3;
    memset(bytes + 33, 0, sizeof bytes - 33);
    bytes[34] = 9;
    bytes[35] = (uint8_t)(room_bytes & 0xFF);
    bytes[36] = (uint8_t)(room_bytes >> 8);
    vector_seal(bytes, MM_DOWNLINK_BYTES_MAX, 4);
    assert_int_equal(mm_ack_read(bytes, MM_DOWNLINK_BYTES_MAX, &read), MM_OK);
    room_bytes++;
    bytes[35] = (uint8_t)(room_bytes & 0xFF);
    bytes[36] = (uint8_t)(room_bytes >> 8);
    vector_seal(bytes, MM_DOWNLINK_BYTES_MAX + 1, 4);
    assert_int_equal(mm_ack_read(bytes, MM_DOWNLINK_BYTES_MAX + 1, &read), MM_ERR_CORRUPT);
    assert_int_equal(mm_ack_read(NULL, 0, &read), MM_ERR_CORRUPT);
    ack.entry_count = MM_NODES_MAX + 1;
    expect_assert_failure(mm_ack_write(bytes, sizeof bytes, &ack));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_golden_vectors),
        cmocka_unit_test(test_batch_read),
        cmocka_unit_test(test_batch_damage),
        cmocka_unit_test(test_batch_impossible_values_refused),
        cmocka_unit_test(test_batch_limits),
        cmocka_unit_test(test_batch_asserts),
        cmocka_unit_test(test_ack_golden_vectors),
        cmocka_unit_test(test_ack_damage),
        cmocka_unit_test(test_ack_versions_and_sections),
        cmocka_unit_test(test_ack_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
