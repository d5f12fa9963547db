// SPDX-License-Identifier: Apache-2.0
#include "store_internal.h"

#include "meshmeter/crc32.h"

#include <stdio.h>
#include <string.h>

// "12,0,…" of 24 hours.
#define HOURS_TEXT_BYTES (MM_HOURS_OF_DAY * 11 + 1)

static void print_hours(const uint32_t hours_kwh[MM_HOURS_OF_DAY], char text[HOURS_TEXT_BYTES]) {
    size_t used = 0;
    for (size_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
        used += (size_t)snprintf(text + used, HOURS_TEXT_BYTES - used, hour == 0 ? "%u" : ",%u", hours_kwh[hour]);
    }
}

static void write_meter(mm_store_t *self, mmi_hq_statement_t which, int64_t site_id, const mm_legacy_reading_t *reading,
                        int64_t received_us) {
    char hours[HOURS_TEXT_BYTES];
    sqlite3_stmt *write = mmi_hq_statement(self, which);
    if (write == NULL) {
        return;
    }
    print_hours(reading->hours_kwh, hours);
    sqlite3_bind_int64(write, 1, site_id);
    sqlite3_bind_text(write, 2, reading->id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(write, 3, reading->node_id);
    sqlite3_bind_int64(write, 4, reading->subnode);
    sqlite3_bind_int64(write, 5, reading->form);
    sqlite3_bind_int64(write, 6, reading->stamp_s);
    sqlite3_bind_int64(write, 7, received_us);
    sqlite3_bind_int64(write, 8, (int64_t)reading->life_kwh);
    sqlite3_bind_int64(write, 9, reading->month);
    sqlite3_bind_int64(write, 10, (int64_t)reading->month_kwh);
    sqlite3_bind_text(write, 11, hours, -1, SQLITE_STATIC);
    mmi_hq_run(self, write);
}

// The original's meters have no number of their own messages: the id within the site is all there is.
static int64_t put_meter(mm_store_t *self, int64_t site_id, const mm_legacy_reading_t *reading, int64_t received_us) {
    sqlite3_stmt *find = mmi_hq_statement(self, MMI_HQ_LEGACY_METER_FIND);
    if (find == NULL) {
        return 0;
    }
    sqlite3_bind_int64(find, 1, site_id);
    sqlite3_bind_text(find, 2, reading->id, -1, SQLITE_STATIC);
    if (!mmi_hq_row(self, find)) {
        write_meter(self, MMI_HQ_LEGACY_METER_ADD, site_id, reading, received_us);
        return mmi_hq_failed(self) ? 0 : sqlite3_last_insert_rowid(self->db);
    }
    int64_t id = sqlite3_column_int64(find, 0);
    int64_t known_stamp_s = sqlite3_column_int64(find, 1);
    uint64_t known_life_kwh = (uint64_t)sqlite3_column_int64(find, 2);
    sqlite3_reset(find);
    // An older reading is stored but never replaces a newer one; without clocks the register decides.
    bool newer = reading->stamp_s > 0 && known_stamp_s > 0 ? reading->stamp_s >= known_stamp_s
                                                           : reading->life_kwh >= known_life_kwh;
    if (newer) {
        write_meter(self, MMI_HQ_LEGACY_METER_WRITE, site_id, reading, received_us);
    }
    return id;
}

mm_store_result_t mm_store_put_legacy(mm_store_t *self, const char *site, const mm_legacy_reading_t *reading,
                                      const void *bytes, size_t bytes_count, int64_t received_us) {
    MM_ASSERT(self->in_transaction);
    int64_t site_id = mmi_hq_site(self, site);
    int64_t meter_id = put_meter(self, site_id, reading, received_us);
    sqlite3_stmt *add = mmi_hq_statement(self, MMI_HQ_LEGACY_READING_ADD);
    if (add == NULL) {
        return mmi_hq_result(self);
    }
    // As for records, the key comes from the message itself: sent twice, stored once.
    sqlite3_bind_int64(add, 1, reading->stamp_s / MMI_HQ_SECONDS_PER_DAY);
    sqlite3_bind_int64(add, 2, meter_id);
    sqlite3_bind_int64(add, 3, reading->stamp_s);
    sqlite3_bind_int64(add, 4, mm_crc32(0, bytes, bytes_count));
    sqlite3_bind_int64(add, 5, reading->form);
    sqlite3_bind_int64(add, 6, received_us);
    sqlite3_bind_blob(add, 7, bytes, (int)bytes_count, SQLITE_STATIC);
    if (mmi_hq_run(self, add)) {
        if (sqlite3_changes(self->db) == 1) {
            self->transaction.legacy_readings++;
        } else {
            self->transaction.duplicates++;
        }
    }
    return mmi_hq_result(self);
}

mm_store_result_t mm_store_put_notice(mm_store_t *self, const char *topic, const void *bytes, size_t bytes_count,
                                      int64_t received_us) {
    MM_ASSERT(self->in_transaction);
    sqlite3_stmt *add = mmi_hq_statement(self, MMI_HQ_NOTICE_ADD);
    if (add == NULL) {
        return mmi_hq_result(self);
    }
    sqlite3_bind_int64(add, 1, received_us);
    sqlite3_bind_text(add, 2, topic, -1, SQLITE_STATIC);
    sqlite3_bind_blob(add, 3, bytes, (int)bytes_count, SQLITE_STATIC);
    if (mmi_hq_run(self, add)) {
        int64_t oldest_kept = sqlite3_last_insert_rowid(self->db) - MM_NOTICE_ROWS_MAX;
        sqlite3_stmt *trim = oldest_kept > 0 ? mmi_hq_statement(self, MMI_HQ_NOTICE_TRIM) : NULL;
        if (trim != NULL) {
            sqlite3_bind_int64(trim, 1, oldest_kept);
            mmi_hq_run(self, trim);
        }
    }
    return mmi_hq_result(self);
}
