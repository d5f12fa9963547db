// SPDX-License-Identifier: Apache-2.0
#include "control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "app.h"

#define NODES_MAX 100
#define REQUEST_BYTES 2049

static int64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// False when the time is over or the peer failed.
static bool await_socket(int file, short events, int64_t until_ms) {
    for (;;) {
        int64_t left = until_ms - now_ms();
        struct pollfd item = {.fd = file, .events = events};
        // wait: the next part of the answer | until what is left of ANSWER_TIMEOUT_MS | then there is no answer
        int ready = left > 0 ? poll(&item, 1, (int)left) : 0;
        if (ready > 0) {
            return true;
        }
        if (ready == 0 || errno != EINTR) {
            return false;
        }
    }
}

static bool exchange(int file, const char *line, int64_t until_ms, char *answer, size_t answer_bytes) {
    // no wait(send): less than the socket's buffer holds, and it has SO_SNDTIMEO
    char request[REQUEST_BYTES];
    int length = snprintf(request, sizeof request, "%s\n", line);
    bool sent =
        length > 0 && (size_t)length < sizeof request && send(file, request, (size_t)length, MSG_NOSIGNAL) == length;
    explicit_bzero(request, sizeof request); // a password may be in it
    if (!sent) {
        return false;
    }
    (void)shutdown(file, SHUT_WR);
    size_t used = 0;
    while (used + 1 < answer_bytes && await_socket(file, POLLIN, until_ms)) {
        // no wait: poll said that there is something
        ssize_t size = recv(file, answer + used, answer_bytes - 1 - used, 0);
        if (size == 0) {
            answer[used] = '\0';
            return used > 0;
        }
        if (size < 0) {
            return false;
        }
        used += (size_t)size;
    }
    return false;
}

bool control_ask(const char *socket_path, const char *line, int timeout_ms, char *answer, size_t answer_bytes) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(socket_path) >= sizeof address.sun_path) {
        snprintf(answer, answer_bytes, "the path %s is too long for a socket", socket_path);
        return false;
    }
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (file < 0) {
        snprintf(answer, answer_bytes, "no socket: %s", strerror(errno));
        return false;
    }
    // wait: the node's answer | until ANSWER_TIMEOUT_MS, HOLD_TIMEOUT_MS when the demo ends | then there is none: the
    // command says so, the demo asks again
    int64_t until_ms = now_ms() + timeout_ms;
    // A node that has stopped takes no more connections once its queue is full: connect would wait for ever.
    // wait: room in the node's queue of connections | until ANSWER_TIMEOUT_MS | then there is no answer
    bool good = app_set_send_timeout(file, timeout_ms) &&
                connect(file, (const struct sockaddr *)&address, sizeof address) == 0 &&
                exchange(file, line, until_ms, answer, answer_bytes);
    if (!good) {
        snprintf(answer, answer_bytes, "no answer from %s: is the node running?", socket_path);
    }
    (void)close(file);
    return good;
}

unsigned control_for_each(const char *state_directory, control_visit_fn visit, void *context) {
    unsigned count = 0;
    for (unsigned i = 1; i <= NODES_MAX; i++) {
        char name[16];
        char directory[512];
        char path[600];
        snprintf(name, sizeof name, "node-%u", i);
        if (!app_path(directory, sizeof directory, state_directory, name) || access(directory, F_OK) != 0 ||
            !app_path(path, sizeof path, directory, "control")) {
            break;
        }
        visit(name, path, context);
        count++;
    }
    return count;
}
