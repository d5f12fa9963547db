// SPDX-License-Identifier: Apache-2.0
#include "store_internal.h"

#include <stdlib.h>
#include <string.h>

// A fleet must not fill the memory: beyond this many nodes the table starts again.
#define NODES_CACHED_MAX 20000
// A node has one epoch that matters, and rarely the one before it.
#define TRACKS_CACHED_MAX 8

static size_t hash(int64_t site_id, mm_mac_t mac) {
    uint64_t value = (uint64_t)site_id;
    for (size_t index = 0; index < sizeof mac.bytes; index++) {
        value = (value ^ mac.bytes[index]) * 0x100000001B3u;
    }
    return (size_t)(value ^ (value >> 32));
}

static void track_free(mmi_hq_track_t *track) {
    free(track->spans.items);
    free(track->gaps.items);
    free(track);
}

static void tracks_drop(mmi_hq_node_t *node) {
    for (size_t index = 0; index < node->track_count; index++) {
        track_free(node->tracks[index]);
    }
    free(node->tracks);
    node->tracks = NULL;
    node->track_count = 0;
}

static void node_free(mmi_hq_node_t *node) {
    tracks_drop(node);
    free(node->snapshot);
    free(node);
}

void mmi_hq_nodes_drop(mm_store_t *self) {
    for (size_t index = 0; index < self->node_capacity; index++) {
        if (self->nodes[index] != NULL) {
            node_free(self->nodes[index]);
            self->nodes[index] = NULL;
        }
    }
    self->node_count = 0;
    self->dirty_count = 0;
}

static mmi_hq_node_t **slot_of(mm_store_t *self, int64_t site_id, mm_mac_t mac) {
    size_t mask = self->node_capacity - 1;
    size_t index = hash(site_id, mac) & mask;
    while (self->nodes[index] != NULL &&
           (self->nodes[index]->site_id != site_id || !mm_mac_equal(self->nodes[index]->mac, mac))) {
        index = (index + 1) & mask;
    }
    return &self->nodes[index];
}

static bool make_room(mm_store_t *self) {
    if (self->node_count * 2 < self->node_capacity) {
        return true;
    }
    size_t old_capacity = self->node_capacity;
    mmi_hq_node_t **old_nodes = self->nodes;
    size_t capacity = old_capacity == 0 ? 64 : old_capacity * 2;
    mmi_hq_node_t **nodes = calloc(capacity, sizeof(void *));
    if (nodes == NULL) {
        mmi_hq_fail(self, SQLITE_NOMEM, "out of memory");
        return false;
    }
    self->nodes = nodes;
    self->node_capacity = capacity;
    for (size_t index = 0; index < old_capacity; index++) {
        if (old_nodes[index] != NULL) {
            *slot_of(self, old_nodes[index]->site_id, old_nodes[index]->mac) = old_nodes[index];
        }
    }
    free(old_nodes);
    return true;
}

static mm_mac_t column_mac(sqlite3_stmt *statement, int column) {
    mm_mac_t mac = {{0}};
    if (sqlite3_column_bytes(statement, column) == (int)sizeof mac.bytes) {
        memcpy(mac.bytes, sqlite3_column_blob(statement, column), sizeof mac.bytes);
    }
    return mac;
}

static uint32_t column_u32(sqlite3_stmt *statement, int column) {
    return (uint32_t)sqlite3_column_int64(statement, column);
}

static void load(mmi_hq_node_t *node, sqlite3_stmt *row) {
    node->id = sqlite3_column_int64(row, 0);
    node->last_seen_us = sqlite3_column_int64(row, 1);
    node->epoch = column_u32(row, 2);
    node->watermark_seq = column_u32(row, 3);
    node->next_seq = column_u32(row, 4);
    node->oldest_seq = column_u32(row, 5);
    node->interval_epoch = column_u32(row, 6);
    node->interval_seq = column_u32(row, 7);
    node->interval_no = column_u32(row, 8);
    int payload_bytes = sqlite3_column_bytes(row, 9);
    if (payload_bytes > 0 && payload_bytes <= MM_RECORD_PAYLOAD_BYTES_MAX) {
        node->interval_payload_bytes = (uint8_t)payload_bytes;
        memcpy(node->interval_payload, sqlite3_column_blob(row, 9), (size_t)payload_bytes);
    }
    node->missed_rounds = column_u32(row, 10);
    node->missed_root = column_mac(row, 11);
    node->missed_boot_no = column_u32(row, 12);
    node->missed_round_id = column_u32(row, 13);
}

// Fills node->id; false: not there (or failed).
static bool find_row(mm_store_t *self, mmi_hq_node_t *node) {
    sqlite3_stmt *find = mmi_hq_statement(self, MMI_HQ_NODE_FIND);
    if (find == NULL) {
        return false;
    }
    sqlite3_bind_int64(find, 1, node->site_id);
    sqlite3_bind_blob(find, 2, node->mac.bytes, sizeof node->mac.bytes, SQLITE_STATIC);
    bool found = mmi_hq_row(self, find);
    if (found) {
        load(node, find);
    }
    sqlite3_reset(find);
    return found;
}

static bool add_row(mm_store_t *self, mmi_hq_node_t *node) {
    sqlite3_stmt *add = mmi_hq_statement(self, MMI_HQ_NODE_ADD);
    if (add == NULL) {
        return false;
    }
    sqlite3_bind_int64(add, 1, node->site_id);
    sqlite3_bind_blob(add, 2, node->mac.bytes, sizeof node->mac.bytes, SQLITE_STATIC);
    node->next_seq = 1;
    node->oldest_seq = 1;
    if (!mmi_hq_run(self, add)) {
        return false;
    }
    node->id = sqlite3_last_insert_rowid(self->db);
    return true;
}

mmi_hq_node_t *mmi_hq_node(mm_store_t *self, int64_t site_id, mm_mac_t mac, bool create) {
    if (mmi_hq_failed(self) || !make_room(self)) {
        return NULL;
    }
    mmi_hq_node_t **slot = slot_of(self, site_id, mac);
    if (*slot != NULL) {
        return *slot;
    }
    mmi_hq_node_t *node = calloc(1, sizeof *node);
    if (node == NULL) {
        mmi_hq_fail(self, SQLITE_NOMEM, "out of memory");
        return NULL;
    }
    node->site_id = site_id;
    node->mac = mac;
    if (!find_row(self, node) && (!create || !add_row(self, node))) {
        node_free(node);
        return NULL;
    }
    *slot = node;
    self->node_count++;
    return node;
}

void mmi_hq_node_mark(mm_store_t *self, mmi_hq_node_t *node) {
    if (node->dirty) {
        return;
    }
    if (self->dirty_count == self->dirty_capacity) {
        void *grown =
            mmi_hq_grow(self, self->dirty_nodes, &self->dirty_capacity, self->dirty_count + 1, sizeof(mmi_hq_node_t *));
        if (grown == NULL) {
            return;
        }
        self->dirty_nodes = grown;
    }
    self->dirty_nodes[self->dirty_count++] = node;
    node->dirty = true;
}

static bool write_row(mm_store_t *self, const mmi_hq_node_t *node) {
    sqlite3_stmt *write = mmi_hq_statement(self, MMI_HQ_NODE_WRITE);
    if (write == NULL) {
        return false;
    }
    sqlite3_bind_int64(write, 1, node->id);
    sqlite3_bind_int64(write, 2, node->last_seen_us);
    sqlite3_bind_int64(write, 3, node->epoch);
    sqlite3_bind_int64(write, 4, node->watermark_seq);
    sqlite3_bind_int64(write, 5, node->next_seq);
    sqlite3_bind_int64(write, 6, node->oldest_seq);
    sqlite3_bind_int64(write, 7, node->interval_epoch);
    sqlite3_bind_int64(write, 8, node->interval_seq);
    sqlite3_bind_int64(write, 9, node->interval_no);
    if (node->interval_payload_bytes > 0) {
        sqlite3_bind_blob(write, 10, node->interval_payload, node->interval_payload_bytes, SQLITE_STATIC);
    }
    sqlite3_bind_int64(write, 11, node->missed_rounds);
    sqlite3_bind_blob(write, 12, node->missed_root.bytes, sizeof node->missed_root.bytes, SQLITE_STATIC);
    sqlite3_bind_int64(write, 13, node->missed_boot_no);
    sqlite3_bind_int64(write, 14, node->missed_round_id);
    return mmi_hq_run(self, write);
}

bool mmi_hq_nodes_flush(mm_store_t *self) {
    for (size_t index = 0; index < self->dirty_count; index++) {
        mmi_hq_node_t *node = self->dirty_nodes[index];
        if (!write_row(self, node)) {
            return false;
        }
        node->dirty = false;
        if (node->track_count > TRACKS_CACHED_MAX) {
            tracks_drop(node);
        }
    }
    self->dirty_count = 0;
    if (self->node_count > NODES_CACHED_MAX) {
        mmi_hq_nodes_drop(self);
    }
    return !mmi_hq_failed(self);
}

static void load_ranges(mm_store_t *self, const mmi_hq_track_t *track, mmi_hq_statement_t which,
                        mmi_hq_ranges_t *ranges) {
    sqlite3_stmt *statement = mmi_hq_statement(self, which);
    if (statement == NULL) {
        return;
    }
    sqlite3_bind_int64(statement, 1, track->node_id);
    sqlite3_bind_int64(statement, 2, track->epoch);
    while (mmi_hq_row(self, statement)) {
        mmi_hq_ranges_append(self, ranges,
                             (mmi_hq_range_t){.first = column_u32(statement, 0),
                                              .last = column_u32(statement, 1),
                                              .reason = (uint8_t)sqlite3_column_int(statement, 2),
                                              .explained = sqlite3_column_int(statement, 3) != 0});
    }
}

mmi_hq_track_t *mmi_hq_track(mm_store_t *self, mmi_hq_node_t *node, uint32_t epoch) {
    for (size_t index = 0; index < node->track_count; index++) {
        if (node->tracks[index]->epoch == epoch) {
            return node->tracks[index];
        }
    }
    mmi_hq_track_t **grown = realloc(node->tracks, (node->track_count + 1) * sizeof(mmi_hq_track_t *));
    if (grown == NULL) {
        mmi_hq_fail(self, SQLITE_NOMEM, "out of memory");
        return NULL;
    }
    node->tracks = grown;
    mmi_hq_track_t *track = calloc(1, sizeof *track);
    if (track == NULL) {
        mmi_hq_fail(self, SQLITE_NOMEM, "out of memory");
        return NULL;
    }
    track->node_id = node->id;
    track->epoch = epoch;
    load_ranges(self, track, MMI_HQ_SPAN_LOAD, &track->spans);
    load_ranges(self, track, MMI_HQ_GAP_LOAD, &track->gaps);
    if (mmi_hq_failed(self)) {
        track_free(track);
        return NULL;
    }
    node->tracks[node->track_count++] = track;
    return track;
}
