// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_log.h"

#include "test_support.h"

#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "fake_freertos.h"

static int reset(void **state) {
    (void)state;
    fake_reset();
    mm_esp_log_clear();
    mm_esp_log_set_level(MM_LOG_INFO);
    return 0;
}

static void assert_tail(size_t capacity_bytes, const char *expected) {
    char text[MM_ESP_LOG_RING_BYTES + 1];
    size_t bytes_count = mm_esp_log_tail(text, capacity_bytes);
    text[bytes_count] = '\0';
    assert_string_equal(text, expected);
    assert_int_equal(fake_critical_depth(), 0);
}

static void test_lines(void **state) {
    (void)state;
    assert_tail(100, "");
    fake_time_advance(12345678);
    mm_log_t port = mm_esp_log_port();
    port.write(port.context, MM_LOG_WARNING, "journal is full", "free", -1, "used", 96);
    port.write(port.context, MM_LOG_DEBUG, "not written", NULL, 0, NULL, 0);
    port.write(port.context, MM_LOG_ERROR, "bad", "n", 3, NULL, 0);
    assert_tail(100, "12.345 W journal is full free=-1 used=96\n12.345 E bad n=3\n");
    // Lines of 41 and 17 bytes.
    assert_tail(58, "12.345 W journal is full free=-1 used=96\n12.345 E bad n=3\n");
    assert_tail(57, "12.345 E bad n=3\n");
    assert_tail(17, "12.345 E bad n=3\n");
    assert_tail(8, "12.345 E");
    assert_tail(0, "");
}

static void test_text_cannot_forge_lines(void **state) {
    (void)state;
    mm_esp_log(MM_LOG_INFO, "%s", "a\nb\x1b[0m\x7f");
    assert_tail(100, "0.000 I a?b?[0m?\n");
}

static void test_long_line_is_cut(void **state) {
    (void)state;
    char expected[MM_ESP_LOG_LINE_CHARS_MAX + 2] = "0.000 I ";
    memset(expected + 8, 'x', MM_ESP_LOG_LINE_CHARS_MAX - 8);
    strcpy(expected + MM_ESP_LOG_LINE_CHARS_MAX, "\n");
    char message[400];
    memset(message, 'x', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    mm_esp_log(MM_LOG_INFO, "%s", message);
    assert_tail(1000, expected);
}

// Lines of all lengths, many times around the ring: the tail is always the newest whole lines that fit.
static void test_ring_against_model(void **state) {
    (void)state;
    static char model[200000];
    size_t model_bytes = 0;
    for (unsigned i = 0; i < 1500; i++) {
        char message[128];
        size_t chars = i * 7 % 120;
        memset(message, 'a' + (int)(i % 26), chars);
        message[chars] = '\0';
        mm_esp_log(MM_LOG_INFO, "%s", message);
        model_bytes += (size_t)snprintf(model + model_bytes, sizeof model - model_bytes, "0.000 I %s\n", message);
        size_t capacity = i * 131 % (MM_ESP_LOG_RING_BYTES - MM_ESP_LOG_LINE_CHARS_MAX);
        const char *begin = model;
        while ((size_t)(model + model_bytes - begin) > capacity) {
            const char *end = memchr(begin, '\n', (size_t)(model + model_bytes - begin));
            const char *next = end + 1;
            if (next == model + model_bytes) {
                break;
            }
            begin = next;
        }
        size_t expected_bytes = (size_t)(model + model_bytes - begin);
        expected_bytes = expected_bytes < capacity ? expected_bytes : capacity;
        char text[MM_ESP_LOG_RING_BYTES];
        assert_int_equal(mm_esp_log_tail(text, capacity), expected_bytes);
        assert_memory_equal(text, begin, expected_bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_lines, reset),
        cmocka_unit_test_setup(test_text_cannot_forge_lines, reset),
        cmocka_unit_test_setup(test_long_line_is_cut, reset),
        cmocka_unit_test_setup(test_ring_against_model, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
