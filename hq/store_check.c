// SPDX-License-Identifier: Apache-2.0
#include "store_internal.h"

// Each query counts violations of one rule of store.h.
static const struct {
    const char *rule;
    const char *sql;
} s_rules[] = {
    {"a position is stored once",
     "SELECT count(*) FROM (SELECT 1 FROM record GROUP BY node, epoch, seq HAVING count(*) > 1)"},
    {"each record is in a span",
     "SELECT count(*) FROM record r WHERE NOT EXISTS (SELECT 1 FROM span s WHERE s.node = r.node"
     " AND s.epoch = r.epoch AND s.first_seq <= r.seq AND s.last_seq >= r.seq)"},
    {"spans hold nothing but records", "SELECT abs((SELECT coalesce(sum(last_seq - first_seq + 1), 0) FROM span) -"
                                       " (SELECT count(*) FROM record))"},
    {"spans do not overlap or touch", "SELECT count(*) FROM span a JOIN span b USING (node, epoch)"
                                      " WHERE a.first_seq < b.first_seq AND a.last_seq >= b.first_seq - 1"},
    {"gaps do not overlap", "SELECT count(*) FROM gap a JOIN gap b USING (node, epoch)"
                            " WHERE a.first_seq < b.first_seq AND a.last_seq >= b.first_seq"},
    {"nothing is both span and gap", "SELECT count(*) FROM span a JOIN gap b USING (node, epoch)"
                                     " WHERE a.first_seq <= b.last_seq AND b.first_seq <= a.last_seq"},
    {"ranges are not empty", "SELECT (SELECT count(*) FROM span WHERE first_seq > last_seq OR first_seq < 1) +"
                             " (SELECT count(*) FROM gap WHERE first_seq > last_seq OR first_seq < 1)"},
    {"up to the watermark everything is a span or a gap",
     "SELECT count(*) FROM node n WHERE n.watermark_seq <>"
     " (SELECT coalesce(sum(min(last_seq, n.watermark_seq) - first_seq + 1), 0) FROM span"
     "  WHERE node = n.id AND epoch = n.epoch AND first_seq <= n.watermark_seq) +"
     " (SELECT coalesce(sum(min(last_seq, n.watermark_seq) - first_seq + 1), 0) FROM gap"
     "  WHERE node = n.id AND epoch = n.epoch AND first_seq <= n.watermark_seq)"},
    {"the watermark is the largest such",
     "SELECT count(*) FROM node n WHERE EXISTS (SELECT 1 FROM (SELECT * FROM span UNION ALL"
     " SELECT node, epoch, first_seq, last_seq FROM gap) r WHERE r.node = n.id AND r.epoch = n.epoch"
     " AND r.first_seq <= n.watermark_seq + 1 AND r.last_seq > n.watermark_seq)"},
    {"next is behind every record", "SELECT count(*) FROM node n JOIN span s ON s.node = n.id AND s.epoch = n.epoch"
                                    " WHERE s.last_seq >= n.next_seq"},
    {"no record is of a later epoch", "SELECT count(*) FROM node n JOIN span s ON s.node = n.id"
                                      " WHERE s.epoch > n.epoch"},
    {"an epoch that is over has no open end",
     "SELECT count(*) FROM (SELECT s.node, s.epoch, max(s.last_seq) AS last FROM span s JOIN node n ON n.id = s.node"
     " WHERE s.epoch < n.epoch GROUP BY s.node, s.epoch) o WHERE o.last <>"
     " (SELECT sum(last_seq - first_seq + 1) FROM span WHERE node = o.node AND epoch = o.epoch) +"
     " (SELECT coalesce(sum(last_seq - first_seq + 1), 0) FROM gap WHERE node = o.node AND epoch = o.epoch"
     "  AND first_seq <= o.last)"},
    {"the total counts the records", "SELECT abs((SELECT records FROM total) - (SELECT count(*) FROM record))"},
    {"foreign keys hold", "SELECT count(*) FROM pragma_foreign_key_check"},
    {"the file is whole", "SELECT integrity_check <> 'ok' FROM pragma_integrity_check(1)"},
};

bool mm_store_check(mm_store_t *self, mm_hq_error_t *error) {
    for (size_t index = 0; index < sizeof s_rules / sizeof s_rules[0]; index++) {
        sqlite3_stmt *statement = NULL;
        bool asked = sqlite3_prepare_v2(self->db, s_rules[index].sql, -1, &statement, NULL) == SQLITE_OK &&
                     sqlite3_step(statement) == SQLITE_ROW;
        long long violations = asked ? sqlite3_column_int64(statement, 0) : 0;
        if (!asked) {
            mm_hq_error_set(error, "%s: %s", s_rules[index].rule, sqlite3_errmsg(self->db));
        }
        sqlite3_finalize(statement);
        if (!asked) {
            return false;
        }
        if (violations != 0) {
            mm_hq_error_set(error, "broken rule: %s (%lld)", s_rules[index].rule, violations);
            return false;
        }
    }
    return true;
}
