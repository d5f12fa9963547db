// SPDX-License-Identifier: Apache-2.0
#include "linux_control.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "linux_clock.h"

static const char cut_off[] = "\n(cut off: the answer is too long)\n";

void mm_linux_answer_print(mm_linux_answer_t *self, const char *format, ...) {
    size_t left = self->capacity_bytes - self->used_bytes;
    if (self->truncated || left == 0) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(self->text + self->used_bytes, left, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return;
    }
    if ((size_t)length < left) {
        self->used_bytes += (size_t)length;
        return;
    }
    self->truncated = true;
    self->used_bytes = self->capacity_bytes;
    if (self->capacity_bytes >= sizeof cut_off - 1) {
        memcpy(self->text + self->capacity_bytes - (sizeof cut_off - 1), cut_off, sizeof cut_off - 1);
    }
}

// --- peers ---------------------------------------------------------------------------------------------------------

static void drop_peer(mm_linux_control_peer_t *peer) {
    mm_linux_loop_unwatch(peer->control->loop, peer->file);
    (void)close(peer->file);
    peer->file = -1;
}

static void send_answer(mm_linux_control_peer_t *peer) {
    while (peer->sent_bytes < peer->answer_bytes) {
        ssize_t put = send(peer->file, peer->answer + peer->sent_bytes, peer->answer_bytes - peer->sent_bytes,
                           MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        }
        if (put <= 0) {
            break;
        }
        peer->sent_bytes += (size_t)put;
    }
    drop_peer(peer);
}

static void peer_ready(void *context, short events);

static void begin_answer(mm_linux_control_peer_t *peer, const char *problem) {
    mm_linux_control_t *self = peer->control;
    mm_linux_answer_t answer = {.text = peer->answer, .capacity_bytes = sizeof peer->answer};
    peer->line[peer->line_bytes] = '\0';
    if (problem != NULL) {
        mm_linux_answer_print(&answer, "error: %s\n", problem);
    } else {
        self->command(self->context, peer->line, &answer);
    }
    peer->answering = true;
    peer->answer_bytes = answer.used_bytes;
    // Replaces the watch for reading: what the peer says further is not heard.
    mm_err_t err = mm_linux_loop_watch(self->loop, peer->file, POLLOUT, peer_ready, peer);
    MM_ASSERT(err == MM_OK);
    send_answer(peer);
}

static void read_line(mm_linux_control_peer_t *peer) {
    char *end = NULL;
    bool closed = false;
    while (end == NULL && !closed && peer->line_bytes < MM_LINUX_CONTROL_LINE_BYTES_MAX) {
        ssize_t got = recv(peer->file, peer->line + peer->line_bytes,
                           MM_LINUX_CONTROL_LINE_BYTES_MAX - peer->line_bytes, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        }
        if (got < 0) {
            drop_peer(peer);
            return;
        }
        closed = got == 0;
        end = memchr(peer->line + peer->line_bytes, '\n', (size_t)got);
        peer->line_bytes += (size_t)got;
    }
    if (end == NULL && closed && peer->line_bytes == 0) {
        drop_peer(peer);
        return;
    }
    if (end == NULL && !closed) {
        begin_answer(peer, "the line is too long");
        return;
    }
    if (end != NULL) {
        peer->line_bytes = (size_t)(end - peer->line);
    }
    if (peer->line_bytes > 0 && peer->line[peer->line_bytes - 1] == '\r') {
        peer->line_bytes--;
    }
    bool has_zero = memchr(peer->line, '\0', peer->line_bytes) != NULL;
    begin_answer(peer, has_zero ? "the line is not text" : NULL);
}

static void peer_ready(void *context, short events) {
    mm_linux_control_peer_t *peer = context;
    (void)events;
    if (peer->answering) {
        send_answer(peer);
    } else {
        read_line(peer);
    }
}

static mm_linux_control_peer_t *find_free(mm_linux_control_t *self) {
    for (size_t i = 0; i < MM_LINUX_CONTROL_PEERS_MAX; i++) {
        if (self->peers[i].file < 0) {
            return &self->peers[i];
        }
    }
    return NULL;
}

// The peer that has been there for longest makes room: it had its time, and one that never speaks must not lock others
// out.
static mm_linux_control_peer_t *free_oldest(mm_linux_control_t *self) {
    mm_linux_control_peer_t *oldest = &self->peers[0];
    for (size_t i = 1; i < MM_LINUX_CONTROL_PEERS_MAX; i++) {
        if (self->peers[i].deadline_us < oldest->deadline_us) {
            oldest = &self->peers[i];
        }
    }
    drop_peer(oldest);
    return oldest;
}

static void listener_ready(void *context, short events) {
    mm_linux_control_t *self = context;
    (void)events;
    // no wait: the listener does not block, and was ready
    int file = accept4(self->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (file < 0) {
        return;
    }
    mm_linux_control_peer_t *peer = find_free(self);
    if (peer == NULL) {
        peer = free_oldest(self);
    }
    peer->file = file;
    peer->deadline_us = mm_linux_real_us() + (int64_t)MM_LINUX_CONTROL_PEER_MS * 1000;
    peer->line_bytes = 0;
    peer->answering = false;
    peer->answer_bytes = 0;
    peer->sent_bytes = 0;
    if (mm_linux_loop_watch(self->loop, file, POLLIN, peer_ready, peer) != MM_OK) {
        drop_peer(peer);
    }
}

// --- socket --------------------------------------------------------------------------------------------------------

static mm_err_t fail(mm_linux_control_t *self, const char *path, mm_linux_message_t *message) {
    mm_linux_message_set(message, "%s: no control socket: %s", path, strerror(errno));
    if (self->listener >= 0) {
        (void)close(self->listener);
        self->listener = -1;
    }
    return MM_ERR_STORAGE;
}

// True if nobody listens at the address and its file is gone afterwards.
static bool remove_dead(const struct sockaddr_un *address) {
    struct stat status;
    if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return false;
    }
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0) {
        return false;
    }
    // no wait: the socket does not block
    bool dead = connect(probe, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED;
    (void)close(probe);
    return dead && unlink(address->sun_path) == 0;
}

mm_err_t mm_linux_control_open(mm_linux_control_t *self, mm_linux_loop_t *loop, const char *path,
                               mm_linux_control_fn *command, void *context, mm_linux_message_t *message) {
    self->loop = loop;
    self->command = command;
    self->context = context;
    self->listener = -1;
    self->path[0] = '\0';
    for (size_t i = 0; i < MM_LINUX_CONTROL_PEERS_MAX; i++) {
        self->peers[i].control = self;
        self->peers[i].file = -1;
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        mm_linux_message_set(message, "%s: the path is too long for a control socket (at most %zu characters)", path,
                             sizeof address.sun_path - 1);
        return MM_ERR_ARG;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    self->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    // On Linux the mode of the file is the mode of the socket at bind: there is no moment in which others may connect.
    if (self->listener < 0 || fchmod(self->listener, 0600) != 0) {
        return fail(self, path, message);
    }
    int bound = bind(self->listener, (const struct sockaddr *)&address, sizeof address);
    if (bound != 0 && errno == EADDRINUSE) {
        if (!remove_dead(&address)) {
            (void)close(self->listener);
            self->listener = -1;
            mm_linux_message_set(message, "%s: is in use by another process", path);
            return MM_ERR_BUSY;
        }
        bound = bind(self->listener, (const struct sockaddr *)&address, sizeof address);
    }
    if (bound != 0 || listen(self->listener, MM_LINUX_CONTROL_PEERS_MAX) != 0) {
        return fail(self, path, message);
    }
    memcpy(self->path, address.sun_path, sizeof self->path);
    if (mm_linux_loop_watch(loop, self->listener, POLLIN, listener_ready, self) != MM_OK) {
        errno = EMFILE;
        return fail(self, path, message);
    }
    return MM_OK;
}

int64_t mm_linux_control_poll(mm_linux_control_t *self, int64_t real_now_us) {
    int64_t deadline_us = MM_US_NEVER;
    for (size_t i = 0; i < MM_LINUX_CONTROL_PEERS_MAX; i++) {
        mm_linux_control_peer_t *peer = &self->peers[i];
        if (peer->file >= 0 && peer->deadline_us <= real_now_us) {
            drop_peer(peer);
        } else if (peer->file >= 0 && peer->deadline_us < deadline_us) {
            deadline_us = peer->deadline_us;
        }
    }
    return deadline_us;
}

void mm_linux_control_close(mm_linux_control_t *self) {
    for (size_t i = 0; i < MM_LINUX_CONTROL_PEERS_MAX; i++) {
        if (self->peers[i].file >= 0) {
            drop_peer(&self->peers[i]);
        }
    }
    if (self->listener >= 0) {
        mm_linux_loop_unwatch(self->loop, self->listener);
        (void)close(self->listener);
        self->listener = -1;
        (void)unlink(self->path);
    }
}
