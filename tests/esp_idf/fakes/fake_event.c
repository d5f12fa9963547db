// SPDX-License-Identifier: Apache-2.0
#include "fake_event.h"

#include <string.h>

#include "fake.h"

#define HANDLERS_MAX 16

typedef struct {
    esp_event_base_t base;
    int32_t id;
    esp_event_handler_t handler;
    void *arg;
} handler_t;

static handler_t s_handlers[HANDLERS_MAX];
static unsigned s_handler_count;
static bool s_loop_is_there;

static void reset(void) {
    memset(s_handlers, 0, sizeof s_handlers);
    s_handler_count = 0;
    s_loop_is_there = false;
}

FAKE_ON_RESET(reset)

esp_err_t esp_event_loop_create_default(void) {
    if (s_loop_is_there) {
        return ESP_ERR_INVALID_STATE;
    }
    if (fake_call_fails()) {
        return ESP_ERR_NO_MEM;
    }
    s_loop_is_there = true;
    return ESP_OK;
}

esp_err_t esp_event_handler_register(esp_event_base_t event_base, int32_t event_id, esp_event_handler_t event_handler,
                                     void *event_handler_arg) {
    if (fake_call_fails()) {
        return ESP_ERR_NO_MEM;
    }
    if (s_handler_count == HANDLERS_MAX) {
        fake_abort("more than %d event handlers", HANDLERS_MAX);
    }
    s_handlers[s_handler_count++] =
        (handler_t){.base = event_base, .id = event_id, .handler = event_handler, .arg = event_handler_arg};
    return ESP_OK;
}

static esp_err_t remove_handler(unsigned index) {
    memmove(&s_handlers[index], &s_handlers[index + 1], (s_handler_count - index - 1) * sizeof s_handlers[0]);
    s_handler_count--;
    return ESP_OK;
}

esp_err_t esp_event_handler_unregister(esp_event_base_t event_base, int32_t event_id,
                                       esp_event_handler_t event_handler) {
    for (unsigned i = 0; i < s_handler_count; i++) {
        if (s_handlers[i].base == event_base && s_handlers[i].id == event_id &&
            s_handlers[i].handler == event_handler) {
            return remove_handler(i);
        }
    }
    return ESP_ERR_NOT_FOUND;
}

esp_err_t esp_event_handler_instance_register(esp_event_base_t event_base, int32_t event_id,
                                              esp_event_handler_t event_handler, void *event_handler_arg,
                                              esp_event_handler_instance_t *instance) {
    esp_err_t err = esp_event_handler_register(event_base, event_id, event_handler, event_handler_arg);
    if (err == ESP_OK && instance != NULL) {
        // Only ever given back.
        memcpy(instance, &event_handler, sizeof *instance);
    }
    return err;
}

esp_err_t esp_event_handler_instance_unregister(esp_event_base_t event_base, int32_t event_id,
                                                esp_event_handler_instance_t instance) {
    esp_event_handler_t handler = NULL;
    memcpy(&handler, &instance, sizeof handler);
    return esp_event_handler_unregister(event_base, event_id, handler);
}

unsigned fake_event_post(esp_event_base_t base, int32_t id, void *data) {
    unsigned called = 0;
    for (unsigned i = 0; i < s_handler_count; i++) {
        handler_t handler = s_handlers[i];
        bool base_fits = handler.base == ESP_EVENT_ANY_BASE || handler.base == base;
        if (base_fits && (handler.id == ESP_EVENT_ANY_ID || handler.id == id)) {
            handler.handler(handler.arg, base, id, data);
            called++;
        }
    }
    return called;
}

unsigned fake_event_handler_count(void) {
    return s_handler_count;
}
