// SPDX-License-Identifier: Apache-2.0
#include "api_request.h"

#include "commands.h"
#include "joins.h"
#include "sql.h"

#include "meshmeter/control.h"

#include <string.h>

#define MICROSECONDS 1000000
#define JOINS_DEFAULT 200
#define JOINS_MAX 1000

static void fail_database(mm_api_request_t *self) {
    mm_hq_error_t error;
    mm_api_take_result(self, mmi_desk_fail(self->desk, &error), &error);
}

// --- showing

#define COLUMNS                                                                                                        \
    "SELECT join_ask.id, site.name, asker, node.mac, via, join_ask.revision, trust, seconds, received_us,"             \
    " join_ask.state, decided_by, decided_us, admitted_us, reason, command.order_id, command.state, command.status,"   \
    " EXISTS (SELECT 1 FROM device_key WHERE device_key.mac = asker),"                                                 \
    " EXISTS (SELECT 1 FROM device_key WHERE device_key.mac = node.mac),"                                              \
    " EXISTS (SELECT 1 FROM node AS member WHERE member.mac = asker AND member.site = join_ask.site)"                  \
    " FROM join_ask JOIN node ON node.id = join_ask.node JOIN site ON site.id = join_ask.site"                         \
    " LEFT JOIN command ON command.id = join_ask.command "

static void add_time(cJSON *item, const char *name, int64_t time_us) {
    if (time_us > 0) {
        mm_api_add_integer(item, name, time_us / MICROSECONDS);
    } else {
        cJSON_AddNullToObject(item, name);
    }
}

static void add_command(cJSON *item, const mmi_sql_t *query) {
    if (mmi_sql_integer(query, 14) == 0) {
        cJSON_AddNullToObject(item, "command");
        return;
    }
    cJSON *command = cJSON_AddObjectToObject(item, "command");
    int64_t status = mmi_sql_integer(query, 16);
    mm_api_add_integer(command, "order", mmi_sql_integer(query, 14));
    cJSON_AddStringToObject(command, "state", mm_command_state_name((int)mmi_sql_integer(query, 15)));
    if (status >= 0) {
        cJSON_AddStringToObject(command, "status", mm_result_status_name((uint8_t)status));
    } else {
        cJSON_AddNullToObject(command, "status");
    }
}

static void add_members(cJSON *item, const mmi_sql_t *query) {
    mm_api_add_integer(item, "id", mmi_sql_integer(query, 0));
    cJSON_AddStringToObject(item, "site", mmi_sql_text(query, 1));
    mm_api_add_mac(item, "device", mmi_sql_mac(query, 2));
    mm_api_add_mac(item, "root", mmi_sql_mac(query, 3));
    mm_api_add_mac(item, "via", mmi_sql_mac(query, 4));
    mm_api_add_integer(item, "revision", mmi_sql_integer(query, 5));
    int64_t trust = mmi_sql_integer(query, 6);
    add_time(item, "asked", trust == MM_TRUST_UNSET ? 0 : mmi_sql_integer(query, 7) * MICROSECONDS);
    cJSON_AddStringToObject(item, "time_trust", mm_trust_name((mm_trust_t)trust));
    add_time(item, "received", mmi_sql_integer(query, 8));
    cJSON_AddStringToObject(item, "state", mmi_sql_text(query, 9));
    cJSON_AddStringToObject(item, "decided_by", mmi_sql_text(query, 10));
    add_time(item, "decided", mmi_sql_integer(query, 11));
    add_time(item, "admitted", mmi_sql_integer(query, 12));
    cJSON_AddStringToObject(item, "reason", mmi_sql_text(query, 13));
    cJSON_AddBoolToObject(item, "has_key", mmi_sql_integer(query, 17) != 0);
    cJSON_AddBoolToObject(item, "root_has_key", mmi_sql_integer(query, 18) != 0);
    cJSON_AddBoolToObject(item, "is_member", mmi_sql_integer(query, 19) != 0);
    add_command(item, query);
}

// What is decided was decided knowing it; of history it would only confuse.
static bool add_conflict(mm_api_request_t *self, cJSON *item, const mmi_sql_t *query) {
    mm_joins_conflict_t conflict = MM_JOINS_NO_CONFLICT;
    char site[MM_SITE_CHARS_MAX + 1] = "";
    bool waits = mm_joins_state_of(mmi_sql_text(query, 9)) == MM_JOINS_WAITING;
    bool good = !waits || mmi_hq_joins_conflict(mmi_desk_db(self->desk), mmi_sql_integer(query, 0), &conflict, site);
    if (conflict == MM_JOINS_NO_CONFLICT) {
        cJSON_AddNullToObject(item, "conflict");
        return good;
    }
    cJSON *object = cJSON_AddObjectToObject(item, "conflict");
    cJSON_AddStringToObject(object, "site", site);
    cJSON_AddStringToObject(object, "why", conflict == MM_JOINS_IS_THERE ? "is_there" : "asks_there");
    return good;
}

static bool add_join(mm_api_request_t *self, cJSON *item, const mmi_sql_t *query) {
    add_members(item, query);
    return add_conflict(self, item, query);
}

static bool add_rules(mm_api_request_t *self) {
    cJSON *list = cJSON_AddArrayToObject(self->answer, "auto_join");
    mmi_sql_t query =
        mmi_sql_begin(mmi_desk_db(self->desk), "SELECT name FROM site WHERE (SELECT auto_join FROM site_setting WHERE"
                                               " site = site.id ORDER BY id DESC LIMIT 1) ORDER BY name");
    while (mmi_sql_row(&query)) {
        cJSON_AddItemToArray(list, cJSON_CreateString(mmi_sql_text(&query, 0)));
    }
    return mmi_sql_end(&query);
}

static bool add_dropped(mm_api_request_t *self) {
    cJSON *list = cJSON_AddArrayToObject(self->answer, "dropped");
    mmi_sql_t query = mmi_sql_begin(mmi_desk_db(self->desk), "SELECT name, asks FROM join_dropped JOIN site ON"
                                                             " site.id = join_dropped.site ORDER BY name");
    while (mmi_sql_row(&query)) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(list, item);
        cJSON_AddStringToObject(item, "site", mmi_sql_text(&query, 0));
        mm_api_add_integer(item, "asks", mmi_sql_integer(&query, 1));
    }
    return mmi_sql_end(&query);
}

static void get_joins(mm_api_request_t *self) {
    const char *state = self->argument(self->context, "state");
    const char *site = self->argument(self->context, "site");
    int64_t limit = mm_api_integer_argument(self, "limit", 1, JOINS_MAX, JOINS_DEFAULT);
    bool all = state == NULL || state[0] == '\0' || strcmp(state, "all") == 0;
    if (!all && mm_joins_state_of(state) == MM_JOINS_STATE_COUNT) {
        mm_api_fail(self, 400, "state must be waiting, admitted, refused, superseded, unproved or all");
    }
    if (mm_api_has_failed(self)) {
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(self->answer, "joins");
    // Those that wait come first: they are what somebody must do something about. What anybody can make comes last.
    mmi_sql_t query = mmi_sql_begin(mmi_desk_db(self->desk),
                                    COLUMNS "WHERE (?1 = '' OR join_ask.state = ?1) AND (?2 = '' OR site.name = ?2)"
                                            " ORDER BY join_ask.state = 'waiting' DESC, join_ask.state = 'unproved',"
                                            " join_ask.id DESC LIMIT ?3");
    mmi_sql_put_text(&query, all ? "" : state);
    mmi_sql_put_text(&query, site != NULL ? site : "");
    mmi_sql_put_integer(&query, limit);
    bool good = true;
    while (good && mmi_sql_row(&query)) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(list, item);
        good = add_join(self, item, &query);
    }
    good = mmi_sql_end(&query) && good && add_rules(self) && add_dropped(self);
    if (!good) {
        fail_database(self);
    }
}

static void show_join(mm_api_request_t *self, int64_t id) {
    mmi_sql_t query = mmi_sql_begin(mmi_desk_db(self->desk), COLUMNS "WHERE join_ask.id = ?");
    mmi_sql_put_integer(&query, id);
    bool good = true;
    if (mmi_sql_row(&query)) {
        good = add_join(self, cJSON_AddObjectToObject(self->answer, "join"), &query);
    }
    if (!mmi_sql_end(&query) || !good) {
        fail_database(self);
    }
}

// --- deciding

static void take_decision(mm_api_request_t *self, mm_desk_result_t result, bool repeated, const mm_hq_error_t *error) {
    if (mm_api_take_result(self, result, error)) {
        self->changed = !repeated;
        self->status = repeated ? 200 : 201;
        show_join(self, self->id);
    }
}

static void post_admit(mm_api_request_t *self) {
    static const char *const members[] = {"request", NULL};
    mm_hq_error_t error = {{0}};
    bool repeated = false;
    mm_api_check_members(self, self->body, members);
    const char *request = mm_api_text(self, "request", 1, MM_JOINS_REQUEST_CHARS_MAX);
    if (!mm_api_has_failed(self)) {
        mm_desk_result_t result =
            mm_joins_admit(self->desk, self->id, request, self->operator_name, self->now_us, &repeated, &error);
        take_decision(self, result, repeated, &error);
    }
}

static void post_refuse(mm_api_request_t *self) {
    static const char *const members[] = {"request", "reason", NULL};
    mm_hq_error_t error = {{0}};
    bool repeated = false;
    mm_api_check_members(self, self->body, members);
    const char *request = mm_api_text(self, "request", 1, MM_JOINS_REQUEST_CHARS_MAX);
    const char *reason = mm_api_text(self, "reason", 1, MM_JOINS_REASON_CHARS_MAX);
    if (!mm_api_has_failed(self)) {
        mm_desk_result_t result = mm_joins_refuse(self->desk, self->id, request, reason, self->operator_name,
                                                  self->now_us, &repeated, &error);
        take_decision(self, result, repeated, &error);
    }
}

const mm_api_route_t mm_api_join_routes[] = {
    {"GET", "joins", true, get_joins},
    {"POST", "joins/#/admit", true, post_admit},
    {"POST", "joins/#/refuse", true, post_refuse},
    {0},
};
