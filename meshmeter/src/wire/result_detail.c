// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/result_detail.h"

#include <string.h>

#include "codec_internal.h"
#include "wire/fields.h"

// Flags of the registers (commands.md, 5.3) and of READ_METER (5.5).
#define REGISTERS_HAVE_MONTH 0x01
#define METER_PREPAID 0x01
#define METER_REASONS_SHIFT 1
#define METER_REASONS_MASK 0x0F
#define METER_RELAY_CLOSED 0x20
#define METER_LOW 0x40
#define METER_EMERGENCY_TAKEN 0x80
#define QUIET_HOURS_MAX ((UINT32_C(1) << MM_HOURS_OF_DAY) - 1)
#define QUIET_DAYS_MAX 0x7F

// Largest forms: varints of 63 bits take 9 bytes, of 32 bits 5, of 24 bits 4, of 16 bits 3, signed ones 10.
#define IDENTITY_BYTES_MAX (1 + MM_METER_ID_CHARS_MAX + 3 + 9 + 9)
#define REGISTERS_BYTES_MAX (1 + 9 + 2 + 1 + 4 * MM_HOURS_OF_DAY + 5)
#define CREDIT_BYTES_MAX (1 + 10 + 10 + 5 + 5 + 5 + 4 + 1)
_Static_assert(2 * IDENTITY_BYTES_MAX + REGISTERS_BYTES_MAX <= MM_RESULT_DETAIL_BYTES_MAX, "an archive fits");
_Static_assert(IDENTITY_BYTES_MAX + REGISTERS_BYTES_MAX + CREDIT_BYTES_MAX <= MM_RESULT_DETAIL_BYTES_MAX,
               "a meter fits");

static const mmi_field_t credit_fields[] = {
    MMI_FIELD(mm_meter_detail_t, balance_wh, MMI_FIELD_SIGNED),
    MMI_FIELD(mm_meter_detail_t, applied_wh, MMI_FIELD_SIGNED),
    MMI_FIELD(mm_meter_detail_t, token_count, MMI_FIELD_VARINT),
    MMI_FIELD(mm_meter_detail_t, warning_wh, MMI_FIELD_VARINT),
    MMI_FIELD(mm_meter_detail_t, emergency_wh, MMI_FIELD_VARINT),
    MMI_FIELD(mm_meter_detail_t, quiet_hours, MMI_FIELD_VARINT),
    MMI_FIELD(mm_meter_detail_t, quiet_days, 1),
};

static void put_identity(mm_writer_t *writer, const mm_meter_identity_t *identity) {
    MM_ASSERT(identity->pulse_constant <= UINT16_MAX);
    size_t chars = mmi_id_chars(identity->id);
    mm_put_u8(writer, (uint8_t)chars);
    mm_put_bytes(writer, identity->id, chars);
    mm_put_varint(writer, identity->pulse_constant);
    mm_put_varint(writer, mmi_bounded(identity->start_wh));
    mm_put_varint(writer, mmi_bounded(identity->life_pulses));
}

static void get_identity(mm_reader_t *reader, mm_meter_identity_t *identity) {
    size_t chars = mm_get_u8(reader);
    if (chars > MM_METER_ID_CHARS_MAX) {
        reader->failed = true;
        return;
    }
    mmi_get_id(reader, chars, identity->id);
    identity->pulse_constant = (uint32_t)mm_get_varint_max(reader, UINT16_MAX);
    identity->start_wh = mm_get_varint_max(reader, MMI_VALUE_MAX);
    identity->life_pulses = mm_get_varint_max(reader, MMI_VALUE_MAX);
}

static void put_registers(mm_writer_t *writer, uint64_t pending_pulses, uint16_t year_month, uint32_t month_pulses,
                          const uint32_t hours_pulses[MM_HOURS_OF_DAY]) {
    mm_put_u8(writer, mmi_month_is_sum(month_pulses, hours_pulses) ? 0 : REGISTERS_HAVE_MONTH);
    mm_put_varint(writer, mmi_bounded(pending_pulses));
    mm_put_u16(writer, year_month);
    mmi_put_month(writer, month_pulses, hours_pulses);
}

static void get_registers(mm_reader_t *reader, uint64_t *pending_pulses, uint16_t *year_month, uint32_t *month_pulses,
                          uint32_t hours_pulses[MM_HOURS_OF_DAY]) {
    uint8_t flags = mm_get_u8(reader);
    *pending_pulses = mm_get_varint_max(reader, MMI_VALUE_MAX);
    *year_month = mm_get_u16(reader);
    *month_pulses = mmi_get_month(reader, (flags & REGISTERS_HAVE_MONTH) == 0, hours_pulses);
    reader->failed = reader->failed || (flags & ~REGISTERS_HAVE_MONTH) != 0;
}

void mm_archive_detail_put(const mm_archive_detail_t *detail, mm_writer_t *writer) {
    put_identity(writer, &detail->before);
    put_registers(writer, detail->pending_pulses, detail->year_month, detail->month_pulses, detail->hours_pulses);
    put_identity(writer, &detail->after);
}

mm_err_t mm_archive_detail_read(const void *bytes, size_t bytes_count, mm_archive_detail_t *detail) {
    memset(detail, 0, sizeof *detail);
    mm_reader_t reader = mm_reader(bytes, bytes_count);
    get_identity(&reader, &detail->before);
    get_registers(&reader, &detail->pending_pulses, &detail->year_month, &detail->month_pulses, detail->hours_pulses);
    get_identity(&reader, &detail->after);
    return mmi_is_complete(&reader) ? MM_OK : MM_ERR_CORRUPT;
}

void mm_meter_detail_put(const mm_meter_detail_t *detail, mm_writer_t *writer) {
    MM_ASSERT(detail->relay_reasons <= METER_REASONS_MASK);
    MM_ASSERT(detail->quiet_hours <= QUIET_HOURS_MAX && detail->quiet_days <= QUIET_DAYS_MAX);
    put_identity(writer, &detail->now);
    put_registers(writer, detail->pending_pulses, detail->year_month, detail->month_pulses, detail->hours_pulses);
    mm_put_u8(writer, (uint8_t)((detail->prepaid ? METER_PREPAID : 0u) |
                                (unsigned)detail->relay_reasons << METER_REASONS_SHIFT |
                                (detail->relay_closed ? METER_RELAY_CLOSED : 0u) | (detail->low ? METER_LOW : 0u) |
                                (detail->emergency_taken ? METER_EMERGENCY_TAKEN : 0u)));
    mmi_put_fields(writer, MMI_FIELDS(credit_fields), detail);
}

mm_err_t mm_meter_detail_read(const void *bytes, size_t bytes_count, mm_meter_detail_t *detail) {
    memset(detail, 0, sizeof *detail);
    mm_reader_t reader = mm_reader(bytes, bytes_count);
    get_identity(&reader, &detail->now);
    get_registers(&reader, &detail->pending_pulses, &detail->year_month, &detail->month_pulses, detail->hours_pulses);
    uint8_t flags = mm_get_u8(&reader);
    detail->prepaid = (flags & METER_PREPAID) != 0;
    detail->relay_reasons = flags >> METER_REASONS_SHIFT & METER_REASONS_MASK;
    detail->relay_closed = (flags & METER_RELAY_CLOSED) != 0;
    detail->low = (flags & METER_LOW) != 0;
    detail->emergency_taken = (flags & METER_EMERGENCY_TAKEN) != 0;
    mmi_get_fields(&reader, MMI_FIELDS(credit_fields), detail);
    bool is_good = detail->quiet_hours <= QUIET_HOURS_MAX && detail->quiet_days <= QUIET_DAYS_MAX;
    return mmi_is_complete(&reader) && is_good ? MM_OK : MM_ERR_CORRUPT;
}

void mm_format_detail_put(uint32_t code, mm_writer_t *writer) {
    MM_ASSERT(code != 0);
    mm_put_u32(writer, code);
}

mm_err_t mm_format_detail_read(const void *bytes, size_t bytes_count, uint32_t *code) {
    mm_reader_t reader = mm_reader(bytes, bytes_count);
    *code = mm_get_u32(&reader);
    return mmi_is_complete(&reader) && *code != 0 ? MM_OK : MM_ERR_CORRUPT;
}
