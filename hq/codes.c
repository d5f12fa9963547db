// SPDX-License-Identifier: Apache-2.0
#include "codes.h"

#include "device_keys.h"
#include "operators.h"
#include "sql.h"
#include "store_query.h"
#include "text_check.h"

#include <stdio.h>
#include <string.h>

#define MICROSECONDS INT64_C(1000000)
#define HOUR_US (3600 * MICROSECONDS)
/// Requests are kept so long, to recognise a repetition.
#define KEPT_US (24 * HOUR_US)
#define TAIL_BYTES 3

// --- what was asked

static bool check_request(const mm_code_request_t *request, mm_hq_error_t *error) {
    if (!mmi_hq_is_request(request->request, MM_CODE_REQUEST_CHARS_MAX)) {
        mm_hq_error_set(error, "request: 1 to %d printable characters without blanks", MM_CODE_REQUEST_CHARS_MAX);
    } else if (request->number > MM_CHALLENGE_NUMBER_MAX) {
        mm_hq_error_set(error, "number: the display shows at most 8 digits");
    } else if (!mmi_hq_is_line(request->caller, MM_CODE_CALLER_CHARS_MAX)) {
        mm_hq_error_set(error, "caller: who calls, and from where; 1 to %d bytes of text in one line",
                        MM_CODE_CALLER_CHARS_MAX);
    } else {
        return true;
    }
    return false;
}

// "0010a2" or "00:10:a2".
static bool parse_tail(const char *text, uint8_t tail[TAIL_BYTES]) {
    char whole[32];
    mm_mac_t mac;
    size_t chars = strlen(text);
    if (chars < 2 * TAIL_BYTES || chars > 3 * TAIL_BYTES - 1) {
        return false;
    }
    // The rest of an address before it: what is an address then, was a tail of one.
    const char *between = strchr(text, '-') != NULL ? "-" : strchr(text, ':') != NULL ? ":" : "";
    snprintf(whole, sizeof whole, "00%s00%s00%s%s", between, between, between, text);
    if (!mm_mac_parse(whole, &mac)) {
        return false;
    }
    memcpy(tail, mac.bytes + sizeof mac.bytes - TAIL_BYTES, TAIL_BYTES);
    return true;
}

static mm_desk_result_t find_tail(mm_desk_t *desk, const char *text, const uint8_t tail[TAIL_BYTES], mm_mac_t *mac,
                                  mm_hq_error_t *error) {
    int found = 0;
    mmi_sql_t query =
        mmi_sql_begin(mmi_desk_db(desk), "SELECT mac FROM device_key WHERE substr(mac, 4) = ? ORDER BY mac LIMIT 2");
    mmi_sql_put_blob(&query, tail, TAIL_BYTES);
    while (mmi_sql_row(&query)) {
        *mac = mmi_sql_mac(&query, 0);
        found++;
    }
    if (!mmi_sql_end(&query)) {
        return mmi_desk_fail(desk, error);
    }
    if (found == 0) {
        mm_hq_error_set(error, "%s: HQ has no key of a device whose address ends so; `meshmeter keys import`", text);
        return MM_DESK_NOT_FOUND;
    }
    if (found > 1) {
        mm_hq_error_set(error, "%s: more than one device's address ends so; give all of it, from the label", text);
        return MM_DESK_REFUSED;
    }
    return MM_DESK_OK;
}

static mm_desk_result_t find_node(mm_desk_t *desk, const char *text, mm_mac_t *mac, mm_hq_error_t *error) {
    uint8_t tail[TAIL_BYTES];
    if (parse_tail(text, tail)) {
        return find_tail(desk, text, tail, mac, error);
    }
    if (!mm_mac_parse(text, mac)) {
        mm_hq_error_set(error, "mac: a device's address like 02:00:00:00:00:01, or its last 6 hex digits");
        return MM_DESK_REFUSED;
    }
    return MM_DESK_OK;
}

// --- how many

static void format_time(int64_t utc_us, char text[32]) {
    int64_t second = utc_us / MICROSECONDS % 86400;
    snprintf(text, 32, "%02d:%02d:%02d UTC", (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60));
}

// The limit holds for any hour, not for those of the clock: the oldest of the last ones decides.
static mm_desk_result_t check_limit(mm_desk_t *desk, const mm_code_request_t *request, int64_t now_us, int64_t *wait_s,
                                    mm_hq_error_t *error) {
    int64_t oldest_us;
    mmi_sql_t query = mmi_sql_begin(mmi_desk_db(desk), "SELECT at_us FROM code_request WHERE operator = ? AND at_us > ?"
                                                       " ORDER BY at_us DESC LIMIT 1 OFFSET ?");
    mmi_sql_put_text(&query, request->operator_name);
    mmi_sql_put_integer(&query, now_us - HOUR_US);
    mmi_sql_put_integer(&query, MM_CODES_PER_HOUR - 1);
    if (!mmi_sql_value(&query, 0, &oldest_us)) {
        return mmi_desk_fail(desk, error);
    }
    if (oldest_us == 0) {
        return MM_DESK_OK;
    }
    char time[32];
    // Rounded up, so that who waits so long is served.
    *wait_s = (oldest_us + HOUR_US - now_us + MICROSECONDS - 1) / MICROSECONDS;
    format_time(now_us + *wait_s * MICROSECONDS, time);
    mm_hq_error_set(error, "%d codes in an hour are the limit of one operator; the next one at %s, in %lld s",
                    MM_CODES_PER_HOUR, time, (long long)*wait_s);
    return MM_DESK_REFUSED;
}

// --- giving it

// The same request again: *given_us is when it was first answered; 0 = it is new.
static mm_desk_result_t find_request(mm_desk_t *desk, const mm_code_request_t *request, mm_mac_t mac, int64_t *given_us,
                                     mm_hq_error_t *error) {
    bool same = true;
    mmi_sql_t query = mmi_sql_begin(mmi_desk_db(desk), "SELECT at_us, operator = ? AND mac = ? AND number = ? AND"
                                                       " caller = ? FROM code_request WHERE request = ?");
    mmi_sql_put_text(&query, request->operator_name);
    mmi_sql_put_mac(&query, &mac);
    mmi_sql_put_integer(&query, request->number);
    mmi_sql_put_text(&query, request->caller);
    mmi_sql_put_text(&query, request->request);
    *given_us = 0;
    if (mmi_sql_row(&query)) {
        *given_us = mmi_sql_integer(&query, 0);
        same = mmi_sql_integer(&query, 1) != 0;
    }
    if (!mmi_sql_end(&query)) {
        return mmi_desk_fail(desk, error);
    }
    if (!same) {
        mm_hq_error_set(error, "request %s: was used for another code", request->request);
        return MM_DESK_CONFLICT;
    }
    return MM_DESK_OK;
}

static bool note_request(mm_desk_t *desk, const mm_code_request_t *request, mm_mac_t mac, int64_t now_us) {
    char detail[64 + MM_CODE_CALLER_CHARS_MAX];
    char node[MM_MAC_TEXT_BYTES];
    mm_mac_print(mac, node);
    mmi_sql_t forget = mmi_sql_begin(mmi_desk_db(desk), "DELETE FROM code_request WHERE at_us < ?");
    mmi_sql_put_integer(&forget, now_us - KEPT_US);
    mmi_sql_t add = mmi_sql_begin(mmi_desk_db(desk), "INSERT INTO code_request (request, operator, mac, number, caller,"
                                                     " at_us) VALUES (?, ?, ?, ?, ?, ?)");
    mmi_sql_put_text(&add, request->request);
    mmi_sql_put_text(&add, request->operator_name);
    mmi_sql_put_mac(&add, &mac);
    mmi_sql_put_integer(&add, request->number);
    mmi_sql_put_text(&add, request->caller);
    mmi_sql_put_integer(&add, now_us);
    snprintf(detail, sizeof detail, "node %s, number %u, for %s", node, request->number, request->caller);
    bool good = mmi_sql_run(&forget);
    good = mmi_sql_run(&add) && good;
    return good && mmi_hq_audit(mmi_desk_db(desk), request->operator_name, "code", detail, now_us);
}

static mm_desk_result_t make_code(mm_desk_t *desk, const mm_code_request_t *request, mm_code_t *code,
                                  mm_hq_error_t *error) {
    mm_device_crypto_t crypto;
    mm_desk_result_t result = mm_device_keys_get(mmi_desk_db(desk), code->node, &crypto);
    if (result == MM_DESK_UNAVAILABLE) {
        return mmi_desk_fail(desk, error);
    }
    if (result != MM_DESK_OK) {
        mm_hq_error_set(error, "%s: HQ has no key of this device; `meshmeter keys import`", request->mac);
        return result;
    }
    const mm_challenge_options_t options = {.method = NULL, .mac = code->node};
    mm_err_t err = mm_challenge_code(&options, &crypto.crypto, request->number, code->text);
    mm_device_crypto_wipe(&crypto);
    if (err != MM_OK) {
        mm_hq_error_set(error, "the code could not be worked out");
        return MM_DESK_UNAVAILABLE;
    }
    return MM_DESK_OK;
}

// Inside of the transaction. A code is only handed out once the audit log has it: the caller commits first.
static mm_desk_result_t give(mm_desk_t *desk, const mm_code_request_t *request, int64_t now_us, mm_code_t *code,
                             mm_hq_error_t *error) {
    int64_t given_us = 0;
    mm_desk_result_t result = find_node(desk, request->mac, &code->node, error);
    if (result == MM_DESK_OK) {
        result = find_request(desk, request, code->node, &given_us, error);
    }
    code->repeated = given_us != 0;
    if (result == MM_DESK_OK && !code->repeated) {
        result = check_limit(desk, request, now_us, &code->wait_s, error);
    }
    if (result == MM_DESK_OK) {
        result = make_code(desk, request, code, error);
    }
    if (result == MM_DESK_OK && !code->repeated && !note_request(desk, request, code->node, now_us)) {
        result = mmi_desk_fail(desk, error);
    }
    int64_t age_s = code->repeated && now_us > given_us ? (now_us - given_us) / MICROSECONDS : 0;
    code->expires_s = age_s < MM_CHALLENGE_LIFE_S ? MM_CHALLENGE_LIFE_S - age_s : 0;
    return result;
}

mm_desk_result_t mm_code_give(mm_desk_t *desk, const mm_code_request_t *request, int64_t now_us, mm_code_t *code,
                              mm_hq_error_t *error) {
    *code = (mm_code_t){.wait_s = 0};
    if (!check_request(request, error)) {
        return MM_DESK_REFUSED;
    }
    mm_desk_result_t result = mmi_desk_begin(desk, error);
    if (result == MM_DESK_OK) {
        result = give(desk, request, now_us, code, error);
        result = result == MM_DESK_OK ? mmi_desk_commit(desk, error) : mmi_desk_rollback(desk, result);
    }
    if (result != MM_DESK_OK) {
        explicit_bzero(code->text, sizeof code->text);
    }
    return result;
}
