// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "meshmeter/bytes.h"
#include "meshmeter/crc32.h"
#include "setup/setup_internal.h"

// A router that an installer has typed: from the trial to the stored network.

static void forget_router(mm_setup_t *self) {
    mm_wipe(&self->router, sizeof self->router);
    self->has_router = false;
}

static bool is_stored(const mm_setup_t *self, const mm_network_body_t *router) {
    const mm_network_t *network = &self->configuration.network;
    return self->configuration.has_network && strcmp(network->router.ssid, router->ssid) == 0 &&
           strcmp(network->router.password, router->password) == 0;
}

void mmi_setup_follow_trial(mm_setup_t *self) {
    if (self->has_router && !mm_control_is_on_trial(self->control)) {
        forget_router(self);
    }
}

bool mm_setup_try_router(mm_setup_t *self, const mm_network_body_t *router, mm_us_t now) {
    const mm_command_body_t body = {.network = *router};
    mm_control_t *control = self->control;
    bool was_on_trial = mm_control_is_on_trial(control);
    mm_err_t err = mm_control_install(control, MM_COMMAND_NETWORK, MM_COMMAND_WHOLE_NODE, &body, now);
    // A platform whose operating system has the network has said so by now.
    if (err != MM_OK || was_on_trial || !mm_control_is_on_trial(control)) {
        return false;
    }
    self->router = *router;
    self->has_router = true;
    return true;
}

// What a command has set stands above the network that is replaced, and would not stand above the new one.
static mm_err_t take_kept_broker(const mm_setup_t *self, mm_network_t *network) {
    uint8_t text[MM_COMMAND_BODY_BYTES_MAX];
    const mm_actions_t *actions = self->control->actions;
    size_t chars = 0;
    if (actions != NULL && actions->kept_broker != NULL) {
        chars = actions->kept_broker(actions->context, (char *)text, sizeof text);
    }
    if (chars == 0) {
        return MM_OK;
    }
    mm_command_body_t body;
    mm_err_t err = mm_command_body_read(MM_COMMAND_BROKER, text, chars, &body);
    mm_wipe(text, sizeof text);
    if (err == MM_OK) {
        network->broker = body.broker;
    }
    mm_wipe(&body, sizeof body);
    return err;
}

mm_err_t mmi_setup_keep_staged(void *context, bool is_unsealed, mm_us_t now) {
    mm_setup_t *self = context;
    // A command's would stand above the network that the node was opened with, and be forgotten with the next start.
    if (!is_unsealed || !self->has_router) {
        return self->is_renewed && !mm_control_is_answering_router(self->control) ? MM_ERR_STATE : MM_OK;
    }
    mm_err_t err = MM_OK;
    if (!is_stored(self, &self->router)) {
        mm_network_t network = self->configuration.network;
        network.router = self->router;
        network.revision++; // after the highest there is none: it is refused
        err = self->configuration.phase.state == MM_LIFE_FAULT ? MM_ERR_STORAGE
              : self->configuration.has_network                ? take_kept_broker(self, &network)
                                                               : MM_ERR_STATE;
        err = err == MM_OK ? mm_setup_take_network(self, &network, now) : err;
        mm_wipe(&network, sizeof network);
    }
    if (err == MM_ERR_STORAGE) {
        return err;
    }
    forget_router(self); // if it could not become part of the network, it stands above it
    return MM_OK;
}

bool mmi_setup_has_router(void *context, uint32_t body_crc) {
    const mm_setup_t *self = context;
    uint8_t bytes[MM_COMMAND_BODY_BYTES_MAX];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    mm_command_body_t body = {.network = {.ssid = ""}};
    if (self->configuration.phase.state == MM_LIFE_FAULT || !self->configuration.has_network) {
        return false;
    }
    body.network = self->configuration.network.router;
    bool is_body = mm_command_body_put(MM_COMMAND_NETWORK, &body, &writer) == MM_OK;
    bool is_it = is_body && mm_crc32(0, bytes, writer.used_bytes) == body_crc;
    mm_wipe(bytes, sizeof bytes);
    mm_wipe(&body, sizeof body);
    return is_it;
}

bool mm_setup_wants_restart(const mm_setup_t *self, uint32_t opened_revision) {
    const mm_configuration_t *present = &self->configuration;
    uint32_t revision = present->has_network ? present->network.revision : 0;
    // Memory that does not answer says nothing; an installer at work is not thrown out.
    if (present->phase.state == MM_LIFE_FAULT || self->session || (revision == opened_revision && !self->was_reset)) {
        return false;
    }
    return !mm_control_is_answering_router(self->control);
}
