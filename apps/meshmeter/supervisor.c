// SPDX-License-Identifier: Apache-2.0
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "meshmeter/base.h"

#define PAUSE_FIRST_US 50000
#define PAUSE_LONGEST_US 5000000
// A child that lived this long was well: its next death is treated as the first one.
#define HEALTHY_US 3000000
#define LOG_TAIL_BYTES 2000
#define END_STEP_NS 20000000

int64_t supervisor_now_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

supervisor_child_t *supervisor_add(supervisor_t *self, const char *name, const char *log_path) {
    MM_ASSERT(self->child_count < SUPERVISOR_CHILDREN_MAX);
    supervisor_child_t *child = &self->children[self->child_count++];
    *child = (supervisor_child_t){0};
    snprintf(child->name, sizeof child->name, "%s", name);
    int length = snprintf(child->log_path, sizeof child->log_path, "%s", log_path);
    MM_ASSERT(length > 0 && (size_t)length < sizeof child->log_path);
    return child;
}

void supervisor_add_argument(supervisor_child_t *child, const char *format, ...) {
    MM_ASSERT(child->argument_count < SUPERVISOR_ARGUMENTS_MAX);
    va_list arguments;
    va_start(arguments, format);
    char *text = NULL;
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    MM_ASSERT(length >= 0);
    child->arguments[child->argument_count++] = text;
}

static void run_child(const supervisor_child_t *child, pid_t parent) {
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        _exit(0); // the parent died before the line above
    }
    // Its own group: Ctrl-C at the terminal reaches the demo alone, which then stops the parts in order.
    (void)setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    int log = open(child->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0) {
        _exit(127);
    }
    (void)setenv(SUPERVISED_VARIABLE, "1", 1);
    execvp(child->arguments[0], child->arguments);
    fprintf(stderr, "cannot execute %s: %s\n", child->arguments[0], strerror(errno));
    _exit(127);
}

bool supervisor_start(supervisor_child_t *child) {
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        run_child(child, parent);
    }
    if (pid < 0) {
        return false;
    }
    child->pid = pid;
    child->started_at_us = supervisor_now_us();
    return true;
}

static void note_death(supervisor_child_t *child, int status) {
    int64_t now = supervisor_now_us();
    if (now - child->started_at_us > HEALTHY_US) {
        child->restarts = 0;
    }
    unsigned doublings = child->restarts < 7 ? child->restarts : 7;
    int64_t pause = (int64_t)PAUSE_FIRST_US << doublings;
    child->restart_at_us = now + (pause < PAUSE_LONGEST_US ? pause : PAUSE_LONGEST_US);
    child->restarts++;
    child->pid = 0;
    child->last_status = status;
}

bool supervisor_has_ended(supervisor_child_t *child) {
    int status = 0;
    if (child->pid != 0 && waitpid(child->pid, &status, WNOHANG) == child->pid) {
        note_death(child, status);
    }
    return child->pid == 0;
}

void supervisor_poll(supervisor_t *self) {
    for (unsigned i = 0; i < self->child_count; i++) {
        supervisor_child_t *child = &self->children[i];
        int status = 0;
        if (child->pid != 0 && waitpid(child->pid, &status, WNOHANG) == child->pid) {
            note_death(child, status);
            if (WIFEXITED(status) && WEXITSTATUS(status) == APP_RESTART) {
                // By command: no failure, and no growing pause.
                child->restarts = 0;
                child->restart_at_us = supervisor_now_us();
                continue;
            }
            self->restarts++;
            fprintf(stderr, "demo: %s ended (%s %d), starting it again\n", child->name,
                    WIFSIGNALED(status) ? "signal" : "exit code",
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        }
        if (child->pid == 0 && child->started_at_us != 0 && supervisor_now_us() >= child->restart_at_us &&
            !supervisor_start(child)) {
            child->restart_at_us = supervisor_now_us() + PAUSE_LONGEST_US;
        }
    }
}

// Waits for one child until a time; true when it is gone.
static bool await_end(supervisor_child_t *child, int64_t until_us) {
    while (child->pid != 0) {
        int status = 0;
        pid_t ended = waitpid(child->pid, &status, WNOHANG);
        if (ended == child->pid || (ended < 0 && errno == ECHILD)) {
            child->pid = 0;
        } else if (supervisor_now_us() >= until_us) {
            return false;
        } else {
            // SIGCHLD is blocked in the demo: this returns as soon as a child ends, at the latest after END_STEP_NS.
            sigset_t set;
            sigemptyset(&set);
            sigaddset(&set, SIGCHLD);
            // wait: a child ends after SIGTERM, then after SIGKILL | until STOP_GRACE_US, looked at every END_STEP_NS |
            // then SIGKILL; a child that even that does not end is left to the kernel
            (void)sigtimedwait(&set, NULL, &(struct timespec){.tv_nsec = END_STEP_NS});
        }
    }
    return true;
}

void supervisor_stop_from(supervisor_t *self, unsigned first, int64_t grace_us) {
    for (unsigned i = first; i < self->child_count; i++) {
        if (self->children[i].pid != 0) {
            (void)kill(self->children[i].pid, SIGTERM);
            (void)kill(self->children[i].pid, SIGCONT);
        }
    }
    // wait: the children end after SIGTERM | until STOP_GRACE_US, for all of them together | then SIGKILL
    int64_t until_us = supervisor_now_us() + grace_us;
    for (unsigned i = first; i < self->child_count; i++) {
        supervisor_child_t *child = &self->children[i];
        if (!await_end(child, until_us)) {
            fprintf(stderr, "demo: %s did not end in time, killing it\n", child->name);
            (void)kill(child->pid, SIGKILL);
            (void)await_end(child, supervisor_now_us() + grace_us);
        }
        for (int a = 0; a < child->argument_count; a++) {
            free(child->arguments[a]);
            child->arguments[a] = NULL;
        }
        child->argument_count = 0;
        child->started_at_us = 0;
    }
    self->child_count = first < self->child_count ? first : self->child_count;
}

void supervisor_print_log_tail(const supervisor_child_t *child) {
    FILE *file = fopen(child->log_path, "r");
    if (file == NULL) {
        return;
    }
    char text[LOG_TAIL_BYTES + 1];
    if (fseek(file, -LOG_TAIL_BYTES, SEEK_END) != 0) {
        rewind(file);
    }
    size_t size = fread(text, 1, LOG_TAIL_BYTES, file);
    text[size] = '\0';
    (void)fclose(file);
    fprintf(stderr, "--- end of %s ---\n%s\n", child->log_path, text);
}
