// SPDX-License-Identifier: Apache-2.0
#include "vending_internal.h"

#include "commands.h"
#include "store_internal.h"
#include "swaps.h"

#include "meshmeter/command.h"
#include "meshmeter/control.h"
#include "meshmeter/result_detail.h"

#include <stdio.h>
#include <string.h>

/// One CREDIT record on its way into the books.
typedef struct {
    sqlite3 *db;
    int64_t node_id;
    mm_position_t position;
    const mm_credit_record_t *credit;
    int64_t received_us;
    mmi_hq_purchase_t whose; ///< the purchase it is of, or only the meter
    const char *match;
} taking_t;

// --- seen before?

static bool is_known(const taking_t *self, bool *known) {
    int64_t value = 0;
    mmi_sql_t query = mmi_sql_begin(self->db, "SELECT 1 FROM movement WHERE node = ? AND epoch = ? AND seq = ?");
    mmi_sql_put_integer(&query, self->node_id);
    mmi_sql_put_integer(&query, self->position.epoch);
    mmi_sql_put_integer(&query, self->position.seq);
    bool good = mmi_sql_value(&query, 0, &value);
    *known = value != 0;
    return good;
}

// Everything that the record says, in the order of the columns of the table movement.
static void put_content(mmi_sql_t *query, const mm_credit_record_t *credit) {
    mmi_sql_put_integer(query, credit->channel);
    mmi_sql_put_integer(query, credit->movement);
    mmi_sql_put_integer(query, credit->era);
    mmi_sql_put_integer(query, credit->counter);
    mmi_sql_put_integer(query, (int64_t)credit->command_id);
    mmi_sql_put_integer(query, (int64_t)credit->purchase_id);
    mmi_sql_put_integer(query, credit->count);
    mmi_sql_put_integer(query, credit->amount_wh);
    mmi_sql_put_integer(query, credit->balance_wh);
    mmi_sql_put_integer(query, credit->applied_wh);
    mmi_sql_put_integer(query, (int64_t)credit->life_pulses);
    mmi_sql_put_integer(query, credit->at.trust);
    mmi_sql_put_integer(query, (int64_t)credit->at.seconds);
}

// A full journal carries records over to new positions. Two movements never say the same: sum or count differ.
static bool is_copy(const taking_t *self, bool *copy) {
    int64_t value = 0;
    mmi_sql_t query = mmi_sql_begin(self->db, "SELECT 1 FROM movement WHERE node = ? AND channel = ? AND movement = ?"
                                              " AND era = ? AND counter = ? AND command_id = ? AND purchase_id = ?"
                                              " AND count = ? AND amount_wh = ? AND balance_wh = ? AND applied_wh = ?"
                                              " AND life_pulses = ? AND trust = ? AND seconds = ?");
    mmi_sql_put_integer(&query, self->node_id);
    put_content(&query, self->credit);
    bool good = mmi_sql_value(&query, 0, &value);
    *copy = value != 0;
    return good;
}

static bool add_movement(const taking_t *self) {
    mmi_sql_t add = mmi_sql_begin(self->db, "INSERT INTO movement (node, epoch, seq, channel, movement, era, counter,"
                                            " command_id, purchase_id, count, amount_wh, balance_wh, applied_wh,"
                                            " life_pulses, trust, seconds, received_us, purchase, match)"
                                            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    mmi_sql_put_integer(&add, self->node_id);
    mmi_sql_put_integer(&add, self->position.epoch);
    mmi_sql_put_integer(&add, self->position.seq);
    put_content(&add, self->credit);
    mmi_sql_put_integer(&add, self->received_us);
    mmi_sql_put_integer(&add, self->whose.id);
    mmi_sql_put_text(&add, self->match);
    return mmi_sql_run(&add);
}

// --- bookings

static bool read_meter(sqlite3 *db, int64_t node_id, uint8_t channel, mmi_hq_purchase_t *whose) {
    memset(whose, 0, sizeof *whose);
    whose->node_id = node_id;
    whose->channel = channel;
    mmi_sql_t query = mmi_sql_begin(db, "SELECT id FROM meter WHERE node = ? AND channel = ?");
    mmi_sql_put_integer(&query, node_id);
    mmi_sql_put_integer(&query, channel);
    if (mmi_sql_row(&query)) {
        snprintf(whose->meter, sizeof whose->meter, "%s", mmi_sql_text(&query, 0));
    }
    return mmi_sql_end(&query);
}

// Whether a record of this purchase's count is of this purchase: one that came by a command names it. A database that
// was restored from a copy gives numbers and counts of purchases once more, but never those of commands.
static bool is_of(const mm_credit_record_t *credit, const mmi_hq_purchase_t *purchase) {
    bool names_it = credit->purchase_id == 0 || credit->purchase_id == (uint64_t)purchase->id;
    int64_t command = (int64_t)credit->command_id;
    return names_it && (command == 0 || command == purchase->command || command == purchase->void_command);
}

static bool is_open(const mmi_hq_purchase_t *purchase) {
    return purchase->state == MMI_HQ_PURCHASE_ISSUED || purchase->state == MMI_HQ_PURCHASE_VOIDING;
}

// The purchase is lost. Its command must not be sealed anew.
static bool lose_one(sqlite3 *db, mmi_hq_purchase_t *purchase, const char *why, int64_t now_us) {
    return mmi_hq_ledger_move(db, purchase, MMI_HQ_PURCHASE_LOST, why, now_us) &&
           mmi_hq_withdraw_command(db, purchase->command, MM_COMMAND_STATE_ACCEPTED, now_us) &&
           mmi_hq_withdraw_command(db, purchase->void_command, MM_COMMAND_STATE_ACCEPTED, now_us);
}

static bool find_purchase(taking_t *self) {
    const mm_credit_record_t *credit = self->credit;
    mmi_sql_t query = mmi_sql_begin(self->db, "SELECT " MMI_HQ_PURCHASE_COLUMNS " FROM purchase WHERE node = ?"
                                              " AND channel = ? AND era = ? AND count = ?");
    mmi_sql_put_integer(&query, self->node_id);
    mmi_sql_put_integer(&query, credit->channel);
    mmi_sql_put_integer(&query, credit->era);
    mmi_sql_put_integer(&query, credit->count);
    mmi_hq_purchase_t found;
    if (!mmi_hq_purchase_find(&query, &found)) {
        return false;
    }
    if (found.id == 0) {
        return true;
    }
    if (is_of(credit, &found)) {
        self->whose = found;
        return true;
    }
    // The meter has taken the count for another one, and takes none twice.
    return !is_open(&found) || (lose_one(self->db, &found, "count taken", self->received_us) &&
                                mmi_hq_incident(self->db, self->node_id, "purchase_count_taken", credit->channel,
                                                credit->count, found.id, found.amount_wh, self->received_us));
}

// What the meter's balance moved by without a purchase.
static bool book_other(taking_t *self, int64_t amount_wh, const char *reason) {
    return mmi_hq_ledger_post(self->db, &self->whose, MMI_HQ_ACCOUNT_OTHER, MMI_HQ_ACCOUNT_OUTSIDE, MMI_HQ_UNIT_WH,
                              amount_wh, reason, self->received_us);
}

static bool book_unknown(taking_t *self, const char *incident) {
    const mm_credit_record_t *credit = self->credit;
    self->match = "unknown";
    return book_other(self, credit->amount_wh, "a movement without a purchase") &&
           mmi_hq_incident(self->db, self->node_id, incident, credit->channel, credit->count, credit->amount_wh,
                           credit->movement, self->received_us);
}

// A purchase that was applied or void may not be taken again; if a meter does so, its books differ from ours.
static bool is_taken(const mmi_hq_purchase_t *purchase) {
    return purchase->state == MMI_HQ_PURCHASE_APPLIED || purchase->state == MMI_HQ_PURCHASE_VOID;
}

static bool book_credit(taking_t *self) {
    const mm_credit_record_t *credit = self->credit;
    if (!find_purchase(self)) {
        return false;
    }
    if (self->whose.id == 0) {
        return book_unknown(self, "credit_without_purchase");
    }
    if (is_taken(&self->whose)) {
        return book_unknown(self, "credit_taken_twice");
    }
    int64_t difference_wh = credit->amount_wh - self->whose.amount_wh;
    self->match = difference_wh == 0 ? "purchase" : "differs";
    return mmi_hq_ledger_move(self->db, &self->whose, MMI_HQ_PURCHASE_APPLIED,
                              credit->movement == MM_MOVEMENT_NETWORK ? "network" : "token", self->received_us) &&
           book_other(self, difference_wh, "more or less than was sold") &&
           (difference_wh == 0 ||
            mmi_hq_incident(self->db, self->node_id, "credit_amount_differs", credit->channel, credit->count,
                            self->whose.amount_wh, credit->amount_wh, self->received_us));
}

static bool book_void(taking_t *self) {
    if (!find_purchase(self)) {
        return false;
    }
    if (self->whose.id == 0 || is_taken(&self->whose)) {
        return book_unknown(self, "void_without_purchase");
    }
    self->match = "void";
    return mmi_hq_ledger_move(self->db, &self->whose, MMI_HQ_PURCHASE_VOID, "void", self->received_us) &&
           book_other(self, self->credit->amount_wh, "credit with a void");
}

// The open purchases that a query with one parameter-free tail names are lost.
static bool lose(sqlite3 *db, int64_t node_id, uint8_t channel, uint32_t era, uint32_t below_count, const char *why,
                 int64_t now_us, int64_t *lost) {
    for (*lost = 0;; (*lost)++) {
        mmi_hq_purchase_t purchase;
        mmi_sql_t query = mmi_sql_begin(db, "SELECT " MMI_HQ_PURCHASE_COLUMNS " FROM purchase WHERE node = ?"
                                            " AND channel = ? AND state <= 2 AND era = ? AND count < ? LIMIT 1");
        mmi_sql_put_integer(&query, node_id);
        mmi_sql_put_integer(&query, channel);
        mmi_sql_put_integer(&query, era);
        mmi_sql_put_integer(&query, below_count);
        if (!mmi_hq_purchase_find(&query, &purchase)) {
            return false;
        }
        if (purchase.id == 0) {
            return true;
        }
        if (!lose_one(db, &purchase, why, now_us)) {
            return false;
        }
    }
}

// Tokens that set, sync or disable make all earlier counts used: what was sold under them can not be taken any more.
static bool pass_over(taking_t *self) {
    const mm_credit_record_t *credit = self->credit;
    int64_t lost = 0;
    if (!lose(self->db, self->node_id, credit->channel, credit->era, credit->count, "passed over", self->received_us,
              &lost)) {
        return false;
    }
    return lost == 0 || mmi_hq_incident(self->db, self->node_id, "purchases_passed_over", credit->channel,
                                        credit->count, lost, 0, self->received_us);
}

static bool book(taking_t *self) {
    switch (self->credit->movement) {
    case MM_MOVEMENT_NETWORK:
    case MM_MOVEMENT_TOKEN_ADD:
        return book_credit(self);
    case MM_MOVEMENT_VOID:
        return book_void(self);
    case MM_MOVEMENT_ADJUST:
        self->match = "adjust";
        return book_other(self, self->credit->amount_wh, "a correction");
    case MM_MOVEMENT_PREPAID:
    case MM_MOVEMENT_POSTPAID:
        self->match = "mode";
        return book_other(self, self->credit->amount_wh, "prepayment begins or ends") &&
               (self->credit->count == 0 ||
                (pass_over(self) && mmi_hq_swaps_take_end(self->db, self->node_id, self->credit, self->received_us)));
    default:
        return book_unknown(self, "credit_without_purchase") && pass_over(self);
    }
}

// --- eras

// The era's balance was written off before this record of it came: what it brought was lost with it.
static bool write_off_late(taking_t *self) {
    int64_t amount_wh = self->credit->amount_wh;
    mmi_sql_t change = mmi_sql_begin(self->db, "UPDATE credit_loss SET amount_wh = amount_wh + ? WHERE node = ?"
                                               " AND channel = ? AND era = ?");
    mmi_sql_put_integer(&change, amount_wh);
    mmi_sql_put_integer(&change, self->node_id);
    mmi_sql_put_integer(&change, self->credit->channel);
    mmi_sql_put_integer(&change, self->credit->era);
    return mmi_sql_run(&change) &&
           (sqlite3_changes(self->db) == 0 || book_other(self, -amount_wh, "lost with its era"));
}

static bool write_off(sqlite3 *db, int64_t node_id, uint8_t channel, uint32_t era, uint64_t life_pulses,
                      uint32_t pulse_constant, int64_t lost, int64_t now_us) {
    mmi_hq_consumption_t consumption;
    mmi_hq_purchase_t meter;
    if (!mmi_hq_consumption(db, node_id, channel, life_pulses, pulse_constant, &consumption) ||
        !read_meter(db, node_id, channel, &meter)) {
        return false;
    }
    bool has_balance = consumption.open && consumption.era == era;
    int64_t amount_wh = has_balance ? consumption.open_wh - consumption.open_consumed_wh : 0;
    mmi_sql_t add = mmi_sql_begin(db, "INSERT OR IGNORE INTO credit_loss (node, channel, era, utc_us, amount_wh,"
                                      " consumed_wh) VALUES (?, ?, ?, ?, ?, ?)");
    mmi_sql_put_integer(&add, node_id);
    mmi_sql_put_integer(&add, channel);
    mmi_sql_put_integer(&add, era);
    mmi_sql_put_integer(&add, now_us);
    mmi_sql_put_integer(&add, amount_wh);
    mmi_sql_put_integer(&add, has_balance ? consumption.open_consumed_wh : 0);
    if (!mmi_sql_run(&add)) {
        return false;
    }
    if (sqlite3_changes(db) == 0 || (amount_wh == 0 && lost == 0)) {
        return true;
    }
    return mmi_hq_ledger_post(db, &meter, MMI_HQ_ACCOUNT_OTHER, MMI_HQ_ACCOUNT_OUTSIDE, MMI_HQ_UNIT_WH, -amount_wh,
                              "lost with its era", now_us) &&
           mmi_hq_incident(db, node_id, "credit_era_lost", channel, era, amount_wh, lost, now_us);
}

static bool end_era(sqlite3 *db, int64_t node_id, uint32_t era, int64_t now_us) {
    uint64_t life_pulses[MM_CHANNELS];
    uint32_t pulse_constants[MM_CHANNELS];
    if (!mmi_hq_registers(db, node_id, life_pulses, pulse_constants)) {
        return false;
    }
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        int64_t lost = 0;
        if (!lose(db, node_id, channel, era, UINT32_MAX, "new era", now_us, &lost) ||
            !write_off(db, node_id, channel, era, life_pulses[channel], pulse_constants[channel], lost, now_us)) {
            return false;
        }
    }
    return mmi_hq_swaps_end_era(db, node_id, now_us);
}

static bool change_era(sqlite3 *db, int64_t node_id, uint32_t era, int64_t now_us) {
    int64_t known = 0;
    mmi_sql_t query = mmi_sql_begin(db, "SELECT era FROM books_era WHERE node = ?");
    mmi_sql_put_integer(&query, node_id);
    if (!mmi_sql_value(&query, 0, &known)) {
        return false;
    }
    if (known == era) {
        return true;
    }
    if (known != 0 && !end_era(db, node_id, (uint32_t)known, now_us)) {
        return false;
    }
    mmi_sql_t put = mmi_sql_begin(db, "INSERT OR REPLACE INTO books_era (node, era) VALUES (?, ?)");
    mmi_sql_put_integer(&put, node_id);
    mmi_sql_put_integer(&put, era);
    return mmi_sql_run(&put);
}

// --- the store's side

bool mmi_hq_vending_take_credit(mm_store_t *store, int64_t node_id, mm_position_t position,
                                const mm_credit_record_t *credit, int64_t received_us) {
    taking_t self = {.db = store->db,
                     .node_id = node_id,
                     .position = position,
                     .credit = credit,
                     .received_us = received_us,
                     .match = "copy"};
    bool known = false;
    bool copy = false;
    if (mmi_hq_failed(store) || !mmi_hq_note_failure(store, is_known(&self, &known))) {
        return false;
    }
    if (known) {
        return true;
    }
    bool good = read_meter(store->db, node_id, credit->channel, &self.whose) && is_copy(&self, &copy) &&
                (copy || (book(&self) && write_off_late(&self))) && add_movement(&self);
    return mmi_hq_note_failure(store, good);
}

bool mmi_hq_vending_take_era(mm_store_t *store, int64_t node_id, uint32_t era, int64_t received_us) {
    if (mmi_hq_failed(store)) {
        return false;
    }
    return era == 0 || mmi_hq_note_failure(store, change_era(store->db, node_id, era, received_us));
}

// What a meter refuses of a purchase stays open, for its token can still be typed; somebody should know.
static bool note_refusal(sqlite3 *db, int64_t node_id, const mm_result_record_t *result, int64_t received_us) {
    int64_t known = 0;
    mmi_sql_t query = mmi_sql_begin(db, "SELECT count(*) FROM incident WHERE node = ? AND name = 'credit_refused'"
                                        " AND value3 = ?");
    mmi_sql_put_integer(&query, node_id);
    mmi_sql_put_integer(&query, (int64_t)result->command_id);
    return mmi_sql_value(&query, 0, &known) &&
           (known > 0 || mmi_hq_incident(db, node_id, "credit_refused", result->channel, result->kind, result->status,
                                         (int64_t)result->command_id, received_us));
}

bool mmi_hq_vending_take_result(mm_store_t *store, int64_t node_id, mm_position_t position,
                                const mm_result_record_t *result, int64_t received_us) {
    mm_archive_detail_t archive;
    if (mmi_hq_failed(store)) {
        return false;
    }
    bool is_credit = result->kind == MM_COMMAND_CREDIT || result->kind == MM_COMMAND_VOID;
    if (is_credit && result->status != MM_RESULT_DONE && result->status != MM_RESULT_ALREADY) {
        return mmi_hq_note_failure(store, note_refusal(store->db, node_id, result, received_us));
    }
    if (result->kind == MM_COMMAND_MODE && result->status != MM_RESULT_DONE) {
        return mmi_hq_note_failure(store, mmi_hq_swaps_take_result(store->db, node_id, result, received_us));
    }
    // FORMAT tells of each meter while it is under way.
    bool is_change =
        (result->status == MM_RESULT_DONE && (result->kind == MM_COMMAND_UPDATE || result->kind == MM_COMMAND_ERASE)) ||
        (result->status == MM_RESULT_TRYING && result->kind == MM_COMMAND_FORMAT);
    if (!is_change || result->channel >= MM_CHANNELS ||
        mm_archive_detail_read(result->detail, result->detail_bytes, &archive) != MM_OK) {
        return true;
    }
    mmi_sql_t add = mmi_sql_begin(store->db, "INSERT OR IGNORE INTO meter_change (node, epoch, seq, channel,"
                                             " command_id, constant_before, life_before, constant_after, life_after,"
                                             " trust, seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    mmi_sql_put_integer(&add, node_id);
    mmi_sql_put_integer(&add, position.epoch);
    mmi_sql_put_integer(&add, position.seq);
    mmi_sql_put_integer(&add, result->channel);
    mmi_sql_put_integer(&add, (int64_t)result->command_id);
    mmi_sql_put_integer(&add, archive.before.pulse_constant);
    mmi_sql_put_integer(&add, (int64_t)archive.before.life_pulses);
    mmi_sql_put_integer(&add, archive.after.pulse_constant);
    mmi_sql_put_integer(&add, (int64_t)archive.after.life_pulses);
    mmi_sql_put_integer(&add, result->at.trust);
    mmi_sql_put_integer(&add, (int64_t)result->at.seconds);
    return mmi_hq_note_failure(store, mmi_sql_run(&add));
}

bool mmi_hq_vending_register_was_set(mm_store_t *store, int64_t node_id, uint8_t channel, mm_position_t journal_next,
                                     uint64_t life_pulses, bool *was_set) {
    int64_t found = 0;
    mmi_sql_t query = mmi_sql_begin(store->db, "SELECT count(*) FROM meter_change WHERE node = ? AND channel = ?"
                                               " AND (epoch, seq) >= (?, ?) AND life_after <= ?");
    mmi_sql_put_integer(&query, node_id);
    mmi_sql_put_integer(&query, channel);
    mmi_sql_put_integer(&query, journal_next.epoch);
    mmi_sql_put_integer(&query, journal_next.seq);
    mmi_sql_put_integer(&query, (int64_t)life_pulses);
    bool good = mmi_hq_note_failure(store, mmi_sql_value(&query, 0, &found));
    *was_set = found > 0;
    return good;
}
