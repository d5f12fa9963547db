// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_console.h"

#include "test_support.h"

#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "fake_uart.h"

static size_t echo(void *context, char *line, char *answer, size_t capacity_bytes) {
    (*(unsigned *)context)++;
    if (strcmp(line, "much") == 0) {
        memset(answer, 'x', capacity_bytes);
        return capacity_bytes;
    }
    return (size_t)snprintf(answer, capacity_bytes, "<%s>\n", line);
}

static void poll_times(mm_esp_console_t *console, int times) {
    for (int i = 0; i < times; i++) {
        (void)mm_esp_console_poll(console, i);
    }
}

static void test_lines_and_limits(void **state) {
    (void)state;
    static mm_esp_console_t console;
    unsigned lines = 0;
    fake_reset();
    assert_int_equal(mm_esp_console_open(&console, echo, &lines), MM_OK);
    fake_uart_type("status\r\nab\bc\n\n");
    poll_times(&console, 3);
    assert_string_equal(fake_uart_sent(), "<status>\n<ac>\n");
    assert_int_equal(lines, 2);
    // A line may have held a password: nothing of it, or of its answer, stays.
    assert_null(memmem(console.text, sizeof console.text, "us", 2));
    assert_null(memmem(console.answer, sizeof console.answer, "s>", 2));
    // One character too many.
    char text[MM_ESP_CONSOLE_LINE_CHARS_MAX + 3];
    memset(text, 'a', sizeof text);
    text[sizeof text - 2] = '\n';
    text[sizeof text - 1] = '\0';
    fake_uart_type(text);
    fake_uart_type("next\n");
    poll_times(&console, 10);
    assert_string_equal(fake_uart_sent(), "<status>\n<ac>\nerror: the line is too long\n<next>\n");
    assert_int_equal(lines, 3);
    mm_esp_console_close(&console);
    assert_false(fake_uart_is_installed());
}

// The other side takes nothing: the answer waits in the console, the next line in the driver, nobody else waits.
static void test_slow_reader(void **state) {
    (void)state;
    static mm_esp_console_t console;
    unsigned lines = 0;
    fake_reset();
    assert_int_equal(mm_esp_console_open(&console, echo, &lines), MM_OK);
    fake_uart_set_room(32);
    fake_uart_type("much\nlast\n");
    poll_times(&console, 5);
    assert_int_equal(lines, 1);
    assert_int_equal(strlen(fake_uart_sent()), 0);
    for (int i = 0; i < 30; i++) {
        fake_uart_set_room(132);
        poll_times(&console, 1);
    }
    assert_int_equal(lines, 2);
    assert_int_equal(strlen(fake_uart_sent()), MM_ESP_CONSOLE_ANSWER_BYTES_MAX + 7);
}

static void test_one_call_fails(void **state) {
    (void)state;
    bool failed = false;
    for (unsigned call_no = 1; call_no == 1 || failed; call_no++) {
        static mm_esp_console_t console;
        unsigned lines = 0;
        fake_reset();
        fake_fail_at(call_no);
        mm_err_t err = mm_esp_console_open(&console, echo, &lines);
        fake_uart_type("a\nb\n");
        poll_times(&console, 10);
        failed = fake_has_failed();
        assert_string_equal(fake_uart_sent(), err == MM_OK ? "<a>\n<b>\n" : "");
        mm_esp_console_close(&console);
        assert_false(fake_uart_is_installed());
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_and_limits),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_one_call_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
