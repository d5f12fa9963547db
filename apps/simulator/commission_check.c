// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "simulator/installer.h"

#define SESSION_US (MM_SETUP_SESSION_S * MM_US_PER_S)

static device_t *device_of(commission_t *self, int node) {
    return &self->devices[node];
}

// What would be there after a restart.
static mm_life_state_t lasting_state(const mm_configuration_t *configuration) {
    const mm_life_cycle_t *phase = &configuration->phase;
    return phase->state == MM_LIFE_CONFIGURING ? phase->before : phase->state;
}

static bool is_same_network(const mm_network_t *left, const mm_network_t *right) {
    return left->revision == right->revision && strcmp(left->site, right->site) == 0 &&
           strcmp(left->router.ssid, right->router.ssid) == 0 &&
           strcmp(left->router.password, right->router.password) == 0 &&
           strcmp(left->broker.url, right->broker.url) == 0 && strcmp(left->broker.user, right->broker.user) == 0 &&
           strcmp(left->broker.password, right->broker.password) == 0 &&
           memcmp(left->mesh_key, right->mesh_key, sizeof left->mesh_key) == 0;
}

// What HQ is told of it.
static bool is_same_for_hq(const mm_channel_setup_t *left, const mm_channel_setup_t *right) {
    return strcmp(left->meter.id, right->meter.id) == 0 && left->meter.pulse_constant == right->meter.pulse_constant &&
           left->meter.start_wh == right->meter.start_wh && left->prepaid == right->prepaid;
}

static bool is_same_channel(const mm_channel_setup_t *left, const mm_channel_setup_t *right) {
    return is_same_for_hq(left, right) && left->limits.warning_wh == right->limits.warning_wh &&
           left->limits.emergency_wh == right->limits.emergency_wh;
}

// But for the revision, which the node gives.
static bool is_same_installation(const mm_installation_t *left, const mm_installation_t *right) {
    bool same = left->node_no == right->node_no && left->province == right->province && left->canton == right->canton &&
                left->parish == right->parish && left->postal_code == right->postal_code &&
                strcmp(left->address, right->address) == 0 && strcmp(left->installer, right->installer) == 0;
    for (uint8_t channel = 0; channel < MM_CHANNELS && same; channel++) {
        same = is_same_channel(&left->channels[channel], &right->channels[channel]);
    }
    return same;
}

// --- what may change

// An order of HQ that this node may carry out now: each once.
static bool spend_order(commission_t *self, int node, uint8_t kind, uint32_t revision) {
    const sales_t *sales = self->sales;
    if (sales->order_count > self->orders_spent_count) {
        self->orders_spent = realloc(self->orders_spent, sales->order_count * sizeof *self->orders_spent);
        MM_ASSERT(self->orders_spent != NULL);
        for (size_t i = self->orders_spent_count; i < sales->order_count; i++) {
            self->orders_spent[i] = false;
        }
        self->orders_spent_count = sales->order_count;
    }
    for (size_t i = 0; i < sales->order_count; i++) {
        const order_t *order = &sales->orders[i];
        bool fits = order->node == node && order->kind == kind && order->state != ORDER_QUEUED &&
                    (kind != MM_COMMAND_CONFIRM || order->body.confirm.revision == revision);
        if (fits && !self->orders_spent[i]) {
            self->orders_spent[i] = true;
            return true;
        }
    }
    return false;
}

// The router on trial, in the network that was there, one revision on: only after a session through it.
static bool is_proved_router(const commission_t *self, int node, const mm_configuration_t *from,
                             const mm_configuration_t *to) {
    const commission_node_t *its = &self->nodes[node];
    mm_network_t wanted = from->network;
    wanted.revision++;
    wanted.router = its->trial;
    return its->has_trial && !its->trial_is_wrong && self->devices[node].sessions > its->trial_sessions &&
           from->has_network && is_same_network(&wanted, &to->network);
}

// Any network that somebody has handed over, or a router has made.
static bool is_known_network(const commission_t *self, const mm_network_t *network) {
    mm_network_t known = commission_network(network->revision);
    bool found = is_same_network(&known, network);
    for (size_t i = 0; i < self->proved_count && !found; i++) {
        found = is_same_network(&self->proved[i], network);
    }
    return found;
}

static bool may_have_network(const commission_t *self, int node, const permit_t *permit, const mm_configuration_t *from,
                             const mm_configuration_t *to) {
    if (from->has_network == to->has_network && (!to->has_network || is_same_network(&from->network, &to->network))) {
        return true;
    }
    if (!to->has_network) {
        return permit->reset;
    }
    bool given = permit->network_given && is_same_network(&permit->network, &to->network);
    bool joined = self->nodes[node].admitted && is_known_network(self, &to->network);
    return (given || joined || is_proved_router(self, node, from, to)) &&
           (!from->has_network || to->network.revision > from->network.revision);
}

static bool is_installed_anew(const mm_configuration_t *from, const mm_configuration_t *to) {
    return to->has_installation &&
           (!from->has_installation || to->installation.revision != from->installation.revision ||
            !is_same_installation(&from->installation, &to->installation));
}

static bool may_have_installation(const permit_t *permit, const mm_configuration_t *from,
                                  const mm_configuration_t *to) {
    if (!is_installed_anew(from, to)) {
        return from->has_installation == to->has_installation;
    }
    return permit->install && is_same_installation(&permit->installation, &to->installation) &&
           (!from->has_installation || to->installation.revision > from->installation.revision);
}

static bool may_have_state(commission_t *self, int node, const permit_t *permit, const mm_configuration_t *from,
                           const mm_configuration_t *to) {
    mm_life_state_t before = lasting_state(from);
    mm_life_state_t after = lasting_state(to);
    if (is_installed_anew(from, to)) {
        return before != MM_LIFE_PARKED && after == MM_LIFE_AWAITING;
    }
    if (before == after) {
        return true;
    }
    if (after == MM_LIFE_PARKED) {
        return permit->reset && !to->has_network;
    }
    if (before == MM_LIFE_PARKED) {
        return after == MM_LIFE_PROVISIONED && to->has_network;
    }
    if (before == MM_LIFE_AWAITING && after == MM_LIFE_RUNNING) {
        return spend_order(self, node, MM_COMMAND_CONFIRM, to->installation.revision);
    }
    return before == MM_LIFE_RUNNING && after == MM_LIFE_AWAITING && spend_order(self, node, MM_COMMAND_REINSTALL, 0);
}

static bool is_legal(commission_t *self, int node, const permit_t *permit, const mm_configuration_t *from,
                     const mm_configuration_t *to) {
    return may_have_network(self, node, permit, from, to) && may_have_installation(permit, from, to) &&
           (from->challenge_lock_outs == to->challenge_lock_outs || permit->count) &&
           may_have_state(self, node, permit, from, to);
}

static void note_router(commission_t *self, int node, const mm_network_t *network) {
    self->proved = realloc(self->proved, (self->proved_count + 1) * sizeof *self->proved);
    MM_ASSERT(self->proved != NULL);
    self->proved[self->proved_count++] = *network;
    self->network_revision = network->revision > self->network_revision ? network->revision : self->network_revision;
    self->totals.routers++;
    mm_sim_probe(self->sim, MM_SIM_PROBE_ROUTER_PROVED, node);
}

static bool is_confirmed(const commission_node_t *its, uint8_t channel) {
    return its->confirmed[channel].meter.id[0] != '\0';
}

// One ask may bring both: then the node waits before it and after it, and in between it was confirmed.
static bool is_confirmed_and_asked_again(commission_t *self, int node, const mm_configuration_t *from,
                                         const mm_configuration_t *to) {
    return lasting_state(from) == MM_LIFE_AWAITING && lasting_state(to) == MM_LIFE_AWAITING &&
           !is_installed_anew(from, to) && from->confirmed_channels != to->confirmed_channels &&
           spend_order(self, node, MM_COMMAND_CONFIRM, to->installation.revision) &&
           spend_order(self, node, MM_COMMAND_REINSTALL, 0);
}

// Who may have supply is known here by what people and HQ have done, not by what the node keeps of it.
static void note_confirmed(commission_t *self, int node, const mm_configuration_t *from, const mm_configuration_t *to) {
    commission_node_t *its = &self->nodes[node];
    bool is_now = (lasting_state(from) == MM_LIFE_AWAITING && lasting_state(to) == MM_LIFE_RUNNING) ||
                  is_confirmed_and_asked_again(self, node, from, to);
    bool is_reset = lasting_state(from) != MM_LIFE_PARKED && lasting_state(to) == MM_LIFE_PARKED;
    bool is_kept = false;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_channel_setup_t *present = &to->installation.channels[channel];
        if (is_now) {
            its->confirmed[channel] = *present;
        } else if (is_reset || !is_same_for_hq(&its->confirmed[channel], present)) {
            its->confirmed[channel].meter.id[0] = '\0';
        }
        is_kept = is_kept || is_confirmed(its, channel);
    }
    if (is_kept && is_installed_anew(from, to)) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_SUPPLY_KEPT, node);
    }
}

static void note_change(commission_t *self, int node, const mm_configuration_t *from, const mm_configuration_t *to) {
    commission_node_t *its = &self->nodes[node];
    if (is_installed_anew(from, to)) {
        its->entered = realloc(its->entered, (its->entered_count + 1) * sizeof *its->entered);
        MM_ASSERT(its->entered != NULL);
        entered_t entered = {.installation = to->installation};
        if (its->told_early == to->installation.revision) {
            entered.told_checksum = its->told_early_checksum;
        }
        its->entered[its->entered_count++] = entered;
        self->totals.installations++;
        if (lasting_state(from) == MM_LIFE_RUNNING) {
            mm_sim_probe(self->sim, MM_SIM_PROBE_INSTALLED_AGAIN, node);
        }
    }
    note_confirmed(self, node, from, to);
    bool is_given = its->permit.network_given && is_same_network(&its->permit.network, &to->network);
    bool is_newer = to->has_network && (!from->has_network || to->network.revision > from->network.revision);
    if (is_newer && is_proved_router(self, node, from, to)) {
        note_router(self, node, &to->network);
    } else if (is_newer && !is_given && its->doubt_count == 0) {
        self->totals.joins++;
        mm_sim_probe(self->sim, from->has_network ? MM_SIM_PROBE_JOINED_REVISION : MM_SIM_PROBE_JOINED, node);
    }
    if (from->has_network && !to->has_network) {
        self->totals.resets++;
        mm_sim_probe(self->sim, MM_SIM_PROBE_NODE_RESET, node);
    }
    if (lasting_state(from) == MM_LIFE_AWAITING && lasting_state(to) == MM_LIFE_RUNNING) {
        self->totals.confirmed++;
    }
}

static void take_change(commission_t *self, int node, bool after_boot) {
    commission_node_t *its = &self->nodes[node];
    const mm_configuration_t *from = &its->last;
    const mm_configuration_t *to = &device_of(self, node)->node.setup.configuration;
    bool legal = is_legal(self, node, &its->permit, from, to);
    for (uint32_t i = 0; i < its->doubt_count && !legal && after_boot; i++) {
        legal = is_legal(self, node, &its->doubts[i], from, to);
    }
    if (!legal) {
        truth_fail(self->truth,
                   "node %d: configuration changed from %s (network %u, installation %u, lock-outs %u) to %s (%u, %u, "
                   "%u), and nobody with the right to it did that",
                   node, mm_life_state_name(lasting_state(from)), from->has_network ? from->network.revision : 0,
                   from->has_installation ? from->installation.revision : 0, from->challenge_lock_outs,
                   mm_life_state_name(lasting_state(to)), to->has_network ? to->network.revision : 0,
                   to->has_installation ? to->installation.revision : 0, to->challenge_lock_outs);
    }
    note_change(self, node, from, to);
    bool was_cut = after_boot && its->doubt_count > 0 && its->doubts[its->doubt_count - 1].install;
    if (was_cut && !is_installed_anew(from, to)) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_INSTALLATION_KEPT_OLD, node);
    }
    its->last = *to;
}

// --- after each call

static void check_session(commission_t *self, int node) {
    commission_node_t *its = &self->nodes[node];
    const device_t *device = device_of(self, node);
    const mm_setup_t *setup = &device->node.setup;
    if (setup->session != (setup->configuration.phase.state == MM_LIFE_CONFIGURING)) {
        truth_fail(self->truth, "node %d: session and state do not agree", node);
    }
    if (setup->session && !its->session) {
        truth_fail(self->truth, "node %d: a session that nobody began", node);
    }
    mm_us_t now = device_local_now(device);
    if (setup->session && now > its->session_good_at + SESSION_US) {
        truth_fail(self->truth, "node %d: a session without an end", node);
    }
    if (its->session && !setup->session && now >= its->session_good_at + SESSION_US) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_SESSION_EXPIRED, node);
    }
    if (its->session && !setup->session) {
        its->keeps_number = false;
        its->wrong = 0;
    }
    its->session = its->session && setup->session;
}

static void check_channel(commission_t *self, int node, uint8_t channel, bool after_boot) {
    commission_node_t *its = &self->nodes[node];
    const mm_node_t *core = &device_of(self, node)->node;
    const mm_control_t *control = &core->control;
    bool waits = (control->unconfirmed_channels >> channel & 1) != 0;
    bool is_on = (control->relay_set >> channel & 1) != 0 && (control->relay_closed >> channel & 1) != 0;
    bool is_cut = (control->credits[channel].relay_reasons & MM_RELAY_NOT_COMMISSIONED) != 0;
    bool has_meter = core->metering.options.meters[channel].id[0] != '\0';
    if (!after_boot && waits == is_confirmed(its, channel) &&
        its->last.installation.channels[channel].meter.id[0] != '\0') {
        truth_fail(self->truth, "node %d channel %u %s, and supply does not know it", node, channel,
                   waits ? "was confirmed by HQ" : "waits for HQ");
    }
    if (has_meter && is_on && !is_confirmed(its, channel)) {
        truth_fail(self->truth, "node %d channel %u: supply is on, and HQ has never confirmed its meter", node,
                   channel);
    }
    if (is_cut && !its->waited[channel] && is_confirmed(its, channel)) {
        truth_fail(self->truth, "node %d channel %u: supply is cut, and HQ has confirmed its meter", node, channel);
    }
    its->waited[channel] = is_cut;
}

static void check_supply(commission_t *self, int node, bool after_boot) {
    for (uint8_t channel = 0; channel < MM_CHANNELS && self->nodes[node].last.has_installation; channel++) {
        check_channel(self, node, channel, after_boot);
    }
}

// What was done in this call may yet turn out to be so: memory refused it, or the power failed.
static void doubt(commission_node_t *its) {
    const permit_t *permit = &its->permit;
    if (permit->install || permit->network_given || permit->reset || permit->count) {
        if (its->doubt_count == INSTALLER_DOUBTS) {
            memmove(&its->doubts[0], &its->doubts[1], (INSTALLER_DOUBTS - 1) * sizeof its->doubts[0]);
            its->doubt_count--;
        }
        its->doubts[its->doubt_count++] = its->permit;
    }
    its->permit = (permit_t){0};
}

// Before the change is judged: nothing of the trial is known to the node but what it was told.
static void follow_trial(commission_t *self, int node, bool after_boot) {
    commission_node_t *its = &self->nodes[node];
    const device_t *device = device_of(self, node);
    const mm_network_t *network = &device->node.setup.configuration.network;
    if (device->routers_kept > its->routers_kept && its->has_trial && !after_boot && its->last.has_network &&
        network->revision <= its->last.network.revision && strcmp(network->router.ssid, its->trial.ssid) != 0) {
        truth_fail(self->truth, "node %d keeps a router that was proved, and its network does not have it", node);
    }
    its->routers_kept = device->routers_kept;
}

// What is on trial after this call; a cut may come in the middle of the next one.
static void note_trial(commission_t *self, int node) {
    commission_node_t *its = &self->nodes[node];
    const device_t *device = device_of(self, node);
    its->has_trial = device->staged && device->node.control.acting_command_id == 0;
    its->trial_is_wrong = device->staged_wrong;
    its->trial_sessions = device->staged_sessions;
    its->trial = device->staged_router;
}

static void look(commission_t *self, int node, bool after_boot) {
    commission_node_t *its = &self->nodes[node];
    const device_t *device = device_of(self, node);
    const mm_setup_t *setup = &device->node.setup;
    self->totals.checks++;
    uint64_t flash_errors = device->node.counters.values[MM_COUNTER_FLASH_ERROR];
    if (setup->configuration.phase.state == MM_LIFE_FAULT) {
        its->fault = true; // it knows nothing, and is asked again when it does
        its->session = false;
        doubt(its);
        return;
    }
    if (its->fault) {
        its->fault = false;
        after_boot = true; // opened again
        mm_sim_probe(self->sim, MM_SIM_PROBE_SETUP_FAULT, node);
    }
    if (!its->known) {
        its->known = true;
        its->last = setup->configuration;
        if (lasting_state(&its->last) != MM_LIFE_PARKED || its->last.has_network || its->last.has_installation) {
            truth_fail(self->truth, "node %d is not parked when it comes out of the box", node);
        }
    }
    bool refused = flash_errors > its->flash_errors && !after_boot;
    if (refused && its->permit.install) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_INSTALLATION_REFUSED, node);
    }
    its->flash_errors = flash_errors;
    follow_trial(self, node, after_boot);
    take_change(self, node, after_boot);
    note_trial(self, node);
    if (after_boot) {
        its->doubt_count = 0;
    } else if (refused) {
        doubt(its);
    }
    its->permit = (permit_t){0};
    if (lasting_state(&its->last) != MM_LIFE_AWAITING) {
        its->awaiting_since = mm_sim_now(self->sim);
    }
}

void commission_on_boot(commission_t *self, int node) {
    commission_node_t *its = &self->nodes[node];
    const device_t *device = device_of(self, node);
    its->flash_errors = 0;
    doubt(its);
    its->session = false;
    its->last_nonce[0] = '\0';
    its->wrong = 0;
    its->keeps_number = false;
    its->number_at = -1;
    its->locked_until = 0;
    const mm_configuration_t *present = &device->node.setup.configuration;
    if (lasting_state(present) == MM_LIFE_AWAITING && present->has_installation &&
        device->node.control.installation_told < present->installation.revision) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_INSTALLATION_TORN, node);
    }
    look(self, node, true);
    if (!its->fault) {
        check_supply(self, node, true);
    }
}

void commission_on_settled(commission_t *self, int node) {
    look(self, node, false);
    if (!self->nodes[node].fault) {
        check_session(self, node);
        check_supply(self, node, false);
    }
    const device_t *device = device_of(self, node);
    if (device->kept_wrong) {
        truth_fail(self->truth, "node %d keeps a router that does not let it in", node);
    }
    if (device->fallbacks > 0) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_ROUTER_FELL_BACK, node);
    }
}

// --- codes

void commission_check_verdict(commission_t *self, int node, mm_code_verdict_t verdict, bool is_right, bool was_busy) {
    commission_node_t *its = &self->nodes[node];
    mm_us_t now = device_local_now(device_of(self, node));
    bool locked = now < its->locked_until;
    if (verdict == MM_CODE_GOOD || verdict == MM_CODE_STORAGE) {
        bool is_his = was_busy && its->keeps_number;
        bool stale = !is_his && (its->number_at < 0 || now >= its->number_at + MM_CHALLENGE_LIFE_S * MM_US_PER_S);
        if (!is_right || (was_busy && !is_his) || locked || stale) {
            truth_fail(self->truth, "node %d takes a code that is %s", node,
                       !is_right  ? "not that of its number"
                       : was_busy ? "typed while somebody else is at work"
                       : locked   ? "typed during a lock-out"
                                  : "too old");
        }
        its->lock_outs = 0;
        its->number_at = -1;
        its->keeps_number = verdict == MM_CODE_GOOD;
        self->totals.codes_good++;
        return;
    }
    self->totals.codes_refused++;
    if (verdict == MM_CODE_LOCKED_OUT && !was_busy) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_CODE_LOCKED_OUT, node);
    }
    if (verdict == MM_CODE_EXPIRED) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_CODE_EXPIRED, node);
        its->number_at = -1;
        its->wrong = 0;
    }
    if (verdict != MM_CODE_WRONG) {
        return;
    }
    if (locked) {
        truth_fail(self->truth, "node %d judges a code during a lock-out", node);
    }
    if (is_right && its->number_at >= 0) {
        truth_fail(self->truth, "node %d calls the code of its number wrong", node);
    }
    its->wrong++;
    if (its->wrong > MM_LOCK_OUT_TRIES) {
        truth_fail(self->truth, "node %d judges a code after %u wrong ones", node, its->wrong - 1);
    }
    if (its->wrong == MM_LOCK_OUT_TRIES) {
        its->wrong = 0;
        its->number_at = -1;
        its->keeps_number = false;
        uint32_t wait_s = MM_LOCK_OUT_FIRST_S;
        for (uint32_t i = 0; i < its->lock_outs && wait_s < MM_LOCK_OUT_MAX_S; i++) {
            wait_s *= 2;
        }
        its->lock_outs++;
        its->locked_until = now + wait_s * MM_US_PER_S;
    }
}

// --- what is told

static entered_t *find_entered(commission_t *self, int node, uint32_t revision) {
    commission_node_t *its = &self->nodes[node];
    for (size_t i = its->entered_count; i > 0; i--) {
        if (its->entered[i - 1].installation.revision == revision) {
            return &its->entered[i - 1];
        }
    }
    return NULL;
}

static bool is_told_as_entered(const mm_installation_record_t *told, const mm_installation_t *entered) {
    bool same = told->node_no == entered->node_no && told->province == entered->province &&
                told->canton == entered->canton && told->parish == entered->parish &&
                told->postal_code == entered->postal_code && strcmp(told->installer, entered->installer) == 0;
    for (uint8_t channel = 0; channel < MM_CHANNELS && same; channel++) {
        const mm_channel_setup_t *wanted = &entered->channels[channel];
        same = strcmp(told->channels[channel].id, wanted->meter.id) == 0 &&
               told->channels[channel].pulse_constant == wanted->meter.pulse_constant &&
               told->channels[channel].start_wh == wanted->meter.start_wh &&
               told->channels[channel].prepaid == wanted->prepaid;
    }
    return same;
}

void commission_on_record(commission_t *self, int node, const mm_record_t *record, uint32_t checksum) {
    if (record->type == MM_RECORD_RESULT && record->result.kind == MM_COMMAND_CONFIRM &&
        record->result.status == MM_RESULT_STATE) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_CONFIRM_REFUSED, node);
    }
    if (record->type != MM_RECORD_INSTALLATION) {
        return;
    }
    const mm_installation_record_t *told = &record->installation;
    // A start may see the record before the configuration that it belongs to.
    const mm_installation_t *present = &device_of(self, node)->node.setup.configuration.installation;
    entered_t *entered = find_entered(self, node, told->revision);
    if (!is_told_as_entered(told, entered != NULL ? &entered->installation : present)) {
        truth_fail(self->truth, "node %d tells installation %u otherwise than it was entered", node, told->revision);
    }
    if (told->repeated) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_INSTALLATION_REPEATED, node);
        return;
    }
    if (entered != NULL && entered->told_checksum != 0 && entered->told_checksum != checksum) {
        truth_fail(self->truth, "node %d tells installation %u twice", node, told->revision);
    }
    if (entered != NULL) {
        entered->told_checksum = checksum;
    } else {
        self->nodes[node].told_early = told->revision;
        self->nodes[node].told_early_checksum = checksum;
    }
}

void commission_on_hq_record(commission_t *self, int node, const mm_record_t *record, uint32_t checksum) {
    const mm_installation_record_t *told = &record->installation;
    entered_t *entered = find_entered(self, node, told->revision);
    if (entered == NULL || !is_told_as_entered(told, &entered->installation)) {
        truth_fail(self->truth, "HQ has installation %u of node %d, which nobody entered so", told->revision, node);
        return;
    }
    if (told->repeated) {
        return;
    }
    if (entered->hq_checksum != 0 && entered->hq_checksum != checksum) {
        truth_fail(self->truth, "HQ has installation %u of node %d twice", told->revision, node);
    }
    entered->hq_checksum = checksum;
}

void commission_compare(commission_t *self) {
    for (int node = 0; node < self->node_count; node++) {
        const commission_node_t *its = &self->nodes[node];
        for (size_t i = 0; i < its->entered_count; i++) {
            const entered_t *entered = &its->entered[i];
            bool is_last = i + 1 == its->entered_count;
            if (is_last ? entered->told_checksum == 0 : false) {
                truth_fail(self->truth, "node %d never told installation %u", node, entered->installation.revision);
            }
            if (entered->told_checksum != entered->hq_checksum) {
                truth_fail(self->truth, "HQ does not have installation %u of node %d as it was told",
                           entered->installation.revision, node);
            }
        }
        if (lasting_state(&its->last) != MM_LIFE_RUNNING) {
            truth_fail(self->truth, "node %d is %s in the end", node, mm_life_state_name(lasting_state(&its->last)));
        }
    }
}
