// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/record.h"

#include <string.h>

#include "codec_internal.h"
#include "meshmeter/command.h"
#include "meshmeter/text.h"
#include "wire/fields.h"

// Flags of an interval record (6.2); bits 0 and 1 are the trust.
#define INTERVAL_TRUST_MASK 0x03
#define INTERVAL_RESTARTED 0x04
#define INTERVAL_THINNED 0x08
#define INTERVAL_HAS_DURATION 0x10
#define INTERVAL_ON_GRID 0x20
#define INTERVAL_FLAGS_KNOWN 0x3F

// Flags of a month closing (6.4).
#define CLOSING_HAS_MONTH 0x01

// The grid of interval ends (6.3): 3 bytes instead of 5 for 59 years. Fixed by the format, even if MM_INTERVAL_S
// changes.
#define GRID_S 900
#define GRID_BASE_S UINT64_C(1577836800)
#define GRID_STEPS_MAX ((UINT64_C(1) << 21) - 1)

static uint64_t grid_base_s(mm_trust_t trust) {
    return trust == MM_TRUST_UNSET ? 0 : GRID_BASE_S;
}

static MM_APART bool is_on_grid(mm_label_t end) {
    uint64_t base_s = grid_base_s(end.trust);
    return end.seconds >= base_s && (end.seconds - base_s) % GRID_S == 0 &&
           (end.seconds - base_s) / GRID_S <= GRID_STEPS_MAX;
}

// What stands at the beginning of each payload as it is in the record. What follows is made by hand.

static const mmi_field_t closing_fields[] = {
    MMI_FIELD(mm_record_t, month_closing.channel, 1),
};
static const mmi_field_t event_fields[] = {
    MMI_FIELD(mm_record_t, event.code, 2),
    MMI_FIELD(mm_record_t, event.at, MMI_FIELD_LABEL),
    MMI_FIELD(mm_record_t, event.boot_no, MMI_FIELD_VARINT),
    MMI_FIELD(mm_record_t, event.values[0], MMI_FIELD_VARINT),
    MMI_FIELD(mm_record_t, event.values[1], MMI_FIELD_VARINT),
    MMI_FIELD(mm_record_t, event.values[2], MMI_FIELD_VARINT),
    MMI_FIELD(mm_record_t, event.values[3], MMI_FIELD_VARINT),
};
_Static_assert(MM_EVENT_VALUES == 4, "each value is a field");
static const mmi_field_t gap_fields[] = {
    MMI_FIELD(mm_record_t, gap.reason, 1),
    MMI_FIELD(mm_record_t, gap.epoch, MMI_FIELD_VARINT),
};
static const mmi_field_t result_fields[] = {
    MMI_FIELD(mm_record_t, result.era, 4),
    MMI_FIELD(mm_record_t, result.counter, MMI_FIELD_VARINT),
    MMI_FIELD(mm_record_t, result.command_id, MMI_FIELD_BOUNDED),
    MMI_FIELD(mm_record_t, result.kind, 1),
    MMI_FIELD(mm_record_t, result.channel, 1),
    MMI_FIELD(mm_record_t, result.status, 1),
    MMI_FIELD(mm_record_t, result.at, MMI_FIELD_LABEL),
};
static const mmi_field_t credit_fields[] = {
    MMI_FIELD(mm_record_t, credit.channel, 1),
    MMI_FIELD(mm_record_t, credit.movement, 1),
    MMI_FIELD(mm_record_t, credit.era, 4),
    MMI_FIELD(mm_record_t, credit.counter, MMI_FIELD_VARINT),
    MMI_FIELD(mm_record_t, credit.command_id, MMI_FIELD_BOUNDED),
    MMI_FIELD(mm_record_t, credit.purchase_id, MMI_FIELD_BOUNDED),
    MMI_FIELD(mm_record_t, credit.count, MMI_FIELD_VARINT),
    MMI_FIELD(mm_record_t, credit.amount_wh, MMI_FIELD_SIGNED),
    MMI_FIELD(mm_record_t, credit.balance_wh, MMI_FIELD_SIGNED),
    MMI_FIELD(mm_record_t, credit.applied_wh, MMI_FIELD_SIGNED),
    MMI_FIELD(mm_record_t, credit.life_pulses, MMI_FIELD_BOUNDED),
    MMI_FIELD(mm_record_t, credit.at, MMI_FIELD_LABEL),
};
static const mmi_field_t installation_fields[] = {
    MMI_FIELD(mm_record_t, installation.revision, MMI_FIELD_VARINT),
    MMI_BITS_LAST(mm_record_t, installation.repeated, 0x01),
    MMI_FIELD(mm_record_t, installation.node_no, MMI_FIELD_VARINT),
    MMI_FIELD(mm_record_t, installation.province, MMI_FIELD_VARINT),
    MMI_FIELD(mm_record_t, installation.canton, MMI_FIELD_VARINT),
    MMI_FIELD(mm_record_t, installation.parish, MMI_FIELD_VARINT),
    MMI_FIELD(mm_record_t, installation.postal_code, MMI_FIELD_VARINT),
    MMI_FIELD(mm_record_t, installation.installer, MMI_FIELD_TEXT),
    MMI_FIELD(mm_record_t, installation.at, MMI_FIELD_LABEL),
};
static const mmi_field_t join_fields[] = {
    MMI_FIELD(mm_record_t, join.asker.bytes, MMI_FIELD_BYTES), MMI_FIELD(mm_record_t, join.via.bytes, MMI_FIELD_BYTES),
    MMI_FIELD(mm_record_t, join.nonce, MMI_FIELD_BYTES),       MMI_FIELD(mm_record_t, join.revision, 4),
    MMI_FIELD(mm_record_t, join.tag, MMI_FIELD_BYTES),         MMI_FIELD(mm_record_t, join.at, MMI_FIELD_LABEL),
};

static const struct {
    const mmi_field_t *fields;
    size_t field_count;
} forms[] = {
    [MM_RECORD_MONTH_CLOSING] = {MMI_FIELDS(closing_fields)},
    [MM_RECORD_EVENT] = {MMI_FIELDS(event_fields)},
    [MM_RECORD_GAP] = {MMI_FIELDS(gap_fields)},
    [MM_RECORD_RESULT] = {MMI_FIELDS(result_fields)},
    [MM_RECORD_CREDIT] = {MMI_FIELDS(credit_fields)},
    [MM_RECORD_INSTALLATION] = {MMI_FIELDS(installation_fields)},
    [MM_RECORD_JOIN] = {MMI_FIELDS(join_fields)},
};

static uint32_t get_varint_u32(mm_reader_t *reader) {
    return (uint32_t)mm_get_varint_max(reader, UINT32_MAX);
}

static void put_range(mm_writer_t *writer, uint32_t first_seq, uint32_t last_seq) {
    mm_put_varint(writer, first_seq);
    mm_put_varint(writer, last_seq - first_seq);
}

static void get_range(mm_reader_t *reader, uint32_t *first_seq, uint32_t *last_seq) {
    *first_seq = get_varint_u32(reader);
    *last_seq = *first_seq + (uint32_t)mm_get_varint_max(reader, UINT32_MAX - *first_seq);
}

static void put_interval(mm_writer_t *writer, const mm_interval_record_t *interval) {
    bool on_grid = is_on_grid(interval->end);
    bool has_duration = interval->duration_s != GRID_S;
    mm_put_u8(writer, (uint8_t)((unsigned)interval->end.trust | (interval->restarted ? INTERVAL_RESTARTED : 0u) |
                                (interval->thinned ? INTERVAL_THINNED : 0u) |
                                (has_duration ? INTERVAL_HAS_DURATION : 0u) | (on_grid ? INTERVAL_ON_GRID : 0u)));
    mm_put_varint(writer, interval->interval_no);
    if (on_grid) {
        mm_put_varint(writer, (interval->end.seconds - grid_base_s(interval->end.trust)) / GRID_S);
    } else {
        mm_put_u40(writer, interval->end.seconds);
    }
    if (has_duration) {
        mm_put_varint(writer, interval->duration_s);
    }
    if (interval->thinned) {
        put_range(writer, interval->thinned_first_seq, interval->thinned_last_seq);
    }
    mmi_put_packed(writer, interval->pulses, MM_CHANNELS);
}

static void get_interval(mm_reader_t *reader, mm_interval_record_t *interval) {
    uint8_t flags = mm_get_u8(reader);
    reader->failed = reader->failed || (flags & ~INTERVAL_FLAGS_KNOWN) != 0;
    interval->end.trust = (mm_trust_t)(flags & INTERVAL_TRUST_MASK);
    interval->restarted = (flags & INTERVAL_RESTARTED) != 0;
    interval->thinned = (flags & INTERVAL_THINNED) != 0;
    interval->interval_no = get_varint_u32(reader);
    if ((flags & INTERVAL_ON_GRID) != 0) {
        interval->end.seconds = grid_base_s(interval->end.trust) + GRID_S * mm_get_varint_max(reader, GRID_STEPS_MAX);
    } else {
        interval->end.seconds = mm_get_u40(reader);
        reader->failed = reader->failed || is_on_grid(interval->end);
    }
    interval->duration_s = GRID_S;
    if ((flags & INTERVAL_HAS_DURATION) != 0) {
        interval->duration_s = get_varint_u32(reader);
        reader->failed = reader->failed || interval->duration_s == GRID_S;
    }
    if (interval->thinned) {
        get_range(reader, &interval->thinned_first_seq, &interval->thinned_last_seq);
    }
    mmi_get_packed(reader, interval->pulses, MM_CHANNELS);
}

// Behind the flags, which say whether the month is written.
static const mmi_field_t closed_fields[] = {
    MMI_FIELD(mm_month_closing_record_t, year_month, 2),
    MMI_FIELD(mm_month_closing_record_t, pulse_constant, 2),
    MMI_FIELD(mm_month_closing_record_t, life_pulses, MMI_FIELD_BOUNDED),
    MMI_FIELD(mm_month_closing_record_t, closed, MMI_FIELD_LABEL),
};

static void put_month_closing(mm_writer_t *writer, const mm_month_closing_record_t *closing) {
    bool is_sum = mmi_month_is_sum(closing->month_pulses, closing->hours_pulses);
    mm_put_u8(writer, is_sum ? 0 : CLOSING_HAS_MONTH);
    mmi_put_fields(writer, MMI_FIELDS(closed_fields), closing);
    mmi_put_month(writer, closing->month_pulses, closing->hours_pulses);
}

static void get_month_closing(mm_reader_t *reader, mm_month_closing_record_t *closing) {
    uint8_t flags = mm_get_u8(reader);
    reader->failed = reader->failed || (flags & ~CLOSING_HAS_MONTH) != 0;
    mmi_get_fields(reader, MMI_FIELDS(closed_fields), closing);
    closing->month_pulses = mmi_get_month(reader, (flags & CLOSING_HAS_MONTH) == 0, closing->hours_pulses);
}

// The detail is the rest of the payload; so it needs no length of its own (6.7). What is too long is left over.
static void get_detail(mm_reader_t *reader, mm_result_record_t *result) {
    size_t detail_bytes = mm_reader_left_bytes(reader);
    if (detail_bytes <= MM_RESULT_DETAIL_BYTES_MAX) {
        result->detail_bytes = (uint8_t)detail_bytes;
        mm_get_bytes(reader, result->detail, detail_bytes);
    }
}

static const mmi_field_t meter_fields[] = {
    MMI_FIELD(mm_installed_meter_t, id, MMI_FIELD_ID),
    MMI_FIELD(mm_installed_meter_t, pulse_constant, 2),
    MMI_FIELD(mm_installed_meter_t, start_wh, MMI_FIELD_VARINT),
};

static void put_meters(mm_writer_t *writer, const mm_installed_meter_t *meters) {
    unsigned present = 0;
    unsigned prepaid = 0;
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        present |= meters[channel].id[0] != '\0' ? 1u << channel : 0u;
        prepaid |= meters[channel].prepaid ? 1u << channel : 0u;
    }
    mm_put_u8(writer, (uint8_t)present);
    mm_put_u8(writer, (uint8_t)prepaid);
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        if ((present >> channel & 1) != 0) {
            mmi_put_fields(writer, MMI_FIELDS(meter_fields), &meters[channel]);
        }
    }
}

static void get_meters(mm_reader_t *reader, mm_installed_meter_t *meters) {
    uint8_t present = mm_get_u8(reader);
    uint8_t prepaid = mm_get_u8(reader);
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        meters[channel].prepaid = (prepaid >> channel & 1) != 0;
        if ((present >> channel & 1) != 0) {
            mmi_get_fields(reader, MMI_FIELDS(meter_fields), &meters[channel]);
            reader->failed = reader->failed || meters[channel].id[0] == '\0';
        }
    }
}

// What a record can be, for both directions.

static bool range_is_possible(uint32_t first_seq, uint32_t last_seq) {
    return first_seq >= 1 && first_seq <= last_seq;
}

static bool constant_is_possible(uint32_t pulse_constant) {
    return pulse_constant >= 1 && pulse_constant <= UINT16_MAX;
}

static bool result_is_possible(const mm_result_record_t *result) {
    return result->era >= 1 && result->command_id <= MMI_VALUE_MAX && result->kind != 0 &&
           mmi_channel_is_possible(result->channel) && result->detail_bytes <= MM_RESULT_DETAIL_BYTES_MAX;
}

static bool credit_is_possible(const mm_credit_record_t *credit) {
    return credit->channel < MM_CHANNELS && credit->movement != MM_MOVEMENT_NONE && credit->era >= 1 &&
           credit->command_id <= MMI_VALUE_MAX && credit->purchase_id <= MMI_VALUE_MAX;
}

static bool installation_is_possible(const mm_installation_record_t *installation) {
    for (const mm_installed_meter_t *meter = installation->channels; meter < installation->channels + MM_CHANNELS;
         meter++) {
        bool is_possible = meter->id[0] == '\0' ? !meter->prepaid
                                                : constant_is_possible(meter->pulse_constant) &&
                                                      meter->start_wh <= MM_INSTALLATION_START_WH_MAX;
        if (!is_possible) {
            return false;
        }
    }
    return installation->revision >= 1 &&
           mm_text_is_plain_string(installation->installer, sizeof installation->installer);
}

static bool is_possible(const mm_record_t *record) {
    switch (record->type) {
    case MM_RECORD_INTERVAL:
        return record->interval.interval_no >= 1 && (unsigned)record->interval.end.trust <= MM_TRUST_SYNCED &&
               (!record->interval.thinned ||
                range_is_possible(record->interval.thinned_first_seq, record->interval.thinned_last_seq));
    case MM_RECORD_MONTH_CLOSING:
        return record->month_closing.channel < MM_CHANNELS && record->month_closing.year_month >= 1 &&
               constant_is_possible(record->month_closing.pulse_constant);
    case MM_RECORD_EVENT:
        return record->event.code != MM_EVENT_NONE;
    case MM_RECORD_GAP:
        return record->gap.reason != MM_GAP_NONE && record->gap.epoch >= 1 &&
               range_is_possible(record->gap.first_seq, record->gap.last_seq);
    case MM_RECORD_RESULT:
        return result_is_possible(&record->result);
    case MM_RECORD_CREDIT:
        return credit_is_possible(&record->credit);
    case MM_RECORD_INSTALLATION:
        return installation_is_possible(&record->installation);
    default:
        return record->type == MM_RECORD_JOIN;
    }
}

void mm_record_encode(const mm_record_t *record, mm_writer_t *writer) {
    MM_ASSERT(is_possible(record));
    mmi_put_fields(writer, forms[record->type].fields, forms[record->type].field_count, record);
    switch (record->type) {
    case MM_RECORD_INTERVAL:
        put_interval(writer, &record->interval);
        break;
    case MM_RECORD_MONTH_CLOSING:
        put_month_closing(writer, &record->month_closing);
        break;
    case MM_RECORD_GAP:
        put_range(writer, record->gap.first_seq, record->gap.last_seq);
        break;
    case MM_RECORD_RESULT:
        mm_put_bytes(writer, record->result.detail, record->result.detail_bytes);
        break;
    case MM_RECORD_INSTALLATION:
        put_meters(writer, record->installation.channels);
        break;
    default:
        break;
    }
}

mm_err_t mm_record_decode(uint8_t type, const void *payload, size_t payload_bytes, mm_record_t *record) {
    memset(record, 0, sizeof *record);
    record->type = type;
    if (payload_bytes > MM_RECORD_PAYLOAD_BYTES_MAX) {
        return MM_ERR_CORRUPT;
    }
    if (type > MM_RECORD_JOIN) {
        return MM_ERR_NOT_FOUND;
    }
    mm_reader_t reader = mm_reader(payload, payload_bytes);
    mmi_get_fields(&reader, forms[type].fields, forms[type].field_count, record);
    switch (type) {
    case MM_RECORD_INTERVAL:
        get_interval(&reader, &record->interval);
        break;
    case MM_RECORD_MONTH_CLOSING:
        get_month_closing(&reader, &record->month_closing);
        break;
    case MM_RECORD_GAP:
        get_range(&reader, &record->gap.first_seq, &record->gap.last_seq);
        break;
    case MM_RECORD_RESULT:
        get_detail(&reader, &record->result);
        break;
    case MM_RECORD_INSTALLATION:
        get_meters(&reader, record->installation.channels);
        break;
    default:
        break;
    }
    return mmi_is_complete(&reader) && is_possible(record) ? MM_OK : MM_ERR_CORRUPT;
}

const char *mm_record_type_name(uint8_t type) {
    static const char *const names[] = {"none",   "interval", "month_closing", "event", "gap",
                                        "result", "credit",   "installation",  "join"};
    return MM_NAME_OF(names, type);
}

const char *mm_event_name(uint16_t code) {
    static const char *const names[] = {
        "none",
        "boot",
        "time_synced",
        "time_stepped",
        "root_taken",
        "root_lost",
        "configuration",
        "journal_restarted",
        "counter_restarted",
        "registers_recovered",
        "hold",
        "supply_cut",
        "supply_restored",
        "relay_reasons",
        "credit_low",
        "emergency_taken",
        "tamper",
        "token_lock_out",
        "credit_era",
        "node_reset",
        "installer_lock_out",
        "console",
        "configuration_behind",
    };
    return MM_NAME_OF(names, code);
}

const char *mm_gap_reason_name(uint8_t reason) {
    static const char *const names[] = {"none", "thinned", "full", "damaged"};
    return MM_NAME_OF(names, reason);
}

const char *mm_movement_name(uint8_t movement) {
    static const char *const names[] = {
        "none", "network", "token_add", "token_set", "adjust", "void", "prepaid", "postpaid", "token_sync",
    };
    return MM_NAME_OF(names, movement);
}

const char *mm_trust_name(mm_trust_t trust) {
    static const char *const names[] = {"unset", "held", "synced"};
    return MM_NAME_OF(names, (unsigned)trust);
}
