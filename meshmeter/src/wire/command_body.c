// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/command_body.h"

#include <string.h>

#include "codec_internal.h"

// Mask of UPDATE (commands.md, 4.3).
#define UPDATE_ID 0x01
#define UPDATE_PULSE_CONSTANT 0x02
#define UPDATE_START_WH 0x04
#define UPDATE_LIFE_PULSES 0x08
#define UPDATE_KNOWN 0x0F

#define QUIET_HOURS_KNOWN ((UINT32_C(1) << MM_HOURS_OF_DAY) - 1)
#define QUIET_DAYS_KNOWN 0x7F
#define SEPARATOR '\n'

_Static_assert(MM_COMMAND_SSID_BYTES_MAX + 1 + MM_COMMAND_NETWORK_PASSWORD_BYTES_MAX <= MM_COMMAND_BODY_BYTES_MAX,
               "the largest NETWORK fits a body");

// Texts.

// Bytes of a text in room for bytes_max and a terminator; beyond bytes_max if it is not terminated.
static size_t text_bytes(const char *text, size_t bytes_max) {
    size_t bytes_count = 0;
    while (bytes_count <= bytes_max && text[bytes_count] != '\0') {
        bytes_count++;
    }
    return bytes_count;
}

// lowest: ' ', or '!' where there must be no blank.
static bool text_is_valid(const char *text, size_t bytes_min, size_t bytes_max, char lowest) {
    size_t bytes_count = text_bytes(text, bytes_max);
    for (size_t index = 0; index < bytes_count; index++) {
        unsigned char character = (unsigned char)text[index];
        if (character < (unsigned char)lowest || character == 0x7F) {
            return false;
        }
    }
    return bytes_count >= bytes_min && bytes_count <= bytes_max;
}

static bool id_is_valid(const char id[MM_METER_ID_CHARS_MAX + 1]) {
    size_t chars = text_bytes(id, MM_METER_ID_CHARS_MAX);
    for (size_t index = 0; index < chars; index++) {
        if (!mmi_is_printable(id[index])) {
            return false;
        }
    }
    return chars <= MM_METER_ID_CHARS_MAX;
}

// The next text of a body, up to the separator or, of the last one, to the end.
static mm_err_t get_text(mm_reader_t *reader, bool is_last, char *text, size_t bytes_max) {
    size_t left_bytes = mm_reader_left_bytes(reader);
    const uint8_t *bytes = reader->data + reader->position_bytes;
    const uint8_t *separator = left_bytes > 0 ? memchr(bytes, SEPARATOR, left_bytes) : NULL;
    if (is_last != (separator == NULL)) {
        reader->failed = true;
        return MM_ERR_CORRUPT;
    }
    size_t bytes_count = is_last ? left_bytes : (size_t)(separator - bytes);
    if (bytes_count > bytes_max || (bytes_count > 0 && memchr(bytes, '\0', bytes_count) != NULL)) {
        return MM_ERR_ARG;
    }
    mm_get_bytes(reader, text, bytes_count);
    text[bytes_count] = '\0';
    if (!is_last) {
        mm_get_u8(reader);
    }
    return MM_OK;
}

static void put_text(mm_writer_t *writer, const char *text) {
    mm_put_bytes(writer, text, strlen(text));
}

// Ranges, for both directions.

static bool update_is_valid(const mm_update_body_t *update) {
    if (!update->has_id && !update->has_pulse_constant && !update->has_start_wh && !update->has_life_pulses) {
        return false;
    }
    return (!update->has_id || id_is_valid(update->id)) &&
           (!update->has_pulse_constant ||
            (update->pulse_constant >= MM_PULSE_CONSTANT_MIN && update->pulse_constant <= MM_PULSE_CONSTANT_MAX)) &&
           (!update->has_start_wh || update->start_wh <= MMI_VALUE_MAX) &&
           (!update->has_life_pulses || update->life_pulses <= MMI_VALUE_MAX);
}

static bool network_is_valid(const mm_network_body_t *network) {
    return text_is_valid(network->ssid, 1, MM_COMMAND_SSID_BYTES_MAX, ' ') &&
           text_is_valid(network->password, 0, MM_COMMAND_NETWORK_PASSWORD_BYTES_MAX, ' ');
}

static bool broker_is_valid(const mm_broker_body_t *broker) {
    return text_is_valid(broker->url, 1, MM_COMMAND_BROKER_URL_BYTES_MAX, '!') &&
           text_is_valid(broker->user, 0, MM_COMMAND_BROKER_USER_BYTES_MAX, ' ') &&
           text_is_valid(broker->password, 0, MM_COMMAND_BROKER_PASSWORD_BYTES_MAX, ' ') &&
           strlen(broker->url) + 1 + strlen(broker->user) + 1 + strlen(broker->password) <= MM_COMMAND_BODY_BYTES_MAX;
}

static bool credit_is_valid(uint8_t kind, const mm_credit_body_t *credit) {
    if (credit->purchase_id == 0 || credit->purchase_id > MMI_VALUE_MAX || credit->count == 0 ||
        credit->count % 2 != 0) {
        return false;
    }
    if (kind == MM_COMMAND_VOID) {
        return credit->amount_wh == 0;
    }
    int64_t amount_wh_min = kind == MM_COMMAND_CREDIT ? 1 : -MM_COMMAND_AMOUNT_WH_MAX;
    return credit->amount_wh != 0 && credit->amount_wh >= amount_wh_min &&
           credit->amount_wh <= MM_COMMAND_AMOUNT_WH_MAX;
}

static bool limits_are_valid(const mm_limits_body_t *limits) {
    return limits->warning_wh <= MM_COMMAND_THRESHOLD_WH_MAX && limits->emergency_wh <= MM_COMMAND_THRESHOLD_WH_MAX &&
           limits->quiet_hours <= QUIET_HOURS_KNOWN && limits->quiet_days <= QUIET_DAYS_KNOWN;
}

static bool body_is_valid(uint8_t kind, const mm_command_body_t *body) {
    switch (kind) {
    case MM_COMMAND_UPDATE:
        return update_is_valid(&body->update);
    case MM_COMMAND_NETWORK:
        return network_is_valid(&body->network);
    case MM_COMMAND_BROKER:
        return broker_is_valid(&body->broker);
    case MM_COMMAND_SLOT_PLAN:
        return body->slot_plan.slot_count <= MM_COMMAND_SLOTS_MAX && body->slot_plan.slot < body->slot_plan.slot_count;
    case MM_COMMAND_DISPLAY_ON:
    case MM_COMMAND_FIND:
        return body->seconds.seconds >= 1 && body->seconds.seconds <= MM_COMMAND_SECONDS_MAX;
    case MM_COMMAND_OTA_URL:
        return text_is_valid(body->ota_url.url, 1, MM_COMMAND_OTA_URL_BYTES_MAX, '!');
    case MM_COMMAND_CREDIT:
    case MM_COMMAND_VOID:
    case MM_COMMAND_ADJUST:
        return credit_is_valid(kind, &body->credit);
    case MM_COMMAND_LIMITS:
        return limits_are_valid(&body->limits);
    case MM_COMMAND_CONFIRM:
        return body->confirm.revision != 0;
    case MM_COMMAND_ADMIT:
        return !mm_mac_is_zero(body->admit.asker);
    default:
        return true; // FORMAT takes every code, MODE is a bool, the others are empty
    }
}

bool mm_command_body_is_empty(uint8_t kind) {
    switch (kind) {
    case MM_COMMAND_LOCK:
    case MM_COMMAND_UNLOCK:
    case MM_COMMAND_ERASE:
    case MM_COMMAND_REBOOT:
    case MM_COMMAND_SEND_NOW:
    case MM_COMMAND_READ_METER:
    case MM_COMMAND_READ_LOG:
    case MM_COMMAND_OTA_START:
    case MM_COMMAND_REINSTALL:
        return true;
    default:
        return false;
    }
}

static bool kind_is_known(uint8_t kind) {
    return kind != MM_COMMAND_NONE && kind < MM_COMMAND_KIND_COUNT;
}

// Bytes.

static void put_update(mm_writer_t *writer, const mm_update_body_t *update) {
    mm_put_u8(writer,
              (uint8_t)((update->has_id ? UPDATE_ID : 0u) | (update->has_pulse_constant ? UPDATE_PULSE_CONSTANT : 0u) |
                        (update->has_start_wh ? UPDATE_START_WH : 0u) |
                        (update->has_life_pulses ? UPDATE_LIFE_PULSES : 0u)));
    if (update->has_id) {
        mm_put_u8(writer, (uint8_t)strlen(update->id));
        put_text(writer, update->id);
    }
    if (update->has_pulse_constant) {
        mm_put_u32(writer, update->pulse_constant);
    }
    if (update->has_start_wh) {
        mm_put_u64(writer, update->start_wh);
    }
    if (update->has_life_pulses) {
        mm_put_u64(writer, update->life_pulses);
    }
}

static void get_update(mm_reader_t *reader, mm_update_body_t *update) {
    uint8_t mask = mm_get_u8(reader);
    update->has_id = (mask & UPDATE_ID) != 0;
    update->has_pulse_constant = (mask & UPDATE_PULSE_CONSTANT) != 0;
    update->has_start_wh = (mask & UPDATE_START_WH) != 0;
    update->has_life_pulses = (mask & UPDATE_LIFE_PULSES) != 0;
    if (update->has_id) {
        size_t chars = mm_get_u8(reader);
        if (chars > MM_METER_ID_CHARS_MAX) {
            reader->failed = true;
            return;
        }
        mmi_get_id(reader, chars, update->id);
    }
    update->pulse_constant = update->has_pulse_constant ? mm_get_u32(reader) : 0;
    update->start_wh = update->has_start_wh ? mm_get_u64(reader) : 0;
    update->life_pulses = update->has_life_pulses ? mm_get_u64(reader) : 0;
    reader->failed = reader->failed || (mask & ~UPDATE_KNOWN) != 0;
}

static void put_credit(mm_writer_t *writer, uint8_t kind, const mm_credit_body_t *credit) {
    mm_put_u64(writer, credit->purchase_id);
    mm_put_u32(writer, credit->count);
    if (kind != MM_COMMAND_VOID) {
        mm_put_u64(writer, (uint64_t)credit->amount_wh);
    }
}

// Two's complement without relying on what a conversion of a large number does.
static int64_t get_signed(mm_reader_t *reader) {
    uint64_t value = mm_get_u64(reader);
    return value <= MMI_VALUE_MAX ? (int64_t)value : -(int64_t)~value - 1;
}

static void get_credit(mm_reader_t *reader, uint8_t kind, mm_credit_body_t *credit) {
    credit->purchase_id = mm_get_u64(reader);
    credit->count = mm_get_u32(reader);
    credit->amount_wh = kind != MM_COMMAND_VOID ? get_signed(reader) : 0;
}

static void put_limits(mm_writer_t *writer, const mm_limits_body_t *limits) {
    mm_put_u32(writer, limits->warning_wh);
    mm_put_u32(writer, limits->emergency_wh);
    mm_put_u32(writer, limits->quiet_hours);
    mm_put_u8(writer, limits->quiet_days);
}

static void get_limits(mm_reader_t *reader, mm_limits_body_t *limits) {
    limits->warning_wh = mm_get_u32(reader);
    limits->emergency_wh = mm_get_u32(reader);
    limits->quiet_hours = mm_get_u32(reader);
    limits->quiet_days = mm_get_u8(reader);
}

static void put_broker(mm_writer_t *writer, const mm_broker_body_t *broker) {
    put_text(writer, broker->url);
    mm_put_u8(writer, SEPARATOR);
    put_text(writer, broker->user);
    mm_put_u8(writer, SEPARATOR);
    put_text(writer, broker->password);
}

static void put_body(mm_writer_t *writer, uint8_t kind, const mm_command_body_t *body) {
    switch (kind) {
    case MM_COMMAND_UPDATE:
        put_update(writer, &body->update);
        break;
    case MM_COMMAND_FORMAT:
        mm_put_u32(writer, body->format.code);
        break;
    case MM_COMMAND_NETWORK:
        put_text(writer, body->network.ssid);
        mm_put_u8(writer, SEPARATOR);
        put_text(writer, body->network.password);
        break;
    case MM_COMMAND_BROKER:
        put_broker(writer, &body->broker);
        break;
    case MM_COMMAND_SLOT_PLAN:
        mm_put_u32(writer, body->slot_plan.slot);
        mm_put_u32(writer, body->slot_plan.slot_count);
        break;
    case MM_COMMAND_DISPLAY_ON:
    case MM_COMMAND_FIND:
        mm_put_u16(writer, body->seconds.seconds);
        break;
    case MM_COMMAND_OTA_URL:
        put_text(writer, body->ota_url.url);
        break;
    case MM_COMMAND_LIMITS:
        put_limits(writer, &body->limits);
        break;
    case MM_COMMAND_MODE:
        mm_put_u8(writer, body->mode.prepaid ? 1 : 0);
        break;
    case MM_COMMAND_CONFIRM:
        mm_put_u32(writer, body->confirm.revision);
        break;
    case MM_COMMAND_ADMIT:
        mm_put_mac(writer, body->admit.asker);
        mm_put_bytes(writer, body->admit.nonce, sizeof body->admit.nonce);
        mm_put_bytes(writer, body->admit.hidden_key, sizeof body->admit.hidden_key);
        break;
    default:
        put_credit(writer, kind, &body->credit);
        break;
    }
}

mm_err_t mm_command_body_put(uint8_t kind, const mm_command_body_t *body, mm_writer_t *writer) {
    if (!kind_is_known(kind)) {
        return MM_ERR_NOT_FOUND;
    }
    if (mm_command_body_is_empty(kind)) {
        return writer->failed ? MM_ERR_FULL : MM_OK;
    }
    MM_ASSERT(body != NULL);
    if (!body_is_valid(kind, body)) {
        return MM_ERR_ARG;
    }
    mm_writer_t attempt = *writer;
    put_body(&attempt, kind, body);
    if (attempt.failed) {
        return MM_ERR_FULL;
    }
    *writer = attempt;
    return MM_OK;
}

static mm_err_t get_network(mm_reader_t *reader, mm_network_body_t *network) {
    mm_err_t err = get_text(reader, false, network->ssid, MM_COMMAND_SSID_BYTES_MAX);
    return err != MM_OK ? err : get_text(reader, true, network->password, MM_COMMAND_NETWORK_PASSWORD_BYTES_MAX);
}

static mm_err_t get_broker(mm_reader_t *reader, mm_broker_body_t *broker) {
    mm_err_t err = get_text(reader, false, broker->url, MM_COMMAND_BROKER_URL_BYTES_MAX);
    if (err == MM_OK) {
        err = get_text(reader, false, broker->user, MM_COMMAND_BROKER_USER_BYTES_MAX);
    }
    return err != MM_OK ? err : get_text(reader, true, broker->password, MM_COMMAND_BROKER_PASSWORD_BYTES_MAX);
}

static void get_mode(mm_reader_t *reader, mm_mode_body_t *mode) {
    uint8_t prepaid = mm_get_u8(reader);
    mode->prepaid = prepaid == 1;
    reader->failed = reader->failed || prepaid > 1;
}

// MM_ERR_ARG: a text too long for *body. Other errors are the reader's.
static mm_err_t get_body(mm_reader_t *reader, uint8_t kind, mm_command_body_t *body) {
    switch (kind) {
    case MM_COMMAND_UPDATE:
        get_update(reader, &body->update);
        return MM_OK;
    case MM_COMMAND_FORMAT:
        body->format.code = mm_get_u32(reader);
        return MM_OK;
    case MM_COMMAND_NETWORK:
        return get_network(reader, &body->network);
    case MM_COMMAND_BROKER:
        return get_broker(reader, &body->broker);
    case MM_COMMAND_SLOT_PLAN:
        body->slot_plan.slot = mm_get_u32(reader);
        body->slot_plan.slot_count = mm_get_u32(reader);
        return MM_OK;
    case MM_COMMAND_DISPLAY_ON:
    case MM_COMMAND_FIND:
        body->seconds.seconds = mm_get_u16(reader);
        return MM_OK;
    case MM_COMMAND_OTA_URL:
        return get_text(reader, true, body->ota_url.url, MM_COMMAND_OTA_URL_BYTES_MAX);
    case MM_COMMAND_LIMITS:
        get_limits(reader, &body->limits);
        return MM_OK;
    case MM_COMMAND_MODE:
        get_mode(reader, &body->mode);
        return MM_OK;
    case MM_COMMAND_CONFIRM:
        body->confirm.revision = mm_get_u32(reader);
        return MM_OK;
    case MM_COMMAND_ADMIT:
        body->admit.asker = mm_get_mac(reader);
        mm_get_bytes(reader, body->admit.nonce, sizeof body->admit.nonce);
        mm_get_bytes(reader, body->admit.hidden_key, sizeof body->admit.hidden_key);
        return MM_OK;
    case MM_COMMAND_CREDIT:
    case MM_COMMAND_VOID:
    case MM_COMMAND_ADJUST:
        get_credit(reader, kind, &body->credit);
        return MM_OK;
    default:
        return MM_OK;
    }
}

mm_err_t mm_command_body_read(uint8_t kind, const void *bytes, size_t bytes_count, mm_command_body_t *body) {
    memset(body, 0, sizeof *body);
    if (!kind_is_known(kind)) {
        return MM_ERR_NOT_FOUND;
    }
    if (bytes_count > MM_COMMAND_BODY_BYTES_MAX) {
        return MM_ERR_CORRUPT;
    }
    mm_reader_t reader = mm_reader(bytes, bytes_count);
    mm_err_t err = get_body(&reader, kind, body);
    if (err != MM_OK) {
        return err;
    }
    if (!mmi_is_complete(&reader)) {
        return MM_ERR_CORRUPT;
    }
    return body_is_valid(kind, body) ? MM_OK : MM_ERR_ARG;
}
