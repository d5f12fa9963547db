// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_FILE_H
#define MM_LINUX_FILE_H

#include "linux_message.h"
#include "meshmeter/base.h"

/// A file of fixed size that one process has for itself: what flash and FRAM of a Linux node are made of.

typedef enum {
    MM_LINUX_SYNC_DATA = 0, ///< every write is on the disk when it returns (fdatasync)
    MM_LINUX_SYNC_NONE,     ///< survives the end of the process, not a power cut of the host; for tests and demos
} mm_linux_sync_t;

/// Open `path`, or create it with size_bytes bytes of 0xFF. A file that is created is whole or absent after any crash.
/// The lock holds until the file is closed, also across kill -9.
/// MM_ERR_BUSY: another process has it. MM_ERR_ARG: it exists with another size; not touched. MM_ERR_STORAGE: the
/// system refused (permission, disk full …). `message` names the path in each case.
mm_err_t mm_linux_file_open(const char *path, uint64_t size_bytes, mm_linux_sync_t sync, int *file,
                            mm_linux_message_t *message);
/// Whole ranges only; MM_ERR_STORAGE otherwise.
mm_err_t mm_linux_file_read(int file, uint64_t offset, void *bytes, size_t bytes_count);
/// Write without sync.
mm_err_t mm_linux_file_write(int file, uint64_t offset, const void *bytes, size_t bytes_count);
mm_err_t mm_linux_file_sync(int file, mm_linux_sync_t sync);

/// Replace a small file as a whole: whoever reads it, also after a crash, finds what was there before or all of
/// `bytes`. Mode 0600. MM_ERR_STORAGE: the system refused; nothing changed.
mm_err_t mm_linux_file_replace(const char *path, const void *bytes, size_t bytes_count, mm_linux_sync_t sync);
/// A small file as zero-terminated text. MM_ERR_NOT_FOUND: there is none. MM_ERR_FULL: it has capacity_bytes or more.
/// MM_ERR_CORRUPT: it holds zero bytes. MM_ERR_STORAGE.
mm_err_t mm_linux_file_read_text(const char *path, char *text, size_t capacity_bytes);
/// Give a file its new name, which another one may have had. Durable with MM_LINUX_SYNC_DATA.
mm_err_t mm_linux_file_rename(const char *from, const char *to, mm_linux_sync_t sync);
/// Remove a file; none there is good as well.
mm_err_t mm_linux_file_remove(const char *path, mm_linux_sync_t sync);

#endif
