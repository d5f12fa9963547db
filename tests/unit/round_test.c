// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/round.h"

#include <string.h>

#include "test_support.h"

#define NODES_MAX 100
#define RETRY_US ((mm_us_t)3000)
#define DEADLINE ((mm_us_t)100000)

typedef struct {
    mm_round_t round;
    mm_counters_t counters;
    mm_batch_builder_t builders[MM_BATCHES_MAX];
    mm_mac_t nodes[NODES_MAX];
} fixture_t;

// Not on the stack: 155 KB.
static uint8_t batch_memory[MM_BATCHES_MAX][MM_BATCH_BYTES_MAX];
static uint8_t full_frame[MM_MESH_FRAME_BYTES_MAX];

static mm_mac_t mac_of(uint8_t index) {
    return (mm_mac_t){{0x02, 0, 0, 0, 1, index}};
}

static void set_up(fixture_t *fixture, uint8_t batch_capacity, size_t batch_bytes) {
    memset(fixture, 0, sizeof *fixture);
    for (uint8_t i = 0; i < batch_capacity; i++) {
        mm_batch_begin(&fixture->builders[i], batch_memory[i], batch_bytes);
    }
    for (uint8_t i = 0; i < NODES_MAX; i++) {
        fixture->nodes[i] = mac_of(i);
    }
    mm_round_init(&fixture->round, fixture->builders, batch_capacity, &fixture->counters);
}

static void begin(fixture_t *fixture, uint32_t round_id, uint8_t node_count) {
    mm_round_begin(&fixture->round, round_id, MM_BATCH_LIVE, fixture->nodes, node_count, 0, RETRY_US, DEADLINE);
}

// A frame that says whose it is, in its first byte. The round does not look inside.
static mm_err_t answer(fixture_t *fixture, uint8_t index, uint32_t round_id, uint8_t mark) {
    const uint8_t frame[2] = {index, mark};
    return mm_round_answer(&fixture->round, mac_of(index), round_id, frame, sizeof frame);
}

static uint32_t counted(const fixture_t *fixture, mm_counter_t counter) {
    return fixture->counters.values[counter];
}

// Read back what was collected: how often each node's frame is in the batches. Returns the number of frames.
static uint32_t count_frames(fixture_t *fixture, uint8_t times[NODES_MAX], uint8_t marks[NODES_MAX]) {
    uint32_t total = 0;
    memset(times, 0, NODES_MAX);
    for (uint8_t i = 0; i < fixture->round.batch_count; i++) {
        mm_batch_header_t header = {.round_id = fixture->round.round_id,
                                    .kind = fixture->round.kind,
                                    .batch_index = i,
                                    .batch_count = fixture->round.batch_count};
        size_t message_bytes = 0;
        const uint8_t *message = mm_batch_finish(&fixture->builders[i], &header, &message_bytes);
        mm_batch_reader_t reader;
        assert_int_equal(mm_batch_open(message, message_bytes, &reader), MM_OK);
        assert_true(reader.frame_count >= 1 && reader.frame_count <= MM_BATCH_NODES_MAX);
        const uint8_t *frame = NULL;
        size_t frame_bytes = 0;
        while (mm_batch_next(&reader, &frame, &frame_bytes)) {
            assert_true(frame_bytes >= 2 && frame[0] < NODES_MAX);
            times[frame[0]]++;
            marks[frame[0]] = frame[1];
            total++;
        }
    }
    return total;
}

static void test_round_before_the_first(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1, MM_BATCH_BYTES_MAX);
    mm_mac_t mac;
    assert_true(mm_round_poll(&fixture.round, 0));
    assert_false(mm_round_next_ask(&fixture.round, 0, &mac));
    assert_int_equal(mm_round_next_deadline(&fixture.round), MM_US_NEVER);
    assert_int_equal(answer(&fixture, 0, 0, 0), MM_ERR_STATE);
    assert_int_equal(counted(&fixture, MM_COUNTER_ANSWER_LATE), 1);
    begin(&fixture, 1, 0);
    assert_true(mm_round_poll(&fixture.round, 0));
    assert_int_equal(counted(&fixture, MM_COUNTER_ROUND_INCOMPLETE), 0);
}

static void test_round_asks_three_times_at_most(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1, MM_BATCH_BYTES_MAX);
    begin(&fixture, 1, 3);
    mm_mac_t mac;
    // First wave: everybody, once, in order.
    for (uint8_t i = 0; i < 3; i++) {
        assert_int_equal(mm_round_next_deadline(&fixture.round), i == 0 ? 0 : RETRY_US);
        assert_true(mm_round_next_ask(&fixture.round, 0, &mac));
        assert_true(mm_mac_equal(mac, mac_of(i)));
    }
    assert_false(mm_round_next_ask(&fixture.round, 0, &mac));
    assert_false(mm_round_next_ask(&fixture.round, RETRY_US - 1, &mac));
    // Second wave, without the one who answered.
    assert_int_equal(answer(&fixture, 1, 1, 0), MM_OK);
    assert_true(mm_round_next_ask(&fixture.round, RETRY_US, &mac));
    assert_true(mm_mac_equal(mac, mac_of(0)));
    // An answer in the middle of a wave spares the ask.
    assert_int_equal(answer(&fixture, 2, 1, 0), MM_OK);
    assert_false(mm_round_next_ask(&fixture.round, RETRY_US, &mac));
    assert_int_equal(mm_round_next_deadline(&fixture.round), 2 * RETRY_US);
    // Third and last.
    assert_true(mm_round_next_ask(&fixture.round, 2 * RETRY_US, &mac));
    assert_true(mm_mac_equal(mac, mac_of(0)));
    assert_false(mm_round_next_ask(&fixture.round, 2 * RETRY_US, &mac));
    assert_int_equal(mm_round_next_deadline(&fixture.round), DEADLINE);
    for (mm_us_t now = 2 * RETRY_US; now < DEADLINE; now += RETRY_US) {
        assert_false(mm_round_next_ask(&fixture.round, now, &mac));
    }
    assert_int_equal(fixture.round.asks_made[0], 3);
    assert_int_equal(fixture.round.asks_made[1], 1);
    assert_int_equal(fixture.round.asks_made[2], 1);
}

// An owner that asks less often than it may: three times are three times.
static void test_round_asks_three_times_one_call_each(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1, MM_BATCH_BYTES_MAX);
    begin(&fixture, 1, 1);
    mm_mac_t mac;
    for (mm_us_t wave = 0; wave < 3; wave++) {
        assert_true(mm_round_next_ask(&fixture.round, wave * RETRY_US, &mac));
    }
    assert_false(mm_round_next_ask(&fixture.round, 3 * RETRY_US, &mac));
    assert_int_equal(mm_round_next_deadline(&fixture.round), DEADLINE);
}

static void test_round_deadline_ends_asking_and_taking(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1, MM_BATCH_BYTES_MAX);
    begin(&fixture, 1, 2);
    mm_mac_t mac;
    assert_false(mm_round_poll(&fixture.round, DEADLINE - 1));
    assert_false(mm_round_next_ask(&fixture.round, DEADLINE, &mac));
    assert_true(mm_round_poll(&fixture.round, DEADLINE));
    assert_true(mm_round_poll(&fixture.round, DEADLINE + 1));
    assert_int_equal(counted(&fixture, MM_COUNTER_ROUND_INCOMPLETE), 1);
    assert_int_equal(mm_round_next_deadline(&fixture.round), MM_US_NEVER);
    assert_int_equal(answer(&fixture, 0, 1, 0), MM_ERR_STATE);
    assert_int_equal(counted(&fixture, MM_COUNTER_ANSWER_LATE), 1);
    assert_int_equal(fixture.round.batch_count, 0);
}

// Every set of answering nodes among 10.
static void test_round_every_subset_of_10(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1, MM_BATCH_BYTES_MAX);
    uint32_t incomplete = 0;
    for (uint32_t subset = 0; subset < 1024; subset++) {
        begin(&fixture, subset + 1, 10);
        uint32_t answered = 0;
        for (uint32_t i = 0; i < 10; i++) {
            uint8_t index = (uint8_t)((i * 7 + subset) % 10); // another order each time
            if ((subset >> index & 1) != 0) {
                assert_int_equal(answer(&fixture, index, subset + 1, (uint8_t)subset), MM_OK);
                answered++;
            }
        }
        assert_int_equal(mm_round_poll(&fixture.round, DEADLINE - 1), subset == 1023);
        assert_true(mm_round_poll(&fixture.round, DEADLINE));
        incomplete += subset == 1023 ? 0 : 1;
        assert_int_equal(counted(&fixture, MM_COUNTER_ROUND_INCOMPLETE), incomplete);

        mm_mac_t missing[MM_NODES_MAX];
        assert_int_equal(mm_round_missing(&fixture.round, missing), 10 - answered);
        uint8_t times[NODES_MAX];
        uint8_t marks[NODES_MAX];
        assert_int_equal(count_frames(&fixture, times, marks), answered);
        uint8_t missing_index = 0;
        for (uint8_t i = 0; i < 10; i++) {
            bool has = (subset >> i & 1) != 0;
            assert_int_equal(times[i], has);
            assert_int_equal(mm_round_has_answered(&fixture.round, mac_of(i)), has);
            if (has) {
                assert_int_equal(marks[i], (uint8_t)subset);
            } else {
                assert_true(mm_mac_equal(missing[missing_index++], mac_of(i)));
            }
        }
    }
}

#define EVENTS 7 // each of 3 children answers twice, and the deadline
#define EVENT_DEADLINE 6

// One schedule against a model that was written down from the contract. stale: bit per answer, carries the last round's
// id.
static void run_schedule(fixture_t *fixture, uint32_t round_id, const uint8_t order[EVENTS], uint32_t stale) {
    begin(fixture, round_id, 3);
    uint32_t duplicate = counted(fixture, MM_COUNTER_ANSWER_DUPLICATE);
    uint32_t late = counted(fixture, MM_COUNTER_ANSWER_LATE);
    uint32_t incomplete = counted(fixture, MM_COUNTER_ROUND_INCOMPLETE);
    bool answered[3] = {false, false, false};
    uint8_t marks_expected[3] = {0};
    uint32_t answered_count = 0;
    bool over = false;
    for (uint8_t i = 0; i < EVENTS; i++) {
        if (order[i] == EVENT_DEADLINE) {
            incomplete += over ? 0 : 1;
            over = true;
            assert_true(mm_round_poll(&fixture->round, DEADLINE));
            continue;
        }
        uint8_t child = order[i] / 2;
        bool is_stale = (stale >> order[i] & 1) != 0;
        mm_err_t expected = MM_ERR_STATE;
        if (!is_stale && answered[child]) {
            duplicate++;
        } else if (is_stale || over) {
            late++;
        } else {
            expected = MM_OK;
            answered[child] = true;
            marks_expected[child] = order[i];
            answered_count++;
            over = answered_count == 3;
        }
        assert_int_equal(answer(fixture, child, is_stale ? round_id - 1 : round_id, order[i]), expected);
        assert_int_equal(fixture->round.answered_count, answered_count);
        assert_int_equal(mm_round_poll(&fixture->round, DEADLINE - 1), over);
    }
    assert_int_equal(counted(fixture, MM_COUNTER_ANSWER_DUPLICATE), duplicate);
    assert_int_equal(counted(fixture, MM_COUNTER_ANSWER_LATE), late);
    assert_int_equal(counted(fixture, MM_COUNTER_ROUND_INCOMPLETE), incomplete);
    assert_int_equal(fixture->builders[0].frame_count, answered_count);
    uint8_t times[NODES_MAX];
    uint8_t marks[NODES_MAX];
    if (stale == 0) { // reading back costs the most, and the frames do not depend on what was refused
        assert_int_equal(count_frames(fixture, times, marks), answered_count);
        for (uint8_t child = 0; child < 3; child++) {
            assert_int_equal(times[child], answered[child]);
            assert_true(!answered[child] || marks[child] == marks_expected[child]);
        }
    }
}

// 7! orders of six answers and the deadline, times 64 choices of which answers belong to the round before.
static void test_round_every_order_of_3_children(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1, MM_BATCH_BYTES_MAX);
    uint8_t order[EVENTS] = {0, 1, 2, 3, 4, 5, EVENT_DEADLINE};
    uint8_t counters[EVENTS] = {0};
    uint32_t round_id = 1;
    uint32_t schedules = 0;
    uint8_t level = 0;
    for (;;) {
        for (uint32_t stale = 0; stale < 64; stale++) {
            run_schedule(&fixture, ++round_id, order, stale);
            schedules++;
        }
        // Next permutation (B. R. Heap, without recursion).
        while (level < EVENTS && counters[level] >= level) {
            counters[level++] = 0;
        }
        if (level == EVENTS) {
            break;
        }
        uint8_t other = level % 2 == 0 ? 0 : counters[level];
        uint8_t swapped = order[other];
        order[other] = order[level];
        order[level] = swapped;
        counters[level]++;
        level = 0;
    }
    assert_int_equal(schedules, 5040 * 64);
}

static void test_round_100_nodes_fill_10_batches(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, MM_BATCHES_MAX, MM_BATCH_BYTES_MAX);
    begin(&fixture, 77, NODES_MAX);
    mm_mac_t mac;
    uint32_t asks = 0;
    while (mm_round_next_ask(&fixture.round, 0, &mac)) {
        asks++;
    }
    assert_int_equal(asks, 100);
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        uint8_t index = (uint8_t)((i * 37 + 11) % NODES_MAX); // 37 and 100 have no common divisor: each once
        memset(full_frame, 0xA5, sizeof full_frame);
        full_frame[0] = index;
        full_frame[1] = (uint8_t)i;
        assert_int_equal(mm_round_answer(&fixture.round, mac_of(index), 77, full_frame, sizeof full_frame), MM_OK);
        assert_int_equal(fixture.round.answer_batch, i / 10);
        assert_int_equal(fixture.round.batch_count, i / 10 + 1);
        assert_int_equal(fixture.round.open, i < NODES_MAX - 1);
    }
    assert_int_equal(mm_round_next_deadline(&fixture.round), MM_US_NEVER);
    assert_true(mm_round_poll(&fixture.round, 1));
    assert_int_equal(counted(&fixture, MM_COUNTER_ROUND_INCOMPLETE), 0);
    uint8_t times[NODES_MAX];
    uint8_t marks[NODES_MAX];
    assert_int_equal(count_frames(&fixture, times, marks), 100);
    for (uint8_t i = 0; i < NODES_MAX; i++) {
        assert_int_equal(times[i], 1);
    }
    for (size_t i = 0; i < MM_BATCHES_MAX; i++) {
        assert_int_equal(fixture.builders[i].frame_count, 10);
    }
}

static void test_round_stranger_is_counted(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1, MM_BATCH_BYTES_MAX);
    begin(&fixture, 1, 2);
    assert_int_equal(answer(&fixture, 2, 1, 0), MM_ERR_STATE);
    assert_int_equal(counted(&fixture, MM_COUNTER_ANSWER_STRANGER), 1);
    assert_false(mm_round_has_answered(&fixture.round, mac_of(2)));
    assert_int_equal(fixture.round.batch_count, 0);
}

static void test_round_id_wraps(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1, MM_BATCH_BYTES_MAX);
    begin(&fixture, UINT32_MAX, 1);
    assert_int_equal(answer(&fixture, 0, UINT32_MAX, 0), MM_OK);
    begin(&fixture, 1, 1);
    assert_int_equal(answer(&fixture, 0, UINT32_MAX, 0), MM_ERR_STATE);
    assert_int_equal(counted(&fixture, MM_COUNTER_ANSWER_LATE), 1);
    assert_int_equal(answer(&fixture, 0, 0, 0), MM_ERR_STATE);
    assert_int_equal(counted(&fixture, MM_COUNTER_ANSWER_LATE), 2);
    assert_int_equal(answer(&fixture, 0, 1, 0), MM_OK);
    expect_assert_failure(begin(&fixture, 1, 1)); // not twice in a row
    expect_assert_failure(begin(&fixture, 0, 1));
    expect_assert_failure(begin(&fixture, 2, 11)); // one batch, ten nodes
}

// An open round that another one replaces leaves nothing behind.
static void test_round_abandoned(void **state) {
    (void)state;
    fixture_t fixture;
    set_up(&fixture, 1, MM_BATCH_BYTES_MAX);
    begin(&fixture, 1, 3);
    assert_int_equal(answer(&fixture, 0, 1, 1), MM_OK);
    begin(&fixture, 2, 3);
    assert_int_equal(fixture.round.batch_count, 0);
    assert_false(mm_round_has_answered(&fixture.round, mac_of(0)));
    assert_int_equal(answer(&fixture, 1, 1, 1), MM_ERR_STATE);
    assert_int_equal(answer(&fixture, 0, 2, 2), MM_OK);
    uint8_t times[NODES_MAX];
    uint8_t marks[NODES_MAX];
    assert_int_equal(count_frames(&fixture, times, marks), 1);
    assert_int_equal(marks[0], 2);
}

// Buffers smaller than ten full frames: a large frame goes on to the next batch, a small one still fits the first.
static void test_round_small_batches(void **state) {
    (void)state;
    fixture_t fixture;
    const size_t batch_bytes = MM_BATCH_HEADER_BYTES_MAX + 4 + (2 + MM_MESH_FRAME_BYTES_MAX) + (2 + 100);
    set_up(&fixture, 2, batch_bytes);
    begin(&fixture, 1, 6);
    memset(full_frame, 0, sizeof full_frame);
    full_frame[0] = 0;
    assert_int_equal(mm_round_answer(&fixture.round, mac_of(0), 1, full_frame, sizeof full_frame), MM_OK);
    full_frame[0] = 1;
    assert_int_equal(mm_round_answer(&fixture.round, mac_of(1), 1, full_frame, sizeof full_frame), MM_OK);
    assert_int_equal(fixture.round.answer_batch, 1);
    full_frame[0] = 2;
    assert_int_equal(mm_round_answer(&fixture.round, mac_of(2), 1, full_frame, sizeof full_frame), MM_ERR_FULL);
    assert_false(mm_round_has_answered(&fixture.round, mac_of(2)));
    full_frame[0] = 3;
    assert_int_equal(mm_round_answer(&fixture.round, mac_of(3), 1, full_frame, 100), MM_OK);
    assert_int_equal(fixture.round.answer_batch, 0);
    full_frame[0] = 4;
    assert_int_equal(mm_round_answer(&fixture.round, mac_of(4), 1, full_frame, 100), MM_OK);
    assert_int_equal(fixture.round.answer_batch, 1);
    assert_true(mm_round_poll(&fixture.round, DEADLINE));
    mm_mac_t missing[MM_NODES_MAX];
    assert_int_equal(mm_round_missing(&fixture.round, missing), 2);
    assert_true(mm_mac_equal(missing[0], mac_of(2)) && mm_mac_equal(missing[1], mac_of(5)));
    uint8_t times[NODES_MAX];
    uint8_t marks[NODES_MAX];
    assert_int_equal(count_frames(&fixture, times, marks), 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_before_the_first),
        cmocka_unit_test(test_round_asks_three_times_at_most),
        cmocka_unit_test(test_round_asks_three_times_one_call_each),
        cmocka_unit_test(test_round_deadline_ends_asking_and_taking),
        cmocka_unit_test(test_round_every_subset_of_10),
        cmocka_unit_test(test_round_every_order_of_3_children),
        cmocka_unit_test(test_round_100_nodes_fill_10_batches),
        cmocka_unit_test(test_round_stranger_is_counted),
        cmocka_unit_test(test_round_id_wraps),
        cmocka_unit_test(test_round_abandoned),
        cmocka_unit_test(test_round_small_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
