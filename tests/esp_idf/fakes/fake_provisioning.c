// SPDX-License-Identifier: Apache-2.0
#include "fake_provisioning.h"

#include <esp_bt.h>
#include <mbedtls/bignum.h>
#include <mbedtls/dhm.h>
#include <mbedtls/md.h>
#include <protocomm_security2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

#define ENDPOINTS_MAX 8
#define SALT_BYTES 16
#define VERIFIER_BYTES 384
#define SESSION 7

typedef struct {
    char name[16];
    protocomm_req_handler_t handler;
    void *context;
} endpoint_t;

struct protocomm {
    const protocomm_security_t *security;
    protocomm_security2_params_t parameters;
    char session_endpoint[16];
    endpoint_t endpoints[ENDPOINTS_MAX];
    unsigned endpoint_count;
};

static fake_bluetooth_t s_bluetooth;
static protocomm_t *s_instance; // that Bluetooth serves
static bool s_has_session;
static bool s_first_is_done;
static char s_answer[256];

static void reset(void) {
    s_bluetooth = (fake_bluetooth_t){0};
    s_instance = NULL;
    s_has_session = false;
}

FAKE_ON_RESET(reset)

const fake_bluetooth_t *fake_bluetooth(void) {
    return &s_bluetooth;
}

esp_err_t esp_bt_mem_release(esp_bt_mode_t mode) {
    if (s_bluetooth.is_on || mode != ESP_BT_MODE_BTDM || s_bluetooth.memory_is_released) {
        fake_abort("Bluetooth's memory given back while it is used, in part, or twice");
    }
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    s_bluetooth.memory_is_released = true;
    return ESP_OK;
}

static void *allocate(size_t bytes) {
    void *memory = calloc(1, bytes);
    if (memory == NULL) {
        fake_abort("no memory");
    }
    return memory;
}

// --- the session ---------------------------------------------------------------------------------------------------

static int s_session;

// What the phone makes of its user and label, step by step as RFC 5054 has it; it is compared instead of a proof of it.
static void make_verifier(const char *name_and_label, const char *salt, uint8_t verifier[VERIFIER_BYTES]) {
    static const uint8_t prime[] = MBEDTLS_DHM_RFC3526_MODP_3072_P_BIN;
    uint8_t bytes[SALT_BYTES + 64];
    uint8_t x[64];
    mbedtls_mpi numbers[4];
    for (size_t i = 0; i < 4; i++) {
        mbedtls_mpi_init(&numbers[i]);
    }
    memcpy(bytes, salt, SALT_BYTES);
    const mbedtls_md_info_t *sha512 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA512);
    (void)mbedtls_md(sha512, (const uint8_t *)name_and_label, strlen(name_and_label), bytes + SALT_BYTES);
    (void)mbedtls_md(sha512, bytes, sizeof bytes, x);
    if (mbedtls_mpi_lset(&numbers[0], 5) != 0 || mbedtls_mpi_read_binary(&numbers[1], x, sizeof x) != 0 ||
        mbedtls_mpi_read_binary(&numbers[2], prime, sizeof prime) != 0 ||
        mbedtls_mpi_exp_mod(&numbers[3], &numbers[0], &numbers[1], &numbers[2], NULL) != 0 ||
        mbedtls_mpi_write_binary(&numbers[3], verifier, VERIFIER_BYTES) != 0) {
        fake_abort("no memory");
    }
    for (size_t i = 0; i < 4; i++) {
        mbedtls_mpi_free(&numbers[i]);
    }
}

static bool is_proof(const protocomm_security2_params_t *parameters, const char *name_and_label) {
    uint8_t verifier[VERIFIER_BYTES];
    make_verifier(name_and_label, parameters->salt, verifier);
    return memcmp(verifier, parameters->verifier, sizeof verifier) == 0;
}

static esp_err_t session_request(protocomm_security_handle_t handle, const void *sec_params, uint32_t session_id,
                                 const uint8_t *inbuf, ssize_t inlen, uint8_t **outbuf, ssize_t *outlen,
                                 void *priv_data) {
    (void)priv_data;
    const protocomm_security2_params_t *parameters = sec_params;
    if (handle != &s_session || session_id != SESSION || parameters->salt == NULL ||
        parameters->salt_len != SALT_BYTES || parameters->verifier_len != VERIFIER_BYTES || parameters->salt[0] == 0) {
        fake_abort("the session's handler gets something else than the SDK gave");
    }
    if (inlen == 1 && inbuf[0] == '0') {
        s_first_is_done = true;
    } else if (!s_first_is_done || inlen < 2 || inbuf[0] != '1' || !is_proof(parameters, (const char *)inbuf + 1)) {
        return ESP_FAIL;
    } else {
        s_has_session = true;
    }
    *outbuf = malloc(1);
    *outlen = 1;
    return ESP_OK;
}

const protocomm_security_t protocomm_security2 = {.ver = 2, .patch_ver = 1, .security_req_handler = session_request};

// --- protocomm -----------------------------------------------------------------------------------------------------

protocomm_t *protocomm_new(void) {
    if (fake_call_fails()) {
        return NULL;
    }
    s_bluetooth.allocated++;
    return allocate(sizeof(protocomm_t));
}

void protocomm_delete(protocomm_t *pc) {
    if (pc == NULL || pc == s_instance) {
        fake_abort("deletes what is used, or nothing");
    }
    s_bluetooth.allocated--;
    free(pc);
}

static esp_err_t add(protocomm_t *pc, const char *ep_name, protocomm_req_handler_t handler, void *context) {
    if (pc->endpoint_count == ENDPOINTS_MAX || strlen(ep_name) >= sizeof pc->endpoints[0].name) {
        fake_abort("too many endpoints, or too long a name");
    }
    endpoint_t *endpoint = &pc->endpoints[pc->endpoint_count++];
    (void)snprintf(endpoint->name, sizeof endpoint->name, "%s", ep_name);
    endpoint->handler = handler;
    endpoint->context = context;
    return ESP_OK;
}

esp_err_t protocomm_add_endpoint(protocomm_t *pc, const char *ep_name, protocomm_req_handler_t h, void *priv_data) {
    if (pc->security == NULL) {
        fake_abort("an endpoint in plain text");
    }
    return fake_call_fails() ? ESP_ERR_NO_MEM : add(pc, ep_name, h, priv_data);
}

esp_err_t protocomm_set_security(protocomm_t *pc, const char *ep_name, const protocomm_security_t *sec,
                                 const void *sec_params) {
    if (sec->ver != 2 || sec_params == NULL) {
        fake_abort("a session that is none");
    }
    if (fake_call_fails()) {
        return ESP_ERR_NO_MEM;
    }
    pc->security = sec;
    pc->parameters = *(const protocomm_security2_params_t *)sec_params;
    (void)snprintf(pc->session_endpoint, sizeof pc->session_endpoint, "%s", ep_name);
    return ESP_OK;
}

esp_err_t protocomm_set_version(protocomm_t *pc, const char *ep_name, const char *version) {
    (void)pc;
    if (strcmp(ep_name, "proto-ver") != 0 || strlen(version) >= sizeof s_bluetooth.version) {
        fake_abort("a version that no phone finds");
    }
    if (fake_call_fails()) {
        return ESP_ERR_NO_MEM;
    }
    (void)snprintf(s_bluetooth.version, sizeof s_bluetooth.version, "%s", version);
    return ESP_OK;
}

esp_err_t protocomm_ble_start(protocomm_t *pc, const protocomm_ble_config_t *config) {
    if (s_bluetooth.is_on || s_bluetooth.memory_is_released || config->nu_lookup_count > ENDPOINTS_MAX) {
        fake_abort("Bluetooth started twice, or without memory");
    }
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    s_bluetooth.is_on = true;
    s_bluetooth.config = *config;
    for (ssize_t i = 0; i < config->nu_lookup_count; i++) {
        (void)snprintf(s_bluetooth.endpoints[i], sizeof s_bluetooth.endpoints[i], "%s", config->nu_lookup[i].name);
    }
    s_instance = pc;
    return ESP_OK;
}

esp_err_t protocomm_ble_stop(protocomm_t *pc) {
    if (!s_bluetooth.is_on || pc != s_instance) {
        fake_abort("Bluetooth stopped that is not on");
    }
    if (fake_call_fails()) {
        return ESP_FAIL;
    }
    s_bluetooth.is_on = false;
    s_instance = NULL;
    s_has_session = false;
    return ESP_OK;
}

// --- the SDK's messages of "prov-config", in letters of our own ----------------------------------------------------

static esp_err_t give(uint8_t **outbuf, ssize_t *outlen, const void *bytes, size_t bytes_count) {
    *outbuf = malloc(bytes_count);
    if (*outbuf == NULL) {
        fake_abort("no memory");
    }
    memcpy(*outbuf, bytes, bytes_count);
    *outlen = (ssize_t)bytes_count;
    return ESP_OK;
}

esp_err_t wifi_prov_config_data_handler(uint32_t session_id, const uint8_t *inbuf, ssize_t inlen, uint8_t **outbuf,
                                        ssize_t *outlen, void *priv_data) {
    (void)session_id;
    wifi_prov_config_handlers_t *handlers = priv_data;
    esp_err_t err = ESP_FAIL;
    if (inlen >= 1 && inbuf[0] == 'S') {
        wifi_prov_config_set_data_t data = {0};
        const char *name = (const char *)inbuf + 1;
        const char *password = name + strlen(name) + 1;
        if (strlen(name) >= sizeof data.ssid || strlen(password) >= sizeof data.password) {
            return give(outbuf, outlen, "x", 1);
        }
        memcpy(data.ssid, name, strlen(name));
        memcpy(data.password, password, strlen(password));
        err = handlers->set_config_handler(&data, &handlers->ctx);
    } else if (inlen == 1 && inbuf[0] == 'A') {
        err = handlers->apply_config_handler(&handlers->ctx);
    } else if (inlen == 1 && inbuf[0] == 'G') {
        wifi_prov_config_get_data_t data;
        memset(&data, 0x5A, sizeof data);
        // As the SDK does it: a failure is all zeros, which is "connected".
        if (handlers->get_status_handler(&data, &handlers->ctx) != ESP_OK) {
            fake_abort("a status that the phone would take for success");
        }
        return give(outbuf, outlen, &data, sizeof data);
    } else {
        return ESP_FAIL;
    }
    return give(outbuf, outlen, err == ESP_OK ? "o" : "x", 1);
}

// --- the phone -----------------------------------------------------------------------------------------------------

static bool session_send(const char *text) {
    uint8_t *answer = NULL;
    ssize_t answer_bytes = 0;
    if (s_instance == NULL || s_instance->security == NULL) {
        return false;
    }
    esp_err_t err =
        s_instance->security->security_req_handler(&s_session, &s_instance->parameters, SESSION, (const uint8_t *)text,
                                                   (ssize_t)strlen(text), &answer, &answer_bytes, s_instance);
    free(answer);
    return err == ESP_OK;
}

bool fake_phone_connect(const char *user, const char *label) {
    char proof[100];
    s_has_session = false;
    s_first_is_done = false;
    (void)snprintf(proof, sizeof proof, "1%s:%s", user, label);
    return session_send("0") && session_send(proof) && s_has_session;
}

bool fake_phone_babble(void) {
    return session_send("babble");
}

esp_err_t fake_phone_send(const char *endpoint, const void *bytes, size_t bytes_count, const char **answer) {
    memset(s_answer, 0, sizeof s_answer);
    *answer = s_answer;
    if (!s_has_session) {
        return ESP_ERR_INVALID_STATE;
    }
    for (unsigned i = 0; i < s_instance->endpoint_count; i++) {
        const endpoint_t *found = &s_instance->endpoints[i];
        if (strcmp(found->name, endpoint) != 0) {
            continue;
        }
        uint8_t *out = NULL;
        ssize_t out_bytes = 0;
        esp_err_t err = found->handler(SESSION, bytes, (ssize_t)bytes_count, &out, &out_bytes, found->context);
        if (out_bytes < 0 || (size_t)out_bytes >= sizeof s_answer) {
            fake_abort("an answer that Bluetooth does not carry");
        }
        if (out != NULL) {
            memcpy(s_answer, out, (size_t)out_bytes);
        }
        free(out);
        return err;
    }
    return ESP_ERR_NOT_FOUND;
}

bool fake_phone_set_router(const char *name, const char *password) {
    char text[160] = "S";
    const char *answer = NULL;
    size_t name_bytes = strlen(name) + 1;
    memcpy(text + 1, name, name_bytes);
    memcpy(text + 1 + name_bytes, password, strlen(password) + 1);
    return fake_phone_send("prov-config", text, name_bytes + strlen(password) + 2, &answer) == ESP_OK &&
           answer[0] == 'o';
}

bool fake_phone_apply(void) {
    const char *answer = NULL;
    return fake_phone_send("prov-config", "A", 1, &answer) == ESP_OK && answer[0] == 'o';
}

bool fake_phone_ask(wifi_prov_config_get_data_t *status) {
    const char *answer = NULL;
    if (fake_phone_send("prov-config", "G", 1, &answer) != ESP_OK) {
        return false;
    }
    memcpy(status, answer, sizeof *status);
    return true;
}
