// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include "command_arguments.h"
#include "sql.h"
#include "store_internal.h"

#include "meshmeter/control.h"

/// What a record says of a command.
typedef struct {
    uint32_t era;
    uint32_t counter;
    int64_t command_id;
    uint8_t channel;
    bool is_credit; ///< of a kind that moves credit
    uint8_t kind;   ///< if not is_credit
    uint8_t status;
    const uint8_t *detail;
    size_t detail_bytes;
} answer_t;

static bool check(mm_store_t *store, bool good) {
    if (!good) {
        mmi_hq_fail(store, sqlite3_extended_errcode(store->db), sqlite3_errmsg(store->db));
    }
    return good;
}

static int state_of(uint8_t status) {
    switch (status) {
    case MM_RESULT_DONE:
    case MM_RESULT_ALREADY:
        return MM_COMMAND_STATE_DONE;
    case MM_RESULT_EXPIRED:
        return MM_COMMAND_STATE_EXPIRED;
    case MM_RESULT_TRYING:
        return MM_COMMAND_STATE_TRYING;
    case MM_RESULT_FAILED:
        return MM_COMMAND_STATE_FAILED;
    default:
        return MM_COMMAND_STATE_REFUSED;
    }
}

bool mmi_hq_forget_secrets(sqlite3 *db, int64_t order_id) {
    mmi_sql_t commands = mmi_sql_begin(db, "UPDATE command SET body = x'' WHERE order_id = ? AND state >= 4"
                                           " AND kind IN (6, 7)");
    mmi_sql_put_integer(&commands, order_id);
    if (!mmi_sql_run(&commands)) {
        return false;
    }
    mmi_sql_t order = mmi_sql_begin(db, "UPDATE command_order SET body = x'' WHERE id = ?1 AND kind IN (6, 7)"
                                        " AND NOT EXISTS (SELECT 1 FROM command WHERE order_id = ?1 AND state < 4)");
    mmi_sql_put_integer(&order, order_id);
    return mmi_sql_run(&order);
}

// An answer to a command that this database does not know (it was restored from a copy). Its counter is taken: none
// below may be given any more, and what HQ itself had sent under it was never executed.
static bool take_stranger(mm_store_t *store, int64_t node_id, const answer_t *answer) {
    mmi_sql_t given = mmi_sql_begin(store->db, "UPDATE control SET given = max(given, ?) WHERE node = ? AND era = ?");
    mmi_sql_put_integer(&given, answer->counter);
    mmi_sql_put_integer(&given, node_id);
    mmi_sql_put_integer(&given, answer->era);
    if (!mmi_sql_run(&given)) {
        return false;
    }
    mmi_sql_t requeue =
        mmi_sql_begin(store->db, "UPDATE command SET state = 0, counter = 0 WHERE node = ? AND state < 4"
                                 " AND state IN (1, 2) AND era = ? AND counter = ?");
    mmi_sql_put_integer(&requeue, node_id);
    mmi_sql_put_integer(&requeue, answer->era);
    mmi_sql_put_integer(&requeue, answer->counter);
    return mmi_sql_run(&requeue);
}

static bool store_answer(mm_store_t *store, const answer_t *answer, int state, int64_t received_us) {
    mmi_sql_t write = mmi_sql_begin(
        store->db, "UPDATE command SET state = ?, status = ?, detail = ?, ended_us = ?, accepted_us = CASE WHEN"
                   " accepted_us = 0 THEN ? ELSE accepted_us END WHERE id = ?");
    mmi_sql_put_integer(&write, state);
    mmi_sql_put_integer(&write, answer->status);
    mmi_sql_put_blob(&write, answer->detail, answer->detail_bytes);
    mmi_sql_put_integer(&write, state == MM_COMMAND_STATE_TRYING ? 0 : received_us);
    mmi_sql_put_integer(&write, received_us);
    mmi_sql_put_integer(&write, answer->command_id);
    return mmi_sql_run(&write);
}

static bool kind_fits(const answer_t *answer, int64_t kind) {
    bool moves_credit =
        kind == MM_COMMAND_CREDIT || kind == MM_COMMAND_VOID || kind == MM_COMMAND_ADJUST || kind == MM_COMMAND_MODE;
    return answer->is_credit ? moves_credit : kind == answer->kind;
}

static bool take_answer(mm_store_t *store, int64_t node_id, const answer_t *answer, int64_t received_us) {
    mmi_sql_t find = mmi_sql_begin(
        store->db, "SELECT kind, channel, state, status, order_id FROM command WHERE id = ? AND node = ?");
    mmi_sql_put_integer(&find, answer->command_id);
    mmi_sql_put_integer(&find, node_id);
    bool known = false;
    bool answered = false;
    int64_t known_state = 0;
    int64_t known_status = -1;
    int64_t kind = 0;
    int64_t order_id = 0;
    if (mmi_sql_row(&find)) {
        kind = mmi_sql_integer(&find, 0);
        known = kind_fits(answer, kind) && mmi_sql_integer(&find, 1) == answer->channel;
        known_state = mmi_sql_integer(&find, 2);
        // What HQ has ended by itself an answer still overrides.
        known_status = mmi_sql_integer(&find, 3);
        answered = known_state >= MM_COMMAND_STATE_DONE && known_status >= 0 && known_status != MM_RESULT_TRYING;
        order_id = mmi_sql_integer(&find, 4);
    }
    if (!mmi_sql_end(&find)) {
        return false;
    }
    // A meter's step of FORMAT: the answer to all of it comes.
    if (kind == MM_COMMAND_FORMAT && kind == answer->kind && answer->channel < MM_CHANNELS) {
        return true;
    }
    if (!known) {
        return take_stranger(store, node_id, answer);
    }
    int state = state_of(answer->status);
    // The first answer to a trial that a full journal has carried over does not begin it anew.
    if (answered || state == known_state || answer->status == known_status) {
        return true;
    }
    return store_answer(store, answer, state, received_us) &&
           (!mm_command_kind_has_secret((uint8_t)kind) || mmi_hq_forget_secrets(store->db, order_id));
}

bool mmi_hq_commands_take_record(mm_store_t *store, int64_t node_id, mm_position_t position, const mm_record_t *record,
                                 int64_t received_us) {
    (void)position;
    answer_t answer;
    if (mmi_hq_failed(store)) {
        return false;
    }
    if (record->type == MM_RECORD_RESULT) {
        const mm_result_record_t *result = &record->result;
        answer = (answer_t){.era = result->era,
                            .counter = result->counter,
                            .command_id = (int64_t)result->command_id,
                            .channel = result->channel,
                            .kind = result->kind,
                            .status = result->status,
                            .detail = result->detail,
                            .detail_bytes = result->detail_bytes};
    } else if (record->type == MM_RECORD_CREDIT) {
        const mm_credit_record_t *credit = &record->credit;
        answer = (answer_t){.era = credit->era,
                            .counter = credit->counter,
                            .command_id = (int64_t)credit->command_id,
                            .channel = credit->channel,
                            .is_credit = true,
                            .status = MM_RESULT_DONE};
    } else {
        return true;
    }
    // A token that was typed answers nobody.
    return answer.command_id == 0 || check(store, take_answer(store, node_id, &answer, received_us));
}

// --- control

static bool put_credit(mm_store_t *store, int64_t node_id, const mm_control_report_t *control, int channel,
                       int64_t received_us) {
    sqlite3_stmt *put = mmi_hq_statement(store, MMI_HQ_CREDIT_PUT);
    if (put == NULL) {
        return false;
    }
    sqlite3_bind_int64(put, 1, node_id);
    sqlite3_bind_int64(put, 2, channel);
    sqlite3_bind_int64(put, 3, control->meters[channel].prepaid);
    sqlite3_bind_int64(put, 4, control->meters[channel].relay_reasons);
    sqlite3_bind_int64(put, 5, control->meters[channel].relay_closed);
    sqlite3_bind_int64(put, 6, control->meters[channel].low);
    sqlite3_bind_int64(put, 7, control->meters[channel].emergency_taken);
    sqlite3_bind_int64(put, 8, control->meters[channel].balance_wh);
    sqlite3_bind_int64(put, 9, control->meters[channel].applied_wh);
    sqlite3_bind_int64(put, 10, control->meters[channel].token_count);
    sqlite3_bind_int64(put, 11, received_us);
    return mmi_hq_run(store, put);
}

// A prepaid meter is written with every report, so that its balance says of when it is.
static bool must_put(const mm_control_report_t *control, const mm_control_report_t *before, int channel) {
    return before == NULL || control->meters[channel].prepaid || before->meters[channel].prepaid ||
           control->meters[channel].relay_reasons != before->meters[channel].relay_reasons ||
           control->meters[channel].relay_closed != before->meters[channel].relay_closed ||
           control->meters[channel].low != before->meters[channel].low ||
           control->meters[channel].emergency_taken != before->meters[channel].emergency_taken;
}

static bool put_control(mm_store_t *store, int64_t node_id, const mm_control_report_t *control,
                        mm_position_t journal_next, int64_t received_us) {
    sqlite3_stmt *put = mmi_hq_statement(store, MMI_HQ_CONTROL_PUT);
    if (put == NULL) {
        return false;
    }
    sqlite3_bind_int64(put, 1, node_id);
    sqlite3_bind_int64(put, 2, control->era);
    sqlite3_bind_int64(put, 3, control->counter);
    sqlite3_bind_int64(put, 4, control->slot);
    sqlite3_bind_int64(put, 5, control->slot_count);
    sqlite3_bind_int64(put, 6, control->signed_only);
    sqlite3_bind_int64(put, 7, journal_next.epoch);
    sqlite3_bind_int64(put, 8, journal_next.seq);
    sqlite3_bind_int64(put, 9, received_us);
    return mmi_hq_run(store, put);
}

static bool note_accepted(mm_store_t *store, int64_t node_id, const mm_control_report_t *control, int64_t received_us) {
    sqlite3_stmt *write = mmi_hq_statement(store, MMI_HQ_COMMAND_ACCEPT);
    if (write == NULL) {
        return false;
    }
    sqlite3_bind_int64(write, 1, node_id);
    sqlite3_bind_int64(write, 2, control->era);
    sqlite3_bind_int64(write, 3, control->counter);
    sqlite3_bind_int64(write, 4, received_us);
    return mmi_hq_run(store, write);
}

bool mmi_hq_commands_take_control(mm_store_t *store, int64_t node_id, const mm_control_report_t *control,
                                  const mm_control_report_t *before, mm_position_t journal_next, int64_t received_us) {
    bool good = !mmi_hq_failed(store);
    for (int channel = 0; channel < MM_CHANNELS && good; channel++) {
        good = !must_put(control, before, channel) || put_credit(store, node_id, control, channel, received_us);
    }
    // A node without a state takes nothing; what is known of its era stays.
    if (!good || control->era == 0) {
        return good;
    }
    bool is_news = before == NULL || before->era != control->era || before->counter != control->counter;
    return put_control(store, node_id, control, journal_next, received_us) &&
           (!is_news || note_accepted(store, node_id, control, received_us));
}
