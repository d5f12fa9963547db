// SPDX-License-Identifier: Apache-2.0
#include "codec_internal.h"

#include <string.h>

#include "wire/fields.h"

// First byte of a meter (4.2); bits 0 to 3 are the length of its id.
#define METER_ID_CHARS_MASK 0x0F
#define METER_HAS_START 0x10
#define METER_HAS_PENDING 0x20
#define METER_HAS_MONTH 0x40
#define METER_SAME_CONSTANT 0x80

_Static_assert(MM_COUNTER_COUNT <= UINT8_MAX, "counter ids and their number are one byte on the wire");
_Static_assert(MM_METER_ID_CHARS_MAX <= METER_ID_CHARS_MASK, "the length of an id has four bits");

// *constant is that of the configured meter before, 0 = none yet; most nodes have eight meters of one kind.
static void put_meter(mm_writer_t *writer, const mm_meter_snapshot_t *meter, uint32_t *constant) {
    size_t chars = mmi_id_chars(meter->id);
    bool is_sum = mmi_month_is_sum(meter->month_pulses, meter->hours_pulses);
    bool same_constant = chars > 0 && meter->pulse_constant == *constant;
    mm_put_u8(writer, (uint8_t)(chars | (meter->start_wh != 0 ? METER_HAS_START : 0u) |
                                (meter->pending_pulses != 0 ? METER_HAS_PENDING : 0u) |
                                (is_sum ? 0u : METER_HAS_MONTH) | (same_constant ? METER_SAME_CONSTANT : 0u)));
    mm_put_bytes(writer, meter->id, chars);
    if (chars > 0) {
        MM_ASSERT(meter->pulse_constant >= 1 && meter->pulse_constant <= UINT16_MAX);
        *constant = meter->pulse_constant;
        if (!same_constant) {
            mm_put_u16(writer, (uint16_t)meter->pulse_constant);
        }
    }
    mm_put_varint(writer, mmi_bounded(meter->life_pulses));
    if (meter->start_wh != 0) {
        mm_put_varint(writer, mmi_bounded(meter->start_wh));
    }
    if (meter->pending_pulses != 0) {
        mm_put_varint(writer, mmi_bounded(meter->pending_pulses));
    }
    mmi_put_month(writer, meter->month_pulses, meter->hours_pulses);
}

// A value that is only written when it is not zero.
static uint64_t get_optional(mm_reader_t *reader, bool is_present) {
    if (!is_present) {
        return 0;
    }
    uint64_t value = mm_get_varint_max(reader, MMI_VALUE_MAX);
    if (value == 0) {
        reader->failed = true;
    }
    return value;
}

// A meter without an id has no constant, neither a new one nor that of the meter before.
static uint32_t get_constant(mm_reader_t *reader, bool has_id, bool same_constant, uint32_t *constant) {
    if (same_constant) {
        reader->failed = reader->failed || !has_id || *constant == 0;
        return *constant;
    }
    if (!has_id) {
        return 0;
    }
    uint32_t value = mm_get_u16(reader);
    reader->failed = reader->failed || value == 0 || value == *constant;
    *constant = value;
    return value;
}

static void get_meter(mm_reader_t *reader, mm_meter_snapshot_t *meter, uint32_t *constant) {
    uint8_t flags = mm_get_u8(reader);
    size_t chars = flags & METER_ID_CHARS_MASK;
    mmi_get_id(reader, chars, meter->id);
    meter->pulse_constant = get_constant(reader, chars > 0, (flags & METER_SAME_CONSTANT) != 0, constant);
    meter->life_pulses = mm_get_varint_max(reader, MMI_VALUE_MAX);
    meter->start_wh = get_optional(reader, (flags & METER_HAS_START) != 0);
    meter->pending_pulses = get_optional(reader, (flags & METER_HAS_PENDING) != 0);
    meter->month_pulses = mmi_get_month(reader, (flags & METER_HAS_MONTH) == 0, meter->hours_pulses);
}

// What does not fit is left out, from the highest id on: no number of counters may keep the registers from HQ (4.4).
static void put_counters(mm_writer_t *writer, const mm_counters_t *counters) {
    size_t left_bytes = writer->failed ? 0 : writer->capacity_bytes - writer->used_bytes;
    size_t used_bytes = 1;
    size_t id_end = 0;
    uint8_t count = 0;
    for (; id_end < MM_COUNTER_COUNT; id_end++) {
        if (counters->values[id_end] != 0) {
            used_bytes += 1 + mm_varint_bytes(counters->values[id_end]);
            if (used_bytes > left_bytes) {
                break;
            }
            count++;
        }
    }
    mm_put_u8(writer, count);
    for (size_t id = 0; id < id_end; id++) {
        if (counters->values[id] != 0) {
            mm_put_u8(writer, (uint8_t)id);
            mm_put_varint(writer, counters->values[id]);
        }
    }
}

static void get_counters(mm_reader_t *reader, mm_counters_t *counters) {
    uint8_t count = mm_get_u8(reader);
    unsigned id_min = 0;
    for (uint8_t index = 0; index < count; index++) {
        uint8_t id = mm_get_u8(reader);
        uint32_t value = (uint32_t)mm_get_varint_max(reader, UINT32_MAX);
        if (id < id_min || value == 0) { // 0 also at the end of the bytes
            reader->failed = true;
            return;
        }
        id_min = (unsigned)id + 1;
        if (id < MM_COUNTER_COUNT) { // a node of a later version has more
            counters->values[id] = value;
        }
    }
}

static uint32_t get_varint_u32(mm_reader_t *reader) {
    return (uint32_t)mm_get_varint_max(reader, UINT32_MAX);
}

static const mmi_field_t node_fields[] = {
    MMI_FIELD(mm_snapshot_t, boot_no, MMI_FIELD_VARINT),
    MMI_FIELD(mm_snapshot_t, uptime_ms, MMI_FIELD_BOUNDED),
    MMI_FIELD(mm_snapshot_t, time, MMI_FIELD_TIME),
    MMI_FIELD(mm_snapshot_t, layer, 1),
    MMI_FIELD(mm_snapshot_t, year_month, 2),
    MMI_FIELD(mm_snapshot_t, interval_no, MMI_FIELD_VARINT),
    MMI_FIELD(mm_snapshot_t, interval_pulses, MMI_FIELD_PACKED),
    MMI_FIELD(mm_snapshot_t, oldest.epoch, MMI_FIELD_VARINT),
    MMI_FIELD(mm_snapshot_t, next_seq, MMI_FIELD_VARINT),
};

void mmi_put_snapshot(mm_writer_t *writer, const mm_snapshot_t *snapshot) {
    mmi_put_fields(writer, MMI_FIELDS(node_fields), snapshot);
    // Distances are short where the numbers are not; unsigned arithmetic makes every pair of them fit.
    mm_put_varint(writer, (uint32_t)(snapshot->next_seq - snapshot->oldest.seq));
    mm_put_varint(writer, snapshot->watermark.epoch);
    mm_put_varint(writer, (uint32_t)(snapshot->next_seq - snapshot->watermark.seq));
    uint32_t constant = 0;
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        put_meter(writer, &snapshot->meters[channel], &constant);
    }
    put_counters(writer, &snapshot->counters);
}

bool mmi_get_snapshot(mm_reader_t *reader, mm_snapshot_t *snapshot) {
    memset(snapshot, 0, sizeof *snapshot);
    mmi_get_fields(reader, MMI_FIELDS(node_fields), snapshot);
    snapshot->oldest.seq = snapshot->next_seq - get_varint_u32(reader);
    snapshot->watermark.epoch = get_varint_u32(reader);
    snapshot->watermark.seq = snapshot->next_seq - get_varint_u32(reader);
    uint32_t constant = 0;
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        get_meter(reader, &snapshot->meters[channel], &constant);
    }
    get_counters(reader, &snapshot->counters);
    return mmi_is_complete(reader);
}
