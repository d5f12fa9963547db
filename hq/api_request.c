// SPDX-License-Identifier: Apache-2.0
#include "api_request.h"

#include "store_query.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mm_api_fail(mm_api_request_t *self, int status, const char *format, ...) {
    if (mm_api_has_failed(self)) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->problem, sizeof self->problem, format, arguments);
    va_end(arguments);
    self->status = status;
}

bool mm_api_has_failed(const mm_api_request_t *self) {
    return self->status >= 400;
}

bool mm_api_take_result(mm_api_request_t *self, mm_desk_result_t result, const mm_hq_error_t *error) {
    static const int statuses[] = {
        [MM_DESK_OK] = 200,          [MM_DESK_REFUSED] = 400,  [MM_DESK_NOT_FOUND] = 404,
        [MM_DESK_UNAVAILABLE] = 503, [MM_DESK_CONFLICT] = 409,
    };
    if (result != MM_DESK_OK) {
        mm_api_fail(self, statuses[result], "%s", error->text);
    }
    return result == MM_DESK_OK;
}

static bool is_one_of(const char *name, const char *const *names) {
    while (*names != NULL && strcmp(name, *names) != 0) {
        names++;
    }
    return *names != NULL;
}

bool mm_api_check_members(mm_api_request_t *self, const cJSON *object, const char *const *names) {
    const cJSON *item;
    cJSON_ArrayForEach(item, object) {
        if (!is_one_of(item->string, names)) {
            mm_api_fail(self, 400, "%.40s: not known here; see docs/spec/api.md", item->string);
            return false;
        }
        for (const cJSON *other = item->next; other != NULL; other = other->next) {
            if (strcmp(item->string, other->string) == 0) {
                mm_api_fail(self, 400, "%s: given twice", item->string);
                return false;
            }
        }
    }
    return true;
}

const char *mm_api_text(mm_api_request_t *self, const char *name, size_t chars_min, size_t chars_max) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(self->body, name);
    const char *text = cJSON_IsString(item) ? item->valuestring : NULL;
    if (text == NULL || strlen(text) < chars_min || strlen(text) > chars_max) {
        mm_api_fail(self, 400, "%s: a text of %zu to %zu characters is needed", name, chars_min, chars_max);
        return NULL;
    }
    return text;
}

int64_t mm_api_integer(mm_api_request_t *self, const char *name, int64_t low, int64_t high, int64_t otherwise) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(self->body, name);
    if (item == NULL) {
        return otherwise;
    }
    // Compared before it is converted: a number out of range would be anything.
    double number = cJSON_IsNumber(item) ? item->valuedouble : 0;
    bool good = cJSON_IsNumber(item) && number >= -(double)MM_API_INTEGER_MAX && number <= (double)MM_API_INTEGER_MAX &&
                (double)(int64_t)number == number && (int64_t)number >= low && (int64_t)number <= high;
    if (!good) {
        mm_api_fail(self, 400, "%s: a whole number from %lld to %lld is needed", name, (long long)low, (long long)high);
        return otherwise;
    }
    return (int64_t)number;
}

int64_t mm_api_integer_argument(mm_api_request_t *self, const char *name, int64_t low, int64_t high,
                                int64_t otherwise) {
    const char *text = self->argument(self->context, name);
    if (text == NULL || text[0] == '\0') {
        return otherwise;
    }
    char *end = NULL;
    long long number = strtoll(text, &end, 10);
    if (*end != '\0' || number < low || number > high) {
        mm_api_fail(self, 400, "%s must be a whole number from %lld to %lld", name, (long long)low, (long long)high);
        return otherwise;
    }
    return number;
}

void mm_api_add_integer(cJSON *object, const char *name, int64_t value) {
    cJSON_AddNumberToObject(object, name, (double)value);
}

void mm_api_add_mac(cJSON *object, const char *name, mm_mac_t mac) {
    char text[MM_MAC_TEXT_BYTES];
    mm_mac_print(mac, text);
    cJSON_AddStringToObject(object, name, text);
}
