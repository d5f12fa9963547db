// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/legacy_command.h"

#include <string.h>

#include "command/legacy_json.h"
#include "meshmeter/bytes.h"
#include "meshmeter/calendar.h"
#include "meshmeter/command_body.h"

/// Bytes of an item that its check value covers: they are the key. What an item is shorter, is filled up like that.
#define KEY_FILL 0x32
#define CHECK_BYTES 4
#define WORD_BYTES 16
/// Largest register in kWh, with three decimals: 10^9 kWh.
#define REGISTER_WH_MAX UINT64_C(1000000000000)
#define DAY_S 86400

const char *mm_legacy_verdict_name(mm_legacy_verdict_t verdict) {
    static const char *const names[] = {
        [MM_LEGACY_COMMAND_GOOD] = "good",           [MM_LEGACY_COMMAND_MALFORMED] = "malformed",
        [MM_LEGACY_COMMAND_FORGED] = "forged",       [MM_LEGACY_COMMAND_UNKNOWN] = "unknown",
        [MM_LEGACY_COMMAND_DATE] = "date",           [MM_LEGACY_COMMAND_VALUES] = "values",
        [MM_LEGACY_COMMAND_NO_CRYPTO] = "no crypto",
    };
    return (uint32_t)verdict < sizeof names / sizeof names[0] ? names[verdict] : "unknown verdict";
}

// --- message -------------------------------------------------------------------------------------------------------

static void pass_blanks(mm_legacy_message_t *self) {
    while (self->at < self->text_bytes && mmi_legacy_is_blank(self->text[self->at])) {
        self->at++;
    }
}

static bool take(mm_legacy_message_t *self, const char *word) {
    size_t bytes_count = strlen(word);
    pass_blanks(self);
    if (self->text_bytes - self->at < bytes_count || memcmp(self->text + self->at, word, bytes_count) != 0) {
        return false;
    }
    self->at += bytes_count;
    return true;
}

// From a brace to the one that closes it; what is in between is for the item's reader. Leaves `at` behind it.
static bool pass_item(mm_legacy_message_t *self) {
    uint32_t depth = 0;
    bool in_string = false;
    for (; self->at < self->text_bytes; self->at++) {
        char character = self->text[self->at];
        if (in_string) {
            self->at += character == '\\' ? 1 : 0;
            in_string = character != '"';
        } else if (character == '"') {
            in_string = true;
        } else if (character == '{') {
            depth++;
        } else if (character == '}') {
            depth--;
        }
        if (depth == 0) {
            self->at++;
            return true;
        }
    }
    return false;
}

static bool next_item(mm_legacy_message_t *self, const char **item, size_t *item_bytes) {
    pass_blanks(self);
    size_t begin = self->at;
    if (begin >= self->text_bytes || self->text[begin] != '{' || !pass_item(self)) {
        return false;
    }
    *item = self->text + begin;
    *item_bytes = self->at - begin;
    return true;
}

bool mm_legacy_message_is_one(const void *bytes, size_t bytes_count) {
    mm_legacy_message_t self = {.text = bytes, .text_bytes = bytes_count};
    return take(&self, "{");
}

static bool take_envelope(mm_legacy_message_t *self) {
    return take(self, "{") && take(self, "\"cmdarr\"") && take(self, ":") && take(self, "[");
}

mm_err_t mm_legacy_message_begin(mm_legacy_message_t *self, const void *bytes, size_t bytes_count) {
    *self = (mm_legacy_message_t){.text = bytes, .text_bytes = bytes_count};
    if (bytes_count > MM_LEGACY_BYTES_MAX) {
        return MM_ERR_FULL;
    }
    mm_legacy_message_t walk = *self;
    const char *item = NULL;
    size_t item_bytes = 0;
    uint8_t items = 0;
    if (!take_envelope(&walk)) {
        return MM_ERR_CORRUPT;
    }
    self->at = walk.at;
    while (!take(&walk, "]")) {
        if (items == MM_LEGACY_ITEMS_MAX || (items > 0 && !take(&walk, ",")) || !next_item(&walk, &item, &item_bytes)) {
            return MM_ERR_CORRUPT;
        }
        items++;
    }
    if (!take(&walk, "}")) {
        return MM_ERR_CORRUPT;
    }
    pass_blanks(&walk);
    if (walk.at != walk.text_bytes) {
        return MM_ERR_CORRUPT;
    }
    self->items_left = items;
    return MM_OK;
}

bool mm_legacy_message_next(mm_legacy_message_t *self, const char **item, size_t *item_bytes) {
    if (self->items_left == 0) {
        return false;
    }
    self->items_left--;
    (void)take(self, ",");
    return next_item(self, item, item_bytes);
}

// --- check value ---------------------------------------------------------------------------------------------------

// FNV-1a: it tells repetitions apart, and keeps nobody out.
#define HASH_BEGIN UINT32_C(0x811C9DC5)

static MM_APART uint32_t hash_byte(uint32_t hash, uint8_t byte) {
    return (hash ^ byte) * UINT32_C(0x01000193);
}

static uint32_t hash_text(uint32_t hash, const char *text) {
    for (; *text != '\0'; text++) {
        hash = hash_byte(hash, (uint8_t)*text);
    }
    return hash_byte(hash, 0);
}

// The item without white space: its first bytes as key, and the hash of all of it. Strings stay as they were sent.
static uint32_t serialise(const char *item, size_t item_bytes, uint8_t key[MM_AES256_KEY_BYTES]) {
    uint32_t hash = HASH_BEGIN;
    size_t used = 0;
    bool in_string = false;
    bool escaped = false;
    memset(key, KEY_FILL, MM_AES256_KEY_BYTES);
    for (size_t i = 0; i < item_bytes; i++) {
        char character = item[i];
        if (!in_string && mmi_legacy_is_blank(character)) {
            continue;
        }
        if (character == '"' && !escaped) {
            in_string = !in_string;
        }
        escaped = character == '\\' && !escaped;
        hash = hash_byte(hash, (uint8_t)character);
        if (used < MM_AES256_KEY_BYTES) {
            key[used++] = (uint8_t)character;
        }
    }
    return hash | 1; // 0 is no item
}

static bool hex_value(const char *text, uint8_t bytes[CHECK_BYTES]) {
    if (strlen(text) != (size_t)2 * CHECK_BYTES) {
        return false;
    }
    for (size_t i = 0; i < (size_t)2 * CHECK_BYTES; i++) {
        int digit = mm_hex_digit(text[i]);
        if (digit < 0) {
            return false;
        }
        bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | digit);
    }
    return true;
}

static MM_APART bool text_in(const mmi_legacy_object_t *object, const char *name, char *text, size_t capacity_bytes) {
    const mmi_legacy_value_t value = mmi_legacy_json_find(object->fields, object->field_count, name);
    return mmi_legacy_json_text(&value, text, capacity_bytes);
}

static mm_legacy_verdict_t check_value(const mmi_legacy_object_t *object, const uint8_t key[MM_AES256_KEY_BYTES],
                                       const uint8_t secret[MM_LEGACY_SECRET_BYTES], const mm_crypto_t *crypto) {
    char text[2 * CHECK_BYTES + 1];
    uint8_t given[CHECK_BYTES] = {0};
    uint8_t block[MM_AES_BLOCK_BYTES];
    if (!text_in(object, "cha", text, sizeof text) || !hex_value(text, given)) {
        return MM_LEGACY_COMMAND_FORGED;
    }
    if (crypto->aes256_encrypt(crypto->context, key, secret, block) != MM_OK) {
        return MM_LEGACY_COMMAND_NO_CRYPTO;
    }
    return mm_bytes_equal_constant_time(given, block, CHECK_BYTES) ? MM_LEGACY_COMMAND_GOOD : MM_LEGACY_COMMAND_FORGED;
}

// --- date ----------------------------------------------------------------------------------------------------------

// "yymmdd" to days since 1970.
static bool parse_date(const char *text, int64_t *days) {
    uint8_t parts[3] = {0};
    if (strlen(text) != 6) {
        return false;
    }
    for (size_t i = 0; i < 6; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        parts[i / 2] = (uint8_t)(parts[i / 2] * 10 + (text[i] - '0'));
    }
    const int32_t year = 2000 + parts[0];
    const uint8_t month = parts[1];
    if (month < 1 || month > 12 || parts[2] < 1) {
        return false;
    }
    *days = mm_days_from_civil(year, month, parts[2]);
    int64_t next_month =
        month < 12 ? mm_days_from_civil(year, (uint8_t)(month + 1), 1) : mm_days_from_civil(year + 1, 1, 1);
    return *days < next_month;
}

static bool date_is_good(const mmi_legacy_object_t *object, bool is_required, int64_t today_s) {
    char text[WORD_BYTES];
    int64_t days = 0;
    const mmi_legacy_value_t value = mmi_legacy_json_find(object->fields, object->field_count, "f");
    if (value.type == MMI_LEGACY_ABSENT) {
        return !is_required;
    }
    if (!mmi_legacy_json_text(&value, text, sizeof text) || !parse_date(text, &days)) {
        return false;
    }
    int64_t distance = days - today_s / DAY_S;
    return today_s < 0 || (distance >= -MM_LEGACY_DATE_DAYS && distance <= MM_LEGACY_DATE_DAYS);
}

// --- values by command ---------------------------------------------------------------------------------------------

typedef struct {
    const mmi_legacy_object_t *object;
    mm_legacy_command_t *command;
    mm_command_body_t body;
} task_t;

static bool text_of(const task_t *task, const char *name, char *text, size_t capacity_bytes) {
    return text_in(task->object, name, text, capacity_bytes);
}

static MM_APART bool number_of(const task_t *task, const char *name, uint8_t decimals, uint64_t max, uint64_t *number) {
    const mmi_legacy_value_t value = mmi_legacy_json_find(task->object->fields, task->object->field_count, name);
    return mmi_legacy_json_number(&value, decimals, max, number);
}

static bool take_meter(task_t *task) {
    char *id = task->command->order.meter_id;
    bool good = text_of(task, "mid", id, MM_METER_ID_CHARS_MAX + 1) && id[0] != '\0';
    task->command->subject = hash_text(task->command->subject, id);
    return good;
}

static void add_order(task_t *task, mm_command_kind_t kind) {
    task->command->kinds[task->command->order_count++] = kind;
}

static bool read_lock(task_t *task) {
    mm_legacy_command_t *command = task->command;
    const mmi_legacy_object_t *object = task->object;
    const mmi_legacy_value_t array = mmi_legacy_json_find(object->fields, object->field_count, "disCon");
    if (array.type != MMI_LEGACY_ARRAY || object->element_count == 0) {
        return false;
    }
    for (uint8_t i = 0; i < object->element_count; i++) {
        const mmi_legacy_field_t *fields = object->elements[i].fields;
        uint8_t field_count = object->elements[i].field_count;
        const mmi_legacy_value_t mid = mmi_legacy_json_find(fields, field_count, "mid");
        const mmi_legacy_value_t state = mmi_legacy_json_find(fields, field_count, "state");
        uint64_t disconnect = 0;
        char *id = command->locks[i].meter_id;
        if (!mmi_legacy_json_text(&mid, id, MM_METER_ID_CHARS_MAX + 1) || id[0] == '\0' ||
            !mmi_legacy_json_number(&state, 0, 1, &disconnect)) {
            return false;
        }
        command->locks[i].disconnect = disconnect == 1;
        command->subject = hash_text(command->subject, id);
    }
    command->lock_count = object->element_count;
    command->order_count = object->element_count;
    return true;
}

// The original clears its months and sets what it is told: erase, then update.
static bool read_update(task_t *task) {
    uint64_t constant = 0;
    uint64_t start_wh = 0;
    uint64_t life_wh = 0;
    if (!take_meter(task) || !number_of(task, "bpk", 0, MM_PULSE_CONSTANT_MAX, &constant) ||
        !number_of(task, "ks", 3, REGISTER_WH_MAX, &start_wh) || !number_of(task, "k", 3, REGISTER_WH_MAX, &life_wh) ||
        life_wh < start_wh) {
        return false;
    }
    // The original's life register begins at the start; ours counts from zero, and the start is added. 10^12 * 10^4
    // fits.
    task->body.update = (mm_update_body_t){.has_pulse_constant = true,
                                           .has_start_wh = true,
                                           .has_life_pulses = true,
                                           .pulse_constant = (uint32_t)constant,
                                           .start_wh = start_wh,
                                           .life_pulses = (life_wh - start_wh) * constant / 1000};
    add_order(task, MM_COMMAND_ERASE);
    add_order(task, MM_COMMAND_UPDATE);
    return true;
}

static bool read_erase(task_t *task) {
    add_order(task, MM_COMMAND_ERASE);
    return take_meter(task);
}

// Ours has two steps, of which this is the first: the answer tells the code that only a signed command can bring.
static bool read_format(task_t *task) {
    add_order(task, MM_COMMAND_FORMAT);
    return take_meter(task);
}

static bool read_network(task_t *task) {
    mm_network_body_t *body = &task->body.network;
    add_order(task, MM_COMMAND_NETWORK);
    return text_of(task, "ssid", body->ssid, sizeof body->ssid) &&
           text_of(task, "ssidpassw", body->password, sizeof body->password);
}

static bool read_broker(task_t *task) {
    mm_broker_body_t *body = &task->body.broker;
    char certificate[2];
    add_order(task, MM_COMMAND_BROKER);
    // A certificate of its own is nothing that our command can carry.
    return text_of(task, "server", body->url, sizeof body->url) &&
           text_of(task, "userm", body->user, sizeof body->user) &&
           text_of(task, "passm", body->password, sizeof body->password) &&
           text_of(task, "cert", certificate, sizeof certificate) && certificate[0] == '\0';
}

static bool read_ota_url(task_t *task) {
    add_order(task, MM_COMMAND_OTA_URL);
    return text_of(task, "url", task->body.ota_url.url, sizeof task->body.ota_url.url);
}

static bool read_ota(task_t *task) {
    add_order(task, MM_COMMAND_OTA_START);
    return true;
}

static bool read_display(task_t *task) {
    uint64_t seconds = 0;
    add_order(task, MM_COMMAND_DISPLAY_ON);
    bool good = take_meter(task) && number_of(task, "time", 0, MM_COMMAND_SECONDS_MAX, &seconds);
    task->body.seconds.seconds = (uint16_t)seconds;
    return good;
}

static bool read_metrics(task_t *task) {
    add_order(task, MM_COMMAND_READ_METER);
    return take_meter(task);
}

typedef struct {
    const char *name;
    bool needs_date; ///< the documented form of lock has none
    bool (*read)(task_t *task);
} form_t;

static const form_t *find_form(const mmi_legacy_object_t *object) {
    static const form_t forms[] = {
        {"lock", false, read_lock},          {"update", true, read_update}, {"erase", true, read_erase},
        {"format", true, read_format},       {"netw", true, read_network},  {"mqtt", true, read_broker},
        {"setota", true, read_ota_url},      {"ota", true, read_ota},       {"display", true, read_display},
        {"mqttmetrics", true, read_metrics},
    };
    char name[WORD_BYTES];
    if (!text_in(object, "cmd", name, sizeof name)) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (strcmp(forms[i].name, name) == 0) {
            return &forms[i];
        }
    }
    return NULL;
}

static bool read_values(const form_t *form, task_t *task) {
    mm_legacy_command_t *command = task->command;
    command->subject = hash_text(HASH_BEGIN, form->name);
    if (!form->read(task)) {
        return false;
    }
    if (command->lock_count > 0) {
        return true;
    }
    mm_writer_t writer = mm_writer(command->order.body, sizeof command->order.body);
    uint8_t kind = (uint8_t)command->kinds[command->order_count - 1];
    if (mm_command_body_put(kind, &task->body, &writer) != MM_OK) {
        return false;
    }
    command->order.body_bytes = (uint8_t)writer.used_bytes;
    return true;
}

mm_legacy_verdict_t mm_legacy_command_read(mm_legacy_command_t *self, const char *item, size_t item_bytes,
                                           const uint8_t secret[MM_LEGACY_SECRET_BYTES], const mm_crypto_t *crypto,
                                           int64_t today_s) {
    mmi_legacy_object_t object;
    uint8_t key[MM_AES256_KEY_BYTES];
    memset(self, 0, sizeof *self);
    if (!mmi_legacy_json_read(item, item_bytes, &object)) {
        return MM_LEGACY_COMMAND_MALFORMED;
    }
    self->hash = serialise(item, item_bytes, key);
    mm_legacy_verdict_t verdict = check_value(&object, key, secret, crypto);
    if (verdict != MM_LEGACY_COMMAND_GOOD) {
        return verdict;
    }
    const form_t *form = find_form(&object);
    if (form == NULL) {
        return MM_LEGACY_COMMAND_UNKNOWN;
    }
    if (!date_is_good(&object, form->needs_date, today_s)) {
        return MM_LEGACY_COMMAND_DATE;
    }
    task_t task = {.object = &object, .command = self};
    memset(&task.body, 0, sizeof task.body);
    if (!read_values(form, &task)) {
        self->order_count = 0;
        return MM_LEGACY_COMMAND_VALUES;
    }
    return MM_LEGACY_COMMAND_GOOD;
}

bool mm_legacy_command_next(mm_legacy_command_t *self, mm_legacy_order_t *order) {
    if (self->next_order == self->order_count) {
        return false;
    }
    uint8_t index = self->next_order++;
    *order = self->order;
    if (self->lock_count > 0) {
        order->kind = self->locks[index].disconnect ? MM_COMMAND_LOCK : MM_COMMAND_UNLOCK;
        memcpy(order->meter_id, self->locks[index].meter_id, sizeof order->meter_id);
        return true;
    }
    order->kind = self->kinds[index];
    if (self->next_order < self->order_count) {
        order->body_bytes = 0; // the body is the last one's
    }
    return true;
}

// --- repetition ----------------------------------------------------------------------------------------------------

static uint32_t seconds_of(mm_us_t now) {
    return (uint32_t)mm_us_whole_s(now);
}

bool mm_legacy_seen_is_repeated(mm_legacy_seen_t *self, const mm_legacy_command_t *command, mm_us_t now) {
    for (size_t i = 0; i < MM_LEGACY_SEEN_MAX; i++) {
        if (self->items[i].hash == command->hash && seconds_of(now) - self->items[i].at_s < MM_LEGACY_REPEAT_S) {
            self->items[i].at_s = seconds_of(now);
            return true;
        }
    }
    return false;
}

void mm_legacy_seen_add(mm_legacy_seen_t *self, const mm_legacy_command_t *command, mm_us_t now) {
    size_t place = 0;
    for (size_t i = 0; i < MM_LEGACY_SEEN_MAX; i++) {
        if (self->items[i].hash != 0 && self->items[i].subject == command->subject) {
            place = i;
            break;
        }
        bool is_older = self->items[i].hash == 0 || self->items[i].at_s < self->items[place].at_s;
        place = self->items[place].hash != 0 && is_older ? i : place;
    }
    self->items[place].hash = command->hash;
    self->items[place].subject = command->subject;
    self->items[place].at_s = seconds_of(now);
}
