// SPDX-License-Identifier: Apache-2.0
#include "api_request.h"

#include "codes.h"
#include "commands.h"
#include "installations.h"
#include "sql.h"

#include "meshmeter/control.h"

#include <stdio.h>
#include <string.h>

#define MICROSECONDS 1000000
#define AUDIT_DEFAULT 100
#define AUDIT_MAX 1000
#define INSTALLATIONS_DEFAULT 200
#define INSTALLATIONS_MAX 1000

static void fail_database(mm_api_request_t *self) {
    mm_hq_error_t error;
    mm_api_take_result(self, mmi_desk_fail(self->desk, &error), &error);
}

// --- codes

static void take_code(mm_api_request_t *self, const mm_code_request_t *request) {
    mm_hq_error_t error = {{0}};
    mm_code_t code;
    mm_desk_result_t result = mm_code_give(self->desk, request, self->now_us, &code, &error);
    if (code.wait_s != 0) {
        mm_api_fail(self, 429, "%s", error.text);
    } else if (mm_api_take_result(self, result, &error)) {
        cJSON_AddStringToObject(self->answer, "code", code.text);
        mm_api_add_mac(self->answer, "node", code.node);
        mm_api_add_integer(self->answer, "expires_s", code.expires_s);
        self->status = code.repeated ? 200 : 201;
    }
    explicit_bzero(&code, sizeof code);
}

static void post_code(mm_api_request_t *self) {
    static const char *const members[] = {"request", "number", "mac", "caller", NULL};
    mm_api_check_members(self, self->body, members);
    int64_t number = mm_api_integer(self, "number", 0, MM_CHALLENGE_NUMBER_MAX, -1);
    const mm_code_request_t request = {.request = mm_api_text(self, "request", 1, MM_CODE_REQUEST_CHARS_MAX),
                                       .number = (uint32_t)number,
                                       .mac = mm_api_text(self, "mac", 1, MM_API_NAME_CHARS_MAX),
                                       .caller = mm_api_text(self, "caller", 1, MM_CODE_CALLER_CHARS_MAX),
                                       .operator_name = self->operator_name};
    if (number < 0) {
        mm_api_fail(self, 400, "number: the one on the node's display is needed, 0 to %d", MM_CHALLENGE_NUMBER_MAX);
    }
    if (!mm_api_has_failed(self)) {
        take_code(self, &request);
    }
}

static void get_audit(mm_api_request_t *self) {
    int64_t limit = mm_api_integer_argument(self, "limit", 1, AUDIT_MAX, AUDIT_DEFAULT);
    cJSON *list = cJSON_AddArrayToObject(self->answer, "audit");
    if (mm_api_has_failed(self)) {
        return;
    }
    mmi_sql_t query = mmi_sql_begin(mmi_desk_db(self->desk),
                                    "SELECT id, at_us, operator, action, detail FROM audit ORDER BY id DESC LIMIT ?");
    mmi_sql_put_integer(&query, limit);
    while (mmi_sql_row(&query)) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(list, item);
        mm_api_add_integer(item, "id", mmi_sql_integer(&query, 0));
        mm_api_add_integer(item, "at", mmi_sql_integer(&query, 1) / MICROSECONDS);
        cJSON_AddStringToObject(item, "operator", mmi_sql_text(&query, 2));
        cJSON_AddStringToObject(item, "action", mmi_sql_text(&query, 3));
        cJSON_AddStringToObject(item, "detail", mmi_sql_text(&query, 4));
    }
    if (!mmi_sql_end(&query)) {
        fail_database(self);
    }
}

// --- showing installations

#define COLUMNS                                                                                                        \
    "SELECT installation.id, site.name, node.mac, revision, repeated, node_no, province, canton, parish, postal_code," \
    " installer, trust, seconds, received_us, installation.state, decided_by, decided_us, confirmed_us, reason,"       \
    " command.order_id, command.state, command.status, EXISTS (SELECT 1 FROM device_key WHERE device_key.mac ="        \
    " node.mac) FROM installation JOIN node ON node.id = installation.node JOIN site ON site.id = node.site"           \
    " LEFT JOIN command ON command.id = installation.command "

static void add_time(cJSON *item, const char *name, int64_t time_us) {
    if (time_us > 0) {
        mm_api_add_integer(item, name, time_us / MICROSECONDS);
    } else {
        cJSON_AddNullToObject(item, name);
    }
}

static void add_command(cJSON *item, const mmi_sql_t *query) {
    if (mmi_sql_integer(query, 19) == 0) {
        cJSON_AddNullToObject(item, "command");
        return;
    }
    cJSON *command = cJSON_AddObjectToObject(item, "command");
    int64_t status = mmi_sql_integer(query, 21);
    mm_api_add_integer(command, "order", mmi_sql_integer(query, 19));
    cJSON_AddStringToObject(command, "state", mm_command_state_name((int)mmi_sql_integer(query, 20)));
    if (status >= 0) {
        cJSON_AddStringToObject(command, "status", mm_result_status_name((uint8_t)status));
    } else {
        cJSON_AddNullToObject(command, "status");
    }
}

static void add_members(cJSON *item, const mmi_sql_t *query) {
    static const char *const numbers[] = {"node_no", "province", "canton", "parish", "postal_code"};
    mm_api_add_integer(item, "id", mmi_sql_integer(query, 0));
    cJSON_AddStringToObject(item, "site", mmi_sql_text(query, 1));
    mm_api_add_mac(item, "node", mmi_sql_mac(query, 2));
    mm_api_add_integer(item, "revision", mmi_sql_integer(query, 3));
    cJSON_AddBoolToObject(item, "repeated", mmi_sql_integer(query, 4) != 0);
    for (size_t index = 0; index < sizeof numbers / sizeof numbers[0]; index++) {
        mm_api_add_integer(item, numbers[index], mmi_sql_integer(query, 5 + (int)index));
    }
    cJSON_AddStringToObject(item, "installer", mmi_sql_text(query, 10));
    int64_t trust = mmi_sql_integer(query, 11);
    add_time(item, "installed", trust == MM_TRUST_UNSET ? 0 : mmi_sql_integer(query, 12) * MICROSECONDS);
    cJSON_AddStringToObject(item, "time_trust", mm_trust_name((mm_trust_t)trust));
    add_time(item, "received", mmi_sql_integer(query, 13));
    cJSON_AddStringToObject(item, "state", mmi_sql_text(query, 14));
    cJSON_AddStringToObject(item, "decided_by", mmi_sql_text(query, 15));
    add_time(item, "decided", mmi_sql_integer(query, 16));
    add_time(item, "confirmed", mmi_sql_integer(query, 17));
    cJSON_AddStringToObject(item, "reason", mmi_sql_text(query, 18));
    cJSON_AddBoolToObject(item, "has_key", mmi_sql_integer(query, 22) != 0);
    add_command(item, query);
}

// What is not decided yet says who else has an id; of history that would only confuse.
static bool add_meters(mm_api_request_t *self, cJSON *item, int64_t id, bool waiting) {
    cJSON *list = cJSON_AddArrayToObject(item, "meters");
    int conflicts = 0;
    bool good = true;
    mmi_sql_t query =
        mmi_sql_begin(mmi_desk_db(self->desk), "SELECT channel, id, pulse_constant, start_wh, prepaid FROM"
                                               " installation_channel WHERE installation = ?"
                                               " ORDER BY channel");
    mmi_sql_put_integer(&query, id);
    while (good && mmi_sql_row(&query)) {
        mm_mac_t other = {{0}};
        cJSON *meter = cJSON_CreateObject();
        cJSON_AddItemToArray(list, meter);
        mm_api_add_integer(meter, "channel", mmi_sql_integer(&query, 0));
        cJSON_AddStringToObject(meter, "id", mmi_sql_text(&query, 1));
        mm_api_add_integer(meter, "pulse_constant", mmi_sql_integer(&query, 2));
        mm_api_add_integer(meter, "start_wh", mmi_sql_integer(&query, 3));
        cJSON_AddBoolToObject(meter, "prepaid", mmi_sql_integer(&query, 4) != 0);
        good = !waiting ||
               mmi_hq_installation_conflict(mmi_desk_db(self->desk), id, (int)mmi_sql_integer(&query, 0), &other);
        if (mm_mac_is_zero(other)) {
            cJSON_AddNullToObject(meter, "conflict");
        } else {
            mm_api_add_mac(meter, "conflict", other);
            conflicts++;
        }
    }
    mm_api_add_integer(item, "conflicts", conflicts);
    return mmi_sql_end(&query) && good;
}

static bool add_installation(mm_api_request_t *self, cJSON *item, const mmi_sql_t *query) {
    add_members(item, query);
    return add_meters(self, item, mmi_sql_integer(query, 0), strcmp(mmi_sql_text(query, 14), "waiting") == 0);
}

static bool add_rules(mm_api_request_t *self) {
    cJSON *list = cJSON_AddArrayToObject(self->answer, "auto_confirm");
    mmi_sql_t query = mmi_sql_begin(mmi_desk_db(self->desk),
                                    "SELECT name FROM site WHERE (SELECT auto_confirm FROM site_setting WHERE"
                                    " site = site.id ORDER BY id DESC LIMIT 1) ORDER BY name");
    while (mmi_sql_row(&query)) {
        cJSON_AddItemToArray(list, cJSON_CreateString(mmi_sql_text(&query, 0)));
    }
    return mmi_sql_end(&query);
}

static void get_installations(mm_api_request_t *self) {
    const char *state = self->argument(self->context, "state");
    int64_t limit = mm_api_integer_argument(self, "limit", 1, INSTALLATIONS_MAX, INSTALLATIONS_DEFAULT);
    static const char *const states[] = {"all", "waiting", "confirmed", "refused", "superseded"};
    size_t chosen = 0;
    while (state != NULL && state[0] != '\0' && chosen < 5 && strcmp(state, states[chosen]) != 0) {
        chosen++;
    }
    if (chosen == 5) {
        mm_api_fail(self, 400, "state must be waiting, confirmed, refused, superseded or all");
    }
    if (mm_api_has_failed(self)) {
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(self->answer, "installations");
    // Those that wait come first: they are what somebody must do something about.
    mmi_sql_t query =
        mmi_sql_begin(mmi_desk_db(self->desk), COLUMNS "WHERE ?1 = 'all' OR installation.state = ?1 ORDER BY"
                                                       " installation.state = 'waiting' DESC, installation.id DESC"
                                                       " LIMIT ?2");
    mmi_sql_put_text(&query, states[chosen]);
    mmi_sql_put_integer(&query, limit);
    bool good = true;
    while (good && mmi_sql_row(&query)) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(list, item);
        good = add_installation(self, item, &query);
    }
    good = mmi_sql_end(&query) && good && add_rules(self);
    if (!good) {
        fail_database(self);
    }
}

static void show_installation(mm_api_request_t *self, int64_t id) {
    mmi_sql_t query = mmi_sql_begin(mmi_desk_db(self->desk), COLUMNS "WHERE installation.id = ?");
    mmi_sql_put_integer(&query, id);
    bool good = true;
    if (mmi_sql_row(&query)) {
        good = add_installation(self, cJSON_AddObjectToObject(self->answer, "installation"), &query);
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
        show_installation(self, self->id);
    }
}

static void post_confirm(mm_api_request_t *self) {
    static const char *const members[] = {"request", NULL};
    mm_hq_error_t error = {{0}};
    bool repeated = false;
    mm_api_check_members(self, self->body, members);
    const char *request = mm_api_text(self, "request", 1, MM_INSTALLATION_REQUEST_CHARS_MAX);
    if (!mm_api_has_failed(self)) {
        mm_desk_result_t result = mm_installation_confirm(self->desk, self->id, request, self->operator_name,
                                                          self->now_us, &repeated, &error);
        take_decision(self, result, repeated, &error);
    }
}

static void post_refuse(mm_api_request_t *self) {
    static const char *const members[] = {"request", "reason", NULL};
    mm_hq_error_t error = {{0}};
    bool repeated = false;
    mm_api_check_members(self, self->body, members);
    const char *request = mm_api_text(self, "request", 1, MM_INSTALLATION_REQUEST_CHARS_MAX);
    const char *reason = mm_api_text(self, "reason", 1, MM_INSTALLATION_REASON_CHARS_MAX);
    if (!mm_api_has_failed(self)) {
        mm_desk_result_t result = mm_installation_refuse(self->desk, self->id, request, reason, self->operator_name,
                                                         self->now_us, &repeated, &error);
        take_decision(self, result, repeated, &error);
    }
}

static void post_reinstall(mm_api_request_t *self) {
    static const char *const members[] = {"request", NULL};
    mm_hq_error_t error = {{0}};
    mm_mac_t mac;
    bool repeated = false;
    int64_t order_id = 0;
    mm_api_check_members(self, self->body, members);
    const char *request = mm_api_text(self, "request", 1, MM_INSTALLATION_REQUEST_CHARS_MAX);
    if (!mm_mac_parse(self->name, &mac)) {
        mm_api_fail(self, 400, "node must be a MAC like 02:00:00:00:00:01");
    }
    if (!mm_api_has_failed(self) &&
        mm_api_take_result(self,
                           mm_installation_ask_again(self->desk, mac, request, self->operator_name, self->now_us,
                                                     &order_id, &repeated, &error),
                           &error)) {
        self->changed = !repeated;
        self->status = repeated ? 200 : 201;
        mm_api_add_mac(self->answer, "node", mac);
        mm_api_add_integer(self->answer, "order", order_id);
    }
}

const mm_api_route_t mm_api_installation_routes[] = {
    {"POST", "codes", true, post_code},
    {"GET", "audit", true, get_audit},
    {"GET", "installations", true, get_installations},
    {"POST", "installations/#/confirm", true, post_confirm},
    {"POST", "installations/#/refuse", true, post_refuse},
    {"POST", "nodes/*/reinstall", true, post_reinstall},
    {0},
};
