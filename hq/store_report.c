// SPDX-License-Identifier: Apache-2.0
#include "commands.h"
#include "installations.h"
#include "joins.h"
#include "store_internal.h"
#include "swaps.h"
#include "vending.h"

#include "meshmeter/frame.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// One frame on its way into the database.
typedef struct {
    mm_store_t *store;
    mmi_hq_node_t *node;
    const char *topic;
    int64_t received_us;
    bool is_newest;           ///< the report's snapshot was taken as the node's newest
    uint8_t changed_channels; ///< bit per channel: this snapshot has another meter than the one before
    char before[MM_CHANNELS][MM_METER_ID_CHARS_MAX + 1]; ///< that was there
    mm_position_t before_next;                           ///< of the journal when it was still there
    // New records of one epoch without a hole between them, not yet in the track's spans.
    mmi_hq_track_t *run_track;
    uint32_t run_first;
    uint32_t run_last;
} putting_t;

static void quarantine(putting_t *self, const void *bytes, size_t bytes_count, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void quarantine(putting_t *self, const void *bytes, size_t bytes_count, const char *format, ...) {
    char reason[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (!mmi_hq_failed(self->store)) {
        mm_store_quarantine(self->store, self->topic, reason, bytes, bytes_count, self->received_us);
    }
}

static void incident(putting_t *self, const char *name, const uint64_t values[MM_EVENT_VALUES]) {
    sqlite3_stmt *add = mmi_hq_statement(self->store, MMI_HQ_INCIDENT_ADD);
    if (add == NULL) {
        return;
    }
    sqlite3_bind_int64(add, 1, self->node->id);
    sqlite3_bind_int64(add, 2, self->received_us / 1000000);
    sqlite3_bind_text(add, 3, name, -1, SQLITE_STATIC);
    for (int index = 0; index < MM_EVENT_VALUES; index++) {
        sqlite3_bind_int64(add, 4 + index, (int64_t)values[index]);
    }
    mmi_hq_run(self->store, add);
}

// --- journal

static void finish_run(putting_t *self) {
    if (self->run_track == NULL) {
        return;
    }
    mmi_hq_node_t *node = self->node;
    mmi_hq_track_t *track = self->run_track;
    self->run_track = NULL;
    mmi_hq_track_store(self->store, track, self->run_first, self->run_last);
    if (track->epoch == node->epoch) {
        if (self->run_last >= node->next_seq) {
            node->next_seq = self->run_last < UINT32_MAX ? self->run_last + 1 : UINT32_MAX;
        }
    } else {
        // An epoch that is over: whatever is missing before what has just come will not come by itself.
        mmi_hq_track_miss(self->store, track, 1, self->run_last, MMI_HQ_GAP_JOURNAL_RESTARTED, false);
    }
}

static void extend_run(putting_t *self, mmi_hq_track_t *track, uint32_t seq) {
    if (self->run_track == track && self->run_last + 1 == seq) {
        self->run_last = seq;
        return;
    }
    finish_run(self);
    self->run_track = track;
    self->run_first = seq;
    self->run_last = seq;
}

// The node began a journal anew. What it had not sent of the old one is lost with it, unless it is still under way.
static void begin_epoch(putting_t *self, uint32_t epoch) {
    mmi_hq_node_t *node = self->node;
    finish_run(self);
    if (node->epoch != 0 && node->next_seq > 1) {
        mmi_hq_track_t *old = mmi_hq_track(self->store, node, node->epoch);
        if (old != NULL) {
            mmi_hq_track_miss(self->store, old, 1, node->next_seq - 1, MMI_HQ_GAP_JOURNAL_RESTARTED, false);
        }
    }
    node->epoch = epoch;
    node->watermark_seq = 0;
    node->next_seq = 1;
    node->oldest_seq = 1;
}

static int64_t day_of(mm_label_t label) {
    return label.trust == MM_TRUST_UNSET ? 0 : (int64_t)(label.seconds / MMI_HQ_SECONDS_PER_DAY);
}

// The day comes from the payload alone, so that the same record has the same key whenever and however often it arrives.
// Records without wall time stand under day 0.
static int64_t record_day(const mm_record_t *record) {
    switch (record->type) {
    case MM_RECORD_INTERVAL:
        return day_of(record->interval.end);
    case MM_RECORD_MONTH_CLOSING:
        return day_of(record->month_closing.closed);
    case MM_RECORD_EVENT:
        return day_of(record->event.at);
    default:
        return 0;
    }
}

static void apply_interval(putting_t *self, const mm_record_view_t *view, const mm_interval_record_t *interval) {
    mmi_hq_node_t *node = self->node;
    bool newer = view->position.epoch != node->interval_epoch ? view->position.epoch > node->interval_epoch
                                                              : interval->interval_no > node->interval_no;
    if (newer) {
        node->interval_epoch = view->position.epoch;
        node->interval_seq = view->position.seq;
        node->interval_no = interval->interval_no;
        node->interval_payload_bytes = (uint8_t)view->payload_bytes;
        memcpy(node->interval_payload, view->payload, view->payload_bytes);
    }
}

// A coarser record stands for finer ones, here or not. Readers leave those out; nothing is deleted.
static void add_thinned(putting_t *self, mm_position_t position, const mm_interval_record_t *interval) {
    sqlite3_stmt *add = mmi_hq_statement(self->store, MMI_HQ_THINNED_ADD);
    if (add == NULL) {
        return;
    }
    sqlite3_bind_int64(add, 1, self->node->id);
    sqlite3_bind_int64(add, 2, position.epoch);
    sqlite3_bind_int64(add, 3, position.seq);
    sqlite3_bind_int64(add, 4, interval->thinned_first_seq);
    sqlite3_bind_int64(add, 5, interval->thinned_last_seq);
    mmi_hq_run(self->store, add);
}

static void apply_month_closing(putting_t *self, const mm_record_view_t *view,
                                const mm_month_closing_record_t *closing) {
    sqlite3_stmt *put = mmi_hq_statement(self->store, MMI_HQ_MONTH_PUT);
    if (put == NULL) {
        return;
    }
    sqlite3_bind_int64(put, 1, self->node->id);
    sqlite3_bind_int64(put, 2, closing->channel);
    sqlite3_bind_int64(put, 3, closing->year_month);
    sqlite3_bind_blob(put, 4, view->payload, (int)view->payload_bytes, SQLITE_STATIC);
    mmi_hq_run(self->store, put);
}

// Wall time of an instant of uptime, if the node has said in that boot what time it was.
static bool place(putting_t *self, uint32_t boot_no, uint64_t uptime_s, int64_t *utc_s) {
    sqlite3_stmt *find = mmi_hq_statement(self->store, MMI_HQ_EVENT_SYNC);
    if (find == NULL) {
        return false;
    }
    sqlite3_bind_int64(find, 1, self->node->id);
    sqlite3_bind_int64(find, 2, boot_no);
    sqlite3_bind_int64(find, 3, MM_EVENT_TIME_SYNCED);
    bool found = mmi_hq_row(self->store, find);
    if (found) {
        *utc_s = sqlite3_column_int64(find, 0) + (int64_t)uptime_s;
    }
    sqlite3_reset(find);
    return found;
}

static void apply_event(putting_t *self, const mm_record_view_t *view, const mm_event_record_t *event) {
    bool placed = event->at.trust != MM_TRUST_UNSET;
    int64_t utc_s = placed ? (int64_t)event->at.seconds : self->received_us / 1000000;
    if (!placed) {
        placed = place(self, event->boot_no, event->at.seconds, &utc_s);
    }
    sqlite3_stmt *add = mmi_hq_statement(self->store, MMI_HQ_EVENT_ADD);
    if (add == NULL) {
        return;
    }
    sqlite3_bind_int64(add, 1, self->node->id);
    sqlite3_bind_int64(add, 2, view->position.epoch);
    sqlite3_bind_int64(add, 3, view->position.seq);
    sqlite3_bind_int64(add, 4, event->code);
    sqlite3_bind_int64(add, 5, event->at.trust);
    sqlite3_bind_int64(add, 6, (int64_t)event->at.seconds);
    sqlite3_bind_int64(add, 7, event->boot_no);
    sqlite3_bind_int64(add, 8, utc_s);
    sqlite3_bind_int64(add, 9, placed);
    for (int index = 0; index < MM_EVENT_VALUES; index++) {
        sqlite3_bind_int64(add, 10 + index, (int64_t)event->values[index]);
    }
    mmi_hq_run(self->store, add);
    sqlite3_stmt *settle =
        event->code == MM_EVENT_TIME_SYNCED ? mmi_hq_statement(self->store, MMI_HQ_EVENT_PLACE) : NULL;
    if (settle != NULL) {
        sqlite3_bind_int64(settle, 1, self->node->id);
        sqlite3_bind_int64(settle, 2, event->boot_no);
        sqlite3_bind_int64(settle, 3, (int64_t)(event->values[2] - event->values[1]));
        mmi_hq_run(self->store, settle);
    }
}

// values: previous epoch (0 unknown), its last known seq.
static bool apply_restart(putting_t *self, const mm_record_view_t *view, const mm_event_record_t *event) {
    uint64_t epoch = event->values[0];
    uint64_t last_seq = event->values[1];
    if (epoch == 0 || last_seq == 0) {
        return true;
    }
    if (epoch >= view->position.epoch || last_seq > UINT32_MAX) {
        return false;
    }
    mmi_hq_track_t *track = mmi_hq_track(self->store, self->node, (uint32_t)epoch);
    if (track != NULL) {
        mmi_hq_track_miss(self->store, track, 1, (uint32_t)last_seq, MMI_HQ_GAP_JOURNAL_RESTARTED, true);
    }
    return true;
}

static bool apply_gap(putting_t *self, const mm_record_view_t *view, const mm_gap_record_t *gap) {
    // Nobody can know of the loss of a record that was not yet made.
    if (gap->epoch > view->position.epoch ||
        (gap->epoch == view->position.epoch && gap->last_seq >= view->position.seq)) {
        return false;
    }
    finish_run(self);
    mmi_hq_track_t *track = mmi_hq_track(self->store, self->node, gap->epoch);
    if (track != NULL) {
        mmi_hq_track_miss(self->store, track, gap->first_seq, gap->last_seq, gap->reason, true);
    }
    return true;
}

static void apply_record(putting_t *self, const mm_record_view_t *view, const mm_record_t *record) {
    bool possible = true;
    switch (record->type) {
    case MM_RECORD_INTERVAL:
        apply_interval(self, view, &record->interval);
        if (record->interval.thinned) {
            possible = record->interval.thinned_last_seq < view->position.seq;
            if (possible) {
                add_thinned(self, view->position, &record->interval);
            }
        }
        break;
    case MM_RECORD_MONTH_CLOSING:
        apply_month_closing(self, view, &record->month_closing);
        break;
    case MM_RECORD_EVENT:
        apply_event(self, view, &record->event);
        if (record->event.code == MM_EVENT_JOURNAL_RESTARTED) {
            possible = apply_restart(self, view, &record->event);
        }
        break;
    case MM_RECORD_GAP:
        possible = apply_gap(self, view, &record->gap);
        break;
    case MM_RECORD_RESULT:
        mmi_hq_commands_take_record(self->store, self->node->id, view->position, record, self->received_us);
        mmi_hq_vending_take_result(self->store, self->node->id, view->position, &record->result, self->received_us);
        mmi_hq_installation_take_result(self->store, self->node->id, &record->result, self->received_us);
        mmi_hq_joins_take_result(self->store, self->node->id, &record->result, self->received_us);
        break;
    case MM_RECORD_JOIN:
        mmi_hq_joins_take(self->store, self->node->id, view->position, &record->join, self->received_us);
        break;
    case MM_RECORD_INSTALLATION:
        mmi_hq_installation_take(self->store, self->node->id, view->position, &record->installation, view->payload,
                                 view->payload_bytes, self->received_us);
        break;
    case MM_RECORD_CREDIT:
        mmi_hq_commands_take_record(self->store, self->node->id, view->position, record, self->received_us);
        mmi_hq_vending_take_credit(self->store, self->node->id, view->position, &record->credit, self->received_us);
        break;
    default:
        break;
    }
    if (!possible) {
        quarantine(self, view->payload, view->payload_bytes,
                   "record %u/%u speaks of records that did not exist when it was made; kept, not applied",
                   view->position.epoch, view->position.seq);
    }
}

// Is the stored record at this position the same? If not, the first one stays.
static void check_duplicate(putting_t *self, const mm_record_view_t *view, int64_t day) {
    sqlite3_stmt *find = mmi_hq_statement(self->store, MMI_HQ_RECORD_FIND);
    if (find == NULL) {
        return;
    }
    sqlite3_bind_int64(find, 1, day);
    sqlite3_bind_int64(find, 2, self->node->id);
    sqlite3_bind_int64(find, 3, view->position.epoch);
    sqlite3_bind_int64(find, 4, view->position.seq);
    bool same =
        mmi_hq_row(self->store, find) && sqlite3_column_int(find, 0) == view->type &&
        sqlite3_column_bytes(find, 1) == (int)view->payload_bytes &&
        (view->payload_bytes == 0 || memcmp(sqlite3_column_blob(find, 1), view->payload, view->payload_bytes) == 0);
    sqlite3_reset(find);
    if (mmi_hq_failed(self->store)) {
        return;
    }
    if (same) {
        self->store->transaction.duplicates++;
        return;
    }
    self->store->transaction.conflicts++;
    quarantine(self, view->payload, view->payload_bytes,
               "record %u/%u (%s) differs from the one stored under this position; the first one is kept",
               view->position.epoch, view->position.seq, mm_record_type_name(view->type));
}

// True: added. False: a row with this key exists, or failure.
static bool add_row(putting_t *self, const mm_record_view_t *view, int64_t day) {
    sqlite3_stmt *add = mmi_hq_statement(self->store, MMI_HQ_RECORD_ADD);
    if (add == NULL) {
        return false;
    }
    sqlite3_bind_int64(add, 1, day);
    sqlite3_bind_int64(add, 2, self->node->id);
    sqlite3_bind_int64(add, 3, view->position.epoch);
    sqlite3_bind_int64(add, 4, view->position.seq);
    sqlite3_bind_int64(add, 5, view->type);
    sqlite3_bind_blob(add, 6, view->payload_bytes > 0 ? (const void *)view->payload : "", (int)view->payload_bytes,
                      SQLITE_STATIC);
    return mmi_hq_run(self->store, add) && sqlite3_changes(self->store->db) == 1;
}

static void put_record(putting_t *self, const mm_record_view_t *view) {
    mm_record_t record;
    mm_err_t err = mm_record_decode(view->type, view->payload, view->payload_bytes, &record);
    int64_t day = err == MM_OK ? record_day(&record) : 0;
    if (view->position.epoch > self->node->epoch) {
        begin_epoch(self, view->position.epoch);
    }
    mmi_hq_track_t *track = mmi_hq_track(self->store, self->node, view->position.epoch);
    if (track == NULL) {
        return;
    }
    bool in_run =
        self->run_track == track && view->position.seq >= self->run_first && view->position.seq <= self->run_last;
    if (in_run || mmi_hq_ranges_find(&track->spans, view->position.seq) >= 0) {
        check_duplicate(self, view, day);
        return;
    }
    if (!add_row(self, view, day)) {
        // A row without its span cannot be; if it is, the row is right.
        check_duplicate(self, view, day);
        extend_run(self, track, view->position.seq);
        return;
    }
    self->store->transaction.records++;
    extend_run(self, track, view->position.seq);
    if (err == MM_OK) {
        apply_record(self, view, &record);
    } else if (err != MM_ERR_NOT_FOUND) {
        // Its position is taken, so it is stored as it is: asking for it again would bring the same.
        quarantine(self, view->payload, view->payload_bytes, "record %u/%u: a %s that cannot be decoded; kept as it is",
                   view->position.epoch, view->position.seq, mm_record_type_name(view->type));
    }
}

// --- snapshot

static void load_snapshot(putting_t *self) {
    mmi_hq_node_t *node = self->node;
    if (node->snapshot_loaded) {
        return;
    }
    sqlite3_stmt *read = mmi_hq_statement(self->store, MMI_HQ_SNAPSHOT_READ);
    mm_snapshot_t *snapshot = calloc(1, sizeof *snapshot);
    if (read == NULL || snapshot == NULL) {
        free(snapshot);
        mmi_hq_fail(self->store, SQLITE_NOMEM, "out of memory");
        return;
    }
    sqlite3_bind_int64(read, 1, node->id);
    if (mmi_hq_row(self->store, read)) {
        mm_frame_t frame;
        mm_report_reader_t reader;
        node->has_snapshot =
            mm_frame_open(sqlite3_column_blob(read, 0), (size_t)sqlite3_column_bytes(read, 0), &frame) == MM_OK &&
            frame.type == MM_FRAME_REPORT && mm_report_open(&frame, &reader) == MM_OK &&
            mm_report_next(&reader, snapshot, &(mm_record_view_t){0}) == MM_REPORT_SNAPSHOT;
    }
    sqlite3_reset(read);
    node->snapshot = snapshot;
    node->snapshot_loaded = true;
}

static void write_meter(putting_t *self, int channel, const char *id) {
    sqlite3_stmt *put = mmi_hq_statement(self->store, MMI_HQ_METER_PUT);
    if (put == NULL) {
        return;
    }
    sqlite3_bind_int64(put, 1, self->node->id);
    sqlite3_bind_int64(put, 2, channel);
    sqlite3_bind_text(put, 3, id, -1, SQLITE_STATIC);
    mmi_hq_run(self->store, put);
}

static void write_snapshot(putting_t *self, const mm_snapshot_t *snapshot) {
    mmi_hq_node_t *node = self->node;
    uint8_t frame[MM_MESH_FRAME_BYTES_MAX];
    mm_report_writer_t writer;
    mm_report_begin(&writer, frame, sizeof frame, node->mac, 0);
    size_t frame_bytes = mm_report_put_snapshot(&writer, snapshot) == MM_OK ? mm_report_finish(&writer) : 0;
    sqlite3_stmt *put = mmi_hq_statement(self->store, MMI_HQ_SNAPSHOT_PUT);
    if (put == NULL || frame_bytes == 0) {
        return;
    }
    sqlite3_bind_int64(put, 1, node->id);
    sqlite3_bind_int64(put, 2, self->received_us);
    sqlite3_bind_blob(put, 3, frame, (int)frame_bytes, SQLITE_STATIC);
    mmi_hq_run(self->store, put);
    self->before_next = (mm_position_t){node->snapshot->oldest.epoch, node->snapshot->next_seq};
    for (int channel = 0; channel < MM_CHANNELS; channel++) {
        if (!node->has_snapshot || strcmp(node->snapshot->meters[channel].id, snapshot->meters[channel].id) != 0) {
            write_meter(self, channel, snapshot->meters[channel].id);
            if (node->has_snapshot) {
                self->changed_channels |= (uint8_t)(1u << channel);
                memcpy(self->before[channel], node->snapshot->meters[channel].id, sizeof self->before[channel]);
            }
        }
    }
    *node->snapshot = *snapshot;
    node->has_snapshot = true;
    self->store->transaction.snapshots++;
}

typedef enum {
    SNAPSHOT_OLD,
    SNAPSHOT_SAME,
    SNAPSHOT_NEWER,
    SNAPSHOT_REBORN
} snapshot_age_t;

static snapshot_age_t compare(const mm_snapshot_t *known, const mm_snapshot_t *fresh) {
    if (fresh->boot_no != known->boot_no) {
        if (fresh->boot_no > known->boot_no) {
            return SNAPSHOT_NEWER;
        }
        // A node that lost all its memory counts its boots from 1 again; the synchronised clocks tell it from a late
        // message.
        bool later = fresh->time.trust == MM_TRUST_SYNCED && known->time.trust == MM_TRUST_SYNCED &&
                     fresh->time.utc.us > known->time.utc.us;
        return later ? SNAPSHOT_REBORN : SNAPSHOT_OLD;
    }
    if (fresh->uptime_ms == known->uptime_ms) {
        return SNAPSHOT_SAME;
    }
    return fresh->uptime_ms > known->uptime_ms ? SNAPSHOT_NEWER : SNAPSHOT_OLD;
}

// A register of the same meter must not run backwards, unless a command has set it. After a restart it may (what the
// power cut took, within the node's bound): taken, but never silently. Within one boot it cannot: not taken.
static bool check_registers(putting_t *self, const mm_snapshot_t *fresh, const uint8_t *frame, size_t frame_bytes) {
    const mm_snapshot_t *known = self->node->snapshot;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_meter_snapshot_t *before = &known->meters[channel];
        const mm_meter_snapshot_t *after = &fresh->meters[channel];
        if (after->id[0] == '\0' || strcmp(before->id, after->id) != 0 || before->start_wh != after->start_wh ||
            before->pulse_constant != after->pulse_constant || after->life_pulses >= before->life_pulses) {
            continue;
        }
        bool was_set = false;
        const mm_position_t journal_next = {known->oldest.epoch, known->next_seq};
        if (!mmi_hq_vending_register_was_set(self->store, self->node->id, channel, journal_next, after->life_pulses,
                                             &was_set)) {
            return false;
        }
        if (was_set) {
            continue;
        }
        if (fresh->boot_no == known->boot_no) {
            quarantine(self, frame, frame_bytes,
                       "snapshot: meter %s goes back from %llu to %llu pulses within boot %u; not taken", after->id,
                       (unsigned long long)before->life_pulses, (unsigned long long)after->life_pulses, fresh->boot_no);
            return false;
        }
        const uint64_t values[MM_EVENT_VALUES] = {channel, before->life_pulses, after->life_pulses, fresh->boot_no};
        incident(self, "register_went_back", values);
    }
    return true;
}

// What the journal still has. Everything before it that is not here will not come.
static void note_journal(putting_t *self, const mm_snapshot_t *snapshot) {
    mmi_hq_node_t *node = self->node;
    mm_position_t oldest = snapshot->oldest;
    if (oldest.epoch == 0 || oldest.seq == 0) {
        return; // the node has no journal
    }
    if (oldest.epoch > node->epoch) {
        begin_epoch(self, oldest.epoch);
    }
    if (oldest.seq > 1) {
        mmi_hq_track_t *track = mmi_hq_track(self->store, node, oldest.epoch);
        if (track != NULL) {
            mmi_hq_track_miss(self->store, track, 1, oldest.seq - 1, MMI_HQ_GAP_UNEXPLAINED, false);
        }
    }
    if (oldest.epoch == node->epoch) {
        node->oldest_seq = oldest.seq > node->oldest_seq ? oldest.seq : node->oldest_seq;
        node->next_seq = snapshot->next_seq > node->next_seq ? snapshot->next_seq : node->next_seq;
    }
}

static void put_snapshot(putting_t *self, const mm_snapshot_t *snapshot, const uint8_t *frame, size_t frame_bytes) {
    if (snapshot->oldest.epoch != 0 && snapshot->oldest.seq > snapshot->next_seq) {
        quarantine(self, frame, frame_bytes, "snapshot: oldest record %u behind the next one %u", snapshot->oldest.seq,
                   snapshot->next_seq);
        return;
    }
    note_journal(self, snapshot);
    load_snapshot(self);
    if (mmi_hq_failed(self->store)) {
        return;
    }
    if (self->node->has_snapshot) {
        snapshot_age_t age = compare(self->node->snapshot, snapshot);
        if (age == SNAPSHOT_OLD || age == SNAPSHOT_SAME || !check_registers(self, snapshot, frame, frame_bytes)) {
            return;
        }
        if (age == SNAPSHOT_REBORN) {
            const uint64_t values[MM_EVENT_VALUES] = {self->node->snapshot->boot_no, snapshot->boot_no};
            incident(self, "boot_number_went_back", values);
        }
    }
    write_snapshot(self, snapshot);
    self->is_newest = true;
}

// What a node says of its commands and its credit counts as long as nothing newer is known.
static void put_control(putting_t *self, mm_reader_t *content) {
    mmi_hq_node_t *node = self->node;
    mm_control_report_t control;
    if (!self->is_newest || mm_control_report_read(content, &control) != MM_OK) {
        return;
    }
    const mm_position_t journal_next = {node->epoch, node->next_seq};
    node->control_known = mmi_hq_commands_take_control(
        self->store, node->id, &control, node->control_known ? &node->control : NULL, journal_next, self->received_us);
    node->control = control;
    if (node->control_known) {
        mmi_hq_vending_take_era(self->store, node->id, control.era, self->received_us);
    }
}

// Behind the control section: what it says of a channel's credit counts.
static void take_swaps(putting_t *self) {
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if ((self->changed_channels >> channel & 1) != 0) {
            mmi_hq_swaps_take(self->store, self->node->id, channel, self->before[channel],
                              self->node->snapshot->meters[channel].id, self->before_next, self->received_us);
        }
    }
}

// --- frame and batch

static void put_report(putting_t *self, const mm_frame_t *frame, const uint8_t *bytes, size_t bytes_count) {
    mm_report_reader_t reader;
    mm_snapshot_t snapshot;
    mm_record_view_t view;
    if (mm_report_open(frame, &reader) != MM_OK) {
        quarantine(self, bytes, bytes_count, "report without a round id");
        return;
    }
    while (!mmi_hq_failed(self->store)) {
        mm_report_item_t item = mm_report_next(&reader, &snapshot, &view);
        if (item == MM_REPORT_SNAPSHOT) {
            put_snapshot(self, &snapshot, bytes, bytes_count);
        } else if (item == MM_REPORT_RECORD) {
            put_record(self, &view);
        } else if (item == MM_REPORT_CONTROL) {
            put_control(self, &reader.control);
        } else {
            if (item == MM_REPORT_CORRUPT) {
                quarantine(self, bytes, bytes_count,
                           "report that cannot be decoded to its end; what came before is kept");
            }
            break;
        }
    }
    finish_run(self);
    take_swaps(self);
    mmi_hq_node_t *node = self->node;
    mmi_hq_track_t *track = node->epoch != 0 ? mmi_hq_track(self->store, node, node->epoch) : NULL;
    if (track != NULL) {
        node->watermark_seq = mmi_hq_track_watermark(track, node->watermark_seq);
    }
}

void mmi_hq_put_frame(mm_store_t *self, int64_t site_id, const char *topic, const uint8_t *bytes, size_t bytes_count,
                      int64_t received_us) {
    putting_t putting = {.store = self, .topic = topic, .received_us = received_us};
    mm_frame_t frame;
    mm_err_t err = mm_frame_open(bytes, bytes_count, &frame);
    if (err != MM_OK) {
        quarantine(&putting, bytes, bytes_count, "frame in a batch: %s",
                   err == MM_ERR_VERSION ? "of a later version of the protocol" : "damaged");
        return;
    }
    if (frame.type != MM_FRAME_REPORT || mm_mac_is_zero(frame.source)) {
        quarantine(&putting, bytes, bytes_count, "frame in a batch: type %u is no report of a node", frame.type);
        return;
    }
    putting.node = mmi_hq_node(self, site_id, frame.source, true);
    if (putting.node == NULL) {
        return;
    }
    mmi_hq_node_mark(self, putting.node);
    if (received_us > putting.node->last_seen_us) {
        putting.node->last_seen_us = received_us;
    }
    put_report(&putting, &frame, bytes, bytes_count);
}

// Count once per round, however often its batch arrives.
static void note_missing(mm_store_t *self, int64_t site_id, const mm_batch_header_t *header) {
    for (size_t index = 0; index < header->missing_count; index++) {
        mmi_hq_node_t *node = mmi_hq_node(self, site_id, header->missing[index], false);
        if (node == NULL ||
            (mm_mac_equal(node->missed_root, header->root) && node->missed_boot_no == header->root_boot_no &&
             node->missed_round_id == header->round_id)) {
            continue;
        }
        node->missed_root = header->root;
        node->missed_boot_no = header->root_boot_no;
        node->missed_round_id = header->round_id;
        node->missed_rounds += node->missed_rounds < UINT32_MAX ? 1 : 0;
        mmi_hq_node_mark(self, node);
    }
}

static void note_root(mm_store_t *self, int64_t site_id, const mm_batch_header_t *header, int64_t received_us) {
    sqlite3_stmt *write = mmi_hq_statement(self, MMI_HQ_SITE_ROOT);
    if (write == NULL) {
        return;
    }
    bool trusted = header->time.trust != MM_TRUST_UNSET;
    sqlite3_bind_int64(write, 1, site_id);
    sqlite3_bind_blob(write, 2, header->root.bytes, sizeof header->root.bytes, SQLITE_STATIC);
    sqlite3_bind_int64(write, 3, trusted ? header->time.utc.us : received_us);
    mmi_hq_run(self, write);
}

mm_store_result_t mm_store_put_batch(mm_store_t *self, const char *site, const char *topic, mm_batch_reader_t *batch,
                                     int64_t received_us) {
    MM_ASSERT(self->in_transaction);
    int64_t site_id = mmi_hq_site(self, site);
    const uint8_t *frame;
    size_t frame_bytes;
    while (!mmi_hq_failed(self) && mm_batch_next(batch, &frame, &frame_bytes)) {
        mmi_hq_put_frame(self, site_id, topic, frame, frame_bytes, received_us);
    }
    note_missing(self, site_id, &batch->header);
    note_root(self, site_id, &batch->header, received_us);
    if (!mmi_hq_failed(self)) {
        mmi_hq_touch_site(self, site);
    }
    return mmi_hq_result(self);
}
