// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_HTTP_SERVER_H
#define MM_TEST_FAKE_HTTP_SERVER_H

#include <esp_http_server.h>

/// esp_http_server and the sockets below it. A request is text as a browser sends it; fake_http_send does what the
/// server's task would, handlers included, and lets time pass where the client is slow.

#define FAKE_HTTP_ANSWER_BYTES_MAX 65536

typedef struct {
    unsigned servers; ///< that run; 0 when nothing leaks
    unsigned sockets; ///< that are open
    // Of the clients; may be changed by the test.
    size_t recv_bytes_max; ///< a call of recv gives at most so many; 0: no limit
    int64_t recv_us;       ///< and takes so long
    size_t send_bytes_max;
    int64_t send_us;
    bool is_silent; ///< nothing comes: recv runs into its timeout
} fake_http_t;

fake_http_t *fake_http(void);
/// A client connects, sends this, and reads. Returns the status of the answer; 0: the connection was closed without.
unsigned fake_http_send(const char *text, size_t bytes_count);
/// Of the last answer: head and body, terminated.
const char *fake_http_head(void);
const char *fake_http_body(void);
size_t fake_http_body_bytes(void);
/// The server closed it at once, without reading the rest of the request.
bool fake_http_was_closed(void);

#endif
