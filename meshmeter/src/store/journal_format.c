// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "journal_internal.h"
#include "meshmeter/bytes.h"
#include "meshmeter/crc32.h"

#define MARK_MAGIC UINT32_C(0x454A4D4D)   // "MMJE"
#define HEADER_MAGIC UINT32_C(0x534A4D4D) // "MMJS"
#define HEADER_VERSION 1
// Odd, so that no two epochs are alike: 2^32 divided by the golden ratio.
#define EPOCH_FACTOR UINT32_C(2654435769)
#define CHUNK_BYTES 64
#define READ_ATTEMPTS 2

uint32_t mmi_journal_record_bytes(size_t payload_bytes) {
    return (uint32_t)((MMI_JOURNAL_RECORD_HEADER_BYTES + payload_bytes + 3) & ~(size_t)3);
}

mm_err_t mmi_journal_read(const mm_journal_t *self, uint32_t sector_index, uint32_t offset_bytes, void *bytes,
                          size_t bytes_count) {
    const mm_flash_t *flash = self->flash;
    uint32_t address = sector_index * MM_FLASH_SECTOR_BYTES + offset_bytes;
    for (int attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
        if (flash->read(flash->context, address, bytes, bytes_count) == MM_OK) {
            return MM_OK;
        }
        mm_counters_count(self->counters, MM_COUNTER_FLASH_ERROR);
    }
    return MM_ERR_STORAGE;
}

bool mm_journal_answers(const mm_journal_t *self) {
    for (uint32_t index = 0; index < self->sector_count; index++) {
        uint8_t byte;
        if (mmi_journal_read(self, index, 0, &byte, sizeof byte) == MM_OK) {
            return true;
        }
    }
    return false;
}

mm_err_t mmi_journal_program(mm_journal_t *self, uint32_t sector_index, uint32_t offset_bytes, const void *bytes,
                             size_t bytes_count) {
    const mm_flash_t *flash = self->flash;
    uint32_t address = sector_index * MM_FLASH_SECTOR_BYTES + offset_bytes;
    if (flash->program(flash->context, address, bytes, bytes_count) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_FLASH_ERROR);
        return MM_ERR_STORAGE;
    }
    uint8_t chunk[CHUNK_BYTES];
    for (size_t done = 0; done < bytes_count; done += CHUNK_BYTES) {
        size_t chunk_bytes = bytes_count - done < CHUNK_BYTES ? bytes_count - done : CHUNK_BYTES;
        if (mmi_journal_read(self, sector_index, offset_bytes + (uint32_t)done, chunk, chunk_bytes) != MM_OK) {
            return MM_ERR_STORAGE;
        }
        if (memcmp(chunk, (const uint8_t *)bytes + done, chunk_bytes) != 0) {
            mm_counters_count(self->counters, MM_COUNTER_FLASH_ERROR);
            return MM_ERR_STORAGE;
        }
    }
    return MM_OK;
}

mm_err_t mmi_journal_used_end(const mm_journal_t *self, uint32_t sector_index, uint32_t offset_bytes,
                              uint32_t *end_bytes) {
    uint8_t chunk[CHUNK_BYTES];
    *end_bytes = offset_bytes;
    for (uint32_t at = offset_bytes; at < MM_FLASH_SECTOR_BYTES; at += CHUNK_BYTES) {
        uint32_t chunk_bytes = MM_FLASH_SECTOR_BYTES - at < CHUNK_BYTES ? MM_FLASH_SECTOR_BYTES - at : CHUNK_BYTES;
        if (mmi_journal_read(self, sector_index, at, chunk, chunk_bytes) != MM_OK) {
            return MM_ERR_STORAGE;
        }
        uint32_t used_bytes = (uint32_t)mm_bytes_used(chunk, chunk_bytes);
        if (used_bytes > 0) {
            *end_bytes = at + used_bytes;
        }
    }
    return MM_OK;
}

static bool decode_header(const mm_journal_t *self, const uint8_t bytes[MMI_JOURNAL_HEADER_BYTES],
                          mmi_journal_header_t *header) {
    mm_reader_t reader = mm_reader(bytes, MMI_JOURNAL_HEADER_BYTES);
    uint32_t magic = mm_get_u32(&reader);
    uint8_t version = mm_get_u8(&reader);
    (void)mm_get_u8(&reader);
    header->sector_count = mm_get_u16(&reader);
    header->epoch = mm_get_u32(&reader);
    header->generation = mm_get_u32(&reader);
    header->base_seq = mm_get_u32(&reader);
    header->watermark_seq = mm_get_u32(&reader);
    uint32_t crc = mm_get_u32(&reader);
    header->foreign = version != HEADER_VERSION || header->sector_count != self->sector_count;
    return magic == HEADER_MAGIC && crc == mm_crc32(0, bytes, MMI_JOURNAL_HEADER_BYTES - 4) && header->epoch != 0 &&
           header->epoch != UINT32_MAX && (header->foreign || (header->generation != 0 && header->base_seq != 0));
}

mm_err_t mmi_journal_read_header(const mm_journal_t *self, uint32_t sector_index, mmi_journal_header_t *header) {
    uint8_t bytes[MMI_JOURNAL_HEADER_COPIES * MMI_JOURNAL_HEADER_BYTES];
    if (mmi_journal_read(self, sector_index, MMI_JOURNAL_MARK_BYTES, bytes, sizeof bytes) != MM_OK) {
        return MM_ERR_STORAGE;
    }
    for (size_t copy = 0; copy < MMI_JOURNAL_HEADER_COPIES; copy++) {
        if (decode_header(self, bytes + copy * MMI_JOURNAL_HEADER_BYTES, header)) {
            return MM_OK;
        }
    }
    return MM_ERR_NOT_FOUND;
}

mm_err_t mmi_journal_write_header(mm_journal_t *self, uint32_t sector_index) {
    const mm_journal_sector_t *sector = &self->sectors[sector_index];
    uint8_t bytes[MMI_JOURNAL_HEADER_COPIES * MMI_JOURNAL_HEADER_BYTES];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    mm_put_u32(&writer, HEADER_MAGIC);
    mm_put_u8(&writer, HEADER_VERSION);
    mm_put_u8(&writer, 0);
    mm_put_u16(&writer, (uint16_t)self->sector_count);
    mm_put_u32(&writer, self->epoch);
    mm_put_u32(&writer, sector->generation);
    mm_put_u32(&writer, sector->base_seq);
    mm_put_u32(&writer, self->watermark.seq);
    mm_put_u32(&writer, mm_crc32(0, bytes, MMI_JOURNAL_HEADER_BYTES - 4));
    mm_put_bytes(&writer, bytes, MMI_JOURNAL_HEADER_BYTES);
    MM_ASSERT(!writer.failed);
    return mmi_journal_program(self, sector_index, MMI_JOURNAL_MARK_BYTES, bytes, sizeof bytes);
}

bool mmi_journal_read_mark(const mm_journal_t *self, uint32_t sector_index, uint32_t *erase_count) {
    uint8_t bytes[MMI_JOURNAL_MARK_BYTES];
    if (mmi_journal_read(self, sector_index, 0, bytes, sizeof bytes) != MM_OK) {
        return false;
    }
    mm_reader_t reader = mm_reader(bytes, sizeof bytes);
    uint32_t magic = mm_get_u32(&reader);
    *erase_count = mm_get_u32(&reader);
    return mm_get_u32(&reader) == mm_crc32(0, bytes, MMI_JOURNAL_MARK_BYTES - 4) && magic == MARK_MAGIC;
}

static bool is_blank(const mm_journal_t *self, uint32_t sector_index) {
    uint32_t end_bytes;
    return mmi_journal_used_end(self, sector_index, 0, &end_bytes) == MM_OK && end_bytes == 0;
}

mm_err_t mmi_journal_erase(mm_journal_t *self, uint32_t sector_index) {
    uint32_t erase_count = 0;
    if (!mmi_journal_read_mark(self, sector_index, &erase_count)) {
        // Not known: the ring wears evenly, so the order of use tells about how often.
        erase_count = self->next_generation / self->sector_count;
    }
    mm_journal_sector_t *sector = &self->sectors[sector_index];
    *sector = (mm_journal_sector_t){.state = MM_JOURNAL_SECTOR_RETIRED, .end_bytes = MMI_JOURNAL_MARK_BYTES};
    mm_err_t err = self->flash->erase(self->flash->context, sector_index);
    if (err != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_FLASH_ERROR);
    } else if (!is_blank(self, sector_index)) {
        err = MM_ERR_STORAGE;
    }
    if (err == MM_OK) {
        uint8_t bytes[MMI_JOURNAL_MARK_BYTES];
        mm_writer_t writer = mm_writer(bytes, sizeof bytes);
        mm_put_u32(&writer, MARK_MAGIC);
        mm_put_u32(&writer, erase_count + 1);
        mm_put_u32(&writer, mm_crc32(0, bytes, MMI_JOURNAL_MARK_BYTES - 4));
        err = mmi_journal_program(self, sector_index, 0, bytes, sizeof bytes);
    }
    if (err != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_JOURNAL_SECTOR_RETIRED);
        return MM_ERR_STORAGE;
    }
    sector->state = MM_JOURNAL_SECTOR_ERASED;
    return MM_OK;
}

// The checksum begins with the use of the sector: a record of an earlier use is never taken for one of now. Two uses of
// one epoch differ in their generation, so their checksums of the same bytes differ always, not only most probably.
static uint32_t record_crc(const mm_journal_t *self, uint32_t sector_index, const uint8_t *head, const uint8_t *payload,
                           size_t payload_bytes) {
    uint32_t use = self->epoch * EPOCH_FACTOR + self->sectors[sector_index].generation;
    return mm_crc32(mm_crc32(use, head, 4), payload, payload_bytes);
}

mm_err_t mmi_journal_write_record(mm_journal_t *self, uint32_t sector_index, uint32_t offset_bytes, uint32_t seq,
                                  uint8_t type, const void *payload, size_t payload_bytes) {
    MM_ASSERT(offset_bytes + mmi_journal_record_bytes(payload_bytes) <= MM_FLASH_SECTOR_BYTES);
    uint8_t bytes[MMI_JOURNAL_RECORD_BYTES_MAX];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    mm_put_u16(&writer, (uint16_t)seq);
    mm_put_u8(&writer, type);
    mm_put_u8(&writer, (uint8_t)payload_bytes);
    mm_put_u32(&writer, record_crc(self, sector_index, bytes, payload, payload_bytes));
    mm_put_bytes(&writer, payload, payload_bytes);
    MM_ASSERT(!writer.failed);
    return mmi_journal_program(self, sector_index, offset_bytes, bytes, writer.used_bytes);
}

typedef enum {
    RECORD_NONE,
    RECORD_GOOD,
    RECORD_REFUSED
} found_t;

static found_t read_record(const mm_journal_t *self, uint32_t sector_index, uint32_t offset_bytes,
                           mm_journal_entry_t *entry) {
    uint8_t head[MMI_JOURNAL_RECORD_HEADER_BYTES];
    if (mmi_journal_read(self, sector_index, offset_bytes, head, sizeof head) != MM_OK) {
        return RECORD_REFUSED;
    }
    mm_reader_t reader = mm_reader(head, sizeof head);
    uint16_t seq_low = mm_get_u16(&reader);
    entry->type = mm_get_u8(&reader);
    entry->payload_bytes = mm_get_u8(&reader);
    uint32_t crc = mm_get_u32(&reader);
    uint32_t base_seq = self->sectors[sector_index].base_seq;
    uint16_t delta = (uint16_t)(seq_low - (uint16_t)base_seq);
    entry->position = (mm_position_t){self->epoch, base_seq + delta};
    if (entry->payload_bytes > MM_RECORD_PAYLOAD_BYTES_MAX || delta >= MMI_JOURNAL_SEQ_SPAN ||
        offset_bytes + MMI_JOURNAL_RECORD_HEADER_BYTES + entry->payload_bytes > MM_FLASH_SECTOR_BYTES) {
        return RECORD_NONE;
    }
    if (mmi_journal_read(self, sector_index, offset_bytes + MMI_JOURNAL_RECORD_HEADER_BYTES, entry->payload,
                         entry->payload_bytes) != MM_OK) {
        return RECORD_REFUSED;
    }
    bool is_good = crc == record_crc(self, sector_index, head, entry->payload, entry->payload_bytes);
    return is_good ? RECORD_GOOD : RECORD_NONE;
}

bool mmi_journal_find_record(const mm_journal_t *self, uint32_t sector_index, uint32_t end_bytes, uint32_t min_seq,
                             uint32_t *offset_bytes, mm_journal_entry_t *entry, bool *refused) {
    uint32_t at = *offset_bytes;
    while (at < end_bytes && at + MMI_JOURNAL_RECORD_HEADER_BYTES <= MM_FLASH_SECTOR_BYTES) {
        found_t found = read_record(self, sector_index, at, entry);
        // A good record is passed as a whole; behind a bad one the next one may begin at any word.
        at += found == RECORD_GOOD ? mmi_journal_record_bytes(entry->payload_bytes) : 4;
        if (found == RECORD_GOOD && entry->position.seq >= min_seq) {
            *offset_bytes = at;
            return true;
        }
        if (found == RECORD_REFUSED && refused != NULL) {
            *refused = true;
        }
    }
    *offset_bytes = end_bytes;
    return false;
}
