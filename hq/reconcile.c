// SPDX-License-Identifier: Apache-2.0
#include "vending_internal.h"

#include <stdio.h>
#include <string.h>

#define DAY_US INT64_C(86400000000)

bool mm_books_line_balances(const mm_books_line_t *line) {
    return line->sold_difference_wh == 0 && (!line->settled || line->used_difference_wh == 0);
}

// --- one meter

// What an account holds on the side that is its own.
static bool read_account(sqlite3 *db, const mm_books_line_t *line, const char *name, int sign, int64_t *amount) {
    mmi_sql_t sum = mmi_sql_begin(db, "SELECT coalesce(sum(debits - credits), 0) FROM account WHERE node = ?"
                                      " AND channel = ? AND name = ? AND unit = 'Wh'");
    mmi_sql_put_integer(&sum, line->node_id);
    mmi_sql_put_integer(&sum, line->channel);
    mmi_sql_put_text(&sum, name);
    bool good = mmi_sql_value(&sum, 0, amount);
    *amount *= sign;
    return good;
}

static bool read_sold(sqlite3 *db, mm_books_line_t *line) {
    bool good = read_account(db, line, MMI_HQ_ACCOUNT_ISSUED, -1, &line->issued_wh) &&
                read_account(db, line, MMI_HQ_ACCOUNT_APPLIED, 1, &line->applied_wh) &&
                read_account(db, line, MMI_HQ_ACCOUNT_VOID, 1, &line->void_wh) &&
                read_account(db, line, MMI_HQ_ACCOUNT_LOST, 1, &line->lost_wh) &&
                read_account(db, line, MMI_HQ_ACCOUNT_OTHER, 1, &line->other_wh);
    // What is pending is asked of the purchases, not of the ledger: else the sum could not fail to agree.
    mmi_sql_t pending = mmi_sql_begin(db, "SELECT coalesce(sum(amount_wh), 0) FROM purchase WHERE node = ?"
                                          " AND channel = ? AND state <= 2");
    mmi_sql_put_integer(&pending, line->node_id);
    mmi_sql_put_integer(&pending, line->channel);
    good = mmi_sql_value(&pending, 0, &line->pending_wh) && good;
    line->sold_difference_wh = line->issued_wh - (line->applied_wh + line->pending_wh + line->void_wh + line->lost_wh);
    return good;
}

static bool read_used(sqlite3 *db, mm_books_line_t *line) {
    uint64_t life_pulses[MM_CHANNELS];
    uint32_t pulse_constants[MM_CHANNELS];
    mmi_hq_consumption_t consumption;
    if (!mmi_hq_registers(db, line->node_id, life_pulses, pulse_constants) ||
        !mmi_hq_consumption(db, line->node_id, line->channel, life_pulses[line->channel],
                            pulse_constants[line->channel], &consumption)) {
        return false;
    }
    line->consumed_wh = consumption.consumed_wh;
    mmi_sql_t query = mmi_sql_begin(db, "SELECT CASE prepaid WHEN 0 THEN 0 ELSE balance_wh END FROM meter_credit"
                                        " WHERE node = ? AND channel = ?");
    mmi_sql_put_integer(&query, line->node_id);
    mmi_sql_put_integer(&query, line->channel);
    if (!mmi_sql_value(&query, 0, &line->balance_wh)) {
        return false;
    }
    line->used_difference_wh = line->applied_wh + line->other_wh - (line->consumed_wh + line->balance_wh);
    return true;
}

static void read_line(const mmi_sql_t *row, mm_books_line_t *line) {
    memset(line, 0, sizeof *line);
    line->node_id = mmi_sql_integer(row, 0);
    line->channel = (uint8_t)mmi_sql_integer(row, 1);
    snprintf(line->meter, sizeof line->meter, "%s", mmi_sql_text(row, 2));
    snprintf(line->site, sizeof line->site, "%s", mmi_sql_text(row, 3));
    line->node = mmi_sql_mac(row, 4);
    line->settled = mmi_sql_integer(row, 5) != 0;
}

// In the caller's transaction, so that all lines are of one state.
static bool visit_lines(sqlite3 *db, mm_books_visit_fn visit, void *context) {
    mm_books_line_t line;
    bool good = true;
    bool more = true;
    mmi_sql_t rows = mmi_sql_begin(
        db, "SELECT node.id, books.channel, coalesce(meter.id, ''), site.name, node.mac,"
            " node.epoch > 0 AND node.watermark_seq + 1 >= node.next_seq FROM"
            " (SELECT node, channel FROM meter_credit WHERE prepaid <> 0 UNION SELECT node, channel FROM account"
            "  UNION SELECT node, channel FROM movement) AS books"
            " JOIN node ON node.id = books.node JOIN site ON site.id = node.site"
            " LEFT JOIN meter ON meter.node = books.node AND meter.channel = books.channel"
            " ORDER BY site.name, node.mac, books.channel");
    while (good && more && mmi_sql_row(&rows)) {
        read_line(&rows, &line);
        good = read_sold(db, &line) && read_used(db, &line);
        more = good && visit(context, &line);
    }
    return mmi_sql_end(&rows) && good;
}

static mm_desk_result_t fail(mm_desk_t *desk, mm_hq_error_t *error) {
    mm_hq_error_set(error, "database: %s", sqlite3_errmsg(mmi_desk_db(desk)));
    return mmi_desk_rollback(desk, MM_DESK_UNAVAILABLE);
}

mm_desk_result_t mm_reconcile(mm_desk_t *desk, mm_books_visit_fn visit, void *context, mm_hq_error_t *error) {
    sqlite3 *db = mmi_desk_db(desk);
    if (sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK || !visit_lines(db, visit, context)) {
        return fail(desk, error);
    }
    return mmi_desk_rollback(desk, MM_DESK_OK); // nothing was written
}

// --- the ledger as a whole

mm_desk_result_t mm_ledger(mm_desk_t *desk, mm_ledger_visit_fn visit, void *context, mm_hq_error_t *error) {
    sqlite3 *db = mmi_desk_db(desk);
    mm_ledger_line_t line;
    bool more = true;
    // Each account's sums against the entries themselves, then both sides of a unit.
    mmi_sql_t rows = mmi_sql_begin(
        db,
        "WITH side AS ("
        "  SELECT node, channel, meter, debit AS name, unit, amount AS debits, 0 AS credits FROM ledger_entry"
        "  UNION ALL SELECT node, channel, meter, credit, unit, 0, amount FROM ledger_entry),"
        " sums AS (SELECT node, channel, meter, name, unit, sum(debits) AS debits, sum(credits) AS credits"
        "  FROM side GROUP BY node, channel, meter, name, unit)"
        " SELECT account.unit, sum(account.debits), sum(account.credits), min(sums.debits IS account.debits"
        "  AND sums.credits IS account.credits) AND count(*) = (SELECT count(*) FROM sums WHERE unit = account.unit)"
        " FROM account LEFT JOIN sums USING (node, channel, meter, name, unit)"
        " GROUP BY account.unit ORDER BY account.unit");
    while (more && mmi_sql_row(&rows)) {
        memset(&line, 0, sizeof line);
        snprintf(line.unit, sizeof line.unit, "%s", mmi_sql_text(&rows, 0));
        line.debits = mmi_sql_integer(&rows, 1);
        line.credits = mmi_sql_integer(&rows, 2);
        line.sums_agree = mmi_sql_integer(&rows, 3) != 0;
        more = visit(context, &line);
    }
    return mmi_sql_end(&rows) ? MM_DESK_OK : fail(desk, error);
}

// --- the day's lines

typedef struct {
    sqlite3 *db;
    int64_t day;
    int64_t now_us;
    bool again;
    bool good;
} day_t;

static bool write_line(void *context, const mm_books_line_t *line) {
    day_t *self = context;
    mmi_sql_t add = mmi_sql_begin(
        self->db, self->again ? "INSERT OR REPLACE INTO books_day VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                              : "INSERT OR IGNORE INTO books_day VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    mmi_sql_put_integer(&add, self->day);
    mmi_sql_put_integer(&add, line->node_id);
    mmi_sql_put_integer(&add, line->channel);
    mmi_sql_put_text(&add, line->meter);
    const int64_t values[] = {line->issued_wh,
                              line->applied_wh,
                              line->pending_wh,
                              line->void_wh,
                              line->lost_wh,
                              line->other_wh,
                              line->balance_wh,
                              line->consumed_wh,
                              line->sold_difference_wh,
                              line->used_difference_wh,
                              (int64_t)line->settled};
    for (size_t index = 0; index < sizeof values / sizeof values[0]; index++) {
        mmi_sql_put_integer(&add, values[index]);
    }
    self->good = mmi_sql_run(&add);
    // Told once a day, not with every look.
    if (self->good && sqlite3_changes(self->db) > 0 && !mm_books_line_balances(line)) {
        self->good = mmi_hq_incident(self->db, line->node_id, "books_differ", line->channel, line->sold_difference_wh,
                                     line->used_difference_wh, self->day, self->now_us);
    }
    return self->good;
}

mm_desk_result_t mm_books_write_day(mm_desk_t *desk, int64_t now_us, bool again, mm_hq_error_t *error) {
    day_t day = {.db = mmi_desk_db(desk), .day = now_us / DAY_US, .now_us = now_us, .again = again, .good = true};
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result != MM_DESK_OK) {
        return result;
    }
    if (!visit_lines(day.db, write_line, &day) || !day.good) {
        return mmi_desk_fail(desk, error);
    }
    return mmi_desk_commit(desk, error);
}
