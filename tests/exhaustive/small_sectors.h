// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SMALL_SECTORS_H
#define MM_SMALL_SECTORS_H

// Read before every source of mm_small_storage and of the programs that use it: sectors of 2 KiB instead of 4 (an image
// of the registers still fits one). The same code, with twice as many sector changes in the same number of bytes.

#include "meshmeter/limits.h"

#undef MM_FLASH_SECTOR_BYTES
#define MM_FLASH_SECTOR_BYTES 2048

#endif
