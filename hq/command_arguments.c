// SPDX-License-Identifier: Apache-2.0
#include "command_arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define U32_MAX INT64_C(4294967295)
#define EXACT_IN_JSON INT64_C(9007199254740991)

typedef enum {
    VALUE_NUMBER,
    VALUE_TEXT, ///< low … high bytes
    VALUE_HOURS,
    VALUE_DAYS,
    VALUE_FLAG,
} value_type_t;

/// Where an argument goes in the body, and what it may be.
typedef struct {
    uint8_t kind;
    const char *key;
    value_type_t type;
    int64_t low;
    int64_t high;
    bool required;
    bool secret;
    size_t offset;
    size_t bytes;      ///< of the member
    size_t has_offset; ///< of the member that says that it was given; 0 = there is none
} rule_t;

#define MEMBER(member) offsetof(mm_command_body_t, member), sizeof((mm_command_body_t *)0)->member

// UPDATE's has_id stands at the beginning of the body, so offsets of has_… are kept one higher.
#define HAS(member) offsetof(mm_command_body_t, member) + 1

static const rule_t s_rules[] = {
    {MM_COMMAND_UPDATE, "id", VALUE_TEXT, 0, MM_METER_ID_CHARS_MAX, false, false, MEMBER(update.id),
     HAS(update.has_id)},
    {MM_COMMAND_UPDATE, "pulse_constant", VALUE_NUMBER, MM_PULSE_CONSTANT_MIN, MM_PULSE_CONSTANT_MAX, false, false,
     MEMBER(update.pulse_constant), HAS(update.has_pulse_constant)},
    {MM_COMMAND_UPDATE, "start_wh", VALUE_NUMBER, 0, INT64_MAX, false, false, MEMBER(update.start_wh),
     HAS(update.has_start_wh)},
    {MM_COMMAND_UPDATE, "life_pulses", VALUE_NUMBER, 0, INT64_MAX, false, false, MEMBER(update.life_pulses),
     HAS(update.has_life_pulses)},
    {MM_COMMAND_FORMAT, "code", VALUE_NUMBER, 0, U32_MAX, false, false, MEMBER(format.code), 0},
    {MM_COMMAND_NETWORK, "ssid", VALUE_TEXT, 1, MM_COMMAND_SSID_BYTES_MAX, true, false, MEMBER(network.ssid), 0},
    {MM_COMMAND_NETWORK, "password", VALUE_TEXT, 0, MM_COMMAND_NETWORK_PASSWORD_BYTES_MAX, true, true,
     MEMBER(network.password), 0},
    {MM_COMMAND_BROKER, "url", VALUE_TEXT, 1, MM_COMMAND_BROKER_URL_BYTES_MAX, true, false, MEMBER(broker.url), 0},
    {MM_COMMAND_BROKER, "user", VALUE_TEXT, 0, MM_COMMAND_BROKER_USER_BYTES_MAX, false, false, MEMBER(broker.user), 0},
    {MM_COMMAND_BROKER, "password", VALUE_TEXT, 0, MM_COMMAND_BROKER_PASSWORD_BYTES_MAX, false, true,
     MEMBER(broker.password), 0},
    {MM_COMMAND_SLOT_PLAN, "slot", VALUE_NUMBER, 0, MM_COMMAND_SLOTS_MAX - 1, true, false, MEMBER(slot_plan.slot), 0},
    {MM_COMMAND_SLOT_PLAN, "slot_count", VALUE_NUMBER, 1, MM_COMMAND_SLOTS_MAX, true, false,
     MEMBER(slot_plan.slot_count), 0},
    {MM_COMMAND_DISPLAY_ON, "seconds", VALUE_NUMBER, 1, MM_COMMAND_SECONDS_MAX, true, false, MEMBER(seconds.seconds),
     0},
    {MM_COMMAND_FIND, "seconds", VALUE_NUMBER, 1, MM_COMMAND_SECONDS_MAX, true, false, MEMBER(seconds.seconds), 0},
    {MM_COMMAND_OTA_URL, "url", VALUE_TEXT, 1, MM_COMMAND_OTA_URL_BYTES_MAX, true, false, MEMBER(ota_url.url), 0},
    {MM_COMMAND_LIMITS, "warning_wh", VALUE_NUMBER, 0, MM_COMMAND_THRESHOLD_WH_MAX, true, false,
     MEMBER(limits.warning_wh), 0},
    {MM_COMMAND_LIMITS, "emergency_wh", VALUE_NUMBER, 0, MM_COMMAND_THRESHOLD_WH_MAX, true, false,
     MEMBER(limits.emergency_wh), 0},
    {MM_COMMAND_LIMITS, "quiet_hours", VALUE_HOURS, 0, (INT64_C(1) << MM_HOURS_OF_DAY) - 1, false, false,
     MEMBER(limits.quiet_hours), 0},
    {MM_COMMAND_LIMITS, "quiet_days", VALUE_DAYS, 0, 127, false, false, MEMBER(limits.quiet_days), 0},
    {MM_COMMAND_MODE, "prepaid", VALUE_FLAG, 0, 1, true, false, MEMBER(mode.prepaid), 0},
    {MM_COMMAND_CONFIRM, "revision", VALUE_NUMBER, 1, U32_MAX, true, false, MEMBER(confirm.revision), 0},
};
#define RULE_COUNT (sizeof s_rules / sizeof s_rules[0])

static void describe_rule(const rule_t *rule, char *text, size_t text_bytes) {
    switch (rule->type) {
    case VALUE_TEXT:
        snprintf(text, text_bytes, "%lld to %lld bytes", (long long)rule->low, (long long)rule->high);
        break;
    case VALUE_HOURS:
        snprintf(text, text_bytes, "like 22:00-06:00,12:00-13:00, or a bit for each hour, 0 to %lld",
                 (long long)rule->high);
        break;
    case VALUE_DAYS:
        snprintf(text, text_bytes, "like sat,sun, or a bit for each day from Sunday on, 0 to 127");
        break;
    case VALUE_FLAG:
        snprintf(text, text_bytes, "1 or 0");
        break;
    default:
        snprintf(text, text_bytes, "%lld to %lld", (long long)rule->low, (long long)rule->high);
        break;
    }
}

// --- values

static bool parse_number(const char *text, int64_t low, int64_t high, int64_t *value) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 19 || text[digits] != '\0') {
        return false;
    }
    unsigned long long number = strtoull(text, NULL, 10);
    *value = (int64_t)number;
    return number <= INT64_MAX && *value >= low && *value <= high;
}

// "22:00" to 22; 24:00 is the end of the day.
static const char *parse_hour(const char *text, int *hour) {
    if (strspn(text, "0123456789") != 2 || strncmp(text + 2, ":00", 3) != 0) {
        return NULL;
    }
    *hour = (text[0] - '0') * 10 + (text[1] - '0');
    return *hour <= MM_HOURS_OF_DAY ? text + 5 : NULL;
}

// Spans of hours over midnight if need be; the end does not belong to them.
static bool parse_hours(const char *text, int64_t *mask) {
    *mask = 0;
    for (;;) {
        int first;
        int end;
        const char *rest = parse_hour(text, &first);
        rest = rest != NULL && *rest == '-' ? parse_hour(rest + 1, &end) : NULL;
        if (rest == NULL || first == MM_HOURS_OF_DAY || first == end) {
            return false;
        }
        for (int hour = first; hour != end && hour - MM_HOURS_OF_DAY != end; hour++) {
            *mask |= INT64_C(1) << hour % MM_HOURS_OF_DAY;
        }
        if (*rest == '\0') {
            return true;
        }
        if (*rest != ',') {
            return false;
        }
        text = rest + 1;
    }
}

static bool parse_days(const char *text, int64_t *mask) {
    static const char *const days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
    *mask = 0;
    for (;;) {
        int day = 0;
        while (day < 7 && strncmp(text, days[day], 3) != 0) {
            day++;
        }
        if (day == 7 || (text[3] != ',' && text[3] != '\0')) {
            return false;
        }
        *mask |= INT64_C(1) << day;
        if (text[3] == '\0') {
            return true;
        }
        text += 4;
    }
}

static bool parse_flag(const char *text, int64_t *value) {
    *value = strcmp(text, "1") == 0 || strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
    return *value == 1 || strcmp(text, "0") == 0 || strcmp(text, "false") == 0 || strcmp(text, "no") == 0;
}

static bool parse_value(const rule_t *rule, const char *text, int64_t *value) {
    switch (rule->type) {
    case VALUE_HOURS:
        return parse_number(text, rule->low, rule->high, value) || parse_hours(text, value);
    case VALUE_DAYS:
        return parse_number(text, rule->low, rule->high, value) || parse_days(text, value);
    case VALUE_FLAG:
        return parse_flag(text, value);
    default:
        return parse_number(text, rule->low, rule->high, value);
    }
}

static void store_number(const rule_t *rule, int64_t value, uint8_t *member) {
    switch (rule->bytes) {
    case sizeof(uint8_t):
        if (rule->type == VALUE_FLAG) {
            bool flag = value != 0;
            memcpy(member, &flag, sizeof flag);
        } else {
            *member = (uint8_t)value;
        }
        break;
    case sizeof(uint16_t):
        memcpy(member, &(uint16_t){(uint16_t)value}, sizeof(uint16_t));
        break;
    case sizeof(uint32_t):
        memcpy(member, &(uint32_t){(uint32_t)value}, sizeof(uint32_t));
        break;
    default:
        memcpy(member, &(uint64_t){(uint64_t)value}, sizeof(uint64_t));
        break;
    }
}

static bool text_is_clean(const char *text) {
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7F) {
            return false;
        }
    }
    return true;
}

// Into the member of the body, and into what may be shown.
static bool take_value(const rule_t *rule, const char *text, mm_command_body_t *body, cJSON *shown) {
    uint8_t *member = (uint8_t *)body + rule->offset;
    int64_t value = 0;
    if (rule->type == VALUE_TEXT) {
        size_t bytes = strlen(text);
        if (bytes < (size_t)rule->low || bytes > (size_t)rule->high || !text_is_clean(text)) {
            return false;
        }
        memcpy(member, text, bytes + 1);
        cJSON_AddStringToObject(shown, rule->key, rule->secret ? "(not shown)" : text);
    } else {
        if (!parse_value(rule, text, &value)) {
            return false;
        }
        store_number(rule, value, member);
        if (value > EXACT_IN_JSON) {
            cJSON_AddStringToObject(shown, rule->key, text);
        } else {
            cJSON_AddNumberToObject(shown, rule->key, (double)value);
        }
    }
    if (rule->has_offset != 0) {
        memcpy((uint8_t *)body + rule->has_offset - 1, &(bool){true}, sizeof(bool));
    }
    return true;
}

// --- all of them

static const rule_t *find_rule(uint8_t kind, const char *key, size_t key_chars) {
    for (size_t index = 0; index < RULE_COUNT; index++) {
        const rule_t *rule = &s_rules[index];
        if (rule->kind == kind && strlen(rule->key) == key_chars && strncmp(rule->key, key, key_chars) == 0) {
            return rule;
        }
    }
    return NULL;
}

static bool refuse_key(uint8_t kind, const char *key, size_t key_chars, mm_hq_error_t *error) {
    char known[160] = "none";
    size_t used = 0;
    for (size_t index = 0; index < RULE_COUNT; index++) {
        if (s_rules[index].kind == kind && used < sizeof known) {
            used +=
                (size_t)snprintf(known + used, sizeof known - used, "%s%s", used > 0 ? ", " : "", s_rules[index].key);
        }
    }
    mm_hq_error_set(error, "%s has no argument %.*s; it has: %s", mm_command_kind_name(kind),
                    (int)(key_chars < 40 ? key_chars : 40), key, known);
    return false;
}

static bool take_argument(uint8_t kind, const char *argument, mm_command_body_t *body, cJSON *shown,
                          mm_hq_error_t *error) {
    char range[128];
    size_t key_chars = strcspn(argument, "=");
    const rule_t *rule = find_rule(kind, argument, key_chars);
    if (argument[key_chars] != '=') {
        mm_hq_error_set(error, "%.40s: expected KEY=VALUE", argument);
        return false;
    }
    if (rule == NULL) {
        return refuse_key(kind, argument, key_chars, error);
    }
    if (cJSON_HasObjectItem(shown, rule->key)) {
        mm_hq_error_set(error, "%s: given twice", rule->key);
        return false;
    }
    if (!take_value(rule, argument + key_chars + 1, body, shown)) {
        describe_rule(rule, range, sizeof range);
        mm_hq_error_set(error, "%s: must be %s%s", rule->key, range,
                        rule->type == VALUE_TEXT ? ", without control characters" : "");
        return false;
    }
    return true;
}

// What concerns several arguments, or one that is missing.
static bool check_whole(uint8_t kind, const mm_command_body_t *body, const cJSON *shown, mm_hq_error_t *error) {
    char range[128];
    for (size_t index = 0; index < RULE_COUNT; index++) {
        const rule_t *rule = &s_rules[index];
        if (rule->kind == kind && rule->required && !cJSON_HasObjectItem(shown, rule->key)) {
            describe_rule(rule, range, sizeof range);
            mm_hq_error_set(error, "%s needs %s=… (%s)", mm_command_kind_name(kind), rule->key, range);
            return false;
        }
    }
    if (kind == MM_COMMAND_UPDATE && shown->child == NULL) {
        mm_hq_error_set(error, "update needs at least one of id, pulse_constant, start_wh, life_pulses");
        return false;
    }
    if (kind == MM_COMMAND_SLOT_PLAN && body->slot_plan.slot >= body->slot_plan.slot_count) {
        mm_hq_error_set(error, "slot: must be 0 to %u (slot_count - 1)", body->slot_plan.slot_count - 1);
        return false;
    }
    return true;
}

static bool parse(uint8_t kind, const char *const *arguments, mm_command_arguments_t *parsed, mm_command_body_t *body,
                  mm_hq_error_t *error) {
    for (; arguments != NULL && *arguments != NULL; arguments++) {
        if (!take_argument(kind, *arguments, body, parsed->shown, error)) {
            return false;
        }
    }
    if (!check_whole(kind, body, parsed->shown, error)) {
        return false;
    }
    mm_writer_t writer = mm_writer(parsed->body, sizeof parsed->body);
    mm_err_t err = mm_command_body_put(kind, body, &writer);
    if (err != MM_OK) {
        // What the rules above cannot say: blanks in an address, texts that are too long together.
        mm_hq_error_set(error, "%s: %s", mm_command_kind_name(kind),
                        err == MM_ERR_FULL || kind == MM_COMMAND_BROKER
                            ? "the arguments are too long together, or there is a blank in the address"
                            : "an argument is not possible; an address must not have a blank in it");
        return false;
    }
    parsed->body_bytes = writer.used_bytes;
    return true;
}

bool mm_command_arguments_parse(uint8_t kind, const char *const *arguments, mm_command_arguments_t *parsed,
                                mm_hq_error_t *error) {
    mm_command_body_t body;
    memset(&body, 0, sizeof body);
    memset(parsed, 0, sizeof *parsed);
    parsed->shown = cJSON_CreateObject();
    parsed->has_secret = mm_command_kind_has_secret(kind);
    bool good = parse(kind, arguments, parsed, &body, error);
    explicit_bzero(&body, sizeof body);
    if (!good) {
        cJSON_Delete(parsed->shown);
        explicit_bzero(parsed, sizeof *parsed);
    }
    return good;
}

uint8_t mm_command_kind_of(const char *name) {
    for (uint8_t kind = 1; kind < MM_COMMAND_KIND_COUNT; kind++) {
        const char *known = mm_command_kind_name(kind);
        size_t index = 0;
        while (known[index] != '\0' && (name[index] == known[index] || (name[index] == '-' && known[index] == '_'))) {
            index++;
        }
        if (known[index] == '\0' && name[index] == '\0') {
            return kind;
        }
    }
    return MM_COMMAND_NONE;
}

bool mm_command_kind_has_secret(uint8_t kind) {
    return kind == MM_COMMAND_NETWORK || kind == MM_COMMAND_BROKER;
}

void mm_command_arguments_describe(uint8_t kind, char *text, size_t text_bytes) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t index = 0; index < RULE_COUNT && used < text_bytes; index++) {
        const rule_t *rule = &s_rules[index];
        if (rule->kind == kind) {
            char range[128];
            describe_rule(rule, range, sizeof range);
            used +=
                (size_t)snprintf(text + used, text_bytes - used, "%s%s=… (%s)", used > 0 ? ", " : "", rule->key, range);
        }
    }
}
