// SPDX-License-Identifier: Apache-2.0
#ifndef MM_JOURNAL_INTERNAL_H
#define MM_JOURNAL_INTERNAL_H

#include "meshmeter/journal.h"
#include "meshmeter/record.h"

// Bytes of a sector (docs/spec/storage.md): erase mark, two copies of the header, records.
#define MMI_JOURNAL_MARK_BYTES 12
#define MMI_JOURNAL_HEADER_BYTES 28
#define MMI_JOURNAL_HEADER_COPIES 2
#define MMI_JOURNAL_DATA_OFFSET (MMI_JOURNAL_MARK_BYTES + MMI_JOURNAL_HEADER_COPIES * MMI_JOURNAL_HEADER_BYTES)
#define MMI_JOURNAL_RECORD_HEADER_BYTES 8
#define MMI_JOURNAL_RECORD_BYTES_MAX (MMI_JOURNAL_RECORD_HEADER_BYTES + MM_RECORD_PAYLOAD_BYTES_MAX)
// No sector can hold so many records: a seq that lies further from the sector's first one is not one of it.
#define MMI_JOURNAL_SEQ_SPAN 1024

// Records with type MM_RECORD_NONE are the journal's own notes: they take no seq and no reader sees them.
#define MMI_JOURNAL_NOTE_THINNING 1  // u8 kind, u8 mode, u32 generation, u32 watermark_seq
#define MMI_JOURNAL_NOTE_WATERMARK 2 // u8 kind, u32 watermark_seq
#define MMI_JOURNAL_NOTE_BYTES_MAX 10

typedef struct {
    uint32_t epoch;
    uint32_t generation;
    uint32_t base_seq;
    uint32_t watermark_seq;
    uint32_t sector_count;
    bool foreign; // of another version or another size of ring: only the epoch means something
} mmi_journal_header_t;

// journal_format.c: bytes in flash.

uint32_t mmi_journal_record_bytes(size_t payload_bytes);
// Reads are tried twice: one disturbed transfer must not cost a record.
mm_err_t mmi_journal_read(const mm_journal_t *self, uint32_t sector_index, uint32_t offset_bytes, void *bytes,
                          size_t bytes_count);
// Program and read back.
mm_err_t mmi_journal_program(mm_journal_t *self, uint32_t sector_index, uint32_t offset_bytes, const void *bytes,
                             size_t bytes_count);
// First byte behind the last one that is not 0xFF, from `offset_bytes` on; offset_bytes if there is none.
mm_err_t mmi_journal_used_end(const mm_journal_t *self, uint32_t sector_index, uint32_t offset_bytes,
                              uint32_t *end_bytes);
// The header, from either copy. MM_ERR_NOT_FOUND: neither is good.
mm_err_t mmi_journal_read_header(const mm_journal_t *self, uint32_t sector_index, mmi_journal_header_t *header);
mm_err_t mmi_journal_write_header(mm_journal_t *self, uint32_t sector_index);
// True if the mark of a completed erase is there.
bool mmi_journal_read_mark(const mm_journal_t *self, uint32_t sector_index, uint32_t *erase_count);
// Erase, check, mark. The sector is then ERASED, or RETIRED (counted).
mm_err_t mmi_journal_erase(mm_journal_t *self, uint32_t sector_index);
// One record at one place. Asserts that it fits.
mm_err_t mmi_journal_write_record(mm_journal_t *self, uint32_t sector_index, uint32_t offset_bytes, uint32_t seq,
                                  uint8_t type, const void *payload, size_t payload_bytes);
// Next good record of the sector that begins at or behind *offset_bytes and before end_bytes and has a seq of at least
// min_seq, looking at each 4th byte;
// *offset_bytes then stands behind it. Notes are found too. *refused (or NULL) becomes true if the device did not
// answer somewhere on the way, so that something may have been missed.
bool mmi_journal_find_record(const mm_journal_t *self, uint32_t sector_index, uint32_t end_bytes, uint32_t min_seq,
                             uint32_t *offset_bytes, mm_journal_entry_t *entry, bool *refused);

// journal_walk.c: sectors in the order of the ring, records in the order of seq.

uint32_t mmi_journal_oldest_index(const mm_journal_t *self);
// False at the head.
bool mmi_journal_next_index(const mm_journal_t *self, uint32_t *sector_index);
// Seq behind the last one that belongs to the sector.
uint32_t mmi_journal_limit_seq(const mm_journal_t *self, uint32_t sector_index);
// Next record of this sector with a seq of at least min_seq; the last one of several with the same seq. Without notes.
bool mmi_journal_next_in_sector(const mm_journal_t *self, uint32_t sector_index, uint32_t min_seq,
                                uint32_t *offset_bytes, mm_journal_entry_t *entry, bool *refused);
// Good records of this sector with seq from_seq … limit_seq - 1. Reads it.
uint32_t mmi_journal_count_records(const mm_journal_t *self, uint32_t sector_index, uint32_t from_seq,
                                   uint32_t limit_seq);
// Seqs from this one on are hidden: they belong to a thinning that is not complete.
uint32_t mmi_journal_visible_limit_seq(const mm_journal_t *self);
// A gap record with a seq below limit_seq says that these are damaged.
bool mmi_journal_is_explained(const mm_journal_t *self, uint32_t first_seq, uint32_t last_seq, uint32_t limit_seq);
// First run of seqs from from_seq on that cannot be read and that no gap record explains.
bool mmi_journal_find_damage(const mm_journal_t *self, uint32_t from_seq, uint32_t *first_seq, uint32_t *last_seq);

// journal.c: writing.

uint32_t mmi_journal_head_free_bytes(const mm_journal_t *self);
// Put a record, or a note, where there is room without making any. Without notes it takes the next seq.
mm_err_t mmi_journal_place(mm_journal_t *self, uint8_t type, const void *payload, size_t payload_bytes);
mm_err_t mmi_journal_place_record(mm_journal_t *self, const mm_record_t *record);
// Take the next erased sector into use. MM_ERR_STORAGE: there is none.
mm_err_t mmi_journal_open_sector(mm_journal_t *self);

// journal_thin.c

// Begin to thin the sector, which is the oldest and not the head. Afterwards, and again if it was interrupted:
// continue.
mm_err_t mmi_journal_begin_thinning(mm_journal_t *self, uint32_t sector_index);
// MM_OK: all of the sector is replaced, it may be erased.
mm_err_t mmi_journal_continue_thinning(mm_journal_t *self);
// The sector that is thinned; false if it is not there any more.
bool mmi_journal_thinned_index(const mm_journal_t *self, uint32_t *sector_index);
// For open: account for a record that a thinning wrote.
void mmi_journal_note_thinned(mm_journal_t *self, const mm_journal_entry_t *entry);

#endif
