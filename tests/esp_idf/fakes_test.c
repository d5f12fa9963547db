// SPDX-License-Identifier: Apache-2.0
// What the tests of the port rely on: queues are queues, time passes, the N-th call fails, NVS forgets what was not
// committed.
#include "test_support.h"

#include <esp_timer.h>

#include "fake.h"
#include "fake_freertos.h"
#include "fake_gpio.h"
#include "fake_nvs.h"

static int reset(void **state) {
    (void)state;
    fake_reset();
    return 0;
}

static void queue_keeps_order_and_refuses_when_full(void **state) {
    (void)state;
    StaticQueue_t memory;
    uint8_t storage[2 * sizeof(uint32_t)];
    QueueHandle_t queue = xQueueCreateStatic(2, sizeof(uint32_t), storage, &memory);
    for (uint32_t i = 1; i <= 2; i++) {
        assert_int_equal(xQueueSend(queue, &i, 0), pdTRUE);
    }
    uint32_t value = 3;
    assert_int_equal(xQueueSend(queue, &value, 0), pdFALSE);
    assert_int_equal(xQueueReceive(queue, &value, 0), pdTRUE);
    assert_int_equal(value, 1);
    value = 9;
    assert_int_equal(xQueueSendToFront(queue, &value, 0), pdTRUE);
    assert_int_equal(xQueueReceive(queue, &value, 0), pdTRUE);
    assert_int_equal(value, 9);
    assert_int_equal(xQueueReceive(queue, &value, 0), pdTRUE);
    assert_int_equal(value, 2);
    assert_int_equal(fake_time_us(), 0);
    // 50 ms are 5 ticks of 10 ms.
    assert_int_equal(xQueueReceive(queue, &value, pdMS_TO_TICKS(50)), pdFALSE);
    assert_int_equal(fake_time_us(), 50000);
}

static unsigned s_ticks;

static void count_tick(void *arg) {
    (void)arg;
    s_ticks++;
}

static void timers_run_when_time_passes(void **state) {
    (void)state;
    s_ticks = 0;
    esp_timer_handle_t timer;
    assert_int_equal(esp_timer_create(&(esp_timer_create_args_t){.callback = count_tick}, &timer), ESP_OK);
    assert_int_equal(esp_timer_start_periodic(timer, 1000), ESP_OK);
    fake_time_advance(3500);
    assert_int_equal(s_ticks, 3);
    assert_int_equal(esp_timer_stop(timer), ESP_OK);
    fake_time_advance(3500);
    assert_int_equal(s_ticks, 3);
}

static void task_code(void *parameter) {
    unsigned *rounds = parameter;
    for (;;) {
        (*rounds)++;
        vTaskDelay(1);
    }
}

static void tasks_run_until_they_have_waited(void **state) {
    (void)state;
    static StaticTask_t memory;
    static StackType_t stack[128];
    static unsigned rounds;
    rounds = 0;
    assert_non_null(xTaskCreateStatic(task_code, "worker", sizeof stack, &rounds, 3, stack, &memory));
    assert_int_equal(fake_task_find("worker")->priority, 3);
    fake_task_run("worker", 4);
    assert_int_equal(rounds, 4);
}

static void nth_call_fails(void **state) {
    (void)state;
    nvs_handle_t handle;
    fake_fail_at(2);
    assert_int_equal(nvs_open("a", NVS_READWRITE, &handle), ESP_OK);
    assert_false(fake_has_failed());
    assert_int_equal(nvs_set_u8(handle, "b", 1), ESP_ERR_NVS_NOT_ENOUGH_SPACE);
    assert_true(fake_has_failed());
    assert_int_equal(nvs_set_u8(handle, "b", 1), ESP_OK);
}

static void nvs_forgets_what_was_not_committed(void **state) {
    (void)state;
    nvs_handle_t handle;
    assert_int_equal(nvs_open("a", NVS_READWRITE, &handle), ESP_OK);
    assert_int_equal(nvs_set_u32(handle, "kept", 5), ESP_OK);
    assert_int_equal(nvs_commit(handle), ESP_OK);
    assert_int_equal(nvs_set_u32(handle, "kept", 6), ESP_OK);
    fake_nvs_restart();
    assert_int_equal(nvs_open("a", NVS_READONLY, &handle), ESP_OK);
    uint32_t value = 0;
    assert_int_equal(nvs_get_u32(handle, "kept", &value), ESP_OK);
    assert_int_equal(value, 5);
    assert_int_equal(nvs_set_u32(handle, "kept", 7), ESP_ERR_NVS_READ_ONLY);
    nvs_close(handle);
    assert_int_equal(fake_nvs_open_count(), 0);
}

static void pins_interrupt_on_their_edge(void **state) {
    (void)state;
    s_ticks = 0;
    gpio_config_t config = {.pin_bit_mask = UINT64_C(1) << 26,
                            .mode = GPIO_MODE_INPUT,
                            .pull_up_en = GPIO_PULLUP_ENABLE,
                            .intr_type = GPIO_INTR_NEGEDGE};
    assert_int_equal(gpio_config(&config), ESP_OK);
    assert_int_equal(gpio_install_isr_service(0), ESP_OK);
    assert_int_equal(gpio_isr_handler_add(26, count_tick, NULL), ESP_OK);
    fake_gpio_drive(26, 0);
    fake_gpio_drive(26, 1);
    assert_int_equal(s_ticks, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(queue_keeps_order_and_refuses_when_full, reset),
        cmocka_unit_test_setup(timers_run_when_time_passes, reset),
        cmocka_unit_test_setup(tasks_run_until_they_have_waited, reset),
        cmocka_unit_test_setup(nth_call_fails, reset),
        cmocka_unit_test_setup(nvs_forgets_what_was_not_committed, reset),
        cmocka_unit_test_setup(pins_interrupt_on_their_edge, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
