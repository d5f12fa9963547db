// SPDX-License-Identifier: Apache-2.0
#include "command_detail.h"

#include "meshmeter/command.h"
#include "meshmeter/credit.h"
#include "meshmeter/frame.h"

#include <stdio.h>
#include <string.h>

static void add_number(cJSON *object, const char *name, double value) {
    cJSON_AddNumberToObject(object, name, value);
}

cJSON *mm_relay_reasons_json(uint8_t reasons) {
    static const struct {
        uint8_t reason;
        const char *name;
    } names[] = {{MM_RELAY_LOCKED, "locked"},
                 {MM_RELAY_NO_CREDIT, "no_credit"},
                 {MM_RELAY_TAMPER, "tamper"},
                 {MM_RELAY_NOT_COMMISSIONED, "not_commissioned"}};
    cJSON *list = cJSON_CreateArray();
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        if ((reasons & names[index].reason) != 0) {
            cJSON_AddItemToArray(list, cJSON_CreateString(names[index].name));
        }
    }
    return list;
}

static void add_identity(cJSON *object, const mm_meter_identity_t *identity) {
    cJSON_AddStringToObject(object, "id", identity->id);
    add_number(object, "pulse_constant", identity->pulse_constant);
    add_number(object, "start_wh", (double)identity->start_wh);
    add_number(object, "life_pulses", (double)identity->life_pulses);
    add_number(object, "energy_wh",
               (double)mm_meter_energy_wh(identity->start_wh, identity->life_pulses, identity->pulse_constant));
}

static void add_month(cJSON *object, uint16_t year_month, uint32_t month_pulses,
                      const uint32_t hours_pulses[MM_HOURS_OF_DAY]) {
    char text[16] = "";
    if (year_month != 0) {
        snprintf(text, sizeof text, "%04d-%02d", year_month / 12, year_month % 12 + 1);
    }
    cJSON_AddStringToObject(object, "year_month", text);
    add_number(object, "month_pulses", month_pulses);
    cJSON *hours = cJSON_AddArrayToObject(object, "hours_pulses");
    for (size_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
        cJSON_AddItemToArray(hours, cJSON_CreateNumber(hours_pulses[hour]));
    }
}

static cJSON *archive_json(const mm_archive_detail_t *detail) {
    cJSON *object = cJSON_CreateObject();
    cJSON *before = cJSON_AddObjectToObject(object, "before");
    add_identity(before, &detail->before);
    add_number(before, "pending_pulses", (double)detail->pending_pulses);
    add_month(before, detail->year_month, detail->month_pulses, detail->hours_pulses);
    add_identity(cJSON_AddObjectToObject(object, "after"), &detail->after);
    return object;
}

static cJSON *meter_json(const mm_meter_detail_t *detail) {
    cJSON *object = cJSON_CreateObject();
    add_identity(object, &detail->now);
    add_number(object, "pending_pulses", (double)detail->pending_pulses);
    add_month(object, detail->year_month, detail->month_pulses, detail->hours_pulses);
    cJSON_AddBoolToObject(object, "relay_closed", detail->relay_closed);
    cJSON_AddItemToObject(object, "relay_reasons", mm_relay_reasons_json(detail->relay_reasons));
    cJSON_AddBoolToObject(object, "prepaid", detail->prepaid);
    cJSON_AddBoolToObject(object, "credit_low", detail->low);
    cJSON_AddBoolToObject(object, "emergency_taken", detail->emergency_taken);
    add_number(object, "balance_wh", (double)detail->balance_wh);
    add_number(object, "applied_wh", (double)detail->applied_wh);
    add_number(object, "token_count", detail->token_count);
    add_number(object, "warning_wh", detail->warning_wh);
    add_number(object, "emergency_wh", detail->emergency_wh);
    add_number(object, "quiet_hours", detail->quiet_hours);
    add_number(object, "quiet_days", detail->quiet_days);
    return object;
}

// A log may hold anything; JSON and terminals only take what can be read.
static cJSON *text_json(const uint8_t *bytes, size_t bytes_count) {
    char text[MM_RESULT_DETAIL_BYTES_MAX + 1];
    for (size_t index = 0; index < bytes_count; index++) {
        bool readable = (bytes[index] >= ' ' && bytes[index] < 0x7F) || bytes[index] == '\n';
        text[index] = readable ? (char)bytes[index] : '?';
    }
    text[bytes_count] = '\0';
    return cJSON_CreateString(text);
}

static cJSON *hex_json(const uint8_t *bytes, size_t bytes_count) {
    char text[2 * MM_RESULT_DETAIL_BYTES_MAX + 1] = "";
    for (size_t index = 0; index < bytes_count; index++) {
        snprintf(text + 2 * index, 3, "%02x", bytes[index]);
    }
    return cJSON_CreateString(text);
}

cJSON *mm_command_detail_json(uint8_t kind, const void *bytes, size_t bytes_count) {
    mm_archive_detail_t archive;
    mm_meter_detail_t meter;
    uint32_t code;
    if (bytes == NULL || bytes_count == 0 || bytes_count > MM_RESULT_DETAIL_BYTES_MAX) {
        return cJSON_CreateNull();
    }
    if ((kind == MM_COMMAND_UPDATE || kind == MM_COMMAND_ERASE) &&
        mm_archive_detail_read(bytes, bytes_count, &archive) == MM_OK) {
        return archive_json(&archive);
    }
    if (kind == MM_COMMAND_READ_METER && mm_meter_detail_read(bytes, bytes_count, &meter) == MM_OK) {
        return meter_json(&meter);
    }
    if (kind == MM_COMMAND_FORMAT && mm_format_detail_read(bytes, bytes_count, &code) == MM_OK) {
        cJSON *object = cJSON_CreateObject();
        add_number(object, "code", code);
        return object;
    }
    return kind == MM_COMMAND_READ_LOG ? text_json(bytes, bytes_count) : hex_json(bytes, bytes_count);
}
