// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

// Whoever reads the log has stopped, and the pipe is full: the line is lost, the ingest goes on.
static void test_hq_log_reader_has_stopped(void **state) {
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
    mm_hq_log("lost");
    (void)alarm(0);
    static char emptied[1 << 20];
    assert_true(read(ends[0], emptied, sizeof emptied) > 0);
    mm_hq_log("%s", "arrives");
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    ssize_t size = read(ends[0], emptied, sizeof emptied - 1);
    assert_true(size > 0);
    emptied[size] = '\0';
    assert_non_null(strstr(emptied, " hq: arrives\n"));
    assert_null(strstr(emptied, "lost"));
    (void)close(saved);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hq_log_reader_has_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
