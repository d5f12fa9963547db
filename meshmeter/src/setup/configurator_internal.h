// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SETUP_CONFIGURATOR_INTERNAL_H
#define MM_SETUP_CONFIGURATOR_INTERNAL_H

#include "meshmeter/configurator.h"
#include "meshmeter/form.h"
#include "setup/json_writer.h"

/// The parts of the configurator: configurator.c (routes and rights), configurator_form.c (fields).

typedef struct {
    mm_setup_t *setup;
    const mm_http_request_t *request;
    mm_us_t now;
    mm_http_answer_t *answer;
    mm_form_t form;  ///< of a POST
    mmi_json_t json; ///< members of the answer
} mmi_exchange_t;

/// The values as they are; no secrets.
void mmi_configurator_put_values(const mm_setup_t *setup, mmi_json_t *json);
/// Read every field, and install. Sets the status, and puts what is wrong.
void mmi_configurator_store(mmi_exchange_t *exchange);

#endif
