// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_door.h"

#include "test_support.h"

#include <string.h>

#include "fake.h"
#include "fake_freertos.h"
#include "fake_now.h"
#include "fake_wifi.h"
#include "mm_esp_owner.h"
#include "mm_esp_radio.h"

static const mm_mac_t ASKER = {{2, 0, 0, 0, 0, 5}};
static const mm_mac_t OTHER = {{2, 0, 0, 0, 0, 6}};
static const mm_mac_t EVERYBODY = {{0}};
static const uint8_t RADIO_ALL[6] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

static mm_esp_door_t s_door;

static void prepare(void) {
    mm_esp_radio_close();
    mm_esp_radio_set_user(NULL, NULL);
    fake_reset();
    assert_int_equal(mm_esp_owner_open(), MM_OK);
}

static void open_door(bool is_parked) {
    prepare();
    assert_int_equal(mm_esp_radio_open(is_parked ? MM_ESP_RADIO_STATION : MM_ESP_RADIO_MESH), MM_OK);
    assert_int_equal(mm_esp_door_open(&s_door, is_parked), MM_OK);
}

static int open_member(void **state) {
    (void)state;
    open_door(false);
    return 0;
}

static int open_parked(void **state) {
    (void)state;
    open_door(true);
    return 0;
}

static mm_err_t send(mm_mac_t to, const void *bytes, size_t bytes_count) {
    return s_door.door.send(s_door.door.context, to, bytes, bytes_count);
}

static void receive(const void *data, int data_len) {
    fake_now_receive(ASKER.bytes, data, data_len);
}

// Packets that were posted.
static unsigned take_all(void) {
    mm_esp_post_t post;
    unsigned count = 0;
    while (mm_esp_owner_take(&post, 0)) {
        assert_int_equal(post.kind, MM_ESP_POST_DOOR);
        count++;
        mm_esp_owner_done(&post);
    }
    return count;
}

static void test_member_sends_on_its_channel(void **state) {
    (void)state;
    const fake_now_t *now = fake_now();
    fake_wifi()->channel = 9;
    fake_wifi()->channel_is_fixed = true;
    assert_int_equal(send(EVERYBODY, "ask", 3), MM_OK);
    assert_memory_equal(now->sent_to, RADIO_ALL, 6);
    assert_int_equal(now->sent_bytes, 7);
    assert_memory_equal(now->sent, "MMDRask", 7);
    assert_int_equal(now->sent_channel, 9);
    assert_int_equal(send(ASKER, "answer", 6), MM_OK);
    assert_memory_equal(now->sent_to, ASKER.bytes, 6);
    assert_int_equal(now->peer_count, 2);
    assert_int_equal(now->peers[0].ifidx, WIFI_IF_STA);
    assert_int_equal(now->peers[1].channel, 0);
    // Another one takes its place: the SDK's table has an end.
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(send(i % 2 == 0 ? OTHER : ASKER, "answer", 6), MM_OK);
    }
    assert_int_equal(now->peer_count, 2);
    assert_int_equal(send(EVERYBODY, "ask", 3), MM_OK);
}

static void test_longest_packet(void **state) {
    (void)state;
    uint8_t bytes[MM_DOOR_PACKET_BYTES_MAX];
    memset(bytes, 7, sizeof bytes);
    assert_int_equal(send(ASKER, bytes, sizeof bytes), MM_OK);
    assert_int_equal(fake_now()->sent_bytes, sizeof bytes + 4);
    assert_memory_equal(fake_now()->sent + 4, bytes, sizeof bytes);
}

static void test_parked_node_looks_on_all_channels(void **state) {
    (void)state;
    bool seen[MM_ESP_DOOR_CHANNELS + 1] = {false};
    for (unsigned i = 0; i < MM_ESP_DOOR_CHANNELS; i++) {
        assert_int_equal(send(EVERYBODY, "ask", 3), MM_OK);
        assert_in_range(fake_now()->sent_channel, 1, MM_ESP_DOOR_CHANNELS);
        assert_false(seen[fake_now()->sent_channel]);
        seen[fake_now()->sent_channel] = true;
        assert_int_equal(send(ASKER, "to one", 6), MM_OK); // stays there
        assert_int_equal(fake_now()->sent_channel, s_door.channel);
    }
    // A router is being tried: nothing moves.
    fake_wifi()->channel_is_fixed = true;
    assert_int_equal(send(EVERYBODY, "ask", 3), MM_ERR_BUSY);
    assert_int_equal(s_door.counts.sends_refused, 1);
    fake_wifi()->channel_is_fixed = false;
    // A channel that is forbidden is passed over.
    uint8_t before = s_door.channel;
    fake_fail_at(1);
    assert_int_equal(send(EVERYBODY, "ask", 3), MM_OK);
    assert_int_equal(fake_now()->sent_channel, (before + 1) % MM_ESP_DOOR_CHANNELS + 1);
}

static void test_packets_come_in(void **state) {
    (void)state;
    mm_esp_post_t post;
    receive("MMDRhello", 9);
    assert_true(mm_esp_owner_take(&post, 0));
    assert_int_equal(post.kind, MM_ESP_POST_DOOR);
    assert_true(mm_mac_equal(post.from, ASKER));
    assert_int_equal(post.bytes_count, 5);
    assert_memory_equal(post.bytes, "hello", 5);
    mm_esp_owner_done(&post);
    uint8_t bytes[MM_DOOR_PACKET_BYTES_MAX + 5] = "MMDR";
    receive(bytes, MM_DOOR_PACKET_BYTES_MAX + 4);
    assert_int_equal(take_all(), 1);
    receive(bytes, MM_DOOR_PACKET_BYTES_MAX + 5);
    receive("MMDR", 4);
    receive("MMD", 3);
    receive("", 0);
    receive("MMDSx", 5);
    assert_int_equal(take_all(), 0);
    assert_int_equal(s_door.counts.foreign, 5);
}

static void test_flood_is_limited(void **state) {
    (void)state;
    unsigned taken = 0;
    for (unsigned i = 0; i < 1000; i++) {
        receive("MMDRx", 5);
        taken += take_all();
    }
    assert_int_equal(taken, MM_DOOR_PACKETS_PER_S);
    assert_int_equal(s_door.counts.limited, 1000 - MM_DOOR_PACKETS_PER_S);
    fake_time_advance(999999);
    receive("MMDRx", 5);
    assert_int_equal(take_all(), 0);
    fake_time_advance(1);
    receive("MMDRx", 5);
    assert_int_equal(take_all(), 1);
}

static void test_radio_goes_and_comes_back(void **state) {
    (void)state;
    assert_int_equal(send(ASKER, "x", 1), MM_OK);
    mm_esp_radio_close();
    assert_false(fake_now()->is_open);
    assert_int_equal(send(ASKER, "x", 1), MM_ERR_UNAVAILABLE);
    mm_esp_door_poll(&s_door);
    assert_false(s_door.is_open);
    // Another use of the radio is not its own.
    assert_int_equal(mm_esp_radio_open_access_point("meter", "12345678"), MM_OK);
    mm_esp_door_poll(&s_door);
    assert_false(s_door.is_open);
    mm_esp_radio_close();
    assert_int_equal(mm_esp_radio_open(MM_ESP_RADIO_MESH), MM_OK);
    mm_esp_door_poll(&s_door);
    assert_int_equal(send(ASKER, "x", 1), MM_OK);
    receive("MMDRx", 5);
    assert_int_equal(take_all(), 1);
    // Ended, but it does not close after all.
    mm_esp_radio_end_user();
    mm_esp_door_poll(&s_door);
    assert_false(s_door.is_open);
    mm_esp_radio_keep();
    mm_esp_door_poll(&s_door);
    assert_true(s_door.is_open);
    mm_esp_door_close(&s_door);
    assert_false(fake_now()->is_open);
    mm_esp_door_poll(&s_door);
    assert_false(fake_now()->is_open);
    mm_esp_radio_close();
}

static void test_every_call_of_open_fails(void **state) {
    (void)state;
    unsigned call_no = 0;
    bool failed = true;
    while (failed) {
        prepare();
        assert_int_equal(mm_esp_radio_open(MM_ESP_RADIO_MESH), MM_OK);
        fake_fail_at(++call_no);
        mm_err_t err = mm_esp_door_open(&s_door, false);
        failed = fake_has_failed();
        fake_fail_at(0);
        assert_int_equal(err, failed ? MM_ERR_UNAVAILABLE : MM_OK);
        assert_int_equal(fake_now()->is_open, !failed);
        assert_int_equal(send(ASKER, "x", 1), failed ? MM_ERR_UNAVAILABLE : MM_OK);
        mm_esp_door_poll(&s_door);
        assert_int_equal(send(ASKER, "x", 1), MM_OK);
        receive("MMDRx", 5);
        assert_int_equal(take_all(), 1);
    }
    assert_int_equal(call_no, 4); // init, everybody, callback; and none
}

static void test_every_call_of_a_send_fails(void **state) {
    (void)state;
    unsigned call_no = 0;
    bool failed = true;
    while (failed) {
        open_door(false);
        assert_int_equal(send(OTHER, "x", 1), MM_OK);
        fake_fail_at(++call_no);
        mm_err_t err = send(ASKER, "y", 1);
        failed = fake_has_failed();
        fake_fail_at(0);
        assert_int_equal(err, failed ? MM_ERR_BUSY : MM_OK);
        assert_int_equal(s_door.counts.sends_refused, failed ? 1 : 0);
        assert_int_equal(send(ASKER, "y", 1), MM_OK);
        assert_int_equal(fake_now()->peer_count, 2);
    }
    assert_int_equal(call_no, 3); // peer, send; and none
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_member_sends_on_its_channel, open_member),
        cmocka_unit_test_setup(test_longest_packet, open_member),
        cmocka_unit_test_setup(test_parked_node_looks_on_all_channels, open_parked),
        cmocka_unit_test_setup(test_packets_come_in, open_member),
        cmocka_unit_test_setup(test_flood_is_limited, open_member),
        cmocka_unit_test_setup(test_radio_goes_and_comes_back, open_member),
        cmocka_unit_test(test_every_call_of_open_fails),
        cmocka_unit_test(test_every_call_of_a_send_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
