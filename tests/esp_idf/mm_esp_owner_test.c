// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_owner.h"

#include "test_support.h"

#include "fake.h"
#include "fake_freertos.h"

static const mm_mac_t MAC = {{2, 0, 0, 0, 0, 7}};

static void never_returns(void *context) {
    (void)context;
}

static void open_owner(void) {
    fake_reset();
    assert_int_equal(mm_esp_owner_open(), MM_OK);
    assert_int_equal(mm_esp_owner_start(never_returns, NULL), MM_OK);
}

static mm_esp_owner_counts_t counts_of(void) {
    mm_esp_owner_counts_t counts;
    mm_esp_owner_counts(&counts);
    return counts;
}

static void what_is_posted_comes_out_in_order(void **state) {
    (void)state;
    mm_esp_post_t post;
    open_owner();
    const mm_mesh_event_t got_ip = {.kind = MM_MESH_GOT_IP, .layer = 1};
    const mm_mqtt_event_t published = {.kind = MM_MQTT_PUBLISHED, .session = 9, .packet_id = 4};
    assert_true(mm_esp_owner_post_frame(MAC, "frame", 5));
    assert_true(mm_esp_owner_post_mesh(&got_ip));
    assert_true(mm_esp_owner_post_mqtt(&published));
    assert_true(mm_esp_owner_post_door(MAC, "door", 4));
    assert_true(mm_esp_owner_post_request(77));
    assert_true(mm_esp_owner_post_wake_from_isr());
    assert_true(mm_esp_owner_take(&post, 0));
    assert_int_equal(post.kind, MM_ESP_POST_FRAME);
    assert_true(mm_mac_equal(post.from, MAC));
    assert_int_equal(post.bytes_count, 5);
    assert_memory_equal(post.bytes, "frame", 5);
    mm_esp_owner_done(&post);
    assert_true(mm_esp_owner_take(&post, 0));
    assert_int_equal(post.mesh.kind, MM_MESH_GOT_IP);
    mm_esp_owner_done(&post);
    assert_true(mm_esp_owner_take(&post, 0));
    assert_int_equal(post.mqtt.session, 9);
    mm_esp_owner_done(&post);
    assert_true(mm_esp_owner_take(&post, 0));
    assert_int_equal(post.kind, MM_ESP_POST_DOOR);
    assert_memory_equal(post.bytes, "door", 4);
    mm_esp_owner_done(&post);
    assert_true(mm_esp_owner_take(&post, 0));
    assert_int_equal(post.number, 77);
    assert_true(mm_esp_owner_take(&post, 0));
    assert_int_equal(post.kind, MM_ESP_POST_WAKE);
    assert_false(mm_esp_owner_take(&post, 0));
}

static void a_flood_of_frames_leaves_room_for_what_decides(void **state) {
    (void)state;
    mm_esp_post_t post;
    const mm_mesh_event_t lost = {.kind = MM_MESH_LOST_IP};
    open_owner();
    for (unsigned i = 0; i < 100; i++) {
        (void)mm_esp_owner_post_frame(MAC, "x", 1);
        (void)mm_esp_owner_post_door(MAC, "y", 1);
        (void)mm_esp_owner_post_wake();
    }
    // 3 frames and 8 packets have slots, 13 wakes the unreserved rest of the 24 places.
    assert_int_equal(counts_of().frames_full, 100 - MM_ESP_OWNER_FRAMES);
    assert_int_equal(counts_of().packets_full, 100 - MM_ESP_OWNER_PACKETS);
    assert_int_equal(counts_of().queue_full, 100 - 13);
    for (unsigned i = 0; i < MM_ESP_OWNER_RESERVED; i++) {
        assert_true(mm_esp_owner_post_mesh(&lost));
    }
    assert_false(mm_esp_owner_post_mesh(&lost));
    unsigned taken = 0;
    while (mm_esp_owner_take(&post, 0)) {
        mm_esp_owner_done(&post);
        taken++;
    }
    assert_int_equal(taken, MM_ESP_OWNER_QUEUE_COUNT);
    // Every slot came back.
    for (unsigned i = 0; i < MM_ESP_OWNER_FRAMES; i++) {
        assert_true(mm_esp_owner_post_frame(MAC, "x", 1));
        assert_true(mm_esp_owner_post_door(MAC, "y", 1));
    }
}

// A button that bounces, or a warning pin that flickers, while flash is erased: nobody takes anything for 400 ms.
static void a_flood_of_interrupts_is_one_wake(void **state) {
    (void)state;
    mm_esp_post_t post;
    const mm_mqtt_event_t connected = {.kind = MM_MQTT_CONNECTED};
    open_owner();
    for (unsigned i = 0; i < 100; i++) {
        assert_true(mm_esp_owner_post_wake_from_isr());
    }
    assert_true(mm_esp_owner_post_mqtt(&connected));
    assert_int_equal(counts_of().queue_full, 0);
    assert_true(mm_esp_owner_take(&post, 0));
    assert_int_equal(post.kind, MM_ESP_POST_WAKE);
    mm_esp_owner_done(&post);
    // One that comes from now on is for what the owner may not see any more.
    assert_true(mm_esp_owner_post_wake_from_isr());
    assert_true(mm_esp_owner_take(&post, 0));
    assert_int_equal(post.kind, MM_ESP_POST_MQTT);
    mm_esp_owner_done(&post);
    assert_true(mm_esp_owner_take(&post, 0));
    assert_int_equal(post.kind, MM_ESP_POST_WAKE);
    mm_esp_owner_done(&post);
    assert_false(mm_esp_owner_take(&post, 0));
    // One that found no room is not taken for one that waits.
    while (mm_esp_owner_post_mqtt(&connected)) {
    }
    assert_false(mm_esp_owner_post_wake_from_isr());
    assert_true(mm_esp_owner_take(&post, 0));
    mm_esp_owner_done(&post);
    assert_true(mm_esp_owner_post_wake_from_isr());
}

static void too_long_is_counted_and_refused(void **state) {
    (void)state;
    static uint8_t bytes[MM_MESH_FRAME_BYTES_MAX + 1];
    open_owner();
    assert_false(mm_esp_owner_post_frame(MAC, bytes, sizeof bytes));
    assert_false(mm_esp_owner_post_door(MAC, bytes, MM_DOOR_PACKET_BYTES_MAX + 1));
    assert_true(mm_esp_owner_post_frame(MAC, bytes, MM_MESH_FRAME_BYTES_MAX));
    assert_int_equal(counts_of().frames_too_long, 2);
}

static void a_wait_ends_at_the_deadline_and_after_a_turn(void **state) {
    (void)state;
    mm_esp_post_t post;
    open_owner();
    int64_t before_us = fake_time_us();
    assert_false(mm_esp_owner_take(&post, mm_esp_owner_now() + 250000));
    assert_int_equal(fake_time_us() - before_us, 250000);
    before_us = fake_time_us();
    assert_false(mm_esp_owner_take(&post, MM_US_NEVER));
    assert_int_equal(fake_time_us() - before_us, MM_ESP_OWNER_TURN_MS * 1000);
}

static void add_one(void *context) {
    (*(unsigned *)context)++;
}

static void a_job_ends_or_the_worker_is_given_up(void **state) {
    (void)state;
    mm_esp_post_t post;
    uint32_t number = 0;
    uint32_t other = 0;
    unsigned done = 0;
    open_owner();
    mm_us_t deadline = mm_esp_owner_now() + 10 * MM_US_PER_S;
    assert_int_equal(mm_esp_owner_give_job(add_one, &done, deadline, &number), MM_OK);
    assert_int_equal(mm_esp_owner_give_job(add_one, &done, deadline, &other), MM_ERR_BUSY);
    fake_task_run("worker", 1);
    assert_int_equal(done, 1);
    assert_true(mm_esp_owner_take(&post, 0));
    assert_int_equal(post.kind, MM_ESP_POST_JOB);
    assert_int_equal(post.number, number);
    // Another one, which the worker never ends.
    deadline = mm_esp_owner_now() + 10 * MM_US_PER_S;
    assert_int_equal(mm_esp_owner_give_job(add_one, &done, deadline, &other), MM_OK);
    assert_true(mm_esp_owner_worker_is_good(deadline - 1));
    assert_int_equal(counts_of().jobs_overdue, 0);
    assert_true(mm_esp_owner_worker_is_good(deadline));
    assert_true(mm_esp_owner_worker_is_good(deadline + MM_ESP_OWNER_JOB_GRACE_S * MM_US_PER_S - 1));
    assert_false(mm_esp_owner_worker_is_good(deadline + MM_ESP_OWNER_JOB_GRACE_S * MM_US_PER_S));
    assert_int_equal(counts_of().jobs_overdue, 1);
}

static void each_call_that_fails_has_a_result(void **state) {
    (void)state;
    unsigned call_no = 0;
    do {
        uint32_t number = 0;
        unsigned done = 0;
        mm_esp_post_t post;
        fake_reset();
        fake_fail_at(++call_no);
        if (mm_esp_owner_open() != MM_OK || mm_esp_owner_start(never_returns, NULL) != MM_OK) {
            continue;
        }
        if (mm_esp_owner_post_frame(MAC, "frame", 5)) {
            assert_true(mm_esp_owner_take(&post, 0));
            mm_esp_owner_done(&post);
        } else {
            assert_int_equal(counts_of().queue_full, 1);
        }
        if (mm_esp_owner_give_job(add_one, &done, mm_esp_owner_now(), &number) == MM_OK) {
            fake_task_run("worker", 3);
            assert_int_equal(done, 1);
            assert_true(mm_esp_owner_take(&post, 0));
            assert_int_equal(post.number, number);
        }
    } while (fake_has_failed());
    assert_true(call_no > 1);
    assert_int_equal(fake_critical_depth(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_posted_comes_out_in_order),
        cmocka_unit_test(a_flood_of_frames_leaves_room_for_what_decides),
        cmocka_unit_test(a_flood_of_interrupts_is_one_wake),
        cmocka_unit_test(too_long_is_counted_and_refused),
        cmocka_unit_test(a_wait_ends_at_the_deadline_and_after_a_turn),
        cmocka_unit_test(a_job_ends_or_the_worker_is_given_up),
        cmocka_unit_test(each_call_that_fails_has_a_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
