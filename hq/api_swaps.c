// SPDX-License-Identifier: Apache-2.0
#include "api_swaps.h"

#define MICROSECONDS 1000000
#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000

static bool write_swap(void *context, const mm_swap_t *swap) {
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(context, item);
    mm_api_add_integer(item, "id", swap->id);
    cJSON_AddStringToObject(item, "site", swap->site);
    mm_api_add_mac(item, "node", swap->node);
    mm_api_add_integer(item, "channel", swap->channel);
    cJSON_AddStringToObject(item, "before", swap->before);
    cJSON_AddStringToObject(item, "after", swap->after);
    mm_api_add_integer(item, "opened", swap->opened_us / MICROSECONDS);
    mm_api_add_integer(item, "balance_wh", swap->balance_wh);
    mm_api_add_integer(item, "pending_wh", swap->pending_wh);
    cJSON_AddStringToObject(item, "state", swap->state);
    cJSON_AddStringToObject(item, "decided_by", swap->decided_by);
    if (swap->decided_us > 0) {
        mm_api_add_integer(item, "decided", swap->decided_us / MICROSECONDS);
    } else {
        cJSON_AddNullToObject(item, "decided");
    }
    return true;
}

void mm_api_add_swaps(mm_api_request_t *self, bool open_only, int64_t limit) {
    mm_hq_error_t error;
    cJSON *list = cJSON_AddArrayToObject(self->answer, "swaps");
    mm_api_take_result(self, mm_swaps_list(self->desk, open_only, limit, write_swap, list, &error), &error);
}

static void get_swaps(mm_api_request_t *self) {
    int64_t limit = mm_api_integer_argument(self, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT);
    if (!mm_api_has_failed(self)) {
        mm_api_add_swaps(self, false, limit);
    }
}

static void decide(mm_api_request_t *self, mm_swaps_decision_t decision) {
    static const char *const members[] = {"request", NULL};
    mm_hq_error_t error = {{0}};
    bool repeated = false;
    mm_api_check_members(self, self->body, members);
    const char *request = mm_api_text(self, "request", 1, MM_SWAPS_REQUEST_CHARS_MAX);
    if (!mm_api_has_failed(self) &&
        mm_api_take_result(self,
                           mm_swaps_decide(self->desk, self->id, decision, request, self->operator_name, self->now_us,
                                           &repeated, &error),
                           &error)) {
        self->changed = !repeated;
        self->status = repeated ? 200 : 201;
        cJSON_AddStringToObject(self->answer, "state", decision == MM_SWAPS_TRANSFER ? "transferred" : "withdrawn");
    }
}

static void post_transfer(mm_api_request_t *self) {
    decide(self, MM_SWAPS_TRANSFER);
}

static void post_withdraw(mm_api_request_t *self) {
    decide(self, MM_SWAPS_WITHDRAW);
}

const mm_api_route_t mm_api_swap_routes[] = {
    {"GET", "swaps", true, get_swaps},
    {"POST", "swaps/#/transfer", true, post_transfer},
    {"POST", "swaps/#/withdraw", true, post_withdraw},
    {0},
};
