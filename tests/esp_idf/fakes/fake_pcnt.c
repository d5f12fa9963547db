// SPDX-License-Identifier: Apache-2.0
#include "fake_pcnt.h"

#include <string.h>

#include "fake.h"
#include "fake_gpio.h"

struct pcnt_chan_t {
    bool is_used;
    pcnt_unit_handle_t unit;
    pcnt_chan_config_t config;
    pcnt_channel_edge_action_t rising;
    pcnt_channel_edge_action_t falling;
};

struct pcnt_unit_t {
    bool is_used;
    bool is_enabled;
    bool is_started;
    bool is_watched;
    pcnt_unit_config_t config;
    pcnt_event_callbacks_t callbacks;
    void *user_data;
    int count;
    struct pcnt_chan_t channel;
};

static struct pcnt_unit_t s_units[FAKE_PCNT_UNITS];

static void reset(void) {
    memset(s_units, 0, sizeof s_units);
}

FAKE_ON_RESET(reset)

unsigned fake_pcnt_unit_count(void) {
    unsigned count = 0;
    for (size_t i = 0; i < FAKE_PCNT_UNITS; i++) {
        count += s_units[i].is_used ? 1 : 0;
    }
    return count;
}

void fake_pcnt_drive(int pin, int level) {
    int before = fake_gpio_pin(pin)->level;
    fake_gpio_drive(pin, level);
    for (size_t i = 0; i < FAKE_PCNT_UNITS && before != level; i++) {
        struct pcnt_unit_t *unit = &s_units[i];
        pcnt_channel_edge_action_t action = level != 0 ? unit->channel.rising : unit->channel.falling;
        if (!unit->is_started || !unit->channel.is_used || unit->channel.config.edge_gpio_num != pin ||
            action != PCNT_CHANNEL_EDGE_ACTION_INCREASE) {
            continue;
        }
        if (++unit->count == unit->config.high_limit) {
            unit->count = 0;
            const pcnt_watch_event_data_t event = {.watch_point_value = unit->config.high_limit};
            if (unit->is_watched && unit->callbacks.on_reach != NULL) {
                (void)unit->callbacks.on_reach(unit, &event, unit->user_data);
            }
        }
    }
}

esp_err_t pcnt_new_unit(const pcnt_unit_config_t *config, pcnt_unit_handle_t *ret_unit) {
    if (config->low_limit >= 0 || config->high_limit <= 0) {
        return ESP_ERR_INVALID_ARG;
    }
    if (fake_call_fails()) {
        return ESP_ERR_NO_MEM;
    }
    for (size_t i = 0; i < FAKE_PCNT_UNITS; i++) {
        if (!s_units[i].is_used) {
            s_units[i] = (struct pcnt_unit_t){.is_used = true, .config = *config};
            *ret_unit = &s_units[i];
            return ESP_OK;
        }
    }
    return ESP_ERR_NOT_FOUND;
}

esp_err_t pcnt_del_unit(pcnt_unit_handle_t unit) {
    if (!unit->is_used || unit->is_enabled || unit->channel.is_used) {
        fake_abort("pcnt_del_unit: the unit is in use");
    }
    unit->is_used = false;
    return ESP_OK;
}

esp_err_t pcnt_unit_set_glitch_filter(pcnt_unit_handle_t unit, const pcnt_glitch_filter_config_t *config) {
    // 1023 periods of 80 MHz.
    if (unit->is_enabled || config->max_glitch_ns > 12787) {
        return ESP_ERR_INVALID_ARG;
    }
    return fake_call_fails() ? ESP_FAIL : ESP_OK;
}

esp_err_t pcnt_unit_enable(pcnt_unit_handle_t unit) {
    if (fake_call_fails() || unit->is_enabled) {
        return ESP_ERR_INVALID_STATE;
    }
    unit->is_enabled = true;
    return ESP_OK;
}

esp_err_t pcnt_unit_disable(pcnt_unit_handle_t unit) {
    if (!unit->is_enabled) {
        return ESP_ERR_INVALID_STATE;
    }
    unit->is_enabled = false;
    return ESP_OK;
}

esp_err_t pcnt_unit_start(pcnt_unit_handle_t unit) {
    if (fake_call_fails() || !unit->is_enabled) {
        return ESP_ERR_INVALID_STATE;
    }
    unit->is_started = true;
    return ESP_OK;
}

esp_err_t pcnt_unit_stop(pcnt_unit_handle_t unit) {
    if (!unit->is_enabled) {
        return ESP_ERR_INVALID_STATE;
    }
    unit->is_started = false;
    return ESP_OK;
}

esp_err_t pcnt_unit_clear_count(pcnt_unit_handle_t unit) {
    unit->count = 0;
    return fake_call_fails() ? ESP_FAIL : ESP_OK;
}

esp_err_t pcnt_unit_register_event_callbacks(pcnt_unit_handle_t unit, const pcnt_event_callbacks_t *cbs,
                                             void *user_data) {
    if (fake_call_fails() || unit->is_enabled) {
        return ESP_ERR_INVALID_STATE;
    }
    unit->callbacks = *cbs;
    unit->user_data = user_data;
    return ESP_OK;
}

esp_err_t pcnt_unit_add_watch_point(pcnt_unit_handle_t unit, int watch_point) {
    if (fake_call_fails() || watch_point != unit->config.high_limit) {
        return ESP_ERR_INVALID_ARG;
    }
    unit->is_watched = true;
    return ESP_OK;
}

esp_err_t pcnt_new_channel(pcnt_unit_handle_t unit, const pcnt_chan_config_t *config, pcnt_channel_handle_t *ret_chan) {
    if (fake_call_fails() || unit->channel.is_used) {
        return ESP_ERR_NOT_FOUND;
    }
    unit->channel = (struct pcnt_chan_t){.is_used = true, .unit = unit, .config = *config};
    *ret_chan = &unit->channel;
    return ESP_OK;
}

esp_err_t pcnt_del_channel(pcnt_channel_handle_t chan) {
    if (!chan->is_used || chan->unit->is_enabled) {
        fake_abort("pcnt_del_channel: the unit is enabled");
    }
    chan->is_used = false;
    return ESP_OK;
}

esp_err_t pcnt_channel_set_edge_action(pcnt_channel_handle_t chan, pcnt_channel_edge_action_t pos_act,
                                       pcnt_channel_edge_action_t neg_act) {
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    chan->rising = pos_act;
    chan->falling = neg_act;
    return ESP_OK;
}
