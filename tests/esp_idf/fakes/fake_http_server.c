// SPDX-License-Identifier: Apache-2.0
#include "fake_http_server.h"

#include <ctype.h>
#include <lwip/sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fake.h"

#define FILE_NO 54
#define HANDLERS_MAX 2
#define HEADERS_MAX 16

static fake_http_t s_http;
static httpd_config_t s_config;
static httpd_uri_t s_handlers[HANDLERS_MAX];
static unsigned s_handler_count;
static httpd_err_handler_func_t s_err_handlers[8];
static httpd_recv_func_t s_recv;
static httpd_send_func_t s_send;
static bool s_is_connected;
static bool s_was_closed;
// The client's bytes, and how many were read.
static const char *s_text;
static size_t s_text_bytes;
static size_t s_read_bytes;
static size_t s_body_left;
static const char *s_status;
static const char *s_type;
static const char *s_headers[HEADERS_MAX][2];
static unsigned s_header_count;
static char s_answer[FAKE_HTTP_ANSWER_BYTES_MAX];
static size_t s_answer_bytes;

static void reset(void) {
    s_http = (fake_http_t){0};
    s_handler_count = 0;
    s_recv = NULL;
    s_send = NULL;
    s_is_connected = false;
    memset(s_err_handlers, 0, sizeof s_err_handlers);
}

FAKE_ON_RESET(reset)

fake_http_t *fake_http(void) {
    return &s_http;
}

// --- sockets -------------------------------------------------------------------------------------------------------

static void check_file(int file) {
    if (file != FILE_NO || !s_is_connected) {
        fake_abort("a socket that is not open");
    }
}

ssize_t lwip_recv(int s, void *mem, size_t len, int flags) {
    (void)flags;
    check_file(s);
    if (s_http.is_silent || s_read_bytes == s_text_bytes) {
        fake_time_advance((int64_t)s_config.recv_wait_timeout * 1000000);
        errno = EAGAIN;
        return -1;
    }
    fake_time_advance(s_http.recv_us);
    size_t bytes = s_text_bytes - s_read_bytes < len ? s_text_bytes - s_read_bytes : len;
    bytes = s_http.recv_bytes_max != 0 && bytes > s_http.recv_bytes_max ? s_http.recv_bytes_max : bytes;
    memcpy(mem, s_text + s_read_bytes, bytes);
    s_read_bytes += bytes;
    return (ssize_t)bytes;
}

ssize_t lwip_send(int s, const void *dataptr, size_t size, int flags) {
    (void)flags;
    check_file(s);
    fake_time_advance(s_http.send_us);
    size_t bytes = s_http.send_bytes_max != 0 && size > s_http.send_bytes_max ? s_http.send_bytes_max : size;
    if (bytes > sizeof s_answer - 1 - s_answer_bytes) {
        fake_abort("an answer that is too long");
    }
    memcpy(s_answer + s_answer_bytes, dataptr, bytes);
    s_answer_bytes += bytes;
    s_answer[s_answer_bytes] = '\0';
    return (ssize_t)bytes;
}

int lwip_close(int s) {
    check_file(s);
    s_is_connected = false;
    s_http.sockets--;
    return 0;
}

// --- server --------------------------------------------------------------------------------------------------------

static void check_server(httpd_handle_t handle) {
    if (handle != &s_http || s_http.servers != 1) {
        fake_abort("a server that does not run");
    }
}

esp_err_t httpd_start(httpd_handle_t *handle, const httpd_config_t *config) {
    if (s_http.servers != 0 || config->global_user_ctx_free_fn == NULL || config->close_fn == NULL ||
        config->max_open_sockets > 7 || config->max_resp_headers > HEADERS_MAX) {
        fake_abort("a second server, one that frees our memory, or with too many sockets");
    }
    if (!config->lru_purge_enable) {
        fake_abort("as many clients as there are sockets, and nobody else gets in");
    }
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    s_http.servers++;
    s_config = *config;
    s_handler_count = 0;
    *handle = &s_http;
    return ESP_OK;
}

esp_err_t httpd_stop(httpd_handle_t handle) {
    check_server(handle);
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    s_http.servers--;
    s_config.global_user_ctx_free_fn(s_config.global_user_ctx);
    return ESP_OK;
}

void *httpd_get_global_user_ctx(httpd_handle_t handle) {
    check_server(handle);
    return s_config.global_user_ctx;
}

esp_err_t httpd_register_uri_handler(httpd_handle_t handle, const httpd_uri_t *uri_handler) {
    check_server(handle);
    if (fake_call_fails() || s_handler_count == s_config.max_uri_handlers || s_handler_count == HANDLERS_MAX) {
        return ESP_FAIL;
    }
    s_handlers[s_handler_count++] = *uri_handler;
    return ESP_OK;
}

esp_err_t httpd_register_err_handler(httpd_handle_t handle, httpd_err_code_t error,
                                     httpd_err_handler_func_t handler_fn) {
    check_server(handle);
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    s_err_handlers[error] = handler_fn;
    return ESP_OK;
}

bool httpd_uri_match_wildcard(const char *uri_template, const char *uri_to_match, size_t match_upto) {
    return strcmp(uri_template, "/*") == 0 && match_upto > 0 && uri_to_match[0] == '/';
}

esp_err_t httpd_sess_set_recv_override(httpd_handle_t hd, int sockfd, httpd_recv_func_t recv_func) {
    check_server(hd);
    check_file(sockfd);
    s_recv = recv_func;
    return fake_call_fails() ? ESP_FAIL : ESP_OK;
}

esp_err_t httpd_sess_set_send_override(httpd_handle_t hd, int sockfd, httpd_send_func_t send_func) {
    check_server(hd);
    check_file(sockfd);
    s_send = send_func;
    return fake_call_fails() ? ESP_FAIL : ESP_OK;
}

esp_err_t httpd_sess_trigger_close(httpd_handle_t handle, int sockfd) {
    check_server(handle);
    check_file(sockfd);
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    s_was_closed = false;
    return ESP_OK;
}

int httpd_req_to_sockfd(httpd_req_t *r) {
    (void)r;
    return FILE_NO;
}

// --- request and answer, as handlers see them ----------------------------------------------------------------------

int httpd_req_recv(httpd_req_t *r, char *buf, size_t buf_len) {
    size_t bytes = buf_len < s_body_left ? buf_len : s_body_left;
    if (bytes == 0) {
        return 0;
    }
    int got = s_recv(r->handle, FILE_NO, buf, bytes, 0);
    s_body_left -= got > 0 ? (size_t)got : 0;
    return got;
}

static const char *find_header(const char *field, size_t *bytes) {
    const char *line = strstr(s_text, "\r\n");
    while (line != NULL && line[2] != '\r') {
        line += 2;
        size_t name_bytes = strcspn(line, ":");
        if (name_bytes == strlen(field) && strncasecmp(line, field, name_bytes) == 0) {
            line += name_bytes + 1;
            line += strspn(line, " ");
            *bytes = strcspn(line, "\r");
            return line;
        }
        line = strstr(line, "\r\n");
    }
    return NULL;
}

esp_err_t httpd_req_get_hdr_value_str(httpd_req_t *r, const char *field, char *val, size_t val_size) {
    (void)r;
    size_t bytes = 0;
    const char *value = find_header(field, &bytes);
    if (value == NULL) {
        return ESP_ERR_NOT_FOUND;
    }
    size_t kept = bytes < val_size ? bytes : val_size - 1;
    memcpy(val, value, kept);
    val[kept] = '\0';
    return bytes < val_size ? ESP_OK : ESP_ERR_HTTPD_RESULT_TRUNC;
}

esp_err_t httpd_resp_set_status(httpd_req_t *r, const char *status) {
    (void)r;
    s_status = status;
    return fake_call_fails() ? ESP_FAIL : ESP_OK;
}

esp_err_t httpd_resp_set_type(httpd_req_t *r, const char *type) {
    (void)r;
    s_type = type;
    return fake_call_fails() ? ESP_FAIL : ESP_OK;
}

esp_err_t httpd_resp_set_hdr(httpd_req_t *r, const char *field, const char *value) {
    (void)r;
    if (fake_call_fails() || s_header_count == s_config.max_resp_headers) {
        return ESP_FAIL;
    }
    s_headers[s_header_count][0] = field;
    s_headers[s_header_count++][1] = value;
    return ESP_OK;
}

static bool transmit(httpd_handle_t handle, const char *bytes, size_t bytes_count) {
    while (bytes_count > 0) {
        int sent = s_send(handle, FILE_NO, bytes, bytes_count, 0);
        if (sent < 0) {
            return false;
        }
        bytes += sent;
        bytes_count -= (size_t)sent;
    }
    return true;
}

esp_err_t httpd_resp_send(httpd_req_t *r, const char *buf, ssize_t buf_len) {
    char head[1024];
    int bytes = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zd\r\n", s_status,
                         s_type, buf_len);
    for (unsigned i = 0; i < s_header_count; i++) {
        bytes += snprintf(head + bytes, sizeof head - (size_t)bytes, "%s: %s\r\n", s_headers[i][0], s_headers[i][1]);
    }
    bytes += snprintf(head + bytes, sizeof head - (size_t)bytes, "\r\n");
    if (fake_call_fails() || !transmit(r->handle, head, (size_t)bytes) || !transmit(r->handle, buf, (size_t)buf_len)) {
        return ESP_FAIL;
    }
    return ESP_OK;
}

// --- the server's task ---------------------------------------------------------------------------------------------

static int method_of(const char *text) {
    static const struct {
        const char *name;
        int method;
    } methods[] = {
        {"GET ", HTTP_GET}, {"POST ", HTTP_POST}, {"HEAD ", HTTP_HEAD}, {"PUT ", HTTP_PUT}, {"DELETE ", HTTP_DELETE}};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strncmp(text, methods[i].name, strlen(methods[i].name)) == 0) {
            return methods[i].method;
        }
    }
    fake_abort("a method that this parser does not know");
}

// Reads the head through our function, as the parser does. False: it did not come.
static bool read_head(void) {
    static char head[2048];
    size_t wanted = (size_t)(strstr(s_text, "\r\n\r\n") + 4 - s_text);
    if (wanted > sizeof head) {
        fake_abort("a head that the parser would refuse");
    }
    while (s_read_bytes < wanted) {
        if (s_recv(&s_http, FILE_NO, head, wanted - s_read_bytes, 0) <= 0) {
            return false;
        }
    }
    return true;
}

static esp_err_t run_handler(httpd_req_t *request) {
    for (unsigned i = 0; i < s_handler_count; i++) {
        if ((int)s_handlers[i].method == request->method &&
            s_config.uri_match_fn(s_handlers[i].uri, request->uri, strlen(request->uri))) {
            request->user_ctx = s_handlers[i].user_ctx;
            return s_handlers[i].handler(request);
        }
    }
    httpd_err_code_t error = request->uri[0] == '/' ? HTTPD_405_METHOD_NOT_ALLOWED : HTTPD_404_NOT_FOUND;
    return s_err_handlers[error](request, error);
}

static void serve(void) {
    if (!read_head()) {
        return;
    }
    // The member is const for handlers.
    httpd_req_t request = {.handle = &s_http, .method = method_of(s_text)};
    const char *uri = strchr(s_text, ' ') + 1;
    size_t uri_chars = strcspn(uri, " ");
    if (uri_chars > CONFIG_HTTPD_MAX_URI_LEN) {
        fake_abort("an address that the parser would refuse");
    }
    union {
        const char *read;
        char *write;
    } place = {.read = request.uri};
    memcpy(place.write, uri, uri_chars);
    size_t value_bytes = 0;
    const char *length = find_header("Content-Length", &value_bytes);
    request.content_len = length != NULL ? (size_t)strtoull(length, NULL, 10) : 0;
    s_body_left = request.content_len;
    if (run_handler(&request) != ESP_OK) {
        s_was_closed = true;
    } else {
        // What the handler has not read.
        char rest[32];
        while (s_body_left > 0 && httpd_req_recv(&request, rest, sizeof rest) > 0) {
        }
    }
}

unsigned fake_http_send(const char *text, size_t bytes_count) {
    s_text = text;
    s_text_bytes = bytes_count;
    s_read_bytes = 0;
    s_answer_bytes = 0;
    s_answer[0] = '\0';
    s_header_count = 0;
    s_was_closed = true;
    s_is_connected = true;
    s_http.sockets++;
    if (s_http.servers != 1) {
        fake_abort("nobody listens");
    }
    if (s_config.open_fn(&s_http, FILE_NO) == ESP_OK) {
        serve();
    }
    s_config.close_fn(&s_http, FILE_NO);
    return strncmp(s_answer, "HTTP/1.1 ", 9) == 0 ? (unsigned)strtoul(s_answer + 9, NULL, 10) : 0;
}

const char *fake_http_head(void) {
    return s_answer;
}

const char *fake_http_body(void) {
    const char *end = strstr(s_answer, "\r\n\r\n");
    return end != NULL ? end + 4 : s_answer + s_answer_bytes;
}

size_t fake_http_body_bytes(void) {
    return s_answer_bytes - (size_t)(fake_http_body() - s_answer);
}

bool fake_http_was_closed(void) {
    return s_was_closed;
}
