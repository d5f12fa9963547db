// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_RELAY_H
#define MM_LINUX_RELAY_H

#include "linux_file.h"
#include "linux_message.h"
#include "meshmeter/limits.h"
#include "meshmeter/port/relay.h"

/// Relays of a Linux node. What each was told last stands in a text file, one line per meter in their order:
///
///     1 closed
///     2 open
///     3 unknown
///
/// It is replaced as a whole at each change (rename), so a script or an installer's tool can follow it with inotify on
/// its directory. Optionally GPIO lines drive coils or contactors: active means closed, supply is on. A line is claimed
/// and driven when its relay is told something for the first time; until then, and after the process has ended, its
/// level is what the chip makes of it.

typedef enum {
    MM_LINUX_RELAY_UNKNOWN = 0, ///< never told
    MM_LINUX_RELAY_OPEN,
    MM_LINUX_RELAY_CLOSED,
} mm_linux_relay_state_t;

const char *mm_linux_relay_state_name(mm_linux_relay_state_t state);

struct gpiod_chip;
struct gpiod_line;

typedef struct {
    const char *path; ///< of the file
    mm_linux_sync_t sync;
    const char *chip; ///< NULL: without GPIO
    uint32_t lines[MM_CHANNELS];
    uint8_t line_count; ///< relays behind it have no line
    /// Called whenever a relay was told its state, changed or not. May be NULL.
    void (*told)(void *context, uint8_t channel, bool closed);
    void *told_context;
} mm_linux_relay_options_t;

typedef struct {
    mm_relay_t relay; ///< hand this to the core; *self must stay where it is
    mm_linux_relay_options_t options;
    char path[512];
    mm_linux_relay_state_t states[MM_CHANNELS]; ///< as in the file
    struct gpiod_chip *chip;
    struct gpiod_line *lines[MM_CHANNELS];
    bool driven[MM_CHANNELS]; ///< the line is claimed and has the state
} mm_linux_relay_t;

/// Read what was told last; a file that is damaged is taken as unknown. MM_ERR_UNAVAILABLE: the chip or a line does not
/// exist, or is taken. MM_ERR_ARG: the path is too long. MM_ERR_STORAGE: the file exists and cannot be read. `message`
/// names it.
mm_err_t mm_linux_relay_open(mm_linux_relay_t *self, const mm_linux_relay_options_t *options,
                             mm_linux_message_t *message);
/// Also after a failed open.
void mm_linux_relay_close(mm_linux_relay_t *self);

#endif
