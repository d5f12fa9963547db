// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SIM_DISK_INTERNAL_H
#define MM_SIM_DISK_INTERNAL_H

#include "meshmeter/random.h"
#include "sim/sim_disk.h"

#include <sqlite3.h>

/// Shared by the files of the emulated disk only.

#define MMI_DISK_CHUNK_BYTES 32768
/// What is lost, kept or torn at a power cut: the sector of the hardware.
#define MMI_DISK_SECTOR_BYTES 512
/// Ranges written since the last sync; beyond it the operating system is taken to have written back the oldest ones.
#define MMI_DISK_UNSYNCED_MAX 65536
#define MMI_DISK_SHM_REGIONS_MAX 128

typedef struct {
    uint8_t live[MMI_DISK_CHUNK_BYTES];    ///< zero behind the size
    uint8_t durable[MMI_DISK_CHUNK_BYTES]; ///< zero behind the durable size
} mmi_disk_chunk_t;

typedef struct {
    int64_t offset;
    int64_t bytes_count;
} mmi_disk_range_t;

/// Shared memory of the connections to one database. Does not survive a power cut; dead handles keep it from being
/// freed.
typedef struct {
    uint8_t *regions[MMI_DISK_SHM_REGIONS_MAX];
    int region_count;
    int region_bytes;
    unsigned handles;
    unsigned shared[SQLITE_SHM_NLOCK];
    bool exclusive[SQLITE_SHM_NLOCK];
} mmi_disk_shm_t;

typedef struct mmi_disk_file {
    mmi_disk_chunk_t **chunks;
    size_t chunk_count;
    int64_t size;
    int64_t durable_size;
    mmi_disk_range_t *unsynced; ///< in the order of writing
    size_t unsynced_count;
    size_t unsynced_capacity;
    mmi_disk_shm_t *shm;
    unsigned handles; ///< dead ones included
    unsigned names;   ///< live and durable ones
    bool counted;     ///< its size is in used_bytes: it has a live name
    // Locks of the living handles, as in SQLite's documentation of its file locks.
    unsigned shared;
    bool reserved;
    bool pending;
    bool exclusive;
} mmi_disk_file_t;

/// One name of the folder. The two files differ after a creation or removal that is not durable yet.
typedef struct {
    char name[MM_SIM_DISK_NAME_CHARS_MAX + 1];
    mmi_disk_file_t *live;
    mmi_disk_file_t *durable;
} mmi_disk_name_t;

struct mm_sim_disk {
    sqlite3_vfs vfs;
    char name[MM_SIM_DISK_NAME_CHARS_MAX + 1];
    mm_random_t random;
    int64_t now_ms; ///< of the Julian day number, as SQLite counts; only its sleeps move it
    uint64_t life;  ///< grows with each power cut; handles of an earlier one are dead
    bool off;
    mmi_disk_name_t names[MM_SIM_DISK_FILES_MAX];
    unsigned handles;
    int64_t used_bytes;
    int64_t capacity_bytes;
    uint64_t calls[MM_SIM_DISK_KINDS];
    uint64_t crashes;
    unsigned fail_kinds;
    uint64_t fail_after;
    uint64_t fail_count;
    uint64_t failures;
    unsigned cut_kinds;
    uint64_t cut_after;
};

typedef enum {
    MMI_DISK_GO,
    MMI_DISK_FAIL, ///< the call fails
    MMI_DISK_CUT,  ///< the power fails inside of it
} mmi_disk_fate_t;

/// Count a call of one kind (a bit), and decide about it.
mmi_disk_fate_t mmi_disk_fate(mm_sim_disk_t *self, unsigned kind);
void mmi_disk_cut(mm_sim_disk_t *self);

// Files: sim_disk_file.c.

mmi_disk_file_t *mmi_disk_file_create(void);
/// Frees it when neither a name nor a handle refers to it.
void mmi_disk_file_release(mm_sim_disk_t *self, mmi_disk_file_t *file);
/// False: out of memory.
bool mmi_disk_file_write(mm_sim_disk_t *self, mmi_disk_file_t *file, const void *bytes, int64_t bytes_count,
                         int64_t offset);
/// Bytes behind the end read as zero. Returns how many there were.
int64_t mmi_disk_file_read(const mmi_disk_file_t *file, void *bytes, int64_t bytes_count, int64_t offset);
/// False: out of memory.
bool mmi_disk_file_truncate(mm_sim_disk_t *self, mmi_disk_file_t *file, int64_t size);
void mmi_disk_file_sync(mmi_disk_file_t *file);
/// What is not synced becomes durable in part, by chance, and is forgotten.
void mmi_disk_file_settle(mm_sim_disk_t *self, mmi_disk_file_t *file);
/// The live content becomes the durable one again.
void mmi_disk_file_revert(mm_sim_disk_t *self, mmi_disk_file_t *file);
/// One handle less on `shm`, which is the file's or an orphan of a power cut.
void mmi_disk_shm_leave(mm_sim_disk_t *self, mmi_disk_file_t *file, mmi_disk_shm_t *shm);

mmi_disk_name_t *mmi_disk_find(mm_sim_disk_t *self, const char *name);
/// The name's live file, created if need be; NULL: no room for another name, or out of memory.
mmi_disk_file_t *mmi_disk_create_name(mm_sim_disk_t *self, const char *name);
void mmi_disk_set_live(mm_sim_disk_t *self, mmi_disk_name_t *name, mmi_disk_file_t *file);
/// The name of this file is durable now, as fsync makes it.
void mmi_disk_sync_name_of(mm_sim_disk_t *self, const mmi_disk_file_t *file);
/// What names there are is durable now, and what names there are not, too.
void mmi_disk_sync_names(mm_sim_disk_t *self);

/// Fill in the function table.
void mmi_disk_vfs_init(mm_sim_disk_t *self);

#endif
