// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_disk_internal.h"

#include <stdlib.h>
#include <string.h>

#define SECTOR_SIZE 4096 // what SQLite's own VFS says; it decides about the layout of a rollback journal only

typedef struct {
    sqlite3_file base;
    mm_sim_disk_t *disk;
    mmi_disk_file_t *file;
    mmi_disk_shm_t *shm;
    uint64_t life;
    int level; ///< SQLITE_LOCK_…
    bool syncs_folder;
    uint16_t shm_shared;
    uint16_t shm_exclusive;
} handle_t;

static handle_t *handle_of(sqlite3_file *file) {
    return (handle_t *)(void *)file;
}

static bool is_dead(const handle_t *self) {
    return self->disk->off || self->life != self->disk->life;
}

// Of a call without an effect of its own when it fails.
static bool goes(handle_t *self, unsigned kind) {
    mmi_disk_fate_t fate = mmi_disk_fate(self->disk, kind);
    if (fate == MMI_DISK_CUT) {
        mmi_disk_cut(self->disk);
    }
    return fate == MMI_DISK_GO && !is_dead(self);
}

// --- content

static int disk_read(sqlite3_file *base, void *bytes, int count, sqlite3_int64 offset) {
    handle_t *self = handle_of(base);
    if (!goes(self, MM_SIM_DISK_READ)) {
        return SQLITE_IOERR_READ;
    }
    return mmi_disk_file_read(self->file, bytes, count, offset) == count ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int disk_write(sqlite3_file *base, const void *bytes, int count, sqlite3_int64 offset) {
    handle_t *self = handle_of(base);
    mm_sim_disk_t *disk = self->disk;
    mmi_disk_fate_t fate = mmi_disk_fate(disk, MM_SIM_DISK_WRITE);
    if (is_dead(self)) {
        return SQLITE_IOERR_WRITE;
    }
    int64_t wanted = fate == MMI_DISK_FAIL ? count / 2 : count;
    int64_t fits = wanted;
    int64_t growth = offset + wanted - self->file->size;
    int64_t room = disk->capacity_bytes - disk->used_bytes;
    if (self->file->counted && growth > 0 && growth > room) {
        fits -= growth - (room > 0 ? room : 0);
        fits = fits > 0 ? fits : 0;
    }
    bool done = mmi_disk_file_write(disk, self->file, bytes, fits, offset);
    if (fate == MMI_DISK_CUT) {
        mmi_disk_cut(disk);
        return SQLITE_IOERR_WRITE;
    }
    if (fate == MMI_DISK_FAIL) {
        return SQLITE_IOERR_WRITE;
    }
    disk->failures += fits < count;
    return !done ? SQLITE_IOERR_NOMEM : fits < count ? SQLITE_FULL : SQLITE_OK;
}

static int disk_truncate(sqlite3_file *base, sqlite3_int64 size) {
    handle_t *self = handle_of(base);
    mmi_disk_fate_t fate = mmi_disk_fate(self->disk, MM_SIM_DISK_TRUNCATE);
    if (fate == MMI_DISK_FAIL || is_dead(self) || !mmi_disk_file_truncate(self->disk, self->file, size)) {
        return SQLITE_IOERR_TRUNCATE;
    }
    if (fate == MMI_DISK_CUT) {
        mmi_disk_cut(self->disk);
        return SQLITE_IOERR_TRUNCATE;
    }
    return SQLITE_OK;
}

static int disk_sync(sqlite3_file *base, int flags) {
    (void)flags;
    handle_t *self = handle_of(base);
    mmi_disk_fate_t fate = mmi_disk_fate(self->disk, MM_SIM_DISK_SYNC);
    if (is_dead(self)) {
        return SQLITE_IOERR_FSYNC;
    }
    if (fate == MMI_DISK_CUT) {
        mmi_disk_cut(self->disk);
        return SQLITE_IOERR_FSYNC;
    }
    if (fate == MMI_DISK_FAIL) {
        mmi_disk_file_settle(self->disk, self->file);
        return SQLITE_IOERR_FSYNC;
    }
    mmi_disk_file_sync(self->file);
    mmi_disk_sync_name_of(self->disk, self->file);
    // SQLite's own VFS syncs the folder with the first sync of each journal or WAL that it opened.
    if (self->syncs_folder) {
        mmi_disk_sync_names(self->disk);
        self->syncs_folder = false;
    }
    return SQLITE_OK;
}

static int disk_size(sqlite3_file *base, sqlite3_int64 *size) {
    handle_t *self = handle_of(base);
    if (!goes(self, MM_SIM_DISK_SIZE)) {
        return SQLITE_IOERR_FSTAT;
    }
    *size = self->file->size;
    return SQLITE_OK;
}

// --- locks

static int disk_lock(sqlite3_file *base, int level) {
    handle_t *self = handle_of(base);
    if (!goes(self, MM_SIM_DISK_LOCK)) {
        return SQLITE_IOERR_LOCK;
    }
    mmi_disk_file_t *file = self->file;
    if (level <= self->level) {
        return SQLITE_OK;
    }
    // PENDING and EXCLUSIVE of this handle come behind its RESERVED, so that they are another one's if it has none.
    bool is_others = (file->pending && self->level < SQLITE_LOCK_PENDING) || file->exclusive ||
                     (level >= SQLITE_LOCK_RESERVED && file->reserved && self->level < SQLITE_LOCK_RESERVED);
    if (is_others) {
        return SQLITE_BUSY;
    }
    if (level == SQLITE_LOCK_SHARED) {
        file->shared++;
    } else if (level == SQLITE_LOCK_RESERVED) {
        file->reserved = true;
    } else {
        file->reserved = true;
        file->pending = true;
        self->level = SQLITE_LOCK_PENDING;
        if (file->shared > 1) {
            return SQLITE_BUSY;
        }
        file->exclusive = true;
    }
    self->level = level;
    return SQLITE_OK;
}

static void unlock(handle_t *self, int level) {
    mmi_disk_file_t *file = self->file;
    if (self->level >= SQLITE_LOCK_RESERVED && level < SQLITE_LOCK_RESERVED) {
        file->reserved = false;
        file->pending = false;
        file->exclusive = false;
    }
    if (self->level >= SQLITE_LOCK_SHARED && level < SQLITE_LOCK_SHARED) {
        file->shared--;
    }
    self->level = level < self->level ? level : self->level;
}

static int disk_unlock(sqlite3_file *base, int level) {
    handle_t *self = handle_of(base);
    bool good = goes(self, MM_SIM_DISK_UNLOCK);
    if (!is_dead(self)) {
        unlock(self, level);
    }
    return good ? SQLITE_OK : SQLITE_IOERR_UNLOCK;
}

static int disk_check_lock(sqlite3_file *base, int *result) {
    handle_t *self = handle_of(base);
    if (!goes(self, MM_SIM_DISK_CHECK_LOCK)) {
        return SQLITE_IOERR_CHECKRESERVEDLOCK;
    }
    *result = self->file->reserved || self->file->exclusive;
    return SQLITE_OK;
}

// --- shared memory

static bool join_shm(handle_t *self) {
    if (self->shm != NULL) {
        return true;
    }
    if (self->file->shm == NULL) {
        self->file->shm = calloc(1, sizeof(mmi_disk_shm_t));
    }
    if (self->file->shm == NULL) {
        return false;
    }
    self->shm = self->file->shm;
    self->shm->handles++;
    return true;
}

static int disk_shm_map(sqlite3_file *base, int region, int bytes, int extend, void volatile **result) {
    handle_t *self = handle_of(base);
    *result = NULL;
    if (!goes(self, MM_SIM_DISK_SHM_MAP)) {
        return SQLITE_IOERR_SHMMAP;
    }
    if (!join_shm(self)) {
        return SQLITE_IOERR_NOMEM;
    }
    mmi_disk_shm_t *shm = self->shm;
    if (region >= shm->region_count && extend == 0) {
        return SQLITE_OK;
    }
    while (region >= shm->region_count) {
        if (region >= MMI_DISK_SHM_REGIONS_MAX || self->disk->used_bytes + bytes > self->disk->capacity_bytes) {
            self->disk->failures++;
            return SQLITE_IOERR_SHMSIZE;
        }
        uint8_t *memory = calloc(1, (size_t)bytes);
        if (memory == NULL) {
            return SQLITE_IOERR_NOMEM;
        }
        shm->region_bytes = bytes;
        shm->regions[shm->region_count++] = memory;
        self->disk->used_bytes += bytes;
    }
    *result = shm->regions[region];
    return SQLITE_OK;
}

static void shm_unlock(handle_t *self, unsigned mask) {
    for (unsigned slot = 0; slot < SQLITE_SHM_NLOCK; slot++) {
        unsigned bit = (1u << slot) & mask;
        self->shm->shared[slot] -= (self->shm_shared & bit) != 0;
        self->shm->exclusive[slot] = self->shm->exclusive[slot] && (self->shm_exclusive & bit) == 0;
    }
    self->shm_shared &= (uint16_t)~mask;
    self->shm_exclusive &= (uint16_t)~mask;
}

static int shm_lock(handle_t *self, unsigned mask, bool exclusive) {
    mmi_disk_shm_t *shm = self->shm;
    for (unsigned slot = 0; slot < SQLITE_SHM_NLOCK; slot++) {
        unsigned bit = (1u << slot) & mask;
        bool is_mine = ((self->shm_shared | self->shm_exclusive) & bit) != 0;
        unsigned others = shm->shared[slot] - ((self->shm_shared & bit) != 0);
        if (bit != 0 && !is_mine && (shm->exclusive[slot] || (exclusive && others > 0))) {
            return SQLITE_BUSY;
        }
    }
    for (unsigned slot = 0; slot < SQLITE_SHM_NLOCK; slot++) {
        unsigned bit = (1u << slot) & mask;
        if (bit == 0 || ((self->shm_shared | self->shm_exclusive) & bit) != 0) {
            continue;
        }
        if (exclusive) {
            shm->exclusive[slot] = true;
            self->shm_exclusive |= (uint16_t)bit;
        } else {
            shm->shared[slot]++;
            self->shm_shared |= (uint16_t)bit;
        }
    }
    return SQLITE_OK;
}

static int disk_shm_lock(sqlite3_file *base, int offset, int count, int flags) {
    handle_t *self = handle_of(base);
    unsigned mask = ((1u << (unsigned)count) - 1) << (unsigned)offset;
    if (is_dead(self) || self->shm == NULL) {
        return SQLITE_IOERR_SHMLOCK;
    }
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        shm_unlock(self, mask);
        return SQLITE_OK;
    }
    if (!goes(self, MM_SIM_DISK_SHM_LOCK)) {
        return SQLITE_IOERR_SHMLOCK;
    }
    return shm_lock(self, mask, (flags & SQLITE_SHM_EXCLUSIVE) != 0);
}

static void disk_shm_barrier(sqlite3_file *base) {
    (void)base; // one thread
}

static int disk_shm_unmap(sqlite3_file *base, int erase) {
    (void)erase; // without a connection it is forgotten in any case; the next one recovers it from the WAL
    handle_t *self = handle_of(base);
    if (self->shm != NULL) {
        if (!is_dead(self)) {
            shm_unlock(self, UINT16_MAX);
        }
        mmi_disk_shm_leave(self->disk, self->file, self->shm);
        self->shm = NULL;
    }
    return SQLITE_OK;
}

// --- handles

static int disk_close(sqlite3_file *base) {
    handle_t *self = handle_of(base);
    disk_shm_unmap(base, 0);
    if (!is_dead(self)) {
        unlock(self, SQLITE_LOCK_NONE);
    }
    self->disk->handles--;
    self->file->handles--;
    mmi_disk_file_release(self->disk, self->file);
    base->pMethods = NULL;
    return SQLITE_OK;
}

static int disk_control(sqlite3_file *base, int operation, void *argument) {
    (void)base;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int disk_sector(sqlite3_file *base) {
    (void)base;
    return SECTOR_SIZE;
}

static int disk_device(sqlite3_file *base) {
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods s_methods = {
    .iVersion = 2,
    .xClose = disk_close,
    .xRead = disk_read,
    .xWrite = disk_write,
    .xTruncate = disk_truncate,
    .xSync = disk_sync,
    .xFileSize = disk_size,
    .xLock = disk_lock,
    .xUnlock = disk_unlock,
    .xCheckReservedLock = disk_check_lock,
    .xFileControl = disk_control,
    .xSectorSize = disk_sector,
    .xDeviceCharacteristics = disk_device,
    .xShmMap = disk_shm_map,
    .xShmLock = disk_shm_lock,
    .xShmBarrier = disk_shm_barrier,
    .xShmUnmap = disk_shm_unmap,
};

// --- the disk as a whole

static bool disk_goes(mm_sim_disk_t *disk, unsigned kind) {
    mmi_disk_fate_t fate = mmi_disk_fate(disk, kind);
    if (fate == MMI_DISK_CUT) {
        mmi_disk_cut(disk);
    }
    return fate == MMI_DISK_GO;
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *flags_out) {
    mm_sim_disk_t *disk = vfs->pAppData;
    handle_t *self = handle_of(base);
    base->pMethods = NULL;
    if (!disk_goes(disk, MM_SIM_DISK_OPEN)) {
        return SQLITE_CANTOPEN;
    }
    mmi_disk_name_t *entry = name != NULL ? mmi_disk_find(disk, name) : NULL;
    mmi_disk_file_t *file = entry != NULL ? entry->live : NULL;
    if (name == NULL) {
        file = mmi_disk_file_create(); // a temporary one, gone when it is closed
    } else if (file != NULL ? (flags & SQLITE_OPEN_EXCLUSIVE) != 0 : (flags & SQLITE_OPEN_CREATE) == 0) {
        return SQLITE_CANTOPEN;
    } else if (file == NULL) {
        file = mmi_disk_create_name(disk, name);
    }
    if (file == NULL) {
        return SQLITE_CANTOPEN;
    }
    file->handles++;
    disk->handles++;
    const int journals = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;
    *self = (handle_t){.base.pMethods = &s_methods,
                       .disk = disk,
                       .file = file,
                       .life = disk->life,
                       .syncs_folder = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & journals) != 0};
    if (flags_out != NULL) {
        *flags_out = flags;
    }
    return SQLITE_OK;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync_folder) {
    mm_sim_disk_t *disk = vfs->pAppData;
    mmi_disk_fate_t fate = mmi_disk_fate(disk, MM_SIM_DISK_DELETE);
    if (fate == MMI_DISK_FAIL) {
        return SQLITE_IOERR_DELETE;
    }
    mmi_disk_name_t *entry = mmi_disk_find(disk, name);
    bool found = entry != NULL && entry->live != NULL;
    if (found) {
        mmi_disk_set_live(disk, entry, NULL);
    }
    if (fate == MMI_DISK_CUT) {
        mmi_disk_cut(disk);
        return SQLITE_IOERR_DELETE;
    }
    if (sync_folder != 0) {
        mmi_disk_sync_names(disk);
    }
    return found ? SQLITE_OK : SQLITE_IOERR_DELETE_NOENT;
}

static int disk_access(sqlite3_vfs *vfs, const char *name, int flags, int *result) {
    mm_sim_disk_t *disk = vfs->pAppData;
    if (!disk_goes(disk, MM_SIM_DISK_ACCESS)) {
        return SQLITE_IOERR_ACCESS;
    }
    mmi_disk_name_t *entry = mmi_disk_find(disk, name);
    bool there = entry != NULL && entry->live != NULL;
    // As in SQLite's own VFS: an empty file does not exist for this question.
    *result = there && (flags != SQLITE_ACCESS_EXISTS || entry->live->size > 0);
    return SQLITE_OK;
}

static int disk_path(sqlite3_vfs *vfs, const char *name, int bytes_max, char *path) {
    if (!disk_goes(vfs->pAppData, MM_SIM_DISK_PATH) || strlen(name) >= (size_t)bytes_max) {
        return SQLITE_CANTOPEN;
    }
    memcpy(path, name, strlen(name) + 1);
    return SQLITE_OK;
}

static int disk_randomness(sqlite3_vfs *vfs, int count, char *bytes) {
    mm_sim_disk_t *disk = vfs->pAppData;
    for (int index = 0; index < count; index++) {
        bytes[index] = (char)mm_random_below(&disk->random, 256);
    }
    return count;
}

static int disk_sleep(sqlite3_vfs *vfs, int microseconds) {
    ((mm_sim_disk_t *)vfs->pAppData)->now_ms += (microseconds + 999) / 1000;
    return microseconds;
}

static int disk_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *julian_ms) {
    *julian_ms = ((mm_sim_disk_t *)vfs->pAppData)->now_ms;
    return SQLITE_OK;
}

static int disk_time(sqlite3_vfs *vfs, double *julian_days) {
    *julian_days = (double)((mm_sim_disk_t *)vfs->pAppData)->now_ms / 86400000.0;
    return SQLITE_OK;
}

static int disk_last_error(sqlite3_vfs *vfs, int bytes_count, char *text) {
    (void)vfs;
    (void)bytes_count;
    (void)text;
    return 0;
}

void mmi_disk_vfs_init(mm_sim_disk_t *self) {
    self->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(handle_t),
        .mxPathname = MM_SIM_DISK_NAME_CHARS_MAX - 8, // room for "-journal"
        .zName = self->name,
        .pAppData = self,
        .xOpen = disk_open,
        .xDelete = disk_delete,
        .xAccess = disk_access,
        .xFullPathname = disk_path,
        .xRandomness = disk_randomness,
        .xSleep = disk_sleep,
        .xCurrentTime = disk_time,
        .xGetLastError = disk_last_error,
        .xCurrentTimeInt64 = disk_time_ms,
    };
}
