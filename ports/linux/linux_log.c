// SPDX-License-Identifier: Apache-2.0
#include "linux_log.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static mm_log_level_t s_level = MM_LOG_INFO;
static char s_name[32];

// The newest lines, one behind the other; whole lines from the beginning.
static pthread_mutex_t s_tail_lock = PTHREAD_MUTEX_INITIALIZER;
static char s_tail[MM_LINUX_LOG_TAIL_BYTES];
static size_t s_tail_bytes;

void mm_linux_log_set_level(mm_log_level_t level) {
    s_level = level;
}

void mm_linux_log_set_name(const char *name) {
    (void)snprintf(s_name, sizeof s_name, "%s", name);
}

static const char *level_name(mm_log_level_t level) {
    switch (level) {
    case MM_LOG_ERROR:
        return "error";
    case MM_LOG_WARNING:
        return "warning";
    case MM_LOG_INFO:
        return "info";
    case MM_LOG_DEBUG:
    default:
        return "debug";
    }
}

// Prefix of a line. Returns its length.
static size_t write_prefix(char *line, size_t line_bytes, mm_log_level_t level) {
    struct timespec now;
    struct tm utc;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    char date[32];
    (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    int length = snprintf(line, line_bytes, "%s.%03ldZ %s %s%s", date, now.tv_nsec / 1000000, level_name(level), s_name,
                          s_name[0] == '\0' ? "" : ": ");
    return length > 0 ? (size_t)length : 0;
}

// no wait(pthread_mutex_lock): held for a copy of some kilobytes, never during a call of the system

// Keep a line (with its end), at the cost of the oldest ones.
static void keep_line(const char *line, size_t line_bytes) {
    (void)pthread_mutex_lock(&s_tail_lock);
    size_t dropped = 0;
    while (s_tail_bytes - dropped + line_bytes > sizeof s_tail) {
        const char *end = memchr(s_tail + dropped, '\n', s_tail_bytes - dropped);
        dropped = end != NULL ? (size_t)(end - s_tail) + 1 : s_tail_bytes;
    }
    memmove(s_tail, s_tail + dropped, s_tail_bytes - dropped);
    s_tail_bytes -= dropped;
    memcpy(s_tail + s_tail_bytes, line, line_bytes);
    s_tail_bytes += line_bytes;
    (void)pthread_mutex_unlock(&s_tail_lock);
}

size_t mm_linux_log_tail(char *text, size_t capacity_bytes) {
    (void)pthread_mutex_lock(&s_tail_lock);
    size_t from = 0;
    while (s_tail_bytes - from > capacity_bytes) {
        const char *end = memchr(s_tail + from, '\n', s_tail_bytes - from);
        size_t next = end != NULL ? (size_t)(end - s_tail) + 1 : s_tail_bytes;
        if (next == s_tail_bytes) {
            break; // the newest line
        }
        from = next;
    }
    size_t bytes_count = s_tail_bytes - from < capacity_bytes ? s_tail_bytes - from : capacity_bytes;
    memcpy(text, s_tail + from, bytes_count);
    (void)pthread_mutex_unlock(&s_tail_lock);
    return bytes_count;
}

void mm_linux_log(mm_log_level_t level, const char *format, ...) {
    if (level > s_level) {
        return;
    }
    char line[MM_LINUX_LOG_LINE_BYTES_MAX];
    size_t prefix = write_prefix(line, sizeof line, level);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line + prefix, sizeof line - prefix, format, arguments);
    va_end(arguments);
    size_t end = prefix + (length > 0 ? (size_t)length : 0);
    if (end > sizeof line - 2) {
        end = sizeof line - 2;
    }
    for (size_t i = prefix; i < end; i++) {
        unsigned char character = (unsigned char)line[i];
        if (character < 0x20 || character == 0x7F) {
            line[i] = '?';
        }
    }
    line[end++] = '\n';
    keep_line(line, end);
    // A log that cannot be written (closed pipe, full disk, a reader that has stopped) must not stop the meter.
    struct pollfd item = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&item, 1, 0) == 1) {
        // no wait: poll said that there is room
        ssize_t ignored = write(STDERR_FILENO, line, end);
        (void)ignored;
    }
}

static void write_from_core(void *context, mm_log_level_t level, const char *message, const char *first_name,
                            int64_t first, const char *second_name, int64_t second) {
    (void)context;
    char values[160] = "";
    int used = 0;
    if (first_name != NULL) {
        used = snprintf(values, sizeof values, " %s=%lld", first_name, (long long)first);
    }
    if (second_name != NULL && used >= 0 && (size_t)used < sizeof values) {
        (void)snprintf(values + used, sizeof values - (size_t)used, " %s=%lld", second_name, (long long)second);
    }
    mm_linux_log(level, "%s%s", message, values);
}

mm_log_t mm_linux_log_port(void) {
    return (mm_log_t){.write = write_from_core, .context = NULL};
}
