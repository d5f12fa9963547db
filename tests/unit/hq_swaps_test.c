// SPDX-License-Identifier: Apache-2.0
// Credit whose meter is no longer on its channel: never silently another one's.
#include "hq_vending_world.h"

#include "commands.h"
#include "swaps.h"

static bool keep_swap(void *context, const mm_swap_t *swap) {
    *(mm_swap_t *)context = *swap;
    return false;
}

/// The newest one, an open one before others; id 0 = none.
static mm_swap_t newest_swap(vending_t *self) {
    mm_swap_t swap = {.id = 0};
    mm_hq_error_t error;
    assert_int_equal(mm_swaps_list(self->desk, false, 10, keep_swap, &swap, &error), MM_DESK_OK);
    return swap;
}

static mm_desk_result_t decide(vending_t *self, int64_t id, mm_swaps_decision_t decision, const char *request,
                               bool *repeated) {
    mm_hq_error_t error;
    return mm_swaps_decide(self->desk, id, decision, request, "ann", self->now_us, repeated, &error);
}

static void report_meter(vending_t *self, const char *id) {
    self->meter_id = id;
    vending_report(self);
}

/// Number of commands in the batch that HQ makes now, and how many of them are of this kind.
static size_t dispatch(vending_t *self, uint8_t kind, size_t *of_kind) {
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
    size_t bytes_count = 0;
    bool changed;
    mm_command_batch_t batch = {.count = 0};
    mm_hq_error_t error = {{0}};
    *of_kind = 0;
    if (mm_dispatch_site(self->desk, "home", self->now_us, bytes, &bytes_count, &changed, &error) != MM_DESK_OK) {
        fail_msg("%s", error.text);
    }
    assert_true(bytes_count == 0 || mm_command_batch_read(bytes, bytes_count, &batch) == MM_OK);
    for (size_t index = 0; index < batch.count; index++) {
        mm_command_t command;
        assert_int_equal(mm_command_read(batch.commands[index].bytes, batch.commands[index].bytes_count, &command),
                         MM_OK);
        *of_kind += command.kind == kind ? 1 : 0;
    }
    return batch.count;
}

static int64_t meter_account(const vending_t *self, const char *meter, const char *name, const char *unit) {
    char sql[192];
    snprintf(
        sql, sizeof sql,
        "SELECT coalesce(sum(debits - credits), 0) FROM account WHERE meter = '%s' AND name = '%s' AND unit = '%s'",
        meter, name, unit);
    return vending_integer(self, sql);
}

/// M-1 has taken 5 kWh, and 3 more are sold and not taken.
static mm_sale_t two_sales(vending_t *self) {
    mm_sale_t taken = vending_sell(self, "taken", 5000);
    vending_take(self, MM_MOVEMENT_NETWORK, &taken);
    vending_report(self);
    return vending_sell(self, "open", 3000);
}

static void test_swaps_nothing_to_lose_is_no_swap(void **state) {
    vending_t *self = *state;
    report_meter(self, "OTHER");
    report_meter(self, "");
    report_meter(self, "THIRD");
    assert_int_equal(newest_swap(self).id, 0);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM incident"), 0);
}

static void test_swaps_are_seen_and_hold_credit(void **state) {
    vending_t *self = *state;
    size_t credits;
    mm_hq_error_t error;
    mm_sale_t sale;
    two_sales(self);
    assert_int_equal(dispatch(self, MM_COMMAND_CREDIT, &credits), 1);
    assert_int_equal(credits, 1);
    report_meter(self, "OTHER");
    mm_swap_t swap = newest_swap(self);
    assert_string_equal(swap.before, "M-1");
    assert_string_equal(swap.after, "OTHER");
    assert_string_equal(swap.state, "open");
    assert_int_equal(swap.balance_wh, 5000);
    assert_int_equal(swap.pending_wh, 3000);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM incident WHERE name = 'credit_meter_changed' AND"
                                           " value0 = 0 AND value1 = 5000 AND value2 = 3000"),
                     1);
    // What was sold to M-1 is not sent to the other one, though it had been in the batch; nothing new is sold.
    dispatch(self, MM_COMMAND_CREDIT, &credits);
    assert_int_equal(credits, 0);
    assert_int_equal(vending_try(self, "new", "OTHER", 1000, 0, &sale, &error), MM_DESK_REFUSED);
    assert_non_null(strstr(error.text, "M-1"));
    // The same report again, and a third meter: one swap, which knows where it stands.
    report_meter(self, "OTHER");
    report_meter(self, "THIRD");
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM meter_swap"), 1);
    assert_string_equal(newest_swap(self).after, "THIRD");
    // Back where it belongs: nothing has happened.
    report_meter(self, "M-1");
    assert_string_equal(newest_swap(self).state, "returned");
    dispatch(self, MM_COMMAND_CREDIT, &credits);
    assert_int_equal(credits, 1);
    vending_assert_balanced(self);
}

static void test_swaps_out_of_use_and_another_one(void **state) {
    vending_t *self = *state;
    bool repeated;
    two_sales(self);
    report_meter(self, "");
    mm_swap_t swap = newest_swap(self);
    assert_string_equal(swap.after, "");
    // Nobody can have it yet.
    assert_int_equal(decide(self, swap.id, MM_SWAPS_TRANSFER, "early", &repeated), MM_DESK_REFUSED);
    report_meter(self, "OTHER");
    assert_string_equal(newest_swap(self).after, "OTHER");
    assert_string_equal(newest_swap(self).before, "M-1");
}

static void test_swaps_transfer(void **state) {
    vending_t *self = *state;
    bool repeated;
    size_t credits;
    two_sales(self);
    // 0.345 minor units are kept for M-1.
    vending_execute(self, "INSERT INTO ledger_entry (utc_us, debit, credit, unit, amount, node, channel, meter,"
                          " purchase, reason) VALUES (1, 'cash', 'remainder', 'EUR', 345, 1, 0, 'M-1', 1, 'paid');");
    report_meter(self, "OTHER");
    int64_t id = newest_swap(self).id;
    assert_int_equal(decide(self, id + 1, MM_SWAPS_TRANSFER, "t", &repeated), MM_DESK_NOT_FOUND);
    assert_int_equal(decide(self, id, MM_SWAPS_TRANSFER, "t", &repeated), MM_DESK_OK);
    assert_false(repeated);
    assert_int_equal(decide(self, id, MM_SWAPS_TRANSFER, "t", &repeated), MM_DESK_OK);
    assert_true(repeated);
    assert_int_equal(decide(self, id, MM_SWAPS_WITHDRAW, "t", &repeated), MM_DESK_CONFLICT);
    assert_int_equal(decide(self, id, MM_SWAPS_WITHDRAW, "w", &repeated), MM_DESK_REFUSED);
    assert_string_equal(newest_swap(self).state, "transferred");
    assert_string_equal(newest_swap(self).decided_by, "ann");
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM audit WHERE operator = 'ann' AND action ="
                                           " 'transfer'"),
                     1);
    // Every Wh and every thousandth of a cent is with the other meter, once.
    assert_int_equal(meter_account(self, "M-1", "other", "Wh"), -5000);
    assert_int_equal(meter_account(self, "OTHER", "other", "Wh"), 5000);
    assert_int_equal(meter_account(self, "M-1", "remainder", "EUR"), 0);
    assert_int_equal(meter_account(self, "OTHER", "remainder", "EUR"), -345);
    assert_int_equal(vending_account(self, "moved", "EUR"), 0);
    vending_assert_balanced(self);
    // What was open goes on, and new credit is sold.
    dispatch(self, MM_COMMAND_CREDIT, &credits);
    assert_int_equal(credits, 1);
    mm_sale_t sale;
    mm_hq_error_t error;
    assert_int_equal(vending_try(self, "new", "OTHER", 1000, 0, &sale, &error), MM_DESK_OK);
}

// The money of a meter that is still in use stays with it.
static void test_swaps_transfer_leaves_the_money_of_a_meter_in_use(void **state) {
    vending_t *self = *state;
    bool repeated;
    two_sales(self);
    vending_execute(self, "INSERT INTO ledger_entry (utc_us, debit, credit, unit, amount, node, channel, meter,"
                          " purchase, reason) VALUES (1, 'cash', 'remainder', 'EUR', 345, 1, 0, 'M-1', 1, 'paid');");
    report_meter(self, "OTHER");
    vending_execute(self, "INSERT OR REPLACE INTO meter (node, channel, id) VALUES (1, 5, 'M-1');");
    assert_int_equal(decide(self, newest_swap(self).id, MM_SWAPS_TRANSFER, "t", &repeated), MM_DESK_OK);
    assert_int_equal(meter_account(self, "M-1", "remainder", "EUR"), -345);
}

static void test_swaps_withdraw(void **state) {
    vending_t *self = *state;
    bool repeated;
    size_t modes;
    mm_sale_t open = two_sales(self);
    report_meter(self, "OTHER");
    assert_int_equal(decide(self, newest_swap(self).id, MM_SWAPS_WITHDRAW, "w", &repeated), MM_DESK_OK);
    vending_assert_state(self, &open, "voiding");
    assert_int_equal(
        vending_integer(self, "SELECT group_concat(hex(body), '') = '020500000001' FROM (SELECT body FROM command"
                              " WHERE state = 0 AND kind = 20 ORDER BY priority DESC, id)"),
        1);
    // The void first, then the end of prepayment and its new beginning.
    assert_int_equal(vending_integer(self, "SELECT group_concat(kind, '') = '182020' FROM (SELECT kind FROM command"
                                           " WHERE state = 0 ORDER BY priority DESC, id)"),
                     1);
    assert_int_equal(dispatch(self, MM_COMMAND_MODE, &modes), 3);
    assert_int_equal(modes, 2);
    // The meter does so.
    vending_take(self, MM_MOVEMENT_VOID, &open);
    mm_record_t end = vending_move(self, MM_MOVEMENT_POSTPAID, 0, 0, -5000);
    vending_send(self, &end);
    mm_record_t begin = vending_move(self, MM_MOVEMENT_PREPAID, 0, 0, 0);
    vending_send(self, &begin);
    vending_report(self);
    mm_books_line_t line = vending_assert_balanced(self);
    assert_int_equal(line.balance_wh, 0);
    assert_int_equal(line.pending_wh, 0);
    assert_int_equal(meter_account(self, "OTHER", "other", "Wh"), 0);
    vending_assert_state(self, &open, "void");
}

// Without prepayment no token is taken, and none begins.
static void test_swaps_withdraw_from_a_postpaid_channel(void **state) {
    vending_t *self = *state;
    bool repeated;
    mm_sale_t sale = vending_sell(self, "open", 3000);
    mm_record_t end = vending_move(self, MM_MOVEMENT_POSTPAID, 0, 0, 0);
    vending_send(self, &end);
    report_meter(self, "OTHER");
    vending_execute(self, "UPDATE meter_credit SET prepaid = 0;");
    assert_int_equal(decide(self, newest_swap(self).id, MM_SWAPS_WITHDRAW, "w", &repeated), MM_DESK_OK);
    vending_assert_state(self, &sale, "voiding");
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM command WHERE kind = 20"), 0);
}

// What counts is what is there when it is decided, and every purchase of it.
static void test_swaps_withdraw_all_of_what_is_there_now(void **state) {
    vending_t *self = *state;
    bool repeated;
    mm_sale_t first = two_sales(self);
    mm_sale_t second = vending_sell(self, "second", 2000);
    mm_sale_t typed = vending_sell(self, "typed", 1000);
    report_meter(self, "OTHER");
    assert_int_equal(newest_swap(self).balance_wh, 5000);
    assert_int_equal(newest_swap(self).pending_wh, 6000);
    vending_take(self, MM_MOVEMENT_TOKEN_ADD, &typed);
    vending_report(self);
    assert_int_equal(decide(self, newest_swap(self).id, MM_SWAPS_WITHDRAW, "w", &repeated), MM_DESK_OK);
    assert_int_equal(newest_swap(self).balance_wh, 6000);
    assert_int_equal(newest_swap(self).pending_wh, 5000);
    vending_assert_state(self, &first, "voiding");
    vending_assert_state(self, &second, "voiding");
    vending_assert_state(self, &typed, "applied");
    assert_int_equal(meter_account(self, "OTHER", "other", "Wh"), 6000);
    vending_assert_balanced(self);
}

// A request id is for one decision about one swap.
static void test_swaps_request_of_another_swap(void **state) {
    vending_t *self = *state;
    bool repeated;
    two_sales(self);
    report_meter(self, "OTHER");
    int64_t first = newest_swap(self).id;
    assert_int_equal(decide(self, first, MM_SWAPS_TRANSFER, "t", &repeated), MM_DESK_OK);
    report_meter(self, "THIRD");
    int64_t second = newest_swap(self).id;
    assert_int_not_equal(second, first);
    assert_int_equal(decide(self, second, MM_SWAPS_TRANSFER, "t", &repeated), MM_DESK_CONFLICT);
    assert_false(repeated);
    assert_string_equal(newest_swap(self).state, "open");
    assert_int_equal(decide(self, second, MM_SWAPS_TRANSFER, "t2", &repeated), MM_DESK_OK);
    // The second one's request for the first one, which is in the same state.
    assert_int_equal(decide(self, first, MM_SWAPS_TRANSFER, "t2", &repeated), MM_DESK_CONFLICT);
    assert_false(repeated);
    assert_int_equal(meter_account(self, "THIRD", "other", "Wh"), 5000);
    assert_int_equal(meter_account(self, "OTHER", "other", "Wh"), 0);
    vending_assert_balanced(self);
}

// A token of the other meter that is typed before prepayment ends would be cleared with the rest.
static void test_swaps_nothing_is_sold_while_a_balance_is_cleared(void **state) {
    vending_t *self = *state;
    bool repeated;
    size_t modes;
    mm_sale_t sale;
    mm_hq_error_t error;
    mm_sale_t open = two_sales(self);
    report_meter(self, "OTHER");
    assert_int_equal(decide(self, newest_swap(self).id, MM_SWAPS_WITHDRAW, "w", &repeated), MM_DESK_OK);
    assert_int_equal(vending_try(self, "new", "OTHER", 1000, 0, &sale, &error), MM_DESK_REFUSED);
    assert_non_null(strstr(error.text, "try again"));
    dispatch(self, MM_COMMAND_MODE, &modes);
    assert_int_equal(vending_try(self, "new", "OTHER", 1000, 0, &sale, &error), MM_DESK_REFUSED);
    vending_take(self, MM_MOVEMENT_VOID, &open);
    mm_record_t end = vending_move(self, MM_MOVEMENT_POSTPAID, 0, 0, -5000);
    vending_send(self, &end);
    vending_execute(self, "UPDATE command SET state = 4 WHERE kind = 20 AND id = (SELECT min(id) FROM command WHERE"
                          " kind = 20);");
    assert_int_equal(vending_try(self, "new", "OTHER", 1000, 0, &sale, &error), MM_DESK_REFUSED);
    mm_record_t begin = vending_move(self, MM_MOVEMENT_PREPAID, 0, 0, 0);
    vending_send(self, &begin);
    vending_execute(self, "UPDATE command SET state = 4 WHERE kind = 20;");
    vending_report(self);
    assert_int_equal(vending_try(self, "new", "OTHER", 1000, 0, &sale, &error), MM_DESK_OK);
    vending_assert_balanced(self);
}

// The meter has taken what HQ still counts as open: its void comes too late, and the other meter must not have it.
static void test_swaps_withdraw_what_is_in_the_air(void **state) {
    vending_t *self = *state;
    bool repeated;
    size_t modes;
    mm_sale_t sale = vending_sell(self, "air", 3000);
    report_meter(self, "OTHER");
    mm_record_t late = vending_move(self, MM_MOVEMENT_TOKEN_ADD, 0, sale.count, sale.amount_wh);
    assert_int_equal(newest_swap(self).balance_wh, 0);
    assert_int_equal(decide(self, newest_swap(self).id, MM_SWAPS_WITHDRAW, "w", &repeated), MM_DESK_OK);
    dispatch(self, MM_COMMAND_MODE, &modes);
    assert_int_equal(modes, 2);
    vending_send(self, &late);
    vending_report(self);
    vending_assert_state(self, &sale, "applied");
    mm_record_t end = vending_move(self, MM_MOVEMENT_POSTPAID, 0, 0, -3000);
    vending_send(self, &end);
    mm_record_t begin = vending_move(self, MM_MOVEMENT_PREPAID, 0, 0, 0);
    vending_send(self, &begin);
    vending_report(self);
    assert_int_equal(vending_assert_balanced(self).balance_wh, 0);
}

// A balance below nothing is somebody's debt.
static void test_swaps_a_debt_is_credit_too(void **state) {
    vending_t *self = *state;
    self->meter.balance_wh = -40;
    vending_report(self);
    report_meter(self, "OTHER");
    assert_int_equal(newest_swap(self).balance_wh, -40);
    bool repeated;
    assert_int_equal(decide(self, newest_swap(self).id, MM_SWAPS_TRANSFER, "t", &repeated), MM_DESK_OK);
    assert_int_equal(meter_account(self, "M-1", "other", "Wh"), 40);
    assert_int_equal(meter_account(self, "OTHER", "other", "Wh"), -40);
    mm_hq_error_t error;
    assert_int_equal(mm_ledger(self->desk, vending_check_unit, NULL, &error), MM_DESK_OK);
}

// Two meters have changed their places in one report: each channel's credit is decided for itself.
static void test_swaps_crosswise(void **state) {
    vending_t *self = *state;
    bool repeated;
    mm_sale_t sale;
    mm_hq_error_t error;
    two_sales(self);
    vending_execute(self, "INSERT INTO meter_credit VALUES (1, 1, 1, 0, 1, 0, 0, 700, 700, 0, 1);"
                          "INSERT INTO ledger_entry (utc_us, debit, credit, unit, amount, node, channel, meter,"
                          " purchase, reason) VALUES (1, 'cash', 'remainder', 'EUR', 345, 1, 0, 'M-1', 1, 'paid');");
    self->second_id = "M-1";
    report_meter(self, "M-2");
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM meter_swap WHERE state = 'open' AND ((channel = 0 AND"
                                           " meter_before = 'M-1' AND meter_after = 'M-2' AND balance_wh = 5000) OR"
                                           " (channel = 1 AND meter_before = 'M-2' AND meter_after = 'M-1' AND"
                                           " balance_wh = 700))"),
                     2);
    assert_int_equal(vending_try(self, "n1", "M-1", 1000, 0, &sale, &error), MM_DESK_REFUSED);
    assert_int_equal(vending_try(self, "n2", "M-2", 1000, 0, &sale, &error), MM_DESK_REFUSED);
    assert_int_equal(decide(self, 1, MM_SWAPS_TRANSFER, "t1", &repeated), MM_DESK_OK);
    assert_int_equal(vending_try(self, "n1", "M-1", 1000, 0, &sale, &error), MM_DESK_REFUSED);
    assert_int_equal(decide(self, 2, MM_SWAPS_TRANSFER, "t2", &repeated), MM_DESK_OK);
    assert_int_equal(meter_account(self, "M-1", "other", "Wh"), 700 - 5000);
    assert_int_equal(meter_account(self, "M-2", "other", "Wh"), 5000 - 700);
    // Both are in use: what is kept in money is not on a channel.
    assert_int_equal(meter_account(self, "M-1", "remainder", "EUR"), -345);
    assert_int_equal(vending_account(self, "moved", "EUR"), 0);
    assert_int_equal(vending_try(self, "n1", "M-1", 1000, 0, &sale, &error), MM_DESK_OK);
    assert_int_equal(sale.channel, 1);
    assert_int_equal(mm_ledger(self->desk, vending_check_unit, NULL, &error), MM_DESK_OK);
}

static void test_swaps_end_with_the_era(void **state) {
    vending_t *self = *state;
    two_sales(self);
    report_meter(self, "OTHER");
    assert_int_equal(mm_store_begin(self->store), MM_STORE_OK);
    assert_true(mmi_hq_vending_take_era(self->store, 1, VENDING_ERA, self->now_us));
    assert_true(mmi_hq_vending_take_era(self->store, 1, VENDING_ERA + 1, self->now_us));
    assert_int_equal(mm_store_commit(self->store, self->now_us), MM_STORE_OK);
    assert_string_equal(newest_swap(self).state, "lost");
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM purchase WHERE state = 5"), 1);
}

// A database that was replaced by a copy from before a decision, which is made once more. What the other database had
// done came to the meter with commands that are not known here.

#define STRANGER 4711

static mm_record_t stranger(mm_record_t record) {
    record.credit.command_id = STRANGER;
    return record;
}

/// The record that the channel got another meter.
static void change_meter(vending_t *self) {
    vending_execute(self,
                    "INSERT INTO meter_change (node, epoch, seq, channel, command_id, constant_before,"
                    " life_before, constant_after, life_after, trust, seconds)"
                    " VALUES (1, 1, %u, 0, 9, %d, 100, %d, 100, 0, 0);",
                    self->seq, VENDING_CONSTANT, VENDING_CONSTANT);
}

/// The meter's answer to the end of prepayment.
static void answer_mode(vending_t *self, uint8_t status) {
    int64_t command = vending_integer(self, "SELECT min(id) FROM command WHERE kind = 20");
    mm_record_t record = {.type = MM_RECORD_RESULT};
    record.result = (mm_result_record_t){.channel = 0,
                                         .kind = MM_COMMAND_MODE,
                                         .status = status,
                                         .era = VENDING_ERA,
                                         .counter = ++self->meter.counter,
                                         .command_id = (uint64_t)command,
                                         .at = {.seconds = (uint64_t)(self->now_us / 1000000)}};
    vending_send(self, &record);
}

static void test_swaps_a_decision_says_what_it_is_about(void **state) {
    vending_t *self = *state;
    bool repeated;
    two_sales(self);
    report_meter(self, "OTHER");
    assert_int_equal(newest_swap(self).token_count, 5); // 2 is taken, 4 is sold
    assert_int_equal(decide(self, newest_swap(self).id, MM_SWAPS_WITHDRAW, "w", &repeated), MM_DESK_OK);
    assert_int_equal(vending_integer(self,
                                     "SELECT group_concat(hex(body), ' ') = '0205000000 01' FROM (SELECT body FROM"
                                     " command WHERE kind = 20 ORDER BY id)"),
                     1);
}

// The node knows better: everything is as it was, and somebody is told.
static void test_swaps_what_the_meter_refuses_stays(void **state) {
    vending_t *self = *state;
    bool repeated;
    two_sales(self);
    report_meter(self, "OTHER");
    mm_swap_t swap = newest_swap(self);
    assert_int_equal(decide(self, swap.id, MM_SWAPS_WITHDRAW, "w", &repeated), MM_DESK_OK);
    assert_int_equal(meter_account(self, "OTHER", "other", "Wh"), 5000);
    answer_mode(self, MM_RESULT_STATE);
    assert_string_equal(newest_swap(self).state, "refused");
    assert_int_equal(meter_account(self, "M-1", "other", "Wh"), 0);
    assert_int_equal(meter_account(self, "OTHER", "other", "Wh"), 0);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM incident WHERE name = 'credit_not_withdrawn' AND"
                                           " value0 = 0 AND value1 = 5000 AND value2 = 5"),
                     1);
    vending_report(self);
    assert_int_equal(vending_assert_balanced(self).balance_wh, 5000);
    assert_int_equal(decide(self, swap.id, MM_SWAPS_WITHDRAW, "again", &repeated), MM_DESK_REFUSED);
}

// The report has come, the records have not: what the meter has taken since is not withdrawn.
static void test_swaps_newer_credit_is_not_withdrawn(void **state) {
    vending_t *self = *state;
    bool repeated;
    two_sales(self);
    report_meter(self, "OTHER");
    self->meter.token_count = 6;
    self->meter.balance_wh = 2000;
    vending_report(self);
    mm_hq_error_t error = {{0}};
    assert_int_equal(mm_swaps_decide(self->desk, newest_swap(self).id, MM_SWAPS_WITHDRAW, "w", "ann", self->now_us,
                                     &repeated, &error),
                     MM_DESK_REFUSED);
    assert_non_null(strstr(error.text, "credit since"));
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM command WHERE kind IN (18, 20)"), 0);
    assert_int_equal(meter_account(self, "OTHER", "other", "Wh"), 0);
    assert_int_equal(decide(self, newest_swap(self).id, MM_SWAPS_TRANSFER, "t", &repeated), MM_DESK_OK);
}

// The records come while the swap is open: it was withdrawn, as they say.
static void test_swaps_records_tell_of_the_decision_before(void **state) {
    vending_t *self = *state;
    bool repeated;
    mm_sale_t sale = vending_sell(self, "taken", 5000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    vending_report(self);
    report_meter(self, "OTHER");
    mm_record_t end = stranger(vending_move(self, MM_MOVEMENT_POSTPAID, 0, 3, -5000));
    mm_record_t begin = stranger(vending_move(self, MM_MOVEMENT_PREPAID, 0, 0, 0));
    mm_record_t newer = stranger(vending_move(self, MM_MOVEMENT_NETWORK, 9, 4, 2000));
    vending_send(self, &end);
    assert_string_equal(newest_swap(self).state, "withdrawn");
    assert_int_equal(newest_swap(self).balance_wh, 5000);
    vending_send(self, &begin);
    vending_send(self, &newer);
    vending_report(self);
    assert_int_equal(decide(self, newest_swap(self).id, MM_SWAPS_WITHDRAW, "w", &repeated), MM_DESK_REFUSED);
    assert_int_equal(meter_account(self, "M-1", "other", "Wh"), -5000);
    assert_int_equal(meter_account(self, "OTHER", "other", "Wh"), 2000);
    assert_int_equal(vending_assert_balanced(self).balance_wh, 2000);
}

// Decided again before the records came: they count, and the refusal changes nothing.
static void test_swaps_records_after_the_second_decision(void **state) {
    vending_t *self = *state;
    bool repeated;
    mm_sale_t sale = vending_sell(self, "taken", 5000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    vending_report(self);
    report_meter(self, "OTHER");
    assert_int_equal(decide(self, newest_swap(self).id, MM_SWAPS_WITHDRAW, "w", &repeated), MM_DESK_OK);
    self->meter.life_pulses += 40;
    self->meter.balance_wh -= 40;
    mm_record_t end = stranger(vending_move(self, MM_MOVEMENT_POSTPAID, 0, 3, -4960));
    mm_record_t begin = stranger(vending_move(self, MM_MOVEMENT_PREPAID, 0, 0, 0));
    mm_record_t newer = stranger(vending_move(self, MM_MOVEMENT_NETWORK, 9, 4, 2000));
    vending_send(self, &end);
    vending_send(self, &begin);
    vending_send(self, &newer);
    answer_mode(self, MM_RESULT_STATE);
    vending_report(self);
    assert_string_equal(newest_swap(self).state, "withdrawn");
    assert_int_equal(newest_swap(self).balance_wh, 4960);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM incident WHERE name = 'credit_not_withdrawn'"), 0);
    assert_int_equal(meter_account(self, "M-1", "other", "Wh"), -4960);
    assert_int_equal(meter_account(self, "OTHER", "other", "Wh"), 2000);
    assert_int_equal(vending_assert_balanced(self).balance_wh, 2000);
}

// In the copy the channel still has the meter before, and the records come before the report does: there is nothing to
// decide, for its credit is gone.
static void test_swaps_of_credit_that_is_cleared_is_none(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "taken", 5000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    vending_report(self);
    change_meter(self);
    mm_record_t end = stranger(vending_move(self, MM_MOVEMENT_POSTPAID, 0, 3, -5000));
    mm_record_t begin = stranger(vending_move(self, MM_MOVEMENT_PREPAID, 0, 0, 0));
    mm_record_t newer = stranger(vending_move(self, MM_MOVEMENT_NETWORK, 9, 4, 2000));
    vending_send(self, &end);
    vending_send(self, &begin);
    vending_send(self, &newer);
    report_meter(self, "OTHER");
    assert_int_equal(newest_swap(self).id, 0);
    vending_report(self);
    assert_int_equal(vending_assert_balanced(self).balance_wh, 2000);
}

// A balance was withdrawn when the channel got its second meter. It gets a third one, and the report comes before the
// record of that change does, or without it: the second one's credit is nobody else's.
static void test_swaps_a_withdrawal_before_is_of_the_meter_before(void **state) {
    vending_t *self = *state;
    bool repeated;
    mm_sale_t sale = vending_sell(self, "taken", 5000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    vending_report(self);
    change_meter(self);
    report_meter(self, "OTHER");
    assert_int_equal(decide(self, newest_swap(self).id, MM_SWAPS_WITHDRAW, "w", &repeated), MM_DESK_OK);
    mm_record_t end = vending_move(self, MM_MOVEMENT_POSTPAID, 0, 3, -5000);
    end.credit.command_id = (uint64_t)vending_integer(self, "SELECT min(id) FROM command WHERE kind = 20");
    vending_send(self, &end);
    mm_record_t begin = vending_move(self, MM_MOVEMENT_PREPAID, 0, 0, 0);
    begin.credit.command_id = (uint64_t)vending_integer(self, "SELECT max(id) FROM command WHERE kind = 20");
    vending_send(self, &begin);
    vending_report(self);
    mm_hq_error_t error;
    assert_int_equal(vending_try(self, "second", "OTHER", 2000, 0, &sale, &error), MM_DESK_OK);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    vending_report(self);
    assert_int_equal(vending_assert_balanced(self).balance_wh, 2000);
    report_meter(self, "THIRD");
    mm_swap_t swap = newest_swap(self);
    assert_string_equal(swap.state, "open");
    assert_string_equal(swap.before, "OTHER");
    assert_string_equal(swap.after, "THIRD");
    assert_int_equal(swap.balance_wh, 2000);
}

// A record of an era that is over comes late: its counts are those of another series.
static void test_swaps_records_of_another_era(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "taken", 5000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    vending_report(self);
    report_meter(self, "OTHER");
    mm_record_t end = {.type = MM_RECORD_CREDIT};
    end.credit = (mm_credit_record_t){.movement = MM_MOVEMENT_POSTPAID,
                                      .era = VENDING_ERA - 1,
                                      .counter = 9,
                                      .command_id = STRANGER,
                                      .count = 101,
                                      .amount_wh = -4000,
                                      .at = {.seconds = (uint64_t)(self->now_us / 1000000)}};
    vending_send(self, &end);
    assert_string_equal(newest_swap(self).state, "open");
    assert_int_equal(meter_account(self, "M-1", "other", "Wh"), 0);
}

// A swap that was open when there were no counts yet, in a database of that version.
static void test_swaps_of_before_there_were_counts(void **state) {
    vending_t *self = *state;
    two_sales(self);
    report_meter(self, "OTHER");
    vending_execute(self,
                    "DROP TABLE meter_swap; CREATE TABLE meter_swap (id INTEGER PRIMARY KEY, node INTEGER NOT NULL"
                    " REFERENCES node(id), channel INTEGER NOT NULL, meter_before TEXT NOT NULL, meter_after TEXT NOT"
                    " NULL, opened_us INTEGER NOT NULL, balance_wh INTEGER NOT NULL, pending_wh INTEGER NOT NULL, state"
                    " TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'transferred', 'withdrawn', 'returned',"
                    " 'lost')), decided_by TEXT NOT NULL DEFAULT '', decided_us INTEGER NOT NULL DEFAULT 0, request"
                    " TEXT NOT NULL DEFAULT '');");
    vending_execute(self, "INSERT INTO meter_swap VALUES (4, 1, 0, 'A', 'M-1', 5, 6, 7, 'withdrawn', 'ann', 8, 'r'),"
                          " (5, 1, 0, 'M-1', 'OTHER', 9, 5000, 3000, 'open', '', 0, '');"
                          "PRAGMA user_version = 10;");
    mm_store_close(self->store);
    self->store = hq_open(self->world);
    assert_int_equal(vending_integer(self, "SELECT group_concat(id || state || opened_us || balance_wh || request"
                                           " || token_count || command) = '4withdrawn56r00,5open9500050' FROM"
                                           " meter_swap"),
                     1);
    bool repeated;
    assert_int_equal(decide(self, 5, MM_SWAPS_WITHDRAW, "w", &repeated), MM_DESK_OK);
    assert_int_equal(vending_integer(self, "SELECT hex(body) = '0205000000' FROM command WHERE kind = 20 ORDER BY id"
                                           " LIMIT 1"),
                     1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, vending_setup, vending_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_swaps_nothing_to_lose_is_no_swap),
        TEST(test_swaps_are_seen_and_hold_credit),
        TEST(test_swaps_out_of_use_and_another_one),
        TEST(test_swaps_transfer),
        TEST(test_swaps_transfer_leaves_the_money_of_a_meter_in_use),
        TEST(test_swaps_withdraw),
        TEST(test_swaps_withdraw_from_a_postpaid_channel),
        TEST(test_swaps_withdraw_all_of_what_is_there_now),
        TEST(test_swaps_request_of_another_swap),
        TEST(test_swaps_nothing_is_sold_while_a_balance_is_cleared),
        TEST(test_swaps_withdraw_what_is_in_the_air),
        TEST(test_swaps_a_debt_is_credit_too),
        TEST(test_swaps_crosswise),
        TEST(test_swaps_end_with_the_era),
        TEST(test_swaps_a_decision_says_what_it_is_about),
        TEST(test_swaps_what_the_meter_refuses_stays),
        TEST(test_swaps_newer_credit_is_not_withdrawn),
        TEST(test_swaps_records_tell_of_the_decision_before),
        TEST(test_swaps_records_after_the_second_decision),
        TEST(test_swaps_of_credit_that_is_cleared_is_none),
        TEST(test_swaps_a_withdrawal_before_is_of_the_meter_before),
        TEST(test_swaps_records_of_another_era),
        TEST(test_swaps_of_before_there_were_counts),
    };
    return cmocka_run_group_tests_name("hq swaps", tests, NULL, NULL);
}
