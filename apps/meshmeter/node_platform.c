// SPDX-License-Identifier: Apache-2.0
#include "node_platform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "linux/linux_log.h"
#include "supervisor.h"

static void relay_told(void *context, uint8_t channel, bool closed) {
    const node_platform_t *self = context;
    node_source_set_supply(self->source, channel, closed, mm_linux_clock_utc_at(self->clock, *self->now));
}

static mm_err_t open_relays(node_platform_t *self, mm_linux_sync_t sync, mm_linux_message_t *message) {
    const node_config_t *config = self->config;
    char path[NODE_PATH_BYTES];
    if (config->relays == NODE_RELAYS_NONE) {
        return MM_OK;
    }
    if (!app_path(path, sizeof path, config->state_directory, "relays")) {
        mm_linux_message_set(message, "%s: the path is too long", config->state_directory);
        return MM_ERR_ARG;
    }
    mm_linux_relay_options_t options = {.path = path,
                                        .sync = sync,
                                        .chip = config->relays == NODE_RELAYS_GPIO ? config->relays_chip : NULL,
                                        .line_count = config->relay_line_count,
                                        .told = relay_told,
                                        .told_context = self};
    memcpy(options.lines, config->relay_lines, sizeof options.lines);
    return mm_linux_relay_open(&self->relay, &options, message);
}

mm_err_t node_platform_open(node_platform_t *self, const node_config_t *config, node_source_t *source,
                            const mm_linux_clock_t *clock, const mm_us_t *now, mm_linux_message_t *message) {
    self->config = config;
    self->source = source;
    self->clock = clock;
    self->now = now;
    mm_linux_sync_t sync = config->storage_sync ? MM_LINUX_SYNC_DATA : MM_LINUX_SYNC_NONE;
    const char *key_file = config->device_key_file[0] != '\0' ? config->device_key_file : NULL;
    const mm_linux_actions_options_t actions = {.state_directory = config->state_directory,
                                                .sync = sync,
                                                .url_is_good = mm_linux_mqtt_url_is_good,
                                                .network_is_known = config->network_is_known,
                                                .network_revision = config->network_revision};
    mm_err_t err = mm_linux_crypto_open(&self->crypto, key_file, message);
    err = err == MM_OK ? open_relays(self, sync, message) : err;
    return err == MM_OK ? mm_linux_actions_open(&self->actions, &actions, message) : err;
}

void node_platform_close(node_platform_t *self) {
    mm_linux_actions_close(&self->actions);
    mm_linux_relay_close(&self->relay);
    mm_linux_crypto_close(&self->crypto);
}

bool node_platform_open_legacy(node_platform_t *self, const mm_legacy_t **legacy, mm_linux_message_t *message) {
    const node_config_t *config = self->config;
    char text[128];
    uint8_t secret[MM_LEGACY_SECRET_BYTES] = {0};
    *legacy = NULL;
    if (!config->legacy_commands) {
        return true;
    }
    if (mm_linux_secret_read(config->legacy_secret_file, text, sizeof text, message) != MM_OK) {
        return false;
    }
    size_t chars = strlen(text);
    memcpy(secret, text, chars < sizeof secret ? chars : sizeof secret);
    explicit_bzero(text, sizeof text);
    if (chars == 0) {
        mm_linux_message_set(message, "%s: is empty; a secret is needed", config->legacy_secret_file);
        return false;
    }
    mm_legacy_control_open(&self->legacy, secret);
    explicit_bzero(secret, sizeof secret);
    *legacy = &self->legacy.legacy;
    return true;
}

const mm_relay_t *node_platform_relay(const node_platform_t *self) {
    return self->config->relays != NODE_RELAYS_NONE ? &self->relay.relay : NULL;
}

// --- broker --------------------------------------------------------------------------------------------------------

// The line "USER:PASSWORD" of the password file, split in place; text is the caller's to forget.
static bool read_password(const char *path, char **text, const char **user, const char **password) {
    size_t size = 0;
    *text = app_read_file(path, 1024, &size);
    char *colon = *text != NULL ? strchr(*text, ':') : NULL;
    if (colon == NULL) {
        return false;
    }
    (*text)[strcspn(*text, "\r\n")] = '\0';
    *colon = '\0';
    *user = *text;
    *password = colon + 1;
    return true;
}

static void forget(char *text, const char *password) {
    if (text != NULL && password != NULL) {
        explicit_bzero(text + (password - text), strlen(password));
    }
    free(text);
}

// Address and credentials to be used. `text` is the caller's to forget.
static mm_err_t find_broker(const node_platform_t *self, char **text, const char **url, const char **user,
                            const char **password, mm_linux_message_t *message) {
    const node_config_t *config = self->config;
    const mm_linux_broker_t *broker = &self->actions.broker;
    if (self->actions.has_broker) {
        *url = broker->url;
        *user = broker->user[0] != '\0' ? broker->user : NULL;
        *password = broker->user[0] != '\0' ? broker->password : NULL;
        return MM_OK;
    }
    *url = config->broker;
    if (config->broker_user[0] != '\0') {
        *user = config->broker_user;
        *password = config->broker_password;
        return MM_OK;
    }
    if (config->broker_password_file[0] != '\0' && !read_password(config->broker_password_file, text, user, password)) {
        mm_linux_message_set(message, "%s: cannot be read, or is not one line USER:PASSWORD",
                             config->broker_password_file);
        return MM_ERR_STORAGE;
    }
    return MM_OK;
}

mm_err_t node_platform_open_mqtt(node_platform_t *self, mm_linux_mqtt_t *mqtt, mm_linux_message_t *message) {
    const node_config_t *config = self->config;
    char client_id[32];
    const uint8_t *mac = config->mac.bytes;
    char *text = NULL;
    snprintf(client_id, sizeof client_id, "mm-%02x%02x%02x%02x%02x%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
             mac[5]);
    mm_linux_mqtt_options_t options = {.client_id = client_id,
                                       .ca_file = config->broker_ca_file[0] != '\0' ? config->broker_ca_file : NULL,
                                       .version_5 = config->mqtt_5};
    mm_err_t err = find_broker(self, &text, &options.url, &options.user, &options.password, message);
    err = err == MM_OK ? mm_linux_mqtt_open(mqtt, &options, message) : err;
    forget(text, options.password);
    return err;
}

void node_platform_follow_broker(node_platform_t *self, mm_linux_mqtt_t *mqtt) {
    if (!self->actions.broker_changed) {
        return;
    }
    char *text = NULL;
    const char *url = NULL;
    const char *user = NULL;
    const char *password = NULL;
    mm_linux_message_t message;
    mm_err_t err = find_broker(self, &text, &url, &user, &password, &message);
    if (err != MM_OK) {
        mm_linux_log(MM_LOG_ERROR, "%s; the broker stays as it is", message.text);
    } else {
        err = mm_linux_mqtt_set_broker(mqtt, url, user, password);
    }
    // The session that is under way ends first.
    self->actions.broker_changed = err == MM_ERR_BUSY || err == MM_ERR_FULL;
    forget(text, text != NULL ? password : NULL);
}

// --- restart -------------------------------------------------------------------------------------------------------

int node_platform_restart(const char *config_path) {
    if (getenv(SUPERVISED_VARIABLE) != NULL) {
        return APP_RESTART;
    }
    execl("/proc/self/exe", "meshmeter", "node", "--config", config_path, (char *)NULL);
    return app_error(APP_ENVIRONMENT, "node", "cannot be executed again: %s", strerror(errno));
}
