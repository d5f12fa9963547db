// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_ACTIONS_H
#define MM_ESP_ACTIONS_H

#include "meshmeter/port/actions.h"
#include "mm_esp_settings.h"

/// What commands ask of an ESP32 (meshmeter/port/actions.h). Nothing here blocks: what takes long is done by whoever
/// the functions of the options belong to. Only the owner calls this. 72 bytes on 32 bit.

typedef struct {
    mm_esp_settings_t *settings;
    /// Use this router or broker from now on (between two sessions). NULL: the one of the core's configuration.
    /// Required.
    void (*use_router)(void *context, const mm_esp_router_t *router);
    void (*use_broker)(void *context, const mm_esp_broker_t *broker);
    /// True if a broker's address is one that this node can use. Required.
    bool (*url_is_good)(const char *url);
    /// For so many seconds. NULL: this board has none, and the command is refused.
    void (*display_on)(void *context, uint32_t seconds);
    void (*find)(void *context, uint32_t seconds);
    /// Restart soon; may return. Required.
    void (*reboot)(void *context);
    /// Begin an update from this address; MM_ERR_STATE: one is under way. NULL: refused.
    mm_err_t (*ota_start)(void *context, const char *url);
    void *context;
} mm_esp_actions_options_t;

typedef struct {
    mm_actions_t actions; ///< hand this to the core; *self must stay where it is
    mm_esp_actions_options_t options;
} mm_esp_actions_t;

void mm_esp_actions_open(mm_esp_actions_t *self, const mm_esp_actions_options_t *options);

#endif
