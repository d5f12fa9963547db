// SPDX-License-Identifier: Apache-2.0
#include "fake.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define RESETS_MAX 40

static void (*s_resets[RESETS_MAX])(void);
static void (*s_restarts[RESETS_MAX])(void);
static size_t s_reset_count;
static unsigned s_call_count;
static unsigned s_fail_at;
static bool s_fail_all_after;

void fake_on_reset(void (*reset)(void), void (*restart)(void)) {
    if (s_reset_count == RESETS_MAX) {
        fake_abort("too many fakes");
    }
    s_resets[s_reset_count] = reset;
    s_restarts[s_reset_count] = restart;
    s_reset_count++;
}

void fake_reset(void) {
    fake_fail_at(0);
    for (size_t i = 0; i < s_reset_count; i++) {
        s_resets[i]();
    }
}

void fake_restart(void) {
    fake_fail_at(0);
    for (size_t i = 0; i < s_reset_count; i++) {
        if (s_restarts[i] != NULL) {
            s_restarts[i]();
        }
    }
}

void fake_fail_at(unsigned call_no) {
    s_call_count = 0;
    s_fail_at = call_no;
    s_fail_all_after = false;
}

void fake_fail_from(unsigned call_no) {
    fake_fail_at(call_no);
    s_fail_all_after = true;
}

bool fake_has_failed(void) {
    return s_fail_at != 0 && s_call_count >= s_fail_at;
}

unsigned fake_call_count(void) {
    return s_call_count;
}

bool fake_call_fails(void) {
    s_call_count++;
    return s_fail_at != 0 && (s_call_count == s_fail_at || (s_fail_all_after && s_call_count > s_fail_at));
}

void fake_abort(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "fake: ");
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "\n");
    va_end(arguments);
    abort();
}
