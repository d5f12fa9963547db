// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_FLASH_H
#define MM_ESP_FLASH_H

#include "meshmeter/port/flash.h"

/// A data partition as a flash region. What was programmed is read back and compared (as AND with what was there), what
/// was erased is read back as all ones: a worn or misdriven chip answers MM_ERR_STORAGE, and the store above
/// retires the sector. An encrypted or read-only partition is refused: encrypted flash cannot be programmed twice.

#define MM_ESP_FLASH_CHUNK_BYTES 256

typedef struct {
    mm_flash_t flash; ///< hand this to the core; *self must stay where it is
    const void *partition;
} mm_esp_flash_t;

/// label: of the partition table. sectors_max: use at most so many. MM_ERR_NOT_FOUND: no such partition. MM_ERR_ARG: it
/// is no multiple of the sector, smaller than sectors_min, encrypted or read-only.
mm_err_t mm_esp_flash_open(mm_esp_flash_t *self, const char *label, uint32_t sectors_min, uint32_t sectors_max);

#endif
