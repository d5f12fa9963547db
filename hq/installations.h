// SPDX-License-Identifier: Apache-2.0
#ifndef MM_INSTALLATIONS_H
#define MM_INSTALLATIONS_H

#include "desk.h"
#include "own_orders.h"
#include "store.h"

#include "meshmeter/record.h"

/// What installers have set up, and HQ's word on it. An installation comes as a journal record; the answer is a command
/// with the revision that it confirms, which only HQ makes.
///
///   waiting -> confirmed     somebody (or the rule of the site) confirmed, and the node's answer has come. Until then
///   it
///                            is waiting, with the command; if that ends otherwise, it can be confirmed again
///   waiting -> refused       with a reason; whoever refused may confirm after all, as long as nothing newer has come
///   waiting -> superseded    a newer installation of this node has come
///
/// Newer is: a later epoch of the journal; in one epoch a higher revision (or a lower one that is later by synchronised
/// clocks on both sides: the node lost its configuration and counts anew); of one revision the later record (HQ asked
/// for it again).
///
/// A conflict is a meter id that another device has, by its reports or by an installation that waits, or that stands
/// twice in one installation. People may confirm in spite of it (a device that was replaced); the rule never does.

/// Who confirmed, when it was the rule (site setting auto_confirm). No operator can have such a name.
#define MM_INSTALLATION_RULE MM_HQ_RULE
#define MM_INSTALLATION_REASON_CHARS_MAX 200
#define MM_INSTALLATION_REQUEST_CHARS_MAX 64

/// Queue the confirmation. NOT_FOUND. REFUSED: no key of this node. CONFLICT: it is superseded, confirmed, or on its
/// way already; or the request id was used for something else. *repeated: this request had been taken before.
mm_desk_result_t mm_installation_confirm(mm_desk_t *desk, int64_t id, const char *request, const char *operator_name,
                                         int64_t now_us, bool *repeated, mm_hq_error_t *error);
/// CONFLICT, too: its confirmation has been sent already. One that was only queued is taken back.
mm_desk_result_t mm_installation_refuse(mm_desk_t *desk, int64_t id, const char *request, const char *reason,
                                        const char *operator_name, int64_t now_us, bool *repeated,
                                        mm_hq_error_t *error);
/// Ask a node for its installation again; its supply goes on, and it waits until that is confirmed. *order_id.
mm_desk_result_t mm_installation_ask_again(mm_desk_t *desk, mm_mac_t mac, const char *request,
                                           const char *operator_name, int64_t now_us, int64_t *order_id, bool *repeated,
                                           mm_hq_error_t *error);

/// Inside of a transaction or not: the device that has this meter id besides the installation's own; zero MAC = none.
bool mmi_hq_installation_conflict(sqlite3 *db, int64_t installation_id, int channel, mm_mac_t *mac);
/// Inside of a transaction: order and command of a confirmation. False: failure.
bool mmi_hq_installation_order(sqlite3 *db, int64_t installation_id, const char *request, const char *operator_name,
                               int64_t now_us);

// --- the store's side: called inside of the store's transaction, idempotent

/// An INSTALLATION record of a node was stored for the first time; payload is the record's bytes.
bool mmi_hq_installation_take(mm_store_t *store, int64_t node_id, mm_position_t position,
                              const mm_installation_record_t *record, const void *payload, size_t payload_bytes,
                              int64_t received_us);
/// A RESULT record was stored for the first time.
bool mmi_hq_installation_take_result(mm_store_t *store, int64_t node_id, const mm_result_record_t *result,
                                     int64_t received_us);

#endif
