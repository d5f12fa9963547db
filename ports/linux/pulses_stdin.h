// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PULSES_STDIN_H
#define MM_PULSES_STDIN_H

#include "linux_pulses.h"

/// Pulses from lines of text `CHANNEL COUNT`: COUNT (0 … 1,000,000) more pulses on CHANNEL (1 … 8). Empty lines and
/// lines that begin with # are comments. Anything else is reported with its number and skipped.

#define MM_PULSES_STDIN_LINE_BYTES_MAX 128
#define MM_PULSES_STDIN_COUNT_MAX 1000000U

typedef void mm_pulses_stdin_bad_line_fn(void *context, uint64_t line_number, const char *line);

typedef struct {
    mm_pulse_source_t source; ///< live; *self must stay where it is
    int file;                 ///< -1 after the end of the input: take it out of the poll set
    uint64_t counts[MM_CHANNELS];
    uint64_t line_number;
    uint64_t bad_lines;
    char line[MM_PULSES_STDIN_LINE_BYTES_MAX + 1];
    size_t line_bytes;
    bool overlong; ///< rest of a line that was refused
    mm_pulses_stdin_bad_line_fn *on_bad_line;
    void *context;
} mm_pulses_stdin_t;

/// file: of a pipe, terminal, socket or file; borrowed, its flags are left alone. generation: new in each process.
void mm_pulses_stdin_init(mm_pulses_stdin_t *self, int file, uint32_t generation,
                          mm_pulses_stdin_bad_line_fn *on_bad_line, void *context);
/// Take what is there; never waits. Call when the file is readable. Returns true if pulses came.
bool mm_pulses_stdin_poll(mm_pulses_stdin_t *self);

#endif
