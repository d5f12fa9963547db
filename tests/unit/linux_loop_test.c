// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/linux_clock.h"
#include "linux/linux_control.h"
#include "linux/linux_entropy.h"
#include "linux/linux_log.h"
#include "linux/linux_loop.h"

#define PATIENCE_US 10000000

static char s_directory[] = "/tmp/mm-loop-XXXXXX";
static char s_path[64];
static mm_linux_loop_t s_loop;
static mm_linux_control_t s_control;

static int64_t patience(void) {
    return mm_linux_real_us() + PATIENCE_US;
}

// --- loop ----------------------------------------------------------------------------------------------------------

typedef struct {
    int file;
    int other; ///< taken out by the first that is ready
    unsigned calls;
    short events;
} watcher_t;

static void on_ready(void *context, short events) {
    watcher_t *watcher = context;
    watcher->calls++;
    watcher->events = events;
    if (watcher->other >= 0) {
        mm_linux_loop_unwatch(&s_loop, watcher->other);
    }
}

static void test_linux_loop_files_and_deadline(void **state) {
    (void)state;
    int first[2];
    int second[2];
    assert_int_equal(pipe2(first, O_CLOEXEC), 0);
    assert_int_equal(pipe2(second, O_CLOEXEC), 0);
    watcher_t watchers[2] = {{.file = first[0], .other = -1}, {.file = second[0], .other = -1}};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mm_linux_loop_watch(&s_loop, watchers[i].file, POLLIN, on_ready, &watchers[i]), MM_OK);
    }
    int64_t begin_us = mm_linux_real_us();
    mm_linux_loop_wait(&s_loop, begin_us + 20000);
    assert_true(mm_linux_real_us() >= begin_us + 20000);
    assert_int_equal(watchers[0].calls + watchers[1].calls, 0);
    mm_linux_loop_wait(&s_loop, begin_us); // over already: returns at once

    assert_int_equal(write(second[1], "x", 1), 1);
    mm_linux_loop_wait(&s_loop, patience());
    assert_int_equal(watchers[0].calls, 0);
    assert_int_equal(watchers[1].calls, 1);
    assert_int_equal(watchers[1].events, POLLIN);

    // The first that is ready takes the other one out, which is then not called.
    watchers[0].other = second[0];
    watchers[1].other = first[0];
    assert_int_equal(write(first[1], "x", 1), 1);
    mm_linux_loop_wait(&s_loop, patience());
    assert_int_equal(watchers[0].calls + watchers[1].calls, 2);
    mm_linux_loop_unwatch(&s_loop, 12345);
    mm_linux_loop_unwatch(&s_loop, first[0]);
    mm_linux_loop_unwatch(&s_loop, second[0]);
    mm_linux_loop_wait(&s_loop, mm_linux_real_us());
    assert_int_equal(watchers[0].calls + watchers[1].calls, 2);
    for (int i = 0; i < 2; i++) {
        (void)close(first[i]);
        (void)close(second[i]);
    }
}

static void test_linux_loop_is_bounded(void **state) {
    (void)state;
    for (int i = 0; i < MM_LINUX_LOOP_FILES_MAX; i++) {
        assert_int_equal(mm_linux_loop_watch(&s_loop, 1000 + i, POLLIN, NULL, NULL), MM_OK);
    }
    assert_int_equal(mm_linux_loop_watch(&s_loop, 2000, POLLIN, NULL, NULL), MM_ERR_FULL);
    assert_int_equal(mm_linux_loop_watch(&s_loop, 1000, POLLOUT, NULL, NULL), MM_OK); // changes, adds nothing
    for (int i = 0; i < MM_LINUX_LOOP_FILES_MAX; i++) {
        mm_linux_loop_unwatch(&s_loop, 1000 + i);
    }
    assert_int_equal(s_loop.watch_count, 0);
}

static void test_linux_loop_signals(void **state) {
    (void)state;
    assert_int_equal(mm_linux_loop_signal(&s_loop), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(kill(getpid(), SIGINT), 0);
    mm_linux_loop_wait(&s_loop, patience());
    int taken = mm_linux_loop_signal(&s_loop);
    assert_true(taken == SIGTERM || taken == SIGINT);

    assert_false(mm_linux_loop_take_child_change(&s_loop));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        // What a child does before exec: it can be ended again.
        mm_linux_loop_reset_signals();
        (void)raise(SIGTERM);
        _exit(0);
    }
    int64_t until_us = patience();
    while (!mm_linux_loop_take_child_change(&s_loop) && mm_linux_real_us() < until_us) {
        mm_linux_loop_wait(&s_loop, until_us);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    assert_false(mm_linux_loop_take_child_change(&s_loop));
}

// --- control socket ------------------------------------------------------------------------------------------------

static char s_last_command[MM_LINUX_CONTROL_LINE_BYTES_MAX + 1];
static unsigned s_command_count;

static void on_command(void *context, char *line, mm_linux_answer_t *answer) {
    assert_ptr_equal(context, &s_control);
    (void)snprintf(s_last_command, sizeof s_last_command, "%s", line);
    s_command_count++;
    if (strcmp(line, "long") == 0) {
        for (int i = 0; i < 10000; i++) {
            mm_linux_answer_print(answer, "line %d\n", i);
        }
        return;
    }
    mm_linux_answer_print(answer, "you said %s\n", line);
    mm_linux_answer_print(answer, "%s", "bye\n");
}

static int connect_peer(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, s_path, strlen(s_path) + 1);
    int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(file >= 0);
    assert_int_equal(connect(file, (const struct sockaddr *)&address, sizeof address), 0);
    return file;
}

static void say(int file, const char *text, size_t bytes_count) {
    assert_int_equal(send(file, text, bytes_count, MSG_NOSIGNAL), (ssize_t)bytes_count);
}

// Runs the loop until the peer has the end of its answer.
static size_t await_answer(int file, char *answer, size_t answer_bytes) {
    size_t used = 0;
    int64_t until_us = patience();
    while (mm_linux_real_us() < until_us) {
        int64_t deadline_us = mm_linux_control_poll(&s_control, mm_linux_real_us());
        mm_linux_loop_wait(&s_loop, deadline_us < until_us ? deadline_us : until_us);
        for (;;) {
            assert_true(used < answer_bytes);
            ssize_t got = recv(file, answer + used, answer_bytes - used, MSG_DONTWAIT);
            if (got == 0 || (got < 0 && errno == ECONNRESET)) {
                answer[used] = '\0';
                return used;
            }
            if (got < 0) {
                break;
            }
            used += (size_t)got;
        }
    }
    fail_msg("no end of the answer");
    return 0;
}

static void open_control(void) {
    mm_linux_message_t message = {0};
    if (mm_linux_control_open(&s_control, &s_loop, s_path, on_command, &s_control, &message) != MM_OK) {
        fail_msg("%s", message.text);
    }
    s_command_count = 0;
}

static char s_answer[MM_LINUX_CONTROL_ANSWER_BYTES_MAX + 100];

static void test_linux_control_asks_and_answers(void **state) {
    (void)state;
    open_control();
    struct stat status;
    assert_int_equal(stat(s_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_true(mm_linux_control_poll(&s_control, mm_linux_real_us()) == MM_US_NEVER);

    static const char *const forms[] = {"router off\n", "router off\r\n", "router off\nmore"};
    for (size_t i = 0; i < 3; i++) {
        int peer = connect_peer();
        say(peer, forms[i], strlen(forms[i]));
        (void)await_answer(peer, s_answer, sizeof s_answer);
        assert_string_equal(s_last_command, "router off");
        assert_string_equal(s_answer, "you said router off\nbye\n");
        (void)close(peer);
    }
    // In pieces, and without the line's end.
    int peer = connect_peer();
    say(peer, "sta", 3);
    mm_linux_loop_wait(&s_loop, patience());
    mm_linux_loop_wait(&s_loop, patience());
    assert_int_equal(s_command_count, 3);
    say(peer, "tus", 3);
    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    (void)await_answer(peer, s_answer, sizeof s_answer);
    assert_string_equal(s_answer, "you said status\nbye\n");
    (void)close(peer);
    mm_linux_control_close(&s_control);
    assert_int_not_equal(access(s_path, F_OK), 0);
}

static void test_linux_control_bad_peers(void **state) {
    (void)state;
    open_control();
    char line[MM_LINUX_CONTROL_LINE_BYTES_MAX + 100];
    memset(line, 'x', sizeof line);
    int peer = connect_peer();
    say(peer, line, sizeof line);
    (void)await_answer(peer, s_answer, sizeof s_answer);
    assert_string_equal(s_answer, "error: the line is too long\n");
    (void)close(peer);

    peer = connect_peer();
    say(peer, "a\0b\n", 4);
    (void)await_answer(peer, s_answer, sizeof s_answer);
    assert_string_equal(s_answer, "error: the line is not text\n");
    (void)close(peer);

    peer = connect_peer();
    (void)close(peer); // says nothing and goes
    peer = connect_peer();
    say(peer, "x\n", 2);
    (void)close(peer); // does not wait for the answer
    assert_int_equal(s_command_count, 0);

    // An answer that is too long is cut, and says so.
    peer = connect_peer();
    say(peer, "long\n", 5);
    size_t size = await_answer(peer, s_answer, sizeof s_answer);
    assert_int_equal(size, MM_LINUX_CONTROL_ANSWER_BYTES_MAX);
    assert_non_null(strstr(s_answer, "cut off"));
    (void)close(peer);
    mm_linux_control_close(&s_control);
}

static void test_linux_control_silent_peers_do_not_block(void **state) {
    (void)state;
    open_control();
    // More of them than there are places, all silent; and then one with a question.
    int silent[MM_LINUX_CONTROL_PEERS_MAX + 2];
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++) {
        silent[i] = connect_peer();
        mm_linux_loop_wait(&s_loop, patience());
    }
    int peer = connect_peer();
    say(peer, "hello\n", 6);
    (void)await_answer(peer, s_answer, sizeof s_answer);
    assert_string_equal(s_answer, "you said hello\nbye\n");
    (void)close(peer);
    // The others are dropped when their time is over.
    int64_t deadline_us = mm_linux_control_poll(&s_control, mm_linux_real_us());
    assert_true(deadline_us < MM_US_NEVER);
    assert_true(mm_linux_control_poll(&s_control, deadline_us + (int64_t)MM_LINUX_CONTROL_PEER_MS * 1000) ==
                MM_US_NEVER);
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++) {
        char byte;
        assert_true(recv(silent[i], &byte, 1, 0) <= 0);
        (void)close(silent[i]);
    }
    mm_linux_control_close(&s_control);
    assert_int_equal(s_loop.watch_count, 0);
}

static void test_linux_control_socket_in_use(void **state) {
    (void)state;
    open_control();
    static mm_linux_control_t second;
    mm_linux_message_t message = {0};
    assert_int_equal(mm_linux_control_open(&second, &s_loop, s_path, on_command, NULL, &message), MM_ERR_BUSY);
    assert_non_null(strstr(message.text, s_path));
    mm_linux_control_close(&second);
    assert_int_equal(access(s_path, F_OK), 0);

    // What a killed process leaves is replaced.
    mm_linux_loop_unwatch(&s_loop, s_control.listener);
    (void)close(s_control.listener);
    s_control.listener = -1;
    open_control();
    mm_linux_control_close(&s_control);

    // A file that is no socket is not.
    FILE *file = fopen(s_path, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(mm_linux_control_open(&second, &s_loop, s_path, on_command, NULL, &message), MM_ERR_BUSY);
    mm_linux_control_close(&second);
    assert_int_equal(access(s_path, F_OK), 0);
    (void)unlink(s_path);

    char long_path[200];
    memset(long_path, 'a', sizeof long_path);
    long_path[199] = '\0';
    assert_int_equal(mm_linux_control_open(&second, &s_loop, long_path, on_command, NULL, &message), MM_ERR_ARG);
    assert_int_equal(mm_linux_control_open(&second, &s_loop, "/nonexistent/x", on_command, NULL, &message),
                     MM_ERR_STORAGE);
    assert_non_null(strstr(message.text, "/nonexistent/x"));
}

// --- log and entropy -----------------------------------------------------------------------------------------------

static void capture_log(void (*write_log)(void), char *text, size_t text_bytes) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    int saved = dup(STDERR_FILENO);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    write_log();
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    (void)close(saved);
    (void)close(ends[1]);
    size_t used = 0;
    ssize_t got;
    while ((got = read(ends[0], text + used, text_bytes - 1 - used)) > 0) {
        used += (size_t)got;
    }
    text[used] = '\0';
    (void)close(ends[0]);
}

static void write_some_log(void) {
    mm_linux_log_set_name("node-1");
    mm_linux_log(MM_LOG_DEBUG, "not this one");
    mm_linux_log(MM_LOG_WARNING, "peer '%s'", "evil\n2000-01-01 error forged\x1b[31m");
    mm_log_t port = mm_linux_log_port();
    port.write(port.context, MM_LOG_ERROR, "round incomplete", "missing", -3, "of", 10);
    port.write(port.context, MM_LOG_INFO, "started", NULL, 0, NULL, 0);
    char text[3000];
    memset(text, 'x', sizeof text);
    text[2999] = '\0';
    mm_linux_log(MM_LOG_INFO, "%s", text);
}

// Whoever reads the log has stopped, and the pipe is full: the line is lost, the meter goes on.
static void test_linux_log_reader_has_stopped(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    static const char filler[4096];
    while (write(ends[1], filler, sizeof filler) > 0) {
    }
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
    int saved = dup(STDERR_FILENO);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    (void)alarm(10); // ends the test if the line is waited for
    mm_linux_log(MM_LOG_ERROR, "lost");
    (void)alarm(0);
    static char emptied[1 << 20];
    assert_true(read(ends[0], emptied, sizeof emptied) > 0);
    mm_linux_log(MM_LOG_ERROR, "arrives");
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    ssize_t size = read(ends[0], emptied, sizeof emptied - 1);
    assert_true(size > 0);
    emptied[size] = '\0';
    assert_non_null(strstr(emptied, "arrives\n"));
    assert_null(strstr(emptied, "lost"));
    (void)close(saved);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void test_linux_log_lines(void **state) {
    (void)state;
    static char text[8192];
    capture_log(write_some_log, text, sizeof text);
    char *rest = text;
    const char *line = strsep(&rest, "\n");
    // 2026-01-02T03:04:05.678Z
    assert_true(line[4] == '-' && line[10] == 'T' && line[19] == '.' && line[23] == 'Z' && line[24] == ' ');
    assert_string_equal(line + 25, "warning node-1: peer 'evil?2000-01-01 error forged?[31m'");
    assert_string_equal(strsep(&rest, "\n") + 25, "error node-1: round incomplete missing=-3 of=10");
    assert_string_equal(strsep(&rest, "\n") + 25, "info node-1: started");
    assert_int_equal(strlen(strsep(&rest, "\n")), MM_LINUX_LOG_LINE_BYTES_MAX - 2);
    assert_string_equal(rest, "");
}

static void test_linux_entropy_differs(void **state) {
    (void)state;
    uint8_t zero[64] = {0};
    uint8_t bytes[64] = {0};
    mm_linux_entropy(bytes, sizeof bytes);
    assert_memory_not_equal(bytes, zero, sizeof bytes);
    assert_true(mm_linux_entropy_u64() != mm_linux_entropy_u64());
    assert_true(mm_linux_entropy_u32() != 0 || mm_linux_entropy_u32() != 0);
}

static int set_up(void **state) {
    (void)state;
    mm_linux_message_t message;
    if (mkdtemp(s_directory) == NULL) {
        return -1;
    }
    (void)snprintf(s_path, sizeof s_path, "%s/control", s_directory);
    return mm_linux_loop_open(&s_loop, &message) == MM_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    mm_linux_loop_close(&s_loop);
    return rmdir(s_directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linux_loop_files_and_deadline),
        cmocka_unit_test(test_linux_loop_is_bounded),
        cmocka_unit_test(test_linux_loop_signals),
        cmocka_unit_test(test_linux_control_asks_and_answers),
        cmocka_unit_test(test_linux_control_bad_peers),
        cmocka_unit_test(test_linux_control_silent_peers_do_not_block),
        cmocka_unit_test(test_linux_control_socket_in_use),
        cmocka_unit_test(test_linux_log_lines),
        cmocka_unit_test(test_linux_log_reader_has_stopped),
        cmocka_unit_test(test_linux_entropy_differs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
