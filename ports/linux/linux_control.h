// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_CONTROL_H
#define MM_LINUX_CONTROL_H

#include "linux_loop.h"
#include "linux_message.h"

/// Control socket: a Unix stream socket with mode 0600. A peer connects, sends one line, gets the answer (any number of
/// lines) and the end of the connection. No peer can delay the loop: all is non-blocking, lines and answers are
/// bounded, a peer that is slower than MM_LINUX_CONTROL_PEER_MS is dropped.

// A whole network with every character escaped is the longest line.
#define MM_LINUX_CONTROL_LINE_BYTES_MAX 2047
#define MM_LINUX_CONTROL_ANSWER_BYTES_MAX 32768
#define MM_LINUX_CONTROL_PEERS_MAX 4
#define MM_LINUX_CONTROL_PEER_MS 2000

typedef struct {
    char *text;
    size_t capacity_bytes;
    size_t used_bytes;
    bool truncated;
} mm_linux_answer_t;

/// Append to the answer. What does not fit is cut off, and the answer then ends with a line that says so.
__attribute__((format(printf, 2, 3))) void mm_linux_answer_print(mm_linux_answer_t *self, const char *format, ...);

/// `line` is without line end; may be modified.
typedef void mm_linux_control_fn(void *context, char *line, mm_linux_answer_t *answer);

typedef struct mm_linux_control mm_linux_control_t;

typedef struct {
    mm_linux_control_t *control;
    int file; ///< -1 = free
    // wait: a peer says its line and takes the answer | until MM_LINUX_CONTROL_PEER_MS | then it is dropped
    int64_t deadline_us;
    char line[MM_LINUX_CONTROL_LINE_BYTES_MAX + 1];
    size_t line_bytes;
    bool answering;
    char answer[MM_LINUX_CONTROL_ANSWER_BYTES_MAX];
    size_t answer_bytes;
    size_t sent_bytes;
} mm_linux_control_peer_t;

struct mm_linux_control {
    mm_linux_loop_t *loop;
    mm_linux_control_fn *command;
    void *context;
    int listener;
    char path[108];
    mm_linux_control_peer_t peers[MM_LINUX_CONTROL_PEERS_MAX];
};

/// Listen and watch in `loop`; *self must stay where it is. A socket that a dead process left is replaced.
/// MM_ERR_BUSY: a living process answers there. MM_ERR_ARG: path too long for a socket. MM_ERR_STORAGE: the system
/// refused.
mm_err_t mm_linux_control_open(mm_linux_control_t *self, mm_linux_loop_t *loop, const char *path,
                               mm_linux_control_fn *command, void *context, mm_linux_message_t *message);
/// Drop peers that are too slow. Returns the next deadline (real microseconds) or MM_US_NEVER.
int64_t mm_linux_control_poll(mm_linux_control_t *self, int64_t real_now_us);
/// Stop listening and remove the socket. Also after a failed open.
void mm_linux_control_close(mm_linux_control_t *self);

#endif
