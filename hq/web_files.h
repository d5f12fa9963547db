// SPDX-License-Identifier: Apache-2.0
#ifndef MM_WEB_FILES_H
#define MM_WEB_FILES_H

#include "log.h"

#include <stdbool.h>
#include <stddef.h>

/// The files of the page: all that stand in a directory when HQ starts, read into memory. A request is looked up in
/// this list and never becomes a path, so there is nothing to escape from.

#define MM_WEB_FILES_MAX 512
#define MM_WEB_FILES_BYTES_MAX 33554432
#define MM_WEB_FILES_DEPTH_MAX 8

typedef struct {
    char *path; ///< as requested: "/style.css"
    const char *content_type;
    char *bytes;
    size_t bytes_count;
    char etag[24]; ///< with quotes
} mm_web_file_t;

typedef struct mm_web_files mm_web_files_t;

/// directory NULL: an empty list. Hidden files and those of unknown type are left out. NULL and *error: not readable,
/// or too much.
mm_web_files_t *mm_web_files_load(const char *directory, mm_hq_error_t *error);
void mm_web_files_free(mm_web_files_t *self);
/// "/" is "/index.html". NULL: not there.
const mm_web_file_t *mm_web_files_find(const mm_web_files_t *self, const char *path);
size_t mm_web_files_count(const mm_web_files_t *self);

#endif
