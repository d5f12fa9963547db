// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_CONFIGURATOR_H
#define MM_LINUX_CONFIGURATOR_H

#include "linux_loop.h"
#include "meshmeter/configurator.h"

/// Carries the node's own page and its API over HTTP. It decides nothing: whole requests go to the owner's function,
/// in the owner's thread, and its answer goes back.
///
/// No thread: the HTTP library is driven by the owner's loop through one descriptor. So no lock is needed, no request
/// waits for another thread, and a node that is not serving does no work for it. Nothing blocks; all is bounded: the
/// head of a request, its body (MM_FORM_BYTES_MAX), connections in all and of one address, and the life of each (one
/// request, then it is closed; a client that is too slow is thrown out).
///
/// The page came with the program. Its security policy allows exactly its own script and style, by their digests, which
/// are made of the very bytes that are served. A request that a page from elsewhere sends (header Origin) is refused
/// before anything sees it: it could not enter, but it could use up an installer's tries.

#define MM_LINUX_CONFIGURATOR_CONNECTIONS_MAX 16
#define MM_LINUX_CONFIGURATOR_CONNECTIONS_OF_ONE_MAX 8
#define MM_LINUX_CONFIGURATOR_REQUEST_MS 10000
#define MM_LINUX_CONFIGURATOR_HEAD_BYTES_MAX 8192
#define MM_LINUX_CONFIGURATOR_PAGE_BYTES_MAX 40960

/// request: see configurator.h; everything in it is valid during the call only. Methods other than GET and POST have
/// been answered.
typedef void mm_linux_configurator_answer_fn(void *context, const mm_http_request_t *request, mm_http_answer_t *answer);

typedef struct {
    const char *address; ///< "ADDR:PORT", numeric; port 0 takes a free one
    mm_linux_configurator_answer_fn *answer;
    void *context;
    uint32_t request_ms; ///< 0 = MM_LINUX_CONFIGURATOR_REQUEST_MS
} mm_linux_configurator_options_t;

typedef struct {
    int file; ///< -1 = free
    // wait: a client sends its request and takes the answer | until MM_LINUX_CONFIGURATOR_REQUEST_MS | then the
    // connection is closed
    int64_t deadline_us;
} mm_linux_configurator_connection_t;

struct MHD_Daemon;

typedef struct {
    mm_linux_configurator_options_t options;
    mm_linux_loop_t *loop;
    struct MHD_Daemon *daemon;
    int file; ///< readable when there is something to do
    char address[64];
    char policy[512]; ///< of the page
    mm_http_answer_t answer;
    mm_linux_configurator_connection_t connections[MM_LINUX_CONFIGURATOR_CONNECTIONS_MAX];
} mm_linux_configurator_t;

/// Listen and watch in `loop`; *self must stay where it is. MM_ERR_ARG: the address is not one. MM_ERR_STORAGE: the
/// system refused; `message` says why.
mm_err_t mm_linux_configurator_open(mm_linux_configurator_t *self, mm_linux_loop_t *loop,
                                    const mm_linux_configurator_options_t *options, mm_linux_message_t *message);
/// Serve what is ready; in every turn of the loop. Returns the next deadline (real microseconds) or MM_US_NEVER.
int64_t mm_linux_configurator_poll(mm_linux_configurator_t *self, int64_t real_now_us);
/// "ADDR:PORT" where it listens.
const char *mm_linux_configurator_address(const mm_linux_configurator_t *self);
/// Also after a failed open, and for one that is all zero.
void mm_linux_configurator_close(mm_linux_configurator_t *self);

/// The page as it is served, and its size.
extern const uint8_t mm_linux_configurator_page[];
extern const size_t mm_linux_configurator_page_bytes;

#endif
