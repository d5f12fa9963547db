// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SUPERVISOR_H
#define MM_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/// Child processes of the demo: started with their output in a log file, started again when they die (with a growing
/// pause), and stopped. If the demo itself is killed, the kernel ends the children (PR_SET_PDEATHSIG).

/// Set in the environment of the children: who ends with APP_RESTART is started again at once.
#define SUPERVISED_VARIABLE "MM_SUPERVISED"

#define SUPERVISOR_CHILDREN_MAX 104
#define SUPERVISOR_ARGUMENTS_MAX 40

typedef struct {
    char name[32];
    char log_path[512];
    char *arguments[SUPERVISOR_ARGUMENTS_MAX + 1]; ///< owned copies, NULL terminated
    int argument_count;
    pid_t pid; ///< 0 = not running
    // wait: a part that died may be started again | until PAUSE_FIRST_US doubling up to PAUSE_LONGEST_US | then it is
    // started
    int64_t restart_at_us;
    // no wait: an instant of the past
    int64_t started_at_us;
    unsigned restarts;
    int last_status; ///< of waitpid
} supervisor_child_t;

typedef struct {
    supervisor_child_t children[SUPERVISOR_CHILDREN_MAX];
    unsigned child_count;
    unsigned restarts; ///< of all
} supervisor_t;

/// Real monotonic microseconds.
int64_t supervisor_now_us(void);
/// Add a child; arguments follow by supervisor_add_argument. Never fails (asserts the limits).
supervisor_child_t *supervisor_add(supervisor_t *self, const char *name, const char *log_path);
__attribute__((format(printf, 2, 3))) void supervisor_add_argument(supervisor_child_t *child, const char *format, ...);
/// Start now. False with errno when fork failed; a program that cannot be executed exits with 127.
bool supervisor_start(supervisor_child_t *child);
/// True if the child is dead (it is collected here, without starting it again).
bool supervisor_has_ended(supervisor_child_t *child);
/// Collect the dead and start again what is due. Call when SIGCHLD came and at least every 100 ms.
void supervisor_poll(supervisor_t *self);
/// SIGTERM to the children from the first-th on, to all at once, and SIGKILL to what is still there after grace_us;
/// returns when they are gone. They are not started again; call it for those that others need last.
void supervisor_stop_from(supervisor_t *self, unsigned first, int64_t grace_us);
/// Last lines of a child's log to standard error, for a failure that must be explained.
void supervisor_print_log_tail(const supervisor_child_t *child);

#endif
