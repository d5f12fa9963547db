// SPDX-License-Identifier: Apache-2.0
#ifndef MM_HQ_FAILING_VFS_H
#define MM_HQ_FAILING_VFS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>

/// A layer under SQLite whose n-th write, truncation or sync fails, once or from then on.

typedef struct {
    long countdown; ///< fails when it reaches 0; negative = never
    bool for_ever;
    int code;
    long calls;
    long failures;
} failing_vfs_t;

static failing_vfs_t s_failing = {.countdown = -1};

typedef struct {
    sqlite3_file base;
    sqlite3_file *real;
} failing_file_t;

static inline sqlite3_file *failing_real(sqlite3_file *file) {
    return ((failing_file_t *)(void *)file)->real;
}

static inline bool failing_now(void) {
    s_failing.calls++;
    if (s_failing.countdown < 0) {
        return false;
    }
    if (s_failing.countdown > 0) {
        s_failing.countdown--;
        return false;
    }
    if (!s_failing.for_ever) {
        s_failing.countdown = -1;
    }
    s_failing.failures++;
    return true;
}

static inline int failing_close(sqlite3_file *file) {
    return failing_real(file)->pMethods->xClose(failing_real(file));
}

static inline int failing_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset) {
    return failing_real(file)->pMethods->xRead(failing_real(file), bytes, count, offset);
}

static inline int failing_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    if (failing_now()) {
        // The worst kind of failure: half of it is there.
        failing_real(file)->pMethods->xWrite(failing_real(file), bytes, count / 2, offset);
        return s_failing.code;
    }
    return failing_real(file)->pMethods->xWrite(failing_real(file), bytes, count, offset);
}

static inline int failing_truncate(sqlite3_file *file, sqlite3_int64 size) {
    return failing_now() ? SQLITE_IOERR_TRUNCATE : failing_real(file)->pMethods->xTruncate(failing_real(file), size);
}

static inline int failing_sync(sqlite3_file *file, int flags) {
    return failing_now() ? SQLITE_IOERR_FSYNC : failing_real(file)->pMethods->xSync(failing_real(file), flags);
}

static inline int failing_size(sqlite3_file *file, sqlite3_int64 *size) {
    return failing_real(file)->pMethods->xFileSize(failing_real(file), size);
}

static inline int failing_lock(sqlite3_file *file, int level) {
    return failing_real(file)->pMethods->xLock(failing_real(file), level);
}

static inline int failing_unlock(sqlite3_file *file, int level) {
    return failing_real(file)->pMethods->xUnlock(failing_real(file), level);
}

static inline int failing_check_lock(sqlite3_file *file, int *result) {
    return failing_real(file)->pMethods->xCheckReservedLock(failing_real(file), result);
}

static inline int failing_control(sqlite3_file *file, int operation, void *argument) {
    return failing_real(file)->pMethods->xFileControl(failing_real(file), operation, argument);
}

static inline int failing_sector(sqlite3_file *file) {
    return failing_real(file)->pMethods->xSectorSize(failing_real(file));
}

static inline int failing_device(sqlite3_file *file) {
    return failing_real(file)->pMethods->xDeviceCharacteristics(failing_real(file));
}

static inline int failing_shm_map(sqlite3_file *file, int page, int bytes, int extend, void volatile **result) {
    return failing_real(file)->pMethods->xShmMap(failing_real(file), page, bytes, extend, result);
}

static inline int failing_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
    return failing_real(file)->pMethods->xShmLock(failing_real(file), offset, count, flags);
}

static inline void failing_shm_barrier(sqlite3_file *file) {
    failing_real(file)->pMethods->xShmBarrier(failing_real(file));
}

static inline int failing_shm_unmap(sqlite3_file *file, int erase) {
    return failing_real(file)->pMethods->xShmUnmap(failing_real(file), erase);
}

static inline int failing_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *flags_out) {
    static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = failing_close,
        .xRead = failing_read,
        .xWrite = failing_write,
        .xTruncate = failing_truncate,
        .xSync = failing_sync,
        .xFileSize = failing_size,
        .xLock = failing_lock,
        .xUnlock = failing_unlock,
        .xCheckReservedLock = failing_check_lock,
        .xFileControl = failing_control,
        .xSectorSize = failing_sector,
        .xDeviceCharacteristics = failing_device,
        .xShmMap = failing_shm_map,
        .xShmLock = failing_shm_lock,
        .xShmBarrier = failing_shm_barrier,
        .xShmUnmap = failing_shm_unmap,
    };
    failing_file_t *self = (failing_file_t *)(void *)file;
    sqlite3_vfs *below = vfs->pAppData;
    // SQLite gave room for both: see szOsFile.
    self->real = (sqlite3_file *)(void *)(self + 1);
    memset(self->real, 0, (size_t)below->szOsFile);
    int code = below->xOpen(below, name, self->real, flags, flags_out);
    self->base.pMethods = self->real->pMethods != NULL ? &methods : NULL;
    return code;
}

/// Register once; its name is for mm_store_options_t.vfs.
static inline const char *failing_vfs_register(void) {
    static sqlite3_vfs vfs;
    if (vfs.zName == NULL) {
        sqlite3_vfs *below = sqlite3_vfs_find(NULL);
        vfs = *below; // everything but opening is the system's own
        vfs.pNext = NULL;
        vfs.zName = "failing";
        vfs.pAppData = below;
        vfs.szOsFile = (int)sizeof(failing_file_t) + below->szOsFile;
        vfs.xOpen = failing_open;
        sqlite3_vfs_register(&vfs, 0);
    }
    return vfs.zName;
}

#endif
