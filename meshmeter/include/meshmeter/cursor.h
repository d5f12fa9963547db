// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CURSOR_H
#define MM_CURSOR_H

#include "meshmeter/base.h"
#include "meshmeter/batch.h"
#include "meshmeter/counters.h"
#include "meshmeter/limits.h"

/// The root's table of nodes and, for each, how far HQ and the broker are with its journal. All of it may be lost at
/// any moment: a new root starts with an empty table, HQ's retained acknowledgement fills it, and what is
/// sent twice HQ stores once.
///
/// For each node: watermark (committed at HQ), confirmed (PUBACK, not yet committed), next = where the next ask
/// continues. What was confirmed but not committed is held back for `hold_us`, counted from the first confirmation
/// behind the watermark (or from the watermark's last move), so that later confirmations cannot put off the resend of
/// one lost message for ever. Each time that the hold passes without the watermark moving it doubles, up to
/// hold_max_us: an HQ that is down for a week must not fill the broker. An acknowledgement that is news (another
/// revision) tells that HQ is at work again: what is held then waits for hold_us at most, whether its own watermark
/// moved or not.

typedef struct {
    mm_mac_t mac;
    bool used;
    bool attached; ///< in the mesh at this moment, as far as known
    // wait: a node that left comes back | until forget_us | then the root forgets its cursor; the node has its records
    mm_us_t seen_at;
    bool has_watermark;
    mm_position_t watermark;
    mm_position_t confirmed; ///< >= watermark, epoch 0 = nothing confirmed
    // wait: HQ commits what the broker confirmed | until hold_us, doubling up to hold_max_us | then it is collected and
    // sent again
    mm_us_t resend_at; ///< when `confirmed` falls back to `watermark`; MM_US_NEVER = nothing is held
    uint8_t hold_doublings;
    mm_position_t reported_oldest; ///< the node's oldest record, from its last report
    mm_position_t reported_next;   ///< the node's next position, from its last report; epoch 0 = unknown
} mm_cursor_t;

typedef struct {
    mm_cursor_t cursors[MM_NODES_MAX];
    uint64_t ack_database_id;
    uint64_t ack_revision;
    mm_us_t hold_us;
    mm_us_t hold_max_us;
    mm_us_t forget_us; ///< a detached node is dropped this long after it was last seen
    mm_counters_t *counters;
} mm_cursor_table_t;

void mm_cursor_table_init(mm_cursor_table_t *self, mm_us_t hold_us, mm_us_t hold_max_us, mm_us_t forget_us,
                          mm_counters_t *counters);
/// Find or add. NULL (counted) if the table is full of others; the longest detached node gives way first.
mm_cursor_t *mm_cursor_touch(mm_cursor_table_t *self, mm_mac_t mac, bool attached, mm_us_t now);
mm_cursor_t *mm_cursor_find(mm_cursor_table_t *self, mm_mac_t mac);
void mm_cursor_detach(mm_cursor_table_t *self, mm_mac_t mac);
/// Drop what is forgotten; fall back to the watermark where the hold is over.
void mm_cursor_poll(mm_cursor_table_t *self, mm_us_t now);
/// HQ's acknowledgement. Nodes not in the table are ignored. A watermark lower than before (HQ restored) moves
/// everything back to it (counted). An acknowledgement of the same database with an older revision is ignored:
/// MM_ERR_STATE. Another database (another HQ): what the broker confirmed to the last one counts no more, and nodes
/// without an entry have no watermark.
mm_err_t mm_cursor_apply_ack(mm_cursor_table_t *self, const mm_ack_t *ack, mm_us_t now);
/// A batch with this node's records behind `after` up to `through` was confirmed by the broker. It moves the cursor
/// only if it continues where the cursor stands: when the hold has ended since the batch was collected, the records
/// before it are due again, and must not be passed over. No effect on a node that was forgotten.
void mm_cursor_confirm(mm_cursor_table_t *self, mm_mac_t mac, mm_position_t after, mm_position_t through, mm_us_t now);
/// A report came in: the node's journal continues at `next`, its oldest record is `oldest`. No effect on an unknown
/// node.
void mm_cursor_note_report(mm_cursor_table_t *self, mm_mac_t mac, mm_position_t oldest, mm_position_t next,
                           mm_us_t now);
/// Where to continue with this node: behind max(watermark, confirmed). Epoch 0: unknown, the node uses its own.
mm_position_t mm_cursor_after(const mm_cursor_t *self);
/// Attached nodes in MAC order from `*rotation` on, at most `capacity`; *rotation moves on so that a mesh larger than a
/// round is covered in turns.
uint8_t mm_cursor_select_attached(const mm_cursor_table_t *self, mm_mac_t *nodes, uint8_t capacity, uint8_t *rotation);
/// Attached nodes with records behind mm_cursor_after, largest backlog first, at most capacity. If that is unknown, all
/// records that the node reported count.
uint8_t mm_cursor_select_backlog(const mm_cursor_table_t *self, mm_mac_t *nodes, uint8_t capacity);

#endif
