// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <string.h>

#include "sim/sim.h"

typedef struct {
    mm_sim_queue_t *queue;
    int order[64];
    int count;
} log_t;

static void note(void *context, const void *payload, size_t payload_bytes) {
    log_t *log = context;
    int number;
    assert_int_equal(payload_bytes, sizeof number);
    memcpy(&number, payload, sizeof number);
    log->order[log->count++] = number;
}

static void add_number(log_t *log, mm_us_t at, int number) {
    mm_sim_queue_add(log->queue, at, note, log, &number, sizeof number);
}

static void test_queue_runs_in_order_of_time_then_of_adding(void **state) {
    (void)state;
    log_t log = {.queue = mm_sim_queue_create()};
    const mm_us_t times[] = {50, 10, 30, 10, 40, 10, 20};
    const int expected[] = {1, 3, 5, 6, 2, 4, 0};
    for (int i = 0; i < 7; i++) {
        add_number(&log, times[i], i);
    }
    assert_int_equal(mm_sim_queue_next_at(log.queue), 10);
    while (mm_sim_queue_run_next(log.queue)) {
    }
    assert_int_equal(log.count, 7);
    assert_memory_equal(log.order, expected, sizeof expected);
    assert_int_equal(mm_sim_queue_now(log.queue), 50);
    assert_int_equal(mm_sim_queue_next_at(log.queue), MM_US_NEVER);
    mm_sim_queue_destroy(log.queue);
}

static void test_queue_takes_the_past_as_now(void **state) {
    (void)state;
    log_t log = {.queue = mm_sim_queue_create()};
    add_number(&log, 100, 1);
    assert_true(mm_sim_queue_run_next(log.queue));
    add_number(&log, 5, 2);
    assert_int_equal(mm_sim_queue_next_at(log.queue), 100);
    mm_sim_queue_destroy(log.queue);
}

static void take_long(void *context, const void *payload, size_t payload_bytes) {
    uint8_t expected[1000];
    memset(expected, 0x5A, sizeof expected);
    assert_int_equal(payload_bytes, sizeof expected);
    assert_memory_equal(payload, expected, sizeof expected);
    *(bool *)context = true;
}

static void test_queue_copies_a_long_payload(void **state) {
    (void)state;
    mm_sim_queue_t *queue = mm_sim_queue_create();
    uint8_t bytes[1000];
    memset(bytes, 0x5A, sizeof bytes);
    bool taken = false;
    mm_sim_queue_add(queue, 1, take_long, &taken, bytes, sizeof bytes);
    memset(bytes, 0, sizeof bytes);
    assert_true(mm_sim_queue_run_next(queue));
    assert_true(taken);
    // One that is never run is freed with the queue.
    mm_sim_queue_add(queue, 1, take_long, &taken, bytes, sizeof bytes);
    mm_sim_queue_destroy(queue);
}

static uint64_t hash_of(uint64_t seed, int device, const char *what, uint64_t first, uint64_t second) {
    mm_sim_t sim;
    mm_sim_init(&sim, seed);
    mm_sim_note(&sim, device, what, first, second);
    uint64_t hash = sim.trace_hash;
    mm_sim_deinit(&sim);
    return hash;
}

static void test_trace_hash_depends_on_everything_noted(void **state) {
    (void)state;
    uint64_t hash = hash_of(1, 2, "sent", 3, 4);
    assert_int_equal(hash, hash_of(1, 2, "sent", 3, 4));
    assert_int_not_equal(hash, hash_of(2, 2, "sent", 3, 4));
    assert_int_not_equal(hash, hash_of(1, 3, "sent", 3, 4));
    assert_int_not_equal(hash, hash_of(1, 2, "send", 3, 4));
    assert_int_not_equal(hash, hash_of(1, 2, "sent", 4, 3));
    assert_int_not_equal(hash, hash_of(1, 2, "sent", 3, 5));
}

static void test_random_streams_are_apart(void **state) {
    (void)state;
    mm_sim_t sim;
    mm_sim_init(&sim, 7);
    mm_random_t first = mm_sim_random(&sim, "radio", 0);
    mm_random_t again = mm_sim_random(&sim, "radio", 0);
    mm_random_t other = mm_sim_random(&sim, "radio", 1);
    uint32_t value = mm_random_u32(&first);
    assert_int_equal(value, mm_random_u32(&again));
    assert_int_not_equal(value, mm_random_u32(&other));
    unsigned hits = 0;
    for (int i = 0; i < 10000; i++) {
        hits += mm_sim_chance(&first, 250000);
    }
    assert_in_range(hits, 2300, 2700); // one in four, 10,000 draws, 4.6 sigma
    assert_false(mm_sim_chance(&first, 0));
    assert_true(mm_sim_chance(&first, 1000000));
    mm_sim_deinit(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_runs_in_order_of_time_then_of_adding),
        cmocka_unit_test(test_queue_takes_the_past_as_now),
        cmocka_unit_test(test_queue_copies_a_long_payload),
        cmocka_unit_test(test_trace_hash_depends_on_everything_noted),
        cmocka_unit_test(test_random_streams_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
