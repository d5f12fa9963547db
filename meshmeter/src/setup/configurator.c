// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/configurator.h"

#include <string.h>

#include "meshmeter/bytes.h"
#include "meshmeter/form.h"
#include "setup/configurator_internal.h"
#include "setup/json_fields.h"

typedef enum {
    RIGHT_NONE, ///< everybody
    RIGHT_NONCE_IN_HEADER,
    RIGHT_NONCE_IN_FORM,
} right_t;

typedef struct {
    mm_http_method_t method;
    const char *path;
    right_t right;
    void (*run)(mmi_exchange_t *exchange); ///< or NULL
    void (*put)(mmi_exchange_t *exchange); ///< the answer; once more, if it was lost
} route_t;

static void refuse(mmi_exchange_t *exchange, uint16_t status, const char *error) {
    exchange->answer->status = status;
    mmi_json_string(&exchange->json, "error", error);
}

// What the next request of the session needs.
static void put_session(mmi_exchange_t *exchange) {
    const mm_setup_t *setup = exchange->setup;
    if (setup->session) {
        mmi_json_hex(&exchange->json, "nonce", setup->nonce, sizeof setup->nonce);
        mmi_json_left(&exchange->json, "session_left_s", setup->session_until);
    }
}

static void get_page(mmi_exchange_t *exchange) {
    exchange->answer->is_page = true;
}

static const mmi_json_field_t number_fields[] = {
    MMI_JSON_NUMBER("number", mm_setup_t, challenge.number),
    MMI_JSON_FIELD("number_left_s", mm_setup_t, challenge.expires_at, MMI_JSON_LEFT),
};
static const mmi_json_field_t wait_fields[] = {
    MMI_JSON_FIELD("wait_s", mm_setup_t, challenge.lock_out.until, MMI_JSON_LEFT),
    MMI_JSON_FIELD("session", mm_setup_t, session, MMI_JSON_BOOL),
};

static void get_state(mmi_exchange_t *exchange) {
    mm_setup_t *setup = exchange->setup;
    mmi_json_t *json = &exchange->json;
    uint32_t number;
    bool has_number = mm_setup_number(setup, exchange->json.now, &number); // ends a session whose time is over
    mmi_json_string(json, "phase", mm_life_state_name(setup->configuration.phase.state));
    mmi_json_mac(json, "mac", setup->options.mac);
    if (setup->configuration.has_network) {
        mmi_json_string(json, "site", setup->configuration.network.site);
    }
    if (has_number) {
        MMI_JSON_FIELDS(json, setup, number_fields);
    }
    MMI_JSON_FIELDS(json, setup, wait_fields);
    if (setup->session) {
        mmi_json_left(json, "session_left_s", setup->session_until);
    }
    mmi_json_bool(json, "applying", mm_setup_is_applying(setup));
    if (setup->configuration.has_installation) {
        mmi_json_number(json, "revision", setup->configuration.installation.revision);
    }
    mmi_json_open(json, "prepaid", '[');
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (setup->control->credits[channel].prepaid) {
            mmi_json_string(json, NULL, setup->metering->options.meters[channel].id);
        }
    }
    mmi_json_close(json, ']');
}

// Digits that a customer types, as at the button: each is worth its credit and nothing else, and guessing locks out.
static void post_token(mmi_exchange_t *exchange) {
    mm_setup_t *setup = exchange->setup;
    char id[MM_METER_ID_CHARS_MAX + 1];
    char digits[2 * MM_TOKEN_DIGITS_MAX];
    if (mm_form_text(&exchange->form, "meter", id, sizeof id) != MM_OK ||
        mm_form_text(&exchange->form, "digits", digits, sizeof digits) != MM_OK) {
        refuse(exchange, 400, "a meter and digits are needed");
        return;
    }
    uint8_t channel = 0;
    while (channel < MM_CHANNELS && strcmp(setup->metering->options.meters[channel].id, id) != 0) {
        channel++;
    }
    if (id[0] == '\0' || channel == MM_CHANNELS) {
        refuse(exchange, 404, "there is no such meter here");
        return;
    }
    mm_typed_answer_t typed = mm_control_type_token(setup->control, channel, digits, exchange->json.now);
    exchange->answer->status = typed.verdict == MM_TYPED_ACCEPTED     ? 200
                               : typed.verdict == MM_TYPED_LOCKED_OUT ? 429
                                                                      : 403;
    mmi_json_string(&exchange->json, "verdict", mm_typed_verdict_name(typed.verdict));
    mmi_json_number(&exchange->json, "wait_s", typed.wait_s);
    if (typed.verdict == MM_TYPED_ACCEPTED) {
        mmi_json_number(&exchange->json, "credit_wh", typed.credit_wh > 0 ? (uint64_t)typed.credit_wh : 0);
        mmi_json_number(&exchange->json, "balance_wh", typed.balance_wh > 0 ? (uint64_t)typed.balance_wh : 0);
    }
}

static uint16_t status_of(mm_code_verdict_t verdict) {
    switch (verdict) {
    case MM_CODE_GOOD:
        return 200;
    case MM_CODE_NO_FORM:
        return 400;
    case MM_CODE_LOCKED_OUT:
        return 429;
    case MM_CODE_STATE:
        return 409;
    case MM_CODE_NO_KEY:
        return 503;
    default:
        return 403; // wrong, expired
    }
}

static void post_code(mmi_exchange_t *exchange) {
    mm_setup_t *setup = exchange->setup;
    char code[MM_CHALLENGE_CODE_CHARS + 8];
    if (mm_form_text(&exchange->form, "code", code, sizeof code) != MM_OK) {
        code[0] = '\0'; // of no form, whatever it was
    }
    bool is_busy = setup->session;
    uint32_t wait_s;
    mm_code_verdict_t verdict = mm_setup_enter(setup, code, exchange->json.now, &wait_s);
    exchange->answer->status = status_of(verdict);
    if (verdict == MM_CODE_LOCKED_OUT && is_busy && setup->session) {
        exchange->answer->status = 409;
        mmi_json_string(&exchange->json, "verdict", "busy");
    } else {
        mmi_json_string(&exchange->json, "verdict", mm_code_verdict_name(verdict));
    }
    mmi_json_number(&exchange->json, "wait_s", wait_s);
    if (verdict == MM_CODE_GOOD) {
        put_session(exchange);
    }
}

static void put_configuration(mmi_exchange_t *exchange) {
    mmi_configurator_put_values(exchange->setup, &exchange->json);
    put_session(exchange);
}

static void put_stored(mmi_exchange_t *exchange) {
    mmi_configurator_put_stored(exchange);
    put_session(exchange);
}

static void cancel(mmi_exchange_t *exchange) {
    mm_setup_leave(exchange->setup, exchange->json.now);
}

static void put_cancelled(mmi_exchange_t *exchange) {
    mmi_json_bool(&exchange->json, "cancelled", true);
}

static const route_t routes[] = {
    {MM_HTTP_GET, "/", RIGHT_NONE, NULL, get_page},
    {MM_HTTP_GET, "/api/state", RIGHT_NONE, NULL, get_state},
    {MM_HTTP_POST, "/api/code", RIGHT_NONE, NULL, post_code},
    {MM_HTTP_POST, "/api/token", RIGHT_NONE, NULL, post_token},
    {MM_HTTP_GET, "/api/configuration", RIGHT_NONCE_IN_HEADER, NULL, put_configuration},
    {MM_HTTP_POST, "/api/configuration", RIGHT_NONCE_IN_FORM, mmi_configurator_store, put_stored},
    {MM_HTTP_POST, "/api/cancel", RIGHT_NONCE_IN_FORM, cancel, put_cancelled},
};
#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

// A page elsewhere reaches this node under a name that its owner makes point here. An address is no such name.
static bool is_address(const char *host) {
    static const char local[] = "localhost";
    size_t length = 0;
    if (strncmp(host, local, sizeof local - 1) == 0) {
        length = sizeof local - 1;
    } else if (host[0] == '[') {
        length = strspn(host + 1, "0123456789abcdefABCDEF:.") + 1;
        length = length > 1 && host[length] == ']' ? length + 1 : 0;
    } else {
        length = strspn(host, "0123456789.");
    }
    if (length == 0) {
        return false;
    }
    const char *rest = host + length;
    return rest[0] == '\0' || (rest[0] == ':' && rest[1] != '\0' && rest[1 + strspn(rest + 1, "0123456789")] == '\0');
}

// NULL: none, and *status says why.
static const route_t *find_route(const mm_http_request_t *request, uint16_t *status) {
    *status = 404;
    for (size_t index = 0; index < ROUTE_COUNT; index++) {
        if (strcmp(routes[index].path, request->path) != 0) {
            continue;
        }
        if (routes[index].method == request->method) {
            return &routes[index];
        }
        *status = 405;
    }
    return NULL;
}

static bool find_nonce(mmi_exchange_t *exchange, right_t right, uint8_t nonce[MM_SETUP_NONCE_BYTES]) {
    char typed[2 * MM_SETUP_NONCE_BYTES + 1] = "";
    const char *text = typed;
    if (right == RIGHT_NONCE_IN_HEADER) {
        text = exchange->request->nonce != NULL ? exchange->request->nonce : "";
    } else if (mm_form_text(&exchange->form, "nonce", typed, sizeof typed) != MM_OK) {
        return false;
    }
    bool has_capitals = text[strcspn(text, "ABCDEF")] != '\0'; // a nonce has one spelling
    return !has_capitals && mm_hex_read(text, nonce, MM_SETUP_NONCE_BYTES);
}

// A request of the session: carried out, or answered once more. False: it has no right.
static bool serve_session(mmi_exchange_t *exchange, const route_t *route) {
    uint8_t nonce[MM_SETUP_NONCE_BYTES];
    if (!find_nonce(exchange, route->right, nonce)) {
        return false;
    }
    bool is_new = mm_setup_use_nonce(exchange->setup, nonce, exchange->json.now);
    if (!is_new && !mmi_configurator_is_repeated(exchange, nonce)) {
        return false;
    }
    exchange->answer->status = 200;
    if (is_new && route->run != NULL) {
        route->run(exchange);
    }
    if (is_new) {
        mmi_configurator_remember(exchange, nonce);
    }
    route->put(exchange);
    return true;
}

static void answer(mmi_exchange_t *exchange) {
    const mm_http_request_t *request = exchange->request;
    if (request->host == NULL || !is_address(request->host)) {
        refuse(exchange, 421, "this is not the address of the node");
        return;
    }
    uint16_t status;
    const route_t *route = find_route(request, &status);
    if (route == NULL) {
        refuse(exchange, status, status == 404 ? "there is nothing here" : "not in this way");
        return;
    }
    if (route->method == MM_HTTP_POST) {
        mm_err_t err = mm_form_open(&exchange->form, request->body, request->body_bytes);
        if (err != MM_OK) {
            refuse(exchange, err == MM_ERR_FULL ? 413 : 400, err == MM_ERR_FULL ? "too large" : "not a form");
            return;
        }
    }
    if (route->right == RIGHT_NONE) {
        exchange->answer->status = 200;
        route->put(exchange);
    } else if (!serve_session(exchange, route)) {
        refuse(exchange, 403, "no session, or this request was made before");
    }
}

void mm_configurator_answer(mm_setup_t *setup, const mm_http_request_t *request, mm_us_t now,
                            mm_http_answer_t *answered) {
    memset(answered, 0, sizeof *answered);
    mmi_exchange_t exchange = {.setup = setup, .request = request, .answer = answered};
    mmi_json_begin(&exchange.json, answered->body, sizeof answered->body, now);
    answer(&exchange);
    mmi_json_close(&exchange.json, '}');
    MM_ASSERT(!exchange.json.failed);
    if (answered->is_page) {
        answered->body[0] = '\0';
    }
}
