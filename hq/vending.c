// SPDX-License-Identifier: Apache-2.0
#include "vending_internal.h"

#include "commands.h"
#include "device_keys.h"
#include "operators.h"
#include "swaps.h"

#include "meshmeter/calendar.h"
#include "meshmeter/command_body.h"
#include "meshmeter/control.h"
#include "meshmeter/credit.h"

#include <stdio.h>
#include <string.h>

#define MICROSECONDS 1000000
#define PRIORITY 7
/// How many counts of one form are tried for a sale.
#define COUNTS_MAX 8

/// One sale on its way.
typedef struct {
    sqlite3 *db;
    const mm_vend_request_t *request;
    int64_t now_us;
    mmi_hq_place_t place;
    uint32_t era;
    uint32_t token_count; ///< as the meter said
    int64_t balance_wh;
    int64_t oldest_count; ///< of the open purchases; 0 = none is open
    int64_t oldest_id;
    uint32_t count; ///< of this sale
    int64_t unit_wh;
    int64_t tariff_id;
    mm_tariff_t tariff;
    uint16_t local_month;
    mm_tariff_quote_t quote;
    char token[MM_TOKEN_DIGITS_MAX + 1];
    char token_restricted[MM_TOKEN_DIGITS_MAX + 1];
    mmi_hq_purchase_t purchase;
} sale_t;

// --- what was asked

static mm_desk_result_t check_request(const mm_vend_request_t *request, mm_hq_error_t *error) {
    size_t chars = request->request != NULL ? strlen(request->request) : 0;
    size_t name_chars = request->operator_name != NULL ? strlen(request->operator_name) : 0;
    if (chars < 1 || chars > MM_VENDING_REQUEST_CHARS_MAX) {
        mm_hq_error_set(error, "the request id must have 1 to %d characters", MM_VENDING_REQUEST_CHARS_MAX);
    } else if (name_chars < 1 || name_chars > MM_VENDING_OPERATOR_CHARS_MAX) {
        mm_hq_error_set(error, "who sells must be said, in 1 to %d characters", MM_VENDING_OPERATOR_CHARS_MAX);
    } else if (request->meter == NULL || request->meter[0] == '\0') {
        mm_hq_error_set(error, "the meter is missing: its id, or MAC/CHANNEL");
    } else if (request->amount_wh < 0 || request->money_minor < 0) {
        mm_hq_error_set(error, "credit is never sold in negative amounts; a purchase is taken back with void");
    } else if ((request->amount_wh == 0) == (request->money_minor == 0)) {
        mm_hq_error_set(error, "say the energy or the money, one of them, more than zero");
    } else {
        return MM_DESK_OK;
    }
    return MM_DESK_REFUSED;
}

// The id was used before: *id, and CONFLICT if it was for something else.
static mm_desk_result_t find_repeated(const sale_t *self, int64_t *id, mm_hq_error_t *error) {
    const mm_vend_request_t *request = self->request;
    bool same = true;
    mmi_sql_t query = mmi_sql_begin(self->db, "SELECT id, asked_meter = ? AND asked_wh = ? AND asked_minor = ?"
                                              " FROM purchase WHERE request = ?");
    mmi_sql_put_text(&query, request->meter);
    mmi_sql_put_integer(&query, request->amount_wh);
    mmi_sql_put_integer(&query, request->money_minor);
    mmi_sql_put_text(&query, request->request);
    *id = 0;
    if (mmi_sql_row(&query)) {
        *id = mmi_sql_integer(&query, 0);
        same = mmi_sql_integer(&query, 1) != 0;
    }
    if (!mmi_sql_end(&query)) {
        return MM_DESK_UNAVAILABLE;
    }
    if (!same) {
        mm_hq_error_set(error, "request %s was used for another purchase (%lld); take a new id", request->request,
                        (long long)*id);
        return MM_DESK_CONFLICT;
    }
    return MM_DESK_OK;
}

// --- may it be sold

static mm_desk_result_t check_meter(sale_t *self, mm_hq_error_t *error) {
    bool prepaid = false;
    mmi_sql_t query = mmi_sql_begin(self->db, "SELECT control.era, coalesce(credit.prepaid, 0),"
                                              " coalesce(credit.token_count, 0), coalesce(credit.balance_wh, 0)"
                                              " FROM control LEFT JOIN meter_credit AS credit"
                                              " ON credit.node = control.node AND credit.channel = ?"
                                              " WHERE control.node = ?");
    mmi_sql_put_integer(&query, self->place.channel);
    mmi_sql_put_integer(&query, self->place.node_id);
    if (mmi_sql_row(&query)) {
        self->era = (uint32_t)mmi_sql_integer(&query, 0);
        prepaid = mmi_sql_integer(&query, 1) != 0;
        self->token_count = (uint32_t)mmi_sql_integer(&query, 2);
        self->balance_wh = mmi_sql_integer(&query, 3);
    }
    if (!mmi_sql_end(&query)) {
        return MM_DESK_UNAVAILABLE;
    }
    if (self->era == 0) {
        mm_hq_error_set(error, "meter %s: its node has not yet said its era; wait for its next report",
                        self->place.meter);
        return MM_DESK_REFUSED;
    }
    if (!prepaid) {
        mm_hq_error_set(error, "meter %s is postpaid; meshmeter send %s mode prepaid=1 makes it prepaid",
                        self->place.meter, self->place.meter);
        return MM_DESK_REFUSED;
    }
    return MM_DESK_OK;
}

// What is sold now would stand on top of credit that may have to be taken away again.
static mm_desk_result_t check_swap(sale_t *self, mm_hq_error_t *error) {
    int64_t swap = 0;
    char before[MM_METER_ID_CHARS_MAX + 1];
    bool clearing = false;
    if (!mmi_hq_swaps_find_open(self->db, self->place.node_id, self->place.channel, &swap, before) ||
        !mmi_hq_swaps_is_clearing(self->db, self->place.node_id, self->place.channel, &clearing)) {
        return MM_DESK_UNAVAILABLE;
    }
    if (clearing) {
        mm_hq_error_set(error,
                        "meter %s: the credit of the meter before is being taken away, and would take this with"
                        " it; try again when its node has reported",
                        self->place.meter);
        return MM_DESK_REFUSED;
    }
    if (swap == 0) {
        return MM_DESK_OK;
    }
    mm_hq_error_set(error,
                    "meter %s is where meter %s was, whose credit is still there; decide first: meshmeter books"
                    " transfer %lld, or withdraw %lld",
                    self->place.meter, before, (long long)swap, (long long)swap);
    return MM_DESK_REFUSED;
}

// Whether the tokens that are still open could be typed behind one of this count.
static mm_desk_result_t check_reach(const sale_t *self, int64_t count, mm_hq_error_t *error) {
    if (self->oldest_count != 0 && count - self->oldest_count > MM_TOKEN_OLDER_MAX) {
        mm_hq_error_set(error, "purchase %lld of meter %s would be too old for its token to be typed; void it first",
                        (long long)self->oldest_id, self->place.meter);
        return MM_DESK_REFUSED;
    }
    if (count > MM_TOKEN_COUNT_MAX) {
        mm_hq_error_set(error, "the token series of meter %s is used up; its node needs a new era", self->place.meter);
        return MM_DESK_REFUSED;
    }
    return MM_DESK_OK;
}

static mm_desk_result_t choose_count(sale_t *self, mm_hq_error_t *error) {
    int64_t sold = 0;
    int64_t open = 0;
    int64_t open_wh = 0;
    mmi_sql_t last = mmi_sql_begin(self->db, "SELECT max(count) FROM purchase WHERE node = ? AND channel = ?"
                                             " AND era = ?");
    mmi_sql_put_integer(&last, self->place.node_id);
    mmi_sql_put_integer(&last, self->place.channel);
    mmi_sql_put_integer(&last, self->era);
    // Not those whose count the meter says it has used (6 already, 10 too old) while the record of it is not here, or
    // was lost: there is no token of them that could still be typed, and they would bar all sales for ever.
    mmi_sql_t query = mmi_sql_begin(self->db, "SELECT count(*), min(count), id, sum(amount_wh) FROM purchase"
                                              " WHERE node = ? AND channel = ? AND state <= 2 AND NOT EXISTS"
                                              " (SELECT 1 FROM command WHERE command.id IN (purchase.command,"
                                              " purchase.void_command) AND command.status IN (6, 10))");
    mmi_sql_put_integer(&query, self->place.node_id);
    mmi_sql_put_integer(&query, self->place.channel);
    if (mmi_sql_row(&query)) {
        open = mmi_sql_integer(&query, 0);
        self->oldest_count = mmi_sql_integer(&query, 1);
        self->oldest_id = mmi_sql_integer(&query, 2);
        open_wh = mmi_sql_integer(&query, 3);
    }
    bool good = mmi_sql_end(&query);
    if (!mmi_sql_value(&last, 0, &sold) || !good) {
        return MM_DESK_UNAVAILABLE;
    }
    int64_t highest = sold > self->token_count ? sold : self->token_count;
    int64_t count = highest + 2 - highest % 2;
    if (open >= MM_VENDING_OPEN_MAX) {
        mm_hq_error_set(error, "meter %s has %lld purchases that it has not taken; wait, or void some",
                        self->place.meter, (long long)open);
    } else if (self->balance_wh + open_wh + self->quote.amount_wh > MM_CREDIT_WH_MAX) {
        mm_hq_error_set(error, "meter %s cannot have that much credit", self->place.meter);
    } else {
        self->count = (uint32_t)(count < UINT32_MAX ? count : UINT32_MAX);
        return check_reach(self, count, error);
    }
    return MM_DESK_REFUSED;
}

// --- what it costs

static bool read_sale(const sale_t *self, const mm_local_t *local, mm_tariff_sale_t *sale) {
    *sale = (mm_tariff_sale_t){.weekday = local->weekday,
                               .hour = local->hour,
                               .unit_wh = self->unit_wh,
                               .units_max = MM_TOKEN_VALUE_EXTENDED_MAX};
    mmi_sql_t bought = mmi_sql_begin(self->db, "SELECT coalesce(sum(amount_wh), 0) FROM purchase WHERE node = ?"
                                               " AND channel = ? AND local_month = ? AND meter = ? AND state <= 3");
    mmi_sql_put_integer(&bought, self->place.node_id);
    mmi_sql_put_integer(&bought, self->place.channel);
    mmi_sql_put_integer(&bought, self->local_month);
    mmi_sql_put_text(&bought, self->place.meter);
    return mmi_sql_value(&bought, 0, &sale->bought_wh) &&
           mmi_hq_ledger_remainder(self->db, self->place.site_id, self->place.meter, self->tariff.currency,
                                   &sale->remainder_milli);
}

static mm_desk_result_t make_quote(sale_t *self, mm_hq_error_t *error) {
    const mm_vend_request_t *request = self->request;
    mm_tz_t tz;
    mm_tariff_sale_t sale;
    if (!mmi_hq_tariff_of_site(self->db, self->place.site_id, &self->tariff, &self->tariff_id, &self->unit_wh)) {
        return MM_DESK_UNAVAILABLE;
    }
    mm_tz_parse(self->place.tz, &tz);
    mm_local_t local = mm_local_from_utc(&tz, self->now_us > 0 ? self->now_us / MICROSECONDS : 0);
    self->local_month = mm_local_year_month(&local);
    int64_t limit_wh = self->unit_wh * MM_TOKEN_VALUE_EXTENDED_MAX;
    if (request->amount_wh % self->unit_wh != 0 || request->amount_wh > limit_wh) {
        mm_hq_error_set(error, "the energy must be a multiple of %lld Wh (one unit of a token), at most %lld Wh",
                        (long long)self->unit_wh, (long long)limit_wh);
        return MM_DESK_REFUSED;
    }
    if (self->tariff_id == 0) {
        if (request->money_minor > 0) {
            mm_hq_error_set(error, "site %s has no tariff, so money has no price here; meshmeter tariff --help",
                            self->place.site);
            return MM_DESK_REFUSED;
        }
        self->quote.amount_wh = request->amount_wh;
        return MM_DESK_OK;
    }
    if (!read_sale(self, &local, &sale)) {
        return MM_DESK_UNAVAILABLE;
    }
    bool good = request->amount_wh > 0
                    ? mm_tariff_quote_energy(&self->tariff, &sale, request->amount_wh, &self->quote, error)
                    : mm_tariff_quote_money(&self->tariff, &sale, request->money_minor, &self->quote, error);
    return good ? MM_DESK_OK : MM_DESK_REFUSED;
}

// --- the token and the command

// With both keypads for self->count. MM_ERR_STATE: these digits were those of an earlier count, too.
static mm_err_t write_tokens(sale_t *self, const mm_token_series_t *series, bool extended) {
    const mm_token_t token = {
        .type = MM_TOKEN_ADD, .value = (uint32_t)(self->quote.amount_wh / self->unit_wh), .count = self->count};
    mm_err_t err = mm_token_make(series, &token, extended, false, self->token);
    return err == MM_OK ? mm_token_make(series, &token, extended, true, self->token_restricted) : err;
}

// A count whose token reads as an earlier one is left out: the meter would say that it was used.
static mm_desk_result_t find_count(sale_t *self, const mm_token_series_t *series, bool extended, mm_err_t *err,
                                   mm_hq_error_t *error) {
    mm_desk_result_t result = MM_DESK_OK;
    for (int tried = 1; (*err = write_tokens(self, series, extended)) == MM_ERR_STATE && tried < COUNTS_MAX; tried++) {
        self->count += 2;
        result = check_reach(self, self->count, error);
        if (result != MM_DESK_OK) {
            break;
        }
    }
    return result;
}

// The chain of a value may have come back to where it was: then all its later counts read as earlier ones, and the
// value has no more tokens of this form. The other form has another chain.
static mm_desk_result_t find_form(sale_t *self, const mm_token_series_t *series, mm_err_t *err, mm_hq_error_t *error) {
    uint32_t first = self->count;
    bool extended = self->quote.amount_wh / self->unit_wh > MM_TOKEN_VALUE_MAX;
    mm_desk_result_t result = find_count(self, series, extended, err, error);
    if (*err == MM_ERR_STATE && !extended) {
        self->count = first;
        result = find_count(self, series, true, err, error);
    }
    if (result == MM_DESK_OK && *err == MM_ERR_STATE) {
        mm_hq_error_set(error, "meter %s has no more tokens of this amount; sell another amount", self->place.meter);
        return MM_DESK_REFUSED;
    }
    return result;
}

static mm_desk_result_t make_tokens(sale_t *self, mm_hq_error_t *error) {
    mm_device_crypto_t device;
    mm_token_series_t series;
    mm_desk_result_t result = mm_device_keys_get(self->db, self->place.mac, &device);
    if (result == MM_DESK_NOT_FOUND) {
        mm_hq_error_set(error, "HQ has no key of the node of meter %s; meshmeter keys adds it", self->place.meter);
        return MM_DESK_REFUSED;
    }
    if (result != MM_DESK_OK) {
        return result;
    }
    mm_err_t err = mm_control_token_series(&device.crypto, self->era, self->place.channel, &series);
    mm_device_crypto_wipe(&device);
    if (err == MM_OK) {
        result = find_form(self, &series, &err, error);
    }
    explicit_bzero(&series, sizeof series);
    if (result == MM_DESK_OK && err != MM_OK) {
        mm_hq_error_set(error, "the token of meter %s could not be made", self->place.meter);
        return MM_DESK_REFUSED;
    }
    return result;
}

// Of CREDIT or VOID. 0 = failed.
static int64_t queue(sqlite3 *db, const mmi_hq_purchase_t *purchase, mm_command_kind_t kind, int64_t now_us) {
    uint8_t bytes[MM_COMMAND_BODY_BYTES_MAX];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    const mm_command_body_t body = {.credit = {.purchase_id = (uint64_t)purchase->id,
                                               .count = purchase->count,
                                               .amount_wh = kind == MM_COMMAND_CREDIT ? purchase->amount_wh : 0}};
    if (mm_command_body_put((uint8_t)kind, &body, &writer) != MM_OK) {
        return 0;
    }
    return mmi_hq_queue_command(db, purchase->node_id, purchase->channel, kind, bytes, writer.used_bytes, PRIORITY, 0,
                                0, now_us);
}

// --- into the database

static bool add_purchase(sale_t *self) {
    const mm_vend_request_t *request = self->request;
    const mm_tariff_quote_t *quote = &self->quote;
    mmi_sql_t add = mmi_sql_begin(
        self->db,
        "INSERT INTO purchase (request, operator, created_us, local_month, asked_meter, asked_wh,"
        " asked_minor, node, channel, meter, era, count, amount_wh, unit_wh, units, token,"
        " token_restricted, state, tariff, currency, decimals, money_minor, cost_milli, tax_minor,"
        " remainder_milli) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    mmi_sql_put_text(&add, request->request);
    mmi_sql_put_text(&add, request->operator_name);
    mmi_sql_put_integer(&add, self->now_us);
    mmi_sql_put_integer(&add, self->local_month);
    mmi_sql_put_text(&add, request->meter);
    mmi_sql_put_integer(&add, request->amount_wh);
    mmi_sql_put_integer(&add, request->money_minor);
    mmi_sql_put_integer(&add, self->place.node_id);
    mmi_sql_put_integer(&add, self->place.channel);
    mmi_sql_put_text(&add, self->place.meter);
    mmi_sql_put_integer(&add, self->era);
    mmi_sql_put_integer(&add, self->count);
    mmi_sql_put_integer(&add, quote->amount_wh);
    mmi_sql_put_integer(&add, self->unit_wh);
    mmi_sql_put_integer(&add, quote->amount_wh / self->unit_wh);
    mmi_sql_put_text(&add, self->token);
    mmi_sql_put_text(&add, self->token_restricted);
    mmi_sql_put_integer(&add, MMI_HQ_PURCHASE_ISSUED);
    mmi_sql_put_integer(&add, self->tariff_id);
    mmi_sql_put_text(&add, self->tariff.currency);
    mmi_sql_put_integer(&add, self->tariff.decimals);
    mmi_sql_put_integer(&add, quote->money_minor);
    mmi_sql_put_integer(&add, quote->cost_milli);
    mmi_sql_put_integer(&add, quote->tax_minor);
    mmi_sql_put_integer(&add, quote->remainder_milli);
    return mmi_sql_run(&add);
}

static bool set_command(sqlite3 *db, const char *sql, int64_t purchase_id, int64_t command_id) {
    if (command_id == 0) {
        return false;
    }
    mmi_sql_t change = mmi_sql_begin(db, sql);
    mmi_sql_put_integer(&change, command_id);
    mmi_sql_put_integer(&change, purchase_id);
    return mmi_sql_run(&change);
}

static bool write_sale(sale_t *self) {
    char detail[160];
    mmi_hq_purchase_t *purchase = &self->purchase;
    if (!add_purchase(self)) {
        return false;
    }
    mmi_sql_t find =
        mmi_sql_begin(self->db, "SELECT " MMI_HQ_PURCHASE_COLUMNS " FROM purchase WHERE id = last_insert_rowid()");
    if (!mmi_hq_purchase_find(&find, purchase) || purchase->id == 0 ||
        !mmi_hq_ledger_sell(self->db, purchase, self->now_us)) {
        return false;
    }
    purchase->command = queue(self->db, purchase, MM_COMMAND_CREDIT, self->now_us);
    snprintf(detail, sizeof detail, "purchase %lld: %lld Wh to meter %s for %lld minor units of %s",
             (long long)purchase->id, (long long)purchase->amount_wh, purchase->meter, (long long)purchase->money_minor,
             purchase->currency[0] != '\0' ? purchase->currency : "nothing");
    return set_command(self->db, "UPDATE purchase SET command = ? WHERE id = ?", purchase->id, purchase->command) &&
           mmi_hq_audit(self->db, self->request->operator_name, "sell", detail, self->now_us);
}

// All of the sale but the transaction. *id of the purchase, *repeated if the request was known.
static mm_desk_result_t sell(sale_t *self, int64_t *id, bool *repeated, mm_hq_error_t *error) {
    mm_desk_result_t result = find_repeated(self, id, error);
    *repeated = result == MM_DESK_OK && *id != 0;
    if (result != MM_DESK_OK || *repeated) {
        return result;
    }
    mm_desk_result_t (*const steps[])(sale_t *, mm_hq_error_t *) = {check_meter, check_swap, make_quote, choose_count,
                                                                    make_tokens};
    result = mmi_hq_place_find(self->db, self->request->meter, &self->place, error);
    for (size_t index = 0; result == MM_DESK_OK && index < sizeof steps / sizeof steps[0]; index++) {
        result = steps[index](self, error);
    }
    if (result == MM_DESK_OK && !write_sale(self)) {
        result = MM_DESK_UNAVAILABLE;
    }
    *id = self->purchase.id;
    return result;
}

mm_desk_result_t mm_vend(mm_desk_t *desk, const mm_vend_request_t *request, int64_t now_us, mm_sale_t *receipt,
                         mm_hq_error_t *error) {
    sale_t sale = {.db = mmi_desk_db(desk), .request = request, .now_us = now_us};
    int64_t id = 0;
    bool repeated = false;
    memset(receipt, 0, sizeof *receipt);
    mm_desk_result_t result = check_request(request, error);
    result = result == MM_DESK_OK ? mmi_desk_begin(desk, error) : result;
    if (result != MM_DESK_OK) {
        return result;
    }
    result = sell(&sale, &id, &repeated, error);
    if (result == MM_DESK_UNAVAILABLE) {
        return mmi_desk_fail(desk, error);
    }
    if (result != MM_DESK_OK) {
        return mmi_desk_rollback(desk, result);
    }
    // Read before the commit: behind it, the answer must not fail any more.
    result = mm_vend_receipt(desk, id, receipt, error);
    receipt->repeated = repeated;
    return result == MM_DESK_OK ? mmi_desk_commit(desk, error) : mmi_desk_rollback(desk, result);
}

// --- void

mm_desk_result_t mmi_hq_vend_void(sqlite3 *db, mmi_hq_purchase_t *purchase, const char *operator_name, int64_t now_us,
                                  mm_hq_error_t *error) {
    char detail[64];
    if (purchase->state == MMI_HQ_PURCHASE_VOIDING || purchase->state == MMI_HQ_PURCHASE_VOID) {
        return MM_DESK_OK; // asked for before
    }
    if (purchase->state != MMI_HQ_PURCHASE_ISSUED) {
        mm_hq_error_set(error, "purchase %lld is %s: it can not be taken back", (long long)purchase->id,
                        mmi_hq_purchase_state_name(purchase->state));
        return MM_DESK_REFUSED;
    }
    // A credit that is still here need not race with its void.
    bool good = mmi_hq_withdraw_command(db, purchase->command, MM_COMMAND_STATE_QUEUED, now_us);
    purchase->void_command = good ? queue(db, purchase, MM_COMMAND_VOID, now_us) : 0;
    snprintf(detail, sizeof detail, "purchase %lld", (long long)purchase->id);
    good = good &&
           set_command(db, "UPDATE purchase SET void_command = ? WHERE id = ?", purchase->id, purchase->void_command) &&
           mmi_hq_ledger_move(db, purchase, MMI_HQ_PURCHASE_VOIDING, "", now_us) &&
           mmi_hq_audit(db, operator_name, "void", detail, now_us);
    return good ? MM_DESK_OK : MM_DESK_UNAVAILABLE;
}

mm_desk_result_t mm_vend_void(mm_desk_t *desk, int64_t purchase_id, const char *operator_name, int64_t now_us,
                              mm_hq_error_t *error) {
    mmi_hq_purchase_t purchase;
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result != MM_DESK_OK) {
        return result;
    }
    sqlite3 *db = mmi_desk_db(desk);
    mmi_sql_t find = mmi_sql_begin(db, "SELECT " MMI_HQ_PURCHASE_COLUMNS " FROM purchase WHERE id = ?");
    mmi_sql_put_integer(&find, purchase_id);
    if (!mmi_hq_purchase_find(&find, &purchase)) {
        return mmi_desk_fail(desk, error);
    }
    if (purchase.id == 0) {
        mm_hq_error_set(error, "no purchase %lld", (long long)purchase_id);
        return mmi_desk_rollback(desk, MM_DESK_NOT_FOUND);
    }
    result = mmi_hq_vend_void(db, &purchase, operator_name, now_us, error);
    if (result == MM_DESK_UNAVAILABLE) {
        return mmi_desk_fail(desk, error);
    }
    return result == MM_DESK_OK ? mmi_desk_commit(desk, error) : mmi_desk_rollback(desk, result);
}

// --- receipts

#define SALE_COLUMNS                                                                                                   \
    "SELECT purchase.id, purchase.meter, site.name, node.mac, purchase.channel, purchase.state, purchase.amount_wh,"   \
    " purchase.count, purchase.token, purchase.token_restricted, purchase.currency, purchase.decimals,"                \
    " purchase.money_minor, purchase.tax_minor, purchase.remainder_milli, purchase.created_us, purchase.ended_us,"     \
    " purchase.ended_by, purchase.request, purchase.operator FROM purchase JOIN node ON node.id = purchase.node"       \
    " JOIN site ON site.id = node.site"

#define COPY(target, row, column) snprintf(target, sizeof(target), "%s", mmi_sql_text(row, column))

static void read_receipt(const mmi_sql_t *row, mm_sale_t *receipt) {
    memset(receipt, 0, sizeof *receipt);
    receipt->id = mmi_sql_integer(row, 0);
    COPY(receipt->meter, row, 1);
    COPY(receipt->site, row, 2);
    receipt->node = mmi_sql_mac(row, 3);
    receipt->channel = (uint8_t)mmi_sql_integer(row, 4);
    snprintf(receipt->state, sizeof receipt->state, "%s", mmi_hq_purchase_state_name((int)mmi_sql_integer(row, 5)));
    receipt->amount_wh = mmi_sql_integer(row, 6);
    receipt->count = (uint32_t)mmi_sql_integer(row, 7);
    COPY(receipt->token, row, 8);
    COPY(receipt->token_restricted, row, 9);
    COPY(receipt->currency, row, 10);
    receipt->decimals = (int)mmi_sql_integer(row, 11);
    receipt->money_minor = mmi_sql_integer(row, 12);
    receipt->tax_minor = mmi_sql_integer(row, 13);
    receipt->remainder_milli = mmi_sql_integer(row, 14);
    receipt->created_us = mmi_sql_integer(row, 15);
    receipt->ended_us = mmi_sql_integer(row, 16);
    COPY(receipt->ended_by, row, 17);
    COPY(receipt->request, row, 18);
    COPY(receipt->operator_name, row, 19);
}

mm_desk_result_t mm_vend_receipt(mm_desk_t *desk, int64_t purchase_id, mm_sale_t *receipt, mm_hq_error_t *error) {
    mmi_sql_t query = mmi_sql_begin(mmi_desk_db(desk), SALE_COLUMNS " WHERE purchase.id = ?");
    mmi_sql_put_integer(&query, purchase_id);
    memset(receipt, 0, sizeof *receipt);
    if (mmi_sql_row(&query)) {
        read_receipt(&query, receipt);
    }
    if (!mmi_sql_end(&query)) {
        mm_hq_error_set(error, "database: %s", sqlite3_errmsg(mmi_desk_db(desk)));
        return MM_DESK_UNAVAILABLE;
    }
    if (receipt->id == 0) {
        mm_hq_error_set(error, "no purchase %lld", (long long)purchase_id);
        return MM_DESK_NOT_FOUND;
    }
    return MM_DESK_OK;
}

mm_desk_result_t mm_vend_list(mm_desk_t *desk, const char *meter, int64_t limit, mm_sale_visit_fn visit, void *context,
                              mm_hq_error_t *error) {
    mmi_sql_t query = mmi_sql_begin(mmi_desk_db(desk), SALE_COLUMNS " WHERE ?1 = '' OR purchase.meter = ?1"
                                                                    " ORDER BY purchase.id DESC LIMIT ?2");
    mmi_sql_put_text(&query, meter != NULL ? meter : "");
    mmi_sql_put_integer(&query, limit);
    mm_sale_t sale;
    bool more = true;
    while (more && mmi_sql_row(&query)) {
        read_receipt(&query, &sale);
        more = visit(context, &sale);
    }
    if (!mmi_sql_end(&query)) {
        mm_hq_error_set(error, "database: %s", sqlite3_errmsg(mmi_desk_db(desk)));
        return MM_DESK_UNAVAILABLE;
    }
    return MM_DESK_OK;
}
