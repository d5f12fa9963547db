// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SWAPS_H
#define MM_SWAPS_H

#include "desk.h"
#include "store.h"

/// Credit whose meter is no longer on its channel. A node keeps credit by channel (control.h), people sell it to a
/// meter's id. When a report brings another id for a channel that has a balance or open purchases, HQ opens a swap and
/// tells of it (incident credit_meter_changed): as long as it is open, nothing is sold to that channel and no CREDIT is
/// sent to it. How it ends:
///
///   open -> transferred   an operator says that the credit belongs to the meter that is there now (the meter was
///                         replaced, or only its id was corrected): it stays, and what is kept in money for the meter
///                         before goes with it, unless that meter is still in use somewhere
///   open -> withdrawn     an operator says that it does not: open purchases are taken back (void), and prepayment is
///                         ended and begun anew, which clears the balance. What the customer of the meter before is
///                         owed for it is paid by hand; the amount stays here and in the audit log. Nothing is sold
///                       to the channel until the node has ended both: it would be cleared, too. Also if a record of
///                       the node says that this was done on the word of a database that was replaced by a copy
///   withdrawn -> refused  the node has not cleared it: since the swap was seen it has taken credit of which nothing
///                       was known here then. All is as it was, and the event credit_not_withdrawn tells of it
///   open -> returned      the meter before is on its channel again
///   open -> lost          the node has begun a new era: nothing is there any more (books, "lost with its era")
///
/// Deciding once more, after the database was replaced by a copy, does no harm. When a swap is opened it gets a count
/// of the meter's token series, the next one behind all that was sold or taken; the command that clears the balance
/// carries it, and the node takes it only if it has taken no such count nor a higher one (command_body.h). What is sold
/// later has higher counts.

#define MM_SWAPS_REQUEST_CHARS_MAX 64

typedef enum {
    MM_SWAPS_TRANSFER,
    MM_SWAPS_WITHDRAW,
} mm_swaps_decision_t;

typedef struct {
    int64_t id;
    char site[MM_SITE_CHARS_MAX + 1];
    mm_mac_t node;
    int64_t node_id;
    int64_t site_id;
    uint8_t channel;
    char before[MM_METER_ID_CHARS_MAX + 1];
    char after[MM_METER_ID_CHARS_MAX + 1]; ///< "" = no meter is there
    int64_t opened_us;
    int64_t balance_wh; ///< on the channel when the swap was seen; of a decided one when it was decided
    int64_t pending_wh; ///< of its open purchases, then
    char state[16];
    char decided_by[40];
    int64_t decided_us;
    char request[MM_SWAPS_REQUEST_CHARS_MAX + 1];
    uint32_t token_count; ///< what clears it has this count; 0 = decided before there was one
} mm_swap_t;

/// Newest first; those that are open before others. The visitor returns false to stop.
typedef bool (*mm_swaps_visit_fn)(void *context, const mm_swap_t *swap);
mm_desk_result_t mm_swaps_list(mm_desk_t *desk, bool open_only, int64_t limit, mm_swaps_visit_fn visit, void *context,
                               mm_hq_error_t *error);
/// NOT_FOUND. REFUSED: it is not open, no meter is on the channel, or the meter has taken credit since that would be
/// withdrawn, too. CONFLICT: the request id was used for another
/// decision; the same one again is *repeated.
mm_desk_result_t mm_swaps_decide(mm_desk_t *desk, int64_t id, mm_swaps_decision_t decision, const char *request,
                                 const char *operator_name, int64_t now_us, bool *repeated, mm_hq_error_t *error);

// --- inside of a transaction of others; false: the database failed

/// A report says that `after` is on the channel where `before` was; what it says of the channel's credit is stored.
/// before_next: where the journal was when `before` was reported last. Only what was cleared since can be its credit.
bool mmi_hq_swaps_take(mm_store_t *store, int64_t node_id, uint8_t channel, const char *before, const char *after,
                       mm_position_t before_next, int64_t received_us);
/// A record says that prepayment has ended with a count. If that was the decision of a database that this one has
/// replaced, the swap is withdrawn, by what the record says.
bool mmi_hq_swaps_take_end(sqlite3 *db, int64_t node_id, const mm_credit_record_t *credit, int64_t received_us);
/// An answer to a command. If the node has not cleared a balance, the swap is refused.
bool mmi_hq_swaps_take_result(sqlite3 *db, int64_t node_id, const mm_result_record_t *result, int64_t received_us);
/// The credit of a node is lost with its era.
bool mmi_hq_swaps_end_era(sqlite3 *db, int64_t node_id, int64_t now_us);
/// The swap that is open on a channel; *id 0 = none.
bool mmi_hq_swaps_find_open(sqlite3 *db, int64_t node_id, uint8_t channel, int64_t *id,
                            char before[MM_METER_ID_CHARS_MAX + 1]);
/// Whether the balance of a channel is still to be cleared, because a swap was withdrawn.
bool mmi_hq_swaps_is_clearing(sqlite3 *db, int64_t node_id, uint8_t channel, bool *clearing);

#endif
