// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/frame.h"

#include "wire_vectors.h"

#define ALL_CHANNELS(value)                                                                                            \
    { value, value, value, value, value, value, value, value }
#define FRAME_BYTES_MIN 16
#define RECORDS_MAX 720

// The values of tools/make-wire-vectors.
static const mm_mac_t s_node = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x03}};
static const mm_mac_t s_other_node = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x04}};
static const mm_mac_t s_root = {{0x24, 0x0A, 0xC4, 0xFF, 0x00, 0x01}};
static const mm_time_t s_time = {{1750000000123456}, MM_TRUST_SYNCED};
static const uint32_t s_round_id = 0xDEADBEEF;

static mm_snapshot_t snapshot_head(void) {
    return (mm_snapshot_t){
        .boot_no = 7,
        .uptime_ms = 123456789,
        .time = s_time,
        .layer = 2,
        .year_month = 2025 * 12 + 5,
        .interval_no = 70000,
        .interval_pulses = {0, 1, 127, 128, 255, 256, 511, 300},
        .oldest = {1, 61000},
        .next_seq = 70100,
        .watermark = {1, 70096},
    };
}

static mm_snapshot_t snapshot_plain(void) {
    mm_snapshot_t snapshot = snapshot_head();
    mm_meter_snapshot_t *meters = snapshot.meters;
    meters[0] = (mm_meter_snapshot_t){
        .id = "MT0000000001", .pulse_constant = 1000, .life_pulses = 12345678, .start_wh = 4321000};
    meters[1] = (mm_meter_snapshot_t){.id = "A", .pulse_constant = 10000, .life_pulses = 10000000000};
    meters[3] = (mm_meter_snapshot_t){.life_pulses = 5, .month_pulses = 5, .hours_pulses = {5}};
    meters[4] = (mm_meter_snapshot_t){.id = "x y~", .pulse_constant = 100, .life_pulses = 9, .pending_pulses = 9};
    meters[5] = (mm_meter_snapshot_t){.id = "odd", .pulse_constant = 800, .life_pulses = 100, .month_pulses = 100};
    meters[6] = (mm_meter_snapshot_t){.id = "odd0", .pulse_constant = 800, .life_pulses = 100, .month_pulses = 0};
    meters[7] = (mm_meter_snapshot_t){.id = "MT0000000008",
                                      .pulse_constant = 65535,
                                      .life_pulses = INT64_MAX,
                                      .start_wh = INT64_MAX,
                                      .pending_pulses = INT64_MAX,
                                      .month_pulses = UINT32_MAX};
    for (uint32_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
        meters[0].hours_pulses[hour] = 1000 + 37 * hour;
        meters[1].hours_pulses[hour] = hour < 23 ? 100000 : 99999;
        meters[5].hours_pulses[hour] = 1;
        meters[6].hours_pulses[hour] = 1;
        meters[7].hours_pulses[hour] = UINT32_MAX;
    }
    meters[0].month_pulses = 24 * 1000 + 37 * 276;
    meters[1].month_pulses = 2399999;
    snapshot.counters.values[MM_COUNTER_FRAME_CORRUPT] = 1;
    snapshot.counters.values[MM_COUNTER_ROUND_INCOMPLETE] = 300;
    snapshot.counters.values[MM_COUNTER_WATERMARK_REJECTED] = UINT32_MAX;
    return snapshot;
}

static mm_snapshot_t snapshot_virgin(void) {
    return (mm_snapshot_t){.boot_no = 1, .interval_no = 1, .oldest = {1, 1}, .next_seq = 1};
}

static void assert_time_equal(mm_time_t left, mm_time_t right) {
    assert_true(left.utc.us == right.utc.us);
    assert_int_equal(left.trust, right.trust);
}

static void assert_position_equal(mm_position_t left, mm_position_t right) {
    assert_int_equal(mm_position_compare(left, right), 0);
}

static void assert_snapshot_equal(const mm_snapshot_t *left, const mm_snapshot_t *right) {
    assert_true(left->boot_no == right->boot_no);
    assert_true(left->uptime_ms == right->uptime_ms);
    assert_time_equal(left->time, right->time);
    assert_int_equal(left->layer, right->layer);
    assert_int_equal(left->year_month, right->year_month);
    assert_true(left->interval_no == right->interval_no);
    assert_memory_equal(left->interval_pulses, right->interval_pulses, sizeof left->interval_pulses);
    assert_position_equal(left->oldest, right->oldest);
    assert_true(left->next_seq == right->next_seq);
    assert_position_equal(left->watermark, right->watermark);
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_meter_snapshot_t *meter = &left->meters[channel];
        const mm_meter_snapshot_t *other = &right->meters[channel];
        assert_string_equal(meter->id, other->id);
        assert_true(meter->pulse_constant == other->pulse_constant);
        assert_true(meter->start_wh == other->start_wh);
        assert_true(meter->life_pulses == other->life_pulses);
        assert_true(meter->pending_pulses == other->pending_pulses);
        assert_true(meter->month_pulses == other->month_pulses);
        assert_memory_equal(meter->hours_pulses, other->hours_pulses, sizeof meter->hours_pulses);
    }
    assert_memory_equal(&left->counters, &right->counters, sizeof left->counters);
}

static void put_vector(mm_report_writer_t *report, uint32_t epoch, uint32_t seq, uint8_t type, const char *name) {
    vector_t vector;
    vector_load(name, &vector);
    assert_int_equal(mm_report_put_record(report, (mm_position_t){epoch, seq}, type, vector.bytes, vector.bytes_count),
                     MM_OK);
}

static void put_run_1(mm_report_writer_t *report) {
    put_vector(report, 1, 70097, MM_RECORD_INTERVAL, "record_interval_plain");
    put_vector(report, 1, 70098, MM_RECORD_EVENT, "record_event_plain");
    assert_int_equal(mm_report_put_record(report, (mm_position_t){1, 70099}, 200, "\x01\x02", 2), MM_OK);
}

static void test_frame_golden_hello_welcome_ask(void **state) {
    (void)state;
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    mm_hello_t hello = {.boot_no = 0x01020304};
    vector_assert_equal("frame_hello", bytes, mm_frame_write_hello(bytes, sizeof bytes, s_node, &hello));
    mm_welcome_t welcome = {.time = {{1750000000123456}, MM_TRUST_HELD}};
    vector_assert_equal("frame_welcome", bytes, mm_frame_write_welcome(bytes, sizeof bytes, s_root, &welcome));
    mm_ask_t ask = {.round_id = s_round_id,
                    .time = s_time,
                    .with_snapshot = true,
                    .has_watermark = true,
                    .watermark = {1, 70096},
                    .after = {1, 70098},
                    .report_bytes_max = 1472};
    vector_assert_equal("frame_ask_watermark", bytes, mm_frame_write_ask(bytes, sizeof bytes, s_root, &ask));
    // Without has_watermark the field is not sent.
    mm_ask_t plain = {
        .round_id = 1, .time = {{INT64_MAX}, MM_TRUST_UNSET}, .watermark = {5, 5}, .report_bytes_max = 200};
    vector_assert_equal("frame_ask_plain", bytes, mm_frame_write_ask(bytes, sizeof bytes, s_root, &plain));
}

static mm_frame_t open_vector(const char *name, vector_t *vector) {
    vector_load(name, vector);
    mm_frame_t frame;
    assert_int_equal(mm_frame_open(vector->bytes, vector->bytes_count, &frame), MM_OK);
    return frame;
}

static void test_frame_read_hello_welcome_ask(void **state) {
    (void)state;
    static vector_t vector;
    mm_frame_t frame = open_vector("frame_hello", &vector);
    assert_int_equal(frame.type, MM_FRAME_HELLO);
    assert_true(mm_mac_equal(frame.source, s_node));
    mm_hello_t hello = {0};
    assert_int_equal(mm_frame_read_hello(&frame, &hello), MM_OK);
    assert_true(hello.boot_no == 0x01020304);

    frame = open_vector("frame_hello_section", &vector); // a section of a later version is skipped
    hello.boot_no = 0;
    assert_int_equal(mm_frame_read_hello(&frame, &hello), MM_OK);
    assert_true(hello.boot_no == 0x01020304);

    frame = open_vector("frame_welcome", &vector);
    mm_welcome_t welcome;
    assert_int_equal(mm_frame_read_welcome(&frame, &welcome), MM_OK);
    assert_time_equal(welcome.time, (mm_time_t){{1750000000123456}, MM_TRUST_HELD});

    frame = open_vector("frame_ask_watermark", &vector);
    assert_true(mm_mac_equal(frame.source, s_root));
    mm_ask_t ask;
    assert_int_equal(mm_frame_read_ask(&frame, &ask), MM_OK);
    assert_true(ask.round_id == s_round_id);
    assert_time_equal(ask.time, s_time);
    assert_true(ask.with_snapshot);
    assert_true(ask.has_watermark);
    assert_position_equal(ask.watermark, (mm_position_t){1, 70096});
    assert_position_equal(ask.after, (mm_position_t){1, 70098});
    assert_int_equal(ask.report_bytes_max, 1472);

    frame = open_vector("frame_ask_plain", &vector);
    assert_int_equal(mm_frame_read_ask(&frame, &ask), MM_OK);
    assert_false(ask.with_snapshot);
    assert_false(ask.has_watermark);
    assert_position_equal(ask.watermark, (mm_position_t){0, 0});
    assert_time_equal(ask.time, (mm_time_t){{INT64_MAX}, MM_TRUST_UNSET});
    expect_assert_failure(mm_frame_read_hello(&frame, &hello));
}

static void test_report_golden_vectors(void **state) {
    (void)state;
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    mm_report_writer_t report;
    mm_report_begin(&report, bytes, sizeof bytes, s_node, s_round_id);
    vector_assert_equal("frame_report_empty", bytes, mm_report_finish(&report));

    mm_snapshot_t snapshot = snapshot_plain();
    mm_report_begin(&report, bytes, sizeof bytes, s_node, s_round_id);
    assert_int_equal(mm_report_put_snapshot(&report, &snapshot), MM_OK);
    put_run_1(&report);
    vector_assert_equal("frame_report_snapshot", bytes, mm_report_finish(&report));

    snapshot = snapshot_virgin();
    mm_report_begin(&report, bytes, sizeof bytes, s_other_node, 1);
    assert_int_equal(mm_report_put_snapshot(&report, &snapshot), MM_OK);
    vector_assert_equal("frame_report_virgin", bytes, mm_report_finish(&report));

    // A new run where seqs are missing and where another epoch begins.
    mm_report_begin(&report, bytes, sizeof bytes, s_node, s_round_id);
    put_run_1(&report);
    put_vector(&report, 1, UINT32_MAX - 1, MM_RECORD_GAP, "record_gap_plain");
    assert_int_equal(mm_report_put_record(&report, (mm_position_t){1, UINT32_MAX}, 9, NULL, 0), MM_OK);
    put_vector(&report, 2, 1, MM_RECORD_MONTH_CLOSING, "record_month_closing_limit");
    vector_assert_equal("frame_report_runs", bytes, mm_report_finish(&report));
}

static mm_report_reader_t open_report(const char *name, vector_t *vector) {
    mm_frame_t frame = open_vector(name, vector);
    assert_int_equal(frame.type, MM_FRAME_REPORT);
    mm_report_reader_t reader;
    assert_int_equal(mm_report_open(&frame, &reader), MM_OK);
    return reader;
}

static void assert_next_record(mm_report_reader_t *reader, mm_position_t position, uint8_t type, const char *name) {
    mm_record_view_t record;
    assert_int_equal(mm_report_next(reader, NULL, &record), MM_REPORT_RECORD);
    assert_position_equal(record.position, position);
    assert_int_equal(record.type, type);
    if (name != NULL) {
        vector_assert_equal(name, record.payload, record.payload_bytes);
    }
}

static void test_report_read(void **state) {
    (void)state;
    static vector_t vector;
    mm_record_view_t record;
    mm_snapshot_t snapshot;
    mm_report_reader_t reader = open_report("frame_report_empty", &vector);
    assert_int_equal(mm_report_next(&reader, NULL, &record), MM_REPORT_END);

    reader = open_report("frame_report_snapshot", &vector);
    assert_true(reader.round_id == s_round_id);
    assert_int_equal(mm_report_next(&reader, &snapshot, &record), MM_REPORT_SNAPSHOT);
    mm_snapshot_t expected = snapshot_plain();
    assert_snapshot_equal(&snapshot, &expected);
    assert_next_record(&reader, (mm_position_t){1, 70097}, MM_RECORD_INTERVAL, "record_interval_plain");
    assert_next_record(&reader, (mm_position_t){1, 70098}, MM_RECORD_EVENT, "record_event_plain");
    assert_next_record(&reader, (mm_position_t){1, 70099}, 200, NULL);
    assert_int_equal(mm_report_next(&reader, &snapshot, &record), MM_REPORT_END);
    assert_int_equal(mm_report_next(&reader, &snapshot, &record), MM_REPORT_END);

    // Who has no use for the snapshot still gets the records behind it.
    reader = open_report("frame_report_snapshot", &vector);
    assert_int_equal(mm_report_next(&reader, NULL, &record), MM_REPORT_SNAPSHOT);
    assert_next_record(&reader, (mm_position_t){1, 70097}, MM_RECORD_INTERVAL, "record_interval_plain");

    reader = open_report("frame_report_virgin", &vector);
    assert_int_equal(mm_report_next(&reader, &snapshot, &record), MM_REPORT_SNAPSHOT);
    expected = snapshot_virgin();
    assert_snapshot_equal(&snapshot, &expected);

    reader = open_report("frame_report_runs", &vector);
    assert_next_record(&reader, (mm_position_t){1, 70097}, MM_RECORD_INTERVAL, "record_interval_plain");
    assert_next_record(&reader, (mm_position_t){1, 70098}, MM_RECORD_EVENT, "record_event_plain");
    assert_next_record(&reader, (mm_position_t){1, 70099}, 200, NULL);
    assert_next_record(&reader, (mm_position_t){1, UINT32_MAX - 1}, MM_RECORD_GAP, "record_gap_plain");
    assert_next_record(&reader, (mm_position_t){1, UINT32_MAX}, 9, NULL);
    assert_next_record(&reader, (mm_position_t){2, 1}, MM_RECORD_MONTH_CLOSING, "record_month_closing_limit");
    assert_int_equal(mm_report_next(&reader, NULL, &record), MM_REPORT_END);
}

static void test_report_of_a_later_version_is_read(void **state) {
    (void)state;
    static vector_t vector;
    mm_report_reader_t reader = open_report("frame_report_later", &vector);
    struct {
        mm_snapshot_t snapshot;
        uint32_t behind[256];
    } read = {.behind = {0}};
    mm_record_view_t record;
    assert_int_equal(mm_report_next(&reader, &read.snapshot, &record), MM_REPORT_SNAPSHOT);
    mm_snapshot_t expected = snapshot_head();
    expected.counters.values[1] = 2; // counter 254 is not known here
    assert_snapshot_equal(&read.snapshot, &expected);
    for (size_t index = 0; index < 256; index++) {
        assert_true(read.behind[index] == 0); // nor is it kept elsewhere
    }
    assert_next_record(&reader, (mm_position_t){1, 70097}, MM_RECORD_INTERVAL, NULL);
    assert_next_record(&reader, (mm_position_t){1, 70098}, MM_RECORD_EVENT, NULL);
    assert_next_record(&reader, (mm_position_t){1, 70099}, 200, NULL);
    assert_int_equal(mm_report_next(&reader, NULL, &record), MM_REPORT_END);
}

static void test_frame_length_must_be_its_size(void **state) {
    (void)state;
    static vector_t vector;
    mm_frame_t frame;
    for (int error = -1; error <= 1; error++) {
        vector_load("frame_hello", &vector);
        vector.bytes[4] = (uint8_t)(vector.bytes[4] + error);
        uint32_t crc = vector_crc32(vector.bytes, vector.bytes_count - 4);
        for (size_t index = 0; index < 4; index++) {
            vector.bytes[vector.bytes_count - 4 + index] = (uint8_t)(crc >> (8 * index));
        }
        assert_int_equal(mm_frame_open(vector.bytes, vector.bytes_count, &frame), error == 0 ? MM_OK : MM_ERR_CORRUPT);
    }
}

static void test_frame_unknown_type_and_version(void **state) {
    (void)state;
    static vector_t vector;
    mm_frame_t frame = open_vector("frame_unknown_type", &vector);
    assert_int_equal(frame.type, 99);
    assert_int_equal(frame.body_bytes, 8);
    assert_memory_equal(frame.body, "anything", 8);
    vector_load("frame_version_2", &vector);
    assert_int_equal(mm_frame_open(vector.bytes, vector.bytes_count, &frame), MM_ERR_VERSION);
}

// Everything that a receiver does with a frame; true if all of it was accepted.
static bool decode_frame(const uint8_t *bytes, size_t bytes_count) {
    mm_frame_t frame;
    if (mm_frame_open(bytes, bytes_count, &frame) != MM_OK) {
        return false;
    }
    mm_hello_t hello;
    mm_welcome_t welcome;
    mm_ask_t ask;
    mm_report_reader_t reader;
    switch (frame.type) {
    case MM_FRAME_HELLO:
        return mm_frame_read_hello(&frame, &hello) == MM_OK;
    case MM_FRAME_WELCOME:
        return mm_frame_read_welcome(&frame, &welcome) == MM_OK;
    case MM_FRAME_ASK:
        return mm_frame_read_ask(&frame, &ask) == MM_OK;
    case MM_FRAME_REPORT:
        break;
    default:
        return true;
    }
    if (mm_report_open(&frame, &reader) != MM_OK) {
        return false;
    }
    mm_position_t last = {0, 0};
    for (unsigned item_count = 0;; item_count++) {
        mm_snapshot_t snapshot;
        mm_record_view_t record;
        mm_report_item_t item = mm_report_next(&reader, &snapshot, &record);
        assert_true(item_count <= RECORDS_MAX);
        if (item == MM_REPORT_CORRUPT) {
            assert_int_equal(mm_report_next(&reader, &snapshot, &record), MM_REPORT_CORRUPT);
            return false;
        }
        if (item == MM_REPORT_END) {
            return true;
        }
        if (item == MM_REPORT_RECORD) {
            assert_true(record.type != MM_RECORD_NONE);
            assert_true(record.payload_bytes <= MM_RECORD_PAYLOAD_BYTES_MAX);
            assert_true(record.payload >= bytes && record.payload + record.payload_bytes <= bytes + bytes_count);
            assert_true(mm_position_compare(record.position, last) > 0);
            last = record.position;
        }
    }
}

static void test_frame_damage(void **state) {
    (void)state;
    static const char *const names[] = {
        "frame_hello",       "frame_hello_section", "frame_welcome",       "frame_ask_watermark",
        "frame_ask_plain",   "frame_report_empty",  "frame_report_virgin", "frame_report_snapshot",
        "frame_report_runs", "frame_report_later",  "frame_unknown_type",
    };
    static vector_t vector;
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        vector_load(names[index], &vector);
        assert_true(decode_frame(vector.bytes, vector.bytes_count));
        vector_assert_damage_refused(&vector, decode_frame);
        vector_try_sealed_damage(&vector, 2, FRAME_BYTES_MIN, decode_frame);
    }
}

// A sealed frame with this body.
static bool accepts_body(uint8_t type, const void *body, size_t body_bytes) {
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX] = {0xF7, 0x4E, 1, type};
    size_t frame_bytes = FRAME_BYTES_MIN + body_bytes;
    memcpy(bytes + 12, body, body_bytes);
    vector_seal(bytes, frame_bytes, 2);
    return decode_frame(bytes, frame_bytes);
}

typedef struct {
    uint8_t type;
    bool accepted;
    uint8_t body_bytes;
    uint8_t body[40];
    const char *why;
} body_t;

static const body_t s_bodies[] = {
    {1, true, 4, {0}, "hello"},
    {1, false, 5, {0}, "one byte left over"},
    {1, false, 7, {0}, "section type 0"},
    {1, false, 7, {0, 0, 0, 0, 9, 1, 0}, "section longer than the body"},
    {1, true, 7, {0, 0, 0, 0, 9, 0, 0}, "empty section"},
    {2, true, 9, {2, 0, 0, 0, 0, 0, 0, 0, 0x7F}, "welcome"},
    {2, false, 9, {3, 0, 0, 0, 0, 0, 0, 0, 0}, "trust 3"},
    {2, false, 9, {2, 0, 0, 0, 0, 0, 0, 0, 0x80}, "time beyond 2^63 - 1"},
    {3, true, 24, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xC0, 5}, "ask"},
    {3,
     false,
     24,
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xC1, 5},
     "report of 1,473 bytes"},
    {3, false, 24, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "flag of a later version"},
    {4, true, 4, {0}, "empty report"},
    {4, false, 3, {0}, "no round"},
    {4, true, 18, {0, 0, 0, 0, 2, 11, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0}, "one empty record"},
    {4, true, 18, {0, 0, 0, 0, 2, 11, 0, 1, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0}, "the last seq of all"},
    {4, false, 16, {0, 0, 0, 0, 2, 9, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, "run without records"},
    {4, false, 18, {0, 0, 0, 0, 2, 11, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0}, "epoch 0"},
    {4, false, 18, {0, 0, 0, 0, 2, 11, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0}, "seq 0"},
    {4, false, 18, {0, 0, 0, 0, 2, 11, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0}, "record type 0"},
    {4, false, 18, {0, 0, 0, 0, 2, 11, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1}, "payload longer than its section"},
    {4, false, 19, {0, 0, 0, 0, 2, 12, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0}, "byte left over in the run"},
    {4, false, 18, {0, 0, 0, 0, 2, 11, 0, 2, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0}, "fewer records than counted"},
    {4,
     false,
     20,
     {0, 0, 0, 0, 2, 13, 0, 2, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 1, 0},
     "seq wraps inside of a run"},
    {4,
     false,
     32,
     {0, 0, 0, 0, 2, 11, 0, 1, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0, 2, 11, 0, 1, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0},
     "position repeated"},
    {4,
     false,
     32,
     {0, 0, 0, 0, 2, 11, 0, 1, 2, 0, 0, 0, 9, 0, 0, 0, 1, 0, 2, 11, 0, 1, 1, 0, 0, 0, 10, 0, 0, 0, 1, 0},
     "epoch falls"},
    {4,
     false,
     32,
     {0, 0, 0, 0, 2, 11, 0, 1, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 2, 11, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0},
     "same epoch behind its last seq"},
    {4,
     true,
     32,
     {0, 0, 0, 0, 2, 11, 0, 1, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0, 2, 11, 0, 1, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0},
     "epoch rises"},
};

static void test_frame_bodies(void **state) {
    (void)state;
    for (size_t index = 0; index < sizeof s_bodies / sizeof s_bodies[0]; index++) {
        const body_t *body = &s_bodies[index];
        if (accepts_body(body->type, body->body, body->body_bytes) != body->accepted) {
            fail_msg("type %u, %s: %s", body->type, body->why, body->accepted ? "refused" : "accepted");
        }
    }
    uint8_t payload_241[4 + 3 + 9 + 2 + 241] = {0, 0, 0, 0, 2, 251, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 240};
    assert_true(accepts_body(MM_FRAME_REPORT, payload_241, sizeof payload_241 - 1)); // 240 bytes of payload
    payload_241[5] = 252;
    payload_241[17] = 241;
    assert_false(accepts_body(MM_FRAME_REPORT, payload_241, sizeof payload_241));
}

// Body of a report with the content of one snapshot section of a virgin node, to be damaged at one place.
static size_t virgin_body(uint8_t *body) {
    static vector_t vector;
    vector_load("frame_report_virgin", &vector);
    memcpy(body, vector.bytes + 12, vector.bytes_count - FRAME_BYTES_MIN);
    return vector.bytes_count - FRAME_BYTES_MIN;
}

static void test_snapshot_impossible_values_refused(void **state) {
    (void)state;
    uint8_t body[MM_MESH_FRAME_BYTES_MAX];
    size_t body_bytes = virgin_body(body);
    // Round 4, section 3, then boot 1, uptime 1, time 9, layer 1, month 2, interval 1, packed 1, five numbers of 1,
    // meters of 3 bytes.
    const size_t meters_at = 4 + 3 + 1 + 1 + 9 + 1 + 2 + 1 + 1 + 5;
    assert_int_equal(body_bytes, meters_at + 8 * 3 + 1);
    assert_true(accepts_body(MM_FRAME_REPORT, body, body_bytes));

    body[meters_at] = 0x80; // pulse constant of the meter before, without an id
    assert_false(accepts_body(MM_FRAME_REPORT, body, body_bytes));
    body[meters_at] = 0x0D; // 13 characters
    assert_false(accepts_body(MM_FRAME_REPORT, body, body_bytes));
    body[meters_at] = 0;
    body[meters_at + 2] = 33; // width of the hours
    assert_false(accepts_body(MM_FRAME_REPORT, body, body_bytes));
    body[meters_at + 2] = 0;
    body[body_bytes - 1] = 1; // a counter that is not there
    assert_false(accepts_body(MM_FRAME_REPORT, body, body_bytes));
    body[body_bytes - 1] = 0;

    // One byte more inside of the section.
    body[5]++;
    body[body_bytes] = 0;
    assert_false(accepts_body(MM_FRAME_REPORT, body, body_bytes + 1));
    body[5]--;

    // A second snapshot, and a snapshot behind records.
    memcpy(body + body_bytes, body + 4, body_bytes - 4);
    assert_false(accepts_body(MM_FRAME_REPORT, body, 2 * body_bytes - 4));
    static const uint8_t run[] = {2, 11, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0};
    memcpy(body + body_bytes, run, sizeof run);
    assert_true(accepts_body(MM_FRAME_REPORT, body, body_bytes + sizeof run));
    virgin_body(body);
    memmove(body + 4 + sizeof run, body + 4, body_bytes - 4);
    memcpy(body + 4, run, sizeof run);
    assert_false(accepts_body(MM_FRAME_REPORT, body, body_bytes + sizeof run));
}

// These bytes in place of the first `count` meters of a virgin snapshot.
static bool accepts_meters(size_t count, const void *meters, size_t meters_bytes) {
    uint8_t body[MM_MESH_FRAME_BYTES_MAX];
    size_t body_bytes = virgin_body(body);
    const size_t meters_at = body_bytes - 8 * 3 - 1;
    const size_t replaced_bytes = count * 3;
    memmove(body + meters_at + meters_bytes, body + meters_at + replaced_bytes,
            body_bytes - meters_at - replaced_bytes);
    memcpy(body + meters_at, meters, meters_bytes);
    body_bytes = body_bytes - replaced_bytes + meters_bytes;
    body[5] = (uint8_t)(body_bytes - 4 - 3);
    return accepts_body(MM_FRAME_REPORT, body, body_bytes);
}

static bool accepts_meter(const void *meter, size_t meter_bytes) {
    return accepts_meters(1, meter, meter_bytes);
}

static void test_snapshot_impossible_meters_refused(void **state) {
    (void)state;
    assert_true(accepts_meter("\x01~\xE8\x03\x07\x00", 6));
    assert_false(accepts_meter("\x01\x1F\xE8\x03\x07\x00", 6)); // control character
    assert_false(accepts_meter("\x01\x7F\xE8\x03\x07\x00", 6)); // delete
    assert_false(accepts_meter("\x01\xC3\xE8\x03\x07\x00", 6)); // not ASCII
    assert_false(accepts_meter("\x01\x00\xE8\x03\x07\x00", 6)); // end of string
    assert_true(accepts_meter("\x01 \xE8\x03\x07\x00", 6));
    assert_false(accepts_meter("\x01~\x00\x00\x07\x00", 6)); // pulse constant 0
    assert_false(accepts_meter("\x81~\x07\x00", 4));         // pulse constant of the meter before the first one
    // A configured, a blank and another configured meter.
    assert_true(accepts_meters(3, "\x01~\xE8\x03\x07\x00\x00\x00\x00\x81~\x07\x00", 13));
    assert_true(accepts_meters(3, "\x01~\xE8\x03\x07\x00\x00\x00\x00\x01~\xE9\x03\x07\x00", 15));
    assert_false(accepts_meters(3, "\x01~\xE8\x03\x07\x00\x00\x00\x00\x01~\xE8\x03\x07\x00", 15)); // written twice
    assert_false(accepts_meters(3, "\x01~\xE8\x03\x07\x00\x00\x00\x00\x81~\xE8\x03\x07\x00", 15));
    assert_true(accepts_meter("\x10\x00\x01\x00", 4));
    assert_false(accepts_meter("\x10\x00\x00\x00", 4)); // start that is zero
    assert_false(accepts_meter("\x20\x00\x00\x00", 4)); // pending that is zero
    assert_true(accepts_meter("\x40\x00\x00\x01", 4));
    assert_false(accepts_meter("\x40\x00\x00\x00", 4));                                  // month that is the sum
    assert_false(accepts_meter("\x00\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x00", 12)); // 2^63
    uint8_t meter[1 + 1 + 1 + 96];
    memset(meter, 0xFF, sizeof meter);
    meter[0] = 0;
    meter[1] = 0;
    meter[2] = 32;
    assert_false(accepts_meter(meter, sizeof meter)); // sum of the hours beyond 2^32 - 1
}

static mm_snapshot_t random_snapshot(mm_random_t *random) {
    mm_snapshot_t snapshot = {
        .boot_no = random_u32(random),
        .uptime_ms = random_number(random, 63),
        .time = {{(int64_t)random_number(random, 63)}, (mm_trust_t)mm_random_below(random, 3)},
        .layer = (uint8_t)mm_random_below(random, 256),
        .year_month = (uint16_t)mm_random_below(random, 65536),
        .interval_no = random_u32(random),
        .oldest = {random_u32(random), random_u32(random)},
        .next_seq = random_u32(random),
        .watermark = {random_u32(random), random_u32(random)},
    };
    uint32_t turn_constants = mm_random_below(random, 2) == 0 ? 2 : 65535; // equal ones are written otherwise
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        mm_meter_snapshot_t *meter = &snapshot.meters[channel];
        uint32_t chars = mm_random_below(random, MM_METER_ID_CHARS_MAX + 1);
        for (uint32_t index = 0; index < chars; index++) {
            meter->id[index] = (char)(0x20 + mm_random_below(random, 0x7F - 0x20));
        }
        meter->pulse_constant = chars > 0 ? 1 + mm_random_below(random, turn_constants) : 0;
        meter->start_wh = random_number(random, 63);
        meter->life_pulses = random_number(random, 63);
        meter->pending_pulses = random_number(random, 63);
        unsigned bits = mm_random_below(random, 33);
        for (size_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
            meter->hours_pulses[hour] = (uint32_t)random_number(random, bits);
            meter->month_pulses += meter->hours_pulses[hour];
        }
        meter->month_pulses += mm_random_below(random, 2);
        snapshot.interval_pulses[channel] = (uint32_t)random_number(random, bits);
    }
    for (size_t id = 0; id < MM_COUNTER_COUNT; id++) {
        snapshot.counters.values[id] = mm_random_below(random, 2) == 0 ? 0 : random_u32(random);
    }
    return snapshot;
}

// Records as random as they may be; the payload's bytes follow from its position.
typedef struct {
    mm_position_t position;
    uint8_t type;
    uint8_t payload_bytes;
} sent_t;

static void fill_payload(const sent_t *sent, uint8_t *payload) {
    for (size_t index = 0; index < sent->payload_bytes; index++) {
        payload[index] = (uint8_t)(sent->position.seq * 31 + index * 7 + sent->type);
    }
}

static size_t put_random_records(mm_random_t *random, mm_report_writer_t *report, sent_t *sent) {
    mm_position_t position = {1 + mm_random_below(random, 3), 1 + random_u32(random) / 2};
    uint32_t payload_bytes_max = mm_random_below(random, MM_RECORD_PAYLOAD_BYTES_MAX + 1);
    size_t count = 0;
    while (count < RECORDS_MAX) {
        sent_t *next = &sent[count];
        *next = (sent_t){.position = position,
                         .type = (uint8_t)(1 + mm_random_below(random, 255)),
                         .payload_bytes = (uint8_t)mm_random_below(random, payload_bytes_max + 1)};
        uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
        fill_payload(next, payload);
        if (mm_report_put_record(report, position, next->type, payload, next->payload_bytes) != MM_OK) {
            return count;
        }
        count++;
        uint32_t choice = mm_random_below(random, 20);
        position.seq += choice == 0 ? 2 + random_u32(random) / 16 : 1;
        if (choice == 1 || position.seq == 0) {
            position = (mm_position_t){position.epoch + 1, 1 + mm_random_below(random, 5)};
        }
        if (position.seq <= sent[count - 1].position.seq && position.epoch == sent[count - 1].position.epoch) {
            return count;
        }
    }
    return count;
}

// Counters that did not fit were left out, from the highest id on; then there is no room for another one.
static void leave_out_counters(mm_snapshot_t *sent, const mm_snapshot_t *read, size_t frame_bytes,
                               size_t capacity_bytes) {
    size_t id = 0;
    while (id < MM_COUNTER_COUNT && sent->counters.values[id] == read->counters.values[id]) {
        id++;
    }
    if (id < MM_COUNTER_COUNT) {
        assert_true(frame_bytes + 1 + mm_varint_bytes(sent->counters.values[id]) > capacity_bytes);
        memset(&sent->counters.values[id], 0, (MM_COUNTER_COUNT - id) * sizeof sent->counters.values[0]);
    }
}

static void test_report_random_round_trip(void **state) {
    (void)state;
    static sent_t sent[RECORDS_MAX];
    mm_random_t random = mm_random(7);
    for (unsigned turn = 0; turn < 3000; turn++) {
        size_t capacity_bytes = FRAME_BYTES_MIN + 4 + mm_random_below(&random, MM_MESH_FRAME_BYTES_MAX - 19);
        uint8_t *bytes = malloc(capacity_bytes);
        assert_non_null(bytes);
        mm_report_writer_t report;
        mm_report_begin(&report, bytes, capacity_bytes, s_node, turn);
        mm_snapshot_t snapshot = random_snapshot(&random);
        bool has_snapshot = mm_random_below(&random, 2) == 0 && mm_report_put_snapshot(&report, &snapshot) == MM_OK;
        size_t sent_count = put_random_records(&random, &report, sent);
        size_t frame_bytes = mm_report_finish(&report);
        assert_in_range(frame_bytes, FRAME_BYTES_MIN + 4, capacity_bytes);
        assert_true(decode_frame(bytes, frame_bytes));

        mm_frame_t frame;
        assert_int_equal(mm_frame_open(bytes, frame_bytes, &frame), MM_OK);
        mm_report_reader_t reader;
        assert_int_equal(mm_report_open(&frame, &reader), MM_OK);
        assert_true(reader.round_id == turn);
        mm_record_view_t record;
        if (has_snapshot) {
            mm_snapshot_t read;
            assert_int_equal(mm_report_next(&reader, &read, &record), MM_REPORT_SNAPSHOT);
            leave_out_counters(&snapshot, &read, frame_bytes, capacity_bytes);
            assert_snapshot_equal(&read, &snapshot);
        }
        for (size_t index = 0; index < sent_count; index++) {
            uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
            fill_payload(&sent[index], payload);
            assert_int_equal(mm_report_next(&reader, NULL, &record), MM_REPORT_RECORD);
            assert_position_equal(record.position, sent[index].position);
            assert_int_equal(record.type, sent[index].type);
            assert_int_equal(record.payload_bytes, sent[index].payload_bytes);
            assert_memory_equal(record.payload, payload, record.payload_bytes);
        }
        assert_int_equal(mm_report_next(&reader, NULL, &record), MM_REPORT_END);
        free(bytes);
    }
}

static void test_report_full_leaves_it_as_it_was(void **state) {
    (void)state;
    uint8_t bytes[64];
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX] = {0};
    mm_snapshot_t snapshot = snapshot_plain();
    mm_report_writer_t report;
    mm_report_begin(&report, bytes, sizeof bytes, s_node, 1);
    assert_int_equal(mm_report_put_snapshot(&report, &snapshot), MM_ERR_FULL);
    assert_int_equal(mm_report_put_record(&report, (mm_position_t){1, 1}, 1, payload, 31),
                     MM_ERR_FULL); // 20 + 12 + 2 + 31
    assert_int_equal(mm_report_put_record(&report, (mm_position_t){1, 1}, 1, payload, 26), MM_OK);
    assert_int_equal(mm_report_put_record(&report, (mm_position_t){1, 2}, 1, payload, 3), MM_ERR_FULL);
    assert_int_equal(mm_report_put_record(&report, (mm_position_t){2, 1}, 1, payload, 0), MM_ERR_FULL);
    assert_int_equal(mm_report_put_record(&report, (mm_position_t){1, 2}, 1, payload, 2), MM_OK);
    assert_int_equal(mm_report_put_record(&report, (mm_position_t){1, 3}, 1, payload, 0), MM_ERR_FULL);
    assert_int_equal(mm_report_finish(&report), 64);
    assert_int_equal(mm_report_finish(&report), 64);
    assert_true(decode_frame(bytes, 64));

    // Not even the header: everything is refused, nothing is written.
    for (size_t capacity_bytes = 0; capacity_bytes < 20; capacity_bytes++) {
        uint8_t *small = malloc(capacity_bytes > 0 ? capacity_bytes : 1);
        assert_non_null(small);
        mm_report_begin(&report, small, capacity_bytes, s_node, 1);
        assert_int_equal(mm_report_put_snapshot(&report, &snapshot), MM_ERR_FULL);
        assert_int_equal(mm_report_put_record(&report, (mm_position_t){1, 1}, 1, payload, 0), MM_ERR_FULL);
        assert_int_equal(mm_report_finish(&report), 0);
        free(small);
    }
    mm_ask_t ask = {.report_bytes_max = 100};
    assert_int_equal(mm_frame_write_ask(bytes, 39, s_root, &ask), 0);
    assert_int_equal(mm_frame_write_ask(bytes, 40, s_root, &ask), 40);
}

static void test_report_never_exceeds_a_mesh_packet(void **state) {
    (void)state;
    static uint8_t bytes[2 * MM_MESH_FRAME_BYTES_MAX];
    mm_report_writer_t report;
    mm_report_begin(&report, bytes, sizeof bytes, s_node, 1);
    uint32_t seq = 1;
    while (mm_report_put_record(&report, (mm_position_t){1, seq}, 9, NULL, 0) == MM_OK) {
        seq++;
    }
    size_t frame_bytes = mm_report_finish(&report);
    assert_in_range(frame_bytes, MM_MESH_FRAME_BYTES_MAX - 1, MM_MESH_FRAME_BYTES_MAX);
    assert_true(decode_frame(bytes, frame_bytes)); // more than 255 records: several runs
    assert_true(seq > 3 * 200);
}

static void test_report_writer_asserts(void **state) {
    (void)state;
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    mm_snapshot_t snapshot = snapshot_plain();
    mm_report_writer_t report;
    mm_report_begin(&report, bytes, sizeof bytes, s_node, 1);
    expect_assert_failure(mm_report_put_record(&report, (mm_position_t){0, 1}, 1, bytes, 0));
    expect_assert_failure(mm_report_put_record(&report, (mm_position_t){1, 0}, 1, bytes, 0));
    expect_assert_failure(mm_report_put_record(&report, (mm_position_t){1, 1}, 0, bytes, 0));
    expect_assert_failure(mm_report_put_record(&report, (mm_position_t){1, 1}, 1, bytes, 241));
    assert_int_equal(mm_report_put_record(&report, (mm_position_t){1, 5}, 1, bytes, 0), MM_OK);
    expect_assert_failure(mm_report_put_record(&report, (mm_position_t){1, 5}, 1, bytes, 0));
    expect_assert_failure(mm_report_put_snapshot(&report, &snapshot));
    mm_report_begin(&report, bytes, sizeof bytes, s_node, 1);
    memcpy(snapshot.meters[0].id, "bell\a", 6);
    expect_assert_failure(mm_report_put_snapshot(&report, &snapshot));
}

static void test_snapshot_largest_fits_a_frame(void **state) {
    (void)state;
    mm_snapshot_t snapshot = {.boot_no = UINT32_MAX,
                              .uptime_ms = UINT64_MAX,
                              .time = {{INT64_MAX}, MM_TRUST_SYNCED},
                              .layer = 255,
                              .year_month = 65535,
                              .interval_no = UINT32_MAX,
                              .interval_pulses = ALL_CHANNELS(UINT32_MAX),
                              .oldest = {UINT32_MAX, UINT32_MAX},
                              .next_seq = UINT32_MAX,
                              .watermark = {UINT32_MAX, UINT32_MAX}};
    memset(&snapshot.counters, 0xFF, sizeof snapshot.counters);
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        mm_meter_snapshot_t *meter = &snapshot.meters[channel];
        *meter = (mm_meter_snapshot_t){.id = "~~~~~~~~~~~~",
                                       .pulse_constant = 65535,
                                       .start_wh = UINT64_MAX,
                                       .life_pulses = UINT64_MAX,
                                       .pending_pulses = UINT64_MAX,
                                       .month_pulses = UINT32_MAX};
        memset(meter->hours_pulses, 0xFF, sizeof meter->hours_pulses);
    }
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    mm_report_writer_t report;
    mm_report_begin(&report, bytes, sizeof bytes, s_node, UINT32_MAX);
    assert_int_equal(mm_report_put_snapshot(&report, &snapshot), MM_OK);
    size_t frame_bytes = mm_report_finish(&report);
    mm_frame_t frame;
    mm_report_reader_t reader;
    mm_record_view_t record;
    mm_snapshot_t read;
    assert_int_equal(mm_frame_open(bytes, frame_bytes, &frame), MM_OK);
    assert_int_equal(mm_report_open(&frame, &reader), MM_OK);
    assert_int_equal(mm_report_next(&reader, &read, &record), MM_REPORT_SNAPSHOT);
    // What a signed 64-bit column cannot hold is sent as its largest value.
    assert_true(read.uptime_ms == INT64_MAX);
    assert_true(read.meters[7].life_pulses == INT64_MAX);
    assert_true(read.meters[7].start_wh == INT64_MAX);
    assert_true(read.meters[7].pending_pulses == INT64_MAX);
    assert_true(read.meters[7].hours_pulses[23] == UINT32_MAX);
    // Counters that do not fit are left out from the highest id on: as many as fit are there.
    size_t id = 0;
    while (id < MM_COUNTER_COUNT && read.counters.values[id] == UINT32_MAX) {
        id++;
    }
    assert_true(frame_bytes + 6 > MM_MESH_FRAME_BYTES_MAX || id == MM_COUNTER_COUNT);
    assert_true(id >= 20);
    for (; id < MM_COUNTER_COUNT; id++) {
        assert_true(read.counters.values[id] == 0);
    }
}

static void test_frame_is_neither_json_nor_the_original(void **state) {
    (void)state;
    static vector_t vector;
    mm_frame_t frame;
    vector_load("frame_report_virgin", &vector);
    assert_true(vector.bytes[0] >= 0xF5); // occurs in no UTF-8 text

    static const char json[] = "{\"cmd\":\"meterdata\",\"Medidores\":[]}";
    assert_int_equal(mm_frame_open(json, sizeof json - 1, &frame), MM_ERR_CORRUPT);
    // The original's binary message: u32 count, u32 heap, then records of 74 bytes.
    uint8_t original[8 + 74] = {1, 0, 0, 0, 0x00, 0xC0, 0x01, 0x00, 0xF7, 0x4E, 1, 4};
    assert_int_equal(mm_frame_open(original, sizeof original, &frame), MM_ERR_CORRUPT);
    // A record alone whose node number looks like our magic.
    assert_int_equal(mm_frame_open(original + 8, 74, &frame), MM_ERR_CORRUPT);
    assert_int_equal(mm_frame_open(NULL, 0, &frame), MM_ERR_CORRUPT);
    static uint8_t large[MM_MESH_FRAME_BYTES_MAX + 1] = {0xF7, 0x4E, 1, 99};
    vector_seal(large, sizeof large, 2);
    assert_int_equal(mm_frame_open(large, sizeof large, &frame), MM_ERR_CORRUPT);
    vector_seal(large, sizeof large - 1, 2);
    assert_int_equal(mm_frame_open(large, sizeof large - 1, &frame), MM_OK);
}

static void test_meter_energy(void **state) {
    (void)state;
    assert_true(mm_meter_energy_wh(0, 0, 1000) == 0);
    assert_true(mm_meter_energy_wh(5000, 1, 1000) == 5001);
    assert_true(mm_meter_energy_wh(0, 799, 800) == 998); // 998.75
    assert_true(mm_meter_energy_wh(0, 1, 10000) == 0);   // 0.1
    assert_true(mm_meter_energy_wh(0, 19999, 10000) == 1999);
    assert_true(mm_meter_energy_wh(7, 1000, 0) == 0); // not configured
    assert_true(mm_meter_energy_wh(0, 7, 3) == 2333);
    // 18446744073709551615 * 1000 / 10000 = 1844674407370955161.5
    assert_true(mm_meter_energy_wh(0, UINT64_MAX, 10000) == UINT64_C(1844674407370955161));
    assert_true(mm_meter_energy_wh(0, UINT64_MAX, 1000) == UINT64_MAX);
    assert_true(mm_meter_energy_wh(1, UINT64_MAX, 1000) == UINT64_MAX);
    assert_true(mm_meter_energy_wh(0, UINT64_MAX, 100) == UINT64_MAX);
    assert_true(mm_meter_energy_wh(UINT64_MAX, 1, 1000) == UINT64_MAX);
    assert_true(mm_meter_energy_wh(UINT64_MAX - 1, 1, 1000) == UINT64_MAX);
    assert_true(mm_meter_energy_wh(0, UINT64_MAX, UINT32_MAX) == UINT64_C(4294967297000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_golden_hello_welcome_ask),
        cmocka_unit_test(test_frame_read_hello_welcome_ask),
        cmocka_unit_test(test_report_golden_vectors),
        cmocka_unit_test(test_report_read),
        cmocka_unit_test(test_report_of_a_later_version_is_read),
        cmocka_unit_test(test_frame_length_must_be_its_size),
        cmocka_unit_test(test_frame_unknown_type_and_version),
        cmocka_unit_test(test_frame_damage),
        cmocka_unit_test(test_frame_bodies),
        cmocka_unit_test(test_snapshot_impossible_values_refused),
        cmocka_unit_test(test_snapshot_impossible_meters_refused),
        cmocka_unit_test(test_report_random_round_trip),
        cmocka_unit_test(test_report_full_leaves_it_as_it_was),
        cmocka_unit_test(test_report_never_exceeds_a_mesh_packet),
        cmocka_unit_test(test_report_writer_asserts),
        cmocka_unit_test(test_snapshot_largest_fits_a_frame),
        cmocka_unit_test(test_frame_is_neither_json_nor_the_original),
        cmocka_unit_test(test_meter_energy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
