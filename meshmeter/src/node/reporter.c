// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/reporter.h"

static void put_records(const mm_metering_t *metering, mm_position_t after, mm_report_writer_t *report) {
    mm_journal_hint_t hint = metering->journal->watermark_hint;
    mm_journal_entry_t entry;
    for (;;) {
        if (mm_journal_read_after(metering->journal, after, &hint, &entry) != MM_OK) {
            return;
        }
        if (mm_report_put_record(report, entry.position, entry.type, entry.payload, entry.payload_bytes) != MM_OK) {
            return;
        }
        after = entry.position;
    }
}

size_t mm_report_build(const mm_metering_t *metering, const mm_control_t *control, mm_mac_t source, uint8_t layer,
                       const mm_ask_t *ask, mm_us_t now, void *bytes, size_t capacity_bytes) {
    if (capacity_bytes > ask->report_bytes_max) {
        capacity_bytes = ask->report_bytes_max;
    }
    mm_report_writer_t report;
    mm_report_begin(&report, bytes, capacity_bytes, source, ask->round_id);
    if (ask->with_snapshot) {
        mm_snapshot_t snapshot;
        mm_metering_snapshot(metering, now, &snapshot);
        snapshot.layer = layer;
        (void)mm_report_put_snapshot(&report, &snapshot); // left out when it does not fit, see the header
    }
    if (ask->with_snapshot && control != NULL) {
        mm_control_report_t state;
        mm_control_report(control, now, &state);
        (void)mm_report_put_control(&report, &state); // likewise
    }
    mm_position_t after = ask->after.epoch == 0 ? metering->watermark : ask->after;
    put_records(metering, after, &report);
    return mm_report_finish(&report);
}
