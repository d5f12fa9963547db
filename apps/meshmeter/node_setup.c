// SPDX-License-Identifier: Apache-2.0
#include "node_setup.h"

#include <stdio.h>
#include <string.h>

#include "app.h"
#include "linux/linux_clock.h"
#include "linux/linux_crypto.h"
#include "linux/linux_entropy.h"
#include "linux/linux_log.h"
#include "linux/linux_mqtt.h"

// Two would do; more are worn less.
#define SECTOR_COUNT 4
#define PARKED_SITE "parked"
#define NO_BROKER "mqtt://127.0.0.1:1883"

// --- start ---------------------------------------------------------------------------------------------------------

// A mesh of its own, of which nobody else has the key, and no way out.
static void use_no_network(node_config_t *config) {
    snprintf(config->site, sizeof config->site, PARKED_SITE);
    snprintf(config->mesh_id, sizeof config->mesh_id, PARKED_SITE);
    config->mesh_peers[0] = '\0';
    config->mesh_group[0] = '\0';
    config->router_up = false;
    if (config->broker[0] == '\0') {
        snprintf(config->broker, sizeof config->broker, NO_BROKER); // never asked: there is no way out
    }
    mm_linux_entropy(config->mesh_key, sizeof config->mesh_key);
    config->has_mesh_key = true;
}

static void use_network(node_config_t *config, const mm_network_t *network) {
    snprintf(config->site, sizeof config->site, "%s", network->site);
    if (config->mesh_id[0] == '\0') {
        snprintf(config->mesh_id, sizeof config->mesh_id, "%s", network->site);
    }
    // A network may have come through the mesh, from a node that takes other addresses: this one must start all the
    // same.
    bool good = mm_linux_mqtt_url_is_good(network->broker.url);
    if (!good) {
        mm_linux_log(MM_LOG_ERROR, "the broker of the network is no address that this system takes");
    }
    if (config->broker[0] == '\0') {
        snprintf(config->broker, sizeof config->broker, "%s", good ? network->broker.url : NO_BROKER);
    }
    snprintf(config->broker_user, sizeof config->broker_user, "%s", network->broker.user);
    snprintf(config->broker_password, sizeof config->broker_password, "%s", network->broker.password);
    memcpy(config->mesh_key, network->mesh_key, sizeof config->mesh_key);
    config->has_mesh_key = true;
}

mm_err_t node_setup_prepare(node_setup_t *self, node_config_t *config, mm_linux_message_t *message) {
    char path[NODE_PATH_BYTES];
    self->config = config;
    config->network_is_known = !config->commissioning;
    if (!config->commissioning) {
        return MM_OK;
    }
    if (!app_path(path, sizeof path, config->state_directory, "config.bin")) {
        mm_linux_message_set(message, "%s: the path is too long", config->state_directory);
        return MM_ERR_ARG;
    }
    self->possession = (mm_possession_t){.code = self->label_code};
    if (!node_label_read(config->pop_file, self->label_code, message) ||
        (config->challenge_legacy &&
         mm_linux_secret_read(config->legacy_secret_file, self->secret, sizeof self->secret, message) != MM_OK)) {
        return MM_ERR_ARG;
    }
    mm_err_t err = mm_linux_flash_open(&self->flash, path, SECTOR_COUNT,
                                       config->storage_sync ? MM_LINUX_SYNC_DATA : MM_LINUX_SYNC_NONE, message);
    if (err != MM_OK) {
        return err;
    }
    mm_configuration_store_t store;
    mm_err_t found = mm_configuration_store_open(&store, &self->flash.flash, SECTOR_COUNT, &self->configuration);
    if (found != MM_OK && found != MM_ERR_NOT_FOUND) {
        mm_linux_log(MM_LOG_ERROR, "%s: no configuration can be read: %s", path, mm_err_name(found));
    }
    // Lost is known to be none.
    config->network_is_known = found == MM_OK || found == MM_ERR_NOT_FOUND || found == MM_ERR_CORRUPT;
    if (found == MM_OK && self->configuration.has_network) {
        config->network_revision = self->configuration.network.revision;
        use_network(config, &self->configuration.network);
    } else {
        memcpy(self->door_peers, config->mesh_peers, sizeof self->door_peers);
        memcpy(self->door_group, config->mesh_group, sizeof self->door_group);
        use_no_network(config);
    }
    return MM_OK;
}

static void answer_request(void *context, const mm_http_request_t *request, mm_http_answer_t *answer) {
    node_setup_t *self = context;
    mm_configurator_answer(&self->setup, request, *self->now, answer);
}

static mm_err_t open_page(node_setup_t *self, mm_linux_loop_t *loop, mm_linux_message_t *message) {
    if (self->config->configurator[0] == '\0') {
        return MM_OK;
    }
    const mm_linux_configurator_options_t options = {
        .address = self->config->configurator, .answer = answer_request, .context = self};
    mm_err_t err = mm_linux_configurator_open(&self->page, loop, &options, message);
    if (err == MM_OK) {
        snprintf(self->page_url, sizeof self->page_url, "http://%s/", mm_linux_configurator_address(&self->page));
        mm_linux_log(MM_LOG_INFO, "the page of this node is at %s", self->page_url);
    }
    return err;
}

mm_err_t node_setup_open(node_setup_t *self, mm_node_t *node, const mm_crypto_t *crypto, mm_linux_loop_t *loop,
                         const mm_us_t *now, mm_linux_message_t *message) {
    if (!self->config->commissioning) {
        return MM_OK;
    }
    const mm_setup_options_t options = {.mac = self->config->mac,
                                        .method = self->config->challenge_legacy ? mm_challenge_legacy : NULL,
                                        .legacy_secret = self->config->challenge_legacy ? self->secret : NULL};
    self->node = node;
    self->now = now;
    self->entropy = mm_linux_entropy_port();
    self->log = mm_linux_log_port();
    mm_setup_open(&self->setup, &options, &self->flash.flash, SECTOR_COUNT, &node->metering, &node->control, crypto,
                  &self->entropy, &node->counters, &self->log, *now);
    self->is_open = true;
    mm_linux_log(MM_LOG_INFO, "commissioning: %s", mm_life_state_name(self->setup.configuration.phase.state));
    return open_page(self, loop, message);
}

mm_err_t node_setup_open_door(node_setup_t *self, mm_linux_mesh_t *mesh, mm_linux_message_t *message) {
    if (!self->is_open || !self->config->door) {
        return MM_OK;
    }
    mm_err_t err = mm_linux_mesh_open_door(mesh, &self->door, self->door_peers, self->door_group, message);
    if (err == MM_OK) {
        mm_node_open_join(self->node, &self->setup, &self->door.door, *self->now);
        self->has_door = true;
    }
    return err;
}

void node_setup_take_door(node_setup_t *self, mm_us_t now) {
    mm_mac_t from;
    uint8_t bytes[MM_DOOR_PACKET_BYTES_MAX];
    size_t bytes_count = 0;
    while (self->has_door && mm_linux_door_next(&self->door, &from, bytes, &bytes_count)) {
        mm_node_on_door(self->node, from, bytes, bytes_count, now);
    }
}

mm_us_t node_setup_poll(node_setup_t *self, mm_us_t now) {
    if (!self->is_open) {
        return MM_US_NEVER;
    }
    mm_us_t deadline = mm_setup_poll(&self->setup, now);
    // However it came or went: what is open now belongs to the network of the start.
    if (!self->restart_due && mm_setup_wants_restart(&self->setup, self->config->network_revision)) {
        self->restart_due = true;
        mm_linux_log(MM_LOG_INFO, "another network: the node starts again in it");
    }
    return deadline;
}

int64_t node_setup_serve(node_setup_t *self, int64_t real_us) {
    return self->is_open ? mm_linux_configurator_poll(&self->page, real_us) : MM_US_NEVER;
}

void node_setup_close(node_setup_t *self) {
    mm_linux_configurator_close(&self->page);
    if (self->config != NULL && self->config->commissioning) {
        mm_linux_flash_close(&self->flash);
    }
    explicit_bzero(self->secret, sizeof self->secret);
    explicit_bzero(self->label_code, sizeof self->label_code);
    self->is_open = false;
}

// --- display -------------------------------------------------------------------------------------------------------

static void show_number(void *context) {
    node_setup_t *self = context;
    self->number_until = *self->now + MM_CHALLENGE_LIFE_S * MM_US_PER_S;
}

// What the display says of a configuration that is out of order, at most three lines of 21 characters; or NULL.
static const char *find_fault(const mm_setup_t *setup) {
    const mm_configuration_t *present = &setup->configuration;
    if (present->phase.state == MM_LIFE_FAULT) {
        return setup->store.is_later_version ? "The configuration is\nof a later version:\nupdate the program"
                                             : "The memory of the\nconfiguration does\nnot answer";
    }
    // There was one, and none is whole.
    bool is_lost = setup->store.damaged > 0 && !present->has_network && !present->has_installation;
    return is_lost ? "Configuration is lost\nHand over the network\nand install again" : NULL;
}

mm_node_panel_facts_t node_setup_facts(node_setup_t *self, bool router_up, mm_us_t now) {
    if (!self->is_open) {
        return (mm_node_panel_facts_t){.state = MM_LIFE_RUNNING, .router_up = router_up};
    }
    mm_challenge_t *challenge = &self->setup.challenge;
    mm_life_state_t state = self->setup.configuration.phase.state;
    mm_node_panel_facts_t facts = {.state = state,
                                   .router_up = router_up,
                                   .wait_s = mm_lock_out_wait_s(&challenge->lock_out, now),
                                   .address = self->page_url[0] != '\0' ? self->page_url : NULL,
                                   .fault = find_fault(&self->setup),
                                   .configure = show_number,
                                   .context = self};
    const mm_join_t *join = &self->node->join;
    facts.is_asking = self->has_door && state == MM_LIFE_PARKED && join->state == MM_JOIN_ASKING;
    facts.heard = facts.is_asking && join->heard_site[0] != '\0' ? join->heard_site : NULL;
    // Somebody who was installed long ago does not want to see it, unless it is asked for.
    bool wanted = state == MM_LIFE_PROVISIONED ||
                  ((state == MM_LIFE_AWAITING || state == MM_LIFE_RUNNING) && now < self->number_until);
    facts.has_number = wanted && mm_setup_number(&self->setup, now, &facts.number);
    facts.number_left_s = facts.has_number ? mm_us_seconds_until(challenge->expires_at, now) : 0;
    return facts;
}

// --- control socket ------------------------------------------------------------------------------------------------

void node_setup_print(node_setup_t *self, mm_us_t now, mm_linux_answer_t *answer) {
    uint32_t number = 0;
    mm_life_state_t state = self->setup.configuration.phase.state;
    mm_linux_answer_print(answer, "{\"phase\":\"%s\"", mm_life_state_name(state));
    if (mm_setup_number(&self->setup, now, &number)) {
        mm_linux_answer_print(answer, ",\"number\":\"%u\"", (unsigned)number);
    }
    if (self->page_url[0] != '\0') {
        mm_linux_answer_print(answer, ",\"page\":\"%s\"", self->page_url);
    }
    const char *fault = find_fault(&self->setup);
    if (fault != NULL) {
        char text[MM_PANEL_FAULT_CHARS_MAX + 1];
        snprintf(text, sizeof text, "%s", fault);
        for (char *end = strchr(text, '\n'); end != NULL; end = strchr(end, '\n')) {
            *end = ' ';
        }
        mm_linux_answer_print(answer, ",\"fault\":\"%s\"", text);
    }
    if (self->has_door && self->node->join.state == MM_JOIN_ASKING) {
        // What a mesh says of itself before HQ has said its word is not proved: plain, but no more than that.
        mm_linux_answer_print(answer, ",\"asking\":true,\"heard\":\"%s\"", self->node->join.heard_site);
    }
    mm_linux_answer_print(answer, ",\"revision\":%u}\n", (unsigned)self->setup.configuration.installation.revision);
}
