// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_CONFIGURATOR_H
#define MM_ESP_CONFIGURATOR_H

#include "meshmeter/configurator.h"
#include "meshmeter/form.h"

/// Carries the node's own page over HTTP (esp_http_server), as ports/linux/linux_configurator.h does. Open only while a
/// challenge number is shown or an installer is at work: the node opens it then and closes it after. It leaves the mesh
/// for that time and opens an access point of its own (mm_esp_radio_open_access_point), whose password is of that
/// opening and shown beside the number: who does not stand in front of the device is not in it.
///
/// One request at a time; each connection carries one and ends MM_ESP_CONFIGURATOR_REQUEST_MS after its first byte,
/// whatever the client does. The server's task fills the exchange, posts its number to the owner and waits until
/// MM_ESP_CONFIGURATOR_WAIT_MS; the owner answers with mm_esp_configurator_serve. What comes too late is dropped by its
/// number, and the client gets 503; so does the next one while the owner is still at it. 9.2 KB.
///
/// A body in chunks gets 411, one beyond MM_FORM_BYTES_MAX 413, a header that is too long 431, another method 405, a
/// request from another page 403. What the SDK's parser refuses it answers itself (400, 414, 431, 501, 505).

/// How long a client will wait for the owner.
#define MM_ESP_CONFIGURATOR_WAIT_MS 5000
#define MM_ESP_CONFIGURATOR_REQUEST_MS 12000
/// One call of the socket's.
#define MM_ESP_CONFIGURATOR_STEP_S 2
#define MM_ESP_CONFIGURATOR_SOCKETS 4
#define MM_ESP_CONFIGURATOR_STACK_BYTES 6144
#define MM_ESP_CONFIGURATOR_PAGE_BYTES_MAX 40960
#define MM_ESP_CONFIGURATOR_PASSWORD_CHARS 12
#define MM_ESP_CONFIGURATOR_URL "http://192.168.4.1/"

typedef struct {
    const void *page; ///< borrowed
    size_t page_bytes;
    /// Wake the owner, in the server's task: false if its queue is full. It calls serve with `number`.
    bool (*post)(void *context, uint32_t number);
    void *context;
} mm_esp_configurator_options_t;

typedef enum {
    MM_ESP_EXCHANGE_FREE = 0,
    MM_ESP_EXCHANGE_POSTED,  ///< the owner may take it
    MM_ESP_EXCHANGE_SERVING, ///< request and answer are the owner's
    MM_ESP_EXCHANGE_SERVED,  ///< the answer is the server's
    MM_ESP_EXCHANGE_LEFT,    ///< as SERVING, but nobody waits any more
} mm_esp_exchange_state_t;

typedef struct {
    int file; ///< -1: free
    // wait: a client sends its request and takes the answer | until MM_ESP_CONFIGURATOR_REQUEST_MS | then it is cut off
    mm_us_t deadline; ///< 0: nothing has come yet
} mm_esp_connection_t;

typedef struct {
    mm_esp_configurator_options_t options;
    char policy[512];
    void *server; ///< NULL: closed
    void *answered;
    uint64_t answered_memory[16];
    uint32_t number; ///< given out last
    mm_esp_exchange_state_t state;
    volatile bool is_closing;
    mm_esp_connection_t connections[MM_ESP_CONFIGURATOR_SOCKETS];
    char path[MM_CONFIGURATOR_PATH_CHARS_MAX + 1];
    char nonce[40];
    char host[64];
    char origin[80];
    char body[MM_FORM_BYTES_MAX];
    mm_http_request_t request;
    mm_http_answer_t answer;
    uint32_t late;   ///< answers that nobody waited for any more
    uint32_t failed; ///< answers that the SDK did not send
} mm_esp_configurator_t;

/// Once. *self must stay where it is. MM_ERR_ARG: the page is too large, or has no script or style.
mm_err_t mm_esp_configurator_init(mm_esp_configurator_t *self, const mm_esp_configurator_options_t *options);
/// Start the server. MM_ERR_UNAVAILABLE: the SDK refused, nothing is left open. MM_ERR_STATE: it is open, or the owner
/// is still at a request of the last opening.
mm_err_t mm_esp_configurator_open(mm_esp_configurator_t *self);
/// By the owner: answer the exchange `number`, if it is still waited for. True: it was answered.
bool mm_esp_configurator_serve(mm_esp_configurator_t *self, uint32_t number, mm_setup_t *setup, mm_us_t now);
/// Waits for the server's task, which ends within MM_ESP_CONFIGURATOR_REQUEST_MS: a job for the worker, unless nobody
/// was there. False: it does not end; call it again.
bool mm_esp_configurator_close(mm_esp_configurator_t *self);

/// random: real random bytes. Letters and digits that are not taken for each other, each with the same chance.
void mm_esp_configurator_password(const uint8_t random[MM_ESP_CONFIGURATOR_PASSWORD_CHARS],
                                  char password[MM_ESP_CONFIGURATOR_PASSWORD_CHARS + 1]);

#endif
