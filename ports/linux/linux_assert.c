// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/base.h"

#include <stdio.h>
#include <stdlib.h>

// Alone in its file: a program that has its own (the tests) does not get this one out of the library.
_Noreturn void mm_assert_failed(const char *place) {
    fprintf(stderr, "%s: assertion failed\n", place);
    abort();
}
