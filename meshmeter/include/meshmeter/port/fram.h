// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PORT_FRAM_H
#define MM_PORT_FRAM_H

#include "meshmeter/base.h"

/// Byte-writable memory that keeps its content without power (FRAM, MRAM; a file on Linux). When write returned
/// MM_OK, the bytes survive a power cut; when the power fails inside a write, a prefix has been written, the byte under
/// way holds anything, and the rest is as before. Ranges outside of size_bytes assert.
typedef struct {
    mm_err_t (*read)(void *context, uint32_t address, void *bytes, size_t bytes_count);
    mm_err_t (*write)(void *context, uint32_t address, const void *bytes, size_t bytes_count);
    void *context;
    uint32_t size_bytes;
} mm_fram_t;

#endif
