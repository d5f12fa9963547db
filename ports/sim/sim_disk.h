// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SIM_DISK_H
#define MM_SIM_DISK_H

#include "meshmeter/base.h"

/// The disk of a simulated HQ: an SQLite VFS in memory that fills up, fails, and loses what was not synced when the
/// power of HQ's machine is cut. Deterministic: what is random comes from the seed, time does not pass except in
/// SQLite's own sleeps, which return at once. Takes WAL (shared memory included) and any number of connections of this
/// process. Not thread-safe: one thread uses a disk and every connection on it.
///
/// Each file has a live content, which the connections see, and a durable one, which is what the last sync left. A
/// power cut decides for every 512 bytes written since whether they are lost, there, or torn (a part of them, or
/// anything), for every size that changed whether the old, the new or one between holds, and for every name that was
/// made or removed since the last sync of the folder whether it was. Bytes outside of what was written do not change
/// (SQLITE_IOCAP_POWERSAFE_OVERWRITE, as SQLite's own VFS assumes); nothing else is promised: no atomic sector, no
/// order of writes, no size that follows the data.
///
/// A sync that fails leaves what was to be synced as a power cut would have left it, and later syncs do not make up
/// for it, as with Linux's page cache.

typedef struct mm_sim_disk mm_sim_disk_t;

/// Kinds of calls, for counting and failing.
#define MM_SIM_DISK_OPEN (1u << 0)
#define MM_SIM_DISK_READ (1u << 1)
#define MM_SIM_DISK_WRITE (1u << 2)
#define MM_SIM_DISK_TRUNCATE (1u << 3)
#define MM_SIM_DISK_SYNC (1u << 4)
#define MM_SIM_DISK_SIZE (1u << 5)
#define MM_SIM_DISK_LOCK (1u << 6)
#define MM_SIM_DISK_UNLOCK (1u << 7) ///< fails with effect: unlocked all the same
#define MM_SIM_DISK_CHECK_LOCK (1u << 8)
#define MM_SIM_DISK_SHM_MAP (1u << 9)
#define MM_SIM_DISK_SHM_LOCK (1u << 10) ///< locking only; unlocking shared memory cannot fail
#define MM_SIM_DISK_DELETE (1u << 11)
#define MM_SIM_DISK_ACCESS (1u << 12)
#define MM_SIM_DISK_PATH (1u << 13)
#define MM_SIM_DISK_KINDS 14
#define MM_SIM_DISK_ALL ((1u << MM_SIM_DISK_KINDS) - 1)

#define MM_SIM_DISK_NAME_CHARS_MAX 63
/// Names in its one folder.
#define MM_SIM_DISK_FILES_MAX 16
/// Of all files together; beyond it the disk is full.
#define MM_SIM_DISK_BYTES_MAX INT64_C(0x40000000)

/// Registers it with SQLite under `name`, which no other VFS has (asserted), and seeds SQLite's own generator (one per
/// process; it salts the WAL), so that files repeat byte by byte. NULL: out of memory.
mm_sim_disk_t *mm_sim_disk_create(const char *name, uint64_t seed);
/// Every connection must be closed (asserted). NULL is legal.
void mm_sim_disk_destroy(mm_sim_disk_t *self);
/// For mm_store_options_t.vfs or sqlite3_open_v2. Valid until destroyed.
const char *mm_sim_disk_vfs_name(const mm_sim_disk_t *self);

/// Cut HQ's power now and let it come back: open handles are dead, every later call on them fails (close them and
/// forget them); what can be opened anew is what survived.
void mm_sim_disk_crash(mm_sim_disk_t *self);
/// Cut it inside the call behind the next `after` ones of these kinds. From then on every call fails until
/// mm_sim_disk_up().
void mm_sim_disk_cut_after(mm_sim_disk_t *self, unsigned kinds, uint64_t after);
/// The power is off.
bool mm_sim_disk_is_off(const mm_sim_disk_t *self);
/// Power on, if it was off; no cut and no failure is pending any more.
void mm_sim_disk_up(mm_sim_disk_t *self);

/// Let `count` calls (UINT64_MAX: for ever) of the given kinds fail behind `after` good ones; half of a failing write
/// is done. A later call replaces an earlier one; kinds 0: nothing fails.
void mm_sim_disk_fail(mm_sim_disk_t *self, unsigned kinds, uint64_t after, uint64_t count);
/// Calls that failed because they were told to, or because the disk was full.
uint64_t mm_sim_disk_failures(const mm_sim_disk_t *self);
/// Only so many more bytes fit; negative: as many as MM_SIM_DISK_BYTES_MAX allows. What is truncated or deleted makes
/// room.
void mm_sim_disk_set_full(mm_sim_disk_t *self, int64_t bytes_left);

/// Calls so far of all kinds in `kinds` together, failed ones included.
uint64_t mm_sim_disk_calls(const mm_sim_disk_t *self, unsigned kinds);
uint64_t mm_sim_disk_crashes(const mm_sim_disk_t *self);
/// By all files and shared memory.
int64_t mm_sim_disk_used_bytes(const mm_sim_disk_t *self);
/// CRC-32 of all names and contents: the same after the same calls with the same seed.
uint32_t mm_sim_disk_checksum(const mm_sim_disk_t *self);

typedef struct mm_sim_disk_backup mm_sim_disk_backup_t;

/// A copy of all files as they stand, as a backup tool makes it between two transactions. NULL: a connection is
/// writing, the power is off, or out of memory.
mm_sim_disk_backup_t *mm_sim_disk_backup(const mm_sim_disk_t *self);
/// The files become those of the backup, durably; open handles are dead. The backup may be restored again, also on
/// another disk. False: out of memory, and the disk is empty.
bool mm_sim_disk_restore(mm_sim_disk_t *self, const mm_sim_disk_backup_t *backup);
void mm_sim_disk_backup_free(mm_sim_disk_backup_t *backup);

#endif
