// SPDX-License-Identifier: Apache-2.0
#include "enumeration.h"

#include "desk.h"
#include "device_keys.h"
#include "store_internal.h"
#include "tariffs.h"
#include "vending.h"

#include "meshmeter/credit.h"
#include "meshmeter/frame.h"
#include "meshmeter/random.h"

// A million random events of sales and meters: sold, sold again under the same request, taken by network or by token or
// by both, voided, used, reported late, reported twice, carried over, corrected, passed over, lost with an era. The
// real desk and the real books, on a database in memory; the meters' arithmetic is the core's. A model of a few
// integers says after each event what every account must hold; from time to time all meters report, and then what they
// used, by their registers, must be what they took less what they have.
//
// usage: ledger_events [--part K/N] [--only seed:N]

#define WORLDS 100
#define EVENTS 10000
#define NODES 4
#define CHANNELS 2
#define METERS (NODES * CHANNELS)
#define PURCHASES_MAX 6000
#define RECORDS_MAX 8000
#define RECONCILE_EVERY 1000
#define PRICE 31 // minor units per kWh
#define START_US INT64_C(1700000100000000)

typedef enum {
    ISSUED,
    VOIDING,
    APPLIED,
    VOID,
    LOST,
} state_t;

typedef struct {
    int64_t id;
    unsigned meter;
    uint32_t era;
    uint32_t count;
    int64_t amount_wh;
    state_t state; ///< as HQ must see it
} purchase_t;

typedef struct {
    // The meter itself.
    mm_credit_t credit;
    uint32_t pulse_constant;
    uint64_t life_pulses;
    // What HQ must have.
    int64_t issued_wh;
    int64_t pending_wh;
    int64_t applied_wh;
    int64_t void_wh;
    int64_t lost_wh;
    int64_t other_wh;
    int64_t paid_milli;
    int64_t cost_milli;   ///< of all sales
    int64_t refund_milli; ///< of void and lost ones
    uint32_t sold_count;  ///< in this era
    uint32_t told_count;  ///< as it reported
    // The prepayment as HQ's records tell it.
    bool open;
    uint32_t open_era;
    int64_t open_wh;
    uint64_t open_pulses;
} meter_t;

typedef struct {
    uint32_t era;
    uint32_t era_known; ///< by HQ
    uint32_t counter;
    uint32_t first_era;
    uint32_t seq;
    unsigned record_count;
    unsigned sent_count;
    mm_credit_record_t records[RECORDS_MAX / NODES];
} node_t;

static struct {
    mm_random_t random;
    mm_desk_t *desk;
    sqlite3 *db;
    mm_store_t store;
    int64_t now_us;
    node_t nodes[NODES];
    meter_t meters[METERS];
    purchase_t purchases[PURCHASES_MAX];
    unsigned purchase_count;
    unsigned request_no;
    sqlite3_stmt *accounts;
    bool broken;
} s_world;

static struct {
    uint64_t events;
    uint64_t sales;
    uint64_t refused;
    uint64_t applied;
    uint64_t voided;
    uint64_t lost;
    uint64_t late; ///< records of an era that was over
    uint64_t repeats;
    uint64_t skipped; ///< counts that were left out
    uint64_t reconciled;
    uint64_t imbalance;
} s_sum;

static void broken(const char *what, int line) {
    if (!s_world.broken) {
        s_sum.imbalance++;
        s_world.broken = true;
        enumeration_fail(what, __FILE__, line);
    }
}

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            broken(#condition, __LINE__);                                                                              \
        }                                                                                                              \
    } while (0)

static uint32_t below(uint32_t bound) {
    return mm_random_below(&s_world.random, bound);
}

static node_t *node_of(unsigned meter) {
    return &s_world.nodes[meter / CHANNELS];
}

static void execute(const char *sql) {
    char *problem = NULL;
    if (sqlite3_exec(s_world.db, sql, NULL, NULL, &problem) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, problem);
        broken("a statement of the test failed", __LINE__);
        sqlite3_free(problem);
    }
}

// --- what a meter does

// The command that brings a purchase, or takes it back; 0 = it was not by command.
static uint64_t command_of(uint8_t movement, int64_t purchase_id) {
    sqlite3_stmt *query = NULL;
    uint64_t command = 0;
    if (purchase_id != 0 && sqlite3_prepare_v2(s_world.db, "SELECT command, void_command FROM purchase WHERE id = ?",
                                               -1, &query, NULL) == SQLITE_OK) {
        sqlite3_bind_int64(query, 1, purchase_id);
        if (sqlite3_step(query) == SQLITE_ROW) {
            command = (uint64_t)sqlite3_column_int64(query, movement == MM_MOVEMENT_VOID ? 1 : 0);
        }
    }
    sqlite3_finalize(query);
    return command;
}

static void make_record(unsigned meter_no, uint8_t movement, int64_t purchase_id, uint32_t count, int64_t amount_wh) {
    meter_t *meter = &s_world.meters[meter_no];
    node_t *node = node_of(meter_no);
    if (node->record_count == RECORDS_MAX / NODES) {
        return;
    }
    node->records[node->record_count++] = (mm_credit_record_t){
        .channel = (uint8_t)(meter_no % CHANNELS),
        .movement = movement,
        .era = node->era,
        .counter = ++node->counter,
        .purchase_id = (uint64_t)purchase_id,
        .command_id = command_of(movement, purchase_id),
        .count = count,
        .amount_wh = amount_wh,
        .balance_wh = mm_credit_balance_wh(&meter->credit, meter->life_pulses, meter->pulse_constant),
        .applied_wh = meter->credit.applied_wh,
        .life_pulses = meter->life_pulses,
        .at = {(uint64_t)(s_world.now_us / 1000000), MM_TRUST_SYNCED}};
}

static bool has_room(unsigned meter_no) {
    return node_of(meter_no)->record_count + 4 < RECORDS_MAX / NODES;
}

static void add_credit(unsigned meter_no, uint8_t movement, int64_t purchase_id, uint32_t count, int64_t amount_wh) {
    meter_t *meter = &s_world.meters[meter_no];
    if (has_room(meter_no) &&
        mm_credit_add(&meter->credit, amount_wh, meter->life_pulses, meter->pulse_constant) == MM_OK) {
        if (count != 0) {
            mm_token_use(&meter->credit.tokens, movement == MM_MOVEMENT_TOKEN_SET ? MM_TOKEN_SET : MM_TOKEN_ADD, count);
        }
        make_record(meter_no, movement, purchase_id, count, amount_wh);
    }
}

static void begin_prepayment(unsigned meter_no) {
    meter_t *meter = &s_world.meters[meter_no];
    mm_credit_set_prepaid(&meter->credit, true, meter->life_pulses);
    make_record(meter_no, MM_MOVEMENT_PREPAID, 0, 0, 0);
}

// Command or token of a purchase comes to the meter: taken unless its count is used.
static void take(const purchase_t *purchase, uint8_t movement) {
    meter_t *meter = &s_world.meters[purchase->meter];
    bool here = purchase->era == node_of(purchase->meter)->era && has_room(purchase->meter);
    if (!here || mm_token_is_used(&meter->credit.tokens, purchase->count)) {
        return; // of an era that is over, or taken by the other way
    }
    if (movement == MM_MOVEMENT_VOID) {
        mm_token_use(&meter->credit.tokens, MM_TOKEN_ADD, purchase->count);
        make_record(purchase->meter, movement, purchase->id, purchase->count, 0);
    } else {
        add_credit(purchase->meter, movement, movement == MM_MOVEMENT_NETWORK ? purchase->id : 0, purchase->count,
                   purchase->amount_wh);
    }
}

// --- what HQ must make of it

static purchase_t *find(unsigned meter, uint32_t era, uint32_t count) {
    for (unsigned index = s_world.purchase_count; index > 0; index--) {
        purchase_t *purchase = &s_world.purchases[index - 1];
        if (purchase->meter == meter && purchase->era == era && purchase->count == count) {
            return purchase;
        }
    }
    return NULL;
}

static int64_t *place_of(meter_t *meter, state_t state) {
    switch (state) {
    case APPLIED:
        return &meter->applied_wh;
    case VOID:
        return &meter->void_wh;
    case LOST:
        return &meter->lost_wh;
    default:
        return &meter->pending_wh;
    }
}

static void expect_state(purchase_t *purchase, state_t state) {
    meter_t *meter = &s_world.meters[purchase->meter];
    int64_t cost_milli = purchase->amount_wh * PRICE;
    *place_of(meter, purchase->state) -= purchase->amount_wh;
    *place_of(meter, state) += purchase->amount_wh;
    meter->refund_milli -= purchase->state == VOID || purchase->state == LOST ? cost_milli : 0;
    meter->refund_milli += state == VOID || state == LOST ? cost_milli : 0;
    s_sum.applied += state == APPLIED;
    s_sum.voided += state == VOID;
    s_sum.lost += state == LOST;
    purchase->state = state;
}

static void expect_lost(unsigned meter, uint32_t era, uint32_t below_count) {
    for (unsigned index = 0; index < s_world.purchase_count; index++) {
        purchase_t *purchase = &s_world.purchases[index];
        if (purchase->meter == meter && purchase->era == era && purchase->count < below_count &&
            purchase->state <= VOIDING) {
            expect_state(purchase, LOST);
        }
    }
}

static void expect_record(unsigned meter_no, const mm_credit_record_t *record) {
    meter_t *meter = &s_world.meters[meter_no];
    node_t *node = node_of(meter_no);
    purchase_t *purchase = record->count != 0 ? find(meter_no, record->era, record->count) : NULL;
    bool is_sale = record->movement == MM_MOVEMENT_NETWORK || record->movement == MM_MOVEMENT_TOKEN_ADD;
    if ((is_sale || record->movement == MM_MOVEMENT_VOID) && purchase != NULL) {
        expect_state(purchase, is_sale ? APPLIED : VOID);
    } else {
        meter->other_wh += record->amount_wh;
    }
    if (record->movement == MM_MOVEMENT_TOKEN_SET) {
        expect_lost(meter_no, record->era, record->count);
    }
    if (record->era != node->era_known) {
        // HQ has closed this era already: whatever it brought is gone.
        meter->other_wh -= record->amount_wh;
        s_sum.late++;
        return;
    }
    if (record->movement == MM_MOVEMENT_PREPAID) {
        meter->open = true;
        meter->open_era = record->era;
        meter->open_wh = 0;
        meter->open_pulses = record->life_pulses;
    }
    meter->open_wh += record->amount_wh;
}

static void send(node_t *node) {
    if (node->sent_count == node->record_count) {
        return;
    }
    const mm_credit_record_t *record = &node->records[node->sent_count++];
    int64_t node_id = node - s_world.nodes + 1;
    mm_position_t position = {1, ++node->seq};
    execute("BEGIN IMMEDIATE");
    CHECK(mmi_hq_vending_take_credit(&s_world.store, node_id, position, record, s_world.now_us));
    execute("COMMIT");
    expect_record((unsigned)(node_id - 1) * CHANNELS + record->channel, record);
}

// A record that HQ has comes again: at its position, or carried over to another one.
static void send_again(node_t *node) {
    if (node->sent_count == 0) {
        return;
    }
    uint32_t index = below(node->sent_count);
    mm_position_t position = {1, below(2) == 0 ? ++node->seq : 1 + below(node->seq)};
    s_sum.repeats++;
    execute("BEGIN IMMEDIATE");
    CHECK(mmi_hq_vending_take_credit(&s_world.store, node - s_world.nodes + 1, position, &node->records[index],
                                     s_world.now_us));
    execute("COMMIT");
}

static void write_snapshot(unsigned node_no) {
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    mm_report_writer_t writer;
    mm_snapshot_t snapshot = {.boot_no = 1, .oldest = {1, 1}, .next_seq = s_world.nodes[node_no].seq + 1};
    const mm_mac_t mac = {{2, 0, 0, 0, 0, (uint8_t)(node_no + 1)}};
    for (unsigned channel = 0; channel < CHANNELS; channel++) {
        const meter_t *meter = &s_world.meters[node_no * CHANNELS + channel];
        snprintf(snapshot.meters[channel].id, sizeof snapshot.meters[channel].id, "M-%u", node_no * CHANNELS + channel);
        snapshot.meters[channel].pulse_constant = meter->pulse_constant;
        snapshot.meters[channel].life_pulses = meter->life_pulses;
    }
    mm_report_begin(&writer, bytes, sizeof bytes, mac, 1);
    CHECK(mm_report_put_snapshot(&writer, &snapshot) == MM_OK);
    size_t bytes_count = mm_report_finish(&writer);
    sqlite3_stmt *put = NULL;
    sqlite3_prepare_v2(s_world.db, "INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?)", -1, &put, NULL);
    sqlite3_bind_int64(put, 1, node_no + 1);
    sqlite3_bind_int64(put, 2, s_world.now_us);
    sqlite3_bind_blob(put, 3, bytes, (int)bytes_count, SQLITE_STATIC);
    CHECK(sqlite3_step(put) == SQLITE_DONE);
    sqlite3_finalize(put);
}

// The era is over: what HQ can know of it by its records and registers, it writes off.
static void expect_era(unsigned node_no, uint32_t era) {
    node_t *node = &s_world.nodes[node_no];
    for (unsigned channel = 0; channel < CHANNELS; channel++) {
        unsigned meter_no = node_no * CHANNELS + channel;
        meter_t *meter = &s_world.meters[meter_no];
        expect_lost(meter_no, node->era_known, UINT32_MAX);
        if (meter->open) {
            uint64_t pulses = meter->life_pulses - meter->open_pulses;
            meter->other_wh -= meter->open_wh - (int64_t)(pulses * 1000 / meter->pulse_constant);
            meter->open = false;
        }
        meter->sold_count = 0;
        meter->told_count = 0;
    }
    node->era_known = era;
}

// The node's newest report comes to HQ.
static void report(unsigned node_no) {
    char sql[512];
    node_t *node = &s_world.nodes[node_no];
    write_snapshot(node_no);
    snprintf(sql, sizeof sql,
             "INSERT OR REPLACE INTO control VALUES (%u, %u, %u, 0, 0, 0, 0, 1, %u, %lld);"
             "UPDATE node SET epoch = 1, watermark_seq = %u, next_seq = %u WHERE id = %u;",
             node_no + 1, node->era, node->counter, node->seq + 1, (long long)s_world.now_us, node->seq,
             node->seq + 1 + (node->record_count - node->sent_count), node_no + 1);
    execute(sql);
    for (unsigned channel = 0; channel < CHANNELS; channel++) {
        meter_t *meter = &s_world.meters[node_no * CHANNELS + channel];
        meter->told_count = meter->credit.tokens.count;
        snprintf(sql, sizeof sql,
                 "INSERT OR REPLACE INTO meter_credit VALUES (%u, %u, 1, 0, 1, 0, 0, %lld, %lld, %u, 1)", node_no + 1,
                 channel, (long long)mm_credit_balance_wh(&meter->credit, meter->life_pulses, meter->pulse_constant),
                 (long long)meter->credit.applied_wh, meter->told_count);
        execute(sql);
    }
    execute("BEGIN IMMEDIATE");
    CHECK(mmi_hq_vending_take_era(&s_world.store, node_no + 1, node->era, s_world.now_us));
    execute("COMMIT");
    if (node->era != node->era_known) {
        uint32_t counts[CHANNELS];
        for (unsigned channel = 0; channel < CHANNELS; channel++) {
            counts[channel] = s_world.meters[node_no * CHANNELS + channel].told_count;
        }
        expect_era(node_no, node->era);
        for (unsigned channel = 0; channel < CHANNELS; channel++) {
            s_world.meters[node_no * CHANNELS + channel].told_count = counts[channel];
        }
    }
}

// The node forgets: its registers it keeps, its credit not.
static void lose_era(unsigned node_no) {
    node_t *node = &s_world.nodes[node_no];
    if (!has_room(node_no * CHANNELS)) {
        return;
    }
    node->era++;
    for (unsigned channel = 0; channel < CHANNELS; channel++) {
        meter_t *meter = &s_world.meters[node_no * CHANNELS + channel];
        meter->credit = (mm_credit_t){.prepaid = false};
        begin_prepayment(node_no * CHANNELS + channel);
    }
    report(node_no);
}

// --- sales

static bool may_sell(unsigned meter_no, uint32_t count) {
    unsigned open = 0;
    uint32_t oldest = UINT32_MAX;
    for (unsigned index = 0; index < s_world.purchase_count; index++) {
        const purchase_t *purchase = &s_world.purchases[index];
        if (purchase->meter == meter_no && purchase->state <= VOIDING) {
            open++;
            oldest = purchase->count < oldest ? purchase->count : oldest;
        }
    }
    return open < MM_VENDING_OPEN_MAX && (open == 0 || count - oldest <= MM_TOKEN_OLDER_MAX);
}

static void note_sale(unsigned meter_no, const mm_sale_t *sale) {
    meter_t *meter = &s_world.meters[meter_no];
    s_sum.sales++;
    s_world.purchases[s_world.purchase_count++] = (purchase_t){.id = sale->id,
                                                               .meter = meter_no,
                                                               .era = node_of(meter_no)->era_known,
                                                               .count = sale->count,
                                                               .amount_wh = sale->amount_wh,
                                                               .state = ISSUED};
    meter->sold_count = sale->count;
    meter->issued_wh += sale->amount_wh;
    meter->pending_wh += sale->amount_wh;
    meter->paid_milli += sale->money_minor * 1000;
    meter->cost_milli += sale->amount_wh * PRICE;
    CHECK(sale->remainder_milli == meter->paid_milli - meter->cost_milli);
}

static void sell(unsigned meter_no) {
    char request[16];
    char id[8];
    meter_t *meter = &s_world.meters[meter_no];
    mm_sale_t sale;
    mm_sale_t again;
    mm_hq_error_t error;
    if (s_world.purchase_count == PURCHASES_MAX) {
        return;
    }
    snprintf(request, sizeof request, "r%u", s_world.request_no++);
    snprintf(id, sizeof id, "M-%u", meter_no);
    bool by_money = below(2) == 0;
    const mm_vend_request_t asked = {.request = request,
                                     .meter = id,
                                     .amount_wh = by_money ? 0 : 1000 * (1 + below(20)),
                                     .money_minor = by_money ? 1 + below(600) : 0,
                                     .operator_name = "ann"};
    uint32_t highest = meter->sold_count > meter->told_count ? meter->sold_count : meter->told_count;
    uint32_t count = highest + 2 - highest % 2;
    int64_t kept_milli = meter->paid_milli - meter->cost_milli;
    bool buys = !by_money || (kept_milli + 1000 * asked.money_minor) / (1000 * PRICE) > 0;
    mm_desk_result_t result = mm_vend(s_world.desk, &asked, s_world.now_us, &sale, &error);
    if (!buys || !may_sell(meter_no, count)) {
        CHECK(result == MM_DESK_REFUSED);
        s_sum.refused++;
        return;
    }
    if (result == MM_DESK_OK && sale.count != count) {
        // Left out, because its digits were those of an earlier count.
        CHECK(sale.count > count && sale.count % 2 == 0 && may_sell(meter_no, sale.count));
        s_sum.skipped++;
    }
    if (result != MM_DESK_OK) {
        broken(error.text, __LINE__);
        return;
    }
    CHECK(!sale.repeated);
    CHECK(!by_money || sale.amount_wh == (kept_milli + 1000 * asked.money_minor) / (1000 * PRICE) * 1000);
    note_sale(meter_no, &sale);
    if (below(8) == 0) {
        CHECK(mm_vend(s_world.desk, &asked, s_world.now_us, &again, &error) == MM_DESK_OK);
        CHECK(again.repeated && again.id == sale.id);
        s_sum.repeats++;
    }
}

static purchase_t *any_recent(void) {
    unsigned back = s_world.purchase_count < 40 ? s_world.purchase_count : 40;
    return back > 0 ? &s_world.purchases[s_world.purchase_count - 1 - below(back)] : NULL;
}

static void void_any(void) {
    mm_hq_error_t error;
    purchase_t *purchase = any_recent();
    if (purchase == NULL) {
        return;
    }
    mm_desk_result_t result = mm_vend_void(s_world.desk, purchase->id, "ann", s_world.now_us, &error);
    if (purchase->state == ISSUED) {
        expect_state(purchase, VOIDING);
    }
    CHECK((result == MM_DESK_OK) == (purchase->state == VOIDING || purchase->state == VOID));
}

// --- the checks

static int64_t s_found[8]; // of one meter: by the names below
static const char *const s_names[] = {"issued", "pending", "applied", "void", "lost", "other", "cash", "remainder"};

static void read_accounts(unsigned meter_no, int64_t *earned_milli, int64_t *refund_milli) {
    sqlite3_stmt *rows = s_world.accounts;
    memset(s_found, 0, sizeof s_found);
    *earned_milli = *refund_milli = 0;
    sqlite3_reset(rows);
    sqlite3_bind_int64(rows, 1, meter_no / CHANNELS + 1);
    sqlite3_bind_int64(rows, 2, meter_no % CHANNELS);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(rows, 0);
        int64_t balance = sqlite3_column_int64(rows, 1);
        for (size_t index = 0; index < 8; index++) {
            s_found[index] = strcmp(name, s_names[index]) == 0 ? balance : s_found[index];
        }
        *earned_milli -= strcmp(name, "revenue") == 0 || strcmp(name, "tax") == 0 ? balance : 0;
        *refund_milli -= strcmp(name, "refund") == 0 ? balance : 0;
    }
    sqlite3_reset(rows);
}

static void check_meter(unsigned meter_no) {
    const meter_t *meter = &s_world.meters[meter_no];
    int64_t earned_milli;
    int64_t refund_milli;
    read_accounts(meter_no, &earned_milli, &refund_milli);
    CHECK(-s_found[0] == meter->issued_wh);
    CHECK(s_found[1] == meter->pending_wh);
    CHECK(s_found[2] == meter->applied_wh);
    CHECK(s_found[3] == meter->void_wh);
    CHECK(s_found[4] == meter->lost_wh);
    CHECK(s_found[5] == meter->other_wh);
    CHECK(-s_found[0] == s_found[1] + s_found[2] + s_found[3] + s_found[4]);
    CHECK(s_found[6] == meter->paid_milli);
    CHECK(-s_found[7] == meter->paid_milli - meter->cost_milli && s_found[7] <= 0);
    CHECK(refund_milli == meter->refund_milli);
    CHECK(s_found[6] == -s_found[7] + earned_milli + refund_milli);
}

static bool check_line(void *context, const mm_books_line_t *line) {
    unsigned *lines = context;
    (*lines)++;
    CHECK(line->sold_difference_wh == 0);
    CHECK(line->used_difference_wh == 0);
    CHECK(line->settled);
    return true;
}

static bool check_unit(void *context, const mm_ledger_line_t *line) {
    (void)context;
    CHECK(line->debits == line->credits);
    CHECK(line->sums_agree);
    return true;
}

static void reconcile(void) {
    mm_hq_error_t error;
    unsigned lines = 0;
    for (unsigned node = 0; node < NODES; node++) {
        while (s_world.nodes[node].sent_count < s_world.nodes[node].record_count) {
            send(&s_world.nodes[node]);
        }
        report(node);
    }
    CHECK(mm_reconcile(s_world.desk, check_line, &lines, &error) == MM_DESK_OK);
    CHECK(lines == METERS);
    CHECK(mm_ledger(s_world.desk, check_unit, NULL, &error) == MM_DESK_OK);
    s_sum.reconciled++;
}

// --- a world

static void event(void) {
    unsigned meter_no = below(METERS);
    meter_t *meter = &s_world.meters[meter_no];
    purchase_t *purchase = any_recent();
    uint32_t what = below(1000);
    s_world.now_us += 1000000 * (1 + (int64_t)below(900));
    if (what < 150) {
        sell(meter_no);
    } else if (what < 420 && purchase != NULL) {
        bool is_void = purchase->state == VOIDING && below(2) == 0;
        take(purchase, is_void ? MM_MOVEMENT_VOID : below(2) == 0 ? MM_MOVEMENT_NETWORK : MM_MOVEMENT_TOKEN_ADD);
    } else if (what < 500) {
        void_any();
    } else if (what < 700) {
        meter->life_pulses += below(3000);
    } else if (what < 920) {
        send(node_of(meter_no));
    } else if (what < 955) {
        send_again(node_of(meter_no));
    } else if (what < 985) {
        report(meter_no / CHANNELS);
    } else if (what < 990) {
        add_credit(meter_no, MM_MOVEMENT_ADJUST, 0, 0, (int64_t)below(5000) - 2500);
    } else if (what < 993) {
        add_credit(meter_no, MM_MOVEMENT_TOKEN_SET, 0, (meter->credit.tokens.count | 1) + 2 * below(3) + 2,
                   (int64_t)below(5000) - 2500);
    } else if (what < 996) {
        lose_era(meter_no / CHANNELS);
    } else {
        send(node_of(meter_no));
    }
    check_meter(meter_no);
    if (purchase != NULL) {
        check_meter(purchase->meter);
    }
}

static void open_world(uint64_t seed, sqlite3 **keeper) {
    static const uint32_t constants[] = {1000, 800, 3200, 333};
    char path[64];
    mm_hq_error_t error = {{0}};
    memset(&s_world, 0, sizeof s_world);
    s_world.random = mm_random(seed);
    s_world.now_us = START_US;
    snprintf(path, sizeof path, "file:/ledger-%llu?vfs=memdb", (unsigned long long)seed);
    MM_ASSERT(sqlite3_open(path, keeper) == SQLITE_OK);
    MM_ASSERT(mmi_hq_schema_migrate(*keeper, 1, &error));
    s_world.desk = mm_desk_open(NULL, path, &error);
    MM_ASSERT(s_world.desk != NULL);
    s_world.db = mmi_desk_db(s_world.desk);
    sqlite3_close(*keeper); // the desk keeps it from here on
    *keeper = NULL;
    s_world.store.db = s_world.db;
    execute("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; INSERT INTO site "
            "(name, tz) VALUES ('home', 'CET-1CEST,M3.5.0,M10.5.0/3')");
    mm_tariff_t tariff = {.name = "default", .currency = "EUR", .decimals = 2, .tax_ppm = 190000, .band_count = 1};
    tariff.bands[0] = (mm_tariff_band_t){127, 0, 24, PRICE};
    bool repeated;
    MM_ASSERT(mm_tariffs_put(s_world.desk, "t", &tariff, "ann", 1, &repeated, &error) == MM_DESK_OK);
    for (unsigned node = 0; node < NODES; node++) {
        char sql[256];
        uint8_t key[MM_DEVICE_KEY_BYTES];
        memset(key, (int)(node + 1), sizeof key);
        snprintf(sql, sizeof sql,
                 "INSERT INTO node (site, mac) VALUES (1, x'02000000000%u');"
                 "INSERT INTO meter VALUES (%u, 0, 'M-%u'), (%u, 1, 'M-%u')",
                 node + 1, node + 1, node * CHANNELS, node + 1, node * CHANNELS + 1);
        execute(sql);
        MM_ASSERT(mm_device_keys_add(s_world.desk, (mm_mac_t){{2, 0, 0, 0, 0, (uint8_t)(node + 1)}}, key, 1, &error) ==
                  MM_DESK_OK);
        s_world.nodes[node].era = s_world.nodes[node].era_known = 1 + node * 1000;
        for (unsigned channel = 0; channel < CHANNELS; channel++) {
            s_world.meters[node * CHANNELS + channel].pulse_constant = constants[(node + channel) % 4];
            s_world.meters[node * CHANNELS + channel].life_pulses = below(100000);
            begin_prepayment(node * CHANNELS + channel);
        }
        report(node);
    }
    sqlite3_prepare_v2(s_world.db, "SELECT name, debits - credits FROM account WHERE node = ? AND channel = ?", -1,
                       &s_world.accounts, NULL);
}

static void run_world(const void *parameter) {
    sqlite3 *keeper = NULL;
    open_world(*(const uint64_t *)parameter, &keeper);
    for (unsigned number = 1; number <= EVENTS && !s_world.broken; number++) {
        event();
        s_sum.events++;
        if (number % RECONCILE_EVERY == 0) {
            reconcile();
        }
    }
    sqlite3_finalize(s_world.accounts);
    mm_desk_close(s_world.desk);
    sqlite3_close(keeper);
}

int main(int argc, char **argv) {
    char figures[256];
    sqlite3_config(SQLITE_CONFIG_URI, 1);
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 2048, 256);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    enumeration_begin("ledger_events", argc, argv);
    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        if (enumeration_takes("seed:%llu", (unsigned long long)seed)) {
            enumeration_run(run_world, &seed);
        }
    }
    snprintf(figures, sizeof figures,
             "events=%llu sales=%llu refused=%llu applied=%llu void=%llu lost_with_era=%llu late=%llu repeats=%llu"
             " skipped=%llu reconciled=%llu imbalance=%llu",
             (unsigned long long)s_sum.events, (unsigned long long)s_sum.sales, (unsigned long long)s_sum.refused,
             (unsigned long long)s_sum.applied, (unsigned long long)s_sum.voided, (unsigned long long)s_sum.lost,
             (unsigned long long)s_sum.late, (unsigned long long)s_sum.repeats, (unsigned long long)s_sum.skipped,
             (unsigned long long)s_sum.reconciled, (unsigned long long)s_sum.imbalance);
    return enumeration_end(figures);
}
