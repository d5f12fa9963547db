// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_disk_internal.h"

#include <stdlib.h>
#include <string.h>

typedef enum {
    LOST,
    THERE,
    TORN,
} piece_fate_t;

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

// --- chunks

static mmi_disk_chunk_t *chunk_at(const mmi_disk_file_t *file, int64_t offset) {
    size_t index = (size_t)(offset / MMI_DISK_CHUNK_BYTES);
    return index < file->chunk_count ? file->chunks[index] : NULL;
}

static mmi_disk_chunk_t *make_chunk(mmi_disk_file_t *file, int64_t offset) {
    size_t index = (size_t)(offset / MMI_DISK_CHUNK_BYTES);
    if (index >= file->chunk_count) {
        size_t grown = file->chunk_count < 8 ? 8 : file->chunk_count * 2;
        grown = grown > index ? grown : index + 1;
        mmi_disk_chunk_t **chunks = realloc(file->chunks, grown * sizeof(mmi_disk_chunk_t *));
        if (chunks == NULL) {
            return NULL;
        }
        memset(&chunks[file->chunk_count], 0, (grown - file->chunk_count) * sizeof(mmi_disk_chunk_t *));
        file->chunks = chunks;
        file->chunk_count = grown;
    }
    if (file->chunks[index] == NULL) {
        file->chunks[index] = calloc(1, sizeof(mmi_disk_chunk_t));
    }
    return file->chunks[index];
}

// The part of a range from `offset` on that lies in one chunk.
static size_t part_bytes(int64_t offset, int64_t bytes_count) {
    return (size_t)smaller(bytes_count, MMI_DISK_CHUNK_BYTES - offset % MMI_DISK_CHUNK_BYTES);
}

static void write_back(mmi_disk_file_t *file, int64_t offset, int64_t bytes_count) {
    while (bytes_count > 0) {
        size_t part = part_bytes(offset, bytes_count);
        mmi_disk_chunk_t *chunk = chunk_at(file, offset);
        if (chunk != NULL) {
            size_t start = (size_t)(offset % MMI_DISK_CHUNK_BYTES);
            memcpy(chunk->durable + start, chunk->live + start, part);
        }
        offset += (int64_t)part;
        bytes_count -= (int64_t)part;
    }
}

static void clear_behind(mmi_disk_file_t *file, int64_t size, bool durable) {
    for (size_t index = (size_t)(size / MMI_DISK_CHUNK_BYTES); index < file->chunk_count; index++) {
        int64_t chunk_offset = (int64_t)index * MMI_DISK_CHUNK_BYTES;
        size_t start = size > chunk_offset ? (size_t)(size - chunk_offset) : 0;
        mmi_disk_chunk_t *chunk = file->chunks[index];
        if (chunk != NULL) {
            memset((durable ? chunk->durable : chunk->live) + start, 0, MMI_DISK_CHUNK_BYTES - start);
        }
    }
}

// --- unsynced ranges

// False: no memory for the list.
static bool note_unsynced(mmi_disk_file_t *file, int64_t offset, int64_t bytes_count) {
    mmi_disk_range_t *last = file->unsynced_count > 0 ? &file->unsynced[file->unsynced_count - 1] : NULL;
    if (last != NULL && last->offset + last->bytes_count == offset) {
        last->bytes_count += bytes_count;
        return true;
    }
    if (file->unsynced_count == MMI_DISK_UNSYNCED_MAX) {
        for (size_t index = 0; index < file->unsynced_count; index++) {
            write_back(file, file->unsynced[index].offset, file->unsynced[index].bytes_count);
        }
        file->unsynced_count = 0;
    }
    if (file->unsynced_count == file->unsynced_capacity) {
        size_t grown = file->unsynced_capacity == 0 ? 64 : file->unsynced_capacity * 2;
        mmi_disk_range_t *ranges = realloc(file->unsynced, grown * sizeof *ranges);
        if (ranges == NULL) {
            return false;
        }
        file->unsynced = ranges;
        file->unsynced_capacity = grown;
    }
    file->unsynced[file->unsynced_count++] = (mmi_disk_range_t){offset, bytes_count};
    return true;
}

// --- files

mmi_disk_file_t *mmi_disk_file_create(void) {
    return calloc(1, sizeof(mmi_disk_file_t));
}

void mmi_disk_file_release(mm_sim_disk_t *self, mmi_disk_file_t *file) {
    if (file == NULL || file->names > 0 || file->handles > 0) {
        return;
    }
    MM_ASSERT(file->shm == NULL);
    self->used_bytes -= file->counted ? file->size : 0;
    for (size_t index = 0; index < file->chunk_count; index++) {
        free(file->chunks[index]);
    }
    free(file->chunks);
    free(file->unsynced);
    free(file);
}

static void set_size(mm_sim_disk_t *self, mmi_disk_file_t *file, int64_t size) {
    self->used_bytes += file->counted ? size - file->size : 0;
    file->size = size;
}

bool mmi_disk_file_write(mm_sim_disk_t *self, mmi_disk_file_t *file, const void *bytes, int64_t bytes_count,
                         int64_t offset) {
    const uint8_t *source = bytes;
    int64_t end = offset + bytes_count;
    int64_t cursor = offset;
    while (cursor < end) {
        size_t part = part_bytes(cursor, end - cursor);
        mmi_disk_chunk_t *chunk = make_chunk(file, cursor);
        if (chunk == NULL) {
            return false;
        }
        memcpy(chunk->live + cursor % MMI_DISK_CHUNK_BYTES, source, part);
        source += part;
        cursor += (int64_t)part;
    }
    if (bytes_count > 0 && end > file->size) {
        set_size(self, file, end);
    }
    return bytes_count == 0 || note_unsynced(file, offset, bytes_count);
}

int64_t mmi_disk_file_read(const mmi_disk_file_t *file, void *bytes, int64_t bytes_count, int64_t offset) {
    uint8_t *target = bytes;
    int64_t there = offset < file->size ? smaller(bytes_count, file->size - offset) : 0;
    int64_t cursor = offset;
    while (cursor < offset + bytes_count) {
        size_t part = part_bytes(cursor, offset + bytes_count - cursor);
        const mmi_disk_chunk_t *chunk = chunk_at(file, cursor);
        if (chunk != NULL) {
            memcpy(target, chunk->live + cursor % MMI_DISK_CHUNK_BYTES, part);
        } else {
            memset(target, 0, part);
        }
        target += part;
        cursor += (int64_t)part;
    }
    return there;
}

bool mmi_disk_file_truncate(mm_sim_disk_t *self, mmi_disk_file_t *file, int64_t size) {
    // What was cut off is zero if the file grows again: a change like any other write.
    if (size < file->size && !note_unsynced(file, size, file->size - size)) {
        return false;
    }
    if (size < file->size) {
        clear_behind(file, size, false);
    }
    set_size(self, file, size);
    return true;
}

void mmi_disk_file_sync(mmi_disk_file_t *file) {
    for (size_t index = 0; index < file->unsynced_count; index++) {
        write_back(file, file->unsynced[index].offset, file->unsynced[index].bytes_count);
    }
    file->unsynced_count = 0;
    file->durable_size = file->size;
}

// --- power cuts

static void tear(mm_sim_disk_t *self, mmi_disk_file_t *file, int64_t offset, size_t bytes_count) {
    mmi_disk_chunk_t *chunk = chunk_at(file, offset);
    if (chunk == NULL) {
        return;
    }
    size_t start = (size_t)(offset % MMI_DISK_CHUNK_BYTES);
    size_t split = mm_random_below(&self->random, (uint32_t)bytes_count + 1);
    switch (mm_random_below(&self->random, 3)) {
    case 0:
        memcpy(chunk->durable + start, chunk->live + start, split);
        break;
    case 1:
        memcpy(chunk->durable + start + split, chunk->live + start + split, bytes_count - split);
        break;
    default:
        for (size_t index = 0; index < bytes_count; index++) {
            chunk->durable[start + index] = (uint8_t)mm_random_u32(&self->random);
        }
        break;
    }
}

// Mostly each piece for itself; now and then all of them alike, because chance alone would never do that.
static piece_fate_t piece_fate(mm_sim_disk_t *self, uint32_t manner) {
    switch (manner) {
    case 0:
        return LOST;
    case 1:
        return THERE;
    default: {
        uint32_t draw = mm_random_below(&self->random, 8);
        return draw < 3 ? LOST : draw < 6 ? THERE : TORN;
    }
    }
}

static void settle_range(mm_sim_disk_t *self, mmi_disk_file_t *file, mmi_disk_range_t range, uint32_t manner) {
    // Of a range that was cut off and not written again only the size can change.
    int64_t end = smaller(range.offset + range.bytes_count, file->size);
    int64_t cursor = range.offset;
    while (cursor < end) {
        size_t part = (size_t)smaller(end - cursor, MMI_DISK_SECTOR_BYTES - cursor % MMI_DISK_SECTOR_BYTES);
        switch (piece_fate(self, manner)) {
        case LOST:
            break;
        case THERE:
            write_back(file, cursor, (int64_t)part);
            break;
        case TORN:
            tear(self, file, cursor, part);
            break;
        }
        cursor += (int64_t)part;
    }
}

static int64_t settled_size(mm_sim_disk_t *self, const mmi_disk_file_t *file, uint32_t manner) {
    if (manner < 2 || file->size <= file->durable_size) {
        bool is_new = manner < 2 ? manner == 1 : mm_random_below(&self->random, 2) == 0;
        return is_new ? file->size : file->durable_size;
    }
    uint64_t span = (uint64_t)(file->size - file->durable_size);
    uint32_t bound = span < UINT32_MAX ? (uint32_t)span : UINT32_MAX - 1;
    switch (mm_random_below(&self->random, 3)) {
    case 0:
        return file->durable_size;
    case 1:
        return file->size;
    default:
        return file->durable_size + mm_random_below(&self->random, bound + 1);
    }
}

void mmi_disk_file_settle(mm_sim_disk_t *self, mmi_disk_file_t *file) {
    uint32_t manner = mm_random_below(&self->random, 6);
    for (size_t index = 0; index < file->unsynced_count; index++) {
        settle_range(self, file, file->unsynced[index], manner);
    }
    file->unsynced_count = 0;
    file->durable_size = settled_size(self, file, manner);
    clear_behind(file, file->durable_size, true);
}

void mmi_disk_file_revert(mm_sim_disk_t *self, mmi_disk_file_t *file) {
    for (size_t index = 0; index < file->chunk_count; index++) {
        if (file->chunks[index] != NULL) {
            memcpy(file->chunks[index]->live, file->chunks[index]->durable, MMI_DISK_CHUNK_BYTES);
        }
    }
    set_size(self, file, file->durable_size);
    file->unsynced_count = 0;
}

void mmi_disk_shm_leave(mm_sim_disk_t *self, mmi_disk_file_t *file, mmi_disk_shm_t *shm) {
    shm->handles--;
    if (shm->handles > 0) {
        return;
    }
    if (file->shm == shm) {
        file->shm = NULL;
        self->used_bytes -= (int64_t)shm->region_count * shm->region_bytes;
    }
    for (int index = 0; index < shm->region_count; index++) {
        free(shm->regions[index]);
    }
    free(shm);
}

// --- names

mmi_disk_name_t *mmi_disk_find(mm_sim_disk_t *self, const char *name) {
    for (size_t index = 0; index < MM_SIM_DISK_FILES_MAX; index++) {
        mmi_disk_name_t *entry = &self->names[index];
        if ((entry->live != NULL || entry->durable != NULL) && strcmp(entry->name, name) == 0) {
            return entry;
        }
    }
    return NULL;
}

static void set_durable(mm_sim_disk_t *self, mmi_disk_name_t *name, mmi_disk_file_t *file) {
    mmi_disk_file_t *old = name->durable;
    if (file != NULL) {
        file->names++;
    }
    name->durable = file;
    if (old != NULL) {
        old->names--;
        mmi_disk_file_release(self, old);
    }
}

void mmi_disk_set_live(mm_sim_disk_t *self, mmi_disk_name_t *name, mmi_disk_file_t *file) {
    mmi_disk_file_t *old = name->live;
    if (file == old) {
        return;
    }
    if (file != NULL) {
        file->names++;
        file->counted = true;
        self->used_bytes += file->size;
    }
    name->live = file;
    if (old != NULL) {
        self->used_bytes -= old->size;
        old->counted = false;
        old->names--;
        mmi_disk_file_release(self, old);
    }
}

mmi_disk_file_t *mmi_disk_create_name(mm_sim_disk_t *self, const char *name) {
    mmi_disk_name_t *entry = mmi_disk_find(self, name);
    for (size_t index = 0; entry == NULL && index < MM_SIM_DISK_FILES_MAX; index++) {
        if (self->names[index].live == NULL && self->names[index].durable == NULL) {
            entry = &self->names[index];
        }
    }
    if (entry == NULL || strlen(name) > MM_SIM_DISK_NAME_CHARS_MAX) {
        return NULL;
    }
    if (entry->live == NULL) {
        mmi_disk_file_t *file = mmi_disk_file_create();
        if (file == NULL) {
            return NULL;
        }
        memcpy(entry->name, name, strlen(name) + 1);
        mmi_disk_set_live(self, entry, file);
    }
    return entry->live;
}

void mmi_disk_sync_name_of(mm_sim_disk_t *self, const mmi_disk_file_t *file) {
    for (size_t index = 0; index < MM_SIM_DISK_FILES_MAX; index++) {
        mmi_disk_name_t *entry = &self->names[index];
        if (entry->live == file && entry->durable != file) {
            set_durable(self, entry, entry->live);
        }
    }
}

void mmi_disk_sync_names(mm_sim_disk_t *self) {
    for (size_t index = 0; index < MM_SIM_DISK_FILES_MAX; index++) {
        if (self->names[index].durable != self->names[index].live) {
            set_durable(self, &self->names[index], self->names[index].live);
        }
    }
}
