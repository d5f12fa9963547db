// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "meshmeter/bytes.h"
#include "meshmeter/network_form.h"
#include "node/console_internal.h"

static bool is_proved(mm_console_request_t *request, const mm_form_t *form, mm_possession_t *possession,
                      mm_us_t possession_now) {
    static const char *const errors[] = {
        [MM_POSSESSION_WRONG] = "error: this is not the code on the label",
        [MM_POSSESSION_LOCKED_OUT] = "error: too many wrong codes",
        [MM_POSSESSION_NONE] = "error: this device has no label: no network can be handed over here",
    };
    char text[MM_POSSESSION_CHARS_MAX + 2];
    uint32_t wait_s;
    (void)mm_form_text(form, "pop", text, sizeof text); // "" if it is not there: that is wrong as well
    mm_possession_verdict_t verdict = mm_possession_judge(possession, text, possession_now, &wait_s);
    mm_wipe(text, sizeof text);
    if (verdict == MM_POSSESSION_GOOD) {
        return true;
    }
    mm_console_put(request, errors[verdict]);
    mmi_console_put_wait(request, wait_s);
    mm_console_put(request, "\n");
    return false;
}

static void take(mm_console_request_t *request, const mm_form_t *form, bool (*is_broker)(const char *url)) {
    mm_network_t network;
    const char *wrong = mm_network_form_read(form, &network);
    if (wrong == NULL && !is_broker(network.broker.url)) {
        wrong = "broker_url";
    }
    mm_err_t err =
        wrong == NULL ? mm_setup_take_network(request->console->options.setup, &network, request->now) : MM_ERR_ARG;
    if (err == MM_OK) {
        mm_console_put(request, "ok the device has the network of site ");
        mm_console_put(request, network.site);
        mm_console_put(request, " and starts again\n");
    } else if (wrong != NULL) {
        mm_console_put(request, "error: ");
        mm_console_put(request, wrong);
        mm_console_put(request, " is missing or wrong\n");
    } else {
        mm_console_put(request, err == MM_ERR_STATE ? "error: the device has a network of this or a later revision\n"
                                : err == MM_ERR_BUSY
                                    ? "error: the device was reset and starts again; hand it over then\n"
                                : err == MM_ERR_ARG ? "error: this cannot be a network: check site, broker and router\n"
                                                    : "error: the memory refused; nothing was changed\n");
    }
    mm_wipe(&network, sizeof network);
}

void mm_console_provision(mm_console_request_t *request, mm_possession_t *possession, mm_us_t possession_now,
                          bool (*is_broker)(const char *url)) {
    mm_form_t form;
    if (mm_form_open(&form, request->arguments, strlen(request->arguments)) != MM_OK) {
        mm_console_put(request, "error: this is not a form\n");
    } else if (is_proved(request, &form, possession, possession_now)) {
        take(request, &form, is_broker);
    }
}
