// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static mm_hq_log_fn s_sink;
static void *s_sink_context;

void mm_hq_log_set_sink(mm_hq_log_fn sink, void *context) {
    s_sink = sink;
    s_sink_context = context;
}

// Length of "2023-11-14T22:15:00.000Z hq: ".
static size_t print_head(char *line, size_t line_bytes) {
    struct timespec time;
    struct tm civil;
    clock_gettime(CLOCK_REALTIME, &time);
    gmtime_r(&time.tv_sec, &civil);
    size_t used = strftime(line, line_bytes, "%Y-%m-%dT%H:%M:%S", &civil);
    return used + (size_t)snprintf(line + used, line_bytes - used, ".%03ldZ hq: ", time.tv_nsec / 1000000);
}

void mm_hq_log(const char *format, ...) {
    char line[1024];
    size_t used = s_sink == NULL ? print_head(line, sizeof line) : 0;
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    va_end(arguments);
    if (wanted < 0) {
        return;
    }
    if (s_sink != NULL) {
        s_sink(s_sink_context, line);
        return;
    }
    used += (size_t)wanted < sizeof line - used - 1 ? (size_t)wanted : sizeof line - used - 2;
    line[used++] = '\n';
    // A log that cannot be written (closed pipe, full disk, a reader that has stopped) must not stop the ingest.
    struct pollfd item = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&item, 1, 0) == 1) {
        // no wait: poll said that there is room
        ssize_t ignored = write(STDERR_FILENO, line, used);
        (void)ignored;
    }
}

void mm_hq_error_set(mm_hq_error_t *self, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->text, sizeof self->text, format, arguments);
    va_end(arguments);
}
