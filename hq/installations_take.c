// SPDX-License-Identifier: Apache-2.0
#include "installations.h"

#include "commands.h"
#include "sql.h"
#include "store_internal.h"

#include "meshmeter/control.h"

#include <stdio.h>
#include <string.h>

/// A record on its way into the database.
typedef struct {
    sqlite3 *db;
    int64_t node_id;
    mm_position_t position;
    const mm_installation_record_t *record;
    const void *payload;
    size_t payload_bytes;
    int64_t received_us;
} taking_t;

// The position is there, or the record was carried over from an earlier one of the same epoch.
static bool is_known(const taking_t *self, bool *known) {
    int64_t found = 0;
    mmi_sql_t query = mmi_sql_begin(self->db, "SELECT count(*) FROM installation WHERE node = ? AND epoch = ? AND"
                                              " (seq = ? OR payload = ?)");
    mmi_sql_put_integer(&query, self->node_id);
    mmi_sql_put_integer(&query, self->position.epoch);
    mmi_sql_put_integer(&query, self->position.seq);
    mmi_sql_put_blob(&query, self->payload, self->payload_bytes);
    bool good = mmi_sql_value(&query, 0, &found);
    *known = found != 0;
    return good;
}

// Records may come in any order. A node whose newest configuration is damaged says which revision it has fallen back
// to, in an event, and tells that one again: then it is later than all before that event, whatever their revisions. Its
// clock does not tell, for that is at a start.
static bool is_superseded(const taking_t *self, bool *superseded) {
    int64_t newer = 0;
    mmi_sql_t query = mmi_sql_begin(
        self->db, "SELECT count(*) FROM installation WHERE node = ?1 AND (epoch > ?2 OR (epoch = ?2 AND CASE"
                  " WHEN trust = 2 AND ?5 = 2 AND revision <> ?3 AND seconds <> ?6 THEN seconds > ?6"
                  " WHEN revision <> ?3 THEN revision > ?3 ELSE seq > ?4 END AND NOT EXISTS (SELECT 1 FROM event"
                  " WHERE event.node = ?1 AND event.epoch = ?2 AND event.seq > installation.seq AND event.seq < ?4"
                  " AND event.code = ?7 AND event.value2 = ?3)))");
    mmi_sql_put_integer(&query, self->node_id);
    mmi_sql_put_integer(&query, self->position.epoch);
    mmi_sql_put_integer(&query, self->record->revision);
    mmi_sql_put_integer(&query, self->position.seq);
    mmi_sql_put_integer(&query, self->record->at.trust);
    mmi_sql_put_integer(&query, (int64_t)self->record->at.seconds);
    mmi_sql_put_integer(&query, MM_EVENT_CONFIGURATION_BEHIND);
    bool good = mmi_sql_value(&query, 0, &newer);
    *superseded = newer != 0;
    return good;
}

// Those that wait, with what was queued for them; what was sent the node answers by its revision.
static bool supersede_others(const taking_t *self) {
    mmi_sql_t take = mmi_sql_begin(self->db, "UPDATE command SET state = ?, ended_us = ? WHERE state = ? AND id IN"
                                             " (SELECT command FROM installation WHERE node = ? AND state ="
                                             " 'waiting' AND command <> 0)");
    mmi_sql_put_integer(&take, MM_COMMAND_STATE_WITHDRAWN);
    mmi_sql_put_integer(&take, self->received_us);
    mmi_sql_put_integer(&take, MM_COMMAND_STATE_QUEUED);
    mmi_sql_put_integer(&take, self->node_id);
    mmi_sql_t end =
        mmi_sql_begin(self->db, "UPDATE installation SET state = 'superseded' WHERE node = ? AND state = 'waiting'");
    mmi_sql_put_integer(&end, self->node_id);
    bool good = mmi_sql_run(&take);
    return mmi_sql_run(&end) && good;
}

static bool add_channels(const taking_t *self, int64_t id) {
    bool good = true;
    for (int channel = 0; channel < MM_CHANNELS && good; channel++) {
        if (self->record->channels[channel].id[0] == '\0') {
            continue;
        }
        mmi_sql_t add = mmi_sql_begin(self->db, "INSERT INTO installation_channel (installation, channel, id,"
                                                " pulse_constant, start_wh, prepaid) VALUES (?, ?, ?, ?, ?, ?)");
        mmi_sql_put_integer(&add, id);
        mmi_sql_put_integer(&add, channel);
        mmi_sql_put_text(&add, self->record->channels[channel].id);
        mmi_sql_put_integer(&add, self->record->channels[channel].pulse_constant);
        mmi_sql_put_integer(&add, (int64_t)self->record->channels[channel].start_wh);
        mmi_sql_put_integer(&add, self->record->channels[channel].prepaid);
        good = mmi_sql_run(&add);
    }
    return good;
}

static bool add_row(const taking_t *self, bool superseded, int64_t *id) {
    const mm_installation_record_t *record = self->record;
    mmi_sql_t add =
        mmi_sql_begin(self->db, "INSERT INTO installation (node, epoch, seq, revision, repeated, node_no, province,"
                                " canton, parish, postal_code, installer, trust, seconds, payload, received_us, state)"
                                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    mmi_sql_put_integer(&add, self->node_id);
    mmi_sql_put_integer(&add, self->position.epoch);
    mmi_sql_put_integer(&add, self->position.seq);
    mmi_sql_put_integer(&add, record->revision);
    mmi_sql_put_integer(&add, record->repeated);
    mmi_sql_put_integer(&add, record->node_no);
    mmi_sql_put_integer(&add, record->province);
    mmi_sql_put_integer(&add, record->canton);
    mmi_sql_put_integer(&add, record->parish);
    mmi_sql_put_integer(&add, record->postal_code);
    mmi_sql_put_text(&add, record->installer);
    mmi_sql_put_integer(&add, record->at.trust);
    mmi_sql_put_integer(&add, (int64_t)record->at.seconds);
    mmi_sql_put_blob(&add, self->payload, self->payload_bytes);
    mmi_sql_put_integer(&add, self->received_us);
    mmi_sql_put_text(&add, superseded ? "superseded" : "waiting");
    if (!mmi_sql_run(&add)) {
        return false;
    }
    *id = sqlite3_last_insert_rowid(self->db);
    return add_channels(self, *id);
}

// --- the rule

static bool rule_holds(const taking_t *self, int64_t id, bool *holds) {
    int64_t found = 0;
    mmi_sql_t query = mmi_sql_begin(
        self->db, "SELECT ifnull((SELECT auto_confirm FROM site_setting WHERE site = node.site ORDER BY id DESC"
                  " LIMIT 1), 0) AND EXISTS (SELECT 1 FROM device_key WHERE device_key.mac = node.mac) FROM node"
                  " WHERE id = ?");
    mmi_sql_put_integer(&query, self->node_id);
    if (!mmi_sql_value(&query, 0, &found)) {
        return false;
    }
    *holds = found != 0;
    for (int channel = 0; channel < MM_CHANNELS && *holds; channel++) {
        mm_mac_t other;
        if (!mmi_hq_installation_conflict(self->db, id, channel, &other)) {
            return false;
        }
        *holds = mm_mac_is_zero(other);
    }
    return true;
}

static bool apply_rule(const taking_t *self, int64_t id) {
    bool holds = false;
    char request[48];
    if (!rule_holds(self, id, &holds)) {
        return false;
    }
    snprintf(request, sizeof request, "rule:installation:%lld", (long long)id);
    return !holds || mmi_hq_installation_order(self->db, id, request, MM_INSTALLATION_RULE, self->received_us);
}

// --- the store's side

static bool take(const taking_t *self) {
    bool known = false;
    bool superseded = false;
    int64_t id = 0;
    if (!is_known(self, &known)) {
        return false;
    }
    if (known) {
        return true;
    }
    return is_superseded(self, &superseded) && (superseded || supersede_others(self)) &&
           add_row(self, superseded, &id) && (superseded || apply_rule(self, id));
}

bool mmi_hq_installation_take(mm_store_t *store, int64_t node_id, mm_position_t position,
                              const mm_installation_record_t *record, const void *payload, size_t payload_bytes,
                              int64_t received_us) {
    const taking_t self = {.db = store->db,
                           .node_id = node_id,
                           .position = position,
                           .record = record,
                           .payload = payload,
                           .payload_bytes = payload_bytes,
                           .received_us = received_us};
    return !mmi_hq_failed(store) && mmi_hq_note_failure(store, take(&self));
}

bool mmi_hq_installation_take_result(mm_store_t *store, int64_t node_id, const mm_result_record_t *result,
                                     int64_t received_us) {
    if (mmi_hq_failed(store)) {
        return false;
    }
    if (result->kind != MM_COMMAND_CONFIRM || result->command_id == 0 ||
        (result->status != MM_RESULT_DONE && result->status != MM_RESULT_ALREADY)) {
        return true;
    }
    // A newer installation may have come meanwhile: the answer is then about one that is over.
    mmi_sql_t write = mmi_sql_begin(store->db, "UPDATE installation SET state = 'confirmed', confirmed_us = ? WHERE"
                                               " command = ? AND node = ? AND state = 'waiting'");
    mmi_sql_put_integer(&write, received_us);
    mmi_sql_put_integer(&write, (int64_t)result->command_id);
    mmi_sql_put_integer(&write, node_id);
    return mmi_hq_note_failure(store, mmi_sql_run(&write));
}
