// SPDX-License-Identifier: Apache-2.0
#include "api_request.h"

#include "command_arguments.h"
#include "command_detail.h"
#include "commands.h"
#include "sql.h"

#include "meshmeter/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MICROSECONDS 1000000
#define ORDERS_DEFAULT 50
#define ORDERS_MAX 500
#define REQUEST_CHARS_MAX 64
#define TARGET_CHARS_MAX 64
#define KIND_CHARS_MAX 32
#define ARGUMENTS_MAX 8
#define ARGUMENT_CHARS_MAX 320
#define PRIORITY_ORDINARY 5
#define PRIORITY_MAX 9
/// Ten years.
#define EXPIRES_S_MAX INT64_C(315360000)

static void answer_operator(mm_api_request_t *self) {
    cJSON_AddStringToObject(self->answer, "name", self->operator_name);
}

static void fail_database(mm_api_request_t *self) {
    mm_hq_error_t error;
    mm_api_take_result(self, mmi_desk_fail(self->desk, &error), &error);
}

// --- showing

#define ORDER_COLUMNS "id, request, operator, created_us, target, kind, arguments, priority, not_after_s"

static void add_order_members(cJSON *item, const mmi_sql_t *query) {
    mm_api_add_integer(item, "id", mmi_sql_integer(query, 0));
    cJSON_AddStringToObject(item, "request", mmi_sql_text(query, 1));
    cJSON_AddStringToObject(item, "operator", mmi_sql_text(query, 2));
    mm_api_add_integer(item, "created", mmi_sql_integer(query, 3) / MICROSECONDS);
    cJSON_AddStringToObject(item, "target", mmi_sql_text(query, 4));
    cJSON_AddStringToObject(item, "kind", mm_command_kind_name((uint8_t)mmi_sql_integer(query, 5)));
    cJSON *arguments = cJSON_Parse(mmi_sql_text(query, 6));
    cJSON_AddItemToObject(item, "arguments", arguments != NULL ? arguments : cJSON_CreateObject());
    mm_api_add_integer(item, "priority", mmi_sql_integer(query, 7));
    mm_api_add_integer(item, "not_after", mmi_sql_integer(query, 8));
}

static bool add_states(mm_api_request_t *self, cJSON *item, int64_t order_id) {
    cJSON *states = cJSON_AddObjectToObject(item, "states");
    mmi_sql_t query =
        mmi_sql_begin(mmi_desk_db(self->desk),
                      "SELECT state, count(*) FROM command WHERE order_id = ? GROUP BY state ORDER BY state");
    mmi_sql_put_integer(&query, order_id);
    while (mmi_sql_row(&query)) {
        mm_api_add_integer(states, mm_command_state_name((int)mmi_sql_integer(&query, 0)), mmi_sql_integer(&query, 1));
    }
    return mmi_sql_end(&query);
}

static void add_time(cJSON *item, const char *name, int64_t time_us) {
    if (time_us > 0) {
        mm_api_add_integer(item, name, time_us / MICROSECONDS);
    } else {
        cJSON_AddNullToObject(item, name);
    }
}

// What HQ itself has ended says why in words; an answer of the node by its kind.
static void add_command_answer(cJSON *item, const mmi_sql_t *query) {
    int64_t state = mmi_sql_integer(query, 5);
    int64_t status = mmi_sql_integer(query, 10);
    // A trial's first answer is no answer to what HQ has given up waiting for.
    bool unknown = state == MM_COMMAND_STATE_EXPIRED && (status < 0 || status == MM_RESULT_TRYING) &&
                   mmi_sql_integer(query, 14) > 0;
    if (unknown) {
        char text[224];
        snprintf(
            text, sizeof text,
            "outcome unknown: asked %lld times without an answer. Look at the device or at what it reports, and order"
            " it again if it was not done",
            (long long)mmi_sql_integer(query, 14));
        cJSON_AddNullToObject(item, "status");
        cJSON_AddStringToObject(item, "detail", text);
        return;
    }
    if (status >= 0) {
        size_t bytes_count;
        const void *bytes = mmi_sql_bytes(query, 11, &bytes_count);
        cJSON_AddStringToObject(item, "status", mm_result_status_name((uint8_t)status));
        cJSON_AddItemToObject(item, "detail",
                              mm_command_detail_json((uint8_t)mmi_sql_integer(query, 12), bytes, bytes_count));
        return;
    }
    cJSON_AddNullToObject(item, "status");
    bool lost =
        state == MM_COMMAND_STATE_EXPIRED &&
        (mmi_sql_integer(query, 13) == 0 || mmi_sql_integer(query, 13) >= mmi_sql_integer(query, 9) / MICROSECONDS);
    if (lost) {
        cJSON_AddStringToObject(item, "detail",
                                "the answer is lost with the node's memory; it may have been carried out");
    } else {
        cJSON_AddNullToObject(item, "detail");
    }
}

static void add_command(cJSON *list, const mmi_sql_t *query) {
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(list, item);
    mm_api_add_integer(item, "id", mmi_sql_integer(query, 0));
    cJSON_AddStringToObject(item, "site", mmi_sql_text(query, 1));
    mm_api_add_mac(item, "node", mmi_sql_mac(query, 2));
    if (mmi_sql_integer(query, 3) < MM_CHANNELS) {
        mm_api_add_integer(item, "channel", mmi_sql_integer(query, 3));
        cJSON_AddStringToObject(item, "meter", mmi_sql_text(query, 4));
    } else {
        cJSON_AddNullToObject(item, "channel");
        cJSON_AddNullToObject(item, "meter");
    }
    cJSON_AddStringToObject(item, "state", mm_command_state_name((int)mmi_sql_integer(query, 5)));
    add_time(item, "created", mmi_sql_integer(query, 6));
    add_time(item, "sent", mmi_sql_integer(query, 7));
    add_time(item, "accepted", mmi_sql_integer(query, 8));
    add_time(item, "ended", mmi_sql_integer(query, 9));
    mm_api_add_integer(item, "asked", mmi_sql_integer(query, 14));
    add_command_answer(item, query);
}

static bool add_commands(mm_api_request_t *self, cJSON *item, int64_t order_id) {
    cJSON *list = cJSON_AddArrayToObject(item, "commands");
    mmi_sql_t query =
        mmi_sql_begin(mmi_desk_db(self->desk),
                      "SELECT command.id, site.name, node.mac, command.channel, ifnull(meter.id, ''), command.state,"
                      " command.created_us, sent_us, accepted_us, ended_us, status, detail, command.kind, not_after_s,"
                      " asked FROM command JOIN node ON node.id = command.node JOIN site ON site.id = node.site"
                      " LEFT JOIN meter ON meter.node = command.node AND meter.channel = command.channel"
                      " WHERE command.order_id = ? ORDER BY command.id");
    mmi_sql_put_integer(&query, order_id);
    while (mmi_sql_row(&query)) {
        add_command(list, &query);
    }
    return mmi_sql_end(&query);
}

// The order with its commands as members of `item`.
static void show_order(mm_api_request_t *self, cJSON *item, int64_t order_id) {
    mmi_sql_t query =
        mmi_sql_begin(mmi_desk_db(self->desk), "SELECT " ORDER_COLUMNS " FROM command_order WHERE id = ?");
    mmi_sql_put_integer(&query, order_id);
    bool found = mmi_sql_row(&query);
    if (found) {
        add_order_members(item, &query);
    }
    if (!mmi_sql_end(&query)) {
        fail_database(self);
    } else if (!found) {
        mm_api_fail(self, 404, "there is no order %lld", (long long)order_id);
    } else if (!add_states(self, item, order_id) || !add_commands(self, item, order_id)) {
        fail_database(self);
    }
}

static void answer_order(mm_api_request_t *self) {
    show_order(self, self->answer, self->id);
}

static void answer_orders(mm_api_request_t *self) {
    int64_t limit = mm_api_integer_argument(self, "limit", 1, ORDERS_MAX, ORDERS_DEFAULT);
    cJSON *list = cJSON_AddArrayToObject(self->answer, "orders");
    if (mm_api_has_failed(self)) {
        return;
    }
    mmi_sql_t query =
        mmi_sql_begin(mmi_desk_db(self->desk), "SELECT " ORDER_COLUMNS " FROM command_order ORDER BY id DESC LIMIT ?");
    mmi_sql_put_integer(&query, limit);
    bool good = true;
    while (good && mmi_sql_row(&query)) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(list, item);
        add_order_members(item, &query);
        good = add_states(self, item, mmi_sql_integer(&query, 0));
    }
    good = mmi_sql_end(&query) && good;
    if (!good) {
        fail_database(self);
    }
}

// --- ordering

/// The arguments of a request as mm_order wants them.
typedef struct {
    char texts[ARGUMENTS_MAX][ARGUMENT_CHARS_MAX];
    const char *list[ARGUMENTS_MAX + 1];
} arguments_t;

// "key=value"; a number as it was written, as far as JSON keeps it.
static bool take_argument(mm_api_request_t *self, const cJSON *item, char text[ARGUMENT_CHARS_MAX]) {
    int length = -1;
    if (cJSON_IsString(item)) {
        length = snprintf(text, ARGUMENT_CHARS_MAX, "%s=%s", item->string, item->valuestring);
    } else if (cJSON_IsBool(item)) {
        length = snprintf(text, ARGUMENT_CHARS_MAX, "%s=%d", item->string, cJSON_IsTrue(item) ? 1 : 0);
    } else if (cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= (double)MM_API_INTEGER_MAX &&
               (double)(int64_t)item->valuedouble == item->valuedouble) {
        length = snprintf(text, ARGUMENT_CHARS_MAX, "%s=%lld", item->string, (long long)item->valuedouble);
    }
    if (length < 0 || length >= ARGUMENT_CHARS_MAX) {
        mm_api_fail(self, 400, "%.40s: a text or a whole number is needed", item->string);
        return false;
    }
    return true;
}

static bool take_arguments(mm_api_request_t *self, arguments_t *arguments) {
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(self->body, "arguments");
    size_t count = 0;
    if (object != NULL && !cJSON_IsObject(object)) {
        mm_api_fail(self, 400, "arguments: an object is needed");
        return false;
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, object) {
        if (count == ARGUMENTS_MAX) {
            mm_api_fail(self, 400, "arguments: at most %d", ARGUMENTS_MAX);
            return false;
        }
        if (!take_argument(self, item, arguments->texts[count])) {
            return false;
        }
        arguments->list[count] = arguments->texts[count];
        count++;
    }
    return true;
}

static void make_order(mm_api_request_t *self, const arguments_t *arguments) {
    mm_hq_error_t error = {{0}};
    int64_t expires_s = mm_api_integer(self, "expires_s", 1, EXPIRES_S_MAX, 0);
    const mm_order_request_t request = {
        .request = mm_api_text(self, "request", 1, REQUEST_CHARS_MAX),
        .target = mm_api_text(self, "target", 1, TARGET_CHARS_MAX),
        .kind = mm_api_text(self, "kind", 1, KIND_CHARS_MAX),
        .arguments = arguments->list,
        .priority = (int)mm_api_integer(self, "priority", 0, PRIORITY_MAX, PRIORITY_ORDINARY),
        .not_after_s = expires_s > 0 ? self->now_us / MICROSECONDS + expires_s : 0,
        .operator_name = self->operator_name,
    };
    if (mm_api_has_failed(self)) {
        return;
    }
    int64_t order_id;
    bool repeated = mm_order_of_request(self->desk, request.request) != 0;
    if (mm_api_take_result(self, mm_order(self->desk, &request, self->now_us, &order_id, &error), &error)) {
        self->changed = !repeated;
        self->status = repeated ? 200 : 201;
        show_order(self, cJSON_AddObjectToObject(self->answer, "order"), order_id);
    }
}

static void answer_new_order(mm_api_request_t *self) {
    static const char *const members[] = {"request", "target", "kind", "arguments", "priority", "expires_s", NULL};
    arguments_t *arguments = calloc(1, sizeof *arguments);
    if (arguments == NULL) {
        mm_api_fail(self, 503, "out of memory");
        return;
    }
    if (mm_api_check_members(self, self->body, members) && take_arguments(self, arguments)) {
        make_order(self, arguments);
    }
    // A password may be in it.
    explicit_bzero(arguments, sizeof *arguments);
    free(arguments);
}

static void answer_withdraw(mm_api_request_t *self) {
    static const char *const members[] = {"request", NULL};
    mm_hq_error_t error = {{0}};
    int withdrawn = 0;
    if (mm_api_check_members(self, self->body, members) &&
        mm_api_take_result(
            self, mm_order_withdraw(self->desk, self->id, self->operator_name, self->now_us, &withdrawn, &error),
            &error)) {
        self->changed = withdrawn > 0;
        mm_api_add_integer(self->answer, "withdrawn", withdrawn);
    }
}

const mm_api_route_t mm_api_order_routes[] = {
    {"GET", "operator", true, answer_operator},           {"GET", "orders", true, answer_orders},
    {"POST", "orders", true, answer_new_order},           {"GET", "orders/#", true, answer_order},
    {"POST", "orders/#/withdraw", true, answer_withdraw}, {0},
};
