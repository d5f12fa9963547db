// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/configuration.h"

#include <string.h>

#include "meshmeter/text.h"
#include "setup/configuration_internal.h"
#include "wire/fields.h"

// docs/spec/configuration.md, 2.
#define HAS_NETWORK 0x01
#define HAS_INSTALLATION 0x02
#define FLAGS_KNOWN 0x03
#define THRESHOLD_WH_MAX 1000000000
#define QUIET_HOURS_KNOWN 0x00FFFFFFu
#define QUIET_DAYS_KNOWN 0x7F

static void put_text(mm_writer_t *writer, const char *text, size_t capacity_bytes) {
    const char *end = memchr(text, '\0', capacity_bytes);
    MM_ASSERT(end != NULL);
    mm_put_u8(writer, (uint8_t)(end - text));
    mm_put_bytes(writer, text, (size_t)(end - text));
}

static void get_text(mm_reader_t *reader, char *text, size_t capacity_bytes) {
    size_t length = mm_get_u8(reader);
    if (length >= capacity_bytes) {
        reader->failed = true;
        return;
    }
    mm_get_bytes(reader, text, length);
    reader->failed = reader->failed || memchr(text, '\0', length) != NULL;
}

void mmi_network_put(mm_writer_t *writer, const mm_network_t *network) {
    mm_put_u32(writer, network->revision);
    put_text(writer, network->site, sizeof network->site);
    put_text(writer, network->router_name, sizeof network->router_name);
    put_text(writer, network->router_password, sizeof network->router_password);
    put_text(writer, network->broker_url, sizeof network->broker_url);
    put_text(writer, network->broker_user, sizeof network->broker_user);
    put_text(writer, network->broker_password, sizeof network->broker_password);
    mm_put_bytes(writer, network->mesh_key, sizeof network->mesh_key);
}

void mmi_network_get(mm_reader_t *reader, mm_network_t *network) {
    network->revision = mm_get_u32(reader);
    get_text(reader, network->site, sizeof network->site);
    get_text(reader, network->router_name, sizeof network->router_name);
    get_text(reader, network->router_password, sizeof network->router_password);
    get_text(reader, network->broker_url, sizeof network->broker_url);
    get_text(reader, network->broker_user, sizeof network->broker_user);
    get_text(reader, network->broker_password, sizeof network->broker_password);
    mm_get_bytes(reader, network->mesh_key, sizeof network->mesh_key);
    reader->failed = reader->failed || mm_network_check(network) != MM_OK;
}

static const mmi_field_t limit_fields[] = {
    MMI_FIELD(mm_credit_limits_t, warning_wh, 4),
    MMI_FIELD(mm_credit_limits_t, emergency_wh, 4),
    MMI_FIELD(mm_credit_limits_t, quiet_hours, 4),
    MMI_FIELD(mm_credit_limits_t, quiet_days, 1),
};
static const mmi_field_t place_fields[] = {
    MMI_FIELD(mm_installation_t, revision, 4), MMI_FIELD(mm_installation_t, node_no, 4),
    MMI_FIELD(mm_installation_t, province, 2), MMI_FIELD(mm_installation_t, canton, 2),
    MMI_FIELD(mm_installation_t, parish, 2),   MMI_FIELD(mm_installation_t, postal_code, 4),
};

static void put_channel(mm_writer_t *writer, const mm_channel_setup_t *channel) {
    put_text(writer, channel->meter.id, sizeof channel->meter.id);
    if (channel->meter.id[0] == '\0') {
        return;
    }
    mm_put_u16(writer, (uint16_t)channel->meter.pulse_constant);
    mm_put_u64(writer, channel->meter.start_wh);
    mm_put_u8(writer, channel->prepaid ? 1 : 0);
    mmi_put_fields(writer, MMI_FIELDS(limit_fields), &channel->limits);
}

static void get_channel(mm_reader_t *reader, mm_channel_setup_t *channel) {
    get_text(reader, channel->meter.id, sizeof channel->meter.id);
    if (channel->meter.id[0] == '\0') {
        return;
    }
    channel->meter.pulse_constant = mm_get_u16(reader);
    channel->meter.start_wh = mm_get_u64(reader);
    uint8_t prepaid = mm_get_u8(reader);
    reader->failed = reader->failed || prepaid > 1;
    channel->prepaid = prepaid == 1;
    mmi_get_fields(reader, MMI_FIELDS(limit_fields), &channel->limits);
}

static void put_installation(mm_writer_t *writer, const mm_installation_t *installation) {
    mmi_put_fields(writer, MMI_FIELDS(place_fields), installation);
    put_text(writer, installation->address, sizeof installation->address);
    put_text(writer, installation->installer, sizeof installation->installer);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        put_channel(writer, &installation->channels[channel]);
    }
}

static void get_installation(mm_reader_t *reader, mm_installation_t *installation) {
    mmi_get_fields(reader, MMI_FIELDS(place_fields), installation);
    get_text(reader, installation->address, sizeof installation->address);
    get_text(reader, installation->installer, sizeof installation->installer);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        get_channel(reader, &installation->channels[channel]);
    }
}

// A session or a fault does not outlive a restart.
static mm_life_state_t lasting_state(const mm_life_cycle_t *phase) {
    bool is_passing = phase->state == MM_LIFE_CONFIGURING || phase->state == MM_LIFE_FAULT;
    return is_passing ? phase->before : phase->state;
}

static bool is_lasting(uint8_t state) {
    return state == MM_LIFE_PARKED || state == MM_LIFE_PROVISIONED || state == MM_LIFE_AWAITING ||
           state == MM_LIFE_RUNNING;
}

static bool installation_is_good(const mm_installation_t *installation) {
    mm_field_problem_t problem;
    return installation->revision != 0 && mm_installation_check(installation, &problem, 1) == 0;
}

void mm_configuration_encode(const mm_configuration_t *configuration, mm_writer_t *writer) {
    MM_ASSERT(is_lasting((uint8_t)lasting_state(&configuration->phase)));
    MM_ASSERT(!configuration->has_network || mm_network_check(&configuration->network) == MM_OK);
    MM_ASSERT(!configuration->has_installation || installation_is_good(&configuration->installation));
    mm_put_u8(writer, MMI_CONFIGURATION_VERSION);
    mm_put_u8(writer, (uint8_t)((configuration->has_network ? HAS_NETWORK : 0) |
                                (configuration->has_installation ? HAS_INSTALLATION : 0)));
    mm_put_u8(writer, (uint8_t)lasting_state(&configuration->phase));
    mm_put_u8(writer, configuration->challenge_lock_outs);
    if (configuration->has_network) {
        mmi_network_put(writer, &configuration->network);
    }
    if (configuration->has_installation) {
        put_installation(writer, &configuration->installation);
    }
}

static void decode(mm_configuration_t *configuration, mm_reader_t *reader) {
    uint8_t flags = mm_get_u8(reader);
    uint8_t state = mm_get_u8(reader);
    configuration->challenge_lock_outs = mm_get_u8(reader);
    if ((flags & ~FLAGS_KNOWN) != 0 || !is_lasting(state)) {
        reader->failed = true;
        return;
    }
    configuration->phase = (mm_life_cycle_t){(mm_life_state_t)state, (mm_life_state_t)state};
    configuration->has_network = (flags & HAS_NETWORK) != 0;
    configuration->has_installation = (flags & HAS_INSTALLATION) != 0;
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
    if (version == MMI_CONFIGURATION_VERSION) {
        decode(configuration, reader);
    } else {
        reader->failed = true; // there was no earlier one
    }
    if (reader->failed || mm_reader_left_bytes(reader) != 0) {
        memset(configuration, 0, sizeof *configuration);
        return MM_ERR_CORRUPT;
    }
    return MM_OK;
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
    return field < MM_FIELD_COUNT ? names[field] : "unknown";
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

static void check_place(const mm_installation_t *installation, mmi_problems_t *problems) {
    if (installation->node_no < 1 || installation->node_no > MM_NODE_NO_MAX) {
        mmi_problem(problems, MM_FIELD_NODE_NO, 0, "a number from 1 to 100,000 is wanted");
    }
    if (installation->province > MM_PROVINCE_MAX) {
        mmi_problem(problems, MM_FIELD_PROVINCE, 0, "from 1 to 200, or nothing");
    }
    if (installation->canton > MM_CANTON_MAX) {
        mmi_problem(problems, MM_FIELD_CANTON, 0, "from 1 to 500, or nothing");
    }
    if (installation->parish > MM_PARISH_MAX) {
        mmi_problem(problems, MM_FIELD_PARISH, 0, "from 1 to 500, or nothing");
    }
    if (installation->postal_code > MM_POSTAL_CODE_MAX) {
        mmi_problem(problems, MM_FIELD_POSTAL_CODE, 0, "from 1 to 9,999,999, or nothing");
    }
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
    bool constant_is_good =
        meter.pulse_constant >= MM_PULSE_CONSTANT_MIN && meter.pulse_constant <= MM_PULSE_CONSTANT_MAX;
    meter.pulse_constant = MM_PULSE_CONSTANT_MIN; // so that only the id is judged
    if (mm_meter_config_check(&meter) != MM_OK) {
        mmi_problem(problems, MM_FIELD_METER_ID, channel,
                    "at most 12 printable ASCII characters without blanks, commas and quotes");
    }
    if (!constant_is_good) {
        mmi_problem(problems, MM_FIELD_PULSE_CONSTANT, channel, "from 100 to 10,000 pulses per kWh");
    }
    if (meter.start_wh > MM_START_WH_MAX) {
        mmi_problem(problems, MM_FIELD_START_WH, channel, "from 0 to 3,000,000 kWh");
    }
    if (setup->limits.warning_wh > THRESHOLD_WH_MAX) {
        mmi_problem(problems, MM_FIELD_WARNING_WH, channel, "from 0 to 1,000,000,000 Wh");
    }
    if (setup->limits.emergency_wh > THRESHOLD_WH_MAX) {
        mmi_problem(problems, MM_FIELD_EMERGENCY_WH, channel, "from 0 to 1,000,000,000 Wh");
    }
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
                   mm_text_is_plain_string(network->router_name, sizeof network->router_name) &&
                   mm_text_is_plain_string(network->router_password, sizeof network->router_password) &&
                   mm_text_is_plain_string(network->broker_url, sizeof network->broker_url) &&
                   mm_text_is_plain_string(network->broker_user, sizeof network->broker_user) &&
                   mm_text_is_plain_string(network->broker_password, sizeof network->broker_password);
    return is_good && mmi_router_password_is_good(network->router_password) ? MM_OK : MM_ERR_ARG;
}
