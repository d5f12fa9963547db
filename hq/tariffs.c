// SPDX-License-Identifier: Apache-2.0
#include "tariffs.h"

#include "operators.h"
#include "vending_internal.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_request(const char *request, mm_hq_error_t *error) {
    size_t chars = request != NULL ? strlen(request) : 0;
    if (chars < 1 || chars > MM_VENDING_REQUEST_CHARS_MAX) {
        mm_hq_error_set(error, "the request id must have 1 to %d characters", MM_VENDING_REQUEST_CHARS_MAX);
        return false;
    }
    return true;
}

// A query by request of one column: is what it asks for the same? OK, CONFLICT or UNAVAILABLE; *repeated.
static mm_desk_result_t look_up(mmi_sql_t *query, const char *request, bool *repeated, mm_hq_error_t *error) {
    int64_t same = -1;
    if (!mmi_sql_value(query, -1, &same)) {
        return MM_DESK_UNAVAILABLE;
    }
    *repeated = same == 1;
    if (same == 0) {
        mm_hq_error_set(error, "request %s was used for something else; take a new id", request);
        return MM_DESK_CONFLICT;
    }
    return MM_DESK_OK;
}

// Ends the transaction: a repeated request has nothing to commit.
static mm_desk_result_t finish(mm_desk_t *desk, mm_desk_result_t result, bool repeated, mm_hq_error_t *error) {
    if (result == MM_DESK_UNAVAILABLE) {
        return mmi_desk_fail(desk, error);
    }
    return result == MM_DESK_OK && !repeated ? mmi_desk_commit(desk, error) : mmi_desk_rollback(desk, result);
}

// --- tariffs

static bool read_document(const char *document, mm_tariff_t *tariff) {
    mm_hq_error_t error;
    cJSON *object = cJSON_Parse(document);
    bool good = mm_tariff_read(object, tariff, &error);
    cJSON_Delete(object);
    return good;
}

// The ledger counts a currency in 1/1000 of its minor unit: a currency that had another one before would add cents to
// mills.
static mm_desk_result_t check_decimals(sqlite3 *db, const mm_tariff_t *tariff, mm_hq_error_t *error) {
    mm_tariff_t before;
    bool same = true;
    mmi_sql_t rows = mmi_sql_begin(db, "SELECT document FROM tariff ORDER BY id");
    while (same && mmi_sql_row(&rows)) {
        same = !read_document(mmi_sql_text(&rows, 0), &before) || strcmp(before.currency, tariff->currency) != 0 ||
               before.decimals == tariff->decimals;
    }
    if (!mmi_sql_end(&rows)) {
        return MM_DESK_UNAVAILABLE;
    }
    if (!same) {
        mm_hq_error_set(error, "currency %s has %d decimals in tariff %s; its sums must stay of one unit",
                        tariff->currency, before.decimals, before.name);
        return MM_DESK_REFUSED;
    }
    return MM_DESK_OK;
}

static mm_desk_result_t put_tariff(sqlite3 *db, const char *request, const mm_tariff_t *tariff, const char *document,
                                   const char *operator_name, int64_t now_us, bool *repeated, mm_hq_error_t *error) {
    mmi_sql_t find = mmi_sql_begin(db, "SELECT document = ? FROM tariff WHERE request = ?");
    mmi_sql_put_text(&find, document);
    mmi_sql_put_text(&find, request);
    mm_desk_result_t result = look_up(&find, request, repeated, error);
    if (result != MM_DESK_OK || *repeated) {
        return result;
    }
    result = check_decimals(db, tariff, error);
    if (result != MM_DESK_OK) {
        return result;
    }
    mmi_sql_t add = mmi_sql_begin(db, "INSERT INTO tariff (request, name, document, operator, created_us)"
                                      " VALUES (?, ?, ?, ?, ?)");
    mmi_sql_put_text(&add, request);
    mmi_sql_put_text(&add, tariff->name);
    mmi_sql_put_text(&add, document);
    mmi_sql_put_text(&add, operator_name);
    mmi_sql_put_integer(&add, now_us);
    bool good = mmi_sql_run(&add) && mmi_hq_audit(db, operator_name, "tariff", tariff->name, now_us);
    return good ? MM_DESK_OK : MM_DESK_UNAVAILABLE;
}

mm_desk_result_t mm_tariffs_put(mm_desk_t *desk, const char *request, const mm_tariff_t *tariff,
                                const char *operator_name, int64_t now_us, bool *repeated, mm_hq_error_t *error) {
    *repeated = false;
    if (!is_request(request, error) || !mm_tariff_check(tariff, error)) {
        return MM_DESK_REFUSED;
    }
    cJSON *object = mm_tariff_write(tariff);
    char *document = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    if (document == NULL) {
        mm_hq_error_set(error, "out of memory");
        return MM_DESK_UNAVAILABLE;
    }
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result == MM_DESK_OK) {
        result = put_tariff(mmi_desk_db(desk), request, tariff, document, operator_name, now_us, repeated, error);
        result = finish(desk, result, *repeated, error);
    }
    free(document);
    return result;
}

mm_desk_result_t mm_tariffs_list(mm_desk_t *desk, mm_tariff_visit_fn visit, void *context, mm_hq_error_t *error) {
    mm_tariff_t tariff;
    bool more = true;
    mmi_sql_t rows = mmi_sql_begin(mmi_desk_db(desk), "SELECT document, max(id) FROM tariff GROUP BY name"
                                                      " ORDER BY name");
    while (more && mmi_sql_row(&rows)) {
        more = !read_document(mmi_sql_text(&rows, 0), &tariff) || visit(context, &tariff);
    }
    if (!mmi_sql_end(&rows)) {
        mm_hq_error_set(error, "database: %s", sqlite3_errmsg(mmi_desk_db(desk)));
        return MM_DESK_UNAVAILABLE;
    }
    return MM_DESK_OK;
}

bool mmi_hq_tariff_of_site(sqlite3 *db, int64_t site_id, mm_tariff_t *tariff, int64_t *tariff_id, int64_t *unit_wh) {
    char name[MM_TARIFF_NAME_CHARS_MAX + 1] = "";
    memset(tariff, 0, sizeof *tariff);
    *tariff_id = 0;
    *unit_wh = MM_VENDING_UNIT_WH;
    mmi_sql_t setting = mmi_sql_begin(db, "SELECT token_unit_wh, tariff FROM site_setting WHERE site = ?"
                                          " ORDER BY id DESC LIMIT 1");
    mmi_sql_put_integer(&setting, site_id);
    if (mmi_sql_row(&setting)) {
        *unit_wh = mmi_sql_integer(&setting, 0);
        snprintf(name, sizeof name, "%s", mmi_sql_text(&setting, 1));
    }
    bool good = mmi_sql_end(&setting);
    mmi_sql_t find = mmi_sql_begin(db, "SELECT id, document FROM tariff WHERE name = ? ORDER BY id DESC LIMIT 1");
    mmi_sql_put_text(&find, name[0] != '\0' ? name : MM_TARIFF_DEFAULT);
    if (mmi_sql_row(&find) && read_document(mmi_sql_text(&find, 1), tariff)) {
        *tariff_id = mmi_sql_integer(&find, 0);
    }
    return mmi_sql_end(&find) && good;
}

// --- settings of sites

static mm_desk_result_t find_site(sqlite3 *db, const char *site, const char *tariff, int64_t *site_id,
                                  mm_hq_error_t *error) {
    int64_t known = 1;
    mmi_sql_t query = mmi_sql_begin(db, "SELECT id FROM site WHERE name = ?");
    mmi_sql_put_text(&query, site);
    if (!mmi_sql_value(&query, 0, site_id)) {
        return MM_DESK_UNAVAILABLE;
    }
    if (*site_id == 0) {
        mm_hq_error_set(error, "no site %.40s; HQ knows a site when its first report has come", site);
        return MM_DESK_NOT_FOUND;
    }
    mmi_sql_t find = mmi_sql_begin(db, "SELECT count(*) FROM tariff WHERE name = ?");
    mmi_sql_put_text(&find, tariff);
    if (!mmi_sql_value(&find, 0, &known)) {
        return MM_DESK_UNAVAILABLE;
    }
    if (tariff[0] != '\0' && known == 0) {
        mm_hq_error_set(error, "no tariff %.40s; meshmeter tariff list shows them", tariff);
        return MM_DESK_NOT_FOUND;
    }
    return MM_DESK_OK;
}

static mm_desk_result_t put_settings(sqlite3 *db, const char *request, const char *site,
                                     const mm_site_settings_t *settings, const char *operator_name, int64_t now_us,
                                     bool *repeated, mm_hq_error_t *error) {
    int64_t site_id = 0;
    mm_desk_result_t result = find_site(db, site, settings->tariff, &site_id, error);
    if (result != MM_DESK_OK) {
        return result;
    }
    mmi_sql_t find = mmi_sql_begin(db, "SELECT site = ?1 AND (?2 = 0 OR (token_unit_wh = ?2 AND tariff = ?3)) AND"
                                       " (?4 < 0 OR auto_confirm = ?4) AND (?6 < 0 OR auto_join = ?6)"
                                       " FROM site_setting WHERE request = ?5");
    mmi_sql_put_integer(&find, site_id);
    mmi_sql_put_integer(&find, settings->token_unit_wh);
    mmi_sql_put_text(&find, settings->tariff);
    mmi_sql_put_integer(&find, settings->auto_confirm);
    mmi_sql_put_text(&find, request);
    mmi_sql_put_integer(&find, settings->auto_join);
    result = look_up(&find, request, repeated, error);
    if (result != MM_DESK_OK || *repeated) {
        return result;
    }
    mmi_sql_t add =
        mmi_sql_begin(db, "INSERT INTO site_setting (request, site, token_unit_wh, tariff, operator, created_us,"
                          " auto_confirm, auto_join) SELECT ?1, ?2, iif(?3 > 0, ?3, ifnull(before.token_unit_wh, ?8)),"
                          " iif(?3 > 0, ?4, ifnull(before.tariff, '')), ?5, ?6,"
                          " iif(?7 >= 0, ?7, ifnull(before.auto_confirm, 0)),"
                          " iif(?9 >= 0, ?9, ifnull(before.auto_join, 0))"
                          " FROM (SELECT 1) LEFT JOIN (SELECT * FROM site_setting WHERE site = ?2 ORDER BY id DESC"
                          " LIMIT 1) AS before");
    mmi_sql_put_text(&add, request);
    mmi_sql_put_integer(&add, site_id);
    mmi_sql_put_integer(&add, settings->token_unit_wh);
    mmi_sql_put_text(&add, settings->tariff);
    mmi_sql_put_text(&add, operator_name);
    mmi_sql_put_integer(&add, now_us);
    mmi_sql_put_integer(&add, settings->auto_confirm);
    mmi_sql_put_integer(&add, MM_VENDING_UNIT_WH);
    mmi_sql_put_integer(&add, settings->auto_join);
    static const char *const rule_words[] = {"", " off", " on"};
    char detail[MM_SITE_CHARS_MAX + 64];
    snprintf(detail, sizeof detail, "%s%s%s%s%s", site, settings->auto_confirm >= 0 ? ", auto_confirm" : "",
             rule_words[settings->auto_confirm + 1], settings->auto_join >= 0 ? ", auto_join" : "",
             rule_words[settings->auto_join + 1]);
    bool good = mmi_sql_run(&add) && mmi_hq_audit(db, operator_name, "site_settings", detail, now_us);
    return good ? MM_DESK_OK : MM_DESK_UNAVAILABLE;
}

mm_desk_result_t mm_site_settings_put(mm_desk_t *desk, const char *request, const char *site,
                                      const mm_site_settings_t *settings, const char *operator_name, int64_t now_us,
                                      bool *repeated, mm_hq_error_t *error) {
    *repeated = false;
    if (!is_request(request, error)) {
        return MM_DESK_REFUSED;
    }
    bool rules = settings->auto_confirm >= 0 || settings->auto_join >= 0;
    if (settings->token_unit_wh < (rules ? 0 : 1) || settings->token_unit_wh > MM_VENDING_UNIT_WH_MAX) {
        mm_hq_error_set(error, "token_unit_wh must be 1 to %d", MM_VENDING_UNIT_WH_MAX);
        return MM_DESK_REFUSED;
    }
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result == MM_DESK_OK) {
        result = put_settings(mmi_desk_db(desk), request, site, settings, operator_name, now_us, repeated, error);
        result = finish(desk, result, *repeated, error);
    }
    return result;
}
