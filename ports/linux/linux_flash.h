// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_FLASH_H
#define MM_LINUX_FLASH_H

#include "linux_file.h"
#include "meshmeter/limits.h"
#include "meshmeter/port/flash.h"

/// NOR flash as a file, with the rules of the device (port/flash.h) enforced: program ANDs, erase works on sectors.

typedef struct {
    mm_flash_t flash; ///< hand this to the core; *self must stay where it is
    mm_linux_sync_t sync;
    int file;
} mm_linux_flash_t;

/// See mm_linux_file_open for errors. A new file is erased flash.
mm_err_t mm_linux_flash_open(mm_linux_flash_t *self, const char *path, uint32_t sector_count, mm_linux_sync_t sync,
                             mm_linux_message_t *message);
/// Also after a failed open.
void mm_linux_flash_close(mm_linux_flash_t *self);

#endif
