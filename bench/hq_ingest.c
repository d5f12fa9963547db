// SPDX-License-Identifier: Apache-2.0
// HQ's ingest against the least that SQLite needs for the same rows: batches in, acknowledgements out, compared with a
// bare loop of prepared inserts of the same rows into the same table, in transactions of the same size and with the
// same settings. Both in one run, alternating; the ratio is the result, the rates are this machine's.
//
//   hq_ingest [PAIRS [MESSAGES [DIRECTORY]]]
#include "ingest.h"

#include "meshmeter/batch.h"
#include "meshmeter/frame.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NODES 10
#define RECORDS 25
#define PAIRS_MAX 99

typedef struct {
    int64_t day;
    int64_t node;
    uint32_t seq;
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
    int payload_bytes;
} row_t;

typedef struct {
    uint8_t *bytes;
    const uint8_t *message;
    size_t message_bytes;
} message_t;

typedef struct {
    size_t message_count;
    message_t *messages;
    row_t *rows;
    size_t row_count;
    size_t payload_bytes;
    bool with_snapshots;
} work_t;

static _Noreturn void stop(const char *what) {
    fprintf(stderr, "hq_ingest: %s\n", what);
    exit(1);
}

/// What a run took: on the wall, and of the processor, which other programs on the machine disturb less.
typedef struct {
    double wall;
    double cpu;
} taken_t;

static double read_clock(clockid_t id) {
    struct timespec time;
    clock_gettime(id, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static taken_t read_clocks(void) {
    return (taken_t){read_clock(CLOCK_MONOTONIC), read_clock(CLOCK_PROCESS_CPUTIME_ID)};
}

static taken_t since(taken_t begin) {
    taken_t end = read_clocks();
    return (taken_t){end.wall - begin.wall, end.cpu - begin.cpu};
}

// --- the work: a household's pulses, 10 nodes a message, as a backlog drains

static void make_row(row_t *row, uint8_t node, uint32_t seq) {
    mm_record_t record = {.type = MM_RECORD_INTERVAL};
    record.interval.interval_no = seq;
    record.interval.duration_s = MM_INTERVAL_S;
    record.interval.end = (mm_label_t){UINT64_C(1700000100) + UINT64_C(900) * seq, MM_TRUST_SYNCED};
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        record.interval.pulses[channel] = (seq * 2654435761u + node * 40503u + channel * 97u) >> 22;
    }
    mm_writer_t writer = mm_writer(row->payload, sizeof row->payload);
    mm_record_encode(&record, &writer);
    row->payload_bytes = (int)writer.used_bytes;
    row->day = (int64_t)(record.interval.end.seconds / 86400);
    row->node = node;
    row->seq = seq;
}

static void put_snapshot(mm_report_writer_t *report, uint8_t node, uint32_t next) {
    mm_snapshot_t snapshot = {.boot_no = 1, .uptime_ms = next * 1000ull, .layer = 2, .interval_no = next};
    snapshot.time = (mm_time_t){{INT64_C(1700000100000000)}, MM_TRUST_SYNCED};
    snapshot.year_month = 2023 * 12 + 10;
    snapshot.oldest = (mm_position_t){1, 1};
    snapshot.next_seq = next;
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        mm_meter_snapshot_t *meter = &snapshot.meters[channel];
        snprintf(meter->id, sizeof meter->id, "M%u-%u", node, channel);
        meter->pulse_constant = 1000;
        meter->life_pulses = 1000000ull + next * 100ull;
        for (uint32_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
            meter->hours_pulses[hour] = 500 + hour;
            meter->month_pulses += 500 + hour;
        }
    }
    if (mm_report_put_snapshot(report, &snapshot) != MM_OK) {
        stop("snapshot does not fit");
    }
}

static void make_message(work_t *work, size_t index) {
    message_t *message = &work->messages[index];
    mm_batch_builder_t builder;
    mm_batch_header_t header = {.root = {{2, 0, 0, 0, 0, 1}}, .kind = MM_BATCH_BACKLOG, .batch_count = 1};
    message->bytes = malloc(MM_BATCH_BYTES_MAX);
    if (message->bytes == NULL) {
        stop("out of memory");
    }
    mm_batch_begin(&builder, message->bytes, MM_BATCH_BYTES_MAX);
    for (uint8_t node = 1; node <= NODES; node++) {
        uint8_t frame[MM_MESH_FRAME_BYTES_MAX];
        mm_report_writer_t report;
        uint32_t first = (uint32_t)index * RECORDS + 1;
        mm_report_begin(&report, frame, sizeof frame, (mm_mac_t){{2, 0, 0, 0, 0, node}}, (uint32_t)index + 1);
        if (work->with_snapshots) {
            put_snapshot(&report, node, first + RECORDS);
        }
        for (uint32_t seq = first; seq < first + RECORDS; seq++) {
            row_t *row = &work->rows[work->row_count++];
            make_row(row, node, seq);
            work->payload_bytes += (size_t)row->payload_bytes;
            if (mm_report_put_record(&report, (mm_position_t){1, seq}, MM_RECORD_INTERVAL, row->payload,
                                     (size_t)row->payload_bytes) != MM_OK) {
                stop("record does not fit");
            }
        }
        if (mm_batch_add_frame(&builder, frame, mm_report_finish(&report)) != MM_OK) {
            stop("frame does not fit");
        }
    }
    message->message = mm_batch_finish(&builder, &header, &message->message_bytes);
}

static void make_work(work_t *work, size_t message_count, bool with_snapshots) {
    *work = (work_t){.message_count = message_count, .with_snapshots = with_snapshots};
    work->messages = calloc(message_count, sizeof *work->messages);
    work->rows = calloc(message_count * NODES * RECORDS, sizeof *work->rows);
    if (work->messages == NULL || work->rows == NULL) {
        stop("out of memory");
    }
    for (size_t index = 0; index < message_count; index++) {
        make_message(work, index);
    }
}

static void free_work(work_t *work) {
    for (size_t index = 0; index < work->message_count; index++) {
        free(work->messages[index].bytes);
    }
    free(work->messages);
    free(work->rows);
}

// --- the two runs

static void remove_database(const char *path) {
    char name[600];
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t index = 0; index < 3; index++) {
        snprintf(name, sizeof name, "%s%s", path, suffixes[index]);
        unlink(name);
    }
}

static void run_sql(sqlite3 *db, const char *sql) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        stop(sqlite3_errmsg(db));
    }
}

static taken_t run_bare(const work_t *work, const char *path) {
    sqlite3 *db = NULL;
    sqlite3_stmt *insert = NULL;
    remove_database(path);
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK) {
        stop(sqlite3_errmsg(db));
    }
    run_sql(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;"
                "PRAGMA cache_size = -65536;"
                "CREATE TABLE record (day INTEGER NOT NULL, node INTEGER NOT NULL, epoch INTEGER NOT NULL,"
                " seq INTEGER NOT NULL, type INTEGER NOT NULL, payload BLOB NOT NULL,"
                " PRIMARY KEY (day, node, epoch, seq)) WITHOUT ROWID;");
    if (sqlite3_prepare_v2(db, "INSERT INTO record VALUES (?1, ?2, 1, ?3, 1, ?4)", -1, &insert, NULL) != SQLITE_OK) {
        stop(sqlite3_errmsg(db));
    }
    const size_t rows_per_commit = (size_t)MM_INGEST_COMMIT_MESSAGES * NODES * RECORDS;
    taken_t begin = read_clocks();
    for (size_t index = 0; index < work->row_count; index++) {
        const row_t *row = &work->rows[index];
        if (index % rows_per_commit == 0) {
            run_sql(db, index == 0 ? "BEGIN IMMEDIATE" : "COMMIT; BEGIN IMMEDIATE");
        }
        sqlite3_bind_int64(insert, 1, row->day);
        sqlite3_bind_int64(insert, 2, row->node);
        sqlite3_bind_int64(insert, 3, row->seq);
        sqlite3_bind_blob(insert, 4, row->payload, row->payload_bytes, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE) {
            stop(sqlite3_errmsg(db));
        }
        sqlite3_reset(insert);
    }
    run_sql(db, "COMMIT");
    taken_t taken = since(begin);
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return taken;
}

static void on_ack(void *context, const char *site, const void *bytes, size_t bytes_count) {
    (void)site;
    if (mm_ack_read(bytes, bytes_count, context) != MM_OK) {
        stop("acknowledgement cannot be read");
    }
}

static taken_t run_ingest(const work_t *work, const char *path) {
    mm_hq_error_t error;
    mm_hq_stats_t stats = {0};
    const mm_hq_clock_t clock = {0};
    mm_ack_t ack = {0};
    remove_database(path);
    mm_store_t *store = mm_store_open(path, NULL, &error);
    if (store == NULL) {
        stop(error.text);
    }
    mm_ingest_t *ingest = mm_ingest_create(store, &stats, on_ack, &ack);
    // A frozen clock: commits go by messages, as in the bare loop.
    mm_hq_now_t now = mm_hq_clock_now(&clock);
    taken_t begin = read_clocks();
    for (size_t index = 0; index < work->message_count; index++) {
        mm_ingest_push(ingest, "meter/bench/info", work->messages[index].message, work->messages[index].message_bytes,
                       &now);
    }
    mm_ingest_poll(ingest, &now, true);
    taken_t taken = since(begin);
    if (mm_store_totals(store).records != work->row_count || ack.entry_count != NODES ||
        ack.entries[0].watermark.seq != work->message_count * RECORDS) {
        stop("not everything was stored");
    }
    mm_ingest_destroy(ingest);
    mm_store_close(store);
    return taken;
}

static int compare(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return difference < 0 ? -1 : difference > 0;
}

static void run_pairs(const char *title, int pairs, size_t message_count, const char *path, bool with_snapshots) {
    work_t work;
    double wall_ratios[PAIRS_MAX];
    double cpu_ratios[PAIRS_MAX];
    double cpu_best = 1e9;
    make_work(&work, message_count, with_snapshots);
    for (int pair = 0; pair < pairs; pair++) {
        taken_t bare = run_bare(&work, path);
        taken_t ingest = run_ingest(&work, path);
        wall_ratios[pair] = bare.wall / ingest.wall;
        cpu_ratios[pair] = bare.cpu / ingest.cpu;
        cpu_best = ingest.cpu < cpu_best ? ingest.cpu : cpu_best;
    }
    qsort(wall_ratios, (size_t)pairs, sizeof wall_ratios[0], compare);
    qsort(cpu_ratios, (size_t)pairs, sizeof cpu_ratios[0], compare);
    double rows = (double)work.row_count;
    printf("%s: %zu messages, %zu records of %d meters, %.1f payload bytes each\n", title, message_count,
           work.row_count, MM_CHANNELS, (double)work.payload_bytes / rows);
    printf("  processor: %.2f us a record; of the bare loop's rate %.2f (%.2f to %.2f, %d pairs)\n",
           cpu_best / rows * 1e6, cpu_ratios[pairs / 2], cpu_ratios[0], cpu_ratios[pairs - 1], pairs);
    printf("  wall:      of the bare loop's rate %.2f (%.2f to %.2f)\n", wall_ratios[pairs / 2], wall_ratios[0],
           wall_ratios[pairs - 1]);
    free_work(&work);
}

int main(int argument_count, char **arguments) {
    int pairs = argument_count > 1 ? atoi(arguments[1]) : 5;
    int messages = argument_count > 2 ? atoi(arguments[2]) : 2000;
    char directory[512];
    char path[600];
    snprintf(directory, sizeof directory, "%s/mm-hq-bench-XXXXXX", argument_count > 3 ? arguments[3] : "/tmp");
    if (pairs < 1 || pairs > PAIRS_MAX || messages < 1 || mkdtemp(directory) == NULL) {
        stop("usage: hq_ingest [PAIRS [MESSAGES [DIRECTORY]]]");
    }
    snprintf(path, sizeof path, "%s/bench.db", directory);
    run_pairs("records only (backlog)", pairs, (size_t)messages, path, false);
    run_pairs("with 10 snapshots a message", pairs, (size_t)messages, path, true);
    remove_database(path);
    rmdir(directory);
    return 0;
}
