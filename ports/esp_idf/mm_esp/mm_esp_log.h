// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_LOG_H
#define MM_ESP_LOG_H

#include "meshmeter/port/log.h"

/// Log of the device: to the SDK's console, and the newest lines into a ring for READ_LOG. Any task may call; from
/// interrupts it must not be called. Text from outside cannot forge lines: control characters are written as '?'.
/// Lines look like "12.345 W message first=1 second=2", time since the start in seconds. The ring is held under a
/// critical section only while one line, or what READ_LOG asks
/// for (a record of 240 bytes), is copied. 2.2 KB.

#define MM_ESP_LOG_LINE_CHARS_MAX 160
/// As much as the largest reader can take (mm_esp_console.h).
#define MM_ESP_LOG_RING_BYTES 2048

/// What is less important is neither printed nor kept; default MM_LOG_INFO.
void mm_esp_log_set_level(mm_log_level_t level);
__attribute__((format(printf, 2, 3))) void mm_esp_log(mm_log_level_t level, const char *format, ...);
/// The newest whole lines that fit, oldest first, each with its line end. If not even the newest one does, its
/// beginning. Returns their bytes; there is no terminator.
size_t mm_esp_log_tail(char *text, size_t capacity_bytes);
/// Forget all (tests).
void mm_esp_log_clear(void);
mm_log_t mm_esp_log_port(void);

#endif
