// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_MESH_H
#define MM_ESP_MESH_H

#include "meshmeter/configuration.h"
#include "meshmeter/limits.h"
#include "meshmeter/port/crypto.h"
#include "meshmeter/port/mesh.h"
#include "mm_esp_settings.h"

/// port/mesh.h on ESP-WIFI-MESH: a tree that elects its own root. A parked node does not open it. Static: there is one.
///
/// Mesh id and the password of the mesh's soft-AP come from the site and the mesh key: HMAC-SHA-256 under the mesh key
/// of "mm-mesh-id" LF site (the first 6 bytes) and of "mm-mesh-ap" LF site (as 32 hexadecimal digits). So meshes of two
/// sites do not meet, and only who has the key gets in (WPA2). IE crypto is under the same password.
///
/// Callbacks of the SDK only note what they were told and wake the owner. mm_esp_mesh_poll compares it with what the
/// core was told, and posts the differences to the owner's queue (mm_esp_owner_post_mesh): none is lost when the queue
/// is full, none comes twice. The root's "router lost" is PARENT_DISCONNECTED; GOT_IP comes once for each time that the
/// role or the address came, LOST_IP once when either goes. `mac` of ROOT_CHANGED is this node's own if it is the root;
/// else it is only good for comparing (the SDK names the root's soft-AP), and zero while it is not known. CHILD_JOINED
/// and CHILD_LEFT are the differences of the root's routing table.
///
/// A send never blocks (MESH_TOS_DEF: the radio repeats, the mesh does not; the core asks again). Should the SDK wait
/// all the same, then for MM_ESP_MESH_BLOCK_MS, and nothing more is sent in that turn of the owner. A frame to this
/// node itself goes to the owner's queue. To MM_ESP_MESH_GROUP: every node of the mesh.
///
/// A queue in which nothing has moved for MM_ESP_MESH_STUCK_S is stuck: first the node leaves its parent and comes
/// back, and if that has not helped after as long again, the mesh is closed and opened from scratch by the worker; each
/// is counted. The SDK is known to hang there: then the worker's deadline passes and the device restarts.
///
/// A node that has had neither a parent nor children for MM_ESP_MESH_ALONE_S is opened from scratch as well.
///
/// A node that is away for an installer's session is paused: one radio is not mesh and page at once (mm_esp_radio.h).
/// Bluetooth is off before it opens. 0.4 KB on 32 bit, and 5 KB for the receiving task.

#define MM_ESP_MESH_LAYERS_MAX 6
#define MM_ESP_MESH_CHILDREN_MAX 6
/// Frames that wait in the SDK's queue at most; further ones are MM_ERR_BUSY.
#define MM_ESP_MESH_PENDING_MAX 24
#define MM_ESP_MESH_STUCK_S 20
#define MM_ESP_MESH_ALONE_S 600
#define MM_ESP_MESH_BLOCK_MS 500
/// A mesh that could not be opened is tried again.
#define MM_ESP_MESH_RETRY_S 30
/// Closing and opening takes the worker so long at most.
#define MM_ESP_MESH_JOB_S 30
#define MM_ESP_MESH_GROUP ((mm_mac_t){{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}})

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
    uint32_t searches;        ///< the mesh gave up looking for a parent, and was told to go on
    uint32_t opens_failed;    ///< the SDK refused
    uint32_t receives_failed; ///< by the receiving task alone
} mm_esp_mesh_counts_t;

/// What the SDK said last. Guarded by the module's lock.
typedef struct {
    uint32_t connection_no; ///< another one: it was away in between
    uint32_t ip_no;
    bool is_connected;
    bool is_root;
    bool has_ip;
    uint8_t layer;
    mm_mac_t root;
    mm_mac_t parent;
    bool nodes_changed;
    bool search_ended;
} mm_esp_mesh_seen_t;

typedef enum {
    MM_ESP_MESH_NO_JOB = 0,
    MM_ESP_MESH_OPENING,
    MM_ESP_MESH_CLOSING,
    MM_ESP_MESH_RESTARTING,
} mm_esp_mesh_job_t;

typedef struct {
    mm_mesh_t mesh; ///< for the core
    mm_esp_mesh_counts_t counts;
    // What the core was told.
    bool is_open;
    bool is_connected;
    bool is_root;
    bool has_ip;
    uint8_t layer;
    mm_mac_t parent; ///< its access point's; of the root: the router's
    int pending;     ///< at the last look
    uint8_t stuck_step;
    // wait: the send queue moves | until MM_ESP_MESH_STUCK_S | then the parent is left, and at last the mesh restarted
    mm_us_t stuck_at;

    // The module's own.
    mm_mac_t mac;
    uint8_t mesh_id[6];
    char ap_password[33];
    mm_esp_router_t router;
    bool is_wanted;
    bool is_blocked; ///< the SDK waited in this turn
    int sent;        ///< since the last look
    uint32_t told_connection_no;
    uint32_t told_ip_no;
    mm_mac_t told_root;
    mm_mac_t nodes[MM_NODES_MAX]; ///< told as children
    size_t node_count;
    uint32_t dhcp_connection_no; ///< that it runs for; 0: it does not
    bool connect_is_due;
    // wait: the parent is left | until MM_ESP_MESH_LEAVE_MS | then the node connects again all the same
    mm_us_t connect_at;
    // wait: a mesh that could not be opened | until MM_ESP_MESH_RETRY_S | then the worker tries again
    mm_us_t retry_at;
    // wait: a parent | until MM_ESP_MESH_ALONE_S | then the worker closes the mesh and opens it
    mm_us_t alone_until;
    bool restart_is_due;
    mm_esp_mesh_job_t job;
    uint32_t job_number;
    mm_err_t job_result;
    bool job_is_done; ///< guarded by the module's lock
    mm_esp_mesh_seen_t seen;
    void *mesh_handler;
    void *ip_handler;
    void *task;
} mm_esp_mesh_t;

/// Begin: Wi-Fi, network interfaces, mesh, task. Waits for the SDK: once, before the owner runs. options are copied as
/// far as needed. *self must stay where it is. MM_ERR_UNAVAILABLE: the SDK refused; everything begun is taken back, the
/// table answers MM_ERR_UNAVAILABLE, the node meters without a mesh, and poll tries again. MM_ERR_ARG: the router has
/// no name.
mm_err_t mm_esp_mesh_open(mm_esp_mesh_t *self, const mm_esp_mesh_options_t *options);
/// Take everything back, except the task, which waits. Waits for the SDK, without a bound: the owner pauses instead.
void mm_esp_mesh_close(mm_esp_mesh_t *self);
/// By the owner: other credentials of the router, from now on; a root leaves the old one at once. MM_ERR_ARG: no name.
/// MM_ERR_BUSY: the worker has the mesh; try again. MM_ERR_UNAVAILABLE: the SDK refused; the next opening has them.
mm_err_t mm_esp_mesh_set_router(mm_esp_mesh_t *self, const mm_esp_router_t *router);
/// By the owner: poll lets the worker close the mesh; is_paused says when it is done. Resume: and open it again.
void mm_esp_mesh_pause(mm_esp_mesh_t *self);
void mm_esp_mesh_resume(mm_esp_mesh_t *self);
bool mm_esp_mesh_is_paused(const mm_esp_mesh_t *self);
/// By the owner, in every turn: tells the core what happened, looks after the send queue, the address (DHCP at the root
/// alone), and the worker's jobs. Returns the next deadline.
mm_us_t mm_esp_mesh_poll(mm_esp_mesh_t *self, mm_us_t now);

#endif
