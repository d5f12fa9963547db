// SPDX-License-Identifier: Apache-2.0
#include "fake_wifi.h"

#include <string.h>

#include "fake.h"
#include "fake_event.h"

#define CHANNEL_MAX 14

ESP_EVENT_DEFINE_BASE(WIFI_EVENT);

static fake_wifi_t s_wifi;

static void reset(void) {
    s_wifi = (fake_wifi_t){.channel = 1, .ps = WIFI_PS_MIN_MODEM};
}

FAKE_ON_RESET(reset)

fake_wifi_t *fake_wifi(void) {
    return &s_wifi;
}

static bool has_station(void) {
    return s_wifi.mode == WIFI_MODE_STA || s_wifi.mode == WIFI_MODE_APSTA;
}

static bool has_access_point(void) {
    return s_wifi.mode == WIFI_MODE_AP || s_wifi.mode == WIFI_MODE_APSTA;
}

static esp_err_t result_of_call(void) {
    if (!s_wifi.is_open) {
        return ESP_ERR_WIFI_NOT_INIT;
    }
    return fake_call_fails() ? ESP_FAIL : ESP_OK;
}

esp_err_t esp_wifi_init(const wifi_init_config_t *config) {
    const wifi_init_config_t usual = WIFI_INIT_CONFIG_DEFAULT();
    if (config->magic != usual.magic) {
        return ESP_ERR_INVALID_ARG;
    }
    if (s_wifi.is_open) {
        return ESP_OK;
    }
    if (fake_call_fails()) {
        return ESP_ERR_NO_MEM;
    }
    s_wifi.is_open = true;
    s_wifi.opens++;
    s_wifi.mode = WIFI_MODE_STA;
    s_wifi.storage = WIFI_STORAGE_FLASH;
    return ESP_OK;
}

// Giving back does not fail here: nobody could do anything about it. That it is done in order is checked.
esp_err_t esp_wifi_deinit(void) {
    if (!s_wifi.is_open) {
        return ESP_ERR_WIFI_NOT_INIT;
    }
    if (s_wifi.is_started) {
        return ESP_ERR_WIFI_NOT_STOPPED;
    }
    unsigned opens = s_wifi.opens;
    reset();
    s_wifi.opens = opens;
    return ESP_OK;
}

esp_err_t esp_wifi_set_storage(wifi_storage_t storage) {
    esp_err_t err = result_of_call();
    s_wifi.storage = err == ESP_OK ? storage : s_wifi.storage;
    return err;
}

esp_err_t esp_wifi_set_mode(wifi_mode_t mode) {
    esp_err_t err = result_of_call();
    s_wifi.mode = err == ESP_OK ? mode : s_wifi.mode;
    return err;
}

esp_err_t esp_wifi_get_mode(wifi_mode_t *mode) {
    *mode = s_wifi.mode;
    return result_of_call();
}

esp_err_t esp_wifi_start(void) {
    esp_err_t err = result_of_call();
    if (err != ESP_OK || s_wifi.is_started) {
        return err;
    }
    s_wifi.is_started = true;
    if (has_station()) {
        (void)fake_event_post(WIFI_EVENT, WIFI_EVENT_STA_START, NULL);
    }
    if (has_access_point()) {
        (void)fake_event_post(WIFI_EVENT, WIFI_EVENT_AP_START, NULL);
    }
    return ESP_OK;
}

esp_err_t esp_wifi_stop(void) {
    if (!s_wifi.is_open) {
        return ESP_ERR_WIFI_NOT_INIT;
    }
    if (!s_wifi.is_started) {
        return ESP_OK;
    }
    s_wifi.is_started = false;
    if (has_station()) {
        (void)fake_event_post(WIFI_EVENT, WIFI_EVENT_STA_STOP, NULL);
    }
    if (has_access_point()) {
        (void)fake_event_post(WIFI_EVENT, WIFI_EVENT_AP_STOP, NULL);
    }
    return ESP_OK;
}

static esp_err_t result_of_station_call(void) {
    esp_err_t err = result_of_call();
    if (err == ESP_OK && !s_wifi.is_started) {
        err = ESP_ERR_WIFI_NOT_STARTED;
    } else if (err == ESP_OK && !has_station()) {
        err = ESP_ERR_WIFI_MODE;
    }
    return err;
}

esp_err_t esp_wifi_connect(void) {
    esp_err_t err = result_of_station_call();
    s_wifi.connects += err == ESP_OK ? 1 : 0;
    return err;
}

esp_err_t esp_wifi_disconnect(void) {
    esp_err_t err = result_of_station_call();
    s_wifi.disconnects += err == ESP_OK ? 1 : 0;
    return err;
}

static wifi_config_t *config_of(wifi_interface_t interface) {
    bool is_there = interface == WIFI_IF_AP ? has_access_point() : has_station();
    wifi_config_t *config = interface == WIFI_IF_AP ? &s_wifi.ap : &s_wifi.sta;
    return is_there ? config : NULL;
}

static bool access_point_is_good(const wifi_ap_config_t *ap) {
    size_t password_chars = strnlen((const char *)ap->password, sizeof ap->password);
    return ap->authmode == WIFI_AUTH_OPEN || password_chars >= 8;
}

esp_err_t esp_wifi_set_config(wifi_interface_t interface, wifi_config_t *conf) {
    esp_err_t err = result_of_call();
    if (err != ESP_OK) {
        return err;
    }
    if (config_of(interface) == NULL) {
        return ESP_ERR_WIFI_MODE;
    }
    if (interface == WIFI_IF_AP && !access_point_is_good(&conf->ap)) {
        return ESP_ERR_WIFI_PASSWORD;
    }
    *config_of(interface) = *conf;
    return ESP_OK;
}

esp_err_t esp_wifi_get_config(wifi_interface_t interface, wifi_config_t *conf) {
    esp_err_t err = result_of_call();
    if (err == ESP_OK) {
        *conf = interface == WIFI_IF_AP ? s_wifi.ap : s_wifi.sta;
    }
    return err;
}

esp_err_t esp_wifi_set_ps(wifi_ps_type_t type) {
    esp_err_t err = result_of_call();
    s_wifi.ps = err == ESP_OK ? type : s_wifi.ps;
    return err;
}

esp_err_t esp_wifi_set_channel(uint8_t primary, wifi_second_chan_t second) {
    (void)second;
    esp_err_t err = result_of_call();
    if (err != ESP_OK) {
        return err;
    }
    if (!s_wifi.is_started) {
        return ESP_ERR_WIFI_NOT_STARTED;
    }
    if (primary < 1 || primary > CHANNEL_MAX) {
        return ESP_ERR_INVALID_ARG;
    }
    if (s_wifi.channel_is_fixed) {
        return ESP_FAIL;
    }
    s_wifi.channel = primary;
    return ESP_OK;
}

esp_err_t esp_wifi_get_channel(uint8_t *primary, wifi_second_chan_t *second) {
    *primary = s_wifi.channel;
    *second = WIFI_SECOND_CHAN_NONE;
    return result_of_call();
}

esp_err_t esp_wifi_get_mac(wifi_interface_t ifx, uint8_t mac[6]) {
    static const uint8_t own[6] = FAKE_WIFI_MAC;
    memcpy(mac, own, sizeof own);
    mac[5] = (uint8_t)(mac[5] + (ifx == WIFI_IF_AP ? 1 : 0));
    return result_of_call();
}
