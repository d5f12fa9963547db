// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_MESH_H
#define MM_LINUX_MESH_H

#include <netinet/in.h>

#include "linux_door.h"
#include "linux_mesh_wire.h"
#include "linux_message.h"
#include "meshmeter/port/mesh.h"

/// The mesh of Linux nodes: hosts on one network, or processes on one machine, over UDP (docs/adr/0004-udp-mesh.md).
///
/// Every node says hello to every other one; who is silent for too long is gone. Datagrams are authenticated with the
/// mesh key and protected against replay. A node is a member only when it has proved that it hears us now (its
/// datagrams carry our boot number), so links are two-way and old recordings cannot raise the dead.
///
/// Root: a node whose router is up before one whose is not; among these the present root; then the smallest MAC.
/// States:
///
///     SEARCHING --a root is heard--> FOLLOWING        SEARCHING --time is over, best candidate--> ROOT
///     FOLLOWING --root gone--> SEARCHING              FOLLOWING --root without router, we have one, best candidate-->
///     ROOT ROOT --a better root is heard--> FOLLOWING
///
/// The tree below the root is computed from the sorted addresses (fanout children per node): it gives layers as in
/// ESP-WIFI-MESH, but frames go straight to their receiver.
///
/// Times of this module are real microseconds (linux_clock.h), whatever the node's clocks do. All calls are the
/// owner's.

#define MM_LINUX_MESH_ENDPOINTS_MAX 256
#define MM_LINUX_MESH_PEERS_MAX (MM_NODES_MAX + 28)
#define MM_LINUX_MESH_FRAMES_MAX 32
#define MM_LINUX_MESH_DELAYED_MAX 64

/// Faults of the air, for tests and demonstrations; they hit outgoing datagrams.
typedef struct {
    uint64_t seed;
    uint8_t loss_percent;
    uint8_t duplicate_percent;
    uint8_t delay_percent;
    uint32_t delay_ms; ///< at most
} mm_linux_mesh_faults_t;

typedef struct {
    const char *mesh_id; ///< not empty
    uint8_t key[MM_MESH_KEY_BYTES];
    mm_mac_t mac;
    uint64_t boot;       ///< greater in each start of this node; 0 = the system's time in microseconds
    const char *listen;  ///< "ADDRESS:PORT", IPv4; port 0 = a free one
    const char *peers;   ///< comma separated "ADDRESS:PORT" or "ADDRESS:FIRST-LAST"; NULL or "" = none
    const char *group;   ///< multicast or broadcast "ADDRESS:PORT" for discovery; NULL or "" = none
    uint32_t hello_ms;   ///< 0 = 500
    uint32_t timeout_ms; ///< silence after which a node is gone; 0 = 4 hellos
    uint32_t search_ms;  ///< how long a node that starts looks for a root; 0 = 3 hellos
    uint8_t fanout;      ///< 0 = 6
    uint8_t layer_max;   ///< 0 = 6; what does not fit hangs below the last layer
    bool router_up;      ///< simulated router, see mm_linux_mesh_set_router
    mm_linux_mesh_faults_t faults;
} mm_linux_mesh_options_t;

#define MM_LINUX_MESH_STAT_LIST(X)                                                                                     \
    X(DATAGRAMS_SENT, "datagrams_sent")                                                                                \
    X(DATAGRAMS_TAKEN, "datagrams_taken")                                                                              \
    X(FRAMES_SENT, "frames_sent")                                                                                      \
    X(FRAMES_TAKEN, "frames_taken")                                                                                    \
    X(DROPPED_MALFORMED, "dropped_malformed")       /* too short, too long, no datagram of ours */                     \
    X(DROPPED_VERSION, "dropped_version")           /* of a later version */                                           \
    X(DROPPED_FOREIGN, "dropped_foreign")           /* another mesh id */                                              \
    X(DROPPED_TAG, "dropped_tag")                   /* wrong key, or altered on the way */                             \
    X(DROPPED_REPLAYED, "dropped_replayed")         /* counter seen before */                                          \
    X(DROPPED_OLD_BOOT, "dropped_old_boot")         /* from before the sender's last start */                          \
    X(DROPPED_STALE, "dropped_stale")               /* frame for us as we were before our last start */                \
    X(DROPPED_MISDIRECTED, "dropped_misdirected")   /* for another node */                                             \
    X(DROPPED_OWN, "dropped_own")                   /* our own hello came back */                                      \
    X(DROPPED_MAC_CONFLICT, "dropped_mac_conflict") /* another node says it has our address */                         \
    X(DROPPED_TABLE_FULL, "dropped_table_full")     /* more nodes than a mesh may have */                              \
    X(SEND_FAILED, "send_failed")                   /* the system refused a datagram */                                \
    X(FAULTS_INJECTED, "faults_injected")                                                                              \
    X(MEMBERS_LOST, "members_lost")                                                                                    \
    X(ROLE_CHANGES, "role_changes")

typedef enum {
#define MM_LINUX_MESH_STAT_ENUM(id, name) MM_LINUX_MESH_##id,
    MM_LINUX_MESH_STAT_LIST(MM_LINUX_MESH_STAT_ENUM)
#undef MM_LINUX_MESH_STAT_ENUM
    MM_LINUX_MESH_STAT_COUNT
} mm_linux_mesh_stat_t;

typedef enum {
    MM_LINUX_MESH_SEARCHING = 0,
    MM_LINUX_MESH_FOLLOWING,
    MM_LINUX_MESH_ROOT,
} mm_linux_mesh_role_t;

/// One other node.
typedef struct {
    bool used;
    bool member; ///< heard of lately, and it hears us
    mm_mac_t mac;
    uint64_t boot;
    mm_mesh_window_t window;
    uint64_t hello_counter; ///< of the last hello taken
    struct sockaddr_in address;
    int64_t heard_us; ///< last datagram that proved that it hears us
    int64_t said_us;  ///< our last hello to it
    mm_mesh_hello_t hello;
    bool answer_due;
    uint64_t told_boot; ///< CHILD_JOINED was handed out for this boot; 0 = not
} mm_linux_mesh_peer_t;

typedef struct {
    mm_mac_t from;
    uint16_t bytes_count;
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
} mm_linux_mesh_frame_t;

typedef struct {
    int64_t at_us;
    struct sockaddr_in address;
    uint16_t bytes_count; ///< 0 = free
    uint8_t bytes[MM_MESH_DATAGRAM_BYTES_MAX];
} mm_linux_mesh_delayed_t;

/// Fields are private, but for reading in status output. *self must stay where it is from open to close.
typedef struct {
    mm_mesh_t mesh;                  ///< hand this to the core
    mm_linux_mesh_options_t options; ///< strings are not kept
    mm_mesh_seal_t seal;
    int file;
    int group_file;             ///< -1 = none
    struct sockaddr_in address; ///< own
    struct sockaddr_in group;
    struct sockaddr_in endpoints[MM_LINUX_MESH_ENDPOINTS_MAX];
    size_t endpoint_count;

    mm_linux_door_t *door; ///< or NULL

    uint64_t boot;
    uint64_t counter;
    int64_t opened_us;
    int64_t now_us;
    // wait: time to be heard again | until mesh_hello_ms | then HELLO is sent to all
    int64_t hello_at_us;
    bool router_up;

    mm_linux_mesh_role_t role;
    // wait: a root is heard | until SEARCH_HELLOS times mesh_hello_ms | then the best candidate takes the role
    int64_t search_until_us;
    // wait: the best candidate takes the role | until SEARCH_HELLOS, TIMEOUT_HELLOS and two more times mesh_hello_ms |
    // then this node takes it
    int64_t patience_until_us;
    mm_mac_t root; ///< zero while searching
    uint64_t root_boot;
    uint8_t layer;
    mm_linux_mesh_peer_t peers[MM_LINUX_MESH_PEERS_MAX];

    // What the owner has been told. Events are the difference to what is so.
    bool told_connected;
    bool told_ip;
    uint8_t told_layer;
    mm_mac_t told_root;
    uint64_t told_root_boot;

    mm_linux_mesh_frame_t frames[MM_LINUX_MESH_FRAMES_MAX];
    size_t frame_first;
    size_t frame_count;

    uint64_t fault_state;
    mm_linux_mesh_delayed_t *delayed; ///< NULL without faults
    uint64_t stats[MM_LINUX_MESH_STAT_COUNT];
} mm_linux_mesh_t;

/// MM_ERR_ARG: an option is wrong. MM_ERR_BUSY: the address is in use. MM_ERR_UNAVAILABLE: the system refused (no such
/// address …). MM_ERR_FULL: no memory. `message` names the option. Strings and key are copied as needed.
mm_err_t mm_linux_mesh_open(mm_linux_mesh_t *self, const mm_linux_mesh_options_t *options, int64_t real_now_us,
                            mm_linux_message_t *message);
/// Say goodbye, so that the others need not wait for the timeout, and release everything. Also after a failed open.
void mm_linux_mesh_close(mm_linux_mesh_t *self);

/// Let packets for the door in by this mesh's socket (linux_door.h), and be asked there by nodes that look for a mesh
/// at `peers` and `group` themselves. Borrowed. Errors of mm_linux_door_open.
mm_err_t mm_linux_mesh_open_door(mm_linux_mesh_t *self, mm_linux_door_t *door, const char *peers, const char *group,
                                 mm_linux_message_t *message);

/// Files to watch for reading; the second is -1 without a group.
void mm_linux_mesh_files(const mm_linux_mesh_t *self, int files[2]);
uint16_t mm_linux_mesh_port(const mm_linux_mesh_t *self);

/// Take datagrams, look after members and role, say hello. Call when a file is readable and at the returned deadline
/// (real microseconds); then take events and frames until there are none. Never blocks.
int64_t mm_linux_mesh_poll(mm_linux_mesh_t *self, int64_t real_now_us);
/// Next event of port/mesh.h; false: none. Children are told at the root only (all of the mesh), and only while it is
/// root: who loses the role forgets them. PARENT_CONNECTED comes again when the layer changes.
bool mm_linux_mesh_next_event(mm_linux_mesh_t *self, mm_mesh_event_t *event);
/// Next frame for this node; false: none. bytes: MM_MESH_FRAME_BYTES_MAX. When nobody takes frames, they wait in the
/// socket.
bool mm_linux_mesh_next_frame(mm_linux_mesh_t *self, mm_mac_t *from, uint8_t *bytes, size_t *bytes_count);

/// The simulated router of this node. A root that loses it gives LOST_IP; the role moves if another node has one. Acts
/// in the next poll, which is due at once.
void mm_linux_mesh_set_router(mm_linux_mesh_t *self, bool router_up);

/// For status output.
mm_linux_mesh_role_t mm_linux_mesh_role(const mm_linux_mesh_t *self);
const char *mm_linux_mesh_role_name(mm_linux_mesh_role_t role);
size_t mm_linux_mesh_member_count(const mm_linux_mesh_t *self);
/// Parent in the tree; zero while searching, own address at the root.
mm_mac_t mm_linux_mesh_parent(const mm_linux_mesh_t *self);
uint64_t mm_linux_mesh_stat(const mm_linux_mesh_t *self, mm_linux_mesh_stat_t stat);
const char *mm_linux_mesh_stat_name(mm_linux_mesh_stat_t stat);

#endif
