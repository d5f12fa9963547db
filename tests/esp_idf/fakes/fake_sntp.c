// SPDX-License-Identifier: Apache-2.0
#include "fake_sntp.h"

#include <stdio.h>

#include "fake.h"

static bool s_is_running;
static esp_sntp_time_cb_t s_callback;
static char s_server[64];

static void reset(void) {
    s_is_running = false;
    s_callback = NULL;
    s_server[0] = '\0';
}

FAKE_ON_RESET(reset)

esp_err_t esp_netif_sntp_init(const esp_sntp_config_t *config) {
    if (s_is_running) {
        return ESP_ERR_INVALID_STATE;
    }
    if (config->wait_for_sync || config->smooth_sync || config->server_from_dhcp || config->num_of_servers != 1) {
        fake_abort("SNTP as nobody needs it here");
    }
    if (fake_call_fails()) {
        return ESP_ERR_NO_MEM;
    }
    s_is_running = config->start;
    s_callback = config->sync_cb;
    (void)snprintf(s_server, sizeof s_server, "%s", config->servers[0]);
    return ESP_OK;
}

void esp_netif_sntp_deinit(void) {
    s_is_running = false;
    s_callback = NULL;
    s_server[0] = '\0';
}

bool fake_sntp_is_running(void) {
    return s_is_running;
}

const char *fake_sntp_server(void) {
    return s_server;
}

void fake_sntp_answer(int64_t s, int64_t us) {
    struct timeval time = {.tv_sec = s, .tv_usec = us};
    if (s_callback == NULL) {
        fake_abort("an answer that nobody waits for");
    }
    s_callback(&time);
}
