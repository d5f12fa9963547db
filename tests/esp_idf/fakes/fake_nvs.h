// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_NVS_H
#define MM_TEST_FAKE_NVS_H

#include <nvs.h>
#include <nvs_flash.h>
#include <stdbool.h>

/// Key-value storage in memory, stricter than the real one: what was not committed is gone after a restart, so code
/// that forgets nvs_commit is found. A write replaces its value whole or not at all, as the SDK promises.

/// The device restarts: values that were not committed and all handles are lost.
void fake_nvs_restart(void);
/// Handles that are open; 0 when nothing leaks.
unsigned fake_nvs_open_count(void);
/// A committed value is there; partition "nvs" is the default one.
bool fake_nvs_has(const char *partition, const char *name_space, const char *key);
/// The next nvs_flash_init(_partition) says that there are no free pages, until the partition was erased.
void fake_nvs_break_partition(const char *partition);
/// True if any value, committed or not, contains these bytes (secrets that should be gone).
bool fake_nvs_contains(const void *bytes, size_t bytes_count);

#endif
