// SPDX-License-Identifier: Apache-2.0
#include "simulator/installer.h"

#include <stdlib.h>
#include <string.h>

#include "meshmeter/crc32.h"

#define MINUTE_US (60 * MM_US_PER_S)
#define FINISH_US (2 * MINUTE_US)
#define HOST "192.168.4.1"
#define TEXT_BYTES 40

// Steps of a visit.
enum {
    STEP_NONE = 0,
    STEP_READ_NUMBER,
    STEP_TYPE_CODE,
    STEP_ENTER,
    STEP_SEND_AGAIN
};

static mm_http_answer_t s_answer;

static uint32_t draw(commission_t *self, uint32_t bound) {
    return mm_random_below(&self->random, bound);
}

static bool has_chance(commission_t *self, uint32_t percent) {
    return draw(self, 100) < percent;
}

static mm_us_t local_now(const commission_t *self, int node) {
    return device_local_now(&self->devices[node]);
}

// --- the page

// The text behind a name in an answer; false: there is none.
static bool find_text(const char *name, char *text, size_t capacity_bytes) {
    char head[TEXT_BYTES];
    snprintf(head, sizeof head, "\"%s\":", name);
    const char *found = strstr(s_answer.body, head);
    if (found == NULL) {
        return false;
    }
    found += strlen(head);
    bool quoted = *found == '"';
    found += quoted ? 1 : 0;
    size_t length = strcspn(found, quoted ? "\"" : ",}");
    if (length >= capacity_bytes) {
        return false;
    }
    memcpy(text, found, length);
    text[length] = '\0';
    return true;
}

// What the checker knows of the session is what the node has answered, whether or not somebody saw it.
static void follow_session(commission_t *self, int node) {
    commission_node_t *its = &self->nodes[node];
    char nonce[TEXT_BYTES * 2] = "";
    (void)find_text("nonce", nonce, sizeof nonce);
    snprintf(its->nonce, sizeof its->nonce, "%.32s", nonce);
}

// True: somebody saw s_answer.
static bool ask(commission_t *self, int node, mm_http_method_t method, const char *path, const char *nonce,
                const char *body) {
    const mm_http_request_t request = {.method = method,
                                       .path = path,
                                       .nonce = nonce,
                                       .host = HOST,
                                       .body = body,
                                       .body_bytes = body != NULL ? strlen(body) : 0};
    bool seen = device_ask_page(&self->devices[node], &request, &s_answer);
    if (seen) {
        mm_sim_note(self->sim, node, path, s_answer.status, strlen(s_answer.body));
    }
    return seen;
}

static bool look_at_state(commission_t *self, int node, char *phase, size_t capacity_bytes) {
    commission_node_t *its = &self->nodes[node];
    char text[TEXT_BYTES];
    if (!ask(self, node, MM_HTTP_GET, "/api/state", NULL, NULL) || !find_text("phase", phase, capacity_bytes)) {
        return false;
    }
    if (find_text("number", text, sizeof text)) {
        uint32_t number = (uint32_t)strtoul(text, NULL, 10);
        if (its->number_at < 0 || number != its->number) {
            its->number = number;
            its->number_at = local_now(self, node);
            its->wrong = 0;
        }
    }
    return true;
}

// --- codes

// What HQ reads to somebody who says this number and this node.
static void phone(commission_t *self, int key_of, int node, uint32_t number, char *code) {
    const mm_challenge_options_t options = {.method = NULL, .mac = mm_sim_mesh_mac(node)};
    MM_ASSERT(mm_challenge_code(&options, &self->devices[key_of].crypto.crypto, number, code) == MM_OK);
}

static bool is_right_code(commission_t *self, int node, const char *code) {
    char right[MM_CHALLENGE_CODE_CHARS + 1];
    phone(self, node, node, self->nodes[node].number, right);
    return strcmp(code, right) == 0;
}

static mm_code_verdict_t verdict_in_answer(void) {
    char name[TEXT_BYTES] = "";
    (void)find_text("verdict", name, sizeof name);
    for (int verdict = MM_CODE_GOOD; verdict <= MM_CODE_STORAGE; verdict++) {
        if (strcmp(name, mm_code_verdict_name((mm_code_verdict_t)verdict)) == 0) {
            return (mm_code_verdict_t)verdict;
        }
    }
    return MM_CODE_LOCKED_OUT; // busy
}

static mm_code_verdict_t type_code(commission_t *self, int node, const char *code) {
    commission_node_t *its = &self->nodes[node];
    char body[TEXT_BYTES];
    snprintf(body, sizeof body, "code=%s", code);
    bool is_right = is_right_code(self, node, code);
    bool was_busy = its->session;
    bool is_judged = was_busy && its->keeps_number && local_now(self, node) >= its->locked_until;
    its->permit = (permit_t){.count = true};
    if (is_right && (!was_busy || is_judged)) {
        its->session = true;
        its->session_good_at = local_now(self, node);
    }
    if (!ask(self, node, MM_HTTP_POST, "/api/code", NULL, body)) {
        return MM_CODE_STATE;
    }
    mm_code_verdict_t verdict = verdict_in_answer();
    if (strstr(s_answer.body, "\"busy\"") != NULL) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_INSTALLERS_TWO, node);
        was_busy = true;
        verdict = is_judged && !is_right ? MM_CODE_WRONG : verdict; // it counts
    } else if (was_busy && !its->session) {
        was_busy = false; // it had just ended
    }
    if (verdict == MM_CODE_NO_KEY && self->devices[node].entropy_fails && is_right) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_CODE_WITHOUT_ENTROPY, node);
        its->number_at = -1; // used up
        its->lock_outs = 0;
    } else {
        commission_check_verdict(self, node, verdict, is_right, was_busy);
    }
    if (verdict == MM_CODE_GOOD) {
        follow_session(self, node);
        memcpy(its->old_codes[draw(self, INSTALLER_CODES)], code, MM_CHALLENGE_CODE_CHARS + 1);
    }
    return verdict;
}

static void type_false_codes(commission_t *self, int node) {
    commission_node_t *its = &self->nodes[node];
    char phase[TEXT_BYTES];
    uint32_t times = 1 + draw(self, 9);
    for (uint32_t i = 0; i < times && look_at_state(self, node, phase, sizeof phase); i++) {
        char code[MM_CHALLENGE_CODE_CHARS + 1];
        uint32_t manner = draw(self, 4);
        if (manner == 0) { // of another node, which HQ has given for the same number
            int other = (node + 1) % self->node_count;
            phone(self, other, other, its->number, code);
        } else if (manner == 1 && its->old_codes[0][0] != '\0') {
            memcpy(code, its->old_codes[0], sizeof code);
        } else {
            snprintf(code, sizeof code, "%08x", mm_random_u32(&self->random));
        }
        mm_code_verdict_t verdict = type_code(self, node, code);
        if (manner < 2 && verdict == MM_CODE_WRONG) {
            mm_sim_probe(self->sim, MM_SIM_PROBE_CODE_FOREIGN, node);
        }
    }
}

// --- what is entered

static const mm_installation_t *entered_last(const commission_node_t *its) {
    return its->entered_count > 0 ? &its->entered[its->entered_count - 1].installation : NULL;
}

static bool is_same_meter(const mm_meter_config_t *left, const mm_meter_config_t *right) {
    return strcmp(left->id, right->id) == 0 && left->pulse_constant == right->pulse_constant &&
           left->start_wh == right->start_wh;
}

// Whether a good page refuses it: a meter that has consumed stays what it is.
static bool is_refused(const commission_t *self, int node, const mm_installation_t *wanted) {
    bool any = false;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_meter_config_t *meter = &self->devices[node].node.metering.options.meters[channel];
        bool consumed = self->truth->devices[node].life[channel] > 0;
        any = any || wanted->channels[channel].meter.id[0] != '\0';
        if (consumed && !is_same_meter(meter, &wanted->channels[channel].meter)) {
            return true;
        }
    }
    return !any;
}

static void draw_channel(commission_t *self, int node, uint8_t channel, mm_channel_setup_t *wanted) {
    *wanted = (mm_channel_setup_t){0};
    if (has_chance(self, 30)) {
        return;
    }
    snprintf(wanted->meter.id, sizeof wanted->meter.id, "M%02d-%u-%u", node, channel, draw(self, 3));
    wanted->meter.pulse_constant = has_chance(self, 50) ? 1000 : 800;
    wanted->meter.start_wh = draw(self, 4) * 1000;
    wanted->prepaid = has_chance(self, 25);
    if (wanted->prepaid) {
        wanted->limits.warning_wh = draw(self, 3) * 1000;
    }
}

static void swap_meters(commission_t *self, int node, mm_installation_t *wanted) {
    uint8_t free[MM_CHANNELS];
    uint32_t free_count = 0;
    bool any = has_chance(self, 30); // or only those that may be swapped
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (any || self->truth->devices[node].life[channel] == 0) {
            free[free_count++] = channel;
        }
    }
    if (free_count < 2) {
        return;
    }
    uint8_t left = free[draw(self, free_count)];
    uint8_t right = free[draw(self, free_count)];
    mm_channel_setup_t kept = wanted->channels[left];
    wanted->channels[left] = wanted->channels[right];
    wanted->channels[right] = kept;
    if (left != right && kept.meter.id[0] != '\0' && !is_refused(self, node, wanted)) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_METERS_SWAPPED, node);
    }
}

// Careful: what has consumed is left as it is. Otherwise the page must say so.
static void draw_installation(commission_t *self, int node, bool careful, mm_installation_t *wanted) {
    static const char *const names[] = {"Eva", "Ruth", "Luis Alberto", "Ana"};
    const mm_installation_t *before = entered_last(&self->nodes[node]);
    *wanted = (mm_installation_t){0};
    wanted->node_no = 1 + draw(self, 99999);
    wanted->province = (uint16_t)draw(self, 200);
    wanted->canton = (uint16_t)draw(self, 500);
    wanted->parish = (uint16_t)draw(self, 500);
    wanted->postal_code = draw(self, 9999999);
    snprintf(wanted->address, sizeof wanted->address, "Street %u", draw(self, 1000));
    snprintf(wanted->installer, sizeof wanted->installer, "%s", names[draw(self, 4)]);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_meter_config_t *meter = &self->devices[node].node.metering.options.meters[channel];
        bool consumed = self->truth->devices[node].life[channel] > 0;
        bool keep = consumed ? careful || has_chance(self, 70) : before != NULL && has_chance(self, 60);
        if (keep && (before != NULL || consumed)) {
            wanted->channels[channel] = before != NULL ? before->channels[channel] : (mm_channel_setup_t){0};
            wanted->channels[channel].meter = *meter;
            if (meter->id[0] == '\0') {
                wanted->channels[channel] = (mm_channel_setup_t){0};
            }
        } else {
            draw_channel(self, node, channel, &wanted->channels[channel]);
        }
    }
    if (has_chance(self, careful ? 10 : 40)) {
        swap_meters(self, node, wanted);
    }
}

// No two meters have the same id.
static bool has_double(const mm_installation_t *wanted) {
    for (uint8_t left = 0; left < MM_CHANNELS; left++) {
        for (uint8_t right = (uint8_t)(left + 1); right < MM_CHANNELS; right++) {
            if (wanted->channels[left].meter.id[0] != '\0' &&
                strcmp(wanted->channels[left].meter.id, wanted->channels[right].meter.id) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void write_form(installer_t *person, const char *router) {
    const mm_installation_t *wanted = &person->wanted;
    char nonce[sizeof person->nonce];
    memcpy(nonce, person->nonce, sizeof nonce);
    int used = snprintf(person->form, sizeof person->form,
                        "nonce=%s&node_no=%u&province=%u&canton=%u&parish=%u&postal_code=%u&address=%s&installer=%s%s",
                        nonce, wanted->node_no, wanted->province, wanted->canton, wanted->parish, wanted->postal_code,
                        wanted->address, wanted->installer, router);
    for (unsigned channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_channel_setup_t *its = &wanted->channels[channel];
        if (its->meter.id[0] != '\0') {
            used += snprintf(person->form + used, sizeof person->form - (size_t)used,
                             "&meter_id_%u=%s&pulse_constant_%u=%u&start_wh_%u=%llu&prepaid_%u=%d&warning_wh_%u=%u",
                             channel + 1, its->meter.id, channel + 1, its->meter.pulse_constant, channel + 1,
                             (unsigned long long)its->meter.start_wh, channel + 1, its->prepaid, channel + 1,
                             its->limits.warning_wh);
        }
        MM_ASSERT(used > 0 && (size_t)used < sizeof person->form);
    }
    for (char *blank = person->form; *blank != '\0'; blank++) {
        *blank = *blank == ' ' ? '+' : *blank;
    }
}

// --- a visit

typedef struct {
    int node;
    int person;
    uint64_t visit_no;
} step_t;

static void run_step(void *context, const void *payload, size_t payload_bytes);

static void step_later(commission_t *self, int node, int person, int step, mm_us_t after_us) {
    installer_t *installer = &self->nodes[node].people[person];
    installer->step = step;
    const step_t next = {node, person, installer->visit_no};
    mm_sim_queue_add(self->sim->queue, mm_sim_now(self->sim) + after_us, run_step, self, &next, sizeof next);
}

static void go_away(commission_t *self, int node, int person) {
    self->nodes[node].people[person].step = STEP_NONE;
}

static void begin_visit(commission_t *self, int node, int person, bool good) {
    installer_t *installer = &self->nodes[node].people[person];
    *installer = (installer_t){.visit_no = ++self->visits, .good = good};
    step_later(self, node, person, STEP_READ_NUMBER, MM_US_PER_S);
}

static mm_us_t draw_phone_us(commission_t *self) {
    if (!self->finishing && has_chance(self, 8)) {
        return (mm_us_t)(MM_CHALLENGE_LIFE_S + draw(self, 120)) * MM_US_PER_S; // HQ's line was busy
    }
    return (mm_us_t)(20 + draw(self, 100)) * MM_US_PER_S;
}

static void read_number(commission_t *self, int node, int person) {
    installer_t *installer = &self->nodes[node].people[person];
    char phase[TEXT_BYTES];
    if (!look_at_state(self, node, phase, sizeof phase) || strcmp(phase, "parked") == 0) {
        go_away(self, node, person);
        return;
    }
    phone(self, node, node, self->nodes[node].number, installer->code);
    if (strcmp(phase, "configuring") == 0) { // no number is shown; whatever he has is not this session's
        snprintf(installer->code, sizeof installer->code, "%08x", mm_random_u32(&self->random));
    }
    installer->reset = !self->finishing && has_chance(self, 6);
    step_later(self, node, person, STEP_TYPE_CODE, draw_phone_us(self));
}

static void reset_node(commission_t *self, int node, const char *code) {
    commission_node_t *its = &self->nodes[node];
    bool is_right = is_right_code(self, node, code);
    bool was_busy = its->session;
    mm_code_verdict_t verdict = MM_CODE_STATE;
    its->permit = (permit_t){.count = true, .reset = is_right && !was_busy};
    if (device_reset(&self->devices[node], code, &verdict)) {
        commission_check_verdict(self, node, verdict, is_right, was_busy && verdict == MM_CODE_LOCKED_OUT);
    }
}

static void enter_with_code(commission_t *self, int node, int person) {
    installer_t *installer = &self->nodes[node].people[person];
    if (installer->reset) {
        reset_node(self, node, installer->code);
        go_away(self, node, person);
        return;
    }
    if (type_code(self, node, installer->code) != MM_CODE_GOOD) {
        go_away(self, node, person);
        return;
    }
    memcpy(installer->nonce, self->nodes[node].nonce, sizeof installer->nonce);
    installer->stays_away = !self->finishing && has_chance(self, 12);
    if (installer->stays_away) {
        go_away(self, node, person); // and the session ends by itself
        return;
    }
    step_later(self, node, person, STEP_ENTER, (mm_us_t)(5 + draw(self, 200)) * MM_US_PER_S);
}

static uint32_t checksum_of(const char *path, const char *body) {
    uint32_t checksum = mm_crc32(0, path, strlen(path) + 1);
    return body != NULL ? mm_crc32(checksum, body, strlen(body)) : checksum;
}

// A request with the right of a session, or without it: what the node may do follows from the nonce alone. The last one
// with right, sent again, gets its answer again - if the node has not started since - and changes nothing.
static bool ask_in_session(commission_t *self, int node, installer_t *installer, mm_http_method_t method,
                           const char *path, const char *body) {
    commission_node_t *its = &self->nodes[node];
    bool has_right = its->session && its->nonce[0] != '\0' && strcmp(its->nonce, installer->nonce) == 0;
    mm_us_t until = its->session_good_at + MM_SETUP_SESSION_S * MM_US_PER_S;
    bool in_time = local_now(self, node) < until;
    uint32_t checksum = checksum_of(path, body);
    bool is_again = !has_right && its->last_nonce[0] != '\0' && strcmp(its->last_nonce, installer->nonce) == 0 &&
                    its->last_checksum == checksum;
    if (has_right && in_time) {
        its->session_good_at = local_now(self, node);
        memcpy(its->last_nonce, installer->nonce, sizeof its->last_nonce);
        its->last_checksum = checksum;
        s_answer.status = 0;
    } else {
        its->permit = (permit_t){0};
    }
    if (!ask(self, node, method, path, method == MM_HTTP_GET ? installer->nonce : NULL, body)) {
        return false;
    }
    its->last_status = has_right && in_time ? s_answer.status : its->last_status;
    is_again = is_again && s_answer.status == its->last_status; // another session may have begun since
    if (is_again) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_ANSWER_LOST, node);
    } else if ((!has_right || !in_time) && s_answer.status != 403) {
        truth_fail(self->truth, "node %d answers %u to a request without right", node, s_answer.status);
    }
    if (has_right && in_time && s_answer.status == 403 && !self->devices[node].entropy_fails) {
        truth_fail(self->truth, "node %d refuses a request with right", node);
    }
    self->totals.requests_refused += s_answer.status == 403 ? 1 : 0;
    if (has_right || is_again) {
        follow_session(self, node);
        if (its->session && strcmp(its->nonce, installer->nonce) == 0) {
            truth_fail(self->truth, "node %d: a nonce is good for another request", node);
        }
    }
    return true;
}

static void send_form(commission_t *self, int node, int person) {
    commission_node_t *its = &self->nodes[node];
    installer_t *installer = &its->people[person];
    bool refused = is_refused(self, node, &installer->wanted) || has_double(&installer->wanted);
    bool installs = !refused && installer->good;
    its->permit = (permit_t){.install = installs, .installation = installer->wanted};
    bool seen = ask_in_session(self, node, installer, MM_HTTP_POST, "/api/configuration", installer->form);
    if (seen && s_answer.status == 422) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_FIELDS_REFUSED, node);
        self->totals.fields_refused++;
        if (installs) {
            truth_fail(self->truth, "node %d refuses fields that are good: %.120s", node, s_answer.body);
        }
    }
    if (seen && s_answer.status == 200 && !installs) {
        truth_fail(self->truth, "node %d takes fields that are wrong", node);
    }
    bool is_lost = !self->finishing && has_chance(self, 20);
    if (!seen || is_lost) {
        step_later(self, node, person, STEP_SEND_AGAIN, (mm_us_t)(5 + draw(self, 60)) * MM_US_PER_S);
        return;
    }
    memcpy(installer->nonce, its->nonce, sizeof installer->nonce);
    bool again = s_answer.status == 422 || s_answer.status == 503;
    if (again && its->session) {
        step_later(self, node, person, STEP_ENTER, (mm_us_t)(10 + draw(self, 60)) * MM_US_PER_S);
    } else {
        go_away(self, node, person);
    }
}

static void enter(commission_t *self, int node, int person) {
    installer_t *installer = &self->nodes[node].people[person];
    bool careful = self->finishing || has_chance(self, 60);
    if (!self->finishing && has_chance(self, 10)) {
        char body[TEXT_BYTES * 2];
        snprintf(body, sizeof body, "nonce=%s", installer->nonce);
        if (ask_in_session(self, node, installer, MM_HTTP_POST, "/api/cancel", body) && s_answer.status == 200) {
            mm_sim_probe(self->sim, MM_SIM_PROBE_SESSION_CANCELLED, node);
        }
        go_away(self, node, person);
        return;
    }
    if (!self->finishing && has_chance(self, 10) && type_code(self, node, installer->code) == MM_CODE_GOOD) {
        memcpy(installer->nonce, self->nodes[node].nonce, sizeof installer->nonce); // in another page
    }
    if (has_chance(self, 50) && ask_in_session(self, node, installer, MM_HTTP_GET, "/api/configuration", NULL)) {
        memcpy(installer->nonce, self->nodes[node].nonce, sizeof installer->nonce);
    }
    draw_installation(self, node, careful, &installer->wanted);
    installer->good = careful || has_chance(self, 70);
    if (!installer->good) {
        installer->wanted.node_no = MM_NODE_NO_MAX + 1 + draw(self, 1000);
    }
    const char *router = "";
    if (!self->finishing && has_chance(self, 15)) {
        router = has_chance(self, 60) ? "&router_name=other&router_password=" DEVICE_WRONG_PASSWORD "-password"
                                      : "&router_name=other&router_password=right-password";
    }
    write_form(installer, router);
    send_form(self, node, person);
}

// The answer was lost: the phone sends the same once more, which must not count; if the session goes on, so does he.
static void send_again(commission_t *self, int node, int person) {
    commission_node_t *its = &self->nodes[node];
    installer_t *installer = &its->people[person];
    bool seen = ask_in_session(self, node, installer, MM_HTTP_POST, "/api/configuration", installer->form);
    if (seen && (s_answer.status == 422 || s_answer.status == 503) && its->session) {
        memcpy(installer->nonce, its->nonce, sizeof installer->nonce);
        step_later(self, node, person, STEP_ENTER, (mm_us_t)(10 + draw(self, 60)) * MM_US_PER_S);
        return;
    }
    go_away(self, node, person);
}

static void run_step(void *context, const void *payload, size_t payload_bytes) {
    commission_t *self = context;
    step_t step;
    MM_ASSERT(payload_bytes == sizeof step);
    memcpy(&step, payload, sizeof step);
    installer_t *installer = &self->nodes[step.node].people[step.person];
    if (installer->visit_no != step.visit_no) {
        return;
    }
    if (!self->devices[step.node].alive) {
        go_away(self, step.node, step.person);
        return;
    }
    static void (*const steps[])(commission_t *, int, int) = {[STEP_NONE] = go_away,
                                                              [STEP_READ_NUMBER] = read_number,
                                                              [STEP_TYPE_CODE] = enter_with_code,
                                                              [STEP_ENTER] = enter,
                                                              [STEP_SEND_AGAIN] = send_again};
    steps[installer->step](self, step.node, step.person);
}

// --- the network

mm_network_t commission_network(uint32_t revision) {
    mm_network_t network = {.revision = revision, .site = "house", .router.ssid = "building"};
    snprintf(network.router.password, sizeof network.router.password, "password-%u", revision);
    memset(network.mesh_key, (int)(revision & 0xFF), sizeof network.mesh_key);
    return network;
}

// What is handed over: of a revision that a router has made already, that.
static mm_network_t known_network(const commission_t *self, uint32_t revision) {
    for (size_t i = 0; i < self->proved_count; i++) {
        if (self->proved[i].revision == revision) {
            return self->proved[i];
        }
    }
    return commission_network(revision);
}

static void hand_over_revision(commission_t *self, int node, uint32_t revision);

static void hand_over(commission_t *self, int node, bool older) {
    commission_node_t *its = &self->nodes[node];
    // A node out of the box gets what the others have; what is changed is changed for all of them.
    uint32_t revision = self->network_revision;
    if (revision == 0 || its->last.has_network) {
        revision++;
    }
    if (older && its->last.has_network && its->last.network.revision > 1) {
        revision = its->last.network.revision - draw(self, 2);
    }
    hand_over_revision(self, node, revision);
}

static void hand_over_revision(commission_t *self, int node, uint32_t revision) {
    commission_node_t *its = &self->nodes[node];
    self->network_revision = revision > self->network_revision ? revision : self->network_revision;
    mm_network_t network = known_network(self, revision);
    its->permit = (permit_t){.network_given = true, .network = network};
    mm_err_t err = MM_OK;
    if (!device_take_network(&self->devices[node], &network, &err)) {
        return;
    }
    mm_sim_note(self->sim, node, "network", network.revision, (uint64_t)err);
    if (err == MM_OK) {
        self->totals.networks++;
    }
    if (err == MM_ERR_STATE) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_NETWORK_REFUSED, node);
    }
}

// --- what comes without right

static void send_rubbish(commission_t *self, int node) {
    static const char *const bodies[] = {"nonce=00000000000000000000000000000000&node_no=1&installer=Mallory",
                                         "node_no=7&meter_id_1=X&pulse_constant_1=1000", "nonce=&code=", "%%%"};
    const char *body = bodies[draw(self, 4)];
    static const char *const paths[] = {"/api/configuration", "/api/cancel", "/api/code", "/api/token", "/api/reset"};
    const char *path = paths[draw(self, 5)];
    if (strcmp(path, "/api/code") != 0 && ask(self, node, MM_HTTP_POST, path, NULL, body) && s_answer.status == 200) {
        truth_fail(self->truth, "node %d answers 200 to rubbish at %s", node, path);
    }
}

static void act(commission_t *self, int node) {
    commission_node_t *its = &self->nodes[node];
    if (!self->devices[node].alive) {
        return;
    }
    if (!its->last.has_network) {
        if (self->network_revision == 0 || has_chance(self, 5)) {
            hand_over(self, node, false); // the others may get it from the mesh
        }
        return;
    }
    int person = its->people[0].step == STEP_NONE ? 0 : 1;
    uint32_t what = draw(self, 100);
    if (what < 12) {
        type_false_codes(self, node);
    } else if (what < 16) {
        hand_over(self, node, has_chance(self, 70));
    } else if (what < 30) {
        send_rubbish(self, node);
    } else if (what < 36 && its->entered_count > 0) {
        mm_command_body_t body = {.confirm = {.revision = 1 + draw(self, 6)}};
        (void)sales_order(self->sales, node, MM_COMMAND_WHOLE_NODE, MM_COMMAND_CONFIRM, &body);
    } else if (what < 42 && its->entered_count > 0) {
        (void)sales_order(self->sales, node, MM_COMMAND_WHOLE_NODE, MM_COMMAND_REINSTALL, NULL);
    } else if (its->people[person].step == STEP_NONE) {
        begin_visit(self, node, person, true);
        if (has_chance(self, 20) && its->people[1].step == STEP_NONE) {
            begin_visit(self, node, 1, true);
        }
    }
}

// --- headquarters

static void confirm_later(void *context, const void *payload, size_t payload_bytes) {
    commission_t *self = context;
    int node;
    MM_ASSERT(payload_bytes == sizeof node);
    memcpy(&node, payload, sizeof node);
    commission_node_t *its = &self->nodes[node];
    mm_command_body_t body = {.confirm = {.revision = its->confirm_revision}};
    its->confirm_order = sales_order(self->sales, node, MM_COMMAND_WHOLE_NODE, MM_COMMAND_CONFIRM, &body);
    its->confirm_due = false;
}

// HQ admits whose key it has, and who proves to have that key. The last node's key it has not.
static void admit(commission_t *self, int root, const mm_join_record_t *join) {
    int asker = join->asker.bytes[5] - 1;
    if (asker < 0 || asker >= self->node_count || !mm_join_is_proved(join, &self->devices[asker].crypto.crypto)) {
        return;
    }
    if (asker == self->node_count - 1) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_JOIN_NOT_ADMITTED, asker);
        return;
    }
    mm_command_body_t body = {0};
    MM_ASSERT(mm_join_admit_body(join, &self->devices[asker].crypto.crypto, &self->devices[root].crypto.crypto,
                                 &body.admit) == MM_OK);
    self->nodes[asker].admitted = true;
    self->totals.admitted++;
    (void)sales_order(self->sales, root, MM_COMMAND_WHOLE_NODE, MM_COMMAND_ADMIT, &body);
}

static void on_hq_record(void *context, int node, const mm_record_t *record, uint32_t checksum) {
    commission_t *self = context;
    commission_node_t *its = &self->nodes[node];
    if (record->type == MM_RECORD_JOIN) {
        admit(self, node, &record->join);
        return;
    }
    commission_on_hq_record(self, node, record, checksum);
    if (checksum == its->hq_checksum || record->installation.revision < its->confirm_revision) {
        return; // it was sent again
    }
    its->hq_checksum = checksum;
    its->confirm_revision = record->installation.revision;
    if (!its->confirm_due && (self->finishing || has_chance(self, 75))) {
        its->confirm_due = true;
        mm_us_t after_us = MM_US_PER_S + (self->finishing ? 0 : (mm_us_t)draw(self, 240) * MINUTE_US);
        mm_sim_queue_add(self->sim->queue, mm_sim_now(self->sim) + after_us, confirm_later, self, &node, sizeof node);
    }
}

// An order to confirm that had no effect - the node was in fault, or memory refused - is given once more.
static void confirm_again(commission_t *self, int node) {
    commission_node_t *its = &self->nodes[node];
    const order_t *order = its->confirm_order > 0 ? &self->sales->orders[its->confirm_order - 1] : NULL;
    bool is_open = order != NULL && order->state != ORDER_ANSWERED;
    bool is_done = order != NULL && order->body.confirm.revision == its->confirm_revision &&
                   order->made_status == MM_RESULT_DONE && its->confirmed_checksum == its->hq_checksum;
    if (its->confirm_due || is_open || is_done || its->confirm_revision == 0) {
        return;
    }
    its->confirmed_checksum = its->hq_checksum;
    confirm_later(self, &node, sizeof node);
}

// --- life

static void act_again(void *context, const void *payload, size_t payload_bytes) {
    commission_t *self = context;
    int node;
    MM_ASSERT(payload_bytes == sizeof node);
    memcpy(&node, payload, sizeof node);
    if (!self->open) {
        return;
    }
    act(self, node);
    mm_us_t after_us = MM_US_PER_S + (mm_us_t)draw(self, 2 * 60 * self->minutes) * MM_US_PER_S;
    mm_sim_queue_add(self->sim->queue, mm_sim_now(self->sim) + after_us, act_again, self, &node, sizeof node);
}

static uint32_t newest_network(const commission_t *self) {
    uint32_t newest = 0;
    for (int node = 0; node < self->node_count; node++) {
        const mm_configuration_t *last = &self->nodes[node].last;
        newest = last->has_network && last->network.revision > newest ? last->network.revision : newest;
    }
    return newest;
}

// Whom the mesh cannot tell: its root, and the node whose key HQ lacks.
static bool needs_network_by_hand(const commission_t *self, int node) {
    const mm_configuration_t *last = &self->nodes[node].last;
    bool is_alone = node == self->node_count - 1 || self->devices[node].node.root.active;
    return !last->has_network || (is_alone && last->network.revision < newest_network(self));
}

static void finish_node(commission_t *self, int node) {
    commission_node_t *its = &self->nodes[node];
    if (!self->devices[node].alive || its->fault || its->people[0].step != STEP_NONE) {
        return;
    }
    uint32_t newest = newest_network(self);
    if (needs_network_by_hand(self, node)) {
        hand_over_revision(self, node, newest > 0 ? newest : 1);
    } else if (its->last.phase.state == MM_LIFE_PROVISIONED) {
        begin_visit(self, node, 0, true);
    } else if (its->last.phase.state == MM_LIFE_AWAITING) {
        confirm_again(self, node);
    }
}

static void finish_again(void *context, const void *payload, size_t payload_bytes) {
    commission_t *self = context;
    (void)payload;
    (void)payload_bytes;
    for (int node = 0; node < self->node_count; node++) {
        finish_node(self, node);
    }
    if (!commission_is_settled(self)) {
        mm_sim_queue_add(self->sim->queue, mm_sim_now(self->sim) + FINISH_US, finish_again, self, NULL, 0);
    }
}

bool commission_is_settled(const commission_t *self) {
    for (int node = 0; node < self->node_count; node++) {
        const mm_configuration_t *last = &self->nodes[node].last;
        if (last->phase.state != MM_LIFE_RUNNING || last->network.revision < newest_network(self)) {
            return false;
        }
    }
    return true;
}

void commission_init(commission_t *self, mm_sim_t *sim, truth_t *truth, sales_t *sales, device_t *devices,
                     int node_count, uint32_t minutes) {
    memset(self, 0, sizeof *self);
    self->sim = sim;
    self->truth = truth;
    self->sales = sales;
    self->devices = devices;
    self->node_count = node_count;
    self->minutes = minutes;
    self->random = mm_sim_random(sim, "installers", 0);
    sales->on_installation = on_hq_record;
    sales->context = self;
    for (int node = 0; node < node_count; node++) {
        self->nodes[node].number_at = -1;
    }
}

void commission_deinit(commission_t *self) {
    for (int node = 0; node < self->node_count; node++) {
        free(self->nodes[node].entered);
    }
    free(self->orders_spent);
    free(self->proved);
}

void commission_start(commission_t *self) {
    self->open = true;
    for (int node = 0; node < self->node_count; node++) {
        mm_us_t at = mm_sim_now(self->sim) + (mm_us_t)draw(self, 120) * MINUTE_US;
        mm_sim_queue_add(self->sim->queue, at, act_again, self, &node, sizeof node);
    }
}

void commission_finish(commission_t *self) {
    self->open = false;
    self->finishing = true;
    for (int node = 0; node < self->node_count; node++) {
        for (int person = 0; person < INSTALLER_COUNT; person++) {
            self->nodes[node].people[person].visit_no = 0;
            go_away(self, node, person);
        }
    }
    finish_again(self, NULL, 0);
}
