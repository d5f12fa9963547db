// SPDX-License-Identifier: Apache-2.0
#include "vending_internal.h"

#include "sql.h"

#include <stdio.h>
#include <string.h>

#define MILLI 1000

const char *mmi_hq_purchase_state_name(int state) {
    static const char *const names[] = {"", "issued", "voiding", "applied", "void", "lost"};
    return state >= MMI_HQ_PURCHASE_ISSUED && state <= MMI_HQ_PURCHASE_LOST ? names[state] : "unknown";
}

bool mmi_hq_ledger_post(sqlite3 *db, const mmi_hq_purchase_t *whose, const char *debit, const char *credit,
                        const char *unit, int64_t amount, const char *reason, int64_t now_us) {
    if (amount == 0) {
        return true;
    }
    mmi_sql_t add = mmi_sql_begin(db, "INSERT INTO ledger_entry (utc_us, debit, credit, unit, amount, node, channel,"
                                      " meter, purchase, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    mmi_sql_put_integer(&add, now_us);
    mmi_sql_put_text(&add, amount > 0 ? debit : credit);
    mmi_sql_put_text(&add, amount > 0 ? credit : debit);
    mmi_sql_put_text(&add, unit);
    mmi_sql_put_integer(&add, amount > 0 ? amount : -amount);
    mmi_sql_put_integer(&add, whose->node_id);
    mmi_sql_put_integer(&add, whose->channel);
    mmi_sql_put_text(&add, whose->meter);
    mmi_sql_put_integer(&add, whose->id);
    mmi_sql_put_text(&add, reason);
    return mmi_sql_run(&add);
}

bool mmi_hq_ledger_sell(sqlite3 *db, const mmi_hq_purchase_t *purchase, int64_t now_us) {
    // Money first goes to what is kept for the meter, and is spent from there: so what is over stays there by itself.
    int64_t tax_milli = purchase->tax_minor * MILLI;
    return mmi_hq_ledger_post(db, purchase, MMI_HQ_ACCOUNT_PENDING, MMI_HQ_ACCOUNT_ISSUED, MMI_HQ_UNIT_WH,
                              purchase->amount_wh, "sold", now_us) &&
           mmi_hq_ledger_post(db, purchase, MMI_HQ_ACCOUNT_CASH, MMI_HQ_ACCOUNT_REMAINDER, purchase->currency,
                              purchase->money_minor * MILLI, "paid", now_us) &&
           mmi_hq_ledger_post(db, purchase, MMI_HQ_ACCOUNT_REMAINDER, MMI_HQ_ACCOUNT_REVENUE, purchase->currency,
                              purchase->cost_milli - tax_milli, "sold", now_us) &&
           mmi_hq_ledger_post(db, purchase, MMI_HQ_ACCOUNT_REMAINDER, MMI_HQ_ACCOUNT_TAX, purchase->currency, tax_milli,
                              "tax of what was sold", now_us);
}

static const char *account_of(int state) {
    switch (state) {
    case MMI_HQ_PURCHASE_APPLIED:
        return MMI_HQ_ACCOUNT_APPLIED;
    case MMI_HQ_PURCHASE_VOID:
        return MMI_HQ_ACCOUNT_VOID;
    case MMI_HQ_PURCHASE_LOST:
        return MMI_HQ_ACCOUNT_LOST;
    default:
        return MMI_HQ_ACCOUNT_PENDING;
    }
}

static bool is_paid_back(int state) {
    return state == MMI_HQ_PURCHASE_VOID || state == MMI_HQ_PURCHASE_LOST;
}

bool mmi_hq_ledger_move(sqlite3 *db, mmi_hq_purchase_t *purchase, mmi_hq_purchase_state_t state, const char *ended_by,
                        int64_t now_us) {
    const char *from = account_of(purchase->state);
    const char *to = account_of((int)state);
    // Whoever paid for credit that no meter has taken gets it back.
    int back = (int)is_paid_back((int)state) - (int)is_paid_back(purchase->state);
    int64_t tax_milli = purchase->tax_minor * MILLI;
    mmi_sql_t change = mmi_sql_begin(db, "UPDATE purchase SET state = ?, ended_by = ?, ended_us = ? WHERE id = ?");
    mmi_sql_put_integer(&change, (int64_t)state);
    mmi_sql_put_text(&change, ended_by);
    mmi_sql_put_integer(&change, state > MMI_HQ_PURCHASE_VOIDING ? now_us : 0);
    mmi_sql_put_integer(&change, purchase->id);
    bool good = mmi_sql_run(&change) &&
                (from == to || mmi_hq_ledger_post(db, purchase, to, from, MMI_HQ_UNIT_WH, purchase->amount_wh,
                                                  mmi_hq_purchase_state_name((int)state), now_us)) &&
                mmi_hq_ledger_post(db, purchase, MMI_HQ_ACCOUNT_REVENUE, MMI_HQ_ACCOUNT_REFUND, purchase->currency,
                                   back * (purchase->cost_milli - tax_milli), "to be paid back", now_us) &&
                mmi_hq_ledger_post(db, purchase, MMI_HQ_ACCOUNT_TAX, MMI_HQ_ACCOUNT_REFUND, purchase->currency,
                                   back * tax_milli, "tax to be paid back", now_us);
    purchase->state = (int)state;
    return good;
}

bool mmi_hq_ledger_remainder(sqlite3 *db, int64_t site_id, const char *meter, const char *currency,
                             int64_t *remainder_milli) {
    mmi_sql_t sum = mmi_sql_begin(db, "SELECT coalesce(sum(credits - debits), 0) FROM node JOIN account"
                                      " ON account.node = node.id WHERE node.site = ? AND account.meter = ?"
                                      " AND account.name = 'remainder' AND account.unit = ?");
    mmi_sql_put_integer(&sum, site_id);
    mmi_sql_put_text(&sum, meter);
    mmi_sql_put_text(&sum, currency);
    return mmi_sql_value(&sum, 0, remainder_milli);
}
