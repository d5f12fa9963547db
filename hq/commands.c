// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include "command_arguments.h"
#include "device_keys.h"
#include "operators.h"
#include "sql.h"
#include "store_query.h"
#include "text_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_CHARS_MAX 64
#define TARGET_CHARS_MAX 64
#define PRIORITY_MAX 9
#define NOT_AFTER_S_MAX ((INT64_C(1) << 40) - 1)
/// Commands of one order.
#define TARGETS_MAX 100000

const char *mm_command_state_name(int state) {
    static const char *const names[MM_COMMAND_STATE_COUNT] = {
        "queued", "sent", "accepted", "trying", "done", "refused", "expired", "failed", "withdrawn",
    };
    return state >= 0 && state < MM_COMMAND_STATE_COUNT ? names[state] : "unknown";
}

// --- whom it is for

/// One command to be.
typedef struct {
    int64_t node_id;
    uint8_t channel;
} recipient_t;

/// An order on its way into the database.
typedef struct {
    mm_desk_t *desk;
    sqlite3 *db;
    const mm_order_request_t *request;
    int64_t now_us;
    uint8_t kind;
    bool for_meters;
    mm_command_arguments_t arguments;
    recipient_t *recipients;
    size_t recipient_count;
    size_t recipient_capacity;
    mm_hq_error_t *error;
} ordering_t;

static mm_desk_result_t refuse(ordering_t *self, mm_desk_result_t result, const char *text) {
    mm_hq_error_set(self->error, "%s: %s", self->request->target, text);
    return result;
}

static mm_desk_result_t add_recipient(ordering_t *self, int64_t node_id, int64_t channel) {
    if (self->recipient_count == TARGETS_MAX) {
        return refuse(self, MM_DESK_REFUSED, "too many at once; order it site by site");
    }
    if (self->recipient_count == self->recipient_capacity) {
        size_t capacity = self->recipient_capacity == 0 ? 16 : self->recipient_capacity * 2;
        recipient_t *grown = realloc(self->recipients, capacity * sizeof(recipient_t));
        if (grown == NULL) {
            return refuse(self, MM_DESK_UNAVAILABLE, "out of memory");
        }
        self->recipients = grown;
        self->recipient_capacity = capacity;
    }
    self->recipients[self->recipient_count++] = (recipient_t){node_id, (uint8_t)channel};
    return MM_DESK_OK;
}

// Rows of (node, channel).
static mm_desk_result_t add_rows(ordering_t *self, mmi_sql_t *query) {
    mm_desk_result_t result = MM_DESK_OK;
    while (result == MM_DESK_OK && mmi_sql_row(query)) {
        result = add_recipient(self, mmi_sql_integer(query, 0), mmi_sql_integer(query, 1));
    }
    bool good = mmi_sql_end(query);
    return good ? result : mmi_desk_fail(self->desk, self->error);
}

// The configured meters of a node.
static mm_desk_result_t add_node(ordering_t *self, int64_t node_id) {
    if (!self->for_meters) {
        return add_recipient(self, node_id, MM_COMMAND_WHOLE_NODE);
    }
    mmi_sql_t query =
        mmi_sql_begin(self->db, "SELECT node, channel FROM meter WHERE node = ? AND id <> '' ORDER BY channel");
    mmi_sql_put_integer(&query, node_id);
    return add_rows(self, &query);
}

// The same MAC in two sites: the one seen last, as in the API.
static mm_desk_result_t find_node(ordering_t *self, mm_mac_t mac, int64_t *node_id) {
    mmi_sql_t query =
        mmi_sql_begin(self->db, "SELECT id FROM node WHERE mac = ? ORDER BY last_seen_us DESC, id LIMIT 1");
    mmi_sql_put_mac(&query, &mac);
    if (!mmi_sql_value(&query, 0, node_id)) {
        return mmi_desk_fail(self->desk, self->error);
    }
    return *node_id != 0 ? MM_DESK_OK : refuse(self, MM_DESK_NOT_FOUND, "HQ has not heard of this node");
}

static mm_desk_result_t target_node(ordering_t *self, const char *text) {
    mm_mac_t mac;
    int64_t node_id;
    if (!mm_mac_parse(text, &mac)) {
        return refuse(self, MM_DESK_REFUSED, "expected node:MAC, like node:02:00:00:00:00:01");
    }
    mm_desk_result_t result = find_node(self, mac, &node_id);
    return result == MM_DESK_OK ? add_node(self, node_id) : result;
}

static mm_desk_result_t target_gateway(ordering_t *self, const char *site) {
    int64_t node_id;
    mmi_sql_t query = mmi_sql_begin(
        self->db,
        "SELECT node.id FROM site JOIN node ON node.site = site.id AND node.mac = site.root WHERE site.name = ?");
    mmi_sql_put_text(&query, site);
    if (!mmi_sql_value(&query, 0, &node_id)) {
        return mmi_desk_fail(self->desk, self->error);
    }
    if (node_id == 0) {
        return refuse(self, MM_DESK_NOT_FOUND, "there is no such site, or its gateway is not known yet");
    }
    return add_node(self, node_id);
}

// site NULL: all.
static mm_desk_result_t target_site(ordering_t *self, const char *site) {
    mmi_sql_t query =
        self->for_meters
            ? mmi_sql_begin(self->db, "SELECT node.id, meter.channel FROM node JOIN site ON site.id = node.site"
                                      " JOIN meter ON meter.node = node.id"
                                      " WHERE (?1 = '' OR site.name = ?1) AND meter.id <> ''"
                                      " ORDER BY node.id, meter.channel")
            : mmi_sql_begin(self->db, "SELECT node.id, 255 FROM node JOIN site ON site.id = node.site"
                                      " WHERE ?1 = '' OR site.name = ?1 ORDER BY node.id");
    mmi_sql_put_text(&query, site);
    return add_rows(self, &query);
}

// "MAC/CHANNEL", for ids that are not unique.
static mm_desk_result_t target_channel(ordering_t *self, const char *slash) {
    char text[TARGET_CHARS_MAX + 1];
    mm_mac_t mac;
    int64_t node_id;
    snprintf(text, sizeof text, "%.*s", (int)(slash - self->request->target), self->request->target);
    if (!mm_mac_parse(text, &mac) || slash[1] < '1' || slash[1] >= '1' + MM_CHANNELS || slash[2] != '\0') {
        return refuse(self, MM_DESK_REFUSED, "expected MAC/CHANNEL, like 02:00:00:00:00:01/3 (1 to 8)");
    }
    mm_desk_result_t result = find_node(self, mac, &node_id);
    return result == MM_DESK_OK ? add_recipient(self, node_id, slash[1] - '1') : result;
}

static mm_desk_result_t target_meter(ordering_t *self) {
    mmi_sql_t query = mmi_sql_begin(self->db, "SELECT node, channel FROM meter WHERE id = ? ORDER BY node, channel");
    mmi_sql_put_text(&query, self->request->target);
    mm_desk_result_t result = add_rows(self, &query);
    if (result == MM_DESK_OK && self->recipient_count == 0) {
        return refuse(self, MM_DESK_NOT_FOUND, "there is no meter with this id");
    }
    if (result == MM_DESK_OK && self->recipient_count > 1) {
        return refuse(self, MM_DESK_REFUSED, "more than one meter has this id; say which with MAC/CHANNEL");
    }
    return result;
}

static bool begins_with(const char *text, const char *head) {
    return strncmp(text, head, strlen(head)) == 0;
}

static mm_desk_result_t find_recipients(ordering_t *self) {
    const char *target = self->request->target;
    const char *slash = strchr(target, '/');
    bool whole = begins_with(target, "node:") || begins_with(target, "gateway:") || begins_with(target, "site:") ||
                 strcmp(target, "all") == 0;
    mm_desk_result_t result;
    if (!whole && (!self->for_meters || target[0] == '\0')) {
        return refuse(self, MM_DESK_REFUSED,
                      "this kind is for a whole node; name node:MAC, gateway:SITE, site:SITE or all");
    }
    if (whole && self->kind == MM_COMMAND_UPDATE) {
        return refuse(self, MM_DESK_REFUSED, "update is for one meter; name its id, or MAC/CHANNEL");
    }
    if (self->kind == MM_COMMAND_FORMAT && (begins_with(target, "site:") || strcmp(target, "all") == 0)) {
        return refuse(self, MM_DESK_REFUSED, "format is for one node; name node:MAC or gateway:SITE");
    }
    if (begins_with(target, "node:")) {
        result = target_node(self, target + strlen("node:"));
    } else if (begins_with(target, "gateway:")) {
        result = target_gateway(self, target + strlen("gateway:"));
    } else if (begins_with(target, "site:") && target[strlen("site:")] != '\0') {
        result = target_site(self, target + strlen("site:"));
    } else if (strcmp(target, "all") == 0) {
        result = target_site(self, "");
    } else if (slash != NULL) {
        result = target_channel(self, slash);
    } else {
        result = target_meter(self);
    }
    if (result == MM_DESK_OK && self->recipient_count == 0) {
        return refuse(self, MM_DESK_NOT_FOUND, self->for_meters ? "no meter is configured there" : "no node is there");
    }
    return result;
}

// HQ can only command devices whose keys it has.
static mm_desk_result_t check_keys(ordering_t *self) {
    for (size_t index = 0; index < self->recipient_count; index++) {
        if (index > 0 && self->recipients[index].node_id == self->recipients[index - 1].node_id) {
            continue;
        }
        mmi_sql_t query =
            mmi_sql_begin(self->db, "SELECT node.mac, device_key.mac IS NOT NULL FROM node LEFT JOIN device_key"
                                    " ON device_key.mac = node.mac WHERE node.id = ?");
        mmi_sql_put_integer(&query, self->recipients[index].node_id);
        bool found = mmi_sql_row(&query);
        char mac[MM_MAC_TEXT_BYTES] = "";
        bool has_key = false;
        if (found) {
            mm_mac_print(mmi_sql_mac(&query, 0), mac);
            has_key = mmi_sql_integer(&query, 1) != 0;
        }
        if (!mmi_sql_end(&query)) {
            return mmi_desk_fail(self->desk, self->error);
        }
        if (!has_key) {
            mm_hq_error_set(self->error, "HQ has no key of node %s, so it would not obey; `meshmeter keys import`",
                            mac);
            return MM_DESK_REFUSED;
        }
    }
    return MM_DESK_OK;
}

// --- what it says

static mm_desk_result_t check_request(ordering_t *self) {
    const mm_order_request_t *request = self->request;
    self->kind = mm_command_kind_of(request->kind);
    self->for_meters = mm_command_is_for_meter(self->kind);
    if (!mmi_hq_is_request(request->request, REQUEST_CHARS_MAX)) {
        mm_hq_error_set(self->error, "request: 1 to %d printable characters without blanks", REQUEST_CHARS_MAX);
    } else if (strlen(request->target) > TARGET_CHARS_MAX) {
        mm_hq_error_set(self->error, "target: at most %d characters", TARGET_CHARS_MAX);
    } else if (self->kind == MM_COMMAND_NONE) {
        mm_hq_error_set(self->error, "kind %.40s: there is none of this name; meshmeter send --help lists them",
                        request->kind);
    } else if (self->kind == MM_COMMAND_CREDIT || self->kind == MM_COMMAND_VOID || self->kind == MM_COMMAND_ADJUST) {
        mm_hq_error_set(self->error, "%s moves credit: it is made by a sale (purchases), not by an order",
                        request->kind);
    } else if (self->kind == MM_COMMAND_CONFIRM) {
        mm_hq_error_set(self->error, "confirm belongs to an installation: `meshmeter confirm`, not an order");
    } else if (self->kind == MM_COMMAND_ADMIT) {
        mm_hq_error_set(self->error, "admit belongs to a device that asks: `meshmeter joins admit`, not an order");
    } else if (request->priority < 0 || request->priority > PRIORITY_MAX) {
        mm_hq_error_set(self->error, "priority: must be 0 to %d", PRIORITY_MAX);
    } else if (request->not_after_s < 0 || request->not_after_s > NOT_AFTER_S_MAX) {
        mm_hq_error_set(self->error, "the time until which it is good is not possible");
    } else if (mm_command_arguments_parse(self->kind, request->arguments, &self->arguments, self->error)) {
        return MM_DESK_OK;
    }
    return MM_DESK_REFUSED;
}

// --- into the database

int64_t mm_order_of_request(mm_desk_t *desk, const char *request) {
    int64_t id;
    mmi_sql_t query = mmi_sql_begin(mmi_desk_db(desk), "SELECT id FROM command_order WHERE request = ?");
    mmi_sql_put_text(&query, request);
    return mmi_sql_value(&query, 0, &id) ? id : 0;
}

// *order_id stays 0 if the request is new. What has become of its time limit does not make it another order.
static mm_desk_result_t find_order(ordering_t *self, const char *shown, int64_t *order_id) {
    mmi_sql_t query = mmi_sql_begin(
        self->db, "SELECT id, target = ?2 AND kind = ?3 AND arguments = ?4 AND priority = ?5 AND (body = ?6 OR"
                  " body = x'') FROM command_order WHERE request = ?1");
    mmi_sql_put_text(&query, self->request->request);
    mmi_sql_put_text(&query, self->request->target);
    mmi_sql_put_integer(&query, self->kind);
    mmi_sql_put_text(&query, shown);
    mmi_sql_put_integer(&query, self->request->priority);
    mmi_sql_put_blob(&query, self->arguments.body, self->arguments.body_bytes);
    bool same = true;
    *order_id = 0;
    if (mmi_sql_row(&query)) {
        *order_id = mmi_sql_integer(&query, 0);
        same = mmi_sql_integer(&query, 1) != 0;
    }
    if (!mmi_sql_end(&query)) {
        return mmi_desk_fail(self->desk, self->error);
    }
    if (!same) {
        mm_hq_error_set(self->error, "request %s: was used for another order (%lld)", self->request->request,
                        (long long)*order_id);
        *order_id = 0;
        return MM_DESK_CONFLICT;
    }
    return MM_DESK_OK;
}

int64_t mmi_hq_queue_command(sqlite3 *db, int64_t node_id, uint8_t channel, mm_command_kind_t kind, const void *body,
                             size_t body_bytes, int priority, int64_t not_after_s, int64_t order_id, int64_t now_us) {
    MM_ASSERT(body_bytes <= MM_COMMAND_BODY_BYTES_MAX);
    mmi_sql_t add =
        mmi_sql_begin(db, "INSERT INTO command (id, order_id, node, channel, kind, body, priority, not_after_s,"
                          " created_us) SELECT max(ifnull((SELECT max(id) FROM command), 0) + 1, ?1),"
                          " ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?1");
    mmi_sql_put_integer(&add, now_us);
    mmi_sql_put_integer(&add, order_id);
    mmi_sql_put_integer(&add, node_id);
    mmi_sql_put_integer(&add, channel);
    mmi_sql_put_integer(&add, kind);
    mmi_sql_put_blob(&add, body, body_bytes);
    mmi_sql_put_integer(&add, priority);
    mmi_sql_put_integer(&add, not_after_s);
    return mmi_sql_run(&add) ? sqlite3_last_insert_rowid(db) : 0;
}

static bool add_order(ordering_t *self, const char *shown, int64_t *order_id) {
    const mm_order_request_t *request = self->request;
    mmi_sql_t add = mmi_sql_begin(self->db, "INSERT INTO command_order (request, operator, created_us, target, kind,"
                                            " arguments, body, priority, not_after_s)"
                                            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    mmi_sql_put_text(&add, request->request);
    mmi_sql_put_text(&add, request->operator_name);
    mmi_sql_put_integer(&add, self->now_us);
    mmi_sql_put_text(&add, request->target);
    mmi_sql_put_integer(&add, self->kind);
    mmi_sql_put_text(&add, shown);
    mmi_sql_put_blob(&add, self->arguments.body, self->arguments.body_bytes);
    mmi_sql_put_integer(&add, request->priority);
    mmi_sql_put_integer(&add, request->not_after_s);
    if (!mmi_sql_run(&add)) {
        return false;
    }
    *order_id = sqlite3_last_insert_rowid(self->db);
    for (size_t index = 0; index < self->recipient_count; index++) {
        const recipient_t *recipient = &self->recipients[index];
        if (mmi_hq_queue_command(self->db, recipient->node_id, recipient->channel, (mm_command_kind_t)self->kind,
                                 self->arguments.body, self->arguments.body_bytes, request->priority,
                                 request->not_after_s, *order_id, self->now_us) == 0) {
            return false;
        }
    }
    char detail[192];
    snprintf(detail, sizeof detail, "order %lld: %s for %s, %zu commands", (long long)*order_id,
             mm_command_kind_name(self->kind), request->target, self->recipient_count);
    return mmi_hq_audit(self->db, request->operator_name, "order", detail, self->now_us);
}

// Asked for a new order only: who repeats an old one gets its answer.
static bool has_expired(const ordering_t *self) {
    return self->request->not_after_s != 0 && self->request->not_after_s <= self->now_us / 1000000;
}

// Inside of the transaction.
static mm_desk_result_t make_order(ordering_t *self, int64_t *order_id) {
    char *shown = cJSON_PrintUnformatted(self->arguments.shown);
    if (shown == NULL) {
        return refuse(self, MM_DESK_UNAVAILABLE, "out of memory");
    }
    mm_desk_result_t result = find_order(self, shown, order_id);
    if (result == MM_DESK_OK && *order_id == 0) {
        result = has_expired(self) ? refuse(self, MM_DESK_REFUSED, "the order has expired already; give it more time")
                                   : find_recipients(self);
        if (result == MM_DESK_OK) {
            result = check_keys(self);
        }
        if (result == MM_DESK_OK && !add_order(self, shown, order_id)) {
            result = mmi_desk_fail(self->desk, self->error);
        }
    }
    cJSON_free(shown);
    return result;
}

mm_desk_result_t mm_order(mm_desk_t *desk, const mm_order_request_t *request, int64_t now_us, int64_t *order_id,
                          mm_hq_error_t *error) {
    ordering_t ordering = {.desk = desk, .db = mmi_desk_db(desk), .request = request, .now_us = now_us, .error = error};
    *order_id = 0;
    mm_desk_result_t result = check_request(&ordering);
    if (result != MM_DESK_OK) {
        return result;
    }
    result = mmi_desk_begin(desk, error);
    if (result == MM_DESK_OK) {
        result = make_order(&ordering, order_id);
        result = result == MM_DESK_OK ? mmi_desk_commit(desk, error) : mmi_desk_rollback(desk, result);
    }
    if (result != MM_DESK_OK) {
        *order_id = 0;
    }
    free(ordering.recipients);
    cJSON_Delete(ordering.arguments.shown);
    explicit_bzero(&ordering.arguments, sizeof ordering.arguments);
    return result;
}

// --- taking it back

mm_desk_result_t mm_order_withdraw(mm_desk_t *desk, int64_t order_id, const char *operator_name, int64_t now_us,
                                   int *withdrawn, mm_hq_error_t *error) {
    sqlite3 *db = mmi_desk_db(desk);
    int64_t found;
    *withdrawn = 0;
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result != MM_DESK_OK) {
        return result;
    }
    mmi_sql_t find = mmi_sql_begin(db, "SELECT 1 FROM command_order WHERE id = ?");
    mmi_sql_put_integer(&find, order_id);
    if (!mmi_sql_value(&find, 0, &found)) {
        return mmi_desk_fail(desk, error);
    }
    if (found == 0) {
        mm_hq_error_set(error, "there is no order %lld", (long long)order_id);
        return mmi_desk_rollback(desk, MM_DESK_NOT_FOUND);
    }
    mmi_sql_t take = mmi_sql_begin(db, "UPDATE command SET state = ?, ended_us = ? WHERE order_id = ? AND state = ?");
    mmi_sql_put_integer(&take, MM_COMMAND_STATE_WITHDRAWN);
    mmi_sql_put_integer(&take, now_us);
    mmi_sql_put_integer(&take, order_id);
    mmi_sql_put_integer(&take, MM_COMMAND_STATE_QUEUED);
    if (!mmi_sql_run(&take)) {
        return mmi_desk_fail(desk, error);
    }
    int count = sqlite3_changes(db);
    if (!mmi_hq_forget_secrets(db, order_id)) {
        return mmi_desk_fail(desk, error);
    }
    char detail[96];
    snprintf(detail, sizeof detail, "order %lld: %d commands", (long long)order_id, count);
    if (count > 0 && !mmi_hq_audit(db, operator_name, "withdraw", detail, now_us)) {
        return mmi_desk_fail(desk, error);
    }
    result = mmi_desk_commit(desk, error);
    *withdrawn = result == MM_DESK_OK ? count : 0;
    return result;
}
