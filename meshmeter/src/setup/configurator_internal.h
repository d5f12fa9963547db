// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SETUP_CONFIGURATOR_INTERNAL_H
#define MM_SETUP_CONFIGURATOR_INTERNAL_H

#include "meshmeter/configurator.h"
#include "meshmeter/form.h"
#include "setup/json_writer.h"

/// The parts of the configurator: configurator.c (routes and rights), configurator_form.c (fields),
/// configurator_repeat.c (an answer that was lost).

typedef struct {
    mm_setup_t *setup;
    const mm_http_request_t *request;
    mm_http_answer_t *answer;
    mmi_json_t json;            ///< members of the answer, and the time
    mm_form_t form;             ///< of a POST
    mm_setup_outcome_t outcome; ///< of a request of the session
} mmi_exchange_t;

/// The values as they are; no secrets.
void mmi_configurator_put_values(const mm_setup_t *setup, mmi_json_t *json);
/// Read every field, and install. Only notes the outcome.
void mmi_configurator_store(mmi_exchange_t *exchange);
/// The answer to it.
void mmi_configurator_put_stored(mmi_exchange_t *exchange);

// configurator_repeat.c
/// The last request of the session once more? Then exchange->outcome is what became of it.
bool mmi_configurator_is_repeated(mmi_exchange_t *exchange, const uint8_t nonce[MM_SETUP_NONCE_BYTES]);
/// This request has used this nonce, and its outcome is known.
void mmi_configurator_remember(const mmi_exchange_t *exchange, const uint8_t nonce[MM_SETUP_NONCE_BYTES]);

#endif
