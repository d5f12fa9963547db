// SPDX-License-Identifier: Apache-2.0
#include "linux/linux_configurator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "linux/linux_clock.h"
#include "meshmeter/form.h"
#include "test_support.h"

#define ANSWER_BYTES 65536
#define GIVE_UP_US 10000000
// A client has so long for a request; where that is what is tested, less. A busy machine may lose a second anywhere.
#define LONG_MS 8000
#define SHORT_MS 1500

typedef struct {
    mm_linux_loop_t loop;
    mm_linux_configurator_t page;
    unsigned calls;
    mm_http_method_t method;
    char path[64];
    char nonce[64];
    char host[64];
    size_t body_bytes;
    char body_end[8]; ///< its last bytes
    char answer[ANSWER_BYTES];
} world_t;

static world_t s_world;

static void note(char *field, size_t field_bytes, const char *text) {
    snprintf(field, field_bytes, "%s", text != NULL ? text : "(none)");
}

static void take(void *context, const mm_http_request_t *request, mm_http_answer_t *answer) {
    world_t *world = context;
    world->calls++;
    world->method = request->method;
    note(world->path, sizeof world->path, request->path);
    note(world->nonce, sizeof world->nonce, request->nonce);
    note(world->host, sizeof world->host, request->host);
    world->body_bytes = request->body_bytes;
    size_t end = request->body_bytes < 7 ? request->body_bytes : 7;
    memset(world->body_end, 0, sizeof world->body_end);
    if (end > 0) {
        memcpy(world->body_end, request->body + request->body_bytes - end, end);
    }
    answer->status = 200;
    answer->is_page = strcmp(request->path, "/") == 0;
    snprintf(answer->body, sizeof answer->body, "{\"call\":%u}", world->calls);
}

static mm_err_t open_at(const char *address, uint32_t request_ms, mm_linux_message_t *message) {
    const mm_linux_configurator_options_t options = {
        .address = address, .answer = take, .context = &s_world, .request_ms = request_ms};
    return mm_linux_configurator_open(&s_world.page, &s_world.loop, &options, message);
}

static int begin(void **state, uint32_t request_ms) {
    *state = &s_world;
    mm_linux_message_t message;
    memset(&s_world, 0, sizeof s_world);
    return mm_linux_loop_open(&s_world.loop, &message) == MM_OK && open_at("127.0.0.1:0", request_ms, &message) == MM_OK
               ? 0
               : 1;
}

static int setup(void **state) {
    return begin(state, LONG_MS);
}

static int setup_short(void **state) {
    return begin(state, SHORT_MS);
}

static int teardown(void **state) {
    (void)state;
    mm_linux_configurator_close(&s_world.page);
    mm_linux_loop_close(&s_world.loop);
    return 0;
}

// --- a client in the same thread -----------------------------------------------------------------------------------

static int dial(void) {
    unsigned port = 0;
    assert_int_equal(sscanf(mm_linux_configurator_address(&s_world.page), "127.0.0.1:%u", &port), 1);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(file >= 0);
    assert_int_equal(connect(file, (const struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(fcntl(file, F_SETFL, O_NONBLOCK), 0);
    return file;
}

static void turn(void) {
    int64_t wake_us = mm_linux_configurator_poll(&s_world.page, mm_linux_real_us());
    int64_t soon_us = mm_linux_real_us() + 2000;
    mm_linux_loop_wait(&s_world.loop, wake_us < soon_us ? wake_us : soon_us);
}

static void put(int file, const char *bytes, size_t bytes_count) {
    int64_t until_us = mm_linux_real_us() + GIVE_UP_US;
    while (bytes_count > 0 && mm_linux_real_us() < until_us) {
        ssize_t size = send(file, bytes, bytes_count, MSG_NOSIGNAL);
        if (size > 0) {
            bytes += size;
            bytes_count -= (size_t)size;
        } else if (size < 0 && errno != EAGAIN) {
            return; // the server has closed: what it said is still to be read
        }
        turn();
    }
}

// Everything until the server closes; false if it does not.
static bool hear(int file) {
    size_t used = 0;
    int64_t until_us = mm_linux_real_us() + GIVE_UP_US;
    while (mm_linux_real_us() < until_us && used + 1 < ANSWER_BYTES) {
        ssize_t size = recv(file, s_world.answer + used, ANSWER_BYTES - 1 - used, 0);
        if (size == 0 || (size < 0 && errno != EAGAIN)) {
            s_world.answer[used] = '\0';
            (void)close(file);
            return true;
        }
        used += size > 0 ? (size_t)size : 0;
        turn();
    }
    s_world.answer[used] = '\0';
    (void)close(file);
    return false;
}

static int status(void) {
    int number = 0;
    return sscanf(s_world.answer, "HTTP/1.1 %d", &number) == 1 ? number : 0;
}

static int request(const char *text) {
    int file = dial();
    put(file, text, strlen(text));
    assert_true(hear(file));
    return status();
}

static int post(size_t body_bytes) {
    char *text = calloc(1, body_bytes + 256);
    assert_non_null(text);
    int head = snprintf(text, 256, "POST /api/configuration HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu\r\n\r\n",
                        body_bytes);
    memset(text + head, 'a', body_bytes);
    if (body_bytes > 3) {
        memcpy(text + head + body_bytes - 3, "end", 3);
    }
    int file = dial();
    put(file, text, (size_t)head + body_bytes);
    assert_true(hear(file));
    free(text);
    return status();
}

// --- what is passed on ---------------------------------------------------------------------------------------------

static void test_a_request_reaches_the_owner(void **state) {
    (void)state;
    assert_int_equal(request("POST /api/code?x=1 HTTP/1.1\r\nHost: 192.168.4.1\r\nX-Nonce: 00ff\r\n"
                             "Content-Length: 13\r\n\r\ncode=462b1e82"),
                     200);
    assert_int_equal(s_world.calls, 1);
    assert_int_equal(s_world.method, MM_HTTP_POST);
    assert_string_equal(s_world.path, "/api/code");
    assert_string_equal(s_world.nonce, "00ff");
    assert_string_equal(s_world.host, "192.168.4.1");
    assert_int_equal(s_world.body_bytes, 13);
    assert_string_equal(s_world.body_end, "62b1e82");
    assert_non_null(strstr(s_world.answer, "\r\n\r\n{\"call\":1}"));
    assert_non_null(strstr(s_world.answer, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(s_world.answer, "Cache-Control: no-store\r\n"));
    assert_non_null(strstr(s_world.answer, "default-src 'none'"));
    assert_non_null(strstr(s_world.answer, "X-Content-Type-Options: nosniff\r\n"));
    // Nothing of one request is in the next one.
    assert_int_equal(request("GET /api/state HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    assert_int_equal(s_world.method, MM_HTTP_GET);
    assert_string_equal(s_world.nonce, "(none)");
    assert_int_equal(s_world.body_bytes, 0);
    // HTTP/1.0 has no Host.
    assert_int_equal(request("GET /api/state HTTP/1.0\r\n\r\n"), 200);
    assert_string_equal(s_world.host, "(none)");
}

static void test_the_page(void **state) {
    (void)state;
    assert_int_equal(request("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    assert_non_null(strstr(s_world.answer, "Content-Type: text/html; charset=utf-8\r\n"));
    const char *policy = strstr(s_world.answer, "Content-Security-Policy: ");
    assert_non_null(policy);
    assert_non_null(strstr(policy, "default-src 'none'; script-src 'sha256-"));
    assert_null(strstr(policy, "unsafe"));
    const char *body = strstr(s_world.answer, "\r\n\r\n");
    assert_non_null(body);
    assert_int_equal(strlen(body + 4), mm_linux_configurator_page_bytes);
    assert_memory_equal(body + 4, mm_linux_configurator_page, mm_linux_configurator_page_bytes);
    assert_true(mm_linux_configurator_page_bytes <= MM_LINUX_CONFIGURATOR_PAGE_BYTES_MAX);
    // All of it is here.
    assert_null(strstr(body, "http:"));
    assert_null(strstr(body, "https:"));
    assert_null(strstr(body, " src="));
    assert_null(strstr(body, "@import"));
    assert_null(strstr(body, "url("));
}

static void test_paths_are_taken_as_they_are(void **state) {
    (void)state;
    assert_int_equal(request("GET /%61pi/state HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    assert_string_equal(s_world.path, "/%61pi/state");
    assert_int_equal(request("GET /01234567890123456789012345678901234567890 HTTP/1.1\r\nHost: a\r\n\r\n"), 404);
    assert_int_equal(s_world.calls, 1);
    assert_int_equal(request("GET /012345678901234567890123456789012345678 HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    assert_int_equal(s_world.calls, 2);
}

// --- what is not ---------------------------------------------------------------------------------------------------

static void test_other_methods(void **state) {
    (void)state;
    static const char *const methods[] = {"HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "get"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", methods[i]);
        assert_int_equal(request(text), 405);
        assert_non_null(strstr(s_world.answer, "Allow: GET, POST\r\n"));
    }
    assert_int_equal(s_world.calls, 0);
}

static void test_other_pages(void **state) {
    (void)state;
    static const struct {
        const char *headers;
        int status;
    } cases[] = {
        {"Host: 10.0.0.5:8090\r\nOrigin: http://10.0.0.5:8090\r\n", 200},
        {"Host: 10.0.0.5:8090\r\nOrigin: http://10.0.0.5\r\n", 403},
        {"Host: 10.0.0.5:8090\r\nOrigin: https://10.0.0.5:8090\r\n", 403},
        {"Host: 10.0.0.5:8090\r\nOrigin: http://elsewhere.example\r\n", 403},
        {"Host: 10.0.0.5:8090\r\nOrigin: null\r\n", 403},
        {"Host: 10.0.0.5:8090\r\nOrigin: \r\n", 403},
    };
    unsigned calls = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "POST /api/code HTTP/1.1\r\n%sContent-Length: 4\r\n\r\na=bc", cases[i].headers);
        assert_int_equal(request(text), cases[i].status);
        calls += cases[i].status == 200 ? 1 : 0;
        assert_int_equal(s_world.calls, calls);
    }
}

static void test_bodies_are_bounded(void **state) {
    (void)state;
    assert_int_equal(post(MM_FORM_BYTES_MAX), 200);
    assert_int_equal(s_world.body_bytes, MM_FORM_BYTES_MAX);
    assert_string_equal(s_world.body_end, "aaaaend");
    assert_int_equal(post(MM_FORM_BYTES_MAX + 1), 413);
    assert_int_equal(post(200000), 413);
    assert_int_equal(s_world.calls, 1);
}

static void test_chunked_bodies_are_bounded(void **state) {
    (void)state;
    static const char head[] = "POST /api/code HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    int file = dial();
    put(file, head, sizeof head - 1);
    for (int i = 0; i < 100; i++) {
        put(file, "40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n", 70);
    }
    put(file, "0\r\n\r\n", 5);
    assert_true(hear(file));
    assert_int_equal(status(), 413);
    assert_int_equal(s_world.calls, 0);
}

static void test_heads_are_bounded(void **state) {
    (void)state;
    static char text[40000];
    int used = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n");
    while (used < 30000) {
        used += snprintf(text + used, sizeof text - (size_t)used, "X-%d: 0123456789012345678901234567890123456789\r\n",
                         used);
    }
    snprintf(text + used, sizeof text - (size_t)used, "\r\n");
    int answer = request(text);
    assert_true(answer == 0 || (answer >= 400 && answer < 500));
    assert_int_equal(s_world.calls, 0);
    static const char *const nonsense[] = {"\r\n\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02", "GET / HTTP/9.9\r\n\r\n",
                                           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"};
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
        answer = request(nonsense[i]);
        assert_true(answer == 0 || answer >= 400);
    }
    assert_int_equal(s_world.calls, 0);
    assert_int_equal(request("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
}

// --- clients that behave badly -------------------------------------------------------------------------------------

static void test_a_slow_client_delays_nobody_and_is_thrown_out(void **state) {
    (void)state;
    int64_t begin_us = mm_linux_real_us();
    int slow = dial();
    put(slow, "POST /api/code HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n", 55);
    for (int i = 0; i < 10; i++) {
        put(slow, "x", 1);
        assert_int_equal(request("GET /api/state HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    }
    unsigned calls = s_world.calls;
    assert_true(hear(slow)); // although it goes on now and then, its time is over
    assert_true(mm_linux_real_us() - begin_us >= SHORT_MS * INT64_C(1000));
    assert_true(status() == 0 || status() >= 400);
    assert_int_equal(s_world.calls, calls);
}

static void wait_until_all_are_gone(void) {
    int64_t until_us = mm_linux_real_us() + GIVE_UP_US;
    size_t taken = 1;
    while (taken > 0 && mm_linux_real_us() < until_us) {
        turn();
        taken = 0;
        for (size_t i = 0; i < MM_LINUX_CONFIGURATOR_CONNECTIONS_MAX; i++) {
            taken += s_world.page.connections[i].file >= 0 ? 1 : 0;
        }
    }
    assert_int_equal(taken, 0);
}

static void test_a_client_that_does_not_read_is_thrown_out(void **state) {
    (void)state;
    int file = dial();
    const int small = 1024;
    (void)setsockopt(file, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    put(file, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
    turn();
    wait_until_all_are_gone();
    (void)close(file);
}

static void test_many_connections(void **state) {
    (void)state;
    int files[60];
    for (size_t i = 0; i < 60; i++) {
        files[i] = dial();
        turn();
    }
    size_t taken = 0;
    for (size_t i = 0; i < MM_LINUX_CONFIGURATOR_CONNECTIONS_MAX; i++) {
        taken += s_world.page.connections[i].file >= 0 ? 1 : 0;
    }
    assert_int_equal(taken, MM_LINUX_CONFIGURATOR_CONNECTIONS_OF_ONE_MAX);
    for (size_t i = 0; i < 60; i++) {
        assert_true(hear(files[i]));
        assert_int_equal(status(), 0);
    }
    assert_int_equal(request("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
}

static void test_a_client_that_leaves(void **state) {
    (void)state;
    for (size_t i = 0; i < 50; i++) {
        int file = dial();
        put(file, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", i % 27);
        (void)close(file);
        turn();
    }
    wait_until_all_are_gone();
    assert_int_equal(request("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
}

// --- addresses -----------------------------------------------------------------------------------------------------

static void test_addresses(void **state) {
    (void)state;
    mm_linux_message_t message;
    char taken[64];
    snprintf(taken, sizeof taken, "%s", mm_linux_configurator_address(&s_world.page));
    static world_t s_other;
    static const char *const wrong[] = {
        "", "x", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "localhost:80", "127.0.0.1:8x"};
    mm_linux_configurator_options_t options = {.answer = take, .context = &s_other};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        options.address = wrong[i];
        assert_int_equal(mm_linux_configurator_open(&s_other.page, &s_world.loop, &options, &message), MM_ERR_ARG);
        mm_linux_configurator_close(&s_other.page);
    }
    options.address = taken;
    assert_int_equal(mm_linux_configurator_open(&s_other.page, &s_world.loop, &options, &message), MM_ERR_STORAGE);
    assert_non_null(strstr(message.text, taken));
    options.address = "[::1]:0";
    if (mm_linux_configurator_open(&s_other.page, &s_world.loop, &options, &message) == MM_OK) {
        assert_int_equal(strncmp(mm_linux_configurator_address(&s_other.page), "[::1]:", 6), 0);
    }
    mm_linux_configurator_close(&s_other.page);
    assert_int_equal(mm_linux_configurator_poll(&s_other.page, 0), MM_US_NEVER);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_SHORT(name) cmocka_unit_test_setup_teardown(name, setup_short, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_request_reaches_the_owner),
        TEST(test_the_page),
        TEST(test_paths_are_taken_as_they_are),
        TEST(test_other_methods),
        TEST(test_other_pages),
        TEST(test_bodies_are_bounded),
        TEST(test_chunked_bodies_are_bounded),
        TEST_SHORT(test_heads_are_bounded),
        TEST_SHORT(test_a_slow_client_delays_nobody_and_is_thrown_out),
        TEST_SHORT(test_a_client_that_does_not_read_is_thrown_out),
        TEST_SHORT(test_many_connections),
        TEST_SHORT(test_a_client_that_leaves),
        TEST(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
