// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_configurator.h"

#include "test_support.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "fake_freertos.h"
#include "fake_http_server.h"

#define MAC                                                                                                            \
    {                                                                                                                  \
        { 2, 0, 0, 0, 0, 7 }                                                                                           \
    }
#define HOST "Host: 192.168.4.1\r\n"

// With digests by Python's hashlib.
static const char s_page[] = "<html><style>p { color: red }</style><script>let a = 1;</script></html>";
#define SCRIPT_DIGEST "script-src 'sha256-xY6QKfH9PRsQnLz56nj6MBwiK5oHg+im1Jkpdp1x/Ck='"
#define STYLE_DIGEST "style-src 'sha256-ngewhhP73WDIbgwseeu52VAAJgKdGUsu1IUQQsAm8m4='"

static mm_esp_configurator_t s_page_server;
static mm_setup_t s_setup;
static mm_metering_t s_metering;
static mm_control_t s_control;
static mm_counters_t s_counters;
static uint8_t s_flash_bytes[2 * MM_FLASH_SECTOR_BYTES];
static uint32_t s_number; ///< posted last
static unsigned s_posts;
static bool s_queue_is_full;
static bool s_owner_sleeps;
static bool s_client_leaves;

// --- the node ------------------------------------------------------------------------------------------------------

static mm_err_t flash_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    (void)context;
    memcpy(bytes, s_flash_bytes + address, bytes_count);
    return MM_OK;
}

static mm_err_t flash_program(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    (void)context;
    memcpy(s_flash_bytes + address, bytes, bytes_count);
    return MM_OK;
}

static mm_err_t flash_erase(void *context, uint32_t sector_index) {
    (void)context;
    memset(s_flash_bytes + (size_t)sector_index * MM_FLASH_SECTOR_BYTES, 0xFF, MM_FLASH_SECTOR_BYTES);
    return MM_OK;
}

static mm_err_t draw(void *context, void *bytes, size_t bytes_count) {
    (void)context;
    memset(bytes, 0x5A, bytes_count);
    return MM_OK;
}

static mm_err_t hmac(void *context, const void *bytes, size_t bytes_count, uint8_t mac[MM_HMAC_BYTES]) {
    (void)context;
    (void)bytes;
    memset(mac, (int)(bytes_count & 0xFF), MM_HMAC_BYTES);
    // What the server's task does when its patience ends while the owner is at it.
    if (s_client_leaves) {
        assert_int_equal(s_page_server.state, MM_ESP_EXCHANGE_SERVING);
        s_page_server.state = MM_ESP_EXCHANGE_LEFT;
    }
    return MM_OK;
}

static const mm_crypto_t s_crypto = {.device_hmac = hmac};

static void open_node(void) {
    static const mm_flash_t flash = {flash_read, flash_program, flash_erase, NULL, 2};
    static const mm_entropy_t entropy = {draw, NULL};
    static const mm_setup_options_t options = {.mac = MAC};
    memset(s_flash_bytes, 0xFF, sizeof s_flash_bytes);
    mm_setup_open(&s_setup, &options, &flash, 2, &s_metering, &s_control, &s_crypto, &entropy, &s_counters, NULL, 0);
    const mm_network_t network = {.revision = 1, .site = "house-1"};
    assert_int_equal(mm_setup_take_network(&s_setup, &network, 0), MM_OK);
}

static bool post(void *context, uint32_t number) {
    assert_ptr_equal(context, &s_posts);
    if (s_queue_is_full) {
        return false;
    }
    s_number = number;
    s_posts++;
    return true;
}

// The owner, while the server's task waits.
static void own(void *context) {
    (void)context;
    if (!s_owner_sleeps) {
        assert_true(mm_esp_configurator_serve(&s_page_server, s_number, &s_setup, fake_time_us()));
    }
}

static const mm_esp_configurator_options_t s_options = {
    .page = s_page, .page_bytes = sizeof s_page - 1, .post = post, .context = &s_posts};

static int reset(void **state) {
    (void)state;
    fake_reset();
    s_posts = 0;
    s_number = 0;
    s_queue_is_full = false;
    s_owner_sleeps = false;
    s_client_leaves = false;
    open_node();
    assert_int_equal(mm_esp_configurator_init(&s_page_server, &s_options), MM_OK);
    fake_while_waiting(own, NULL);
    return 0;
}

static int open_page(void **state) {
    (void)reset(state);
    assert_int_equal(mm_esp_configurator_open(&s_page_server), MM_OK);
    return 0;
}

static int close_page(void **state) {
    (void)state;
    assert_true(mm_esp_configurator_close(&s_page_server));
    assert_int_equal(fake_http()->servers, 0);
    assert_int_equal(fake_http()->sockets, 0);
    assert_int_equal(fake_critical_depth(), 0);
    assert_int_equal(s_page_server.state, MM_ESP_EXCHANGE_FREE);
    return 0;
}

static unsigned send_text(const char *text) {
    return fake_http_send(text, strlen(text));
}

static unsigned get(const char *path) {
    char text[400];
    (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" HOST "\r\n", path);
    return send_text(text);
}

static unsigned send_form(const char *path, const char *body) {
    static char text[8192];
    (void)snprintf(text, sizeof text, "POST %s HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n%s", path, strlen(body),
                   body);
    return send_text(text);
}

static bool answer_has(const char *part) {
    return strstr(fake_http_head(), part) != NULL;
}

// --- tests ---------------------------------------------------------------------------------------------------------

static void assert_usual_headers(void) {
    assert_true(answer_has("X-Content-Type-Options: nosniff\r\n"));
    assert_true(answer_has("X-Frame-Options: DENY\r\n"));
    assert_true(answer_has("Referrer-Policy: no-referrer\r\n"));
    assert_true(answer_has("Cross-Origin-Resource-Policy: same-origin\r\n"));
    assert_true(answer_has("Cache-Control: no-store\r\n"));
    assert_true(answer_has("Connection: close\r\n"));
}

static void test_page(void **state) {
    (void)state;
    assert_int_equal(get("/"), 200);
    assert_string_equal(fake_http_body(), s_page);
    assert_true(answer_has("Content-Type: text/html; charset=utf-8\r\n"));
    assert_true(answer_has("Content-Security-Policy: default-src 'none'; " SCRIPT_DIGEST "; " STYLE_DIGEST
                           "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                           "frame-ancestors 'none'\r\n"));
    assert_usual_headers();
    assert_int_equal(get("/?x=1"), 200); // without its query
    assert_string_equal(fake_http_body(), s_page);
}

static void test_answers(void **state) {
    (void)state;
    assert_int_equal(get("/api/state"), 200);
    assert_true(answer_has("Content-Type: application/json\r\n"));
    assert_true(answer_has("Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"));
    assert_true(answer_has("\"phase\":\"provisioned\""));
    assert_usual_headers();
    assert_int_equal(get("/other"), 404);
    assert_int_equal(get("/api/%73tate"), 404); // no escape is read
    assert_int_equal(send_form("/api/state", ""), 405);
    assert_int_equal(send_form("/api/code", "code=00000000"), 403);
    assert_int_equal(get("/api/configuration"), 403);
    assert_int_equal(s_posts, 6);
    assert_int_equal(s_page_server.late, 0);
}

static void test_session(void **state) {
    (void)state;
    uint32_t number = 0;
    char code[MM_CHALLENGE_CODE_CHARS + 1];
    char text[200];
    const mm_challenge_options_t challenge = {.mac = MAC};
    assert_true(mm_setup_number(&s_setup, fake_time_us(), &number));
    assert_int_equal(mm_challenge_code(&challenge, &s_crypto, number, code), MM_OK);
    (void)snprintf(text, sizeof text, "code=%s", code);
    assert_int_equal(send_form("/api/code", text), 200);
    const char *nonce = strstr(fake_http_body(), "\"nonce\":\"");
    assert_non_null(nonce);
    (void)snprintf(text, sizeof text, "GET /api/configuration HTTP/1.1\r\n" HOST "x-nonce: %.32s\r\n\r\n", nonce + 9);
    assert_int_equal(send_text(text), 200);
    assert_true(answer_has("\"session_left_s\""));
    // Nothing of it stays in the server's memory.
    assert_null(memmem(s_page_server.body, sizeof s_page_server.body, code, strlen(code)));
    assert_null(memmem(&s_page_server.answer, sizeof s_page_server.answer, "nonce", 5));
    assert_int_equal(s_page_server.nonce[0], '\0');
}

static void test_what_is_refused(void **state) {
    (void)state;
    assert_int_equal(get("/23456789a123456789b123456789c123456789d"), 404); // 40, the owner's 404
    assert_int_equal(s_posts, 1);
    assert_int_equal(get("/23456789a123456789b123456789c123456789d1"), 404);
    assert_int_equal(send_text("PUT / HTTP/1.1\r\n" HOST "\r\n"), 405);
    assert_true(answer_has("Allow: GET, POST\r\n"));
    assert_usual_headers();
    assert_int_equal(send_text("HEAD / HTTP/1.1\r\n" HOST "\r\n"), 405);
    assert_int_equal(send_text("GET * HTTP/1.1\r\n" HOST "\r\n"), 404);
    assert_int_equal(send_text("POST /api/code HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n"),
                     411);
    assert_true(fake_http_was_closed());
    assert_int_equal(s_posts, 1);
    // Other pages, other names.
    assert_int_equal(send_text("GET / HTTP/1.1\r\n" HOST "Origin: http://evil.example\r\n\r\n"), 403);
    assert_int_equal(send_text("GET / HTTP/1.1\r\n" HOST "Origin: https://192.168.4.1\r\n\r\n"), 403);
    assert_int_equal(send_text("GET / HTTP/1.1\r\n" HOST "Origin: null\r\n\r\n"), 403);
    assert_int_equal(send_text("GET / HTTP/1.1\r\nOrigin: http://\r\n\r\n"), 403);
    assert_int_equal(s_posts, 1);
    assert_int_equal(send_text("GET / HTTP/1.1\r\n" HOST "Origin: http://192.168.4.1\r\n\r\n"), 200);
    assert_int_equal(send_text("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 421);
    assert_int_equal(send_text("GET / HTTP/1.1\r\n\r\n"), 421);
}

static void test_limits(void **state) {
    (void)state;
    static const char *const names[] = {"Host", "X-Nonce", "Origin"};
    char value[101];
    char text[300];
    memset(value, '1', sizeof value);
    value[100] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(text, sizeof text, "GET / HTTP/1.1\r\n%s: %s\r\n\r\n", names[i], value);
        assert_int_equal(send_text(text), 431);
    }
    assert_int_equal(s_posts, 0);
    static char body[MM_FORM_BYTES_MAX + 2];
    memset(body, 'a', sizeof body);
    body[MM_FORM_BYTES_MAX + 1] = '\0';
    assert_int_equal(send_form("/api/code", body), 413);
    assert_int_equal(s_posts, 0);
    body[MM_FORM_BYTES_MAX] = '\0';
    assert_int_equal(send_form("/api/code", body), 413); // a name that is too long, says the core
    assert_int_equal(s_posts, 1);
    // Only a part of what was promised.
    assert_int_equal(send_text("POST /api/code HTTP/1.1\r\n" HOST "Content-Length: 20\r\n\r\ncode=1"), 408);
    assert_true(fake_http_was_closed());
    assert_int_equal(s_posts, 1);
    // More than anybody has: the answer comes, and the rest ends with the connection's time.
    int64_t before_us = fake_time_us();
    assert_int_equal(send_text("POST / HTTP/1.1\r\n" HOST "Content-Length: 4000000000\r\n\r\nxxx"), 413);
    assert_true(fake_time_us() - before_us <= (MM_ESP_CONFIGURATOR_REQUEST_MS + 2000) * 1000);
}

static void test_slow_clients(void **state) {
    (void)state;
    fake_http()->recv_bytes_max = 1;
    fake_http()->recv_us = 1900000;
    int64_t longest_us = (MM_ESP_CONFIGURATOR_REQUEST_MS + 2000) * 1000;
    int64_t before_us = fake_time_us();
    assert_int_equal(get("/"), 0); // its head does not come to an end
    assert_true(fake_time_us() - before_us <= longest_us);
    fake_http()->recv_us = 0;
    assert_int_equal(get("/"), 200);
    fake_http()->is_silent = true;
    before_us = fake_time_us();
    assert_int_equal(get("/"), 0);
    assert_int_equal(fake_time_us() - before_us, MM_ESP_CONFIGURATOR_STEP_S * 1000000);
    fake_http()->is_silent = false;
    // Takes the page a byte at a time.
    fake_http()->send_bytes_max = 1;
    fake_http()->send_us = 100000;
    before_us = fake_time_us();
    assert_int_equal(get("/"), 200);
    assert_true(fake_http_body_bytes() < sizeof s_page - 1);
    assert_true(fake_http_was_closed());
    assert_true(fake_time_us() - before_us <= longest_us);
    assert_int_equal(s_page_server.failed, 1);
    fake_http()->send_us = 0;
    assert_int_equal(get("/"), 200);
}

static void test_owner_that_is_late(void **state) {
    (void)state;
    s_owner_sleeps = true;
    int64_t before_us = fake_time_us();
    assert_int_equal(get("/api/state"), 503);
    assert_int_equal(fake_time_us() - before_us, MM_ESP_CONFIGURATOR_WAIT_MS * 1000);
    uint32_t first = s_number;
    // Its answer is dropped, before and while another one waits.
    assert_false(mm_esp_configurator_serve(&s_page_server, first, &s_setup, fake_time_us()));
    assert_int_equal(s_page_server.late, 1);
    assert_int_equal(get("/"), 503);
    assert_int_not_equal(s_number, first);
    assert_false(mm_esp_configurator_serve(&s_page_server, first, &s_setup, fake_time_us()));
    s_owner_sleeps = false;
    assert_int_equal(get("/api/state"), 200);
    assert_false(mm_esp_configurator_serve(&s_page_server, s_number, &s_setup, fake_time_us())); // twice
    s_queue_is_full = true;
    before_us = fake_time_us();
    assert_int_equal(get("/"), 503);
    assert_int_equal(fake_time_us(), before_us);
    s_queue_is_full = false;
    assert_int_equal(get("/"), 200);
}

static void serve_old_then_new(void *context) {
    (void)context;
    assert_false(mm_esp_configurator_serve(&s_page_server, s_number - 1, &s_setup, fake_time_us()));
    assert_true(mm_esp_configurator_serve(&s_page_server, s_number, &s_setup, fake_time_us()));
}

static void test_two_requests(void **state) {
    (void)state;
    s_owner_sleeps = true;
    assert_int_equal(get("/"), 503);
    // The owner comes to both at once.
    fake_while_waiting(serve_old_then_new, NULL);
    assert_int_equal(get("/api/state"), 200);
    assert_true(answer_has("\"phase\""));
}

static void begin_to_serve(void *context) {
    (void)context;
    s_page_server.state = MM_ESP_EXCHANGE_SERVING;
}

// The owner is at it when the time is over: what it writes to is not touched until it is done.
static void test_owner_that_is_at_it(void **state) {
    (void)state;
    fake_while_waiting(begin_to_serve, NULL);
    assert_int_equal(send_form("/api/code", "code=12345678"), 503);
    assert_int_equal(s_page_server.state, MM_ESP_EXCHANGE_LEFT);
    assert_string_equal(s_page_server.path, "/api/code");
    assert_memory_equal(s_page_server.body, "code=12345678", 13);
    unsigned posts = s_posts;
    assert_int_equal(get("/"), 503);
    assert_int_equal(s_posts, posts);
    assert_string_equal(s_page_server.path, "/api/code");
    // Another opening waits for it as well.
    assert_true(mm_esp_configurator_close(&s_page_server));
    assert_int_equal(mm_esp_configurator_open(&s_page_server), MM_ERR_STATE);
    // The same from the owner's side.
    s_page_server.state = MM_ESP_EXCHANGE_POSTED;
    s_client_leaves = true;
    assert_false(mm_esp_configurator_serve(&s_page_server, s_page_server.number, &s_setup, fake_time_us()));
    s_client_leaves = false;
    assert_int_equal(s_page_server.state, MM_ESP_EXCHANGE_FREE);
    assert_int_equal(s_page_server.body[0], 0);
    assert_int_equal(s_page_server.answer.body[0], 0);
    fake_while_waiting(own, NULL);
    assert_int_equal(mm_esp_configurator_open(&s_page_server), MM_OK);
    assert_int_equal(get("/"), 200);
}

// On a board close waits here for the handler; the fake says that the server does not end yet.
static void close_meanwhile(void *context) {
    (void)context;
    fake_fail_at(1);
    assert_false(mm_esp_configurator_close(&s_page_server));
}

static void test_close_does_not_wait_for_the_owner(void **state) {
    (void)state;
    fake_while_waiting(close_meanwhile, NULL);
    int64_t before_us = fake_time_us();
    assert_int_equal(get("/"), 503);
    assert_int_equal(fake_time_us(), before_us);
    assert_int_equal(get("/"), 503); // and nobody else is let in
    assert_int_equal(s_posts, 1);
    assert_true(mm_esp_configurator_close(&s_page_server));
    fake_while_waiting(own, NULL);
    assert_int_equal(mm_esp_configurator_open(&s_page_server), MM_OK);
    assert_int_equal(mm_esp_configurator_open(&s_page_server), MM_ERR_STATE);
    assert_int_equal(get("/"), 200);
}

static void test_every_call_of_open_fails(void **state) {
    unsigned call_no = 0;
    bool failed = true;
    while (failed) {
        (void)reset(state);
        fake_fail_at(++call_no);
        mm_err_t err = mm_esp_configurator_open(&s_page_server);
        failed = fake_has_failed();
        assert_int_equal(err, failed ? MM_ERR_UNAVAILABLE : MM_OK);
        assert_int_equal(fake_http()->servers, failed ? 0 : 1);
        fake_fail_at(0);
        if (failed) {
            assert_int_equal(mm_esp_configurator_open(&s_page_server), MM_OK);
        }
        assert_int_equal(get("/"), 200);
        (void)close_page(state);
    }
    // Server, 2 handlers of errors, 2 of addresses; and the run without a failure.
    assert_int_equal(call_no, 6);
}

// Whatever fails, the connection ends, and the next request is answered.
static void test_every_call_of_a_request_fails(void **state) {
    (void)state;
    unsigned call_no = 0;
    bool failed = true;
    while (failed) {
        fake_fail_at(++call_no);
        unsigned status = send_form("/api/code", "code=00000000");
        failed = fake_has_failed();
        assert_true(status == 403 || (failed && status == 0));
        fake_fail_at(0);
        assert_int_equal(fake_http()->sockets, 0);
        assert_int_equal(s_page_server.state, MM_ESP_EXCHANGE_FREE);
        fake_time_advance((int64_t)MM_LOCK_OUT_MAX_S * 1000000); // of the codes
        assert_int_equal(get("/"), 200);
    }
    // 2 functions of the socket, status, type, 7 headers, answer, close; and the run without a failure.
    assert_int_equal(call_no, 14);
}

static void test_pages(void **state) {
    (void)state;
    static char page[MM_ESP_CONFIGURATOR_PAGE_BYTES_MAX + 2];
    mm_esp_configurator_options_t options = s_options;
    static const char *const bad[] = {"", "<script>a</script>", "<style>a</style>", "<script>a</script><style>a",
                                      "<style>a</style><script>a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        options.page = bad[i];
        options.page_bytes = strlen(bad[i]);
        assert_int_equal(mm_esp_configurator_init(&s_page_server, &options), MM_ERR_ARG);
        assert_int_equal(mm_esp_configurator_open(&s_page_server), MM_ERR_UNAVAILABLE);
    }
    options.page = page;
    FILE *file = fopen(MM_SOURCE_DIR "/web/node/index.html", "rb");
    assert_non_null(file);
    options.page_bytes = fread(page, 1, sizeof page, file);
    (void)fclose(file);
    assert_int_equal(mm_esp_configurator_init(&s_page_server, &options), MM_OK); // the one that the component embeds
    options.page_bytes = MM_ESP_CONFIGURATOR_PAGE_BYTES_MAX + 1;
    assert_int_equal(mm_esp_configurator_init(&s_page_server, &options), MM_ERR_ARG);
}

static void test_password(void **state) {
    (void)state;
    char password[MM_ESP_CONFIGURATOR_PASSWORD_CHARS + 1];
    unsigned counts[256] = {0};
    for (unsigned i = 0; i < 256; i++) {
        uint8_t random[MM_ESP_CONFIGURATOR_PASSWORD_CHARS];
        memset(random, (int)i, sizeof random);
        mm_esp_configurator_password(random, password);
        assert_int_equal(strlen(password), 12);
        counts[(unsigned char)password[0]]++;
        assert_int_equal(password[0], password[11]);
    }
    unsigned letters = 0;
    for (unsigned i = 0; i < 256; i++) {
        assert_true(counts[i] == 0 || counts[i] == 8);
        letters += counts[i] != 0 ? 1 : 0;
    }
    assert_int_equal(letters, 32);
    assert_int_equal(counts['0'] + counts['O'] + counts['1'] + counts['l'] + counts['I'] + counts['o'], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_page, open_page, close_page),
        cmocka_unit_test_setup_teardown(test_answers, open_page, close_page),
        cmocka_unit_test_setup_teardown(test_session, open_page, close_page),
        cmocka_unit_test_setup_teardown(test_what_is_refused, open_page, close_page),
        cmocka_unit_test_setup_teardown(test_limits, open_page, close_page),
        cmocka_unit_test_setup_teardown(test_slow_clients, open_page, close_page),
        cmocka_unit_test_setup_teardown(test_owner_that_is_late, open_page, close_page),
        cmocka_unit_test_setup_teardown(test_two_requests, open_page, close_page),
        cmocka_unit_test_setup_teardown(test_owner_that_is_at_it, open_page, close_page),
        cmocka_unit_test_setup_teardown(test_close_does_not_wait_for_the_owner, open_page, close_page),
        cmocka_unit_test_setup(test_every_call_of_open_fails, reset),
        cmocka_unit_test_setup_teardown(test_every_call_of_a_request_fails, open_page, close_page),
        cmocka_unit_test_setup(test_pages, reset),
        cmocka_unit_test_setup(test_password, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
