// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_FRAM_H
#define MM_LINUX_FRAM_H

#include "linux_file.h"
#include "meshmeter/port/fram.h"

/// FRAM as a file.

typedef struct {
    mm_fram_t fram; ///< hand this to the core; *self must stay where it is
    mm_linux_sync_t sync;
    int file;
} mm_linux_fram_t;

/// See mm_linux_file_open for errors. A new file holds 0xFF.
mm_err_t mm_linux_fram_open(mm_linux_fram_t *self, const char *path, uint32_t size_bytes, mm_linux_sync_t sync,
                            mm_linux_message_t *message);
/// Also after a failed open.
void mm_linux_fram_close(mm_linux_fram_t *self);

#endif
