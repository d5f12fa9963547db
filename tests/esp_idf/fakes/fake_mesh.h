// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_MESH_H
#define MM_TEST_FAKE_MESH_H

#include <esp_mesh.h>
#include <stdbool.h>
#include <stddef.h>

/// The mesh's library: it keeps what it was told, and takes and gives frames. The tree is the test's: fake_mesh_…
/// functions change it and post the event that the library would post.

#define FAKE_MESH_NODES_MAX 16
#define FAKE_MESH_QUEUE_MAX 8

typedef struct {
    bool to_root; ///< sent without an address
    mesh_addr_t to;
    mesh_tos_t tos;
    int flag;
    uint16_t size;
    uint8_t data[MESH_MPS];
} fake_mesh_frame_t;

typedef struct {
    bool is_open;
    bool is_started;
    unsigned starts;
    unsigned stops;
    bool stops_silently; ///< the event of the end comes when its handler is gone: the SDK's loop is a task of its own
    mesh_cfg_t config;
    bool has_config;
    int max_layer;
    esp_mesh_topology_t topology;
    wifi_auth_mode_t authmode;
    char ie_key[65];
    uint32_t block_ms;
    bool ps_was_disabled;
    bool root_is_fixed;
    bool is_self_organized;
    unsigned searches; ///< set_self_organized with select_parent
    unsigned disconnects;
    unsigned connects;
    mesh_router_t router;
    bool is_root;
    int layer;
    mesh_addr_t groups[2];
    int group_count;
    mesh_addr_t nodes[FAKE_MESH_NODES_MAX]; ///< the routing table
    int node_count;
    mesh_tx_pending_t pending; ///< each send adds one to to_child or to_parent; the test takes them away
    esp_err_t send_result;     ///< ESP_OK: taken
    int64_t send_us;           ///< a send takes so long
    unsigned send_count;
    fake_mesh_frame_t sent; ///< the last one
    esp_err_t recv_result;  ///< not ESP_OK: recv says this at once
} fake_mesh_t;

/// May be changed by the test.
fake_mesh_t *fake_mesh(void);
/// A frame for esp_mesh_recv; longer than the mesh allows is possible.
void fake_mesh_put(const uint8_t from[6], const void *data, size_t size);

/// The access point of its parent, whoever that is.
#define FAKE_MESH_PARENT                                                                                               \
    { 0x02, 0x50, 0, 0, 0, 0x99 }

/// Connected to the router (layer 1) or to a parent.
void fake_mesh_connect(int layer);
void fake_mesh_disconnect(void);
void fake_mesh_set_layer(int layer);
void fake_mesh_root_address(const uint8_t root[6]);
void fake_mesh_got_ip(bool is_changed);
void fake_mesh_lost_ip(void);
/// The routing table becomes this.
void fake_mesh_set_nodes(const uint8_t nodes[][6], int count);
void fake_mesh_no_parent(void);

#endif
