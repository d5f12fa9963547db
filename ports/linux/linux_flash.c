// SPDX-License-Identifier: Apache-2.0
#include "linux_flash.h"

#include <string.h>
#include <unistd.h>

static void assert_range(const mm_linux_flash_t *self, uint32_t address, size_t bytes_count) {
    uint64_t size_bytes = (uint64_t)self->flash.sector_count * MM_FLASH_SECTOR_BYTES;
    MM_ASSERT(address <= size_bytes && bytes_count <= size_bytes - address);
}

static mm_err_t read_flash(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    mm_linux_flash_t *self = context;
    assert_range(self, address, bytes_count);
    return mm_linux_file_read(self->file, address, bytes, bytes_count);
}

static mm_err_t program_flash(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    mm_linux_flash_t *self = context;
    assert_range(self, address, bytes_count);
    const uint8_t *next = bytes;
    while (bytes_count > 0) {
        uint8_t cells[MM_FLASH_SECTOR_BYTES];
        size_t part = bytes_count < sizeof cells ? bytes_count : sizeof cells;
        mm_err_t err = mm_linux_file_read(self->file, address, cells, part);
        if (err != MM_OK) {
            return err;
        }
        for (size_t i = 0; i < part; i++) {
            cells[i] = (uint8_t)(cells[i] & next[i]);
        }
        err = mm_linux_file_write(self->file, address, cells, part);
        if (err != MM_OK) {
            return err;
        }
        address += (uint32_t)part;
        next += part;
        bytes_count -= part;
    }
    return mm_linux_file_sync(self->file, self->sync);
}

static mm_err_t erase_flash(void *context, uint32_t sector_index) {
    mm_linux_flash_t *self = context;
    MM_ASSERT(sector_index < self->flash.sector_count);
    uint8_t erased[MM_FLASH_SECTOR_BYTES];
    memset(erased, 0xFF, sizeof erased);
    mm_err_t err =
        mm_linux_file_write(self->file, (uint64_t)sector_index * MM_FLASH_SECTOR_BYTES, erased, sizeof erased);
    return err == MM_OK ? mm_linux_file_sync(self->file, self->sync) : err;
}

mm_err_t mm_linux_flash_open(mm_linux_flash_t *self, const char *path, uint32_t sector_count, mm_linux_sync_t sync,
                             mm_linux_message_t *message) {
    MM_ASSERT(sector_count > 0 && sector_count <= UINT32_MAX / MM_FLASH_SECTOR_BYTES);
    *self = (mm_linux_flash_t){
        .flash = {.read = read_flash,
                  .program = program_flash,
                  .erase = erase_flash,
                  .context = self,
                  .sector_count = sector_count},
        .sync = sync,
        .file = -1,
    };
    return mm_linux_file_open(path, (uint64_t)sector_count * MM_FLASH_SECTOR_BYTES, sync, &self->file, message);
}

void mm_linux_flash_close(mm_linux_flash_t *self) {
    if (self->file >= 0) {
        (void)close(self->file);
        self->file = -1;
    }
}
