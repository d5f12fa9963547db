// SPDX-License-Identifier: Apache-2.0
// CSV files of cumulative energy: whatever is accepted must give counts that never decrease.
#include "linux/pulses_csv.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS 16

static void check_counts(const mm_pulses_csv_t *csv) {
    int64_t span_us = csv->last_utc.us - csv->first_utc.us;
    for (uint8_t column = 0; column < csv->column_count; column++) {
        uint64_t before = 0;
        for (int64_t step = 0; step <= STEPS; step++) {
            const mm_utc_t utc = {csv->first_utc.us + span_us / STEPS * step};
            uint64_t count = mm_pulse_source_expected(&csv->source, column, utc);
            MM_ASSERT(count >= before);
            before = count;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint32_t constants[MM_CHANNELS] = {1000, 800, 100, 10000, 1000, 1000, 1000, 1000};
    char path[64];
    int file = memfd_create("csv", MFD_CLOEXEC);
    if (file < 0 || write(file, data, size) != (ssize_t)size) {
        return 0;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    mm_pulses_csv_t csv;
    mm_linux_message_t message;
    if (mm_pulses_csv_open(&csv, path, constants, &message) == MM_OK) {
        check_counts(&csv);
        mm_pulses_csv_close(&csv);
    }
    (void)close(file);
    return 0;
}
