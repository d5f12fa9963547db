// SPDX-License-Identifier: Apache-2.0
#include "hq_support.h"

#include "api_request.h"
#include "http.h"
#include "ingest.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

/// A served database, and the last answer.
typedef struct {
    hq_world_t *world;
    mm_http_t *http;
    mm_hq_stats_t stats;
    char web[96];
    char displays[96];
    int status;
    char headers[4096];
    char body[1 << 20];
    size_t body_bytes;
} served_t;

// --- what is served

static mm_record_t closing(uint8_t channel, uint16_t year_month, uint32_t month_pulses, uint64_t life_pulses) {
    mm_record_t record = {.type = MM_RECORD_MONTH_CLOSING};
    record.month_closing = (mm_month_closing_record_t){.channel = channel,
                                                       .year_month = year_month,
                                                       .pulse_constant = 1000,
                                                       .life_pulses = life_pulses,
                                                       .month_pulses = month_pulses,
                                                       .closed = {(uint64_t)HQ_UTC_S, MM_TRUST_SYNCED}};
    record.month_closing.hours_pulses[3] = month_pulses;
    return record;
}

static void fill(hq_world_t *world) {
    mm_store_t *store = hq_open(world);
    hq_batch_t batch;
    hq_report_t report;
    assert_int_equal(mm_store_set_default_tz(store, "CET-1CEST,M3.5.0,M10.5.0/3"), MM_STORE_OK);
    // Node 1: intervals 1 … 4, a closed month, an event, a change of its constant before interval 3, newest snapshot.
    mm_record_t change =
        hq_event(MM_EVENT_CONFIGURATION, (mm_label_t){(uint64_t)HQ_UTC_S + 2000, MM_TRUST_SYNCED}, 1, 0, 500, 1000);
    mm_record_t month = closing(0, 2023 * 12 + 9, 2500, 9000);
    mm_snapshot_t snapshot = hq_snapshot(hq_mac(1), 1, 1, 10);
    snapshot.meters[0].life_pulses = 12345;
    snapshot.meters[0].month_pulses = 3999;
    snapshot.meters[0].hours_pulses[22] = 3999;
    snapshot.interval_pulses[0] = 42;
    snapshot.counters.values[MM_COUNTER_ANSWER_LATE] = 3;
    hq_report_begin(&report, hq_mac(1));
    hq_report_snapshot(&report, &snapshot);
    hq_report_interval(&report, 1, 1);
    hq_report_interval(&report, 1, 2);
    hq_report_record(&report, 1, 3, &change);
    for (uint32_t no = 3; no <= 4; no++) {
        mm_record_t interval = hq_interval(no);
        hq_report_record(&report, 1, no + 1, &interval);
    }
    hq_report_record(&report, 1, 6, &month);
    hq_report_end(&report);
    hq_batch_begin(&batch);
    hq_batch_add(&batch, &report);
    hq_batch_end(&batch);
    hq_commit(store, &batch);
    // Node 2: a hole.
    snapshot = hq_snapshot(hq_mac(2), 3, 5, 8);
    snapshot.time.trust = MM_TRUST_HELD;
    hq_batch_snapshot(&batch, hq_mac(2), &snapshot);
    hq_commit(store, &batch);
    assert_int_equal(mm_store_begin(store), MM_STORE_OK);
    assert_int_equal(mm_store_quarantine(store, "meter/\"x\"/info", "<b>bad</b>", "\x01\x02\xFF", 3, HQ_UTC_US),
                     MM_STORE_OK);
    mm_legacy_reading_t legacy = {.form = MM_LEGACY_BINARY, .id = "OLD-1", .node_id = 48, .life_kwh = 777, .month = 11};
    legacy.month_kwh = 5;
    legacy.hours_kwh[23] = 5;
    assert_int_equal(mm_store_put_legacy(store, "48", &legacy, "bytes", 5, HQ_UTC_US), MM_STORE_OK);
    assert_int_equal(mm_store_commit(store, 0), MM_STORE_OK);
    mm_store_close(store);
}

static void write_file(const char *directory, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int setup(void **state) {
    served_t *self = calloc(1, sizeof *self);
    void *world = NULL;
    if (self == NULL || hq_world_setup(&world) != 0) {
        return -1;
    }
    self->world = world;
    fill(self->world);
    char vendor[128];
    snprintf(self->web, sizeof self->web, "%s/web", self->world->directory);
    snprintf(vendor, sizeof vendor, "%s/vendor", self->web);
    mkdir(self->web, 0700);
    snprintf(self->displays, sizeof self->displays, "%s/displays", self->world->directory);
    mkdir(self->displays, 0700);
    mkdir(vendor, 0700);
    write_file(self->web, "index.html", "<html>page</html>");
    write_file(self->web, "app.js", "let a;");
    write_file(self->web, ".hidden.js", "secret");
    write_file(self->web, "notes.unknown", "secret");
    write_file(vendor, "lib.mjs", "export {};");
    write_file(self->world->directory, "secret.txt", "secret");
    mm_http_options_t options = {.address = "127.0.0.1:0",
                                 .database_path = self->world->database,
                                 .web_directory = self->web,
                                 .displays_directory = self->displays,
                                 .stats = &self->stats};
    mm_hq_error_t error;
    self->http = mm_http_start(&options, &error);
    if (self->http == NULL) {
        print_error("%s\n", error.text);
        return -1;
    }
    *state = self;
    return 0;
}

static int teardown(void **state) {
    served_t *self = *state;
    mm_http_stop(self->http);
    static const char *const names[] = {
        "web/index.html",        "web/app.js",           "web/.hidden.js",        "web/notes.unknown",
        "web/vendor/lib.mjs",    "secret.txt",           "displays/026d6d0a0b0c", "displays/026d6d000001",
        "displays/026d6d000002", "displays/026d6d000003"};
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        hq_remove(self->world->directory, names[index]);
    }
    char vendor[128];
    snprintf(vendor, sizeof vendor, "%s/vendor", self->web);
    rmdir(vendor);
    rmdir(self->web);
    char folder[128];
    snprintf(folder, sizeof folder, "%s/026d6d000004", self->displays);
    rmdir(folder);
    rmdir(self->displays);
    void *world = self->world;
    hq_world_teardown(&world);
    free(self);
    return 0;
}

// --- a client of a few lines: the server must not be tested with itself

static int connect_to(const served_t *self) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    const struct timeval timeout = {.tv_sec = 10};
    const char *colon = strrchr(mm_http_address(self->http), ':');
    assert_non_null(colon);
    address.sin_port = htons((uint16_t)atoi(colon + 1));
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(client >= 0);
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    return client;
}

static void exchange(served_t *self, const char *request) {
    static char answer[sizeof self->body + sizeof self->headers];
    int client = connect_to(self);
    size_t request_bytes = strlen(request);
    assert_int_equal(send(client, request, request_bytes, MSG_NOSIGNAL), request_bytes);
    size_t used = 0;
    ssize_t got;
    while (used < sizeof answer - 1 && (got = recv(client, answer + used, sizeof answer - 1 - used, 0)) > 0) {
        used += (size_t)got;
    }
    close(client);
    answer[used] = '\0';
    self->status = 0;
    self->headers[0] = '\0';
    self->body_bytes = 0;
    self->body[0] = '\0';
    char *end = strstr(answer, "\r\n\r\n");
    if (sscanf(answer, "HTTP/1.1 %d", &self->status) == 1 && end != NULL) {
        snprintf(self->headers, sizeof self->headers, "%.*s", (int)(end - answer), answer);
        self->body_bytes = used - (size_t)(end + 4 - answer);
        memcpy(self->body, end + 4, self->body_bytes + 1);
    }
}

static void request(served_t *self, const char *method, const char *target) {
    char text[2048];
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, target);
    exchange(self, text);
}

static cJSON *get_json(served_t *self, const char *target, int status) {
    request(self, "GET", target);
    assert_int_equal(self->status, status);
    assert_non_null(strstr(self->headers, "Content-Type: application/json"));
    cJSON *json = cJSON_Parse(self->body);
    assert_non_null(json);
    return json;
}

static double number(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static const char *text_of(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    assert_true(cJSON_IsString(item));
    return item->valuestring;
}

static const cJSON *item_of(const cJSON *object, const char *list, int index, int count) {
    const cJSON *items = cJSON_GetObjectItemCaseSensitive(object, list);
    assert_true(cJSON_IsArray(items));
    assert_int_equal(cJSON_GetArraySize(items), count);
    return cJSON_GetArrayItem(items, index);
}

// --- the API

static void test_api_status(void **state) {
    served_t *self = *state;
    atomic_store(&self->stats.broker_connected, true);
    atomic_store(&self->stats.messages, 17);
    cJSON *json = get_json(self, "/api/v1/status", 200);
    const cJSON *database = cJSON_GetObjectItem(json, "database");
    assert_int_equal(number(database, "records"), 6);
    assert_int_equal(number(database, "snapshots"), 2);
    assert_int_equal(number(database, "quarantined"), 1);
    assert_int_equal(number(database, "gaps"), 1);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "broker"), "connected")));
    assert_int_equal(number(cJSON_GetObjectItem(json, "broker"), "messages"), 17);
    assert_int_equal(number(json, "speed"), 1);
    assert_true(number(json, "time") > 1.7e9);
    assert_true(strlen(text_of(json, "version")) > 0);
    number(cJSON_GetObjectItem(json, "ingest"), "committed");
    number(cJSON_GetObjectItem(json, "ingest"), "duplicates");
    cJSON_Delete(json);
}

static void test_api_sites(void **state) {
    cJSON *json = get_json(*state, "/api/v1/sites", 200);
    const cJSON *legacy = item_of(json, "sites", 0, 2);
    const cJSON *home = item_of(json, "sites", 1, 2);
    assert_string_equal(text_of(legacy, "site"), "48");
    assert_int_equal(number(legacy, "meters"), 1);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(legacy, "root")));
    assert_string_equal(text_of(home, "site"), "home");
    assert_string_equal(text_of(home, "tz"), "CET-1CEST,M3.5.0,M10.5.0/3");
    assert_string_equal(text_of(home, "root"), "02:00:00:00:00:01");
    assert_int_equal(number(home, "nodes"), 2);
    assert_int_equal(number(home, "meters"), 2);
    assert_true(number(home, "last_seen") == (double)HQ_UTC_S);
    cJSON_Delete(json);
}

static void test_api_nodes(void **state) {
    cJSON *json = get_json(*state, "/api/v1/nodes?site=home", 200);
    const cJSON *one = item_of(json, "nodes", 0, 2);
    const cJSON *two = item_of(json, "nodes", 1, 2);
    assert_string_equal(text_of(one, "mac"), "02:00:00:00:00:01");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(one, "root")));
    assert_false(cJSON_IsTrue(cJSON_GetObjectItem(two, "root")));
    assert_int_equal(number(one, "epoch"), 1);
    assert_int_equal(number(one, "watermark"), 6);
    assert_int_equal(number(one, "next"), 10);
    assert_int_equal(number(one, "backlog"), 3);
    assert_int_equal(number(one, "gaps"), 0);
    assert_int_equal(number(cJSON_GetObjectItem(one, "counters"), "answer_late"), 3);
    assert_string_equal(text_of(one, "time_trust"), "synced");
    assert_true(number(one, "snapshot_time") == (double)HQ_UTC_S + 10);
    assert_int_equal(number(one, "uptime_s"), 10);
    assert_int_equal(number(one, "boot_no"), 1);
    assert_int_equal(number(one, "layer"), 1);
    assert_int_equal(number(one, "missed_rounds"), 0);
    assert_int_equal(number(two, "epoch"), 3);
    assert_int_equal(number(two, "oldest"), 5);
    assert_int_equal(number(two, "watermark"), 4);
    assert_int_equal(number(two, "gaps"), 1);
    assert_string_equal(text_of(two, "time_trust"), "held");
    cJSON_Delete(json);
    json = get_json(*state, "/api/v1/nodes?site=nowhere", 200);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "nodes")), 0);
    cJSON_Delete(json);
}

static void test_api_meters(void **state) {
    cJSON *json = get_json(*state, "/api/v1/meters", 200);
    const cJSON *one = item_of(json, "meters", 0, 3);
    assert_string_equal(text_of(one, "id"), "M-1");
    assert_string_equal(text_of(one, "site"), "home");
    assert_int_equal(number(one, "channel"), 0);
    assert_int_equal(number(one, "pulse_constant"), 1000);
    assert_int_equal(number(one, "energy_wh"), 5000 + 12345);
    assert_int_equal(number(one, "life_pulses"), 12345);
    assert_int_equal(number(one, "month_wh"), 3999);
    assert_string_equal(text_of(one, "year_month"), "2023-11");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(one, "hours_wh")), 24);
    assert_int_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(one, "hours_wh"), 22)->valueint, 3999);
    assert_int_equal(number(one, "interval_wh"), 42);
    assert_int_equal(number(one, "power_w"), 16); // 4 pulses of 1 Wh in 900 s
    assert_string_equal(text_of(one, "time_trust"), "synced");
    const cJSON *old = item_of(json, "meters", 2, 3);
    assert_string_equal(text_of(old, "id"), "OLD-1");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(old, "legacy")));
    assert_int_equal(number(old, "energy_wh"), 777000);
    assert_string_equal(text_of(old, "year_month"), "2022-12"); // received in November 2023
    assert_string_equal(text_of(old, "node"), "legacy:48:0");
    cJSON_Delete(json);
    json = get_json(*state, "/api/v1/meters?node=02:00:00:00:00:02", 200);
    assert_string_equal(text_of(item_of(json, "meters", 0, 1), "id"), "M-2");
    cJSON_Delete(json);
    json = get_json(*state, "/api/v1/meters?node=legacy:48:0&site=48", 200);
    assert_string_equal(text_of(item_of(json, "meters", 0, 1), "id"), "OLD-1");
    cJSON_Delete(json);
}

static double entry(const cJSON *interval, int index) {
    return cJSON_GetArrayItem(interval, index)->valuedouble;
}

static void test_api_intervals(void **state) {
    cJSON *json = get_json(*state, "/api/v1/intervals?node=02:00:00:00:00:01&channel=0", 200);
    for (int index = 0; index < 4; index++) {
        const cJSON *interval = item_of(json, "intervals", index, 4);
        assert_int_equal(cJSON_GetArraySize(interval), 6);
        assert_true(entry(interval, 0) == (double)(HQ_UTC_S + (index + 1) * 900));
        assert_int_equal(entry(interval, 1), 900);
        // Before the change a pulse was 2 Wh.
        assert_int_equal(entry(interval, 2), index < 2 ? 2 * (index + 1) : index + 1);
        assert_int_equal(entry(interval, 3), index + 1);
        assert_string_equal(cJSON_GetArrayItem(interval, 4)->valuestring, "synced");
        assert_int_equal(entry(interval, 5), 0);
    }
    cJSON_Delete(json);
    char target[200];
    snprintf(target, sizeof target, "/api/v1/intervals?node=02-00-00-00-00-01&channel=7&from=%lld&to=%lld",
             (long long)HQ_UTC_S + 1800, (long long)HQ_UTC_S + 2700);
    json = get_json(*state, target, 200);
    assert_int_equal(entry(item_of(json, "intervals", 0, 2), 3), 2 + 7);
    cJSON_Delete(json);
    json = get_json(*state, "/api/v1/intervals?node=legacy:48:0&channel=0", 200);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "intervals")), 0);
    cJSON_Delete(json);
}

static void test_api_months(void **state) {
    cJSON *json = get_json(*state, "/api/v1/months?node=02:00:00:00:00:01&channel=0", 200);
    const cJSON *month = item_of(json, "months", 0, 1);
    assert_string_equal(text_of(month, "year_month"), "2023-10");
    assert_int_equal(number(month, "energy_wh"), 5000 + 9000);
    assert_int_equal(number(month, "month_wh"), 2500);
    assert_int_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(month, "hours_wh"), 3)->valueint, 2500);
    cJSON_Delete(json);
}

static void test_api_gaps_events_quarantine(void **state) {
    cJSON *json = get_json(*state, "/api/v1/gaps", 200);
    const cJSON *gap = item_of(json, "gaps", 0, 1);
    assert_string_equal(text_of(gap, "node"), "02:00:00:00:00:02");
    assert_int_equal(number(gap, "first"), 1);
    assert_int_equal(number(gap, "last"), 4);
    assert_string_equal(text_of(gap, "reason"), "unexplained");
    assert_false(cJSON_IsTrue(cJSON_GetObjectItem(gap, "explained")));
    cJSON_Delete(json);
    json = get_json(*state, "/api/v1/gaps?node=02:00:00:00:00:01", 200);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "gaps")), 0);
    cJSON_Delete(json);
    json = get_json(*state, "/api/v1/events?limit=5", 200);
    const cJSON *event = item_of(json, "events", 0, 1);
    assert_string_equal(text_of(event, "name"), "configuration");
    assert_int_equal(number(event, "seq"), 3);
    assert_int_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(event, "values"), 1)->valueint, 500);
    const cJSON *names = cJSON_GetObjectItem(event, "value_names");
    assert_int_equal(cJSON_GetArraySize(names), MM_EVENT_VALUES);
    assert_string_equal(cJSON_GetArrayItem(names, 1)->valuestring, "old imp/kWh");
    cJSON_Delete(json);
    json = get_json(*state, "/api/v1/quarantine", 200);
    const cJSON *entry_of = item_of(json, "quarantine", 0, 1);
    assert_string_equal(text_of(entry_of, "topic"), "meter/\"x\"/info");
    assert_string_equal(text_of(entry_of, "reason"), "<b>bad</b>");
    assert_string_equal(text_of(entry_of, "head_hex"), "0102ff");
    assert_int_equal(number(entry_of, "bytes"), 3);
    cJSON_Delete(json);
}

static void test_api_wrong_requests(void **state) {
    static const struct {
        const char *target;
        int status;
    } wrong[] = {
        {"/api/v1/", 404},
        {"/api/v1/nothing", 404},
        {"/api/v2/status", 404},
        {"/api/v1/intervals", 400},
        {"/api/v1/intervals?node=zz&channel=0", 400},
        {"/api/v1/intervals?node=02:00:00:00:00:01", 400},
        {"/api/v1/intervals?node=02:00:00:00:00:01&channel=8", 400},
        {"/api/v1/intervals?node=02:00:00:00:00:01&channel=0&from=x", 400},
        {"/api/v1/intervals?node=02:00:00:00:00:99&channel=0", 404},
        {"/api/v1/months?node=02:00:00:00:00:01&channel=-1", 400},
        {"/api/v1/events?limit=0", 400},
        {"/api/v1/events?node=02:00:00:00:00:0", 400},
        {"/api/v1/meters?node=%27%20OR%201=1", 400},
    };
    for (size_t index = 0; index < sizeof wrong / sizeof wrong[0]; index++) {
        cJSON *json = get_json(*state, wrong[index].target, wrong[index].status);
        assert_true(strlen(text_of(json, "error")) > 5);
        cJSON_Delete(json);
    }
    cJSON *json = get_json(*state, "/api/v1/nodes?site=%27%3B%20DROP%20TABLE%20node%3B--", 200);
    cJSON_Delete(json);
    json = get_json(*state, "/api/v1/nodes", 200);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "nodes")), 2);
    cJSON_Delete(json);
}

// --- HTTP

static void test_api_display(void **state) {
    served_t *self = *state;
    char hex[2048 + 2];
    char path[192];
    cJSON *json = get_json(self, "/api/v1/status", 200);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "displays")));
    cJSON_Delete(json);
    memset(hex, '5', 2048);
    memcpy(hex, "0a", 2);
    memcpy(hex + 2048, "\n", 2);
    write_file(self->displays, "026d6d0a0b0c", hex);
    json = get_json(self, "/api/v1/nodes/02:6D:6d:0a:0b:0c/display", 200);
    hex[2048] = '\0';
    assert_string_equal(text_of(json, "bytes"), hex);
    cJSON_Delete(json);
    // Too short, not digits, a link, a folder.
    hex[2047] = '\0';
    write_file(self->displays, "026d6d000001", hex);
    memset(hex, 'g', 2048);
    write_file(self->displays, "026d6d000002", hex);
    snprintf(path, sizeof path, "%s/026d6d000003", self->displays);
    assert_int_equal(symlink("026d6d0a0b0c", path), 0);
    snprintf(path, sizeof path, "%s/026d6d000004", self->displays);
    assert_int_equal(mkdir(path, 0700), 0);
    static const char *const targets[] = {"02:6d:6d:00:00:01/display",  "02:6d:6d:00:00:02/display",
                                          "02:6d:6d:00:00:03/display",  "02:6d:6d:00:00:04/display",
                                          "02:6d:6d:00:00:05/display",  "02:6d:6d:0a:0b:0c",
                                          "02:6d:6d:0a:0b:0c/",         "02:6d:6d:0a:0b:0c/display/",
                                          "../026d6d0a0b0c/display",    "/display",
                                          "02:6d:6d:0a:0b/display",     "..%2f026d6d0a0b0c/display",
                                          "02:6d:6d:0a:0b:0c/display.", ""};
    for (size_t index = 0; index < sizeof targets / sizeof targets[0]; index++) {
        char target[96];
        snprintf(target, sizeof target, "/api/v1/nodes/%s", targets[index]);
        json = get_json(self, target, 404);
        assert_true(strlen(text_of(json, "error")) > 5);
        cJSON_Delete(json);
    }
}

static const char *no_argument(void *context, const char *name) {
    (void)context;
    (void)name;
    return NULL;
}

// An HQ that was not told of any shows none.
static void test_api_without_displays(void **state) {
    served_t *self = *state;
    int status = 0;
    mm_hq_error_t error;
    mm_query_t *query = mm_query_open(self->world->database, &error);
    assert_non_null(query);
    const mm_api_t api = {.query = query, .stats = &self->stats};
    char *text = mm_api_answer(&api, "/api/v1/nodes/02:6d:6d:0a:0b:0c/display", no_argument, NULL, &status);
    assert_int_equal(status, 404);
    free(text);
    text = mm_api_answer(&api, "/api/v1/status", no_argument, NULL, &status);
    assert_int_equal(status, 200);
    assert_non_null(strstr(text, "\"displays\":false"));
    free(text);
    mm_query_close(query);
}

static void test_http_files(void **state) {
    served_t *self = *state;
    request(self, "GET", "/");
    assert_int_equal(self->status, 200);
    assert_string_equal(self->body, "<html>page</html>");
    assert_non_null(strstr(self->headers, "Content-Type: text/html; charset=utf-8"));
    assert_non_null(strstr(self->headers, "Content-Security-Policy: default-src 'self'"));
    assert_non_null(strstr(self->headers, "X-Content-Type-Options: nosniff"));
    assert_non_null(strstr(self->headers, "Referrer-Policy: no-referrer"));
    request(self, "GET", "/vendor/lib.mjs?x=1");
    assert_int_equal(self->status, 200);
    assert_non_null(strstr(self->headers, "text/javascript"));
    const char *etag = strstr(self->headers, "ETag: ");
    assert_non_null(etag);
    char again[512];
    snprintf(again, sizeof again,
             "GET /vendor/lib.mjs HTTP/1.1\r\nHost: x\r\nIf-None-Match: %.*s\r\n"
             "Connection: close\r\n\r\n",
             (int)strcspn(etag + 6, "\r"), etag + 6);
    exchange(self, again);
    assert_int_equal(self->status, 304);
    assert_int_equal(self->body_bytes, 0);
}

static void test_http_methods(void **state) {
    served_t *self = *state;
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "X"};
    for (size_t index = 0; index < sizeof methods / sizeof methods[0]; index++) {
        request(self, methods[index], "/api/v1/status");
        assert_int_equal(self->status, 405);
    }
    assert_non_null(strstr(self->headers, "Allow: GET, HEAD"));
    exchange(self, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    assert_int_equal(self->status, 405);
    request(self, "HEAD", "/api/v1/status");
    assert_int_equal(self->status, 200);
    assert_int_equal(self->body_bytes, 0);
    assert_null(strstr(self->headers, "Content-Length: 0\r"));
}

// A body through HTTP: as far as it is allowed to be, one byte more, and in two pieces of the network.
static void post(served_t *self, const char *token, size_t blanks) {
    static const char body[] = "{\"request\":\"r\",\"target\":\"M-9\",\"kind\":\"lock\"}";
    char *text = calloc(1, blanks + 1024);
    assert_non_null(text);
    int used = sprintf(text, "POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n",
                       blanks + sizeof body - 1);
    used +=
        token != NULL ? sprintf(text + used, "Authorization: Bearer %s\r\n\r\n", token) : sprintf(text + used, "\r\n");
    memset(text + used, ' ', blanks);
    memcpy(text + used + blanks, body, sizeof body);
    exchange(self, text);
    free(text);
}

static void test_http_post(void **state) {
    served_t *self = *state;
    static const size_t body_bytes = sizeof "{\"request\":\"r\",\"target\":\"M-9\",\"kind\":\"lock\"}" - 1;
    char token[MM_OPERATOR_TOKEN_BYTES];
    mm_hq_error_t error;
    mm_desk_t *desk = mm_desk_open(NULL, self->world->database, &error);
    assert_non_null(desk);
    assert_int_equal(mm_operator_add(desk, "ana", HQ_UTC_US, token, &error), MM_DESK_OK);
    mm_desk_close(desk);
    post(self, NULL, 0);
    assert_int_equal(self->status, 401);
    assert_non_null(strstr(self->headers, "WWW-Authenticate: Bearer"));
    assert_non_null(strstr(self->headers, "Cache-Control: no-store"));
    post(self, token, 0);
    assert_int_equal(self->status, 404);
    assert_non_null(strstr(self->body, "no meter with this id"));
    post(self, token, MM_API_BODY_BYTES_MAX - body_bytes);
    assert_int_equal(self->status, 404);
    post(self, token, MM_API_BODY_BYTES_MAX - body_bytes + 1);
    assert_int_equal(self->status, 413);
    post(self, token, 1000000);
    assert_int_equal(self->status, 413);
    request(self, "GET", "/api/v1/orders");
    assert_int_equal(self->status, 401);
    request(self, "PATCH", "/api/v1/orders");
    assert_int_equal(self->status, 405);
    assert_non_null(strstr(self->headers, "Allow: GET, HEAD, POST"));
}

// What a node has said of a meter's supply and credit is in /meters; of the others there is nothing.
static void test_api_meters_credit(void **state) {
    served_t *self = *state;
    sqlite3 *db;
    assert_int_equal(sqlite3_open(self->world->database, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO meter_credit SELECT id, 0, 1, 3, 0, 1, 0, -250, 4000, 6, 1 FROM node"
                                  " WHERE mac = x'020000000001'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    cJSON *json = get_json(self, "/api/v1/meters", 200);
    const cJSON *meter = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "meters"), 0);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(meter, "prepaid")));
    assert_true(number(meter, "balance_wh") == -250);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(meter, "relay_closed")));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(meter, "credit_low")));
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(meter, "emergency_taken")));
    const cJSON *reasons = cJSON_GetObjectItem(meter, "relay_reasons");
    assert_int_equal(cJSON_GetArraySize(reasons), 2);
    assert_string_equal(cJSON_GetArrayItem(reasons, 0)->valuestring, "locked");
    assert_string_equal(cJSON_GetArrayItem(reasons, 1)->valuestring, "no_credit");
    assert_null(cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(json, "meters"), 1), "prepaid"));
    cJSON_Delete(json);
}

static void test_http_traversal(void **state) {
    served_t *self = *state;
    static const char *const targets[] = {
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "//secret.txt",
        "/vendor/../../secret.txt",
        "/vendor/..%2f..%2fsecret.txt",
        "/.hidden.js",
        "/notes.unknown",
        "/vendor",
        "/vendor/",
        "/web/index.html",
        "/index.html/",
        "/INDEX.HTML",
        "/%00",
        "/index.html%00.js",
        "/....//secret.txt",
        "/..\\secret.txt",
        "/etc/passwd",
        "//etc/passwd",
        "/api/../secret.txt",
    };
    for (size_t index = 0; index < sizeof targets / sizeof targets[0]; index++) {
        request(self, "GET", targets[index]);
        assert_true(self->status == 404 || self->status == 400 ||
                    (self->status == 200 && strcmp(self->body, "<html>page</html>") == 0));
        assert_null(strstr(self->body, "secret"));
        assert_null(strstr(self->body, "root:"));
    }
}

static void test_http_survives_rubbish(void **state) {
    served_t *self = *state;
    static const char *const rubbish[] = {
        "",
        "\r\n\r\n",
        "GET",
        "GET / HTTP/9.9\r\n\r\n",
        "\x16\x03\x01\x02",
        "GET / HTTP/1.1\r\nHost: x\r\n",
        "GET  HTTP/1.1\r\n\r\n",
    };
    for (size_t index = 0; index < sizeof rubbish / sizeof rubbish[0]; index++) {
        int client = connect_to(self);
        send(client, rubbish[index], strlen(rubbish[index]), MSG_NOSIGNAL);
        close(client);
    }
    char *long_request = malloc(100000);
    assert_non_null(long_request);
    memset(long_request, 'a', 99999);
    memcpy(long_request, "GET /", 5);
    long_request[99999] = '\0';
    int client = connect_to(self);
    send(client, long_request, 99999, MSG_NOSIGNAL);
    close(client);
    free(long_request);
    request(self, "GET", "/api/v1/status");
    assert_int_equal(self->status, 200);
}

// From one of this machine's many addresses, without a request.
static int connect_from(const served_t *self, const char *from) {
    struct sockaddr_in to = {.sin_family = AF_INET};
    struct sockaddr_in local = {.sin_family = AF_INET};
    const char *colon = strrchr(mm_http_address(self->http), ':');
    assert_non_null(colon);
    to.sin_port = htons((uint16_t)atoi(colon + 1));
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    inet_pton(AF_INET, from, &local.sin_addr);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(client, (struct sockaddr *)&local, sizeof local), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof to), 0);
    return client;
}

// Whether a request is answered there; a connection that is one too many is closed.
static bool is_answered(int client) {
    static const char text[] = "GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n";
    char head[16] = "";
    (void)send(client, text, sizeof text - 1, MSG_NOSIGNAL);
    return recv(client, head, sizeof head - 1, 0) > 0 && strncmp(head, "HTTP/1.1 200", 12) == 0;
}

#define ADDRESS_CONNECTIONS 128

static void test_http_one_address_does_not_keep_others_out(void **state) {
    served_t *self = *state;
    int clients[ADDRESS_CONNECTIONS];
    for (size_t index = 0; index < ADDRESS_CONNECTIONS; index++) {
        clients[index] = connect_from(self, "127.0.0.1");
        assert_true(is_answered(clients[index]));
    }
    int more = connect_from(self, "127.0.0.1");
    assert_false(is_answered(more));
    close(more);
    int other = connect_from(self, "127.0.0.2");
    assert_true(is_answered(other));
    close(other);
    for (size_t index = 0; index < ADDRESS_CONNECTIONS; index++) {
        close(clients[index]);
    }
    // The server sees that they are gone in its own time.
    bool answered = false;
    for (int tries = 0; tries < 1000 && !answered; tries++) {
        more = connect_from(self, "127.0.0.1");
        answered = is_answered(more);
        close(more);
    }
    assert_true(answered);
}

static void test_http_refuses_bad_addresses(void **state) {
    served_t *self = *state;
    static const char *const addresses[] = {
        "", "8080", "localhost:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", ":80", "[::1:80"};
    mm_hq_error_t error;
    mm_http_options_t options = {.database_path = self->world->database, .stats = &self->stats};
    for (size_t index = 0; index < sizeof addresses / sizeof addresses[0]; index++) {
        options.address = addresses[index];
        error.text[0] = '\0';
        assert_null(mm_http_start(&options, &error));
        assert_non_null(strstr(error.text, addresses[index]));
    }
    // A port that is taken: the message says which and what to do.
    options.address = mm_http_address(self->http);
    assert_null(mm_http_start(&options, &error));
    assert_non_null(strstr(error.text, options.address));
    assert_non_null(strstr(error.text, "another port"));
    options.address = "127.0.0.1:0";
    options.web_directory = "/nowhere";
    assert_null(mm_http_start(&options, &error));
    assert_non_null(strstr(error.text, "/nowhere"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_api_status),
        TEST(test_api_sites),
        TEST(test_api_nodes),
        TEST(test_api_meters),
        TEST(test_api_intervals),
        TEST(test_api_months),
        TEST(test_api_gaps_events_quarantine),
        TEST(test_api_wrong_requests),
        TEST(test_api_display),
        TEST(test_api_without_displays),
        TEST(test_http_files),
        TEST(test_http_methods),
        TEST(test_http_post),
        TEST(test_api_meters_credit),
        TEST(test_http_traversal),
        TEST(test_http_survives_rubbish),
        TEST(test_http_one_address_does_not_keep_others_out),
        TEST(test_http_refuses_bad_addresses),
    };
    return cmocka_run_group_tests_name("hq http", tests, NULL, NULL);
}
