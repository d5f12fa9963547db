// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "meshmeter/crc32.h"
#include "register_store_internal.h"

// The store on FRAM. A slot is written in the order: clear the header, payload, header without tag, tag. So a slot with
// its tag and a wrong checksum was complete once and is damaged, while one without is a save that the power cut short.
// The tag itself proves nothing: the checksum, which is computed with the right tag, decides.

#define SLOTS 2
#define IMAGE_SLOT_BYTES (MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX)
#define CELL_SLOT_BYTES (MM_STORE_HEADER_BYTES + MM_STORE_CELL_BYTES_MAX)
#define PAGE_SLOT_BYTES (MM_STORE_HEADER_BYTES + MM_STORE_PAGE_BYTES_MAX)
// A seq in a damaged header is believed if it lies no further ahead than saves that failed can have brought it.
#define SEQ_PLAUSIBLE 16

typedef struct {
    mmi_store_header_t header;
    bool valid;
    bool damaged; // was complete once
    bool traced;  // has its tag
} slot_t;

static MM_APART uint32_t image_address(uint8_t slot) {
    return (uint32_t)slot * IMAGE_SLOT_BYTES;
}

static uint32_t cell_address(uint8_t slot) {
    return SLOTS * IMAGE_SLOT_BYTES + (uint32_t)slot * CELL_SLOT_BYTES;
}

static uint32_t page_address(uint8_t page_index) {
    return SLOTS * (IMAGE_SLOT_BYTES + CELL_SLOT_BYTES) + (uint32_t)page_index * PAGE_SLOT_BYTES;
}

static MM_APART mm_err_t clear_header(const mm_register_store_t *self, uint32_t address) {
    static const uint8_t zeros[MM_STORE_HEADER_BYTES] = {0};
    return mmi_store_write(self, address, zeros, sizeof zeros);
}

static mm_err_t write_slot(const mm_register_store_t *self, uint32_t address, mmi_store_header_t *header,
                           const void *payload) {
    header->version = MMI_STORE_VERSION;
    header->crc = mm_crc32(mmi_store_header_crc(header), payload, header->payload_bytes);
    uint8_t bytes[MM_STORE_HEADER_BYTES];
    mmi_store_put_header(bytes, header);
    mm_err_t err = clear_header(self, address);
    if (err == MM_OK) {
        err = mmi_store_write(self, address + MM_STORE_HEADER_BYTES, payload, header->payload_bytes);
    }
    if (err == MM_OK) {
        err = mmi_store_write(self, address + MMI_STORE_TAG_BYTES, bytes + MMI_STORE_TAG_BYTES,
                              MM_STORE_HEADER_BYTES - MMI_STORE_TAG_BYTES);
    }
    if (err == MM_OK) {
        err = mmi_store_write(self, address, bytes, MMI_STORE_TAG_BYTES);
    }
    if (err != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_FRAM_ERROR);
    }
    return err;
}

// Read and judge a slot. With a buffer the payload is kept, and the checksum is that of the bytes in the buffer.
static mm_err_t read_slot(const mm_register_store_t *self, uint32_t address, uint16_t tag, slot_t *slot,
                          mmi_store_buffer_t *buffer) {
    uint8_t bytes[MM_STORE_HEADER_BYTES];
    *slot = (slot_t){.valid = false};
    if (mmi_store_read(self, address, bytes, sizeof bytes) != MM_OK) {
        return MM_ERR_STORAGE;
    }
    mmi_store_header_t *header = &slot->header;
    *header = mmi_store_get_header(bytes);
    slot->traced = header->tag == tag;
    header->tag = tag;
    bool sound = header->version == MMI_STORE_VERSION && header->payload_bytes >= 1 &&
                 header->payload_bytes <= mmi_store_payload_bytes_max(tag) &&
                 (buffer == NULL || header->payload_bytes <= buffer->capacity);
    uint32_t crc = 0;
    if (sound && mmi_store_payload_crc(self, address, header, buffer != NULL ? buffer->bytes : NULL, &crc) != MM_OK) {
        return MM_ERR_STORAGE;
    }
    slot->valid = sound && crc == header->crc;
    slot->damaged = slot->traced && !slot->valid;
    if (buffer != NULL) {
        buffer->count = slot->valid ? header->payload_bytes : 0;
    }
    return MM_OK;
}

static void note_seq(mm_register_store_t *self, uint32_t seq) {
    if (seq > self->seq_high) {
        self->seq_high = seq;
    }
}

static mm_err_t is_any_page_traced(const mm_register_store_t *self, bool *traced) {
    *traced = false;
    for (uint8_t page_index = 0; page_index < MM_STORE_PAGES; page_index++) {
        slot_t slot;
        if (read_slot(self, page_address(page_index), MMI_STORE_TAG_PAGE, &slot, NULL) != MM_OK) {
            return MM_ERR_STORAGE;
        }
        *traced = *traced || slot.traced || slot.valid;
    }
    return MM_OK;
}

// The newest cell of any image; it is returned only if it belongs to the newest one.
static mm_err_t load_cell(mm_register_store_t *self, slot_t cells[SLOTS], mmi_store_buffer_t *cell) {
    bool second_is_newer = cells[1].header.seq > cells[0].header.seq ||
                           (cells[1].header.seq == cells[0].header.seq &&
                            (int16_t)(uint16_t)(cells[1].header.count - cells[0].header.count) > 0);
    self->cell_slot = cells[1].valid && (!cells[0].valid || second_is_newer) ? 1 : 0;
    self->cell_count = cells[self->cell_slot].valid ? cells[self->cell_slot].header.count : 0;
    // Newest first. A cell that cannot be read twice the same gives way to the one before it.
    for (uint8_t turn = 0; turn < SLOTS; turn++) {
        uint8_t slot = (uint8_t)(turn == 0 ? self->cell_slot : 1 - self->cell_slot);
        if (!cells[slot].valid || cells[slot].header.seq != self->image_seq) {
            continue;
        }
        if (read_slot(self, cell_address(slot), MMI_STORE_TAG_CELL, &cells[slot], cell) != MM_OK) {
            return MM_ERR_STORAGE;
        }
        if (cells[slot].valid) {
            break;
        }
    }
    return MM_OK;
}

static mm_store_state_t judge(const mm_register_store_t *self, const slot_t images[SLOTS], const slot_t cells[SLOTS]) {
    const slot_t *other = &images[1 - self->image_slot];
    uint32_t seq = other->header.seq;
    // The other slot normally holds the image before; if that one is damaged, nothing is lost. One bit beside the next
    // number is taken for the next number: the seq itself may be what is damaged.
    uint32_t difference = seq ^ (self->image_seq + 1);
    if (other->damaged && seq + 1 != self->image_seq &&
        (seq > self->image_seq || (difference & (difference - 1)) == 0)) {
        return MM_STORE_FELL_BACK;
    }
    for (uint8_t slot = 0; slot < SLOTS; slot++) {
        // Cells are only written to an image that was complete.
        if (cells[slot].valid && cells[slot].header.seq > self->image_seq) {
            return MM_STORE_FELL_BACK;
        }
    }
    return MM_STORE_LOADED;
}

static mm_err_t load_newest(mm_register_store_t *self, slot_t images[SLOTS], mmi_store_buffer_t *image) {
    for (uint8_t turn = 0; turn < SLOTS; turn++) {
        bool second = images[1].valid && (!images[0].valid || images[1].header.seq > images[0].header.seq);
        uint8_t slot = second ? 1 : 0;
        if (!images[slot].valid) {
            break;
        }
        if (read_slot(self, image_address(slot), MMI_STORE_TAG_IMAGE, &images[slot], image) != MM_OK) {
            return MM_ERR_STORAGE;
        }
        if (images[slot].valid) {
            self->image_slot = slot;
            self->image_seq = images[slot].header.seq;
            break;
        }
    }
    return MM_OK;
}

mm_err_t mmi_store_fram_open(mm_register_store_t *self, mm_store_state_t *state, mmi_store_buffer_t *image,
                             mmi_store_buffer_t *cell) {
    if (self->fram->size_bytes < MM_STORE_FRAM_BYTES) {
        return MM_ERR_STORAGE;
    }
    slot_t images[SLOTS];
    slot_t cells[SLOTS];
    bool traced = false;
    for (uint8_t slot = 0; slot < SLOTS; slot++) {
        if (read_slot(self, image_address(slot), MMI_STORE_TAG_IMAGE, &images[slot], NULL) != MM_OK ||
            read_slot(self, cell_address(slot), MMI_STORE_TAG_CELL, &cells[slot], NULL) != MM_OK) {
            return MM_ERR_STORAGE;
        }
        traced = traced || images[slot].traced || cells[slot].valid;
    }
    if (load_newest(self, images, image) != MM_OK) {
        return MM_ERR_STORAGE;
    }
    note_seq(self, self->image_seq);
    for (uint8_t slot = 0; slot < SLOTS; slot++) {
        // A number that was used must not come again: cells that name it may still be there.
        if (cells[slot].valid) {
            note_seq(self, cells[slot].header.seq);
        }
        if (images[slot].damaged) {
            mm_counters_count(self->counters, MM_COUNTER_FRAM_SLOT_DAMAGED);
            if (self->image_seq == 0 || images[slot].header.seq - self->image_seq <= SEQ_PLAUSIBLE) {
                note_seq(self, images[slot].header.seq < UINT32_MAX / 2 ? images[slot].header.seq : 0);
            }
        }
    }
    if (self->image_seq != 0) {
        *state = judge(self, images, cells);
        return load_cell(self, cells, cell);
    }
    bool page_traced;
    if (is_any_page_traced(self, &page_traced) != MM_OK) {
        return MM_ERR_STORAGE;
    }
    *state = traced || page_traced ? MM_STORE_LOST : MM_STORE_EMPTY;
    return MM_OK;
}

// True if the newest image can be read no more. A bus that disturbs one read is no damage: it is asked twice, and FRAM
// that does not answer is not judged.
static bool is_newest_damaged(const mm_register_store_t *self) {
    slot_t slot;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (self->image_seq == 0 ||
            read_slot(self, image_address(self->image_slot), MMI_STORE_TAG_IMAGE, &slot, NULL) != MM_OK || slot.valid) {
            return false;
        }
    }
    return true;
}

mm_err_t mmi_store_fram_save(mm_register_store_t *self, const void *image, size_t image_bytes) {
    // A newest image that was damaged meanwhile gives its place, so that the good one before it stands until the new
    // one does: a power cut inside of the write must not meet a bit that turned last week.
    bool over_damaged = is_newest_damaged(self);
    uint8_t slot = over_damaged ? self->image_slot : (uint8_t)(1 - self->image_slot);
    mmi_store_header_t header = {
        .tag = MMI_STORE_TAG_IMAGE, .seq = ++self->seq_high, .payload_bytes = (uint16_t)image_bytes};
    if (over_damaged) {
        mm_counters_count(self->counters, MM_COUNTER_FRAM_SLOT_DAMAGED);
    }
    if (write_slot(self, image_address(slot), &header, image) != MM_OK) {
        // It may stand there nevertheless, and then it would make the cells of the image before void. Cells of a
        // damaged image are void already.
        bool cleared = clear_header(self, image_address(slot)) == MM_OK;
        self->slot_dubious = !cleared && !over_damaged;
        return MM_ERR_STORAGE;
    }
    self->slot_dubious = false;
    self->image_slot = slot;
    self->image_seq = header.seq;
    return MM_OK;
}

mm_err_t mmi_store_fram_save_cell(mm_register_store_t *self, const void *cell, size_t cell_bytes) {
    if (self->slot_dubious && clear_header(self, image_address((uint8_t)(1 - self->image_slot))) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_FRAM_ERROR);
        return MM_ERR_STORAGE;
    }
    self->slot_dubious = false;
    mmi_store_header_t header = {.tag = MMI_STORE_TAG_CELL,
                                 .version = MMI_STORE_VERSION,
                                 .seq = self->image_seq,
                                 .payload_bytes = (uint16_t)cell_bytes,
                                 .count = (uint16_t)(self->cell_count + 1)};
    header.crc = mm_crc32(mmi_store_header_crc(&header), cell, cell_bytes);
    // One write: this happens at every pulse, and a torn one is simply not there.
    uint8_t bytes[CELL_SLOT_BYTES];
    mmi_store_put_header(bytes, &header);
    memcpy(bytes + MM_STORE_HEADER_BYTES, cell, cell_bytes);
    uint8_t slot = (uint8_t)(1 - self->cell_slot);
    if (mmi_store_write(self, cell_address(slot), bytes, MM_STORE_HEADER_BYTES + cell_bytes) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_FRAM_ERROR);
        return MM_ERR_STORAGE;
    }
    self->cell_slot = slot;
    self->cell_count = header.count;
    return MM_OK;
}

mm_err_t mmi_store_fram_save_page(mm_register_store_t *self, uint8_t page_index, const void *page, size_t page_bytes) {
    mmi_store_header_t header = {
        .tag = MMI_STORE_TAG_PAGE, .index = page_index, .seq = 1, .payload_bytes = (uint16_t)page_bytes};
    return write_slot(self, page_address(page_index), &header, page);
}

mm_err_t mmi_store_fram_load_page(const mm_register_store_t *self, uint8_t page_index, mmi_store_buffer_t *page) {
    slot_t slot;
    if (read_slot(self, page_address(page_index), MMI_STORE_TAG_PAGE, &slot, page) != MM_OK) {
        return MM_ERR_STORAGE;
    }
    if (slot.damaged) {
        mm_counters_count(self->counters, MM_COUNTER_FRAM_SLOT_DAMAGED);
    }
    return slot.valid && slot.header.index == page_index ? MM_OK : MM_ERR_NOT_FOUND;
}
