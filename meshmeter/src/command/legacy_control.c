// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/legacy_control.h"

#include <string.h>

#include "control_internal.h"

// --- one item ------------------------------------------------------------------------------------------------------

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

static mm_err_t carry_out_all(mm_legacy_control_t *self, mm_control_t *control, mm_legacy_command_t *legacy,
                              mm_us_t now) {
    mm_legacy_order_t order;
    mm_err_t result = MM_ERR_NOT_FOUND;
    while (mm_legacy_command_next(legacy, &order)) {
        uint8_t channel = target_of(control, &order);
        if (channel == MM_CHANNELS) {
            continue;
        }
        result = carry_out(control, &order, channel, now);
        if (result != MM_OK) {
            break; // all of the item comes again
        }
    }
    if (result == MM_OK) {
        mm_legacy_seen_add(&self->seen, legacy, now);
    }
    return result;
}

static mm_err_t refuse(mm_control_t *control, mm_legacy_verdict_t verdict) {
    bool is_forged = verdict == MM_LEGACY_COMMAND_FORGED || verdict == MM_LEGACY_COMMAND_NO_CRYPTO;
    mm_counters_count(control->counters, is_forged ? MM_COUNTER_COMMAND_FORGED : MM_COUNTER_COMMAND_CORRUPT);
    return is_forged ? MM_ERR_CORRUPT : MM_ERR_ARG;
}

static mm_err_t take_item(void *context, mm_control_t *control, const char *item, size_t item_bytes, mm_us_t now) {
    mm_legacy_control_t *self = context;
    mm_legacy_command_t legacy;
    mm_time_t time = mm_metering_time(control->metering, now);
    int64_t today_s = time.trust != MM_TRUST_UNSET ? mm_us_whole_s(time.utc.us) : -1;
    mm_legacy_verdict_t verdict =
        mm_legacy_command_read(&legacy, item, item_bytes, self->secret, control->crypto, today_s);
    if (verdict != MM_LEGACY_COMMAND_GOOD) {
        return refuse(control, verdict);
    }
    if (mm_legacy_seen_is_repeated(&self->seen, &legacy, now)) {
        return MM_OK; // retained, it comes in every round: nothing to count
    }
    return carry_out_all(self, control, &legacy, now);
}

// --- the root's message --------------------------------------------------------------------------------------------

static mm_err_t check(const void *message, size_t message_bytes) {
    mm_legacy_message_t walk;
    return mm_legacy_message_begin(&walk, message, message_bytes);
}

static mm_legacy_message_t begin_checked(const void *message, size_t message_bytes) {
    mm_legacy_message_t walk;
    mm_err_t err = mm_legacy_message_begin(&walk, message, message_bytes);
    MM_ASSERT(err == MM_OK);
    return walk;
}

static void take_message(mm_control_t *control, const void *message, size_t message_bytes, mm_us_t now) {
    mm_legacy_message_t walk = begin_checked(message, message_bytes);
    const char *item = NULL;
    size_t item_bytes = 0;
    mm_err_t err = MM_OK;
    while (err != MM_ERR_BUSY && mm_legacy_message_next(&walk, &item, &item_bytes)) {
        if (item_bytes <= MM_ASK_ITEM_BYTES_MAX) { // as for the other nodes
            err = mm_control_take_legacy(control, item, item_bytes, now);
        }
    }
}

static size_t write_ask(const void *message, size_t message_bytes, void *bytes, size_t capacity_bytes, mm_mac_t source,
                        const mm_ask_t *ask) {
    mm_legacy_message_t walk = begin_checked(message, message_bytes);
    mm_ask_item_t all[MM_LEGACY_ITEMS_MAX];
    mm_ask_item_t items[MM_LEGACY_ITEMS_MAX];
    const char *item = NULL;
    size_t item_bytes = 0;
    size_t total_bytes = 0;
    uint8_t count = 0;
    while (mm_legacy_message_next(&walk, &item, &item_bytes)) {
        if (item_bytes <= MM_ASK_ITEM_BYTES_MAX) { // no item that is good is longer
            all[count++] = (mm_ask_item_t){item, (uint16_t)item_bytes};
            total_bytes += 2 + item_bytes;
        }
    }
    uint32_t first = total_bytes > MM_ASK_ITEM_BYTES_MAX ? ask->round_id % count : 0;
    for (uint8_t i = 0; i < count; i++) {
        items[i] = all[(first + i) % count];
    }
    return mm_frame_write_ask_with_items(bytes, capacity_bytes, source, ask, items, count);
}

void mm_legacy_control_open(mm_legacy_control_t *self, const uint8_t secret[MM_LEGACY_SECRET_BYTES]) {
    *self = (mm_legacy_control_t){.legacy = {.check = check,
                                             .write_ask = write_ask,
                                             .take_message = take_message,
                                             .take_item = take_item,
                                             .context = self}};
    memcpy(self->secret, secret, sizeof self->secret);
}
