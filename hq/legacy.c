// SPDX-License-Identifier: Apache-2.0
#include "legacy.h"

#include "meshmeter/bytes.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Largest integer that a double holds exactly, with all below it.
#define JSON_INTEGER_MAX 9007199254740991.0

typedef struct {
    mm_legacy_reading_fn reading;
    mm_legacy_reject_fn reject;
    void *context;
    uint32_t found; ///< meters and rejects
} sink_t;

const char *mm_legacy_form_name(mm_legacy_form_t form) {
    switch (form) {
    case MM_LEGACY_BINARY:
        return "legacy_binary";
    case MM_LEGACY_JSON:
        return "legacy_json";
    default:
        return "none";
    }
}

mm_legacy_form_t mm_legacy_classify(const void *bytes, size_t bytes_count) {
    // Binary first: a record of node 48 … 57 begins with a digit, and a JSON parser would take it for a number.
    mm_reader_t reader = mm_reader(bytes, bytes_count);
    uint32_t count = mm_get_u32(&reader);
    if (!reader.failed && count >= 1 && count <= MM_LEGACY_RECORDS_MAX &&
        bytes_count == MM_LEGACY_HEADER_BYTES + (size_t)count * MM_LEGACY_RECORD_BYTES) {
        return MM_LEGACY_BINARY;
    }
    const char *text = bytes;
    size_t offset = 0;
    while (offset < bytes_count && strchr(" \t\r\n", text[offset]) != NULL && text[offset] != '\0') {
        offset++;
    }
    if (offset == bytes_count || (text[offset] != '{' && text[offset] != '[')) {
        return MM_LEGACY_NONE;
    }
    return memchr(bytes, 0, bytes_count) == NULL ? MM_LEGACY_JSON : MM_LEGACY_NONE;
}

// The field is not necessarily terminated, and blank ones hold spaces or zeros. Empty if it is no id.
static bool take_id(const uint8_t *field, size_t field_bytes, char id[MM_METER_ID_CHARS_MAX + 1]) {
    size_t used = 0;
    while (used < field_bytes && used < MM_METER_ID_CHARS_MAX && field[used] != 0) {
        if (field[used] < 0x20 || field[used] > 0x7E) {
            return false;
        }
        id[used] = (char)field[used];
        used++;
    }
    while (used > 0 && id[used - 1] == ' ') {
        used--;
    }
    id[used] = '\0';
    return true;
}

static void decode_record(const uint8_t *bytes, sink_t *sink) {
    mm_legacy_reading_t reading = {.form = MM_LEGACY_BINARY};
    mm_reader_t reader = mm_reader(bytes, MM_LEGACY_RECORD_BYTES);
    uint8_t id[12];
    reading.node_id = mm_get_u32(&reader);
    reading.subnode = mm_get_u32(&reader);
    reading.stamp_s = mm_get_u32(&reader);
    mm_get_bytes(&reader, id, sizeof id);
    reading.pay_mode = mm_get_u8(&reader);
    reading.power_off = mm_get_u8(&reader);
    reading.prepaid_balance = mm_get_u16(&reader);
    reading.life_kwh = mm_get_u32(&reader);
    reading.beats = mm_get_u32(&reader);
    reading.amperes_max = mm_get_u16(&reader);
    uint16_t month = mm_get_u16(&reader);
    reading.month_kwh = mm_get_u16(&reader);
    reading.device = mm_get_u32(&reader);
    (void)mm_get_u32(&reader); // FRAM writes
    for (size_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
        reading.hours_kwh[hour] = mm_get_u8(&reader);
    }
    sink->found++;
    static const uint8_t zeros[MM_LEGACY_RECORD_BYTES];
    if (memcmp(bytes, zeros, sizeof zeros) == 0) {
        // The original's root copies the first k slots of its table, answered or not.
        sink->reject(sink->context, "legacy record of zeros (a node that did not answer)", bytes,
                     MM_LEGACY_RECORD_BYTES);
    } else if (!take_id(id, sizeof id, reading.id) || reading.id[0] == '\0') {
        sink->reject(sink->context, "legacy record without a meter id", bytes, MM_LEGACY_RECORD_BYTES);
    } else if (month > 11) {
        sink->reject(sink->context, "legacy record with a month above 11", bytes, MM_LEGACY_RECORD_BYTES);
    } else {
        reading.month = (uint8_t)month;
        sink->reading(sink->context, &reading, bytes, MM_LEGACY_RECORD_BYTES);
    }
}

static mm_err_t decode_binary(const uint8_t *bytes, size_t bytes_count, sink_t *sink) {
    for (size_t offset = MM_LEGACY_HEADER_BYTES; offset + MM_LEGACY_RECORD_BYTES <= bytes_count;
         offset += MM_LEGACY_RECORD_BYTES) {
        decode_record(bytes + offset, sink);
    }
    return MM_OK;
}

// A non-negative integer, as number or (ControlId in some versions) as text.
static bool take_integer(const cJSON *item, uint64_t max, uint64_t *value) {
    double number = -1;
    if (cJSON_IsNumber(item)) {
        number = item->valuedouble;
    } else if (cJSON_IsString(item) && item->valuestring[0] >= '0' && item->valuestring[0] <= '9') {
        char *end = NULL;
        number = strtod(item->valuestring, &end);
        if (*end != '\0') {
            return false;
        }
    }
    if (!(number >= 0 && number <= JSON_INTEGER_MAX) || (double)(uint64_t)number < number) {
        return false;
    }
    *value = (uint64_t)number;
    return *value <= max;
}

static bool take_hours(const cJSON *hours, uint32_t hours_kwh[MM_HOURS_OF_DAY]) {
    const cJSON *item = NULL;
    size_t index = 0;
    if (hours == NULL) {
        return true;
    }
    if (!cJSON_IsArray(hours)) {
        return false;
    }
    cJSON_ArrayForEach(item, hours) {
        const cJSON *number = item;
        size_t hour = index++;
        if (cJSON_IsObject(item)) {
            number = item->child;
            if (number == NULL || number->string[0] != 'H') {
                return false;
            }
            char *end = NULL;
            hour = strtoul(number->string + 1, &end, 10);
            if (end == number->string + 1 || *end != '\0') {
                return false;
            }
        }
        uint64_t value = 0;
        if (hour >= MM_HOURS_OF_DAY || !take_integer(number, UINT32_MAX, &value)) {
            return false;
        }
        hours_kwh[hour] = (uint32_t)value;
    }
    return true;
}

// The month's object holds "M<number>" and "Hours".
static bool take_month(const cJSON *months, mm_legacy_reading_t *reading) {
    const cJSON *month = cJSON_IsArray(months) ? months->child : months;
    const cJSON *item = NULL;
    bool found = false;
    if (!cJSON_IsObject(month)) {
        return false;
    }
    cJSON_ArrayForEach(item, month) {
        if (item->string[0] == 'M') {
            char *end = NULL;
            unsigned long number = strtoul(item->string + 1, &end, 10);
            if (end == item->string + 1 || *end != '\0' || number > 11 ||
                !take_integer(item, UINT32_MAX, &reading->month_kwh)) {
                return false;
            }
            reading->month = (uint8_t)number;
            found = true;
        }
    }
    return found && take_hours(cJSON_GetObjectItemCaseSensitive(month, "Hours"), reading->hours_kwh);
}

static const char *decode_meter(const cJSON *meter, mm_legacy_reading_t *reading) {
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(meter, "m");
    const cJSON *months = cJSON_GetObjectItemCaseSensitive(meter, "Months");
    if (!cJSON_IsString(id) || strlen(id->valuestring) > MM_METER_ID_CHARS_MAX ||
        !take_id((const uint8_t *)id->valuestring, strlen(id->valuestring), reading->id)) {
        return "legacy meter: m is no id of at most 12 characters";
    }
    if (!take_integer(cJSON_GetObjectItemCaseSensitive(meter, "k"), UINT32_MAX, &reading->life_kwh)) {
        return "legacy meter: k is no whole number of kWh";
    }
    if (!take_month(months, reading)) {
        return "legacy meter: Months is not [{M<0-11>: kWh, Hours: [...]}]";
    }
    return NULL;
}

static void decode_node(const cJSON *node, const cJSON *meters, sink_t *sink) {
    mm_legacy_reading_t common = {.form = MM_LEGACY_JSON};
    const cJSON *stamp = cJSON_GetObjectItemCaseSensitive(node, "TS");
    const cJSON *meter = NULL;
    uint64_t value = 0;
    if (take_integer(cJSON_GetObjectItemCaseSensitive(node, "ControlId"), UINT32_MAX, &value)) {
        common.node_id = (uint32_t)value;
    }
    if (take_integer(cJSON_GetObjectItemCaseSensitive(node, "Subnode"), UINT32_MAX, &value)) {
        common.subnode = (uint32_t)value;
    }
    struct tm civil = {0};
    if (cJSON_IsNumber(stamp) && take_integer(stamp, UINT32_MAX, &value)) {
        common.stamp_s = (int64_t)value;
    } else if (cJSON_IsString(stamp) && strptime(stamp->valuestring, "%a %b %d %H:%M:%S %Y", &civil) != NULL) {
        int64_t seconds = timegm(&civil);
        common.stamp_s = seconds > 0 ? seconds : 0;
    }
    cJSON_ArrayForEach(meter, meters) {
        mm_legacy_reading_t reading = common;
        const char *problem = cJSON_IsObject(meter) ? decode_meter(meter, &reading) : "legacy meter: not an object";
        char *text = cJSON_PrintUnformatted(meter);
        if (text == NULL) {
            continue;
        }
        sink->found++;
        if (problem != NULL) {
            sink->reject(sink->context, problem, text, strlen(text));
        } else if (reading.id[0] != '\0') {
            sink->reading(sink->context, &reading, text, strlen(text));
        } else if (reading.life_kwh > 0 || reading.month_kwh > 0) {
            sink->reject(sink->context, "legacy meter with registers but without an id", text, strlen(text));
        }
        cJSON_free(text);
    }
}

// Depth is bounded before cJSON sees the text; brackets inside of strings do not count.
static bool is_shallow(const char *text, size_t text_bytes) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t index = 0; index < text_bytes; index++) {
        char symbol = text[index];
        if (in_string) {
            if (symbol == '\\') {
                index++;
            } else if (symbol == '"') {
                in_string = false;
            }
        } else if (symbol == '"') {
            in_string = true;
        } else if (symbol == '{' || symbol == '[') {
            if (++depth > MM_LEGACY_JSON_DEPTH_MAX) {
                return false;
            }
        } else if ((symbol == '}' || symbol == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

// The depth is at most MM_LEGACY_JSON_DEPTH_MAX, so a stack of that many elements walks the whole tree.
static void walk(const cJSON *root, sink_t *sink) {
    const cJSON *stack[MM_LEGACY_JSON_DEPTH_MAX + 1];
    size_t depth = 0;
    stack[depth++] = root;
    while (depth > 0) {
        const cJSON *item = stack[depth - 1];
        if (item == NULL) {
            depth--;
            continue;
        }
        stack[depth - 1] = depth == 1 ? NULL : item->next;
        const cJSON *meters = cJSON_IsObject(item) ? cJSON_GetObjectItemCaseSensitive(item, "Medidores") : NULL;
        if (cJSON_IsArray(meters)) {
            decode_node(item, meters, sink);
        } else if ((cJSON_IsObject(item) || cJSON_IsArray(item)) && depth <= MM_LEGACY_JSON_DEPTH_MAX) {
            stack[depth++] = item->child;
        }
    }
}

static mm_err_t decode_json(const char *text, size_t text_bytes, sink_t *sink, mm_hq_error_t *error) {
    if (text_bytes > MM_LEGACY_JSON_BYTES_MAX) {
        mm_hq_error_set(error, "JSON of %zu bytes, at most %d are read", text_bytes, MM_LEGACY_JSON_BYTES_MAX);
        return MM_ERR_CORRUPT;
    }
    if (!is_shallow(text, text_bytes)) {
        mm_hq_error_set(error, "JSON nested deeper than %d", MM_LEGACY_JSON_DEPTH_MAX);
        return MM_ERR_CORRUPT;
    }
    const char *end = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(text, text_bytes, &end, 0);
    while (root != NULL && end < text + text_bytes && strchr(" \t\r\n", *end) != NULL) {
        end++;
    }
    if (root == NULL || end < text + text_bytes) {
        mm_hq_error_set(error, "not JSON, wrong at byte %zu", end != NULL ? (size_t)(end - text) : 0);
        cJSON_Delete(root);
        return MM_ERR_CORRUPT;
    }
    walk(root, sink);
    cJSON_Delete(root);
    if (sink->found == 0) {
        mm_hq_error_set(error, "JSON without meters (no Medidores)");
        return MM_ERR_CORRUPT;
    }
    return MM_OK;
}

mm_err_t mm_legacy_decode(mm_legacy_form_t form, const void *bytes, size_t bytes_count, mm_legacy_reading_fn reading,
                          mm_legacy_reject_fn reject, void *context, mm_hq_error_t *error) {
    sink_t sink = {.reading = reading, .reject = reject, .context = context};
    return form == MM_LEGACY_BINARY ? decode_binary(bytes, bytes_count, &sink)
                                    : decode_json(bytes, bytes_count, &sink, error);
}
