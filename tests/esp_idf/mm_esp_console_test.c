// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_console.h"

#include "test_support.h"

#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "fake_uart.h"
#include "fake_usb.h"

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
    assert_int_equal(mm_esp_console_open(&console, &mm_esp_serial_uart, echo, &lines), MM_OK);
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
    assert_int_equal(mm_esp_console_open(&console, &mm_esp_serial_uart, echo, &lines), MM_OK);
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
        mm_err_t err = mm_esp_console_open(&console, &mm_esp_serial_uart, echo, &lines);
        fake_uart_type("a\nb\n");
        poll_times(&console, 10);
        failed = fake_has_failed();
        assert_string_equal(fake_uart_sent(), err == MM_OK ? "<a>\n<b>\n" : "");
        mm_esp_console_close(&console);
        assert_false(fake_uart_is_installed());
    }
}

static const mm_us_t ANSWER_US = MM_ESP_CONSOLE_ANSWER_MS * (MM_US_PER_S / 1000);

static void type(const char *text) {
    fake_usb_type(text, strlen(text));
}

static void test_usb(void **state) {
    (void)state;
    static mm_esp_console_t console;
    unsigned lines = 0;
    fake_reset();
    assert_int_equal(mm_esp_console_open(&console, &mm_esp_serial_usb, echo, &lines), MM_OK);
    type("status\nmuch\n");
    poll_times(&console, 2);
    assert_memory_equal(fake_usb_read(), "<status>\nxxx", 12);
    assert_int_equal(strlen(fake_usb_read()), 9 + MM_ESP_CONSOLE_ANSWER_BYTES_MAX);
    // The longest line comes at once, with another one behind it: both are there whole.
    char text[MM_ESP_CONSOLE_LINE_CHARS_MAX + 8];
    memset(text, 'a', sizeof text);
    memcpy(text + MM_ESP_CONSOLE_LINE_CHARS_MAX, "\r\nlast\n", 8);
    type(text);
    poll_times(&console, 9);
    assert_int_equal(lines, 4);
    size_t long_bytes = MM_ESP_CONSOLE_LINE_CHARS_MAX + 3;
    assert_int_equal(strlen(fake_usb_read()), 9 + MM_ESP_CONSOLE_ANSWER_BYTES_MAX + long_bytes + strlen("<last>\n"));
    mm_esp_console_close(&console);
    assert_false(fake_usb_is_installed());
}

// No computer, or nobody who reads: the answer waits for its time and is dropped; then the next line is heard.
static void test_nobody_reads(void **state) {
    (void)state;
    static mm_esp_console_t console;
    unsigned lines = 0;
    fake_reset();
    assert_int_equal(mm_esp_console_open(&console, &mm_esp_serial_usb, echo, &lines), MM_OK);
    fake_usb_set_reading(false);
    type("much\nmuch\nlast\n");
    mm_us_t now = 1;
    assert_int_equal(mm_esp_console_poll(&console, now), now + MM_ESP_CONSOLE_POLL_MS * 1000);
    (void)mm_esp_console_poll(&console, now + ANSWER_US - 1);
    assert_int_equal(lines, 1);
    assert_memory_equal(console.answer + 512, "xxx", 3);
    (void)mm_esp_console_poll(&console, now += ANSWER_US);
    assert_int_equal(lines, 2);
    (void)mm_esp_console_poll(&console, now += ANSWER_US);
    assert_int_equal(lines, 3);
    // Still nobody: the last answer is gone as well, and nothing of it stays.
    (void)mm_esp_console_poll(&console, now += ANSWER_US);
    assert_null(memchr(console.answer, 'x', sizeof console.answer));
    assert_null(memmem(console.answer, sizeof console.answer, "last", 4));
    // Somebody comes: 512 bytes that the driver kept, and the next answer on a line of its own.
    fake_usb_set_reading(true);
    type("now\nthen\n");
    (void)mm_esp_console_poll(&console, now);
    assert_int_equal(strlen(fake_usb_read()), 512 + 1 + strlen("<now>\n<then>\n"));
    assert_string_equal(fake_usb_read() + 511, "x\n<now>\n<then>\n");
    mm_esp_console_close(&console);
}

// A reader that takes a piece now and then gets all of it: the time begins anew with each.
static void test_slow_usb(void **state) {
    (void)state;
    static mm_esp_console_t console;
    unsigned lines = 0;
    fake_reset();
    assert_int_equal(mm_esp_console_open(&console, &mm_esp_serial_usb, echo, &lines), MM_OK);
    fake_usb_set_reading(false);
    type("much\nlast\n");
    mm_us_t now = 1;
    for (int i = 0; i < 8; i++) {
        (void)mm_esp_console_poll(&console, now);
        fake_usb_set_reading(true);
        fake_usb_set_reading(false);
        now += ANSWER_US - 1;
    }
    assert_int_equal(strlen(fake_usb_read()), MM_ESP_CONSOLE_ANSWER_BYTES_MAX + 7);
    mm_esp_console_close(&console);
}

// What is no text does no harm: at worst lines that nobody knows.
static void test_noise(void **state) {
    (void)state;
    static mm_esp_console_t console;
    unsigned lines = 0;
    fake_reset();
    assert_int_equal(mm_esp_console_open(&console, &mm_esp_serial_usb, echo, &lines), MM_OK);
    uint32_t random = 1;
    for (int i = 0; i < 2000; i++) {
        char bytes[64];
        for (size_t at = 0; at < sizeof bytes; at++) {
            random = random * 1664525 + 1013904223;
            bytes[at] = (char)(random >> 24);
        }
        fake_usb_type(bytes, sizeof bytes);
        poll_times(&console, 1);
        fake_usb_forget();
    }
    assert_true(lines > 500);
    poll_times(&console, 100);
    fake_usb_forget();
    type("\nstatus\n");
    poll_times(&console, 2);
    assert_non_null(strstr(fake_usb_read(), "<status>\n"));
    mm_esp_console_close(&console);
}

static void test_one_call_of_usb_fails(void **state) {
    (void)state;
    bool failed = false;
    for (unsigned call_no = 1; call_no == 1 || failed; call_no++) {
        static mm_esp_console_t console;
        unsigned lines = 0;
        fake_reset();
        fake_fail_at(call_no);
        mm_err_t err = mm_esp_console_open(&console, &mm_esp_serial_usb, echo, &lines);
        type("a\nb\n");
        poll_times(&console, 10);
        failed = fake_has_failed();
        assert_string_equal(fake_usb_read(), err == MM_OK ? "<a>\n<b>\n" : "");
        mm_esp_console_close(&console);
        assert_false(fake_usb_is_installed());
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_and_limits),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_one_call_fails),
        cmocka_unit_test(test_usb),
        cmocka_unit_test(test_nobody_reads),
        cmocka_unit_test(test_slow_usb),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_one_call_of_usb_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
