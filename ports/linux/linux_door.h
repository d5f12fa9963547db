// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_DOOR_H
#define MM_LINUX_DOOR_H

#include <netinet/in.h>

#include "linux_message.h"
#include "meshmeter/port/door.h"

/// The door of Linux nodes (port/door.h): datagrams on the mesh's own socket that carry no tag of the mesh and begin
/// with another word. A node without a network sends to the endpoints and the group where a mesh may be; who hears it
/// answers to the address that the datagram came from.
///
///     offset  bytes
///          0      4  "MMDR"
///          4      1  version, 1
///          5      6  MAC of the sender, not proved
///         11      6  MAC of the receiver; zero: everybody who hears
///         17         the packet, 1 … MM_DOOR_PACKET_BYTES_MAX
///
/// Bounds: MM_DOOR_PACKETS_PER_S packets a second in all are taken, MM_LINUX_DOOR_PACKETS_MAX wait, and
/// MM_LINUX_DOOR_PEERS_MAX addresses are remembered, the oldest makes room: all that a flood can do is that an asker
/// has to ask once more. All calls are the owner's; times are real microseconds.

#define MM_LINUX_DOOR_HEAD_BYTES 17
#define MM_LINUX_DOOR_ENDPOINTS_MAX 256
#define MM_LINUX_DOOR_PEERS_MAX 16
#define MM_LINUX_DOOR_PACKETS_MAX 16

typedef struct {
    mm_mac_t mac; ///< zero = free
    struct sockaddr_in address;
    int64_t heard_us;
} mm_linux_door_peer_t;

typedef struct {
    mm_mac_t from;
    uint16_t bytes_count;
    uint8_t bytes[MM_DOOR_PACKET_BYTES_MAX];
} mm_linux_door_packet_t;

/// Fields are private, but for the counts. *self must stay where it is.
typedef struct {
    mm_door_t door; ///< hand this to the core
    mm_mac_t mac;
    int file;                   ///< of the mesh; borrowed
    struct sockaddr_in address; ///< own
    struct sockaddr_in endpoints[MM_LINUX_DOOR_ENDPOINTS_MAX];
    size_t endpoint_count;
    mm_linux_door_peer_t peers[MM_LINUX_DOOR_PEERS_MAX];
    mm_linux_door_packet_t packets[MM_LINUX_DOOR_PACKETS_MAX];
    size_t packet_first;
    size_t packet_count;
    int64_t second_us; ///< that second_count is of
    uint32_t second_count;
    uint64_t taken;
    uint64_t dropped_flood;     ///< beyond MM_DOOR_PACKETS_PER_S, or nobody took the others
    uint64_t dropped_malformed; ///< begins like a packet of a door, and is none
} mm_linux_door_t;

/// file: the mesh's socket, own: its address. peers and group as in mm_linux_mesh_options_t, for a node without a
/// network; NULL or "" for one that has one. MM_ERR_ARG: not of this form; `message` says which.
mm_err_t mm_linux_door_open(mm_linux_door_t *self, mm_mac_t mac, int file, const struct sockaddr_in *own,
                            const char *peers, const char *group, mm_linux_message_t *message);
/// A datagram of the mesh's socket. True: it begins like one of a door, and is dealt with.
bool mm_linux_door_take(mm_linux_door_t *self, const uint8_t *bytes, size_t bytes_count,
                        const struct sockaddr_in *source, int64_t real_now_us);
/// Next packet; false: none. bytes: MM_DOOR_PACKET_BYTES_MAX.
bool mm_linux_door_next(mm_linux_door_t *self, mm_mac_t *from, uint8_t *bytes, size_t *bytes_count);

#endif
