// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_LOOP_H
#define MM_LINUX_LOOP_H

#include "linux_message.h"
#include "meshmeter/base.h"

/// The owner's loop: waits for files, signals and a deadline. Everything of a node happens in the thread that runs it.
///
///     while (mm_linux_loop_signal(&loop) == 0) {
///         int64_t deadline = …;              // the earliest of all modules, real microseconds
///         mm_linux_loop_wait(&loop, deadline);
///         …                                  // take events, poll the core
///     }

#define MM_LINUX_LOOP_FILES_MAX 48

/// events: as poll(2) reports them.
typedef void mm_linux_loop_ready_fn(void *context, short events);

typedef struct {
    int file;
    short events;
    mm_linux_loop_ready_fn *ready; ///< NULL: only wakes the loop
    void *context;
} mm_linux_loop_watch_t;

typedef struct {
    mm_linux_loop_watch_t watches[MM_LINUX_LOOP_FILES_MAX];
    size_t watch_count;
    int signal_file;
    int signal;         ///< first SIGINT or SIGTERM
    bool child_changed; ///< SIGCHLD since the last take
} mm_linux_loop_t;

/// Blocks SIGINT, SIGTERM and SIGCHLD in this thread and those it starts afterwards (so call it first), and takes them
/// through the loop instead. SIGPIPE is ignored. A child process that is forked calls mm_linux_loop_reset_signals
/// before exec.
mm_err_t mm_linux_loop_open(mm_linux_loop_t *self, mm_linux_message_t *message);
void mm_linux_loop_close(mm_linux_loop_t *self);
void mm_linux_loop_reset_signals(void);

/// Watch a file (POLLIN and so on). MM_ERR_FULL: too many. Watching the same file again changes its entry.
mm_err_t mm_linux_loop_watch(mm_linux_loop_t *self, int file, short events, mm_linux_loop_ready_fn *ready,
                             void *context);
/// Before the file is closed. Also from within a ready function; unknown files are ignored.
void mm_linux_loop_unwatch(mm_linux_loop_t *self, int file);

/// Wait until a file is ready, a signal came, or real_deadline_us (MM_US_NEVER: none) is over; calls the ready
/// functions.
void mm_linux_loop_wait(mm_linux_loop_t *self, int64_t real_deadline_us);

/// SIGINT or SIGTERM that came, else 0.
int mm_linux_loop_signal(const mm_linux_loop_t *self);
/// Did a child process change its state since the last call?
bool mm_linux_loop_take_child_change(mm_linux_loop_t *self);

#endif
