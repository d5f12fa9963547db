// SPDX-License-Identifier: Apache-2.0
#include "linux_fram.h"

#include <unistd.h>

static void assert_range(const mm_linux_fram_t *self, uint32_t address, size_t bytes_count) {
    MM_ASSERT(address <= self->fram.size_bytes && bytes_count <= self->fram.size_bytes - address);
}

static mm_err_t read_fram(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    mm_linux_fram_t *self = context;
    assert_range(self, address, bytes_count);
    return mm_linux_file_read(self->file, address, bytes, bytes_count);
}

static mm_err_t write_fram(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    mm_linux_fram_t *self = context;
    assert_range(self, address, bytes_count);
    mm_err_t err = mm_linux_file_write(self->file, address, bytes, bytes_count);
    return err == MM_OK ? mm_linux_file_sync(self->file, self->sync) : err;
}

mm_err_t mm_linux_fram_open(mm_linux_fram_t *self, const char *path, uint32_t size_bytes, mm_linux_sync_t sync,
                            mm_linux_message_t *message) {
    MM_ASSERT(size_bytes > 0);
    *self = (mm_linux_fram_t){
        .fram = {.read = read_fram, .write = write_fram, .context = self, .size_bytes = size_bytes},
        .sync = sync,
        .file = -1,
    };
    return mm_linux_file_open(path, size_bytes, sync, &self->file, message);
}

void mm_linux_fram_close(mm_linux_fram_t *self) {
    if (self->file >= 0) {
        (void)close(self->file);
        self->file = -1;
    }
}
