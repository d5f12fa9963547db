// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_configurator.h"

#include <esp_http_server.h>
#include <esp_timer.h>
#include <freertos/FreeRTOS.h>
#include <freertos/semphr.h>
#include <lwip/sockets.h>
#include <stdio.h>
#include <string.h>

#include "meshmeter/bytes.h"
#include "mm_esp_crypto.h"
#include "mm_esp_log.h"

#define DIGEST_CHARS 45
#define HEADERS_MAX 10

_Static_assert(sizeof(StaticSemaphore_t) <= sizeof((mm_esp_configurator_t *)0)->answered_memory, "it has room");

// Around `state` and `number`, which server's task and owner share.
static portMUX_TYPE s_lock = portMUX_INITIALIZER_UNLOCKED;

// --- the exchange --------------------------------------------------------------------------------------------------

// False: it was not in that state.
static bool change_state(mm_esp_configurator_t *self, mm_esp_exchange_state_t from, mm_esp_exchange_state_t to) {
    portENTER_CRITICAL(&s_lock);
    bool good = self->state == from;
    if (good) {
        self->state = to;
    }
    portEXIT_CRITICAL(&s_lock);
    return good;
}

static mm_esp_exchange_state_t state_of(const mm_esp_configurator_t *self) {
    portENTER_CRITICAL(&s_lock);
    mm_esp_exchange_state_t state = self->state;
    portEXIT_CRITICAL(&s_lock);
    return state;
}

static void forget(mm_esp_configurator_t *self) {
    mm_wipe(self->body, sizeof self->body);
    mm_wipe(self->nonce, sizeof self->nonce);
    mm_wipe(&self->answer, sizeof self->answer);
}

// In the server's task: let the owner answer. False: it does not, in time.
static bool ask_owner(mm_esp_configurator_t *self) {
    (void)xSemaphoreTake(self->answered, 0); // no wait(xSemaphoreTake): an old one is taken away
    portENTER_CRITICAL(&s_lock);
    uint32_t number = ++self->number;
    self->state = MM_ESP_EXCHANGE_POSTED;
    portEXIT_CRITICAL(&s_lock);
    if (self->options.post(self->options.context, number)) {
        // wait: the owner answers, in the server's task | until MM_ESP_CONFIGURATOR_WAIT_MS | then the client gets 503
        (void)xSemaphoreTake(self->answered, pdMS_TO_TICKS(MM_ESP_CONFIGURATOR_WAIT_MS));
    }
    if (change_state(self, MM_ESP_EXCHANGE_POSTED, MM_ESP_EXCHANGE_FREE)) {
        return false;
    }
    // The owner has it: either it is done by now, or what it writes to is left to it.
    (void)change_state(self, MM_ESP_EXCHANGE_SERVING, MM_ESP_EXCHANGE_LEFT);
    return state_of(self) == MM_ESP_EXCHANGE_SERVED;
}

bool mm_esp_configurator_serve(mm_esp_configurator_t *self, uint32_t number, mm_setup_t *setup, mm_us_t now) {
    portENTER_CRITICAL(&s_lock);
    bool is_wanted = self->state == MM_ESP_EXCHANGE_POSTED && self->number == number;
    if (is_wanted) {
        self->state = MM_ESP_EXCHANGE_SERVING;
    }
    portEXIT_CRITICAL(&s_lock);
    if (!is_wanted) {
        self->late += self->late < UINT32_MAX ? 1 : 0;
        return false;
    }
    mm_configurator_answer(setup, &self->request, now, &self->answer);
    if (change_state(self, MM_ESP_EXCHANGE_SERVING, MM_ESP_EXCHANGE_SERVED)) {
        (void)xSemaphoreGive(self->answered);
        return true;
    }
    forget(self);
    (void)change_state(self, MM_ESP_EXCHANGE_LEFT, MM_ESP_EXCHANGE_FREE);
    self->late += self->late < UINT32_MAX ? 1 : 0;
    return false;
}

// --- answers, in the server's task ---------------------------------------------------------------------------------

static const char *status_line(uint16_t status) {
    static const struct {
        uint16_t status;
        const char *line;
    } lines[] = {
        {200, "200 OK"},
        {400, "400 Bad Request"},
        {403, "403 Forbidden"},
        {404, "404 Not Found"},
        {405, "405 Method Not Allowed"},
        {408, "408 Request Timeout"},
        {409, "409 Conflict"},
        {411, "411 Length Required"},
        {413, "413 Content Too Large"},
        {421, "421 Misdirected Request"},
        {422, "422 Unprocessable Content"},
        {429, "429 Too Many Requests"},
        {431, "431 Request Header Fields Too Large"},
        {503, "503 Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (lines[i].status == status) {
            return lines[i].line;
        }
    }
    return "500 Internal Server Error";
}

// Each connection carries one request: the next one of a slow client does not keep the others out.
static esp_err_t send_answer(mm_esp_configurator_t *self, httpd_req_t *request, uint16_t status, const char *type,
                             const char *policy, const char *body, size_t body_bytes) {
    bool good = httpd_resp_set_status(request, status_line(status)) == ESP_OK &&
                httpd_resp_set_type(request, type) == ESP_OK &&
                httpd_resp_set_hdr(request, "Content-Security-Policy", policy) == ESP_OK &&
                httpd_resp_set_hdr(request, "X-Content-Type-Options", "nosniff") == ESP_OK &&
                httpd_resp_set_hdr(request, "X-Frame-Options", "DENY") == ESP_OK &&
                httpd_resp_set_hdr(request, "Referrer-Policy", "no-referrer") == ESP_OK &&
                httpd_resp_set_hdr(request, "Cross-Origin-Resource-Policy", "same-origin") == ESP_OK &&
                // Another node may have this address tomorrow, and what a form held is nobody else's business.
                httpd_resp_set_hdr(request, "Cache-Control", "no-store") == ESP_OK &&
                httpd_resp_set_hdr(request, "Connection", "close") == ESP_OK &&
                (status != 405 || httpd_resp_set_hdr(request, "Allow", "GET, POST") == ESP_OK) &&
                // wait: the client takes the answer | until MM_ESP_CONFIGURATOR_REQUEST_MS | then it is cut off
                httpd_resp_send(request, body, (ssize_t)body_bytes) == ESP_OK &&
                httpd_sess_trigger_close(self->server, httpd_req_to_sockfd(request)) == ESP_OK;
    self->failed += !good && self->failed < UINT32_MAX ? 1 : 0;
    return good ? ESP_OK : ESP_FAIL;
}

static esp_err_t send_json(mm_esp_configurator_t *self, httpd_req_t *request, uint16_t status, const char *text) {
    return send_answer(self, request, status, "application/json", "default-src 'none'; frame-ancestors 'none'", text,
                       strlen(text));
}

static esp_err_t send_error(mm_esp_configurator_t *self, httpd_req_t *request, uint16_t status, const char *what) {
    char text[96];
    (void)snprintf(text, sizeof text, "{\"error\":\"%s\"}", what);
    return send_json(self, request, status, text);
}

// --- requests, in the server's task --------------------------------------------------------------------------------

typedef struct {
    uint16_t status; ///< 0: good
    const char *what;
} problem_t;

static bool header_fits(httpd_req_t *request, const char *name, char *text, size_t text_bytes) {
    text[0] = '\0';
    esp_err_t err = httpd_req_get_hdr_value_str(request, name, text, text_bytes);
    if (err != ESP_OK) {
        text[0] = '\0'; // what is not there; what does not fit is refused
    }
    return err != ESP_ERR_HTTPD_RESULT_TRUNC;
}

// A browser says from which page a request comes; other programs do not, and they could say anything.
static bool is_foreign(const char *origin, const char *host) {
    static const char scheme[] = "http://";
    return origin[0] != '\0' && (strncmp(origin, scheme, sizeof scheme - 1) != 0 ||
                                 strcmp(origin + sizeof scheme - 1, host) != 0 || host[0] == '\0');
}

static problem_t read_head(mm_esp_configurator_t *self, httpd_req_t *request) {
    char encoding[8];
    size_t path_chars = strcspn(request->uri, "?");
    if (path_chars >= sizeof self->path) {
        return (problem_t){404, "no such page"};
    }
    memcpy(self->path, request->uri, path_chars);
    self->path[path_chars] = '\0';
    // The server does not read bodies in chunks: what follows would be taken for the next request.
    if (!header_fits(request, "Transfer-Encoding", encoding, sizeof encoding) || encoding[0] != '\0') {
        return (problem_t){411, "the length of the form is not given"};
    }
    if (!header_fits(request, "Host", self->host, sizeof self->host) ||
        !header_fits(request, "X-Nonce", self->nonce, sizeof self->nonce) ||
        !header_fits(request, "Origin", self->origin, sizeof self->origin)) {
        return (problem_t){431, "a header is too long"};
    }
    if (is_foreign(self->origin, self->host)) {
        return (problem_t){403, "the request comes from another page"};
    }
    return (problem_t){0, NULL};
}

static problem_t read_body(mm_esp_configurator_t *self, httpd_req_t *request) {
    if (request->content_len > sizeof self->body) {
        return (problem_t){413, "the form is too long"};
    }
    size_t bytes_count = 0;
    while (bytes_count < request->content_len) {
        // wait: a part of the form | until MM_ESP_CONFIGURATOR_STEP_S, all of it MM_ESP_CONFIGURATOR_REQUEST_MS | then
        // the client is cut off
        int got = httpd_req_recv(request, self->body + bytes_count, request->content_len - bytes_count);
        if (got <= 0) {
            return (problem_t){408, "the form does not come"};
        }
        bytes_count += (size_t)got;
    }
    return (problem_t){0, NULL};
}

static esp_err_t answer_request(mm_esp_configurator_t *self, httpd_req_t *request) {
    problem_t problem = read_head(self, request);
    if (problem.status == 0) {
        problem = read_body(self, request);
    }
    if (problem.status != 0) {
        // The server reads the rest and forgets it, so that the client reads the answer; where there is no telling
        // how much that is, it closes.
        esp_err_t err = send_error(self, request, problem.status, problem.what);
        return problem.status == 408 || problem.status == 411 ? ESP_FAIL : err;
    }
    self->request = (mm_http_request_t){.method = request->method == HTTP_POST ? MM_HTTP_POST : MM_HTTP_GET,
                                        .path = self->path,
                                        .nonce = self->nonce[0] != '\0' ? self->nonce : NULL,
                                        .host = self->host[0] != '\0' ? self->host : NULL,
                                        .body = self->body,
                                        .body_bytes = request->content_len};
    if (!ask_owner(self)) {
        return send_error(self, request, 503, "the node is busy");
    }
    return self->answer.is_page ? send_answer(self, request, self->answer.status, "text/html; charset=utf-8",
                                              self->policy, self->options.page, self->options.page_bytes)
                                : send_json(self, request, self->answer.status, self->answer.body);
}

static esp_err_t on_request(httpd_req_t *request) {
    mm_esp_configurator_t *self = request->user_ctx;
    // The owner may still write to what a client before has left.
    if (self->is_closing || state_of(self) != MM_ESP_EXCHANGE_FREE) {
        return send_error(self, request, 503, "the node is busy");
    }
    esp_err_t err = answer_request(self, request);
    if (state_of(self) != MM_ESP_EXCHANGE_LEFT) {
        forget(self);
    }
    (void)change_state(self, MM_ESP_EXCHANGE_SERVED, MM_ESP_EXCHANGE_FREE);
    return err;
}

static esp_err_t on_error(httpd_req_t *request, httpd_err_code_t error) {
    mm_esp_configurator_t *self = httpd_get_global_user_ctx(request->handle);
    (void)send_error(self, request, error == HTTPD_405_METHOD_NOT_ALLOWED ? 405 : 404,
                     error == HTTPD_405_METHOD_NOT_ALLOWED ? "only GET and POST are answered" : "no such page");
    return ESP_FAIL;
}

// --- connections, in the server's task -----------------------------------------------------------------------------

static mm_esp_connection_t *connection_of(mm_esp_configurator_t *self, int file) {
    for (size_t i = 0; i < MM_ESP_CONFIGURATOR_SOCKETS; i++) {
        if (self->connections[i].file == file) {
            return &self->connections[i];
        }
    }
    return NULL;
}

// The server's own timeouts begin anew with every byte: a client that is slow enough would keep it for hours.
static bool is_in_time(httpd_handle_t server, int file) {
    mm_esp_connection_t *connection = connection_of(httpd_get_global_user_ctx(server), file);
    if (connection == NULL) {
        return false;
    }
    mm_us_t now = esp_timer_get_time();
    if (connection->deadline == 0) {
        connection->deadline = now + (mm_us_t)MM_ESP_CONFIGURATOR_REQUEST_MS * 1000;
    }
    return now < connection->deadline;
}

static int result_of(ssize_t bytes_count) {
    if (bytes_count >= 0) {
        return (int)bytes_count;
    }
    return errno == EAGAIN || errno == EINTR ? HTTPD_SOCK_ERR_TIMEOUT : HTTPD_SOCK_ERR_FAIL;
}

static int receive(httpd_handle_t server, int file, char *bytes, size_t bytes_count, int flags) {
    // wait: bytes of a client | until MM_ESP_CONFIGURATOR_STEP_S | then the server answers 408 and closes
    return is_in_time(server, file) ? result_of(lwip_recv(file, bytes, bytes_count, flags)) : HTTPD_SOCK_ERR_FAIL;
}

static int transmit(httpd_handle_t server, int file, const char *bytes, size_t bytes_count, int flags) {
    // wait: room in the socket's buffer | until MM_ESP_CONFIGURATOR_STEP_S | then the connection is closed
    return is_in_time(server, file) ? result_of(lwip_send(file, bytes, bytes_count, flags)) : HTTPD_SOCK_ERR_FAIL;
}

static esp_err_t on_open(httpd_handle_t server, int file) {
    mm_esp_connection_t *connection = connection_of(httpd_get_global_user_ctx(server), -1);
    if (connection == NULL || httpd_sess_set_recv_override(server, file, receive) != ESP_OK ||
        httpd_sess_set_send_override(server, file, transmit) != ESP_OK) {
        return ESP_FAIL;
    }
    *connection = (mm_esp_connection_t){.file = file};
    return ESP_OK;
}

// Also after on_open has refused it.
static void on_close(httpd_handle_t server, int file) {
    mm_esp_connection_t *connection = connection_of(httpd_get_global_user_ctx(server), file);
    if (connection != NULL) {
        connection->file = -1;
    }
    (void)lwip_close(file);
}

static void keep(void *context) {
    (void)context; // without this function the server would free it
}

// --- the page's policy ---------------------------------------------------------------------------------------------

static void write_base64(const uint8_t bytes[MM_ESP_SHA256_BYTES], char text[DIGEST_CHARS]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t chars = 0;
    for (size_t i = 0; i < MM_ESP_SHA256_BYTES; i += 3) {
        bool has_third = i + 2 < MM_ESP_SHA256_BYTES;
        uint32_t bits = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | (has_third ? bytes[i + 2] : 0u);
        text[chars++] = digits[bits >> 18 & 63];
        text[chars++] = digits[bits >> 12 & 63];
        text[chars++] = digits[bits >> 6 & 63];
        text[chars++] = digits[bits & 63];
    }
    text[chars - 1] = '='; // 32 bytes are 10 times three, and two
    text[chars] = '\0';
}

// SHA-256 of what stands between two marks of the page, as a source of a content security policy wants it.
static bool digest_between(const mm_esp_configurator_options_t *options, const char *begin_mark, const char *end_mark,
                           char digest[DIGEST_CHARS]) {
    const char *page = options->page;
    const char *begin = memmem(page, options->page_bytes, begin_mark, strlen(begin_mark));
    if (begin == NULL) {
        return false;
    }
    begin += strlen(begin_mark);
    const char *end = memmem(begin, options->page_bytes - (size_t)(begin - page), end_mark, strlen(end_mark));
    uint8_t hash[MM_ESP_SHA256_BYTES];
    if (end == NULL || mm_esp_sha256(begin, (size_t)(end - begin), hash) != MM_OK) {
        return false;
    }
    write_base64(hash, digest);
    return true;
}

mm_err_t mm_esp_configurator_init(mm_esp_configurator_t *self, const mm_esp_configurator_options_t *options) {
    char script[DIGEST_CHARS];
    char style[DIGEST_CHARS];
    memset(self, 0, sizeof *self);
    self->options = *options;
    if (options->page_bytes > MM_ESP_CONFIGURATOR_PAGE_BYTES_MAX ||
        !digest_between(options, "<script>", "</script>", script) ||
        !digest_between(options, "<style>", "</style>", style)) {
        return MM_ERR_ARG;
    }
    (void)snprintf(self->policy, sizeof self->policy,
                   "default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; connect-src 'self'; "
                   "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                   script, style);
    self->answered = xSemaphoreCreateBinaryStatic((StaticSemaphore_t *)(void *)self->answered_memory);
    return MM_OK;
}

// --- start and stop ------------------------------------------------------------------------------------------------

static bool start_server(mm_esp_configurator_t *self) {
    httpd_config_t config = HTTPD_DEFAULT_CONFIG();
    config.stack_size = MM_ESP_CONFIGURATOR_STACK_BYTES;
    config.max_open_sockets = MM_ESP_CONFIGURATOR_SOCKETS;
    config.max_uri_handlers = 2;
    config.max_resp_headers = HEADERS_MAX;
    config.lru_purge_enable = true;
    config.recv_wait_timeout = MM_ESP_CONFIGURATOR_STEP_S;
    config.send_wait_timeout = MM_ESP_CONFIGURATOR_STEP_S;
    config.global_user_ctx = self;
    config.global_user_ctx_free_fn = keep;
    config.open_fn = on_open;
    config.close_fn = on_close;
    config.uri_match_fn = httpd_uri_match_wildcard;
    // no wait(httpd_start): it makes the task and returns
    return httpd_start(&self->server, &config) == ESP_OK;
}

static bool add_handlers(mm_esp_configurator_t *self) {
    httpd_uri_t uri = {.uri = "/*", .method = HTTP_GET, .handler = on_request, .user_ctx = self};
    if (httpd_register_err_handler(self->server, HTTPD_404_NOT_FOUND, on_error) != ESP_OK ||
        httpd_register_err_handler(self->server, HTTPD_405_METHOD_NOT_ALLOWED, on_error) != ESP_OK ||
        httpd_register_uri_handler(self->server, &uri) != ESP_OK) {
        return false;
    }
    uri.method = HTTP_POST;
    return httpd_register_uri_handler(self->server, &uri) == ESP_OK;
}

mm_err_t mm_esp_configurator_open(mm_esp_configurator_t *self) {
    if (self->server != NULL || state_of(self) != MM_ESP_EXCHANGE_FREE) {
        return MM_ERR_STATE;
    }
    self->is_closing = false;
    for (size_t i = 0; i < MM_ESP_CONFIGURATOR_SOCKETS; i++) {
        self->connections[i].file = -1;
    }
    if (self->policy[0] == '\0' || self->answered == NULL || !start_server(self)) {
        self->server = NULL;
        return MM_ERR_UNAVAILABLE;
    }
    if (!add_handlers(self)) {
        (void)mm_esp_configurator_close(self);
        return MM_ERR_UNAVAILABLE;
    }
    return MM_OK;
}

bool mm_esp_configurator_close(mm_esp_configurator_t *self) {
    if (self->server == NULL) {
        return true;
    }
    self->is_closing = true;
    (void)xSemaphoreGive(self->answered); // who waits for the owner does not any more
    // wait: the server's task ends, in the worker | until MM_ESP_CONFIGURATOR_REQUEST_MS, of the client that it serves
    // | then what it used is free
    if (httpd_stop(self->server) != ESP_OK) {
        mm_esp_log(MM_LOG_ERROR, "page: the server does not end");
        return false;
    }
    self->server = NULL;
    return true;
}

void mm_esp_configurator_password(const uint8_t random[MM_ESP_CONFIGURATOR_PASSWORD_CHARS],
                                  char password[MM_ESP_CONFIGURATOR_PASSWORD_CHARS + 1]) {
    // 32, a part of 256: every one has the same chance. No 0, O, 1, I, l.
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    _Static_assert(sizeof letters == 33, "32 letters");
    for (size_t i = 0; i < MM_ESP_CONFIGURATOR_PASSWORD_CHARS; i++) {
        password[i] = letters[random[i] % (sizeof letters - 1)];
    }
    password[MM_ESP_CONFIGURATOR_PASSWORD_CHARS] = '\0';
}
