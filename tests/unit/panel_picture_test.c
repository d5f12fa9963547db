// SPDX-License-Identifier: Apache-2.0
// Every screen as a picture: tests/vectors/display/.
#include "meshmeter/panel.h"

#include "panel_support.h"

static mm_panel_t s_panel;
static mm_us_t s_now;

static void begin(void) {
    s_now = 0;
    mm_panel_init(&s_panel, s_now);
}

static void check(const mm_panel_model_t *model, const char *name) {
    mm_canvas_t canvas;
    mm_panel_draw(&s_panel, model, s_now, &canvas);
    assert_golden(&canvas, name);
}

static void shows(const mm_panel_model_t *model, const char *presses, const char *name) {
    begin();
    panel_presses(&s_panel, model, presses, &s_now);
    check(model, name);
}

static void test_home(void **state) {
    (void)state;
    mm_panel_model_t model = panel_model();
    shows(&model, "", "home");
    mm_panel_model_t parked = model;
    parked.state = MM_LIFE_PARKED;
    memset(parked.meters, 0, sizeof parked.meters);
    shows(&parked, "", "parked");
    parked.is_asking = true;
    shows(&parked, "", "parked-asking");
    parked.heard = "house-1";
    shows(&parked, "", "parked-heard");
    parked.heard = "a-site-of-23-characters";
    shows(&parked, "", "parked-heard-longest");
    model.state = MM_LIFE_PROVISIONED;
    shows(&model, "", "provisioned");
    model.state = MM_LIFE_AWAITING;
    shows(&model, "", "awaiting");
    model.state = MM_LIFE_FAULT;
    shows(&model, "", "memory-fault");
    model.state = MM_LIFE_CONFIGURING;
    model.address = "http://192.168.4.1/";
    shows(&model, "", "configuring");
    model.has_number = true;
    model.number = 5546600;
    model.number_left_s = 431;
    shows(&model, "", "number");
    model.number = 12345678;
    model.number_left_s = 600;
    model.address = "http://meshmeter-0ab1c2.local:8080/";
    shows(&model, "", "number-long");
    model.wait_s = 1280;
    shows(&model, "", "lock-out");
    model.ota_percent = 45;
    shows(&model, "", "update");
    model.fault = "The clock chip does not answer";
    shows(&model, "", "fault");
}

static void test_meters(void **state) {
    (void)state;
    mm_panel_model_t model = panel_model();
    shows(&model, "s", "meter-low");
    shows(&model, "ss", "meter-off");
    shows(&model, "sss", "meter-postpaid");
    model.is_root = true;
    model.router_up = true;
    model.backlog = 12;
    model.meters[0].low = false;
    model.meters[0].emergency_possible = false;
    model.meters[0].balance_wh = 123456;
    shows(&model, "s", "meter-root");
    model.attached = false;
    model.is_root = false;
    model.time_known = false;
    shows(&model, "s", "meter-alone");
    model = panel_longest_model();
    shows(&model, "s", "meter-longest");
}

static void test_menu(void **state) {
    (void)state;
    mm_panel_model_t model = panel_model();
    shows(&model, "l", "menu");
    shows(&model, "lsssssss", "menu-end");
    shows(&model, "ll", "network");
    shows(&model, "lls", "mesh");
    shows(&model, "llss", "info");
    mm_panel_model_t alone = model;
    alone.attached = false;
    alone.time_known = false;
    shows(&alone, "ll", "network-alone");
    shows(&alone, "lls", "mesh-alone");
    alone.is_root = true;
    alone.router_up = true;
    alone.version = NULL;
    shows(&alone, "ll", "network-root");
    shows(&alone, "lls", "mesh-root");
    shows(&alone, "llss", "info-unknown");
    shows(&model, "lssl", "token-meter");
    shows(&model, "lssll", "token-empty");
    shows(&model,
          "lssll"
          "sl"
          "ssl"
          "sssl"
          "ssssl"
          "sssss",
          "token-typing");
    shows(&model,
          "lssll"
          "llllllll"
          "sl",
          "token-nine");
    shows(&model, "lssllssssssssss", "token-leave");
    shows(&model, "lsslllssssssssss", "token-delete");
    shows(&model, "lsssl", "emergency-sure");
    shows(&model, "lsssls", "emergency-sure-yes");
    shows(&model, "lssssssl", "configure-sure");
    model.meters[0].lock_out_s = 120;
    shows(&model,
          "lssll"
          "llllllll"
          "sl",
          "token-lock-out");
    model = panel_longest_model();
    model.meters[0].lock_out_s = 0;
    shows(&model,
          "lssll"
          "lllllllll"
          "ssl"
          "ll"
          "ssl"
          "ll"
          "ssl"
          "llll",
          "token-longest");
    shows(&model, "lsssl", "emergency-meter");
    model.is_root = true;
    shows(&model, "ll", "network-longest");
    shows(&model, "llss", "info-longest");
}

static void test_notices_and_dark(void **state) {
    (void)state;
    mm_panel_model_t model = panel_model();
    begin();
    mm_panel_notice(&s_panel, "LOCK\n1-flat-3\ndone", s_now);
    check(&model, "notice");
    s_now = MM_PANEL_DARK_S * S;
    (void)mm_panel_poll(&s_panel, &model, s_now);
    check(&model, "dark");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_home), cmocka_unit_test(test_meters),
                                       cmocka_unit_test(test_menu), cmocka_unit_test(test_notices_and_dark)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
