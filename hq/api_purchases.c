// SPDX-License-Identifier: Apache-2.0
#include "api_request.h"
#include "api_swaps.h"
#include "tariffs.h"
#include "vending.h"

#include <string.h>

#define MICROSECONDS 1000000
#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000

// --- purchases

static cJSON *write_purchase(const mm_sale_t *sale) {
    cJSON *item = cJSON_CreateObject();
    mm_api_add_integer(item, "id", sale->id);
    cJSON_AddStringToObject(item, "request", sale->request);
    cJSON_AddStringToObject(item, "operator", sale->operator_name);
    mm_api_add_integer(item, "created", sale->created_us / MICROSECONDS);
    cJSON_AddStringToObject(item, "meter", sale->meter);
    cJSON_AddStringToObject(item, "site", sale->site);
    mm_api_add_mac(item, "node", sale->node);
    mm_api_add_integer(item, "channel", sale->channel);
    cJSON_AddStringToObject(item, "state", sale->state);
    mm_api_add_integer(item, "energy_wh", sale->amount_wh);
    mm_api_add_integer(item, "count", sale->count);
    cJSON_AddStringToObject(item, "token", sale->token);
    cJSON_AddStringToObject(item, "token_restricted", sale->token_restricted);
    cJSON_AddStringToObject(item, "currency", sale->currency);
    mm_api_add_integer(item, "decimals", sale->decimals);
    mm_api_add_integer(item, "money_minor", sale->money_minor);
    mm_api_add_integer(item, "tax_minor", sale->tax_minor);
    mm_api_add_integer(item, "remainder_milli", sale->remainder_milli);
    mm_api_add_integer(item, "ended", sale->ended_us / MICROSECONDS);
    cJSON_AddStringToObject(item, "by", sale->ended_by);
    return item;
}

static void post_purchase(mm_api_request_t *self) {
    static const char *const names[] = {"request", "meter", "energy_wh", "money_minor", NULL};
    mm_hq_error_t error;
    mm_sale_t sale;
    if (!mm_api_check_members(self, self->body, names)) {
        return;
    }
    // Whatever the number is, the desk says what is wrong with it.
    const mm_vend_request_t request = {
        .request = mm_api_text(self, "request", 1, MM_VENDING_REQUEST_CHARS_MAX),
        .meter = mm_api_text(self, "meter", 1, 40),
        .amount_wh = mm_api_integer(self, "energy_wh", -MM_API_INTEGER_MAX, MM_API_INTEGER_MAX, 0),
        .money_minor = mm_api_integer(self, "money_minor", -MM_API_INTEGER_MAX, MM_API_INTEGER_MAX, 0),
        .operator_name = self->operator_name};
    if (!mm_api_has_failed(self) &&
        mm_api_take_result(self, mm_vend(self->desk, &request, self->now_us, &sale, &error), &error)) {
        cJSON_AddItemToObject(self->answer, "purchase", write_purchase(&sale));
        self->status = sale.repeated ? 200 : 201;
        self->changed = !sale.repeated;
    }
}

static bool list_purchase(void *context, const mm_sale_t *sale) {
    cJSON_AddItemToArray(context, write_purchase(sale));
    return true;
}

static void get_purchases(mm_api_request_t *self) {
    mm_hq_error_t error;
    const char *meter = self->argument(self->context, "meter");
    int64_t limit = mm_api_integer_argument(self, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT);
    cJSON *list = cJSON_AddArrayToObject(self->answer, "purchases");
    if (!mm_api_has_failed(self)) {
        mm_api_take_result(self, mm_vend_list(self->desk, meter, limit, list_purchase, list, &error), &error);
    }
}

static void get_purchase(mm_api_request_t *self) {
    mm_hq_error_t error;
    mm_sale_t sale;
    if (mm_api_take_result(self, mm_vend_receipt(self->desk, self->id, &sale, &error), &error)) {
        cJSON_AddItemToObject(self->answer, "purchase", write_purchase(&sale));
    }
}

static void post_void(mm_api_request_t *self) {
    static const char *const names[] = {NULL};
    mm_hq_error_t error;
    if (mm_api_check_members(self, self->body, names) &&
        mm_api_take_result(self, mm_vend_void(self->desk, self->id, self->operator_name, self->now_us, &error),
                           &error)) {
        self->changed = true;
        get_purchase(self);
    }
}

// --- books

typedef struct {
    cJSON *meters;
    cJSON *ledger;
    bool balanced;
} books_t;

static bool add_meter(void *context, const mm_books_line_t *line) {
    books_t *self = context;
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(self->meters, item);
    cJSON_AddStringToObject(item, "site", line->site);
    mm_api_add_mac(item, "node", line->node);
    mm_api_add_integer(item, "channel", line->channel);
    cJSON_AddStringToObject(item, "meter", line->meter);
    mm_api_add_integer(item, "issued_wh", line->issued_wh);
    mm_api_add_integer(item, "applied_wh", line->applied_wh);
    mm_api_add_integer(item, "pending_wh", line->pending_wh);
    mm_api_add_integer(item, "void_wh", line->void_wh);
    mm_api_add_integer(item, "lost_wh", line->lost_wh);
    mm_api_add_integer(item, "other_wh", line->other_wh);
    mm_api_add_integer(item, "balance_wh", line->balance_wh);
    mm_api_add_integer(item, "consumed_wh", line->consumed_wh);
    mm_api_add_integer(item, "sold_difference_wh", line->sold_difference_wh);
    mm_api_add_integer(item, "used_difference_wh", line->used_difference_wh);
    cJSON_AddBoolToObject(item, "settled", line->settled);
    self->balanced = self->balanced && mm_books_line_balances(line);
    return true;
}

static bool add_unit(void *context, const mm_ledger_line_t *line) {
    books_t *self = context;
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(self->ledger, item);
    cJSON_AddStringToObject(item, "unit", line->unit);
    mm_api_add_integer(item, "debits", line->debits);
    mm_api_add_integer(item, "credits", line->credits);
    cJSON_AddBoolToObject(item, "sums_agree", line->sums_agree);
    self->balanced = self->balanced && line->debits == line->credits && line->sums_agree;
    return true;
}

static void get_books(mm_api_request_t *self) {
    mm_hq_error_t error;
    books_t books = {.balanced = true};
    cJSON_AddBoolToObject(self->answer, "balanced", true);
    books.meters = cJSON_AddArrayToObject(self->answer, "meters");
    books.ledger = cJSON_AddArrayToObject(self->answer, "ledger");
    if (mm_api_take_result(self, mm_reconcile(self->desk, add_meter, &books, &error), &error) &&
        mm_api_take_result(self, mm_ledger(self->desk, add_unit, &books, &error), &error) && !books.balanced) {
        cJSON_ReplaceItemInObject(self->answer, "balanced", cJSON_CreateFalse());
    }
    if (!mm_api_has_failed(self)) {
        mm_api_add_swaps(self, true, MM_API_SWAPS_OPEN_MAX);
    }
}

// --- tariffs and settings

static bool list_tariff(void *context, const mm_tariff_t *tariff) {
    cJSON_AddItemToArray(context, mm_tariff_write(tariff));
    return true;
}

static void get_tariffs(mm_api_request_t *self) {
    mm_hq_error_t error;
    cJSON *list = cJSON_AddArrayToObject(self->answer, "tariffs");
    mm_api_take_result(self, mm_tariffs_list(self->desk, list_tariff, list, &error), &error);
}

static void post_tariff(mm_api_request_t *self) {
    mm_hq_error_t error;
    mm_tariff_t tariff;
    bool repeated = false;
    const char *request = mm_api_text(self, "request", 1, MM_VENDING_REQUEST_CHARS_MAX);
    if (mm_api_has_failed(self)) {
        return;
    }
    if (!mm_tariff_read(self->body, &tariff, &error)) {
        mm_api_fail(self, 400, "%s", error.text);
    } else if (mm_api_take_result(
                   self,
                   mm_tariffs_put(self->desk, request, &tariff, self->operator_name, self->now_us, &repeated, &error),
                   &error)) {
        cJSON_AddItemToObject(self->answer, "tariff", mm_tariff_write(&tariff));
        self->status = repeated ? 200 : 201;
    }
}

// A rule of the site: 0 off, 1 on, -1 as before.
static int rule_of(mm_api_request_t *self, const char *name) {
    const cJSON *rule = cJSON_GetObjectItemCaseSensitive(self->body, name);
    if (rule != NULL && !cJSON_IsBool(rule)) {
        mm_api_fail(self, 400, "%s: true or false is needed", name);
    }
    return rule == NULL ? -1 : cJSON_IsTrue(rule) ? 1 : 0;
}

static void post_settings(mm_api_request_t *self) {
    static const char *const names[] = {"request", "token_unit_wh", "tariff", "auto_confirm", "auto_join", NULL};
    mm_hq_error_t error;
    mm_site_settings_t settings = {.token_unit_wh = MM_VENDING_UNIT_WH};
    bool repeated = false;
    if (!mm_api_check_members(self, self->body, names)) {
        return;
    }
    const char *request = mm_api_text(self, "request", 1, MM_VENDING_REQUEST_CHARS_MAX);
    settings.token_unit_wh =
        mm_api_integer(self, "token_unit_wh", -MM_API_INTEGER_MAX, MM_API_INTEGER_MAX, MM_VENDING_UNIT_WH);
    if (settings.token_unit_wh == 0) {
        // Zero is no unit; inside it stands for "as before".
        mm_api_fail(self, 400, "token_unit_wh must be 1 to %d", MM_VENDING_UNIT_WH_MAX);
    }
    if (cJSON_HasObjectItem(self->body, "tariff")) {
        const char *tariff = mm_api_text(self, "tariff", 0, MM_TARIFF_NAME_CHARS_MAX);
        memcpy(settings.tariff, tariff != NULL ? tariff : "", tariff != NULL ? strlen(tariff) : 0);
    }
    settings.auto_confirm = rule_of(self, "auto_confirm");
    settings.auto_join = rule_of(self, "auto_join");
    if ((settings.auto_confirm >= 0 || settings.auto_join >= 0) && !cJSON_HasObjectItem(self->body, "token_unit_wh") &&
        !cJSON_HasObjectItem(self->body, "tariff")) {
        settings.token_unit_wh = 0; // the rules alone
    }
    if (!mm_api_has_failed(self) &&
        mm_api_take_result(self,
                           mm_site_settings_put(self->desk, request, self->name, &settings, self->operator_name,
                                                self->now_us, &repeated, &error),
                           &error)) {
        cJSON_AddStringToObject(self->answer, "site", self->name);
        if (settings.token_unit_wh != 0) {
            mm_api_add_integer(self->answer, "token_unit_wh", settings.token_unit_wh);
            cJSON_AddStringToObject(self->answer, "tariff", settings.tariff);
        }
        if (settings.auto_confirm >= 0) {
            cJSON_AddBoolToObject(self->answer, "auto_confirm", settings.auto_confirm == 1);
        }
        if (settings.auto_join >= 0) {
            cJSON_AddBoolToObject(self->answer, "auto_join", settings.auto_join == 1);
        }
        self->status = repeated ? 200 : 201;
    }
}

const mm_api_route_t mm_api_purchase_routes[] = {
    {"POST", "purchases", true, post_purchase},
    {"GET", "purchases", true, get_purchases},
    {"GET", "purchases/#", true, get_purchase},
    {"POST", "purchases/#/void", true, post_void},
    {"GET", "books", true, get_books},
    {"GET", "tariffs", false, get_tariffs},
    {"POST", "tariffs", true, post_tariff},
    {"POST", "sites/*/settings", true, post_settings},
    {0},
};
