// SPDX-License-Identifier: Apache-2.0
#include "event_values.h"

#include <string.h>

#include "meshmeter/record.h"
#include "test_support.h"

// Whoever adds an event to the core has to say what its values are.
static void test_every_event_of_the_core_is_known(void **state) {
    (void)state;
    size_t known = 0;
    for (uint16_t code = 1; code < 256; code++) {
        const char *event = mm_event_name(code);
        if (strcmp(event, "unknown") == 0) {
            continue;
        }
        known++;
        for (size_t index = 0; index < MM_EVENT_VALUES; index++) {
            if (mm_event_value_name(event, index) == NULL) {
                fail_msg("the values of %s have no names", event);
            }
        }
    }
    assert_true(known >= 22);
}

static void test_names(void **state) {
    (void)state;
    assert_string_equal(mm_event_value_name("credit_low", 0), "channel");
    assert_string_equal(mm_event_value_name("credit_low", 3), "balance Wh");
    assert_string_equal(mm_event_value_name("supply_restored", 1), "");
    assert_string_equal(mm_event_value_name("root_taken", 0), "");
    assert_string_equal(mm_event_value_name("books_differ", 1), "sold difference Wh");
    assert_null(mm_event_value_name("of a later version", 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_event_of_the_core_is_known),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
