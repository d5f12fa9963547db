// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "node/console_internal.h"
#include "setup/json_writer.h"

static mmi_json_t begin(const mm_console_request_t *request) {
    mmi_json_t json = mmi_json(request->text, request->capacity_bytes);
    mmi_json_open(&json, NULL, '{');
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

void mmi_console_status(mm_console_request_t *request) {
    const mm_node_t *node = node_of(request);
    const mm_metering_t *metering = &node->metering;
    const mm_time_t time = mm_metering_time(metering, request->now);
    mmi_json_t json = begin(request);
    mmi_json_mac(&json, "mac", node->options.mac);
    if (request->console->facts.version != NULL) {
        mmi_json_string(&json, "version", request->console->facts.version);
    }
    mmi_json_string(&json, "phase", phase_of(setup_of(request)));
    mmi_json_string(&json, "site", node->options.site);
    mmi_json_bool(&json, "root", node->root.active);
    mmi_json_bool(&json, "attached", node->attached);
    mmi_json_number(&json, "layer", node->layer);
    mmi_json_number(&json, "boot_no", metering->boot_no);
    mmi_json_number(&json, "uptime_s", (uint64_t)((request->now - metering->boot_at) / MM_US_PER_S));
    mmi_json_signed(&json, "time", time.utc.us / MM_US_PER_S);
    mmi_json_string(&json, "trust", mm_trust_name(time.trust));
    mmi_json_number(&json, "unsent", mm_journal_backlog(&node->journal));
    mmi_json_number(&json, "sessions_made", node->root.sessions_made);
    mmi_json_number(&json, "sessions_clean", node->root.sessions_clean);
    mmi_json_bool(&json, "held", mm_metering_is_held(metering));
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

static void put_credit(mmi_json_t *json, const mm_control_t *control, uint8_t channel, uint64_t life_pulses,
                       mm_us_t now) {
    const mm_credit_t *credit = &control->credits[channel];
    mmi_json_bool(json, "prepaid", credit->prepaid);
    mmi_json_string(json, "relay", (control->relay_closed >> channel & 1) != 0 ? "closed" : "open");
    put_reasons(json, credit->relay_reasons);
    if (!credit->prepaid) {
        return;
    }
    mmi_json_signed(json, "balance_wh", mm_credit_balance_wh(credit, life_pulses, control->pulse_constants[channel]));
    mmi_json_bool(json, "emergency_taken", credit->emergency_taken);
    mmi_json_number(json, "lock_out_s", mm_us_seconds_until(control->locked_until[channel], now));
}

static void put_meter(mmi_json_t *json, const mm_node_t *node, uint8_t channel, mm_us_t now) {
    const mm_meter_config_t *meter = &node->metering.stored_meters[channel];
    uint64_t life_pulses = node->metering.registers.channels[channel].life_pulses;
    if (meter->id[0] == '\0') {
        return;
    }
    mmi_json_open(json, NULL, '{');
    mmi_json_number(json, "channel", channel + 1u);
    mmi_json_string(json, "id", meter->id);
    mmi_json_number(json, "energy_wh", mm_meter_energy_wh(meter->start_wh, life_pulses, meter->pulse_constant));
    mmi_json_number(json, "life_pulses", life_pulses);
    mmi_json_number(json, "pulse_constant", meter->pulse_constant);
    if (node->has_control) {
        put_credit(json, &node->control, channel, life_pulses, now);
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
            put_meter(&json, node_of(request), channel, request->now);
        }
    }
    mmi_json_close(&json, ']');
    finish(request, &json);
}

// --- configuration -------------------------------------------------------------------------------------------------

static void put_secret(mmi_json_t *json, const char *name, bool is_set) {
    mmi_json_string(json, name, is_set ? "set" : "none");
}

// An address may carry credentials before an '@'.
static void put_address(mmi_json_t *json, const char *name, const char *url) {
    char text[MM_BROKER_URL_CHARS_MAX + 1];
    const char *scheme = strstr(url, "://");
    const char *host = scheme != NULL ? scheme + 3 : url;
    const char *at = strrchr(host, '@');
    size_t scheme_chars = (size_t)(host - url);
    host = at != NULL ? at + 1 : host;
    size_t host_chars = strlen(host);
    if (scheme_chars + host_chars >= sizeof text) {
        mmi_json_string(json, name, "too long to show");
        return;
    }
    memcpy(text, url, scheme_chars);
    memcpy(text + scheme_chars, host, host_chars + 1);
    mmi_json_string(json, name, text);
}

static void put_network(mmi_json_t *json, const mm_network_t *network) {
    static const uint8_t no_key[sizeof network->mesh_key] = {0};
    mmi_json_open(json, "network", '{');
    mmi_json_number(json, "revision", network->revision);
    mmi_json_string(json, "site", network->site);
    put_address(json, "broker", network->broker_url);
    put_secret(json, "broker_user", network->broker_user[0] != '\0');
    put_secret(json, "broker_password", network->broker_password[0] != '\0');
    mmi_json_string(json, "router_name", network->router_name);
    put_secret(json, "router_password", network->router_password[0] != '\0');
    put_secret(json, "mesh_key", memcmp(network->mesh_key, no_key, sizeof no_key) != 0);
    mmi_json_close(json, '}');
}

static void put_installation(mmi_json_t *json, const mm_installation_t *installation) {
    mmi_json_open(json, "installation", '{');
    mmi_json_number(json, "revision", installation->revision);
    mmi_json_number(json, "node_no", installation->node_no);
    mmi_json_number(json, "province", installation->province);
    mmi_json_number(json, "canton", installation->canton);
    mmi_json_number(json, "parish", installation->parish);
    mmi_json_number(json, "postal_code", installation->postal_code);
    mmi_json_string(json, "address", installation->address);
    mmi_json_string(json, "installer", installation->installer);
    mmi_json_open(json, "meters", '[');
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_channel_setup_t *setup = &installation->channels[channel];
        if (setup->meter.id[0] != '\0') {
            mmi_json_open(json, NULL, '{');
            mmi_json_number(json, "channel", channel + 1u);
            mmi_json_string(json, "id", setup->meter.id);
            mmi_json_number(json, "pulse_constant", setup->meter.pulse_constant);
            mmi_json_number(json, "start_wh", setup->meter.start_wh);
            mmi_json_bool(json, "prepaid", setup->prepaid);
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
        put_address(&json, "broker", request->console->facts.broker);
    }
    if (node_of(request)->has_control && mm_control_is_on_trial(&node_of(request)->control)) {
        mmi_json_bool(&json, "on_trial", true);
    }
    if (setup != NULL && setup->configuration.has_network) {
        put_network(&json, &setup->configuration.network);
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
        mmi_json_bool(&json, "confirmed", mm_life_is_commissioned(&setup->configuration.phase));
    }
    finish(request, &json);
}

void mmi_console_code(mm_console_request_t *request) {
    mm_setup_t *setup = request->console->options.setup;
    const mm_challenge_t *challenge = &setup->challenge;
    uint32_t number;
    bool has_number = mm_setup_number(setup, request->now, &number); // ends a session whose time is over
    char digits[9] = "";
    for (size_t place = 8; place > 0; place--) {
        digits[place - 1] = (char)('0' + number % 10);
        number /= 10;
    }
    mmi_json_t json = begin(request);
    mmi_json_string(&json, "phase", phase_of(setup));
    if (has_number) {
        mmi_json_string(&json, "number", digits);
        mmi_json_number(&json, "number_left_s", mm_us_seconds_until(challenge->expires_at, request->now));
        mmi_json_number(&json, "tries_left", (uint64_t)(MM_CHALLENGE_TRIES - challenge->wrong));
    }
    mmi_json_number(&json, "wait_s", mm_us_seconds_until(challenge->locked_until, request->now));
    mmi_json_number(&json, "lock_outs", challenge->lock_outs);
    mmi_json_bool(&json, "session", setup->session);
    if (setup->session) {
        mmi_json_number(&json, "session_left_s", mm_us_seconds_until(setup->session_until, request->now));
    }
    if (request->console->facts.page != NULL) {
        mmi_json_string(&json, "page", request->console->facts.page);
    }
    finish(request, &json);
}

// --- mesh, slot, journal, log --------------------------------------------------------------------------------------

void mmi_console_mesh(mm_console_request_t *request) {
    const mm_node_t *node = node_of(request);
    const mm_console_facts_t *facts = &request->console->facts;
    mmi_json_t json = begin(request);
    if (facts->role != NULL) {
        mmi_json_string(&json, "role", facts->role);
    }
    mmi_json_mac(&json, "root", node->root_mac);
    mmi_json_mac(&json, "parent", facts->parent);
    mmi_json_bool(&json, "attached", node->attached);
    mmi_json_number(&json, "layer", node->layer);
    mmi_json_number(&json, "members", facts->members);
    mmi_json_open(&json, "counters", '{');
    for (size_t i = 0; i < facts->mesh_counter_count; i++) {
        if (facts->mesh_counters[i].value != 0) {
            mmi_json_number(&json, facts->mesh_counters[i].name, facts->mesh_counters[i].value);
        }
    }
    mmi_json_close(&json, '}');
    finish(request, &json);
}

void mmi_console_slot(mm_console_request_t *request) {
    const mm_root_t *root = &node_of(request)->root;
    const mm_slot_plan_t *plan = &root->timing->slots;
    mmi_json_t json = begin(request);
    mmi_json_number(&json, "slot", plan->slot);
    mmi_json_number(&json, "slot_count", plan->slot_count);
    mmi_json_number(&json, "slot_ms", (uint64_t)(plan->slot_us / 1000));
    mmi_json_number(&json, "cycle_s", (uint64_t)(mm_slot_cycle_us(plan) / MM_US_PER_S));
    mmi_json_bool(&json, "root", root->active);
    if (root->active && root->session_at != MM_US_NEVER) {
        mmi_json_number(&json, "next_session_s", mm_us_seconds_until(root->session_at, request->now));
    }
    finish(request, &json);
}

void mmi_console_journal(mm_console_request_t *request) {
    const mm_journal_t *journal = &node_of(request)->journal;
    uint32_t used = 0;
    uint32_t retired = 0;
    for (uint32_t i = 0; i < journal->sector_count; i++) {
        used += journal->sectors[i].state == MM_JOURNAL_SECTOR_USED ? 1 : 0;
        retired += journal->sectors[i].state == MM_JOURNAL_SECTOR_RETIRED ? 1 : 0;
    }
    mmi_json_t json = begin(request);
    mmi_json_number(&json, "epoch", journal->epoch);
    mmi_json_number(&json, "oldest", mm_journal_oldest(journal).seq);
    mmi_json_number(&json, "next", mm_journal_next(journal).seq);
    mmi_json_number(&json, "watermark", journal->watermark.epoch == journal->epoch ? journal->watermark.seq : 0);
    mmi_json_number(&json, "unsent", mm_journal_backlog(journal));
    mmi_json_number(&json, "sectors", journal->sector_count);
    mmi_json_number(&json, "sectors_used", used);
    mmi_json_number(&json, "sectors_retired", retired);
    mmi_json_bool(&json, "read_only", journal->read_only);
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
