// SPDX-License-Identifier: Apache-2.0
#ifndef MM_HQ_LOG_H
#define MM_HQ_LOG_H

/// One line to standard error: the computer's time in UTC, "hq:", and the message. One write per line, so that lines of
/// several processes on one terminal stay whole. A line that standard error does not take at once is dropped.
void mm_hq_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// Receives each message without time and line end instead of standard error; may be called by any thread.
typedef void (*mm_hq_log_fn)(void *context, const char *message);

/// For all of the process, before there are threads. NULL: standard error again.
void mm_hq_log_set_sink(mm_hq_log_fn sink, void *context);

/// Text of an operating error for the caller to show. Always terminated.
typedef struct {
    char text[384];
} mm_hq_error_t;

void mm_hq_error_set(mm_hq_error_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
