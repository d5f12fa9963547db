// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_WIFI_H
#define MM_TEST_FAKE_WIFI_H

#include <esp_netif.h>
#include <esp_wifi.h>
#include <esp_wifi_default.h>
#include <stdbool.h>

/// The driver of Wi-Fi and the network interfaces. Events are the test's to post (fake_event.h); only START and STOP
/// of station and soft-AP are posted at once, as the driver does.

#define FAKE_NETIFS_MAX 4

typedef struct {
    bool is_open;
    unsigned opens; ///< calls of init that had something to do
    bool is_started;
    wifi_mode_t mode;
    wifi_storage_t storage;
    wifi_ps_type_t ps;
    wifi_config_t sta;
    wifi_config_t ap;
    uint8_t channel;
    bool channel_is_fixed; ///< a station is connected, or the soft-AP has stations: set_channel is refused
    unsigned connects;
    unsigned disconnects;
} fake_wifi_t;

struct esp_netif_obj {
    bool is_used;
    bool is_ap;
    bool is_mesh;
    bool is_up; ///< of the mesh: the DHCP client of one that is not up says that it began, and does not
    bool dhcp_client_runs;
    bool dhcp_server_runs;
    unsigned dhcp_client_starts;
    char hostname[33];
    esp_netif_ip_info_t ip;
};

/// May be changed by the test.
fake_wifi_t *fake_wifi(void);
bool fake_netif_is_open(void);
/// The first interface of this kind; NULL: there is none.
esp_netif_t *fake_netif_find(bool is_ap);
/// Interfaces that exist; 0 when nothing leaks.
unsigned fake_netif_count(void);
/// The MAC of the interfaces: station 02:…:10, soft-AP one more.
#define FAKE_WIFI_MAC                                                                                                  \
    { 0x02, 0x4D, 0x4D, 0x00, 0x00, 0x10 }

#endif
