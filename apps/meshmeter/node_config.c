// SPDX-License-Identifier: Apache-2.0
#include "node_config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"

#define CONFIG_BYTES_MAX 65536

typedef struct {
    node_config_t *config;
    const char *key;
    const char *value;
    char problem[256];
} entry_t;

__attribute__((format(printf, 2, 3))) static bool refuse(entry_t *entry, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(entry->problem, sizeof entry->problem, format, arguments);
    va_end(arguments);
    return false;
}

static bool set_text(entry_t *entry, char *field, size_t field_bytes) {
    if (strlen(entry->value) >= field_bytes) {
        return refuse(entry, "%s is longer than %zu characters", entry->key, field_bytes - 1);
    }
    memcpy(field, entry->value, strlen(entry->value) + 1);
    return true;
}

static bool set_number(entry_t *entry, int64_t min, int64_t max, int64_t *number) {
    if (!app_parse_number(entry->value, min, max, number)) {
        return refuse(entry, "%s must be a whole number from %lld to %lld, not '%s'", entry->key, (long long)min,
                      (long long)max, entry->value);
    }
    return true;
}

static bool set_choice(entry_t *entry, const char *no, const char *yes, bool *field) {
    if (strcmp(entry->value, yes) != 0 && strcmp(entry->value, no) != 0) {
        return refuse(entry, "%s must be '%s' or '%s', not '%s'", entry->key, no, yes, entry->value);
    }
    *field = strcmp(entry->value, yes) == 0;
    return true;
}

static bool set_mac(entry_t *entry) {
    unsigned bytes[6];
    int used = 0;
    if (strlen(entry->value) != 17 ||
        sscanf(entry->value, "%2x:%2x:%2x:%2x:%2x:%2x%n", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4],
               &bytes[5], &used) != 6 ||
        used != 17) {
        return refuse(entry, "mac must look like 02:00:00:00:00:01, not '%s'", entry->value);
    }
    for (size_t i = 0; i < 6; i++) {
        entry->config->mac.bytes[i] = (uint8_t)bytes[i];
    }
    return true;
}

// meter.N = ID,PULSE_CONSTANT,START_WH
static bool set_meter(entry_t *entry) {
    int64_t number = 0;
    if (!app_parse_number(entry->key + strlen("meter."), 1, MM_CHANNELS, &number)) {
        return refuse(entry, "meters are meter.1 to meter.%d", MM_CHANNELS);
    }
    mm_meter_config_t *meter = &entry->config->metering.meters[number - 1];
    char id[NODE_TEXT_BYTES];
    char constant[32];
    char start[32];
    int used = 0;
    int64_t constant_number = 0;
    int64_t start_number = 0;
    if (strlen(entry->value) >= sizeof id ||
        sscanf(entry->value, "%127[^,],%31[^,],%31[^,]%n", id, constant, start, &used) != 3 ||
        entry->value[used] != '\0') {
        return refuse(entry, "%s must be ID,IMPULSES_PER_KWH,START_WH", entry->key);
    }
    if (strlen(id) > MM_METER_ID_CHARS_MAX) {
        return refuse(entry, "the meter id '%s' has more than %d characters", id, MM_METER_ID_CHARS_MAX);
    }
    if (!app_parse_number(constant, MM_PULSE_CONSTANT_MIN, MM_PULSE_CONSTANT_MAX, &constant_number)) {
        return refuse(entry, "the pulse constant '%s' is not a number from %d to %d impulses per kWh", constant,
                      MM_PULSE_CONSTANT_MIN, MM_PULSE_CONSTANT_MAX);
    }
    if (!app_parse_number(start, 0, INT64_MAX / 2, &start_number)) {
        return refuse(entry, "the start reading '%s' is not a whole number of Wh", start);
    }
    memcpy(meter->id, id, strlen(id) + 1);
    meter->pulse_constant = (uint32_t)constant_number;
    meter->start_wh = (uint64_t)start_number;
    return mm_meter_config_check(meter) == MM_OK || refuse(entry,
                                                           "the meter id '%s' has characters that are not allowed "
                                                           "(printable ASCII without blank, comma and quotes)",
                                                           id);
}

// CHIP:LINE,LINE,…
static bool set_gpio(entry_t *entry, const char *text, char chip[NODE_PATH_BYTES], uint32_t lines[MM_CHANNELS],
                     uint8_t *line_count) {
    const char *colon = strchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= NODE_PATH_BYTES) {
        return refuse(entry, "%s = gpio:CHIP:LINE,LINE,… (up to %d lines)", entry->key, MM_CHANNELS);
    }
    memcpy(chip, text, (size_t)(colon - text));
    chip[colon - text] = '\0';
    const char *next = colon + 1;
    *line_count = 0;
    while (*line_count < MM_CHANNELS) {
        char *end = NULL;
        unsigned long line = strtoul(next, &end, 10);
        if (end == next || line > 10000) {
            break;
        }
        lines[(*line_count)++] = (uint32_t)line;
        if (*end == '\0') {
            return true;
        }
        if (*end != ',') {
            break;
        }
        next = end + 1;
    }
    return refuse(entry, "'%s' is not a list of 1 to %d GPIO lines", colon + 1, MM_CHANNELS);
}

static bool set_relays(entry_t *entry) {
    node_config_t *config = entry->config;
    if (strcmp(entry->value, "none") == 0) {
        config->relays = NODE_RELAYS_NONE;
        return true;
    }
    if (strcmp(entry->value, "file") == 0) {
        config->relays = NODE_RELAYS_FILE;
        return true;
    }
    if (strncmp(entry->value, "gpio:", 5) == 0) {
        config->relays = NODE_RELAYS_GPIO;
        return set_gpio(entry, entry->value + 5, config->relays_chip, config->relay_lines, &config->relay_line_count);
    }
    return refuse(entry, "relays must be none, file or gpio:CHIP:LINES, not '%s'", entry->value);
}

static bool set_pulses(entry_t *entry) {
    node_config_t *config = entry->config;
    int64_t seed = 0;
    if (strcmp(entry->value, "stdin") == 0) {
        config->pulses = NODE_PULSES_STDIN;
        return true;
    }
    if (strncmp(entry->value, "model:", 6) == 0 && app_parse_number(entry->value + 6, 0, INT64_MAX, &seed)) {
        config->pulses = NODE_PULSES_MODEL;
        config->pulses_seed = (uint64_t)seed;
        return true;
    }
    if (strncmp(entry->value, "csv:", 4) == 0 && strlen(entry->value + 4) < sizeof config->pulses_path) {
        config->pulses = NODE_PULSES_CSV;
        memcpy(config->pulses_path, entry->value + 4, strlen(entry->value + 4) + 1);
        return true;
    }
    if (strncmp(entry->value, "gpio:", 5) == 0) {
        config->pulses = NODE_PULSES_GPIO;
        return set_gpio(entry, entry->value + 5, config->pulses_path, config->gpio_lines, &config->gpio_line_count);
    }
    return refuse(entry, "pulses must be model:SEED, csv:FILE, stdin or gpio:CHIP:LINES, not '%s'", entry->value);
}

static bool set_clock(entry_t *entry) {
    bool unset = false;
    bool good = set_choice(entry, "system", "unset", &unset);
    entry->config->clock = unset ? NODE_CLOCK_UNSET : NODE_CLOCK_SYSTEM;
    return good;
}

static bool set_mqtt_version(entry_t *entry) {
    return set_choice(entry, "3.1.1", "5", &entry->config->mqtt_5);
}

static bool set_tz(entry_t *entry) {
    mm_tz_t tz;
    if (mm_tz_parse(entry->value, &tz) != MM_OK) {
        return refuse(entry, "tz must be a POSIX rule such as CET-1CEST,M3.5.0,M10.5.0/3, not '%s'", entry->value);
    }
    return set_text(entry, entry->config->metering.tz, sizeof entry->config->metering.tz);
}

// A key of the file and the field it sets. Which members are used depends on the table.
typedef struct {
    const char *key;
    size_t offset_bytes; ///< of the field in node_config_t
    size_t size_bytes;   ///< text: room; otherwise unused
    int64_t min;
    int64_t max;
    const char *no;
    const char *yes;
} field_t;

#define TEXT(name, field)                                                                                              \
    { .key = (name), .offset_bytes = offsetof(node_config_t, field), .size_bytes = sizeof((node_config_t *)0)->field }
#define RANGE(name, field, low, high)                                                                                  \
    { .key = (name), .offset_bytes = offsetof(node_config_t, field), .min = (low), .max = (high) }
#define CHOICE(name, field, no_word, yes_word)                                                                         \
    { .key = (name), .offset_bytes = offsetof(node_config_t, field), .no = (no_word), .yes = (yes_word) }

static const field_t s_texts[] = {
    TEXT("site", site),
    TEXT("state", state_directory),
    TEXT("control", control_path),
    TEXT("display", display_path),
    TEXT("mesh_id", mesh_id),
    TEXT("mesh_key_file", mesh_key_file),
    TEXT("mesh_listen", mesh_listen),
    TEXT("mesh_peers", mesh_peers),
    TEXT("mesh_group", mesh_group),
    TEXT("broker", broker),
    TEXT("broker_password_file", broker_password_file),
    TEXT("broker_ca_file", broker_ca_file),
    TEXT("device_key_file", device_key_file),
    TEXT("legacy_secret_file", legacy_secret_file),
    TEXT("configurator", configurator),
    TEXT("pop_file", pop_file),
};
// uint32_t fields.
static const field_t s_numbers[] = {
    RANGE("journal_sectors", journal_sectors, MM_JOURNAL_SECTORS_MIN, MM_JOURNAL_SECTORS_MAX),
    RANGE("speed", speed, 1, 100000),
    RANGE("cycle_ms", cycle_ms, 0, 3600000),
    RANGE("slot_count", slot_count, 1, 1000000),
    RANGE("slot_ms", slot_ms, 100, 600000),
    RANGE("mesh_hello_ms", mesh_hello_ms, 20, 60000),
    RANGE("token_unit_wh", token_unit_wh, 1, 1000000),
    RANGE("dwell_ms", dwell_ms, 0, 60000),
    RANGE("debounce_ms", debounce_ms, 0, 1000),
    RANGE("save_period_s", metering.save_period_s, 1, 3600),
    RANGE("pulses_per_s_max", metering.pulses_per_s_max, 0, 100000),
};
// int64_t fields.
static const field_t s_times[] = {
    RANGE("clock_origin_real_us", clock_origin_real_us, 0, INT64_MAX / 4),
    RANGE("clock_origin_utc_us", clock_origin_utc_us, 0, INT64_MAX / 4),
    RANGE("pulses_shift_s", pulses_shift_s, INT64_MIN / 4, INT64_MAX / 4),
    RANGE("pulses_begin_s", pulses_begin_s, 0, INT64_MAX / 4),
    RANGE("pulses_end_s", pulses_end_s, 0, INT64_MAX / 4),
    RANGE("slot", slot, 0, 1000000),
};
static const field_t s_choices[] = {
    CHOICE("storage_sync", storage_sync, "no", "yes"),
    CHOICE("fram", with_fram, "no", "yes"),
    CHOICE("router", router_up, "off", "on"),
    CHOICE("legacy_commands", legacy_commands, "no", "yes"),
    CHOICE("door", door, "no", "yes"),
    CHOICE("commissioning", commissioning, "no", "yes"),
    CHOICE("challenge", challenge_legacy, "device", "legacy"),
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static const field_t *find_field(const field_t *table, size_t count, const char *key) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].key, key) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static bool set_special(entry_t *entry) {
    const struct {
        const char *key;
        bool (*set)(entry_t *entry);
    } specials[] = {
        {"mac", set_mac},           {"tz", set_tz},         {"clock", set_clock},
        {"mqtt", set_mqtt_version}, {"pulses", set_pulses}, {"relays", set_relays},
    };
    for (size_t i = 0; i < COUNT(specials); i++) {
        if (strcmp(entry->key, specials[i].key) == 0) {
            return specials[i].set(entry);
        }
    }
    return strncmp(entry->key, "meter.", 6) == 0 ? set_meter(entry) : refuse(entry, "unknown key '%s'", entry->key);
}

static bool set_entry(entry_t *entry) {
    char *base = (char *)entry->config;
    const field_t *field = find_field(s_texts, COUNT(s_texts), entry->key);
    if (field != NULL) {
        return set_text(entry, base + field->offset_bytes, field->size_bytes);
    }
    int64_t number = 0;
    field = find_field(s_numbers, COUNT(s_numbers), entry->key);
    if (field != NULL) {
        uint32_t small = 0;
        bool good = set_number(entry, field->min, field->max, &number);
        small = (uint32_t)number;
        memcpy(base + field->offset_bytes, &small, good ? sizeof small : 0);
        return good;
    }
    field = find_field(s_times, COUNT(s_times), entry->key);
    if (field != NULL) {
        bool good = set_number(entry, field->min, field->max, &number);
        memcpy(base + field->offset_bytes, &number, good ? sizeof number : 0);
        return good;
    }
    field = find_field(s_choices, COUNT(s_choices), entry->key);
    if (field != NULL) {
        bool chosen = false;
        bool good = set_choice(entry, field->no, field->yes, &chosen);
        memcpy(base + field->offset_bytes, &chosen, good ? sizeof chosen : 0);
        return good;
    }
    return set_special(entry);
}

static void set_defaults(node_config_t *config, const char *path) {
    *config = (node_config_t){
        .metering = {.time_trust_s = 86400, .save_period_s = 60, .pulses_per_s_max = 0},
        .journal_sectors = 96,
        .storage_sync = true,
        .with_fram = true,
        .door = true,
        .mesh_id = "",
        .mesh_listen = "127.0.0.1:0",
        .mesh_hello_ms = 250,
        .mqtt_5 = true,
        .speed = 1,
        .slot_ms = 2000,
        .slot = -1,
        .router_up = true,
        .debounce_ms = 30,
        .token_unit_wh = 1000,
        .dwell_ms = UINT32_MAX,
        .pulses_end_s = INT64_MAX,
    };
    snprintf(config->path, sizeof config->path, "%s", path);
}

static const char *missing_key(const node_config_t *config) {
    bool given = !config->commissioning; // else the network comes later
    return mm_mac_is_zero(config->mac)                    ? "mac"
           : given && config->site[0] == '\0'             ? "site"
           : config->state_directory[0] == '\0'           ? "state"
           : given && config->mesh_key_file[0] == '\0'    ? "mesh_key_file"
           : config->pulses == NODE_PULSES_NONE           ? "pulses"
           : !given && config->device_key_file[0] == '\0' ? "device_key_file"
                                                          : NULL;
}

static const char *commissioning_contradiction(const node_config_t *config) {
    if (!config->commissioning) {
        return config->configurator[0] != '\0' ? "configurator needs commissioning = yes" : NULL;
    }
    if (config->site[0] != '\0' || config->mesh_key_file[0] != '\0' || config->broker_password_file[0] != '\0') {
        return "with commissioning = yes the network is handed over (meshmeter provision): remove site, mesh_key_file "
               "and broker_password_file";
    }
    for (size_t i = 0; i < MM_CHANNELS; i++) {
        if (config->metering.meters[i].id[0] != '\0') {
            return "with commissioning = yes an installer enters the meters: remove meter.1 to meter.8";
        }
    }
    if (config->challenge_legacy && config->legacy_secret_file[0] == '\0') {
        return "challenge = legacy needs legacy_secret_file";
    }
    return NULL;
}

// What the core would refuse later, with words of its own.
static const char *contradiction(const node_config_t *config) {
    mm_uplink_topics_t topics;
    const char *wrong = commissioning_contradiction(config);
    if (wrong != NULL) {
        return wrong;
    }
    if (!config->commissioning && mm_uplink_topics(config->site, &topics) != MM_OK) {
        return "site must be 1 to 23 characters of a-z, 0-9 and -";
    }
    if (config->legacy_commands && config->legacy_secret_file[0] == '\0') {
        return "legacy_commands = yes needs legacy_secret_file";
    }
    for (size_t i = 0; i < MM_CHANNELS; i++) {
        for (size_t k = 0; k < i; k++) {
            const char *id = config->metering.meters[i].id;
            if (id[0] != '\0' && strcmp(id, config->metering.meters[k].id) == 0) {
                return "two meters have the same id";
            }
        }
    }
    return NULL;
}

static char *trim(char *text) {
    text += strspn(text, " \t\r");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL) {
        text[--length] = '\0';
    }
    return text;
}

static bool read_lines(char *text, node_config_t *config, char *message, size_t message_bytes) {
    unsigned line_number = 0;
    for (char *line = text; line != NULL;) {
        char *next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        line_number++;
        char *content = trim(line);
        line = next;
        if (*content == '\0' || *content == '#') {
            continue;
        }
        char *equals = strchr(content, '=');
        if (equals == NULL) {
            snprintf(message, message_bytes, "%s:%u: expected 'key = value', found '%.40s'", config->path, line_number,
                     content);
            return false;
        }
        *equals = '\0';
        entry_t entry = {.config = config, .key = trim(content), .value = trim(equals + 1)};
        if (!set_entry(&entry)) {
            snprintf(message, message_bytes, "%s:%u: %s", config->path, line_number, entry.problem);
            return false;
        }
    }
    return true;
}

static const char default_broker[] = "mqtt://127.0.0.1:1883";

bool node_config_read(const char *path, node_config_t *config, char *message, size_t message_bytes) {
    set_defaults(config, path);
    size_t size = 0;
    char *text = app_read_file(path, CONFIG_BYTES_MAX, &size);
    if (text == NULL) {
        snprintf(message, message_bytes, "%s: cannot be read: %s", path, strerror(errno));
        return false;
    }
    bool good = strlen(text) == size;
    if (!good) {
        snprintf(message, message_bytes, "%s: is not a text file", path);
    }
    good = good && read_lines(text, config, message, message_bytes);
    free(text);
    const char *missing = good ? missing_key(config) : NULL;
    if (missing != NULL) {
        snprintf(message, message_bytes, "%s: the key '%s' is missing", path, missing);
        good = false;
    }
    const char *wrong = good ? contradiction(config) : NULL;
    if (wrong != NULL) {
        snprintf(message, message_bytes, "%s: %s", path, wrong);
        good = false;
    }
    if (good && config->broker[0] == '\0' && !config->commissioning) {
        memcpy(config->broker, default_broker, sizeof default_broker);
    }
    if (good && config->mesh_id[0] == '\0') {
        memcpy(config->mesh_id, config->site, sizeof config->site);
    }
    return good;
}
