// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control_client.h"

#define TIMEOUT_MS 100
#define PEERS_MAX 64

static char s_directory[] = "/tmp/mm-control-XXXXXX";
static struct sockaddr_un s_address = {.sun_family = AF_UNIX};
static int s_listener;
static int s_peers[PEERS_MAX];
static char s_answer[256];

static int setup(void **state) {
    (void)state;
    assert_non_null(mkdtemp(s_directory));
    (void)snprintf(s_address.sun_path, sizeof s_address.sun_path, "%s/control", s_directory);
    s_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s_listener, (const struct sockaddr *)&s_address, sizeof s_address), 0);
    assert_int_equal(listen(s_listener, 1), 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    (void)close(s_listener);
    (void)unlink(s_address.sun_path);
    return rmdir(s_directory);
}

// A node that has stopped (SIGSTOP, a debugger) takes nobody: its queue has room at first, and then none.
static void test_control_client_node_has_stopped(void **state) {
    (void)state;
    (void)alarm(10); // ends the test if there is no deadline
    assert_false(control_ask(s_address.sun_path, "status", TIMEOUT_MS, s_answer, sizeof s_answer));
    assert_non_null(strstr(s_answer, s_address.sun_path));

    size_t count = 0;
    int failed = 0;
    while (failed == 0 && count < PEERS_MAX) {
        s_peers[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        failed = connect(s_peers[count], (const struct sockaddr *)&s_address, sizeof s_address);
        count++;
    }
    assert_int_equal(failed, -1);
    assert_int_equal(errno, EAGAIN);
    assert_false(control_ask(s_address.sun_path, "status", TIMEOUT_MS, s_answer, sizeof s_answer));
    assert_non_null(strstr(s_answer, s_address.sun_path));
    (void)alarm(0);
    for (size_t i = 0; i < count; i++) {
        (void)close(s_peers[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_client_node_has_stopped),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
