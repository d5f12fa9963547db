// SPDX-License-Identifier: Apache-2.0
#include "joins.h"

#include "commands.h"
#include "device_keys.h"
#include "operators.h"
#include "sql.h"
#include "store_internal.h"
#include "store_query.h"

#include "meshmeter/command_body.h"
#include "meshmeter/control.h"
#include "meshmeter/join.h"

#include <stdio.h>
#include <string.h>

// --- the states

#define NOTHING MM_JOINS_STATE_COUNT

static const mm_joins_state_t s_next[MM_JOINS_STATE_COUNT][MM_JOINS_EVENT_COUNT] = {
    //                         PROVED            ADMIT             DONE               REFUSE            OVERTAKEN
    [MM_JOINS_UNPROVED] = {MM_JOINS_WAITING, NOTHING, NOTHING, NOTHING, NOTHING},
    [MM_JOINS_WAITING] = {NOTHING, MM_JOINS_WAITING, MM_JOINS_ADMITTED, MM_JOINS_REFUSED, MM_JOINS_SUPERSEDED},
    [MM_JOINS_ADMITTED] = {NOTHING, NOTHING, NOTHING, NOTHING, NOTHING},
    [MM_JOINS_REFUSED] = {NOTHING, MM_JOINS_WAITING, NOTHING, NOTHING, NOTHING},
    [MM_JOINS_SUPERSEDED] = {NOTHING, NOTHING, NOTHING, NOTHING, NOTHING},
};

static const char *const s_names[MM_JOINS_STATE_COUNT] = {
    [MM_JOINS_UNPROVED] = "unproved", [MM_JOINS_WAITING] = "waiting",       [MM_JOINS_ADMITTED] = "admitted",
    [MM_JOINS_REFUSED] = "refused",   [MM_JOINS_SUPERSEDED] = "superseded",
};

bool mm_joins_next(mm_joins_state_t state, mm_joins_event_t event, mm_joins_state_t *next) {
    MM_ASSERT(state < MM_JOINS_STATE_COUNT && event < MM_JOINS_EVENT_COUNT);
    bool moves = s_next[state][event] != NOTHING;
    *next = moves ? s_next[state][event] : state;
    return moves;
}

const char *mm_joins_state_name(mm_joins_state_t state) {
    MM_ASSERT(state < MM_JOINS_STATE_COUNT);
    return s_names[state];
}

mm_joins_state_t mm_joins_state_of(const char *name) {
    int state = 0;
    while (state < MM_JOINS_STATE_COUNT && strcmp(s_names[state], name) != 0) {
        state++;
    }
    return (mm_joins_state_t)state;
}

// --- one ask

static void read_bytes(const mmi_sql_t *query, int column, void *bytes, size_t bytes_count) {
    const void *found = mmi_sql_blob(query, column, bytes_count);
    if (found != NULL) {
        memcpy(bytes, found, bytes_count);
    }
}

bool mmi_hq_joins_load(sqlite3 *db, int64_t id, mmi_joins_ask_t *ask) {
    mmi_sql_t query = mmi_sql_begin(
        db, "SELECT join_ask.site, join_ask.node, node.mac, asker, nonce, revision, tag, join_ask.state,"
            " join_ask.command, ifnull(command.state, -1), decided_by, request, reason, join_ask.id ="
            " (SELECT max(id) FROM join_ask AS other WHERE other.asker = join_ask.asker AND other.site ="
            " join_ask.site AND other.state NOT IN ('unproved', 'superseded'))"
            " FROM join_ask JOIN node ON node.id = join_ask.node LEFT JOIN command ON command.id = join_ask.command"
            " WHERE join_ask.id = ?");
    mmi_sql_put_integer(&query, id);
    *ask = (mmi_joins_ask_t){.id = 0};
    if (mmi_sql_row(&query)) {
        ask->id = id;
        ask->site_id = mmi_sql_integer(&query, 0);
        ask->node_id = mmi_sql_integer(&query, 1);
        ask->root = mmi_sql_mac(&query, 2);
        ask->record.asker = mmi_sql_mac(&query, 3);
        read_bytes(&query, 4, ask->record.nonce, sizeof ask->record.nonce);
        ask->record.revision = (uint32_t)mmi_sql_integer(&query, 5);
        read_bytes(&query, 6, ask->record.tag, sizeof ask->record.tag);
        ask->state = mm_joins_state_of(mmi_sql_text(&query, 7));
        ask->command = mmi_sql_integer(&query, 8);
        ask->command_state = mmi_sql_integer(&query, 9);
        snprintf(ask->decided_by, sizeof ask->decided_by, "%s", mmi_sql_text(&query, 10));
        snprintf(ask->used_request, sizeof ask->used_request, "%s", mmi_sql_text(&query, 11));
        snprintf(ask->reason, sizeof ask->reason, "%s", mmi_sql_text(&query, 12));
        ask->is_newest = mmi_sql_integer(&query, 13) != 0;
    }
    return mmi_sql_end(&query);
}

static bool write_state(sqlite3 *db, int64_t id, mm_joins_state_t state) {
    mmi_sql_t write = mmi_sql_begin(db, "UPDATE join_ask SET state = ? WHERE id = ?");
    mmi_sql_put_text(&write, s_names[state]);
    mmi_sql_put_integer(&write, id);
    return mmi_sql_run(&write);
}

static bool is_proved(sqlite3 *db, const mm_join_record_t *record, bool *proved) {
    mm_device_crypto_t crypto;
    mm_desk_result_t result = mm_device_keys_get(db, record->asker, &crypto);
    *proved = result == MM_DESK_OK && mm_join_is_proved(record, &crypto.crypto);
    if (result == MM_DESK_OK) {
        mm_device_crypto_wipe(&crypto);
    }
    return result != MM_DESK_UNAVAILABLE;
}

// --- the admission

static mmi_joins_order_t make_body(sqlite3 *db, const mmi_joins_ask_t *ask, uint8_t *bytes, size_t *bytes_count) {
    mm_device_crypto_t asker;
    mm_device_crypto_t root;
    mm_command_body_t body = {.admit = {.asker = {{0}}}};
    mm_writer_t writer = mm_writer(bytes, MM_COMMAND_BODY_BYTES_MAX);
    mm_desk_result_t result = mm_device_keys_get(db, ask->record.asker, &asker);
    if (result != MM_DESK_OK) {
        return result == MM_DESK_NOT_FOUND ? MMI_JOINS_NOT_PROVED : MMI_JOINS_FAILURE;
    }
    mmi_joins_order_t made = MMI_JOINS_NOT_PROVED;
    if (mm_join_is_proved(&ask->record, &asker.crypto)) {
        result = mm_device_keys_get(db, ask->root, &root);
        made = result == MM_DESK_OK ? MMI_JOINS_ORDERED
                                    : (result == MM_DESK_NOT_FOUND ? MMI_JOINS_NO_ROOT_KEY : MMI_JOINS_FAILURE);
    }
    if (made == MMI_JOINS_ORDERED) {
        bool good = mm_join_admit_body(&ask->record, &asker.crypto, &root.crypto, &body.admit) == MM_OK &&
                    mm_command_body_put(MM_COMMAND_ADMIT, &body, &writer) == MM_OK;
        mm_device_crypto_wipe(&root);
        made = good ? MMI_JOINS_ORDERED : MMI_JOINS_FAILURE;
    }
    mm_device_crypto_wipe(&asker);
    *bytes_count = writer.used_bytes;
    return made;
}

static bool note_admission(sqlite3 *db, const mmi_joins_ask_t *ask, int64_t command_id, int64_t order_id,
                           const char *operator_name, int64_t now_us) {
    char device[MM_MAC_TEXT_BYTES];
    char root[MM_MAC_TEXT_BYTES];
    char detail[160];
    mmi_sql_t write = mmi_sql_begin(db, "UPDATE join_ask SET state = ?, command = ?, decided_by = ?, decided_us = ?,"
                                        " reason = '', request = '' WHERE id = ?");
    mmi_sql_put_text(&write, s_names[MM_JOINS_WAITING]);
    mmi_sql_put_integer(&write, command_id);
    mmi_sql_put_text(&write, operator_name);
    mmi_sql_put_integer(&write, now_us);
    mmi_sql_put_integer(&write, ask->id);
    mm_mac_print(ask->record.asker, device);
    mm_mac_print(ask->root, root);
    snprintf(detail, sizeof detail, "join %lld: device %s, root %s, order %lld", (long long)ask->id, device, root,
             (long long)order_id);
    return mmi_sql_run(&write) && mmi_hq_audit(db, operator_name, "admit", detail, now_us);
}

mmi_joins_order_t mmi_hq_joins_order(sqlite3 *db, const mmi_joins_ask_t *ask, const char *request,
                                     const char *operator_name, int64_t now_us) {
    uint8_t body[MM_COMMAND_BODY_BYTES_MAX];
    size_t body_bytes = 0;
    char shown[64];
    char device[MM_MAC_TEXT_BYTES];
    int64_t command_id = 0;
    mmi_joins_order_t made = make_body(db, ask, body, &body_bytes);
    if (made != MMI_JOINS_ORDERED) {
        return made;
    }
    mm_mac_print(ask->record.asker, device);
    snprintf(shown, sizeof shown, "{\"device\":\"%s\"}", device);
    const mmi_own_order_t order = {.node_id = ask->node_id,
                                   .mac = ask->root,
                                   .kind = MM_COMMAND_ADMIT,
                                   .shown = shown,
                                   .body = body,
                                   .body_bytes = body_bytes,
                                   .request = request,
                                   .operator_name = operator_name,
                                   .not_after_s = now_us / 1000000 + MM_JOINS_ADMIT_S};
    int64_t order_id = mmi_own_order_add(db, &order, now_us, &command_id);
    bool good = order_id != 0 && note_admission(db, ask, command_id, order_id, operator_name, now_us);
    return good ? MMI_JOINS_ORDERED : MMI_JOINS_FAILURE;
}

// --- conflicts

bool mmi_hq_joins_conflict(sqlite3 *db, int64_t id, mm_joins_conflict_t *conflict, char site[MM_SITE_CHARS_MAX + 1]) {
    *conflict = MM_JOINS_NO_CONFLICT;
    site[0] = '\0';
    mmi_sql_t query = mmi_sql_begin(
        db, "WITH own AS (SELECT asker, site FROM join_ask WHERE id = ?1),"
            " seen (site, what, at_us) AS ("
            "  SELECT node.site, 2, node.last_seen_us FROM own JOIN node ON node.mac = own.asker"
            "  UNION ALL SELECT other.site, 2, other.admitted_us FROM own JOIN join_ask AS other ON other.asker ="
            "  own.asker WHERE other.admitted_us > 0"
            "  UNION ALL SELECT other.site, iif(other.command <> 0, 2, 1), max(other.received_us, other.decided_us)"
            "  FROM own JOIN join_ask AS other ON other.asker = own.asker WHERE other.state = 'waiting'"
            "  AND other.site <> own.site)"
            " SELECT what, site.name FROM seen JOIN site ON site.id = seen.site WHERE seen.site <>"
            " (SELECT site FROM own) AND at_us > ifnull((SELECT max(at_us) FROM seen WHERE site ="
            " (SELECT site FROM own)), 0) ORDER BY what DESC, at_us DESC LIMIT 1");
    mmi_sql_put_integer(&query, id);
    if (mmi_sql_row(&query)) {
        *conflict = mmi_sql_integer(&query, 0) == MM_JOINS_IS_THERE ? MM_JOINS_IS_THERE : MM_JOINS_ASKS_THERE;
        snprintf(site, MM_SITE_CHARS_MAX + 1, "%s", mmi_sql_text(&query, 1));
    }
    return mmi_sql_end(&query);
}

// --- the rule

// It is switched on, and nothing is unclear.
static bool rule_holds(sqlite3 *db, int64_t id, bool *holds) {
    mm_joins_conflict_t conflict;
    char site[MM_SITE_CHARS_MAX + 1];
    int64_t on = 0;
    mmi_sql_t query = mmi_sql_begin(db, "SELECT ifnull((SELECT auto_join FROM site_setting WHERE site = join_ask.site"
                                        " ORDER BY id DESC LIMIT 1), 0) FROM join_ask WHERE id = ?");
    mmi_sql_put_integer(&query, id);
    bool good = mmi_sql_value(&query, 0, &on) && mmi_hq_joins_conflict(db, id, &conflict, site);
    *holds = good && on != 0 && conflict == MM_JOINS_NO_CONFLICT;
    return good;
}

// What HQ cannot order waits for a person, or for the key.
static bool order_by_rule(sqlite3 *db, int64_t id, const char *request, int64_t now_us) {
    mmi_joins_ask_t ask;
    bool holds = false;
    if (!rule_holds(db, id, &holds)) {
        return false;
    }
    return !holds || (mmi_hq_joins_load(db, id, &ask) &&
                      mmi_hq_joins_order(db, &ask, request, MM_HQ_RULE, now_us) != MMI_JOINS_FAILURE);
}

static bool apply_rule(sqlite3 *db, int64_t id, int64_t now_us) {
    char request[48];
    snprintf(request, sizeof request, "rule:join:%lld", (long long)id);
    return order_by_rule(db, id, request, now_us);
}

bool mmi_hq_joins_renew(sqlite3 *db, int64_t site_id, int64_t now_us) {
    bool good = true;
    mmi_sql_t query = mmi_sql_begin(db, "SELECT join_ask.id, command.id FROM join_ask JOIN command ON command.id ="
                                        " join_ask.command WHERE join_ask.site = ? AND join_ask.state = 'waiting' AND"
                                        " decided_by = ? AND command.state = ? AND join_ask.received_us > ?");
    mmi_sql_put_integer(&query, site_id);
    mmi_sql_put_text(&query, MM_HQ_RULE);
    mmi_sql_put_integer(&query, MM_COMMAND_STATE_EXPIRED);
    mmi_sql_put_integer(&query, now_us - MM_JOINS_RENEW_S * INT64_C(1000000));
    while (good && mmi_sql_row(&query)) {
        char request[64];
        snprintf(request, sizeof request, "rule:join:again:%lld", (long long)mmi_sql_integer(&query, 1));
        good = order_by_rule(db, mmi_sql_integer(&query, 0), request, now_us);
    }
    return mmi_sql_end(&query) && good;
}

// --- an ask that is proved

// Of what is proved, of this device at this site: is there a newer one? A nonce that was followed by another one is
// old.
#define NEWER_SQL                                                                                                      \
    "SELECT EXISTS (SELECT 1 FROM join_ask AS own JOIN join_ask AS other ON other.asker = own.asker AND other.site ="  \
    " own.site AND other.id <> own.id AND other.state NOT IN ('unproved', 'superseded') WHERE own.id = ?1 AND CASE"    \
    "  WHEN other.nonce <> own.nonce AND EXISTS (SELECT 1 FROM join_ask AS first WHERE first.asker = own.asker AND"    \
    "   first.site = own.site AND first.nonce = own.nonce AND first.state <> 'unproved' AND first.id < other.id AND"   \
    "   first.id <> own.id) THEN 1"                                                                                    \
    "  WHEN other.node = own.node THEN (other.epoch, other.seq) > (own.epoch, own.seq)"                                \
    "  WHEN other.trust = 2 AND own.trust = 2 AND other.seconds <> own.seconds THEN other.seconds > own.seconds"       \
    "  ELSE other.id > own.id END)"

static bool is_overtaken(sqlite3 *db, int64_t id, bool *overtaken) {
    int64_t newer = 0;
    mmi_sql_t query = mmi_sql_begin(db, NEWER_SQL);
    mmi_sql_put_integer(&query, id);
    bool good = mmi_sql_value(&query, 0, &newer);
    *overtaken = newer != 0;
    return good;
}

// The others that wait, with what was queued for them; what was sent may still be executed, which does no harm.
static bool overtake(sqlite3 *db, const mmi_joins_ask_t *ask, int64_t now_us) {
    bool good = true;
    mmi_sql_t query =
        mmi_sql_begin(db, "SELECT id, command FROM join_ask WHERE asker = ? AND site = ? AND id <> ? AND state = ?");
    mmi_sql_put_mac(&query, &ask->record.asker);
    mmi_sql_put_integer(&query, ask->site_id);
    mmi_sql_put_integer(&query, ask->id);
    mmi_sql_put_text(&query, s_names[MM_JOINS_WAITING]);
    while (good && mmi_sql_row(&query)) {
        mm_joins_state_t next;
        mm_joins_next(MM_JOINS_WAITING, MM_JOINS_EVENT_OVERTAKEN, &next);
        good = mmi_own_command_withdraw(db, mmi_sql_integer(&query, 1), now_us) &&
               write_state(db, mmi_sql_integer(&query, 0), next);
    }
    return mmi_sql_end(&query) && good;
}

/// What was decided on the same asking before.
typedef struct {
    int64_t id; ///< 0: nothing
    bool refused;
    char by[sizeof((mmi_joins_ask_t *)0)->decided_by];
    char reason[MM_JOINS_REASON_CHARS_MAX + 1];
} decision_t;

static bool find_decision(sqlite3 *db, const mmi_joins_ask_t *ask, decision_t *decision) {
    mmi_sql_t query = mmi_sql_begin(db, "SELECT id, reason, decided_by FROM join_ask WHERE asker = ? AND site = ? AND"
                                        " nonce = ? AND id <> ? AND decided_by <> '' AND decided_by <> ?"
                                        " ORDER BY decided_us DESC, id DESC LIMIT 1");
    mmi_sql_put_mac(&query, &ask->record.asker);
    mmi_sql_put_integer(&query, ask->site_id);
    mmi_sql_put_blob(&query, ask->record.nonce, sizeof ask->record.nonce);
    mmi_sql_put_integer(&query, ask->id);
    mmi_sql_put_text(&query, MM_HQ_RULE);
    *decision = (decision_t){.id = 0};
    if (mmi_sql_row(&query)) {
        decision->id = mmi_sql_integer(&query, 0);
        snprintf(decision->reason, sizeof decision->reason, "%s", mmi_sql_text(&query, 1));
        snprintf(decision->by, sizeof decision->by, "%s", mmi_sql_text(&query, 2));
        decision->refused = decision->reason[0] != '\0';
    }
    return mmi_sql_end(&query);
}

static bool repeat_refusal(sqlite3 *db, const mmi_joins_ask_t *ask, const decision_t *decision, int64_t now_us) {
    mm_joins_state_t next;
    mm_joins_next(ask->state, MM_JOINS_EVENT_REFUSE, &next);
    mmi_sql_t write =
        mmi_sql_begin(db, "UPDATE join_ask SET state = ?, decided_by = ?, decided_us = ?, reason = ? WHERE id = ?");
    mmi_sql_put_text(&write, s_names[next]);
    mmi_sql_put_text(&write, decision->by);
    mmi_sql_put_integer(&write, now_us);
    mmi_sql_put_text(&write, decision->reason);
    mmi_sql_put_integer(&write, ask->id);
    return mmi_sql_run(&write);
}

// What a person has said of this asking holds; otherwise the rule may have its say.
static bool decide(sqlite3 *db, const mmi_joins_ask_t *ask, int64_t now_us) {
    decision_t decision;
    if (!find_decision(db, ask, &decision)) {
        return false;
    }
    if (decision.id == 0) {
        return apply_rule(db, ask->id, now_us);
    }
    if (decision.refused) {
        return repeat_refusal(db, ask, &decision, now_us);
    }
    char request[48];
    snprintf(request, sizeof request, "again:join:%lld", (long long)ask->id);
    return mmi_hq_joins_order(db, ask, request, decision.by, now_us) != MMI_JOINS_FAILURE;
}

static bool trim_device(sqlite3 *db, const mmi_joins_ask_t *ask) {
    mmi_sql_t trim = mmi_sql_begin(
        db, "DELETE FROM join_ask WHERE asker = ?1 AND site = ?2 AND state IN ('admitted', 'refused', 'superseded')"
            " AND id NOT IN (SELECT id FROM join_ask WHERE asker = ?1 AND site = ?2 AND state IN"
            " ('admitted', 'refused', 'superseded') ORDER BY id DESC LIMIT ?3)");
    mmi_sql_put_mac(&trim, &ask->record.asker);
    mmi_sql_put_integer(&trim, ask->site_id);
    mmi_sql_put_integer(&trim, MM_JOINS_KEPT_PER_DEVICE);
    return mmi_sql_run(&trim);
}

// The row is unproved, and its proof has been found to be right.
static bool take_proof(sqlite3 *db, int64_t id, int64_t now_us) {
    mmi_joins_ask_t ask;
    bool overtaken = false;
    if (!mmi_hq_joins_load(db, id, &ask) || !is_overtaken(db, id, &overtaken)) {
        return false;
    }
    mm_joins_next(ask.state, MM_JOINS_EVENT_PROVED, &ask.state);
    if (overtaken) {
        mm_joins_next(ask.state, MM_JOINS_EVENT_OVERTAKEN, &ask.state);
    }
    return write_state(db, id, ask.state) && (overtaken || (overtake(db, &ask, now_us) && decide(db, &ask, now_us))) &&
           trim_device(db, &ask);
}

bool mmi_hq_joins_key_added(sqlite3 *db, mm_mac_t mac, int64_t now_us) {
    bool good = true;
    mmi_sql_t unproved =
        mmi_sql_begin(db, "SELECT id FROM join_ask WHERE asker = ? AND state = 'unproved' ORDER BY id");
    mmi_sql_put_mac(&unproved, &mac);
    while (good && mmi_sql_row(&unproved)) {
        mmi_joins_ask_t ask;
        bool proved = false;
        good = mmi_hq_joins_load(db, mmi_sql_integer(&unproved, 0), &ask) && is_proved(db, &ask.record, &proved) &&
               (!proved || take_proof(db, ask.id, now_us));
    }
    good = mmi_sql_end(&unproved) && good;
    // A root whose key was missing can be told now.
    mmi_sql_t waiting = mmi_sql_begin(db, "SELECT join_ask.id FROM join_ask JOIN node ON node.id = join_ask.node"
                                          " WHERE node.mac = ? AND join_ask.state = 'waiting' AND command = 0");
    mmi_sql_put_mac(&waiting, &mac);
    while (good && mmi_sql_row(&waiting)) {
        mmi_joins_ask_t ask;
        good = mmi_hq_joins_load(db, mmi_sql_integer(&waiting, 0), &ask) && decide(db, &ask, now_us);
    }
    return mmi_sql_end(&waiting) && good;
}

// --- the store's side

/// A record on its way into the database.
typedef struct {
    sqlite3 *db;
    int64_t node_id;
    int64_t site_id;
    mm_position_t position;
    const mm_join_record_t *record;
    int64_t received_us;
} taking_t;

// The position is there, or the record was carried over from an earlier one of the same epoch.
static bool is_known(const taking_t *self, bool *known) {
    int64_t found = 0;
    mmi_sql_t query =
        mmi_sql_begin(self->db, "SELECT count(*) FROM join_ask WHERE node = ? AND epoch = ? AND (seq = ?"
                                " OR (asker = ? AND nonce = ? AND tag = ? AND trust = ? AND seconds = ?))");
    mmi_sql_put_integer(&query, self->node_id);
    mmi_sql_put_integer(&query, self->position.epoch);
    mmi_sql_put_integer(&query, self->position.seq);
    mmi_sql_put_mac(&query, &self->record->asker);
    mmi_sql_put_blob(&query, self->record->nonce, sizeof self->record->nonce);
    mmi_sql_put_blob(&query, self->record->tag, sizeof self->record->tag);
    mmi_sql_put_integer(&query, self->record->at.trust);
    mmi_sql_put_integer(&query, (int64_t)self->record->at.seconds);
    bool good = mmi_sql_value(&query, 0, &found);
    *known = found != 0;
    return good;
}

static bool add_row(taking_t *self, int64_t *id) {
    const mm_join_record_t *record = self->record;
    mmi_sql_t site = mmi_sql_begin(self->db, "SELECT site FROM node WHERE id = ?");
    mmi_sql_put_integer(&site, self->node_id);
    if (!mmi_sql_value(&site, 0, &self->site_id)) {
        return false;
    }
    mmi_sql_t add = mmi_sql_begin(self->db, "INSERT INTO join_ask (site, node, epoch, seq, asker, via, nonce,"
                                            " revision, tag, trust, seconds, received_us, state)"
                                            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    mmi_sql_put_integer(&add, self->site_id);
    mmi_sql_put_integer(&add, self->node_id);
    mmi_sql_put_integer(&add, self->position.epoch);
    mmi_sql_put_integer(&add, self->position.seq);
    mmi_sql_put_mac(&add, &record->asker);
    mmi_sql_put_mac(&add, &record->via);
    mmi_sql_put_blob(&add, record->nonce, sizeof record->nonce);
    mmi_sql_put_integer(&add, record->revision);
    mmi_sql_put_blob(&add, record->tag, sizeof record->tag);
    mmi_sql_put_integer(&add, record->at.trust);
    mmi_sql_put_integer(&add, (int64_t)record->at.seconds);
    mmi_sql_put_integer(&add, self->received_us);
    mmi_sql_put_text(&add, s_names[MM_JOINS_UNPROVED]);
    bool good = mmi_sql_run(&add);
    *id = sqlite3_last_insert_rowid(self->db);
    return good;
}

// Whoever stands in the stairwell can make these without end.
static bool trim_unproved(const taking_t *self) {
    mmi_sql_t trim = mmi_sql_begin(
        self->db, "DELETE FROM join_ask WHERE site = ?1 AND state = 'unproved' AND id NOT IN (SELECT id FROM join_ask"
                  " WHERE site = ?1 AND state = 'unproved' ORDER BY id DESC LIMIT ?2)");
    mmi_sql_put_integer(&trim, self->site_id);
    mmi_sql_put_integer(&trim, MM_JOINS_UNPROVED_MAX);
    if (!mmi_sql_run(&trim)) {
        return false;
    }
    int dropped = sqlite3_changes(self->db);
    if (dropped == 0) {
        return true;
    }
    mmi_sql_t count = mmi_sql_begin(self->db, "INSERT INTO join_dropped (site, asks) VALUES (?1, ?2)"
                                              " ON CONFLICT (site) DO UPDATE SET asks = asks + ?2");
    mmi_sql_put_integer(&count, self->site_id);
    mmi_sql_put_integer(&count, dropped);
    return mmi_sql_run(&count);
}

static bool take(taking_t *self) {
    bool known = false;
    bool proved = false;
    int64_t id = 0;
    if (!is_known(self, &known)) {
        return false;
    }
    if (known) {
        return true;
    }
    if (!is_proved(self->db, self->record, &proved) || !add_row(self, &id)) {
        return false;
    }
    return proved ? take_proof(self->db, id, self->received_us) : trim_unproved(self);
}

bool mmi_hq_joins_take(mm_store_t *store, int64_t node_id, mm_position_t position, const mm_join_record_t *record,
                       int64_t received_us) {
    taking_t self = {
        .db = store->db, .node_id = node_id, .position = position, .record = record, .received_us = received_us};
    return !mmi_hq_failed(store) && mmi_hq_note_failure(store, take(&self));
}

static bool take_result(sqlite3 *db, int64_t node_id, const mm_result_record_t *result, int64_t received_us) {
    int64_t id = 0;
    mmi_joins_ask_t ask;
    mm_joins_state_t next;
    mmi_sql_t find = mmi_sql_begin(db, "SELECT id FROM join_ask WHERE command = ? AND node = ?");
    mmi_sql_put_integer(&find, (int64_t)result->command_id);
    mmi_sql_put_integer(&find, node_id);
    if (!mmi_sql_value(&find, 0, &id) || !mmi_hq_joins_load(db, id, &ask)) {
        return false;
    }
    // A newer ask may have come meanwhile: the answer is then about one that is over.
    if (ask.id == 0 || !mm_joins_next(ask.state, MM_JOINS_EVENT_DONE, &next)) {
        return true;
    }
    mmi_sql_t write = mmi_sql_begin(db, "UPDATE join_ask SET state = ?, admitted_us = ? WHERE id = ?");
    mmi_sql_put_text(&write, s_names[next]);
    mmi_sql_put_integer(&write, received_us);
    mmi_sql_put_integer(&write, id);
    return mmi_sql_run(&write);
}

bool mmi_hq_joins_take_result(mm_store_t *store, int64_t node_id, const mm_result_record_t *result,
                              int64_t received_us) {
    if (mmi_hq_failed(store)) {
        return false;
    }
    if (result->kind != MM_COMMAND_ADMIT || result->command_id == 0 ||
        (result->status != MM_RESULT_DONE && result->status != MM_RESULT_ALREADY)) {
        return true;
    }
    return mmi_hq_note_failure(store, take_result(store->db, node_id, result, received_us));
}
