// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_CONFIGURATOR_H
#define MM_ESP_CONFIGURATOR_H

#include "meshmeter/configurator.h"
#include "meshmeter/form.h"

/// Carries the node's own page over HTTP (esp_http_server), as ports/linux/linux_configurator.h does. Open only while a
/// challenge number is shown or an installer is at work: the node opens it then and closes it after.
///
/// The radio network is the soft-AP of the mesh's radio: WPA2, its password 12 random characters of this opening, shown
/// on the display beside the number; there is no other one. Who does not stand in front of the device is not in it.
///
/// One request at a time. The server's task fills the exchange, posts to the owner and waits until
/// MM_ESP_CONFIGURATOR_WAIT_MS; the owner answers with mm_esp_configurator_serve. An answer that comes too late is
/// dropped by its number and the client gets 503. 9.5 KB.

// no wait(MM_ESP_CONFIGURATOR_WAIT_MS): how long a client will wait for the owner; its code is not written yet
#define MM_ESP_CONFIGURATOR_WAIT_MS 5000
#define MM_ESP_CONFIGURATOR_SOCKETS 4
#define MM_ESP_CONFIGURATOR_PASSWORD_CHARS 12
#define MM_ESP_CONFIGURATOR_PAGE_BYTES_MAX 40960

typedef struct {
    const void *page; ///< borrowed
    size_t page_bytes;
    /// Wake the owner, in the server's task: false if its queue is full. It calls serve with `number`.
    bool (*post)(void *context, uint32_t number);
    void *context;
} mm_esp_configurator_options_t;

typedef struct {
    mm_esp_configurator_options_t options;
    void *server; ///< NULL: closed
    void *mutex;
    void *answered;
    uint64_t mutex_memory[16];
    uint64_t answered_memory[16];
    uint32_t number; ///< of the exchange in progress, 0 = none
    bool is_served;  ///< guarded by mutex, as all below
    char path[MM_CONFIGURATOR_PATH_CHARS_MAX + 1];
    char nonce[40];
    char host[64];
    char body[MM_FORM_BYTES_MAX];
    mm_http_request_t request;
    mm_http_answer_t answer;
    char policy[512];
} mm_esp_configurator_t;

/// Once. MM_ERR_ARG: the page is too large or has no script.
mm_err_t mm_esp_configurator_init(mm_esp_configurator_t *self, const mm_esp_configurator_options_t *options);
/// Start the server (the soft-AP is up). MM_ERR_UNAVAILABLE: the SDK refused.
mm_err_t mm_esp_configurator_open(mm_esp_configurator_t *self);
/// By the owner: answer the exchange `number`, if it is still waited for.
void mm_esp_configurator_serve(mm_esp_configurator_t *self, uint32_t number, mm_setup_t *setup, mm_us_t now);
void mm_esp_configurator_close(mm_esp_configurator_t *self);

/// random: real random bytes. Letters and digits that are not taken for each other.
void mm_esp_configurator_password(const uint8_t random[MM_ESP_CONFIGURATOR_PASSWORD_CHARS],
                                  char password[MM_ESP_CONFIGURATOR_PASSWORD_CHARS + 1]);

#endif
