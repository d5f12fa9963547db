// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_MESH_H
#define MM_ESP_MESH_H

#include "meshmeter/configuration.h"
#include "meshmeter/port/crypto.h"
#include "meshmeter/port/mesh.h"
#include "mm_esp_settings.h"

/// port/mesh.h on ESP-WIFI-MESH: a tree that elects its own root. A parked node does not open it.
///
/// Mesh id and the password of the mesh's soft-AP come from the site and the mesh key: HMAC-SHA-256 under the mesh key
/// of "mm-mesh-id" LF site (the first 6 bytes) and of "mm-mesh-ap" LF site (as 32 hexadecimal digits). So meshes of two
/// sites do not meet, and only who has the key gets in (WPA2). IE crypto is under the same password.
///
/// Events go to the owner's queue (mm_esp_owner_post_mesh). The root's "router lost" is PARENT_DISCONNECTED; GOT_IP
/// comes once for each time that the role or the address came, LOST_IP once when either goes.
///
/// A send never blocks. A queue in which nothing has moved for MM_ESP_MESH_STUCK_S is stuck: first the node leaves its
/// parent and comes back, and if that has not helped after as long again, the mesh is stopped and started; each
/// is counted.

#define MM_ESP_MESH_LAYERS_MAX 6
#define MM_ESP_MESH_CHILDREN_MAX 6
/// Frames that wait in the SDK's queue at most; further ones are MM_ERR_BUSY.
#define MM_ESP_MESH_PENDING_MAX 24
#define MM_ESP_MESH_STUCK_S 20

typedef struct {
    mm_mac_t mac;
    const char *site;
    const uint8_t *mesh_key;       ///< 32 bytes
    const mm_esp_router_t *router; ///< credentials that are to be used now
} mm_esp_mesh_options_t;

typedef struct {
    uint32_t sends_refused; ///< busy, or no path
    uint32_t queue_stuck;   ///< found so
    uint32_t reconnects;    ///< ways out of it …
    uint32_t restarts;
    uint32_t receives_failed;
} mm_esp_mesh_counts_t;

typedef struct {
    mm_mesh_t mesh; ///< for the core
    mm_esp_mesh_counts_t counts;
    bool is_open;
    bool is_connected;
    bool is_root;
    bool has_ip;
    uint8_t layer;
    int pending; ///< at the last look
    uint8_t stuck_step;
    /// the send queue has to move within MM_ESP_MESH_STUCK_S of this: else reconnect, at last stop and start
    mm_us_t stuck_at;
} mm_esp_mesh_t;

/// Begin: Wi-Fi, network interfaces, mesh, task. options are copied as far as needed. *self must stay where it is.
/// MM_ERR_UNAVAILABLE: the SDK refused; everything begun is taken back and the table answers MM_ERR_UNAVAILABLE: the
/// node meters without a mesh and the owner tries again.
mm_err_t mm_esp_mesh_open(mm_esp_mesh_t *self, const mm_esp_mesh_options_t *options);
/// By the owner: other credentials of the router, from now on.
mm_err_t mm_esp_mesh_set_router(mm_esp_mesh_t *self, const mm_esp_router_t *router);
/// By the owner, in every turn: looks after the send queue. Returns the next deadline.
mm_us_t mm_esp_mesh_poll(mm_esp_mesh_t *self, mm_us_t now);

#endif
