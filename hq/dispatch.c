// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include "command_arguments.h"
#include "device_keys.h"
#include "joins.h"
#include "sql.h"

#include <stdlib.h>
#include <string.h>

// A node that was silent for so long while its site was heard has its commands behind the others', or a few dead nodes
// would keep the batch full.
#define SILENT_US INT64_C(3600000000)
// Looked at for one batch.
#define CANDIDATES_MAX 400
#define PREFIX_BYTES 2
#define MICROSECONDS INT64_C(1000000)

/// One command that may go into the batch.
typedef struct {
    int64_t id;
    int64_t node_id;
    mm_mac_t mac;
    uint32_t era;
    uint32_t counter; ///< 0 = none was given yet
    int64_t not_after_s;
    uint8_t kind;
    uint8_t channel;
    uint8_t body[MM_COMMAND_BODY_BYTES_MAX];
    uint8_t body_bytes;
} candidate_t;

typedef struct {
    mm_desk_t *desk;
    sqlite3 *db;
    int64_t site_id;
    int64_t now_us;
    bool anew;         ///< a new revision in any case
    uint64_t revision; ///< of the message before
    uint8_t before[MM_DOWNLINK_BYTES_MAX];
    size_t before_bytes;
    candidate_t *candidates;
    size_t candidate_count;
    // The batch, in the order in which it is written.
    mm_command_batch_t batch;
    uint8_t sealed[MM_COMMAND_BATCH_MAX][MM_COMMAND_BYTES_MAX];
} dispatch_t;

// --- what has ended, what begins anew

// HQ's own end of a command; an answer that comes later still counts.
static bool end_by_time(dispatch_t *self) {
    mmi_sql_t write = mmi_sql_begin(
        self->db, "UPDATE command SET state = 6, ended_us = ?1 WHERE node IN (SELECT id FROM node WHERE site = ?2)"
                  " AND state < 4 AND state IN (0, 1) AND not_after_s <> 0 AND not_after_s < ?3");
    mmi_sql_put_integer(&write, self->now_us);
    mmi_sql_put_integer(&write, self->site_id);
    mmi_sql_put_integer(&write, self->now_us / 1000000);
    return mmi_sql_run(&write);
}

// What was taken and has no answer goes into the batch once more, as it is.
static bool ask_again(dispatch_t *self) {
    mmi_sql_t write = mmi_sql_begin(
        self->db, "UPDATE command SET asked = asked + 1, asked_us = ?1 WHERE node IN (SELECT id FROM node WHERE site ="
                  " ?2) AND state < 4 AND state IN (2, 3) AND kind NOT IN (17, 18, 21) AND asked < ?3"
                  " AND accepted_us > 0 AND accepted_us + ?4 <= ?1 AND asked_us + ?5 <= ?1");
    mmi_sql_put_integer(&write, self->now_us);
    mmi_sql_put_integer(&write, self->site_id);
    mmi_sql_put_integer(&write, MM_COMMAND_ASKS_MAX);
    mmi_sql_put_integer(&write, MM_COMMAND_ASK_AFTER_S * MICROSECONDS);
    mmi_sql_put_integer(&write, MM_COMMAND_ASK_EVERY_S * MICROSECONDS);
    return mmi_sql_run(&write);
}

typedef enum {
    FATE_WAIT,
    FATE_REQUEUE,
    FATE_LOST, ///< nobody can know any more whether it was executed
} fate_t;

/// A command that was sent and has no answer, against what its node has said.
typedef struct {
    int64_t id;
    int64_t state;
    uint8_t kind;
    int64_t era;
    int64_t counter;
    int64_t node_era;
    int64_t node_counter;
    bool complete; ///< everything that the node had when it said so has arrived, or will never
    bool has_gap;  ///< records are missing among which the answer may be
    // wait: the answer to a command that its node has taken | until MM_COMMAND_ASKS_MAX asks, MM_COMMAND_ASK_EVERY_S
    // apart, the first one MM_COMMAND_ASK_AFTER_S behind its acceptance | then its outcome is unknown
    int64_t overdue_at_us;
} unanswered_t;

static bool has_purchase(uint8_t kind) {
    return kind == MM_COMMAND_CREDIT || kind == MM_COMMAND_VOID || kind == MM_COMMAND_ADJUST;
}

// A purchase is not asked about: it is safe by its count.
static int64_t overdue_at_us(uint8_t kind, int64_t accepted_us, int64_t asked, int64_t asked_us) {
    const int64_t every_us = MM_COMMAND_ASK_EVERY_S * MICROSECONDS;
    if (has_purchase(kind)) {
        return accepted_us > 0 ? accepted_us + MM_COMMAND_ASK_AFTER_S * MICROSECONDS + MM_COMMAND_ASKS_MAX * every_us
                               : INT64_MAX;
    }
    return asked >= MM_COMMAND_ASKS_MAX ? asked_us + every_us : INT64_MAX;
}

static fate_t fate_of(const unanswered_t *command, int64_t now_us) {
    bool overdue = now_us >= command->overdue_at_us;
    if (command->state == MM_COMMAND_STATE_TRYING && overdue) {
        return FATE_LOST; // heard or not: it may have gone to another network or broker
    }
    if (!command->complete) {
        return FATE_WAIT;
    }
    if (command->node_era != command->era) {
        // A token series belongs to its era, so a purchase of the old one can never be taken; what had been taken was
        // executed, and its answer is lost.
        return has_purchase(command->kind) || command->state != MM_COMMAND_STATE_SENT ? FATE_LOST : FATE_REQUEUE;
    }
    if (command->state == MM_COMMAND_STATE_ACCEPTED && overdue) {
        return has_purchase(command->kind) ? FATE_REQUEUE : FATE_LOST;
    }
    if (command->state == MM_COMMAND_STATE_TRYING || command->node_counter <= command->counter) {
        return FATE_WAIT; // its answer is on the way
    }
    // Passed over, for its answer would be here; unless the answer is among what was lost. A purchase is safe by its
    // count.
    return command->has_gap && !has_purchase(command->kind) ? FATE_LOST : FATE_REQUEUE;
}

static bool apply_fate(dispatch_t *self, const unanswered_t *command, fate_t fate) {
    mmi_sql_t write;
    if (fate == FATE_REQUEUE) {
        write =
            mmi_sql_begin(self->db, "UPDATE command SET state = 0, counter = 0, era = 0, accepted_us = 0, asked = 0,"
                                    " asked_us = 0 WHERE id = ?");
    } else {
        write = mmi_sql_begin(self->db, "UPDATE command SET state = 6, ended_us = ?2 WHERE id = ?1");
    }
    mmi_sql_put_integer(&write, command->id);
    if (fate == FATE_LOST) {
        mmi_sql_put_integer(&write, self->now_us);
    }
    return mmi_sql_run(&write);
}

// reason 1: intervals that were thinned, never answers.
#define UNANSWERED_SQL                                                                                                 \
    "SELECT command.id, command.state, command.kind, command.era, command.counter, control.era, control.counter,"      \
    " node.epoch > control.journal_epoch OR (node.epoch = control.journal_epoch"                                       \
    "  AND node.watermark_seq + 1 >= control.journal_next_seq),"                                                       \
    " EXISTS (SELECT 1 FROM gap WHERE gap.node = command.node AND gap.reason <> 1"                                     \
    "  AND (gap.epoch > command.sent_epoch OR (gap.epoch = command.sent_epoch AND gap.last_seq > command.sent_seq))"   \
    "  AND (gap.epoch < control.journal_epoch OR gap.first_seq < control.journal_next_seq))"                           \
    "  OR control.journal_epoch <> command.sent_epoch, command.accepted_us, command.asked, command.asked_us"           \
    " FROM command JOIN node ON node.id = command.node JOIN control ON control.node = command.node"                    \
    " WHERE command.node IN (SELECT id FROM node WHERE site = ?) AND command.state < 4"                                \
    " AND command.state IN (1, 2, 3)"

static bool requeue(dispatch_t *self) {
    mmi_sql_t query = mmi_sql_begin(self->db, UNANSWERED_SQL);
    mmi_sql_put_integer(&query, self->site_id);
    bool good = true;
    while (good && mmi_sql_row(&query)) {
        const unanswered_t command = {.id = mmi_sql_integer(&query, 0),
                                      .state = mmi_sql_integer(&query, 1),
                                      .kind = (uint8_t)mmi_sql_integer(&query, 2),
                                      .era = mmi_sql_integer(&query, 3),
                                      .counter = mmi_sql_integer(&query, 4),
                                      .node_era = mmi_sql_integer(&query, 5),
                                      .node_counter = mmi_sql_integer(&query, 6),
                                      .complete = mmi_sql_integer(&query, 7) != 0,
                                      .has_gap = mmi_sql_integer(&query, 8) != 0,
                                      .overdue_at_us =
                                          overdue_at_us((uint8_t)mmi_sql_integer(&query, 2), mmi_sql_integer(&query, 9),
                                                        mmi_sql_integer(&query, 10), mmi_sql_integer(&query, 11))};
        fate_t fate = fate_of(&command, self->now_us);
        good = fate == FATE_WAIT || apply_fate(self, &command, fate);
    }
    return mmi_sql_end(&query) && good;
}

// Passwords of what has just ended.
static bool forget(dispatch_t *self) {
    mmi_sql_t query = mmi_sql_begin(
        self->db, "SELECT DISTINCT order_id FROM command WHERE ended_us = ? AND state = 6 AND order_id <> 0"
                  " AND kind IN (6, 7) AND body <> x'' AND node IN (SELECT id FROM node WHERE site = ?)");
    mmi_sql_put_integer(&query, self->now_us);
    mmi_sql_put_integer(&query, self->site_id);
    bool good = true;
    while (good && mmi_sql_row(&query)) {
        good = mmi_hq_forget_secrets(self->db, mmi_sql_integer(&query, 0));
    }
    return mmi_sql_end(&query) && good;
}

// --- which ones go

static void load_candidate(candidate_t *item, const mmi_sql_t *query) {
    size_t body_bytes;
    const void *body = mmi_sql_bytes(query, 8, &body_bytes);
    *item = (candidate_t){.id = mmi_sql_integer(query, 0),
                          .node_id = mmi_sql_integer(query, 1),
                          .mac = mmi_sql_mac(query, 2),
                          .era = (uint32_t)mmi_sql_integer(query, 3),
                          .counter = (uint32_t)mmi_sql_integer(query, 4),
                          .not_after_s = mmi_sql_integer(query, 5),
                          .kind = (uint8_t)mmi_sql_integer(query, 6),
                          .channel = (uint8_t)mmi_sql_integer(query, 7)};
    if (body != NULL && body_bytes <= sizeof item->body) {
        item->body_bytes = (uint8_t)body_bytes;
        memcpy(item->body, body, body_bytes);
    }
}

// Not credit whose meter is not on its channel any more (swaps.h).
#define NOT_HELD                                                                                                       \
    " AND NOT (command.kind = 17 AND EXISTS (SELECT 1 FROM meter_swap AS swap WHERE swap.node = node.id"               \
    " AND swap.channel = command.channel AND swap.state = 'open'))"

// In the order in which they go: nodes that are heard first, then priority, then age. What a node has taken needs no
// place in the batch; it stays only while the batch would otherwise be blank, for the blank says that all have ended.
static bool load_candidates(dispatch_t *self, bool taken) {
    mmi_sql_t query = mmi_sql_begin(
        self->db,
        taken ? "SELECT command.id, node.id, node.mac, command.era, command.counter, not_after_s, kind, channel,"
                " body FROM command JOIN node ON node.id = command.node"
                " WHERE node.site = ?1 AND command.state < 4 AND command.state IN (1, 2, 3)" NOT_HELD
                " ORDER BY command.id LIMIT ?2"
              : "SELECT command.id, node.id, node.mac, control.era, command.counter, not_after_s, kind, channel,"
                " body FROM command JOIN node ON node.id = command.node"
                " JOIN control ON control.node = node.id JOIN device_key ON device_key.mac = node.mac"
                " WHERE node.site = ?1 AND command.state < 4" NOT_HELD " AND (command.state = 0"
                " OR (command.state = 1 AND command.era = control.era AND command.counter > control.counter)"
                " OR (command.state IN (2, 3) AND command.asked > 0 AND command.era = control.era))"
                " ORDER BY node.last_seen_us + ?3 < (SELECT max(last_seen_us) FROM node WHERE site = ?1),"
                " command.priority DESC, command.id LIMIT ?2");
    mmi_sql_put_integer(&query, self->site_id);
    mmi_sql_put_integer(&query, CANDIDATES_MAX);
    if (!taken) {
        mmi_sql_put_integer(&query, SILENT_US);
    }
    self->candidate_count = 0;
    while (self->candidate_count < CANDIDATES_MAX && mmi_sql_row(&query)) {
        load_candidate(&self->candidates[self->candidate_count++], &query);
    }
    return mmi_sql_end(&query);
}

// The first ones that fit. Returns how many.
static size_t choose(dispatch_t *self) {
    const mm_command_batch_t empty = {0};
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
    size_t total = mm_command_batch_write(bytes, sizeof bytes, &empty);
    size_t chosen = 0;
    for (size_t index = 0; index < self->candidate_count && chosen < MM_COMMAND_BATCH_MAX; index++) {
        size_t more =
            PREFIX_BYTES + MM_COMMAND_HEADER_BYTES + self->candidates[index].body_bytes + MM_COMMAND_TAG_BYTES;
        if (total + more > MM_DOWNLINK_BYTES_MAX) {
            break; // a smaller one behind it must not overtake it for ever
        }
        total += more;
        if (chosen != index) {
            self->candidates[chosen] = self->candidates[index];
        }
        chosen++;
    }
    return chosen;
}

// A command that gets its first counter in this era.
static bool give_counter(dispatch_t *self, candidate_t *item) {
    mmi_sql_t take =
        mmi_sql_begin(self->db, "UPDATE control SET given = given + 1 WHERE node = ? AND given < 4294967295"
                                " RETURNING given");
    int64_t counter;
    mmi_sql_put_integer(&take, item->node_id);
    if (!mmi_sql_value(&take, 0, &counter)) {
        return false;
    }
    if (counter == 0) {
        return true; // there is none left; the node's next era brings new ones
    }
    mmi_sql_t write =
        mmi_sql_begin(self->db, "UPDATE command SET state = 1, era = ?2, counter = ?3, sent_us = ?4,"
                                " sent_epoch = (SELECT epoch FROM node WHERE id = ?5),"
                                " sent_seq = (SELECT watermark_seq FROM node WHERE id = ?5) WHERE id = ?1");
    mmi_sql_put_integer(&write, item->id);
    mmi_sql_put_integer(&write, item->era);
    mmi_sql_put_integer(&write, counter);
    mmi_sql_put_integer(&write, self->now_us);
    mmi_sql_put_integer(&write, item->node_id);
    item->counter = (uint32_t)counter;
    return mmi_sql_run(&write);
}

static int by_node_and_counter(const void *left_item, const void *right_item) {
    const candidate_t *left = left_item;
    const candidate_t *right = right_item;
    if (left->node_id != right->node_id) {
        return left->node_id < right->node_id ? -1 : 1;
    }
    return left->counter < right->counter ? -1 : left->counter > right->counter ? 1 : 0;
}

// False: failure. A command whose key has vanished is left out.
static bool seal(dispatch_t *self, const candidate_t *item) {
    mm_device_crypto_t crypto;
    mm_desk_result_t result = mm_device_keys_get(self->db, item->mac, &crypto);
    if (result != MM_DESK_OK) {
        return result == MM_DESK_NOT_FOUND;
    }
    const mm_command_t command = {.node = item->mac,
                                  .era = item->era,
                                  .counter = item->counter,
                                  .id = (uint64_t)item->id,
                                  .not_after_s = (uint64_t)item->not_after_s,
                                  .kind = item->kind,
                                  .channel = item->channel,
                                  .body_bytes = item->body_bytes,
                                  .body = item->body};
    uint8_t *bytes = self->sealed[self->batch.count];
    size_t bytes_count = mm_command_seal(bytes, MM_COMMAND_BYTES_MAX, &command, &crypto.crypto);
    mm_device_crypto_wipe(&crypto);
    if (bytes_count > 0) {
        self->batch.commands[self->batch.count].bytes = bytes;
        self->batch.commands[self->batch.count].bytes_count = (uint16_t)bytes_count;
        self->batch.commands[self->batch.count].node = item->mac;
        self->batch.count++;
    }
    return true;
}

static bool fill_batch(dispatch_t *self) {
    bool good = load_candidates(self, false);
    size_t chosen = good ? choose(self) : 0;
    for (size_t index = 0; index < chosen && good; index++) {
        good = self->candidates[index].counter != 0 || give_counter(self, &self->candidates[index]);
    }
    if (good && chosen == 0) {
        good = load_candidates(self, true);
        chosen = good ? choose(self) : 0;
    }
    qsort(self->candidates, chosen, sizeof(candidate_t), by_node_and_counter);
    for (size_t index = 0; index < chosen && good; index++) {
        good = self->candidates[index].counter == 0 || seal(self, &self->candidates[index]);
    }
    return good;
}

// --- the message

static bool load_site(dispatch_t *self, const char *site) {
    mmi_sql_t query = mmi_sql_begin(self->db, "SELECT site.id, ifnull(revision, 0), message FROM site LEFT JOIN"
                                              " gateway_batch ON gateway_batch.site = site.id WHERE name = ?");
    mmi_sql_put_text(&query, site);
    if (mmi_sql_row(&query)) {
        size_t bytes_count;
        self->site_id = mmi_sql_integer(&query, 0);
        self->revision = (uint64_t)mmi_sql_integer(&query, 1);
        const void *bytes = mmi_sql_bytes(&query, 2, &bytes_count);
        if (bytes != NULL && bytes_count <= sizeof self->before) {
            memcpy(self->before, bytes, bytes_count);
            self->before_bytes = bytes_count;
        }
    }
    return mmi_sql_end(&query);
}

// The same commands as in the message before: revision and time are no news.
static bool is_same(const dispatch_t *self) {
    mm_command_batch_t before = {0};
    if (self->before_bytes > 0 && mm_command_batch_read(self->before, self->before_bytes, &before) != MM_OK) {
        return false;
    }
    bool same = before.count == self->batch.count;
    for (size_t index = 0; same && index < before.count; index++) {
        same = before.commands[index].bytes_count == self->batch.commands[index].bytes_count &&
               memcmp(before.commands[index].bytes, self->batch.commands[index].bytes,
                      before.commands[index].bytes_count) == 0;
    }
    return same;
}

static bool store_message(dispatch_t *self, uint8_t *bytes, size_t *bytes_count) {
    int64_t database_id;
    mmi_sql_t identity = mmi_sql_begin(self->db, "SELECT database_id FROM total");
    if (!mmi_sql_value(&identity, 0, &database_id)) {
        return false;
    }
    // From the clock, so that it grows even if the database is an older copy than the last time.
    uint64_t revision = self->revision + 1 > (uint64_t)self->now_us ? self->revision + 1 : (uint64_t)self->now_us;
    self->batch.database_id = (uint64_t)database_id;
    self->batch.revision = revision;
    self->batch.time = (mm_time_t){.utc = {self->now_us}, .trust = MM_TRUST_SYNCED};
    *bytes_count = self->batch.count > 0 ? mm_command_batch_write(bytes, MM_DOWNLINK_BYTES_MAX, &self->batch) : 0;
    MM_ASSERT(*bytes_count > 0 || self->batch.count == 0);
    mmi_sql_t write = mmi_sql_begin(self->db, "INSERT OR REPLACE INTO gateway_batch (site, revision, message)"
                                              " VALUES (?, ?, ?)");
    mmi_sql_put_integer(&write, self->site_id);
    mmi_sql_put_integer(&write, (int64_t)revision);
    mmi_sql_put_blob(&write, bytes, *bytes_count);
    return mmi_sql_run(&write);
}

static bool make_message(dispatch_t *self, uint8_t *bytes, size_t *bytes_count, bool *changed) {
    if (!end_by_time(self) || !requeue(self) || !ask_again(self) || !forget(self) ||
        !mmi_hq_joins_renew(self->db, self->site_id, self->now_us) || !fill_batch(self)) {
        return false;
    }
    // A site that never had a command needs no message.
    *changed = !is_same(self) || (self->anew && self->batch.count > 0);
    if (*changed) {
        return store_message(self, bytes, bytes_count);
    }
    memcpy(bytes, self->before, self->before_bytes);
    *bytes_count = self->before_bytes;
    return true;
}

static mm_desk_result_t dispatch_site(mm_desk_t *desk, const char *site, bool anew, int64_t now_us, uint8_t *bytes,
                                      size_t *bytes_count, bool *changed, mm_hq_error_t *error) {
    *bytes_count = 0;
    *changed = false;
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result != MM_DESK_OK) {
        return result;
    }
    dispatch_t *self = calloc(1, sizeof *self);
    candidate_t *candidates = calloc(CANDIDATES_MAX, sizeof *candidates);
    if (self == NULL || candidates == NULL) {
        mm_hq_error_set(error, "out of memory");
        result = mmi_desk_rollback(desk, MM_DESK_UNAVAILABLE);
    } else {
        *self = (dispatch_t){
            .desk = desk, .db = mmi_desk_db(desk), .now_us = now_us, .anew = anew, .candidates = candidates};
        bool good = load_site(self, site);
        if (good && self->site_id == 0) {
            mm_hq_error_set(error, "site %s: HQ has not heard of it", site);
            result = mmi_desk_rollback(desk, MM_DESK_NOT_FOUND);
        } else if (good && make_message(self, bytes, bytes_count, changed)) {
            result = mmi_desk_commit(desk, error);
        } else {
            result = mmi_desk_fail(desk, error);
        }
        // There are bodies in it.
        explicit_bzero(candidates, CANDIDATES_MAX * sizeof *candidates);
    }
    if (result != MM_DESK_OK) {
        *bytes_count = 0;
        *changed = false;
    }
    free(candidates);
    free(self);
    return result;
}

mm_desk_result_t mm_dispatch_site(mm_desk_t *desk, const char *site, int64_t now_us, uint8_t *bytes,
                                  size_t *bytes_count, bool *changed, mm_hq_error_t *error) {
    return dispatch_site(desk, site, false, now_us, bytes, bytes_count, changed, error);
}

mm_desk_result_t mm_dispatch_site_anew(mm_desk_t *desk, const char *site, int64_t now_us, uint8_t *bytes,
                                       size_t *bytes_count, bool *changed, mm_hq_error_t *error) {
    return dispatch_site(desk, site, true, now_us, bytes, bytes_count, changed, error);
}

// --- sites

mm_desk_result_t mm_dispatch_sites(mm_desk_t *desk, bool (*visit)(void *context, const char *site), void *context,
                                   mm_hq_error_t *error) {
    // Named by what they have, not by all that there are: the index of open commands is short.
    mmi_sql_t query =
        mmi_sql_begin(mmi_desk_db(desk), "SELECT DISTINCT site.name FROM command JOIN node ON node.id = command.node"
                                         " JOIN site ON site.id = node.site WHERE command.state < 4"
                                         " UNION SELECT site.name FROM gateway_batch JOIN site ON site.id ="
                                         " gateway_batch.site WHERE message <> x'' ORDER BY 1");
    while (mmi_sql_row(&query) && visit(context, mmi_sql_text(&query, 0))) {
    }
    return mmi_sql_end(&query) ? MM_DESK_OK : mmi_desk_fail(desk, error);
}

mm_desk_result_t mm_dispatch_messages(mm_desk_t *desk,
                                      bool (*visit)(void *context, const char *site, const void *bytes,
                                                    size_t bytes_count),
                                      void *context, mm_hq_error_t *error) {
    mmi_sql_t query = mmi_sql_begin(mmi_desk_db(desk), "SELECT site.name, message FROM gateway_batch JOIN site"
                                                       " ON site.id = gateway_batch.site ORDER BY 1");
    bool more = true;
    while (more && mmi_sql_row(&query)) {
        size_t bytes_count;
        const void *bytes = mmi_sql_bytes(&query, 1, &bytes_count);
        more = visit(context, mmi_sql_text(&query, 0), bytes, bytes_count);
    }
    return mmi_sql_end(&query) ? MM_DESK_OK : mmi_desk_fail(desk, error);
}
