// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PULSES_CSV_H
#define MM_PULSES_CSV_H

#include "linux_message.h"
#include "linux_pulses.h"

/// Pulses from a CSV file of cumulative energy: header `utc_timestamp,NAME_kwh,…` with 1 to 8 energy columns, then rows
/// in the order of time. Time is YYYY-MM-DDTHH:MM:SSZ; energy is a decimal number of kWh with at most 9 integer digits
/// and 9 decimals; an empty cell is no reading. No quotes, no blanks. Lines end with LF or CRLF.
///
/// The count at a time is floor((value - first value) * pulse constant), where the value between two readings is
/// interpolated linearly; exact integer arithmetic throughout. Before the first reading it is 0, behind the
/// last one it stays. A column without any reading never counts.

#define MM_PULSES_CSV_NAME_CHARS_MAX 47

typedef struct {
    int64_t utc_s;
    uint64_t energy_nkwh; ///< 1e-9 kWh
} mm_pulses_csv_reading_t;

typedef struct {
    char name[MM_PULSES_CSV_NAME_CHARS_MAX + 1]; ///< without "_kwh"
    uint32_t pulse_constant;
    mm_pulses_csv_reading_t *readings;
    size_t reading_count;
} mm_pulses_csv_column_t;

typedef struct {
    mm_pulse_source_t source;
    mm_pulses_csv_column_t columns[MM_CHANNELS];
    uint8_t column_count;
    mm_utc_t first_utc; ///< of the first and the last row
    mm_utc_t last_utc;
} mm_pulses_csv_t;

/// Does the first line look like such a file? For choosing files of a directory. MM_ERR_ARG: no, `message` says why;
/// MM_ERR_STORAGE: cannot be read.
mm_err_t mm_pulses_csv_probe(const char *path, mm_linux_message_t *message);

/// Read the whole file (at most 256 MiB). pulse_constants: per column, impulses per kWh (asserted to be in range).
/// MM_ERR_ARG: bad content; `message` names file, line and column. MM_ERR_STORAGE: cannot be read. After a failure
/// nothing is to be closed.
mm_err_t mm_pulses_csv_open(mm_pulses_csv_t *self, const char *path, const uint32_t pulse_constants[MM_CHANNELS],
                            mm_linux_message_t *message);
void mm_pulses_csv_close(mm_pulses_csv_t *self);

/// Reading of the meter when its count was 0, in whole Wh (rounded down): the start reading to configure.
uint64_t mm_pulses_csv_start_wh(const mm_pulses_csv_t *self, uint8_t channel);

#endif
