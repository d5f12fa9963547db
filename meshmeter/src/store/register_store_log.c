// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "meshmeter/bytes.h"
#include "meshmeter/crc32.h"
#include "register_store_internal.h"

// The store on flash: one log of images and pages over all sectors in turn. The newest entry of each kind and index
// counts. Before a sector is erased, the entries in it that still count are written again at the end of the log. Two
// sectors ahead are kept erased: one to go on writing, one so that a power cut in the middle of such a copy leaves room
// to finish it.
//
// An entry is programmed in the order: all but its tag, tag. So an entry with its tag and a wrong checksum was complete
// once and is damaged. A sector begins with the mark of its completed erase; without it, it is erased before use,
// however blank it looks.

#define CHUNK_BYTES 64
#define ERASED_AHEAD 2
#define WRITE_ATTEMPTS 4
#define SECTOR_ATTEMPTS 2
// No failed save can have used up more numbers behind the newest entry.
#define SEQ_PLAUSIBLE (2 * WRITE_ATTEMPTS)
// Little-endian "MSRE" and its complement.
#define MARK_BYTES 8
static const uint8_t erase_mark[MARK_BYTES] = {0x4D, 0x53, 0x52, 0x45, 0xB2, 0xAC, 0xAD, 0xBA};

static MM_APART bool is_bad(const mm_register_store_t *self, uint32_t sector_index) {
    return (self->bad_sectors[sector_index / 8] >> (sector_index % 8) & 1) != 0;
}

static MM_APART void set_bad(mm_register_store_t *self, uint32_t sector_index, bool bad) {
    uint8_t bit = (uint8_t)(1u << (sector_index % 8));
    uint8_t *byte = &self->bad_sectors[sector_index / 8];
    *byte = (uint8_t)(bad ? *byte | bit : *byte & ~bit);
}

// The sector `steps` ahead of the one that is written, without the bad ones.
static uint32_t sector_ahead(const mm_register_store_t *self, uint32_t steps) {
    uint32_t index = self->log_sector_index;
    for (uint32_t count = 0; count < self->log_sector_count && steps > 0; count++) {
        index = (index + 1) % self->log_sector_count;
        steps -= is_bad(self, index) ? 0 : 1;
    }
    return index;
}

static uint32_t good_sector_count(const mm_register_store_t *self) {
    uint32_t count = 0;
    for (uint32_t index = 0; index < self->log_sector_count; index++) {
        count += is_bad(self, index) ? 0 : 1;
    }
    return count;
}

static uint32_t entry_bytes(uint32_t payload_bytes) {
    return (MM_STORE_HEADER_BYTES + payload_bytes + 3) & ~UINT32_C(3);
}

typedef enum {
    ENTRY_NONE,
    ENTRY_DAMAGED,
    ENTRY_VALID
} entry_state_t;

static bool is_sound(const mmi_store_header_t *header, uint32_t room_bytes) {
    return header->version == MMI_STORE_VERSION && header->index < MM_STORE_PAGES && header->payload_bytes >= 1 &&
           header->payload_bytes <= mmi_store_payload_bytes_max(header->tag) &&
           header->payload_bytes <= room_bytes - MM_STORE_HEADER_BYTES;
}

// Once complete, as its tag says. That must not be said of garbage, such as a torn erase leaves, only because it has
// the tag: version and index of an image are right but for one bit at the most.
static bool was_complete(const mmi_store_header_t *header) {
    if (header->tag == MMI_STORE_TAG_PAGE) {
        return header->version == MMI_STORE_VERSION && header->index < MM_STORE_PAGES;
    }
    uint32_t wrong_bits = (uint32_t)(header->version ^ MMI_STORE_VERSION) | (uint32_t)header->index << 8;
    return header->tag == MMI_STORE_TAG_IMAGE && (wrong_bits & (wrong_bits - 1)) == 0;
}

// What begins at this address of a sector. The tag says that it was complete once; what is good, the checksum says,
// which is computed with the right tag: a bit that turned in the tag must not hide an entry.
static mm_err_t read_entry(const mm_register_store_t *self, uint32_t address, mmi_store_header_t *header,
                           entry_state_t *state) {
    static const uint16_t tags[] = {MMI_STORE_TAG_IMAGE, MMI_STORE_TAG_PAGE};
    uint8_t bytes[MM_STORE_HEADER_BYTES];
    *state = ENTRY_NONE;
    uint32_t room_bytes = MM_FLASH_SECTOR_BYTES - address % MM_FLASH_SECTOR_BYTES;
    if (room_bytes < sizeof bytes) {
        return MM_OK;
    }
    if (mmi_store_read(self, address, bytes, sizeof bytes) != MM_OK) {
        return MM_ERR_STORAGE;
    }
    const mmi_store_header_t found = mmi_store_get_header(bytes);
    for (size_t turn = 0; turn < sizeof tags / sizeof tags[0] && *state != ENTRY_VALID; turn++) {
        mmi_store_header_t judged = found;
        judged.tag = tags[turn];
        bool is_sound_entry = is_sound(&judged, room_bytes);
        uint32_t crc = 0;
        if (is_sound_entry && mmi_store_payload_crc(self, address, &judged, NULL, &crc) != MM_OK) {
            return MM_ERR_STORAGE;
        }
        if (is_sound_entry && crc == judged.crc) {
            *state = ENTRY_VALID;
            *header = judged;
        } else if (found.tag == judged.tag && was_complete(&found)) {
            *state = ENTRY_DAMAGED;
            *header = judged;
        }
    }
    return MM_OK;
}

// Walk the entries of a sector. A damaged one hides no other: the search goes on 4 bytes further.
static mm_err_t next_entry(const mm_register_store_t *self, uint32_t sector_index, uint32_t end_bytes,
                           uint32_t *offset_bytes, uint32_t *address, mmi_store_header_t *header,
                           entry_state_t *state) {
    *state = ENTRY_NONE;
    *address = 0;
    while (*offset_bytes < end_bytes) {
        *address = sector_index * MM_FLASH_SECTOR_BYTES + *offset_bytes;
        if (read_entry(self, *address, header, state) != MM_OK) {
            return MM_ERR_STORAGE;
        }
        *offset_bytes += *state == ENTRY_VALID ? entry_bytes(header->payload_bytes) : 4;
        if (*state != ENTRY_NONE) {
            return MM_OK;
        }
    }
    return MM_OK;
}

// First byte of the sector behind everything that is not 0xFF, rounded up.
static mm_err_t used_end(const mm_register_store_t *self, uint32_t sector_index, uint32_t *end_bytes) {
    uint8_t chunk[CHUNK_BYTES];
    *end_bytes = 0;
    for (uint32_t at = 0; at < MM_FLASH_SECTOR_BYTES; at += CHUNK_BYTES) {
        if (mmi_store_read(self, sector_index * MM_FLASH_SECTOR_BYTES + at, chunk, sizeof chunk) != MM_OK) {
            return MM_ERR_STORAGE;
        }
        uint32_t used_bytes = (uint32_t)mm_bytes_used(chunk, sizeof chunk);
        if (used_bytes > 0) {
            *end_bytes = (at + used_bytes + 3) & ~UINT32_C(3);
        }
    }
    return MM_OK;
}

static bool has_mark(const mm_register_store_t *self, uint32_t sector_index) {
    uint8_t mark[MARK_BYTES];
    return mmi_store_read(self, sector_index * MM_FLASH_SECTOR_BYTES, mark, sizeof mark) == MM_OK &&
           memcmp(mark, erase_mark, sizeof mark) == 0;
}

static bool is_marked_blank(const mm_register_store_t *self, uint32_t sector_index) {
    uint32_t end_bytes;
    return has_mark(self, sector_index) && used_end(self, sector_index, &end_bytes) == MM_OK && end_bytes == MARK_BYTES;
}

static mm_err_t erase(const mm_register_store_t *self, uint32_t sector_index) {
    uint32_t end_bytes;
    if (self->flash->erase(self->flash->context, sector_index) != MM_OK ||
        used_end(self, sector_index, &end_bytes) != MM_OK || end_bytes != 0) {
        return MM_ERR_STORAGE;
    }
    return mmi_store_write(self, sector_index * MM_FLASH_SECTOR_BYTES, erase_mark, MARK_BYTES);
}

static bool counts(const mm_register_store_t *self, uint32_t address, const mmi_store_header_t *header) {
    if (header->tag == MMI_STORE_TAG_IMAGE) {
        return self->image_seq != 0 && self->image_address == address;
    }
    return self->page_seqs[header->index] != 0 && self->page_addresses[header->index] == address;
}

static void set_newest(mm_register_store_t *self, uint32_t address, const mmi_store_header_t *header) {
    if (header->tag == MMI_STORE_TAG_IMAGE) {
        self->image_seq = header->seq;
        self->image_address = address;
    } else {
        self->page_seqs[header->index] = header->seq;
        self->page_addresses[header->index] = address;
    }
}

// An entry's payload is in RAM, or it is copied from elsewhere in the log.
typedef struct {
    const uint8_t *bytes; // or NULL
    uint32_t address;
} source_t;

static mm_err_t program_entry(const mm_register_store_t *self, uint32_t address, const mmi_store_header_t *header,
                              source_t source) {
    uint8_t bytes[MM_STORE_HEADER_BYTES];
    mmi_store_put_header(bytes, header);
    mm_err_t err = mmi_store_write(self, address + MMI_STORE_TAG_BYTES, bytes + MMI_STORE_TAG_BYTES,
                                   MM_STORE_HEADER_BYTES - MMI_STORE_TAG_BYTES);
    uint8_t chunk[CHUNK_BYTES];
    for (uint32_t done = 0; err == MM_OK && done < header->payload_bytes; done += CHUNK_BYTES) {
        uint32_t left_bytes = header->payload_bytes - done;
        uint32_t chunk_bytes = left_bytes < CHUNK_BYTES ? left_bytes : CHUNK_BYTES;
        if (source.bytes != NULL) {
            memcpy(chunk, source.bytes + done, chunk_bytes);
        } else {
            err = mmi_store_read(self, source.address + MM_STORE_HEADER_BYTES + done, chunk, chunk_bytes);
        }
        if (err == MM_OK) {
            err = mmi_store_write(self, address + MM_STORE_HEADER_BYTES + done, chunk, chunk_bytes);
        }
    }
    return err == MM_OK ? mmi_store_write(self, address, bytes, MMI_STORE_TAG_BYTES) : err;
}

// Write where there is room, without making any.
static mm_err_t place(mm_register_store_t *self, mmi_store_header_t *header, source_t source) {
    uint32_t needed_bytes = entry_bytes(header->payload_bytes);
    for (int attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
        if (self->log_offset_bytes + needed_bytes > MM_FLASH_SECTOR_BYTES || attempt == SECTOR_ATTEMPTS) {
            if (self->log_erased_count == 0) {
                return MM_ERR_STORAGE;
            }
            self->log_sector_index = sector_ahead(self, 1);
            self->log_offset_bytes = MARK_BYTES;
            self->log_erased_count--;
        }
        header->seq = ++self->seq_high;
        if (source.bytes != NULL) {
            header->crc = mm_crc32(mmi_store_header_crc(header), source.bytes, header->payload_bytes);
        } else if (mmi_store_payload_crc(self, source.address, header, NULL, &header->crc) != MM_OK) {
            return MM_ERR_STORAGE;
        }
        uint32_t address = self->log_sector_index * MM_FLASH_SECTOR_BYTES + self->log_offset_bytes;
        self->log_offset_bytes += needed_bytes; // used up, even if it fails
        if (program_entry(self, address, header, source) == MM_OK) {
            set_newest(self, address, header);
            return MM_OK;
        }
        mm_counters_count(self->counters, MM_COUNTER_FLASH_ERROR);
    }
    return MM_ERR_STORAGE;
}

// Copy what still counts in the sector to the end of the log.
static mm_err_t rescue(mm_register_store_t *self, uint32_t sector_index) {
    uint32_t end_bytes;
    if (used_end(self, sector_index, &end_bytes) != MM_OK) {
        return MM_ERR_STORAGE;
    }
    uint32_t offset_bytes = 0;
    uint32_t address;
    mmi_store_header_t header;
    entry_state_t state;
    do {
        if (next_entry(self, sector_index, end_bytes, &offset_bytes, &address, &header, &state) != MM_OK) {
            return MM_ERR_STORAGE;
        }
        if (state == ENTRY_VALID && counts(self, address, &header) &&
            place(self, &header, (source_t){NULL, address}) != MM_OK) {
            return MM_ERR_STORAGE;
        }
    } while (state != ENTRY_NONE);
    return MM_OK;
}

// So many sectors do not fail one by one: the device did not answer for a while. The next save tries them again, but
// not those between the end of the log and what is erased ahead of it, which are passed over.
static void forgive(mm_register_store_t *self) {
    uint32_t last_erased_index = sector_ahead(self, self->log_erased_count);
    for (uint32_t steps = 1; steps < self->log_sector_count; steps++) {
        uint32_t index = (last_erased_index + steps) % self->log_sector_count;
        if (index == self->log_sector_index) {
            return;
        }
        set_bad(self, index, false);
    }
}

static mm_err_t erase_ahead(mm_register_store_t *self) {
    while (self->log_erased_count < ERASED_AHEAD) {
        if (good_sector_count(self) <= self->log_erased_count + 1) {
            forgive(self);
            return MM_ERR_STORAGE;
        }
        uint32_t index = sector_ahead(self, self->log_erased_count + 1);
        // The copies may move the end of the log, but the sector they come from is still the next one to be erased.
        if (rescue(self, index) == MM_OK && erase(self, index) == MM_OK) {
            self->log_erased_count++;
            continue;
        }
        // Left as it is: what is readable in it stays readable.
        mm_counters_count(self->counters, MM_COUNTER_FLASH_ERROR);
        set_bad(self, index, true);
    }
    return MM_OK;
}

mm_err_t mmi_store_log_save(mm_register_store_t *self, uint16_t tag, uint8_t index, const void *payload,
                            size_t payload_bytes) {
    mmi_store_header_t header = {
        .tag = tag, .version = MMI_STORE_VERSION, .index = index, .payload_bytes = (uint16_t)payload_bytes};
    // Room first, so that the entry itself always has a sector to go to. If that fails there may still be enough.
    (void)erase_ahead(self);
    return place(self, &header, (source_t){payload, 0});
}

typedef struct {
    uint32_t image_limit_seq; // images from this one on are not wanted
    uint32_t end_sector_index;
    uint32_t end_seq;           // largest, its sector is the end of the log
    uint32_t damaged_image_seq; // largest not above damaged_limit_seq
    uint32_t damaged_limit_seq;
    bool traced;
    bool unreadable;
} survey_t;

static void survey_entry(mm_register_store_t *self, uint32_t address, const mmi_store_header_t *header,
                         entry_state_t state, survey_t *survey) {
    survey->traced = true;
    bool is_image = header->tag == MMI_STORE_TAG_IMAGE;
    if (state == ENTRY_DAMAGED) {
        if (is_image && header->seq > survey->damaged_image_seq && header->seq <= survey->damaged_limit_seq) {
            survey->damaged_image_seq = header->seq;
        }
        return;
    }
    if (header->seq > survey->end_seq) {
        survey->end_seq = header->seq;
        survey->end_sector_index = address / MM_FLASH_SECTOR_BYTES;
    }
    uint32_t newest_seq = is_image ? self->image_seq : self->page_seqs[header->index];
    if (header->seq > newest_seq && (!is_image || header->seq < survey->image_limit_seq)) {
        set_newest(self, address, header);
    }
}

static mm_err_t survey_sector(mm_register_store_t *self, uint32_t sector_index, survey_t *survey) {
    uint32_t end_bytes;
    mm_err_t err = used_end(self, sector_index, &end_bytes);
    uint32_t offset_bytes = 0;
    while (err == MM_OK) {
        uint32_t address;
        mmi_store_header_t header;
        entry_state_t state;
        err = next_entry(self, sector_index, end_bytes, &offset_bytes, &address, &header, &state);
        if (err != MM_OK || state == ENTRY_NONE) {
            break;
        }
        survey_entry(self, address, &header, state, survey);
    }
    return err;
}

static void survey_log(mm_register_store_t *self, survey_t *survey) {
    for (uint32_t index = 0; index < self->log_sector_count; index++) {
        if (is_bad(self, index) || survey_sector(self, index, survey) != MM_OK) {
            survey->unreadable = true;
            set_bad(self, index, true);
        }
    }
}

// MM_ERR_NOT_FOUND: nothing good stands there. MM_ERR_STORAGE: that cannot be said now.
static mm_err_t load(const mm_register_store_t *self, uint32_t address, mmi_store_buffer_t *buffer) {
    mmi_store_header_t header;
    entry_state_t state;
    if (read_entry(self, address, &header, &state) != MM_OK) {
        return MM_ERR_STORAGE;
    }
    if (state != ENTRY_VALID || header.payload_bytes > buffer->capacity) {
        return MM_ERR_NOT_FOUND;
    }
    if (mmi_store_read(self, address + MM_STORE_HEADER_BYTES, buffer->bytes, header.payload_bytes) != MM_OK) {
        return MM_ERR_STORAGE;
    }
    if (mm_crc32(mmi_store_header_crc(&header), buffer->bytes, header.payload_bytes) != header.crc) {
        return MM_ERR_NOT_FOUND;
    }
    buffer->count = header.payload_bytes;
    return MM_OK;
}

// A device of which some sectors cannot be read answers for the others.
static bool answers(const mm_register_store_t *self) {
    for (uint32_t index = 0; index < self->log_sector_count; index++) {
        uint8_t byte;
        if (!is_bad(self, index) && mmi_store_read(self, index * MM_FLASH_SECTOR_BYTES, &byte, sizeof byte) == MM_OK) {
            return true;
        }
    }
    return false;
}

// The power failed inside of the first entry of a fresh sector: nothing good is in it, and behind the torn bytes it is
// as good as it was. Returns where it goes on; 0 = it is not such a sector.
static uint32_t begun_end(const mm_register_store_t *self, uint32_t sector_index) {
    uint32_t end_bytes;
    uint32_t offset_bytes = MARK_BYTES;
    entry_state_t state = ENTRY_NONE;
    if (!has_mark(self, sector_index) || used_end(self, sector_index, &end_bytes) != MM_OK || end_bytes == MARK_BYTES) {
        return 0;
    }
    do {
        uint32_t address;
        mmi_store_header_t header;
        if (next_entry(self, sector_index, end_bytes, &offset_bytes, &address, &header, &state) != MM_OK ||
            state == ENTRY_VALID) {
            return 0;
        }
    } while (state != ENTRY_NONE);
    return end_bytes;
}

static void find_end(mm_register_store_t *self, const survey_t *survey) {
    self->log_sector_index = survey->end_sector_index;
    if (survey->end_seq == 0 || used_end(self, self->log_sector_index, &self->log_offset_bytes) != MM_OK) {
        self->log_offset_bytes = MM_FLASH_SECTOR_BYTES;
    }
    // Not erased once more before its turn: that would wear it more than the others at each such power cut.
    uint32_t next_index = sector_ahead(self, 1);
    uint32_t begun_bytes = survey->end_seq == 0 ? 0 : begun_end(self, next_index);
    if (begun_bytes != 0) {
        self->log_sector_index = next_index;
        self->log_offset_bytes = begun_bytes;
    }
    while (self->log_erased_count < ERASED_AHEAD &&
           is_marked_blank(self, sector_ahead(self, self->log_erased_count + 1))) {
        self->log_erased_count++;
    }
}

// An image behind the newest good one was complete once: whatever its seq says, it was newer. In the sector behind the
// end of the log only if nothing good is in it; else it is one that waits for its erase.
static bool is_newer_damaged(const mm_register_store_t *self) {
    uint32_t index = self->image_address / MM_FLASH_SECTOR_BYTES;
    uint32_t offset_bytes = self->image_address % MM_FLASH_SECTOR_BYTES;
    bool is_behind_end = false;
    for (uint32_t count = 0; count < self->log_sector_count; count++) {
        bool is_damaged = false;
        uint32_t end_bytes;
        mm_err_t err = is_bad(self, index) ? MM_ERR_STORAGE : used_end(self, index, &end_bytes);
        while (err == MM_OK) {
            uint32_t address;
            mmi_store_header_t header;
            entry_state_t state;
            err = next_entry(self, index, end_bytes, &offset_bytes, &address, &header, &state);
            if (err != MM_OK || state == ENTRY_NONE) {
                break;
            }
            if (state == ENTRY_VALID && is_behind_end) {
                return false;
            }
            is_damaged = is_damaged || (state == ENTRY_DAMAGED && header.tag == MMI_STORE_TAG_IMAGE);
        }
        if (is_damaged || is_behind_end) {
            return is_damaged;
        }
        is_behind_end = index == self->log_sector_index;
        index = (index + 1) % self->log_sector_count;
        offset_bytes = 0;
    }
    return false;
}

mm_err_t mmi_store_log_open(mm_register_store_t *self, mm_store_state_t *state, mmi_store_buffer_t *image) {
    uint32_t sector_count = self->flash->sector_count;
    if (sector_count < MM_STORE_FLASH_SECTORS_MIN) {
        return MM_ERR_STORAGE;
    }
    self->log_sector_count = sector_count < MM_STORE_FLASH_SECTORS_MAX ? sector_count : MM_STORE_FLASH_SECTORS_MAX;
    survey_t survey = {.image_limit_seq = UINT32_MAX, .damaged_limit_seq = UINT32_MAX};
    survey_log(self, &survey);
    if (survey.damaged_image_seq > survey.end_seq + SEQ_PLAUSIBLE) {
        // Then the seq itself is damaged, as in a sector whose erase was cut short: it hides no other one.
        survey.damaged_image_seq = 0;
        survey.damaged_limit_seq = survey.end_seq + SEQ_PLAUSIBLE;
        survey_log(self, &survey);
    }
    bool fell_back = survey.unreadable;
    bool loaded = false;
    // An image that reads well once and badly now gives way to the one before; how often is bounded.
    for (int attempt = 0; attempt < MMI_STORE_READ_ATTEMPTS && self->image_seq != 0 && !loaded; attempt++) {
        loaded = load(self, self->image_address, image) == MM_OK;
        if (!loaded) {
            fell_back = true;
            survey.image_limit_seq = self->image_seq;
            self->image_seq = 0;
            survey_log(self, &survey);
        }
    }
    self->seq_high = survey.end_seq;
    if (survey.damaged_image_seq > self->image_seq) {
        fell_back = true;
        self->seq_high = survey.damaged_image_seq > survey.end_seq ? survey.damaged_image_seq : survey.end_seq;
    }
    find_end(self, &survey);
    bool is_newest = loaded && !fell_back && !is_newer_damaged(self);
    if (!answers(self)) {
        return MM_ERR_STORAGE; // it fell silent on the way, and may hold a newer image than what was found
    }
    if (!loaded) {
        self->image_seq = 0;
        *state = survey.traced || survey.unreadable ? MM_STORE_LOST : MM_STORE_EMPTY;
    } else {
        *state = is_newest ? MM_STORE_LOADED : MM_STORE_FELL_BACK;
    }
    return MM_OK;
}

mm_err_t mmi_store_log_load_page(const mm_register_store_t *self, uint8_t page_index, mmi_store_buffer_t *page) {
    if (self->page_seqs[page_index] == 0) {
        return MM_ERR_NOT_FOUND;
    }
    return load(self, self->page_addresses[page_index], page);
}
