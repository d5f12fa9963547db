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

// --- fields --------------------------------------------------------------------------------------------------------

// Most of what is shown stands in a struct as it is: a table of it is a third of the calls.
typedef enum {
    FLAG,
    U8,
    U16,
    U32,
    U64,
    TEXT,
    ADDRESS,
    SECRET, ///< only whether there is one
    KEY,    ///< likewise, of KEY_BYTES
} kind_t;

#define KEY_BYTES sizeof(((mm_network_t *)0)->mesh_key)

typedef struct {
    const char *name;
    uint32_t offset : 24;
    uint32_t kind : 8; ///< kind_t
} field_t;

#define FIELD(kind, name, type, member)                                                                                \
    { name, offsetof(type, member), kind }

static uint64_t read_number(const uint8_t *at, uint32_t kind) {
    uint16_t half;
    uint32_t word;
    uint64_t whole;
    switch (kind) {
    case U8:
        return *at;
    case U16:
        memcpy(&half, at, sizeof half);
        return half;
    case U32:
        memcpy(&word, at, sizeof word);
        return word;
    default:
        memcpy(&whole, at, sizeof whole);
        return whole;
    }
}

static bool is_key(const uint8_t *at) {
    uint8_t any = 0;
    for (size_t i = 0; i < KEY_BYTES; i++) {
        any |= at[i];
    }
    return any != 0;
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

static void put_fields(mmi_json_t *json, const void *base, const field_t *fields, size_t count) {
    for (const field_t *field = fields; field < fields + count; field++) {
        const uint8_t *at = (const uint8_t *)base + field->offset;
        switch (field->kind) {
        case FLAG:
            mmi_json_bool(json, field->name, *at != 0);
            break;
        case TEXT:
            mmi_json_string(json, field->name, (const char *)at);
            break;
        case ADDRESS:
            put_address(json, field->name, (const char *)at);
            break;
        case SECRET:
            mmi_json_string(json, field->name, *at != 0 ? "set" : "none");
            break;
        case KEY:
            mmi_json_string(json, field->name, is_key(at) ? "set" : "none");
            break;
        default:
            mmi_json_number(json, field->name, read_number(at, field->kind));
            break;
        }
    }
}

#define PUT_FIELDS(json, base, fields) put_fields(json, base, fields, sizeof(fields) / sizeof((fields)[0]))

// --- the node ------------------------------------------------------------------------------------------------------

static const field_t status_fields[] = {
    FIELD(TEXT, "site", mm_node_t, options.site),
    FIELD(FLAG, "root", mm_node_t, root.active),
    FIELD(FLAG, "attached", mm_node_t, attached),
    FIELD(U8, "layer", mm_node_t, layer),
    FIELD(U32, "boot_no", mm_node_t, metering.boot_no),
    FIELD(U32, "sessions_made", mm_node_t, root.sessions_made),
    FIELD(U32, "sessions_clean", mm_node_t, root.sessions_clean),
    FIELD(FLAG, "held", mm_node_t, metering.held),
};

void mmi_console_status(mm_console_request_t *request) {
    const mm_node_t *node = node_of(request);
    const mm_time_t time = mm_metering_time(&node->metering, request->now);
    const char *version = request->console->facts.version;
    mmi_json_t json = begin(request);
    mmi_json_mac(&json, "mac", node->options.mac);
    mmi_json_string(&json, "version", version != NULL ? version : "");
    mmi_json_string(&json, "phase", phase_of(setup_of(request)));
    PUT_FIELDS(&json, node, status_fields);
    mmi_json_number(&json, "uptime_s", (uint64_t)((request->now - node->metering.boot_at) / MM_US_PER_S));
    mmi_json_signed(&json, "time", time.utc.us / MM_US_PER_S);
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

static const field_t network_fields[] = {
    FIELD(U32, "revision", mm_network_t, revision),
    FIELD(TEXT, "site", mm_network_t, site),
    FIELD(ADDRESS, "broker", mm_network_t, broker_url),
    FIELD(SECRET, "broker_user", mm_network_t, broker_user),
    FIELD(SECRET, "broker_password", mm_network_t, broker_password),
    FIELD(TEXT, "router_name", mm_network_t, router_name),
    FIELD(SECRET, "router_password", mm_network_t, router_password),
    FIELD(KEY, "mesh_key", mm_network_t, mesh_key),
};

static const field_t installation_fields[] = {
    FIELD(U32, "revision", mm_installation_t, revision), FIELD(U32, "node_no", mm_installation_t, node_no),
    FIELD(U16, "province", mm_installation_t, province), FIELD(U16, "canton", mm_installation_t, canton),
    FIELD(U16, "parish", mm_installation_t, parish),     FIELD(U32, "postal_code", mm_installation_t, postal_code),
    FIELD(TEXT, "address", mm_installation_t, address),  FIELD(TEXT, "installer", mm_installation_t, installer),
};

static const field_t channel_fields[] = {
    FIELD(TEXT, "id", mm_channel_setup_t, meter.id),
    FIELD(U32, "pulse_constant", mm_channel_setup_t, meter.pulse_constant),
    FIELD(U64, "start_wh", mm_channel_setup_t, meter.start_wh),
    FIELD(FLAG, "prepaid", mm_channel_setup_t, prepaid),
};

static void put_installation(mmi_json_t *json, const mm_installation_t *installation) {
    mmi_json_open(json, "installation", '{');
    PUT_FIELDS(json, installation, installation_fields);
    mmi_json_open(json, "meters", '[');
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (installation->channels[channel].meter.id[0] != '\0') {
            mmi_json_open(json, NULL, '{');
            mmi_json_number(json, "channel", channel + 1u);
            PUT_FIELDS(json, &installation->channels[channel], channel_fields);
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
        mmi_json_open(&json, "network", '{');
        PUT_FIELDS(&json, &setup->configuration.network, network_fields);
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
        mmi_json_number(&json, "number_left_s", mm_us_seconds_until(challenge->expires_at, request->now));
        mmi_json_number(&json, "tries_left", (uint64_t)(MM_LOCK_OUT_TRIES - challenge->lock_out.wrong));
    }
    mmi_json_number(&json, "wait_s", mm_lock_out_wait_s(&challenge->lock_out, request->now));
    mmi_json_number(&json, "lock_outs", challenge->lock_out.in_a_row);
    mmi_json_bool(&json, "session", setup->session);
    if (setup->session) {
        mmi_json_number(&json, "session_left_s", mm_us_seconds_until(setup->session_until, request->now));
    }
    mmi_json_string(&json, "page", page != NULL ? page : "");
    finish(request, &json);
}

// --- mesh, slot, journal, log --------------------------------------------------------------------------------------

void mmi_console_mesh(mm_console_request_t *request) {
    const mm_node_t *node = node_of(request);
    const mm_console_facts_t *facts = &request->console->facts;
    mmi_json_t json = begin(request);
    mmi_json_string(&json, "role", facts->role != NULL ? facts->role : "");
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
