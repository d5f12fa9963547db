// SPDX-License-Identifier: Apache-2.0
#include "app.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int app_error(int code, const char *command, const char *format, ...) {
    va_list arguments;
    fprintf(stderr, "meshmeter %s: ", command);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return code;
}

bool app_parse_number(const char *text, int64_t min, int64_t max, int64_t *number) {
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < min || value > max) {
        return false;
    }
    *number = value;
    return true;
}

bool app_parse_decimal(const char *text, int decimals, int64_t *number) {
    int64_t value = 0;
    int behind = -1; // decimals so far; -1 = before the point
    bool any = false;
    for (; *text != '\0'; text++) {
        if (*text == '.' && behind < 0) {
            behind = 0;
            continue;
        }
        if (*text < '0' || *text > '9' || value > INT64_C(900000000000000) || behind == decimals) {
            return false;
        }
        value = value * 10 + (*text - '0');
        behind += behind >= 0;
        any = true;
    }
    for (int missing = decimals - (behind > 0 ? behind : 0); missing > 0; missing--) {
        if (value > INT64_C(900000000000000)) {
            return false;
        }
        value *= 10;
    }
    if (any && behind != 0) {
        *number = value;
    }
    return any && behind != 0;
}

void app_format_decimal(int64_t number, int decimals, char text[32]) {
    uint64_t size = number < 0 ? -(uint64_t)number : (uint64_t)number;
    uint64_t unit = 1;
    for (int i = 0; i < decimals; i++) {
        unit *= 10;
    }
    const char *sign = number < 0 ? "-" : "";
    if (decimals == 0) {
        snprintf(text, 32, "%s%llu", sign, (unsigned long long)size);
    } else {
        snprintf(text, 32, "%s%llu.%0*llu", sign, (unsigned long long)(size / unit), decimals,
                 (unsigned long long)(size % unit));
    }
}

bool app_parse_utc(const char *text, int64_t *utc_s) {
    if (app_parse_number(text, 0, INT64_C(253402300799), utc_s)) {
        return true;
    }
    static const char *const formats[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M",
                                          "%Y-%m-%d %H:%M:%S"};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct tm civil = {0};
        const char *end = strptime(text, formats[i], &civil);
        if (end != NULL && (*end == '\0' || strcmp(end, "Z") == 0) && civil.tm_year >= 70) {
            *utc_s = (int64_t)timegm(&civil);
            return true;
        }
    }
    return false;
}

bool app_parse_address(const char *text, char *address, size_t address_bytes, uint16_t *port) {
    const char *colon = strrchr(text, ':');
    int64_t number = 0;
    if (colon == NULL || colon == text || (size_t)(colon - text) >= address_bytes ||
        !app_parse_number(colon + 1, 0, UINT16_MAX, &number)) {
        return false;
    }
    memcpy(address, text, (size_t)(colon - text));
    address[colon - text] = '\0';
    struct in_addr parsed;
    *port = (uint16_t)number;
    return inet_pton(AF_INET, address, &parsed) == 1;
}

void app_format_utc(int64_t utc_s, char text[21]) {
    time_t seconds = (time_t)utc_s;
    struct tm civil;
    if (gmtime_r(&seconds, &civil) == NULL || strftime(text, 21, "%Y-%m-%dT%H:%M:%SZ", &civil) == 0) {
        memcpy(text, "?", 2);
    }
}

bool app_path(char *path, size_t path_bytes, const char *directory, const char *name) {
    int length = snprintf(path, path_bytes, "%s/%s", directory, name);
    return length > 0 && (size_t)length < path_bytes;
}

bool app_program_directory(char *path, size_t path_bytes) {
    ssize_t length = readlink("/proc/self/exe", path, path_bytes - 1);
    if (length <= 0) {
        return false;
    }
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    return true;
}

char *app_read_file(const char *path, size_t limit_bytes, size_t *size_bytes) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    char *bytes = malloc(limit_bytes + 1);
    size_t size = 0;
    int error = bytes == NULL ? ENOMEM : 0;
    if (error == 0) {
        size = fread(bytes, 1, limit_bytes + 1, file);
        error = ferror(file) ? (errno != 0 ? errno : EIO) : size > limit_bytes ? EFBIG : 0;
    }
    if (file != stdin) {
        (void)fclose(file);
    }
    if (error != 0) {
        free(bytes);
        errno = error;
        return NULL;
    }
    bytes[size] = '\0';
    *size_bytes = size;
    return bytes;
}

bool app_write_file(const char *path, const char *text) {
    char temporary[4096];
    int length = snprintf(temporary, sizeof temporary, "%s.new", path);
    if (length <= 0 || (size_t)length >= sizeof temporary) {
        errno = ENAMETOOLONG;
        return false;
    }
    int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) {
        return false;
    }
    size_t size = strlen(text);
    // no wait(write): a regular file
    // wait: the disk has the file | until outside: the disk, or the kernel's error | then it gets its name, or is
    // removed
    bool good = write(file, text, size) == (ssize_t)size && fsync(file) == 0;
    int error = errno;
    good = close(file) == 0 && good;
    if (!good) {
        errno = error;
        return false;
    }
    return rename(temporary, path) == 0;
}

bool app_set_send_timeout(int socket, int timeout_ms) {
    const struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    return setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0;
}
