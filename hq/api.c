// SPDX-License-Identifier: Apache-2.0
#include "api.h"

#include "command_detail.h"
#include "display.h"
#include "event_values.h"

#include "meshmeter/calendar.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef MM_VERSION
#define MM_VERSION "unknown"
#endif

#define DEFAULT_INTERVALS_S INT64_C(259200) // 3 days
#define DEFAULT_EVENTS 100
#define QUARANTINE_ROWS 100
#define HEAD_BYTES 32
#define MICROSECONDS 1000000

/// One request on its way to its answer.
typedef struct {
    const mm_api_t *api;
    mm_api_argument_fn argument;
    void *context;
    cJSON *root;
    cJSON *list; ///< the array that is being filled
    char *problem;
    int status;
    int64_t limit;
    uint8_t channel;
    bool found_node;
    mm_query_node_t node; ///< the one asked for
} request_t;

// --- answers

static void fail(request_t *self, int status, const char *text) {
    if (self->status == 200) {
        self->status = status;
        self->problem = strdup(text);
    }
}

static cJSON *begin_list(request_t *self, const char *name) {
    self->list = cJSON_AddArrayToObject(self->root, name);
    return self->list;
}

static void add_integer(cJSON *object, const char *name, int64_t value) {
    cJSON_AddNumberToObject(object, name, (double)value);
}

static void add_unsigned(cJSON *object, const char *name, uint64_t value) {
    cJSON_AddNumberToObject(object, name, (double)value);
}

static void add_mac(cJSON *object, const char *name, mm_mac_t mac) {
    char text[MM_MAC_TEXT_BYTES];
    mm_mac_print(mac, text);
    cJSON_AddStringToObject(object, name, text);
}

static void add_year_month(cJSON *object, uint16_t year_month) {
    char text[16] = "";
    if (year_month != 0) {
        snprintf(text, sizeof text, "%04d-%02d", year_month / 12, year_month % 12 + 1);
    }
    cJSON_AddStringToObject(object, "year_month", text);
}

static void add_hours(cJSON *object, const uint32_t hours_pulses[MM_HOURS_OF_DAY], uint32_t pulse_constant) {
    cJSON *hours = cJSON_AddArrayToObject(object, "hours_wh");
    for (size_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
        cJSON_AddItemToArray(hours, cJSON_CreateNumber((double)mm_query_pulses_wh(hours_pulses[hour], pulse_constant)));
    }
}

// --- arguments

static const char *argument(request_t *self, const char *name) {
    const char *value = self->argument(self->context, name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool take_integer(request_t *self, const char *name, int64_t low, int64_t high, int64_t *value) {
    const char *text = argument(self, name);
    if (text == NULL) {
        return false;
    }
    char *end = NULL;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || number < low || number > high) {
        char problem[128];
        snprintf(problem, sizeof problem, "%s must be a whole number from %lld to %lld", name, (long long)low,
                 (long long)high);
        fail(self, 400, problem);
        return false;
    }
    *value = number;
    return true;
}

// The same MAC in two sites: the one seen last, unless the request says which.
static bool take_node(void *context, const mm_query_node_t *node) {
    request_t *self = context;
    if (!self->found_node || node->last_seen_us > self->node.last_seen_us) {
        self->node = *node;
        self->found_node = true;
    }
    return true;
}

static bool is_legacy_name(const char *name) {
    return strncmp(name, "legacy:", 7) == 0;
}

// False: no such node in the request, or the request has failed. The original's nodes exist, but have only their
// meters.
static bool find_node(request_t *self, bool required) {
    const char *name = argument(self, "node");
    mm_mac_t mac;
    if (name == NULL) {
        if (required) {
            fail(self, 400, "node is missing: its MAC, as in /api/v1/nodes");
        }
        return false;
    }
    if (is_legacy_name(name)) {
        return false;
    }
    if (!mm_mac_parse(name, &mac)) {
        fail(self, 400, "node must be a MAC like 02:00:00:00:00:01");
        return false;
    }
    if (!mm_query_nodes(self->api->query, argument(self, "site"), &mac, take_node, self)) {
        fail(self, 503, mm_query_error(self->api->query));
        return false;
    }
    if (!self->found_node) {
        fail(self, 404, "no such node; see /api/v1/nodes");
    }
    return self->found_node;
}

static bool take_channel(request_t *self) {
    int64_t channel = 0;
    if (!take_integer(self, "channel", 0, MM_CHANNELS - 1, &channel)) {
        fail(self, 400, "channel is missing: 0 to 7");
        return false;
    }
    self->channel = (uint8_t)channel;
    return true;
}

static void check(request_t *self, bool good) {
    if (!good) {
        fail(self, 503, mm_query_error(self->api->query));
    }
}

static int64_t count_rows(request_t *self, const char *sql) {
    int64_t value = 0;
    check(self, mm_query_integer(self->api->query, sql, &value));
    return value;
}

// --- resources

static void answer_status(request_t *self) {
    const mm_hq_stats_t *stats = self->api->stats;
    cJSON_AddStringToObject(self->root, "version", MM_VERSION);
    mm_hq_now_t now = mm_hq_clock_now(&self->api->clock);
    add_integer(self->root, "time", now.utc_us / MICROSECONDS);
    add_integer(self->root, "speed", self->api->clock.speed > 0 ? self->api->clock.speed : 1);
    cJSON_AddBoolToObject(self->root, "displays", self->api->displays_directory != NULL);
    cJSON *database = cJSON_AddObjectToObject(self->root, "database");
    add_integer(database, "records", count_rows(self, "SELECT records FROM total"));
    add_integer(database, "snapshots", count_rows(self, "SELECT count(*) FROM snapshot"));
    add_integer(database, "quarantined", count_rows(self, "SELECT quarantined FROM total"));
    add_integer(database, "gaps", count_rows(self, "SELECT count(*) FROM gap"));
    cJSON_AddBoolToObject(database, "failing", atomic_load(&stats->database_failing));
    cJSON *broker = cJSON_AddObjectToObject(self->root, "broker");
    cJSON_AddBoolToObject(broker, "connected", atomic_load(&stats->broker_connected));
    add_integer(broker, "messages", atomic_load(&stats->messages));
    add_integer(broker, "last_message", atomic_load(&stats->last_message_utc_us) / MICROSECONDS);
    cJSON *ingest = cJSON_AddObjectToObject(self->root, "ingest");
    add_integer(ingest, "committed", atomic_load(&stats->records_committed));
    add_integer(ingest, "duplicates", atomic_load(&stats->records_duplicate));
    add_integer(ingest, "pending", atomic_load(&stats->messages_pending));
    add_integer(ingest, "dropped", atomic_load(&stats->messages_dropped));
}

// "<MAC>/display" of the path.
static void answer_display(request_t *self, const char *name) {
    char text[32];
    char hex[MM_DISPLAY_HEX_CHARS + 1];
    mm_mac_t mac;
    size_t chars = strcspn(name, "/");
    if (self->api->displays_directory == NULL) {
        fail(self, 404, "this HQ shows no displays; the demo's does");
        return;
    }
    snprintf(text, sizeof text, "%.*s", chars < sizeof text ? (int)chars : 0, name);
    if (!mm_mac_parse(text, &mac) || strcmp(name + chars, "/display") != 0) {
        fail(self, 404, "no such resource; see docs/spec/api.md");
        return;
    }
    if (!mm_display_read(self->api->displays_directory, mac, hex)) {
        fail(self, 404, "this node shows no picture here");
        return;
    }
    cJSON_AddStringToObject(self->root, "bytes", hex);
}

static bool add_site(void *context, const mm_query_site_t *site) {
    request_t *self = context;
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(self->list, item);
    cJSON_AddStringToObject(item, "site", site->site);
    cJSON_AddStringToObject(item, "tz", site->tz);
    add_integer(item, "nodes", site->nodes);
    add_integer(item, "meters", site->meters);
    add_integer(item, "last_seen", site->last_seen_us / MICROSECONDS);
    if (site->has_root) {
        add_mac(item, "root", site->root);
    } else {
        cJSON_AddNullToObject(item, "root");
    }
    return true;
}

static void answer_sites(request_t *self) {
    begin_list(self, "sites");
    check(self, mm_query_sites(self->api->query, add_site, self));
}

static void add_counters(cJSON *item, const mm_counters_t *counters) {
    cJSON *object = cJSON_AddObjectToObject(item, "counters");
    for (uint32_t id = 0; id < MM_COUNTER_COUNT; id++) {
        if (counters->values[id] > 0) {
            add_integer(object, mm_counter_name(id), counters->values[id]);
        }
    }
}

static bool add_node(void *context, const mm_query_node_t *node) {
    request_t *self = context;
    const mm_snapshot_t *snapshot = &node->snapshot;
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(self->list, item);
    cJSON_AddStringToObject(item, "site", node->site);
    add_mac(item, "mac", node->mac);
    cJSON_AddBoolToObject(item, "root", node->is_root);
    add_integer(item, "layer", snapshot->layer);
    add_integer(item, "last_seen", node->last_seen_us / MICROSECONDS);
    add_integer(item, "snapshot_time", snapshot->time.utc.us / MICROSECONDS);
    cJSON_AddStringToObject(item, "time_trust", mm_trust_name(snapshot->time.trust));
    add_integer(item, "boot_no", snapshot->boot_no);
    add_unsigned(item, "uptime_s", snapshot->uptime_ms / 1000);
    add_integer(item, "epoch", node->epoch);
    add_integer(item, "watermark", node->watermark_seq);
    add_integer(item, "next", node->next_seq);
    add_integer(item, "oldest", node->oldest_seq);
    int64_t backlog = (int64_t)node->next_seq - 1 - node->watermark_seq;
    add_integer(item, "backlog", backlog > 0 ? backlog : 0);
    add_integer(item, "gaps", node->gaps);
    add_integer(item, "missed_rounds", node->missed_rounds);
    add_counters(item, &snapshot->counters);
    return true;
}

static void answer_nodes(request_t *self) {
    begin_list(self, "nodes");
    check(self, mm_query_nodes(self->api->query, argument(self, "site"), NULL, add_node, self));
}

static uint64_t power_w(const mm_query_node_t *node, size_t channel) {
    const mm_interval_record_t *interval = &node->interval;
    if (!node->has_interval || interval->duration_s == 0) {
        return 0;
    }
    // Wh x 3600 would lose the fraction of a Wh: go from pulses, once.
    uint32_t pulse_constant = node->snapshot.meters[channel].pulse_constant;
    uint64_t divisor = (uint64_t)pulse_constant * interval->duration_s;
    return divisor > 0 ? (uint64_t)interval->pulses[channel] * 3600000 / divisor : 0;
}

static void add_credit(cJSON *item, const mm_query_credit_t *credit) {
    if (!credit->known) {
        return;
    }
    cJSON_AddBoolToObject(item, "prepaid", credit->prepaid);
    if (credit->prepaid) {
        add_integer(item, "balance_wh", credit->balance_wh);
    } else {
        cJSON_AddNullToObject(item, "balance_wh");
    }
    cJSON_AddBoolToObject(item, "relay_closed", credit->relay_closed);
    cJSON_AddItemToObject(item, "relay_reasons", mm_relay_reasons_json(credit->relay_reasons));
    cJSON_AddBoolToObject(item, "credit_low", credit->low);
    cJSON_AddBoolToObject(item, "emergency_taken", credit->emergency_taken);
}

static bool add_meters(void *context, const mm_query_node_t *node) {
    request_t *self = context;
    const mm_snapshot_t *snapshot = &node->snapshot;
    mm_query_credit_t credits[MM_CHANNELS];
    if (!mm_query_credits(self->api->query, node->id, credits)) {
        fail(self, 503, mm_query_error(self->api->query));
        return false;
    }
    for (size_t channel = 0; node->has_snapshot && channel < MM_CHANNELS; channel++) {
        const mm_meter_snapshot_t *meter = &snapshot->meters[channel];
        if (meter->id[0] == '\0') {
            continue;
        }
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(self->list, item);
        cJSON_AddStringToObject(item, "site", node->site);
        add_mac(item, "node", node->mac);
        add_integer(item, "channel", (int64_t)channel);
        cJSON_AddStringToObject(item, "id", meter->id);
        add_integer(item, "pulse_constant", meter->pulse_constant);
        add_unsigned(item, "energy_wh", mm_meter_energy_wh(meter->start_wh, meter->life_pulses, meter->pulse_constant));
        add_unsigned(item, "life_pulses", meter->life_pulses);
        add_unsigned(item, "month_wh", mm_query_pulses_wh(meter->month_pulses, meter->pulse_constant));
        add_year_month(item, snapshot->year_month);
        add_hours(item, meter->hours_pulses, meter->pulse_constant);
        add_unsigned(item, "interval_wh",
                     mm_query_pulses_wh(snapshot->interval_pulses[channel], meter->pulse_constant));
        add_unsigned(item, "power_w", power_w(node, channel));
        add_integer(item, "last_seen", node->last_seen_us / MICROSECONDS);
        cJSON_AddStringToObject(item, "time_trust", mm_trust_name(snapshot->time.trust));
        cJSON_AddBoolToObject(item, "legacy", false);
        add_credit(item, &credits[channel]);
    }
    return true;
}

// The original names the month but not the year: the latest such month that is not in the future of the message.
static uint16_t legacy_year_month(const mm_query_legacy_meter_t *meter) {
    mm_tz_t tz;
    mm_tz_parse(meter->tz, &tz);
    int64_t received_s = meter->received_us / MICROSECONDS;
    mm_local_t local = mm_local_from_utc(&tz, received_s > 0 ? received_s : 0);
    int32_t year = meter->month + 1 <= local.month ? local.year : local.year - 1;
    return (uint16_t)(year * 12 + meter->month);
}

static bool add_legacy_meter(void *context, const mm_query_legacy_meter_t *meter) {
    request_t *self = context;
    const char *wanted = argument(self, "node");
    char name[48];
    snprintf(name, sizeof name, "legacy:%u:%u", meter->node_id, meter->subnode);
    if (wanted != NULL && strcmp(wanted, name) != 0) {
        return true;
    }
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(self->list, item);
    cJSON_AddStringToObject(item, "site", meter->site);
    cJSON_AddStringToObject(item, "node", name);
    add_integer(item, "channel", 0);
    cJSON_AddStringToObject(item, "id", meter->id);
    add_integer(item, "pulse_constant", 0);
    add_unsigned(item, "energy_wh", meter->life_kwh * 1000);
    add_integer(item, "life_pulses", 0);
    add_unsigned(item, "month_wh", meter->month_kwh * 1000);
    add_year_month(item, legacy_year_month(meter));
    cJSON *hours = cJSON_AddArrayToObject(item, "hours_wh");
    for (size_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
        cJSON_AddItemToArray(hours, cJSON_CreateNumber((double)meter->hours_kwh[hour] * 1000));
    }
    add_integer(item, "interval_wh", 0);
    add_integer(item, "power_w", 0);
    add_integer(item, "last_seen", meter->received_us / MICROSECONDS);
    cJSON_AddStringToObject(item, "time_trust", mm_trust_name(MM_TRUST_UNSET));
    cJSON_AddBoolToObject(item, "legacy", true);
    return true;
}

static void answer_meters(request_t *self) {
    const char *name = argument(self, "node");
    mm_mac_t mac;
    bool own = name == NULL || !is_legacy_name(name);
    begin_list(self, "meters");
    if (own && name != NULL && !mm_mac_parse(name, &mac)) {
        fail(self, 400, "node must be a MAC like 02:00:00:00:00:01");
        return;
    }
    const char *site = argument(self, "site");
    if (own) {
        check(self, mm_query_nodes(self->api->query, site, name != NULL ? &mac : NULL, add_meters, self));
    }
    check(self, mm_query_legacy_meters(self->api->query, site, add_legacy_meter, self));
}

static bool add_interval(void *context, const mm_query_interval_t *interval) {
    request_t *self = context;
    uint32_t pulses = interval->record.pulses[self->channel];
    cJSON *item = cJSON_CreateArray();
    cJSON_AddItemToArray(self->list, item);
    cJSON_AddItemToArray(item, cJSON_CreateNumber((double)interval->end_s));
    cJSON_AddItemToArray(item, cJSON_CreateNumber(interval->record.duration_s));
    cJSON_AddItemToArray(
        item, cJSON_CreateNumber((double)mm_query_pulses_wh(pulses, interval->pulse_constants[self->channel])));
    cJSON_AddItemToArray(item, cJSON_CreateNumber(pulses));
    cJSON_AddItemToArray(item, cJSON_CreateString(mm_trust_name(interval->record.end.trust)));
    cJSON_AddItemToArray(item, cJSON_CreateNumber(interval->record.thinned ? 1 : 0));
    return --self->limit > 0;
}

static void answer_intervals(request_t *self) {
    int64_t to_s = 0;
    begin_list(self, "intervals");
    bool has_node = find_node(self, true);
    if (!take_channel(self) || !has_node) {
        return;
    }
    if (!take_integer(self, "to", 0, INT64_MAX / 2, &to_s)) {
        check(self, mm_query_newest_interval_end(self->api->query, &self->node, &to_s));
    }
    int64_t from_s = to_s - DEFAULT_INTERVALS_S;
    take_integer(self, "from", 0, INT64_MAX / 2, &from_s);
    self->limit = MM_API_INTERVALS_MAX;
    if (self->status == 200) {
        check(self, mm_query_intervals(self->api->query, &self->node, from_s, to_s, add_interval, self));
    }
}

static bool add_month(void *context, const mm_query_month_t *month) {
    request_t *self = context;
    const mm_month_closing_record_t *closing = &month->closing;
    uint64_t start_wh = self->node.has_snapshot ? self->node.snapshot.meters[closing->channel].start_wh : 0;
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(self->list, item);
    add_year_month(item, month->year_month);
    add_unsigned(item, "energy_wh", mm_meter_energy_wh(start_wh, closing->life_pulses, closing->pulse_constant));
    add_unsigned(item, "month_wh", mm_query_pulses_wh(closing->month_pulses, closing->pulse_constant));
    add_hours(item, closing->hours_pulses, closing->pulse_constant);
    return true;
}

static void answer_months(request_t *self) {
    begin_list(self, "months");
    bool has_node = find_node(self, true);
    if (take_channel(self) && has_node) {
        check(self, mm_query_months(self->api->query, self->node.id, self->channel, add_month, self));
    }
}

static bool add_gap(void *context, const mm_query_gap_t *gap) {
    request_t *self = context;
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(self->list, item);
    add_mac(item, "node", gap->node);
    add_integer(item, "epoch", gap->epoch);
    add_integer(item, "first", gap->first_seq);
    add_integer(item, "last", gap->last_seq);
    cJSON_AddStringToObject(item, "reason", mm_query_gap_reason_name(gap->reason));
    cJSON_AddBoolToObject(item, "explained", gap->explained);
    return true;
}

static void answer_gaps(request_t *self) {
    begin_list(self, "gaps");
    bool has_node = find_node(self, false);
    if (has_node || argument(self, "node") == NULL) {
        check(self, mm_query_gaps(self->api->query, has_node ? self->node.id : 0, add_gap, self));
    }
}

static bool add_event(void *context, const mm_query_event_t *event) {
    request_t *self = context;
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(self->list, item);
    add_mac(item, "node", event->node);
    add_integer(item, "epoch", event->epoch);
    add_integer(item, "seq", event->seq);
    add_integer(item, "time", event->utc_s);
    cJSON_AddStringToObject(item, "time_trust", mm_trust_name(event->trust));
    cJSON_AddStringToObject(item, "name", event->name);
    cJSON *values = cJSON_AddArrayToObject(item, "values");
    for (size_t index = 0; index < MM_EVENT_VALUES; index++) {
        cJSON_AddItemToArray(values, cJSON_CreateNumber((double)(int64_t)event->values[index]));
    }
    cJSON *names = mm_event_value_name(event->name, 0) != NULL ? cJSON_AddArrayToObject(item, "value_names") : NULL;
    for (size_t index = 0; index < MM_EVENT_VALUES && names != NULL; index++) {
        cJSON_AddItemToArray(names, cJSON_CreateString(mm_event_value_name(event->name, index)));
    }
    return true;
}

static void answer_events(request_t *self) {
    begin_list(self, "events");
    self->limit = DEFAULT_EVENTS;
    take_integer(self, "limit", 1, MM_API_EVENTS_MAX, &self->limit);
    bool has_node = find_node(self, false);
    if (self->status == 200 && (has_node || argument(self, "node") == NULL)) {
        check(self, mm_query_events(self->api->query, has_node ? self->node.id : 0, self->limit, add_event, self));
    }
}

static bool add_quarantine(void *context, const mm_query_quarantine_t *entry) {
    request_t *self = context;
    char head[2 * HEAD_BYTES + 1] = "";
    for (size_t index = 0; index < entry->head_bytes && index < HEAD_BYTES; index++) {
        snprintf(head + 2 * index, 3, "%02x", entry->head[index]);
    }
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(self->list, item);
    add_integer(item, "id", entry->id);
    add_integer(item, "received", entry->received_us / MICROSECONDS);
    cJSON_AddStringToObject(item, "topic", entry->topic);
    cJSON_AddStringToObject(item, "reason", entry->reason);
    add_integer(item, "bytes", entry->bytes_count);
    cJSON_AddStringToObject(item, "head_hex", head);
    return true;
}

static void answer_quarantine(request_t *self) {
    begin_list(self, "quarantine");
    check(self, mm_query_quarantine(self->api->query, QUARANTINE_ROWS, add_quarantine, self));
}

static void answer(request_t *self, const char *name) {
    if (strncmp(name, "nodes/", 6) == 0) {
        answer_display(self, name + 6);
        return;
    }
    static const struct {
        const char *name;
        void (*answer)(request_t *self);
    } resources[] = {
        {"status", answer_status}, {"sites", answer_sites},         {"nodes", answer_nodes},
        {"meters", answer_meters}, {"intervals", answer_intervals}, {"months", answer_months},
        {"gaps", answer_gaps},     {"events", answer_events},       {"quarantine", answer_quarantine},
    };
    for (size_t index = 0; index < sizeof resources / sizeof resources[0]; index++) {
        if (strcmp(name, resources[index].name) == 0) {
            // One state of the database for the whole answer.
            check(self, mm_query_begin(self->api->query));
            resources[index].answer(self);
            mm_query_end(self->api->query);
            return;
        }
    }
    fail(self, 404, "no such resource; see docs/spec/api.md");
}

char *mm_api_answer(const mm_api_t *self, const char *path, mm_api_argument_fn argument_of, void *context,
                    int *status) {
    request_t *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return NULL;
    }
    request->api = self;
    request->argument = argument_of;
    request->context = context;
    request->status = 200;
    request->root = cJSON_CreateObject();
    answer(request, strncmp(path, MM_API_PREFIX, strlen(MM_API_PREFIX)) == 0 ? path + strlen(MM_API_PREFIX) : "");
    if (request->status != 200) {
        cJSON_Delete(request->root);
        request->root = cJSON_CreateObject();
        cJSON_AddStringToObject(request->root, "error", request->problem != NULL ? request->problem : "out of memory");
    }
    char *text = cJSON_PrintUnformatted(request->root);
    *status = request->status;
    cJSON_Delete(request->root);
    free(request->problem);
    free(request);
    return text;
}
