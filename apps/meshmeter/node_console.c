// SPDX-License-Identifier: Apache-2.0
#include "node_console.h"

#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "linux/linux_clock.h"
#include "linux/linux_mqtt.h"
#include "node_credit.h"
#include "node_status.h"

static node_console_t *of(const mm_console_request_t *request) {
    return request->console->options.context;
}

static void say_not_so(mm_console_request_t *request) {
    mm_linux_answer_print(of(request)->answer, "error: not with these words; help says with which\n");
}

static void run_status(mm_console_request_t *request) {
    node_console_t *self = of(request);
    char *text = node_status_json(self->options.node, self->router_up, request->now);
    mm_linux_answer_print(self->answer, "%s\n", text != NULL ? text : "error: out of memory");
    free(text);
}

static void run_router(mm_console_request_t *request) {
    node_console_t *self = of(request);
    bool up = strcmp(request->arguments, "on") == 0;
    if (!up && strcmp(request->arguments, "off") != 0) {
        say_not_so(request);
        return;
    }
    self->options.set_router(self->options.process, up);
    mm_linux_answer_print(self->answer, "ok router %s\n", up ? "on" : "off");
}

static void run_clock(mm_console_request_t *request) {
    static const char set[] = "set";
    node_console_t *self = of(request);
    const char *text = request->arguments + sizeof set - 1;
    if (strncmp(request->arguments, set, sizeof set - 1) != 0 || (*text != '\0' && *text != ' ') ||
        !self->options.set_clock(self->options.process, text + strspn(text, " "))) {
        say_not_so(request);
        return;
    }
    mm_linux_answer_print(self->answer, "ok clock set\n");
}

static void run_hold(mm_console_request_t *request) {
    node_console_t *self = of(request);
    mm_node_hold(self->options.node);
    mm_linux_answer_print(self->answer, "ok hold\n");
}

static void run_display(mm_console_request_t *request) {
    node_console_t *self = of(request);
    const mm_node_panel_facts_t facts = node_setup_facts(self->options.setup, self->router_up, request->now);
    if (!node_display_handle(self->options.display, request->line, &facts, request->now, mm_linux_real_us(),
                             self->answer)) {
        say_not_so(request);
    }
}

static void run_setup(mm_console_request_t *request) {
    node_console_t *self = of(request);
    node_setup_print(self->options.setup, request->now, self->answer);
}

static void run_provision(mm_console_request_t *request) {
    mm_console_provision(request, &of(request)->options.setup->possession, mm_linux_real_us(),
                         mm_linux_mqtt_url_is_good);
}

static void run_credit(mm_console_request_t *request) {
    node_console_t *self = of(request);
    if (!node_credit_handle(self->options.node, request->line, request->now, self->answer)) {
        say_not_so(request);
    }
}

static const mm_console_line_t s_lines[] = {
    {.name = "status", .does = "the node and how it is", .need = MM_CONSOLE_READ, .run = run_status},
    {.name = "setup",
     .does = "state, number and page of a node from the box",
     .need = MM_CONSOLE_READ,
     .needs_setup = true,
     .run = run_setup},
    {.name = "credit",
     .does = "balances, relays, reasons and lock-outs of prepaid meters",
     .need = MM_CONSOLE_READ,
     .run = run_credit},
    {.name = "relays", .does = "which relays are closed (supply is on)", .need = MM_CONSOLE_READ, .run = run_credit},
    {.name = "oled", .does = "the picture of the display", .need = MM_CONSOLE_READ, .run = run_display},
    {.name = "button",
     .arguments = "short|long|down|up",
     .does = "press the button",
     .need = MM_CONSOLE_PRESENCE,
     .words_min = 1,
     .words_max = 1,
     .run = run_display},
    {.name = "emergency",
     .arguments = "METER",
     .does = "take the emergency credit, as at the button",
     .need = MM_CONSOLE_PRESENCE,
     .words_min = 1,
     .words_max = 1,
     .run = run_credit},
    {.name = "token",
     .arguments = "METER DIGITS",
     .does = "a token for a meter, judged as at the button",
     .need = MM_CONSOLE_PROOF,
     .words_min = 2,
     .words_max = MM_CONSOLE_WORDS_ANY,
     .run = run_credit},
    {.name = "provision",
     .arguments = "FORM",
     .does = "hand a network over, with the code of the label",
     .need = MM_CONSOLE_PROOF,
     .words_min = 1,
     .words_max = 1,
     .needs_setup = true,
     .run = run_provision},
    {.name = "router",
     .arguments = "on|off",
     .does = "switch the simulated router",
     .need = MM_CONSOLE_OWNER,
     .words_min = 1,
     .words_max = 1,
     .run = run_router},
    {.name = "clock",
     .arguments = "set [UTC]",
     .does = "give the node the time (the system's)",
     .need = MM_CONSOLE_OWNER,
     .words_min = 1,
     .words_max = 3,
     .run = run_clock},
    {.name = "hold",
     .does = "no more records of metering until the next start",
     .need = MM_CONSOLE_OWNER,
     .run = run_hold},
};

const mm_console_line_t *node_console_lines(size_t *count) {
    *count = sizeof s_lines / sizeof s_lines[0];
    return s_lines;
}

void node_console_open(node_console_t *self, const node_console_options_t *options, mm_us_t now) {
    const mm_console_options_t console = {.node = options->node,
                                          .setup = options->setup->is_open ? &options->setup->setup : NULL,
                                          .granted = MM_CONSOLE_AT_PROCESS,
                                          .lines = s_lines,
                                          .line_count = sizeof s_lines / sizeof s_lines[0],
                                          .context = self};
    self->options = *options;
    mm_console_open(&self->console, &console, now);
    for (int i = 0; i < MM_LINUX_MESH_STAT_COUNT; i++) {
        self->counters[i].name = mm_linux_mesh_stat_name((mm_linux_mesh_stat_t)i);
    }
}

static void learn_facts(node_console_t *self) {
    const node_console_options_t *options = &self->options;
    const mm_linux_actions_t *actions = &options->platform->actions;
    for (int i = 0; i < MM_LINUX_MESH_STAT_COUNT; i++) {
        self->counters[i].value = mm_linux_mesh_stat(options->mesh, (mm_linux_mesh_stat_t)i);
    }
    self->console.facts =
        (mm_console_facts_t){.version = APP_VERSION,
                             .broker = actions->has_broker ? actions->broker.url : options->config->broker,
                             .page = options->setup->page_url[0] != '\0' ? options->setup->page_url : NULL,
                             .role = mm_linux_mesh_role_name(mm_linux_mesh_role(options->mesh)),
                             .parent = mm_linux_mesh_parent(options->mesh),
                             .members = (uint32_t)mm_linux_mesh_member_count(options->mesh),
                             .mesh_counters = self->counters,
                             .mesh_counter_count = MM_LINUX_MESH_STAT_COUNT};
}

void node_console_answer(node_console_t *self, char *line, mm_us_t now, mm_linux_answer_t *answer) {
    learn_facts(self);
    self->answer = answer;
    // A handler prints into *answer, or says what it has to say through the core.
    size_t bytes_count = mm_console_answer(&self->console, line, now, answer->text + answer->used_bytes,
                                           answer->capacity_bytes - answer->used_bytes);
    answer->used_bytes += bytes_count;
    self->answer = NULL;
}
