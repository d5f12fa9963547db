// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PORT_FLASH_H
#define MM_PORT_FLASH_H

#include "meshmeter/base.h"
#include "meshmeter/limits.h"

/// A region of NOR flash. Rules of the device, which every port keeps (files on Linux included):
///  - erase works on whole sectors of MM_FLASH_SECTOR_BYTES and sets every bit to 1;
///  - program only turns 1 into 0; the result is the AND of the old and the new bytes;
///  - when the power fails inside program or erase, the bytes under way may hold anything;
///  - when program or erase returned MM_OK, the effect survives a power cut.
/// Addresses are relative to the region. Ranges outside of it assert. Each call may block for the device's time
/// (a sector erase: up to 0.4 s on SPI NOR) but never longer than a second.
typedef struct {
    mm_err_t (*read)(void *context, uint32_t address, void *bytes, size_t bytes_count);
    mm_err_t (*program)(void *context, uint32_t address, const void *bytes, size_t bytes_count);
    mm_err_t (*erase)(void *context, uint32_t sector_index);
    void *context;
    uint32_t sector_count;
} mm_flash_t;

#endif
