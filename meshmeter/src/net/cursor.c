// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/cursor.h"

#include <string.h>

// More doublings than this never matter: hold_max_us ends them.
#define HOLD_DOUBLINGS_MAX 60

static const mm_position_t nowhere = {0, 0};

static bool is_nowhere(mm_position_t position) {
    return position.epoch == 0;
}

static MM_APART mm_us_t current_hold_us(const mm_cursor_table_t *self, uint8_t doublings) {
    mm_us_t hold = self->hold_us;
    for (uint8_t i = 0; i < doublings && hold < self->hold_max_us; i++) {
        hold = hold > self->hold_max_us / 2 ? self->hold_max_us : hold * 2;
    }
    return hold < self->hold_max_us ? hold : self->hold_max_us;
}

static MM_APART void release_hold(mm_cursor_t *cursor) {
    cursor->confirmed = nowhere;
    cursor->resend_at = MM_US_NEVER;
}

void mm_cursor_table_init(mm_cursor_table_t *self, mm_us_t hold_us, mm_us_t hold_max_us, mm_us_t forget_us,
                          mm_counters_t *counters) {
    MM_ASSERT(hold_us > 0 && hold_max_us > 0 && forget_us > 0);
    memset(self, 0, sizeof *self);
    self->hold_us = hold_us;
    self->hold_max_us = hold_max_us;
    self->forget_us = forget_us;
    self->counters = counters;
}

mm_cursor_t *mm_cursor_find(mm_cursor_table_t *self, mm_mac_t mac) {
    for (size_t i = 0; i < MM_NODES_MAX; i++) {
        if (self->cursors[i].used && mm_mac_equal(self->cursors[i].mac, mac)) {
            return &self->cursors[i];
        }
    }
    return NULL;
}

static mm_cursor_t *find_room(mm_cursor_table_t *self) {
    mm_cursor_t *oldest = NULL;
    for (size_t i = 0; i < MM_NODES_MAX; i++) {
        mm_cursor_t *cursor = &self->cursors[i];
        if (!cursor->used) {
            return cursor;
        }
        if (!cursor->attached && (oldest == NULL || cursor->seen_at < oldest->seen_at)) {
            oldest = cursor;
        }
    }
    return oldest;
}

mm_cursor_t *mm_cursor_touch(mm_cursor_table_t *self, mm_mac_t mac, bool attached, mm_us_t now) {
    mm_cursor_t *cursor = mm_cursor_find(self, mac);
    if (cursor == NULL) {
        cursor = find_room(self);
        if (cursor == NULL) {
            mm_counters_count(self->counters, MM_COUNTER_NODE_TABLE_FULL);
            return NULL;
        }
        *cursor = (mm_cursor_t){.mac = mac, .used = true, .resend_at = MM_US_NEVER};
    }
    cursor->attached = attached;
    cursor->seen_at = now;
    return cursor;
}

void mm_cursor_detach(mm_cursor_table_t *self, mm_mac_t mac) {
    mm_cursor_t *cursor = mm_cursor_find(self, mac);
    if (cursor != NULL) {
        cursor->attached = false;
    }
}

void mm_cursor_poll(mm_cursor_table_t *self, mm_us_t now) {
    for (size_t i = 0; i < MM_NODES_MAX; i++) {
        mm_cursor_t *cursor = &self->cursors[i];
        if (!cursor->used) {
            continue;
        }
        if (!cursor->attached && now - cursor->seen_at >= self->forget_us) {
            *cursor = (mm_cursor_t){0};
            continue;
        }
        if (now >= cursor->resend_at) {
            release_hold(cursor);
            if (cursor->hold_doublings < HOLD_DOUBLINGS_MAX) {
                cursor->hold_doublings++;
            }
        }
    }
}

// HQ is at work, and what the broker confirmed is not there: what is on its way still has half of the first hold, one
// cycle in the field.
static void shorten_hold(const mm_cursor_table_t *self, mm_cursor_t *cursor, mm_us_t now) {
    // wait: HQ's commit of what the broker confirmed | until half of hold_us from HQ's news on | then it is sent again
    mm_us_t resend_at = now + self->hold_us / 2;
    cursor->hold_doublings = 0;
    if (resend_at < cursor->resend_at && cursor->resend_at != MM_US_NEVER) {
        cursor->resend_at = resend_at;
    }
}

static void set_watermark(mm_cursor_table_t *self, mm_cursor_t *cursor, mm_position_t watermark, bool is_news,
                          mm_us_t now) {
    int order = cursor->has_watermark ? mm_position_compare(watermark, cursor->watermark) : 1;
    cursor->has_watermark = true;
    if (order == 0) {
        if (is_news) {
            shorten_hold(self, cursor, now);
        }
        return;
    }
    cursor->watermark = watermark;
    cursor->hold_doublings = 0;
    if (order < 0) {
        mm_counters_count(self->counters, MM_COUNTER_WATERMARK_MOVED_BACK);
        release_hold(cursor);
    } else if (mm_position_compare(cursor->confirmed, watermark) <= 0) {
        release_hold(cursor);
    } else {
        // HQ is at work: give it time for the rest.
        cursor->resend_at = now + current_hold_us(self, 0);
    }
}

static bool has_entry(const mm_ack_t *ack, mm_mac_t mac) {
    for (uint8_t i = 0; i < ack->entry_count; i++) {
        if (mm_mac_equal(ack->entries[i].node, mac)) {
            return true;
        }
    }
    return false;
}

// What the last HQ had, the new one need not have.
static void change_database(mm_cursor_table_t *self, const mm_ack_t *ack) {
    for (size_t i = 0; i < MM_NODES_MAX; i++) {
        mm_cursor_t *cursor = &self->cursors[i];
        if (!cursor->used) {
            continue;
        }
        release_hold(cursor);
        cursor->hold_doublings = 0;
        if (!has_entry(ack, cursor->mac)) {
            cursor->has_watermark = false;
            cursor->watermark = nowhere;
        }
    }
}

mm_err_t mm_cursor_apply_ack(mm_cursor_table_t *self, const mm_ack_t *ack, mm_us_t now) {
    MM_ASSERT(ack->entry_count <= MM_NODES_MAX);
    bool same_database = ack->database_id == self->ack_database_id;
    if (same_database && ack->revision < self->ack_revision) {
        return MM_ERR_STATE;
    }
    bool is_first = self->ack_database_id == 0 && self->ack_revision == 0;
    if (!same_database && !is_first) {
        change_database(self, ack);
    }
    // The same one again, retained at the broker, says nothing about HQ now.
    bool is_news = !is_first && (!same_database || ack->revision != self->ack_revision);
    self->ack_database_id = ack->database_id;
    self->ack_revision = ack->revision;
    for (uint8_t i = 0; i < ack->entry_count; i++) {
        mm_cursor_t *cursor = mm_cursor_find(self, ack->entries[i].node);
        if (cursor != NULL) {
            set_watermark(self, cursor, ack->entries[i].watermark, is_news, now);
        }
    }
    return MM_OK;
}

void mm_cursor_confirm(mm_cursor_table_t *self, mm_mac_t mac, mm_position_t after, mm_position_t through, mm_us_t now) {
    mm_cursor_t *cursor = mm_cursor_find(self, mac);
    if (cursor == NULL || mm_position_compare(through, mm_cursor_after(cursor)) <= 0) {
        return;
    }
    // The begin of an epoch continues everything; without a watermark nobody here knows where the node began.
    bool is_begin = after.seq == 0 || (is_nowhere(mm_cursor_after(cursor)) && !cursor->has_watermark);
    if (!is_begin && mm_position_compare(after, mm_cursor_after(cursor)) > 0) {
        return;
    }
    if (is_nowhere(cursor->confirmed)) {
        cursor->resend_at = now + current_hold_us(self, cursor->hold_doublings);
    }
    cursor->confirmed = through;
}

void mm_cursor_note_report(mm_cursor_table_t *self, mm_mac_t mac, mm_position_t oldest, mm_position_t next,
                           mm_us_t now) {
    mm_cursor_t *cursor = mm_cursor_find(self, mac);
    if (cursor == NULL) {
        return;
    }
    cursor->seen_at = now;
    cursor->reported_oldest = oldest;
    cursor->reported_next = next;
}

mm_position_t mm_cursor_after(const mm_cursor_t *self) {
    if (!self->has_watermark) {
        return self->confirmed;
    }
    return mm_position_compare(self->confirmed, self->watermark) > 0 ? self->confirmed : self->watermark;
}

uint8_t mm_cursor_select_attached(const mm_cursor_table_t *self, mm_mac_t *nodes, uint8_t capacity, uint8_t *rotation) {
    uint8_t sorted[MM_NODES_MAX]; // indices of attached nodes in MAC order
    uint8_t attached_count = 0;
    for (uint8_t i = 0; i < MM_NODES_MAX; i++) {
        if (!self->cursors[i].used || !self->cursors[i].attached) {
            continue;
        }
        uint8_t place = attached_count++;
        while (place > 0 && mm_mac_compare(self->cursors[sorted[place - 1]].mac, self->cursors[i].mac) > 0) {
            sorted[place] = sorted[place - 1];
            place--;
        }
        sorted[place] = i;
    }
    if (attached_count == 0) {
        return 0;
    }
    uint8_t count = attached_count < capacity ? attached_count : capacity;
    uint8_t next = *rotation % attached_count;
    for (uint8_t i = 0; i < count; i++) {
        nodes[i] = self->cursors[sorted[next]].mac;
        next = (uint8_t)((next + 1) % attached_count);
    }
    *rotation = next;
    return count;
}

// Records that the node has behind `after`, as far as its last report tells.
static uint32_t backlog_records(const mm_cursor_t *cursor) {
    mm_position_t after = mm_cursor_after(cursor);
    mm_position_t next = cursor->reported_next;
    if (!cursor->used || !cursor->attached || is_nowhere(next) || after.epoch > next.epoch) {
        return 0;
    }
    uint64_t first_seq = cursor->reported_oldest.epoch == next.epoch ? cursor->reported_oldest.seq : 0;
    if (after.epoch == next.epoch && (uint64_t)after.seq + 1 > first_seq) {
        first_seq = (uint64_t)after.seq + 1;
    }
    return next.seq > first_seq ? (uint32_t)(next.seq - first_seq) : 0;
}

uint8_t mm_cursor_select_backlog(const mm_cursor_table_t *self, mm_mac_t *nodes, uint8_t capacity) {
    uint32_t backlogs[MM_NODES_MAX];
    uint8_t sorted[MM_NODES_MAX]; // indices of nodes with a backlog, largest first, equal ones in MAC order
    uint8_t sorted_count = 0;
    for (uint8_t i = 0; i < MM_NODES_MAX; i++) {
        backlogs[i] = backlog_records(&self->cursors[i]);
        if (backlogs[i] == 0) {
            continue;
        }
        uint8_t place = sorted_count++;
        while (place > 0) {
            uint8_t before = sorted[place - 1];
            bool stays =
                backlogs[before] > backlogs[i] || (backlogs[before] == backlogs[i] &&
                                                   mm_mac_compare(self->cursors[before].mac, self->cursors[i].mac) < 0);
            if (stays) {
                break;
            }
            sorted[place] = before;
            place--;
        }
        sorted[place] = i;
    }
    uint8_t count = sorted_count < capacity ? sorted_count : capacity;
    for (uint8_t i = 0; i < count; i++) {
        nodes[i] = self->cursors[sorted[i]].mac;
    }
    return count;
}
