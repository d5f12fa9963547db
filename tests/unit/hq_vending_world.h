// SPDX-License-Identifier: Apache-2.0
#ifndef MM_HQ_VENDING_WORLD_H
#define MM_HQ_VENDING_WORLD_H

#include "hq_support.h"

#include "device_keys.h"
#include "tariffs.h"
#include "vending.h"

/// What the tests of sales and books share: HQ's store and desk on one database, and prepaid meters as arithmetic, with
/// the records that a node would make of them.

#define VENDING_ERA 77u
#define VENDING_CONSTANT 1000

/// A meter of node 02:…:01, as the node knows it.
typedef struct {
    uint8_t channel;
    uint32_t era;
    uint32_t counter;
    uint32_t token_count;
    int64_t balance_wh;
    int64_t applied_wh;
    uint64_t life_pulses;
    uint32_t pulse_constant;
} vending_meter_t;

typedef struct {
    hq_world_t *world;
    mm_store_t *store;
    mm_desk_t *desk;
    int64_t now_us;
    uint32_t seq; ///< of the node's journal, the last one used
    vending_meter_t meter;
    const char *meter_id;  ///< on channel 0; NULL = "M-1"
    const char *second_id; ///< on channel 1; NULL = "M-2"
} vending_t;

static inline void vending_execute(const vending_t *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline void vending_execute(const vending_t *self, const char *format, ...) {
    char sql[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sql, sizeof sql, format, arguments);
    va_end(arguments);
    char *problem = NULL;
    if (sqlite3_exec(mmi_desk_db(self->desk), sql, NULL, NULL, &problem) != SQLITE_OK) {
        fail_msg("%s: %s", sql, problem);
    }
}

static inline int64_t vending_integer(const vending_t *self, const char *sql) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(mmi_desk_db(self->desk), sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(mmi_desk_db(self->desk)));
    }
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

/// The node's newest report: registers, and what the control section says of the meter.
static inline void vending_report(vending_t *self) {
    static hq_batch_t batch;
    const vending_meter_t *meter = &self->meter;
    mm_snapshot_t snapshot = hq_snapshot(hq_mac(1), 1, 1, self->seq + 1);
    snapshot.uptime_ms = (uint64_t)(self->now_us / 1000);
    snapshot.time.utc.us = self->now_us;
    for (size_t channel = 0; channel < 2; channel++) {
        snprintf(snapshot.meters[channel].id, sizeof snapshot.meters[channel].id, "M-%zu", channel + 1);
        snapshot.meters[channel].pulse_constant = VENDING_CONSTANT;
        snapshot.meters[channel].life_pulses = 0;
    }
    if (self->meter_id != NULL) {
        snprintf(snapshot.meters[0].id, sizeof snapshot.meters[0].id, "%s", self->meter_id);
    }
    if (self->second_id != NULL) {
        snprintf(snapshot.meters[1].id, sizeof snapshot.meters[1].id, "%s", self->second_id);
    }
    snapshot.meters[meter->channel].pulse_constant = meter->pulse_constant;
    snapshot.meters[meter->channel].life_pulses = meter->life_pulses;
    hq_batch_snapshot(&batch, hq_mac(1), &snapshot);
    hq_commit(self->store, &batch);
    vending_execute(self, "INSERT OR REPLACE INTO control VALUES (1, %u, %u, 0, 0, 0, 0, 1, %u, %lld);", meter->era,
                    meter->counter, self->seq + 1, (long long)self->now_us);
    vending_execute(self, "INSERT OR REPLACE INTO meter_credit VALUES (1, %u, 1, 0, 1, 0, 0, %lld, %lld, %u, %lld);",
                    meter->channel, (long long)meter->balance_wh, (long long)meter->applied_wh, meter->token_count,
                    (long long)self->now_us);
    self->now_us += 1000000;
}

/// The command that brought a movement, as HQ sealed it; 0 = none is known.
static inline uint64_t vending_command(const vending_t *self, uint8_t movement, uint64_t purchase_id) {
    char sql[160];
    snprintf(sql, sizeof sql,
             "SELECT coalesce((SELECT CASE WHEN %d AND void_command <> 0 THEN void_command ELSE command END"
             " FROM purchase WHERE id = %llu), 0)",
             movement == MM_MOVEMENT_VOID, (unsigned long long)purchase_id);
    return (uint64_t)vending_integer(self, sql);
}

/// A movement of credit happens at the meter: its record, not yet sent.
static inline mm_record_t vending_move(vending_t *self, uint8_t movement, uint64_t purchase_id, uint32_t count,
                                       int64_t amount_wh) {
    vending_meter_t *meter = &self->meter;
    if (movement == MM_MOVEMENT_PREPAID) {
        meter->balance_wh = 0;
        meter->applied_wh = 0;
    }
    meter->balance_wh += amount_wh;
    meter->applied_wh += amount_wh;
    meter->counter += movement == MM_MOVEMENT_NETWORK || movement == MM_MOVEMENT_VOID ? 1 : 0;
    meter->token_count = count > meter->token_count ? count : meter->token_count;
    mm_record_t record = {.type = MM_RECORD_CREDIT};
    record.credit =
        (mm_credit_record_t){.channel = meter->channel,
                             .movement = movement,
                             .era = meter->era,
                             .counter = meter->counter,
                             .purchase_id = purchase_id,
                             .command_id = vending_command(self, movement, purchase_id),
                             .count = count,
                             .amount_wh = amount_wh,
                             .balance_wh = meter->balance_wh,
                             .applied_wh = meter->applied_wh,
                             .life_pulses = meter->life_pulses,
                             .at = {.seconds = (uint64_t)(self->now_us / 1000000), .trust = MM_TRUST_SYNCED}};
    return record;
}

/// The record comes to HQ under this position.
static inline void vending_send_at(vending_t *self, uint32_t seq, const mm_record_t *record) {
    static hq_batch_t batch;
    hq_batch_record(&batch, hq_mac(1), 1, seq, record);
    hq_commit(self->store, &batch);
}

static inline void vending_send(vending_t *self, const mm_record_t *record) {
    vending_send_at(self, ++self->seq, record);
}

static inline void vending_take(vending_t *self, uint8_t movement, const mm_sale_t *sale) {
    mm_record_t record = vending_move(self, movement, movement == MM_MOVEMENT_TOKEN_ADD ? 0 : (uint64_t)sale->id,
                                      sale->count, movement == MM_MOVEMENT_VOID ? 0 : sale->amount_wh);
    vending_send(self, &record);
}

/// Everything for meter M-1 (channel 0) of node 02:…:01: prepaid, its key known.
static inline int vending_setup(void **state) {
    vending_t *self = calloc(1, sizeof *self);
    if (self == NULL || hq_world_setup((void **)&self->world) != 0) {
        return -1;
    }
    *state = self;
    mm_hq_error_t error;
    uint8_t key[MM_DEVICE_KEY_BYTES];
    memset(key, 0x5A, sizeof key);
    self->now_us = HQ_UTC_US;
    self->store = hq_open(self->world);
    self->desk = mm_desk_open(NULL, self->world->database, &error);
    self->meter = (vending_meter_t){.era = VENDING_ERA, .pulse_constant = VENDING_CONSTANT, .life_pulses = 100};
    vending_report(self);
    mm_record_t begin = vending_move(self, MM_MOVEMENT_PREPAID, 0, 0, 0);
    vending_send(self, &begin);
    vending_report(self);
    if (mm_device_keys_add(self->desk, hq_mac(1), key, self->now_us, &error) != MM_DESK_OK) {
        fail_msg("%s", error.text);
    }
    return 0;
}

static inline int vending_teardown(void **state) {
    vending_t *self = *state;
    mm_desk_close(self->desk);
    mm_store_close(self->store);
    hq_world_teardown((void **)&self->world);
    free(self);
    return 0;
}

static inline mm_desk_result_t vending_try(vending_t *self, const char *request, const char *meter, int64_t amount_wh,
                                           int64_t money_minor, mm_sale_t *sale, mm_hq_error_t *error) {
    const mm_vend_request_t asked = {
        .request = request, .meter = meter, .amount_wh = amount_wh, .money_minor = money_minor, .operator_name = "ann"};
    memset(error, 0, sizeof *error);
    return mm_vend(self->desk, &asked, self->now_us, sale, error);
}

static inline mm_sale_t vending_sell(vending_t *self, const char *request, int64_t amount_wh) {
    mm_sale_t sale;
    mm_hq_error_t error;
    if (vending_try(self, request, "M-1", amount_wh, 0, &sale, &error) != MM_DESK_OK) {
        fail_msg("%s", error.text);
    }
    return sale;
}

static inline void vending_void(vending_t *self, const mm_sale_t *sale) {
    mm_hq_error_t error = {{0}};
    if (mm_vend_void(self->desk, sale->id, "ann", self->now_us, &error) != MM_DESK_OK) {
        fail_msg("%s", error.text);
    }
}

static inline void vending_assert_state(vending_t *self, const mm_sale_t *sale, const char *state) {
    mm_sale_t now;
    mm_hq_error_t error;
    assert_int_equal(mm_vend_receipt(self->desk, sale->id, &now, &error), MM_DESK_OK);
    assert_string_equal(now.state, state);
}

// --- the books of M-1

static inline bool vending_keep_line(void *context, const mm_books_line_t *line) {
    mm_books_line_t *kept = context;
    if (line->channel == 0) {
        *kept = *line;
    }
    return true;
}

static inline mm_books_line_t vending_books(vending_t *self) {
    mm_books_line_t line = {.node_id = 0};
    mm_hq_error_t error;
    if (mm_reconcile(self->desk, vending_keep_line, &line, &error) != MM_DESK_OK) {
        fail_msg("%s", error.text);
    }
    return line;
}

static inline bool vending_check_unit(void *context, const mm_ledger_line_t *line) {
    (void)context;
    assert_int_equal(line->debits, line->credits);
    assert_true(line->sums_agree);
    return true;
}

/// The books balance, and so does the ledger.
static inline mm_books_line_t vending_assert_balanced(vending_t *self) {
    mm_hq_error_t error;
    mm_books_line_t line = vending_books(self);
    assert_int_equal(line.sold_difference_wh, 0);
    assert_int_equal(line.used_difference_wh, 0);
    assert_true(line.settled);
    assert_int_equal(mm_ledger(self->desk, vending_check_unit, NULL, &error), MM_DESK_OK);
    hq_check(self->store);
    return line;
}

/// Balance of an account over all meters: debits - credits.
static inline int64_t vending_account(const vending_t *self, const char *name, const char *unit) {
    char sql[192];
    snprintf(sql, sizeof sql,
             "SELECT coalesce(sum(CASE debit WHEN '%s' THEN amount ELSE 0 END - CASE credit WHEN '%s' THEN amount"
             " ELSE 0 END), 0) FROM ledger_entry WHERE unit = '%s'",
             name, name, unit);
    return vending_integer(self, sql);
}

#endif
