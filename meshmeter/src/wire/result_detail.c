// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/result_detail.h"

#include <string.h>

#include "codec_internal.h"
#include "wire/fields.h"

// Flags of the registers (commands.md, 5.3).
#define REGISTERS_HAVE_MONTH 0x01
#define QUIET_HOURS_MAX ((UINT32_C(1) << MM_HOURS_OF_DAY) - 1)
#define QUIET_DAYS_MAX 0x7F

// Largest forms: varints of 63 bits take 9 bytes, of 32 bits 5, of 24 bits 4, of 16 bits 3, signed ones 10.
#define IDENTITY_BYTES_MAX (1 + MM_METER_ID_CHARS_MAX + 3 + 9 + 9)
#define REGISTERS_BYTES_MAX (1 + 9 + 2 + 1 + 4 * MM_HOURS_OF_DAY + 5)
#define CREDIT_BYTES_MAX (1 + 10 + 10 + 5 + 5 + 5 + 4 + 1)
_Static_assert(2 * IDENTITY_BYTES_MAX + REGISTERS_BYTES_MAX <= MM_RESULT_DETAIL_BYTES_MAX, "an archive fits");
_Static_assert(IDENTITY_BYTES_MAX + REGISTERS_BYTES_MAX + CREDIT_BYTES_MAX <= MM_RESULT_DETAIL_BYTES_MAX,
               "a meter fits");

static const mmi_field_t identity_fields[] = {
    MMI_FIELD(mm_meter_identity_t, id, MMI_FIELD_ID),
    MMI_FIELD(mm_meter_identity_t, pulse_constant, MMI_FIELD_VARINT),
    MMI_FIELD(mm_meter_identity_t, start_wh, MMI_FIELD_BOUNDED),
    MMI_FIELD(mm_meter_identity_t, life_pulses, MMI_FIELD_BOUNDED),
};

// Of READ_METER, behind the registers (5.5).
static const mmi_field_t credit_fields[] = {
    MMI_BITS(mm_meter_detail_t, prepaid, 0x01),
    MMI_BITS(mm_meter_detail_t, relay_reasons, 0x1E),
    MMI_BITS(mm_meter_detail_t, relay_closed, 0x20),
    MMI_BITS(mm_meter_detail_t, low, 0x40),
    MMI_BITS_LAST(mm_meter_detail_t, emergency_taken, 0x80),
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
    mmi_put_fields(writer, MMI_FIELDS(identity_fields), identity);
}

static void get_identity(mm_reader_t *reader, mm_meter_identity_t *identity) {
    mmi_get_fields(reader, MMI_FIELDS(identity_fields), identity);
    reader->failed = reader->failed || identity->pulse_constant > UINT16_MAX;
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

static bool quiet_is_possible(const mm_meter_detail_t *detail) {
    return detail->quiet_hours <= QUIET_HOURS_MAX && detail->quiet_days <= QUIET_DAYS_MAX;
}

void mm_meter_detail_put(const mm_meter_detail_t *detail, mm_writer_t *writer) {
    MM_ASSERT(quiet_is_possible(detail));
    put_identity(writer, &detail->now);
    put_registers(writer, detail->pending_pulses, detail->year_month, detail->month_pulses, detail->hours_pulses);
    mmi_put_fields(writer, MMI_FIELDS(credit_fields), detail);
}

mm_err_t mm_meter_detail_read(const void *bytes, size_t bytes_count, mm_meter_detail_t *detail) {
    memset(detail, 0, sizeof *detail);
    mm_reader_t reader = mm_reader(bytes, bytes_count);
    get_identity(&reader, &detail->now);
    get_registers(&reader, &detail->pending_pulses, &detail->year_month, &detail->month_pulses, detail->hours_pulses);
    mmi_get_fields(&reader, MMI_FIELDS(credit_fields), detail);
    return mmi_is_complete(&reader) && quiet_is_possible(detail) ? MM_OK : MM_ERR_CORRUPT;
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
