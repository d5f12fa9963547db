// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/life_cycle.h"

#include <string.h>

#include "test_support.h"

// Every pair of state and state before that can be, and every event, by a table of its own: "x" refused, otherwise the
// state afterwards, with the state before behind a colon where it is another. Rows: state:before. Columns: the events
// in their order: network, code, session ended, configured, confirmed, reinstall, reset, failed, back.
static const struct {
    const char *from;
    const char *to[MM_LIFE_EVENT_COUNT];
} table[] = {
    {"parked", {"provisioned", "x", "x", "x", "x", "x", "x", "fault:parked", "x"}},
    {"provisioned", {"provisioned", "configuring:provisioned", "x", "x", "x", "x", "parked", "fault:provisioned", "x"}},
    {"awaiting",
     {"awaiting", "configuring:awaiting", "x", "x", "running", "awaiting", "parked", "fault:awaiting", "x"}},
    {"running", {"running", "configuring:running", "x", "x", "running", "awaiting", "parked", "fault:running", "x"}},
    {"configuring:provisioned",
     {"configuring:provisioned", "x", "provisioned", "awaiting", "x", "x", "parked", "fault:provisioned", "x"}},
    {"configuring:awaiting",
     {"configuring:awaiting", "x", "awaiting", "awaiting", "configuring:running", "configuring:awaiting", "parked",
      "fault:awaiting", "x"}},
    {"configuring:running",
     {"configuring:running", "x", "running", "awaiting", "configuring:running", "configuring:awaiting", "parked",
      "fault:running", "x"}},
    {"fault:parked", {"x", "x", "x", "x", "x", "x", "x", "fault:parked", "parked"}},
    {"fault:provisioned", {"x", "x", "x", "x", "x", "x", "x", "fault:provisioned", "provisioned"}},
    {"fault:awaiting", {"x", "x", "x", "x", "x", "x", "x", "fault:awaiting", "awaiting"}},
    {"fault:running", {"x", "x", "x", "x", "x", "x", "x", "fault:running", "running"}},
};
#define ROWS (sizeof table / sizeof table[0])

static mm_life_state_t state_named(const char *name, size_t chars) {
    for (int state = 0; state < MM_LIFE_STATE_COUNT; state++) {
        const char *candidate = mm_life_state_name((mm_life_state_t)state);
        if (strlen(candidate) == chars && memcmp(candidate, name, chars) == 0) {
            return (mm_life_state_t)state;
        }
    }
    fail_msg("no state %s", name);
    return MM_LIFE_FAULT;
}

static mm_life_cycle_t read_cycle(const char *text) {
    const char *colon = strchr(text, ':');
    mm_life_state_t state = state_named(text, colon != NULL ? (size_t)(colon - text) : strlen(text));
    mm_life_state_t before = colon != NULL ? state_named(colon + 1, strlen(colon + 1)) : state;
    return (mm_life_cycle_t){state, before};
}

static void test_life_cycle_takes_every_event_in_every_state(void **state) {
    (void)state;
    unsigned cases = 0;
    for (size_t row = 0; row < ROWS; row++) {
        for (int event = 0; event < MM_LIFE_EVENT_COUNT; event++) {
            mm_life_cycle_t cycle = read_cycle(table[row].from);
            const char *to = table[row].to[event];
            bool refused = strcmp(to, "x") == 0;
            mm_life_cycle_t expected = refused ? cycle : read_cycle(to);
            mm_err_t err = mm_life_cycle_take(&cycle, (mm_life_event_t)event);
            if (err != (refused ? MM_ERR_STATE : MM_OK) || cycle.state != expected.state ||
                cycle.before != expected.before) {
                fail_msg("%s, %s: got %s:%s, %s", table[row].from, mm_life_event_name((mm_life_event_t)event),
                         mm_life_state_name(cycle.state), mm_life_state_name(cycle.before), mm_err_name(err));
            }
            cases++;
        }
    }
    assert_int_equal(cases, 99);
}

// The rows above are all that can be reached.
static void test_life_cycle_reaches_nothing_else(void **state) {
    (void)state;
    bool reached[MM_LIFE_STATE_COUNT][MM_LIFE_STATE_COUNT] = {{false}};
    reached[MM_LIFE_PARKED][MM_LIFE_PARKED] = true;
    for (int rounds = 0; rounds < 12; rounds++) {
        for (int from = 0; from < MM_LIFE_STATE_COUNT; from++) {
            for (int before = 0; before < MM_LIFE_STATE_COUNT; before++) {
                for (int event = 0; event < MM_LIFE_EVENT_COUNT && reached[from][before]; event++) {
                    mm_life_cycle_t cycle = {(mm_life_state_t)from, (mm_life_state_t)before};
                    (void)mm_life_cycle_take(&cycle, (mm_life_event_t)event);
                    reached[cycle.state][cycle.before] = true;
                }
            }
        }
    }
    unsigned count = 0;
    for (int from = 0; from < MM_LIFE_STATE_COUNT; from++) {
        for (int before = 0; before < MM_LIFE_STATE_COUNT; before++) {
            count += reached[from][before] ? 1 : 0;
        }
    }
    assert_int_equal(count, ROWS);
    for (size_t row = 0; row < ROWS; row++) {
        mm_life_cycle_t cycle = read_cycle(table[row].from);
        assert_true(reached[cycle.state][cycle.before]);
    }
}

static void test_life_cycle_knows_who_is_confirmed(void **state) {
    (void)state;
    static const char *const confirmed[] = {"running", "configuring:running", "fault:running"};
    for (size_t row = 0; row < ROWS; row++) {
        bool expected = false;
        for (size_t i = 0; i < sizeof confirmed / sizeof confirmed[0]; i++) {
            expected = expected || strcmp(table[row].from, confirmed[i]) == 0;
        }
        mm_life_cycle_t cycle = read_cycle(table[row].from);
        assert_int_equal(mm_life_is_confirmed(&cycle), expected);
    }
}

static void test_life_cycle_names_and_limits(void **state) {
    (void)state;
    assert_string_equal(mm_life_state_name(MM_LIFE_STATE_COUNT), "unknown");
    assert_string_equal(mm_life_event_name(MM_LIFE_EVENT_COUNT), "unknown");
    assert_string_equal(mm_life_event_name(MM_LIFE_REINSTALL_ORDERED), "reinstall_ordered");
    mm_life_cycle_t cycle = {MM_LIFE_STATE_COUNT, MM_LIFE_PARKED};
    expect_assert_failure((void)mm_life_cycle_take(&cycle, MM_LIFE_RESET));
    cycle.state = MM_LIFE_PARKED;
    expect_assert_failure((void)mm_life_cycle_take(&cycle, MM_LIFE_EVENT_COUNT));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_cycle_takes_every_event_in_every_state),
        cmocka_unit_test(test_life_cycle_reaches_nothing_else),
        cmocka_unit_test(test_life_cycle_knows_who_is_confirmed),
        cmocka_unit_test(test_life_cycle_names_and_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
