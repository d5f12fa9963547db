// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void mm_assert_failed(const char *place) {
    mock_assert(0, "MM_ASSERT", place, 0);
    // Only reached outside of a running test.
    fprintf(stderr, "%s: assertion failed\n", place);
    abort();
}
