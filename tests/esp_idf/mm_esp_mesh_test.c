// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_mesh.h"

#include "test_support.h"

#include <string.h>

#include "fake.h"
#include "fake_event.h"
#include "fake_freertos.h"
#include "fake_mesh.h"
#include "fake_wifi.h"
#include "mm_esp_owner.h"
#include "mm_esp_radio.h"

static const mm_mac_t OWN = {{2, 0, 0, 0, 0, 1}};
static const mm_mac_t ROOT = {{2, 0, 0, 0, 0, 2}};
static const mm_mac_t CHILD = {{2, 0, 0, 0, 0, 3}};
static const mm_mac_t OTHER = {{2, 0, 0, 0, 0, 4}};
static const uint8_t TABLE[][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 3}, {2, 0, 0, 0, 0, 4}};

static mm_esp_mesh_t s_mesh;

static void never_returns(void *context) {
    (void)context;
}

static mm_err_t open_mesh(void) {
    static uint8_t key[32];
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)i;
    }
    const mm_esp_router_t router = {.name = "building", .password = "up the stairs"};
    const mm_esp_mesh_options_t options = {.mac = OWN, .site = "north-7", .mesh_key = key, .router = &router};
    return mm_esp_mesh_open(&s_mesh, &options);
}

static void prepare(void) {
    mm_esp_radio_close();
    fake_reset();
    assert_int_equal(mm_esp_owner_open(), MM_OK);
    assert_int_equal(mm_esp_owner_start(never_returns, NULL), MM_OK);
}

static int open_good(void **state) {
    (void)state;
    prepare();
    assert_int_equal(open_mesh(), MM_OK);
    return 0;
}

static mm_us_t poll_now(void) {
    return mm_esp_mesh_poll(&s_mesh, mm_esp_owner_now());
}

// One turn: the core is told exactly these, in this order, wakes aside.
static void expect_events(size_t count, const mm_mesh_event_t *expected) {
    const mm_mesh_event_t none = {.kind = MM_MESH_EVENT_NONE};
    mm_esp_post_t post;
    size_t found = 0;
    (void)poll_now();
    while (mm_esp_owner_take(&post, 0)) {
        if (post.kind == MM_ESP_POST_MESH) {
            const mm_mesh_event_t *wanted = found < count ? &expected[found] : &none;
            assert_int_equal(post.mesh.kind, wanted->kind);
            if (post.mesh.kind == MM_MESH_PARENT_CONNECTED) {
                assert_int_equal(post.mesh.layer, wanted->layer);
            } else if (!mm_mac_is_zero(wanted->mac) || post.mesh.kind == MM_MESH_ROOT_CHANGED) {
                assert_true(mm_mac_equal(post.mesh.mac, wanted->mac));
            }
            found++;
        }
        mm_esp_owner_done(&post);
    }
    assert_int_equal(found, count);
}

#define EXPECT(...)                                                                                                    \
    do {                                                                                                               \
        const mm_mesh_event_t expected[] = {__VA_ARGS__};                                                              \
        expect_events(sizeof expected / sizeof expected[0], expected);                                                 \
    } while (0)
#define EXPECT_NONE() expect_events(0, NULL)
#define EVENT(event_kind) ((mm_mesh_event_t){.kind = (event_kind)})
#define CONNECTED(event_layer) ((mm_mesh_event_t){.kind = MM_MESH_PARENT_CONNECTED, .layer = (event_layer)})
#define ROOT_IS(event_mac) ((mm_mesh_event_t){.kind = MM_MESH_ROOT_CHANGED, .mac = (event_mac)})
#define CHILD_IS(event_kind, event_mac) ((mm_mesh_event_t){.kind = (event_kind), .mac = (event_mac)})
#define NOBODY ((mm_mac_t){{0}})

static void become_root(void) {
    fake_mesh_connect(1);
    EXPECT(ROOT_IS(OWN), CONNECTED(1));
}

static void become_child(void) {
    fake_mesh_root_address(ROOT.bytes);
    fake_mesh_connect(2);
    EXPECT(ROOT_IS(ROOT), CONNECTED(2));
}

static void expect_nothing_open(void) {
    assert_false(fake_mesh()->is_open);
    assert_false(fake_mesh()->is_started);
    assert_false(fake_wifi()->is_open);
    assert_int_equal(fake_netif_count(), 0);
    assert_int_equal(fake_event_handler_count(), 0);
    assert_int_equal(mm_esp_radio_use(), MM_ESP_RADIO_OFF);
    assert_int_equal(fake_critical_depth(), 0);
}

static void let_worker_work(void) {
    fake_task_run("worker", 1);
}

// --- open ----------------------------------------------------------------------------------------------------------

static void test_open_configures_the_mesh(void **state) {
    (void)state;
    static const uint8_t id[6] = {0x81, 0x75, 0x76, 0x38, 0xA8, 0x0B};
    const fake_mesh_t *mesh = fake_mesh();
    assert_true(s_mesh.is_open);
    assert_memory_equal(mesh->config.mesh_id.addr, id, sizeof id);
    assert_string_equal((const char *)mesh->config.mesh_ap.password, "276a04fa4273bff775e44517e04ccad9");
    assert_string_equal(mesh->ie_key, "276a04fa4273bff775e44517e04ccad9");
    assert_int_equal(mesh->config.mesh_ap.max_connection, MM_ESP_MESH_CHILDREN_MAX);
    assert_int_equal(mesh->config.mesh_ap.nonmesh_max_connection, 0);
    assert_int_equal(mesh->config.channel, CONFIG_MM_MESH_CHANNEL);
    assert_true(mesh->config.allow_channel_switch);
    assert_ptr_equal(mesh->config.crypto_funcs, &g_wifi_default_mesh_crypto_funcs);
    assert_int_equal(mesh->router.ssid_len, 8);
    assert_memory_equal(mesh->router.ssid, "building", 8);
    assert_string_equal((const char *)mesh->router.password, "up the stairs");
    assert_int_equal(mesh->topology, MESH_TOPO_TREE);
    assert_int_equal(mesh->max_layer, MM_ESP_MESH_LAYERS_MAX);
    assert_int_equal(mesh->authmode, WIFI_AUTH_WPA2_PSK);
    assert_int_equal(mesh->block_ms, MM_ESP_MESH_BLOCK_MS);
    assert_true(mesh->ps_was_disabled);
    assert_true(mesh->is_self_organized);
    assert_false(mesh->root_is_fixed);
    assert_int_equal(mesh->group_count, 1);
    assert_int_equal(fake_wifi()->storage, WIFI_STORAGE_RAM);
    assert_int_equal(fake_wifi()->ps, WIFI_PS_NONE);
    assert_true(fake_netif_find(false)->is_mesh);
    assert_false(fake_netif_find(false)->dhcp_client_runs);
    mm_esp_mesh_close(&s_mesh);
    expect_nothing_open();
}

static void test_router_without_name(void **state) {
    (void)state;
    uint8_t key[32] = {0};
    const mm_esp_router_t router = {.password = "x"};
    const mm_esp_mesh_options_t options = {.mac = OWN, .site = "s", .mesh_key = key, .router = &router};
    mm_esp_mesh_t mesh;
    mm_esp_mesh_close(&s_mesh);
    assert_int_equal(mm_esp_mesh_open(&mesh, &options), MM_ERR_ARG);
    expect_nothing_open();
}

// --- events --------------------------------------------------------------------------------------------------------

static void test_root_gets_its_address_once(void **state) {
    (void)state;
    become_root();
    assert_true(s_mesh.is_root);
    assert_int_equal(fake_netif_find(false)->dhcp_client_starts, 1);
    EXPECT_NONE();
    fake_mesh_got_ip(true);
    EXPECT(EVENT(MM_MESH_GOT_IP));
    fake_mesh_got_ip(false); // a renewed lease
    EXPECT_NONE();
    fake_mesh_got_ip(true); // another address: connections are gone
    EXPECT(EVENT(MM_MESH_LOST_IP), EVENT(MM_MESH_GOT_IP));
    fake_mesh_lost_ip();
    fake_mesh_lost_ip();
    EXPECT(EVENT(MM_MESH_LOST_IP));
    EXPECT_NONE();
    assert_int_equal(fake_netif_find(false)->dhcp_client_starts, 1);
}

static void test_address_before_the_role_is_told(void **state) {
    (void)state;
    fake_mesh_connect(1);
    fake_mesh_got_ip(true);
    fake_mesh_root_address(ROOT.bytes); // of the own soft-AP
    EXPECT(ROOT_IS(OWN), CONNECTED(1), EVENT(MM_MESH_GOT_IP));
}

static void test_router_is_lost_and_comes_back(void **state) {
    (void)state;
    become_root();
    fake_mesh_got_ip(true);
    EXPECT(EVENT(MM_MESH_GOT_IP));
    fake_mesh_disconnect();
    fake_mesh_disconnect(); // the SDK says so at each of its tries
    EXPECT(EVENT(MM_MESH_LOST_IP), EVENT(MM_MESH_PARENT_DISCONNECTED));
    assert_true(s_mesh.is_root); // and its children are there
    assert_int_equal(s_mesh.mesh.send(&s_mesh, CHILD, "x", 1), MM_OK);
    fake_mesh_lost_ip(); // the SDK's own, minutes later
    EXPECT_NONE();
    fake_mesh_connect(1);
    EXPECT(CONNECTED(1));
    fake_mesh_got_ip(false); // the same address
    EXPECT(EVENT(MM_MESH_GOT_IP));
    assert_int_equal(fake_netif_find(false)->dhcp_client_starts, 2);
}

static void test_child_loses_its_parent(void **state) {
    (void)state;
    become_child();
    assert_false(fake_netif_find(false)->dhcp_client_runs);
    fake_mesh_got_ip(true); // not a root's: nobody asked for it
    EXPECT_NONE();
    fake_mesh_disconnect();
    EXPECT(EVENT(MM_MESH_PARENT_DISCONNECTED));
    assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "x", 1), MM_ERR_UNAVAILABLE);
    fake_mesh_connect(3);
    EXPECT(CONNECTED(3));
    assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "x", 1), MM_OK);
    assert_int_equal(s_mesh.counts.sends_refused, 1);
}

static void test_away_between_two_turns(void **state) {
    (void)state;
    become_root();
    fake_mesh_got_ip(true);
    EXPECT(EVENT(MM_MESH_GOT_IP));
    fake_mesh_disconnect();
    fake_mesh_connect(1);
    fake_mesh_got_ip(false);
    EXPECT(EVENT(MM_MESH_LOST_IP), EVENT(MM_MESH_PARENT_DISCONNECTED), CONNECTED(1), EVENT(MM_MESH_GOT_IP));
    EXPECT_NONE();
    assert_int_equal(fake_netif_find(false)->dhcp_client_starts, 2);
    // The address of the connection before is none.
    fake_mesh_disconnect();
    fake_mesh_connect(1);
    EXPECT(EVENT(MM_MESH_LOST_IP), EVENT(MM_MESH_PARENT_DISCONNECTED), CONNECTED(1));
    EXPECT_NONE();
    fake_mesh_got_ip(false);
    EXPECT(EVENT(MM_MESH_GOT_IP));
    assert_int_equal(fake_netif_find(false)->dhcp_client_starts, 3);
}

static void test_layer_changes(void **state) {
    (void)state;
    become_child();
    fake_mesh_set_layer(4);
    EXPECT(CONNECTED(4));
    fake_mesh_root_address(OTHER.bytes);
    EXPECT(ROOT_IS(OTHER));
    assert_int_equal(s_mesh.layer, 4);
}

static void test_role_changes(void **state) {
    (void)state;
    become_root();
    fake_mesh_got_ip(true);
    EXPECT(EVENT(MM_MESH_GOT_IP));
    // Another one is root: who it is comes later.
    fake_mesh_disconnect();
    fake_mesh_connect(2);
    EXPECT(EVENT(MM_MESH_LOST_IP), EVENT(MM_MESH_PARENT_DISCONNECTED), ROOT_IS(NOBODY), CONNECTED(2));
    assert_false(s_mesh.is_root);
    assert_false(fake_netif_find(false)->dhcp_client_runs);
    fake_mesh_root_address(ROOT.bytes);
    EXPECT(ROOT_IS(ROOT));
    // And back, without a parent in between.
    fake_mesh_set_layer(1);
    EXPECT(ROOT_IS(OWN), CONNECTED(1));
    assert_true(fake_netif_find(false)->dhcp_client_runs);
    fake_mesh_got_ip(false);
    EXPECT(EVENT(MM_MESH_GOT_IP));
}

static void test_children_of_the_root(void **state) {
    (void)state;
    fake_mesh_set_nodes(TABLE, 2);
    become_child();
    fake_mesh_set_nodes(TABLE, 1);
    EXPECT_NONE(); // only the root tells
    fake_mesh_set_nodes(TABLE, 2);
    fake_mesh_set_layer(1);
    EXPECT(ROOT_IS(OWN), CONNECTED(1), CHILD_IS(MM_MESH_CHILD_JOINED, CHILD));
    fake_mesh_set_nodes(TABLE, 3);
    EXPECT(CHILD_IS(MM_MESH_CHILD_JOINED, OTHER));
    fake_mesh_set_nodes(TABLE + 2, 1);
    EXPECT(CHILD_IS(MM_MESH_CHILD_LEFT, CHILD));
    fake_mesh_set_nodes(TABLE, 3);
    fake_fail_at(1); // the SDK does not give the table
    EXPECT_NONE();
    EXPECT(CHILD_IS(MM_MESH_CHILD_JOINED, CHILD));
    // Who becomes the root again begins with a table of its own.
    fake_mesh_set_layer(2);
    EXPECT(ROOT_IS(NOBODY), CONNECTED(2));
    fake_mesh_set_nodes(TABLE, 2);
    fake_mesh_set_layer(1);
    EXPECT(ROOT_IS(OWN), CONNECTED(1), CHILD_IS(MM_MESH_CHILD_JOINED, CHILD));
}

static void test_full_queue_loses_no_event(void **state) {
    (void)state;
    mm_esp_post_t post;
    const mm_mesh_event_t other = {.kind = MM_MESH_CHILD_LEFT};
    while (mm_esp_owner_post_mesh(&other)) {
    }
    fake_mesh_connect(1);
    fake_mesh_set_nodes(TABLE, 3);
    fake_mesh_got_ip(true);
    (void)poll_now();
    assert_false(s_mesh.is_connected);
    // Room for two, then for all.
    assert_true(mm_esp_owner_take(&post, 0));
    assert_true(mm_esp_owner_take(&post, 0));
    (void)poll_now();
    assert_true(s_mesh.is_connected);
    assert_false(s_mesh.has_ip);
    unsigned others = 0;
    unsigned told = 0;
    while (mm_esp_owner_take(&post, 0)) {
        others += post.mesh.kind == MM_MESH_CHILD_LEFT ? 1 : 0;
        told += post.mesh.kind == MM_MESH_ROOT_CHANGED || post.mesh.kind == MM_MESH_PARENT_CONNECTED ? 1 : 0;
    }
    assert_int_equal(others, MM_ESP_OWNER_QUEUE_COUNT - 2);
    assert_int_equal(told, 2);
    EXPECT(EVENT(MM_MESH_GOT_IP), CHILD_IS(MM_MESH_CHILD_JOINED, CHILD), CHILD_IS(MM_MESH_CHILD_JOINED, OTHER));
    EXPECT_NONE();
}

// --- sending and receiving -----------------------------------------------------------------------------------------

static void test_who_a_frame_goes_to(void **state) {
    (void)state;
    const fake_mesh_frame_t *sent = &fake_mesh()->sent;
    assert_int_equal(s_mesh.mesh.send(&s_mesh, CHILD, "x", 1), MM_ERR_UNAVAILABLE);
    become_child();
    assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "hello", 5), MM_OK);
    assert_true(sent->to_root);
    assert_int_equal(sent->tos, MESH_TOS_DEF);
    assert_int_equal(sent->flag, MESH_DATA_P2P | MESH_DATA_NONBLOCK);
    assert_int_equal(sent->size, 5);
    assert_memory_equal(sent->data, "hello", 5);
    assert_int_equal(s_mesh.mesh.send(&s_mesh, CHILD, "answer", 6), MM_OK);
    assert_false(sent->to_root);
    assert_memory_equal(sent->to.addr, CHILD.bytes, 6);
    assert_int_equal(s_mesh.mesh.send(&s_mesh, MM_ESP_MESH_GROUP, "all", 3), MM_OK);
    assert_memory_equal(sent->to.addr, fake_mesh()->groups[0].addr, 6);
    assert_int_equal(sent->flag, MESH_DATA_P2P | MESH_DATA_GROUP | MESH_DATA_NONBLOCK);
    // To itself, as a node, and as the root.
    unsigned count = fake_mesh()->send_count;
    assert_int_equal(s_mesh.mesh.send(&s_mesh, OWN, "me", 2), MM_OK);
    fake_mesh_set_layer(1);
    EXPECT(ROOT_IS(OWN), CONNECTED(1));
    assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "me", 2), MM_OK);
    assert_int_equal(fake_mesh()->send_count, count);
    mm_esp_post_t post;
    assert_true(mm_esp_owner_take(&post, 0));
    assert_int_equal(post.kind, MM_ESP_POST_FRAME);
    assert_true(mm_mac_equal(post.from, OWN));
    assert_memory_equal(post.bytes, "me", 2);
    mm_esp_owner_done(&post);
}

static void test_frames_of_a_wrong_size(void **state) {
    (void)state;
    static uint8_t bytes[MM_MESH_FRAME_BYTES_MAX + 1];
    become_child();
    assert_int_equal(s_mesh.mesh.send(&s_mesh, CHILD, bytes, sizeof bytes), MM_ERR_ARG);
    assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, bytes, sizeof bytes), MM_ERR_ARG);
    assert_int_equal(s_mesh.mesh.send(&s_mesh, CHILD, bytes, 0), MM_ERR_ARG);
    assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, bytes, 0), MM_ERR_ARG);
    assert_int_equal(s_mesh.mesh.send(&s_mesh, CHILD, bytes, sizeof bytes - 1), MM_OK);
    assert_int_equal(fake_mesh()->send_count, 1);
}

static void test_sends_that_are_refused(void **state) {
    (void)state;
    static const struct {
        esp_err_t of_sdk;
        mm_err_t ours;
    } cases[] = {
        {ESP_ERR_MESH_QUEUE_FULL, MM_ERR_BUSY},
        {ESP_ERR_MESH_NO_MEMORY, MM_ERR_BUSY},
        {ESP_ERR_MESH_TIMEOUT, MM_ERR_BUSY},
        {ESP_ERR_MESH_XON_NO_WINDOW, MM_ERR_BUSY},
        {ESP_ERR_MESH_NO_ROUTE_FOUND, MM_ERR_UNAVAILABLE},
        {ESP_ERR_MESH_DISCONNECTED, MM_ERR_UNAVAILABLE},
        {ESP_FAIL, MM_ERR_UNAVAILABLE},
    };
    become_child();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake_mesh()->send_result = cases[i].of_sdk;
        assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "x", 1), cases[i].ours);
        assert_int_equal(s_mesh.counts.sends_refused, i + 1);
    }
}

static void test_long_queue_is_busy(void **state) {
    (void)state;
    become_child();
    for (unsigned i = 0; i < MM_ESP_MESH_PENDING_MAX; i++) {
        assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "x", 1), MM_OK);
    }
    assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "x", 1), MM_ERR_BUSY);
    fake_mesh()->pending.to_parent--;
    assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "x", 1), MM_OK);
    assert_int_equal(s_mesh.mesh.send(&s_mesh, CHILD, "x", 1), MM_ERR_BUSY);
    assert_int_equal(fake_mesh()->send_count, MM_ESP_MESH_PENDING_MAX + 1);
}

static void test_sdk_that_waits_holds_the_owner_once_a_turn(void **state) {
    (void)state;
    become_child();
    fake_mesh()->send_us = (int64_t)MM_ESP_MESH_BLOCK_MS * 1000;
    fake_mesh()->send_result = ESP_ERR_MESH_TIMEOUT;
    int64_t before_us = fake_time_us();
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "x", 1), MM_ERR_BUSY);
    }
    assert_int_equal(fake_time_us() - before_us, MM_ESP_MESH_BLOCK_MS * 1000);
    (void)poll_now();
    fake_mesh()->send_us = 0;
    fake_mesh()->send_result = ESP_OK;
    assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "x", 1), MM_OK);
}

static void test_frames_come_in(void **state) {
    (void)state;
    static uint8_t bytes[MESH_MTU + 1];
    mm_esp_post_t post;
    assert_int_equal(fake_task_find("mesh")->stack_bytes, 3072);
    fake_mesh_put(CHILD.bytes, "frame", 5);
    fake_mesh_put(CHILD.bytes, bytes, MM_MESH_FRAME_BYTES_MAX + 1);
    fake_mesh_put(CHILD.bytes, bytes, 0);
    fake_mesh_put(OTHER.bytes, bytes, MM_MESH_FRAME_BYTES_MAX);
    fake_mesh_put(CHILD.bytes, bytes, sizeof bytes); // the SDK refuses to give it
    fake_task_run("mesh", 3);
    assert_true(mm_esp_owner_take(&post, 0));
    assert_int_equal(post.kind, MM_ESP_POST_WAKE); // of the start
    assert_true(mm_esp_owner_take(&post, 0));
    assert_true(mm_mac_equal(post.from, CHILD));
    assert_memory_equal(post.bytes, "frame", 5);
    mm_esp_owner_done(&post);
    assert_true(mm_esp_owner_take(&post, 0));
    assert_true(mm_mac_equal(post.from, OTHER));
    assert_int_equal(post.bytes_count, MM_MESH_FRAME_BYTES_MAX);
    mm_esp_owner_done(&post);
    assert_false(mm_esp_owner_take(&post, 0));
    mm_esp_owner_counts_t counts;
    mm_esp_owner_counts(&counts);
    assert_int_equal(counts.frames_too_long, 1);
    assert_int_equal(s_mesh.counts.receives_failed, 2);
}

// The owner is busy: what it has no room for stays with the SDK, and comes when there is room.
static void test_frames_wait_for_room(void **state) {
    (void)state;
    mm_esp_post_t post;
    mm_esp_owner_counts_t counts;
    for (uint8_t i = 0; i < MM_ESP_OWNER_FRAMES + 2; i++) {
        fake_mesh_put(CHILD.bytes, &i, 1);
    }
    fake_task_run("mesh", MM_ESP_OWNER_FRAMES + 1); // and waits in front of the next one
    uint8_t seen = 0;
    for (unsigned turns = 0; turns < 4; turns++) {
        while (mm_esp_owner_take(&post, 0)) {
            if (post.kind == MM_ESP_POST_FRAME) {
                assert_int_equal(post.bytes[0], seen);
                seen++;
            }
            mm_esp_owner_done(&post);
        }
        fake_task_run("mesh", 1);
    }
    assert_int_equal(seen, MM_ESP_OWNER_FRAMES + 2);
    mm_esp_owner_counts(&counts);
    assert_int_equal(counts.frames_full, 0);
}

// An owner that hangs: the task does not spin, and the frame stays with the SDK.
static void test_no_frame_is_lost_by_waiting(void **state) {
    (void)state;
    mm_esp_post_t post;
    for (uint8_t i = 0; i < MM_ESP_OWNER_FRAMES + 1; i++) {
        fake_mesh_put(CHILD.bytes, &i, 1);
    }
    int64_t before_us = fake_time_us();
    fake_task_run("mesh", MM_ESP_OWNER_FRAMES + 200);
    assert_true(fake_time_us() - before_us >= INT64_C(200) * 10 * 1000);
    // For who has a frame that cannot stay anywhere there is no room.
    assert_false(mm_esp_owner_post_frame(CHILD, "x", 1));
    uint8_t seen = 0;
    for (unsigned turns = 0; turns < 2; turns++) {
        while (mm_esp_owner_take(&post, 0)) {
            seen = (uint8_t)(seen + (post.kind == MM_ESP_POST_FRAME ? 1 : 0));
            mm_esp_owner_done(&post);
        }
        fake_task_run("mesh", 1);
    }
    assert_int_equal(seen, MM_ESP_OWNER_FRAMES + 1);
}

static void test_failing_receiver_does_not_spin(void **state) {
    (void)state;
    fake_mesh()->recv_result = ESP_ERR_MESH_NOT_START;
    int64_t before_us = fake_time_us();
    fake_task_run("mesh", 10);
    assert_true(fake_time_us() - before_us >= INT64_C(900000));
    assert_in_range(s_mesh.counts.receives_failed, 10, 11);
}

// --- stuck ---------------------------------------------------------------------------------------------------------

// Turns of a second each.
static void let_pass(unsigned seconds) {
    for (unsigned i = 0; i < seconds; i++) {
        fake_time_advance(MM_US_PER_S);
        (void)poll_now();
    }
}

static void test_stuck_queue_leaves_the_parent_then_restarts(void **state) {
    (void)state;
    become_child();
    assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "x", 1), MM_OK);
    (void)poll_now();
    let_pass(MM_ESP_MESH_STUCK_S - 1);
    assert_int_equal(s_mesh.counts.queue_stuck, 0);
    let_pass(1);
    assert_int_equal(s_mesh.counts.queue_stuck, 1);
    assert_int_equal(s_mesh.counts.reconnects, 1);
    assert_int_equal(fake_mesh()->disconnects, 1);
    assert_int_equal(fake_mesh()->connects, 0);
    fake_mesh_disconnect();
    (void)poll_now();
    assert_int_equal(fake_mesh()->connects, 1);
    // It does not come back.
    let_pass(MM_ESP_MESH_STUCK_S - 1);
    assert_int_equal(s_mesh.counts.restarts, 0);
    let_pass(1);
    assert_int_equal(s_mesh.counts.restarts, 1);
    let_pass(1);
    assert_int_equal(s_mesh.job, MM_ESP_MESH_RESTARTING);
    assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "x", 1), MM_ERR_UNAVAILABLE);
    let_worker_work();
    EXPECT(EVENT(MM_MESH_PARENT_DISCONNECTED), ROOT_IS(NOBODY));
    assert_true(s_mesh.is_open);
    assert_int_equal(fake_mesh()->stops, 1);
    assert_int_equal(fake_mesh()->starts, 2);
    assert_int_equal(fake_wifi()->opens, 2);
    become_child();
    assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "x", 1), MM_OK);
}

static void test_parent_that_stays_is_connected_again(void **state) {
    (void)state;
    become_root();
    assert_int_equal(s_mesh.mesh.send(&s_mesh, CHILD, "x", 1), MM_OK);
    (void)poll_now();
    let_pass(MM_ESP_MESH_STUCK_S);
    assert_int_equal(fake_mesh()->disconnects, 1);
    let_pass(2); // no event of the SDK
    assert_int_equal(fake_mesh()->connects, 1);
    // Then the queue moves: the next time begins with the first step.
    fake_mesh()->pending.to_child = 0;
    let_pass(MM_ESP_MESH_STUCK_S + 1);
    assert_int_equal(s_mesh.counts.restarts, 0);
    assert_int_equal(s_mesh.mesh.send(&s_mesh, CHILD, "x", 1), MM_OK);
    (void)poll_now();
    let_pass(MM_ESP_MESH_STUCK_S);
    assert_int_equal(s_mesh.counts.queue_stuck, 2);
    assert_int_equal(s_mesh.counts.restarts, 0);
}

static void test_moving_queue_is_not_stuck(void **state) {
    (void)state;
    become_child();
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "x", 1), MM_OK);
    }
    // As much goes out as comes in.
    for (unsigned i = 0; i < 3 * MM_ESP_MESH_STUCK_S; i++) {
        assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "x", 1), MM_OK);
        fake_mesh()->pending.to_parent--;
        let_pass(1);
    }
    assert_int_equal(s_mesh.counts.queue_stuck, 0);
    // Only comes in: stuck, although it changes.
    for (unsigned i = 0; i <= MM_ESP_MESH_STUCK_S; i++) {
        fake_mesh()->pending.to_parent = 1;
        s_mesh.pending = 1;
        let_pass(1);
    }
    assert_int_equal(s_mesh.counts.queue_stuck, 1);
}

static void test_frames_without_a_parent_wait(void **state) {
    (void)state;
    become_child();
    assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "x", 1), MM_OK);
    fake_mesh_disconnect();
    let_pass(3 * MM_ESP_MESH_STUCK_S);
    assert_int_equal(s_mesh.counts.queue_stuck, 0);
    fake_mesh_connect(2);
    let_pass(MM_ESP_MESH_STUCK_S - 1);
    assert_int_equal(s_mesh.counts.queue_stuck, 0);
    let_pass(1);
    assert_int_equal(s_mesh.counts.queue_stuck, 1);
}

static void test_search_goes_on(void **state) {
    (void)state;
    fake_mesh_no_parent();
    EXPECT_NONE();
    assert_int_equal(fake_mesh()->searches, 1);
    assert_int_equal(s_mesh.counts.searches, 1);
    EXPECT_NONE();
    assert_int_equal(fake_mesh()->searches, 1);
}

static void test_alone_for_long_is_opened_anew(void **state) {
    (void)state;
    let_pass(MM_ESP_MESH_ALONE_S);
    assert_int_equal(s_mesh.counts.restarts, 1);
    let_pass(1);
    let_worker_work();
    let_pass(1);
    assert_int_equal(fake_mesh()->starts, 2);
    // A root whose router is off has children to serve.
    fake_mesh_connect(1);
    fake_mesh_set_nodes(TABLE, 2);
    (void)poll_now();
    fake_mesh_disconnect();
    let_pass(2 * MM_ESP_MESH_ALONE_S);
    assert_int_equal(s_mesh.counts.restarts, 1);
}

// --- pause, router, failures ---------------------------------------------------------------------------------------

static void test_pause_and_resume(void **state) {
    (void)state;
    become_root();
    fake_mesh_got_ip(true);
    EXPECT(EVENT(MM_MESH_GOT_IP));
    mm_esp_mesh_pause(&s_mesh);
    EXPECT_NONE();
    assert_false(mm_esp_mesh_is_paused(&s_mesh));
    assert_int_equal(s_mesh.mesh.send(&s_mesh, CHILD, "x", 1), MM_ERR_UNAVAILABLE);
    let_worker_work();
    EXPECT(EVENT(MM_MESH_LOST_IP), EVENT(MM_MESH_PARENT_DISCONNECTED), ROOT_IS(NOBODY));
    assert_true(mm_esp_mesh_is_paused(&s_mesh));
    expect_nothing_open();
    // The radio is the page's now.
    assert_int_equal(mm_esp_radio_open_access_point("meter", "12345678"), MM_OK);
    let_pass(MM_ESP_MESH_RETRY_S + 1);
    assert_int_equal(fake_mesh()->starts, 1);
    mm_esp_radio_close();
    mm_esp_mesh_resume(&s_mesh);
    EXPECT_NONE();
    let_worker_work();
    EXPECT_NONE();
    assert_false(mm_esp_mesh_is_paused(&s_mesh));
    assert_int_equal(fake_mesh()->starts, 2);
    become_root();
}

static void test_mesh_that_ends_without_a_word(void **state) {
    (void)state;
    become_root();
    fake_mesh_got_ip(true);
    EXPECT(EVENT(MM_MESH_GOT_IP));
    fake_mesh()->stops_silently = true;
    mm_esp_mesh_pause(&s_mesh);
    EXPECT_NONE();
    let_worker_work();
    EXPECT(EVENT(MM_MESH_LOST_IP), EVENT(MM_MESH_PARENT_DISCONNECTED), ROOT_IS(NOBODY));
    assert_true(mm_esp_mesh_is_paused(&s_mesh));
}

static void count_end(void *context) {
    (*(unsigned *)context)++;
}

// Who uses the radio in the owner's task is ended in the owner's task: the worker would take it from under its feet.
static void test_user_of_the_radio_ends_before_the_worker_begins(void **state) {
    (void)state;
    unsigned ends = 0;
    become_root();
    mm_esp_radio_set_user(count_end, &ends);
    mm_esp_mesh_pause(&s_mesh);
    EXPECT_NONE();
    assert_int_equal(ends, 1);
    assert_int_equal(mm_esp_radio_use(), MM_ESP_RADIO_OFF);
    assert_true(fake_mesh()->is_started);
    mm_esp_radio_set_user(NULL, NULL);
    let_worker_work();
}

static void nothing(void *context) {
    (void)context;
}

static void test_worker_has_something_else_to_do(void **state) {
    (void)state;
    uint32_t number;
    become_child();
    assert_int_equal(mm_esp_owner_give_job(nothing, NULL, MM_US_NEVER, &number), MM_OK);
    mm_esp_mesh_pause(&s_mesh);
    EXPECT_NONE();
    assert_int_equal(mm_esp_radio_use(), MM_ESP_RADIO_MESH);
    assert_int_equal(s_mesh.mesh.send_to_root(&s_mesh, "x", 1), MM_OK);
    let_worker_work();
    EXPECT_NONE(); // takes the end of that job
    EXPECT_NONE();
    let_worker_work();
    EXPECT(EVENT(MM_MESH_PARENT_DISCONNECTED), ROOT_IS(NOBODY));
    assert_true(mm_esp_mesh_is_paused(&s_mesh));
}

static void test_receiver_leaves_before_the_mesh_stops(void **state) {
    (void)state;
    fake_task_run("mesh", 1); // left in the SDK's wait
    int64_t before_us = fake_time_us();
    mm_esp_mesh_close(&s_mesh);
    assert_in_range(fake_time_us() - before_us, 500000, 1010000); // it did not leave, and that is not waited for longer
    expect_nothing_open();
    // It sees that the mesh is closed.
    fake_mesh()->recv_result = ESP_FAIL;
    fake_task_run("mesh", 3);
    assert_int_equal(s_mesh.counts.receives_failed, 0);
}

static void test_router_changes(void **state) {
    (void)state;
    const mm_esp_router_t other = {.name = "other", .password = ""};
    const mm_esp_router_t nameless = {.password = "x"};
    assert_int_equal(mm_esp_mesh_set_router(&s_mesh, &nameless), MM_ERR_ARG);
    become_child();
    assert_int_equal(mm_esp_mesh_set_router(&s_mesh, &other), MM_OK);
    assert_memory_equal(fake_mesh()->router.ssid, "other", 5);
    assert_int_equal(fake_mesh()->disconnects, 0);
    fake_mesh_set_layer(1);
    EXPECT(ROOT_IS(OWN), CONNECTED(1));
    fake_fail_at(1);
    assert_int_equal(mm_esp_mesh_set_router(&s_mesh, &other), MM_ERR_UNAVAILABLE);
    assert_int_equal(mm_esp_mesh_set_router(&s_mesh, &other), MM_OK);
    assert_int_equal(fake_mesh()->disconnects, 1);
    fake_mesh_disconnect();
    EXPECT(EVENT(MM_MESH_PARENT_DISCONNECTED));
    assert_int_equal(fake_mesh()->connects, 1);
    // A mesh that is closed has it when it is opened.
    const mm_esp_router_t third = {.name = "third", .password = "12345678"};
    mm_esp_mesh_pause(&s_mesh);
    (void)poll_now();
    assert_int_equal(mm_esp_mesh_set_router(&s_mesh, &third), MM_ERR_BUSY);
    let_worker_work();
    EXPECT(ROOT_IS(NOBODY));
    assert_int_equal(mm_esp_mesh_set_router(&s_mesh, &third), MM_OK);
    mm_esp_mesh_resume(&s_mesh);
    (void)poll_now();
    let_worker_work();
    (void)poll_now();
    assert_memory_equal(fake_mesh()->router.ssid, "third", 5);
}

// Each call of the SDK fails once: nothing stays open, the core is told nothing, and poll opens it later.
static void test_every_call_of_open_fails(void **state) {
    (void)state;
    unsigned call_no = 0;
    unsigned refused = 0;
    bool failed = true;
    while (failed) {
        prepare();
        fake_fail_at(++call_no);
        mm_err_t err = open_mesh();
        failed = fake_has_failed();
        fake_fail_at(0);
        if (err == MM_OK) {
            assert_true(s_mesh.is_open);
            mm_esp_mesh_close(&s_mesh);
            expect_nothing_open();
            continue;
        }
        assert_int_equal(err, MM_ERR_UNAVAILABLE);
        refused++;
        expect_nothing_open();
        assert_false(s_mesh.is_open);
        assert_int_equal(s_mesh.mesh.send(&s_mesh, CHILD, "x", 1), MM_ERR_UNAVAILABLE);
        let_pass(MM_ESP_MESH_RETRY_S - 1);
        assert_int_equal(s_mesh.job, MM_ESP_MESH_NO_JOB);
        let_pass(1);
        let_worker_work();
        EXPECT_NONE();
        assert_true(s_mesh.is_open);
        become_root();
        assert_int_equal(s_mesh.counts.opens_failed, 1);
    }
    // Task; interfaces, event loop, Wi-Fi (init, storage, mode, start, power save); two handlers; init of the mesh, 8
    // settings, start. The owner's wake and the group may fail.
    assert_int_equal(refused, 20);
    assert_int_equal(call_no, 23);
}

// The same while the worker restarts it.
static void test_every_call_of_a_restart_fails(void **state) {
    (void)state;
    unsigned call_no = 0;
    bool failed = true;
    while (failed) {
        prepare();
        assert_int_equal(open_mesh(), MM_OK);
        become_child();
        s_mesh.restart_is_due = true;
        (void)poll_now();
        fake_fail_at(++call_no);
        let_worker_work();
        failed = fake_has_failed();
        fake_fail_at(0);
        EXPECT(EVENT(MM_MESH_PARENT_DISCONNECTED), ROOT_IS(NOBODY));
        if (!s_mesh.is_open) {
            expect_nothing_open();
            let_pass(MM_ESP_MESH_RETRY_S);
            let_worker_work();
            EXPECT_NONE();
        }
        assert_true(s_mesh.is_open);
        become_child();
    }
    assert_true(call_no > 15);
}

// While it runs, a call that fails is tried again, or is a counter.
static void test_every_call_of_a_turn_fails(void **state) {
    (void)state;
    unsigned call_no = 0;
    bool failed = true;
    while (failed) {
        prepare();
        assert_int_equal(open_mesh(), MM_OK);
        fake_mesh_connect(1);
        fake_mesh_set_nodes(TABLE, 2);
        fake_fail_at(++call_no);
        (void)poll_now();
        failed = fake_has_failed();
        fake_fail_at(0);
        (void)poll_now();
        fake_mesh_got_ip(true);
        (void)poll_now();
        assert_true(fake_netif_find(false)->dhcp_client_runs);
        assert_true(s_mesh.is_connected);
        assert_true(s_mesh.has_ip);
        assert_int_equal(s_mesh.node_count, 1);
    }
    assert_true(call_no > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_open_configures_the_mesh, open_good),
        cmocka_unit_test_setup(test_router_without_name, open_good),
        cmocka_unit_test_setup(test_root_gets_its_address_once, open_good),
        cmocka_unit_test_setup(test_address_before_the_role_is_told, open_good),
        cmocka_unit_test_setup(test_router_is_lost_and_comes_back, open_good),
        cmocka_unit_test_setup(test_child_loses_its_parent, open_good),
        cmocka_unit_test_setup(test_away_between_two_turns, open_good),
        cmocka_unit_test_setup(test_layer_changes, open_good),
        cmocka_unit_test_setup(test_role_changes, open_good),
        cmocka_unit_test_setup(test_children_of_the_root, open_good),
        cmocka_unit_test_setup(test_full_queue_loses_no_event, open_good),
        cmocka_unit_test_setup(test_who_a_frame_goes_to, open_good),
        cmocka_unit_test_setup(test_frames_of_a_wrong_size, open_good),
        cmocka_unit_test_setup(test_sends_that_are_refused, open_good),
        cmocka_unit_test_setup(test_long_queue_is_busy, open_good),
        cmocka_unit_test_setup(test_sdk_that_waits_holds_the_owner_once_a_turn, open_good),
        cmocka_unit_test_setup(test_frames_come_in, open_good),
        cmocka_unit_test_setup(test_frames_wait_for_room, open_good),
        cmocka_unit_test_setup(test_no_frame_is_lost_by_waiting, open_good),
        cmocka_unit_test_setup(test_failing_receiver_does_not_spin, open_good),
        cmocka_unit_test_setup(test_stuck_queue_leaves_the_parent_then_restarts, open_good),
        cmocka_unit_test_setup(test_parent_that_stays_is_connected_again, open_good),
        cmocka_unit_test_setup(test_moving_queue_is_not_stuck, open_good),
        cmocka_unit_test_setup(test_frames_without_a_parent_wait, open_good),
        cmocka_unit_test_setup(test_search_goes_on, open_good),
        cmocka_unit_test_setup(test_alone_for_long_is_opened_anew, open_good),
        cmocka_unit_test_setup(test_pause_and_resume, open_good),
        cmocka_unit_test_setup(test_mesh_that_ends_without_a_word, open_good),
        cmocka_unit_test_setup(test_user_of_the_radio_ends_before_the_worker_begins, open_good),
        cmocka_unit_test_setup(test_worker_has_something_else_to_do, open_good),
        cmocka_unit_test_setup(test_receiver_leaves_before_the_mesh_stops, open_good),
        cmocka_unit_test_setup(test_router_changes, open_good),
        cmocka_unit_test(test_every_call_of_open_fails),
        cmocka_unit_test(test_every_call_of_a_restart_fails),
        cmocka_unit_test(test_every_call_of_a_turn_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
