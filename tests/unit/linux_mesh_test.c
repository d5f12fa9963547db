// SPDX-License-Identifier: Apache-2.0
#include "linux_mesh_world.h"

// --- election ------------------------------------------------------------------------------------------------------

static void test_linux_mesh_alone_becomes_root(void **state) {
    (void)state;
    node_t *node = open_node(1, true);
    run_ms(SEARCH_MS - 20);
    assert_int_equal(node->event_count, 0);
    assert_int_equal(node->mesh.mesh.send_to_root(&node->mesh, "x", 1), MM_ERR_UNAVAILABLE);
    run_ms(40);
    assert_int_equal(node->event_count, 3);
    assert_event(node, 0, MM_MESH_ROOT_CHANGED, 1, 0);
    assert_event(node, 1, MM_MESH_PARENT_CONNECTED, 0, 1);
    assert_event(node, 2, MM_MESH_GOT_IP, 0, 0);
}

static void test_linux_mesh_smallest_address_wins(void **state) {
    (void)state;
    (void)open_node(3, true);
    (void)open_node(1, true);
    (void)open_node(2, true);
    // The search, and a hello until the last has heard of it.
    assert_true(await_root(1, SEARCH_MS + 2 * HELLO_MS) <= SEARCH_MS + 2 * STEP_US / 1000);
    run_ms(1000);
    assert_int_equal(root_count(), 1);
    const node_t *root = &s_nodes[1];
    assert_event(root, 0, MM_MESH_ROOT_CHANGED, 1, 0);
    assert_event(root, 1, MM_MESH_PARENT_CONNECTED, 0, 1);
    assert_event(root, 2, MM_MESH_GOT_IP, 0, 0);
    assert_int_equal(count_events(root, MM_MESH_CHILD_JOINED, 2), 1);
    assert_int_equal(count_events(root, MM_MESH_CHILD_JOINED, 3), 1);
    assert_int_equal(root->event_count, 5);
    for (size_t i = 2; i <= 3; i++) {
        assert_int_equal(s_nodes[i].event_count, 2);
        assert_event(&s_nodes[i], 0, MM_MESH_ROOT_CHANGED, 1, 0);
        assert_event(&s_nodes[i], 1, MM_MESH_PARENT_CONNECTED, 0, 2);
    }
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(stat(&s_nodes[i], MM_LINUX_MESH_ROLE_CHANGES), 1);
        assert_int_equal(stat(&s_nodes[i], MM_LINUX_MESH_MEMBERS_LOST), 0);
        assert_int_equal(mm_linux_mesh_member_count(&s_nodes[i].mesh), 2);
    }
}

static void test_linux_mesh_present_root_stays(void **state) {
    (void)state;
    (void)open_node(5, true);
    (void)await_root(5, 1000);
    (void)open_node(1, true);
    assert_true(await_root(5, 1000) <= 50); // answered, not searched for
    run_ms(1000);
    assert_int_equal(role(5), MM_LINUX_MESH_ROOT);
    assert_int_equal(count_events(&s_nodes[5], MM_MESH_CHILD_JOINED, 1), 1);
}

static void test_linux_mesh_router_moves_the_root(void **state) {
    (void)state;
    (void)open_node(1, true);
    (void)open_node(2, false);
    (void)open_node(3, true);
    (void)open_node(4, true);
    (void)await_root(1, 1000);
    run_ms(200);
    forget_events();

    mm_linux_mesh_set_router(&s_nodes[1].mesh, false);
    assert_true(await_root(3, 1000) <= 50); // best of those with a router, at once
    const node_t *old = &s_nodes[1];
    assert_event(old, 0, MM_MESH_LOST_IP, 0, 0);
    assert_event(old, 1, MM_MESH_ROOT_CHANGED, 3, 0);
    assert_event(old, 2, MM_MESH_PARENT_CONNECTED, 0, 2);
    assert_int_equal(old->event_count, 3);
    run_ms(200);
    assert_event(&s_nodes[3], 0, MM_MESH_ROOT_CHANGED, 3, 0);
    assert_event(&s_nodes[3], 1, MM_MESH_PARENT_CONNECTED, 0, 1);
    assert_event(&s_nodes[3], 2, MM_MESH_GOT_IP, 0, 0);
    assert_int_equal(count_events(&s_nodes[3], MM_MESH_CHILD_JOINED, 0), 3);
    assert_int_equal(s_nodes[3].event_count, 6);

    // The old one may have its router back: the new root stays.
    mm_linux_mesh_set_router(&s_nodes[1].mesh, true);
    run_ms(1000);
    assert_int_equal(role(3), MM_LINUX_MESH_ROOT);
    assert_int_equal(root_count(), 1);

    // Root for the second time, it hears of all children again.
    forget_events();
    mm_linux_mesh_set_router(&s_nodes[3].mesh, false);
    (void)await_root(1, 1000);
    run_ms(200);
    assert_int_equal(count_events(&s_nodes[1], MM_MESH_CHILD_JOINED, 0), 3);
    assert_int_equal(count_events(&s_nodes[1], MM_MESH_CHILD_LEFT, 0), 0);
}

static void test_linux_mesh_no_router_anywhere_root_stays(void **state) {
    (void)state;
    (void)open_node(1, true);
    (void)open_node(2, false);
    (void)await_root(1, 1000);
    run_ms(200);
    forget_events();
    mm_linux_mesh_set_router(&s_nodes[1].mesh, false);
    run_ms(2000);
    assert_int_equal(role(1), MM_LINUX_MESH_ROOT);
    assert_int_equal(s_nodes[1].event_count, 1);
    assert_event(&s_nodes[1], 0, MM_MESH_LOST_IP, 0, 0);
    assert_int_equal(s_nodes[2].event_count, 0);
    mm_linux_mesh_set_router(&s_nodes[1].mesh, true);
    run_ms(100);
    assert_event(&s_nodes[1], 1, MM_MESH_GOT_IP, 0, 0);
    assert_int_equal(s_nodes[1].event_count, 2);

    // Without any router from the beginning there is a root too.
    mm_linux_mesh_set_router(&s_nodes[1].mesh, false);
    kill_node(1);
    (void)await_root(2, 2000);
    assert_int_equal(count_events(&s_nodes[2], MM_MESH_GOT_IP, 0), 0);
}

static void test_linux_mesh_death_of_the_root(void **state) {
    (void)state;
    for (size_t i = 1; i <= 4; i++) {
        (void)open_node(i, true);
    }
    (void)await_root(1, 1000);
    run_ms(200);
    forget_events();
    kill_node(1);
    int took_ms = await_root(2, 2000);
    assert_true(took_ms >= TIMEOUT_MS - 2 * HELLO_MS && took_ms <= TIMEOUT_MS + 3 * HELLO_MS);
    run_ms(1000);
    assert_int_equal(root_count(), 1);
    for (size_t i = 3; i <= 4; i++) {
        assert_event(&s_nodes[i], 0, MM_MESH_PARENT_DISCONNECTED, 0, 0);
        assert_event(&s_nodes[i], 1, MM_MESH_ROOT_CHANGED, 2, 0);
        assert_event(&s_nodes[i], 2, MM_MESH_PARENT_CONNECTED, 0, 2);
        assert_int_equal(s_nodes[i].event_count, 3);
    }
}

static void test_linux_mesh_goodbye_is_faster_than_death(void **state) {
    (void)state;
    for (size_t i = 1; i <= 3; i++) {
        (void)open_node(i, true);
    }
    (void)await_root(1, 1000);
    run_ms(200);
    forget_events();
    close_node(1);
    assert_true(await_root(2, 2000) <= HELLO_MS + 50);

    // A child that ends is told by the root at once.
    run_ms(200);
    forget_events();
    close_node(3);
    step();
    step();
    assert_int_equal(s_nodes[2].event_count, 1);
    assert_event(&s_nodes[2], 0, MM_MESH_CHILD_LEFT, 3, 0);
}

static void test_linux_mesh_two_roots_become_one(void **state) {
    (void)state;
    // Each hears only itself at first.
    mm_linux_mesh_options_t options;
    (void)open_node(1, true);
    (void)await_root(1, 1000);
    s_nodes[1].silent = true;
    (void)open_node(2, true);
    (void)open_node(3, true);
    (void)await_root(2, 1000);
    forget_events();
    s_nodes[1].silent = false;
    assert_true(await_root(1, 1000) <= HELLO_MS + 50);
    assert_event(&s_nodes[2], 0, MM_MESH_LOST_IP, 0, 0);
    assert_event(&s_nodes[2], 1, MM_MESH_ROOT_CHANGED, 1, 0);
    run_ms(1000);
    assert_int_equal(root_count(), 1);
    assert_int_equal(count_events(&s_nodes[1], MM_MESH_CHILD_JOINED, 0), 2);

    // A root without a router gives way, however small its address.
    for (size_t i = 1; i <= 3; i++) {
        close_node(i);
    }
    fill_options(&options, 1);
    (void)open_node_with(1, &options);
    (void)await_root(1, 1000);
    s_nodes[1].silent = true;
    (void)open_node(2, true);
    (void)await_root(2, 1000);
    s_nodes[1].silent = false;
    (void)await_root(2, 1000);
    run_ms(1000);
    assert_int_equal(role(1), MM_LINUX_MESH_FOLLOWING);
}

static void test_linux_mesh_best_candidate_that_does_not_lead(void **state) {
    (void)state;
    (void)open_node(2, true);
    s_nodes[2].silent = true;
    // A member with a better address that says hello and never takes the role (made by hand).
    mm_linux_mesh_t *mesh = &s_nodes[2].mesh;
    int64_t begin_us = s_now_us;
    for (int i = 0; i < 200 && role(2) != MM_LINUX_MESH_ROOT; i++) {
        s_now_us += STEP_US;
        mesh->peers[0] = (mm_linux_mesh_peer_t){.used = true,
                                                .member = true,
                                                .mac = mac_of(1),
                                                .boot = 1,
                                                .heard_us = s_now_us,
                                                .hello = {.router_up = true}};
        mesh->peers[0].address = mesh->address;
        (void)mm_linux_mesh_poll(mesh, s_now_us);
    }
    assert_int_equal(role(2), MM_LINUX_MESH_ROOT);
    assert_true(s_now_us - begin_us >= (int64_t)(SEARCH_MS + TIMEOUT_MS) * 1000);
}

static void test_linux_mesh_restart_is_noticed(void **state) {
    (void)state;
    (void)open_node(1, true);
    (void)open_node(2, true);
    (void)await_root(1, 1000);
    run_ms(200);
    forget_events();
    // The child is back before anybody missed it.
    kill_node(2);
    (void)open_node(2, true);
    run_ms(50);
    assert_int_equal(s_nodes[1].event_count, 2);
    assert_event(&s_nodes[1], 0, MM_MESH_CHILD_LEFT, 2, 0);
    assert_event(&s_nodes[1], 1, MM_MESH_CHILD_JOINED, 2, 0);
    // Also by an owner who was busy meanwhile.
    forget_events();
    s_nodes[1].busy = true;
    kill_node(2);
    (void)open_node(2, true);
    run_ms(200);
    s_nodes[1].busy = false;
    run_ms(200);
    assert_int_equal(s_nodes[1].event_count, 2);
    assert_event(&s_nodes[1], 0, MM_MESH_CHILD_LEFT, 2, 0);
    assert_event(&s_nodes[1], 1, MM_MESH_CHILD_JOINED, 2, 0);

    // And so is the root.
    forget_events();
    kill_node(1);
    (void)open_node(1, true);
    run_ms(1000);
    assert_int_equal(root_count(), 1);
    assert_event(&s_nodes[2], 0, MM_MESH_PARENT_DISCONNECTED, 0, 0);
    assert_int_equal(count_events(&s_nodes[2], MM_MESH_PARENT_CONNECTED, 0), 1);
    uint8_t root = s_nodes[2].mesh.root.bytes[5];
    uint8_t child = root == 1 ? 2 : 1;
    forget_events();
    s_nodes[child].busy = true;
    mm_linux_mesh_set_router(&s_nodes[child].mesh, false); // it will not take the role
    kill_node(root);
    (void)open_node(root, true);
    (void)await_root(root, 2000);
    s_nodes[child].busy = false;
    run_ms(200);
    assert_int_equal(s_nodes[child].event_count, 2);
    assert_event(&s_nodes[child], 0, MM_MESH_PARENT_DISCONNECTED, 0, 0);
    assert_event(&s_nodes[child], 1, MM_MESH_PARENT_CONNECTED, 0, 2);
}

static void test_linux_mesh_tree(void **state) {
    (void)state;
    // Nine nodes, two children each. By hand: 1 is the root; 2, 3 below it; 4, 5 below 2; 6, 7 below 3; 8, 9 below 4.
    static const uint8_t parents[] = {0, 1, 1, 1, 2, 2, 3, 3, 4, 4};
    static const uint8_t layers[] = {0, 1, 2, 2, 3, 3, 3, 3, 4, 4};
    for (uint8_t i = 1; i <= 9; i++) {
        mm_linux_mesh_options_t options;
        fill_options(&options, i);
        options.router_up = true;
        options.fanout = 2;
        (void)open_node_with(i, &options);
    }
    (void)await_root(1, 1000);
    run_ms(200);
    for (uint8_t i = 1; i <= 9; i++) {
        assert_int_equal(mm_linux_mesh_parent(&s_nodes[i].mesh).bytes[5], parents[i]);
        assert_int_equal(s_nodes[i].mesh.layer, layers[i]);
        const mm_mesh_event_t *last = &s_nodes[i].events[s_nodes[i].event_count - 1];
        if (i > 1) {
            assert_int_equal(last->kind, MM_MESH_PARENT_CONNECTED);
            assert_int_equal(last->layer, layers[i]);
        }
    }
    assert_int_equal(count_events(&s_nodes[1], MM_MESH_CHILD_JOINED, 0), 8);

    // 2 leaves: the others move up one place, and hear of a new layer if it is one.
    forget_events();
    close_node(2);
    run_ms(100);
    assert_int_equal(mm_linux_mesh_parent(&s_nodes[4].mesh).bytes[5], 1);
    assert_int_equal(s_nodes[4].mesh.layer, 2);
    assert_int_equal(s_nodes[4].event_count, 1);
    assert_event(&s_nodes[4], 0, MM_MESH_PARENT_CONNECTED, 0, 2);
    assert_int_equal(s_nodes[3].event_count, 0);
}

static void test_linux_mesh_layer_limit(void **state) {
    (void)state;
    for (uint8_t i = 1; i <= 5; i++) {
        mm_linux_mesh_options_t options;
        fill_options(&options, i);
        options.fanout = 1;
        options.layer_max = 3;
        (void)open_node_with(i, &options);
    }
    (void)await_root(1, 1000);
    run_ms(200);
    for (uint8_t i = 1; i <= 5; i++) {
        assert_int_equal(s_nodes[i].mesh.layer, i < 3 ? i : 3);
    }
}

// --- frames --------------------------------------------------------------------------------------------------------

static mm_err_t send_to(size_t from, uint8_t to, const void *bytes, size_t bytes_count) {
    const mm_mesh_t *mesh = &s_nodes[from].mesh.mesh;
    return mesh->send(mesh->context, mac_of(to), bytes, bytes_count);
}

static void test_linux_mesh_frames(void **state) {
    (void)state;
    (void)open_node(1, true);
    (void)open_node(2, true);
    assert_int_equal(send_to(1, 2, "x", 1), MM_ERR_UNAVAILABLE);
    (void)await_root(1, 1000);
    run_ms(100);

    uint8_t sent[MM_MESH_FRAME_BYTES_MAX + 1];
    uint8_t got[MM_MESH_FRAME_BYTES_MAX];
    size_t got_bytes = 0;
    mm_mac_t from;
    for (size_t i = 0; i < sizeof sent; i++) {
        sent[i] = (uint8_t)(i * 7);
    }
    assert_int_equal(send_to(1, 2, sent, sizeof sent), MM_ERR_ARG);
    assert_int_equal(send_to(1, 9, sent, 1), MM_ERR_UNAVAILABLE);
    assert_int_equal(send_to(1, 2, sent, MM_MESH_FRAME_BYTES_MAX), MM_OK);
    await_delivery();
    step();
    assert_true(mm_linux_mesh_next_frame(&s_nodes[2].mesh, &from, got, &got_bytes));
    assert_int_equal(got_bytes, MM_MESH_FRAME_BYTES_MAX);
    assert_memory_equal(got, sent, got_bytes);
    assert_true(mm_mac_equal(from, mac_of(1)));
    assert_false(mm_linux_mesh_next_frame(&s_nodes[2].mesh, &from, got, &got_bytes));

    // To the root, from below and from itself.
    const mm_mesh_t *child = &s_nodes[2].mesh.mesh;
    assert_int_equal(child->send_to_root(child->context, "up", 2), MM_OK);
    const mm_mesh_t *root = &s_nodes[1].mesh.mesh;
    assert_int_equal(root->send_to_root(root->context, "self", 4), MM_OK);
    await_delivery();
    step();
    assert_true(mm_linux_mesh_next_frame(&s_nodes[1].mesh, &from, got, &got_bytes));
    assert_true(mm_mac_equal(from, mac_of(1)) && got_bytes == 4);
    assert_true(mm_linux_mesh_next_frame(&s_nodes[1].mesh, &from, got, &got_bytes));
    assert_true(mm_mac_equal(from, mac_of(2)) && got_bytes == 2);
    assert_memory_equal(got, "up", 2);
}

static void test_linux_mesh_frames_wait_for_the_owner(void **state) {
    (void)state;
    (void)open_node(1, true);
    (void)open_node(2, true);
    (void)await_root(1, 1000);
    run_ms(100);
    enum {
        COUNT = 5 * MM_LINUX_MESH_FRAMES_MAX
    };
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX] = {0};
    for (unsigned i = 0; i < COUNT; i++) {
        bytes[0] = (uint8_t)i;
        assert_int_equal(send_to(2, 1, bytes, 600), MM_OK);
    }
    await_delivery();
    run_ms(50);
    for (unsigned i = 0; i < COUNT; i++) {
        mm_mac_t from;
        size_t size;
        if (!mm_linux_mesh_next_frame(&s_nodes[1].mesh, &from, bytes, &size)) {
            step();
            assert_true(mm_linux_mesh_next_frame(&s_nodes[1].mesh, &from, bytes, &size));
        }
        assert_int_equal(bytes[0], i);
    }
    // To itself there is no socket to wait in.
    for (size_t i = 0; i < MM_LINUX_MESH_FRAMES_MAX; i++) {
        assert_int_equal(send_to(1, 1, "x", 1), MM_OK);
    }
    assert_int_equal(send_to(1, 1, "x", 1), MM_ERR_BUSY);
}

// --- bad air, discovery, options -----------------------------------------------------------------------------------

static void test_linux_mesh_survives_bad_air(void **state) {
    (void)state;
    for (uint8_t i = 1; i <= 4; i++) {
        mm_linux_mesh_options_t options;
        fill_options(&options, i);
        options.router_up = true;
        options.timeout_ms = 1500;
        options.faults = (mm_linux_mesh_faults_t){
            .seed = i, .loss_percent = 25, .duplicate_percent = 20, .delay_percent = 20, .delay_ms = 80};
        (void)open_node_with(i, &options);
    }
    // 15 hellos in a row are lost once in 10^9: after the first agreement nothing changes any more.
    (void)await_root(1, 3000);
    run_ms(2000);
    forget_events();
    run_ms(20000);
    assert_int_equal(root_count(), 1);
    uint64_t replayed = 0;
    for (uint8_t i = 1; i <= 4; i++) {
        assert_int_equal(s_nodes[i].event_count, 0);
        replayed += stat(&s_nodes[i], MM_LINUX_MESH_DROPPED_REPLAYED);
        assert_true(stat(&s_nodes[i], MM_LINUX_MESH_FAULTS_INJECTED) > 100);
    }
    assert_true(replayed > 100);
}

static void check_group(const char *address) {
    struct sockaddr_in any;
    int probe = udp_socket(&any);
    char group[64];
    (void)snprintf(group, sizeof group, "%s:%u", address, ntohs(any.sin_port));
    (void)close(probe);
    for (uint8_t i = 1; i <= 3; i++) {
        mm_linux_mesh_options_t options;
        fill_options(&options, i);
        options.peers = "";
        options.group = group;
        (void)open_node_with(i, &options);
        int files[2];
        mm_linux_mesh_files(&s_nodes[i].mesh, files);
        assert_true(files[0] >= 0 && files[1] >= 0);
    }
    (void)await_root(1, 1000);
    run_ms(500);
    assert_int_equal(mm_linux_mesh_member_count(&s_nodes[3].mesh), 2);
    for (size_t i = 1; i <= 3; i++) {
        close_node(i);
    }
}

static void test_linux_mesh_discovery_by_group(void **state) {
    (void)state;
    check_group("127.255.255.255");
    check_group("239.192.77.1");
}

static void test_linux_mesh_options_refused(void **state) {
    (void)state;
    static mm_linux_mesh_t mesh;
    mm_linux_message_t message;
    mm_linux_mesh_options_t good;
    fill_options(&good, 1);
    mm_linux_mesh_options_t bad[9];
    for (size_t i = 0; i < 9; i++) {
        bad[i] = good;
    }
    bad[0].mesh_id = "";
    bad[1].mac = (mm_mac_t){{0}};
    bad[2].listen = "localhost:1";
    bad[3].listen = NULL;
    bad[4].peers = "127.0.0.1";
    bad[5].group = "127.0.0.1:0";
    bad[6].timeout_ms = HELLO_MS;
    bad[7].layer_max = 1;
    bad[8].faults.loss_percent = 101;
    for (size_t i = 0; i < 9; i++) {
        message.text[0] = '\0';
        assert_int_equal(mm_linux_mesh_open(&mesh, &bad[i], 0, &message), MM_ERR_ARG);
        assert_non_null(strstr(message.text, "mesh: "));
    }
    good.listen = "192.0.2.77:0"; // documentation address: not ours
    assert_int_equal(mm_linux_mesh_open(&mesh, &good, 0, &message), MM_ERR_UNAVAILABLE);
    assert_non_null(strstr(message.text, "192.0.2.77"));
    (void)open_node(1, true);
    char listen[32];
    (void)snprintf(listen, sizeof listen, "127.0.0.1:%u", mm_linux_mesh_port(&s_nodes[1].mesh));
    good.listen = listen;
    assert_int_equal(mm_linux_mesh_open(&mesh, &good, 0, &message), MM_ERR_BUSY);
    assert_non_null(strstr(message.text, listen));
}

static void test_linux_mesh_deadlines(void **state) {
    (void)state;
    mm_linux_mesh_t *mesh = &open_node(1, true)->mesh;
    // Nothing is missed by who polls only when asked to: role after the search, hellos in their rhythm.
    int64_t end_us = s_now_us + (int64_t)10 * 1000000;
    unsigned polls = 0;
    while (s_now_us < end_us) {
        int64_t deadline_us = mm_linux_mesh_poll(mesh, s_now_us);
        assert_true(deadline_us > s_now_us && deadline_us <= s_now_us + (int64_t)HELLO_MS * 1000);
        s_now_us = deadline_us;
        polls++;
    }
    assert_int_equal(role(1), MM_LINUX_MESH_ROOT);
    assert_true(polls <= 110);
    mm_linux_mesh_set_router(mesh, false);
    s_nodes[1].silent = true;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_TEST(test_linux_mesh_alone_becomes_root),
        MESH_TEST(test_linux_mesh_smallest_address_wins),
        MESH_TEST(test_linux_mesh_present_root_stays),
        MESH_TEST(test_linux_mesh_router_moves_the_root),
        MESH_TEST(test_linux_mesh_no_router_anywhere_root_stays),
        MESH_TEST(test_linux_mesh_death_of_the_root),
        MESH_TEST(test_linux_mesh_goodbye_is_faster_than_death),
        MESH_TEST(test_linux_mesh_two_roots_become_one),
        MESH_TEST(test_linux_mesh_best_candidate_that_does_not_lead),
        MESH_TEST(test_linux_mesh_restart_is_noticed),
        MESH_TEST(test_linux_mesh_tree),
        MESH_TEST(test_linux_mesh_layer_limit),
        MESH_TEST(test_linux_mesh_frames),
        MESH_TEST(test_linux_mesh_frames_wait_for_the_owner),
        MESH_TEST(test_linux_mesh_survives_bad_air),
        MESH_TEST(test_linux_mesh_discovery_by_group),
        MESH_TEST(test_linux_mesh_options_refused),
        MESH_TEST(test_linux_mesh_deadlines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
