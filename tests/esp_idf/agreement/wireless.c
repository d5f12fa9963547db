// SPDX-License-Identifier: Apache-2.0
#include <esp_mesh.h>
#include <esp_netif.h>
#include <esp_now.h>
#include <esp_wifi.h>
#include <esp_wifi_default.h>

#include "agreement.h"

MM_MEMBER(wifi_init_config_t, nvs_enable, int);
MM_MEMBER(wifi_init_config_t, magic, int);
MM_MEMBER(wifi_ap_config_t, ssid, uint8_t[32]);
MM_MEMBER(wifi_ap_config_t, password, uint8_t[64]);
MM_MEMBER(wifi_ap_config_t, ssid_len, uint8_t);
MM_MEMBER(wifi_ap_config_t, channel, uint8_t);
MM_MEMBER(wifi_ap_config_t, authmode, wifi_auth_mode_t);
MM_MEMBER(wifi_ap_config_t, ssid_hidden, uint8_t);
MM_MEMBER(wifi_ap_config_t, max_connection, uint8_t);
MM_MEMBER(wifi_ap_config_t, beacon_interval, uint16_t);
MM_MEMBER(wifi_ap_config_t, pmf_cfg, wifi_pmf_config_t);
MM_MEMBER(wifi_pmf_config_t, capable, bool);
MM_MEMBER(wifi_pmf_config_t, required, bool);
MM_MEMBER(wifi_sta_config_t, ssid, uint8_t[32]);
MM_MEMBER(wifi_sta_config_t, password, uint8_t[64]);
MM_MEMBER(wifi_sta_config_t, bssid_set, bool);
MM_MEMBER(wifi_sta_config_t, bssid, uint8_t[6]);
MM_MEMBER(wifi_sta_config_t, channel, uint8_t);
MM_MEMBER(wifi_sta_config_t, threshold, wifi_scan_threshold_t);
MM_MEMBER(wifi_sta_config_t, pmf_cfg, wifi_pmf_config_t);
MM_MEMBER(wifi_scan_threshold_t, authmode, wifi_auth_mode_t);
MM_MEMBER(wifi_config_t, ap, wifi_ap_config_t);
MM_MEMBER(wifi_config_t, sta, wifi_sta_config_t);
MM_MEMBER(wifi_event_sta_connected_t, ssid, uint8_t[32]);
MM_MEMBER(wifi_event_sta_connected_t, bssid, uint8_t[6]);
MM_MEMBER(wifi_event_sta_connected_t, channel, uint8_t);
MM_MEMBER(wifi_event_sta_disconnected_t, bssid, uint8_t[6]);
MM_MEMBER(wifi_event_sta_disconnected_t, reason, uint8_t);
MM_MEMBER(wifi_event_sta_disconnected_t, rssi, int8_t);
MM_MEMBER(wifi_event_ap_staconnected_t, mac, uint8_t[6]);
MM_MEMBER(wifi_event_ap_staconnected_t, aid, uint8_t);
MM_MEMBER(wifi_event_ap_staconnected_t, is_mesh_child, bool);
MM_MEMBER(wifi_event_ap_stadisconnected_t, mac, uint8_t[6]);
MM_MEMBER(wifi_event_ap_stadisconnected_t, aid, uint8_t);
MM_MEMBER(wifi_event_ap_stadisconnected_t, is_mesh_child, bool);

MM_TYPE(esp_netif_t, struct esp_netif_obj);
MM_TYPE(esp_ip4_addr_t, struct esp_ip4_addr);
MM_MEMBER(esp_ip4_addr_t, addr, uint32_t);
MM_MEMBER(esp_netif_ip_info_t, ip, esp_ip4_addr_t);
MM_MEMBER(esp_netif_ip_info_t, netmask, esp_ip4_addr_t);
MM_MEMBER(esp_netif_ip_info_t, gw, esp_ip4_addr_t);
MM_MEMBER(ip_event_got_ip_t, esp_netif, esp_netif_t *);
MM_MEMBER(ip_event_got_ip_t, ip_info, esp_netif_ip_info_t);
MM_MEMBER(ip_event_got_ip_t, ip_changed, bool);

MM_MEMBER(mesh_addr_t, addr, uint8_t[6]);
MM_MEMBER(mesh_addr_t, mip, mip_t);
_Static_assert(sizeof(mesh_addr_t) == 6, "mesh_addr_t");
MM_MEMBER(mesh_event_connected_t, connected, wifi_event_sta_connected_t);
MM_MEMBER(mesh_event_connected_t, self_layer, uint16_t);
MM_MEMBER(mesh_event_connected_t, duty, uint8_t);
MM_MEMBER(mesh_event_layer_change_t, new_layer, uint16_t);
MM_MEMBER(mesh_event_no_parent_found_t, scan_times, int);
MM_TYPE(mesh_event_root_address_t, mesh_addr_t);
MM_TYPE(mesh_event_disconnected_t, wifi_event_sta_disconnected_t);
MM_TYPE(mesh_event_child_connected_t, wifi_event_ap_staconnected_t);
MM_TYPE(mesh_event_child_disconnected_t, wifi_event_ap_stadisconnected_t);
MM_MEMBER(mesh_event_routing_table_change_t, rt_size_new, uint16_t);
MM_MEMBER(mesh_event_routing_table_change_t, rt_size_change, uint16_t);
MM_MEMBER(mesh_data_t, data, uint8_t *);
MM_MEMBER(mesh_data_t, size, uint16_t);
MM_MEMBER(mesh_data_t, proto, mesh_proto_t);
MM_MEMBER(mesh_data_t, tos, mesh_tos_t);
MM_MEMBER(mesh_router_t, ssid, uint8_t[32]);
MM_MEMBER(mesh_router_t, ssid_len, uint8_t);
MM_MEMBER(mesh_router_t, bssid, uint8_t[6]);
MM_MEMBER(mesh_router_t, password, uint8_t[64]);
MM_MEMBER(mesh_router_t, allow_router_switch, bool);
MM_MEMBER(mesh_ap_cfg_t, password, uint8_t[64]);
MM_MEMBER(mesh_ap_cfg_t, max_connection, uint8_t);
MM_MEMBER(mesh_ap_cfg_t, nonmesh_max_connection, uint8_t);
MM_MEMBER(mesh_cfg_t, channel, uint8_t);
MM_MEMBER(mesh_cfg_t, allow_channel_switch, bool);
MM_MEMBER(mesh_cfg_t, mesh_id, mesh_addr_t);
MM_MEMBER(mesh_cfg_t, router, mesh_router_t);
MM_MEMBER(mesh_cfg_t, mesh_ap, mesh_ap_cfg_t);
MM_MEMBER(mesh_cfg_t, crypto_funcs, const mesh_crypto_funcs_t *);
MM_MEMBER(mesh_tx_pending_t, to_parent, int);
MM_MEMBER(mesh_tx_pending_t, to_parent_p2p, int);
MM_MEMBER(mesh_tx_pending_t, to_child, int);
MM_MEMBER(mesh_tx_pending_t, to_child_p2p, int);
MM_MEMBER(mesh_tx_pending_t, mgmt, int);
MM_MEMBER(mesh_tx_pending_t, broadcast, int);

MM_MEMBER(esp_now_peer_info_t, peer_addr, uint8_t[6]);
MM_MEMBER(esp_now_peer_info_t, lmk, uint8_t[16]);
MM_MEMBER(esp_now_peer_info_t, channel, uint8_t);
MM_MEMBER(esp_now_peer_info_t, ifidx, wifi_interface_t);
MM_MEMBER(esp_now_peer_info_t, encrypt, bool);
MM_MEMBER(esp_now_recv_info_t, src_addr, uint8_t *);
MM_MEMBER(esp_now_recv_info_t, des_addr, uint8_t *);
MM_TYPE(esp_now_recv_cb_t, void (*)(const esp_now_recv_info_t *, const uint8_t *, int));

// Macros: what our code writes is accepted.
void agreement_wireless(wifi_init_config_t *wifi, mesh_cfg_t *mesh);

void agreement_wireless(wifi_init_config_t *wifi, mesh_cfg_t *mesh) {
    *wifi = (wifi_init_config_t)WIFI_INIT_CONFIG_DEFAULT();
    *mesh = (mesh_cfg_t)MESH_INIT_CONFIG_DEFAULT();
}
