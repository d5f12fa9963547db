// SPDX-License-Identifier: Apache-2.0
#include "fake_now.h"

#include <string.h>

#include "fake.h"
#include "fake_wifi.h"

static fake_now_t s_now;

static void reset(void) {
    memset(&s_now, 0, sizeof s_now);
}

FAKE_ON_RESET(reset)

fake_now_t *fake_now(void) {
    return &s_now;
}

esp_err_t esp_now_init(void) {
    if (!fake_wifi()->is_started) {
        return ESP_ERR_ESPNOW_INTERNAL;
    }
    if (fake_call_fails()) {
        return ESP_ERR_ESPNOW_NO_MEM;
    }
    s_now.is_open = true;
    return ESP_OK;
}

// Peers and callbacks go with it.
esp_err_t esp_now_deinit(void) {
    if (!s_now.is_open) {
        return ESP_ERR_ESPNOW_NOT_INIT;
    }
    s_now.is_open = false;
    s_now.receive = NULL;
    s_now.peer_count = 0;
    return ESP_OK;
}

static esp_err_t result_of_call(void) {
    if (!s_now.is_open) {
        return ESP_ERR_ESPNOW_NOT_INIT;
    }
    return fake_call_fails() ? ESP_ERR_ESPNOW_INTERNAL : ESP_OK;
}

esp_err_t esp_now_register_recv_cb(esp_now_recv_cb_t cb) {
    esp_err_t err = result_of_call();
    s_now.receive = err == ESP_OK ? cb : s_now.receive;
    return err;
}

esp_err_t esp_now_unregister_recv_cb(void) {
    s_now.receive = NULL;
    return s_now.is_open ? ESP_OK : ESP_ERR_ESPNOW_NOT_INIT;
}

static int find(const uint8_t *peer_addr) {
    for (unsigned i = 0; i < s_now.peer_count; i++) {
        if (memcmp(s_now.peers[i].peer_addr, peer_addr, ESP_NOW_ETH_ALEN) == 0) {
            return (int)i;
        }
    }
    return -1;
}

esp_err_t esp_now_add_peer(const esp_now_peer_info_t *peer) {
    esp_err_t err = result_of_call();
    if (err != ESP_OK) {
        return err;
    }
    if (find(peer->peer_addr) >= 0) {
        return ESP_ERR_ESPNOW_EXIST;
    }
    if (s_now.peer_count == FAKE_NOW_PEERS_MAX) {
        return ESP_ERR_ESPNOW_FULL;
    }
    s_now.peers[s_now.peer_count++] = *peer;
    return ESP_OK;
}

esp_err_t esp_now_del_peer(const uint8_t *peer_addr) {
    int found = find(peer_addr);
    if (!s_now.is_open || found < 0) {
        return s_now.is_open ? ESP_ERR_ESPNOW_NOT_FOUND : ESP_ERR_ESPNOW_NOT_INIT;
    }
    s_now.peers[found] = s_now.peers[--s_now.peer_count];
    return ESP_OK;
}

esp_err_t esp_now_send(const uint8_t *peer_addr, const uint8_t *data, size_t len) {
    if (!s_now.is_open) {
        return ESP_ERR_ESPNOW_NOT_INIT;
    }
    if (peer_addr == NULL || len < 1 || len > ESP_NOW_MAX_DATA_LEN) {
        return ESP_ERR_ESPNOW_ARG;
    }
    if (find(peer_addr) < 0) {
        return ESP_ERR_ESPNOW_NOT_FOUND;
    }
    if (fake_call_fails()) {
        return ESP_ERR_ESPNOW_NO_MEM;
    }
    memcpy(s_now.sent_to, peer_addr, sizeof s_now.sent_to);
    memcpy(s_now.sent, data, len);
    s_now.sent_bytes = len;
    s_now.sent_channel = fake_wifi()->channel;
    s_now.send_count++;
    return ESP_OK;
}

void fake_now_receive(const uint8_t from[6], const void *data, int data_len) {
    uint8_t source[6];
    uint8_t destination[6] = FAKE_WIFI_MAC;
    uint8_t copy[ESP_NOW_MAX_DATA_LEN + 1];
    memcpy(source, from, sizeof source);
    memcpy(copy, data, (size_t)data_len);
    const esp_now_recv_info_t info = {.src_addr = source, .des_addr = destination};
    if (s_now.receive != NULL) {
        s_now.receive(&info, copy, data_len);
    }
}
