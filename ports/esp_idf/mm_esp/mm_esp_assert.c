// SPDX-License-Identifier: Apache-2.0
// A file of its own, so that a test program can bring another.
#include "meshmeter/base.h"

#include <stdlib.h>

#include "mm_esp_log.h"

_Noreturn void mm_assert_failed(const char *place) {
    mm_esp_log(MM_LOG_ERROR, "%s: assertion failed", place);
    // The SDK writes a core dump and restarts.
    abort();
}
