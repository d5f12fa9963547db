// SPDX-License-Identifier: Apache-2.0
#include "readings.h"

#include "meshmeter/calendar.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

// 9999-12-31T23:59:59Z. A node may claim more, calendars end here.
#define UTC_MAX_S 253402300799

typedef struct {
    const mm_readings_options_t *options;
    mm_query_t *query;
    FILE *output;
    const mm_query_node_t *node;
    mm_tz_t tz;
    uint8_t channel;
    bool found;
    bool failed;
} printing_t;

// --- print

static void print_utc(int64_t utc_s, char text[32]) {
    struct tm civil;
    time_t seconds = (time_t)utc_s;
    gmtime_r(&seconds, &civil);
    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &civil);
}

static void print_local(const mm_tz_t *tz, int64_t utc_s, char text[32]) {
    mm_local_t local = mm_local_from_utc(tz, utc_s);
    int32_t offset_min = local.offset_s / 60;
    uint32_t magnitude = (uint32_t)(offset_min < 0 ? -offset_min : offset_min);
    snprintf(text, 32, "%04d-%02u-%02u %02u:%02u:%02u %c%02u%02u", local.year % 10000, local.month, local.day,
             local.hour, local.minute, local.second, offset_min < 0 ? '-' : '+', (magnitude / 60) % 100,
             magnitude % 60);
}

static bool print_interval(void *context, const mm_query_interval_t *interval) {
    printing_t *self = context;
    const mm_query_node_t *node = self->node;
    const mm_interval_record_t *record = &interval->record;
    char mac[MM_MAC_TEXT_BYTES];
    char end[32] = "";
    uint32_t pulses = record->pulses[self->channel];
    unsigned long long energy_wh = mm_query_pulses_wh(pulses, interval->pulse_constants[self->channel]);
    mm_mac_print(node->mac, mac);
    if (interval->placed && interval->end_s >= 0 && interval->end_s <= UTC_MAX_S) {
        if (self->options->csv) {
            print_utc(interval->end_s, end);
        } else {
            print_local(&self->tz, interval->end_s, end);
        }
    }
    const char *format = self->options->csv ? "%s,%s,%s,%u,%u,%s,%u,%u,%llu,%s,%d\n"
                                            : "%-12s %-16s %s %2u %8u  %-25s %6u %8u %8llu %-6s %d\n";
    // Both formats take the same arguments; which one is no input.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int printed = fprintf(self->output, format, node->snapshot.meters[self->channel].id, node->site, mac,
                          (unsigned)self->channel, record->interval_no, end, record->duration_s, pulses, energy_wh,
                          mm_trust_name(record->end.trust), record->thinned ? 1 : 0);
#pragma GCC diagnostic pop
    self->failed = printed < 0;
    return !self->failed;
}

static bool print_node(void *context, const mm_query_node_t *node) {
    printing_t *self = context;
    const mm_readings_options_t *options = self->options;
    bool everything = options->from_s == INT64_MIN && options->to_s == INT64_MAX;
    self->node = node;
    mm_tz_parse(node->tz, &self->tz);
    for (uint8_t channel = 0; node->has_snapshot && channel < MM_CHANNELS && !self->failed; channel++) {
        const char *id = node->snapshot.meters[channel].id;
        if (id[0] == '\0' || (options->meter_id != NULL && strcmp(options->meter_id, id) != 0)) {
            continue;
        }
        self->found = true;
        self->channel = channel;
        bool good = everything
                        ? mm_query_all_intervals(self->query, node, print_interval, self)
                        : mm_query_intervals(self->query, node, options->from_s, options->to_s, print_interval, self);
        self->failed = self->failed || !good;
    }
    return !self->failed;
}

mm_err_t mm_readings_print(const mm_readings_options_t *options, FILE *output, mm_hq_error_t *error) {
    printing_t printing = {.options = options, .output = output};
    printing.query = mm_query_open(options->database_path, error);
    if (printing.query == NULL) {
        return MM_ERR_STORAGE;
    }
    fprintf(output, "%s\n",
            options->csv ? "meter,site,node,channel,interval_no,end_utc,duration_s,pulses,energy_wh,time_trust,thinned"
                         : "meter        site             node              ch interval  end                       "
                           "  dur_s   pulses       Wh trust  thinned");
    bool good = mm_query_begin(printing.query) && mm_query_nodes(printing.query, NULL, NULL, print_node, &printing) &&
                !printing.failed && fflush(output) == 0;
    mm_err_t result = MM_OK;
    if (!good) {
        mm_hq_error_set(error, "database %s or output: %s", options->database_path,
                        ferror(output) ? "cannot be written" : mm_query_error(printing.query));
        result = MM_ERR_STORAGE;
    } else if (!printing.found && options->meter_id != NULL) {
        mm_hq_error_set(error, "database %s: no meter %s", options->database_path, options->meter_id);
        result = MM_ERR_NOT_FOUND;
    }
    mm_query_end(printing.query);
    mm_query_close(printing.query);
    return result;
}

// --- check

typedef struct {
    mm_query_t *query;
    mm_readings_node_fn visit;
    void *context;
    mm_readings_node_t node;
    uint32_t *interval_nos;
    size_t interval_capacity;
    bool failed;
} checking_t;

static bool sum_interval(void *context, const mm_query_interval_t *interval) {
    checking_t *self = context;
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        self->node.channels[channel].interval_pulses += interval->record.pulses[channel];
    }
    if (self->node.intervals == self->interval_capacity) {
        size_t capacity = self->interval_capacity == 0 ? 1024 : self->interval_capacity * 2;
        uint32_t *grown = realloc(self->interval_nos, capacity * sizeof *grown);
        if (grown == NULL) {
            self->failed = true;
            return false;
        }
        self->interval_nos = grown;
        self->interval_capacity = capacity;
    }
    self->interval_nos[self->node.intervals++] = interval->record.interval_no;
    return true;
}

static bool sum_gap(void *context, const mm_query_gap_t *gap) {
    checking_t *self = context;
    uint64_t count = (uint64_t)gap->last_seq - gap->first_seq + 1;
    self->node.missing += count;
    self->node.missing_thinned += gap->reason == MM_GAP_THINNED ? count : 0;
    self->node.missing_unexplained += gap->explained ? 0 : count;
    return true;
}

static int compare_numbers(const void *left_item, const void *right_item) {
    uint32_t left = *(const uint32_t *)left_item;
    uint32_t right = *(const uint32_t *)right_item;
    return left < right ? -1 : left > right;
}

static bool count_records(checking_t *self, int64_t node_id) {
    char sql[160];
    int64_t records = 0;
    int64_t positions = 0;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM record WHERE node = %lld", (long long)node_id);
    bool good = mm_query_integer(self->query, sql, &records);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM (SELECT DISTINCT epoch, seq FROM record WHERE node = %lld)",
             (long long)node_id);
    good = good && mm_query_integer(self->query, sql, &positions);
    self->node.records = (uint64_t)records;
    self->node.positions = (uint64_t)positions;
    return good;
}

static void take_snapshot(mm_readings_node_t *self, const mm_query_node_t *node) {
    memset(self, 0, sizeof *self);
    memcpy(self->site, node->site, sizeof self->site);
    self->mac = node->mac;
    self->epoch = node->epoch;
    self->watermark_seq = node->watermark_seq;
    self->next_seq = node->next_seq;
    self->has_snapshot = node->has_snapshot;
    self->snapshot_boot_no = node->snapshot.boot_no;
    self->snapshot_uptime_ms = node->snapshot.uptime_ms;
    self->snapshot_interval_no = node->snapshot.interval_no;
    for (size_t channel = 0; node->has_snapshot && channel < MM_CHANNELS; channel++) {
        const mm_meter_snapshot_t *meter = &node->snapshot.meters[channel];
        mm_readings_channel_t *out = &self->channels[channel];
        memcpy(out->id, meter->id, sizeof out->id);
        out->pulse_constant = meter->pulse_constant;
        out->start_wh = meter->start_wh;
        out->life_pulses = meter->life_pulses;
        out->open_pulses = node->snapshot.interval_pulses[channel];
        out->energy_wh = mm_meter_energy_wh(meter->start_wh, meter->life_pulses, meter->pulse_constant);
    }
}

static bool check_node(void *context, const mm_query_node_t *node) {
    checking_t *self = context;
    take_snapshot(&self->node, node);
    if (!mm_query_all_intervals(self->query, node, sum_interval, self) || self->failed ||
        !mm_query_gaps(self->query, node->id, sum_gap, self) || !count_records(self, node->id)) {
        self->failed = true;
        return false;
    }
    if (self->node.intervals > 0) {
        qsort(self->interval_nos, self->node.intervals, sizeof *self->interval_nos, compare_numbers);
    }
    for (size_t index = 1; index < self->node.intervals; index++) {
        self->node.duplicate_intervals += self->interval_nos[index] == self->interval_nos[index - 1] ? 1 : 0;
    }
    return self->visit(self->context, &self->node);
}

mm_err_t mm_readings_check(const char *database_path, mm_readings_node_fn visit, void *context, mm_hq_error_t *error) {
    checking_t checking = {.visit = visit, .context = context};
    checking.query = mm_query_open(database_path, error);
    if (checking.query == NULL) {
        return MM_ERR_STORAGE;
    }
    bool good = mm_query_begin(checking.query) && mm_query_nodes(checking.query, NULL, NULL, check_node, &checking) &&
                !checking.failed;
    if (!good) {
        mm_hq_error_set(error, "database %s: %s", database_path, mm_query_error(checking.query));
    }
    mm_query_end(checking.query);
    mm_query_close(checking.query);
    free(checking.interval_nos);
    return good ? MM_OK : MM_ERR_STORAGE;
}
