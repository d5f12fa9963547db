// SPDX-License-Identifier: Apache-2.0
#include "linux_configurator.h"

#include <errno.h>
#include <mbedtls/base64.h>
#include <mbedtls/md.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "linux_clock.h"
#include "meshmeter/form.h"

#define BACKLOG 16
#define SHA256_BYTES 32
#define DIGEST_CHARS 45

/// What has come of one request.
typedef struct {
    size_t body_bytes;
    bool too_large; ///< the rest is read and forgotten
    char body[MM_FORM_BYTES_MAX];
} upload_t;

// --- answers -------------------------------------------------------------------------------------------------------

static void add_headers(struct MHD_Response *response, const char *type, const char *policy) {
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, "Content-Security-Policy", policy);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "X-Frame-Options", "DENY");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    // Another node may have this address tomorrow, and what a form held is nobody else's business.
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
}

static enum MHD_Result queue(struct MHD_Connection *connection, unsigned status, struct MHD_Response *response,
                             const char *type, const char *policy) {
    if (response == NULL) {
        return MHD_NO;
    }
    add_headers(response, type, policy);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, POST");
    }
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result queue_json(struct MHD_Connection *connection, unsigned status, const char *text) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    return queue(connection, status, response, "application/json", "default-src 'none'; frame-ancestors 'none'");
}

static enum MHD_Result queue_error(struct MHD_Connection *connection, unsigned status, const char *text) {
    char json[128];
    snprintf(json, sizeof json, "{\"error\":\"%s\"}", text);
    return queue_json(connection, status, json);
}

static enum MHD_Result queue_page(const mm_linux_configurator_t *self, struct MHD_Connection *connection,
                                  unsigned status) {
    struct MHD_Response *response = MHD_create_response_from_buffer(
        mm_linux_configurator_page_bytes, (void *)(uintptr_t)mm_linux_configurator_page, MHD_RESPMEM_PERSISTENT);
    return queue(connection, status, response, "text/html; charset=utf-8", self->policy);
}

// --- requests ------------------------------------------------------------------------------------------------------

static void on_completed(void *context, struct MHD_Connection *connection, void **seen,
                         enum MHD_RequestTerminationCode code) {
    (void)context;
    (void)connection;
    (void)code;
    if (*seen != NULL) {
        // A password may be in it.
        explicit_bzero(*seen, sizeof(upload_t));
        free(*seen);
        *seen = NULL;
    }
}

static void take_body(upload_t *upload, const char *bytes, size_t bytes_count) {
    if (bytes_count > sizeof upload->body - upload->body_bytes) {
        upload->too_large = true;
        return;
    }
    memcpy(upload->body + upload->body_bytes, bytes, bytes_count);
    upload->body_bytes += bytes_count;
}

static const char *header_of(struct MHD_Connection *connection, const char *name) {
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

// A browser says from which page a request comes; other programs do not, and they could say anything.
static bool is_foreign(const char *origin, const char *host) {
    static const char scheme[] = "http://";
    return origin != NULL && (host == NULL || strncmp(origin, scheme, sizeof scheme - 1) != 0 ||
                              strcmp(origin + sizeof scheme - 1, host) != 0);
}

static enum MHD_Result answer(mm_linux_configurator_t *self, struct MHD_Connection *connection,
                              const mm_http_request_t *request) {
    self->answer.status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    self->answer.is_page = false;
    self->answer.body[0] = '\0';
    self->options.answer(self->options.context, request, &self->answer);
    enum MHD_Result result = self->answer.is_page ? queue_page(self, connection, self->answer.status)
                                                  : queue_json(connection, self->answer.status, self->answer.body);
    explicit_bzero(self->answer.body, sizeof self->answer.body); // a nonce was in it
    return result;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload_data, size_t *upload_bytes, void **seen) {
    (void)version;
    mm_linux_configurator_t *self = context;
    if (*seen == NULL) {
        *seen = calloc(1, sizeof(upload_t));
        return *seen != NULL ? MHD_YES : MHD_NO;
    }
    upload_t *upload = *seen;
    if (*upload_bytes != 0) {
        take_body(upload, upload_data, *upload_bytes);
        *upload_bytes = 0;
        return MHD_YES;
    }
    bool is_post = strcmp(method, MHD_HTTP_METHOD_POST) == 0;
    if (!is_post && strcmp(method, MHD_HTTP_METHOD_GET) != 0) {
        return queue_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and POST are answered");
    }
    if (upload->too_large) {
        return queue_error(connection, MHD_HTTP_CONTENT_TOO_LARGE, "the form is too long");
    }
    if (strlen(url) > MM_CONFIGURATOR_PATH_CHARS_MAX) {
        return queue_error(connection, MHD_HTTP_NOT_FOUND, "no such page");
    }
    const char *host = header_of(connection, MHD_HTTP_HEADER_HOST);
    if (is_foreign(header_of(connection, "Origin"), host)) {
        return queue_error(connection, MHD_HTTP_FORBIDDEN, "the request comes from another page");
    }
    const mm_http_request_t request = {.method = is_post ? MM_HTTP_POST : MM_HTTP_GET,
                                       .path = url,
                                       .nonce = header_of(connection, "X-Nonce"),
                                       .host = host,
                                       .body = upload->body,
                                       .body_bytes = upload->body_bytes};
    return answer(self, connection, &request);
}

// No path of this page has an escape in it.
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text) {
    (void)context;
    (void)connection;
    return strlen(text);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **place,
                          enum MHD_ConnectionNotificationCode code) {
    mm_linux_configurator_t *self = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*place != NULL) {
            ((mm_linux_configurator_connection_t *)*place)->file = -1;
        }
        return;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (size_t i = 0; info != NULL && i < MM_LINUX_CONFIGURATOR_CONNECTIONS_MAX; i++) {
        mm_linux_configurator_connection_t *entry = &self->connections[i];
        if (entry->file < 0) {
            entry->file = info->connect_fd;
            entry->deadline_us = mm_linux_real_us() + (int64_t)self->options.request_ms * 1000;
            *place = entry;
            return;
        }
    }
}

// --- the page's policy ---------------------------------------------------------------------------------------------

// SHA-256 of what stands between two marks of the page, as a source of a content security policy wants it.
static bool digest_between(const char *begin_mark, const char *end_mark, char digest[DIGEST_CHARS]) {
    const char *page = (const char *)mm_linux_configurator_page;
    const char *begin = memmem(page, mm_linux_configurator_page_bytes, begin_mark, strlen(begin_mark));
    if (begin == NULL) {
        return false;
    }
    begin += strlen(begin_mark);
    size_t left = mm_linux_configurator_page_bytes - (size_t)(begin - page);
    const char *end = memmem(begin, left, end_mark, strlen(end_mark));
    uint8_t hash[SHA256_BYTES];
    size_t chars = 0;
    return end != NULL &&
           mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), (const uint8_t *)begin, (size_t)(end - begin),
                      hash) == 0 &&
           mbedtls_base64_encode((uint8_t *)digest, DIGEST_CHARS, &chars, hash, sizeof hash) == 0;
}

static bool make_policy(mm_linux_configurator_t *self) {
    char script[DIGEST_CHARS];
    char style[DIGEST_CHARS];
    if (!digest_between("<script>", "</script>", script) || !digest_between("<style>", "</style>", style)) {
        return false;
    }
    snprintf(self->policy, sizeof self->policy,
             "default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; connect-src 'self'; img-src data:; "
             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
             script, style);
    return true;
}

// --- start and stop ------------------------------------------------------------------------------------------------

// Splits "ADDR:PORT"; host without brackets.
static bool split_address(const char *address, char *host, size_t host_bytes, const char **port) {
    const char *colon = strrchr(address, ':');
    // getaddrinfo would take 99999 and use another port.
    if (colon == NULL || colon == address || colon[1] == '\0' || strlen(colon + 1) > 5 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) || strtol(colon + 1, NULL, 10) > 65535) {
        return false;
    }
    bool bracketed = address[0] == '[' && colon[-1] == ']';
    const char *begin = bracketed ? address + 1 : address;
    size_t chars = (size_t)(colon - begin) - (bracketed ? 1 : 0);
    if (chars == 0 || chars >= host_bytes) {
        return false;
    }
    memcpy(host, begin, chars);
    host[chars] = '\0';
    *port = colon + 1;
    return true;
}

static mm_err_t listen_on(mm_linux_configurator_t *self, int *listener, mm_linux_message_t *message) {
    char host[48];
    const char *port = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    // no wait(getaddrinfo): AI_NUMERICHOST: no name is resolved
    if (!split_address(self->options.address, host, sizeof host, &port) ||
        getaddrinfo(host, port, &hints, &found) != 0) {
        mm_linux_message_set(message, "%s: expected ADDR:PORT with a numeric address, like 192.168.4.1:80",
                             self->options.address);
        return MM_ERR_ARG;
    }
    const int on = 1;
    *listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool good = *listener >= 0 && setsockopt(*listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                bind(*listener, found->ai_addr, found->ai_addrlen) == 0 && listen(*listener, BACKLOG) == 0;
    bool v6 = found->ai_family == AF_INET6;
    freeaddrinfo(found);
    struct sockaddr_storage bound;
    socklen_t bound_bytes = sizeof bound;
    char number[16];
    // no wait(getnameinfo): asked for the number of the port alone
    good = good && getsockname(*listener, (struct sockaddr *)&bound, &bound_bytes) == 0 &&
           getnameinfo((struct sockaddr *)&bound, bound_bytes, NULL, 0, number, sizeof number, NI_NUMERICSERV) == 0;
    if (!good) {
        mm_linux_message_set(message, "%s: no page there: %s", self->options.address, strerror(errno));
        return MM_ERR_STORAGE;
    }
    snprintf(self->address, sizeof self->address, v6 ? "[%s]:%s" : "%s:%s", host, number);
    return MM_OK;
}

// The epoll mode of 0.9.75 serves nobody when a multiple of 128 sockets is ready: there are never so many here.
_Static_assert(MM_LINUX_CONFIGURATOR_CONNECTIONS_MAX < 100, "the library's epoll mode is not good for more");

static bool start_daemon(mm_linux_configurator_t *self, int listener) {
    // no wait(MHD_start_daemon): no thread of the library, the owner's loop drives it
    self->daemon =
        MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, handle, self, MHD_OPTION_LISTEN_SOCKET, listener,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)MM_LINUX_CONFIGURATOR_CONNECTIONS_MAX,
                         MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)MM_LINUX_CONFIGURATOR_CONNECTIONS_OF_ONE_MAX,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MM_LINUX_CONFIGURATOR_HEAD_BYTES_MAX,
                         MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
                         self, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        self->daemon != NULL ? MHD_get_daemon_info(self->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (info == NULL) {
        return false;
    }
    self->file = info->epoll_fd;
    return mm_linux_loop_watch(self->loop, self->file, POLLIN, NULL, NULL) == MM_OK;
}

mm_err_t mm_linux_configurator_open(mm_linux_configurator_t *self, mm_linux_loop_t *loop,
                                    const mm_linux_configurator_options_t *options, mm_linux_message_t *message) {
    *self = (mm_linux_configurator_t){.options = *options, .loop = loop, .file = -1};
    if (self->options.request_ms == 0) {
        self->options.request_ms = MM_LINUX_CONFIGURATOR_REQUEST_MS;
    }
    for (size_t i = 0; i < MM_LINUX_CONFIGURATOR_CONNECTIONS_MAX; i++) {
        self->connections[i].file = -1;
    }
    int listener = -1;
    mm_err_t err = listen_on(self, &listener, message);
    if (err == MM_OK && (!make_policy(self) || !start_daemon(self, listener))) {
        mm_linux_message_set(message, "%s: the page's server does not start", self->options.address);
        err = MM_ERR_STORAGE;
    }
    if (err != MM_OK) {
        // The server closes the listener if it was started.
        if (listener >= 0 && self->daemon == NULL) {
            (void)close(listener);
        }
        mm_linux_configurator_close(self);
    }
    return err;
}

int64_t mm_linux_configurator_poll(mm_linux_configurator_t *self, int64_t real_now_us) {
    if (self->daemon == NULL) {
        return MM_US_NEVER;
    }
    int64_t deadline_us = MM_US_NEVER;
    for (size_t i = 0; i < MM_LINUX_CONFIGURATOR_CONNECTIONS_MAX; i++) {
        mm_linux_configurator_connection_t *entry = &self->connections[i];
        if (entry->file >= 0 && entry->deadline_us <= real_now_us) {
            // The library sees the end and closes; until then the entry stays taken, and is not looked at again.
            (void)shutdown(entry->file, SHUT_RDWR);
            entry->deadline_us = MM_US_NEVER;
        }
    }
    // no wait(MHD_run): it serves what is ready and returns
    (void)MHD_run(self->daemon);
    for (size_t i = 0; i < MM_LINUX_CONFIGURATOR_CONNECTIONS_MAX; i++) {
        const mm_linux_configurator_connection_t *entry = &self->connections[i];
        if (entry->file >= 0 && entry->deadline_us < deadline_us) {
            deadline_us = entry->deadline_us;
        }
    }
    MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
    if (MHD_get_timeout(self->daemon, &timeout_ms) == MHD_YES) {
        int64_t own_us = real_now_us + (int64_t)(timeout_ms < 60000 ? timeout_ms : 60000) * 1000;
        deadline_us = own_us < deadline_us ? own_us : deadline_us;
    }
    return deadline_us;
}

const char *mm_linux_configurator_address(const mm_linux_configurator_t *self) {
    return self->address;
}

void mm_linux_configurator_close(mm_linux_configurator_t *self) {
    if (self->daemon == NULL) {
        return;
    }
    mm_linux_loop_unwatch(self->loop, self->file);
    // no wait(MHD_stop_daemon): there is no thread to wait for
    MHD_stop_daemon(self->daemon);
    self->daemon = NULL;
    self->file = -1;
}
