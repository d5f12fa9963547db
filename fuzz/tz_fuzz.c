// SPDX-License-Identifier: Apache-2.0
// POSIX TZ rules: whatever is accepted must give civil times that move forward with the clock.
#include "meshmeter/calendar.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS 40
#define STEP_S INT64_C(1234567)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[256];
    if (size >= sizeof text) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    mm_tz_t tz;
    if (mm_tz_parse(text, &tz) != MM_OK) {
        return 0;
    }
    for (int64_t step = 0; step < STEPS; step++) {
        int64_t utc_s = INT64_C(1600000000) + step * STEP_S;
        mm_local_t local = mm_local_from_utc(&tz, utc_s);
        MM_ASSERT(local.month >= 1 && local.month <= 12 && local.day >= 1 && local.day <= 31 && local.hour <= 23);
        int64_t change_s = mm_next_hour_change(&tz, utc_s);
        MM_ASSERT(change_s > utc_s && change_s <= utc_s + 3600);
    }
    return 0;
}
