// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_SYSTEM_H
#define MM_TEST_FAKE_SYSTEM_H

#include <esp_system.h>
#include <esp_task_wdt.h>

typedef struct {
    esp_reset_reason_t reason;
    bool watchdog_runs;
    bool task_is_watched;
    unsigned feeds;
} fake_system_t;

fake_system_t *fake_system(void);

#endif
