// SPDX-License-Identifier: Apache-2.0
#include "http.h"

#include "api.h"
#include "api_routes.h"
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
/// Of one address, so that it cannot keep all others out. A proxy before HQ is one address.
#define ADDRESS_CONNECTIONS_MAX 128
#define CONNECTION_BYTES 8192
#define TIMEOUT_S 30
#define BACKLOG 64

struct mm_http {
    struct MHD_Daemon *daemon;
    mm_query_t *query;
    mm_desk_t *desk;
    mm_web_files_t *files;
    mm_api_t api;
    mm_api_routes_t routes;
    char address[128];
};

/// What has come of one request.
typedef struct {
    char *body;
    size_t body_bytes;
    bool too_large; ///< the rest is read and forgotten
} upload_t;

// --- answers

static void add_headers(struct MHD_Response *response) {
    MHD_add_response_header(response, "Content-Security-Policy",
                            "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
}

static enum MHD_Result queue_json(struct MHD_Connection *connection, unsigned status, char *text, const char *allow) {
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(text);
        return MHD_NO;
    }
    add_headers(response);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
    }
    if (status == MHD_HTTP_UNAUTHORIZED) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    }
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result queue_error(struct MHD_Connection *connection, unsigned status, const char *text) {
    char json[256];
    snprintf(json, sizeof json, "{\"error\":\"%s\"}", text);
    char *copy = strdup(json);
    return copy != NULL ? queue_json(connection, status, copy, "GET, HEAD") : MHD_NO;
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

// --- requests

static void on_completed(void *context, struct MHD_Connection *connection, void **seen,
                         enum MHD_RequestTerminationCode code) {
    (void)context;
    (void)connection;
    (void)code;
    upload_t *upload = *seen;
    if (upload != NULL) {
        // A password may be in it.
        if (upload->body != NULL) {
            explicit_bzero(upload->body, MM_API_BODY_BYTES_MAX);
        }
        free(upload->body);
        free(upload);
        *seen = NULL;
    }
}

static void take_body(upload_t *upload, const char *bytes, size_t bytes_count) {
    if (upload->body == NULL) {
        upload->body = calloc(1, MM_API_BODY_BYTES_MAX);
    }
    if (upload->body == NULL || bytes_count > MM_API_BODY_BYTES_MAX - upload->body_bytes) {
        upload->too_large = true;
        return;
    }
    memcpy(upload->body + upload->body_bytes, bytes, bytes_count);
    upload->body_bytes += bytes_count;
}

// A number that tells clients apart.
static uint32_t address_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info != NULL ? info->client_addr : NULL;
    const uint8_t *bytes = NULL;
    size_t bytes_count = 0;
    if (address != NULL && address->sa_family == AF_INET) {
        bytes = (const uint8_t *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
        bytes_count = sizeof(struct in_addr);
    } else if (address != NULL && address->sa_family == AF_INET6) {
        // Who has an address of version 6 has 2^64 of them.
        bytes = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr;
        bytes_count = 8;
    }
    uint32_t number = 0;
    for (size_t index = 0; index < bytes_count; index++) {
        number = number * 31 + bytes[index];
    }
    return number;
}

static enum MHD_Result answer_route(mm_http_t *self, struct MHD_Connection *connection, const char *url,
                                    const char *method, const upload_t *upload) {
    const char *allow = NULL;
    int status = MHD_HTTP_OK;
    const mm_api_call_t call = {
        .method = method,
        .path = url,
        .authorization = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION),
        .address = address_of(connection),
        .body = upload->body,
        .body_bytes = upload->too_large ? MM_API_BODY_BYTES_MAX + 1 : upload->body_bytes,
        .argument = argument_of,
        .context = connection,
    };
    char *text = mm_api_routes_answer(&self->routes, &call, &status, &allow);
    return text != NULL ? queue_json(connection, (unsigned)status, text, allow) : MHD_NO;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload_data, size_t *upload_bytes, void **seen) {
    (void)version;
    mm_http_t *self = context;
    if (*seen == NULL) {
        // An answer in the first call would close the connection after every request.
        *seen = calloc(1, sizeof(upload_t));
        return *seen != NULL ? MHD_YES : MHD_NO;
    }
    bool is_route = mm_api_routes_know(url);
    if (*upload_bytes != 0) {
        if (is_route) {
            take_body(*seen, upload_data, *upload_bytes);
        }
        *upload_bytes = 0; // elsewhere a body is read and forgotten
        return MHD_YES;
    }
    if (is_route) {
        return answer_route(self, connection, url, method, *seen);
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return queue_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are answered");
    }
    if (strncmp(url, "/api/", 5) == 0) {
        int status = 200;
        char *text = mm_api_answer(&self->api, url, argument_of, connection, &status);
        return text != NULL ? queue_json(connection, (unsigned)status, text, "GET, HEAD") : MHD_NO;
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
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL, handle, self,
                         MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                         MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)ADDRESS_CONNECTIONS_MAX,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
                         (unsigned)TIMEOUT_S, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
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
    self->desk = self->query != NULL ? mm_desk_open(NULL, options->database_path, error) : NULL;
    int listener = self->desk != NULL ? listen_on(self, options->address, error) : -1;
    if (listener < 0) {
        mm_http_stop(self);
        return NULL;
    }
    self->api = (mm_api_t){.query = self->query,
                           .stats = options->stats,
                           .clock = options->clock,
                           .displays_directory = options->displays_directory};
    self->routes = (mm_api_routes_t){.desk = self->desk,
                                     .clock = options->clock,
                                     .changed = options->changed,
                                     .changed_context = options->changed_context};
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
    mm_desk_close(self->desk);
    mm_web_files_free(self->files);
    free(self);
}

const char *mm_http_address(const mm_http_t *self) {
    return self->address;
}
