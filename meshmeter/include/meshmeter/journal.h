// SPDX-License-Identifier: Apache-2.0
#ifndef MM_JOURNAL_H
#define MM_JOURNAL_H

#include "meshmeter/base.h"
#include "meshmeter/counters.h"
#include "meshmeter/limits.h"
#include "meshmeter/port/flash.h"

/// The node's durable ring of records on NOR flash (format: docs/spec/storage.md; design D1).
///
/// Each record has a position (epoch, seq). Appending is all or nothing through any power cut. Only the watermark
/// releases a record, and a released record stays readable until the ring needs its sector. A full ring of unreleased
/// records is thinned: interval records of the oldest sector are replaced by coarser ones (15 min, 1 h, 1 day) at the
/// head; other records are carried over; a gap record names what was replaced. A damaged record hides no other one.
///
/// One owner, no locking inside, no allocation. All state besides flash is in mm_journal_t and is rebuilt by open.

/// What stands in a sector. Internal, as is mm_journal_sector_t.
typedef enum {
    MM_JOURNAL_SECTOR_GARBAGE = 0, ///< anything; must be erased before use
    MM_JOURNAL_SECTOR_ERASED,
    MM_JOURNAL_SECTOR_USED,
    MM_JOURNAL_SECTOR_RETIRED, ///< could not be erased, programmed or read since open
} mm_journal_sector_state_t;

typedef struct {
    uint32_t base_seq;      ///< seq of its first record
    uint32_t generation;    ///< order of use
    uint16_t end_bytes;     ///< first free byte
    uint16_t count;         ///< seqs used in it, damaged records included
    uint16_t damaged_count; ///< of these, as seen by open
    uint8_t state;          ///< mm_journal_sector_state_t
    bool repeated;          ///< the same seq may stand in it more than once; the last one counts
} mm_journal_sector_t;

/// Thinning of the oldest sector that is under way. What it wrote is hidden until it is complete.
typedef struct {
    bool active;
    bool noted; ///< flash says that it is under way
    uint8_t mode;
    uint32_t generation;    ///< of the sector that is thinned
    uint32_t begin_seq;     ///< first seq written by it
    uint32_t watermark_seq; ///< what counts as released in it
    uint32_t through_seq;   ///< last seq for which an interval record written by it stands; 0 = none written yet
    uint32_t carried_count; ///< other records written by it
} mm_journal_thinning_t;

typedef struct {
    uint32_t sector_count; ///< of flash to use, from sector 0; MM_JOURNAL_SECTORS_MIN … MM_JOURNAL_SECTORS_MAX
    /// Where the journal must go on, as known from the register store; a scan that ends before it has lost records,
    /// which become a gap. Zero epoch: not known.
    mm_position_t expected_next;
    /// Epoch of a journal that finds nothing at all, neither in flash nor in expected_next; 0 = 1. A device that lost
    /// all its memory must not use positions again that HQ knows: give something that grows from one start to the next,
    /// such as the time.
    uint32_t first_epoch;
} mm_journal_options_t;

/// Where a reader was: behind this place of a sector every record has a seq above `seq`. The caller's, zeroed before
/// the first call, for this journal only; or a copy of the journal's watermark_hint.
typedef struct {
    uint32_t sector_index;
    uint32_t generation;
    uint32_t offset_bytes;
    uint32_t seq;
    bool valid;
} mm_journal_hint_t;

typedef struct {
    const mm_flash_t *flash;
    mm_counters_t *counters;
    uint32_t sector_count;
    uint32_t epoch;
    uint32_t next_seq;
    mm_position_t watermark;      ///< released up to here
    uint32_t thinned_through_seq; ///< records up to here are replaced by thinned ones, carried over or given up
    uint32_t full_through_seq;    ///< some up to here were given up; 0 = none
    uint32_t noted_watermark_seq; ///< as it stands in flash
    uint32_t head_index;
    uint32_t next_generation;
    bool read_only;                   ///< device refused everything; nothing more is taken
    bool gaps_due;                    ///< damaged records may have to be reported
    uint8_t thinning_failures;        ///< in a row, because flash did not answer
    bool prepared;                    ///< room was made since the last append
    bool watermark_recovered;         ///< from flash, the caller has not set one yet
    mm_journal_hint_t watermark_hint; ///< for a reader that begins at the watermark
    mm_journal_thinning_t thinning;
    mm_journal_sector_t sectors[MM_JOURNAL_SECTORS_MAX];
} mm_journal_t;

/// Result of open, for the caller's events.
typedef struct {
    bool restarted;              ///< a new epoch was begun
    mm_position_t previous_last; ///< last position known of the previous epoch, if restarted
    bool lost; ///< records between scan and expected_next are lost (a gap record follows at the next prepare), or
               ///< hidden in sectors that do not answer
    uint32_t damaged_count; ///< records that cannot be read; those that HQ needs become gap records at the next prepare
} mm_journal_opening_t;

/// Scan flash and recover. Terminates in any state of the flash; a second power cut inside is harmless. Cost: reads all
/// sectors. The epoch of a new journal is 1 + the largest of expected_next.epoch and every epoch found in flash. The
/// watermark is then the last one that reached flash, which may be older than what the caller knows: set it before the
/// next prepare or append. Open makes no records of its own besides those of a thinning that was cut short.
/// MM_ERR_STORAGE: unusable device; the journal is read_only and empty with next position (0, 0), all calls remain
/// legal.
mm_err_t mm_journal_open(mm_journal_t *self, const mm_flash_t *flash, mm_counters_t *counters,
                         const mm_journal_options_t *options, mm_journal_opening_t *opening);

/// Make room: afterwards the next append of one record of any size gets the position mm_journal_next() and moves no
/// other record. Everything that needs erasing, thinning or carrying over is done here (bounded: one sector), with
/// records of its own, and so are gap records for damage. A caller that must know the position beforehand (metering.h)
/// calls it first; if it calls it again before that append succeeded, the position may have moved on. Append by itself
/// makes room only when it has to. MM_ERR_STORAGE: no room can be made now; what is stored stays readable, and a higher
/// watermark may help.
mm_err_t mm_journal_prepare(mm_journal_t *self);

/// Append one record: durable when MM_OK is returned, *position says where; otherwise all of it or nothing survives.
/// payload_bytes 0 … MM_RECORD_PAYLOAD_BYTES_MAX (asserted). A record torn by a power cut does not use up its seq.
/// MM_ERR_STORAGE: device refused; retired sectors are skipped by themselves, so this means "no sector left".
mm_err_t mm_journal_append(mm_journal_t *self, uint8_t type, const void *payload, size_t payload_bytes,
                           mm_position_t *position);

/// Oldest record that can still be read, or the next position if there is none.
mm_position_t mm_journal_oldest(const mm_journal_t *self);
mm_position_t mm_journal_next(const mm_journal_t *self);

typedef struct {
    mm_position_t position;
    uint8_t type;
    uint8_t payload_bytes;
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
} mm_journal_entry_t;

/// Find the first readable record behind `after` (after.epoch == journal's epoch, else from the oldest) and copy it.
/// MM_ERR_NOT_FOUND: none. Skips damaged ones. Cost: walks one sector, from the hint's place on if that is in the same
/// sector and not behind `after`; so sequential reading is O(1) per record.
mm_err_t mm_journal_read_after(const mm_journal_t *self, mm_position_t after, mm_journal_hint_t *hint,
                               mm_journal_entry_t *entry);

/// False: not one sector can be read now. What was not found before this was asked may be there.
bool mm_journal_answers(const mm_journal_t *self);

/// HQ's statement "committed up to here". May move back (HQ restored from a backup): what is still readable is
/// unreleased again. A watermark of another epoch or beyond the newest record is refused with MM_ERR_ARG. Cost: reads
/// the records between the watermark before and the one behind this one, as far as they are in one sector.
mm_err_t mm_journal_set_watermark(mm_journal_t *self, mm_position_t watermark);
/// Records after the watermark that can be read.
uint32_t mm_journal_backlog(const mm_journal_t *self);

#endif
