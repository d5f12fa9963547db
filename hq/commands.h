// SPDX-License-Identifier: Apache-2.0
#ifndef MM_COMMANDS_H
#define MM_COMMANDS_H

#include "desk.h"
#include "store.h"

#include "meshmeter/command.h"
#include "meshmeter/control.h"

/// HQ's command queue. An order is what a person asked for (one target, one kind); it becomes one command for each node
/// or meter that the target names. A command stays in the database until its answer has come:
///
///   queued -> sent -> accepted -> done | refused | failed
///                     accepted -> trying -> done | failed
///   queued -> withdrawn
///   queued, sent -> expired     when its time is over by HQ's clock and the node has not answered; a later answer
///                               counts
///   sent, accepted -> queued    the node has taken a later counter and its journal, complete up to there, holds no
///                               answer: it was passed over, and is sealed anew. Or the node has another era and had
///                               not taken it.
///   sent, accepted -> expired   whether it was executed cannot be known any more: the node had taken it and lost its
///                               memory, or the answer may be among records that were lost. Never twice by itself.
///                               (Commands with a purchase are safe by their count: they are sealed anew after a gap,
///                               and end with the era that their token series belongs to.)
///   accepted, trying            asked again (the same command, which a node never carries out twice) when its answer
///   is
///                               MM_COMMAND_ASK_AFTER_S late, MM_COMMAND_ASKS_MAX times, MM_COMMAND_ASK_EVERY_S apart
///   trying -> expired           asked so often, and one more round has passed: outcome unknown. A later answer counts
///   accepted -> expired         the same, if the node was heard since and its journal, complete up to there, holds no
///                               answer; with a purchase it is sealed anew instead
///
/// Counters are given when a command is first put into a batch, in the order of priority, then age. No command of a
/// node is given a counter before the node's era is known (its first report). Numbers of commands come from the clock,
/// so that a database that was restored from a copy does not give one again.

/// A round and its way to HQ, as HQ counts them; a site whose rounds are longer is asked less often than it could be.
#define MM_COMMAND_ASK_EVERY_S 480
/// The last answer of a trial is due.
#define MM_COMMAND_ASK_AFTER_S (MM_CONTROL_TRIAL_S + MM_COMMAND_ASK_EVERY_S)
/// The node answers a repeated command not before MM_CONTROL_REPEAT_S: several of these come later than that.
#define MM_COMMAND_ASKS_MAX 6

typedef enum {
    MM_COMMAND_STATE_QUEUED = 0,
    MM_COMMAND_STATE_SENT = 1,     ///< in a batch that was published
    MM_COMMAND_STATE_ACCEPTED = 2, ///< the node says that it has taken the counter; its answer is on the way
    MM_COMMAND_STATE_TRYING = 3,   ///< staged; a second answer follows
    MM_COMMAND_STATE_DONE = 4,     ///< this and the following are ends; the schema has an index of those below
    MM_COMMAND_STATE_REFUSED = 5,
    MM_COMMAND_STATE_EXPIRED = 6,
    MM_COMMAND_STATE_FAILED = 7,
    MM_COMMAND_STATE_WITHDRAWN = 8,
    MM_COMMAND_STATE_COUNT,
} mm_command_state_t;

const char *mm_command_state_name(int state);

typedef struct {
    const char *request; ///< the caller's id, 1 … 64 characters; the same one again gives the first one's order
    const char *target;  ///< "METERID" or "MAC/CHANNEL" (1 … 8), "node:MAC", "gateway:SITE" (its root), "site:SITE",
                         ///< "all"; a kind for meters means every configured meter of a node, gateway, site or all
    const char *kind;    ///< a name of mm_command_kind_name
    const char *const *arguments; ///< "key=value", NULL at the end; keys by kind in docs/spec/commands.md
    int priority;                 ///< 0 … 9, higher first; 5 = ordinary
    int64_t not_after_s;          ///< 0 = never
    const char *operator_name;
} mm_order_request_t;

/// Make the order and its commands. *order_id. REFUSED: unknown kind, key or value, a kind that is not for this target,
/// a node without a key in HQ, an expiry that has passed. credit, void and adjust are refused here: vending.h makes
/// them. CONFLICT: the request id was used for another order.
mm_desk_result_t mm_order(mm_desk_t *desk, const mm_order_request_t *request, int64_t now_us, int64_t *order_id,
                          mm_hq_error_t *error);
/// For vending.c, inside of its transaction: one command for one meter. Returns its id, 0 on failure.
int64_t mmi_hq_queue_command(sqlite3 *db, int64_t node_id, uint8_t channel, mm_command_kind_t kind, const void *body,
                             size_t body_bytes, int priority, int64_t not_after_s, int64_t order_id, int64_t now_us);
/// The order that has this request id; 0 = none.
int64_t mm_order_of_request(mm_desk_t *desk, const char *request);
/// Take back what was not sent yet; what was sent cannot be. *withdrawn = how many. NOT_FOUND: no such order.
mm_desk_result_t mm_order_withdraw(mm_desk_t *desk, int64_t order_id, const char *operator_name, int64_t now_us,
                                   int *withdrawn, mm_hq_error_t *error);

/// Inside of a transaction, after a command of this order has ended: passwords that nobody needs any more.
bool mmi_hq_forget_secrets(sqlite3 *db, int64_t order_id);

// --- the store's side: called inside of the store's transaction, idempotent

/// A RESULT or CREDIT record of a node was stored for the first time.
bool mmi_hq_commands_take_record(mm_store_t *store, int64_t node_id, mm_position_t position, const mm_record_t *record,
                                 int64_t received_us);
/// The control section of a newest report. journal_next: the position that the node's next record had then. before:
/// what the database has of the report before it, so that only changes are written; NULL = not known.
bool mmi_hq_commands_take_control(mm_store_t *store, int64_t node_id, const mm_control_report_t *control,
                                  const mm_control_report_t *before, mm_position_t journal_next, int64_t received_us);

// --- dispatch: the main loop's side

/// Make the batch of a site anew: expire, requeue, seal, put together what fits 2,048 bytes (others follow when these
/// are answered). In a transaction of its own. *changed: the message differs from the one before. An empty batch is a
/// message of 0 bytes (the blank that clears). bytes needs MM_DOWNLINK_BYTES_MAX.
mm_desk_result_t mm_dispatch_site(mm_desk_t *desk, const char *site, int64_t now_us, uint8_t *bytes,
                                  size_t *bytes_count, bool *changed, mm_hq_error_t *error);
/// The same, but a message that is not blank gets a new revision even if it is the same: published again, it stands
/// before whatever somebody else has put in its place. *changed is then true.
mm_desk_result_t mm_dispatch_site_anew(mm_desk_t *desk, const char *site, int64_t now_us, uint8_t *bytes,
                                       size_t *bytes_count, bool *changed, mm_hq_error_t *error);
/// The message of every site as it was made last, 0 bytes for the blank one: for a broker that has lost it.
mm_desk_result_t mm_dispatch_messages(mm_desk_t *desk,
                                      bool (*visit)(void *context, const char *site, const void *bytes,
                                                    size_t bytes_count),
                                      void *context, mm_hq_error_t *error);
/// Names of the sites that have commands without an end; the visitor returns false to stop. It must not call the desk.
mm_desk_result_t mm_dispatch_sites(mm_desk_t *desk, bool (*visit)(void *context, const char *site), void *context,
                                   mm_hq_error_t *error);

#endif
