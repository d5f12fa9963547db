// SPDX-License-Identifier: Apache-2.0
#include "node_display.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "linux/linux_log.h"

#define PERIOD_US 250000
// A press that comes as one line has been held so long.
#define SHORT_PRESS_US INT64_C(100000)
#define LONG_PRESS_US ((int64_t)(MM_PANEL_LONG_PRESS_MS + 100) * 1000)

void node_display_open(node_display_t *self, mm_node_t *node, const mm_linux_actions_t *actions, const char *path,
                       const char *version, int64_t real_now_us) {
    memset(self, 0, sizeof *self);
    self->actions = actions;
    self->path = path;
    self->opened_us = real_now_us;
    mm_node_panel_init(&self->panel, node, version, real_now_us);
}

static mm_node_panel_facts_t complete(const node_display_t *self, const mm_node_panel_facts_t *facts,
                                      int64_t real_now_us) {
    mm_node_panel_facts_t all = *facts;
    all.uptime_s = (uint32_t)((real_now_us - self->opened_us) / MM_US_PER_S);
    all.ota_percent = MM_PANEL_OTA_NONE; // programs of this system come by its package manager
    return all;
}

static void follow_actions(node_display_t *self, int64_t real_now_us) {
    const mm_linux_actions_t *actions = self->actions;
    if (actions->display_until_us != self->display_until_us) {
        self->display_until_us = actions->display_until_us;
        mm_panel_wake(&self->panel.panel, mm_us_seconds_until(self->display_until_us, real_now_us), real_now_us);
    }
    if (actions->find_until_us != self->find_until_us) {
        self->find_until_us = actions->find_until_us;
        mm_node_panel_find(&self->panel, mm_us_seconds_until(self->find_until_us, real_now_us), real_now_us);
    }
}

// --- picture --------------------------------------------------------------------------------------------------------

void node_display_hex(const mm_canvas_t *canvas, char text[NODE_DISPLAY_HEX_CHARS + 1]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < MM_CANVAS_BYTES; i++) {
        text[2 * i] = digits[canvas->bytes[i] >> 4];
        text[2 * i + 1] = digits[canvas->bytes[i] & 15];
    }
    text[NODE_DISPLAY_HEX_CHARS] = '\0';
}

// Whole at any instant, but not durable: after a power cut there is another picture anyway.
static bool write_picture(const char *path, const mm_canvas_t *canvas) {
    char text[NODE_DISPLAY_HEX_CHARS + 2];
    char temporary[600];
    node_display_hex(canvas, text);
    text[NODE_DISPLAY_HEX_CHARS] = '\n';
    snprintf(temporary, sizeof temporary, "%s.new", path);
    int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) {
        return false;
    }
    // no wait(write): a regular file
    bool good = write(file, text, NODE_DISPLAY_HEX_CHARS + 1) == NODE_DISPLAY_HEX_CHARS + 1;
    good = close(file) == 0 && good;
    return good && rename(temporary, path) == 0;
}

static void draw(node_display_t *self, int64_t real_now_us) {
    mm_canvas_t canvas;
    mm_panel_draw(&self->panel.panel, &self->panel.model, real_now_us, &canvas);
    if (self->written && memcmp(&canvas, &self->canvas, sizeof canvas) == 0) {
        return;
    }
    self->canvas = canvas;
    if (self->path[0] != '\0' && !write_picture(self->path, &canvas)) {
        mm_linux_log(MM_LOG_WARNING, "%s: the display's picture cannot be written: %s; it is not tried again",
                     self->path, strerror(errno));
        self->path = "";
    }
    self->written = true;
}

int64_t node_display_poll(node_display_t *self, const mm_node_panel_facts_t *facts, mm_us_t now, int64_t real_now_us) {
    if (real_now_us < self->draw_due_us) {
        return self->draw_due_us;
    }
    const mm_node_panel_facts_t all = complete(self, facts, real_now_us);
    follow_actions(self, real_now_us);
    mm_us_t deadline = mm_node_panel_poll(&self->panel, &all, now, real_now_us);
    draw(self, real_now_us);
    self->draw_due_us = deadline < real_now_us + PERIOD_US ? deadline : real_now_us + PERIOD_US;
    return self->draw_due_us;
}

// A whole press that ends now. Lines do not bounce: what comes right behind it is meant.
static void press(mm_node_panel_t *panel, int64_t held_us, int64_t real_now_us) {
    mm_us_t clean_us = real_now_us - (int64_t)MM_PANEL_BOUNCE_MS * 1000;
    mm_panel_on_button(&panel->panel, false, &panel->model, real_now_us);
    panel->panel.released_at = clean_us - held_us;
    mm_panel_on_button(&panel->panel, true, &panel->model, real_now_us - held_us);
    mm_panel_on_button(&panel->panel, false, &panel->model, real_now_us);
    panel->panel.released_at = clean_us;
}

bool node_display_handle(node_display_t *self, const char *line, const mm_node_panel_facts_t *facts, mm_us_t now,
                         int64_t real_now_us, mm_linux_answer_t *answer) {
    bool is_short = strcmp(line, "button short") == 0;
    bool is_long = strcmp(line, "button long") == 0;
    bool is_down = strcmp(line, "button down") == 0;
    bool is_picture = strcmp(line, "oled") == 0;
    if (!is_picture && !is_short && !is_long && !is_down && strcmp(line, "button up") != 0) {
        return false;
    }
    const mm_node_panel_facts_t all = complete(self, facts, real_now_us);
    mm_node_panel_look(&self->panel, &all, now);
    if (is_short || is_long) {
        press(&self->panel, is_long ? LONG_PRESS_US : SHORT_PRESS_US, real_now_us);
    } else if (!is_picture) {
        mm_panel_on_button(&self->panel.panel, is_down, &self->panel.model, real_now_us);
    }
    self->draw_due_us = 0;
    (void)node_display_poll(self, facts, now, real_now_us);
    if (is_picture) {
        char text[NODE_DISPLAY_HEX_CHARS + 1];
        node_display_hex(&self->canvas, text);
        mm_linux_answer_print(answer, "%s\n", text);
    } else {
        mm_linux_answer_print(answer, "ok %s\n", line);
    }
    return true;
}
