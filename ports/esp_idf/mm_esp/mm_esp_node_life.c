// SPDX-License-Identifier: Apache-2.0
// What the radio is used for, and with it the life of the node: parked, in its mesh, or open for an installer.
#include <esp_idf_version.h>
#include <stdio.h>
#include <string.h>

#include "meshmeter/bytes.h"
#include "mm_esp_node_internal.h"
#include "mm_esp_page.h"

static const mm_configuration_t *configuration_of(const mm_esp_node_t *self) {
    return self->node.has_setup ? &self->node.setup.configuration : NULL;
}

static bool has_network(const mm_esp_node_t *self) {
    const mm_configuration_t *configuration = configuration_of(self);
    return configuration != NULL && configuration->has_network;
}

// --- credentials ----------------------------------------------------------------------------------------------------

static void find_router(const mm_esp_node_t *self, mm_esp_router_t *router) {
    if (self->settings.has_router) {
        *router = self->settings.router;
        return;
    }
    memset(router, 0, sizeof *router);
    if (has_network(self)) {
        const mm_network_t *network = &configuration_of(self)->network;
        memcpy(router->name, network->router.ssid, sizeof router->name);
        memcpy(router->password, network->router.password, sizeof router->password);
    }
}

static void find_broker(const mm_esp_node_t *self, const mm_network_t *network, mm_esp_broker_t *broker) {
    if (self->settings.has_broker) {
        *broker = self->settings.broker;
        return;
    }
    memset(broker, 0, sizeof *broker);
    if (network != NULL) {
        memcpy(broker->url, network->broker.url, sizeof broker->url);
        memcpy(broker->user, network->broker.user, sizeof broker->user);
        memcpy(broker->password, network->broker.password, sizeof broker->password);
    }
}

void mm_esp_life_open_broker(mm_esp_node_t *self, const mm_network_t *network) {
    mm_esp_broker_t broker;
    find_broker(self, network, &broker);
    if (broker.url[0] != '\0' && !mm_esp_mqtt_url_is_good(broker.url)) {
        mm_esp_log(MM_LOG_ERROR, "the broker of the network is no address that this node takes");
    }
    mm_esp_mqtt_open(&self->mqtt, self->mac, &broker, NULL);
    mm_wipe(&broker, sizeof broker);
}

void mm_esp_life_use_broker(mm_esp_node_t *self) {
    mm_esp_broker_t broker;
    find_broker(self, has_network(self) ? &configuration_of(self)->network : NULL, &broker);
    // A session that is under way ends first; it is asked again in the next turn.
    self->broker_changed = mm_esp_mqtt_set_broker(&self->mqtt, &broker) == MM_ERR_BUSY;
    mm_wipe(&broker, sizeof broker);
}

void mm_esp_life_use_router(mm_esp_node_t *self) {
    mm_esp_router_t router;
    self->life.retry_at = 0;
    if (!self->life.mesh_was_opened || self->life.job == MM_ESP_LIFE_OPEN_MESH) {
        return; // opened with it
    }
    find_router(self, &router);
    mm_err_t err = mm_esp_mesh_set_router(&self->mesh, &router);
    self->router_changed = err == MM_ERR_BUSY; // asked again in the next turn
    if (err != MM_OK && err != MM_ERR_BUSY) {
        mm_esp_log(MM_LOG_WARNING, "the mesh takes the router when it opens: %s", mm_err_name(err));
    }
    mm_wipe(&router, sizeof router);
}

// --- the worker's part: opening and closing wait for the SDK ---------------------------------------------------------

static bool post_network(void *context) {
    (void)context;
    return mm_esp_owner_post_wake();
}

static bool post_request(void *context, uint32_t number) {
    (void)context;
    return mm_esp_owner_post_request(number);
}

// Without Bluetooth the node still asks at doors.
static mm_err_t open_parked(mm_esp_node_t *self) {
    const mm_esp_provisioning_options_t options = {
        .idf_version = ESP_IDF_VERSION, .pop = self->settings.pop, .mac = self->mac, .post = post_network};
    mm_err_t err = mm_esp_radio_open(MM_ESP_RADIO_STATION);
    if (err != MM_OK) {
        return err;
    }
    mm_err_t bluetooth = mm_esp_provisioning_open(&self->shared.provisioning, &options);
    self->life.has_bluetooth = bluetooth == MM_OK;
    if (bluetooth == MM_ERR_STATE) {
        mm_esp_log(MM_LOG_WARNING, "no label: nobody can hand over a network by Bluetooth");
    } else if (bluetooth != MM_OK) {
        mm_esp_log(MM_LOG_WARNING, "Bluetooth: %s", mm_err_name(bluetooth));
    }
    return MM_OK;
}

// The first time; later it is paused and resumed. What the radio refused it tries again by itself.
static mm_err_t open_mesh(mm_esp_node_t *self) {
    const mm_network_t *network = &configuration_of(self)->network;
    mm_esp_router_t router;
    find_router(self, &router);
    const mm_esp_mesh_options_t options = {
        .mac = self->mac, .site = network->site, .mesh_key = network->mesh_key, .router = &router};
    mm_err_t err = mm_esp_mesh_open(&self->mesh, &options);
    mm_wipe(&router, sizeof router);
    self->life.mesh_was_opened = err == MM_OK || err == MM_ERR_UNAVAILABLE;
    return self->life.mesh_was_opened ? MM_OK : err;
}

static mm_err_t open_page(mm_esp_node_t *self) {
    uint8_t random[MM_ESP_CONFIGURATOR_PASSWORD_CHARS];
    char name[] = "MM-XXXXXX";
    const uint8_t *mac = self->mac.bytes;
    mm_esp_configurator_options_t options = {.post = post_request, .context = self};
    options.page = mm_esp_page(&options.page_bytes);
    mm_esp_entropy_open(); // the radio is off; it ends this when it opens
    mm_err_t err = mm_esp_entropy_fill(random, sizeof random);
    if (err == MM_OK) {
        mm_esp_configurator_password(random, self->life.password);
        (void)snprintf(name, sizeof name, "MM-%02X%02X%02X", mac[3], mac[4], mac[5]);
        err = mm_esp_configurator_init(&self->shared.page, &options);
    }
    mm_wipe(random, sizeof random);
    err = err == MM_OK ? mm_esp_radio_open_access_point(name, self->life.password) : err;
    if (err == MM_OK && mm_esp_configurator_open(&self->shared.page) != MM_OK) {
        mm_esp_radio_close();
        err = MM_ERR_UNAVAILABLE;
    }
    // Two lines of the display: network and address, then the password.
    (void)snprintf(self->life.address, sizeof self->life.address, "%s 192.168.4.1 key %s", name, self->life.password);
    return err;
}

// Its task may be with a client that is slow: once more, and then in another job.
static mm_err_t close_page(mm_esp_node_t *self) {
    bool is_closed = false;
    for (int i = 0; i < 2 && !is_closed; i++) {
        is_closed = mm_esp_configurator_close(&self->shared.page);
    }
    if (!is_closed) {
        return MM_ERR_BUSY;
    }
    mm_esp_radio_close();
    return MM_OK;
}

static void run_job(void *context) {
    mm_esp_node_t *self = context;
    mm_esp_life_t *life = &self->life;
    switch (life->job) {
    case MM_ESP_LIFE_OPEN_PARKED:
        life->job_result = open_parked(self);
        break;
    case MM_ESP_LIFE_OPEN_MESH:
        life->job_result = open_mesh(self);
        break;
    case MM_ESP_LIFE_OPEN_PAGE:
        life->job_result = open_page(self);
        break;
    case MM_ESP_LIFE_CLOSE_PAGE:
        life->job_result = close_page(self);
        break;
    case MM_ESP_LIFE_NO_JOB:
    default:
        break;
    }
}

// --- the owner's part ------------------------------------------------------------------------------------------------

static void give_job(mm_esp_node_t *self, mm_esp_life_job_t job, mm_us_t now) {
    mm_esp_life_t *life = &self->life;
    life->job = job;
    mm_err_t err = mm_esp_owner_give_job(run_job, self, now + MM_ESP_NODE_OPEN_S * MM_US_PER_S, &life->job_number);
    if (err != MM_OK) {
        life->job = MM_ESP_LIFE_NO_JOB;
        // Busy: in a later turn. Without a worker there is no radio, and the node meters.
        life->retry_at = now + (err == MM_ERR_BUSY ? MM_US_PER_S / 10 : MM_ESP_NODE_RETRY_S * MM_US_PER_S);
    }
}

// What was begun by the worker, and what the owner begins by itself behind it.
static void enter(mm_esp_node_t *self, mm_esp_use_t use, mm_us_t now) {
    self->life.use = use;
    if (use == MM_ESP_USE_NOTHING || use == MM_ESP_USE_PAGE) {
        return;
    }
    (void)mm_esp_door_open(&self->door, use == MM_ESP_USE_PARKED); // refused: it tries again by itself
    self->life.has_door = true;
    // The core has its table once, and it follows the port.
    if (!self->node.has_join && self->node.has_control) {
        mm_node_open_join(&self->node, &self->node.setup, &self->door.door, now);
    }
}

static void leave(mm_esp_node_t *self) {
    if (self->life.has_door) {
        mm_esp_door_close(&self->door);
        self->life.has_door = false;
    }
    self->life.use = MM_ESP_USE_NOTHING;
}

void mm_esp_life_end_job(mm_esp_node_t *self, uint32_t number, mm_us_t now) {
    mm_esp_life_t *life = &self->life;
    if (life->job == MM_ESP_LIFE_NO_JOB || number != life->job_number) {
        return;
    }
    mm_esp_life_job_t job = life->job;
    life->job = MM_ESP_LIFE_NO_JOB;
    if (job == MM_ESP_LIFE_CLOSE_PAGE && life->job_result == MM_OK) {
        leave(self);
        mm_wipe(&self->shared, sizeof self->shared);
        mm_wipe(life->password, sizeof life->password);
        mm_wipe(life->address, sizeof life->address);
    } else if (life->job_result != MM_OK) {
        mm_esp_log(MM_LOG_ERROR, "the radio does not open or close: %s", mm_err_name(life->job_result));
        life->opens_failed++;
        life->retry_at = now + MM_ESP_NODE_RETRY_S * MM_US_PER_S;
    } else if (job == MM_ESP_LIFE_OPEN_PARKED) {
        enter(self, MM_ESP_USE_PARKED, now);
    } else {
        enter(self, job == MM_ESP_LIFE_OPEN_MESH ? MM_ESP_USE_MESH : MM_ESP_USE_PAGE, now);
    }
}

static void open_use(mm_esp_node_t *self, mm_esp_use_t wanted, mm_us_t now) {
    if (wanted == MM_ESP_USE_PARKED) {
        give_job(self, MM_ESP_LIFE_OPEN_PARKED, now);
    } else if (wanted == MM_ESP_USE_PAGE) {
        give_job(self, MM_ESP_LIFE_OPEN_PAGE, now);
    } else if (wanted == MM_ESP_USE_MESH && self->life.mesh_was_opened) {
        mm_esp_mesh_resume(&self->mesh);
        enter(self, MM_ESP_USE_MESH, now);
    } else if (wanted == MM_ESP_USE_MESH) {
        give_job(self, MM_ESP_LIFE_OPEN_MESH, now);
    }
}

// The page needs the radio, and the memory of the batches: the core must have heard that there is no router.
static void leave_mesh(mm_esp_node_t *self) {
    mm_esp_mesh_pause(&self->mesh);
    self->life.is_leaving = true;
    if (mm_esp_mesh_is_paused(&self->mesh) && !self->node.ip_up) {
        self->life.is_leaving = false;
        leave(self);
    }
}

static void follow_wanted(mm_esp_node_t *self, mm_esp_use_t wanted, mm_us_t now) {
    mm_esp_life_t *life = &self->life;
    if (wanted == life->use) {
        if (life->is_leaving) {
            mm_esp_mesh_resume(&self->mesh); // back again before it was gone
            life->is_leaving = false;
        }
    } else if (life->use == MM_ESP_USE_NOTHING) {
        open_use(self, wanted, now);
    } else if (life->use == MM_ESP_USE_PAGE) {
        give_job(self, MM_ESP_LIFE_CLOSE_PAGE, now);
    } else if (life->use == MM_ESP_USE_MESH) {
        leave_mesh(self);
    }
}

// --- what is wanted -------------------------------------------------------------------------------------------------

// A person has the time of one number to come in; a session then keeps the page open by itself.
static bool page_is_wanted(mm_esp_node_t *self, mm_us_t now) {
    mm_esp_life_t *life = &self->life;
    bool session = self->node.setup.session;
    if (life->had_session && !session) {
        life->page_until = now + MM_ESP_NODE_PAGE_LINGER_S * MM_US_PER_S;
    }
    life->had_session = session;
    return session || now < life->page_until;
}

static mm_esp_use_t wanted_use(mm_esp_node_t *self, mm_us_t now) {
    if (!self->has_mac || !self->node.has_setup) {
        return MM_ESP_USE_NOTHING;
    }
    bool has_page = page_is_wanted(self, now);
    if (!has_network(self)) {
        // Memory that does not answer may have one: nobody is asked for another.
        return self->node.setup.configuration.phase.state == MM_LIFE_PARKED ? MM_ESP_USE_PARKED : MM_ESP_USE_NOTHING;
    }
    return has_page ? MM_ESP_USE_PAGE : MM_ESP_USE_MESH;
}

static void configure(void *context) {
    mm_esp_node_t *self = context;
    if (has_network(self)) {
        self->life.page_until = mm_esp_owner_now() + MM_CHALLENGE_LIFE_S * MM_US_PER_S;
        self->life.retry_at = 0;
    }
}

void mm_esp_life_open(mm_esp_node_t *self, mm_us_t now) {
    mm_esp_life_t *life = &self->life;
    *life = (mm_esp_life_t){.page_until = now};
    if (!self->node.has_setup) {
        return;
    }
    const mm_configuration_t *configuration = configuration_of(self);
    life->revision = configuration->has_network ? configuration->network.revision : 0;
    mm_esp_log(MM_LOG_INFO, "commissioning: %s", mm_life_state_name(configuration->phase.state));
    if (configuration->has_network) {
        mm_esp_provisioning_close(&self->shared.provisioning); // for Bluetooth's memory alone
    }
    // Somebody has just brought this device here: the installer stands before it.
    if (configuration->phase.state == MM_LIFE_PROVISIONED) {
        life->page_until = now + MM_CHALLENGE_LIFE_S * MM_US_PER_S;
    }
}

// --- turns ----------------------------------------------------------------------------------------------------------

static void take_network(mm_esp_node_t *self, mm_us_t now) {
    mm_network_t network;
    if (!self->life.has_bluetooth || !mm_esp_provisioning_take(&self->shared.provisioning, &network, now)) {
        return;
    }
    mm_err_t err = mm_esp_mqtt_url_is_good(network.broker.url) ? mm_setup_take_network(&self->node.setup, &network, now)
                                                               : MM_ERR_ARG;
    bool is_noted = mm_esp_provisioning_settle(&self->shared.provisioning, err == MM_OK, now);
    self->life.phone_waits = err == MM_OK && is_noted; // a phone that will hear nothing is not waited for
    mm_esp_log(err == MM_OK ? MM_LOG_INFO : MM_LOG_WARNING, "network from Bluetooth: %s", mm_err_name(err));
    mm_wipe(&network, sizeof network);
}

// However it came or went: what is open belongs to the network of the start. A phone hears first how it went.
static void follow_network(mm_esp_node_t *self, mm_us_t now) {
    mm_esp_life_t *life = &self->life;
    if (life->phone_waits && mm_esp_provisioning_is_over(&self->shared.provisioning, now)) {
        life->phone_waits = false;
    }
    if (!life->phone_waits && mm_setup_wants_restart(&self->node.setup, life->revision)) {
        mm_esp_node_restart(self, "another network", now);
    }
}

mm_us_t mm_esp_life_poll(mm_esp_node_t *self, mm_us_t now) {
    mm_esp_life_t *life = &self->life;
    bool worker_has_it = life->job != MM_ESP_LIFE_NO_JOB;
    if (self->node.has_setup && !worker_has_it) {
        take_network(self, now);
        follow_network(self, now);
    }
    mm_esp_use_t wanted = wanted_use(self, now);
    if (!worker_has_it && now >= life->retry_at && !self->is_restarting) {
        follow_wanted(self, wanted, now);
    }
    if (life->has_door) {
        mm_esp_door_poll(&self->door);
    }
    mm_us_t deadline = life->page_until > now ? life->page_until : MM_US_NEVER;
    deadline = life->retry_at > now ? mm_us_earlier(deadline, life->retry_at) : deadline;
    // Also while it is paused, so that it closes.
    bool is_mesh = life->mesh_was_opened && life->job != MM_ESP_LIFE_OPEN_MESH;
    return is_mesh ? mm_us_earlier(deadline, mm_esp_mesh_poll(&self->mesh, now)) : deadline;
}

void mm_esp_life_serve(mm_esp_node_t *self, uint32_t number, mm_us_t now) {
    if (self->life.use == MM_ESP_USE_PAGE) {
        (void)mm_esp_configurator_serve(&self->shared.page, number, &self->node.setup, now);
    }
}

void mm_esp_life_fill(mm_esp_node_t *self, mm_us_t now, mm_node_panel_facts_t *facts) {
    *facts = (mm_node_panel_facts_t){.state = MM_LIFE_FAULT,
                                     .fault = mm_esp_storage_fault(self),
                                     // The SDK does not say how long an image is: under way, no more.
                                     .ota_percent = self->ota.state != MM_ESP_OTA_IDLE ? 0 : MM_PANEL_OTA_NONE,
                                     .uptime_s = (uint32_t)(now / MM_US_PER_S),
                                     .router_up = self->node.ip_up,
                                     .configure = configure,
                                     .context = self};
    if (!self->node.has_setup) {
        facts->fault = facts->fault != NULL ? facts->fault : "No configuration can\nbe read";
        return;
    }
    mm_setup_t *setup = &self->node.setup;
    bool page = self->life.use == MM_ESP_USE_PAGE;
    facts->state = setup->configuration.phase.state;
    facts->wait_s = mm_lock_out_wait_s(&setup->challenge.lock_out, now);
    facts->address = page ? self->life.address : NULL;
    facts->is_asking = self->life.use == MM_ESP_USE_PARKED && self->life.has_door && self->node.has_join &&
                       self->node.join.state == MM_JOIN_ASKING;
    facts->heard = facts->is_asking && self->node.join.heard_site[0] != '\0' ? self->node.join.heard_site : NULL;
    // Somebody who was installed long ago does not want to see it, unless it is asked for.
    bool wanted = page && !setup->session;
    facts->has_number = wanted && mm_setup_number(setup, now, &facts->number);
    facts->number_left_s = facts->has_number ? mm_us_seconds_until(setup->challenge.expires_at, now) : 0;
}
