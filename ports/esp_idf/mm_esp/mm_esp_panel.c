// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_panel.h"

#include <driver/gpio.h>

#define PERIOD_US ((mm_us_t)MM_ESP_PANEL_PERIOD_MS * 1000)
#define BLINK_US ((mm_us_t)MM_ESP_PANEL_BLINK_MS * 1000)

void mm_esp_panel_open(mm_esp_panel_t *self, mm_node_t *node, mm_esp_display_t *display, int8_t led_pin,
                       const char *version, mm_us_t now) {
    *self = (mm_esp_panel_t){.display = display, .led_pin = led_pin, .find_until = now, .blink_at = MM_US_NEVER};
    mm_node_panel_init(&self->panel, node, version, now);
    if (led_pin >= 0 && (gpio_set_level((gpio_num_t)led_pin, 0) != ESP_OK ||
                         gpio_set_direction((gpio_num_t)led_pin, GPIO_MODE_OUTPUT) != ESP_OK)) {
        self->led_pin = -1;
    }
}

// --- picture and lamp -----------------------------------------------------------------------------------------------

static void draw(mm_esp_panel_t *self, mm_us_t now) {
    mm_canvas_t canvas;
    mm_panel_draw(&self->panel.panel, &self->panel.model, now, &canvas);
    mm_esp_display_show(self->display, &canvas, now);
}

static void blink(mm_esp_panel_t *self, mm_us_t now) {
    if (self->led_pin < 0 || now < self->blink_at) {
        return;
    }
    self->led_on = now < self->find_until && !self->led_on;
    (void)gpio_set_level((gpio_num_t)self->led_pin, self->led_on ? 1 : 0);
    self->blink_at = now < self->find_until ? now + BLINK_US : MM_US_NEVER;
}

static uint32_t bounded(uint32_t seconds) {
    return seconds < MM_ESP_PANEL_SHOW_S_MAX ? seconds : MM_ESP_PANEL_SHOW_S_MAX;
}

void mm_esp_panel_press(mm_esp_panel_t *self, bool down, mm_us_t now) {
    mm_panel_on_button(&self->panel.panel, down, &self->panel.model, now);
    self->draw_at = now;
}

void mm_esp_panel_wake(mm_esp_panel_t *self, uint32_t seconds, mm_us_t now) {
    mm_panel_wake(&self->panel.panel, bounded(seconds), now);
    self->draw_at = now;
}

void mm_esp_panel_find(mm_esp_panel_t *self, uint32_t seconds, mm_us_t now) {
    mm_node_panel_find(&self->panel, bounded(seconds), now);
    self->draw_at = now;
    self->find_until = now + bounded(seconds) * MM_US_PER_S;
    self->blink_at = now;
}

mm_us_t mm_esp_panel_poll(mm_esp_panel_t *self, const mm_node_panel_facts_t *facts, mm_us_t now) {
    blink(self, now);
    if (now >= self->draw_at) {
        mm_us_t deadline = mm_node_panel_poll(&self->panel, facts, now, now);
        draw(self, now);
        self->draw_at = mm_us_earlier(deadline, now + PERIOD_US);
    }
    return mm_us_earlier(self->draw_at, self->blink_at);
}
