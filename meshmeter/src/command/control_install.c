// SPDX-License-Identifier: Apache-2.0
#include "control_internal.h"

void mm_control_set_commissioning(mm_control_t *self, const mm_commissioning_t *commissioning) {
    self->commissioning = commissioning;
}

void mm_control_set_unconfirmed(mm_control_t *self, uint8_t channels, mm_us_t now) {
    if (self->unconfirmed_channels == channels) {
        return;
    }
    self->unconfirmed_channels = channels;
    for (uint8_t channel = 0; channel < MM_CHANNELS && self->usable; channel++) {
        mmi_control_follow(self, channel, now);
    }
}

mm_err_t mm_control_install(mm_control_t *self, uint8_t kind, uint8_t channel, const mm_command_body_t *body,
                            mm_us_t now) {
    uint8_t bytes[MM_COMMAND_BODY_BYTES_MAX];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    if (mm_command_body_put(kind, body, &writer) != MM_OK) {
        return MM_ERR_ARG;
    }
    if (!self->usable || mm_metering_prepare(self->metering, now) != MM_OK) {
        return MM_ERR_BUSY;
    }
    const mm_command_t command = {.node = self->options.mac,
                                  .era = self->era,
                                  .counter = self->counter,
                                  .kind = kind,
                                  .channel = channel,
                                  .body = bytes,
                                  .body_bytes = (uint8_t)writer.used_bytes};
    mm_result_status_t status;
    mm_err_t err = mmi_control_carry_out(self, &command, true, now, &status);
    if (err != MM_OK) {
        return err;
    }
    return status == MM_RESULT_DONE || status == MM_RESULT_TRYING ? MM_OK : MM_ERR_ARG;
}

mm_err_t mm_control_tell_installation(mm_control_t *self, const mm_installation_record_t *installation, mm_us_t now) {
    if (!self->usable || mm_metering_prepare(self->metering, now) != MM_OK) {
        return MM_ERR_BUSY;
    }
    mm_control_t draft = *self;
    draft.installation_told = installation->revision;
    draft.installation_due = false;
    const mm_record_t record = {.type = MM_RECORD_INSTALLATION, .installation = *installation};
    return mmi_control_commit(self, &draft, &record, NULL, now) == MM_OK ? MM_OK : MM_ERR_BUSY;
}
