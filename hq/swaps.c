// SPDX-License-Identifier: Apache-2.0
#include "swaps.h"

#include "commands.h"
#include "operators.h"
#include "store_internal.h"
#include "text_check.h"
#include "vending_internal.h"

#include "meshmeter/command_body.h"

#include <stdio.h>
#include <string.h>

#define PRIORITY 7
#define CURRENCIES_MAX 8

// --- what nodes report

bool mmi_hq_swaps_find_open(sqlite3 *db, int64_t node_id, uint8_t channel, int64_t *id,
                            char before[MM_METER_ID_CHARS_MAX + 1]) {
    mmi_sql_t query = mmi_sql_begin(db, "SELECT id, meter_before FROM meter_swap WHERE node = ? AND channel = ?"
                                        " AND state = 'open'");
    mmi_sql_put_integer(&query, node_id);
    mmi_sql_put_integer(&query, channel);
    *id = 0;
    before[0] = '\0';
    if (mmi_sql_row(&query)) {
        *id = mmi_sql_integer(&query, 0);
        snprintf(before, MM_METER_ID_CHARS_MAX + 1, "%s", mmi_sql_text(&query, 1));
    }
    return mmi_sql_end(&query);
}

// What is on the channel: its balance as the node said it last, a debt, too; and what may still come.
static bool read_credit(sqlite3 *db, int64_t node_id, uint8_t channel, int64_t *balance_wh, int64_t *pending_wh) {
    mmi_sql_t query = mmi_sql_begin(db, "SELECT coalesce((SELECT CASE prepaid WHEN 0 THEN 0 ELSE balance_wh END"
                                        " FROM meter_credit WHERE node = ?1 AND channel = ?2), 0),"
                                        " (SELECT coalesce(sum(amount_wh), 0) FROM purchase WHERE node = ?1"
                                        " AND channel = ?2 AND state <= 2)");
    mmi_sql_put_integer(&query, node_id);
    mmi_sql_put_integer(&query, channel);
    *balance_wh = 0;
    *pending_wh = 0;
    if (mmi_sql_row(&query)) {
        *balance_wh = mmi_sql_integer(&query, 0);
        *pending_wh = mmi_sql_integer(&query, 1);
    }
    return mmi_sql_end(&query);
}

// The next count of the meter's series behind all that is known here to be sold or taken; odd, as no credit has it.
static bool next_count(sqlite3 *db, int64_t node_id, uint8_t channel, int64_t *count) {
    int64_t highest = 0;
    mmi_sql_t query =
        mmi_sql_begin(db, "SELECT max(count) FROM (SELECT 0 AS count UNION ALL SELECT count FROM purchase"
                          " JOIN control ON control.node = purchase.node AND control.era = purchase.era"
                          " WHERE purchase.node = ?1 AND channel = ?2 UNION ALL SELECT count FROM movement"
                          " JOIN control ON control.node = movement.node AND control.era = movement.era"
                          " WHERE movement.node = ?1 AND channel = ?2)");
    mmi_sql_put_integer(&query, node_id);
    mmi_sql_put_integer(&query, channel);
    bool good = mmi_sql_value(&query, 0, &highest);
    *count = highest + 1 + highest % 2;
    return good;
}

// Whether the credit of the meter before has been cleared since its channel got another one: the records of that come
// before the swap is seen if the database was replaced by a copy from before both. The record of the change itself may
// not be here yet: then the newest change is that of an earlier swap, whose withdrawal was before the last report.
static bool is_cleared(sqlite3 *db, int64_t node_id, uint8_t channel, mm_position_t before_next, bool *cleared) {
    int64_t found = 0;
    mmi_sql_t query =
        mmi_sql_begin(db, "SELECT count(*) FROM movement WHERE node = ?1 AND channel = ?2 AND movement = ?3"
                          " AND count > 0 AND (epoch, seq) >= (?4, ?5) AND (epoch, seq) > (SELECT epoch, seq FROM"
                          " meter_change WHERE node = ?1 AND channel = ?2 ORDER BY epoch DESC, seq DESC LIMIT 1)");
    mmi_sql_put_integer(&query, node_id);
    mmi_sql_put_integer(&query, channel);
    mmi_sql_put_integer(&query, MM_MOVEMENT_POSTPAID);
    mmi_sql_put_integer(&query, before_next.epoch);
    mmi_sql_put_integer(&query, before_next.seq);
    bool good = mmi_sql_value(&query, 0, &found);
    *cleared = found > 0;
    return good;
}

static bool open_swap(sqlite3 *db, int64_t node_id, uint8_t channel, const char *before, const char *after,
                      mm_position_t before_next, int64_t now_us) {
    int64_t balance_wh;
    int64_t pending_wh;
    if (!read_credit(db, node_id, channel, &balance_wh, &pending_wh)) {
        return false;
    }
    int64_t count;
    if (before[0] == '\0' || (balance_wh == 0 && pending_wh == 0)) {
        return true; // there is nothing that could go to the wrong one
    }
    bool cleared;
    if (!next_count(db, node_id, channel, &count) || !is_cleared(db, node_id, channel, before_next, &cleared)) {
        return false;
    }
    if (cleared) {
        return true;
    }
    mmi_sql_t add = mmi_sql_begin(db, "INSERT INTO meter_swap (node, channel, meter_before, meter_after, opened_us,"
                                      " balance_wh, pending_wh, token_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    mmi_sql_put_integer(&add, node_id);
    mmi_sql_put_integer(&add, channel);
    mmi_sql_put_text(&add, before);
    mmi_sql_put_text(&add, after);
    mmi_sql_put_integer(&add, now_us);
    mmi_sql_put_integer(&add, balance_wh);
    mmi_sql_put_integer(&add, pending_wh);
    mmi_sql_put_integer(&add, count);
    return mmi_sql_run(&add) && mmi_hq_incident(db, node_id, "credit_meter_changed", channel, balance_wh, pending_wh,
                                                sqlite3_last_insert_rowid(db), now_us);
}

static bool follow_swap(sqlite3 *db, int64_t id, bool is_back, const char *after, int64_t now_us) {
    mmi_sql_t write =
        is_back ? mmi_sql_begin(db, "UPDATE meter_swap SET meter_after = ?1, state = 'returned', decided_us = ?2"
                                    " WHERE id = ?3")
                : mmi_sql_begin(db, "UPDATE meter_swap SET meter_after = ?1 WHERE id = ?3 AND ?2 <> 0");
    mmi_sql_put_text(&write, after);
    mmi_sql_put_integer(&write, now_us);
    mmi_sql_put_integer(&write, id);
    return mmi_sql_run(&write);
}

static bool take(sqlite3 *db, int64_t node_id, uint8_t channel, const char *before, const char *after,
                 mm_position_t before_next, int64_t now_us) {
    int64_t id;
    char owner[MM_METER_ID_CHARS_MAX + 1];
    if (!mmi_hq_swaps_find_open(db, node_id, channel, &id, owner)) {
        return false;
    }
    return id != 0 ? follow_swap(db, id, strcmp(owner, after) == 0, after, now_us)
                   : open_swap(db, node_id, channel, before, after, before_next, now_us);
}

bool mmi_hq_swaps_take(mm_store_t *store, int64_t node_id, uint8_t channel, const char *before, const char *after,
                       mm_position_t before_next, int64_t received_us) {
    return !mmi_hq_failed(store) &&
           mmi_hq_note_failure(store, take(store->db, node_id, channel, before, after, before_next, received_us));
}

bool mmi_hq_swaps_is_clearing(sqlite3 *db, int64_t node_id, uint8_t channel, bool *clearing) {
    int64_t commands = 0;
    // Nobody else's have no order.
    mmi_sql_t query = mmi_sql_begin(db, "SELECT count(*) FROM command WHERE node = ? AND channel = ? AND kind = ?"
                                        " AND order_id = 0 AND state < 4");
    mmi_sql_put_integer(&query, node_id);
    mmi_sql_put_integer(&query, channel);
    mmi_sql_put_integer(&query, MM_COMMAND_MODE);
    bool good = mmi_sql_value(&query, 0, &commands);
    *clearing = commands > 0;
    return good;
}

bool mmi_hq_swaps_end_era(sqlite3 *db, int64_t node_id, int64_t now_us) {
    mmi_sql_t write = mmi_sql_begin(db, "UPDATE meter_swap SET state = 'lost', decided_us = ? WHERE node = ?"
                                        " AND state = 'open'");
    mmi_sql_put_integer(&write, now_us);
    mmi_sql_put_integer(&write, node_id);
    return mmi_sql_run(&write);
}

// --- showing

#define COLUMNS                                                                                                        \
    "SELECT swap.id, site.name, node.mac, node.id, site.id, swap.channel, swap.meter_before, swap.meter_after,"        \
    " swap.opened_us, swap.balance_wh, swap.pending_wh, swap.state, swap.decided_by, swap.decided_us, swap.request,"   \
    " swap.token_count"                                                                                                \
    " FROM meter_swap AS swap JOIN node ON node.id = swap.node JOIN site ON site.id = node.site"

static void read_swap(const mmi_sql_t *row, mm_swap_t *swap) {
    memset(swap, 0, sizeof *swap);
    swap->id = mmi_sql_integer(row, 0);
    snprintf(swap->site, sizeof swap->site, "%s", mmi_sql_text(row, 1));
    swap->node = mmi_sql_mac(row, 2);
    swap->node_id = mmi_sql_integer(row, 3);
    swap->site_id = mmi_sql_integer(row, 4);
    swap->channel = (uint8_t)mmi_sql_integer(row, 5);
    snprintf(swap->before, sizeof swap->before, "%s", mmi_sql_text(row, 6));
    snprintf(swap->after, sizeof swap->after, "%s", mmi_sql_text(row, 7));
    swap->opened_us = mmi_sql_integer(row, 8);
    swap->balance_wh = mmi_sql_integer(row, 9);
    swap->pending_wh = mmi_sql_integer(row, 10);
    snprintf(swap->state, sizeof swap->state, "%s", mmi_sql_text(row, 11));
    snprintf(swap->decided_by, sizeof swap->decided_by, "%s", mmi_sql_text(row, 12));
    swap->decided_us = mmi_sql_integer(row, 13);
    snprintf(swap->request, sizeof swap->request, "%s", mmi_sql_text(row, 14));
    swap->token_count = (uint32_t)mmi_sql_integer(row, 15);
}

// The swap that the query finds; id 0 = none.
static bool find_one(mmi_sql_t *query, mm_swap_t *swap) {
    memset(swap, 0, sizeof *swap);
    if (mmi_sql_row(query)) {
        read_swap(query, swap);
    }
    return mmi_sql_end(query);
}

mm_desk_result_t mm_swaps_list(mm_desk_t *desk, bool open_only, int64_t limit, mm_swaps_visit_fn visit, void *context,
                               mm_hq_error_t *error) {
    mm_swap_t swap;
    bool more = true;
    mmi_sql_t rows = mmi_sql_begin(mmi_desk_db(desk), COLUMNS " WHERE swap.state = 'open' OR ?1 = 0"
                                                              " ORDER BY swap.state = 'open' DESC, swap.id DESC"
                                                              " LIMIT ?2");
    mmi_sql_put_integer(&rows, open_only);
    mmi_sql_put_integer(&rows, limit);
    while (more && mmi_sql_row(&rows)) {
        read_swap(&rows, &swap);
        more = visit(context, &swap);
    }
    return mmi_sql_end(&rows) ? MM_DESK_OK : mmi_desk_fail(desk, error);
}

// --- deciding

/// One decision on its way.
typedef struct {
    sqlite3 *db;
    mm_swaps_decision_t decision;
    const char *request;
    const char *operator_name;
    int64_t now_us;
    mm_hq_error_t *error;
    mm_swap_t swap;
} deciding_t;

static mmi_hq_purchase_t whose(const mm_swap_t *swap, const char *meter) {
    mmi_hq_purchase_t account = {.node_id = swap->node_id, .channel = swap->channel};
    snprintf(account.meter, sizeof account.meter, "%s", meter);
    return account;
}

// The balance leaves the books of the one meter and enters those of the other; the channel's sums stay as they are.
static bool move_energy(sqlite3 *db, const mm_swap_t *swap, int64_t amount_wh, int64_t now_us) {
    mmi_hq_purchase_t before = whose(swap, swap->before);
    mmi_hq_purchase_t after = whose(swap, swap->after);
    return mmi_hq_ledger_post(db, &before, MMI_HQ_ACCOUNT_OTHER, MMI_HQ_ACCOUNT_OUTSIDE, MMI_HQ_UNIT_WH, -amount_wh,
                              "to another meter on its channel", now_us) &&
           mmi_hq_ledger_post(db, &after, MMI_HQ_ACCOUNT_OTHER, MMI_HQ_ACCOUNT_OUTSIDE, MMI_HQ_UNIT_WH, amount_wh,
                              "of another meter on its channel", now_us);
}

/// Kept for a meter, in 1/1000 minor units.
typedef struct {
    char currency[8];
    int64_t milli;
} remainder_t;

static bool read_remainders(const deciding_t *self, remainder_t kept[CURRENCIES_MAX], size_t *count) {
    mmi_sql_t rows = mmi_sql_begin(
        self->db, "SELECT account.unit, sum(credits - debits) FROM node JOIN account ON account.node = node.id"
                  " WHERE node.site = ?1 AND account.meter = ?2 AND account.name = 'remainder'"
                  " AND NOT EXISTS (SELECT 1 FROM meter WHERE meter.id = ?2)"
                  " GROUP BY account.unit HAVING sum(credits - debits) <> 0");
    mmi_sql_put_integer(&rows, self->swap.site_id);
    mmi_sql_put_text(&rows, self->swap.before);
    for (*count = 0; *count < CURRENCIES_MAX && mmi_sql_row(&rows); (*count)++) {
        snprintf(kept[*count].currency, sizeof kept[*count].currency, "%s", mmi_sql_text(&rows, 0));
        kept[*count].milli = mmi_sql_integer(&rows, 1);
    }
    return mmi_sql_end(&rows);
}

// Money that is kept for a meter that is gone.
static bool move_money(const deciding_t *self) {
    mmi_hq_purchase_t before = whose(&self->swap, self->swap.before);
    mmi_hq_purchase_t after = whose(&self->swap, self->swap.after);
    remainder_t kept[CURRENCIES_MAX];
    size_t count = 0;
    bool good = read_remainders(self, kept, &count);
    for (size_t index = 0; good && index < count; index++) {
        good =
            mmi_hq_ledger_post(self->db, &before, MMI_HQ_ACCOUNT_REMAINDER, MMI_HQ_ACCOUNT_MOVED, kept[index].currency,
                               kept[index].milli, "to another meter on its channel", self->now_us) &&
            mmi_hq_ledger_post(self->db, &after, MMI_HQ_ACCOUNT_MOVED, MMI_HQ_ACCOUNT_REMAINDER, kept[index].currency,
                               kept[index].milli, "of another meter on its channel", self->now_us);
    }
    return good;
}

// Each open purchase of the channel, by number: to void one changes what the query finds.
static mm_desk_result_t void_purchases(const deciding_t *self) {
    mmi_hq_purchase_t purchase = {.id = 0};
    mm_desk_result_t result = MM_DESK_OK;
    do {
        mmi_sql_t find = mmi_sql_begin(self->db, "SELECT " MMI_HQ_PURCHASE_COLUMNS " FROM purchase WHERE node = ?"
                                                 " AND channel = ? AND state = 1 AND id > ? ORDER BY id LIMIT 1");
        mmi_sql_put_integer(&find, self->swap.node_id);
        mmi_sql_put_integer(&find, self->swap.channel);
        mmi_sql_put_integer(&find, purchase.id);
        if (!mmi_hq_purchase_find(&find, &purchase)) {
            return MM_DESK_UNAVAILABLE;
        }
        if (purchase.id != 0) {
            result = mmi_hq_vend_void(self->db, &purchase, self->operator_name, self->now_us, self->error);
        }
    } while (purchase.id != 0 && result == MM_DESK_OK);
    return result;
}

// Returns the command's number; 0: the database failed.
static int64_t queue_mode(const deciding_t *self, const mm_mode_body_t *mode) {
    uint8_t bytes[MM_COMMAND_BODY_BYTES_MAX];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    const mm_command_body_t body = {.mode = *mode};
    return mm_command_body_put(MM_COMMAND_MODE, &body, &writer) == MM_OK
               ? mmi_hq_queue_command(self->db, self->swap.node_id, self->swap.channel, MM_COMMAND_MODE, bytes,
                                      writer.used_bytes, PRIORITY, 0, 0, self->now_us)
               : 0;
}

static bool queue_end_and_beginning(const deciding_t *self) {
    const mm_mode_body_t end = {.has_count = self->swap.token_count != 0, .count = self->swap.token_count};
    int64_t command = queue_mode(self, &end);
    mmi_sql_t write = mmi_sql_begin(self->db, "UPDATE meter_swap SET command = ? WHERE id = ?");
    mmi_sql_put_integer(&write, command);
    mmi_sql_put_integer(&write, self->swap.id);
    return mmi_sql_run(&write) && command != 0 && queue_mode(self, &(mm_mode_body_t){.prepaid = true}) != 0;
}

// Behind the voids, in the order of their numbers: no token of the meter before can be typed between.
static mm_desk_result_t withdraw(const deciding_t *self) {
    int64_t prepaid = 0;
    mm_desk_result_t result = void_purchases(self);
    if (result != MM_DESK_OK) {
        return result;
    }
    mmi_sql_t query = mmi_sql_begin(self->db, "SELECT prepaid FROM meter_credit WHERE node = ? AND channel = ?");
    mmi_sql_put_integer(&query, self->swap.node_id);
    mmi_sql_put_integer(&query, self->swap.channel);
    if (!mmi_sql_value(&query, 0, &prepaid)) {
        return MM_DESK_UNAVAILABLE;
    }
    // A void may come too late: what was pending is then a balance of which HQ has not heard.
    if (prepaid == 0 || (self->swap.balance_wh == 0 && self->swap.pending_wh == 0)) {
        return MM_DESK_OK;
    }
    return queue_end_and_beginning(self) ? MM_DESK_OK : MM_DESK_UNAVAILABLE;
}

// Credit that nobody here knew of when the swap was opened: sold, or withdrawn, on the word of a database that this one
// has replaced. Whatever it is, it is not what is to be withdrawn.
static mm_desk_result_t check_newer(const deciding_t *self) {
    int64_t newer = 0;
    mmi_sql_t query = mmi_sql_begin(self->db, "SELECT count(*) FROM meter_credit WHERE node = ? AND channel = ?"
                                              " AND token_count >= ?");
    mmi_sql_put_integer(&query, self->swap.node_id);
    mmi_sql_put_integer(&query, self->swap.channel);
    mmi_sql_put_integer(&query, self->swap.token_count);
    if (!mmi_sql_value(&query, 0, &newer)) {
        return MM_DESK_UNAVAILABLE;
    }
    if (newer == 0 || self->swap.token_count == 0) {
        return MM_DESK_OK;
    }
    mm_hq_error_set(
        self->error,
        "the meter has taken credit since, which would be withdrawn, too; its records may still come and say"
        " that this was decided before; transfer leaves the channel what it has");
    return MM_DESK_REFUSED;
}

static const char *state_after(mm_swaps_decision_t decision) {
    return decision == MM_SWAPS_TRANSFER ? "transferred" : "withdrawn";
}

static bool write_decision(const deciding_t *self) {
    char detail[192];
    const mm_swap_t *swap = &self->swap;
    mmi_sql_t write = mmi_sql_begin(self->db, "UPDATE meter_swap SET state = ?, balance_wh = ?, pending_wh = ?,"
                                              " decided_by = ?, decided_us = ?, request = ? WHERE id = ?");
    mmi_sql_put_text(&write, state_after(self->decision));
    mmi_sql_put_integer(&write, swap->balance_wh);
    mmi_sql_put_integer(&write, swap->pending_wh);
    mmi_sql_put_text(&write, self->operator_name);
    mmi_sql_put_integer(&write, self->now_us);
    mmi_sql_put_text(&write, self->request);
    mmi_sql_put_integer(&write, swap->id);
    snprintf(detail, sizeof detail, "swap %lld: %lld Wh of balance and %lld Wh of open purchases of meter %s, %s %s",
             (long long)swap->id, (long long)swap->balance_wh, (long long)swap->pending_wh, swap->before,
             self->decision == MM_SWAPS_TRANSFER ? "to meter" : "owed to its customer, not for meter", swap->after);
    return mmi_sql_run(&write) &&
           mmi_hq_audit(self->db, self->operator_name,
                        self->decision == MM_SWAPS_TRANSFER ? "transfer" : "withdraw credit", detail, self->now_us);
}

// UNAVAILABLE: the database failed.
static mm_desk_result_t carry_out(deciding_t *self) {
    if (!read_credit(self->db, self->swap.node_id, self->swap.channel, &self->swap.balance_wh,
                     &self->swap.pending_wh) ||
        !move_energy(self->db, &self->swap, self->swap.balance_wh, self->now_us)) {
        return MM_DESK_UNAVAILABLE;
    }
    mm_desk_result_t result = MM_DESK_OK;
    if (self->decision == MM_SWAPS_WITHDRAW) {
        result = check_newer(self);
        result = result == MM_DESK_OK ? withdraw(self) : result;
    } else if (!move_money(self)) {
        result = MM_DESK_UNAVAILABLE;
    }
    return result == MM_DESK_OK && !write_decision(self) ? MM_DESK_UNAVAILABLE : result;
}

static bool find_swap(deciding_t *self, int64_t id, int64_t *request_of) {
    mmi_sql_t used = mmi_sql_begin(self->db, "SELECT id FROM meter_swap WHERE request = ?");
    mmi_sql_put_text(&used, self->request);
    mmi_sql_t query = mmi_sql_begin(self->db, COLUMNS " WHERE swap.id = ?");
    mmi_sql_put_integer(&query, id);
    bool good = find_one(&query, &self->swap);
    return mmi_sql_value(&used, 0, request_of) && good;
}

static mm_desk_result_t decide(deciding_t *self, int64_t id, bool *repeated) {
    int64_t request_of = 0;
    if (!find_swap(self, id, &request_of)) {
        return MM_DESK_UNAVAILABLE;
    }
    if (self->swap.id == 0) {
        mm_hq_error_set(self->error, "no swap %lld; meshmeter books swaps lists them", (long long)id);
        return MM_DESK_NOT_FOUND;
    }
    if (request_of != 0) {
        *repeated = request_of == id && strcmp(self->swap.state, state_after(self->decision)) == 0;
        mm_hq_error_set(self->error, "the request id was used for another decision; take a new one");
        return *repeated ? MM_DESK_OK : MM_DESK_CONFLICT;
    }
    if (strcmp(self->swap.state, "open") != 0) {
        mm_hq_error_set(self->error, "swap %lld is %s: there is nothing to decide any more", (long long)id,
                        self->swap.state);
        return MM_DESK_REFUSED;
    }
    if (self->swap.after[0] == '\0') {
        mm_hq_error_set(self->error, "no meter is on the channel now; its credit stays there until one is installed");
        return MM_DESK_REFUSED;
    }
    return carry_out(self);
}

mm_desk_result_t mm_swaps_decide(mm_desk_t *desk, int64_t id, mm_swaps_decision_t decision, const char *request,
                                 const char *operator_name, int64_t now_us, bool *repeated, mm_hq_error_t *error) {
    deciding_t self = {.db = mmi_desk_db(desk),
                       .decision = decision,
                       .request = request,
                       .operator_name = operator_name,
                       .now_us = now_us,
                       .error = error};
    *repeated = false;
    if (!mmi_hq_is_request(request, MM_SWAPS_REQUEST_CHARS_MAX)) {
        mm_hq_error_set(error, "request: 1 to %d printable characters without blanks", MM_SWAPS_REQUEST_CHARS_MAX);
        return MM_DESK_REFUSED;
    }
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result != MM_DESK_OK) {
        return result;
    }
    result = decide(&self, id, repeated);
    if (result == MM_DESK_UNAVAILABLE) {
        return mmi_desk_fail(desk, error);
    }
    return result == MM_DESK_OK ? mmi_desk_commit(desk, error) : mmi_desk_rollback(desk, result);
}

// --- what became of a decision

static bool write_end(sqlite3 *db, const mm_swap_t *swap, const char *state, int64_t balance_wh, int64_t now_us) {
    mmi_sql_t write = mmi_sql_begin(db, "UPDATE meter_swap SET state = ?, balance_wh = ?, decided_us = ?, command = 0"
                                        " WHERE id = ?");
    mmi_sql_put_text(&write, state);
    mmi_sql_put_integer(&write, balance_wh);
    mmi_sql_put_integer(&write, now_us);
    mmi_sql_put_integer(&write, swap->id);
    return mmi_sql_run(&write);
}

bool mmi_hq_swaps_take_end(sqlite3 *db, int64_t node_id, const mm_credit_record_t *credit, int64_t received_us) {
    mm_swap_t swap;
    // One that was decided here, too, before the record came: its own command is refused then. Counts of an era that is
    // over are of another series.
    mmi_sql_t query = mmi_sql_begin(db, COLUMNS " WHERE swap.node = ?1 AND swap.channel = ?2 AND swap.token_count > 0"
                                                " AND EXISTS (SELECT 1 FROM control WHERE control.node = ?1 AND"
                                                " control.era = ?5)"
                                                " AND swap.token_count <= ?3 AND (swap.state = 'open' OR"
                                                " (swap.state = 'withdrawn' AND swap.command <> ?4 AND EXISTS (SELECT 1"
                                                " FROM command WHERE command.id = swap.command AND command.state < 4)))"
                                                " ORDER BY swap.id DESC LIMIT 1");
    mmi_sql_put_integer(&query, node_id);
    mmi_sql_put_integer(&query, credit->channel);
    mmi_sql_put_integer(&query, credit->count);
    mmi_sql_put_integer(&query, (int64_t)credit->command_id);
    mmi_sql_put_integer(&query, credit->era);
    if (!find_one(&query, &swap)) {
        return false;
    }
    int64_t moved_wh = strcmp(swap.state, "open") == 0 ? 0 : swap.balance_wh;
    return swap.id == 0 || (move_energy(db, &swap, -credit->amount_wh - moved_wh, received_us) &&
                            write_end(db, &swap, "withdrawn", -credit->amount_wh, received_us));
}

bool mmi_hq_swaps_take_result(sqlite3 *db, int64_t node_id, const mm_result_record_t *result, int64_t received_us) {
    mm_swap_t swap;
    mmi_sql_t query =
        mmi_sql_begin(db, COLUMNS " WHERE swap.node = ? AND swap.state = 'withdrawn' AND swap.command <> 0"
                                  " AND swap.command = ?");
    mmi_sql_put_integer(&query, node_id);
    mmi_sql_put_integer(&query, (int64_t)result->command_id);
    if (!find_one(&query, &swap)) {
        return false;
    }
    return swap.id == 0 || (move_energy(db, &swap, -swap.balance_wh, received_us) &&
                            write_end(db, &swap, "refused", swap.balance_wh, received_us) &&
                            mmi_hq_incident(db, node_id, "credit_not_withdrawn", swap.channel, swap.balance_wh,
                                            result->status, swap.id, received_us));
}
