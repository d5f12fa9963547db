// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "setup/configurator_internal.h"

// A phone that leaves the Wi-Fi has sent its request and gets no answer: it sends the same once more.

#define DIGEST_LABEL "meshmeter request 1"
#define DIGEST_LABEL_BYTES (sizeof DIGEST_LABEL - 1)
#define CHUNK_BYTES 256

typedef struct {
    const mm_crypto_t *crypto;
    uint8_t bytes[DIGEST_LABEL_BYTES + MM_HMAC_BYTES + CHUNK_BYTES]; ///< label, what came before, the next bytes
    size_t used_bytes;
    bool failed;
} digest_t;

static void end_chunk(digest_t *self) {
    uint8_t mac[MM_HMAC_BYTES];
    self->failed =
        self->failed || self->crypto->device_hmac(self->crypto->context, self->bytes,
                                                  DIGEST_LABEL_BYTES + MM_HMAC_BYTES + self->used_bytes, mac) != MM_OK;
    if (!self->failed) {
        memcpy(self->bytes + DIGEST_LABEL_BYTES, mac, sizeof mac);
    }
    self->used_bytes = 0;
}

static void add(digest_t *self, const void *bytes, size_t bytes_count) {
    const uint8_t *next = bytes;
    for (size_t i = 0; i < bytes_count; i++) {
        if (self->used_bytes == CHUNK_BYTES) {
            end_chunk(self);
        }
        self->bytes[DIGEST_LABEL_BYTES + MM_HMAC_BYTES + self->used_bytes++] = next[i];
    }
}

// Nobody without the device's key can make two requests that have the same.
static bool digest_of(const mm_setup_t *setup, const mm_http_request_t *request,
                      uint8_t digest[MM_SETUP_DIGEST_BYTES]) {
    digest_t state = {.crypto = setup->crypto, .failed = setup->crypto == NULL};
    uint8_t method = (uint8_t)request->method;
    memcpy(state.bytes, DIGEST_LABEL, DIGEST_LABEL_BYTES);
    add(&state, &method, 1);
    add(&state, request->path, strlen(request->path) + 1);
    add(&state, request->body, request->body != NULL ? request->body_bytes : 0);
    end_chunk(&state);
    memcpy(digest, state.bytes + DIGEST_LABEL_BYTES, MM_SETUP_DIGEST_BYTES);
    return !state.failed;
}

bool mmi_configurator_is_repeated(mmi_exchange_t *exchange, const uint8_t nonce[MM_SETUP_NONCE_BYTES]) {
    const mm_setup_repeat_t *repeat = &exchange->setup->repeat;
    uint8_t digest[MM_SETUP_DIGEST_BYTES];
    if (!repeat->is_there || exchange->json.now >= repeat->until ||
        !mm_bytes_equal_constant_time(repeat->nonce, nonce, sizeof repeat->nonce) ||
        !digest_of(exchange->setup, exchange->request, digest) ||
        !mm_bytes_equal_constant_time(repeat->digest, digest, sizeof digest)) {
        return false;
    }
    exchange->outcome = repeat->outcome;
    return true;
}

void mmi_configurator_remember(const mmi_exchange_t *exchange, const uint8_t nonce[MM_SETUP_NONCE_BYTES]) {
    mm_setup_repeat_t *repeat = &exchange->setup->repeat;
    repeat->is_there = digest_of(exchange->setup, exchange->request, repeat->digest);
    repeat->outcome = exchange->outcome;
    // The end of a session has no nonce behind it: the answer is given as long as the session could have lasted.
    repeat->until = exchange->setup->session ? exchange->setup->session_until
                                             : mm_us_after_s(exchange->json.now, MM_SETUP_SESSION_S);
    memcpy(repeat->nonce, nonce, sizeof repeat->nonce);
}
