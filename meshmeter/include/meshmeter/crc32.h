// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CRC32_H
#define MM_CRC32_H

#include "meshmeter/base.h"

/// CRC-32 of IEEE 802.3 (reflected, polynomial 0x04C11DB7, initial and final inversion; "123456789" gives
/// 0xCBF43926). `crc` is 0 for a new computation or the result of the previous part. Tables of 4 KB; a platform may
/// link a function of its own instead.
uint32_t mm_crc32(uint32_t crc, const void *bytes, size_t bytes_count);

#endif
