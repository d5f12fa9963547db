// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_provisioning.h"

#include <esp_bt.h>
#include <esp_idf_version.h>
#include <esp_timer.h>
#include <freertos/FreeRTOS.h>
#include <freertos/semphr.h>
#include <protocomm.h>
#include <protocomm_ble.h>
#include <protocomm_security2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meshmeter/bytes.h"
#include "meshmeter/network_form.h"
#include "mm_esp_entropy.h"
#include "mm_esp_log.h"

#define ANSWER_BYTES_MAX 80

// Those of the SDK's provisioning manager, which phones are used to.
static const uint8_t s_service[BLE_UUID128_VAL_LENGTH] = {0x07, 0xED, 0x9B, 0x2D, 0x0F, 0x06, 0x7C, 0x87,
                                                          0x9B, 0x43, 0x43, 0x6B, 0x4D, 0x24, 0x75, 0x17};
static const char s_form_endpoint[] = "meshmeter";
static const char s_same_endpoint[] = "custom-data";
static const char s_router_endpoint[] = "prov-config";
static const char s_session_endpoint[] = "prov-session";
static const char s_version_endpoint[] = "proto-ver";

_Static_assert(sizeof(StaticSemaphore_t) <= sizeof((mm_esp_provisioning_t *)0)->mutex_memory, "a mutex has room");

// Static: the SDK hands the handlers of a session no context of ours. There is one provisioning.
static mm_esp_provisioning_t *s_open;

static bool lock(mm_esp_provisioning_t *self) {
    // wait: the other one of owner and SDK's task has copied | until MM_ESP_PROVISIONING_LOCK_MS | then the call is
    // refused, and made again by who polls
    return self->mutex != NULL && xSemaphoreTake(self->mutex, pdMS_TO_TICKS(MM_ESP_PROVISIONING_LOCK_MS)) == pdTRUE;
}

static void unlock(mm_esp_provisioning_t *self) {
    (void)xSemaphoreGive(self->mutex);
}

// --- the session, in the SDK's task --------------------------------------------------------------------------------

static void count_wrong(mm_esp_provisioning_t *self, mm_us_t now) {
    if (mm_lock_out_wrong(&self->lock_out, now)) {
        mm_esp_log(MM_LOG_WARNING, "provisioning: wrong codes; none is judged for %lu s",
                   (unsigned long)mm_lock_out_wait_s(&self->lock_out, now));
    }
}

// Two requests make a session; who does not know the code is refused at the second one.
static esp_err_t judge_session(protocomm_security_handle_t handle, const void *parameters, uint32_t session_id,
                               const uint8_t *bytes, ssize_t bytes_count, uint8_t **answer, ssize_t *answer_bytes,
                               void *context) {
    mm_esp_provisioning_t *self = s_open;
    mm_us_t now = esp_timer_get_time();
    if (self == NULL || mm_lock_out_wait_s(&self->lock_out, now) > 0) {
        return ESP_ERR_INVALID_STATE;
    }
    esp_err_t err = protocomm_security2.security_req_handler(handle, parameters, session_id, bytes, bytes_count, answer,
                                                             answer_bytes, context);
    if (err != ESP_OK) {
        count_wrong(self, now);
    }
    return err;
}

// --- form and router, in the SDK's task ----------------------------------------------------------------------------

static esp_err_t answer_line(const char *line, uint8_t **answer, ssize_t *answer_bytes) {
    size_t bytes_count = strlen(line);
    *answer = malloc(bytes_count); // the SDK frees it
    if (*answer == NULL) {
        return ESP_ERR_NO_MEM;
    }
    memcpy(*answer, line, bytes_count);
    *answer_bytes = (ssize_t)bytes_count;
    return ESP_OK;
}

static bool is_late(const mm_esp_provisioning_t *self, mm_us_t now) {
    return (self->state == MM_ESP_PROVISIONING_OFFERED || self->state == MM_ESP_PROVISIONING_JUDGED) &&
           now >= self->judge_until;
}

// For a request of the phone. Whoever gets here knows the label: what was guessed before is forgiven.
static bool lock_for_phone(mm_esp_provisioning_t *self) {
    if (!lock(self)) {
        return false;
    }
    mm_lock_out_good(&self->lock_out);
    if (is_late(self, esp_timer_get_time())) {
        self->state = MM_ESP_PROVISIONING_REFUSED;
    }
    return true;
}

static bool is_busy(const mm_esp_provisioning_t *self) {
    return self->state == MM_ESP_PROVISIONING_OFFERED || self->state == MM_ESP_PROVISIONING_JUDGED ||
           self->state == MM_ESP_PROVISIONING_GOOD;
}

static void forget_form(mm_esp_provisioning_t *self) {
    mm_wipe(self->text, sizeof self->text);
    mm_wipe(&self->network, sizeof self->network);
    self->text_bytes = 0;
    self->has_form = false;
}

// Returns the line to answer; `line` is room for it.
static const char *take_piece(mm_esp_provisioning_t *self, const uint8_t *bytes, size_t bytes_count,
                              char line[ANSWER_BYTES_MAX]) {
    if (is_busy(self)) {
        return "error: a network is being judged\n";
    }
    if (bytes_count == 0 || bytes[0] != '&') {
        forget_form(self);
    }
    if (bytes_count > sizeof self->text - self->text_bytes) {
        forget_form(self);
        return "error: the form is too long\n";
    }
    memcpy(self->text + self->text_bytes, bytes, bytes_count);
    self->text_bytes += bytes_count;
    self->has_form = false;
    if (mm_form_open(&self->form, self->text, self->text_bytes) != MM_OK) {
        forget_form(self);
        return "error: this is not a form\n";
    }
    const char *wrong = mm_network_form_read(&self->form, &self->network);
    memset(&self->form, 0, sizeof self->form);
    if (wrong == NULL && mm_network_check(&self->network) != MM_OK) {
        wrong = "site or router_password";
    }
    if (wrong != NULL) {
        // What is missing may be in the next piece.
        (void)snprintf(line, ANSWER_BYTES_MAX, "error: %s is missing or wrong\n", wrong);
        return line;
    }
    self->has_form = true;
    return "ok\n";
}

static esp_err_t on_form(uint32_t session_id, const uint8_t *bytes, ssize_t bytes_count, uint8_t **answer,
                         ssize_t *answer_bytes, void *context) {
    (void)session_id;
    mm_esp_provisioning_t *self = context;
    char line[ANSWER_BYTES_MAX];
    if (bytes_count < 0 || !lock_for_phone(self)) {
        return ESP_FAIL;
    }
    const char *text = take_piece(self, bytes, (size_t)bytes_count, line);
    unlock(self);
    return answer_line(text, answer, answer_bytes);
}

static mm_esp_provisioning_t *self_of(wifi_prov_ctx_t **context) {
    return (mm_esp_provisioning_t *)(void *)*context;
}

static esp_err_t on_router(const wifi_prov_config_set_data_t *data, wifi_prov_ctx_t **context) {
    mm_esp_provisioning_t *self = self_of(context);
    if (!lock_for_phone(self)) {
        return ESP_FAIL;
    }
    bool good = !is_busy(self) && memchr(data->ssid, '\0', sizeof self->router.ssid) != NULL &&
                memchr(data->password, '\0', sizeof self->router.password) != NULL && data->ssid[0] != '\0';
    if (good) {
        (void)snprintf(self->router.ssid, sizeof self->router.ssid, "%s", data->ssid);
        (void)snprintf(self->router.password, sizeof self->router.password, "%s", data->password);
        self->has_router = true;
        self->state = MM_ESP_PROVISIONING_WAITING;
    }
    unlock(self);
    return good ? ESP_OK : ESP_ERR_INVALID_ARG;
}

static bool offer(mm_esp_provisioning_t *self) {
    if (is_busy(self) || !self->has_form || !self->has_router) {
        return false;
    }
    self->network.router = self->router;
    if (mm_network_check(&self->network) != MM_OK || !self->options.post(self->options.context)) {
        return false;
    }
    self->state = MM_ESP_PROVISIONING_OFFERED;
    self->judge_until = esp_timer_get_time() + MM_ESP_PROVISIONING_JUDGE_S * MM_US_PER_S;
    return true;
}

static esp_err_t on_apply(wifi_prov_ctx_t **context) {
    mm_esp_provisioning_t *self = self_of(context);
    if (!lock_for_phone(self)) {
        return ESP_FAIL;
    }
    bool good = offer(self);
    unlock(self);
    return good ? ESP_OK : ESP_ERR_INVALID_STATE;
}

// Never fails: the SDK would tell the phone "connected".
static esp_err_t on_status(wifi_prov_config_get_data_t *data, wifi_prov_ctx_t **context) {
    mm_esp_provisioning_t *self = self_of(context);
    memset(data, 0, sizeof *data);
    data->wifi_state = WIFI_PROV_STA_CONNECTING;
    if (!lock_for_phone(self)) {
        return ESP_OK;
    }
    if (self->state == MM_ESP_PROVISIONING_GOOD) {
        data->wifi_state = WIFI_PROV_STA_CONNECTED;
        (void)snprintf(data->conn_info.ip_addr, sizeof data->conn_info.ip_addr, "0.0.0.0"); // it has none yet
        (void)snprintf(data->conn_info.ssid, sizeof data->conn_info.ssid, "%s", self->router.ssid);
        if (!self->is_told) {
            self->is_told = true;
            self->over_at = esp_timer_get_time() + MM_ESP_PROVISIONING_SENT_S * MM_US_PER_S;
        }
    } else if (!is_busy(self)) {
        data->wifi_state = WIFI_PROV_STA_DISCONNECTED;
        data->fail_reason = WIFI_PROV_STA_AP_NOT_FOUND;
    }
    unlock(self);
    return ESP_OK;
}

// --- the owner -----------------------------------------------------------------------------------------------------

bool mm_esp_provisioning_take(mm_esp_provisioning_t *self, mm_network_t *network, mm_us_t now) {
    if (!self->is_open || !lock(self)) {
        return false;
    }
    bool is_there = self->state == MM_ESP_PROVISIONING_OFFERED && !is_late(self, now);
    if (is_there) {
        *network = self->network;
        forget_form(self);
        self->state = MM_ESP_PROVISIONING_JUDGED;
    }
    unlock(self);
    return is_there;
}

bool mm_esp_provisioning_settle(mm_esp_provisioning_t *self, bool is_good, mm_us_t now) {
    if (!self->is_open || !lock(self)) {
        return false;
    }
    // A phone that was told it was refused may see it taken after all: the device then restarts in its network.
    self->state = is_good ? MM_ESP_PROVISIONING_GOOD : MM_ESP_PROVISIONING_REFUSED;
    self->is_told = false;
    self->over_at = now + MM_ESP_PROVISIONING_TELL_S * MM_US_PER_S;
    unlock(self);
    return true;
}

bool mm_esp_provisioning_is_over(mm_esp_provisioning_t *self, mm_us_t now) {
    if (!self->is_open || !lock(self)) {
        return false;
    }
    bool is_over = self->state == MM_ESP_PROVISIONING_GOOD && now >= self->over_at;
    unlock(self);
    return is_over;
}

// --- start and stop ------------------------------------------------------------------------------------------------

static mm_err_t make_verifier(mm_esp_provisioning_t *self) {
    mm_err_t err = mm_esp_entropy_fill(self->salt, sizeof self->salt);
    self->salt[0] |= 0x80; // a leading zero would be lost somewhere in the SDK
    if (err == MM_OK) {
        err = mm_esp_srp_verifier(MM_ESP_PROVISIONING_USER, self->options.pop, self->salt, self->verifier);
    }
    self->parameters = (protocomm_security2_params_t){.salt = (const char *)self->salt,
                                                      .salt_len = sizeof self->salt,
                                                      .verifier = (const char *)self->verifier,
                                                      .verifier_len = sizeof self->verifier};
    return err;
}

static bool start_bluetooth(const mm_esp_provisioning_t *self) {
    protocomm_ble_name_uuid_t endpoints[] = {{s_session_endpoint, 0xFF51},
                                             {s_router_endpoint, 0xFF52},
                                             {s_version_endpoint, 0xFF53},
                                             {s_form_endpoint, 0xFF54},
                                             {s_same_endpoint, 0xFF55}};
    protocomm_ble_config_t config = {.nu_lookup = endpoints, .nu_lookup_count = sizeof endpoints / sizeof endpoints[0]};
    const uint8_t *mac = self->options.mac.bytes;
    (void)snprintf(config.device_name, sizeof config.device_name, MM_ESP_PROVISIONING_NAME_PREFIX "%02X%02X%02X",
                   mac[3], mac[4], mac[5]);
    memcpy(config.service_uuid, s_service, sizeof config.service_uuid);
    // wait: Bluetooth's task begins | until outside: the SDK, which starts its controller | then phones find the device
    return protocomm_ble_start(self->protocomm, &config) == ESP_OK;
}

// The form's endpoint is there only when the session's is: nothing is ever taken in plain text.
static bool add_endpoints(mm_esp_provisioning_t *self) {
    char version[96];
    self->security = protocomm_security2;
    self->security.security_req_handler = judge_session;
    self->handlers = (wifi_prov_config_handlers_t){.get_status_handler = on_status,
                                                   .set_config_handler = on_router,
                                                   .apply_config_handler = on_apply,
                                                   .ctx = (wifi_prov_ctx_t *)(void *)self};
#ifdef CONFIG_ESP_PROTOCOMM_SUPPORT_SECURITY_PATCH_VERSION
    unsigned patch = self->security.patch_ver;
#else
    unsigned patch = 0;
#endif
    // No capability to scan: the installer types the router's name, and the radio stays with the door.
    (void)snprintf(version, sizeof version,
                   "{\"prov\":{\"ver\":\"v1.1\",\"sec_ver\":2,\"sec_patch_ver\":%u,\"cap\":[]}}", patch);
    return protocomm_set_security(self->protocomm, s_session_endpoint, &self->security, &self->parameters) == ESP_OK &&
           protocomm_set_version(self->protocomm, s_version_endpoint, version) == ESP_OK &&
           protocomm_add_endpoint(self->protocomm, s_router_endpoint, wifi_prov_config_data_handler, &self->handlers) ==
               ESP_OK &&
           protocomm_add_endpoint(self->protocomm, s_form_endpoint, on_form, self) == ESP_OK &&
           protocomm_add_endpoint(self->protocomm, s_same_endpoint, on_form, self) == ESP_OK;
}

// False: Bluetooth runs on, and what it uses stays.
static bool stop(mm_esp_provisioning_t *self) {
    // wait: Bluetooth's task ends | until outside: the SDK, which ends connections within 2 s | then it runs on, until
    // the restart
    if (self->is_open && protocomm_ble_stop(self->protocomm) != ESP_OK) {
        return false;
    }
    self->is_open = false;
    s_open = NULL;
    if (self->protocomm != NULL) {
        protocomm_delete(self->protocomm);
        self->protocomm = NULL;
    }
    mm_wipe(self->verifier, sizeof self->verifier);
    self->parameters = (protocomm_security2_params_t){0};
    forget_form(self);
    mm_wipe(self->router.password, sizeof self->router.password);
    self->has_router = false;
    return true;
}

static bool start(mm_esp_provisioning_t *self) {
    self->mutex = xSemaphoreCreateMutexStatic((StaticSemaphore_t *)(void *)self->mutex_memory);
    if (self->mutex == NULL || make_verifier(self) != MM_OK) {
        return false;
    }
    self->protocomm = protocomm_new();
    if (self->protocomm == NULL || !start_bluetooth(self)) {
        return false;
    }
    s_open = self;
    self->is_open = true;
    return add_endpoints(self);
}

// A version that is not known to be safe is not.
static bool is_safe(uint32_t idf_version) {
    return idf_version >= ESP_IDF_VERSION_VAL(5, 5, 5) ||
           (idf_version >= ESP_IDF_VERSION_VAL(5, 2, 7) && idf_version < ESP_IDF_VERSION_VAL(5, 3, 0));
}

mm_err_t mm_esp_provisioning_open(mm_esp_provisioning_t *self, const mm_esp_provisioning_options_t *options) {
    if (!is_safe(options->idf_version)) {
        mm_esp_log(MM_LOG_ERROR, "provisioning: this SDK lets phones in without the label's code; use 5.5.5");
        return MM_ERR_UNAVAILABLE;
    }
    if (options->pop[0] == '\0' || self->is_released || self->is_open) {
        return MM_ERR_STATE;
    }
    memset(self, 0, sizeof *self);
    self->options = *options;
    if (start(self)) {
        return MM_OK;
    }
    if (!stop(self)) {
        mm_esp_log(MM_LOG_ERROR, "provisioning: Bluetooth neither begins nor ends");
    }
    return MM_ERR_UNAVAILABLE;
}

void mm_esp_provisioning_close(mm_esp_provisioning_t *self) {
    if (!stop(self)) {
        mm_esp_log(MM_LOG_ERROR, "provisioning: Bluetooth does not end; its memory stays taken");
        return;
    }
    if (!self->is_released && esp_bt_mem_release(ESP_BT_MODE_BTDM) != ESP_OK) {
        mm_esp_log(MM_LOG_WARNING, "provisioning: Bluetooth's memory was not given back");
    }
    self->is_released = true;
}
