// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_PARTITION_H
#define MM_TEST_FAKE_PARTITION_H

#include <esp_partition.h>

/// One data partition "journal" of NOR flash: erased sectors are ones, writing only clears bits. A call that fails has
/// done half of its work.

#define FAKE_PARTITION_BYTES (8 * 4096)

esp_partition_t *fake_partition(void);
uint8_t *fake_partition_cells(void);
/// From now on this bit stays 0.
void fake_partition_wear(size_t offset, uint8_t mask);

#endif
