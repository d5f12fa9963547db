// SPDX-License-Identifier: Apache-2.0
#include "vending_internal.h"

#include "commands.h"
#include "store_query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mmi_hq_purchase_read(const mmi_sql_t *row, mmi_hq_purchase_t *purchase) {
    memset(purchase, 0, sizeof *purchase);
    purchase->id = mmi_sql_integer(row, 0);
    purchase->node_id = mmi_sql_integer(row, 1);
    purchase->channel = (uint8_t)mmi_sql_integer(row, 2);
    snprintf(purchase->meter, sizeof purchase->meter, "%s", mmi_sql_text(row, 3));
    purchase->era = (uint32_t)mmi_sql_integer(row, 4);
    purchase->count = (uint32_t)mmi_sql_integer(row, 5);
    purchase->state = (int)mmi_sql_integer(row, 6);
    purchase->amount_wh = mmi_sql_integer(row, 7);
    snprintf(purchase->currency, sizeof purchase->currency, "%s", mmi_sql_text(row, 8));
    purchase->money_minor = mmi_sql_integer(row, 9);
    purchase->cost_milli = mmi_sql_integer(row, 10);
    purchase->tax_minor = mmi_sql_integer(row, 11);
    purchase->command = mmi_sql_integer(row, 12);
    purchase->void_command = mmi_sql_integer(row, 13);
}

bool mmi_hq_purchase_find(mmi_sql_t *query, mmi_hq_purchase_t *purchase) {
    memset(purchase, 0, sizeof *purchase);
    if (mmi_sql_row(query)) {
        mmi_hq_purchase_read(query, purchase);
    }
    return mmi_sql_end(query);
}

// --- where a meter is

#define PLACE_COLUMNS                                                                                                  \
    "SELECT node.id, node.site, node.mac, meter.channel, meter.id, site.tz, site.name FROM meter"                      \
    " JOIN node ON node.id = meter.node JOIN site ON site.id = node.site"

static void read_place(const mmi_sql_t *row, mmi_hq_place_t *place) {
    place->node_id = mmi_sql_integer(row, 0);
    place->site_id = mmi_sql_integer(row, 1);
    place->mac = mmi_sql_mac(row, 2);
    place->channel = (uint8_t)mmi_sql_integer(row, 3);
    snprintf(place->meter, sizeof place->meter, "%s", mmi_sql_text(row, 4));
    snprintf(place->tz, sizeof place->tz, "%s", mmi_sql_text(row, 5));
    snprintf(place->site, sizeof place->site, "%s", mmi_sql_text(row, 6));
}

// "MAC/CHANNEL", as people count channels: from 1.
static bool parse_position(const char *text, mm_mac_t *mac, int64_t *channel) {
    char head[MM_MAC_TEXT_BYTES];
    const char *slash = strchr(text, '/');
    if (slash == NULL || slash[1] < '1' || slash[1] > '8' || slash[2] != '\0' ||
        (size_t)(slash - text) >= sizeof head) {
        return false;
    }
    snprintf(head, sizeof head, "%.*s", (int)(slash - text), text);
    *channel = slash[1] - '1';
    return mm_mac_parse(head, mac);
}

static mm_desk_result_t find_none(sqlite3 *db, const char *meter, mm_hq_error_t *error) {
    int64_t originals = 0;
    mmi_sql_t query = mmi_sql_begin(db, "SELECT count(*) FROM legacy_meter WHERE meter = ?");
    mmi_sql_put_text(&query, meter);
    if (!mmi_sql_value(&query, 0, &originals)) {
        return MM_DESK_UNAVAILABLE;
    }
    if (originals > 0) {
        mm_hq_error_set(error, "meter %.40s speaks the original's messages: it takes no credit", meter);
        return MM_DESK_REFUSED;
    }
    mm_hq_error_set(error, "no meter %.40s; meshmeter status lists them", meter);
    return MM_DESK_NOT_FOUND;
}

mm_desk_result_t mmi_hq_place_find(sqlite3 *db, const char *meter, mmi_hq_place_t *place, mm_hq_error_t *error) {
    mm_mac_t mac;
    int64_t channel;
    int found = 0;
    memset(place, 0, sizeof *place);
    bool by_position = parse_position(meter, &mac, &channel);
    mmi_sql_t query = mmi_sql_begin(db, by_position ? PLACE_COLUMNS " WHERE node.mac = ? AND meter.channel = ?"
                                                                    " AND meter.id <> ''"
                                                    : PLACE_COLUMNS " WHERE meter.id = ? AND meter.id <> ''");
    if (by_position) {
        mmi_sql_put_mac(&query, &mac);
        mmi_sql_put_integer(&query, channel);
    } else {
        mmi_sql_put_text(&query, meter);
    }
    for (; mmi_sql_row(&query); found++) {
        read_place(&query, place);
    }
    if (!mmi_sql_end(&query)) {
        return MM_DESK_UNAVAILABLE;
    }
    if (found == 0) {
        return find_none(db, meter, error);
    }
    if (found > 1) {
        mm_hq_error_set(error, "%d meters are called %.40s; say which: MAC/CHANNEL", found, meter);
        return MM_DESK_NOT_FOUND;
    }
    return MM_DESK_OK;
}

// --- small things

bool mmi_hq_withdraw_command(sqlite3 *db, int64_t command_id, int highest_state, int64_t now_us) {
    mmi_sql_t change =
        mmi_sql_begin(db, "UPDATE command SET state = ?, ended_us = ? WHERE id = ? AND id <> 0 AND state <= ?");
    mmi_sql_put_integer(&change, MM_COMMAND_STATE_EXPIRED);
    mmi_sql_put_integer(&change, now_us);
    mmi_sql_put_integer(&change, command_id);
    mmi_sql_put_integer(&change, highest_state);
    return mmi_sql_run(&change);
}

bool mmi_hq_incident(sqlite3 *db, int64_t node_id, const char *name, int64_t value0, int64_t value1, int64_t value2,
                     int64_t value3, int64_t now_us) {
    mmi_sql_t add = mmi_sql_begin(db, "INSERT INTO incident (node, utc_s, name, value0, value1, value2, value3)"
                                      " VALUES (?, ?, ?, ?, ?, ?, ?)");
    mmi_sql_put_integer(&add, node_id);
    mmi_sql_put_integer(&add, now_us / 1000000);
    mmi_sql_put_text(&add, name);
    mmi_sql_put_integer(&add, value0);
    mmi_sql_put_integer(&add, value1);
    mmi_sql_put_integer(&add, value2);
    mmi_sql_put_integer(&add, value3);
    return mmi_sql_run(&add);
}
