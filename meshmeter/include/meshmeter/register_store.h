// SPDX-License-Identifier: Apache-2.0
#ifndef MM_REGISTER_STORE_H
#define MM_REGISTER_STORE_H

#include "meshmeter/base.h"
#include "meshmeter/counters.h"
#include "meshmeter/limits.h"
#include "meshmeter/port/flash.h"
#include "meshmeter/port/fram.h"

/// Images that survive power cuts: two checksummed slots of which the newest valid wins, and a small cell that is
/// written at every pulse and means something only together with the slot it names (docs/spec/storage.md).
///
/// The store knows nothing of meters. It saves an opaque image (at most MM_STORE_IMAGE_BYTES_MAX) as one transaction,
/// an opaque cell (at most MM_STORE_CELL_BYTES_MAX) that supplements the newest image, and month pages by index.
/// Saving an image makes older cells void, atomically.
///
/// Two devices: FRAM (cells are kept: at most the pulses of one read are lost at a power cut) or, without FRAM, a few
/// flash sectors used as a log of images (cells are not kept: everything since the last image is lost at a power cut,
/// and the caller bounds that by saving every so many pulses or seconds).

#define MM_STORE_IMAGE_BYTES_MAX 2048
#define MM_STORE_CELL_BYTES_MAX 96
#define MM_STORE_PAGE_BYTES_MAX 928
#define MM_STORE_PAGES MM_MONTHS
/// FRAM needed: 2 image slots, 2 cells, MM_STORE_PAGES pages, each with its header.
#define MM_STORE_HEADER_BYTES 16
#define MM_STORE_FRAM_BYTES                                                                                            \
    (2 * (MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX) + 2 * (MM_STORE_HEADER_BYTES + MM_STORE_CELL_BYTES_MAX) +  \
     MM_STORE_PAGES * (MM_STORE_HEADER_BYTES + MM_STORE_PAGE_BYTES_MAX))
/// Flash sectors needed without FRAM: one log of images and pages. More sectors wear less (docs/spec/storage.md).
#define MM_STORE_FLASH_SECTORS_MIN 16
#define MM_STORE_FLASH_SECTORS_MAX 256

typedef struct {
    const mm_fram_t *fram;   ///< or NULL
    const mm_flash_t *flash; ///< used if fram is NULL
    mm_counters_t *counters;
    uint32_t image_seq; ///< of the newest image; 0 = none
    uint32_t seq_high;  ///< largest seq ever seen; never given out again
    // FRAM.
    uint16_t cell_count; ///< of the newest cell, modulo 2^16
    uint8_t image_slot;  ///< of the newest image
    uint8_t cell_slot;   ///< of the newest cell
    bool slot_dubious;   ///< a save failed and its slot could not be cleared: cells must wait
    // Flash.
    uint32_t log_sector_count;
    uint32_t log_sector_index; ///< takes the next entry
    uint32_t log_offset_bytes;
    uint32_t log_erased_count;                           ///< sectors ahead erased since open
    uint32_t image_address;                              ///< of the newest image
    uint32_t page_addresses[MM_STORE_PAGES];             ///< of the newest copies
    uint32_t page_seqs[MM_STORE_PAGES];                  ///< 0 = no such page
    uint8_t bad_sectors[MM_STORE_FLASH_SECTORS_MAX / 8]; ///< a bit for each that failed since open
} mm_register_store_t;

typedef enum {
    MM_STORE_EMPTY = 0, ///< virgin device: nothing was ever saved
    MM_STORE_LOADED,    ///< newest image is good
    MM_STORE_FELL_BACK, ///< newest image damaged, the one before was used
    MM_STORE_LOST,      ///< something was saved once, nothing of it is readable
} mm_store_state_t;

/// Open and find the newest valid image. *image_bytes_count is 0 unless LOADED or FELL_BACK. The cell is returned only
/// if it belongs to that image (else *cell_bytes_count = 0). MM_ERR_STORAGE: device does not answer or is too small.
mm_err_t mm_register_store_open(mm_register_store_t *self, const mm_fram_t *fram, const mm_flash_t *flash,
                                mm_counters_t *counters, mm_store_state_t *state, void *image, size_t image_capacity,
                                size_t *image_bytes_count, void *cell, size_t cell_capacity, size_t *cell_bytes_count);
/// One transaction: after any power cut either this image or the one before (with its cell) is found.
/// MM_ERR_STORAGE: not saved (counted); the one before is still good. May be tried again.
mm_err_t mm_register_store_save(mm_register_store_t *self, const void *image, size_t image_bytes_count);
/// Supplement the newest image. Without FRAM: does nothing and returns MM_ERR_UNAVAILABLE. An image must exist
/// (asserted).
mm_err_t mm_register_store_save_cell(mm_register_store_t *self, const void *cell, size_t cell_bytes_count);
/// True if cells are kept.
bool mm_register_store_has_cells(const mm_register_store_t *self);

/// Month pages: written rarely, each by itself checksummed. Index 0 … MM_STORE_PAGES-1. A torn write leaves the page
/// absent (MM_ERR_NOT_FOUND; in flash the page before it), so the caller keeps the content elsewhere until save_page
/// returned MM_OK. Capacities smaller than what is stored: as if it were damaged. Load: MM_ERR_STORAGE if the device
/// does not answer, so that nothing can be said about the page.
mm_err_t mm_register_store_save_page(mm_register_store_t *self, uint8_t page_index, const void *page,
                                     size_t page_bytes_count);
mm_err_t mm_register_store_load_page(const mm_register_store_t *self, uint8_t page_index, void *page,
                                     size_t page_capacity, size_t *page_bytes_count);

#endif
