// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_H
#define MM_TEST_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What all fakes of the SDK share. Single threaded: tests call the callbacks that an SDK's task would call.
///
/// Every call that can fail on a board asks `fake_call_fails`, so a test can try them all:
///
///     unsigned call_no = 0;
///     do {
///         fake_reset();
///         fake_fail_at(++call_no);
///         … the scenario, and what must be true of it whatever failed …
///     } while (fake_has_failed());

/// Everything as after a power-up with empty memories: each fake's own state, time 0, no call fails.
void fake_reset(void);
/// The device restarts: what is in NVS, flash, FRAM and memory that a reset keeps is still there, all else is as after
/// fake_reset. Time begins at 0 again.
void fake_restart(void);
/// The call_no-th call from now on that can fail does (1 = the next one); 0: none does.
void fake_fail_at(unsigned call_no);
/// From the call_no-th call on all fail.
void fake_fail_from(unsigned call_no);
/// The call that was to fail has been made.
bool fake_has_failed(void);
/// Calls that could have failed since fake_fail_at, fake_fail_from or fake_reset.
unsigned fake_call_count(void);

/// For fakes: count a call; true if it has to fail.
bool fake_call_fails(void);
/// For fakes: let fake_reset call this, and fake_restart that (or NULL). In a constructor: FAKE_ON_RESET for what
/// forgets everything at both, FAKE_ON_RESET_AND_RESTART for what keeps something.
void fake_on_reset(void (*reset)(void), void (*restart)(void));
#define FAKE_ON_RESET(function) FAKE_ON_RESET_AND_RESTART(function, function)
#define FAKE_ON_RESET_AND_RESTART(function, restart_function)                                                          \
    __attribute__((constructor)) static void function##_at_start(void) {                                               \
        fake_on_reset(function, restart_function);                                                                     \
    }

/// Stop the test program with a message: it did what would hang or break on a board.
__attribute__((noreturn, format(printf, 1, 2))) void fake_abort(const char *format, ...);

/// Time of esp_timer_get_time and of the ticks. fake_time_advance runs the timers that are due, in their order.
int64_t fake_time_us(void);
void fake_time_advance(int64_t us);

#endif
