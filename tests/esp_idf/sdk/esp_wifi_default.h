// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_WIFI_DEFAULT_H
#define MM_SDK_ESP_WIFI_DEFAULT_H

#include <esp_netif.h>
#include <esp_wifi_types.h>

/// These two stop the program when there is no memory.
esp_netif_t *esp_netif_create_default_wifi_ap(void);
esp_netif_t *esp_netif_create_default_wifi_sta(void);
/// NULL is taken and does nothing.
void esp_netif_destroy_default_wifi(void *esp_netif);
/// Both without DHCP. A node has an address only as root.
esp_err_t esp_netif_create_default_wifi_mesh_netifs(esp_netif_t **p_netif_sta, esp_netif_t **p_netif_ap);

#endif
