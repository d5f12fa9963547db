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

static void put_interval(mm_writer_t *writer, const mm_interval_record_t *interval) {
    MM_ASSERT(interval->interval_no >= 1);
    MM_ASSERT((unsigned)interval->end.trust <= MM_TRUST_SYNCED);
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
        MM_ASSERT(interval->thinned_first_seq >= 1 && interval->thinned_first_seq <= interval->thinned_last_seq);
        mm_put_varint(writer, interval->thinned_first_seq);
        mm_put_varint(writer, interval->thinned_last_seq - interval->thinned_first_seq);
    }
    mmi_put_packed(writer, interval->pulses, MM_CHANNELS);
}

// A number that counts from 1.
static uint32_t get_ordinal(mm_reader_t *reader) {
    uint32_t value = (uint32_t)mm_get_varint_max(reader, UINT32_MAX);
    if (value == 0) {
        reader->failed = true;
    }
    return value;
}

static void get_seq_range(mm_reader_t *reader, uint32_t *first_seq, uint32_t *last_seq) {
    *first_seq = get_ordinal(reader);
    *last_seq = *first_seq + (uint32_t)mm_get_varint_max(reader, UINT32_MAX - *first_seq);
}

static void get_interval(mm_reader_t *reader, mm_interval_record_t *interval) {
    uint8_t flags = mm_get_u8(reader);
    uint8_t trust = flags & INTERVAL_TRUST_MASK;
    if ((flags & ~INTERVAL_FLAGS_KNOWN) != 0 || trust > MM_TRUST_SYNCED) {
        reader->failed = true;
        return;
    }
    interval->end.trust = (mm_trust_t)trust;
    interval->restarted = (flags & INTERVAL_RESTARTED) != 0;
    interval->thinned = (flags & INTERVAL_THINNED) != 0;
    interval->interval_no = get_ordinal(reader);
    if ((flags & INTERVAL_ON_GRID) != 0) {
        interval->end.seconds = grid_base_s(interval->end.trust) + GRID_S * mm_get_varint_max(reader, GRID_STEPS_MAX);
    } else {
        interval->end.seconds = mm_get_u40(reader);
        reader->failed = reader->failed || is_on_grid(interval->end);
    }
    interval->duration_s = GRID_S;
    if ((flags & INTERVAL_HAS_DURATION) != 0) {
        interval->duration_s = (uint32_t)mm_get_varint_max(reader, UINT32_MAX);
        reader->failed = reader->failed || interval->duration_s == GRID_S;
    }
    if (interval->thinned) {
        get_seq_range(reader, &interval->thinned_first_seq, &interval->thinned_last_seq);
    }
    mmi_get_packed(reader, interval->pulses, MM_CHANNELS);
}

static void put_month_closing(mm_writer_t *writer, const mm_month_closing_record_t *closing) {
    MM_ASSERT(closing->channel < MM_CHANNELS);
    MM_ASSERT(closing->year_month >= 1);
    MM_ASSERT(closing->pulse_constant >= 1 && closing->pulse_constant <= UINT16_MAX);
    bool is_sum = mmi_month_is_sum(closing->month_pulses, closing->hours_pulses);
    mm_put_u8(writer, closing->channel);
    mm_put_u8(writer, is_sum ? 0 : CLOSING_HAS_MONTH);
    mm_put_u16(writer, closing->year_month);
    mm_put_u16(writer, (uint16_t)closing->pulse_constant);
    mm_put_varint(writer, mmi_bounded(closing->life_pulses));
    mmi_put_label(writer, closing->closed);
    mmi_put_month(writer, closing->month_pulses, closing->hours_pulses);
}

static void get_month_closing(mm_reader_t *reader, mm_month_closing_record_t *closing) {
    closing->channel = mm_get_u8(reader);
    uint8_t flags = mm_get_u8(reader);
    closing->year_month = mm_get_u16(reader);
    closing->pulse_constant = mm_get_u16(reader);
    if (closing->channel >= MM_CHANNELS || (flags & ~CLOSING_HAS_MONTH) != 0 || closing->year_month == 0 ||
        closing->pulse_constant == 0) {
        reader->failed = true;
        return;
    }
    closing->life_pulses = mm_get_varint_max(reader, MMI_VALUE_MAX);
    closing->closed = mmi_get_label(reader);
    closing->month_pulses = mmi_get_month(reader, (flags & CLOSING_HAS_MONTH) == 0, closing->hours_pulses);
}

static const mmi_field_t event_fields[] = {
    MMI_FIELD(mm_event_record_t, code, 2),
    MMI_FIELD(mm_event_record_t, at, MMI_FIELD_LABEL),
    MMI_FIELD(mm_event_record_t, boot_no, MMI_FIELD_VARINT),
    MMI_FIELD(mm_event_record_t, values[0], MMI_FIELD_VARINT),
    MMI_FIELD(mm_event_record_t, values[1], MMI_FIELD_VARINT),
    MMI_FIELD(mm_event_record_t, values[2], MMI_FIELD_VARINT),
    MMI_FIELD(mm_event_record_t, values[3], MMI_FIELD_VARINT),
};
_Static_assert(MM_EVENT_VALUES == 4, "each value is a field");

static void put_event(mm_writer_t *writer, const mm_event_record_t *event) {
    MM_ASSERT(event->code != MM_EVENT_NONE);
    mmi_put_fields(writer, MMI_FIELDS(event_fields), event);
}

static void get_event(mm_reader_t *reader, mm_event_record_t *event) {
    mmi_get_fields(reader, MMI_FIELDS(event_fields), event);
    reader->failed = reader->failed || event->code == MM_EVENT_NONE;
}

static void put_gap(mm_writer_t *writer, const mm_gap_record_t *gap) {
    MM_ASSERT(gap->reason != MM_GAP_NONE);
    MM_ASSERT(gap->epoch >= 1);
    MM_ASSERT(gap->first_seq >= 1 && gap->first_seq <= gap->last_seq);
    mm_put_u8(writer, gap->reason);
    mm_put_varint(writer, gap->epoch);
    mm_put_varint(writer, gap->first_seq);
    mm_put_varint(writer, gap->last_seq - gap->first_seq);
}

static void get_gap(mm_reader_t *reader, mm_gap_record_t *gap) {
    gap->reason = mm_get_u8(reader);
    if (gap->reason == MM_GAP_NONE) {
        reader->failed = true;
        return;
    }
    gap->epoch = get_ordinal(reader);
    get_seq_range(reader, &gap->first_seq, &gap->last_seq);
}

static const mmi_field_t result_fields[] = {
    MMI_FIELD(mm_result_record_t, era, 4),
    MMI_FIELD(mm_result_record_t, counter, MMI_FIELD_VARINT),
    MMI_FIELD(mm_result_record_t, command_id, MMI_FIELD_BOUNDED),
    MMI_FIELD(mm_result_record_t, kind, 1),
    MMI_FIELD(mm_result_record_t, channel, 1),
    MMI_FIELD(mm_result_record_t, status, 1),
    MMI_FIELD(mm_result_record_t, at, MMI_FIELD_LABEL),
};

// The detail is the rest of the payload; so it needs no length of its own (6.7).
static void put_result(mm_writer_t *writer, const mm_result_record_t *result) {
    MM_ASSERT(result->era >= 1);
    MM_ASSERT(result->command_id <= MMI_VALUE_MAX);
    MM_ASSERT(result->kind != 0);
    MM_ASSERT(result->channel < MM_CHANNELS || result->channel == MM_COMMAND_WHOLE_NODE);
    MM_ASSERT(result->detail_bytes <= MM_RESULT_DETAIL_BYTES_MAX);
    mmi_put_fields(writer, MMI_FIELDS(result_fields), result);
    mm_put_bytes(writer, result->detail, result->detail_bytes);
}

static void get_result(mm_reader_t *reader, mm_result_record_t *result) {
    mmi_get_fields(reader, MMI_FIELDS(result_fields), result);
    size_t detail_bytes = mm_reader_left_bytes(reader);
    if (result->era == 0 || result->kind == 0 ||
        (result->channel >= MM_CHANNELS && result->channel != MM_COMMAND_WHOLE_NODE) ||
        detail_bytes > MM_RESULT_DETAIL_BYTES_MAX) {
        reader->failed = true;
        return;
    }
    result->detail_bytes = (uint8_t)detail_bytes;
    mm_get_bytes(reader, result->detail, detail_bytes);
}

static const mmi_field_t credit_fields[] = {
    MMI_FIELD(mm_credit_record_t, channel, 1),
    MMI_FIELD(mm_credit_record_t, movement, 1),
    MMI_FIELD(mm_credit_record_t, era, 4),
    MMI_FIELD(mm_credit_record_t, counter, MMI_FIELD_VARINT),
    MMI_FIELD(mm_credit_record_t, command_id, MMI_FIELD_BOUNDED),
    MMI_FIELD(mm_credit_record_t, purchase_id, MMI_FIELD_BOUNDED),
    MMI_FIELD(mm_credit_record_t, count, MMI_FIELD_VARINT),
    MMI_FIELD(mm_credit_record_t, amount_wh, MMI_FIELD_SIGNED),
    MMI_FIELD(mm_credit_record_t, balance_wh, MMI_FIELD_SIGNED),
    MMI_FIELD(mm_credit_record_t, applied_wh, MMI_FIELD_SIGNED),
    MMI_FIELD(mm_credit_record_t, life_pulses, MMI_FIELD_BOUNDED),
    MMI_FIELD(mm_credit_record_t, at, MMI_FIELD_LABEL),
};

static void put_credit(mm_writer_t *writer, const mm_credit_record_t *credit) {
    MM_ASSERT(credit->channel < MM_CHANNELS);
    MM_ASSERT(credit->movement != MM_MOVEMENT_NONE);
    MM_ASSERT(credit->era >= 1);
    MM_ASSERT(credit->command_id <= MMI_VALUE_MAX && credit->purchase_id <= MMI_VALUE_MAX);
    mmi_put_fields(writer, MMI_FIELDS(credit_fields), credit);
}

static void get_credit(mm_reader_t *reader, mm_credit_record_t *credit) {
    mmi_get_fields(reader, MMI_FIELDS(credit_fields), credit);
    reader->failed =
        reader->failed || credit->channel >= MM_CHANNELS || credit->movement == MM_MOVEMENT_NONE || credit->era == 0;
}

// Flags of an installation (6.9).
#define INSTALLATION_REPEATED 0x01

static void put_installed_meters(mm_writer_t *writer, const mm_installation_record_t *installation) {
    uint8_t present = 0;
    uint8_t prepaid = 0;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        bool is_present = installation->channels[channel].id[0] != '\0';
        MM_ASSERT(is_present || !installation->channels[channel].prepaid);
        present = (uint8_t)(present | (is_present ? 1u << channel : 0u));
        prepaid = (uint8_t)(prepaid | (installation->channels[channel].prepaid ? 1u << channel : 0u));
    }
    mm_put_u8(writer, present);
    mm_put_u8(writer, prepaid);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if ((present >> channel & 1) == 0) {
            continue;
        }
        uint32_t pulse_constant = installation->channels[channel].pulse_constant;
        MM_ASSERT(pulse_constant >= 1 && pulse_constant <= UINT16_MAX);
        MM_ASSERT(installation->channels[channel].start_wh <= MM_INSTALLATION_START_WH_MAX);
        size_t id_chars = mmi_id_chars(installation->channels[channel].id);
        mm_put_u8(writer, (uint8_t)id_chars);
        mm_put_bytes(writer, installation->channels[channel].id, id_chars);
        mm_put_u16(writer, (uint16_t)pulse_constant);
        mm_put_varint(writer, installation->channels[channel].start_wh);
    }
}

static const mmi_field_t place_fields[] = {
    MMI_FIELD(mm_installation_record_t, node_no, MMI_FIELD_VARINT),
    MMI_FIELD(mm_installation_record_t, province, MMI_FIELD_VARINT),
    MMI_FIELD(mm_installation_record_t, canton, MMI_FIELD_VARINT),
    MMI_FIELD(mm_installation_record_t, parish, MMI_FIELD_VARINT),
    MMI_FIELD(mm_installation_record_t, postal_code, MMI_FIELD_VARINT),
};

static void put_installation(mm_writer_t *writer, const mm_installation_record_t *installation) {
    MM_ASSERT(installation->revision >= 1);
    MM_ASSERT(mm_text_is_plain_string(installation->installer, sizeof installation->installer));
    size_t installer_bytes = strlen(installation->installer);
    mm_put_varint(writer, installation->revision);
    mm_put_u8(writer, installation->repeated ? INSTALLATION_REPEATED : 0);
    mmi_put_fields(writer, MMI_FIELDS(place_fields), installation);
    mm_put_u8(writer, (uint8_t)installer_bytes);
    mm_put_bytes(writer, installation->installer, installer_bytes);
    mmi_put_label(writer, installation->at);
    put_installed_meters(writer, installation);
}

static void get_installed_meters(mm_reader_t *reader, mm_installation_record_t *installation) {
    uint8_t present = mm_get_u8(reader);
    uint8_t prepaid = mm_get_u8(reader);
    reader->failed = reader->failed || (prepaid & ~present) != 0;
    for (uint8_t channel = 0; channel < MM_CHANNELS && !reader->failed; channel++) {
        if ((present >> channel & 1) == 0) {
            continue;
        }
        uint8_t id_chars = mm_get_u8(reader);
        if (id_chars == 0 || id_chars > MM_METER_ID_CHARS_MAX) {
            reader->failed = true;
            return;
        }
        mmi_get_id(reader, id_chars, installation->channels[channel].id);
        installation->channels[channel].pulse_constant = mm_get_u16(reader);
        installation->channels[channel].start_wh = mm_get_varint_max(reader, MM_INSTALLATION_START_WH_MAX);
        installation->channels[channel].prepaid = (prepaid >> channel & 1) != 0;
        reader->failed = reader->failed || installation->channels[channel].pulse_constant == 0;
    }
}

static void get_installation(mm_reader_t *reader, mm_installation_record_t *installation) {
    installation->revision = get_ordinal(reader);
    uint8_t flags = mm_get_u8(reader);
    installation->repeated = flags == INSTALLATION_REPEATED;
    mmi_get_fields(reader, MMI_FIELDS(place_fields), installation);
    uint8_t installer_bytes = mm_get_u8(reader);
    if (flags > INSTALLATION_REPEATED || installer_bytes > MM_INSTALLATION_TEXT_CHARS_MAX) {
        reader->failed = true;
        return;
    }
    mm_get_bytes(reader, installation->installer, installer_bytes);
    reader->failed = reader->failed || !mm_text_is_plain(installation->installer, installer_bytes);
    installation->at = mmi_get_label(reader);
    get_installed_meters(reader, installation);
}

static const mmi_field_t join_fields[] = {
    MMI_FIELD(mm_join_record_t, asker.bytes, MMI_FIELD_BYTES), MMI_FIELD(mm_join_record_t, via.bytes, MMI_FIELD_BYTES),
    MMI_FIELD(mm_join_record_t, nonce, MMI_FIELD_BYTES),       MMI_FIELD(mm_join_record_t, revision, 4),
    MMI_FIELD(mm_join_record_t, tag, MMI_FIELD_BYTES),         MMI_FIELD(mm_join_record_t, at, MMI_FIELD_LABEL),
};

static void put_join(mm_writer_t *writer, const mm_join_record_t *join) {
    mmi_put_fields(writer, MMI_FIELDS(join_fields), join);
}

static void get_join(mm_reader_t *reader, mm_join_record_t *join) {
    mmi_get_fields(reader, MMI_FIELDS(join_fields), join);
}

void mm_record_encode(const mm_record_t *record, mm_writer_t *writer) {
    MM_ASSERT(record->type >= MM_RECORD_INTERVAL && record->type <= MM_RECORD_JOIN);
    switch (record->type) {
    case MM_RECORD_INTERVAL:
        put_interval(writer, &record->interval);
        break;
    case MM_RECORD_MONTH_CLOSING:
        put_month_closing(writer, &record->month_closing);
        break;
    case MM_RECORD_EVENT:
        put_event(writer, &record->event);
        break;
    case MM_RECORD_GAP:
        put_gap(writer, &record->gap);
        break;
    case MM_RECORD_RESULT:
        put_result(writer, &record->result);
        break;
    case MM_RECORD_CREDIT:
        put_credit(writer, &record->credit);
        break;
    case MM_RECORD_JOIN:
        put_join(writer, &record->join);
        break;
    default:
        put_installation(writer, &record->installation);
        break;
    }
}

mm_err_t mm_record_decode(uint8_t type, const void *payload, size_t payload_bytes, mm_record_t *record) {
    memset(record, 0, sizeof *record);
    record->type = type;
    if (payload_bytes > MM_RECORD_PAYLOAD_BYTES_MAX) {
        return MM_ERR_CORRUPT;
    }
    mm_reader_t reader = mm_reader(payload, payload_bytes);
    switch (type) {
    case MM_RECORD_NONE:
        return MM_ERR_CORRUPT;
    case MM_RECORD_INTERVAL:
        get_interval(&reader, &record->interval);
        break;
    case MM_RECORD_MONTH_CLOSING:
        get_month_closing(&reader, &record->month_closing);
        break;
    case MM_RECORD_EVENT:
        get_event(&reader, &record->event);
        break;
    case MM_RECORD_GAP:
        get_gap(&reader, &record->gap);
        break;
    case MM_RECORD_RESULT:
        get_result(&reader, &record->result);
        break;
    case MM_RECORD_CREDIT:
        get_credit(&reader, &record->credit);
        break;
    case MM_RECORD_INSTALLATION:
        get_installation(&reader, &record->installation);
        break;
    case MM_RECORD_JOIN:
        get_join(&reader, &record->join);
        break;
    default:
        return MM_ERR_NOT_FOUND;
    }
    return mmi_is_complete(&reader) ? MM_OK : MM_ERR_CORRUPT;
}

const char *mm_record_type_name(uint8_t type) {
    static const char *const names[] = {"none",   "interval", "month_closing", "event", "gap",
                                        "result", "credit",   "installation",  "join"};
    return type < sizeof names / sizeof names[0] ? names[type] : "unknown";
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
    };
    return code < sizeof names / sizeof names[0] ? names[code] : "unknown";
}

const char *mm_gap_reason_name(uint8_t reason) {
    static const char *const names[] = {"none", "thinned", "full", "damaged"};
    return reason < sizeof names / sizeof names[0] ? names[reason] : "unknown";
}

const char *mm_movement_name(uint8_t movement) {
    static const char *const names[] = {
        "none", "network", "token_add", "token_set", "adjust", "void", "prepaid", "postpaid", "token_sync",
    };
    return movement < sizeof names / sizeof names[0] ? names[movement] : "unknown";
}

const char *mm_trust_name(mm_trust_t trust) {
    static const char *const names[] = {"unset", "held", "synced"};
    return (unsigned)trust < sizeof names / sizeof names[0] ? names[trust] : "unknown";
}
