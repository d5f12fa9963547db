// SPDX-License-Identifier: Apache-2.0
// What a real broker cannot do to HQ's connection: hq_run_test has the rest.
#include "test_support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker.h"

#define CONNECTIONS_MAX 16
#define CONNECT_MS 200
#define PATIENCE_MS 20000

static int64_t now_ms(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void on_message(void *context, const char *topic, const void *payload, size_t payload_bytes) {
    (void)context;
    (void)topic;
    (void)payload;
    (void)payload_bytes;
}

// A host that swallows the SYN, as a firewall does: here a listener whose queue is full.
static void test_broker_host_is_silent(void **state) {
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_bytes = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &address_bytes), 0);
    int connections[CONNECTIONS_MAX];
    size_t count = 0;
    bool is_full = false;
    while (!is_full) {
        assert_true(count < CONNECTIONS_MAX);
        connections[count] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(connections[count], (struct sockaddr *)&address, sizeof address);
        // On loopback a connection that is taken is taken at once.
        struct pollfd item = {.fd = connections[count++], .events = POLLOUT};
        is_full = poll(&item, 1, 100) == 0;
    }

    char url[64];
    mm_hq_stats_t stats = {0};
    mm_hq_error_t error = {{0}};
    (void)snprintf(url, sizeof url, "mqtt://127.0.0.1:%d", ntohs(address.sin_port));
    const mm_broker_options_t options = {.url = url, .connect_ms = CONNECT_MS};
    mm_broker_t *broker = mm_broker_create(&options, &stats, on_message, NULL, &error);
    assert_non_null(broker);
    int64_t begin_ms = now_ms();
    mm_broker_service(broker, false, false, 0);
    int64_t taken_ms = now_ms() - begin_ms;
    assert_true(taken_ms >= CONNECT_MS - 10 && taken_ms < PATIENCE_MS);
    assert_true(mm_broker_next_deadline_us(broker) < INT64_C(1000000)); // backs off, and tries again

    // The timer and its signal are as they were.
    struct sigaction action;
    assert_int_equal(sigaction(SIGALRM, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    assert_int_equal(alarm(0), 0);
    mm_broker_destroy(broker);
    for (size_t i = 0; i < count; i++) {
        (void)close(connections[i]);
    }
    (void)close(listener);
}

// What was refused may have a password in it, in whatever place.
static void test_broker_refused_address_is_not_repeated(void **state) {
    (void)state;
    static const char *const urls[] = {"mqtt://user:secret@host", "http://user:secret@host", "mqtt://user:secret",
                                       "user:secret@host",        "mqtt://host/secret",      "mqtt://secret:0"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        mm_hq_stats_t stats = {0};
        mm_hq_error_t error = {{0}};
        const mm_broker_options_t options = {.url = urls[i]};
        assert_null(mm_broker_create(&options, &stats, on_message, NULL, &error));
        assert_null(strstr(error.text, "secret"));
        assert_int_equal(strstr(error.text, "do not belong") != NULL, strchr(urls[i], '@') != NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broker_host_is_silent),
        cmocka_unit_test(test_broker_refused_address_is_not_repeated),
    };
    return cmocka_run_group_tests_name("hq broker", tests, NULL, NULL);
}
