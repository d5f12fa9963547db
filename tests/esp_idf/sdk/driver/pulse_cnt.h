// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_DRIVER_PULSE_CNT_H
#define MM_SDK_DRIVER_PULSE_CNT_H

#include <esp_err.h>
#include <stdbool.h>
#include <stdint.h>

#ifndef MM_SDK_IS_REAL
typedef struct pcnt_unit_t *pcnt_unit_handle_t;
typedef struct pcnt_chan_t *pcnt_channel_handle_t;
typedef enum {
    PCNT_CHANNEL_EDGE_ACTION_HOLD = 0,
    PCNT_CHANNEL_EDGE_ACTION_INCREASE = 1
} pcnt_channel_edge_action_t;
typedef struct {
    int watch_point_value;
} pcnt_watch_event_data_t;
/// In an interrupt. Returns whether a task of higher priority was woken.
typedef bool (*pcnt_watch_cb_t)(pcnt_unit_handle_t unit, const pcnt_watch_event_data_t *edata, void *user_ctx);
typedef struct {
    pcnt_watch_cb_t on_reach;
} pcnt_event_callbacks_t;
typedef struct {
    int low_limit;
    int high_limit;
    int intr_priority;
} pcnt_unit_config_t;
typedef struct {
    int edge_gpio_num;
    int level_gpio_num;
} pcnt_chan_config_t;
typedef struct {
    uint32_t max_glitch_ns;
} pcnt_glitch_filter_config_t;
#endif

esp_err_t pcnt_new_unit(const pcnt_unit_config_t *config, pcnt_unit_handle_t *ret_unit);
esp_err_t pcnt_del_unit(pcnt_unit_handle_t unit);
esp_err_t pcnt_unit_set_glitch_filter(pcnt_unit_handle_t unit, const pcnt_glitch_filter_config_t *config);
esp_err_t pcnt_unit_enable(pcnt_unit_handle_t unit);
esp_err_t pcnt_unit_disable(pcnt_unit_handle_t unit);
esp_err_t pcnt_unit_start(pcnt_unit_handle_t unit);
esp_err_t pcnt_unit_stop(pcnt_unit_handle_t unit);
esp_err_t pcnt_unit_clear_count(pcnt_unit_handle_t unit);
esp_err_t pcnt_unit_register_event_callbacks(pcnt_unit_handle_t unit, const pcnt_event_callbacks_t *cbs,
                                             void *user_data);
/// At a limit the counter begins at 0 again.
esp_err_t pcnt_unit_add_watch_point(pcnt_unit_handle_t unit, int watch_point);
esp_err_t pcnt_new_channel(pcnt_unit_handle_t unit, const pcnt_chan_config_t *config, pcnt_channel_handle_t *ret_chan);
esp_err_t pcnt_del_channel(pcnt_channel_handle_t chan);
esp_err_t pcnt_channel_set_edge_action(pcnt_channel_handle_t chan, pcnt_channel_edge_action_t pos_act,
                                       pcnt_channel_edge_action_t neg_act);

#endif
