// SPDX-License-Identifier: Apache-2.0
#include "tariff.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#define JSON_INTEGER_MAX INT64_C(9007199254740991) // what a JSON number holds exactly

static bool is_among(const char *name, const char *const *names) {
    for (size_t index = 0; names[index] != NULL; index++) {
        if (strcmp(name, names[index]) == 0) {
            return true;
        }
    }
    return false;
}

// Every member is known, and none is there twice.
static bool check_members(const cJSON *object, const char *const *names, mm_hq_error_t *error) {
    if (!cJSON_IsObject(object)) {
        mm_hq_error_set(error, "a JSON object is expected");
        return false;
    }
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        if (!is_among(item->string, names)) {
            mm_hq_error_set(error, "\"%.40s\" is not known here", item->string);
            return false;
        }
        if (cJSON_GetObjectItemCaseSensitive(object, item->string) != item) {
            mm_hq_error_set(error, "\"%.40s\" is there twice", item->string);
            return false;
        }
    }
    return true;
}

static bool take_integer(const cJSON *item, const char *name, int64_t *value, mm_hq_error_t *error) {
    double number = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(number >= 0) || number > (double)JSON_INTEGER_MAX || (double)(int64_t)number != number) {
        mm_hq_error_set(error, "%s must be a whole number, 0 or more", name);
        return false;
    }
    *value = (int64_t)number;
    return true;
}

static bool read_integer(const cJSON *object, const char *name, int64_t *value, mm_hq_error_t *error) {
    return take_integer(cJSON_GetObjectItemCaseSensitive(object, name), name, value, error);
}

static bool read_text(const cJSON *object, const char *name, char *text, size_t text_bytes, mm_hq_error_t *error) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsString(item) || strlen(item->valuestring) >= text_bytes) {
        mm_hq_error_set(error, "%s must be a text of at most %zu characters", name, text_bytes - 1);
        return false;
    }
    snprintf(text, text_bytes, "%s", item->valuestring);
    return true;
}

static bool read_band(const cJSON *object, mm_tariff_band_t *band, mm_hq_error_t *error) {
    static const char *const names[] = {"days", "from_hour", "to_hour", "price_minor_per_kwh", NULL};
    int64_t from_hour;
    int64_t to_hour;
    if (!check_members(object, names, error) || !read_integer(object, "from_hour", &from_hour, error) ||
        !read_integer(object, "to_hour", &to_hour, error) ||
        !read_integer(object, "price_minor_per_kwh", &band->price_minor_per_kwh, error)) {
        return false;
    }
    const cJSON *days = cJSON_GetObjectItemCaseSensitive(object, "days");
    const cJSON *item;
    cJSON_ArrayForEach(item, days) {
        int64_t day;
        if (!take_integer(item, "a day", &day, error)) {
            return false;
        }
        // A wrong one is refused by the check.
        band->days = (uint8_t)(band->days | (day < 7 ? 1u << day : 0x80u));
    }
    band->from_hour = (uint8_t)(from_hour < UINT8_MAX ? from_hour : UINT8_MAX);
    band->to_hour = (uint8_t)(to_hour < UINT8_MAX ? to_hour : UINT8_MAX);
    return true;
}

static bool read_block(const cJSON *object, mm_tariff_block_t *block, mm_hq_error_t *error) {
    static const char *const names[] = {"up_to_wh", "price_minor_per_kwh", NULL};
    return check_members(object, names, error) && read_integer(object, "up_to_wh", &block->up_to_wh, error) &&
           read_integer(object, "price_minor_per_kwh", &block->price_minor_per_kwh, error);
}

// A missing list is an empty one.
static bool read_count(const cJSON *object, const char *name, int count_max, int *count, mm_hq_error_t *error) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, name);
    *count = list != NULL ? cJSON_GetArraySize(list) : 0;
    if ((list != NULL && !cJSON_IsArray(list)) || *count > count_max) {
        mm_hq_error_set(error, "%s must be a list of at most %d", name, count_max);
        return false;
    }
    return true;
}

bool mm_tariff_read(const cJSON *object, mm_tariff_t *self, mm_hq_error_t *error) {
    static const char *const names[] = {"request", "name", "currency", "decimals", "tax_ppm", "bands", "blocks", NULL};
    int64_t decimals;
    memset(self, 0, sizeof *self);
    if (!check_members(object, names, error) || !read_text(object, "name", self->name, sizeof self->name, error) ||
        !read_text(object, "currency", self->currency, sizeof self->currency, error) ||
        !read_integer(object, "decimals", &decimals, error) ||
        !read_integer(object, "tax_ppm", &self->tax_ppm, error) ||
        !read_count(object, "bands", MM_TARIFF_BANDS_MAX, &self->band_count, error) ||
        !read_count(object, "blocks", MM_TARIFF_BLOCKS_MAX, &self->block_count, error)) {
        return false;
    }
    self->decimals = decimals < INT8_MAX ? (int)decimals : INT8_MAX;
    const cJSON *item;
    int index = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, "bands")) {
        if (!read_band(item, &self->bands[index++], error)) {
            return false;
        }
    }
    index = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, "blocks")) {
        if (!read_block(item, &self->blocks[index++], error)) {
            return false;
        }
    }
    return mm_tariff_check(self, error);
}

static void write_bands(const mm_tariff_t *self, cJSON *list) {
    for (int index = 0; index < self->band_count; index++) {
        const mm_tariff_band_t *band = &self->bands[index];
        cJSON *item = cJSON_CreateObject();
        cJSON *days = cJSON_AddArrayToObject(item, "days");
        for (int day = 0; day < 7; day++) {
            if ((band->days >> day & 1) != 0) {
                cJSON_AddItemToArray(days, cJSON_CreateNumber(day));
            }
        }
        cJSON_AddNumberToObject(item, "from_hour", band->from_hour);
        cJSON_AddNumberToObject(item, "to_hour", band->to_hour);
        cJSON_AddNumberToObject(item, "price_minor_per_kwh", (double)band->price_minor_per_kwh);
        cJSON_AddItemToArray(list, item);
    }
}

cJSON *mm_tariff_write(const mm_tariff_t *self) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", self->name);
    cJSON_AddStringToObject(object, "currency", self->currency);
    cJSON_AddNumberToObject(object, "decimals", self->decimals);
    cJSON_AddNumberToObject(object, "tax_ppm", (double)self->tax_ppm);
    write_bands(self, cJSON_AddArrayToObject(object, "bands"));
    cJSON *blocks = cJSON_AddArrayToObject(object, "blocks");
    for (int index = 0; index < self->block_count; index++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddNumberToObject(item, "up_to_wh", (double)self->blocks[index].up_to_wh);
        cJSON_AddNumberToObject(item, "price_minor_per_kwh", (double)self->blocks[index].price_minor_per_kwh);
        cJSON_AddItemToArray(blocks, item);
    }
    return object;
}
