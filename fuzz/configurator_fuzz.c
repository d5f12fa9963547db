// SPDX-License-Identifier: Apache-2.0
// Requests to the node's own page. First byte: bit 0 POST, bits 1 to 3 the path, bit 4 a session is in progress, bit 5
// with its nonce. The rest is the body, or the nonce of a GET. Whatever comes, the answer is bounded JSON; without a
// session and its nonce nothing is installed; what is installed passes the checks.
#include "meshmeter/configurator.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAC                                                                                                            \
    {                                                                                                                  \
        { 2, 0, 0, 0, 0, 7 }                                                                                           \
    }

static const char *const paths[] = {"/",           "/api/state", "/api/code", "/api/configuration",
                                    "/api/cancel", "/x",         "",          "/api/configuration"};

// Devices in memory: enough for one request.
static uint8_t flash_bytes[2 * MM_FLASH_SECTOR_BYTES];
static mm_setup_t setup;
static mm_metering_t metering;
static mm_control_t control;
static mm_counters_t counters;

static mm_err_t flash_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    (void)context;
    memcpy(bytes, flash_bytes + address, bytes_count);
    return MM_OK;
}

static mm_err_t flash_program(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    (void)context;
    memcpy(flash_bytes + address, bytes, bytes_count);
    return MM_OK;
}

static mm_err_t flash_erase(void *context, uint32_t sector_index) {
    (void)context;
    memset(flash_bytes + (size_t)sector_index * MM_FLASH_SECTOR_BYTES, 0xFF, MM_FLASH_SECTOR_BYTES);
    return MM_OK;
}

static mm_err_t draw(void *context, void *bytes, size_t bytes_count) {
    (void)context;
    memset(bytes, 0x5A, bytes_count);
    return MM_OK;
}

static mm_err_t hmac(void *context, const void *bytes, size_t bytes_count, uint8_t mac[MM_HMAC_BYTES]) {
    (void)context;
    (void)bytes;
    memset(mac, (int)(bytes_count & 0xFF), MM_HMAC_BYTES);
    return MM_OK;
}

static void open_node(bool with_session) {
    static const mm_flash_t flash = {flash_read, flash_program, flash_erase, NULL, 2};
    static const mm_entropy_t entropy = {draw, NULL};
    static const mm_crypto_t crypto = {.device_hmac = hmac};
    static const mm_setup_options_t options = {.mac = MAC};
    memset(flash_bytes, 0xFF, sizeof flash_bytes);
    memset(&metering, 0, sizeof metering);
    memset(&control, 0, sizeof control);
    memset(&counters, 0, sizeof counters);
    metering.registers.channels[7].life_pulses = 1; // one that is fixed
    mm_setup_open(&setup, &options, &flash, 2, &metering, &control, &crypto, &entropy, &counters, NULL, 0);
    const mm_network_t network = {.revision = 1, .site = "house-1"};
    MM_ASSERT(mm_setup_take_network(&setup, &network, 0) == MM_OK);
    if (with_session) {
        uint32_t number;
        uint32_t wait_s;
        char code[MM_CHALLENGE_CODE_CHARS + 1];
        const mm_challenge_options_t challenge = {.mac = MAC};
        MM_ASSERT(mm_setup_number(&setup, 0, &number));
        MM_ASSERT(mm_challenge_code(&challenge, &crypto, number, code) == MM_OK);
        MM_ASSERT(mm_setup_enter(&setup, code, 0, &wait_s) == MM_CODE_GOOD);
    }
}

static void check_json(const char *body) {
    size_t length = strlen(body);
    MM_ASSERT(length >= 2 && body[0] == '{' && body[length - 1] == '}');
    unsigned quotes = 0;
    for (size_t index = 0; index < length; index++) {
        MM_ASSERT((unsigned char)body[index] >= 0x20 && body[index] != '<');
        quotes += body[index] == '"' ? 1 : 0;
    }
    MM_ASSERT(quotes % 2 == 0); // those of values are escaped
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char body[MM_CONFIGURATOR_ANSWER_BYTES_MAX * 2];
    static mm_http_answer_t answer;
    if (size < 1 || size > 6000) {
        return 0;
    }
    bool with_session = (data[0] & 0x10) != 0;
    bool with_nonce = with_session && (data[0] & 0x20) != 0;
    open_node(with_session);
    static const char good[] = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
    size_t body_bytes = (size_t)snprintf(body, sizeof body, "%s%s%s", with_nonce ? "nonce=" : "",
                                         with_nonce ? good : "", with_nonce ? "&" : "");
    memcpy(body + body_bytes, data + 1, size - 1);
    body_bytes += size - 1;
    body[body_bytes] = '\0';
    const mm_http_request_t request = {.method = (data[0] & 1) != 0 ? MM_HTTP_POST : MM_HTTP_GET,
                                       .path = paths[data[0] >> 1 & 7],
                                       .nonce = with_nonce ? good : body,
                                       .host = "10.0.0.1",
                                       .body = body,
                                       .body_bytes = body_bytes};
    mm_configurator_answer(&setup, &request, 1, &answer);
    MM_ASSERT(answer.status >= 200 && answer.status < 600);
    if (!answer.is_page) {
        check_json(answer.body);
    }
    MM_ASSERT(with_session || !setup.configuration.has_installation);
    mm_field_problem_t problem;
    MM_ASSERT(!setup.configuration.has_installation ||
              mm_installation_check(&setup.configuration.installation, &problem, 1) == 0);
    return 0;
}
