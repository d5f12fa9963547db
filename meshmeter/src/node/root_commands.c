// SPDX-License-Identifier: Apache-2.0
#include "node/root_commands.h"

#include <string.h>

#define BIT(index) (UINT64_C(1) << (index))

_Static_assert(MM_COMMAND_BATCH_MAX <= 64, "one bit of `news` for each command");
_Static_assert(MM_DOWNLINK_BYTES_MAX <= UINT16_MAX, "bytes_count has 16 bits");

bool mmi_root_commands_read(const mm_root_commands_t *self, mm_command_batch_t *batch) {
    if (self->bytes_count == 0 || self->is_legacy) {
        return false;
    }
    mm_err_t err = mm_command_batch_read(self->bytes, self->bytes_count, batch);
    MM_ASSERT(err == MM_OK); // it was read before it was kept
    return true;
}

MM_APART bool mmi_root_commands_of(const mm_root_commands_t *self, mm_mac_t node, uint8_t index, const uint8_t **bytes,
                                   size_t *bytes_count) {
    mm_command_batch_t batch;
    if (!mmi_root_commands_read(self, &batch)) {
        return false;
    }
    for (uint8_t i = 0; i < batch.count; i++) {
        if (mm_mac_equal(batch.commands[i].node, node) && index-- == 0) {
            *bytes = batch.commands[i].bytes;
            *bytes_count = batch.commands[i].bytes_count;
            return true;
        }
    }
    return false;
}

void mmi_root_commands_forget(mm_root_commands_t *self) {
    *self = (mm_root_commands_t){0};
}

void mmi_root_commands_subscribed(mm_root_commands_t *self) {
    self->is_subscribed = true;
}

void mmi_root_commands_end_session(mm_root_commands_t *self, bool clean) {
    if (clean && self->is_subscribed && !self->has_come) {
        // HQ has cleared it while nobody listened; or the broker has lost it, and HQ will publish the same again.
        self->bytes_count = 0;
    }
    if (clean && self->is_subscribed) {
        self->old_sessions =
            (uint8_t)(self->has_old ? self->old_sessions + (self->old_sessions < UINT8_MAX ? 1 : 0) : 0);
    }
    self->is_subscribed = false;
    self->has_come = false;
    self->has_old = false;
    self->news = 0;
}

// What was in the batch before is news only as long as its node was not asked.
static bool is_news(const mm_root_commands_t *self, const mm_command_batch_t *before, const void *bytes,
                    size_t bytes_count) {
    for (uint8_t i = 0; i < before->count; i++) {
        if (before->commands[i].bytes_count == bytes_count &&
            memcmp(before->commands[i].bytes, bytes, bytes_count) == 0) {
            return (self->news & BIT(i)) != 0;
        }
    }
    return true;
}

static uint64_t find_news(const mm_root_commands_t *self, const mm_command_batch_t *batch) {
    mm_command_batch_t before;
    if (!mmi_root_commands_read(self, &before)) {
        before.count = 0;
    }
    uint64_t news = 0;
    for (uint8_t i = 0; i < batch->count; i++) {
        news |= is_news(self, &before, batch->commands[i].bytes, batch->commands[i].bytes_count) ? BIT(i) : 0;
    }
    return news;
}

// The topic is empty: everything has its answer. The revision stays, so that a broker that brings back an older message
// is not believed.
static void clear(mm_root_commands_t *self) {
    self->is_cleared = true;
    self->bytes_count = 0;
    self->news = 0;
}

// Neither the retained one once more, nor one that HQ has replaced or cleared; unless session after session brings only
// that: then HQ counts behind what is known here, after a wrong clock or somebody else's message, and would never be
// heard again. Nodes pass over what they had.
static bool is_newer(mm_root_commands_t *self, const mm_command_batch_t *batch, mm_counters_t *counters) {
    if (!self->is_known || batch->database_id != self->database_id || batch->revision > self->revision) {
        return true;
    }
    bool is_same = batch->revision == self->revision && !self->is_cleared;
    if (is_same) {
        return self->bytes_count == 0; // it was away from the broker
    }
    mm_counters_count(counters, MM_COUNTER_COMMANDS_OLD);
    self->has_old = true;
    return self->old_sessions >= MM_ROOT_OLD_SESSIONS;
}

bool mmi_root_commands_take(mm_root_commands_t *self, const mm_mqtt_event_t *event, mm_counters_t *counters) {
    self->has_come = true;
    if (event->bytes_count == 0) {
        clear(self);
        return false;
    }
    if (event->bytes == NULL || event->bytes_count > sizeof self->bytes) {
        mm_counters_count(counters, MM_COUNTER_DOWNLINK_TOO_LARGE);
        return false;
    }
    mm_command_batch_t batch;
    mm_err_t err = mm_command_batch_read(event->bytes, event->bytes_count, &batch);
    if (err != MM_OK) {
        mm_counters_count(counters, err == MM_ERR_VERSION ? MM_COUNTER_FRAME_VERSION : MM_COUNTER_DOWNLINK_CORRUPT);
        return false;
    }
    if (!is_newer(self, &batch, counters)) {
        return false;
    }
    self->news = find_news(self, &batch);
    self->is_legacy = false;
    self->is_known = true;
    self->is_cleared = false;
    self->has_old = false;
    self->old_sessions = 0;
    self->database_id = batch.database_id;
    self->revision = batch.revision;
    self->bytes_count = (uint16_t)event->bytes_count;
    memcpy(self->bytes, event->bytes, event->bytes_count);
    return self->news != 0;
}

// --- the original's form -------------------------------------------------------------------------------------------

bool mmi_root_commands_take_legacy(mm_root_commands_t *self, const mm_mqtt_event_t *event, const mm_control_t *control,
                                   mm_counters_t *counters) {
    const mm_legacy_t *legacy = control != NULL && !control->signed_only ? control->options.legacy : NULL;
    self->has_come = true;
    if (legacy == NULL) {
        mm_counters_count(counters, MM_COUNTER_COMMAND_UNSIGNED);
        return false;
    }
    mm_err_t err = legacy->check(event->bytes, event->bytes_count);
    if (err != MM_OK) {
        bool is_large = err == MM_ERR_FULL; // no longer than our buffer, too
        mm_counters_count(counters, is_large ? MM_COUNTER_DOWNLINK_TOO_LARGE : MM_COUNTER_DOWNLINK_CORRUPT);
        return false;
    }
    if (self->is_legacy && self->bytes_count == event->bytes_count &&
        memcmp(self->bytes, event->bytes, event->bytes_count) == 0) {
        return false; // the retained one once more
    }
    *self = (mm_root_commands_t){.is_subscribed = self->is_subscribed, .has_come = true, .is_legacy = true};
    self->bytes_count = (uint16_t)event->bytes_count;
    memcpy(self->bytes, event->bytes, event->bytes_count);
    return true;
}

bool mmi_root_commands_are_legacy(const mm_root_commands_t *self) {
    return self->is_legacy && self->bytes_count > 0;
}

// --- who is asked --------------------------------------------------------------------------------------------------

static bool has_node(const mm_mac_t *nodes, uint8_t count, mm_mac_t mac) {
    for (uint8_t i = 0; i < count; i++) {
        if (mm_mac_equal(nodes[i], mac)) {
            return true;
        }
    }
    return false;
}

uint8_t mmi_root_commands_select_news(mm_root_commands_t *self, mm_cursor_table_t *cursors, mm_mac_t *nodes,
                                      uint8_t capacity) {
    mm_command_batch_t batch;
    if (self->news == 0 || !mmi_root_commands_read(self, &batch)) {
        return 0;
    }
    uint8_t count = 0;
    for (uint8_t i = 0; i < batch.count; i++) {
        if ((self->news & BIT(i)) == 0) {
            continue;
        }
        mm_mac_t node = batch.commands[i].node;
        const mm_cursor_t *cursor = mm_cursor_find(cursors, node);
        bool is_reachable = cursor != NULL && cursor->attached;
        if (is_reachable && !has_node(nodes, count, node)) {
            if (count == capacity) {
                continue; // in another round
            }
            nodes[count++] = node;
        }
        self->news &= ~BIT(i);
    }
    return count;
}
