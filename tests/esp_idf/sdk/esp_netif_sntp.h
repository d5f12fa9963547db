// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_NETIF_SNTP_H
#define MM_SDK_ESP_NETIF_SNTP_H

#include <esp_err.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/time.h>

#ifndef MM_SDK_IS_REAL
typedef void (*esp_sntp_time_cb_t)(struct timeval *tv);
typedef struct {
    bool smooth_sync;
    bool server_from_dhcp;
    bool wait_for_sync;
    bool start;
    esp_sntp_time_cb_t sync_cb;
    bool renew_servers_after_new_IP;
    size_t num_of_servers;
    const char *servers[1];
} esp_sntp_config_t;
#endif

/// The server's name is borrowed.
esp_err_t esp_netif_sntp_init(const esp_sntp_config_t *config);
void esp_netif_sntp_deinit(void);

#endif
