// SPDX-License-Identifier: Apache-2.0
#include "store_query.h"

#include "store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_TIMEOUT_MS 5000
#define MICROSECONDS 1000000

struct mm_query {
    sqlite3 *db;
    char error[256];
};

// --- small things

void mm_mac_print(mm_mac_t mac, char text[MM_MAC_TEXT_BYTES]) {
    snprintf(text, MM_MAC_TEXT_BYTES, "%02x:%02x:%02x:%02x:%02x:%02x", mac.bytes[0], mac.bytes[1], mac.bytes[2],
             mac.bytes[3], mac.bytes[4], mac.bytes[5]);
}

bool mm_mac_parse(const char *text, mm_mac_t *mac) {
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    for (size_t index = 0; index < sizeof mac->bytes; index++) {
        unsigned value = 0;
        if (index > 0 && (*text == ':' || *text == '-')) {
            text++;
        }
        for (int nibble = 0; nibble < 2; nibble++) {
            const char *found = *text != '\0' ? strchr(digits, *text) : NULL;
            if (found == NULL) {
                return false;
            }
            value = value * 16 + (unsigned)(found - digits) % 16;
            text++;
        }
        mac->bytes[index] = (uint8_t)value;
    }
    return *text == '\0';
}

uint64_t mm_query_pulses_wh(uint64_t pulses, uint32_t pulse_constant) {
    return mm_meter_energy_wh(0, pulses, pulse_constant);
}

const char *mm_query_gap_reason_name(int reason) {
    switch (reason) {
    case MMI_HQ_GAP_UNEXPLAINED:
        return "unexplained";
    case MMI_HQ_GAP_JOURNAL_RESTARTED:
        return "journal_restarted";
    default:
        return mm_gap_reason_name((uint8_t)reason);
    }
}

static mm_mac_t column_mac(sqlite3_stmt *row, int column) {
    mm_mac_t mac = {{0}};
    if (sqlite3_column_bytes(row, column) == (int)sizeof mac.bytes) {
        memcpy(mac.bytes, sqlite3_column_blob(row, column), sizeof mac.bytes);
    }
    return mac;
}

static uint32_t column_u32(sqlite3_stmt *row, int column) {
    return (uint32_t)sqlite3_column_int64(row, column);
}

static void column_copy(sqlite3_stmt *row, int column, char *text, size_t text_bytes) {
    const unsigned char *value = sqlite3_column_text(row, column);
    snprintf(text, text_bytes, "%s", value != NULL ? (const char *)value : "");
}

// --- connection

static sqlite3_stmt *prepare(mm_query_t *self, const char *sql) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(self->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        snprintf(self->error, sizeof self->error, "%s", sqlite3_errmsg(self->db));
        return NULL;
    }
    return statement;
}

static bool next_row(sqlite3_stmt *statement) {
    return statement != NULL && sqlite3_step(statement) == SQLITE_ROW;
}

// False if the statement ended in an error (or never was).
static bool finish(mm_query_t *self, sqlite3_stmt *statement) {
    bool good = statement != NULL && sqlite3_finalize(statement) == SQLITE_OK;
    if (statement != NULL && !good) {
        snprintf(self->error, sizeof self->error, "%s", sqlite3_errmsg(self->db));
    }
    return good;
}

bool mm_query_integer(mm_query_t *self, const char *sql, int64_t *value) {
    sqlite3_stmt *statement = prepare(self, sql);
    *value = next_row(statement) ? sqlite3_column_int64(statement, 0) : 0;
    return finish(self, statement);
}

static bool check_version(mm_query_t *self, const char *path, mm_hq_error_t *error) {
    int64_t application_id = 0;
    int64_t version = 0;
    if (!mm_query_integer(self, "PRAGMA application_id", &application_id) ||
        !mm_query_integer(self, "PRAGMA user_version", &version)) {
        mm_hq_error_set(error, "database %s: %s", path, self->error);
        return false;
    }
    if (application_id != MMI_HQ_APPLICATION_ID) {
        mm_hq_error_set(error, "database %s: not a database of meshmeter hq", path);
        return false;
    }
    if (version != mmi_hq_schema_version()) {
        mm_hq_error_set(error, "database %s: schema version %lld, this program reads %d; %s", path, (long long)version,
                        mmi_hq_schema_version(),
                        version < mmi_hq_schema_version() ? "start meshmeter hq once, it migrates"
                                                          : "use the newer meshmeter that wrote it");
        return false;
    }
    return true;
}

static bool open_database(mm_query_t *self, const char *vfs, const char *path) {
    // Write access is only for SQLite's shared memory; where there is none, a read-only connection may still do.
    bool open = sqlite3_open_v2(path, &self->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, vfs) == SQLITE_OK;
    if (!open) {
        sqlite3_close(self->db);
        open = sqlite3_open_v2(path, &self->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, vfs) == SQLITE_OK;
    }
    // Without memory there is no connection at all.
    // wait: another process lets go of the database | until BUSY_TIMEOUT_MS | then the request is answered with an
    // error
    return open && sqlite3_busy_timeout(self->db, BUSY_TIMEOUT_MS) == SQLITE_OK &&
           sqlite3_exec(self->db, "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;", NULL, NULL, NULL) == SQLITE_OK;
}

mm_query_t *mm_query_open(const char *path, mm_hq_error_t *error) {
    if (access(path, R_OK) != 0) {
        mm_hq_error_set(error, "database %s: does not exist or may not be read", path);
        return NULL;
    }
    return mm_query_open_on(NULL, path, error);
}

mm_query_t *mm_query_open_on(const char *vfs, const char *path, mm_hq_error_t *error) {
    mm_query_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        mm_hq_error_set(error, "database %s: out of memory", path);
        return NULL;
    }
    if (!open_database(self, vfs, path)) {
        mm_hq_error_set(error, "database %s: %s", path, sqlite3_errmsg(self->db));
    } else if (check_version(self, path, error)) {
        return self;
    }
    mm_query_close(self);
    return NULL;
}

void mm_query_close(mm_query_t *self) {
    if (self != NULL) {
        sqlite3_close(self->db);
        free(self);
    }
}

const char *mm_query_error(const mm_query_t *self) {
    return self->error;
}

bool mm_query_begin(mm_query_t *self) {
    return sqlite3_exec(self->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK;
}

void mm_query_end(mm_query_t *self) {
    sqlite3_exec(self->db, "COMMIT", NULL, NULL, NULL);
}

// --- sites and nodes

bool mm_query_sites(mm_query_t *self, mm_query_site_fn visit, void *context) {
    sqlite3_stmt *rows = prepare(
        self, "SELECT s.name, s.tz, s.root, (SELECT count(*) FROM node n WHERE n.site = s.id),"
              " (SELECT count(*) FROM node n JOIN meter m ON m.node = n.id WHERE n.site = s.id AND m.id <> '') +"
              " (SELECT count(*) FROM legacy_meter l WHERE l.site = s.id),"
              " max(coalesce((SELECT max(last_seen_us) FROM node n WHERE n.site = s.id), 0),"
              " coalesce((SELECT max(received_us) FROM legacy_meter l WHERE l.site = s.id), 0))"
              " FROM site s ORDER BY s.name");
    while (next_row(rows)) {
        mm_query_site_t site = {0};
        column_copy(rows, 0, site.site, sizeof site.site);
        column_copy(rows, 1, site.tz, sizeof site.tz);
        site.has_root = sqlite3_column_type(rows, 2) == SQLITE_BLOB;
        site.root = column_mac(rows, 2);
        site.nodes = sqlite3_column_int64(rows, 3);
        site.meters = sqlite3_column_int64(rows, 4);
        site.last_seen_us = sqlite3_column_int64(rows, 5);
        if (!visit(context, &site)) {
            break;
        }
    }
    return finish(self, rows);
}

static bool decode_snapshot(const void *bytes, int bytes_count, mm_snapshot_t *snapshot) {
    mm_frame_t frame;
    mm_report_reader_t reader;
    mm_record_view_t unused;
    return bytes != NULL && mm_frame_open(bytes, (size_t)bytes_count, &frame) == MM_OK &&
           frame.type == MM_FRAME_REPORT && mm_report_open(&frame, &reader) == MM_OK &&
           mm_report_next(&reader, snapshot, &unused) == MM_REPORT_SNAPSHOT;
}

static bool decode_interval(const void *payload, int payload_bytes, mm_interval_record_t *interval) {
    mm_record_t record;
    if (mm_record_decode(MM_RECORD_INTERVAL, payload, (size_t)payload_bytes, &record) != MM_OK) {
        return false;
    }
    *interval = record.interval;
    return true;
}

static void take_node(sqlite3_stmt *row, mm_query_node_t *node) {
    memset(node, 0, sizeof *node);
    node->id = sqlite3_column_int64(row, 0);
    column_copy(row, 1, node->site, sizeof node->site);
    column_copy(row, 2, node->tz, sizeof node->tz);
    node->mac = column_mac(row, 3);
    node->is_root = sqlite3_column_int(row, 4) != 0;
    node->last_seen_us = sqlite3_column_int64(row, 5);
    node->epoch = column_u32(row, 6);
    node->watermark_seq = column_u32(row, 7);
    node->next_seq = column_u32(row, 8);
    node->oldest_seq = column_u32(row, 9);
    node->missed_rounds = column_u32(row, 10);
    node->gaps = sqlite3_column_int64(row, 11);
    node->snapshot_received_us = sqlite3_column_int64(row, 12);
    node->has_snapshot = decode_snapshot(sqlite3_column_blob(row, 13), sqlite3_column_bytes(row, 13), &node->snapshot);
    node->interval_position.epoch = column_u32(row, 14);
    node->interval_position.seq = column_u32(row, 15);
    node->has_interval = sqlite3_column_type(row, 16) == SQLITE_BLOB &&
                         decode_interval(sqlite3_column_blob(row, 16), sqlite3_column_bytes(row, 16), &node->interval);
}

bool mm_query_nodes(mm_query_t *self, const char *site, const mm_mac_t *mac, mm_query_node_fn visit, void *context) {
    sqlite3_stmt *rows =
        prepare(self, "SELECT n.id, s.name, s.tz, n.mac, n.mac IS s.root, n.last_seen_us, n.epoch, n.watermark_seq,"
                      " n.next_seq, n.oldest_seq, n.missed_rounds, (SELECT count(*) FROM gap g WHERE g.node = n.id),"
                      " p.received_us, p.frame, n.interval_epoch, n.interval_seq, n.interval_payload"
                      " FROM node n JOIN site s ON s.id = n.site LEFT JOIN snapshot p ON p.node = n.id"
                      " WHERE (?1 IS NULL OR s.name = ?1) AND (?2 IS NULL OR n.mac = ?2) ORDER BY s.name, n.mac");
    if (rows != NULL && site != NULL) {
        sqlite3_bind_text(rows, 1, site, -1, SQLITE_STATIC);
    }
    if (rows != NULL && mac != NULL) {
        sqlite3_bind_blob(rows, 2, mac->bytes, sizeof mac->bytes, SQLITE_STATIC);
    }
    mm_query_node_t *node = malloc(sizeof *node);
    while (node != NULL && next_row(rows)) {
        take_node(rows, node);
        if (!visit(context, node)) {
            break;
        }
    }
    free(node);
    return finish(self, rows);
}

bool mm_query_credits(mm_query_t *self, int64_t node_id, mm_query_credit_t credits[MM_CHANNELS]) {
    sqlite3_stmt *rows = prepare(self, "SELECT channel, prepaid, relay_closed, relay_reasons, low, emergency_taken,"
                                       " balance_wh FROM meter_credit WHERE node = ?1");
    memset(credits, 0, MM_CHANNELS * sizeof credits[0]);
    if (rows != NULL) {
        sqlite3_bind_int64(rows, 1, node_id);
    }
    while (next_row(rows)) {
        int channel = sqlite3_column_int(rows, 0);
        if (channel >= 0 && channel < MM_CHANNELS) {
            credits[channel] = (mm_query_credit_t){.known = true,
                                                   .prepaid = sqlite3_column_int(rows, 1) != 0,
                                                   .relay_closed = sqlite3_column_int(rows, 2) != 0,
                                                   .relay_reasons = (uint8_t)sqlite3_column_int(rows, 3),
                                                   .low = sqlite3_column_int(rows, 4) != 0,
                                                   .emergency_taken = sqlite3_column_int(rows, 5) != 0,
                                                   .balance_wh = sqlite3_column_int64(rows, 6)};
        }
    }
    return finish(self, rows);
}

// --- intervals

/// Interval record `seq` stands for those of first_seq … last_seq.
typedef struct {
    uint32_t epoch;
    uint32_t seq;
    uint32_t first_seq;
    uint32_t last_seq;
} thinned_t;

typedef struct {
    mm_position_t position;
    uint8_t channel;
    uint32_t constant_before;
} change_t;

/// Everything of one node that is needed to read its intervals, and the intervals found so far.
typedef struct {
    mm_query_t *query;
    const mm_query_node_t *node;
    thinned_t *thinned;
    size_t thinned_count;
    change_t *changes; ///< in order of position
    size_t change_count;
    mm_query_interval_t *found;
    size_t found_count;
    size_t found_capacity;
    bool failed;
} gathering_t;

static void *grow(gathering_t *self, void *items, size_t count, size_t item_bytes) {
    void *moved = realloc(items, count * item_bytes);
    if (moved == NULL) {
        snprintf(self->query->error, sizeof self->query->error, "out of memory");
        self->failed = true;
    }
    return moved;
}

// By first seq; of those that begin alike the widest, then the latest, first.
static int compare_thinned(const void *left_item, const void *right_item) {
    const thinned_t *left = left_item;
    const thinned_t *right = right_item;
    if (left->epoch != right->epoch) {
        return left->epoch < right->epoch ? -1 : 1;
    }
    if (left->first_seq != right->first_seq) {
        return left->first_seq < right->first_seq ? -1 : 1;
    }
    if (left->last_seq != right->last_seq) {
        return left->last_seq > right->last_seq ? -1 : 1;
    }
    return left->seq > right->seq ? -1 : left->seq < right->seq;
}

// A journal thins again what it has thinned, so ranges lie within ranges. Only the outermost count.
static void load_thinned(gathering_t *self) {
    sqlite3_stmt *rows = prepare(self->query, "SELECT epoch, seq, first_seq, last_seq FROM thinned WHERE node = ?1");
    size_t count = 0;
    sqlite3_bind_int64(rows, 1, self->node->id);
    while (!self->failed && next_row(rows)) {
        thinned_t *grown = grow(self, self->thinned, count + 1, sizeof *grown);
        if (grown == NULL) {
            break;
        }
        self->thinned = grown;
        self->thinned[count++] =
            (thinned_t){column_u32(rows, 0), column_u32(rows, 1), column_u32(rows, 2), column_u32(rows, 3)};
    }
    self->failed = !finish(self->query, rows) || self->failed;
    if (count > 0) {
        qsort(self->thinned, count, sizeof *self->thinned, compare_thinned);
    }
    for (size_t index = 0; index < count; index++) {
        const thinned_t *outer = self->thinned_count > 0 ? &self->thinned[self->thinned_count - 1] : NULL;
        if (outer == NULL || outer->epoch != self->thinned[index].epoch ||
            outer->last_seq < self->thinned[index].last_seq) {
            self->thinned[self->thinned_count++] = self->thinned[index];
        }
    }
}

static void load_changes(gathering_t *self) {
    sqlite3_stmt *rows = prepare(self->query, "SELECT epoch, seq, value0, value1 FROM event WHERE node = ?1 AND"
                                              " code = ?2 AND value0 < 8 ORDER BY epoch, seq");
    sqlite3_bind_int64(rows, 1, self->node->id);
    sqlite3_bind_int64(rows, 2, MM_EVENT_CONFIGURATION);
    while (!self->failed && next_row(rows)) {
        change_t *grown = grow(self, self->changes, self->change_count + 1, sizeof *grown);
        if (grown == NULL) {
            break;
        }
        self->changes = grown;
        self->changes[self->change_count++] = (change_t){
            {column_u32(rows, 0), column_u32(rows, 1)}, (uint8_t)sqlite3_column_int(rows, 2), column_u32(rows, 3)};
    }
    self->failed = !finish(self->query, rows) || self->failed;
}

// Does a later record stand for all that this one stands for?
static bool is_superseded(const gathering_t *self, mm_position_t position, const mm_interval_record_t *interval) {
    uint32_t first_seq = interval->thinned ? interval->thinned_first_seq : position.seq;
    uint32_t last_seq = interval->thinned ? interval->thinned_last_seq : position.seq;
    size_t low = 0;
    size_t high = self->thinned_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const thinned_t *range = &self->thinned[middle];
        if (range->epoch < position.epoch || (range->epoch == position.epoch && range->last_seq < last_seq)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const thinned_t *range = low < self->thinned_count ? &self->thinned[low] : NULL;
    return range != NULL && range->epoch == position.epoch && range->first_seq <= first_seq &&
           range->seq > position.seq;
}

// The constant before the first change behind the position, or else today's.
static void set_constants(const gathering_t *self, mm_query_interval_t *interval) {
    bool known[MM_CHANNELS] = {false};
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        interval->pulse_constants[channel] =
            self->node->has_snapshot ? self->node->snapshot.meters[channel].pulse_constant : 0;
    }
    for (size_t index = 0; index < self->change_count; index++) {
        const change_t *change = &self->changes[index];
        if (!known[change->channel] && mm_position_compare(change->position, interval->position) > 0) {
            interval->pulse_constants[change->channel] = change->constant_before;
            known[change->channel] = true;
        }
    }
}

// An interval labelled with uptime has its place in time if the node learned the time later in the same boot.
static bool place(gathering_t *self, mm_query_interval_t *interval) {
    sqlite3_stmt *row =
        prepare(self->query, "SELECT code, value2 - value1 FROM event WHERE node = ?1 AND epoch = ?2 AND seq > ?3"
                             " AND code IN (?4, ?5) ORDER BY seq LIMIT 1");
    sqlite3_bind_int64(row, 1, self->node->id);
    sqlite3_bind_int64(row, 2, interval->position.epoch);
    sqlite3_bind_int64(row, 3, interval->position.seq);
    sqlite3_bind_int64(row, 4, MM_EVENT_BOOT);
    sqlite3_bind_int64(row, 5, MM_EVENT_TIME_SYNCED);
    bool placed = next_row(row) && sqlite3_column_int(row, 0) == MM_EVENT_TIME_SYNCED;
    if (placed) {
        interval->end_s = sqlite3_column_int64(row, 1) + (int64_t)interval->record.end.seconds;
    }
    self->failed = !finish(self->query, row) || self->failed;
    return placed;
}

static void take_interval(gathering_t *self, sqlite3_stmt *row, int64_t from_s, int64_t to_s, bool unplaced_too) {
    mm_query_interval_t interval = {.position = {column_u32(row, 0), column_u32(row, 1)}};
    if (!decode_interval(sqlite3_column_blob(row, 2), sqlite3_column_bytes(row, 2), &interval.record) ||
        is_superseded(self, interval.position, &interval.record)) {
        return;
    }
    if (interval.record.end.trust != MM_TRUST_UNSET) {
        interval.end_s = (int64_t)interval.record.end.seconds;
        interval.placed = true;
    } else {
        interval.placed = place(self, &interval);
    }
    if (interval.placed ? interval.end_s < from_s || interval.end_s > to_s : !unplaced_too) {
        return;
    }
    set_constants(self, &interval);
    if (self->found_count == self->found_capacity) {
        size_t capacity = self->found_capacity == 0 ? 256 : self->found_capacity * 2;
        mm_query_interval_t *grown = grow(self, self->found, capacity, sizeof *grown);
        if (grown == NULL) {
            return;
        }
        self->found = grown;
        self->found_capacity = capacity;
    }
    self->found[self->found_count++] = interval;
}

// The key begins with the day: one search per day that exists at all, then the node's rows stand together.
static void gather_days(gathering_t *self, int64_t from_s, int64_t to_s, bool unplaced_too) {
    sqlite3_stmt *days = prepare(self->query, "SELECT day FROM record WHERE day > ?1 ORDER BY day LIMIT 1");
    sqlite3_stmt *rows =
        prepare(self->query, "SELECT epoch, seq, payload FROM record WHERE day = ?1 AND node = ?2 AND type = ?3");
    int64_t day = 0; // intervals without wall time
    while (days != NULL && rows != NULL && !self->failed) {
        sqlite3_bind_int64(rows, 1, day);
        sqlite3_bind_int64(rows, 2, self->node->id);
        sqlite3_bind_int64(rows, 3, MM_RECORD_INTERVAL);
        while (!self->failed && next_row(rows)) {
            take_interval(self, rows, from_s, to_s, unplaced_too);
        }
        self->failed = sqlite3_reset(rows) != SQLITE_OK || self->failed;
        int64_t first_day = from_s / MMI_HQ_SECONDS_PER_DAY;
        sqlite3_bind_int64(days, 1, day < first_day - 1 ? first_day - 1 : day);
        bool more = next_row(days);
        day = more ? sqlite3_column_int64(days, 0) : 0;
        self->failed = sqlite3_reset(days) != SQLITE_OK || self->failed;
        if (!more || day > to_s / MMI_HQ_SECONDS_PER_DAY) {
            break;
        }
    }
    self->failed = !finish(self->query, days) || self->failed;
    self->failed = !finish(self->query, rows) || self->failed;
}

static int compare_intervals(const void *left_item, const void *right_item) {
    const mm_query_interval_t *left = left_item;
    const mm_query_interval_t *right = right_item;
    if (left->placed != right->placed) {
        return left->placed ? 1 : -1;
    }
    if (left->end_s != right->end_s) {
        return left->end_s < right->end_s ? -1 : 1;
    }
    return mm_position_compare(left->position, right->position);
}

static bool gather(mm_query_t *self, const mm_query_node_t *node, int64_t from_s, int64_t to_s, bool unplaced_too,
                   mm_query_interval_fn visit, void *context) {
    gathering_t gathering = {.query = self, .node = node};
    load_thinned(&gathering);
    load_changes(&gathering);
    if (!gathering.failed) {
        gather_days(&gathering, from_s > 0 ? from_s : 0, to_s, unplaced_too);
    }
    if (!gathering.failed && gathering.found_count > 0) {
        qsort(gathering.found, gathering.found_count, sizeof *gathering.found, compare_intervals);
        for (size_t index = 0; index < gathering.found_count; index++) {
            if (!visit(context, &gathering.found[index])) {
                break;
            }
        }
    }
    free(gathering.thinned);
    free(gathering.changes);
    free(gathering.found);
    return !gathering.failed;
}

bool mm_query_intervals(mm_query_t *self, const mm_query_node_t *node, int64_t from_s, int64_t to_s,
                        mm_query_interval_fn visit, void *context) {
    return gather(self, node, from_s, to_s, false, visit, context);
}

bool mm_query_all_intervals(mm_query_t *self, const mm_query_node_t *node, mm_query_interval_fn visit, void *context) {
    return gather(self, node, 0, INT64_MAX, true, visit, context);
}

bool mm_query_newest_interval_end(mm_query_t *self, const mm_query_node_t *node, int64_t *end_s) {
    *end_s = 0;
    if (!node->has_interval) {
        return true;
    }
    if (node->interval.end.trust != MM_TRUST_UNSET) {
        *end_s = (int64_t)node->interval.end.seconds;
        return true;
    }
    gathering_t gathering = {.query = self, .node = node};
    mm_query_interval_t interval = {.position = node->interval_position, .record = node->interval};
    if (place(&gathering, &interval)) {
        *end_s = interval.end_s;
    }
    return !gathering.failed;
}

// --- months, gaps, events

static void add_saturating(uint32_t *sum, uint32_t pulses) {
    *sum = pulses > UINT32_MAX - *sum ? UINT32_MAX : *sum + pulses;
}

static void add_part(mm_month_closing_record_t *month, const mm_month_closing_record_t *part) {
    add_saturating(&month->month_pulses, part->month_pulses);
    for (uint8_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
        add_saturating(&month->hours_pulses[hour], part->hours_pulses[hour]);
    }
    if (part->life_pulses >= month->life_pulses) {
        month->life_pulses = part->life_pulses;
        month->pulse_constant = part->pulse_constant;
        month->closed = part->closed;
    }
}

bool mm_query_months(mm_query_t *self, int64_t node_id, uint8_t channel, mm_query_month_fn visit, void *context) {
    sqlite3_stmt *rows = prepare(self, "SELECT year_month, payload FROM month WHERE node = ?1 AND channel = ?2"
                                       " ORDER BY year_month");
    sqlite3_bind_int64(rows, 1, node_id);
    sqlite3_bind_int64(rows, 2, channel);
    mm_query_month_t month = {.year_month = 0};
    bool more = true;
    while (more && next_row(rows)) {
        mm_record_t record;
        uint16_t year_month = (uint16_t)sqlite3_column_int(rows, 0);
        if (mm_record_decode(MM_RECORD_MONTH_CLOSING, sqlite3_column_blob(rows, 1),
                             (size_t)sqlite3_column_bytes(rows, 1), &record) != MM_OK) {
            continue;
        }
        if (year_month == month.year_month) {
            add_part(&month.closing, &record.month_closing);
            continue;
        }
        more = month.year_month == 0 || visit(context, &month);
        month = (mm_query_month_t){.year_month = year_month, .closing = record.month_closing};
    }
    if (more && month.year_month != 0) {
        (void)visit(context, &month);
    }
    return finish(self, rows);
}

bool mm_query_gaps(mm_query_t *self, int64_t node_id, mm_query_gap_fn visit, void *context) {
    sqlite3_stmt *rows = prepare(self, "SELECT n.mac, g.epoch, g.first_seq, g.last_seq, g.reason, g.explained"
                                       " FROM gap g JOIN node n ON n.id = g.node WHERE ?1 = 0 OR g.node = ?1"
                                       " ORDER BY g.node, g.epoch, g.first_seq");
    sqlite3_bind_int64(rows, 1, node_id);
    while (next_row(rows)) {
        mm_query_gap_t gap = {.node = column_mac(rows, 0),
                              .epoch = column_u32(rows, 1),
                              .first_seq = column_u32(rows, 2),
                              .last_seq = column_u32(rows, 3),
                              .reason = sqlite3_column_int(rows, 4),
                              .explained = sqlite3_column_int(rows, 5) != 0};
        if (!visit(context, &gap)) {
            break;
        }
    }
    return finish(self, rows);
}

bool mm_query_events(mm_query_t *self, int64_t node_id, int64_t limit, mm_query_event_fn visit, void *context) {
    // Both parts are cut to the limit by their index before they are put together.
    sqlite3_stmt *rows =
        prepare(self, "SELECT n.mac, e.epoch, e.seq, e.utc_s, e.trust, e.code, NULL, e.value0, e.value1, e.value2,"
                      " e.value3 FROM (SELECT * FROM (SELECT * FROM event WHERE ?1 = 0 OR node = ?1"
                      " ORDER BY utc_s DESC, id DESC LIMIT ?2)) e JOIN node n ON n.id = e.node"
                      " UNION ALL SELECT n.mac, 0, 0, i.utc_s, ?3, 0, i.name, i.value0, i.value1, i.value2, i.value3"
                      " FROM (SELECT * FROM (SELECT * FROM incident WHERE ?1 = 0 OR node = ?1 ORDER BY id DESC"
                      " LIMIT ?2)) i JOIN node n ON n.id = i.node"
                      " ORDER BY 4 DESC, 2 DESC, 3 DESC LIMIT ?2");
    sqlite3_bind_int64(rows, 1, node_id);
    sqlite3_bind_int64(rows, 2, limit);
    sqlite3_bind_int64(rows, 3, MM_TRUST_SYNCED);
    while (next_row(rows)) {
        mm_query_event_t event = {.node = column_mac(rows, 0),
                                  .epoch = column_u32(rows, 1),
                                  .seq = column_u32(rows, 2),
                                  .utc_s = sqlite3_column_int64(rows, 3),
                                  .trust = (mm_trust_t)sqlite3_column_int(rows, 4)};
        event.name = sqlite3_column_type(rows, 6) == SQLITE_NULL ? mm_event_name((uint16_t)sqlite3_column_int(rows, 5))
                                                                 : (const char *)sqlite3_column_text(rows, 6);
        for (int index = 0; index < MM_EVENT_VALUES; index++) {
            event.values[index] = (uint64_t)sqlite3_column_int64(rows, 7 + index);
        }
        if (!visit(context, &event)) {
            break;
        }
    }
    return finish(self, rows);
}

bool mm_query_quarantine(mm_query_t *self, int64_t limit, mm_query_quarantine_fn visit, void *context) {
    sqlite3_stmt *rows = prepare(self, "SELECT id, received_us, topic, reason, bytes, payload FROM quarantine"
                                       " ORDER BY id DESC LIMIT ?1");
    sqlite3_bind_int64(rows, 1, limit);
    while (next_row(rows)) {
        mm_query_quarantine_t entry = {.id = sqlite3_column_int64(rows, 0),
                                       .received_us = sqlite3_column_int64(rows, 1),
                                       .topic = (const char *)sqlite3_column_text(rows, 2),
                                       .reason = (const char *)sqlite3_column_text(rows, 3),
                                       .bytes_count = sqlite3_column_int64(rows, 4),
                                       .head = sqlite3_column_blob(rows, 5),
                                       .head_bytes = (size_t)sqlite3_column_bytes(rows, 5)};
        if (!visit(context, &entry)) {
            break;
        }
    }
    return finish(self, rows);
}

// --- the original's meters

static void take_hours(const char *text, uint32_t hours_kwh[MM_HOURS_OF_DAY]) {
    for (size_t hour = 0; hour < MM_HOURS_OF_DAY && *text != '\0'; hour++) {
        char *end = NULL;
        hours_kwh[hour] = (uint32_t)strtoul(text, &end, 10);
        text = *end == ',' ? end + 1 : end;
    }
}

bool mm_query_legacy_meters(mm_query_t *self, const char *site, mm_query_legacy_meter_fn visit, void *context) {
    sqlite3_stmt *rows = prepare(self, "SELECT s.name, s.tz, l.meter, l.node_id, l.subnode, l.stamp_s, l.received_us,"
                                       " l.life_kwh, l.month, l.month_kwh, l.hours FROM legacy_meter l"
                                       " JOIN site s ON s.id = l.site WHERE ?1 IS NULL OR s.name = ?1"
                                       " ORDER BY s.name, l.node_id, l.subnode, l.meter");
    if (rows != NULL && site != NULL) {
        sqlite3_bind_text(rows, 1, site, -1, SQLITE_STATIC);
    }
    while (next_row(rows)) {
        mm_query_legacy_meter_t meter = {.node_id = column_u32(rows, 3),
                                         .subnode = column_u32(rows, 4),
                                         .stamp_s = sqlite3_column_int64(rows, 5),
                                         .received_us = sqlite3_column_int64(rows, 6),
                                         .life_kwh = (uint64_t)sqlite3_column_int64(rows, 7),
                                         .month = (uint8_t)sqlite3_column_int(rows, 8),
                                         .month_kwh = (uint64_t)sqlite3_column_int64(rows, 9)};
        column_copy(rows, 0, meter.site, sizeof meter.site);
        column_copy(rows, 1, meter.tz, sizeof meter.tz);
        column_copy(rows, 2, meter.id, sizeof meter.id);
        take_hours((const char *)sqlite3_column_text(rows, 10), meter.hours_kwh);
        if (!visit(context, &meter)) {
            break;
        }
    }
    return finish(self, rows);
}
