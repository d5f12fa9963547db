// SPDX-License-Identifier: Apache-2.0
#include "web_files.h"

#include "meshmeter/crc32.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_BYTES 1024

struct mm_web_files {
    mm_web_file_t files[MM_WEB_FILES_MAX];
    size_t count;
    size_t bytes_count;
};

/// A directory still to be read: its place on the disk and in requests.
typedef struct {
    char disk[PATH_BYTES];
    char web[PATH_BYTES];
    int depth;
} place_t;

static const char *content_type(const char *name) {
    static const struct {
        const char *suffix;
        const char *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".json", "application/json"},
        {".webmanifest", "application/manifest+json"},
        {".woff2", "font/woff2"},
        {".txt", "text/plain; charset=utf-8"},
        {".map", "application/json"},
    };
    const char *suffix = strrchr(name, '.');
    for (size_t index = 0; suffix != NULL && index < sizeof types / sizeof types[0]; index++) {
        if (strcmp(suffix, types[index].suffix) == 0) {
            return types[index].type;
        }
    }
    return NULL;
}

static bool load_file(mm_web_files_t *self, const place_t *place, size_t size_bytes, const char *type,
                      mm_hq_error_t *error) {
    if (self->count == MM_WEB_FILES_MAX || self->bytes_count + size_bytes > MM_WEB_FILES_BYTES_MAX) {
        mm_hq_error_set(error, "web files: more than %d files or %d bytes at %s; is it the right directory?",
                        MM_WEB_FILES_MAX, MM_WEB_FILES_BYTES_MAX, place->disk);
        return false;
    }
    mm_web_file_t *file = &self->files[self->count];
    FILE *stream = fopen(place->disk, "re");
    file->bytes = malloc(size_bytes + 1);
    file->path = strdup(place->web);
    bool good = stream != NULL && file->bytes != NULL && file->path != NULL;
    if (good) {
        file->bytes_count = fread(file->bytes, 1, size_bytes, stream);
        file->content_type = type;
        snprintf(file->etag, sizeof file->etag, "\"%08x-%zx\"", mm_crc32(0, file->bytes, file->bytes_count),
                 file->bytes_count);
        self->bytes_count += file->bytes_count;
        self->count++;
    } else {
        mm_hq_error_set(error, "web file %s: %s", place->disk, strerror(errno));
        free(file->bytes);
        free(file->path);
        memset(file, 0, sizeof *file);
    }
    if (stream != NULL) {
        fclose(stream);
    }
    return good;
}

// A stack of directories instead of recursion.
typedef struct {
    place_t *items;
    size_t count;
    size_t capacity;
} pending_t;

static bool push(pending_t *stack, const place_t *place) {
    if (stack->count == stack->capacity) {
        size_t capacity = stack->capacity == 0 ? 8 : stack->capacity * 2;
        place_t *grown = realloc(stack->items, capacity * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        stack->items = grown;
        stack->capacity = capacity;
    }
    stack->items[stack->count++] = *place;
    return true;
}

static bool load_entry(mm_web_files_t *self, pending_t *stack, const place_t *parent, const char *name,
                       mm_hq_error_t *error) {
    place_t place = {.depth = parent->depth + 1};
    struct stat status;
    int disk_chars = snprintf(place.disk, sizeof place.disk, "%s/%s", parent->disk, name);
    int web_chars = snprintf(place.web, sizeof place.web, "%s/%s", parent->web, name);
    if (disk_chars >= PATH_BYTES || web_chars >= PATH_BYTES || stat(place.disk, &status) != 0) {
        return true; // too long, or gone already: no part of the page
    }
    if (S_ISDIR(status.st_mode)) {
        return place.depth > MM_WEB_FILES_DEPTH_MAX || push(stack, &place);
    }
    const char *type = content_type(name);
    return !S_ISREG(status.st_mode) || type == NULL || load_file(self, &place, (size_t)status.st_size, type, error);
}

static bool load_directory(mm_web_files_t *self, pending_t *stack, const place_t *place, mm_hq_error_t *error) {
    DIR *directory = opendir(place->disk);
    if (directory == NULL) {
        mm_hq_error_set(error, "web files %s: %s", place->disk, strerror(errno));
        return false;
    }
    bool good = true;
    struct dirent *entry;
    while (good && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] != '.') {
            good = load_entry(self, stack, place, entry->d_name, error);
        }
    }
    closedir(directory);
    return good;
}

static int compare_files(const void *left, const void *right) {
    return strcmp(((const mm_web_file_t *)left)->path, ((const mm_web_file_t *)right)->path);
}

mm_web_files_t *mm_web_files_load(const char *directory, mm_hq_error_t *error) {
    mm_web_files_t *self = calloc(1, sizeof *self);
    pending_t stack = {0};
    place_t place = {0};
    bool good = self != NULL;
    if (good && directory != NULL) {
        snprintf(place.disk, sizeof place.disk, "%s", directory);
        good = push(&stack, &place);
        while (good && stack.count > 0) {
            place = stack.items[--stack.count];
            good = load_directory(self, &stack, &place, error);
        }
        qsort(self->files, self->count, sizeof self->files[0], compare_files);
    }
    free(stack.items);
    if (!good) {
        mm_web_files_free(self);
        return NULL;
    }
    return self;
}

void mm_web_files_free(mm_web_files_t *self) {
    if (self == NULL) {
        return;
    }
    for (size_t index = 0; index < self->count; index++) {
        free(self->files[index].path);
        free(self->files[index].bytes);
    }
    free(self);
}

const mm_web_file_t *mm_web_files_find(const mm_web_files_t *self, const char *path) {
    char copy[PATH_BYTES];
    snprintf(copy, sizeof copy, "%s", strcmp(path, "/") == 0 ? "/index.html" : path);
    mm_web_file_t wanted = {.path = copy};
    return bsearch(&wanted, self->files, self->count, sizeof self->files[0], compare_files);
}

size_t mm_web_files_count(const mm_web_files_t *self) {
    return self->count;
}
