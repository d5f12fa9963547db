// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_HTTP_SERVER_H
#define MM_SDK_ESP_HTTP_SERVER_H

#include <esp_err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef MM_SDK_IS_REAL
#define CONFIG_HTTPD_MAX_URI_LEN 256

#define HTTPD_SOCK_ERR_FAIL (-1)
#define HTTPD_SOCK_ERR_INVALID (-2)
#define HTTPD_SOCK_ERR_TIMEOUT (-3)
#define ESP_ERR_HTTPD_BASE 0xb000
#define ESP_ERR_HTTPD_RESULT_TRUNC (ESP_ERR_HTTPD_BASE + 4)

/// The real ones are those of http_parser.
typedef enum http_method {
    HTTP_DELETE = 0,
    HTTP_GET = 1,
    HTTP_HEAD = 2,
    HTTP_POST = 3,
    HTTP_PUT = 4
} httpd_method_t;

/// Only those whose answer is ours.
typedef enum {
    HTTPD_404_NOT_FOUND = 6,
    HTTPD_405_METHOD_NOT_ALLOWED = 7
} httpd_err_code_t;

typedef void *httpd_handle_t;
typedef void (*httpd_free_ctx_fn_t)(void *ctx);
typedef esp_err_t (*httpd_open_func_t)(httpd_handle_t hd, int sockfd);
/// Has to close the socket.
typedef void (*httpd_close_func_t)(httpd_handle_t hd, int sockfd);
typedef bool (*httpd_uri_match_func_t)(const char *reference_uri, const char *uri_to_match, size_t match_upto);
typedef int (*httpd_recv_func_t)(httpd_handle_t hd, int sockfd, char *buf, size_t buf_len, int flags);
typedef int (*httpd_send_func_t)(httpd_handle_t hd, int sockfd, const char *buf, size_t buf_len, int flags);

/// Of it only what we change.
typedef struct httpd_config {
    unsigned task_priority;
    size_t stack_size;
    uint16_t server_port;
    uint16_t max_open_sockets;
    uint16_t max_uri_handlers;
    uint16_t max_resp_headers;
    bool lru_purge_enable; ///< a new client puts out the one that was heard least recently
    uint16_t recv_wait_timeout;
    uint16_t send_wait_timeout;
    void *global_user_ctx;
    httpd_free_ctx_fn_t global_user_ctx_free_fn; ///< NULL: free()
    httpd_open_func_t open_fn;
    httpd_close_func_t close_fn;
    httpd_uri_match_func_t uri_match_fn;
} httpd_config_t;
#define HTTPD_DEFAULT_CONFIG()                                                                                         \
    {                                                                                                                  \
        .task_priority = 5, .stack_size = 4096, .server_port = 80, .max_open_sockets = 7, .max_uri_handlers = 8,       \
        .max_resp_headers = 8, .recv_wait_timeout = 5, .send_wait_timeout = 5                                          \
    }

typedef struct httpd_req {
    httpd_handle_t handle;
    int method;
    const char uri[CONFIG_HTTPD_MAX_URI_LEN + 1]; ///< with its query; escapes as they came
    size_t content_len;                           ///< 0 also for a body in chunks, which the server does not read
    void *aux;
    void *user_ctx;
} httpd_req_t;

typedef struct httpd_uri {
    const char *uri;
    httpd_method_t method;
    esp_err_t (*handler)(httpd_req_t *r); ///< a failure closes the connection
    void *user_ctx;
} httpd_uri_t;

typedef esp_err_t (*httpd_err_handler_func_t)(httpd_req_t *req, httpd_err_code_t error);
#endif

esp_err_t httpd_start(httpd_handle_t *handle, const httpd_config_t *config);
/// Returns when the server's task has ended: after the handler that it is in.
esp_err_t httpd_stop(httpd_handle_t handle);
void *httpd_get_global_user_ctx(httpd_handle_t handle);
esp_err_t httpd_register_uri_handler(httpd_handle_t handle, const httpd_uri_t *uri_handler);
esp_err_t httpd_register_err_handler(httpd_handle_t handle, httpd_err_code_t error,
                                     httpd_err_handler_func_t handler_fn);
bool httpd_uri_match_wildcard(const char *uri_template, const char *uri_to_match, size_t match_upto);
esp_err_t httpd_sess_set_recv_override(httpd_handle_t hd, int sockfd, httpd_recv_func_t recv_func);
esp_err_t httpd_sess_set_send_override(httpd_handle_t hd, int sockfd, httpd_send_func_t send_func);
esp_err_t httpd_sess_trigger_close(httpd_handle_t handle, int sockfd);
int httpd_req_to_sockfd(httpd_req_t *r);
/// A part of the body. 0: the client has closed.
int httpd_req_recv(httpd_req_t *r, char *buf, size_t buf_len);
/// ESP_ERR_HTTPD_RESULT_TRUNC: longer than val.
esp_err_t httpd_req_get_hdr_value_str(httpd_req_t *r, const char *field, char *val, size_t val_size);
/// Texts are borrowed until the answer is sent.
esp_err_t httpd_resp_set_status(httpd_req_t *r, const char *status);
esp_err_t httpd_resp_set_type(httpd_req_t *r, const char *type);
esp_err_t httpd_resp_set_hdr(httpd_req_t *r, const char *field, const char *value);
esp_err_t httpd_resp_send(httpd_req_t *r, const char *buf, ssize_t buf_len);

#endif
