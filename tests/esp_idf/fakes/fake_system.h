// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_SYSTEM_H
#define MM_TEST_FAKE_SYSTEM_H

#include <esp_mac.h>
#include <esp_system.h>
#include <esp_task_wdt.h>
#include <stdbool.h>

typedef struct {
    esp_reset_reason_t reason;
    bool watchdog_runs;
    bool task_is_watched;
    unsigned feeds;
    unsigned restarts; ///< by esp_restart
} fake_system_t;

fake_system_t *fake_system(void);

/// Run what may restart the device; true: it did. In a task (fake_task_run) a restart leaves the task.
bool fake_restarts(void (*code)(void));
/// Memory that a reset keeps (RTC_NOINIT_ATTR) is lost.
void fake_power_cut(void);

#endif
