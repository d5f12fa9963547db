// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_door.h"

#include <esp_now.h>
#include <esp_timer.h>
#include <esp_wifi.h>
#include <string.h>

#include "mm_esp_owner.h"
#include "mm_esp_radio.h"

#define MAGIC "MMDR"
#define MAGIC_BYTES (sizeof MAGIC - 1)
#define SECOND_US INT64_C(1000000)

_Static_assert(MAGIC_BYTES + MM_DOOR_PACKET_BYTES_MAX <= ESP_NOW_MAX_DATA_LEN, "a packet is one of ESP-NOW");

static const uint8_t s_everybody[ESP_NOW_ETH_ALEN] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

// Static: the callback has no context. Only set while nobody calls it.
static mm_esp_door_t *s_door;

static void count(uint32_t *counter) {
    *counter += *counter < UINT32_MAX ? 1 : 0;
}

// --- receiving, in the task of Wi-Fi -------------------------------------------------------------------------------

static bool is_in_rate(mm_esp_door_t *self) {
    int64_t now_us = esp_timer_get_time();
    if (now_us - self->second_us >= SECOND_US) {
        self->second_us = now_us;
        self->left = MM_DOOR_PACKETS_PER_S;
    }
    if (self->left == 0) {
        return false;
    }
    self->left--;
    return true;
}

static void on_packet(const esp_now_recv_info_t *info, const uint8_t *data, int data_len) {
    mm_esp_door_t *self = s_door;
    size_t bytes_count = data_len > 0 ? (size_t)data_len : 0;
    if (bytes_count <= MAGIC_BYTES || bytes_count > MAGIC_BYTES + MM_DOOR_PACKET_BYTES_MAX ||
        memcmp(data, MAGIC, MAGIC_BYTES) != 0) {
        count(&self->counts.foreign);
        return;
    }
    if (!is_in_rate(self)) {
        count(&self->counts.limited);
        return;
    }
    mm_mac_t from;
    memcpy(from.bytes, info->src_addr, sizeof from.bytes);
    // What the owner has no room for is counted there.
    (void)mm_esp_owner_post_door(from, data + MAGIC_BYTES, bytes_count - MAGIC_BYTES);
}

// --- sending -------------------------------------------------------------------------------------------------------

static bool add_peer(const uint8_t address[ESP_NOW_ETH_ALEN]) {
    esp_now_peer_info_t peer = {.ifidx = WIFI_IF_STA};
    memcpy(peer.peer_addr, address, sizeof peer.peer_addr);
    esp_err_t err = esp_now_add_peer(&peer);
    return err == ESP_OK || err == ESP_ERR_ESPNOW_EXIST;
}

// The SDK sends to whom it knows; one device at a time is enough.
static bool know(mm_esp_door_t *self, mm_mac_t to) {
    if (mm_mac_is_zero(to) || mm_mac_equal(to, self->peer)) {
        return true;
    }
    if (!mm_mac_is_zero(self->peer)) {
        (void)esp_now_del_peer(self->peer.bytes);
        self->peer = (mm_mac_t){{0}};
    }
    bool good = add_peer(to.bytes);
    self->peer = good ? to : self->peer;
    return good;
}

static bool go_to_next_channel(mm_esp_door_t *self) {
    for (int i = 0; i < MM_ESP_DOOR_CHANNELS; i++) {
        self->channel = (uint8_t)(self->channel % MM_ESP_DOOR_CHANNELS + 1);
        if (esp_wifi_set_channel(self->channel, WIFI_SECOND_CHAN_NONE) == ESP_OK) {
            return true;
        }
    }
    return false; // a router is being tried
}

static mm_err_t refuse(mm_esp_door_t *self, mm_err_t err) {
    count(&self->counts.sends_refused);
    return err;
}

static mm_err_t send_packet(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    mm_esp_door_t *self = context;
    MM_ASSERT(bytes_count >= 1 && bytes_count <= MM_DOOR_PACKET_BYTES_MAX);
    if (!self->is_open) {
        return refuse(self, MM_ERR_UNAVAILABLE);
    }
    bool to_all = mm_mac_is_zero(to);
    if ((to_all && self->is_parked && !go_to_next_channel(self)) || !know(self, to)) {
        return refuse(self, MM_ERR_BUSY);
    }
    uint8_t packet[MAGIC_BYTES + MM_DOOR_PACKET_BYTES_MAX];
    memcpy(packet, MAGIC, MAGIC_BYTES);
    memcpy(packet + MAGIC_BYTES, bytes, bytes_count);
    switch (esp_now_send(to_all ? s_everybody : to.bytes, packet, MAGIC_BYTES + bytes_count)) {
    case ESP_OK:
        return MM_OK;
    case ESP_ERR_ESPNOW_NO_MEM:
        return refuse(self, MM_ERR_BUSY);
    default:
        return refuse(self, MM_ERR_UNAVAILABLE);
    }
}

// --- open and close ------------------------------------------------------------------------------------------------

static void end(void *context) {
    mm_esp_door_t *self = context;
    if (self->is_open) {
        self->is_open = false;
        (void)esp_now_unregister_recv_cb();
        (void)esp_now_deinit(); // peers go with it
        self->peer = (mm_mac_t){{0}};
    }
}

static mm_err_t begin(mm_esp_door_t *self) {
    if (esp_now_init() != ESP_OK) {
        return MM_ERR_UNAVAILABLE;
    }
    self->is_open = true;
    if (!add_peer(s_everybody) || esp_now_register_recv_cb(on_packet) != ESP_OK) {
        end(self);
        return MM_ERR_UNAVAILABLE;
    }
    return MM_OK;
}

mm_err_t mm_esp_door_open(mm_esp_door_t *self, bool is_parked) {
    *self = (mm_esp_door_t){.door = {.send = send_packet, .context = self},
                            .is_parked = is_parked,
                            .is_wanted = true,
                            .second_us = esp_timer_get_time(),
                            .left = MM_DOOR_PACKETS_PER_S};
    s_door = self;
    mm_esp_radio_set_user(end, self);
    return begin(self);
}

void mm_esp_door_close(mm_esp_door_t *self) {
    self->is_wanted = false;
    end(self);
    mm_esp_radio_set_user(NULL, NULL);
}

void mm_esp_door_poll(mm_esp_door_t *self) {
    mm_esp_radio_use_t use = self->is_parked ? MM_ESP_RADIO_STATION : MM_ESP_RADIO_MESH;
    if (self->is_wanted && !self->is_open && mm_esp_radio_use() == use) {
        (void)begin(self);
    }
}
