// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/configuration.h"

#include <string.h>

#include "meshmeter/text.h"
#include "setup/configuration_internal.h"
#include "wire/fields.h"

// docs/spec/configuration.md, 2.
#define THRESHOLD_WH_MAX 1000000000
#define THRESHOLD_WANTED "from 0 to 1,000,000,000 Wh"
#define QUIET_HOURS_KNOWN 0x00FFFFFFu
#define QUIET_DAYS_KNOWN 0x7F

static const mmi_field_t network_fields[] = {
    MMI_FIELD(mm_network_t, revision, 4),
    MMI_FIELD(mm_network_t, site, MMI_FIELD_TEXT),
    MMI_FIELD(mm_network_t, router.ssid, MMI_FIELD_TEXT),
    MMI_FIELD(mm_network_t, router.password, MMI_FIELD_TEXT),
    MMI_FIELD(mm_network_t, broker.url, MMI_FIELD_TEXT),
    MMI_FIELD(mm_network_t, broker.user, MMI_FIELD_TEXT),
    MMI_FIELD(mm_network_t, broker.password, MMI_FIELD_TEXT),
    MMI_FIELD(mm_network_t, mesh_key, MMI_FIELD_BYTES),
};

void mmi_network_put(mm_writer_t *writer, const mm_network_t *network) {
    mmi_put_fields(writer, MMI_FIELDS(network_fields), network);
}

void mmi_network_get(mm_reader_t *reader, mm_network_t *network) {
    mmi_get_fields(reader, MMI_FIELDS(network_fields), network);
    reader->failed = reader->failed || mm_network_check(network) != MM_OK;
}

static const mmi_field_t installation_fields[] = {
    MMI_FIELD(mm_installation_t, revision, 4),
    MMI_FIELD(mm_installation_t, node_no, 4),
    MMI_FIELD(mm_installation_t, province, 2),
    MMI_FIELD(mm_installation_t, canton, 2),
    MMI_FIELD(mm_installation_t, parish, 2),
    MMI_FIELD(mm_installation_t, postal_code, 4),
    MMI_FIELD(mm_installation_t, address, MMI_FIELD_TEXT),
    MMI_FIELD(mm_installation_t, installer, MMI_FIELD_TEXT),
};
// Of a channel the id, and behind it, if it is not empty, the rest.
static const mmi_field_t channel_fields[] = {
    MMI_FIELD(mm_channel_setup_t, meter.id, MMI_FIELD_TEXT), MMI_FIELD(mm_channel_setup_t, meter.pulse_constant, 2),
    MMI_FIELD(mm_channel_setup_t, meter.start_wh, 8),        MMI_BITS_LAST(mm_channel_setup_t, prepaid, 0x01),
    MMI_FIELD(mm_channel_setup_t, limits.warning_wh, 4),     MMI_FIELD(mm_channel_setup_t, limits.emergency_wh, 4),
    MMI_FIELD(mm_channel_setup_t, limits.quiet_hours, 4),    MMI_FIELD(mm_channel_setup_t, limits.quiet_days, 1),
};
#define CHANNEL_FIELD_COUNT (sizeof channel_fields / sizeof channel_fields[0])

static void put_installation(mm_writer_t *writer, const mm_installation_t *installation) {
    mmi_put_fields(writer, MMI_FIELDS(installation_fields), installation);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_channel_setup_t *setup = &installation->channels[channel];
        mmi_put_fields(writer, channel_fields, setup->meter.id[0] == '\0' ? 1 : CHANNEL_FIELD_COUNT, setup);
    }
}

static void get_installation(mm_reader_t *reader, mm_installation_t *installation) {
    mmi_get_fields(reader, MMI_FIELDS(installation_fields), installation);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        mm_channel_setup_t *setup = &installation->channels[channel];
        mmi_get_fields(reader, channel_fields, 1, setup);
        if (setup->meter.id[0] != '\0') {
            mmi_get_fields(reader, channel_fields + 1, CHANNEL_FIELD_COUNT - 1, setup);
        }
    }
}

// A session or a fault does not outlive a restart.
static mm_life_state_t lasting_state(const mm_life_cycle_t *phase) {
    bool is_passing = phase->state == MM_LIFE_CONFIGURING || phase->state == MM_LIFE_FAULT;
    return is_passing ? phase->before : phase->state;
}

static MM_APART bool is_lasting(uint8_t state) {
    return state == MM_LIFE_PARKED || state == MM_LIFE_PROVISIONED || state == MM_LIFE_AWAITING ||
           state == MM_LIFE_RUNNING;
}

static bool installation_is_good(const mm_installation_t *installation) {
    mm_field_problem_t problem;
    return installation->revision != 0 && mm_installation_check(installation, &problem, 1) == 0;
}

static const mmi_field_t presence_fields[] = {
    MMI_BITS(mm_configuration_t, has_network, 0x01),
    MMI_BITS_LAST(mm_configuration_t, has_installation, 0x02),
};

void mm_configuration_encode(const mm_configuration_t *configuration, mm_writer_t *writer) {
    mm_life_state_t state = lasting_state(&configuration->phase);
    MM_ASSERT(is_lasting((uint8_t)state) &&
              (!configuration->has_network || mm_network_check(&configuration->network) == MM_OK) &&
              (!configuration->has_installation || installation_is_good(&configuration->installation)));
    mm_put_u8(writer, MMI_CONFIGURATION_VERSION);
    mmi_put_fields(writer, MMI_FIELDS(presence_fields), configuration);
    mm_put_u8(writer, (uint8_t)state);
    mm_put_u8(writer, configuration->challenge_lock_outs);
    mm_put_u8(writer, configuration->confirmed_channels);
    if (configuration->has_network) {
        mmi_network_put(writer, &configuration->network);
    }
    if (configuration->has_installation) {
        put_installation(writer, &configuration->installation);
    }
}

static void decode(mm_configuration_t *configuration, uint8_t version, mm_reader_t *reader) {
    mmi_get_fields(reader, MMI_FIELDS(presence_fields), configuration);
    uint8_t state = mm_get_u8(reader);
    configuration->challenge_lock_outs = mm_get_u8(reader);
    if (version != MMI_CONFIGURATION_VERSION_1) {
        configuration->confirmed_channels = mm_get_u8(reader);
    } else if (state == MM_LIFE_RUNNING) { // of what waited then nothing is known
        configuration->confirmed_channels = MM_ALL_CHANNELS;
    }
    if (reader->failed || !is_lasting(state)) {
        reader->failed = true;
        return;
    }
    configuration->phase = (mm_life_cycle_t){(mm_life_state_t)state, (mm_life_state_t)state};
    if (configuration->has_network) {
        mmi_network_get(reader, &configuration->network);
    }
    if (configuration->has_installation && !reader->failed) {
        get_installation(reader, &configuration->installation);
        reader->failed = reader->failed || !installation_is_good(&configuration->installation);
    }
}

mm_err_t mm_configuration_decode(mm_configuration_t *configuration, mm_reader_t *reader) {
    memset(configuration, 0, sizeof *configuration);
    uint8_t version = mm_get_u8(reader);
    if (!reader->failed && version > MMI_CONFIGURATION_VERSION) {
        return MM_ERR_VERSION;
    }
    if (version >= MMI_CONFIGURATION_VERSION_1) {
        decode(configuration, version, reader);
    } else {
        reader->failed = true; // there was no earlier one
    }
    if (reader->failed || mm_reader_left_bytes(reader) != 0) {
        memset(configuration, 0, sizeof *configuration);
        return MM_ERR_CORRUPT;
    }
    return MM_OK;
}

uint8_t mm_configuration_unconfirmed(const mm_configuration_t *configuration) {
    return configuration->has_installation ? (uint8_t)~configuration->confirmed_channels : 0;
}

// Checks.

const char *mm_field_name(mm_field_t field) {
    static const char *const names[MM_FIELD_COUNT] = {
        [MM_FIELD_NONE] = "none",
        [MM_FIELD_NODE_NO] = "node_no",
        [MM_FIELD_PROVINCE] = "province",
        [MM_FIELD_CANTON] = "canton",
        [MM_FIELD_PARISH] = "parish",
        [MM_FIELD_POSTAL_CODE] = "postal_code",
        [MM_FIELD_ADDRESS] = "address",
        [MM_FIELD_INSTALLER] = "installer",
        [MM_FIELD_ROUTER_NAME] = "router_name",
        [MM_FIELD_ROUTER_PASSWORD] = "router_password",
        [MM_FIELD_METER_ID] = "meter_id",
        [MM_FIELD_PULSE_CONSTANT] = "pulse_constant",
        [MM_FIELD_START_WH] = "start_wh",
        [MM_FIELD_PREPAID] = "prepaid",
        [MM_FIELD_WARNING_WH] = "warning_wh",
        [MM_FIELD_EMERGENCY_WH] = "emergency_wh",
    };
    return MM_NAME_OF(names, field);
}

bool mm_field_is_of_meter(mm_field_t field) {
    return field >= MM_FIELD_METER_ID;
}

void mmi_problem(mmi_problems_t *self, mm_field_t field, uint8_t channel, const char *what) {
    if (self->count < self->capacity) {
        self->problems[self->count] = (mm_field_problem_t){field, channel, what};
        self->count++;
    }
}

#define NUMBER(field, type, member, lowest, highest, what)                                                             \
    { field, offsetof(type, member), sizeof(((type *)0)->member), lowest, highest, what }

const mmi_number_t mmi_place_numbers[MMI_PLACE_NUMBERS] = {
    NUMBER(MM_FIELD_NODE_NO, mm_installation_t, node_no, 1, MM_NODE_NO_MAX, "a number from 1 to 100,000 is wanted"),
    NUMBER(MM_FIELD_PROVINCE, mm_installation_t, province, 0, MM_PROVINCE_MAX, "from 1 to 200, or nothing"),
    NUMBER(MM_FIELD_CANTON, mm_installation_t, canton, 0, MM_CANTON_MAX, "from 1 to 500, or nothing"),
    NUMBER(MM_FIELD_PARISH, mm_installation_t, parish, 0, MM_PARISH_MAX, "from 1 to 500, or nothing"),
    NUMBER(MM_FIELD_POSTAL_CODE, mm_installation_t, postal_code, 0, MM_POSTAL_CODE_MAX,
           "from 1 to 9,999,999, or nothing"),
};
const mmi_number_t mmi_meter_numbers[MMI_METER_NUMBERS] = {
    NUMBER(MM_FIELD_PULSE_CONSTANT, mm_channel_setup_t, meter.pulse_constant, MM_PULSE_CONSTANT_MIN,
           MM_PULSE_CONSTANT_MAX, "from 100 to 10,000 pulses per kWh"),
    NUMBER(MM_FIELD_START_WH, mm_channel_setup_t, meter.start_wh, 0, MM_START_WH_MAX, "from 0 to 3,000,000 kWh"),
    NUMBER(MM_FIELD_WARNING_WH, mm_channel_setup_t, limits.warning_wh, 0, THRESHOLD_WH_MAX, THRESHOLD_WANTED),
    NUMBER(MM_FIELD_EMERGENCY_WH, mm_channel_setup_t, limits.emergency_wh, 0, THRESHOLD_WH_MAX, THRESHOLD_WANTED),
};

static void check_numbers(const mmi_number_t *numbers, size_t number_count, const void *object, uint8_t channel,
                          mmi_problems_t *problems) {
    for (const mmi_number_t *number = numbers; number < numbers + number_count; number++) {
        uint64_t value = mmi_load_number((const uint8_t *)object + number->offset_bytes, number->member_bytes);
        if (value < number->lowest || value > number->highest) {
            mmi_problem(problems, (mm_field_t)number->field, channel, number->what);
        }
    }
}

static void check_place(const mm_installation_t *installation, mmi_problems_t *problems) {
    check_numbers(mmi_place_numbers, MMI_PLACE_NUMBERS, installation, 0, problems);
    if (!mm_text_is_plain_string(installation->address, sizeof installation->address)) {
        mmi_problem(problems, MM_FIELD_ADDRESS, 0, "at most 45 bytes of plain text");
    }
    if (!mm_text_is_plain_string(installation->installer, sizeof installation->installer) ||
        mm_text_characters(installation->installer, strlen(installation->installer)) < MM_INSTALLER_CHARS_MIN) {
        mmi_problem(problems, MM_FIELD_INSTALLER, 0, "a name of 3 to 24 characters is wanted");
    }
}

static bool limits_are_zero(const mm_credit_limits_t *limits) {
    return limits->warning_wh == 0 && limits->emergency_wh == 0 && limits->quiet_hours == 0 && limits->quiet_days == 0;
}

static void check_absent(const mm_channel_setup_t *setup, uint8_t channel, mmi_problems_t *problems) {
    if (setup->meter.pulse_constant != 0 || setup->meter.start_wh != 0 || setup->prepaid ||
        !limits_are_zero(&setup->limits)) {
        mmi_problem(problems, MM_FIELD_METER_ID, channel, "an id is wanted, or nothing in the other fields");
    }
}

static void check_meter(const mm_channel_setup_t *setup, uint8_t channel, mmi_problems_t *problems) {
    mm_meter_config_t meter = setup->meter;
    meter.pulse_constant = MM_PULSE_CONSTANT_MIN; // so that only the id is judged
    if (mm_meter_config_check(&meter) != MM_OK) {
        mmi_problem(problems, MM_FIELD_METER_ID, channel,
                    "at most 12 printable ASCII characters without blanks, commas and quotes");
    }
    check_numbers(mmi_meter_numbers, MMI_METER_NUMBERS, setup, channel, problems);
    if (setup->limits.quiet_hours > QUIET_HOURS_KNOWN || setup->limits.quiet_days > QUIET_DAYS_KNOWN) {
        mmi_problem(problems, MM_FIELD_PREPAID, channel, "quiet hours or days that do not exist");
    }
}

static bool is_twin(const mm_installation_t *installation, uint8_t channel) {
    for (uint8_t other = 0; other < channel; other++) {
        if (strncmp(installation->channels[other].meter.id, installation->channels[channel].meter.id,
                    sizeof installation->channels[channel].meter.id) == 0) {
            return true;
        }
    }
    return false;
}

size_t mm_installation_check(const mm_installation_t *installation, mm_field_problem_t *problems, size_t capacity) {
    mmi_problems_t list = {problems, capacity, 0};
    check_place(installation, &list);
    bool has_meter = false;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_channel_setup_t *setup = &installation->channels[channel];
        if (setup->meter.id[0] == '\0') {
            check_absent(setup, channel, &list);
            continue;
        }
        has_meter = true;
        check_meter(setup, channel, &list);
        if (is_twin(installation, channel)) {
            mmi_problem(&list, MM_FIELD_METER_ID, channel, "another channel has this id");
        }
    }
    if (!has_meter) {
        mmi_problem(&list, MM_FIELD_METER_ID, 0, "at least one meter is wanted");
    }
    return list.count;
}

bool mmi_router_password_is_good(const char *password) {
    size_t length = strlen(password);
    return length == 0 || length >= 8;
}

mm_err_t mm_network_check(const mm_network_t *network) {
    bool is_good = mm_text_is_site(network->site, sizeof network->site) &&
                   mm_text_is_plain_string(network->router.ssid, sizeof network->router.ssid) &&
                   mm_text_is_plain_string(network->router.password, sizeof network->router.password) &&
                   mm_text_is_plain_string(network->broker.url, sizeof network->broker.url) &&
                   mm_text_is_plain_string(network->broker.user, sizeof network->broker.user) &&
                   mm_text_is_plain_string(network->broker.password, sizeof network->broker.password);
    return is_good && mmi_router_password_is_good(network->router.password) ? MM_OK : MM_ERR_ARG;
}
