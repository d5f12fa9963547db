// SPDX-License-Identifier: Apache-2.0
#include "control_internal.h"

#include <string.h>

static uint8_t channel_of(const mm_control_t *self, const char *meter_id) {
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (mmi_control_has_meter(self, channel) && strcmp(self->metering->options.meters[channel].id, meter_id) == 0) {
            return channel;
        }
    }
    return MM_CHANNELS;
}

// Where the order is for: a meter's channel, the whole node, or MM_CHANNELS if it is not for here.
static uint8_t target_of(const mm_control_t *self, const mm_legacy_order_t *order) {
    uint8_t channel = order->meter_id[0] != '\0' ? channel_of(self, order->meter_id) : MM_COMMAND_WHOLE_NODE;
    return channel < MM_CHANNELS && !mm_command_is_for_meter((uint8_t)order->kind) ? MM_COMMAND_WHOLE_NODE : channel;
}

static mm_err_t carry_out(mm_control_t *self, const mm_legacy_order_t *order, uint8_t channel, mm_us_t now) {
    const mm_command_t command = {.node = self->options.mac,
                                  .era = self->era,
                                  .counter = self->counter,
                                  .kind = (uint8_t)order->kind,
                                  .channel = channel,
                                  .body = order->body,
                                  .body_bytes = order->body_bytes};
    if (mm_metering_prepare(self->metering, now) != MM_OK) {
        return MM_ERR_BUSY;
    }
    mm_result_status_t status;
    return mmi_control_carry_out(self, &command, true, now, &status);
}

static mm_err_t carry_out_all(mm_control_t *self, mm_legacy_command_t *legacy, mm_us_t now) {
    mm_legacy_order_t order;
    mm_err_t result = MM_ERR_NOT_FOUND;
    while (mm_legacy_command_next(legacy, &order)) {
        uint8_t channel = target_of(self, &order);
        if (channel == MM_CHANNELS) {
            continue;
        }
        result = carry_out(self, &order, channel, now);
        if (result != MM_OK) {
            break; // all of the item comes again
        }
    }
    if (result == MM_OK) {
        mm_legacy_seen_add(&self->legacy_seen, legacy, now);
    }
    return result;
}

static mm_err_t refuse(mm_control_t *self, mm_legacy_verdict_t verdict) {
    bool is_forged = verdict == MM_LEGACY_COMMAND_FORGED || verdict == MM_LEGACY_COMMAND_NO_CRYPTO;
    mm_counters_add(self->counters, is_forged ? MM_COUNTER_COMMAND_FORGED : MM_COUNTER_COMMAND_CORRUPT, 1);
    return is_forged ? MM_ERR_CORRUPT : MM_ERR_ARG;
}

mm_err_t mm_control_take_legacy(mm_control_t *self, const char *item, size_t item_bytes, mm_us_t now) {
    if (!self->usable) {
        return MM_ERR_BUSY;
    }
    if (!self->options.legacy_commands || self->signed_only || self->crypto == NULL) {
        mm_counters_add(self->counters, MM_COUNTER_COMMAND_UNSIGNED, 1);
        return MM_ERR_STATE;
    }
    mm_legacy_command_t legacy;
    mm_time_t time = mm_metering_time(self->metering, now);
    int64_t today_s = time.trust != MM_TRUST_UNSET ? mm_us_whole_s(time.utc.us) : -1;
    mm_legacy_verdict_t verdict =
        mm_legacy_command_read(&legacy, item, item_bytes, self->options.legacy_secret, self->crypto, today_s);
    if (verdict != MM_LEGACY_COMMAND_GOOD) {
        return refuse(self, verdict);
    }
    if (mm_legacy_seen_is_repeated(&self->legacy_seen, &legacy, now)) {
        return MM_OK; // retained, it comes in every round: nothing to count
    }
    return carry_out_all(self, &legacy, now);
}
