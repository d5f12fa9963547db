// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void mm_assert_failed(const char *expression, const char *file, int line) {
    mock_assert(0, expression, file, line);
    // Only reached outside of a running test.
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
    abort();
}
