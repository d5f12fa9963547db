// SPDX-License-Identifier: Apache-2.0
#include "fake_mesh.h"

#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "fake_event.h"
#include "fake_freertos.h"
#include "fake_wifi.h"

#define FRAME_BYTES_MAX ((size_t)2 * MESH_MPS)

typedef struct {
    uint8_t from[6];
    size_t size;
    uint8_t data[FRAME_BYTES_MAX];
} received_t;

ESP_EVENT_DEFINE_BASE(MESH_EVENT);
const mesh_crypto_funcs_t g_wifi_default_mesh_crypto_funcs = {0};

static fake_mesh_t s_mesh;
static received_t s_received[FAKE_MESH_QUEUE_MAX];
static unsigned s_received_first;
static unsigned s_received_count;

static void reset(void) {
    s_mesh = (fake_mesh_t){.layer = -1};
    s_received_first = 0;
    s_received_count = 0;
}

FAKE_ON_RESET(reset)

fake_mesh_t *fake_mesh(void) {
    return &s_mesh;
}

// --- begin and end -------------------------------------------------------------------------------------------------

esp_err_t esp_mesh_init(void) {
    if (!fake_wifi()->is_started) {
        return ESP_ERR_MESH_WIFI_NOT_START;
    }
    if (fake_call_fails()) {
        return ESP_ERR_MESH_NO_MEMORY;
    }
    s_mesh.is_open = true;
    s_mesh.is_self_organized = true;
    return ESP_OK;
}

esp_err_t esp_mesh_deinit(void) {
    if (s_mesh.is_started) {
        fake_abort("the mesh is deinitialised while it runs");
    }
    s_mesh.is_open = false;
    s_mesh.has_config = false;
    return ESP_OK;
}

static esp_err_t result_before_start(void) {
    if (!s_mesh.is_open) {
        return ESP_ERR_MESH_NOT_INIT;
    }
    if (s_mesh.is_started) {
        return ESP_ERR_MESH_NOT_ALLOWED;
    }
    return fake_call_fails() ? ESP_FAIL : ESP_OK;
}

static esp_err_t result_at_any_time(void) {
    if (!s_mesh.is_open) {
        return ESP_ERR_MESH_NOT_INIT;
    }
    return fake_call_fails() ? ESP_FAIL : ESP_OK;
}

static bool router_is_good(const mesh_router_t *router) {
    return router->ssid_len >= 1 && router->ssid_len <= sizeof router->ssid;
}

esp_err_t esp_mesh_set_config(const mesh_cfg_t *config) {
    esp_err_t err = result_before_start();
    if (err != ESP_OK) {
        return err;
    }
    int stations = config->mesh_ap.max_connection + config->mesh_ap.nonmesh_max_connection;
    if (!router_is_good(&config->router) || stations < 1 || stations > 10) {
        return ESP_ERR_MESH_ARGUMENT;
    }
    s_mesh.config = *config;
    s_mesh.router = config->router;
    s_mesh.has_config = true;
    return ESP_OK;
}

esp_err_t esp_mesh_set_max_layer(int max_layer) {
    esp_err_t err = result_before_start();
    s_mesh.max_layer = err == ESP_OK ? max_layer : s_mesh.max_layer;
    return err;
}

esp_err_t esp_mesh_set_topology(esp_mesh_topology_t topo) {
    esp_err_t err = result_before_start();
    s_mesh.topology = err == ESP_OK ? topo : s_mesh.topology;
    return err;
}

esp_err_t esp_mesh_set_ap_authmode(wifi_auth_mode_t authmode) {
    esp_err_t err = result_before_start();
    s_mesh.authmode = err == ESP_OK ? authmode : s_mesh.authmode;
    return err;
}

esp_err_t esp_mesh_set_ie_crypto_key(const char *key, int len) {
    esp_err_t err = result_before_start();
    if (err == ESP_OK && (len < 8 || len > 64)) {
        err = ESP_ERR_MESH_ARGUMENT;
    }
    if (err == ESP_OK) {
        (void)snprintf(s_mesh.ie_key, sizeof s_mesh.ie_key, "%.*s", len, key);
    }
    return err;
}

esp_err_t esp_mesh_send_block_time(uint32_t time_ms) {
    esp_err_t err = result_before_start();
    s_mesh.block_ms = err == ESP_OK ? time_ms : s_mesh.block_ms;
    return err;
}

esp_err_t esp_mesh_set_xon_qsize(int qsize) {
    (void)qsize;
    return result_before_start();
}

esp_err_t esp_mesh_disable_ps(void) {
    esp_err_t err = result_before_start();
    s_mesh.ps_was_disabled = err == ESP_OK || s_mesh.ps_was_disabled;
    return err;
}

esp_err_t esp_mesh_fix_root(bool enable) {
    esp_err_t err = result_at_any_time();
    s_mesh.root_is_fixed = err == ESP_OK ? enable : s_mesh.root_is_fixed;
    return err;
}

esp_err_t esp_mesh_set_self_organized(bool enable, bool select_parent) {
    esp_err_t err = result_at_any_time();
    s_mesh.is_self_organized = err == ESP_OK ? enable : s_mesh.is_self_organized;
    s_mesh.searches += err == ESP_OK && select_parent ? 1 : 0;
    return err;
}

esp_err_t esp_mesh_start(void) {
    if (s_mesh.is_started) {
        fake_abort("the mesh is started twice");
    }
    if (!s_mesh.has_config) {
        return ESP_ERR_MESH_NOT_CONFIG;
    }
    if (fake_call_fails()) {
        return ESP_ERR_MESH_NO_MEMORY;
    }
    s_mesh.is_started = true;
    s_mesh.starts++;
    fake_wifi()->mode = WIFI_MODE_APSTA;
    (void)fake_event_post(MESH_EVENT, MESH_EVENT_STARTED, NULL);
    return ESP_OK;
}

esp_err_t esp_mesh_stop(void) {
    if (!s_mesh.is_started) {
        return ESP_FAIL;
    }
    s_mesh.is_started = false;
    s_mesh.stops++;
    s_mesh.is_root = false;
    s_mesh.layer = -1;
    s_mesh.node_count = 0;
    s_mesh.pending = (mesh_tx_pending_t){0};
    s_received_count = 0;
    if (!s_mesh.stops_silently) {
        (void)fake_event_post(MESH_EVENT, MESH_EVENT_STOPPED, NULL);
    }
    return ESP_OK;
}

// --- while it runs -------------------------------------------------------------------------------------------------

esp_err_t esp_mesh_set_router(const mesh_router_t *router) {
    esp_err_t err = result_at_any_time();
    if (err == ESP_OK && !router_is_good(router)) {
        err = ESP_ERR_MESH_ARGUMENT;
    }
    s_mesh.router = err == ESP_OK ? *router : s_mesh.router;
    return err;
}

esp_err_t esp_mesh_set_group_id(const mesh_addr_t *addr, int num) {
    esp_err_t err = result_at_any_time();
    if (err == ESP_OK && (num < 1 || num > 2)) {
        err = ESP_ERR_MESH_ARGUMENT;
    }
    if (err == ESP_OK) {
        memcpy(s_mesh.groups, addr, (size_t)num * sizeof *addr);
        s_mesh.group_count = num;
    }
    return err;
}

esp_err_t esp_mesh_disconnect(void) {
    esp_err_t err = result_at_any_time();
    s_mesh.disconnects += err == ESP_OK ? 1 : 0;
    return err;
}

esp_err_t esp_mesh_connect(void) {
    esp_err_t err = result_at_any_time();
    s_mesh.connects += err == ESP_OK ? 1 : 0;
    return err;
}

bool esp_mesh_is_root(void) {
    return s_mesh.is_root;
}

int esp_mesh_get_layer(void) {
    return s_mesh.layer;
}

esp_err_t esp_mesh_get_tx_pending(mesh_tx_pending_t *pending) {
    *pending = s_mesh.pending;
    return !s_mesh.is_started ? ESP_ERR_MESH_NOT_START : (fake_call_fails() ? ESP_FAIL : ESP_OK);
}

int esp_mesh_get_routing_table_size(void) {
    return s_mesh.node_count;
}

esp_err_t esp_mesh_get_routing_table(mesh_addr_t *mac, int len, int *size) {
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    int room = len / (int)sizeof *mac;
    *size = s_mesh.node_count < room ? s_mesh.node_count : room;
    memcpy(mac, s_mesh.nodes, (size_t)*size * sizeof *mac);
    return ESP_OK;
}

esp_err_t esp_mesh_send(const mesh_addr_t *to, const mesh_data_t *data, int flag, const mesh_opt_t opt[],
                        int opt_count) {
    (void)opt;
    if (opt_count != 0) {
        return ESP_ERR_MESH_NOT_ALLOWED;
    }
    if (!s_mesh.is_started) {
        return ESP_ERR_MESH_NOT_START;
    }
    if (data->size > MESH_MPS) {
        return ESP_ERR_MESH_EXCEED_MTU;
    }
    if (data->tos == MESH_TOS_P2P) {
        fake_abort("a send that waits until the frame has arrived");
    }
    fake_time_advance(s_mesh.send_us);
    if (s_mesh.send_result != ESP_OK || fake_call_fails()) {
        return s_mesh.send_result != ESP_OK ? s_mesh.send_result : ESP_ERR_MESH_NO_MEMORY;
    }
    s_mesh.sent = (fake_mesh_frame_t){.to_root = to == NULL, .tos = data->tos, .flag = flag, .size = data->size};
    if (to != NULL) {
        s_mesh.sent.to = *to;
    }
    memcpy(s_mesh.sent.data, data->data, data->size);
    s_mesh.send_count++;
    s_mesh.pending.to_parent += to == NULL ? 1 : 0;
    s_mesh.pending.to_child += to == NULL ? 0 : 1;
    return ESP_OK;
}

void fake_mesh_put(const uint8_t from[6], const void *data, size_t size) {
    if (s_received_count == FAKE_MESH_QUEUE_MAX || size > FRAME_BYTES_MAX) {
        fake_abort("no room for this frame");
    }
    received_t *frame = &s_received[(s_received_first + s_received_count++) % FAKE_MESH_QUEUE_MAX];
    memcpy(frame->from, from, sizeof frame->from);
    memcpy(frame->data, data, size);
    frame->size = size;
}

esp_err_t esp_mesh_recv(mesh_addr_t *from, mesh_data_t *data, int timeout_ms, int *flag, mesh_opt_t opt[],
                        int opt_count) {
    (void)opt;
    if (opt_count != 0) {
        return ESP_ERR_MESH_ARGUMENT;
    }
    if (!s_mesh.is_started) {
        return ESP_ERR_MESH_NOT_START;
    }
    if (s_mesh.recv_result != ESP_OK || fake_call_fails()) {
        return s_mesh.recv_result != ESP_OK ? s_mesh.recv_result : ESP_ERR_MESH_DISCARD;
    }
    if (s_received_count == 0) {
        // As every wait of the fakes: time passes, and a task that has waited often enough ends here.
        vTaskDelay(pdMS_TO_TICKS(timeout_ms));
        return ESP_ERR_MESH_TIMEOUT;
    }
    const received_t *frame = &s_received[s_received_first];
    s_received_first = (s_received_first + 1) % FAKE_MESH_QUEUE_MAX;
    s_received_count--;
    if (frame->size > data->size) {
        return ESP_ERR_MESH_ARGUMENT;
    }
    memcpy(from->addr, frame->from, sizeof from->addr);
    memcpy(data->data, frame->data, frame->size);
    data->size = (uint16_t)frame->size;
    *flag = 0;
    return ESP_OK;
}

// --- what the tree does --------------------------------------------------------------------------------------------

void fake_mesh_connect(int layer) {
    mesh_event_connected_t event = {.connected.bssid = FAKE_MESH_PARENT, .self_layer = (uint16_t)layer};
    s_mesh.is_root = layer == MESH_ROOT_LAYER;
    s_mesh.layer = layer;
    fake_wifi()->channel_is_fixed = true;
    fake_netif_find(false)->is_up = true;
    (void)fake_event_post(MESH_EVENT, MESH_EVENT_PARENT_CONNECTED, &event);
}

void fake_mesh_disconnect(void) {
    mesh_event_disconnected_t event = {.reason = WIFI_REASON_NO_AP_FOUND};
    fake_netif_find(false)->is_up = false;
    (void)fake_event_post(MESH_EVENT, MESH_EVENT_PARENT_DISCONNECTED, &event);
}

void fake_mesh_set_layer(int layer) {
    mesh_event_layer_change_t event = {.new_layer = (uint16_t)layer};
    s_mesh.is_root = layer == MESH_ROOT_LAYER;
    s_mesh.layer = layer;
    (void)fake_event_post(MESH_EVENT, MESH_EVENT_LAYER_CHANGE, &event);
}

void fake_mesh_root_address(const uint8_t root[6]) {
    mesh_event_root_address_t event;
    memcpy(event.addr, root, sizeof event.addr);
    (void)fake_event_post(MESH_EVENT, MESH_EVENT_ROOT_ADDRESS, &event);
}

void fake_mesh_got_ip(bool is_changed) {
    ip_event_got_ip_t event = {.esp_netif = fake_netif_find(false), .ip_changed = is_changed};
    (void)fake_event_post(IP_EVENT, IP_EVENT_STA_GOT_IP, &event);
}

void fake_mesh_lost_ip(void) {
    ip_event_got_ip_t event = {.esp_netif = fake_netif_find(false)};
    (void)fake_event_post(IP_EVENT, IP_EVENT_STA_LOST_IP, &event);
}

void fake_mesh_set_nodes(const uint8_t nodes[][6], int count) {
    mesh_event_routing_table_change_t event = {.rt_size_new = (uint16_t)count};
    int32_t id = count < s_mesh.node_count ? MESH_EVENT_ROUTING_TABLE_REMOVE : MESH_EVENT_ROUTING_TABLE_ADD;
    for (int i = 0; i < count; i++) {
        memcpy(s_mesh.nodes[i].addr, nodes[i], sizeof s_mesh.nodes[i].addr);
    }
    s_mesh.node_count = count;
    (void)fake_event_post(MESH_EVENT, id, &event);
}

void fake_mesh_no_parent(void) {
    mesh_event_no_parent_found_t event = {.scan_times = 60};
    (void)fake_event_post(MESH_EVENT, MESH_EVENT_NO_PARENT_FOUND, &event);
}
