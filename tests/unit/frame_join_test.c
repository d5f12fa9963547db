// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/frame.h"

#include "wire_vectors.h"

#define FRAME_BYTES 240

// The values of tools/make-wire-vectors.
static const mm_mac_t s_node = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x03}};
static const mm_mac_t s_other_node = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x04}};
static const mm_mac_t s_root = {{0x24, 0x0A, 0xC4, 0xFF, 0x00, 0x01}};

static void put_nonce(uint8_t nonce[16]) {
    for (uint8_t i = 0; i < 16; i++) {
        nonce[i] = (uint8_t)(0x40 + i);
    }
}

static mm_join_answer_t answer_of(const char *site, uint8_t part, uint8_t part_count, uint8_t slice_bytes) {
    static uint8_t slice[MM_JOIN_SLICE_BYTES];
    mm_join_answer_t answer = {
        .asker = s_node, .part = part, .part_count = part_count, .slice = slice, .slice_bytes = slice_bytes};
    put_nonce(answer.nonce);
    strcpy(answer.site, site);
    for (uint8_t i = 0; i < sizeof slice; i++) {
        slice[i] = i;
    }
    return answer;
}

static void assert_answer(const char *name, mm_mac_t source, const mm_join_answer_t *answer) {
    static vector_t vector;
    uint8_t bytes[FRAME_BYTES]; // what fits the door
    vector_assert_equal(name, bytes, mm_frame_write_join_answer(bytes, sizeof bytes, source, answer));
    vector_load(name, &vector);
    mm_frame_t frame;
    assert_int_equal(mm_frame_open(vector.bytes, vector.bytes_count, &frame), MM_OK);
    assert_int_equal(frame.type, MM_FRAME_JOIN_ANSWER);
    mm_join_answer_t read;
    assert_int_equal(mm_frame_read_join_answer(&frame, &read), MM_OK);
    assert_true(mm_mac_equal(read.asker, answer->asker));
    assert_memory_equal(read.nonce, answer->nonce, sizeof read.nonce);
    assert_string_equal(read.site, answer->site);
    assert_int_equal(read.part, answer->part);
    assert_int_equal(read.part_count, answer->part_count);
    assert_int_equal(read.slice_bytes, answer->slice_bytes);
    assert_memory_equal(read.slice, answer->slice, answer->slice_bytes);
    for (size_t room_bytes = 0; room_bytes < vector.bytes_count; room_bytes++) {
        assert_int_equal(mm_frame_write_join_answer(bytes, room_bytes, source, answer), 0);
    }
}

static void test_join_answer_golden_vectors(void **state) {
    (void)state;
    mm_join_answer_t answer = answer_of("house-1", 0, 0, 0);
    assert_answer("frame_join_answer_wait", s_root, &answer);
    answer = answer_of("house-1", 0, 3, 160);
    assert_answer("frame_join_answer_first", s_root, &answer);
    answer = answer_of("aaaaaaaaaaaaaaaaaaaaaaa", 3, 4, 96);
    assert_answer("frame_join_answer_last", s_other_node, &answer);
}

static void test_join_ask_golden_vectors(void **state) {
    (void)state;
    static vector_t vector;
    static const char *const names[] = {"frame_join_ask", "frame_join_ask_carried"};
    for (size_t i = 0; i < 2; i++) {
        vector_load(names[i], &vector);
        mm_frame_t frame;
        assert_int_equal(mm_frame_open(vector.bytes, vector.bytes_count, &frame), MM_OK);
        assert_int_equal(frame.type, MM_FRAME_JOIN_ASK);
        assert_true(mm_mac_equal(frame.source, i == 0 ? s_node : s_other_node));
        mm_join_ask_t ask;
        assert_int_equal(mm_frame_read_join_ask(&frame, &ask), MM_OK);
        assert_true(mm_mac_equal(ask.asker, s_node));
        assert_int_equal(ask.nonce[0], 0x40);
        assert_int_equal(ask.nonce[15], 0x4F);
        assert_int_equal(ask.revision, i == 0 ? 0 : 70000);
        uint8_t bytes[FRAME_BYTES];
        vector_assert_equal(names[i], bytes, mm_frame_write_join_ask(bytes, sizeof bytes, frame.source, &ask));
    }
}

static void test_ask_says_the_network(void **state) {
    (void)state;
    static vector_t vector;
    vector_load("frame_ask_network", &vector);
    mm_frame_t frame;
    mm_ask_t ask;
    assert_int_equal(mm_frame_open(vector.bytes, vector.bytes_count, &frame), MM_OK);
    assert_int_equal(mm_frame_read_ask(&frame, &ask), MM_OK);
    assert_int_equal(ask.network_revision, 70000);
    uint8_t bytes[FRAME_BYTES];
    vector_assert_equal("frame_ask_network", bytes, mm_frame_write_ask(bytes, sizeof bytes, s_root, &ask));
    vector_load("frame_ask_plain", &vector);
    assert_int_equal(mm_frame_open(vector.bytes, vector.bytes_count, &frame), MM_OK);
    assert_int_equal(mm_frame_read_ask(&frame, &ask), MM_OK);
    assert_int_equal(ask.network_revision, 0);
}

static mm_err_t read_any(const vector_t *vector, size_t bytes_count) {
    mm_frame_t frame;
    mm_join_ask_t join_ask;
    mm_join_answer_t answer;
    mm_ask_t ask;
    mm_err_t err = mm_frame_open(vector->bytes, bytes_count, &frame);
    if (err != MM_OK) {
        return err;
    }
    return frame.type == MM_FRAME_ASK        ? mm_frame_read_ask(&frame, &ask)
           : frame.type == MM_FRAME_JOIN_ASK ? mm_frame_read_join_ask(&frame, &join_ask)
                                             : mm_frame_read_join_answer(&frame, &answer);
}

static void test_join_frames_refuse(void **state) {
    (void)state;
    // Offsets: 12 asker, 18 nonce, 34 characters of the site (7), 42 part, 43 part_count, 44 slice bytes.
    static const struct {
        const char *name;
        uint8_t offset;
        uint8_t value;
        const char *why;
    } cases[] = {
        {"frame_join_answer_wait", 34, 0, "no site"},
        {"frame_join_answer_wait", 34, 24, "site too long"},
        {"frame_join_answer_wait", 35, 'H', "no topic level"},
        {"frame_join_answer_wait", 35, '/', "no topic level"},
        {"frame_join_answer_wait", 42, 1, "a part of none"},
        {"frame_join_answer_first", 43, 5, "five parts"},
        {"frame_join_answer_first", 43, 0, "a slice of none"},
        {"frame_join_answer_first", 42, 3, "part behind the last"},
        {"frame_join_answer_first", 44, 159, "a short part that is not the last"},
        {"frame_ask_network", 45, 3, "section of another size"},
    };
    static vector_t vector;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vector_load(cases[i].name, &vector);
        assert_int_equal(read_any(&vector, vector.bytes_count), MM_OK);
        vector.bytes[cases[i].offset] = cases[i].value;
        vector_seal(vector.bytes, vector.bytes_count, 2);
        if (read_any(&vector, vector.bytes_count) != MM_ERR_CORRUPT) {
            fail_msg("%s", cases[i].why);
        }
    }
    vector_load("frame_join_ask", &vector);
    memset(vector.bytes + 12, 0, 6); // nobody
    vector_seal(vector.bytes, vector.bytes_count, 2);
    assert_int_equal(read_any(&vector, vector.bytes_count), MM_ERR_CORRUPT);
    vector_load("frame_ask_network", &vector);
    memset(vector.bytes + vector.bytes_count - 8, 0, 4); // revision 0 is not said
    vector_seal(vector.bytes, vector.bytes_count, 2);
    assert_int_equal(read_any(&vector, vector.bytes_count), MM_ERR_CORRUPT);
}

static void test_join_frames_cut(void **state) {
    (void)state;
    static const char *const names[] = {"frame_join_ask", "frame_join_answer_wait", "frame_join_answer_first",
                                        "frame_join_answer_last"};
    static vector_t vector;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        vector_load(names[i], &vector);
        for (size_t bytes_count = 16; bytes_count < vector.bytes_count; bytes_count++) {
            vector_load(names[i], &vector);
            vector_seal(vector.bytes, bytes_count, 2);
            assert_int_equal(read_any(&vector, bytes_count), MM_ERR_CORRUPT);
        }
        // A section of a later version is skipped.
        vector_load(names[i], &vector);
        memcpy(vector.bytes + vector.bytes_count - 4, "\x4D\x01\x00\x09", 4);
        vector_seal(vector.bytes, vector.bytes_count + 4, 2);
        assert_int_equal(read_any(&vector, vector.bytes_count + 4), MM_OK);
    }
}

static void test_join_answer_asserts(void **state) {
    (void)state;
    uint8_t bytes[FRAME_BYTES];
    mm_join_answer_t answer = answer_of("", 0, 0, 0);
    expect_assert_failure(mm_frame_write_join_answer(bytes, sizeof bytes, s_root, &answer));
    answer = answer_of("house-1", 0, 2, 159);
    expect_assert_failure(mm_frame_write_join_answer(bytes, sizeof bytes, s_root, &answer));
    answer = answer_of("house-1", 0, 1, 0);
    expect_assert_failure(mm_frame_write_join_answer(bytes, sizeof bytes, s_root, &answer));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join_answer_golden_vectors),
        cmocka_unit_test(test_join_ask_golden_vectors),
        cmocka_unit_test(test_ask_says_the_network),
        cmocka_unit_test(test_join_frames_refuse),
        cmocka_unit_test(test_join_frames_cut),
        cmocka_unit_test(test_join_answer_asserts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
