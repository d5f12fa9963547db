// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "codec_internal.h"
#include "meshmeter/command.h"
#include "wire/fields.h"

// commands.md, 6: of the node, and of each meter, whose credit follows if it is prepaid.

static const mmi_field_t node_fields[] = {
    MMI_BITS_LAST(mm_control_report_t, signed_only, 0x01),
    MMI_FIELD(mm_control_report_t, era, 4),
    MMI_FIELD(mm_control_report_t, counter, MMI_FIELD_VARINT),
    MMI_FIELD(mm_control_report_t, slot_count, MMI_FIELD_VARINT),
};
static const mmi_field_t meter_fields[] = {
    MMI_BITS(mm_control_report_meter_t, prepaid, 0x01),
    MMI_BITS(mm_control_report_meter_t, relay_reasons, 0x1E),
    MMI_BITS(mm_control_report_meter_t, relay_closed, 0x20),
    MMI_BITS(mm_control_report_meter_t, low, 0x40),
    MMI_BITS_LAST(mm_control_report_meter_t, emergency_taken, 0x80),
};
static const mmi_field_t credit_fields[] = {
    MMI_FIELD(mm_control_report_meter_t, balance_wh, MMI_FIELD_SIGNED),
    MMI_FIELD(mm_control_report_meter_t, applied_wh, MMI_FIELD_SIGNED),
    MMI_FIELD(mm_control_report_meter_t, token_count, MMI_FIELD_VARINT),
};

static void put_control(mm_writer_t *writer, const mm_control_report_t *control) {
    MM_ASSERT(control->slot_count == 0 ? control->slot == 0 : control->slot < control->slot_count);
    mmi_put_fields(writer, MMI_FIELDS(node_fields), control);
    if (control->slot_count != 0) {
        mm_put_varint(writer, control->slot);
    }
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        mmi_put_fields(writer, MMI_FIELDS(meter_fields), &control->meters[channel]);
        if (control->meters[channel].prepaid) {
            mmi_put_fields(writer, MMI_FIELDS(credit_fields), &control->meters[channel]);
        }
    }
}

mm_err_t mm_report_put_control(mm_report_writer_t *self, const mm_control_report_t *control) {
    MM_ASSERT(self->run_offset_bytes == 0 && !self->control_put);
    mm_writer_t section = mmi_section_begin(&self->writer, MMI_SECTION_CONTROL);
    put_control(&section, control);
    mm_err_t err = mmi_section_end(&self->writer, &section);
    self->control_put = err == MM_OK;
    return err;
}

mm_err_t mm_control_report_read(mm_reader_t *content, mm_control_report_t *control) {
    memset(control, 0, sizeof *control);
    mmi_get_fields(content, MMI_FIELDS(node_fields), control);
    if (control->slot_count != 0) {
        control->slot = (uint32_t)mm_get_varint_max(content, control->slot_count - 1);
    }
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        mmi_get_fields(content, MMI_FIELDS(meter_fields), &control->meters[channel]);
        if (control->meters[channel].prepaid) {
            mmi_get_fields(content, MMI_FIELDS(credit_fields), &control->meters[channel]);
        }
    }
    return mmi_is_complete(content) ? MM_OK : MM_ERR_CORRUPT;
}
