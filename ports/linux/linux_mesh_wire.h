// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_MESH_WIRE_H
#define MM_LINUX_MESH_WIRE_H

#include <mbedtls/md.h>

#include "meshmeter/base.h"
#include "meshmeter/limits.h"

/// Datagrams of the UDP mesh. Little-endian:
///
///     offset  bytes  field
///          0      4  magic "MMUM"
///          4      1  version 1
///          5      1  kind (mm_mesh_datagram_kind_t)
///          6      8  mesh hash: first bytes of SHA-256("meshmeter mesh " + mesh id)
///         14      6  sender
///         20      6  receiver; zero = whoever hears it (hello only)
///         26      8  sender's boot number: greater in each start of the same node
///         34      8  receiver's boot number as the sender knows it; 0 = not known
///         42      8  counter: greater in each datagram of one boot
///         50      n  body: hello, or the frame of the node
///       50+n     16  HMAC-SHA-256 over all before it, truncated; key = HMAC(mesh key, "meshmeter link " + mesh id)

#define MM_MESH_KEY_BYTES 32
#define MM_MESH_HASH_BYTES 8
#define MM_MESH_TAG_BYTES 16
#define MM_MESH_HEADER_BYTES 50
#define MM_MESH_DATAGRAM_BYTES_MAX (MM_MESH_HEADER_BYTES + MM_MESH_FRAME_BYTES_MAX + MM_MESH_TAG_BYTES)

typedef enum {
    MM_MESH_DATAGRAM_HELLO = 1,
    MM_MESH_DATAGRAM_FRAME = 2,
    MM_MESH_DATAGRAM_GOODBYE = 3, ///< hello of a node that ends
} mm_mesh_datagram_kind_t;

typedef struct {
    mm_mesh_datagram_kind_t kind;
    mm_mac_t from;
    mm_mac_t to;
    uint64_t boot;
    uint64_t to_boot;
    uint64_t counter;
    const uint8_t *body;
    size_t body_bytes;
} mm_mesh_datagram_t;

/// Body of a hello. Bytes behind it are ignored: later versions may append.
typedef struct {
    bool router_up;
    bool is_root;
    uint8_t layer;
    mm_mac_t root; ///< zero = none known
    uint64_t uptime_ms;
} mm_mesh_hello_t;

#define MM_MESH_HELLO_BYTES 16

/// What an arriving datagram may be; everything but GOOD is dropped and counted.
typedef enum {
    MM_MESH_GOOD = 0,
    MM_MESH_MALFORMED, ///< too short, too long, other magic or kind
    MM_MESH_VERSION,   ///< of a later version
    MM_MESH_FOREIGN,   ///< of another mesh
    MM_MESH_TAG,       ///< wrong key, or altered
} mm_mesh_verdict_t;

/// Keys of one mesh.
typedef struct {
    uint8_t hash[MM_MESH_HASH_BYTES];
    mbedtls_md_context_t hmac; ///< keyed
} mm_mesh_seal_t;

/// MM_ERR_FULL: no memory.
mm_err_t mm_mesh_seal_open(mm_mesh_seal_t *self, const char *mesh_id, const uint8_t key[MM_MESH_KEY_BYTES]);
void mm_mesh_seal_close(mm_mesh_seal_t *self);

/// Encode into `bytes` (MM_MESH_DATAGRAM_BYTES_MAX). Returns the size. body_bytes is at most MM_MESH_FRAME_BYTES_MAX
/// (asserted).
size_t mm_mesh_datagram_write(mm_mesh_seal_t *seal, const mm_mesh_datagram_t *datagram, uint8_t *bytes);
/// Decode and verify. body points into bytes.
mm_mesh_verdict_t mm_mesh_datagram_read(mm_mesh_seal_t *seal, const uint8_t *bytes, size_t bytes_count,
                                        mm_mesh_datagram_t *datagram);

void mm_mesh_hello_write(const mm_mesh_hello_t *hello, uint8_t bytes[MM_MESH_HELLO_BYTES]);
/// False: too short.
bool mm_mesh_hello_read(const uint8_t *bytes, size_t bytes_count, mm_mesh_hello_t *hello);

/// Which counters of one boot have been seen: the highest and the 63 below it, so that a datagram which another one
/// overtook is still good, once.
typedef struct {
    uint64_t highest;
    uint64_t seen; ///< bit i: highest - i
} mm_mesh_window_t;

/// True if the counter is new; it is then taken.
bool mm_mesh_window_take(mm_mesh_window_t *self, uint64_t counter);

#endif
