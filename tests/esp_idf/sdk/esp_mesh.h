// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_MESH_H
#define MM_SDK_ESP_MESH_H

#include <esp_err.h>
#include <esp_netif_ip_addr.h>
#include <esp_wifi.h>
#include <stdbool.h>

#ifndef MM_SDK_IS_REAL
#define MESH_ROOT_LAYER (1)
#define MESH_MTU (1500)
#define MESH_MPS (1472)

#define ESP_ERR_MESH_BASE 0x4000
#define ESP_ERR_MESH_WIFI_NOT_START (ESP_ERR_MESH_BASE + 1)
#define ESP_ERR_MESH_NOT_INIT (ESP_ERR_MESH_BASE + 2)
#define ESP_ERR_MESH_NOT_CONFIG (ESP_ERR_MESH_BASE + 3)
#define ESP_ERR_MESH_NOT_START (ESP_ERR_MESH_BASE + 4)
#define ESP_ERR_MESH_NOT_ALLOWED (ESP_ERR_MESH_BASE + 6)
#define ESP_ERR_MESH_NO_MEMORY (ESP_ERR_MESH_BASE + 7)
#define ESP_ERR_MESH_ARGUMENT (ESP_ERR_MESH_BASE + 8)
#define ESP_ERR_MESH_EXCEED_MTU (ESP_ERR_MESH_BASE + 9)
#define ESP_ERR_MESH_TIMEOUT (ESP_ERR_MESH_BASE + 10)
#define ESP_ERR_MESH_DISCONNECTED (ESP_ERR_MESH_BASE + 11)
#define ESP_ERR_MESH_QUEUE_FAIL (ESP_ERR_MESH_BASE + 12)
#define ESP_ERR_MESH_QUEUE_FULL (ESP_ERR_MESH_BASE + 13)
#define ESP_ERR_MESH_NO_ROUTE_FOUND (ESP_ERR_MESH_BASE + 15)
#define ESP_ERR_MESH_XON_NO_WINDOW (ESP_ERR_MESH_BASE + 18)
#define ESP_ERR_MESH_DISCARD (ESP_ERR_MESH_BASE + 21)
#define ESP_ERR_MESH_XMIT (ESP_ERR_MESH_BASE + 23)

#define MESH_DATA_P2P (0x02)
#define MESH_DATA_FROMDS (0x04)
#define MESH_DATA_TODS (0x08)
#define MESH_DATA_NONBLOCK (0x10)
#define MESH_DATA_DROP (0x20)
#define MESH_DATA_GROUP (0x40)

typedef enum {
    MESH_EVENT_STARTED,
    MESH_EVENT_STOPPED,
    MESH_EVENT_CHANNEL_SWITCH,
    MESH_EVENT_CHILD_CONNECTED,
    MESH_EVENT_CHILD_DISCONNECTED,
    MESH_EVENT_ROUTING_TABLE_ADD,
    MESH_EVENT_ROUTING_TABLE_REMOVE,
    MESH_EVENT_PARENT_CONNECTED,
    MESH_EVENT_PARENT_DISCONNECTED,
    MESH_EVENT_NO_PARENT_FOUND,
    MESH_EVENT_LAYER_CHANGE,
    MESH_EVENT_TODS_STATE,
    MESH_EVENT_VOTE_STARTED,
    MESH_EVENT_VOTE_STOPPED,
    MESH_EVENT_ROOT_ADDRESS,
    MESH_EVENT_ROOT_SWITCH_REQ,
    MESH_EVENT_ROOT_SWITCH_ACK,
    MESH_EVENT_ROOT_ASKED_YIELD,
    MESH_EVENT_ROOT_FIXED,
    MESH_EVENT_SCAN_DONE,
    MESH_EVENT_NETWORK_STATE,
    MESH_EVENT_STOP_RECONNECTION,
    MESH_EVENT_FIND_NETWORK,
    MESH_EVENT_ROUTER_SWITCH,
} mesh_event_id_t;

ESP_EVENT_DECLARE_BASE(MESH_EVENT);

typedef enum {
    MESH_PROTO_BIN,
} mesh_proto_t;

typedef enum {
    MESH_TOS_P2P, ///< repeated until it arrives: esp_mesh_send waits, whatever its flags say
    MESH_TOS_E2E,
    MESH_TOS_DEF, ///< not repeated by the mesh; esp_mesh_send does not wait
} mesh_tos_t;

typedef enum {
    MESH_TOPO_TREE,
    MESH_TOPO_CHAIN,
} esp_mesh_topology_t;

typedef struct {
    esp_ip4_addr_t ip4;
    uint16_t port;
} __attribute__((packed)) mip_t;

typedef union {
    uint8_t addr[6];
    mip_t mip;
} mesh_addr_t;

typedef struct {
    wifi_event_sta_connected_t connected;
    uint16_t self_layer;
    uint8_t duty;
} mesh_event_connected_t;

typedef struct {
    uint16_t new_layer;
} mesh_event_layer_change_t;

typedef struct {
    int scan_times;
} mesh_event_no_parent_found_t;

typedef mesh_addr_t mesh_event_root_address_t;
typedef wifi_event_sta_disconnected_t mesh_event_disconnected_t;
typedef wifi_event_ap_staconnected_t mesh_event_child_connected_t;
typedef wifi_event_ap_stadisconnected_t mesh_event_child_disconnected_t;

typedef struct {
    uint16_t rt_size_new;
    uint16_t rt_size_change;
} mesh_event_routing_table_change_t;

typedef struct {
    uint8_t type;
    uint16_t len;
    uint8_t *val;
} __attribute__((packed)) mesh_opt_t;

typedef struct {
    uint8_t *data;
    uint16_t size;
    mesh_proto_t proto;
    mesh_tos_t tos;
} mesh_data_t;

typedef struct {
    uint8_t ssid[32];
    uint8_t ssid_len;
    uint8_t bssid[6];
    uint8_t password[64];
    bool allow_router_switch;
} mesh_router_t;

typedef struct {
    uint8_t password[64];
    uint8_t max_connection;
    uint8_t nonmesh_max_connection;
} mesh_ap_cfg_t;

/// How the mesh's information elements are encrypted; ours are the SDK's.
typedef struct {
    void *aes_128_encrypt;
    void *aes_128_decrypt;
} mesh_crypto_funcs_t;

typedef struct {
    uint8_t channel;
    bool allow_channel_switch;
    mesh_addr_t mesh_id;
    mesh_router_t router;
    mesh_ap_cfg_t mesh_ap;
    const mesh_crypto_funcs_t *crypto_funcs;
} mesh_cfg_t;

typedef struct {
    int to_parent;
    int to_parent_p2p;
    int to_child;
    int to_child_p2p;
    int mgmt;
    int broadcast;
} mesh_tx_pending_t;

extern const mesh_crypto_funcs_t g_wifi_default_mesh_crypto_funcs;
#define MESH_INIT_CONFIG_DEFAULT()                                                                                     \
    { .crypto_funcs = &g_wifi_default_mesh_crypto_funcs, }
#endif

/// Wi-Fi is started.
esp_err_t esp_mesh_init(void);
esp_err_t esp_mesh_deinit(void);
/// Before the start: config, layers, topology, mode and password of the soft-AP, key of the information elements.
esp_err_t esp_mesh_set_config(const mesh_cfg_t *config);
esp_err_t esp_mesh_set_max_layer(int max_layer);
esp_err_t esp_mesh_set_topology(esp_mesh_topology_t topo);
esp_err_t esp_mesh_set_ap_authmode(wifi_auth_mode_t authmode);
esp_err_t esp_mesh_set_ie_crypto_key(const char *key, int len);
esp_err_t esp_mesh_send_block_time(uint32_t time_ms);
esp_err_t esp_mesh_set_xon_qsize(int qsize);
esp_err_t esp_mesh_disable_ps(void);
esp_err_t esp_mesh_fix_root(bool enable);
esp_err_t esp_mesh_set_self_organized(bool enable, bool select_parent);
esp_err_t esp_mesh_start(void);
esp_err_t esp_mesh_stop(void);
/// At any time.
esp_err_t esp_mesh_set_router(const mesh_router_t *router);
esp_err_t esp_mesh_set_group_id(const mesh_addr_t *addr, int num);
esp_err_t esp_mesh_disconnect(void);
esp_err_t esp_mesh_connect(void);
bool esp_mesh_is_root(void);
int esp_mesh_get_layer(void);
esp_err_t esp_mesh_get_tx_pending(mesh_tx_pending_t *pending);
esp_err_t esp_mesh_get_routing_table(mesh_addr_t *mac, int len, int *size);
int esp_mesh_get_routing_table_size(void);
/// to NULL: the root. One caller at a time.
esp_err_t esp_mesh_send(const mesh_addr_t *to, const mesh_data_t *data, int flag, const mesh_opt_t opt[],
                        int opt_count);
esp_err_t esp_mesh_recv(mesh_addr_t *from, mesh_data_t *data, int timeout_ms, int *flag, mesh_opt_t opt[],
                        int opt_count);

#endif
