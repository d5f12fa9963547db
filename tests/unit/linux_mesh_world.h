// SPDX-License-Identifier: Apache-2.0
#ifndef LINUX_MESH_WORLD_H
#define LINUX_MESH_WORLD_H

#include "test_support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "linux/linux_mesh.h"

/// Several nodes of the UDP mesh in one process, for its tests.

// Time is made by the test: a step is 10 ms. The datagrams are real, over the loopback interface.

#define STEP_US 10000
#define HELLO_MS 100
#define TIMEOUT_MS 400
#define SEARCH_MS 300
#define NODES_MAX 12
#define EVENTS_MAX 64

typedef struct {
    mm_linux_mesh_t mesh;
    bool open;
    bool silent; ///< not polled: dead or cut off, for the others
    bool busy;   ///< polled, but its owner takes no events
    mm_mesh_event_t events[EVENTS_MAX];
    size_t event_count;
} node_t;

static node_t s_nodes[NODES_MAX];
static int64_t s_now_us;
static uint64_t s_boot;
static int s_barrier[2]; // a loopback socket pair of our own

static inline int udp_socket(struct sockaddr_in *address) {
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_bytes = sizeof *address;
    int file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(file >= 0);
    assert_int_equal(bind(file, (const struct sockaddr *)address, sizeof *address), 0);
    assert_int_equal(getsockname(file, (struct sockaddr *)address, &address_bytes), 0);
    return file;
}

// Datagrams of the loopback interface arrive in order: when this one is there, those sent before it are.
static inline void await_delivery(void) {
    uint8_t byte = 1;
    assert_int_equal(send(s_barrier[0], &byte, 1, 0), 1);
    struct pollfd item = {.fd = s_barrier[1], .events = POLLIN};
    assert_int_equal(poll(&item, 1, 10000), 1);
    assert_int_equal(recv(s_barrier[1], &byte, 1, 0), 1);
}

static inline mm_mac_t mac_of(uint8_t number) {
    return (mm_mac_t){{2, 0, 0, 0, 0, number}};
}

static inline void fill_options(mm_linux_mesh_options_t *options, uint8_t number) {
    *options = (mm_linux_mesh_options_t){
        .mesh_id = "site-1",
        .mac = mac_of(number),
        .boot = ++s_boot,
        .listen = "127.0.0.1:0",
        .hello_ms = HELLO_MS,
        .timeout_ms = TIMEOUT_MS,
        .search_ms = SEARCH_MS,
    };
    for (size_t i = 0; i < sizeof options->key; i++) {
        options->key[i] = (uint8_t)i;
    }
}

// Opens a node that knows the ports of all that are open.
static inline node_t *open_node_with(size_t slot, mm_linux_mesh_options_t *options) {
    char peers[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (s_nodes[i].open) {
            used += (size_t)snprintf(peers + used, sizeof peers - used, "%s127.0.0.1:%u", used == 0 ? "" : ",",
                                     mm_linux_mesh_port(&s_nodes[i].mesh));
        }
    }
    if (options->peers == NULL) {
        options->peers = peers;
    }
    node_t *node = &s_nodes[slot];
    assert_false(node->open);
    mm_linux_message_t message = {0};
    mm_err_t err = mm_linux_mesh_open(&node->mesh, options, s_now_us, &message);
    if (err != MM_OK) {
        fail_msg("%s", message.text);
    }
    node->open = true;
    node->silent = false;
    node->busy = false;
    node->event_count = 0;
    return node;
}

static inline node_t *open_node(size_t slot, bool router_up) {
    mm_linux_mesh_options_t options;
    fill_options(&options, (uint8_t)slot);
    options.router_up = router_up;
    return open_node_with(slot, &options);
}

static inline void close_node(size_t slot) {
    mm_linux_mesh_close(&s_nodes[slot].mesh);
    s_nodes[slot].open = false;
}

// As kill -9: without a word.
static inline void kill_node(size_t slot) {
    mm_linux_mesh_t *mesh = &s_nodes[slot].mesh;
    (void)close(mesh->file);
    mesh->file = -1;
    close_node(slot);
}

static inline void take_events(node_t *node) {
    mm_mesh_event_t event;
    while (mm_linux_mesh_next_event(&node->mesh, &event)) {
        assert_true(node->event_count < EVENTS_MAX);
        node->events[node->event_count++] = event;
    }
}

static inline void step(void) {
    s_now_us += STEP_US;
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (s_nodes[i].open && !s_nodes[i].silent) {
            (void)mm_linux_mesh_poll(&s_nodes[i].mesh, s_now_us);
            if (!s_nodes[i].busy) {
                take_events(&s_nodes[i]);
            }
        }
    }
    await_delivery();
}

static inline void run_ms(int duration_ms) {
    for (int i = 0; i < duration_ms * 1000 / STEP_US; i++) {
        step();
    }
}

static inline mm_linux_mesh_role_t role(size_t slot) {
    return mm_linux_mesh_role(&s_nodes[slot].mesh);
}

static inline unsigned root_count(void) {
    unsigned count = 0;
    for (size_t i = 0; i < NODES_MAX; i++) {
        count += s_nodes[i].open && !s_nodes[i].silent && role(i) == MM_LINUX_MESH_ROOT ? 1 : 0;
    }
    return count;
}

// All that are open follow `root` within the time; returns how long it took.
static inline int await_root(size_t root, int limit_ms) {
    for (int ms = 0; ms <= limit_ms; ms += STEP_US / 1000) {
        bool agreed = role(root) == MM_LINUX_MESH_ROOT;
        for (size_t i = 0; i < NODES_MAX; i++) {
            agreed &= !s_nodes[i].open || s_nodes[i].silent ||
                      mm_mac_equal(s_nodes[i].mesh.root, s_nodes[root].mesh.options.mac);
        }
        if (agreed) {
            step(); // the last events
            return ms;
        }
        step();
    }
    fail_msg("node %zu is not the root of all after %d ms", root, limit_ms);
    return 0;
}

static inline void forget_events(void) {
    for (size_t i = 0; i < NODES_MAX; i++) {
        s_nodes[i].event_count = 0;
    }
}

static inline void assert_event(const node_t *node, size_t index, mm_mesh_event_kind_t kind, uint8_t mac,
                                uint8_t layer) {
    if (index >= node->event_count || node->events[index].kind != kind) {
        fail_msg("event %zu of %zu is %d, not %d", index, node->event_count,
                 index < node->event_count ? (int)node->events[index].kind : -1, kind);
    }
    if (mac != 0) {
        assert_int_equal(node->events[index].mac.bytes[5], mac);
    }
    if (layer != 0) {
        assert_int_equal(node->events[index].layer, layer);
    }
}

static inline unsigned count_events(const node_t *node, mm_mesh_event_kind_t kind, uint8_t mac) {
    unsigned count = 0;
    for (size_t i = 0; i < node->event_count; i++) {
        count += node->events[i].kind == kind && (mac == 0 || node->events[i].mac.bytes[5] == mac) ? 1 : 0;
    }
    return count;
}

static inline uint64_t stat(const node_t *node, mm_linux_mesh_stat_t stat_id) {
    return mm_linux_mesh_stat(&node->mesh, stat_id);
}

static inline int set_up(void **state) {
    (void)state;
    memset(s_nodes, 0, sizeof s_nodes);
    s_now_us = 1000000;
    struct sockaddr_in address;
    s_barrier[1] = udp_socket(&address);
    s_barrier[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return connect(s_barrier[0], (const struct sockaddr *)&address, sizeof address);
}

static inline int tear_down(void **state) {
    (void)state;
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (s_nodes[i].open) {
            close_node(i);
        }
    }
    (void)close(s_barrier[0]);
    return close(s_barrier[1]);
}

#define MESH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
