// SPDX-License-Identifier: Apache-2.0
#include "linux_mesh_world.h"

static void open_seal(mm_mesh_seal_t *seal) {
    uint8_t key[MM_MESH_KEY_BYTES];
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)i;
    }
    assert_int_equal(mm_mesh_seal_open(seal, "site-1", key), MM_OK);
}

// A correspondent of node 1 made by hand, with the right key.
typedef struct {
    int file;
    struct sockaddr_in node;
    mm_mesh_seal_t seal;
    mm_mesh_datagram_t datagram;
    uint8_t body[MM_MESH_HELLO_BYTES];
    uint64_t node_boot;
} stranger_t;

static void open_stranger(stranger_t *stranger, const node_t *node) {
    struct sockaddr_in own;
    stranger->file = udp_socket(&own);
    stranger->node = own;
    stranger->node.sin_port = htons(mm_linux_mesh_port(&node->mesh));
    open_seal(&stranger->seal);
    stranger->node_boot = node->mesh.boot;
    mm_mesh_hello_write(&(mm_mesh_hello_t){.router_up = true}, stranger->body);
    stranger->datagram = (mm_mesh_datagram_t){
        .kind = MM_MESH_DATAGRAM_HELLO,
        .from = mac_of(9),
        .to = mac_of(1),
        .boot = 100,
        .to_boot = stranger->node_boot,
        .counter = 1,
        .body = stranger->body,
        .body_bytes = sizeof stranger->body,
    };
}

static void close_stranger(stranger_t *stranger) {
    (void)close(stranger->file);
    mm_mesh_seal_close(&stranger->seal);
}

static void throw(const stranger_t *stranger, const void *bytes, size_t bytes_count) {
    assert_int_equal(
        sendto(stranger->file, bytes, bytes_count, 0, (const struct sockaddr *)&stranger->node, sizeof stranger->node),
        (ssize_t)bytes_count);
    await_delivery();
    step();
}

static void throw_datagram(stranger_t *stranger) {
    uint8_t bytes[MM_MESH_DATAGRAM_BYTES_MAX];
    size_t size = mm_mesh_datagram_write(&stranger->seal, &stranger->datagram, bytes);
    throw(stranger, bytes, size);
}

// Exactly one datagram was dropped, for this reason.
static void expect_drop(const node_t *node, uint64_t before[MM_LINUX_MESH_STAT_COUNT], mm_linux_mesh_stat_t reason) {
    for (int i = MM_LINUX_MESH_DROPPED_MALFORMED; i <= MM_LINUX_MESH_DROPPED_TABLE_FULL; i++) {
        uint64_t expected = before[i] + (i == (int)reason ? 1 : 0);
        if (stat(node, (mm_linux_mesh_stat_t)i) != expected) {
            fail_msg("%s is %llu", mm_linux_mesh_stat_name((mm_linux_mesh_stat_t)i),
                     (unsigned long long)stat(node, (mm_linux_mesh_stat_t)i));
        }
    }
    memcpy(before, node->mesh.stats, sizeof node->mesh.stats);
}

static bool is_member(const node_t *node, uint8_t number) {
    for (size_t i = 0; i < MM_LINUX_MESH_PEERS_MAX; i++) {
        if (node->mesh.peers[i].member && mm_mac_equal(node->mesh.peers[i].mac, mac_of(number))) {
            return true;
        }
    }
    return false;
}

static void test_linux_mesh_unauthenticated_is_dropped(void **state) {
    (void)state;
    node_t *node = open_node(1, true);
    (void)await_root(1, 1000);
    uint64_t before[MM_LINUX_MESH_STAT_COUNT];
    memcpy(before, node->mesh.stats, sizeof before);
    stranger_t stranger;
    open_stranger(&stranger, node);
    uint8_t bytes[MM_MESH_DATAGRAM_BYTES_MAX + 1] = {0};
    size_t size = mm_mesh_datagram_write(&stranger.seal, &stranger.datagram, bytes);

    throw(&stranger, bytes, 0);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_MALFORMED);
    throw(&stranger, "hello, world", 12);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_MALFORMED);
    throw(&stranger, bytes, MM_MESH_HEADER_BYTES + MM_MESH_TAG_BYTES - 1);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_MALFORMED);
    throw(&stranger, bytes, size - 1);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_TAG);
    throw(&stranger, bytes, sizeof bytes);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_MALFORMED);
    bytes[size - 1] ^= 1;
    throw(&stranger, bytes, size);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_TAG);
    bytes[size - 1] ^= 1;
    bytes[4] = 2;
    throw(&stranger, bytes, size);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_VERSION);

    // The right id and another key; another id and the same key.
    uint8_t other_key[MM_MESH_KEY_BYTES] = {1};
    mm_mesh_seal_close(&stranger.seal);
    assert_int_equal(mm_mesh_seal_open(&stranger.seal, "site-1", other_key), MM_OK);
    throw_datagram(&stranger);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_TAG);
    mm_mesh_seal_close(&stranger.seal);
    assert_int_equal(mm_mesh_seal_open(&stranger.seal, "site-2", node->mesh.options.key), MM_OK);
    throw_datagram(&stranger);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_FOREIGN);

    assert_int_equal(mm_linux_mesh_member_count(&node->mesh), 0);
    assert_false(node->mesh.peers[0].used);
    close_stranger(&stranger);
}

static void test_linux_mesh_replay_is_dropped(void **state) {
    (void)state;
    node_t *node = open_node(1, true);
    (void)await_root(1, 1000);
    uint64_t before[MM_LINUX_MESH_STAT_COUNT];
    memcpy(before, node->mesh.stats, sizeof before);
    stranger_t stranger;
    open_stranger(&stranger, node);
    mm_mesh_datagram_t *datagram = &stranger.datagram;

    // Not knowing our boot number it may be a recording: heard, answered, no member.
    datagram->to_boot = stranger.node_boot - 1;
    throw_datagram(&stranger);
    assert_false(is_member(node, 9));
    datagram->to_boot = stranger.node_boot;
    datagram->counter = 2;
    throw_datagram(&stranger);
    assert_true(is_member(node, 9));
    expect_drop(node, before, MM_LINUX_MESH_STAT_COUNT);

    throw_datagram(&stranger);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_REPLAYED);

    // A hello that a later one overtook is history, and so is a goodbye.
    mm_mesh_hello_t hello = {.router_up = true, .layer = 3};
    mm_mesh_hello_write(&hello, stranger.body);
    datagram->counter = 12;
    throw_datagram(&stranger);
    assert_int_equal(node->mesh.peers[0].hello.layer, 3);
    hello.layer = 4;
    mm_mesh_hello_write(&hello, stranger.body);
    datagram->counter = 10;
    throw_datagram(&stranger);
    assert_int_equal(node->mesh.peers[0].hello.layer, 3);
    datagram->kind = MM_MESH_DATAGRAM_GOODBYE;
    datagram->counter = 11;
    throw_datagram(&stranger);
    assert_true(is_member(node, 9));
    expect_drop(node, before, MM_LINUX_MESH_STAT_COUNT);

    mm_mac_t from;
    uint8_t frame[MM_MESH_FRAME_BYTES_MAX];
    size_t frame_bytes = 0;
    datagram->kind = MM_MESH_DATAGRAM_FRAME;
    datagram->body = (const uint8_t *)"frame";
    datagram->body_bytes = 5;
    datagram->counter = 14;
    throw_datagram(&stranger);
    assert_true(mm_linux_mesh_next_frame(&node->mesh, &from, frame, &frame_bytes));
    assert_memory_equal(frame, "frame", 5);
    throw_datagram(&stranger);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_REPLAYED);
    datagram->counter = 13; // overtaken, not repeated
    throw_datagram(&stranger);
    assert_true(mm_linux_mesh_next_frame(&node->mesh, &from, frame, &frame_bytes));
    expect_drop(node, before, MM_LINUX_MESH_STAT_COUNT);

    close_stranger(&stranger);
}

static void test_linux_mesh_old_boot_is_dropped(void **state) {
    (void)state;
    node_t *node = open_node(1, true);
    (void)await_root(1, 1000);
    uint64_t before[MM_LINUX_MESH_STAT_COUNT];
    memcpy(before, node->mesh.stats, sizeof before);
    stranger_t stranger;
    open_stranger(&stranger, node);
    mm_mesh_datagram_t *datagram = &stranger.datagram;
    throw_datagram(&stranger);
    assert_true(is_member(node, 9));
    expect_drop(node, before, MM_LINUX_MESH_STAT_COUNT);

    datagram->kind = MM_MESH_DATAGRAM_FRAME;
    datagram->counter = 2;
    datagram->to_boot = stranger.node_boot - 1;
    throw_datagram(&stranger);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_STALE);
    datagram->to = mac_of(2);
    throw_datagram(&stranger);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_MISDIRECTED);
    datagram->to = (mm_mac_t){{0}};
    throw_datagram(&stranger);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_MISDIRECTED);
    datagram->to = mac_of(1);
    datagram->to_boot = stranger.node_boot;

    // After a newer start nothing of the older one counts, whatever its counter.
    datagram->boot = 101;
    datagram->counter = 1;
    throw_datagram(&stranger);
    expect_drop(node, before, MM_LINUX_MESH_STAT_COUNT);
    datagram->boot = 100;
    datagram->counter = 1000;
    throw_datagram(&stranger);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_OLD_BOOT);
    // Also when the node has been gone for long.
    run_ms(10 * TIMEOUT_MS);
    assert_false(is_member(node, 9));
    memcpy(before, node->mesh.stats, sizeof before);
    throw_datagram(&stranger);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_OLD_BOOT);

    datagram->from = mac_of(1);
    throw_datagram(&stranger);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_MAC_CONFLICT);
    datagram->from = mac_of(8);
    datagram->boot = 0;
    throw_datagram(&stranger);
    expect_drop(node, before, MM_LINUX_MESH_DROPPED_MALFORMED);
    close_stranger(&stranger);
}

static void test_linux_mesh_too_many_nodes(void **state) {
    (void)state;
    node_t *node = open_node(1, true);
    (void)await_root(1, 1000);
    stranger_t stranger;
    open_stranger(&stranger, node);
    // Nothing moves while they come, so that all of them are alive at once.
    uint8_t bytes[MM_MESH_DATAGRAM_BYTES_MAX];
    for (unsigned i = 0; i < MM_LINUX_MESH_PEERS_MAX + 10; i++) {
        stranger.datagram.from = (mm_mac_t){{4, 0, 0, 0, 0, (uint8_t)i}};
        size_t size = mm_mesh_datagram_write(&stranger.seal, &stranger.datagram, bytes);
        assert_int_equal(
            sendto(stranger.file, bytes, size, 0, (const struct sockaddr *)&stranger.node, sizeof stranger.node),
            (ssize_t)size);
        await_delivery();
        (void)mm_linux_mesh_poll(&node->mesh, s_now_us);
    }
    assert_int_equal(mm_linux_mesh_member_count(&node->mesh), MM_LINUX_MESH_PEERS_MAX);
    assert_int_equal(stat(node, MM_LINUX_MESH_DROPPED_TABLE_FULL), 10);
    // Those that are gone make room.
    s_nodes[1].silent = true;
    s_now_us += (int64_t)TIMEOUT_MS * 1000;
    (void)mm_linux_mesh_poll(&node->mesh, s_now_us);
    stranger.datagram.from = (mm_mac_t){{4, 0, 0, 0, 1, 0}};
    size_t size = mm_mesh_datagram_write(&stranger.seal, &stranger.datagram, bytes);
    (void)sendto(stranger.file, bytes, size, 0, (const struct sockaddr *)&stranger.node, sizeof stranger.node);
    await_delivery();
    (void)mm_linux_mesh_poll(&node->mesh, s_now_us);
    assert_int_equal(mm_linux_mesh_member_count(&node->mesh), 1);
    close_stranger(&stranger);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_TEST(test_linux_mesh_unauthenticated_is_dropped),
        MESH_TEST(test_linux_mesh_replay_is_dropped),
        MESH_TEST(test_linux_mesh_old_boot_is_dropped),
        MESH_TEST(test_linux_mesh_too_many_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
