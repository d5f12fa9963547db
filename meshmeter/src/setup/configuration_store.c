// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "meshmeter/crc32.h"
#include "setup/configuration_internal.h"

// One configuration in one sector: magic, seq, length, the encoded configuration, checksum of all before it
// (docs/spec/configuration.md, 1).
#define MAGIC UINT32_C(0x31464D4D) // "MMF1"
#define HEADER_BYTES 12
#define CRC_BYTES 4
#define SLOT_BYTES_MAX (HEADER_BYTES + MM_CONFIGURATION_BYTES_MAX + CRC_BYTES)
#define PIECE_BYTES 64
// More than any device saves: damage does not use the numbers up.
#define SEQ_MAX 0x80000000u
_Static_assert(SLOT_BYTES_MAX <= MM_FLASH_SECTOR_BYTES, "a configuration does not fit a sector");

typedef struct {
    uint8_t bytes[SLOT_BYTES_MAX];
    uint32_t seq; ///< of one that is damaged, too, if it was whole once; else 0
    size_t payload_bytes;
} slot_t;

static uint32_t address_of(uint32_t sector_index) {
    return sector_index * MM_FLASH_SECTOR_BYTES;
}

static bool is_blank(const uint8_t *bytes, size_t bytes_count) {
    for (size_t index = 0; index < bytes_count; index++) {
        if (bytes[index] != 0xFF) {
            return false;
        }
    }
    return true;
}

// Written to its last byte. A cut leaves what is behind it blank, and the byte at the cut as it happens to be.
static bool was_whole(uint32_t stored_crc, uint32_t crc) {
    return stored_crc >> 24 != 0xFF && ((stored_crc ^ crc) & 0x00FFFFFF) != 0;
}

// MM_ERR_NOT_FOUND: blank. MM_ERR_CORRUPT: something that is not whole. MM_ERR_STORAGE.
static mm_err_t load(const mm_flash_t *flash, uint32_t sector_index, slot_t *slot) {
    if (flash->read(flash->context, address_of(sector_index), slot->bytes, sizeof slot->bytes) != MM_OK) {
        return MM_ERR_STORAGE;
    }
    if (is_blank(slot->bytes, sizeof slot->bytes)) {
        return MM_ERR_NOT_FOUND;
    }
    mm_reader_t reader = mm_reader(slot->bytes, sizeof slot->bytes);
    uint32_t magic = mm_get_u32(&reader);
    slot->seq = mm_get_u32(&reader);
    slot->payload_bytes = mm_get_u32(&reader);
    if (magic != MAGIC || slot->seq - 1 >= SEQ_MAX || slot->payload_bytes > MM_CONFIGURATION_BYTES_MAX) {
        slot->seq = 0;
        return MM_ERR_CORRUPT;
    }
    size_t covered_bytes = HEADER_BYTES + slot->payload_bytes;
    mm_reader_t tail = mm_reader(slot->bytes + covered_bytes, CRC_BYTES);
    uint32_t stored_crc = mm_get_u32(&tail);
    uint32_t crc = mm_crc32(0, slot->bytes, covered_bytes);
    if (stored_crc == crc) {
        return MM_OK;
    }
    slot->seq = was_whole(stored_crc, crc) ? slot->seq : 0;
    return MM_ERR_CORRUPT;
}

mm_err_t mm_configuration_store_open(mm_configuration_store_t *self, const mm_flash_t *flash, uint32_t sector_count,
                                     mm_configuration_t *configuration) {
    MM_ASSERT(sector_count >= MM_CONFIGURATION_SECTORS_MIN && sector_count <= flash->sector_count);
    memset(self, 0, sizeof *self);
    memset(configuration, 0, sizeof *configuration);
    self->flash = flash;
    self->sector_count = sector_count;
    self->sector_index = sector_count - 1; // the first one is written next
    mm_err_t found = MM_ERR_NOT_FOUND;
    uint32_t lost_seq = 0;
    for (uint32_t sector_index = 0; sector_index < sector_count; sector_index++) {
        slot_t slot;
        mm_err_t err = load(flash, sector_index, &slot);
        if (err == MM_ERR_STORAGE) {
            memset(configuration, 0, sizeof *configuration);
            return MM_ERR_STORAGE; // it may have the newest
        }
        if (err == MM_ERR_CORRUPT) {
            self->damaged++;
            lost_seq = slot.seq > lost_seq ? slot.seq : lost_seq;
        }
        if (err != MM_OK || slot.seq < self->seq) {
            continue;
        }
        self->seq = slot.seq;
        self->sector_index = sector_index;
        mm_reader_t reader = mm_reader(slot.bytes + HEADER_BYTES, slot.payload_bytes);
        found = mm_configuration_decode(configuration, &reader);
    }
    self->is_later_version = found == MM_ERR_VERSION;
    if (lost_seq > self->seq) {
        self->seq = lost_seq; // what is saved next is newer, also if another sector takes it
        self->is_behind = found == MM_OK;
    }
    if (self->is_behind) {
        configuration->confirmed_channels = MM_ALL_CHANNELS;
    }
    return found == MM_ERR_NOT_FOUND && self->damaged > 0 ? MM_ERR_CORRUPT : found;
}

// True if the sector holds this now, and says so.
static bool write_sector(const mm_flash_t *flash, uint32_t sector_index, const uint8_t *bytes, size_t bytes_count) {
    if (flash->erase(flash->context, sector_index) != MM_OK ||
        flash->program(flash->context, address_of(sector_index), bytes, bytes_count) != MM_OK) {
        return false;
    }
    uint8_t piece[PIECE_BYTES];
    for (size_t offset = 0; offset < bytes_count; offset += PIECE_BYTES) {
        size_t size = bytes_count - offset < PIECE_BYTES ? bytes_count - offset : PIECE_BYTES;
        if (flash->read(flash->context, address_of(sector_index) + (uint32_t)offset, piece, size) != MM_OK ||
            memcmp(piece, bytes + offset, size) != 0) {
            return false;
        }
    }
    return true;
}

mm_err_t mm_configuration_store_save(mm_configuration_store_t *self, const mm_configuration_t *configuration) {
    if (self->is_later_version) {
        return MM_ERR_VERSION;
    }
    uint8_t bytes[SLOT_BYTES_MAX];
    mm_writer_t payload = mm_writer(bytes + HEADER_BYTES, MM_CONFIGURATION_BYTES_MAX);
    mm_configuration_encode(configuration, &payload);
    MM_ASSERT(!payload.failed);
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    mm_put_u32(&writer, MAGIC);
    // Never given out twice: a device that refused may have kept it all the same.
    mm_put_u32(&writer, ++self->seq);
    mm_put_u32(&writer, (uint32_t)payload.used_bytes);
    writer.used_bytes += payload.used_bytes;
    mm_put_u32(&writer, mm_crc32(0, bytes, writer.used_bytes));

    // Every sector but that of the newest: a worn one is passed over.
    for (uint32_t distance = 1; distance < self->sector_count; distance++) {
        uint32_t sector_index = (self->sector_index + distance) % self->sector_count;
        if (write_sector(self->flash, sector_index, bytes, writer.used_bytes)) {
            self->sector_index = sector_index;
            return MM_OK;
        }
    }
    return MM_ERR_STORAGE;
}
