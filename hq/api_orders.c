// SPDX-License-Identifier: Apache-2.0
#include "api_request.h"

static void answer_operator(mm_api_request_t *self) {
    cJSON_AddStringToObject(self->answer, "name", self->operator_name);
}

const mm_api_route_t mm_api_order_routes[] = {
    {"GET", "operator", true, answer_operator},
    {0},
};
