// SPDX-License-Identifier: Apache-2.0
#include "node_console.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The log's tail: what a person reads, not all of it.
#define LOG_BYTES 4096

typedef struct {
    const char *name;
    const char *help;
    void (*answer)(const node_console_t *self, mm_us_t now, mm_linux_answer_t *answer);
} line_t;

static void add_number(cJSON *object, const char *name, uint64_t number) {
    (void)cJSON_AddNumberToObject(object, name, (double)number);
}

static void add_mac(cJSON *object, const char *name, mm_mac_t mac) {
    char text[18];
    snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac.bytes[0], mac.bytes[1], mac.bytes[2], mac.bytes[3],
             mac.bytes[4], mac.bytes[5]);
    (void)cJSON_AddStringToObject(object, name, text);
}

static void print_object(cJSON *object, mm_linux_answer_t *answer) {
    char *text = cJSON_PrintUnformatted(object);
    mm_linux_answer_print(answer, "%s\n", text != NULL ? text : "error: out of memory");
    free(text);
    cJSON_Delete(object);
}

// --- configuration -------------------------------------------------------------------------------------------------

static void add_secret(cJSON *object, const char *name, bool is_set) {
    (void)cJSON_AddStringToObject(object, name, is_set ? "set" : "none");
}

// An address may carry credentials before an '@'.
static void add_broker(cJSON *object, const char *url) {
    const char *scheme = strstr(url, "://");
    const char *host = scheme != NULL ? scheme + 3 : url;
    const char *at = strrchr(host, '@');
    char text[MM_BROKER_URL_CHARS_MAX + 1];
    int scheme_chars = scheme != NULL ? (int)(host - url) : 0;
    snprintf(text, sizeof text, "%.*s%s", scheme_chars, url, at != NULL ? at + 1 : host);
    (void)cJSON_AddStringToObject(object, "broker", text);
}

static void add_network(cJSON *object, const mm_network_t *network) {
    static const uint8_t no_key[sizeof network->mesh_key] = {0};
    cJSON *part = cJSON_AddObjectToObject(object, "network");
    add_number(part, "revision", network->revision);
    (void)cJSON_AddStringToObject(part, "site", network->site);
    add_broker(part, network->broker_url);
    add_secret(part, "broker_user", network->broker_user[0] != '\0');
    add_secret(part, "broker_password", network->broker_password[0] != '\0');
    (void)cJSON_AddStringToObject(part, "router_name", network->router_name);
    add_secret(part, "router_password", network->router_password[0] != '\0');
    add_secret(part, "mesh_key", memcmp(network->mesh_key, no_key, sizeof no_key) != 0);
}

static void add_installation(cJSON *object, const mm_installation_t *installation) {
    cJSON *part = cJSON_AddObjectToObject(object, "installation");
    add_number(part, "revision", installation->revision);
    add_number(part, "node_no", installation->node_no);
    add_number(part, "province", installation->province);
    add_number(part, "canton", installation->canton);
    add_number(part, "parish", installation->parish);
    add_number(part, "postal_code", installation->postal_code);
    (void)cJSON_AddStringToObject(part, "address", installation->address);
    (void)cJSON_AddStringToObject(part, "installer", installation->installer);
    cJSON *meters = cJSON_AddArrayToObject(part, "meters");
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_channel_setup_t *setup = &installation->channels[channel];
        if (setup->meter.id[0] == '\0') {
            continue;
        }
        cJSON *item = cJSON_CreateObject();
        add_number(item, "channel", channel);
        (void)cJSON_AddStringToObject(item, "id", setup->meter.id);
        add_number(item, "pulse_constant", setup->meter.pulse_constant);
        add_number(item, "start_wh", setup->meter.start_wh);
        (void)cJSON_AddBoolToObject(item, "prepaid", setup->prepaid);
        (void)cJSON_AddItemToArray(meters, item);
    }
}

static void answer_config(const node_console_t *self, mm_us_t now, mm_linux_answer_t *answer) {
    (void)now;
    cJSON *object = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(object, "site", self->node->options.site);
    add_broker(object, self->broker);
    if (self->setup == NULL) {
        (void)cJSON_AddStringToObject(object, "phase", "configured by file");
    } else {
        const mm_configuration_t *configuration = &self->setup->configuration;
        (void)cJSON_AddStringToObject(object, "phase", mm_life_state_name(configuration->phase.state));
        if (configuration->has_network) {
            add_network(object, &configuration->network);
        }
        if (configuration->has_installation) {
            add_installation(object, &configuration->installation);
        }
    }
    print_object(object, answer);
}

static void answer_install(const node_console_t *self, mm_us_t now, mm_linux_answer_t *answer) {
    (void)now;
    cJSON *object = cJSON_CreateObject();
    bool is_installed = self->setup != NULL && self->setup->configuration.has_installation;
    (void)cJSON_AddBoolToObject(object, "installed", is_installed);
    if (is_installed) {
        add_number(object, "revision", self->setup->configuration.installation.revision);
        add_number(object, "told", self->setup->control->installation_told);
        (void)cJSON_AddBoolToObject(object, "applying", mm_setup_is_applying(self->setup));
        (void)cJSON_AddBoolToObject(object, "confirmed", mm_life_is_commissioned(&self->setup->configuration.phase));
    }
    print_object(object, answer);
}

// --- mesh, slot, journal -------------------------------------------------------------------------------------------

static void answer_mesh(const node_console_t *self, mm_us_t now, mm_linux_answer_t *answer) {
    (void)now;
    cJSON *object = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(object, "role", mm_linux_mesh_role_name(mm_linux_mesh_role(self->mesh)));
    add_mac(object, "root", self->node->root_mac);
    add_mac(object, "parent", mm_linux_mesh_parent(self->mesh));
    (void)cJSON_AddBoolToObject(object, "attached", self->node->attached);
    add_number(object, "layer", self->node->layer);
    add_number(object, "members", mm_linux_mesh_member_count(self->mesh));
    cJSON *counters = cJSON_AddObjectToObject(object, "counters");
    for (int i = 0; i < MM_LINUX_MESH_STAT_COUNT; i++) {
        mm_linux_mesh_stat_t stat = (mm_linux_mesh_stat_t)i;
        if (mm_linux_mesh_stat(self->mesh, stat) != 0) {
            add_number(counters, mm_linux_mesh_stat_name(stat), mm_linux_mesh_stat(self->mesh, stat));
        }
    }
    print_object(object, answer);
}

static void answer_slot(const node_console_t *self, mm_us_t now, mm_linux_answer_t *answer) {
    const mm_root_t *root = &self->node->root;
    const mm_slot_plan_t *plan = &root->timing->slots;
    cJSON *object = cJSON_CreateObject();
    add_number(object, "slot", plan->slot);
    add_number(object, "slot_count", plan->slot_count);
    add_number(object, "slot_ms", (uint64_t)(plan->slot_us / 1000));
    add_number(object, "cycle_s", (uint64_t)(mm_slot_cycle_us(plan) / MM_US_PER_S));
    (void)cJSON_AddBoolToObject(object, "root", root->active);
    if (root->active && root->session_at != MM_US_NEVER) {
        add_number(object, "next_session_s", mm_us_seconds_until(root->session_at, now));
    }
    print_object(object, answer);
}

static void answer_journal(const node_console_t *self, mm_us_t now, mm_linux_answer_t *answer) {
    (void)now;
    const mm_journal_t *journal = &self->node->journal;
    uint32_t states[MM_JOURNAL_SECTOR_RETIRED + 1] = {0};
    for (uint32_t i = 0; i < journal->sector_count; i++) {
        states[journal->sectors[i].state]++;
    }
    cJSON *object = cJSON_CreateObject();
    add_number(object, "epoch", journal->epoch);
    add_number(object, "oldest", mm_journal_oldest(journal).seq);
    add_number(object, "next", mm_journal_next(journal).seq);
    add_number(object, "watermark", journal->watermark.epoch == journal->epoch ? journal->watermark.seq : 0);
    add_number(object, "unsent", mm_journal_backlog(journal));
    add_number(object, "sectors", journal->sector_count);
    add_number(object, "sectors_used", states[MM_JOURNAL_SECTOR_USED]);
    add_number(object, "sectors_retired", states[MM_JOURNAL_SECTOR_RETIRED]);
    (void)cJSON_AddBoolToObject(object, "read_only", journal->read_only);
    print_object(object, answer);
}

static void answer_log(const node_console_t *self, mm_us_t now, mm_linux_answer_t *answer) {
    (void)now;
    char text[LOG_BYTES];
    size_t bytes =
        self->actions != NULL ? self->actions->log_tail(self->actions->context, text, sizeof text) : (size_t)0;
    mm_linux_answer_print(answer, "%.*s\n", (int)bytes, text);
}

static void answer_help(const node_console_t *self, mm_us_t now, mm_linux_answer_t *answer);

static const line_t s_lines[] = {
    {"config", "configuration as JSON; of a secret, whether there is one", answer_config},
    {"install", "the installation: its revision, what HQ was told, whether it is confirmed", answer_install},
    {"mesh", "role, root, parent, members and counters of the mesh, as JSON", answer_mesh},
    {"slot", "the slot plan and the next session, as JSON", answer_slot},
    {"journal", "what is stored and not committed by HQ yet, as JSON", answer_journal},
    {"log", "the newest lines of the log", answer_log},
    {"help", "these lines", answer_help},
};

static void answer_help(const node_console_t *self, mm_us_t now, mm_linux_answer_t *answer) {
    (void)self;
    (void)now;
    for (size_t i = 0; i < sizeof s_lines / sizeof s_lines[0]; i++) {
        mm_linux_answer_print(answer, "%-9s %s\n", s_lines[i].name, s_lines[i].help);
    }
}

bool node_console_handle(const node_console_t *self, const char *line, mm_us_t now, mm_linux_answer_t *answer) {
    for (size_t i = 0; i < sizeof s_lines / sizeof s_lines[0]; i++) {
        if (strcmp(line, s_lines[i].name) == 0) {
            s_lines[i].answer(self, now, answer);
            return true;
        }
    }
    return false;
}
