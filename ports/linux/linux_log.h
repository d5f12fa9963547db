// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_LOG_H
#define MM_LINUX_LOG_H

#include "meshmeter/port/log.h"

/// Log of the process: one line per message to standard error, with the system's UTC time in milliseconds and the
/// level. Lines are written with one call each, so those of several threads and processes do not mix. Text from
/// outside cannot forge lines: control characters are written as '?'. A line that standard error does not take at once
/// (a pipe whose reader has stopped) is dropped.

#define MM_LINUX_LOG_LINE_BYTES_MAX 1024
/// The newest lines are kept in memory, too.
#define MM_LINUX_LOG_TAIL_BYTES 8192

/// What is less important than `level` is not written (default MM_LOG_INFO). Call before threads start.
void mm_linux_log_set_level(mm_log_level_t level);
/// Name in front of each message, e.g. "node-1"; copied, at most 31 characters. Call before threads start.
void mm_linux_log_set_name(const char *name);
__attribute__((format(printf, 2, 3))) void mm_linux_log(mm_log_level_t level, const char *format, ...);
/// The newest whole lines that fit, oldest first, each with its line end. If not even the newest one does, its
/// beginning. Returns their bytes; there is no terminator.
size_t mm_linux_log_tail(char *text, size_t capacity_bytes);

/// The same as port of the core.
mm_log_t mm_linux_log_port(void);

#endif
