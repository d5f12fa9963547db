// SPDX-License-Identifier: Apache-2.0
#ifndef MM_OWN_ORDERS_H
#define MM_OWN_ORDERS_H

#include "desk.h"

#include "meshmeter/command.h"

/// Orders that only HQ makes, each with one command for one whole node: the confirmation of an installation, the
/// admission of a device. They stand among the others and are shown with them. Everything here is inside of the
/// caller's transaction.

/// Who decided, when it was a rule of the site (auto_confirm, auto_join). No operator can have such a name.
#define MM_HQ_RULE "HQ's rule"

typedef struct {
    int64_t node_id;
    mm_mac_t mac; ///< of that node
    mm_command_kind_t kind;
    const char *shown; ///< arguments as JSON, without secrets
    const void *body;
    size_t body_bytes;
    const char *request;
    const char *operator_name;
    int64_t not_after_s; ///< 0 = never
} mmi_own_order_t;

/// The order's number, 0 on failure; *command_id.
int64_t mmi_own_order_add(sqlite3 *db, const mmi_own_order_t *order, int64_t now_us, int64_t *command_id);

typedef struct {
    int64_t id;         ///< 0: there is none
    int64_t kind;       ///< mm_command_kind_t
    int64_t command_id; ///< the first of its commands
    char target[72];
} mmi_known_order_t;

/// What an order of this request says, of whatever kind. False: failure.
bool mmi_own_order_find(sqlite3 *db, const char *request, mmi_known_order_t *order);
/// A command that is queued only is withdrawn. False: failure.
bool mmi_own_command_withdraw(sqlite3 *db, int64_t command_id, int64_t now_us);
/// Has HQ a key of this device? False: failure.
bool mmi_has_key(sqlite3 *db, mm_mac_t mac, bool *known);

#endif
