// SPDX-License-Identifier: Apache-2.0
#include "linux_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILL_BYTES 4096

mm_err_t mm_linux_file_read(int file, uint64_t offset, void *bytes, size_t bytes_count) {
    uint8_t *next = bytes;
    while (bytes_count > 0) {
        ssize_t got = pread(file, next, bytes_count, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return MM_ERR_STORAGE;
        }
        next += got;
        offset += (uint64_t)got;
        bytes_count -= (size_t)got;
    }
    return MM_OK;
}

mm_err_t mm_linux_file_write(int file, uint64_t offset, const void *bytes, size_t bytes_count) {
    const uint8_t *next = bytes;
    while (bytes_count > 0) {
        ssize_t put = pwrite(file, next, bytes_count, (off_t)offset);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return MM_ERR_STORAGE;
        }
        next += put;
        offset += (uint64_t)put;
        bytes_count -= (size_t)put;
    }
    return MM_OK;
}

mm_err_t mm_linux_file_sync(int file, mm_linux_sync_t sync) {
    if (sync == MM_LINUX_SYNC_NONE) {
        return MM_OK;
    }
    int failed;
    do {
        // wait: the disk has it (storage_sync = yes) | until outside: the disk, or the kernel's error | then the node
        // goes on; of inputs of a GPIO chip the kernel keeps 16 edges for each meanwhile
        failed = fdatasync(file);
    } while (failed != 0 && errno == EINTR);
    return failed == 0 ? MM_OK : MM_ERR_STORAGE;
}

static mm_err_t fail(const char *path, const char *what, int *file, mm_linux_message_t *message) {
    mm_linux_message_set(message, "%s: %s: %s", path, what, strerror(errno));
    if (*file >= 0) {
        (void)close(*file);
        *file = -1;
    }
    return MM_ERR_STORAGE;
}

static mm_err_t lock(const char *path, int *file, mm_linux_message_t *message) {
    if (flock(*file, LOCK_EX | LOCK_NB) == 0) {
        return MM_OK;
    }
    if (errno != EWOULDBLOCK) {
        return fail(path, "cannot be locked", file, message);
    }
    mm_linux_message_set(message, "%s: is in use by another process; is a node with the same state directory running?",
                         path);
    (void)close(*file);
    *file = -1;
    return MM_ERR_BUSY;
}

// The new name must survive a power cut as well as the content.
static void sync_directory(const char *path) {
    char directory[PATH_MAX];
    (void)snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash != NULL) {
        slash[slash == directory ? 1 : 0] = '\0';
    } else {
        (void)snprintf(directory, sizeof directory, ".");
    }
    int file = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file >= 0) {
        // wait: the disk has a new file's name, once | until outside: the disk, or the kernel's error | then the node
        // starts
        (void)fsync(file);
        (void)close(file);
    }
}

static mm_err_t fill(int file, uint64_t size_bytes) {
    uint8_t erased[FILL_BYTES];
    memset(erased, 0xFF, sizeof erased);
    for (uint64_t offset = 0; offset < size_bytes;) {
        size_t part = size_bytes - offset < sizeof erased ? (size_t)(size_bytes - offset) : sizeof erased;
        if (mm_linux_file_write(file, offset, erased, part) != MM_OK) {
            return MM_ERR_STORAGE;
        }
        offset += part;
    }
    return MM_OK;
}

// Called with the lock on the empty file `placeholder`: nobody else creates at the same time. The filled file takes its
// place by rename, so a crash leaves the empty one or the whole one. Its lock is taken before it gets its name.
static mm_err_t create(const char *path, uint64_t size_bytes, mm_linux_sync_t sync, int placeholder, int *file,
                       mm_linux_message_t *message) {
    char new_path[PATH_MAX];
    *file = -1;
    if (snprintf(new_path, sizeof new_path, "%s.new", path) >= (int)sizeof new_path) {
        errno = ENAMETOOLONG;
        return fail(path, "cannot be created", file, message);
    }
    *file = open(new_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (*file < 0) {
        return fail(new_path, "cannot be created", file, message);
    }
    mm_err_t err = lock(new_path, file, message);
    if (err != MM_OK) {
        return err;
    }
    if (fill(*file, size_bytes) != MM_OK || mm_linux_file_sync(*file, sync) != MM_OK || rename(new_path, path) != 0) {
        int cause = errno;
        (void)unlink(new_path);
        errno = cause;
        return fail(path, "cannot be created", file, message);
    }
    if (sync == MM_LINUX_SYNC_DATA) {
        sync_directory(path);
    }
    (void)close(placeholder);
    return MM_OK;
}

// True if `path` still is the file that was opened (and not one that replaced it in between).
static bool is_current(const char *path, int file, struct stat *status) {
    struct stat named;
    return fstat(file, status) == 0 && stat(path, &named) == 0 && named.st_ino == status->st_ino &&
           named.st_dev == status->st_dev;
}

mm_err_t mm_linux_file_open(const char *path, uint64_t size_bytes, mm_linux_sync_t sync, int *file,
                            mm_linux_message_t *message) {
    struct stat status;
    do {
        *file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (*file < 0) {
            return fail(path, "cannot be opened", file, message);
        }
        mm_err_t err = lock(path, file, message);
        if (err != MM_OK) {
            return err;
        }
        if (is_current(path, *file, &status)) {
            break;
        }
        (void)close(*file);
    } while (true);

    if (!S_ISREG(status.st_mode)) {
        errno = EINVAL;
        return fail(path, "is not a file", file, message);
    }
    if (status.st_size == 0) {
        int placeholder = *file;
        mm_err_t err = create(path, size_bytes, sync, placeholder, file, message);
        if (err != MM_OK) {
            (void)close(placeholder);
        }
        return err;
    }
    if ((uint64_t)status.st_size != size_bytes) {
        mm_linux_message_set(message, "%s: has %lld bytes, but the configuration asks for %llu; not touched", path,
                             (long long)status.st_size, (unsigned long long)size_bytes);
        (void)close(*file);
        *file = -1;
        return MM_ERR_ARG;
    }
    return MM_OK;
}

mm_err_t mm_linux_file_replace(const char *path, const void *bytes, size_t bytes_count, mm_linux_sync_t sync) {
    char new_path[PATH_MAX];
    if (snprintf(new_path, sizeof new_path, "%s.new", path) >= (int)sizeof new_path) {
        return MM_ERR_STORAGE;
    }
    int file = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) {
        return MM_ERR_STORAGE;
    }
    mm_err_t err = mm_linux_file_write(file, 0, bytes, bytes_count);
    err = err == MM_OK ? mm_linux_file_sync(file, sync) : err;
    if (close(file) != 0 || err != MM_OK) {
        (void)unlink(new_path);
        return MM_ERR_STORAGE;
    }
    return mm_linux_file_rename(new_path, path, sync);
}

mm_err_t mm_linux_file_read_text(const char *path, char *text, size_t capacity_bytes) {
    int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat status;
    if (file < 0) {
        return errno == ENOENT ? MM_ERR_NOT_FOUND : MM_ERR_STORAGE;
    }
    mm_err_t err = fstat(file, &status) == 0 && S_ISREG(status.st_mode) ? MM_OK : MM_ERR_STORAGE;
    size_t size = err == MM_OK ? (size_t)status.st_size : 0;
    if (err == MM_OK && size >= capacity_bytes) {
        err = MM_ERR_FULL;
    }
    err = err == MM_OK ? mm_linux_file_read(file, 0, text, size) : err;
    (void)close(file);
    if (err == MM_OK) {
        text[size] = '\0';
        err = strlen(text) == size ? MM_OK : MM_ERR_CORRUPT;
    }
    return err;
}

mm_err_t mm_linux_file_rename(const char *from, const char *to, mm_linux_sync_t sync) {
    if (rename(from, to) != 0) {
        return MM_ERR_STORAGE;
    }
    if (sync == MM_LINUX_SYNC_DATA) {
        sync_directory(to);
    }
    return MM_OK;
}

mm_err_t mm_linux_file_remove(const char *path, mm_linux_sync_t sync) {
    if (unlink(path) != 0) {
        return errno == ENOENT ? MM_OK : MM_ERR_STORAGE;
    }
    if (sync == MM_LINUX_SYNC_DATA) {
        sync_directory(path);
    }
    return MM_OK;
}
