// SPDX-License-Identifier: Apache-2.0
#include "journal_internal.h"
#include "meshmeter/bytes.h"

// Thinning replaces the unreleased records of the oldest sector by fewer ones at the head: a note that it begins,
// interval records summed up, the others as they are, and last a gap record. Only that last record makes it count;
// until then all of it is hidden, and after a power cut it goes on behind what is already there. What was already
// written is found by content: each interval record says up to which seq it stands for others.

typedef enum {
    MODE_GENTLE = 0, // 15 min to 1 h, what was thinned before to 1 day
    MODE_DAYS,       // all to 1 day
    MODE_GIVE_UP_INTERVALS,
    MODE_GIVE_UP_EVENTS, // month closings are left
    MODE_GIVE_UP_ALL,
    MODE_COUNT
} thinning_mode_t;

// A sector must not come out larger than this, so that each round makes room for new records.
#define THINNED_BYTES_MAX ((MM_FLASH_SECTOR_BYTES - MMI_JOURNAL_DATA_OFFSET) * 3 / 4)

// After so many attempts in a row, what flash does not answer about counts as damaged.
#define FAILURES_MAX 3

#define HOUR_S 3600u
#define DAY_S 86400u

// One pass over the sector, either to write or only to know how much would be written.
typedef struct {
    mm_journal_t *journal;
    uint32_t sector_index;
    uint32_t first_seq; // unreleased ones of the sector
    uint32_t last_seq;
    thinning_mode_t mode;
    bool dry;
    bool careful;            // what the device does not answer about must not count as missing
    uint32_t bytes;          // dry: needed
    uint32_t replaced_count; // interval records that lose their own place
    mm_err_t err;
    bool has_sum;
    mm_interval_record_t sum; // interval records joined so far
} pass_t;

typedef struct {
    uint32_t offset_bytes;
    uint32_t seq;
    mm_journal_entry_t entry;
} walk_t;

static walk_t walk(const pass_t *pass) {
    return (walk_t){.offset_bytes = MMI_JOURNAL_DATA_OFFSET, .seq = pass->first_seq};
}

static bool walk_next(pass_t *pass, walk_t *walk) {
    bool refused = false;
    if (pass->err != MM_OK) {
        return false;
    }
    bool found = mmi_journal_next_in_sector(pass->journal, pass->sector_index, walk->seq, &walk->offset_bytes,
                                            &walk->entry, &refused);
    if (refused && pass->careful) {
        pass->err = MM_ERR_STORAGE;
    }
    if (!found || pass->err != MM_OK) {
        return false;
    }
    walk->seq = walk->entry.position.seq + 1;
    return true;
}

// Apart, as are the passes below: a record or an entry must not lie on the stack while another one is read.
static MM_APART bool get_interval(const mm_journal_entry_t *entry, mm_interval_record_t *interval) {
    mm_record_t record;
    if (entry->type != MM_RECORD_INTERVAL ||
        mm_record_decode(entry->type, entry->payload, entry->payload_bytes, &record) != MM_OK) {
        return false;
    }
    *interval = record.interval;
    return true;
}

static void put(pass_t *pass, uint8_t type, const void *payload, size_t payload_bytes) {
    if (pass->dry) {
        pass->bytes += mmi_journal_record_bytes(payload_bytes);
    } else if (pass->err == MM_OK) {
        pass->err = mmi_journal_place(pass->journal, type, payload, payload_bytes);
    }
}

static void put_record(pass_t *pass, const mm_record_t *record) {
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
    mm_writer_t writer = mm_writer(payload, sizeof payload);
    mm_record_encode(record, &writer);
    MM_ASSERT(!writer.failed);
    put(pass, record->type, payload, writer.used_bytes);
}

static void put_sum(pass_t *pass) {
    if (!pass->has_sum) {
        return;
    }
    mm_record_t record = {.type = MM_RECORD_INTERVAL, .interval = pass->sum};
    put_record(pass, &record);
    pass->has_sum = false;
    if (!pass->dry && pass->err == MM_OK) {
        pass->journal->thinning.through_seq = pass->sum.thinned_last_seq;
        pass->journal->thinning.carried_count = 0;
    }
}

static MM_APART uint64_t bucket(const mm_interval_record_t *interval, uint32_t bucket_s) {
    // An interval that ends at the full hour belongs to the hour before.
    return interval->end.seconds == 0 ? 0 : (interval->end.seconds - 1) / bucket_s;
}

static bool can_join(const mm_interval_record_t *sum, const mm_interval_record_t *next, uint32_t bucket_s) {
    if (next->end.trust != sum->end.trust || next->end.seconds <= sum->end.seconds ||
        bucket(next, bucket_s) != bucket(sum, bucket_s)) {
        return false;
    }
    // Labels of two boots cannot be compared while they count uptime.
    if (next->end.trust == MM_TRUST_UNSET && next->restarted) {
        return false;
    }
    // A record in between that cannot be read must not seem to be in the sum.
    if (next->interval_no <= sum->interval_no || next->thinned_first_seq != sum->thinned_last_seq + 1 ||
        next->duration_s > UINT32_MAX - sum->duration_s) {
        return false;
    }
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (next->pulses[channel] > UINT32_MAX - sum->pulses[channel]) {
            return false;
        }
    }
    return true;
}

static void join(pass_t *pass, const mm_interval_record_t *next, uint32_t bucket_s) {
    pass->replaced_count++;
    mm_interval_record_t *sum = &pass->sum;
    if (!pass->has_sum || !can_join(sum, next, bucket_s)) {
        put_sum(pass);
        *sum = *next;
        sum->thinned = true;
        pass->has_sum = true;
        return;
    }
    sum->interval_no = next->interval_no;
    sum->end = next->end;
    sum->duration_s += next->duration_s;
    sum->restarted = sum->restarted || next->restarted;
    sum->thinned_last_seq = next->thinned_last_seq;
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        sum->pulses[channel] += next->pulses[channel];
    }
}

// Interval records that were thinned before; they name seqs before this sector.
static MM_APART void pass_thinned(pass_t *pass) {
    uint32_t through_seq = pass->journal->thinning.through_seq;
    mm_interval_record_t interval;
    walk_t at = walk(pass);
    if (through_seq >= pass->journal->sectors[pass->sector_index].base_seq) {
        return; // all of them are done
    }
    bool found = false;
    walk_t start = at;
    while (through_seq != 0 && !found && walk_next(pass, &start)) {
        found = get_interval(&start.entry, &interval) && interval.thinned && interval.thinned_last_seq == through_seq;
    }
    at = found ? start : at;
    while (walk_next(pass, &at)) {
        if (get_interval(&at.entry, &interval) && interval.thinned) {
            join(pass, &interval, DAY_S);
        }
    }
    put_sum(pass);
}

// Original interval records. Each stands for itself and for what lies between it and the one before, so that sums of
// neighbours join without a hole; only a record that cannot be read leaves one.
static MM_APART void pass_originals(pass_t *pass) {
    uint32_t through_seq = pass->journal->thinning.through_seq;
    uint32_t from_seq = through_seq >= pass->first_seq ? through_seq + 1 : pass->first_seq;
    walk_t at = walk(pass);
    at.seq = from_seq;
    uint32_t expected_seq = from_seq;
    while (walk_next(pass, &at)) {
        uint32_t seq = at.entry.position.seq;
        if (seq != expected_seq) {
            from_seq = seq;
        }
        expected_seq = seq + 1;
        mm_interval_record_t interval;
        if (get_interval(&at.entry, &interval) && !interval.thinned) {
            interval.thinned_first_seq = from_seq;
            interval.thinned_last_seq = seq;
            from_seq = seq + 1;
            join(pass, &interval, pass->mode == MODE_GENTLE ? HOUR_S : DAY_S);
        }
    }
    if (pass->has_sum && from_seq < expected_seq && pass->sum.thinned_last_seq + 1 == from_seq) {
        pass->sum.thinned_last_seq = expected_seq - 1;
    }
    put_sum(pass);
}

static MM_APART bool is_carried(const pass_t *pass, const mm_journal_entry_t *entry) {
    mm_interval_record_t interval;
    mm_record_t record;
    switch (entry->type) {
    case MM_RECORD_INTERVAL:
        return !get_interval(entry, &interval) && pass->mode < MODE_GIVE_UP_INTERVALS;
    case MM_RECORD_GAP:
        // What a gap record of thinning says, the one that completes this thinning says again.
        return pass->mode < MODE_GIVE_UP_ALL &&
               (mm_record_decode(entry->type, entry->payload, entry->payload_bytes, &record) != MM_OK ||
                record.gap.epoch != pass->journal->epoch || record.gap.reason == MM_GAP_DAMAGED);
    case MM_RECORD_MONTH_CLOSING:
    case MM_RECORD_CREDIT:       // money
    case MM_RECORD_RESULT:       // a command would never end at HQ
    case MM_RECORD_INSTALLATION: // a node would wait for its confirmation
        return pass->mode < MODE_GIVE_UP_ALL;
    default:
        return pass->mode < MODE_GIVE_UP_EVENTS;
    }
}

// Whatever this pass carries, in an order that depends on the sector only: a continued thinning counts what is there.
static bool take_turn(pass_t *pass, uint32_t *skip_count) {
    if (*skip_count > 0) {
        (*skip_count)--;
        return false;
    }
    return pass->err == MM_OK;
}

static void count_carried(pass_t *pass) {
    if (!pass->dry && pass->err == MM_OK) {
        pass->journal->thinning.carried_count++;
    }
}

static MM_APART void put_gap(pass_t *pass, uint32_t first_seq, uint32_t last_seq, mm_gap_reason_t reason) {
    mm_record_t record = {
        .type = MM_RECORD_GAP,
        .gap = {
            .epoch = pass->journal->epoch, .first_seq = first_seq, .last_seq = last_seq, .reason = (uint8_t)reason}};
    put_record(pass, &record);
}

// What cannot be read vanishes with the sector, so this is the last time to say so.
static void put_damage(pass_t *pass, uint32_t first_seq, uint32_t last_seq, uint32_t *skip_count) {
    mm_journal_t *journal = pass->journal;
    if (first_seq > last_seq || pass->mode >= MODE_GIVE_UP_ALL ||
        mmi_journal_is_explained(journal, first_seq, last_seq, journal->thinning.begin_seq) ||
        !take_turn(pass, skip_count)) {
        return;
    }
    put_gap(pass, first_seq, last_seq, MM_GAP_DAMAGED);
    count_carried(pass);
}

static void pass_others(pass_t *pass) {
    uint32_t skip_count = pass->journal->thinning.carried_count;
    uint32_t expected_seq = pass->first_seq;
    walk_t at = walk(pass);
    while (walk_next(pass, &at)) {
        put_damage(pass, expected_seq, at.entry.position.seq - 1, &skip_count);
        expected_seq = at.entry.position.seq + 1;
        if (is_carried(pass, &at.entry) && take_turn(pass, &skip_count)) {
            put(pass, at.entry.type, at.entry.payload, at.entry.payload_bytes);
            count_carried(pass);
        }
    }
    put_damage(pass, expected_seq, pass->last_seq, &skip_count);
}

static void pass_gap(pass_t *pass) {
    mm_journal_t *journal = pass->journal;
    uint32_t watermark_seq = journal->thinning.watermark_seq;
    bool gives_up = pass->mode >= MODE_GIVE_UP_INTERVALS;
    // Nothing up to last_seq will come any more, whatever earlier gap records said.
    mm_gap_reason_t reason = gives_up || journal->full_through_seq > watermark_seq ? MM_GAP_FULL : MM_GAP_THINNED;
    put_gap(pass, watermark_seq + 1, pass->last_seq, reason);
    if (!pass->dry && pass->err == MM_OK) {
        journal->thinned_through_seq = pass->last_seq;
        journal->full_through_seq = reason == MM_GAP_FULL ? pass->last_seq : journal->full_through_seq;
        journal->thinning.active = false;
    }
}

static pass_t run(mm_journal_t *journal, uint32_t sector_index, thinning_mode_t mode, bool dry) {
    uint32_t base_seq = journal->sectors[sector_index].base_seq;
    uint32_t watermark_seq = journal->thinning.watermark_seq;
    pass_t pass = {.journal = journal,
                   .sector_index = sector_index,
                   .first_seq = base_seq > watermark_seq ? base_seq : watermark_seq + 1,
                   .last_seq = mmi_journal_limit_seq(journal, sector_index) - 1,
                   .mode = mode,
                   .dry = dry,
                   .careful = journal->thinning_failures < FAILURES_MAX};
    if (mode < MODE_GIVE_UP_INTERVALS) {
        pass_thinned(&pass);
        pass_originals(&pass);
    }
    pass_others(&pass);
    pass_gap(&pass);
    return pass;
}

bool mmi_journal_thinned_index(const mm_journal_t *self, uint32_t *sector_index) {
    uint32_t index = mmi_journal_oldest_index(self);
    if (index == self->head_index || self->sectors[index].generation != self->thinning.generation) {
        return false;
    }
    *sector_index = index;
    return true;
}

static mm_err_t put_note(mm_journal_t *self) {
    uint8_t note[MMI_JOURNAL_NOTE_BYTES_MAX];
    mm_writer_t writer = mm_writer(note, sizeof note);
    mm_put_u8(&writer, MMI_JOURNAL_NOTE_THINNING);
    mm_put_u8(&writer, self->thinning.mode);
    mm_put_u32(&writer, self->thinning.generation);
    mm_put_u32(&writer, self->thinning.watermark_seq);
    return mmi_journal_place(self, MM_RECORD_NONE, note, writer.used_bytes);
}

mm_err_t mmi_journal_continue_thinning(mm_journal_t *self) {
    uint32_t index;
    if (!mmi_journal_thinned_index(self, &index)) {
        self->thinning.active = false;
        return MM_OK;
    }
    if (!self->thinning.noted) {
        mm_err_t err = put_note(self);
        if (err != MM_OK) {
            return err;
        }
        self->thinning.noted = true;
    }
    thinning_mode_t mode = self->thinning.mode < MODE_COUNT ? (thinning_mode_t)self->thinning.mode : MODE_GIVE_UP_ALL;
    // Power cuts on the way may have used up the room that there was at the beginning.
    pass_t pass = run(self, index, mode, true);
    if (pass.err == MM_OK) {
        mode = pass.bytes > mmi_journal_head_free_bytes(self) ? MODE_GIVE_UP_ALL : mode;
        pass = run(self, index, mode, false);
    }
    self->thinning_failures = (uint8_t)(pass.err == MM_OK ? 0 : self->thinning_failures + 1);
    if (pass.err == MM_OK) {
        mm_counters_add(self->counters, MM_COUNTER_JOURNAL_THINNED, pass.replaced_count);
    }
    return pass.err;
}

mm_err_t mmi_journal_begin_thinning(mm_journal_t *self, uint32_t sector_index) {
    uint32_t note_bytes = mmi_journal_record_bytes(MMI_JOURNAL_NOTE_BYTES_MAX);
    uint32_t free_bytes = mmi_journal_head_free_bytes(self);
    if (free_bytes <= note_bytes) {
        return MM_ERR_STORAGE;
    }
    uint32_t room_bytes = free_bytes - note_bytes;
    room_bytes = room_bytes < THINNED_BYTES_MAX ? room_bytes : THINNED_BYTES_MAX;
    mm_journal_thinning_t thinning = {.generation = self->sectors[sector_index].generation,
                                      .begin_seq = self->next_seq,
                                      .watermark_seq = self->watermark.seq};
    self->thinning = thinning;
    for (; self->thinning.mode < MODE_COUNT; self->thinning.mode++) {
        pass_t pass = run(self, sector_index, (thinning_mode_t)self->thinning.mode, true);
        if (pass.err != MM_OK) {
            self->thinning_failures++;
            return pass.err;
        }
        if (pass.bytes <= room_bytes) {
            break;
        }
    }
    if (self->thinning.mode == MODE_COUNT) {
        return MM_ERR_STORAGE;
    }
    // Active before the note is good: one that only seems to have failed must not find other records behind it.
    self->thinning.active = true;
    return mmi_journal_continue_thinning(self);
}

void mmi_journal_note_thinned(mm_journal_t *self, const mm_journal_entry_t *entry) {
    if (!self->thinning.active) {
        return;
    }
    mm_record_t record;
    mm_err_t err = mm_record_decode(entry->type, entry->payload, entry->payload_bytes, &record);
    uint32_t index;
    if (err == MM_OK && entry->type == MM_RECORD_INTERVAL && record.interval.thinned) {
        self->thinning.through_seq = record.interval.thinned_last_seq;
        self->thinning.carried_count = 0;
    } else if (err == MM_OK && entry->type == MM_RECORD_GAP && record.gap.epoch == self->epoch &&
               record.gap.reason != MM_GAP_DAMAGED && mmi_journal_thinned_index(self, &index) &&
               record.gap.last_seq == mmi_journal_limit_seq(self, index) - 1) {
        self->thinning.active = false; // complete
    } else {
        self->thinning.carried_count++;
    }
}
