// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/base.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void mm_assert_failed(const char *place) {
    fprintf(stderr, "%s: assertion failed\n", place);
    abort();
}
