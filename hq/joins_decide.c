// SPDX-License-Identifier: Apache-2.0
#include "joins.h"

#include "commands.h"
#include "operators.h"
#include "sql.h"
#include "store_query.h"
#include "text_check.h"

#include <stdio.h>
#include <string.h>

/// One ask on its way to a person's decision.
typedef struct {
    mm_desk_t *desk;
    sqlite3 *db;
    int64_t id;
    const char *request;
    const char *reason; ///< NULL: it is admitted
    const char *operator_name;
    int64_t now_us;
    mm_hq_error_t *error;
    mmi_joins_ask_t ask;
} deciding_t;

static mm_desk_result_t refuse(const deciding_t *self, mm_desk_result_t result, const char *text) {
    mm_hq_error_set(self->error, "join %lld: %s", (long long)self->id, text);
    return result;
}

static bool is_on_its_way(const deciding_t *self) {
    return self->ask.command_state >= 0 && self->ask.command_state < MM_COMMAND_STATE_DONE;
}

// The request id was used for an order or a refusal. OK: it is new, or *repeated.
static mm_desk_result_t look_up_request(deciding_t *self, bool *repeated) {
    mmi_known_order_t order;
    int64_t refused_id;
    mmi_sql_t query = mmi_sql_begin(self->db, "SELECT id FROM join_ask WHERE request = ?");
    mmi_sql_put_text(&query, self->request);
    if (!mmi_sql_value(&query, 0, &refused_id) || !mmi_own_order_find(self->db, self->request, &order)) {
        return mmi_desk_fail(self->desk, self->error);
    }
    if (order.id == 0 && refused_id == 0) {
        return MM_DESK_OK;
    }
    *repeated = self->reason == NULL
                    ? order.id != 0 && order.kind == MM_COMMAND_ADMIT && order.command_id == self->ask.command
                    : refused_id == self->id && order.id == 0 && strcmp(self->reason, self->ask.reason) == 0;
    return *repeated ? MM_DESK_OK : refuse(self, MM_DESK_CONFLICT, "the request id was used for something else");
}

static mm_desk_result_t refuse_order(deciding_t *self, mmi_joins_order_t made) {
    char text[160];
    char mac[MM_MAC_TEXT_BYTES];
    if (made == MMI_JOINS_NO_ROOT_KEY) {
        mm_mac_print(self->ask.root, mac);
        snprintf(text, sizeof text,
                 "HQ has no key of %s, the root that was asked, so it would not obey; `meshmeter keys import`", mac);
    } else if (made == MMI_JOINS_NOT_PROVED) {
        mm_mac_print(self->ask.record.asker, mac);
        snprintf(text, sizeof text,
                 "it is not proved that this was %s: HQ has no key of it, or another one; `meshmeter keys import`",
                 mac);
    } else {
        return mmi_desk_fail(self->desk, self->error);
    }
    return refuse(self, MM_DESK_REFUSED, text);
}

static mm_desk_result_t admit(deciding_t *self) {
    mm_joins_state_t next;
    if (self->ask.state == MM_JOINS_UNPROVED) {
        return refuse_order(self, MMI_JOINS_NOT_PROVED);
    }
    if (self->ask.state == MM_JOINS_ADMITTED) {
        return refuse(self, MM_DESK_CONFLICT, "is admitted already");
    }
    if (!mm_joins_next(self->ask.state, MM_JOINS_EVENT_ADMIT, &next) || !self->ask.is_newest) {
        return refuse(self, MM_DESK_CONFLICT, "this device has asked again; look at the newer one");
    }
    if (self->ask.state == MM_JOINS_WAITING && is_on_its_way(self)) {
        return refuse(self, MM_DESK_CONFLICT, "its admission is on its way to the root already");
    }
    mmi_joins_order_t made = mmi_hq_joins_order(self->db, &self->ask, self->request, self->operator_name, self->now_us);
    return made == MMI_JOINS_ORDERED ? MM_DESK_OK : refuse_order(self, made);
}

static mm_desk_result_t write_refusal(deciding_t *self, mm_joins_state_t next) {
    char device[MM_MAC_TEXT_BYTES];
    char detail[128 + MM_JOINS_REASON_CHARS_MAX];
    mmi_sql_t write = mmi_sql_begin(self->db, "UPDATE join_ask SET state = ?, decided_by = ?, decided_us = ?, reason ="
                                              " ?, request = ? WHERE id = ?");
    mmi_sql_put_text(&write, mm_joins_state_name(next));
    mmi_sql_put_text(&write, self->operator_name);
    mmi_sql_put_integer(&write, self->now_us);
    mmi_sql_put_text(&write, self->reason);
    mmi_sql_put_text(&write, self->request);
    mmi_sql_put_integer(&write, self->id);
    mm_mac_print(self->ask.record.asker, device);
    snprintf(detail, sizeof detail, "join %lld: device %s: %s", (long long)self->id, device, self->reason);
    bool good = mmi_sql_run(&write) && mmi_hq_audit(self->db, self->operator_name, "refuse", detail, self->now_us);
    return good ? MM_DESK_OK : mmi_desk_fail(self->desk, self->error);
}

// What is queued only is taken back; what was sent may be with the root.
static mm_desk_result_t refuse_it(deciding_t *self) {
    mm_joins_state_t next;
    if (!mm_joins_next(self->ask.state, MM_JOINS_EVENT_REFUSE, &next)) {
        char text[96];
        snprintf(text, sizeof text, "is %s%s", mm_joins_state_name(self->ask.state),
                 self->ask.state == MM_JOINS_UNPROVED ? ", so nobody is let in" : " already");
        return refuse(self, MM_DESK_CONFLICT, text);
    }
    if (is_on_its_way(self) && self->ask.command_state != MM_COMMAND_STATE_QUEUED) {
        return refuse(self, MM_DESK_CONFLICT, "its admission was sent to the root and cannot be taken back");
    }
    if (!mmi_own_command_withdraw(self->db, self->ask.command, self->now_us)) {
        return mmi_desk_fail(self->desk, self->error);
    }
    return write_refusal(self, next);
}

static mm_desk_result_t decide(deciding_t *self, bool *repeated) {
    if (!mmi_hq_joins_load(self->db, self->id, &self->ask)) {
        return mmi_desk_fail(self->desk, self->error);
    }
    if (self->ask.id == 0) {
        return refuse(self, MM_DESK_NOT_FOUND, "there is none of this number");
    }
    mm_desk_result_t result = look_up_request(self, repeated);
    if (result != MM_DESK_OK || *repeated) {
        return result;
    }
    return self->reason == NULL ? admit(self) : refuse_it(self);
}

static mm_desk_result_t run(deciding_t *self, bool *repeated) {
    *repeated = false;
    if (!mmi_hq_is_request(self->request, MM_JOINS_REQUEST_CHARS_MAX)) {
        mm_hq_error_set(self->error, "request: 1 to %d printable characters without blanks",
                        MM_JOINS_REQUEST_CHARS_MAX);
        return MM_DESK_REFUSED;
    }
    mm_desk_result_t result = mmi_desk_begin(self->desk, self->error);
    if (result == MM_DESK_OK) {
        result = decide(self, repeated);
        result =
            result == MM_DESK_OK ? mmi_desk_commit(self->desk, self->error) : mmi_desk_rollback(self->desk, result);
    }
    return result;
}

mm_desk_result_t mm_joins_admit(mm_desk_t *desk, int64_t id, const char *request, const char *operator_name,
                                int64_t now_us, bool *repeated, mm_hq_error_t *error) {
    deciding_t self = {.desk = desk,
                       .db = mmi_desk_db(desk),
                       .id = id,
                       .request = request,
                       .operator_name = operator_name,
                       .now_us = now_us,
                       .error = error};
    return run(&self, repeated);
}

mm_desk_result_t mm_joins_refuse(mm_desk_t *desk, int64_t id, const char *request, const char *reason,
                                 const char *operator_name, int64_t now_us, bool *repeated, mm_hq_error_t *error) {
    deciding_t self = {.desk = desk,
                       .db = mmi_desk_db(desk),
                       .id = id,
                       .request = request,
                       .reason = reason,
                       .operator_name = operator_name,
                       .now_us = now_us,
                       .error = error};
    if (!mmi_hq_is_line(reason, MM_JOINS_REASON_CHARS_MAX)) {
        mm_hq_error_set(error, "reason: 1 to %d bytes of text in one line", MM_JOINS_REASON_CHARS_MAX);
        *repeated = false;
        return MM_DESK_REFUSED;
    }
    return run(&self, repeated);
}
