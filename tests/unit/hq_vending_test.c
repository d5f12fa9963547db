// SPDX-License-Identifier: Apache-2.0
#include "hq_vending_world.h"

#include "meshmeter/command_body.h"
#include "meshmeter/control.h"

// Selling credit: what is refused, what comes out, and what the meters' records make of it.

#define refused(self, request, meter, amount_wh, money_minor, wanted, words)                                           \
    do {                                                                                                               \
        mm_sale_t refused_sale;                                                                                        \
        mm_hq_error_t refused_error;                                                                                   \
        assert_int_equal(vending_try(self, request, meter, amount_wh, money_minor, &refused_sale, &refused_error),     \
                         wanted);                                                                                      \
        if (strstr(refused_error.text, words) == NULL) {                                                               \
            fail_msg("'%s' does not say '%s'", refused_error.text, words);                                             \
        }                                                                                                              \
        assert_int_equal(refused_sale.id, 0);                                                                          \
        assert_int_equal(vending_integer(self, "SELECT count(*) FROM purchase WHERE request = '" request "'"), 0);     \
    } while (0)

// --- a sale

static void test_vending_sells_a_token_and_a_command(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    assert_string_equal(sale.state, "issued");
    assert_int_equal(sale.count, 2);
    assert_int_equal(strlen(sale.token), 9);
    assert_int_equal(strlen(sale.token_restricted), 15);
    assert_int_equal(strspn(sale.token_restricted, "1234"), 15);
    assert_string_equal(sale.meter, "M-1");
    assert_string_equal(sale.site, "home");
    assert_int_equal(sale.money_minor, 0);
    assert_string_equal(sale.operator_name, "ann");
    assert_int_equal(vending_account(self, "pending", "Wh"), 5000);
    assert_int_equal(vending_account(self, "issued", "Wh"), -5000);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM audit WHERE operator = 'ann' AND action = 'sell'"), 1);
    // The command says the same as the token.
    sqlite3_stmt *row = NULL;
    assert_int_equal(sqlite3_prepare_v2(mmi_desk_db(self->desk),
                                        "SELECT kind, channel, body, id = (SELECT command"
                                        " FROM purchase) FROM command",
                                        -1, &row, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    mm_command_body_t body;
    assert_int_equal(sqlite3_column_int(row, 0), MM_COMMAND_CREDIT);
    assert_int_equal(sqlite3_column_int(row, 1), 0);
    assert_int_equal(mm_command_body_read(MM_COMMAND_CREDIT, sqlite3_column_blob(row, 2),
                                          (size_t)sqlite3_column_bytes(row, 2), &body),
                     MM_OK);
    assert_int_equal(body.credit.purchase_id, sale.id);
    assert_int_equal(body.credit.count, sale.count);
    assert_int_equal(body.credit.amount_wh, 5000);
    assert_int_equal(sqlite3_column_int(row, 3), 1);
    assert_int_equal(sqlite3_step(row), SQLITE_DONE);
    sqlite3_finalize(row);
}

// What HQ prints, the meter takes: both derive the series from the device's key.
static void test_vending_tokens_are_the_meters(void **state) {
    vending_t *self = *state;
    uint8_t key[MM_DEVICE_KEY_BYTES];
    mm_device_crypto_t device;
    mm_token_series_t series;
    mm_token_state_t used = {0};
    memset(key, 0x5A, sizeof key);
    mm_device_crypto_init(&device, key);
    assert_int_equal(mm_control_token_series(&device.crypto, VENDING_ERA, 0, &series), MM_OK);
    static const int64_t amounts[] = {1000, 995000, 996000, 999999000};
    for (size_t index = 0; index < 4; index++) {
        char request[8];
        mm_token_t token;
        snprintf(request, sizeof request, "r%zu", index);
        mm_sale_t sale = vending_sell(self, request, amounts[index]);
        assert_int_equal(strlen(sale.token), amounts[index] <= 995000 ? 9 : 12);
        assert_int_equal(strlen(sale.token_restricted), amounts[index] <= 995000 ? 15 : 20);
        assert_int_equal(mm_token_judge(&series, &used, sale.token_restricted, &token), MM_TOKEN_GOOD);
        assert_int_equal(mm_token_judge(&series, &used, sale.token, &token), MM_TOKEN_GOOD);
        assert_int_equal(token.type, MM_TOKEN_ADD);
        assert_int_equal(token.value, amounts[index] / 1000);
        assert_int_equal(token.count, sale.count);
        mm_token_use(&used, token.type, token.count);
        assert_int_equal(mm_token_judge(&series, &used, sale.token, &token), MM_TOKEN_USED);
    }
    mm_device_crypto_wipe(&device);
}

static void test_vending_count_follows_the_larger(void **state) {
    vending_t *self = *state;
    assert_int_equal(vending_sell(self, "r1", 1000).count, 2);
    assert_int_equal(vending_sell(self, "r2", 1000).count, 4);
    self->meter.token_count = 7; // odd: a token that sets
    vending_report(self);
    assert_int_equal(vending_sell(self, "r3", 1000).count, 8);
    self->meter.token_count = 8;
    vending_report(self);
    assert_int_equal(vending_sell(self, "r4", 1000).count, 10);
}

// A token whose digits were those of an earlier count is not sold: the meter would say that it was used.
static void test_vending_leaves_out_a_count_that_reads_as_another(void **state) {
    vending_t *self = *state;
    const uint32_t count = 40;
    uint8_t key[MM_DEVICE_KEY_BYTES];
    mm_device_crypto_t device;
    char text[MM_TOKEN_DIGITS_MAX + 1];
    memset(key, 0x5A, sizeof key);
    mm_device_crypto_init(&device, key);
    mm_token_t found = {.value = 0};
    uint32_t era = 0;
    while (found.value == 0) {
        mm_token_series_t series;
        mm_control_token_series(&device.crypto, ++era, 0, &series);
        for (uint32_t value = 1; value <= MM_TOKEN_VALUE_MAX && found.value == 0; value++) {
            const mm_token_t token = {.type = MM_TOKEN_ADD, .value = value, .count = count};
            if (mm_token_make(&series, &token, false, false, text) == MM_ERR_STATE) {
                found = token;
            }
        }
    }
    self->meter.era = era;
    self->meter.token_count = count - 2;
    vending_report(self);
    mm_sale_t sale = vending_sell(self, "r1", found.value * 1000);
    assert_int_equal(sale.count, count + 2);
    assert_int_equal(strlen(sale.token), 9);
    vending_take(self, MM_MOVEMENT_TOKEN_ADD, &sale);
    vending_assert_state(self, &sale, "applied");
}

// The chain of this value has come back to where it was: all its later counts read as earlier ones. The other form is
// sold instead, and at once, not after all counts of the series were tried.
static void test_vending_takes_the_other_form_for_a_chain_in_a_circle(void **state) {
    vending_t *self = *state;
    const uint32_t count = 20000;
    uint8_t key[MM_DEVICE_KEY_BYTES];
    mm_device_crypto_t device;
    mm_token_series_t series;
    char text[MM_TOKEN_DIGITS_MAX + 1];
    memset(key, 0x5A, sizeof key);
    mm_device_crypto_init(&device, key);
    mm_control_token_series(&device.crypto, VENDING_ERA, 0, &series);
    uint32_t value = 0;
    for (uint32_t later = 0; later < 40;) {
        const mm_token_t token = {.type = MM_TOKEN_ADD, .value = value, .count = count + later};
        bool reads_as_earlier = mm_token_make(&series, &token, false, false, text) == MM_ERR_STATE;
        later = reads_as_earlier ? later + 2 : 0;
        value += reads_as_earlier ? 0 : 1;
        assert_true(value <= MM_TOKEN_VALUE_MAX);
    }
    self->meter.token_count = count - 2;
    vending_report(self);
    mm_sale_t sale = vending_sell(self, "r1", value * 1000);
    assert_int_equal(sale.count, count);
    assert_int_equal(strlen(sale.token), 12);
    assert_int_equal(strlen(sale.token_restricted), 20);
    const mm_token_state_t used = {.count = count - 2};
    mm_token_t token;
    assert_int_equal(mm_token_judge(&series, &used, sale.token, &token), MM_TOKEN_GOOD);
    assert_int_equal(token.value, value);
    assert_int_equal(token.count, count);
    // Also while an open purchase leaves no room for counts to pass over.
    assert_int_equal(strlen(vending_sell(self, "r2", value * 1000).token), 12);
}

// --- refusals

static void test_vending_refuses_amounts(void **state) {
    vending_t *self = *state;
    refused(self, "a", "M-1", 0, 0, MM_DESK_REFUSED, "more than zero");
    refused(self, "a", "M-1", 1000, 100, MM_DESK_REFUSED, "one of them");
    refused(self, "a", "M-1", -1000, 0, MM_DESK_REFUSED, "negative");
    refused(self, "a", "M-1", 0, -1, MM_DESK_REFUSED, "negative");
    refused(self, "a", "M-1", INT64_MIN, 0, MM_DESK_REFUSED, "negative");
    refused(self, "a", "M-1", 1, 0, MM_DESK_REFUSED, "multiple of 1000 Wh");
    refused(self, "a", "M-1", 1001, 0, MM_DESK_REFUSED, "multiple of 1000 Wh");
    refused(self, "a", "M-1", 1000000000, 0, MM_DESK_REFUSED, "at most 999999000 Wh");
    refused(self, "a", "M-1", INT64_MAX, 0, MM_DESK_REFUSED, "multiple");
    refused(self, "a", "M-1", INT64_MAX - INT64_MAX % 1000, 0, MM_DESK_REFUSED, "at most");
    refused(self, "a", "M-1", 0, 100, MM_DESK_REFUSED, "no tariff");
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM ledger_entry"), 0);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM command"), 0);
    assert_int_equal(vending_sell(self, "a", 999999000).amount_wh, 999999000);
}

static void test_vending_refuses_requests(void **state) {
    vending_t *self = *state;
    char long_id[MM_VENDING_REQUEST_CHARS_MAX + 2];
    mm_sale_t sale;
    mm_hq_error_t error;
    memset(long_id, 'x', sizeof long_id);
    long_id[MM_VENDING_REQUEST_CHARS_MAX + 1] = '\0';
    refused(self, "", "M-1", 1000, 0, MM_DESK_REFUSED, "request id");
    assert_int_equal(vending_try(self, long_id, "M-1", 1000, 0, &sale, &error), MM_DESK_REFUSED);
    assert_int_equal(vending_try(self, NULL, "M-1", 1000, 0, &sale, &error), MM_DESK_REFUSED);
    assert_int_equal(vending_try(self, "a", NULL, 1000, 0, &sale, &error), MM_DESK_REFUSED);
    const mm_vend_request_t nobody = {.request = "a", .meter = "M-1", .amount_wh = 1000};
    assert_int_equal(mm_vend(self->desk, &nobody, self->now_us, &sale, &error), MM_DESK_REFUSED);
    long_id[MM_VENDING_REQUEST_CHARS_MAX] = '\0';
    assert_int_equal(vending_try(self, long_id, "M-1", 1000, 0, &sale, &error), MM_DESK_OK);
}

static void test_vending_refuses_meters(void **state) {
    vending_t *self = *state;
    refused(self, "a", "M-9", 1000, 0, MM_DESK_NOT_FOUND, "no meter M-9");
    refused(self, "a", "", 1000, 0, MM_DESK_REFUSED, "the meter is missing");
    refused(self, "a", "02:00:00:00:00:01/8", 1000, 0, MM_DESK_NOT_FOUND, "no meter");
    refused(self, "a", "02:00:00:00:00:01/9", 1000, 0, MM_DESK_NOT_FOUND, "no meter");
    refused(self, "a", "02:00:00:00:00:07/1", 1000, 0, MM_DESK_NOT_FOUND, "no meter");
    refused(self, "a", "M-2", 1000, 0, MM_DESK_REFUSED, "postpaid");
    vending_execute(self, "UPDATE meter_credit SET prepaid = 0");
    refused(self, "a", "M-1", 1000, 0, MM_DESK_REFUSED, "postpaid");
    vending_execute(self, "UPDATE control SET era = 0");
    refused(self, "a", "M-1", 1000, 0, MM_DESK_REFUSED, "era");
    vending_execute(self, "DELETE FROM control");
    refused(self, "a", "M-1", 1000, 0, MM_DESK_REFUSED, "era");
    vending_execute(self, "INSERT INTO legacy_meter VALUES (1, 1, 'J-1', 1, 1, 1, 1, 1, 1, 1, 1, '')");
    refused(self, "a", "J-1", 1000, 0, MM_DESK_REFUSED, "original");
}

static void test_vending_refuses_without_a_key(void **state) {
    vending_t *self = *state;
    vending_execute(self, "DELETE FROM device_key");
    refused(self, "a", "M-1", 1000, 0, MM_DESK_REFUSED, "no key");
}

static void test_vending_refuses_impossible_balances(void **state) {
    vending_t *self = *state;
    self->meter.balance_wh = INT64_C(999999999000);
    vending_report(self);
    refused(self, "a", "M-1", 2000, 0, MM_DESK_REFUSED, "that much credit");
    assert_int_equal(vending_sell(self, "b", 1000).count, 2);
    refused(self, "c", "M-1", 1000, 0, MM_DESK_REFUSED, "that much credit");
}

static void test_vending_refuses_a_used_up_series(void **state) {
    vending_t *self = *state;
    self->meter.token_count = UINT32_MAX;
    vending_report(self);
    refused(self, "a", "M-1", 1000, 0, MM_DESK_REFUSED, "used up");
}

static void test_vending_ambiguous_meter_is_named_by_position(void **state) {
    vending_t *self = *state;
    vending_execute(self, "INSERT INTO node (site, mac) VALUES (1, x'020000000002');"
                          "INSERT INTO meter VALUES (2, 3, 'M-1')");
    refused(self, "a", "M-1", 1000, 0, MM_DESK_NOT_FOUND, "2 meters");
    mm_sale_t sale;
    mm_hq_error_t error;
    assert_int_equal(vending_try(self, "a", "02:00:00:00:00:01/1", 1000, 0, &sale, &error), MM_DESK_OK);
    assert_int_equal(sale.channel, 0);
}

static void test_vending_refuses_too_many_open(void **state) {
    vending_t *self = *state;
    mm_sale_t sales[MM_VENDING_OPEN_MAX];
    char request[8];
    for (unsigned index = 0; index < MM_VENDING_OPEN_MAX; index++) {
        snprintf(request, sizeof request, "r%u", index);
        sales[index] = vending_sell(self, request, 1000);
    }
    refused(self, "more", "M-1", 1000, 0, MM_DESK_REFUSED, "8 purchases");
    vending_void(self, &sales[3]); // asked for is not yet void
    refused(self, "more", "M-1", 1000, 0, MM_DESK_REFUSED, "8 purchases");
    vending_take(self, MM_MOVEMENT_TOKEN_ADD, &sales[7]);
    vending_sell(self, "more", 1000);
}

// All others are taken but the first: before its token is out of reach, HQ stops to sell.
static void test_vending_keeps_the_oldest_token_in_reach(void **state) {
    vending_t *self = *state;
    char request[8];
    mm_sale_t first = vending_sell(self, "first", 1000);
    for (unsigned index = 0; index < MM_TOKEN_OLDER_MAX / 2; index++) {
        snprintf(request, sizeof request, "r%u", index);
        mm_sale_t sale = vending_sell(self, request, 1000);
        vending_take(self, MM_MOVEMENT_TOKEN_ADD, &sale);
    }
    refused(self, "more", "M-1", 1000, 0, MM_DESK_REFUSED, "too old");
    uint8_t key[MM_DEVICE_KEY_BYTES];
    mm_device_crypto_t device;
    mm_token_series_t series;
    mm_token_state_t used = {0};
    mm_token_t token;
    memset(key, 0x5A, sizeof key);
    mm_device_crypto_init(&device, key);
    mm_control_token_series(&device.crypto, VENDING_ERA, 0, &series);
    for (uint32_t count = 4; count <= 18; count += 2) {
        mm_token_use(&used, MM_TOKEN_ADD, count);
    }
    assert_int_equal(mm_token_judge(&series, &used, first.token, &token), MM_TOKEN_GOOD);
    vending_take(self, MM_MOVEMENT_VOID, &first);
    vending_sell(self, "more", 1000);
}

// --- the same request again

// The record of a purchase was lost for good. The meter says that it has used the count: nobody waits for its token, so
// it does not bar the sales behind it.
static void test_vending_goes_on_behind_a_lost_record(void **state) {
    vending_t *self = *state;
    static hq_batch_t batch;
    char request[8];
    mm_sale_t lost = vending_sell(self, "lost", 1000);
    vending_move(self, MM_MOVEMENT_TOKEN_ADD, 0, lost.count, 1000);
    mm_record_t record = {.type = MM_RECORD_RESULT};
    record.result = (mm_result_record_t){.era = VENDING_ERA,
                                         .counter = 1,
                                         .command_id = vending_command(self, MM_MOVEMENT_NETWORK, (uint64_t)lost.id),
                                         .kind = MM_COMMAND_CREDIT,
                                         .status = MM_RESULT_ALREADY,
                                         .at = {HQ_UTC_S, MM_TRUST_SYNCED}};
    hq_batch_record(&batch, hq_mac(1), 1, ++self->seq, &record);
    hq_commit(self->store, &batch);
    for (unsigned index = 0; index < MM_TOKEN_OLDER_MAX; index++) {
        snprintf(request, sizeof request, "r%u", index);
        mm_sale_t sale = vending_sell(self, request, 1000);
        vending_take(self, MM_MOVEMENT_TOKEN_ADD, &sale);
    }
    vending_assert_state(self, &lost, "issued");
}

static void test_vending_request_is_idempotent(void **state) {
    vending_t *self = *state;
    mm_sale_t first = vending_sell(self, "r1", 1000);
    mm_sale_t again = vending_sell(self, "r1", 1000);
    assert_false(first.repeated);
    assert_true(again.repeated);
    assert_int_equal(again.id, first.id);
    assert_string_equal(again.token, first.token);
    mm_hq_error_t error;
    mm_sale_t sale;
    assert_int_equal(vending_try(self, "r1", "M-1", 2000, 0, &sale, &error), MM_DESK_CONFLICT);
    assert_int_equal(vending_try(self, "r1", "M-2", 1000, 0, &sale, &error), MM_DESK_CONFLICT);
    assert_int_equal(vending_try(self, "r1", "M-1", 0, 1000, &sale, &error), MM_DESK_CONFLICT);
    vending_take(self, MM_MOVEMENT_NETWORK, &first);
    again = vending_sell(self, "r1", 1000);
    assert_string_equal(again.state, "applied");
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM purchase"), 1);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM command"), 1);
}

// --- what the meter says

static void test_vending_is_applied_once_by_either_way(void **state) {
    vending_t *self = *state;
    static const uint8_t ways[] = {MM_MOVEMENT_NETWORK, MM_MOVEMENT_TOKEN_ADD};
    static const char *const names[] = {"network", "token"};
    for (size_t way = 0; way < 2; way++) {
        mm_hq_error_t error;
        mm_sale_t now;
        mm_sale_t sale = vending_sell(self, names[way], 3000);
        mm_record_t record = vending_move(self, ways[way], way == 0 ? (uint64_t)sale.id : 0, sale.count, 3000);
        vending_send(self, &record);
        vending_send_at(self, self->seq, &record); // the same record again
        self->seq++;
        vending_send_at(self, self->seq, &record); // carried over to another position
        assert_int_equal(mm_vend_receipt(self->desk, sale.id, &now, &error), MM_DESK_OK);
        assert_string_equal(now.state, "applied");
        assert_string_equal(now.ended_by, names[way]);
        assert_true(now.ended_us > 0);
        assert_int_equal(vending_account(self, "applied", "Wh"), 3000 * (int64_t)(way + 1));
        vending_report(self);
        vending_assert_balanced(self);
    }
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM movement WHERE match = 'copy'"), 2);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM incident"), 0);
}

static void test_vending_unknown_movements_are_shown(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 1000);
    mm_record_t stranger = vending_move(self, MM_MOVEMENT_TOKEN_ADD, 0, 40, 7000);
    mm_record_t set = vending_move(self, MM_MOVEMENT_TOKEN_SET, 0, 41, -2000);
    mm_record_t foreign = vending_move(self, MM_MOVEMENT_NETWORK, 4711, 44, 1000);
    vending_send(self, &stranger);
    vending_send(self, &set);
    vending_send(self, &foreign);
    // A token that sets has passed over what was sold under an earlier count.
    vending_assert_state(self, &sale, "lost");
    assert_int_equal(vending_account(self, "other", "Wh"), 6000);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM incident WHERE name = 'credit_without_purchase'"), 3);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM incident WHERE name = 'purchases_passed_over'"), 1);
    vending_report(self);
    assert_int_equal(vending_assert_balanced(self).other_wh, 6000);
}

// HQ's database was restored from a copy, and sells what it had sold before: number and count are those of a purchase
// that the meter has taken already. Whoever paid now gets nothing for it from the meter, so it must not be applied.
static void test_vending_count_of_a_forgotten_purchase(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    mm_record_t forgotten = vending_move(self, MM_MOVEMENT_NETWORK, (uint64_t)sale.id, sale.count, 5000);
    forgotten.credit.command_id -= 1000;
    vending_send(self, &forgotten);
    vending_assert_state(self, &sale, "lost");
    assert_int_equal(vending_account(self, "applied", "Wh"), 0);
    assert_int_equal(vending_account(self, "lost", "Wh"), 5000);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM incident WHERE name = 'purchase_count_taken'"), 1);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM command WHERE kind = 17 AND state < 4"), 0);
    vending_report(self);
    assert_int_equal(vending_assert_balanced(self).other_wh, 5000);
    // It can be sold again.
    mm_sale_t again = vending_sell(self, "r2", 5000);
    vending_take(self, MM_MOVEMENT_NETWORK, &again);
    vending_assert_state(self, &again, "applied");
}

static void test_vending_amount_that_differs_is_shown(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    mm_record_t record = vending_move(self, MM_MOVEMENT_TOKEN_ADD, 0, sale.count, 4000);
    vending_send(self, &record);
    vending_report(self);
    mm_books_line_t line = vending_assert_balanced(self);
    assert_int_equal(line.applied_wh, 5000);
    assert_int_equal(line.other_wh, -1000);
    assert_int_equal(vending_integer(self, "SELECT value2 - value3 FROM incident"), 1000);
}

// A node that takes a count twice: the books say so.
static void test_vending_taken_twice_is_shown(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    vending_take(self, MM_MOVEMENT_TOKEN_ADD, &sale);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    vending_report(self);
    mm_books_line_t line = vending_assert_balanced(self);
    assert_int_equal(line.applied_wh, 5000);
    assert_int_equal(line.other_wh, 5000);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM incident WHERE name = 'credit_taken_twice'"), 1);
}

// A record that names a purchase of another meter is no application of it.
static void test_vending_record_of_another_meter(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    self->meter.channel = 1;
    mm_record_t record = vending_move(self, MM_MOVEMENT_NETWORK, (uint64_t)sale.id, sale.count, 5000);
    vending_send(self, &record);
    vending_assert_state(self, &sale, "issued");
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM incident WHERE name = 'credit_without_purchase'"), 1);
}

// A command that the meter refuses leaves the purchase open, and is told once.
static void test_vending_refusal_of_the_meter_is_shown(void **state) {
    vending_t *self = *state;
    static hq_batch_t batch;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    mm_record_t record = {.type = MM_RECORD_RESULT};
    static const uint8_t statuses[] = {MM_RESULT_ALREADY, MM_RESULT_STATE, MM_RESULT_STATE, MM_RESULT_OVERFLOW};
    static const uint8_t incidents[] = {0, 1, 1, 2};
    for (size_t index = 0; index < sizeof statuses; index++) {
        record.result = (mm_result_record_t){.era = VENDING_ERA,
                                             .counter = 1,
                                             .command_id = statuses[index],
                                             .kind = MM_COMMAND_CREDIT,
                                             .status = statuses[index],
                                             .at = {HQ_UTC_S, MM_TRUST_SYNCED}};
        hq_batch_record(&batch, hq_mac(1), 1, ++self->seq, &record);
        hq_commit(self->store, &batch);
        assert_int_equal(vending_integer(self, "SELECT count(*) FROM incident WHERE name = 'credit_refused'"),
                         incidents[index]);
    }
    vending_assert_state(self, &sale, "issued");
    vending_report(self);
    vending_assert_balanced(self);
}

// --- void

static void test_vending_void_needs_the_meter(void **state) {
    vending_t *self = *state;
    mm_hq_error_t error;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    vending_void(self, &sale);
    vending_void(self, &sale); // asked again: nothing more
    vending_assert_state(self, &sale, "voiding");
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM command WHERE kind = 18"), 1);
    // The credit had not been sent: it is not sent any more.
    assert_int_equal(vending_integer(self, "SELECT state FROM command WHERE kind = 17"), 6);
    assert_int_equal(vending_books(self).pending_wh, 5000);
    vending_take(self, MM_MOVEMENT_VOID, &sale);
    vending_assert_state(self, &sale, "void");
    assert_int_equal(vending_account(self, "void", "Wh"), 5000);
    vending_void(self, &sale);
    vending_report(self);
    vending_assert_balanced(self);
    assert_int_equal(mm_vend_void(self->desk, 99, "ann", 1, &error), MM_DESK_NOT_FOUND);
}

static void test_vending_void_loses_the_race(void **state) {
    vending_t *self = *state;
    mm_hq_error_t error;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    vending_execute(self, "UPDATE command SET state = 1"); // in a batch
    vending_void(self, &sale);
    assert_int_equal(vending_integer(self, "SELECT state FROM command WHERE kind = 17"), 1);
    vending_take(self, MM_MOVEMENT_TOKEN_ADD, &sale);
    vending_assert_state(self, &sale, "applied");
    assert_int_equal(mm_vend_void(self->desk, sale.id, "ann", 1, &error), MM_DESK_REFUSED);
    assert_true(strstr(error.text, "is applied") != NULL);
    vending_report(self);
    vending_assert_balanced(self);
}

// Two records for one count, in either order: only the first decides.
static void test_vending_void_and_credit_both_reported(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    vending_void(self, &sale);
    vending_take(self, MM_MOVEMENT_VOID, &sale);
    vending_take(self, MM_MOVEMENT_TOKEN_ADD, &sale); // a node must not do this
    vending_assert_state(self, &sale, "void");
    sale = vending_sell(self, "r2", 5000);
    vending_take(self, MM_MOVEMENT_TOKEN_ADD, &sale);
    vending_take(self, MM_MOVEMENT_VOID, &sale);
    vending_assert_state(self, &sale, "applied");
    vending_report(self);
    mm_books_line_t line = vending_assert_balanced(self);
    assert_int_equal(line.other_wh, 5000);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM incident"), 2);
}

// --- money

static void test_vending_money_is_in_the_ledger(void **state) {
    vending_t *self = *state;
    mm_hq_error_t error = {{0}};
    mm_sale_t sale;
    bool repeated;
    mm_tariff_t tariff = {.name = "default", .currency = "EUR", .decimals = 2, .tax_ppm = 190000, .band_count = 1};
    tariff.bands[0] = (mm_tariff_band_t){127, 0, 24, 30};
    assert_int_equal(mm_tariffs_put(self->desk, "t", &tariff, "ann", 1, &repeated, &error), MM_DESK_OK);
    assert_int_equal(vending_try(self, "r1", "M-1", 0, 100, &sale, &error), MM_DESK_OK);
    assert_int_equal(sale.amount_wh, 3000);
    assert_int_equal(sale.tax_minor, 14); // 90 x 0.19 / 1.19 = 14.37
    assert_int_equal(sale.remainder_milli, 10000);
    assert_string_equal(sale.currency, "EUR");
    assert_int_equal(vending_account(self, "cash", "EUR"), 100000);
    assert_int_equal(vending_account(self, "revenue", "EUR"), -76000);
    assert_int_equal(vending_account(self, "tax", "EUR"), -14000);
    assert_int_equal(vending_account(self, "remainder", "EUR"), -10000);
    mm_sale_t second;
    assert_int_equal(vending_try(self, "r2", "M-1", 0, 20, &second, &error), MM_DESK_OK);
    assert_int_equal(second.amount_wh, 1000);
    assert_int_equal(second.remainder_milli, 0);
    assert_int_equal(vending_account(self, "remainder", "EUR"), 0);
    refused(self, "r3", "M-1", 0, 29, MM_DESK_REFUSED, "does not buy one unit");
    refused(self, "r3", "M-1", 0, INT64_MAX, MM_DESK_REFUSED, "minor units");
    // Void: the price of what was sold is owed to who paid, tax and all; what was kept stays kept.
    vending_void(self, &sale);
    assert_int_equal(vending_account(self, "refund", "EUR"), 0);
    vending_take(self, MM_MOVEMENT_VOID, &sale);
    assert_int_equal(vending_account(self, "refund", "EUR"), -90000);
    assert_int_equal(vending_account(self, "revenue", "EUR"), -25000); // of the second: 30 - 5
    assert_int_equal(vending_account(self, "tax", "EUR"), -5000);
    vending_take(self, MM_MOVEMENT_TOKEN_ADD, &second);
    vending_report(self);
    vending_assert_balanced(self);
}

static void test_vending_ledger_is_append_only(void **state) {
    vending_t *self = *state;
    vending_sell(self, "r1", 5000);
    static const char *const attempts[] = {
        "UPDATE ledger_entry SET amount = 1",
        "DELETE FROM ledger_entry",
        "INSERT OR REPLACE INTO ledger_entry SELECT id, utc_us, debit, credit, unit, 1, node, channel, meter,"
        " purchase, reason FROM ledger_entry",
        "INSERT INTO ledger_entry VALUES (99, 1, 'a', 'a', 'Wh', 1, 1, 0, '', 0, 'x')",
        "INSERT INTO ledger_entry VALUES (99, 1, 'a', 'b', 'Wh', 0, 1, 0, '', 0, 'x')",
        "INSERT INTO ledger_entry VALUES (99, 1, 'a', 'b', 'Wh', -1, 1, 0, '', 0, 'x')",
        "INSERT INTO ledger_entry VALUES (99, 1, 'a', 'b', 'Wh', 1.5, 1, 0, '', 0, 'x')",
        "INSERT INTO ledger_entry VALUES (99, 1, 'a', 'b', 'Wh', 1, 1, 0, '', 0, '')",
        "INSERT INTO purchase SELECT 99, 'r9', operator, created_us, local_month, asked_meter, asked_wh, asked_minor,"
        " node, channel, meter, era, count, amount_wh, unit_wh, units, token, token_restricted, state, tariff,"
        " currency, decimals, money_minor, cost_milli, tax_minor, remainder_milli, 0, 0, 0, '' FROM purchase",
    };
    for (size_t index = 0; index < sizeof attempts / sizeof attempts[0]; index++) {
        assert_int_equal(sqlite3_exec(mmi_desk_db(self->desk), attempts[index], NULL, NULL, NULL) & 0xFF,
                         SQLITE_CONSTRAINT);
    }
    vending_books(self);
    assert_int_equal(vending_integer(self, "SELECT sum(amount) FROM ledger_entry"), 5000);
}

static bool count_sales(void *context, const mm_sale_t *sale) {
    int64_t *ids = context;
    ids[0] = ids[0] * 10 + sale->id;
    return true;
}

static void test_vending_lists_newest_first(void **state) {
    vending_t *self = *state;
    mm_hq_error_t error;
    int64_t ids = 0;
    vending_sell(self, "r1", 1000);
    vending_sell(self, "r2", 1000);
    vending_sell(self, "r3", 1000);
    assert_int_equal(mm_vend_list(self->desk, NULL, 2, count_sales, &ids, &error), MM_DESK_OK);
    assert_int_equal(ids, 32);
    ids = 0;
    assert_int_equal(mm_vend_list(self->desk, "M-1", 9, count_sales, &ids, &error), MM_DESK_OK);
    assert_int_equal(ids, 321);
    ids = 0;
    assert_int_equal(mm_vend_list(self->desk, "M-2", 9, count_sales, &ids, &error), MM_DESK_OK);
    assert_int_equal(ids, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, vending_setup, vending_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_vending_sells_a_token_and_a_command),
        TEST(test_vending_tokens_are_the_meters),
        TEST(test_vending_count_follows_the_larger),
        TEST(test_vending_leaves_out_a_count_that_reads_as_another),
        TEST(test_vending_takes_the_other_form_for_a_chain_in_a_circle),
        TEST(test_vending_refuses_amounts),
        TEST(test_vending_refuses_requests),
        TEST(test_vending_refuses_meters),
        TEST(test_vending_refuses_without_a_key),
        TEST(test_vending_refuses_impossible_balances),
        TEST(test_vending_refuses_a_used_up_series),
        TEST(test_vending_ambiguous_meter_is_named_by_position),
        TEST(test_vending_refuses_too_many_open),
        TEST(test_vending_keeps_the_oldest_token_in_reach),
        TEST(test_vending_goes_on_behind_a_lost_record),
        TEST(test_vending_request_is_idempotent),
        TEST(test_vending_is_applied_once_by_either_way),
        TEST(test_vending_unknown_movements_are_shown),
        TEST(test_vending_count_of_a_forgotten_purchase),
        TEST(test_vending_amount_that_differs_is_shown),
        TEST(test_vending_taken_twice_is_shown),
        TEST(test_vending_record_of_another_meter),
        TEST(test_vending_refusal_of_the_meter_is_shown),
        TEST(test_vending_void_needs_the_meter),
        TEST(test_vending_void_loses_the_race),
        TEST(test_vending_void_and_credit_both_reported),
        TEST(test_vending_money_is_in_the_ledger),
        TEST(test_vending_ledger_is_append_only),
        TEST(test_vending_lists_newest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
