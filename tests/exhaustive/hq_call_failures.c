// SPDX-License-Identifier: Apache-2.0
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hq_story.h"
#include "ingest.h"
#include "sim/sim_disk.h"
#include "store.h"

// The real ingest and store on the emulated disk, told one story (hq_story.h) again and again: each time another call
// to the disk fails, once or until somebody mends it, or the power is cut inside of it, or SQLite gets no memory, or
// the disk is full. HQ goes on, or is started again, and what its watermarks do not confirm is sent again. In the end
// every record is there once, and nothing that was ever acknowledged had been lost at any power cut.
//
// What goes before the call is the same in all cases, so it is told once: where the call is made, the process makes a
// copy of itself (fork), and in the copy the call fails. A start that had no memory leaves nothing but the disk; where
// that is byte for byte what another such start left, the rest of the story is known and not told again ("same_disk").
// --only tells its case from the first call to the last.
//
// usage: hq_call_failures [--part K/N] [--only CASE]; MM_EXHAUSTIVE_STRIDE=K takes every K-th case.

#define DATABASE "/hq.db"
#define MENDED_AFTER_TRIES 3
#define PROGRESS_S 5
#define FULL_STEP_BYTES 1000
#define CUTS_PER_CALL 2
#define RECOVERY_CALLS 130  // of a start behind a power cut, seldom more
#define RESTARTED_BEHIND 7  // the message behind which HQ is closed and started in good order
#define CHECKPOINT_PAGES 40 // several checkpoints and restarts of the WAL in one story
#define LEFT_MAX 64         // one for each version of the schema, and some for the start behind RESTARTED_BEHIND

// A sanitizer's memory takes long to copy, and to look through for leaks at the end of every copy.
#ifdef __SANITIZE_ADDRESS__
#define COPIES_ARE_CHEAP false
#else
#define COPIES_ARE_CHEAP true
#endif

/// What happens at the N-th call.
typedef enum {
    FAIL_ONCE,
    FAIL_FOR_EVER,
    FAIL_THEN_CUT, ///< once, and a power cut behind the next acknowledgement
    CUT,
    CUT_TWICE, ///< and again inside the recovery
    FULL,
    NO_MEMORY,
} manner_t;

#define MANNERS (NO_MEMORY + 1)

typedef struct {
    manner_t manner;
    unsigned kinds;
    uint64_t n;
    uint64_t seed;
} case_t;

static const char *const s_manners[MANNERS] = {"once", "for_ever", "then_cut", "cut", "cut_twice", "full", "no_memory"};
static const char *const s_kinds[MM_SIM_DISK_KINDS] = {"open",     "read",   "write",  "truncate",   "sync",
                                                       "size",     "lock",   "unlock", "check_lock", "shm_map",
                                                       "shm_lock", "delete", "access", "path"};

typedef struct {
    const case_t *what;
    mm_sim_disk_t *disk;
    mm_store_t *store;
    mm_ingest_t *ingest;
    mm_hq_stats_t stats;
    int64_t now_us;
    mm_position_t acked[STORY_NODES]; ///< as the sites know
    bool faulty;                      ///< a fault is armed or under way
    unsigned tries;                   ///< since the disk began to fail
    unsigned starts;
    bool cut_due;
    bool told_again;
    bool is_known; ///< what comes is known from another case
    uint64_t failures_before;
} hq_t;

static struct {
    story_t story;
    const char *only;
    uint64_t part; ///< 1 … parts
    uint64_t parts;
    uint64_t stride;
    const case_t *current;
    int64_t schema_chars; ///< of a database that was made undisturbed
    time_t progress_at;
} s_all;

/// What a start without memory left, and how many starts there had been.
typedef struct {
    unsigned starts;
    uint32_t disk_checksum;
    int64_t disk_bytes;
} left_t;

typedef struct {
    uint64_t runs;
    uint64_t crashes;
    uint64_t met[MANNERS]; ///< runs in which it happened
    uint64_t same_disk;
    bool copy_met; ///< the last copy's call was reached
    uint64_t lost;
    uint64_t counted_twice;
    uint64_t broken;
    left_t left[LEFT_MAX]; ///< each told to the end
    size_t left_count;
} sum_t;

static sum_t *s_sum; ///< of this process and its copies

// --- cases and their copies of the process

static void print_case(char *text, size_t text_bytes, const case_t *what) {
    const char *kind = "any";
    for (unsigned index = 0; index < MM_SIM_DISK_KINDS; index++) {
        kind = what->kinds == 1u << index ? s_kinds[index] : kind;
    }
    snprintf(text, text_bytes, "%s/%s/%llu/%llu", s_manners[what->manner], kind, (unsigned long long)what->n,
             (unsigned long long)what->seed);
}

static void report(const case_t *what, const char *problem) {
    char name[96];
    print_case(name, sizeof name, what);
    fprintf(stderr, "hq_call_failures: --only %s: %s\n", name, problem);
}

static void show_progress(const case_t *what) {
    time_t at = time(NULL);
    if (at >= s_all.progress_at) {
        char name[96];
        print_case(name, sizeof name, what);
        fprintf(stderr, "hq_call_failures: %llu runs, at %s\n", (unsigned long long)s_sum->runs, name);
        s_all.progress_at = at + PROGRESS_S;
    }
}

static bool s_is_copy;

// Makes a copy of this process for the case that is told now. True in the copy; in the original when the copy has
// ended.
static bool branch(void) {
    fflush(NULL);
    pid_t pid = fork();
    MM_ASSERT(pid >= 0);
    if (pid == 0) {
        s_is_copy = true;
        return true;
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        s_sum->broken++;
        report(s_all.current, "its process did not end well");
    }
    show_progress(s_all.current);
    return false;
}

// --- SQLite's memory

static sqlite3_mem_methods s_memory;
static bool s_memory_armed;
static uint64_t s_memory_after;
static uint64_t s_memory_failures;
static case_t *s_branching; ///< the story that is told untouched; `n` is the next call that fails in a copy

static bool memory_fails(void) {
    if (!s_memory_armed) {
        return false;
    }
    if (s_memory_after > 0) {
        s_memory_after--;
        return false;
    }
    if (s_branching != NULL && !branch()) {
        s_branching->n += s_all.parts * s_all.stride;
        s_memory_after = s_all.parts * s_all.stride - 1;
        return false;
    }
    s_memory_armed = false;
    s_memory_failures++;
    return true;
}

static void *memory_new(int bytes_count) {
    return memory_fails() ? NULL : s_memory.xMalloc(bytes_count);
}

static void *memory_resize(void *memory, int bytes_count) {
    return memory_fails() ? NULL : s_memory.xRealloc(memory, bytes_count);
}

static void hook_memory(void) {
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &s_memory);
    sqlite3_mem_methods hooked = s_memory;
    hooked.xMalloc = memory_new;
    hooked.xRealloc = memory_resize;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &hooked);
}

// --- findings

static void broken(const hq_t *hq, const char *problem) {
    s_sum->broken++;
    report(hq->what, problem);
}

static void on_log(void *context, const char *message) {
    (void)context;
    if (s_all.only != NULL) {
        fprintf(stderr, "  hq: %s\n", message);
    }
}

static bool is_behind(mm_position_t a, mm_position_t b) {
    return mm_position_compare(a, b) > 0;
}

// --- what is in the database

typedef struct {
    unsigned records[STORY_RECORDS_MAX]; ///< how often each of the story's is there
    unsigned strange;                    ///< others
} found_t;

static unsigned node_of(const void *mac, int mac_bytes) {
    for (unsigned node = 0; node < STORY_NODES && mac_bytes == 6; node++) {
        if (memcmp(mac, story_mac(node).bytes, 6) == 0) {
            return node;
        }
    }
    return STORY_NODES;
}

static void count_row(found_t *found, sqlite3_stmt *row) {
    unsigned node = node_of(sqlite3_column_blob(row, 0), sqlite3_column_bytes(row, 0));
    const story_record_t *record =
        story_find(&s_all.story, node, (uint32_t)sqlite3_column_int64(row, 1), (uint32_t)sqlite3_column_int64(row, 2));
    if (record == NULL || record->type != sqlite3_column_int(row, 3) ||
        record->payload_bytes != (size_t)sqlite3_column_bytes(row, 4) ||
        memcmp(record->payload, sqlite3_column_blob(row, 4), record->payload_bytes) != 0) {
        found->strange++;
        return;
    }
    found->records[record - s_all.story.records]++;
}

// On a connection of its own, so that nothing the store remembers can hide what is there.
static sqlite3 *look(const hq_t *hq) {
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(DATABASE, &db, SQLITE_OPEN_READWRITE, mm_sim_disk_vfs_name(hq->disk)) != SQLITE_OK) {
        broken(hq, "the database cannot be opened for a look");
    }
    return db;
}

static int64_t integer(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        value = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return value;
}

static found_t find_records(const hq_t *hq, sqlite3 *db) {
    found_t found = {.strange = 0};
    sqlite3_stmt *rows = NULL;
    int code = sqlite3_prepare_v2(db,
                                  "SELECT n.mac, r.epoch, r.seq, r.type, r.payload FROM record r"
                                  " JOIN node n ON n.id = r.node",
                                  -1, &rows, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(rows)) == SQLITE_ROW) {
        count_row(&found, rows);
        code = SQLITE_OK;
    }
    sqlite3_finalize(rows);
    if (code != SQLITE_DONE) {
        broken(hq, "the records cannot be read");
    }
    return found;
}

// `everything`: all of the story must be there, else what was acknowledged.
static void check_records(hq_t *hq, sqlite3 *db, bool everything) {
    char text[160];
    found_t found = find_records(hq, db);
    for (size_t index = 0; index < s_all.story.record_count; index++) {
        const story_record_t *record = &s_all.story.records[index];
        bool due = everything || !is_behind(record->position, hq->acked[record->node]);
        if (found.records[index] > 1) {
            s_sum->counted_twice++;
        } else if (found.records[index] == 0 && due) {
            s_sum->lost++;
        } else {
            continue;
        }
        snprintf(text, sizeof text, "record %u/%u of node %u is there %u times%s", record->position.epoch,
                 record->position.seq, record->node, found.records[index],
                 everything ? "" : " behind its acknowledgement");
        report(hq->what, text);
    }
    if (found.strange > 0) {
        broken(hq, "records that nobody sent");
    }
}

static void check_count(const hq_t *hq, sqlite3 *db, const char *sql, int64_t wanted) {
    int64_t found = integer(db, sql);
    if (found != wanted) {
        char text[160];
        snprintf(text, sizeof text, "%s: %lld, wanted %lld", sql, (long long)found, (long long)wanted);
        s_sum->lost += found < wanted;
        s_sum->counted_twice += found > wanted;
        report(hq->what, text);
    }
}

static int64_t schema_chars(sqlite3 *db) {
    return integer(db, "SELECT sum(length(sql)) FROM sqlite_schema");
}

static void check_rules(hq_t *hq) {
    mm_hq_error_t error;
    if (!mm_store_check(hq->store, &error)) {
        broken(hq, error.text);
    }
}

static bool is_confirmed(const hq_t *hq) {
    bool confirmed = true;
    for (unsigned node = 0; node < STORY_NODES; node++) {
        confirmed &= mm_position_compare(hq->acked[node], s_story_watermarks[node]) == 0;
    }
    return confirmed;
}

static void check_all(hq_t *hq) {
    sqlite3 *db = look(hq);
    if (schema_chars(db) != s_all.schema_chars) {
        broken(hq, "the schema is not the whole one");
    }
    check_records(hq, db, true);
    check_count(hq, db, "SELECT count(*) FROM legacy_reading", STORY_LEGACY_READINGS);
    check_count(hq, db, "SELECT count(*) FROM legacy_meter", STORY_LEGACY_READINGS);
    check_count(hq, db, "SELECT count(*) FROM event", STORY_EVENTS);
    check_count(hq, db, "SELECT count(*) FROM month", STORY_MONTHS);
    check_count(hq, db, "SELECT count(*) FROM thinned", STORY_THINNED);
    check_count(hq, db, "SELECT count(*) FROM gap WHERE explained", STORY_GAPS);
    check_count(hq, db, "SELECT count(*) FROM gap WHERE NOT explained", 0);
    check_count(hq, db, "SELECT count(*) FROM snapshot", STORY_NODES);
    check_count(hq, db, "SELECT count(*) FROM node", STORY_NODES);
    // Whole transactions are done again, never parts of them.
    if (mm_sim_disk_crashes(hq->disk) == 0 && hq->starts == 2 && !hq->told_again) {
        check_count(hq, db, "SELECT count(*) FROM notice", STORY_NOTICES);
        check_count(hq, db, "SELECT quarantined FROM total", STORY_QUARANTINED);
    }
    sqlite3_close(db);
    check_rules(hq);
    if (!is_confirmed(hq)) {
        broken(hq, "the last acknowledgement is not the story's end");
    }
}

// --- HQ

static void on_ack(void *context, const char *site, const void *bytes, size_t bytes_count) {
    (void)site;
    hq_t *hq = context;
    mm_ack_t ack;
    if (mm_ack_read(bytes, bytes_count, &ack) != MM_OK) {
        broken(hq, "an acknowledgement that cannot be read");
        return;
    }
    for (size_t index = 0; index < ack.entry_count; index++) {
        unsigned node = node_of(ack.entries[index].node.bytes, 6);
        if (node == STORY_NODES || is_behind(hq->acked[node], ack.entries[index].watermark)) {
            broken(hq, "a watermark went back");
        } else {
            hq->acked[node] = ack.entries[index].watermark;
        }
    }
    hq->cut_due =
        hq->what->manner == FAIL_THEN_CUT && hq->faulty && mm_sim_disk_failures(hq->disk) > hq->failures_before;
}

static mm_hq_now_t now(const hq_t *hq) {
    return (mm_hq_now_t){hq->now_us, STORY_UTC_S * 1000000 + hq->now_us, STORY_UTC_S * 1000000 + hq->now_us};
}

static void mend(hq_t *hq) {
    if (hq->what->manner == FAIL_ONCE || hq->what->manner == FAIL_FOR_EVER || hq->what->manner == FULL) {
        mm_sim_disk_fail(hq->disk, 0, 0, 0);
        mm_sim_disk_set_full(hq->disk, -1);
    }
    hq->tries = 0;
}

static void stop(hq_t *hq) {
    mm_ingest_destroy(hq->ingest);
    mm_store_close(hq->store);
    hq->ingest = NULL;
    hq->store = NULL;
}

// A process that has ended leaves the disk and nothing else: what is told from here on depends on it alone. True if it
// was told already.
static bool is_known(const hq_t *hq) {
    if (s_all.only != NULL || hq->what->manner != NO_MEMORY || sqlite3_memory_used() != 0) {
        return false;
    }
    const left_t left = {hq->starts, mm_sim_disk_checksum(hq->disk), mm_sim_disk_used_bytes(hq->disk)};
    for (size_t index = 0; index < s_sum->left_count; index++) {
        const left_t *other = &s_sum->left[index];
        if (other->starts == left.starts && other->disk_checksum == left.disk_checksum &&
            other->disk_bytes == left.disk_bytes) {
            return true;
        }
    }
    if (s_sum->left_count < LEFT_MAX) {
        s_sum->left[s_sum->left_count++] = left;
    }
    return false;
}

// As hq.c starts; it ends with an error, and whoever watches it starts it again. False: the power was cut, or what
// comes is known.
static bool start(hq_t *hq) {
    const mm_store_options_t options = {.vfs = mm_sim_disk_vfs_name(hq->disk),
                                        .busy_timeout_ms = 1,
                                        .database_id = 4711,
                                        .checkpoint_pages = CHECKPOINT_PAGES};
    for (;;) {
        mm_hq_error_t error = {{0}};
        hq->starts++;
        hq->store = mm_store_open(DATABASE, &options, &error);
        if (hq->store != NULL && mm_store_set_default_tz(hq->store, "CET-1") == MM_STORE_OK) {
            hq->ingest = mm_ingest_create(hq->store, &hq->stats, on_ack, hq);
            mm_hq_now_t at = now(hq);
            mm_ingest_ack_all(hq->ingest, &at);
            return !mm_sim_disk_is_off(hq->disk);
        }
        on_log(NULL, hq->store == NULL ? error.text : mm_store_error(hq->store));
        stop(hq);
        hq->is_known = is_known(hq);
        if (hq->is_known || mm_sim_disk_is_off(hq->disk)) {
            return false;
        }
        if (++hq->tries == MENDED_AFTER_TRIES) {
            mend(hq);
        } else if (hq->tries > MENDED_AFTER_TRIES) {
            broken(hq, "HQ does not start on a good disk");
            return false;
        }
    }
}

static bool is_cut(const hq_t *hq) {
    return mm_sim_disk_is_off(hq->disk) || hq->cut_due;
}

// All that the sites have, from a message on; `again`: only what HQ has not confirmed. False: the power was cut.
static bool tell(hq_t *hq, bool again) {
    for (size_t index = 0; index < s_all.story.message_count; index++) {
        const story_message_t *message = &s_all.story.messages[index];
        bool wanted = !again || message->is_legacy;
        for (unsigned node = 0; node < STORY_NODES; node++) {
            wanted |= is_behind(message->last[node], hq->acked[node]);
        }
        if (!wanted) {
            continue;
        }
        mm_hq_now_t at = now(hq);
        mm_ingest_push(hq->ingest, message->topic, message->bytes, message->bytes_count, &at);
        if (index % 2 == 1) {
            mm_ingest_poll(hq->ingest, &at, true);
        }
        hq->now_us += MM_INGEST_COMMIT_US / 3;
        if (is_cut(hq)) {
            return false;
        }
        if (index == RESTARTED_BEHIND && !again && atomic_load(&hq->stats.messages_pending) == 0) {
            stop(hq);
            if (is_cut(hq) || !start(hq)) {
                return false;
            }
        }
    }
    return true;
}

// Until nothing waits. False: the power was cut.
static bool drain(hq_t *hq) {
    for (unsigned turn = 0; turn < 3 * MENDED_AFTER_TRIES; turn++) {
        int64_t deadline_us = mm_ingest_next_deadline_us(hq->ingest);
        hq->now_us = deadline_us != INT64_MAX && deadline_us > hq->now_us ? deadline_us : hq->now_us;
        mm_hq_now_t at = now(hq);
        mm_ingest_poll(hq->ingest, &at, true);
        if (is_cut(hq)) {
            return false;
        }
        if (atomic_load(&hq->stats.messages_pending) == 0) {
            return true;
        }
        if (++hq->tries == MENDED_AFTER_TRIES) {
            mend(hq);
        }
    }
    broken(hq, "messages wait for ever on a good disk");
    return true;
}

// --- a power cut, and what comes after it

static void restart(hq_t *hq, uint64_t second_cut) {
    // First the power, then the process: closing must find nothing to write to.
    if (!mm_sim_disk_is_off(hq->disk)) {
        mm_sim_disk_crash(hq->disk);
    }
    stop(hq);
    mm_sim_disk_up(hq->disk);
    hq->faulty = false;
    hq->cut_due = false;
    s_sum->crashes++;
    if (second_cut > 0) {
        mm_sim_disk_cut_after(hq->disk, MM_SIM_DISK_ALL, second_cut - 1);
    }
    atomic_store(&hq->stats.messages_pending, 0);
    if (!start(hq)) {
        if (hq->store == NULL && !mm_sim_disk_is_off(hq->disk)) {
            return;
        }
        restart(hq, 0);
        return;
    }
    mm_sim_disk_cut_after(hq->disk, 0, 0);
}

static void check_acknowledged(hq_t *hq) {
    sqlite3 *db = look(hq);
    check_records(hq, db, false);
    sqlite3_close(db);
}

// --- one case

// Behind `after` good calls.
static void arm(hq_t *hq, uint64_t after) {
    const case_t *what = hq->what;
    hq->faulty = true;
    hq->failures_before = mm_sim_disk_failures(hq->disk);
    s_memory_failures = 0;
    switch (what->manner) {
    case FAIL_ONCE:
    case FAIL_THEN_CUT:
        mm_sim_disk_fail(hq->disk, what->kinds, after, 1);
        break;
    case FAIL_FOR_EVER:
        mm_sim_disk_fail(hq->disk, what->kinds, after, UINT64_MAX);
        break;
    case CUT:
    case CUT_TWICE:
        mm_sim_disk_cut_after(hq->disk, what->kinds, after);
        break;
    case FULL:
        mm_sim_disk_set_full(hq->disk, (int64_t)after * FULL_STEP_BYTES);
        break;
    case NO_MEMORY:
        s_memory_armed = true;
        s_memory_after = after;
        break;
    }
}

static void disarm(hq_t *hq) {
    mm_sim_disk_fail(hq->disk, 0, 0, 0);
    mm_sim_disk_cut_after(hq->disk, 0, 0);
    mm_sim_disk_set_full(hq->disk, -1);
    s_memory_armed = false;
    hq->faulty = false;
}

// Was the call reached at all?
static bool is_met(const hq_t *hq) {
    switch (hq->what->manner) {
    case CUT:
    case CUT_TWICE:
        return mm_sim_disk_crashes(hq->disk) > 0;
    case NO_MEMORY:
        return s_memory_failures > 0;
    default:
        return mm_sim_disk_failures(hq->disk) > hq->failures_before;
    }
}

static void check_untouched(const hq_t *hq, bool lives) {
    if (!lives || hq->starts != 2 || !is_confirmed(hq)) {
        broken(hq, "the untouched story does not go as it should");
    }
}

// What there is to do and to check when the story has been told, or was cut short.
static void recover_and_check(hq_t *hq, bool lives) {
    const case_t *what = hq->what;
    if (!lives) {
        restart(hq, what->manner == CUT_TWICE ? 1 + (what->n * 7 + what->seed * 13) % RECOVERY_CALLS : 0);
        if (hq->store != NULL) {
            check_acknowledged(hq);
        }
    }
    // Sites send again what is not confirmed: what the cut took, and what is stored but could not be acknowledged.
    if (hq->store != NULL && (!lives || !is_confirmed(hq))) {
        hq->told_again = true;
        tell(hq, true);
        drain(hq);
    }
    if (hq->store != NULL) {
        check_all(hq);
    }
    // What was acknowledged must outlive a power cut, too; want of memory has no part in that.
    if (hq->store != NULL && what->manner != NO_MEMORY) {
        restart(hq, 0);
        if (hq->store != NULL) {
            check_all(hq);
        }
    }
}

static void begin(hq_t *hq, const case_t *what) {
    *hq = (hq_t){.what = what};
    s_all.current = what;
    hq->disk = mm_sim_disk_create("hq", what->seed);
    MM_ASSERT(hq->disk != NULL);
}

// True if the call was reached.
static bool end(hq_t *hq, bool lives) {
    bool met = is_met(hq);
    if (!met) {
        check_untouched(hq, lives);
    }
    disarm(hq);
    if (!hq->is_known) {
        recover_and_check(hq, lives);
    }
    stop(hq);
    mm_sim_disk_destroy(hq->disk);
    if (sqlite3_memory_used() != 0) {
        broken(hq, "SQLite's memory is not given back");
    }
    s_sum->runs++;
    s_sum->same_disk += hq->is_known;
    s_sum->met[hq->what->manner] += met;
    return met;
}

static bool run_case(const case_t *what) {
    hq_t hq;
    begin(&hq, what);
    arm(&hq, what->n);
    bool lives = start(&hq) && tell(&hq, false) && drain(&hq);
    return end(&hq, lives);
}

// --- all cases

static void learn_schema(void) {
    const case_t what = {.seed = 1};
    hq_t hq;
    begin(&hq, &what);
    bool lives = start(&hq);
    MM_ASSERT(lives);
    sqlite3 *db = look(&hq);
    s_all.schema_chars = schema_chars(db);
    sqlite3_close(db);
    stop(&hq);
    mm_sim_disk_destroy(hq.disk);
}

// The calls behind HQ's first start. Returns the first of them.
static uint64_t run_calls_behind_start(case_t what, uint64_t step) {
    hq_t hq;
    begin(&hq, &what);
    bool lives = start(&hq);
    MM_ASSERT(lives);
    uint64_t first = mm_sim_disk_calls(hq.disk, what.kinds);
    if (what.n < first) {
        what.n += (first - what.n + step - 1) / step * step;
    }
    for (s_sum->copy_met = true; s_sum->copy_met; what.n += step) {
        s_sum->copy_met = false;
        if (branch()) {
            arm(&hq, what.n - first);
            lives = tell(&hq, false) && drain(&hq);
            s_sum->copy_met = end(&hq, lives);
            exit(0);
        }
    }
    stop(&hq);
    mm_sim_disk_destroy(hq.disk);
    return first;
}

// From the first call on in every case: N = 1, 2, 3 … until a run passes untouched.
static void run_whole(case_t what) {
    what.n = (s_all.part - 1) * s_all.stride;
    while (run_case(&what)) {
        what.n += s_all.parts * s_all.stride;
        show_progress(&what);
    }
}

// The N-th call to the disk.
static void run_calls(case_t what) {
    const uint64_t step = s_all.parts * s_all.stride;
    if (!COPIES_ARE_CHEAP) {
        run_whole(what);
        return;
    }
    what.n = (s_all.part - 1) * s_all.stride;
    uint64_t behind_start = run_calls_behind_start(what, step);
    for (; what.n < behind_start; what.n += step) {
        run_case(&what);
        show_progress(&what);
    }
}

// The N-th call for memory; with copies, the story is told untouched once.
static void run_memory_calls(void) {
    case_t what = {.manner = NO_MEMORY, .kinds = MM_SIM_DISK_ALL, .n = (s_all.part - 1) * s_all.stride, .seed = 1};
    if (!COPIES_ARE_CHEAP) {
        run_whole(what);
        return;
    }
    s_branching = &what;
    run_case(&what);
    if (s_is_copy) {
        exit(0);
    }
    s_branching = NULL;
}

static void run_all(void) {
    for (unsigned kind = 0; kind < MM_SIM_DISK_KINDS; kind++) {
        for (manner_t manner = FAIL_ONCE; manner <= FAIL_THEN_CUT; manner++) {
            run_calls((case_t){.manner = manner, .kinds = 1u << kind, .seed = kind + 1});
        }
    }
    for (uint64_t seed = 1; seed <= CUTS_PER_CALL; seed++) {
        run_calls((case_t){.manner = CUT, .kinds = MM_SIM_DISK_ALL, .seed = seed});
        run_calls((case_t){.manner = CUT_TWICE, .kinds = MM_SIM_DISK_ALL, .seed = seed});
    }
    run_whole((case_t){.manner = FULL, .kinds = MM_SIM_DISK_ALL, .seed = 1});
    run_memory_calls();
}

// --- the program

static bool find_name(const char *name, size_t chars, const char *const *names, unsigned count, unsigned *found) {
    for (*found = 0; *found < count; (*found)++) {
        if (strlen(names[*found]) == chars && strncmp(names[*found], name, chars) == 0) {
            return true;
        }
    }
    return false;
}

// manner/kind/n/seed
static bool parse_case(const char *text, case_t *what) {
    char manner[32];
    char kind[32];
    unsigned long long n;
    unsigned long long seed;
    unsigned index;
    if (sscanf(text, "%31[^/]/%31[^/]/%llu/%llu", manner, kind, &n, &seed) != 4) {
        return false;
    }
    *what = (case_t){.kinds = MM_SIM_DISK_ALL, .n = n, .seed = seed};
    if (!find_name(manner, strlen(manner), s_manners, MANNERS, &index)) {
        return false;
    }
    what->manner = (manner_t)index;
    if (find_name(kind, strlen(kind), s_kinds, MM_SIM_DISK_KINDS, &index)) {
        what->kinds = 1u << index;
    }
    return true;
}

static bool parse_arguments(int argc, char **argv, case_t *only) {
    const char *stride = getenv("MM_EXHAUSTIVE_STRIDE");
    s_all.part = 1;
    s_all.parts = 1;
    s_all.stride = stride != NULL ? strtoull(stride, NULL, 10) : 1;
    for (int index = 1; index + 1 < argc; index += 2) {
        unsigned long long part = 0;
        unsigned long long parts = 0;
        if (strcmp(argv[index], "--part") == 0 && sscanf(argv[index + 1], "%llu/%llu", &part, &parts) == 2) {
            s_all.part = part;
            s_all.parts = parts;
        } else if (strcmp(argv[index], "--only") == 0 && parse_case(argv[index + 1], only)) {
            s_all.only = argv[index + 1];
        } else {
            return false;
        }
    }
    return argc % 2 == 1 && s_all.part >= 1 && s_all.part <= s_all.parts && s_all.stride >= 1;
}

// Where the program is linked without tests, ports or apps that bring their own.
__attribute__((weak)) _Noreturn void mm_assert_failed(const char *place) {
    if (s_all.current != NULL) {
        report(s_all.current, "the next line");
    }
    fprintf(stderr, "%s: assertion failed\n", place);
    abort();
}

int main(int argc, char **argv) {
    case_t only;
    if (!parse_arguments(argc, argv, &only)) {
        fprintf(stderr, "usage: hq_call_failures [--part K/N] [--only MANNER/KIND/N/SEED]\n");
        return 2;
    }
    s_sum = mmap(NULL, sizeof *s_sum, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MM_ASSERT(s_sum != MAP_FAILED);
    hook_memory();
    mm_hq_log_set_sink(on_log, NULL);
    story_tell(&s_all.story);
    learn_schema();
    if (s_all.only != NULL) {
        fprintf(stderr, "the call is %s\n", run_case(&only) ? "reached" : "not reached");
    } else {
        run_all();
        for (unsigned manner = 0; manner < MANNERS; manner++) {
            if (s_sum->met[manner] == 0) {
                s_sum->broken++;
                fprintf(stderr, "hq_call_failures: %s never happened\n", s_manners[manner]);
            }
        }
    }
    printf("exhaustive: name=hq_call_failures part=%llu/%llu runs=%llu", (unsigned long long)s_all.part,
           (unsigned long long)s_all.parts, (unsigned long long)s_sum->runs);
    for (unsigned manner = 0; manner < MANNERS; manner++) {
        printf(" %s=%llu", s_manners[manner], (unsigned long long)s_sum->met[manner]);
    }
    printf(" same_disk=%llu crashes=%llu broken=%llu lost=%llu counted_twice=%llu\n",
           (unsigned long long)s_sum->same_disk, (unsigned long long)s_sum->crashes, (unsigned long long)s_sum->broken,
           (unsigned long long)s_sum->lost, (unsigned long long)s_sum->counted_twice);
    return s_sum->broken == 0 && s_sum->lost == 0 && s_sum->counted_twice == 0 ? 0 : 1;
}
