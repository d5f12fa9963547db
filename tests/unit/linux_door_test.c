// SPDX-License-Identifier: Apache-2.0
#include "linux/linux_door.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_support.h"

#define SECOND INT64_C(1000000)

static const mm_mac_t s_member = {{2, 0, 0, 0, 0, 1}};
static const mm_mac_t s_parked = {{2, 0, 0, 0, 0, 2}};
static mm_linux_message_t s_message;

typedef struct {
    int file;
    struct sockaddr_in address;
    mm_linux_door_t door;
} station_t;

static void station_open(station_t *self, mm_mac_t mac, const struct sockaddr_in *peer) {
    char peers[64] = "";
    socklen_t size = sizeof self->address;
    self->file = socket(AF_INET, SOCK_DGRAM, 0);
    self->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(self->file, (const struct sockaddr *)&self->address, sizeof self->address), 0);
    assert_int_equal(getsockname(self->file, (struct sockaddr *)&self->address, &size), 0);
    if (peer != NULL) { // and itself: it does not hear itself
        snprintf(peers, sizeof peers, "127.0.0.1:%u,127.0.0.1:%u", ntohs(self->address.sin_port),
                 ntohs(peer->sin_port));
    }
    assert_int_equal(mm_linux_door_open(&self->door, mac, self->file, &self->address, peers, NULL, &s_message), MM_OK);
}

// One datagram from the socket into the door; -1: none waits.
static int receive(station_t *self, int64_t now_us) {
    uint8_t bytes[512];
    struct sockaddr_in source;
    socklen_t size = sizeof source;
    ssize_t got = recvfrom(self->file, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&source, &size);
    return got < 0 ? -1 : mm_linux_door_take(&self->door, bytes, (size_t)got, &source, now_us);
}

static size_t next(station_t *self, mm_mac_t *from, uint8_t bytes[MM_DOOR_PACKET_BYTES_MAX]) {
    size_t bytes_count = 0;
    return mm_linux_door_next(&self->door, from, bytes, &bytes_count) ? bytes_count : 0;
}

static void test_door_there_and_back(void **state) {
    (void)state;
    static station_t member, parked;
    station_open(&member, s_member, NULL);
    station_open(&parked, s_parked, &member.address);
    mm_mac_t from;
    uint8_t bytes[MM_DOOR_PACKET_BYTES_MAX];
    const mm_door_t *door = &parked.door.door;
    // Nobody has been heard: there is nobody to answer to.
    assert_int_equal(member.door.door.send(member.door.door.context, s_parked, "x", 1), MM_ERR_UNAVAILABLE);
    assert_int_equal(door->send(door->context, (mm_mac_t){{0}}, "let me in", 9), MM_OK);
    assert_int_equal(receive(&parked, 0), -1);
    assert_int_equal(receive(&member, 0), 1);
    assert_int_equal(next(&member, &from, bytes), 9);
    assert_true(mm_mac_equal(from, s_parked));
    assert_memory_equal(bytes, "let me in", 9);
    assert_int_equal(next(&member, &from, bytes), 0);
    memset(bytes, 7, sizeof bytes);
    assert_int_equal(member.door.door.send(member.door.door.context, s_parked, bytes, sizeof bytes), MM_OK);
    assert_int_equal(receive(&parked, 0), 1);
    assert_int_equal(next(&parked, &from, bytes), MM_DOOR_PACKET_BYTES_MAX);
    assert_true(mm_mac_equal(from, s_member));
    (void)close(member.file);
    (void)close(parked.file);
}

static size_t datagram(uint8_t *bytes, uint8_t from, uint8_t to, size_t packet_bytes) {
    memset(bytes, 0, MM_LINUX_DOOR_HEAD_BYTES + packet_bytes);
    memcpy(bytes, "MMDR\x01", 5);
    bytes[10] = from;
    bytes[16] = to;
    return MM_LINUX_DOOR_HEAD_BYTES + packet_bytes;
}

static void test_door_refuses(void **state) {
    (void)state;
    static station_t member;
    station_open(&member, (mm_mac_t){{0, 0, 0, 0, 0, 9}}, NULL);
    mm_linux_door_t *door = &member.door;
    uint8_t bytes[300];
    const struct sockaddr_in source = {0};
    assert_false(mm_linux_door_take(door, (const uint8_t *)"MMUM", 4, &source, 0)); // the mesh's own
    assert_false(mm_linux_door_take(door, (const uint8_t *)"MMD", 3, &source, 0));
    assert_true(mm_linux_door_take(door, bytes, datagram(bytes, 1, 0, 0), &source, 0));
    assert_true(mm_linux_door_take(door, bytes, datagram(bytes, 1, 0, MM_DOOR_PACKET_BYTES_MAX + 1), &source, 0));
    assert_true(mm_linux_door_take(door, bytes, datagram(bytes, 0, 0, 1), &source, 0)); // from nobody
    size_t size = datagram(bytes, 1, 0, 1);
    for (size_t cut = 4; cut < size; cut++) {
        assert_true(mm_linux_door_take(door, bytes, cut, &source, 0));
    }
    bytes[4] = 2; // a later version
    assert_true(mm_linux_door_take(door, bytes, size, &source, 0));
    assert_int_equal(door->dropped_malformed, 4 + (size - 4));
    assert_true(mm_linux_door_take(door, bytes, datagram(bytes, 9, 0, 1), &source, 0)); // its own
    assert_true(mm_linux_door_take(door, bytes, datagram(bytes, 1, 8, 1), &source, 0)); // for another
    assert_int_equal(door->packet_count, 0);
    assert_int_equal(door->taken, 0);
    (void)close(member.file);
}

static void test_door_flood(void **state) {
    (void)state;
    static station_t member;
    station_open(&member, s_member, NULL);
    mm_linux_door_t *door = &member.door;
    uint8_t bytes[300];
    mm_mac_t from;
    struct sockaddr_in source = {.sin_family = AF_INET};
    for (uint32_t i = 0; i < 200; i++) {
        source.sin_port = htons((uint16_t)(1000 + i));
        assert_true(mm_linux_door_take(door, bytes, datagram(bytes, (uint8_t)(i % 100 + 10), 0, 1), &source, SECOND));
        while (next(&member, &from, bytes) > 0) {
        }
    }
    assert_int_equal(door->taken, MM_DOOR_PACKETS_PER_S);
    assert_int_equal(door->dropped_flood, 200 - MM_DOOR_PACKETS_PER_S);
    // The next second, and nobody takes them.
    for (uint32_t i = 0; i < MM_DOOR_PACKETS_PER_S; i++) {
        assert_true(mm_linux_door_take(door, bytes, datagram(bytes, 3, 0, 1), &source, 2 * SECOND));
    }
    assert_int_equal(door->packet_count, MM_LINUX_DOOR_PACKETS_MAX);
    // The newest senders are remembered, the oldest made room.
    assert_int_equal(door->door.send(door, (mm_mac_t){{0, 0, 0, 0, 0, 10}}, "x", 1), MM_ERR_UNAVAILABLE);
    assert_int_equal(door->door.send(door, (mm_mac_t){{0, 0, 0, 0, 0, 3}}, "x", 1) != MM_ERR_ARG, true);
    (void)close(member.file);
}

static void test_door_options(void **state) {
    (void)state;
    static mm_linux_door_t door;
    const struct sockaddr_in own = {0};
    assert_int_equal(mm_linux_door_open(&door, s_member, -1, &own, "nowhere", NULL, &s_message), MM_ERR_ARG);
    assert_non_null(strstr(s_message.text, "mesh_peers"));
    assert_int_equal(mm_linux_door_open(&door, s_member, -1, &own, NULL, "nowhere", &s_message), MM_ERR_ARG);
    assert_non_null(strstr(s_message.text, "mesh_group"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_door_there_and_back),
        cmocka_unit_test(test_door_refuses),
        cmocka_unit_test(test_door_flood),
        cmocka_unit_test(test_door_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
