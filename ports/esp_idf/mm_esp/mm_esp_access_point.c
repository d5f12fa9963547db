// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_access_point.h"

#include <esp_event.h>
#include <esp_netif.h>
#include <esp_wifi.h>
#include <esp_wifi_default.h>
#include <stdio.h>
#include <string.h>

#include "mm_esp_crypto.h"
#include "mm_esp_log.h"

// 32, a part of 256: every one has the same chance. No 0, O, 1, I, l.
static const char s_letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
_Static_assert(sizeof s_letters == 33, "32 letters");

void mm_esp_access_point_prepare(mm_esp_access_point_options_t *options, mm_mac_t mac,
                                 const uint8_t random[MM_ESP_ACCESS_POINT_PASSWORD_CHARS]) {
    memset(options, 0, sizeof *options);
    (void)snprintf(options->name, sizeof options->name, "MM-%02X%02X%02X", mac.bytes[3], mac.bytes[4], mac.bytes[5]);
    for (size_t i = 0; i < MM_ESP_ACCESS_POINT_PASSWORD_CHARS; i++) {
        options->password[i] = s_letters[random[i] % (sizeof s_letters - 1)];
    }
    options->channel = 6;
}

static bool configure(const mm_esp_access_point_options_t *options) {
    wifi_config_t config = {.ap = {.ssid_len = (uint8_t)strlen(options->name),
                                   .channel = options->channel,
                                   .authmode = WIFI_AUTH_WPA2_PSK,
                                   .max_connection = MM_ESP_ACCESS_POINT_STATIONS,
                                   .beacon_interval = 100,
                                   .pmf_cfg = {.capable = true, .required = false}}};
    memcpy(config.ap.ssid, options->name, config.ap.ssid_len);
    memcpy(config.ap.password, options->password, strlen(options->password));
    bool good = esp_wifi_set_config(WIFI_IF_AP, &config) == ESP_OK;
    mm_esp_wipe(&config, sizeof config);
    return good;
}

static bool begin(mm_esp_access_point_t *self, const mm_esp_access_point_options_t *options) {
    const wifi_init_config_t init = WIFI_INIT_CONFIG_DEFAULT();
    esp_err_t loop = ESP_OK;
    if (esp_netif_init() != ESP_OK) {
        return false;
    }
    loop = esp_event_loop_create_default();
    if (loop != ESP_OK && loop != ESP_ERR_INVALID_STATE) { // the latter: there is one already
        return false;
    }
    self->netif = esp_netif_create_default_wifi_ap();
    self->wifi_is_open = self->netif != NULL && esp_wifi_init(&init) == ESP_OK;
    if (!self->wifi_is_open || esp_wifi_set_storage(WIFI_STORAGE_RAM) != ESP_OK ||
        esp_wifi_set_mode(WIFI_MODE_AP) != ESP_OK || !configure(options)) {
        return false;
    }
    self->is_started = esp_wifi_start() == ESP_OK;
    return self->is_started;
}

mm_err_t mm_esp_access_point_open(mm_esp_access_point_t *self, const mm_esp_access_point_options_t *options) {
    if (self->is_open) {
        return MM_ERR_STATE;
    }
    memset(self, 0, sizeof *self);
    self->is_open = true;
    if (begin(self, options)) {
        return MM_OK;
    }
    mm_esp_access_point_close(self);
    return MM_ERR_UNAVAILABLE;
}

void mm_esp_access_point_close(mm_esp_access_point_t *self) {
    if (!self->is_open) {
        return;
    }
    bool good = true;
    if (self->is_started) {
        good = esp_wifi_stop() == ESP_OK;
    }
    if (self->wifi_is_open) {
        good = esp_wifi_deinit() == ESP_OK && good;
    }
    esp_netif_destroy_default_wifi(self->netif);
    memset(self, 0, sizeof *self);
    if (!good) {
        mm_esp_log(MM_LOG_ERROR, "access point: Wi-Fi does not end");
    }
}
