// SPDX-License-Identifier: Apache-2.0
#include "installations.h"

#include "commands.h"
#include "operators.h"
#include "own_orders.h"
#include "sql.h"
#include "store_query.h"
#include "text_check.h"

#include <stdio.h>
#include <string.h>

/// One installation on its way to a decision.
typedef struct {
    mm_desk_t *desk;
    sqlite3 *db;
    int64_t id;
    const char *request;
    const char *operator_name;
    int64_t now_us;
    mm_hq_error_t *error;
    // As the database has it.
    int64_t node_id;
    mm_mac_t mac;
    int64_t revision;
    char state[16];
    int64_t command;
    int64_t command_state; ///< of the confirmation; -1 = there is none
    char decided_by[MM_OPERATOR_NAME_CHARS_MAX + 1];
    char used_request[MM_INSTALLATION_REQUEST_CHARS_MAX + 1];
    char reason[MM_INSTALLATION_REASON_CHARS_MAX + 1];
    bool is_newest;
} deciding_t;

static mm_desk_result_t refuse(const deciding_t *self, mm_desk_result_t result, const char *text) {
    mm_hq_error_set(self->error, "installation %lld: %s", (long long)self->id, text);
    return result;
}

// --- the order

bool mmi_hq_installation_order(sqlite3 *db, int64_t installation_id, const char *request, const char *operator_name,
                               int64_t now_us) {
    char shown[64];
    uint8_t body[4];
    mm_writer_t writer = mm_writer(body, sizeof body);
    int64_t node_id = 0;
    uint32_t revision = 0;
    mm_mac_t mac = {{0}};
    int64_t command_id = 0;
    mmi_sql_t find = mmi_sql_begin(db, "SELECT node, revision, node.mac FROM installation JOIN node ON node.id = node"
                                       " WHERE installation.id = ?");
    mmi_sql_put_integer(&find, installation_id);
    if (mmi_sql_row(&find)) {
        node_id = mmi_sql_integer(&find, 0);
        revision = (uint32_t)mmi_sql_integer(&find, 1);
        mac = mmi_sql_mac(&find, 2);
    }
    if (!mmi_sql_end(&find) || node_id == 0) {
        return false;
    }
    mm_put_u32(&writer, revision);
    snprintf(shown, sizeof shown, "{\"revision\":%u}", revision);
    const mmi_own_order_t order = {.node_id = node_id,
                                   .mac = mac,
                                   .kind = MM_COMMAND_CONFIRM,
                                   .shown = shown,
                                   .body = body,
                                   .body_bytes = sizeof body,
                                   .request = request,
                                   .operator_name = operator_name};
    int64_t order_id = mmi_own_order_add(db, &order, now_us, &command_id);
    if (order_id == 0) {
        return false;
    }
    mmi_sql_t write = mmi_sql_begin(db, "UPDATE installation SET state = 'waiting', command = ?, decided_by = ?,"
                                        " decided_us = ?, reason = '', request = '' WHERE id = ?");
    mmi_sql_put_integer(&write, command_id);
    mmi_sql_put_text(&write, operator_name);
    mmi_sql_put_integer(&write, now_us);
    mmi_sql_put_integer(&write, installation_id);
    char node[MM_MAC_TEXT_BYTES];
    char detail[128];
    mm_mac_print(mac, node);
    snprintf(detail, sizeof detail, "installation %lld: node %s, revision %u, order %lld", (long long)installation_id,
             node, revision, (long long)order_id);
    return mmi_sql_run(&write) && mmi_hq_audit(db, operator_name, "confirm", detail, now_us);
}

// --- conflicts

bool mmi_hq_installation_conflict(sqlite3 *db, int64_t installation_id, int channel, mm_mac_t *mac) {
    *mac = (mm_mac_t){{0}};
    mmi_sql_t query = mmi_sql_begin(
        db, "WITH own (id, mac) AS (SELECT installation_channel.id, node.mac FROM installation JOIN node ON node.id ="
            " installation.node JOIN installation_channel ON installation_channel.installation = installation.id"
            " WHERE installation.id = ?1 AND channel = ?2 AND installation_channel.id <> '')"
            " SELECT node.mac FROM own JOIN meter ON meter.id = own.id JOIN node ON node.id = meter.node"
            " WHERE node.mac <> own.mac"
            " UNION ALL SELECT node.mac FROM own JOIN installation_channel AS other ON other.id = own.id"
            " JOIN installation ON installation.id = other.installation JOIN node ON node.id = installation.node"
            " WHERE node.mac <> own.mac AND installation.state = 'waiting'"
            " UNION ALL SELECT own.mac FROM own JOIN installation_channel AS other ON other.id = own.id"
            " WHERE other.installation = ?1 AND other.channel <> ?2 LIMIT 1");
    mmi_sql_put_integer(&query, installation_id);
    mmi_sql_put_integer(&query, channel);
    if (mmi_sql_row(&query)) {
        *mac = mmi_sql_mac(&query, 0);
    }
    return mmi_sql_end(&query);
}

// --- decisions

static mm_desk_result_t load(deciding_t *self) {
    mmi_sql_t query = mmi_sql_begin(
        self->db, "SELECT installation.node, node.mac, revision, installation.state, installation.command,"
                  " ifnull(command.state, -1), decided_by, request, reason, installation.id = (SELECT max(id) FROM"
                  " installation AS other WHERE other.node = installation.node AND other.state <> 'superseded')"
                  " FROM installation JOIN node ON node.id = installation.node LEFT JOIN command ON command.id ="
                  " installation.command WHERE installation.id = ?");
    mmi_sql_put_integer(&query, self->id);
    bool found = mmi_sql_row(&query);
    if (found) {
        self->node_id = mmi_sql_integer(&query, 0);
        self->mac = mmi_sql_mac(&query, 1);
        self->revision = mmi_sql_integer(&query, 2);
        snprintf(self->state, sizeof self->state, "%s", mmi_sql_text(&query, 3));
        self->command = mmi_sql_integer(&query, 4);
        self->command_state = mmi_sql_integer(&query, 5);
        snprintf(self->decided_by, sizeof self->decided_by, "%s", mmi_sql_text(&query, 6));
        snprintf(self->used_request, sizeof self->used_request, "%s", mmi_sql_text(&query, 7));
        snprintf(self->reason, sizeof self->reason, "%s", mmi_sql_text(&query, 8));
        self->is_newest = mmi_sql_integer(&query, 9) != 0;
    }
    if (!mmi_sql_end(&query)) {
        return mmi_desk_fail(self->desk, self->error);
    }
    return found ? MM_DESK_OK : refuse(self, MM_DESK_NOT_FOUND, "there is none of this number");
}

static bool is_on_its_way(const deciding_t *self) {
    return self->command_state >= 0 && self->command_state < MM_COMMAND_STATE_DONE;
}

// The request id was used for an order or a refusal. OK: it is new, or *repeated.
static mm_desk_result_t look_up_request(deciding_t *self, bool confirming, bool *repeated) {
    mmi_known_order_t order;
    int64_t refused_id;
    mmi_sql_t query = mmi_sql_begin(self->db, "SELECT id FROM installation WHERE request = ?");
    mmi_sql_put_text(&query, self->request);
    if (!mmi_sql_value(&query, 0, &refused_id) || !mmi_own_order_find(self->db, self->request, &order)) {
        return mmi_desk_fail(self->desk, self->error);
    }
    if (order.id == 0 && refused_id == 0) {
        return MM_DESK_OK;
    }
    *repeated = confirming ? order.id != 0 && order.kind == MM_COMMAND_CONFIRM && order.command_id == self->command
                           : refused_id == self->id && order.id == 0;
    return *repeated ? MM_DESK_OK : refuse(self, MM_DESK_CONFLICT, "the request id was used for something else");
}

static mm_desk_result_t confirm(deciding_t *self, bool *repeated) {
    bool known = false;
    mm_desk_result_t result = look_up_request(self, true, repeated);
    if (result != MM_DESK_OK || *repeated) {
        return result;
    }
    if (strcmp(self->state, "confirmed") == 0) {
        return refuse(self, MM_DESK_CONFLICT, "is confirmed already");
    }
    if (strcmp(self->state, "superseded") == 0 || !self->is_newest) {
        return refuse(self, MM_DESK_CONFLICT, "a newer installation of this node has come; look at that one");
    }
    if (strcmp(self->state, "waiting") == 0 && is_on_its_way(self)) {
        return refuse(self, MM_DESK_CONFLICT, "its confirmation is on its way to the node already");
    }
    if (!mmi_has_key(self->db, self->mac, &known)) {
        return mmi_desk_fail(self->desk, self->error);
    }
    if (!known) {
        return refuse(self, MM_DESK_REFUSED,
                      "HQ has no key of this node, so it would not obey; `meshmeter keys import`");
    }
    return mmi_hq_installation_order(self->db, self->id, self->request, self->operator_name, self->now_us)
               ? MM_DESK_OK
               : mmi_desk_fail(self->desk, self->error);
}

// What is queued only is taken back; what was sent may be with the node.
static mm_desk_result_t take_back(deciding_t *self) {
    if (!is_on_its_way(self)) {
        return MM_DESK_OK;
    }
    if (self->command_state != MM_COMMAND_STATE_QUEUED) {
        return refuse(self, MM_DESK_CONFLICT, "its confirmation was sent to the node and cannot be taken back");
    }
    return mmi_own_command_withdraw(self->db, self->command, self->now_us) ? MM_DESK_OK
                                                                           : mmi_desk_fail(self->desk, self->error);
}

static mm_desk_result_t write_refusal(deciding_t *self, const char *reason) {
    char node[MM_MAC_TEXT_BYTES];
    char detail[128 + MM_INSTALLATION_REASON_CHARS_MAX];
    mmi_sql_t write = mmi_sql_begin(self->db, "UPDATE installation SET state = 'refused', decided_by = ?, decided_us ="
                                              " ?, reason = ?, request = ? WHERE id = ?");
    mmi_sql_put_text(&write, self->operator_name);
    mmi_sql_put_integer(&write, self->now_us);
    mmi_sql_put_text(&write, reason);
    mmi_sql_put_text(&write, self->request);
    mmi_sql_put_integer(&write, self->id);
    mm_mac_print(self->mac, node);
    snprintf(detail, sizeof detail, "installation %lld: node %s, revision %lld: %s", (long long)self->id, node,
             (long long)self->revision, reason);
    bool good = mmi_sql_run(&write) && mmi_hq_audit(self->db, self->operator_name, "refuse", detail, self->now_us);
    return good ? MM_DESK_OK : mmi_desk_fail(self->desk, self->error);
}

static mm_desk_result_t refuse_it(deciding_t *self, const char *reason, bool *repeated) {
    mm_desk_result_t result = look_up_request(self, false, repeated);
    if (result == MM_DESK_OK && *repeated && strcmp(self->reason, reason) != 0) {
        *repeated = false;
        return refuse(self, MM_DESK_CONFLICT, "the request id was used with another reason");
    }
    if (result != MM_DESK_OK || *repeated) {
        return result;
    }
    if (strcmp(self->state, "waiting") != 0) {
        char text[64];
        snprintf(text, sizeof text, "is %s already", self->state);
        return refuse(self, MM_DESK_CONFLICT, text);
    }
    result = take_back(self);
    return result == MM_DESK_OK ? write_refusal(self, reason) : result;
}

static bool check_request(const char *request, mm_hq_error_t *error) {
    if (!mmi_hq_is_request(request, MM_INSTALLATION_REQUEST_CHARS_MAX)) {
        mm_hq_error_set(error, "request: 1 to %d printable characters without blanks",
                        MM_INSTALLATION_REQUEST_CHARS_MAX);
        return false;
    }
    return true;
}

mm_desk_result_t mm_installation_confirm(mm_desk_t *desk, int64_t id, const char *request, const char *operator_name,
                                         int64_t now_us, bool *repeated, mm_hq_error_t *error) {
    deciding_t self = {.desk = desk, .db = mmi_desk_db(desk), .id = id, .request = request, .now_us = now_us};
    self.operator_name = operator_name;
    self.error = error;
    *repeated = false;
    if (!check_request(request, error)) {
        return MM_DESK_REFUSED;
    }
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result == MM_DESK_OK) {
        result = load(&self);
        result = result == MM_DESK_OK ? confirm(&self, repeated) : result;
        result = result == MM_DESK_OK ? mmi_desk_commit(desk, error) : mmi_desk_rollback(desk, result);
    }
    return result;
}

mm_desk_result_t mm_installation_refuse(mm_desk_t *desk, int64_t id, const char *request, const char *reason,
                                        const char *operator_name, int64_t now_us, bool *repeated,
                                        mm_hq_error_t *error) {
    deciding_t self = {.desk = desk, .db = mmi_desk_db(desk), .id = id, .request = request, .now_us = now_us};
    self.operator_name = operator_name;
    self.error = error;
    *repeated = false;
    if (!check_request(request, error)) {
        return MM_DESK_REFUSED;
    }
    if (!mmi_hq_is_line(reason, MM_INSTALLATION_REASON_CHARS_MAX)) {
        mm_hq_error_set(error, "reason: 1 to %d bytes of text in one line", MM_INSTALLATION_REASON_CHARS_MAX);
        return MM_DESK_REFUSED;
    }
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result == MM_DESK_OK) {
        result = load(&self);
        result = result == MM_DESK_OK ? refuse_it(&self, reason, repeated) : result;
        result = result == MM_DESK_OK ? mmi_desk_commit(desk, error) : mmi_desk_rollback(desk, result);
    }
    return result;
}

// --- once more

static mm_desk_result_t ask_again(deciding_t *self, int64_t *order_id, bool *repeated) {
    mmi_known_order_t order;
    int64_t command_id;
    int64_t refused_id;
    bool known = false;
    char node[MM_MAC_TEXT_BYTES];
    mm_mac_print(self->mac, node);
    mmi_sql_t find =
        mmi_sql_begin(self->db, "SELECT id FROM node WHERE mac = ? ORDER BY last_seen_us DESC, id LIMIT 1");
    mmi_sql_put_mac(&find, &self->mac);
    mmi_sql_t refused = mmi_sql_begin(self->db, "SELECT id FROM installation WHERE request = ?");
    mmi_sql_put_text(&refused, self->request);
    bool good = mmi_sql_value(&find, 0, &self->node_id);
    good = mmi_sql_value(&refused, 0, &refused_id) && good;
    good = good && mmi_own_order_find(self->db, self->request, &order) && mmi_has_key(self->db, self->mac, &known);
    if (!good) {
        return mmi_desk_fail(self->desk, self->error);
    }
    *order_id = order.id;
    if (*order_id != 0 || refused_id != 0) {
        *repeated = order.kind == MM_COMMAND_REINSTALL && strcmp(order.target + strlen("node:"), node) == 0;
        mm_hq_error_set(self->error, "request %s: was used for something else", self->request);
        return *repeated ? MM_DESK_OK : MM_DESK_CONFLICT;
    }
    if (self->node_id == 0) {
        mm_hq_error_set(self->error, "node %s: HQ has not heard of it", node);
        return MM_DESK_NOT_FOUND;
    }
    if (!known) {
        mm_hq_error_set(self->error, "HQ has no key of node %s, so it would not obey; `meshmeter keys import`", node);
        return MM_DESK_REFUSED;
    }
    char detail[96];
    const mmi_own_order_t again = {.node_id = self->node_id,
                                   .mac = self->mac,
                                   .kind = MM_COMMAND_REINSTALL,
                                   .shown = "{}",
                                   .body = "",
                                   .request = self->request,
                                   .operator_name = self->operator_name};
    *order_id = mmi_own_order_add(self->db, &again, self->now_us, &command_id);
    snprintf(detail, sizeof detail, "node %s, order %lld", node, (long long)*order_id);
    good = *order_id != 0 && mmi_hq_audit(self->db, self->operator_name, "reinstall", detail, self->now_us);
    return good ? MM_DESK_OK : mmi_desk_fail(self->desk, self->error);
}

mm_desk_result_t mm_installation_ask_again(mm_desk_t *desk, mm_mac_t mac, const char *request,
                                           const char *operator_name, int64_t now_us, int64_t *order_id, bool *repeated,
                                           mm_hq_error_t *error) {
    deciding_t self = {.desk = desk, .db = mmi_desk_db(desk), .mac = mac, .request = request, .now_us = now_us};
    self.operator_name = operator_name;
    self.error = error;
    *repeated = false;
    *order_id = 0;
    if (!check_request(request, error)) {
        return MM_DESK_REFUSED;
    }
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result == MM_DESK_OK) {
        result = ask_again(&self, order_id, repeated);
        result = result == MM_DESK_OK ? mmi_desk_commit(desk, error) : mmi_desk_rollback(desk, result);
    }
    if (result != MM_DESK_OK) {
        *order_id = 0;
    }
    return result;
}
