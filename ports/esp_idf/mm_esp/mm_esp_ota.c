// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_ota.h"

#include <esp_app_desc.h>
#include <esp_crt_bundle.h>
#include <esp_http_client.h>
#include <esp_https_ota.h>
#include <esp_ota_ops.h>
#include <esp_timer.h>
#include <string.h>
#include <strings.h>

#include "mm_esp_log.h"

#define NETWORK_TIMEOUT_MS 20000
#define VERSION_PARTS 3
#define VERSION_PART_MAX 99999

// --- versions ------------------------------------------------------------------------------------------------------

// "v1.2.3-anything" to three numbers. False: not a version.
static bool parse_version(const char *text, uint32_t parts[VERSION_PARTS]) {
    if (*text == 'v') {
        text++;
    }
    for (size_t i = 0; i < VERSION_PARTS; i++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        parts[i] = 0;
        while (*text >= '0' && *text <= '9') {
            parts[i] = parts[i] * 10 + (uint32_t)(*text++ - '0');
            if (parts[i] > VERSION_PART_MAX) {
                return false;
            }
        }
        bool is_last = i + 1 == VERSION_PARTS;
        if (!is_last && *text++ != '.') {
            return false;
        }
    }
    return *text == '\0' || *text == '-' || *text == '+';
}

bool mm_esp_ota_is_newer(const char *offered, const char *present) {
    uint32_t new_parts[VERSION_PARTS];
    uint32_t old_parts[VERSION_PARTS];
    if (!parse_version(offered, new_parts) || !parse_version(present, old_parts)) {
        return false;
    }
    for (size_t i = 0; i < VERSION_PARTS; i++) {
        if (new_parts[i] != old_parts[i]) {
            return new_parts[i] > old_parts[i];
        }
    }
    return false;
}

const char *mm_esp_ota_result_name(mm_esp_ota_result_t result) {
    switch (result) {
    case MM_ESP_OTA_GOOD:
        return "good";
    case MM_ESP_OTA_UNREACHABLE:
        return "unreachable";
    case MM_ESP_OTA_OTHER_PROJECT:
        return "another program";
    case MM_ESP_OTA_NOT_NEWER:
        return "not newer";
    case MM_ESP_OTA_BAD_IMAGE:
        return "bad image";
    case MM_ESP_OTA_NO_MEMORY:
        return "no memory";
    case MM_ESP_OTA_TIMED_OUT:
    default:
        return "timed out";
    }
}

// --- the download, in the worker -----------------------------------------------------------------------------------

// A copy that ends, whatever the image says.
static bool description_is_terminated(const esp_app_desc_t *description) {
    return memchr(description->version, '\0', sizeof description->version) != NULL &&
           memchr(description->project_name, '\0', sizeof description->project_name) != NULL;
}

static mm_esp_ota_result_t check_description(const mm_esp_ota_t *self, esp_https_ota_handle_t handle) {
    esp_app_desc_t offered;
    if (esp_https_ota_get_img_desc(handle, &offered) != ESP_OK || !description_is_terminated(&offered)) {
        return MM_ESP_OTA_BAD_IMAGE;
    }
    const esp_app_desc_t *present = esp_app_get_description();
    if (strcmp(offered.project_name, present->project_name) != 0) {
        return MM_ESP_OTA_OTHER_PROJECT;
    }
    if (!self->force && !mm_esp_ota_is_newer(offered.version, present->version)) {
        return MM_ESP_OTA_NOT_NEWER;
    }
    return MM_ESP_OTA_GOOD;
}

static mm_esp_ota_result_t download(esp_https_ota_handle_t handle) {
    // wait: the whole image | until MM_ESP_OTA_LIMIT_S | then the update has failed, and the old image stays
    int64_t until_us = esp_timer_get_time() + (int64_t)MM_ESP_OTA_LIMIT_S * MM_US_PER_S;
    esp_err_t err = ESP_ERR_HTTPS_OTA_IN_PROGRESS;
    while (err == ESP_ERR_HTTPS_OTA_IN_PROGRESS) {
        if (esp_timer_get_time() >= until_us) {
            return MM_ESP_OTA_TIMED_OUT;
        }
        // wait: one piece of the image | until NETWORK_TIMEOUT_MS | then the download has failed
        err = esp_https_ota_perform(handle);
    }
    if (err == ESP_ERR_NO_MEM) {
        return MM_ESP_OTA_NO_MEMORY;
    }
    if (err == ESP_ERR_OTA_VALIDATE_FAILED) {
        return MM_ESP_OTA_BAD_IMAGE;
    }
    if (err != ESP_OK) {
        return MM_ESP_OTA_UNREACHABLE;
    }
    return esp_https_ota_is_complete_data_received(handle) ? MM_ESP_OTA_GOOD : MM_ESP_OTA_BAD_IMAGE;
}

static mm_esp_ota_result_t result_of_begin(esp_err_t err) {
    return err == ESP_ERR_NO_MEM ? MM_ESP_OTA_NO_MEMORY : MM_ESP_OTA_UNREACHABLE;
}

// The SDK's updater follows redirections to wherever they lead, some versions without TLS, and as often as it is told
// to. The server that was named is the one that is asked: a redirection is noted, which refuses the update, and what
// would be connected next has no time to be.
static esp_err_t on_http_event(esp_http_client_event_t *event) {
    if (event->event_id == HTTP_EVENT_ON_HEADER && strcasecmp(event->header_key, "Location") == 0) {
        *(bool *)event->user_data = true;
        (void)esp_http_client_set_timeout_ms(event->client, 1);
    }
    return ESP_OK;
}

mm_esp_ota_result_t mm_esp_ota_run(mm_esp_ota_t *self) {
    bool was_redirected = false;
    const esp_http_client_config_t http = {
        .url = self->url,
        .timeout_ms = NETWORK_TIMEOUT_MS,
        .event_handler = on_http_event,
        .user_data = &was_redirected,
        .crt_bundle_attach = esp_crt_bundle_attach,
        .keep_alive_enable = true,
    };
    const esp_https_ota_config_t config = {.http_config = &http};
    esp_https_ota_handle_t handle = NULL;
    // wait: connection and the server's headers | until NETWORK_TIMEOUT_MS for each step | then the update has failed
    esp_err_t err = esp_https_ota_begin(&config, &handle);
    if (err != ESP_OK) {
        return result_of_begin(err);
    }
    mm_esp_ota_result_t result = was_redirected ? MM_ESP_OTA_UNREACHABLE : check_description(self, handle);
    if (result == MM_ESP_OTA_GOOD) {
        result = download(handle);
    }
    if (result != MM_ESP_OTA_GOOD) {
        (void)esp_https_ota_abort(handle);
        return result;
    }
    return esp_https_ota_finish(handle) == ESP_OK ? MM_ESP_OTA_GOOD : MM_ESP_OTA_BAD_IMAGE;
}

// --- the owner -----------------------------------------------------------------------------------------------------

void mm_esp_ota_open(mm_esp_ota_t *self, uint32_t good_cycles) {
    *self = (mm_esp_ota_t){.good_cycles_left = good_cycles};
    esp_ota_img_states_t state = ESP_OTA_IMG_VALID;
    // An image that was flashed by cable has no state.
    if (esp_ota_get_state_partition(esp_ota_get_running_partition(), &state) == ESP_OK) {
        self->is_pending = state == ESP_OTA_IMG_PENDING_VERIFY;
    }
    if (self->is_pending) {
        mm_esp_log(MM_LOG_WARNING, "image %s is on trial for %lu good cycles", esp_app_get_description()->version,
                   (unsigned long)good_cycles);
    }
}

mm_err_t mm_esp_ota_begin(mm_esp_ota_t *self, const char *url, bool force) {
    static const char scheme[] = "https://";
    size_t chars = strnlen(url, MM_ESP_OTA_URL_CHARS_MAX + 1);
    if (chars > MM_ESP_OTA_URL_CHARS_MAX || chars < sizeof scheme || memcmp(url, scheme, sizeof scheme - 1) != 0) {
        return MM_ERR_ARG;
    }
    // The other slot holds the image to go back to.
    if (self->state != MM_ESP_OTA_IDLE || self->is_pending) {
        return MM_ERR_STATE;
    }
    memcpy(self->url, url, chars + 1);
    self->force = force;
    self->state = MM_ESP_OTA_RUNNING;
    return MM_OK;
}

void mm_esp_ota_take_result(mm_esp_ota_t *self, mm_esp_ota_result_t result) {
    MM_ASSERT(self->state == MM_ESP_OTA_RUNNING);
    self->result = result;
    self->state = result == MM_ESP_OTA_GOOD ? MM_ESP_OTA_RESTART_DUE : MM_ESP_OTA_IDLE;
    mm_esp_log(result == MM_ESP_OTA_GOOD ? MM_LOG_INFO : MM_LOG_WARNING, "update: %s", mm_esp_ota_result_name(result));
}

mm_err_t mm_esp_ota_good_cycle(mm_esp_ota_t *self) {
    if (!self->is_pending) {
        return MM_OK;
    }
    if (self->good_cycles_left > 1) {
        self->good_cycles_left--;
        return MM_OK;
    }
    if (esp_ota_mark_app_valid_cancel_rollback() != ESP_OK) {
        return MM_ERR_STORAGE;
    }
    self->is_pending = false;
    self->good_cycles_left = 0;
    mm_esp_log(MM_LOG_INFO, "image is kept");
    return MM_OK;
}
