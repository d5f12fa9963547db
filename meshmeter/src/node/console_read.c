// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "node/console_internal.h"
#include "setup/json_fields.h"

static mmi_json_t begin(const mm_console_request_t *request) {
    mmi_json_t json;
    mmi_json_begin(&json, request->text, request->capacity_bytes, request->now);
    return json;
}

static void finish(mm_console_request_t *request, mmi_json_t *json) {
    mmi_json_close(json, '}');
    if (json->failed) {
        mm_console_put(request, "error: the answer does not fit here; of the meters, ask for one\n");
        return;
    }
    request->used_bytes = json->used_bytes;
    mm_console_put(request, "\n");
}

static const mm_node_t *node_of(const mm_console_request_t *request) {
    return request->console->options.node;
}

static const mm_setup_t *setup_of(const mm_console_request_t *request) {
    return request->console->options.setup;
}

static const char *phase_of(const mm_setup_t *setup) {
    return setup != NULL ? mm_life_state_name(setup->configuration.phase.state) : "configured by a file";
}

// --- the node ------------------------------------------------------------------------------------------------------

static const mmi_json_field_t status_fields[] = {
    MMI_JSON_FIELD("site", mm_node_t, options.site, MMI_JSON_TEXT),
    MMI_JSON_FIELD("root", mm_node_t, root.active, MMI_JSON_BOOL),
    MMI_JSON_FIELD("attached", mm_node_t, attached, MMI_JSON_BOOL),
    MMI_JSON_NUMBER("layer", mm_node_t, layer),
    MMI_JSON_NUMBER("boot_no", mm_node_t, metering.boot_no),
    MMI_JSON_NUMBER("sessions_made", mm_node_t, root.sessions_made),
    MMI_JSON_NUMBER("sessions_clean", mm_node_t, root.sessions_clean),
    MMI_JSON_FIELD("held", mm_node_t, metering.held, MMI_JSON_BOOL),
};

void mmi_console_status(mm_console_request_t *request) {
    const mm_node_t *node = node_of(request);
    const mm_time_t time = mm_metering_time(&node->metering, request->now);
    const char *version = request->console->facts.version;
    mmi_json_t json = begin(request);
    mmi_json_mac(&json, "mac", node->options.mac);
    mmi_json_string(&json, "version", version != NULL ? version : "");
    mmi_json_string(&json, "phase", phase_of(setup_of(request)));
    MMI_JSON_FIELDS(&json, node, status_fields);
    mmi_json_number(&json, "uptime_s", (uint64_t)mm_us_whole_s(request->now - node->metering.boot_at));
    mmi_json_signed(&json, "time", mm_us_whole_s(time.utc.us));
    mmi_json_string(&json, "trust", mm_trust_name(time.trust));
    mmi_json_number(&json, "unsent", mm_journal_backlog(&node->journal));
    finish(request, &json);
}

void mmi_console_counters(mm_console_request_t *request) {
    mmi_json_t json = begin(request);
    for (uint32_t i = 0; i < MM_COUNTER_COUNT; i++) {
        if (node_of(request)->counters.values[i] != 0) {
            mmi_json_number(&json, mm_counter_name(i), node_of(request)->counters.values[i]);
        }
    }
    finish(request, &json);
}

static void put_reasons(mmi_json_t *json, uint8_t reasons) {
    static const char *const names[] = {"locked", "no_credit", "tamper", "not_commissioned"};
    mmi_json_open(json, "relay_reasons", '[');
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((reasons >> i & 1) != 0) {
            mmi_json_string(json, NULL, names[i]);
        }
    }
    mmi_json_close(json, ']');
}

static void put_credit(mmi_json_t *json, const mm_control_t *control, uint8_t channel, uint64_t life_pulses) {
    const mm_credit_t *credit = &control->credits[channel];
    mmi_json_bool(json, "prepaid", credit->prepaid);
    mmi_json_string(json, "relay", (control->relay_closed >> channel & 1) != 0 ? "closed" : "open");
    put_reasons(json, credit->relay_reasons);
    if (!credit->prepaid) {
        return;
    }
    mmi_json_signed(json, "balance_wh", mm_credit_balance_wh(credit, life_pulses, control->pulse_constants[channel]));
    mmi_json_bool(json, "emergency_taken", credit->emergency_taken);
    mmi_json_left(json, "lock_out_s", control->locked_until[channel]);
}

typedef struct {
    const char *id;
    uint64_t energy_wh;
    uint64_t life_pulses;
    uint32_t pulse_constant;
    uint8_t number;
} meter_t;

static const mmi_json_field_t meter_fields[] = {
    MMI_JSON_NUMBER("channel", meter_t, number),
    MMI_JSON_FIELD("id", meter_t, id, MMI_JSON_POINTER),
    MMI_JSON_NUMBER("energy_wh", meter_t, energy_wh),
    MMI_JSON_NUMBER("life_pulses", meter_t, life_pulses),
    MMI_JSON_NUMBER("pulse_constant", meter_t, pulse_constant),
};

static void put_meter(mmi_json_t *json, const mm_node_t *node, uint8_t channel) {
    const mm_meter_config_t *config = &node->metering.stored_meters[channel];
    uint64_t life_pulses = node->metering.registers.channels[channel].life_pulses;
    if (config->id[0] == '\0') {
        return;
    }
    const meter_t meter = {config->id, mm_meter_energy_wh(config->start_wh, life_pulses, config->pulse_constant),
                           life_pulses, config->pulse_constant, (uint8_t)(channel + 1)};
    mmi_json_open(json, NULL, '{');
    MMI_JSON_FIELDS(json, &meter, meter_fields);
    if (node->has_control) {
        put_credit(json, &node->control, channel, life_pulses);
    }
    mmi_json_close(json, '}');
}

void mmi_console_meters(mm_console_request_t *request) {
    uint32_t only = 0;
    if (request->words > 0 && !mmi_console_number(mmi_console_word(&request->arguments), MM_CHANNELS, &only)) {
        mm_console_put(request, "error: meters are 1 to 8\n");
        return;
    }
    mmi_json_t json = begin(request);
    mmi_json_open(&json, "meters", '[');
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (only == 0 || only == channel + 1u) {
            put_meter(&json, node_of(request), channel);
        }
    }
    mmi_json_close(&json, ']');
    finish(request, &json);
}

// --- configuration -------------------------------------------------------------------------------------------------

static const mmi_json_field_t network_fields[] = {
    MMI_JSON_NUMBER("revision", mm_network_t, revision),
    MMI_JSON_FIELD("site", mm_network_t, site, MMI_JSON_TEXT),
    MMI_JSON_FIELD("broker", mm_network_t, broker.url, MMI_JSON_ADDRESS),
    MMI_JSON_FIELD("broker_user", mm_network_t, broker.user, MMI_JSON_SECRET),
    MMI_JSON_FIELD("broker_password", mm_network_t, broker.password, MMI_JSON_SECRET),
    MMI_JSON_FIELD("router_name", mm_network_t, router.ssid, MMI_JSON_TEXT),
    MMI_JSON_FIELD("router_password", mm_network_t, router.password, MMI_JSON_SECRET),
    MMI_JSON_FIELD("mesh_key", mm_network_t, mesh_key, MMI_JSON_KEY),
};

static const mmi_json_field_t installation_fields[] = {
    MMI_JSON_NUMBER("revision", mm_installation_t, revision),
    MMI_JSON_NUMBER("node_no", mm_installation_t, node_no),
    MMI_JSON_NUMBER("province", mm_installation_t, province),
    MMI_JSON_NUMBER("canton", mm_installation_t, canton),
    MMI_JSON_NUMBER("parish", mm_installation_t, parish),
    MMI_JSON_NUMBER("postal_code", mm_installation_t, postal_code),
    MMI_JSON_FIELD("address", mm_installation_t, address, MMI_JSON_TEXT),
    MMI_JSON_FIELD("installer", mm_installation_t, installer, MMI_JSON_TEXT),
};

static const mmi_json_field_t channel_fields[] = {
    MMI_JSON_FIELD("id", mm_channel_setup_t, meter.id, MMI_JSON_TEXT),
    MMI_JSON_NUMBER("pulse_constant", mm_channel_setup_t, meter.pulse_constant),
    MMI_JSON_NUMBER("start_wh", mm_channel_setup_t, meter.start_wh),
    MMI_JSON_FIELD("prepaid", mm_channel_setup_t, prepaid, MMI_JSON_BOOL),
};

static void put_installation(mmi_json_t *json, const mm_installation_t *installation) {
    mmi_json_open(json, "installation", '{');
    MMI_JSON_FIELDS(json, installation, installation_fields);
    mmi_json_open(json, "meters", '[');
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (installation->channels[channel].meter.id[0] != '\0') {
            mmi_json_open(json, NULL, '{');
            mmi_json_number(json, "channel", channel + 1u);
            MMI_JSON_FIELDS(json, &installation->channels[channel], channel_fields);
            mmi_json_close(json, '}');
        }
    }
    mmi_json_close(json, ']');
    mmi_json_close(json, '}');
}

void mmi_console_config(mm_console_request_t *request) {
    const mm_setup_t *setup = setup_of(request);
    mmi_json_t json = begin(request);
    mmi_json_string(&json, "phase", phase_of(setup));
    mmi_json_string(&json, "site", node_of(request)->options.site);
    if (request->console->facts.broker != NULL) {
        mmi_json_address(&json, "broker", request->console->facts.broker);
    }
    if (node_of(request)->has_control && mm_control_is_on_trial(&node_of(request)->control)) {
        mmi_json_bool(&json, "on_trial", true);
    }
    if (setup != NULL && setup->configuration.has_network) {
        mmi_json_open(&json, "network", '{');
        MMI_JSON_FIELDS(&json, &setup->configuration.network, network_fields);
        mmi_json_close(&json, '}');
    }
    if (setup != NULL && setup->configuration.has_installation) {
        put_installation(&json, &setup->configuration.installation);
    }
    finish(request, &json);
}

void mmi_console_install(mm_console_request_t *request) {
    const mm_setup_t *setup = setup_of(request);
    bool is_installed = setup != NULL && setup->configuration.has_installation;
    mmi_json_t json = begin(request);
    mmi_json_string(&json, "phase", phase_of(setup));
    mmi_json_bool(&json, "installed", is_installed);
    if (is_installed) {
        mmi_json_number(&json, "revision", setup->configuration.installation.revision);
        mmi_json_number(&json, "told", setup->control->installation_told);
        mmi_json_bool(&json, "applying", mm_setup_is_applying(setup));
        mmi_json_bool(&json, "confirmed", mm_life_is_confirmed(&setup->configuration.phase));
    }
    finish(request, &json);
}

static const mmi_json_field_t code_fields[] = {
    MMI_JSON_FIELD("wait_s", mm_setup_t, challenge.lock_out.until, MMI_JSON_LEFT),
    MMI_JSON_NUMBER("lock_outs", mm_setup_t, challenge.lock_out.in_a_row),
    MMI_JSON_FIELD("session", mm_setup_t, session, MMI_JSON_BOOL),
};

void mmi_console_code(mm_console_request_t *request) {
    mm_setup_t *setup = request->console->options.setup;
    const mm_challenge_t *challenge = &setup->challenge;
    const char *page = request->console->facts.page;
    uint32_t number;
    bool has_number = mm_setup_number(setup, request->now, &number); // ends a session whose time is over
    char digits[MMI_CONSOLE_NUMBER_CHARS + 1];
    mmi_console_digits(number, digits);
    mmi_json_t json = begin(request);
    mmi_json_string(&json, "phase", phase_of(setup));
    if (has_number) {
        mmi_json_string(&json, "number", digits);
        mmi_json_left(&json, "number_left_s", challenge->expires_at);
        mmi_json_number(&json, "tries_left", (uint64_t)(MM_LOCK_OUT_TRIES - challenge->lock_out.wrong));
    }
    MMI_JSON_FIELDS(&json, setup, code_fields);
    if (setup->session) {
        mmi_json_left(&json, "session_left_s", setup->session_until);
    }
    mmi_json_string(&json, "page", page != NULL ? page : "");
    finish(request, &json);
}

// --- mesh, slot, journal, log --------------------------------------------------------------------------------------

static const mmi_json_field_t mesh_facts[] = {
    MMI_JSON_FIELD("role", mm_console_facts_t, role, MMI_JSON_POINTER),
    MMI_JSON_FIELD("parent", mm_console_facts_t, parent, MMI_JSON_MAC),
    MMI_JSON_NUMBER("members", mm_console_facts_t, members),
};
static const mmi_json_field_t mesh_fields[] = {
    MMI_JSON_FIELD("root", mm_node_t, root_mac, MMI_JSON_MAC),
    MMI_JSON_FIELD("attached", mm_node_t, attached, MMI_JSON_BOOL),
    MMI_JSON_NUMBER("layer", mm_node_t, layer),
};

void mmi_console_mesh(mm_console_request_t *request) {
    const mm_console_facts_t *facts = &request->console->facts;
    mmi_json_t json = begin(request);
    MMI_JSON_FIELDS(&json, facts, mesh_facts);
    MMI_JSON_FIELDS(&json, node_of(request), mesh_fields);
    mmi_json_open(&json, "counters", '{');
    for (size_t i = 0; i < facts->mesh_counter_count; i++) {
        if (facts->mesh_counters[i].value != 0) {
            mmi_json_number(&json, facts->mesh_counters[i].name, facts->mesh_counters[i].value);
        }
    }
    mmi_json_close(&json, '}');
    finish(request, &json);
}

static const mmi_json_field_t slot_fields[] = {
    MMI_JSON_NUMBER("slot", mm_slot_plan_t, slot),
    MMI_JSON_NUMBER("slot_count", mm_slot_plan_t, slot_count),
};

void mmi_console_slot(mm_console_request_t *request) {
    const mm_root_t *root = &node_of(request)->root;
    const mm_slot_plan_t *plan = &root->timing->slots;
    mmi_json_t json = begin(request);
    MMI_JSON_FIELDS(&json, plan, slot_fields);
    mmi_json_number(&json, "slot_ms", (uint64_t)(plan->slot_us / 1000));
    mmi_json_number(&json, "cycle_s", (uint64_t)mm_us_whole_s(mm_slot_cycle_us(plan)));
    mmi_json_bool(&json, "root", root->active);
    if (root->active && root->session_at != MM_US_NEVER) {
        mmi_json_left(&json, "next_session_s", root->session_at);
    }
    finish(request, &json);
}

typedef struct {
    uint32_t epoch;
    uint32_t oldest;
    uint32_t next;
    uint32_t watermark;
    uint32_t unsent;
    uint32_t sectors;
    uint32_t used;
    uint32_t retired;
    bool read_only;
} stored_t;

static const mmi_json_field_t stored_fields[] = {
    MMI_JSON_NUMBER("epoch", stored_t, epoch),
    MMI_JSON_NUMBER("oldest", stored_t, oldest),
    MMI_JSON_NUMBER("next", stored_t, next),
    MMI_JSON_NUMBER("watermark", stored_t, watermark),
    MMI_JSON_NUMBER("unsent", stored_t, unsent),
    MMI_JSON_NUMBER("sectors", stored_t, sectors),
    MMI_JSON_NUMBER("sectors_used", stored_t, used),
    MMI_JSON_NUMBER("sectors_retired", stored_t, retired),
    MMI_JSON_FIELD("read_only", stored_t, read_only, MMI_JSON_BOOL),
};

void mmi_console_journal(mm_console_request_t *request) {
    const mm_journal_t *journal = &node_of(request)->journal;
    stored_t stored = {.epoch = journal->epoch,
                       .oldest = mm_journal_oldest(journal).seq,
                       .next = mm_journal_next(journal).seq,
                       .watermark = journal->watermark.epoch == journal->epoch ? journal->watermark.seq : 0,
                       .unsent = mm_journal_backlog(journal),
                       .sectors = journal->sector_count,
                       .read_only = journal->read_only};
    for (uint32_t i = 0; i < journal->sector_count; i++) {
        stored.used += journal->sectors[i].state == MM_JOURNAL_SECTOR_USED ? 1 : 0;
        stored.retired += journal->sectors[i].state == MM_JOURNAL_SECTOR_RETIRED ? 1 : 0;
    }
    mmi_json_t json = begin(request);
    MMI_JSON_FIELDS(&json, &stored, stored_fields);
    finish(request, &json);
}

void mmi_console_log(mm_console_request_t *request) {
    const mm_actions_t *actions = node_of(request)->ports.actions;
    if (actions == NULL) {
        mm_console_put(request, "error: this device keeps no log\n");
        return;
    }
    request->used_bytes = actions->log_tail(actions->context, request->text, request->capacity_bytes - 1);
    mm_console_put(request, "\n");
}
