// SPDX-License-Identifier: Apache-2.0
#include "linux_loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "linux_clock.h"

static sigset_t handled_signals(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGCHLD);
    return set;
}

mm_err_t mm_linux_loop_open(mm_linux_loop_t *self, mm_linux_message_t *message) {
    memset(self, 0, sizeof *self);
    sigset_t set = handled_signals();
    self->signal_file = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (self->signal_file < 0) {
        mm_linux_message_set(message, "signals cannot be taken: %s", strerror(errno));
        return MM_ERR_STORAGE;
    }
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    // A peer that hangs up is an error of write, not the end of the process.
    (void)signal(SIGPIPE, SIG_IGN);
    return MM_OK;
}

void mm_linux_loop_close(mm_linux_loop_t *self) {
    if (self->signal_file >= 0) {
        (void)close(self->signal_file);
        self->signal_file = -1;
    }
    self->watch_count = 0;
}

void mm_linux_loop_reset_signals(void) {
    sigset_t set = handled_signals();
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static mm_linux_loop_watch_t *find_watch(mm_linux_loop_t *self, int file) {
    for (size_t i = 0; i < self->watch_count; i++) {
        if (self->watches[i].file == file) {
            return &self->watches[i];
        }
    }
    return NULL;
}

mm_err_t mm_linux_loop_watch(mm_linux_loop_t *self, int file, short events, mm_linux_loop_ready_fn *ready,
                             void *context) {
    MM_ASSERT(file >= 0);
    mm_linux_loop_watch_t *watch = find_watch(self, file);
    if (watch == NULL) {
        if (self->watch_count == MM_LINUX_LOOP_FILES_MAX) {
            return MM_ERR_FULL;
        }
        watch = &self->watches[self->watch_count++];
    }
    *watch = (mm_linux_loop_watch_t){.file = file, .events = events, .ready = ready, .context = context};
    return MM_OK;
}

void mm_linux_loop_unwatch(mm_linux_loop_t *self, int file) {
    mm_linux_loop_watch_t *watch = find_watch(self, file);
    if (watch != NULL) {
        *watch = self->watches[--self->watch_count];
    }
}

static void take_signals(mm_linux_loop_t *self) {
    struct signalfd_siginfo info;
    // no wait: signalfd with SFD_NONBLOCK
    while (read(self->signal_file, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            self->child_changed = true;
        } else if (self->signal == 0) {
            self->signal = (int)info.ssi_signo;
        }
    }
}

void mm_linux_loop_wait(mm_linux_loop_t *self, int64_t real_deadline_us) {
    struct pollfd items[MM_LINUX_LOOP_FILES_MAX + 1];
    size_t count = self->watch_count;
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct pollfd){.fd = self->watches[i].file, .events = self->watches[i].events};
    }
    items[count] = (struct pollfd){.fd = self->signal_file, .events = POLLIN};

    struct timespec timeout;
    bool bounded = mm_linux_timeout(real_deadline_us, mm_linux_real_us(), &timeout);
    // wait: a file, a signal, or the next thing to do | until the earliest deadline of all modules; the end of the
    // node's interval, MM_INTERVAL_S, is always one of them | then the caller looks at everything
    int ready = ppoll(items, count + 1, bounded ? &timeout : NULL, NULL);
    if (ready <= 0) {
        return; // deadline, or EINTR: the caller looks at everything anyway
    }
    if (items[count].revents != 0) {
        take_signals(self);
    }
    for (size_t i = 0; i < count; i++) {
        // A ready function may have taken files out of the list, or closed them and opened others.
        const mm_linux_loop_watch_t *watch = items[i].revents != 0 ? find_watch(self, items[i].fd) : NULL;
        if (watch != NULL && watch->ready != NULL) {
            watch->ready(watch->context, items[i].revents);
        }
    }
}

int mm_linux_loop_signal(const mm_linux_loop_t *self) {
    return self->signal;
}

bool mm_linux_loop_take_child_change(mm_linux_loop_t *self) {
    bool changed = self->child_changed;
    self->child_changed = false;
    return changed;
}
