// SPDX-License-Identifier: Apache-2.0
#include <esp_http_server.h>
#include <lwip/sockets.h>

#include "agreement.h"

MM_TYPE(httpd_handle_t, void *);
MM_TYPE(httpd_free_ctx_fn_t, void (*)(void *));
MM_TYPE(httpd_open_func_t, esp_err_t (*)(httpd_handle_t, int));
MM_TYPE(httpd_close_func_t, void (*)(httpd_handle_t, int));
MM_TYPE(httpd_uri_match_func_t, bool (*)(const char *, const char *, size_t));
MM_TYPE(httpd_recv_func_t, int (*)(httpd_handle_t, int, char *, size_t, int));
MM_TYPE(httpd_send_func_t, int (*)(httpd_handle_t, int, const char *, size_t, int));
MM_TYPE(httpd_err_handler_func_t, esp_err_t (*)(httpd_req_t *, httpd_err_code_t));
MM_MEMBER(httpd_config_t, task_priority, unsigned);
MM_MEMBER(httpd_config_t, stack_size, size_t);
MM_MEMBER(httpd_config_t, server_port, uint16_t);
MM_MEMBER(httpd_config_t, max_open_sockets, uint16_t);
MM_MEMBER(httpd_config_t, max_uri_handlers, uint16_t);
MM_MEMBER(httpd_config_t, max_resp_headers, uint16_t);
MM_MEMBER(httpd_config_t, lru_purge_enable, bool);
MM_MEMBER(httpd_config_t, recv_wait_timeout, uint16_t);
MM_MEMBER(httpd_config_t, send_wait_timeout, uint16_t);
MM_MEMBER(httpd_config_t, global_user_ctx, void *);
MM_MEMBER(httpd_config_t, global_user_ctx_free_fn, httpd_free_ctx_fn_t);
MM_MEMBER(httpd_config_t, open_fn, httpd_open_func_t);
MM_MEMBER(httpd_config_t, close_fn, httpd_close_func_t);
MM_MEMBER(httpd_config_t, uri_match_fn, httpd_uri_match_func_t);
MM_MEMBER(httpd_req_t, handle, httpd_handle_t);
MM_MEMBER(httpd_req_t, method, int);
MM_MEMBER(httpd_req_t, uri, const char[CONFIG_HTTPD_MAX_URI_LEN + 1]);
MM_MEMBER(httpd_req_t, content_len, size_t);
MM_MEMBER(httpd_req_t, user_ctx, void *);
MM_MEMBER(httpd_uri_t, uri, const char *);
MM_MEMBER(httpd_uri_t, method, httpd_method_t);
MM_MEMBER(httpd_uri_t, handler, esp_err_t (*)(httpd_req_t *));
MM_MEMBER(httpd_uri_t, user_ctx, void *);

// A macro: its members are there.
extern const httpd_config_t agreement_server;
const httpd_config_t agreement_server = HTTPD_DEFAULT_CONFIG();
