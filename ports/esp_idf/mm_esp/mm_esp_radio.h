// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_RADIO_H
#define MM_ESP_RADIO_H

#include "meshmeter/base.h"

/// Wi-Fi's driver and its network interfaces, for one use at a time. There is one radio, so there is one of this.
///
///   STATION       a parked node: ESP-NOW (mm_esp_door), and provisioning over Bluetooth, which tries a router with it
///   MESH          ESP-WIFI-MESH (mm_esp_mesh), which adds and configures its soft-AP itself; no DHCP
///   ACCESS_POINT  the node's own page (mm_esp_configurator): WPA2, DHCP server, this device is 192.168.4.1
///
/// The page and the mesh exclude each other: the soft-AP of the mesh has one password for all nodes, is hidden, gives
/// no addresses, and is there for nodes (docs/adr/0015-esp32-mesh.md). Credentials are in RAM only. Power save
/// is off but for STATION, which alone may run beside Bluetooth: the SDK stops a program that does otherwise.
///
/// Open and close wait for the SDK: before the owner runs, or by the worker.

#define MM_ESP_RADIO_NAME_CHARS_MAX 32
#define MM_ESP_RADIO_PASSWORD_CHARS_MIN 8
#define MM_ESP_RADIO_PASSWORD_CHARS_MAX 63

typedef enum {
    MM_ESP_RADIO_OFF = 0,
    MM_ESP_RADIO_STATION,
    MM_ESP_RADIO_MESH,
    MM_ESP_RADIO_ACCESS_POINT,
} mm_esp_radio_use_t;

/// STATION or MESH. MM_ERR_STATE: it is in use. MM_ERR_UNAVAILABLE: the SDK refused; everything begun is taken back.
mm_err_t mm_esp_radio_open(mm_esp_radio_use_t use);
/// Errors as above. MM_ERR_ARG: name or password have a wrong length.
mm_err_t mm_esp_radio_open_access_point(const char *name, const char *password);
void mm_esp_radio_close(void);

/// There is one user beside the one that opened: mm_esp_door. `end` is called before the radio closes. NULL: no user.
void mm_esp_radio_set_user(void (*end)(void *context), void *context);
/// By the owner, before it lets the worker close: ends the user in its own task. From then on use() says OFF.
void mm_esp_radio_end_user(void);
/// By the owner: it does not close after all.
void mm_esp_radio_keep(void);

mm_esp_radio_use_t mm_esp_radio_use(void);
/// esp_netif_t of the station; NULL: there is none.
void *mm_esp_radio_station(void);

#endif
