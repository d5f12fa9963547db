// SPDX-License-Identifier: Apache-2.0
#include "http.h"

#include "api.h"
#include "web_files.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256
#define CONNECTION_BYTES 8192
#define TIMEOUT_S 30
#define BACKLOG 64

struct mm_http {
    struct MHD_Daemon *daemon;
    mm_query_t *query;
    mm_web_files_t *files;
    mm_api_t api;
    char address[128];
};

// --- answers

static void add_headers(struct MHD_Response *response) {
    MHD_add_response_header(response, "Content-Security-Policy",
                            "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
}

static enum MHD_Result queue_json(struct MHD_Connection *connection, unsigned status, char *text) {
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(text);
        return MHD_NO;
    }
    add_headers(response);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result queue_error(struct MHD_Connection *connection, unsigned status, const char *text) {
    char json[256];
    snprintf(json, sizeof json, "{\"error\":\"%s\"}", text);
    char *copy = strdup(json);
    return copy != NULL ? queue_json(connection, status, copy) : MHD_NO;
}

static enum MHD_Result queue_file(struct MHD_Connection *connection, const mm_web_file_t *file) {
    const char *known = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
    bool unchanged = known != NULL && strcmp(known, file->etag) == 0;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(unchanged ? 0 : file->bytes_count, file->bytes, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        return MHD_NO;
    }
    add_headers(response);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, file->content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, file->etag);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    enum MHD_Result result = MHD_queue_response(connection, unchanged ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static const char *argument_of(void *context, const char *name) {
    return MHD_lookup_connection_value(context, MHD_GET_ARGUMENT_KIND, name);
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_bytes, void **seen) {
    (void)version;
    (void)upload;
    static char marker;
    mm_http_t *self = context;
    if (*seen == NULL) {
        // An answer in the first call would close the connection after every request.
        *seen = &marker;
        return MHD_YES;
    }
    if (*upload_bytes != 0) {
        *upload_bytes = 0; // a body is read and forgotten
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return queue_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are answered");
    }
    if (strncmp(url, "/api/", 5) == 0) {
        int status = 200;
        char *text = mm_api_answer(&self->api, url, argument_of, connection, &status);
        return text != NULL ? queue_json(connection, (unsigned)status, text) : MHD_NO;
    }
    const mm_web_file_t *file = mm_web_files_find(self->files, url);
    return file != NULL ? queue_file(connection, file)
                        : queue_error(connection, MHD_HTTP_NOT_FOUND, "no such file of the page");
}

// --- start and stop

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

static int listen_on(mm_http_t *self, const char *address, mm_hq_error_t *error) {
    char host[96];
    const char *port = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    // no wait(getaddrinfo): AI_NUMERICHOST: no name is resolved
    if (address == NULL || !split_address(address, host, sizeof host, &port) ||
        getaddrinfo(host, port, &hints, &found) != 0) {
        mm_hq_error_set(error, "http %s: expected ADDR:PORT with a numeric address, like 127.0.0.1:8080",
                        address != NULL ? address : "");
        return -1;
    }
    const int on = 1;
    int listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool good = listener >= 0 && setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                bind(listener, found->ai_addr, found->ai_addrlen) == 0 && listen(listener, BACKLOG) == 0;
    bool v6 = found->ai_family == AF_INET6;
    int cause = errno;
    freeaddrinfo(found);
    struct sockaddr_storage bound;
    socklen_t bound_bytes = sizeof bound;
    char number[16];
    // no wait(getnameinfo): asked for the number of the port alone
    if (good) {
        good = getsockname(listener, (struct sockaddr *)&bound, &bound_bytes) == 0 &&
               getnameinfo((struct sockaddr *)&bound, bound_bytes, NULL, 0, number, sizeof number, NI_NUMERICSERV) == 0;
        cause = errno;
    }
    if (!good) {
        mm_hq_error_set(error, "http %s: %s%s", address, strerror(cause),
                        cause == EADDRINUSE ? "; choose another port with --http, 0 takes a free one" : "");
        if (listener >= 0) {
            close(listener);
        }
        return -1;
    }
    snprintf(self->address, sizeof self->address, v6 ? "[%s]:%s" : "%s:%s", host, number);
    return listener;
}

// Signals are the main thread's.
static struct MHD_Daemon *start_daemon(mm_http_t *self, int listener) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    // Not MHD_USE_AUTO: the epoll mode of 0.9.75 serves nobody when a multiple of 128 sockets is ready.
    // wait: requests of browsers, in the page's thread | until TIMEOUT_S of silence of a connection, CONNECTIONS_MAX of
    // them | then it is closed
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL, handle, self, MHD_OPTION_LISTEN_SOCKET, listener,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

mm_http_t *mm_http_start(const mm_http_options_t *options, mm_hq_error_t *error) {
    mm_http_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        mm_hq_error_set(error, "http: out of memory");
        return NULL;
    }
    self->files = mm_web_files_load(options->web_directory, error);
    self->query = self->files != NULL ? mm_query_open(options->database_path, error) : NULL;
    int listener = self->query != NULL ? listen_on(self, options->address, error) : -1;
    if (listener < 0) {
        mm_http_stop(self);
        return NULL;
    }
    self->api = (mm_api_t){.query = self->query, .stats = options->stats, .clock = options->clock};
    self->daemon = start_daemon(self, listener);
    if (self->daemon == NULL) {
        mm_hq_error_set(error, "http %s: the server does not start", options->address);
        close(listener);
        mm_http_stop(self);
        return NULL;
    }
    return self;
}

void mm_http_stop(mm_http_t *self) {
    if (self == NULL) {
        return;
    }
    if (self->daemon != NULL) {
        // wait: the page's thread ends, when HQ stops | until the request in progress is answered; a locked database
        // gives it BUSY_TIMEOUT_MS | then HQ is closed
        MHD_stop_daemon(self->daemon);
    }
    mm_query_close(self->query);
    mm_web_files_free(self->files);
    free(self);
}

const char *mm_http_address(const mm_http_t *self) {
    return self->address;
}
