// SPDX-License-Identifier: Apache-2.0
#ifndef MM_BATCH_H
#define MM_BATCH_H

#include "meshmeter/base.h"
#include "meshmeter/bytes.h"
#include "meshmeter/frame.h"
#include "meshmeter/limits.h"

/// MQTT messages between a gateway and HQ; bytes in docs/spec/wire.md.
///
/// Batch (`meter/<site>/info`): who sends it, when, which round, who did not answer, and the unchanged report frames of
/// up to MM_BATCH_NODES_MAX nodes.
/// Acknowledgement (`meter/<site>/ack`, retained): the watermarks of all nodes of the site.

typedef enum {
    MM_BATCH_LIVE = 1,    ///< snapshots of a round
    MM_BATCH_BACKLOG = 2, ///< older records only
} mm_batch_kind_t;

typedef struct {
    mm_mac_t root;
    uint32_t root_boot_no;
    uint32_t session; ///< of this boot
    uint32_t round_id;
    uint8_t kind; ///< mm_batch_kind_t
    mm_time_t time;
    uint8_t batch_index; ///< of batch_count in this round
    uint8_t batch_count;
    uint8_t missing_count; ///< nodes that were asked and did not answer; listed in the first batch only
    mm_mac_t missing[MM_NODES_MAX];
} mm_batch_header_t;

/// Collects frames straight into the message: `bytes` (MM_BATCH_BYTES_MAX) is the caller's, header space comes first.
typedef struct {
    uint8_t *bytes;
    size_t capacity_bytes;
    size_t used_bytes; ///< behind the reserved header space
    uint8_t frame_count;
} mm_batch_builder_t;

void mm_batch_begin(mm_batch_builder_t *self, void *bytes, size_t capacity_bytes);
/// MM_ERR_FULL: MM_BATCH_NODES_MAX frames or no room; nothing done.
mm_err_t mm_batch_add_frame(mm_batch_builder_t *self, const void *frame, size_t frame_bytes);
/// Write header and checksum. Returns where the message begins inside of `bytes`; *message_bytes is its size. May be
/// called again with another header. Asserts a valid header (counts in range).
const uint8_t *mm_batch_finish(mm_batch_builder_t *self, const mm_batch_header_t *header, size_t *message_bytes);

typedef struct {
    mm_batch_header_t header;
    uint8_t frame_count;
    mm_reader_t reader; ///< at the next frame
    uint8_t frames_left;
} mm_batch_reader_t;

/// Check magic, version, length, checksum, header. MM_ERR_CORRUPT, MM_ERR_VERSION.
mm_err_t mm_batch_open(const void *bytes, size_t bytes_count, mm_batch_reader_t *self);
/// Next frame's bytes (borrowed); false at the end. The frames themselves are not checked here: one bad frame must not
/// hide the others.
bool mm_batch_next(mm_batch_reader_t *self, const uint8_t **frame, size_t *frame_bytes);

typedef struct {
    mm_mac_t node;
    mm_position_t watermark;
} mm_ack_entry_t;

typedef struct {
    uint64_t database_id; ///< random number of HQ's database; another number means another HQ
    uint64_t revision;    ///< increases with every acknowledgement HQ publishes
    mm_time_t time;       ///< of HQ
    uint8_t entry_count;
    mm_ack_entry_t entries[MM_NODES_MAX];
} mm_ack_t;

/// Returns the size, or 0 if it does not fit.
size_t mm_ack_write(void *bytes, size_t capacity_bytes, const mm_ack_t *ack);
mm_err_t mm_ack_read(const void *bytes, size_t bytes_count, mm_ack_t *ack);

#endif
