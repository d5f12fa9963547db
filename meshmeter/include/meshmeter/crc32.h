// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CRC32_H
#define MM_CRC32_H

#include "meshmeter/base.h"

/// CRC-32 of IEEE 802.3 (reflected, polynomial 0x04C11DB7, initial and final inversion; "123456789" gives
/// 0xCBF43926). `crc` is 0 for a new computation or the result of the previous part. Table of 16 entries: 64 bytes of
/// flash, about 8 cycles a byte.
uint32_t mm_crc32(uint32_t crc, const void *bytes, size_t bytes_count);

#endif
