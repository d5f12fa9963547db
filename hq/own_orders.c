// SPDX-License-Identifier: Apache-2.0
#include "own_orders.h"

#include "commands.h"
#include "sql.h"
#include "store_query.h"

#include <stdio.h>
#include <string.h>

#define PRIORITY 5

int64_t mmi_own_order_add(sqlite3 *db, const mmi_own_order_t *order, int64_t now_us, int64_t *command_id) {
    char target[sizeof "node:" + MM_MAC_TEXT_BYTES] = "node:";
    mm_mac_print(order->mac, target + strlen(target));
    mmi_sql_t add = mmi_sql_begin(db, "INSERT INTO command_order (request, operator, created_us, target, kind,"
                                      " arguments, body, priority, not_after_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    mmi_sql_put_text(&add, order->request);
    mmi_sql_put_text(&add, order->operator_name);
    mmi_sql_put_integer(&add, now_us);
    mmi_sql_put_text(&add, target);
    mmi_sql_put_integer(&add, order->kind);
    mmi_sql_put_text(&add, order->shown);
    mmi_sql_put_blob(&add, order->body, order->body_bytes);
    mmi_sql_put_integer(&add, PRIORITY);
    mmi_sql_put_integer(&add, order->not_after_s);
    if (!mmi_sql_run(&add)) {
        return 0;
    }
    int64_t order_id = sqlite3_last_insert_rowid(db);
    *command_id = mmi_hq_queue_command(db, order->node_id, MM_COMMAND_WHOLE_NODE, order->kind, order->body,
                                       order->body_bytes, PRIORITY, order->not_after_s, order_id, now_us);
    return *command_id != 0 ? order_id : 0;
}

bool mmi_own_order_find(sqlite3 *db, const char *request, mmi_known_order_t *order) {
    mmi_sql_t query = mmi_sql_begin(db, "SELECT id, kind, target, ifnull((SELECT min(id) FROM command WHERE order_id ="
                                        " command_order.id), 0) FROM command_order WHERE request = ?");
    mmi_sql_put_text(&query, request);
    *order = (mmi_known_order_t){.id = 0};
    if (mmi_sql_row(&query)) {
        order->id = mmi_sql_integer(&query, 0);
        order->kind = mmi_sql_integer(&query, 1);
        snprintf(order->target, sizeof order->target, "%s", mmi_sql_text(&query, 2));
        order->command_id = mmi_sql_integer(&query, 3);
    }
    return mmi_sql_end(&query);
}

bool mmi_own_command_withdraw(sqlite3 *db, int64_t command_id, int64_t now_us) {
    mmi_sql_t take = mmi_sql_begin(db, "UPDATE command SET state = ?, ended_us = ? WHERE id = ? AND state = ?");
    mmi_sql_put_integer(&take, MM_COMMAND_STATE_WITHDRAWN);
    mmi_sql_put_integer(&take, now_us);
    mmi_sql_put_integer(&take, command_id);
    mmi_sql_put_integer(&take, MM_COMMAND_STATE_QUEUED);
    return mmi_sql_run(&take);
}

bool mmi_has_key(sqlite3 *db, mm_mac_t mac, bool *known) {
    int64_t found = 0;
    mmi_sql_t query = mmi_sql_begin(db, "SELECT count(*) FROM device_key WHERE mac = ?");
    mmi_sql_put_mac(&query, &mac);
    bool good = mmi_sql_value(&query, 0, &found);
    *known = found != 0;
    return good;
}
