// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_radio.h"

#include <esp_event.h>
#include <esp_netif.h>
#include <esp_wifi.h>
#include <esp_wifi_default.h>
#include <stdatomic.h>
#include <string.h>

#include "meshmeter/bytes.h"
#include "mm_esp_entropy.h"

#define ACCESS_POINT_CHANNEL 1
// One installer, and the phone's second try.
#define ACCESS_POINT_STATIONS 2

typedef struct {
    _Atomic mm_esp_radio_use_t use; // written by whoever opens and closes, read by others
    esp_netif_t *station;
    esp_netif_t *access_point;
    bool wifi_is_open;
    bool wifi_is_started;
    mm_esp_radio_use_t opened_for; // OFF: not open
    void (*end_user)(void *context);
    void *user;
} radio_t;

// Static: there is one radio.
static radio_t s_radio;

static void take_back(void) {
    if (s_radio.wifi_is_started) {
        mm_esp_entropy_set_radio(false);
        (void)esp_wifi_stop();
    }
    if (s_radio.wifi_is_open) {
        (void)esp_wifi_deinit();
    }
    esp_netif_destroy_default_wifi(s_radio.station);
    esp_netif_destroy_default_wifi(s_radio.access_point);
    s_radio.station = NULL;
    s_radio.access_point = NULL;
    s_radio.wifi_is_open = false;
    s_radio.wifi_is_started = false;
    s_radio.opened_for = MM_ESP_RADIO_OFF;
    atomic_store(&s_radio.use, MM_ESP_RADIO_OFF);
}

static bool make_interfaces(mm_esp_radio_use_t use) {
    // Both are made once and stay: the SDK cannot take them back.
    esp_err_t err = esp_netif_init();
    if (err == ESP_OK) {
        err = esp_event_loop_create_default();
    }
    if (err != ESP_OK && err != ESP_ERR_INVALID_STATE) {
        return false;
    }
    if (use == MM_ESP_RADIO_MESH) {
        return esp_netif_create_default_wifi_mesh_netifs(&s_radio.station, &s_radio.access_point) == ESP_OK;
    }
    if (use == MM_ESP_RADIO_ACCESS_POINT) {
        s_radio.access_point = esp_netif_create_default_wifi_ap();
        return s_radio.access_point != NULL;
    }
    s_radio.station = esp_netif_create_default_wifi_sta();
    return s_radio.station != NULL;
}

static bool start_wifi(mm_esp_radio_use_t use, wifi_config_t *access_point) {
    const wifi_init_config_t config = WIFI_INIT_CONFIG_DEFAULT();
    s_radio.wifi_is_open = esp_wifi_init(&config) == ESP_OK;
    if (!s_radio.wifi_is_open || esp_wifi_set_storage(WIFI_STORAGE_RAM) != ESP_OK ||
        esp_wifi_set_mode(use == MM_ESP_RADIO_ACCESS_POINT ? WIFI_MODE_AP : WIFI_MODE_STA) != ESP_OK ||
        (access_point != NULL && esp_wifi_set_config(WIFI_IF_AP, access_point) != ESP_OK)) {
        return false;
    }
    s_radio.wifi_is_started = esp_wifi_start() == ESP_OK;
    if (!s_radio.wifi_is_started) {
        return false;
    }
    mm_esp_entropy_set_radio(true);
    // The SDK stops the program when power save is switched off beside Bluetooth, which a parked node may use.
    return use == MM_ESP_RADIO_STATION || esp_wifi_set_ps(WIFI_PS_NONE) == ESP_OK;
}

static mm_err_t open_for(mm_esp_radio_use_t use, wifi_config_t *access_point) {
    if (s_radio.opened_for != MM_ESP_RADIO_OFF) {
        return MM_ERR_STATE;
    }
    mm_esp_entropy_close_source();
    if (!make_interfaces(use) || !start_wifi(use, access_point)) {
        take_back();
        return MM_ERR_UNAVAILABLE;
    }
    s_radio.opened_for = use;
    atomic_store(&s_radio.use, use);
    return MM_OK;
}

mm_err_t mm_esp_radio_open(mm_esp_radio_use_t use) {
    MM_ASSERT(use == MM_ESP_RADIO_STATION || use == MM_ESP_RADIO_MESH);
    return open_for(use, NULL);
}

mm_err_t mm_esp_radio_open_access_point(const char *name, const char *password) {
    size_t name_chars = strlen(name);
    size_t password_chars = strlen(password);
    if (name_chars < 1 || name_chars > MM_ESP_RADIO_NAME_CHARS_MAX ||
        password_chars < MM_ESP_RADIO_PASSWORD_CHARS_MIN || password_chars > MM_ESP_RADIO_PASSWORD_CHARS_MAX) {
        return MM_ERR_ARG;
    }
    wifi_config_t config = {.ap = {.ssid_len = (uint8_t)name_chars,
                                   .channel = ACCESS_POINT_CHANNEL,
                                   .authmode = WIFI_AUTH_WPA2_PSK,
                                   .max_connection = ACCESS_POINT_STATIONS,
                                   .pmf_cfg = {.capable = true}}};
    memcpy(config.ap.ssid, name, name_chars);
    memcpy(config.ap.password, password, password_chars);
    mm_err_t err = open_for(MM_ESP_RADIO_ACCESS_POINT, &config);
    mm_wipe(&config, sizeof config);
    return err;
}

void mm_esp_radio_close(void) {
    if (s_radio.opened_for != MM_ESP_RADIO_OFF) {
        mm_esp_radio_end_user();
        take_back();
    }
}

void mm_esp_radio_set_user(void (*end)(void *context), void *context) {
    s_radio.end_user = end;
    s_radio.user = context;
}

void mm_esp_radio_end_user(void) {
    atomic_store(&s_radio.use, MM_ESP_RADIO_OFF);
    if (s_radio.end_user != NULL) {
        s_radio.end_user(s_radio.user);
    }
}

void mm_esp_radio_keep(void) {
    atomic_store(&s_radio.use, s_radio.opened_for);
}

mm_esp_radio_use_t mm_esp_radio_use(void) {
    return atomic_load(&s_radio.use);
}

void *mm_esp_radio_station(void) {
    return s_radio.station;
}
