// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_PARTITION_H
#define MM_TEST_FAKE_PARTITION_H

#include <esp_partition.h>
#include <stdbool.h>

/// Data partitions of NOR flash: "journal", which the functions without a name are about, "config" and "registers".
/// Erased sectors are ones, writing only clears bits. A call that fails has done half of its work.

#define FAKE_PARTITION_BYTES (8 * 4096)

#define FAKE_PARTITION_CONFIG_BYTES (3 * 4096)
#define FAKE_PARTITION_REGISTERS_BYTES (24 * 4096)

esp_partition_t *fake_partition(void);
/// NULL: there is none.
esp_partition_t *fake_partition_find(const char *label);
/// Time that passes in a call: for a sector's erasure, for 256 bytes written, for 256 bytes read. 0 at the start.
void fake_partition_set_times(int64_t erase_us, int64_t write_us, int64_t read_us);
uint8_t *fake_partition_cells(void);
/// Writing says ESP_OK and leaves the cells as they are: a chip that is worn out or protected.
void fake_partition_lose_writes(bool lose);
/// From now on this bit stays 0.
void fake_partition_wear(size_t offset, uint8_t mask);

#endif
