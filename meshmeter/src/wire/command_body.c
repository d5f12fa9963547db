// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/command_body.h"

#include <string.h>

#include "codec_internal.h"
#include "wire/fields.h"

#define QUIET_HOURS_KNOWN ((UINT32_C(1) << MM_HOURS_OF_DAY) - 1)
#define QUIET_DAYS_KNOWN 0x7F
#define SEPARATOR '\n'

_Static_assert(MM_COMMAND_SSID_BYTES_MAX + 1 + MM_COMMAND_NETWORK_PASSWORD_BYTES_MAX <= MM_COMMAND_BODY_BYTES_MAX,
               "the largest NETWORK fits a body");

// What bodies consist of, for both directions: numbers, of which some are there only if a mask before them says so, or
// texts with a separator between them.

typedef struct {
    uint8_t offset_bytes;
    uint8_t bytes_min;
    uint8_t bytes_max;
    char lowest; ///< ' ', or '!' where there must be no blank
} text_t;

typedef struct {
    uint8_t field_begin;
    uint8_t field_count;
    uint8_t text_begin;
    uint8_t text_count;
    uint8_t masked_begin;
    uint8_t masked_count;
} form_t;

static const mmi_field_t fields[] = {
    MMI_FIELD(mm_command_body_t, format.code, 4), // 0
    MMI_FIELD(mm_command_body_t, slot_plan.slot, 4),
    MMI_FIELD(mm_command_body_t, slot_plan.slot_count, 4),
    MMI_FIELD(mm_command_body_t, seconds.seconds, 2), // 3
    MMI_FIELD(mm_command_body_t, limits.warning_wh, 4),
    MMI_FIELD(mm_command_body_t, limits.emergency_wh, 4),
    MMI_FIELD(mm_command_body_t, limits.quiet_hours, 4),
    MMI_FIELD(mm_command_body_t, limits.quiet_days, 1),
    MMI_FIELD(mm_command_body_t, confirm.revision, 4), // 8
    MMI_FIELD(mm_command_body_t, admit.asker.bytes, MMI_FIELD_BYTES),
    MMI_FIELD(mm_command_body_t, admit.nonce, MMI_FIELD_BYTES),
    MMI_FIELD(mm_command_body_t, admit.hidden_key, MMI_FIELD_BYTES),
    MMI_FIELD(mm_command_body_t, credit.purchase_id, 8), // 12
    MMI_FIELD(mm_command_body_t, credit.count, 4),
    MMI_FIELD(mm_command_body_t, credit.amount_wh, 8), // two's complement
    MMI_BITS(mm_command_body_t, mode.prepaid, 0x01),   // 15
    MMI_BITS_LAST(mm_command_body_t, mode.has_count, 0x02),
    MMI_BITS(mm_command_body_t, update.has_id, 0x01), // 17
    MMI_BITS(mm_command_body_t, update.has_pulse_constant, 0x02),
    MMI_BITS(mm_command_body_t, update.has_start_wh, 0x04),
    MMI_BITS_LAST(mm_command_body_t, update.has_life_pulses, 0x08),
};

// What is there if a bit of a mask is set (commands.md, 4.3).
#define MASKED(has, member, kind)                                                                                      \
    { offsetof(mm_command_body_t, has), MMI_FIELD(mm_command_body_t, member, kind) }
static const struct {
    uint8_t has_offset_bytes;
    mmi_field_t field;
} masked_fields[] = {
    MASKED(update.has_id, update.id, MMI_FIELD_ID), // 0
    MASKED(update.has_pulse_constant, update.pulse_constant, 4),
    MASKED(update.has_start_wh, update.start_wh, 8),
    MASKED(update.has_life_pulses, update.life_pulses, 8),
    MASKED(mode.has_count, mode.count, 4), // 4
};
#undef MASKED

#define TEXT(member, min, max, lowest)                                                                                 \
    { offsetof(mm_command_body_t, member), min, max, lowest }
static const text_t texts[] = {
    TEXT(network.ssid, 1, MM_COMMAND_SSID_BYTES_MAX, ' '),
    TEXT(network.password, 0, MM_COMMAND_NETWORK_PASSWORD_BYTES_MAX, ' '),
    TEXT(broker.url, 1, MM_COMMAND_BROKER_URL_BYTES_MAX, '!'), // 2
    TEXT(broker.user, 0, MM_COMMAND_BROKER_USER_BYTES_MAX, ' '),
    TEXT(broker.password, 0, MM_COMMAND_BROKER_PASSWORD_BYTES_MAX, ' '),
    TEXT(ota_url.url, 1, MM_COMMAND_OTA_URL_BYTES_MAX, '!'), // 5
};
#undef TEXT

#define NUMBERS(begin, count)                                                                                          \
    { begin, count, 0, 0, 0, 0 }
#define NUMBERS_AND(begin, count, masked_begin, masked_count)                                                          \
    { begin, count, 0, 0, masked_begin, masked_count }
#define TEXTS(begin, count)                                                                                            \
    { 0, 0, begin, count, 0, 0 }
static const form_t forms[MM_COMMAND_KIND_COUNT] = {
    [MM_COMMAND_FORMAT] = NUMBERS(0, 1),
    [MM_COMMAND_NETWORK] = TEXTS(0, 2),
    [MM_COMMAND_BROKER] = TEXTS(2, 3),
    [MM_COMMAND_SLOT_PLAN] = NUMBERS(1, 2),
    [MM_COMMAND_DISPLAY_ON] = NUMBERS(3, 1),
    [MM_COMMAND_FIND] = NUMBERS(3, 1),
    [MM_COMMAND_OTA_URL] = TEXTS(5, 1),
    [MM_COMMAND_LIMITS] = NUMBERS(4, 4),
    [MM_COMMAND_CONFIRM] = NUMBERS(8, 1),
    [MM_COMMAND_ADMIT] = NUMBERS(9, 3),
    [MM_COMMAND_CREDIT] = NUMBERS(12, 3),
    [MM_COMMAND_VOID] = NUMBERS(12, 2),
    [MM_COMMAND_ADJUST] = NUMBERS(12, 3),
    [MM_COMMAND_MODE] = NUMBERS_AND(15, 2, 4, 1),
    [MM_COMMAND_UPDATE] = NUMBERS_AND(17, 4, 0, 4),
};
#undef NUMBERS
#undef NUMBERS_AND
#undef TEXTS

static bool kind_is_known(uint8_t kind) {
    return kind != MM_COMMAND_NONE && kind < MM_COMMAND_KIND_COUNT;
}

bool mm_command_body_is_empty(uint8_t kind) {
    return kind_is_known(kind) && forms[kind].field_count == 0 && forms[kind].text_count == 0;
}

// Texts.

// Bytes of a text in room for bytes_max and a terminator; beyond bytes_max if it is not terminated.
static size_t text_bytes(const char *text, size_t bytes_max) {
    size_t bytes_count = 0;
    while (bytes_count <= bytes_max && text[bytes_count] != '\0') {
        bytes_count++;
    }
    return bytes_count;
}

static bool text_is_valid(const mm_command_body_t *body, const text_t *form) {
    const char *text = (const char *)body + form->offset_bytes;
    size_t bytes_count = text_bytes(text, form->bytes_max);
    for (size_t index = 0; index < bytes_count; index++) {
        unsigned char character = (unsigned char)text[index];
        if (character < (unsigned char)form->lowest || character == 0x7F) {
            return false;
        }
    }
    return bytes_count >= form->bytes_min && bytes_count <= form->bytes_max;
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

static void put_texts(mm_writer_t *writer, const form_t *form, const mm_command_body_t *body) {
    for (uint8_t index = 0; index < form->text_count; index++) {
        const char *text = (const char *)body + texts[form->text_begin + index].offset_bytes;
        if (index > 0) {
            mm_put_u8(writer, SEPARATOR);
        }
        mm_put_bytes(writer, text, strlen(text));
    }
}

// MM_ERR_ARG: a text too long for *body. Other errors are the reader's.
static mm_err_t get_texts(mm_reader_t *reader, const form_t *form, mm_command_body_t *body) {
    mm_err_t err = MM_OK;
    for (uint8_t index = 0; index < form->text_count && err == MM_OK; index++) {
        const text_t *text = &texts[form->text_begin + index];
        err = get_text(reader, index + 1 == form->text_count, (char *)body + text->offset_bytes, text->bytes_max);
    }
    return err;
}

// Ranges, for both directions.

typedef struct {
    uint8_t kind;
    uint8_t offset_bytes;
    uint8_t member_bytes;
    uint8_t has_offset_bytes; ///< of a bool that says whether it is there; ALWAYS
    uint64_t least;
    uint64_t width; ///< largest value less the least one, modulo 2^64: so a range can begin below zero
} range_t;

#define ALWAYS UINT8_MAX
_Static_assert(sizeof(mm_command_body_t) < ALWAYS, "offsets have a byte");
#define RANGE(kind, member, has_offset_bytes, least, most)                                                             \
    {                                                                                                                  \
        kind, offsetof(mm_command_body_t, member), sizeof(((mm_command_body_t *)0)->member), has_offset_bytes,         \
            (uint64_t)(least), (uint64_t)(most) - (uint64_t)(least)                                                    \
    }
#define UPDATE_RANGE(member, least, most)                                                                              \
    RANGE(MM_COMMAND_UPDATE, update.member, offsetof(mm_command_body_t, update.has_##member), least, most)
static const range_t ranges[] = {
    UPDATE_RANGE(pulse_constant, MM_PULSE_CONSTANT_MIN, MM_PULSE_CONSTANT_MAX),
    UPDATE_RANGE(start_wh, 0, MMI_VALUE_MAX),
    UPDATE_RANGE(life_pulses, 0, MMI_VALUE_MAX),
    RANGE(MM_COMMAND_SLOT_PLAN, slot_plan.slot_count, ALWAYS, 0, MM_COMMAND_SLOTS_MAX),
    RANGE(MM_COMMAND_DISPLAY_ON, seconds.seconds, ALWAYS, 1, MM_COMMAND_SECONDS_MAX),
    RANGE(MM_COMMAND_FIND, seconds.seconds, ALWAYS, 1, MM_COMMAND_SECONDS_MAX),
    RANGE(MM_COMMAND_CREDIT, credit.purchase_id, ALWAYS, 1, MMI_VALUE_MAX),
    RANGE(MM_COMMAND_CREDIT, credit.count, ALWAYS, 2, UINT32_MAX),
    RANGE(MM_COMMAND_CREDIT, credit.amount_wh, ALWAYS, 1, MM_COMMAND_AMOUNT_WH_MAX),
    RANGE(MM_COMMAND_VOID, credit.purchase_id, ALWAYS, 1, MMI_VALUE_MAX),
    RANGE(MM_COMMAND_VOID, credit.count, ALWAYS, 2, UINT32_MAX),
    RANGE(MM_COMMAND_VOID, credit.amount_wh, ALWAYS, 0, 0),
    RANGE(MM_COMMAND_ADJUST, credit.purchase_id, ALWAYS, 1, MMI_VALUE_MAX),
    RANGE(MM_COMMAND_ADJUST, credit.count, ALWAYS, 2, UINT32_MAX),
    RANGE(MM_COMMAND_ADJUST, credit.amount_wh, ALWAYS, -MM_COMMAND_AMOUNT_WH_MAX, MM_COMMAND_AMOUNT_WH_MAX),
    RANGE(MM_COMMAND_LIMITS, limits.warning_wh, ALWAYS, 0, MM_COMMAND_THRESHOLD_WH_MAX),
    RANGE(MM_COMMAND_LIMITS, limits.emergency_wh, ALWAYS, 0, MM_COMMAND_THRESHOLD_WH_MAX),
    RANGE(MM_COMMAND_LIMITS, limits.quiet_hours, ALWAYS, 0, QUIET_HOURS_KNOWN),
    RANGE(MM_COMMAND_LIMITS, limits.quiet_days, ALWAYS, 0, QUIET_DAYS_KNOWN),
    RANGE(MM_COMMAND_CONFIRM, confirm.revision, ALWAYS, 1, UINT32_MAX),
};
#undef UPDATE_RANGE
#undef RANGE

static bool numbers_are_valid(uint8_t kind, const mm_command_body_t *body) {
    const uint8_t *bytes = (const uint8_t *)body;
    for (size_t index = 0; index < sizeof ranges / sizeof ranges[0]; index++) {
        const range_t *range = &ranges[index];
        bool is_there = range->has_offset_bytes == ALWAYS || bytes[range->has_offset_bytes] != 0;
        if (range->kind == kind && is_there &&
            mmi_load_number(bytes + range->offset_bytes, range->member_bytes) - range->least > range->width) {
            return false;
        }
    }
    return true;
}

static bool texts_are_valid(uint8_t kind, const mm_command_body_t *body) {
    const form_t *form = &forms[kind];
    for (uint8_t index = 0; index < form->text_count; index++) {
        if (!text_is_valid(body, &texts[form->text_begin + index])) {
            return false;
        }
    }
    const mm_broker_body_t *broker = &body->broker;
    return kind != MM_COMMAND_BROKER ||
           strlen(broker->url) + 1 + strlen(broker->user) + 1 + strlen(broker->password) <= MM_COMMAND_BODY_BYTES_MAX;
}

// Beyond the ranges.
static bool is_consistent(uint8_t kind, const mm_command_body_t *body) {
    const mm_update_body_t *update = &body->update;
    switch (kind) {
    case MM_COMMAND_UPDATE:
        return (update->has_id || update->has_pulse_constant || update->has_start_wh || update->has_life_pulses) &&
               (!update->has_id || mmi_is_id(update->id));
    case MM_COMMAND_SLOT_PLAN:
        return body->slot_plan.slot < body->slot_plan.slot_count;
    case MM_COMMAND_CREDIT:
    case MM_COMMAND_VOID:
        return body->credit.count % 2 == 0;
    case MM_COMMAND_ADJUST:
        return body->credit.count % 2 == 0 && body->credit.amount_wh != 0;
    case MM_COMMAND_ADMIT:
        return !mm_mac_is_zero(body->admit.asker);
    case MM_COMMAND_MODE:
        return !body->mode.has_count || (!body->mode.prepaid && body->mode.count != 0);
    default:
        return texts_are_valid(kind, body); // FORMAT takes every code, others are texts or empty
    }
}

static bool body_is_valid(uint8_t kind, const mm_command_body_t *body) {
    return numbers_are_valid(kind, body) && is_consistent(kind, body);
}

// Bytes.

static size_t count_of_masked(const mm_command_body_t *body, uint8_t index) {
    return ((const uint8_t *)body)[masked_fields[index].has_offset_bytes] != 0 ? 1 : 0;
}

static void put_body(mm_writer_t *writer, uint8_t kind, const mm_command_body_t *body) {
    const form_t *form = &forms[kind];
    mmi_put_fields(writer, fields + form->field_begin, form->field_count, body);
    for (uint8_t index = form->masked_begin; index < form->masked_begin + form->masked_count; index++) {
        mmi_put_fields(writer, &masked_fields[index].field, count_of_masked(body, index), body);
    }
    put_texts(writer, form, body);
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

static mm_err_t get_body(mm_reader_t *reader, uint8_t kind, mm_command_body_t *body) {
    const form_t *form = &forms[kind];
    mmi_get_fields(reader, fields + form->field_begin, form->field_count, body);
    for (uint8_t index = form->masked_begin; index < form->masked_begin + form->masked_count; index++) {
        mmi_get_fields(reader, &masked_fields[index].field, count_of_masked(body, index), body);
    }
    return get_texts(reader, form, body);
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
