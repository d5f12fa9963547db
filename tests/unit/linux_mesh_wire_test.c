// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/linux_mesh_address.h"
#include "linux/linux_mesh_wire.h"

static mm_mac_t mac_of(uint8_t number) {
    return (mm_mac_t){{2, 0, 0, 0, 0, number}};
}

// Made with Python's hashlib, hmac and struct from the description in linux_mesh_wire.h.
static const char golden_hello[] =
    "4d4d554d010137dc7a5bf8192aa1020000000001020000000002887766554433221100ffeeddccbbaa992a00000000000000"
    "030102000000000187d6120000000000"
    "6eef90cdc4d99ee8c6ee536fd4f11947";

static size_t from_hex(const char *hex, uint8_t *bytes) {
    size_t count = strlen(hex) / 2;
    for (size_t i = 0; i < count; i++) {
        unsigned value = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &value), 1);
        bytes[i] = (uint8_t)value;
    }
    return count;
}

static void open_seal(mm_mesh_seal_t *seal) {
    uint8_t key[MM_MESH_KEY_BYTES];
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)i;
    }
    assert_int_equal(mm_mesh_seal_open(seal, "site-1", key), MM_OK);
}

static void test_linux_mesh_wire_golden_hello(void **state) {
    (void)state;
    uint8_t expected[128];
    size_t expected_bytes = from_hex(golden_hello, expected);
    mm_mesh_seal_t seal;
    open_seal(&seal);
    uint8_t body[MM_MESH_HELLO_BYTES];
    mm_mesh_hello_t hello = {.router_up = true, .is_root = true, .layer = 1, .root = mac_of(1), .uptime_ms = 1234567};
    mm_mesh_hello_write(&hello, body);
    mm_mesh_datagram_t datagram = {
        .kind = MM_MESH_DATAGRAM_HELLO,
        .from = mac_of(1),
        .to = mac_of(2),
        .boot = 0x1122334455667788,
        .to_boot = 0x99aabbccddeeff00,
        .counter = 42,
        .body = body,
        .body_bytes = sizeof body,
    };
    uint8_t bytes[MM_MESH_DATAGRAM_BYTES_MAX];
    assert_int_equal(mm_mesh_datagram_write(&seal, &datagram, bytes), expected_bytes);
    assert_memory_equal(bytes, expected, expected_bytes);

    mm_mesh_datagram_t read;
    assert_int_equal(mm_mesh_datagram_read(&seal, expected, expected_bytes, &read), MM_MESH_GOOD);
    assert_int_equal(read.kind, MM_MESH_DATAGRAM_HELLO);
    assert_true(mm_mac_equal(read.from, mac_of(1)) && mm_mac_equal(read.to, mac_of(2)));
    assert_true(read.boot == 0x1122334455667788 && read.to_boot == 0x99aabbccddeeff00 && read.counter == 42);
    assert_true(mm_mesh_hello_read(read.body, read.body_bytes, &hello));
    assert_true(hello.router_up && hello.is_root && hello.layer == 1 && hello.uptime_ms == 1234567);
    mm_mesh_seal_close(&seal);
}

static void test_linux_mesh_wire_every_change_is_noticed(void **state) {
    (void)state;
    uint8_t good[128];
    size_t size = from_hex(golden_hello, good);
    mm_mesh_seal_t seal;
    open_seal(&seal);
    mm_mesh_datagram_t datagram;
    for (size_t bit = 0; bit < size * 8; bit++) {
        uint8_t bytes[128];
        memcpy(bytes, good, size);
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ (1U << bit % 8));
        assert_int_not_equal(mm_mesh_datagram_read(&seal, bytes, size, &datagram), MM_MESH_GOOD);
    }
    for (size_t shorter = 0; shorter < size; shorter++) {
        // Each in memory of its own, so that reading beyond it is found.
        uint8_t *bytes = malloc(shorter > 0 ? shorter : 1);
        assert_non_null(bytes);
        memcpy(bytes, good, shorter);
        mm_mesh_verdict_t verdict = mm_mesh_datagram_read(&seal, bytes, shorter, &datagram);
        bool header_whole = shorter >= MM_MESH_HEADER_BYTES + MM_MESH_TAG_BYTES;
        assert_int_equal(verdict, header_whole ? MM_MESH_TAG : MM_MESH_MALFORMED);
        free(bytes);
    }
    mm_mesh_seal_close(&seal);
}

static void test_linux_mesh_window(void **state) {
    (void)state;
    mm_mesh_window_t window = {0};
    assert_false(mm_mesh_window_take(&window, 0));
    assert_true(mm_mesh_window_take(&window, 1));
    assert_false(mm_mesh_window_take(&window, 1));
    assert_true(mm_mesh_window_take(&window, 10));
    assert_true(mm_mesh_window_take(&window, 9)); // overtaken
    assert_false(mm_mesh_window_take(&window, 9));
    assert_false(mm_mesh_window_take(&window, 10));
    assert_true(mm_mesh_window_take(&window, 73));
    assert_false(mm_mesh_window_take(&window, 10)); // seen, 63 back
    assert_true(mm_mesh_window_take(&window, 11));
    assert_true(mm_mesh_window_take(&window, 74));
    assert_false(mm_mesh_window_take(&window, 10)); // too old to know
    assert_true(mm_mesh_window_take(&window, UINT64_MAX));
    assert_false(mm_mesh_window_take(&window, 75));
    assert_true(mm_mesh_window_take(&window, UINT64_MAX - 63));
    assert_false(mm_mesh_window_take(&window, UINT64_MAX - 64));
}

static void test_linux_mesh_addresses(void **state) {
    (void)state;
    struct sockaddr_in list[8];
    size_t count = 99;
    assert_true(mm_mesh_address_parse_list(NULL, list, 8, &count));
    assert_int_equal(count, 0);
    assert_true(mm_mesh_address_parse_list(" ", list, 8, &count));
    assert_int_equal(count, 0);
    assert_true(mm_mesh_address_parse_list("127.0.0.1:7000-7003 , 10.1.2.3:65535", list, 8, &count));
    assert_int_equal(count, 5);
    assert_int_equal(ntohs(list[3].sin_port), 7003);
    assert_int_equal(ntohl(list[4].sin_addr.s_addr), 0x0A010203);
    assert_int_equal(ntohs(list[4].sin_port), 65535);
    static const char *const bad[] = {
        "127.0.0.1",     "127.0.0.1:",   "127.0.0.1:0",         "127.0.0.1:65536", "127.0.0.1:7000-6999",
        "127.0.0.1:1-9", "127.0.0.1:1,", ",127.0.0.1:1",        "localhost:1",     "127.0.0.1:1 2",
        "127.0.0.256:1", "127.0.0.1:-1", "1.1.1.1.1.1.1.1.1:1", "127.0.0.1:99999", "127.0.0.1:1;2.2.2.2:2"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(mm_mesh_address_parse_list(bad[i], list, 8, &count));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linux_mesh_wire_golden_hello),
        cmocka_unit_test(test_linux_mesh_wire_every_change_is_noticed),
        cmocka_unit_test(test_linux_mesh_window),
        cmocka_unit_test(test_linux_mesh_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
