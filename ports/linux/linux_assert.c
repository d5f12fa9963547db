// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/base.h"

#include <stdio.h>
#include <stdlib.h>

// Alone in its file: a program that has its own (the tests) does not get this one out of the library.
_Noreturn void mm_assert_failed(const char *expression, const char *file, int line) {
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
    abort();
}
