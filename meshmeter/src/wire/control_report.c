// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "codec_internal.h"
#include "meshmeter/command.h"

// First byte (commands.md, 6) and first byte of each meter.
#define CONTROL_SIGNED_ONLY 0x01
#define METER_PREPAID 0x01
#define METER_REASONS_SHIFT 1
#define METER_REASONS_MASK 0x0F
#define METER_RELAY_CLOSED 0x20
#define METER_LOW 0x40
#define METER_EMERGENCY_TAKEN 0x80

static void put_control(mm_writer_t *writer, const mm_control_report_t *control) {
    MM_ASSERT(control->slot_count == 0 ? control->slot == 0 : control->slot < control->slot_count);
    mm_put_u8(writer, control->signed_only ? CONTROL_SIGNED_ONLY : 0);
    mm_put_u32(writer, control->era);
    mm_put_varint(writer, control->counter);
    mm_put_varint(writer, control->slot_count);
    if (control->slot_count != 0) {
        mm_put_varint(writer, control->slot);
    }
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        MM_ASSERT(control->meters[channel].relay_reasons <= METER_REASONS_MASK);
        mm_put_u8(writer, (uint8_t)((control->meters[channel].prepaid ? METER_PREPAID : 0u) |
                                    (unsigned)control->meters[channel].relay_reasons << METER_REASONS_SHIFT |
                                    (control->meters[channel].relay_closed ? METER_RELAY_CLOSED : 0u) |
                                    (control->meters[channel].low ? METER_LOW : 0u) |
                                    (control->meters[channel].emergency_taken ? METER_EMERGENCY_TAKEN : 0u)));
        if (control->meters[channel].prepaid) {
            mm_put_signed_varint(writer, control->meters[channel].balance_wh);
            mm_put_signed_varint(writer, control->meters[channel].applied_wh);
            mm_put_varint(writer, control->meters[channel].token_count);
        }
    }
}

mm_err_t mm_report_put_control(mm_report_writer_t *self, const mm_control_report_t *control) {
    MM_ASSERT(self->run_offset_bytes == 0 && !self->control_put);
    mm_writer_t writer = self->writer;
    size_t section_offset_bytes = writer.used_bytes;
    mm_put_u8(&writer, MMI_SECTION_CONTROL);
    mm_put_u16(&writer, 0);
    put_control(&writer, control);
    if (writer.failed) {
        return MM_ERR_FULL; // *self does not know of the bytes that were begun
    }
    mm_patch_u16(&writer, section_offset_bytes + 1,
                 (uint16_t)(writer.used_bytes - section_offset_bytes - MMI_SECTION_HEADER_BYTES));
    self->writer = writer;
    self->control_put = true;
    return MM_OK;
}

mm_err_t mm_control_report_read(mm_reader_t *content, mm_control_report_t *control) {
    memset(control, 0, sizeof *control);
    uint8_t flags = mm_get_u8(content);
    if ((flags & ~CONTROL_SIGNED_ONLY) != 0) {
        return MM_ERR_CORRUPT;
    }
    control->signed_only = (flags & CONTROL_SIGNED_ONLY) != 0;
    control->era = mm_get_u32(content);
    control->counter = (uint32_t)mm_get_varint_max(content, UINT32_MAX);
    control->slot_count = (uint32_t)mm_get_varint_max(content, UINT32_MAX);
    if (control->slot_count != 0) {
        control->slot = (uint32_t)mm_get_varint_max(content, control->slot_count - 1);
    }
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint8_t meter = mm_get_u8(content);
        control->meters[channel].prepaid = (meter & METER_PREPAID) != 0;
        control->meters[channel].relay_reasons = meter >> METER_REASONS_SHIFT & METER_REASONS_MASK;
        control->meters[channel].relay_closed = (meter & METER_RELAY_CLOSED) != 0;
        control->meters[channel].low = (meter & METER_LOW) != 0;
        control->meters[channel].emergency_taken = (meter & METER_EMERGENCY_TAKEN) != 0;
        if (control->meters[channel].prepaid) {
            control->meters[channel].balance_wh = mm_get_signed_varint(content);
            control->meters[channel].applied_wh = mm_get_signed_varint(content);
            control->meters[channel].token_count = (uint32_t)mm_get_varint_max(content, UINT32_MAX);
        }
    }
    return mmi_is_complete(content) ? MM_OK : MM_ERR_CORRUPT;
}
