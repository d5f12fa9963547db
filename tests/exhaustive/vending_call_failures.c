// SPDX-License-Identifier: Apache-2.0
#include "enumeration.h"

#include "desk.h"
#include "device_keys.h"
#include "sim/sim_disk.h"
#include "store_internal.h"
#include "swaps.h"
#include "tariffs.h"
#include "vending.h"

// Two sales, a void and the records that answer them, and two swaps of the meter, on the emulated disk: each time
// another call to the disk fails, or the power is cut inside of it. Whoever asked asks again under the same id, until
// there is an answer. In the end everything was sold once, paid once, taken once and moved once, and whatever was
// answered before the power cut still holds.
//
// usage: vending_call_failures [--part K/N] [--only once:N | for_ever:N | cut:N]

#define DATABASE "/hq.db"
#define NOW_US INT64_C(1700000100000000)
#define TRIES_MAX 12
#define MENDED_AFTER_TRIES 3

typedef enum {
    ONCE,
    FOR_EVER,
    CUT,
    MANNERS,
} manner_t;

typedef struct {
    manner_t manner;
    uint64_t n;
} case_t;

static const char *const s_manners[MANNERS] = {"once", "for_ever", "cut"};

static struct {
    mm_sim_disk_t *disk;
    mm_sim_disk_backup_t *backup;
    mm_store_t *store;
    mm_desk_t *desk;
    mm_sale_t sales[2]; ///< as they were answered first
    bool met;           ///< the fault happened
    uint64_t met_count;
    uint64_t crashes;
} s_all;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            enumeration_fail(#condition, __FILE__, __LINE__);                                                          \
        }                                                                                                              \
    } while (0)

// --- HQ

static void close_hq(void) {
    mm_desk_close(s_all.desk);
    mm_store_close(s_all.store);
    s_all.desk = NULL;
    s_all.store = NULL;
}

static bool open_hq(void) {
    mm_hq_error_t error;
    const mm_store_options_t options = {
        .vfs = mm_sim_disk_vfs_name(s_all.disk), .busy_timeout_ms = 1, .database_id = 4711};
    s_all.store = mm_store_open(DATABASE, &options, &error);
    s_all.desk = s_all.store != NULL ? mm_desk_open(options.vfs, DATABASE, &error) : NULL;
    return s_all.desk != NULL;
}

// After something failed: what is broken is mended at last, and HQ is started again if its power was cut.
static void recover(unsigned tries) {
    if (mm_sim_disk_is_off(s_all.disk)) {
        close_hq();
        mm_sim_disk_up(s_all.disk);
        s_all.crashes++;
    } else if (tries == MENDED_AFTER_TRIES) {
        mm_sim_disk_fail(s_all.disk, 0, 0, 0);
    }
    if (s_all.desk == NULL) {
        close_hq();
        open_hq();
    }
}

// --- the story

static mm_desk_result_t sell(unsigned which) {
    mm_sale_t sale;
    mm_hq_error_t error;
    const mm_vend_request_t request = {.request = which == 0 ? "r1" : "r2",
                                       .meter = "M-1",
                                       .amount_wh = which == 0 ? 5000 : 0,
                                       .money_minor = which == 0 ? 0 : 100,
                                       .operator_name = "ann"};
    mm_desk_result_t result = mm_vend(s_all.desk, &request, NOW_US, &sale, &error);
    if (result == MM_DESK_OK) {
        if (s_all.sales[which].id == 0) {
            s_all.sales[which] = sale;
        }
        // Told once, the token stays.
        CHECK(s_all.sales[which].id == sale.id && strcmp(s_all.sales[which].token, sale.token) == 0);
    }
    return result;
}

static mm_desk_result_t sell_first(void) {
    return sell(0);
}

static mm_desk_result_t sell_second(void) {
    return sell(1);
}

static mm_desk_result_t take_back(void) {
    mm_hq_error_t error;
    return mm_vend_void(s_all.desk, s_all.sales[0].id, "ann", NOW_US, &error);
}

// Records come until HQ has committed them.
static mm_desk_result_t take_record(uint32_t seq, uint8_t movement, const mm_sale_t *sale) {
    const mm_credit_record_t record = {.movement = movement,
                                       .era = 7,
                                       .counter = seq,
                                       .purchase_id = (uint64_t)sale->id,
                                       .count = sale->count,
                                       .amount_wh = movement == MM_MOVEMENT_VOID ? 0 : sale->amount_wh,
                                       .life_pulses = seq};
    bool good = mm_store_begin(s_all.store) == MM_STORE_OK &&
                mmi_hq_vending_take_credit(s_all.store, 1, (mm_position_t){1, seq}, &record, NOW_US) &&
                mm_store_commit(s_all.store, NOW_US) == MM_STORE_OK;
    if (!good) {
        mm_store_rollback(s_all.store);
    }
    return good ? MM_DESK_OK : MM_DESK_UNAVAILABLE;
}

static mm_desk_result_t take_void(void) {
    return take_record(1, MM_MOVEMENT_VOID, &s_all.sales[0]);
}

static mm_desk_result_t take_credit(void) {
    return take_record(2, MM_MOVEMENT_NETWORK, &s_all.sales[1]);
}

static mm_desk_result_t write_books(void) {
    mm_hq_error_t error;
    return mm_books_write_day(s_all.desk, NOW_US, false, &error);
}

// A report says that another meter is on the channel. Said again, it is the same swap.
static mm_desk_result_t change_meter(const char *before, const char *after) {
    char sql[128];
    snprintf(sql, sizeof sql, "UPDATE meter_credit SET balance_wh = 3000; UPDATE meter SET id = '%s' WHERE node = 1",
             after);
    bool good = mm_store_begin(s_all.store) == MM_STORE_OK &&
                sqlite3_exec(s_all.store->db, sql, NULL, NULL, NULL) == SQLITE_OK &&
                mmi_hq_swaps_take(s_all.store, 1, 0, before, after, (mm_position_t){1, 1}, NOW_US) &&
                mm_store_commit(s_all.store, NOW_US) == MM_STORE_OK;
    if (!good) {
        mm_store_rollback(s_all.store);
    }
    return good ? MM_DESK_OK : MM_DESK_UNAVAILABLE;
}

static mm_desk_result_t change_first(void) {
    return change_meter("M-1", "M-2");
}

static mm_desk_result_t change_second(void) {
    return change_meter("M-2", "M-3");
}

static mm_desk_result_t transfer(void) {
    mm_hq_error_t error;
    bool repeated;
    return mm_swaps_decide(s_all.desk, 1, MM_SWAPS_TRANSFER, "s1", "ann", NOW_US, &repeated, &error);
}

static mm_desk_result_t withdraw(void) {
    mm_hq_error_t error;
    bool repeated;
    return mm_swaps_decide(s_all.desk, 2, MM_SWAPS_WITHDRAW, "s2", "ann", NOW_US, &repeated, &error);
}

static void tell(void) {
    mm_desk_result_t (*const steps[])(void) = {sell_first,  sell_second, take_back,    take_void, sell_first,
                                               take_credit, write_books, change_first, transfer,  change_second,
                                               transfer,    withdraw,    sell_second,  transfer,  withdraw};
    for (size_t index = 0; index < sizeof steps / sizeof steps[0]; index++) {
        mm_desk_result_t result = MM_DESK_UNAVAILABLE;
        for (unsigned tries = 1; tries <= TRIES_MAX && result != MM_DESK_OK; tries++) {
            if (s_all.desk != NULL) {
                result = steps[index]();
                CHECK(result == MM_DESK_OK || result == MM_DESK_UNAVAILABLE);
            }
            if (result != MM_DESK_OK || mm_sim_disk_is_off(s_all.disk)) {
                s_all.met = true;
                recover(tries);
            }
        }
        CHECK(result == MM_DESK_OK);
    }
}

// --- the checks

static int64_t integer(const char *sql) {
    sqlite3_stmt *statement = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(mmi_desk_db(s_all.desk), sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        value = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return value;
}

static bool check_unit(void *context, const mm_ledger_line_t *line) {
    (void)context;
    CHECK(line->debits == line->credits);
    CHECK(line->sums_agree);
    return true;
}

static bool check_line(void *context, const mm_books_line_t *line) {
    (void)context;
    CHECK(line->issued_wh == 8000 && line->applied_wh == 3000 && line->void_wh == 5000);
    CHECK(line->sold_difference_wh == 0);
    return true;
}

static void check_all(void) {
    mm_hq_error_t error;
    mm_sim_disk_fail(s_all.disk, 0, 0, 0);
    mm_sim_disk_cut_after(s_all.disk, 0, 0);
    // On fresh connections, so that nothing remembered can hide what is there.
    close_hq();
    CHECK(open_hq());
    CHECK(integer("SELECT count(*) FROM purchase") == 2);
    CHECK(integer("SELECT count(*) FROM purchase WHERE request = 'r1' AND state = 4") == 1);
    CHECK(integer("SELECT count(*) FROM purchase WHERE request = 'r2' AND state = 3") == 1);
    CHECK(integer("SELECT count(*) FROM command WHERE kind = 17") == 2);
    CHECK(integer("SELECT count(*) FROM command WHERE kind = 18") == 1);
    CHECK(integer("SELECT count(*) FROM movement") == 2);
    CHECK(integer("SELECT count(*) FROM audit WHERE action IN ('sell', 'void')") == 3);
    CHECK(integer("SELECT count(*) FROM books_day") == 1);
    // 5 kWh and 100 ct at 30 ct: 150 and 100 ct paid, 10 kept, 150 to be paid back.
    CHECK(integer("SELECT sum(debits - credits) FROM account WHERE name = 'cash'") == 250000);
    CHECK(integer("SELECT sum(credits - debits) FROM account WHERE name = 'remainder'") == 10000);
    CHECK(integer("SELECT sum(credits - debits) FROM account WHERE name = 'refund'") == 150000);
    // Both swaps, once: 3 kWh of M-1 went to M-2 and from there to M-3; what was kept in money went to M-2.
    CHECK(integer("SELECT count(*) FROM meter_swap") == 2);
    CHECK(integer("SELECT count(*) FROM meter_swap WHERE id = 1 AND state = 'transferred' AND balance_wh = 3000") == 1);
    CHECK(integer("SELECT count(*) FROM meter_swap WHERE id = 2 AND state = 'withdrawn' AND balance_wh = 3000") == 1);
    CHECK(integer("SELECT count(*) FROM incident WHERE name = 'credit_meter_changed'") == 2);
    CHECK(integer("SELECT count(*) FROM audit WHERE action IN ('transfer', 'withdraw credit')") == 2);
    CHECK(integer("SELECT count(*) FROM command WHERE kind = 20") == 2);
    CHECK(integer("SELECT sum(debits - credits) FROM account WHERE name = 'other' AND meter = 'M-1'") == -3000);
    CHECK(integer("SELECT sum(debits - credits) FROM account WHERE name = 'other' AND meter = 'M-2'") == 0);
    CHECK(integer("SELECT sum(debits - credits) FROM account WHERE name = 'other' AND meter = 'M-3'") == 3000);
    CHECK(integer("SELECT sum(debits - credits) FROM account WHERE name = 'moved'") == 0);
    CHECK(integer("SELECT sum(credits - debits) FROM account WHERE name = 'remainder' AND meter = 'M-2'") == 10000);
    CHECK(mm_reconcile(s_all.desk, check_line, NULL, &error) == MM_DESK_OK);
    CHECK(mm_ledger(s_all.desk, check_unit, NULL, &error) == MM_DESK_OK);
    CHECK(mm_store_check(s_all.store, &error));
}

// --- cases

static void run_case(const void *parameter) {
    const case_t *what = parameter;
    s_all.met = false;
    memset(s_all.sales, 0, sizeof s_all.sales);
    CHECK(mm_sim_disk_restore(s_all.disk, s_all.backup));
    CHECK(open_hq());
    uint64_t failures = mm_sim_disk_failures(s_all.disk);
    if (what->manner == CUT) {
        mm_sim_disk_cut_after(s_all.disk, MM_SIM_DISK_ALL, what->n);
    } else {
        mm_sim_disk_fail(s_all.disk, MM_SIM_DISK_ALL, what->n, what->manner == ONCE ? 1 : UINT64_MAX);
    }
    tell();
    s_all.met |= mm_sim_disk_failures(s_all.disk) > failures;
    check_all();
    close_hq();
    s_all.met_count += s_all.met;
}

static void make_backup(void) {
    mm_hq_error_t error = {{0}};
    bool repeated;
    uint8_t key[MM_DEVICE_KEY_BYTES] = {1};
    mm_tariff_t tariff = {.name = "default", .currency = "EUR", .decimals = 2, .tax_ppm = 190000, .band_count = 1};
    tariff.bands[0] = (mm_tariff_band_t){127, 0, 24, 30};
    s_all.disk = mm_sim_disk_create("vending", 1);
    MM_ASSERT(s_all.disk != NULL && open_hq());
    MM_ASSERT(sqlite3_exec(mmi_desk_db(s_all.desk),
                           "INSERT INTO site (name) VALUES ('home');"
                           "INSERT INTO node (site, mac) VALUES (1, x'020000000001');"
                           "INSERT INTO meter VALUES (1, 0, 'M-1');"
                           "INSERT INTO control VALUES (1, 7, 1, 0, 0, 0, 0, 1, 1, 1);"
                           "INSERT INTO meter_credit VALUES (1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1);",
                           NULL, NULL, NULL) == SQLITE_OK);
    MM_ASSERT(mm_tariffs_put(s_all.desk, "t", &tariff, "ann", 1, &repeated, &error) == MM_DESK_OK);
    MM_ASSERT(mm_device_keys_add(s_all.desk, (mm_mac_t){{2, 0, 0, 0, 0, 1}}, key, 1, &error) == MM_DESK_OK);
    close_hq();
    s_all.backup = mm_sim_disk_backup(s_all.disk);
    MM_ASSERT(s_all.backup != NULL);
}

// As many as the story makes without a fault, and some more for what a recovery adds.
static uint64_t count_calls(void) {
    MM_ASSERT(mm_sim_disk_restore(s_all.disk, s_all.backup) && open_hq());
    uint64_t before = mm_sim_disk_calls(s_all.disk, MM_SIM_DISK_ALL);
    tell();
    uint64_t calls = mm_sim_disk_calls(s_all.disk, MM_SIM_DISK_ALL) - before;
    close_hq();
    memset(s_all.sales, 0, sizeof s_all.sales);
    return calls;
}

int main(int argc, char **argv) {
    char figures[96];
    enumeration_begin("vending_call_failures", argc, argv);
    make_backup();
    uint64_t calls = count_calls();
    for (manner_t manner = ONCE; manner < MANNERS; manner++) {
        for (uint64_t n = 0; n < calls; n++) {
            const case_t what = {manner, n};
            if (enumeration_takes("%s:%llu", s_manners[manner], (unsigned long long)n)) {
                enumeration_run(run_case, &what);
            }
        }
    }
    mm_sim_disk_backup_free(s_all.backup);
    mm_sim_disk_destroy(s_all.disk);
    snprintf(figures, sizeof figures, "met=%llu crashes=%llu", (unsigned long long)s_all.met_count,
             (unsigned long long)s_all.crashes);
    return enumeration_end(figures);
}
