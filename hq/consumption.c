// SPDX-License-Identifier: Apache-2.0
#include "vending_internal.h"

#include "store_query.h"

#include "meshmeter/frame.h"

#include <string.h>

/// Goes through a meter's records in the order in which the node made them.
typedef struct {
    sqlite3 *db;
    int64_t node_id;
    uint8_t channel;
    uint32_t pulse_constant; ///< now
    uint64_t base_pulses;    ///< consumption behind it is not yet in fixed_wh
    int64_t fixed_wh;        ///< of the open prepayment
    mmi_hq_consumption_t *result;
} fold_t;

enum {
    ROW_MOVEMENT,
    ROW_CHANGE,
};

static int64_t used_wh(const fold_t *self, uint64_t life_pulses) {
    if (self->pulse_constant == 0) {
        return self->fixed_wh; // out of use
    }
    uint64_t pulses = life_pulses > self->base_pulses ? life_pulses - self->base_pulses : 0;
    return self->fixed_wh + (int64_t)mm_query_pulses_wh(pulses, self->pulse_constant);
}

// The open prepayment is over at this register, or its era was lost and it was booked what had been used.
static bool close_prepayment(fold_t *self, uint64_t life_pulses) {
    int64_t used = used_wh(self, life_pulses);
    mmi_sql_t query = mmi_sql_begin(self->db, "SELECT consumed_wh FROM credit_loss WHERE node = ? AND channel = ?"
                                              " AND era = ?");
    mmi_sql_put_integer(&query, self->node_id);
    mmi_sql_put_integer(&query, self->channel);
    mmi_sql_put_integer(&query, self->result->era);
    int64_t booked = used;
    bool good = mmi_sql_value(&query, used, &booked);
    self->result->consumed_wh += booked;
    self->result->open = false;
    return good;
}

static bool take_movement(fold_t *self, int movement, uint32_t era, int64_t amount_wh, uint64_t life_pulses) {
    mmi_hq_consumption_t *result = self->result;
    bool good = true;
    if (movement == MM_MOVEMENT_PREPAID) {
        if (result->open && era == result->era) {
            result->consumed_wh += used_wh(self, life_pulses);
        } else if (result->open) {
            good = close_prepayment(self, result->life_pulses);
        }
        result->open = true;
        result->era = era;
        result->open_wh = 0;
        self->fixed_wh = 0;
        self->base_pulses = life_pulses;
    }
    if (result->open && era == result->era) {
        result->open_wh += amount_wh;
        result->life_pulses = life_pulses;
        if (movement == MM_MOVEMENT_POSTPAID) {
            result->consumed_wh += used_wh(self, life_pulses);
            result->open = false;
        }
    }
    return good;
}

static void take_change(fold_t *self, uint32_t constant_before, uint32_t constant_after, uint64_t life_before,
                        uint64_t life_after) {
    self->pulse_constant = constant_before;
    self->fixed_wh = used_wh(self, life_before);
    self->base_pulses = life_after;
    self->pulse_constant = constant_after;
    self->result->life_pulses = life_after;
}

// The constant before anything changed it.
static bool first_constant(fold_t *self) {
    int64_t constant = self->pulse_constant;
    mmi_sql_t query = mmi_sql_begin(
        self->db, "SELECT constant FROM (SELECT epoch, seq, value1 AS constant FROM event WHERE node = ?1"
                  " AND code = 6 AND value0 = ?2 UNION ALL SELECT epoch, seq, constant_before FROM meter_change"
                  " WHERE node = ?1 AND channel = ?2) WHERE constant > 0 ORDER BY epoch, seq LIMIT 1");
    mmi_sql_put_integer(&query, self->node_id);
    mmi_sql_put_integer(&query, self->channel);
    bool good = mmi_sql_value(&query, constant, &constant);
    self->pulse_constant = (uint32_t)constant;
    return good;
}

static bool fold(fold_t *self) {
    bool good = first_constant(self);
    mmi_sql_t rows = mmi_sql_begin(
        self->db, "SELECT epoch, seq, 0, movement, era, amount_wh, life_pulses FROM movement WHERE node = ?1"
                  " AND channel = ?2 AND match <> 'copy' UNION ALL"
                  " SELECT epoch, seq, 1, value1, value2, value3, value3 FROM event WHERE node = ?1 AND code = 6"
                  " AND value0 = ?2 UNION ALL"
                  " SELECT epoch, seq, 1, constant_before, constant_after, life_before, life_after FROM meter_change"
                  " WHERE node = ?1 AND channel = ?2 ORDER BY 1, 2");
    mmi_sql_put_integer(&rows, self->node_id);
    mmi_sql_put_integer(&rows, self->channel);
    while (good && mmi_sql_row(&rows)) {
        if (mmi_sql_integer(&rows, 2) == ROW_MOVEMENT) {
            good = take_movement(self, (int)mmi_sql_integer(&rows, 3), (uint32_t)mmi_sql_integer(&rows, 4),
                                 mmi_sql_integer(&rows, 5), (uint64_t)mmi_sql_integer(&rows, 6));
        } else {
            take_change(self, (uint32_t)mmi_sql_integer(&rows, 3), (uint32_t)mmi_sql_integer(&rows, 4),
                        (uint64_t)mmi_sql_integer(&rows, 5), (uint64_t)mmi_sql_integer(&rows, 6));
        }
    }
    return mmi_sql_end(&rows) && good;
}

bool mmi_hq_consumption(sqlite3 *db, int64_t node_id, uint8_t channel, uint64_t life_pulses, uint32_t pulse_constant,
                        mmi_hq_consumption_t *consumption) {
    fold_t self = {
        .db = db, .node_id = node_id, .channel = channel, .pulse_constant = pulse_constant, .result = consumption};
    memset(consumption, 0, sizeof *consumption);
    if (!fold(&self)) {
        return false;
    }
    if (!consumption->open) {
        return true;
    }
    // A register that is behind the records is of a node that began anew, or of an old report.
    uint64_t newest_pulses = life_pulses > consumption->life_pulses ? life_pulses : consumption->life_pulses;
    consumption->open_consumed_wh = used_wh(&self, newest_pulses);
    int64_t before_wh = consumption->consumed_wh;
    if (!close_prepayment(&self, newest_pulses)) {
        return false;
    }
    consumption->open = true;
    consumption->open_consumed_wh = consumption->consumed_wh - before_wh;
    return true;
}

bool mmi_hq_registers(sqlite3 *db, int64_t node_id, uint64_t life_pulses[MM_CHANNELS],
                      uint32_t pulse_constants[MM_CHANNELS]) {
    mm_frame_t frame;
    mm_report_reader_t reader;
    mm_snapshot_t snapshot;
    mm_record_view_t view;
    memset(life_pulses, 0, MM_CHANNELS * sizeof *life_pulses);
    memset(pulse_constants, 0, MM_CHANNELS * sizeof *pulse_constants);
    mmi_sql_t query = mmi_sql_begin(db, "SELECT frame FROM snapshot WHERE node = ?");
    mmi_sql_put_integer(&query, node_id);
    if (mmi_sql_row(&query)) {
        size_t bytes_count;
        const void *bytes = mmi_sql_bytes(&query, 0, &bytes_count);
        if (mm_frame_open(bytes, bytes_count, &frame) == MM_OK && mm_report_open(&frame, &reader) == MM_OK &&
            mm_report_next(&reader, &snapshot, &view) == MM_REPORT_SNAPSHOT) {
            for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
                life_pulses[channel] = snapshot.meters[channel].life_pulses;
                pulse_constants[channel] = snapshot.meters[channel].pulse_constant;
            }
        }
    }
    return mmi_sql_end(&query);
}
