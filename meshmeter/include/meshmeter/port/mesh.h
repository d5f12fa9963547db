// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PORT_MESH_H
#define MM_PORT_MESH_H

#include "meshmeter/base.h"
#include "meshmeter/limits.h"

/// The mesh below a node, modelled on ESP-WIFI-MESH. The port forms the tree, elects the root, keeps foreign meshes out
/// and authenticates its own members (link key); it delivers whole frames of at most MM_MESH_FRAME_BYTES_MAX bytes,
/// possibly lost, repeated or late. It calls nothing in the core: it posts events to the owner.

typedef enum {
    MM_MESH_EVENT_NONE = 0,
    MM_MESH_PARENT_CONNECTED,    ///< `layer` is valid; layer 1 = this node is the root
    MM_MESH_PARENT_DISCONNECTED, ///< at the root this is "router lost"
    MM_MESH_ROOT_CHANGED,        ///< `mac` is the new root, possibly this node
    MM_MESH_CHILD_JOINED,        ///< `mac` entered the tree below (root: anywhere in the mesh)
    MM_MESH_CHILD_LEFT,          ///< `mac` left it
    MM_MESH_GOT_IP,              ///< root only: router and internet side up
    MM_MESH_LOST_IP,             ///< root only
} mm_mesh_event_kind_t;

typedef struct {
    mm_mesh_event_kind_t kind;
    mm_mac_t mac;
    uint8_t layer;
} mm_mesh_event_t;

/// Hand one frame to the mesh. The bytes are copied. Never blocks: MM_ERR_BUSY when the send queue is full,
/// MM_ERR_UNAVAILABLE when there is no path. MM_OK says nothing about delivery.
typedef struct {
    mm_err_t (*send)(void *context, mm_mac_t to, const void *bytes, size_t bytes_count);
    /// To the root, whoever it is at this moment.
    mm_err_t (*send_to_root)(void *context, const void *bytes, size_t bytes_count);
    void *context;
} mm_mesh_t;

#endif
