// SPDX-License-Identifier: Apache-2.0
#include "journal_internal.h"

uint32_t mmi_journal_oldest_index(const mm_journal_t *self) {
    uint32_t index = self->head_index;
    do {
        index = (index + 1) % self->sector_count;
    } while (index != self->head_index && self->sectors[index].state != MM_JOURNAL_SECTOR_USED);
    return index;
}

bool mmi_journal_next_index(const mm_journal_t *self, uint32_t *sector_index) {
    if (*sector_index == self->head_index) {
        return false;
    }
    do {
        *sector_index = (*sector_index + 1) % self->sector_count;
    } while (*sector_index != self->head_index && self->sectors[*sector_index].state != MM_JOURNAL_SECTOR_USED);
    return true;
}

uint32_t mmi_journal_limit_seq(const mm_journal_t *self, uint32_t sector_index) {
    // A sector that was given up in the middle of a record goes on in the next one with the same seq: what then turns
    // out to stand in it after all does not count.
    return mmi_journal_next_index(self, &sector_index) ? self->sectors[sector_index].base_seq : self->next_seq;
}

uint32_t mmi_journal_visible_limit_seq(const mm_journal_t *self) {
    return self->thinning.active ? self->thinning.begin_seq : self->next_seq;
}

static bool next_of_any_seq(const mm_journal_t *self, uint32_t sector_index, uint32_t min_seq, uint32_t *offset_bytes,
                            mm_journal_entry_t *entry, bool *refused) {
    uint32_t end_bytes = self->sectors[sector_index].end_bytes;
    while (mmi_journal_find_record(self, sector_index, end_bytes, min_seq, offset_bytes, entry, refused)) {
        if (entry->type != MM_RECORD_NONE) {
            return true;
        }
    }
    return false;
}

bool mmi_journal_next_in_sector(const mm_journal_t *self, uint32_t sector_index, uint32_t min_seq,
                                uint32_t *offset_bytes, mm_journal_entry_t *entry, bool *refused) {
    if (!next_of_any_seq(self, sector_index, min_seq, offset_bytes, entry, refused) ||
        entry->position.seq >= mmi_journal_limit_seq(self, sector_index)) {
        return false;
    }
    while (self->sectors[sector_index].repeated) {
        mm_journal_entry_t next;
        uint32_t next_offset_bytes = *offset_bytes;
        if (!next_of_any_seq(self, sector_index, entry->position.seq, &next_offset_bytes, &next, refused) ||
            next.position.seq != entry->position.seq) {
            break;
        }
        *entry = next;
        *offset_bytes = next_offset_bytes;
    }
    return true;
}

// The last sector that begins at or before seq; the oldest if all begin behind it.
static uint32_t locate(const mm_journal_t *self, uint32_t seq) {
    uint32_t found = mmi_journal_oldest_index(self);
    uint32_t index = found;
    while (mmi_journal_next_index(self, &index) && self->sectors[index].base_seq <= seq) {
        found = index;
    }
    return found;
}

mm_err_t mm_journal_read_after(const mm_journal_t *self, mm_position_t after, mm_journal_hint_t *hint,
                               mm_journal_entry_t *entry) {
    if (self->read_only) {
        return MM_ERR_NOT_FOUND;
    }
    uint32_t seq = after.epoch == self->epoch ? after.seq : 0;
    if (seq < self->thinned_through_seq) {
        seq = self->thinned_through_seq;
    }
    // Nothing behind it: the common answer, without a walk through the head.
    if (seq == UINT32_MAX || seq + 1 >= mmi_journal_visible_limit_seq(self)) {
        hint->valid = false;
        return MM_ERR_NOT_FOUND;
    }
    uint32_t index = hint->sector_index;
    uint32_t offset_bytes = hint->offset_bytes;
    // Of no use behind the record, in an older sector, or if the sector was erased.
    if (!hint->valid || hint->seq > seq || index >= self->sector_count ||
        self->sectors[index].generation != hint->generation || mmi_journal_limit_seq(self, index) <= seq) {
        index = locate(self, seq + 1);
        offset_bytes = MMI_JOURNAL_DATA_OFFSET;
    }
    while (!mmi_journal_next_in_sector(self, index, seq + 1, &offset_bytes, entry, NULL)) {
        offset_bytes = MMI_JOURNAL_DATA_OFFSET;
        if (!mmi_journal_next_index(self, &index)) {
            hint->valid = false;
            return MM_ERR_NOT_FOUND;
        }
    }
    if (entry->position.seq >= mmi_journal_visible_limit_seq(self)) {
        hint->valid = false;
        return MM_ERR_NOT_FOUND;
    }
    *hint = (mm_journal_hint_t){index, self->sectors[index].generation, offset_bytes, entry->position.seq, true};
    return MM_OK;
}

mm_position_t mm_journal_next(const mm_journal_t *self) {
    return self->read_only ? (mm_position_t){0, 0} : (mm_position_t){self->epoch, self->next_seq};
}

mm_position_t mm_journal_oldest(const mm_journal_t *self) {
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    bool found = mm_journal_read_after(self, (mm_position_t){0, 0}, &hint, &entry) == MM_OK;
    return found ? entry.position : mm_journal_next(self);
}

uint32_t mmi_journal_count_records(const mm_journal_t *self, uint32_t sector_index, uint32_t from_seq,
                                   uint32_t limit_seq) {
    uint32_t count = 0;
    uint32_t offset_bytes = MMI_JOURNAL_DATA_OFFSET;
    mm_journal_entry_t entry;
    while (mmi_journal_next_in_sector(self, sector_index, from_seq, &offset_bytes, &entry, NULL) &&
           entry.position.seq < limit_seq) {
        count++;
        from_seq = entry.position.seq + 1;
    }
    return count;
}

uint32_t mm_journal_backlog(const mm_journal_t *self) {
    if (self->read_only) {
        return 0;
    }
    uint32_t from_seq = self->watermark.seq + 1;
    if (from_seq <= self->thinned_through_seq) {
        from_seq = self->thinned_through_seq + 1;
    }
    uint32_t backlog = 0;
    uint32_t index = locate(self, from_seq);
    do {
        const mm_journal_sector_t *sector = &self->sectors[index];
        if (sector->base_seq >= from_seq && !self->thinning.active) {
            backlog += (uint32_t)sector->count - sector->damaged_count;
        } else {
            backlog += mmi_journal_count_records(self, index, from_seq, mmi_journal_visible_limit_seq(self));
        }
    } while (mmi_journal_next_index(self, &index));
    return backlog;
}

// Apart: the record must not lie on the stack while the next one is read.
static MM_APART bool explains(const mm_journal_t *self, const mm_journal_entry_t *entry, uint32_t first_seq,
                              uint32_t last_seq) {
    mm_record_t record;
    return mm_record_decode(entry->type, entry->payload, entry->payload_bytes, &record) == MM_OK &&
           record.gap.epoch == self->epoch && record.gap.reason == MM_GAP_DAMAGED &&
           record.gap.first_seq <= first_seq && record.gap.last_seq >= last_seq;
}

bool mmi_journal_is_explained(const mm_journal_t *self, uint32_t first_seq, uint32_t last_seq, uint32_t limit_seq) {
    uint32_t index = mmi_journal_oldest_index(self);
    do {
        uint32_t offset_bytes = MMI_JOURNAL_DATA_OFFSET;
        uint32_t seq = 0;
        mm_journal_entry_t entry;
        while (mmi_journal_next_in_sector(self, index, seq, &offset_bytes, &entry, NULL)) {
            seq = entry.position.seq + 1;
            if (entry.type == MM_RECORD_GAP && entry.position.seq < limit_seq &&
                explains(self, &entry, first_seq, last_seq)) {
                return true;
            }
        }
    } while (mmi_journal_next_index(self, &index));
    return false;
}

bool mmi_journal_find_damage(const mm_journal_t *self, uint32_t from_seq, uint32_t *first_seq, uint32_t *last_seq) {
    uint32_t limit_seq = mmi_journal_visible_limit_seq(self);
    uint32_t oldest_seq = self->sectors[mmi_journal_oldest_index(self)].base_seq;
    // What is missing before the oldest sector was released and erased.
    uint32_t expected_seq = from_seq > oldest_seq ? from_seq : oldest_seq;
    uint32_t index = locate(self, expected_seq);
    do {
        uint32_t offset_bytes = MMI_JOURNAL_DATA_OFFSET;
        mm_journal_entry_t entry;
        while (mmi_journal_next_in_sector(self, index, expected_seq, &offset_bytes, &entry, NULL)) {
            *first_seq = expected_seq;
            *last_seq = entry.position.seq - 1;
            if (*first_seq <= *last_seq && *last_seq < limit_seq &&
                !mmi_journal_is_explained(self, *first_seq, *last_seq, UINT32_MAX)) {
                return true;
            }
            expected_seq = entry.position.seq + 1;
        }
    } while (mmi_journal_next_index(self, &index));
    *first_seq = expected_seq;
    *last_seq = limit_seq - 1;
    return expected_seq < limit_seq && !mmi_journal_is_explained(self, *first_seq, *last_seq, UINT32_MAX);
}
