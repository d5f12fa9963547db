// SPDX-License-Identifier: Apache-2.0
#ifndef MM_JOINS_H
#define MM_JOINS_H

#include "desk.h"
#include "own_orders.h"
#include "store.h"

#include "meshmeter/record.h"

/// Devices that ask for the network of a site (docs/spec/joining.md), and HQ's word on it. An ask comes as a journal
/// record of the site's root; the answer is the command ADMIT for that root, which only HQ makes.
///
///   unproved                 HQ has no key of the device, or the proof is wrong: anybody in radio range can make these
///   unproved -> waiting      its key was imported, and the proof is right
///   waiting  -> admitted     somebody (or the rule of the site) admitted it, and the root's answer has come. Until
///   then
///                            it is waiting, with the command; if that ends otherwise, it can be admitted again
///   waiting  -> refused      with a reason; it may be admitted after all, as long as nothing newer has come
///   waiting  -> superseded   a newer ask of this device at this site has come
///
/// Only what is proved supersedes. Newer is, at one root, the later position of its journal; of two roots, the later
/// one by synchronised clocks on both sides, otherwise what came later. A nonce that was heard before another one of
/// this device is an old ask that somebody repeats, and never newer.
///
/// One asking has one nonce, and may come again by another root, or by one that has restarted: what was decided on it
/// holds for those, too, and HQ gives its word again without being asked.
///
/// A conflict: another site has admitted the device, or hears it, or it asks there, and this site has not seen it
/// since. People may admit it in spite of that (it has moved); the rule never does.
///
/// The word of the rule is repeated while the rule holds and the ask is not older than MM_JOINS_RENEW_S; that of a
/// person ends with its command.

#define MM_JOINS_ADMIT_S 1800
#define MM_JOINS_RENEW_S 86400
#define MM_JOINS_REASON_CHARS_MAX 200
#define MM_JOINS_REQUEST_CHARS_MAX 64
/// Rows without a proof that are kept for a site; the oldest make room, and are counted.
#define MM_JOINS_UNPROVED_MAX 50
/// Rows with a proof that are kept for a device at a site, beside the one that waits.
#define MM_JOINS_KEPT_PER_DEVICE 8

typedef enum {
    MM_JOINS_UNPROVED = 0,
    MM_JOINS_WAITING = 1,
    MM_JOINS_ADMITTED = 2,
    MM_JOINS_REFUSED = 3,
    MM_JOINS_SUPERSEDED = 4,
    MM_JOINS_STATE_COUNT,
} mm_joins_state_t;

typedef enum {
    MM_JOINS_EVENT_PROVED = 0,    ///< the device's key is here, and fits
    MM_JOINS_EVENT_ADMIT = 1,     ///< ADMIT was queued
    MM_JOINS_EVENT_DONE = 2,      ///< the root has answered it with DONE
    MM_JOINS_EVENT_REFUSE = 3,    ///< somebody refused
    MM_JOINS_EVENT_OVERTAKEN = 4, ///< a newer one is here
    MM_JOINS_EVENT_COUNT,
} mm_joins_event_t;

/// The whole state machine. False: this event means nothing in this state, and *next is the same state.
bool mm_joins_next(mm_joins_state_t state, mm_joins_event_t event, mm_joins_state_t *next);
const char *mm_joins_state_name(mm_joins_state_t state);
/// MM_JOINS_STATE_COUNT: no state has this name.
mm_joins_state_t mm_joins_state_of(const char *name);

/// Queue ADMIT for the root that was asked. NOT_FOUND. REFUSED: the proof is missing or does not fit the device's key,
/// or HQ has no key of the root. CONFLICT: it is superseded, admitted, or on its way already; or the request id was
/// used for something else. *repeated: this request had been taken before.
mm_desk_result_t mm_joins_admit(mm_desk_t *desk, int64_t id, const char *request, const char *operator_name,
                                int64_t now_us, bool *repeated, mm_hq_error_t *error);
/// CONFLICT, too: the admission has been sent already. One that was only queued is taken back.
mm_desk_result_t mm_joins_refuse(mm_desk_t *desk, int64_t id, const char *request, const char *reason,
                                 const char *operator_name, int64_t now_us, bool *repeated, mm_hq_error_t *error);

typedef enum {
    MM_JOINS_NO_CONFLICT = 0,
    MM_JOINS_ASKS_THERE = 1,
    MM_JOINS_IS_THERE = 2, ///< admitted there, or heard there
} mm_joins_conflict_t;

// --- inside of a transaction or not

/// Another site that has to do with this device, the latest one; *site is "" if there is no conflict.
bool mmi_hq_joins_conflict(sqlite3 *db, int64_t id, mm_joins_conflict_t *conflict, char site[MM_SITE_CHARS_MAX + 1]);

// --- inside of a transaction. False: failure

/// An ask, as the database has it.
typedef struct {
    int64_t id;
    int64_t site_id;
    int64_t node_id; ///< of the root
    mm_mac_t root;
    mm_join_record_t record; ///< without `via` and `at`
    mm_joins_state_t state;
    int64_t command;
    int64_t command_state; ///< of ADMIT; -1 = there is none
    char decided_by[40];
    char used_request[MM_JOINS_REQUEST_CHARS_MAX + 1];
    char reason[MM_JOINS_REASON_CHARS_MAX + 1];
    bool is_newest; ///< of what is proved and not superseded, of this device at this site
} mmi_joins_ask_t;

/// ask->id 0: there is none of this number.
bool mmi_hq_joins_load(sqlite3 *db, int64_t id, mmi_joins_ask_t *ask);

typedef enum {
    MMI_JOINS_ORDERED,
    MMI_JOINS_NO_ROOT_KEY,
    MMI_JOINS_NOT_PROVED, ///< the device's key is gone, or is another one now
    MMI_JOINS_FAILURE,
} mmi_joins_order_t;

/// Order and command of an admission.
mmi_joins_order_t mmi_hq_joins_order(sqlite3 *db, const mmi_joins_ask_t *ask, const char *request,
                                     const char *operator_name, int64_t now_us);
/// HQ has got the key of this device: what was unproved is judged again, and the rules see what waits for it.
bool mmi_hq_joins_key_added(sqlite3 *db, mm_mac_t mac, int64_t now_us);
/// The rule's word of this site again, where its command has expired.
bool mmi_hq_joins_renew(sqlite3 *db, int64_t site_id, int64_t now_us);

// --- the store's side: called inside of the store's transaction, idempotent

/// A JOIN record of a root was stored for the first time.
bool mmi_hq_joins_take(mm_store_t *store, int64_t node_id, mm_position_t position, const mm_join_record_t *record,
                       int64_t received_us);
/// A RESULT record was stored for the first time.
bool mmi_hq_joins_take_result(mm_store_t *store, int64_t node_id, const mm_result_record_t *result,
                              int64_t received_us);

#endif
