// SPDX-License-Identifier: Apache-2.0
// Items in the original's form behind an ask.
#include "test_support.h"

#include <stdlib.h>

#include "meshmeter/command.h"
#include "wire_vectors.h"

#define FIRST "{\"cmd\":\"ota\",\"f\":\"250301\",\"cha\":\"47c5d663\"}"
#define ASK_BYTES 48
#define FIRST_BYTES (3 + 2 + sizeof FIRST - 1)
#define SECOND_BYTES (2 + 2)

static const mm_ask_t s_ask = {.round_id = 0xDEADBEEF,
                               .time = {{1750000000123456}, MM_TRUST_SYNCED},
                               .with_snapshot = true,
                               .has_watermark = true,
                               .watermark = {1, 70096},
                               .after = {1, 70098},
                               .report_bytes_max = 1472};
static const mm_ask_item_t s_items[] = {{FIRST, sizeof FIRST - 1}, {"{}", 2}};

// The root of the vectors.
static mm_mac_t root_of(const vector_t *vector) {
    mm_frame_t frame;
    assert_int_equal(mm_frame_open(vector->bytes, vector->bytes_count, &frame), MM_OK);
    return frame.source;
}

// Items of an ask, or -1 if it is none.
static int count_items(const uint8_t *bytes, size_t bytes_count) {
    mm_frame_t frame;
    mm_ask_t ask;
    mm_ask_commands_t items;
    const uint8_t *item = NULL;
    size_t item_bytes = 0;
    int count = 0;
    if (mm_frame_open(bytes, bytes_count, &frame) != MM_OK || frame.type != MM_FRAME_ASK ||
        mm_frame_read_ask(&frame, &ask) != MM_OK) {
        return -1;
    }
    mm_ask_commands_begin(&frame, &items);
    assert_false(mm_ask_commands_next(&items, &item, &item_bytes)); // they are no commands
    mm_ask_items_begin(&frame, &items);
    while (mm_ask_commands_next(&items, &item, &item_bytes)) {
        assert_true(item_bytes > 0 && item >= bytes && item + item_bytes <= bytes + bytes_count);
        count++;
    }
    return count;
}

static bool decode(const uint8_t *bytes, size_t bytes_count) {
    return count_items(bytes, bytes_count) >= 0;
}

static void test_ask_items_golden_vector(void **state) {
    (void)state;
    static vector_t vector;
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    vector_load("frame_ask_items", &vector);
    mm_mac_t root = root_of(&vector);
    vector_assert_equal("frame_ask_items", bytes,
                        mm_frame_write_ask_with_items(bytes, sizeof bytes, root, &s_ask, s_items, 2));
    assert_int_equal(count_items(vector.bytes, vector.bytes_count), 2);
    vector_assert_equal("frame_ask_watermark", bytes,
                        mm_frame_write_ask_with_items(bytes, sizeof bytes, root, &s_ask, s_items, 0));
    assert_int_equal(count_items(bytes, ASK_BYTES), 0);
}

static void test_ask_items_damage(void **state) {
    (void)state;
    static vector_t vector;
    vector_load("frame_ask_items", &vector);
    vector_assert_damage_refused(&vector, decode);
}

static void test_ask_items_as_many_as_fit(void **state) {
    (void)state;
    static vector_t vector;
    vector_load("frame_ask_items", &vector);
    mm_mac_t root = root_of(&vector);
    for (size_t capacity_bytes = 0; capacity_bytes <= ASK_BYTES + FIRST_BYTES + SECOND_BYTES; capacity_bytes++) {
        uint8_t *bytes = malloc(capacity_bytes > 0 ? capacity_bytes : 1);
        assert_non_null(bytes);
        size_t size = mm_frame_write_ask_with_items(bytes, capacity_bytes, root, &s_ask, s_items, 2);
        size_t expected_bytes = capacity_bytes < ASK_BYTES                                ? 0
                                : capacity_bytes < ASK_BYTES + FIRST_BYTES                ? ASK_BYTES
                                : capacity_bytes < ASK_BYTES + FIRST_BYTES + SECOND_BYTES ? ASK_BYTES + FIRST_BYTES
                                                                                          : capacity_bytes;
        assert_int_equal(size, expected_bytes);
        free(bytes);
    }
    // The longest item that a root passes on fits behind every ask.
    static char longest[MM_ASK_ITEM_BYTES_MAX];
    memset(longest, '{', sizeof longest);
    const mm_ask_item_t item = {longest, sizeof longest};
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    size_t size = mm_frame_write_ask_with_items(bytes, sizeof bytes, root, &s_ask, &item, 1);
    assert_int_equal(count_items(bytes, size), 1);
}

static void test_ask_items_sections(void **state) {
    (void)state;
    const struct {
        uint8_t bytes[16];
        size_t bytes_count;
        int items;
        const char *why;
    } cases[] = {
        {{5, 3, 0, 1, 0, 9}, 6, 1, "one of one byte"},
        {{5, 0, 0}, 3, -1, "a section without items"},
        {{5, 2, 0, 0, 0}, 5, -1, "an item without bytes"},
        {{5, 3, 0, 2, 0, 9}, 6, -1, "an item beyond its section"},
        {{5, 3, 0, 1, 0, 9, 5, 3, 0, 1, 0, 9}, 12, -1, "two sections"},
    };
    static vector_t vector;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vector_load("frame_ask_watermark", &vector);
        size_t bytes_count = vector.bytes_count + cases[i].bytes_count;
        memcpy(vector.bytes + vector.bytes_count - 4, cases[i].bytes, cases[i].bytes_count);
        vector_seal(vector.bytes, bytes_count, 2);
        if (count_items(vector.bytes, bytes_count) != cases[i].items) {
            fail_msg("%s", cases[i].why);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ask_items_golden_vector),
        cmocka_unit_test(test_ask_items_damage),
        cmocka_unit_test(test_ask_items_as_many_as_fit),
        cmocka_unit_test(test_ask_items_sections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
