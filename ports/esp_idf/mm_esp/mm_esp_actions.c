// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_actions.h"

#include <stdio.h>

#include "meshmeter/bytes.h"
#include "mm_esp_log.h"

static mm_err_t display_on(void *context, uint32_t seconds) {
    const mm_esp_actions_options_t *options = &((mm_esp_actions_t *)context)->options;
    if (options->display_on == NULL) {
        return MM_ERR_UNAVAILABLE;
    }
    options->display_on(options->context, seconds);
    return MM_OK;
}

static mm_err_t find(void *context, uint32_t seconds) {
    const mm_esp_actions_options_t *options = &((mm_esp_actions_t *)context)->options;
    if (options->find == NULL) {
        return MM_ERR_UNAVAILABLE;
    }
    options->find(options->context, seconds);
    return MM_OK;
}

static void reboot(void *context) {
    const mm_esp_actions_options_t *options = &((mm_esp_actions_t *)context)->options;
    options->reboot(options->context);
}

static void use_router(const mm_esp_actions_t *self) {
    const mm_esp_settings_t *settings = self->options.settings;
    self->options.use_router(self->options.context, settings->has_router ? &settings->router : NULL);
}

static void use_broker(const mm_esp_actions_t *self) {
    const mm_esp_settings_t *settings = self->options.settings;
    self->options.use_broker(self->options.context, settings->has_broker ? &settings->broker : NULL);
}

static mm_err_t stage_router(mm_esp_actions_t *self, const char *text, size_t text_chars) {
    mm_esp_router_t router;
    if (!mm_esp_router_parse(text, text_chars, &router)) {
        return MM_ERR_ARG;
    }
    mm_err_t err = mm_esp_settings_try_router(self->options.settings, &router);
    mm_wipe(&router, sizeof router);
    if (err == MM_OK) {
        mm_esp_log(MM_LOG_INFO, "another router is tried");
        use_router(self);
    }
    return err;
}

static mm_err_t stage_broker(mm_esp_actions_t *self, const char *text, size_t text_chars) {
    mm_esp_broker_t broker;
    bool good = mm_esp_broker_parse(text, text_chars, &broker) && self->options.url_is_good(broker.url);
    mm_err_t err = good ? mm_esp_settings_try_broker(self->options.settings, &broker) : MM_ERR_ARG;
    mm_wipe(&broker, sizeof broker);
    if (err == MM_OK) {
        mm_esp_log(MM_LOG_INFO, "another broker is tried");
        use_broker(self);
    }
    return err;
}

static mm_err_t stage(void *context, mm_staged_kind_t kind, const char *text, size_t text_chars) {
    switch (kind) {
    case MM_STAGED_NETWORK:
        return stage_router(context, text, text_chars);
    case MM_STAGED_BROKER:
        return stage_broker(context, text, text_chars);
    case MM_STAGED_NONE:
    default:
        return MM_ERR_UNAVAILABLE;
    }
}

static mm_err_t settle(void *context, mm_staged_kind_t kind, bool keep) {
    mm_esp_actions_t *self = context;
    mm_esp_settings_t *settings = self->options.settings;
    mm_err_t err = MM_ERR_UNAVAILABLE;
    if (kind == MM_STAGED_NETWORK) {
        bool was_on_trial = settings->router_on_trial;
        err = mm_esp_settings_settle_router(settings, keep);
        if (err == MM_OK && !keep && was_on_trial) {
            use_router(self);
        }
    } else if (kind == MM_STAGED_BROKER) {
        bool was_on_trial = settings->broker_on_trial;
        err = mm_esp_settings_settle_broker(settings, keep);
        if (err == MM_OK && !keep && was_on_trial) {
            use_broker(self);
        }
    }
    return err;
}

static size_t kept_broker(void *context, char *text, size_t capacity_bytes) {
    const mm_esp_settings_t *settings = ((mm_esp_actions_t *)context)->options.settings;
    const mm_esp_broker_t *broker = &settings->broker;
    if (!settings->has_broker || settings->broker_on_trial) {
        return 0;
    }
    int chars = snprintf(text, capacity_bytes, "%s\n%s\n%s", broker->url, broker->user, broker->password);
    return chars > 0 && (size_t)chars < capacity_bytes ? (size_t)chars : 0;
}

static mm_err_t ota_set_url(void *context, const char *url, size_t url_chars) {
    mm_esp_actions_t *self = context;
    return mm_esp_settings_set_ota_url(self->options.settings, url, url_chars);
}

static mm_err_t ota_start(void *context) {
    mm_esp_actions_t *self = context;
    char url[MM_ESP_OTA_URL_CHARS_MAX + 1];
    if (self->options.ota_start == NULL) {
        return MM_ERR_UNAVAILABLE;
    }
    mm_err_t err = mm_esp_settings_get_ota_url(self->options.settings, url);
    return err == MM_OK ? self->options.ota_start(self->options.context, url) : err;
}

static size_t log_tail(void *context, char *text, size_t capacity_bytes) {
    (void)context;
    return mm_esp_log_tail(text, capacity_bytes);
}

void mm_esp_actions_open(mm_esp_actions_t *self, const mm_esp_actions_options_t *options) {
    MM_ASSERT(options->settings != NULL && options->use_router != NULL && options->use_broker != NULL);
    MM_ASSERT(options->url_is_good != NULL && options->reboot != NULL);
    *self = (mm_esp_actions_t){.actions = {.display_on = display_on,
                                           .find = find,
                                           .reboot = reboot,
                                           .stage = stage,
                                           .settle = settle,
                                           .ota_set_url = ota_set_url,
                                           .ota_start = ota_start,
                                           .log_tail = log_tail,
                                           .kept_broker = kept_broker,
                                           .context = self},
                               .options = *options};
}
