// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "journal_internal.h"
#include "meshmeter/bytes.h"

// A sector that does not answer at once is asked again before what it holds counts as lost.
#define SCAN_ATTEMPTS 3

typedef struct {
    uint32_t epoch_max; // of every header found, whatever else is wrong with it
    uint32_t read_error_count;
} survey_t;

static bool is_marked_blank(const mm_journal_t *self, uint32_t index) {
    uint32_t erase_count;
    uint32_t end_bytes;
    return mmi_journal_read_mark(self, index, &erase_count) &&
           mmi_journal_used_end(self, index, MMI_JOURNAL_MARK_BYTES, &end_bytes) == MM_OK &&
           end_bytes == MMI_JOURNAL_MARK_BYTES;
}

static void survey_sector(mm_journal_t *self, uint32_t index, survey_t *survey) {
    mm_journal_sector_t *sector = &self->sectors[index];
    mmi_journal_header_t header;
    mm_err_t err = MM_ERR_STORAGE;
    for (int attempt = 0; attempt < SCAN_ATTEMPTS && err == MM_ERR_STORAGE; attempt++) {
        err = mmi_journal_read_header(self, index, &header);
    }
    if (err == MM_ERR_STORAGE) {
        survey->read_error_count++;
        sector->state = MM_JOURNAL_SECTOR_RETIRED;
        mm_counters_count(self->counters, MM_COUNTER_JOURNAL_SECTOR_RETIRED);
        return;
    }
    if (err != MM_OK) {
        sector->state = is_marked_blank(self, index) ? MM_JOURNAL_SECTOR_ERASED : MM_JOURNAL_SECTOR_GARBAGE;
        sector->end_bytes = MMI_JOURNAL_MARK_BYTES;
        return;
    }
    if (header.epoch > survey->epoch_max) {
        survey->epoch_max = header.epoch;
        self->next_generation = 1;
        // Sectors of earlier epochs are past.
        for (uint32_t earlier = 0; earlier < index; earlier++) {
            if (self->sectors[earlier].state == MM_JOURNAL_SECTOR_USED) {
                self->sectors[earlier].state = MM_JOURNAL_SECTOR_GARBAGE;
            }
        }
    }
    if (header.foreign || header.epoch < survey->epoch_max) {
        return;
    }
    *sector = (mm_journal_sector_t){.state = MM_JOURNAL_SECTOR_USED,
                                    .generation = header.generation,
                                    .base_seq = header.base_seq,
                                    .end_bytes = MMI_JOURNAL_DATA_OFFSET};
    if (header.generation >= self->next_generation) {
        self->next_generation = header.generation + 1;
        self->head_index = index;
        self->watermark.seq = header.watermark_seq;
    }
}

// Along the ring, from behind the head round to it, the order of use must rise. A sector that does not fit in is left
// over from an earlier round, because it could not be erased.
static void drop_stale(mm_journal_t *self) {
    uint32_t generation = 0;
    uint32_t base_seq = 0;
    for (uint32_t distance = 1; distance <= self->sector_count; distance++) {
        mm_journal_sector_t *sector = &self->sectors[(self->head_index + distance) % self->sector_count];
        if (sector->state != MM_JOURNAL_SECTOR_USED) {
            continue;
        }
        if (sector->generation <= generation || sector->base_seq < base_seq) {
            sector->state = MM_JOURNAL_SECTOR_GARBAGE;
            continue;
        }
        generation = sector->generation;
        base_seq = sector->base_seq;
    }
}

static void note_internal(mm_journal_t *self, const mm_journal_entry_t *entry) {
    mm_reader_t reader = mm_reader(entry->payload, entry->payload_bytes);
    uint8_t kind = mm_get_u8(&reader);
    if (kind == MMI_JOURNAL_NOTE_WATERMARK) {
        uint32_t watermark_seq = mm_get_u32(&reader);
        self->watermark.seq = reader.failed ? self->watermark.seq : watermark_seq;
    } else if (kind == MMI_JOURNAL_NOTE_THINNING) {
        mm_journal_thinning_t thinning = {.active = true, .noted = true, .begin_seq = entry->position.seq};
        thinning.mode = mm_get_u8(&reader);
        thinning.generation = mm_get_u32(&reader);
        thinning.watermark_seq = mm_get_u32(&reader);
        if (!reader.failed) {
            self->thinning = thinning;
        }
    }
}

static void note_gap(mm_journal_t *self, const mm_journal_entry_t *entry) {
    mm_record_t record;
    if (entry->type != MM_RECORD_GAP ||
        mm_record_decode(entry->type, entry->payload, entry->payload_bytes, &record) != MM_OK ||
        record.gap.epoch != self->epoch || record.gap.last_seq >= entry->position.seq) {
        return;
    }
    if (record.gap.reason == MM_GAP_THINNED || record.gap.reason == MM_GAP_FULL) {
        if (record.gap.last_seq > self->thinned_through_seq) {
            self->thinned_through_seq = record.gap.last_seq;
        }
        if (record.gap.reason == MM_GAP_FULL && record.gap.last_seq > self->full_through_seq) {
            self->full_through_seq = record.gap.last_seq;
        }
    }
}

// Read one sector's records: where it ends, what is damaged, and what the journal said in it about itself.
static mm_err_t scan_sector(mm_journal_t *self, uint32_t index, uint32_t limit_seq) {
    mm_journal_sector_t *sector = &self->sectors[index];
    uint32_t offset_bytes = MMI_JOURNAL_DATA_OFFSET;
    uint32_t end_bytes = MMI_JOURNAL_DATA_OFFSET;
    uint32_t expected_seq = sector->base_seq;
    bool refused = false;
    mm_journal_entry_t entry;
    sector->damaged_count = 0;
    sector->repeated = false;
    uint32_t used_bytes;
    mm_err_t err = mmi_journal_used_end(self, index, MMI_JOURNAL_DATA_OFFSET, &used_bytes);
    // A record may repeat the last seq, never an earlier one.
    while (mmi_journal_find_record(self, index, used_bytes,
                                   expected_seq > sector->base_seq ? expected_seq - 1 : expected_seq, &offset_bytes,
                                   &entry, &refused)) {
        end_bytes = offset_bytes;
        if (entry.type == MM_RECORD_NONE) {
            note_internal(self, &entry);
            continue;
        }
        if (entry.position.seq < expected_seq) {
            sector->repeated = true;
            continue;
        }
        if (entry.position.seq >= limit_seq) {
            continue;
        }
        sector->damaged_count = (uint16_t)(sector->damaged_count + (entry.position.seq - expected_seq));
        expected_seq = entry.position.seq + 1;
        mmi_journal_note_thinned(self, &entry);
        note_gap(self, &entry);
    }
    sector->count = (uint16_t)(expected_seq - sector->base_seq);
    // A record may end in bytes that look blank.
    end_bytes = used_bytes > end_bytes ? used_bytes : end_bytes;
    sector->end_bytes = (uint16_t)((end_bytes + 3) & ~UINT32_C(3));
    return refused ? MM_ERR_STORAGE : err;
}

static void scan(mm_journal_t *self) {
    // While notes are read, the end is not known.
    self->next_seq = UINT32_MAX;
    mm_err_t err;
    uint32_t index = mmi_journal_oldest_index(self);
    do {
        const mm_journal_thinning_t thinning = self->thinning;
        int attempts_left = SCAN_ATTEMPTS;
        do {
            self->thinning = thinning;
            err = scan_sector(self, index, mmi_journal_limit_seq(self, index));
        } while (err != MM_OK && --attempts_left > 0);
    } while (mmi_journal_next_index(self, &index));
    mm_journal_sector_t *head = &self->sectors[self->head_index];
    self->next_seq = head->base_seq + head->count;
    if (err != MM_OK) {
        // Records may stand where the head does not answer: none of their seqs may be used again.
        self->next_seq = head->base_seq + MMI_JOURNAL_SEQ_SPAN;
        head->end_bytes = MM_FLASH_SECTOR_BYTES;
    }
    self->noted_watermark_seq = self->watermark.seq;
    if (self->watermark.seq >= self->next_seq) {
        self->watermark.seq = self->next_seq - 1;
    }
}

// Sectors of which everything is replaced: the power failed before or inside their erase.
static void drop_replaced(mm_journal_t *self) {
    uint32_t index = mmi_journal_oldest_index(self);
    while (index != self->head_index && mmi_journal_limit_seq(self, index) - 1 <= self->thinned_through_seq) {
        self->sectors[index].state = MM_JOURNAL_SECTOR_GARBAGE;
        index = mmi_journal_oldest_index(self);
    }
    self->thinning.active = self->thinning.active && mmi_journal_thinned_index(self, &index);
}

// What is released need not be readable: a power cut inside the erase of such a sector is no damage.
static uint32_t count_damaged(const mm_journal_t *self) {
    uint32_t released_seq = self->watermark.seq;
    uint32_t count = 0;
    uint32_t index = mmi_journal_oldest_index(self);
    do {
        const mm_journal_sector_t *sector = &self->sectors[index];
        uint32_t limit_seq = mmi_journal_limit_seq(self, index);
        uint32_t missing_count = sector->damaged_count + (limit_seq - sector->base_seq - sector->count);
        if (missing_count == 0 || limit_seq - 1 <= released_seq) {
            continue;
        }
        uint32_t from_seq = sector->base_seq > released_seq ? sector->base_seq : released_seq + 1;
        count += limit_seq - from_seq - mmi_journal_count_records(self, index, from_seq, limit_seq);
    } while (mmi_journal_next_index(self, &index));
    return count;
}

// A record that was torn at its very end may read well now and badly later. The last one is written once more, so that
// what was accepted stays accepted.
static void settle_last(mm_journal_t *self) {
    mm_journal_sector_t *head = &self->sectors[self->head_index];
    uint32_t offset_bytes = MMI_JOURNAL_DATA_OFFSET;
    uint32_t seq = head->base_seq;
    mm_journal_entry_t last = {.type = MM_RECORD_NONE};
    mm_journal_entry_t entry;
    while (mmi_journal_next_in_sector(self, self->head_index, seq, &offset_bytes, &entry, NULL)) {
        seq = entry.position.seq + 1;
        last = entry;
    }
    uint32_t record_bytes = mmi_journal_record_bytes(last.payload_bytes);
    if (last.type == MM_RECORD_NONE || mmi_journal_head_free_bytes(self) < record_bytes) {
        return;
    }
    head->repeated = true;
    offset_bytes = head->end_bytes;
    head->end_bytes = (uint16_t)(offset_bytes + record_bytes);
    (void)mmi_journal_write_record(self, self->head_index, offset_bytes, last.position.seq, last.type, last.payload,
                                   last.payload_bytes);
}

// Begin at this position in a sector of its own.
static mm_err_t begin_at(mm_journal_t *self, mm_position_t first) {
    for (uint32_t index = 0; index < self->sector_count; index++) {
        if (self->sectors[index].state == MM_JOURNAL_SECTOR_USED) {
            self->sectors[index].state = MM_JOURNAL_SECTOR_GARBAGE;
        }
    }
    self->epoch = first.epoch;
    self->next_seq = first.seq;
    self->watermark = (mm_position_t){first.epoch, 0};
    // Behind the last head, for even wear. The epoch must stand in flash before it is used.
    for (uint32_t attempt = 0; attempt < self->sector_count; attempt++) {
        self->head_index = (self->head_index + 1) % self->sector_count;
        if (self->sectors[self->head_index].state == MM_JOURNAL_SECTOR_RETIRED ||
            mmi_journal_erase(self, self->head_index) != MM_OK) {
            continue;
        }
        uint32_t erased_index = self->head_index;
        self->head_index = (erased_index + self->sector_count - 1) % self->sector_count;
        if (mmi_journal_open_sector(self) == MM_OK) {
            return MM_OK;
        }
        self->head_index = erased_index;
    }
    self->read_only = true;
    return MM_ERR_STORAGE;
}

// Of the epoch before, when a new one begins.
static mm_position_t last_known(const survey_t *survey, mm_position_t expected_next) {
    if (expected_next.epoch != 0 && expected_next.epoch >= survey->epoch_max) {
        return (mm_position_t){expected_next.epoch, expected_next.seq == 0 ? 0 : expected_next.seq - 1};
    }
    return (mm_position_t){survey->epoch_max, 0};
}

// All that is known of this epoch is in sectors that do not answer now: go on behind it, so that it is there again when
// they do. A sector takes at least one seq, so no generation is larger than seqs and failed sectors together.
static mm_err_t go_on_behind_silence(mm_journal_t *self, const survey_t *survey, mm_position_t expected_next,
                                     mm_journal_opening_t *opening) {
    opening->lost = true;
    self->next_generation = expected_next.seq + survey->read_error_count * self->sector_count;
    return begin_at(self, expected_next);
}

static void apply_expected(mm_journal_t *self, mm_position_t expected_next, mm_journal_opening_t *opening) {
    if (expected_next.epoch == self->epoch && expected_next.seq > self->next_seq) {
        opening->lost = true;
        opening->damaged_count += expected_next.seq - self->next_seq;
        self->next_seq = expected_next.seq;
    }
}

mm_err_t mm_journal_open(mm_journal_t *self, const mm_flash_t *flash, mm_counters_t *counters,
                         const mm_journal_options_t *options, mm_journal_opening_t *opening) {
    MM_ASSERT(options->sector_count >= MM_JOURNAL_SECTORS_MIN && options->sector_count <= MM_JOURNAL_SECTORS_MAX &&
              options->sector_count <= flash->sector_count);
    memset(self, 0, sizeof *self);
    memset(opening, 0, sizeof *opening);
    self->flash = flash;
    self->counters = counters;
    self->sector_count = options->sector_count;
    self->next_generation = 1;
    self->head_index = self->sector_count - 1;
    self->watermark_recovered = true;

    survey_t survey = {0};
    for (uint32_t index = 0; index < self->sector_count; index++) {
        survey_sector(self, index, &survey);
    }
    if (survey.read_error_count == self->sector_count) {
        self->read_only = true;
        return MM_ERR_STORAGE;
    }
    mm_position_t expected_next = options->expected_next;
    if (self->sectors[self->head_index].state != MM_JOURNAL_SECTOR_USED || expected_next.epoch > survey.epoch_max) {
        if (survey.read_error_count > 0 && expected_next.epoch > survey.epoch_max && expected_next.seq != 0) {
            return go_on_behind_silence(self, &survey, expected_next, opening);
        }
        uint32_t epoch = survey.epoch_max > expected_next.epoch ? survey.epoch_max : expected_next.epoch;
        opening->previous_last = last_known(&survey, expected_next);
        opening->restarted = epoch != 0;
        mm_counters_add(counters, MM_COUNTER_JOURNAL_RESTARTED, opening->restarted ? 1 : 0);
        bool virgin = epoch == 0 && options->first_epoch != 0;
        return begin_at(self, (mm_position_t){virgin ? options->first_epoch : epoch + 1, 1});
    }
    self->epoch = survey.epoch_max;
    self->watermark.epoch = self->epoch;
    // A sector that did not answer may be the true head. When it answers again, what is written now must come behind
    // it.
    self->next_generation += survey.read_error_count * self->sector_count;
    drop_stale(self);
    scan(self);
    drop_replaced(self);
    opening->damaged_count = count_damaged(self);
    if (!mm_journal_answers(self)) {
        // It fell silent on the way: nobody knows what stands in it. Better opened again than gone on with.
        memset(opening, 0, sizeof *opening);
        self->read_only = true;
        return MM_ERR_STORAGE;
    }
    apply_expected(self, expected_next, opening);
    settle_last(self);
    if (self->thinning.active) {
        (void)mmi_journal_continue_thinning(self); // stays hidden until a prepare can finish it
    }
    mm_counters_add(counters, MM_COUNTER_JOURNAL_RECORD_DAMAGED, opening->damaged_count);
    self->gaps_due = opening->damaged_count != 0;
    return MM_OK;
}
