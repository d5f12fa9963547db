// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "meshmeter/text.h"
#include "setup/configuration_internal.h"
#include "setup/configurator_internal.h"
#include "setup/json_fields.h"
#include "wire/fields.h"

static const char not_a_number[] = "a whole number is wanted";
static const char not_a_text[] = "too long, or with characters that cannot be used";

static const mmi_json_field_t text_fields[] = {
    MMI_JSON_FIELD("address", mm_configuration_t, installation.address, MMI_JSON_TEXT),
    MMI_JSON_FIELD("installer", mm_configuration_t, installation.installer, MMI_JSON_TEXT),
    MMI_JSON_FIELD("router_name", mm_configuration_t, network.router.ssid, MMI_JSON_TEXT),
};
static const mmi_json_field_t meter_fields[] = {
    MMI_JSON_FIELD("meter_id", mm_meter_config_t, id, MMI_JSON_TEXT),
    MMI_JSON_NUMBER("pulse_constant", mm_meter_config_t, pulse_constant),
    MMI_JSON_NUMBER("start_wh", mm_meter_config_t, start_wh),
};
static const mmi_json_field_t credit_fields[] = {
    MMI_JSON_FIELD("prepaid", mm_credit_t, prepaid, MMI_JSON_BOOL),
    MMI_JSON_NUMBER("warning_wh", mm_credit_t, limits.warning_wh),
    MMI_JSON_NUMBER("emergency_wh", mm_credit_t, limits.emergency_wh),
};

void mmi_configurator_put_values(const mm_setup_t *setup, mmi_json_t *json) {
    const mm_installation_t *installation = &setup->configuration.installation;
    if (installation->revision != 0) {
        mmi_json_number(json, "revision", installation->revision);
    }
    for (const mmi_number_t *number = mmi_place_numbers; number < mmi_place_numbers + MMI_PLACE_NUMBERS; number++) {
        uint64_t value = mmi_load_number((const uint8_t *)installation + number->offset_bytes, number->member_bytes);
        if (value != 0) {
            mmi_json_number(json, mm_field_name((mm_field_t)number->field), value);
        }
    }
    MMI_JSON_FIELDS(json, &setup->configuration, text_fields);
    mmi_json_open(json, "channels", '[');
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        mmi_json_open(json, NULL, '{');
        MMI_JSON_FIELDS(json, &setup->metering->options.meters[channel], meter_fields);
        MMI_JSON_FIELDS(json, &setup->control->credits[channel], credit_fields);
        mmi_json_bool(json, "fixed", mm_setup_is_fixed(setup, channel));
        mmi_json_close(json, '}');
    }
    mmi_json_close(json, ']');
}

typedef struct {
    const mm_form_t *form;
    mmi_problems_t problems;
} reading_t;

// Absent or empty is 0. Larger than the field can hold is the largest, which the checks refuse.
static uint64_t read_number(reading_t *self, mm_field_t field, uint8_t channel, const char *name, uint64_t largest) {
    char text[2];
    uint64_t number = 0;
    if (mm_form_text(self->form, name, text, sizeof text) != MM_ERR_ARG && text[0] == '\0') {
        return 0;
    }
    if (mm_form_number(self->form, name, UINT64_MAX, &number) != MM_OK) {
        mmi_problem(&self->problems, field, channel, not_a_number);
    }
    return number < largest ? number : largest;
}

static void read_text(reading_t *self, mm_field_t field, uint8_t channel, const char *name, char *text,
                      size_t capacity_bytes) {
    if (mm_form_text(self->form, name, text, capacity_bytes) == MM_ERR_ARG) {
        mmi_problem(&self->problems, field, channel, not_a_text);
    }
}

// "meter_id_1" … "emergency_wh_8".
static const char *meter_field_name(mm_field_t field, uint8_t channel, char name[MM_FORM_NAME_CHARS_MAX + 1]) {
    size_t length = strlen(mm_field_name(field));
    MM_ASSERT(length + 2 <= MM_FORM_NAME_CHARS_MAX);
    memcpy(name, mm_field_name(field), length);
    name[length] = '_';
    name[length + 1] = (char)('1' + channel);
    name[length + 2] = '\0';
    return name;
}

static uint64_t read_meter_number(reading_t *self, mm_field_t field, uint8_t channel, uint64_t largest) {
    char name[MM_FORM_NAME_CHARS_MAX + 1];
    bool is_of_meter = mm_field_is_of_meter(field);
    return read_number(self, field, channel,
                       is_of_meter ? meter_field_name(field, channel, name) : mm_field_name(field), largest);
}

static void read_numbers(reading_t *self, const mmi_number_t *numbers, size_t number_count, uint8_t channel,
                         void *object) {
    for (; number_count > 0; number_count--, numbers++) {
        uint64_t largest = UINT64_MAX >> (64 - 8 * numbers->member_bytes);
        mmi_store_number((uint8_t *)object + numbers->offset_bytes, numbers->member_bytes,
                         read_meter_number(self, (mm_field_t)numbers->field, channel, largest));
    }
}

static void read_channel(reading_t *self, const mm_setup_t *setup, uint8_t channel, mm_channel_setup_t *wanted) {
    char name[MM_FORM_NAME_CHARS_MAX + 1];
    read_text(self, MM_FIELD_METER_ID, channel, meter_field_name(MM_FIELD_METER_ID, channel, name), wanted->meter.id,
              sizeof wanted->meter.id);
    read_numbers(self, mmi_meter_numbers, 2, channel, wanted);
    uint64_t prepaid = read_meter_number(self, MM_FIELD_PREPAID, channel, 2);
    if (prepaid > 1) {
        mmi_problem(&self->problems, MM_FIELD_PREPAID, channel, "0 or 1 is wanted");
    }
    wanted->prepaid = prepaid == 1;
    read_numbers(self, mmi_meter_numbers + 2, MMI_METER_NUMBERS - 2, channel, wanted);
    if (wanted->meter.id[0] != '\0') { // of these the page knows nothing
        wanted->limits.quiet_hours = setup->control->credits[channel].limits.quiet_hours;
        wanted->limits.quiet_days = setup->control->credits[channel].limits.quiet_days;
    }
}

static void read_installation(reading_t *self, const mm_setup_t *setup, mm_installation_t *installation) {
    memset(installation, 0, sizeof *installation);
    read_numbers(self, mmi_place_numbers, MMI_PLACE_NUMBERS, 0, installation);
    read_text(self, MM_FIELD_ADDRESS, 0, "address", installation->address, sizeof installation->address);
    read_text(self, MM_FIELD_INSTALLER, 0, "installer", installation->installer, sizeof installation->installer);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        read_channel(self, setup, channel, &installation->channels[channel]);
    }
}

// True if another router is wanted.
static bool read_router(reading_t *self, const mm_setup_t *setup, mm_network_body_t *router) {
    const mm_network_t *present = &setup->configuration.network;
    read_text(self, MM_FIELD_ROUTER_NAME, 0, "router_name", router->ssid, sizeof router->ssid);
    read_text(self, MM_FIELD_ROUTER_PASSWORD, 0, "router_password", router->password, sizeof router->password);
    if (!mmi_router_password_is_good(router->password)) {
        mmi_problem(&self->problems, MM_FIELD_ROUTER_PASSWORD, 0, "8 to 63 bytes, or nothing for an open network");
    }
    if (router->ssid[0] == '\0') {
        if (router->password[0] != '\0') {
            mmi_problem(&self->problems, MM_FIELD_ROUTER_NAME, 0, "the name of the network is wanted, too");
        }
        return false;
    }
    bool stays = strcmp(router->ssid, present->router.ssid) == 0 &&
                 (router->password[0] == '\0' || strcmp(router->password, present->router.password) == 0);
    return !stays;
}

static bool is_named(const mmi_problems_t *problems, const mm_field_problem_t *problem) {
    for (size_t index = 0; index < problems->count; index++) {
        if (problems->problems[index].field == problem->field &&
            problems->problems[index].channel == problem->channel) {
            return true;
        }
    }
    return false;
}

// What cannot be read is said first; what is out of range, of the other fields.
static void add_checks(mmi_problems_t *problems, const mm_installation_t *installation) {
    mm_field_problem_t found[MM_FIELD_PROBLEMS_MAX];
    size_t count = mm_installation_check(installation, found, MM_FIELD_PROBLEMS_MAX);
    for (size_t index = 0; index < count; index++) {
        if (!is_named(problems, &found[index])) {
            mmi_problem(problems, found[index].field, found[index].channel, found[index].what);
        }
    }
}

static void put_problems(mmi_exchange_t *exchange) {
    mmi_json_t *json = &exchange->json;
    mmi_json_open(json, "problems", '[');
    for (size_t index = 0; index < exchange->outcome.problem_count; index++) {
        const mm_field_problem_t *problem = &exchange->outcome.problems[index];
        mmi_json_open(json, NULL, '{');
        mmi_json_string(json, "field", mm_field_name(problem->field));
        if (mm_field_is_of_meter(problem->field)) {
            mmi_json_number(json, "channel", problem->channel);
        }
        mmi_json_string(json, "what", problem->what);
        mmi_json_close(json, '}');
    }
    mmi_json_close(json, ']');
}

// Apart: the installation must not lie on the stack while a router is tried.
static MM_APART void store(mmi_exchange_t *exchange, mm_network_body_t *router) {
    mm_setup_t *setup = exchange->setup;
    mm_setup_outcome_t *outcome = &exchange->outcome;
    reading_t reading = {&exchange->form, {outcome->problems, MM_FIELD_PROBLEMS_MAX, 0}};
    mm_installation_t installation;
    read_installation(&reading, setup, &installation);
    outcome->has_router = read_router(&reading, setup, router);
    mm_err_t err = MM_ERR_ARG;
    if (reading.problems.count > 0) {
        add_checks(&reading.problems, &installation);
    } else {
        reading.problems.count =
            mm_setup_install(setup, &installation, outcome->problems, MM_FIELD_PROBLEMS_MAX, &err, exchange->json.now);
    }
    outcome->problem_count = (uint8_t)reading.problems.count;
    outcome->status = outcome->problem_count > 0 ? 422 : err != MM_OK ? 503 : 200;
}

void mmi_configurator_store(mmi_exchange_t *exchange) {
    mm_setup_t *setup = exchange->setup;
    mm_setup_outcome_t *outcome = &exchange->outcome;
    mm_network_body_t router = {.ssid = ""};
    store(exchange, &router);
    if (outcome->status == 200) {
        outcome->revision = setup->configuration.installation.revision;
        outcome->router_tried = outcome->has_router && mm_setup_try_router(setup, &router, exchange->json.now);
    }
}

void mmi_configurator_put_stored(mmi_exchange_t *exchange) {
    const mm_setup_outcome_t *outcome = &exchange->outcome;
    exchange->answer->status = outcome->status;
    if (outcome->status == 422) {
        put_problems(exchange);
    } else if (outcome->status != 200) {
        mmi_json_string(&exchange->json, "error", "the memory of the node refused; nothing was changed");
    } else {
        mmi_json_number(&exchange->json, "revision", outcome->revision);
        if (outcome->has_router) {
            mmi_json_string(&exchange->json, "router", outcome->router_tried ? "trying" : "refused");
        }
    }
}
