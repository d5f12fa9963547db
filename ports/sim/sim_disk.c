// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_disk.h"

#include "meshmeter/crc32.h"
#include "sim/sim_disk_internal.h"

#include <stdlib.h>
#include <string.h>

// 2023-11-14T00:00:00Z as a Julian day number in milliseconds.
#define START_JULIAN_MS INT64_C(212566766400000)

typedef struct {
    char name[MM_SIM_DISK_NAME_CHARS_MAX + 1];
    int64_t size;
    uint8_t *bytes;
} copy_t;

struct mm_sim_disk_backup {
    copy_t copies[MM_SIM_DISK_FILES_MAX];
    size_t count;
};

static bool take_one(unsigned kind, unsigned kinds, uint64_t *after) {
    if ((kinds & kind) == 0) {
        return false;
    }
    if (*after > 0) {
        (*after)--;
        return false;
    }
    return true;
}

mmi_disk_fate_t mmi_disk_fate(mm_sim_disk_t *self, unsigned kind) {
    for (unsigned index = 0; index < MM_SIM_DISK_KINDS; index++) {
        self->calls[index] += (kind >> index) & 1;
    }
    if (self->off) {
        return MMI_DISK_FAIL;
    }
    if (take_one(kind, self->cut_kinds, &self->cut_after)) {
        return MMI_DISK_CUT;
    }
    if (self->fail_count > 0 && take_one(kind, self->fail_kinds, &self->fail_after)) {
        self->fail_count -= self->fail_count == UINT64_MAX ? 0 : 1;
        self->failures++;
        return MMI_DISK_FAIL;
    }
    return MMI_DISK_GO;
}

// --- life

mm_sim_disk_t *mm_sim_disk_create(const char *name, uint64_t seed) {
    MM_ASSERT(strlen(name) <= MM_SIM_DISK_NAME_CHARS_MAX && sqlite3_vfs_find(name) == NULL);
    mm_sim_disk_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    memcpy(self->name, name, strlen(name) + 1);
    self->random = mm_random(seed);
    self->now_ms = START_JULIAN_MS;
    self->capacity_bytes = MM_SIM_DISK_BYTES_MAX;
    mmi_disk_vfs_init(self);
    if (sqlite3_vfs_register(&self->vfs, 0) != SQLITE_OK) {
        free(self);
        return NULL;
    }
    // 0 would mean the operating system's randomness.
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)(mm_random_u32(&self->random) | 1), (sqlite3 *)NULL);
    return self;
}

static void forget_files(mm_sim_disk_t *self) {
    for (size_t index = 0; index < MM_SIM_DISK_FILES_MAX; index++) {
        mmi_disk_set_live(self, &self->names[index], NULL);
    }
    mmi_disk_sync_names(self);
}

void mm_sim_disk_destroy(mm_sim_disk_t *self) {
    if (self == NULL) {
        return;
    }
    MM_ASSERT(self->handles == 0);
    sqlite3_vfs_unregister(&self->vfs);
    forget_files(self);
    free(self);
}

const char *mm_sim_disk_vfs_name(const mm_sim_disk_t *self) {
    return self->name;
}

// --- power

// Shared memory and locks are those of living processes.
static void forget_users(mmi_disk_file_t *file) {
    file->shm = NULL;
    file->shared = 0;
    file->reserved = false;
    file->pending = false;
    file->exclusive = false;
}

static void kill_handles(mm_sim_disk_t *self) {
    self->life++;
    for (size_t index = 0; index < MM_SIM_DISK_FILES_MAX; index++) {
        mmi_disk_name_t *entry = &self->names[index];
        if (entry->live != NULL) {
            forget_users(entry->live);
        }
        if (entry->durable != NULL) {
            forget_users(entry->durable);
        }
    }
}

void mmi_disk_cut(mm_sim_disk_t *self) {
    self->off = true;
    self->crashes++;
    kill_handles(self);
    for (size_t index = 0; index < MM_SIM_DISK_FILES_MAX; index++) {
        mmi_disk_name_t *entry = &self->names[index];
        bool is_old = entry->live != entry->durable && mm_random_below(&self->random, 2) == 0;
        if (is_old) {
            mmi_disk_set_live(self, entry, entry->durable);
        }
        if (entry->live != NULL) {
            mmi_disk_file_settle(self, entry->live);
            mmi_disk_file_revert(self, entry->live);
        }
    }
    mmi_disk_sync_names(self);
    self->used_bytes = 0;
    for (size_t index = 0; index < MM_SIM_DISK_FILES_MAX; index++) {
        self->used_bytes += self->names[index].live != NULL ? self->names[index].live->size : 0;
    }
}

void mm_sim_disk_crash(mm_sim_disk_t *self) {
    mmi_disk_cut(self);
    mm_sim_disk_up(self);
}

void mm_sim_disk_cut_after(mm_sim_disk_t *self, unsigned kinds, uint64_t after) {
    self->cut_kinds = kinds;
    self->cut_after = after;
}

bool mm_sim_disk_is_off(const mm_sim_disk_t *self) {
    return self->off;
}

void mm_sim_disk_up(mm_sim_disk_t *self) {
    self->off = false;
    self->cut_kinds = 0;
    self->fail_kinds = 0;
}

// --- faults and figures

void mm_sim_disk_fail(mm_sim_disk_t *self, unsigned kinds, uint64_t after, uint64_t count) {
    self->fail_kinds = kinds;
    self->fail_after = after;
    self->fail_count = count;
}

uint64_t mm_sim_disk_failures(const mm_sim_disk_t *self) {
    return self->failures;
}

void mm_sim_disk_set_full(mm_sim_disk_t *self, int64_t bytes_left) {
    self->capacity_bytes = bytes_left < 0 ? MM_SIM_DISK_BYTES_MAX : self->used_bytes + bytes_left;
    if (self->capacity_bytes > MM_SIM_DISK_BYTES_MAX) {
        self->capacity_bytes = MM_SIM_DISK_BYTES_MAX;
    }
}

uint64_t mm_sim_disk_calls(const mm_sim_disk_t *self, unsigned kinds) {
    uint64_t sum = 0;
    for (unsigned index = 0; index < MM_SIM_DISK_KINDS; index++) {
        sum += ((kinds >> index) & 1) != 0 ? self->calls[index] : 0;
    }
    return sum;
}

uint64_t mm_sim_disk_crashes(const mm_sim_disk_t *self) {
    return self->crashes;
}

int64_t mm_sim_disk_used_bytes(const mm_sim_disk_t *self) {
    return self->used_bytes;
}

uint32_t mm_sim_disk_checksum(const mm_sim_disk_t *self) {
    uint32_t crc = 0;
    uint8_t bytes[4096];
    for (size_t index = 0; index < MM_SIM_DISK_FILES_MAX; index++) {
        const mmi_disk_name_t *entry = &self->names[index];
        if (entry->live == NULL) {
            continue;
        }
        crc = mm_crc32(crc, entry->name, strlen(entry->name) + 1);
        for (int64_t offset = 0; offset < entry->live->size; offset += (int64_t)sizeof bytes) {
            int64_t there = mmi_disk_file_read(entry->live, bytes, (int64_t)sizeof bytes, offset);
            crc = mm_crc32(crc, bytes, (size_t)there);
        }
    }
    return crc;
}

// --- backups

// SQLite's lock 0 of the shared memory is that of the one writer, lock 1 that of the checkpoint.
static bool is_being_written(const mmi_disk_file_t *file) {
    return file->reserved || file->exclusive ||
           (file->shm != NULL && (file->shm->exclusive[0] || file->shm->exclusive[1]));
}

mm_sim_disk_backup_t *mm_sim_disk_backup(const mm_sim_disk_t *self) {
    mm_sim_disk_backup_t *backup = self->off ? NULL : calloc(1, sizeof *backup);
    for (size_t index = 0; backup != NULL && index < MM_SIM_DISK_FILES_MAX; index++) {
        const mmi_disk_name_t *entry = &self->names[index];
        if (entry->live == NULL) {
            continue;
        }
        copy_t *copy = &backup->copies[backup->count++];
        copy->size = entry->live->size;
        copy->bytes = malloc((size_t)copy->size + 1);
        if (copy->bytes == NULL || is_being_written(entry->live)) {
            mm_sim_disk_backup_free(backup);
            return NULL;
        }
        memcpy(copy->name, entry->name, sizeof copy->name);
        mmi_disk_file_read(entry->live, copy->bytes, copy->size, 0);
    }
    return backup;
}

bool mm_sim_disk_restore(mm_sim_disk_t *self, const mm_sim_disk_backup_t *backup) {
    kill_handles(self);
    forget_files(self);
    self->used_bytes = 0;
    for (size_t index = 0; index < backup->count; index++) {
        const copy_t *copy = &backup->copies[index];
        mmi_disk_file_t *file = mmi_disk_create_name(self, copy->name);
        if (file == NULL || !mmi_disk_file_write(self, file, copy->bytes, copy->size, 0)) {
            forget_files(self);
            return false;
        }
        mmi_disk_file_sync(file);
    }
    mmi_disk_sync_names(self);
    return true;
}

void mm_sim_disk_backup_free(mm_sim_disk_backup_t *backup) {
    if (backup == NULL) {
        return;
    }
    for (size_t index = 0; index < backup->count; index++) {
        free(backup->copies[index].bytes);
    }
    free(backup);
}
