// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/journal.h"

#include "journal_internal.h"
#include "meshmeter/bytes.h"

// Where one record is tried before the device counts as refusing it.
#define PLACE_ATTEMPTS 4
// Attempts in one sector before the next one is taken.
#define SECTOR_ATTEMPTS 2
// Gap records for damage in one prepare; what is left comes with the next one.
#define DAMAGE_GAPS_MAX 8

uint32_t mmi_journal_head_free_bytes(const mm_journal_t *self) {
    const mm_journal_sector_t *head = &self->sectors[self->head_index];
    // Too far from the sector's first seq (records in between are lost): closed, whatever is free in it.
    if (self->next_seq - head->base_seq >= MMI_JOURNAL_SEQ_SPAN || head->state != MM_JOURNAL_SECTOR_USED) {
        return 0;
    }
    return MM_FLASH_SECTOR_BYTES - (uint32_t)head->end_bytes;
}

// Next sector in the order of the ring that can be taken: erased ones lie between the head and the oldest.
static bool find_free(const mm_journal_t *self, uint8_t state, uint32_t *sector_index) {
    uint32_t oldest_index = mmi_journal_oldest_index(self);
    uint32_t index = (self->head_index + 1) % self->sector_count;
    for (; index != oldest_index; index = (index + 1) % self->sector_count) {
        if (self->sectors[index].state == state) {
            *sector_index = index;
            return true;
        }
    }
    return false;
}

static bool has_erased(const mm_journal_t *self) {
    uint32_t index;
    return find_free(self, MM_JOURNAL_SECTOR_ERASED, &index);
}

static mm_err_t take_sector(mm_journal_t *self, uint32_t sector_index) {
    mm_journal_sector_t *sector = &self->sectors[sector_index];
    sector->base_seq = self->next_seq;
    sector->generation = self->next_generation;
    sector->count = 0;
    sector->damaged_count = 0;
    sector->repeated = false;
    sector->end_bytes = MMI_JOURNAL_DATA_OFFSET;
    mm_err_t err = mmi_journal_write_header(self, sector_index);
    if (err == MM_OK) {
        sector->state = MM_JOURNAL_SECTOR_USED;
        self->head_index = sector_index;
        self->noted_watermark_seq = self->watermark.seq;
    }
    return err;
}

mm_err_t mmi_journal_open_sector(mm_journal_t *self) {
    uint32_t index;
    while (find_free(self, MM_JOURNAL_SECTOR_ERASED, &index)) {
        // A moment's weakness of the supply must not cost a sector.
        mm_err_t err = take_sector(self, index);
        if (err != MM_OK && mmi_journal_erase(self, index) == MM_OK) {
            err = take_sector(self, index);
            if (err != MM_OK) {
                self->sectors[index].state = MM_JOURNAL_SECTOR_RETIRED;
                mm_counters_count(self->counters, MM_COUNTER_JOURNAL_SECTOR_RETIRED);
            }
        }
        self->next_generation++;
        if (err == MM_OK) {
            return MM_OK;
        }
    }
    return MM_ERR_STORAGE;
}

mm_err_t mmi_journal_place(mm_journal_t *self, uint8_t type, const void *payload, size_t payload_bytes) {
    uint32_t record_bytes = mmi_journal_record_bytes(payload_bytes);
    for (int attempt = 0; attempt < PLACE_ATTEMPTS; attempt++) {
        bool fits = mmi_journal_head_free_bytes(self) >= record_bytes;
        if ((!fits || attempt == SECTOR_ATTEMPTS) && mmi_journal_open_sector(self) != MM_OK && !fits) {
            return MM_ERR_STORAGE;
        }
        mm_journal_sector_t *head = &self->sectors[self->head_index];
        uint32_t offset_bytes = head->end_bytes;
        // Used up in any case: what was not programmed well is not programmed again.
        head->end_bytes = (uint16_t)(offset_bytes + record_bytes);
        if (mmi_journal_write_record(self, self->head_index, offset_bytes, self->next_seq, type, payload,
                                     payload_bytes) == MM_OK) {
            if (type != MM_RECORD_NONE) {
                self->next_seq++;
                head->count = (uint16_t)(self->next_seq - head->base_seq);
            }
            return MM_OK;
        }
        // It may turn out to be readable later; the last one with this seq counts.
        head->repeated = true;
    }
    return MM_ERR_STORAGE;
}

mm_err_t mmi_journal_place_record(mm_journal_t *self, const mm_record_t *record) {
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
    mm_writer_t writer = mm_writer(payload, sizeof payload);
    mm_record_encode(record, &writer);
    MM_ASSERT(!writer.failed);
    return mmi_journal_place(self, record->type, payload, writer.used_bytes);
}

// Say in flash what is released before released records vanish: after a cut inside the erase they are no damage.
static void note_watermark(mm_journal_t *self) {
    if (self->noted_watermark_seq == self->watermark.seq ||
        mmi_journal_head_free_bytes(self) < mmi_journal_record_bytes(MMI_JOURNAL_NOTE_BYTES_MAX)) {
        return;
    }
    uint8_t note[MMI_JOURNAL_NOTE_BYTES_MAX];
    mm_writer_t writer = mm_writer(note, sizeof note);
    mm_put_u8(&writer, MMI_JOURNAL_NOTE_WATERMARK);
    mm_put_u32(&writer, self->watermark.seq);
    if (mmi_journal_place(self, MM_RECORD_NONE, note, writer.used_bytes) == MM_OK) {
        self->noted_watermark_seq = self->watermark.seq;
    }
}

// The sector holds records that HQ does not have and nothing stands for.
static bool is_needed(const mm_journal_t *self, uint32_t sector_index) {
    uint32_t last_seq = mmi_journal_limit_seq(self, sector_index) - 1;
    return last_seq > self->thinned_through_seq && last_seq > self->watermark.seq;
}

// Get one erased sector behind the head from those that nobody needs; moves no record and takes no seq.
static mm_err_t erase_spare(mm_journal_t *self) {
    uint32_t index;
    while (find_free(self, MM_JOURNAL_SECTOR_GARBAGE, &index)) {
        if (mmi_journal_erase(self, index) == MM_OK) {
            return MM_OK;
        }
    }
    index = mmi_journal_oldest_index(self);
    if (index == self->head_index) {
        return MM_ERR_STORAGE;
    }
    if (is_needed(self, index)) {
        return MM_ERR_STORAGE;
    }
    note_watermark(self);
    return mmi_journal_erase(self, index);
}

static mm_err_t finish_thinning(mm_journal_t *self) {
    uint32_t index;
    if (mmi_journal_continue_thinning(self) == MM_OK) {
        return MM_OK;
    }
    if (mmi_journal_thinned_index(self, &index) && !is_needed(self, index)) {
        // HQ has the originals, so nothing is lost by leaving the rest undone.
        self->thinning.active = false;
        return MM_OK;
    }
    return MM_ERR_STORAGE;
}

// A sector that failed may have recovered.
static mm_err_t erase_retired(mm_journal_t *self) {
    uint32_t index;
    return find_free(self, MM_JOURNAL_SECTOR_RETIRED, &index) ? mmi_journal_erase(self, index) : MM_ERR_STORAGE;
}

// Get one erased sector behind the head.
static mm_err_t make_erased(mm_journal_t *self) {
    bool thinned = false;
    uint32_t index;
    // Once if the oldest sector is spare, twice if it must be thinned, once more if an erase fails.
    for (int attempt = 0; attempt < 3; attempt++) {
        if (erase_spare(self) == MM_OK) {
            return MM_OK;
        }
        index = mmi_journal_oldest_index(self);
        if (index == self->head_index) {
            break;
        }
        if (is_needed(self, index)) {
            // Without a fresh sector to write to, thinning might have to give up records: a sector that failed is asked
            // first.
            bool is_tight = mmi_journal_head_free_bytes(self) < MM_FLASH_SECTOR_BYTES * 3 / 4;
            if (!thinned && is_tight && erase_retired(self) == MM_OK) {
                return MM_OK;
            }
            if (thinned || mmi_journal_begin_thinning(self, index) != MM_OK) {
                break;
            }
            thinned = true;
        }
    }
    return erase_retired(self);
}

static void report_damage(mm_journal_t *self) {
    uint32_t from_seq =
        self->watermark.seq > self->thinned_through_seq ? self->watermark.seq : self->thinned_through_seq;
    for (int count = 0; count < DAMAGE_GAPS_MAX; count++) {
        mm_record_t record = {.type = MM_RECORD_GAP, .gap = {.epoch = self->epoch, .reason = MM_GAP_DAMAGED}};
        if (!mmi_journal_find_damage(self, from_seq + 1, &record.gap.first_seq, &record.gap.last_seq)) {
            self->gaps_due = false;
            return;
        }
        if (!mm_journal_answers(self) || mmi_journal_place_record(self, &record) != MM_OK) {
            return;
        }
        from_seq = record.gap.last_seq;
    }
}

mm_err_t mm_journal_prepare(mm_journal_t *self) {
    if (self->read_only) {
        return MM_ERR_STORAGE;
    }
    self->prepared = true;
    if (self->thinning.active && finish_thinning(self) != MM_OK) {
        return MM_ERR_STORAGE;
    }
    if (self->gaps_due) {
        report_damage(self);
    }
    if (has_erased(self) || make_erased(self) == MM_OK) {
        return MM_OK;
    }
    bool fits = !self->thinning.active && mmi_journal_head_free_bytes(self) >= MMI_JOURNAL_RECORD_BYTES_MAX;
    return fits ? MM_OK : MM_ERR_STORAGE;
}

mm_err_t mm_journal_append(mm_journal_t *self, uint8_t type, const void *payload, size_t payload_bytes,
                           mm_position_t *position) {
    MM_ASSERT(type != MM_RECORD_NONE && payload_bytes <= MM_RECORD_PAYLOAD_BYTES_MAX);
    if (self->read_only) {
        return MM_ERR_STORAGE;
    }
    bool fits = mmi_journal_head_free_bytes(self) >= mmi_journal_record_bytes(payload_bytes);
    // A sector just taken for a record that was then torn takes that record first: its position is fixed.
    bool is_fixed = self->prepared || (fits && self->sectors[self->head_index].count == 0);
    // If no room can be made but the record still fits, it is taken.
    if ((self->thinning.active || (!is_fixed && !has_erased(self))) && mm_journal_prepare(self) != MM_OK &&
        (self->thinning.active || !fits)) {
        return MM_ERR_STORAGE;
    }
    self->prepared = false;
    payload = payload_bytes == 0 ? "" : payload;
    mm_err_t err = mmi_journal_place(self, type, payload, payload_bytes);
    if (err != MM_OK && erase_spare(self) == MM_OK) {
        // The sector kept in reserve failed as well.
        err = mmi_journal_place(self, type, payload, payload_bytes);
    }
    if (err == MM_OK) {
        *position = (mm_position_t){self->epoch, self->next_seq - 1};
    }
    return err;
}

mm_err_t mm_journal_set_watermark(mm_journal_t *self, mm_position_t watermark) {
    if (self->read_only || watermark.epoch != self->epoch || watermark.seq >= mmi_journal_visible_limit_seq(self)) {
        mm_counters_count(self->counters, MM_COUNTER_WATERMARK_REJECTED);
        return MM_ERR_ARG;
    }
    if (watermark.seq < self->watermark.seq && !self->watermark_recovered) {
        mm_counters_count(self->counters, MM_COUNTER_WATERMARK_MOVED_BACK);
        self->gaps_due = true;
    }
    self->watermark = watermark;
    self->watermark_recovered = false;
    // HQ stands before a record that cannot be read any more: it will wait until it is told.
    mm_journal_hint_t *hint = &self->watermark_hint;
    mm_journal_entry_t entry;
    if (watermark.seq >= self->thinned_through_seq && watermark.seq + 1 < self->next_seq) {
        if (mm_journal_read_after(self, watermark, hint, &entry) != MM_OK || entry.position.seq != watermark.seq + 1) {
            self->gaps_due = true;
        } else {
            // In front of it: the next reader wants it again.
            hint->seq = watermark.seq;
            hint->offset_bytes -= mmi_journal_record_bytes(entry.payload_bytes);
        }
    }
    return MM_OK;
}
