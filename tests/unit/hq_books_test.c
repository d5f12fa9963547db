// SPDX-License-Identifier: Apache-2.0
#include "hq_vending_world.h"

#include "meshmeter/command.h"
#include "meshmeter/control.h"
#include "meshmeter/result_detail.h"

// The books: sold against applied, applied against used, and what an era or a register that is lost does to them.

// The meter uses pulses: its register moves, and its balance with it, as the node would count it (1 pulse = 1 Wh).
static void use(vending_t *self, uint64_t pulses) {
    self->meter.life_pulses += pulses;
    self->meter.balance_wh -= (int64_t)(pulses * 1000 / self->meter.pulse_constant);
}

static void test_books_follow_the_registers(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    mm_books_line_t line = vending_assert_balanced(self);
    assert_int_equal(line.pending_wh, 5000);
    assert_int_equal(line.consumed_wh, 0);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    use(self, 1234);
    vending_report(self);
    line = vending_assert_balanced(self);
    assert_int_equal(line.issued_wh, 5000);
    assert_int_equal(line.applied_wh, 5000);
    assert_int_equal(line.pending_wh, 0);
    assert_int_equal(line.consumed_wh, 1234);
    assert_int_equal(line.balance_wh, 3766);
    assert_string_equal(line.meter, "M-1");
    assert_string_equal(line.site, "home");
}

// The balance is not believed: a meter that counts wrongly is found by its register.
static void test_books_show_a_balance_that_is_wrong(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    use(self, 1000);
    self->meter.balance_wh += 7;
    vending_report(self);
    mm_books_line_t line = vending_books(self);
    assert_int_equal(line.used_difference_wh, -7);
    assert_true(line.settled);
    assert_false(mm_books_line_balances(&line));
}

// A record on its way is no difference yet; one that never comes stays one.
static void test_books_wait_for_records_on_their_way(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    mm_record_t record = vending_move(self, MM_MOVEMENT_TOKEN_ADD, 0, sale.count, 5000);
    uint32_t seq = ++self->seq;
    vending_report(self);
    mm_books_line_t line = vending_books(self);
    assert_int_equal(line.used_difference_wh, -5000);
    assert_false(line.settled);
    assert_true(mm_books_line_balances(&line));
    vending_send_at(self, seq, &record);
    vending_assert_balanced(self);
}

static void test_books_show_a_record_that_was_lost(void **state) {
    vending_t *self = *state;
    static hq_batch_t batch;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    vending_move(self, MM_MOVEMENT_TOKEN_ADD, 0, sale.count, 5000);
    uint32_t lost = ++self->seq;
    mm_record_t gap = hq_gap(1, lost, lost, MM_GAP_DAMAGED);
    hq_batch_record(&batch, hq_mac(1), 1, ++self->seq, &gap);
    hq_commit(self->store, &batch);
    vending_report(self);
    mm_books_line_t line = vending_books(self);
    assert_true(line.settled);
    assert_int_equal(line.pending_wh, 5000);
    assert_int_equal(line.used_difference_wh, -5000);
}

// Tokens in a drawer do not hide what is wrong elsewhere.
static void test_books_are_settled_with_open_purchases(void **state) {
    vending_t *self = *state;
    vending_sell(self, "r1", 5000);
    mm_sale_t sale = vending_sell(self, "r2", 2000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    use(self, 3);
    vending_report(self);
    assert_int_equal(vending_assert_balanced(self).pending_wh, 5000);
    self->meter.balance_wh--;
    vending_report(self);
    mm_books_line_t line = vending_books(self);
    assert_int_equal(line.used_difference_wh, 1);
    assert_false(mm_books_line_balances(&line));
}

static void test_books_emergency_and_negative_balance(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 1000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    use(self, 1700); // emergency credit, or hours in which supply is not cut
    vending_report(self);
    assert_int_equal(vending_assert_balanced(self).balance_wh, -700);
}

static void test_books_postpaid_and_prepaid_again(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    use(self, 2000);
    mm_record_t end = vending_move(self, MM_MOVEMENT_POSTPAID, 0, 0, -3000);
    vending_send(self, &end);
    vending_execute(self, "UPDATE meter_credit SET prepaid = 0");
    self->meter.life_pulses += 400; // nobody counts these
    mm_books_line_t line = vending_books(self);
    assert_int_equal(line.used_difference_wh, 0);
    assert_int_equal(line.other_wh, -3000);
    assert_int_equal(line.consumed_wh, 2000);
    mm_record_t begin = vending_move(self, MM_MOVEMENT_PREPAID, 0, 0, 0);
    vending_send(self, &begin);
    vending_report(self);
    sale = vending_sell(self, "r2", 1000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    use(self, 10);
    vending_report(self);
    line = vending_assert_balanced(self);
    assert_int_equal(line.consumed_wh, 2010);
    assert_int_equal(line.balance_wh, 990);
}

static void test_books_follow_another_pulse_constant(void **state) {
    vending_t *self = *state;
    static hq_batch_t batch;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    use(self, 1000);
    mm_record_t event =
        hq_event(MM_EVENT_CONFIGURATION, (mm_label_t){HQ_UTC_S, MM_TRUST_SYNCED}, 1, 0, VENDING_CONSTANT, 800);
    event.event.values[3] = self->meter.life_pulses;
    hq_batch_record(&batch, hq_mac(1), 1, ++self->seq, &event);
    hq_commit(self->store, &batch);
    self->meter.pulse_constant = 800;
    use(self, 400); // 500 Wh
    vending_report(self);
    mm_books_line_t line = vending_assert_balanced(self);
    assert_int_equal(line.consumed_wh, 1500);
    assert_int_equal(line.balance_wh, 3500);
}

static mm_record_t send_change(vending_t *self, uint64_t command_id, uint8_t kind, uint8_t status,
                               const mm_archive_detail_t *archive) {
    static hq_batch_t batch;
    mm_record_t record = {.type = MM_RECORD_RESULT};
    record.result = (mm_result_record_t){.era = VENDING_ERA,
                                         .counter = 9,
                                         .command_id = command_id,
                                         .kind = kind,
                                         .status = status,
                                         .at = {HQ_UTC_S, MM_TRUST_SYNCED}};
    mm_writer_t writer = mm_writer(record.result.detail, sizeof record.result.detail);
    mm_archive_detail_put(archive, &writer);
    record.result.detail_bytes = (uint8_t)writer.used_bytes;
    hq_batch_record(&batch, hq_mac(1), 1, ++self->seq, &record);
    hq_commit(self->store, &batch);
    return record;
}

static mm_record_t send_update(vending_t *self, uint64_t command_id, const mm_archive_detail_t *archive) {
    return send_change(self, command_id, MM_COMMAND_UPDATE, MM_RESULT_DONE, archive);
}

// UPDATE and ERASE set the register: what they archived says from where to where.
static void test_books_follow_a_register_that_is_set(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    use(self, 1000);
    const mm_archive_detail_t archive = {.before = {.id = "M-1", .pulse_constant = 1000, .life_pulses = 1100},
                                         .after = {.id = "M-1", .pulse_constant = 500, .life_pulses = 7}};
    mm_record_t record = send_update(self, 5, &archive);
    vending_send_at(self, ++self->seq, &record); // carried over: no second change
    self->meter.life_pulses = 7;
    self->meter.pulse_constant = 500;
    use(self, 100); // 200 Wh
    vending_report(self);
    mm_books_line_t line = vending_assert_balanced(self);
    assert_int_equal(line.consumed_wh, 1200);
    assert_int_equal(line.balance_wh, 3800);
    // No command has set it back once more.
    self->meter.life_pulses = 50;
    assert_int_equal(vending_integer(self, "SELECT quarantined FROM total"), 0);
    vending_report(self);
    assert_int_equal(vending_integer(self, "SELECT quarantined FROM total"), 1);
}

// An installer's changes are no commands of HQ: all of them count, not only the first.
static void test_books_follow_every_change_of_an_installer(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    use(self, 1000);
    const mm_archive_detail_t first = {.before = {.id = "M-1", .pulse_constant = 1000, .life_pulses = 1100},
                                       .after = {.id = "M-1", .pulse_constant = 2000, .life_pulses = 1100}};
    const mm_archive_detail_t second = {.before = {.id = "M-1", .pulse_constant = 2000, .life_pulses = 1100},
                                        .after = {.id = "M-1", .pulse_constant = 500, .life_pulses = 7}};
    send_update(self, 0, &first);
    send_update(self, 0, &second);
    self->meter.life_pulses = 7;
    self->meter.pulse_constant = 500;
    use(self, 100); // 200 Wh
    vending_report(self);
    mm_books_line_t line = vending_assert_balanced(self);
    assert_int_equal(line.consumed_wh, 1200);
    assert_int_equal(line.balance_wh, 3800);
}

// FORMAT tells of each meter while it is under way: the registers behind it are taken, and the books follow.
static void test_books_follow_a_format(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    use(self, 1000);
    const mm_archive_detail_t erased = {.before = {.id = "M-1", .pulse_constant = 1000, .life_pulses = 1100},
                                        .after = {.id = "M-1", .pulse_constant = 1000, .life_pulses = 0}};
    send_change(self, 5, MM_COMMAND_FORMAT, MM_RESULT_TRYING, &erased);
    self->meter.life_pulses = 0;
    use(self, 300);
    vending_report(self);
    assert_int_equal(vending_integer(self, "SELECT quarantined FROM total"), 0);
    mm_books_line_t line = vending_assert_balanced(self);
    assert_int_equal(line.consumed_wh, 1300);
    assert_int_equal(line.balance_wh, 3700);
}

// A meter that is taken out of use keeps its balance; it comes back with another constant and another register.
static void test_books_follow_a_meter_that_was_out_of_use(void **state) {
    vending_t *self = *state;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    use(self, 1000);
    const mm_archive_detail_t out = {.before = {.id = "M-1", .pulse_constant = 1000, .life_pulses = 1100},
                                     .after = {.id = "", .pulse_constant = 0, .life_pulses = 1100}};
    send_update(self, 5, &out);
    const mm_archive_detail_t back = {.before = {.id = "", .pulse_constant = 0, .life_pulses = 1100},
                                      .after = {.id = "M-1", .pulse_constant = 500, .life_pulses = 7}};
    send_update(self, 6, &back);
    self->meter.life_pulses = 7;
    self->meter.pulse_constant = 500;
    use(self, 100); // 200 Wh
    vending_report(self);
    mm_books_line_t line = vending_assert_balanced(self);
    assert_int_equal(line.consumed_wh, 1200);
    assert_int_equal(line.balance_wh, 3800);
}

// A register may not show less than what the command has set.
static void test_books_register_behind_what_was_set(void **state) {
    vending_t *self = *state;
    const mm_archive_detail_t archive = {.before = {.id = "M-1", .pulse_constant = 1000, .life_pulses = 100},
                                         .after = {.id = "M-1", .pulse_constant = 1000, .life_pulses = 7}};
    send_update(self, 5, &archive);
    self->meter.life_pulses = 6;
    vending_report(self);
    assert_int_equal(vending_integer(self, "SELECT quarantined FROM total"), 1);
    self->meter.life_pulses = 8;
    vending_report(self);
    assert_int_equal(vending_integer(self, "SELECT quarantined FROM total"), 1);
}

// --- eras

static void begin_era(vending_t *self, uint32_t era) {
    self->meter =
        (vending_meter_t){.era = era, .pulse_constant = VENDING_CONSTANT, .life_pulses = self->meter.life_pulses};
    assert_int_equal(mm_store_begin(self->store), MM_STORE_OK);
    assert_true(mmi_hq_vending_take_era(self->store, 1, era, self->now_us));
    assert_true(mmi_hq_vending_take_era(self->store, 1, era, self->now_us));
    assert_int_equal(mm_store_commit(self->store, self->now_us), MM_STORE_OK);
}

static void test_books_era_that_is_lost(void **state) {
    vending_t *self = *state;
    begin_era(self, VENDING_ERA); // the first that HQ hears of
    mm_record_t begin = vending_move(self, MM_MOVEMENT_PREPAID, 0, 0, 0);
    vending_send(self, &begin);
    vending_report(self);
    mm_sale_t taken = vending_sell(self, "r1", 5000);
    mm_sale_t open = vending_sell(self, "r2", 3000);
    mm_sale_t voiding = vending_sell(self, "r3", 1000);
    vending_void(self, &voiding);
    vending_take(self, MM_MOVEMENT_NETWORK, &taken);
    use(self, 2000);
    vending_report(self);
    vending_assert_balanced(self);
    begin_era(self, 78);
    vending_report(self);
    vending_assert_state(self, &taken, "applied");
    vending_assert_state(self, &open, "lost");
    vending_assert_state(self, &voiding, "lost");
    // No command of a purchase that is lost may reach the new era.
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM command WHERE state < 4 AND id IN (SELECT command FROM"
                                           " purchase WHERE state = 5 UNION SELECT void_command FROM purchase)"),
                     0);
    mm_books_line_t line = vending_assert_balanced(self);
    assert_int_equal(line.lost_wh, 4000);
    assert_int_equal(line.other_wh, -3000); // of 5000, 2000 were used
    assert_int_equal(line.consumed_wh, 2000);
    assert_int_equal(vending_integer(self, "SELECT value2 FROM incident WHERE name = 'credit_era_lost'"), 3000);
    // The new era begins and is sold for.
    mm_record_t again = vending_move(self, MM_MOVEMENT_PREPAID, 0, 0, 0);
    vending_send(self, &again);
    vending_report(self);
    mm_sale_t anew = vending_sell(self, "r4", 4000);
    assert_int_equal(anew.count, 2);
    vending_take(self, MM_MOVEMENT_NETWORK, &anew);
    use(self, 50);
    vending_report(self);
    line = vending_assert_balanced(self);
    assert_int_equal(line.consumed_wh, 2050);
    assert_int_equal(line.balance_wh, 3950);
}

// The old era had taken a purchase before it ended, and its record comes late: applied after all, and lost with it.
static void test_books_record_of_a_lost_era_comes_late(void **state) {
    vending_t *self = *state;
    begin_era(self, VENDING_ERA);
    vending_report(self);
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    mm_record_t late = vending_move(self, MM_MOVEMENT_TOKEN_ADD, 0, sale.count, 5000);
    uint32_t seq = ++self->seq;
    begin_era(self, 78);
    vending_report(self);
    vending_assert_state(self, &sale, "lost");
    vending_send_at(self, seq, &late);
    vending_assert_state(self, &sale, "applied");
    mm_books_line_t line = vending_assert_balanced(self);
    assert_int_equal(line.applied_wh, 5000);
    assert_int_equal(line.lost_wh, 0);
    assert_int_equal(line.other_wh, -5000);
}

// --- days

static void test_books_of_a_day(void **state) {
    vending_t *self = *state;
    mm_hq_error_t error;
    mm_sale_t sale = vending_sell(self, "r1", 5000);
    vending_take(self, MM_MOVEMENT_NETWORK, &sale);
    self->meter.balance_wh -= 11;
    vending_report(self);
    assert_int_equal(mm_books_write_day(self->desk, self->now_us, false, &error), MM_DESK_OK);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM books_day"), 1);
    assert_int_equal(vending_integer(self, "SELECT used_difference_wh FROM books_day"), 11);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM incident WHERE name = 'books_differ'"), 1);
    self->meter.balance_wh += 11;
    vending_report(self);
    // Once a day; again only on demand.
    assert_int_equal(mm_books_write_day(self->desk, self->now_us, false, &error), MM_DESK_OK);
    assert_int_equal(vending_integer(self, "SELECT used_difference_wh FROM books_day"), 11);
    assert_int_equal(mm_books_write_day(self->desk, self->now_us, true, &error), MM_DESK_OK);
    assert_int_equal(vending_integer(self, "SELECT used_difference_wh FROM books_day"), 0);
    self->now_us += INT64_C(86400000000);
    assert_int_equal(mm_books_write_day(self->desk, self->now_us, false, &error), MM_DESK_OK);
    assert_int_equal(vending_integer(self, "SELECT count(DISTINCT day) FROM books_day"), 2);
    assert_int_equal(vending_integer(self, "SELECT count(*) FROM incident WHERE name = 'books_differ'"), 1);
}

static bool keep(void *context, const mm_ledger_line_t *line) {
    *(mm_ledger_line_t *)context = *line;
    return true;
}

// Whoever changes a sum, a state or an entry behind the ledger's back is found.
static void test_books_find_what_was_tampered_with(void **state) {
    vending_t *self = *state;
    vending_sell(self, "r1", 5000);
    vending_execute(self, "UPDATE purchase SET state = 3");
    assert_int_equal(vending_books(self).sold_difference_wh, 5000);
    vending_execute(self, "UPDATE purchase SET state = 1");
    assert_int_equal(vending_books(self).sold_difference_wh, 0);
    vending_execute(self, "UPDATE account SET debits = debits + 1 WHERE name = 'pending'");
    mm_hq_error_t error;
    mm_ledger_line_t found = {.sums_agree = true};
    assert_int_equal(mm_ledger(self->desk, keep, &found, &error), MM_DESK_OK);
    assert_false(found.sums_agree);
    assert_int_equal(found.debits, found.credits + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, vending_setup, vending_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_books_follow_the_registers),
        TEST(test_books_show_a_balance_that_is_wrong),
        TEST(test_books_wait_for_records_on_their_way),
        TEST(test_books_show_a_record_that_was_lost),
        TEST(test_books_are_settled_with_open_purchases),
        TEST(test_books_emergency_and_negative_balance),
        TEST(test_books_postpaid_and_prepaid_again),
        TEST(test_books_follow_another_pulse_constant),
        TEST(test_books_follow_a_register_that_is_set),
        TEST(test_books_register_behind_what_was_set),
        TEST(test_books_follow_every_change_of_an_installer),
        TEST(test_books_follow_a_format),
        TEST(test_books_follow_a_meter_that_was_out_of_use),
        TEST(test_books_era_that_is_lost),
        TEST(test_books_record_of_a_lost_era_comes_late),
        TEST(test_books_of_a_day),
        TEST(test_books_find_what_was_tampered_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
