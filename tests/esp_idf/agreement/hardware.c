// SPDX-License-Identifier: Apache-2.0
#include <driver/i2c_master.h>
#include <driver/pulse_cnt.h>
#include <driver/uart.h>
#include <esp_intr_alloc.h>
#include <esp_partition.h>
#include <esp_system.h>
#include <esp_task_wdt.h>
#include <soc/soc_caps.h>

#include "agreement.h"

MM_TYPE(pcnt_unit_handle_t, struct pcnt_unit_t *);
MM_TYPE(pcnt_channel_handle_t, struct pcnt_chan_t *);
MM_TYPE(pcnt_watch_cb_t, bool (*)(pcnt_unit_handle_t, const pcnt_watch_event_data_t *, void *));
MM_MEMBER(pcnt_watch_event_data_t, watch_point_value, int);
MM_MEMBER(pcnt_event_callbacks_t, on_reach, pcnt_watch_cb_t);
MM_MEMBER(pcnt_unit_config_t, low_limit, int);
MM_MEMBER(pcnt_unit_config_t, high_limit, int);
MM_MEMBER(pcnt_chan_config_t, edge_gpio_num, int);
MM_MEMBER(pcnt_chan_config_t, level_gpio_num, int);
MM_MEMBER(pcnt_glitch_filter_config_t, max_glitch_ns, uint32_t);

MM_TYPE(i2c_master_bus_handle_t, struct i2c_master_bus_t *);
MM_TYPE(i2c_master_dev_handle_t, struct i2c_master_dev_t *);
MM_MEMBER(i2c_master_bus_config_t, i2c_port, i2c_port_num_t);
MM_MEMBER(i2c_master_bus_config_t, sda_io_num, gpio_num_t);
MM_MEMBER(i2c_master_bus_config_t, scl_io_num, gpio_num_t);
MM_MEMBER(i2c_master_bus_config_t, clk_source, i2c_clock_source_t);
MM_MEMBER(i2c_master_bus_config_t, glitch_ignore_cnt, uint8_t);
MM_MEMBER(i2c_device_config_t, dev_addr_length, i2c_addr_bit_len_t);
MM_MEMBER(i2c_device_config_t, device_address, uint16_t);
MM_MEMBER(i2c_device_config_t, scl_speed_hz, uint32_t);

MM_MEMBER(esp_partition_t, size, uint32_t);
MM_MEMBER(esp_partition_t, erase_size, uint32_t);
MM_MEMBER(esp_partition_t, encrypted, bool);
MM_MEMBER(esp_partition_t, readonly, bool);

MM_MEMBER(esp_task_wdt_config_t, timeout_ms, uint32_t);
MM_MEMBER(esp_task_wdt_config_t, trigger_panic, bool);
