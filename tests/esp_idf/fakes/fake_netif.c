// SPDX-License-Identifier: Apache-2.0
// Network interfaces; what a test sees of them is in fake_wifi.h.
#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "fake_event.h"
#include "fake_wifi.h"

ESP_EVENT_DEFINE_BASE(IP_EVENT);

static bool s_is_open;
static struct esp_netif_obj s_netifs[FAKE_NETIFS_MAX];

static void reset(void) {
    s_is_open = false;
    memset(s_netifs, 0, sizeof s_netifs);
}

FAKE_ON_RESET(reset)

bool fake_netif_is_open(void) {
    return s_is_open;
}

esp_netif_t *fake_netif_find(bool is_ap) {
    for (unsigned i = 0; i < FAKE_NETIFS_MAX; i++) {
        if (s_netifs[i].is_used && s_netifs[i].is_ap == is_ap) {
            return &s_netifs[i];
        }
    }
    return NULL;
}

unsigned fake_netif_count(void) {
    unsigned count = 0;
    for (unsigned i = 0; i < FAKE_NETIFS_MAX; i++) {
        count += s_netifs[i].is_used ? 1 : 0;
    }
    return count;
}

esp_err_t esp_netif_init(void) {
    if (!s_is_open && fake_call_fails()) {
        return ESP_FAIL;
    }
    s_is_open = true;
    return ESP_OK;
}

// The SDK finds an interface by its key: there is one of a kind, and a second one ends the program.
static esp_netif_t *make(bool is_ap, bool is_mesh) {
    if (!s_is_open) {
        fake_abort("a network interface before esp_netif_init");
    }
    if (fake_netif_find(is_ap) != NULL) {
        fake_abort("a second %s interface", is_ap ? "soft-AP" : "station");
    }
    for (unsigned i = 0; i < FAKE_NETIFS_MAX; i++) {
        if (!s_netifs[i].is_used) {
            s_netifs[i] = (struct esp_netif_obj){.is_used = true, .is_ap = is_ap, .is_mesh = is_mesh};
            // What the default handlers do when the interface comes up.
            s_netifs[i].dhcp_client_runs = !is_mesh && !is_ap;
            s_netifs[i].dhcp_server_runs = !is_mesh && is_ap;
            return &s_netifs[i];
        }
    }
    fake_abort("more than %d network interfaces", FAKE_NETIFS_MAX);
}

// Like the SDK's these three do not fail: without memory they stop the program.
esp_netif_t *esp_netif_create_default_wifi_ap(void) {
    return make(true, false);
}

esp_netif_t *esp_netif_create_default_wifi_sta(void) {
    return make(false, false);
}

esp_err_t esp_netif_create_default_wifi_mesh_netifs(esp_netif_t **p_netif_sta, esp_netif_t **p_netif_ap) {
    *p_netif_ap = make(true, true);
    *p_netif_sta = make(false, true);
    return ESP_OK;
}

static void check(const esp_netif_t *netif) {
    if (netif == NULL || !netif->is_used) {
        fake_abort("a network interface that is not there");
    }
}

void esp_netif_destroy_default_wifi(void *esp_netif) {
    if (esp_netif != NULL) {
        esp_netif_t *netif = esp_netif;
        check(netif);
        netif->is_used = false;
    }
}

esp_netif_t *esp_netif_get_handle_from_ifkey(const char *if_key) {
    return fake_netif_find(strcmp(if_key, "WIFI_AP_DEF") == 0);
}

esp_err_t esp_netif_set_hostname(esp_netif_t *esp_netif, const char *hostname) {
    check(esp_netif);
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    (void)snprintf(esp_netif->hostname, sizeof esp_netif->hostname, "%s", hostname);
    return ESP_OK;
}

esp_err_t esp_netif_get_ip_info(esp_netif_t *esp_netif, esp_netif_ip_info_t *ip_info) {
    check(esp_netif);
    *ip_info = esp_netif->ip;
    return fake_call_fails() ? ESP_FAIL : ESP_OK;
}

esp_err_t esp_netif_set_ip_info(esp_netif_t *esp_netif, const esp_netif_ip_info_t *ip_info) {
    check(esp_netif);
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    if (esp_netif->dhcp_client_runs || esp_netif->dhcp_server_runs) {
        return ESP_ERR_ESP_NETIF_DHCP_NOT_STOPPED;
    }
    esp_netif->ip = *ip_info;
    return ESP_OK;
}

static esp_err_t set_running(bool *runs, bool wanted, esp_err_t err_if_so) {
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    if (*runs == wanted) {
        return err_if_so;
    }
    *runs = wanted;
    return ESP_OK;
}

esp_err_t esp_netif_dhcpc_start(esp_netif_t *esp_netif) {
    check(esp_netif);
    if (esp_netif->is_mesh && !esp_netif->is_up) {
        return fake_call_fails() ? ESP_FAIL : ESP_OK;
    }
    esp_err_t err = set_running(&esp_netif->dhcp_client_runs, true, ESP_ERR_ESP_NETIF_DHCP_ALREADY_STARTED);
    esp_netif->dhcp_client_starts += err == ESP_OK ? 1 : 0;
    return err;
}

esp_err_t esp_netif_dhcpc_stop(esp_netif_t *esp_netif) {
    check(esp_netif);
    return set_running(&esp_netif->dhcp_client_runs, false, ESP_ERR_ESP_NETIF_DHCP_ALREADY_STOPPED);
}

esp_err_t esp_netif_dhcps_start(esp_netif_t *esp_netif) {
    check(esp_netif);
    return set_running(&esp_netif->dhcp_server_runs, true, ESP_ERR_ESP_NETIF_DHCP_ALREADY_STARTED);
}

esp_err_t esp_netif_dhcps_stop(esp_netif_t *esp_netif) {
    check(esp_netif);
    return set_running(&esp_netif->dhcp_server_runs, false, ESP_ERR_ESP_NETIF_DHCP_ALREADY_STOPPED);
}
