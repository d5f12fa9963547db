// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_ACCESS_POINT_H
#define MM_ESP_ACCESS_POINT_H

#include "meshmeter/base.h"

/// A plain soft-AP for the installer's phone: WPA2, with an address for the phone (DHCP) and the node at
/// MM_ESP_ACCESS_POINT_URL. The mesh's own soft-AP takes only nodes, so the node leaves the mesh first (Wi-Fi is off
/// then: mm_esp_mesh_close), and comes back after.

#define MM_ESP_ACCESS_POINT_URL "http://192.168.4.1/"
#define MM_ESP_ACCESS_POINT_STATIONS 2
#define MM_ESP_ACCESS_POINT_PASSWORD_CHARS 12

typedef struct {
    char name[33]; ///< MM-XXXXXX, after the end of the MAC
    char password[MM_ESP_ACCESS_POINT_PASSWORD_CHARS + 1];
    uint8_t channel; ///< 1 … 13
} mm_esp_access_point_options_t;

typedef struct {
    bool is_open;
    bool wifi_is_open;
    bool is_started;
    void *netif;
} mm_esp_access_point_t;

/// name: of the MAC. random: real random bytes; the password is of letters and digits that are not taken for each
/// other, each with the same chance.
void mm_esp_access_point_prepare(mm_esp_access_point_options_t *options, mm_mac_t mac,
                                 const uint8_t random[MM_ESP_ACCESS_POINT_PASSWORD_CHARS]);
/// Wi-Fi is off. MM_ERR_STATE: it is open. MM_ERR_UNAVAILABLE: the SDK refused; everything begun is taken back.
mm_err_t mm_esp_access_point_open(mm_esp_access_point_t *self, const mm_esp_access_point_options_t *options);
/// Wi-Fi is off again. Also on what is not open.
void mm_esp_access_point_close(mm_esp_access_point_t *self);

#endif
