// SPDX-License-Identifier: Apache-2.0
#include "fake_ota.h"

#include <esp_crt_bundle.h>
#include <stdio.h>
#include <string.h>

#include "fake.h"

static fake_ota_t s_ota;
static unsigned s_pieces_done;
static const esp_partition_t s_running = {.label = "ota_0"};

static void reset(void) {
    s_ota = (fake_ota_t){
        .running = {.version = "1.2.3", .project_name = "meshmeter", .date = "Nov 29 2026", .time = "10:33:40"},
        .running_state = ESP_OTA_IMG_VALID,
        .offered = {.version = "1.3.0", .project_name = "meshmeter"},
        .pieces = 4,
        .pieces_sent = 4};
    s_pieces_done = 0;
}

FAKE_ON_RESET_AND_RESTART(reset, NULL)

fake_ota_t *fake_ota(void) {
    return &s_ota;
}

esp_err_t esp_crt_bundle_attach(void *conf) {
    (void)conf;
    return fake_call_fails() ? ESP_FAIL : ESP_OK;
}

const esp_app_desc_t *esp_app_get_description(void) {
    return &s_ota.running;
}

const esp_partition_t *esp_ota_get_running_partition(void) {
    return &s_running;
}

esp_err_t esp_ota_get_state_partition(const esp_partition_t *partition, esp_ota_img_states_t *ota_state) {
    if (partition != &s_running || fake_call_fails()) {
        return ESP_FAIL;
    }
    *ota_state = s_ota.running_state;
    return ESP_OK;
}

esp_err_t esp_ota_mark_app_valid_cancel_rollback(void) {
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    s_ota.running_state = ESP_OTA_IMG_VALID;
    return ESP_OK;
}

esp_err_t esp_http_client_set_timeout_ms(esp_http_client_handle_t client, int timeout_ms) {
    (void)client;
    (void)timeout_ms;
    return fake_call_fails() ? ESP_FAIL : ESP_OK;
}

static void send_header(const esp_http_client_config_t *config, const char *key) {
    char key_text[32];
    char value[] = "https://elsewhere.example/a.bin";
    (void)snprintf(key_text, sizeof key_text, "%s", key);
    esp_http_client_event_t event = {.event_id = HTTP_EVENT_ON_HEADER,
                                     .user_data = config->user_data,
                                     .header_key = key_text,
                                     .header_value = value};
    if (config->event_handler != NULL) {
        (void)config->event_handler(&event);
    }
}

static void check_handle(esp_https_ota_handle_t handle) {
    if (handle != &s_ota || s_ota.open_count == 0) {
        fake_abort("an update's handle that is not open");
    }
}

esp_err_t esp_https_ota_begin(const esp_https_ota_config_t *ota_config, esp_https_ota_handle_t *handle) {
    *handle = NULL;
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    if (s_ota.running_state == ESP_OTA_IMG_PENDING_VERIFY) {
        return ESP_ERR_OTA_ROLLBACK_INVALID_STATE;
    }
    s_ota.bundle_was_attached = ota_config->http_config->crt_bundle_attach == esp_crt_bundle_attach;
    (void)snprintf(s_ota.url, sizeof s_ota.url, "%s", ota_config->http_config->url);
    send_header(ota_config->http_config, "Content-Type");
    if (s_ota.redirects) {
        send_header(ota_config->http_config, "location");
    }
    s_ota.open_count++;
    s_pieces_done = 0;
    *handle = &s_ota;
    return ESP_OK;
}

esp_err_t esp_https_ota_get_img_desc(esp_https_ota_handle_t https_ota_handle, esp_app_desc_t *new_app_info) {
    check_handle(https_ota_handle);
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    *new_app_info = s_ota.offered;
    return ESP_OK;
}

esp_err_t esp_https_ota_perform(esp_https_ota_handle_t https_ota_handle) {
    check_handle(https_ota_handle);
    fake_time_advance(s_ota.piece_us);
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    if (s_pieces_done == s_ota.pieces || s_pieces_done == s_ota.pieces_sent) {
        return ESP_OK;
    }
    s_pieces_done++;
    return ESP_ERR_HTTPS_OTA_IN_PROGRESS;
}

bool esp_https_ota_is_complete_data_received(esp_https_ota_handle_t https_ota_handle) {
    check_handle(https_ota_handle);
    return s_pieces_done == s_ota.pieces;
}

esp_err_t esp_https_ota_finish(esp_https_ota_handle_t https_ota_handle) {
    check_handle(https_ota_handle);
    s_ota.open_count--;
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    if (s_ota.image_is_bad) {
        return ESP_ERR_OTA_VALIDATE_FAILED;
    }
    s_ota.new_image_is_next = true;
    return ESP_OK;
}

esp_err_t esp_https_ota_abort(esp_https_ota_handle_t https_ota_handle) {
    check_handle(https_ota_handle);
    s_ota.open_count--;
    return ESP_OK;
}
