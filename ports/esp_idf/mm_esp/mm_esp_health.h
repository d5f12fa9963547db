// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_HEALTH_H
#define MM_ESP_HEALTH_H

#include "meshmeter/base.h"

/// What keeps a node alive: task watchdog, reason of the last reset, crashes in a row, safe mode, early warning of a
/// power cut.
///
/// Safe mode. A crash is a panic, an assertion or a watchdog. As many as `crashes_max` (MM_SAFE_MODE_CRASHES: 4) in a
/// row, each within MM_ESP_HEALTH_QUIET_S of its start, and the node starts in the safe mode: it counts pulses, saves
/// registers and journal, drives relays as they were, and does nothing else. It leaves (by a restart) after
/// MM_ESP_HEALTH_QUIET_S without a crash, or when somebody presses the button. The count lives in memory that a reset
/// does not clear (a power cut forgives), so a crash in the very first second counts too, and flash is not worn by it.
///
/// Brown-out. The SDK's detector resets at once, nothing can be saved in it. A board that divides its supply before the
/// regulator onto a pin (`warning_pin`, low = supply is going) gets some milliseconds: the interrupt wakes the owner,
/// whose first work is one read of the counters, which saves a cell. Without the pin the bound is the FRAM's: the
/// pulses since the last read.

#define MM_ESP_HEALTH_QUIET_S 3600
#define MM_ESP_HEALTH_FEED_S 5
/// If the SDK has not begun its watchdog already (sdkconfig.defaults).
#define MM_ESP_HEALTH_WATCHDOG_MS 20000

/// In the event of the start (mm_node_options_t.reset_reason), with 256 times the crashes in a row.
/// Numbers are appended.
typedef enum {
    MM_ESP_RESET_UNKNOWN = 0,
    MM_ESP_RESET_POWER_ON = 1,
    MM_ESP_RESET_COMMAND = 2, ///< esp_restart: a command, an update, a new network
    MM_ESP_RESET_PANIC = 3,   ///< an assertion, too
    MM_ESP_RESET_WATCHDOG = 4,
    MM_ESP_RESET_BROWN_OUT = 5,
    MM_ESP_RESET_OTHER = 6,
} mm_esp_reset_t;

typedef struct {
    uint32_t crashes_max;
    int8_t warning_pin;          ///< negative: none
    void (*warn)(void *context); ///< in an interrupt: the supply is going; wake the owner. May be NULL
    void *context;
} mm_esp_health_options_t;

typedef struct {
    mm_esp_health_options_t options;
    mm_esp_reset_t reset;
    uint32_t crashes; ///< in a row, the one before this start included
    bool safe_mode;
    bool watched;          ///< the owner's task is
    volatile bool warning; ///< the supply was going; the owner clears it
    // wait: a node that crashed stays up | until MM_ESP_HEALTH_QUIET_S | then its crashes are forgotten, and the safe
    // mode ends
    mm_us_t quiet_at;
} mm_esp_health_t;

/// Early in the start, by the owner's task, which is watched from then on: it has to call poll.
void mm_esp_health_open(mm_esp_health_t *self, const mm_esp_health_options_t *options, mm_us_t now);
/// In every turn of the owner: feeds the watchdog. Returns the deadline of the next call.
mm_us_t mm_esp_health_poll(mm_esp_health_t *self, mm_us_t now);
/// The safe mode is over (a quiet hour, or forgiven): restart now.
bool mm_esp_health_must_restart(const mm_esp_health_t *self);
/// Somebody pressed the button in safe mode: forget the crashes; restart then.
void mm_esp_health_forgive(mm_esp_health_t *self);

#endif
